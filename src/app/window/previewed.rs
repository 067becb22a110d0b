//! What a live preview shows already.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

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

/// Pieces that are made of one view at most; the rest of a huge picture comes with its result.
const MAX_PIECES: usize = 40;

/// What has been previewed of the selected picture.
#[derive(Default)]
pub(super) struct Live {
    /// Counts the scenes: what comes of another one is none of this.
    pub(super) number: u64,
    scene: Option<Scene>,
    visible: Option<Area>,
    since: Option<Instant>,
    /// Cells of the grid that were made, in this view or before.
    made: HashSet<[usize; 2]>,
    /// Pieces that were made since the view came to rest here.
    pieces: usize,
}

impl Live {
    /// Forgets what was made: nothing of it is shown any more.
    pub(super) fn forget(&mut self) {
        *self = Self { number: self.number + 1, ..Self::default() };
    }

    /// Nothing is previewed by itself; what was asked for is still waited for.
    pub(super) fn rest(&mut self) {
        *self = Self { number: self.number, ..Self::default() };
    }

    /// Takes note of what is looked at. Returns for how long it has been so.
    pub(super) fn see(&mut self, scene: &Scene, visible: Area) -> Duration {
        if self.scene.as_ref() != Some(scene) {
            *self = Self { scene: Some(scene.clone()), number: self.number + 1, ..Self::default() };
        }
        if self.visible != Some(visible) {
            (self.visible, self.since, self.pieces) = (Some(visible), Some(Instant::now()), 0);
        }
        self.since.map_or(Duration::ZERO, |since| since.elapsed())
    }

    /// The next cell to make of what is looked at, if any: visible, not made yet, and nearest to the middle.
    pub(super) fn next(&mut self) -> Option<[usize; 2]> {
        let (scene, visible) = (self.scene.as_ref()?, self.visible?);
        if self.pieces >= MAX_PIECES {
            return None;
        }
        let cell = next_cell(visible, scene.side, &self.made)?;
        self.made.insert(cell);
        self.pieces += 1;
        Some(cell)
    }
}

/// The cell of a grid of `side` that is visible, has not been made, and is nearest to the middle.
pub(super) fn next_cell(visible: Area, side: usize, made: &HashSet<[usize; 2]>) -> Option<[usize; 2]> {
    let middle = [2 * visible.x + visible.width, 2 * visible.y + visible.height];
    let cells = |start: usize, length: usize| start / side..(start + length).div_ceil(side);
    let all = cells(visible.y, visible.height)
        .flat_map(|row| cells(visible.x, visible.width).map(move |column| [column, row]));
    let distance = |cell: &[usize; 2]| {
        (0..2).map(|axis| ((2 * cell[axis] + 1) * side).abs_diff(middle[axis]).pow(2)).sum::<usize>()
    };
    all.filter(|cell| !made.contains(cell)).min_by_key(distance)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_visible_is_covered_once_from_the_middle_on() {
        let visible = Area { x: 100, y: 40, width: 300, height: 200 };
        let mut made = HashSet::new();
        let mut order = Vec::new();
        while let Some(cell) = next_cell(visible, 64, &made) {
            made.insert(cell);
            order.push(cell);
        }
        // Columns 1 to 6, rows 0 to 3.
        assert_eq!(order.len(), 24);
        assert_eq!(made.len(), 24);
        assert!([[3, 1], [3, 2], [4, 1], [4, 2]].contains(&order[0]), "{:?}", order[0]);
        assert!([1, 6].contains(&order[23][0]), "{:?}", order[23]);
    }

    /// However much was previewed before, a view has pieces of its own, and those that it has it does not get again.
    #[test]
    fn every_view_has_pieces_of_its_own() {
        let scene = Scene { item: ItemId(0), model: "x2".into(), device: "cpu".into(), fidelity: 0, side: 64 };
        let mut live = Live::default();
        let mut made = HashSet::new();
        let mut pieces = |live: &mut Live, visible| {
            live.see(&scene, visible);
            std::iter::from_fn(|| live.next()).filter(|cell| made.insert(*cell)).count()
        };
        // 100 cells each.
        let view = |x| Area { x, y: 0, width: 640, height: 640 };
        for x in [0, 640, 1280] {
            assert_eq!(pieces(&mut live, view(x)), MAX_PIECES);
        }
        assert_eq!(pieces(&mut live, view(0)), MAX_PIECES, "seen again, it goes on");
        assert_eq!(pieces(&mut live, view(0)), 0, "unless nothing has changed");
        live.see(&Scene { side: 32, ..scene.clone() }, view(0));
        assert!(live.next().is_some(), "another grid begins anew");
    }
}
