//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Larger pictures by dual regression, with the proof of how far they keep to the original
///
/// Without a command the window opens, with the pictures named if there are any.
#[derive(Debug, Parser)]
#[command(
    name = "dualres",
    version,
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  dualres                               open the window
  dualres photo.jpg holiday/            open the window with pictures
  dualres upscale photo.jpg -o large.png --scale 4"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
    /// Pictures, folders of pictures and models to open in the window
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Upscale(Box<UpscaleArgs>),
    Evaluate(EvaluateArgs),
    Train(Box<TrainArgs>),
    Compress(Box<CompressArgs>),
    Benchmark(BenchmarkArgs),
    Plot(PlotArgs),
    /// List, show, import and export models
    #[command(subcommand)]
    Models(ModelsCommand),
    Devices(DevicesArgs),
}

/// What channel attention averages over.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PoolingArg {
    /// A window of the size of the training patch; pictures run in tiles
    Local,
    /// The whole picture, run in one piece, as the published networks do
    Global,
}

/// Enlarge pictures
///
/// Each result goes back through the model's dual network and is compared with the input: loop_psnr says how well it
/// kept to the picture, before the result is rounded to the bits of the file; expected_psnr how near it should be to the
/// true large picture, by what is known of the model's errors. Orientation is applied; colour profile, EXIF,
/// XMP, IPTC and density of the input are kept.
///
/// Folders are gone through with their sub-folders, which the output keeps. Such a batch writes a record beside its results
/// (dualres-batch.jsonl): the same command goes on where a run was cut off, and what is done is not done again.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres upscale photo.jpg -o large.png
  dualres upscale photo.jpg -o large.png --scale 4 --consistency where-it-invented.png
  dualres upscale photo.jpg -o print.tif --print 60x40cm --dpi 240 --depth 16
  dualres upscale holiday/ 'more/**/*.jpg' -o enlarged/ --long-side 6000 --table enlarged/table.csv")]
pub(crate) struct UpscaleArgs {
    /// Pictures, folders of pictures, or patterns such as 'photos/**/*.jpg'
    #[arg(required = true, value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,
    /// Output picture (.png .jpg .webp .tif .avif .bmp); a folder for several inputs
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: PathBuf,
    /// Model by name (see `dualres models list`) or file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) model: Option<String>,
    /// So many times as large, 16 at most: by as many passes of the model as it takes, then by resampling; chooses the
    /// model if none is named
    #[arg(long, value_name = "X", group = "final_size")]
    pub(crate) scale: Option<f64>,
    /// Final width in pixels
    #[arg(long, value_name = "N", group = "final_size", value_parser = side())]
    pub(crate) width: Option<usize>,
    /// Final height in pixels
    #[arg(long, value_name = "N", group = "final_size", value_parser = side())]
    pub(crate) height: Option<usize>,
    /// Final length of the longer side in pixels
    #[arg(long, value_name = "N", group = "final_size", value_parser = side())]
    pub(crate) long_side: Option<usize>,
    /// As large as fits on paper, such as 30x20cm or 8x10in, at --dpi
    #[arg(long, value_name = "SIZE", group = "final_size")]
    pub(crate) print: Option<String>,
    /// Dots per inch of --print
    #[arg(long, value_name = "N", default_value_t = 300.0, requires = "print")]
    pub(crate) dpi: f64,
    /// Device: auto, cpu, gpu, or a part of its name (see `dualres devices`)
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Side of tiles in input pixels, 32 on each side of them shared with the next; chosen from the free memory if not
    /// given
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(16..=16384))]
    pub(crate) tile: Option<u32>,
    /// What channel attention averages over
    #[arg(long, value_enum, default_value_t = PoolingArg::Local)]
    pub(crate) pooling: PoolingArg,
    /// Feed what the way back misses into the result, 0 to 100 percent: loop PSNR rises
    #[arg(long, value_name = "PERCENT", default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) fidelity: u8,
    /// Also write the dual reconstruction, at the input's size; a folder for several inputs
    #[arg(long, value_name = "PATH")]
    pub(crate) dual: Option<PathBuf>,
    /// Also write where the reconstruction differs from the input, as a heat map; a folder for several inputs
    #[arg(long, value_name = "PATH")]
    pub(crate) consistency: Option<PathBuf>,
    /// Also write how large an error is expected where, as a heat map of 0 to 16 gray levels at the input's size; a folder
    /// for several inputs
    #[arg(long, value_name = "PATH")]
    pub(crate) expected_error: Option<PathBuf>,
    /// Format of results in an output folder; that of each input if not given
    #[arg(long, value_enum)]
    pub(crate) format: Option<FormatArg>,
    /// Bits a channel where the format has them; those of the input if not given
    #[arg(long, value_enum, value_name = "BITS")]
    pub(crate) depth: Option<DepthArg>,
    /// Resolution of the colours in JPEG output
    #[arg(long, value_enum, default_value_t = SubsamplingArg::Full)]
    pub(crate) subsampling: SubsamplingArg,
    /// Leave out all metadata but the colour profile
    #[arg(long)]
    pub(crate) strip: bool,
    /// Names in an output folder, of {name} {scale} {model} {width} {height} {index} {date}
    #[arg(long, value_name = "PATTERN", default_value = crate::naming::DEFAULT_PATTERN)]
    pub(crate) name: String,
    /// Also write a table of all results (CSV), those first that keep least to their originals
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<PathBuf>,
    /// Quality of JPEG and AVIF output, 1 to 100
    #[arg(long, value_name = "Q", default_value_t = 95, value_parser = clap::value_parser!(u8).range(1..=100))]
    pub(crate) quality: u8,
    /// Replace files that exist, and do again what a batch has done; without it names in a folder get a number
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Report one JSON object a line and file, and a summary of a batch
    #[arg(long)]
    pub(crate) json: bool,
}

impl UpscaleArgs {
    /// Files or folders of the proofs that are asked for, with what is put behind the names of pictures.
    pub(crate) fn proofs(&self) -> [(&'static str, Option<&PathBuf>); 3] {
        [
            ("dual", self.dual.as_ref()),
            ("consistency", self.consistency.as_ref()),
            ("expected", self.expected_error.as_ref()),
        ]
    }
}

/// Sides that make sense.
fn side() -> impl clap::builder::TypedValueParser<Value = usize> {
    clap::builder::RangedU64ValueParser::<usize>::new().range(1..=1_000_000)
}

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
}

/// Formats that are written.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FormatArg {
    /// PNG
    Png,
    /// JPEG
    #[value(alias = "jpeg")]
    Jpg,
    /// WebP, lossless
    Webp,
    /// TIFF
    #[value(alias = "tiff")]
    Tif,
    /// AVIF, in sRGB
    Avif,
    /// BMP
    Bmp,
}

/// Bits a channel.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DepthArg {
    /// 8 bits
    #[value(name = "8")]
    Eight,
    /// 16 bits: PNG and TIFF
    #[value(name = "16")]
    Sixteen,
    /// 32 bits, floats: TIFF
    #[value(name = "32")]
    Float,
}

/// Resolution of the colours against that of brightness.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum SubsamplingArg {
    /// The same (4:4:4)
    Full,
    /// Half (4:2:0): smaller files
    Half,
}

/// What is done to inputs on top of bicubic reduction.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum DegradationArg {
    /// Nothing: clean pictures
    None,
    /// Blur, noise and JPEG of random strength, as cameras and phones leave them
    Photo,
}

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

/// Train a network by dual regression
///
/// Goes on with the run in the folder if it holds one with the same settings. Ctrl-C saves and stops.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres train --data photos/ --validation val/ --scale 2 -o run/
  dualres train --data photos/ --validation val/ --init x4.safetensors --lr 1e-4 -o run/
  dualres train --data photos/ --validation val/ --scale 2 --lambda 0 -o without-dual/")]
pub(crate) struct TrainArgs {
    /// Folders of high-resolution pictures
    #[arg(long, required = true, num_args = 1.., value_name = "DIR")]
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
    /// Scale of the network: 2, 4 or 8
    #[arg(long, default_value_t = 2, value_name = "N")]
    pub(crate) scale: usize,
    /// Size of the network
    #[arg(long, value_enum, default_value_t = PresetArg::T)]
    pub(crate) preset: PresetArg,
    /// Features of the network in place of the preset's
    #[arg(long, value_name = "N")]
    pub(crate) n_feats: Option<usize>,
    /// Blocks a level in place of the preset's, or of each level, that of the input resolution first: 16,2
    #[arg(long, value_name = "N[,N...]", value_delimiter = ',')]
    pub(crate) n_blocks: Vec<usize>,
    /// Model file to start from; its network is taken. With --n-blocks it is given so many blocks: new ones change nothing
    /// before they are trained
    #[arg(long, value_name = "FILE")]
    pub(crate) init: Option<PathBuf>,
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
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub(crate) steps: usize,
    /// Highest learning rate
    #[arg(long, default_value_t = 5e-4)]
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
    /// Folders of high-resolution pictures that decisions are made on; every fifth of the data if not given
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub(crate) validation: Vec<PathBuf>,
    /// Cut validation pictures to this side, around their middle
    #[arg(long, value_name = "N")]
    pub(crate) validation_crop: Option<usize>,
    /// What the ratio is a budget of
    #[arg(long, value_enum, default_value_t = ModeArg::Paper)]
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
    /// Weight of the dual regression loss beside that of the features in the selection [default: 1]
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
    /// Widths decided elsewhere in place of a search: a file with a number a line
    #[arg(long, value_name = "FILE")]
    pub(crate) widths: Option<PathBuf>,
    /// File of the sensitivity profile, measured if it is not there; runs of one model may share it
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// Model file of a larger network to learn from in fine-tuning
    #[arg(long, value_name = "FILE")]
    pub(crate) teacher: Option<PathBuf>,
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
        "patch", "second_order", "channels_per_step", "fresh_patches", "widths", "profile", "teacher", "teacher_weight",
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

/// List what networks can run on
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  dualres devices --json")]
pub(crate) struct DevicesArgs {
    /// Report as JSON
    #[arg(long)]
    pub(crate) json: bool,
}
