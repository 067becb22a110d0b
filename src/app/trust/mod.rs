//! Which devices are used: those that were seen to compute what the CPU computes.
//!
//! Graphics drivers give wrong pictures without a word. So where a device, its driver, this program and a model meet for the
//! first time, a picture made for it is run on both. What was found is remembered; a device that fails is told by name, and the
//! CPU takes over.

mod memory;

use std::{
    fs,
    ops::ControlFlow,
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{RecvTimeoutError, sync_channel},
    },
    time::{Duration, Instant},
};

use dualres_compression::ORIGINAL_FILE;
use dualres_engine::{EngineError, Finding, self_check};
use dualres_imaging::file::write_atomically;
use dualres_network::{
    Device, Model, NetworkError,
    device::{self, ComputeDevice, DeviceClass, Precision, graphics_interfaces},
    graph::Steps,
};

use self::memory::{Key, Memory, Outcome};
use crate::{
    batch::sums,
    hints::wording,
    interrupt,
    language::{number, tr},
    paths::Paths,
};

pub(crate) use memory::leave;

/// How long a device may take for its check: slow ones compile for minutes, and drivers that hang do so for ever.
const TIME_LIMIT: Duration = Duration::from_secs(600);

/// Whether devices are used unseen.
static BLIND: AtomicBool = AtomicBool::new(false);

/// What GPUs are to run pictures in; not said, what a check allows.
static PRECISION: Mutex<Option<Precision>> = Mutex::new(None);

/// Has GPUs run pictures in a precision from now on, or in the lowest that a check allows.
pub(crate) fn use_precision(wanted: Option<Precision>) {
    *PRECISION.lock().unwrap_or_else(PoisonError::into_inner) = wanted;
}

fn precision() -> Option<Precision> {
    *PRECISION.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a device is to be tried in 16 bits: software drivers gain nothing by it.
fn wants_half(device: &ComputeDevice) -> bool {
    device.has_half
        && match precision() {
            Some(wanted) => wanted == Precision::Half,
            None => device.is_real_gpu(),
        }
}

fn in_half(device: &ComputeDevice) -> ComputeDevice {
    let mut half = device.clone();
    half.precision = Precision::Half;
    half
}

/// One process finds one thing out at a time.
static CHECKING: Mutex<()> = Mutex::new(());

/// Uses devices without checking them, for as long as the program runs.
pub(crate) fn trust_all(blindly: bool) {
    BLIND.store(blindly, Ordering::Relaxed);
}

/// Whether devices are used unseen.
pub(crate) fn trusts_all() -> bool {
    BLIND.load(Ordering::Relaxed)
}

/// What was found out about devices.
#[derive(Clone, Debug)]
pub(crate) struct Trust {
    memory: Memory,
    time_limit: Duration,
}

/// What a device is told about, while it is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notice {
    /// The device of this name is checked, which takes a while.
    Checking(String),
    /// So much of that is done, from 0 to 1.
    Prepared(f32),
    /// A device is not used, and why.
    Refused(String),
    /// What is found out about devices cannot be kept, and why.
    NotKept(String),
}

/// What the window has not been told yet, by whichever of its threads it was found out.
static NEWS: Mutex<Vec<Notice>> = Mutex::new(Vec::new());

/// [`Trust::vet`] for a thread of the window, which hears of it by [`take_news`].
///
/// # Errors
/// As there.
pub(crate) fn vetted(paths: &Paths, model: &Model, device: &ComputeDevice) -> anyhow::Result<ComputeDevice> {
    let mut tell = |notice| match notice {
        Notice::Prepared(part) => *under_way() = Some(part),
        other => news().push(other),
    };
    let used = Trust::of(paths).vet(model, device, &mut tell);
    *under_way() = None;
    used
}

/// How far a check for the window is, if there is one.
static UNDER_WAY: Mutex<Option<f32>> = Mutex::new(None);

fn under_way() -> MutexGuard<'static, Option<f32>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The part of a device's preparation for the window that is done, from 0 to 1; none if no device is prepared.
pub(crate) fn prepared() -> Option<f32> {
    *under_way()
}

/// What was found out since it was asked for last.
pub(crate) fn take_news() -> Vec<Notice> {
    std::mem::take(&mut *news())
}

fn news() -> MutexGuard<'static, Vec<Notice>> {
    NEWS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Trust {
    /// That of the user.
    pub(crate) fn of(paths: &Paths) -> Self {
        Self { memory: Memory::of(paths), time_limit: TIME_LIMIT }
    }

    /// The device if it may be used for a model, else the CPU. `tell` hears what is done that takes time, and what is wrong.
    ///
    /// # Errors
    /// If the CPU fails, or another machine.
    pub(crate) fn vet(
        &self,
        model: &Model,
        device: &ComputeDevice,
        tell: &mut dyn FnMut(Notice),
    ) -> anyhow::Result<ComputeDevice> {
        if device.class == DeviceClass::Cpu {
            return Ok(device.clone());
        }
        if trusts_all() {
            let is_half = precision() == Some(Precision::Half) && device.has_half;
            return Ok(if is_half { in_half(device) } else { device.clone() });
        }
        let _turn = CHECKING.lock().unwrap_or_else(PoisonError::into_inner);
        if wants_half(device) {
            let half = in_half(device);
            // Where that is too far off, nobody has to be told: 32 bits are what the device is asked for next.
            if self.found(model, &half, tell)?.is_sound() {
                return Ok(half);
            }
        }
        let finding = self.found(model, device, tell)?;
        if finding.is_sound() {
            return Ok(device.clone());
        }
        tell(Notice::Refused(format!(
            "{} {}",
            refusal(model, device, &finding),
            advice(&model.description.name, device)
        )));
        Ok(ComputeDevice::cpu())
    }

    /// What is remembered of a device, or found out now.
    fn found(&self, model: &Model, device: &ComputeDevice, tell: &mut dyn FnMut(Notice)) -> anyhow::Result<Finding> {
        match self.memory.recall(&key(model, device)) {
            Some(Outcome::Difference(levels)) => return Ok(Finding::Difference(levels)),
            Some(Outcome::Impossible) => return Ok(Finding::Impossible),
            Some(Outcome::Unfinished) => return Ok(Finding::Failed(tr!("its check came to no end"))),
            None => {}
        }
        tell(Notice::Checking(device.name.clone()));
        match self.checked(model, device, tell) {
            Err(EngineError::Network(NetworkError::DeviceStart { reason, .. })) => {
                Ok(Finding::Failed(tr!("it does not start: %{reason}", reason = reason)))
            }
            found => Ok(found?),
        }
    }

    /// Checks a device in the precisions that it would be used in, whatever is known of it, and remembers what is found, with the
    /// bits of each.
    ///
    /// # Errors
    /// If it does not start, or the CPU fails.
    pub(crate) fn check(
        &self,
        model: &Model,
        device: &ComputeDevice,
        tell: &mut dyn FnMut(Notice),
    ) -> anyhow::Result<Vec<(usize, Finding)>> {
        let _turn = CHECKING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut findings = Vec::new();
        if wants_half(device) {
            findings.push((16, self.checked(model, &in_half(device), tell)?));
        }
        findings.push((32, self.checked(model, device, tell)?));
        Ok(findings)
    }

    /// With how many models a device was found to compute what the CPU computes, and with how many not; in any precision.
    pub(crate) fn known_of(&self, device: &ComputeDevice) -> [usize; 2] {
        let outcomes = self.memory.of_device(&device.identity(), env!("CARGO_PKG_VERSION"));
        let is_sound = |outcome: &Outcome| match outcome {
            Outcome::Difference(levels) => Finding::Difference(*levels).is_sound(),
            Outcome::Impossible | Outcome::Unfinished => false,
        };
        let sound = outcomes.iter().filter(|outcome| is_sound(outcome)).count();
        [sound, outcomes.len() - sound]
    }

    /// Forgets what is known of a device, so that it is checked again when it is wanted.
    ///
    /// # Errors
    /// If that cannot be written down.
    pub(crate) fn forget(&self, device: &ComputeDevice) -> anyhow::Result<()> {
        self.memory.forget(&device.identity())
    }

    fn checked(
        &self,
        model: &Model,
        device: &ComputeDevice,
        tell: &mut dyn FnMut(Notice),
    ) -> dualres_engine::Result<Finding> {
        if device.is_remote() {
            // It may be another one the next time.
            return self_check(model, device, &Arc::default(), &mut interrupt::flow);
        }
        let key = key(model, device);
        let mut kept = self.memory.begin(&key);
        let found = self.within_time(model, device, tell);
        let outcome = match &found {
            Ok(Some(Finding::Difference(levels))) => Some(Outcome::Difference(*levels)),
            Ok(Some(Finding::Impossible)) => Some(Outcome::Impossible),
            Ok(None) => Some(Outcome::Unfinished),
            // It may have been busy, or short of memory: it is given another chance.
            Ok(Some(Finding::Failed(_))) | Err(_) => None,
        };
        kept = kept.and(self.memory.end(&key, outcome)).and(tuning_is_kept());
        if let Err(error) = kept {
            tell(Notice::NotKept(tr!(
                "what is found out about %{device} cannot be kept for the next start: %{error}",
                device = device.name,
                error = format!("{error:#}")
            )));
        }
        Ok(found?.unwrap_or_else(|| {
            let seconds = self.time_limit.as_secs();
            Finding::Failed(tr!("it gives no result within %{seconds} seconds", seconds = seconds))
        }))
    }

    /// What a check finds, if it comes to an end. A driver that hangs cannot be stopped: its thread is left behind.
    fn within_time(
        &self,
        model: &Model,
        device: &ComputeDevice,
        tell: &mut dyn FnMut(Notice),
    ) -> dualres_engine::Result<Option<Finding>> {
        /// What is under way takes so long to stop.
        const GRACE: Duration = Duration::from_secs(2);
        let (send, receive) = sync_channel(1);
        let (checked_model, checked_device) = (model.clone(), device.clone());
        let steps = Arc::<Steps>::default();
        let counted = Arc::clone(&steps);
        let work = move || {
            let found = self_check(&checked_model, &checked_device, &counted, &mut interrupt::flow);
            // Nobody may be waiting any more.
            let _ = send.send(found);
        };
        let started = std::thread::Builder::new().name("device check".into()).spawn(work);
        if let Err(error) = started {
            return Err(EngineError::Device(format!("no thread could be started ({error})")));
        }
        let begun = Instant::now();
        let mut asked_to_stop = None;
        loop {
            match receive.recv_timeout(Duration::from_millis(100)) {
                Ok(found) => return found.map(Some),
                Err(RecvTimeoutError::Disconnected) => return Ok(Some(Finding::Failed(tr!("its check panicked")))),
                Err(RecvTimeoutError::Timeout) if begun.elapsed() > self.time_limit => return Ok(None),
                Err(RecvTimeoutError::Timeout) => {
                    tell(Notice::Prepared(steps.fraction()));
                    if interrupt::flow() == ControlFlow::Break(()) {
                        let since = *asked_to_stop.get_or_insert_with(Instant::now);
                        if since.elapsed() > GRACE {
                            return Err(EngineError::Cancelled);
                        }
                    }
                }
            }
        }
    }
}

/// Whether what GPUs run fastest can be kept, beside a word on what it is.
fn tuning_is_kept() -> anyhow::Result<()> {
    let Some(folder) = device::tuning_file().and_then(|file| file.parent().map(Path::to_owned)) else { return Ok(()) };
    const ABOUT: &str =
        "What the GPUs of this machine were found to run fastest. It can be deleted, and is found out again.\n";
    let about = folder.join("about.txt");
    if fs::read(&about).is_ok_and(|there| there == ABOUT.as_bytes()) {
        return Ok(());
    }
    Ok(write_atomically(&about, ABOUT.as_bytes())?)
}

/// The model that a run of a compression in `folder` began with; none if there is no run, which whoever resumes it tells.
pub(crate) fn model_of_run(folder: &Path) -> Option<Model> {
    Model::read(&folder.join(ORIGINAL_FILE), &Device::flex()).ok()
}

/// Device and driver, program, and model.
fn key(model: &Model, device: &ComputeDevice) -> Key {
    // A device that is made to fail is not the one that does not.
    let fault = device.fault.map(|fault| format!(" with {fault:?}")).unwrap_or_default();
    let program = env!("CARGO_PKG_VERSION").to_owned();
    let half = if device.precision == Precision::Half { " in 16 bits" } else { "" };
    [device.identity() + half + &fault, program, sums::fingerprint(&model.to_bytes())]
}

/// That a device is not used with a model, because of what was found.
fn refusal(model: &Model, device: &ComputeDevice, finding: &Finding) -> String {
    let (device, model) = (&device.name, &model.description.name);
    match finding {
        Finding::Difference(levels) => tr!(
            "%{device} is not used: with the model %{model} it differs from the CPU by %{levels} of 255 levels. The \
             CPU takes over.",
            device = device,
            model = model,
            levels = number(*levels, 1)
        ),
        Finding::Impossible => tr!(
            "%{device} is not used: with the model %{model} it gives results that cannot be right. The CPU takes over.",
            device = device,
            model = model
        ),
        Finding::Failed(reason) => tr!(
            "%{device} is not used: with the model %{model} it fails (%{reason}). The CPU takes over.",
            device = device,
            model = model,
            reason = reason
        ),
    }
}

/// What to do about a device that computes nonsense.
/// `model` is the name of the one that it computes nonsense with.
pub(crate) fn advice(model: &str, device: &ComputeDevice) -> String {
    let name = match device.class {
        DeviceClass::SoftwareGpu => "software".to_owned(),
        _ if device.name.contains(' ') => format!("\"{}\"", device.name),
        _ => device.name.clone(),
    };
    let command = format!("dualres devices --check={name} --model {model}");
    let is_other = |name: &&str| !device.detail.to_lowercase().starts_with(name);
    let others = graphics_interfaces().into_iter().filter(is_other).map(str::to_owned);
    let again =
        wording(|| format!("`{command}` looks again."), || tr!("\"Check again\" below the device looks again."));
    match others.reduce(|first, next| tr!("%{first} or %{next}", first = first, next = next)) {
        None => tr!("Try a newer graphics driver. %{again}", again = again),
        Some(names) => tr!(
            "Try a newer graphics driver, or another graphics interface: set DUALRES_GRAPHICS to %{names}. %{again}",
            names = names,
            again = again
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_network::{
        Architecture, Description,
        device::{Fault, FaultKind},
    };

    use super::*;

    fn model(seed: u64) -> Model {
        let description = Description::drn("tiny", &Architecture::new(2, 8, 1).unwrap()).unwrap();
        Model::init(description, seed, &Device::flex()).unwrap()
    }

    fn trust(folder: &tempfile::TempDir) -> Trust {
        let memory = Memory::at(folder.path().join("cache").join("devices.json"));
        Trust { memory, time_limit: TIME_LIMIT }
    }

    /// A device that is not the CPU by its class, and is by what it computes.
    fn device(detail: &str) -> ComputeDevice {
        let mut device = ComputeDevice::cpu();
        (device.class, device.detail, device.name) = (DeviceClass::DiscreteGpu, detail.into(), "card".into());
        device
    }

    #[test]
    fn a_device_is_checked_once_for_each_driver_and_model() {
        let folder = tempfile::tempdir().unwrap();
        let trust = trust(&folder);
        let checks = |model: &Model, device: &ComputeDevice| {
            let mut notices = Vec::new();
            let used = trust.vet(model, device, &mut |notice| notices.push(notice)).unwrap();
            assert_eq!(used.class, DeviceClass::DiscreteGpu, "{notices:?}");
            notices.len()
        };
        assert_eq!(checks(&model(1), &device("driver 1")), 1);
        assert_eq!(checks(&model(1), &device("driver 1")), 0, "remembered");
        assert_eq!(checks(&model(2), &device("driver 1")), 1, "another model");
        assert_eq!(checks(&model(1), &device("driver 2")), 1, "another driver");
        fs::write(trust.memory.file(), "rubbish").unwrap();
        assert_eq!(checks(&model(1), &device("driver 1")), 1, "a broken memory is none");
    }

    #[test]
    fn a_device_that_differs_is_refused_by_name_and_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let trust = trust(&folder);
        let model = model(1);
        let card = device("driver 1");
        let key = key(&model, &card);
        let refusals = [
            (Outcome::Difference(1.1), "by 1.1"),
            (Outcome::Impossible, "cannot be right"),
            (Outcome::Unfinished, "no end"),
        ];
        for (outcome, words) in [(Outcome::Difference(0.9), "")].into_iter().chain(refusals) {
            trust.memory.keep(&key, Some(outcome)).unwrap();
            let mut notices = Vec::new();
            let used = trust.vet(&model, &card, &mut |notice| notices.push(notice)).unwrap();
            assert_eq!(used.class == DeviceClass::DiscreteGpu, words.is_empty(), "{outcome:?}");
            let [Notice::Refused(said)] = &notices[..] else {
                assert!(words.is_empty() && notices.is_empty(), "{notices:?}");
                continue;
            };
            for word in ["card", "tiny", "driver", words] {
                assert!(said.contains(word), "{word}: {said}");
            }
        }
        trust.forget(&card).unwrap();
        assert_eq!(trust.memory.recall(&key), None);
    }

    #[test]
    fn a_device_that_hangs_is_waited_for_no_longer_than_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let trust = Trust { time_limit: Duration::from_millis(300), ..trust(&folder) };
        let mut hung = device("driver 1");
        hung.fault = Some(Fault { kind: FaultKind::Hung, after: 0 });
        for said in ["no result within", "no end"] {
            let mut notices = Vec::new();
            let used = trust.vet(&model(1), &hung, &mut |notice| notices.push(notice)).unwrap();
            assert_eq!(used.class, DeviceClass::Cpu);
            assert!(matches!(notices.last(), Some(Notice::Refused(text)) if text.contains(said)), "{notices:?}");
        }
    }
}
