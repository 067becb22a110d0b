//! Adapting a network to pictures without high-resolution truth (CVPR 2020, section 3.3; scheme 2 of the method).
//!
//! Batches are mixed. Of paired pictures the network learns as always; of the others it knows only that what it makes of them
//! has to lead back to them. Paired pictures keep it from inventing what the dual models cannot see.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::{Result, TrainingError};

/// Pictures without truth, and what keeps them from spoiling the network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Adaptation {
    /// Folders of low-resolution pictures, or single files.
    pub pictures: Vec<PathBuf>,
    /// What tells whether files are still those that the run began with, such as a sum of their names and sizes.
    #[serde(default)]
    pub contents: String,
    /// Fraction of a batch that comes from them (rho of the paper), rounded to whole patches, at least one and not all.
    pub fraction: f64,
    /// Steps at the beginning in which the dual models stay as they are: what a network that does not know the pictures yet makes
    /// of them would mislead them.
    pub frozen: usize,
    /// Learning rate of the dual models as a multiple of the network's: they have another degradation to learn, in few steps.
    pub dual_rate: f64,
    /// The run ends when the PSNR of the paired validation pictures is this many dB below the highest so far, and the weights of the
    /// validation before count.
    pub guard: f64,
}

impl Adaptation {
    /// Usual settings: three tenths of a batch, as the paper has it; dual models wait for a quarter of the steps.
    pub fn new(pictures: Vec<PathBuf>, steps: usize) -> Self {
        Self { pictures, contents: String::new(), fraction: 0.3, frozen: steps / 4, dual_rate: 10.0, guard: 0.1 }
    }

    /// Patches of a batch that come from pictures without truth.
    pub fn unpaired(&self, batch: usize) -> usize {
        ((self.fraction * batch as f64).round() as usize).clamp(1, batch.saturating_sub(1).max(1))
    }

    pub(crate) fn validate(&self, batch: usize, validated: bool) -> Result<()> {
        let wrong = |text: String| Err(TrainingError::Setting(text));
        if self.pictures.is_empty() {
            return wrong("adaptation needs at least one image".into());
        }
        if batch < 2 {
            return wrong("adaptation needs batches of at least 2 patches: paired ones, and others".into());
        }
        if !(self.fraction > 0.0 && self.fraction < 1.0) {
            return wrong(format!("the unpaired fraction must be above 0 and below 1, not {}", self.fraction));
        }
        if !(self.guard >= 0.0 && self.guard.is_finite()) {
            return wrong(format!("the guard must be 0 or a positive, finite number of dB, not {}", self.guard));
        }
        if !(self.dual_rate > 0.0 && self.dual_rate.is_finite()) {
            return wrong(format!(
                "the dual learning rate must be a positive, finite multiple, not {}",
                self.dual_rate
            ));
        }
        if !validated {
            return wrong("adaptation needs validation images, by which it stops when quality falls".into());
        }
        Ok(())
    }
}
