//! The settings of a training run: one definition for command line, run folder and model description.

use std::path::PathBuf;

use dualres_network::{Blueprint, Group};
use serde::{Deserialize, Serialize};

use crate::{Adaptation, Degradation, Optimizers, Result, TrainingError, evaluate::smallest_measurable};

/// Settings of a training run.
///
/// What can be chosen on a command line is declared here for it too: an option has the name, the words and the default of its field. What
/// is skipped depends on more than one option.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "clap", derive(clap::Args), command(about = None, long_about = None))]
pub struct TrainConfig {
    /// Name of the model.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub name: String,
    /// Description of the model, one sentence
    #[serde(default)]
    #[cfg_attr(feature = "clap", arg(long, default_value = ""))]
    pub purpose: String,
    /// Licence of the weights
    #[serde(default = "unknown")]
    #[cfg_attr(feature = "clap", arg(long, default_value_t = unknown()))]
    pub licence: String,
    /// The network.
    #[cfg_attr(feature = "clap", arg(skip = any_network()))]
    pub architecture: Blueprint,
    /// Folders of high-resolution training pictures, or single files.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub data: Vec<PathBuf>,
    /// Folders of high-resolution validation pictures, or single files; they decide which weights are the best. Without
    /// any there is no validation.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub validation: Vec<PathBuf>,
    /// Side in high-resolution pixels that validation pictures are cut to, around their middle; whole if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(skip))]
    pub validation_crop: Option<usize>,
    /// Low-resolution patch size
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 48, value_name = "N"))]
    pub patch: usize,
    /// Batch size
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 16, value_name = "N"))]
    pub batch: usize,
    /// Total steps
    #[cfg_attr(
        feature = "clap",
        arg(long, default_value_t = 100_000, default_value_if("dual_only", "true", "2000"), value_name = "N")
    )]
    pub steps: usize,
    /// Peak learning rate
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 5e-4, default_value_if("dual_only", "true", "2e-3")))]
    pub lr: f64,
    /// Learning rate at the end of the cosine.
    #[cfg_attr(feature = "clap", arg(skip = LR_MIN))]
    pub lr_min: f64,
    /// Warm-up steps
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 200, value_name = "N"))]
    pub warmup: usize,
    /// Weight of the dual regression loss; 0 disables it
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 0.1))]
    pub lambda: f64,
    /// Gradient clipping norm, per network
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 50.0))]
    pub clip: f64,
    /// Skip steps whose loss exceeds this multiple of its running mean
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 10.0))]
    pub skip_threshold: f64,
    /// Decay of the moving average of the weights
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 0.999))]
    pub ema: f64,
    /// Random seed of weights and patches
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 1))]
    pub seed: u64,
    /// Steps between validations and saves
    #[cfg_attr(feature = "clap", arg(long, default_value_t = 500, value_name = "N"))]
    pub validate_every: usize,
    /// Model file to start from.
    #[cfg_attr(feature = "clap", arg(skip))]
    pub init: Option<PathBuf>,
    /// How the network's input comes from the picture, if not by bicubic reduction alone, in training and validation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(skip))]
    pub degradation: Option<Degradation>,
    /// A larger network to learn from as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(skip))]
    pub distillation: Option<Distillation>,
    /// Whether the dual models alone are trained, the network staying as it is.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[cfg_attr(feature = "clap", arg(skip))]
    pub dual_only: bool,
    /// Pictures without truth to learn from as well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "clap", arg(skip))]
    pub adaptation: Option<Adaptation>,
}

/// Learning rate at the end of the cosine, unless the peak itself is lower.
pub const LR_MIN: f64 = 1e-7;

/// Learning from a larger network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Distillation {
    /// Model file of the larger network.
    pub teacher: PathBuf,
    /// Weight of the term; the published code has 1.
    pub weight: f64,
    /// What is learned from it.
    #[serde(default)]
    pub level: DistillationLevel,
}

/// What a network learns from a larger one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum DistillationLevel {
    /// Channel means of the features that the last convolution makes its picture of, by their mean squared difference, as in the
    /// published code: of networks that work at the same resolution
    // What runs of before have.
    #[default]
    Features,
    /// Its pictures, by their mean absolute difference: of any network of the same scale
    Output,
}

fn unknown() -> String {
    dualres_network::UNKNOWN_LICENCE.to_owned()
}

/// In the place of a network that is chosen by other options.
#[cfg(feature = "clap")]
fn any_network() -> Blueprint {
    let block = dualres_network::BlockKind::Residual;
    Blueprint::Backbone(dualres_network::Backbone { block, scale: 2, features: 48, blocks: 6 })
}

impl TrainConfig {
    /// Usual settings for a network.
    pub fn new(name: impl Into<String>, architecture: impl Into<Blueprint>) -> Self {
        Self {
            name: name.into(),
            purpose: String::new(),
            licence: unknown(),
            architecture: architecture.into(),
            data: Vec::new(),
            validation: Vec::new(),
            validation_crop: None,
            patch: 48,
            batch: 16,
            steps: 100_000,
            lr: 5e-4,
            lr_min: LR_MIN,
            warmup: 200,
            lambda: 0.1,
            clip: 50.0,
            skip_threshold: 10.0,
            ema: 0.999,
            seed: 1,
            validate_every: 500,
            init: None,
            degradation: None,
            distillation: None,
            dual_only: false,
            adaptation: None,
        }
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If one makes no sense.
    pub fn validate(&self) -> Result<()> {
        self.architecture.graph()?;
        let wrong = |what: &str| Err(TrainingError::Setting(what.to_owned()));
        if self.data.is_empty() {
            return wrong("training needs at least one folder of pictures");
        }
        if self.patch < 8 {
            return Err(TrainingError::Setting(format!(
                "the patch must have at least 8 pixels a side, not {}",
                self.patch
            )));
        }
        let counts =
            [("batch", self.batch), ("number of steps", self.steps), ("validation interval", self.validate_every)];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(TrainingError::Setting(format!("the {name} must be at least 1")));
        }
        let positive = [("learning rate", self.lr), ("gradient clipping norm", self.clip)];
        if let Some((name, value)) = positive.into_iter().find(|(_, value)| !value.is_finite() || *value <= 0.0) {
            return Err(TrainingError::Setting(format!("the {name} must be a positive, finite number, not {value}")));
        }
        let others = [
            ("final learning rate", self.lr_min),
            ("weight of the dual regression loss", self.lambda),
            ("EMA decay", self.ema),
        ];
        if let Some((name, value)) = others.into_iter().find(|(_, value)| !value.is_finite() || *value < 0.0) {
            return Err(TrainingError::Setting(format!(
                "the {name} must be 0 or a positive, finite number, not {value}"
            )));
        }
        if self.lr_min > self.lr {
            return Err(TrainingError::Setting(format!(
                "the final learning rate, {}, must not be above the learning rate, {}",
                self.lr_min, self.lr
            )));
        }
        if let Some(weight) =
            self.distillation.as_ref().map(|d| d.weight).filter(|weight| !weight.is_finite() || *weight <= 0.0)
        {
            return Err(TrainingError::Setting(format!(
                "the weight of the distillation must be a positive, finite number, not {weight}"
            )));
        }
        let least = smallest_measurable(self.architecture.scale());
        if self.validation_crop.is_some_and(|side| side < least) {
            return Err(TrainingError::Setting(format!(
                "validation pictures must keep at least {least} pixels a side, not {}",
                self.validation_crop.unwrap_or(0)
            )));
        }
        if self.dual_only && (self.init.is_none() || self.lambda == 0.0) {
            return wrong(
                "only the dual models of an existing model can be trained alone, with a positive weight of their loss",
            );
        }
        if let Some(adaptation) = &self.adaptation {
            adaptation.validate(self.batch, !self.validation.is_empty())?;
            if self.init.is_none() || self.lambda == 0.0 || self.dual_only {
                return wrong("adaptation needs an existing model, and a positive weight of the dual regression loss");
            }
        }
        if self.ema >= 1.0 {
            return Err(TrainingError::Setting(format!("the EMA decay must be below 1, not {}", self.ema)));
        }
        if self.skip_threshold.is_nan() || self.skip_threshold <= 1.0 {
            return Err(TrainingError::Setting(format!(
                "the skip threshold must be above 1, not {}",
                self.skip_threshold
            )));
        }
        Ok(())
    }

    /// Which networks the run changes.
    pub(crate) fn trained(&self) -> fn(Group) -> bool {
        if self.dual_only { |group| group != Group::Primal } else { |_| true }
    }

    /// Optimizers of the run's networks.
    pub(crate) fn optimizers(&self, model: &mut dualres_network::Model, decay: f64) -> Optimizers {
        let optimizers = Optimizers::new(model, decay, self.trained());
        match &self.adaptation {
            Some(adaptation) => optimizers.with_duals_after(adaptation.frozen, adaptation.dual_rate, model),
            None => optimizers,
        }
    }

    /// Patches of a step with truth, and without.
    pub(crate) fn patches(&self) -> (usize, usize) {
        let unpaired = self.adaptation.as_ref().map_or(0, |adaptation| adaptation.unpaired(self.batch));
        (self.batch - unpaired, unpaired)
    }

    /// Learning rate of a step: linear warm-up, then a cosine from `lr` to `lr_min`.
    pub fn learning_rate(&self, step: usize) -> f64 {
        if step < self.warmup {
            return self.lr * (step + 1) as f64 / self.warmup as f64;
        }
        let span = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let position = ((step - self.warmup) as f64 / span).min(1.0);
        self.lr_min + (self.lr - self.lr_min) * 0.5 * (1.0 + (std::f64::consts::PI * position).cos())
    }

    /// What differs between two settings in a way that would change a run, if anything.
    pub(crate) fn difference(&self, other: &Self) -> Option<String> {
        let (a, b) = (serde_json::to_value(self), serde_json::to_value(other));
        let (Ok(serde_json::Value::Object(a)), Ok(serde_json::Value::Object(b))) = (a, b) else {
            return Some("unreadable settings".into());
        };
        // Where the file to begin from lies does not matter to a run that has begun; folders are moved.
        let same = |key: &str| match key {
            "init" => file_name(&self.init) == file_name(&other.init),
            // A run may be extended.
            "steps" => self.steps >= other.steps,
            _ => a.get(key) == b.get(key),
        };
        let mut different: Vec<&String> = a.keys().chain(b.keys()).filter(|key| !same(key)).collect();
        // Some of it follows from the number of steps.
        different.sort_by_key(|key| *key == "adaptation");
        let different = *different.first()?;
        let shown = |settings: &serde_json::Map<String, serde_json::Value>| {
            settings.get(different).map_or_else(|| "nothing".to_owned(), ToString::to_string)
        };
        let (there, here) = (shown(&b), shown(&a));
        const READABLE: usize = 120;
        Some(match different.as_str() {
            "architecture" => "another network".to_owned(),
            "adaptation" => match (&self.adaptation, &other.adaptation) {
                (Some(here), Some(there)) if here.pictures != there.pictures || here.contents != there.contents => {
                    "other images to adapt to".to_owned()
                }
                (Some(here), Some(there)) if here.fraction != there.fraction => {
                    format!("fraction: {} there, {} here", there.fraction, here.fraction)
                }
                _ => "other settings of the adaptation".to_owned(),
            },
            name if there.len() + here.len() > READABLE => format!("other {name}"),
            name => format!("{name}: {there} there, {here} here"),
        })
    }
}

fn file_name(path: &Option<PathBuf>) -> Option<&std::ffi::OsStr> {
    path.as_deref().and_then(std::path::Path::file_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn learning_rate_warms_up_and_falls_to_its_minimum() {
        let architecture = dualres_network::Architecture::new(2, 8, 1).unwrap();
        let config = TrainConfig { steps: 1000, warmup: 100, ..TrainConfig::new("t", architecture) };
        assert!((config.learning_rate(0) - config.lr / 100.0).abs() < 1e-12);
        assert!((config.learning_rate(99) - config.lr).abs() < 1e-12);
        assert!((config.learning_rate(100) - config.lr).abs() < 1e-12);
        assert!((config.learning_rate(550) - config.lr / 2.0).abs() < 1e-7);
        assert!((config.learning_rate(1000) - config.lr_min).abs() < 1e-12);
        assert!((1..1000).all(|s| s < 100 || config.learning_rate(s) <= config.learning_rate(s - 1)));
    }
}
