//! From a picture to a result as its file is to have it, and what proves it.

use std::{ops::ControlFlow, sync::Arc};

use dualres_engine::{Event, Options, Unfinished, Upscaled, Upscaler, passes_to};
use dualres_imaging::{Condition, Depth, Picture, cover_transparent};

use super::{
    choice::{Misfit, beyond_calibration, choose},
    recipe::Recipe,
    result,
    unfinished::Keeper,
};
use crate::{language::tr, report, trust};

/// A result.
pub struct Made {
    /// As the file is to have it: at its final size, with its metadata.
    pub picture: Arc<Picture>,
    /// Its proof, that of all passes, without a picture.
    pub proof: Upscaled,
    /// What one pass of the network gave; none if the size took none.
    pub pass: Option<Pass>,
    /// Why no error is predicted, if the picture is beyond what the model was calibrated on.
    pub withheld: Option<String>,
    /// What comes of the model's not being for such pictures.
    pub misfit: Option<Misfit>,
}

/// What one pass of the network gave, at the network's size.
pub struct Pass {
    /// As it is, with the dual residual fed back as far as it was asked for.
    pub picture: Arc<Picture>,
    /// The same without, if it was to be kept.
    pub base: Option<Arc<Picture>>,
}

/// What is told while a result is made.
pub trait Watcher {
    /// Progress; stops the run by `Break`.
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()>;

    /// What one pass of the network gave, with its proof. More passes may follow.
    fn passed(&mut self, _input: &Picture, _result: &Upscaled) {}
}

/// Makes the result of `picture` at `size`, which is its final one. Colours of pixels that do not show are replaced by those near
/// them, as the network sees them. `keeps` says that the fidelity may be changed later. What is `unfinished` of an earlier run goes
/// on, and the keeper keeps what is made.
///
/// # Errors
/// Those of [`Upscaler::upscale_to`].
pub fn make(
    upscaler: &Upscaler,
    picture: &mut Picture,
    recipe: &Recipe,
    size: [usize; 2],
    keeps: bool,
    (keeper, unfinished): (&mut Keeper, Option<Unfinished>),
    watcher: &mut dyn Watcher,
) -> anyhow::Result<Made> {
    upscaler.check_final(picture, size)?;
    let scale = upscaler.model().description.scale();
    let original = [picture.width(), picture.height()];
    if [0, 1].iter().all(|&side| passes_to(original[side], size[side], scale) == 0) {
        let mut proof = upscaler.upscale_to(picture, size, &recipe.options(), &mut |event| watcher.event(event))?;
        let mut made = proof.take_picture();
        finish(&mut made, upscaler, original, recipe);
        return Ok(Made { picture: Arc::new(made), proof, pass: None, withheld: None, misfit: None });
    }
    cover_transparent(picture);
    let refines = recipe.fidelity > 0.0 && !upscaler.model().duals.is_empty();
    let (mut base, mut first);
    if keeps && refines {
        let options = Options { fidelity: 0.0, ..recipe.options() };
        let plain = upscaler.upscale_on(picture, &options, unfinished, &mut |event| {
            keeper.see(&event);
            watcher.event(event)
        })?;
        base = Some(Arc::new(plain.picture.clone()));
        let refined = upscaler.refine(picture, plain.picture, recipe.fidelity, &mut |event| watcher.event(event))?;
        first = Upscaled { tiles: plain.tiles, retried_tiles: plain.retried_tiles, ..refined };
    } else {
        base = None;
        first = upscaler.upscale_on(picture, &recipe.options(), unfinished, &mut |event| {
            keeper.see(&event);
            watcher.event(event)
        })?;
    }
    let (withheld, misfit) = judge_fit(&mut first, upscaler, picture);
    watcher.passed(picture, &first);
    let mut pass = Arc::new(first.take_picture());
    let (ready, further) = finished(upscaler, picture, &mut pass, recipe, &mut |event| watcher.event(event))?;
    let proof = match further {
        Some(further) => Upscaled {
            tiles: first.tiles.max(further.tiles),
            retried_tiles: first.retried_tiles + further.retried_tiles,
            ..further
        },
        None => first,
    };
    if !keeps {
        base = None;
    }
    Ok(Made { picture: ready, proof, pass: Some(Pass { picture: pass, base }), withheld, misfit })
}

/// Takes the predicted error away where it would say nothing of the picture, and says why; and what comes of the model's not being for
/// such pictures.
pub fn judge_fit(result: &mut Upscaled, upscaler: &Upscaler, input: &Picture) -> (Option<String>, Option<Misfit>) {
    let (kind, why) = choose(&Condition::of(input));
    let model = &upscaler.model().description;
    let withheld = beyond_calibration(model, (kind, &why)).filter(|_| result.expected_error.is_some());
    if withheld.is_some() {
        (result.expected_error, result.expected_psnr) = (None, None);
    }
    (withheld, Misfit::of(model, kind))
}

fn finish(made: &mut Picture, upscaler: &Upscaler, original: [usize; 2], recipe: &Recipe) {
    let description = &upscaler.model().description;
    result::finish(made, original, &description.name, recipe.size, description.scale(), recipe.keep);
}

/// The result as its file is to have it: at the chosen size, with its metadata. `pass` is what one pass made; it may lose
/// its metadata to the file, its samples stay. Also the proof of all passes, if it took more than one.
///
/// # Errors
/// Those of [`Upscaler::upscale_further`].
pub fn finished(
    upscaler: &Upscaler,
    input: &Picture,
    pass: &mut Arc<Picture>,
    recipe: &Recipe,
    observe: dualres_engine::Observer,
) -> anyhow::Result<(Arc<Picture>, Option<Upscaled>)> {
    let original = [input.width(), input.height()];
    let size = recipe.size.of(original, upscaler.model().description.scale());
    let finish = |picture: &mut Picture| finish(picture, upscaler, original, recipe);
    if size == [pass.width(), pass.height()] {
        // Fewer bits cut off light beyond white, which refining still wants.
        let changes_samples = matches!(input.depth, Depth::Float { .. }) && recipe.keep.depth.is_some();
        if changes_samples {
            let mut copy = (**pass).clone();
            finish(&mut copy);
            return Ok((Arc::new(copy), None));
        }
        // Copied only while an earlier file of it is being saved.
        let shared = Arc::make_mut(pass);
        (shared.metadata, shared.depth) = (input.metadata.clone(), input.depth);
        finish(shared);
        return Ok((pass.clone(), None));
    }
    let mut further = upscaler.upscale_further(input, pass, size, &recipe.options(), observe)?;
    let mut picture = further.take_picture();
    picture.metadata = input.metadata.clone();
    finish(&mut picture);
    let proof = (!further.reconstructions.is_empty()).then_some(further);
    Ok((Arc::new(picture), proof))
}

/// How often a device had failed before a picture, to tell what it did wrong at it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Before {
    failed: usize,
    was_given_up: bool,
}

impl Before {
    /// As it is now.
    pub fn of(upscaler: &Upscaler) -> Self {
        Self { failed: upscaler.retries(), was_given_up: upscaler.given_up().is_some() }
    }

    /// What the device has done wrong since, and who made up for it.
    pub fn troubles(self, upscaler: &Upscaler) -> Vec<String> {
        let device = upscaler.device();
        let mut said = Vec::new();
        let failed = upscaler.retries() - self.failed;
        if failed > 0 {
            said.push(tr!(
                "%{device} gave results that cannot be right (%{count}); the CPU made them again",
                device = device.name,
                count = failed
            ));
        }
        if let Some(reason) = upscaler.given_up().filter(|_| !self.was_given_up) {
            let advice = trust::advice(&upscaler.model().description.name, device);
            said.push(tr!(
                "%{device} is not used any more: %{reason}; the CPU takes over. %{advice}",
                device = device.name,
                reason = reason,
                advice = advice
            ));
        }
        said
    }
}

/// What the user should know of how a picture was run.
pub fn seams(upscaler: &Upscaler, proof: &Upscaled) -> Option<String> {
    let seam = upscaler.model().description.seam.filter(|_| proof.tiles > 1)?;
    Some(report::parted(proof.tiles, seam))
}
