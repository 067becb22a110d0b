//! MATLAB's `imresize` with the bicubic kernel (a = -0.5, antialiased when shrinking).
//!
//! The low-resolution pictures of the field's benchmarks and training sets are made with it, so networks must be
//! trained and measured with exactly this function: another bicubic kernel costs whole decibels.

use rayon::prelude::*;

use crate::{Picture, Plane};

/// Keys' cubic convolution kernel, a = -0.5.
fn cubic(x: f64) -> f64 {
    let a = x.abs();
    if a <= 1.0 {
        1.5 * a * a * a - 2.5 * a * a + 1.0
    } else if a <= 2.0 {
        -0.5 * a * a * a + 2.5 * a * a - 4.0 * a + 2.0
    } else {
        0.0
    }
}

/// For each output position the first tap's weight and, tap by tap, which input it reads.
struct Taps {
    count: usize,
    weights: Vec<f64>,
    indices: Vec<usize>,
}

impl Taps {
    fn new(input: usize, output: usize, scale: f64) -> Self {
        let stretch = scale.min(1.0);
        let kernel_width = 4.0 / stretch;
        let count = kernel_width.ceil() as usize + 2;
        let mut weights = Vec::with_capacity(output * count);
        let mut indices = Vec::with_capacity(output * count);
        let period = 2 * input as i64;
        for x in 1..=output {
            let centre = x as f64 / scale + 0.5 * (1.0 - 1.0 / scale);
            let left = (centre - kernel_width / 2.0).floor();
            let row: Vec<f64> = (0..count).map(|k| stretch * cubic(stretch * (centre - (left + k as f64)))).collect();
            let sum: f64 = row.iter().sum();
            for (k, weight) in row.iter().enumerate() {
                weights.push(weight / sum);
                // Beyond the border the picture is mirrored, the border pixel repeated.
                let position = (left as i64 + k as i64 - 1).rem_euclid(period);
                indices.push(if position < input as i64 { position } else { period - 1 - position } as usize);
            }
        }
        Self { count, weights, indices }
    }

    fn of(&self, position: usize) -> impl Iterator<Item = (f64, usize)> + '_ {
        let range = position * self.count..(position + 1) * self.count;
        self.weights[range.clone()].iter().copied().zip(self.indices[range].iter().copied())
    }
}

/// How samples are stored between and after the two passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Samples {
    /// As `uint8` in MATLAB: rounded and clipped after the pass over the rows and again after the columns.
    /// Reproduces published low-resolution pictures bit for bit.
    Uint8,
    /// As `double` in MATLAB: neither rounded nor clipped.
    Float,
}

/// Length of a side after scaling, as MATLAB computes it.
pub fn scaled_length(length: usize, scale: f64) -> usize {
    ((length as f64 * scale - 1e-9).ceil() as usize).max(1)
}

/// Scales a plane by a factor (0.5 halves the sides; sides are rounded up).
pub fn imresize(plane: &Plane, scale: f64, samples: Samples) -> Plane {
    imresize_to(plane, scaled_length(plane.width, scale), scaled_length(plane.height, scale), scale, samples)
}

/// A picture at another size: both sides by their own factor, alpha and all else carried. Samples stay within [0, 255].
pub fn resample(picture: &Picture, width: usize, height: usize) -> Picture {
    let of = |plane: &Plane| {
        let factors = [width as f64 / plane.width as f64, height as f64 / plane.height as f64];
        let mut plane = imresize_by(plane, width, height, factors, Samples::Float);
        plane.data.iter_mut().for_each(|sample| *sample = sample.clamp(0.0, 255.0));
        plane
    };
    Picture {
        planes: picture.planes.iter().map(of).collect(),
        alpha: picture.alpha.as_ref().map(of),
        depth: picture.depth,
        metadata: picture.metadata.clone(),
    }
}

/// Scales a plane by a factor to a stated size, for output sizes that the factor does not give by itself.
pub fn imresize_to(plane: &Plane, width: usize, height: usize, scale: f64, samples: Samples) -> Plane {
    imresize_by(plane, width, height, [scale; 2], samples)
}

fn imresize_by(plane: &Plane, width: usize, height: usize, [across, down]: [f64; 2], samples: Samples) -> Plane {
    let store = |value: f64| match samples {
        Samples::Uint8 => (value + 0.5).floor().clamp(0.0, 255.0) as f32,
        Samples::Float => value as f32,
    };
    let vertical = Taps::new(plane.height, height, down);
    let mut rows = vec![0.0_f32; plane.width * height];
    rows.par_chunks_mut(plane.width).enumerate().for_each_init(
        || vec![0.0_f64; plane.width],
        |sum, (y, out)| {
            sum.fill(0.0);
            for (weight, index) in vertical.of(y).filter(|tap| tap.0 != 0.0) {
                for (total, &sample) in sum.iter_mut().zip(plane.row(index)) {
                    *total += weight * f64::from(sample);
                }
            }
            for (out, &total) in out.iter_mut().zip(sum.iter()) {
                *out = store(total);
            }
        },
    );
    let horizontal = Taps::new(plane.width, width, across);
    let mut data = vec![0.0_f32; width * height];
    data.par_chunks_mut(width).zip(rows.par_chunks(plane.width)).for_each(|(out, row)| {
        for (x, out) in out.iter_mut().enumerate() {
            *out = store(horizontal.of(x).map(|(weight, index)| weight * f64::from(row[index])).sum());
        }
    });
    Plane::new(width, height, data)
}

/// Scales the colour planes of a picture; alpha and metadata are not carried.
pub fn imresize_picture(picture: &Picture, scale: f64, samples: Samples) -> Picture {
    Picture::from_planes(picture.planes.iter().map(|plane| imresize(plane, scale, samples)).collect())
}
