//! Greedy selection by the gradient at zero weight (section 4.3).
//!
//! The consumer starts without any channel. Again and again the channels whose weights, at zero, the loss
//! `L_M + gamma L_DR` would change fastest are let in with their original weights, and the layer is optimised with what
//! it has. `L_M` is the mean squared error of the consumer's output against the original network's, `L_DR` the dual
//! regression loss at the end of the network.

use burn::tensor::{Tensor, TensorData};
use dualres_network::{Model, Weight, dual_regression_loss};

use super::{Batch, Chosen, Site};
use crate::{
    CompressionError, Losses, Result,
    mixture::descending,
    objective::{self, values},
    parameters::{self, Named, replaced},
    surgery::columns_of,
};

/// Momentum of the layer's optimisation.
const MOMENTUM: f64 = 0.9;
/// How often a learning rate that makes things worse is halved before the layer is left as it is.
const HALVINGS: usize = 6;

/// The consumer while its channels are chosen.
#[derive(Clone)]
struct Layer {
    /// [O, C, K, K], zero where a channel is not chosen.
    kernel: Tensor<4>,
    /// [O]
    bias: Option<Tensor<1>>,
}

/// `None` if `tick` said stop.
pub(super) fn greedy(site: &Site, tick: &mut dyn FnMut() -> bool) -> Result<Option<Chosen>> {
    let name = site.consumer();
    let named = parameters::collect(site.work, |parameter| {
        parameter.strip_suffix(".weight").or(parameter.strip_suffix(".bias")) == Some(&name)
    });
    let original = named.kernels.into_values().next().expect("every unit has a consumer");
    let [_, channels, _, _] = original.dims();
    let mut layer = Layer { kernel: original.zeros_like(), bias: named.biases.into_values().next() };
    let mut kept: Vec<usize> = Vec::with_capacity(site.count);
    let mut scores = vec![0.0; channels];
    let mut warnings = Vec::new();
    let mut lr = site.settings.lr;
    let mut losses = None;
    let constant = parameters::constant(site.work);
    let mut step = 0;
    while kept.len() < site.count {
        let fresh = site.fresh.map(|fresh| fresh(step)).transpose()?;
        let batches = fresh.as_deref().unwrap_or(site.batches);
        step += 1;
        let mut gradient: Option<Tensor<4>> = None;
        for batch in batches {
            if !tick() {
                return Ok(None);
            }
            let (_, kernel, _) = gradients(site, &constant, &layer, batch);
            gradient = Some(match gradient {
                Some(sum) => sum + kernel,
                None => kernel,
            });
        }
        let Some(gradient) = gradient else { break };
        let judged = channel_scores(&gradient);
        let take = site.settings.channels_per_step.min(site.count - kept.len());
        let mut best = next(&judged, &kept, take);
        if best.is_empty() {
            // Gradients that are no numbers tell nothing; the norm of the weights still does.
            warnings.push(format!("{name}: the gradient is no number, channels are taken by their norm"));
            best = next(&crate::mixture::channel_norms(&original), &kept, take);
        }
        if best.is_empty() {
            return Err(CompressionError::NotFinite(format!("the network at {name}")));
        }
        for &channel in &best {
            // A state is JSON, which has no numbers that are none.
            scores[channel] = if judged[channel].is_finite() { f64::from(judged[channel]) } else { 0.0 };
        }
        kept.extend(best);
        // Warm start: what was optimised stays, what is new comes with its original weights.
        let newcomers = mask(&kept[kept.len() - take..], channels, site);
        layer.kernel = layer.kernel.clone() + original.clone() * newcomers;
        let mask = mask(&kept, channels, site);
        losses = Some(optimise(site, &constant, &mut layer, &mask, batches, &mut lr)?);
    }
    kept.sort_unstable();
    let kernel = to_weight(&layer.kernel);
    if kernel.values.iter().any(|value| !value.is_finite()) {
        return Err(CompressionError::NotFinite(format!("the selection for {name}")));
    }
    let kernel = columns_of(&kernel, &kept);
    let bias = layer.bias.as_ref().map(to_weight);
    Ok(Some(Chosen { kept, kernel, bias, scores, losses, warnings }))
}

/// The best `take` channels that are not chosen yet. Never one that is, and never one without a number.
fn next(scores: &[f32], kept: &[usize], take: usize) -> Vec<usize> {
    let order = descending(scores).into_iter();
    let left = order.filter(|channel| !kept.contains(channel) && scores[*channel].is_finite());
    let found: Vec<usize> = left.take(take).collect();
    if found.len() < take { Vec::new() } else { found }
}

/// The score of each channel of a gradient [O, C, K, K]: the Frobenius norm over each kernel, summed over outputs.
fn channel_scores(gradient: &Tensor<4>) -> Vec<f32> {
    values(&gradient.clone().square().sum_dim(3).sum_dim(2).sqrt().sum_dim(0))
}

/// [1, C, 1, 1]: 1 for the channels of a list.
fn mask(kept: &[usize], channels: usize, site: &Site) -> Tensor<4> {
    let mut mask = vec![0.0_f32; channels];
    kept.iter().for_each(|&channel| mask[channel] = 1.0);
    Tensor::from_data(TensorData::new(mask, [1, channels, 1, 1]), site.device)
}

fn to_weight<const D: usize>(tensor: &Tensor<D>) -> Weight {
    Weight { shape: tensor.dims().to_vec(), values: values(tensor) }
}

fn with_layer(model: &Model, site: &Site, kernel: Tensor<4>, bias: Option<Tensor<1>>) -> Model {
    let name = site.consumer();
    let mut named = Named::default();
    named.kernels.insert(format!("{name}.weight"), kernel);
    if let Some(bias) = bias {
        named.biases.insert(format!("{name}.bias"), bias);
    }
    replaced(model, &named)
}

/// The consumer's output and the pictures of all levels.
fn forward(
    model: &Model,
    site: &Site,
    batch: &Batch,
    lift: impl Fn(Tensor<4>) -> Tensor<4>,
) -> (Tensor<4>, Vec<Tensor<4>>) {
    let mut features = None;
    let mut pass = batch.pass.clone().map(lift);
    for unit in site.unit..model.description.architecture.widths.len() {
        let mut probe = |_: &Tensor<4>, output: &Tensor<4>| {
            if unit == site.unit {
                features = Some(output.clone());
            }
        };
        pass = model.primal.pass_unit(pass, unit, Some(&mut probe));
    }
    (features.expect("the unit was passed"), pass.pictures())
}

/// Loss, and its gradients with respect to kernel and bias of the consumer.
fn gradients(site: &Site, constant: &Model, layer: &Layer, batch: &Batch) -> (Losses, Tensor<4>, Option<Tensor<1>>) {
    let kernel = Tensor::from_inner(layer.kernel.clone()).require_grad();
    let bias = layer.bias.clone().map(|bias| Tensor::from_inner(bias).require_grad());
    let model = with_layer(constant, site, kernel.clone(), bias.clone());
    let (features, pictures) = forward(&model, site, batch, Tensor::from_inner);
    let targets: Vec<Tensor<4>> = batch.targets.iter().cloned().map(Tensor::from_inner).collect();
    let loss = dual_regression_loss(&pictures, &targets, &model.duals, site.settings.lambda);
    let losses = objective::read(&loss);
    let matching = (features - Tensor::from_inner(batch.wanted.clone())).square().mean();
    let gradients = (matching + loss.total * site.settings.gamma).backward();
    let kernel_gradient = kernel.grad(&gradients).unwrap_or_else(|| layer.kernel.zeros_like());
    (losses, kernel_gradient, bias.and_then(|bias| bias.grad(&gradients)))
}

/// Mean of `L_M + gamma L_DR` over the batches, and of the dual regression loss alone, without gradients.
fn measure(site: &Site, layer: &Layer, batches: &[Batch]) -> (f64, Losses) {
    let model = with_layer(site.work, site, layer.kernel.clone(), layer.bias.clone());
    let mut all = Vec::new();
    let mut objective_sum = 0.0;
    for batch in batches {
        let (features, pictures) = forward(&model, site, batch, |tensor| tensor);
        let (losses, _) = objective::measure(&pictures, &batch.targets, &model, site.settings.lambda);
        let matching = f64::from(values(&(features - batch.wanted.clone()).square().mean())[0]);
        objective_sum += matching + site.settings.gamma * losses.total;
        all.push(losses);
    }
    (objective_sum / batches.len().max(1) as f64, Losses::mean(&all))
}

/// One epoch of Nesterov's accelerated gradient over the batches on the chosen channels and the bias. If it does not
/// lower the loss it is undone and the learning rate halved, for this and all later steps of the unit.
fn optimise(
    site: &Site,
    constant: &Model,
    layer: &mut Layer,
    mask: &Tensor<4>,
    batches: &[Batch],
    lr: &mut f64,
) -> Result<Losses> {
    let (before, start) = measure(site, layer, batches);
    for _ in 0..HALVINGS {
        let mut tried = layer.clone();
        let mut kernel_velocity = tried.kernel.zeros_like();
        let mut bias_velocity = tried.bias.as_ref().map(Tensor::zeros_like);
        for batch in batches {
            let (_, kernel, bias) = gradients(site, constant, &tried, batch);
            let kernel = kernel * mask.clone();
            kernel_velocity = kernel_velocity * MOMENTUM + kernel.clone();
            tried.kernel = tried.kernel - (kernel + kernel_velocity.clone() * MOMENTUM) * *lr;
            if let (Some(weights), Some(gradient), Some(velocity)) = (&mut tried.bias, bias, &mut bias_velocity) {
                *velocity = velocity.clone() * MOMENTUM + gradient.clone();
                *weights = weights.clone() - (gradient + velocity.clone() * MOMENTUM) * *lr;
            }
        }
        let (after, losses) = measure(site, &tried, batches);
        if after < before {
            *layer = tried;
            return Ok(losses);
        }
        *lr *= 0.5;
    }
    if start.is_finite() {
        Ok(start)
    } else {
        Err(CompressionError::NotFinite(format!("the selection for {}", site.consumer())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_channel_is_taken_twice_and_none_without_a_number() {
        let scores = [0.5, f32::NAN, 0.9, 0.7, f32::INFINITY];
        assert_eq!(next(&scores, &[2], 2), [3, 0]);
        assert_eq!(next(&scores, &[], 3), [2, 3, 0]);
        assert!(next(&scores, &[2, 3], 2).is_empty(), "fewer than asked for are none");
    }
}
