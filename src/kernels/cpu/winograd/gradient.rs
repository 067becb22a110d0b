//! The gradient of the kernels: the same 36 products, summed over squares instead of channels.
//!
//! With output = A^T [(G g G^T) * (B^T d B)] A, the gradient of the transformed kernel is the sum over squares of
//! (A e A^T) * (B^T d B), where e is the output gradient of the square. Six of the 36 frequencies, those of one row
//! point, are computed at a time, so that long sums over squares find their operands in the second-level cache.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    FREQUENCIES, GAP, POINTS, SCRATCH, SIDE, Scratch, Strip, Strips, grow,
    transform::{Border, gradient_line, input_line, kernel_gradient, load_all, six_columns},
};
use crate::cpu::{
    dispatch::{dispatch, lanes},
    micro::load,
};

/// Floats of transformed values, of one row point, that a strip may take.
const STRIP_FLOATS: usize = 96 * 1024;

/// Most partial sums that exist at a time.
const MAX_PARTS: usize = 16;

/// Output and input channels whose products are summed together.
const OUTPUTS: usize = 4;
const INPUTS: usize = 3;

/// Gradient with respect to the kernels, [O, C, 3, 3], of a 3x3 convolution at stride 1 of `x` [N, C, H, W], whose
/// output gradient is `grad` [N, O, H, W].
pub(crate) fn weight_gradient(x: &[f32], x_shape: [usize; 4], grad: &[f32], outputs: usize) -> Vec<f32> {
    let channels = x_shape[1];
    let lanes = lanes();
    let most = (STRIP_FLOATS / (POINTS * lanes * (channels + outputs))).clamp(4, 64);
    let strips = Strips::new(x_shape, lanes, most);
    let parts = strips.len().min(MAX_PARTS);
    let sums: Vec<Vec<f32>> = (0..parts)
        .into_par_iter()
        .map(|part| {
            let mut sums = vec![0.0; FREQUENCIES * outputs * channels];
            for index in part * strips.len() / parts..(part + 1) * strips.len() / parts {
                let strip = strips.get(index);
                SCRATCH.with_borrow_mut(|scratch| {
                    let sums = &mut sums;
                    dispatch(WeightGradient { x, x_shape, grad, outputs, strip, scratch, sums });
                });
            }
            sums
        })
        .collect();
    let mut weight = vec![0.0; outputs * channels * 9];
    weight.par_chunks_mut(9).enumerate().with_min_len(64).for_each(|(pair, weight)| {
        let place = |frequency| frequency * outputs * channels + pair;
        let total = std::array::from_fn(|frequency| sums.iter().map(|part| part[place(frequency)]).sum());
        weight.copy_from_slice(&kernel_gradient(total));
    });
    weight
}

struct WeightGradient<'a> {
    x: &'a [f32],
    x_shape: [usize; 4],
    grad: &'a [f32],
    outputs: usize,
    strip: Strip,
    scratch: &'a mut Scratch,
    /// Frequency, output channel, input channel.
    sums: &'a mut [f32],
}

impl WithSimd for WeightGradient<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, x_shape: [_, channels, height, width], grad, outputs, strip, scratch, sums } = self;
        let lanes = S::F32_LANES;
        assert_eq!(lanes, strip.lanes, "vectors that the strips were cut for");
        let positions = strip.vectors() * lanes;
        let row_len = strip.row_len(lanes);
        let columns = strip.columns(lanes);
        let plane = height * width;
        let gap = positions + GAP;
        let inputs = Border::new(&strip, lanes, [height, width]);
        let gradients = Border::of_outputs(&strip, lanes, [height, width]);
        grow(&mut scratch.plane, channels * inputs.len() + outputs * gradients.len());
        grow(&mut scratch.half, row_len);
        grow(&mut scratch.input, POINTS * channels * gap);
        grow(&mut scratch.output, POINTS * outputs * gap);
        let (x_planes, grad_planes) = scratch.plane.split_at_mut(channels * inputs.len());
        for (channel, target) in x_planes.chunks_exact_mut(inputs.len()).enumerate() {
            inputs.copy(&x[(strip.picture * channels + channel) * plane..][..plane], target);
        }
        for (output, target) in grad_planes.chunks_exact_mut(gradients.len()).take(outputs).enumerate() {
            gradients.copy(&grad[(strip.picture * outputs + output) * plane..][..plane], target);
        }
        for point in 0..POINTS {
            for (channel, plane) in x_planes.chunks_exact(inputs.len()).enumerate() {
                let target = &mut scratch.input[channel * gap..];
                let part = Share { plane, half: &mut scratch.half, row_len, strip: &strip, gap: channels * gap };
                part.inputs(simd, point, target);
            }
            for (output, plane) in grad_planes.chunks_exact(gradients.len()).take(outputs).enumerate() {
                let target = &mut scratch.output[output * gap..];
                let part =
                    Share { plane, half: &mut scratch.half, row_len: columns, strip: &strip, gap: outputs * gap };
                part.gradients(simd, point, target);
            }
            for column in 0..POINTS {
                let sums = &mut sums[(POINTS * point + column) * outputs * channels..][..outputs * channels];
                let input = &scratch.input[column * channels * gap..][..channels * gap];
                let output = &scratch.output[column * outputs * gap..][..outputs * gap];
                Sums { input, output, gap, positions, channels, sums }.all(simd);
            }
        }
    }
}

/// One channel of a strip.
struct Share<'a> {
    plane: &'a [f32],
    half: &'a mut [f32],
    row_len: usize,
    strip: &'a Strip,
    /// Floats between frequencies in the target.
    gap: usize,
}

impl Share<'_> {
    /// The six frequencies of row point `point` of the inputs.
    #[inline(always)]
    fn inputs<S: Simd>(self, simd: S, point: usize, target: &mut [f32]) {
        let Self { plane, half, row_len, strip, gap } = self;
        let lanes = S::F32_LANES;
        assert!(
            plane.len() >= (SIDE * strip.rows + 2) * row_len && row_len.is_multiple_of(lanes),
            "plane of the strip"
        );
        assert!(half.len() >= row_len && row_len >= SIDE * lanes * strip.groups + lanes.max(4), "a row");
        assert!(target.len() >= (POINTS - 1) * gap + strip.vectors() * lanes, "room for every frequency");
        for row in 0..strip.rows {
            for column in (0..row_len).step_by(lanes) {
                // SAFETY: the rows 4 * row to 4 * row + 5 lie within the plane, and whole vectors within each row.
                unsafe {
                    let source = plane.as_ptr().add(SIDE * row * row_len + column);
                    let value = input_line(simd, load_all::<S, POINTS>(simd, source, row_len))[point];
                    half.as_mut_ptr().add(column).cast::<S::f32s>().write_unaligned(value);
                }
            }
            for group in 0..strip.groups {
                // SAFETY: `half` holds four vectors for each group and at least four floats beyond; the target has been
                // seen to hold every frequency of every vector.
                unsafe {
                    let d = six_columns::<S>(simd, half.as_ptr().add(SIDE * lanes * group));
                    store_all(input_line(simd, d), target, gap, (row * strip.groups + group) * lanes);
                }
            }
        }
    }

    /// The six frequencies of row point `point` of the output gradients.
    #[inline(always)]
    fn gradients<S: Simd>(self, simd: S, point: usize, target: &mut [f32]) {
        let Self { plane, row_len, strip, gap, .. } = self;
        let lanes = S::F32_LANES;
        assert!(plane.len() >= SIDE * strip.rows * row_len && row_len >= SIDE * lanes * strip.groups, "a strip");
        assert!(target.len() >= (POINTS - 1) * gap + strip.vectors() * lanes, "room for every frequency");
        for row in 0..strip.rows {
            for group in 0..strip.groups {
                let mut half = [simd.splat_f32s(0.0); SIDE];
                for (part, half) in half.iter_mut().enumerate() {
                    // SAFETY: the rows 4 * row to 4 * row + 3 lie within the plane, and four vectors for each group
                    // within each row.
                    unsafe {
                        let source = plane.as_ptr().add(SIDE * row * row_len + (SIDE * group + part) * lanes);
                        *half = gradient_line(simd, load_all::<S, SIDE>(simd, source, row_len))[point];
                    }
                }
                let d: [S::f32s; SIDE] = simd.deinterleave_shfl_f32s(half);
                // SAFETY: the target has been seen to hold every frequency of every vector.
                unsafe { store_all(gradient_line(simd, d), target, gap, (row * strip.groups + group) * lanes) };
            }
        }
    }
}

/// Stores the six frequencies of a vector.
///
/// # Safety
/// `target` must hold a `V` at `at` and at each of five gaps after it.
#[inline(always)]
unsafe fn store_all<V: bytemuck::Pod>(values: [V; POINTS], target: &mut [f32], gap: usize, at: usize) {
    for (frequency, value) in values.iter().enumerate() {
        // SAFETY: as the caller promises.
        unsafe { target.as_mut_ptr().add(frequency * gap + at).cast::<V>().write_unaligned(*value) };
    }
}

/// `sums[o][c] += sum over positions of output[o] * input[c]`
struct Sums<'a> {
    input: &'a [f32],
    output: &'a [f32],
    gap: usize,
    positions: usize,
    channels: usize,
    sums: &'a mut [f32],
}

impl Sums<'_> {
    #[inline(always)]
    fn all<S: Simd>(mut self, simd: S) {
        let outputs = self.sums.len() / self.channels;
        assert!(self.input.len() >= self.channels * self.gap && self.output.len() >= outputs * self.gap, "every row");
        assert!(self.positions <= self.gap && self.positions.is_multiple_of(S::F32_LANES), "whole vectors");
        for first in (0..outputs).step_by(OUTPUTS) {
            match outputs - first {
                1 => self.row::<S, 1>(simd, first),
                2 => self.row::<S, 2>(simd, first),
                3 => self.row::<S, 3>(simd, first),
                _ => self.row::<S, OUTPUTS>(simd, first),
            }
        }
    }

    #[inline(always)]
    fn row<S: Simd, const O: usize>(&mut self, simd: S, output: usize) {
        for channel in (0..self.channels).step_by(INPUTS) {
            match self.channels - channel {
                1 => self.block::<S, O, 1>(simd, output, channel),
                2 => self.block::<S, O, 2>(simd, output, channel),
                _ => self.block::<S, O, INPUTS>(simd, output, channel),
            }
        }
    }

    #[inline(always)]
    fn block<S: Simd, const O: usize, const C: usize>(&mut self, simd: S, output: usize, channel: usize) {
        let mut sums = [[simd.splat_f32s(0.0); C]; O];
        for position in (0..self.positions).step_by(S::F32_LANES) {
            // SAFETY: `all` has checked that both hold every row, and every row whole vectors up to `positions`.
            unsafe {
                let x = load_all::<S, C>(simd, self.input.as_ptr().add(channel * self.gap + position), self.gap);
                for (o, sums) in sums.iter_mut().enumerate() {
                    let e = load::<S>(self.output.as_ptr().add((output + o) * self.gap + position));
                    for (sum, x) in sums.iter_mut().zip(&x) {
                        *sum = simd.mul_add_e_f32s(*x, e, *sum);
                    }
                }
            }
        }
        for (o, sums) in sums.iter().enumerate() {
            for (c, sum) in sums.iter().enumerate() {
                self.sums[(output + o) * self.channels + channel + c] += simd.reduce_sum_f32s(*sum);
            }
        }
    }
}
