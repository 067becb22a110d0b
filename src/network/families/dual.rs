//! Dual models D: high to low resolution (CVPR 2020, section 3.1).
//!
//! A dual model is learned together with the primal network and sees what a real down-sampling would have to give: if
//! D(P(x)) is not x, P has changed the picture.

use super::LEAKY;
use crate::{
    Result,
    graph::{Builder, ConvOp, Graph, Op, Output},
};

/// One dual model that reduces the sides by `factor` in a single jump, as the TPAMI paper has it for other networks:
/// strided convolutions and a last one, without bias, `width` channels between them. A factor of 3 is one convolution of
/// 5x5.
///
/// # Errors
/// If `factor` is neither a power of two nor 3, or the width is 0.
pub fn single(factor: usize, width: usize) -> Result<Graph> {
    let mut graph = Builder::new(3);
    let mut x = 0;
    let steps: Vec<ConvOp> = match factor {
        3 => vec![ConvOp { padding: [1; 4], ..ConvOp::new(width, 5).strided(3).unbiased() }],
        _ if factor.is_power_of_two() && factor > 1 => {
            vec![ConvOp::new(width, 3).strided(2).unbiased(); factor.ilog2() as usize]
        }
        _ => return Err(crate::NetworkError::Architecture(format!("a dual model for scale {factor}"))),
    };
    for (step, conv) in steps.iter().enumerate() {
        x = graph.add(format!("dual_module.{step}.0"), Op::Conv(*conv), &[x]);
        x = graph.activation(LEAKY, x);
    }
    x = graph.add(format!("dual_module.{}", steps.len()), Op::Conv(ConvOp::new(3, 3).unbiased()), &[x]);
    graph.finish(vec![Output::reduced(x, factor)])
}

/// A dual model for each step of `scales` (ascending, beginning with 1), each as [`single`]; `widths` of them one a step.
///
/// # Errors
/// As [`single`].
pub fn chain(scales: &[usize], width: usize) -> Result<Vec<Graph>> {
    scales.windows(2).map(|step| single(step[1] / step[0], width)).collect()
}
