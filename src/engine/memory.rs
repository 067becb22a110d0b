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
