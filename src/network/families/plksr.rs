//! RealPLKSR: large kernels on some of the channels.

use dualres_kernels::Function;

use super::{Found, maker::Maker};
use crate::{
    NetworkError, Result, Weights,
    graph::{NodeId, Op},
};

/// Groups of its normalisation, which files do not say.
const GROUPS: usize = 4;

/// Recognises the weights of a RealPLKSR.
pub(super) fn recognise(weights: &Weights) -> Result<Option<Found>> {
    let has = |key: &str| weights.0.contains_key(key);
    let keys = ["feats.0.weight", "feats.1.refine.weight", "feats.1.channel_mixer.0.weight", "feats.1.lk.conv.weight"];
    if !keys.into_iter().all(has) {
        return Ok(None);
    }
    let places =
        weights.0.keys().filter_map(|key| key.strip_prefix("feats.")?.split('.').next()?.parse::<usize>().ok());
    let last = places.max().unwrap_or(0);
    let dim = weights.0["feats.0.weight"].shape[0];
    let mut maker = Maker::new(weights, 3);
    let mut x = maker.conv("feats.0", 0)?;
    let normalised = has("feats.1.norm.weight");
    for block in (1..last).filter(|block| has(&format!("feats.{block}.refine.weight"))) {
        x = one(&mut maker, &format!("feats.{block}"), x, dim)?;
    }
    let scale = (maker.shape(&format!("feats.{last}.weight"))?[0] / 3).isqrt();
    let features = maker.conv(&format!("feats.{last}"), x)?;
    let picture = if has("to_img.offset.weight") {
        // Each pixel of the picture, as often as there are channels for it.
        let repeated = repeated(&mut maker, scale);
        let sum = maker.graph.sum(features, repeated);
        sampled(&mut maker, sum, scale)?
    } else {
        let wide = maker.shuffle(features, scale);
        let repeated = maker.nearest(0, scale);
        maker.graph.sum(wide, repeated)
    };
    let mut found = maker.finish("RealPLKSR", picture, [0.0, 1.0])?;
    if normalised {
        found.assumed.push(format!("normalisation in {GROUPS} groups, which the file does not say"));
    }
    Ok(Some(found))
}

fn one(maker: &mut Maker, name: &str, skip: NodeId, dim: usize) -> Result<NodeId> {
    let mut x = skip;
    if maker.has(&format!("{name}.layer_norm.weight")) {
        x = maker.norm(&format!("{name}.layer_norm"), Op::LayerNorm { epsilon: 1e-6 }, x)?;
    }
    x = maker.conv_then(&format!("{name}.channel_mixer.0"), x, Function::Mish)?;
    x = maker.conv(&format!("{name}.channel_mixer.2"), x)?;
    let part = maker.shape(&format!("{name}.lk.conv.weight"))?[0];
    let seen = maker.graph.unary(Op::Slice { start: 0, length: part }, x);
    let seen = maker.conv(&format!("{name}.lk.conv"), seen)?;
    x = if part < dim {
        let rest = maker.graph.unary(Op::Slice { start: part, length: dim - part }, x);
        maker.graph.concat(&[seen, rest])
    } else {
        seen
    };
    if maker.has(&format!("{name}.attn.f.0.weight")) {
        let gate = maker.conv_then(&format!("{name}.attn.f.0"), x, Function::Sigmoid)?;
        x = maker.product(x, gate);
    }
    x = maker.conv(&format!("{name}.refine"), x)?;
    if maker.has(&format!("{name}.norm.weight")) {
        x = maker.norm(&format!("{name}.norm"), Op::GroupNorm { groups: GROUPS, epsilon: 1e-5 }, x)?;
    }
    Ok(maker.graph.sum(x, skip))
}

/// Each colour of the input, the square of `scale` times: [N, 3 * scale², H, W].
fn repeated(maker: &mut Maker, scale: usize) -> NodeId {
    let colours: Vec<NodeId> = (0..3)
        .flat_map(|colour| {
            let plane = maker.graph.unary(Op::Slice { start: colour, length: 1 }, 0);
            vec![plane; scale * scale]
        })
        .collect();
    maker.graph.concat(&colours)
}

/// DySample (ICCV 2023): enlargement by sampling at learned positions.
fn sampled(maker: &mut Maker, x: NodeId, scale: usize) -> Result<NodeId> {
    let offsets = maker.shape("to_img.offset.weight")?[0];
    let groups = offsets / (2 * scale * scale).max(1);
    // Where each pixel begins: recomputed by the operator, as it follows from the scale alone.
    let start = maker.take("to_img.init_pos")?;
    let expected = initial_positions(groups, scale);
    let same =
        start.values.len() == expected.len() && start.values.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-4);
    if !same {
        return Err(NetworkError::Weights("it looks like RealPLKSR, but samples from other positions".into()));
    }
    let moved = maker.conv("to_img.offset", x)?;
    let scope = maker.conv_then("to_img.scope", x, Function::Sigmoid)?;
    let moved = maker.product(moved, scope);
    let moved = maker.scaled(moved, 0.5);
    let wide = maker.graph.add("", Op::SampleAt { scale, groups }, &[x, moved]);
    if maker.has("to_img.end_conv.weight") { maker.conv("to_img.end_conv", wide) } else { Ok(wide) }
}

fn initial_positions(groups: usize, scale: usize) -> Vec<f32> {
    let at = |index: usize| (index as f32 - (scale - 1) as f32 / 2.0) / scale as f32;
    let of = |axis: usize| {
        (0..groups * scale * scale).map(move |k| at(if axis == 0 { k % scale } else { k / scale % scale }))
    };
    of(0).chain(of(1)).collect()
}
