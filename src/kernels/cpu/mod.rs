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
mod planes;
pub(crate) mod pointwise;
mod tile;
mod winograd;

use rayon::prelude::*;

use crate::{Activation, ConvSpec, GeneralConv, Wanted};
pub use dispatch::{instruction_set, limit_lanes};
pub(crate) use micro::Last;
pub(crate) use output::Output;
pub(crate) use planes::Planes;
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

/// Nothing is done last.
const NONE: Last<'static> = Last::Activation(Activation::Identity);

/// Longest side of a kernel that is run here.
const MAX_KERNEL: usize = 31;

/// Whether [`forward`] covers a convolution: square kernels of odd sides.
pub(crate) fn covers([_, _, kernel_h, kernel_w]: [usize; 4], spec: ConvSpec) -> bool {
    kernel_h == kernel_w && kernel_h % 2 == 1 && kernel_h <= MAX_KERNEL && matches!(spec.stride, 1..=4)
}

/// Whether [`gradients`] covers a convolution: 1x1 at stride 1, 3x3 at stride 1 or 2.
pub(crate) fn covers_gradients(weight: [usize; 4], spec: ConvSpec) -> bool {
    let [_, _, kernel_h, kernel_w] = weight;
    kernel_h == kernel_w && matches!((kernel_h, spec.stride), (1 | 3, 1) | (3, 2))
}

/// Convolution of `x` ([N, C, H, W]) with `weight` ([O, C, K, K]) and an optional bias ([O]), and its activation.
/// Returns [N, O, H', W'] where `H' = ceil(H / stride)`.
///
/// # Panics
/// If slices and shapes disagree or the case is not covered (square kernels of odd sides at strides of 1 to 4).
pub fn forward(
    x: &[f32],
    x_shape: [usize; 4],
    weight: &[f32],
    weight_shape: [usize; 4],
    bias: Option<&[f32]>,
    spec: ConvSpec,
) -> Vec<f32> {
    check(x_shape, weight, weight_shape, spec);
    let last = Last::Activation(spec.activation);
    let layer = Layer { weight, shape: weight_shape, prepared: None, bias, spec, last };
    let x = Planes::one(x, x_shape);
    // SAFETY: the layer computes every place of its output.
    unsafe { Output::filled(layer.output_shape(x_shape), |out| layer.run(x, out)) }
}

/// A convolution, its weights perhaps transformed before.
pub(crate) struct Layer<'a> {
    /// [O, C, K, K].
    pub(crate) weight: &'a [f32],
    pub(crate) shape: [usize; 4],
    pub(crate) prepared: Option<&'a Prepared>,
    /// [O].
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) spec: ConvSpec,
    /// What is done in place of the activation of `spec`.
    pub(crate) last: Last<'a>,
}

impl Layer<'_> {
    /// Shape of what it makes of an input of a shape.
    pub(crate) fn output_shape(&self, [n, _, h, w]: [usize; 4]) -> [usize; 4] {
        let [o, _, kernel, _] = self.shape;
        [n, o, self.spec.output_side(h, kernel), self.spec.output_side(w, kernel)]
    }

    /// Computes every place of `out`, each once.
    ///
    /// # Panics
    /// As [`forward`].
    pub(crate) fn run(&self, x: Planes<'_>, out: &Output<'_>) {
        let Self { weight, shape, prepared, bias, spec, last } = *self;
        let [o, c, kernel, _] = shape;
        check(x.shape(), weight, shape, spec);
        assert_eq!(out.shape(), self.output_shape(x.shape()), "room for the output");
        assert!(bias.is_none_or(|b| b.len() == o), "one bias an output channel");
        if prepares(x.shape(), shape, spec) {
            let made;
            let kernels = match prepared {
                Some(Prepared(kernels)) => kernels,
                None => {
                    made = prepare(weight, shape);
                    &made.0
                }
            };
            assert_eq!(kernels.shape(), [o, c], "kernels of these channels");
            return winograd::correlate(x, kernels, bias, last, out);
        }
        let taps = Taps::of_kernel(kernel, spec.stride);
        let packed =
            micro::pack(o, c, taps.len(), |output, channel, tap| weight[(output * c + channel) * taps.len() + tap]);
        correlate_into(x, &packed, &taps, bias, last, out);
    }
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

/// Gradients of [`forward`]. `output` is what it returned, needed where there is an activation; `output_grad` has
/// its shape.
///
/// # Panics
/// If slices and shapes disagree or the case is not covered (1x1 at stride 1, 3x3 at stride 1 and 2).
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
    check(x_shape, weight, weight_shape, spec);
    assert!(covers_gradients(weight_shape, spec), "convolution of a covered kind");
    assert_eq!(x.len(), x_shape.iter().product::<usize>(), "input has its shape");
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

fn check(x_shape: [usize; 4], weight: &[f32], weight_shape: [usize; 4], spec: ConvSpec) {
    assert_eq!(weight.len(), weight_shape.iter().product::<usize>(), "weight has its shape");
    assert_eq!(x_shape[1], weight_shape[1], "input and weight have the same channels");
    assert!(x_shape[1] > 0, "input has channels");
    assert!(covers(weight_shape, spec), "convolution of a covered kind");
}

/// Convolution of `x` with `weight` [O, C / groups, Kh, Kw] and an optional bias [O], any padding, dilation and groups; both
/// strides must be the same. Gives the values and their shape.
pub(crate) fn forward_general(
    x: Planes<'_>,
    weight: &[f32],
    weight_shape: [usize; 4],
    bias: Option<&[f32]>,
    conv: GeneralConv,
) -> (Vec<f32>, [usize; 4]) {
    let ([n, channels, h, w], [o, each, rows, columns]) = (x.shape(), weight_shape);
    assert_eq!(weight.len(), weight_shape.iter().product::<usize>(), "weight has its shape");
    assert_eq!((each * conv.groups, o % conv.groups), (channels, 0), "whole groups");
    assert_eq!(conv.stride[0], conv.stride[1], "one stride");
    let side = |axis: usize, input: usize, kernel: usize| {
        let reach = conv.dilation[axis] * (kernel - 1) + 1;
        (input + 2 * conv.padding[axis]).checked_sub(reach).map_or(0, |rest| rest / conv.stride[axis] + 1)
    };
    let shape = [n, o, side(0, h, rows), side(1, w, columns)];
    let taps = Taps::general([rows, columns], conv.padding, conv.dilation, conv.stride[0]);
    let of_group = o / conv.groups;
    let spec = ConvSpec { stride: conv.stride[0], activation: Activation::Identity };
    let square = [of_group, each, rows, columns];
    let is_plain = covers(square, spec) && conv.padding == [rows / 2; 2] && conv.dilation == [1, 1];
    let write = |out: &Output<'_>| {
        for group in 0..conv.groups {
            let first = group * of_group;
            if is_plain {
                let size = square.iter().product::<usize>();
                let bias = bias.map(|bias| &bias[first..first + of_group]);
                let weight = &weight[group * size..][..size];
                let layer = Layer { weight, shape: square, prepared: None, bias, spec, last: NONE };
                layer.run(x.narrow(group * each, each), &out.narrow(first, of_group));
                continue;
            }
            let packed = micro::pack(of_group, each, taps.len(), |output, channel, tap| {
                weight[((first + output) * each + channel) * taps.len() + tap]
            });
            let bias = bias.map(|bias| &bias[first..first + of_group]);
            correlate_into(x.narrow(group * each, each), &packed, &taps, bias, NONE, &out.narrow(first, of_group));
        }
    };
    // SAFETY: the groups cover the channels, and every place of each is computed.
    (unsafe { Output::filled(shape, write) }, shape)
}

/// out[n, o, i, j] = sum over c, t of packed[o, c, t] * x[n, c, i*s + dy_t, j*s + dx_t]
fn correlate(x: &[f32], x_shape: [usize; 4], packed: &micro::Packed, taps: &Taps, out_shape: [usize; 4]) -> Vec<f32> {
    let write = |out: &Output<'_>| correlate_into(Planes::one(x, x_shape), packed, taps, None, NONE, out);
    // SAFETY: every place is computed.
    unsafe { Output::filled(out_shape, write) }
}

/// [`correlate`] with a bias and what is done last, into an output every place of which is computed once.
fn correlate_into(
    x: Planes<'_>,
    packed: &micro::Packed,
    taps: &Taps,
    bias: Option<&[f32]>,
    last: Last<'_>,
    out: &Output<'_>,
) {
    // The tiles cover the output, and all channels of each are computed.
    let tiles = Tiles::new(out.shape(), x.shape()[1], 0, taps);
    (0..tiles.len()).into_par_iter().for_each(|index| {
        let tile = tiles.get(index);
        Scratch::with(|scratch| {
            let layout = scratch.fill(x, &tile, taps);
            micro::correlate_tile(scratch.input(), &layout, packed, bias, last, out, &tile);
        });
    });
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
                winograd::correlate(Planes::one(grad, grad_shape), &kernels, None, NONE, out);
            })
        };
    }
    let mut out = vec![0.0; if stride == 1 { 0 } else { n * c * h * w }];
    for phase in Taps::transposed(kernel, stride) {
        let packed = micro::pack(c, o, phase.taps.len(), |c_out, o_in, t| {
            weight[(o_in * c + c_out) * kernel * kernel + phase.kernel_index[t]]
        });
        if stride == 1 {
            return correlate(grad, grad_shape, &packed, &phase.taps, x_shape);
        }
        // Positions of this parity: every second row and column from (row, column) on.
        let (rows, columns) = ((h + 1 - phase.row) / 2, (w + 1 - phase.column) / 2);
        if rows == 0 || columns == 0 {
            continue;
        }
        let part_shape = [n, c, rows, columns];
        let part = correlate(grad, grad_shape, &packed, &phase.taps, part_shape);
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
                    let layout = scratch.fill(Planes::one(x, x_shape), &tile, &taps);
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
