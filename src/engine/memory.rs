//! How large a tile may be.

use dualres_network::Architecture;

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

/// Channels of the widest activation at output resolution: the last pixel shuffle.
fn widest_channels(architecture: &Architecture) -> usize {
    architecture.n_feats * if architecture.scale == 2 { 2 } else { 4 }
}

/// Bytes that run at a time for each low-resolution pixel of a tile: the widest activation before and after the pixel
/// shuffle, and the encoder's copies with their concatenation.
fn bytes_a_pixel(architecture: &Architecture) -> u64 {
    let channels = 2 * widest_channels(architecture) + 4 * architecture.n_feats;
    (architecture.scale * architecture.scale * channels * 4) as u64
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
