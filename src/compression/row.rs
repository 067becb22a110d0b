//! A finished run as a row of a table.

use std::{collections::BTreeMap, path::Path};

use dualres_imaging::file::write_atomically;
use serde_json::Value;

use crate::{
    CompressConfig, Report, Result,
    files::{SUMMARY_FILE, unusable},
};

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
