//! Training by dual regression, and measuring what came of it.
//!
//! The network learns to enlarge pictures and, at the same time, its dual models learn to reduce the results back to
//! the input (equation 1 of the TPAMI paper). Data are folders of pictures; low resolutions are made on the way by the
//! resampling the field measures with. Runs report and are stopped through one closure, write their state whole or not
//! at all, and go on after an interruption with the losses they would have had.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod adam;
mod adaptation;
mod begin;
mod calibrate;
mod config;
pub mod correlation;
mod dataset;
mod degradation;
mod error;
mod estimate;
mod evaluate;
mod events;
mod log;
mod pictures;
mod run;
mod sampler;
mod session;
mod state;
pub mod tensorboard;

pub use adam::Optimizers;
pub use adaptation::Adaptation;
pub use calibrate::calibrate;
pub use config::{Distillation, DistillationLevel, LR_MIN, TrainConfig};
pub use dataset::{PictureSet, pictures_of, reduced};
pub use degradation::{Degradation, Known, Reduction};
pub use error::{Result, TrainingError};
pub use estimate::{Estimate, Survey};
pub use evaluate::{Evaluation, ImageScore, Measuring, MeasuringEvent, Scores, evaluate, rule, smallest_measurable};
pub use events::{Progress, TrainEvent, Validation};
pub use pictures::{Unusable, about, ground_truth};
pub use run::{on_device, train};
pub use sampler::patches;
pub use state::{BEST_FILE, LAST_FILE, LOG_FILE, STATE_FILE};
