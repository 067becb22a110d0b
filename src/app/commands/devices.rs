//! `dualres devices`

use dualres_network::device;
use serde_json::json;

use crate::{cli::DevicesArgs, report, report::Outcome};

pub(crate) fn run(args: &DevicesArgs) -> anyhow::Result<Outcome> {
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
