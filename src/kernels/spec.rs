//! What is to be computed, apart from the tensors.

use burn::tensor::Shape;

/// The function applied to each output sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Activation {
    /// None.
    #[default]
    Identity,
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, `slope * x` elsewhere. The slope must be positive: the backward pass takes the sign of
    /// the input from the output.
    LeakyRelu(f32),
}

impl Activation {
    /// Derivative at an input whose output is `output`.
    #[inline(always)]
    pub(crate) fn derivative(self, output: f32) -> f32 {
        match self {
            Self::Identity => 1.0,
            Self::Relu if output > 0.0 => 1.0,
            Self::Relu => 0.0,
            Self::LeakyRelu(_) if output > 0.0 => 1.0,
            Self::LeakyRelu(slope) => slope,
        }
    }
}

/// A convolution with padding that keeps the size at stride 1 (`kernel / 2`), followed by an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConvSpec {
    /// Step between outputs in both directions.
    pub stride: usize,
    /// Function applied to the result.
    pub activation: Activation,
}

impl Default for ConvSpec {
    fn default() -> Self {
        Self { stride: 1, activation: Activation::Identity }
    }
}

impl ConvSpec {
    /// The same convolution followed by `activation`.
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// Shape of what `weight` [O, C, K, K] makes of `x` [N, C, H, W].
    pub(crate) fn output_shape(self, x: &Shape, weight: &Shape) -> Shape {
        let side = |axis: usize| self.output_side(x[axis], weight[2]);
        Shape::from([x[0], weight[0], side(2), side(3)])
    }

    /// Side of the output for a side of the input and a kernel.
    pub(crate) fn output_side(self, input: usize, kernel: usize) -> usize {
        (input + 2 * (kernel / 2) - kernel) / self.stride + 1
    }
}

/// The gradients that a backward pass has to compute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// With respect to the input.
    pub input: bool,
    /// With respect to weight and bias.
    pub weights: bool,
}

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

/// How two values are combined, sample by sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Combination {
    /// `x + other`.
    Add,
    /// `x - other`.
    Sub,
    /// `x * other`.
    Mul,
    /// `x / other`.
    Div,
    /// `x * (sigmoid(other) + offset)`.
    Gate(f32),
}
