//! The whole of a compression, stage by stage, in a folder that it can be gone on with from.

mod check;
mod conclude;
mod cutting;
mod extend;

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use burn::tensor::Device;
use dualres_engine::Upscaler;
use dualres_imaging::{
    file::write_atomically,
    lock::{Lock, LockError},
};
use dualres_network::{Model, device::ComputeDevice};
use dualres_training::{
    Evaluation, Measuring, MeasuringEvent, Scores, TrainingError, Unusable, calibrate, evaluate, on_device,
};
use serde::{Deserialize, Serialize};

use check::check;
use cutting::Cut;
pub(crate) use cutting::channels_in_place;

use crate::{
    CompressConfig, CompressionError, Event, Mode, Observer, Profile, Report, Result, Stage, Widths,
    candidates::{uniform_widths, uniform_within},
    data::Data,
    events::EventLog,
    files::{
        CONFIG_FILE, DECISION_FILE, EVENTS_FILE, FINETUNE_FOLDER, Held, ORIGINAL_FILE, PROFILE_FILE, REPORT_FILE,
        RESULT_FILE, RUN_FILES, WIDTHS_FILE, load_json, save_json, unusable,
    },
    finetune,
    layers::Layers,
    profile,
    report::{Kept, Times},
    row, search, selection,
    selection::Task,
    times,
    widths::widths_text,
};

/// Settings of a run with what they were applied to.
#[derive(Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) config: CompressConfig,
    data_hash: String,
    /// Pictures that cannot be decoded, with the reason.
    #[serde(default)]
    broken: Vec<(PathBuf, String)>,
}

/// The widths that were decided.
#[derive(Serialize, Deserialize)]
struct Decision {
    widths: Vec<usize>,
    alpha_entropy: Option<f64>,
}

/// The widths that the run in `folder` decided for, if it has come so far.
pub(crate) fn decided_widths(folder: &Path) -> Result<Option<Vec<usize>>> {
    Ok(load_json::<Decision>(&folder.join(DECISION_FILE))?.map(|decision| decision.widths))
}

/// Compresses `original` in `folder`; a folder that holds a run with the same settings is gone on with. Returns the
/// small network and the report, or `None` if the observer stopped the run, which then is saved.
///
/// # Errors
/// If settings make no sense, pictures cannot be read, files cannot be written, the device fails, no network is small
/// enough, or values are no numbers.
pub fn compress(
    config: &CompressConfig,
    original: &Model,
    device: &ComputeDevice,
    folder: &Path,
    observe: Observer,
) -> Result<Option<(Model, Report)>> {
    check(config, original)?;
    let held = Held::take(folder)?;
    if let Some(doubt) = held.doubt()
        && observe(&Event::Warning(format!("{doubt}: {}", folder.display()))).is_break()
    {
        return Ok(None);
    }
    let begun = as_worked_on(config, original, Some(folder))
        .and_then(|original| Ok((begin(config, &original, folder)?, original)));
    if begun.is_err() && !folder.join(CONFIG_FILE).exists() {
        // What did not begin leaves nothing.
        held.forget();
    }
    let ((data, data_hash), original) = begun?;
    for (path, reason) in &data.skipped {
        if observe(&Event::Unusable(Unusable::new(path.clone(), reason.clone()))).is_break() {
            return Ok(None);
        }
    }
    // What was saved last is what the run goes on from.
    on_device(device, || {
        let plain = device.open()?;
        let original = original.to_device(&plain)?;
        let layers = Layers::of(&original.description.network, config.streams);
        UnderWay { config, original, layers, data, compute: device, device: plain, folder, data_hash }.run(observe)
    })
}

/// Resumes the run in `folder`, with `finetune_steps` steps of fine-tuning in all if given.
///
/// # Errors
/// As [`compress`], and if the folder holds no run, or one of more steps.
pub fn resume(
    folder: &Path,
    finetune_steps: Option<usize>,
    device: &ComputeDevice,
    observe: Observer,
) -> Result<Option<(Model, Report)>> {
    if let Some(steps) = finetune_steps {
        extend::extend(folder, steps)?;
    }
    let path = folder.join(CONFIG_FILE);
    let Some(begun) = load_json::<Begun>(&path)? else {
        return Err(CompressionError::NoRun { path: folder.to_owned() });
    };
    let original = Model::read(&folder.join(ORIGINAL_FILE), &Device::flex())?;
    compress(&begun.config, &original, device, folder, observe)
}

/// Measures the sensitivity profile of `model` alone, or reads it if `path` holds it. `events` receives the curve.
/// `None` if the observer stopped it; what was measured is kept.
///
/// # Errors
/// As [`compress`], and if `path` holds the profile of another network.
pub fn measure_profile(
    config: &CompressConfig,
    model: &Model,
    device: &ComputeDevice,
    path: &Path,
    events: &Path,
    observe: Observer,
) -> Result<Option<Profile>> {
    check(config, model)?;
    let model = &as_worked_on(config, model, None)?;
    let scales = model.description.pyramid();
    let broken = Data::open(config, &scales, &[])?.broken();
    let data = Data::open(config, &scales, &broken)?;
    let plain = device.open()?;
    profile::measure(config, &model.to_device(&plain)?, &data, &plain, path, events, observe)
}

/// The network that a run works on: as it is run, where a budget is shared out, so that nothing is saved where nothing is
/// computed. A run of an earlier version that is in the folder goes on with what it began with.
fn as_worked_on(config: &CompressConfig, original: &Model, folder: Option<&Path>) -> Result<Model> {
    let stored = folder.map(|folder| folder.join(ORIGINAL_FILE)).filter(|path| path.exists());
    let stored = stored.map(|path| Model::read(&path, &Device::flex())).transpose()?;
    let begun = stored.is_some_and(|stored| stored.weights() == original.weights());
    if begun || !config.is_budgeted() {
        return Ok(original.clone());
    }
    Ok(original.collapsed(&Device::flex())?)
}

/// Writes the settings of a new run, or checks that they are those of the run that is there. Returns the pictures and
/// their hash.
fn begin(config: &CompressConfig, original: &Model, folder: &Path) -> Result<(Data, String)> {
    let scales = original.description.pyramid();
    let other = |difference| Err(CompressionError::OtherRun { path: folder.to_owned(), difference });
    if let Some(Begun { config: begun, data_hash, broken }) = load_json::<Begun>(&folder.join(CONFIG_FILE))? {
        if let Some(difference) = config.difference(&begun) {
            return other(difference);
        }
        let stored = Model::read(&folder.join(ORIGINAL_FILE), &Device::flex())?;
        if stored.weights() != original.weights() {
            return other("another network".into());
        }
        let data = Data::open(config, &scales, &broken)?;
        if data.hash()? != data_hash {
            return Err(CompressionError::OtherData { path: folder.to_owned() });
        }
        return Ok((data, data_hash));
    }
    // Decoded once before anything is begun: a picture that breaks a run after hours would break it for good.
    let broken = Data::open(config, &scales, &[])?.broken();
    let data = Data::open(config, &scales, &broken)?;
    let data_hash = data.hash()?;
    check_unused(folder, &original.to_bytes())?;
    write_atomically(&folder.join(ORIGINAL_FILE), &original.to_bytes())?;
    // Last: a folder with settings has everything that they speak of.
    save_json(&folder.join(CONFIG_FILE), &Begun { config: config.clone(), data_hash: data_hash.clone(), broken })?;
    Ok((data, data_hash))
}

/// A new run writes over nothing that is in its folder, unless it began the same way before.
fn check_unused(folder: &Path, original: &[u8]) -> Result<()> {
    let is_foreign = |name: &str| {
        let path = folder.join(name);
        path.exists() && !(name == ORIGINAL_FILE && std::fs::read(path).is_ok_and(|there| there == original))
    };
    let is_full = |name: &str| folder.join(name).read_dir().is_ok_and(|mut entries| entries.next().is_some());
    let foreign = RUN_FILES.into_iter().find(|name| is_foreign(name));
    match foreign.or(Some(FINETUNE_FOLDER).filter(|name| is_full(name))) {
        Some(name) => Err(CompressionError::Occupied { path: folder.join(name) }),
        None => Ok(()),
    }
}

/// The file that is locked while a shared profile is measured.
fn with_lock_name(profile: &Path) -> PathBuf {
    let mut name = profile.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    profile.with_file_name(name)
}

/// Takes a lock as soon as no other process holds it. `None` if the observer stopped the waiting.
fn wait_for(path: &Path, observe: Observer) -> Result<Option<Lock>> {
    loop {
        match Lock::take(path) {
            Ok(lock) => return Ok(Some(lock)),
            Err(LockError::File(error)) => return Err(unusable(path, error)),
            Err(LockError::Held) if observe(&Event::Tick).is_break() => return Ok(None),
            Err(LockError::Held) => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

struct UnderWay<'a> {
    config: &'a CompressConfig,
    original: Model,
    layers: Layers,
    data: Data,
    compute: &'a ComputeDevice,
    device: Device,
    folder: &'a Path,
    data_hash: String,
}

impl UnderWay<'_> {
    fn run(&self, observe: Observer) -> Result<Option<(Model, Report)>> {
        let (report, result) = (self.folder.join(REPORT_FILE), self.folder.join(RESULT_FILE));
        // A result that somebody took is made again from what the stages left.
        if let (Some(report), Ok(model)) = (load_json::<Report>(&report)?, Model::read(&result, &self.device)) {
            return Ok(Some((model, report)));
        }
        let begun = Instant::now();
        let Some(profile) = self.profile(observe)? else { return Ok(None) };
        let Some(decision) = self.decide(profile.as_ref(), observe)? else { return Ok(None) };
        let folder = self.folder;
        if observe(&Event::Widths(&decision.widths)).is_break() {
            return Ok(None);
        }
        let task = self.task(profile.as_ref());
        let selected = selection::select(task, &decision.widths, folder, observe)?;
        let Some(selected) = selected else { return Ok(None) };
        let Some((small, cut)) = self.cut(&selected, &decision, profile.as_ref(), observe)? else { return Ok(None) };
        let Some((tuned, after, finetuned)) = self.finetune(small, &cut, &decision, observe)? else { return Ok(None) };
        let Some(tuned) = self.calibrated(tuned, observe)? else { return Ok(None) };
        let log = EventLog::open(&folder.join(EVENTS_FILE), Stage::Finetune, usize::MAX)?;
        let seconds = log.seconds().max(begun.elapsed().as_secs_f64());
        let times = self.times(&tuned, &decision)?;
        let (result, mut report) = self.report(tuned, &decision, &selected, &cut, (after, finetuned), seconds);
        report.times = times;
        write_atomically(&folder.join(RESULT_FILE), &result.to_bytes())?;
        row::write(folder, self.config, &report)?;
        // Last: a folder with a report is finished.
        save_json(&folder.join(REPORT_FILE), &report)?;
        Ok(Some((result, report)))
    }

    /// How long the result really takes beside the original, where that is what it was made for.
    fn times(&self, result: &Model, decision: &Decision) -> Result<Option<Times>> {
        let Some(table) = &self.config.times else { return Ok(None) };
        let [before, after] = times::compared([&self.original, result], self.compute, table.side)?;
        let predicted = table.predicted(&self.layers, &decision.widths) / table.whole;
        let budget = 1.0 - self.config.ratio;
        let (device, side) = (table.device.clone(), table.side);
        Ok(Some(Times { device, side, budget, predicted, before, after }))
    }

    fn task<'a>(&'a self, profile: Option<&'a Profile>) -> Task<'a> {
        Task { config: self.config, original: &self.original, profile, data: &self.data, device: &self.device }
    }

    /// The sensitivity profile, if the method needs one. `None` if the observer stopped it.
    fn profile(&self, observe: Observer) -> Result<Option<Option<Profile>>> {
        let config = self.config;
        if !config.needs_profile() {
            return Ok(Some(None));
        }
        // The run keeps a copy of a shared profile: what becomes of the other file is no matter then.
        let own = self.folder.join(PROFILE_FILE);
        if let Some(profile) = Profile::read(&own)?.filter(Profile::is_complete) {
            return Ok(Some(Some(profile)));
        }
        let path = config.profile_file.as_ref().unwrap_or(&own);
        let events = self.folder.join(EVENTS_FILE);
        // Runs that share a profile have it measured once: the others wait.
        let _held = match &config.profile_file {
            Some(shared) => match wait_for(&with_lock_name(shared), observe)? {
                Some(held) => Some(held),
                None => return Ok(None),
            },
            None => None,
        };
        let profile = profile::measure(config, &self.original, &self.data, &self.device, path, &events, observe)?;
        if let Some(profile) = &profile {
            profile.write(&own)?;
        }
        Ok(profile.map(Some))
    }

    /// How many channels each prunable layer keeps.
    fn decide(&self, profile: Option<&Profile>, observe: Observer) -> Result<Option<Decision>> {
        let path = self.folder.join(DECISION_FILE);
        if let Some(decision) = load_json(&path)? {
            return Ok(Some(decision));
        }
        let (config, layers) = (self.config, &self.layers);
        let mut alpha_entropy = None;
        let widths = match (&config.widths, config.method.about().widths, profile) {
            (Some(widths), ..) => widths.clone(),
            (None, Widths::Profile, Some(profile)) => match self.profiled(profile, observe)? {
                Some(widths) => widths,
                None => return Ok(None),
            },
            (None, Widths::Search, _) => {
                let found = search::search(self.task(profile), self.folder, observe)?;
                let Some((widths, entropy)) = found else { return Ok(None) };
                alpha_entropy = Some(entropy);
                widths
            }
            _ if config.mode == Mode::Paper => uniform_widths(layers, config.ratio),
            _ => uniform_within(layers, &config.costs(layers), config.ratio)?,
        };
        write_atomically(&self.folder.join(WIDTHS_FILE), widths_text(&widths, layers).as_bytes())?;
        let decision = Decision { widths, alpha_entropy };
        save_json(&path, &decision)?;
        Ok(Some(decision))
    }

    /// The widths that the profile says, or the even ones where they make the better network.
    fn profiled(&self, profile: &Profile, observe: Observer) -> Result<Option<Vec<usize>>> {
        let config = self.config;
        let mut best: Option<(f64, Vec<usize>)> = None;
        let costs = config.costs(&self.layers);
        let even = uniform_within(&self.layers, &costs, config.ratio);
        for widths in std::iter::once(profile.widths_under(&costs, config.ratio, config.search.lambda)?).chain(even) {
            let mut tick = || observe(&Event::Tick).is_continue();
            let task = self.task(Some(profile));
            let Some((losses, _)) = selection::worth(task, profile, &widths, &mut tick)? else { return Ok(None) };
            if losses.is_finite() && best.as_ref().is_none_or(|(least, _)| losses.total < *least) {
                best = Some((losses.total, widths));
            }
        }
        best.map(|(_, widths)| Some(widths))
            .ok_or_else(|| CompressionError::NotFinite("every network that was tried".into()))
    }

    /// Fine-tunes, and measures what came of it; whether it is the tuned network comes with it.
    fn finetune(
        &self,
        small: Model,
        cut: &Cut,
        decision: &Decision,
        observe: Observer,
    ) -> Result<Option<(Model, Scores, bool)>> {
        let config = self.config;
        if config.finetune.steps == 0 {
            return Ok(Some((small, cut.cut, false)));
        }
        // Training has pictures of its own.
        self.data.forget();
        let shares = Kept::of(&self.layers).shares(&decision.widths);
        let (data, compute) = (&self.data, self.compute);
        match finetune::finetune(config, &small, shares, data, compute, self.folder, observe) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            // The network that was cut is there, and perhaps a better one from before.
            Err(CompressionError::Training(error @ TrainingError::BlewUp { .. })) => {
                let text = format!("fine-tuning failed: {error}; keeping the best network so far");
                if observe(&Event::Warning(text)).is_break() {
                    return Ok(None);
                }
            }
            Err(error) => return Err(error),
        }
        let Some(path) = finetune::tuned(self.folder) else { return Ok(Some((small, cut.cut, false))) };
        let mut tuned = Model::read(&path, &self.device)?;
        if tuned.duals.is_empty() {
            // Without dual loss they were not trained; those of the original still close the loop.
            tuned.duals.clone_from(&small.duals);
            tuned.description.duals.clone_from(&small.description.duals);
        }
        tuned.description.original_widths.clone_from(&small.description.original_widths);
        let after = match self.evaluate(&tuned, observe) {
            Ok(Some(after)) => after,
            Ok(None) => return Ok(None),
            // On pictures that the cut network was measured on.
            Err(error) => {
                let text = match error {
                    CompressionError::Training(TrainingError::NotFinite) => {
                        "fine-tuning diverged; keeping the network as cut; try a lower learning rate".to_owned()
                    }
                    error => format!("the fine-tuned network cannot be measured ({error}); keeping the network as cut"),
                };
                return Ok(observe(&Event::Warning(text)).is_continue().then_some((small, cut.cut, false)));
            }
        };
        if after.mean.psnr_y < cut.cut.psnr_y {
            let (after, before) = (after.mean.psnr_y, cut.cut.psnr_y);
            let text = format!("fine-tuning reduced PSNR ({before:.2} to {after:.2} dB); keeping the network as cut");
            return Ok(observe(&Event::Warning(text)).is_continue().then_some((small, cut.cut, false)));
        }
        Ok(Some((tuned, after.mean, true)))
    }

    /// Measures on the validation pictures. `None` if the observer stops it.
    fn evaluate(&self, model: &Model, observe: Observer) -> Result<Option<Evaluation>> {
        let upscaler = Upscaler::new(model, self.compute)?;
        let measuring = Measuring { crop: self.config.validation_crop, ..Measuring::default() };
        // An observer is asked between pictures by telling it nothing new.
        let mut ask = |_: MeasuringEvent<'_>| observe(&Event::Tick);
        match evaluate(&upscaler, &self.data.validation, measuring, &mut ask) {
            Ok(Evaluation { stopped: true, .. }) => Ok(None),
            // Networks are compared on the same pictures; those that cannot be decoded were left out before.
            Ok(mut evaluation) => match evaluation.left_out.pop() {
                Some(Unusable { by_network: true, .. }) => Err(TrainingError::NotFinite.into()),
                Some(Unusable { path, reason, .. }) => Err(TrainingError::Picture { path, reason }.into()),
                None => Ok(Some(evaluation)),
            },
            Err(TrainingError::Cancelled) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The network, knowing how to expect its errors. `None` if the observer stops it.
    fn calibrated(&self, mut model: Model, observe: Observer) -> Result<Option<Model>> {
        if model.description.error_calibration.is_some() {
            return Ok(Some(model));
        }
        let upscaler = Upscaler::new(&model, self.compute)?;
        let measuring = Measuring { crop: self.config.validation_crop, ..Measuring::default() };
        match calibrate(&upscaler, &self.data.validation, measuring, &mut |_| observe(&Event::Tick)) {
            Ok(calibration) => model.description.error_calibration = calibration,
            Err(TrainingError::Cancelled) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        Ok(Some(model))
    }

    fn set_name(&self) -> String {
        let named = self.data.validation.first().and_then(|path| path.parent()).and_then(Path::file_name);
        named.unwrap_or_default().to_string_lossy().into_owned()
    }
}
