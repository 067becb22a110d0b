//! ESRGAN and what came of it (ECCVW 2018; Real-ESRGAN, BSRGAN, ESRGAN+): residual in residual dense blocks.

use dualres_kernels::Function;

use super::{Found, maker::Maker};
use crate::{
    NetworkError, Result, Weights,
    graph::{NodeId, Op},
};

/// Slope of its rectifiers.
const LEAKY: Function = Function::LeakyRelu(0.2);
/// What residuals are multiplied by.
const SCALING: f32 = 0.2;

/// Name of a dense convolution.
type DenseName = Box<dyn Fn(usize, usize, &str) -> String>;

/// Where a naming scheme has its layers.
struct Names {
    first: String,
    /// Dense convolution `j` of dense block `k` of block `n`.
    dense: DenseName,
    trunk: String,
    ups: Vec<String>,
    high: String,
    last: String,
    blocks: usize,
}

/// Recognises the weights of an ESRGAN in its old names, Real-ESRGAN's or BSRGAN's.
pub(super) fn recognise(weights: &Weights) -> Result<Option<Found>> {
    let has = |key: &str| weights.0.contains_key(key);
    let names = if has("model.0.weight")
        && (has("model.1.sub.0.RDB1.conv1.0.weight") || has("model.1.sub.0.RDB1.conv1x1.weight"))
    {
        old(weights)
    } else if has("conv_first.weight") && has("body.0.rdb1.conv1.weight") && has("conv_body.weight") {
        new(weights, ["body", "rdb", "conv_body", "conv_up", "conv_hr"])
    } else if has("conv_first.weight") && has("RRDB_trunk.0.RDB1.conv1.weight") && has("trunk_conv.weight") {
        new(weights, ["RRDB_trunk", "RDB", "trunk_conv", "upconv", "HRconv"])
    } else {
        return Ok(None);
    };
    build(weights, &names).map(Some)
}

fn new(weights: &Weights, [body, dense, trunk, up, high]: [&'static str; 5]) -> Names {
    let blocks = super::count_keys(weights, |n| format!("{body}.{n}.{dense}1.conv1.weight"));
    let ups = (1..).map(|u| format!("{up}{u}")).take_while(|name| weights.0.contains_key(&format!("{name}.weight")));
    Names {
        first: "conv_first".into(),
        dense: Box::new(move |n, k, conv| format!("{body}.{n}.{dense}{k}.{conv}")),
        trunk: trunk.into(),
        ups: ups.collect(),
        high: high.into(),
        last: "conv_last".into(),
        blocks,
    }
}

fn old(weights: &Weights) -> Names {
    let places =
        weights.0.keys().filter_map(|key| key.strip_prefix("model.")?.split('.').next()?.parse::<usize>().ok());
    let length = places.max().unwrap_or(0) + 1;
    let ups = length.saturating_sub(5) / 3;
    let blocks = super::count_keys(weights, |n| format!("model.1.sub.{n}.RDB1.conv1.0.weight"));
    let dense = |n: usize, k: usize, conv: &str| {
        let numbered = if conv == "conv1x1" { String::new() } else { ".0".into() };
        format!("model.1.sub.{n}.RDB{k}.{conv}{numbered}")
    };
    Names {
        first: "model.0".into(),
        dense: Box::new(dense),
        trunk: format!("model.1.sub.{blocks}"),
        ups: (1..=ups).map(|u| format!("model.{}", 3 * u)).collect(),
        high: format!("model.{}", 3 * ups + 2),
        last: format!("model.{}", 3 * ups + 4),
        blocks,
    }
}

fn build(weights: &Weights, names: &Names) -> Result<Found> {
    let probe = Maker::new(weights, 3);
    let first = probe.shape(&format!("{}.weight", names.first))?;
    let colours = probe.shape(&format!("{}.weight", names.last))?[0];
    let (features, inputs) = (first[0], first.get(1).copied().unwrap_or(0));
    let squeeze = match inputs {
        _ if inputs == 4 * colours => 2,
        _ if inputs == 16 * colours => 4,
        _ => 1,
    };
    let mut maker = Maker::new(weights, inputs / (squeeze * squeeze));
    let x = if squeeze > 1 { maker.graph.unary(Op::PixelUnshuffle(squeeze), 0) } else { 0 };
    let first = maker.conv(&names.first, x)?;
    let mut x = first;
    for block in 0..names.blocks {
        let mut y = x;
        for dense in 1..=3 {
            y = dense_block(&mut maker, &|conv| (names.dense)(block, dense, conv), y)?;
        }
        let y = maker.scaled(y, SCALING);
        x = maker.graph.sum(y, x);
    }
    let trunk = maker.conv(&names.trunk, x)?;
    x = maker.graph.sum(trunk, first);
    for up in &names.ups {
        if maker.shape(&format!("{up}.weight"))?[0] != features {
            return Err(NetworkError::Weights(format!("it looks like ESRGAN, but {up} has other outputs")));
        }
        let wide = maker.nearest(x, 2);
        x = maker.conv_then(up, wide, LEAKY)?;
    }
    let x = maker.conv_then(&names.high, x, LEAKY)?;
    let picture = maker.conv(&names.last, x)?;
    maker.finish("ESRGAN", picture, [0.0, 1.0])
}

/// Each convolution sees what all before it have given. ESRGAN+ adds two short cuts.
fn dense_block(maker: &mut Maker, name: &dyn Fn(&str) -> String, x: NodeId) -> Result<NodeId> {
    let plus = maker.has(&format!("{}.weight", name("conv1x1")));
    let mut seen = vec![x];
    for conv in 1..=4 {
        let input = if seen.len() == 1 { x } else { maker.graph.concat(&seen) };
        let mut y = maker.conv_then(&name(&format!("conv{conv}")), input, LEAKY)?;
        if plus && conv == 2 {
            let short = maker.conv(&name("conv1x1"), x)?;
            y = maker.graph.sum(y, short);
        }
        if plus && conv == 4 {
            y = maker.graph.sum(y, seen[2]);
        }
        seen.push(y);
    }
    let input = maker.graph.concat(&seen);
    let y = maker.conv(&name("conv5"), input)?;
    let y = maker.scaled(y, SCALING);
    Ok(maker.graph.sum(y, x))
}
