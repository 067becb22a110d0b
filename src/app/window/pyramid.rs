//! Pictures in memory for the canvas: levels of half the size each, down to one that is always there.
//!
//! Pixels are RGBA bytes. An alpha byte of 0 says that a pixel is not there yet; alpha `[0, 255]` of a picture is
//! stored as `[8, 255]`. So a result can be shown while its tiles arrive.

use std::{
    collections::HashSet,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dualres_engine::Area;
use dualres_imaging::{Picture, Plane};

/// Side of the pages that pyramids are cut into, in pixels.
pub const PAGE: usize = 512;

/// Pixels for a part of a picture.
#[derive(Clone, Debug)]
pub struct Patch {
    /// Where they belong.
    pub area: Area,
    /// Four bytes a pixel, row by row.
    pub rgba: Vec<u8>,
}

impl Patch {
    /// An area of a picture.
    pub fn of(picture: &Picture, area: Area) -> Self {
        let planes: Vec<&Plane> = picture.planes.iter().collect();
        Self::of_planes(&planes, picture.alpha.as_ref(), area)
    }

    /// An area of colour planes, one or three.
    pub fn of_planes(planes: &[&Plane], alpha: Option<&Plane>, area: Area) -> Self {
        let channel = |c: usize| planes[c.min(planes.len() - 1)];
        let byte = |sample: f32| (sample.clamp(0.0, 255.0) + 0.5) as u8;
        let mut rgba = vec![255; area.width * area.height * 4];
        for (row, out) in rgba.chunks_exact_mut(area.width * 4).enumerate() {
            let line = |plane: &'_ Plane| {
                let start = (area.y + row) * plane.width + area.x;
                start..start + area.width
            };
            for c in 0..3 {
                let plane = channel(c);
                for (pixel, &sample) in out.chunks_exact_mut(4).zip(&plane.data[line(plane)]) {
                    pixel[c] = byte(sample);
                }
            }
            if let Some(alpha) = alpha {
                for (pixel, &sample) in out.chunks_exact_mut(4).zip(&alpha.data[line(alpha)]) {
                    pixel[3] = 8 + (sample.clamp(0.0, 255.0) * (247.0 / 255.0) + 0.5) as u8;
                }
            }
        }
        Self { area, rgba }
    }
}

/// One level of a pyramid.
#[derive(Debug)]
pub struct Level {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// Four bytes a pixel, row by row.
    pub rgba: Vec<u8>,
}

impl Level {
    /// Bytes of a pixel.
    pub fn pixel(&self, x: usize, y: usize) -> [u8; 4] {
        let at = (y * self.width + x) * 4;
        [self.rgba[at], self.rgba[at + 1], self.rgba[at + 2], self.rgba[at + 3]]
    }
}

/// Names one page of one pyramid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PageKey {
    /// The pyramid.
    pub pyramid: u64,
    /// The level, 0 being the picture itself.
    pub level: usize,
    /// Column and row of the page in its level.
    pub place: [usize; 2],
}

/// A picture with its reductions by two, down to one page.
#[derive(Debug)]
pub struct Pyramid {
    /// Unlike that of any other pyramid of this run of the program.
    pub id: u64,
    /// The picture and its reductions.
    pub levels: Vec<Level>,
    changed: Mutex<HashSet<PageKey>>,
}

impl Pyramid {
    /// A pyramid of pixels that are not there yet.
    pub fn empty(width: usize, height: usize) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let mut levels = vec![Level { width, height, rgba: vec![0; width * height * 4] }];
        let (mut width, mut height) = (width, height);
        while width > PAGE || height > PAGE {
            (width, height) = (width.div_ceil(2), height.div_ceil(2));
            levels.push(Level { width, height, rgba: vec![0; width * height * 4] });
        }
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), levels, changed: Mutex::default() }
    }

    /// The pyramid of a picture.
    pub fn of(picture: &Picture) -> Self {
        let mut pyramid = Self::empty(picture.width(), picture.height());
        let area = Area { x: 0, y: 0, width: picture.width(), height: picture.height() };
        pyramid.paste(&Patch::of(picture, area));
        pyramid.changes().clear();
        pyramid
    }

    /// Width and height of the picture in pixels.
    pub fn size(&self) -> [usize; 2] {
        [self.levels[0].width, self.levels[0].height]
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        self.levels.iter().map(|level| level.rgba.len()).sum()
    }

    /// Puts pixels in their place, in all levels. What lies beyond the picture is dropped.
    pub fn paste(&mut self, patch: &Patch) {
        let area = patch.area;
        let level = &mut self.levels[0];
        let width = area.width.min(level.width.saturating_sub(area.x));
        let height = area.height.min(level.height.saturating_sub(area.y));
        if width == 0 || height == 0 {
            return;
        }
        for row in 0..height {
            let from = row * area.width * 4;
            let to = ((area.y + row) * level.width + area.x) * 4;
            level.rgba[to..to + width * 4].copy_from_slice(&patch.rgba[from..from + width * 4]);
        }
        let (mut x, mut y, mut right, mut bottom) = (area.x, area.y, area.x + width, area.y + height);
        self.mark(0, [x, y], [right, bottom]);
        for index in 1..self.levels.len() {
            (x, y, right, bottom) = (x / 2, y / 2, right.div_ceil(2), bottom.div_ceil(2));
            let (finer, coarser) = self.levels.split_at_mut(index);
            reduce(&finer[index - 1], &mut coarser[0], [x, y], [right, bottom]);
            self.mark(index, [x, y], [right, bottom]);
        }
    }

    fn mark(&mut self, level: usize, from: [usize; 2], to: [usize; 2]) {
        for row in from[1] / PAGE..to[1].div_ceil(PAGE) {
            for column in from[0] / PAGE..to[0].div_ceil(PAGE) {
                self.changes().insert(PageKey { pyramid: self.id, level, place: [column, row] });
            }
        }
    }

    /// Whether a page has changed since the last call; only the caller who draws may ask.
    pub(crate) fn take_change(&self, key: PageKey) -> bool {
        self.changes().remove(&key)
    }

    fn changes(&self) -> MutexGuard<'_, HashSet<PageKey>> {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Means of two by two pixels, of those that are there.
fn reduce(finer: &Level, coarser: &mut Level, from: [usize; 2], to: [usize; 2]) {
    for y in from[1]..to[1] {
        for x in from[0]..to[0] {
            let mut sum = [0_u32; 4];
            let mut count = 0;
            for (dx, dy) in [(0, 0), (1, 0), (0, 1), (1, 1)] {
                let (x, y) = (2 * x + dx, 2 * y + dy);
                if x < finer.width && y < finer.height {
                    let pixel = finer.pixel(x, y);
                    if pixel[3] > 0 {
                        count += 1;
                        for (sum, byte) in sum.iter_mut().zip(pixel) {
                            *sum += u32::from(byte);
                        }
                    }
                }
            }
            let at = (y * coarser.width + x) * 4;
            for (byte, sum) in coarser.rgba[at..at + 4].iter_mut().zip(sum) {
                *byte = (sum + count / 2).checked_div(count).unwrap_or(0) as u8;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_pyramid_of_tiles_is_that_of_the_picture() {
        let (width, height) = (1300, 700);
        let planes = (0..3).map(|c| {
            let data = (0..width * height).map(|i| ((i * (c + 3)) % 256) as f32).collect();
            Plane::new(width, height, data)
        });
        let picture = Picture::from_planes(planes.collect());
        let whole = Pyramid::of(&picture);
        assert_eq!(whole.levels.len(), 3);
        assert_eq!((whole.levels[2].width, whole.levels[2].height), (325, 175));
        let mut tiled = Pyramid::empty(width, height);
        for (x, y) in [(0, 0), (600, 0), (1200, 0), (0, 500), (600, 500), (1200, 500)] {
            let area = Area { x, y, width: 600.min(width - x), height: 500.min(height - y) };
            tiled.paste(&Patch::of(&picture, area));
        }
        for (a, b) in whole.levels.iter().zip(&tiled.levels) {
            assert!(a.rgba == b.rgba);
        }
        let key = PageKey { pyramid: tiled.id, level: 0, place: [2, 1] };
        assert!(tiled.take_change(key) && !tiled.take_change(key));
    }

    #[test]
    fn a_pixel_that_is_not_there_does_not_darken_its_neighbours() {
        let picture = Picture::from_planes(vec![Plane::filled(600, 2, 200.0)]);
        let mut pyramid = Pyramid::empty(600, 2);
        pyramid.paste(&Patch::of(&picture, Area { x: 0, y: 0, width: 1, height: 2 }));
        assert_eq!(pyramid.levels[1].pixel(0, 0), [200, 200, 200, 255]);
        assert_eq!(pyramid.levels[1].pixel(1, 0), [0; 4]);
    }
}
