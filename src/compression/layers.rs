//! The layers of a network that can be made narrower, and what widths of them cost.

use std::sync::Arc;

use dualres_network::{
    Architecture, ChannelGroup, Description, Graph, ResidualBlock,
    families::label,
    graph::{Member, Op},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, ser::SerializeStruct};

/// Side of the low-resolution input that multiply-accumulates are counted for, as in the publications.
pub const MAC_INPUT: usize = 96;

/// The prunable layers of a network, in the order in which they run.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    network: Arc<Graph>,
    /// Whether streams are among them.
    streams: bool,
    /// The groups of channels.
    pub groups: Vec<ChannelGroup>,
    /// How many channels each has.
    pub widths: Vec<usize>,
    /// Blocks of layers that can go as a whole: all their widths are 0 then, and what their sum was added to remains.
    pub blocks: Vec<Block>,
    terms: Vec<Term>,
}

/// Layers that only go together.
#[derive(Clone, Debug, PartialEq)]
pub struct Block {
    /// Its layers, ascending.
    pub layers: Vec<usize>,
    /// Where it lies in the network.
    pub residual: ResidualBlock,
}

impl Layers {
    /// Those of a network; `streams` says whether streams that run along it are among them.
    pub fn of(network: &Arc<Graph>, streams: bool) -> Self {
        let groups = network.prunable(streams);
        let widths = groups.iter().map(|group| group.width).collect();
        let blocks = blocks(network, &groups);
        let terms = terms(network, &groups, &blocks);
        Self { network: network.clone(), streams, groups, widths, blocks, terms }
    }

    /// The inner layers of a described network as it is run, see [`Graph::collapsed`]: those that a budget is shared
    /// among.
    pub fn described(description: &Description) -> Self {
        let run = description.network.collapsed();
        Self::of(&run.map_or_else(|_| description.network.clone(), Arc::new), false)
    }

    /// The block that a layer lies in, if it can go as a whole.
    pub fn block_of(&self, layer: usize) -> Option<usize> {
        self.blocks.iter().position(|block| block.layers.contains(&layer))
    }

    /// The smallest network there is: no block that can go, one channel of all other layers.
    pub(crate) fn narrowest(&self) -> Vec<usize> {
        (0..self.len()).map(|layer| usize::from(self.block_of(layer).is_none())).collect()
    }

    /// The blocks that are gone with `widths`.
    pub(crate) fn gone(&self, widths: &[usize]) -> impl Iterator<Item = &Block> {
        let none: Vec<bool> = widths.iter().map(|&width| width == 0).collect();
        self.blocks.iter().filter(move |block| block.layers.iter().all(|&layer| none[layer]))
    }

    /// The network.
    pub fn network(&self) -> &Arc<Graph> {
        &self.network
    }

    /// Whether streams that run along the network are among the layers.
    pub fn streams(&self) -> bool {
        self.streams
    }

    /// Number of layers.
    pub fn len(&self) -> usize {
        self.groups.len()
    }

    /// Whether nothing can be made narrower.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// Name of a layer for people.
    pub fn name(&self, layer: usize) -> String {
        label(&self.groups[layer].name)
    }

    /// Multiply-accumulates (input [`MAC_INPUT`] squared) and parameters of the network with `widths`, which may be
    /// expectations.
    pub(crate) fn cost_of(&self, widths: &[f64]) -> (f64, f64) {
        let (mut macs, mut parameters) = (0.0, 0.0);
        let gone = |block: usize| self.blocks[block].layers.iter().all(|&layer| widths[layer] == 0.0);
        for term in self.terms.iter().filter(|term| !term.block.is_some_and(gone)) {
            let count = term.parameters(widths);
            parameters += count;
            macs += count * term.positions;
        }
        (macs, parameters)
    }

    /// The same of whole widths.
    pub fn cost(&self, widths: &[usize]) -> (f64, f64) {
        self.cost_of(&widths.iter().map(|&width| width as f64).collect::<Vec<_>>())
    }
}

/// Name of a layer's weights in model files.
pub(crate) fn weight_name(member: &Member) -> String {
    format!("model.{}.weight", member.layer)
}

/// A profile holds the network, and whether streams were among its layers; those of earlier versions hold the network alone or
/// the numbers of a DRN.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Layers { network: Graph, streams: bool },
    Graph(Graph),
    Drn(Architecture),
}

impl Serialize for Layers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut fields = serializer.serialize_struct("Layers", 2)?;
        fields.serialize_field("network", &self.network)?;
        fields.serialize_field("streams", &self.streams)?;
        fields.end()
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (graph, streams) = match Stored::deserialize(deserializer)? {
            Stored::Layers { network, streams } => (network, streams),
            Stored::Graph(graph) => (graph, false),
            Stored::Drn(architecture) => (architecture.graph().map_err(serde::de::Error::custom)?, false),
        };
        Ok(Self::of(&Arc::new(graph), streams))
    }
}

/// What a layer costs, as a function of widths.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    /// Group that its outputs are, with filters a channel; else their number.
    outputs: Side,
    /// Groups among its inputs.
    inputs: Vec<usize>,
    /// Inputs of no group.
    fixed_inputs: f64,
    /// Taps of a kernel, over the groups of a grouped convolution.
    taps: f64,
    /// 1 if it has a bias.
    bias: f64,
    /// Positions it is applied at; 0 for what is not counted as multiply-accumulates.
    positions: f64,
    /// Block that it goes with.
    block: Option<usize>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Side {
    Fixed(f64),
    Group(usize, f64),
}

impl Term {
    fn parameters(&self, widths: &[f64]) -> f64 {
        let outputs = match self.outputs {
            Side::Fixed(count) => count,
            Side::Group(group, filters) => widths[group] * filters,
        };
        let inputs = self.fixed_inputs + self.inputs.iter().map(|&group| widths[group]).sum::<f64>();
        outputs * (inputs * self.taps + self.bias)
    }
}

/// The residual blocks that hold layers which nothing else depends on. Never all layers there are: what is left without the
/// skip around a whole network is no network.
fn blocks(network: &Graph, groups: &[ChannelGroup]) -> Vec<Block> {
    let held = |residual: &ResidualBlock| -> Vec<usize> {
        let inner = |group: &ChannelGroup| !group.stream && residual.holds(group);
        (0..groups.len()).filter(|&layer| inner(&groups[layer])).collect()
    };
    let of = |residual: ResidualBlock| Block { layers: held(&residual), residual };
    let inner = groups.iter().filter(|group| !group.stream).count();
    let fits = |block: &Block| (1..inner).contains(&block.layers.len());
    network.blocks().into_iter().map(of).filter(fits).collect()
}

fn terms(network: &Graph, groups: &[ChannelGroup], blocks: &[Block]) -> Vec<Term> {
    let shapes = network.shapes([MAC_INPUT, MAC_INPUT]).expect("checked when the graph was made");
    let mut terms = Vec::new();
    for (id, node) in network.nodes().iter().enumerate() {
        let Some(&input) = node.inputs.first() else { continue };
        let channels = shapes[input].channels as f64;
        let positions = (shapes[id].height * shapes[id].width) as f64;
        let block = blocks.iter().position(|block| block.residual.nodes.binary_search(&id).is_ok());
        let produced = groups.iter().position(|group| group.producers.iter().any(|member| member.node == id));
        let between = groups.iter().enumerate().filter(|(_, group)| group.between.iter().any(|slice| slice.node == id));
        let consumed: Vec<usize> = groups
            .iter()
            .enumerate()
            .flat_map(|(index, group)| group.consumers.iter().filter(|m| m.node == id).map(move |_| index))
            .collect();
        match &node.op {
            Op::Conv(conv) => {
                let taps = (conv.kernel[0] * conv.kernel[1]) as f64 / conv.groups as f64;
                let mut outputs = match produced {
                    Some(group) => Side::Group(group, groups[group].filters as f64),
                    None => Side::Fixed(conv.outputs as f64),
                };
                let mut fixed_inputs = channels - consumed.iter().map(|&group| groups[group].width as f64).sum::<f64>();
                let mut taps = taps;
                if let Some((group, found)) = between.clone().next() {
                    // Depthwise: each channel with a kernel of its own.
                    outputs = Side::Group(group, found.filters as f64);
                    (fixed_inputs, taps) = (1.0, (conv.kernel[0] * conv.kernel[1]) as f64);
                }
                let bias = f64::from(u8::from(conv.bias));
                terms.push(Term { outputs, inputs: consumed, fixed_inputs, taps, bias, positions, block });
            }
            op => {
                let count: usize =
                    op.parameters(shapes[input].channels).map(|(_, s)| s.iter().product::<usize>()).sum();
                if count == 0 {
                    continue;
                }
                let positions =
                    if matches!(op, Op::Deconv(_)) { (shapes[input].height * shapes[input].width) as f64 } else { 0.0 };
                let each = count as f64 / channels;
                let mut rest = count as f64;
                let mut sides = Vec::new();
                for (group, found) in between {
                    let filters = found.filters as f64;
                    rest -= found.width as f64 * filters * each;
                    sides.push(Side::Group(group, filters * each));
                }
                if rest > 0.0 {
                    sides.push(Side::Fixed(rest));
                }
                terms.extend(sides.into_iter().map(|outputs| Term {
                    outputs,
                    inputs: Vec::new(),
                    fixed_inputs: 0.0,
                    taps: 0.0,
                    bias: 1.0,
                    positions,
                    block,
                }));
            }
        }
    }
    terms
}
