//! What became of the pictures of a batch: the table in which doubtful ones are found without looking at all.

use std::path::Path;

use serde::Serialize;

/// What became of one picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The picture.
    pub input: String,
    /// `done`, `skipped` (done before) or `failed`.
    pub state: &'static str,
    /// The result.
    pub output: String,
    /// Width of the result in pixels.
    pub width: Option<usize>,
    /// Height of the result in pixels.
    pub height: Option<usize>,
    /// Loop PSNR in dB.
    pub loop_psnr: Option<f64>,
    /// File to file.
    pub seconds: Option<f64>,
    /// Why it failed.
    pub error: String,
}

impl Row {
    /// A picture that failed.
    pub fn failed(input: &Path, error: String) -> Self {
        Self {
            input: input.to_string_lossy().into_owned(),
            state: "failed",
            output: String::new(),
            width: None,
            height: None,
            loop_psnr: None,
            seconds: None,
            error,
        }
    }
}

/// Puts failures first, then the pictures that kept least to their originals.
pub fn most_doubtful_first(rows: &mut [Row]) {
    rows.sort_by(|a, b| {
        let doubt =
            |row: &Row| if row.state == "failed" { f64::NEG_INFINITY } else { row.loop_psnr.unwrap_or(f64::INFINITY) };
        doubt(a).total_cmp(&doubt(b)).then_with(|| a.input.cmp(&b.input))
    });
}

/// Writes the table as CSV, most doubtful pictures first.
///
/// # Errors
/// If the file cannot be written.
pub fn write_table(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let mut rows = rows.to_vec();
    most_doubtful_first(&mut rows);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in &rows {
        writer.serialize(row)?;
    }
    let bytes = writer.into_inner().map_err(|error| anyhow::anyhow!("cannot make the table ({error})"))?;
    Ok(dualres_imaging::file::write_atomically(path, &bytes)?)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_table_begins_with_what_deserves_a_look() {
        let row = |input: &str, loop_psnr| Row {
            state: "done",
            error: String::new(),
            loop_psnr,
            ..Row::failed(Path::new(input), String::new())
        };
        let rows =
            [row("fine", Some(50.0)), row("doubtful", Some(31.0)), Row::failed(Path::new("bad"), "why, so".into())];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("table.csv");
        write_table(&path, &rows).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("input,state,output"));
        assert!(lines[1].starts_with("bad,failed") && lines[1].ends_with("\"why, so\""), "{text}");
        assert!(lines[2].starts_with("doubtful") && lines[3].starts_with("fine"), "{text}");
    }
}
