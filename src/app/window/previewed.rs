//! What a live preview shows already.

use std::{collections::HashSet, time::Instant};

use dualres_engine::Area;

use super::queue::ItemId;

/// What a preview depends on, but for its place.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Scene {
    pub(super) item: ItemId,
    pub(super) model: String,
    pub(super) device: String,
    /// In percent.
    pub(super) fidelity: u8,
    /// Side of the grid of pieces.
    pub(super) side: usize,
}

/// What has been previewed of the selected picture.
#[derive(Default)]
pub(super) struct Live {
    pub(super) scene: Option<Scene>,
    pub(super) visible: Option<Area>,
    pub(super) since: Option<Instant>,
    /// Cells of the grid that were made.
    pub(super) made: HashSet<[usize; 2]>,
}
