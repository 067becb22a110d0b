//! How large a tile may be.

use dualres_network::Architecture;

use crate::{EngineError, Result};

/// Memory that a run may take beyond what it must, in bytes.
const WORKING_SET: u64 = 1 << 30;
/// Smallest tile, in low-resolution pixels a side.
const MIN_TILE: usize = 64;
/// Largest tile: beyond it the border that tiles share costs little.
const MAX_TILE: usize = 1024;

/// Free memory of the machine in bytes.
pub(crate) fn available() -> u64 {
    let mut system = sysinfo::System::new();
    system.refresh_memory();
    system.available_memory()
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

/// Channels of the widest activation at output resolution: the last decoder features beside the encoder's.
fn widest_channels(architecture: &Architecture) -> usize {
    2 * architecture.n_feats
}

/// Bytes that run at a time for each low-resolution pixel of a tile. While the last level doubles the resolution there
/// are, in channels of the output resolution, its input (`n_feats`), the convolution of it (`n_feats`), the encoder's
/// copy (`n_feats`) and both joined (`2 * n_feats`); the rest is what the allocator has not given back.
fn bytes_a_pixel(architecture: &Architecture) -> u64 {
    (architecture.scale * architecture.scale * 7 * architecture.n_feats * size_of::<f32>()) as u64
}

/// Side of a tile in low-resolution pixels, its shared border included, that the memory allows.
pub(crate) fn tile_side(architecture: &Architecture, available: u64, max_buffer: Option<u64>) -> usize {
    let mut pixels = (available / 4).min(WORKING_SET) / bytes_a_pixel(architecture);
    if let Some(bytes) = max_buffer {
        let widest = (architecture.scale * architecture.scale * widest_channels(architecture) * 4) as u64;
        pixels = pixels.min(bytes / widest);
    }
    (pixels.isqrt() as usize).clamp(MIN_TILE, MAX_TILE)
}

/// Bytes that refining a result takes beside it: the way to the closed loop, a trial, and what is missed.
pub(crate) fn needed_to_refine(width: usize, height: usize, channels: usize) -> u64 {
    (width * height * channels) as u64 * 4 * 4
}

/// Bytes that picture, result and reconstruction take together, and one tile.
pub(crate) fn needed(architecture: &Architecture, width: usize, height: usize, channels: usize) -> u64 {
    let scale = architecture.scale as u64;
    let pixels = (width * height) as u64;
    // Planes of f32, and the interleaved bytes of the encoder.
    pixels * scale * scale * channels as u64 * 6 + pixels * 40 + WORKING_SET / 4
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_that_no_memory_holds_are_refused_before_they_are_read() {
        assert!(check_reading([100, 100]).is_ok() && has_room_for(2, [100, 100], 3));
        let error = check_reading([1 << 24, 1 << 24]).expect_err("more than any memory");
        assert!(error.to_string().contains("16777216x16777216"), "{error}");
        assert!(!has_room_for(1, [1 << 24, 1 << 24], 3));
        assert!(check_reading([usize::MAX, usize::MAX]).is_err());
    }
}
