//! Peak signal-to-noise ratio by the two rules that the literature uses, named so that no number stands without one.

use crate::{ImagingError, Picture, Result};

/// BT.601 luma of full-range R, G, B in `[0, 255]`: `[16, 235]`.
pub fn luma(red: f32, green: f32, blue: f32) -> f64 {
    16.0 + (65.481 * f64::from(red) + 128.553 * f64::from(green) + 24.966 * f64::from(blue)) / 255.0
}

/// Which pixels and which channels a PSNR is measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PsnrRule {
    /// BT.601 luma, `scale` pixels off each side: Set5, Set14, BSD100, Urban100, Manga109.
    BenchmarkY {
        /// Pixels taken off each side.
        scale: usize,
    },
    /// All of R, G, B, `scale + 6` pixels off each side: DIV2K validation pictures.
    Div2kRgb {
        /// Scale of the network; 6 more pixels are taken off each side.
        scale: usize,
    },
}

impl PsnrRule {
    /// Pixels taken off each side.
    pub fn shave(self) -> usize {
        match self {
            Self::BenchmarkY { scale } => scale,
            Self::Div2kRgb { scale } => scale + 6,
        }
    }
}

impl std::fmt::Display for PsnrRule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::BenchmarkY { scale } => write!(f, "Y (BT.601) of 8-bit pictures, {scale} pixels shaved a side"),
            Self::Div2kRgb { scale } => write!(f, "RGB of 8-bit pictures, {} pixels shaved a side", scale + 6),
        }
    }
}

/// PSNR in dB with peak 255. Identical pictures give infinity.
///
/// Samples are taken as they are: quantize first where the rule asks for 8-bit pictures.
///
/// # Errors
/// If the pictures differ in size or nothing is left after shaving.
pub fn psnr(a: &Picture, b: &Picture, rule: PsnrRule) -> Result<f64> {
    Ok(psnr_of_mse(mean_squared_error(a, b, rule)?))
}

/// PSNR in dB of a mean squared error of samples in `[0, 255]`.
pub fn psnr_of_mse(mse: f64) -> f64 {
    10.0 * (255.0 * 255.0 / mse).log10()
}

fn mean_squared_error(a: &Picture, b: &Picture, rule: PsnrRule) -> Result<f64> {
    let (width, height) = check_sizes(a, b)?;
    let shave = rule.shave();
    if width <= 2 * shave || height <= 2 * shave {
        return Err(ImagingError::TooSmall { width, height, shave });
    }
    let (a, b) = (a.rgb(), b.rgb());
    let mut sum = 0.0;
    for y in shave..height - shave {
        for x in shave..width - shave {
            let at = y * width + x;
            let difference = |channel: usize| a[channel].data[at] - b[channel].data[at];
            let (red, green, blue) = (difference(0), difference(1), difference(2));
            sum += match rule {
                PsnrRule::BenchmarkY { .. } => (luma(red, green, blue) - 16.0).powi(2),
                PsnrRule::Div2kRgb { .. } => {
                    [red, green, blue].iter().map(|&d| f64::from(d).powi(2)).sum::<f64>() / 3.0
                }
            };
        }
    }
    Ok(sum / ((width - 2 * shave) * (height - 2 * shave)) as f64)
}

pub(crate) fn check_sizes(a: &Picture, b: &Picture) -> Result<(usize, usize)> {
    let (left, right) = ((a.width(), a.height()), (b.width(), b.height()));
    if left != right {
        return Err(ImagingError::SizeMismatch { left, right });
    }
    Ok(left)
}
