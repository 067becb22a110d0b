//! Whether a JPEG file is whole. Decoders fill what is missing with gray and say nothing.

use std::io::{BufRead, Read, Result};

const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;

/// Whether the end marker of the picture is there. What follows it, as some cameras append, does not matter; nor do the
/// pictures inside of segments, such as thumbnails.
///
/// # Errors
/// If reading fails.
pub(crate) fn is_whole(source: &mut impl BufRead) -> Result<bool> {
    let mut in_scan = false;
    loop {
        let Some(marker) = next_marker(source, in_scan)? else { return Ok(false) };
        match marker {
            END_OF_IMAGE => return Ok(true),
            // Start of image, restarts, and markers without content.
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let mut length = [0; 2];
        if !fill(source, &mut length)? || !skip(source, usize::from(u16::from_be_bytes(length)).saturating_sub(2))? {
            return Ok(false);
        }
        in_scan = marker == START_OF_SCAN;
    }
}

/// The next marker, past compressed data if `in_scan`; `None` at the end of the file.
fn next_marker(source: &mut impl BufRead, in_scan: bool) -> Result<Option<u8>> {
    let mut byte = [0];
    loop {
        let mut skipped = Vec::new();
        source.read_until(0xFF, &mut skipped)?;
        if skipped.last() != Some(&0xFF) {
            return Ok(None);
        }
        // Any number of fill bytes may stand before a marker.
        byte[0] = 0xFF;
        while byte[0] == 0xFF {
            if !fill(source, &mut byte)? {
                return Ok(None);
            }
        }
        let is_data = byte[0] == 0 || (in_scan && (0xD0..=0xD7).contains(&byte[0]));
        if !is_data {
            return Ok(Some(byte[0]));
        }
    }
}

fn fill(source: &mut impl BufRead, target: &mut [u8]) -> Result<bool> {
    match source.read_exact(target) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn skip(source: &mut impl BufRead, count: usize) -> Result<bool> {
    let count = count as u64;
    Ok(std::io::copy(&mut source.by_ref().take(count), &mut std::io::sink())? == count)
}
