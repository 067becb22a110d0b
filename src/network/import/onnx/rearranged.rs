//! Reshapes and exchanged axes, which exporters write for operators that ONNX has no word for: pixels shuffled and unshuffled, and
//! channels normalised in groups.

use onnx_ir::{Node, reshape::ReshapeInput, squeeze::SqueezeInput, unsqueeze::UnsqueezeConfig};

use super::{
    super::assembler::{Assembler, Value, View, refuse},
    constant, needed,
};
use crate::{Result, graph::Op};

/// Most pixels that go into one, or come out of it, a side.
const MAX: usize = 64;

/// Remembers what is a number in a list that is joined from numbers and from sides.
pub(super) fn note_numbers(net: &mut Assembler, node: &Node) {
    let mut all = Vec::new();
    for input in node.inputs() {
        match (constant(Some(input)), net.numbers.get(&input.name)) {
            (Some(known), _) => all.extend(known.values.iter().map(|&value| Some(value as i64))),
            (None, Some(part)) => all.extend(part.clone()),
            (None, None) => all.push(None),
        }
    }
    for output in node.outputs() {
        net.numbers.insert(output.name.clone(), all.clone());
    }
}

/// The value of a node that is part of such a rearrangement; `None` if it is not.
///
/// # Errors
/// If it is one that is not known.
pub(super) fn rearranged(net: &mut Assembler, node: &Node) -> Result<Option<Value>> {
    let value = node.inputs().first().and_then(|first| net.value(&first.name).ok()).cloned();
    let view = |node, axes, is_done| Ok(Some(Value::View(View { node, axes, is_done })));
    match (node, value) {
        (Node::Reshape(_), Some(Value::Node(x))) => match wanted(net, node).as_deref() {
            Some(shape @ ([_, _, _] | [_, _, _, _, _, _])) => {
                view(x, shape.iter().map(|&side| length(side)).collect(), false)
            }
            _ => Ok(None),
        },
        (Node::Unsqueeze(unsqueeze), Some(Value::Node(x))) => match &unsqueeze.config {
            UnsqueezeConfig::Static(axes) if axes[..] == [3] => view(x, vec![None, None, None, Some(1), None], false),
            _ => Ok(None),
        },
        (Node::Reshape(_), Some(Value::View(seen))) => {
            let shape = wanted(net, node).unwrap_or_default();
            let axes = || {
                let kept = |(axis, &side): (usize, &i64)| if side == 0 { *seen.axes.get(axis)? } else { length(side) };
                shape.iter().enumerate().map(kept).collect()
            };
            match shape[..] {
                [_, channels, _, _] if seen.is_done => match length(channels) {
                    Some(channels) if channels != net.channels(seen.node) => {
                        Err(refuse("channels become rows or columns"))
                    }
                    _ => Ok(Some(Value::Node(seen.node))),
                },
                [_, _, 1, 1, _, _] if seen.is_done => view(seen.node, axes(), true),
                [_, _, _, _, 0] | [0, 0, 0, 0, _, _] if !seen.is_done => view(seen.node, axes(), false),
                _ => Err(refuse("a reshape that no operator that runs here does")),
            }
        }
        (Node::Squeeze(squeeze), Some(Value::View(View { node, axes, is_done: true }))) => match &squeeze.config.axes {
            Some(SqueezeInput::Static(out)) if out[..] == [2, 3] && axes.len() == 6 => Ok(Some(Value::Node(node))),
            _ => Err(refuse("an axis is taken out")),
        },
        (Node::Transpose(transpose), Some(Value::View(View { node: x, axes, is_done: false }))) => {
            let channels = net.channels(x);
            let [down, across] = match (&transpose.config.perm[..], &axes[..]) {
                ([0, 1, 3, 5, 2, 4], [_, _, _, down, _, across]) | ([0, 1, 4, 2, 5, 3], [_, _, down, across, _, _]) => {
                    [*down, *across]
                }
                _ => return Err(refuse("axes are exchanged, which no operator that runs here does")),
            };
            let by = down.filter(|by| (1..=MAX).contains(by) && Some(*by) == across);
            let by = by.ok_or_else(|| refuse("pixels are rearranged by a computed number"))?;
            let node = match transpose.config.perm[2] {
                3 => net.add("", Op::PixelUnshuffle(by), &[x], channels * by * by),
                _ if channels.is_multiple_of(by * by) => net.add("", Op::PixelShuffle(by), &[x], channels / (by * by)),
                _ => return Err(refuse("pixels are shuffled from channels that do not suffice")),
            };
            view(node, vec![None; 6], true)
        }
        (Node::InstanceNormalization(norm), Some(Value::View(View { node: x, axes, is_done: false }))) => {
            let [_, Some(groups), _] = axes[..] else { return Err(refuse("a normalisation of computed groups")) };
            let channels = net.channels(x);
            if groups == 0 || !channels.is_multiple_of(groups) {
                return Err(refuse(format!("{channels} channels in {groups} groups")));
            }
            // A number a group here; what each channel has comes after it.
            let each = |index: usize| -> Result<Vec<f32>> {
                let values = needed(norm.inputs.get(index), "a number of a normalisation")?.values;
                if values.len() != groups {
                    return Err(refuse(format!("{} numbers for {groups} groups", values.len())));
                }
                Ok((0..channels).map(|channel| values[channel / (channels / groups)]).collect())
            };
            let (scale, offset) = (each(1)?, each(2)?);
            let op = Op::GroupNorm { groups, epsilon: norm.config.epsilon as f32 };
            let node = net.per_channel(&norm.name, op, x, scale, Some(offset))?;
            view(node, axes, true)
        }
        (_, Some(Value::View(_))) => Err(refuse("axes are exchanged or split, which no operator that runs here does")),
        _ => Ok(None),
    }
}

/// The length of an axis that a reshape asks for, where it is a number.
fn length(side: i64) -> Option<usize> {
    usize::try_from(side).ok().filter(|&side| side > 0)
}

/// The shape that a reshape asks for: 0 keeps a length, a negative one is computed.
fn wanted(net: &Assembler, node: &Node) -> Option<Vec<i64>> {
    let Node::Reshape(reshape) = node else { return None };
    if let ReshapeInput::Static(shape) = &reshape.config.shape {
        return Some(shape.clone());
    }
    let argument = reshape.inputs.get(1)?;
    match (net.numbers.get(&argument.name), net.value(&argument.name)) {
        (Some(numbers), _) => Some(numbers.iter().map(|number| number.unwrap_or(-1)).collect()),
        // The sides of another value.
        (None, Ok(Value::Sides(_))) => Some(vec![-1; 4]),
        _ => None,
    }
}
