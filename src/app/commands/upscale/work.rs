//! What all threads of a batch work with.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dualres_imaging::EncodeOptions;

use super::{models::Models, outputs::Outputs, say::Say};
use crate::{
    batch::{journal::Journal, result::Keep, sizes::FinalSize},
    cli::UpscaleArgs,
};

/// What all threads work with.
pub(super) struct Work<'a> {
    pub(super) args: &'a UpscaleArgs,
    pub(super) size: FinalSize,
    pub(super) keep: Keep,
    pub(super) models: Mutex<Models>,
    pub(super) outputs: Mutex<Outputs<'a>>,
    pub(super) journal: Option<Mutex<Journal>>,
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

    pub(super) fn encoding(&self) -> EncodeOptions {
        encoding(self.args)
    }
}

/// How files are encoded.
pub(super) fn encoding(args: &UpscaleArgs) -> EncodeOptions {
    let UpscaleArgs { quality, subsampling, progressive, lossy, .. } = *args;
    EncodeOptions { quality, subsampling: subsampling.into(), progressive, lossy }
}
