//! Results that are there: saved elsewhere, made anew at another fidelity, shown in an earlier version.

use std::path::PathBuf;

use super::{
    Window,
    actions::Action,
    dialogs::Purpose,
    queue::{ItemId, State},
    worker::Command,
};
use crate::language::tr;

/// Fidelities that differ by less are the same.
const SAME: f32 = 0.004;

impl Window {
    pub(super) fn refine(&mut self, fidelity: f32) {
        let Some(item) = self.selected else { return };
        if !matches!(self.queue.get(item).map(|item| &item.state), Some(State::Done(_))) {
            return;
        }
        let shown = self.documents.get(item).and_then(|open| open.refined).map(|(fidelity, _)| fidelity);
        if shown.or(self.saved_fidelity(item)).is_some_and(|shown| (shown - fidelity).abs() < SAME) {
            self.refine_next = None;
            return;
        }
        // One at a time, the newest wish next.
        if self.refining {
            self.refine_next = Some((item, fidelity));
        } else {
            self.refining = true;
            self.send(Command::Refine { item, fidelity });
        }
    }

    /// Fidelity of the version of a picture that is saved and shown.
    pub(super) fn saved_fidelity(&self, item: ItemId) -> Option<f32> {
        match self.queue.get(item).map(|item| &item.state) {
            Some(State::Done(finished)) => Some(finished.fidelity),
            _ => None,
        }
    }

    /// The fidelity that is chosen and that the shown version of the selected picture does not have.
    pub(super) fn other_fidelity(&self) -> Option<f32> {
        let saved = self.saved_fidelity(self.selected?)?;
        let chosen = self.settings.choices.fidelity;
        ((saved - chosen).abs() >= SAME).then_some(chosen)
    }

    /// Saves a version of the selected picture at the chosen fidelity, beside those that are there: what is previewed, or by
    /// another run where the network's own result is not in memory any more.
    pub(super) fn apply_fidelity(&mut self) {
        let (Some(item), Some(_)) = (self.selected, self.other_fidelity()) else { return };
        if self.refining {
            // What is being made is what was asked for.
            self.applies = true;
            return;
        }
        let is_shown = self.documents.get(item).is_some_and(|open| open.refined.is_some());
        match self.queue.get(item).map(|item| &item.state) {
            Some(State::Done(finished)) if is_shown => {
                let output = finished.output.clone();
                let path = crate::naming::free(&output, &|_| false);
                self.send_save_as(item, output, path);
            }
            Some(State::Done(_)) => self.actions.push(Action::Retry(item)),
            _ => {}
        }
    }

    /// Shows a version of a picture that was made before.
    pub(super) fn show_version(&mut self, item: ItemId, version: usize) {
        let scale = self.scale();
        let Some(queued) = self.queue.get_mut(item).filter(|item| matches!(item.state, State::Done(_))) else { return };
        let Some(finished) = queued.versions.get(version).cloned() else { return };
        if !finished.output.exists() {
            self.toasts.warning(tr!("The file is not there any more: %{path}", path = finished.output.display()));
            return;
        }
        self.settings.choices.fidelity = finished.fidelity;
        queued.state = State::Done(finished);
        self.refine_next = None;
        if let Some(open) = self.documents.get_mut(item) {
            let factor = scale as f64 / open.document.scale as f64;
            open.document.clear_result(scale);
            (open.asked, open.refined) = (false, None);
            if self.selected == Some(item) {
                self.view.rescale(factor);
            }
        }
        self.note_queue_change();
        self.show_saved(item);
    }

    pub(super) fn ask_save_as(&mut self) {
        let Some(State::Done(finished)) = self.selected.and_then(|id| self.queue.get(id)).map(|item| &item.state)
        else {
            self.toasts.warning(tr!("There is no result to save yet."));
            return;
        };
        let Some(item) = self.selected else { return };
        let purpose = Purpose::SaveAs {
            item,
            name: finished.output.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            folder: finished.output.parent().map(PathBuf::from),
        };
        self.ask(purpose);
    }

    /// Saves the result of a picture to a path; `asks` if nobody has asked yet whether a file there may be replaced.
    pub(super) fn save_as(&mut self, item: ItemId, path: PathBuf, asks: bool) {
        let Some(queued) = self.queue.get(item) else { return };
        let State::Done(finished) = &queued.state else {
            self.toasts.error(tr!("%{name} has no result to save any more.", name = queued.name()));
            return;
        };
        let (output, original) = (finished.output.clone(), queued.path.clone());
        if path.is_dir() {
            self.toasts.error(tr!("%{path} is a folder: add a name.", path = path.display()));
            return;
        }
        // Without an extension it is the format of the result that was saved.
        let named = path.extension().is_some();
        let path = if named { path } else { path.with_extension(output.extension().unwrap_or_default()) };
        let same = |a: &std::path::Path| matches!((a.canonicalize(), path.canonicalize()), (Ok(a), Ok(b)) if a == b);
        if same(&original) {
            self.toasts.error(tr!("That is the original. Choose another name: it is never replaced."));
        } else if (asks || !named) && path.exists() {
            self.replacing = Some((item, path));
        } else {
            self.send_save_as(item, output, path);
        }
    }

    /// The user has agreed to replace a file.
    pub(super) fn replace(&mut self, item: ItemId, path: PathBuf) {
        if let Some(State::Done(finished)) = self.queue.get(item).map(|item| &item.state) {
            let output = finished.output.clone();
            self.send_save_as(item, output, path);
        }
    }

    pub(super) fn send_save_as(&mut self, item: ItemId, output: PathBuf, path: PathBuf) {
        let refined = self.documents.get(item).and_then(|open| open.refined);
        let mut choices = Box::new(self.settings.choices.clone());
        if let Some(State::Done(finished)) = self.queue.get(item).map(|item| &item.state) {
            // The result is of the model that made it, and as it is shown, whatever is chosen now.
            choices.model.clone_from(&finished.model);
            choices.fidelity = refined.map_or(finished.fidelity, |(fidelity, _)| fidelity);
        }
        let refined = refined.is_some();
        self.send(Command::SaveAs { item, output, path, choices, refined });
    }

    pub(super) fn show_in_folder(&mut self, id: ItemId) {
        let Some(State::Done(finished)) = self.queue.get(id).map(|item| &item.state) else { return };
        let Some(folder) = finished.output.parent() else { return };
        if let Err(error) = open::that_detached(folder) {
            self.toasts.error(tr!(
                "no file manager opens the folder (%{error}): %{folder}",
                error = error,
                folder = folder.display()
            ));
        }
    }
}
