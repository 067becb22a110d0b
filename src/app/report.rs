//! What the program says and how it exits.

mod streams;

use std::process::ExitCode;

use dualres_imaging::caught;
use dualres_training::Unusable;
pub(crate) use dualres_training::about;
pub(crate) use streams::{has_failed, line, one_line, say};

use crate::{
    hints,
    language::{number, tr},
};

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Everything was done.
    Done,
    /// Something failed or was cancelled.
    Failed,
    /// The command made no sense.
    Misused,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Failed => 1,
            Outcome::Misused => 2,
        })
    }
}

impl Outcome {
    /// The outcome that an error stands for.
    pub(crate) fn of(error: &anyhow::Error) -> Self {
        if error.is::<Misuse>() { Self::Misused } else { Self::Failed }
    }
}

/// A command that makes no sense; exits with 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Misuse(pub(crate) String);

/// The error, its causes and the way out in one line. Causes that an error has quoted already are not repeated.
pub(crate) fn message(error: &anyhow::Error) -> String {
    let said = error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        _ if said.contains(&cause) => said,
        // A path alone, which the cause names as well.
        _ if cause.contains(&said) => cause,
        _ => format!("{said}: {cause}"),
    });
    let said = match hints::of(error) {
        Some(hint) => format!("{said}; {hint}"),
        None => said,
    };
    one_line(&said).into_owned()
}

/// Runs work on one picture. A decoder that panics on a hostile file must not end a batch: the picture has failed.
///
/// # Errors
/// Those of the work, or what a panic said.
pub(crate) fn guarded<T>(work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    caught(work).unwrap_or_else(|said| anyhow::bail!("internal error ({said})"))
}

/// Pictures that a command could not use. Each is named at once, and all once more at the end.
#[derive(Default)]
pub(crate) struct LeftOut(Vec<Unusable>);

impl LeftOut {
    /// Says that a picture is left out, above `bar`.
    pub(crate) fn add(&mut self, unusable: &Unusable, bar: &indicatif::ProgressBar) {
        // One may be among the pictures to train on and those to validate with.
        if self.0.iter().any(|known| known.path == unusable.path) {
            return;
        }
        bar.suspend(|| say(&format!("error: skipped: {}", about(&unusable.path, &unusable.reason))));
        self.0.push(unusable.clone());
    }

    /// Lists them. The command has failed if there are any, whatever else it came to.
    pub(crate) fn end(self, outcome: Outcome) -> Outcome {
        let Self(all) = self;
        if all.is_empty() {
            return outcome;
        }
        say(&format!("{} could not be used:", counted(all.len(), "image")));
        all.iter().for_each(|picture| say(&format!("  {}", about(&picture.path, &picture.reason))));
        Outcome::Failed
    }
}

/// Tells the user of an error.
pub(crate) fn error(error: &anyhow::Error) {
    say(&format!("error: {}", message(error)));
}

/// Standard output is to be read by programs.
pub(crate) fn for_programs(json: bool) {
    streams::speaks_json(json);
}

/// A number of things: 1 image, 2 images.
pub(crate) fn counted(count: usize, thing: &str) -> String {
    match count {
        1 => format!("1 {thing}"),
        _ => format!("{count} {thing}s"),
    }
}

/// A number of decibels for JSON, where infinity (a perfect match) does not exist.
pub(crate) fn finite(value: Option<f64>) -> Option<f64> {
    value.filter(|v| v.is_finite())
}

/// That a picture was run in parts by a network whose result depends on where they lie, by `seam` gray levels.
pub(crate) fn parted(parts: usize, seam: f32) -> String {
    tr!(
        "run in %{parts} tiles, whose seams may be visible with this network (up to %{seam} gray levels)",
        parts = parts,
        seam = number(seam, 0)
    )
}
