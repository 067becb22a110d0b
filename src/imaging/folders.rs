//! Which files of folders are pictures.

use std::path::{Path, PathBuf};

use crate::{ImagingError, Result};

/// Extensions of the formats that are read, in lower case: what to look for in a folder.
pub const SUPPORTED_EXTENSIONS: [&str; 17] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "tif", "tiff", "avif", "bmp", "gif", "qoi", "pnm", "pbm", "pgm",
    "ppm", "pam",
];

/// Extensions of pictures that are known and not read, in lower case.
const FOREIGN_EXTENSIONS: [&str; 20] = [
    "nef", "cr2", "cr3", "crw", "arw", "dng", "orf", "rw2", "raf", "pef", "srw", "raw", "heic", "heif", "jxl", "jp2",
    "psd", "svg", "xcf", "kra",
];

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Found {
    /// Pictures by their extensions, in the order of their paths.
    pub pictures: Vec<PathBuf>,
    /// Folders below that could not be read.
    pub problems: Vec<ImagingError>,
    /// Files of kinds that are known and not read.
    pub foreign: usize,
}

/// Pictures in a folder and its sub-folders. A sub-folder that cannot be read does not hide the others. Links to folders
/// are not followed, so that circles of links end.
pub fn find_pictures_below(folder: &Path) -> Found {
    let mut found = Found::default();
    search(folder, &mut found);
    found.pictures.sort();
    found
}

fn search(folder: &Path, found: &mut Found) {
    let problem = |source| ImagingError::Open { path: folder.to_owned(), source };
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => return found.problems.push(problem(error)),
    };
    for entry in entries {
        let typed = entry.and_then(|entry| entry.file_type().map(|kind| (entry.path(), kind)));
        match typed {
            Ok((path, kind)) if kind.is_dir() => search(&path, found),
            Ok((path, _)) if has_extension(&path, &SUPPORTED_EXTENSIONS) => found.pictures.push(path),
            Ok((path, _)) => found.foreign += usize::from(has_extension(&path, &FOREIGN_EXTENSIONS)),
            Err(error) => found.problems.push(problem(error)),
        }
    }
}

/// Picture files in a folder and its sub-folders by their extensions, in the order of their paths.
///
/// # Errors
/// If a folder cannot be read.
pub fn find_pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = find_pictures_below(folder);
    match found.problems.pop() {
        Some(problem) => Err(problem),
        None => Ok(found.pictures),
    }
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| known.contains(&extension.as_str()))
}
