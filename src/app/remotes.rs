//! Devices of other machines that the user has named, kept in a file for command line and window.

use std::path::PathBuf;

use anyhow::{Context as _, bail};
use dualres_imaging::file::write_atomically;
use dualres_network::device::{RemoteAddress, know, list};
use serde::{Deserialize, Serialize};

use crate::paths::Paths;

/// A device of another machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Remote {
    pub(crate) name: String,
    /// As [`RemoteAddress`] reads it.
    pub(crate) address: String,
    /// File of the token that the server there asks for.
    pub(crate) token_file: Option<PathBuf>,
}

fn file(paths: &Paths) -> PathBuf {
    paths.config.join("remote-devices.json")
}

/// Those that were named.
///
/// # Errors
/// If the file is damaged.
pub(crate) fn named(paths: &Paths) -> anyhow::Result<Vec<Remote>> {
    let file = file(paths);
    match std::fs::read(&file) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .with_context(|| format!("the list of remote devices is damaged; remove it: {}", file.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", file.display())),
    }
}

/// Makes those that were named choosable. What is wrong with one of them is told when it is chosen by its address.
pub(crate) fn register(paths: &Paths) {
    let remotes = named(paths).unwrap_or_else(|error| {
        crate::report::say(&format!("warning: {}", crate::report::message(&error)));
        Vec::new()
    });
    know(remotes.iter().filter_map(|remote| address(remote).ok()).collect());
}

fn address(remote: &Remote) -> Result<RemoteAddress, dualres_network::NetworkError> {
    RemoteAddress::named(&remote.name, &remote.address, remote.token_file.clone())
}

/// Names a device of another machine, in place of one of the same name.
///
/// # Errors
/// If the name belongs to another device, the address is none, or the list cannot be written.
pub(crate) fn add(paths: &Paths, remote: Remote) -> anyhow::Result<()> {
    let name = remote.name.trim();
    if ["auto", "cpu", "gpu", "all"].iter().any(|word| name.eq_ignore_ascii_case(word)) {
        bail!("\"{name}\" cannot be the name of a device: it has a meaning of its own");
    }
    if name.is_empty() || name.contains([',', ':']) || name.chars().any(char::is_control) {
        bail!("\"{name}\" cannot be the name of a device; choose a name without commas, colons and line breaks");
    }
    let token_file = match &remote.token_file {
        Some(file) => Some(std::path::absolute(file).context("no current folder")?),
        None => None,
    };
    let remote = Remote { name: name.to_owned(), address: remote.address.trim().to_owned(), token_file };
    address(&remote)?.check_token()?;
    let mut all = named(paths)?;
    all.retain(|there| !there.name.eq_ignore_ascii_case(&remote.name));
    know(all.iter().filter_map(|there| address(there).ok()).collect());
    if list().iter().any(|device| device.name.to_lowercase().contains(&remote.name.to_lowercase())) {
        bail!("\"{name}\" is part of the name of another device; choose another name");
    }
    all.push(remote);
    write(paths, &all)
}

/// Forgets a device of another machine. Returns whether there was one of that name.
///
/// # Errors
/// If the list cannot be read or written.
pub(crate) fn remove(paths: &Paths, name: &str) -> anyhow::Result<bool> {
    let mut all = named(paths)?;
    let before = all.len();
    all.retain(|there| !there.name.eq_ignore_ascii_case(name));
    if all.len() < before {
        write(paths, &all)?;
    }
    Ok(all.len() < before)
}

fn write(paths: &Paths, all: &[Remote]) -> anyhow::Result<()> {
    let mut json = serde_json::to_vec_pretty(all)?;
    json.push(b'\n');
    std::fs::create_dir_all(&paths.config)
        .with_context(|| format!("cannot make the folder {}", paths.config.display()))?;
    write_atomically(&file(paths), &json)?;
    know(all.iter().filter_map(|there| address(there).ok()).collect());
    Ok(())
}
