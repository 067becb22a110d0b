//! Fine-tuning of the cut network (section 4.4): training by dual regression, in the folder of the run.

use std::{ops::ControlFlow, path::Path};

use dualres_network::{Blueprint, Model, device::ComputeDevice};
use dualres_training::{BEST_FILE, LAST_FILE, TrainConfig, TrainEvent, train};

use crate::{
    CompressConfig, CompressionError, Event, Losses, Observer, Result, Stage, StageProgress,
    data::Data,
    events::{EventLog, Meter},
    files::{CUT_FILE, EVENTS_FILE, FINETUNE_FOLDER},
};

/// Steps of warm-up of a fine-tuning.
pub(crate) fn warmup(steps: usize) -> usize {
    (steps / 10).min(200)
}

/// Trains, or goes on. Returns whether it came to its end.
pub(crate) fn finetune(
    config: &CompressConfig,
    small: &Model,
    (kept_macs, kept_parameters): (f64, f64),
    data: &Data,
    device: &ComputeDevice,
    folder: &Path,
    observe: Observer,
) -> Result<bool> {
    let settings = &config.finetune;
    let usual = TrainConfig::new(&config.name, Blueprint::of(small));
    let training = TrainConfig {
        data: data.training.clone(),
        validation: data.validation.clone(),
        validation_crop: config.validation_crop,
        patch: settings.patch,
        batch: settings.batch,
        steps: settings.steps,
        lr: settings.lr,
        lr_min: usual.lr_min.min(settings.lr),
        warmup: settings.warmup.unwrap_or(warmup(settings.steps)),
        lambda: settings.lambda,
        seed: config.seed,
        validate_every: settings.validate_every,
        init: Some(folder.join(CUT_FILE)),
        distillation: settings.distillation.clone(),
        ..usual
    };
    let events = folder.join(EVENTS_FILE);
    let mut curve: Option<(EventLog, Meter)> = None;
    let mut failure = None;
    let mut flow = ControlFlow::Continue(());
    train(&training, device, &folder.join(FINETUNE_FOLDER), &mut |event| {
        let told = match event {
            TrainEvent::Started { step, .. } => match EventLog::open(&events, Stage::Finetune, *step) {
                Ok(log) => {
                    let mut meter = Meter::new(Stage::Finetune, *step, settings.steps);
                    (meter.kept_macs, meter.kept_parameters) = (kept_macs, kept_parameters);
                    curve = Some((log, meter));
                    observe(&Event::Stage { stage: Stage::Finetune, step: *step, steps: settings.steps })
                }
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            },
            TrainEvent::Unusable(unusable) => observe(&Event::Unusable(unusable.clone())),
            TrainEvent::Warning(text) => observe(&Event::Warning(text.clone())),
            TrainEvent::Step(step) => {
                let losses = Losses { primal: step.primal, dual: step.dual, total: step.loss };
                tell(&mut curve, step.step, Some(losses), None, observe, &mut failure)
            }
            // A row of its own: an interrupted run may come to it in its next session.
            TrainEvent::Validated { validation, .. } => {
                tell(&mut curve, validation.step, None, Some(validation.psnr_y), observe, &mut failure)
            }
        };
        if told.is_break() {
            flow = told;
        }
        told
    })?;
    match failure {
        Some(error) => Err(error),
        None => Ok(flow.is_continue()),
    }
}

/// Writes a row of the curves and reports it.
fn tell(
    curve: &mut Option<(EventLog, Meter)>,
    step: usize,
    losses: Option<Losses>,
    psnr_y: Option<f64>,
    observe: Observer,
    failure: &mut Option<CompressionError>,
) -> ControlFlow<()> {
    let Some((log, meter)) = curve else { return ControlFlow::Continue(()) };
    let progress = StageProgress { losses, psnr_y, ..meter.step(step) };
    match log.push(&progress) {
        Ok(()) => observe(&Event::Step(progress)),
        Err(error) => {
            *failure = Some(error);
            ControlFlow::Break(())
        }
    }
}

/// The best network that fine-tuning came to, if it came to any.
pub(crate) fn tuned(folder: &Path) -> Option<std::path::PathBuf> {
    let run = folder.join(FINETUNE_FOLDER);
    [BEST_FILE, LAST_FILE].map(|name| run.join(name)).into_iter().find(|path| path.exists())
}
