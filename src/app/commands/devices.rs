//! `dualres devices`

use dualres_network::device;
use serde_json::json;

use crate::{
    cli::{DevicesArgs, DevicesCommand},
    paths::Paths,
    remotes::{self, Remote},
    report::{self, Misuse, Outcome},
};

pub(crate) fn run(args: &DevicesArgs) -> anyhow::Result<Outcome> {
    let paths = Paths::of_user();
    match &args.command {
        Some(DevicesCommand::Add { name, address, token_file }) => {
            let remote = Remote { name: name.clone(), address: address.clone(), token_file: token_file.clone() };
            remotes::add(&paths, remote).map_err(|error| Misuse(report::message(&error)))?;
            report::line(&format!("added: {}", name.trim()));
            return Ok(Outcome::Done);
        }
        Some(DevicesCommand::Remove { name }) => {
            if !remotes::remove(&paths, name)? {
                return Err(Misuse(format!("no remote device called \"{name}\"")).into());
            }
            report::line(&format!("removed: {name}"));
            return Ok(Outcome::Done);
        }
        None => {}
    }
    let automatic = device::choose("auto")?.name;
    for device in device::list() {
        let is_default = device.name == automatic;
        if args.json {
            let object = json!({
                "name": device.name,
                "class": device.class.to_string(),
                "detail": device.detail,
                "max_buffer_bytes": device.max_buffer_bytes,
                "default": is_default,
            });
            report::line(&object.to_string());
        } else {
            let buffer =
                device.max_buffer_bytes.map(|b| format!(", buffers up to {} MiB", b >> 20)).unwrap_or_default();
            let default = if is_default { " [auto]" } else { "" };
            report::line(&format!("{}{default}", device.name));
            report::line(&format!("    {}, {}{buffer}", device.class, device.detail));
        }
    }
    Ok(Outcome::Done)
}
