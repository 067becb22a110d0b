//! `dualres models`

use anyhow::Context as _;
use std::path::{Path, PathBuf};

use dualres_engine::Upscaler;
use dualres_imaging::file::write_atomically;
use dualres_network::{
    Architecture, Description, Device, LayerWidth, Model, Pooling,
    export::{Exported, onnx},
    families::label,
    import::ImportOptions,
};
use dualres_training::{Degradation, Measuring, correlation::WINDOW};
use serde_json::{Value, json};

use super::{library, progress_bar};
use crate::{
    cli::{ExportFormat, ExportPart, ModelsCommand, OrderArg, PoolingArg},
    foreign, interrupt,
    library::Entry,
    report,
    report::{LeftOut, Misuse, Outcome},
    targets::{Targets, prepare_folder_of},
};

/// Side of the low-resolution input that MACs are stated for, as in the publications.
const MAC_INPUT: usize = 96;

pub(crate) fn run(command: ModelsCommand) -> anyhow::Result<Outcome> {
    match command {
        ModelsCommand::List { json } => list(json),
        ModelsCommand::Show { model, json } => show(&model, json),
        ModelsCommand::Export { model, format, output, overwrite, pooling, part } => {
            export(&model, format, (&output, overwrite), pooling, part)
        }
        ModelsCommand::Calibrate { file, hr, degradation, device } => calibrate(&file, &hr, degradation.0, &device),
        ModelsCommand::Import { file, output, overwrite, licence, dual, range, order, scale } => {
            let given = licence.clone();
            let licence = licence.map(licence_of).transpose()?;
            let range = match range[..] {
                [] => None,
                [low, high] => Some([low, high]),
                _ => return Err(Misuse("--range takes two numbers, such as 0,1".into()).into()),
            };
            let order = foreign::order(order == Some(OrderArg::Bgr));
            let options = ImportOptions { scale, range, order, beside: dual, licence };
            import(&file, (&output, overwrite), &options, given.as_deref().map(Path::new))
        }
    }
}

/// The text of a licence: that of a file, or what was given.
fn licence_of(given: String) -> anyhow::Result<String> {
    let path = Path::new(&given);
    if path.is_file() {
        let bytes = dualres_network::read_file(path)?;
        return String::from_utf8(bytes).with_context(|| format!("the licence is not a text file: {given}"));
    }
    // A file that is not there must not become the licence.
    let named =
        given.contains(['/', '\\']) || ["txt", "md"].iter().any(|end| path.extension().is_some_and(|e| e == *end));
    if path.exists() || (named && !given.contains(' ') && !given.contains("://")) {
        return Err(Misuse(format!("--licence: no such file: {given}")).into());
    }
    Ok(given)
}

/// `given` is what stood for the licence, which may be a file.
fn import(
    file: &Path,
    (output, overwrite): (&Path, bool),
    options: &ImportOptions,
    given: Option<&Path>,
) -> anyhow::Result<Outcome> {
    if !has_ending(output, "safetensors") {
        return Err(Misuse(format!("the output must end in .safetensors: {}", output.display())).into());
    }
    let mut targets = Targets::new(overwrite);
    targets.protect(file);
    // The file with the weights of ncnn lies beside the one that is named.
    targets.protect(&file.with_extension("bin"));
    options.beside.iter().for_each(|beside| targets.protect(beside));
    foreign::licences_beside(file).iter().for_each(|licence| targets.protect(licence));
    given.filter(|licence| licence.is_file()).into_iter().for_each(|licence| targets.protect(licence));
    targets.take(output, || false)?;
    prepare_folder_of(output)?;
    // A large network takes a minute or two.
    let bar = progress_bar(0, "{spinner} looking at what the network makes of a picture, {elapsed}", false);
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let read = foreign::read(file, options);
    bar.finish_and_clear();
    let (mut model, notes) = read?;
    if let Some(stem) = output.file_stem() {
        model.description.name = stem.to_string_lossy().into_owned();
    }
    write_atomically(output, &model.to_bytes())?;
    report::line(&format!("{} written", output.display()));
    report::line(&summary(&model.description));
    notes.iter().for_each(|note| report::line(&format!("  {note}")));
    Ok(Outcome::Done)
}

fn has_ending(path: &Path, ending: &str) -> bool {
    path.extension().is_some_and(|there| there.eq_ignore_ascii_case(ending))
}

fn export(
    name: &str,
    format: Option<ExportFormat>,
    (output, overwrite): (&Path, bool),
    pooling: Option<PoolingArg>,
    part: ExportPart,
) -> anyhow::Result<Outcome> {
    let misuse = |what: String| Err(Misuse(what).into());
    let ending = match output {
        output if has_ending(output, "onnx") => ExportFormat::Onnx,
        output if has_ending(output, "safetensors") => ExportFormat::Safetensors,
        // A name that says something else is somebody's file, or will be taken for one.
        _ => return misuse(format!("the output must end in .onnx or .safetensors: {}", output.display())),
    };
    if format.is_some_and(|format| format != ending) {
        return misuse(format!("--format and the file extension differ: {}", output.display()));
    }
    let format = ending;
    if pooling.is_some() && (format != ExportFormat::Onnx || part != ExportPart::Upscaler) {
        return misuse("--pooling applies only to ONNX export of the upscaler".into());
    }
    let mut targets = Targets::new(overwrite);
    if let Some(place) = library().place(name) {
        targets.protect(&place);
    }
    targets.take(output, || false)?;
    let model = library().load(name)?;
    prepare_folder_of(output)?;
    let (bytes, what) = match (format, part) {
        (ExportFormat::Safetensors, ExportPart::Dual) => {
            return misuse("a model file contains all networks; omit --part".into());
        }
        (ExportFormat::Safetensors, ExportPart::Upscaler) => (model.to_bytes(), "all networks"),
        (ExportFormat::Onnx, ExportPart::Dual) => (onnx(&model, Exported::Reconstruction)?, "the dual models"),
        (ExportFormat::Onnx, ExportPart::Upscaler) => {
            let pooling = match pooling {
                None | Some(PoolingArg::Local) => model.description.local_pooling(),
                Some(PoolingArg::Global) => Pooling::Global,
            };
            (onnx(&model, Exported::Primal(pooling))?, "the upscaler")
        }
    };
    write_atomically(output, &bytes)?;
    report::line(&format!("{} written: {what}, {} bytes", output.display(), bytes.len()));
    Ok(Outcome::Done)
}

fn calibrate(
    name: &str,
    sources: &[PathBuf],
    degradation: Option<Degradation>,
    device: &str,
) -> anyhow::Result<Outcome> {
    crate::signals::listen()?;
    let file = &library().own_file(name)?;
    prepare_folder_of(file)?;
    let device = super::device(device)?;
    let mut model = Model::read(file, &Device::flex())?;
    anyhow::ensure!(
        !model.duals.is_empty(),
        "the model has no dual network, which the predicted error requires: {}",
        file.display()
    );
    let bar = progress_bar(0, "{spinner} image {pos}", false);
    let upscaler = Upscaler::new(&model, &super::vetted(&model, &device)?)?;
    let measuring = Measuring { degradation, ..Measuring::default() };
    let mut left_out = LeftOut::default();
    let calibration = dualres_training::calibrate(&upscaler, sources, measuring, &mut |unmeasured| {
        match unmeasured {
            Some(unusable) => left_out.add(unusable, &bar),
            None => bar.inc(1),
        }
        interrupt::flow()
    });
    bar.finish_and_clear();
    super::tell_of_failures(&upscaler);
    model.description.error_calibration =
        calibration.with_context(|| format!("the model was not changed: {}", file.display()))?;
    write_atomically(file, &model.to_bytes())?;
    report::line(&format!("{}: {}", file.display(), expectation(&model.description)));
    Ok(left_out.end(Outcome::Done))
}

/// How well the errors of a model can be told without the truth.
fn expectation(description: &Description) -> String {
    match &description.error_calibration {
        Some(known) => format!(
            "predicted error: correlation with the true error {:.2} on {} (Spearman, {WINDOW}x{WINDOW} windows)",
            known.correlation, known.set
        ),
        None => "predicted error: not calibrated (run `dualres models calibrate`)".to_owned(),
    }
}

fn list(json: bool) -> anyhow::Result<Outcome> {
    let (entries, complaints) = library().entries()?;
    for complaint in complaints {
        report::say(&format!("warning: {complaint}"));
    }
    for Entry { name, description, .. } in entries {
        if json {
            let mut facts = facts(&description);
            // What commands take it by.
            facts["name"] = json!(name);
            report::line(&facts.to_string());
        } else {
            report::line(&format!("{name:8} {}", description.purpose));
            report::line(&format!("         {}", summary(&description)));
        }
    }
    Ok(Outcome::Done)
}

fn summary(description: &Description) -> String {
    let cost = description.network.executed_cost(MAC_INPUT, MAC_INPUT);
    let quality =
        description.metrics.first().map_or(String::new(), |m| format!(", {} {:.2} dB on {}", m.name, m.value, m.set));
    let compressed = if description.is_compressed() { ", compressed" } else { "" };
    format!(
        "x{}, {}{compressed}, {} parameters, {:.2} G MACs for a {MAC_INPUT}x{MAC_INPUT} input{quality}",
        description.scale(),
        description.family,
        cost.parameters(),
        cost.macs() as f64 / 1e9,
    )
}

fn facts(description: &Description) -> Value {
    let cost = description.network.cost(MAC_INPUT, MAC_INPUT);
    let run = description.network.executed_cost(MAC_INPUT, MAC_INPUT);
    let mut described = serde_json::to_value(description).expect("a description is plain data");
    if let Some(fields) = described.as_object_mut() {
        // Graphs are for files; a DRN is told by its numbers, as ever.
        fields.remove("network");
        fields.remove("duals");
        if let Some(architecture) = Architecture::of_graph(&description.network).filter(|_| description.family == "DRN")
        {
            fields.insert("architecture".into(), json!(architecture));
        }
    }
    json!({
        "description": described,
        "scale": description.scale(),
        "has_duals": !description.duals.is_empty(),
        "parameters": cost.parameters(),
        "dual_parameters": description.dual_parameters(),
        "macs": {"input": [MAC_INPUT, MAC_INPUT], "total": cost.macs()},
        "executed": {"parameters": run.parameters(), "macs": run.macs()},
    })
}

fn show(name: &str, json: bool) -> anyhow::Result<Outcome> {
    let model = library().load(name)?;
    let description = &model.description;
    let cost = description.network.cost(MAC_INPUT, MAC_INPUT);
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
    report::line(&format!("{}: {}", description.name, description.purpose));
    report::line(&summary(description));
    if description.network.executed_cost(MAC_INPUT, MAC_INPUT) != cost {
        let (parameters, giga) = (cost.parameters(), cost.macs() as f64 / 1e9);
        report::line(&format!(
            "as published, before linear layers are fused: {parameters} parameters, {giga:.2} G MACs"
        ));
    }
    report::line(&format!("licence: {}", description.licence));
    let borrowed = if description.borrowed_duals { ", trained with another network" } else { "" };
    report::line(&match model.duals.len() {
        0 => "dual models: none".to_owned(),
        count => format!("dual models: {count}, {} parameters{borrowed}", description.dual_parameters()),
    });
    let operators = description.network.operators();
    let operators: Vec<String> = operators.iter().map(|(kind, count)| format!("{count} {kind}")).collect();
    report::line(&format!("operators: {}", operators.join(", ")));
    let reach = description.network.reach();
    let global = if reach.global { ", and statistics of the whole image" } else { "" };
    report::line(&format!("receptive field: {} pixels on each side{global}", reach.pixels));
    description.import.iter().for_each(|note| report::line(&format!("imported: {note}")));
    for metric in &description.metrics {
        report::line(&format!("{} on {}: {:.3}", metric.name, metric.set, metric.value));
        report::line(&format!("    {}", metric.rule));
    }
    report::line(&expectation(description));
    report::line("");
    report::line("prunable layers");
    for LayerWidth { name, now, before } in description.layer_widths() {
        report::line(&format!("  {:22} {now:4} of {before}", label(&name)));
    }
    let groups = description.network.groups();
    let kept: Vec<_> = groups.iter().filter_map(|group| Some((label(&group.name), group.reason()?))).collect();
    if !kept.is_empty() {
        report::line("");
        report::line("layers that cannot be pruned");
        kept.iter().for_each(|(name, reason)| report::line(&format!("  {name:22} {reason}")));
    }
    report::line("");
    report::line(&format!("{:40} {:>12} {:>14}", "layer", "parameters", format!("MACs at {MAC_INPUT}x{MAC_INPUT}")));
    for layer in &cost.layers {
        report::line(&format!("{:40} {:>12} {:>14}", layer.name, layer.parameters, layer.macs));
    }
    if !description.training.is_null() {
        report::line("");
        format!("training: {}", serde_json::to_string_pretty(&description.training)?).lines().for_each(report::line);
    }
    Ok(Outcome::Done)
}
