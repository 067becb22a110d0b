//! `train`: networks by dual regression.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use dualres_training::TrainConfig;

use super::DegradationArg;

/// Sizes of networks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PresetArg {
    /// Small: can be trained on a CPU
    T,
    /// DRN-S
    S,
    /// DRN-L
    L,
}

/// Kinds of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NetworkArg {
    /// DRN of the papers
    Drn,
    /// Residual blocks, as in EDSR
    Residual,
    /// Residual blocks with channel attention, as in RCAN
    Attention,
    /// Plain stack of convolutions
    Plain,
    /// Residual blocks with pixel attention, as in PAN
    Pixel,
    /// Residual local feature blocks, as in RLFN
    Local,
    /// Gated blocks, as in SPAN
    Gate,
}

/// Train a network by dual regression
///
/// Resumes the run in the output folder if its settings are the same. Ctrl-C saves and stops.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres train --data photos/ --validation val/ --scale 2 -o run/
  dualres train --data photos/ --validation val/ --init x4.safetensors --lr 1e-4 -o run/
  dualres train --data photos/ --validation val/ --network residual --n-feats 48 --n-blocks 6 --scale 4 -o run/
  dualres train --dual-only --model realesrgan-x4plus.safetensors -o dual-run/
  dualres train --data photos/ --validation val/ --scale 2 --lambda 0 -o without-dual/")]
pub(crate) struct TrainArgs {
    /// Folders of high-resolution images [default with --dual-only: the built-in samples]
    #[arg(long, required_unless_present = "dual_only", num_args = 1.., value_name = "DIR")]
    pub(crate) data: Vec<PathBuf>,
    /// Folder of high-resolution images that select the best weights
    #[arg(long, value_name = "DIR")]
    pub(crate) validation: Option<PathBuf>,
    /// Run folder: state, curves (metrics.csv), best.safetensors, last.safetensors
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Name of the model [default: the scale, such as x2]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Scale: 2, 3, 4 or 8, but for DRN no 3 [default: 2, or that of the model to start from]
    #[arg(long, value_name = "N")]
    pub(crate) scale: Option<usize>,
    /// Architecture: DRN, or a backbone at the input's resolution, by its blocks
    #[arg(long, value_enum, default_value_t = NetworkArg::Drn)]
    pub(crate) network: NetworkArg,
    /// Size of a DRN
    #[arg(long, value_enum, default_value_t = PresetArg::T)]
    pub(crate) preset: PresetArg,
    /// Features, overriding the preset; 48 for backbones
    #[arg(long, value_name = "N")]
    pub(crate) n_feats: Option<usize>,
    /// Blocks per level, overriding the preset, or for each level from the input's resolution on: 16,2
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',')]
    pub(crate) n_blocks: Vec<usize>,
    /// Model to continue training, by name or file: any architecture, including imported ones
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "init")]
    pub(crate) model: Option<String>,
    /// Train only the dual models of --model; its network stays unchanged
    #[arg(long, requires = "model")]
    pub(crate) dual_only: bool,
    /// Model to start from, by name or file. Its architecture is used unless --network is given, in which case layers of the same
    /// shape are initialised from it (for another scale). With --n-blocks, blocks are added that initially change nothing
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) init: Option<String>,
    /// How inputs are made, in training and validation: none (bicubic), photo (random blur, noise and JPEG), or a list of nearest or
    /// blur=SIGMA (in high-resolution pixels), noise=SIGMA and jpeg=QUALITY
    #[arg(long, value_name = "HOW", default_value = "none")]
    pub(crate) degradation: DegradationArg,
    #[command(flatten)]
    pub(crate) config: TrainConfig,
    /// Final learning rate [default: 1e-7, or --lr if lower]
    #[arg(long, value_name = "LR")]
    pub(crate) lr_min: Option<f64>,
    /// Device: auto, cpu, gpu, or part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Print one JSON object per validation
    #[arg(long)]
    pub(crate) json: bool,
}
