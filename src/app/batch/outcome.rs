//! What became of the pictures of a batch: the table in which doubtful ones are found without looking at all.

use std::path::Path;

use serde::Serialize;

use super::choice::{Kind, Misfit};
use crate::language::tr;

/// What became of one picture.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// The picture.
    pub input: String,
    /// `done`, `skipped` (done before) or `failed`.
    pub state: &'static str,
    /// The result.
    pub output: String,
    /// Name of the model; empty where none was chosen, or a record of before does not say.
    pub model: String,
    /// Width of the result in pixels.
    pub width: Option<usize>,
    /// Height of the result in pixels.
    pub height: Option<usize>,
    /// Consistency PSNR in dB.
    pub loop_psnr: Option<f64>,
    /// Predicted PSNR in dB.
    pub expected_psnr: Option<f64>,
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
            model: String::new(),
            width: None,
            height: None,
            loop_psnr: None,
            expected_psnr: None,
            seconds: None,
            error,
        }
    }
}

/// How far a result keeps to its original, in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The loop closes: nothing of the original was changed.
    True,
    /// Nothing was changed, and what is to be removed was not either: noise was enlarged with the rest.
    Noisy,
    /// A photo model took fine detail away from a picture that has little noise.
    Smoothed,
    /// A photo model took noise and traces of compression away, which the loop shows as differences.
    Cleaned,
    /// Little was changed.
    Near,
    /// Enough was changed to look where.
    Doubtful,
}

impl Verdict {
    /// In a few words.
    pub fn words(self) -> String {
        match self {
            Self::True => tr!("True to the original"),
            Self::Noisy => tr!("True, noise included"),
            Self::Smoothed => tr!("Fine detail smoothed"),
            Self::Cleaned => tr!("Noise removed"),
            Self::Near => tr!("Small changes"),
            Self::Doubtful => tr!("Look closely"),
        }
    }

    /// Whether it is no praise.
    pub fn warns(self) -> bool {
        matches!(self, Self::Doubtful | Self::Noisy | Self::Smoothed)
    }

    /// What that means.
    pub fn reason(self) -> String {
        match self {
            Self::True => tr!("Reduced again, the result matches the original."),
            Self::Noisy => tr!("Noise or JPEG artefacts were enlarged too. A Photo model removes them."),
            Self::Smoothed => tr!("This picture has little noise: a Clean model keeps more of it."),
            Self::Cleaned => {
                tr!("Noise and JPEG artefacts were removed, and structure was kept. Difference shows where.")
            }
            Self::Near => tr!("Reduced again, the result differs a little; Difference shows where."),
            Self::Doubtful => tr!("The result shows things that the original does not; Overlay marks them."),
        }
    }
}

/// The verdict on a result of `model` whose consistency PSNR is `decibels`, and whose place that was changed most is off by `worst` gray
/// levels of structure, if that is known. Above 45 dB differences are of one or two levels of 255; below 34 dB of five on average, which
/// is seen. Noise that was removed is no structure: a result without a place worth a look is not doubtful, whatever its decibels; and
/// noise that was kept closes the loop best and is nothing to be proud of, nor is detail that was taken for noise.
pub fn verdict(decibels: f64, worst: Option<f32>, misfit: Option<Misfit>, model: &str) -> Option<Verdict> {
    let cleans = Kind::of_model(model) == Kind::Photo;
    Some(match (decibels, worst) {
        (psnr, _) if psnr.is_nan() => return None,
        (psnr, None | Some(0.0)) if psnr >= 45.0 && misfit == Some(Misfit::NoiseKept) => Verdict::Noisy,
        (psnr, None | Some(0.0)) if psnr >= 45.0 => Verdict::True,
        (_, Some(0.0)) if misfit == Some(Misfit::DetailSmoothed) => Verdict::Smoothed,
        (_, Some(0.0)) if cleans => Verdict::Cleaned,
        (_, Some(0.0)) => Verdict::Near,
        (psnr, _) if psnr >= 45.0 => Verdict::Near,
        (psnr, None) if psnr >= 34.0 && cleans => Verdict::Cleaned,
        (psnr, None) if psnr >= 34.0 => Verdict::Near,
        _ => Verdict::Doubtful,
    })
}

/// What doubt in a result is told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certainty {
    /// The error that is expected of it, which finds bad results better.
    ExpectedPsnr,
    /// How well it kept to its original, for models whose errors are not known.
    LoopPsnr,
}

impl Certainty {
    /// What these rows can be compared by.
    pub fn of(rows: &[Row]) -> Self {
        // Nothing is expected of tiny pictures, whose number must not decide about the others.
        let proven = rows.iter().filter(|row| row.loop_psnr.is_some()).count();
        let expected = rows.iter().filter(|row| row.expected_psnr.is_some()).count();
        if expected > 0 && 2 * expected >= proven { Self::ExpectedPsnr } else { Self::LoopPsnr }
    }

    /// A row's number in dB.
    pub fn decibels(self, row: &Row) -> Option<f64> {
        match self {
            Self::ExpectedPsnr => row.expected_psnr,
            Self::LoopPsnr => row.loop_psnr,
        }
    }
}

/// Puts failures first, then the results most in doubt.
pub fn most_doubtful_first(rows: &mut [Row]) {
    let by = Certainty::of(rows);
    rows.sort_by(|a, b| {
        let doubt = |row: &Row| {
            if row.state == "failed" { f64::NEG_INFINITY } else { by.decibels(row).unwrap_or(f64::INFINITY) }
        };
        doubt(a).total_cmp(&doubt(b)).then_with(|| a.input.cmp(&b.input))
    });
}

/// Whether a table may be written to a path: nothing is there, or an earlier table.
///
/// # Errors
/// A sentence on what is there.
fn check_table(path: &Path) -> Result<(), String> {
    let is_table =
        || std::fs::read(path).is_ok_and(|there| there.is_empty() || there.starts_with(b"input,state,output"));
    if !path.exists() || (path.is_file() && is_table()) {
        return Ok(());
    }
    Err(format!("refusing to overwrite: not a table written by Dualres: {}", path.display()))
}

/// Writes the table as CSV, most doubtful pictures first.
///
/// # Errors
/// If something else is there by now, or the file cannot be written.
pub fn write_table(path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    check_table(path).map_err(|reason| anyhow::anyhow!(reason))?;
    Ok(dualres_imaging::file::write_atomically(path, &table(rows)?)?)
}

/// The table as CSV, most doubtful pictures first.
///
/// # Errors
/// If a row cannot be written as text.
pub fn table(rows: &[Row]) -> anyhow::Result<Vec<u8>> {
    let mut rows = rows.to_vec();
    most_doubtful_first(&mut rows);
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in &rows {
        writer.serialize(row)?;
    }
    writer.into_inner().map_err(|error| anyhow::anyhow!("cannot create the table ({error})"))
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
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(check_table(&path).is_ok() && check_table(&folder.path().join("new.csv")).is_ok());
        std::fs::write(&path, "my notes").unwrap();
        assert!(check_table(&path).unwrap_err().contains("table.csv"));
        assert!(write_table(&path, &rows).is_err(), "nor later on");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "my notes");
        assert!(check_table(folder.path()).is_err());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("input,state,output"));
        assert!(lines[1].starts_with("bad,failed") && lines[1].ends_with("\"why, so\""), "{text}");
        assert!(lines[2].starts_with("doubtful") && lines[3].starts_with("fine"), "{text}");
    }

    #[test]
    fn removed_noise_is_told_apart_from_changed_structure() {
        let photo = |decibels, worst| verdict(decibels, worst, None, "photo-x2").unwrap();
        // The noisier the original, the farther a clean result is from it.
        assert_eq!(photo(29.0, Some(0.0)), Verdict::Cleaned);
        assert_eq!(photo(40.0, Some(6.0)), Verdict::Doubtful);
        assert_eq!((photo(29.0, None), photo(40.0, None)), (Verdict::Doubtful, Verdict::Cleaned));
        assert_eq!(verdict(29.0, Some(0.0), None, "x2"), Some(Verdict::Near));
        assert_eq!(verdict(50.0, Some(0.0), None, "x2"), Some(Verdict::True));
        // The loop closes best where noise was enlarged with the rest, and where little is off in one place.
        assert_eq!(verdict(73.0, Some(0.0), Some(Misfit::NoiseKept), "x2"), Some(Verdict::Noisy));
        assert_eq!(verdict(50.0, Some(3.0), None, "x2"), Some(Verdict::Near));
        let smoothed = verdict(38.0, Some(0.0), Some(Misfit::DetailSmoothed), "photo-x2").unwrap();
        assert!(smoothed == Verdict::Smoothed && smoothed.warns());
        assert_eq!(verdict(36.0, Some(3.0), None, "x2"), Some(Verdict::Doubtful));
        assert_eq!(verdict(f64::NAN, None, None, "x2"), None);
    }

    #[test]
    fn the_expected_error_decides_if_it_is_known_of_most() {
        let row = |input: &str, loop_psnr, expected_psnr| Row {
            state: "done",
            loop_psnr: Some(loop_psnr),
            expected_psnr,
            ..Row::failed(Path::new(input), String::new())
        };
        let mut rows = vec![row("a", 50.0, Some(40.0)), row("b", 60.0, Some(30.0)), row("c", 40.0, Some(35.0))];
        let names = |rows: &[Row]| rows.iter().map(|row| row.input.clone()).collect::<String>();
        most_doubtful_first(&mut rows);
        assert_eq!((Certainty::of(&rows), names(&rows).as_str()), (Certainty::ExpectedPsnr, "bca"));
        // Decibels of two kinds do not mix.
        rows[0].expected_psnr = None;
        assert_eq!(Certainty::of(&rows), Certainty::ExpectedPsnr);
        rows[1].expected_psnr = None;
        most_doubtful_first(&mut rows);
        assert_eq!((Certainty::of(&rows), names(&rows).as_str()), (Certainty::LoopPsnr, "cab"));
    }
}
