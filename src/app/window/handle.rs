//! What actions do.

use crate::built_in;
use std::path::PathBuf;

use dualres_engine::Area;
use eframe::egui::{Context, Popup, ViewportCommand};

use super::{
    Window,
    actions::{Action, Canvas, Tab, Trying},
    canvas::view::{Sight, View},
    completing::Completing,
    compress::actions::CompressAction,
    dialogs::Purpose,
    document::Document,
    library_news::Change,
    queue::{ItemId, State},
    settings::{ThemeChoice, ViewMode},
    sheet::Sheet,
    theme,
};
use crate::{
    batch::choice::Kind,
    language::{tr, translated},
};

/// Pixels of the screen for a pixel of the result where a place is shown, at least.
const PLACE_ZOOM: f64 = 2.0;

/// Samples inside the program.
static SAMPLES: [(&str, &[u8]); 2] = [
    ("cat.png", include_bytes!("../../../assets/samples/chelsea.png")),
    ("rocket.jpg", include_bytes!("../../../assets/samples/rocket.jpg")),
];

impl Window {
    /// Does what was asked for.
    pub(super) fn handle_action(&mut self, ctx: &Context, action: Action) {
        match action {
            Action::OpenFiles => self.ask(Purpose::Pictures),
            Action::OpenFolder => self.ask(Purpose::Folder),
            Action::ImportModel => self.ask(Purpose::Model),
            Action::ChooseOutputFolder => self.ask(Purpose::OutputFolder),
            Action::ExportTable => self.ask(Purpose::Table),
            Action::ExportModel(name) => self.ask(Purpose::ExportModel { name }),
            Action::TypePath => self.type_path(Purpose::Pictures),
            Action::TypePathFor(purpose) => self.type_path(purpose),
            Action::Typed(purpose, text) => {
                self.shell.sheet = None;
                self.take_typed(&purpose, &text);
            }
            Action::AbandonDialog => drop(self.shell.dialogs.abandon()),
            Action::AddPaths(paths) => self.services.loader.scan(paths),
            Action::TrySample => self.try_samples(),
            Action::Start if self.shell.tab == Tab::Compress => self.handle_compress_action(CompressAction::Start),
            Action::PauseOrGoOn if self.shell.tab == Tab::Compress => {
                self.handle_compress_action(CompressAction::PauseOrGoOn)
            }
            Action::CancelRunning if self.shell.tab == Tab::Compress => {
                self.handle_compress_action(CompressAction::Stop)
            }
            Action::Start => {
                self.upscale.only = None;
                self.start();
            }
            Action::PauseOrGoOn => {
                if self.upscale.queue.running().is_some() {
                    self.pause(!self.services.link.control.is_paused());
                } else if self.upscale.queue.waiting() > 0 {
                    self.start();
                }
            }
            Action::CancelRunning => {
                let computes = |state: &State| matches!(state, State::Running(progress) if !progress.saving);
                let items = self.upscale.queue.items().iter().filter(|item| computes(&item.state));
                for id in items.map(|item| item.id).collect::<Vec<_>>() {
                    self.upscale.runs = false;
                    self.cancel(id);
                }
            }
            Action::Cancel(id) => self.cancel(id),
            Action::Select(id) => {
                self.upscale.follows = self.upscale.queue.running().is_some_and(|running| running.id == id);
                self.select(id);
            }
            Action::SelectNeighbour(places) => {
                if let Some(id) = self.upscale.queue.neighbour(self.upscale.selected, places) {
                    self.upscale.follows = false;
                    self.select(id);
                }
            }
            Action::Remove(id) => self.remove(id),
            Action::RemoveSelected => {
                if let Some(id) = self.upscale.selected {
                    self.remove(id);
                }
            }
            Action::RemoveDone => {
                let count = self.upscale.queue.remove_done();
                let queue = &self.upscale.queue;
                self.upscale.documents.retain(|id| queue.get(id).is_some());
                self.after_removal(None);
                self.offer_undo(count);
            }
            Action::Undo => self.undo_removal(),
            Action::Retry(id) => {
                let Some(item) = self.upscale.queue.get_mut(id) else { return };
                if let State::Failed(failure) = &item.state
                    && failure.lasts
                {
                    self.shell.toasts.warning(translated(&failure.reason));
                } else if item.may_be_done_again() {
                    (item.state, item.again) = (State::Waiting, true);
                    self.upscale.only = self.upscale.only.filter(|only| *only == id);
                    self.note_queue_change();
                    self.start();
                }
            }
            Action::Shift(id, places) => {
                self.upscale.queue.shift(id, places);
                self.note_queue_change();
            }
            Action::ShiftSelected(places) => {
                if let Some(id) = self.upscale.selected {
                    self.upscale.queue.shift(id, places);
                    self.note_queue_change();
                }
            }
            Action::Place(id, place) => {
                self.upscale.queue.place(id, place);
                self.note_queue_change();
            }
            Action::Preview if self.shell.tab == Tab::Compress => {}
            Action::Preview => self.preview(),
            Action::Refine(fidelity) => self.refine(fidelity),
            Action::ApplyFidelity => self.apply_fidelity(),
            Action::ShowVersion(id, version) => self.show_version(id, version),
            Action::SaveAs => self.ask_save_as(),
            Action::Replace(id, path) => {
                self.shell.sheet = None;
                self.replace(id, path);
            }
            Action::See(canvas, sight) => self.see(canvas, sight),
            Action::SetGain(gain) => self.set_gain(gain),
            Action::SetAutoGain(auto) => self.shell.settings.auto_gain = auto,
            Action::SetFidelity(fidelity) => self.set_fidelity(fidelity),
            Action::ShowInFolder(id) => self.show_in_folder(id),
            // Two networks are compared there, and neither is the truth.
            Action::SetView(ViewMode::Doubt) if self.shell.tab == Tab::Compress => {}
            Action::SetView(view) if self.shell.tab == Tab::Compress => self.compress.mode = view,
            Action::SetView(view) => self.shell.settings.view = view,
            Action::ShowPlace(area) => self.show_place(area),
            Action::Fit => self.view_in_sight().fits = true,
            Action::ActualSize => {
                let view = self.view_in_sight();
                view.zoom_at(1.0 / view.zoom, [0.0; 2]);
            }
            Action::Zoom(factor) => self.view_in_sight().zoom_at(factor, [0.0; 2]),
            Action::Pan(by) => self.view_in_sight().pan(by),
            Action::SetTab(Tab::Compress) => self.show_compress(),
            Action::SetTab(tab) => self.shell.tab = tab,
            Action::ToggleTheme => {
                let dark = ctx.theme() == eframe::egui::Theme::Dark;
                self.set_theme(ctx, if dark { ThemeChoice::Light } else { ThemeChoice::Dark });
            }
            Action::SetTheme(theme) => self.set_theme(ctx, theme),
            Action::SetLanguage(language) => {
                self.shell.settings.language = language;
                self.speak(ctx);
            }
            Action::ToggleTable if self.upscale.queue.items().is_empty() => {}
            Action::ToggleTable => self.toggle(Sheet::Table),
            Action::ToggleHelp => self.toggle(Sheet::Keys),
            Action::ToggleAbout => self.toggle(Sheet::About),
            Action::Open(sheet) => self.shell.sheet = Some(sheet),
            Action::CloseSheet => self.shell.sheet = None,
            Action::AddRemote(remote) => self.add_remote(remote),
            Action::PickModel(name) => self.use_model(&name),
            Action::FitModels(scale) => self.fit_models(scale),
            Action::Choose(choices) => {
                let limits = choices.gpu_memory != self.shell.settings.choices.gpu_memory;
                self.shell.settings.choices = *choices;
                if limits {
                    self.limit_gpu_memory();
                }
            }
            Action::SetDevice(name) => {
                self.shell.settings.choices.device = name;
                self.measure();
            }
            Action::CheckDeviceAgain => self.check_device_again(),
            Action::SetLivePreview(live) => self.shell.settings.live_preview = live,
            Action::ShowDetails(shows) => self.shell.settings.details = shows,
            Action::ShowModel(name) => self.models.shown_model = Some(name),
            Action::SortResults(sorting) => self.upscale.sorting = sorting,
            Action::MakeThumbnail(id) => self.make_thumbnail(id),
            Action::Scrolled => self.upscale.scroll_to = None,
            Action::Try(Trying::Also(model)) => self.try_also(model),
            Action::Try(Trying::Without(place)) => self.try_without(place),
            Action::Try(Trying::Instead(place, model)) => self.try_instead(place, model),
            Action::Try(Trying::Take(place)) => self.take_candidate(place),
            Action::ToggleFullScreen => {
                let full = ctx.input(|input| input.viewport().fullscreen.unwrap_or(false));
                ctx.send_viewport_cmd(ViewportCommand::Fullscreen(!full));
            }
            Action::CompleteModel(name) => self.complete_model(name),
            Action::CancelCompletion => self.models.completing.iter().for_each(Completing::cancel),
            Action::Adapt(adapt_action) => self.adapt(adapt_action),
            Action::RemoveModel(name) => self.change_library(Change::Remove(name)),
            Action::UseModel(name) => {
                self.use_model(&name);
                self.shell.tab = Tab::Upscale;
            }
            Action::Compress(compress_action) => self.handle_compress_action(compress_action),
            Action::Flip => self.flip(),
            Action::NextPage => self.compress.page = self.compress.page.next(),
            Action::RestartEngine => self.restart_engine(),
            Action::ContinueOnCpu => {
                self.shell.settings.choices.device = "CPU".into();
                self.restart_engine();
            }
            Action::Close(leaving) => self.leave(ctx, leaving),
            Action::StayOpen => self.stay_open(),
            Action::Escape => self.escape(ctx),
            Action::RunSelectedAgain => {
                if let Some(id) = self.upscale.selected {
                    self.handle_action(ctx, Action::Retry(id));
                }
            }
            Action::MoveSplit(by) => {
                let split =
                    if self.shell.tab == Tab::Compress { &mut self.compress.split } else { &mut self.upscale.split };
                *split = (*split + by).clamp(0.0, 1.0);
            }
            Action::Gain(factor) => {
                // The Compress tab has the first of the two.
                if self.shell.tab == Tab::Compress {
                    self.shell.settings.gain = (self.shell.settings.gain * factor).clamp(0.4, 16.0);
                } else {
                    self.set_gain(self.gain() * factor);
                }
            }
            Action::Fidelity(by) => {
                self.set_fidelity((self.shell.settings.choices.fidelity + by).clamp(0.0, 1.0));
            }
            Action::CompareModels => self.compare_models(),
            Action::NextModel => {
                let at = self.models.entries.iter().position(|entry| entry.name == self.shell.settings.choices.model);
                if let Some(next) =
                    self.models.entries.get((at.map_or(0, |at| at + 1)) % self.models.entries.len().max(1))
                {
                    let name = next.name.clone();
                    self.use_model(&name);
                }
            }
            Action::ShowSelectedInFolder => {
                if let Some(id) = self.upscale.selected {
                    self.show_in_folder(id);
                }
            }
            Action::Quit => ctx.send_viewport_cmd(ViewportCommand::Close),
        }
    }

    fn escape(&mut self, ctx: &Context) {
        if Popup::is_any_open(ctx) {
            // The key has been taken before a menu could see it.
            Popup::close_all(ctx);
        } else if self.shell.sheet.take().is_some()
            || (self.shell.tab == Tab::Upscale && self.upscale.trial.is_some() && self.end_trial())
            || self.shell.dialogs.abandon().is_some()
            || self.shell.toasts.dismiss()
        {
        } else if ctx.input(|input| input.viewport().fullscreen.unwrap_or(false)) {
            ctx.send_viewport_cmd(ViewportCommand::Fullscreen(false));
        }
    }

    /// Whether something covers the window.
    pub(super) fn has_modal(&self) -> bool {
        self.shell.sheet.is_some() || self.services.crashed.is_some()
    }

    /// Opens a sheet in place of any other, or closes it.
    fn toggle(&mut self, sheet: Sheet) {
        self.shell.sheet = if self.shell.sheet.as_ref() == Some(&sheet) { None } else { Some(sheet) };
    }

    /// Chooses a fidelity, and shows what it makes of the selected picture.
    fn set_fidelity(&mut self, fidelity: f32) {
        self.shell.settings.choices.fidelity = fidelity;
        let Some(item) = self.upscale.selected else { return };
        // A preview follows by itself; at the fidelity of the result there is nothing to preview.
        let is_of_result = self.upscale.documents.get(item).is_some_and(|open| open.preview_by.is_some());
        if is_of_result && self.is_tried(item) && self.other_fidelity().is_none() {
            self.end_preview(item);
        } else if !self.is_tried(item) {
            self.refine(fidelity);
        }
    }

    /// Takes in how a canvas was drawn.
    fn see(&mut self, canvas: Canvas, Sight { view, split, pane }: Sight) {
        match canvas {
            Canvas::Picture => {
                // Whoever moves about in a picture wants to go on looking at it.
                let before = self.upscale.view;
                let moved = (view.center, view.zoom) != (before.center, before.zoom);
                if moved && !view.fits && !before.opens && pane == self.upscale.pane {
                    self.upscale.follows = false;
                }
                (self.upscale.view, self.upscale.split, self.upscale.pane) = (view, split, pane);
            }
            Canvas::Trial => {
                if let Some(trial) = &mut self.upscale.trial {
                    (trial.view, trial.pane) = (view, pane);
                }
            }
            Canvas::Compress => {
                (self.compress.view, self.compress.split, self.compress.pane) = (view, split, pane);
            }
        }
    }

    fn make_thumbnail(&mut self, id: ItemId) {
        if let Some(item) = self.upscale.queue.get(id)
            && self.upscale.thumbnails_asked.insert(id)
        {
            self.services.loader.thumbnail(id, &item.path);
        }
    }

    /// Brings a place of the original into the middle, large enough to judge it.
    fn show_place(&mut self, area: Area) {
        let Some(scale) = self.shown().map(|document| document.scale) else { return };
        let place = area.times(scale);
        let center = [place.x as f64 + place.width as f64 / 2.0, place.y as f64 + place.height as f64 / 2.0];
        self.upscale.view = View { center, zoom: self.upscale.view.zoom.max(PLACE_ZOOM), fits: false, opens: false };
    }

    /// The view of the canvas in sight.
    fn view_in_sight(&mut self) -> &mut View {
        match &mut self.upscale.trial {
            _ if self.shell.tab == Tab::Compress => &mut self.compress.view,
            Some(trial) => &mut trial.view,
            None => &mut self.upscale.view,
        }
    }

    /// Shows the dual reconstructions in place of the results, or the other way round.
    fn flip(&mut self) {
        if self.shell.tab == Tab::Compress {
            let scale = self.compress.shown.scale.max(1) as f64;
            self.compress.reconstructions = !self.compress.reconstructions;
            self.compress.view.rescale(if self.compress.reconstructions { 1.0 / scale } else { scale });
        }
    }

    pub(super) fn ask(&mut self, purpose: Purpose) {
        if self.shell.dialogs.is_open() {
            self.shell
                .toasts
                .warning(tr!("A file dialog is open already. It may be behind the window; Esc cancels it."));
            return;
        }
        if super::dialogs::may_be_there() {
            self.shell.dialogs.ask(purpose, self.services.wake.clone());
        } else {
            self.type_path(purpose);
        }
    }

    /// Lets the user type a path where no dialog answers.
    pub(super) fn type_path(&mut self, purpose: Purpose) {
        self.shell.dialogs.abandon();
        let text = match &purpose {
            Purpose::SaveAs { name, folder, .. } => {
                let wanted = folder.as_ref().map_or_else(|| PathBuf::from(name), |folder| folder.join(name));
                crate::naming::free(&wanted, &|_| false).display().to_string()
            }
            Purpose::ExportModel { name } => {
                self.services.paths.pictures.join(format!("{name}.safetensors")).display().to_string()
            }
            Purpose::CurvesCsv => self.services.paths.pictures.join("curves.csv").display().to_string(),
            Purpose::PlotsPng => self.services.paths.pictures.join("curves.png").display().to_string(),
            Purpose::Table => self.services.paths.pictures.join("results.csv").display().to_string(),
            _ => String::new(),
        };
        self.shell.sheet = Some(Sheet::Path { purpose, text, began: true });
    }

    fn try_samples(&mut self) {
        let folder = self.services.paths.arrivals();
        self.bring(move || {
            std::fs::create_dir_all(&folder)?;
            let unpack = |(name, bytes): (&str, &[u8])| {
                let path = folder.join(name);
                dualres_imaging::file::write_atomically(&path, bytes)?;
                Ok(path)
            };
            SAMPLES.into_iter().map(unpack).collect()
        });
    }

    /// Brings a picture to the canvas.
    pub(super) fn select(&mut self, id: ItemId) {
        if self.upscale.selected != Some(id) {
            self.upscale.view = View::opening();
            self.end_trial();
            self.forget_refinement();
            if let Some(open) = self.upscale.selected.and_then(|left| self.upscale.documents.get_mut(left)) {
                open.preview = None;
            }
        }
        self.upscale.selected = Some(id);
        self.upscale.scroll_to = Some(id);
        if self.upscale.documents.get(id).is_some() {
            self.upscale.documents.touch(id);
            self.show_saved(id);
        } else if let Some(item) = self.upscale.queue.get(id) {
            self.services.loader.open(id, &item.path);
        }
    }

    /// Makes a model the chosen one for all pictures.
    pub(super) fn use_model(&mut self, name: &str) {
        self.shell.settings.choices.automatic = false;
        self.set_model(name);
    }

    /// Leaves the choice among the built-in models of a scale to each picture.
    pub(super) fn fit_models(&mut self, scale: usize) {
        let Some(name) = built_in::of(Kind::Clean, scale) else { return };
        self.shell.settings.choices.automatic = true;
        self.set_model(name);
    }

    /// What other models made of open pictures stays until they are run again.
    fn set_model(&mut self, name: &str) {
        self.shell.settings.choices.model = name.to_owned();
        self.restart_preview();
        let scale = self.scale();
        if self.upscale.trial.as_ref().is_some_and(|trial| trial.scale != scale) {
            self.end_trial();
        }
        for open in self.upscale.documents.iter_mut() {
            // A preview of another model says nothing about this one.
            let done = matches!(
                self.upscale.queue.get(open.document.item).map(|i| &i.state),
                Some(State::Done(_) | State::Running(_))
            );
            if !done {
                let factor = scale as f64 / open.document.scale as f64;
                open.document.clear_result(scale);
                if self.upscale.selected == Some(open.document.item) {
                    self.upscale.view.rescale(factor);
                }
            }
        }
        self.preview_choice();
        self.measure();
    }

    fn set_theme(&mut self, ctx: &Context, choice: ThemeChoice) {
        self.shell.settings.theme = choice;
        theme::choose(ctx, choice);
    }

    /// The document on the canvas, if it is in memory.
    pub(super) fn shown(&self) -> Option<&Document> {
        Some(self.upscale.documents.get(self.upscale.selected?)?.shown())
    }
}
