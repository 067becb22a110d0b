//! Which files of folders are pictures.

use std::{
    cmp::Ordering,
    path::{Path, PathBuf},
};

use crate::{
    ImagingError, Result, decode,
    file::is_temporary,
    foreign::{self, Foreign},
};

/// Extensions of the formats that are read, in lower case: what to look for in a folder.
pub const SUPPORTED_EXTENSIONS: [&str; 24] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "tif", "tiff", "avif", "bmp", "gif", "qoi", "pnm", "pbm", "pgm",
    "ppm", "pam", "jxl", "exr", "hdr", "pfm", "tga", "btf", "tf8",
];

/// Extensions of pictures that are read where they hold what is understood, in lower case.
const PERHAPS: [&str; 3] = ["heic", "heif", "hif"];

/// Extensions of pictures that are read, or may be, in lower case: what to offer in a dialog.
pub fn offered_extensions() -> Vec<&'static str> {
    SUPPORTED_EXTENSIONS.into_iter().chain(PERHAPS).chain(foreign::RAW).collect()
}

/// Extensions of pictures that are known and not read, in lower case.
const FOREIGN_EXTENSIONS: [&str; 5] = ["jp2", "psd", "svg", "xcf", "kra"];

/// What a folder holds.
#[derive(Debug, Default)]
pub struct Found {
    /// Pictures by their extensions, and by their content where the extension is of no picture that is read, in the order
    /// of their paths.
    pub pictures: Vec<PathBuf>,
    /// Folders below that could not be read.
    pub problems: Vec<ImagingError>,
    /// Files of kinds that are known and not read, with what their owner can do, in the order of their paths.
    pub foreign: Vec<(PathBuf, &'static str)>,
    /// Hidden folders and those of systems, which nobody means who does not name them.
    pub left_out: Vec<PathBuf>,
}

/// Folders that systems keep beside pictures: thumbnails, trash, copies.
const SYSTEM_FOLDERS: [&str; 7] =
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "RECYCLER", "System Volume Information", "__MACOSX", "lost+found"];

/// Whether a folder is hidden or a system's own, such as `.git`, `.Trash-1000`, `.thumbnails`, `@eaDir`.
pub fn is_hidden_folder(folder: &Path) -> bool {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.starts_with('.') || SYSTEM_FOLDERS.iter().any(|known| name.eq_ignore_ascii_case(known))
}

/// Order of paths as people number them: `img2` before `img10`.
pub fn natural_order(a: &Path, b: &Path) -> Ordering {
    let (mut left, mut right) = (a.components(), b.components());
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return a.cmp(b),
            (None, Some(_)) => Ordering::Less,
            (Some(_), None) => Ordering::Greater,
            (Some(one), Some(other)) => alphanumeric_sort::compare_os_str(one.as_os_str(), other.as_os_str()),
        };
        if order.is_ne() {
            return order;
        }
    }
}

/// Pictures in a folder and its sub-folders, but for hidden ones. A sub-folder that cannot be read does not hide the others.
/// Links to folders are not followed, so that circles of links end.
pub fn find_pictures_below(folder: &Path) -> Found {
    let mut found = Found::default();
    search(folder, &mut found);
    found.pictures.sort_by(|a, b| natural_order(a, b));
    found.foreign.sort_by(|(a, _), (b, _)| natural_order(a, b));
    found.left_out.sort_by(|a, b| natural_order(a, b));
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
            Ok((path, kind)) if kind.is_dir() && is_hidden_folder(&path) => found.left_out.push(path),
            Ok((path, kind)) if kind.is_dir() => search(&path, found),
            Ok((path, _)) if is_beside_pictures(&path) => {}
            // Pipes, sockets and devices are no pictures, whatever their names. A link may lead to one.
            Ok((_, kind)) if !kind.is_file() && !kind.is_symlink() => {}
            Ok((path, _)) if has_extension(&path, &SUPPORTED_EXTENSIONS) => found.pictures.push(path),
            Ok((path, kind)) => match Content::of(&path, kind.is_file()) {
                Content::Picture => found.pictures.push(path),
                Content::Foreign(advice) => found.foreign.push((path, advice)),
                Content::Other => {}
            },
            Err(error) => found.problems.push(problem(error)),
        }
    }
}

/// Picture files in a folder and its sub-folders but hidden ones, in the order of their bytes: runs that draw from them are resumed
/// by later versions.
///
/// # Errors
/// If a folder cannot be read.
pub fn find_pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut found = find_pictures_below(folder);
    match found.problems.pop() {
        Some(problem) => Err(problem),
        None => {
            found.pictures.sort();
            Ok(found.pictures)
        }
    }
}

/// What a file is whose name is of no picture that is read.
enum Content {
    /// A picture all the same: phones call JPEG files `.heic`, downloads have no extension.
    Picture,
    /// Of a kind that is known and not read.
    Foreign(&'static str),
    Other,
}

impl Content {
    fn of(path: &Path, is_file: bool) -> Self {
        let is_raw = has_extension(path, &foreign::RAW);
        let is_named_foreign = is_raw
            || has_extension(path, &PERHAPS)
            || has_extension(path, &FOREIGN_EXTENSIONS)
            || has_extension(path, &foreign::RARE);
        if !is_file {
            return Self::Other;
        }
        if is_named_foreign {
            return match decode::dimensions(path) {
                Ok(_) if is_raw && has_rendering(path) => Self::Foreign(RENDERED),
                Ok(_) => Self::Picture,
                Err(ImagingError::Foreign { advice, .. }) => Self::Foreign(advice),
                // What is wrong with it is said when it is read.
                Err(_) if has_extension(path, &PERHAPS) => Self::Picture,
                Err(_) => Self::Foreign(foreign::by_name(path).advice()),
            };
        }
        let start = decode::start_of(path).unwrap_or_default();
        // Kinds of which two bytes decide are believed by their names only.
        let magics: [&[u8]; 6] =
            [b"\0\0\0\x0cJXL \r\n\x87\n", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"qoif"];
        let is_webp = start.starts_with(b"RIFF") && start.get(8..12) == Some(b"WEBP");
        if is_webp || foreign::is_avif(&start) || magics.iter().any(|magic| start.starts_with(magic)) {
            return Self::Picture;
        }
        match foreign::of(&start) {
            Some(Foreign::Heic) if cfg!(feature = "heic") => Self::Picture,
            Some(Foreign::Raw) if decode::dimensions(path).is_ok() => Self::Picture,
            // Documents lie among pictures without anybody wanting them enlarged.
            Some(Foreign::Pdf | Foreign::Svg) | None => Self::Other,
            Some(foreign) => Self::Foreign(foreign.advice()),
        }
    }
}

/// What is said of raw files beside which the same photo lies.
const RENDERED: &str = "it is a raw file of a camera, and the photo lies beside it as a picture, which is taken";

/// Whether the same photo lies beside a raw file as a picture: cameras write both when they are asked to.
fn has_rendering(path: &Path) -> bool {
    ["jpg", "JPG", "jpeg", "JPEG", "heic", "HEIC", "heif", "HEIF", "hif", "HIF"]
        .iter()
        .any(|extension| path.with_extension(extension).is_file())
}

/// What lies beside pictures without being one that anybody means: what a Mac lays beside each file on foreign disks, what
/// killed runs leave, what metadata programs keep of originals, and cameras' thumbnails.
fn is_beside_pictures(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.starts_with(b"._") || is_temporary(path) || name.ends_with(b"_original") || has_extension(path, &["thm"])
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_ascii_lowercase());
    extension.is_some_and(|extension| known.contains(&extension.as_str()))
}
