//! Which channels belong together, and which of them a network could do without.
//!
//! A convolution's outputs live on in whatever takes them: activations, pixel shuffles, sums, concatenations. All that
//! has to change when one of them goes is a [`ChannelGroup`], found by union-find over the graph: convolutions that
//! produce the channels, weights a channel between, and convolutions that consume them. The method prunes inner widths,
//! between two convolutions (section 4.1); streams that run along the network are groups too, left alone unless
//! asked for.

use std::collections::{BTreeMap, BTreeSet};

use super::{ConvOp, Graph, NodeId, Op, Shape};
use crate::Result;

/// A layer at a group of channels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The node.
    pub node: NodeId,
    /// Name of its weights.
    pub layer: String,
    /// Of the group's channels the place of the first among the inputs of a consumer; 0 for producers.
    pub offset: usize,
}

/// Channels that can only go together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelGroup {
    /// Layer that produces them first.
    pub name: String,
    /// How many channels there are.
    pub width: usize,
    /// Filters of a producer that make one channel: the square of the factor of pixel shuffles after it.
    pub filters: usize,
    /// Convolutions whose outputs they are, in the order they run.
    pub producers: Vec<Member>,
    /// Layers with weights of their own a channel, between producers and consumers.
    pub between: Vec<ChannelSlice>,
    /// Convolutions whose inputs they are, in the order they run.
    pub consumers: Vec<Member>,
    /// Whether it is a stream: channels that a sum joins, or that its family declares to run along the network.
    pub stream: bool,
    /// Why none of them can go, for people; `None` if they can.
    pub obstacle: Option<String>,
}

/// A layer that treats each channel by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSlice {
    /// The node.
    pub node: NodeId,
    /// Name of its weights, if it has any.
    pub layer: String,
    /// Channels before those of the group.
    pub offset: usize,
    /// What is an axis of its own a channel there: 1, or the filters of a channel before a pixel shuffle.
    pub filters: usize,
}

impl ChannelGroup {
    /// The node that the group begins with.
    pub fn first(&self) -> NodeId {
        self.producers[0].node
    }

    /// The node after which nothing more of the group is seen.
    pub fn last(&self) -> NodeId {
        self.consumers.last().map_or(self.first(), |consumer| consumer.node)
    }

    /// Whether it may be pruned; `streams` says whether streams may.
    pub fn is_prunable(&self, streams: bool) -> bool {
        self.obstacle.is_none() && (streams || !self.stream)
    }

    /// Why it is left alone, for people.
    pub fn reason(&self) -> Option<&str> {
        match &self.obstacle {
            Some(reason) => Some(reason),
            None if self.stream => Some("residual stream, pruned only on request"),
            None => None,
        }
    }
}

impl Graph {
    /// All groups of channels, in the order in which they are produced.
    pub fn groups(&self) -> Vec<ChannelGroup> {
        let shapes = self.check_shapes().expect("checked when the graph was made");
        Derivation::new(self, &shapes).run()
    }

    /// The groups that compression may make narrower.
    pub fn prunable(&self, streams: bool) -> Vec<ChannelGroup> {
        self.groups().into_iter().filter(|group| group.is_prunable(streams)).collect()
    }

    /// The graph with only the channels `kept` of each group.
    ///
    /// # Errors
    /// If that is no network: a channel that is not there, or none left.
    pub fn narrowed(&self, groups: &[ChannelGroup], kept: &[Vec<usize>]) -> Result<Self> {
        let mut nodes: BTreeMap<NodeId, Op> = BTreeMap::new();
        // Several groups may lie beside each other in what one operator adds.
        let mut shifts: BTreeMap<NodeId, BTreeSet<usize>> = BTreeMap::new();
        for (group, kept) in groups.iter().zip(kept) {
            for producer in &group.producers {
                if let Op::Conv(conv) = self.node(producer.node).op {
                    nodes.insert(producer.node, Op::Conv(ConvOp { outputs: kept.len() * group.filters, ..conv }));
                }
            }
            let gone = group.width - kept.len();
            for slice in &group.between {
                if let Op::Shift(_) = self.node(slice.node).op {
                    let absent = (0..group.width).filter(|channel| !kept.contains(channel));
                    let values = absent.flat_map(|channel| {
                        let first = slice.offset + channel * slice.filters;
                        first..first + slice.filters
                    });
                    shifts.entry(slice.node).or_default().extend(values);
                    continue;
                }
                let op = nodes.remove(&slice.node).unwrap_or_else(|| self.node(slice.node).op.clone());
                let changed = match op {
                    Op::Conv(conv) => {
                        let outputs = conv.outputs - gone * slice.filters;
                        Op::Conv(ConvOp { outputs, groups: outputs, ..conv })
                    }
                    other => other,
                };
                nodes.insert(slice.node, changed);
            }
        }
        self.map_ops(|id, op| match (op, shifts.get(&id)) {
            (Op::Shift(values), Some(gone)) => {
                Op::Shift((0..values.len()).filter(|at| !gone.contains(at)).map(|at| values[at]).collect())
            }
            _ => nodes.remove(&id).unwrap_or_else(|| op.clone()),
        })
    }
}

/// Outputs of a convolution, or the channels of the input.
#[derive(Clone, Debug, Default)]
struct Space {
    /// Outputs of the convolution.
    outputs: usize,
    /// Outputs of it that make a channel where it is used, once that is known.
    filters: Option<usize>,
    obstacle: Option<String>,
    stream: bool,
    producers: Vec<Member>,
    between: Vec<ChannelSlice>,
    consumers: Vec<Member>,
}

/// A run of channels of a value: all of a space's.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Contribution {
    space: usize,
    filters: usize,
}

/// Why a layer at the picture's own channels stays.
const COLOURS: &str = "carries the colours of the picture";

struct Derivation<'a> {
    graph: &'a Graph,
    shapes: &'a [Shape],
    spaces: Vec<Space>,
    /// Union-find: the space that each has become a part of.
    parents: Vec<usize>,
    /// Parts of each value.
    layouts: Vec<Vec<Contribution>>,
}

impl<'a> Derivation<'a> {
    fn new(graph: &'a Graph, shapes: &'a [Shape]) -> Self {
        Self { graph, shapes, spaces: Vec::new(), parents: Vec::new(), layouts: Vec::new() }
    }

    fn root(&self, mut space: usize) -> usize {
        while self.parents[space] != space {
            space = self.parents[space];
        }
        space
    }

    fn space(&mut self, space: Space) -> usize {
        self.spaces.push(space);
        self.parents.push(self.parents.len());
        self.parents.len() - 1
    }

    fn freeze(&mut self, value: NodeId, reason: &str) {
        for part in self.layouts[value].clone() {
            let root = self.root(part.space);
            self.spaces[root].obstacle.get_or_insert_with(|| reason.to_owned());
        }
    }

    /// The parts of a value with the place of each among its channels; what the space is made of is noted.
    fn parts(&mut self, value: NodeId) -> Vec<(usize, usize)> {
        let mut offset = 0;
        let mut parts = Vec::new();
        for part in self.layouts[value].clone() {
            let root = self.root(part.space);
            let space = &mut self.spaces[root];
            if *space.filters.get_or_insert(part.filters) != part.filters {
                space.obstacle.get_or_insert_with(|| "used both before and after a pixel shuffle".into());
            }
            parts.push((root, offset));
            offset += space.outputs / part.filters;
        }
        parts
    }

    fn run(mut self) -> Vec<ChannelGroup> {
        for (id, node) in self.graph.nodes().iter().enumerate() {
            let layout = self.pass(id, &node.op, &node.inputs);
            self.layouts.push(layout);
        }
        for output in self.graph.outputs() {
            self.freeze(output.node, "gives the picture");
        }
        let mut groups: Vec<ChannelGroup> = Vec::new();
        for (index, space) in self.spaces.iter().enumerate() {
            if self.parents[index] != index || space.producers.is_empty() {
                continue;
            }
            let filters = space.filters.unwrap_or(1);
            let mut obstacle = space.obstacle.clone();
            if space.consumers.is_empty() {
                obstacle.get_or_insert_with(|| "no convolution takes its channels".into());
            }
            let statistic = space.producers.iter().all(|member| self.shapes[member.node].is_statistic());
            if statistic {
                obstacle.get_or_insert_with(|| "works on statistics of the picture, which cost nothing".into());
            }
            let mut sorted = space.clone();
            sorted.producers.sort_by_key(|member| member.node);
            sorted.consumers.sort_by_key(|member| member.node);
            groups.push(ChannelGroup {
                name: sorted.producers[0].layer.clone(),
                width: space.outputs / filters,
                filters,
                stream: space.stream || sorted.producers.len() > 1,
                producers: sorted.producers,
                between: sorted.between,
                consumers: sorted.consumers,
                obstacle,
            });
        }
        groups.sort_by_key(ChannelGroup::first);
        groups
    }

    /// Layout of the value of a node.
    fn pass(&mut self, id: NodeId, op: &Op, inputs: &[NodeId]) -> Vec<Contribution> {
        let first = inputs.first().copied().unwrap_or(0);
        match op {
            Op::Input { channels } => {
                let obstacle = Some("the picture itself".into());
                let space = self.space(Space { outputs: *channels, obstacle, ..Space::default() });
                vec![Contribution { space, filters: 1 }]
            }
            Op::Conv(conv) if conv.groups > 1 && self.is_depthwise(first, conv) => self.per_channel(id, first),
            Op::Conv(conv) => {
                let member = |offset| Member { node: id, layer: self.graph.node(id).name.clone(), offset };
                let grouped = (conv.groups > 1).then_some("convolution in groups of channels");
                let obstacle =
                    grouped.or_else(|| self.is_of_colours(first, conv).then_some(COLOURS)).map(str::to_owned);
                let (stream, producers) = (conv.stream, vec![member(0)]);
                if let Some(reason) = &obstacle {
                    self.freeze(first, reason);
                } else {
                    for (space, offset) in self.parts(first) {
                        let member = Member { node: id, layer: self.graph.node(id).name.clone(), offset };
                        self.spaces[space].consumers.push(member);
                    }
                }
                let space =
                    self.space(Space { outputs: conv.outputs, obstacle, stream, producers, ..Space::default() });
                vec![Contribution { space, filters: 1 }]
            }
            Op::Deconv(conv) => {
                let reason = "transposed convolution";
                self.freeze(first, reason);
                let space = Space { outputs: conv.outputs, obstacle: Some(reason.into()), ..Space::default() };
                vec![Contribution { space: self.space(space), filters: 1 }]
            }
            Op::Prelu | Op::Affine | Op::Shift(_) => self.per_channel(id, first),
            Op::Binary(_) => self.join(inputs[0], inputs[1]),
            Op::Concat => inputs.iter().flat_map(|&input| self.layouts[input].clone()).collect(),
            Op::PixelShuffle(by) => {
                let square = by * by;
                let fits = |part: &Contribution| {
                    let outputs = self.spaces[self.root(part.space)].outputs;
                    outputs.is_multiple_of(part.filters * square)
                };
                if !self.layouts[first].iter().all(fits) {
                    return self.opaque(id, inputs, "a pixel shuffle across layers");
                }
                self.layouts[first]
                    .iter()
                    .map(|part| Contribution { filters: part.filters * square, ..*part })
                    .collect()
            }
            Op::Slice { .. } => self.opaque(id, inputs, "some of its channels go another way"),
            Op::PixelUnshuffle(_) => self.opaque(id, inputs, "pixels become channels"),
            Op::GroupNorm { .. } => self.opaque(id, inputs, "normalized in groups of channels"),
            Op::LayerNorm { .. } | Op::ChannelMean => self.opaque(id, inputs, "normalized over its channels"),
            Op::SampleAt { .. } => self.opaque(id, inputs, "sampled in groups of channels"),
            Op::Activation(_)
            | Op::Linear { .. }
            | Op::Resize(_)
            | Op::Pool(_)
            | Op::GlobalMean
            | Op::GlobalDeviation
            | Op::Pad { .. }
            | Op::Crop(_) => self.layouts[first].clone(),
        }
    }

    /// Whether a layer mixes or moves the colours of a picture, as those do that take off a mean and put it back: without one of its
    /// channels a colour is gone, which no luma tells.
    fn is_of_colours(&self, input: NodeId, conv: &ConvOp) -> bool {
        let Some(Op::Input { channels }) = self.graph.nodes().first().map(|node| &node.op) else { return false };
        conv.kernel == [1, 1] && conv.outputs == *channels && self.shapes[input].channels == *channels
    }

    fn is_depthwise(&self, input: NodeId, conv: &ConvOp) -> bool {
        conv.groups == conv.outputs && conv.groups == self.shapes[input].channels
    }

    /// A layer that treats each channel by itself.
    fn per_channel(&mut self, id: NodeId, input: NodeId) -> Vec<Contribution> {
        let layer = self.graph.node(id).name.clone();
        let mut offset = 0;
        for part in self.layouts[input].clone() {
            let root = self.root(part.space);
            let filters = part.filters;
            // Before a shuffle of which nothing is known yet each output is a channel; the group's filters are set later.
            self.spaces[root].between.push(ChannelSlice { node: id, layer: layer.clone(), offset, filters });
            offset += self.spaces[root].outputs / filters;
        }
        self.layouts[input].clone()
    }

    /// A value that the derivation does not see through.
    fn opaque(&mut self, id: NodeId, inputs: &[NodeId], reason: &str) -> Vec<Contribution> {
        inputs.iter().for_each(|&input| self.freeze(input, reason));
        let outputs = self.shapes[id].channels;
        let space = self.space(Space { outputs, obstacle: Some(reason.into()), ..Space::default() });
        vec![Contribution { space, filters: 1 }]
    }

    /// Two values in one: their channels are the same from here on.
    fn join(&mut self, a: NodeId, b: NodeId) -> Vec<Contribution> {
        let [wide, narrow] = if self.shapes[a].channels >= self.shapes[b].channels { [a, b] } else { [b, a] };
        let channels = |this: &Self, part: &Contribution| this.spaces[this.root(part.space)].outputs / part.filters;
        if self.shapes[wide].channels != self.shapes[narrow].channels {
            // One channel for all.
            self.freeze(narrow, "works on all channels of another value");
            return self.layouts[wide].clone();
        }
        let (left, right) = (self.layouts[wide].clone(), self.layouts[narrow].clone());
        let alike = left.len() == right.len()
            && left.iter().zip(&right).all(|(l, r)| l.filters == r.filters && channels(self, l) == channels(self, r));
        if !alike {
            for value in [wide, narrow] {
                self.freeze(value, "a sum joins layers of other widths to it");
            }
            return left;
        }
        for (l, r) in left.iter().zip(&right) {
            let (into, from) = (self.root(l.space), self.root(r.space));
            if into == from {
                continue;
            }
            let other = std::mem::take(&mut self.spaces[from]);
            self.parents[from] = into;
            let space = &mut self.spaces[into];
            space.obstacle = space.obstacle.take().or(other.obstacle);
            space.stream |= other.stream;
            space.filters = space.filters.or(other.filters);
            space.producers.extend(other.producers);
            space.between.extend(other.between);
            space.consumers.extend(other.consumers);
        }
        left
    }
}
