//! `dualres train`

use std::{ops::ControlFlow, time::Instant};

use dualres_network::{Architecture, Backbone, BlockKind, Blueprint, Device, Model, NetworkError, Preset};
use dualres_training::{LR_MIN, Progress, TrainConfig, TrainEvent, Validation, train};
use serde_json::json;

use super::{library, progress_bar};
use crate::{
    cli::{NetworkArg, PresetArg, TrainArgs},
    interrupt,
    paths::Paths,
    report,
    report::{LeftOut, Misuse, Outcome},
    samples,
    targets::prepare_folder,
};

/// Scale of networks if none is given.
const DEFAULT_SCALE: usize = 2;
/// The model that a run of an earlier version was begun with.
const START_FILE: &str = "start.safetensors";

const BAR: &str = "{pos}/{len} {bar:20} {msg}";

pub(crate) fn run(args: &TrainArgs) -> anyhow::Result<Outcome> {
    crate::signals::listen()?;
    let config = config(args)?;
    prepare_folder(&args.output)?;
    let device = super::device(&args.device)?;
    // Weights do not matter for what a device can do.
    let untrained = Model::init(config.architecture.describe(&config.name)?, config.seed, &Device::flex())?;
    let device = super::vetted(&untrained, &device)?;
    let bar = progress_bar(config.steps as u64, BAR, args.json);
    let mut display = Display {
        bar: bar.clone(),
        psnr: None,
        started: Instant::now(),
        first: 0,
        json: args.json,
        left_out: LeftOut::default(),
    };
    let best = train(&config, &device, &args.output, &mut |event| display.show(event));
    bar.finish_and_clear();
    let best = best?;
    let stopped = interrupt::flow().is_break();
    if !args.json {
        let state = if stopped { "stopped; run the same command to resume" } else { "done" };
        let quality = best.map_or(String::new(), |b| format!(", best {:.3} dB at step {}", b.psnr_y, b.step));
        report::line(&format!("{state}{quality}: {}", args.output.display()));
    }
    Ok(display.left_out.end(if stopped { Outcome::Failed } else { Outcome::Done }))
}

fn config(args: &TrainArgs) -> anyhow::Result<TrainConfig> {
    let (init, given) = match &args.model {
        Some(name) => {
            let library = library();
            let model = library.load(name)?;
            // As earlier versions began their runs.
            let copy = args.output.join(START_FILE);
            let is_copy = std::fs::read(&copy).is_ok_and(|there| there == model.to_bytes());
            let path = if is_copy { copy } else { std::path::absolute(library.file(name)?)? };
            (Some(path), Some(model))
        }
        None => (args.init.as_deref().map(|name| library().file(name)).transpose()?, None),
    };
    let scale = args.scale.unwrap_or(DEFAULT_SCALE);
    let misuse = |error: NetworkError| anyhow::Error::from(Misuse(error.to_string()));
    let architecture = match (&init, args.network) {
        (Some(path), NetworkArg::Drn) => {
            let model = match given {
                Some(model) => model,
                None => Model::read(path, &Device::flex())?,
            };
            match Blueprint::of(&model) {
                Blueprint::Drn(known) => match blocks(args, &known) {
                    Some(blocks) => {
                        Blueprint::Drn(Architecture::with_blocks(known.scale, known.n_feats, blocks).map_err(misuse)?)
                    }
                    None => Blueprint::Drn(known),
                },
                other => other,
            }
        }
        (None, NetworkArg::Drn) => {
            let preset = match args.preset {
                PresetArg::T => Preset::T,
                PresetArg::S => Preset::S,
                PresetArg::L => Preset::L,
            };
            let preset = Architecture::preset(preset, scale).map_err(misuse)?;
            let feats = args.n_feats.unwrap_or(preset.n_feats);
            let blocks = blocks(args, &preset).unwrap_or(preset.n_blocks);
            Blueprint::Drn(Architecture::with_blocks(scale, feats, blocks).map_err(misuse)?)
        }
        (_, network) => {
            let block = match network {
                NetworkArg::Residual | NetworkArg::Drn => BlockKind::Residual,
                NetworkArg::Attention => BlockKind::Attention,
                NetworkArg::Plain => BlockKind::Plain,
                NetworkArg::Pixel => BlockKind::Pixel,
                NetworkArg::Local => BlockKind::Local,
                NetworkArg::Gate => BlockKind::Gate,
            };
            let (features, blocks) = (args.n_feats.unwrap_or(48), args.n_blocks.first().copied().unwrap_or(6));
            Blueprint::Backbone(Backbone { block, scale, features, blocks })
        }
    };
    if let Some(wanted) = args.scale.filter(|&wanted| wanted != architecture.scale()) {
        let there = architecture.scale();
        return Err(
            Misuse(format!("the model is a {there}x model, not {wanted}x; add --network for another scale")).into()
        );
    }
    let data = match &args.data[..] {
        [] => vec![samples::unpack(&Paths::of_user())?],
        data => data.to_vec(),
    };
    let name = args.name.clone().unwrap_or_else(|| format!("x{}", architecture.scale()));
    let lr = args.config.lr;
    let config = TrainConfig {
        name,
        architecture,
        data,
        validation: args.validation.iter().cloned().collect(),
        lr_min: args.lr_min.unwrap_or(LR_MIN.min(lr)),
        init,
        dual_only: args.dual_only,
        degradation: args.degradation.0,
        ..args.config.clone()
    };
    config.validate().map_err(|error| Misuse(error.to_string()))?;
    Ok(config)
}

/// Blocks of each level, if they were named: one number is for all.
fn blocks(args: &TrainArgs, network: &Architecture) -> Option<Vec<usize>> {
    match args.n_blocks[..] {
        [] => None,
        [everywhere] => Some(vec![everywhere; network.levels()]),
        _ => Some(args.n_blocks.clone()),
    }
}

struct Display {
    bar: indicatif::ProgressBar,
    psnr: Option<f64>,
    started: Instant,
    first: usize,
    json: bool,
    left_out: LeftOut,
}

impl Display {
    fn show(&mut self, event: &TrainEvent) -> ControlFlow<()> {
        match event {
            TrainEvent::Started { step, pictures, parameters } => {
                self.started = Instant::now();
                self.first = *step;
                self.bar.set_position(*step as u64);
                if !self.json {
                    let resumed = if *step > 0 { format!(", resuming after step {step}") } else { String::new() };
                    self.bar
                        .println(format!("{}, {parameters} parameters{resumed}", report::counted(*pictures, "image")));
                }
            }
            TrainEvent::Unusable(picture) => self.left_out.add(picture, &self.bar),
            TrainEvent::Warning(text) => self.bar.suspend(|| report::say(&format!("warning: {text}"))),
            TrainEvent::Step(progress) => {
                self.bar.set_message(self.message(progress));
                self.bar.set_position(progress.step as u64);
            }
            TrainEvent::Validated { validation: Validation { step, psnr_y, loop_psnr }, best } => {
                self.psnr = Some(*psnr_y);
                if self.json {
                    let object = json!({
                        "step": step,
                        "psnr_y": psnr_y,
                        "loop_psnr": report::finite(*loop_psnr),
                        "best": best,
                    });
                    report::line(&object.to_string());
                }
            }
        }
        interrupt::flow()
    }

    fn message(&self, progress: &Progress) -> String {
        let psnr = self.psnr.map_or(String::new(), |psnr| format!(", {psnr:.2} dB"));
        let done = progress.step.saturating_sub(self.first).max(1);
        let seconds = self.started.elapsed().as_secs_f64() * (progress.steps - progress.step) as f64 / done as f64;
        let left = indicatif::HumanDuration(std::time::Duration::from_secs_f64(seconds));
        let skipped = if progress.skipped { " (skipped)" } else { "" };
        format!(
            "loss {:.3}{skipped}, dual {:.3}{psnr}, {:.1} images/s, {left:#} left",
            progress.loss, progress.dual, progress.images_per_second
        )
    }
}
