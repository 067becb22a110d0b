//! How far the dual reconstruction is from the input.

use std::borrow::Cow;

use dualres_imaging::{
    Condition, Highlights, Picture, Plane,
    filter::gaussian,
    psnr::{luma, psnr_of_mse},
};

/// The rule of the consistency PSNR, to be shown beside the number.
pub const LOOP_RULE: &str = "Y (BT.601), input against dual reconstruction, not rounded, whole picture";

/// Mean absolute difference of red, green and blue at each input pixel, in gray levels. Beyond white it is that of the light there,
/// in levels of what light there is.
pub(crate) fn map(input: &Picture, reconstruction: &Picture) -> Plane {
    let (input, light) = up_to_white(input);
    let (reconstruction, led_back) = up_to_white(reconstruction);
    let (a, b) = (input.rgb(), reconstruction.rgb());
    let beyond = beyond_white(light.as_ref(), led_back.as_ref());
    let more = |i: usize| beyond.as_ref().map_or(0.0, |beyond| beyond[i].abs());
    let data = (0..a[0].data.len())
        .map(|i| (0..3).map(|c| (a[c].data[i] - b[c].data[i]).abs()).sum::<f32>() / 3.0 + more(i))
        .collect();
    Plane::new(input.width(), input.height(), data)
}

fn up_to_white(picture: &Picture) -> (Cow<'_, Picture>, Option<Highlights>) {
    match picture.without_highlights() {
        Some((rest, light)) => (Cow::Owned(rest), Some(light)),
        None => (Cow::Borrowed(picture), None),
    }
}

/// Difference of light beyond white at each pixel, its mean over the colours, in gray levels of the light that is there.
fn beyond_white(light: Option<&Highlights>, led_back: Option<&Highlights>) -> Option<Vec<f32>> {
    let planes = light?.planes();
    let back = |c: usize, i: usize| led_back.and_then(|back| back.planes().get(c)).map_or(0.0, |plane| plane.data[i]);
    let of = |i: usize| {
        let difference = |c: usize| {
            let (light, back) = (planes[c].data[i], back(c, i));
            255.0 * (light - back) / (1.0 + light.max(back))
        };
        (0..planes.len()).map(difference).sum::<f32>() / planes.len() as f32
    };
    Some((0..planes[0].data.len()).map(of).collect())
}

/// Luma (BT.601) of the input less that of its reconstruction at each pixel, in gray levels.
///
/// # Panics
/// If the pictures differ in size.
pub fn luma_difference(input: &Picture, reconstruction: &Picture) -> Plane {
    let (input, light) = up_to_white(input);
    let (reconstruction, led_back) = up_to_white(reconstruction);
    let (a, b) = (input.rgb(), reconstruction.rgb());
    let luma_at = |planes: &[&Plane; 3], i: usize| luma(planes[0].data[i], planes[1].data[i], planes[2].data[i]);
    let mut data: Vec<f32> = (0..a[0].data.len()).map(|i| (luma_at(&a, i) - luma_at(&b, i)) as f32).collect();
    if let Some(beyond) = beyond_white(light.as_ref(), led_back.as_ref()) {
        data.iter_mut().zip(beyond).for_each(|(difference, more)| *difference += more);
    }
    Plane::new(input.width(), input.height(), data)
}

/// Where structure was changed, not noise removed: mean absolute difference of the colours at each input pixel, in gray levels, that
/// does not average out over the pixels around it, as far as it is more than what the input's noise leaves of itself.
///
/// # Panics
/// If the pictures differ in size.
pub fn structural_difference(input: &Picture, reconstruction: &Picture) -> Plane {
    const SIGMA: f32 = 1.5;
    const REACH: usize = 4;
    // A blur leaves 1 / (2 sigma sqrt(pi)) of the deviation of noise; twice that is rare in a mean of three colours.
    let left = Condition::of(input).noise / (SIGMA * std::f32::consts::PI.sqrt());
    let (input, light) = up_to_white(input);
    let (reconstruction, led_back) = up_to_white(reconstruction);
    let (a, b) = (input.rgb(), reconstruction.rgb());
    let mut sum = vec![0.0; a[0].data.len()];
    for (a, b) in a.iter().zip(b) {
        let difference = a.data.iter().zip(&b.data).map(|(a, b)| a - b).collect();
        let lasting = gaussian(&Plane::new(a.width, a.height, difference), SIGMA, REACH);
        sum.iter_mut().zip(lasting.data).for_each(|(sum, value)| *sum += value.abs() / 3.0);
    }
    sum.iter_mut().for_each(|value| *value = (*value - left).max(0.0));
    if let Some(beyond) = beyond_white(light.as_ref(), led_back.as_ref()) {
        sum.iter_mut().zip(beyond).for_each(|(value, more)| *value += more.abs());
    }
    Plane::new(input.width(), input.height(), sum)
}

/// PSNR in dB of luma differences by [`LOOP_RULE`]; infinite if there are none.
pub fn psnr_of_difference(difference: impl ExactSizeIterator<Item = f32>) -> f64 {
    let count = difference.len();
    psnr_of_mse(difference.map(|d| f64::from(d).powi(2)).sum::<f64>() / count as f64)
}

/// PSNR in dB by [`LOOP_RULE`]; infinite for a perfect loop.
pub(crate) fn loop_psnr(input: &Picture, reconstruction: &Picture) -> f64 {
    psnr_of_difference(luma_difference(input, reconstruction).data.iter().copied())
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

#[cfg(test)]
mod tests {
    use rand::RngExt as _;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng as _};

    use super::*;

    /// Noise that was removed is not shown; a stroke that was drawn into it, or taken out of a clean picture, is.
    #[test]
    fn removed_noise_is_told_from_changed_structure() {
        let (width, height) = (96, 80);
        let mut random = ChaCha8Rng::seed_from_u64(7);
        let clean = |c: usize| (0..width * height).map(move |i| 60.0 + (i % width) as f32 + 10.0 * c as f32);
        let picture = |planes: Vec<Vec<f32>>| {
            Picture::from_planes(planes.into_iter().map(|data| Plane::new(width, height, data)).collect())
        };
        let smooth = picture((0..3).map(|c| clean(c).collect()).collect());
        // A sum of uniform numbers is all but normal; its deviation is 12.
        let mut noise = || (0..12).map(|_| random.random_range(-0.5..0.5)).sum::<f32>() * 12.0;
        let noisy = picture((0..3).map(|c| clean(c).map(|level| level + noise()).collect()).collect());
        let mut stroke = smooth.clone();
        for plane in &mut stroke.planes {
            for y in 30..50 {
                plane.data[y * width + 40..y * width + 46].iter_mut().for_each(|level| *level += 40.0);
            }
        }
        let share = |map: &Plane, inside: bool| {
            let is_inside = |i: usize| (30..50).contains(&(i / width)) && (40..46).contains(&(i % width));
            let all: Vec<f32> = (0..map.data.len()).filter(|&i| is_inside(i) == inside).map(|i| map.data[i]).collect();
            all.iter().sum::<f32>() / all.len() as f32
        };
        let removed = structural_difference(&noisy, &smooth);
        assert!(share(&removed, false) < 0.3, "{}", share(&removed, false));
        let drawn = structural_difference(&noisy, &stroke);
        assert!(
            share(&drawn, true) > 12.0 && share(&drawn, false) < 1.0,
            "{} {}",
            share(&drawn, true),
            share(&drawn, false)
        );
        let changed = structural_difference(&smooth, &stroke);
        assert!(share(&changed, true) > 20.0, "{}", share(&changed, true));
        assert!(structural_difference(&smooth, &smooth).data.iter().all(|&value| value == 0.0));
    }
}
