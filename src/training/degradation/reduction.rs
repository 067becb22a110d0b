//! How the input's size is reached: what lens and sensor do to light, as a kernel around the middle of each pixel.

use std::fmt;

use dualres_imaging::{
    Plane,
    resize::{Samples, imresize},
};
use rayon::prelude::*;

/// From the high resolution to the network's input.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Reduction {
    /// MATLAB's bicubic with antialiasing, as the benchmarks have it.
    #[default]
    Bicubic,
    /// One sample of each block of `scale` x `scale`, half a pixel right of and below its middle for even scales, as MATLAB has it.
    Nearest,
    /// Gaussian blur of the high resolution, then the value at the middle of each block. Standard deviations in high-resolution
    /// pixels along two axes, the first turned counterclockwise by `angle` degrees.
    Blur {
        /// Along the first axis.
        sigma: f32,
        /// Across it.
        across: f32,
        /// In degrees.
        angle: f32,
    },
}

impl Reduction {
    /// Largest standard deviation of a blur.
    pub const MAX_SIGMA: f32 = 16.0;

    /// A round blur.
    pub fn blur(sigma: f32) -> Self {
        Self::Blur { sigma, across: sigma, angle: 0.0 }
    }

    /// The plane at a `scale`-th of its sides, which are multiples of it, rounded to 8 bits.
    pub fn reduce(self, plane: &Plane, scale: usize) -> Plane {
        if scale == 1 {
            return plane.clone();
        }
        let (width, height) = (plane.width / scale, plane.height / scale);
        let (kernel, before) = match self {
            Self::Bicubic => return imresize(plane, 1.0 / scale as f64, Samples::Uint8),
            Self::Nearest => (vec![vec![1.0]], -((scale / 2) as isize)),
            Self::Blur { sigma, across, angle } => gaussian(scale, sigma, across, angle),
        };
        let within = |corner: usize, offset: usize, length: usize| {
            (corner * scale + offset).saturating_add_signed(-before).min(length - 1)
        };
        let mut data = vec![0.0_f32; width * height];
        data.par_chunks_exact_mut(width.max(1)).enumerate().for_each(|(y, out)| {
            for (dy, weights) in kernel.iter().enumerate() {
                let row = plane.row(within(y, dy, plane.height));
                for (x, out) in out.iter_mut().enumerate() {
                    let sum: f32 =
                        weights.iter().enumerate().map(|(dx, weight)| weight * row[within(x, dx, plane.width)]).sum();
                    *out += sum;
                }
            }
        });
        let mut reduced = Plane::new(width, height, data);
        reduced.quantize();
        reduced
    }

    pub(crate) fn name(self) -> String {
        match self {
            Self::Bicubic => "MATLAB bicubic".into(),
            Self::Nearest => "nearest neighbour".into(),
            Self::Blur { sigma, across, .. } if sigma == across => format!("Gaussian blur of {sigma} and decimation"),
            Self::Blur { sigma, across, angle } => {
                format!("Gaussian blur of {sigma} by {across} at {angle} degrees and decimation")
            }
        }
    }

    /// Reads what [`fmt::Display`] writes.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let sigma = |text: &str| text.parse().ok().filter(|&sigma| sigma > 0.0 && sigma <= Self::MAX_SIGMA);
        match text {
            "bicubic" => return Some(Self::Bicubic),
            "nearest" => return Some(Self::Nearest),
            _ => {}
        }
        let text = text.strip_prefix("blur=")?;
        let Some((first, rest)) = text.split_once('x') else { return Some(Self::blur(sigma(text)?)) };
        let (second, angle) = rest.split_once('@').unwrap_or((rest, "0"));
        let angle = angle.parse().ok().filter(|angle: &f32| angle.abs() <= 180.0)?;
        Some(Self::Blur { sigma: sigma(first)?, across: sigma(second)?, angle })
    }
}

impl fmt::Display for Reduction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bicubic => f.write_str("bicubic"),
            Self::Nearest => f.write_str("nearest"),
            Self::Blur { sigma, across, .. } if sigma == across => write!(f, "blur={sigma}"),
            Self::Blur { sigma, across, angle } => write!(f, "blur={sigma}x{across}@{angle}"),
        }
    }
}

/// Rows of weights around the middle of a block, which add up to 1, and how many pixels before the block they begin.
fn gaussian(scale: usize, sigma: f32, across: f32, angle: f32) -> (Vec<Vec<f32>>, isize) {
    let reach = (3.0 * sigma.max(across)).ceil() as usize;
    let side = scale + 2 * reach;
    let middle = (side - 1) as f32 / 2.0;
    // Rows go down, angles up.
    let (sin, cos) = (-angle.to_radians()).sin_cos();
    let weight = |x: usize, y: usize| {
        let (x, y) = (x as f32 - middle, y as f32 - middle);
        let (along, aside) = (x * cos + y * sin, y * cos - x * sin);
        (-0.5 * ((along / sigma).powi(2) + (aside / across).powi(2))).exp()
    };
    let mut rows: Vec<Vec<f32>> = (0..side).map(|y| (0..side).map(|x| weight(x, y)).collect()).collect();
    let sum: f32 = rows.iter().flatten().sum();
    rows.iter_mut().flatten().for_each(|weight| *weight /= sum);
    (rows, reach as isize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp(width: usize, height: usize) -> Plane {
        Plane::new(width, height, (0..width * height).map(|i| 2.0 * (i % width) as f32 + (i / width) as f32).collect())
    }

    /// Blur moves nothing: on a slope, the value of a pixel is that of the middle of its block.
    #[test]
    fn blurred_pixels_lie_in_the_middle_of_their_blocks() {
        for scale in [2, 3, 4] {
            let plane = ramp(36, 24);
            for reduction in [Reduction::blur(1.2), Reduction::Blur { sigma: 1.5, across: 0.6, angle: 30.0 }] {
                let reduced = reduction.reduce(&plane, scale);
                assert_eq!((reduced.width, reduced.height), (36 / scale, 24 / scale));
                let (x, y) = (reduced.width / 2, reduced.height / 2);
                let middle = (scale as f32 - 1.0) / 2.0;
                let expected = 2.0 * ((x * scale) as f32 + middle) + (y * scale) as f32 + middle;
                assert!((reduced.row(y)[x] - expected).abs() <= 0.51, "{} for {expected}", reduced.row(y)[x]);
            }
        }
        assert_eq!(Reduction::Nearest.reduce(&ramp(8, 8), 2).row(1), [5.0, 9.0, 13.0, 17.0]);
        assert_eq!(Reduction::Nearest.reduce(&ramp(9, 9), 3).row(0), [3.0, 9.0, 15.0]);
    }

    /// A point spreads along the first axis, counterclockwise from the right.
    #[test]
    fn a_long_kernel_lies_at_its_angle() {
        let mut plane = Plane::filled(65, 65, 0.0);
        plane.data[32 * 65 + 32] = 255.0 * 200.0;
        let seen = Reduction::Blur { sigma: 4.0, across: 1.0, angle: 45.0 };
        // A scale of 1 has no kernel; that of 5 has the point in the middle of a block.
        let reduced = seen.reduce(&plane, 5);
        let at = |x: usize, y: usize| reduced.row(y)[x];
        assert!(at(7, 5) > 4.0 * at(5, 5).max(1.0) && at(5, 7) > 4.0 * at(7, 7).max(1.0));
    }
}
