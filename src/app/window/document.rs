//! The picture on the canvas: original, result and dual reconstruction as pyramids, and the proof in numbers.
//!
//! Pixels are RGBA bytes. An alpha byte of 0 says that a pixel is not there yet; alpha `[0, 255]` of a picture is
//! stored as `[8, 255]`. So a result can be shown while its tiles arrive.

use std::{
    collections::HashSet,
    sync::atomic::{AtomicU64, Ordering},
};

use dualres_engine::{Area, psnr_of_difference};
use dualres_imaging::{Picture, Plane};

use super::queue::ItemId;

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
    changed: HashSet<PageKey>,
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
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), levels, changed: HashSet::new() }
    }

    /// The pyramid of a picture.
    pub fn of(picture: &Picture) -> Self {
        let mut pyramid = Self::empty(picture.width(), picture.height());
        let area = Area { x: 0, y: 0, width: picture.width(), height: picture.height() };
        pyramid.paste(&Patch::of(picture, area));
        pyramid.changed.clear();
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
                self.changed.insert(PageKey { pyramid: self.id, level, place: [column, row] });
            }
        }
    }

    /// Whether a page has changed since the last call; only the caller who draws may ask.
    pub(crate) fn take_change(&mut self, key: PageKey) -> bool {
        self.changed.remove(&key)
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

/// A plane of numbers of which some may not be known, with sums over any area at once.
#[derive(Debug)]
pub struct Field {
    plane: Plane,
    blocks: Vec<(f64, usize)>,
}

/// Side of the blocks that [`Field`] keeps sums of.
const BLOCK: usize = 64;

impl Field {
    /// A field nothing is known of.
    pub fn unknown(width: usize, height: usize) -> Self {
        let blocks = vec![(0.0, 0); width.div_ceil(BLOCK) * height.div_ceil(BLOCK)];
        Self { plane: Plane::filled(width, height, f32::NAN), blocks }
    }

    /// The number at a position, if known.
    pub fn at(&self, x: usize, y: usize) -> Option<f32> {
        Some(self.plane.data[y * self.plane.width + x]).filter(|value| !value.is_nan())
    }

    /// Learns numbers of an area.
    pub fn paste(&mut self, values: &Plane, [x, y]: [usize; 2]) {
        let width = values.width.min(self.plane.width.saturating_sub(x));
        let height = values.height.min(self.plane.height.saturating_sub(y));
        for row in 0..height {
            let at = (y + row) * self.plane.width + x;
            self.plane.data[at..at + width].copy_from_slice(&values.row(row)[..width]);
        }
        let columns = self.plane.width.div_ceil(BLOCK);
        for block_y in y / BLOCK..(y + height).div_ceil(BLOCK) {
            for block_x in x / BLOCK..(x + width).div_ceil(BLOCK) {
                let area = self.clip(Area { x: block_x * BLOCK, y: block_y * BLOCK, width: BLOCK, height: BLOCK });
                self.blocks[block_y * columns + block_x] = self.add_up(area);
            }
        }
    }

    fn clip(&self, area: Area) -> Area {
        Area {
            width: area.width.min(self.plane.width.saturating_sub(area.x)),
            height: area.height.min(self.plane.height.saturating_sub(area.y)),
            ..area
        }
    }

    fn add_up(&self, area: Area) -> (f64, usize) {
        let mut total = (0.0, 0);
        if area.width == 0 {
            return total;
        }
        for y in area.y..area.y + area.height {
            for &value in &self.plane.row(y)[area.x..area.x + area.width] {
                if !value.is_nan() {
                    total = (total.0 + f64::from(value), total.1 + 1);
                }
            }
        }
        total
    }

    /// Mean of what is known in an area; `None` if nothing is.
    pub fn mean(&self, area: Area) -> Option<f64> {
        let area = self.clip(area);
        let (right, bottom) = (area.x + area.width, area.y + area.height);
        let columns = self.plane.width.div_ceil(BLOCK);
        let (mut sum, mut count) = (0.0, 0);
        for block_y in area.y / BLOCK..bottom.div_ceil(BLOCK) {
            for block_x in area.x / BLOCK..right.div_ceil(BLOCK) {
                let (x0, y0) = (block_x * BLOCK, block_y * BLOCK);
                let (x1, y1) = ((x0 + BLOCK).min(self.plane.width), (y0 + BLOCK).min(self.plane.height));
                let (x, y) = (x0.max(area.x), y0.max(area.y));
                let part =
                    Area { x, y, width: x1.min(right).saturating_sub(x), height: y1.min(bottom).saturating_sub(y) };
                let whole = [x, y, x + part.width, y + part.height] == [x0, y0, x1, y1];
                let (s, n) = if whole { self.blocks[block_y * columns + block_x] } else { self.add_up(part) };
                (sum, count) = (sum + s, count + n);
            }
        }
        (count > 0).then(|| sum / count as f64)
    }
}

/// What the way back says, in the pixels of the original.
#[derive(Debug)]
pub struct Proof {
    /// Mean absolute difference of the colours at each pixel, in gray levels: the dual loss.
    pub absolute: Field,
    /// Squared difference of luma.
    pub squared: Field,
}

impl Proof {
    /// Dual loss of an area in gray levels, and its loop PSNR in dB (infinite for a perfect loop).
    pub fn of(&self, area: Area) -> Option<(f64, f64)> {
        let loss = self.absolute.mean(area)?;
        let mse = self.squared.mean(area)?;
        Some((loss, psnr_of_difference(std::iter::once(mse.sqrt() as f32))))
    }
}

/// How the alpha byte of the dual reconstruction's pyramid holds the mean absolute difference at a pixel: in tenths of a
/// gray level from 8 on, 24.7 levels at most. Reducing the pyramid takes means of it, as it should.
pub fn difference_code(absolute: f32) -> u8 {
    8 + (absolute * 10.0 + 0.5).clamp(0.0, 247.0) as u8
}

/// A part of the proof.
#[derive(Clone, Debug)]
pub struct ProofPatch {
    /// Pixels of the dual reconstruction.
    pub dual: Patch,
    /// Mean absolute difference of the colours, in gray levels, of `dual.area`.
    pub absolute: Plane,
    /// Difference of luma.
    pub luma: Plane,
    /// Difference that is none of removed noise ([`dualres_engine::structural_difference`]), in gray levels.
    pub structure: Plane,
    /// Expected error in gray levels, if the model knows its errors.
    pub expected: Option<Plane>,
}

/// What differences are drawn of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Map {
    /// Of the dual reconstruction from the original.
    #[default]
    WayBack,
    /// The same without what is but noise that was removed.
    Structure,
    /// Of the result from the truth, as far as they are expected.
    Expected,
}

/// The picture on the canvas.
#[derive(Debug)]
pub struct Document {
    /// The picture in the queue.
    pub item: ItemId,
    /// How many times the result is as large as the original.
    pub scale: usize,
    /// The original.
    pub input: Pyramid,
    /// The result, as far as it is there.
    pub result: Option<Pyramid>,
    /// The result taken back to the original's size, as far as it is there.
    pub dual: Option<Pyramid>,
    /// How large an error is expected where: [`difference_code`] of it as alpha. As large as the original.
    pub expected: Option<Pyramid>,
    /// Where structure was changed: [`difference_code`] of it as alpha. As large as the original.
    pub structure: Option<Pyramid>,
    /// The numbers.
    pub proof: Option<Proof>,
}

impl Document {
    /// A picture without a result.
    pub fn new(item: ItemId, scale: usize, input: Pyramid) -> Self {
        Self { item, scale, input, result: None, dual: None, expected: None, structure: None, proof: None }
    }

    /// Width and height of the result in pixels.
    pub fn result_size(&self) -> [usize; 2] {
        self.input.size().map(|side| side * self.scale)
    }

    /// Forgets the result, which another model or setting has made stale.
    pub fn clear_result(&mut self, scale: usize) {
        self.scale = scale;
        (self.result, self.dual, self.proof) = (None, None, None);
        (self.expected, self.structure) = (None, None);
    }

    /// Pixels of the result have arrived.
    pub fn paste_result(&mut self, patch: &Patch) {
        let [width, height] = self.result_size();
        self.result.get_or_insert_with(|| Pyramid::empty(width, height)).paste(patch);
    }

    /// A part of the proof has arrived.
    pub fn paste_proof(&mut self, patch: &ProofPatch) {
        let [width, height] = self.input.size();
        let mut dual = patch.dual.clone();
        for (pixel, &absolute) in dual.rgba.chunks_exact_mut(4).zip(&patch.absolute.data) {
            pixel[3] = difference_code(absolute);
        }
        self.dual.get_or_insert_with(|| Pyramid::empty(width, height)).paste(&dual);
        let maps = [(Some(&patch.structure), &mut self.structure), (patch.expected.as_ref(), &mut self.expected)];
        for (levels, pyramid) in maps {
            if let Some(levels) = levels {
                let rgba = levels.data.iter().flat_map(|&level| [0, 0, 0, difference_code(level)]).collect();
                let coded = Patch { area: patch.dual.area, rgba };
                pyramid.get_or_insert_with(|| Pyramid::empty(width, height)).paste(&coded);
            }
        }
        let proof = self.proof.get_or_insert_with(|| Proof {
            absolute: Field::unknown(width, height),
            squared: Field::unknown(width, height),
        });
        let place = [patch.dual.area.x, patch.dual.area.y];
        proof.absolute.paste(&patch.absolute, place);
        let mut squared = patch.luma.clone();
        squared.data.iter_mut().for_each(|value| *value *= *value);
        proof.squared.paste(&squared, place);
    }

    /// Expected error at a pixel of the original in gray levels, if it is known there.
    pub fn expected_at(&self, x: usize, y: usize) -> Option<f32> {
        let [_, _, _, code] = self.expected.as_ref()?.levels[0].pixel(x, y);
        code.checked_sub(8).map(|code| f32::from(code) / 10.0)
    }

    /// The difference in gray levels that a part of the pixels of a map does not exceed, by the finest level that is looked through in
    /// a frame; `None` if nothing of it is there.
    pub fn quantile(&self, map: Map, part: f64) -> Option<f32> {
        let pyramid = match map {
            Map::WayBack => &self.dual,
            Map::Structure => &self.structure,
            Map::Expected => &self.expected,
        };
        let mut counts = [0_usize; 256];
        const MOST: usize = 2 << 20;
        let levels = &pyramid.as_ref()?.levels;
        let level = levels.iter().find(|level| level.width * level.height <= MOST).or(levels.last())?;
        level.rgba.as_chunks::<4>().0.iter().for_each(|pixel| counts[usize::from(pixel[3])] += 1);
        // What is not there has codes that no difference has.
        let there: usize = counts[8..].iter().sum();
        let mut left = (there as f64 * part).ceil() as usize;
        let code = counts[8..].iter().position(|&count| {
            left = left.saturating_sub(count);
            left == 0
        });
        code.filter(|_| there > 0).map(|code| code as f32 / 10.0)
    }

    /// Bytes in memory.
    pub fn bytes(&self) -> usize {
        let pyramids = [
            Some(&self.input),
            self.result.as_ref(),
            self.dual.as_ref(),
            self.expected.as_ref(),
            self.structure.as_ref(),
        ];
        let fields = if self.proof.is_some() { self.input.size().iter().product::<usize>() * 8 } else { 0 };
        pyramids.into_iter().flatten().map(Pyramid::bytes).sum::<usize>() + fields
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_mean_over_any_area_is_that_of_its_pixels(
            width in 1..200_usize, height in 1..150_usize, x in 0..220_usize, y in 0..170_usize,
            w in 0..220_usize, h in 0..170_usize, cut in 0..100_usize,
        ) {
            let data = (0..width * height).map(|i| (i * 7919 % 251) as f32).collect();
            let values = Plane::new(width, height, data);
            let mut field = Field::unknown(width + cut, height);
            field.paste(&values, [0, 0]);
            let inside = (y..(y + h).min(height)).flat_map(|y| (x..(x + w).min(width)).map(move |x| (x, y)));
            let inside: Vec<f64> = inside.map(|(x, y)| f64::from(values.row(y)[x])).collect();
            let expected = (!inside.is_empty()).then(|| inside.iter().sum::<f64>() / inside.len() as f64);
            let mean = field.mean(Area { x, y, width: w, height: h });
            prop_assert_eq!(mean.is_some(), expected.is_some());
            if let (Some(mean), Some(expected)) = (mean, expected) {
                prop_assert!((mean - expected).abs() < 1e-9 * expected.max(1.0), "{mean} {expected}");
            }
        }
    }

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

    /// Nine in ten pixels have a difference of 1 level, the others one of 12; half of the picture is not there yet.
    #[test]
    fn quantiles_are_those_of_what_is_there() {
        let picture = Picture::from_planes(vec![Plane::filled(100, 100, 50.0); 3]);
        let mut document = Document::new(ItemId(0), 2, Pyramid::of(&picture));
        assert_eq!(document.quantile(Map::Structure, 0.5), None);
        let area = Area { x: 0, y: 0, width: 100, height: 50 };
        let levels = Plane::new(100, 50, (0..5000).map(|i| if i % 10 == 0 { 12.0 } else { 1.0 }).collect());
        document.paste_proof(&ProofPatch {
            dual: Patch::of(&picture, area),
            absolute: levels.clone(),
            luma: levels.clone(),
            structure: levels,
            expected: None,
        });
        for map in [Map::WayBack, Map::Structure] {
            assert_eq!(document.quantile(map, 0.5), Some(1.0));
            assert_eq!(document.quantile(map, 0.98), Some(12.0));
        }
        assert_eq!(document.quantile(Map::Expected, 0.5), None);
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
