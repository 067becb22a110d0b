//! Convolutions in numbers of 16 bits, for devices that have them.
//!
//! Only weights and inputs of convolutions, and what lies between them, are stored so: that is nearly all memory and work.
//! Sums of the picture itself, statistics and everything else are made in 32 bits, so that what is lost stays far below one
//! gray level.

use burn::tensor::{DType, FloatDType, Tensor};
use dualres_kernels::AttentionLayers;

use super::{Graph, Op, fuse::Action};

/// What the names of weights of convolutions begin with.
pub(super) fn convolutions(graph: &Graph) -> Vec<String> {
    let convolutions = graph.nodes().iter().filter(|node| matches!(&node.op, Op::Conv(_)));
    convolutions.map(|node| format!("{}.", node.name)).collect()
}

/// Weights in 16 bits, if they are of one of the `convolutions`.
pub(super) fn halved(name: &str, values: Tensor<1>, convolutions: &[String]) -> Tensor<1> {
    let is_of = |layer: &String| name.strip_prefix(layer).is_some_and(|role| !role.contains('.'));
    if convolutions.iter().any(is_of) { values.cast(FloatDType::F16) } else { values }
}

/// Brings what goes into a step to one precision: 16 bits for a convolution, and where all are and nothing is lost by it; else
/// 32.
pub(super) fn harmonised(action: &Action, op: &Op, inputs: Vec<Tensor<4>>) -> Vec<Tensor<4>> {
    let are_half = inputs.iter().all(|x| x.dtype() == DType::F16);
    let wanted = match convolves(action, op) {
        true => FloatDType::F16,
        false if are_half && keeps(action, op) => return inputs,
        false => FloatDType::F32,
    };
    inputs.into_iter().map(|x| if x.dtype() == DType::from(wanted) { x } else { x.cast(wanted) }).collect()
}

/// Whether a step is a convolution, whose weights are in 16 bits.
fn convolves(action: &Action, op: &Op) -> bool {
    match action {
        Action::Conv { .. } | Action::Join { .. } => true,
        Action::Op => matches!(op, Op::Conv(_)),
        _ => false,
    }
}

/// Whether a step moves, chooses or adds values and so keeps the precision that they have.
fn keeps(action: &Action, op: &Op) -> bool {
    match action {
        Action::ShuffleBeside | Action::AddScaled { .. } => true,
        Action::Op => matches!(
            op,
            Op::Activation(_)
                | Op::Binary(_)
                | Op::Concat
                | Op::Slice { .. }
                | Op::PixelShuffle(_)
                | Op::PixelUnshuffle(_)
                | Op::Crop(_)
                | Op::Pad { .. }
        ),
        _ => false,
    }
}

/// Values in 32 bits.
pub(super) fn single_values<const N: usize>(values: [Tensor<4>; N]) -> [Tensor<4>; N] {
    values.map(|x| if x.dtype() == DType::F32 { x } else { x.cast(FloatDType::F32) })
}

/// The layers of channel attention, which is made in 32 bits: it averages over many positions.
pub(super) fn single(layers: AttentionLayers) -> AttentionLayers {
    AttentionLayers {
        squeeze: layers.squeeze.cast(FloatDType::F32),
        squeeze_bias: layers.squeeze_bias.cast(FloatDType::F32),
        excite: layers.excite.cast(FloatDType::F32),
        excite_bias: layers.excite_bias.cast(FloatDType::F32),
    }
}

/// The product of two layers, made in 32 bits.
pub(super) fn joined(
    weights: [Tensor<4>; 2],
    biases: [Option<Tensor<1>>; 2],
    join: impl FnOnce([Tensor<4>; 2], [Option<Tensor<1>>; 2]) -> (Tensor<4>, Option<Tensor<1>>),
) -> (Tensor<4>, Option<Tensor<1>>) {
    let biases = biases.map(|bias| bias.map(|bias| bias.cast(FloatDType::F32)));
    let (weight, bias) = join(weights.map(|weight| weight.cast(FloatDType::F32)), biases);
    (weight.cast(FloatDType::F16), bias.map(|bias| bias.cast(FloatDType::F16)))
}
