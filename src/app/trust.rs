//! Which devices are used: those that were seen to compute what the CPU computes.
//!
//! Graphics drivers give wrong pictures without a word. So where a device, its driver, this program and a model meet for the
//! first time, a picture made for it is run on both. What was found is remembered; a device that fails is told by name, and the
//! CPU takes over.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context;
use dualres_engine::{EngineError, Finding, self_check};
use dualres_imaging::file::write_atomically;
use dualres_network::{
    Model, NetworkError,
    device::{ComputeDevice, DeviceClass, Precision, graphics_interfaces},
};
use serde::{Deserialize, Serialize};

use crate::{batch::sums, interrupt, paths::Paths};

/// Findings that are remembered; the oldest go first.
const MOST_REMEMBERED: usize = 500;

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
    file: PathBuf,
}

/// What a device is told about, while it is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Notice {
    /// The device of this name is checked, which takes a while.
    Checking(String),
    /// A device is not used, and why.
    Refused(String),
}

/// What the window has not been told yet, by whichever of its threads it was found out.
static NEWS: Mutex<Vec<Notice>> = Mutex::new(Vec::new());

/// [`Trust::vet`] for a thread of the window, which hears of it by [`take_news`].
///
/// # Errors
/// As there.
pub(crate) fn vetted(paths: &Paths, model: &Model, device: &ComputeDevice) -> anyhow::Result<ComputeDevice> {
    let mut tell = |notice| news().push(notice);
    Trust::of(paths).vet(model, device, &mut tell)
}

/// What was found out since it was asked for last.
pub(crate) fn take_news() -> Vec<Notice> {
    std::mem::take(&mut *news())
}

fn news() -> MutexGuard<'static, Vec<Notice>> {
    NEWS.lock().unwrap_or_else(PoisonError::into_inner)
}

#[derive(Debug, Default, Deserialize, Serialize)]
struct Remembered {
    checks: Vec<Check>,
}

#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
struct Check {
    /// Device and driver.
    device: String,
    /// Version of the program.
    program: String,
    /// Fingerprint of the model.
    model: String,
    /// Largest difference from the CPU in gray levels; none if the results were impossible.
    difference: Option<f32>,
}

impl Check {
    fn finding(&self) -> Finding {
        self.difference.map_or(Finding::Impossible, Finding::Difference)
    }
}

impl Trust {
    /// That of the user.
    pub(crate) fn of(paths: &Paths) -> Self {
        Self { file: paths.cache.join("devices.json") }
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
            "{} is not used: with the model {} it {finding}. The CPU takes over. {}",
            device.name,
            model.description.name,
            advice(device)
        )));
        Ok(ComputeDevice::cpu())
    }

    /// What is remembered of a device, or found out now.
    fn found(&self, model: &Model, device: &ComputeDevice, tell: &mut dyn FnMut(Notice)) -> anyhow::Result<Finding> {
        let known = self.remembered().checks.into_iter().find(|check| is_of(check, &key(model, device)));
        if let Some(check) = known {
            return Ok(check.finding());
        }
        tell(Notice::Checking(device.name.clone()));
        match self.checked(model, device) {
            Err(EngineError::Network(NetworkError::DeviceStart { reason, .. })) => {
                Ok(Finding::Failed(format!("it does not start: {reason}")))
            }
            found => Ok(found?),
        }
    }

    /// Checks a device in the precisions that it would be used in, whatever is known of it, and remembers what is found, with the
    /// bits of each.
    ///
    /// # Errors
    /// If it does not start, or the CPU fails.
    pub(crate) fn check(&self, model: &Model, device: &ComputeDevice) -> anyhow::Result<Vec<(usize, Finding)>> {
        let _turn = CHECKING.lock().unwrap_or_else(PoisonError::into_inner);
        let mut findings = Vec::new();
        if wants_half(device) {
            findings.push((16, self.checked(model, &in_half(device))?));
        }
        findings.push((32, self.checked(model, device)?));
        Ok(findings)
    }

    fn checked(&self, model: &Model, device: &ComputeDevice) -> dualres_engine::Result<Finding> {
        let finding = self_check(model, device, &mut interrupt::flow)?;
        let difference = match &finding {
            Finding::Difference(levels) => Some(*levels),
            Finding::Impossible => None,
            // It may have been busy, or short of memory: it is given another chance.
            Finding::Failed(_) => return Ok(finding),
        };
        if !device.is_remote() {
            let [device, program, model] = key(model, device);
            // What cannot be remembered is found out again.
            let _ = self.remember(Check { device, program, model, difference });
        }
        Ok(finding)
    }

    fn remembered(&self) -> Remembered {
        let text = fs::read(&self.file).unwrap_or_default();
        // What cannot be read is found out again.
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn remember(&self, check: Check) -> anyhow::Result<()> {
        let mut remembered = self.remembered();
        let key = [check.device.clone(), check.program.clone(), check.model.clone()];
        remembered.checks.retain(|known| !is_of(known, &key));
        remembered.checks.push(check);
        let surplus = remembered.checks.len().saturating_sub(MOST_REMEMBERED);
        remembered.checks.drain(..surplus);
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        Ok(write_atomically(&self.file, &serde_json::to_vec_pretty(&remembered)?)?)
    }
}

/// Device and driver, program, and model.
fn key(model: &Model, device: &ComputeDevice) -> [String; 3] {
    // A device that is made to fail is not the one that does not.
    let fault = device.fault.map(|fault| format!(" with {fault:?}")).unwrap_or_default();
    let program = env!("CARGO_PKG_VERSION").to_owned();
    let half = if device.precision == Precision::Half { " in 16 bits" } else { "" };
    [device.identity() + half + &fault, program, sums::fingerprint(&model.to_bytes())]
}

fn is_of(check: &Check, [device, program, model]: &[String; 3]) -> bool {
    check.device == *device && check.program == *program && check.model == *model
}

/// What to do about a device that computes nonsense.
pub(crate) fn advice(device: &ComputeDevice) -> String {
    let others: Vec<&str> =
        graphics_interfaces().into_iter().filter(|name| !device.detail.to_lowercase().starts_with(name)).collect();
    let other = match others.is_empty() {
        true => String::new(),
        false => format!(", or another graphics interface: set DUALRES_GRAPHICS to {}", others.join(" or ")),
    };
    format!("Try a newer graphics driver{other}. `dualres devices --check` looks again.")
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use burn::tensor::Device;
    use dualres_network::{Architecture, Description};

    use super::*;

    fn model(seed: u64) -> Model {
        let description = Description::drn("tiny", &Architecture::new(2, 8, 1).unwrap()).unwrap();
        Model::init(description, seed, &Device::flex()).unwrap()
    }

    fn trust(folder: &tempfile::TempDir) -> Trust {
        Trust { file: folder.path().join("cache").join("devices.json") }
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
        fs::write(&trust.file, "rubbish").unwrap();
        assert_eq!(checks(&model(1), &device("driver 1")), 1, "a broken memory is none");
    }

    #[test]
    fn a_device_that_differs_is_refused_by_name_and_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let trust = trust(&folder);
        let model = model(1);
        let card = device("driver 1");
        let key = key(&model, &card);
        let [device, program, fingerprint] = key;
        for (difference, is_used) in [(Some(0.9), true), (Some(1.1), false), (None, false)] {
            let check =
                Check { device: device.clone(), program: program.clone(), model: fingerprint.clone(), difference };
            trust.remember(check).unwrap();
            let mut notices = Vec::new();
            let used = trust.vet(&model, &card, &mut |notice| notices.push(notice)).unwrap();
            assert_eq!(used.class == DeviceClass::DiscreteGpu, is_used, "{difference:?}");
            let [Notice::Refused(said)] = &notices[..] else {
                assert!(is_used);
                continue;
            };
            assert!(said.contains("card") && said.contains("tiny") && said.contains("driver"), "{said}");
        }
        assert_eq!(trust.remembered().checks.len(), 1);
    }
}
