//! How large a tile may be.

use dualres_network::Graph;

use crate::{EngineError, Result};

/// Memory that a run may take beyond what it must, in bytes.
const WORKING_SET: u64 = 1 << 30;
/// Smallest tile, in low-resolution pixels a side.
const MIN_TILE: usize = 64;
/// Largest tile: beyond it the border that tiles share costs little.
const MAX_TILE: usize = 1024;

/// Free memory of the machine in bytes; without end where the system does not tell, as in a root without `/proc`.
pub(crate) fn available() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    told(system.total_memory(), system.available_memory())
}

fn told(total: u64, available: u64) -> u64 {
    if total == 0 { u64::MAX } else { available }
}

/// Bytes that reading a picture takes a pixel: four planes of `f32`, and what its decoder holds beside them.
const READING: u64 = 24;

/// Whether there is memory for reading a picture of `size` pixels, before any of it is taken.
///
/// # Errors
/// [`EngineError::Reading`] if there is not.
pub fn check_reading(size: [usize; 2]) -> Result<()> {
    let (needed, available) = ((size[0] as u64).saturating_mul(size[1] as u64).saturating_mul(READING), available());
    if needed > available {
        let [needed_gb, available_gb] = [needed, available].map(|bytes| bytes as f64 / 1e9);
        return Err(EngineError::Reading { width: size[0], height: size[1], needed_gb, available_gb });
    }
    Ok(())
}

/// Whether another `pictures` results of `size` pixels fit into the free memory, with as much again left free.
pub fn has_room_for(pictures: u64, size: [usize; 2], channels: usize) -> bool {
    // The planes, and the bytes of the encoder.
    let needed = (size[0] as u64).saturating_mul(size[1] as u64).saturating_mul(channels as u64 * 8);
    needed.saturating_mul(pictures).saturating_mul(2) < available()
}

/// Bytes that a tile may take: those that were `asked` for, else what has proven enough, and no more than is free where the
/// device has no memory of its own.
pub(crate) fn budget(asked: Option<u64>, has_memory_of_its_own: bool) -> u64 {
    let most = asked.unwrap_or(WORKING_SET);
    if has_memory_of_its_own { most } else { most.min(available() / 4) }
}

/// Side of a tile in low-resolution pixels, its shared border included, that `budget` bytes allow.
pub(crate) fn tile_side(network: &Graph, budget: u64, max_buffer: Option<u64>) -> usize {
    let mut pixels = budget / network.bytes_a_pixel().max(1);
    if let Some(bytes) = max_buffer {
        pixels = pixels.min(bytes / network.widest_bytes_a_pixel().max(1));
    }
    (pixels.isqrt() as usize).clamp(MIN_TILE, MAX_TILE)
}

/// Whether the network can run a picture of so many pixels at once, with as much memory left free.
pub(crate) fn runs_whole(network: &Graph, available: u64, max_buffer: Option<u64>, pixels: u64) -> bool {
    let fits = |each: u64, most: u64| pixels.saturating_mul(each) <= most;
    fits(network.bytes_a_pixel(), available / 2)
        && max_buffer.is_none_or(|bytes| fits(network.widest_bytes_a_pixel(), bytes))
}

/// Bytes that refining a result takes beside it: the way to the closed loop, a trial, and what is missed.
pub(crate) fn needed_to_refine(width: usize, height: usize, channels: usize) -> u64 {
    (width * height * channels) as u64 * 4 * 4
}

/// Bytes that picture, result and reconstruction take together, and one tile.
pub(crate) fn needed(scale: usize, width: usize, height: usize, channels: usize) -> u64 {
    let scale = scale as u64;
    let pixels = (width * height) as u64;
    // Planes of f32, and the interleaved bytes of the encoder.
    pixels * scale * scale * channels as u64 * 6 + pixels * 40 + WORKING_SET / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_that_does_not_tell_has_memory() {
        assert_eq!((told(8, 0), told(8, 3), told(0, 0)), (0, 3, u64::MAX));
    }

    #[test]
    fn pictures_that_no_memory_holds_are_refused_before_they_are_read() {
        assert!(check_reading([100, 100]).is_ok() && has_room_for(2, [100, 100], 3));
        let error = check_reading([1 << 24, 1 << 24]).expect_err("more than any memory");
        assert!(error.to_string().contains("16777216x16777216"), "{error}");
        assert!(!has_room_for(1, [1 << 24, 1 << 24], 3));
        assert!(check_reading([usize::MAX, usize::MAX]).is_err());
    }
}
