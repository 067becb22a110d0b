//! From the settings to runs: which pictures, how long it will take, and the runs themselves.

use std::path::PathBuf;

use dualres_compression::{CompressConfig, Layers, Method, Overrides, Stage};
use dualres_training::{Distillation, PictureSet};
use poll_promise::Promise;

use super::{
    estimate, remember,
    runs::{Run, RunId},
    state::{Page, Scanned},
};
use crate::{language::tr, report, samples, window::Window};

impl Window {
    /// Has the pictures counted, unless they are.
    pub(super) fn scan_data(&mut self, scale: usize) {
        let choices = &self.shell.settings.compress;
        let config = choices.config(choices.overrides.method, "", self.data_folders(), None);
        let patch = [config.profile.patch, config.search.patch, config.selection.patch, config.finetune.patch];
        let patch = patch.into_iter().max().unwrap_or(8);
        // A picture that has room for a patch of one network may have none for that of another.
        let of = (choices.data.clone(), choices.validation.clone(), patch * scale);
        if self.compress.data.of.as_ref() == Some(&of) {
            return;
        }
        let (paths, wake) = (self.services.paths.clone(), self.services.wake.clone());
        let own = of.0.is_empty();
        self.compress.data.of = Some(of);
        self.compress.data.scanning = Some(Promise::spawn_thread("pictures to compress with", move || {
            let scan = || -> anyhow::Result<Scanned> {
                if own {
                    samples::unpack(&paths)?;
                }
                let set = PictureSet::scan(&config.data, &[1, scale], patch)?;
                let count = set.len();
                let (all, kept): (usize, Vec<PathBuf>) = if config.validation.is_empty() {
                    let kept = |index: &usize| if count < 5 { index + 1 == count } else { index % 5 == 4 };
                    let kept: Vec<PathBuf> =
                        set.paths().into_iter().enumerate().filter(|(i, _)| kept(i)).map(|(_, path)| path).collect();
                    (count - kept.len(), kept)
                } else {
                    (count, PictureSet::scan(&config.validation, &[1, scale], patch)?.paths())
                };
                anyhow::ensure!(
                    all >= 2,
                    tr!("at least three pictures are needed: the search works on two halves of them")
                );
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
        let chosen = &self.shell.settings.compress.data;
        if chosen.is_empty() { vec![samples::folder(&self.services.paths)] } else { chosen.clone() }
    }

    /// Seconds that the runs of the settings take together, and whether that is known from runs on this device.
    pub(in crate::window) fn estimated_seconds(&self) -> Option<(f64, bool)> {
        let scanned = self.compress.data.found.as_ref().and_then(|found| found.as_ref().ok()).copied();
        let (choices, speeds) = (self.shell.settings.compress.clone(), self.shell.settings.stage_speeds.clone());
        let asked = (choices, self.compress.width_editor.widths.clone(), scanned, speeds, self.device().to_owned());
        self.compress.worked_out.seconds.get(asked, |(.., scanned, _, _)| self.work_out_seconds(scanned.as_ref()?))
    }

    fn work_out_seconds(&self, scanned: &Scanned) -> Option<(f64, bool)> {
        let entry = self.compressed_model()?;
        let choices = &self.shell.settings.compress;
        let mut all = (0.0, true);
        for method in self.wanted_methods() {
            let widths = Some(self.compress.width_editor.widths.as_slice());
            let config = choices.config(method, "", Vec::new(), widths);
            let work = self.work_of(&config, &entry.layers, entry.description.scale(), scanned);
            let (seconds, known) = estimate::seconds(&work, &self.shell.settings.stage_speeds, self.device());
            all = (all.0 + seconds, all.1 && known);
        }
        Some(all)
    }

    /// Seconds that each stage of a run is expected to take here.
    pub(in crate::window) fn stage_seconds(&self, run: &Run) -> Vec<(Stage, f64)> {
        let scanned = self.compress.data.found.as_ref().and_then(|found| found.as_ref().ok()).copied();
        let key = (run.id, scanned, self.shell.settings.stage_speeds.clone(), self.device().to_owned());
        self.compress.worked_out.stages.get(key, |(_, scanned, speeds, device)| {
            let Some(scanned) = scanned else { return Vec::new() };
            let work = self.work_of(&run.config, &run.layers, run.original.scale(), scanned);
            estimate::by_stage(&work, speeds, device)
        })
    }

    pub(super) fn work_of(
        &self,
        config: &CompressConfig,
        original: &Layers,
        scale: usize,
        scanned: &Scanned,
    ) -> Vec<(Stage, f64)> {
        let pixels = match config.validation_crop {
            Some(side) => scanned.validation_pixels.min((scanned.validation * side * side) as f64),
            None => scanned.validation_pixels,
        };
        estimate::work(config, original, pixels / (scale * scale) as f64)
    }

    /// Learns how fast a stage was, which took `seconds` for a part of its steps.
    pub(in crate::window) fn learn_speed(&mut self, id: RunId, stage: Stage, part: f64, seconds: f64) {
        let Some(Ok(scanned)) = self.compress.data.found.clone() else { return };
        let Some(run) = self.compress.runs.get(id) else { return };
        let work = self.work_of(&run.config, &run.layers, run.original.scale(), &scanned);
        let Some((_, macs)) = work.into_iter().find(|(other, _)| *other == stage) else { return };
        let device = self.device().to_owned();
        estimate::learn(&mut self.shell.settings.stage_speeds, stage, &device, macs * part, seconds);
    }

    /// The method of the settings and the baselines, each once.
    pub(super) fn wanted_methods(&self) -> Vec<Method> {
        let choices = &self.shell.settings.compress;
        let chosen = choices.overrides.method;
        let mut methods = vec![chosen];
        methods.extend(choices.baselines.iter().copied().filter(|method| *method != chosen));
        methods
    }

    pub(super) fn start_compression(&mut self) {
        let Some(entry) = self.compressed_model().cloned() else { return };
        if !entry.has_duals {
            self.shell.toasts.error(tr!(
                "%{name} has no dual models, which compression is driven by: train them first, or choose another \
                 model.",
                name = entry.name
            ));
            return;
        }
        if let Some(Err(reason)) = &self.compress.data.found {
            let text = tr!("The pictures cannot be used: %{reason}", reason = reason);
            self.shell.toasts.error(text);
            return;
        }
        let overrides = &self.shell.settings.compress.overrides;
        let (weight, level) = (overrides.teacher_weight, overrides.teacher_level);
        let teacher = match &overrides.teacher {
            Some(name) => match self.models.library.file(name) {
                Ok(teacher) => Some(Distillation { teacher, weight, level }),
                Err(error) => {
                    self.shell.toasts.error(report::message(&error));
                    return;
                }
            },
            None => None,
        };
        let mut first = None;
        for method in self.wanted_methods() {
            let choices = &self.shell.settings.compress;
            let own = choices.own_widths && method == choices.overrides.method;
            let percent = if own {
                100.0 * (1.0 - self.compress.width_editor.kept(&entry.layers).0)
            } else {
                100.0 * choices.ratio
            };
            let kind = if own { "hand" } else { method.about().name };
            let name = self.free_name(&format!("{}-{:.0}-{kind}", entry.name, percent));
            let widths = Some(self.compress.width_editor.widths.as_slice()).filter(|_| own);
            let mut config = choices.config(method, &name, self.data_folders(), widths);
            config.finetune.distillation = teacher.clone();
            if own {
                config.ratio = (percent / 100.0).clamp(0.001, 0.999);
            }
            if let Err(error) = config.validate() {
                self.shell.toasts.error(error.to_string());
                return;
            }
            let folder = remember::runs_folder(&self.services.paths).join(&name);
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
    pub(super) fn free_name(&self, wanted: &str) -> String {
        let folder = remember::runs_folder(&self.services.paths);
        let taken = |name: &str| folder.join(name).exists() || self.compress.runs.iter().any(|run| run.name() == name);
        let numbered = (2..).map(|number| format!("{wanted}-{number}"));
        std::iter::once(wanted.to_owned()).chain(numbered).find(|name| !taken(name)).unwrap_or_default()
    }

    pub(super) fn take_settings(&mut self, id: RunId) {
        let Some(run) = self.compress.runs.get(id) else { return };
        let (config, model) = (run.config.clone(), run.original.name.clone());
        let own = config.data == vec![samples::folder(&self.services.paths)];
        let choices = &mut self.shell.settings.compress;
        if self.models.entries.iter().any(|entry| entry.name == model) {
            choices.model = model;
        }
        choices.ratio = config.ratio;
        choices.overrides = Overrides::of(&config);
        choices.data = if own { Vec::new() } else { config.data };
        choices.validation = config.validation.first().cloned();
        choices.own_widths = config.widths.is_some();
        self.shell.toasts.good(tr!("The settings of the run are chosen on the left."));
        self.open_compress();
        if let Some(widths) = config.widths
            && widths.len() == self.compress.width_editor.full.len()
        {
            self.compress.width_editor.widths = widths;
            self.compress.width_editor.locked.fill(true);
        }
    }
}
