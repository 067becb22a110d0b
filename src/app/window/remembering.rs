//! What survives the program is written beside the window, as it changes.

use std::time::{Duration, Instant};

use eframe::egui;
use poll_promise::Promise;

use super::{
    Window,
    app::{queue_file, settings_file},
    compress,
    stored::{self, Memory},
};
use crate::language::tr;

impl Window {
    /// Has what is to survive the program written beside the window, at most once a second.
    pub(super) fn remember(&mut self, ctx: &egui::Context) {
        if !matches!(self.shell.memory, Memory::Own(_)) {
            return;
        }
        let runs_changed =
            compress::remember::of(&self.compress.runs, &self.compress.watching.folders, &self.services.paths)
                != self.compress.saved;
        if self.shell.settings != self.shell.saved
            || self.upscale.queue_changed
            || runs_changed
            || self.shell.remembering.is_some()
        {
            ctx.request_repaint_after(Duration::from_secs(1));
        }
        if self.shell.remembered_at.elapsed() < Duration::from_secs(1) {
            return;
        }
        match self.shell.remembering.take().map(Promise::try_take) {
            Some(Err(unfinished)) => self.shell.remembering = Some(unfinished),
            Some(Ok(complaints)) => complaints.into_iter().for_each(|text| self.shell.toasts.error(text)),
            None => {
                self.shell.remembered_at = Instant::now();
                if let Some(write) = self.take_changes() {
                    self.shell.remembering = Some(Promise::spawn_thread("remember", write));
                }
            }
        }
    }

    /// What writes all that has changed since it was written last, and returns what went wrong; `None` if nothing has changed.
    pub(super) fn take_changes(&mut self) -> Option<impl FnOnce() -> Vec<String> + use<>> {
        let settings = (self.shell.settings != self.shell.saved).then(|| self.shell.settings.clone());
        let queue = std::mem::take(&mut self.upscale.queue_changed).then(|| self.upscale.queue.remember());
        let runs = compress::remember::of(&self.compress.runs, &self.compress.watching.folders, &self.services.paths);
        let runs = (runs != self.compress.saved).then_some(runs);
        if settings.is_none() && queue.is_none() && runs.is_none() {
            return None;
        }
        self.shell.saved = self.shell.settings.clone();
        if let Some(runs) = &runs {
            self.compress.saved.clone_from(runs);
        }
        let paths = self.services.paths.clone();
        Some(move || {
            let settings = settings.and_then(|s| stored::write(&settings_file(&paths), &s).err());
            let queue = queue.and_then(|q| stored::write(&queue_file(&paths), &q).err());
            let runs = runs.and_then(|r| stored::write(&compress::remember::file(&paths), &r).err());
            let all = [
                settings.map(|error| tr!("the settings could not be remembered: %{error}", error = error)),
                queue.map(|error| tr!("the queue could not be remembered: %{error}", error = error)),
                runs.map(|error| tr!("the list of runs could not be remembered: %{error}", error = error)),
            ];
            all.into_iter().flatten().collect()
        })
    }
}
