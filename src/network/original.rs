//! What a compressed network was before: the widths of its layers, those of blocks that are gone included.

use serde::{Deserialize, Serialize};

use crate::Graph;

/// A layer that compression may make narrower.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayerWidth {
    /// The layer, as in model files.
    pub name: String,
    /// Its channels; none where the block that it was in is gone.
    pub now: usize,
    /// Its channels before compression.
    pub before: usize,
}

/// Widths before compression, as model files hold them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum OriginalWidths {
    /// By the names of layers, those that are gone included.
    Named(Vec<(String, usize)>),
    /// One for each layer that there is, in their order: what earlier versions wrote.
    Ordered(Vec<usize>),
}

impl OriginalWidths {
    /// Those of a list of layers.
    pub fn of(layers: &[LayerWidth]) -> Self {
        Self::Named(layers.iter().map(|layer| (layer.name.clone(), layer.before)).collect())
    }
}

/// The layers of a network as they are and, where that is known, as they were.
pub(crate) fn layer_widths(network: &Graph, original: Option<&OriginalWidths>) -> Vec<LayerWidth> {
    let own: Vec<(String, usize)> =
        network.prunable(false).into_iter().map(|group| (group.name, group.width)).collect();
    let row = |name: &String, now: usize, before: usize| LayerWidth { name: name.clone(), now, before };
    match original {
        Some(OriginalWidths::Named(before)) => {
            let now = |name: &String| own.iter().find(|(known, _)| known == name).map_or(0, |(_, width)| *width);
            before.iter().map(|(name, before)| row(name, now(name), *before)).collect()
        }
        Some(OriginalWidths::Ordered(before)) if before.len() == own.len() => {
            own.iter().zip(before).map(|((name, now), before)| row(name, *now, *before)).collect()
        }
        _ => own.iter().map(|(name, now)| row(name, *now, *now)).collect(),
    }
}
