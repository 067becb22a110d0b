//! The numbers that determine a network.

use serde::{Deserialize, Serialize};

use crate::{NetworkError, Result};

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
    /// Inner width of each unit in the order of [`Architecture::units`].
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

/// A width that compression may reduce: the channels between two convolutions. Widths of the residual stream, head,
/// tails and attention are not among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// Where the unit is.
    pub kind: UnitKind,
    /// Width in the uncompressed network.
    pub full_width: usize,
}

/// The places of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnitKind {
    /// Between the two convolutions of a down-sampling block, counted from the output resolution.
    Down {
        /// Index of the block.
        index: usize,
    },
    /// Between the two convolutions of a residual block.
    Block {
        /// Level of the decoder, 0 at input resolution.
        level: usize,
        /// Index of the block in its level.
        block: usize,
    },
    /// Between the pixel shuffle that ends a level and the 1x1 convolution after it.
    Up {
        /// Level of the decoder.
        level: usize,
    },
}

/// The two convolutions that a unit lies between, named as in model files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitLayers {
    /// The convolution whose output the unit is.
    pub producer: String,
    /// The convolution whose input the unit is.
    pub consumer: String,
    /// Filters of the producer that make one channel: 4 where a pixel shuffle by two lies between, else 1.
    pub filters: usize,
}

impl std::fmt::Display for UnitKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Down { index } => write!(f, "down {}", index + 1),
            Self::Block { level, block } => write!(f, "level {} / block {:02}", level + 1, block + 1),
            Self::Up { level } => write!(f, "level {} / up", level + 1),
        }
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
            return Err(NetworkError::Architecture(format!("{n_feats} features and {blocks} blocks a level")));
        }
        architecture.widths = architecture.units().iter().map(|unit| unit.full_width).collect();
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
                "{} inner widths where the network has {} units",
                self.widths.len(),
                full.widths.len()
            )));
        }
        for ((unit, &width), &most) in full.units().iter().zip(&self.widths).zip(&full.widths) {
            if width == 0 || width > most {
                return Err(NetworkError::Architecture(format!("width {width} for {} of {most}", unit.kind)));
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

    /// Prunable units: the down-sampling blocks, then for each level its blocks and its up-sampling.
    pub fn units(&self) -> Vec<Unit> {
        let mut units: Vec<Unit> = (0..self.levels())
            .map(|index| Unit { kind: UnitKind::Down { index }, full_width: self.n_feats << index })
            .collect();
        for (level, &blocks) in self.n_blocks.iter().enumerate() {
            let full_width = self.level_channels(level);
            units.extend((0..blocks).map(|block| Unit { kind: UnitKind::Block { level, block }, full_width }));
            units.push(Unit { kind: UnitKind::Up { level }, full_width });
        }
        units
    }

    /// Where unit `index` is.
    ///
    /// # Panics
    /// If there is no such unit.
    pub fn unit_kind(&self, index: usize) -> UnitKind {
        assert!(index < self.widths.len(), "unit {index} of {}", self.widths.len());
        let level = (0..self.levels()).rev().find(|&level| index >= self.level_start(level));
        match level.map(|level| (level, index - self.level_start(level))) {
            None => UnitKind::Down { index },
            Some((level, block)) if block < self.n_blocks[level] => UnitKind::Block { level, block },
            Some((level, _)) => UnitKind::Up { level },
        }
    }

    /// The convolutions around unit `index`.
    ///
    /// # Panics
    /// If there is no such unit.
    pub fn unit_layers(&self, index: usize) -> UnitLayers {
        let (producer, consumer, filters) = match self.unit_kind(index) {
            UnitKind::Down { index } => {
                (format!("down.{index}.dual_module.0.0"), format!("down.{index}.dual_module.1"), 1)
            }
            UnitKind::Block { level, block } => {
                let body = format!("up_blocks.{level}.{block}.body");
                (format!("{body}.0"), format!("{body}.2"), 1)
            }
            UnitKind::Up { level } => {
                let end = self.n_blocks[level];
                (format!("up_blocks.{level}.{end}.0"), format!("up_blocks.{level}.{}", end + 1), 4)
            }
        };
        UnitLayers { producer: format!("model.{producer}"), consumer: format!("model.{consumer}"), filters }
    }

    /// Whether any unit is narrower than in the uncompressed network.
    pub fn is_compressed(&self) -> bool {
        self.units().iter().zip(&self.widths).any(|(unit, &width)| width < unit.full_width)
    }

    /// Channels of the residual stream of a decoder level.
    pub(crate) fn level_channels(&self, level: usize) -> usize {
        let levels = self.levels();
        if level == 0 { self.n_feats << levels } else { self.n_feats << (levels - level + 1) }
    }

    /// Channels that a level's 1x1 convolution gives, before the encoder's copy is joined.
    pub(crate) fn level_output(&self, level: usize) -> usize {
        self.n_feats << (self.levels() - 1 - level)
    }

    /// Channels that the attention of a level squeezes to (reduction 16).
    pub(crate) fn squeezed(channels: usize) -> usize {
        (channels / 16).max(1)
    }

    /// Inner width of down-sampling block `index`.
    pub(crate) fn down_width(&self, index: usize) -> usize {
        self.widths[index]
    }

    /// Inner width of block `block` of `level`; the one after the last is the up-sampling.
    pub(crate) fn level_width(&self, level: usize, block: usize) -> usize {
        self.widths[self.level_start(level) + block]
    }

    /// Index of the first unit of a level of the decoder.
    fn level_start(&self, level: usize) -> usize {
        self.levels() + self.n_blocks[..level].iter().map(|blocks| blocks + 1).sum::<usize>()
    }
}
