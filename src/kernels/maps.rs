//! Feature-map operations beside convolution: fused on the CPU, those that training runs with backward passes of their
//! own; composed of Burn's operations elsewhere.

use burn::{
    backend::{DispatchDevice, Flex, flex::FlexTensor},
    tensor::{
        Tensor, TensorData,
        activation::sigmoid,
        module::{avg_pool2d, interpolate},
        ops::{AvgPoolOptions, InterpolateMode, InterpolateOptions},
    },
};

use crate::{Activation, AttentionLayers, ConvSpec, conv2d, cpu::maps, training};

/// Means over cells of `cell` x `cell` positions: [N, C, H, W] to [N, C, H / cell, W / cell].
pub fn cell_means(x: Tensor<4>, cell: usize) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    if !is_plain_cpu(&x) {
        return avg_pool2d(x, AvgPoolOptions::new([cell, cell]));
    }
    let means = maps::cell_means(samples(&primitive(x)), h, w, cell);
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

/// [N, 4C, H, W] to [N, C, 2H, 2W]: channel 4c + 2i + j goes to row parity i and column parity j.
pub fn pixel_shuffle(x: Tensor<4>) -> Tensor<4> {
    let [n, c, h, w] = x.dims();
    assert!(c.is_multiple_of(4), "four channels for each one");
    if !is_plain_cpu(&x) {
        return x.reshape([n, c / 4, 2, 2, h, w]).permute([0, 1, 4, 2, 5, 3]).reshape([n, c / 4, 2 * h, 2 * w]);
    }
    let out = maps::shuffle_beside(samples(&primitive(x)), [n, c, h, w], &[], 0);
    tensor(out, [n, c / 4, 2 * h, 2 * w])
}

/// [`pixel_shuffle`] of `x` [N, 4C, H, W], and the channels of `beside` [N, D, 2H, 2W] after it: [N, C + D, 2H, 2W].
///
/// # Panics
/// If the sizes do not fit.
pub fn pixel_shuffle_beside(x: Tensor<4>, beside: Tensor<4>) -> Tensor<4> {
    let ([n, c, h, w], [_, others, _, _]) = (x.dims(), beside.dims());
    assert!(c.is_multiple_of(4), "four channels for each one");
    assert_eq!(beside.dims(), [n, others, 2 * h, 2 * w], "twice the size");
    if x.is_autodiff() && beside.is_autodiff() && is_cpu(&x) {
        return training::pixel_shuffle_beside(x, beside);
    }
    if !is_plain_cpu(&x) || !is_plain_cpu(&beside) {
        return Tensor::cat(vec![pixel_shuffle(x), beside], 1);
    }
    let out = maps::shuffle_beside(samples(&primitive(x)), [n, c, h, w], samples(&primitive(beside)), others);
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
    let device = if x.is_autodiff() { x.device().inner() } else { x.device() };
    matches!(device.as_dispatch(), DispatchDevice::Flex(_))
}

/// Whether a tensor lies on the CPU backend and no gradient is recorded through it.
fn is_plain_cpu(x: &Tensor<4>) -> bool {
    !x.is_autodiff() && is_cpu(x)
}

fn primitive(x: Tensor<4>) -> FlexTensor {
    x.try_into_primitive::<Flex>().expect("seen to lie on the CPU").to_contiguous()
}

fn samples(x: &FlexTensor) -> &[f32] {
    x.as_slice::<f32>().expect("made contiguous before")
}

fn tensor(data: Vec<f32>, shape: [usize; 4]) -> Tensor<4> {
    Tensor::from_primitive::<Flex>(FlexTensor::from_data(TensorData::new(data, shape)))
}
