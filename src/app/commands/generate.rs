//! `dualres completions` and `dualres manual`: what packages install beside the program, made from its own description.

use std::{fs, io::Write, path::Path};

use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use dualres_imaging::file::write_atomically;

use crate::{
    cli::Cli,
    report::{self, Outcome},
};

/// Prints the completions of a shell.
pub(crate) fn completions(shell: Shell) -> anyhow::Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "dualres", &mut script);
    // As it is: shells read tabs, which `report` would not let through.
    let mut output = std::io::stdout().lock();
    match output.write_all(&script).and_then(|()| output.flush()) {
        // A reader that has gone away wants no more.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(error).context("cannot write the completions")
        }
        _ => Ok(Outcome::Done),
    }
}

/// Writes a manual page for the program and for each of its commands.
pub(crate) fn manual(folder: &Path) -> anyhow::Result<Outcome> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make the folder: {}", folder.display()))?;
    let mut command = Cli::command();
    // Names such as `dualres compress sweep`, and the options that all share.
    command.build();
    let pages = pages(&command, "dualres")?;
    for (name, page) in &pages {
        write_atomically(&folder.join(format!("{name}.1")), page)?;
    }
    report::line(&format!("{}: {}", folder.display(), report::counted(pages.len(), "page")));
    Ok(Outcome::Done)
}

/// The page of a command and those of the commands below it, by name.
fn pages(command: &clap::Command, name: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut page = Vec::new();
    let title = name.to_owned();
    clap_mangen::Man::new(command.clone().display_name(title.clone())).render(&mut page)?;
    let mut all = vec![(title, page)];
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        all.extend(pages(below, &format!("{name}-{}", below.get_name()))?);
    }
    Ok(all)
}
