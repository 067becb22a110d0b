//! The thread that owns every tensor, and how the window talks with it.
//!
//! The window sends [`Command`]s and drains [`Report`]s once a frame. Cancelling and pausing go past the queue of
//! commands and take effect within a tile; so do previews, which are what a user waits for.

mod engine;
mod job;
pub(crate) mod part;
mod reader;
mod records;
mod saver;
mod upscale;

pub(crate) use job::folder as result_folder;
pub use records::Records;

use std::{
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use dualres_engine::Area;
use dualres_imaging::{Picture, Plane};

use super::{
    document::{Patch, ProofPatch},
    queue::{Finished, ItemId, Proven},
    settings::Choices,
};
use crate::{library::Library, paths::Paths};

/// What is of no picture of the queue.
pub(crate) const NO_ITEM: ItemId = ItemId(u64::MAX);

/// What the window asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Upscale a file and save the result.
    Upscale(Job),
    /// Feed the dual residual of the last result back at another strength, and show it.
    Refine {
        /// Picture whose result it is.
        item: ItemId,
        /// Strength in `[0, 1]`.
        fidelity: f32,
    },
    /// Save the result of a picture as another file.
    SaveAs {
        /// Picture whose result it is.
        item: ItemId,
        /// Where it was saved by the run.
        output: PathBuf,
        /// File to write; its extension is the format. A file that is there is replaced: the user was asked.
        path: PathBuf,
        /// Whether the result was refined after it was saved, so that the saved file will not do.
        refined: bool,
        /// How to write it.
        choices: Box<Choices>,
    },
    /// Take a saved result back through the dual model, to show a picture that was done earlier.
    Prove {
        /// The picture.
        item: ItemId,
        /// The original.
        input: Arc<Picture>,
        /// Its saved result.
        output: PathBuf,
        /// Model that made it.
        model: String,
        /// Device to use.
        device: String,
    },
    /// Upscale a part by two models, to see what the smaller one costs.
    Compare(Box<Comparison>),
    /// Do the preview that was left at [`Control::preview`], if a running picture has not seen to it.
    Preview,
    /// Forget the model in use: the library has changed.
    Forget,
    /// Nothing waits any more: let go of the folder of results.
    Rest,
    /// List the devices.
    Devices,
    /// Measure how fast a model is on a device.
    Measure {
        /// Model by name.
        model: String,
        /// Device by name or `auto`.
        device: String,
    },
}

/// A file to upscale.
#[derive(Clone, Debug)]
pub struct Job {
    /// The picture.
    pub item: ItemId,
    /// Its file.
    pub input: PathBuf,
    /// Where it lies below the folder that was brought, if it came with one.
    pub below: PathBuf,
    /// Its place in the queue, from 1 on.
    pub index: usize,
    /// How.
    pub choices: Choices,
    /// Whether it is to be done even if the record of the folder has it.
    pub again: bool,
    /// The file that is likely to be next, to be read meanwhile.
    pub next: Option<PathBuf>,
}

/// A part of a picture to upscale by a compressed model and by the one it was made from.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The picture.
    pub item: ItemId,
    /// The original.
    pub input: Arc<Picture>,
    /// The part, in pixels of the original.
    pub area: Area,
    /// The model it was made from, and the compressed one.
    pub models: [String; 2],
    /// Device to use.
    pub device: String,
}

impl Comparison {
    /// A comparison on no picture of the queue, for the time alone: what a picture shows does not change what it costs.
    pub(crate) fn of_models(models: [String; 2], device: String) -> Self {
        const SIDE: usize = 128;
        let plane = |c: usize| (0..SIDE * SIDE).map(|i| (i * (c + 7) % 256) as f32).collect();
        let input = Picture::from_planes((0..3).map(|c| Plane::new(SIDE, SIDE, plane(c))).collect());
        let area = Area { x: 0, y: 0, width: SIDE, height: SIDE };
        Self { item: NO_ITEM, input: Arc::new(input), area, models, device }
    }
}

/// A part of a picture to upscale at once.
#[derive(Clone, Debug)]
pub struct Preview {
    /// The picture.
    pub item: ItemId,
    /// The original.
    pub input: Arc<Picture>,
    /// The part, in pixels of the original.
    pub area: Area,
    /// How.
    pub choices: Choices,
}

/// What the worker tells.
#[derive(Debug)]
pub enum Report {
    /// Devices that models can run on, and which of them `auto` is.
    Devices {
        /// All of them.
        devices: Vec<DeviceInfo>,
        /// Name of the one that `auto` stands for.
        automatic: String,
    },
    /// How far a job is.
    Progress {
        /// The picture.
        item: ItemId,
        /// What is being done.
        stage: String,
        /// Part that is done, in `[0, 1]`.
        done: f32,
    },
    /// Pixels of a result.
    Pixels {
        /// The picture.
        item: ItemId,
        /// How many times the result is as large as the original.
        scale: usize,
        /// The pixels.
        patch: Patch,
    },
    /// A part of the proof of a result.
    Proof {
        /// The picture.
        item: ItemId,
        /// The part.
        patch: Box<ProofPatch>,
    },
    /// The device is done with a picture, whose result is being saved: the next may begin.
    Computed {
        /// The picture.
        item: ItemId,
    },
    /// A result is saved.
    Done {
        /// The picture.
        item: ItemId,
        /// The result.
        finished: Finished,
        /// What the user should know of.
        warning: Option<String>,
    },
    /// A result was refined and is not saved yet.
    Refined {
        /// The picture.
        item: ItemId,
        /// What its proof says.
        proven: Proven,
    },
    /// The last result is not that of this picture: it has to be run again to be refined.
    NotAtHand {
        /// The picture.
        item: ItemId,
    },
    /// A preview is done.
    Previewed {
        /// The picture.
        item: ItemId,
        /// The part, in pixels of the original.
        area: Area,
        /// Seconds that it took.
        seconds: f64,
    },
    /// A part was upscaled by two models.
    Compared {
        /// The picture.
        item: ItemId,
        /// The model it was made from, and the compressed one.
        models: [String; 2],
        /// Seconds that each took.
        seconds: [f64; 2],
        /// Loop PSNR of the part by each, in dB; infinite for a perfect loop.
        loop_psnr: [f64; 2],
    },
    /// A file was saved on request.
    Saved {
        /// The picture.
        item: ItemId,
        /// The file.
        path: PathBuf,
    },
    /// A picture could not be done.
    Failed {
        /// The picture.
        item: ItemId,
        /// Why, and what to do.
        reason: String,
        /// Whether the device is to blame, which a new start may cure.
        device_failed: bool,
    },
    /// A picture cannot have its turn now, nor can the others: the folder of results is in use.
    Refused {
        /// The picture, which waits on.
        item: ItemId,
        /// Why, and what to do.
        reason: String,
    },
    /// A picture was stopped on request.
    Cancelled {
        /// The picture.
        item: ItemId,
    },
    /// Something else went wrong.
    Trouble {
        /// What was tried.
        what: Attempt,
        /// What, and what to do.
        reason: String,
    },
    /// How fast a model is.
    Speed {
        /// Model by name.
        model: String,
        /// Device by name.
        device: String,
        /// Pixels of results in a second.
        pixels_a_second: f64,
    },
    /// The worker has ended because of an error in the program.
    Crashed {
        /// What it said.
        reason: String,
    },
}

/// What went wrong in a [`Report::Trouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A preview.
    Preview,
    /// Refining a result.
    Refine,
    /// Measuring a model.
    Measure,
    /// Saving or showing a result.
    Other,
}

/// A device to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name.
    pub name: String,
    /// What it is: its class, driver, memory.
    pub detail: String,
    /// Whether it is a graphics driver that computes on the CPU, many times slower than the CPU by itself.
    pub is_software: bool,
}

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
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
            // If nobody listens, nobody is left to be told.
            let _ = reporter.tell(Report::Crashed { reason: said.unwrap_or("no reason given").to_owned() });
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
