//! The picture on the canvas: original, result and dual reconstruction as pyramids, and the proof in numbers.

use std::{cell::OnceCell, sync::Arc};

use dualres_engine::Area;

use super::{proof::worst_of, queue::ItemId};
pub use super::{
    proof::{Field, Map, Proof, ProofPatch, difference_code},
    pyramid::{Level, PAGE, PageKey, Patch, Pyramid},
};

/// The picture on the canvas.
#[derive(Debug)]
pub struct Document {
    /// The picture in the queue.
    pub item: ItemId,
    /// How many times the result is as large as the original.
    pub scale: usize,
    /// The original.
    pub input: Arc<Pyramid>,
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
    /// What is found out about the proof once it is asked for.
    found: Findings,
}

/// What is known of a proof, each looked for once.
#[derive(Debug, Default)]
struct Findings {
    /// Where structure was changed most; see [`Document::worst_places`].
    worst: OnceCell<Vec<(Area, f32)>>,
    /// What most pixels of the maps do not exceed; see [`Document::hottest`].
    hottest: [OnceCell<Option<f32>>; 3],
}

impl Document {
    /// A picture without a result.
    pub fn new(item: ItemId, scale: usize, input: impl Into<Arc<Pyramid>>) -> Self {
        let (result, dual, expected, structure, proof) = (None, None, None, None, None);
        let input = input.into();
        Self { item, scale, input, result, dual, expected, structure, proof, found: Findings::default() }
    }

    /// Width and height of the result in pixels.
    pub fn result_size(&self) -> [usize; 2] {
        self.input.size().map(|side| side * self.scale)
    }

    /// Forgets the result, which another model or setting has made stale.
    pub fn clear_result(&mut self, scale: usize) {
        self.scale = scale;
        (self.result, self.dual, self.proof) = (None, None, None);
        (self.expected, self.structure, self.found) = (None, None, Findings::default());
    }

    /// A run begins. What is there, such as a preview, stays until tiles take its place; at another scale it has no place.
    pub fn begin_run(&mut self, scale: usize) {
        if self.scale != scale {
            self.clear_result(scale);
        }
    }

    /// Pixels of the original have arrived, where they come bit by bit and no other document has them too.
    pub(super) fn paste_input(&mut self, patch: &Patch) {
        if let Some(input) = Arc::get_mut(&mut self.input) {
            input.paste(patch);
        }
    }

    /// Pixels of the result have arrived.
    pub fn paste_result(&mut self, patch: &Patch) {
        let [width, height] = self.result_size();
        self.result.get_or_insert_with(|| Pyramid::empty(width, height)).paste(patch);
    }

    /// A part of the proof has arrived.
    pub fn paste_proof(&mut self, patch: &ProofPatch) {
        self.found = Findings::default();
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

    /// Where the result changed more than noise, the worst first: places of the original, and by how many gray levels they are off on
    /// average. Looked for once for each proof.
    pub fn worst_places(&self) -> &[(Area, f32)] {
        let Some(structure) = &self.structure else { return &[] };
        self.found.worst.get_or_init(|| worst_of(&structure.levels[0]))
    }

    /// The difference in gray levels that nearly all pixels of a map do not exceed; `None` if nothing of it is there. Looked for once
    /// for each proof.
    pub fn hottest(&self, map: Map) -> Option<f32> {
        /// Part of the pixels.
        const MAX: f64 = 0.98;
        *self.found.hottest[map as usize].get_or_init(|| self.quantile(map, MAX))
    }

    /// Predicted error at a pixel of the original in gray levels, if it is known there.
    pub fn expected_at(&self, x: usize, y: usize) -> Option<f32> {
        let [_, _, _, code] = self.expected.as_ref()?.levels[0].pixel(x, y);
        code.checked_sub(8).map(|code| f32::from(code) / 10.0)
    }

    /// The difference in gray levels that a part of the pixels of a map does not exceed, by the finest level that is looked through in
    /// a frame; `None` if nothing of it is there.
    fn quantile(&self, map: Map, part: f64) -> Option<f32> {
        let pyramid = match map {
            Map::Reconstruction => &self.dual,
            Map::Structure => &self.structure,
            Map::Expected => &self.expected,
        };
        let mut counts = [0_usize; 256];
        const MAX: usize = 2 << 20;
        let levels = &pyramid.as_ref()?.levels;
        let level = levels.iter().find(|level| level.width * level.height <= MAX).or(levels.last())?;
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
            Some(&*self.input),
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
    use dualres_imaging::{Picture, Plane};

    use super::*;

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
        for map in [Map::Reconstruction, Map::Structure] {
            assert_eq!(document.quantile(map, 0.5), Some(1.0));
            assert_eq!(document.quantile(map, 0.98), Some(12.0));
        }
        assert_eq!(document.quantile(Map::Expected, 0.5), None);
    }

    /// Two strokes on a quiet ground, one twice as strong, and one that crosses the border of two places.
    #[test]
    fn the_worst_places_are_found_apart_from_each_other() {
        let picture = Picture::from_planes(vec![Plane::filled(300, 200, 50.0); 3]);
        let mut document = Document::new(ItemId(0), 2, Pyramid::of(&picture));
        assert!(document.worst_places().is_empty(), "nothing is known yet");
        let off = |x: usize, y: usize| match (x, y) {
            (40..50, 40..60) => 10.0,
            (180..200, 100..120) => 20.0,
            _ => 0.5,
        };
        let level = Plane::new(300, 200, (0..300 * 200).map(|i| off(i % 300, i / 300)).collect());
        let patch = ProofPatch {
            dual: Patch::of(&picture, Area { x: 0, y: 0, width: 300, height: 200 }),
            absolute: level.clone(),
            luma: level.clone(),
            structure: level,
            expected: None,
        };
        document.paste_proof(&patch);
        let places = document.worst_places().to_vec();
        let found: Vec<[usize; 2]> = places.iter().map(|(area, _)| [area.x, area.y]).collect();
        assert_eq!(found, [[160, 96], [32, 32]], "{places:?}");
        assert!(places[0].1 > places[1].1 && places[1].1 > 2.0);
        document.clear_result(2);
        assert!(document.worst_places().is_empty());
    }
}
