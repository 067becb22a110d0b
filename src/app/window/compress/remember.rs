//! What the Compress tab remembers from one start to the next: runs that were under way or waited, and run folders that were
//! opened from elsewhere. Runs themselves lie in their folders.

use std::path::{Path, PathBuf};

use dualres_compression::CompressConfig;
use serde::{Deserialize, Serialize};

use super::runs::{RunState, Runs};
use crate::paths::Paths;

/// A run that is to go on when the program starts again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Queued {
    pub(crate) folder: PathBuf,
    /// Name of the model in the library.
    pub(crate) model: String,
    pub(crate) config: CompressConfig,
}

/// What is remembered.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Remembered {
    pub(crate) queue: Vec<Queued>,
    /// Run folders outside the program's own.
    pub(crate) folders: Vec<PathBuf>,
    /// Folders of run folders that somebody else may be filling.
    pub(crate) watched: Vec<PathBuf>,
}

/// The file.
pub(crate) fn file(paths: &Paths) -> PathBuf {
    paths.config.join("compress.json")
}

/// The folder that runs of the window lie in.
pub(crate) fn runs_folder(paths: &Paths) -> PathBuf {
    paths.data.join("compress").join("runs")
}

/// Whether a run lies where the window keeps its own.
pub(crate) fn is_own(folder: &Path, paths: &Paths) -> bool {
    folder.starts_with(runs_folder(paths))
}

/// What to remember of the runs.
pub(crate) fn of(runs: &Runs, watched: &[PathBuf], paths: &Paths) -> Remembered {
    let going_on = runs.iter().filter(|run| matches!(run.state, RunState::Running | RunState::Waiting));
    let queued = |run: &super::runs::Run| Queued {
        folder: run.folder.clone(),
        model: run.model.clone(),
        config: run.config.clone(),
    };
    let elsewhere = runs.iter().map(|run| run.folder.clone()).filter(|folder| !is_own(folder, paths));
    // What is under way goes on first.
    let mut queue: Vec<_> = going_on.collect();
    queue.sort_by_key(|run| run.state != RunState::Running);
    Remembered {
        queue: queue.into_iter().map(queued).collect(),
        folders: elsewhere.collect(),
        watched: watched.to_vec(),
    }
}
