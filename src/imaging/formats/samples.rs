//! Planes as the interleaved samples that files hold.

use crate::{Picture, Plane, highlights::Curve, picture::quantized};

/// Gray or colour planes, then alpha; gray is tripled if the format has none.
pub(crate) fn planes(picture: &Picture, has_gray: bool) -> Vec<&Plane> {
    let colours = if picture.is_gray() && has_gray { vec![&picture.planes[0]] } else { picture.rgb().to_vec() };
    colours.into_iter().chain(&picture.alpha).collect()
}

fn interleaved<T: Clone + Default>(planes: &[&Plane], convert: impl Fn(f32) -> T) -> Vec<T> {
    let channels = planes.len();
    let mut out = vec![T::default(); channels * planes[0].data.len()];
    for (channel, plane) in planes.iter().enumerate() {
        for (target, &sample) in out[channel..].iter_mut().step_by(channels).zip(&plane.data) {
            *target = convert(sample);
        }
    }
    out
}

/// 8-bit samples.
pub(crate) fn eight(planes: &[&Plane]) -> Vec<u8> {
    interleaved(planes, |sample| quantized(sample) as u8)
}

/// 16-bit samples.
pub(crate) fn sixteen(planes: &[&Plane]) -> Vec<u16> {
    interleaved(planes, |sample| (sample.clamp(0.0, 255.0) * 257.0 + 0.5) as u16)
}

/// Float samples; a colour of 255 becomes `white`, by way of the curve of highlights, alpha of 255 becomes 1.
pub(crate) fn float(picture: &Picture, white: f32) -> Vec<f32> {
    let planes = planes(picture, true);
    let mut samples = interleaved(&planes, |sample| sample / 255.0);
    let colours = planes.len() - usize::from(picture.alpha.is_some());
    if let Some(curve) = Curve::new(white) {
        for pixel in samples.chunks_exact_mut(planes.len()) {
            pixel[..colours].iter_mut().for_each(|sample| *sample = curve.expand(*sample));
        }
    }
    samples
}
