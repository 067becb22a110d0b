//! What a run folder says of a run, finished or not: for those who show runs without running them.

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use dualres_network::{Description, Model};

use crate::{
    Alpha, CompressConfig, Layers, Report, Result, Row, Stage,
    events::read_rows,
    files::{CONFIG_FILE, CUT_REPORT_FILE, EVENTS_FILE, ORIGINAL_FILE, REPORT_FILE, load_json},
    run::{Begun, channels_in_place, decided_widths},
    search,
    selection::{self, Choice},
};

/// A run as its folder tells it.
#[derive(Clone, Debug)]
pub struct History {
    /// The folder.
    pub folder: PathBuf,
    /// Settings.
    pub config: CompressConfig,
    /// The network that is compressed.
    pub original: Description,
    /// Its prunable layers.
    pub layers: Layers,
    /// The curves.
    pub rows: Vec<Row>,
    /// How likely each width is, at the last save of the search.
    pub alpha: Option<Alpha>,
    /// Widths, once decided.
    pub widths: Option<Vec<usize>>,
    /// Channels that stay, of the prunable layers that are selected; ascending.
    pub kept: Vec<Vec<usize>>,
    /// What each channel of those prunable layers was judged by; empty where the method does not judge.
    pub scores: Vec<Vec<f64>>,
    /// Whether the network is cut and measured.
    pub is_cut: bool,
    /// What came of it, if the run is finished.
    pub report: Option<Report>,
}

impl History {
    /// Reads what `folder` says; `None` if there is no run in it.
    ///
    /// # Errors
    /// If its files are damaged.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let Some(Begun { config, .. }) = load_json::<Begun>(&folder.join(CONFIG_FILE))? else { return Ok(None) };
        let original = Model::read(&folder.join(ORIGINAL_FILE), &Device::flex())?.description;
        let rows = read_rows(&folder.join(EVENTS_FILE))?;
        let layers = Layers::of(&original.network, config.streams);
        let alpha = search::read_alpha(folder, &config, &layers)?;
        let Choice { mut kept, mut scores } = selection::read_choice(folder)?;
        if let Some(channels) = channels_in_place(folder)? {
            // The profile judges channels by numbers of its own.
            scores.iter_mut().for_each(Vec::clear);
            kept = channels;
        }
        Ok(Some(Self {
            folder: folder.to_owned(),
            widths: decided_widths(folder)?,
            is_cut: folder.join(CUT_REPORT_FILE).exists(),
            report: load_json(&folder.join(REPORT_FILE))?,
            config,
            original,
            layers,
            rows,
            alpha,
            kept,
            scores,
        }))
    }

    /// The stage that the run is in or comes to next; `None` if it is finished.
    pub fn stage(&self) -> Option<Stage> {
        if self.report.is_some() {
            return None;
        }
        let reached = self.rows.last().map_or(Stage::Profile, |row| row.stage);
        let next = match () {
            () if self.is_cut => Stage::Finetune,
            () if self.kept.len() == self.layers.len() => Stage::Cut,
            () if self.widths.is_some() => Stage::Select,
            () => reached,
        };
        Some(next.max(reached))
    }

    /// Seconds of work so far.
    pub fn seconds(&self) -> f64 {
        self.report.as_ref().map(|report| report.seconds).or(self.rows.last().map(|row| row.seconds)).unwrap_or(0.0)
    }
}
