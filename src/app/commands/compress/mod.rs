//! `dualres compress`

mod sweep;
mod table;
mod times;

use std::{
    io::IsTerminal,
    ops::ControlFlow,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use dualres_compression::{
    CUT_FILE, CompressConfig, Event, MAC_INPUT, Mode, ORIGINAL_FILE, RESULT_FILE, Report, Stage, StageProgress, Widths,
    compress, parse_widths, resume,
};
use dualres_imaging::file::{resolve, write_atomically, write_new};
use dualres_network::Model;
use serde_json::json;

use super::{library, progress_bar};
use crate::{
    cli::{CompressArgs, CompressCommand},
    interrupt, report,
    report::{LeftOut, Misuse, Outcome},
    targets::{Targets, prepare_folder_of},
    trust,
};

const BAR: &str = "{prefix:9} {pos}/{len} {bar:20} {msg}";

pub(crate) fn run(args: &CompressArgs) -> anyhow::Result<Outcome> {
    match &args.command {
        Some(CompressCommand::Sweep(args)) => sweep::run(args),
        Some(CompressCommand::Table(args)) => table::run(args),
        None => run_one(args),
    }
}

fn run_one(args: &CompressArgs) -> anyhow::Result<Outcome> {
    crate::signals::listen()?;
    if let Some(output) = &args.output
        && output.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("safetensors"))
    {
        return Err(Misuse(format!("--out must end in .safetensors: {}", output.display())).into());
    }
    let run = run_folder(args);
    if let Some(folder) = args.resume.as_ref().filter(|folder| !folder.is_dir()) {
        return Err(Misuse(format!("no run folder to resume: {}", folder.display())).into());
    }
    if let Some(output) = &args.output {
        check_output(output, args, run.as_deref())?;
    }
    let device = super::device(&args.device)?;
    let bar = progress_bar(0, BAR, args.json);
    let mut display =
        Display { bar: bar.clone(), psnr: None, json: args.json, left_out: LeftOut::default(), said: Instant::now() };
    let (folder, finished) = match &args.resume {
        Some(folder) => {
            let device = match trust::model_of_run(folder) {
                Some(model) => super::vetted(&model, &device)?,
                None => device,
            };
            (folder.clone(), resume(folder, args.overrides.finetune_steps, &device, &mut |event| display.show(event))?)
        }
        None => {
            let (config, model, folder) = new_run(args)?;
            let device = super::vetted(&model, &device)?;
            let finished = compress(&config, &model, &device, &folder, &mut |event| display.show(event))?;
            (folder, finished)
        }
    };
    bar.finish_and_clear();
    let stored = folder.join(RESULT_FILE);
    let Some((result, facts)) = finished else {
        let mut again = format!("dualres compress --resume \"{}\"", folder.display());
        if let Some(output) = &args.output {
            again += &format!(" --out \"{}\"", output.display());
        }
        if args.device != "auto" {
            again += &format!(" --device \"{}\"", args.device);
        }
        if args.json {
            report::line(&json!({"stopped": true, "run": folder, "resume": again}).to_string());
        } else {
            report::line(&format!("stopped and saved; resume with: {again}"));
        }
        return Ok(display.left_out.end(Outcome::Failed));
    };
    if let Some(out) = &args.output {
        let kept = || format!("the compressed model is still in {}", stored.display());
        let bytes = result.to_bytes();
        let is_there = || std::fs::read(out).is_ok_and(|there| there == bytes);
        if args.overwrite {
            write_atomically(out, &bytes).with_context(kept)?;
        } else if !write_new(&resolve(out), &bytes).with_context(kept)? && !is_there() {
            // Hours have passed since it was looked at.
            bail!("the output exists by now; use --overwrite to replace it: {} ({})", out.display(), kept());
        }
    }
    tell(&facts, args.output.as_deref(), &folder, args.json)?;
    Ok(display.left_out.end(Outcome::Done))
}

/// The folder of the run that a command begins or goes on with.
fn run_folder(args: &CompressArgs) -> Option<PathBuf> {
    let beside = || args.output.as_ref().map(|output| output.with_extension("run"));
    args.resume.clone().or_else(|| args.run.clone()).or_else(beside)
}

/// Finds out before hours of work whether the result can be written.
fn check_output(output: &Path, args: &CompressArgs, run: Option<&Path>) -> Result<(), Misuse> {
    let mut targets = Targets::new(args.overwrite);
    let library = library();
    let models = [args.model.as_deref(), args.overrides.teacher.as_deref()].into_iter().flatten();
    models.filter_map(|model| library.place(model)).for_each(|path| targets.protect(&path));
    [args.widths.as_deref(), args.profile.as_deref()].into_iter().flatten().for_each(|path| targets.protect(path));
    if let Some(run) = run {
        [ORIGINAL_FILE, RESULT_FILE, CUT_FILE].iter().for_each(|name| targets.protect(&run.join(name)));
    }
    // A command that is given once more, after its end, finds what it wrote.
    let is_own = || {
        let read = |path: &Path| std::fs::read(path).ok();
        run.and_then(|run| read(&run.join(RESULT_FILE))).is_some_and(|result| read(output) == Some(result))
    };
    targets.take(output, is_own)?;
    if run.is_some_and(|run| resolve(run).starts_with(resolve(output))) {
        return Err(Misuse(format!("the output has the path of the run folder: {}", output.display())));
    }
    args.profile.as_deref().map_or(Ok(()), prepare_folder_of)?;
    prepare_folder_of(output)
}

/// Settings, network and folder of a run from the command line.
fn new_run(args: &CompressArgs) -> anyhow::Result<(CompressConfig, Model, PathBuf)> {
    let needed = |what: &str| Misuse(format!("{what} or --resume RUN is required"));
    let name = args.model.as_deref().ok_or_else(|| needed("--model"))?;
    if !says_how_much(args) {
        return Err(needed("--ratio, --speed-up, --budget-ms, --widths").into());
    }
    let output = args.output.as_deref().ok_or_else(|| needed("--out"))?;
    let stem = output.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let model = library().choose(Some(name), None)?;
    let folder = run_folder(args).unwrap_or_else(|| output.with_extension("run"));
    let config = config(args, &model, stem)?;
    if let Some(times) = config.times.as_ref().filter(|_| !args.json) {
        let (side, budget) = (times.side, (1.0 - config.ratio) * times.whole);
        report::say(&format!("{budget:.1} of {:.1} ms for {side}x{side} pixels on {}", times.whole, times.device));
    }
    Ok((config, model, folder))
}

/// Whether a command line says how much is to go.
fn says_how_much(args: &CompressArgs) -> bool {
    args.ratio.is_some() || args.widths.is_some() || args.budget_ms.is_some() || args.speed_up.is_some()
}

/// The settings that a command line stands for; `name` is that of the result where none is given.
///
/// # Errors
/// If they make no sense.
fn config(args: &CompressArgs, model: &Model, name: String) -> anyhow::Result<CompressConfig> {
    let method = args.overrides.method;
    // The profile shares out a budget of the whole network; there is no other way to use it.
    let shares = method.about().widths == Widths::Profile;
    if shares && args.overrides.mode == Mode::Paper {
        let name = method.about().name;
        let why = format!("--method {name} allocates a budget of the whole network; it does not support --mode paper");
        return Err(Misuse(why).into());
    }
    // Absolute: a run is gone on with from other folders than it was begun in.
    let absolute = |path: &PathBuf| {
        std::path::absolute(path).with_context(|| format!("cannot resolve the path {}", path.display()))
    };
    let usual = CompressConfig::new(name, 0.5);
    let usual = if args.quick { usual.quick() } else { usual };
    let teacher = args.overrides.teacher.as_ref().map(|name| absolute(&library().file(name)?)).transpose()?;
    let mut config = args.overrides.apply(usual, teacher);
    let layers = config.layers(&model.description);
    let widths = match &args.widths {
        Some(path) => {
            let text = String::from_utf8(dualres_network::read_file(path)?)
                .with_context(|| format!("not a text file: {}", path.display()))?;
            Some(parse_widths(&text, &layers).with_context(|| path.display().to_string())?)
        }
        None => None,
    };
    let ratio = match (args.ratio, &widths) {
        (Some(ratio), _) => ratio,
        (None, Some(widths)) => {
            let count = |widths: &[usize]| layers.cost(widths).0;
            // A short number: it is compared with itself after a way through JSON.
            (1e4 * (1.0 - count(widths) / count(&layers.widths))).round() / 1e4
        }
        // Known when the network was timed.
        (None, None) => config.ratio,
    };
    config.ratio = ratio;
    if let Some(name) = &args.name {
        config.name.clone_from(name);
    }
    config.data = args.data.iter().map(absolute).collect::<anyhow::Result<_>>()?;
    config.validation = args.validation.iter().map(absolute).collect::<anyhow::Result<_>>()?;
    if let Some(path) = &args.profile {
        if path.extension().is_none_or(|extension| !extension.eq_ignore_ascii_case("safetensors")) {
            return Err(Misuse(format!("--profile must end in .safetensors: {}", path.display())).into());
        }
        if config.mode == Mode::Paper || method.about().widths == Widths::Even {
            return Err(Misuse("--profile requires --method profile, or --method drc with --mode budget".into()).into());
        }
        config.profile_file = Some(absolute(path)?);
    }
    config.validation_crop = args.validation_crop.or(config.validation_crop);
    config.widths = widths;
    config.validate().map_err(|error| Misuse(error.to_string()))?;
    times::budget(args, model, &mut config)?;
    Ok(config)
}

fn tell(facts: &Report, output: Option<&Path>, folder: &Path, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let mut object = serde_json::to_value(facts)?;
        object["out"] = json!(output);
        object["run"] = json!(folder);
        report::line(&object.to_string());
        return Ok(());
    }
    report::line(&format!("{:22} {:>9} {:>9}", "layer", "channels", "of"));
    for row in &facts.width_table {
        report::line(&format!("{:22} {:>9} {:>9}", row.unit, row.width, row.full));
    }
    let side = MAC_INPUT;
    let change = |what: &str, before: String, after: String| report::line(&format!("{what:22} {before:>9} {after:>9}"));
    change("", facts.original.clone(), facts.name.clone());
    let kept = |share: f64| format!("{:.1} %", 100.0 * share);
    let giga = |macs: u64| format!("{:.2} G", macs as f64 / 1e9);
    change(&format!("MACs at {side}x{side}"), giga(facts.macs_before), giga(facts.macs_after));
    change("", "kept".into(), kept(facts.kept_macs_ratio));
    change("parameters", facts.params_before.to_string(), facts.params_after.to_string());
    change("", "kept".into(), kept(facts.kept_params_ratio));
    if let Some(times) = &facts.times {
        let milliseconds = |ms: f64| format!("{ms:.1} ms");
        let what = format!("time at {side}x{side}", side = times.side);
        change(&what, milliseconds(times.before), milliseconds(times.after));
        let share = |share: f64| format!("{:.1} %", 100.0 * share);
        change("  share", String::new(), share(times.after / times.before));
        change("  budget, predicted", share(times.budget), share(times.predicted));
        report::line(&format!("  on {}", times.device));
    }
    let decibels = |psnr: f64| format!("{psnr:.2} dB");
    let crop = facts.validation_crop.map_or(String::new(), |side| format!(", cut to {side}"));
    report::line(&format!("on {}{crop}:", report::counted(facts.validation_pictures, "validation image")));
    change("PSNR-Y", decibels(facts.psnr_before), decibels(facts.psnr_after));
    if facts.finetuned {
        change("  before fine-tuning", String::new(), decibels(facts.psnr_cut));
    } else if facts.finetune_steps > 0 {
        report::line("  not fine-tuned: fine-tuning did not improve it");
    } else {
        report::line("  not fine-tuned");
    }
    if let (Some(before), Some(after)) = (facts.loop_psnr_before, facts.loop_psnr_after) {
        change("consistency PSNR", decibels(before), decibels(after));
    }
    if let Some(entropy) = facts.alpha_entropy.filter(|entropy| *entropy > 0.9) {
        report::line(&format!("the search did not converge (entropy {entropy:.2} of 1); try more --search-steps"));
    }
    if let Some(teacher) = &facts.distilled_from {
        report::line(&format!("distilled from {teacher}"));
    }
    if !facts.macs_within_ratio && !facts.widths_given && facts.times.is_none() {
        report::line(&format!(
            "more than {:.1} % of the multiply-accumulates are left: this mode bounds widths; --mode budget bounds those",
            100.0 * (1.0 - facts.ratio)
        ));
    }
    report::line(&facts.rule);
    if let Some(output) = output {
        report::line(&format!("written: {}", output.display()));
    }
    report::line(&format!("run: {}, network: {}", folder.display(), folder.join(RESULT_FILE).display()));
    Ok(())
}

struct Display {
    bar: indicatif::ProgressBar,
    psnr: Option<f64>,
    json: bool,
    left_out: LeftOut,
    /// When a line was said last.
    said: Instant,
}

impl Display {
    fn show(&mut self, event: &Event) -> ControlFlow<()> {
        match event {
            Event::Stage { stage, step, steps } => {
                self.psnr = None;
                if !self.json && !std::io::stderr().is_terminal() {
                    // Where no bar is drawn, a line a stage.
                    report::say(&format!("{stage}: {step} of {steps} steps done"));
                }
                self.bar.set_length(*steps as u64);
                self.bar.set_position(*step as u64);
                self.bar.set_prefix(stage.to_string());
                self.bar.set_message(if *stage == Stage::Cut { "measuring" } else { "" });
            }
            Event::Unusable(picture) => self.left_out.add(picture, &self.bar),
            Event::Warning(text) => self.bar.suspend(|| report::say(&format!("warning: {text}"))),
            Event::Step(progress) => {
                self.psnr = progress.psnr_y.or(self.psnr);
                self.bar.set_position(progress.step as u64);
                self.bar.set_message(self.message(progress));
                self.say_step(progress);
            }
            Event::Widths(widths) if !self.json => {
                let widths: Vec<_> = widths.iter().map(ToString::to_string).collect();
                self.bar.suspend(|| report::say(&format!("widths: {}", widths.join(" "))));
            }
            Event::Tick | Event::Alpha { .. } | Event::Widths(_) | Event::Unit { .. } => {}
        }
        interrupt::flow()
    }

    /// Where no bar is drawn, a line now and then.
    fn say_step(&mut self, progress: &StageProgress) {
        const EVERY: Duration = Duration::from_secs(10);
        if self.json || std::io::stderr().is_terminal() || self.said.elapsed() < EVERY {
            return;
        }
        self.said = Instant::now();
        let StageProgress { stage, step, steps, .. } = progress;
        report::say(&format!("{stage}: {step} of {steps} steps done, {}", self.message(progress)));
    }

    fn message(&self, progress: &StageProgress) -> String {
        let mut parts = Vec::new();
        if let Some(losses) = progress.losses {
            parts.push(format!("loss {:.3}, dual {:.3}", losses.total, losses.dual));
        }
        parts.extend(self.psnr.map(|psnr| format!("{psnr:.2} dB")));
        parts.push(format!("{:.0} % of MACs", 100.0 * progress.kept_macs));
        parts.extend(progress.entropy.map(|entropy| format!("entropy {entropy:.2}")));
        if let Some(seconds) = progress.seconds_left.filter(|_| progress.step < progress.steps) {
            let left = indicatif::HumanDuration(Duration::from_secs_f64(seconds));
            parts.push(format!("{left:#} left"));
        }
        parts.join(", ")
    }
}
