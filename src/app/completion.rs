//! What a network of others lacks, made for it from the pictures inside the program: dual models that learn from its own results,
//! and a calibration of its predicted error. The network itself stays as it is.

use std::ops::ControlFlow;

use anyhow::{Context, ensure};
use dualres_engine::Upscaler;
use dualres_imaging::file::write_atomically;
use dualres_network::{
    Blueprint, Description, Device, Model,
    device::{self, ComputeDevice},
};
use dualres_training::{LAST_FILE, Measuring, TrainConfig, TrainEvent, TrainingError, calibrate, train};

use crate::{batch::sums::fingerprint, library::Library, paths::Paths, samples, trust};

/// Training steps of the dual models. They begin with those of another network, which know how pictures are reduced.
const STEPS: usize = 300;
/// Patches a step, and their side in pixels of the input.
const BATCH: usize = 4;
const PATCH: usize = 48;
/// Steps between saves.
const SAVE_EVERY: usize = 50;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CompletionEvent {
    /// So many training steps of the dual models of so many are done.
    Dual { step: usize, steps: usize },
    /// So many pictures were measured for the calibration.
    Calibration { pictures: usize },
}

/// Whether dual models of its own can be trained for it.
pub(crate) fn lacks_duals(description: &Description) -> bool {
    // There is one for each step of halves, and one for thirds.
    let has_one = description.scale().is_power_of_two() || description.scale() == 3;
    has_one && description.scale() > 1 && (description.duals.is_empty() || description.borrowed_duals)
}

/// Whether anything can be made for it.
pub(crate) fn is_incomplete(description: &Description) -> bool {
    let lacks_calibration = description.error_calibration.is_none() && !description.duals.is_empty();
    description.scale() > 1 && (lacks_duals(description) || lacks_calibration)
}

/// Pixels of results that are computed for it, for an estimate of the time.
pub(crate) fn work(description: &Description) -> f64 {
    let training = if lacks_duals(description) { STEPS * BATCH * PATCH * PATCH } else { 0 };
    // Calibration looks at four pictures, cut to 256 pixels a side.
    ((training + 4 * 256 * 256) * description.scale() * description.scale()) as f64
}

/// Makes what a model in a file lacks, and puts it into the file. Returns false if `observe` stopped it; dual models go on where
/// they were the next time.
///
/// # Errors
/// If there is no such model, it is part of the program, its file was changed in the meantime or cannot be written, the device
/// fails, or training diverges.
pub(crate) fn complete(
    (library, paths): (&Library, &Paths),
    name: &str,
    device: &str,
    observe: &mut dyn FnMut(CompletionEvent) -> ControlFlow<()>,
) -> anyhow::Result<bool> {
    let file = library.own_file(name)?;
    let bytes = dualres_network::read_file(&file)?;
    let mut model = Model::from_bytes(&bytes, name, &Device::flex())?;
    let device = trust::vetted(paths, &model, &device::choose(device)?)?;
    let pictures = samples::unpack(paths)?;
    let run = paths.data.join("completion").join(format!("{name}-{}", fingerprint(&bytes)));
    if lacks_duals(&model.description) {
        let config = TrainConfig {
            data: vec![pictures.clone()],
            patch: model.description.network.patch_from(PATCH),
            batch: BATCH,
            steps: STEPS,
            lr: 2e-4,
            warmup: 20,
            // Averages over a part of so short a run.
            ema: 0.98,
            validate_every: SAVE_EVERY,
            init: Some(file.clone()),
            dual_only: true,
            ..TrainConfig::new(name, Blueprint::of(&model))
        };
        match learn_duals(&config, &device, &run, observe)? {
            Some(trained) => model = model.with_duals_of(&trained)?,
            None => return Ok(false),
        }
        model.description.borrowed_duals = false;
        // It was that of the dual models before.
        model.description.error_calibration = None;
    }
    if model.description.error_calibration.is_none() {
        let mut done = 0;
        let calibration = calibrate(&Upscaler::new(&model, &device)?, &[pictures], Measuring::default(), &mut |_| {
            done += 1;
            observe(CompletionEvent::Calibration { pictures: done })
        });
        match calibration {
            Ok(calibration) => model.description.error_calibration = calibration,
            Err(TrainingError::Cancelled) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
    }
    ensure!(
        dualres_network::read_file(&file).is_ok_and(|there| there == bytes),
        "the model file was changed or removed in the meantime: {}",
        file.display()
    );
    write_atomically(&file, &model.to_bytes())?;
    // What is left of it costs nothing but room.
    let _ = std::fs::remove_dir_all(run);
    Ok(true)
}

/// Trains dual models in a run folder. `None` if `observe` stopped it.
fn learn_duals(
    config: &TrainConfig,
    device: &ComputeDevice,
    run: &std::path::Path,
    observe: &mut dyn FnMut(CompletionEvent) -> ControlFlow<()>,
) -> anyhow::Result<Option<Model>> {
    let mut flow = ControlFlow::Continue(());
    train(config, device, run, &mut |event| {
        let told = match event {
            TrainEvent::Step(progress) => observe(CompletionEvent::Dual { step: progress.step, steps: progress.steps }),
            TrainEvent::Started { step, .. } => observe(CompletionEvent::Dual { step: *step, steps: config.steps }),
            TrainEvent::Unusable(_) | TrainEvent::Warning(_) | TrainEvent::Validated { .. } => {
                ControlFlow::Continue(())
            }
        };
        if told.is_break() {
            flow = told;
        }
        flow
    })
    .context("its dual models could not be trained")?;
    Ok(match flow {
        ControlFlow::Continue(()) => Some(Model::read(&run.join(LAST_FILE), &Device::flex())?),
        ControlFlow::Break(()) => None,
    })
}
