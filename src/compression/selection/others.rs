//! Selectors to compare with: random, by L1 norm, and ThiNet.

use burn::tensor::Tensor;
use dualres_network::{Model, Weight};
use nalgebra::{DMatrix, DVector};
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

use super::{Chosen, Site, unchanged};
use crate::{
    Result,
    layers::weight_name,
    mixture::descending,
    objective::values,
    parameters::{self, Named, replaced},
    surgery::columns_of,
};

/// Channels at random.
pub(super) fn random(kernels: &[Weight], count: usize, random: &mut ChaCha8Rng) -> Chosen {
    unchanged(kernels, sample(random, kernels[0].shape[1], count).into_vec(), Vec::new())
}

/// The channels whose consumers have the largest L1 norm.
pub(super) fn l1(kernels: &[Weight], count: usize) -> Chosen {
    let mut norms = vec![0.0_f32; kernels[0].shape[1]];
    for kernel in kernels {
        let (inputs, taps) = (kernel.shape[1], kernel.shape[2] * kernel.shape[3]);
        for (index, value) in kernel.values.iter().enumerate() {
            norms[index / taps % inputs] += value.abs();
        }
    }
    let kept = descending(&norms)[..count].to_vec();
    unchanged(kernels, kept, norms.into_iter().map(f64::from).collect())
}

/// ThiNet: channels leave one by one, each time the one with which the sum of all that left is smallest; then the
/// channels that stay are scaled so that the features come as near to the original's as they can.
/// `None` if `tick` said stop.
pub(super) fn thinet(site: &Site, tick: &mut dyn FnMut() -> bool) -> Result<Option<Chosen>> {
    let channels = site.group.width;
    let Some(products) = products(site, tick)? else { return Ok(None) };
    let mut gone: Vec<usize> = Vec::new();
    // For each channel the product with the sum of what left.
    let mut with_gone = vec![0.0; channels];
    let mut scores = vec![0.0; channels];
    while gone.len() < channels - site.count {
        // |z_gone + z_j|^2 without the part that is the same for all.
        let cost = |channel: usize| products[(channel, channel)] + 2.0 * with_gone[channel];
        let left = (0..channels).filter(|channel| !gone.contains(channel));
        let Some(out) = left.min_by(|&a, &b| cost(a).total_cmp(&cost(b))) else { break };
        scores[out] = gone.len() as f64;
        gone.push(out);
        (0..channels).for_each(|channel| with_gone[channel] += products[(channel, out)]);
    }
    let kept: Vec<usize> = (0..channels).filter(|channel| !gone.contains(channel)).collect();
    kept.iter().for_each(|&channel| scores[channel] = channels as f64);
    let scales = scales(&products, &kept);
    let scaled = |kernel: &Weight| {
        let mut kernel = columns_of(kernel, &kept);
        let taps = kernel.shape[2] * kernel.shape[3];
        for (index, value) in kernel.values.iter_mut().enumerate() {
            *value *= scales[index / taps % kept.len()];
        }
        kernel
    };
    let kernels: Vec<Weight> = site.kernels().iter().map(scaled).collect();
    let biases = vec![None; kernels.len()];
    Ok(Some(Chosen { kept, kernels, biases, scores, losses: None, warnings: Vec::new() }))
}

/// The factors that minimise `|sum of all z - sum of kept s_j z_j|^2`; ones where that has no answer.
fn scales(products: &DMatrix<f64>, kept: &[usize]) -> Vec<f32> {
    let count = kept.len();
    let mut matrix = DMatrix::from_fn(count, count, |i, j| products[(kept[i], kept[j])]);
    let ridge = 1e-6 * matrix.trace() / count.max(1) as f64 + 1e-12;
    (0..count).for_each(|i| matrix[(i, i)] += ridge);
    let all = DVector::from_fn(count, |i, _| products.row(kept[i]).sum());
    match matrix.cholesky() {
        Some(cholesky) => cholesky.solve(&all).iter().map(|&scale| scale as f32).collect(),
        None => vec![1.0; count],
    }
}

/// Scalar products of what each channel adds to the consumers' outputs, [C, C], summed over all positions and outputs.
fn products(site: &Site, tick: &mut dyn FnMut() -> bool) -> Result<Option<DMatrix<f64>>> {
    let channels = site.group.width;
    let outputs: Vec<usize> = site.group.consumers.iter().map(|member| member.node).collect();
    let mut sum = DMatrix::zeros(channels, channels);
    let alone: Vec<Model> = (0..channels).map(|channel| only(site, channel)).collect();
    for batch in site.batches {
        // Patch by patch: all channels' parts of a whole batch would take gigabytes in the larger networks.
        for patch in 0..batch.wanted[0].dims()[0] {
            if !tick() {
                return Ok(None);
            }
            let pass = batch.pass.clone().map(|tensor| tensor.narrow(0, patch, 1));
            let mut parts: Vec<Tensor<2>> = Vec::with_capacity(channels);
            for model in &alone {
                let passed = model.primal.advance(pass.clone(), site.group.last() + 1, &outputs);
                let rows: Vec<Tensor<2>> = outputs
                    .iter()
                    .map(|&node| {
                        let output = passed.value(node).expect("kept").clone();
                        let count = output.dims().iter().product();
                        output.reshape([1, count])
                    })
                    .collect();
                parts.push(Tensor::cat(rows, 1));
            }
            let z = Tensor::cat(parts, 0);
            let product = values(&z.clone().matmul(z.transpose()));
            sum += DMatrix::from_fn(channels, channels, |i, j| f64::from(product[i * channels + j]));
        }
    }
    Ok(Some(sum))
}

/// The network whose consumers see one channel alone, and have no bias.
fn only(site: &Site, channel: usize) -> Model {
    let mut named = Named::new();
    for member in &site.group.consumers {
        let kernel = parameters::kernel(site.work, &member.layer);
        let [outputs, inputs, rows, columns] = kernel.dims();
        let mut mask = vec![0.0_f32; inputs];
        mask[member.offset + channel] = 1.0;
        let mask = Tensor::from_data(burn::tensor::TensorData::new(mask, [1, inputs, 1, 1]), site.device);
        named.insert(weight_name(member), (kernel * mask).reshape([outputs * inputs * rows * columns]));
        named.insert(format!("model.{}.bias", member.layer), Tensor::zeros([outputs], site.device));
    }
    replaced(site.work, &named)
}
