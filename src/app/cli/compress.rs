//! `compress`: smaller networks.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use dualres_compression::Overrides;

use super::EngineArg;

/// A side in pixels that a network can be timed at.
fn side(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|side| (32..=2048).contains(side)).ok_or_else(|| "it must be 32 to 2048".into())
}

/// Compress a network: channel-number search, channel pruning, fine-tuning
///
/// Everything is saved in a run folder. Run the same command again, or --resume, after Ctrl-C or a crash.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  dualres compress --model x2 --ratio 0.5 --data photos/ --out x2-50.safetensors --quick
  dualres compress --model x2 --ratio 0.5 --mode budget --data photos/ --validation val/ --out x2-50.safetensors
  dualres compress --model x2 --speed-up 2 --data photos/ --out x2-twice-as-fast.safetensors
  dualres compress --model x2 --ratio 0.5 --method l1 --data photos/ --out x2-l1.safetensors --json
  dualres compress --resume x2-50.run --out x2-50.safetensors
  dualres compress --resume x2-50.run --finetune-steps 3000 --out x2-50.safetensors --overwrite
  dualres compress sweep grid.toml -o grid/
  dualres compress table grid/
  dualres benchmark --model x2 --model x2-50.safetensors"
)]
pub(crate) struct CompressArgs {
    #[command(subcommand)]
    pub(crate) command: Option<CompressCommand>,
    /// Model to compress, by name or file
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) model: Option<String>,
    /// Fraction to remove, between 0 and 1
    #[arg(long, value_name = "R", conflicts_with = "resume")]
    pub(crate) ratio: Option<f64>,
    /// Milliseconds that the network may take on the device, instead of a fraction to remove
    #[arg(long, value_name = "MS", conflicts_with_all = ["ratio", "widths", "resume"])]
    pub(crate) budget_ms: Option<f64>,
    /// How many times as fast on the device, instead of a fraction to remove
    #[arg(long, value_name = "N", conflicts_with_all = ["ratio", "widths", "resume", "budget_ms"])]
    pub(crate) speed_up: Option<f64>,
    /// Side in pixels of the input that --budget-ms and --speed-up are for
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = side)]
    pub(crate) time_side: usize,
    /// Folders of high-resolution images
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub(crate) data: Vec<PathBuf>,
    /// Output model file (.safetensors)
    #[arg(short, long = "out", value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Overwrite an existing file
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Folders of high-resolution images for validation [default: every fifth image of the data]
    #[arg(long, num_args = 1.., value_name = "DIR")]
    pub(crate) validation: Vec<PathBuf>,
    /// Crop validation images to N×N around their centre
    #[arg(long, value_name = "N")]
    pub(crate) validation_crop: Option<usize>,
    #[command(flatten)]
    pub(crate) overrides: Overrides,
    /// File of widths, one per line, instead of a search
    #[arg(long, value_name = "FILE")]
    pub(crate) widths: Option<PathBuf>,
    /// File of the sensitivity profile, measured if missing; can be shared by runs of one model
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
    /// All stages with few steps: under a minute for x2
    #[arg(long)]
    pub(crate) quick: bool,
    /// Run folder [default: OUT with the extension .run]
    #[arg(long, value_name = "DIR")]
    pub(crate) run: Option<PathBuf>,
    /// Resume the run in a folder, with its settings; --finetune-steps extends its fine-tuning
    #[arg(long, value_name = "RUN", conflicts_with_all = [
        "model", "data", "validation", "validation_crop", "mode", "method", "lambda", "search_lambda",
        "selection_lambda", "gamma", "finetune_lambda", "seed", "steps", "search_steps", "lr", "batch",
        "patch", "streams", "second_order", "channels_per_step", "fresh_patches", "no_compensation", "widths", "profile", "teacher", "teacher_weight",
        "quick", "run", "name",
    ])]
    pub(crate) resume: Option<PathBuf>,
    /// Name of the compressed model [default: file stem of OUT]
    #[arg(long)]
    pub(crate) name: Option<String>,
    /// Device: auto, cpu, gpu, or part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Print one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

/// Many runs at once.
#[derive(Debug, Subcommand)]
pub(crate) enum CompressCommand {
    Sweep(SweepArgs),
    Table(RunsTableArgs),
}

/// Run every combination of settings: models, ratios, methods, lambdas, seeds
///
/// The file names what all runs share and what is varied, by the options of `dualres compress`; paths are relative to it. Runs of
/// the same model and seed share a sensitivity profile.
///
/// Run the command again after Ctrl-C, a crash or a failure: finished runs are skipped, others resumed. Several processes may
/// work on one sweep: each skips the runs that another process is working on.
#[derive(Debug, Args)]
#[command(after_help = "Example of a file, 12 runs:
  [fixed]
  data = [\"train/\"]
  validation = [\"val/\"]
  quick = true
  [grid]
  model = [\"x2\"]
  ratio = [0.3, 0.5]
  method = [\"drc\", \"uniform\"]
  seed = [1, 2, 3]

Examples:
  dualres compress sweep grid.toml -o grid/ --list
  dualres compress sweep grid.toml -o grid/
  dualres compress sweep grid.toml -o grid/ --jobs hyperqueue --cores 8 > jobs.sh
  dualres compress table grid/")]
pub(crate) struct SweepArgs {
    /// Settings of the runs (TOML)
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Folder of the run folders
    #[arg(short, long, value_name = "DIR")]
    pub(crate) output: PathBuf,
    /// List the runs and how far they are, and run nothing; exits with 0 if all are done, else with 1
    #[arg(long)]
    pub(crate) list: bool,
    /// Do only the run of this number, as --list numbers them
    #[arg(long, value_name = "I", conflicts_with_all = ["list", "jobs"])]
    pub(crate) only: Option<usize>,
    /// Print a script that does each run as a task of an engine, and run nothing
    #[arg(long, value_enum, value_name = "ENGINE", conflicts_with = "list")]
    pub(crate) jobs: Option<EngineArg>,
    /// CPU cores per run (--jobs)
    #[arg(long, value_name = "N", default_value_t = 4, requires = "jobs", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) cores: u32,
    /// One GPU per run (--jobs, HyperQueue and Slurm)
    #[arg(long, requires = "jobs")]
    pub(crate) gpu: bool,
    /// Device: auto, cpu, gpu, or part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// Print JSON, one object a run
    #[arg(long)]
    pub(crate) json: bool,
}

/// Compare finished runs: mean ± standard deviation over seeds, and paired differences with 95 % confidence intervals
///
/// Runs with the same settings except the seed are one row. Rows that differ in one setting only, such as the method, are
/// compared: the mean difference in PSNR-Y at the same seeds, with the interval of Student's t.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres compress table grid/
  dualres compress table grid/ other.run -o results.md -o results.csv -o results.svg
  dualres compress table grid/ --baseline uniform
  dualres compress table grid/ -o runs.csv --rows runs")]
pub(crate) struct RunsTableArgs {
    /// Run folders, or folders of run folders
    #[arg(required = true, value_name = "RUNS")]
    pub(crate) folders: Vec<PathBuf>,
    /// File to write instead of printing: Markdown (.md), CSV (.csv), or a plot (.svg); can be repeated
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,
    /// What a row of a CSV file is
    #[arg(long, value_enum, default_value_t = RowsArg::Settings)]
    pub(crate) rows: RowsArg,
    /// Value that others are compared with, such as a method or a lambda [default: the first in the order of the table]
    #[arg(long, value_name = "VALUE")]
    pub(crate) baseline: Option<String>,
    /// Overwrite existing files
    #[arg(long)]
    pub(crate) overwrite: bool,
}

/// What a row of a table of runs is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RowsArg {
    /// Runs that differ in their seed alone
    Settings,
    /// A paired difference
    Differences,
    /// One run, with all its settings
    Runs,
}
