//! What is chosen in the Compress tab, and what it means for a run.

use std::path::PathBuf;

use dualres_compression::{CompressConfig, Method, Overrides, Stage};
use serde::{Deserialize, Serialize};

use crate::language::{tr, translated};

/// How much work a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effort {
    /// The whole path in few steps.
    Quick,
    /// What the shipped networks were made with.
    Standard,
    /// Several times that.
    Thorough,
}

impl Effort {
    /// All of them, the shortest first.
    pub const ALL: [Self; 3] = [Self::Quick, Self::Standard, Self::Thorough];

    /// What to call it.
    pub fn label(self) -> String {
        match self {
            Self::Quick => tr!("Quick look"),
            Self::Standard => tr!("Standard"),
            Self::Thorough => tr!("Thorough"),
        }
    }

    /// What it is for.
    pub fn explanation(self) -> String {
        match self {
            Self::Quick => tr!("The whole path in few steps: a look at what happens, not a good network"),
            Self::Standard => tr!("Enough steps for a network worth keeping"),
            Self::Thorough => tr!("Channels one at a time and five times the fine-tuning: for a night"),
        }
    }

    fn apply(self, config: CompressConfig) -> CompressConfig {
        match self {
            Self::Quick => config.quick(),
            Self::Standard => config,
            Self::Thorough => {
                let mut config = config;
                config.search.steps *= 3;
                config.selection.channels_per_step = 1;
                config.selection.batches = 10;
                config.finetune.steps *= 5;
                config
            }
        }
    }
}

/// What the points of the Pareto plot stand over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CostAxis {
    /// Multiply-accumulates.
    Macs,
    /// Parameters.
    Parameters,
    /// Measured time.
    Milliseconds,
}

/// How curves are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlotChoices {
    /// Whether losses have a logarithmic axis.
    pub log: bool,
    /// Weight of what came before in the exponential mean that is drawn, in `[0, 1)`; 0 draws what was measured.
    pub smoothing: f64,
    /// Whether curves lie over seconds in place of steps.
    pub over_time: bool,
    /// Whether the same stage of several runs begins at the same place.
    pub aligned: bool,
    /// What points of the Pareto plot lie over.
    pub cost: CostAxis,
}

impl Default for PlotChoices {
    fn default() -> Self {
        Self { log: false, smoothing: 0.6, over_time: false, aligned: true, cost: CostAxis::Macs }
    }
}

/// Everything that is chosen in the Compress tab.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompressChoices {
    /// Name of the model to compress.
    pub model: String,
    /// Folders of pictures; those inside the program if none is given.
    pub data: Vec<PathBuf>,
    /// Folder of validation pictures; every fifth picture of the data if not given.
    pub validation: Option<PathBuf>,
    /// Share to remove, in `(0, 1)`.
    pub ratio: f64,
    /// What is set in place of what is usual.
    #[serde(flatten)]
    pub overrides: Overrides,
    /// Whether the widths are those set by hand, without a search.
    pub own_widths: bool,
    /// How much work.
    pub preset: Effort,
    /// Methods to run with the same settings, to compare with.
    pub baselines: Vec<Method>,
    /// Fewest channels of a prunable layer in networks made by the slider.
    pub least: usize,
    /// What widths made by the slider are multiples of.
    pub multiple: usize,
    /// Stage after which runs stop.
    pub stop_after: Option<Stage>,
    /// How curves are drawn.
    pub plots: PlotChoices,
}

impl Default for CompressChoices {
    fn default() -> Self {
        Self {
            model: "x2".into(),
            data: Vec::new(),
            validation: None,
            ratio: 0.5,
            overrides: Overrides::default(),
            own_widths: false,
            preset: Effort::Quick,
            baselines: Vec::new(),
            least: 4,
            multiple: 4,
            stop_after: None,
            plots: PlotChoices::default(),
        }
    }
}

/// Methods in the order they are offered as baselines.
pub(crate) fn baselines() -> impl Iterator<Item = Method> {
    Method::ALL.into_iter().filter(|method| *method != Method::Drc)
}

/// What to call a method.
pub(crate) fn method_label(method: Method) -> String {
    translated(method.about().label)
}

/// What a method does.
pub(crate) fn method_explanation(method: Method) -> String {
    translated(method.about().does)
}

impl CompressChoices {
    /// The settings of a run of `method`, without a teacher; `data` are the pictures, `widths` those set by hand.
    pub(crate) fn config(
        &self,
        method: Method,
        name: &str,
        data: Vec<PathBuf>,
        widths: Option<&[usize]>,
    ) -> CompressConfig {
        let overrides = Overrides { method, ..self.overrides.clone() };
        let usual = self.preset.apply(CompressConfig::new(name, self.ratio));
        let mut config = overrides.apply(usual, None);
        config.data = data;
        config.validation = self.validation.iter().cloned().collect();
        config.widths = widths.filter(|_| self.own_widths).map(<[usize]>::to_vec);
        config
    }
}
