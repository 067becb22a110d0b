//! `dualres adapt`

use std::{ops::ControlFlow, path::PathBuf, time::Instant};

use dualres_imaging::file::{resolve, write_atomically};
use dualres_network::{Device, Model};
use dualres_training::Progress;
use serde_json::json;

use super::{library, progress_bar};
use crate::{
    adaptation::{AdaptationEvent, AdaptationPlan, Adapted, Effort, Origin, adapt},
    cli::{AdaptArgs, EffortArg},
    interrupt,
    paths::Paths,
    report::{self, LeftOut, Misuse, Outcome},
    samples,
    targets::{Targets, prepare_folder, prepare_folder_of},
};

/// Steps after which the time of all of them is known.
const TIMED: usize = 3;

pub(crate) fn run(args: &AdaptArgs) -> anyhow::Result<Outcome> {
    crate::signals::listen()?;
    let plan = plan(args)?;
    let device = super::device(&args.device)?;
    let device = super::vetted(&Model::read(&plan.model, &Device::flex())?, &device)?;
    let bar = progress_bar(plan.steps as u64, "{pos}/{len} {bar:20} {msg}", args.json);
    let mut display =
        Display { bar: bar.clone(), first: None, json: args.json, psnr: None, left_out: LeftOut::default() };
    let adapted = adapt(&plan, &device, &mut |told| display.show(told));
    bar.finish_and_clear();
    if adapted.is_err() {
        // Of a run that did not begin nothing is left; one that has files stays.
        let _ = std::fs::remove_dir(&plan.run);
    }
    let Some(Adapted { model, degradation, before, after, step }) = adapted? else {
        report::say("stopped; run the same command to resume");
        return Ok(display.left_out.end(Outcome::Failed));
    };
    write_atomically(&args.output, &model.to_bytes())?;
    let how = degradation.map_or("none".to_owned(), |how| how.to_string());
    if args.json {
        let object = json!({
            "model": args.output,
            "degradation": how,
            "step": step,
            "before": {"loop_psnr": before.consistency, "paired_psnr_y": before.paired},
            "after": {"loop_psnr": after.consistency, "paired_psnr_y": after.paired},
        });
        report::line(&object.to_string());
    } else {
        report::line(&format!("{} written, after {step} of {} steps", args.output.display(), plan.steps));
        report::line(&format!(
            "consistency PSNR of your photos: {:.2} -> {:.2} dB",
            before.consistency, after.consistency
        ));
        report::line(&format!(
            "PSNR of held-out high-resolution images, degraded alike ({how}): {:.2} -> {:.2} dB",
            before.paired, after.paired
        ));
        report::line(&format!("curves: {}", plan.run.display()));
    }
    Ok(display.left_out.end(Outcome::Done))
}

fn plan(args: &AdaptArgs) -> anyhow::Result<AdaptationPlan> {
    let output = &args.output;
    if !output.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("safetensors")) {
        return Err(Misuse(format!("the output must end in .safetensors: {}", output.display())).into());
    }
    let library = library();
    let mut targets = Targets::new(args.overwrite);
    if let Some(place) = library.place(&args.model) {
        targets.protect(&place);
    }
    targets.take(output, || false)?;
    let model = std::path::absolute(library.file(&args.model)?)?;
    for path in &args.pictures {
        if !path.exists() {
            return Err(Misuse(format!("no such file or folder: {}", path.display())).into());
        }
    }
    for (name, value, fits) in [
        ("--fraction", args.fraction, args.fraction > 0.0 && args.fraction < 1.0),
        ("--lambda", args.lambda, args.lambda > 0.0 && args.lambda.is_finite()),
        ("--lr", args.lr, args.lr > 0.0 && args.lr.is_finite()),
    ] {
        if !fits {
            let rule = if name == "--fraction" { "above 0 and below 1" } else { "a positive, finite number" };
            return Err(Misuse(format!("{name} must be {rule}, not {value}")).into());
        }
    }
    let run = args.run.clone().unwrap_or_else(|| output.with_extension("run"));
    let is_among = |path: &PathBuf| {
        let folder = if path.is_dir() { path.clone() } else { path.parent().unwrap_or(path).to_owned() };
        resolve(&folder) == resolve(&run)
    };
    if args.pictures.iter().any(is_among) {
        return Err(Misuse(format!("--run is a folder of the photos; choose another: {}", run.display())).into());
    }
    prepare_folder_of(output)?;
    prepare_folder(&run)?;
    let data: PathBuf = match &args.data {
        Some(data) => std::path::absolute(data)?,
        None => samples::unpack(&Paths::of_user())?,
    };
    let effort = match args.effort {
        EffortArg::Quick => Effort::Quick,
        EffortArg::Standard => Effort::Standard,
    };
    Ok(AdaptationPlan {
        model,
        from: name_of(&args.model),
        name: output.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        // As they stay wherever the command is run again.
        pictures: args.pictures.iter().map(std::path::absolute).collect::<std::io::Result<_>>()?,
        data,
        origin: args.degradation.map_or(Origin::Unknown, |known| Origin::Known(known.0)),
        steps: args.steps.unwrap_or(effort.steps()),
        fraction: args.fraction,
        lambda: args.lambda,
        lr: args.lr,
        seed: args.seed,
        run,
    })
}

/// A file without its folder: where it lies is nobody's business.
fn name_of(model: &str) -> String {
    std::path::Path::new(model).file_stem().map_or_else(|| model.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

struct Display {
    bar: indicatif::ProgressBar,
    /// The first step of this session, and when it was done.
    first: Option<(usize, Instant)>,
    psnr: Option<f64>,
    json: bool,
    left_out: LeftOut,
}

impl Display {
    fn show(&mut self, told: AdaptationEvent<'_>) -> ControlFlow<()> {
        match told {
            AdaptationEvent::Looking => self.bar.set_message("analysing images"),
            AdaptationEvent::Estimated(found) => {
                let text = format!(
                    "estimated degradation: {} (misfit of the spectra {:.2}, of bicubic alone {:.2}; 0.1 to 0.3 is good)",
                    found.known, found.misfit, found.misfit_bicubic
                );
                self.tell(&text);
            }
            AdaptationEvent::Warning(text) => self.bar.suspend(|| report::say(&format!("warning: {text}"))),
            AdaptationEvent::Unusable(picture) => self.left_out.add(picture, &self.bar),
            AdaptationEvent::Step(progress) => self.step(progress),
            AdaptationEvent::Validated(validation) => self.psnr = Some(validation.psnr_y),
            AdaptationEvent::Measuring => self.bar.set_message("measuring"),
        }
        interrupt::flow()
    }

    fn step(&mut self, progress: &Progress) {
        let (first, since) = *self.first.get_or_insert((progress.step, Instant::now()));
        let done = progress.step - first;
        if done > 0 {
            let seconds = since.elapsed().as_secs_f64() * (progress.steps - progress.step) as f64 / done as f64;
            let left = indicatif::HumanDuration(std::time::Duration::from_secs_f64(seconds));
            if done == TIMED {
                self.tell(&format!("{} more steps, about {left}", progress.steps - progress.step));
            }
            let psnr = self.psnr.map_or(String::new(), |psnr| format!(", {psnr:.2} dB"));
            self.bar.set_message(format!("dual loss of your photos {:.3}{psnr}, {left:#} left", progress.unpaired));
        }
        self.bar.set_position(progress.step as u64);
    }

    fn tell(&self, text: &str) {
        if !self.json {
            self.bar.suspend(|| report::line(text));
        }
    }
}
