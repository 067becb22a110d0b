//! The order in which a graph is really run: several operators in one pass where that gives the same for less.

use std::collections::BTreeSet;

use dualres_kernels::{Activation, Function};

use super::{BinaryOp, ConvOp, Graph, NodeId, Op, shape::Shape};

/// A convolution and the 1x1 convolution after the pixel shuffle behind it, which one convolution can stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LinearPair {
    /// The convolution.
    pub(crate) up: NodeId,
    /// Factor of the pixel shuffle.
    pub(crate) by: usize,
    /// The 1x1 convolution.
    pub(crate) reduce: NodeId,
}

/// What is run at once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// A node as it is.
    Op,
    /// A convolution, what is added to its bias, and what is done last; with `sum` that factor times all of it, and another
    /// value added. Inputs: what is convolved, the channels of several values one after the other, and the other value.
    Conv { conv: NodeId, shift: Option<NodeId>, last: Last, sum: Option<f32> },
    /// A convolution and the 1x1 convolution after the pixel shuffle behind it: both are linear, so that one
    /// convolution with the product of their weights gives the same, with as many channels as come out in place of the
    /// inner ones, which are the widest of the network. Perhaps another value's channels after it.
    Join { up: NodeId, by: usize, reduce: NodeId, beside: bool },
    /// A pixel shuffle by 2, another value's channels after it. Inputs: what is shuffled, the other.
    ShuffleBeside,
    /// Channel attention and the skip around it. Inputs: what is scaled, what is added.
    Attention { squeeze: NodeId, excite: NodeId },
    /// `factor * a + b`.
    AddScaled { factor: f32 },
    /// `a * (sigmoid(b) + offset)`.
    Gate { offset: f32 },
}

/// What a convolution does with its samples last.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Last {
    /// One of its activations.
    Activation(Activation),
    /// PReLU, at a node.
    Prelu(NodeId),
    /// SiLU.
    Silu,
}

impl Last {
    const NOTHING: Self = Self::Activation(Activation::Identity);

    /// What stands for the operator of a node, if a convolution can do that.
    fn of(id: NodeId, op: &Op) -> Option<Self> {
        match op {
            Op::Prelu => Some(Self::Prelu(id)),
            Op::Activation(Function::Silu) => Some(Self::Silu),
            Op::Activation(function) => function.fused().map(Self::Activation),
            _ => None,
        }
    }
}

/// One pass.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) action: Action,
    /// Values it takes.
    pub(crate) inputs: Vec<NodeId>,
    /// The node whose value it gives.
    pub(crate) output: NodeId,
    /// Values that nobody needs after it.
    pub(crate) dead: Vec<NodeId>,
}

/// How nodes `from..to` are run so that the values of `wanted` are there in the end; values before `from` are there.
pub(super) fn plan(graph: &Graph, from: NodeId, to: NodeId, wanted: &BTreeSet<NodeId>) -> Vec<Step> {
    let matcher = Matcher::new(graph, from, to, wanted);
    let mut absorbed = vec![false; to];
    let mut steps = Vec::new();
    for id in (from..to).rev() {
        if !matcher.live[id] || absorbed[id] {
            continue;
        }
        let (action, inputs, inside) = matcher.fused(id);
        inside.into_iter().for_each(|node| absorbed[node] = true);
        steps.push(Step { action, inputs, output: id, dead: Vec::new() });
    }
    // The first to be met from behind is the last to use a value.
    let mut used: BTreeSet<NodeId> = wanted.clone();
    for step in &mut steps {
        step.dead = step.inputs.iter().copied().filter(|&input| used.insert(input)).collect();
    }
    steps.reverse();
    steps
}

/// Pairs of convolutions that one convolution can stand for, in all of a graph.
pub(super) fn linear_pairs(graph: &Graph) -> Vec<LinearPair> {
    let pictures = graph.outputs().iter().map(|output| output.node).collect();
    let matcher = Matcher::new(graph, 0, graph.nodes().len(), &pictures);
    let pair = |id: NodeId| match matcher.join(id, false)?.0 {
        Action::Join { up, by, reduce, .. } => Some(LinearPair { up, by, reduce }),
        _ => None,
    };
    (1..graph.nodes().len()).filter(|&id| matcher.live[id]).filter_map(pair).collect()
}

struct Matcher<'a> {
    graph: &'a Graph,
    from: NodeId,
    live: Vec<bool>,
    /// Values that one node alone uses and nobody else wants.
    single: Vec<bool>,
    /// Of every value, at the size that networks are checked at.
    shapes: Vec<Shape>,
}

type Fused = (Action, Vec<NodeId>, Vec<NodeId>);

impl<'a> Matcher<'a> {
    fn new(graph: &'a Graph, from: NodeId, to: NodeId, wanted: &BTreeSet<NodeId>) -> Self {
        let mut live = vec![false; to];
        let mut uses = vec![0; to];
        wanted.iter().filter(|&&id| id < to).for_each(|&id| {
            live[id] = true;
            uses[id] += 2;
        });
        for id in (from..to).rev().filter(|&id| id >= from) {
            if live[id] {
                for &input in &graph.node(id).inputs {
                    live[input] = true;
                    uses[input] += 1;
                }
            }
        }
        let single = uses.iter().enumerate().map(|(id, &uses)| id >= from && uses == 1).collect();
        Self { graph, from, live, single, shapes: graph.check_shapes().unwrap_or_default() }
    }

    fn op(&self, id: NodeId) -> &Op {
        &self.graph.node(id).op
    }

    fn input(&self, id: NodeId) -> NodeId {
        self.graph.node(id).inputs[0]
    }

    /// The convolution at `id`, if it is one of ours that nobody else looks at.
    fn inner_conv(&self, id: NodeId) -> Option<ConvOp> {
        self.plain_conv(id).filter(|_| self.single[id])
    }

    fn plain_conv(&self, id: NodeId) -> Option<ConvOp> {
        match self.op(id) {
            Op::Conv(conv) if id >= self.from && conv.is_plain() => Some(*conv),
            _ => None,
        }
    }

    /// What is run for node `id`: action, inputs, and the nodes inside.
    fn fused(&self, id: NodeId) -> Fused {
        let inputs = &self.graph.node(id).inputs;
        let found = match self.op(id) {
            Op::Binary(BinaryOp::Add) => {
                self.attention(inputs).or_else(|| self.summed(inputs)).or_else(|| self.scaled(inputs))
            }
            Op::Concat if inputs.len() == 2 => {
                let joined = self.join(inputs[0], true).map(|(action, x, mut inside)| {
                    inside.push(inputs[0]);
                    (action, vec![x, inputs[1]], inside)
                });
                joined.or_else(|| self.shuffled(inputs[0], inputs[1]))
            }
            Op::Conv(_) => {
                let joined = self.join(id, false).map(|(action, x, inside)| (action, vec![x], inside));
                joined.or_else(|| self.concatenated(id))
            }
            op @ (Op::Activation(_) | Op::Prelu) => {
                Last::of(id, op).and_then(|last| self.conv_before(self.input(id), last))
            }
            Op::Binary(BinaryOp::Mul) => self.gated(inputs),
            Op::Shift(_) => self.shifted(id, Last::NOTHING),
            _ => None,
        };
        found.unwrap_or_else(|| (Action::Op, inputs.clone(), Vec::new()))
    }

    /// A convolution of several values.
    fn concatenated(&self, id: NodeId) -> Option<Fused> {
        self.plain_conv(id)?;
        let (values, inside) = self.parts(self.input(id));
        let action = Action::Conv { conv: id, shift: None, last: Last::NOTHING, sum: None };
        (!inside.is_empty()).then_some((action, values, inside))
    }

    /// A product with a sigmoid, perhaps moved.
    fn gated(&self, inputs: &[NodeId]) -> Option<Fused> {
        let of = |x: NodeId, gate: NodeId| {
            let inner = |id: NodeId| self.single[id].then_some(id);
            let mut inside = vec![inner(gate)?];
            let (sigmoid, offset) = match *self.op(gate) {
                Op::Linear { factor: 1.0, offset } => (inner(self.input(gate))?, offset),
                _ => (gate, 0.0),
            };
            if *self.op(sigmoid) != Op::Activation(Function::Sigmoid)
                || x == sigmoid
                || self.shapes[x] != self.shapes[gate]
            {
                return None;
            }
            if sigmoid != gate {
                inside.push(sigmoid);
            }
            Some((Action::Gate { offset }, vec![x, self.input(sigmoid)], inside))
        };
        of(inputs[0], inputs[1]).or_else(|| of(inputs[1], inputs[0]))
    }

    /// A convolution at `id`, or one with a shift there, and `last` after it.
    fn conv_before(&self, id: NodeId, last: Last) -> Option<Fused> {
        if self.inner_conv(id).is_some() {
            let (values, mut inside) = self.parts(self.input(id));
            inside.push(id);
            return Some((Action::Conv { conv: id, shift: None, last, sum: None }, values, inside));
        }
        if !self.single.get(id).copied().unwrap_or(false) {
            return None;
        }
        let (action, inputs, mut inside) = self.shifted(id, last)?;
        inside.push(id);
        Some((action, inputs, inside))
    }

    fn shifted(&self, id: NodeId, last: Last) -> Option<Fused> {
        let Op::Shift(_) = self.op(id) else { return None };
        let conv = self.input(id);
        self.inner_conv(conv).filter(|conv| conv.bias)?;
        let (values, mut inside) = self.parts(self.input(conv));
        inside.push(conv);
        Some((Action::Conv { conv, shift: Some(id), last, sum: None }, values, inside))
    }

    /// The values that a value is concatenated from, if nobody else looks at it, and the nodes inside; else itself.
    fn parts(&self, id: NodeId) -> (Vec<NodeId>, Vec<NodeId>) {
        if id < self.from || !self.single[id] || *self.op(id) != Op::Concat {
            return (vec![id], Vec::new());
        }
        let (mut values, mut inside) = (Vec::new(), vec![id]);
        for &input in &self.graph.node(id).inputs {
            let (parts, within) = self.parts(input);
            values.extend(parts);
            inside.extend(within);
        }
        (values, inside)
    }

    /// The 1x1 convolution `reduce` after a pixel shuffle after a convolution, if one for both has fewer
    /// multiply-accumulates: the action, what goes in, and the nodes inside.
    fn join(&self, reduce: NodeId, inner: bool) -> Option<(Action, NodeId, Vec<NodeId>)> {
        let conv = if inner { self.inner_conv(reduce) } else { self.plain_conv(reduce) }?;
        let shuffle = self.input(reduce);
        let Op::PixelShuffle(by) = *self.op(shuffle) else { return None };
        if conv.kernel != [1, 1] || conv.stride != [1, 1] || !self.single[shuffle] || (inner && by != 2) {
            return None;
        }
        let up = self.input(shuffle);
        let before = self.inner_conv(up).filter(|conv| conv.stride == [1, 1])?;
        let taps = self.shapes[self.input(up)].channels * before.kernel[0] * before.kernel[1];
        let between = before.outputs / (by * by);
        let pays = taps * conv.outputs <= taps * between + between * conv.outputs;
        let action = Action::Join { up, by, reduce, beside: inner };
        pays.then(|| (action, self.input(up), vec![up, shuffle]))
    }

    /// A pixel shuffle by 2 that only a concatenation with `other` uses.
    fn shuffled(&self, id: NodeId, other: NodeId) -> Option<Fused> {
        let fits = id >= self.from && self.single[id] && *self.op(id) == Op::PixelShuffle(2) && other != id;
        fits.then(|| (Action::ShuffleBeside, vec![self.input(id), other], vec![id]))
    }

    /// `x * sigmoid(conv(relu(conv(mean of x)))) + residual`.
    fn attention(&self, inputs: &[NodeId]) -> Option<Fused> {
        let of = |product: NodeId, residual: NodeId| {
            let inner = |id: NodeId| self.single[id].then_some(id);
            inner(product).filter(|&id| matches!(self.op(id), Op::Binary(BinaryOp::Mul)))?;
            let [x, sigmoid] = self.graph.node(product).inputs[..] else { return None };
            inner(sigmoid).filter(|&id| *self.op(id) == Op::Activation(Function::Sigmoid))?;
            let excite = self.input(sigmoid);
            self.inner_conv(excite).filter(|conv| conv.kernel == [1, 1] && conv.bias)?;
            let relu = inner(self.input(excite)).filter(|&id| *self.op(id) == Op::Activation(Function::Relu))?;
            let squeeze = self.input(relu);
            self.inner_conv(squeeze).filter(|conv| conv.kernel == [1, 1] && conv.bias)?;
            let mean = inner(self.input(squeeze)).filter(|&id| *self.op(id) == Op::GlobalMean)?;
            if self.input(mean) != x || self.shapes[x] != self.shapes[residual] {
                return None;
            }
            let inside = vec![product, sigmoid, excite, relu, squeeze, mean];
            Some((Action::Attention { squeeze, excite }, vec![x, residual], inside))
        };
        of(inputs[0], inputs[1]).or_else(|| of(inputs[1], inputs[0]))
    }

    /// A sum whose one part is a convolution, perhaps with an activation and multiplied by a number. Of two the later one,
    /// because what goes into it is there already.
    fn summed(&self, inputs: &[NodeId]) -> Option<Fused> {
        let of = |part: NodeId, other: NodeId| {
            if !self.single[part] || self.shapes[part] != self.shapes[other] {
                return None;
            }
            let (factor, inner, mut inside) = match *self.op(part) {
                Op::Linear { factor, offset: 0.0 } => (factor, self.input(part), vec![part]),
                _ => (1.0, part, Vec::new()),
            };
            let (action, mut values, within) = match self.op(inner) {
                op @ (Op::Activation(_) | Op::Prelu) if self.single[inner] => {
                    self.conv_before(self.input(inner), Last::of(inner, op)?)?
                }
                _ => self.conv_before(inner, Last::NOTHING)?,
            };
            let Action::Conv { conv, shift, last, .. } = action else { return None };
            inside.extend(within);
            inside.push(inner);
            values.push(other);
            Some((Action::Conv { conv, shift, last, sum: Some(factor) }, values, inside))
        };
        let (early, late) = (inputs[0].min(inputs[1]), inputs[0].max(inputs[1]));
        of(late, early).or_else(|| of(early, late))
    }

    /// A sum whose one part is multiplied by a number.
    fn scaled(&self, inputs: &[NodeId]) -> Option<Fused> {
        let of = |scaled: NodeId, other: NodeId| {
            let Op::Linear { factor, offset } = *self.op(scaled) else { return None };
            if !self.single[scaled] || offset != 0.0 {
                return None;
            }
            let x = self.input(scaled);
            (self.shapes[x] == self.shapes[other]).then(|| (Action::AddScaled { factor }, vec![x, other], vec![scaled]))
        };
        of(inputs[0], inputs[1]).or_else(|| of(inputs[1], inputs[0]))
    }
}
