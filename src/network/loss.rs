//! The dual regression loss (equation 1 of the TPAMI paper; multi-level form of the published trainer).

use burn::tensor::Tensor;

/// L1 means in gray levels, level by level, each a tensor [1] that gradients can be taken of.
#[derive(Clone, Debug)]
pub struct DualRegressionLoss {
    /// `mean |sr_k - I_k|` for k = 0 … K.
    pub primal: Vec<Tensor<1>>,
    /// `mean |D_k(sr_{k+1}) - I_k|` for k = 0 … K - 1; empty if lambda is 0.
    pub dual: Vec<Tensor<1>>,
    /// `sum primal + lambda * sum dual`.
    pub total: Tensor<1>,
}

/// The loss of pictures `sr` and their dual reconstructions against the pyramid `targets`.
///
/// `sr` holds K + 1 pictures [N, 3, ., .] as given by [`crate::Drn::forward`], `targets` the pictures of the same
/// sizes (`targets[0]` is the network's input), `duals` the dual models. With `lambda` 0 the dual models are not run.
///
/// # Panics
/// If the numbers of levels disagree.
pub fn dual_regression_loss(
    sr: &[Tensor<4>],
    targets: &[Tensor<4>],
    duals: &[crate::DualModel],
    lambda: f64,
) -> DualRegressionLoss {
    assert_eq!(sr.len(), targets.len(), "one target a level");
    assert_eq!(sr.len(), duals.len() + 1, "one dual model between levels");
    let mean_l1 = |a: &Tensor<4>, b: &Tensor<4>| (a.clone() - b.clone()).abs().mean();
    let primal: Vec<_> = sr.iter().zip(targets).map(|(sr, target)| mean_l1(sr, target)).collect();
    let mut total = sum(&primal);
    let mut dual = Vec::new();
    if lambda != 0.0 {
        dual = duals.iter().enumerate().map(|(k, d)| mean_l1(&d.forward(sr[k + 1].clone()), &targets[k])).collect();
        total = total + sum(&dual) * lambda;
    }
    DualRegressionLoss { primal, dual, total }
}

fn sum(terms: &[Tensor<1>]) -> Tensor<1> {
    terms.iter().cloned().reduce(|a, b| a + b).expect("at least one level")
}
