//! The pictures of a compression: those of the two halves of the search, all of them, and those kept for validation.

use std::{fs::File, io::Read, path::PathBuf};

use burn::tensor::{Device, Tensor};
use dualres_training::{PictureSet, ground_truth, patches};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::{CompressConfig, CompressionError, Result, SearchConfig, files::unusable};

/// Every so manieth picture is kept for validation where no validation pictures are given.
const KEPT_EVERY: usize = 5;

/// Batches that widths are judged on, at least.
const VALIDATION_BATCHES: usize = 4;
/// Pixels of the input, in all, that they have at least: of fewer, widths are chosen by chance.
const VALIDATION_PIXELS: usize = 40_000;

/// What patches are drawn for; each draws its own.
#[derive(Clone, Copy)]
pub(crate) enum Purpose {
    Profile = 1,
    Alpha,
    Weights,
    Validation,
    Selection,
    Proof,
}

/// The pictures of a compression.
pub(crate) struct Data {
    /// Pictures that weights and channels are found on.
    pub(crate) training: Vec<PathBuf>,
    /// Pictures that decisions are made on.
    pub(crate) validation: Vec<PathBuf>,
    /// Files that cannot be used, with the reason.
    pub(crate) skipped: Vec<(PathBuf, String)>,
    all: PictureSet,
    halves: [PictureSet; 2],
    held_out: PictureSet,
    seed: u64,
}

impl Data {
    /// Finds and divides the pictures, those of `broken` left out.
    ///
    /// # Errors
    /// If folders cannot be read or there are too few pictures to divide.
    pub(crate) fn open(config: &CompressConfig, scales: &[usize], broken: &[(PathBuf, String)]) -> Result<Self> {
        let patches = [config.profile.patch, config.search.patch, config.selection.patch, config.finetune.patch];
        let patch = patches.into_iter().max().unwrap_or_default();
        let scan = |sources: &[PathBuf]| -> Result<(PictureSet, Vec<(PathBuf, String)>)> {
            let set = PictureSet::scan(sources, scales, patch)?;
            let skipped = set.skipped().to_vec();
            let paths = set.paths();
            let whole = set.part(|index| !broken.iter().any(|(path, _)| *path == paths[index]));
            let whole = whole.ok_or_else(|| CompressionError::Setting("no image can be decoded".into()))?;
            Ok((whole, skipped))
        };
        let (found, mut skipped) = scan(&config.data)?;
        skipped.extend_from_slice(broken);
        let few = || {
            let needed = if config.validation.is_empty() { "three usable pictures" } else { "two usable pictures" };
            CompressionError::Setting(format!(
                "compression needs at least {needed}: the search works on two halves of them"
            ))
        };
        let (all, held_out) = if config.validation.is_empty() {
            let count = found.len();
            let kept = |index: usize| if count < KEPT_EVERY { index + 1 == count } else { index % KEPT_EVERY == 4 };
            (found.part(|index| !kept(index)).ok_or_else(few)?, found.part(kept).ok_or_else(few)?)
        } else {
            let (held_out, unusable) = scan(&config.validation)?;
            skipped.extend(unusable);
            (found, held_out)
        };
        let halves = [0, 1].map(|odd| all.part(|index| index % 2 == odd).ok_or_else(few));
        let [even, odd] = halves;
        Ok(Self {
            training: all.paths(),
            validation: held_out.paths(),
            halves: [even?, odd?],
            all,
            held_out,
            skipped,
            seed: config.seed,
        })
    }

    /// Patches of a purpose at every level, the network's input first.
    ///
    /// # Errors
    /// If a picture cannot be read.
    pub(crate) fn batch(
        &self,
        purpose: Purpose,
        step: usize,
        size: usize,
        patch: usize,
        device: &Device,
    ) -> Result<Vec<Tensor<4>>> {
        let set = match purpose {
            Purpose::Profile | Purpose::Selection | Purpose::Proof => &self.all,
            Purpose::Alpha => &self.halves[1],
            Purpose::Weights => &self.halves[0],
            Purpose::Validation => &self.held_out,
        };
        let seed = self.seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(purpose as u64);
        Ok(patches(set, seed, step, size, patch, device)?)
    }

    /// The batches that widths are judged on.
    ///
    /// # Errors
    /// If a picture cannot be read.
    pub(crate) fn validation_batches(&self, settings: &SearchConfig, device: &Device) -> Result<Vec<Vec<Tensor<4>>>> {
        let batch = |step| self.batch(Purpose::Validation, step, settings.batch, settings.patch, device);
        let pixels = settings.batch * settings.patch * settings.patch;
        (0..VALIDATION_BATCHES.max(VALIDATION_PIXELS.div_ceil(pixels))).map(batch).collect()
    }

    /// Pictures that cannot be decoded, with the reason: headers alone do not tell. Takes as long as reading them all.
    pub(crate) fn broken(&self) -> Vec<(PathBuf, String)> {
        let broken = |path: &PathBuf| Some((path.clone(), ground_truth(path).err()?.to_string()));
        let all: Vec<&PathBuf> = self.training.iter().chain(&self.validation).collect();
        all.into_par_iter().filter_map(broken).collect()
    }

    /// Frees the memory of decoded pictures.
    pub(crate) fn forget(&self) {
        self.all.forget();
        self.held_out.forget();
    }

    /// SHA-256 of names and contents of all pictures in use.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub(crate) fn hash(&self) -> Result<String> {
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 20];
        for path in self.training.iter().chain(&self.validation) {
            hash.update(path.file_name().unwrap_or_default().as_encoded_bytes());
            let mut file = File::open(path).map_err(|error| unusable(path, error))?;
            loop {
                let count = file.read(&mut buffer).map_err(|error| unusable(path, error))?;
                if count == 0 {
                    break;
                }
                hash.update(&buffer[..count]);
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }
}
