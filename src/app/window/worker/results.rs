//! Results after their run: refined, saved as another file, proven again.

use std::{ops::ControlFlow, path::Path, sync::Arc, time::Instant};

use anyhow::Context;
use dualres_engine::Event;
use dualres_imaging::{Format, Picture, resize::resample};

use super::{WorkerReport, engine::Engine, kept::SavedVersion};
use crate::{
    batch::{
        make::{finished, judge_fit},
        record::{Done, Stamp},
        saving::{Destination, finish, save},
    },
    language::tr,
    naming,
    window::{
        queue::{ItemId, Proven},
        settings::Choices,
    },
};

impl Engine {
    /// Feeds the dual residual of the last result back at another strength, and shows it.
    pub(super) fn refine(&mut self, number: u64, item: ItemId, model: &str, fidelity: f32) -> anyhow::Result<()> {
        let Some(mut kept) = self.kept.take_if(|kept| kept.item == item && kept.model == model) else {
            self.tell(WorkerReport::NotAtHand { item });
            return Ok(());
        };
        let scale = kept.upscaler.model().description.scale();
        let refined = kept.upscaler.refine(&kept.input, (*kept.base).clone(), fidelity, &mut |_| self.until_the_end());
        let result = refined.map(|mut result| {
            let (_, misfit) = judge_fit(&mut result, &kept.upscaler, &kept.input);
            self.show(item, scale, &result.picture);
            let proven = Proven { misfit, ..self.show_proof(item, &kept.input, &result) };
            kept.refined = Some((fidelity, Arc::new(result.picture)));
            self.tell(WorkerReport::Refined { number, item, fidelity, proven });
        });
        self.kept = Some(kept);
        Ok(result?)
    }

    /// Saves the result beside an earlier version, under a name that is free; returns the file, its size and what the user should know of,
    /// or none if the result is not in memory.
    pub(super) fn save_version(
        &mut self,
        item: ItemId,
        output: &Path,
        choices: &Choices,
    ) -> anyhow::Result<Option<SavedVersion>> {
        let start = Instant::now();
        let kept = self.kept.as_ref().filter(|kept| kept.item == item && kept.model == choices.model);
        let Some((mut result, kept)) = kept.and_then(|kept| Some((kept.at(choices.fidelity)?, kept))) else {
            return Ok(None);
        };
        let go_on = &mut |_: Event<'_>| self.until_the_end();
        let (picture, _) = finished(&kept.upscaler, &kept.input, &mut result, &choices.recipe(), go_on)?;
        let (format, size) = (Format::from_path(output)?, [picture.width(), picture.height()]);
        let encoded = dualres_imaging::encode(&picture, format, choices.encoding())?;
        let target = naming::free(output, &|_| false);
        // A result that no record knows would be taken for a picture by the next batch over its folder.
        let mut recorded = kept.recorded.clone().filter(|recorded| target.starts_with(&recorded.folder));
        let mut warnings = Vec::new();
        if let Some(recorded) = &mut recorded {
            recorded.key = choices.recipe().key_of(&recorded.key, &kept.weights, format);
            recorded.note(|journal, key| journal.begin(key, &target))?;
        }
        let next = &|taken: &Path| naming::free(taken, &|_| false);
        let to = Destination { target, recorded: recorded.as_ref(), replaces: false, next, elsewhere: None };
        let (path, told) = save(&encoded, &to)?;
        warnings.extend(told);
        if let Some(recorded) = &recorded {
            let (output, stamp) = (path.clone(), Stamp::of(&path));
            let (loop_psnr, expected_psnr, proofs) = (None, None, Default::default());
            let (model, seconds) = (kept.model.clone(), start.elapsed().as_secs_f64());
            finish(
                recorded,
                Done { output, stamp, size, model, loop_psnr, expected_psnr, seconds, proofs },
                &mut warnings,
            );
        }
        Ok(Some(SavedVersion { path, size, warnings }))
    }

    /// Saves a result as another file; false if it was refined and is not in memory any more.
    pub(super) fn save_as(
        &mut self,
        item: ItemId,
        output: &Path,
        path: &Path,
        choices: &Choices,
        refined: bool,
    ) -> anyhow::Result<bool> {
        let control = self.control.clone();
        let kept = self.kept.as_ref().filter(|kept| kept.item == item && kept.model == choices.model);
        // At the fidelity that it is shown with; another version of it is on disk alone.
        match kept.and_then(|kept| Some((kept.at(choices.fidelity)?, kept))) {
            Some((mut result, kept)) => {
                let go_on = &mut |_: Event<'_>| {
                    // What the user asked to be saved is saved even when the window closes.
                    if control.is_cancelled(item) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let (picture, _) = finished(&kept.upscaler, &kept.input, &mut result, &choices.recipe(), go_on)?;
                dualres_imaging::write(path, &picture, choices.encoding())?;
            }
            None if refined => return Ok(false),
            // An earlier result is on disk; in another format it is as good as that file.
            None => dualres_imaging::write(path, &dualres_imaging::read(output)?, choices.encoding())?,
        }
        Ok(true)
    }

    pub(super) fn prove(
        &mut self,
        item: ItemId,
        input: &Picture,
        output: &Path,
        model: &str,
        device: &str,
    ) -> anyhow::Result<()> {
        let mut result = dualres_imaging::read(output).with_context(|| tr!("the saved result cannot be shown"))?;
        let upscaler = self.ready(model, device)?.0;
        let scale = upscaler.model().description.scale();
        let [width, height] = [input.width() * scale, input.height() * scale];
        let proportions = |width: usize, height: usize| width as f64 / height.max(1) as f64;
        let bent = proportions(result.width(), result.height()) / proportions(width, height);
        if (bent - 1.0).abs() > 0.05 {
            anyhow::bail!(tr!("the saved result does not fit its original any more: %{file}", file = output.display()));
        }
        if [result.width(), result.height()] != [width, height] {
            // It was saved at a size of its own; the canvas shows it at the size of the network's result.
            result = resample(&result, width, height);
        }
        self.show(item, scale, &result);
        let mut proof = upscaler.refine(input, result, 0.0, &mut |_| self.until_the_end())?;
        judge_fit(&mut proof, &upscaler, input);
        self.show_proof(item, input, &proof);
        Ok(())
    }
}
