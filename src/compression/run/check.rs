//! What is refused before anything is begun.

use burn::tensor::Device;
use dualres_network::{Model, cost};
use dualres_training::{Distillation, smallest_measurable};

use crate::{
    CompressConfig, CompressionError, Method, Mode, Result,
    allocate::Costs,
    candidates::{budget_candidates, paper_candidates, uniform_widths, uniform_within},
    report::MAC_INPUT,
    widths::fits,
};

/// Refuses at once what could only fail after hours.
pub(super) fn check(config: &CompressConfig, original: &Model) -> Result<()> {
    config.validate()?;
    let architecture = &original.description.architecture;
    let wrong = |what: String| Err(CompressionError::Setting(what));
    if original.duals.is_empty() {
        return wrong(
            "the model has no dual models, which compression is driven by; train them first (`dualres train --init`)"
                .into(),
        );
    }
    let least = smallest_measurable(architecture.scale);
    if config.validation_crop.is_some_and(|side| side < least) {
        return wrong(format!("validation pictures must keep at least {least} pixels a side"));
    }
    if let Some(Distillation { teacher, weight }) = &config.finetune.distillation {
        if !weight.is_finite() || *weight <= 0.0 {
            return wrong("the weight of what is learned from a larger network must be a positive number".into());
        }
        let taught_by = Model::read(teacher, &Device::flex())?.description.architecture;
        if taught_by.scale != architecture.scale {
            return wrong(format!(
                "the network to learn from enlarges {} times: {}",
                taught_by.scale,
                teacher.display()
            ));
        }
    }
    if let Some(widths) = &config.widths {
        fits(widths, architecture)?;
    }
    let narrowest = match (&config.widths, config.method, config.mode) {
        (Some(widths), ..) => widths.clone(),
        (_, Method::Profile, _) => vec![1; architecture.widths.len()],
        (_, Method::Drc, Mode::Budget) => {
            budget_candidates(architecture, config.ratio).iter().map(|candidates| candidates[0]).collect()
        }
        (_, Method::Drc, Mode::Paper) => {
            architecture.widths.iter().map(|&width| paper_candidates(width, config.ratio)[0]).collect()
        }
        (_, _, Mode::Budget) => uniform_within(architecture, config.ratio)?,
        (_, _, Mode::Paper) => uniform_widths(architecture, config.ratio),
    };
    let least = Costs::of(architecture).share(&narrowest);
    let budgeted = config.widths.is_none() && (config.mode == Mode::Budget || config.method == Method::Profile);
    if budgeted && least > 1.0 - config.ratio {
        return Err(CompressionError::Budget { wanted: 1.0 - config.ratio, least });
    }
    if narrowest == architecture.widths {
        let macs = cost::count(architecture, MAC_INPUT, MAC_INPUT).macs();
        return Err(CompressionError::NotSmaller { what: "multiply-accumulates", before: macs, after: macs });
    }
    Ok(())
}
