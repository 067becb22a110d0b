//! What can go wrong in compression.

use std::path::PathBuf;

/// Result of the compression room.
pub type Result<T> = std::result::Result<T, CompressionError>;

impl CompressionError {
    /// The way out, where it is not plain from the message.
    pub fn hint(&self) -> Option<dualres_network::Hint> {
        use dualres_network::Hint;
        match self {
            Self::NoDuals => Some(Hint::TrainDuals),
            Self::OtherProfile { .. } => Some(Hint::OwnProfile),
            Self::Network(error)
            | Self::Engine(dualres_engine::EngineError::Network(error))
            | Self::Training(dualres_training::TrainingError::Network(error)) => error.hint(),
            _ => None,
        }
    }

    /// Whether the device was another machine's and is gone: what comes next on it fails too.
    pub fn is_lost_device(&self) -> bool {
        use dualres_engine::EngineError;
        use dualres_network::NetworkError;
        use dualres_training::TrainingError;
        let error = match self {
            Self::Network(error)
            | Self::Engine(EngineError::Network(error))
            | Self::Training(TrainingError::Network(error)) => error,
            _ => return false,
        };
        matches!(error, NetworkError::Remote { .. })
    }
}

/// A compression that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// A setting that makes no sense.
    #[error("{0}")]
    Setting(String),
    /// Nothing to be driven by.
    #[error("the model has no dual models, which compression is driven by")]
    NoDuals,
    /// A profile of something else.
    #[error("cannot use the profile ({why}): {}", path.display())]
    OtherProfile {
        /// The file.
        path: PathBuf,
        /// What it is.
        why: &'static str,
    },
    /// No network is small enough.
    #[error(
        "{:.1} % of the multiply-accumulates is out of reach: the smallest network keeps {:.1} %; \
         choose a smaller ratio, or prune streams as well", wanted * 100.0, least * 100.0
    )]
    Budget {
        /// Share of the multiply-accumulates that was asked for.
        wanted: f64,
        /// Least share there is.
        least: f64,
    },
    /// The network did not become smaller.
    #[error("the network did not become smaller: {what} {before} before, {after} after; choose a larger ratio")]
    NotSmaller {
        /// What was compared.
        what: &'static str,
        /// The original's.
        before: u64,
        /// The result's.
        after: u64,
    },
    /// The cut network is another function than the masked one.
    #[error("the cut network differs from the masked one by {difference:.2e} of the range (at most {most:.0e})")]
    Different {
        /// Largest difference found, as a share of the range of samples.
        difference: f64,
        /// Largest difference that is tolerated.
        most: f64,
    },
    /// Losses or weights are no numbers.
    #[error("{0} produced NaN or infinite values; try a smaller learning rate or ratio")]
    NotFinite(String),
    /// The run folder holds a run with other settings.
    #[error("the run in {} has different settings ({difference}); choose another run folder or the same settings", path.display())]
    OtherRun {
        /// The run folder.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// Another process is at work on the run.
    #[error("another process is using the run in {}; wait, or choose another run folder", path.display())]
    Busy {
        /// The run folder.
        path: PathBuf,
    },
    /// A file of the folder would be overwritten.
    #[error("{} exists and does not belong to a run; choose another run folder, or move it away", path.display())]
    Occupied {
        /// The file.
        path: PathBuf,
    },
    /// A folder without a run.
    #[error("no compression run in the folder {}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// The pictures are others than at the start of the run.
    #[error("the images changed since the run in {} began; start over in another folder", path.display())]
    OtherData {
        /// The run folder.
        path: PathBuf,
    },
    /// A file of the run could not be read or written.
    #[error("cannot use the run file ({reason}): {}", path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        reason: String,
    },
    /// A file of the run is not what it should be.
    #[error("damaged run file ({reason}): {}; remove it to redo its stage, or choose another run folder", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A width table that does not fit.
    #[error("the width table does not fit: {0}")]
    Widths(String),
    /// Training or evaluation.
    #[error(transparent)]
    Training(#[from] dualres_training::TrainingError),
    /// A network.
    #[error(transparent)]
    Network(#[from] dualres_network::NetworkError),
    /// A picture or file.
    #[error(transparent)]
    Imaging(#[from] dualres_imaging::ImagingError),
    /// The engine.
    #[error(transparent)]
    Engine(#[from] dualres_engine::EngineError),
}
