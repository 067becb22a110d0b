//! Convolutions with names, and where their weights come from.

use burn::tensor::{Device, Tensor, TensorData};
use dualres_kernels::{Activation, ConvSpec, conv2d};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Result, Weights};

/// Slope of the leaky rectifier in down-sampling blocks and dual models.
pub(crate) const LEAKY: Activation = Activation::LeakyRelu(0.2);

/// Shape of a convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ConvShape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Side of the kernel; padding is half of it.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) bias: bool,
}

impl ConvShape {
    pub(crate) fn new(inputs: usize, outputs: usize, kernel: usize) -> Self {
        Self { inputs, outputs, kernel, stride: 1, bias: true }
    }

    pub(crate) fn unbiased(self) -> Self {
        Self { bias: false, ..self }
    }

    pub(crate) fn strided(self) -> Self {
        Self { stride: 2, ..self }
    }

    fn weight(self) -> [usize; 4] {
        [self.outputs, self.inputs, self.kernel, self.kernel]
    }
}

/// A convolution that keeps the size (stride 1) or halves it (stride 2, rounded up).
#[derive(Clone, Debug)]
pub(crate) struct Conv {
    /// Name in the published code.
    pub(crate) name: String,
    /// [outputs, inputs, kernel, kernel]
    pub(crate) weight: Tensor<4>,
    /// [outputs]
    pub(crate) bias: Option<Tensor<1>>,
    pub(crate) stride: usize,
}

impl Conv {
    pub(crate) fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.forward_then(x, Activation::Identity)
    }

    pub(crate) fn forward_then(&self, x: Tensor<4>, activation: Activation) -> Tensor<4> {
        conv2d(x, self.weight.clone(), self.bias.clone(), ConvSpec { stride: self.stride, activation })
    }

    pub(crate) fn export(&self, weights: &mut Weights) {
        weights.insert(format!("{}.weight", self.name), &self.weight);
        if let Some(bias) = &self.bias {
            weights.insert(format!("{}.bias", self.name), bias);
        }
    }
}

/// Where a network under construction takes its convolutions from.
pub(crate) trait ConvSource {
    fn conv(&mut self, name: String, shape: ConvShape) -> Result<Conv>;
}

/// Random weights, uniform in +-1/sqrt(fan in) as in the published training; the same for the same seed on any device.
pub(crate) struct RandomConvs<'a> {
    random: ChaCha8Rng,
    device: &'a Device,
}

impl<'a> RandomConvs<'a> {
    pub(crate) fn new(seed: u64, device: &'a Device) -> Self {
        Self { random: ChaCha8Rng::seed_from_u64(seed), device }
    }

    fn uniform<const D: usize>(&mut self, bound: f32, shape: [usize; D]) -> Tensor<D> {
        let count = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|_| self.random.random_range(-bound..bound)).collect();
        Tensor::from_data(TensorData::new(values, shape), self.device)
    }
}

impl ConvSource for RandomConvs<'_> {
    fn conv(&mut self, name: String, shape: ConvShape) -> Result<Conv> {
        let bound = 1.0 / ((shape.inputs * shape.kernel * shape.kernel) as f32).sqrt();
        let weight = self.uniform(bound, shape.weight());
        let bias = shape.bias.then(|| self.uniform(bound, [shape.outputs]));
        Ok(Conv { name, weight, bias, stride: shape.stride })
    }
}

/// Weights from a file.
pub(crate) struct StoredConvs<'a> {
    pub(crate) weights: &'a Weights,
    pub(crate) device: &'a Device,
}

impl ConvSource for StoredConvs<'_> {
    fn conv(&mut self, name: String, shape: ConvShape) -> Result<Conv> {
        let weight = self.weights.tensor(&format!("{name}.weight"), shape.weight(), self.device)?;
        let bias_of = || self.weights.tensor(&format!("{name}.bias"), [shape.outputs], self.device);
        let bias = shape.bias.then(bias_of).transpose()?;
        Ok(Conv { name, weight, bias, stride: shape.stride })
    }
}
