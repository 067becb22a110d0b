//! Ctrl-C: the first asks a run to save and stop, the second ends the program.

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
};

use crate::report;

static STOP: AtomicBool = AtomicBool::new(false);

/// Listens for Ctrl-C and termination.
pub(crate) fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if STOP.swap(true, Ordering::Relaxed) {
            std::process::exit(130);
        }
        report::say("stopping; press Ctrl-C again to quit immediately");
    })?;
    Ok(())
}

/// Asks for the same as the first Ctrl-C.
pub(crate) fn stop() {
    STOP.store(true, Ordering::Relaxed);
}

/// Whether to go on.
pub(crate) fn flow() -> ControlFlow<()> {
    if STOP.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
