//! The thread that owns every tensor, and how the window talks with it.
//!
//! The window sends [`Command`]s and drains [`Report`]s once a frame. Cancelling and pausing go past the queue of
//! commands and take effect within a tile; so do previews, which are what a user waits for.

mod engine;
mod job;
mod kept;
mod measuring;
mod messages;
pub(crate) mod part;
mod reader;
mod records;
mod results;
mod saver;
mod upscale;

pub(crate) use job::folder as result_folder;
pub use messages::{Attempt, Command, Comparison, DeviceInfo, Job, Preview, Report, Tried, Try};
pub(crate) use messages::{DONE_BEFORE, NO_ITEM};
pub use records::Records;

use std::{
    ops::ControlFlow,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use dualres_imaging::caught;

use super::queue::ItemId;
use crate::{library::Library, paths::Paths};

/// Tells the window that there is something to see.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// What goes past the queue of commands.
#[derive(Debug, Default)]
pub struct Control {
    /// Number of the picture to stop, plus one.
    cancel: AtomicU64,
    paused: AtomicBool,
    saving: AtomicBool,
    ends: AtomicBool,
    previews: Mutex<Vec<Preview>>,
    /// Number of the comparison of models that is waited for.
    trial: AtomicU64,
}

impl Control {
    /// Stops a picture within a tile.
    pub fn cancel(&self, item: ItemId) {
        self.cancel.store(item.0 + 1, Ordering::Relaxed);
    }

    /// Forgets that a picture was to stop: it runs anew.
    pub fn allow(&self, item: ItemId) {
        let _ = self.cancel.compare_exchange(item.0 + 1, 0, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// Whether a picture is to stop.
    pub fn is_cancelled(&self, item: ItemId) -> bool {
        self.ends() || self.cancel.load(Ordering::Relaxed) == item.0 + 1
    }

    /// Whether the window is gone and nothing more is to be done.
    pub fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// Notes that a result is being saved, which the end of the program waits for.
    pub fn saves(&self, saving: bool) {
        self.saving.store(saving, Ordering::Relaxed);
    }

    /// Halts the running picture within a tile, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.paused.store(paused, Ordering::Relaxed);
    }

    /// Whether the running picture is halted.
    pub fn is_paused(&self) -> bool {
        !self.ends() && self.paused.load(Ordering::Relaxed)
    }

    /// Begins a comparison of models: what is left of an earlier one is not waited for any more.
    pub fn begin_trial(&self) -> u64 {
        self.trial.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether a comparison is the one that is waited for.
    pub fn is_trial(&self, number: u64) -> bool {
        self.trial.load(Ordering::Relaxed) == number
    }

    /// Asks for a preview, in place of one that has not begun.
    pub fn preview(&self, preview: Preview) {
        let mut previews = self.previews.lock().unwrap_or_else(PoisonError::into_inner);
        previews.clear();
        previews.push(preview);
    }

    /// Puts a preview back that could not be done yet, unless there is a newer one.
    pub fn put_back(&self, preview: Preview) {
        let mut previews = self.previews.lock().unwrap_or_else(PoisonError::into_inner);
        if previews.is_empty() {
            previews.push(preview);
        }
    }

    /// The preview to do next.
    pub fn take_preview(&self) -> Option<Preview> {
        self.previews.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }
}

/// The window's end of the worker.
#[derive(Debug)]
pub struct Link {
    /// Commands, done one after the other.
    pub commands: Sender<Command>,
    /// Reports in their order.
    pub reports: Receiver<Report>,
    /// What goes past the commands.
    pub control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

/// Longest time that the end of the program waits for the worker.
const LONGEST_END: Duration = Duration::from_secs(3);
/// The same while a result is being saved.
const LONGEST_SAVING: Duration = Duration::from_secs(120);

impl Link {
    /// Tells the worker to end; what is being saved is saved first.
    pub fn end(&mut self) {
        self.control.ends.store(true, Ordering::Relaxed);
        // The loop of the worker ends when nobody can command any more.
        self.commands = channel().0;
    }

    /// Whether the worker has ended.
    pub fn has_ended(&self) -> bool {
        self.thread.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Waits for a worker that was told to end: for a result that is being saved as long as it takes within reason, for
    /// anything else not long.
    pub fn wait(&self) {
        let start = Instant::now();
        let patience = || if self.control.saving.load(Ordering::Relaxed) { LONGEST_SAVING } else { LONGEST_END };
        while !self.has_ended() && start.elapsed() < patience() {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl Drop for Link {
    /// Ends the worker. A program that ends while a thread of it is inside a graphics driver may crash.
    fn drop(&mut self) {
        self.end();
        self.wait();
    }
}

/// Waits for a thread that was told to end, though not for ever.
pub(crate) fn wait_for(thread: Option<JoinHandle<()>>) {
    let Some(thread) = thread else { return };
    let start = Instant::now();
    while !thread.is_finished() && start.elapsed() < LONGEST_END {
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The other end, for one who plays the worker in a test.
#[derive(Debug)]
pub struct FarEnd {
    /// What the window asked for.
    pub commands: Receiver<Command>,
    /// What it is told.
    pub reports: Sender<Report>,
    /// What goes past the commands.
    pub control: Arc<Control>,
}

/// A link without a worker at its other end.
pub fn link() -> (Link, FarEnd) {
    let (commands, far_commands) = channel();
    let (far_reports, reports) = channel();
    let control = Arc::new(Control::default());
    (
        Link { commands, reports, control: control.clone(), thread: None },
        FarEnd { commands: far_commands, reports: far_reports, control },
    )
}

/// Starts the worker. It ends when the link is dropped. `records` is shared by all workers of the program, of which one that
/// hangs may be on its way out.
///
/// # Errors
/// If the system gives no thread.
pub fn start(library: Library, paths: Paths, records: Records, wake: Wake) -> std::io::Result<Link> {
    let (mut link, far) = link();
    give_way();
    let thread = std::thread::Builder::new().name("engine".into()).spawn(move || {
        let reporter = Reporter { reports: far.reports, wake };
        let work = || {
            let mut engine = match engine::Engine::new(library, paths, far.control, records, reporter.clone()) {
                Ok(engine) => engine,
                Err(error) => {
                    let _ = reporter.tell(Report::Crashed { reason: error.to_string() });
                    return;
                }
            };
            for command in far.commands {
                // What the user asked to be saved is saved even then.
                if engine.control.ends() && !matches!(command, Command::SaveAs { .. }) {
                    continue;
                }
                engine.obey(command);
            }
        };
        if let Err(reason) = caught(work) {
            // If nobody listens, nobody is left to be told.
            let _ = reporter.tell(Report::Crashed { reason });
        }
    })?;
    link.thread = Some(thread);
    Ok(link)
}

/// Puts the threads that compute behind the window's own, which has little to do and must do it at once.
fn give_way() {
    let lower = |_| {
        // On Linux niceness is a thread's own. A system that refuses leaves things as they are.
        #[cfg(target_os = "linux")]
        let _ = rustix::process::nice(5);
    };
    // Only the first worker of the program makes the pool.
    let _ = rayon::ThreadPoolBuilder::new().thread_name(|n| format!("compute {n}")).start_handler(lower).build_global();
}

/// The worker's way to tell the window.
#[derive(Clone)]
struct Reporter {
    reports: Sender<Report>,
    wake: Wake,
}

impl Reporter {
    /// Sends a report; `Break` if nobody listens any more.
    fn tell(&self, report: Report) -> ControlFlow<()> {
        let sent = self.reports.send(report);
        (self.wake)();
        if sent.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    }
}
