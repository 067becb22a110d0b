//! Results that are there: saved elsewhere, made anew at another fidelity, shown in an earlier version.

use std::path::PathBuf;

use super::{
    Window,
    actions::Action,
    dialogs::Purpose,
    queue::{Finished, ItemId, Proven, State},
    sheet::Sheet,
    worker::Command,
};
use crate::language::tr;

/// Fidelities that differ by less are the same.
const SAME: f32 = 0.004;

impl Window {
    /// Shows the selected picture's result at another fidelity: a preview, until it is applied.
    pub(super) fn refine(&mut self, fidelity: f32) {
        let Some((item, finished)) = self.selected_result() else { return };
        // One at a time, the newest wish next.
        if self.upscale.refinement.is_under_way() {
            self.upscale.refinement.next = Some((item, fidelity));
            return;
        }
        let shown = self
            .upscale
            .documents
            .get(item)
            .and_then(|open| open.refined)
            .map_or(finished.fidelity, |(shown, _)| shown);
        if (shown - fidelity).abs() >= SAME {
            let (model, number) = (finished.model.clone(), self.upscale.refinement.begin());
            self.send(Command::Refine { number, item, model, fidelity });
        }
    }

    /// The selected picture and its result, if it is done.
    fn selected_result(&self) -> Option<(ItemId, &Finished)> {
        let item = self.upscale.queue.get(self.upscale.selected?)?;
        if let State::Done(finished) = &item.state { Some((item.id, finished)) } else { None }
    }

    /// Fidelity of the version of a picture that is saved and shown.
    pub(super) fn saved_fidelity(&self, item: ItemId) -> Option<f32> {
        match self.upscale.queue.get(item).map(|item| &item.state) {
            Some(State::Done(finished)) => Some(finished.fidelity),
            _ => None,
        }
    }

    /// The fidelity that is chosen and that the shown version of the selected picture does not have; none where the model that made
    /// it has no way to.
    pub(super) fn other_fidelity(&self) -> Option<f32> {
        let (_, finished) = self.selected_result()?;
        let chosen = self.shell.settings.choices.fidelity;
        let model = self.models.entries.iter().find(|entry| entry.name == finished.model)?;
        (model.has_duals && (finished.fidelity - chosen).abs() >= SAME).then_some(chosen)
    }

    /// Saves a version of the selected picture at the chosen fidelity, beside those that are there: what is previewed, or what another
    /// run makes where the network's own result is not in memory any more.
    pub(super) fn apply_fidelity(&mut self) {
        let (Some(wanted), Some((item, finished))) = (self.other_fidelity(), self.selected_result()) else { return };
        let (output, model) = (finished.output.clone(), finished.model.clone());
        let shown = self.upscale.documents.get(item).and_then(|open| open.refined).map(|(shown, _)| shown);
        if !self.upscale.refinement.is_under_way() && shown.is_some_and(|shown| (shown - wanted).abs() < SAME) {
            let mut choices = Box::new(self.shell.settings.choices.clone());
            (choices.model, choices.fidelity) = (model, wanted);
            self.send(Command::SaveVersion { item, output, choices });
            self.upscale.refinement.saving = Some(item);
        } else {
            // What is shown is not what is wanted, yet.
            self.upscale.refinement.applies = Some(item);
            self.refine(wanted);
        }
    }

    /// A result was refined.
    pub(super) fn take_refined(&mut self, number: u64, item: ItemId, fidelity: f32, proven: Proven) {
        if !self.upscale.refinement.ends(number) {
            return;
        }
        // What is saved is no preview.
        let is_saved = self.saved_fidelity(item).is_some_and(|saved| (saved - fidelity).abs() < SAME);
        if let Some(open) = self.upscale.documents.get_mut(item) {
            open.refined = (!is_saved).then_some((fidelity, proven));
        }
        if let Some((wanted, next)) = self.upscale.refinement.next.take()
            && self.upscale.selected == Some(wanted)
        {
            self.shell.actions.push(Action::Refine(next));
        }
        if self
            .upscale
            .refinement
            .applies
            .take()
            .is_some_and(|applies| applies == item && self.upscale.selected == Some(item))
        {
            self.shell.actions.push(Action::ApplyFidelity);
        }
    }

    /// A result that is to be refined, or saved as it is shown, is not in memory.
    pub(super) fn take_not_at_hand(&mut self, item: ItemId) {
        let applies = self.upscale.refinement.applies == Some(item) || self.upscale.refinement.saving == Some(item);
        self.forget_refinement();
        self.upscale.refinement.at_hand.take_if(|there| *there == item);
        self.show_saved_anew(item);
        let Some(queued) = self.upscale.queue.get_mut(item) else { return };
        let State::Done(finished) = &queued.state else { return };
        if applies {
            // By the model that made the version that is there.
            queued.redo = Some((finished.model.clone(), self.shell.settings.choices.fidelity));
            // Nobody has asked for what waits besides.
            self.upscale.only = (!self.upscale.runs).then_some(item);
            self.shell.actions.push(Action::Retry(item));
        } else {
            self.begin_preview_of_fidelity(item);
        }
    }

    /// A version was saved.
    pub(super) fn take_version(&mut self, item: ItemId, output: PathBuf, size: [usize; 2], fidelity: f32) {
        self.upscale.refinement.saving = None;
        let proven = self.upscale.documents.get_mut(item).and_then(|open| {
            let is_it = open.refined.is_some_and(|(shown, _)| (shown - fidelity).abs() < SAME);
            if is_it { open.refined.take() } else { None }
        });
        self.shell.toasts.good(tr!("Saved %{path}", path = output.display()));
        let Some(queued) = self.upscale.queue.get_mut(item) else { return };
        if let State::Done(finished) = &queued.state {
            let proven = proven.map_or(finished.proven, |(_, proven)| proven);
            // What the run saved stays as it is: this is another version.
            queued.finish(Finished { output, size, fidelity, proven, ..finished.clone() });
            self.note_queue_change();
        }
    }

    /// Nobody waits for what is being refined any more.
    pub(super) fn forget_refinement(&mut self) {
        self.upscale.refinement.forget();
    }

    /// Has the saved result of a picture shown in place of what is shown of it.
    fn show_saved_anew(&mut self, item: ItemId) {
        let Some(open) = self.upscale.documents.get_mut(item) else { return };
        open.document.clear_result(open.document.scale);
        (open.asked, open.refined) = (false, None);
        self.show_saved(item);
    }

    /// Shows a version of a picture that was made before.
    pub(super) fn show_version(&mut self, item: ItemId, version: usize) {
        let scale = self.scale();
        let Some(queued) = self.upscale.queue.get_mut(item).filter(|item| matches!(item.state, State::Done(_))) else {
            return;
        };
        let Some(finished) = queued.versions.get(version).cloned() else { return };
        if !finished.output.exists() {
            self.shell.toasts.warning(tr!("The file is not there any more: %{path}", path = finished.output.display()));
            return;
        }
        self.shell.settings.choices.fidelity = finished.fidelity;
        queued.state = State::Done(finished);
        self.forget_refinement();
        if let Some(open) = self.upscale.documents.get_mut(item) {
            let factor = scale as f64 / open.shown().scale as f64;
            open.document.clear_result(scale);
            (open.asked, open.refined, open.preview) = (false, None, None);
            if self.upscale.selected == Some(item) {
                self.upscale.view.rescale(factor);
            }
        }
        self.note_queue_change();
        self.show_saved(item);
    }

    pub(super) fn ask_save_as(&mut self) {
        let Some(State::Done(finished)) =
            self.upscale.selected.and_then(|id| self.upscale.queue.get(id)).map(|item| &item.state)
        else {
            self.shell.toasts.warning(tr!("There is no result to save yet."));
            return;
        };
        let Some(item) = self.upscale.selected else { return };
        let purpose = Purpose::SaveAs {
            item,
            name: finished.output.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            folder: finished.output.parent().map(PathBuf::from),
        };
        self.ask(purpose);
    }

    /// Saves the result of a picture to a path; `asks` if nobody has asked yet whether a file there may be replaced.
    pub(super) fn save_as(&mut self, item: ItemId, path: PathBuf, asks: bool) {
        let Some(queued) = self.upscale.queue.get(item) else { return };
        let State::Done(finished) = &queued.state else {
            self.shell.toasts.error(tr!("%{name} has no result to save any more.", name = queued.name()));
            return;
        };
        let (output, original) = (finished.output.clone(), queued.path.clone());
        if path.is_dir() {
            self.shell.toasts.error(tr!("%{path} is a folder: add a name.", path = path.display()));
            return;
        }
        // Without an extension it is the format of the result that was saved.
        let named = path.extension().is_some();
        let path = if named { path } else { path.with_extension(output.extension().unwrap_or_default()) };
        let same = |a: &std::path::Path| matches!((a.canonicalize(), path.canonicalize()), (Ok(a), Ok(b)) if a == b);
        if same(&original) {
            self.shell.toasts.error(tr!("That is the original. Choose another name: it is never replaced."));
        } else if (asks || !named) && path.exists() {
            self.shell.sheet = Some(Sheet::Replace(item, path));
        } else {
            self.send_save_as(item, output, path);
        }
    }

    /// The user has agreed to replace a file.
    pub(super) fn replace(&mut self, item: ItemId, path: PathBuf) {
        if let Some(State::Done(finished)) = self.upscale.queue.get(item).map(|item| &item.state) {
            let output = finished.output.clone();
            self.send_save_as(item, output, path);
        }
    }

    pub(super) fn send_save_as(&mut self, item: ItemId, output: PathBuf, path: PathBuf) {
        let refined = self.upscale.documents.get(item).and_then(|open| open.refined);
        let mut choices = Box::new(self.shell.settings.choices.clone());
        if let Some(State::Done(finished)) = self.upscale.queue.get(item).map(|item| &item.state) {
            // The result is of the model that made it, and as it is shown, whatever is chosen now.
            choices.model.clone_from(&finished.model);
            choices.fidelity = refined.map_or(finished.fidelity, |(fidelity, _)| fidelity);
        }
        let refined = refined.is_some();
        self.send(Command::SaveAs { item, output, path, choices, refined });
    }

    pub(super) fn show_in_folder(&mut self, id: ItemId) {
        let Some(State::Done(finished)) = self.upscale.queue.get(id).map(|item| &item.state) else { return };
        let Some(folder) = finished.output.parent() else { return };
        if let Err(error) = open::that_detached(folder) {
            self.shell.toasts.error(tr!(
                "no file manager opens the folder (%{error}): %{folder}",
                error = error,
                folder = folder.display()
            ));
        }
    }
}
