//! Functions of each sample.

use serde::{Deserialize, Serialize};

use crate::Activation;

/// A function that a network applies to each sample.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Function {
    /// `max(x, 0)`.
    Relu,
    /// `x` where positive, `slope * x` elsewhere.
    LeakyRelu(f32),
    /// `1 / (1 + e^-x)`.
    Sigmoid,
    /// `x * sigmoid(x)`, also called swish.
    Silu,
    /// `x * Phi(x)` with the normal distribution's Phi.
    Gelu,
    /// GELU by its approximation with tanh.
    GeluTanh,
    /// `x * tanh(ln(1 + e^x))`.
    Mish,
    /// `tanh(x)`.
    Tanh,
    /// Between two bounds.
    Clip(f32, f32),
    /// `x * clip(x / 6 + 1 / 2, 0, 1)`.
    HardSwish,
    /// `clip(slope * x + offset, 0, 1)`.
    HardSigmoid(f32, f32),
    /// The square root.
    Sqrt,
    /// The absolute value.
    Abs,
    /// The error function.
    Erf,
    /// `ln(1 + e^x)`.
    Softplus,
}

impl Function {
    /// What convolutions do in the same pass, if it is one of their activations.
    pub fn fused(self) -> Option<Activation> {
        match self {
            Self::Relu => Some(Activation::Relu),
            Self::LeakyRelu(slope) if slope > 0.0 => Some(Activation::LeakyRelu(slope)),
            _ => None,
        }
    }

    /// Whether its numbers are.
    pub fn is_finite(self) -> bool {
        match self {
            Self::LeakyRelu(slope) => slope.is_finite(),
            Self::Clip(low, high) => low <= high,
            Self::HardSigmoid(slope, offset) => slope.is_finite() && offset.is_finite(),
            _ => true,
        }
    }

    /// Its usual name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Relu => "ReLU",
            Self::LeakyRelu(_) => "leaky ReLU",
            Self::Sigmoid => "sigmoid",
            Self::Silu => "SiLU",
            Self::Gelu | Self::GeluTanh => "GELU",
            Self::Mish => "Mish",
            Self::Tanh => "tanh",
            Self::Clip(..) => "clipping",
            Self::HardSwish => "hard swish",
            Self::HardSigmoid(..) => "hard sigmoid",
            Self::Sqrt => "square root",
            Self::Abs => "absolute value",
            Self::Erf => "error function",
            Self::Softplus => "softplus",
        }
    }
}
