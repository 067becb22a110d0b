//! Changes to the library, which read and write files and so do not happen in a frame.

use anyhow::anyhow;
use poll_promise::Promise;

use super::{
    Window,
    actions::Tab,
    completing::Completing,
    compress::questions::Question,
    library_news::{Change, Done, News},
    settings::Choices,
    worker::Command,
};
use crate::{
    language::{tr, translated},
    report,
};

impl Window {
    /// Has the library changed beside the window.
    pub(super) fn change_library(&mut self, change: Change) {
        let (library, wake) = (self.models.library.clone(), self.services.wake.clone());
        let before = self.models.library_tasks.pop();
        self.models.library_tasks.push(Promise::spawn_thread("library", move || {
            // One change after the other: two imports must not take the same name.
            let earlier = before.map(Promise::block_and_take);
            // A promise that is broken by a panic would take the window with it.
            let told = || anyhow!(tr!("a model file cannot be understood"));
            let attempt = || match change {
                Change::Import(path) => library.import(&path).map(|(name, notes)| Done::Imported(name, notes)),
                Change::Add(bytes) => library.add(&bytes).map(Done::Adopted),
                Change::Remove(name) => library.remove(&name).map(|()| Done::Removed(name)),
                Change::Adopt(folder) => library.adopt(&folder).map(Done::Adopted),
                Change::Completed(name) => Ok(Done::Completed(name)),
                Change::Export(name, path) => library.export(&name, &path).map(|()| Done::Exported(path)),
            };
            let done = dualres_imaging::caught(attempt).unwrap_or_else(|_| Err(told()));
            let entries = dualres_imaging::caught(|| library.entries()).unwrap_or_else(|_| Err(told()));
            let news = News { done, entries };
            wake();
            let mut all = earlier.unwrap_or_default();
            all.push(news);
            all
        }));
    }

    /// Begins to make what a model lacks, unless another one is at it.
    pub(super) fn complete_model(&mut self, name: String) {
        if self.models.completing.is_some() {
            self.shell.toasts.warning(tr!("Another model is being completed"));
            return;
        }
        let (places, device) =
            ((self.models.library.clone(), self.services.paths.clone()), self.shell.settings.choices.device.clone());
        self.models.completing = Some(Completing::start(places, name, device, self.services.wake.clone()));
    }

    /// Takes in that a model was completed.
    pub(super) fn take_completed(&mut self) {
        let Some(completing) = self.models.completing.take() else { return };
        let name = completing.name.clone();
        match completing.ended() {
            Err(under_way) => self.models.completing = Some(under_way),
            // The library is read again.
            Ok(Ok(true)) => self.change_library(Change::Completed(name)),
            Ok(Ok(false)) => self
                .shell
                .toasts
                .warning(tr!("Cancelled: %{name} stays as it was; the next attempt resumes", name = name)),
            Ok(Err(error)) => self.shell.toasts.error(format!("{name}: {}", report::message(&error))),
        }
    }

    /// Takes in what came of changes.
    pub(super) fn take_library_news(&mut self) {
        if self.models.library_tasks.last().is_none_or(|task| task.ready().is_none()) {
            return;
        }
        let Some(Ok(all)) = self.models.library_tasks.pop().map(Promise::try_take) else { return };
        // The worker may hold a model whose name now stands for another.
        self.send(Command::Forget);
        if let Some(threads) = &self.compress.threads {
            threads.preview_worker.ask(Question::Forget);
        }
        let compressed = self.compressed_model().map(|entry| entry.description.clone());
        for News { done, entries } in all {
            match entries {
                Ok((entries, complaints)) => {
                    self.models.put(entries);
                    complaints.into_iter().for_each(|text| self.shell.toasts.warning(text));
                }
                Err(error) => self.shell.toasts.error(report::message(&error)),
            }
            match done {
                Ok(Done::Imported(name, notes)) => {
                    self.shell.toasts.good(tr!("Imported the model %{name}", name = name));
                    if !notes.is_empty() {
                        let notes: Vec<String> = notes.iter().map(|note| translated(note)).collect();
                        self.shell.toasts.warning(notes.join("; "));
                    }
                    self.models.shown_model = Some(name);
                    self.shell.tab = Tab::Models;
                }
                Ok(Done::Removed(name)) => {
                    if self.shell.settings.choices.model == name {
                        self.use_model(&Choices::default().model);
                    }
                    self.shell.toasts.good(tr!("Removed the model %{name}.", name = name));
                }
                Ok(Done::Adopted(name)) => {
                    self.shell.toasts.good(tr!("%{name} is in the library, and chosen here.", name = name));
                    self.use_model(&name);
                    self.shell.tab = Tab::Upscale;
                }
                Ok(Done::Completed(name)) => {
                    self.shell.toasts.good(tr!(
                        "%{name} is complete: its results are proven and their errors predicted",
                        name = name
                    ));
                }
                Ok(Done::Exported(path)) => self.shell.toasts.good(tr!("Exported %{path}", path = path.display())),
                Err(error) => self.shell.toasts.error(report::message(&error)),
            }
        }
        if self.compressed_model().map(|entry| &entry.description) != compressed.as_ref() {
            // Another model has its name now: nothing that was measured of it holds.
            self.compress.model.clear();
        }
    }
}
