//! Where the window was on each screen, and how large, so that it comes up there again.

use std::collections::BTreeMap;

use eframe::egui::{Context, Vec2, ViewportBuilder, ViewportCommand, ViewportInfo, pos2, vec2};
use serde::{Deserialize, Serialize};

/// Places of the window by screen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Screens {
    /// By size and scale of the screen: systems do not name them to programs.
    places: BTreeMap<String, Place>,
    /// The one that the window was on last.
    last: String,
}

/// Where a window is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Place {
    /// Corner of the frame in points; systems that place windows themselves tell none.
    corner: Option<[f32; 2]>,
    /// Inner size in points.
    size: [f32; 2],
    maximized: bool,
}

/// Smallest window that everything fits into, in points.
pub(super) const MIN_SIZE: [f32; 2] = [900.0, 560.0];

/// Screens that are remembered, one more than anybody has.
const MAX: usize = 16;

fn key(screen: Vec2, scale: f32) -> String {
    format!("{}x{}@{scale}", screen.x.round(), screen.y.round())
}

fn place(info: &ViewportInfo) -> Option<(String, Place)> {
    if info.minimized == Some(true) || info.fullscreen == Some(true) {
        return None;
    }
    let screen = key(info.monitor_size?, info.native_pixels_per_point?);
    let size = info.inner_rect?.size().round();
    (size.x > 100.0 && size.y > 100.0).then_some(())?;
    let corner = info.outer_rect.map(|frame| [frame.min.x.round(), frame.min.y.round()]);
    Some((screen, Place { corner, size: size.into(), maximized: info.maximized == Some(true) }))
}

impl Screens {
    /// The window where it was last.
    pub(super) fn open(&self, viewport: ViewportBuilder) -> ViewportBuilder {
        let Some(place) = self.places.get(&self.last) else { return viewport };
        let viewport = viewport.with_inner_size(place.size).with_maximized(place.maximized);
        match place.corner {
            Some(corner) => viewport.with_position(corner),
            None => viewport,
        }
    }

    /// Remembers where the window is.
    pub(super) fn see(&mut self, ctx: &Context) {
        let seen = ctx.input(|input| place(input.viewport()));
        let Some((screen, mut place)) = seen else { return };
        if place.maximized
            && let Some(before) = self.places.get(&screen)
        {
            // What it goes back to.
            (place.corner, place.size) = (before.corner, before.size);
        }
        if !self.places.contains_key(&screen) && self.places.len() >= MAX {
            self.places.clear();
        }
        self.places.insert(screen.clone(), place);
        self.last = screen;
    }

    /// What brings the window, which has just come up, to its place: the screen that it was on last may be gone, and the one that it is
    /// on have another size.
    pub(super) fn settle(&self, info: &ViewportInfo) -> Vec<ViewportCommand> {
        let Some((screen, now)) = place(info) else { return Vec::new() };
        if screen == self.last {
            return Vec::new();
        }
        match self.places.get(&screen) {
            Some(place) => {
                let corner = place.corner.map(|[x, y]| ViewportCommand::OuterPosition(pos2(x, y)));
                let size = ViewportCommand::InnerSize(place.size.into());
                corner.into_iter().chain([size, ViewportCommand::Maximized(place.maximized)]).collect()
            }
            None => {
                let whole = info.monitor_size.unwrap_or(Vec2::INFINITY);
                // Room for the frame and what the desktop keeps for itself.
                let fits = Vec2::from(now.size).min((whole - vec2(40.0, 100.0)).max(MIN_SIZE.into()));
                if fits == Vec2::from(now.size) { Vec::new() } else { vec![ViewportCommand::InnerSize(fits)] }
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use eframe::egui::{RawInput, Rect, ViewportId};

    use super::*;

    fn info(screen: [f32; 2], corner: [f32; 2], size: [f32; 2]) -> ViewportInfo {
        ViewportInfo {
            monitor_size: Some(screen.into()),
            native_pixels_per_point: Some(1.0),
            inner_rect: Some(Rect::from_min_size(corner.into(), size.into())),
            outer_rect: Some(Rect::from_min_size(corner.into(), size.into())),
            ..ViewportInfo::default()
        }
    }

    fn seen(screens: &mut Screens, info: ViewportInfo) {
        let ctx = Context::default();
        let mut input = RawInput::default();
        input.viewports.insert(ViewportId::ROOT, info);
        let _ = ctx.run_ui(input, |ui| screens.see(ui.ctx()));
    }

    #[test]
    fn every_screen_has_its_place() {
        let (laptop, desk) = ([1440.0, 900.0], [2560.0, 1440.0]);
        let mut screens = Screens::default();
        seen(&mut screens, info(laptop, [10.0, 20.0], [1000.0, 700.0]));
        seen(&mut screens, info(desk, [400.0, 100.0], [1800.0, 1200.0]));
        let kept = serde_json::to_string(&screens).unwrap();
        let screens: Screens = serde_json::from_str(&kept).unwrap();
        let opened = screens.open(ViewportBuilder::default());
        assert_eq!((opened.position, opened.inner_size), (Some(pos2(400.0, 100.0)), Some(vec2(1800.0, 1200.0))));

        assert!(screens.settle(&info(desk, [400.0, 100.0], [1800.0, 1200.0])).is_empty(), "it is where it was");
        let commands = screens.settle(&info(laptop, [0.0, 0.0], [1440.0, 800.0]));
        assert!(commands.contains(&ViewportCommand::OuterPosition(pos2(10.0, 20.0))), "{commands:?}");
        assert!(commands.contains(&ViewportCommand::InnerSize(vec2(1000.0, 700.0))), "{commands:?}");
        let commands = screens.settle(&info([1280.0, 720.0], [0.0, 0.0], [1800.0, 1200.0]));
        assert_eq!(commands, [ViewportCommand::InnerSize(vec2(1240.0, 620.0))], "larger than the screen");
    }

    #[test]
    fn a_maximized_window_goes_back_to_what_it_was() {
        let screen = [1440.0, 900.0];
        let mut screens = Screens::default();
        seen(&mut screens, info(screen, [10.0, 20.0], [1000.0, 700.0]));
        seen(&mut screens, ViewportInfo { maximized: Some(true), ..info(screen, [0.0, 0.0], screen) });
        let opened = screens.open(ViewportBuilder::default());
        assert_eq!((opened.maximized, opened.inner_size), (Some(true), Some(vec2(1000.0, 700.0))));
        seen(&mut screens, ViewportInfo { minimized: Some(true), ..info(screen, [0.0, 0.0], [160.0, 120.0]) });
        assert_eq!(screens.open(ViewportBuilder::default()).inner_size, Some(vec2(1000.0, 700.0)));
    }
}
