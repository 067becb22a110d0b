//! What a choice of widths is worth before anything is fine-tuned.

use burn::tensor::Tensor;
use dualres_network::Model;

use super::{Selected, Selection, Task};
use crate::{CompressConfig, Layers, Losses, Method, Profile, Result, objective::measure_model, surgery::cut};

/// Losses and PSNR, on validation patches, of the network that `widths` would be cut to with the channels of `profile`, fitted
/// layer after layer if the run fits them. `None` if `tick` said stop.
pub(crate) fn worth(
    task: Task,
    profile: &Profile,
    widths: &[usize],
    tick: &mut dyn FnMut() -> bool,
) -> Result<Option<(Losses, f64)>> {
    let Some(selected) = profiled(task, profile, widths, tick)? else { return Ok(None) };
    let masked = Model::from_weights(task.original.description.clone(), &selected.masked, task.device)?;
    let layers = Layers::of(&task.original.description.network, task.config.streams);
    let network = cut(&masked, &layers, &selected.kept, task.device)?;
    let settings = &task.config.search;
    let batches = task.data.validation_batches(settings, task.device)?;
    let measure = |targets: &Vec<Tensor<4>>| measure_model(&network, targets, settings.lambda);
    let (losses, psnr): (Vec<Losses>, Vec<f64>) = batches.iter().map(measure).unzip();
    Ok(Some((Losses::mean(&losses), psnr.iter().sum::<f64>() / psnr.len().max(1) as f64)))
}

/// The choice of the channels from which `profile` predicts the others best, fitted layer after layer if the run fits them. `None` if
/// `tick` said stop.
pub(crate) fn profiled(
    task: Task,
    profile: &Profile,
    widths: &[usize],
    tick: &mut dyn FnMut() -> bool,
) -> Result<Option<Selected>> {
    let config = CompressConfig { method: Method::Profile, ..task.config.clone() };
    let task = Task { config: &config, profile: Some(profile), ..task };
    let mut selection = Selection::new(task, widths);
    let mut front = if selection.is_judged() { Some(selection.front()?) } else { None };
    for unit in 0..widths.len() {
        let Some(chosen) = selection.choose(unit, front.as_ref(), tick)? else { return Ok(None) };
        selection.apply(unit, &chosen);
        if let Some(front) = &mut front {
            selection.advance(front, unit)?;
        }
    }
    Ok(Some(selection.selected()))
}
