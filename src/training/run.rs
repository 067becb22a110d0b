//! The training loop.

use std::{
    fs,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use burn::tensor::Tensor;
use dualres_engine::Upscaler;
use dualres_imaging::{
    file::{remove_leftovers, write_atomically},
    lock::{Lock, LockError},
};
use dualres_network::{Metric, Model, Network, Pooling, device::ComputeDevice, dual_regression_loss};

use crate::{
    Distillation, PictureSet, Progress, Result, TrainConfig, TrainEvent, TrainingError, Validation,
    adam::Optimizers,
    begin::{describe, initial, teacher},
    calibrate::calibrate,
    dataset::{listed, names_of, pictures_of},
    evaluate::{Case, Measuring, Told, evaluate, rule, smallest_measurable},
    log::{Log, Row},
    pictures::Unusable,
    sampler::{Lesson, Prefetcher},
    state::{self, BEST_FILE, LAST_FILE, LOG_FILE, Position, STATE_FILE},
};

/// Steps between rows of the log.
const LOG_EVERY: usize = 50;
/// Steps in a row that may be skipped before the run gives up.
const MAX_SKIPPED: usize = 100;
/// Skipped steps at the end of a run from which it has not come to its end but blown up.
const MAX_SKIPPED_LAST: usize = 10;
/// Weights that no network has which has not diverged.
const MOST_WEIGHT: f32 = 1e9;
/// Held by the process that is at work.
const LOCK_FILE: &str = "dualres.lock";

/// Trains until the last step, or until `observe` says stop; in both cases everything is saved. A folder that holds
/// a run with the same settings is gone on with. Returns the best validation.
///
/// The folder receives the state, the curves, the model of the averaged weights and the best such model.
///
/// # Errors
/// If settings make no sense, data cannot be read, files cannot be written, the device fails, or training blows up.
pub fn train(
    config: &TrainConfig,
    device: &ComputeDevice,
    folder: &Path,
    observe: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>,
) -> Result<Option<Validation>> {
    config.validate()?;
    let unusable = |path: &Path, error: &std::io::Error| TrainingError::RunFile {
        path: path.to_owned(),
        reason: error.to_string(),
    };
    let graph = config.architecture.graph()?;
    let least = graph.least_side();
    if config.patch < least {
        let reason = format!(
            "patches must have at least {least} pixels a side: with fewer, an operator of the network has nothing to work on"
        );
        return Err(TrainingError::Setting(reason));
    }
    if !config.validation.is_empty() {
        check_validation(config)?;
    }
    let set = Arc::new(PictureSet::scan(&config.data, &graph.pyramid(), config.patch)?);
    let is_new = !folder.exists();
    fs::create_dir_all(folder).map_err(|error| unusable(folder, &error))?;
    let lock_file = folder.join(LOCK_FILE);
    let lock = Lock::take(&lock_file).map_err(|error| match error {
        LockError::Held => TrainingError::Busy { path: folder.to_owned() },
        LockError::File(error) => unusable(&lock_file, &error),
    })?;
    remove_leftovers(folder);
    let session = Session::open(config, device, folder);
    if session.is_err() && is_new && !folder.join(STATE_FILE).exists() {
        // What did not begin leaves nothing. Removed while it is held; what cannot be removed does no harm.
        let _ = fs::remove_file(&lock_file);
        drop(lock);
        let _ = fs::remove_dir(folder);
        return session.and(Ok(None));
    }
    let mut session = session?;
    let parameters = graph.cost(1, 1).parameters();
    let started = TrainEvent::Started { step: session.position.step, pictures: set.len(), parameters };
    let mut flow = observe(&started);
    if let Some(doubt) = lock.doubt() {
        flow = flow_and(flow, observe(&TrainEvent::Warning(format!("{doubt}: {}", folder.display()))));
    }
    for (path, reason) in set.skipped() {
        flow = flow_and(flow, observe(&TrainEvent::Unusable(Unusable::new(path.clone(), reason.clone()))));
    }

    if session.position.step > 0 && !folder.join(LAST_FILE).exists() {
        session.save()?;
    }
    if session.position.best.is_some() && !folder.join(BEST_FILE).exists() {
        // Somebody took it: what is best is found out again from here on.
        session.position.best = None;
        session.position.validated = 0;
    }
    if flow.is_continue() && session.owes_validation() {
        let validation = session.validate(observe)?;
        session.log.validated(session.position.step, validation.map(|(validation, _)| validation));
        if let Some((validation, best)) = validation {
            flow = observe(&TrainEvent::Validated { validation, best });
        }
        session.save()?;
    }

    if session.has_failed() {
        return Err(session.failure());
    }
    let first = session.position.step;
    let pictures = set.clone();
    let batches =
        Prefetcher::start(set, config.seed, first..config.steps, config.batch, config.patch, config.degradation)?;
    let clock = Instant::now();
    let seconds_before = session.position.seconds;
    while flow.is_continue() && session.position.step < config.steps {
        let mut progress = session.step(batches.next()?.lesson(&session.autodiff))?;
        session.position.seconds = seconds_before + clock.elapsed().as_secs_f64();
        let done = session.position.step - first;
        progress.images_per_second = (done * config.batch) as f64 / clock.elapsed().as_secs_f64();
        session.position.skipped = if progress.skipped { session.position.skipped + 1 } else { 0 };
        let blew_up = session.position.skipped > MAX_SKIPPED || session.has_failed();
        if blew_up {
            // So that the next session knows.
            session.save()?;
            return Err(session.failure());
        }
        flow = observe(&TrainEvent::Step(progress));
        for (path, reason) in pictures.broken() {
            flow = flow_and(flow, observe(&TrainEvent::Unusable(Unusable::new(path, reason))));
        }
        session.means.add(&progress);
        let step = session.position.step;
        let validate = step.is_multiple_of(config.validate_every) || step == config.steps;
        let mut validation = None;
        if validate && flow.is_continue() {
            validation = session.validate(observe)?;
        }
        if step.is_multiple_of(LOG_EVERY) || validation.is_some() || flow.is_break() {
            session.log(&progress, validation);
        }
        // Told before it is saved: what an observer keeps may be ahead of the state, never behind it.
        if let Some((validation, best)) = validation {
            flow = flow_and(flow, observe(&TrainEvent::Validated { validation, best }));
        }
        if validate || flow.is_break() {
            session.save()?;
        }
    }
    if flow.is_continue() {
        session.calibrate_best(observe)?;
    }
    Ok(session.position.best)
}

/// Whether a picture can be measured: told before hours of training that nothing would choose the best weights of.
fn check_validation(config: &TrainConfig) -> Result<()> {
    let scale = config.architecture.scale();
    let measuring = Measuring { crop: config.validation_crop, ..Measuring::default() };
    let mut last = None;
    for path in pictures_of(&config.validation)? {
        let least = smallest_measurable(scale);
        match Unusable::of(&path, || Case::read(&path, scale, measuring, 0)) {
            Ok(case) if case.truth.width().min(case.truth.height()) >= least => return Ok(()),
            Ok(_) => last = Some((path, format!("it has fewer than {least} pixels a side"))),
            Err(Unusable { path, reason, .. }) => last = Some((path, reason)),
        }
    }
    Err(match last {
        Some((path, reason)) => TrainingError::Picture { path, reason },
        None => TrainingError::NoPictures { side: smallest_measurable(scale), folders: listed(&config.validation) },
    })
}

fn flow_and(a: ControlFlow<()>, b: ControlFlow<()>) -> ControlFlow<()> {
    if a.is_break() { a } else { b }
}

/// Means since the last row of the log.
#[derive(Default)]
struct Means {
    count: usize,
    loss: f64,
    primal: f64,
    dual: f64,
    gradient_norm: f64,
}

impl Means {
    fn add(&mut self, progress: &Progress) {
        if !progress.skipped {
            self.count += 1;
            self.loss += progress.loss;
            self.primal += progress.primal;
            self.dual += progress.dual;
        }
    }
}

struct Session<'a> {
    config: &'a TrainConfig,
    compute: &'a ComputeDevice,
    autodiff: burn::tensor::Device,
    folder: &'a Path,
    position: Position,
    model: Model,
    optimizers: Optimizers,
    /// The larger network to learn from, on the device without gradients.
    teacher: Option<Network>,
    log: Log,
    means: Means,
    /// Pictures that the first validation could not measure.
    left_out: Option<Vec<PathBuf>>,
}

impl<'a> Session<'a> {
    fn open(config: &'a TrainConfig, compute: &'a ComputeDevice, folder: &'a Path) -> Result<Self> {
        let device = compute.open()?;
        let autodiff = device.clone().autodiff();
        let description = describe(config)?;
        let (position, model, optimizers) = match state::load(folder, config, &description, config.ema, &device)? {
            Some(state) => state,
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
                let optimizers = Optimizers::new(&mut model, config.ema, config.trained());
                let position = Position {
                    config: config.clone(),
                    step: 0,
                    optimizer_steps: 0,
                    mean_loss: None,
                    validated: 0,
                    skipped: 0,
                    best: None,
                    seconds: 0.0,
                };
                (position, model, optimizers)
            }
        };
        let log = Log::open(&folder.join(LOG_FILE), position.step)?;
        let teacher = config.distillation.as_ref().map(|d| teacher(&d.teacher, config, &device)).transpose()?;
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
    fn owes_validation(&self) -> bool {
        let Position { step, validated, .. } = self.position;
        step > validated && (step.is_multiple_of(self.config.validate_every) || step == self.config.steps)
    }

    /// Whether the run has come to its last step without a network that is worth anything.
    fn has_failed(&self) -> bool {
        let Position { step, skipped, .. } = self.position;
        step == self.config.steps && (skipped >= MAX_SKIPPED_LAST || !self.is_sound())
    }

    /// Whether the averaged weights are those of a network, not what is left of one that diverged.
    fn is_sound(&self) -> bool {
        self.optimizers.averages().0.values().all(|weight| weight.values.iter().all(|value| value.abs() < MOST_WEIGHT))
    }

    fn failure(&self) -> TrainingError {
        TrainingError::BlewUp { step: self.position.step, skipped: self.position.skipped }
    }

    /// Forward, backward and update for one batch. A degraded input is to be enlarged to the clean picture, and the way back
    /// leads to the clean small one: what is random about noise cannot be found again.
    fn step(&mut self, Lesson { input, targets }: Lesson) -> Result<Progress> {
        let config = self.config;
        let lr = config.learning_rate(self.position.step);
        let primal = &self.model.primal;
        let (pictures, taught) = match (&self.teacher, &config.distillation) {
            (Some(teacher), Some(Distillation { weight, .. })) => {
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
            _ => (primal.forward(input, Pooling::Global), None),
        };
        let loss = dual_regression_loss(&pictures, &targets, &self.model, config.lambda);
        // One read for all numbers: each waits for the device.
        let terms = loss.primal.iter().chain(&loss.dual).chain(&taught).cloned().map(Tensor::inner);
        let terms = Tensor::cat(terms.collect::<Vec<Tensor<1>>>(), 0).into_data();
        let terms = terms.convert::<f32>().try_into_vec::<f32>().expect("converted to f32");
        let sum = |terms: &[f32]| terms.iter().map(|&term| f64::from(term)).sum::<f64>();
        let (primal, rest) = terms.split_at(loss.primal.len());
        let (dual, distilled) = rest.split_at(loss.dual.len());
        let (primal, dual) = (sum(primal), sum(dual));
        let total = primal + config.lambda * dual + sum(distilled);
        let limit = self.position.mean_loss.map_or(f64::INFINITY, |mean| mean * config.skip_threshold);
        let mut skipped = !total.is_finite() || total > limit;
        if !skipped {
            let objective = match taught {
                Some(taught) => loss.total + taught,
                None => loss.total,
            };
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
        Ok(Progress { step, steps, loss: total, primal, dual, skipped, images_per_second: 0.0, lr })
    }

    fn measuring(&self) -> Measuring {
        let config = self.config;
        Measuring { crop: config.validation_crop, degradation: config.degradation, ..Measuring::default() }
    }

    /// Lets the best model know how to expect its errors.
    fn calibrate_best(&self, observe: &mut dyn FnMut(&TrainEvent) -> ControlFlow<()>) -> Result<()> {
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

    fn validate(
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
        let go_on = &mut |told: Told<'_>| {
            if let Told::LeftOut(unusable @ Unusable { by_network: false, .. }) = told
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
        let best = self.position.best.is_none_or(|best| validation.psnr_y > best.psnr_y);
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

    fn log(&mut self, progress: &Progress, validation: Option<(Validation, bool)>) {
        let means = std::mem::take(&mut self.means);
        // No number where every step was skipped.
        let count = if means.count == 0 { f64::NAN } else { means.count as f64 };
        self.log.push(Row {
            step: progress.step,
            lr: progress.lr,
            loss: means.loss / count,
            primal: means.primal / count,
            dual: (self.config.lambda != 0.0).then_some(means.dual / count),
            gradient_norm: means.gradient_norm / count,
            images_per_second: progress.images_per_second,
            validation_psnr_y: validation.map(|(v, _)| v.psnr_y),
            validation_loop_psnr: validation.and_then(|(v, _)| v.loop_psnr),
            seconds: self.position.seconds,
        });
    }

    fn save(&self) -> Result<()> {
        self.log.write()?;
        // A network that gives nothing is not delivered.
        if self.is_sound() {
            write_atomically(&self.folder.join(LAST_FILE), &self.averaged()?.to_bytes())?;
        }
        state::save(self.folder, &self.position, &self.model, &self.optimizers)
    }
}
