//! DRN, the dual regression network of the papers (CVPR 2020, section 3; the code's `model/drn.py`).

use dualres_kernels::Function;
use serde::{Deserialize, Serialize};

use super::{Found, LEAKY, count_keys, outputs_of};
use crate::{
    NetworkError, Result, Weights,
    graph::{Builder, ConvOp, Enlargement, Graph, NodeId, Op, Output, ResizeOp, ResizeTo},
};

/// Largest scale that networks are built for.
pub const MAX_SCALE: usize = 8;

/// Sizes a network comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Small: trained on a CPU, run on a laptop. Our own choice of numbers; all widths are multiples of 8.
    T,
    /// DRN-S of the paper; for x2, where the paper has none, the defaults of the published code.
    S,
    /// DRN-L of the paper; for x2 our own choice.
    L,
}

/// A dual regression network in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Stored")]
pub struct Architecture {
    /// Factor between input and output sides: 2, 4 or 8.
    pub scale: usize,
    /// Channels at the output resolution; they double with each halving of the resolution.
    pub n_feats: usize,
    /// Residual channel attention blocks of each level of the decoder, that of the input resolution first. The published
    /// networks have the same number everywhere.
    pub n_blocks: Vec<usize>,
    /// Inner width of each prunable layer: of the down-sampling blocks, then for each level of its blocks and of its
    /// up-sampling.
    pub widths: Vec<usize>,
}

/// An architecture in files.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    scale: usize,
    n_feats: usize,
    n_blocks: StoredBlocks,
    widths: Vec<usize>,
}

/// Where all levels have as many blocks, files hold the number alone.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum StoredBlocks {
    Everywhere(usize),
    EachLevel(Vec<usize>),
}

impl From<Stored> for Architecture {
    fn from(Stored { scale, n_feats, n_blocks, widths }: Stored) -> Self {
        let n_blocks = match n_blocks {
            // A scale that does not exist is refused later, with the rest.
            StoredBlocks::Everywhere(blocks) => vec![blocks; scale.checked_ilog2().unwrap_or(0) as usize],
            StoredBlocks::EachLevel(blocks) => blocks,
        };
        Self { scale, n_feats, n_blocks, widths }
    }
}

impl From<Architecture> for Stored {
    fn from(Architecture { scale, n_feats, n_blocks, widths }: Architecture) -> Self {
        let n_blocks = match n_blocks[..] {
            [first, ref others @ ..] if others.iter().all(|&other| other == first) => StoredBlocks::Everywhere(first),
            _ => StoredBlocks::EachLevel(n_blocks),
        };
        Self { scale, n_feats, n_blocks, widths }
    }
}

impl Architecture {
    /// The uncompressed network of `n_feats` features and `n_blocks` blocks on every level.
    ///
    /// # Errors
    /// If `scale` is not 2, 4 or 8, or another number is zero or absurd.
    pub fn new(scale: usize, n_feats: usize, n_blocks: usize) -> Result<Self> {
        Self::with_blocks(scale, n_feats, vec![n_blocks; scale.checked_ilog2().unwrap_or(0) as usize])
    }

    /// The uncompressed network of `n_feats` features and so many blocks on each level, that of the input resolution first.
    ///
    /// # Errors
    /// As [`Architecture::new`], and if there is not one number a level.
    pub fn with_blocks(scale: usize, n_feats: usize, n_blocks: Vec<usize>) -> Result<Self> {
        if ![2, 4, MAX_SCALE].contains(&scale) {
            return Err(NetworkError::Architecture(format!("scale {scale} (2, 4 and 8 exist)")));
        }
        let mut architecture = Self { scale, n_feats, n_blocks, widths: Vec::new() };
        let (given, levels) = (architecture.n_blocks.len(), architecture.levels());
        if given != levels {
            let reason = format!("blocks of {given} levels, where scale {scale} has {levels}");
            return Err(NetworkError::Architecture(reason));
        }
        if !(1..=1024).contains(&n_feats) || architecture.n_blocks.iter().any(|&blocks| blocks > 1024) {
            let blocks = architecture.blocks();
            return Err(NetworkError::Architecture(format!(
                "{n_feats} features and {blocks} blocks a level (it takes 1 to 1024 features and at most 1024 blocks)"
            )));
        }
        architecture.widths = architecture.full_widths();
        Ok(architecture)
    }

    /// A preset for a scale.
    ///
    /// # Errors
    /// If `scale` is not 2, 4 or 8.
    pub fn preset(preset: Preset, scale: usize) -> Result<Self> {
        let (n_feats, n_blocks) = match (preset, scale) {
            (Preset::T, 2) => (16, 8),
            (Preset::T, 4) => (8, 4),
            (Preset::T, _) => (8, 2),
            (Preset::S, 8) => (8, 30),
            (Preset::S, _) => (16, 30),
            (Preset::L, 2) => (32, 30),
            (Preset::L, 4) => (20, 40),
            (Preset::L, _) => (10, 36),
        };
        Self::new(scale, n_feats, n_blocks)
    }

    /// The same network with other inner widths.
    ///
    /// # Errors
    /// If there is not one width a unit, or a width is zero or above the full width.
    pub fn with_widths(&self, widths: Vec<usize>) -> Result<Self> {
        let changed = Self { widths, ..self.clone() };
        changed.validate()?;
        Ok(changed)
    }

    /// Checks numbers that come from a file.
    ///
    /// # Errors
    /// As [`Architecture::new`] and [`Architecture::with_widths`].
    pub fn validate(&self) -> Result<()> {
        let full = Self::with_blocks(self.scale, self.n_feats, self.n_blocks.clone())?;
        if self.widths.len() != full.widths.len() {
            return Err(NetworkError::Architecture(format!(
                "{} inner widths where the network has {} layers to prune",
                self.widths.len(),
                full.widths.len()
            )));
        }
        for (unit, (&width, &most)) in self.widths.iter().zip(&full.widths).enumerate() {
            if width == 0 || width > most {
                return Err(NetworkError::Architecture(format!("width {width} of {most} for layer {}", unit + 1)));
            }
        }
        Ok(())
    }

    /// Doublings between input and output: `log2(scale)`.
    pub fn levels(&self) -> usize {
        self.scale.ilog2() as usize
    }

    /// Blocks a level in words: one number if it is that of all levels, else one a level.
    pub fn blocks(&self) -> String {
        match &self.n_blocks[..] {
            [first, others @ ..] if others.iter().all(|other| other == first) => first.to_string(),
            blocks => blocks.iter().map(usize::to_string).collect::<Vec<_>>().join("+"),
        }
    }

    /// Widths of the uncompressed network, in the order of [`Architecture::widths`].
    fn full_widths(&self) -> Vec<usize> {
        let mut widths: Vec<usize> = (0..self.levels()).map(|index| self.n_feats << index).collect();
        for (level, &blocks) in self.n_blocks.iter().enumerate() {
            widths.extend(std::iter::repeat_n(self.level_channels(level), blocks + 1));
        }
        widths
    }

    /// Whether any layer is narrower than in the uncompressed network.
    pub fn is_compressed(&self) -> bool {
        self.widths != self.full_widths()
    }

    /// Channels of the residual stream of a decoder level.
    fn level_channels(&self, level: usize) -> usize {
        let levels = self.levels();
        if level == 0 { self.n_feats << levels } else { self.n_feats << (levels - level + 1) }
    }

    /// Channels that a level's 1x1 convolution gives, before the encoder's copy is joined.
    fn level_output(&self, level: usize) -> usize {
        self.n_feats << (self.levels() - 1 - level)
    }

    /// Channels that the attention of a level squeezes to (reduction 16).
    fn squeezed(channels: usize) -> usize {
        (channels / 16).max(1)
    }

    /// Inner width of down-sampling block `index`.
    fn down_width(&self, index: usize) -> usize {
        self.widths[index]
    }

    /// Inner width of block `block` of `level`; the one after the last is the up-sampling.
    fn level_width(&self, level: usize, block: usize) -> usize {
        self.widths[self.level_start(level) + block]
    }

    /// Index of the first unit of a level of the decoder.
    fn level_start(&self, level: usize) -> usize {
        self.levels() + self.n_blocks[..level].iter().map(|blocks| blocks + 1).sum::<usize>()
    }
}

/// Mean colour of the training pictures of the published networks, in `[0, 1]`.
pub(crate) const MEAN_COLOUR: [f32; 3] = [0.4488, 0.4371, 0.4040];

/// What stands for the mean shift of a network.
#[derive(Clone, Copy, Debug, Default)]
struct Shifts {
    /// Whether weights of its own take the place of the published constants, before and after the network.
    trained: [bool; 2],
}

impl Architecture {
    /// The network as a graph; layers have their published names.
    ///
    /// # Errors
    /// If the numbers describe no network.
    pub fn graph(&self) -> Result<Graph> {
        self.build(Shifts::default())
    }

    fn build(&self, shifts: Shifts) -> Result<Graph> {
        self.validate()?;
        let levels = self.levels();
        let mut graph = Builder::new(3);
        let shifted = shift(&mut graph, "sub_mean", -1.0, shifts.trained[0], 0);
        let bicubic = ResizeOp { mode: Enlargement::Bicubic, to: ResizeTo::Times(self.scale) };
        let enlarged = graph.unary(Op::Resize(bicubic), shifted);
        let mut x = graph.add("head", Op::Conv(ConvOp::new(self.n_feats, 3).streaming()), &[enlarged]);
        let mut copies = Vec::new();
        for p in 0..levels {
            copies.push(x);
            let name = format!("down.{p}.dual_module");
            let strided = ConvOp::new(self.down_width(p), 3).strided(2).unbiased();
            x = graph.add(format!("{name}.0.0"), Op::Conv(strided), &[x]);
            x = graph.activation(LEAKY, x);
            let last = ConvOp::new(self.n_feats << (p + 1), 3).unbiased().streaming();
            x = graph.add(format!("{name}.1"), Op::Conv(last), &[x]);
        }
        let mut outputs = vec![self.picture(&mut graph, shifts, 0, x)];
        for level in 0..levels {
            let channels = self.level_channels(level);
            let name = format!("up_blocks.{level}");
            for block in 0..self.n_blocks[level] {
                let inner = self.level_width(level, block);
                x = residual_block(&mut graph, &format!("{name}.{block}.body"), x, [channels, inner]);
            }
            let blocks = self.n_blocks[level];
            let inner = self.level_width(level, blocks);
            let up = graph.conv(format!("{name}.{blocks}.0"), x, 4 * inner, 3);
            let wide = graph.unary(Op::PixelShuffle(2), up);
            let reduce = ConvOp::new(self.level_output(level), 1).streaming();
            let reduced = graph.add(format!("{name}.{}", blocks + 1), Op::Conv(reduce), &[wide]);
            x = graph.concat(&[reduced, copies.pop().expect("one copy a level")]);
            outputs.push(self.picture(&mut graph, shifts, level + 1, x));
        }
        graph.finish(outputs)
    }

    /// The picture of a level, of its features.
    fn picture(&self, graph: &mut Builder, shifts: Shifts, level: usize, features: NodeId) -> Output {
        let tail = graph.conv(format!("tail.{level}"), features, 3, 3);
        let name = if level == 0 { "add_mean".to_owned() } else { format!("add_mean.{level}") };
        Output::enlarged(shift(graph, &name, 1.0, shifts.trained[1], tail), 1 << level)
    }

    /// The numbers of a graph; `None` if it is of another kind.
    pub fn of_graph(graph: &Graph) -> Option<Self> {
        let bare = |(name, shape)| (name, crate::Weight { shape, values: Vec::new() });
        Self::of_weights(&Weights(graph.parameter_shapes().into_iter().map(bare).collect()))
    }

    /// The numbers of the network that weights belong to; `None` if they are of another kind.
    pub fn of_weights(weights: &Weights) -> Option<Self> {
        let outputs = |name: &str| outputs_of(weights, name);
        let n_feats = outputs("head")?;
        let levels = count_keys(weights, |p| format!("down.{p}.dual_module.0.0.weight"));
        if !(1..=3).contains(&levels) || !weights.0.contains_key("tail.0.weight") {
            return None;
        }
        let blocks_of = |level| count_keys(weights, |block| format!("up_blocks.{level}.{block}.body.0.weight"));
        let n_blocks: Vec<usize> = (0..levels).map(blocks_of).collect();
        let mut widths = Vec::new();
        for p in 0..levels {
            widths.push(outputs(&format!("down.{p}.dual_module.0.0"))?);
        }
        for (level, &blocks) in n_blocks.iter().enumerate() {
            for block in 0..blocks {
                widths.push(outputs(&format!("up_blocks.{level}.{block}.body.0"))?);
            }
            widths.push(outputs(&format!("up_blocks.{level}.{blocks}.0"))? / 4);
        }
        Some(Self { scale: 1 << levels, n_feats, n_blocks, widths })
    }
}

/// Subtraction or addition of the mean colour.
fn shift(graph: &mut Builder, name: &str, sign: f32, trained: bool, x: NodeId) -> NodeId {
    if trained {
        return graph.conv(name, x, 3, 1);
    }
    graph.unary(Op::Shift(MEAN_COLOUR.map(|mean| sign * 255.0 * mean).to_vec()), x)
}

/// Residual channel attention block.
fn residual_block(graph: &mut Builder, name: &str, x: NodeId, [channels, inner]: [usize; 2]) -> NodeId {
    let first = graph.conv(format!("{name}.0"), x, inner, 3);
    let first = graph.activation(Function::Relu, first);
    let second = graph.add(format!("{name}.2"), Op::Conv(ConvOp::new(channels, 3).streaming()), &[first]);
    let mean = graph.unary(Op::GlobalMean, second);
    let squeezed = graph.conv(format!("{name}.3.conv_du.0"), mean, Architecture::squeezed(channels), 1);
    let squeezed = graph.activation(Function::Relu, squeezed);
    let excited = graph.conv(format!("{name}.3.conv_du.2"), squeezed, channels, 1);
    let scale = graph.activation(Function::Sigmoid, excited);
    let scaled = graph.product(second, scale);
    graph.sum(scaled, x)
}

/// Recognises the weights of a DRN, under their published names.
///
/// # Errors
/// If they are those of a DRN that cannot be.
pub(crate) fn recognise(weights: &Weights) -> Result<Option<Found>> {
    let Some(architecture) = Architecture::of_weights(weights) else { return Ok(None) };
    let mut weights = weights.clone();
    let mut shifts = Shifts::default();
    for (index, (name, sign)) in [("sub_mean", -1.0), ("add_mean", 1.0)].into_iter().enumerate() {
        let keys = ["weight", "bias"].map(|role| format!("{name}.{role}"));
        let [Some(matrix), Some(bias)] = keys.each_ref().map(|key| weights.0.remove(key)) else { continue };
        let near = |values: &[f32], expected: &[f32], tolerance: f32| {
            values.len() == expected.len() && values.iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance)
        };
        let identity: Vec<f32> = (0..9).map(|i| if i % 4 == 0 { 1.0 } else { 0.0 }).collect();
        let offset = MEAN_COLOUR.map(|mean| sign * 255.0 * mean);
        // The published constants may have been trained by accident.
        if near(&matrix.values, &identity, 1e-6) && near(&bias.values, &offset, 1e-3) {
            continue;
        }
        shifts.trained[index] = true;
        let names = match index {
            0 => vec![name.to_owned()],
            _ => (0..=architecture.levels())
                .map(|level| if level == 0 { name.to_owned() } else { format!("{name}.{level}") })
                .collect(),
        };
        for name in names {
            weights.0.insert(format!("{name}.weight"), matrix.clone());
            weights.0.insert(format!("{name}.bias"), bias.clone());
        }
    }
    let graph = architecture.build(shifts)?;
    Ok(Some(Found::new("DRN", graph, weights, [0.0, 255.0])))
}

/// Place of a prunable layer by the name of its producer.
pub(super) fn label(layer: &str) -> Option<String> {
    let number = |text: &str| text.parse::<usize>().ok().map(|index| index + 1);
    if let Some(rest) = layer.strip_prefix("down.") {
        return Some(format!("down {}", number(rest.strip_suffix(".dual_module.0.0")?)?));
    }
    let (level, rest) = layer.strip_prefix("up_blocks.")?.split_once('.')?;
    let level = number(level)?;
    if let Some(block) = rest.strip_suffix(".body.0") {
        return Some(format!("level {level} / block {:02}", number(block)?));
    }
    number(rest.strip_suffix(".0")?).map(|_| format!("level {level} / up"))
}
