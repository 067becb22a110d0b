//! Networks built while their weights are read: the shapes in a file say what a layer is.

use dualres_kernels::Function;

use super::Found;
use crate::{
    NetworkError, Result, Weight, Weights,
    graph::{BinaryOp, Builder, ConvOp, Enlargement, NodeId, Op, ResizeOp, ResizeTo},
};

/// A graph under construction, the weights it has taken, and those that are left.
pub(super) struct Maker {
    pub(super) graph: Builder,
    taken: Weights,
    left: Weights,
}

impl Maker {
    pub(super) fn new(weights: &Weights, channels: usize) -> Self {
        Self { graph: Builder::new(channels), taken: Weights::default(), left: weights.clone() }
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.left.0.contains_key(key) || self.taken.0.contains_key(key)
    }

    /// Takes a weight out of the file.
    pub(super) fn take(&mut self, key: &str) -> Result<Weight> {
        let copy = || self.taken.0.get(key).cloned();
        let weight = self.left.0.remove(key).or_else(copy);
        weight.ok_or_else(|| NetworkError::Weights(format!("{key} is missing")))
    }

    /// Shape of a weight of the file.
    pub(super) fn shape(&self, key: &str) -> Result<Vec<usize>> {
        let weight = self.left.0.get(key).or_else(|| self.taken.0.get(key));
        let shape = weight.map(|weight| weight.shape.clone()).filter(|shape| !shape.is_empty());
        shape.ok_or_else(|| NetworkError::Weights(format!("{key} is missing")))
    }

    /// Says that a key belongs to the family although nothing is made of it.
    pub(super) fn ignore(&mut self, key: &str) {
        self.left.0.remove(key);
    }

    /// Gives a layer of the graph a weight.
    pub(super) fn put(&mut self, key: String, weight: Weight) {
        self.taken.0.insert(key, weight);
    }

    /// The convolution `name` of the file: stride 1, padding that keeps the size, one group. Layers stored as matrices are
    /// convolutions of 1x1.
    pub(super) fn conv(&mut self, name: &str, x: NodeId) -> Result<NodeId> {
        self.conv_as(name, x, |conv| conv)
    }

    /// The same, changed by `change`.
    pub(super) fn conv_as(&mut self, name: &str, x: NodeId, change: impl FnOnce(ConvOp) -> ConvOp) -> Result<NodeId> {
        let layer = self.unused(name);
        let mut weight = self.take(&format!("{name}.weight"))?;
        if weight.shape.len() == 2 {
            weight.shape.extend([1, 1]);
        }
        let [outputs, _, rows, columns] = weight.shape[..] else {
            return Err(NetworkError::Weights(format!("{name}.weight has {} axes", weight.shape.len())));
        };
        let bias = if self.has(&format!("{name}.bias")) { Some(self.take(&format!("{name}.bias"))?) } else { None };
        let op = ConvOp {
            kernel: [rows, columns],
            padding: [columns / 2, columns / 2, rows / 2, rows / 2],
            bias: bias.is_some(),
            ..ConvOp::new(outputs, 1)
        };
        self.put(format!("{layer}.weight"), weight);
        if let Some(bias) = bias {
            self.put(format!("{layer}.bias"), bias);
        }
        Ok(self.graph.add(layer, Op::Conv(change(op)), &[x]))
    }

    /// A name for a layer: its own, or with a number where the same weights are used again.
    fn unused(&self, name: &str) -> String {
        let free = |name: &String| !self.taken.0.contains_key(&format!("{name}.weight"));
        let numbered = (2..).map(|number| format!("{name}#{number}"));
        std::iter::once(name.to_owned()).chain(numbered).find(free).expect("numbers do not end")
    }

    /// A convolution and an activation after it.
    pub(super) fn conv_then(&mut self, name: &str, x: NodeId, function: Function) -> Result<NodeId> {
        let x = self.conv(name, x)?;
        Ok(self.graph.activation(function, x))
    }

    /// The rectifier with learned slopes `name`, on `channels` channels.
    pub(super) fn prelu(&mut self, name: &str, x: NodeId, channels: usize) -> Result<NodeId> {
        let mut slopes = self.take(&format!("{name}.weight"))?;
        if slopes.values.len() == 1 {
            slopes.values = vec![slopes.values[0]; channels];
        }
        slopes.shape = vec![slopes.values.len()];
        self.put(format!("{name}.weight"), slopes);
        Ok(self.graph.add(name, Op::Prelu, &[x]))
    }

    /// A layer with weight and bias a channel.
    pub(super) fn norm(&mut self, name: &str, op: Op, x: NodeId) -> Result<NodeId> {
        for role in ["weight", "bias"] {
            let weight = self.take(&format!("{name}.{role}"))?;
            self.put(format!("{name}.{role}"), weight);
        }
        Ok(self.graph.add(name, op, &[x]))
    }

    pub(super) fn scaled(&mut self, x: NodeId, factor: f32) -> NodeId {
        if factor == 1.0 { x } else { self.graph.unary(Op::Linear { factor, offset: 0.0 }, x) }
    }

    pub(super) fn nearest(&mut self, x: NodeId, by: usize) -> NodeId {
        let resize = ResizeOp { mode: Enlargement::Nearest, to: ResizeTo::Times(by) };
        if by == 1 { x } else { self.graph.unary(Op::Resize(resize), x) }
    }

    pub(super) fn shuffle(&mut self, x: NodeId, by: usize) -> NodeId {
        if by == 1 { x } else { self.graph.unary(Op::PixelShuffle(by), x) }
    }

    pub(super) fn product(&mut self, a: NodeId, b: NodeId) -> NodeId {
        self.graph.add("", Op::Binary(BinaryOp::Mul), &[a, b])
    }

    /// Ends the network with its picture.
    ///
    /// # Errors
    /// If the file has weights that the family has no place for: it is a variant of it that computes something else.
    pub(super) fn finish(self, family: &'static str, picture: NodeId, range: [f32; 2]) -> Result<Found> {
        if let Some(key) = self.left.0.keys().next() {
            return Err(NetworkError::Weights(format!(
                "it looks like {family}, but {key} is no part of that: a variant this program does not know; export it to ONNX"
            )));
        }
        Ok(Found::new(family, self.graph.finish_single(picture)?, self.taken, range))
    }
}

/// The factor and colours of a last convolution of `outputs` channels before a pixel shuffle: the first of the input's
/// channels, 3, 4 and 1 that leaves a square.
pub(super) fn shuffled(outputs: usize, inputs: usize) -> Result<usize> {
    let factor = |colours: usize| {
        let square = outputs / colours.max(1);
        (outputs.is_multiple_of(colours.max(1)) && square.isqrt().pow(2) == square).then(|| square.isqrt())
    };
    let found = [inputs, 3, 4, 1].into_iter().find_map(factor);
    found.ok_or_else(|| NetworkError::Weights(format!("{outputs} channels are no pixels of a picture")))
}
