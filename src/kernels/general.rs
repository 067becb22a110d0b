//! Convolutions that the kernels do not cover: any kernel, padding, dilation and groups.

use burn::{
    backend::Flex,
    tensor::{Tensor, module, ops::ConvOptions},
};

use crate::{
    cpu::depthwise,
    maps::{is_plain_cpu, primitive, samples, tensor},
};

/// A convolution in numbers, down and across.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GeneralConv {
    /// Steps between outputs.
    pub stride: [usize; 2],
    /// Zeros on each side of the input.
    pub padding: [usize; 2],
    /// Steps between the taps of the kernel.
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other.
    pub groups: usize,
}

/// Convolution of `x` [N, C, H, W] with `weight` [O, C / groups, Kh, Kw] and an optional bias [O]. Runs on any device;
/// differentiable.
pub fn conv2d_general(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, conv: GeneralConv) -> Tensor<4> {
    let ([n, channels, height, width], [outputs, each, rows, columns]) = (x.dims(), weight.dims());
    let depthwise = each == 1 && channels == outputs && conv.stride == [1, 1] && conv.dilation == [1, 1];
    let same = conv.padding == [rows / 2, columns / 2] && rows % 2 == 1 && columns % 2 == 1;
    if depthwise && same && is_plain_cpu(&x) && !weight.is_autodiff() {
        let bias = bias.map(|bias| bias.into_data().convert::<f32>().try_into_vec::<f32>().expect("converted to f32"));
        let (x, weight) = (primitive(x), primitive(weight));
        let out = depthwise::forward(
            samples(&x),
            [channels, height, width],
            samples(&weight),
            [rows, columns],
            bias.as_deref(),
        );
        return tensor(out, [n, channels, height, width]);
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
