//! The thread that answers what a user waits for: what a network of some widths makes of a part of a picture, how two
//! networks differ on a whole one, how fast they are, and the sensitivity profile that networks of any widths come from.
//!
//! The newest wish for a part of a picture goes before everything else; a whole picture is done in cells, between which
//! such wishes are met.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel},
    },
    thread::JoinHandle,
};

use dualres_compression::Profile;
use dualres_engine::Area;
use dualres_imaging::Picture;

use super::{
    judge::PairPatch,
    latency::Latency,
    probe::{Probe, Teller},
    runs::RunId,
};
use crate::{
    library::Library,
    paths::Paths,
    window::worker::{Wake, wait_for},
};

/// The network that is compared with the original.
#[derive(Clone, Debug)]
pub(crate) enum Small {
    /// A network made of the profile at once, without training.
    Instant(Arc<Profile>, Vec<usize>),
    /// The result of a run.
    File(PathBuf),
}

impl PartialEq for Small {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Instant(a, widths), Self::Instant(b, others)) => Arc::ptr_eq(a, b) && widths == others,
            (Self::File(a), Self::File(b)) => a == b,
            _ => false,
        }
    }
}

/// Two networks on a device.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pair {
    /// Original by name, or the file of a run that keeps it.
    pub(crate) original: Original,
    pub(crate) small: Small,
    /// Device by name or `auto`.
    pub(crate) device: String,
}

/// The network before compression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Original {
    /// In the library.
    Named(String),
    /// Kept in a run folder: what the library calls by its name may be another by now.
    File(PathBuf),
}

/// A picture to compare two networks on.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// What is enlarged.
    pub(crate) input: Arc<Picture>,
    /// The picture it was made from, if it was made smaller for this.
    pub(crate) truth: Option<Arc<Picture>>,
}

/// A wish for pixels.
#[derive(Clone, Debug)]
pub(crate) struct Look {
    /// Comes back with the answers.
    pub(crate) ticket: u64,
    pub(crate) pair: Pair,
    pub(crate) subject: Subject,
    /// In pixels of the input.
    pub(crate) area: Area,
}

/// What can be asked.
#[derive(Debug)]
pub(crate) enum Question {
    /// The sensitivity profile of a model.
    Profile { model: String, device: String },
    /// The whole of a picture, cell by cell.
    Whole(Box<Look>),
    /// Nothing more of the picture that is being done.
    Leave,
    /// How fast a network is beside its original; the result of a run, or the one in sight.
    Latency { run: Option<RunId>, pair: Box<Pair> },
    /// Something lies in the slot of [`Prober::look`].
    Look,
    /// Models have changed.
    Forget,
}

/// What is answered.
#[derive(Debug)]
pub(crate) enum Answer {
    Profiling {
        model: String,
        done: usize,
        of: usize,
    },
    Profile {
        model: String,
        profile: Result<Arc<Profile>, String>,
    },
    /// A part by both networks; `seconds` that it took.
    Part {
        ticket: u64,
        area: Area,
        patch: Box<PairPatch>,
        seconds: f64,
    },
    /// A cell of a whole picture.
    Cell {
        ticket: u64,
        patch: Box<PairPatch>,
        done: usize,
        of: usize,
    },
    /// A look that failed.
    Blind {
        ticket: u64,
        reason: String,
    },
    Latency {
        run: Option<RunId>,
        pair: Box<Pair>,
        latency: Latency,
    },
    Trouble(String),
}

/// What goes past the questions.
#[derive(Debug, Default)]
pub(super) struct Shared {
    ends: AtomicBool,
    /// Number of the model whose profile is wanted; another one ends the measurement of an earlier one.
    pub(super) profile: AtomicU64,
    look: Mutex<Option<Look>>,
}

impl Shared {
    pub(super) fn flow(&self) -> ControlFlow<()> {
        if self.ends.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    pub(super) fn is_wanted(&self) -> bool {
        self.look.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    pub(super) fn take(&self) -> Option<Look> {
        self.look.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// The window's end of the thread.
#[derive(Debug)]
pub(crate) struct Prober {
    questions: Sender<Question>,
    answers: Receiver<Answer>,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Prober {
    /// Starts the thread. It ends when the prober is dropped.
    pub(crate) fn start(library: Library, paths: Paths, wake: Wake) -> std::io::Result<Self> {
        let (questions, far_questions) = channel();
        let (far_answers, answers) = channel();
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let thread = std::thread::Builder::new().name("prober".into()).spawn(move || {
            let teller = Teller { answers: far_answers, wake };
            let told = teller.clone();
            let mut probe = Probe::new(library, paths, theirs, teller);
            // A panic loses the question, not the thread.
            while let Err(_panic) = dualres_imaging::caught(|| probe.serve(&far_questions)) {
                probe.recover();
                told.tell(Answer::Trouble("comparing networks failed by an error in the program".into()));
            }
        })?;
        Ok(Self { questions, answers, shared, thread: Some(thread) })
    }

    pub(crate) fn ask(&self, question: Question) {
        if matches!(question, Question::Profile { .. }) {
            self.shared.profile.fetch_add(1, Ordering::Relaxed);
        }
        // The thread ends with the window only.
        let _ = self.questions.send(question);
    }

    /// Asks for a part of a picture, in place of one that has not begun.
    pub(crate) fn look(&self, look: Look) {
        *self.shared.look.lock().unwrap_or_else(PoisonError::into_inner) = Some(look);
        self.ask(Question::Look);
    }

    pub(crate) fn next(&self) -> Option<Answer> {
        self.answers.try_recv().ok()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.shared.ends.store(true, Ordering::Relaxed);
        self.questions = channel().0;
        wait_for(self.thread.take());
    }
}
