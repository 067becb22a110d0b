//! Width tables as plain text: one line a unit, the width first; what follows `#` is for people.

use crate::{CompressionError, Result, layers::Layers};

/// The table of widths that `layers` is to be cut to, with the names of its layers.
pub fn widths_text(widths: &[usize], layers: &Layers) -> String {
    let line =
        |(unit, (width, of)): (usize, (&usize, &usize))| format!("{width:4}  # {} (of {of})\n", layers.name(unit));
    widths.iter().zip(&layers.widths).enumerate().map(line).collect()
}

/// Reads a table for `layers`, in the order of its layers.
///
/// # Errors
/// If a line is no number, there is not one for each layer, or a width is zero or above the network's own.
pub fn parse_widths(text: &str, layers: &Layers) -> Result<Vec<usize>> {
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
    fits(&widths, layers)?;
    Ok(widths)
}

/// Whether a network can be cut to widths.
pub(crate) fn fits(widths: &[usize], layers: &Layers) -> Result<()> {
    let wrong = |what: String| Err(CompressionError::Widths(what));
    if widths.len() != layers.widths.len() {
        return wrong(format!("{} widths for {} layers", widths.len(), layers.widths.len()));
    }
    for (index, (&width, &most)) in widths.iter().zip(&layers.widths).enumerate() {
        if width == 0 || width > most {
            return wrong(format!("width {width} for {} of {most}", layers.name(index)));
        }
    }
    Ok(())
}
