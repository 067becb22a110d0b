//! Whether the user wants work to stop. Who asks for it is in [`crate::signals`].

use std::{
    ops::ControlFlow,
    sync::atomic::{AtomicBool, Ordering},
};

static STOP: AtomicBool = AtomicBool::new(false);

/// Asks running work to save and stop. Returns whether it had been asked before.
pub(crate) fn stop() -> bool {
    STOP.swap(true, Ordering::Relaxed)
}

/// Whether to go on.
pub(crate) fn flow() -> ControlFlow<()> {
    if STOP.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
