//! The `dualres` program: command line over the libraries of the other rooms.
//!
//! Exit codes: 0 all is well, 1 something failed, 2 the command was misused.

mod cli;
mod commands;
mod interrupt;
mod library;
mod report;

use std::process::ExitCode;

use clap::Parser;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    match commands::run(cli.command) {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            report::error(&error);
            report::Outcome::of(&error).into()
        }
    }
}
