//! `evaluate`, `benchmark` and `plot`: quality, speed, and drawing them.

use std::path::PathBuf;

use clap::Args;

use super::{DegradationArg, PoolingArg};

/// Measure a model on a folder of high-resolution pictures
///
/// Inputs are made from the pictures by MATLAB-compatible bicubic reduction.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres evaluate --model x4 --hr Set5/HR
  dualres evaluate --model run/best.safetensors --hr val/ --json")]
pub(crate) struct EvaluateArgs {
    /// Model by name or file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) model: String,
    /// Folder of high-resolution pictures
    #[arg(long, value_name = "DIR")]
    pub(crate) hr: PathBuf,
    /// Scale that the model must have
    #[arg(long, value_name = "N")]
    pub(crate) scale: Option<usize>,
    /// Device: auto, cpu, gpu, or a part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// What channel attention averages over
    #[arg(long, value_enum, default_value_t = PoolingArg::Local)]
    pub(crate) pooling: PoolingArg,
    /// What is done to the inputs on top of bicubic reduction
    #[arg(long, value_enum, default_value_t = DegradationArg::None)]
    pub(crate) degradation: DegradationArg,
    /// Report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Draw curves and comparisons from CSV files, as SVG
///
/// Over a column of numbers (step) rows become curves, one for each value of --by (setting): the mean of rows of the same
/// number, with a band from the smallest to the largest. Over a column of names they become dots, with a line at their mean.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres plot run/metrics.csv --y validation_psnr_y -o psnr.svg
  dualres plot models/results/lambda.csv --y validation --names --y-label 'PSNR-Y in dB' -o lambda.svg")]
pub(crate) struct PlotArgs {
    /// CSV files with a line of column names
    #[arg(required = true, value_name = "FILE")]
    pub(crate) tables: Vec<PathBuf>,
    /// Column of the values
    #[arg(long, value_name = "COLUMN")]
    pub(crate) y: String,
    /// Column they are drawn over; step or setting if not given
    #[arg(long, value_name = "COLUMN")]
    pub(crate) x: Option<String>,
    /// Column that names the curves; setting if there is one
    #[arg(long, value_name = "COLUMN")]
    pub(crate) by: Option<String>,
    /// Take numbers in that column for names, each with dots of its own
    #[arg(long)]
    pub(crate) names: bool,
    /// What to write above
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// What to write below instead of the column's name
    #[arg(long, value_name = "TEXT")]
    pub(crate) x_label: Option<String>,
    /// What to write beside the values instead of the column's name
    #[arg(long, value_name = "TEXT")]
    pub(crate) y_label: Option<String>,
    /// File to write (.svg)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Replace it if it exists
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// Compare models in time and memory
///
/// Models run in turns on the same picture, after a first run of each. Memory is that of a process of its own.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres benchmark --model x2
  dualres benchmark --model x2 --model x2-50.safetensors --size 1024x768 --runs 10 --json")]
pub(crate) struct BenchmarkArgs {
    /// Model by name or file; may be given several times, the first is compared with
    #[arg(long, required = true, value_name = "NAME|FILE")]
    pub(crate) model: Vec<String>,
    /// Device: auto, cpu, gpu, or a part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Size of the picture that is enlarged
    #[arg(long, value_name = "WxH", default_value = "512x512", value_parser = crate::commands::size)]
    pub(crate) size: (usize, usize),
    /// Runs of each model that are measured
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10000))]
    pub(crate) runs: u32,
    /// Take the way back through the dual models as well
    #[arg(long)]
    pub(crate) proof: bool,
    /// Measure memory alone, in this process
    #[arg(long, hide = true)]
    pub(crate) memory_only: bool,
    /// Report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
