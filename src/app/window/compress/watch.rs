//! Looking at run folders that somebody else may be filling.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use dualres_compression::{CONFIG_FILE, EVENTS_FILE, REPORT_FILE, run_folders};
use poll_promise::Promise;

use super::{
    runs::{RunId, RunState},
    state::Page,
    watching::Stamps,
};
use crate::{
    language::tr,
    window::{Window, actions::Tab},
};

/// Time between two looks.
const PAUSE: Duration = Duration::from_secs(3);

impl Window {
    /// Opens what lies in a folder: a run, or all runs in it and those that will come.
    pub(in crate::window) fn open_runs(&mut self, folder: PathBuf) {
        if folder.join(CONFIG_FILE).is_file() {
            self.recall_runs(vec![folder], true);
            return;
        }
        let found = run_folders(&folder);
        if found.is_empty() {
            self.shell
                .toasts
                .error(tr!("There is no compression run in the folder %{folder}", folder = folder.display()));
            return;
        }
        let watching = &mut self.compress.watching;
        if !watching.folders.contains(&folder) {
            watching.folders.push(folder);
        }
        self.shell.tab = Tab::Compress;
        self.compress.page = Page::Runs;
        self.recall_runs(found, false);
    }

    /// Looks, where it is time, whether runs that are not done here went on.
    pub(super) fn watch_runs(&mut self, ctx: &eframe::egui::Context) {
        let watching = &mut self.compress.watching;
        if let Some(promise) = watching.looking.take() {
            match promise.try_take() {
                Ok(stamps) => self.take_stamps(stamps),
                Err(unfinished) => watching.looking = Some(unfinished),
            }
            return;
        }
        // What is over does not change.
        let open = |id: &RunId| self.compress.runs.get(*id).is_some_and(|run| run.state == RunState::Stopped);
        let unfinished = self.compress.runs.iter().map(|run| run.id).filter(open);
        let alone: Vec<PathBuf> =
            unfinished.filter_map(|id| Some(self.compress.runs.get(id)?.folder.clone())).collect();
        let folders = self.compress.watching.folders.clone();
        if folders.is_empty() && alone.is_empty() {
            return;
        }
        let watching = &mut self.compress.watching;
        if watching.last.is_some_and(|last| last.elapsed() < PAUSE) {
            ctx.request_repaint_after(PAUSE);
            return;
        }
        watching.last = Some(Instant::now());
        let wake = self.services.wake.clone();
        watching.looking = Some(Promise::spawn_thread("watched runs", move || {
            let found = folders.iter().flat_map(|folder| run_folders(folder)).chain(alone);
            let stamps = found.filter_map(|folder| Some((folder.clone(), stamp(&folder)?))).collect();
            wake();
            stamps
        }));
    }

    fn take_stamps(&mut self, stamps: Stamps) {
        let known = |folder: &Path| self.compress.runs.of_folder(folder);
        let is_news = |folder: &Path, stamp: &SystemTime| match self.compress.watching.seen.get(folder) {
            Some(seen) => seen != stamp,
            None => known(folder).and_then(|id| self.compress.runs.get(id)).is_none_or(|run| run.changed != *stamp),
        };
        let news: Vec<PathBuf> =
            stamps.iter().filter(|(folder, stamp)| is_news(folder, stamp)).map(|(folder, _)| folder.clone()).collect();
        self.compress.watching.seen = stamps;
        if !news.is_empty() {
            self.recall_runs(news, false);
        }
    }
}

/// When the newest of the files that tell of progress was written.
fn stamp(folder: &Path) -> Option<SystemTime> {
    let written = |name: &str| std::fs::metadata(folder.join(name)).and_then(|facts| facts.modified()).ok();
    [REPORT_FILE, EVENTS_FILE, CONFIG_FILE].into_iter().filter_map(written).max()
}
