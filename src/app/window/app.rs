//! The state of the window and the order of a frame.

use std::{path::PathBuf, sync::Arc};

use super::{
    canvas::gpu::Gpu,
    compress::{self, Compress},
    models_tab::ModelsTab,
    queue::{self, ItemId, Queue, Remembered},
    services::{Services, StartWorker},
    settings::{self, Settings},
    shell::Shell,
    stored::{self, Memory},
    theme,
    upscale_tab::UpscaleTab,
    worker::{self, Command},
};
use crate::{
    actor::Wake,
    batch::records::Records,
    hints,
    language::{self, Language, tr},
    library::{Entry, Library},
    paths::Paths,
};

/// What a window is made from.
pub struct Setup {
    /// Where it keeps what it remembers.
    pub paths: Paths,
    /// Files to open.
    pub files: Vec<PathBuf>,
    /// Whether it speaks the language of the system and follows what the desktop asks for, or is the same everywhere.
    pub follows_system: bool,
    /// Starts a worker; called again when the engine is restarted.
    pub start_worker: StartWorker,
}

impl Setup {
    /// The program's own worker.
    pub fn of_program(paths: Paths, files: Vec<PathBuf>) -> Self {
        let theirs = paths.clone();
        let records = Records::default();
        let start_worker: StartWorker =
            Box::new(move |wake| worker::start(Library::new(theirs.models()), theirs.clone(), records.clone(), wake));
        Self { paths, files, follows_system: false, start_worker }
    }
}

/// The window.
pub struct Window {
    pub(super) shell: Shell,
    pub(super) upscale: UpscaleTab,
    pub(super) compress: Compress,
    pub(super) models: ModelsTab,
    pub(super) services: Services,
}

/// The file of the settings.
pub(super) fn settings_file(paths: &Paths) -> PathBuf {
    paths.config.join("settings.json")
}

pub(super) fn queue_file(paths: &Paths) -> PathBuf {
    paths.config.join("queue.json")
}

impl Window {
    /// Makes the window's state, with what was remembered, and starts its threads.
    ///
    /// # Errors
    /// If the system gives no threads or the models inside the program are damaged.
    pub fn new(cc: &eframe::CreationContext<'_>, setup: Setup) -> anyhow::Result<Self> {
        let Setup { paths, files, follows_system, start_worker } = setup;
        let usual_language = if follows_system { Language::of_system() } else { Language::English };
        hints::speak_in_window();
        // What is wrong with the settings is told in it.
        language::speak(usual_language);
        let (settings, complaint): (Settings, _) = stored::read(&settings_file(&paths));
        theme::install(&cc.egui_ctx, settings.theme);
        let ctx = cc.egui_ctx.clone();
        let wake: Wake = Arc::new(move || ctx.request_repaint());
        let mut shell = Shell::new(settings, usual_language, follows_system, &wake);
        let (models, complaints) = ModelsTab::new(Library::new(paths.models()))?;
        let (memory, told) = stored::lock(&paths);
        complaint.into_iter().chain(told).chain(complaints).for_each(|text| shell.toasts.warning(text));
        shell.memory = memory;
        let gpu = cc.wgpu_render_state.as_ref().map(Gpu::new);
        let services = Services::start(paths, start_worker, wake, gpu)?;
        let (upscale, compress) = (UpscaleTab::default(), Compress::default());
        let mut window = Self { shell, upscale, compress, models, services };
        window.speak(&cc.egui_ctx);
        window.limit_gpu_memory();
        if !window.models.entries.iter().any(|entry| entry.name == window.shell.settings.choices.model) {
            window.shell.settings.choices.model = settings::Choices::default().model;
        }
        if matches!(window.shell.memory, Memory::Own(_)) {
            let (remembered, complaint): (Remembered, _) = stored::read(&queue_file(&window.services.paths));
            complaint.into_iter().for_each(|text| window.shell.toasts.warning(text));
            let recalled = window.upscale.queue.recall(remembered);
            let readable = |id: &&ItemId| {
                window.upscale.queue.get(**id).is_some_and(|item| !matches!(item.state, queue::State::Failed(_)))
            };
            if let Some(&first) = recalled.iter().find(readable).or(recalled.first()) {
                window.select(first);
            }
            let (remembered, complaint): (compress::remember::Remembered, _) =
                stored::read(&compress::remember::file(&window.services.paths));
            complaint.into_iter().for_each(|text| window.shell.toasts.warning(text));
            window.recall_all_runs(remembered);
        }
        if !files.is_empty() {
            window.services.loader.scan(files);
        }
        Ok(window)
    }

    /// Draws the curves of a run of the Compress tab beside those of the chosen one.
    pub fn overlay(&mut self, run: compress::runs::RunId) {
        self.compress.overlaid.insert(run);
    }

    /// What the title bar says.
    pub fn shown_title(&self) -> &str {
        &self.shell.shown_title
    }

    /// The Compress tab.
    pub fn compress(&self) -> &Compress {
        &self.compress
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.upscale.queue
    }

    pub(super) fn send(&mut self, command: Command) {
        if self.services.link.commands.send(command).is_err() && self.services.crashed.is_none() {
            self.services.crashed = Some(tr!("the engine is not running"));
        }
    }

    /// Brings the window to where it was on this screen, once, and follows what the desktop asks for.
    pub(super) fn settle(&mut self, ctx: &eframe::egui::Context) {
        for wish in self.shell.wishes.try_iter() {
            wish.grant(ctx);
        }
        let info = ctx.input(|input| input.viewport().clone());
        if !self.shell.settled && info.monitor_size.is_some() && info.inner_rect.is_some() {
            self.shell.settled = true;
            self.shell.settings.screens.settle(&info).into_iter().for_each(|command| ctx.send_viewport_cmd(command));
        }
    }

    /// The chosen model.
    pub(super) fn model(&self) -> Option<&Entry> {
        self.models.entries.iter().find(|entry| entry.name == self.shell.settings.choices.model)
    }

    /// Enlargement of the chosen model.
    pub(super) fn scale(&self) -> usize {
        self.model().map_or(2, |entry| entry.description.scale())
    }

    pub(super) fn restart_engine(&mut self) {
        match (self.services.start_worker)(self.services.wake.clone()) {
            Ok(link) => {
                let mut old = std::mem::replace(&mut self.services.link, link);
                // The old worker may hang in a driver; waiting for it is not the window's business. A result that it saves is.
                old.end();
                if let Some(older) = self.services.old_link.replace(old) {
                    // One that hangs is waited for by nobody who has something to draw.
                    let _ = std::thread::Builder::new().name("old engine".into()).spawn(move || drop(older));
                }
                self.upscale.queue.leave_behind();
                self.services.crashed = None;
                (self.services.measuring, self.upscale.previewing) = (false, None);
                (self.upscale.paused_since, self.services.unmeasurable) = (None, None);
                self.forget_refinement();
                self.upscale.refinement.at_hand = None;
                self.end_trial();
                for open in self.upscale.documents.iter_mut() {
                    open.asked = open.whole && open.document.dual.is_some() && open.refined.is_none();
                    if open.refined.take().is_some() {
                        open.document.clear_result(open.document.scale);
                    }
                }
                if let Some(id) = self.upscale.selected {
                    self.show_saved(id);
                }
                self.send(Command::Devices);
            }
            Err(error) => {
                self.shell
                    .toasts
                    .error(tr!("the engine does not start (%{error}); restart the program", error = error));
            }
        }
    }

    pub(super) fn note_queue_change(&mut self) {
        self.upscale.queue_changed = true;
    }
}

/// Names the speed of a model on a device in the settings.
pub(super) fn speed_key(model: &str, device: &str) -> String {
    format!("{model} on {device}")
}
