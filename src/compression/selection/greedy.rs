//! Greedy selection by the gradient at zero weight (section 4.3).
//!
//! The consumer starts without any channel. Again and again the channels whose weights, at zero, the loss
//! `L_M + gamma L_DR` would change fastest are let in with their original weights, and the layer is optimised with what
//! it has. `L_M` is the mean squared error of the consumer's output against the original network's, `L_DR` the dual
//! regression loss at the end of the network.
//!
//! `gamma` is a share: of a gradient of `L_DR` as long as that of `L_M` before any channel is let in. Features are squared gray
//! levels and the dual regression loss is not, so that a fixed factor would drown one of them, in another network the other.
//! With compensation the layer is optimised in closed form ([`super::least_squares`]), else by Nesterov's accelerated gradient,
//! as published.

use burn::tensor::{Tensor, TensorData};
use dualres_network::{Model, Weight, dual_regression_loss, graph::Member};

use super::{Batch, Chosen, Site, least_squares::LeastSquares};
use crate::{
    CompressionError, Losses, Result,
    layers::weight_name,
    mixture::descending,
    objective::{self, values},
    parameters::{self, Named, replaced},
    surgery::{columns_of, spread},
};

/// Momentum of the layer's optimisation.
const MOMENTUM: f64 = 0.9;
/// How often a learning rate that makes things worse is halved before the layer is left as it is.
const HALVINGS: usize = 6;

/// The consumers while the layer's channels are chosen.
#[derive(Clone)]
struct Layer {
    /// The columns of each that are the layer's channels, [O, C, K, K], zero where one is not chosen.
    kernels: Vec<Tensor<4>>,
    /// [O] each, where there is one.
    biases: Vec<Option<Tensor<1>>>,
}

/// `None` if `tick` said stop.
pub(super) fn greedy(site: &Site, tick: &mut dyn FnMut() -> bool) -> Result<Option<Chosen>> {
    let name = &site.name;
    let channels = site.group.width;
    let members = &site.group.consumers;
    let original: Vec<Tensor<4>> = members
        .iter()
        .map(|member| parameters::kernel(site.work, &member.layer).narrow(1, member.offset, channels))
        .collect();
    let bias = |member: &Member| site.work.primal.parameter(&format!("{}.bias", member.layer)).map(|b| b.tensor());
    let biases = members.iter().map(bias).collect();
    let mut layer = Layer { kernels: original.iter().map(Tensor::zeros_like).collect(), biases };
    let mut kept: Vec<usize> = Vec::with_capacity(site.count);
    let mut scores = vec![0.0; channels];
    let mut warnings = Vec::new();
    let mut lr = site.settings.lr;
    let mut losses = None;
    let constant = parameters::constant(site.work);
    let mut step = 0;
    let mut squares = site.settings.compensate.then(|| LeastSquares::new(site));
    let mut terms = [1.0, site.settings.gamma];
    while kept.len() < site.count {
        let fresh = site.fresh.map(|fresh| fresh(step)).transpose()?;
        let batches = fresh.as_deref().unwrap_or(site.batches);
        if let Some(squares) = &mut squares
            && (step == 0 || fresh.is_some())
            && !squares.add(site, batches, tick)?
        {
            return Ok(None);
        }
        if step == 0 {
            let Some(features) = gradient_of(site, &constant, &layer, batches, [1.0, 0.0], tick) else {
                return Ok(None);
            };
            let Some(losses) = gradient_of(site, &constant, &layer, batches, [0.0, 1.0], tick) else { return Ok(None) };
            let (features, losses) = (norm(&features), norm(&losses));
            let ratio = if losses > 0.0 && features.is_finite() { features / losses } else { 1.0 };
            terms[1] = site.settings.gamma * if ratio.is_finite() && ratio > 0.0 { ratio } else { 1.0 };
        }
        step += 1;
        let Some(gradient) = gradient_of(site, &constant, &layer, batches, terms, tick) else { return Ok(None) };
        let judged = summed(gradient.iter().map(channel_scores));
        let take = site.settings.channels_per_step.min(site.count - kept.len());
        let mut best = next(&judged, &kept, take);
        if best.is_empty() {
            // Gradients that are no numbers tell nothing; the norm of the weights still does.
            warnings.push(format!("{name}: the gradient is no number, channels are taken by their norm"));
            best = next(&summed(original.iter().map(crate::mixture::channel_norms)), &kept, take);
        }
        if best.is_empty() {
            return Err(CompressionError::NotFinite(format!("the network at {name}")));
        }
        for &channel in &best {
            // A state is JSON, which has no numbers that are none.
            scores[channel] = if judged[channel].is_finite() { f64::from(judged[channel]) } else { 0.0 };
        }
        kept.extend(best);
        if let Some(squares) = &squares {
            layer = solved(squares, &kept, site);
            continue;
        }
        // Warm start: what was optimised stays, what is new comes with its original weights.
        let newcomers = mask(&kept[kept.len() - take..], channels, site);
        for (kernel, original) in layer.kernels.iter_mut().zip(&original) {
            *kernel = kernel.clone() + original.clone() * newcomers.clone();
        }
        let mask = mask(&kept, channels, site);
        losses = Some(optimise(site, &constant, &mut layer, &mask, batches, terms, &mut lr)?);
    }
    if squares.is_some() {
        losses = Some(measure(site, &layer, site.batches, terms).1);
    }
    kept.sort_unstable();
    let kernels: Vec<Weight> = layer.kernels.iter().map(to_weight).collect();
    if kernels.iter().flat_map(|kernel| &kernel.values).any(|value| !value.is_finite()) {
        return Err(CompressionError::NotFinite(format!("the selection for {name}")));
    }
    let kernels = kernels.iter().map(|kernel| columns_of(kernel, &kept)).collect();
    let biases = layer.biases.iter().map(|bias| bias.as_ref().map(to_weight)).collect();
    Ok(Some(Chosen { kept, kernels, biases, scores, losses, warnings }))
}

/// The layer with the channels `kept` in closed form, zero elsewhere.
fn solved(squares: &LeastSquares, kept: &[usize], site: &Site) -> Layer {
    let mut kept = kept.to_vec();
    kept.sort_unstable();
    let (mut kernels, mut biases) = (Vec::new(), Vec::new());
    for (part, bias) in squares.solve(&kept, None) {
        let mut full = Weight { shape: part.shape.clone(), values: Vec::new() };
        full.shape[1] = site.group.width;
        full.values = vec![0.0; full.shape.iter().product()];
        spread(&part, &kept, &mut full, 0, site.group.width);
        let shape: [usize; 4] = full.shape.as_slice().try_into().expect("a kernel");
        kernels.push(Tensor::from_data(TensorData::new(full.values, shape), site.device));
        biases.push(bias.map(|bias| Tensor::from_data(bias.values.as_slice(), site.device)));
    }
    Layer { kernels, biases }
}

/// The gradient of `terms[0] L_M + terms[1] L_DR` with respect to the kernels, summed over batches. `None` if `tick` said stop.
fn gradient_of(
    site: &Site,
    constant: &Model,
    layer: &Layer,
    batches: &[Batch],
    terms: [f64; 2],
    tick: &mut dyn FnMut() -> bool,
) -> Option<Vec<Tensor<4>>> {
    let mut sum: Option<Vec<Tensor<4>>> = None;
    for batch in batches {
        if !tick() {
            return None;
        }
        let (_, kernels, _) = gradients(site, constant, layer, batch, terms);
        sum = Some(match sum {
            Some(sum) => sum.into_iter().zip(kernels).map(|(sum, kernel)| sum + kernel).collect(),
            None => kernels,
        });
    }
    sum
}

/// Euclidean norm over all kernels.
fn norm(gradient: &[Tensor<4>]) -> f64 {
    gradient.iter().map(|kernel| f64::from(values(&kernel.clone().square().sum())[0])).sum::<f64>().sqrt()
}

/// Sums of scores, channel by channel.
fn summed(scores: impl Iterator<Item = Vec<f32>>) -> Vec<f32> {
    let add = |a: Vec<f32>, b: Vec<f32>| a.iter().zip(&b).map(|(a, b)| a + b).collect();
    scores.reduce(add).unwrap_or_default()
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

fn with_layer(model: &Model, site: &Site, kernels: &[Tensor<4>], biases: &[Option<Tensor<1>>]) -> Model {
    let mut named = Named::new();
    for ((member, kernel), bias) in site.group.consumers.iter().zip(kernels).zip(biases) {
        let full = parameters::kernel(model, &member.layer);
        let (inputs, width, end) = (full.dims()[1], site.group.width, member.offset + site.group.width);
        let mut columns = Vec::new();
        if member.offset > 0 {
            columns.push(full.clone().narrow(1, 0, member.offset));
        }
        columns.push(kernel.clone());
        if end < inputs {
            columns.push(full.narrow(1, end, inputs - end));
        }
        debug_assert_eq!(kernel.dims()[1], width, "as many columns as the layer has channels");
        let whole = if columns.len() == 1 { columns.swap_remove(0) } else { Tensor::cat(columns, 1) };
        let count: usize = whole.dims().iter().product();
        named.insert(weight_name(member), whole.reshape([count]));
        if let Some(bias) = bias {
            named.insert(format!("model.{}.bias", member.layer), bias.clone());
        }
    }
    replaced(model, &named)
}

/// The consumers' outputs and the pictures of all levels.
fn forward(
    model: &Model,
    site: &Site,
    batch: &Batch,
    lift: impl Fn(Tensor<4>) -> Tensor<4>,
) -> (Vec<Tensor<4>>, Vec<Tensor<4>>) {
    let outputs: Vec<usize> = site.group.consumers.iter().map(|member| member.node).collect();
    let pass = model.primal.advance(batch.pass.clone().map(lift), usize::MAX, &outputs);
    let value = |node: usize| pass.value(node).expect("kept").clone();
    let pictures = model.primal.graph().outputs().iter().map(|output| value(output.node)).collect();
    (outputs.into_iter().map(value).collect(), pictures)
}

/// How far the consumers' outputs are from those of the original network.
fn mismatch(outputs: Vec<Tensor<4>>, wanted: impl Iterator<Item = Tensor<4>>) -> Tensor<1> {
    let terms = outputs.into_iter().zip(wanted).map(|(output, wanted)| (output - wanted).square().mean());
    terms.reduce(|a, b| a + b).expect("every layer has a consumer")
}

/// Gradients of the consumers' biases, where they have one.
type BiasGradients = Vec<Option<Tensor<1>>>;

/// Loss, and its gradients with respect to kernels and biases of the consumers.
fn gradients(
    site: &Site,
    constant: &Model,
    layer: &Layer,
    batch: &Batch,
    [of_features, of_losses]: [f64; 2],
) -> (Losses, Vec<Tensor<4>>, BiasGradients) {
    let leaf = |tensor: &Tensor<4>| Tensor::from_inner(tensor.clone()).require_grad();
    let kernels: Vec<Tensor<4>> = layer.kernels.iter().map(leaf).collect();
    let biases: BiasGradients =
        layer.biases.iter().map(|bias| bias.clone().map(|bias| Tensor::from_inner(bias).require_grad())).collect();
    let model = with_layer(constant, site, &kernels, &biases);
    let (features, pictures) = forward(&model, site, batch, Tensor::from_inner);
    let targets: Vec<Tensor<4>> = batch.targets.iter().cloned().map(Tensor::from_inner).collect();
    let loss = dual_regression_loss(&pictures, &targets, &model, site.settings.lambda);
    let losses = objective::read(&loss);
    let matching = mismatch(features, batch.wanted.iter().cloned().map(Tensor::from_inner));
    let gradients = (matching * of_features + loss.total * of_losses).backward();
    let kernel_gradients = kernels
        .iter()
        .zip(&layer.kernels)
        .map(|(kernel, plain)| kernel.grad(&gradients).unwrap_or_else(|| plain.zeros_like()))
        .collect();
    (losses, kernel_gradients, biases.into_iter().map(|bias| bias.and_then(|bias| bias.grad(&gradients))).collect())
}

/// Mean of `terms[0] L_M + terms[1] L_DR` over the batches, and of the dual regression loss alone, without gradients.
fn measure(site: &Site, layer: &Layer, batches: &[Batch], terms: [f64; 2]) -> (f64, Losses) {
    let model = with_layer(site.work, site, &layer.kernels, &layer.biases);
    let mut all = Vec::new();
    let mut objective_sum = 0.0;
    for batch in batches {
        let (features, pictures) = forward(&model, site, batch, |tensor| tensor);
        let (losses, _) = objective::measure(&pictures, &batch.targets, &model, site.settings.lambda);
        let matching = f64::from(values(&mismatch(features, batch.wanted.iter().cloned()))[0]);
        objective_sum += terms[0] * matching + terms[1] * losses.total;
        all.push(losses);
    }
    (objective_sum / batches.len().max(1) as f64, Losses::mean(&all))
}

/// One epoch of Nesterov's accelerated gradient over the batches on the chosen channels and the bias. If it does not
/// lower the loss it is undone and the learning rate halved, for this and all later steps of the prunable layer.
fn optimise(
    site: &Site,
    constant: &Model,
    layer: &mut Layer,
    mask: &Tensor<4>,
    batches: &[Batch],
    terms: [f64; 2],
    lr: &mut f64,
) -> Result<Losses> {
    let (before, start) = measure(site, layer, batches, terms);
    for _ in 0..HALVINGS {
        let mut tried = layer.clone();
        let mut velocities: Vec<Tensor<4>> = tried.kernels.iter().map(Tensor::zeros_like).collect();
        let mut bias_velocities: BiasGradients =
            tried.biases.iter().map(|bias| bias.as_ref().map(Tensor::zeros_like)).collect();
        for batch in batches {
            let (_, kernels, biases) = gradients(site, constant, &tried, batch, terms);
            for ((weights, gradient), velocity) in tried.kernels.iter_mut().zip(kernels).zip(&mut velocities) {
                let gradient = gradient * mask.clone();
                *velocity = velocity.clone() * MOMENTUM + gradient.clone();
                *weights = weights.clone() - (gradient + velocity.clone() * MOMENTUM) * *lr;
            }
            for ((weights, gradient), velocity) in tried.biases.iter_mut().zip(biases).zip(&mut bias_velocities) {
                if let (Some(weights), Some(gradient), Some(velocity)) = (weights, gradient, velocity) {
                    *velocity = velocity.clone() * MOMENTUM + gradient.clone();
                    *weights = weights.clone() - (gradient + velocity.clone() * MOMENTUM) * *lr;
                }
            }
        }
        let (after, losses) = measure(site, &tried, batches, terms);
        if after < before {
            *layer = tried;
            return Ok(losses);
        }
        *lr *= 0.5;
    }
    if start.is_finite() {
        Ok(start)
    } else {
        Err(CompressionError::NotFinite(format!("the selection for {}", site.name)))
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
