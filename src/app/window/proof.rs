//! What the proof of a picture says, place by place: differences in gray levels, and where they are largest.

use dualres_engine::{Area, psnr_of_difference};
use dualres_imaging::Plane;

use super::pyramid::{Level, Patch};

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

/// What the dual reconstruction says, in the pixels of the original.
#[derive(Debug)]
pub struct Proof {
    /// Mean absolute difference of the colours at each pixel, in gray levels: the dual loss.
    pub absolute: Field,
    /// Squared difference of luma.
    pub squared: Field,
}

impl Proof {
    /// Dual loss of an area in gray levels, and its consistency PSNR in dB (infinite for a perfect loop).
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
    /// Predicted error in gray levels, if the model knows its errors.
    pub expected: Option<Plane>,
}

/// What differences are drawn of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Map {
    /// Of the dual reconstruction from the original.
    #[default]
    Reconstruction,
    /// The same without what is but noise that was removed.
    Structure,
    /// Of the result from the truth, as far as they are expected.
    Expected,
}

/// Side of the places that are listed, in pixels of the original.
const PLACE: usize = 32;
/// Most places that are listed.
const MAX_PLACES: usize = 5;
/// Gray levels that a place is off by on average before it is worth a look.
const MIN_OFF: f32 = 2.0;

/// How many gray levels the place of a map of structure that was changed most is off by on average; 0 if none is worth a look.
pub(super) fn worst_place(structure: &Plane) -> f32 {
    let mean = |x: usize, y: usize| {
        let (width, height) = (PLACE.min(structure.width - x), PLACE.min(structure.height - y));
        let sum: f32 = (y..y + height).map(|row| structure.row(row)[x..x + width].iter().sum::<f32>()).sum();
        sum / (width * height) as f32
    };
    let places = (0..structure.height).step_by(PLACE);
    let places = places.flat_map(|y| (0..structure.width).step_by(PLACE).map(move |x| (x, y)));
    places.map(|(x, y)| mean(x, y)).filter(|&off| off >= MIN_OFF).fold(0.0, f32::max)
}

/// Places of [`Document::worst_places`](super::document::Document::worst_places) of a map of structure, whose alpha is
/// [`difference_code`].
pub(super) fn worst_of(level: &Level) -> Vec<(Area, f32)> {
    let mut places = Vec::new();
    for y in (0..level.height).step_by(PLACE) {
        for x in (0..level.width).step_by(PLACE) {
            let (width, height) = (PLACE.min(level.width - x), PLACE.min(level.height - y));
            let codes = (y..y + height).flat_map(|row| {
                let at = (row * level.width + x) * 4;
                level.rgba[at..at + width * 4].as_chunks::<4>().0.iter().map(|pixel| pixel[3])
            });
            // What is not there yet has codes that no difference has.
            let (sum, count) = codes.fold((0, 0), |(sum, count), code| match code.checked_sub(8) {
                Some(tenths) => (sum + usize::from(tenths), count + 1),
                None => (sum, count),
            });
            let off = sum as f32 / 10.0 / count.max(1) as f32;
            if off >= MIN_OFF {
                places.push((Area { x, y, width, height }, off));
            }
        }
    }
    places.sort_by(|a, b| b.1.total_cmp(&a.1));
    let mut chosen: Vec<(Area, f32)> = Vec::new();
    for (area, off) in places {
        // Neighbours are one place.
        let touches = |other: &Area| area.x.abs_diff(other.x) <= PLACE && area.y.abs_diff(other.y) <= PLACE;
        if chosen.len() < MAX_PLACES && !chosen.iter().any(|(other, _)| touches(other)) {
            chosen.push((area, off));
        }
    }
    chosen
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
}
