//! Models compared on a part of a picture: two to four of one scale, with one pan and zoom, of which one is chosen.

use dualres_engine::Area;

use super::{
    Window,
    candidates::{Attempt, Candidate, Trial, middle},
    canvas::{
        gpu::DOCUMENTS,
        view::{View, reduced},
    },
    document::{Document, Pyramid},
    worker::{Command, Tried, Try},
};
use crate::{
    batch::choice::Kind,
    built_in,
    language::{tr, translated},
};

/// Longest side of the part in pixels of the original: seconds of work for each model, and more than a pane shows at full size.
const SIDE: usize = 320;
/// Models that a comparison begins with.
const FIRST: usize = 2;

impl Window {
    /// Compares models on the middle of what is visible, or ends the comparison.
    pub(super) fn compare_models(&mut self) {
        if self.upscale.trial.is_some() {
            self.end_trial();
            return;
        }
        if self.upscale.queue.running().is_some() {
            self.shell.toasts.warning(tr!("This picture is running: its tiles appear as they are done."));
            return;
        }
        let Some(open) = self.upscale.selected.and_then(|id| self.upscale.documents.get(id)) else {
            self.shell.toasts.warning(tr!("Select a picture to compare models on."));
            return;
        };
        let (item, scale) = (open.document.item, self.scale());
        let visible =
            reduced(self.upscale.view.visible(open.document.result_size(), self.upscale.pane), open.document.scale);
        let area = middle(visible, SIDE);
        if area.width == 0 || area.height == 0 {
            return;
        }
        let fitting = built_in::fitting(open.fitting.0, scale, &self.shell.settings.choices.model);
        let first =
            if self.shell.settings.choices.automatic { fitting } else { self.shell.settings.choices.model.clone() };
        let mut models = vec![first];
        models.extend(self.others(&models, scale).into_iter().take(FIRST - 1));
        if models.len() < FIRST {
            self.shell.toasts.warning(tr!(
                "Only one model enlarges %{scale} times: there is nothing to compare it with.",
                scale = scale
            ));
            return;
        }
        self.upscale.trial = Some(Trial {
            number: self.services.link.control.begin_trial(),
            item,
            area,
            scale,
            device: self.shell.settings.choices.device.clone(),
            fidelity: self.shell.settings.choices.fidelity,
            candidates: Vec::new(),
            view: View::default(),
            pane: [1.0; 2],
        });
        for model in models {
            self.try_also(model);
        }
    }

    /// Ends the comparison: what is left of it is not made any more.
    pub(super) fn end_trial(&mut self) -> bool {
        self.services.link.control.begin_trial();
        self.upscale.trial.take().is_some()
    }

    /// Models of a scale that are not among those given: the built-in kinds first.
    pub(super) fn others(&self, there: &[String], scale: usize) -> Vec<String> {
        let kinds = Kind::ALL.into_iter().filter_map(|kind| built_in::of(kind, scale)).map(str::to_owned);
        let all = self
            .models
            .entries
            .iter()
            .filter(|entry| entry.description.scale() == scale)
            .map(|entry| entry.name.clone());
        let mut others: Vec<String> = Vec::new();
        for name in kinds.chain(all) {
            if !there.contains(&name)
                && !others.contains(&name)
                && self.models.entries.iter().any(|entry| entry.name == name)
            {
                others.push(name);
            }
        }
        others
    }

    /// Models that the comparison could have besides those it has.
    pub(super) fn further_models(&self) -> Vec<String> {
        let Some(trial) = &self.upscale.trial else { return Vec::new() };
        let there: Vec<String> = trial.candidates.iter().map(|candidate| candidate.model.clone()).collect();
        self.others(&there, trial.scale)
    }

    /// Adds a model to the comparison.
    pub(super) fn try_also(&mut self, model: String) {
        let Some(trial) = &mut self.upscale.trial else { return };
        let Some(open) = self.upscale.documents.get(trial.item) else { return };
        if trial.candidates.len() == DOCUMENTS {
            return;
        }
        let Area { x, y, width, height } = trial.area;
        let part = open.picture.crop(x, y, width, height);
        let document = Document::new(trial.item, trial.scale, Pyramid::of(&part));
        trial.candidates.push(Candidate { model: String::new(), document, state: Attempt::Making });
        let index = trial.candidates.len() - 1;
        self.try_instead(index, model);
    }

    /// Puts a model in the place of another one.
    pub(super) fn try_instead(&mut self, index: usize, model: String) {
        let Some(trial) = &mut self.upscale.trial else { return };
        let (device, fidelity) = (trial.device.clone(), trial.fidelity);
        let Some(open) = self.upscale.documents.get(trial.item) else { return };
        let Some(candidate) = trial.candidates.get_mut(index) else { return };
        candidate.document.clear_result(trial.scale);
        candidate.state = Attempt::Making;
        candidate.model.clone_from(&model);
        let (number, input, area) = (trial.number, open.picture.clone(), trial.area);
        self.send(Command::Try(Box::new(Try { number, input, area, model, device, fidelity })));
    }

    /// Takes a model out of the comparison.
    pub(super) fn try_without(&mut self, index: usize) {
        if let Some(trial) =
            self.upscale.trial.as_mut().filter(|trial| trial.candidates.len() > FIRST && index < trial.candidates.len())
        {
            trial.candidates.remove(index);
        }
    }

    /// Ends the comparison with one of its models.
    pub(super) fn take_candidate(&mut self, index: usize) {
        let chosen = self.upscale.trial.take().and_then(|trial| trial.candidates.into_iter().nth(index));
        self.end_trial();
        if let Some(chosen) = chosen {
            self.use_model(&chosen.model);
        }
    }

    /// Takes in what a model made of the part.
    pub(super) fn take_tried(&mut self, number: u64, model: &str, outcome: Result<Tried, String>) {
        let Some(trial) = self.upscale.trial.as_mut().filter(|trial| trial.number == number) else { return };
        let Some(candidate) = trial.candidates.iter_mut().find(|candidate| candidate.model == model) else { return };
        candidate.state = match outcome {
            Ok(Tried { patch, proof, seconds, psnr }) => {
                candidate.document.paste_result(&patch);
                proof.iter().for_each(|proof| candidate.document.paste_proof(proof));
                Attempt::Made { seconds, psnr }
            }
            Err(reason) => Attempt::Failed(translated(&reason)),
        };
    }
}
