//! What was found out about devices, kept for the next start; also that something was being found out when the program ended.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use anyhow::Context;
use dualres_imaging::file::write_atomically;
use serde::{Deserialize, Serialize};

use crate::paths::Paths;

/// Findings that are remembered; the oldest go first.
const MAX_REMEMBERED: usize = 500;

/// Device and driver, program, and model.
pub(super) type Key = [String; 3];

/// What came of a check.
#[derive(Clone, Copy, Debug, Deserialize, Serialize, PartialEq)]
pub(super) enum Outcome {
    /// Results differ from the CPU's by so many gray levels at most.
    Difference(f32),
    /// Results cannot be right.
    Impossible,
    /// None: the program ended in the middle, or waited too long.
    Unfinished,
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
    outcome: Outcome,
}

impl Check {
    fn is_of(&self, [device, program, model]: &Key) -> bool {
        self.device == *device && self.program == *program && self.model == *model
    }
}

/// A file of findings.
#[derive(Clone, Debug)]
pub(super) struct Memory {
    file: PathBuf,
}

/// A check that this process has begun.
struct UnderWay {
    memory: Memory,
    key: Key,
    /// Locked for as long as the check goes on, so that other processes know that it does.
    _lock: File,
}

static UNDER_WAY: Mutex<Vec<UnderWay>> = Mutex::new(Vec::new());

fn under_way() -> MutexGuard<'static, Vec<UnderWay>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Forgets that a check was under way: the program ends because it is told to, not because a driver has ended it.
pub(crate) fn leave() {
    for UnderWay { memory, key, .. } in under_way().drain(..) {
        // What is left marks a device that nobody has found wrong; a check at will removes it.
        let _ = memory.keep(&key, None);
    }
}

impl Memory {
    /// That of the user.
    pub(super) fn of(paths: &Paths) -> Self {
        Self { file: paths.cache.join("devices.json") }
    }

    #[cfg(test)]
    pub(super) fn at(file: PathBuf) -> Self {
        Self { file }
    }

    #[cfg(test)]
    pub(super) fn file(&self) -> &Path {
        &self.file
    }

    /// What came of a check. One that another process is at has not come to anything yet.
    pub(super) fn recall(&self, key: &Key) -> Option<Outcome> {
        let known = self.read().checks.into_iter().find(|check| check.is_of(key))?.outcome;
        let goes_on = known == Outcome::Unfinished && self.claimed().is_none();
        (!goes_on).then_some(known)
    }

    /// Marks a check as begun.
    pub(super) fn begin(&self, key: &Key) -> anyhow::Result<()> {
        let Some(lock) = self.claimed() else { return Ok(()) };
        self.keep(key, Some(Outcome::Unfinished))?;
        under_way().push(UnderWay { memory: self.clone(), key: key.clone(), _lock: lock });
        Ok(())
    }

    /// Keeps what came of a check; nothing, if it is to be made again.
    pub(super) fn end(&self, key: &Key, outcome: Option<Outcome>) -> anyhow::Result<()> {
        let kept = self.keep(key, outcome);
        // Other processes hear that it is over after what came of it is written.
        under_way().retain(|begun| begun.key != *key || begun.memory.file != self.file);
        kept
    }

    /// What came of all checks of a device with this version of the program.
    pub(super) fn of_device(&self, identity: &str, program: &str) -> Vec<Outcome> {
        let checks = self.read().checks.into_iter();
        let of_it = checks.filter(|check| check.device.starts_with(identity) && check.program == program);
        of_it.map(|check| check.outcome).collect()
    }

    /// Forgets all that is known of a device.
    pub(super) fn forget(&self, identity: &str) -> anyhow::Result<()> {
        let mut remembered = self.read();
        remembered.checks.retain(|check| !check.device.starts_with(identity));
        self.write(&remembered)
    }

    pub(super) fn keep(&self, key: &Key, outcome: Option<Outcome>) -> anyhow::Result<()> {
        let mut remembered = self.read();
        remembered.checks.retain(|known| !known.is_of(key));
        let [device, program, model] = key.clone();
        remembered.checks.extend(outcome.map(|outcome| Check { device, program, model, outcome }));
        let surplus = remembered.checks.len().saturating_sub(MAX_REMEMBERED);
        remembered.checks.drain(..surplus);
        self.write(&remembered)
    }

    fn read(&self) -> Remembered {
        let text = fs::read(&self.file).unwrap_or_default();
        // What cannot be read is found out again.
        serde_json::from_slice(&text).unwrap_or_default()
    }

    fn write(&self, remembered: &Remembered) -> anyhow::Result<()> {
        create_folder_of(&self.file)?;
        Ok(write_atomically(&self.file, &serde_json::to_vec_pretty(remembered)?)?)
    }

    /// The right to check, unless another process has it. Where files cannot be locked, everybody has it.
    fn claimed(&self) -> Option<File> {
        let path = self.file.with_extension("lock");
        create_folder_of(&path).ok()?;
        let file = File::options().create(true).truncate(false).write(true).open(&path).ok()?;
        match file.try_lock() {
            Err(fs::TryLockError::WouldBlock) => None,
            Ok(()) | Err(fs::TryLockError::Error(_)) => Some(file),
        }
    }
}

fn create_folder_of(file: &Path) -> anyhow::Result<()> {
    file.parent().map_or(Ok(()), |folder| fs::create_dir_all(folder).with_context(|| folder.display().to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn key(device: &str) -> Key {
        [device, "1.0", "model"].map(str::to_owned)
    }

    #[test]
    fn a_check_that_the_program_did_not_survive_is_known_as_such() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::at(folder.path().join("cache").join("devices.json"));
        // What is under way belongs to the whole process, and so does this test.
        memory.begin(&key("a")).unwrap();
        assert_eq!(memory.recall(&key("a")), None, "it goes on");
        // As when the process ends: the mark stays, the lock does not.
        under_way().retain(|begun| begun.memory.file != memory.file);
        assert_eq!(memory.recall(&key("a")), Some(Outcome::Unfinished));

        memory.begin(&key("a")).unwrap();
        memory.end(&key("a"), Some(Outcome::Difference(0.5))).unwrap();
        assert_eq!(memory.recall(&key("a")), Some(Outcome::Difference(0.5)));

        memory.begin(&key("b")).unwrap();
        leave();
        assert_eq!(memory.recall(&key("b")), None, "who leaves in order leaves no mark");
        assert_eq!(memory.recall(&key("a")), Some(Outcome::Difference(0.5)));

        memory.keep(&key("a in 16 bits"), Some(Outcome::Impossible)).unwrap();
        memory.keep(&key("c"), Some(Outcome::Impossible)).unwrap();
        memory.forget("a").unwrap();
        assert_eq!([memory.recall(&key("a")), memory.recall(&key("a in 16 bits"))], [None, None]);
        assert_eq!(memory.recall(&key("c")), Some(Outcome::Impossible));
        assert_eq!(memory.of_device("c", "1.0"), [Outcome::Impossible]);
        assert_eq!(memory.of_device("c", "2.0"), []);
    }
}
