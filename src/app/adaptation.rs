//! Adapting a model to somebody's pictures, for the command line and the window alike.
//!
//! What happened to the pictures is estimated first, if nobody knows it: without that the dual models, which only know how the
//! pictures of the training were reduced, have nothing to teach.

use std::{ops::ControlFlow, path::PathBuf};

use dualres_engine::{Event, Options, Upscaler};
use dualres_imaging::{Picture, find_pictures};
use dualres_network::{Blueprint, Model, device::ComputeDevice};
use dualres_training::{
    Adaptation, BEST_FILE, Degradation, Estimate, Known, Measuring, Progress, Survey, TrainConfig, TrainEvent,
    TrainingError, Unusable, Validation, calibrate, ground_truth, pictures_of, train,
};
use serde_json::json;

use crate::{
    batch::sums::fingerprint,
    hints::wording,
    language::{tr, tr_counted},
};

/// How long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    /// A minute or two.
    Quick,
    /// Several times as long.
    Standard,
}

impl Effort {
    /// Training steps.
    pub(crate) fn steps(self) -> usize {
        match self {
            Self::Quick => 300,
            Self::Standard => 1500,
        }
    }
}

/// What is known of the way from the scene to the files.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Origin {
    /// Nothing: it is estimated.
    Unknown,
    /// Everything; `None` for bicubic reduction alone.
    Known(Option<Degradation>),
}

/// Patches a step, three of them of the user's pictures, and their side in pixels of the input.
pub(crate) const BATCH: usize = 10;
pub(crate) const PATCH: usize = 48;
/// Usual fraction of a batch from the user's pictures, weight of the dual regression loss, and learning rate.
pub(crate) const FRACTION: f64 = 0.3;
pub(crate) const LAMBDA: f64 = 0.1;
pub(crate) const LR: f64 = 2e-4;
/// Validations of a run.
const VALIDATIONS: usize = 10;
/// Pictures whose consistency is measured, and the side of their middle.
const MEASURED: usize = 8;
const MEASURED_SIDE: usize = 256;
/// With fewer the network learns what is in them, not how they were taken.
const FEW: usize = 3;

/// What is to be done.
#[derive(Clone, Debug)]
pub(crate) struct AdaptationPlan {
    /// File of the model to begin with.
    pub(crate) model: PathBuf,
    /// Name of that model.
    pub(crate) from: String,
    /// Name of the adapted one.
    pub(crate) name: String,
    /// The user's pictures, or folders of them.
    pub(crate) pictures: Vec<PathBuf>,
    /// High-resolution pictures to keep the network to the truth.
    pub(crate) data: PathBuf,
    pub(crate) origin: Origin,
    pub(crate) steps: usize,
    /// Of a batch, from the user's pictures.
    pub(crate) fraction: f64,
    /// Weight of the dual regression loss.
    pub(crate) lambda: f64,
    pub(crate) lr: f64,
    pub(crate) seed: u64,
    /// Run folder: an interrupted run is resumed.
    pub(crate) run: PathBuf,
}

/// What is told on the way.
#[derive(Debug)]
pub(crate) enum AdaptationEvent<'a> {
    /// A picture is being looked at.
    Looking,
    Estimated(&'a Estimate),
    Warning(String),
    Unusable(&'a Unusable),
    Step(&'a Progress),
    /// Of the paired pictures.
    Validated(&'a Validation),
    /// Measuring, at the end.
    Measuring,
}

/// Means in dB.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    /// Consistency PSNR of the user's pictures.
    pub(crate) consistency: f64,
    /// PSNR of paired pictures, degraded alike.
    pub(crate) paired: f64,
}

/// What it came to.
#[derive(Debug)]
pub(crate) struct Adapted {
    pub(crate) model: Model,
    pub(crate) degradation: Option<Degradation>,
    pub(crate) before: Quality,
    pub(crate) after: Quality,
    /// Step whose weights were kept.
    pub(crate) step: usize,
}

/// Adapts. `None` if `observe` said stop; the run resumes the next time.
///
/// # Errors
/// If there are too few usable pictures, the model has no dual model, or training fails.
pub(crate) fn adapt(
    plan: &AdaptationPlan,
    device: &ComputeDevice,
    observe: &mut dyn FnMut(AdaptationEvent<'_>) -> ControlFlow<()>,
) -> anyhow::Result<Option<Adapted>> {
    let original = Model::read(&plan.model, &device.open()?)?;
    let scale = original.description.scale();
    anyhow::ensure!(
        !original.duals.is_empty(),
        "{}",
        wording(
            || {
                "the model has no dual model, so nothing leads its results back to the images; train one first with \
                 `dualres train --dual-only --model`"
                    .into()
            },
            || {
                tr!("the model has no dual model, so nothing leads its results back to the images; make one first in \
                     the Models tab")
            }
        )
    );
    let paired = find_pictures(&plan.data)?;
    // The last of few, and every fifth of many.
    let is_held = |index: usize| if paired.len() < 10 { index + 1 == paired.len() } else { index % 5 == 4 };
    let part = |held: bool| -> Vec<PathBuf> {
        paired.iter().enumerate().filter(|(index, _)| is_held(*index) == held).map(|(_, path)| path.clone()).collect()
    };
    let (training, validation) = (part(false), part(true));
    anyhow::ensure!(!training.is_empty(), "at least 2 high-resolution images are needed: {}", plan.data.display());

    let pictures = files_of(&plan.pictures)?;
    let survey = match Survey::of(&pictures, &mut || observe(AdaptationEvent::Looking)) {
        Ok(survey) => survey,
        Err(TrainingError::Cancelled) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    if survey.pictures < FEW && observe(few(survey.pictures)).is_break() {
        return Ok(None);
    }
    if survey.cameras.len() > 1 && observe(mixed(&survey.cameras)).is_break() {
        return Ok(None);
    }
    let degradation = match plan.origin {
        Origin::Known(known) => known,
        Origin::Unknown => {
            match survey.estimate(std::slice::from_ref(&plan.data), scale, &mut || observe(AdaptationEvent::Looking)) {
                Ok(estimate) => {
                    if observe(AdaptationEvent::Estimated(&estimate)).is_break() {
                        return Ok(None);
                    }
                    worth(estimate.known)
                }
                Err(TrainingError::Cancelled) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    };

    let patch = original.description.network.patch_from(PATCH);
    let config = TrainConfig {
        data: training,
        validation,
        validation_crop: Some(MEASURED_SIDE * scale.min(2)),
        patch,
        batch: BATCH,
        steps: plan.steps,
        lr: plan.lr,
        lr_min: 1e-6_f64.min(plan.lr),
        warmup: plan.steps / 15,
        lambda: plan.lambda,
        // Averages over a part of so short a run.
        ema: 1.0 - (20.0 / plan.steps as f64).clamp(0.001, 0.05),
        seed: plan.seed,
        validate_every: plan.steps.div_ceil(VALIDATIONS),
        init: Some(plan.model.clone()),
        degradation,
        adaptation: Some(Adaptation {
            contents: contents_of(&pictures),
            fraction: plan.fraction,
            ..Adaptation::new(pictures.clone(), plan.steps)
        }),
        ..TrainConfig::new(&plan.name, Blueprint::of(&original))
    };
    let (mut first, mut flow) = (None, ControlFlow::Continue(()));
    let best = train(&config, device, &plan.run, &mut |event| {
        let told = match event {
            TrainEvent::Step(progress) => observe(AdaptationEvent::Step(progress)),
            TrainEvent::Unusable(unusable) => observe(AdaptationEvent::Unusable(unusable)),
            TrainEvent::Warning(text) => observe(AdaptationEvent::Warning(text.clone())),
            TrainEvent::Validated { validation, .. } => {
                first.get_or_insert(*validation);
                observe(AdaptationEvent::Validated(validation))
            }
            TrainEvent::Started { .. } => ControlFlow::Continue(()),
        };
        if told.is_break() {
            flow = told;
        }
        flow
    })?;
    let (Some(best), ControlFlow::Continue(())) = (best, flow) else { return Ok(None) };
    anyhow::ensure!(
        best.step > 0,
        "the model was not improved: quality on the held-out images fell at once; try a lower learning rate, or name the \
         degradation"
    );

    let mut model = Model::read(&plan.run.join(BEST_FILE), &device.open()?)?;
    let measuring = Measuring { degradation, ..Measuring::default() };
    let upscaler = Upscaler::new(&model, device)?;
    let calibration =
        calibrate(&upscaler, std::slice::from_ref(&plan.data), measuring, &mut |_| observe(AdaptationEvent::Measuring));
    model.description.error_calibration = match calibration {
        Ok(calibration) => calibration,
        Err(TrainingError::Cancelled) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let crops = crops(&pictures)?;
    let mut consistency = |model: &Model| -> anyhow::Result<Option<f64>> {
        let upscaler = Upscaler::new(model, device)?;
        let mut sum = 0.0;
        for crop in &crops {
            if observe(AdaptationEvent::Measuring).is_break() {
                return Ok(None);
            }
            let upscaled = upscaler.upscale(crop, &Options::default(), &mut |_: Event| ControlFlow::Continue(()))?;
            sum += upscaled.loop_psnr.unwrap_or(0.0).min(100.0);
        }
        Ok(Some(sum / crops.len() as f64))
    };
    let (Some(before), Some(after)) = (consistency(&original)?, consistency(&model)?) else { return Ok(None) };
    describe(&mut model, plan, degradation, survey.pictures);
    let before = Quality { consistency: before, paired: first.unwrap_or(best).psnr_y };
    let after = Quality { consistency: after, paired: best.psnr_y };
    Ok(Some(Adapted { model, degradation, before, after, step: best.step }))
}

/// Bicubic reduction alone is what networks are trained for already.
fn worth(known: Known) -> Option<Degradation> {
    (known != Known::BICUBIC).then_some(Degradation::Known(known))
}

/// The files of pictures and folders, each once, in an order that does not depend on that of the sources.
pub(crate) fn files_of(sources: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths: Vec<PathBuf> =
        pictures_of(sources)?.into_iter().map(|path| path.canonicalize().unwrap_or(path)).collect();
    paths.sort();
    paths.dedup();
    anyhow::ensure!(
        !paths.is_empty(),
        "no images in {}",
        sources.iter().map(|source| source.display().to_string()).collect::<Vec<_>>().join(", ")
    );
    Ok(paths)
}

/// Names and sizes of files in one number: another file under a name shows mostly in its size.
pub(crate) fn contents_of(files: &[PathBuf]) -> String {
    let size = |path: &PathBuf| std::fs::metadata(path).map_or(0, |facts| facts.len());
    let all: Vec<String> = files.iter().map(|path| format!("{}:{}", path.display(), size(path))).collect();
    fingerprint(all.join("\n").as_bytes())
}

/// The middle of some of the user's pictures.
fn crops(paths: &[PathBuf]) -> anyhow::Result<Vec<Picture>> {
    let step = paths.len().div_ceil(MEASURED).max(1);
    let crop = |path: &PathBuf| {
        let picture = ground_truth(path).ok()?;
        let (width, height) = (picture.width().min(MEASURED_SIDE), picture.height().min(MEASURED_SIDE));
        Some(picture.crop((picture.width() - width) / 2, (picture.height() - height) / 2, width, height))
    };
    let crops: Vec<Picture> = paths.iter().step_by(step).filter_map(crop).collect();
    anyhow::ensure!(!crops.is_empty(), "none of the images can be read any more");
    Ok(crops)
}

/// Where the model comes from.
fn describe(model: &mut Model, plan: &AdaptationPlan, degradation: Option<Degradation>, pictures: usize) {
    let degraded = degradation.map_or(String::new(), |how| format!(" ({how})"));
    let images = crate::report::counted(pictures, "image");
    model.description.purpose = format!("{} adapted to {images}{degraded}", plan.from);
    if let serde_json::Value::Object(training) = &mut model.description.training {
        training.insert("adapted_from".into(), json!(plan.from));
    }
}

fn few(count: usize) -> AdaptationEvent<'static> {
    AdaptationEvent::Warning(tr_counted!(
        count,
        "only %{count} usable image; %{few} or more of one camera are better, or the model may learn what they show",
        "only %{count} usable images; %{few} or more of one camera are better, or the model may learn what they show",
        few = FEW
    ))
}

fn mixed(cameras: &[String]) -> AdaptationEvent<'static> {
    let shown = cameras.iter().take(4).cloned().collect::<Vec<_>>().join(", ");
    let more = if cameras.len() > 4 { ", …" } else { "" };
    AdaptationEvent::Warning(tr!(
        "the images are from %{count} cameras (%{cameras}); a model adapted to one camera at a time fits better",
        count = cameras.len(),
        cameras = format!("{shown}{more}")
    ))
}
