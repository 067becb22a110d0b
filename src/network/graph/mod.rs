//! A network as a graph: which operators, in which order, on which values.
//!
//! Everything else that is said of a network is derived from this one description: shapes and scale ([`shape`]), cost
//! ([`cost`]), memory ([`memory`]), receptive field ([`receptive`]), prunable channels ([`groups`]) and blocks ([`blocks`]), equal
//! graphs of less work ([`rewrite`]), the forward pass
//! ([`run`]) with operators fused where that is faster ([`fuse`]), ONNX ([`crate::export`]) and model files.

mod blocks;
pub mod cost;
mod fuse;
mod groups;
mod half;
mod memory;
mod op;
mod parameter;
mod receptive;
mod rewrite;
mod run;
mod shape;
mod watch;

use serde::{Deserialize, Serialize};

pub use blocks::ResidualBlock;
pub use cost::{Cost, LayerCost};
pub(crate) use fuse::{Action, Last};
pub use groups::{ChannelGroup, ChannelSlice, Member};
pub use op::{BinaryOp, ConvOp, DeconvOp, Enlargement, Op, Padding, PoolOp, ResizeOp, ResizeTo};
pub use parameter::Parameter;
pub use receptive::Reach;
pub use run::{Activations, Network};
pub use shape::Shape;
pub use watch::{Steps, watched};

use crate::{NetworkError, Result};

/// Place of a node in [`Graph::nodes`]; a value is named by the node that gives it.
pub type NodeId = usize;

/// Most nodes a graph may have: the largest published upscalers have a few thousand.
pub const MAX_NODES: usize = 1 << 16;

/// A node: an operator on the values of earlier nodes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    /// Name of its weights in model files (`<name>.weight`, `<name>.bias`); empty where an operator has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// What it computes.
    pub op: Op,
    /// Nodes whose values it takes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<NodeId>,
}

/// A picture that a network gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// The node that gives it.
    pub node: NodeId,
    /// Its sides as a multiple of the input's.
    pub scale: usize,
    /// The input's sides as a multiple of its own: more than 1 for dual models, which lead back.
    #[serde(default = "op::one", skip_serializing_if = "op::is_one")]
    pub reduction: usize,
}

impl Output {
    /// A picture `scale` times as large as the input.
    pub fn enlarged(node: NodeId, scale: usize) -> Self {
        Self { node, scale, reduction: 1 }
    }

    /// A picture as many times as small.
    pub fn reduced(node: NodeId, reduction: usize) -> Self {
        Self { node, scale: 1, reduction }
    }

    /// Its side for a side of the input; `None` if that is not whole.
    fn side(self, input: usize) -> Option<usize> {
        (input * self.scale).is_multiple_of(self.reduction).then(|| input * self.scale / self.reduction)
    }
}

/// A network without its weights: nodes in topological order, node 0 being the input.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StoredGraph")]
pub struct Graph {
    nodes: Vec<Node>,
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct StoredGraph {
    nodes: Vec<Node>,
    outputs: Vec<Output>,
}

impl TryFrom<StoredGraph> for Graph {
    type Error = NetworkError;

    fn try_from(StoredGraph { nodes, outputs }: StoredGraph) -> Result<Self> {
        Self::new(nodes, outputs)
    }
}

impl Graph {
    /// A graph of nodes and the pictures they give, smallest picture first.
    ///
    /// # Errors
    /// If it is no network: a node takes what comes after it, an operator has too few inputs, channels do not fit, a
    /// picture has not the scale it claims, or there are more than [`MAX_NODES`] nodes.
    pub fn new(nodes: Vec<Node>, outputs: Vec<Output>) -> Result<Self> {
        if nodes.len() > MAX_NODES {
            return Err(wrong(format!("{} nodes, more than {MAX_NODES}", nodes.len())));
        }
        let mut names = std::collections::HashSet::new();
        for (id, node) in nodes.iter().enumerate() {
            if matches!(node.op, Op::Input { .. }) != (id == 0) {
                return Err(wrong("a network has one input, its first node".into()));
            }
            if let Some(&input) = node.inputs.iter().find(|&&input| input >= id) {
                return Err(wrong(format!("node {id} takes node {input}, which does not come before it")));
            }
            let count = node.inputs.len();
            if !node.op.arity().contains(&count) {
                return Err(wrong(format!("{} with {count} inputs", node.op.describe())));
            }
            let named = node.op.parameters(1).next().is_some();
            if named && (node.name.is_empty() || !names.insert(node.name.as_str())) {
                return Err(wrong(format!("two layers are called \"{}\"", node.name)));
            }
            node.op.check()?;
        }
        if outputs.is_empty() || outputs.iter().any(|output| output.node >= nodes.len()) {
            return Err(wrong("no picture comes out".into()));
        }
        let graph = Self { nodes, outputs };
        graph.check_shapes()?;
        Ok(graph)
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The node of an id.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id]
    }

    /// The pictures it gives, smallest first; the last one is the result.
    pub fn outputs(&self) -> &[Output] {
        &self.outputs
    }

    /// The node that gives the result.
    pub fn result(&self) -> NodeId {
        self.outputs.last().expect("checked: there is one").node
    }

    /// Factor between the sides of input and result. 1 restores without enlarging.
    pub fn scale(&self) -> usize {
        self.outputs.last().expect("checked: there is one").scale
    }

    /// Factor between the sides of the result and the input of a dual model.
    pub fn reduction(&self) -> usize {
        self.outputs.last().expect("checked: there is one").reduction
    }

    /// Scales of the pictures that training compares with: that of the input, 1, then those of the outputs, ascending.
    pub fn pyramid(&self) -> Vec<usize> {
        let mut scales: Vec<usize> = std::iter::once(1).chain(self.outputs.iter().map(|output| output.scale)).collect();
        scales.sort_unstable();
        scales.dedup();
        scales
    }

    /// The features that the last convolution on the way to the result makes the picture of.
    pub fn last_features(&self) -> NodeId {
        let mut live = vec![false; self.nodes.len()];
        live[self.result()] = true;
        for id in (0..self.nodes.len()).rev().filter(|&id| id > 0) {
            if live[id] {
                if matches!(self.nodes[id].op, Op::Conv(ConvOp { kernel, .. }) if kernel != [1, 1]) {
                    return self.nodes[id].inputs[0];
                }
                self.nodes[id].inputs.iter().for_each(|&input| live[input] = true);
            }
        }
        0
    }

    /// The node of a name.
    pub fn find(&self, name: &str) -> Option<NodeId> {
        self.nodes.iter().position(|node| node.name == name)
    }

    /// What weights it needs: names and shapes, in the order of the nodes.
    pub fn parameter_shapes(&self) -> Vec<(String, Vec<usize>)> {
        let shapes = self.check_shapes().expect("checked when it was made");
        let mut all = Vec::new();
        for node in &self.nodes {
            let channels = node.inputs.first().map_or(0, |&input| shapes[input].channels);
            all.extend(node.op.parameters(channels).map(|(role, shape)| (format!("{}.{role}", node.name), shape)));
        }
        all
    }

    /// The kinds of operators in it with how often each occurs, most frequent first.
    pub fn operators(&self) -> Vec<(String, usize)> {
        let mut counts: Vec<(String, usize)> = Vec::new();
        for node in &self.nodes[1..] {
            let kind = node.op.describe();
            match counts.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, count)) => *count += 1,
                None => counts.push((kind, 1)),
            }
        }
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        counts
    }

    /// The same graph with each node's operator mapped; names and connections stay.
    ///
    /// # Errors
    /// If the result is no network.
    pub(crate) fn map_ops(&self, mut map: impl FnMut(NodeId, &Op) -> Op) -> Result<Self> {
        let nodes = self.nodes.iter().enumerate();
        let nodes = nodes.map(|(id, node)| Node { op: map(id, &node.op), ..node.clone() }).collect();
        Self::new(nodes, self.outputs.clone())
    }
}

/// Puts nodes one after the other; each method gives the id of the value it adds.
#[derive(Debug, Default)]
pub struct Builder {
    nodes: Vec<Node>,
}

impl Builder {
    /// A graph that begins with a picture of `channels` channels, node 0.
    pub fn new(channels: usize) -> Self {
        Self { nodes: vec![Node { name: String::new(), op: Op::Input { channels }, inputs: Vec::new() }] }
    }

    /// Adds a node.
    pub fn add(&mut self, name: impl Into<String>, op: Op, inputs: &[NodeId]) -> NodeId {
        self.nodes.push(Node { name: name.into(), op, inputs: inputs.to_vec() });
        self.nodes.len() - 1
    }

    /// Adds a convolution that keeps the size, with bias: `kernel` is the side of its kernel.
    pub fn conv(&mut self, name: impl Into<String>, x: NodeId, outputs: usize, kernel: usize) -> NodeId {
        self.add(name, Op::Conv(ConvOp::new(outputs, kernel)), &[x])
    }

    /// Adds an operator without weights on one value.
    pub fn unary(&mut self, op: Op, x: NodeId) -> NodeId {
        self.add("", op, &[x])
    }

    /// Adds an activation.
    pub fn activation(&mut self, activation: dualres_kernels::Function, x: NodeId) -> NodeId {
        self.unary(Op::Activation(activation), x)
    }

    /// Adds a sum.
    pub fn sum(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.add("", Op::Binary(BinaryOp::Add), &[a, b])
    }

    /// Adds a product.
    pub fn product(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.add("", Op::Binary(BinaryOp::Mul), &[a, b])
    }

    /// Adds a concatenation of channels.
    pub fn concat(&mut self, values: &[NodeId]) -> NodeId {
        self.add("", Op::Concat, values)
    }

    /// Adds the nodes of another graph with `x` as its input; gives its result.
    pub fn embed(&mut self, graph: &Graph, x: NodeId) -> NodeId {
        let offset = self.nodes.len() - 1;
        let place = |id: NodeId| if id == 0 { x } else { id + offset };
        for node in &graph.nodes[1..] {
            let inputs = node.inputs.iter().map(|&input| place(input)).collect();
            self.nodes.push(Node { inputs, ..node.clone() });
        }
        place(graph.result())
    }

    /// Ends the graph with the pictures it gives.
    ///
    /// # Errors
    /// As [`Graph::new`].
    pub fn finish(self, outputs: Vec<Output>) -> Result<Graph> {
        Graph::new(self.nodes, outputs)
    }

    /// Ends the graph with one picture, whose scale is found from the shapes.
    ///
    /// # Errors
    /// As [`Graph::new`], and if the value is no picture of a whole scale.
    pub fn finish_single(self, node: NodeId) -> Result<Graph> {
        let scale = shape::scale_of(&self.nodes, node)?;
        Graph::new(self.nodes, vec![Output::enlarged(node, scale)])
    }
}

pub(crate) fn wrong(reason: String) -> NetworkError {
    NetworkError::Architecture(reason)
}
