//! Widths set by a slider for the whole network and by one for each layer.

use dualres_compression::{Constraints, Layers, Profile};

use crate::language::{tr, tr_counted};

/// The widths of a network that is being shaped.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WidthEditor {
    /// Widths now.
    pub(crate) widths: Vec<usize>,
    /// Widths of the network as it is.
    pub(crate) full: Vec<usize>,
    /// Prunable layers that the slider for the whole network leaves alone.
    pub(crate) locked: Vec<bool>,
    /// Fewest channels of a prunable layer, where it has more than the common one.
    pub(crate) least: Vec<usize>,
    /// Why the wish cannot be met.
    pub(crate) complaint: Option<String>,
}

impl WidthEditor {
    /// Begins with a network as it is.
    pub(crate) fn of(layers: &Layers) -> Self {
        let full = layers.widths.clone();
        let units = full.len();
        Self { widths: full.clone(), full, locked: vec![false; units], least: vec![1; units], complaint: None }
    }

    /// Shares `1 - ratio` of the multiply-accumulates among the prunable layers that are not locked, as the sensitivity profile
    /// says. Widths of what stays keep to `least` channels and multiples of `multiple`; a block may go as a whole unless one of its
    /// layers has a minimum of its own.
    pub(crate) fn share(&mut self, profile: &Profile, ratio: f64, lambda: f64, least: usize, multiple: usize) {
        let fixed = self.widths.iter().zip(&self.locked).map(|(&width, &locked)| locked.then_some(width)).collect();
        let least = self.least.iter().map(|&own| own.max(least)).collect();
        let held = self.least.iter().map(|&own| own > 1).collect();
        let constraints = Constraints { fixed, least, held, multiple };
        match profile.widths_within(ratio, lambda, &constraints) {
            Ok(widths) => (self.widths, self.complaint) = (widths, None),
            Err(error) => {
                self.widths = profile.narrowest(&constraints);
                let locked = self.locked.iter().filter(|&&locked| locked).count();
                self.complaint = Some(match locked {
                    0 => tr!("This is the smallest network with this minimum per layer."),
                    locked => tr_counted!(
                        locked,
                        "The locked layer and the least widths leave no more to remove.",
                        "The %{count} locked layers and the least widths leave no more to remove."
                    ),
                });
                debug_assert!(matches!(error, dualres_compression::CompressionError::Budget { .. }), "{error}");
            }
        }
    }

    /// Sets the width of a prunable layer by hand, and locks it: the slider for the whole network leaves it alone from now on.
    pub(crate) fn set(&mut self, layers: &Layers, unit: usize, width: usize, multiple: usize) {
        let full = self.full[unit];
        let block = layers.block_of(unit).map(|block| layers.blocks[block].layers.as_slice());
        if let Some(block) = block.filter(|_| width == 0 || self.widths[unit] == 0) {
            // The layers of a block go, and come back, together.
            for &layer in block {
                self.widths[layer] = if width == 0 { 0 } else { self.full[layer] };
                self.locked[layer] = true;
            }
            if width == 0 {
                return;
            }
        }
        let multiple = multiple.max(1);
        let rounded = ((width as f64 / multiple as f64).round() as usize * multiple).max(1);
        // The full width need not be a multiple.
        let nearest = if width >= full || rounded > full { full } else { rounded };
        self.widths[unit] = nearest.clamp(1, full);
        self.locked[unit] = true;
    }

    /// Multiply-accumulates and parameters as shares of the original's.
    pub(crate) fn kept(&self, original: &Layers) -> (f64, f64) {
        kept(original, &self.widths)
    }
}

/// Multiply-accumulates and parameters of a network of `widths` as shares of the original's.
pub(crate) fn kept(original: &Layers, widths: &[usize]) -> (f64, f64) {
    let (full, small) = (original.cost(&original.widths), original.cost(widths));
    (small.0 / full.0, small.1 / full.1)
}
