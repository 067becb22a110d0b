//! The winners of the efficient super-resolution challenges: RFDN, RLFN, BSRN, and the attention they share.

use dualres_kernels::Function;

use super::{Found, maker::Maker, maker::shuffled};
use crate::{
    Result, Weight, Weights,
    graph::{ConvOp, Enlargement, NodeId, Op, PoolOp, ResizeOp, ResizeTo},
};

const LEAKY: Function = Function::LeakyRelu(0.05);

/// Recognises the weights of RFDN, RLFN or BSRN.
pub(super) fn recognise(weights: &Weights) -> Result<Option<Found>> {
    let has = |key: &str| weights.0.contains_key(key);
    if has("fea_conv.pw.weight") && has("B1.c1_r.pw.weight") {
        return bsrn(weights).map(Some);
    }
    if has("fea_conv.weight") && has("B1.c1_d.weight") && has("LR_conv.weight") && has("c.0.weight") {
        return rfdn(weights).map(Some);
    }
    let rlfn = [
        ("fea_conv", "LR_conv", "B1", "upsampler.0"),
        ("conv_1", "conv_2", "block_1", "upsampler.0"),
        ("conv_1", "conv_2", "block_list.0", "upsampler.upsample_conv"),
    ];
    for (first, last, block, up) in rlfn {
        if has(&format!("{block}.c1_r.weight"))
            && has(&format!("{block}.esa.conv1.weight"))
            && has(&format!("{up}.weight"))
        {
            let numbered = block.trim_end_matches(['0', '1']);
            let start = usize::from(!block.ends_with('0'));
            return self::rlfn(weights, [first, last, up], &|index| format!("{numbered}{}", start + index)).map(Some);
        }
    }
    Ok(None)
}

fn rlfn(weights: &Weights, [first, last, up]: [&str; 3], block: &dyn Fn(usize) -> String) -> Result<Found> {
    let colours = weights.0.get(&format!("{first}.weight")).and_then(|weight| weight.shape.get(1).copied());
    let colours = colours.unwrap_or(3);
    let mut maker = Maker::new(weights, colours);
    let features = maker.conv(first, 0)?;
    let mut x = features;
    for name in (0..).map(block).take_while(|name| weights.0.contains_key(&format!("{name}.c1_r.weight"))) {
        let mut y = x;
        for layer in ["c1_r", "c2_r", "c3_r"] {
            y = maker.conv_then(&format!("{name}.{layer}"), y, LEAKY)?;
        }
        let y = maker.graph.sum(y, x);
        let y = maker.conv(&format!("{name}.c5"), y)?;
        x = attention(&mut maker, &format!("{name}.esa"), y, None)?;
    }
    let x = maker.conv(last, x)?;
    let x = maker.graph.sum(x, features);
    let picture = enlarged(&mut maker, up, x, colours)?;
    let mut found = maker.finish("RLFN", picture, [0.0, 255.0])?;
    found.assumed.push("samples in [0, 255], as published; choose another range if the result is dark or pale".into());
    Ok(found)
}

fn rfdn(weights: &Weights) -> Result<Found> {
    let mut maker = Maker::new(weights, 3);
    let features = maker.conv("fea_conv", 0)?;
    let (mut x, mut all) = (features, Vec::new());
    for name in (1..).map(|n| format!("B{n}")).take_while(|name| weights.0.contains_key(&format!("{name}.c1_d.weight")))
    {
        let mut distilled = Vec::new();
        let mut rest = x;
        for step in 1..=3 {
            distilled.push(maker.conv_then(&format!("{name}.c{step}_d"), rest, LEAKY)?);
            let refined = maker.conv(&format!("{name}.c{step}_r"), rest)?;
            let sum = maker.graph.sum(refined, rest);
            rest = maker.graph.activation(LEAKY, sum);
        }
        distilled.push(maker.conv_then(&format!("{name}.c4"), rest, LEAKY)?);
        let joined = maker.graph.concat(&distilled);
        let y = maker.conv(&format!("{name}.c5"), joined)?;
        x = attention(&mut maker, &format!("{name}.esa"), y, Some(Function::Relu))?;
        all.push(x);
    }
    let joined = maker.graph.concat(&all);
    let x = maker.conv_then("c.0", joined, LEAKY)?;
    let x = maker.conv("LR_conv", x)?;
    let x = maker.graph.sum(x, features);
    let picture = enlarged(&mut maker, "upsampler.0", x, 3)?;
    let mut found = maker.finish("RFDN", picture, [0.0, 255.0])?;
    found.assumed.push("samples in [0, 255], as published; choose another range if the result is dark or pale".into());
    Ok(found)
}

fn bsrn(weights: &Weights) -> Result<Found> {
    let mut maker = Maker::new(weights, 3);
    let repeated = maker.graph.concat(&[0; 4]);
    let features = separable(&mut maker, "fea_conv", repeated)?;
    let (mut x, mut all) = (features, Vec::new());
    for name in (1..).map(|n| format!("B{n}")).take_while(|name| weights.0.contains_key(&format!("{name}.c1_d.weight")))
    {
        let mut distilled = Vec::new();
        let mut rest = x;
        for step in 1..=3 {
            distilled.push(maker.conv_then(&format!("{name}.c{step}_d"), rest, Function::Gelu)?);
            let refined = separable(&mut maker, &format!("{name}.c{step}_r"), rest)?;
            let sum = maker.graph.sum(refined, rest);
            rest = maker.graph.activation(Function::Gelu, sum);
        }
        let narrow = separable(&mut maker, &format!("{name}.c4"), rest)?;
        distilled.push(maker.graph.activation(Function::Gelu, narrow));
        let joined = maker.graph.concat(&distilled);
        let y = maker.conv(&format!("{name}.c5"), joined)?;
        let mut y = attention(&mut maker, &format!("{name}.esa"), y, Some(Function::Gelu))?;
        if maker.has(&format!("{name}.cw")) {
            y = channel_weights(&mut maker, &format!("{name}.cw"), y)?;
            y = maker.conv(&format!("{name}.conv_out"), y)?;
        } else {
            y = contrast(&mut maker, &format!("{name}.cca"), y)?;
        }
        x = maker.graph.sum(y, x);
        all.push(x);
    }
    let joined = maker.graph.concat(&all);
    let x = maker.conv_then("c1", joined, Function::Gelu)?;
    let x = separable(&mut maker, "c2", x)?;
    let x = maker.graph.sum(x, features);
    let picture = enlarged(&mut maker, "upsampler.upsampleOneStep.0", x, 3)?;
    maker.finish("BSRN", picture, [0.0, 1.0])
}

fn enlarged(maker: &mut Maker, name: &str, x: NodeId, colours: usize) -> Result<NodeId> {
    let scale = shuffled(maker.shape(&format!("{name}.weight"))?[0], colours)?;
    let x = maker.conv(name, x)?;
    Ok(maker.shuffle(x, scale))
}

/// A 1x1 convolution and one of each channel by itself.
fn separable(maker: &mut Maker, name: &str, x: NodeId) -> Result<NodeId> {
    let x = maker.conv(&format!("{name}.pw"), x)?;
    maker.conv_as(&format!("{name}.dw"), x, depthwise)
}

fn depthwise(conv: ConvOp) -> ConvOp {
    ConvOp { groups: conv.outputs, ..conv }
}

/// A factor a channel, stored as [1, C].
fn channel_weights(maker: &mut Maker, name: &str, x: NodeId) -> Result<NodeId> {
    let weight = maker.take(name)?;
    let count = weight.values.len();
    maker.put(format!("{name}.weight"), Weight { shape: vec![count], values: weight.values });
    maker.put(format!("{name}.bias"), Weight { shape: vec![count], values: vec![0.0; count] });
    Ok(maker.graph.add(name, Op::Affine, &[x]))
}

/// Attention by mean and standard deviation of the channels.
fn contrast(maker: &mut Maker, name: &str, x: NodeId) -> Result<NodeId> {
    let deviation = maker.graph.unary(Op::GlobalDeviation, x);
    let mean = maker.graph.unary(Op::GlobalMean, x);
    let statistic = maker.graph.sum(deviation, mean);
    let hidden = maker.conv_then(&format!("{name}.conv_du.0"), statistic, Function::Relu)?;
    let scale = maker.conv_then(&format!("{name}.conv_du.2"), hidden, Function::Sigmoid)?;
    Ok(maker.product(x, scale))
}

/// Enhanced spatial attention: a mask from far around, at little cost because few positions are looked at.
fn attention(maker: &mut Maker, name: &str, x: NodeId, activation: Option<Function>) -> Result<NodeId> {
    let layer = |role: &str| format!("{name}.{role}");
    let is_separable = |maker: &Maker, role: &str| maker.has(&format!("{name}.{role}.pw.weight"));
    let conv = |maker: &mut Maker, role: &str, x: NodeId| {
        if is_separable(maker, role) { separable(maker, &layer(role), x) } else { maker.conv(&layer(role), x) }
    };
    let narrow = maker.conv(&layer("conv1"), x)?;
    let strided = |conv: ConvOp| conv.strided(2).padded(0);
    let small = if is_separable(maker, "conv2") {
        let small = maker.conv(&layer("conv2.pw"), narrow)?;
        maker.conv_as(&layer("conv2.dw"), small, |conv| strided(depthwise(conv)))?
    } else {
        maker.conv_as(&layer("conv2"), narrow, strided)?
    };
    let pool = PoolOp { max: true, kernel: [7; 2], stride: [3; 2], padding: [0; 2], count_padding: false };
    let mut small = maker.graph.unary(Op::Pool(pool), small);
    let deep = maker.has(&layer("conv3_.weight")) || is_separable(maker, "conv3_");
    let act = |maker: &mut Maker, x: NodeId| activation.map_or(x, |function| maker.graph.activation(function, x));
    if deep {
        small = conv(maker, "conv_max", small)?;
        small = act(maker, small);
    }
    small = conv(maker, "conv3", small)?;
    if deep {
        small = act(maker, small);
        small = conv(maker, "conv3_", small)?;
    }
    let resize = ResizeOp { mode: Enlargement::Bilinear, to: ResizeTo::Like };
    let wide = maker.graph.add("", Op::Resize(resize), &[small, x]);
    let fine = if maker.has(&layer("conv_f.weight")) { maker.conv(&layer("conv_f"), narrow)? } else { narrow };
    let sum = maker.graph.sum(wide, fine);
    let mask = maker.conv_then(&layer("conv4"), sum, Function::Sigmoid)?;
    Ok(maker.product(x, mask))
}
