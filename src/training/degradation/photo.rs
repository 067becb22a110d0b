//! Photos in general: blur, noise and JPEG compression, each of random strength.

use dualres_imaging::{EncodeOptions, Format, Picture, Subsampling, decode, encode, filter::gaussian};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use rayon::prelude::*;

use crate::Result;

/// Standard deviation below which blur changes nothing.
const MIN_BLUR: f32 = 0.1;
/// Pixels that blur looks at to each side.
const BLUR_REACH: usize = 3;

/// As [`super::Degradation::Photo`] says.
pub(super) fn degrade(picture: &Picture, random: &mut ChaCha8Rng) -> Result<Picture> {
    let mut degraded = picture.clone();
    if random.random_ratio(1, 8) {
        return Ok(degraded);
    }
    let sigma = random.random_range(0.0..0.8_f32);
    if sigma >= MIN_BLUR {
        degraded.planes.par_iter_mut().for_each(|plane| *plane = gaussian(plane, sigma, BLUR_REACH));
    }
    let strength = random.random_range(0.0..8.0_f32);
    let shared: bool = random.random();
    add_noise(&mut degraded, strength, shared, random);
    degraded.quantize();
    if random.random_ratio(5, 6) {
        let quality = random.random_range(40..=95);
        let subsampling = if random.random() { Subsampling::Full } else { Subsampling::Half };
        let options = EncodeOptions { quality, subsampling, ..EncodeOptions::default() };
        degraded = decode(&encode(&degraded, Format::Jpeg, options)?, "training patch")?;
    }
    Ok(degraded)
}

fn add_noise(picture: &mut Picture, strength: f32, shared: bool, random: &mut ChaCha8Rng) {
    let pixels = picture.planes[0].data.len();
    let mut draw = || -> Vec<f32> { (0..pixels).map(|_| StandardNormal.sample(&mut *random)).collect() };
    let common = draw();
    for plane in &mut picture.planes {
        let own = if shared { None } else { Some(draw()) };
        for (sample, noise) in plane.data.iter_mut().zip(own.as_ref().unwrap_or(&common)) {
            // Photons come at random: half of the variance of mid-gray is there in black, twice of it in white.
            let growth = (0.5 + 1.0 * *sample / 128.0).sqrt();
            *sample = (*sample + strength * growth * noise).clamp(0.0, 255.0);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_imaging::Plane;

    use super::*;
    use crate::Degradation;

    fn edge() -> Picture {
        let plane = |low: f32, high: f32| {
            Plane::new(64, 64, (0..64 * 64).map(|i| if i % 64 < 32 { low } else { high }).collect())
        };
        Picture::from_planes(vec![plane(40.0, 200.0), plane(60.0, 180.0), plane(90.0, 120.0)])
    }

    #[test]
    fn the_same_stream_gives_the_same_picture_and_another_one_another() {
        let [a, again, b] = [3, 3, 4].map(|stream| Degradation::Photo.degrade(&edge(), 1, stream).unwrap());
        assert_eq!(a, again);
        assert_ne!(a, b);
    }

    /// Over many pictures: most are changed, some are not, none beyond recognition, and brightness stays.
    #[test]
    fn strengths_are_those_of_photographs() {
        let clean = edge();
        let count = 64;
        let errors: Vec<f64> = (0..count)
            .map(|stream| {
                let degraded = Degradation::Photo.degrade(&clean, 7, stream).unwrap();
                let pairs = || clean.planes.iter().zip(&degraded.planes).flat_map(|(a, b)| a.data.iter().zip(&b.data));
                let shift: f64 = pairs().map(|(a, b)| f64::from(b - a)).sum::<f64>() / pairs().count() as f64;
                assert!(shift.abs() < 1.5, "brightness moved by {shift}");
                (pairs().map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>() / pairs().count() as f64).sqrt()
            })
            .collect();
        let clean_ones = errors.iter().filter(|&&error| error == 0.0).count();
        assert!((2..20).contains(&clean_ones), "{clean_ones} of {count} stayed clean");
        assert!(errors.iter().all(|&error| error < 20.0), "{errors:?}");
        let mean = errors.iter().sum::<f64>() / count as f64;
        assert!((2.0..10.0).contains(&mean), "{mean} gray levels of error in the mean");
    }
}
