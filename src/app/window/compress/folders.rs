//! Run folders: choosing, measuring, deleting and reading them.

use std::path::PathBuf;

use dualres_compression::RESULT_FILE;
use poll_promise::Promise;

use super::{
    questions::Question,
    remember::{self, Remembered},
    runs::{Recalled, Run, RunId, RunState, forget_latency, recall},
    state::{Found, Side},
};
use crate::{
    language::tr,
    report,
    window::{Window, sheet::Sheet},
};

impl Window {
    pub(in crate::window) fn choose_run(&mut self, id: RunId) {
        let Some(run) = self.compress.runs.get(id) else { return };
        let done = run.report.is_some();
        self.compress.chosen = Some(id);
        if done {
            self.compress.side = Side::Run(id);
        }
        self.measure_run(id);
    }

    /// Has a finished run timed beside its original, unless it was on this device.
    pub(super) fn measure_run(&mut self, id: RunId) {
        let device = self.device().to_owned();
        let Some(run) = self.compress.runs.get(id) else { return };
        let known = run.latency.as_ref().is_some_and(|latency| latency.device == device && !latency.is_noisy());
        // What a run takes of the machine would be measured with it.
        if run.report.is_none() || known || self.compress.runs.running().is_some() {
            return;
        }
        let pair = Box::new(self.pair_of(run));
        if let Some(threads) = self.threads() {
            threads.preview_worker.ask(Question::Latency { run: Some(id), pair });
        }
    }

    pub(super) fn delete_run(&mut self, id: RunId) {
        self.close_sheet(&Sheet::DeleteRun(id));
        let Some(run) = self.compress.runs.get(id) else { return };
        if run.state == RunState::Running {
            self.shell.toasts.warning(tr!("The run is under way: stop it first."));
            return;
        }
        let folder = run.folder.clone();
        // Only the files of a run: whatever else lies in the folder is not ours.
        forget_latency(&folder);
        if folder.exists()
            && let Err(error) = dualres_compression::remove_run(&folder)
        {
            self.shell.toasts.error(error.to_string());
            return;
        }
        self.forget_run(id);
    }

    /// Lets go of a chosen run of another network than the one that is shaped now.
    pub(in crate::window) fn drop_foreign_run(&mut self) {
        let own = self.compressed_model().map(|entry| entry.layers.clone());
        if self.compress.run().is_some_and(|run| Some(&run.layers) != own.as_ref()) {
            self.compress.chosen = None;
        }
    }

    pub(super) fn forget_run(&mut self, id: RunId) {
        self.compress.runs.remove(id);
        self.compress.overlaid.remove(&id);
        if self.compress.chosen == Some(id) {
            self.compress.chosen = None;
        }
        if self.compress.side == Side::Run(id) {
            self.compress.side = Side::Instant;
        }
    }

    /// Reads run folders beside the window; `asked` if the user pointed at them.
    pub(in crate::window) fn recall_runs(&mut self, folders: Vec<PathBuf>, asked: bool) {
        let wake = self.services.wake.clone();
        self.compress.recalling.push(Promise::spawn_thread("run folders", move || {
            let read = |folder: PathBuf| {
                let attempt = || recall(&folder).map_err(|error| report::message(&error));
                let read = dualres_imaging::caught(attempt).unwrap_or_else(|_| Err(tr!("its files are damaged")));
                (folder, asked, read)
            };
            let found: Found = folders.into_iter().map(read).collect();
            wake();
            found
        }));
    }

    /// Brings back the runs that there are, and goes on with those that were under way.
    pub(in crate::window) fn recall_all_runs(&mut self, remembered: Remembered) {
        self.compress.saved = remembered.clone();
        for queued in remembered.queue {
            // Now, not beside the window: its curves go on from what they are.
            let recalled = recall(&queued.folder).ok().flatten();
            let description = match &recalled {
                Some(Recalled { history, .. }) => Some(history.original.clone()),
                None => {
                    self.models.entries.iter().find(|entry| entry.name == queued.model).map(|e| e.description.clone())
                }
            };
            // Its model has gone and it never began: there is nothing to go on with.
            let Some(description) = description else { continue };
            let id = self.compress.runs.number();
            let mut run = Run::new(id, queued.folder, queued.model, queued.config, description);
            recalled.into_iter().for_each(|recalled| run.recall(recalled));
            // A window that was killed may have missed the end of a run.
            if run.report.is_some() {
                continue;
            }
            self.shell.toasts.good(tr!("Resuming the run %{name}", name = run.name()));
            self.compress.runs.add(run);
            self.compress.chosen = self.compress.chosen.or(Some(id));
        }
        let own = remember::runs_folder(&self.services.paths);
        let mut folders: Vec<PathBuf> =
            std::fs::read_dir(own).map(|list| list.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
        folders.sort_by_key(|folder| std::fs::metadata(folder).and_then(|facts| facts.modified()).ok());
        folders.extend(remembered.folders);
        self.compress.watching.folders = remembered.watched;
        if !folders.is_empty() {
            self.recall_runs(folders, false);
        }
    }

    /// What a finished run left.
    pub(in crate::window) fn result_file(run: &Run) -> PathBuf {
        run.folder.join(RESULT_FILE)
    }
}
