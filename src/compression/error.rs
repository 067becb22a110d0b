//! What can go wrong in compression.

use std::path::PathBuf;

/// Result of the compression room.
pub type Result<T> = std::result::Result<T, CompressionError>;

/// A compression that cannot start or go on.
#[derive(Debug, thiserror::Error)]
pub enum CompressionError {
    /// A setting that makes no sense.
    #[error("{0}")]
    Setting(String),
    /// No network is small enough.
    #[error(
        "no network keeps only {:.1} % of the multiply-accumulates: the smallest it can be cut to has {:.1} %; \
         choose a smaller ratio, or let streams be pruned as well", wanted * 100.0, least * 100.0
    )]
    Budget {
        /// Share of the multiply-accumulates that was asked for.
        wanted: f64,
        /// Least share there is.
        least: f64,
    },
    /// The network did not become smaller.
    #[error("the network did not become smaller: {what} before {before}, after {after}; choose a larger ratio")]
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
    #[error("{0} gives values that are not numbers; a smaller learning rate or ratio may help")]
    NotFinite(String),
    /// The run folder holds a run with other settings.
    #[error("the run in {} was started with other settings ({difference}); choose another folder with --run or the same settings", path.display())]
    OtherRun {
        /// The run folder.
        path: PathBuf,
        /// What differs.
        difference: String,
    },
    /// Another process is at work on the run.
    #[error("another program is at work on the run in {}; wait for it, or choose another folder for the run", path.display())]
    Busy {
        /// The run folder.
        path: PathBuf,
    },
    /// A folder without a run.
    #[error("there is no compression in the folder {}", path.display())]
    NoRun {
        /// The folder.
        path: PathBuf,
    },
    /// The pictures are others than at the start of the run.
    #[error("the pictures changed since the run in {} began; start anew in another folder", path.display())]
    OtherData {
        /// The run folder.
        path: PathBuf,
    },
    /// A file of the run could not be read or written.
    #[error("cannot use the run's file ({reason}): {}; if it is damaged, remove it to do its stage anew, or choose another folder with --run", path.display())]
    RunFile {
        /// The file.
        path: PathBuf,
        /// What went wrong.
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
