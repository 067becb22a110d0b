//! What came of a compression.

use serde::{Deserialize, Serialize};

use crate::{Losses, Method, Mode, layers::Layers};

/// One prunable layer of the result.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WidthRow {
    /// Name of the prunable layer.
    pub unit: String,
    /// Channels it has now.
    pub width: usize,
    /// Channels it had.
    pub full: usize,
}

/// What came of a compression. PSNR is that of the benchmarks on the validation pictures, see `rule`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the result.
    pub name: String,
    /// Name of the network that was compressed.
    pub original: String,
    /// How widths and channels were found.
    pub method: Method,
    /// What the ratio is of.
    pub mode: Mode,
    /// Share that was to be removed.
    pub ratio: f64,
    /// Weight of the dual loss in search and selection.
    pub lambda: [f64; 2],
    /// Seed.
    pub seed: u64,
    /// Multiply-accumulates of the original as it is run, for an input of [`MAC_INPUT`] squared.
    pub macs_before: u64,
    /// Those of the result.
    pub macs_after: u64,
    /// Share that is left.
    pub kept_macs_ratio: f64,
    /// Whether that is at most `1 - ratio`: held in budget mode; the published rule bounds widths instead.
    pub macs_within_ratio: bool,
    /// Whether the widths were given from elsewhere; method and mode then had no part in them.
    pub widths_given: bool,
    /// Parameters of the original, dual models not counted.
    pub params_before: u64,
    /// Those of the result.
    pub params_after: u64,
    /// Share that is left.
    pub kept_params_ratio: f64,
    /// Share of the channels in prunable layers that is left.
    pub kept_width_ratio: f64,
    /// Size of the original's file in bytes.
    pub bytes_before: u64,
    /// That of the result's.
    pub bytes_after: u64,
    /// Y-PSNR in dB of the original.
    pub psnr_before: f64,
    /// Of the network as it was cut, before fine-tuning.
    pub psnr_cut: f64,
    /// Of the result.
    pub psnr_after: f64,
    /// Consistency PSNR in dB of the original.
    pub loop_psnr_before: Option<f64>,
    /// That of the result.
    pub loop_psnr_after: Option<f64>,
    /// Largest difference between masked and cut network, as a share of the range of samples.
    pub cut_difference: f64,
    /// Dual regression loss at the end of the selection, if the method measures it.
    pub selection_losses: Option<Losses>,
    /// Mean entropy of the choice of widths at the end of the search, 0 (decided) to 1 (nothing learned).
    pub alpha_entropy: Option<f64>,
    /// Steps of fine-tuning that were asked for.
    #[serde(default)]
    pub finetune_steps: usize,
    /// Whether the result is the fine-tuned network: not with no steps of it, and not where it made the network worse.
    pub finetuned: bool,
    /// Whether the result learned from a larger network, and its file name.
    pub distilled_from: Option<String>,
    /// The prunable layers.
    pub width_table: Vec<WidthRow>,
    /// SHA-256 of names and contents of all pictures.
    pub data_hash: String,
    /// How PSNR was measured.
    pub rule: String,
    /// Pictures it was measured on.
    pub validation_pictures: usize,
    /// Side that they were cut to.
    pub validation_crop: Option<usize>,
    /// Seconds of the run, over all sessions.
    pub seconds: f64,
    /// What it takes on the device that the budget was one of, if it was one of time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<Times>,
}

/// Milliseconds, and shares of them, of a network that was cut for a device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// The device by name.
    pub device: String,
    /// Side in pixels of the input.
    pub side: usize,
    /// What it may take, as a share of the original's time: that of a machine is not the same every minute.
    pub budget: f64,
    /// What it was expected to take, by its widths, likewise.
    pub predicted: f64,
    /// What the original takes, run in turns with the result.
    pub before: f64,
    /// What the result takes.
    pub after: f64,
}

/// Shares of a network that widths keep.
#[derive(Clone, Debug)]
pub(crate) struct Kept {
    layers: Layers,
    macs: f64,
    parameters: f64,
}

impl Kept {
    pub(crate) fn of(layers: &Layers) -> Self {
        let (macs, parameters) = layers.cost(&layers.widths);
        Self { layers: layers.clone(), macs, parameters }
    }

    /// Shares of multiply-accumulates and parameters.
    pub(crate) fn shares(&self, widths: &[usize]) -> (f64, f64) {
        let (macs, parameters) = self.layers.cost(widths);
        (macs / self.macs, parameters / self.parameters)
    }
}

pub(crate) fn width_table(before: &Layers, widths: &[usize]) -> Vec<WidthRow> {
    let row = |(layer, (&width, &full)): (usize, (&usize, &usize))| WidthRow { unit: before.name(layer), width, full };
    widths.iter().zip(&before.widths).enumerate().map(row).collect()
}
