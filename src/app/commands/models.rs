//! `dualres models`

use std::path::{Path, PathBuf};

use burn::tensor::Device;
use dualres_engine::Upscaler;
use dualres_imaging::file::write_atomically;
use dualres_network::{
    Description, Model, Pooling, cost, device,
    export::{Part, onnx},
    import,
};
use dualres_training::{Degradation, Measuring, correlation::WINDOW};
use serde_json::{Value, json};

use super::{library, progress_bar};
use crate::{
    cli::{ExportFormat, ExportPart, ModelsCommand, PoolingArg},
    interrupt,
    library::Entry,
    report,
    report::{Misuse, Outcome},
};

/// Side of the low-resolution input that MACs are stated for, as in the publications.
const MAC_INPUT: usize = 96;

pub(crate) fn run(command: ModelsCommand) -> anyhow::Result<Outcome> {
    match command {
        ModelsCommand::List { json } => list(json),
        ModelsCommand::Show { model, json } => show(&model, json),
        ModelsCommand::Export { model, format, output, pooling, part } => {
            export(&model, format, &output, pooling, part)
        }
        ModelsCommand::Calibrate { file, hr, degradation, device } => {
            calibrate(&file, &hr, degradation.into(), &device)
        }
        ModelsCommand::Import { file, dual, output, licence } => {
            let mut model = import::read_checkpoints(&file, dual.as_deref(), &Device::flex())?;
            model.description.licence = licence;
            write_atomically(&output, &model.to_bytes())?;
            let duals = if model.duals.is_empty() { ", without dual models" } else { "" };
            report::line(&format!("{} written{duals}\n{}", output.display(), summary(&model.description)));
            Ok(Outcome::Done)
        }
    }
}

fn export(
    name: &str,
    format: Option<ExportFormat>,
    output: &Path,
    pooling: Option<PoolingArg>,
    part: ExportPart,
) -> anyhow::Result<Outcome> {
    let misuse = |what: String| Err(Misuse(what).into());
    let ending = match output.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("onnx") => Some(ExportFormat::Onnx),
        Some("safetensors") => Some(ExportFormat::Safetensors),
        _ => None,
    };
    let format = match (format, ending) {
        (Some(format), Some(ending)) if format != ending => {
            return misuse(format!("the file's name says another format than --format: {}", output.display()));
        }
        (Some(format), _) | (None, Some(format)) => format,
        (None, None) => return misuse("end the name in .onnx or .safetensors, or give --format".into()),
    };
    if pooling.is_some() && (format != ExportFormat::Onnx || part != ExportPart::Upscaler) {
        return misuse("--pooling is for the upscaler as ONNX only".into());
    }
    let model = library().load(name)?;
    let (bytes, what) = match (format, part) {
        (ExportFormat::Safetensors, ExportPart::WayBack) => {
            return misuse("a model file holds all networks of the model; leave out --part".into());
        }
        (ExportFormat::Safetensors, ExportPart::Upscaler) => (model.to_bytes(), "all networks of the model"),
        (ExportFormat::Onnx, ExportPart::WayBack) => (onnx(&model, Part::WayBack)?, "the way back"),
        (ExportFormat::Onnx, ExportPart::Upscaler) => {
            let pooling = match pooling {
                None | Some(PoolingArg::Local) => model.description.local_pooling(),
                Some(PoolingArg::Global) => Pooling::Global,
            };
            (onnx(&model, Part::Primal(pooling))?, "the network from low to high resolution")
        }
    };
    let same = |a: &Path, b: &Path| matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b);
    anyhow::ensure!(!same(output, Path::new(name)), "the output would replace the model: {}", output.display());
    write_atomically(output, &bytes)?;
    report::line(&format!("{} written: {what}, {} bytes", output.display(), bytes.len()));
    Ok(Outcome::Done)
}

fn calibrate(
    file: &Path,
    sources: &[PathBuf],
    degradation: Option<Degradation>,
    device: &str,
) -> anyhow::Result<Outcome> {
    interrupt::listen()?;
    let device = device::choose(device)?;
    let mut model = Model::read(file, &Device::flex())?;
    anyhow::ensure!(
        !model.duals.is_empty(),
        "the model has no dual network, and errors are told with its help: {}",
        file.display()
    );
    let bar = progress_bar(0, "{spinner} picture {pos}", false);
    let upscaler = Upscaler::new(&model, &device)?;
    let measuring = Measuring { degradation, ..Measuring::default() };
    let calibration = dualres_training::calibrate(&upscaler, sources, measuring, &mut || {
        bar.inc(1);
        interrupt::flow()
    });
    bar.finish_and_clear();
    model.description.error_calibration = calibration?;
    write_atomically(file, &model.to_bytes())?;
    report::line(&format!("{}: {}", file.display(), expectation(&model.description)));
    Ok(Outcome::Done)
}

/// How well the errors of a model can be told without the truth.
fn expectation(description: &Description) -> String {
    match &description.error_calibration {
        Some(known) => format!(
            "expected and true error correlate by {:.2} on {} (Spearman, windows of {WINDOW}x{WINDOW})",
            known.correlation, known.set
        ),
        None => "errors not measured (`dualres models calibrate` does)".to_owned(),
    }
}

fn list(json: bool) -> anyhow::Result<Outcome> {
    let (entries, complaints) = library().entries()?;
    for complaint in complaints {
        eprintln!("warning: {complaint}");
    }
    for Entry { name, description, .. } in entries {
        if json {
            report::line(&facts(&description).to_string());
        } else {
            report::line(&format!("{name:8} {}\n         {}", description.purpose, summary(&description)));
        }
    }
    Ok(Outcome::Done)
}

fn summary(description: &Description) -> String {
    let architecture = &description.architecture;
    let cost = cost::count(architecture, MAC_INPUT, MAC_INPUT);
    let quality =
        description.metrics.first().map_or(String::new(), |m| format!(", {} {:.2} dB on {}", m.name, m.value, m.set));
    format!(
        "x{}, {} features, {} blocks a level, {} parameters, {:.2} G MACs for a {MAC_INPUT}x{MAC_INPUT} input{quality}",
        architecture.scale,
        architecture.n_feats,
        architecture.blocks(),
        cost.parameters(),
        cost.macs() as f64 / 1e9,
    )
}

fn facts(description: &Description) -> Value {
    let cost = cost::count(&description.architecture, MAC_INPUT, MAC_INPUT);
    json!({
        "description": description,
        "parameters": cost.parameters(),
        "dual_parameters": cost.dual_parameters,
        "macs": {"input": [MAC_INPUT, MAC_INPUT], "total": cost.macs()},
    })
}

fn show(name: &str, json: bool) -> anyhow::Result<Outcome> {
    let model = library().load(name)?;
    let description = &model.description;
    let cost = cost::count(&description.architecture, MAC_INPUT, MAC_INPUT);
    if json {
        let mut facts = facts(description);
        facts["layers"] = cost
            .layers
            .iter()
            .map(|layer| json!({"name": layer.name, "parameters": layer.parameters, "macs": layer.macs}))
            .collect();
        report::line(&facts.to_string());
        return Ok(Outcome::Done);
    }
    report::line(&format!("{}: {}\n{}", description.name, description.purpose, summary(description)));
    report::line(&format!("licence: {}", description.licence));
    report::line(&match model.duals.first() {
        Some(dual) => format!("dual models: {} of width {}", model.duals.len(), dual.width()),
        None => "dual models: none".to_owned(),
    });
    for metric in &description.metrics {
        report::line(&format!("{} on {}: {:.3}\n    {}", metric.name, metric.set, metric.value, metric.rule));
    }
    report::line(&expectation(description));
    report::line("\ninner widths");
    for (unit, width) in description.architecture.units().iter().zip(&description.architecture.widths) {
        report::line(&format!("  {:22} {width:4} of {}", unit.kind.to_string(), unit.full_width));
    }
    report::line(&format!("\n{:40} {:>12} {:>14}", "layer", "parameters", format!("MACs at {MAC_INPUT}x{MAC_INPUT}")));
    for layer in &cost.layers {
        report::line(&format!("{:40} {:>12} {:>14}", layer.name, layer.parameters, layer.macs));
    }
    if !description.training.is_null() {
        report::line(&format!("\ntraining: {}", serde_json::to_string_pretty(&description.training)?));
    }
    Ok(Outcome::Done)
}
