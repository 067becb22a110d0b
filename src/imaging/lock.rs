//! Folders and records that one process writes to at a time.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

/// What a process holds for as long as this lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    doubt: Option<std::io::Error>,
}

/// Why a process does not get what it wants to hold.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("another process holds the lock")]
    Held,
    /// The file cannot be made.
    #[error(transparent)]
    File(std::io::Error),
}

impl Lock {
    /// Takes a file, which is made if it is not there and is never changed. File systems that know no locks (some network
    /// folders) are trusted, and [`Lock::doubt`] says so.
    ///
    /// # Errors
    /// If another process holds it, or the file cannot be made.
    pub fn take(path: &Path) -> Result<Self, LockError> {
        if std::fs::metadata(path).is_ok_and(|there| !there.is_file()) {
            // A pipe would be waited at for ever.
            return Err(LockError::File(std::io::Error::new(std::io::ErrorKind::InvalidInput, "not a regular file")));
        }
        // Read as well: some systems lock no file that is only appended to.
        let file = File::options().read(true).append(true).create(true).open(path).map_err(LockError::File)?;
        Self::of(file)
    }

    /// The same for a file that is open.
    ///
    /// # Errors
    /// If another process holds it.
    pub fn of(file: File) -> Result<Self, LockError> {
        let doubt = match file.try_lock() {
            Ok(()) => None,
            Err(TryLockError::WouldBlock) => return Err(LockError::Held),
            Err(TryLockError::Error(error)) => Some(error),
        };
        Ok(Self { _file: file, doubt })
    }

    /// Why it is not certain that no other process holds it as well.
    pub fn doubt(&self) -> Option<String> {
        self.doubt.as_ref().map(|error| {
            format!("this file system does not support locks ({error}); make sure that no other process writes there")
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn one_has_it_and_the_file_keeps_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        std::fs::write(&path, "somebody's").unwrap();
        let held = Lock::take(&path).unwrap();
        assert!(held.doubt().is_none());
        assert!(matches!(Lock::take(&path), Err(LockError::Held)));
        drop(held);
        drop(Lock::take(&path).unwrap());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "somebody's");
        assert!(matches!(Lock::take(&folder.path().join("gone/lock")), Err(LockError::File(_))));
    }
}
