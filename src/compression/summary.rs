//! A run in one row: for tables over many runs, without reading networks or curves.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dualres_imaging::file::write_atomically;
use serde_json::Value;

use crate::{
    CompressConfig, Report, Result,
    files::{CONFIG_FILE, ORIGINAL_FILE, REPORT_FILE, SUMMARY_FILE, load_json, unusable},
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

/// Settings by dotted names, and everything of the report that is one value: a row of a table. What is not set is empty; lists
/// are JSON.
pub fn flat_row(config: &CompressConfig, report: &Report) -> BTreeMap<String, String> {
    let mut row: BTreeMap<String, String> =
        config.settings().into_iter().map(|(name, value)| (name, cell(&value))).collect();
    if let Value::Object(fields) = serde_json::to_value(report).expect("reports are plain data") {
        let single = fields.into_iter().filter(|(_, value)| !value.is_array() && !value.is_object());
        single.for_each(|(name, value)| drop(row.insert(name, cell(&value))));
    }
    row
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Writes the row of a finished run into its folder.
pub(crate) fn write(folder: &Path, config: &CompressConfig, report: &Report) -> Result<()> {
    let path = folder.join(SUMMARY_FILE);
    let row = flat_row(config, report);
    let written = || -> std::result::Result<Vec<u8>, csv::Error> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(row.keys())?;
        writer.write_record(row.values())?;
        writer.into_inner().map_err(|error| error.into_error().into())
    };
    Ok(write_atomically(&path, &written().map_err(|error| unusable(&path, error))?)?)
}
