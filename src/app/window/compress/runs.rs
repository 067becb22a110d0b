//! The runs there are: waiting, under way, stopped and done.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::SystemTime,
};

use dualres_compression::{Alpha, CompressConfig, History, Layers, Mode, Report, Row, Stage};
use dualres_network::Description;
use serde::{Deserialize, Serialize};

use super::{
    curves::{Curves, Metric},
    latency::{Latency, RUN_SIDE},
};
use crate::language::tr;

/// A run in the list, for as long as the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RunId(pub u64);

/// How far a run is.
#[derive(Clone, Debug, PartialEq)]
pub enum RunState {
    /// It has its turn later.
    Waiting,
    /// It is under way.
    Running,
    /// It was stopped and can be gone on with.
    Stopped,
    /// It is finished.
    Done,
    /// It could not go on.
    Failed(String),
}

impl RunState {
    /// A word for it.
    pub(crate) fn word(&self) -> String {
        match self {
            Self::Waiting => tr!("waiting"),
            Self::Running => tr!("running"),
            Self::Stopped => tr!("stopped"),
            Self::Done => tr!("done"),
            Self::Failed(_) => tr!("failed"),
        }
    }
}

/// A compression run.
#[derive(Clone, Debug)]
pub struct Run {
    /// What to call it in jobs and reports.
    pub id: RunId,
    /// Its folder.
    pub folder: PathBuf,
    /// Name of the model in the library that it begins from; only needed until it has begun.
    pub(crate) model: String,
    /// Settings.
    pub config: CompressConfig,
    /// The network that is compressed.
    pub original: Description,
    /// Its layers that can be made narrower.
    pub layers: Layers,
    /// How far it is.
    pub state: RunState,
    pub(crate) curves: Curves,
    pub(crate) alpha: Option<Alpha>,
    /// Widths that were decided.
    pub(crate) widths: Option<Vec<usize>>,
    /// Channels that stay, of the prunable layers that are selected.
    pub(crate) kept: Vec<Vec<usize>>,
    /// What the channels of those prunable layers were judged by.
    pub(crate) scores: Vec<Vec<f64>>,
    /// What came of it.
    pub report: Option<Report>,
    pub(crate) latency: Option<Latency>,
    /// Estimate of the seconds that the stage still takes.
    pub(crate) left: Option<f64>,
    /// What it had to say, the newest last.
    pub(crate) warnings: Vec<String>,
    pub(crate) changed: SystemTime,
}

/// File of a run folder with what the window measured.
const LATENCY_FILE: &str = "latency.json";

impl Run {
    /// A run that has not begun.
    pub(crate) fn new(
        id: RunId,
        folder: PathBuf,
        model: String,
        config: CompressConfig,
        original: Description,
    ) -> Self {
        Self {
            id,
            folder,
            model,
            layers: config.layers(&original),
            config,
            original,
            state: RunState::Waiting,
            curves: Curves::default(),
            alpha: None,
            widths: None,
            kept: Vec::new(),
            scores: Vec::new(),
            report: None,
            latency: None,
            left: None,
            warnings: Vec::new(),
            changed: SystemTime::now(),
        }
    }

    /// Takes over what the folder says.
    pub(crate) fn recall(&mut self, recalled: Recalled) {
        let Recalled { history, latency, changed } = recalled;
        let units = history.layers.widths.len();
        self.curves = Curves::of(&history.rows, &history.config, units);
        self.config = history.config;
        self.original = history.original;
        self.layers = history.layers;
        self.alpha = history.alpha;
        self.widths = history.widths;
        (self.kept, self.scores) = (history.kept, history.scores);
        self.report = history.report;
        (self.latency, self.changed) = (latency, changed);
        if !matches!(self.state, RunState::Running | RunState::Waiting | RunState::Failed(_)) || self.report.is_some() {
            self.state = if self.report.is_some() { RunState::Done } else { RunState::Stopped };
        }
    }

    /// Whether anything of it was reported.
    pub fn has_curves(&self) -> bool {
        !self.curves.bands.is_empty()
    }

    /// What to call it.
    pub fn name(&self) -> &str {
        &self.config.name
    }

    /// The stage that is under way or was last.
    pub(crate) fn stage(&self) -> Option<Stage> {
        self.curves.bands.last().map(|band| band.stage)
    }

    /// Widths of the result, as far as decided: the report's, else those that were decided.
    pub(crate) fn result_widths(&self) -> Option<Vec<usize>> {
        let reported = self.report.as_ref().map(|report| report.width_table.iter().map(|row| row.width).collect());
        reported.or_else(|| self.widths.clone())
    }

    pub(crate) fn push(&mut self, row: &Row) {
        self.curves.push(row);
        self.changed = SystemTime::now();
    }

    /// Share of multiply-accumulates that is kept, as far as known.
    pub(crate) fn kept_macs(&self) -> Option<f64> {
        let reported = self.report.as_ref().map(|report| report.kept_macs_ratio);
        reported.or_else(|| Some(self.curves.get(Metric::Macs).last()?.value / 100.0))
    }
}

/// What a run folder says.
#[derive(Debug)]
pub(crate) struct Recalled {
    pub(crate) history: History,
    pub(crate) latency: Option<Latency>,
    pub(crate) changed: SystemTime,
}

/// Reads a run folder; `None` if there is no run in it.
pub(crate) fn recall(folder: &Path) -> anyhow::Result<Option<Recalled>> {
    let Some(history) = History::read(folder)? else { return Ok(None) };
    // Of no importance: it can be measured again.
    let latency = std::fs::read(folder.join(LATENCY_FILE)).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let latency = latency.filter(|latency: &Latency| latency.side == RUN_SIDE);
    let dated = |name: &str| std::fs::metadata(folder.join(name)).and_then(|facts| facts.modified()).ok();
    let changed = dated(dualres_compression::EVENTS_FILE).or_else(|| dated(dualres_compression::CONFIG_FILE));
    Ok(Some(Recalled { history, latency, changed: changed.unwrap_or(SystemTime::UNIX_EPOCH) }))
}

/// Keeps what was measured with the run.
pub(crate) fn keep_latency(folder: &Path, latency: &Latency) -> anyhow::Result<()> {
    crate::window::stored::write(&folder.join(LATENCY_FILE), latency)
}

/// Deletes what [`keep_latency`] wrote.
pub(crate) fn forget_latency(folder: &Path) {
    // It need not be there, and what cannot be deleted keeps the folder, no more.
    let _ = std::fs::remove_file(folder.join(LATENCY_FILE));
}

/// All runs.
#[derive(Debug, Default)]
pub struct Runs {
    runs: BTreeMap<RunId, Run>,
    next: u64,
}

impl Runs {
    /// A number for a new run.
    pub(crate) fn number(&mut self) -> RunId {
        self.next += 1;
        RunId(self.next)
    }

    pub(crate) fn add(&mut self, run: Run) {
        self.runs.insert(run.id, run);
    }

    /// The run.
    pub fn get(&self, id: RunId) -> Option<&Run> {
        self.runs.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: RunId) -> Option<&mut Run> {
        self.runs.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: RunId) -> Option<Run> {
        self.runs.remove(&id)
    }

    /// All runs, the oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.values()
    }

    /// The run of a folder.
    pub(crate) fn of_folder(&self, folder: &Path) -> Option<RunId> {
        let same = |run: &&Run| {
            run.folder == folder
                || matches!((run.folder.canonicalize(), folder.canonicalize()), (Ok(a), Ok(b)) if a == b)
        };
        self.runs.values().find(same).map(|run| run.id)
    }

    /// The run that is under way.
    pub fn running(&self) -> Option<&Run> {
        self.runs.values().find(|run| run.state == RunState::Running)
    }

    /// The run whose turn is next.
    pub(crate) fn next_waiting(&self) -> Option<RunId> {
        self.runs.values().find(|run| run.state == RunState::Waiting).map(|run| run.id)
    }
}

/// What the table says of a run, and is ordered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Column {
    Name,
    Method,
    Mode,
    Ratio,
    Lambda,
    Seed,
    Macs,
    Parameters,
    Cut,
    Psnr,
    Change,
    Loop,
    Milliseconds,
    Duration,
    State,
    Date,
}

impl Column {
    /// All of them, from left to right: title, meaning, and width in points.
    pub(crate) const ALL: [(Self, &'static str, &'static str, f32); 16] = [
        (Self::Name, "Run", "Name of the run and of its network", 130.0),
        (Self::Method, "Method", "How widths and channels were found", 66.0),
        (Self::Mode, "Mode", "What the ratio is a budget of", 58.0),
        (Self::Ratio, "Ratio", "Fraction to remove", 46.0),
        (Self::Lambda, "Lambda", "Weight of the dual loss in the search", 52.0),
        (Self::Seed, "Seed", "Seed of everything random", 40.0),
        (Self::Macs, "MACs", "Multiply-accumulates that are left", 52.0),
        (Self::Parameters, "Params", "Parameters that are left", 54.0),
        (Self::Cut, "Cut", "Y-PSNR on the validation pictures before fine-tuning, in dB", 52.0),
        (Self::Psnr, "PSNR", "Y-PSNR on the validation pictures, in dB", 52.0),
        (Self::Change, "Change", "PSNR minus that of the original on the same pictures, in dB", 56.0),
        (Self::Loop, "Consistency", "Consistency PSNR on the validation images, in dB", 62.0),
        (
            Self::Milliseconds,
            "Time",
            "Milliseconds for an input of 512 x 512, and how many times as fast as the original",
            96.0,
        ),
        (Self::Duration, "Duration", "Time that the run took", 60.0),
        (Self::State, "State", "How far the run is", 60.0),
        (Self::Date, "Age", "When the run went on last", 72.0),
    ];

    /// What it says of a run as a number, if it is one and known.
    pub(crate) fn number(self, run: &Run) -> Option<f64> {
        let report = run.report.as_ref();
        match self {
            Self::Ratio => Some(run.config.ratio),
            Self::Lambda => Some(run.config.search.lambda),
            Self::Seed => Some(run.config.seed as f64),
            Self::Macs => run.kept_macs(),
            Self::Parameters => report.map(|report| report.kept_params_ratio),
            Self::Cut => report.map(|report| report.psnr_cut),
            Self::Psnr => report.map(|report| report.psnr_after),
            Self::Change => report.map(|report| report.psnr_after - report.psnr_before),
            Self::Loop => report.and_then(|report| report.loop_psnr_after),
            Self::Milliseconds => run.latency.as_ref().map(|latency| latency.compressed),
            Self::Duration => Some(run.curves.seconds).filter(|&seconds| seconds > 0.0),
            Self::Date => run.changed.duration_since(SystemTime::UNIX_EPOCH).ok().map(|at| at.as_secs_f64()),
            Self::Name | Self::Method | Self::Mode | Self::State => None,
        }
    }

    /// What it says of a run where that is no number.
    pub(crate) fn word(self, run: &Run) -> String {
        match self {
            Self::Method => super::choices::method_label(run.config.method),
            Self::Mode => match run.config.mode {
                Mode::Budget => tr!("the network"),
                Mode::Paper => tr!("each layer"),
            },
            Self::State => run.state.word(),
            _ => run.name().to_owned(),
        }
    }
}

/// The runs whose name, model or method has all words of `filter`, in the order of a column.
pub(crate) fn listed(runs: &Runs, filter: &str, column: Column, descending: bool) -> Vec<RunId> {
    let words: Vec<String> = filter.split_whitespace().map(str::to_lowercase).collect();
    let matches = |run: &&Run| {
        let text = format!(
            "{} {} {} {} {}",
            run.name(),
            run.original.name,
            super::choices::method_label(run.config.method),
            run.state.word(),
            tr!("seed %{seed}", seed = run.config.seed)
        );
        let text = text.to_lowercase();
        words.iter().all(|word| text.contains(word.as_str()))
    };
    let word = |run: &Run| column.word(run).to_lowercase();
    let mut found: Vec<&Run> = runs.iter().filter(matches).collect();
    found.sort_by(|a, b| {
        let order = match (column.number(a), column.number(b)) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            // What is not known comes last, whichever way.
            (Some(_), None) => return std::cmp::Ordering::Less,
            (None, Some(_)) => return std::cmp::Ordering::Greater,
            (None, None) => word(a).cmp(&word(b)),
        };
        if descending { order.reverse() } else { order }
    });
    found.into_iter().map(|run| run.id).collect()
}

/// Of points `(cost, quality)` those that no other point is better than in both, by cost.
pub(crate) fn pareto(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut sorted: Vec<(f64, f64)> = points.iter().copied().filter(|(x, y)| x.is_finite() && y.is_finite()).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(b.1.total_cmp(&a.1)));
    let mut front: Vec<(f64, f64)> = Vec::new();
    for point in sorted {
        if front.last().is_none_or(|last| point.1 > last.1) {
            front.push(point);
        }
    }
    front
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_is_what_nothing_beats() {
        let points = [(50.0, 31.0), (30.0, 30.0), (50.0, 30.9), (70.0, 30.5), (90.0, 31.5), (f64::NAN, 99.0)];
        assert_eq!(pareto(&points), [(30.0, 30.0), (50.0, 31.0), (90.0, 31.5)]);
        assert!(pareto(&[]).is_empty());
    }
}
