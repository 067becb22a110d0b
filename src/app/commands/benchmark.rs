//! `dualres benchmark`

use std::{
    process::{Command, Stdio},
    time::Instant,
};

use anyhow::{Context, bail};
use clap::ValueEnum;
use dualres_engine::{Options, Upscaler};
use dualres_imaging::{Picture, Plane};
use dualres_network::device::{Precision, use_gpu_kernels};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::library;
use crate::{cli::BenchmarkArgs, interrupt, report, report::Outcome, trust};

/// A network whose time falls by less than this share of what its multiply-accumulates fall by is warned of.
const FAIR_SHARE: f64 = 0.5;

/// Spread from which times are called noisy.
const NOISY: f64 = 0.2;

/// What a network costs.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Measured {
    model: String,
    /// What it ran on: the CPU where another device failed.
    device: String,
    /// `single` or `half`.
    precision: String,
    /// Of the picture that is enlarged.
    macs: u64,
    parameters: u64,
    median_seconds: f64,
    min_seconds: f64,
    max_seconds: f64,
    /// Interquartile range over the median.
    spread: f64,
    /// Highest resident memory of a process that does nothing else, not counting that of a GPU; `None` where the system
    /// does not tell.
    peak_memory_bytes: Option<u64>,
}

pub(crate) fn run(args: &BenchmarkArgs) -> anyhow::Result<Outcome> {
    crate::signals::listen()?;
    trust::use_precision(args.precision.wanted());
    use_gpu_kernels(args.gpu_kernels.into());
    let (width, height) = args.size;
    let chosen = super::device(&args.device)?;
    let picture = test_picture(width, height);
    let mut upscalers = Vec::new();
    for name in &args.model {
        let mut model = library().choose(Some(name), None)?;
        if !args.proof {
            model = model.without_duals();
        }
        upscalers.push(Upscaler::new(&model, &super::vetted(&model, &chosen)?)?);
    }
    if args.memory_only {
        let Some(upscaler) = upscalers.first() else { bail!("no model") };
        once(upscaler, &picture)?;
        report::line(&json!({"peak_memory_bytes": peak_memory()}).to_string());
        return Ok(Outcome::Done);
    }
    // A first run of each warms up caches, and tunes kernels on a GPU.
    for upscaler in &upscalers {
        once(upscaler, &picture)?;
    }
    // In turns, so that what else the machine does falls on all alike.
    let mut seconds = vec![Vec::new(); upscalers.len()];
    for _ in 0..args.runs {
        for (upscaler, seconds) in upscalers.iter().zip(&mut seconds) {
            let start = Instant::now();
            once(upscaler, &picture)?;
            seconds.push(start.elapsed().as_secs_f64());
        }
    }
    let mut all = Vec::new();
    for ((name, upscaler), mut seconds) in args.model.iter().zip(&upscalers).zip(seconds) {
        let cost = upscaler.model().description.network.executed_cost(width, height);
        seconds.sort_by(f64::total_cmp);
        let at = |share: f64| seconds[((seconds.len() - 1) as f64 * share).round() as usize];
        all.push(Measured {
            model: name.clone(),
            macs: cost.macs(),
            parameters: cost.parameters(),
            median_seconds: median(&seconds),
            min_seconds: seconds[0],
            max_seconds: seconds[seconds.len() - 1],
            spread: (at(0.75) - at(0.25)) / median(&seconds),
            peak_memory_bytes: memory_of(name, args)?,
            precision: match upscaler.device().precision {
                Precision::Single => "single",
                Precision::Half => "half",
            }
            .into(),
            device: upscaler.given_up().map_or(upscaler.device().name.as_str(), |_| "CPU").to_owned(),
        });
    }
    upscalers.iter().for_each(super::tell_of_failures);
    tell(&all, args);
    Ok(Outcome::Done)
}

/// The median of ascending values.
fn median(values: &[f64]) -> f64 {
    let middle = values.len() / 2;
    if values.len() % 2 == 1 { values[middle] } else { (values[middle - 1] + values[middle]) / 2.0 }
}

fn once(upscaler: &Upscaler, picture: &Picture) -> anyhow::Result<()> {
    upscaler.upscale(picture, &Options::default(), &mut |_| interrupt::flow())?;
    Ok(())
}

/// A picture with something everywhere; what it shows does not change what it costs.
fn test_picture(width: usize, height: usize) -> Picture {
    let plane = |phase: f32| {
        let sample = |i: usize| {
            let (x, y) = ((i % width) as f32, (i / width) as f32);
            (128.0 + 100.0 * (x * 0.07 + phase).sin() * (y * 0.05).cos()).round()
        };
        Plane::new(width, height, (0..width * height).map(sample).collect())
    };
    Picture::from_planes(vec![plane(0.0), plane(1.0), plane(2.0)])
}

/// Peak memory of a network in a process of its own: in this one the others' would be counted.
fn memory_of(name: &str, args: &BenchmarkArgs) -> anyhow::Result<Option<u64>> {
    #[derive(Deserialize)]
    struct Answer {
        peak_memory_bytes: Option<u64>,
    }
    let program = std::env::current_exe().context("cannot find the program's own file")?;
    let mut command = Command::new(program);
    // Names and devices may begin as options do.
    let (model, device) = (format!("--model={name}"), format!("--device={}", args.device));
    command.args(["benchmark", "--memory-only", &model, &device]);
    command.args(["--size", &format!("{}x{}", args.size.0, args.size.1)]);
    if args.proof {
        command.arg("--proof");
    }
    if trust::trusts_all() {
        command.arg("--trust-device");
    }
    command.args(["--precision", &value_name(args.precision), "--gpu-kernels", &value_name(args.gpu_kernels)]);
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().context("cannot start a process")?;
    if !output.status.success() {
        bail!("the process that measures the memory of {name} failed");
    }
    let answer: Answer = serde_json::from_slice(&output.stdout).context("no answer on memory")?;
    Ok(answer.peak_memory_bytes)
}

/// What an option calls a value.
fn value_name(value: impl ValueEnum) -> String {
    value.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default()
}

/// Highest resident memory of this process.
fn peak_memory() -> Option<u64> {
    // Systems other than Linux have no such file.
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches("kB").trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// What a network with fewer multiply-accumulates than another should have gained, and did not.
fn disappointment(large: &Measured, small: &Measured) -> Option<String> {
    let (macs, time) = (small.macs as f64 / large.macs as f64, small.median_seconds / large.median_seconds);
    let lacking = macs < 0.95 && 1.0 - time < FAIR_SHARE * (1.0 - macs);
    lacking.then(|| {
        format!(
            "{} has {:.0} % of the multiply-accumulates of {} but takes {:.0} % of its time: narrow layers do not use \
             this device well",
            small.model,
            100.0 * macs,
            large.model,
            100.0 * time
        )
    })
}

fn tell(all: &[Measured], args: &BenchmarkArgs) {
    let mut ran_on: Vec<String> = all.iter().map(|m| format!("{} ({} precision)", m.device, m.precision)).collect();
    ran_on.dedup();
    let device = ran_on.join(", ");
    let others = all.iter().skip(1).map(|other| (&all[0], other));
    let pairs: Vec<_> = others.map(|(a, b)| if b.macs <= a.macs { (a, b) } else { (b, a) }).collect();
    let warnings: Vec<String> = pairs.iter().filter_map(|(large, small)| disappointment(large, small)).collect();
    if args.json {
        let comparisons: Vec<_> = pairs
            .iter()
            .map(|(large, small)| {
                json!({
                    "large": large.model,
                    "small": small.model,
                    "macs_ratio": small.macs as f64 / large.macs as f64,
                    "time_ratio": small.median_seconds / large.median_seconds,
                })
            })
            .collect();
        let object = json!({
            "device": device,
            "threads": rayon::current_num_threads(),
            "size": [args.size.0, args.size.1],
            "runs": args.runs,
            "proof": args.proof,
            "models": all,
            "comparisons": comparisons,
            "warnings": warnings,
        });
        report::line(&object.to_string());
        return;
    }
    report::line(&format!("{}x{} on {device}, {} runs", args.size.0, args.size.1, args.runs));
    report::line(&format!(
        "{:20} {:>10} {:>9} {:>9} {:>7} {:>9} {:>8}",
        "model", "MACs", "median s", "best s", "spread", "memory", "time"
    ));
    for measured in all {
        let memory = measured.peak_memory_bytes.map_or("-".into(), |bytes| format!("{} MB", bytes / 1_000_000));
        report::line(&format!(
            "{:20} {:>8.2} G {:>9.3} {:>9.3} {:>5.1} % {:>9} {:>6.2} x",
            measured.model,
            measured.macs as f64 / 1e9,
            measured.median_seconds,
            measured.min_seconds,
            100.0 * measured.spread,
            memory,
            measured.median_seconds / all[0].median_seconds
        ));
    }
    if all.iter().any(|measured| measured.spread > NOISY) {
        report::line(
            "the machine is noisy: runs of one model differ much; more --runs or a larger --size will tell more",
        );
    }
    for warning in warnings {
        report::line(&format!("warning: {warning}"));
    }
}

/// Reads `WxH`.
pub(crate) fn size(text: &str) -> Result<(usize, usize), String> {
    let read = |part: &str| part.trim().parse::<usize>().ok().filter(|side| (16..=16384).contains(side));
    let sides = text.split_once(['x', 'X']).and_then(|(width, height)| Some((read(width)?, read(height)?)));
    sides.ok_or_else(|| "a size is two numbers from 16 to 16384, such as 512x512".to_owned())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn measured(macs: u64, median_seconds: f64) -> Measured {
        Measured {
            model: "m".into(),
            device: "CPU".into(),
            precision: "single".into(),
            macs,
            parameters: 0,
            median_seconds,
            min_seconds: 0.0,
            max_seconds: 0.0,
            spread: 0.0,
            peak_memory_bytes: None,
        }
    }

    #[test]
    fn a_network_that_is_smaller_but_not_faster_is_named() {
        let large = measured(100, 1.0);
        assert!(disappointment(&large, &measured(50, 0.95)).is_some());
        assert!(disappointment(&large, &measured(50, 1.2)).is_some());
        assert!(disappointment(&large, &measured(50, 0.6)).is_none());
        assert!(disappointment(&large, &measured(99, 1.0)).is_none(), "as good as the same network");
    }

    #[test]
    fn medians_of_even_counts_lie_in_the_middle() {
        assert_eq!((median(&[1.0, 2.0]), median(&[1.0, 2.0, 9.0])), (1.5, 2.0));
    }

    #[test]
    fn sizes_are_read_and_nonsense_is_not() {
        assert_eq!(size("512x384"), Ok((512, 384)));
        for wrong in ["512", "0x5", "axb", "512x", "99999x99999"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }
}
