//! What actions do.

use std::{path::PathBuf, time::Instant};

use dualres_engine::Area;
use eframe::egui::{Context, ViewportCommand};

use super::{
    Window,
    actions::{Action, Tab},
    canvas::view::reduced,
    dialogs::Purpose,
    document::Document,
    library_tasks::Change,
    queue::{ItemId, State},
    settings::ThemeChoice,
    theme,
    worker::{Command, Preview},
};

/// Samples inside the program.
const SAMPLES: [(&str, &[u8]); 2] = [
    ("cat.png", include_bytes!("../../../assets/samples/chelsea.png")),
    ("rocket.jpg", include_bytes!("../../../assets/samples/rocket.jpg")),
];

/// Sides of previews in pixels of the original.
const PREVIEW_SIDES: std::ops::RangeInclusive<usize> = 64..=640;

impl Window {
    /// Does what was asked for.
    pub(super) fn perform(&mut self, ctx: &Context, action: Action) {
        match action {
            Action::OpenFiles => self.ask(Purpose::Pictures),
            Action::OpenFolder => self.ask(Purpose::Folder),
            Action::ImportModel => self.ask(Purpose::Model),
            Action::ChooseOutputFolder => self.ask(Purpose::OutputFolder),
            Action::ExportModel(name) => self.ask(Purpose::ExportModel { name }),
            Action::TypePath => self.type_path(Purpose::Pictures),
            Action::AddPaths(paths) => self.loader.scan(paths),
            Action::TrySample => self.try_samples(),
            Action::Start => self.start(),
            Action::PauseOrGoOn => {
                if self.queue.running().is_some() {
                    let control = &self.link.control;
                    control.pause(!control.is_paused());
                } else if self.queue.waiting() > 0 {
                    self.start();
                }
            }
            Action::CancelRunning => {
                if let Some(id) = self.queue.running().map(|item| item.id) {
                    self.runs = false;
                    self.cancel(id);
                }
            }
            Action::Cancel(id) => self.cancel(id),
            Action::Select(id) => {
                self.follows = self.queue.running().is_some_and(|running| running.id == id);
                self.select(id);
            }
            Action::SelectNeighbour(places) => {
                if let Some(id) = self.queue.neighbour(self.selected, places) {
                    self.follows = false;
                    self.select(id);
                }
            }
            Action::Remove(id) => self.remove(id),
            Action::RemoveSelected => {
                if let Some(id) = self.selected {
                    self.remove(id);
                }
            }
            Action::RemoveEnded => {
                self.queue.remove_ended();
                self.after_removal(None);
            }
            Action::Retry(id) => {
                if let Some(item) = self.queue.get_mut(id)
                    && !matches!(item.state, State::Running(_))
                {
                    item.state = State::Waiting;
                    self.start();
                }
            }
            Action::Shift(id, places) => {
                self.queue.shift(id, places);
                self.note_queue_change();
            }
            Action::ShiftSelected(places) => {
                if let Some(id) = self.selected {
                    self.queue.shift(id, places);
                    self.note_queue_change();
                }
            }
            Action::Place(id, place) => {
                self.queue.place(id, place);
                self.note_queue_change();
            }
            Action::Preview => self.preview(),
            Action::Refine(fidelity) => self.refine(fidelity),
            Action::SaveAs => self.ask_save_as(),
            Action::ShowInFolder(id) => self.show_in_folder(id),
            Action::SetView(view) => self.settings.view = view,
            Action::Fit => self.view.fits = true,
            Action::ActualSize => {
                let factor = 1.0 / self.view.zoom;
                self.view.zoom_at(factor, [0.0; 2]);
            }
            Action::Zoom(factor) => self.view.zoom_at(factor, [0.0; 2]),
            Action::Pan(by) => self.view.pan(by),
            Action::SetTab(tab) => self.tab = tab,
            Action::ToggleTheme => {
                let dark = ctx.theme() == eframe::egui::Theme::Dark;
                self.set_theme(ctx, if dark { ThemeChoice::Light } else { ThemeChoice::Dark });
            }
            Action::ToggleHelp => (self.help, self.about) = (!self.help, false),
            Action::ToggleAbout => (self.about, self.help) = (!self.about, false),
            Action::ToggleFullScreen => {
                let full = ctx.input(|input| input.viewport().fullscreen.unwrap_or(false));
                ctx.send_viewport_cmd(ViewportCommand::Fullscreen(!full));
            }
            Action::RemoveModel(name) => self.change_library(Change::Remove(name)),
            Action::UseModel(name) => {
                self.use_model(&name);
                self.tab = Tab::Upscale;
            }
            Action::RestartEngine => self.restart_engine(),
            Action::Escape => self.escape(ctx),
            Action::Quit => ctx.send_viewport_cmd(ViewportCommand::Close),
        }
    }

    fn escape(&mut self, ctx: &Context) {
        if self.help || self.about {
            (self.help, self.about) = (false, false);
        } else if self.typing.take().is_some() || self.dialogs.abandon().is_some() || self.toasts.dismiss() {
        } else if ctx.input(|input| input.viewport().fullscreen.unwrap_or(false)) {
            ctx.send_viewport_cmd(ViewportCommand::Fullscreen(false));
        }
    }

    /// Whether a sheet covers the window.
    pub(super) fn has_modal(&self) -> bool {
        self.help || self.about || self.typing.is_some() || self.crashed.is_some()
    }

    fn ask(&mut self, purpose: Purpose) {
        if self.dialogs.is_open() {
            self.toasts.warning("A file dialog is open already. It may be behind the window; Esc gives it up.");
            return;
        }
        self.dialogs.ask(purpose, self.wake.clone());
    }

    /// Lets the user type a path where no dialog answers.
    pub(super) fn type_path(&mut self, purpose: Purpose) {
        self.dialogs.abandon();
        let text = match &purpose {
            Purpose::SaveAs { name, folder } => {
                folder.as_ref().map_or_else(|| name.clone(), |folder| folder.join(name).display().to_string())
            }
            Purpose::ExportModel { name } => {
                self.paths.pictures.join(format!("{name}.safetensors")).display().to_string()
            }
            _ => String::new(),
        };
        self.typing = Some((purpose, text));
    }

    fn try_samples(&mut self) {
        let mut paths = Vec::new();
        for (name, bytes) in SAMPLES {
            let written = self.arrival(name).and_then(|path| {
                dualres_imaging::file::write_atomically(&path, bytes)?;
                Ok(path)
            });
            match written {
                Ok(path) => paths.push(path),
                Err(error) => self.toasts.error(format!("cannot unpack the sample: {error}")),
            }
        }
        self.loader.scan(paths);
    }

    fn start(&mut self) {
        let facts = crate::naming::Facts { name: "name".into(), model: "model".into(), ..Default::default() };
        if let Err(reason) = crate::naming::file_name(&self.settings.choices.pattern, &facts) {
            self.toasts.error(format!("The pattern of names: {reason}"));
            return;
        }
        self.link.control.pause(false);
        if self.queue.running().is_none() && self.queue.next_waiting().is_none() {
            self.toasts.warning("Nothing waits. Drop pictures on the window, or use Retry in the queue.");
            return;
        }
        (self.runs, self.follows) = (true, true);
    }

    fn cancel(&mut self, id: ItemId) {
        self.link.control.cancel(id);
        self.link.control.pause(false);
        if let Some(item) = self.queue.get_mut(id)
            && matches!(item.state, State::Waiting)
        {
            item.state = State::Cancelled;
            self.note_queue_change();
        }
    }

    fn remove(&mut self, id: ItemId) {
        if self.queue.running().is_some_and(|item| item.id == id) {
            self.cancel(id);
            return;
        }
        let neighbour = self.queue.neighbour(Some(id), 1).filter(|&other| other != id);
        let neighbour = neighbour.or_else(|| self.queue.neighbour(Some(id), -1).filter(|&other| other != id));
        self.queue.remove(id);
        self.documents.remove(id);
        self.after_removal(neighbour);
    }

    fn after_removal(&mut self, neighbour: Option<ItemId>) {
        self.note_queue_change();
        if self.selected.is_some_and(|id| self.queue.get(id).is_none()) {
            self.selected = None;
            if let Some(id) = neighbour.or_else(|| self.queue.neighbour(None, 0)) {
                self.select(id);
            }
        }
    }

    /// Brings a picture to the canvas.
    pub(super) fn select(&mut self, id: ItemId) {
        self.select_quietly(id);
        self.view.fits = true;
    }

    pub(super) fn select_quietly(&mut self, id: ItemId) {
        if self.selected != Some(id) {
            self.view.fits = true;
        }
        self.selected = Some(id);
        self.scroll_to = Some(id);
        if self.documents.get(id).is_some() {
            self.documents.touch(id);
            self.show_saved(id);
        } else if let Some(item) = self.queue.get(id) {
            self.loader.open(id, &item.path);
        }
    }

    /// Makes a model the chosen one; what other models made of open pictures stays until they are run again.
    pub(super) fn use_model(&mut self, name: &str) {
        self.settings.choices.model = name.to_owned();
        let scale = self.scale();
        for open in self.documents.iter_mut() {
            // A preview of another model says nothing about this one.
            let done = matches!(
                self.queue.get(open.document.item).map(|i| &i.state),
                Some(State::Done(_) | State::Running(_))
            );
            if !done {
                let factor = scale as f64 / open.document.scale as f64;
                open.document.clear_result(scale);
                if self.selected == Some(open.document.item) {
                    self.view.rescale(factor);
                }
            }
        }
        self.measure();
    }

    fn preview(&mut self) {
        let Some(open) = self.selected.and_then(|id| self.documents.get(id)) else { return };
        let item = open.document.item;
        if matches!(self.queue.get(item).map(|item| &item.state), Some(State::Done(_))) {
            self.toasts.warning("This picture is done; Retry runs it again with other choices.");
            return;
        }
        let scale = self.scale();
        let seconds = 1.0;
        // As much as takes about a second.
        let pixels = self
            .speed(&self.settings.choices.model)
            .map_or(192.0 * 192.0, |speed| speed * seconds / (scale * scale) as f64 / 1.5);
        let side = (pixels.sqrt() as usize).clamp(*PREVIEW_SIDES.start(), *PREVIEW_SIDES.end());
        let visible = reduced(self.view.visible(open.document.result_size(), self.pane), open.document.scale);
        let area = centred(visible, side);
        if area.width == 0 || area.height == 0 {
            return;
        }
        let preview = Preview { item, input: open.picture.clone(), area, choices: self.settings.choices.clone() };
        self.link.control.preview(preview);
        self.send(Command::Preview);
        self.previewing = Some(Instant::now());
    }

    fn refine(&mut self, fidelity: f32) {
        let Some(item) = self.selected else { return };
        if !matches!(self.queue.get(item).map(|item| &item.state), Some(State::Done(_))) {
            return;
        }
        // One at a time, the newest wish next.
        if self.refining {
            self.refine_next = Some(fidelity);
        } else {
            self.refining = true;
            self.send(Command::Refine { item, fidelity });
        }
    }

    fn ask_save_as(&mut self) {
        let Some(State::Done(finished)) = self.selected.and_then(|id| self.queue.get(id)).map(|item| &item.state)
        else {
            self.toasts.warning("There is no result to save yet.");
            return;
        };
        let purpose = Purpose::SaveAs {
            name: finished.output.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            folder: finished.output.parent().map(PathBuf::from),
        };
        self.ask(purpose);
    }

    /// Saves the result of the selected picture to a path that was chosen.
    pub(super) fn save_as(&mut self, path: PathBuf) {
        let Some(item) = self.selected else { return };
        let Some(State::Done(finished)) = self.queue.get(item).map(|item| &item.state) else { return };
        let output = finished.output.clone();
        // Without an extension it is the format of the result that was saved.
        let path = match path.extension() {
            Some(_) => path,
            None => path.with_extension(output.extension().unwrap_or_default()),
        };
        let jpeg_quality = self.settings.choices.jpeg_quality;
        self.send(Command::SaveAs { item, output, path, jpeg_quality });
    }

    fn show_in_folder(&mut self, id: ItemId) {
        let Some(State::Done(finished)) = self.queue.get(id).map(|item| &item.state) else { return };
        let Some(folder) = finished.output.parent() else { return };
        if let Err(error) = open::that_detached(folder) {
            self.toasts.error(format!("no file manager opens the folder ({error}): {}", folder.display()));
        }
    }

    fn set_theme(&mut self, ctx: &Context, choice: ThemeChoice) {
        self.settings.theme = choice;
        theme::choose(ctx, choice);
    }

    /// The document on the canvas, if it is in memory.
    pub(super) fn shown(&self) -> Option<&Document> {
        Some(&self.documents.get(self.selected?)?.document)
    }
}

/// The middle of an area, at most `side` a side.
fn centred(area: Area, side: usize) -> Area {
    let [width, height] = [area.width.min(side), area.height.min(side)];
    Area { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}
