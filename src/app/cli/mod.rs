//! The command line: one file a command, or a few that are alike.

mod adapt;
mod batch;
mod compress;
mod measure;
mod models;
#[cfg(test)]
mod tests;
mod train;
mod upscale;

use std::{ffi::OsString, path::PathBuf};

use clap::{Arg, Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use dualres_network::device::Precision;
use dualres_training::{Degradation, TrainingError};

pub(crate) use adapt::{AdaptArgs, DegradeArgs, EffortArg};
pub(crate) use batch::{BatchCommand, EngineArg};
pub(crate) use compress::{CompressArgs, CompressCommand, RowsArg, RunsTableArgs, SweepArgs};
pub(crate) use measure::{BenchmarkArgs, EvaluateArgs, PlotArgs};
pub(crate) use models::{ExportFormat, ExportPart, ModelsCommand, OrderArg};
pub(crate) use train::{NetworkArg, PresetArg, TrainArgs};
pub(crate) use upscale::{DepthArg, FormatArg, SubsamplingArg, UpscaleArgs};

/// Upscale photos and see where the result stays true to them
///
/// Without a command the window opens, with the named pictures if there are any.
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
    /// Images, folders and models to open in the window
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// Use GPUs without checking them against the CPU first
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) trust_device: bool,
}

/// The arguments of the process.
pub(crate) fn parse() -> Cli {
    understood(std::env::args_os()).unwrap_or_else(|error| error.exit())
}

/// What arguments ask for, the name of the program first. What looks like a negative number is a value: the option says what is wrong with it.
fn understood(arguments: impl Iterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let takes_values = |arg: Arg| match arg.get_action().takes_values() && arg.get_long().is_some() {
        true => arg.allow_negative_numbers(true),
        false => arg,
    };
    let command = Cli::command()
        .mut_subcommands(|sub| sub.mut_args(takes_values).mut_subcommands(|below| below.mut_args(takes_values)));
    Cli::from_arg_matches_mut(&mut command.try_get_matches_from(joined(arguments))?)
}

/// `--lr -inf` as `--lr=-inf`: what is no number but looks like one is a value too, and the option says what is wrong.
fn joined(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut joined: Vec<OsString> = Vec::new();
    for argument in arguments {
        let looks_like_one = ["-inf", "-infinity", "-nan"].iter().any(|word| argument.eq_ignore_ascii_case(word));
        match joined.last_mut() {
            Some(option) if looks_like_one && option.to_string_lossy().starts_with("--") && option.len() > 2 => {
                option.push("=");
                option.push(argument);
            }
            _ => joined.push(argument),
        }
    }
    joined
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Upscale(Box<UpscaleArgs>),
    Evaluate(EvaluateArgs),
    Train(Box<TrainArgs>),
    Adapt(Box<AdaptArgs>),
    Degrade(DegradeArgs),
    /// Batches shared by several processes or machines
    #[command(subcommand)]
    Batch(BatchCommand),
    Compress(Box<CompressArgs>),
    Benchmark(BenchmarkArgs),
    Plot(PlotArgs),
    /// List, show, import, export and calibrate models
    #[command(subcommand)]
    Models(ModelsCommand),
    Devices(DevicesArgs),
    Serve(ServeArgs),
    /// Print completions for a shell
    #[command(after_help = "Examples:
  dualres completions bash > ~/.local/share/bash-completion/completions/dualres
  dualres completions fish > ~/.config/fish/completions/dualres.fish")]
    Completions {
        /// Shell
        shell: clap_complete::Shell,
    },
    /// Write manual pages, for packages
    #[command(hide = true)]
    Manual {
        /// Folder
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
    },
}

impl Command {
    /// Whether standard output is to be JSON.
    pub(crate) fn is_json(&self) -> bool {
        match self {
            Self::Upscale(args) => args.json,
            Self::Evaluate(args) => args.json,
            Self::Train(args) => args.json,
            Self::Adapt(args) => args.json,
            Self::Compress(args) => match &args.command {
                Some(CompressCommand::Sweep(sweep)) => sweep.json,
                Some(CompressCommand::Table(_)) => false,
                None => args.json,
            },
            Self::Benchmark(args) => args.json,
            Self::Devices(args) => args.json,
            Self::Models(ModelsCommand::List { json } | ModelsCommand::Show { json, .. }) => *json,
            Self::Batch(BatchCommand::Status { json, .. }) => *json,
            Self::Batch(_)
            | Self::Models(_)
            | Self::Plot(_)
            | Self::Degrade(_)
            | Self::Serve(_)
            | Self::Completions { .. }
            | Self::Manual { .. } => false,
        }
    }
}

/// Numbers that GPUs run images in.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PrecisionArg {
    /// Half where the GPU has it and a check against the CPU allows it, else single
    Auto,
    /// 32 bits
    Single,
    /// Stored in 16 bits, added in 32
    Half,
}

impl PrecisionArg {
    pub(crate) fn wanted(self) -> Option<Precision> {
        match self {
            Self::Auto => None,
            Self::Single => Some(Precision::Single),
            Self::Half => Some(Precision::Half),
        }
    }
}

/// What channel attention averages over.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum PoolingArg {
    /// A window of the size of the training patch; images run in tiles
    Local,
    /// The whole image, without tiles, as the published networks do
    Global,
}

/// How inputs come from high-resolution images, as an option says it; `None` for bicubic downsampling alone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DegradationArg(pub(crate) Option<Degradation>);

impl std::str::FromStr for DegradationArg {
    type Err = TrainingError;

    fn from_str(text: &str) -> Result<Self, TrainingError> {
        if text == "none" { Ok(Self(None)) } else { text.parse().map(|known| Self(Some(known))) }
    }
}

/// List compute devices, and check that they compute what the CPU computes
///
/// A GPU is checked by itself when it meets a model for the first time, and again with another driver. What GPUs were found to run fastest, and what checks found, lies in the cache folder of the program; it can be deleted at any time.
#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "Examples:
  dualres devices --json
  dualres devices --check
  dualres devices --check=software --model x4
  dualres devices add workshop 0f3c…d2 --token-file workshop.token
  dualres upscale photo.jpg -o large.png --device workshop
  DUALRES_TOKEN_FILE=workshop.token dualres upscale photo.jpg -o large.png --device remote:0f3c…d2"
)]
pub(crate) struct DevicesArgs {
    #[command(subcommand)]
    pub(crate) command: Option<DevicesCommand>,
    /// Check devices against the CPU: all GPUs, or the named one
    #[arg(long, value_name = "DEVICE", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    pub(crate) check: Option<String>,
    /// Model to check with, repeatable [default: those that are chosen by themselves]
    #[arg(long, value_name = "MODEL", requires = "check")]
    pub(crate) model: Vec<String>,
    /// Precision to check
    #[arg(long, value_enum, default_value_t = PrecisionArg::Auto, requires = "check")]
    pub(crate) precision: PrecisionArg,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Devices of other machines.
#[derive(Debug, Subcommand)]
pub(crate) enum DevicesCommand {
    /// Name a device that another machine offers by `dualres serve`
    Add {
        /// Name to choose it by
        name: String,
        /// What `dualres serve` printed there: an id, an id with @IP:PORT, or ws://HOST:PORT
        address: String,
        /// Copy of the token file of the server, which refuses those without it
        #[arg(long, value_name = "FILE")]
        token_file: Option<PathBuf>,
    },
    /// Forget a device of another machine
    Remove {
        /// Its name
        name: String,
    },
}

/// Offer this machine's device to other machines
///
/// Connections are encrypted and authenticated (Iroh); only those who have the token may compute here. The server runs until Ctrl-C.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  dualres serve
  dualres serve --device gpu --token-file workshop.token
  dualres serve --port 4000 --no-relay            within a local network
  dualres serve --websocket 127.0.0.1:3000        unencrypted: this machine or a trusted network")]
pub(crate) struct ServeArgs {
    /// Device: auto, cpu, gpu, or part of its name
    #[arg(long, value_name = "DEVICE", default_value = "auto")]
    pub(crate) device: String,
    /// File with the token that clients need, made with a random one if missing [default: a file of the program]
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// UDP port [default: any]
    #[arg(long, value_name = "PORT")]
    pub(crate) port: Option<u16>,
    /// Use no public relays: clients name this machine's address and port
    #[arg(long, requires = "port")]
    pub(crate) no_relay: bool,
    /// Serve unencrypted WebSocket connections on an IP address of this machine instead
    #[arg(long, value_name = "IP:PORT", conflicts_with_all = ["port", "no_relay"])]
    pub(crate) websocket: Option<std::net::SocketAddr>,
}
