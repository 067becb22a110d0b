//! What is refused before anything is begun.

use burn::tensor::Device;
use dualres_network::{Graph, Model};
use dualres_training::{Distillation, DistillationLevel, smallest_measurable};

use crate::{
    CompressConfig, CompressionError, Mode, Result, Widths,
    candidates::{paper_candidates, uniform_widths, uniform_within},
    layers::MAC_INPUT,
    widths::fits,
};

/// Refuses at once what could only fail after hours.
pub(super) fn check(config: &CompressConfig, original: &Model) -> Result<()> {
    config.validate()?;
    let layers = &config.layers(&original.description);
    let scale = original.description.scale();
    let wrong = |what: String| Err(CompressionError::Setting(what));
    if original.duals.is_empty() {
        return Err(CompressionError::NoDuals);
    }
    if layers.is_empty() {
        let groups = original.description.network.groups();
        let reasons: Vec<String> =
            groups.iter().take(3).filter_map(|g| Some(format!("{}: {}", g.name, g.reason()?))).collect();
        return wrong(format!("no layer of the network can be made narrower ({})", reasons.join("; ")));
    }
    let least = original.description.network.min_side();
    let patches = [config.profile.patch, config.search.patch, config.selection.patch, config.finetune.patch];
    if patches.iter().any(|&patch| patch < least) {
        return wrong(format!(
            "patches must have at least {least} pixels a side: with fewer, an operator of the network has nothing to work on"
        ));
    }
    let step = original.description.network.alignment();
    if patches.iter().any(|patch| !patch.is_multiple_of(step)) {
        return wrong(format!(
            "the side of patches must be a multiple of {step}: the network works on whole squares of that size"
        ));
    }
    let least = smallest_measurable(scale);
    if config.validation_crop.is_some_and(|side| side < least) {
        return wrong(format!("validation pictures must keep at least {least} pixels a side"));
    }
    if let Some(Distillation { teacher, weight, level }) = &config.finetune.distillation {
        if !weight.is_finite() || *weight <= 0.0 {
            return wrong("the weight of what is learned from a larger network must be a positive number".into());
        }
        let taught_by = Model::read(teacher, &Device::flex())?.description;
        if taught_by.scale() != scale {
            let times = taught_by.scale();
            return wrong(format!("the network to learn from enlarges {times} times: {}", teacher.display()));
        }
        let side = |graph: &Graph| -> Result<usize> {
            let patch = config.finetune.patch;
            Ok(graph.shapes([patch, patch])?[graph.last_features()].height)
        };
        if *level == DistillationLevel::Features && side(&original.description.network)? != side(&taught_by.network)? {
            return wrong(format!(
                "the features of the network to learn from are of another resolution; learn from its output: {}",
                teacher.display()
            ));
        }
    }
    if config.times.as_ref().is_some_and(|times| !times.fits(layers)) {
        return wrong("the times are those of another network".into());
    }
    if let Some(widths) = &config.widths {
        fits(widths, layers)?;
    }
    let narrowest = match (&config.widths, config.method.about().widths, config.mode) {
        (Some(widths), ..) => widths.clone(),
        (_, Widths::Profile, _) | (_, Widths::Search, Mode::Budget) => layers.narrowest(),
        (_, Widths::Search, Mode::Paper) => {
            layers.widths.iter().map(|&width| paper_candidates(width, config.ratio)[0]).collect()
        }
        (_, _, Mode::Budget) => {
            uniform_within(layers, &config.costs(layers), config.ratio).map_err(|error| match error {
                CompressionError::Budget { least, .. } => out_of_reach(config, least),
                other => other,
            })?
        }
        (_, _, Mode::Paper) => uniform_widths(layers, config.ratio),
    };
    let least = config.costs(layers).share(&narrowest);
    let budgeted = config.widths.is_none() && config.is_budgeted();
    if budgeted && least > 1.0 - config.ratio {
        return Err(out_of_reach(config, least));
    }
    if narrowest == layers.widths {
        let macs = layers.network().cost(MAC_INPUT, MAC_INPUT).macs();
        return Err(CompressionError::NotSmaller { what: "multiply-accumulates", before: macs, after: macs });
    }
    Ok(())
}

/// What is said where the smallest network keeps more than the budget allows.
fn out_of_reach(config: &CompressConfig, least: f64) -> CompressionError {
    let wanted = 1.0 - config.ratio;
    let Some(times) = &config.times else { return CompressionError::Budget { wanted, least } };
    CompressionError::Setting(format!(
        "{:.1} ms is out of reach: the smallest network takes about {:.1} ms on {}; allow more, or prune streams as well",
        wanted * times.whole,
        least * times.whole,
        times.device
    ))
}
