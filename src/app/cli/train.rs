//! `train`: networks by dual regression.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DegradationArg;

/// Sizes of networks.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PresetArg {
    /// Small: trained on a CPU, run on a laptop
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
    /// Backbone of residual blocks, as EDSR
    Residual,
    /// The same with channel attention, as RCAN
    Attention,
    /// Plain row of convolutions
    Plain,
    /// Residual blocks with pixel attention, as PAN
    Pixel,
    /// Residual local feature blocks, as RLFN
    Local,
    /// Gated blocks, as SPAN
    Gate,
}

/// Train a network by dual regression
///
/// Goes on with the run in the folder if it holds one with the same settings. Ctrl-C saves and stops.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres train --data photos/ --validation val/ --scale 2 -o run/
  dualres train --data photos/ --validation val/ --init x4.safetensors --lr 1e-4 -o run/
  dualres train --data photos/ --validation val/ --network residual --n-feats 48 --n-blocks 6 --scale 4 -o run/
  dualres train --dual-only --model realesrgan-x4plus.safetensors -o dual-run/
  dualres train --data photos/ --validation val/ --scale 2 --lambda 0 -o without-dual/")]
pub(crate) struct TrainArgs {
    /// Folders of high-resolution pictures; with --dual-only the four inside the program if none is given
    #[arg(long, required_unless_present = "dual_only", num_args = 1.., value_name = "DIR")]
    pub(crate) data: Vec<PathBuf>,
    /// Folder of high-resolution pictures that choose the best weights
    #[arg(long, value_name = "DIR")]
    pub(crate) validation: Option<PathBuf>,
    /// Folder of the run: state, curves (metrics.csv), best.safetensors, last.safetensors
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Name of the model; the scale if not given
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// One sentence on what the model is for
    #[arg(long, default_value = "")]
    pub(crate) purpose: String,
    /// Licence of the weights
    #[arg(long, default_value = "unknown")]
    pub(crate) licence: String,
    /// Scale of the network: 2, 3, 4 or 8; DRN has no 3
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub(crate) scale: usize,
    /// Kind of network: DRN, or a backbone that works at the input's resolution, by its blocks
    #[arg(long, value_enum, default_value_t = NetworkArg::Drn)]
    pub(crate) network: NetworkArg,
    /// Size of a DRN
    #[arg(long, value_enum, default_value_t = PresetArg::T)]
    pub(crate) preset: PresetArg,
    /// Features of the network in place of the preset's; 48 for backbones
    #[arg(long, value_name = "N")]
    pub(crate) n_feats: Option<usize>,
    /// Blocks a level in place of the preset's, or of each level, that of the input resolution first: 16,2
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',')]
    pub(crate) n_blocks: Vec<usize>,
    /// Model, by name or file, to train on: its network is taken, whatever its architecture, imported ones too
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "init")]
    pub(crate) model: Option<String>,
    /// Train the dual models alone, for a model (--model) whose network stays as it is
    #[arg(long, requires = "model")]
    pub(crate) dual_only: bool,
    /// Model to start from, by name or file; its network is taken unless --network is given, whose layers then begin with its weights where
    /// they are the same (another scale). With --n-blocks it is given so many blocks: new ones change nothing
    /// before they are trained
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) init: Option<String>,
    /// What is done to inputs on top of bicubic reduction, in training and validation
    #[arg(long, value_enum, default_value_t = DegradationArg::None)]
    pub(crate) degradation: DegradationArg,
    /// Side of patches in low-resolution pixels
    #[arg(long, default_value_t = 48, value_name = "N")]
    pub(crate) patch: usize,
    /// Patches a step
    #[arg(long, default_value_t = 16, value_name = "N")]
    pub(crate) batch: usize,
    /// Steps in all
    #[arg(long, default_value_t = 100_000, default_value_if("dual_only", "true", "2000"), value_name = "N")]
    pub(crate) steps: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 5e-4, default_value_if("dual_only", "true", "2e-3"))]
    pub(crate) lr: f64,
    /// Learning rate at the end
    #[arg(long, default_value_t = 1e-7)]
    pub(crate) lr_min: f64,
    /// Steps of linear warm-up
    #[arg(long, default_value_t = 200, value_name = "N")]
    pub(crate) warmup: usize,
    /// Weight of the dual regression loss; 0 trains without it
    #[arg(long, default_value_t = 0.1)]
    pub(crate) lambda: f64,
    /// Largest norm of each network's gradient
    #[arg(long, default_value_t = 50.0)]
    pub(crate) clip: f64,
    /// Skip steps whose loss exceeds this multiple of the recent mean
    #[arg(long, default_value_t = 10.0)]
    pub(crate) skip_threshold: f64,
    /// Decay of the moving average of the weights
    #[arg(long, default_value_t = 0.999)]
    pub(crate) ema: f64,
    /// Seed of weights and patches
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Steps between validations and saves
    #[arg(long, default_value_t = 500, value_name = "N")]
    pub(crate) validate_every: usize,
    /// Device: auto, cpu, gpu, or a part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Report validations as JSON, one object a line
    #[arg(long)]
    pub(crate) json: bool,
}
