//! What the command says while it works and at the end.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use serde::Serialize;
use serde_json::json;

use crate::{
    batch::outcome::{Certainty, Row, most_doubtful_first},
    report,
};

/// Pictures named at the end as those to look at first.
const NAMED: usize = 5;

/// Files of foreign kinds that are named on the terminal.
const MAX_FOREIGN: usize = 10;

/// One line of `--json`.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) input: &'a str,
    pub(super) output: &'a str,
    pub(super) input_size: [usize; 2],
    pub(super) output_size: [usize; 2],
    /// File to file.
    pub(super) seconds: f64,
    /// Output megapixels a second, file to file.
    pub(super) megapixels_per_s: f64,
    pub(super) device: &'a str,
    pub(super) model: &'a str,
    /// Why this model, if the picture decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) chosen_for: Option<&'a str>,
    /// Absent without dual models or for a perfect loop.
    pub(super) loop_psnr: Option<f64>,
    /// Absent for models whose errors are not known.
    pub(super) expected_psnr: Option<f64>,
}

pub(super) struct Say {
    json: bool,
    is_batch: bool,
    /// Pictures of this run.
    count: usize,
    /// Pictures of the whole batch, other shards included.
    total: usize,
    started: Instant,
}

impl Say {
    pub(super) fn new(json: bool, is_batch: bool, count: usize, total: usize) -> Self {
        Self { json, is_batch, count, total, started: Instant::now() }
    }

    pub(super) fn is_json(&self) -> bool {
        self.json
    }

    pub(super) fn total(&self) -> usize {
        self.total
    }

    /// A folder that could not be looked into.
    pub(super) fn problem(&self, problem: &str) {
        if self.json {
            report::line(&json!({ "error": problem }).to_string());
        } else {
            report::say(&format!("error: {problem}"));
        }
    }

    pub(super) fn failed(&self, input: &Path, error: &str) {
        if self.json {
            report::line(&json!({ "input": input.to_string_lossy(), "error": error }).to_string());
        } else {
            report::say(&format!("error: {error}"));
        }
    }

    /// What the user should know of a picture that was done.
    pub(super) fn warn(&self, input: &Path, warning: &str) {
        if self.json {
            report::line(&json!({ "input": input.to_string_lossy(), "warning": warning }).to_string());
        } else {
            report::say(&format!("warning: {warning}: {}", input.display()));
        }
    }

    pub(super) fn skipped(&self, input: &Path, row: &Row) {
        if self.json {
            let input = input.to_string_lossy();
            let (loop_psnr, expected_psnr) = (row.loop_psnr, row.expected_psnr);
            let object = json!({
                "input": input, "output": row.output, "skipped": true, "model": row.model,
                "loop_psnr": loop_psnr, "expected_psnr": expected_psnr,
            });
            report::line(&object.to_string());
        }
    }

    pub(super) fn done(&self, line: &Line<'_>) -> anyhow::Result<()> {
        if self.json {
            report::line(&serde_json::to_string(line)?);
            return Ok(());
        }
        let decibels =
            |name: &str, psnr: Option<f64>| psnr.map_or(String::new(), |psnr| format!(", {name} PSNR {psnr:.1} dB"));
        let proof = decibels("consistency", line.loop_psnr) + &decibels("predicted", line.expected_psnr);
        let chosen = line.chosen_for.map_or(String::new(), |why| format!(", model {} for {why}", line.model));
        let ([from_width, from_height], [width, height]) = (line.input_size, line.output_size);
        report::line(&format!(
            "{} -> {}: {from_width}x{from_height} -> {width}x{height} in {:.1} s on {}{chosen}{proof}",
            line.input, line.output, line.seconds, line.device,
        ));
        Ok(())
    }

    /// The end of a batch: numbers, failures with their reasons, and the pictures that kept least to their originals.
    pub(super) fn summary(&self, rows: &[Row], foreign: &[(PathBuf, &'static str)], problems: &[String]) {
        if !self.is_batch {
            return;
        }
        let of = |state: &str| rows.iter().filter(|row| row.state == state).count();
        let (done, skipped, failed) = (of("done"), of("skipped"), of("failed"));
        let left = self.count - rows.len();
        let seconds = self.started.elapsed().as_secs_f64();
        if self.json {
            let failures: Vec<_> = rows
                .iter()
                .filter(|row| row.state == "failed")
                .map(|row| json!({ "input": row.input, "error": row.error }))
                .collect();
            let not_read: Vec<_> = foreign
                .iter()
                .map(|(path, advice)| json!({ "input": path.to_string_lossy(), "advice": advice }))
                .collect();
            let summary = json!({ "summary": {
                "done": done, "skipped": skipped, "failed": failed, "left": left, "not_read": not_read,
                "folders_not_read": problems.len(), "problems": problems, "seconds": seconds, "failures": failures,
            } });
            report::line(&summary.to_string());
            return;
        }
        let mut text = format!("{done} done");
        for (count, what) in [
            (skipped, "already done"),
            (failed, "failed"),
            (left, "remaining; run the same command to resume"),
            (foreign.len(), "in unsupported formats"),
        ] {
            if count > 0 {
                text.push_str(&format!(", {count} {what}"));
            }
        }
        let others = self.total - self.count;
        let others =
            if others > 0 { format!("; {} in other shards", report::counted(others, "image")) } else { String::new() };
        report::line(&format!("{text} ({seconds:.1} s){others}"));
        problems.iter().for_each(|problem| report::say(&format!("skipped: {problem}")));
        if failed > 0 {
            report::say(&format!("{failed} of {} images failed:", self.count));
            rows.iter().filter(|row| row.state == "failed").for_each(|row| report::say(&format!("  {}", row.error)));
        }
        for (path, advice) in foreign.iter().take(MAX_FOREIGN) {
            report::say(&format!("not supported: {}: {advice}", path.display()));
        }
        if let Some(more) = foreign.len().checked_sub(MAX_FOREIGN).filter(|&more| more > 0) {
            report::say(&format!("not supported: {more} more; --json lists them all"));
        }
        let mut proven: Vec<Row> = rows.iter().filter(|row| row.loop_psnr.is_some()).cloned().collect();
        if proven.len() > NAMED {
            most_doubtful_first(&mut proven);
            let doubt = Certainty::of(&proven);
            report::line(match doubt {
                Certainty::ExpectedPsnr => "Check these first (lowest predicted PSNR):",
                Certainty::LoopPsnr => "Check these first (lowest consistency PSNR):",
            });
            let known = proven.iter().filter_map(|row| Some((doubt.decibels(row)?, row)));
            for (decibels, row) in known.take(NAMED) {
                report::line(&format!("  {decibels:5.1} dB  {}", row.output));
            }
        }
    }
}
