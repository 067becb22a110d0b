//! What can be done in the Compress tab.

use std::{path::PathBuf, sync::Arc};

use poll_promise::Promise;

use super::{
    actions::CompressAction,
    export,
    preview_worker::PreviewWorker,
    profiles,
    questions::{Question, Subject},
    runner::Runner,
    runs::{RunId, RunState},
    state::{ProfileState, Side, Threads, subject},
    width_editor::WidthEditor,
};
use crate::{
    language::tr,
    library::Entry,
    report, samples,
    window::{Window, actions::Tab, dialogs::Purpose, library_news::Change, sheet::Sheet},
};

impl Window {
    /// Does what was asked for in the Compress tab.
    pub(in crate::window) fn handle_compress_action(&mut self, compress_action: CompressAction) {
        match compress_action {
            CompressAction::Start => self.start_compression(),
            CompressAction::PauseOrGoOn => {
                if let Some(threads) = &self.compress.threads {
                    let control = threads.runner.control();
                    control.pause(!control.is_paused());
                    // The time that a run is halted says nothing on how fast it is.
                    self.compress.clock = None;
                }
            }
            CompressAction::Stop => {
                if let Some(threads) = &self.compress.threads {
                    threads.runner.control().stop();
                }
            }
            CompressAction::GoOn(id) => {
                if let Some(run) = self.compress.runs.get_mut(id)
                    && matches!(run.state, RunState::Stopped | RunState::Failed(_))
                {
                    run.state = RunState::Waiting;
                }
            }
            CompressAction::Withdraw(id) => {
                let run = self.compress.runs.get_mut(id).filter(|run| run.state == RunState::Waiting);
                match run {
                    Some(run) if run.has_curves() => run.state = RunState::Stopped,
                    // Nothing of it is anywhere yet.
                    Some(_) => self.forget_run(id),
                    None => {}
                }
            }
            CompressAction::StopAfter(stage) => {
                self.shell.settings.compress.stop_after = stage;
                if let Some(threads) = &self.compress.threads {
                    threads.runner.control().stop_after(stage);
                }
            }
            CompressAction::Measure => self.measure_layers(),
            CompressAction::Choose(id) => self.choose_run(id),
            CompressAction::AskDelete(id) => self.shell.sheet = Some(Sheet::DeleteRun(id)),
            CompressAction::Delete(id) => self.delete_run(id),
            CompressAction::Leave(id) => {
                // It would come back with the folder that it lies in; the others of that folder stay.
                if let Some(run) = self.compress.runs.get(id) {
                    self.compress.watching.folders.retain(|folder| !run.folder.starts_with(folder));
                }
                self.forget_run(id);
            }
            CompressAction::OpenRun => self.ask(Purpose::RunFolder),
            CompressAction::RunFolder(folder) => self.open_runs(folder),
            CompressAction::ChooseData => self.ask(Purpose::CompressData),
            CompressAction::ChooseValidation => self.ask(Purpose::CompressValidation),
            CompressAction::ChoosePicture => self.ask(Purpose::ComparedPicture),
            CompressAction::Picture(path) => self.read_compared(Some(path)),
            CompressAction::SetWidth(unit, width) => {
                let multiple = self.shell.settings.compress.multiple;
                let layers = self.compressed_model().map(|entry| entry.layers.clone());
                if let Some(layers) = layers.filter(|_| unit < self.compress.width_editor.widths.len()) {
                    self.compress.width_editor.set(&layers, unit, width, multiple);
                    if let Some(entry) = self.compressed_model() {
                        // The slider stands where the network is.
                        let kept = self.compress.width_editor.kept(&entry.layers).0;
                        self.shell.settings.compress.ratio = (1.0 - kept).clamp(0.01, 0.99);
                    }
                    self.compress.side = Side::Instant;
                }
            }
            CompressAction::PreviewRequest(side) => self.compress.side = side,
            CompressAction::SetPage(page) => self.compress.page = page,
            CompressAction::SetModel(name) => {
                self.shell.settings.compress.model = name;
                self.compress.side = Side::Instant;
                self.open_compress();
                self.drop_foreign_run();
            }
            CompressAction::SetRatio(ratio) => {
                self.shell.settings.compress.ratio = ratio;
                self.share();
            }
            CompressAction::SetChoices(choices) => self.shell.settings.compress = *choices,
            CompressAction::SetPlots(plots) => self.shell.settings.compress.plots = *plots,
            CompressAction::Share => self.share(),
            CompressAction::OwnData => self.shell.settings.compress.data.clear(),
            CompressAction::OwnValidation => self.shell.settings.compress.validation = None,
            CompressAction::Mark(unit) => self.compress.unit = unit,
            CompressAction::Lock(unit, locked) => {
                if let Some(lock) = self.compress.width_editor.locked.get_mut(unit) {
                    *lock = locked;
                    self.compress.side = Side::Instant;
                }
            }
            CompressAction::UnlockAll => {
                self.compress.width_editor.locked.fill(false);
                self.share();
            }
            CompressAction::SetLeast(unit, least) => {
                if let Some(fewest) = self.compress.width_editor.least.get_mut(unit) {
                    *fewest = least;
                    self.share();
                }
            }
            CompressAction::PutAside => (self.compress.chosen, self.compress.side) = (None, Side::Instant),
            CompressAction::Shrink(shrinks) => {
                self.compress.shown.shrinks = shrinks;
                self.read_compared(self.compress.shown.path.clone());
            }
            CompressAction::JudgeWhole => self.judge_whole(),
            CompressAction::ShowPlace(area) => self.compress.show_place(area),
            CompressAction::SetGain(gain) => self.shell.settings.gain = gain,
            CompressAction::Filter(words) => self.compress.table.filter = words,
            CompressAction::OrderBy(column, descending) => {
                (self.compress.table.column, self.compress.table.descending) = (column, descending);
            }
            CompressAction::GroupSeeds(grouped) => self.compress.table.grouped = grouped,
            CompressAction::Overlay(id, true) => drop(self.compress.overlaid.insert(id)),
            CompressAction::Overlay(id, false) => drop(self.compress.overlaid.remove(&id)),
            CompressAction::PlotArea(area) => self.compress.plots = area,
            CompressAction::UseInUpscale(id) => {
                if let Some(run) = self.compress.runs.get(id).filter(|run| run.report.is_some()) {
                    self.change_library(Change::Adopt(run.folder.clone()));
                }
            }
            CompressAction::TakeSettings(id) => self.take_settings(id),
            CompressAction::ShowFolder(id) => {
                let Some(run) = self.compress.runs.get(id) else { return };
                if let Err(error) = open::that_detached(&run.folder) {
                    let folder = run.folder.display().to_string();
                    self.shell.toasts.error(tr!(
                        "no file manager opens the folder (%{error}): %{folder}",
                        error = error,
                        folder = folder
                    ));
                }
            }
            CompressAction::ExportCsv => self.ask(Purpose::CurvesCsv),
            CompressAction::ExportPng => self.ask(Purpose::PlotsPng),
        }
    }

    /// The threads of the tab, started if they are not.
    pub(in crate::window) fn threads(&mut self) -> Option<&Threads> {
        if self.compress.threads.is_none() {
            let start = || -> std::io::Result<Threads> {
                let library = self.models.library.clone();
                Ok(Threads {
                    runner: Runner::start(library.clone(), self.services.paths.clone(), self.services.wake.clone())?,
                    preview_worker: PreviewWorker::start(
                        library,
                        self.services.paths.clone(),
                        self.services.wake.clone(),
                    )?,
                })
            };
            match start() {
                Ok(threads) => {
                    threads.runner.control().stop_after(self.shell.settings.compress.stop_after);
                    self.compress.threads = Some(threads);
                }
                Err(error) => {
                    self.shell
                        .toasts
                        .error(tr!("the system gives no threads for compression (%{error})", error = error));
                    return None;
                }
            }
        }
        self.compress.threads.as_ref()
    }

    /// The model to compress.
    pub(in crate::window) fn compressed_model(&self) -> Option<&Entry> {
        self.models.entries.iter().find(|entry| entry.name == self.shell.settings.compress.model)
    }

    /// Readies the tab: its model, its picture, facts of its data.
    pub(in crate::window) fn open_compress(&mut self) {
        if self.compressed_model().is_none() {
            self.shell.settings.compress.model = crate::window::settings::Choices::default().model;
        }
        let Some(entry) = self.compressed_model() else { return };
        let scale_of_model = entry.description.scale();
        if self.compress.model != entry.name {
            let (name, has_duals) = (entry.name.clone(), entry.has_duals);
            self.compress.width_editor = WidthEditor::of(&entry.layers);
            self.compress.model.clone_from(&name);
            (self.compress.unit, self.compress.profile) = (None, ProfileState::None);
            // What was drawn of another model stays until there is more, unless it is of another size.
            if self.compress.shown.scale == scale_of_model {
                self.compress.forget_requests();
            } else {
                self.compress.clear_pixels();
            }
            if !has_duals {
                self.compress.profile = ProfileState::Failed(tr!("it has no dual models"));
            } else if profiles::was_begun(&self.services.paths, &self.models.library, &name) {
                self.measure_layers();
            }
        }
        let scale = self.compared_scale();
        if (self.compress.shown.scale != scale || self.compress.shown.name.is_empty())
            && self.compress.shown.reading.is_none()
        {
            let path = self.compress.shown.path.clone();
            self.read_compared(path);
        }
        self.scan_data(scale_of_model);
    }

    /// Has the layers of the chosen model measured, or what was measured read.
    fn measure_layers(&mut self) {
        if matches!(self.compress.profile, ProfileState::Measuring(..) | ProfileState::Ready(_)) {
            return;
        }
        let Some(layers) =
            self.compressed_model().filter(|entry| entry.has_duals).map(|entry| entry.layers.widths.len())
        else {
            return;
        };
        let (model, device) = (self.compress.model.clone(), self.shell.settings.choices.device.clone());
        self.compress.profile = ProfileState::Measuring(0, layers + 1);
        if let Some(threads) = self.threads() {
            threads.preview_worker.ask(Question::Profile { model, device });
        }
    }

    /// Enlargement of the networks that are compared.
    pub(in crate::window) fn compared_scale(&self) -> usize {
        let run = match self.compress.side {
            Side::Run(id) => self.compress.runs.get(id).map(|run| run.original.scale()),
            Side::Instant => None,
        };
        run.or_else(|| self.compressed_model().map(|entry| entry.description.scale())).unwrap_or(2)
    }

    /// Has the picture read that networks are compared on: a file, or the one inside the program.
    pub(in crate::window) fn read_compared(&mut self, path: Option<PathBuf>) {
        let (scale, shrinks, wake) = (self.compared_scale(), self.compress.shown.shrinks, self.services.wake.clone());
        self.compress.shown.scale = scale;
        self.compress.shown.path.clone_from(&path);
        self.compress.shown.reading = Some(Promise::spawn_thread("picture to compare on", move || {
            // A promise that is broken by a panic would take the window with it.
            let read = || -> Result<(String, Subject), String> {
                let (name, picture) = match path {
                    Some(path) => {
                        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                        (name, dualres_imaging::read(&path).map_err(|error| error.to_string())?)
                    }
                    None => {
                        let (name, bytes) = samples::first();
                        (name.to_owned(), dualres_imaging::decode(bytes, name).map_err(|error| error.to_string())?)
                    }
                };
                Ok((name, subject(picture, scale, shrinks)?))
            };
            let read = dualres_imaging::caught(read).unwrap_or_else(|_| Err(tr!("the decoder gave up on it")));
            wake();
            read
        }));
    }

    /// Shares the ratio among the layers that are not locked.
    pub(in crate::window) fn share(&mut self) {
        let choices = &self.shell.settings.compress;
        if let ProfileState::Ready(profile) = &self.compress.profile {
            let profile: Arc<_> = profile.clone();
            let lambda = choices.config(choices.overrides.method, "", Vec::new(), None).search.lambda;
            self.compress.width_editor.share(&profile, choices.ratio, lambda, choices.least, choices.multiple);
        }
        self.compress.side = Side::Instant;
    }

    /// Writes the curves in sight to a file.
    pub(in crate::window) fn export_csv(&mut self, path: PathBuf) {
        let runs: Vec<_> = self.drawn_runs().into_iter().filter_map(|id| self.compress.runs.get(id)).collect();
        let runs: Vec<_> = runs.iter().map(|run| (run.name().to_owned(), run.folder.clone())).collect();
        if runs.is_empty() {
            self.shell.toasts.warning(tr!("There are no curves to export: choose a run."));
            return;
        }
        self.export(path, move |path| export::csv(&runs, path));
    }

    pub(in crate::window) fn export(
        &mut self,
        path: PathBuf,
        write: impl FnOnce(&std::path::Path) -> anyhow::Result<()> + Send + 'static,
    ) {
        let wake = self.services.wake.clone();
        self.compress.exporting.push(Promise::spawn_thread("export", move || {
            let done = write(&path).map(|()| path).map_err(|error| report::message(&error));
            wake();
            done
        }));
    }

    /// The runs whose curves are drawn: the chosen one last.
    pub(in crate::window) fn drawn_runs(&self) -> Vec<RunId> {
        let others = self.compress.overlaid.iter().copied().filter(|id| Some(*id) != self.compress.chosen);
        others.chain(self.compress.chosen).collect()
    }

    /// Goes to the Compress tab.
    pub(in crate::window) fn show_compress(&mut self) {
        self.shell.tab = Tab::Compress;
        self.open_compress();
    }

    pub(in crate::window) fn compress_action(&mut self, compress_action: CompressAction) {
        self.shell.actions.compress_action(compress_action);
    }
}
