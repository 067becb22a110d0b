//! The sensitivity profile: what each prunable layer loses with each width, measured once, and from it an instant answer for any
//! ratio: an estimate, and a network that needs no training.

mod compensation;
mod measure;

use std::path::Path;

use burn::tensor::Device;
use dualres_imaging::file::write_atomically;
use dualres_network::{ChannelGroup, Model, Weight, Weights};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    CompressionError, Losses, ProfileConfig, Result,
    allocate::{Choices, Costs, allocate},
    candidates::budget_widths,
    files::{load_state, save_state, state_bytes, state_from_bytes},
    layers::{Block, Layers, weight_name},
    surgery::{cut_weights, part_of, rebuilt, spread},
};

pub(crate) use measure::measure;

/// What a prunable layer loses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerProfile {
    /// Channels from the most to the least needed; a network of width w keeps the first w.
    pub order: Vec<usize>,
    /// Widths that were measured, ascending; the last is the full width.
    pub widths: Vec<usize>,
    /// Mean primal loss with this prunable layer alone cut to each width.
    pub primal: Vec<f64>,
    /// Mean dual loss, before weighting.
    pub dual: Vec<f64>,
    /// Y-PSNR in dB of the calibration patches.
    pub psnr_y: Vec<f64>,
}

/// What a network loses without a block.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BlockProfile {
    /// Mean primal loss without it.
    pub primal: f64,
    /// Mean dual loss, before weighting.
    pub dual: f64,
    /// Y-PSNR in dB of the calibration patches.
    pub psnr_y: f64,
}

/// A network that was really cut and measured, to see what the sum over prunable layers is worth.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Anchor {
    /// Sum over prunable layers of the rise of the total loss (lambda 0.1).
    sum: f64,
    primal: f64,
    dual: f64,
    psnr_y: f64,
}

/// What a network is expected to give without training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Primal loss in gray levels.
    pub primal: f64,
    /// Dual loss in gray levels, before weighting.
    pub dual: f64,
    /// Y-PSNR in dB of the calibration patches; compare it with the estimate for the full widths.
    pub psnr_y: f64,
}

/// The sensitivity profile of a network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// The layers of the network that was measured.
    #[serde(alias = "architecture")]
    pub layers: Layers,
    /// SHA-256 of its weights.
    weights: String,
    /// What it was measured with.
    settings: ProfileConfig,
    seed: u64,
    /// Its prunable layers; fewer than it has while the measurement is under way.
    pub units: Vec<LayerProfile>,
    /// Its blocks that can go as a whole, likewise, in the order of their first layers.
    #[serde(default)]
    pub blocks: Vec<BlockProfile>,
    anchors: Vec<Anchor>,
    /// Second moments of each prunable layer's channels, [C, C].
    #[serde(skip)]
    moments: Vec<Vec<f32>>,
}

/// What widths are bound to beside their budget.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Constraints {
    /// Widths of prunable layers that are not to change; none elsewhere. May be shorter than the list of prunable layers.
    pub fixed: Vec<Option<usize>>,
    /// Fewest channels of each prunable layer that is not fixed and not gone with its block, 1 where nothing is said; layers that
    /// never had as many stay whole.
    pub least: Vec<usize>,
    /// Layers whose blocks are not to go, by their place.
    pub held: Vec<bool>,
    /// Widths are multiples of this, or the full width; 0 and 1 allow any width, in prunable layers of more than 16 channels every
    /// n-th.
    pub multiple: usize,
}

/// Penalty of what must not be chosen; finite, because penalties are added.
const NEVER: f64 = 1e9;

/// Most widths of a prunable layer that are weighed against each other where they are bound to more than a budget.
const MAX_CANDIDATES: usize = 16;

/// Weight of the dual loss where the profile weighs one network against another.
const LAMBDA: f64 = 0.1;

impl Profile {
    fn new(model: &Model, layers: Layers, settings: &ProfileConfig, seed: u64) -> Self {
        let (units, blocks, anchors, moments) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (weights, settings) = (hash(&model.weights()), settings.clone());
        Self { layers, weights, settings, seed, units, blocks, anchors, moments }
    }

    /// Whether this is the profile of `model`, which is measured as it is run ([`Model::collapsed`]).
    pub fn is_of(&self, model: &Model) -> bool {
        let Ok(model) = model.collapsed(&Device::flex()) else { return false };
        *self.layers.network() == model.description.network && self.weights == hash(&model.weights())
    }

    /// Whether everything was measured.
    pub fn is_complete(&self) -> bool {
        let (units, blocks) = (self.layers.widths.len(), self.layers.blocks.len());
        self.units.len() == units && self.blocks.len() == blocks && !self.anchors.is_empty()
    }

    /// How much the total loss rises with prunable layer `unit` alone cut to each of its measured widths. Never below zero, and
    /// never rising with the width: what is measured the other way is noise.
    pub(crate) fn rises(&self, unit: usize, lambda: f64) -> Vec<f64> {
        let profile = &self.units[unit];
        let total = |index: usize| profile.primal[index] + lambda * profile.dual[index];
        let full = total(profile.widths.len() - 1);
        let mut rises: Vec<f64> = (0..profile.widths.len()).map(|index| (total(index) - full).max(0.0)).collect();
        for index in (0..rises.len().saturating_sub(1)).rev() {
            rises[index] = rises[index].max(rises[index + 1]);
        }
        rises
    }

    /// How much the total loss rises without each block. Never below zero.
    pub(crate) fn rises_without(&self, lambda: f64) -> Vec<f64> {
        let full = self.units.last().and_then(|unit| Some(unit.primal.last()? + lambda * unit.dual.last()?));
        let rise = |block: &BlockProfile| (block.primal + lambda * block.dual - full.unwrap_or_default()).max(0.0);
        self.blocks.iter().map(rise).collect()
    }

    /// The widths that lose least of all that keep at most `1 - ratio` of the multiply-accumulates. The dual loss is
    /// weighted by `lambda`.
    ///
    /// # Errors
    /// If no network is that small.
    pub fn widths_for(&self, ratio: f64, lambda: f64) -> Result<Vec<usize>> {
        self.widths_under(&Costs::of(&self.layers), ratio, lambda)
    }

    /// The same of any costs.
    pub(crate) fn widths_under(&self, costs: &Costs, ratio: f64, lambda: f64) -> Result<Vec<usize>> {
        let widths = budget_widths(&self.layers, costs, 1.0 - ratio);
        let penalty = |(unit, of): (usize, &Vec<usize>)| {
            let (measured, rises) = (&self.units[unit].widths, self.rises(unit, lambda));
            let at = |width: &usize| measured.iter().position(|m| m == width).map_or(f64::INFINITY, |at| rises[at]);
            of.iter().map(at).collect()
        };
        let penalties = widths.iter().enumerate().map(penalty).collect();
        let gone = self.rises_without(lambda).into_iter().map(Some).collect();
        allocate(costs, &Choices { widths, penalties, gone }, 1.0 - ratio)
    }

    /// As [`Profile::widths_for`], with widths that are bound to more than the budget. Losses between measured widths are
    /// interpolated.
    ///
    /// # Errors
    /// If no network with these constraints is that small.
    pub fn widths_within(&self, ratio: f64, lambda: f64, constraints: &Constraints) -> Result<Vec<usize>> {
        allocate(&Costs::of(&self.layers), &self.choices_within(lambda, constraints), 1.0 - ratio)
    }

    /// The smallest network with these constraints.
    pub fn narrowest(&self, constraints: &Constraints) -> Vec<usize> {
        self.choices_within(LAMBDA, constraints).narrowest(&Costs::of(&self.layers))
    }

    fn choices_within(&self, lambda: f64, constraints: &Constraints) -> Choices {
        let widths = self.candidates_within(constraints);
        let penalties = (0..widths.len()).map(|unit| {
            let at: Vec<f64> = self.units[unit].widths.iter().map(|&width| width as f64).collect();
            let rises = self.rises(unit, lambda);
            widths[unit].iter().map(|&width| interpolate(&at, &rises, width as f64)).collect()
        });
        let mut penalties: Vec<Vec<f64>> = penalties.collect();
        for (layer, penalties) in penalties.iter_mut().enumerate() {
            // What is to be gone must not be kept by a channel.
            if constraints.fixed.get(layer).copied().flatten() == Some(0) {
                penalties.fill(NEVER);
            }
        }
        let free = |layer: &usize| {
            let fixed = constraints.fixed.get(*layer).copied().flatten();
            fixed == Some(0) || (fixed.is_none() && constraints.held.get(*layer) != Some(&true))
        };
        let blocks = self.rises_without(lambda).into_iter().zip(&self.layers.blocks);
        let gone = blocks.map(|(rise, block)| block.layers.iter().all(free).then_some(rise)).collect();
        Choices { widths, penalties, gone }
    }

    fn candidates_within(&self, constraints: &Constraints) -> Vec<Vec<usize>> {
        let of = |(unit, &full): (usize, &usize)| match constraints.fixed.get(unit).copied().flatten() {
            Some(width) => vec![width.clamp(1, full)],
            None => {
                let least = constraints.least.get(unit).map_or(1, |&least| least.clamp(1, full));
                // As many as a slider can follow without a pause in networks of any width.
                let step = constraints.multiple.max(1) * full.div_ceil(MAX_CANDIDATES * constraints.multiple.max(1));
                (least..full).filter(|width| width.is_multiple_of(step)).chain([full]).collect()
            }
        };
        self.layers.widths.iter().enumerate().map(of).collect()
    }

    /// Sum over prunable layers of what the total loss rises by, linear between measured widths.
    fn sum(&self, widths: &[usize]) -> f64 {
        let without = self.rises_without(LAMBDA);
        let gone: f64 = self.layers.gone(widths).map(|block| without[self.place(block)]).sum();
        let rise = |(unit, &width): (usize, &usize)| {
            if width == 0 {
                return 0.0;
            }
            let at: Vec<f64> = self.units[unit].widths.iter().map(|&width| width as f64).collect();
            interpolate(&at, &self.rises(unit, LAMBDA), width as f64)
        };
        gone + widths.iter().enumerate().map(rise).sum::<f64>()
    }

    fn place(&self, block: &Block) -> usize {
        self.layers.blocks.iter().position(|own| own == block).expect("one of its own")
    }

    /// What the network of these widths gives without training: the sum over prunable layers, put right by networks that were
    /// really measured.
    ///
    /// # Panics
    /// If there is not one width a prunable layer.
    pub fn estimate(&self, widths: &[usize]) -> Estimate {
        assert_eq!(widths.len(), self.units.len(), "one width a unit");
        let sum = self.sum(widths);
        let sums: Vec<f64> = self.anchors.iter().map(|anchor| anchor.sum).collect();
        let of = |get: fn(&Anchor) -> f64| interpolate(&sums, &self.anchors.iter().map(get).collect::<Vec<_>>(), sum);
        Estimate { primal: of(|a| a.primal), dual: of(|a| a.dual), psnr_y: of(|a| a.psnr_y) }
    }

    /// The channels that a network of these widths keeps, ascending.
    ///
    /// # Panics
    /// If there is not one width a prunable layer.
    pub fn kept(&self, widths: &[usize]) -> Vec<Vec<usize>> {
        assert_eq!(widths.len(), self.units.len(), "one width a unit");
        let kept = |(unit, &width): (&LayerProfile, &usize)| {
            let mut kept = unit.order[..width.min(unit.order.len())].to_vec();
            kept.sort_unstable();
            kept
        };
        self.units.iter().zip(widths).map(kept).collect()
    }

    /// A network of these widths without any training: `model`, the network that was measured, cut, with what goes
    /// predicted from what stays.
    ///
    /// # Errors
    /// If widths or model are not those of the network that was measured.
    pub fn one_shot(&self, model: &Model, widths: &[usize], device: &Device) -> Result<Model> {
        let model = &model.collapsed(device)?;
        let mut weights = model.weights();
        if model.description.network != *self.layers.network() || hash(&weights) != self.weights {
            return Err(CompressionError::Setting("the profile is that of another network".into()));
        }
        crate::widths::fits(widths, &self.layers)?;
        let kept = self.kept(widths);
        for (unit, group) in self.layers.groups.iter().enumerate() {
            let kernels = group.consumers.iter().map(|m| part_of(&weights.0[&weight_name(m)], m, group.width));
            let kernels: Vec<Weight> = kernels.collect();
            compensate(&mut weights, group, &self.moments[unit], &kernels, &kept[unit]);
        }
        let network = cut_weights(&self.layers, &mut weights, &kept)?;
        rebuilt(model, network, &weights, device)
    }

    /// The kernels of the consumers of layer `unit` for the channels `kept`, what goes predicted from what stays.
    pub(crate) fn consumers(&self, weights: &Weights, unit: usize, kept: &[usize]) -> Vec<Weight> {
        let group = &self.layers.groups[unit];
        let of = |member| {
            let kernel = part_of(&weights.0[&weight_name(member)], member, group.width);
            if kept.len() == group.width { kernel } else { compensation::folded(&self.moments[unit], &kernel, kept) }
        };
        group.consumers.iter().map(of).collect()
    }

    /// Reads a profile, if there is one.
    ///
    /// # Errors
    /// If the file cannot be read or is no profile.
    pub fn read(path: &Path) -> Result<Option<Self>> {
        let Some((weights, profile)) = load_state::<Self>(path)? else { return Ok(None) };
        Ok(Some(profile.with_moments(&weights)))
    }

    /// Reads a profile from memory.
    ///
    /// # Errors
    /// If the bytes are no profile.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self> {
        let (weights, profile): (_, Self) = state_from_bytes(bytes, Path::new("profile"))?;
        Ok(profile.with_moments(&weights))
    }

    fn with_moments(mut self, weights: &Weights) -> Self {
        let of = |unit: usize| weights.0.get(&unit.to_string()).map(|weight| weight.values.clone()).unwrap_or_default();
        self.moments = (0..self.units.len()).map(of).collect();
        self
    }

    fn stored_moments(&self) -> Weights {
        let weight = |(unit, moments): (usize, &Vec<f32>)| {
            let channels = self.layers.widths[unit];
            (unit.to_string(), Weight { shape: vec![channels, channels], values: moments.clone() })
        };
        Weights(self.moments.iter().enumerate().map(weight).collect())
    }

    /// Writes the profile.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<()> {
        save_state(path, &self.stored_moments(), self)
    }

    /// The profile as a file in memory.
    pub fn to_bytes(&self) -> Vec<u8> {
        state_bytes(&self.stored_moments(), self)
    }

    /// Losses of the network as it is.
    pub fn full(&self) -> Losses {
        let estimate = self.estimate(&self.layers.widths);
        Losses::weighted(estimate.primal, estimate.dual, LAMBDA)
    }
}

/// Puts into the consumers of a layer what they have to become without the channels that are not `kept`: `kernels` are
/// their columns for all of them.
fn compensate(weights: &mut Weights, group: &ChannelGroup, moments: &[f32], kernels: &[Weight], kept: &[usize]) {
    // Of a layer of which nothing stays the block goes.
    if kept.len() == group.width || kept.is_empty() {
        return;
    }
    for (member, kernel) in group.consumers.iter().zip(kernels) {
        let folded = compensation::folded(moments, kernel, kept);
        let full = weights.0.get_mut(&weight_name(member)).expect("every layer has consumers");
        spread(&folded, kept, full, member.offset, group.width);
    }
}

/// SHA-256 of names and values.
fn hash(weights: &Weights) -> String {
    let mut hash = Sha256::new();
    for (name, weight) in &weights.0 {
        hash.update(name.as_bytes());
        weight.values.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Writes the table of a profile as CSV: a row a prunable layer and width.
///
/// # Errors
/// If the file cannot be written.
pub(crate) fn write_table(profile: &Profile, path: &Path) -> Result<()> {
    let mut text = String::from("unit,name,width,primal,dual,psnr_y\n");
    for (block, lost) in profile.layers.blocks.iter().zip(&profile.blocks) {
        let first = block.layers[0];
        let name = profile.layers.name(first);
        text += &format!("{first},{name},0,{:.5},{:.5},{:.4}\n", lost.primal, lost.dual, lost.psnr_y);
    }
    for (index, unit) in profile.units.iter().enumerate() {
        for (at, width) in unit.widths.iter().enumerate() {
            text += &format!(
                "{index},{},{width},{:.5},{:.5},{:.4}\n",
                profile.layers.name(index),
                unit.primal[at],
                unit.dual[at],
                unit.psnr_y[at]
            );
        }
    }
    Ok(write_atomically(path, text.as_bytes())?)
}

/// Linear interpolation in `at` (ascending); beyond its ends the slope of the last piece goes on.
fn interpolate(at: &[f64], values: &[f64], x: f64) -> f64 {
    let Some(last) = at.len().checked_sub(1) else { return f64::NAN };
    if last == 0 {
        return values[0];
    }
    let right = at.partition_point(|&a| a < x).clamp(1, last);
    let (x0, x1) = (at[right - 1], at[right]);
    if x1 <= x0 {
        return values[right];
    }
    values[right - 1] + (values[right] - values[right - 1]) * (x - x0) / (x1 - x0)
}
