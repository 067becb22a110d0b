//! The gradient of alpha, first and second order.

use burn::tensor::Tensor;
use dualres_network::{Model, Pooling, dual_regression_loss};

use crate::{Losses, mixture::SearchSpace, objective, parameters};

/// Weight decay within the virtual step of the weights, as published.
const VIRTUAL_DECAY: f64 = 3e-4;
/// How far the finite difference goes along its direction, as a share of the weights' norm. The published code goes
/// 0.01 whatever the weights are, which for gradients of gray levels drowns in the rounding of 32-bit floats.
const DIFFERENCE: f64 = 0.01;

/// `d L / d alpha` of the super-network on a batch, and the losses. Everything is on the device without gradients.
pub(super) fn of_alpha(
    space: &SearchSpace,
    model: &Model,
    alpha: &Tensor<1>,
    batch: &[Tensor<4>],
    lambda: f64,
) -> (Tensor<1>, Losses) {
    let leaf = Tensor::from_inner(alpha.clone()).require_grad();
    let mixed = space.mixed(&parameters::constant(model), &leaf);
    let targets: Vec<Tensor<4>> = batch.iter().cloned().map(Tensor::from_inner).collect();
    let pictures = mixed.primal.forward(targets[0].clone(), Pooling::Global);
    let loss = dual_regression_loss(&pictures, &targets, &mixed, lambda);
    let losses = objective::read(&loss);
    let gradients = loss.total.backward();
    (leaf.grad(&gradients).unwrap_or_else(|| alpha.zeros_like()), losses)
}

/// `d L / d w` of the super-network, weights of primal network and dual models alike, in the form of a model.
fn of_weights(space: &SearchSpace, model: &Model, alpha: &Tensor<1>, batch: &[Tensor<4>], lambda: f64) -> Model {
    let leaves = parameters::leaves(model);
    let mixed = space.mixed(&leaves, &Tensor::from_inner(alpha.clone()));
    let targets: Vec<Tensor<4>> = batch.iter().cloned().map(Tensor::from_inner).collect();
    let pictures = mixed.primal.forward(targets[0].clone(), Pooling::Global);
    let loss = dual_regression_loss(&pictures, &targets, &mixed, lambda);
    parameters::gradients(&leaves, &loss.total.backward())
}

/// `d/d alpha L_alpha(w'(alpha), alpha)` with the virtual step `w' = w - eta (d L_w / d w + decay w)`: what alpha does
/// to the loss directly, and through one step of the weights (equation 7 of DARTS).
///
/// `w'` holds dual models as well, fresh at each step. The published code keeps its first copy of them, and multiplies
/// the second term by `eps^2` by a misplaced parenthesis, which makes it first order in effect.
pub(super) fn second_order(
    space: &SearchSpace,
    model: &Model,
    alpha: &Tensor<1>,
    alpha_batch: &[Tensor<4>],
    weight_batch: &[Tensor<4>],
    lambda: f64,
    eta: f64,
) -> Tensor<1> {
    let step = of_weights(space, model, alpha, weight_batch, lambda);
    let virtual_model = parameters::moved(&parameters::moved(model, &step, -eta), model, -eta * VIRTUAL_DECAY);
    let (direct, _) = of_alpha(space, &virtual_model, alpha, alpha_batch, lambda);
    let direction = of_weights(space, &virtual_model, alpha, alpha_batch, lambda);
    direct - hessian_vector_product(space, model, alpha, weight_batch, lambda, &direction, DIFFERENCE) * eta
}

/// `d^2 L / (d alpha d w) v` by a central difference along `direction`, `share` of the weights' norm long:
/// `(d L / d alpha (w + eps v) - d L / d alpha (w - eps v)) / (2 eps)` with `eps = share ||w|| / ||v||`.
fn hessian_vector_product(
    space: &SearchSpace,
    model: &Model,
    alpha: &Tensor<1>,
    batch: &[Tensor<4>],
    lambda: f64,
    direction: &Model,
    share: f64,
) -> Tensor<1> {
    let norm = parameters::norm(direction);
    if norm == 0.0 {
        return alpha.zeros_like();
    }
    let eps = share * parameters::norm(model) / norm;
    let at = |factor: f64| of_alpha(space, &parameters::moved(model, direction, factor), alpha, batch, lambda).0;
    (at(eps) - at(-eps)) / (2.0 * eps)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use burn::tensor::{Device, TensorData};
    use dualres_network::{Architecture, Description};

    use crate::layers::Layers;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::objective::values;

    fn setting() -> (SearchSpace, Model, Tensor<1>, Vec<Tensor<4>>) {
        let device = Device::flex();
        let architecture = Architecture::new(2, 4, 1).unwrap();
        let model = Model::init(Description::drn("t", &architecture).unwrap(), 5, &device).unwrap();
        let candidates = architecture.widths.iter().map(|&width| vec![width / 2, width]).collect();
        let space = SearchSpace::new(&Layers::of(&model.description.network, false), candidates);
        let alpha = (0..space.len()).map(|i| 0.3 * (i as f32).sin()).collect::<Vec<_>>();
        // Nearly constant pictures far from what random weights give: no absolute value and hardly a rectifier is near
        // its kink, at which second derivatives are not what differences show.
        let mut random = ChaCha8Rng::seed_from_u64(6);
        let mut random = |side: usize| {
            let samples: Vec<f32> = (0..6 * side * side).map(|_| random.random_range(-1100.0..-1000.0)).collect();
            Tensor::from_data(TensorData::new(samples, [2, 3, side, side]), &device)
        };
        (space.clone(), model, Tensor::from_data(alpha.as_slice(), &device), vec![random(12), random(24)])
    }

    /// Against the other order of differentiation: the change of the weights' gradient as one alpha changes, projected
    /// on the direction.
    #[test]
    fn the_hessian_vector_product_is_that_of_brute_force() {
        let (space, model, alpha, batch) = setting();
        let direction = of_weights(&space, &model, &alpha, &batch, 0.1);
        let found = values(&hessian_vector_product(&space, &model, &alpha, &batch, 0.1, &direction, DIFFERENCE));
        let host = values(&alpha);
        let dot = |gradient: &Model| {
            let (a, b) = (gradient.weights(), direction.weights());
            let products = |(name, weight): (&String, &dualres_network::Weight)| {
                weight.values.iter().zip(&b.0[name].values).map(|(a, b)| f64::from(a * b)).sum::<f64>()
            };
            a.0.iter().map(products).sum::<f64>()
        };
        let step = 0.02_f32;
        let brute: Vec<f64> = (0..host.len())
            .map(|index| {
                let at = |by: f32| {
                    let mut moved = host.clone();
                    moved[index] += by;
                    let moved = Tensor::from_data(moved.as_slice(), &alpha.device());
                    dot(&of_weights(&space, &model, &moved, &batch, 0.1))
                };
                (at(step) - at(-step)) / f64::from(2.0 * step)
            })
            .collect();
        let largest = brute.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        assert!(largest > 0.0);
        for (found, brute) in found.iter().zip(&brute) {
            assert!((f64::from(*found) - brute).abs() < 0.02 * largest, "{found} {brute} of {largest}");
        }
    }

    /// Against differences of what it is the gradient of: the loss after one step of the weights, which depends on alpha
    /// as well.
    #[test]
    fn the_second_order_is_the_gradient_through_a_step() {
        let (space, model, alpha, batch) = setting();
        let eta = 0.02;
        let found = values(&second_order(&space, &model, &alpha, &batch, &batch, 0.1, eta));
        let host = values(&alpha);
        let after_step = |alpha: &[f32]| {
            let alpha = Tensor::from_data(alpha, &model_device());
            let step = of_weights(&space, &model, &alpha, &batch, 0.1);
            let moved = parameters::moved(&parameters::moved(&model, &step, -eta), &model, -eta * VIRTUAL_DECAY);
            of_alpha(&space, &moved, &alpha, &batch, 0.1).1.total
        };
        let step = 0.05_f32;
        let brute: Vec<f64> = (0..host.len())
            .map(|index| {
                let at = |by: f32| {
                    let mut moved = host.clone();
                    moved[index] += by;
                    after_step(&moved)
                };
                (at(step) - at(-step)) / f64::from(2.0 * step)
            })
            .collect();
        let first = values(&of_alpha(&space, &model, &alpha, &batch, 0.1).0);
        let norm = |v: &[f64]| v.iter().map(|x| x * x).sum::<f64>().sqrt();
        let gap = |a: &[f32]| norm(&a.iter().zip(&brute).map(|(a, b)| f64::from(*a) - b).collect::<Vec<_>>());
        assert!(gap(&found) < 0.1 * norm(&brute), "{found:?} {brute:?}");
        assert!(gap(&first) > 3.0 * gap(&found), "the second term counts: {first:?} {found:?} {brute:?}");
    }

    fn model_device() -> Device {
        Device::flex()
    }

    #[test]
    fn without_dual_loss_the_dual_models_have_no_part_in_it() {
        let (space, model, alpha, batch) = setting();
        let gradient = of_weights(&space, &model, &alpha, &batch, 0.0).weights();
        let sum =
            |prefix: &str| gradient.under(prefix).0.values().flat_map(|w| &w.values).map(|v| v.abs()).sum::<f32>();
        assert_eq!(sum("dual."), 0.0);
        assert!(sum("model.") > 0.0);
    }
}
