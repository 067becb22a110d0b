//! The dual regression loss as numbers, and PSNR on luma of tensors.

use burn::tensor::{Tensor, TensorData};
use dualres_network::{DualRegressionLoss, Model, Pooling, dual_regression_loss};
use serde::{Deserialize, Serialize};

/// The dual regression loss in gray levels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Losses {
    /// Sum of the primal terms.
    pub primal: f64,
    /// Sum of the dual terms before weighting. Measured without weight as well, where that costs nothing.
    pub dual: f64,
    /// What is minimised.
    pub total: f64,
}

impl Losses {
    /// The same terms with another weight of the dual loss.
    pub(crate) fn weighted(primal: f64, dual: f64, lambda: f64) -> Self {
        Self { primal, dual, total: primal + lambda * dual }
    }

    pub(crate) fn mean(of: &[Self]) -> Self {
        let count = of.len().max(1) as f64;
        let mean = |get: fn(&Self) -> f64| of.iter().map(get).sum::<f64>() / count;
        Self { primal: mean(|l| l.primal), dual: mean(|l| l.dual), total: mean(|l| l.total) }
    }

    pub(crate) fn is_finite(self) -> bool {
        self.total.is_finite() && self.dual.is_finite()
    }
}

/// The terms of a loss, in one read.
pub(crate) fn read(loss: &DualRegressionLoss) -> Losses {
    let terms: Vec<Tensor<1>> = loss.primal.iter().chain(&loss.dual).chain([&loss.total]).cloned().collect();
    let terms = values(&Tensor::cat(terms, 0));
    let (primal, rest) = terms.split_at(loss.primal.len());
    let (dual, total) = rest.split_at(loss.dual.len());
    Losses { primal: sum(primal), dual: sum(dual), total: f64::from(total[0]) }
}

/// Losses of pictures at every level against their targets, and Y-PSNR of the last, without recording gradients. The
/// dual terms are measured even where `lambda` is 0.
pub(crate) fn measure(pictures: &[Tensor<4>], targets: &[Tensor<4>], model: &Model, lambda: f64) -> (Losses, f64) {
    // The weight 1 makes the terms be computed; they are weighted here.
    let measured = read(&dual_regression_loss(pictures, targets, model, 1.0));
    let psnr = match (pictures.last(), targets.last()) {
        (Some(picture), Some(target)) => psnr_y(picture, target),
        _ => f64::NAN,
    };
    (Losses::weighted(measured.primal, measured.dual, lambda), psnr)
}

/// [`measure`] of a whole forward pass.
pub(crate) fn measure_model(model: &Model, targets: &[Tensor<4>], lambda: f64) -> (Losses, f64) {
    let pictures = model.primal.forward(targets[0].clone(), Pooling::Global);
    measure(&pictures, targets, model, lambda)
}

/// PSNR in dB on BT.601 luma of patches [N, 3, H, W] in `[0, 255]`, of the mean squared error over all of them. Neither
/// rounded nor shaved: a measure to compare networks by, not the rule of the benchmarks.
pub(crate) fn psnr_y(picture: &Tensor<4>, target: &Tensor<4>) -> f64 {
    let weights = TensorData::new(vec![65.481_f32 / 255.0, 128.553 / 255.0, 24.966 / 255.0], [1, 3, 1, 1]);
    let weights: Tensor<4> = Tensor::from_data(weights, &picture.device());
    let luma = ((picture.clone().clamp(0.0, 255.0) - target.clone()) * weights).sum_dim(1);
    let error = f64::from(values(&luma.square().mean())[0]);
    10.0 * (255.0 * 255.0 / error).log10()
}

/// The values of a tensor in row-major order.
pub(crate) fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().convert::<f32>().try_into_vec::<f32>().expect("converted to f32")
}

fn sum(terms: &[f32]) -> f64 {
    terms.iter().map(|&term| f64::from(term)).sum()
}
