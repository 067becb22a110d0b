//! The state of the window and the order of a frame.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, channel},
    },
    time::Instant,
};

use poll_promise::Promise;

use super::{
    actions::{Action, Tab},
    adapting::Adapting,
    candidates::Trial,
    canvas::{gpu::Gpu, view::View},
    completing::Completing,
    compress::{self, Compress},
    cost::Beside,
    desktop::{self, Wishes},
    dialogs::Dialogs,
    forecast::Forecasts,
    helper::Helper,
    leaving::Closing,
    loader::Loader,
    machine::Machine,
    new_device::NewDevice,
    open_documents::OpenDocuments,
    previewed::Live,
    queue::{ItemId, Queue, Remembered},
    refinement::Refinement,
    settings::{self, Settings},
    sorting::Sorting,
    stored,
    tally::Run,
    theme,
    toasts::Toasts,
    worker::{self, Command, DeviceInfo, Link},
};
use crate::{
    actor::Wake,
    batch::records::Records,
    language::{self, Language, tr},
    library::{Entry, Library},
    paths::Paths,
};

/// Starts a worker for the window.
type StartWorker = Box<dyn Fn(Wake) -> std::io::Result<Link>>;

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
    pub(super) paths: Paths,
    pub(super) library: Library,
    pub(super) entries: Vec<Entry>,
    pub(super) settings: Settings,
    pub(super) saved: Settings,
    pub(super) queue: Queue,
    pub(super) selected: Option<ItemId>,
    /// Whether waiting pictures are run one after the other.
    pub(super) runs: bool,
    /// The picture that alone is run, whatever else waits.
    pub(super) only: Option<ItemId>,
    /// Whether the canvas goes along with the running picture; until the user selects another.
    pub(super) follows: bool,
    pub(super) documents: OpenDocuments,
    pub(super) view: View,
    pub(super) split: f32,
    /// Size of a pane in pixels of the screen, as drawn last.
    pub(super) pane: [f64; 2],
    pub(super) gpu: Option<Gpu>,
    pub(super) link: Link,
    /// A worker that was replaced and has not ended yet.
    pub(super) old_link: Option<Link>,
    /// Workers on further devices.
    pub(super) helpers: Vec<Helper>,
    /// Whether the worker has been told that nothing waits.
    pub(super) rests: bool,
    pub(super) start_worker: StartWorker,
    pub(super) loader: Loader,
    pub(super) wake: Wake,
    pub(super) devices: Vec<DeviceInfo>,
    pub(super) automatic: String,
    /// A device that was asked for, and what is used in its place or for it.
    pub(super) using: Option<(String, String)>,
    pub(super) measuring: bool,
    pub(super) previewing: Option<Instant>,
    pub(super) live: Live,
    /// Models that are compared on a part of the selected picture.
    pub(super) trial: Option<Trial>,
    pub(super) refinement: Refinement,
    /// Choices whose model could not be measured, so that it is not tried again and again.
    pub(super) unmeasurable: Option<settings::Choices>,
    /// What compressed models cost on pictures, against the models they were made from.
    pub(super) beside: HashMap<ItemId, Beside>,
    /// Pictures that could not be read for the canvas, and why.
    pub(super) unreadable: HashMap<ItemId, String>,
    /// Files that are being made for the queue.
    pub(super) brought: Vec<Promise<Result<Vec<PathBuf>, String>>>,
    pub(super) paused_since: Option<Instant>,
    /// What became of the pictures of the present run, or the last.
    pub(super) run: Run,
    /// A file that is there, and the picture whose result is to replace it.
    pub(super) replacing: Option<(ItemId, PathBuf)>,
    /// Whether the field for a path has just come up.
    pub(super) typing_began: bool,
    /// Held for as long as this window is the one that remembers.
    pub(super) lock: Option<dualres_imaging::lock::Lock>,
    /// Pictures whose thumbnails were asked for.
    pub(super) thumbnails_asked: std::collections::HashSet<ItemId>,
    /// Thumbnails in memory, the oldest first.
    pub(super) thumbnails: std::collections::VecDeque<ItemId>,
    /// A picture of the queue to bring into sight.
    pub(super) scroll_to: Option<ItemId>,
    pub(super) toasts: Toasts,
    pub(super) dialogs: Dialogs,
    /// The change to the library that is under way, with those it waits for.
    pub(super) library_tasks: Vec<Promise<Vec<super::library_news::News>>>,
    /// The model that is being given what it lacks.
    pub(super) completing: Option<Completing>,
    /// The model that is being adapted to the photos of the queue.
    pub(super) adapting: Adapting,
    /// The device of another machine that is being named.
    pub(super) new_device: Option<NewDevice>,
    /// The writing of what is to be remembered.
    pub(super) remembering: Option<Promise<Vec<String>>>,
    /// What becomes of the open picture's file.
    pub(super) forecasts: Forecasts,
    /// The field a path is typed into, and what for.
    pub(super) typing: Option<(super::dialogs::Purpose, String)>,
    pub(super) compress: Compress,
    pub(super) tab: Tab,
    pub(super) shown_model: Option<String>,
    pub(super) help: bool,
    pub(super) about: bool,
    /// Whether the table of results is open, and by what it is sorted.
    pub(super) table: bool,
    pub(super) sorting: Sorting,
    pub(super) crashed: Option<String>,
    /// What was said about closing the window.
    pub(super) closing: Closing,
    /// What the title bar says.
    pub(super) shown_title: String,
    pub(super) is_focused: bool,
    /// Whether the desktop is to point at the window.
    pub(super) wants_attention: bool,
    pub(super) actions: Vec<Action>,
    pub(super) machine: Machine,
    /// The language where none is chosen.
    pub(super) usual_language: Language,
    /// The language that letters are looked for, and how many passes to wait for them.
    pub(super) unproven: Option<(Language, u8)>,
    /// Whether it has been drawn.
    pub(super) has_been_drawn: bool,
    /// Whether the window has been brought to its place.
    settled: bool,
    /// What the desktop asks for, as it comes.
    wishes: Receiver<Wishes>,
    pub(super) queue_changed: bool,
    pub(super) remembered_at: Instant,
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
        // What is wrong with the settings is told in it.
        language::speak(usual_language);
        let (settings, complaint): (Settings, _) = stored::read(&settings_file(&paths));
        let mut toasts = Toasts::default();
        complaint.into_iter().for_each(|text| toasts.warning(text));
        theme::install(&cc.egui_ctx, settings.theme);
        let ctx = cc.egui_ctx.clone();
        let wake: Wake = Arc::new(move || ctx.request_repaint());
        let (wished, wishes) = channel();
        let waker = wake.clone();
        if follows_system {
            desktop::watch(move |wish| {
                // Nobody listens once the window is closed.
                let _ = wished.send(wish);
                waker();
            });
        }
        let link = start_worker(wake.clone())?;
        let (lock, told) = stored::lock(&paths);
        told.into_iter().for_each(|text| toasts.warning(text));
        let library = Library::new(paths.models());
        let (entries, complaints) = library.entries()?;
        complaints.into_iter().for_each(|text| toasts.warning(text));
        let mut window = Self {
            library,
            entries,
            saved: settings.clone(),
            settings,
            queue: Queue::default(),
            selected: None,
            runs: false,
            only: None,
            follows: true,
            documents: OpenDocuments::default(),
            view: View::default(),
            split: 0.5,
            pane: [1.0; 2],
            gpu: cc.wgpu_render_state.as_ref().map(Gpu::new),
            link,
            old_link: None,
            helpers: Vec::new(),
            rests: true,
            start_worker,
            loader: Loader::start(wake.clone())?,
            wake,
            devices: Vec::new(),
            automatic: "CPU".into(),
            measuring: false,
            previewing: None,
            live: Live::default(),
            trial: None,
            refinement: Refinement::default(),
            unmeasurable: None,
            beside: HashMap::new(),
            unreadable: HashMap::new(),
            brought: Vec::new(),
            paused_since: None,
            run: Run::default(),
            replacing: None,
            typing_began: false,
            lock,
            thumbnails_asked: Default::default(),
            thumbnails: Default::default(),
            scroll_to: None,
            toasts,
            dialogs: Dialogs::default(),
            library_tasks: Vec::new(),
            completing: None,
            adapting: Adapting::Idle,
            new_device: None,
            remembering: None,
            forecasts: Forecasts::default(),
            typing: None,
            compress: Compress::default(),
            tab: Tab::Upscale,
            shown_model: None,
            help: false,
            about: false,
            table: false,
            sorting: Sorting::default(),
            crashed: None,
            closing: Closing::No,
            shown_title: String::new(),
            is_focused: true,
            wants_attention: false,
            using: None,
            actions: Vec::new(),
            machine: Machine::default(),
            usual_language,
            unproven: None,
            has_been_drawn: false,
            settled: false,
            wishes,
            queue_changed: false,
            remembered_at: Instant::now(),
            paths,
        };
        window.speak(&cc.egui_ctx);
        window.limit_gpu_memory();
        if !window.entries.iter().any(|entry| entry.name == window.settings.choices.model) {
            window.settings.choices.model = settings::Choices::default().model;
        }
        if window.lock.is_some() {
            let (remembered, complaint): (Remembered, _) = stored::read(&queue_file(&window.paths));
            complaint.into_iter().for_each(|text| window.toasts.warning(text));
            let recalled = window.queue.recall(remembered);
            if let Some(&first) = recalled.first() {
                window.select(first);
            }
            let (remembered, complaint): (compress::remember::Remembered, _) =
                stored::read(&compress::remember::file(&window.paths));
            complaint.into_iter().for_each(|text| window.toasts.warning(text));
            window.recall_all_runs(remembered);
        }
        if !files.is_empty() {
            window.loader.scan(files);
        }
        Ok(window)
    }

    /// Draws the curves of a run of the Compress tab beside those of the chosen one.
    pub fn overlay(&mut self, run: compress::runs::RunId) {
        self.compress.overlaid.insert(run);
    }

    /// The Compress tab.
    pub fn compress(&self) -> &Compress {
        &self.compress
    }

    /// The queue.
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    pub(super) fn send(&mut self, command: Command) {
        if self.link.commands.send(command).is_err() && self.crashed.is_none() {
            self.crashed = Some(tr!("the engine is not running"));
        }
    }

    /// Brings the window to where it was on this screen, once, and follows what the desktop asks for.
    pub(super) fn settle(&mut self, ctx: &eframe::egui::Context) {
        for wish in self.wishes.try_iter() {
            wish.grant(ctx);
        }
        let info = ctx.input(|input| input.viewport().clone());
        if !self.settled && info.monitor_size.is_some() && info.inner_rect.is_some() {
            self.settled = true;
            self.settings.screens.settle(&info).into_iter().for_each(|command| ctx.send_viewport_cmd(command));
        }
    }

    /// The chosen model.
    pub(super) fn model(&self) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.name == self.settings.choices.model)
    }

    /// Enlargement of the chosen model.
    pub(super) fn scale(&self) -> usize {
        self.model().map_or(2, |entry| entry.description.scale())
    }

    pub(super) fn restart_engine(&mut self) {
        match (self.start_worker)(self.wake.clone()) {
            Ok(link) => {
                let mut old = std::mem::replace(&mut self.link, link);
                // The old worker may hang in a driver; waiting for it is not the window's business. A result that it saves is.
                old.end();
                if let Some(older) = self.old_link.replace(old) {
                    // One that hangs is waited for by nobody who has something to draw.
                    let _ = std::thread::Builder::new().name("old engine".into()).spawn(move || drop(older));
                }
                self.queue.leave_behind();
                self.crashed = None;
                (self.measuring, self.previewing) = (false, None);
                (self.paused_since, self.unmeasurable) = (None, None);
                self.forget_refinement();
                self.end_trial();
                for open in self.documents.iter_mut() {
                    open.asked = open.whole && open.document.dual.is_some() && open.refined.is_none();
                    if open.refined.take().is_some() {
                        open.document.clear_result(open.document.scale);
                    }
                }
                if let Some(id) = self.selected {
                    self.show_saved(id);
                }
                self.send(Command::Devices);
            }
            Err(error) => {
                self.toasts.error(tr!("the engine does not start (%{error}); restart the program", error = error));
            }
        }
    }

    pub(super) fn note_queue_change(&mut self) {
        self.queue_changed = true;
    }
}

/// Names the speed of a model on a device in the settings.
pub(super) fn speed_key(model: &str, device: &str) -> String {
    format!("{model} on {device}")
}
