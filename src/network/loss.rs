//! The dual regression loss (equation 1 of the TPAMI paper; multi-level form of the published trainer).

use burn::tensor::Tensor;

use crate::Model;

/// L1 means in gray levels, level by level, each a tensor [1] that gradients can be taken of.
#[derive(Clone, Debug)]
pub struct DualRegressionLoss {
    /// `mean |sr_k - I_k|` for each picture that the network gives.
    pub primal: Vec<Tensor<1>>,
    /// `mean |D_k(sr_{k+1}) - I_k|` for each dual model; empty if lambda is 0.
    pub dual: Vec<Tensor<1>>,
    /// `sum primal + lambda * sum dual`.
    pub total: Tensor<1>,
}

/// The loss of pictures `sr` and their dual reconstructions against the pyramid `targets`.
///
/// `sr` holds the pictures [N, 3, ., .] that the network of `model` gives ([`crate::Network::forward`]), `targets` those of
/// the scales of [`crate::Graph::pyramid`] (`targets[0]` is the network's input). With `lambda` 0 the dual models are not run.
///
/// # Panics
/// If the numbers of pictures disagree.
pub fn dual_regression_loss(
    sr: &[Tensor<4>],
    targets: &[Tensor<4>],
    model: &Model,
    lambda: f64,
) -> DualRegressionLoss {
    let (pyramid, outputs) = (model.pyramid(), model.primal.graph().outputs());
    assert_eq!(pyramid.len(), targets.len(), "one target a scale");
    assert_eq!(sr.len(), outputs.len(), "one picture an output");
    let target = |scale: usize| &targets[pyramid.iter().position(|&known| known == scale).expect("a scale of it")];
    let picture = |scale: usize| &sr[outputs.iter().position(|output| output.scale == scale).expect("a scale of it")];
    let mean_l1 = |a: &Tensor<4>, b: &Tensor<4>| (a.clone() - b.clone()).abs().mean();
    let primal: Vec<_> = sr.iter().zip(outputs).map(|(sr, output)| mean_l1(sr, target(output.scale))).collect();
    let mut total = sum(&primal);
    let mut dual = Vec::new();
    if lambda != 0.0 && !model.duals.is_empty() {
        dual = model
            .duals
            .iter()
            .map(|dual| mean_l1(&dual.forward(picture(dual.from).clone()), target(dual.to)))
            .collect();
        total = total + sum(&dual) * lambda;
    }
    DualRegressionLoss { primal, dual, total }
}

fn sum(terms: &[Tensor<1>]) -> Tensor<1> {
    terms.iter().cloned().reduce(|a, b| a + b).expect("at least one level")
}
