//! Convolutions of any kernel, padding, dilation and groups.

use burn::{
    backend::Flex,
    tensor::{DType, Tensor, module, ops::ConvOptions},
};

use crate::{
    GeneralConv,
    cpu::{self, Planes, depthwise},
    maps::{is_plain_cpu, primitive, samples, tensor},
    samplewise::numbers,
};

/// Convolution of `x` [N, C, H, W] with `weight` [O, C / groups, Kh, Kw] and an optional bias [O]. Runs on any device;
/// differentiable.
pub fn conv2d_general(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, conv: GeneralConv) -> Tensor<4> {
    let ([n, channels, height, width], [outputs, each, rows, columns]) = (x.dims(), weight.dims());
    let plain = is_plain_cpu(&x) && is_plain_cpu(&weight) && x.dtype() == DType::F32 && x.shape().num_elements() > 0;
    if plain && conv.stride[0] == conv.stride[1] && bias.as_ref().is_none_or(|bias| !bias.is_autodiff()) {
        let bias = bias.map(numbers);
        let (x, weight) = (primitive(x), primitive(weight));
        let depthwise = each == 1 && channels == outputs && conv.stride == [1, 1] && conv.dilation == [1, 1];
        let (out, shape) = if depthwise {
            let size = [n, channels, height, width];
            depthwise::forward(samples(&x), size, samples(&weight), [rows, columns], conv.padding, bias.as_deref())
        } else {
            let x = Planes::one(samples(&x), [n, channels, height, width]);
            let shape = [outputs, each, rows, columns];
            cpu::forward_general(x, samples(&weight), shape, bias.as_deref(), conv)
        };
        return tensor(out, shape);
    }
    let options = ConvOptions::new(conv.stride, conv.padding, conv.dilation, conv.groups);
    module::conv2d(x, weight, bias, options)
}

/// Channels of several tensors [N, C, H, W], one after the other. In one pass on the CPU; differentiable anywhere.
pub fn concat(parts: Vec<Tensor<4>>) -> Tensor<4> {
    if !parts.iter().all(is_plain_cpu) {
        return Tensor::cat(parts, 1);
    }
    let [n, _, h, w] = parts[0].dims();
    let channels: Vec<usize> = parts.iter().map(|part| part.dims()[1]).collect();
    let parts: Vec<_> = parts.into_iter().map(primitive).collect();
    let planes: Vec<&[f32]> = parts.iter().map(samples).collect();
    let out = crate::cpu::maps::concat(&planes, &channels, n, h * w);
    Tensor::from_primitive::<Flex>(crate::maps::flex(out, [n, channels.iter().sum(), h, w]))
}
