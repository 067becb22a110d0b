//! Batches of aligned random patches, made ahead of the training step.

use std::{
    sync::{Arc, mpsc},
    thread,
};

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

use crate::{
    PictureSet, Result, TrainingError,
    dataset::{Pyramid, Rgb8},
};

/// Patches of one step at every level, [N, 3, side, side] in `[0, 255]`, the network's input first.
pub(crate) struct Batch {
    levels: Vec<(usize, Vec<f32>)>,
    size: usize,
}

impl Batch {
    pub(crate) fn tensors(self, device: &Device) -> Vec<Tensor<4>> {
        self.levels
            .into_iter()
            .map(|(side, data)| Tensor::from_data(TensorData::new(data, [self.size, 3, side, side]), device))
            .collect()
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

/// The batch of a step: depends on set, seed and step only, so that an interrupted run goes on unchanged.
pub(crate) fn batch(set: &PictureSet, seed: u64, step: usize, size: usize, patch: usize) -> Result<Batch> {
    let patches = (0..size)
        .into_par_iter()
        .map(|item| {
            let mut random = ChaCha8Rng::seed_from_u64(seed);
            random.set_stream((step * size + item) as u64);
            let pyramid = set.get(set.pick(random.random()))?;
            Ok(cut_patch(&pyramid, &mut random, patch))
        })
        .collect::<Result<Vec<_>>>()?;
    let levels = (0..patches[0].len())
        .map(|level| {
            let data = patches.iter().flat_map(|patch| patch[level].iter().copied()).collect();
            (patch << level, data)
        })
        .collect();
    Ok(Batch { levels, size })
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
    Ok(batch(set, seed, step, size, patch)?.tensors(device))
}

fn cut_patch(pyramid: &Pyramid, random: &mut ChaCha8Rng, patch: usize) -> Vec<Vec<f32>> {
    let input = &pyramid.levels[0];
    let x = random.random_range(0..=input.width - patch);
    let y = random.random_range(0..=input.height - patch);
    let turn = Turn { mirror: random.random(), flip: random.random(), transpose: random.random() };
    let cut = |(level, picture): (usize, &Rgb8)| {
        let side = patch << level;
        let (left, top) = (x << level, y << level);
        let mut data = Vec::with_capacity(3 * side * side);
        for plane in picture.data.chunks_exact(picture.width * picture.height) {
            for row in 0..side {
                for column in 0..side {
                    let (dx, dy) = turn.source(column, row, side);
                    data.push(f32::from(plane[(top + dy) * picture.width + left + dx]));
                }
            }
        }
        data
    };
    pyramid.levels.iter().enumerate().map(cut).collect()
}

/// Batches in the order of steps, made on a thread of their own.
pub(crate) struct Prefetcher {
    receiver: mpsc::Receiver<Result<Batch>>,
}

/// Batches that wait ready.
const AHEAD: usize = 3;

impl Prefetcher {
    pub(crate) fn start(
        set: Arc<PictureSet>,
        seed: u64,
        steps: std::ops::Range<usize>,
        size: usize,
        patch: usize,
    ) -> Result<Self> {
        let (sender, receiver) = mpsc::sync_channel(AHEAD);
        thread::Builder::new()
            .name("prefetch".into())
            .spawn(move || {
                for step in steps {
                    // The receiver is gone when the run has ended.
                    if sender.send(batch(&set, seed, step, size, patch)).is_err() {
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
    use dualres_imaging::{Picture, Plane};

    use super::*;
    use crate::dataset::pyramid;

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
        let levels = pyramid(&picture, 4);
        assert_eq!(levels.iter().map(Picture::width).collect::<Vec<_>>(), [24, 48, 96]);
        let to_rgb8 = |p: &Picture| Rgb8 {
            width: p.width(),
            height: p.height(),
            data: p.planes.iter().flat_map(|plane| plane.data.iter().map(|&s| s as u8)).collect(),
        };
        let stored = Pyramid { levels: levels.iter().map(to_rgb8).collect() };
        let patch = 12;
        for stream in 0..24 {
            let mut random = ChaCha8Rng::seed_from_u64(7);
            random.set_stream(stream);
            let cut = cut_patch(&stored, &mut random, patch);
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
