//! What can be done in the Compress tab.

use std::{path::PathBuf, sync::Arc};

use dualres_compression::{CompressConfig, Method, RESULT_FILE, Stage};
use dualres_network::Architecture;
use dualres_training::PictureSet;
use poll_promise::Promise;

use super::{
    choices::method_word,
    estimate, export,
    prober::{Prober, Question, Subject},
    remember::{self, Remembered},
    runner::Runner,
    runs::{Recalled, Run, RunId, RunState, forget_latency, recall},
    samples,
    state::{Found, Page, ProfileState, Scanned, Side, Threads, subject},
    steer::Steer,
};
use crate::{
    library::Entry,
    report,
    window::{
        Window,
        actions::{Action, Tab},
        dialogs::Purpose,
        library_tasks::Change,
    },
};

/// Something to do in the Compress tab.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    /// Begin a run with the settings, and the baselines after it.
    Start,
    PauseOrGoOn,
    /// Stop the run under way; it is saved.
    Stop,
    GoOn(RunId),
    StopAfter(Option<Stage>),
    Choose(RunId),
    /// Ask whether a run is to be deleted.
    AskDelete(RunId),
    Delete(RunId),
    /// Take a run that lies elsewhere out of the list.
    Leave(RunId),
    OpenRun,
    RunFolder(PathBuf),
    ChooseData,
    ChooseValidation,
    ChoosePicture,
    Picture(PathBuf),
    SetWidth(usize, usize),
    Look(Side),
    UseInUpscale(RunId),
    TakeSettings(RunId),
    ShowFolder(RunId),
    ExportCsv,
    ExportPng,
}

impl Window {
    /// Does what was asked for in the Compress tab.
    pub(in crate::window) fn perform_compress(&mut self, deed: Deed) {
        match deed {
            Deed::Start => self.start_compression(),
            Deed::PauseOrGoOn => {
                if let Some(threads) = &self.compress.threads {
                    let control = &threads.runner.control;
                    control.pause(!control.is_paused());
                }
            }
            Deed::Stop => {
                if let Some(threads) = &self.compress.threads {
                    threads.runner.control.stop();
                }
            }
            Deed::GoOn(id) => {
                if let Some(run) = self.compress.runs.get_mut(id)
                    && matches!(run.state, RunState::Stopped | RunState::Failed(_))
                {
                    run.state = RunState::Waiting;
                }
            }
            Deed::StopAfter(stage) => {
                self.settings.compress.stop_after = stage;
                if let Some(threads) = &self.compress.threads {
                    threads.runner.control.stop_after(stage);
                }
            }
            Deed::Choose(id) => self.choose_run(id),
            Deed::AskDelete(id) => self.compress.deleting = Some(id),
            Deed::Delete(id) => self.delete_run(id),
            Deed::Leave(id) => self.forget_run(id),
            Deed::OpenRun => self.ask(Purpose::RunFolder),
            Deed::RunFolder(folder) => self.recall_runs(vec![folder], true),
            Deed::ChooseData => self.ask(Purpose::CompressData),
            Deed::ChooseValidation => self.ask(Purpose::CompressValidation),
            Deed::ChoosePicture => self.ask(Purpose::ComparedPicture),
            Deed::Picture(path) => self.read_compared(Some(path)),
            Deed::SetWidth(unit, width) => {
                let multiple = self.settings.compress.multiple;
                if unit < self.compress.steer.widths.len() {
                    self.compress.steer.set(unit, width, multiple);
                    self.compress.side = Side::Instant;
                }
            }
            Deed::Look(side) => self.compress.side = side,
            Deed::UseInUpscale(id) => {
                if let Some(run) = self.compress.runs.get(id).filter(|run| run.report.is_some()) {
                    self.change_library(Change::Adopt(run.folder.clone()));
                }
            }
            Deed::TakeSettings(id) => self.take_settings(id),
            Deed::ShowFolder(id) => {
                let Some(run) = self.compress.runs.get(id) else { return };
                if let Err(error) = open::that_detached(&run.folder) {
                    let folder = run.folder.display().to_string();
                    self.toasts.error(format!("no file manager opens the folder ({error}): {folder}"));
                }
            }
            Deed::ExportCsv => self.ask(Purpose::CurvesCsv),
            Deed::ExportPng => self.ask(Purpose::PlotsPng),
        }
    }

    /// The threads of the tab, started if they are not.
    pub(in crate::window) fn threads(&mut self) -> Option<&Threads> {
        if self.compress.threads.is_none() {
            let start = || -> std::io::Result<Threads> {
                let library = self.library.clone();
                Ok(Threads {
                    runner: Runner::start(library.clone(), self.paths.clone(), self.wake.clone())?,
                    prober: Prober::start(library, self.paths.clone(), self.wake.clone())?,
                })
            };
            match start() {
                Ok(threads) => {
                    threads.runner.control.stop_after(self.settings.compress.stop_after);
                    self.compress.threads = Some(threads);
                }
                Err(error) => {
                    self.toasts.error(format!("the system gives no threads for compression ({error})"));
                    return None;
                }
            }
        }
        self.compress.threads.as_ref()
    }

    /// The model to compress.
    pub(in crate::window) fn compressed_model(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == self.settings.compress.model)
    }

    /// Readies the tab: its model, its picture, facts of its data.
    pub(in crate::window) fn open_compress(&mut self) {
        if self.compressed_model().is_none() {
            self.settings.compress.model = crate::window::settings::Choices::default().model;
        }
        let Some(entry) = self.compressed_model() else { return };
        let (name, architecture, has_duals) =
            (entry.name.clone(), entry.description.architecture.clone(), entry.has_duals);
        if self.compress.model != name {
            self.compress.model.clone_from(&name);
            self.compress.steer = Steer::of(&architecture);
            (self.compress.unit, self.compress.profile) = (None, ProfileState::None);
            self.compress.clear_pixels();
            if self.compress.side == Side::Instant && has_duals {
                let device = self.settings.choices.device.clone();
                self.compress.profile = ProfileState::Measuring(0, architecture.widths.len() + 1);
                if let Some(threads) = self.threads() {
                    threads.prober.ask(Question::Profile { model: name, device });
                }
            } else if !has_duals {
                self.compress.profile = ProfileState::Failed("it has no dual models".into());
            }
        }
        let scale = self.compared_scale();
        if (self.compress.shown.scale != scale || self.compress.shown.name.is_empty())
            && self.compress.shown.reading.is_none()
        {
            let path = self.compress.shown.path.clone();
            self.read_compared(path);
        }
        self.scan_data(architecture.scale);
    }

    /// Enlargement of the networks that are compared.
    pub(in crate::window) fn compared_scale(&self) -> usize {
        let run = match self.compress.side {
            Side::Run(id) => self.compress.runs.get(id).map(|run| run.original.architecture.scale),
            Side::Instant => None,
        };
        run.or_else(|| self.compressed_model().map(|entry| entry.description.architecture.scale)).unwrap_or(2)
    }

    /// Has the picture read that networks are compared on: a file, or the one inside the program.
    pub(in crate::window) fn read_compared(&mut self, path: Option<PathBuf>) {
        let (scale, shrinks, wake) = (self.compared_scale(), self.compress.shown.shrinks, self.wake.clone());
        self.compress.shown.scale = scale;
        self.compress.shown.path.clone_from(&path);
        self.compress.shown.reading = Some(Promise::spawn_thread("picture to compare on", move || {
            // A promise that is broken by a panic would take the window with it.
            let read = std::panic::AssertUnwindSafe(|| -> Result<(String, Subject), String> {
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
            });
            let read = std::panic::catch_unwind(read).unwrap_or_else(|_| Err("the decoder gave up on it".into()));
            wake();
            read
        }));
    }

    /// Has the pictures counted, unless they are.
    fn scan_data(&mut self, scale: usize) {
        let choices = &self.settings.compress;
        let of = (choices.data.clone(), choices.validation.clone());
        if self.compress.data.of.as_ref() == Some(&of) {
            return;
        }
        let config = choices.config(choices.method, "", self.data_folders(), None);
        let patch = [config.profile.patch, config.search.patch, config.selection.patch, config.finetune.patch];
        let patch = patch.into_iter().max().unwrap_or(8);
        let (paths, wake) = (self.paths.clone(), self.wake.clone());
        let own = of.0.is_empty();
        self.compress.data.of = Some(of);
        self.compress.data.scanning = Some(Promise::spawn_thread("pictures to compress with", move || {
            let scan = || -> anyhow::Result<Scanned> {
                if own {
                    samples::unpack(&paths)?;
                }
                let set = PictureSet::scan(&config.data, scale, patch)?;
                let count = set.len();
                let (all, kept): (usize, Vec<PathBuf>) = if config.validation.is_empty() {
                    let kept = |index: &usize| if count < 5 { index + 1 == count } else { index % 5 == 4 };
                    let kept: Vec<PathBuf> =
                        set.paths().into_iter().enumerate().filter(|(i, _)| kept(i)).map(|(_, path)| path).collect();
                    (count - kept.len(), kept)
                } else {
                    (count, PictureSet::scan(&config.validation, scale, patch)?.paths())
                };
                anyhow::ensure!(all >= 2, "at least three pictures are needed: the search works on two halves of them");
                let area = |path: &PathBuf| dualres_imaging::dimensions(path).map_or(0, |(w, h)| w * h);
                let validation_pixels = kept.iter().map(|path| area(path) as f64).sum();
                Ok(Scanned { pictures: all, validation: kept.len(), validation_pixels })
            };
            let scanned = scan().map_err(|error| report::message(&error));
            wake();
            scanned
        }));
    }

    /// Folders of the pictures to compress with.
    pub(in crate::window) fn data_folders(&self) -> Vec<PathBuf> {
        let chosen = &self.settings.compress.data;
        if chosen.is_empty() { vec![samples::folder(&self.paths)] } else { chosen.clone() }
    }

    /// Seconds that the runs of the settings take together, and whether that is known from runs on this device.
    pub(in crate::window) fn estimated_seconds(&self) -> Option<(f64, bool)> {
        let entry = self.compressed_model()?;
        let Some(Ok(scanned)) = &self.compress.data.found else { return None };
        let choices = &self.settings.compress;
        let mut all = (0.0, true);
        for method in self.wanted_methods() {
            let widths = Some(self.compress.steer.widths.as_slice());
            let config = choices.config(method, "", Vec::new(), widths);
            let work = self.work_of(&config, &entry.description.architecture, scanned);
            let (seconds, known) = estimate::seconds(&work, &self.settings.stage_speeds, self.device());
            all = (all.0 + seconds, all.1 && known);
        }
        Some(all)
    }

    /// Seconds that each stage of a run is expected to take here.
    pub(in crate::window) fn stage_seconds(&self, run: &Run) -> Vec<(Stage, f64)> {
        let Some(Ok(scanned)) = &self.compress.data.found else { return Vec::new() };
        let work = self.work_of(&run.config, &run.original.architecture, scanned);
        estimate::by_stage(&work, &self.settings.stage_speeds, self.device())
    }

    fn work_of(&self, config: &CompressConfig, original: &Architecture, scanned: &Scanned) -> Vec<(Stage, f64)> {
        let pixels = match config.validation_crop {
            Some(side) => scanned.validation_pixels.min((scanned.validation * side * side) as f64),
            None => scanned.validation_pixels,
        };
        estimate::work(config, original, pixels / (original.scale * original.scale) as f64)
    }

    /// Learns how fast a stage was, which took `seconds` for a part of its steps.
    pub(in crate::window) fn learn_speed(&mut self, id: RunId, stage: Stage, part: f64, seconds: f64) {
        let Some(Ok(scanned)) = self.compress.data.found.clone() else { return };
        let Some(run) = self.compress.runs.get(id) else { return };
        let work = self.work_of(&run.config, &run.original.architecture, &scanned);
        let Some((_, macs)) = work.into_iter().find(|(other, _)| *other == stage) else { return };
        let device = self.device().to_owned();
        estimate::learn(&mut self.settings.stage_speeds, stage, &device, macs * part, seconds);
    }

    /// The method of the settings and the baselines, each once.
    fn wanted_methods(&self) -> Vec<Method> {
        let choices = &self.settings.compress;
        let mut methods = vec![choices.method];
        methods.extend(choices.baselines.iter().copied().filter(|method| *method != choices.method));
        methods
    }

    fn start_compression(&mut self) {
        let Some(entry) = self.compressed_model().cloned() else { return };
        if !entry.has_duals {
            self.toasts.error(format!(
                "{} has no dual models, which compression is driven by: train them first, or choose another model.",
                entry.name
            ));
            return;
        }
        if let Some(Err(reason)) = &self.compress.data.found {
            let reason = reason.clone();
            self.toasts.error(format!("The pictures cannot be used: {reason}"));
            return;
        }
        let mut first = None;
        for method in self.wanted_methods() {
            let choices = &self.settings.compress;
            let own = choices.own_widths && method == choices.method;
            let percent = if own {
                100.0 * (1.0 - self.compress.steer.kept(&entry.description.architecture).0)
            } else {
                100.0 * choices.ratio
            };
            let kind = if own { "hand" } else { method_word(method) };
            let name = self.free_name(&format!("{}-{:.0}-{kind}", entry.name, percent));
            let widths = Some(self.compress.steer.widths.as_slice()).filter(|_| own);
            let mut config = choices.config(method, &name, self.data_folders(), widths);
            if own {
                config.ratio = (percent / 100.0).clamp(0.001, 0.999);
            }
            if let Err(error) = config.validate() {
                self.toasts.error(error.to_string());
                return;
            }
            let folder = remember::runs_folder(&self.paths).join(&name);
            let id = self.compress.runs.number();
            self.compress.runs.add(Run::new(id, folder, entry.name.clone(), config, entry.description.clone()));
            first = first.or(Some(id));
        }
        if let Some(id) = first
            && self.compress.runs.running().is_none()
        {
            self.compress.chosen = Some(id);
            self.compress.page = Page::Curves;
        }
    }

    /// A name that no run has.
    fn free_name(&self, wanted: &str) -> String {
        let folder = remember::runs_folder(&self.paths);
        let taken = |name: &str| folder.join(name).exists() || self.compress.runs.iter().any(|run| run.name() == name);
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

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
    fn measure_run(&mut self, id: RunId) {
        let device = self.device().to_owned();
        let Some(run) = self.compress.runs.get(id) else { return };
        let known = run.latency.as_ref().is_some_and(|latency| latency.device == device);
        if run.report.is_none() || known {
            return;
        }
        let pair = Box::new(self.pair_of(run));
        if let Some(threads) = self.threads() {
            threads.prober.ask(Question::Latency { run: Some(id), pair });
        }
    }

    fn delete_run(&mut self, id: RunId) {
        self.compress.deleting = None;
        let Some(run) = self.compress.runs.get(id) else { return };
        if run.state == RunState::Running {
            self.toasts.warning("The run is under way: stop it first.");
            return;
        }
        let folder = run.folder.clone();
        // Only the files of a run: whatever else lies in the folder is not ours.
        forget_latency(&folder);
        if folder.exists()
            && let Err(error) = dualres_compression::remove_run(&folder)
        {
            self.toasts.error(error.to_string());
            return;
        }
        self.forget_run(id);
    }

    fn forget_run(&mut self, id: RunId) {
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
        let wake = self.wake.clone();
        self.compress.recalling.push(Promise::spawn_thread("run folders", move || {
            let read = |folder: PathBuf| {
                let attempt = std::panic::AssertUnwindSafe(|| recall(&folder).map_err(|error| report::message(&error)));
                let read = std::panic::catch_unwind(attempt).unwrap_or_else(|_| Err("its files are damaged".into()));
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
            let description = match recall(&queued.folder) {
                Ok(Some(Recalled { history, .. })) => Some(history.original),
                _ => self.entries.iter().find(|entry| entry.name == queued.model).map(|e| e.description.clone()),
            };
            // Its model has gone and it never began: there is nothing to go on with.
            let Some(description) = description else { continue };
            let id = self.compress.runs.number();
            let run = Run::new(id, queued.folder, queued.model, queued.config, description);
            self.toasts.good(format!("Going on with the run {}.", run.name()));
            self.compress.runs.add(run);
            self.compress.chosen = self.compress.chosen.or(Some(id));
        }
        let own = remember::runs_folder(&self.paths);
        let mut folders: Vec<PathBuf> =
            std::fs::read_dir(own).map(|list| list.flatten().map(|entry| entry.path()).collect()).unwrap_or_default();
        folders.sort_by_key(|folder| std::fs::metadata(folder).and_then(|facts| facts.modified()).ok());
        folders.extend(remembered.folders);
        if !folders.is_empty() {
            self.recall_runs(folders, false);
        }
    }

    fn take_settings(&mut self, id: RunId) {
        let Some(run) = self.compress.runs.get(id) else { return };
        let (config, model) = (run.config.clone(), run.original.name.clone());
        let own = config.data == vec![samples::folder(&self.paths)];
        let choices = &mut self.settings.compress;
        if self.entries.iter().any(|entry| entry.name == model) {
            choices.model = model;
        }
        (choices.ratio, choices.mode, choices.method) = (config.ratio, config.mode, config.method);
        (choices.seed, choices.lambda) = (config.seed, config.search.lambda);
        choices.data = if own { Vec::new() } else { config.data };
        choices.validation = config.validation.first().cloned();
        choices.search_steps = Some(config.search.steps);
        choices.finetune_steps = Some(config.finetune.steps);
        choices.channels_per_step = Some(config.selection.channels_per_step);
        choices.second_order = config.search.second_order;
        choices.own_widths = config.widths.is_some();
        self.toasts.good("The settings of the run are chosen on the left.");
        self.open_compress();
        if let Some(widths) = config.widths
            && widths.len() == self.compress.steer.full.len()
        {
            self.compress.steer.widths = widths;
            self.compress.steer.locked.fill(true);
        }
    }

    /// Shares the ratio among the layers that are not locked.
    pub(in crate::window) fn share(&mut self) {
        let choices = &self.settings.compress;
        if let ProfileState::Ready(profile) = &self.compress.profile {
            let profile: Arc<_> = profile.clone();
            self.compress.steer.share(&profile, choices.ratio, choices.lambda, choices.least, choices.multiple);
        }
        self.compress.side = Side::Instant;
    }

    /// Writes the curves in sight to a file.
    pub(in crate::window) fn export_csv(&mut self, path: PathBuf) {
        let runs: Vec<_> = self.drawn_runs().into_iter().filter_map(|id| self.compress.runs.get(id)).collect();
        let runs: Vec<_> = runs.iter().map(|run| (run.name().to_owned(), run.folder.clone())).collect();
        if runs.is_empty() {
            self.toasts.warning("There are no curves to export: choose a run.");
            return;
        }
        self.export(path, move |path| export::csv(&runs, path));
    }

    pub(in crate::window) fn export(
        &mut self,
        path: PathBuf,
        write: impl FnOnce(&std::path::Path) -> anyhow::Result<()> + Send + 'static,
    ) {
        let wake = self.wake.clone();
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
        self.tab = Tab::Compress;
        self.open_compress();
    }

    /// What a finished run left.
    pub(in crate::window) fn result_file(run: &Run) -> PathBuf {
        run.folder.join(RESULT_FILE)
    }

    pub(in crate::window) fn deed(&mut self, deed: Deed) {
        self.actions.push(Action::Compress(deed));
    }
}
