//! Convolutions of each channel with a kernel of its own.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::dispatch::dispatch;

/// Convolution of planes [N * C, H, W] with kernels [C, 1, Kh, Kw] of odd sides at stride 1, zeros around, and an
/// optional bias [C].
pub(crate) fn forward(
    x: &[f32],
    [channels, height, width]: [usize; 3],
    weight: &[f32],
    [rows, columns]: [usize; 2],
    bias: Option<&[f32]>,
) -> Vec<f32> {
    let area = height * width;
    let mut out = vec![0.0; x.len()];
    if area == 0 {
        return out;
    }
    out.par_chunks_mut(area).zip(x.par_chunks(area)).enumerate().for_each(|(plane, (out, x))| {
        let channel = plane % channels;
        let kernel = &weight[channel * rows * columns..][..rows * columns];
        let bias = bias.map_or(0.0, |bias| bias[channel]);
        dispatch(Plane { out, x, size: [height, width], kernel, sides: [rows, columns], bias });
    });
    out
}

struct Plane<'a> {
    out: &'a mut [f32],
    x: &'a [f32],
    size: [usize; 2],
    kernel: &'a [f32],
    sides: [usize; 2],
    bias: f32,
}

impl WithSimd for Plane<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { out, x, size: [height, width], kernel, sides: [rows, columns], bias } = self;
        simd.vectorize(
            #[inline(always)]
            || {
                for (y, line) in out.chunks_exact_mut(width).enumerate() {
                    line.fill(bias);
                    for row in 0..rows {
                        let Some(from) = (y + row).checked_sub(rows / 2).filter(|&from| from < height) else {
                            continue;
                        };
                        let source = &x[from * width..][..width];
                        for column in 0..columns {
                            let tap = kernel[row * columns + column];
                            // The output's columns whose tap lies within the picture.
                            let shift = column as isize - (columns / 2) as isize;
                            let start = (-shift).max(0) as usize;
                            let end = (width as isize - shift.max(0)).max(start as isize) as usize;
                            if start >= width {
                                continue;
                            }
                            let from = (start as isize + shift) as usize;
                            let taken = &source[from..from + (end - start)];
                            for (sum, sample) in line[start..end].iter_mut().zip(taken) {
                                *sum += tap * sample;
                            }
                        }
                    }
                }
            },
        );
    }
}
