//! Which part of the picture is seen, and how large: one for all panes.

use dualres_engine::Area;

/// Most pixels of the screen that a pixel of the result is drawn with.
pub const MAX_ZOOM: f64 = 32.0;

/// The position and zoom that all panes share, in pixels of the result.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Position in the middle of a pane.
    pub center: [f64; 2],
    /// Pixels of the screen that a pixel of the result is drawn with.
    pub zoom: f64,
    /// Whether the whole picture is to fit whatever the size of the pane.
    pub fits: bool,
    /// Whether the picture has just been opened: one that would be much too small to judge whole is shown at full size.
    pub opens: bool,
}

impl Default for View {
    fn default() -> Self {
        Self { center: [0.0; 2], zoom: 1.0, fits: true, opens: false }
    }
}

/// Pixels of the screen for a pixel of the result below which nothing of it can be judged.
const MIN_USEFUL: f64 = 0.5;

impl View {
    /// The view of a picture that is opened: whole if its pixels can be told apart then, else its middle, one to one.
    pub fn opening() -> Self {
        Self { opens: true, ..Self::default() }
    }

    /// The zoom at which a picture of `size` fits into a pane of `pane` pixels of the screen.
    pub fn fitting(size: [usize; 2], pane: [f64; 2]) -> f64 {
        let zoom = (pane[0] / size[0].max(1) as f64).min(pane[1] / size[1].max(1) as f64);
        zoom.clamp(1e-4, MAX_ZOOM)
    }

    /// Keeps the picture in the pane: fits it if wanted, and never loses it out of sight.
    pub fn settle(&mut self, size: [usize; 2], pane: [f64; 2]) {
        let fitting = Self::fitting(size, pane);
        // A pane that has not been drawn yet says nothing.
        if self.opens && pane[0] > 1.0 {
            self.opens = false;
            if self.fits && fitting < MIN_USEFUL {
                *self = Self { center: size.map(|side| side as f64 / 2.0), zoom: 1.0, fits: false, opens: false };
            }
        }
        if self.fits {
            self.zoom = fitting;
        }
        self.zoom = self.zoom.clamp(fitting.min(1.0) / 2.0, MAX_ZOOM);
        for axis in 0..2 {
            let (length, half) = (size[axis] as f64, pane[axis] / self.zoom / 2.0);
            self.center[axis] =
                if 2.0 * half >= length { length / 2.0 } else { self.center[axis].clamp(half, length - half) };
        }
    }

    /// Zooms by `factor` and keeps the point under `pointer` (from the pane's middle, in pixels of the screen).
    pub fn zoom_at(&mut self, factor: f64, pointer: [f64; 2]) {
        let zoom = (self.zoom * factor).min(MAX_ZOOM);
        for (center, pointer) in self.center.iter_mut().zip(pointer) {
            *center += pointer / self.zoom - pointer / zoom;
        }
        self.zoom = zoom;
        self.fits = false;
    }

    /// Moves the picture by pixels of the screen.
    pub fn pan(&mut self, by: [f64; 2]) {
        for (center, by) in self.center.iter_mut().zip(by) {
            *center -= by / self.zoom;
        }
        self.fits = false;
    }

    /// Shows the same part of a picture that has become `factor` times as large.
    pub fn rescale(&mut self, factor: f64) {
        self.center = self.center.map(|c| c * factor);
        self.zoom /= factor;
    }

    /// Position in the result of a pane's upper left corner.
    pub fn origin(&self, pane: [f64; 2]) -> [f64; 2] {
        [0, 1].map(|axis| self.center[axis] - pane[axis] / self.zoom / 2.0)
    }

    /// Position in the result under a point (from the pane's upper left corner, in pixels of the screen).
    pub fn position(&self, point: [f64; 2], pane: [f64; 2]) -> [f64; 2] {
        let origin = self.origin(pane);
        [0, 1].map(|axis| origin[axis] + point[axis] / self.zoom)
    }

    /// The part of a picture of `size` that a pane shows, whole pixels; empty if none.
    pub fn visible(&self, size: [usize; 2], pane: [f64; 2]) -> Area {
        let origin = self.origin(pane);
        let [from, to] = [0.0, 1.0]
            .map(|end| [0, 1].map(|axis| (origin[axis] + end * pane[axis] / self.zoom).clamp(0.0, size[axis] as f64)));
        let (x, y) = (from[0].floor() as usize, from[1].floor() as usize);
        Area { x, y, width: to[0].ceil() as usize - x, height: to[1].ceil() as usize - y }
    }
}

/// The pixels of a picture `scale` times smaller that cover an area.
pub fn reduced(area: Area, scale: usize) -> Area {
    let (x, y) = (area.x / scale, area.y / scale);
    Area { x, y, width: (area.x + area.width).div_ceil(scale) - x, height: (area.y + area.height).div_ceil(scale) - y }
}

/// How a picture is seen: which part of it, and over how many pixels of the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// Which part.
    pub view: View,
    /// Where the line of a split is, as a part of the width.
    pub split: f32,
    /// Size of a pane in pixels of the screen, as drawn.
    pub pane: [f64; 2],
}

#[cfg(test)]
mod tests {
    use super::*;

    const PANE: [f64; 2] = [400.0, 300.0];

    #[test]
    fn zooming_keeps_the_point_under_the_pointer() {
        let mut view = View { center: [500.0, 400.0], zoom: 1.0, fits: false, opens: false };
        let point = [320.0, 40.0];
        let before = view.position(point, PANE);
        view.zoom_at(3.0, [point[0] - PANE[0] / 2.0, point[1] - PANE[1] / 2.0]);
        let after = view.position(point, PANE);
        assert!((before[0] - after[0]).abs() < 1e-9 && (before[1] - after[1]).abs() < 1e-9);
        view.zoom_at(1000.0, [0.0, 0.0]);
        assert!((view.zoom - MAX_ZOOM).abs() < 1e-9);
    }

    #[test]
    fn a_fitting_view_shows_all_and_a_panned_one_never_nothing() {
        let size = [1000, 200];
        let mut view = View::default();
        view.settle(size, PANE);
        assert!((view.zoom - 0.4).abs() < 1e-9);
        assert_eq!(view.visible(size, PANE), Area { x: 0, y: 0, width: 1000, height: 200 });
        view.zoom_at(10.0, [0.0, 0.0]);
        view.pan([1e6, -1e6]);
        view.settle(size, PANE);
        let area = view.visible(size, PANE);
        assert_eq!((area.x, area.y + area.height), (0, 200));
        assert_eq!((area.width, area.height), (100, 75));
    }

    #[test]
    fn a_picture_is_opened_at_a_zoom_that_shows_something() {
        let opened = |size: [usize; 2]| {
            let mut view = View::opening();
            // Before the first frame nobody knows how large a pane is.
            view.settle(size, [1.0; 2]);
            view.settle(size, PANE);
            view
        };
        let small = opened([700, 400]);
        assert!(small.fits && small.zoom > 0.5);
        let large = opened([8000, 6000]);
        assert_eq!((large.fits, large.zoom, large.center), (false, 1.0, [4000.0, 3000.0]));
        let mut again = large;
        again.fits = true;
        again.settle([8000, 6000], PANE);
        assert!(again.fits && again.zoom < 0.1, "whoever asks for the whole picture has it");
    }

    #[test]
    fn another_scale_shows_the_same_part() {
        let mut view = View { center: [500.0, 100.0], zoom: 2.0, fits: false, opens: false };
        let before = view.visible([1000, 200], PANE);
        view.rescale(2.0);
        let after = view.visible([2000, 400], PANE);
        assert_eq!(
            [after.x, after.y, after.width, after.height],
            [before.x, before.y, before.width, before.height].map(|v| 2 * v)
        );
        assert_eq!(reduced(Area { x: 3, y: 4, width: 2, height: 4 }, 4), Area { x: 0, y: 1, width: 2, height: 1 });
    }
}
