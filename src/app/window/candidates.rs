//! The models of a comparison, and what each made of the part that they are compared on.

use std::collections::HashSet;

use dualres_engine::Area;

use super::{canvas::view::View, document::Document, previewed::next_cell, queue::ItemId};

/// Models that are compared at most.
pub(super) const MAX_MODELS: usize = 4;
/// Side of the pieces that a part is made in, in pixels of the original: the first of each model is there within seconds.
const PIECE: usize = 256;

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
    /// Pieces that were asked for and have not come.
    pub(super) awaited: usize,
    pub(super) view: View,
    /// Size of a pane in pixels of the screen, as drawn last.
    pub(super) pane: [f64; 2],
}

impl Trial {
    /// The next piece to make, in pixels of the original, and by which model: the middle by each, then the rest by one after the
    /// other.
    pub(super) fn next(&mut self) -> Option<(usize, Area)> {
        let area = Area { x: 0, y: 0, ..self.area };
        let is_new = |candidate: &Candidate| candidate.made.is_empty() && !candidate.has_failed();
        let first = self.candidates.iter().position(is_new);
        let places = first.map_or(0..self.candidates.len(), |first| first..first + 1);
        places.into_iter().find_map(|index| {
            let candidate = &mut self.candidates[index];
            let cell = next_cell(area, PIECE, &candidate.made).filter(|_| !candidate.has_failed())?;
            candidate.made.insert(cell);
            let [x, y] = cell.map(|at| at * PIECE);
            let (width, height) = (PIECE.min(area.width - x), PIECE.min(area.height - y));
            Some((index, Area { x: self.area.x + x, y: self.area.y + y, width, height }))
        })
    }
}

/// A model of a comparison.
pub(super) struct Candidate {
    pub(super) model: String,
    pub(super) document: Document,
    pub(super) state: Attempt,
    /// Pieces that were asked for, as cells of a grid.
    pub(super) made: HashSet<[usize; 2]>,
}

impl Candidate {
    fn has_failed(&self) -> bool {
        matches!(self.state, Attempt::Failed(_))
    }

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
        /// For all pieces so far.
        seconds: f64,
        /// Consistency PSNR of them, in dB.
        psnr: Option<f64>,
    },
    Failed(String),
}

/// The middle of an area, of at most `side` a side.
pub(super) fn middle(area: Area, side: usize) -> Area {
    let [width, height] = [area.width.min(side), area.height.min(side)];
    Area { x: area.x + (area.width - width) / 2, y: area.y + (area.height - height) / 2, width, height }
}

#[cfg(test)]
mod tests {
    use dualres_imaging::{Picture, Plane};

    use super::{super::document::Pyramid, *};

    /// Every model has its middle before any has more; then all of the part comes, each piece once, but not of one that failed.
    #[test]
    fn pieces_come_from_the_middle_on_for_each_model() {
        let candidate = |model: &str| Candidate {
            model: model.into(),
            document: Document::new(ItemId(0), 2, Pyramid::of(&Picture::from_planes(vec![Plane::filled(8, 8, 1.0)]))),
            state: Attempt::Making,
            made: HashSet::new(),
        };
        let area = Area { x: 100, y: 50, width: 600, height: 300 };
        let mut trial = Trial {
            number: 0,
            item: ItemId(0),
            area,
            scale: 2,
            device: String::new(),
            fidelity: 0.0,
            candidates: vec![candidate("a"), candidate("b"), candidate("c")],
            awaited: 0,
            view: View::default(),
            pane: [1.0; 2],
        };
        trial.candidates[1].state = Attempt::Failed(String::new());
        let pieces: Vec<(usize, Area)> = std::iter::from_fn(|| trial.next()).collect();
        let order: Vec<usize> = pieces.iter().map(|(index, _)| *index).collect();
        assert_eq!(order, [0, 2, 0, 0, 0, 0, 0, 2, 2, 2, 2, 2]);
        assert_eq!(pieces[0].1, Area { x: 356, y: 50, width: 256, height: 256 });
        assert_eq!(pieces[0].1, pieces[1].1);
        let covered: usize = pieces.iter().filter(|(index, _)| *index == 2).map(|(_, a)| a.width * a.height).sum();
        assert_eq!(covered, 600 * 300);
        assert!(pieces.iter().all(|(_, a)| a.x + a.width <= 700 && a.y + a.height <= 350 && a.x >= 100 && a.y >= 50));
    }
}
