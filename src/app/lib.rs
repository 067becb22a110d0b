//! The `dualres` program: a window and a command line over the libraries of the other rooms.
//!
//! Both run the same functions, so that they give the same bytes; what differs is who watches. This is a library so
//! that tests can build the window; `main.rs` is a shell around [`run`].

#![warn(clippy::print_stderr, clippy::print_stdout)]

rust_i18n::i18n!("locales", fallback = "en");

pub mod actor;
mod adaptation;
pub mod batch;
pub mod built_in;
mod cli;
mod commands;
mod completion;
mod foreign;
mod hints;
mod interrupt;
mod jobs;
pub mod language;
pub mod library;
pub mod naming;
pub mod paths;
mod remotes;
mod report;
mod samples;
mod session;
mod signals;
mod statistics;
mod sweep;
mod targets;
mod trust;
pub mod window;

use std::process::ExitCode;

/// Runs the program with the arguments of the process.
///
/// Exit codes: 0 all is well, 1 something failed, 2 the command was misused.
pub fn run() -> ExitCode {
    session::give_a_place();
    let usual = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        // What is caught is told as an error, in words; so is what fails in a thread of the tensor library that serves a device.
        let serves_a_device = std::thread::current().name().is_some_and(|name| name.starts_with("DSD-"));
        if !dualres_imaging::is_caught() && !serves_a_device {
            usual(panic);
        }
    }));
    let cli = cli::parse();
    let ended = commands::run(cli);
    trust::leave();
    match ended {
        // What was to be said and could not is a failure of commands that say something.
        Ok(report::Outcome::Done) if report::has_failed() => report::Outcome::Failed.into(),
        Ok(outcome) => outcome.into(),
        Err(error) => {
            report::error(&error);
            report::Outcome::of(&error).into()
        }
    }
}
