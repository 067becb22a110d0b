//! What widths cost in milliseconds on a device, measured on networks of such widths. Multiply-accumulates say little about it: narrow
//! layers are hardly faster, and what stays beside the channels is run in any case.

use std::{collections::BTreeMap, ops::ControlFlow, time::Instant};

use dualres_engine::{EngineError, Options, Upscaler};
use dualres_imaging::{Picture, Plane};
use dualres_network::{Model, device::ComputeDevice};
use serde::{Deserialize, Serialize};

use crate::{
    CompressionError, Result,
    layers::{Layers, MAC_INPUT},
    surgery::cut,
};

/// Widths that are measured are multiples of this: kernels work on several channels at once.
const STEP: usize = 4;
/// Most widths of a shape of layer that are measured.
const MAX_WIDTHS: usize = 12;
/// Rounds in which all networks are run in turns: at least, and at most.
const ROUNDS: [usize; 2] = [5, 15];
/// Seconds that a measurement may take where the least rounds do not take longer.
const SECONDS: f64 = 120.0;

/// How long a network takes on a device, by the widths of its layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TimeTable {
    /// The device by name.
    pub device: String,
    /// Side in pixels of the input that is timed.
    pub side: usize,
    /// Milliseconds of the whole network.
    pub whole: f64,
    /// Milliseconds of what no width changes.
    pub fixed: f64,
    /// Milliseconds of each layer at widths, ascending and never falling, from none on.
    pub layers: Vec<Vec<(usize, f64)>>,
    /// Milliseconds that go with each block beside those of its layers' channels.
    pub blocks: Vec<f64>,
}

impl TimeTable {
    /// Milliseconds of a layer at a width: those of the next measured one, for what does not fill a kernel's lanes is not cheaper for
    /// it. Between them where the width is an expectation.
    pub(crate) fn of_layer(&self, layer: usize, width: f64) -> f64 {
        let curve = &self.layers[layer];
        if width.fract() == 0.0 {
            let next = curve.iter().find(|&&(at, _)| at as f64 >= width).or(curve.last());
            return next.map_or(0.0, |(_, cost)| *cost);
        }
        let after = curve.partition_point(|&(at, _)| (at as f64) < width).clamp(1, curve.len() - 1);
        let ((x0, y0), (x1, y1)) = (curve[after - 1], curve[after]);
        let along = (width - x0 as f64) / (x1 - x0).max(1) as f64;
        y0 + (y1 - y0) * along.clamp(0.0, 1.0)
    }

    /// Milliseconds that the network with `widths` is expected to take.
    ///
    /// # Panics
    /// If there is not one width a layer.
    pub fn predicted(&self, layers: &Layers, widths: &[usize]) -> f64 {
        assert_eq!(widths.len(), self.layers.len(), "one width a layer");
        let gone = |block: &crate::Block| block.layers.iter().all(|&layer| widths[layer] == 0);
        let blocks = layers.blocks.iter().zip(&self.blocks).filter(|(block, _)| !gone(block));
        let channels = widths.iter().enumerate().map(|(layer, &width)| self.of_layer(layer, width as f64));
        self.fixed + channels.sum::<f64>() + blocks.map(|(_, cost)| cost).sum::<f64>()
    }

    /// Whether it is one of these layers.
    pub fn fits(&self, layers: &Layers) -> bool {
        let widths = self.layers.iter().map(|curve| curve.last().map(|(width, _)| *width));
        self.blocks.len() == layers.blocks.len() && widths.eq(layers.widths.iter().map(|&width| Some(width)))
    }

    /// Measures it: for each shape of layer, networks in which all layers of that shape are narrower; for each shape of block, one in
    /// which some of them are gone; and one in which all is narrower, by which the sum of the parts is put right. All are run in
    /// turns, so that what else the machine does falls on all alike; what counts is the median of each one's time as a share of the
    /// whole network's in the same turn.
    ///
    /// `model` is the network as it is run ([`Model::collapsed`]), `side` that of the input in pixels. `goes_on` stops it, which
    /// gives none; it is told how much is done, from 0 to 1.
    ///
    /// # Errors
    /// If a network cannot be made or does not run.
    pub fn measure(
        model: &Model,
        layers: &Layers,
        device: &ComputeDevice,
        side: usize,
        goes_on: &mut dyn FnMut(f64) -> ControlFlow<()>,
    ) -> Result<Option<Self>> {
        let variants = variants(layers);
        let cpu = burn::tensor::Device::flex();
        let mut runners = vec![upscaler(model, device)?];
        for variant in &variants {
            let kept: Vec<Vec<usize>> = variant.widths.iter().map(|&width| (0..width).collect()).collect();
            runners.push(upscaler(&cut(&model.to_device(&cpu)?, layers, &kept, &cpu)?, device)?);
        }
        let Some(times) = paired_times(&runners, side, goes_on)? else { return Ok(None) };
        Ok(Some(Self::of(layers, &variants, device.name.clone(), side, &times)))
    }

    /// What the times of the whole network and of its variants say.
    fn of(layers: &Layers, variants: &[Variant], device: String, side: usize, times: &[f64]) -> Self {
        let whole = times[0];
        let mut saved: Vec<Vec<(usize, f64)>> = layers.widths.iter().map(|&full| vec![(full, 0.0)]).collect();
        let mut without = vec![0.0; layers.blocks.len()];
        let mut joint = None;
        for (variant, time) in variants.iter().zip(&times[1..]) {
            let each = ((whole - time) / variant.members.len().max(1) as f64).max(0.0);
            match variant.kind {
                Kind::Layers => {
                    variant.members.iter().for_each(|&layer| saved[layer].push((variant.widths[layer], each)))
                }
                Kind::Blocks => variant.like.iter().for_each(|&block| without[block] = each),
                Kind::All => joint = Some((&variant.widths, whole - time)),
            }
        }
        for curve in &mut saved {
            curve.sort_unstable_by_key(|(width, _)| *width);
            never_rising(curve);
        }
        // What a layer takes in all: the line through its full and its narrowest width.
        let in_all = |curve: &[(usize, f64)]| -> f64 {
            let (Some(&(least, gain)), Some(&(full, _))) = (curve.first(), curve.last()) else { return 0.0 };
            if full > least { gain * full as f64 / (full - least) as f64 } else { 0.0 }
        };
        let mut table: Vec<Vec<(usize, f64)>> = Vec::new();
        for curve in &saved {
            let all = in_all(curve);
            let at = curve.iter().map(|&(width, gain)| (width, (all - gain).max(0.0)));
            table.push(std::iter::once((0, 0.0)).chain(at).collect());
        }
        // Where layers follow each other, what each saves alone is no sum.
        if let Some((widths, gain)) = joint {
            let cost = |layer: usize, width: usize| {
                let curve = &table[layer];
                curve.iter().find(|(at, _)| *at == width).map_or(0.0, |(_, cost)| *cost)
            };
            let sum: f64 =
                widths.iter().enumerate().map(|(layer, &w)| cost(layer, layers.widths[layer]) - cost(layer, w)).sum();
            let factor = if sum > 0.0 { (gain / sum).clamp(0.0, 2.0) } else { 1.0 };
            table.iter_mut().flatten().for_each(|(_, cost)| *cost *= factor);
        }
        let blocks: Vec<f64> = layers
            .blocks
            .iter()
            .zip(&without)
            .map(|(block, gain)| {
                let channels: f64 = block.layers.iter().filter_map(|&layer| table[layer].last()).map(|(_, c)| c).sum();
                (gain - channels).max(0.0)
            })
            .collect();
        // Short numbers: settings are compared with themselves after a way through JSON.
        let short = |value: f64| (value * 1e3).round() / 1e3;
        table.iter_mut().flatten().for_each(|(_, cost)| *cost = short(*cost));
        let blocks: Vec<f64> = blocks.into_iter().map(short).collect();
        let whole = short(whole);
        let variable: f64 = table.iter().filter_map(|curve| curve.last()).map(|(_, cost)| cost).sum();
        let fixed = short((whole - variable - blocks.iter().sum::<f64>()).max(0.0));
        Self { device, side, whole, fixed, layers: table, blocks }
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Layers,
    Blocks,
    All,
}

/// A network that is timed.
#[derive(Clone, Debug)]
struct Variant {
    kind: Kind,
    widths: Vec<usize>,
    /// The layers that are narrower, or the blocks that are gone.
    members: Vec<usize>,
    /// All blocks of the shape of those that are gone.
    like: Vec<usize>,
}

/// Layers of one shape: as wide, as costly, and at the same place of a block.
fn shapes(layers: &Layers) -> BTreeMap<(usize, u64, Option<usize>), Vec<usize>> {
    let full: Vec<f64> = layers.widths.iter().map(|&width| width as f64).collect();
    let (total, _) = layers.cost_of(&full);
    let mut shapes: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (layer, &width) in layers.widths.iter().enumerate() {
        let mut narrower = full.clone();
        narrower[layer] -= 1.0;
        let channel = ((total - layers.cost_of(&narrower).0) / MAC_INPUT as f64).round() as u64;
        let place =
            layers.block_of(layer).and_then(|block| layers.blocks[block].layers.iter().position(|&own| own == layer));
        shapes.entry((width, channel, place)).or_default().push(layer);
    }
    shapes
}

fn variants(layers: &Layers) -> Vec<Variant> {
    let shapes = shapes(layers);
    let mut variants = Vec::new();
    for members in shapes.values() {
        let full = layers.widths[members[0]];
        let step = STEP * full.div_ceil(STEP * MAX_WIDTHS);
        let narrow = if full <= STEP { vec![1, 2] } else { (step..full).step_by(step).collect() };
        for width in narrow.into_iter().filter(|&width| width < full) {
            let mut all = layers.widths.clone();
            members.iter().for_each(|&layer| all[layer] = width);
            variants.push(Variant { kind: Kind::Layers, widths: all, members: members.clone(), like: Vec::new() });
        }
    }
    let mut blocks: BTreeMap<Vec<usize>, Vec<usize>> = BTreeMap::new();
    for (index, block) in layers.blocks.iter().enumerate() {
        let shape = |layer: &usize| shapes.values().position(|members| members.contains(layer)).unwrap_or_default();
        blocks.entry(block.layers.iter().map(shape).collect()).or_default().push(index);
    }
    for like in blocks.values() {
        let members = like[..like.len().div_ceil(2)].to_vec();
        let mut widths = layers.widths.clone();
        members.iter().flat_map(|&block| &layers.blocks[block].layers).for_each(|&layer| widths[layer] = 0);
        variants.push(Variant { kind: Kind::Blocks, widths, members, like: like.clone() });
    }
    let half = |full: usize| {
        let step = STEP * full.div_ceil(STEP * MAX_WIDTHS);
        if full <= step { full } else { (full / 2).next_multiple_of(step).min(full) }
    };
    let widths: Vec<usize> = layers.widths.iter().map(|&full| half(full)).collect();
    if shapes.len() > 1 && widths != layers.widths {
        variants.push(Variant { kind: Kind::All, widths, members: Vec::new(), like: Vec::new() });
    }
    variants
}

/// Makes a curve of what is saved never rise with the width, by the mean of neighbours that do (pool adjacent violators).
fn never_rising(curve: &mut [(usize, f64)]) {
    let mut pools: Vec<(f64, usize)> = Vec::new();
    for &(_, value) in curve.iter() {
        pools.push((value, 1));
        while let [.., (before, n), (after, m)] = pools[..]
            && after > before
        {
            pools.truncate(pools.len() - 2);
            pools.push(((before * n as f64 + after * m as f64) / (n + m) as f64, n + m));
        }
    }
    let smooth = pools.into_iter().flat_map(|(value, count)| std::iter::repeat_n(value, count));
    curve.iter_mut().zip(smooth).for_each(|((_, value), smooth)| *value = smooth);
}

fn upscaler(model: &Model, device: &ComputeDevice) -> Result<Upscaler> {
    Ok(Upscaler::new(&model.clone().without_duals(), device)?)
}

/// The milliseconds of each network, all run in turns: the median of the first, and for the others the median of what they take as a
/// share of it in the same turn. The speed of a machine changes within a minute, and least times are then of different machines.
///
/// # Errors
/// If one does not run.
fn paired_times(
    runners: &[Upscaler],
    side: usize,
    goes_on: &mut dyn FnMut(f64) -> ControlFlow<()>,
) -> Result<Option<Vec<f64>>> {
    let picture = picture(side);
    let mut times: Vec<Vec<f64>> = vec![Vec::new(); runners.len()];
    let mut rounds = ROUNDS[1];
    let started = Instant::now();
    let mut round = 0;
    // The first of all warms up, and tunes kernels on a GPU.
    while round <= rounds {
        for (at, (runner, times)) in runners.iter().zip(&mut times).enumerate() {
            let done = (round * runners.len() + at) as f64 / ((rounds + 1) * runners.len()) as f64;
            let start = Instant::now();
            match runner.upscale(&picture, &Options::default(), &mut |_| goes_on(done)) {
                Ok(_) => {}
                Err(EngineError::Cancelled) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
            if round > 0 {
                times.push(1e3 * start.elapsed().as_secs_f64());
            }
        }
        round += 1;
        if round == ROUNDS[0] {
            let a_round = started.elapsed().as_secs_f64() / round as f64;
            rounds = ((SECONDS / a_round) as usize).clamp(ROUNDS[0], ROUNDS[1]);
        }
    }
    if let Some(failed) = runners.iter().find_map(Upscaler::given_up) {
        return Err(CompressionError::Setting(format!("the device cannot be timed ({failed})")));
    }
    let first = times[0].clone();
    let whole = median(first.clone());
    let share = |times: &Vec<f64>| median(times.iter().zip(&first).map(|(time, first)| time / first).collect());
    Ok(Some(times.iter().map(|times| whole * share(times)).collect()))
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

/// How long two networks take for the same picture, run in turns: the median milliseconds of the first, and what the
/// second takes as a share of it in the same turn.
///
/// # Errors
/// If one does not run.
pub(crate) fn compared(models: [&Model; 2], device: &ComputeDevice, side: usize) -> Result<[f64; 2]> {
    let runners = [upscaler(models[0], device)?, upscaler(models[1], device)?];
    let times = paired_times(&runners, side, &mut |_| ControlFlow::Continue(()))?;
    times.and_then(|times| times.try_into().ok()).ok_or_else(|| CompressionError::Setting("cancelled".into()))
}

/// What it shows does not change what it costs.
fn picture(side: usize) -> Picture {
    let plane = |c: usize| Plane::new(side, side, (0..side * side).map(|i| (i * (c + 7) % 256) as f32).collect());
    Picture::from_planes((0..3).map(plane).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::sync::Arc;

    use dualres_network::{Backbone, BlockKind};

    use super::*;
    use crate::allocate::{Choices, Costs, allocate};

    /// Residual blocks of one inner layer each.
    fn layers(blocks: usize) -> Layers {
        let backbone = Backbone { block: BlockKind::Residual, scale: 2, features: 32, blocks };
        Layers::of(&Arc::new(backbone.graph().unwrap()), false)
    }

    /// A device on which channels come by fours, and a block costs beside them.
    fn true_time(layers: &Layers, widths: &[usize]) -> f64 {
        let channels: f64 = widths.iter().map(|width| 0.5 * width.div_ceil(4) as f64).sum();
        let gone = layers.gone(widths).count();
        10.0 + channels + 1.5 * (layers.blocks.len() - gone) as f64
    }

    fn measured(layers: &Layers) -> TimeTable {
        let variants = variants(layers);
        let times: Vec<f64> = std::iter::once(&layers.widths)
            .chain(variants.iter().map(|variant| &variant.widths))
            .map(|widths| true_time(layers, widths))
            .collect();
        TimeTable::of(layers, &variants, "a device".into(), 64, &times)
    }

    #[test]
    fn the_parts_of_a_network_add_up_to_what_it_takes() {
        let layers = layers(6);
        let table = measured(&layers);
        assert!(table.fits(&layers) && !table.fits(&self::layers(5)));
        assert_eq!(table.whole, true_time(&layers, &layers.widths));
        let full = layers.widths.clone();
        let narrow = |width: usize| vec![width; layers.widths.len()];
        let mut mixed = full.clone();
        mixed[1] = 8;
        mixed[3] = 20;
        let mut without = mixed.clone();
        layers.blocks[0].layers.iter().chain(&layers.blocks[2].layers).for_each(|&layer| without[layer] = 0);
        for widths in [full, narrow(16), narrow(8), mixed, without] {
            let (predicted, expected) = (table.predicted(&layers, &widths), true_time(&layers, &widths));
            assert!((predicted / expected - 1.0).abs() < 0.05, "{widths:?}: {predicted} for {expected}");
        }
    }

    #[test]
    fn a_budget_of_time_is_kept_and_takes_blocks_rather_than_channels_that_cost_nothing() {
        let layers = layers(6);
        let table = measured(&layers);
        let costs = Costs::under(&layers, Some(&table));
        let widths: Vec<Vec<usize>> = layers.widths.iter().map(|&full| vec![8, 16, 24, full]).collect();
        let penalties = vec![vec![0.9, 0.5, 0.2, 0.0]; widths.len()];
        // Two blocks do nothing.
        let gone = (0..layers.blocks.len()).map(|block| Some(if block < 2 { 0.01 } else { 5.0 })).collect();
        let choices = Choices { widths, penalties, gone };
        for share in [0.6, 0.75, 0.9] {
            let found = allocate(&costs, &choices, share).unwrap();
            let taken = table.predicted(&layers, &found);
            assert!(taken <= share * table.whole + 1e-6, "{share}: {taken} of {}", table.whole);
            assert!((true_time(&layers, &found) / taken - 1.0).abs() < 0.05, "{share}: {found:?}");
        }
        let found = allocate(&costs, &choices, 0.75).unwrap();
        assert_eq!(layers.gone(&found).count(), 2, "{found:?}");
        assert!(allocate(&costs, &choices, 0.01).is_err());
    }

    #[test]
    fn what_is_measured_the_wrong_way_round_is_evened_out() {
        let mut curve = vec![(4, 3.0), (8, 5.0), (16, 1.0), (24, 2.0), (32, 0.0)];
        never_rising(&mut curve);
        assert_eq!(curve, [(4, 4.0), (8, 4.0), (16, 1.5), (24, 1.5), (32, 0.0)]);
    }
}
