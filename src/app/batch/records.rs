//! The record of the folder that results go to, shared by the threads that work for it.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    journal::{Journal, JournalError},
    record::Key,
};

/// The record that is open, if there is one.
#[derive(Clone, Default)]
pub struct Records(Arc<Mutex<Option<(PathBuf, Journal)>>>);

impl Records {
    /// Records of which that of `folder` has been opened.
    pub(crate) fn opened(folder: &Path, journal: Journal) -> Self {
        Self(Arc::new(Mutex::new(Some((folder.to_owned(), journal)))))
    }

    /// Does something with the record of `folder`, which is opened first if another one is.
    ///
    /// # Errors
    /// If it cannot be opened, or another run holds it.
    pub fn of<T>(&self, folder: &Path, work: impl FnOnce(&mut Journal) -> T) -> Result<T, JournalError> {
        // A thread that panicked has told so; the others finish what they are at.
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_none_or(|(there, _)| there != folder) {
            // The one before is let go first.
            *open = None;
            *open = Some((folder.to_owned(), Journal::open(folder, None, &["window".to_owned()])?));
        }
        let (_, journal) = open.as_mut().expect("opened above");
        Ok(work(journal))
    }

    /// Lets the record go, so that another run may have it.
    pub fn close(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A picture in a record.
#[derive(Clone)]
pub struct Recorded {
    /// The records.
    pub records: Records,
    /// The folder of results.
    pub folder: PathBuf,
    /// What the picture is called there.
    pub key: Key,
}

impl Recorded {
    /// Notes something about the picture.
    ///
    /// # Errors
    /// If the record cannot be written, or another run holds it by now.
    pub fn note<T>(&self, what: impl FnOnce(&mut Journal, &Key) -> Result<T, JournalError>) -> Result<T, JournalError> {
        self.records.of(&self.folder, |journal| what(journal, &self.key))?
    }
}
