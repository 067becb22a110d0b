//! EDSR (CVPRW 2017): residual blocks without normalisation, a pixel shuffle at the end.

use dualres_kernels::Function;

use super::{Found, count_keys, drn::MEAN_COLOUR, maker::Maker, outputs_of};
use crate::{NetworkError, Result, Weights, graph::Op};

/// Features and blocks from which on the published networks scale their residuals.
const LARGE: (usize, usize) = (256, 32);

/// Recognises the weights of an EDSR, by their official names or BasicSR's.
pub(super) fn recognise(weights: &Weights) -> Result<Option<Found>> {
    let has = |key: &str| weights.0.contains_key(key);
    if has("head.0.weight") && has("body.0.body.0.weight") && has("body.0.body.2.weight") && has("tail.1.weight") {
        return official(weights).map(Some);
    }
    if has("conv_first.weight") && has("body.0.conv1.weight") && has("conv_after_body.weight") {
        return basicsr(weights).map(Some);
    }
    Ok(None)
}

fn scaling(features: usize, blocks: usize) -> (f32, String) {
    let scaling = if (features, blocks) == LARGE { 0.1 } else { 1.0 };
    (scaling, format!("residuals scaled by {scaling}, which the file does not say"))
}

fn official(weights: &Weights) -> Result<Found> {
    let features = outputs_of(weights, "head.0").unwrap_or(0);
    let blocks = count_keys(weights, |block| format!("body.{block}.body.0.weight"));
    let (scaling, assumed) = scaling(features, blocks);
    let channels = weights.0["head.0.weight"].shape.get(1).copied().unwrap_or(0);
    let mut maker = Maker::new(weights, channels);
    // A mean colour of 0.4488 tells the range it is in.
    let trained = maker.has("sub_mean.weight") && maker.has("add_mean.weight");
    let largest = match weights.0.get("sub_mean.bias").and_then(|bias| bias.values.first()) {
        Some(first) if (-first / MEAN_COLOUR[0]).round() == 1.0 => 1.0,
        _ => 255.0,
    };
    let mean = |sign: f32| Op::Shift(MEAN_COLOUR.map(|mean| sign * largest * mean).to_vec());
    let x = if trained { maker.conv("sub_mean", 0)? } else { maker.graph.unary(mean(-1.0), 0) };
    let head = maker.conv("head.0", x)?;
    let mut x = residual_blocks(&mut maker, head, blocks, ["body.0", "body.2"], scaling)?;
    let body = maker.conv(&format!("body.{blocks}"), x)?;
    x = maker.graph.sum(body, head);
    for step in (0..).step_by(2).take_while(|step| weights.0.contains_key(&format!("tail.0.{step}.weight"))) {
        x = enlarged(&mut maker, &format!("tail.0.{step}"), x)?;
    }
    let picture = maker.conv("tail.1", x)?;
    let picture = if trained { maker.conv("add_mean", picture)? } else { maker.graph.unary(mean(1.0), picture) };
    let mut found = maker.finish("EDSR", picture, [0.0, largest])?;
    found.assumed.push(assumed);
    Ok(found)
}

/// The residual blocks; `names` are those of the two convolutions of each.
fn residual_blocks(maker: &mut Maker, head: usize, blocks: usize, names: [&str; 2], scaling: f32) -> Result<usize> {
    let mut x = head;
    for block in 0..blocks {
        let inner = maker.conv_then(&format!("body.{block}.{}", names[0]), x, Function::Relu)?;
        let residual = maker.conv(&format!("body.{block}.{}", names[1]), inner)?;
        let residual = maker.scaled(residual, scaling);
        x = maker.graph.sum(residual, x);
    }
    Ok(x)
}

/// A convolution and the pixel shuffle after it.
fn enlarged(maker: &mut Maker, name: &str, x: usize) -> Result<usize> {
    let shape = maker.shape(&format!("{name}.weight"))?;
    let (outputs, inputs) = (shape[0], shape.get(1).copied().unwrap_or(1).max(1));
    let by = (outputs / inputs).isqrt();
    if by < 2 || by * by * inputs != outputs {
        return Err(NetworkError::Weights(format!("{name} enlarges by no whole factor")));
    }
    let x = maker.conv(name, x)?;
    Ok(maker.shuffle(x, by))
}

fn basicsr(weights: &Weights) -> Result<Found> {
    let features = outputs_of(weights, "conv_first").unwrap_or(0);
    let blocks = count_keys(weights, |block| format!("body.{block}.conv1.weight"));
    let (scaling, assumed) = scaling(features, blocks);
    let mut maker = Maker::new(weights, 3);
    let x = maker.graph.unary(Op::Shift(MEAN_COLOUR.map(|mean| -mean).to_vec()), 0);
    let x = maker.scaled(x, 255.0);
    let head = maker.conv("conv_first", x)?;
    let mut x = residual_blocks(&mut maker, head, blocks, ["conv1", "conv2"], scaling)?;
    let body = maker.conv("conv_after_body", x)?;
    x = maker.graph.sum(body, head);
    for step in (0..).step_by(2).take_while(|step| weights.0.contains_key(&format!("upsample.{step}.weight"))) {
        x = enlarged(&mut maker, &format!("upsample.{step}"), x)?;
    }
    let picture = maker.conv("conv_last", x)?;
    let picture = maker.scaled(picture, 1.0 / 255.0);
    let picture = maker.graph.unary(Op::Shift(MEAN_COLOUR.to_vec()), picture);
    let mut found = maker.finish("EDSR", picture, [0.0, 1.0])?;
    found.assumed.push(assumed);
    Ok(found)
}
