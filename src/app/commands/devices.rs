//! `dualres devices`

use std::time::Instant;

use dualres_engine::Finding;
use dualres_network::device::{self, ComputeDevice, DeviceClass};
use serde_json::json;

use super::{library, waiting};
use crate::{
    built_in,
    cli::{DevicesArgs, DevicesCommand},
    paths::Paths,
    remotes::{self, Remote},
    report::{self, Misuse, Outcome},
    trust::{Notice, Trust, advice, use_precision},
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
    if let Some(which) = &args.check {
        return check(args, which, &paths);
    }
    let automatic = device::choose("auto")?.name;
    let trust = Trust::of(&paths);
    for device in device::list() {
        let known @ [sound, wrong] = trust.known_of(&device);
        let is_default = device.name == automatic;
        if args.json {
            let object = json!({
                "name": device.name,
                "class": device.class.to_string(),
                "detail": device.detail,
                "max_buffer_bytes": device.max_buffer_bytes,
                "half_precision": device.has_half,
                "default": is_default,
                "checks": json!({ "sound": sound, "wrong": wrong }),
            });
            report::line(&object.to_string());
        } else {
            let buffer =
                device.max_buffer_bytes.map(|b| format!(", buffers up to {} MiB", b >> 20)).unwrap_or_default();
            let default = if is_default { " [auto]" } else { "" };
            report::line(&format!("{}{default}", device.name));
            report::line(&format!("    {}, {}{buffer}", device.class, device.detail));
            if known != [0, 0] {
                let times = report::counted(sound + wrong, "check");
                report::line(&format!("    {times} against the CPU: {sound} found it right, {wrong} not"));
            }
        }
    }
    if !args.json
        && let Some(file) = device::tuning_file()
    {
        report::line(&format!("what these GPUs run fastest is kept in {}", file.display()));
    }
    Ok(Outcome::Done)
}

/// Checks devices against the CPU with models, and remembers what is found.
fn check(args: &DevicesArgs, which: &str, paths: &Paths) -> anyhow::Result<Outcome> {
    use_precision(args.precision.wanted());
    let devices: Vec<ComputeDevice> = match which {
        "all" => device::list().into_iter().filter(ComputeDevice::is_real_gpu).collect(),
        name => vec![super::device(name)?],
    };
    if devices.iter().any(|device| device.class == DeviceClass::Cpu) {
        return Err(Misuse("the CPU is what other devices are checked against".into()).into());
    }
    if devices.is_empty() {
        let software = device::list().into_iter().find(|device| device.class == DeviceClass::SoftwareGpu);
        let example = software.map_or("DEVICE", |_| "software");
        report::say(&format!("no GPU to check; name a device to check it: --check={example}"));
        return Ok(Outcome::Done);
    }
    let names = if args.model.is_empty() { built_in::automatic() } else { args.model.clone() };
    let (library, trust) = (library(), Trust::of(paths));
    let mut are_sound = true;
    for device in &devices {
        for name in &names {
            let model = library.choose(Some(name), None)?;
            let bar = waiting(format!("checking {} with the model {name}", device.name));
            let begun = Instant::now();
            let mut wrong = Vec::new();
            let found = trust.check(&model, device, &mut |notice| match notice {
                Notice::NotKept(reason) => wrong.push(reason),
                // What is found is told below.
                Notice::Prepared(part) => bar.set_prefix(format!("{:.0} % of ", part * 100.0)),
                Notice::Checking(_) | Notice::Refused(_) => {}
            });
            bar.finish_and_clear();
            wrong.dedup();
            wrong.iter().for_each(|reason| report::say(&format!("warning: {reason}")));
            let findings = found.as_deref().unwrap_or_default();
            // 16 bits may be too few: then 32 are used.
            let used = findings.iter().find(|(_, finding)| finding.is_sound()).map(|(bits, _)| *bits);
            let is_sound = used.is_some();
            let said = match &found {
                Ok(findings) => {
                    let said: Vec<String> =
                        findings.iter().map(|(bits, finding)| format!("in {bits} bits it {finding}")).collect();
                    let so =
                        used.filter(|_| findings.len() > 1).map_or(String::new(), |bits| format!("; {bits} are used"));
                    said.join(", ") + &so
                }
                Err(error) => report::message(error),
            };
            are_sound &= is_sound;
            if args.json {
                let object = json!({
                    "name": device.name,
                    "detail": device.detail,
                    "model": name,
                    "sound": is_sound,
                    "finding": said,
                    "bits": used,
                    "checks": findings.iter().map(|(bits, finding)| json!({
                        "bits": bits,
                        "sound": finding.is_sound(),
                        "levels": if let Finding::Difference(levels) = finding { Some(levels) } else { None },
                    })).collect::<Vec<_>>(),
                    "seconds": begun.elapsed().as_secs_f64(),
                });
                report::line(&object.to_string());
            } else {
                report::line(&format!(
                    "{}: {}, model {name}: {said}",
                    if is_sound { "ok" } else { "WRONG" },
                    device.name
                ));
                if !is_sound {
                    report::line(&format!("    {}", advice(name, device)));
                }
            }
        }
    }
    Ok(if are_sound { Outcome::Done } else { Outcome::Failed })
}
