//! Width tables as plain text: one line a unit, the width first; what follows `#` is for people.

use dualres_network::Architecture;

use crate::{CompressionError, Result};

/// The table of widths that `architecture` is to be cut to, with the names of its units.
pub fn widths_text(widths: &[usize], architecture: &Architecture) -> String {
    let line = |(unit, (width, of)): (usize, (&usize, &usize))| {
        format!("{width:4}  # {} (of {of})\n", architecture.unit_kind(unit))
    };
    widths.iter().zip(&architecture.widths).enumerate().map(line).collect()
}

/// Reads a table for `architecture`, in the order of its units.
///
/// # Errors
/// If a line is no number, there is not one for each unit, or a width is zero or above the network's own.
pub fn parse_widths(text: &str, architecture: &Architecture) -> Result<Vec<usize>> {
    let wrong = |what: String| Err(CompressionError::Widths(what));
    let mut widths = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let width = line.split('#').next().unwrap_or_default().trim();
        if width.is_empty() {
            continue;
        }
        match width.parse() {
            Ok(width) => widths.push(width),
            Err(_) => return wrong(format!("line {} is no number: \"{width}\"", number + 1)),
        }
    }
    fits(&widths, architecture)?;
    Ok(widths)
}

/// Whether a network can be cut to widths.
pub(crate) fn fits(widths: &[usize], architecture: &Architecture) -> Result<()> {
    let wrong = |what: String| Err(CompressionError::Widths(what));
    if widths.len() != architecture.widths.len() {
        return wrong(format!("{} widths for {} units", widths.len(), architecture.widths.len()));
    }
    for (index, (&width, &most)) in widths.iter().zip(&architecture.widths).enumerate() {
        if width == 0 || width > most {
            return wrong(format!("width {width} for {} of {most}", architecture.unit_kind(index)));
        }
    }
    Ok(())
}
