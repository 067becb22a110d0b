//! Pictures to train and measure with, and those that cannot be used.

use std::path::{Path, PathBuf};

use dualres_engine::EngineError;
use dualres_imaging::{Picture, caught};
use serde::{Deserialize, Serialize};

use crate::{Result, TrainingError};

/// A picture that could not be measured or trained on, and is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unusable {
    /// The file.
    #[serde(serialize_with = "as_text")]
    pub path: PathBuf,
    /// Why not, in one sentence.
    pub reason: String,
    /// Whether it is not the picture's fault: the network gives no numbers for it.
    #[serde(skip)]
    pub by_network: bool,
}

impl Unusable {
    /// A picture that has something wrong with it.
    pub fn new(path: PathBuf, reason: String) -> Self {
        Self { path, reason, by_network: false }
    }

    /// What of work on one picture went wrong; also what a decoder's panic over a hostile file said.
    ///
    /// # Errors
    /// The picture with the reason, if the work fails.
    pub fn of<T>(path: &Path, work: impl FnOnce() -> Result<T>) -> std::result::Result<T, Self> {
        let failed = |reason, by_network| Self { path: path.to_owned(), reason, by_network };
        match caught(work) {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(error)) => {
                let by_network = matches!(error, TrainingError::Engine(EngineError::NotFinite));
                Err(failed(error.to_string(), by_network))
            }
            Err(said) => Err(failed(format!("internal error: {said}"), false)),
        }
    }
}

/// Names that are no text must not cost a report.
fn as_text<S: serde::Serializer>(path: &Path, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.serialize_str(&path.to_string_lossy())
}

/// Reads a high-resolution image to train or measure with.
///
/// # Errors
/// If it cannot be read, or has samples that are not numbers: what stands in their place is no truth.
pub fn ground_truth(path: &Path) -> Result<Picture> {
    let picture = dualres_imaging::read(path)?;
    match picture.metadata.odd_samples {
        0 => Ok(picture),
        count => Err(TrainingError::OddSamples { path: path.to_owned(), count }),
    }
}

/// A file and what is wrong with it; reasons mostly name it already.
pub fn about(path: &Path, reason: &str) -> String {
    let shown = path.display().to_string();
    if reason.contains(&shown) { reason.to_owned() } else { format!("{reason}: {shown}") }
}
