//! Functions of each sample of a tensor, and sums of samples.

use burn::tensor::{Tensor, activation};

use crate::{
    Function,
    cpu::pointwise,
    maps::{is_plain_cpu, primitive, samples},
};

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
        let slopes = slopes.into_data().convert::<f32>().try_into_vec::<f32>().expect("converted to f32");
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
    x * factor + other
}
