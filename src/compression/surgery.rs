//! From a masked network to a small one: filters of producers and input channels of consumers are taken out, and the
//! result is a plain network of the same type. Blocks of which nothing is kept go as a whole.

use std::{collections::BTreeSet, sync::Arc};

use burn::tensor::{Device, Tensor};
use dualres_network::{
    ChannelGroup, Graph, Model, OriginalWidths, Pooling, ResidualBlock, Weight, Weights, graph::Member,
};

use crate::{
    CompressionError, Result,
    layers::MAC_INPUT,
    layers::{Layers, weight_name},
    objective::values,
};

/// Largest difference between a masked and a cut network, as a share of the range of samples.
pub(crate) const MAX_DIFFERENCE: f64 = 1e-4;

/// The network with every input channel of the consumers that is not in `kept` (ascending, one list a layer) set to
/// zero, and with what ends a block of which nothing is kept: the same function as the network cut to them.
///
/// # Errors
/// If `kept` does not fit the network.
pub fn masked(model: &Model, layers: &Layers, kept: &[Vec<usize>], device: &Device) -> Result<Model> {
    check(layers, kept)?;
    let mut weights = model.weights();
    for (group, kept) in layers.groups.iter().zip(kept) {
        for member in &group.consumers {
            let kernel = consumer_kernel(&mut weights, member);
            let (inputs, taps) = (kernel.shape[1], kernel.shape[2] * kernel.shape[3]);
            for (index, value) in kernel.values.iter_mut().enumerate() {
                let channel = (index / taps % inputs).checked_sub(member.offset);
                if channel.is_some_and(|at| at < group.width && kept.binary_search(&at).is_err()) {
                    *value = 0.0;
                }
            }
        }
    }
    silence(layers, kept, &mut weights);
    Ok(Model::from_weights(model.description.clone(), &weights, device)?)
}

/// Makes blocks of which nothing is kept add nothing.
pub(crate) fn silence(layers: &Layers, kept: &[Vec<usize>], weights: &mut Weights) {
    let widths: Vec<usize> = kept.iter().map(Vec::len).collect();
    for block in layers.gone(&widths) {
        for role in ["weight", "bias"] {
            if let Some(weight) = weights.0.get_mut(&format!("model.{}.{role}", block.residual.last)) {
                weight.values.fill(0.0);
            }
        }
    }
}

/// The network with only the channels `kept` (ascending, one list a layer).
///
/// # Errors
/// If `kept` does not fit the network.
pub fn cut(model: &Model, layers: &Layers, kept: &[Vec<usize>], device: &Device) -> Result<Model> {
    let mut weights = model.weights();
    let network = cut_weights(layers, &mut weights, kept)?;
    rebuilt(model, network, &weights, device)
}

/// `model` with another network of the same form and its weights.
pub(crate) fn rebuilt(model: &Model, network: Arc<Graph>, weights: &Weights, device: &Device) -> Result<Model> {
    let mut description = model.description.clone();
    let before = OriginalWidths::of(&description.layer_widths());
    description.network = network;
    description.original_widths = Some(before);
    Ok(Model::from_weights(description, weights, device)?)
}

/// Cuts weights and gives the network that they then belong to.
pub(crate) fn cut_weights(layers: &Layers, weights: &mut Weights, kept: &[Vec<usize>]) -> Result<Arc<Graph>> {
    check(layers, kept)?;
    let widths: Vec<usize> = kept.iter().map(Vec::len).collect();
    let gone: Vec<&ResidualBlock> = layers.gone(&widths).map(|block| &block.residual).collect();
    if gone.is_empty() {
        return narrowed_weights(layers, weights, kept);
    }
    // First the blocks, then the channels of what is left, which may be found under other numbers.
    let rest = Arc::new(layers.network().without(gone.iter().copied())?);
    let names: BTreeSet<String> =
        rest.parameter_shapes().into_iter().map(|(name, _)| format!("model.{name}")).collect();
    weights.0.retain(|name, _| !name.starts_with("model.") || names.contains(name));
    let rest = Layers::of(&rest, layers.streams());
    let before = |group: &ChannelGroup| {
        let same = |member: &Member| group.producers.iter().any(|own| own.layer == member.layer);
        layers.groups.iter().position(|known| known.producers.iter().any(same))
    };
    // A stream that no sum joins any more has become a layer like others, which nobody asked to be narrower.
    let kept_of =
        |group: &ChannelGroup| before(group).map_or_else(|| (0..group.width).collect(), |at| kept[at].clone());
    let kept: Vec<Vec<usize>> = rest.groups.iter().map(kept_of).collect();
    narrowed_weights(&rest, weights, &kept)
}

/// Cuts weights to narrower layers, all blocks staying.
fn narrowed_weights(layers: &Layers, weights: &mut Weights, kept: &[Vec<usize>]) -> Result<Arc<Graph>> {
    if kept.iter().zip(&layers.widths).all(|(kept, &width)| kept.len() == width) {
        return Ok(layers.network().clone());
    }
    let shapes = layers.network().shapes([MAC_INPUT, MAC_INPUT])?;
    // What stays of the channels that each layer takes and gives, over all groups at it.
    let mut rows: std::collections::BTreeMap<String, Vec<bool>> = std::collections::BTreeMap::new();
    let mut columns = rows.clone();
    let drop = |stays: &mut Vec<bool>, offset: usize, filters: usize, width: usize, kept: &[usize]| {
        for channel in (0..width).filter(|channel| kept.binary_search(channel).is_err()) {
            stays[offset + channel * filters..][..filters].fill(false);
        }
    };
    for (group, kept) in layers.groups.iter().zip(kept) {
        let given = |node: usize| vec![true; shapes[node].channels];
        for member in &group.producers {
            let stays = rows.entry(member.layer.clone()).or_insert_with(|| given(member.node));
            drop(stays, 0, group.filters, group.width, kept);
        }
        for slice in group.between.iter().filter(|slice| !slice.layer.is_empty()) {
            let stays = rows.entry(slice.layer.clone()).or_insert_with(|| given(slice.node));
            drop(stays, slice.offset, group.filters / slice.filters.max(1), group.width, kept);
        }
        for member in &group.consumers {
            let input = layers.network().node(member.node).inputs[0];
            let stays = columns.entry(member.layer.clone()).or_insert_with(|| given(input));
            drop(stays, member.offset, 1, group.width, kept);
        }
    }
    let places = |stays: &[bool]| -> Vec<usize> { (0..stays.len()).filter(|&at| stays[at]).collect() };
    for (layer, stays) in &rows {
        for role in ["weight", "bias"] {
            // Not every layer has both.
            if let Some(weight) = weights.0.get_mut(&format!("model.{layer}.{role}")) {
                *weight = rows_of(weight, &places(stays));
            }
        }
    }
    for (layer, stays) in &columns {
        if let Some(weight) = weights.0.get_mut(&format!("model.{layer}.weight")) {
            *weight = columns_of(weight, &places(stays));
        }
    }
    Ok(Arc::new(layers.network().narrowed(&layers.groups, kept)?))
}

fn check(layers: &Layers, kept: &[Vec<usize>]) -> Result<()> {
    let widths: Vec<usize> = kept.iter().map(Vec::len).collect();
    crate::widths::fits(&widths, layers)?;
    for (layer, (kept, &width)) in kept.iter().zip(&layers.widths).enumerate() {
        if !kept.is_sorted_by(|a, b| a < b) || kept.last().is_some_and(|&last| last >= width) {
            let name = layers.name(layer);
            return Err(CompressionError::Widths(format!("channels {kept:?} for {name} of {width}")));
        }
    }
    Ok(())
}

fn consumer_kernel<'a>(weights: &'a mut Weights, member: &Member) -> &'a mut Weight {
    weights.0.get_mut(&weight_name(member)).expect("a network has the layers of its groups")
}

/// The columns of a consumer's kernel that are a group's of `width` channels: [O, width, K, K].
pub(crate) fn part_of(kernel: &Weight, member: &Member, width: usize) -> Weight {
    columns_of(kernel, &(member.offset..member.offset + width).collect::<Vec<_>>())
}

/// Puts the columns of `part` [O, K', K, K] in the places `kept` of a group of `width` channels in a consumer's kernel, and
/// zeros in its other places.
pub(crate) fn spread(part: &Weight, kept: &[usize], full: &mut Weight, offset: usize, width: usize) {
    let (inputs, taps) = (full.shape[1], full.shape[2] * full.shape[3]);
    for (output, row) in full.values.chunks_exact_mut(inputs * taps).enumerate() {
        row[offset * taps..(offset + width) * taps].fill(0.0);
        let values = &part.values[output * kept.len() * taps..][..kept.len() * taps];
        for (&channel, values) in kept.iter().zip(values.chunks_exact(taps)) {
            row[(offset + channel) * taps..][..taps].copy_from_slice(values);
        }
    }
}

/// The slices `rows` of the first axis.
fn rows_of(weight: &Weight, rows: &[usize]) -> Weight {
    let length: usize = weight.shape[1..].iter().product();
    let values = rows.iter().flat_map(|&row| weight.values[row * length..(row + 1) * length].iter().copied()).collect();
    let mut shape = weight.shape.clone();
    shape[0] = rows.len();
    Weight { shape, values }
}

/// The slices `columns` of the second axis of a kernel.
pub(crate) fn columns_of(weight: &Weight, columns: &[usize]) -> Weight {
    let (inputs, taps) = (weight.shape[1], weight.shape[2] * weight.shape[3]);
    let values = weight
        .values
        .chunks_exact(inputs * taps)
        .flat_map(|output| columns.iter().flat_map(move |&column| output[column * taps..(column + 1) * taps].iter()))
        .copied()
        .collect();
    let mut shape = weight.shape.clone();
    shape[1] = columns.len();
    Weight { shape, values }
}

/// Largest difference between the pictures that two networks make of `x` [N, 3, H, W], at any level, as a share of the
/// range of samples.
pub fn largest_difference(a: &Model, b: &Model, x: &Tensor<4>) -> f64 {
    let (a, b) = (a.primal.forward(x.clone(), Pooling::Global), b.primal.forward(x.clone(), Pooling::Global));
    let gaps = a.into_iter().zip(b).map(|(a, b)| f64::from(values(&(a - b).abs().max())[0]));
    // A value that is no number must not be lost in a maximum.
    gaps.fold(0.0, |most: f64, gap| if gap.is_nan() || gap > most { gap } else { most }) / 255.0
}

/// Whether the cut network is the masked one, on the pictures `x`. Returns the largest difference.
pub(crate) fn verify(masked: &Model, cut: &Model, x: &Tensor<4>) -> Result<f64> {
    let difference = largest_difference(masked, cut, x);
    if difference <= MAX_DIFFERENCE {
        return Ok(difference);
    }
    Err(CompressionError::Different { difference, most: MAX_DIFFERENCE })
}

/// Whether a network became smaller in every respect that cutting is done for.
pub(crate) fn check_smaller(original: &Model, small: &Model) -> Result<()> {
    let count = |model: &Model| model.description.network.cost(MAC_INPUT, MAC_INPUT);
    let (before, after) = (count(original), count(small));
    let bytes = |model: &Model| model.to_bytes().len() as u64;
    for (what, before, after) in [
        ("parameters", before.parameters(), after.parameters()),
        ("multiply-accumulates", before.macs(), after.macs()),
        ("bytes of the file", bytes(original), bytes(small)),
    ] {
        if after >= before {
            return Err(CompressionError::NotSmaller { what, before, after });
        }
    }
    Ok(())
}
