//! Measuring a sensitivity profile.

use std::{ops::ControlFlow, path::Path};

use burn::tensor::{Device, Tensor};
use dualres_network::{Activations, ChannelGroup, Model, Pooling, Weight};

use super::{Anchor, BlockProfile, Constraints, LAMBDA, LayerProfile, Profile, compensate, compensation, write_table};
use crate::{
    CompressConfig, CompressionError, Event, Losses, Observer, Result, Stage,
    allocate::Costs,
    candidates::profile_widths,
    data::{Data, Purpose},
    events::{EventLog, Meter},
    layers::{Block, Layers, weight_name},
    objective::{self, values},
    surgery::{cut_weights, masked, part_of, rebuilt},
};

fn other(path: &Path, why: &'static str) -> CompressionError {
    CompressionError::OtherProfile { path: path.to_owned(), why }
}

/// Ratios that networks are really cut to.
const ANCHORS: [f64; 10] = [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];

/// Measures the profile of `model`, or goes on with a measurement in `path`, or takes the finished one that is there.
/// Saved after each prunable layer; the curves go to `events`. `None` if the observer stopped it.
pub(crate) fn measure(
    config: &CompressConfig,
    model: &Model,
    data: &Data,
    device: &Device,
    path: &Path,
    events: &Path,
    observe: Observer,
) -> Result<Option<Profile>> {
    let layers = &Layers::of(&model.description.network, config.streams);
    let mut profile = match Profile::read(path)? {
        Some(profile) if !profile.is_of(model) => {
            return Err(other(path, "it is of another network"));
        }
        Some(profile) if profile.is_complete() && profile.settings != config.profile => {
            return Err(other(path, "it was measured with other batches or patches"));
        }
        // What is half measured goes on with the same patches only.
        Some(profile)
            if profile.is_complete() || (profile.settings == config.profile && profile.seed == config.seed) =>
        {
            profile
        }
        _ => Profile::new(model, layers.clone(), &config.profile, config.seed),
    };
    if profile.is_complete() {
        return Ok(Some(profile));
    }
    let (first, steps) = (profile.units.len(), layers.len() + 1);
    let mut log = EventLog::open(events, Stage::Profile, first)?;
    let mut flow = observe(&Event::Stage { stage: Stage::Profile, step: first, steps });
    let meter = Meter::new(Stage::Profile, first, steps);
    let settings = &config.profile;
    let targets = (0..settings.batches)
        .map(|step| data.batch(Purpose::Profile, step, settings.batch, settings.patch, device))
        .collect::<Result<Vec<_>>>()?;
    let mut passes: Vec<Activations> =
        targets.iter().map(|targets| model.primal.start(targets[0].clone(), Pooling::Global)).collect();
    for unit in 0..layers.len() {
        let first = layers.groups[unit].first();
        passes = passes.into_iter().map(|pass| model.primal.advance(pass, first, &[])).collect();
        if flow.is_break() {
            return Ok(None);
        }
        let measured = unit < profile.units.len();
        if !measured {
            let moments = moments(model, &layers.groups[unit], &passes);
            let measured = measure_unit(model, layers, unit, &moments, &passes, &targets, device)?;
            let losses = Losses::weighted(measured.primal[0], measured.dual[0], LAMBDA);
            // With the first of its layers.
            if let Some(block) = layers.blocks.iter().find(|block| block.layers[0] == unit) {
                let kept = without(layers, block);
                profile.blocks.push(measure_block(model, layers, &kept, &passes, &targets, device)?);
            }
            profile.moments.push(moments);
            profile.units.push(measured);
            let progress = crate::StageProgress { losses: Some(losses), ..meter.step(unit + 1) };
            log.push(&progress)?;
            profile.write(path)?;
            flow = observe(&Event::Step(progress));
        }
    }
    if flow.is_break() {
        return Ok(None);
    }
    if anchor(&mut profile, model, &targets, device, observe)?.is_break() {
        return Ok(None);
    }
    write_table(&profile, &path.with_extension("csv"))?;
    let progress = meter.step(steps);
    log.push(&progress)?;
    profile.write(path)?;
    Ok(match observe(&Event::Step(progress)) {
        ControlFlow::Continue(()) => Some(profile),
        ControlFlow::Break(()) => None,
    })
}

/// Second moments of the channels of a layer, [C, C], mean over batches and positions.
fn moments(model: &Model, group: &ChannelGroup, passes: &[Activations]) -> Vec<f32> {
    let mut sum: Option<Tensor<2>> = None;
    let consumer = &group.consumers[0];
    let input = model.primal.graph().node(consumer.node).inputs[0];
    for pass in passes {
        let passed = model.primal.advance(pass.clone(), consumer.node + 1, &[input]);
        let inner = passed.value(input).expect("kept").clone().narrow(1, consumer.offset, group.width);
        let [n, c, h, w] = inner.dims();
        let rows = inner.swap_dims(0, 1).reshape([c, n * h * w]);
        let moments = rows.clone().matmul(rows.transpose()) / (n * h * w * passes.len()) as f64;
        sum = Some(match sum.take() {
            Some(sum) => sum + moments,
            None => moments,
        });
    }
    sum.map_or_else(Vec::new, |sum| values(&sum))
}

/// All channels but those of a block.
fn without(layers: &Layers, block: &Block) -> Vec<Vec<usize>> {
    let kept = |(layer, &width): (usize, &usize)| if block.layers.contains(&layer) { 0..0 } else { 0..width };
    layers.widths.iter().enumerate().map(kept).map(Iterator::collect).collect()
}

fn measure_block(
    model: &Model,
    layers: &Layers,
    kept: &[Vec<usize>],
    passes: &[Activations],
    targets: &[Vec<Tensor<4>>],
    device: &Device,
) -> Result<BlockProfile> {
    // Silent rather than cut: the pass goes on in a network of the same nodes.
    let silent = masked(model, layers, kept, device)?;
    let (losses, psnr_y) = losses(&silent, passes, targets);
    Ok(BlockProfile { primal: losses.primal, dual: losses.dual, psnr_y })
}

fn measure_unit(
    model: &Model,
    layers: &Layers,
    unit: usize,
    moments: &[f32],
    passes: &[Activations],
    targets: &[Vec<Tensor<4>>],
    device: &Device,
) -> Result<LayerProfile> {
    let weights = model.weights();
    let group = &layers.groups[unit];
    let kernels: Vec<Weight> =
        group.consumers.iter().map(|member| part_of(&weights.0[&weight_name(member)], member, group.width)).collect();
    let order = compensation::order(moments, &kernels);
    let widths = profile_widths(group.width, layers.block_of(unit).is_some());
    let mut profile = LayerProfile { order, widths, primal: Vec::new(), dual: Vec::new(), psnr_y: Vec::new() };
    for &width in &profile.widths {
        let mut kept: Vec<Vec<usize>> = layers.widths.iter().map(|&width| (0..width).collect()).collect();
        kept[unit] = profile.order[..width].to_vec();
        kept[unit].sort_unstable();
        let mut cut = weights.clone();
        // What goes is predicted from what stays, in place, before it is taken out.
        compensate(&mut cut, group, moments, &kernels, &kept[unit]);
        let network = cut_weights(layers, &mut cut, &kept)?;
        let small = rebuilt(model, network, &cut, device)?;
        let (losses, psnr) = losses(&small, passes, targets);
        if !losses.is_finite() {
            return Err(CompressionError::NotFinite(format!("the network without channels of {}", layers.name(unit))));
        }
        profile.primal.push(losses.primal);
        profile.dual.push(losses.dual);
        profile.psnr_y.push(psnr);
    }
    Ok(profile)
}

/// Mean losses and PSNR of a network that goes on from `passes`.
fn losses(model: &Model, passes: &[Activations], targets: &[Vec<Tensor<4>>]) -> (Losses, f64) {
    let mut all = Vec::new();
    let mut psnr = 0.0;
    for (pass, targets) in passes.iter().zip(targets) {
        let pictures = model.primal.finish(pass.clone());
        let (losses, db) = objective::measure(&pictures, targets, model, LAMBDA);
        all.push(losses);
        psnr += db / passes.len() as f64;
    }
    (Losses::mean(&all), psnr)
}

/// Cuts networks of several sizes for real, so that estimates know what losses add up to.
fn anchor(
    profile: &mut Profile,
    model: &Model,
    targets: &[Vec<Tensor<4>>],
    device: &Device,
    observe: Observer,
) -> Result<ControlFlow<()>> {
    let mut anchors = Vec::new();
    let least = Costs::of(&profile.layers).share(&profile.narrowest(&Constraints::default()));
    for ratio in ANCHORS.into_iter().filter(|ratio| 1.0 - ratio >= least) {
        if observe(&Event::Tick).is_break() {
            return Ok(ControlFlow::Break(()));
        }
        let widths = profile.widths_for(ratio, LAMBDA)?;
        let small = profile.one_shot(model, &widths, device)?;
        let measured: Vec<(Losses, f64)> =
            targets.iter().map(|targets| objective::measure_model(&small, targets, LAMBDA)).collect();
        let losses = Losses::mean(&measured.iter().map(|(losses, _)| *losses).collect::<Vec<_>>());
        let psnr_y = measured.iter().map(|(_, psnr)| psnr).sum::<f64>() / measured.len().max(1) as f64;
        let sum = profile.sum(&widths);
        anchors.push(Anchor { sum, primal: losses.primal, dual: losses.dual, psnr_y });
    }
    anchors.sort_by(|a: &Anchor, b| a.sum.total_cmp(&b.sum));
    anchors.dedup_by(|a, b| a.sum <= b.sum);
    profile.anchors = anchors;
    Ok(ControlFlow::Continue(()))
}
