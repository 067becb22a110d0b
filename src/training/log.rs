//! The curves of a run as a CSV file, and beside it for TensorBoard.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::{Result, TrainingError, Validation, tensorboard};

/// One row: means since the row before.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Row {
    /// Steps done.
    pub(crate) step: usize,
    pub(crate) lr: f64,
    /// Total loss in gray levels.
    pub(crate) loss: f64,
    /// Sum of the primal terms.
    pub(crate) primal: f64,
    /// Sum of the dual terms before weighting; empty without dual loss.
    pub(crate) dual: Option<f64>,
    /// Norm of the primal network's gradient before clipping.
    pub(crate) gradient_norm: f64,
    pub(crate) images_per_second: f64,
    /// Y-PSNR of the averaged weights on the validation pictures, where validated.
    pub(crate) validation_psnr_y: Option<f64>,
    /// Consistency PSNR on the validation pictures, where validated with dual models that are trained.
    pub(crate) validation_loop_psnr: Option<f64>,
    /// Seconds of training, over all sessions.
    pub(crate) seconds: f64,
    /// Dual term before weighting of the pictures without truth; empty without any.
    #[serde(default)]
    pub(crate) unpaired: Option<f64>,
}

impl Row {
    /// What TensorBoard shows.
    fn scalars(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let always = [
            ("train/loss", self.loss),
            ("train/primal", self.primal),
            ("train/lr", self.lr),
            ("train/gradient_norm", self.gradient_norm),
            ("train/images_per_second", self.images_per_second),
        ];
        let sometimes = [
            ("train/dual", self.dual),
            ("train/unpaired", self.unpaired),
            ("validation/psnr_y", self.validation_psnr_y),
            ("validation/loop_psnr", self.validation_loop_psnr),
        ];
        always.into_iter().chain(sometimes.into_iter().filter_map(|(name, value)| Some((name, value?))))
    }
}

/// The log of a run, kept in memory and written whole.
pub(crate) struct Log {
    path: PathBuf,
    rows: Vec<Row>,
    /// When the run would have begun had it never been interrupted, in seconds since 1970.
    begun: f64,
}

impl Log {
    /// Opens the log of a run that goes on after `step`; rows of steps that were lost are dropped.
    pub(crate) fn open(path: &Path, step: usize) -> Result<Self> {
        let mut rows = Vec::new();
        if step > 0 && path.exists() {
            let unreadable =
                |error: csv::Error| TrainingError::RunFile { path: path.to_owned(), reason: error.to_string() };
            let mut reader = csv::Reader::from_path(path).map_err(unreadable)?;
            rows = reader.deserialize().collect::<std::result::Result<Vec<Row>, _>>().map_err(unreadable)?;
            rows.retain(|row| row.step <= step);
        }
        let begun = tensorboard::time_before(rows.last().map_or(0.0, |row| row.seconds));
        Ok(Self { path: path.to_owned(), rows, begun })
    }

    pub(crate) fn push(&mut self, row: Row) {
        self.rows.push(row);
    }

    /// Adds a validation that came after the row of its step was written.
    pub(crate) fn validated(&mut self, step: usize, validation: Option<Validation>) {
        if let Some(row) = self.rows.last_mut().filter(|row| row.step == step) {
            row.validation_psnr_y = validation.map(|validation| validation.psnr_y);
            row.validation_loop_psnr = validation.and_then(|validation| validation.loop_psnr);
        }
    }

    pub(crate) fn write(&self) -> Result<()> {
        let unwritable = |reason: String| TrainingError::RunFile { path: self.path.clone(), reason };
        let mut writer = csv::Writer::from_writer(Vec::new());
        for row in &self.rows {
            writer.serialize(row).map_err(|error| unwritable(error.to_string()))?;
        }
        let bytes = writer.into_inner().map_err(|error| unwritable(error.to_string()))?;
        dualres_imaging::file::write_atomically(&self.path, &bytes)?;
        let mut events = tensorboard::header(self.begun);
        for row in &self.rows {
            events.extend(tensorboard::scalars(self.begun + row.seconds, row.step, row.scalars()));
        }
        Ok(dualres_imaging::file::write_atomically(&self.path.with_file_name(tensorboard::TENSORBOARD_FILE), &events)?)
    }
}
