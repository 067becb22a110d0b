//! What the primal network is made of at each resolution: halving, residual blocks, doubling.

use std::sync::OnceLock;

use burn::tensor::Tensor;
use dualres_kernels::{Activation, pixel_shuffle, pixel_shuffle_beside};

use crate::{
    Pooling, Result,
    attention::ChannelAttention,
    blocks::{Conv, ConvShape, ConvSource, LEAKY},
};

/// Sees the features between the two convolutions of a unit, and the output of the second one.
pub type Probe<'a> = Option<&'a mut dyn FnMut(&Tensor<4>, &Tensor<4>)>;

/// Two convolutions that halve the resolution; also the form of a dual model.
#[derive(Clone, Debug)]
pub(crate) struct DownBlock {
    pub(crate) strided: Conv,
    pub(crate) last: Conv,
}

impl DownBlock {
    pub(crate) fn build(name: &str, [inputs, inner, outputs]: [usize; 3], source: &mut dyn ConvSource) -> Result<Self> {
        let strided = ConvShape::new(inputs, inner, 3).strided().unbiased();
        Ok(Self {
            strided: source.conv(format!("{name}dual_module.0.0"), strided)?,
            last: source.conv(format!("{name}dual_module.1"), ConvShape::new(inner, outputs, 3).unbiased())?,
        })
    }

    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward_probed(x, None)
    }

    pub(crate) fn forward_probed(&self, x: Tensor<4>, probe: Probe<'_>) -> Tensor<4> {
        let inner = self.strided.forward_then(x, LEAKY);
        let Some(probe) = probe else { return self.last.forward(inner) };
        let output = self.last.forward(inner.clone());
        probe(&inner, &output);
        output
    }
}

/// Residual channel attention block.
#[derive(Clone, Debug)]
pub(crate) struct ResidualBlock {
    pub(crate) first: Conv,
    pub(crate) second: Conv,
    pub(crate) attention: ChannelAttention,
}

impl ResidualBlock {
    pub(crate) fn forward(&self, x: Tensor<4>, pooling: Pooling, magnification: usize, probe: Probe<'_>) -> Tensor<4> {
        let inner = self.first.forward_then(x.clone(), Activation::Relu);
        let output = match probe {
            None => self.second.forward(inner),
            Some(probe) => {
                let output = self.second.forward(inner.clone());
                probe(&inner, &output);
                output
            }
        };
        self.attention.forward(output, x, pooling, magnification)
    }
}

/// One level of the decoder: residual blocks, up-sampling by two, and a 1x1 convolution.
#[derive(Clone, Debug)]
pub(crate) struct Level {
    pub(crate) blocks: Vec<ResidualBlock>,
    pub(crate) up: Conv,
    pub(crate) reduce: Conv,
    joined: OnceLock<(Tensor<4>, Option<Tensor<1>>)>,
}

impl Level {
    pub(crate) fn new(blocks: Vec<ResidualBlock>, up: Conv, reduce: Conv) -> Self {
        Self { blocks, up, reduce, joined: OnceLock::new() }
    }

    /// Doubles the resolution and puts `copy`, the encoder's features of that resolution, after the result's channels.
    pub(crate) fn rise(&self, x: Tensor<4>, copy: Tensor<4>, probe: Probe<'_>) -> Tensor<4> {
        if let Some(probe) = probe {
            let inner = pixel_shuffle(self.up.forward(x));
            let output = self.reduce.forward(inner.clone());
            probe(&inner, &output);
            return Tensor::cat(vec![output, copy], 1);
        }
        if !self.joining_pays() {
            return Tensor::cat(vec![self.reduce.forward(pixel_shuffle(self.up.forward(x))), copy], 1);
        }
        let (weight, bias) =
            if self.up.weight.is_autodiff() { self.join() } else { self.joined.get_or_init(|| self.join()).clone() };
        pixel_shuffle_beside(dualres_kernels::conv2d(x, weight, bias, Default::default()), copy)
    }

    /// To be called when weights are about to change.
    pub(crate) fn forget_joined(&mut self) {
        self.joined.take();
    }

    /// Whether the joined convolution has fewer multiply-accumulates than the two it replaces.
    pub(crate) fn joining_pays(&self) -> bool {
        let [inner4, inputs, kernel, _] = self.up.weight.dims();
        let [outputs, inner, _, _] = self.reduce.weight.dims();
        inputs * kernel * kernel * outputs <= inputs * kernel * kernel * (inner4 / 4) + inner * outputs
    }

    /// Between the two convolutions there is only a pixel shuffle: one convolution with the product of their weights
    /// gives the same, with as many channels as come out in place of the inner ones, which are the widest features of
    /// the network.
    pub(crate) fn join(&self) -> (Tensor<4>, Option<Tensor<1>>) {
        let [_, inputs, kernel, _] = self.up.weight.dims();
        let [outputs, inner, _, _] = self.reduce.weight.dims();
        let reduce = self.reduce.weight.clone().reshape([outputs, inner]);
        let up = self.up.weight.clone().reshape([inner, 4 * inputs * kernel * kernel]);
        let weight = reduce.clone().matmul(up).reshape([4 * outputs, inputs, kernel, kernel]);
        let through = self.up.bias.clone().map(|bias| reduce.matmul(bias.reshape([inner, 4])));
        let own = self.reduce.bias.clone().map(|bias| bias.reshape([outputs, 1]).repeat_dim(1, 4));
        let bias = match (through, own) {
            (Some(through), Some(own)) => Some(through + own),
            (through, own) => through.or(own),
        };
        (weight, bias.map(|bias| bias.reshape([4 * outputs])))
    }
}
