//! A run in one row: for tables over many runs, without reading networks or curves.

use std::path::{Path, PathBuf};

use crate::{
    CompressConfig, Report, Result,
    files::{CONFIG_FILE, ORIGINAL_FILE, REPORT_FILE, load_json},
    run::Begun,
};

/// Settings of a run and what came of it.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Its folder.
    pub folder: PathBuf,
    /// Settings.
    pub config: CompressConfig,
    /// What came of it, if the run is finished.
    pub report: Option<Report>,
}

impl Summary {
    /// Reads what `folder` says; `None` if there is no run in it.
    ///
    /// # Errors
    /// If its files are damaged.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let Some(Begun { config, .. }) = load_json(&folder.join(CONFIG_FILE))? else { return Ok(None) };
        Ok(Some(Self { folder: folder.to_owned(), config, report: load_json(&folder.join(REPORT_FILE))? }))
    }
}

/// Folders below one that was named which are looked into.
const DEPTH: usize = 3;

/// Run folders in `folder`, by name; it may be one itself. What cannot be read is passed over.
pub fn run_folders(folder: &Path) -> Vec<PathBuf> {
    fn collect(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) {
        if [CONFIG_FILE, ORIGINAL_FILE].iter().all(|name| folder.join(name).is_file()) {
            found.push(folder.to_owned());
        } else if depth > 0 {
            let below = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
            let mut below: Vec<PathBuf> = below.filter(|path| path.is_dir()).collect();
            below.sort();
            below.iter().for_each(|folder| collect(folder, depth - 1, found));
        }
    }
    let mut found = Vec::new();
    collect(folder, DEPTH, &mut found);
    found
}
