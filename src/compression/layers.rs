//! The layers of a network that can be made narrower, and what widths of them cost.

use std::sync::Arc;

use dualres_network::{
    Architecture, ChannelGroup, Description, Graph,
    families::label,
    graph::{Member, Op},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::report::MAC_INPUT;

/// The prunable layers of a network, in the order in which they run.
#[derive(Clone, Debug, PartialEq)]
pub struct Layers {
    network: Arc<Graph>,
    /// The groups of channels.
    pub groups: Vec<ChannelGroup>,
    /// How many channels each has.
    pub widths: Vec<usize>,
    terms: Vec<Term>,
}

impl Layers {
    /// Those of a network; `streams` says whether streams that run along it are among them.
    pub fn of(network: &Arc<Graph>, streams: bool) -> Self {
        let groups = network.prunable(streams);
        let widths = groups.iter().map(|group| group.width).collect();
        let terms = terms(network, &groups);
        Self { network: network.clone(), groups, widths, terms }
    }

    /// The inner layers of a described network.
    pub fn described(description: &Description) -> Self {
        Self::of(&description.network, false)
    }

    /// The network.
    pub fn network(&self) -> &Arc<Graph> {
        &self.network
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
        for term in &self.terms {
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

/// A profile or a run holds the network; those of earlier versions hold the numbers of a DRN.
#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Graph(Graph),
    Drn(Architecture),
}

impl Serialize for Layers {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.network.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Layers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let graph = match Stored::deserialize(deserializer)? {
            Stored::Graph(graph) => graph,
            Stored::Drn(architecture) => architecture.graph().map_err(serde::de::Error::custom)?,
        };
        Ok(Self::of(&Arc::new(graph), false))
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

fn terms(network: &Graph, groups: &[ChannelGroup]) -> Vec<Term> {
    let shapes = network.shapes([MAC_INPUT, MAC_INPUT]).expect("checked when the graph was made");
    let mut terms = Vec::new();
    for (id, node) in network.nodes().iter().enumerate() {
        let Some(&input) = node.inputs.first() else { continue };
        let channels = shapes[input].channels as f64;
        let positions = (shapes[id].height * shapes[id].width) as f64;
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
                terms.push(Term { outputs, inputs: consumed, fixed_inputs, taps, bias, positions });
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
                }));
            }
        }
    }
    terms
}
