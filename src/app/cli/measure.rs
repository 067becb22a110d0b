//! `evaluate`, `benchmark` and `plot`: quality, speed, and drawing them.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use dualres_network::device::GpuKernels;

use super::{DegradationArg, PoolingArg};

/// Measure a model on a folder of high-resolution images
///
/// Inputs are made by MATLAB-compatible bicubic downsampling, or by --degradation.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres evaluate --model x4 --hr Set5/HR
  dualres evaluate --model run/best.safetensors --hr val/ --json")]
pub(crate) struct EvaluateArgs {
    /// Model by name or file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) model: String,
    /// Folder of high-resolution images
    #[arg(long, value_name = "DIR")]
    pub(crate) hr: PathBuf,
    /// Required scale of the model
    #[arg(long, value_name = "N")]
    pub(crate) scale: Option<usize>,
    /// Device: auto, cpu, gpu, or part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// What channel attention averages over
    #[arg(long, value_enum, default_value_t = PoolingArg::Local)]
    pub(crate) pooling: PoolingArg,
    /// How inputs are made: none (bicubic), photo (random blur, noise and JPEG), or a list of nearest or blur=SIGMA (in
    /// high-resolution pixels), noise=SIGMA and jpeg=QUALITY
    #[arg(long, value_name = "HOW", default_value = "none")]
    pub(crate) degradation: DegradationArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Plot CSV files as SVG
///
/// Over a numeric column (step), rows become curves, one per value of --by (setting): the mean of rows with the same x, with
/// a band from minimum to maximum. Over a column of names, rows become dots, with a line at their mean.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres plot run/metrics.csv --y validation_psnr_y -o psnr.svg
  dualres plot models/results/lambda.csv --y validation --names --y-label 'PSNR-Y in dB' -o lambda.svg")]
pub(crate) struct PlotArgs {
    /// CSV files with a header line
    #[arg(required = true, value_name = "FILE")]
    pub(crate) tables: Vec<PathBuf>,
    /// Column of y values
    #[arg(long, value_name = "COLUMN")]
    pub(crate) y: String,
    /// Column of x values [default: step or setting]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) x: Option<String>,
    /// Column that groups rows into curves [default: setting, if present]
    #[arg(long, value_name = "COLUMN")]
    pub(crate) by: Option<String>,
    /// Treat numbers of the x column as names
    #[arg(long)]
    pub(crate) names: bool,
    /// Title
    #[arg(long, value_name = "TEXT")]
    pub(crate) title: Option<String>,
    /// Label of the x axis [default: name of the column]
    #[arg(long, value_name = "TEXT")]
    pub(crate) x_label: Option<String>,
    /// Label of the y axis [default: name of the column]
    #[arg(long, value_name = "TEXT")]
    pub(crate) y_label: Option<String>,
    /// Output file (.svg)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Overwrite an existing file
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// Compare time and memory of models
///
/// Models alternate on the same image, after a warm-up run each. Memory is measured in a separate process.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres benchmark --model x2
  dualres benchmark --model x2 --model x2-50.safetensors --size 1024x768 --runs 10 --json")]
pub(crate) struct BenchmarkArgs {
    /// Model by name or file; repeat to compare with the first
    #[arg(long, required = true, value_name = "NAME|FILE")]
    pub(crate) model: Vec<String>,
    /// Device: auto, cpu, gpu, or part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Size of the input
    #[arg(long, value_name = "WxH", default_value = "512x512", value_parser = crate::commands::size)]
    pub(crate) size: (usize, usize),
    /// Measured runs per model
    #[arg(long, value_name = "K", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=10000))]
    pub(crate) runs: u32,
    /// Precision on GPUs
    #[arg(long, value_enum, default_value_t = super::PrecisionArg::Auto)]
    pub(crate) precision: super::PrecisionArg,
    /// Convolution kernels on GPUs
    #[arg(long, value_enum, default_value_t = GpuKernelsArg::Auto)]
    pub(crate) gpu_kernels: GpuKernelsArg,
    /// Include the dual reconstruction
    #[arg(long)]
    pub(crate) proof: bool,
    /// Measure memory only, in this process
    #[arg(long, hide = true)]
    pub(crate) memory_only: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which kernels run convolutions on GPUs.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum GpuKernelsArg {
    /// Whichever is faster for a layer
    Auto,
    /// Those of this program
    Own,
    /// Those of the tensor library
    Library,
}

impl From<GpuKernelsArg> for GpuKernels {
    fn from(kernels: GpuKernelsArg) -> Self {
        match kernels {
            GpuKernelsArg::Auto => Self::Timed,
            GpuKernelsArg::Own => Self::Own,
            GpuKernelsArg::Library => Self::Library,
        }
    }
}
