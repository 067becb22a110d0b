//! The record of the folder that results go to, shared by the threads that work for it: as the command line keeps it, so
//! that each knows what the other has done.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::batch::journal::{Journal, JournalError};

/// The record that is open, if there is one.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<Option<(PathBuf, Journal)>>>);

impl Records {
    /// Does something with the record of `folder`, which is opened first if another one is.
    ///
    /// # Errors
    /// If it cannot be opened, or a run of the command line holds it.
    pub(super) fn of<T>(&self, folder: &Path, work: impl FnOnce(&mut Journal) -> T) -> Result<T, JournalError> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|(there, _)| there != folder) {
            // The one before is let go first.
            *open = None;
            *open = Some((folder.to_owned(), Journal::open(folder, None, &["window".to_owned()])?));
        }
        let (_, journal) = open.as_mut().expect("opened above");
        Ok(work(journal))
    }

    /// Lets the record go, so that a run of the command line may have it.
    pub(super) fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
