//! `dualres upscale --check`: what would become of each picture, without the work.

use std::path::Path;

use anyhow::Context;
use dualres_imaging::{COMMENT, Condition, Format, Picture};
use serde_json::json;

use super::models::Models;
use crate::{
    batch::{
        choice::{Kind, choose},
        disk,
        inputs::Inputs,
        recipe::Recipe,
        result::{estimated_size, losses},
    },
    cli::UpscaleArgs,
    interrupt,
    report::{self, Outcome, guarded},
};

/// What would become of a picture.
struct Forecast {
    from: [usize; 2],
    size: [usize; 2],
    format: Format,
    model: String,
    chosen_for: Option<String>,
    kept: Vec<&'static str>,
    lost: Vec<String>,
    /// About how many bytes the file takes.
    bytes: u64,
}

/// Reads each picture and says what a result would keep, convert and lose, or why there would be none.
pub(super) fn run(args: &UpscaleArgs, found: &Inputs, models: &Models, recipe: &Recipe) -> anyhow::Result<Outcome> {
    let (mut fine, mut refused) = (0, 0);
    for problem in &found.problems {
        match args.json {
            true => report::line(&json!({ "error": problem }).to_string()),
            false => report::say(&format!("error: {problem}")),
        }
    }
    for input in &found.pictures {
        if interrupt::flow().is_break() {
            break;
        }
        match guarded(|| forecast(&input.path, models, recipe)) {
            Ok(forecast) => {
                fine += 1;
                say(args.json, &input.path, &forecast);
            }
            Err(error) => {
                refused += 1;
                say_refused(args.json, &input.path, &report::message(&error));
            }
        }
    }
    for (path, advice) in &found.foreign {
        say_refused(args.json, path, &format!("{advice}: {}", path.display()));
    }
    let (all, others) = (found.pictures.len(), found.foreign.len() + found.problems.len());
    if !args.json && all + others > 1 {
        report::line(&format!("{} can be upscaled, {} cannot", report::counted(fine, "image"), refused + others));
    }
    let bad = refused > 0 || !found.problems.is_empty() || interrupt::flow().is_break();
    Ok(if bad { Outcome::Failed } else { Outcome::Done })
}

fn forecast(path: &Path, models: &Models, recipe: &Recipe) -> anyhow::Result<Forecast> {
    let (width, height) = dualres_imaging::upright_dimensions(path)?;
    dualres_engine::check_reading([width, height]).with_context(|| path.display().to_string())?;
    let picture = dualres_imaging::read(path)?;
    let from = [picture.width(), picture.height()];
    let choice = models.is_automatic().then(|| choose(&Condition::of(&picture)));
    let kind = choice.as_ref().map_or(Kind::Clean, |(kind, _)| *kind);
    let scale = models.scale_for(kind, from);
    let format = recipe.format_of(path);
    let size = recipe.size_of(from, scale, format, path)?;
    let lost = losses(&picture, format, recipe.keep);
    let bytes = estimated_size(&picture, size, format, recipe.encoding, recipe.keep)?;
    Ok(Forecast {
        from,
        size,
        format,
        model: models.name(kind, scale),
        chosen_for: choice.map(|(_, why)| why),
        kept: if recipe.keep.strip { Vec::new() } else { kept(&picture, format, &lost) },
        lost,
        bytes,
    })
}

/// What a result takes along, in the order in which people look for it.
fn kept(picture: &Picture, format: Format, lost: &[String]) -> Vec<&'static str> {
    let metadata = &picture.metadata;
    let many = matches!(format, Format::Jpeg | Format::Png | Format::Tiff);
    let any = format != Format::Bmp;
    [
        (metadata.icc.is_some() && any && format != Format::Jxl, "colour profile"),
        (metadata.exif.is_some() && any, "EXIF"),
        (metadata.xmp.is_some() && (many || matches!(format, Format::WebP | Format::Jxl)), "XMP"),
        (metadata.iptc.is_some() && many, "IPTC"),
        (metadata.resources.is_some() && many, "image resources"),
        (!metadata.texts.is_empty() && format == Format::Png, "texts"),
        (metadata.texts.iter().any(|(name, _)| name == COMMENT) && format == Format::Jpeg, "comment"),
        (picture.alpha.is_some() && format != Format::Jpeg, "transparency"),
    ]
    .into_iter()
    .filter_map(|(is_kept, what)| is_kept.then_some(what))
    .filter(|what| !lost.iter().any(|lost| lost.starts_with(what) || lost.ends_with(&format!("all {what}"))))
    .collect()
}

fn say(json: bool, path: &Path, forecast: &Forecast) {
    let Forecast { from, size, format, model, chosen_for, kept, lost, bytes } = forecast;
    if json {
        let object = json!({
            "input": path.to_string_lossy(), "input_size": from, "output_size": size, "format": format.name(),
            "model": model, "chosen_for": chosen_for, "kept": kept, "lost": lost, "bytes": bytes,
        });
        report::line(&object.to_string());
        return;
    }
    let ([from_width, from_height], [width, height]) = (from, size);
    let why = chosen_for.as_ref().map_or(String::new(), |why| format!(" for {why}"));
    report::line(&format!(
        "{}: {from_width}x{from_height} -> {width}x{height} {}, about {}, model {model}{why}",
        path.display(),
        format.name(),
        disk::bytes(*bytes)
    ));
    if !kept.is_empty() {
        report::line(&format!("  kept: {}", kept.join(", ")));
    }
    lost.iter().for_each(|lost| report::line(&format!("  lost: {lost}")));
}

fn say_refused(json: bool, path: &Path, reason: &str) {
    match json {
        true => report::line(&json!({ "input": path.to_string_lossy(), "error": reason }).to_string()),
        false => report::say(&format!("error: {reason}")),
    }
}
