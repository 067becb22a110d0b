//! What the preview worker can be asked and what it answers.

use std::{
    path::PathBuf,
    sync::{Arc, atomic::AtomicU64},
};

use dualres_compression::Profile;
use dualres_engine::Area;
use dualres_imaging::Picture;

use super::{judge::PairPatch, latency::Latency, runs::RunId};
use crate::actor::{Latest, Life, Shared};

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
pub(crate) struct PreviewRequest {
    /// Comes back with the answers.
    pub(crate) request_id: u64,
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
    Whole(Box<PreviewRequest>),
    /// Nothing more of the picture that is being done.
    Leave,
    /// How fast a network is beside its original; the result of a run, or the one in sight.
    Latency { run: Option<RunId>, pair: Box<Pair> },
    /// Something lies in the slot of [`PreviewWorker::look`].
    PreviewRequest,
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
        request_id: u64,
        area: Area,
        patch: Box<PairPatch>,
        seconds: f64,
    },
    /// A cell of a whole picture.
    Cell {
        request_id: u64,
        patch: Box<PairPatch>,
        done: usize,
        of: usize,
    },
    /// A look that failed.
    PreviewFailed {
        request_id: u64,
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
pub(super) struct Desires {
    life: Life,
    /// Number of the model whose profile is wanted; another one ends the measurement of an earlier one.
    pub(super) profile: AtomicU64,
    pub(super) look: Latest<PreviewRequest>,
}

impl Shared for Desires {
    fn life(&self) -> &Life {
        &self.life
    }
}
