//! What a compression reports, and its curves as a CSV file and for TensorBoard.

use std::{
    fs::{File, OpenOptions},
    io::Write,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::Instant,
};

use dualres_imaging::file::write_atomically;
use dualres_training::{Unusable, tensorboard};
use serde::{Deserialize, Serialize};

use crate::{
    Losses, Result,
    files::{EVENTS_FILE, unusable},
};

/// The stages of a compression, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stage {
    /// The sensitivity profile is measured.
    Profile,
    /// Channel-number search.
    Search,
    /// Channel selection.
    Select,
    /// The network is cut.
    Cut,
    /// Fine-tuning.
    Finetune,
}

impl Stage {
    /// Name of its curves, which is that of its rows.
    fn group(self) -> &'static str {
        match self {
            Self::Profile => "profile",
            Self::Search => "search",
            Self::Select => "select",
            Self::Cut => "cut",
            Self::Finetune => "finetune",
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Finetune => "fine-tune",
            other => other.group(),
        })
    }
}

/// A step that was done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StageProgress {
    /// Its stage.
    pub stage: Stage,
    /// Steps of the stage that are done.
    pub step: usize,
    /// Steps of the stage in all.
    pub steps: usize,
    /// Losses of the step; none where only something was measured.
    pub losses: Option<Losses>,
    /// Y-PSNR in dB, where something was validated: of validation patches while searching, of the validation pictures
    /// in fine-tuning, there in a report of its own after that of the step.
    pub psnr_y: Option<f64>,
    /// That of the original on the same patches or pictures, where it was measured.
    pub original_psnr_y: Option<f64>,
    /// Multiply-accumulates as a share of the original's, as far as decided.
    pub kept_macs: f64,
    /// Parameters as a share of the original's, as far as decided.
    pub kept_parameters: f64,
    /// Mean entropy of the choice of widths, 0 (decided) to 1 (nothing known); while searching.
    pub entropy: Option<f64>,
    /// Estimate of the time the stage still takes.
    pub seconds_left: Option<f64>,
}

/// What a run reports.
#[derive(Clone, Debug)]
pub enum Event<'a> {
    /// A stage begins, or goes on after `step` steps of an earlier session.
    Stage {
        /// Which.
        stage: Stage,
        /// Steps done before.
        step: usize,
        /// Steps in all.
        steps: usize,
    },
    /// A picture cannot be used and is left out.
    Unusable(Unusable),
    /// Something the user should know.
    Warning(String),
    /// Nothing new; time to say stop.
    Tick,
    /// A step was done.
    Step(StageProgress),
    /// How likely each candidate width of each prunable layer is, while searching.
    Alpha {
        /// Candidate widths of each prunable layer.
        candidates: &'a [Vec<usize>],
        /// Their probabilities.
        probabilities: &'a [Vec<f64>],
    },
    /// The widths are decided.
    Widths(&'a [usize]),
    /// The channels of a prunable layer are chosen.
    Unit {
        /// The prunable layer, in the order of [`crate::Layers`].
        unit: usize,
        /// Channels that stay, ascending.
        kept: &'a [usize],
        /// What each channel was judged by; its meaning is the method's. Empty if it does not judge.
        scores: &'a [f64],
    },
}

/// Told of everything; stops the run by `Break`, which saves and returns.
pub type Observer<'a> = &'a mut dyn FnMut(&Event<'_>) -> ControlFlow<()>;

/// A row of the curves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// The stage.
    pub stage: Stage,
    /// Step of the stage.
    pub step: usize,
    /// Sum of the primal terms in gray levels.
    pub primal: Option<f64>,
    /// Sum of the dual terms before weighting.
    pub dual: Option<f64>,
    /// Total loss.
    pub total: Option<f64>,
    /// Y-PSNR in dB, where validated.
    pub psnr_y: Option<f64>,
    /// Multiply-accumulates as a share of the original's.
    pub kept_macs: f64,
    /// Parameters as a share of the original's.
    pub kept_parameters: f64,
    /// Mean entropy of the choice of widths, 0 to 1.
    pub entropy: Option<f64>,
    /// Y-PSNR in dB of the original on the same patches or pictures, where measured; not in runs of earlier versions.
    #[serde(default)]
    pub original_psnr_y: Option<f64>,
    /// Seconds of the run, over all sessions.
    pub seconds: f64,
}

impl Row {
    /// The row of a step that was done after `seconds` of the run.
    pub fn of(progress: &StageProgress, seconds: f64) -> Self {
        Self {
            stage: progress.stage,
            step: progress.step,
            primal: progress.losses.map(|losses| losses.primal),
            dual: progress.losses.map(|losses| losses.dual),
            total: progress.losses.map(|losses| losses.total),
            psnr_y: progress.psnr_y,
            kept_macs: progress.kept_macs,
            kept_parameters: progress.kept_parameters,
            entropy: progress.entropy,
            seconds,
            original_psnr_y: progress.original_psnr_y,
        }
    }

    /// What TensorBoard is told, in a group a stage.
    fn scalars(&self, begun: f64) -> Vec<u8> {
        let values = [
            ("primal", self.primal),
            ("dual", self.dual),
            ("total", self.total),
            ("psnr_y", self.psnr_y),
            ("original_psnr_y", self.original_psnr_y),
            ("kept_macs", Some(self.kept_macs)),
            ("kept_parameters", Some(self.kept_parameters)),
            ("entropy", self.entropy),
        ];
        let stage = self.stage.group();
        let named: Vec<(String, f64)> =
            values.iter().filter_map(|&(name, value)| Some((format!("{stage}/{name}"), value?))).collect();
        let named = named.iter().map(|(name, value)| (name.as_str(), *value));
        tensorboard::scalars(begun + self.seconds, self.step, named)
    }
}

/// The curves of a run. Rows are appended as they come; those beyond the saved state of an interrupted run are dropped
/// when it goes on.
pub(crate) struct EventLog {
    path: PathBuf,
    file: File,
    /// The same for TensorBoard, in a run folder.
    tensorboard: Option<File>,
    /// When the run would have begun had it never been interrupted, in seconds since 1970.
    begun: f64,
    started: Instant,
    seconds_before: f64,
}

impl EventLog {
    /// Opens the curves of a run that stands before `step` of `stage`.
    pub(crate) fn open(path: &Path, stage: Stage, step: usize) -> Result<Self> {
        let rows = kept_rows(path, stage, step)?;
        let seconds_before = rows.last().map_or(0.0, |row| row.seconds);
        let mut writer = csv::Writer::from_writer(Vec::new());
        rows.iter().try_for_each(|row| writer.serialize(row)).map_err(|error| unusable(path, error))?;
        let mut bytes = writer.into_inner().map_err(|error| unusable(path, error))?;
        if rows.is_empty() {
            bytes = HEADER.as_bytes().to_vec();
        }
        write_atomically(path, &bytes)?;
        let append = |path: &Path| OpenOptions::new().append(true).open(path).map_err(|error| unusable(path, error));
        let file = append(path)?;
        let begun = tensorboard::time_before(seconds_before);
        let tensorboard = match path.file_name().is_some_and(|name| name == EVENTS_FILE) {
            true => {
                let beside = path.with_file_name(tensorboard::TENSORBOARD_FILE);
                let scalars = rows.iter().flat_map(|row| row.scalars(begun));
                let bytes: Vec<u8> = tensorboard::header(begun).into_iter().chain(scalars).collect();
                write_atomically(&beside, &bytes)?;
                Some(append(&beside)?)
            }
            false => None,
        };
        Ok(Self { path: path.to_owned(), file, tensorboard, begun, started: Instant::now(), seconds_before })
    }

    pub(crate) fn push(&mut self, progress: &StageProgress) -> Result<()> {
        let row = Row::of(progress, self.seconds());
        let mut writer = csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
        writer.serialize(&row).map_err(|error| unusable(&self.path, error))?;
        let line = writer.into_inner().map_err(|error| unusable(&self.path, error))?;
        self.file.write_all(&line).map_err(|error| unusable(&self.path, error))?;
        if let Some(file) = &mut self.tensorboard {
            file.write_all(&row.scalars(self.begun)).map_err(|error| unusable(&self.path, error))?;
        }
        Ok(())
    }

    /// Seconds of the run, over all sessions.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds_before + self.started.elapsed().as_secs_f64()
    }
}

const HEADER: &str = "stage,step,primal,dual,total,psnr_y,kept_macs,kept_parameters,entropy,original_psnr_y,seconds\n";

fn kept_rows(path: &Path, stage: Stage, step: usize) -> Result<Vec<Row>> {
    let mut rows = read_rows(path)?;
    rows.retain(|row| row.stage < stage || row.stage == stage && row.step <= step);
    Ok(rows)
}

/// All whole rows of the curves; a killed run may leave half a line.
pub(crate) fn read_rows(path: &Path) -> Result<Vec<Row>> {
    if !path.exists() {
        return Ok(Vec::new());
    }
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_path(path).map_err(|error| unusable(path, error))?;
    Ok(reader.deserialize::<Row>().map_while(std::result::Result::ok).collect())
}

/// Steps of a stage with the time they take.
pub(crate) struct Meter {
    stage: Stage,
    first: usize,
    steps: usize,
    started: Instant,
    pub(crate) kept_macs: f64,
    pub(crate) kept_parameters: f64,
}

impl Meter {
    pub(crate) fn new(stage: Stage, first: usize, steps: usize) -> Self {
        Self { stage, first, steps, started: Instant::now(), kept_macs: 1.0, kept_parameters: 1.0 }
    }

    /// The report of a step.
    pub(crate) fn step(&self, step: usize) -> StageProgress {
        let done = step.saturating_sub(self.first);
        let left = self.steps.saturating_sub(step) as f64;
        StageProgress {
            stage: self.stage,
            step,
            steps: self.steps,
            losses: None,
            psnr_y: None,
            original_psnr_y: None,
            kept_macs: self.kept_macs,
            kept_parameters: self.kept_parameters,
            entropy: None,
            seconds_left: (done > 0).then(|| self.started.elapsed().as_secs_f64() / done as f64 * left),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn rows_beyond_the_saved_state_and_half_lines_are_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.csv");
        let mut log = EventLog::open(&path, Stage::Profile, 0).unwrap();
        for (stage, steps) in [(Stage::Profile, 2), (Stage::Search, 5)] {
            for step in 1..=steps {
                let losses = Some(Losses { primal: 2.0, dual: 1.0, total: 2.1 });
                let meter = Meter::new(stage, 0, steps);
                log.push(&StageProgress { losses, ..meter.step(step) }).unwrap();
            }
        }
        log.file.write_all(b"search,6,1.0,2").unwrap();
        drop(log);
        drop(EventLog::open(&path, Stage::Search, 3).unwrap());
        let rows: Vec<Row> = csv::Reader::from_path(&path).unwrap().deserialize().map(|row| row.unwrap()).collect();
        let steps: Vec<_> = rows.iter().map(|row| (row.stage, row.step)).collect();
        let (p, s) = (Stage::Profile, Stage::Search);
        assert_eq!(steps, [(p, 1), (p, 2), (s, 1), (s, 2), (s, 3)]);
        assert!(std::fs::read_to_string(&path).unwrap().starts_with(HEADER));
    }
}
