//! The files of a run folder, each written whole or not at all.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

use dualres_imaging::{
    file::{remove_leftovers, write_atomically},
    lock::{Lock, LockError},
};
use dualres_network::{Weights, tensors_from_bytes, tensors_to_bytes};
use dualres_training::tensorboard::TENSORBOARD_FILE;
use serde::{Serialize, de::DeserializeOwned};

use crate::{CompressionError, Result};

/// Settings and the hash of the pictures.
pub const CONFIG_FILE: &str = "config.json";
/// The network that is compressed.
pub const ORIGINAL_FILE: &str = "original.safetensors";
/// The curves of all stages.
pub const EVENTS_FILE: &str = "events.csv";
/// The sensitivity profile.
pub const PROFILE_FILE: &str = "profile.safetensors";
/// The same as a table.
const PROFILE_TABLE_FILE: &str = "profile.csv";
/// State of the channel-number search.
pub const SEARCH_FILE: &str = "search.safetensors";
/// The widths that were decided.
pub const WIDTHS_FILE: &str = "widths.txt";
/// The decision with what the search knew of it.
pub(crate) const DECISION_FILE: &str = "decision.json";
/// State of the channel selection: the masked network.
pub const SELECTION_FILE: &str = "selection.safetensors";
/// The network as it was cut, before fine-tuning.
pub const CUT_FILE: &str = "cut.safetensors";
/// What the cut did.
pub(crate) const CUT_REPORT_FILE: &str = "cut.json";
/// The training run of fine-tuning.
pub const FINETUNE_FOLDER: &str = "finetune";
/// The compressed network.
pub const RESULT_FILE: &str = "result.safetensors";
/// What came of it.
pub const REPORT_FILE: &str = "report.json";
/// Settings and report as a table of one row.
pub const SUMMARY_FILE: &str = "summary.csv";

/// Files of a run but for its settings.
pub(crate) const RUN_FILES: [&str; 14] = [
    REPORT_FILE,
    SUMMARY_FILE,
    RESULT_FILE,
    EVENTS_FILE,
    TENSORBOARD_FILE,
    PROFILE_FILE,
    PROFILE_TABLE_FILE,
    SEARCH_FILE,
    WIDTHS_FILE,
    DECISION_FILE,
    SELECTION_FILE,
    CUT_FILE,
    CUT_REPORT_FILE,
    ORIGINAL_FILE,
];

/// Held by the process that is at work.
const LOCK_FILE: &str = "dualres.lock";
/// What it was called before; empty.
const OLD_LOCK_FILE: &str = "lock";
/// Metadata entry of a state.
const ENTRY: &str = "dualres-compression";

/// A run folder that this process works in: nobody else writes to it for as long as this lives.
pub(crate) struct Held {
    lock: Lock,
    folder: PathBuf,
    /// Whether the folder was made for this.
    is_new: bool,
}

impl Held {
    /// Takes a folder, which is made if it is not there. What a killed process left half written is removed.
    pub(crate) fn take(folder: &Path) -> Result<Self> {
        let is_new = !folder.exists();
        fs::create_dir_all(folder).map_err(|error| unusable(folder, error))?;
        let path = folder.join(LOCK_FILE);
        let lock = Lock::take(&path).map_err(|error| match error {
            LockError::Held => CompressionError::Busy { path: folder.to_owned() },
            LockError::File(error) => unusable(&path, error),
        })?;
        remove_leftovers(folder);
        remove_leftovers(&folder.join(FINETUNE_FOLDER));
        Ok(Self { lock, folder: folder.to_owned(), is_new })
    }

    /// Why it is not certain that nobody else works in it.
    pub(crate) fn doubt(&self) -> Option<String> {
        self.lock.doubt()
    }

    /// Gives the folder back as it was before anything began.
    pub(crate) fn forget(self) {
        let Self { lock, folder, is_new } = self;
        // While it is held: another process would lock a file that is gone. What cannot be removed does no harm.
        let _ = fs::remove_file(folder.join(LOCK_FILE));
        drop(lock);
        if is_new {
            let _ = fs::remove_file(folder.join(ORIGINAL_FILE));
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Deletes the run in `folder`: its files, and the folder if nothing else lies in it.
///
/// # Errors
/// If a process is at work on the run, or a file cannot be deleted.
pub fn remove_run(folder: &Path) -> Result<()> {
    if !folder.is_dir() {
        return Err(CompressionError::NoRun { path: folder.to_owned() });
    }
    let held = Held::take(folder)?;
    // The settings first: a folder without them is no run any more, whatever is left of it.
    let files = std::iter::once(CONFIG_FILE).chain(RUN_FILES);
    let paths = files.map(|name| folder.join(name));
    for path in paths.filter(|path| path.exists()) {
        fs::remove_file(&path).map_err(|error| unusable(&path, error))?;
    }
    let finetune = folder.join(FINETUNE_FOLDER);
    if finetune.exists() {
        fs::remove_dir_all(&finetune).map_err(|error| unusable(&finetune, error))?;
    }
    drop(held);
    // What others have put there stays, and the folder with it.
    let _ = fs::remove_file(folder.join(LOCK_FILE));
    let old = folder.join(OLD_LOCK_FILE);
    if fs::metadata(&old).is_ok_and(|there| there.is_file() && there.len() == 0) {
        let _ = fs::remove_file(old);
    }
    let _ = fs::remove_dir(folder);
    Ok(())
}

/// Writes weights with what is to be known about them.
pub(crate) fn save_state(path: &Path, weights: &Weights, state: &impl Serialize) -> Result<()> {
    Ok(write_atomically(path, &state_bytes(weights, state))?)
}

/// The file of weights with what is to be known about them.
pub(crate) fn state_bytes(weights: &Weights, state: &impl Serialize) -> Vec<u8> {
    let json = serde_json::to_string(state).expect("a state is plain data");
    tensors_to_bytes(weights, HashMap::from([(ENTRY.to_owned(), json)]))
}

/// Reads what [`save_state`] wrote, if it is there.
pub(crate) fn load_state<T: DeserializeOwned>(path: &Path) -> Result<Option<(Weights, T)>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = dualres_network::read_file(path)?;
    state_from_bytes(&bytes, path).map(Some)
}

/// Reads what [`state_bytes`] made.
pub(crate) fn state_from_bytes<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<(Weights, T)> {
    let (weights, metadata) = tensors_from_bytes(bytes, &path.display().to_string())?;
    let json = metadata.get(ENTRY).ok_or_else(|| damaged(path, "it is not the state of a compression"))?;
    let state = serde_json::from_str(json).map_err(|error| damaged(path, error))?;
    Ok((weights, state))
}

/// Writes a value as JSON.
pub(crate) fn save_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(value).expect("reports are plain data");
    json.push(b'\n');
    Ok(write_atomically(path, &json)?)
}

/// Reads a JSON file, if it is there.
pub(crate) fn load_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = dualres_network::read_file(path)?;
    serde_json::from_slice(&bytes).map(Some).map_err(|error| damaged(path, error))
}

pub(crate) fn unusable(path: &Path, reason: impl ToString) -> CompressionError {
    CompressionError::RunFile { path: path.to_owned(), reason: reason.to_string() }
}

/// A file of a stage can be made anew; others are the user's, or what the run begins with.
fn damaged(path: &Path, reason: impl ToString) -> CompressionError {
    let stages = [PROFILE_FILE, SEARCH_FILE, DECISION_FILE, SELECTION_FILE, CUT_REPORT_FILE, REPORT_FILE];
    let is_of_stage = stages.iter().any(|name| path.file_name().is_some_and(|there| there == *name));
    match is_of_stage && path.with_file_name(CONFIG_FILE).exists() {
        true => CompressionError::Damaged { path: path.to_owned(), reason: reason.to_string() },
        false => unusable(path, reason),
    }
}
