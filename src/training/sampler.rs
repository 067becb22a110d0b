//! Batches of aligned random patches, made ahead of the training step.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use burn::tensor::{Device, Tensor, TensorData};
use dualres_imaging::{Picture, Plane};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    Degradation, PictureSet, Result, TrainingError,
    dataset::{Pyramid, Rgb8},
    degradation::MARGIN,
};

/// Patches of one step at every level, [N, 3, side, side] in `[0, 255]`, the network's input first.
pub(crate) struct Batch {
    levels: Vec<(usize, Vec<f32>)>,
    /// What the network gets in place of the first level, if that is not the same.
    degraded: Option<Vec<f32>>,
    size: usize,
    /// Patches without truth, of the size of the first level, and their number.
    unpaired: Option<(usize, Vec<f32>)>,
}

/// A step's data on a device: what the network sees, and what each level should be.
pub(crate) struct TrainingBatch {
    /// [N, 3, side, side] in `[0, 255]`.
    pub(crate) input: Tensor<4>,
    /// [N, 3, side, side] a level, the input's size first.
    pub(crate) targets: Vec<Tensor<4>>,
    /// More inputs, [M, 3, side, side], of which nobody knows what they should become.
    pub(crate) unpaired: Option<Tensor<4>>,
}

impl Batch {
    pub(crate) fn lesson(self, device: &Device) -> TrainingBatch {
        let size = self.size;
        let tensor = |size, side, data| Tensor::from_data(TensorData::new(data, [size, 3, side, side]), device);
        let side = self.levels[0].0;
        let targets: Vec<_> = self.levels.into_iter().map(|(side, data)| tensor(size, side, data)).collect();
        let input = self.degraded.map_or_else(|| targets[0].clone(), |data| tensor(size, side, data));
        let unpaired = self.unpaired.map(|(count, data)| tensor(count, side, data));
        TrainingBatch { input, targets, unpaired }
    }
}

/// How a patch is turned: the same for all its levels.
#[derive(Clone, Copy, Debug)]
struct Turn {
    mirror: bool,
    flip: bool,
    transpose: bool,
}

impl Turn {
    /// Where position (`x`, `y`) of the turned patch comes from.
    fn source(self, x: usize, y: usize, side: usize) -> (usize, usize) {
        let (x, y) = if self.transpose { (y, x) } else { (x, y) };
        (if self.mirror { side - 1 - x } else { x }, if self.flip { side - 1 - y } else { y })
    }
}

/// What batches are drawn from, and how.
pub(crate) struct Source {
    pub(crate) set: Arc<PictureSet>,
    pub(crate) seed: u64,
    /// Patches a batch.
    pub(crate) size: usize,
    /// Their side in low-resolution pixels.
    pub(crate) patch: usize,
    pub(crate) degradation: Option<Degradation>,
    /// Pictures without truth, at one scale, and how many patches more a batch has of them.
    pub(crate) unpaired: Option<(Arc<PictureSet>, usize)>,
}

/// Keeps the places of unpaired patches apart from those of paired ones.
const UNPAIRED_SEED: u64 = 0x5eed_0fa1_15e5;

impl Source {
    /// The batch of a step: depends on pictures, seed and step only, so that an interrupted run goes on unchanged.
    fn batch(&self, step: usize) -> Result<Batch> {
        let Self { ref set, seed, size, patch, .. } = *self;
        let mut batch = Draw { set, seed, step, size, patch }.paired(self.degradation)?;
        if let Some((set, size)) = &self.unpaired {
            let draw = Draw { set, seed: seed ^ UNPAIRED_SEED, step, size: *size, patch };
            batch.unpaired = Some((*size, draw.inputs()?));
        }
        Ok(batch)
    }
}

/// The patches of one step of one set.
#[derive(Clone, Copy)]
struct Draw<'a> {
    set: &'a PictureSet,
    seed: u64,
    step: usize,
    size: usize,
    patch: usize,
}

impl Draw<'_> {
    /// What `cut` makes of each patch.
    fn each<T: Send>(self, cut: impl Fn(&Pyramid, &Place, &mut ChaCha8Rng) -> Result<T> + Sync) -> Result<Vec<T>> {
        let one = |item: usize| {
            let mut random = ChaCha8Rng::seed_from_u64(self.seed);
            random.set_stream((self.step * self.size + item) as u64);
            let pyramid = self.set.get_or_next(self.set.pick(random.random()))?;
            let place = Place::random(&pyramid, &mut random, self.patch);
            cut(&pyramid, &place, &mut random)
        };
        (0..self.size).into_par_iter().map(one).collect()
    }

    fn paired(self, degradation: Option<Degradation>) -> Result<Batch> {
        // Where nothing follows the reduction, the input is the first level.
        let degradation = degradation.filter(|how| how.goes_on());
        let patches = self.each(|pyramid, place, random| {
            let levels: Vec<_> = (0..pyramid.levels.len()).map(|level| place.cut(pyramid, level, 0)).collect();
            let degraded = degradation.map(|how| place.degraded(pyramid, how, random)).transpose()?;
            Ok((levels, degraded))
        })?;
        let size = self.size;
        let levels = (0..patches[0].0.len())
            .map(|level| {
                let data: Vec<f32> = patches.iter().flat_map(|(levels, _)| levels[level].iter().copied()).collect();
                ((data.len() / (3 * size)).isqrt(), data)
            })
            .collect();
        let degraded: Vec<f32> =
            patches.iter().filter_map(|(_, degraded)| degraded.as_ref()).flatten().copied().collect();
        Ok(Batch { levels, degraded: degradation.map(|_| degraded), size, unpaired: None })
    }

    /// The first level of the patches, one after the other.
    fn inputs(self) -> Result<Vec<f32>> {
        Ok(self.each(|pyramid, place, _| Ok(place.cut(pyramid, 0, 0)))?.concat())
    }
}

/// Random aligned patches at every level, [N, 3, side, side] in `[0, 255]`, the network's input first: `size` of them,
/// `patch` low-resolution pixels a side. They depend on set, seed and step only.
///
/// # Errors
/// If a picture cannot be read.
pub fn patches(
    set: &PictureSet,
    seed: u64,
    step: usize,
    size: usize,
    patch: usize,
    device: &Device,
) -> Result<Vec<Tensor<4>>> {
    Ok(Draw { set, seed, step, size, patch }.paired(None)?.lesson(device).targets)
}

/// Where a patch lies, in pixels of the network's input.
struct Place {
    x: usize,
    y: usize,
    patch: usize,
    turn: Turn,
}

impl Place {
    fn random(pyramid: &Pyramid, random: &mut ChaCha8Rng, patch: usize) -> Self {
        let input = &pyramid.levels[0];
        let x = random.random_range(0..=input.width - patch);
        let y = random.random_range(0..=input.height - patch);
        Self { x, y, patch, turn: Turn { mirror: random.random(), flip: random.random(), transpose: random.random() } }
    }

    /// The patch at a level with `margin` pixels around it, three planes; beyond the picture its border is repeated.
    fn cut(&self, pyramid: &Pyramid, level: usize, margin: usize) -> Vec<f32> {
        let picture: &Rgb8 = &pyramid.levels[level];
        let scale = pyramid.scales[level];
        let side = self.patch * scale + 2 * margin;
        let within = |corner: usize, offset: usize, length: usize| {
            (corner * scale + offset).saturating_sub(margin).min(length - 1)
        };
        let mut data = Vec::with_capacity(3 * side * side);
        for plane in picture.data.chunks_exact(picture.width * picture.height) {
            for row in 0..side {
                for column in 0..side {
                    let (dx, dy) = self.turn.source(column, row, side);
                    let (x, y) = (within(self.x, dx, picture.width), within(self.y, dy, picture.height));
                    data.push(f32::from(plane[y * picture.width + x]));
                }
            }
        }
        data
    }

    /// The patch of the network's input as a camera might have given it. The blocks of JPEG begin anywhere.
    fn degraded(&self, pyramid: &Pyramid, how: Degradation, random: &mut ChaCha8Rng) -> Result<Vec<f32>> {
        let side = self.patch + 2 * MARGIN;
        let planes = self.cut(pyramid, 0, MARGIN);
        let planes = planes.chunks_exact(side * side).map(|plane| Plane::new(side, side, plane.to_vec())).collect();
        let (left, top) = (random.random_range(0..8), random.random_range(0..8));
        let seen = Picture::from_planes(planes).crop(left, top, side - left, side - top);
        let degraded = how.degrade_by(&seen, random)?;
        let patch = degraded.crop(MARGIN - left, MARGIN - top, self.patch, self.patch);
        Ok(patch.rgb().into_iter().flat_map(|plane| plane.data.iter().copied()).collect())
    }
}

/// Batches in the order of steps, made on a thread of their own.
pub(crate) struct Prefetcher {
    receiver: mpsc::Receiver<Result<Batch>>,
}

/// Batches that wait ready.
const AHEAD: usize = 3;

impl Prefetcher {
    pub(crate) fn start(source: Source, steps: std::ops::Range<usize>) -> Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        thread::Builder::new()
            .name("prefetch".into())
            .spawn(move || {
                for step in steps {
                    // The receiver is gone when the run has ended.
                    if sender.send(source.batch(step)).is_err() {
                        break;
                    }
                }
            })
            .map_err(|error| TrainingError::Setting(format!("cannot start a thread ({error})")))?;
        Ok(Self { receiver })
    }

    pub(crate) fn next(&self) -> Result<Batch> {
        self.receiver.recv().map_err(|_| TrainingError::Setting("the thread that reads pictures has died".into()))?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Reduction, dataset::pyramid};

    /// Reducing the full-resolution patch gives the low-resolution patch, up to the patch's border: all levels are cut
    /// at the same place and turned the same way.
    #[test]
    fn levels_are_aligned() {
        let (width, height) = (96, 80);
        let plane = |phase: f32| {
            let data = (0..width * height)
                .map(|i| {
                    let (x, y) = ((i % width) as f32, (i / width) as f32);
                    (128.0 + 60.0 * (x * 0.11 + phase).sin() + 50.0 * (y * 0.07 + x * 0.02).cos()).round()
                })
                .collect();
            Plane::new(width, height, data)
        };
        let picture = Picture::from_planes(vec![plane(0.0), plane(1.0), plane(2.0)]);
        let levels = pyramid(&picture, &[1, 2, 4], Reduction::Bicubic);
        assert_eq!(levels.iter().map(Picture::width).collect::<Vec<_>>(), [24, 48, 96]);
        let to_rgb8 = |p: &Picture| Rgb8 {
            width: p.width(),
            height: p.height(),
            data: p.planes.iter().flat_map(|plane| plane.data.iter().map(|&s| s as u8)).collect(),
        };
        let stored = Pyramid { scales: vec![1, 2, 4], levels: levels.iter().map(to_rgb8).collect() };
        let patch = 12;
        for stream in 0..24 {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            random.set_stream(stream);
            let place = Place::random(&stored, &mut random, patch);
            let cut: Vec<_> = (0..3).map(|level| place.cut(&stored, level, 0)).collect();
            // The margin is what lies around the patch.
            let (wide, side) = (place.cut(&stored, 0, 3), patch + 6);
            for (row, line) in cut[0][..patch * patch].chunks_exact(patch).enumerate() {
                assert_eq!(line, &wide[(row + 3) * side + 3..][..patch], "stream {stream}");
            }
            for (level, factor) in [(1, 2), (2, 4)] {
                let side = patch * factor;
                let full = Plane::new(side, side, cut[level][..side * side].to_vec());
                let reduced = dualres_imaging::resize::imresize(
                    &full,
                    1.0 / factor as f64,
                    dualres_imaging::resize::Samples::Uint8,
                );
                for y in 2..patch - 2 {
                    for x in 2..patch - 2 {
                        let difference = (reduced.row(y)[x] - cut[0][y * patch + x]).abs();
                        assert!(difference <= 2.0, "stream {stream}, level {level}, {x},{y}: {difference}");
                    }
                }
            }
        }
    }
}
