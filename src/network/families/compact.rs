//! Compact, also called SRVGG: a plain row of convolutions on top of the picture, its pixels repeated.

use super::{Found, maker::Maker, maker::shuffled};
use crate::{Result, Weights};

/// Recognises the weights of a Compact network.
pub(super) fn recognise(weights: &Weights) -> Result<Option<Found>> {
    let shape = |key: &str| weights.0.get(key).map(|weight| weight.shape.as_slice());
    let (Some(&[features, inputs, _, _]), Some([_])) = (shape("body.0.weight"), shape("body.1.weight")) else {
        return Ok(None);
    };
    if !weights.0.keys().all(|key| key.starts_with("body.")) {
        return Ok(None);
    }
    let last = (0..).step_by(2).take_while(|layer| weights.0.contains_key(&format!("body.{layer}.weight"))).last();
    let last = last.unwrap_or(0);
    let mut maker = Maker::new(weights, inputs);
    let mut x = 0;
    for layer in (0..last).step_by(2) {
        x = maker.conv(&format!("body.{layer}"), x)?;
        x = maker.prelu(&format!("body.{}", layer + 1), x, features)?;
    }
    let scale = shuffled(maker.shape(&format!("body.{last}.weight"))?[0], inputs)?;
    x = maker.conv(&format!("body.{last}"), x)?;
    x = maker.shuffle(x, scale);
    let picture = maker.nearest(0, scale);
    let sum = maker.graph.sum(x, picture);
    maker.finish("Compact", sum, [0.0, 1.0]).map(Some)
}
