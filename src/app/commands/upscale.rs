//! `dualres upscale`

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context;
use dualres_engine::{Event, Options, Upscaler, heat_map};
use dualres_imaging::{EncodeOptions, find_pictures};
use dualres_network::device::{self, ComputeDevice};
use serde::Serialize;

use super::{
    library,
    outputs::{Outputs, Targets},
    progress_bar,
};
use crate::{
    cli::{PoolingArg, UpscaleArgs},
    interrupt, report,
    report::{Misuse, Outcome},
};

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    input: &'a Path,
    output: &'a Path,
    input_size: [usize; 2],
    output_size: [usize; 2],
    /// File to file.
    seconds: f64,
    /// Output megapixels a second, file to file.
    megapixels_per_s: f64,
    device: &'a str,
    model: &'a str,
    /// Absent without dual models or for a perfect loop.
    loop_psnr: Option<f64>,
}

#[derive(Serialize)]
struct ErrorLine<'a> {
    input: &'a Path,
    error: String,
}

struct Job<'a> {
    args: &'a UpscaleArgs,
    upscaler: Upscaler,
    device: ComputeDevice,
    model: String,
}

pub(crate) fn run(args: &UpscaleArgs) -> anyhow::Result<Outcome> {
    interrupt::listen()?;
    let model = library().choose(args.model.as_deref(), args.scale)?;
    if model.duals.is_empty() && (args.dual.is_some() || args.consistency.is_some()) {
        return Err(Misuse("this model has no dual network, so there is nothing to reconstruct".into()).into());
    }
    if model.duals.is_empty() && args.fidelity > 0 {
        return Err(Misuse("this model has no dual network, so there is no residual for --fidelity".into()).into());
    }
    if args.tile.is_some() && matches!(args.pooling, PoolingArg::Global) {
        return Err(Misuse("--pooling global runs pictures in one piece, without --tile".into()).into());
    }
    let inputs = inputs(args)?;
    let name = model.description.name.clone();
    let mut outputs = Outputs::new(args, &inputs, &name)?;
    let device = device::choose(&args.device)?;
    let job = Job { args, upscaler: Upscaler::new(&model, &device)?, device, model: name.clone() };

    let mut failed = 0;
    for (index, input) in inputs.iter().enumerate() {
        let done = outputs.of(input).and_then(|targets| job.upscale(input, &targets, index, inputs.len()));
        if let Err(error) = done {
            failed += 1;
            if args.json {
                let line = ErrorLine { input, error: report::message(&error) };
                report::line(&serde_json::to_string(&line)?);
            } else {
                report::error(&error);
            }
        }
        if interrupt::flow().is_break() {
            return Ok(Outcome::Failed);
        }
    }
    if failed > 0 && inputs.len() > 1 && !args.json {
        eprintln!("{failed} of {} pictures failed", inputs.len());
    }
    Ok(if failed > 0 { Outcome::Failed } else { Outcome::Done })
}

/// The pictures named, and those of the folders named.
fn inputs(args: &UpscaleArgs) -> anyhow::Result<Vec<PathBuf>> {
    let mut inputs = Vec::new();
    for input in &args.inputs {
        if input.is_dir() {
            let found = find_pictures(input)?;
            if found.is_empty() {
                return Err(Misuse(format!("no picture in the folder {}", input.display())).into());
            }
            inputs.extend(found);
        } else {
            inputs.push(input.clone());
        }
    }
    Ok(inputs)
}

impl Job<'_> {
    fn upscale(&self, input: &Path, targets: &Targets, index: usize, count: usize) -> anyhow::Result<()> {
        let start = Instant::now();
        let picture = dualres_imaging::read(input)?;
        let options = Options {
            tile: self.args.tile.map(|t| t as usize),
            pooling: self.args.pooling.into(),
            fidelity: f32::from(self.args.fidelity) / 100.0,
        };
        let bar = progress_bar(0, "{prefix} {bar:30} {pos}/{len} tiles, {eta} left", self.args.json);
        bar.set_prefix(format!("[{}/{count}] {}", index + 1, input.file_name().unwrap_or_default().to_string_lossy()));
        let result = self.upscaler.upscale(&picture, &options, &mut |event| {
            match event {
                Event::Started { tiles } => bar.set_length(tiles as u64),
                Event::Tile { done, .. } => bar.set_position(done as u64),
                Event::Refining { .. } | Event::Reconstructing { .. } | Event::Reconstructed { .. } => {}
            }
            interrupt::flow()
        });
        bar.finish_and_clear();
        let result = result.with_context(|| input.display().to_string())?;
        if result.retried_tiles > 0 {
            eprintln!("warning: {} failed {} tiles, which were run on the CPU", self.device.name, result.retried_tiles);
        }

        let encode = EncodeOptions { jpeg_quality: self.args.quality };
        dualres_imaging::write(&targets.picture, &result.picture, encode)?;
        if let (Some(path), Some(reconstruction)) = (&targets.dual, result.reconstructions.last()) {
            dualres_imaging::write(path, reconstruction, encode)?;
        }
        if let (Some(path), Some(consistency)) = (&targets.consistency, &result.consistency) {
            dualres_imaging::write(path, &heat_map(consistency), encode)?;
        }

        let seconds = start.elapsed().as_secs_f64();
        let size = |p: &dualres_imaging::Picture| [p.width(), p.height()];
        let output_size = size(&result.picture);
        let line = Line {
            input,
            output: &targets.picture,
            input_size: size(&picture),
            output_size,
            seconds,
            megapixels_per_s: (output_size[0] * output_size[1]) as f64 / 1e6 / seconds,
            device: &self.device.name,
            model: &self.model,
            loop_psnr: report::finite(result.loop_psnr),
        };
        if self.args.json {
            report::line(&serde_json::to_string(&line)?);
        } else {
            let proof = result.loop_psnr.map_or(String::new(), |psnr| format!(", loop PSNR {psnr:.1} dB"));
            report::line(&format!(
                "{} -> {}: {}x{} -> {}x{} in {seconds:.1} s on {}{proof}",
                input.display(),
                targets.picture.display(),
                line.input_size[0],
                line.input_size[1],
                output_size[0],
                output_size[1],
                self.device.name,
            ));
        }
        Ok(())
    }
}
