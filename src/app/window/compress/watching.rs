//! Runs that somebody else is at work on.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Instant, SystemTime},
};

use poll_promise::Promise;

/// When the files of run folders last changed.
pub(super) type Stamps = BTreeMap<PathBuf, SystemTime>;

/// What is watched: folders are looked at again and again, also for new runs in them.
#[derive(Default)]
pub(crate) struct Watching {
    /// Folders of run folders.
    pub(crate) folders: Vec<PathBuf>,
    /// What was seen last.
    pub(super) seen: Stamps,
    pub(super) looking: Option<Promise<Stamps>>,
    pub(super) last: Option<Instant>,
}
