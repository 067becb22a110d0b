//! The thread that owns every tensor, and how the window talks with it.
//!
//! The window sends [`Command`]s and drains [`WorkerReport`]s once a frame. Cancelling and pausing go past the queue of
//! commands and take effect within a tile; so do previews, which are what a user waits for.

mod engine;
mod job;
mod kept;
mod measuring;
mod messages;
pub(crate) mod part;
mod reader;
mod results;
mod saver;
mod upscale;

pub(crate) use job::folder as result_folder;
pub use messages::{Attempt, Command, Comparison, DeviceInfo, Job, Preview, Tried, Try, WorkerReport};
pub(crate) use messages::{DONE_BEFORE, NO_ITEM};

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dualres_imaging::caught;

use super::queue::ItemId;
use crate::{
    actor::{self, Actor, EventSender, Latest, Life, Shared, Wake},
    batch::records::Records,
    library::Library,
    paths::Paths,
};

/// What goes past the queue of commands.
#[derive(Debug, Default)]
pub struct Control {
    life: Life,
    /// The pictures to stop: whoever has one of them stops, whichever of several workers that is.
    cancelled: Mutex<HashSet<ItemId>>,
    saving: AtomicBool,
    /// The preview to do next.
    pub preview: Latest<Preview>,
    /// Number of the comparison of models that is waited for.
    trial: AtomicU64,
}

/// Longest time that the end of the program waits for a result that is being saved.
const LONGEST_SAVING: Duration = Duration::from_secs(120);

impl Shared for Control {
    fn life(&self) -> &Life {
        &self.life
    }

    fn patience(&self) -> Duration {
        if self.saving.load(Ordering::Relaxed) { LONGEST_SAVING } else { self.life.patience() }
    }
}

impl Control {
    /// Stops a picture within a tile.
    pub fn cancel(&self, item: ItemId) {
        self.cancelled().insert(item);
    }

    /// Forgets that a picture was to stop: it runs anew.
    pub fn allow(&self, item: ItemId) {
        self.cancelled().remove(&item);
    }

    /// Whether a picture is to stop.
    pub fn is_cancelled(&self, item: ItemId) -> bool {
        self.life.ends() || self.is_stopped(item)
    }

    /// Whether the user has stopped a picture.
    pub fn is_stopped(&self, item: ItemId) -> bool {
        self.cancelled().contains(&item)
    }

    fn cancelled(&self) -> MutexGuard<'_, HashSet<ItemId>> {
        self.cancelled.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a result is being saved, which the end of the program waits for.
    pub fn saves(&self, saving: bool) {
        self.saving.store(saving, Ordering::Relaxed);
    }

    /// Halts the running picture within a tile, or lets it go on.
    pub fn pause(&self, paused: bool) {
        self.life.pause(paused);
    }

    /// Whether the running picture is halted.
    pub fn is_paused(&self) -> bool {
        self.life.is_paused()
    }

    /// Begins a comparison of models: what is left of an earlier one is not waited for any more.
    pub fn begin_trial(&self) -> u64 {
        self.trial.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Whether a comparison is the one that is waited for.
    pub fn is_trial(&self, number: u64) -> bool {
        self.trial.load(Ordering::Relaxed) == number
    }
}

/// The window's end of the worker.
pub type Link = Actor<Command, WorkerReport, Control>;

/// The other end, for one who plays the worker in a test.
pub type FarEnd = actor::FarEnd<Command, WorkerReport, Control>;

/// A link without a worker at its other end.
pub fn link() -> (Link, FarEnd) {
    actor::unmanned()
}

/// Starts the worker. It ends when the link is dropped. `records` is shared by all workers of the program, of which one that
/// hangs may be on its way out.
///
/// # Errors
/// If the system gives no thread.
pub fn start(library: Library, paths: Paths, records: Records, wake: Wake) -> std::io::Result<Link> {
    give_way();
    Actor::start(
        "engine",
        wake,
        move |commands, control: std::sync::Arc<Control>, events_out: EventSender<WorkerReport>| {
            let work = || {
                let mut engine = match engine::Engine::new(library, paths, control.clone(), records, events_out.clone())
                {
                    Ok(engine) => engine,
                    Err(error) => {
                        events_out.mention(WorkerReport::Crashed { reason: error.to_string() });
                        return;
                    }
                };
                for command in commands {
                    // What the user asked to be saved is saved even then.
                    if control.life.ends() && !matches!(command, Command::SaveAs { .. }) {
                        continue;
                    }
                    engine.obey(command);
                }
            };
            if let Err(reason) = caught(work) {
                events_out.mention(WorkerReport::Crashed { reason });
            }
        },
    )
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
