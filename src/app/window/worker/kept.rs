//! The last result, as it is kept in memory, and as its file is to have it.

use std::sync::Arc;

use dualres_engine::{Options, Upscaled, Upscaler};
use dualres_imaging::{Depth, Picture, Plane};

use crate::{
    batch::result,
    report,
    window::{
        queue::{ItemId, Proven},
        settings::Choices,
    },
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
    }
}

/// The result as its file is to have it: at the chosen size, with its metadata. `result` is what one pass made; it may lose
/// its metadata to the file, its samples stay. Also the proof of all passes, if it took more than one.
pub(super) fn finished(
    upscaler: &Upscaler,
    input: &Picture,
    result: &mut Arc<Picture>,
    choices: &Choices,
    observe: dualres_engine::Observer,
) -> anyhow::Result<(Arc<Picture>, Option<Upscaled>)> {
    let scale = upscaler.model().description.scale();
    let original = [input.width(), input.height()];
    let size = choices.size.of(original, scale);
    let finish =
        |picture: &mut Picture| result::finish(picture, original, &choices.model, choices.size, scale, choices.keep());
    if size == [result.width(), result.height()] {
        // Fewer bits cut off light beyond white, which refining still wants.
        let changes_samples = matches!(input.depth, Depth::Float { .. }) && choices.keep().depth.is_some();
        if changes_samples {
            let mut copy = (**result).clone();
            finish(&mut copy);
            return Ok((Arc::new(copy), None));
        }
        // Copied only while an earlier file of it is being saved.
        let shared = Arc::make_mut(result);
        (shared.metadata, shared.depth) = (input.metadata.clone(), input.depth);
        finish(shared);
        return Ok((result.clone(), None));
    }
    let options = Options { fidelity: choices.fidelity, ..Options::default() };
    let mut further = upscaler.upscale_further(input, result, size, &options, observe)?;
    let mut picture = std::mem::replace(&mut further.picture, Picture::from_planes(vec![Plane::filled(1, 1, 0.0)]));
    picture.metadata = input.metadata.clone();
    finish(&mut picture);
    let proof = (!further.reconstructions.is_empty()).then_some(further);
    Ok((Arc::new(picture), proof))
}
