//! Width tables as plain text: one line a prunable layer, the width first; what follows `#` is for people.

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
/// If a line is no number, there is not one for each layer, a width is above the network's own, or one is zero and not all
/// of a block that can go are.
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
        if width > most {
            return wrong(format!("width {width} for {} of {most}", layers.name(index)));
        }
        if width > 0 {
            continue;
        }
        let name = layers.name(index);
        let Some(block) = layers.block_of(index) else {
            return wrong(format!("width 0 for {name}, which lies in no block that can go as a whole"));
        };
        if let Some(&stays) = layers.blocks[block].layers.iter().find(|&&layer| widths[layer] > 0) {
            let other = layers.name(stays);
            return wrong(format!("width 0 for {name} but not for {other}, which can only go together"));
        }
    }
    Ok(())
}
