//! Results to the disk: under a name that is free, never over what is somebody else's, and recorded.

use std::path::{Path, PathBuf};

use anyhow::anyhow;
use dualres_imaging::file::{resolve, write_atomically, write_new};

use super::{journal::JournalError, record::Done, records::Recorded};
use crate::{language::tr, naming};

/// Where a result goes.
pub struct Destination<'a> {
    /// The file.
    pub target: PathBuf,
    /// What it is called in the record of its folder.
    pub recorded: Option<&'a Recorded>,
    /// Whether what is there may be replaced.
    pub replaces: bool,
    /// Another name than one that is taken.
    pub next: &'a dyn Fn(&Path) -> PathBuf,
    /// The folder for a result that cannot be saved where it was to go: what took minutes is not thrown away.
    pub elsewhere: Option<&'a Path>,
}

/// Saves a result. Returns where it is, and what the user should know of.
///
/// # Errors
/// If it cannot be written.
pub fn save(file: &[u8], to: &Destination<'_>) -> anyhow::Result<(PathBuf, Vec<String>)> {
    let mut warnings = Vec::new();
    // What cannot be recorded is saved all the same.
    let note = |warnings: &mut Vec<String>, path: &Path, is_new: bool| {
        let noted = to.recorded.map(|recorded| {
            recorded.note(|journal, key| {
                let is_own = journal.owns(key, path);
                if is_new {
                    journal.begin(key, path)?;
                }
                journal.write(key, file)?;
                Ok(is_own)
            })
        });
        noted.is_some_and(|noted| told(noted, warnings).unwrap_or(false))
    };
    let is_own = note(&mut warnings, &to.target, false);
    let written = if to.replaces || is_own {
        write_atomically(&to.target, file).map(|()| to.target.clone())
    } else {
        write_next(file, &to.target, to.next, &mut |taken, next| {
            let (taken, shown) = (taken.display(), next.display());
            warnings.push(tr!("%{taken} appeared meanwhile; writing to %{next}", taken = taken, next = shown));
            note(&mut warnings, next, true);
        })
    };
    match (written, to.elsewhere) {
        (Ok(path), _) => Ok((path, warnings)),
        (Err(error), None) => Err(error.into()),
        (Err(error), Some(folder)) => {
            std::fs::create_dir_all(folder).map_err(|_| anyhow!("{error}"))?;
            let name = to.target.file_name().unwrap_or_default();
            let path = save_free(&folder.join(name), file).map_err(|_| anyhow!("{error}"))?;
            let shown = path.display();
            warnings.push(tr!("%{error}; the result was saved as %{file} instead", error = error, file = shown));
            Ok((path, warnings))
        }
    }
}

/// Notes a result that was saved. One that had to go elsewhere is none of its folder.
pub fn finish(recorded: &Recorded, done: Done, warnings: &mut Vec<String>) {
    if done.output.starts_with(&recorded.folder) {
        told(recorded.note(|journal, key| journal.finish(key, done)), warnings);
    }
}

/// Saves bytes under the first name from `target` on that is free.
///
/// # Errors
/// If they cannot be written.
pub fn save_free(target: &Path, bytes: &[u8]) -> dualres_imaging::Result<PathBuf> {
    write_next(bytes, target, &|taken| naming::free(taken, &|_| false), &mut |_, _| {})
}

fn write_next(
    file: &[u8],
    target: &Path,
    next: &dyn Fn(&Path) -> PathBuf,
    was_taken: &mut dyn FnMut(&Path, &Path),
) -> dualres_imaging::Result<PathBuf> {
    let mut path = target.to_owned();
    // Another program may take a name between the look at it and the file.
    while !write_new(&resolve(&path), file)? {
        let free = next(&path);
        was_taken(&path, &free);
        path = free;
    }
    Ok(path)
}

/// What was noted; what went wrong with it, in words.
fn told<T>(noted: Result<T, JournalError>, warnings: &mut Vec<String>) -> Option<T> {
    noted.map_err(|error| warnings.push(error.to_string())).ok()
}

/// Makes a folder of results.
///
/// # Errors
/// If the system does not let it.
pub fn make_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let shown = folder.display();
        anyhow!(tr!("cannot make the folder of results (%{error}): %{folder}", error = error, folder = shown))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_was_made_is_not_lost_and_replaces_nothing() {
        let home = tempfile::tempdir().unwrap();
        let pictures = home.path().join("pictures");
        let wanted = home.path().join("b.png");
        let next = |taken: &Path| naming::free(taken, &|_| false);
        let to = |target: &Path, elsewhere: bool| {
            let elsewhere = elsewhere.then_some(pictures.as_path());
            let to = Destination { target: target.to_owned(), recorded: None, replaces: false, next: &next, elsewhere };
            save(b"a file", &to)
        };
        assert_eq!(to(&wanted, true).unwrap(), (wanted.clone(), Vec::new()));
        let (path, warnings) = to(&wanted, true).unwrap();
        assert_eq!(path, home.path().join("b-2.png"), "a name that was taken since is not overwritten");
        assert!(warnings[0].contains("appeared meanwhile"), "{warnings:?}");
        let gone = home.path().join("gone").join("c.png");
        let (path, warnings) = to(&gone, true).unwrap();
        assert_eq!(path, pictures.join("c.png"));
        assert!(warnings[0].contains("instead"), "{warnings:?}");
        assert!(to(&gone, false).is_err(), "where it has no other place");
        assert_eq!(save_free(&wanted, b"more").unwrap(), home.path().join("b-3.png"));
    }
}
