//! How far the dual reconstruction is from the input.

use dualres_imaging::{
    Picture, Plane,
    psnr::{luma, psnr_of_mse},
};

/// The rule of the loop PSNR, to be shown beside the number.
pub const LOOP_RULE: &str = "Y (BT.601), input against dual reconstruction, not rounded, whole picture";

/// Mean absolute difference of red, green and blue at each input pixel, in gray levels, and what [`excess`] found there.
pub(crate) fn map(input: &Picture, reconstruction: &Picture, excess: Option<&Plane>) -> Plane {
    let (a, b) = (input.rgb(), reconstruction.rgb());
    let more = |i: usize| excess.map_or(0.0, |excess| excess.data[i]);
    let data = (0..a[0].data.len())
        .map(|i| (0..3).map(|c| (a[c].data[i] - b[c].data[i]).abs()).sum::<f32>() / 3.0 + more(i))
        .collect();
    Plane::new(input.width(), input.height(), data)
}

/// Light of a result that has no light near it in the input to come from, where light is beyond white: the most of a pixel's
/// samples, in gray levels of what is there. The way back sees the levels of the compressed curve, in which it is little.
pub(crate) fn excess(input: &Picture, result: &Picture) -> Option<Plane> {
    let planes = input.excess_light(result)?;
    let mut most = Plane::filled(input.width(), input.height(), 0.0);
    for plane in &planes {
        for y in 0..plane.height {
            let row = &mut most.data[(y * input.height() / plane.height) * input.width()..][..input.width()];
            for (x, &more) in plane.data[y * plane.width..][..plane.width].iter().enumerate() {
                let sample = &mut row[x * input.width() / plane.width];
                *sample = sample.max(255.0 * more);
            }
        }
    }
    Some(most)
}

/// Luma (BT.601) of the input less that of its reconstruction at each pixel, in gray levels.
///
/// # Panics
/// If the pictures differ in size.
pub fn luma_difference(input: &Picture, reconstruction: &Picture) -> Plane {
    let (a, b) = (input.rgb(), reconstruction.rgb());
    let luma_at = |planes: &[&Plane; 3], i: usize| luma(planes[0].data[i], planes[1].data[i], planes[2].data[i]);
    let data = (0..a[0].data.len()).map(|i| (luma_at(&a, i) - luma_at(&b, i)) as f32).collect();
    Plane::new(input.width(), input.height(), data)
}

/// PSNR in dB of luma differences by [`LOOP_RULE`]; infinite if there are none.
pub fn psnr_of_difference(difference: impl ExactSizeIterator<Item = f32>) -> f64 {
    let count = difference.len();
    psnr_of_mse(difference.map(|d| f64::from(d).powi(2)).sum::<f64>() / count as f64)
}

/// PSNR in dB by [`LOOP_RULE`]; infinite for a perfect loop.
pub(crate) fn loop_psnr(input: &Picture, reconstruction: &Picture, excess: Option<&Plane>) -> f64 {
    let mut difference = luma_difference(input, reconstruction);
    if let Some(excess) = excess {
        difference
            .data
            .iter_mut()
            .zip(&excess.data)
            .for_each(|(difference, more)| *difference = difference.abs() + more);
    }
    psnr_of_difference(difference.data.iter().copied())
}

/// Difference in gray levels that is drawn in the hottest colour.
pub const HOTTEST: f32 = 16.0;

/// A colour of the heat map: black for 0 over violet and orange to light yellow for 1; red, green, blue in `[0, 255]`.
pub fn heat_colour(amount: f32) -> [f32; 3] {
    const STOPS: [[f32; 3]; 5] =
        [[0.0, 0.0, 4.0], [87.0, 16.0, 110.0], [188.0, 55.0, 84.0], [249.0, 142.0, 9.0], [252.0, 255.0, 164.0]];
    let position = amount.clamp(0.0, 1.0) * (STOPS.len() - 1) as f32;
    let low = (position as usize).min(STOPS.len() - 2);
    let mix = position - low as f32;
    [0, 1, 2].map(|channel| STOPS[low][channel] * (1.0 - mix) + STOPS[low + 1][channel] * mix)
}

/// A consistency map as a picture to look at: black where the loop closes, over violet and orange to light yellow
/// where it is off by [`HOTTEST`] gray levels or more.
pub fn heat_map(consistency: &Plane) -> Picture {
    let mut planes: Vec<Plane> = (0..3).map(|_| Plane::filled(consistency.width, consistency.height, 0.0)).collect();
    for (index, &difference) in consistency.data.iter().enumerate() {
        for (plane, sample) in planes.iter_mut().zip(heat_colour(difference / HOTTEST)) {
            plane.data[index] = sample;
        }
    }
    Picture::from_planes(planes)
}
