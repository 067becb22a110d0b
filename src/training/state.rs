//! The state of a run in its folder.

use std::{collections::HashMap, path::Path};

use burn::tensor::Device;
use dualres_imaging::file::write_atomically;
use dualres_network::{Description, Model, Weights, tensors_from_bytes, tensors_to_bytes};
use serde::{Deserialize, Serialize};

use crate::{Result, TrainConfig, TrainingError, Validation, adam::Optimizers};

/// Weights, optimizers and position of a run.
pub const STATE_FILE: &str = "state.safetensors";
/// Model of the averaged weights with the best validation PSNR.
pub const BEST_FILE: &str = "best.safetensors";
/// Model of the averaged weights at the last save.
pub const LAST_FILE: &str = "last.safetensors";
/// The curves.
pub const LOG_FILE: &str = "metrics.csv";

const ENTRY: &str = "dualres-run";

/// Where a run stands.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Position {
    pub(crate) config: TrainConfig,
    /// What the model says of itself, with what it has from the one it began with, which may be gone by now.
    #[serde(default)]
    pub(crate) description: Option<Description>,
    /// Steps done, skipped ones included.
    pub(crate) step: usize,
    /// Steps the optimizers took.
    pub(crate) optimizer_steps: usize,
    /// Mean loss that a blow-up is measured against.
    pub(crate) mean_loss: Option<f64>,
    /// Step of the last validation.
    #[serde(default)]
    pub(crate) validated: usize,
    /// Steps skipped in a row up to here.
    #[serde(default)]
    pub(crate) skipped: usize,
    pub(crate) best: Option<Validation>,
    /// What an adaptation began with.
    #[serde(default)]
    pub(crate) baseline: Option<Validation>,
    /// Highest validation PSNR in dB of an adaptation.
    #[serde(default)]
    pub(crate) highest: Option<f64>,
    /// Whether an adaptation was ended by its guard.
    #[serde(default)]
    pub(crate) guarded: bool,
    pub(crate) seconds: f64,
}

/// Saves a run; a killed save leaves the one before.
pub(crate) fn save(folder: &Path, position: &Position, model: &Model, optimizers: &Optimizers) -> Result<()> {
    let mut weights = optimizers.export();
    weights.extend_under("weight.", model.weights());
    let json = serde_json::to_string(position).expect("a position is plain data");
    let bytes = tensors_to_bytes(&weights, HashMap::from([(ENTRY.to_owned(), json)]));
    Ok(write_atomically(&folder.join(STATE_FILE), &bytes)?)
}

/// Loads the state of a run, if its folder holds one.
pub(crate) fn load(
    folder: &Path,
    config: &TrainConfig,
    description: &Description,
    decay: f64,
    device: &Device,
) -> Result<Option<(Position, Model, Optimizers)>> {
    let path = folder.join(STATE_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let unreadable = |reason: String| TrainingError::RunFile { path: path.clone(), reason };
    let bytes = std::fs::read(&path).map_err(|error| unreadable(error.to_string()))?;
    // What it came to is beside it, and a run can begin with that.
    let (weights, metadata) = tensors_from_bytes(&bytes, &path.display().to_string())
        .map_err(|error| unreadable(format!("{error}; start another run from {BEST_FILE} or {LAST_FILE}")))?;
    let json = metadata.get(ENTRY).ok_or_else(|| unreadable("it is not the state of a training run".into()))?;
    let position: Position = serde_json::from_str(json).map_err(|error| unreadable(error.to_string()))?;
    if let Some(difference) = config.difference(&position.config) {
        return Err(TrainingError::OtherRun { path: folder.to_owned(), difference });
    }
    let description = position.description.as_ref().unwrap_or(description);
    let (model, optimizers) = restore(&weights, &position, description, decay, device)?;
    Ok(Some((position, model, optimizers)))
}

fn restore(
    weights: &Weights,
    position: &Position,
    description: &Description,
    decay: f64,
    device: &Device,
) -> Result<(Model, Optimizers)> {
    let autodiff = device.clone().autodiff();
    let mut model = Model::from_weights(description.clone(), &weights.under("weight."), &autodiff)?;
    let mut optimizers = position.config.optimizers(&mut model, decay);
    optimizers.restore(weights, position.optimizer_steps, device)?;
    Ok((model, optimizers))
}
