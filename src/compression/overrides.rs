//! What a user may set of a compression, beside what it is done on: one declaration for command line and window.

use std::path::PathBuf;

use dualres_training::{Distillation, DistillationLevel};
use serde::{Deserialize, Serialize};

use crate::{CompressConfig, Method, Mode, method::Widths};

/// Settings in place of the usual ones. Those that are not given stay as they are, so that they can be laid over the usual ones and over
/// those of [`CompressConfig::quick`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "clap", derive(clap::Args), command(about = None, long_about = None))]
pub struct Overrides {
    /// Also prune residual streams, which the paper leaves unchanged
    #[cfg_attr(feature = "clap", arg(long))]
    pub streams: bool,
    /// What the ratio is a budget of
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t = Mode::Budget))]
    pub mode: Mode,
    /// How widths and channels are found
    #[cfg_attr(
        feature = "clap",
        arg(long, value_name = "METHOD", value_parser = methods(), default_value = Method::Drc.about().name)
    )]
    pub method: Method,
    /// Weight of the dual loss in search and selection; 0 disables it [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "X"))]
    pub lambda: Option<f64>,
    /// Weight of the dual loss in the search only
    #[cfg_attr(feature = "clap", arg(long, value_name = "X"))]
    pub search_lambda: Option<f64>,
    /// Weight of the dual loss in the selection only
    #[cfg_attr(feature = "clap", arg(long, value_name = "X"))]
    pub selection_lambda: Option<f64>,
    /// Weight of the dual regression loss relative to the feature loss in the selection: at 1 their gradient norms are equal
    /// [default: 1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "X"))]
    pub gamma: Option<f64>,
    /// Weight of the dual loss in fine-tuning [default: 0.1]
    #[cfg_attr(feature = "clap", arg(long, value_name = "X"))]
    pub finetune_lambda: Option<f64>,
    /// Random seed
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 1))]
    pub seed: u64,
    /// Steps of both search and fine-tuning
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub steps: Option<usize>,
    /// Steps of the search [default: 200]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub search_steps: Option<usize>,
    /// Steps of fine-tuning; 0 skips it [default: 1000]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub finetune_steps: Option<usize>,
    /// Peak learning rate of fine-tuning [default: 4e-4]
    #[cfg_attr(feature = "clap", arg(long))]
    pub lr: Option<f64>,
    /// Batch size of all stages [default: 8]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub batch: Option<usize>,
    /// Low-resolution patch size of all stages [default: 32]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub patch: Option<usize>,
    /// Second-order search: four times the work
    #[cfg_attr(feature = "clap", arg(long))]
    pub second_order: bool,
    /// Channels selected per gradient computation; 1 is the published procedure [default: 4]
    #[cfg_attr(feature = "clap", arg(long, value_name = "N"))]
    pub channels_per_step: Option<usize>,
    /// New patches for every selection step, as published, at twice the work
    #[cfg_attr(feature = "clap", arg(long))]
    pub fresh_patches: bool,
    /// Fit weights by gradient descent, as published, instead of least squares on the original's outputs
    #[cfg_attr(feature = "clap", arg(long))]
    pub no_compensation: bool,
    /// Teacher for distillation during fine-tuning, by name or file
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME|FILE"))]
    pub teacher: Option<String>,
    /// Weight of the distillation loss
    #[cfg_attr(feature = "clap", arg(long, value_name = "X", default_value_t = 1.0, requires = "teacher"))]
    pub teacher_weight: f64,
    /// What is learned from the teacher
    #[cfg_attr(feature = "clap", arg(long, value_enum, default_value_t = DistillationLevel::Output, requires = "teacher"))]
    pub teacher_level: DistillationLevel,
}

impl Default for Overrides {
    fn default() -> Self {
        Self {
            streams: false,
            mode: Mode::Budget,
            method: Method::Drc,
            lambda: None,
            search_lambda: None,
            selection_lambda: None,
            gamma: None,
            finetune_lambda: None,
            seed: 1,
            steps: None,
            search_steps: None,
            finetune_steps: None,
            lr: None,
            batch: None,
            patch: None,
            second_order: false,
            channels_per_step: None,
            fresh_patches: false,
            no_compensation: false,
            teacher: None,
            teacher_weight: 1.0,
            teacher_level: DistillationLevel::Output,
        }
    }
}

impl Overrides {
    /// What `config` was made with, however it came to that.
    pub fn of(config: &CompressConfig) -> Self {
        let CompressConfig { search, selection, finetune, .. } = config;
        let distillation = finetune.distillation.as_ref();
        let other = |lambda: f64| (lambda != search.lambda).then_some(lambda);
        Self {
            streams: config.streams,
            mode: config.mode,
            method: config.method,
            lambda: Some(search.lambda),
            search_lambda: None,
            selection_lambda: other(selection.lambda),
            gamma: Some(selection.gamma),
            finetune_lambda: Some(finetune.lambda),
            seed: config.seed,
            steps: None,
            search_steps: Some(search.steps),
            finetune_steps: Some(finetune.steps),
            lr: Some(finetune.lr),
            batch: Some(finetune.batch),
            patch: Some(finetune.patch),
            second_order: search.second_order,
            channels_per_step: Some(selection.channels_per_step),
            fresh_patches: selection.fresh_patches,
            no_compensation: !selection.compensate,
            teacher: distillation.map(|learned| learned.teacher.display().to_string()),
            teacher_weight: distillation.map_or(1.0, |learned| learned.weight),
            teacher_level: distillation.map_or(DistillationLevel::Output, |learned| learned.level),
        }
    }

    /// The same without what says how much work is done: that is what a preset decides about.
    #[must_use]
    pub fn of_preset(&self) -> Self {
        let (steps, search_steps, finetune_steps, channels_per_step) = (None, None, None, None);
        let (batch, patch) = (None, None);
        Self { steps, search_steps, finetune_steps, channels_per_step, batch, patch, ..self.clone() }
    }

    /// `config` with these settings; `teacher` is the file of the teacher, if there is one.
    #[must_use]
    pub fn apply(&self, mut config: CompressConfig, teacher: Option<PathBuf>) -> CompressConfig {
        config.method = self.method;
        config.mode = self.mode;
        if self.method.about().widths == Widths::Profile {
            // It is a budget of the whole network by nature.
            config.mode = Mode::Budget;
        }
        (config.streams, config.seed) = (self.streams, self.seed);
        let (search, selection, finetune) = (&mut config.search, &mut config.selection, &mut config.finetune);
        search.lambda = self.search_lambda.or(self.lambda).unwrap_or(search.lambda);
        selection.lambda = self.selection_lambda.or(self.lambda).unwrap_or(selection.lambda);
        selection.gamma = self.gamma.unwrap_or(selection.gamma);
        finetune.lambda = self.finetune_lambda.unwrap_or(finetune.lambda);
        search.steps = self.search_steps.or(self.steps).unwrap_or(search.steps);
        search.validate_every = search.validate_every.min(search.steps);
        search.second_order = self.second_order;
        finetune.steps = self.finetune_steps.or(self.steps).unwrap_or(finetune.steps);
        finetune.validate_every = finetune.validate_every.min(finetune.steps.max(1));
        finetune.lr = self.lr.unwrap_or(finetune.lr);
        selection.channels_per_step = self.channels_per_step.unwrap_or(selection.channels_per_step);
        selection.fresh_patches = self.fresh_patches;
        selection.compensate = !self.no_compensation;
        for patch in [&mut search.patch, &mut selection.patch, &mut config.profile.patch, &mut finetune.patch] {
            *patch = self.patch.unwrap_or(*patch);
        }
        for batch in [&mut search.batch, &mut selection.batch, &mut config.profile.batch, &mut finetune.batch] {
            *batch = self.batch.unwrap_or(*batch);
        }
        finetune.distillation =
            teacher.map(|teacher| Distillation { teacher, weight: self.teacher_weight, level: self.teacher_level });
        config
    }
}

/// Methods by their names.
#[cfg(feature = "clap")]
fn methods() -> impl clap::builder::TypedValueParser<Value = Method> {
    use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};

    let all = Method::ALL.map(Method::about);
    let named = all.map(|about| PossibleValue::new(about.name).help(about.does));
    PossibleValuesParser::new(named).try_map(|name| Method::named(&name).ok_or("not a method"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The settings of a run give the same run again.
    #[test]
    fn what_a_run_was_made_with_makes_it_again() {
        let usual = || CompressConfig::new("x2-50", 0.5).quick();
        let chosen = Overrides {
            method: Method::Thinet,
            lambda: Some(0.3),
            selection_lambda: Some(2.0),
            gamma: Some(7.0),
            batch: Some(3),
            patch: Some(20),
            lr: Some(1e-3),
            finetune_steps: Some(0),
            no_compensation: true,
            streams: true,
            seed: 9,
            ..Overrides::default()
        };
        let config = chosen.apply(usual(), Some("large.safetensors".into()));
        assert_eq!((config.search.lambda, config.selection.lambda, config.selection.gamma), (0.3, 2.0, 7.0));
        assert_eq!((config.profile.patch, config.finetune.batch, config.finetune.steps), (20, 3, 0));
        assert_eq!(config.search.steps, usual().search.steps, "what is not given stays");
        let again = Overrides::of(&config).apply(usual(), Some("large.safetensors".into()));
        assert_eq!(config, again);
    }
}
