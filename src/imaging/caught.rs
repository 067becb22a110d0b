//! Work on what nobody vouches for: decoders and drivers report some failures by a panic, which must not end a batch.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind},
};

thread_local! {
    /// How many of the calls that this thread is in catch panics.
    static DEPTH: Cell<usize> = const { Cell::new(0) };
}

/// Whether a panic on this thread would be caught and told as an error, so that nobody else has to tell of it.
pub fn is_caught() -> bool {
    DEPTH.get() > 0
}

/// Runs work and returns what it gives.
///
/// # Errors
/// What a panic said.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    DEPTH.set(DEPTH.get() + 1);
    let worked = catch_unwind(AssertUnwindSafe(work));
    DEPTH.set(DEPTH.get() - 1);
    worked.map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        said.unwrap_or("no reason given").to_owned()
    })
}
