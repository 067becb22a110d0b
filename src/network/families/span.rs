//! SPAN (CVPRW 2024): convolutions that are trained as several and run as one, attention without parameters.

use dualres_kernels::Function;

use super::{Found, drn::MEAN_COLOUR, maker::Maker, maker::shuffled};
use crate::{
    NetworkError, Result, Weight, Weights,
    graph::{NodeId, Op},
};

const BLOCKS: usize = 6;

/// Recognises the weights of a SPAN, as trained or with its convolutions merged.
pub(super) fn recognise(weights: &Weights) -> Result<Option<Found>> {
    let has = |key: &str| weights.0.contains_key(key);
    let trained = has("block_1.c1_r.sk.weight");
    if !has("conv_cat.weight") || !has("upsampler.0.weight") || !(trained || has("block_1.c1_r.eval_conv.weight")) {
        return Ok(None);
    }
    let first = if trained { "conv_1.sk.weight" } else { "conv_1.eval_conv.weight" };
    let colours = weights.0.get(first).and_then(|weight| weight.shape.get(1).copied()).unwrap_or(3);
    let mut maker = Maker::new(weights, colours);
    let normalised = !maker.has("no_norm");
    maker.ignore("no_norm");
    let mut x = 0;
    if normalised {
        x = maker.graph.unary(Op::Shift(MEAN_COLOUR.map(|mean| -mean).to_vec()), x);
        x = maker.scaled(x, 255.0);
    }
    let first = merged(&mut maker, "conv_1", x)?;
    let (mut x, mut kept) = (first, [first; 2]);
    for block in 1..=BLOCKS {
        let layer = |maker: &mut Maker, index: usize, x| merged(maker, &format!("block_{block}.c{index}_r"), x);
        let one = layer(&mut maker, 1, x)?;
        let one = maker.graph.activation(Function::Silu, one);
        let two = layer(&mut maker, 2, one)?;
        let two = maker.graph.activation(Function::Silu, two);
        let three = layer(&mut maker, 3, two)?;
        let gate = maker.graph.activation(Function::Sigmoid, three);
        let gate = maker.graph.unary(Op::Linear { factor: 1.0, offset: -0.5 }, gate);
        let sum = maker.graph.sum(three, x);
        x = maker.product(sum, gate);
        if block == 1 {
            kept[0] = x;
        }
        // The published code concatenates the features after its activation, which it computes in place.
        kept[1] = one;
    }
    let last = merged(&mut maker, "conv_2", x)?;
    let all = maker.graph.concat(&[first, last, kept[0], kept[1]]);
    let x = maker.conv("conv_cat", all)?;
    let scale = shuffled(maker.shape("upsampler.0.weight")?[0], colours)?;
    let x = maker.conv("upsampler.0", x)?;
    let picture = maker.shuffle(x, scale);
    maker.finish("SPAN", picture, [0.0, 1.0]).map(Some)
}

/// The 3x3 convolution that 1x1, 3x3 and 1x1 in a row with a 1x1 beside them amount to; stored merged where a file has
/// nothing else, for the stored one may be older than its parts.
fn merged(maker: &mut Maker, name: &str, x: NodeId) -> Result<NodeId> {
    let merged = format!("{name}.eval_conv");
    if !maker.has(&format!("{name}.sk.weight")) {
        return maker.conv(&merged, x);
    }
    maker.ignore(&format!("{merged}.weight"));
    maker.ignore(&format!("{merged}.bias"));
    let mut part = |layer: &str| -> Result<(Weight, Vec<f32>)> {
        Ok((maker.take(&format!("{name}.{layer}.weight"))?, maker.take(&format!("{name}.{layer}.bias"))?.values))
    };
    let ((narrow, narrow_bias), (middle, middle_bias)) = (part("conv.0")?, part("conv.1")?);
    let ((last, last_bias), (beside, beside_bias)) = (part("conv.2")?, part("sk")?);
    let (inner, outputs, inputs) = (narrow.shape[0], beside.shape[0], beside.shape[1]);
    let between = middle.shape[0];
    let fits = narrow.shape == [inner, inputs, 1, 1]
        && middle.shape == [between, inner, 3, 3]
        && last.shape == [outputs, between, 1, 1]
        && [narrow_bias.len(), middle_bias.len(), last_bias.len(), beside_bias.len()]
            == [inner, between, outputs, outputs];
    if !fits {
        return Err(NetworkError::Weights(format!("the parts of {name} do not fit together")));
    }
    let mut weight = vec![0.0_f64; outputs * inputs * 9];
    let mut bias: Vec<f64> = (0..outputs).map(|o| f64::from(last_bias[o]) + f64::from(beside_bias[o])).collect();
    // conv.2 * conv.1 first: [outputs, inner, 9].
    let mut product = vec![0.0_f64; outputs * inner * 9];
    for o in 0..outputs {
        for (m, &middle_bias) in middle_bias.iter().enumerate() {
            let factor = f64::from(last.values[o * between + m]);
            bias[o] += factor * f64::from(middle_bias);
            for (k, &tap) in middle.values[m * inner * 9..][..inner * 9].iter().enumerate() {
                product[o * inner * 9 + k] += factor * f64::from(tap);
            }
        }
        for k in 0..inner {
            for tap in 0..9 {
                let factor = product[(o * inner + k) * 9 + tap];
                bias[o] += factor * f64::from(narrow_bias[k]);
                for i in 0..inputs {
                    weight[(o * inputs + i) * 9 + tap] += factor * f64::from(narrow.values[k * inputs + i]);
                }
            }
        }
        for i in 0..inputs {
            weight[(o * inputs + i) * 9 + 4] += f64::from(beside.values[o * inputs + i]);
        }
    }
    let single = |values: Vec<f64>| values.into_iter().map(|value| value as f32).collect();
    maker.put(format!("{name}.weight"), Weight { shape: vec![outputs, inputs, 3, 3], values: single(weight) });
    maker.put(format!("{name}.bias"), Weight { shape: vec![outputs], values: single(bias) });
    Ok(maker.graph.conv(name, x, outputs, 3))
}
