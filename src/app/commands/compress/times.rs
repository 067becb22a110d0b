//! Budgets in milliseconds: what a network takes on a device by its widths, measured once and kept.

use std::{fs, io::IsTerminal, path::PathBuf};

use anyhow::{Context, bail};
use dualres_compression::{CompressConfig, TimeTable};
use dualres_imaging::file::write_atomically;
use dualres_network::{Model, device::ComputeDevice};
use sha2::{Digest, Sha256};

use super::super::{progress_bar, vetted};
use crate::{
    cli::CompressArgs,
    interrupt,
    paths::Paths,
    report::{self, Misuse},
};

/// Makes the budget of `config` one of time, if the command line says so.
///
/// # Errors
/// If it makes no sense, or nothing can be measured.
pub(super) fn budget(args: &CompressArgs, model: &Model, config: &mut CompressConfig) -> anyhow::Result<()> {
    let (name, wanted) = match (args.budget_ms, args.speed_up) {
        (Some(wanted), _) => ("--budget-ms", wanted),
        (None, Some(wanted)) => ("--speed-up", wanted),
        (None, None) => return Ok(()),
    };
    if !wanted.is_finite() || wanted <= 0.0 || (args.budget_ms.is_none() && wanted <= 1.0) {
        let least = if args.budget_ms.is_some() { 0 } else { 1 };
        return Err(Misuse(format!("{name} must be a number above {least}, not {}", wanted)).into());
    }
    if !config.is_budgeted() {
        return Err(Misuse(format!("{name} is a budget of the whole network; it does not support --mode paper")).into());
    }
    let device = vetted(model, &super::super::device(&args.device)?)?;
    let times = table(args, model, config, &device)?;
    let share = if args.budget_ms.is_some() { wanted / times.whole } else { 1.0 / wanted };
    if share >= 1.0 {
        return Err(Misuse(format!(
            "the network takes {:.1} ms for {side}x{side} pixels on {}, which is within {name} {}; nothing has to go",
            times.whole,
            times.device,
            wanted,
            side = times.side
        ))
        .into());
    }
    // A short number: it is compared with itself after a way through JSON. Down, so that the budget is kept.
    config.ratio = ((1e4 * (1.0 - share)).ceil() / 1e4).min(0.9999);
    config.times = Some(times);
    Ok(())
}

/// The times that are kept for this network and device, or new ones.
fn table(
    args: &CompressArgs,
    model: &Model,
    config: &CompressConfig,
    device: &ComputeDevice,
) -> anyhow::Result<TimeTable> {
    let layers = config.layers(&model.description);
    let path = file(&layers, device, args.time_side)?;
    let kept = fs::read(&path).ok().and_then(|bytes| serde_json::from_slice::<TimeTable>(&bytes).ok());
    if let Some(kept) = kept.filter(|kept| kept.fits(&layers)) {
        return Ok(kept);
    }
    if layers.is_empty() {
        // The check of the settings says why.
        bail!("no layer of the network can be made narrower");
    }
    let bar = progress_bar(100, "{msg} {bar:20} {pos} %", args.json);
    bar.set_message(format!("timing on {}", device.name));
    if !args.json && !std::io::stderr().is_terminal() {
        // Where no bar is drawn; it takes minutes.
        report::say(&format!("timing shapes on {}", device.name));
    }
    let run = model.collapsed(&dualres_network::Device::flex())?;
    let measured = TimeTable::measure(&run, &layers, device, args.time_side, &mut |done| {
        bar.set_position((100.0 * done) as u64);
        interrupt::flow()
    });
    bar.finish_and_clear();
    let Some(times) = measured? else { bail!("cancelled") };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    }
    write_atomically(&path, &serde_json::to_vec(&times)?)?;
    Ok(times)
}

/// Where the times of a network on a device are kept: what decides them is its form, not its weights.
fn file(layers: &dualres_compression::Layers, device: &ComputeDevice, side: usize) -> anyhow::Result<PathBuf> {
    let mut hash = Sha256::new();
    hash.update(serde_json::to_vec(layers)?);
    let threads = rayon::current_num_threads();
    hash.update(format!("{} {:?} {side} {threads} {}", device.name, device.precision, env!("CARGO_PKG_VERSION")));
    let name: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    Ok(Paths::of_user().cache.join("times").join(name + ".json"))
}
