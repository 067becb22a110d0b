//! The models of a comparison, and what each made of the part that they are compared on.

use dualres_engine::Area;

use super::{canvas::view::View, document::Document, queue::ItemId};

/// A comparison of models.
pub(super) struct Trial {
    /// Tells what comes of it from what an earlier one left.
    pub(super) number: u64,
    pub(super) item: ItemId,
    /// The part, in pixels of the original.
    pub(super) area: Area,
    pub(super) scale: usize,
    /// The device, and how far the dual residual is fed back, the same for all.
    pub(super) device: String,
    pub(super) fidelity: f32,
    pub(super) candidates: Vec<Candidate>,
    pub(super) view: View,
    /// Size of a pane in pixels of the screen, as drawn last.
    pub(super) pane: [f64; 2],
}

/// A model of a comparison.
pub(super) struct Candidate {
    pub(super) model: String,
    pub(super) document: Document,
    pub(super) state: Attempt,
}

impl Candidate {
    /// What is off at the place that was changed most, in gray levels of structure; `None` if nothing is known.
    pub(super) fn worst(&self) -> Option<f32> {
        self.document.structure.as_ref()?;
        Some(self.document.worst_places().first().map_or(0.0, |(_, off)| *off))
    }
}

/// How far a model is.
pub(super) enum Attempt {
    Making,
    Made {
        seconds: f64,
        /// Consistency PSNR of the part, in dB.
        psnr: Option<f64>,
    },
    Failed(String),
}

/// The middle of an area, of at most `side` a side.
pub(super) fn middle(area: Area, side: usize) -> Area {
    let [width, height] = [area.width.min(side), area.height.min(side)];
    Area { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}
