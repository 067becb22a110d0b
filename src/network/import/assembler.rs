//! Graphs of other formats, node by node: values by name, some of them constants.

use std::collections::HashMap;

use crate::{
    NetworkError, Result, Weight, Weights,
    graph::{BinaryOp, Builder, ConvOp, DeconvOp, NodeId, Op},
};

/// A value of a graph that is being read.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// The value of a node.
    Node(NodeId),
    /// Numbers that are part of the network.
    Constant(Weight),
    /// Sides of a node's value.
    Sides(NodeId),
    /// Numbers computed from sides: how much is to be padded or cropped.
    FromSides,
    /// A node's value in another arrangement of its samples.
    View(View),
}

/// A value whose samples are told off in other axes than batch, channels, height and width, as exporters write operators that they
/// have no word for.
#[derive(Clone, Debug)]
pub(super) struct View {
    pub(super) node: NodeId,
    /// Length of each axis, where it is a number.
    pub(super) axes: Vec<Option<usize>>,
    /// Whether `node` is what was written so; all that may follow is a reshape to its own four axes.
    pub(super) is_done: bool,
}

/// A graph under construction with its weights.
pub(super) struct Assembler {
    pub(super) graph: Builder,
    pub(super) weights: Weights,
    values: HashMap<String, Value>,
    /// Channels of each node's value.
    channels: Vec<usize>,
    /// Lists that are partly computed from sides: what is a number in them.
    pub(super) numbers: HashMap<String, Vec<Option<i64>>>,
    names: usize,
}

/// What stands for a file that cannot be read.
pub(super) fn refuse(reason: impl Into<String>) -> NetworkError {
    NetworkError::Weights(reason.into())
}

impl Assembler {
    /// A graph whose input is called `input`.
    pub(super) fn new(input: &str, channels: usize) -> Self {
        let values = HashMap::from([(input.to_owned(), Value::Node(0))]);
        let graph = Builder::new(channels);
        Self { graph, weights: Weights::default(), values, channels: vec![channels], numbers: HashMap::new(), names: 0 }
    }

    pub(super) fn value(&self, name: &str) -> Result<&Value> {
        self.values.get(name).ok_or_else(|| refuse(format!("the value \"{name}\" is used before it is computed")))
    }

    pub(super) fn node(&self, name: &str) -> Result<NodeId> {
        match self.value(name)? {
            Value::Node(node) => Ok(*node),
            _ => Err(refuse(format!("the value \"{name}\" is no picture"))),
        }
    }

    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.values.insert(name.to_owned(), value);
    }

    pub(super) fn channels(&self, node: NodeId) -> usize {
        self.channels[node]
    }

    /// Adds a node that gives `channels` channels.
    pub(super) fn add(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId], channels: usize) -> NodeId {
        self.channels.push(channels);
        self.graph.add(name, op, inputs)
    }

    /// Adds a node that keeps the channels of its first input.
    pub(super) fn keep(&mut self, op: Op, inputs: &[NodeId]) -> NodeId {
        let channels = self.channels(inputs[0]);
        self.add("", op, inputs, channels)
    }

    /// A name for weights that nothing else has: `wanted` if it is free.
    pub(super) fn name(&mut self, wanted: &str) -> String {
        let wanted: String =
            wanted.trim_matches('/').chars().map(|c| if c == '/' || c.is_whitespace() { '.' } else { c }).collect();
        let taken = |name: &str| self.weights.0.contains_key(&format!("{name}.weight"));
        if !wanted.is_empty() && !taken(&wanted) {
            return wanted;
        }
        loop {
            self.names += 1;
            let name = format!("{}{}", if wanted.is_empty() { "layer_" } else { &wanted }, self.names);
            if !taken(&name) {
                return name;
            }
        }
    }

    /// A convolution.
    pub(super) fn conv(
        &mut self,
        name: &str,
        x: NodeId,
        op: ConvOp,
        weight: Weight,
        bias: Option<Vec<f32>>,
    ) -> Result<NodeId> {
        let expected = [op.outputs, self.channels(x) / op.groups.max(1), op.kernel[0], op.kernel[1]];
        if weight.shape != expected || bias.as_ref().is_some_and(|bias| bias.len() != op.outputs) {
            return Err(refuse(format!(
                "the convolution \"{name}\" has weights of {:?} where its input needs {expected:?}",
                weight.shape
            )));
        }
        let name = self.name(name);
        self.weights.0.insert(format!("{name}.weight"), weight);
        let op = ConvOp { bias: bias.is_some(), ..op };
        if let Some(bias) = bias {
            self.weights.0.insert(format!("{name}.bias"), Weight { shape: vec![bias.len()], values: bias });
        }
        Ok(self.add(name, Op::Conv(op), &[x], op.outputs))
    }

    /// A transposed convolution; `weight` is [C, O / groups, Kh, Kw].
    pub(super) fn deconv(
        &mut self,
        name: &str,
        x: NodeId,
        op: DeconvOp,
        weight: Weight,
        bias: Option<Vec<f32>>,
    ) -> Result<NodeId> {
        let expected = [self.channels(x), op.outputs / op.groups.max(1), op.kernel[0], op.kernel[1]];
        if weight.shape != expected || bias.as_ref().is_some_and(|bias| bias.len() != op.outputs) {
            return Err(refuse(format!("the transposed convolution \"{name}\" does not fit its input")));
        }
        let name = self.name(name);
        self.weights.0.insert(format!("{name}.weight"), weight);
        let op = DeconvOp { bias: bias.is_some(), ..op };
        if let Some(bias) = bias {
            self.weights.0.insert(format!("{name}.bias"), Weight { shape: vec![bias.len()], values: bias });
        }
        Ok(self.add(name, Op::Deconv(op), &[x], op.outputs))
    }

    /// A layer with a number a channel: `op` with `weight` and perhaps `bias`, each for all channels of `x` or one for
    /// all.
    pub(super) fn per_channel(
        &mut self,
        name: &str,
        op: Op,
        x: NodeId,
        weight: Vec<f32>,
        bias: Option<Vec<f32>>,
    ) -> Result<NodeId> {
        let channels = self.channels(x);
        let spread = |values: Vec<f32>| match values.len() {
            1 => Ok(vec![values[0]; channels]),
            count if count == channels => Ok(values),
            count => Err(refuse(format!("\"{name}\" has {count} numbers for {channels} channels"))),
        };
        let name = self.name(name);
        for (role, values) in [("weight", Some(weight)), ("bias", bias)] {
            if let Some(values) = values {
                self.weights
                    .0
                    .insert(format!("{name}.{role}"), Weight { shape: vec![channels], values: spread(values)? });
            }
        }
        Ok(self.add(name, op, &[x], channels))
    }

    /// An operation of two values, of which one may be a number, or a number a channel.
    pub(super) fn binary(&mut self, name: &str, op: BinaryOp, a: &Value, b: &Value) -> Result<NodeId> {
        match (a, b) {
            (Value::Node(a), Value::Node(b)) => {
                let channels = self.channels(*a).max(self.channels(*b));
                Ok(self.add("", Op::Binary(op), &[*a, *b], channels))
            }
            (Value::Node(x), Value::Constant(by)) => self.with_constant(name, op, *x, &by.values),
            (Value::Constant(by), Value::Node(x)) => match op {
                BinaryOp::Add | BinaryOp::Mul => self.with_constant(name, op, *x, &by.values),
                BinaryOp::Sub => {
                    let negative = self.keep(Op::Linear { factor: -1.0, offset: 0.0 }, &[*x]);
                    self.with_constant(name, BinaryOp::Add, negative, &by.values)
                }
                BinaryOp::Div => Err(refuse("a number divided by a picture")),
            },
            _ => Err(refuse("an operation on sizes where pictures are expected")),
        }
    }

    fn with_constant(&mut self, name: &str, op: BinaryOp, x: NodeId, by: &[f32]) -> Result<NodeId> {
        if let [by] = *by {
            let (factor, offset) = match op {
                BinaryOp::Add => (1.0, by),
                BinaryOp::Sub => (1.0, -by),
                BinaryOp::Mul => (by, 0.0),
                BinaryOp::Div => (1.0 / by, 0.0),
            };
            return Ok(self.keep(Op::Linear { factor, offset }, &[x]));
        }
        if by.len() != self.channels(x) {
            return Err(refuse(format!("\"{name}\" has {} numbers for {} channels", by.len(), self.channels(x))));
        }
        match op {
            BinaryOp::Add => Ok(self.keep(Op::Shift(by.to_vec()), &[x])),
            BinaryOp::Sub => Ok(self.keep(Op::Shift(by.iter().map(|value| -value).collect()), &[x])),
            BinaryOp::Mul => self.per_channel(name, Op::Affine, x, by.to_vec(), Some(vec![0.0; by.len()])),
            BinaryOp::Div => {
                let factors = by.iter().map(|value| 1.0 / value).collect();
                self.per_channel(name, Op::Affine, x, factors, Some(vec![0.0; by.len()]))
            }
        }
    }
}
