//! One file a command.

mod devices;
mod evaluate;
mod models;
mod outputs;
mod train;
mod upscale;

use dualres_engine::PoolingChoice;

use crate::{
    cli::{Command, PoolingArg},
    report::Outcome,
};

/// Runs a command.
pub(crate) fn run(command: Command) -> anyhow::Result<Outcome> {
    match command {
        Command::Upscale(args) => upscale::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Models(command) => models::run(command),
        Command::Devices(args) => devices::run(&args),
    }
}

impl From<PoolingArg> for PoolingChoice {
    fn from(pooling: PoolingArg) -> Self {
        match pooling {
            PoolingArg::Local => Self::Local,
            PoolingArg::Global => Self::Global,
        }
    }
}

/// A progress bar on the terminal, none where nobody looks.
fn progress_bar(length: u64, template: &str, hidden: bool) -> indicatif::ProgressBar {
    if hidden {
        return indicatif::ProgressBar::hidden();
    }
    let style = indicatif::ProgressStyle::with_template(template).expect("the template is a constant");
    indicatif::ProgressBar::new(length).with_style(style.progress_chars("━╸ "))
}
