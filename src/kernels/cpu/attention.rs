//! Channel attention over whole pictures, with its gradients, in two passes over the features each way.
//!
//! `out = x * sigmoid(W2 relu(W1 mean(x) + b1) + b2) + residual`, the mean over the positions of each plane.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{dispatch::dispatch, maps};

/// Weights of the two layers: `squeeze` [R, C], `excite` [C, R], and their biases.
#[derive(Clone, Copy)]
pub(crate) struct Layers<'a> {
    pub(crate) squeeze: &'a [f32],
    pub(crate) squeeze_bias: &'a [f32],
    pub(crate) excite: &'a [f32],
    pub(crate) excite_bias: &'a [f32],
}

/// Gradients with respect to everything but the residual, whose gradient is that of the output.
pub(crate) struct Gradients {
    pub(crate) x: Vec<f32>,
    pub(crate) squeeze: Vec<f32>,
    pub(crate) squeeze_bias: Vec<f32>,
    pub(crate) excite: Vec<f32>,
    pub(crate) excite_bias: Vec<f32>,
}

impl Layers<'_> {
    /// Hidden values and scales of one picture, of the means of its channels.
    fn run(&self, means: &[f32]) -> (Vec<f32>, Vec<f32>) {
        let hidden: Vec<f32> = (self.squeeze.chunks_exact(means.len()).zip(self.squeeze_bias))
            .map(|(row, bias)| (dot(row, means) + bias).max(0.0))
            .collect();
        let scales = (self.excite.chunks_exact(hidden.len()).zip(self.excite_bias))
            .map(|(row, bias)| 1.0 / (1.0 + (-(dot(row, &hidden) + bias)).exp()))
            .collect();
        (hidden, scales)
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// The output for `x` and `residual` of [N, C, area], and the means of the planes of `x`, which the backward pass wants.
pub(crate) fn forward(
    x: &[f32],
    residual: &[f32],
    [channels, area]: [usize; 2],
    layers: Layers<'_>,
) -> (Vec<f32>, Vec<f32>) {
    let means: Vec<f32> = x.par_chunks(area).map(|plane| maps::sum(plane) / area as f32).collect();
    let scales: Vec<f32> = means.chunks_exact(channels).flat_map(|means| layers.run(means).1).collect();
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(area)
        .zip(x.par_chunks(area))
        .zip(residual.par_chunks(area))
        .zip(&scales)
        .for_each(|(((out, x), residual), &scale)| dispatch(Scale { x, scale, added: Added::Each(residual), out }));
    (out, means)
}

/// The gradients, of the output gradient `grad`.
pub(crate) fn gradients(
    x: &[f32],
    means: &[f32],
    grad: &[f32],
    [channels, area]: [usize; 2],
    layers: Layers<'_>,
) -> Gradients {
    let of_scale: Vec<f32> =
        (x.par_chunks(area).zip(grad.par_chunks(area))).map(|(x, grad)| dispatch(Dot { a: x, b: grad })).collect();
    let hidden_count = layers.squeeze_bias.len();
    let mut gradients = Gradients {
        x: vec![0.0; x.len()],
        squeeze: vec![0.0; hidden_count * channels],
        squeeze_bias: vec![0.0; hidden_count],
        excite: vec![0.0; hidden_count * channels],
        excite_bias: vec![0.0; channels],
    };
    let mut planes = Vec::with_capacity(means.len());
    for (means, of_scale) in means.chunks_exact(channels).zip(of_scale.chunks_exact(channels)) {
        let (hidden, scales) = layers.run(means);
        let mut of_hidden = vec![0.0; hidden_count];
        for channel in 0..channels {
            let scale = scales[channel];
            let before = of_scale[channel] * scale * (1.0 - scale);
            gradients.excite_bias[channel] += before;
            for k in 0..hidden_count {
                gradients.excite[channel * hidden_count + k] += before * hidden[k];
                of_hidden[k] += before * layers.excite[channel * hidden_count + k];
            }
        }
        let mut of_means = vec![0.0; channels];
        for k in (0..hidden_count).filter(|&k| hidden[k] > 0.0) {
            gradients.squeeze_bias[k] += of_hidden[k];
            for channel in 0..channels {
                gradients.squeeze[k * channels + channel] += of_hidden[k] * means[channel];
                of_means[channel] += of_hidden[k] * layers.squeeze[k * channels + channel];
            }
        }
        planes.extend(scales.into_iter().zip(of_means).map(|(scale, mean)| (scale, mean / area as f32)));
    }
    gradients.x.par_chunks_mut(area).zip(grad.par_chunks(area)).zip(planes).for_each(|((out, grad), (scale, mean))| {
        dispatch(Scale { x: grad, scale, added: Added::All(mean), out });
    });
    gradients
}

enum Added<'a> {
    Each(&'a [f32]),
    All(f32),
}

/// `out = x * scale + added`
struct Scale<'a> {
    x: &'a [f32],
    scale: f32,
    added: Added<'a>,
    out: &'a mut [f32],
}

impl WithSimd for Scale<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, scale, added, out } = self;
        match added {
            Added::Each(added) => {
                for ((out, x), added) in out.iter_mut().zip(x).zip(added) {
                    *out = x * scale + added;
                }
            }
            Added::All(added) => {
                for (out, x) in out.iter_mut().zip(x) {
                    *out = x * scale + added;
                }
            }
        }
    }
}

struct Dot<'a> {
    a: &'a [f32],
    b: &'a [f32],
}

impl WithSimd for Dot<'_> {
    type Output = f32;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f32 {
        let ((a, a_rest), (b, b_rest)) = (S::as_simd_f32s(self.a), S::as_simd_f32s(self.b));
        // Four sums, so that no addition waits for the one before.
        let mut sums = [simd.splat_f32s(0.0); 4];
        for (index, (&a, &b)) in a.iter().zip(b).enumerate() {
            sums[index % 4] = simd.mul_add_e_f32s(a, b, sums[index % 4]);
        }
        let [p, q, r, s] = sums;
        let total = simd.add_f32s(simd.add_f32s(p, q), simd.add_f32s(r, s));
        simd.reduce_sum_f32s(total) + dot(a_rest, b_rest)
    }
}
