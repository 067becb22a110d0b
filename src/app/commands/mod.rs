//! One file a command.

mod adapt;
mod batch;
mod benchmark;
mod compress;
mod degrade;
mod devices;
mod evaluate;
mod generate;
mod models;
mod plot;
mod serve;
mod train;
mod upscale;

use dualres_engine::{PoolingChoice, Upscaler};
use dualres_imaging::Subsampling;
use dualres_network::{
    Model, NetworkError,
    device::{self, ComputeDevice},
};

use crate::{
    batch::make::Before,
    cli::{Cli, Command, PoolingArg, SubsamplingArg},
    library::Library,
    paths::Paths,
    remotes,
    report::{self, Misuse, Outcome},
    trust::{self, Notice, Trust},
    window,
};

pub(crate) use benchmark::size;

/// Runs a command, or opens the window if there is none.
pub(crate) fn run(cli: Cli) -> anyhow::Result<Outcome> {
    let paths = Paths::of_user();
    device::check_graphics_interface().map_err(|error| Misuse(error.to_string()))?;
    remotes::register(&paths);
    device::keep_tuning_in(&paths.tuning());
    trust::trust_all(cli.trust_device);
    let Some(command) = cli.command else {
        // With some files there, the window opens and tells of those that are not.
        let missing = cli.files.first().filter(|_| !cli.files.iter().any(|path| path.exists()));
        if let Some(missing) = missing {
            let missing = missing.display();
            return Err(Misuse(format!("no such command or file: \"{missing}\"; see `dualres --help`")).into());
        }
        window::open(paths, cli.files)?;
        return Ok(Outcome::Done);
    };
    report::for_programs(command.is_json());
    match command {
        Command::Upscale(args) => upscale::run(&args),
        Command::Evaluate(args) => evaluate::run(&args),
        Command::Train(args) => train::run(&args),
        Command::Adapt(args) => adapt::run(&args),
        Command::Batch(command) => batch::run(&command),
        Command::Degrade(args) => degrade::run(&args),
        Command::Compress(args) => compress::run(&args),
        Command::Benchmark(args) => benchmark::run(&args),
        Command::Plot(args) => plot::run(&args),
        Command::Models(command) => models::run(command),
        Command::Devices(args) => devices::run(&args),
        Command::Serve(args) => serve::run(&args),
        Command::Completions { shell } => generate::completions(shell),
        Command::Manual { output } => generate::manual(&output),
    }
}

/// The device of a name.
fn device(name: &str) -> anyhow::Result<ComputeDevice> {
    device::choose(name).map_err(misnamed)
}

/// The device if it may be used for a model, else the CPU. Says what takes time and what is wrong.
fn vetted(model: &Model, device: &ComputeDevice) -> anyhow::Result<ComputeDevice> {
    let (mut waiting, mut wrong) = (None, Vec::new());
    let used = Trust::of(&Paths::of_user()).vet(model, device, &mut |notice| match notice {
        // Told once, though 16 and 32 bits are looked at.
        Notice::Checking(name) => {
            waiting.get_or_insert_with(|| preparing(&name));
        }
        Notice::Prepared(part) => {
            if let Some(bar) = &waiting {
                bar.set_prefix(format!("{:.0} % of ", part * 100.0));
            }
        }
        Notice::Refused(reason) | Notice::NotKept(reason) => wrong.push(reason),
    });
    if let Some(bar) = waiting {
        bar.finish_and_clear();
    }
    // That it cannot be kept is as true of 16 bits as of 32.
    wrong.dedup();
    wrong.iter().for_each(|reason| report::say(&format!("warning: {reason}")));
    used
}

/// Says what a device did wrong in the middle of work, and who made up for it.
fn tell_of_failures(upscaler: &Upscaler) {
    Before::default().troubles(upscaler).iter().for_each(|said| report::say(&format!("warning: {said}")));
}

/// Says that a device is made ready.
fn preparing(name: &str) -> indicatif::ProgressBar {
    waiting(format!("preparing {name}, once: its kernels are compiled, tuned and checked against the CPU"))
}

/// Says what takes long, and on a terminal for how long it has.
fn waiting(text: String) -> indicatif::ProgressBar {
    let bar = progress_bar(0, "{prefix}{msg} ({elapsed})", false);
    if bar.is_hidden() {
        report::say(&text);
    }
    bar.set_message(text);
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    bar
}

/// Devices that share the work: names separated by commas, or `all`.
fn devices(names: &str) -> anyhow::Result<Vec<ComputeDevice>> {
    device::choose_several(names).map_err(misnamed)
}

fn misnamed(error: NetworkError) -> anyhow::Error {
    match error {
        NetworkError::UnknownDevice { .. } | NetworkError::NoGpu | NetworkError::NoSoftwareDriver => {
            Misuse(error.to_string()).into()
        }
        error => error.into(),
    }
}

/// The library of this user.
fn library() -> Library {
    Library::new(Paths::of_user().models())
}

impl From<PoolingArg> for PoolingChoice {
    fn from(pooling: PoolingArg) -> Self {
        match pooling {
            PoolingArg::Local => Self::Local,
            PoolingArg::Global => Self::Global,
        }
    }
}

impl From<SubsamplingArg> for Subsampling {
    fn from(subsampling: SubsamplingArg) -> Self {
        match subsampling {
            SubsamplingArg::Full => Self::Full,
            SubsamplingArg::Half => Self::Half,
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
