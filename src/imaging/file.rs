//! Writing files so that nothing is lost: the new content appears whole or not at all, and what other programs are writing is
//! left alone.

use std::{
    fs::{File, TryLockError},
    io::{Error, ErrorKind, Write},
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use crate::{ImagingError, Result};

/// Writes `bytes` to a temporary file beside `path` and renames it into place.
///
/// # Errors
/// If the folder does not exist, cannot be written to, or is full. What stood at `path` is untouched then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let attempt = || -> std::io::Result<()> {
        // A link stays one; what it leads to is replaced.
        let target = resolve(path);
        if std::fs::metadata(&target).is_ok_and(|there| !there.is_file()) {
            // A device or a pipe would be gone for every other program.
            return Err(Error::new(ErrorKind::InvalidInput, "not a regular file"));
        }
        let permissions = std::fs::metadata(&target).ok().map(|there| there.permissions());
        placed(&target, bytes, &|file| {
            if let Some(permissions) = &permissions {
                // Who may read the file stays as it was; where that cannot be set, the file is worth more.
                let _ = file.as_file().set_permissions(permissions.clone());
            }
            file.persist(&target).map(drop)
        })
    };
    attempt().map_err(|source| ImagingError::Write { path: path.to_owned(), source })
}

/// As [`write_atomically`], but leaves a file that is there as it is and returns false then.
///
/// # Errors
/// As [`write_atomically`].
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    match placed(path, bytes, &|file| file.persist_noclobber(path).map(drop)) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(source) => Err(ImagingError::Write { path: path.to_owned(), source }),
    }
}

/// Where a path leads: absolute, links followed to their end even if nothing is there, `.` and `..` taken out.
pub fn resolve(path: &Path) -> PathBuf {
    follow(path, MAX_LINKS)
}

/// Links in a row that are followed, as by the system.
const MAX_LINKS: usize = 40;

fn follow(path: &Path, links: usize) -> PathBuf {
    if let Ok(real) = path.canonicalize() {
        return real;
    }
    let absolute = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let Some(parent) = absolute.parent() else { return absolute };
    if links > 0
        && let Ok(to) = std::fs::read_link(&absolute)
    {
        return follow(&parent.join(to), links - 1);
    }
    let mut place = follow(parent, links);
    match absolute.file_name() {
        Some(name) => place.push(name),
        // It ends in `..`.
        None => drop(place.pop()),
    }
    // With a part that is not there taken out, the rest may be there.
    if links > 0 && place != absolute { follow(&place, links - 1) } else { place }
}

/// Makes a folder if it is not there, and finds out whether files can be written into it: told before hours of work, not after.
///
/// # Errors
/// What the system says.
pub fn check_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    temporary(folder).map(drop)
}

/// How names of temporary files begin and end.
const TEMPORARY: (&str, &str) = (".dualres-", ".tmp");

/// Age at which a temporary file belongs to nobody, where no lock can tell.
const OLD: Duration = Duration::from_secs(24 * 60 * 60);

/// Removes the temporary files that killed programs left in `folder`. Those of running programs are locked, and stay.
pub fn remove_leftovers(folder: &Path) {
    // What cannot be listed or removed does no harm.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if is_temporary(&path)
            && let Some(held) = left_over(&path)
        {
            let _ = std::fs::remove_file(path);
            // Let go of after it is gone only: who locks it next finds no name any more.
            drop(held);
        }
    }
}

/// A temporary file that nobody is writing any more, locked.
fn left_over(path: &Path) -> Option<File> {
    // Opened for writing: some systems lock no file that is only read.
    let file = File::options().write(true).open(path).ok()?;
    let left = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(_)) => {
            let age =
                file.metadata().and_then(|there| there.modified()).map(|then| SystemTime::now().duration_since(then));
            age.is_ok_and(|age| age.is_ok_and(|age| age > OLD))
        }
    };
    left.then_some(file)
}

/// Whether a file is one that a program is writing, or was when it was killed.
pub(crate) fn is_temporary(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with(TEMPORARY.0) && name.ends_with(TEMPORARY.1)
}

type Persist<'a> = &'a dyn Fn(tempfile::NamedTempFile) -> std::result::Result<(), tempfile::PersistError>;

/// Writes a temporary file beside `path` and puts it into its place.
fn placed(path: &Path, bytes: &[u8], persist: Persist<'_>) -> std::io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if !folder.is_dir() {
        return Err(Error::new(ErrorKind::NotFound, format!("the folder {} does not exist", folder.display())));
    }
    persist(written(folder, bytes)?).map_err(|error| error.error)
}

/// A temporary file that holds `bytes`.
fn written(folder: &Path, bytes: &[u8]) -> std::io::Result<tempfile::NamedTempFile> {
    let mut file = own(folder)?;
    file.as_file_mut().write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
}

/// An empty temporary file that no other program takes for a leftover.
fn own(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    // Each is lost with one chance in many thousands even where a program does nothing but clear away.
    const TRIES: usize = 100;
    for _ in 1..TRIES {
        let file = temporary(folder)?;
        // Before it had its lock, another program may have begun to clear it away, or be done with that.
        let lost = matches!(file.as_file().try_lock(), Err(TryLockError::WouldBlock)) || !file.path().exists();
        if !lost {
            return Ok(file);
        }
    }
    temporary(folder)
}

fn temporary(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY.0).suffix(TEMPORARY.1);
    #[cfg(unix)]
    {
        // Temporary files are private by default; a picture is as readable as the umask says.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    // The name of a file that nobody has heard of says nothing.
    builder.tempfile_in(folder).map_err(|error| match error.get_ref().and_then(|inner| inner.source()) {
        Some(source) => Error::new(error.kind(), source.to_string()),
        None => error,
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_being_written_is_no_leftover() {
        let folder = tempfile::tempdir().unwrap();
        let held = written(folder.path(), b"half").unwrap();
        let left = folder.path().join(".dualres-left.tmp");
        std::fs::write(&left, "half").unwrap();
        remove_leftovers(folder.path());
        assert!(held.path().exists() && !left.exists());
        held.persist(folder.path().join("whole")).unwrap();
        assert_eq!(std::fs::read(folder.path().join("whole")).unwrap(), b"half");
    }

    /// Programs that clear away leftovers all the time cost no program a file.
    #[test]
    fn writers_and_cleaners_share_a_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    scope.spawn(move || {
                        for file in 0..50 {
                            write_atomically(&path.join(format!("{writer}-{file}")), b"whole").unwrap();
                        }
                    })
                })
                .collect();
            while writers.iter().any(|writer| !writer.is_finished()) {
                remove_leftovers(path);
            }
        });
        assert_eq!(std::fs::read_dir(path).unwrap().count(), 200);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_to_where_nothing_is_yet() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        std::fs::create_dir(root.join("real")).unwrap();
        std::os::unix::fs::symlink("real", root.join("other")).unwrap();
        std::os::unix::fs::symlink("other/new.png", root.join("dangling.png")).unwrap();
        std::os::unix::fs::symlink("circle", root.join("circle")).unwrap();
        assert_eq!(resolve(&root.join("dangling.png")), root.join("real/new.png"));
        assert_eq!(resolve(&root.join("other/./x/../new.png")), root.join("real/new.png"));
        assert_eq!(resolve(&root.join("gone/../other/a")), root.join("real/a"));
        assert_eq!(resolve(&root.join("circle")), root.join("circle"));
        write_atomically(&root.join("dangling.png"), b"x").unwrap();
        assert!(root.join("dangling.png").is_symlink() && root.join("real/new.png").is_file());
        std::os::unix::fs::symlink("nowhere/new.png", root.join("astray.png")).unwrap();
        let error = write_atomically(&root.join("astray.png"), b"x").unwrap_err();
        assert!(error.to_string().contains("nowhere"), "{error}");
    }
}
