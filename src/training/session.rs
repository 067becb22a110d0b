//! One run at work: its networks, optimizers and files.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::Tensor;
use dualres_engine::Upscaler;
use dualres_imaging::file::write_atomically;
use dualres_network::{
    Metric, Model, Network, Pooling, device::ComputeDevice, dual_regression_loss, unpaired_dual_loss,
};

use crate::{
    Distillation, DistillationLevel, Progress, Result, TrainConfig, TrainEvent, TrainingError, Validation,
    adam::Optimizers,
    begin::{describe, initial, teacher},
    calibrate::calibrate,
    dataset::names_of,
    evaluate::{Measuring, MeasuringEvent, evaluate, rule},
    log::{Log, Row},
    pictures::Unusable,
    sampler::TrainingBatch,
    state::{self, BEST_FILE, LAST_FILE, LOG_FILE, Position},
};

/// Skipped steps at the end of a run from which it has not come to its end but blown up.
const MAX_SKIPPED_LAST: usize = 10;
/// Weights that no network has which has not diverged.
const MAX_WEIGHT: f32 = 1e9;

/// Means since the last row of the log.
#[derive(Default)]
pub(crate) struct Means {
    count: usize,
    loss: f64,
    primal: f64,
    dual: f64,
    unpaired: f64,
    gradient_norm: f64,
}

impl Means {
    pub(crate) fn add(&mut self, progress: &Progress) {
        if !progress.skipped {
            self.count += 1;
            self.loss += progress.loss;
            self.primal += progress.primal;
            self.dual += progress.dual;
            self.unpaired += progress.unpaired;
        }
    }
}

pub(crate) struct Session<'a> {
    config: &'a TrainConfig,
    compute: &'a ComputeDevice,
    pub(crate) autodiff: burn::tensor::Device,
    folder: &'a Path,
    pub(crate) position: Position,
    model: Model,
    optimizers: Optimizers,
    /// The larger network to learn from, on the device without gradients.
    teacher: Option<Network>,
    pub(crate) log: Log,
    pub(crate) means: Means,
    /// Pictures that the first validation could not measure.
    left_out: Option<Vec<PathBuf>>,
}

impl<'a> Session<'a> {
    pub(crate) fn open(config: &'a TrainConfig, compute: &'a ComputeDevice, folder: &'a Path) -> Result<Self> {
        let device = compute.open()?;
        let autodiff = device.clone().autodiff();
        let description = describe(config)?;
        let (position, model, optimizers) = match state::load(folder, config, &description, config.ema, &device)? {
            Some((position, model, optimizers)) => {
                // It may have been given more steps.
                (Position { config: config.clone(), ..position }, model, optimizers)
            }
            None => {
                // What a run came to is never begun over.
                let there = [BEST_FILE, LAST_FILE, LOG_FILE]
                    .map(|name| folder.join(name))
                    .into_iter()
                    .find(|path| path.exists());
                if let Some(path) = there {
                    return Err(TrainingError::NoState { path });
                }
                let mut model = initial(config, description, &autodiff)?;
                let optimizers = config.optimizers(&mut model, config.ema);
                let position = Position {
                    config: config.clone(),
                    description: Some(model.description.clone()),
                    step: 0,
                    optimizer_steps: 0,
                    mean_loss: None,
                    validated: 0,
                    skipped: 0,
                    best: None,
                    baseline: None,
                    highest: None,
                    guarded: false,
                    seconds: 0.0,
                };
                (position, model, optimizers)
            }
        };
        let log = Log::open(&folder.join(LOG_FILE), position.step)?;
        let teacher = config.distillation.as_ref().map(|d| teacher(d, config, &device)).transpose()?;
        let means = Means::default();
        let session = Self {
            config,
            compute,
            autodiff,
            folder,
            position,
            model,
            optimizers,
            teacher,
            log,
            means,
            left_out: None,
        };
        if session.position.step == 0 {
            // Before any other file: a folder with results has their state.
            state::save(folder, &session.position, &session.model, &session.optimizers)?;
        }
        Ok(session)
    }

    /// Whether the run was stopped between a step and its validation.
    pub(crate) fn owes_validation(&self) -> bool {
        let Position { step, validated, .. } = self.position;
        step > validated && (step.is_multiple_of(self.config.validate_every) || step == self.config.steps)
    }

    /// Whether the run has come to its last step without a network that is worth anything.
    pub(crate) fn has_failed(&self) -> bool {
        let Position { step, skipped, .. } = self.position;
        step == self.config.steps && (skipped >= MAX_SKIPPED_LAST || !self.is_sound())
    }

    /// Whether the averaged weights are those of a network, not what is left of one that diverged.
    fn is_sound(&self) -> bool {
        self.optimizers.averages().0.values().all(|weight| weight.values.iter().all(|value| value.abs() < MAX_WEIGHT))
    }

    pub(crate) fn failure(&self) -> TrainingError {
        TrainingError::BlewUp { step: self.position.step, skipped: self.position.skipped }
    }

    /// Forward, backward and update for one batch. A degraded input is to be enlarged to the clean picture, and the dual reconstruction
    /// leads to the clean small one: what is random about noise cannot be found again.
    pub(crate) fn step(&mut self, TrainingBatch { input, targets, unpaired }: TrainingBatch) -> Result<Progress> {
        let config = self.config;
        let lr = config.learning_rate(self.position.step);
        let primal = &self.model.primal;
        let (pictures, taught) = match (&self.teacher, &config.distillation) {
            (Some(teacher), Some(Distillation { weight, level: DistillationLevel::Features, .. })) => {
                let features = |network: &Network, x| {
                    let (pictures, mut features) =
                        network.forward_with(x, Pooling::Global, &[network.graph().last_features()]);
                    (pictures, features.swap_remove(0).mean_dim(1))
                };
                let (pictures, own) = features(primal, input.clone());
                let (_, taught) = features(teacher, input.inner());
                let gap = own - Tensor::from_inner(taught);
                (pictures, Some(gap.square().mean() * *weight))
            }
            (Some(teacher), Some(Distillation { weight, level: DistillationLevel::Output, .. })) => {
                let pictures = primal.forward(input.clone(), Pooling::Global);
                let taught = teacher.upscale(input.inner(), Pooling::Global);
                let own = pictures.last().expect("a network has a result").clone();
                (pictures, Some((own - Tensor::from_inner(taught)).abs().mean() * *weight))
            }
            _ => (primal.forward(input, Pooling::Global), None),
        };
        let loss = dual_regression_loss(&pictures, &targets, &self.model, config.lambda);
        let back = unpaired.map(|input| {
            let result = primal.upscale(input.clone(), Pooling::Global);
            unpaired_dual_loss(result, &input, &self.model)
        });
        // One read for all numbers: each waits for the device.
        let terms = loss.primal.iter().chain(&loss.dual).chain(&taught).chain(&back).cloned().map(Tensor::inner);
        let terms = Tensor::cat(terms.collect::<Vec<Tensor<1>>>(), 0).into_data();
        let terms = terms.convert::<f32>().try_into_vec::<f32>().expect("converted to f32");
        let sum = |terms: &[f32]| terms.iter().map(|&term| f64::from(term)).sum::<f64>();
        let (primal, rest) = terms.split_at(loss.primal.len());
        let (dual, rest) = rest.split_at(loss.dual.len());
        let (distilled, back_loss) = rest.split_at(taught.iter().len());
        let (primal, dual, unpaired) = (sum(primal), sum(dual), sum(back_loss));
        // The mean over all patches of a batch: those without truth count for their number.
        let (with_truth, without) = config.patches();
        let fraction = without as f64 / (with_truth + without) as f64;
        let total =
            (1.0 - fraction) * (primal + config.lambda * dual + sum(distilled)) + fraction * config.lambda * unpaired;
        let limit = self.position.mean_loss.map_or(f64::INFINITY, |mean| mean * config.skip_threshold);
        let mut skipped = !total.is_finite() || total > limit;
        if !skipped {
            let mut objective = match taught {
                Some(taught) => loss.total + taught,
                None => loss.total,
            };
            if let Some(back) = back {
                objective = objective * (1.0 - fraction) + back * (fraction * config.lambda);
            }
            let gradients = objective.backward();
            match self.optimizers.step(&mut self.model, &gradients, lr, config.clip) {
                Some(norm) => {
                    self.means.gradient_norm += norm;
                    let mean = self.position.mean_loss.unwrap_or(total);
                    self.position.mean_loss = Some(mean * 0.99 + total * 0.01);
                }
                None => skipped = true,
            }
        }
        self.position.step += 1;
        self.position.optimizer_steps = self.optimizers.steps();
        let (step, steps) = (self.position.step, config.steps);
        Ok(Progress { step, steps, loss: total, primal, dual, unpaired, skipped, images_per_second: 0.0, lr })
    }

    fn measuring(&self) -> Measuring {
        let config = self.config;
        Measuring { crop: config.validation_crop, degradation: config.degradation, ..Measuring::default() }
    }

    /// Lets the best model know how to expect its errors.
    pub(crate) fn calibrate_best(&self, observe: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>) -> Result<()> {
        let path = self.folder.join(BEST_FILE);
        if self.config.validation.is_empty() || !path.exists() {
            return Ok(());
        }
        let mut model = Model::read(&path, &self.compute.open()?)?;
        if model.description.error_calibration.is_some() {
            return Ok(());
        }
        let upscaler = Upscaler::new(&model, self.compute)?;
        // Validation has told of pictures that cannot be measured.
        let go_on = &mut |_: Option<&Unusable>| ControlFlow::Continue(());
        match calibrate(&upscaler, &self.config.validation, self.measuring(), go_on) {
            Ok(calibration) => {
                model.description.error_calibration = calibration;
                write_atomically(&path, &model.to_bytes())?;
            }
            // As for validation: the weights are there.
            Err(error) => {
                let _ = observe(&TrainEvent::Warning(format!("predicted error not calibrated: {error}")));
            }
        }
        Ok(())
    }

    /// The model of the averaged weights, on the training device.
    fn averaged(&self) -> Result<Model> {
        let mut description = self.model.description.clone();
        if let serde_json::Value::Object(training) = &mut description.training {
            training.insert("steps_done".into(), self.position.step.into());
            training.insert("seconds".into(), self.position.seconds.round().into());
        }
        Ok(Model::from_weights(description, &self.optimizers.averages(), &self.compute.open()?)?)
    }

    pub(crate) fn validate(
        &mut self,
        observe: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>,
    ) -> Result<Option<(Validation, bool)>> {
        self.position.validated = self.position.step;
        if self.config.validation.is_empty() {
            return Ok(None);
        }
        let mut model = self.averaged()?;
        if self.config.lambda == 0.0 {
            model = model.without_duals();
        }
        let upscaler = Upscaler::new(&model, self.compute)?;
        let measuring = self.measuring();
        let first = self.left_out.is_none();
        let go_on = &mut |told: MeasuringEvent<'_>| {
            if let MeasuringEvent::LeftOut(unusable @ Unusable { by_network: false, .. }) = told
                && first
            {
                // Whether to stop is asked again after the step.
                let _ = observe(&TrainEvent::Unusable(unusable.clone()));
            }
            ControlFlow::Continue(())
        };
        let evaluation = match evaluate(&upscaler, &self.config.validation, measuring, go_on) {
            Ok(evaluation) => evaluation,
            // A bad picture or a passing want of memory must not end a run of days.
            Err(error) => {
                // Nothing can be measured of what has diverged.
                self.position.guarded = self.config.adaptation.is_some() && matches!(error, TrainingError::NotFinite);
                let _ = observe(&TrainEvent::Warning(format!("not validated: {error}")));
                return Ok(None);
            }
        };
        let left_out: Vec<PathBuf> = evaluation.left_out.iter().map(|left| left.path.clone()).collect();
        if *self.left_out.get_or_insert_with(|| left_out.clone()) != left_out {
            // Means over other pictures choose no best weights.
            let text = "not validated: other images were measurable than before";
            let _ = observe(&TrainEvent::Warning(text.into()));
            return Ok(None);
        }
        let validation = Validation {
            step: self.position.step,
            psnr_y: evaluation.mean.psnr_y,
            loop_psnr: evaluation.mean.loop_psnr,
        };
        let best = match &self.config.adaptation {
            // Not the highest counts but the last before it fell: what is gained on the others does not show here.
            Some(adaptation) => {
                let highest = self.position.highest.map_or(validation.psnr_y, |psnr| psnr.max(validation.psnr_y));
                self.position.highest = Some(highest);
                self.position.guarded = validation.psnr_y < highest - adaptation.guard;
                !self.position.guarded
            }
            // The network stays as it is: its dual model is what can be better.
            None if self.config.dual_only => {
                self.position.best.is_none_or(|best| validation.loop_psnr > best.loop_psnr)
            }
            None => self.position.best.is_none_or(|best| validation.psnr_y > best.psnr_y),
        };
        if best {
            self.position.best = Some(validation);
            let cut =
                self.config.validation_crop.map_or(String::new(), |side| format!(", cut to {side} pixels a side"));
            let set = names_of(&self.config.validation).join(", ") + &cut;
            let rule = rule(self.config.architecture.scale(), self.config.degradation);
            let metric =
                |name: &str, value: f64| Metric { name: name.into(), set: set.clone(), value, rule: rule.clone() };
            let metrics = [("psnr_y", Some(validation.psnr_y)), ("loop_psnr", validation.loop_psnr)];
            model.description.metrics =
                metrics.into_iter().filter_map(|(name, value)| Some(metric(name, value?))).collect();
            write_atomically(&self.folder.join(BEST_FILE), &model.to_bytes())?;
        }
        Ok(Some((validation, best)))
    }

    pub(crate) fn log(&mut self, progress: &Progress, validation: Option<(Validation, bool)>) {
        let means = std::mem::take(&mut self.means);
        // No number where every step was skipped.
        let count = if means.count == 0 { f64::NAN } else { means.count as f64 };
        self.log.push(Row {
            step: progress.step,
            lr: progress.lr,
            loss: means.loss / count,
            primal: means.primal / count,
            dual: (self.config.lambda != 0.0).then_some(means.dual / count),
            unpaired: self.config.adaptation.is_some().then_some(means.unpaired / count),
            gradient_norm: means.gradient_norm / count,
            images_per_second: progress.images_per_second,
            validation_psnr_y: validation.map(|(v, _)| v.psnr_y),
            validation_loop_psnr: validation.and_then(|(v, _)| v.loop_psnr),
            seconds: self.position.seconds,
        });
    }

    pub(crate) fn save(&self) -> Result<()> {
        self.log.write()?;
        // A network that gives nothing is not delivered.
        if self.is_sound() {
            write_atomically(&self.folder.join(LAST_FILE), &self.averaged()?.to_bytes())?;
        }
        state::save(self.folder, &self.position, &self.model, &self.optimizers)
    }
}
