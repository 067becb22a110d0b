//! `batch`: batches that several processes or machines share.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// Batches shared by processes and machines: see `dualres upscale --shard`.
#[derive(Debug, Subcommand)]
pub(crate) enum BatchCommand {
    /// Show the progress of a batch: done, failed, missing, per shard
    ///
    /// Exits with 0 if everything is done, with 1 if something failed or is missing.
    #[command(after_help = "Example:\n  dualres batch status enlarged/")]
    Status {
        /// Output folder of the batch
        folder: PathBuf,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Write a table of all results (CSV) from the records of all shards, the least certain first
    #[command(after_help = "Example:\n  dualres batch table enlarged/ -o table.csv")]
    Table {
        /// Output folder of the batch
        folder: PathBuf,
        /// Table to write
        #[arg(short, long, value_name = "FILE")]
        output: PathBuf,
        /// Overwrite an existing file
        #[arg(long)]
        overwrite: bool,
    },
    /// Print a script that runs a batch in shards: with HyperQueue, as a Slurm array, or with GNU parallel
    ///
    /// Run the script again to retry what failed; finished images are skipped.
    #[command(after_help = "Examples:
  dualres batch jobs archive/ -o enlarged/ --shards 64 --engine hyperqueue > jobs.sh
  dualres batch jobs archive/ -o enlarged/ --shards 8 --engine parallel -- --model x4 --format png > jobs.sh")]
    Jobs {
        /// Images, folders, or glob patterns
        #[arg(required = true, value_name = "INPUT")]
        inputs: Vec<PathBuf>,
        /// Output folder, which all machines see
        #[arg(short, long, value_name = "DIR")]
        output: PathBuf,
        /// Number of shards
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
        shards: u32,
        /// What runs them
        #[arg(long, value_enum)]
        engine: EngineArg,
        /// CPU cores per shard
        #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=4096))]
        cores: u32,
        /// One GPU per shard (HyperQueue and Slurm)
        #[arg(long)]
        gpu: bool,
        /// Further options of `dualres upscale`, after --
        #[arg(last = true, value_name = "OPTION")]
        options: Vec<String>,
    },
}

/// What runs jobs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineArg {
    /// HyperQueue, from one machine to a cluster
    Hyperqueue,
    /// Slurm job array
    Slurm,
    /// GNU parallel
    Parallel,
}
