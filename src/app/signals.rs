//! Ctrl-C: the first asks a run to save and stop, the second ends the program.

use crate::{interrupt, report, trust};

/// Exit code of a program that a second Ctrl-C has ended.
const KILLED: i32 = 130;

/// Listens for Ctrl-C and termination.
pub(crate) fn listen() -> anyhow::Result<()> {
    ctrlc::set_handler(|| {
        if interrupt::stop() {
            trust::leave();
            std::process::exit(KILLED);
        }
        report::say("stopping; press Ctrl-C again to quit immediately");
    })?;
    Ok(())
}
