//! The settings of a compression: one definition for command line, window and run folder.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use dualres_network::Description;
use dualres_training::Distillation;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{CompressionError, Layers, Method, Result, TimeTable, allocate::Costs, method::Widths};

/// What the ratio is a budget of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "clap", derive(clap::ValueEnum))]
pub enum Mode {
    // Candidates are multiples of 4 up to that width (to the nearest; layers of 4 channels stay). Methods that do not search keep
    // `ceil((1 - ratio) * width)`, the published control. The multiply-accumulates that are left are reported, not held.
    /// Every prunable layer keeps about 1 - ratio of its channels or fewer, in multiples of 4: the published rule
    Paper,
    /// The network keeps at most 1 - ratio of its multiply-accumulates, allocated across layers and blocks
    Budget,
}

/// Settings of the channel-number search (section 4.2 of the method).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchConfig {
    /// Steps, each one of the architecture and one of the weights.
    pub steps: usize,
    /// Steps at the beginning in which the weights alone learn to live with many widths at once.
    #[serde(default)]
    pub warmup: usize,
    /// Patches a step.
    pub batch: usize,
    /// Side of patches in low-resolution pixels.
    pub patch: usize,
    /// Learning rate of the architecture parameters alpha.
    pub alpha_lr: f64,
    /// Weight decay of alpha.
    pub alpha_decay: f64,
    /// Learning rate of the weights.
    pub lr: f64,
    /// Largest norm of each network's gradient.
    pub clip: f64,
    /// Weight of the dual loss; 0 is the ablation without it.
    pub lambda: f64,
    /// Whether alpha's gradient looks through one step of the weights.
    pub second_order: bool,
    /// Steps between validations; the state is saved at each.
    pub validate_every: usize,
}

/// Settings of the channel selection (section 4.3 of the method).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelectionConfig {
    /// Batches that channels are judged on.
    pub batches: usize,
    /// Patches a batch.
    pub batch: usize,
    /// Side of patches in low-resolution pixels.
    pub patch: usize,
    /// Channels taken between two looks at the gradient. The published procedure takes one; more are faster, and let
    /// channels in that resemble each other.
    pub channels_per_step: usize,
    /// Learning rate of the layer while it is chosen for.
    pub lr: f64,
    /// Weight gamma of the dual regression loss beside the features' mean squared error: 1 makes the gradients of both as
    /// long as each other before a layer has any channel.
    pub gamma: f64,
    /// Weight of the dual loss within the dual regression loss; 0 is the ablation without it.
    pub lambda: f64,
    /// Whether every step sees new patches. Otherwise patches stay and what lies before a prunable layer is computed once: the
    /// same gradients on fewer data, in about half the time.
    pub fresh_patches: bool,
    /// Whether the layers that take the channels are fitted to the original's outputs in closed form, as the network is cut
    /// so far; otherwise by a few steps of gradient descent, as published (methods that choose by the gradient), or from the
    /// profile alone.
    #[serde(default)]
    pub compensate: bool,
}

/// Settings of the sensitivity profile.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProfileConfig {
    /// Batches that losses are measured on.
    pub batches: usize,
    /// Patches a batch.
    pub batch: usize,
    /// Side of patches in low-resolution pixels.
    pub patch: usize,
}

/// Settings of fine-tuning (section 4.4 of the method); everything else is as in training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinetuneConfig {
    /// Steps; 0 leaves the network as it was cut.
    pub steps: usize,
    /// Patches a step.
    pub batch: usize,
    /// Side of patches in low-resolution pixels.
    pub patch: usize,
    /// Highest learning rate.
    pub lr: f64,
    /// Weight of the dual loss.
    pub lambda: f64,
    /// Steps of linear warm-up; by the number of steps if not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warmup: Option<usize>,
    /// Steps between validations; the state is saved at each.
    pub validate_every: usize,
    /// A larger network to learn from as well.
    pub distillation: Option<Distillation>,
}

/// Settings of a compression.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CompressConfig {
    /// Name of the result.
    pub name: String,
    /// Share to be removed, above 0 and below 1.
    pub ratio: f64,
    /// What the share is of.
    pub mode: Mode,
    /// What the network takes on a device by its widths: the budget is one of time then, not of multiply-accumulates.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<TimeTable>,
    /// How widths and channels are found.
    pub method: Method,
    /// Folders of high-resolution pictures, or single files.
    pub data: Vec<PathBuf>,
    /// Folders of high-resolution validation pictures, or single files. Without any, every fifth picture of the data is
    /// kept for validation.
    pub validation: Vec<PathBuf>,
    /// Side in high-resolution pixels that validation pictures are cut to; whole if not given.
    pub validation_crop: Option<usize>,
    /// Seed of everything random.
    pub seed: u64,
    /// Widths that were decided elsewhere, in place of the search.
    pub widths: Option<Vec<usize>>,
    /// Whether streams that run along the network are pruned as well, which the paper leaves alone.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub streams: bool,
    /// File of the sensitivity profile, measured if it is not there; within the run folder if not given. Runs of one
    /// network may share it.
    pub profile_file: Option<PathBuf>,
    /// The sensitivity profile.
    pub profile: ProfileConfig,
    /// The search.
    pub search: SearchConfig,
    /// The selection.
    pub selection: SelectionConfig,
    /// Fine-tuning.
    pub finetune: FinetuneConfig,
}

impl CompressConfig {
    /// Settings for networks that were trained on a CPU and for hours rather than weeks. The published ones are 2,500
    /// steps of the search at learning rates of 3e-4 (alpha) and 1e-4 with gradients clipped at 5, selection on 10
    /// batches of 16 one channel at a time, and a million steps of fine-tuning at 1e-4.
    pub fn new(name: impl Into<String>, ratio: f64) -> Self {
        Self {
            name: name.into(),
            ratio,
            mode: Mode::Budget,
            times: None,
            method: Method::Drc,
            data: Vec::new(),
            validation: Vec::new(),
            validation_crop: None,
            seed: 1,
            widths: None,
            streams: false,
            profile_file: None,
            profile: ProfileConfig { batches: 4, batch: 8, patch: 32 },
            search: SearchConfig {
                steps: 200,
                warmup: 40,
                batch: 8,
                patch: 32,
                alpha_lr: 0.01,
                alpha_decay: 1e-3,
                lr: 1e-4,
                clip: 50.0,
                lambda: 0.1,
                second_order: false,
                validate_every: 20,
            },
            selection: SelectionConfig {
                batches: 6,
                batch: 8,
                patch: 32,
                channels_per_step: 4,
                lr: 5e-5,
                gamma: 1.0,
                lambda: 0.1,
                fresh_patches: false,
                compensate: true,
            },
            finetune: FinetuneConfig {
                steps: 1000,
                batch: 8,
                patch: 32,
                lr: 4e-4,
                lambda: 0.1,
                warmup: None,
                validate_every: 200,
                distillation: None,
            },
        }
    }

    /// The whole path in few steps: a look at what happens, not a good network.
    #[must_use]
    pub fn quick(self) -> Self {
        Self {
            validation_crop: Some(192),
            profile: ProfileConfig { batches: 1, batch: 4, patch: 24 },
            search: SearchConfig {
                steps: 24,
                warmup: 4,
                batch: 4,
                patch: 24,
                alpha_lr: 0.05,
                validate_every: 8,
                ..self.search
            },
            selection: SelectionConfig { batches: 2, batch: 4, patch: 24, channels_per_step: 8, ..self.selection },
            finetune: FinetuneConfig { steps: 60, batch: 4, patch: 24, validate_every: 30, ..self.finetune },
            ..self
        }
    }

    /// Whether the network as a whole has a budget, which is one of what is run.
    pub fn is_budgeted(&self) -> bool {
        self.mode == Mode::Budget || self.method.about().widths == Widths::Profile
    }

    /// Whether a run with these settings needs the sensitivity profile of its network.
    pub fn needs_profile(&self) -> bool {
        match self.method.about().widths {
            // Channels are those of the profile as well.
            Widths::Profile => true,
            Widths::Search => self.mode == Mode::Budget && self.widths.is_none(),
            Widths::Even => false,
        }
    }

    /// Whether a run with these settings searches for widths.
    pub fn searches(&self) -> bool {
        self.method.about().widths == Widths::Search && self.widths.is_none()
    }

    /// The layers that a compression of `description` with these settings works on.
    pub fn layers(&self, description: &Description) -> Layers {
        let run = if self.is_budgeted() { description.network.collapsed().ok() } else { None };
        Layers::of(&run.map_or_else(|| description.network.clone(), Arc::new), self.streams)
    }

    /// What widths of these layers cost: time or multiply-accumulates.
    pub(crate) fn costs(&self, layers: &Layers) -> Costs {
        Costs::under(layers, self.times.as_ref())
    }

    /// Checks the settings.
    ///
    /// # Errors
    /// If one makes no sense.
    pub fn validate(&self) -> Result<()> {
        let wrong = |what: &str| Err(CompressionError::Setting(what.to_owned()));
        if !self.ratio.is_finite() || self.ratio <= 0.0 || self.ratio >= 1.0 {
            return wrong("the ratio must lie between 0 and 1, such as 0.5");
        }
        if self.data.is_empty() {
            return wrong("compression needs at least one folder of pictures");
        }
        let (search, selection, profile, finetune) = (&self.search, &self.selection, &self.profile, &self.finetune);
        if [search.patch, selection.patch, profile.patch, finetune.patch].iter().any(|&patch| patch < 8) {
            return wrong("patches must have at least 8 pixels a side");
        }
        let counts = [search.batch, search.steps, search.validate_every, selection.batch, selection.batches];
        let more = [selection.channels_per_step, profile.batch, profile.batches, finetune.batch];
        if counts.iter().chain(&more).any(|&count| count == 0) || finetune.validate_every == 0 {
            return wrong(
                "batches, channels a step and the steps of the search must be at least 1 (only fine-tuning can be left \
                 out, by 0 steps)",
            );
        }
        let rates = [
            ("learning rate of the choice of widths", search.alpha_lr),
            ("learning rate of the search", search.lr),
            ("gradient clipping norm of the search", search.clip),
            ("learning rate of the selection", selection.lr),
            ("learning rate of fine-tuning", finetune.lr),
        ];
        if let Some((name, value)) = rates.into_iter().find(|(_, rate)| !rate.is_finite() || *rate <= 0.0) {
            return Err(CompressionError::Setting(format!(
                "the {name} must be a positive, finite number, not {value}"
            )));
        }
        let weights = [
            ("lambda of the search", search.lambda),
            ("weight decay of the search", search.alpha_decay),
            ("lambda of the selection", selection.lambda),
            ("gamma of the selection", selection.gamma),
            ("lambda of fine-tuning", finetune.lambda),
        ];
        if let Some((name, value)) = weights.into_iter().find(|(_, weight)| !weight.is_finite() || *weight < 0.0) {
            return Err(CompressionError::Setting(format!(
                "the {name} must be 0 or a positive, finite number, not {value}"
            )));
        }
        if let Some(weight) = finetune.distillation.as_ref().map(|distillation| distillation.weight)
            && (!weight.is_finite() || weight <= 0.0)
        {
            return Err(CompressionError::Setting(format!(
                "the weight of the distillation must be a positive, finite number, not {weight}"
            )));
        }
        Ok(())
    }

    /// What differs between two settings in a way that would change a run, if anything.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let (a, b) = (self.settings(), other.settings());
        let name = a.keys().chain(b.keys()).find(|name| a.get(*name) != b.get(*name))?;
        let shown = |settings: &BTreeMap<String, Value>| {
            settings.get(name).map_or_else(|| "nothing".to_owned(), ToString::to_string)
        };
        Some(format!("{name}: {} there, {} here", shown(&b), shown(&a)))
    }

    /// All settings by dotted names, such as `search.lambda`.
    pub fn settings(&self) -> BTreeMap<String, Value> {
        fn add(prefix: &str, value: Value, all: &mut BTreeMap<String, Value>) {
            match value {
                Value::Object(parts) => {
                    for (name, value) in parts {
                        let name = if prefix.is_empty() { name } else { format!("{prefix}.{name}") };
                        add(&name, value, all);
                    }
                }
                value => {
                    all.insert(prefix.to_owned(), value);
                }
            }
        }
        let mut all = BTreeMap::new();
        add("", serde_json::to_value(self).expect("settings are plain data"), &mut all);
        all
    }
}
