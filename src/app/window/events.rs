//! What comes in: files from the loader, drops, pastes, dialogs; reports of the worker are taken in [`runs`](super::runs).

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use dualres_imaging::{EncodeOptions, Format, Picture, Plane, file::write_new};
use eframe::egui::{self, Context, TextureOptions};
use poll_promise::Promise;

use super::{
    Window,
    actions::{Action, Tab},
    compress::{actions::CompressAction, state::Picturing},
    dialogs::{self, Purpose},
    document::Document,
    library_news::Change,
    loader::{Brought, Loaded},
    open_documents::OpenDocument,
    queue::{ItemId, State},
    worker::Command,
};
use crate::{
    batch::{location::Place, outcome::write_table},
    language::tr,
    trust::{self, Notice},
};

/// Longest time that reports are taken in for in one frame.
const LONGEST: Duration = Duration::from_millis(4);
/// Most thumbnails that are kept in memory, of 150 kB each.
const MAX_THUMBNAILS: usize = 1000;

impl Window {
    /// Takes in what other threads have to say.
    pub(super) fn drain(&mut self, ctx: &Context) {
        let start = Instant::now();
        loop {
            if start.elapsed() > LONGEST {
                ctx.request_repaint();
                break;
            }
            match self.services.link.reports.try_recv() {
                Ok(report) => self.take_report(report),
                Err(_) if self.take_helpers_report() => {}
                Err(_) => break,
            }
        }
        self.take_last_reports();
        while let Some(loaded) = self.services.loader.next() {
            self.take_loaded(ctx, loaded);
        }
        match self.shell.dialogs.poll() {
            Some(dialogs::Outcome::Chosen(purpose, paths)) => self.take_chosen(&purpose, paths),
            Some(dialogs::Outcome::NoDialog(purpose)) => {
                self.shell.toasts.warning(tr!("This desktop gave no file dialog. Type the path instead."));
                self.type_path(purpose);
            }
            None => {}
        }
        for notice in trust::take_news() {
            match notice {
                Notice::Checking(device) => self.shell.toasts.good(tr!(
                    "Preparing %{device}, once: its kernels are compiled, tuned and checked against the CPU.",
                    device = device
                )),
                // Asked for where it is shown.
                Notice::Prepared(_) => {}
                Notice::Refused(reason) | Notice::NotKept(reason) => self.shell.toasts.warning(reason),
            }
        }
        self.take_completed();
        self.take_adapted();
        self.take_library_news();
        self.take_brought();
        if !self.upscale.brought.is_empty() || !self.models.library_tasks.is_empty() || self.shell.dialogs.is_open() {
            // Promises say that they are ready a moment before they can be taken.
            ctx.request_repaint_after(Duration::from_millis(100));
        }
    }

    fn take_loaded(&mut self, ctx: &Context, loaded: Loaded) {
        match loaded {
            Loaded::Found { pictures, models, complaints } => {
                complaints.into_iter().for_each(|text| self.shell.toasts.warning(text));
                for path in models {
                    self.change_library(Change::Import(path));
                }
                let (mut first, mut any, count) = (None, None, pictures.len());
                let mut there = self.upscale.queue.paths();
                for Brought { path, below, size, format, broken } in pictures {
                    if !there.insert(path.clone()) {
                        continue;
                    }
                    let twin = self.upscale.queue.next_of_place(&below, &path);
                    let id = self.upscale.queue.add(path, size);
                    if let Some(item) = self.upscale.queue.get_mut(id) {
                        (item.below, item.twin, item.format) = (below, twin, Some(format));
                        if let Some(failure) = broken {
                            item.state = State::Failed(failure);
                        }
                    }
                    let is_broken =
                        self.upscale.queue.get(id).is_some_and(|item| matches!(item.state, State::Failed(_)));
                    any = any.or(Some(id));
                    first = first.or((!is_broken).then_some(id));
                }
                // What can be seen rather than what cannot.
                let first = first.or(any);
                if first.is_none() && count > 0 {
                    self.shell.toasts.warning(tr!("In the queue already; \"Upscale again\" runs a picture once more."));
                }
                if let Some(id) = first {
                    self.shell.tab = Tab::Upscale;
                    self.note_queue_change();
                    self.upscale.scroll_to = Some(id);
                    if self.upscale.queue.running().is_none() || self.upscale.selected.is_none() {
                        self.select(id);
                    }
                }
            }
            Loaded::Thumbnail { item, image, size } => self.take_thumbnail(ctx, item, image, size),
            Loaded::Opened { item, picture, pyramid, thumbnail, fitting } => {
                let scale = self.scale();
                if self.upscale.queue.get(item).is_some() {
                    self.upscale.thumbnails_asked.insert(item);
                    self.take_thumbnail(ctx, item, thumbnail, [picture.width(), picture.height()]);
                    let document = Document::new(item, scale, *pyramid);
                    self.upscale.unreadable.remove(&item);
                    self.upscale.documents.add(OpenDocument {
                        document,
                        picture,
                        fitting,
                        asked: false,
                        whole: false,
                        preview: None,
                        preview_by: None,
                        refined: None,
                    });
                    self.upscale.documents.shrink(self.upscale.selected);
                    self.show_saved(item);
                    self.compare_with_original(item);
                }
            }
            Loaded::Result { item, pyramid } => {
                if let Some(open) = self.upscale.documents.get_mut(item)
                    && open.document.result.is_none()
                {
                    let ([width, height], [w, h]) = (open.document.input.size(), pyramid.size());
                    let scale = w / width;
                    if scale > 0 && [w, h] == [width * scale, height * scale] {
                        let factor = scale as f64 / open.document.scale as f64;
                        open.document.scale = scale;
                        open.document.result = Some(*pyramid);
                        if self.upscale.selected == Some(item) && open.preview.is_none() {
                            self.upscale.view.rescale(factor);
                        }
                    }
                }
            }
            Loaded::Broken { item, failure } => {
                self.upscale.unreadable.insert(item, failure.reason.clone());
                if let Some(item) = self.upscale.queue.get_mut(item)
                    && matches!(item.state, State::Waiting)
                {
                    item.state = State::Failed(failure);
                    self.note_queue_change();
                }
            }
        }
    }

    fn take_thumbnail(&mut self, ctx: &Context, item: ItemId, image: egui::ColorImage, size: [usize; 2]) {
        if let Some(item) = self.upscale.queue.get_mut(item) {
            item.size = Some(size);
            if item.thumbnail.is_none() {
                let name = format!("thumbnail {}", item.id.0);
                item.thumbnail = Some(ctx.load_texture(name, image, TextureOptions::LINEAR));
                let id = item.id;
                self.forget_old_thumbnails(id);
            }
        }
    }

    /// Keeps the memory of a queue of ten thousand pictures that of one thousand; what comes into sight again is asked for
    /// again.
    fn forget_old_thumbnails(&mut self, newest: ItemId) {
        self.upscale.thumbnails.push_back(newest);
        while self.upscale.thumbnails.len() > MAX_THUMBNAILS {
            let Some(oldest) = self.upscale.thumbnails.pop_front() else { return };
            self.upscale.thumbnails_asked.remove(&oldest);
            if let Some(item) = self.upscale.queue.get_mut(oldest) {
                item.thumbnail = None;
            }
        }
    }

    /// Has the saved result of a picture that was done earlier shown.
    pub(super) fn show_saved(&mut self, item: ItemId) {
        let Some(State::Done(finished)) = self.upscale.queue.get(item).map(|item| &item.state) else { return };
        let (output, model) = (finished.output.clone(), finished.model.clone());
        let device = self.shell.settings.choices.device.clone();
        let Some(open) = self.upscale.documents.get_mut(item) else { return };
        if open.asked {
            return;
        }
        open.asked = true;
        let model = if self.models.entries.iter().any(|entry| entry.name == model) {
            model
        } else {
            self.shell.settings.choices.model.clone()
        };
        let input = open.picture.clone();
        // The proof has to wait for a running picture; the result need not.
        self.services.loader.result(item, &output);
        self.send(Command::Prove { item, input, output, model, device });
    }

    fn take_chosen(&mut self, purpose: &Purpose, paths: Vec<PathBuf>) {
        let Some(first) = paths.first().cloned() else { return };
        match purpose {
            Purpose::Pictures | Purpose::Folder | Purpose::Model => self.services.loader.scan(paths),
            Purpose::RunFolder => self.open_runs(first),
            Purpose::CompressData => self.shell.settings.compress.data = paths,
            Purpose::CompressValidation => self.shell.settings.compress.validation = Some(first),
            Purpose::ComparedPicture => self.read_compared(Some(first)),
            Purpose::CurvesCsv => self.export_csv(with_extension(first, "csv")),
            Purpose::PlotsPng => self.compress.picturing = Some(Picturing::Wanted(with_extension(first, "png"))),
            Purpose::Table => self.export_table(&with_extension(first, "csv")),
            Purpose::OutputFolder => self.shell.settings.choices.folder = Some(first),
            Purpose::SaveAs { item, .. } => self.save_as(*item, first, false),
            Purpose::ExportModel { name } => {
                let path = if first.extension().is_none() { first.with_extension("safetensors") } else { first };
                self.change_library(Change::Export(name.clone(), path));
            }
        }
    }

    /// Acts on a path that was typed.
    pub(super) fn take_typed(&mut self, purpose: &Purpose, text: &str) {
        let Some(path) = path_of(text) else { return };
        // No dialog of the desktop has asked whether a file may be replaced.
        match purpose {
            Purpose::SaveAs { item, .. } => self.save_as(*item, path, true),
            Purpose::ExportModel { .. } | Purpose::CurvesCsv | Purpose::PlotsPng | Purpose::Table if path.exists() => {
                self.shell
                    .toasts
                    .error(tr!("There is a file %{path} already: choose another name.", path = path.display()));
                self.type_path(purpose.clone());
            }
            _ => self.take_chosen(purpose, vec![path]),
        }
    }

    /// Takes drops and pastes.
    pub(super) fn take_input(&mut self, ctx: &Context) {
        let dropped: Vec<_> =
            ctx.input(|input| input.raw.dropped_files.iter().map(|file| file.path().to_owned()).collect());
        if !dropped.is_empty() {
            self.take_dropped(dropped);
        }
        let typing = ctx.text_edit_focused();
        let pasted: Vec<egui::Event> = ctx.input(|input| {
            let events = input.events.iter();
            events.filter(|e| matches!(e, egui::Event::Paste(_) | egui::Event::PasteImage(_))).cloned().collect()
        });
        for event in pasted {
            match event {
                egui::Event::Paste(text) if !typing => {
                    let named = text.lines().filter_map(path_of).filter(|path| path.is_absolute());
                    let (paths, gone): (Vec<_>, Vec<_>) = named.partition(|path| path.exists());
                    match (gone.first(), paths.is_empty()) {
                        (None, true) => {
                            let other = tr!("The clipboard holds text, but neither a picture nor a path of one.");
                            self.shell.toasts.warning(other);
                        }
                        (Some(first), _) => {
                            self.shell.toasts.warning(tr!(
                                "%{count} pasted files are not there, such as %{first}",
                                count = gone.len(),
                                first = first.display()
                            ));
                        }
                        (None, false) => {}
                    }
                    if !paths.is_empty() {
                        self.shell.actions.push(Action::AddPaths(paths));
                    }
                }
                egui::Event::PasteImage(image) => self.take_pasted(&image),
                _ => {}
            }
        }
    }

    /// Drops mean what the tab in sight is about.
    fn take_dropped(&mut self, paths: Vec<PathBuf>) {
        let model = |path: &std::path::Path| super::loader::is_model(path);
        match paths.as_slice() {
            [path] if self.shell.tab == Tab::Compress && path.is_dir() => {
                if !dualres_compression::run_folders(path).is_empty() {
                    self.compress_action(CompressAction::RunFolder(path.clone()));
                } else {
                    self.shell.settings.compress.data = vec![path.clone()];
                }
            }
            [path] if self.shell.tab == Tab::Compress && !model(path) => {
                self.compress_action(CompressAction::Picture(path.clone()))
            }
            _ => self.shell.actions.push(Action::AddPaths(paths)),
        }
    }

    fn take_pasted(&mut self, image: &egui::ColorImage) {
        let [width, height] = image.size;
        if width == 0 || height == 0 {
            return;
        }
        let pixels: Vec<[u8; 4]> = image.pixels.iter().map(|pixel| pixel.to_srgba_unmultiplied()).collect();
        let plane = |c: usize| Plane::new(width, height, pixels.iter().map(|pixel| f32::from(pixel[c])).collect());
        let mut picture = Picture::from_planes((0..3).map(plane).collect());
        if pixels.iter().any(|pixel| pixel[3] < 255) {
            picture.alpha = Some(plane(3));
        }
        let folder = self.services.paths.arrivals();
        self.bring(move || {
            std::fs::create_dir_all(&folder)?;
            loop {
                let path = crate::naming::free(&folder.join("pasted.png"), &|_| false);
                let bytes = dualres_imaging::encode(&picture, Format::Png, EncodeOptions::default())?;
                if write_new(&path, &bytes)? {
                    return Ok(vec![path]);
                }
            }
        });
    }

    /// Has files made beside the window that then come into the queue.
    pub(super) fn bring(&mut self, make: impl FnOnce() -> anyhow::Result<Vec<PathBuf>> + Send + 'static) {
        let wake = self.services.wake.clone();
        self.upscale.brought.push(Promise::spawn_thread("arrivals", move || {
            let made = make().map_err(|error| tr!("cannot keep the picture: %{error}", error = error));
            wake();
            made
        }));
    }

    /// Writes what became of the pictures as the command line's `--table` does.
    fn export_table(&mut self, path: &Path) {
        match write_table(path, &self.upscale.queue.rows()) {
            Ok(()) => self.shell.toasts.good(tr!("Saved %{path}", path = path.display())),
            Err(error) => self.shell.toasts.error(crate::report::message(&error)),
        }
    }

    fn take_brought(&mut self) {
        let mut rest = Vec::new();
        for promise in std::mem::take(&mut self.upscale.brought) {
            match promise.try_take() {
                Ok(Ok(paths)) => self.services.loader.scan(paths),
                Ok(Err(reason)) => self.shell.toasts.error(reason),
                Err(unfinished) => rest.push(unfinished),
            }
        }
        self.upscale.brought = rest;
    }
}

/// A path with an extension where it has none.
fn with_extension(path: PathBuf, extension: &str) -> PathBuf {
    if path.extension().is_none() { path.with_extension(extension) } else { path }
}

/// The path that a person or another program wrote: as it is, in quotes, as an address, or from the home folder on.
fn path_of(text: &str) -> Option<PathBuf> {
    let text = text.trim().trim_matches(['"', '\'']);
    if let Some(address) = text.strip_prefix("file:") {
        // file:/a, file:///a and file://localhost/a are the same place; names need not be text.
        let address = address.strip_prefix("//").unwrap_or(address);
        let address = address.strip_prefix("localhost/").map_or(address, |_| &address["localhost".len()..]);
        let bytes: Vec<u8> = percent_encoding::percent_decode_str(address).collect();
        return (!bytes.is_empty()).then(|| Place::of_bytes(bytes).path());
    }
    match (text.strip_prefix("~/"), dirs::home_dir()) {
        (Some(rest), Some(home)) => Some(home.join(rest)),
        _ => (!text.is_empty()).then(|| PathBuf::from(text)),
    }
}
