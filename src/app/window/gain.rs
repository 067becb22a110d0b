//! How strongly differences are coloured: so that what is most of them has room, unless the user says how.

use dualres_engine::HOTTEST;

use super::{
    Window,
    document::{Document, Map},
    settings::ViewMode,
};

/// Gray levels that the hottest colour may stand for. Fewer than the first are seen by nobody.
const STEPS: [f32; 5] = [2.0, 4.0, 8.0, 16.0, 24.0];

impl Window {
    /// What differences are multiplied by in the chosen view.
    pub(super) fn gain(&self) -> f32 {
        let settings = &self.shell.settings;
        let open =
            self.upscale.selected.and_then(|id| self.upscale.documents.get(id)).filter(|_| settings.scales_itself());
        open.and_then(|open| fitting(&open.document, drawn_of(settings.view))).unwrap_or_else(|| settings.gain())
    }

    /// Multiplies differences by `gain` from now on.
    pub(super) fn set_gain(&mut self, gain: f32) {
        self.shell.settings.auto_gain = false;
        *self.shell.settings.gain_mut() = gain.clamp(0.4, 16.0);
    }
}

/// What a view draws differences of.
pub(super) fn drawn_of(view: ViewMode) -> Map {
    match view {
        ViewMode::Doubt => Map::Expected,
        ViewMode::Overlay => Map::Structure,
        ViewMode::Panes | ViewMode::Split | ViewMode::Result | ViewMode::Difference => Map::Reconstruction,
    }
}

/// The gain with which most of a picture's differences stay below the hottest colour; `None` as long as there are none.
fn fitting(document: &Document, map: Map) -> Option<f32> {
    let hot = document.hottest(map)?;
    let hottest = STEPS.into_iter().find(|&step| hot <= step).unwrap_or(STEPS[STEPS.len() - 1]);
    Some(HOTTEST / hottest)
}
