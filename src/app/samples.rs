//! Pictures inside the program, so that the first run works without any data.

use std::path::PathBuf;

use anyhow::Context;
use dualres_imaging::file::write_atomically;

use crate::paths::Paths;

/// Named so that the last of them, which is kept for validation, is the same everywhere.
static PICTURES: [(&str, &[u8]); 4] = [
    ("1-cat.png", include_bytes!("../../assets/samples/chelsea.png")),
    ("2-coffee.png", include_bytes!("../../assets/samples/coffee.png")),
    ("3-rocket.jpg", include_bytes!("../../assets/samples/rocket.jpg")),
    ("4-astronaut.png", include_bytes!("../../assets/samples/astronaut.png")),
];

/// The folder of the pictures; they may not be there yet.
pub(crate) fn folder(paths: &Paths) -> PathBuf {
    paths.data.join("compress").join("pictures")
}

/// Puts the pictures into their folder, unless they are there.
pub(crate) fn unpack(paths: &Paths) -> anyhow::Result<PathBuf> {
    let folder = folder(paths);
    std::fs::create_dir_all(&folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (name, bytes) in PICTURES {
        let path = folder.join(name);
        // Half a file of a killed program has another length.
        if std::fs::metadata(&path).map(|facts| facts.len()).ok() != Some(bytes.len() as u64) {
            write_atomically(&path, bytes)?;
        }
    }
    Ok(folder)
}

/// The picture that networks are compared on until another is chosen, and its name.
pub(crate) fn first() -> (&'static str, &'static [u8]) {
    ("cat.png", PICTURES[0].1)
}
