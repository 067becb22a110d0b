//! Feature-map operations beside convolution: fused on the CPU, those that training runs with backward passes of their
//! own; composed of Burn's operations elsewhere.

use burn::{
    backend::{DispatchDevice, Flex, flex::FlexTensor},
    tensor::{
        DType, Device, Tensor, TensorData,
        activation::sigmoid,
        module::{avg_pool2d, interpolate, max_pool2d},
        ops::{
            AvgPoolOptions, GridSampleOptions, GridSamplePaddingMode, InterpolateMode, InterpolateOptions,
            MaxPoolOptions,
        },
    },
};

use crate::{Activation, AttentionLayers, ConvSpec, conv2d, cpu::maps, training};

/// Means over cells of `cell` x `cell` positions: [N, C, H, W] to [N, C, H / cell, W / cell].
pub fn block_means(x: Tensor<4>, cell: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    if !is_plain_cpu(&x) {
        return avg_pool2d(x, AvgPoolOptions::new([cell, cell]));
    }
    let means = maps::block_means(samples(&primitive(x)), h, w, cell);
    tensor(means, [n, c, h / cell, w / cell])
}

/// `x * scale + residual`: channel attention and the skip around it. `scale` [N, C, R, S] is interpolated bilinearly
/// between the centres of R x S cells of `x` [N, C, H, W]; with a single cell it is a factor for each channel.
///
/// # Panics
/// If H and W are not whole multiples of R and S.
pub fn modulate(x: Tensor<4>, scale: Tensor<4>, residual: Tensor<4>) -> Tensor<4> {
    let ([_, _, h, w], [_, _, rows, columns]) = (x.dims(), scale.dims());
    assert!(h.is_multiple_of(rows) && w.is_multiple_of(columns), "whole cells");
    assert_eq!(residual.dims(), x.dims(), "a residual of the same shape");
    assert_eq!(scale.dims()[..2], x.dims()[..2], "a scale for every channel");
    if !is_plain_cpu(&x) {
        let scale = if (rows, columns) == (1, 1) { scale } else { bilinear(scale, [h, w]) };
        return x * scale + residual;
    }
    let (mut x, scale, residual) = (primitive(x), primitive(scale), primitive(residual));
    // In place if nobody else holds `x`.
    maps::modulate(x.storage_mut(), samples(&scale), samples(&residual), [h, w], [rows, columns]);
    Tensor::from_primitive::<Flex>(x)
}

/// [N, r²C, H, W] to [N, C, rH, rW]: channel r²c + ri + j goes to row parity i and column parity j. Differentiable.
///
/// # Panics
/// If the channels are no multiple of the square of `by`.
pub fn pixel_shuffle(x: Tensor<4>, by: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let square = by * by;
    assert!(c.is_multiple_of(square), "{square} channels for each one");
    let (channels, shape) = (c / square, [n, c / square, by * h, by * w]);
    if !is_plain_cpu(&x) {
        // Not permuted at once: burn-fusion 0.22 tells remote devices that a permuted tensor holds whole numbers.
        let x = x.reshape([n, channels, by, by, h, w]);
        return x.swap_dims(2, 4).swap_dims(3, 4).swap_dims(4, 5).reshape(shape);
    }
    let x = primitive(x);
    let out = match by {
        2 => maps::shuffle_concat(samples(&x), [n, c, h, w], &[], 0),
        _ => maps::shuffle(samples(&x), h, w, by),
    };
    tensor(out, shape)
}

/// The inverse of [`pixel_shuffle`]: [N, C, rH, rW] to [N, r²C, H, W].
///
/// # Panics
/// If the sides are no multiples of `by`.
pub fn pixel_unshuffle(x: Tensor<4>, by: usize) -> Tensor<4> {
    let [n, c, height, width] = x.dims();
    assert!(height.is_multiple_of(by) && width.is_multiple_of(by), "whole squares of {by} pixels");
    let (h, w) = (height / by, width / by);
    let shape = [n, c * by * by, h, w];
    if !is_plain_cpu(&x) {
        // As in the other direction.
        return x.reshape([n, c, h, by, w, by]).swap_dims(2, 3).swap_dims(3, 5).swap_dims(4, 5).reshape(shape);
    }
    tensor(maps::unshuffle(samples(&primitive(x)), h, w, by), shape)
}

/// The nearest samples of `x` [N, C, H, W] at other sides. Differentiable where both sides are whole multiples.
pub fn enlarge_nearest(x: Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    if is_plain_cpu(&x) {
        return tensor(maps::enlarge_nearest(samples(&primitive(x)), [h, w], [rows, columns]), [n, c, rows, columns]);
    }
    if rows.is_multiple_of(h) && columns.is_multiple_of(w) {
        let (down, across) = (rows / h, columns / w);
        let x = x.reshape([n, c, h, 1, w, 1]).repeat_dim(3, down).repeat_dim(5, across);
        return x.reshape([n, c, rows, columns]);
    }
    let size = [rows, columns];
    interpolate(x, InterpolateOptions::new(InterpolateMode::Nearest).with_output_size(size))
}

/// How samples between samples are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filter {
    /// Between two, corners not aligned.
    Bilinear,
    /// Between two, corners aligned.
    BilinearAligned,
    /// Of four, cubic with a = -0.75, corners not aligned.
    Bicubic,
}

impl Filter {
    /// The weights [to, from] that bring a row of `from` samples to `to`.
    fn weights(self, from: usize, to: usize) -> Vec<f32> {
        let mut weights = vec![0.0_f32; to * from];
        for (at, row) in weights.chunks_exact_mut(from).enumerate() {
            let place = match self {
                Self::BilinearAligned if to > 1 => at as f64 * (from - 1) as f64 / (to - 1) as f64,
                Self::BilinearAligned => 0.0,
                _ => (at as f64 + 0.5) * from as f64 / to as f64 - 0.5,
            };
            if self == Self::Bicubic {
                let low = place.floor();
                for tap in -1..=2_i32 {
                    let distance = (place - low - f64::from(tap)).abs();
                    let index = (low as isize + tap as isize).clamp(0, from as isize - 1);
                    row[index as usize] += cubic(distance) as f32;
                }
                continue;
            }
            let place = place.clamp(0.0, (from - 1) as f64);
            let low = place as usize;
            let mix = (place - low as f64) as f32;
            row[low] += 1.0 - mix;
            row[(low + 1).min(from - 1)] += mix;
        }
        weights
    }
}

/// Keys' cubic kernel with a = -0.75.
fn cubic(x: f64) -> f64 {
    const A: f64 = -0.75;
    match x {
        _ if x <= 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        _ if x < 2.0 => ((x - 5.0) * x + 8.0) * x * A - 4.0 * A,
        _ => 0.0,
    }
}

/// The largest value under each window of `x` [N, C, H, W]; beyond the border there are none. In one pass on the CPU, where no
/// gradient is recorded; differentiable anywhere.
pub fn max_pool(x: Tensor<4>, kernel: [usize; 2], stride: [usize; 2], padding: [usize; 2]) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    if is_plain_cpu(&x) && x.dtype() == DType::F32 && x.shape().num_elements() > 0 {
        let (out, [rows, columns]) = maps::max_pool(samples(&primitive(x)), [h, w], kernel, stride, padding);
        return tensor(out, [n, c, rows, columns]);
    }
    max_pool2d(x, MaxPoolOptions::new(kernel).with_stride(stride).with_padding(padding))
}

/// `x` [N, C, H, W] at other sides. Each direction is a product with a matrix of a few entries a row, which every device
/// has a gradient for.
pub fn resample(x: Tensor<4>, [rows, columns]: [usize; 2], filter: Filter) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    if is_plain_cpu(&x) && x.dtype() == DType::F32 && x.shape().num_elements() > 0 {
        let taps = |from: usize, to: usize| maps::taps(&filter.weights(from, to), from);
        let out = maps::resample(samples(&primitive(x)), [h, w], &taps(h, rows), &taps(w, columns));
        return tensor(out, [n, c, rows, columns]);
    }
    let device = x.device();
    let matrix = |from: usize, to: usize| filter.weights(from, to);
    let across: Tensor<2> = Tensor::from_data(TensorData::new(matrix(w, columns), [columns, w]), &device);
    let down: Tensor<2> = Tensor::from_data(TensorData::new(matrix(h, rows), [rows, h]), &device);
    let wide = x.reshape([n * c * h, w]).matmul(across.transpose()).reshape([n * c, h, columns]);
    let down: Tensor<3> = down.unsqueeze::<3>().repeat_dim(0, n * c);
    down.matmul(wide).reshape([n, c, rows, columns])
}

/// Enlargement by sampling at learned positions: `x` [N, C, H, W] at each position of the result, moved by `offsets`
/// [N, 2 * groups * scale², H, W], bilinear, borders repeated. Channels of the offsets are, as in a pixel shuffle, the
/// scale² positions of each of (x of all groups, y of all groups), in pixels of `x`.
pub fn sample_at(x: Tensor<4>, offsets: Tensor<4>, scale: usize, groups: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let (rows, columns) = (h * scale, w * scale);
    let device = x.device();
    // Where each position of the result lies in `x` by itself.
    let place = |at: usize| (at as f32 + 0.5) / scale as f32 - 0.5;
    let across: Vec<f32> = (0..rows * columns).map(|at| place(at % columns)).collect();
    let down: Vec<f32> = (0..rows * columns).map(|at| place(at / columns)).collect();
    let grid =
        |values: Vec<f32>| -> Tensor<4> { Tensor::from_data(TensorData::new(values, [1, 1, rows, columns]), &device) };
    let offsets = pixel_shuffle(offsets, scale);
    let part = |axis: usize| offsets.clone().narrow(1, axis * groups, groups);
    let span = |at: Tensor<4>, side: usize| (at + 0.5) * (2.0 / side as f64) - 1.0;
    let x_at = span(part(0) + grid(across), w).reshape([n * groups, rows, columns, 1]);
    let y_at = span(part(1) + grid(down), h).reshape([n * groups, rows, columns, 1]);
    let options = GridSampleOptions::new(InterpolateMode::Bilinear)
        .with_padding_mode(GridSamplePaddingMode::Border)
        .with_align_corners(false);
    let x = x.reshape([n * groups, c / groups, h, w]);
    x.grid_sample_2d(Tensor::cat(vec![x_at, y_at], 3), options).reshape([n, c, rows, columns])
}

/// [`pixel_shuffle`] of `x` [N, 4C, H, W], and the channels of `beside` [N, D, 2H, 2W] after it: [N, C + D, 2H, 2W].
///
/// # Panics
/// If the sizes do not fit.
pub fn pixel_shuffle_concat(x: Tensor<4>, beside: Tensor<4>) -> Tensor<4> {
    let ([n, c, h, w], [_, others, _, _]) = (x.dims(), beside.dims());
    assert!(c.is_multiple_of(4), "four channels for each one");
    assert_eq!(beside.dims(), [n, others, 2 * h, 2 * w], "twice the size");
    if x.is_autodiff() && beside.is_autodiff() && is_cpu(&x) {
        return training::pixel_shuffle_concat(x, beside);
    }
    if !is_plain_cpu(&x) || !is_plain_cpu(&beside) {
        return Tensor::cat(vec![pixel_shuffle(x, 2), beside], 1);
    }
    let out = maps::shuffle_concat(samples(&primitive(x)), [n, c, h, w], samples(&primitive(beside)), others);
    tensor(out, [n, c / 4 + others, 2 * h, 2 * w])
}

/// Bicubic enlargement by a whole factor as PyTorch computes it (a = -0.75, not antialiased, corners not aligned):
/// [N, C, H, W] to [N, C, factor * H, factor * W]. No gradient passes through it: not every backend has one.
pub fn enlarge_bicubic(x: Tensor<4>, factor: usize) -> Tensor<4> {
    let [n, c, height, width] = x.dims();
    if x.is_autodiff() {
        return Tensor::from_inner(enlarge_bicubic(x.inner(), factor));
    }
    if is_plain_cpu(&x) {
        let out = maps::enlarge_bicubic(samples(&primitive(x)), height, width, factor);
        return tensor(out, [n, c, height * factor, width * factor]);
    }
    interpolate_padded(x, 2, InterpolateMode::Bicubic, [height * factor, width * factor])
}

fn bilinear(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    interpolate_padded(x, 1, InterpolateMode::Bilinear, size)
}

/// Burn 0.22's GPU backends weigh positions beyond the border wrongly when corners are not aligned (errors of a tenth
/// in the outermost pixels). The border is therefore repeated by hand and the surplus cut off; the pixels that remain
/// never reach beyond it.
fn interpolate_padded(x: Tensor<4>, border: usize, mode: InterpolateMode, [height, width]: [usize; 2]) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    let (factor_y, factor_x) = (height / h, width / w);
    let x = repeat_border(repeat_border(x, 2, border), 3, border);
    let size = [(h + 2 * border) * factor_y, (w + 2 * border) * factor_x];
    let enlarged = interpolate(x, InterpolateOptions::new(mode).with_align_corners(false).with_output_size(size));
    let (top, left) = (border * factor_y, border * factor_x);
    enlarged.slice([0..n, 0..c, top..top + height, left..left + width])
}

fn repeat_border(x: Tensor<4>, axis: usize, count: usize) -> Tensor<4> {
    let length = x.dims()[axis];
    let mut parts = vec![x.clone().narrow(axis, 0, 1); count];
    let last = x.clone().narrow(axis, length - 1, 1);
    parts.push(x);
    parts.extend(std::iter::repeat_n(last, count));
    Tensor::cat(parts, axis)
}

/// Channel attention over whole pictures and the skip around it: `x * scale + residual` for `x` and `residual`
/// [N, C, H, W], where the scale of each channel of each picture is made by the layers of the means of the channels.
///
/// # Panics
/// If the residual has another shape.
pub fn attend(x: Tensor<4>, residual: Tensor<4>, layers: AttentionLayers) -> Tensor<4> {
    assert_eq!(residual.dims(), x.dims(), "a residual of the same shape");
    if x.is_autodiff() && residual.is_autodiff() && layers.squeeze.is_autodiff() && is_cpu(&x) {
        return training::attend(x, residual, layers);
    }
    let means = x.clone().mean_dim(3).mean_dim(2);
    let squeezing = ConvSpec::default().with_activation(Activation::Relu);
    let hidden = conv2d(means, layers.squeeze, Some(layers.squeeze_bias), squeezing);
    let scale = sigmoid(conv2d(hidden, layers.excite, Some(layers.excite_bias), ConvSpec::default()));
    modulate(x, scale, residual)
}

/// Whether a tensor lies on the CPU backend.
fn is_cpu(x: &Tensor<4>) -> bool {
    is_cpu_device(&if x.is_autodiff() { x.device().inner() } else { x.device() })
}

/// Whether a device, which records no gradients, is that of the CPU backend.
pub(crate) fn is_cpu_device(device: &Device) -> bool {
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether a tensor lies on the CPU backend, in 32 bits, and no gradient is recorded through it.
pub(crate) fn is_plain_cpu(x: &Tensor<4>) -> bool {
    !x.is_autodiff() && is_cpu(x) && x.dtype() == DType::F32
}

pub(crate) fn primitive(x: Tensor<4>) -> FlexTensor {
    x.try_into_primitive::<Flex>().expect("seen to lie on the CPU").to_contiguous()
}

pub(crate) fn samples(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>().expect("made contiguous before")
}

pub(crate) fn tensor(data: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_primitive::<Flex>(flex(data, shape))
}

pub(crate) fn flex(data: Vec<f32>, shape: [usize; 4]) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(data, shape))
}
