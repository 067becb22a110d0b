//! What can go wrong in training and evaluation.

use std::path::PathBuf;

/// Result of the training room.
pub type Result<T> = std::result::Result<T, TrainingError>;

/// A run that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// No usable picture in the folders.
    #[error("no usable image (at least {side}x{side} pixels) in {folders}")]
    NoPictures {
        /// Smallest usable side.
        side: usize,
        /// The folders that were searched.
        folders: String,
    },
    /// A setting that makes no sense.
    #[error("{0}")]
    Setting(String),
    /// The run folder holds a run with other settings.
    #[error("the run in {} has different settings ({difference}); choose another folder or the same settings", path.display())]
    OtherRun {
        /// The run folder.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// A file of the run could not be read or written.
    #[error("cannot use the run file ({reason}): {}", path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// The loss is not a number again and again.
    #[error("training diverged at step {step} ({skipped} steps in a row skipped); try a lower learning rate")]
    BlewUp {
        /// Where.
        step: usize,
        /// Steps skipped.
        skipped: usize,
    },
    /// Another process is at work on the run.
    #[error("another process is using the run in {}; wait, or choose another folder", path.display())]
    Busy {
        /// The run folder.
        path: PathBuf,
    },
    /// A folder holds what a run came to, and not the run itself.
    #[error("{} exists without the state of its run, and a new run would overwrite it; choose another folder, or move it", path.display())]
    NoState {
        /// What would be lost.
        path: PathBuf,
    },
    /// A picture that cannot be measured.
    #[error("cannot use the image: {}", crate::about(path, reason))]
    Picture {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A high-resolution image with samples that are no colours.
    #[error("NaN or infinite samples ({count}): {}", path.display())]
    OddSamples {
        /// The file.
        path: PathBuf,
        /// Number of such samples.
        count: usize,
    },
    /// The network gives numbers for none of the images.
    #[error(
        "the network gives NaN or infinite values for every image; its weights are damaged, or its training diverged"
    )]
    NotFinite,
    /// The observer said stop.
    #[error("cancelled")]
    Cancelled,
    /// A picture.
    #[error(transparent)]
    Imaging(#[from] dualres_imaging::ImagingError),
    /// A network.
    #[error(transparent)]
    Network(#[from] dualres_network::NetworkError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] dualres_engine::EngineError),
}
