//! ONNX, read by the tensor library's own reader, which infers types and shapes and folds constants.

mod rearranged;
mod sizes;

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
};

use dualres_kernels::Function;
use onnx_ir::{
    Argument, Node, OnnxGraph, OnnxGraphBuilder, TensorDataExt,
    clip::ClipInput,
    depth_to_space::DepthToSpaceMode,
    gelu::GeluApproximate,
    pad::{ConstantValueInput, PadInput, PadMode},
    padding::AutoPad,
    reduce::ReduceAxes,
};

use prost::Message;

use super::assembler::{Assembler, Value, refuse};
use crate::{
    Result, Weight, Weights,
    export::proto::{ModelProto, plain_name},
    graph::{BinaryOp, ConvOp, DeconvOp, Graph, MAX_NODES, NodeId, Op, Padding},
};
use sizes::{cuts_the_end, padding, pooled, resized, slice_of, split_of};

/// Whether bytes look like a file of ONNX: its version, a small number, and a text or a graph after it.
pub(super) fn is_onnx(bytes: &[u8]) -> bool {
    matches!(bytes, [0x08, version, 0x12 | 0x1a | 0x22 | 0x3a | 0x42, ..] if *version < 32)
}

/// Reads a network.
///
/// # Errors
/// If the file is damaged, is no network of pictures, or has operators that are not known.
pub(super) fn read(bytes: &[u8]) -> Result<(Graph, Weights)> {
    distinct_names(bytes)?;
    // The reader takes some damaged files for a reason to panic.
    let graph = catch_unwind(AssertUnwindSafe(|| OnnxGraphBuilder::new().parse_bytes(bytes)))
        .map_err(|_| refuse("the file is damaged, or an operator in it has impossible numbers"))?
        .map_err(|error| refuse(error.to_string().lines().next().unwrap_or("the file is damaged").to_owned()))?;
    if graph.nodes.len() > MAX_NODES {
        return Err(refuse(format!("{} nodes, more than {MAX_NODES}", graph.nodes.len())));
    }
    let [input] = &graph.inputs[..] else {
        return Err(refuse(format!("a network with {} inputs, not one picture", graph.inputs.len())));
    };
    if input.ty.rank() != 4 {
        return Err(refuse(format!("its input has {} axes, a picture has four", input.ty.rank())));
    }
    let declared = input.ty.static_shape().and_then(|shape| shape.get(1).copied().flatten());
    let channels = declared.or_else(|| first_channels(&graph)).unwrap_or(3);
    let mut net = Assembler::new(&input.name, channels);
    for node in &graph.nodes {
        add(&mut net, node).map_err(|error| match error {
            crate::NetworkError::Weights(reason) => refuse(format!("{reason} (node \"{}\")", node.name())),
            other => other,
        })?;
    }
    let output = graph.outputs.first().ok_or_else(|| refuse("a network without a result"))?;
    let picture = net.node(&output.name).map_err(|_| refuse("its result is no picture"))?;
    Ok((net.graph.finish_single(picture)?, net.weights))
}

/// Refuses files whose values have names that the reader cannot tell apart: it would put one in place of the other.
fn distinct_names(bytes: &[u8]) -> Result<()> {
    let Ok(ModelProto { graph: Some(graph), .. }) = ModelProto::decode(bytes) else {
        // The reader says what is wrong with it.
        return Ok(());
    };
    let constants = graph.initializer.iter().map(|constant| &constant.name);
    let values = graph.node.iter().flat_map(|node| &node.output);
    let mut known: HashMap<String, &String> = HashMap::new();
    for name in constants.chain(values) {
        match known.insert(plain_name(name), name) {
            Some(other) if other != name => {
                return Err(refuse(format!(
                    "two of its values have names that differ in punctuation alone, \"{other}\" and \"{name}\": rename one and export again"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Channels that the first convolution takes.
fn first_channels(graph: &OnnxGraph) -> Option<usize> {
    graph.nodes.iter().find_map(|node| match node {
        Node::Conv2d(conv) => {
            let shape = conv.inputs.get(1)?.ty.static_shape_known()?;
            Some(shape.get(1)?.saturating_mul(conv.config.groups))
        }
        _ => None,
    })
}

/// A constant argument.
fn constant(argument: Option<&Argument>) -> Option<Weight> {
    let data = argument?.value()?;
    let shape = data.shape().to_vec();
    data.to_f32_vec().ok().map(|values| Weight { shape, values })
}

fn needed(argument: Option<&Argument>, what: &str) -> Result<Weight> {
    constant(argument).ok_or_else(|| refuse(format!("{what} is computed, not stored")))
}

/// The value of an argument, constants included.
fn value(net: &Assembler, argument: &Argument) -> Result<Value> {
    match constant(Some(argument)) {
        Some(weight) => Ok(Value::Constant(weight)),
        None => net.value(&argument.name).cloned(),
    }
}

/// The node that an argument's value, or the sides that it was computed from, belong to.
fn source(net: &Assembler, argument: &Argument) -> Option<NodeId> {
    match net.value(&argument.name) {
        Ok(Value::Node(node) | Value::Sides(node)) => Some(*node),
        _ => None,
    }
}

fn is_from_sides(net: &Assembler, argument: &Argument) -> bool {
    matches!(net.value(&argument.name), Ok(Value::Sides(_) | Value::FromSides))
}

fn add(net: &mut Assembler, node: &Node) -> Result<()> {
    let inputs = node.inputs();
    let output = node.outputs().first().map(|output| output.name.clone()).unwrap_or_default();
    let first = |net: &Assembler| {
        let argument = inputs.first().ok_or_else(|| refuse("an operator without inputs"))?;
        net.node(&argument.name)
    };
    if let Node::Concat(_) = node {
        rearranged::note_numbers(net, node);
    }
    if let Some(value) = rearranged::rearranged(net, node)? {
        net.set(&output, value);
        return Ok(());
    }
    // What is computed from sides is only ever used as sides.
    let on_sides = !matches!(node, Node::Resize(_) | Node::Upsample(_) | Node::Reshape(_) | Node::Expand(_))
        && inputs.iter().any(|argument| is_from_sides(net, argument));
    // A part of numbers about sides, in whatever shape, is about the same sides.
    let about = inputs.first().and_then(|first| net.value(&first.name).ok()).cloned();
    if let (Node::Slice(_) | Node::Reshape(_) | Node::Expand(_), Some(same @ (Value::Sides(_) | Value::FromSides))) =
        (node, about)
    {
        net.set(&output, same);
        return Ok(());
    }
    if on_sides && !matches!(node, Node::Slice(_) | Node::Pad(_)) || matches!(node, Node::Shape(_)) {
        // Where the sides of several values are joined, batch and channels come first and height and width last. What is
        // computed from sides by arithmetic is nobody's sides any more.
        let keeps = matches!(
            node,
            Node::Shape(_)
                | Node::Concat(_)
                | Node::Gather(_)
                | Node::Cast(_)
                | Node::Unsqueeze(_)
                | Node::Squeeze(_)
                | Node::Identity(_)
        );
        let computed = inputs.iter().any(|argument| matches!(net.value(&argument.name), Ok(Value::FromSides)));
        match inputs.iter().rev().find_map(|argument| source(net, argument)).filter(|_| keeps && !computed) {
            Some(of) => net.set(&output, Value::Sides(of)),
            None => net.set(&output, Value::FromSides),
        }
        return Ok(());
    }
    // Padding to multiples, and cropping what came of it, is what is done with pictures here anyway: by what the operators need.
    if matches!(node, Node::Pad(_) | Node::Slice(_)) && inputs.iter().skip(1).any(|input| is_from_sides(net, input)) {
        if let Node::Slice(slice) = node {
            cuts_the_end(&slice.config)?;
        }
        let same = first(net)?;
        net.set(&output, Value::Node(same));
        return Ok(());
    }
    let id = match node {
        Node::Constant(_) | Node::ConstantOfShape(_) => {
            if let Some(weight) = constant(node.outputs().first()) {
                net.set(&output, Value::Constant(weight));
            }
            return Ok(());
        }
        Node::Identity(_) | Node::Dropout(_) | Node::Cast(_) => {
            let argument = inputs.first().ok_or_else(|| refuse("an operator without inputs"))?;
            let same = value(net, argument)?;
            net.set(&output, same);
            return Ok(());
        }
        Node::Conv2d(conv) => {
            let x = first(net)?;
            let weight = needed(inputs.get(1), "the weight of a convolution")?;
            let bias = inputs.get(2).and_then(|bias| constant(Some(bias))).map(|bias| bias.values);
            let config = &conv.config;
            let outputs = weight.shape.first().copied().unwrap_or(0);
            let padding =
                padding(&config.padding, &config.auto_pad, [config.kernel_size, config.stride, config.dilation])?;
            let op = ConvOp {
                kernel: config.kernel_size,
                stride: config.stride,
                dilation: config.dilation,
                groups: config.groups,
                padding,
                ..ConvOp::new(outputs, 1)
            };
            net.conv(&conv.name, x, op, weight, bias)?
        }
        Node::ConvTranspose2d(conv) => {
            let x = first(net)?;
            let weight = needed(inputs.get(1), "the weight of a convolution")?;
            let bias = inputs.get(2).and_then(|bias| constant(Some(bias))).map(|bias| bias.values);
            let config = &conv.config;
            if config.dilation != [1, 1] || config.auto_pad != AutoPad::NotSet || config.output_shape.is_some() {
                return Err(refuse("a transposed convolution of unusual padding"));
            }
            let op = DeconvOp {
                outputs: weight.shape.get(1).copied().unwrap_or(0).saturating_mul(config.groups),
                kernel: config.kernel_size,
                stride: config.stride,
                padding: config.padding,
                output_padding: config.padding_out,
                groups: config.groups,
                bias: bias.is_some(),
            };
            net.deconv(&conv.name, x, op, weight, bias)?
        }
        Node::Add(_) => binary(net, node, BinaryOp::Add)?,
        Node::Sub(_) => binary(net, node, BinaryOp::Sub)?,
        Node::Mul(_) => binary(net, node, BinaryOp::Mul)?,
        Node::Div(_) => binary(net, node, BinaryOp::Div)?,
        Node::Pow(_) => {
            let by = needed(inputs.get(1), "an exponent")?;
            let x = first(net)?;
            match by.values[..] {
                [2.0] => net.keep(Op::Binary(BinaryOp::Mul), &[x, x]),
                [0.5] => net.keep(Op::Activation(Function::Sqrt), &[x]),
                [1.0] => x,
                _ => return Err(refuse("a power other than the square and its root")),
            }
        }
        Node::PRelu(prelu) => {
            let slopes = needed(inputs.get(1), "a slope")?;
            let x = first(net)?;
            net.per_channel(&prelu.name, Op::Prelu, x, slopes.values, None)?
        }
        Node::BatchNormalization(norm) => {
            let part = |index: usize| needed(inputs.get(index), "a number of a normalisation");
            let (scale, offset, mean, variance) = (part(1)?, part(2)?, part(3)?, part(4)?);
            let epsilon = match &norm.config {
                onnx_ir::batch_norm::BatchNormConfig::Static(config) => config.epsilon,
                onnx_ir::batch_norm::BatchNormConfig::Runtime(config) => config.epsilon,
            } as f32;
            let count = scale.values.len();
            if [&offset, &mean, &variance].iter().any(|part| part.values.len() != count) {
                return Err(refuse("a normalisation whose numbers do not fit together"));
            }
            let factor = |i: usize| scale.values[i] / (variance.values[i] + epsilon).sqrt();
            let shift = (0..count).map(|i| offset.values[i] - mean.values[i] * factor(i)).collect();
            let x = first(net)?;
            net.per_channel(&norm.name, Op::Affine, x, (0..count).map(factor).collect(), Some(shift))?
        }
        Node::Concat(concat) => {
            if concat.config.axis != 1 {
                return Err(refuse("rows or columns are joined"));
            }
            let nodes = inputs.iter().map(|input| net.node(&input.name)).collect::<Result<Vec<_>>>()?;
            let channels = nodes.iter().map(|&node| net.channels(node)).sum();
            net.add("", Op::Concat, &nodes, channels)
        }
        Node::Slice(slice) => slice_of(net, first(net)?, &slice.config)?,
        Node::Split(split) => return split_of(net, node, first(net)?, &split.config),
        Node::DepthToSpace(shuffle) => {
            let (x, by) = (first(net)?, shuffle.config.block_size);
            let channels = net.channels(x) / by.saturating_mul(by).max(1);
            if shuffle.config.mode != DepthToSpaceMode::Crd && channels != 1 {
                return Err(refuse("pixels are shuffled in another order"));
            }
            net.add("", Op::PixelShuffle(by), &[x], channels)
        }
        Node::SpaceToDepth(unshuffle) => {
            let (x, by) = (first(net)?, unshuffle.config.block_size);
            if net.channels(x) != 1 {
                return Err(refuse("pixels are unshuffled in another order"));
            }
            net.add("", Op::PixelUnshuffle(by), &[x], by.saturating_mul(by))
        }
        Node::Resize(resize) | Node::Upsample(resize) => resized(net, first(net)?, inputs, &resize.config)?,
        Node::MaxPool2d(pool) => {
            let config = &pool.config;
            pooled(
                net,
                first(net)?,
                true,
                [config.kernel_size, config.strides, config.dilation],
                &config.padding,
                false,
                (&config.auto_pad, config.ceil_mode),
            )?
        }
        Node::AveragePool2d(pool) => {
            let config = &pool.config;
            pooled(
                net,
                first(net)?,
                false,
                [config.kernel_size, config.strides, config.dilation],
                &config.padding,
                config.count_include_pad,
                (&config.auto_pad, config.ceil_mode),
            )?
        }
        Node::GlobalAveragePool(_) => {
            let x = first(net)?;
            net.keep(Op::GlobalMean, &[x])
        }
        Node::ReduceMean(reduce) => {
            let ReduceAxes::Static(axes) = &reduce.config.axes else { return Err(refuse("a mean over computed axes")) };
            let x = first(net)?;
            match (&axes[..], reduce.config.keepdims) {
                ([2, 3], true) => net.keep(Op::GlobalMean, &[x]),
                ([1], true) => net.add("", Op::ChannelMean, &[x], 1),
                _ => return Err(refuse(format!("a mean over the axes {axes:?}"))),
            }
        }
        Node::Pad(pad) => {
            let x = first(net)?;
            let PadInput::Static(pads) = &pad.config.pads else { return Err(refuse("padding by a computed number")) };
            let zero = matches!(pad.config.constant_value, ConstantValueInput::Static(0.0));
            let mode = match pad.config.mode {
                PadMode::Constant if zero => Padding::Zero,
                PadMode::Edge => Padding::Repeat,
                PadMode::Reflect => Padding::Reflect,
                _ => return Err(refuse("padding with a number")),
            };
            let [(0, 0), (0, 0), (top, bottom), (left, right)] = pads[..] else {
                return Err(refuse("padding of other axes than height and width"));
            };
            net.keep(Op::Pad { mode, sides: [left, right, top, bottom] }, &[x])
        }
        Node::LayerNormalization(_) | Node::GroupNormalization(_) | Node::InstanceNormalization(_) => {
            normalised(net, node, first(net)?)?
        }
        _ => {
            let op = elementwise(node)?;
            let x = first(net)?;
            net.keep(op, &[x])
        }
    };
    net.set(&output, Value::Node(id));
    Ok(())
}

fn binary(net: &mut Assembler, node: &Node, op: BinaryOp) -> Result<NodeId> {
    let [a, b] = node.inputs() else { return Err(refuse("an operation of other than two values")) };
    let (a, b) = (value(net, a)?, value(net, b)?);
    net.binary(node.name(), op, &a, &b)
}

fn elementwise(node: &Node) -> Result<Op> {
    let bound = |input: &Option<ClipInput>, default: f32| match input {
        None => Ok(default),
        Some(ClipInput::Static(value)) => Ok(*value as f32),
        Some(ClipInput::Runtime(_)) => Err(refuse("clipping between computed numbers")),
    };
    Ok(Op::Activation(match node {
        Node::Relu(_) => Function::Relu,
        Node::LeakyRelu(leaky) => Function::LeakyRelu(leaky.config.alpha as f32),
        Node::Sigmoid(_) => Function::Sigmoid,
        Node::Tanh(_) => Function::Tanh,
        Node::Mish(_) => Function::Mish,
        Node::Gelu(gelu) if gelu.config.approximate == GeluApproximate::Tanh => Function::GeluTanh,
        Node::Gelu(_) => Function::Gelu,
        Node::Erf(_) => Function::Erf,
        Node::Softplus(_) => Function::Softplus,
        Node::HardSwish(_) => Function::HardSwish,
        Node::HardSigmoid(hard) => Function::HardSigmoid(hard.config.alpha as f32, hard.config.beta as f32),
        Node::Sqrt(_) => Function::Sqrt,
        Node::Abs(_) => Function::Abs,
        Node::Neg(_) => return Ok(Op::Linear { factor: -1.0, offset: 0.0 }),
        Node::Clip(clip) => Function::Clip(bound(&clip.config.min, f32::MIN)?, bound(&clip.config.max, f32::MAX)?),
        Node::Gemm(_) | Node::Flatten(_) | Node::Softmax(_) | Node::Linear(_) => {
            return Err(refuse("it ends in numbers, not in a picture: a classifier or something of the kind"));
        }
        Node::Transpose(_) => return Err(refuse("axes are exchanged, which no operator that runs here does")),
        Node::MatMul(_) | Node::Attention(_) => {
            return Err(refuse("a transformer: its products of matrices are not among the operators that run here"));
        }
        other => {
            return Err(refuse(format!("the operator {} is not among those that run here", other.node_type())));
        }
    }))
}

fn normalised(net: &mut Assembler, node: &Node, x: NodeId) -> Result<NodeId> {
    let inputs = node.inputs();
    let (scale, bias) = (needed(inputs.get(1), "a scale")?, constant(inputs.get(2)).map(|bias| bias.values));
    let op = match node {
        Node::GroupNormalization(norm) => {
            Op::GroupNorm { groups: norm.config.num_groups, epsilon: norm.config.epsilon as f32 }
        }
        Node::InstanceNormalization(norm) => {
            Op::GroupNorm { groups: net.channels(x), epsilon: norm.config.epsilon as f32 }
        }
        _ => return Err(refuse("normalisation over another axis than the channels")),
    };
    let bias = bias.unwrap_or_else(|| vec![0.0; scale.values.len()]);
    net.per_channel(node.name(), op, x, scale.values, Some(bias))
}
