//! The training loop.

use std::{fs, ops::ControlFlow, path::Path, sync::Arc, time::Instant};

use dualres_imaging::{
    caught,
    file::remove_leftovers,
    lock::{Lock, LockError},
};
use dualres_network::{
    NetworkError,
    device::{ComputeDevice, DeviceClass},
};

use crate::{
    Degradation, PictureSet, Reduction, Result, TrainConfig, TrainEvent, TrainingError, Validation,
    dataset::{listed, pictures_of},
    evaluate::{Measuring, Sample, smallest_measurable},
    pictures::Unusable,
    sampler::{Prefetcher, Source},
    session::Session,
    state::{BEST_FILE, LAST_FILE, STATE_FILE},
};

/// Steps between rows of the log.
const LOG_EVERY: usize = 50;
/// Steps in a row that may be skipped before the run gives up.
const MAX_SKIPPED: usize = 100;
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
    // What was saved last is what the run goes on from.
    on_device(device, || train_on(config, device, folder, observe))
}

/// Does work that runs on `device`. Backends report the failure of a device by a panic; on the CPU a panic is a fault of this
/// program, and goes on.
///
/// # Errors
/// What the work says, or that the device failed.
pub fn on_device<T, E: From<NetworkError>>(
    device: &ComputeDevice,
    work: impl FnOnce() -> std::result::Result<T, E>,
) -> std::result::Result<T, E> {
    match device.class {
        DeviceClass::Cpu => work(),
        _ => caught(work).map_err(|said| device.failure(&said))?,
    }
}

fn train_on(
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
    let least = graph.min_side();
    if config.patch < least {
        let reason = format!(
            "patches must have at least {least} pixels a side: with fewer, an operator of the network has nothing to work on"
        );
        return Err(TrainingError::Setting(reason));
    }
    let step = graph.alignment();
    if !config.patch.is_multiple_of(step) {
        let reason = format!(
            "the side of patches must be a multiple of {step}: the network works on whole squares of that size"
        );
        return Err(TrainingError::Setting(reason));
    }
    if graph.scale() == 1 && config.degradation.is_none() && !config.dual_only {
        let reason =
            "a network that does not enlarge learns nothing from clean pictures: say how its inputs are degraded";
        return Err(TrainingError::Setting(reason.into()));
    }
    if !config.validation.is_empty() {
        check_validation(config)?;
    }
    let reduction = config.degradation.map_or(Reduction::Bicubic, Degradation::reduction);
    let set = Arc::new(PictureSet::scan_reduced(&config.data, &graph.pyramid(), config.patch, reduction)?);
    let (paired, unpaired) = config.patches();
    let without_truth = match &config.adaptation {
        Some(adaptation) => Some(Arc::new(PictureSet::scan(&adaptation.pictures, &[1], config.patch)?)),
        None => None,
    };
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
    let sets = || std::iter::once(&set).chain(&without_truth);
    for (path, reason) in sets().flat_map(|set| set.skipped()) {
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
    if config.adaptation.is_some() && flow.is_continue() {
        // What it begins with is the measure of everything after it, and what there is if it only falls.
        let validation = match session.position.baseline {
            Some(known) => known,
            None => {
                let Some((measured, _)) = session.validate(observe)? else {
                    return Err(TrainingError::Setting("the paired validation images cannot be measured".into()));
                };
                session.position.baseline = Some(measured);
                session.save()?;
                measured
            }
        };
        flow = observe(&TrainEvent::Validated { validation, best: false });
    }
    let first = session.position.step;
    let pictures: Vec<_> = sets().cloned().collect();
    let source = Source {
        set,
        seed: config.seed,
        size: paired,
        patch: config.patch,
        degradation: config.degradation,
        unpaired: without_truth.map(|set| (set, unpaired)),
    };
    let batches = Prefetcher::start(source, first..config.steps)?;
    let clock = Instant::now();
    let seconds_before = session.position.seconds;
    while flow.is_continue() && session.position.step < config.steps && !session.position.guarded {
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
        for (path, reason) in pictures.iter().flat_map(|set| set.broken()) {
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
        if session.position.guarded {
            let text = "stopped: quality on the held-out images has fallen; the weights from before are kept";
            flow = flow_and(flow, observe(&TrainEvent::Warning(text.into())));
        }
        if validate || flow.is_break() {
            session.save()?;
        }
    }
    // What was adapted is calibrated on all paired pictures by whoever asked for it.
    if flow.is_continue() && config.adaptation.is_none() {
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
        match Unusable::of(&path, || Sample::read(&path, scale, measuring, 0)) {
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
