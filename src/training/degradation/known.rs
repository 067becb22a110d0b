//! A degradation whose every strength is known: to measure with, to train for, and what is estimated of a camera.

use std::{fmt, str::FromStr};

use dualres_imaging::{EncodeOptions, Format, Picture, Subsampling, decode, encode};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use super::Reduction;
use crate::{Result, TrainingError};

/// Most noise in gray levels: with more, hardly a picture is left.
const MAX_NOISE: f32 = 100.0;

/// Reduction, then noise, then JPEG.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// How the input's size is reached.
    pub reduction: Reduction,
    /// Standard deviation of white noise in gray levels, of its own in each channel; 0 for none.
    pub noise: f32,
    /// JPEG quality, 1 to 100, with colours at full resolution.
    pub jpeg: Option<u8>,
}

impl Known {
    /// Bicubic reduction alone, as the benchmarks have it.
    pub const BICUBIC: Self = Self { reduction: Reduction::Bicubic, noise: 0.0, jpeg: None };

    pub(super) fn name(self) -> String {
        let noise = if self.noise > 0.0 { format!(", noise of {}", self.noise) } else { String::new() };
        let jpeg = self.jpeg.map_or(String::new(), |quality| format!(", JPEG of quality {quality}"));
        format!("{}{noise}{jpeg}", self.reduction.name())
    }

    /// For people who take photos, what is wrong with theirs: `blur of 1.6 pixels, JPEG quality 60`; empty if nothing is.
    pub fn words(self) -> String {
        let reduction = match self.reduction {
            Reduction::Bicubic => None,
            Reduction::Nearest => Some("no smoothing between pixels".to_owned()),
            Reduction::Blur { sigma, across, .. } if sigma == across => Some(format!("blur of {sigma} pixels")),
            Reduction::Blur { sigma, across, .. } => Some(format!("blur of {sigma} × {across} pixels")),
        };
        let noise = (self.noise > 0.0).then(|| format!("noise of {} levels", self.noise));
        let jpeg = self.jpeg.map(|quality| format!("JPEG quality {quality}"));
        [reduction, noise, jpeg].into_iter().flatten().collect::<Vec<_>>().join(", ")
    }

    pub(super) fn degrade(self, reduced: &Picture, random: &mut ChaCha8Rng) -> Result<Picture> {
        let mut degraded = reduced.clone();
        if self.noise > 0.0 {
            for sample in degraded.planes.iter_mut().flat_map(|plane| &mut plane.data) {
                let noise: f32 = StandardNormal.sample(&mut *random);
                *sample = (*sample + self.noise * noise).clamp(0.0, 255.0);
            }
        }
        degraded.quantize();
        if let Some(quality) = self.jpeg {
            let options = EncodeOptions { quality, subsampling: Subsampling::Full, ..EncodeOptions::default() };
            degraded = decode(&encode(&degraded, Format::Jpeg, options)?, "training patch")?;
        }
        Ok(degraded)
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reduction.fmt(f)?;
        if self.noise > 0.0 {
            write!(f, ",noise={}", self.noise)?;
        }
        self.jpeg.map_or(Ok(()), |quality| write!(f, ",jpeg={quality}"))
    }
}

impl FromStr for Known {
    type Err = TrainingError;

    fn from_str(text: &str) -> Result<Self> {
        let (mut reduction, mut noise, mut jpeg) = (None, None, None);
        for part in text.split(',') {
            let fits = match part.split_once('=') {
                Some(("noise", value)) => {
                    let value = value.parse().ok().filter(|value| (0.0..=MAX_NOISE).contains(value));
                    value.is_some() && noise.replace(value.unwrap_or(0.0)).is_none()
                }
                Some(("jpeg", value)) => {
                    let value = value.parse().ok().filter(|quality| (1..=100_u8).contains(quality));
                    value.is_some() && std::mem::replace(&mut jpeg, value).is_none()
                }
                _ => {
                    let value = Reduction::parse(part);
                    value.is_some() && std::mem::replace(&mut reduction, value).is_none()
                }
            };
            if !fits {
                return Err(TrainingError::Setting(format!(
                    "not a degradation: '{text}'; use none, photo, or a list of bicubic, nearest or blur=SIGMA (at most {}), \
                     noise=SIGMA (at most {MAX_NOISE}) and jpeg=QUALITY (1 to 100)",
                    Reduction::MAX_SIGMA
                )));
            }
        }
        Ok(Self { reduction: reduction.unwrap_or(Reduction::Bicubic), noise: noise.unwrap_or(0.0), jpeg })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_imaging::Plane;
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn noise_has_its_strength_and_is_another_for_another_seed() {
        let gray = Picture::from_planes(vec![Plane::filled(80, 60, 128.0); 3]);
        let known = Known { reduction: Reduction::Bicubic, noise: 10.0, jpeg: None };
        let [a, again, b] = [1, 1, 2].map(|seed| known.degrade(&gray, &mut ChaCha8Rng::seed_from_u64(seed)).unwrap());
        assert_eq!(a, again);
        assert_ne!(a, b);
        for plane in &a.planes {
            let variance = plane.data.iter().map(|sample| (sample - 128.0).powi(2)).sum::<f32>() / (80.0 * 60.0);
            assert!((variance.sqrt() - 10.0).abs() < 0.5, "{}", variance.sqrt());
        }
        assert_ne!(a.planes[0], a.planes[1]);
        let jpeg = Known { jpeg: Some(30), ..known }.degrade(&gray, &mut ChaCha8Rng::seed_from_u64(1)).unwrap();
        assert_ne!(jpeg.planes, a.planes);
    }
}
