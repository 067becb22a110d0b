//! `compress`: smaller networks.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What the ratio is a budget of.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ModeArg {
    /// Every unit keeps about 1 - ratio of its channels or fewer, in multiples of 4: the published rule
    Paper,
    /// The network keeps at most 1 - ratio of its multiply-accumulates; units share them as they need
    Budget,
}

/// How widths and channels are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MethodArg {
    /// Channel-number search and greedy selection by the dual regression loss
    Drc,
    /// The same share of every unit, channels chosen as by drc
    Uniform,
    /// The same share of every unit, channels at random
    Random,
    /// The same share of every unit, channels by the L1 norm of what reads them
    L1,
    /// The same share of every unit, ThiNet
    Thinet,
    /// The same share of every unit, greedy selection without the dual loss
    Dcp,
    /// Widths from a sensitivity profile, channels by linear prediction; fast
    Profile,
}

/// Compress a network: search widths, choose channels, cut, fine-tune
///
/// Everything is kept in a run folder; killed or stopped by Ctrl-C, the same command or --resume goes on.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres compress --model x2 --ratio 0.5 --data photos/ --out x2-50.safetensors --quick
  dualres compress --model x2 --ratio 0.5 --mode budget --data photos/ --validation val/ --out x2-50.safetensors
  dualres compress --model x2 --ratio 0.5 --method l1 --data photos/ --out x2-l1.safetensors --json
  dualres compress --resume x2-50.run --out x2-50.safetensors
  dualres benchmark --model x2 --model x2-50.safetensors")]
pub(crate) struct CompressArgs {
    /// Model to compress, by name or file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) model: Option<String>,
    /// Share to remove, above 0 and below 1
    #[arg(long, value_name = "R", conflicts_with = "resume")]
    pub(crate) ratio: Option<f64>,
    /// Folders of high-resolution pictures
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub(crate) data: Vec<PathBuf>,
    /// Model file to write (.safetensors)
    #[arg(short, long = "out", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace it if it exists
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Folders of high-resolution pictures that decisions are made on; every fifth of the data if not given
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub(crate) validation: Vec<PathBuf>,
    /// Cut validation pictures to this side, around their middle
    #[arg(long, value_name = "N")]
    pub(crate) validation_crop: Option<usize>,
    /// Prune streams that run along the network as well, which the paper leaves alone
    #[arg(long)]
    pub(crate) streams: bool,
    /// What the ratio is a budget of
    #[arg(long, value_enum, default_value_t = ModeArg::Budget)]
    pub(crate) mode: ModeArg,
    /// How widths and channels are found
    #[arg(long, value_enum, default_value_t = MethodArg::Drc)]
    pub(crate) method: MethodArg,
    /// Weight of the dual loss in search and selection; 0 is the ablation without it [default: 0.1]
    #[arg(long, value_name = "X")]
    pub(crate) lambda: Option<f64>,
    /// Weight of the dual loss in the search alone
    #[arg(long, value_name = "X")]
    pub(crate) search_lambda: Option<f64>,
    /// Weight of the dual loss in the selection alone
    #[arg(long, value_name = "X")]
    pub(crate) selection_lambda: Option<f64>,
    /// Weight of the dual regression loss beside that of the features in the selection: 1 makes their gradients as long as
    /// each other [default: 1]
    #[arg(long, value_name = "X")]
    pub(crate) gamma: Option<f64>,
    /// Weight of the dual loss in fine-tuning [default: 0.1]
    #[arg(long, value_name = "X")]
    pub(crate) finetune_lambda: Option<f64>,
    /// Seed of everything random
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Steps of the search and of fine-tuning
    #[arg(long, value_name = "N")]
    pub(crate) steps: Option<usize>,
    /// Steps of the search [default: 200]
    #[arg(long, value_name = "N")]
    pub(crate) search_steps: Option<usize>,
    /// Steps of fine-tuning; 0 leaves the network as it was cut [default: 1000]
    #[arg(long, value_name = "N")]
    pub(crate) finetune_steps: Option<usize>,
    /// Highest learning rate of fine-tuning [default: 4e-4]
    #[arg(long)]
    pub(crate) lr: Option<f64>,
    /// Patches a step, in all stages [default: 8]
    #[arg(long, value_name = "N")]
    pub(crate) batch: Option<usize>,
    /// Side of patches in low-resolution pixels, in all stages [default: 32]
    #[arg(long, value_name = "N")]
    pub(crate) patch: Option<usize>,
    /// Let the search look through one step of the weights: four times the work
    #[arg(long)]
    pub(crate) second_order: bool,
    /// Channels chosen between two looks at the gradient; 1 is the published procedure [default: 4]
    #[arg(long, value_name = "N")]
    pub(crate) channels_per_step: Option<usize>,
    /// New patches for every step of the selection, as published; otherwise they stay and half the work is saved
    #[arg(long)]
    pub(crate) fresh_patches: bool,
    /// Fit layers by gradient descent as published, not in closed form to the original's outputs
    #[arg(long)]
    pub(crate) no_compensation: bool,
    /// Widths decided elsewhere in place of a search: a file with a number a line
    #[arg(long, value_name = "FILE")]
    pub(crate) widths: Option<PathBuf>,
    /// File of the sensitivity profile, measured if it is not there; runs of one model may share it
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// Larger model to learn from in fine-tuning, by name or file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) teacher: Option<String>,
    /// Weight of what is learned from it
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    pub(crate) teacher_weight: f64,
    /// The whole path in few steps, in under a minute for the model x2
    #[arg(long)]
    pub(crate) quick: bool,
    /// Folder of the run [default: OUT with the extension .run]
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// Go on with the run in a folder, with its settings
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "model", "data", "validation", "validation_crop", "mode", "method", "lambda", "search_lambda",
        "selection_lambda", "gamma", "finetune_lambda", "seed", "steps", "search_steps", "finetune_steps", "lr", "batch",
        "patch", "streams", "second_order", "channels_per_step", "fresh_patches", "no_compensation", "widths", "profile", "teacher", "teacher_weight",
        "quick", "run", "name",
    ])]
    pub(crate) resume: Option<PathBuf>,
    /// Name of the result [default: that of OUT]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Device: auto, cpu, gpu, or a part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Report as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}
