//! `models`: the library, other formats, expected errors.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{DegradationArg, PoolingArg};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List the models inside the program and those imported in the window
    #[command(after_help = "Example:\n  dualres models list --json")]
    List {
        /// Report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a model is: network, cost, training, measures, licence
    #[command(after_help = "Examples:\n  dualres models show x4\n  dualres models show run/best.safetensors --json")]
    Show {
        /// Model by name or file
        #[arg(value_name = "NAME|FILE")]
        model: String,
        /// Report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a model for other programs: ONNX for any runtime, or a model file of our own
    ///
    /// Pictures are [batch, 3, height, width] of RGB in [0, 255], with any batch, height and width; results are neither
    /// clamped nor rounded.
    #[command(after_help = "Examples:
  dualres models export x4 --format onnx -o x4.onnx
  dualres models export x4 --format onnx --part way-back -o x4-dual.onnx
  dualres models export x2 --format safetensors -o x2.safetensors")]
    Export {
        /// Model by name or file
        #[arg(value_name = "NAME|FILE")]
        model: String,
        /// Kind of file; told from the end of its name if not given
        #[arg(long, value_enum)]
        format: Option<ExportFormat>,
        /// File to write, replaced if it exists
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// For ONNX of the upscaler: what channel attention averages over [default: local]
        #[arg(long, value_enum)]
        pooling: Option<PoolingArg>,
        /// For ONNX: which of the networks
        #[arg(long, value_enum, default_value_t = ExportPart::Upscaler)]
        part: ExportPart,
    },
    /// Measure how large a model's errors are on pictures with a known truth, so that it can tell what to expect
    ///
    /// Training and compression do so at their end; this is for models from elsewhere. The file is written anew.
    #[command(after_help = "Examples:
  dualres models calibrate drn-s-x4.safetensors --hr photos/
  dualres models calibrate photo-x2.safetensors --hr photos/ --degradation photo")]
    Calibrate {
        /// Model file
        file: PathBuf,
        /// Folders of high-resolution pictures
        #[arg(long, num_args = 1.., value_name = "DIR", required = true)]
        hr: Vec<PathBuf>,
        /// What is done to the inputs on top of bicubic reduction
        #[arg(long, value_enum, default_value_t = DegradationArg::None)]
        degradation: DegradationArg,
        /// Device: auto, cpu, gpu, or a part of its name
        #[arg(long, value_name = "DEVICE", default_value = "auto")]
        device: String,
    },
    /// Convert an official DRN checkpoint (.pt) to a model file
    #[command(after_help = "Examples:
  dualres models import DRNS4x.pt -o drn-s-x4.safetensors
  dualres models import DRNS4x.pt --dual DRNS4x_dual_model.pt -o drn-s-x4.safetensors")]
    Import {
        /// Checkpoint of the primal network
        file: PathBuf,
        /// Checkpoint of the dual models
        #[arg(long, value_name = "FILE")]
        dual: Option<PathBuf>,
        /// Model file to write
        #[arg(short, long, value_name = "OUT")]
        output: PathBuf,
        /// Licence of the weights, for the description
        #[arg(long, default_value = "unknown")]
        licence: String,
    },
}

/// Files that models are written as.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Open Neural Network Exchange, operators of version 17
    Onnx,
    /// Model file of this program
    Safetensors,
}

/// Networks of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportPart {
    /// From low to high resolution
    Upscaler,
    /// From the result back to the input's size: the dual models
    WayBack,
}
