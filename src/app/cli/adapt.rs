//! `adapt`: a model for somebody's own pictures.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::DegradationArg;

/// How long to train.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EffortArg {
    /// 300 steps
    Quick,
    /// 1500 steps
    Standard,
}

/// Adapt a model to your own photos, without high-resolution versions of them
///
/// Blur, noise and JPEG quality of the photos are estimated first. The model then learns from high-resolution images that were
/// degraded alike, and from the photos, whose results must lead back to them through the dual model. Training stops when quality on
/// held-out high-resolution images falls.
///
/// The run is resumed by the same command. Ctrl-C saves and stops.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres adapt --model x2 --pictures holiday/ -o my-camera.safetensors
  dualres adapt --model x4 --pictures scans/ --degradation blur=2.5,noise=3 --effort standard -o scans.safetensors
  dualres adapt --model photo-x2 --pictures phone/*.jpg --data photos/ -o phone.safetensors")]
pub(crate) struct AdaptArgs {
    /// Model to adapt, by name or file; it needs a dual model
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) model: String,
    /// Your photos, or folders of them, preferably of one camera
    #[arg(long, required = true, num_args = 1.., value_name = "PATH")]
    pub(crate) pictures: Vec<PathBuf>,
    /// Output model file (.safetensors)
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: PathBuf,
    /// Run folder: state, curves (metrics.csv) [default: next to the output, named like it, ending in .run]
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// Folder of high-resolution images [default: the built-in samples]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// How the photos were made: none (bicubic), photo (random blur, noise and JPEG), or a list of nearest or blur=SIGMA (in
    /// high-resolution pixels), noise=SIGMA and jpeg=QUALITY; what is not listed counts as absent [default: estimated from
    /// the photos]
    #[arg(long, value_name = "HOW")]
    pub(crate) degradation: Option<DegradationArg>,
    /// How long to train
    #[arg(long, value_enum, default_value_t = EffortArg::Quick, conflicts_with = "steps")]
    pub(crate) effort: EffortArg,
    /// Training steps, at least 10, instead of --effort
    #[arg(long, value_name = "N", value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(10..=1_000_000))]
    pub(crate) steps: Option<usize>,
    /// Fraction of each batch taken from the photos, above 0 and below 1
    #[arg(long, default_value_t = crate::adaptation::FRACTION, value_name = "F")]
    pub(crate) fraction: f64,
    /// Weight of the dual regression loss, above 0
    #[arg(long, default_value_t = crate::adaptation::LAMBDA)]
    pub(crate) lambda: f64,
    /// Peak learning rate
    #[arg(long, default_value_t = crate::adaptation::LR)]
    pub(crate) lr: f64,
    /// Random seed of patches
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Device: auto, cpu, gpu, or part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Overwrite an existing file
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make low-resolution images from high-resolution ones
///
/// The same downsampling, noise and compression that `train`, `evaluate` and `adapt` use, as files: in 8-bit colour, without alpha, named
/// like the inputs, in one folder. With jpeg=QUALITY they are JPEG files, otherwise PNG.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres degrade --hr Set14/HR --scale 4 -o Set14/x4
  dualres degrade --hr Set14/HR --scale 2 --degradation blur=1.4,noise=5,jpeg=60 -o degraded/")]
pub(crate) struct DegradeArgs {
    /// Folder of high-resolution images
    #[arg(long, value_name = "DIR")]
    pub(crate) hr: PathBuf,
    /// Factor of the downsampling
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=16))]
    pub(crate) scale: u8,
    /// How: none (bicubic), photo (random blur, noise and JPEG), or a list of nearest or blur=SIGMA (in high-resolution pixels),
    /// noise=SIGMA and jpeg=QUALITY
    #[arg(long, value_name = "HOW", default_value = "none")]
    pub(crate) degradation: DegradationArg,
    /// Output folder
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// Random seed of noise
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Overwrite existing files
    #[arg(long)]
    pub(crate) overwrite: bool,
}
