//! Work on what nobody vouches for: decoders and drivers report some failures by a panic, which must not end a batch.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs work and returns what it gives.
///
/// # Errors
/// What a panic said.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let said = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        said.unwrap_or("no reason given").to_owned()
    })
}
