//! Models compared on what is visible of a picture: two to four of one scale, with one pan and zoom, of which one is chosen.

use std::collections::HashSet;

use dualres_engine::Area;

use super::{
    Window,
    candidates::{Attempt, Candidate, MAX_MODELS, Trial, middle},
    canvas::view::{View, reduced},
    document::{Document, Patch, ProofPatch, Pyramid},
    worker::{Command, Tried, Try},
};
use crate::{
    batch::choice::Kind,
    built_in,
    language::{tr, translated},
};

/// Longest side of the part in pixels of the result, of which each model has its own: whoever looks at more sees too little of it to
/// compare.
const SIDE: usize = 4096;
/// Models that a comparison begins with.
const FIRST: usize = 2;

impl Window {
    /// Compares models on what is visible, or ends the comparison.
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
        let area = middle(visible, SIDE / scale);
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
            awaited: 0,
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
        if trial.candidates.len() == MAX_MODELS {
            return;
        }
        let Area { x, y, width, height } = trial.area;
        let part = open.picture.crop(x, y, width, height);
        let document = Document::new(trial.item, trial.scale, Pyramid::of(&part));
        trial.candidates.push(Candidate { model, document, state: Attempt::Making, made: HashSet::new() });
        self.try_next();
    }

    /// Puts a model in the place of another one.
    pub(super) fn try_instead(&mut self, index: usize, model: String) {
        let Some(trial) = &mut self.upscale.trial else { return };
        let Some(candidate) = trial.candidates.get_mut(index) else { return };
        candidate.document.clear_result(trial.scale);
        candidate.made.clear();
        (candidate.state, candidate.model) = (Attempt::Making, model);
        self.try_next();
    }

    /// Asks for the next piece, one at a time: what is not wanted any more is not made.
    fn try_next(&mut self) {
        let Some(trial) = self.upscale.trial.as_mut().filter(|trial| trial.awaited == 0) else { return };
        let Some(open) = self.upscale.documents.get(trial.item) else { return };
        let Some((index, area)) = trial.next() else { return };
        trial.awaited += 1;
        let (number, input, model) = (trial.number, open.picture.clone(), trial.candidates[index].model.clone());
        let (device, fidelity) = (trial.device.clone(), trial.fidelity);
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
        let Some(trial) = self.upscale.trial.take() else { return };
        self.end_trial();
        let (view, area, scale) = (trial.view, trial.area, trial.scale);
        if let Some(chosen) = trial.candidates.into_iter().nth(index) {
            self.use_model(&chosen.model);
            // What was looked at closely is looked at on.
            if !view.fits {
                let corner = [area.x, area.y].map(|at| (at * scale) as f64);
                let center = [view.center[0] + corner[0], view.center[1] + corner[1]];
                self.upscale.view = View { center, zoom: view.zoom, fits: false, opens: false };
            }
        }
    }

    /// Takes in what a model made of a piece of the part.
    pub(super) fn take_tried(&mut self, number: u64, model: &str, outcome: Result<Tried, String>) {
        let Some(trial) = self.upscale.trial.as_mut().filter(|trial| trial.number == number) else { return };
        trial.awaited = trial.awaited.saturating_sub(1);
        let (part, scale) = (trial.area, trial.scale);
        if let Some(candidate) = trial.candidates.iter_mut().find(|candidate| candidate.model == model) {
            candidate.take(outcome, part, scale);
        }
        self.try_next();
    }
}

impl Candidate {
    /// Takes in a piece, whose areas are those of the whole picture, of a part of it.
    fn take(&mut self, outcome: Result<Tried, String>, part: Area, scale: usize) {
        let within = |area: Area, scale: usize| Area {
            x: area.x.saturating_sub(part.x * scale),
            y: area.y.saturating_sub(part.y * scale),
            ..area
        };
        let Tried { patch, proof, seconds } = match outcome {
            Ok(tried) => tried,
            Err(reason) => {
                self.state = Attempt::Failed(translated(&reason));
                return;
            }
        };
        self.document.paste_result(&Patch { area: within(patch.area, scale), ..patch });
        if let Some(proof) = proof {
            let dual = Patch { area: within(proof.dual.area, 1), ..proof.dual };
            self.document.paste_proof(&ProofPatch { dual, ..*proof });
        }
        let before = if let Attempt::Made { seconds, .. } = self.state { seconds } else { 0.0 };
        let all = Area { x: 0, y: 0, ..part };
        let psnr = self.document.proof.as_ref().and_then(|proof| proof.of(all)).map(|(_, psnr)| psnr);
        self.state = Attempt::Made { seconds: before + seconds, psnr };
    }
}
