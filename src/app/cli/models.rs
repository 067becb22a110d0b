//! `models`: the library, other formats, predicted errors.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

use super::{DegradationArg, PoolingArg};

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// List built-in and imported models
    #[command(after_help = "Example:\n  dualres models list --json")]
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a model: network, cost, training, metrics, licence
    #[command(after_help = "Examples:\n  dualres models show x4\n  dualres models show run/best.safetensors --json")]
    Show {
        /// Model by name or file
        #[arg(value_name = "NAME|FILE")]
        model: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Export a model: ONNX for other runtimes, or a Dualres model file
    ///
    /// Inputs and outputs are [batch, 3, height, width], RGB in [0, 255], with dynamic batch, height and width; outputs are neither
    /// clamped nor rounded.
    #[command(after_help = "Examples:
  dualres models export x4 --format onnx -o x4.onnx
  dualres models export x4 --format onnx --part dual -o x4-dual.onnx
  dualres models export x2 --format safetensors -o x2.safetensors")]
    Export {
        /// Model by name or file
        #[arg(value_name = "NAME|FILE")]
        model: String,
        /// File format [default: from the file extension]
        #[arg(long, value_enum)]
        format: Option<ExportFormat>,
        /// Output file (.onnx or .safetensors)
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        overwrite: bool,
        /// For ONNX: what channel attention averages over [default: local]
        #[arg(long, value_enum)]
        pooling: Option<PoolingArg>,
        /// For ONNX: which network
        #[arg(long, value_enum, default_value_t = ExportPart::Upscaler)]
        part: ExportPart,
    },
    /// Calibrate the predicted error of a model on images with known ground truth
    ///
    /// Training and compression do this at the end; this is for imported models. Rewrites the model file.
    #[command(after_help = "Examples:
  dualres models calibrate drn-s-x4.safetensors --hr photos/
  dualres models calibrate photo-x2.safetensors --hr photos/ --degradation photo")]
    Calibrate {
        /// Imported model by name, or model file
        #[arg(value_name = "NAME|FILE")]
        file: String,
        /// Folders of high-resolution images
        #[arg(long, num_args = 1.., value_name = "DIR", required = true)]
        hr: Vec<PathBuf>,
        /// How inputs are made: none (bicubic), photo (random blur, noise and JPEG), or a list of nearest or blur=SIGMA (in
        /// high-resolution pixels), noise=SIGMA and jpeg=QUALITY
        #[arg(long, value_name = "HOW", default_value = "none")]
        degradation: DegradationArg,
        /// Device: auto, cpu, gpu, or part of its name
        #[arg(long, value_name = "DEVICE", default_value = "auto")]
        device: String,
    },
    /// Import a third-party network: PyTorch, safetensors, ONNX or ncnn
    ///
    /// Checkpoints (.pth, .pt, .safetensors) are recognised by the names of their weights: DRN, EDSR, ESRGAN (Real-ESRGAN, BSRGAN,
    /// ESRGAN+), Compact, SPAN, RFDN, RLFN, BSRN, CARN, RealPLKSR. ONNX and ncnn contain their graph. The network is tried on an image before anything is written, and uses the dual models
    /// of a built-in model of its scale until it has its own.
    #[command(after_help = "Examples:
  dualres models import RealESRGAN_x4plus.pth -o x4plus.safetensors
  dualres models import realesr-animevideov3-x2.param -o anime-x2.safetensors
  dualres models import espcn.onnx --range 0,255 --order bgr -o espcn.safetensors
  dualres models import DRNS4x.pt --beside DRNS4x_dual_model.pt -o drn-s-x4.safetensors")]
    Import {
        /// Checkpoint, ONNX file, or the .param file of ncnn
        file: PathBuf,
        /// Second file: dual models of a DRN checkpoint, or the .bin file of ncnn if its name differs
        #[arg(long = "beside", visible_alias = "dual", value_name = "FILE")]
        dual: Option<PathBuf>,
        /// Output model file (.safetensors)
        #[arg(short, long, value_name = "OUT")]
        output: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        overwrite: bool,
        /// Licence of the weights, as text or file [default: a LICENSE file next to the input]
        #[arg(long, value_name = "TEXT|FILE")]
        licence: Option<String>,
        /// Value range of the network's inputs and outputs [default: that of its family, else detected]
        #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',', allow_hyphen_values = true)]
        range: Vec<f32>,
        /// Channel order [default: rgb]
        #[arg(long, value_enum)]
        order: Option<OrderArg>,
        /// Scale to import from a file with several
        #[arg(long, value_name = "N")]
        scale: Option<usize>,
    },
}

/// Channel order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OrderArg {
    /// Red first
    Rgb,
    /// Blue first
    Bgr,
}

/// Formats of exported models.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// Open Neural Network Exchange, operators of version 17
    Onnx,
    /// Dualres model file
    Safetensors,
}

/// Networks of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportPart {
    /// From low to high resolution
    Upscaler,
    /// Dual models: from the result to the input's size
    #[value(name = "dual", alias = "way-back")]
    Dual,
}
