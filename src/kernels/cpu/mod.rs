//! Convolution and its gradients on the CPU, over plain slices in [N, C, H, W] order.
//!
//! 3x3 at stride 1 is computed by [`winograd`]'s method where that is the faster one. One scheme serves all other
//! cases. A tile of the input is copied into scratch memory with its zero padding (and, at
//! stride 2, its even and odd columns apart), so that every kernel tap becomes a constant offset from the output
//! position. The innermost loops then know neither borders nor strides.
//!
//! * forward: output = sum over (channel, tap) of weight x shifted input;
//! * input gradient: the same over the output gradient with the taps negated, at stride 2 once for each of the four
//!   parities of the input position, so that no multiplication with an inserted zero is done;
//! * weight gradient: dot products of the output gradient with the shifted input.
//!
//! Work is cut into tiles whose number depends on shapes and the length of vectors only, and partial sums are added in a
//! fixed order: results do not depend on the number of threads.

pub(crate) mod attention;
pub(crate) mod depthwise;
mod dispatch;
pub(crate) mod maps;
mod micro;
mod output;
pub(crate) mod pointwise;
mod tile;
mod winograd;

use rayon::prelude::*;

use crate::{Activation, ConvSpec, Wanted};
pub use dispatch::{instruction_set, limit_lanes};
use output::Output;
use tile::{Scratch, Taps, Tiles};
use winograd::{Kernels, TransformCost};

/// Gradients of a convolution.
pub struct Gradients {
    /// With respect to the input, [N, C, H, W]; empty if not asked for.
    pub input: Vec<f32>,
    /// With respect to the weight, [O, C, K, K]; empty if not asked for, as is the bias.
    pub weight: Vec<f32>,
    /// With respect to the bias, [O].
    pub bias: Vec<f32>,
}

/// Whether the kernels cover a convolution: 1x1 at stride 1, 3x3 at stride 1 or 2.
pub(crate) fn covers(weight: [usize; 4], spec: ConvSpec) -> bool {
    let [_, _, kernel_h, kernel_w] = weight;
    kernel_h == kernel_w && matches!((kernel_h, spec.stride), (1 | 3, 1) | (3, 2))
}

/// Convolution of `x` ([N, C, H, W]) with `weight` ([O, C, K, K]) and an optional bias ([O]), and its activation.
/// Returns [N, O, H', W'] where `H' = ceil(H / stride)`.
///
/// # Panics
/// If slices and shapes disagree or the case is not covered (1x1 at stride 1, 3x3 at stride 1 and 2).
pub fn forward(
    x: &[f32],
    x_shape: [usize; 4],
    weight: &[f32],
    weight_shape: [usize; 4],
    bias: Option<&[f32]>,
    spec: ConvSpec,
) -> Vec<f32> {
    check(x, x_shape, weight, weight_shape, spec);
    let [n, _, h, w] = x_shape;
    let [o, c, kernel, _] = weight_shape;
    assert!(bias.is_none_or(|b| b.len() == o), "one bias an output channel");
    if prepares(x_shape, weight_shape, spec) {
        return forward_prepared(x, x_shape, &prepare(weight, weight_shape), weight_shape, bias, spec);
    }
    let out_shape = [n, o, spec.output_side(h, kernel), spec.output_side(w, kernel)];
    let taps = Taps::of_kernel(kernel, spec.stride);
    let packed =
        micro::pack(o, c, taps.len(), |output, channel, tap| weight[(output * c + channel) * taps.len() + tap]);
    correlate(x, x_shape, &packed, &taps, bias, spec.activation, out_shape)
}

/// Kernels transformed for Winograd's method.
#[derive(Debug)]
pub(crate) struct Prepared(Kernels);

impl Prepared {
    pub(crate) fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// Whether [`forward`] transforms its kernels, which then can be done once for many calls.
pub(crate) fn prepares([_, c, h, w]: [usize; 4], [o, _, kernel, _]: [usize; 4], spec: ConvSpec) -> bool {
    kernel == 3 && spec.stride == 1 && winograd::pays(TransformCost::CORRELATION, c, o, h, w)
}

/// Transforms kernels [O, C, 3, 3].
pub(crate) fn prepare(weight: &[f32], [o, c, _, _]: [usize; 4]) -> Prepared {
    Prepared(Kernels::new(o, c, |output, channel| std::array::from_fn(|tap| weight[(output * c + channel) * 9 + tap])))
}

/// [`forward`] with kernels that have been transformed before, where [`prepares`] says so.
pub(crate) fn forward_prepared(
    x: &[f32],
    [n, c, h, w]: [usize; 4],
    weight: &Prepared,
    [o, _, _, _]: [usize; 4],
    bias: Option<&[f32]>,
    spec: ConvSpec,
) -> Vec<f32> {
    assert_eq!(x.len(), n * c * h * w, "input has its shape");
    assert_eq!(weight.0.shape(), [o, c], "kernels of these channels");
    assert!(bias.is_none_or(|b| b.len() == o), "one bias an output channel");
    let write = |out: &Output<'_>| winograd::correlate(x, [n, c, h, w], &weight.0, bias, spec.activation, out);
    // SAFETY: every place of the output lies in a square, and every square is computed.
    unsafe { Output::filled([n, o, h, w], write) }
}

/// Gradients of [`forward`]. `output` is what it returned, needed where there is an activation; `output_grad` has
/// its shape.
///
/// # Panics
/// As [`forward`].
#[expect(clippy::too_many_arguments, reason = "a convolution has as many parts")]
pub fn gradients(
    x: &[f32],
    x_shape: [usize; 4],
    weight: &[f32],
    weight_shape: [usize; 4],
    output: &[f32],
    output_grad: &[f32],
    spec: ConvSpec,
    wanted: Wanted,
) -> Gradients {
    check(x, x_shape, weight, weight_shape, spec);
    let [n, _, h, w] = x_shape;
    let [o, _, kernel, _] = weight_shape;
    let out_shape = [n, o, spec.output_side(h, kernel), spec.output_side(w, kernel)];
    assert_eq!(output_grad.len(), out_shape.iter().product::<usize>(), "output gradient has the output's shape");
    let through_activation;
    let grad = if spec.activation == Activation::Identity {
        output_grad
    } else {
        assert_eq!(output.len(), output_grad.len(), "output has the output's shape");
        let mut masked = vec![0.0; output_grad.len()];
        let part = 1 << 16;
        masked.par_chunks_mut(part).zip(output.par_chunks(part).zip(output_grad.par_chunks(part))).for_each(
            |(masked, (output, grad))| {
                for ((masked, &output), &grad) in masked.iter_mut().zip(output).zip(grad) {
                    *masked = grad * spec.activation.derivative(output);
                }
            },
        );
        through_activation = masked;
        &through_activation
    };
    let (weight_grad, bias_grad) = if wanted.weights {
        weight_gradient(x, x_shape, grad, out_shape, kernel, spec.stride)
    } else {
        (Vec::new(), Vec::new())
    };
    let input = if wanted.input {
        input_gradient(grad, out_shape, weight, weight_shape, x_shape, spec.stride)
    } else {
        Vec::new()
    };
    Gradients { input, weight: weight_grad, bias: bias_grad }
}

fn check(x: &[f32], x_shape: [usize; 4], weight: &[f32], weight_shape: [usize; 4], spec: ConvSpec) {
    assert_eq!(x.len(), x_shape.iter().product::<usize>(), "input has its shape");
    assert_eq!(weight.len(), weight_shape.iter().product::<usize>(), "weight has its shape");
    assert_eq!(x_shape[1], weight_shape[1], "input and weight have the same channels");
    assert!(x_shape[1] > 0, "input has channels");
    assert!(covers(weight_shape, spec), "convolution of a covered kind");
}

/// out[n, o, i, j] = act(bias[o] + sum over c, t of packed[o, c, t] * x[n, c, i*s + dy_t, j*s + dx_t])
fn correlate(
    x: &[f32],
    x_shape: [usize; 4],
    packed: &micro::Packed,
    taps: &Taps,
    bias: Option<&[f32]>,
    activation: Activation,
    out_shape: [usize; 4],
) -> Vec<f32> {
    let tiles = Tiles::new(out_shape, x_shape[1], 0, taps);
    let write = |out: &Output<'_>| {
        (0..tiles.len()).into_par_iter().for_each(|index| {
            let tile = tiles.get(index);
            Scratch::with(|scratch| {
                let layout = scratch.fill(x, x_shape, &tile, taps);
                micro::correlate_tile(scratch.input(), &layout, packed, bias, activation, out, &tile);
            });
        });
    };
    // SAFETY: the tiles cover the output, and all channels of each are computed.
    unsafe { Output::filled(out_shape, write) }
}

fn input_gradient(
    grad: &[f32],
    grad_shape: [usize; 4],
    weight: &[f32],
    weight_shape: [usize; 4],
    x_shape: [usize; 4],
    stride: usize,
) -> Vec<f32> {
    let [o, c, kernel, _] = weight_shape;
    let [n, _, h, w] = x_shape;
    if kernel == 3 && stride == 1 && winograd::pays(TransformCost::CORRELATION, o, c, h, w) {
        let kernels =
            Kernels::new(c, o, |input, output| std::array::from_fn(|tap| weight[(output * c + input) * 9 + 8 - tap]));
        // SAFETY: every place of the output lies in a square, and every square is computed.
        return unsafe {
            Output::filled(x_shape, |out| {
                winograd::correlate(grad, grad_shape, &kernels, None, Activation::Identity, out);
            })
        };
    }
    let mut out = vec![0.0; if stride == 1 { 0 } else { n * c * h * w }];
    for phase in Taps::transposed(kernel, stride) {
        let packed = micro::pack(c, o, phase.taps.len(), |c_out, o_in, t| {
            weight[(o_in * c + c_out) * kernel * kernel + phase.kernel_index[t]]
        });
        if stride == 1 {
            return correlate(grad, grad_shape, &packed, &phase.taps, None, Activation::Identity, x_shape);
        }
        // Positions of this parity: every second row and column from (row, column) on.
        let (rows, columns) = ((h + 1 - phase.row) / 2, (w + 1 - phase.column) / 2);
        if rows == 0 || columns == 0 {
            continue;
        }
        let part_shape = [n, c, rows, columns];
        let part = correlate(grad, grad_shape, &packed, &phase.taps, None, Activation::Identity, part_shape);
        out.par_chunks_mut(h * w).zip(part.par_chunks(rows * columns)).for_each(|(plane, part)| {
            for (i, row) in part.chunks_exact(columns).enumerate() {
                let start = (2 * i + phase.row) * w + phase.column;
                for (j, &value) in row.iter().enumerate() {
                    plane[start + 2 * j] = value;
                }
            }
        });
    }
    out
}

/// Sums of the output gradient over pictures and positions, channel by channel.
fn bias_gradient(grad: &[f32], [n, o, h, w]: [usize; 4]) -> Vec<f32> {
    let of_channel =
        |channel: usize| (0..n).map(|picture| maps::sum(&grad[(picture * o + channel) * h * w..][..h * w])).sum();
    (0..o).into_par_iter().map(of_channel).collect()
}

/// Most partial sums of the weight gradient that exist at a time.
const MAX_PARTS: usize = 16;

fn weight_gradient(
    x: &[f32],
    x_shape: [usize; 4],
    grad: &[f32],
    grad_shape: [usize; 4],
    kernel: usize,
    stride: usize,
) -> (Vec<f32>, Vec<f32>) {
    let (o, c) = (grad_shape[1], x_shape[1]);
    if kernel == 3 && stride == 1 && winograd::pays(TransformCost::WEIGHT_GRADIENT, c, o, x_shape[2], x_shape[3]) {
        return (winograd::weight_gradient(x, x_shape, grad, o), bias_gradient(grad, grad_shape));
    }
    let taps = Taps::of_kernel(kernel, stride);
    let tiles = Tiles::new(grad_shape, c, o, &taps);
    let parts = tiles.len().min(MAX_PARTS);
    let sums: Vec<(Vec<f32>, Vec<f32>)> = (0..parts)
        .into_par_iter()
        .map(|part| {
            let mut weight = vec![0.0; o * c * taps.len()];
            let mut bias = vec![0.0; o];
            Scratch::with(|scratch| {
                for index in part * tiles.len() / parts..(part + 1) * tiles.len() / parts {
                    let tile = tiles.get(index);
                    let layout = scratch.fill(x, x_shape, &tile, &taps);
                    let grad_layout = scratch.fill_gradient(grad, grad_shape, &tile);
                    let (input, gradient) = scratch.both();
                    micro::weight_gradient_tile(input, &layout, gradient, &grad_layout, &mut weight, &mut bias);
                }
            });
            (weight, bias)
        })
        .collect();
    let mut sums = sums.into_iter();
    let Some((mut weight, mut bias)) = sums.next() else {
        return (vec![0.0; o * c * taps.len()], vec![0.0; o]);
    };
    for (w, b) in sums {
        weight.iter_mut().zip(&w).for_each(|(total, part)| *total += part);
        bias.iter_mut().zip(&b).for_each(|(total, part)| *total += part);
    }
    (weight, bias)
}
