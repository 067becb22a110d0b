//! The dual regression loss (equation 1 of the TPAMI paper; multi-level form of the published trainer).

use burn::tensor::Tensor;

use crate::Model;

/// L1 means in gray levels, level by level, each a tensor [1] that gradients can be taken of.
#[derive(Clone, Debug)]
pub struct DualRegressionLoss {
    /// `mean |sr_k - I_k|` for each picture that the network gives.
    pub primal: Vec<Tensor<1>>,
    /// `mean |D_k(sr_{k+1}) - I_k|` for each dual model that leads to a picture of the pyramid; empty if lambda is 0.
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
pub fn dual_regression_loss(sr: &[Tensor<4>], targets: &[Tensor<4>], model: &Model, lambda: f64) -> DualRegressionLoss {
    let (pyramid, outputs) = (model.pyramid(), model.primal.graph().outputs());
    assert_eq!(pyramid.len(), targets.len(), "one target a scale");
    assert_eq!(sr.len(), outputs.len(), "one picture an output");
    let target = |scale: usize| pyramid.iter().position(|&known| known == scale).map(|place| &targets[place]);
    let picture = |scale: usize| outputs.iter().position(|output| output.scale == scale).map(|place| sr[place].clone());
    let mean_l1 = |a: &Tensor<4>, b: &Tensor<4>| (a.clone() - b.clone()).abs().mean();
    let primal: Vec<_> = sr
        .iter()
        .zip(outputs)
        .map(|(sr, output)| mean_l1(sr, target(output.scale).expect("a pyramid has the scales of all outputs")))
        .collect();
    let mut total = sum(&primal);
    let mut dual = Vec::new();
    if lambda != 0.0 && !model.duals.is_empty() {
        // Where the network gives no picture of a scale, a dual model goes on with what the one above it has given.
        let mut back: Option<Tensor<4>> = None;
        for model in model.duals.iter().rev() {
            let from = picture(model.from).or(back).expect("dual models begin with the result");
            let given = model.forward(from);
            dual.extend(target(model.to).map(|target| mean_l1(&given, target)));
            back = Some(given);
        }
        dual.reverse();
        total = total + sum(&dual) * lambda;
    }
    DualRegressionLoss { primal, dual, total }
}

/// The dual regression loss of pictures that nobody knows the truth of (CVPR 2020, section 3.3): `mean |D(sr) - input|`, of the
/// network's result `sr` [N, 3, sH, sW] led back through all dual models, one after the other, to the input's size
/// [N, 3, H, W]. A loss between the levels would need pictures of sizes that do not exist.
///
/// # Panics
/// If the model has no dual models.
pub fn unpaired_dual_loss(sr: Tensor<4>, input: &Tensor<4>, model: &Model) -> Tensor<1> {
    assert!(!model.duals.is_empty(), "something has to lead back");
    let back = model.duals.iter().rev().fold(sr, |picture, dual| dual.forward(picture));
    (back - input.clone()).abs().mean()
}

fn sum(terms: &[Tensor<1>]) -> Tensor<1> {
    terms.iter().cloned().reduce(|a, b| a + b).expect("at least one level")
}
