//! From a masked network to a small one: filters of producers and input channels of consumers are taken out, and the
//! result is a plain network of the same type.

use burn::tensor::{Device, Tensor};
use dualres_network::{Architecture, Model, Pooling, UnitLayers, Weight, Weights, cost};

use crate::{CompressionError, Result, objective::values, report::MAC_INPUT};

/// Largest difference between a masked and a cut network, as a share of the range of samples.
pub(crate) const MOST_DIFFERENCE: f64 = 1e-4;

/// The network with every input channel of the consumers that is not in `kept` (ascending, one list a unit) set to
/// zero: the same function as the network cut to them.
///
/// # Errors
/// If `kept` does not fit the network.
pub fn masked(model: &Model, kept: &[Vec<usize>], device: &Device) -> Result<Model> {
    check(&model.description.architecture, kept)?;
    let mut weights = model.weights();
    for (unit, kept) in kept.iter().enumerate() {
        let layers = model.description.architecture.unit_layers(unit);
        let kernel = consumer_kernel(&mut weights, &layers);
        let (inputs, taps) = (kernel.shape[1], kernel.shape[2] * kernel.shape[3]);
        for (index, value) in kernel.values.iter_mut().enumerate() {
            if kept.binary_search(&(index / taps % inputs)).is_err() {
                *value = 0.0;
            }
        }
    }
    Ok(Model::from_weights(model.description.clone(), &weights, device)?)
}

/// The network with only the channels `kept` (ascending, one list a unit).
///
/// # Errors
/// If `kept` does not fit the network.
pub fn cut(model: &Model, kept: &[Vec<usize>], device: &Device) -> Result<Model> {
    let mut weights = model.weights();
    let architecture = cut_weights(&model.description.architecture, &mut weights, kept)?;
    let mut description = model.description.clone();
    description.architecture = architecture;
    Ok(Model::from_weights(description, &weights, device)?)
}

/// Cuts weights and gives the architecture that they then have.
pub(crate) fn cut_weights(
    architecture: &Architecture,
    weights: &mut Weights,
    kept: &[Vec<usize>],
) -> Result<Architecture> {
    check(architecture, kept)?;
    for (unit, kept) in kept.iter().enumerate() {
        let layers = architecture.unit_layers(unit);
        if kept.len() == architecture.widths[unit] {
            continue;
        }
        let rows: Vec<usize> =
            kept.iter().flat_map(|&channel| (0..layers.filters).map(move |f| channel * layers.filters + f)).collect();
        for part in ["weight", "bias"] {
            // Not every convolution has a bias.
            if let Some(weight) = weights.0.get_mut(&format!("{}.{part}", layers.producer)) {
                *weight = rows_of(weight, &rows);
            }
        }
        let kernel = consumer_kernel(weights, &layers);
        *kernel = columns_of(kernel, kept);
    }
    Ok(architecture.with_widths(kept.iter().map(Vec::len).collect())?)
}

fn check(architecture: &Architecture, kept: &[Vec<usize>]) -> Result<()> {
    let widths: Vec<usize> = kept.iter().map(Vec::len).collect();
    crate::widths::fits(&widths, architecture)?;
    for (unit, (kept, &width)) in kept.iter().zip(&architecture.widths).enumerate() {
        if !kept.is_sorted_by(|a, b| a < b) || kept.last().is_some_and(|&last| last >= width) {
            let name = architecture.unit_kind(unit);
            return Err(CompressionError::Widths(format!("channels {kept:?} for {name} of {width}")));
        }
    }
    Ok(())
}

fn consumer_kernel<'a>(weights: &'a mut Weights, layers: &UnitLayers) -> &'a mut Weight {
    weights.0.get_mut(&format!("{}.weight", layers.consumer)).expect("a network has the layers of its units")
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
    if difference <= MOST_DIFFERENCE {
        return Ok(difference);
    }
    Err(CompressionError::Different { difference, most: MOST_DIFFERENCE })
}

/// Whether a network became smaller in every respect that cutting is done for.
pub(crate) fn check_smaller(original: &Model, small: &Model) -> Result<()> {
    let count = |model: &Model| cost::count(&model.description.architecture, MAC_INPUT, MAC_INPUT);
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
