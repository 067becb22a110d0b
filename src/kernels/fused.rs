//! Convolutions with what lies around them in a network, in one pass on the CPU.

use std::sync::Arc;

use burn::{
    backend::Flex,
    tensor::{DType, Tensor},
};

use crate::{
    ConvSpec, Function, add_scaled, apply, conv2d,
    cpu::{self, Last, Output},
    extension::{flex_tensor, samples, with_layer},
    general::concat,
    maps::{is_plain_cpu, primitive},
    prelu,
    samplewise::numbers,
};

/// What a convolution may do with its samples last beside [`Activation`].
#[derive(Clone, Debug)]
pub enum LastOf {
    /// [`prelu`](crate::prelu) with slopes [O] or [1].
    Prelu(Box<Tensor<1>>),
    /// [`Function::Silu`].
    Silu,
}

/// A convolution with what lies around it in a network.
#[derive(Clone, Debug)]
pub struct FusedConv {
    /// [O, C, K, K].
    pub weight: Tensor<4>,
    /// [O].
    pub bias: Option<Tensor<1>>,
    /// Step and activation.
    pub spec: ConvSpec,
    /// A function of each sample in place of the activation, perhaps with slopes.
    pub last: Option<LastOf>,
    /// A factor for the result and another value of its shape, which is added then.
    pub sum: Option<(f32, Tensor<4>)>,
}

/// [`conv2d`] of the channels of `parts` [N, C, H, W], one after the other. On the CPU, where no gradient is recorded, the
/// concatenation is never written, and the sum is made while the convolution is, in the memory of the other value if nobody
/// else holds it. Runs on any device; differentiable.
///
/// # Panics
/// If shapes do not fit together, or there are no parts.
pub fn conv2d_fused(mut parts: Vec<Tensor<4>>, conv: FusedConv) -> Tensor<4> {
    let FusedConv { weight, bias, spec, last, sum } = conv;
    let is_plain = |x: &Tensor<4>| is_plain_cpu(x) && x.dtype() == DType::F32 && x.shape().num_elements() > 0;
    let slopes_change = matches!(&last, Some(LastOf::Prelu(slopes)) if slopes.is_autodiff());
    let plain = parts.iter().chain([&weight]).chain(sum.as_ref().map(|(_, other)| other)).all(is_plain);
    let bias_changes = bias.as_ref().is_some_and(Tensor::is_autodiff);
    if slopes_change || bias_changes || !plain || !cpu::covers(weight.dims(), spec) {
        let x = if parts.len() == 1 { parts.swap_remove(0) } else { concat(parts) };
        let out = conv2d(x, weight, bias, spec);
        let out = match last {
            None => out,
            Some(LastOf::Prelu(slopes)) => prelu(out, *slopes),
            Some(LastOf::Silu) => apply(out, Function::Silu),
        };
        return match sum {
            Some((factor, other)) => add_scaled(out, factor, other),
            None => out,
        };
    }
    let bias = bias.map(|bias| bias.try_into_primitive::<Flex>().expect("as the weight"));
    let parts = parts.into_iter().map(primitive).collect();
    let sum = sum.map(|(factor, other)| (factor, primitive(other)));
    let outputs = weight.dims()[0];
    let slopes = match &last {
        Some(LastOf::Prelu(slopes)) => {
            let own = numbers((**slopes).clone());
            (0..outputs).map(|output| own[output % own.len()]).collect()
        }
        _ => Vec::new(),
    };
    let last = match last {
        None => Last::Activation(spec.activation),
        Some(LastOf::Prelu(_)) => Last::Slopes(&slopes),
        Some(LastOf::Silu) => Last::Silu,
    };
    let out = with_layer(parts, primitive(weight), bias, (spec, last), true, |layer, x| {
        let shape = layer.output_shape(x.shape());
        let write = |out: &Output<'_>| layer.run(x, out);
        match sum {
            None => {
                // SAFETY: the layer computes every place of its output.
                let out = unsafe { Output::filled(shape, write) };
                flex_tensor(out, &shape)
            }
            // Two: the tensor's own and the one that is asked for here.
            Some((factor, mut other)) if Arc::strong_count(&other.data_arc()) <= 2 => {
                Output::summed_in_place(shape, factor, other.storage_mut(), write);
                other
            }
            Some((factor, other)) => {
                // SAFETY: the layer computes every place of its output.
                let out = unsafe { Output::summed(shape, factor, samples(&other), write) };
                flex_tensor(out, &shape)
            }
        }
    });
    Tensor::from_primitive::<Flex>(out)
}
