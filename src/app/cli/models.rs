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
        /// File to write (.onnx or .safetensors)
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Replace it if it exists
        #[arg(long)]
        overwrite: bool,
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
        /// Imported model by name, or file
        #[arg(value_name = "NAME|FILE")]
        file: String,
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
    /// Turn a network of others into a model file: PyTorch, safetensors, ONNX or ncnn
    ///
    /// Checkpoints (.pth, .pt, .safetensors) are recognised by the names of their weights: DRN, EDSR, ESRGAN (Real-ESRGAN, BSRGAN,
    /// ESRGAN+), Compact, SPAN, RFDN, RLFN, BSRN, CARN, RealPLKSR. ONNX and ncnn bring their own graph. The network is run
    /// on a picture before anything is written, and proven by the dual models of another one of its scale until it has its own.
    #[command(after_help = "Examples:
  dualres models import RealESRGAN_x4plus.pth -o x4plus.safetensors
  dualres models import realesr-animevideov3-x2.param -o anime-x2.safetensors
  dualres models import espcn.onnx --range 0,255 --order bgr -o espcn.safetensors
  dualres models import DRNS4x.pt --beside DRNS4x_dual_model.pt -o drn-s-x4.safetensors")]
    Import {
        /// Checkpoint, ONNX file, or the .param file of ncnn
        file: PathBuf,
        /// A second file: dual models beside a DRN checkpoint, or the .bin file of ncnn if it has another name
        #[arg(long = "beside", visible_alias = "dual", value_name = "FILE")]
        dual: Option<PathBuf>,
        /// Model file to write (.safetensors)
        #[arg(short, long, value_name = "OUT")]
        output: PathBuf,
        /// Replace it if it exists
        #[arg(long)]
        overwrite: bool,
        /// Licence of the weights, or a file that holds it; a LICENSE beside the file is taken if not given
        #[arg(long, value_name = "TEXT|FILE")]
        licence: Option<String>,
        /// Lowest and highest sample that the network takes and gives [default: that of its family, else found by trying]
        #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', allow_hyphen_values = true)]
        range: Vec<f32>,
        /// Order of its colours [default: rgb]
        #[arg(long, value_enum)]
        order: Option<OrderArg>,
        /// Which scale to take of a file that holds several
        #[arg(long, value_name = "N")]
        scale: Option<usize>,
    },
}

/// Order of colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderArg {
    /// Red first
    Rgb,
    /// Blue first
    Bgr,
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
