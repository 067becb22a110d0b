//! The threads that work for the window, and the machine they work on.

use std::cell::RefCell;

use super::{
    canvas::gpu::Gpu,
    helper::Helper,
    loader::Loader,
    machine::Machine,
    settings::Choices,
    worker::{DeviceInfo, Link},
};
use crate::{actor::Wake, paths::Paths};

/// Starts a worker for the window.
pub(super) type StartWorker = Box<dyn Fn(Wake) -> std::io::Result<Link>>;

/// Threads and devices.
pub(crate) struct Services {
    pub(super) paths: Paths,
    pub(super) wake: Wake,
    pub(super) link: Link,
    /// A worker that was replaced and has not ended yet.
    pub(super) old_link: Option<Link>,
    /// Workers on further devices.
    pub(super) helpers: Vec<Helper>,
    /// Whether the worker has been told that nothing waits.
    pub(super) rests: bool,
    pub(super) start_worker: StartWorker,
    /// Why the worker does not work any more.
    pub(super) crashed: Option<String>,
    pub(super) loader: Loader,
    pub(super) devices: Vec<DeviceInfo>,
    pub(super) automatic: String,
    /// A device that was asked for, and what is used in its place or for it.
    pub(super) using: Option<(String, String)>,
    pub(super) measuring: bool,
    /// Choices whose model could not be measured, so that it is not tried again and again.
    pub(super) unmeasurable: Option<Choices>,
    pub(super) machine: Machine,
    /// What pictures are drawn with.
    pub(super) gpu: RefCell<Option<Gpu>>,
}

impl Services {
    /// Starts the threads.
    ///
    /// # Errors
    /// If the system gives none.
    pub(super) fn start(paths: Paths, start_worker: StartWorker, wake: Wake, gpu: Option<Gpu>) -> anyhow::Result<Self> {
        Ok(Self {
            link: start_worker(wake.clone())?,
            old_link: None,
            helpers: Vec::new(),
            rests: true,
            start_worker,
            crashed: None,
            loader: Loader::start(wake.clone())?,
            devices: Vec::new(),
            automatic: "CPU".into(),
            using: None,
            measuring: false,
            unmeasurable: None,
            machine: Machine::default(),
            gpu: RefCell::new(gpu),
            paths,
            wake,
        })
    }
}
