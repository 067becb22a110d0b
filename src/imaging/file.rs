//! Writing files so that nothing is lost: the new content appears whole or not at all.

use std::{io::Write, path::Path};

use crate::{ImagingError, Result};

/// Writes `bytes` to a temporary file beside `path` and renames it into place.
///
/// # Errors
/// If the folder does not exist, cannot be written to, or is full. What stood at `path` is untouched then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let attempt = || -> std::io::Result<()> {
        // A link stays one; what it points to is replaced.
        let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        if std::fs::metadata(&target).is_ok_and(|there| !there.is_file()) {
            // A device or a pipe would be gone for every other program.
            return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "what is there is no ordinary file"));
        }
        written(&target, bytes)?.persist(&target)?;
        Ok(())
    };
    attempt().map_err(|source| ImagingError::Write { path: path.to_owned(), source })
}

/// As [`write_atomically`], but leaves a file that is there as it is and returns false then.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    let attempt = || -> std::io::Result<bool> {
        match written(path, bytes)?.persist_noclobber(path) {
            Ok(_) => Ok(true),
            Err(error) if error.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error.error),
        }
    };
    attempt().map_err(|source| ImagingError::Write { path: path.to_owned(), source })
}

/// How names of temporary files begin and end.
const TEMPORARY: (&str, &str) = (".dualres-", ".tmp");

/// Removes the temporary files that killed programs left in `folder`. Only for folders that no other program is writing
/// to.
pub fn remove_leftovers(folder: &Path) {
    // What cannot be listed or removed does no harm.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if is_temporary(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Whether a file is one that a program is writing, or was when it was killed.
pub(crate) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

/// A temporary file beside `path` that holds `bytes`.
fn written(path: &Path, bytes: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(std::io::Error::new(std::io::ErrorKind::NotFound, "the folder does not exist"));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    {
        // Temporary files are private by default; a picture is as readable as the umask says.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}
