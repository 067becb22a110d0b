//! The same function by another graph: nodes replaced by earlier ones, what nobody needs any more left out.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    ConvOp, Cost, Graph, Node, NodeId, Op, Output,
    fuse::{self, LinearPair},
};
use crate::Result;

impl Graph {
    /// Pairs of convolutions that are one linear map and cost less as one.
    pub(crate) fn linear_pairs(&self) -> Vec<LinearPair> {
        fuse::linear_pairs(self)
    }

    /// The graph with each of its [`LinearPair`]s written as the one convolution that is run anyway: what a network really
    /// costs is the cost of this graph.
    ///
    /// # Errors
    /// Never for a graph that exists.
    pub fn collapsed(&self) -> Result<Self> {
        let (mut ops, mut instead) = (BTreeMap::new(), BTreeMap::new());
        for pair in self.linear_pairs() {
            let (Op::Conv(up), Op::Conv(reduce)) = (&self.node(pair.up).op, &self.node(pair.reduce).op) else {
                continue;
            };
            let outputs = reduce.outputs * pair.by * pair.by;
            let joined = ConvOp { outputs, bias: up.bias || reduce.bias, stream: reduce.stream, ..*up };
            ops.insert(pair.up, Op::Conv(joined));
            instead.insert(pair.reduce, self.node(pair.reduce).inputs[0]);
        }
        self.rewired(&instead, &ops)
    }

    /// Cost of the network as it is run, for an input of `width` x `height`: that of [`Graph::collapsed`].
    pub fn executed_cost(&self, width: usize, height: usize) -> Cost {
        self.collapsed().as_ref().unwrap_or(self).cost(width, height)
    }

    /// The graph with the values of some nodes taken from others before them, and other operators at some nodes. Nodes that
    /// nobody needs any more are gone.
    ///
    /// # Errors
    /// If the result is no network.
    pub(crate) fn rewired(&self, instead: &BTreeMap<NodeId, NodeId>, ops: &BTreeMap<NodeId, Op>) -> Result<Self> {
        let real = |mut id: NodeId| {
            while let Some(&other) = instead.get(&id) {
                id = other;
            }
            id
        };
        let mut needed: BTreeSet<NodeId> = self.outputs().iter().map(|output| real(output.node)).collect();
        needed.insert(0);
        for id in (1..self.nodes().len()).rev() {
            if needed.contains(&id) {
                needed.extend(self.node(id).inputs.iter().map(|&input| real(input)));
            }
        }
        let places: BTreeMap<NodeId, NodeId> = needed.iter().enumerate().map(|(place, &id)| (id, place)).collect();
        let place = |id: NodeId| places[&real(id)];
        let node = |&id: &NodeId| {
            let node = self.node(id);
            let op = ops.get(&id).unwrap_or(&node.op).clone();
            Node { name: node.name.clone(), op, inputs: node.inputs.iter().map(|&input| place(input)).collect() }
        };
        let outputs = self.outputs().iter().map(|output| Output { node: place(output.node), ..*output }).collect();
        Self::new(needed.iter().map(node).collect(), outputs)
    }
}
