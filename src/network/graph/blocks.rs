//! Residual blocks: what a sum adds to a stream, and a network can do without as a whole.
//!
//! The paper speaks of redundancy of layers as well as of channels (section 4.1). A layer of a plain row cannot go, but a
//! residual branch can: the stream that it is added to remains.

use std::collections::{BTreeMap, BTreeSet};

use dualres_kernels::Function;

use super::{BinaryOp, ChannelGroup, Graph, NodeId, Op};
use crate::Result;

/// A residual branch with nothing else depending on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResidualBlock {
    /// The sum at its end.
    pub sum: NodeId,
    /// What remains of the sum without it.
    pub stream: NodeId,
    /// Name of the convolution that ends it: with weight and bias zero the block adds nothing.
    pub last: String,
    /// Nodes that go with it, ascending; the sum is not among them.
    pub nodes: Vec<NodeId>,
}

impl ResidualBlock {
    /// Whether all of a group's layers lie in it.
    pub fn holds(&self, group: &ChannelGroup) -> bool {
        let layers = group.producers.iter().chain(&group.consumers).map(|member| member.node);
        layers.chain(group.between.iter().map(|slice| slice.node)).all(|node| self.nodes.binary_search(&node).is_ok())
    }
}

impl Graph {
    /// The residual blocks that hold no other, in the order in which they run.
    pub fn blocks(&self) -> Vec<ResidualBlock> {
        let mut users: Vec<Vec<NodeId>> = vec![Vec::new(); self.nodes().len()];
        for (id, node) in self.nodes().iter().enumerate() {
            node.inputs.iter().for_each(|&input| users[input].push(id));
        }
        let pictures: BTreeSet<NodeId> = self.outputs().iter().map(|output| output.node).collect();
        let shapes = self.check_shapes().expect("checked when the graph was made");
        let mut blocks: Vec<ResidualBlock> = Vec::new();
        for (sum, node) in self.nodes().iter().enumerate() {
            let (Op::Binary(BinaryOp::Add), [a, b]) = (&node.op, &node.inputs[..]) else { continue };
            for (stream, branch) in [(*a, *b), (*b, *a)] {
                if shapes[stream] != shapes[sum] || stream == branch {
                    continue;
                }
                let inside = exclusive(self, branch, sum, &users, &pictures);
                let Some(last) = self.zeroed_by(branch, &inside) else { continue };
                // Sums come in order: a block within this one has been met.
                if blocks.iter().any(|block| inside.contains(&block.sum)) {
                    continue;
                }
                let last = self.node(last).name.clone();
                blocks.push(ResidualBlock { sum, stream, last, nodes: inside.into_iter().collect() });
                break;
            }
        }
        blocks
    }

    /// The graph without some of its blocks.
    ///
    /// # Errors
    /// If the result is no network.
    pub fn without<'a>(&self, blocks: impl IntoIterator<Item = &'a ResidualBlock>) -> Result<Self> {
        let instead: BTreeMap<NodeId, NodeId> = blocks.into_iter().map(|block| (block.sum, block.stream)).collect();
        self.rewired(&instead, &BTreeMap::new())
    }

    /// The convolution among nodes `inside` that makes the value of `node` zero where its own is.
    fn zeroed_by(&self, node: NodeId, inside: &BTreeSet<NodeId>) -> Option<NodeId> {
        if !inside.contains(&node) {
            return None;
        }
        let inputs = &self.node(node).inputs;
        match &self.node(node).op {
            Op::Conv(_) => Some(node),
            Op::Linear { offset: 0.0, .. } | Op::Prelu => self.zeroed_by(inputs[0], inside),
            Op::Activation(function) if function_of_zero_is_zero(*function) => self.zeroed_by(inputs[0], inside),
            Op::Binary(BinaryOp::Mul) => inputs.iter().find_map(|&input| self.zeroed_by(input, inside)),
            _ => None,
        }
    }
}

fn function_of_zero_is_zero(function: Function) -> bool {
    matches!(
        function,
        Function::Relu
            | Function::LeakyRelu(_)
            | Function::Silu
            | Function::Gelu
            | Function::GeluTanh
            | Function::Mish
            | Function::Tanh
            | Function::HardSwish
            | Function::Sqrt
            | Function::Abs
            | Function::Erf
    )
}

/// Nodes that nobody but `sum` depends on, by way of `branch`.
fn exclusive(
    graph: &Graph,
    branch: NodeId,
    sum: NodeId,
    users: &[Vec<NodeId>],
    pictures: &BTreeSet<NodeId>,
) -> BTreeSet<NodeId> {
    let mut inside = BTreeSet::new();
    let mut open = BTreeSet::from([branch]);
    // From behind: what uses a node comes after it and is decided before it.
    while let Some(id) = open.pop_last() {
        let alone = users[id].iter().all(|user| inside.contains(user) || (*user == sum && id == branch));
        if id == 0 || !alone || pictures.contains(&id) {
            continue;
        }
        inside.insert(id);
        open.extend(&graph.node(id).inputs);
    }
    inside
}
