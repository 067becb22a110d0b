//! CARN (ECCV 2018): cascades of residual blocks; CARN-M groups its convolutions and uses each block three times.

use dualres_kernels::Function;

use super::{Found, maker::Maker};
use crate::{
    NetworkError, Result, Weights,
    graph::{ConvOp, NodeId},
};

/// Recognises the weights of CARN or CARN-M. `scale` chooses one of the enlargements of a file that holds several.
pub(super) fn recognise(weights: &Weights, scale: Option<usize>) -> Result<Option<Found>> {
    let has = |key: &str| weights.0.contains_key(key);
    if !has("entry.weight") || !has("exit.weight") || !has("b1.b1.body.0.weight") || !has("b1.c1.body.0.weight") {
        return Ok(None);
    }
    let mut maker = Maker::new(weights, 3);
    let x = maker.conv("sub_mean.shifter", 0)?;
    let entry = maker.conv("entry", x)?;
    let x = cascade(
        &mut maker,
        entry,
        &|maker, index, x| {
            let block = format!("b{index}");
            let inner = cascade(maker, x, &|maker, index, x| residual(maker, &block, index, x), &|index| {
                format!("{block}.c{index}.body.0")
            })?;
            Ok(inner)
        },
        &|index| format!("c{index}.body.0"),
    )?;
    let several: Vec<usize> = (2..=4).filter(|scale| has(&format!("upsample.up{scale}.body.0.weight"))).collect();
    let name = match (several.is_empty(), scale) {
        (true, _) => "upsample.up".to_owned(),
        (false, Some(scale)) if several.contains(&scale) => format!("upsample.up{scale}"),
        (false, Some(scale)) => {
            return Err(NetworkError::Weights(format!("the file enlarges by {several:?}, not by {scale}")));
        }
        (false, None) => format!("upsample.up{}", several.last().copied().unwrap_or(4)),
    };
    let mut x = x;
    for place in (0..).step_by(3).take_while(|place| has(&format!("{name}.body.{place}.weight"))) {
        let layer = format!("{name}.body.{place}");
        let by = (maker.shape(&format!("{layer}.weight"))?[0] / maker.shape("entry.weight")?[0]).isqrt();
        let y = grouped(&mut maker, &layer, x)?;
        let y = maker.graph.activation(Function::Relu, y);
        x = maker.shuffle(y, by);
    }
    for other in weights.0.keys().filter(|key| key.starts_with("upsample.") && !several.is_empty()) {
        maker.ignore(other);
    }
    let picture = maker.conv("exit", x)?;
    let picture = maker.conv("add_mean.shifter", picture)?;
    let mut found = maker.finish("CARN", picture, [0.0, 1.0])?;
    if several.len() > 1 && scale.is_none() {
        found.assumed.push(format!("of its scales {several:?} the largest; another can be chosen"));
    }
    Ok(Some(found))
}

type Block<'a> = dyn Fn(&mut Maker, usize, NodeId) -> Result<NodeId> + 'a;

/// Three blocks, after each a 1x1 convolution of all that was seen.
fn cascade(maker: &mut Maker, x: NodeId, block: &Block<'_>, name: &dyn Fn(usize) -> String) -> Result<NodeId> {
    let (mut seen, mut x) = (vec![x], x);
    for index in 1..=3 {
        seen.push(block(maker, index, x)?);
        let all = maker.graph.concat(&seen);
        x = maker.conv_then(&name(index), all, Function::Relu)?;
    }
    Ok(x)
}

fn residual(maker: &mut Maker, block: &str, index: usize, x: NodeId) -> Result<NodeId> {
    // CARN-M has one block that is used three times, in three layers.
    let own = format!("{block}.b{index}");
    let name = if maker.has(&format!("{own}.body.0.weight")) { own } else { format!("{block}.b1") };
    let y = grouped(maker, &format!("{name}.body.0"), x)?;
    let mut y = maker.graph.activation(Function::Relu, y);
    y = grouped(maker, &format!("{name}.body.2"), y)?;
    if maker.has(&format!("{name}.body.4.weight")) {
        y = maker.graph.activation(Function::Relu, y);
        y = maker.conv(&format!("{name}.body.4"), y)?;
    }
    let sum = maker.graph.sum(y, x);
    Ok(maker.graph.activation(Function::Relu, sum))
}

/// A convolution in as many groups as its weight says.
fn grouped(maker: &mut Maker, name: &str, x: NodeId) -> Result<NodeId> {
    let features = maker.shape("entry.weight")?[0];
    let seen = maker.shape(&format!("{name}.weight"))?.get(1).copied().unwrap_or(1).max(1);
    maker.conv_as(name, x, |conv| ConvOp { groups: (features / seen).max(1), ..conv })
}
