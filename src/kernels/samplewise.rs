//! Functions of each sample of a tensor, and sums of samples.

use std::sync::Arc;

use burn::{
    backend::flex::FlexTensor,
    tensor::{DType, Tensor, activation},
};

use crate::{
    Combination, Function,
    cpu::pointwise::{self, Others},
    maps::{is_plain_cpu, primitive, samples},
};

/// Combines `x` [N, C, H, W] with another value of its shape or one that holds for all positions [N or 1, C, 1, 1] or all
/// channels [N, 1, H, W]; or the other way round. In one pass on the CPU, where no gradient is recorded; differentiable
/// anywhere.
pub fn combine(combination: Combination, x: Tensor<4>, other: Tensor<4>) -> Tensor<4> {
    let commutes = matches!(combination, Combination::Add | Combination::Mul);
    let is_f32 = x.dtype() == DType::F32 && other.dtype() == DType::F32;
    let plain = is_f32 && is_plain_cpu(&x) && is_plain_cpu(&other);
    let (x, other) = if plain && commutes && x.shape().num_elements() < other.shape().num_elements() {
        (other, x)
    } else {
        (x, other)
    };
    let ([n, c, h, w], [pictures, channels, rows, columns]) = (x.dims(), other.dims());
    let same = other.dims() == x.dims();
    let planes = [rows, columns] == [1, 1] && channels == c && (pictures == n || pictures == 1);
    let spread = channels == 1 && [pictures, rows, columns] == [n, h, w];
    if !plain || !(same || planes || spread) {
        return match combination {
            Combination::Add => x + other,
            Combination::Sub => x - other,
            Combination::Mul => x * other,
            Combination::Div => x / other,
            Combination::Gate(offset) => {
                let gate = activation::sigmoid(other);
                x * if offset == 0.0 { gate } else { gate + offset }
            }
        };
    }
    let (mut x, mut other) = (primitive(x), primitive(other));
    // Two: the tensor's own and the one that is asked for here.
    let free = |x: &FlexTensor| Arc::strong_count(&x.data_arc()) <= 2;
    if same && commutes && !free(&x) && free(&other) {
        std::mem::swap(&mut x, &mut other);
    }
    let values = samples(&other);
    let others = match (same, planes) {
        (true, _) => Others::Same(values),
        (_, true) => Others::Planes(values),
        _ => Others::Channels { planes: values, channels: c },
    };
    pointwise::combine(combination, x.storage_mut(), h * w, others);
    Tensor::from_primitive::<burn::backend::Flex>(x)
}

/// `factor * x + offset`: factors and offsets [C], or one for all channels of `x` [N, C, H, W]. In one pass on the CPU, where
/// no gradient is recorded; differentiable anywhere.
pub fn affine(x: Tensor<4>, factors: Tensor<1>, offsets: Tensor<1>) -> Tensor<4> {
    if is_plain_cpu(&x) && x.dtype() == DType::F32 && !factors.is_autodiff() && !offsets.is_autodiff() {
        let [_, _, h, w] = x.dims();
        let mut x = primitive(x);
        pointwise::affine(x.storage_mut(), h * w, &numbers(factors), &numbers(offsets));
        return Tensor::from_primitive::<burn::backend::Flex>(x);
    }
    let across = |values: Tensor<1>| -> Tensor<4> {
        let count = values.dims()[0];
        values.reshape([1, count, 1, 1])
    };
    x * across(factors) + across(offsets)
}

/// `factor * x + offset`. In one pass on the CPU, where no gradient is recorded; differentiable anywhere.
pub fn linear(x: Tensor<4>, factor: f32, offset: f32) -> Tensor<4> {
    if is_plain_cpu(&x) {
        let [_, _, h, w] = x.dims();
        let mut x = primitive(x);
        pointwise::affine(x.storage_mut(), h * w, &[factor], &[offset]);
        return Tensor::from_primitive::<burn::backend::Flex>(x);
    }
    let scaled = if factor == 1.0 { x } else { x * factor };
    if offset == 0.0 { scaled } else { scaled + offset }
}

/// A few values, in host memory.
pub(crate) fn numbers(values: Tensor<1>) -> Vec<f32> {
    values.into_data().convert::<f32>().try_into_vec::<f32>().expect("converted to f32")
}

/// `function` of each sample of `x`. In one pass on the CPU, where no gradient is recorded; differentiable anywhere.
pub fn apply(x: Tensor<4>, function: Function) -> Tensor<4> {
    if is_plain_cpu(&x) {
        let mut x = primitive(x);
        pointwise::apply(x.storage_mut(), function);
        return Tensor::from_primitive::<burn::backend::Flex>(x);
    }
    match function {
        Function::Relu => activation::relu(x),
        Function::LeakyRelu(slope) => activation::leaky_relu(x, f64::from(slope)),
        Function::Sigmoid => activation::sigmoid(x),
        Function::Silu => x.clone() * activation::sigmoid(x),
        Function::Gelu => activation::gelu(x),
        // x * sigmoid(2u) is x * (1 + tanh(u)) / 2.
        Function::GeluTanh => {
            let inner =
                (x.clone() + x.clone().powi_scalar(3) * 0.044_715) * (2.0 * (2.0 / std::f64::consts::PI).sqrt());
            x * activation::sigmoid(inner)
        }
        Function::Mish => {
            // tanh(ln(1 + e)) = (e² + 2e) / (e² + 2e + 2); beyond 20 it is 1 to the last bit.
            let e = x.clone().clamp_max(20.0).exp();
            let n = e.clone() * (e + 2.0);
            x * (n.clone() / (n + 2.0))
        }
        Function::Tanh => x.tanh(),
        Function::Clip(low, high) => x.clamp(low, high),
        Function::HardSwish => x.clone() * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        Function::HardSigmoid(slope, offset) => (x * slope + offset).clamp(0.0, 1.0),
        Function::Sqrt => x.sqrt(),
        Function::Abs => x.abs(),
        Function::Erf => x.erf(),
        Function::Softplus => activation::softplus(x, 1.0),
    }
}

/// `x` where positive, `slopes * x` elsewhere: slopes [C], or [1] for all channels of `x` [N, C, H, W]. Differentiable.
pub fn prelu(x: Tensor<4>, slopes: Tensor<1>) -> Tensor<4> {
    let [_, channels, height, width] = x.dims();
    let count = slopes.dims()[0];
    if is_plain_cpu(&x) && !slopes.is_autodiff() {
        let slopes = numbers(slopes);
        let mut x = primitive(x);
        let slope = |channel: usize| slopes[if count == 1 { 0 } else { channel % channels }];
        pointwise::prelu(x.storage_mut(), height * width, slope);
        return Tensor::from_primitive::<burn::backend::Flex>(x);
    }
    let negative = activation::relu(x.clone().neg());
    activation::relu(x) - negative * slopes.reshape([1, count, 1, 1])
}

/// `factor * x + other` of tensors of the same shape, in one pass on the CPU.
pub fn add_scaled(x: Tensor<4>, factor: f32, other: Tensor<4>) -> Tensor<4> {
    if is_plain_cpu(&x) && is_plain_cpu(&other) && x.dims() == other.dims() {
        let (mut x, other) = (primitive(x), primitive(other));
        pointwise::add_scaled(x.storage_mut(), factor, samples(&other));
        return Tensor::from_primitive::<burn::backend::Flex>(x);
    }
    if factor == 1.0 { x + other } else { x * factor + other }
}
