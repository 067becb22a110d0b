//! What a training run reports.

use serde::{Deserialize, Serialize};

use crate::pictures::Unusable;

/// A validation of the averaged weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Validation {
    /// Steps done.
    pub step: usize,
    /// Y-PSNR in dB.
    pub psnr_y: f64,
    /// Consistency PSNR in dB; absent for dual models that are not trained.
    pub loop_psnr: Option<f64>,
}

/// A step that was done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Steps done, of all sessions of the run.
    pub step: usize,
    /// Steps in all.
    pub steps: usize,
    /// Total loss in gray levels.
    pub loss: f64,
    /// Sum of the primal terms.
    pub primal: f64,
    /// Sum of the dual terms before weighting; 0 without dual loss.
    pub dual: f64,
    /// Dual term before weighting of the pictures without truth; 0 without any.
    pub unpaired: f64,
    /// Whether the step was skipped because its loss blew up.
    pub skipped: bool,
    /// Patches a second, since the session began.
    pub images_per_second: f64,
    /// Learning rate of the step.
    pub lr: f64,
}

/// What a run reports.
#[derive(Clone, Debug)]
pub enum TrainEvent {
    /// The run begins, or goes on after `step` steps.
    Started {
        /// Steps done before.
        step: usize,
        /// Pictures in use.
        pictures: usize,
        /// Parameters of the primal network.
        parameters: u64,
    },
    /// A picture cannot be used, for training or validation, and is left out.
    Unusable(Unusable),
    /// Something the user should know.
    Warning(String),
    /// A step was done.
    Step(Progress),
    /// The averaged weights were validated and the run saved.
    Validated {
        /// The measures.
        validation: Validation,
        /// Whether they are the best so far.
        best: bool,
    },
}
