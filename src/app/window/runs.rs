//! A run of the queue: what the worker is given, what it says, and what the user is told in the end.

use super::{
    Window,
    app::speed_key,
    canvas::view::View,
    cost::ModelComparison,
    helper::Place,
    queue::{ItemId, State, Turn},
    tally::RunSummary,
    worker::{Attempt, Command, DONE_BEFORE, Job, NO_ITEM, WorkerReport},
};
use crate::language::{tr, translated};

impl Window {
    /// What became of results that a worker was saving when it was replaced.
    pub(super) fn take_last_reports(&mut self) {
        let Some(old) = self.services.old_link.take() else { return };
        let has_ended = old.has_ended();
        while let Ok(report) = old.reports.try_recv() {
            if matches!(&report, WorkerReport::Done { .. } | WorkerReport::Failed { device_failed: false, .. }) {
                self.take_report(report);
            }
        }
        if has_ended {
            self.upscale.queue.fail_left("the engine was started anew");
        } else {
            self.services.old_link = Some(old);
        }
    }

    pub(super) fn take_report(&mut self, report: WorkerReport) {
        match report {
            WorkerReport::Devices { devices, automatic } => {
                let chosen = &self.shell.settings.choices.device;
                if chosen != "auto" && !devices.iter().any(|device| device.name == *chosen) {
                    self.shell.toasts.warning(tr!(
                        "The device %{device} is gone; using %{other}.",
                        device = chosen,
                        other = automatic
                    ));
                    self.shell.settings.choices.device = "auto".into();
                }
                (self.services.devices, self.services.automatic) = (devices, automatic);
                self.measure();
            }
            WorkerReport::Using { wanted, device } => self.services.using = Some((wanted, device)),
            WorkerReport::Progress { item, stage, done } => {
                if let Some(State::Running(progress)) = self.upscale.queue.get_mut(item).map(|item| &mut item.state) {
                    progress.advance(stage, done);
                }
            }
            WorkerReport::Pixels { item, scale, patch } => {
                if let Some(open) = self.upscale.documents.get_mut(item) {
                    if open.document.scale != scale {
                        let factor = scale as f64 / open.document.scale as f64;
                        open.document.clear_result(scale);
                        if self.upscale.selected == Some(item) {
                            self.upscale.view.rescale(factor);
                        }
                    }
                    open.document.paste_result(&patch);
                }
            }
            WorkerReport::Proof { item, patch } => {
                if let Some(open) = self.upscale.documents.get_mut(item) {
                    open.document.paste_proof(&patch);
                }
            }
            WorkerReport::Computed { item } => {
                if let Some(State::Running(progress)) = self.upscale.queue.get_mut(item).map(|item| &mut item.state) {
                    progress.saving = true;
                }
            }
            WorkerReport::Done { item, finished, warning } => {
                warning.into_iter().for_each(|text| self.shell.toasts.warning(translated(&text)));
                self.upscale.run.done_before += usize::from(finished.device == DONE_BEFORE);
                if finished.device != DONE_BEFORE {
                    self.upscale.refinement.at_hand = Some(item);
                }
                if let Some(item) = self.upscale.queue.get_mut(item) {
                    item.finish(finished);
                }
                if let Some(open) = self.upscale.documents.get_mut(item) {
                    // What came in while the picture was still being read has to be asked for again.
                    // A picture that was done before comes without its pixels.
                    open.asked = open.whole && open.document.result.is_some();
                    (open.refined, open.preview) = (None, None);
                }
                self.upscale.documents.shrink(self.upscale.selected);
                if self.upscale.selected == Some(item) {
                    self.show_saved(item);
                    self.compare_with_original(item);
                }
                self.note_queue_change();
                self.upscale.run.done += 1;
                self.end_run_if_done();
            }
            WorkerReport::Refined { number, item, fidelity, proven } => {
                self.take_refined(number, item, fidelity, proven)
            }
            WorkerReport::NotAtHand { item } => self.take_not_at_hand(item),
            WorkerReport::Version { item, path, size, fidelity, warning } => {
                warning.into_iter().for_each(|text| self.shell.toasts.warning(translated(&text)));
                self.take_version(item, path, size, fidelity);
            }
            WorkerReport::Previewed { item, number, scale, patch, proof } => {
                self.take_previewed(item, number, scale, &patch, proof.as_deref());
            }
            WorkerReport::Tried { number, model, outcome } => self.take_tried(number, &model, outcome),
            WorkerReport::Compared { item: NO_ITEM, models: [_, model], seconds: [large, small], .. } => {
                self.services.measuring = false;
                let key = speed_key(&model, self.device());
                self.shell.settings.faster.insert(key, large / small);
            }
            WorkerReport::Compared { item, models, seconds, loop_psnr } => {
                self.upscale.beside.insert(item, ModelComparison { models, seconds, loop_psnr });
            }
            WorkerReport::Saved { path } => self.shell.toasts.good(tr!("Saved %{path}", path = path.display())),
            WorkerReport::Refused { item, reason } => {
                self.upscale.runs = false;
                if let Some(item) = self.upscale.queue.get_mut(item) {
                    item.state = State::Waiting;
                }
                self.shell.toasts.error(translated(&reason));
            }
            WorkerReport::Failed { item, failure, device_failed } => {
                self.forget_tiles(item);
                if let Some(item) = self.upscale.queue.get_mut(item) {
                    // The first tells that something is wrong; the queue says it of each, and the end how many. A picture that
                    // was done before still is.
                    if self.upscale.run.failed == 0 || !item.versions.is_empty() {
                        let (name, reason) = (item.name(), translated(&failure.reason));
                        // Most reasons name the file.
                        self.shell.toasts.error(if reason.contains(&name) {
                            reason
                        } else {
                            format!("{name}: {reason}")
                        });
                    }
                    item.end(State::Failed(failure.clone()));
                }
                if device_failed {
                    self.upscale.runs = false;
                    self.services.crashed = Some(failure.reason);
                }
                self.note_queue_change();
                self.upscale.run.failed += 1;
                self.end_run_if_done();
            }
            WorkerReport::Cancelled { item } => {
                self.forget_tiles(item);
                if let Some(item) = self.upscale.queue.get_mut(item) {
                    item.end(State::Cancelled);
                }
                self.show_saved(item);
                self.note_queue_change();
            }
            WorkerReport::Trouble { what, reason } => {
                match what {
                    Attempt::Preview => self.upscale.previewing = None,
                    Attempt::Refine => self.forget_refinement(),
                    Attempt::Measure => {
                        self.services.measuring = false;
                        self.services.unmeasurable = Some(self.shell.settings.choices.clone());
                    }
                    Attempt::Other => {}
                }
                self.shell.toasts.error(translated(&reason));
            }
            WorkerReport::Speed { model, device, pixels_a_second } => {
                self.services.measuring = false;
                self.shell.settings.speeds.insert(speed_key(&model, &device), pixels_a_second);
                self.measure();
            }
            WorkerReport::Crashed { reason } => {
                self.upscale.runs = false;
                self.upscale.queue.fail_running(&format!("the engine failed: {reason}"));
                self.services.crashed = Some(reason);
            }
        }
    }

    /// A run has ended without a result: what it made of it so far is none, and no preview either.
    fn forget_tiles(&mut self, item: ItemId) {
        if self.upscale.selected == Some(item) {
            self.restart_preview();
        }
        if let Some(open) = self.upscale.documents.get_mut(item) {
            open.document.clear_result(open.document.scale);
            (open.asked, open.refined) = (false, None);
        }
    }

    /// The picture whose turn it is.
    fn next_turn(&self) -> Option<ItemId> {
        match self.upscale.only {
            Some(only) => {
                self.upscale.queue.get(only).filter(|item| matches!(item.state, State::Waiting)).map(|item| item.id)
            }
            None => self.upscale.queue.next_waiting(),
        }
    }

    fn end_run_if_done(&mut self) {
        if !self.upscale.runs || self.next_turn().is_some() || self.upscale.queue.is_busy() {
            return;
        }
        (self.upscale.runs, self.upscale.only) = (false, None);
        match self.upscale.run.told() {
            Some(RunSummary::Good(text)) => {
                self.tell_desktop(&text);
                self.shell.toasts.good(text);
            }
            Some(RunSummary::Warning(text)) => {
                self.tell_desktop(&text);
                self.shell.toasts.warning(text);
            }
            None => {}
        }
    }

    /// Gives each worker that has none the next picture.
    pub(super) fn schedule(&mut self) {
        if !self.services.rests && !self.upscale.queue.is_busy() && (!self.upscale.runs || self.next_turn().is_none()) {
            // A run of the command line may have the folder of results from now on.
            self.services.rests = true;
            self.send(Command::Rest);
        }
        while self.upscale.runs && self.services.crashed.is_none() {
            let Some(place) = self.idle_place() else { return };
            if !self.schedule_on(place) {
                return;
            }
        }
    }

    /// Gives a worker the next picture. Returns whether there was one.
    fn schedule_on(&mut self, place: Place) -> bool {
        let Some(id) = self.next_turn() else {
            // The last result may still be on its way to the disk; what ends a run is told then.
            self.end_run_if_done();
            return false;
        };
        let mut choices = self.shell.settings.choices.clone();
        let scale = self.scale();
        let entries = &self.models.entries;
        let Some(item) = self.upscale.queue.get_mut(id) else { return false };
        if let Some((model, fidelity)) = item.redo.take().filter(|(model, _)| entries.iter().any(|e| e.name == *model))
        {
            (choices.automatic, choices.model, choices.fidelity) = (false, model, fidelity);
        }
        item.state = State::Running(Turn {
            stage: tr!("starting"),
            done: 0.0,
            tiles_since: None,
            scale,
            wanted: choices.size,
            goes_further: false,
            cancelling: false,
            saving: false,
            left_behind: false,
        });
        let (input, below, twin, again) = (item.path.clone(), item.below.clone(), item.twin, item.again);
        // The canvas follows the work as long as the user has not chosen another picture that is worth looking at.
        let follows = match self.upscale.selected.and_then(|id| self.upscale.queue.get(id)) {
            Some(selected) => match &selected.state {
                State::Running(progress) => progress.saving && self.upscale.follows,
                State::Done(_) | State::Failed(_) | State::Moved(_) => self.upscale.follows,
                State::Waiting | State::Cancelled => false,
            },
            None => true,
        };
        if follows {
            // Whoever looks at whole pictures goes on to do so.
            let fits = self.upscale.view.fits;
            self.select(id);
            if fits {
                self.upscale.view = View::default();
            }
        }
        if let Some(open) = self.upscale.documents.get_mut(id) {
            let factor = scale as f64 / open.shown().scale as f64;
            open.document.begin_run(scale);
            (open.whole, open.asked) = (true, true);
            (open.refined, open.preview) = (None, None);
            if self.upscale.selected == Some(id) {
                self.upscale.view.rescale(factor);
            }
        }
        let index = self.upscale.queue.items().iter().position(|item| item.id == id).map_or(1, |place| place + 1);
        self.services.rests = false;
        let next = self.next_turn().and_then(|id| self.upscale.queue.get(id)).map(|item| item.path.clone());
        // With several workers nobody knows whose the next one will be.
        let next = next.filter(|_| self.services.helpers.is_empty());
        self.hand_over(place, Command::Upscale(Job { item: id, input, below, twin, index, choices, again, next }));
        true
    }
}
