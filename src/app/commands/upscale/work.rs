//! What all threads of a batch work with.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dualres_imaging::{Depth, EncodeOptions, Format};

use super::{models::Models, outputs::Outputs, reporting::Say};
use crate::{
    batch::{recipe::Recipe, records::Records, result::Keep, sizes::FinalSize},
    cli::UpscaleArgs,
    targets::ends_as_folder,
};

/// What all threads work with.
pub(super) struct Work<'a> {
    pub(super) args: &'a UpscaleArgs,
    pub(super) recipe: Recipe,
    pub(super) models: Mutex<Models>,
    pub(super) outputs: Mutex<Outputs<'a>>,
    /// The record of a batch.
    pub(super) records: Option<Records>,
    pub(super) say: Say,
}

impl<'a> Work<'a> {
    /// A thread that panicked has told so; the others finish what they are at.
    pub(super) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn models(&self) -> MutexGuard<'_, Models> {
        Self::locked(&self.models)
    }

    pub(super) fn outputs(&self) -> MutexGuard<'_, Outputs<'a>> {
        Self::locked(&self.outputs)
    }
}

/// What was asked for; the format of a named file is said by its name.
pub(super) fn recipe(args: &UpscaleArgs, size: FinalSize) -> Recipe {
    let UpscaleArgs { quality, subsampling, progressive, lossy, .. } = *args;
    let is_file = !args.output.is_dir() && !ends_as_folder(&args.output);
    let named = args.output.extension().filter(|_| is_file);
    Recipe {
        size,
        format: args.format.map(Format::from).or_else(|| named.and(Format::from_path(&args.output).ok())),
        encoding: EncodeOptions { quality, subsampling: subsampling.into(), progressive, lossy },
        keep: Keep { strip: args.strip, depth: args.depth.map(Depth::from) },
        fidelity: f32::from(args.fidelity) / 100.0,
        pooling: args.pooling.into(),
        tile: args.tile.map(|tile| tile as usize),
        pattern: args.name.clone(),
    }
}
