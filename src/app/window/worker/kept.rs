//! The last result, as it is kept in memory.

use std::{path::PathBuf, sync::Arc};

use dualres_engine::{Upscaled, Upscaler};
use dualres_imaging::{Picture, Plane};

use crate::{
    batch::records::Recorded,
    report,
    window::queue::{ItemId, Proven},
};

/// The last result, to be refined or saved again.
pub(super) struct Kept {
    pub(super) item: ItemId,
    pub(super) input: Picture,
    /// The name of the model that made it.
    pub(super) model: String,
    /// What the network gave.
    pub(super) base: Arc<Picture>,
    /// The same with the dual residual fed back, as it was asked for last, and how far.
    pub(super) refined: Option<(f32, Arc<Picture>)>,
    pub(super) upscaler: Arc<Upscaler>,
    /// The picture in the record of its folder, if it has one, and what tells the weights from others there.
    pub(super) recorded: Option<Recorded>,
    pub(super) weights: String,
}

/// A version of a result that was saved.
pub(super) struct SavedVersion {
    pub(super) path: PathBuf,
    pub(super) size: [usize; 2],
    /// What the user should know of.
    pub(super) warnings: Vec<String>,
}

impl Kept {
    /// The result at a fidelity, if it is in memory.
    pub(super) fn at(&self, fidelity: f32) -> Option<Arc<Picture>> {
        let is_it = |other: f32| (other - fidelity).abs() < 1e-4;
        match &self.refined {
            Some((refined, picture)) if is_it(*refined) => Some(picture.clone()),
            _ => is_it(0.0).then(|| self.base.clone()),
        }
    }
}

/// What the proof of a result says.
pub(super) fn proven(result: &Upscaled) -> Proven {
    let mean = |plane: &Plane| plane.data.iter().map(|&d| f64::from(d)).sum::<f64>() / plane.data.len() as f64;
    Proven {
        loop_psnr: report::finite(result.loop_psnr),
        dual_loss: result.consistency.as_ref().map(mean),
        expected_psnr: report::finite(result.expected_psnr),
        worst: None,
        misfit: None,
    }
}
