//! What the window remembers from one start to the next.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use dualres_imaging::{Depth, EncodeOptions, Format, Subsampling};
use serde::{Deserialize, Serialize};

use super::{compress::choices::CompressChoices, queue::Item, screen::Screens};
use crate::{
    batch::{location, recipe::Recipe, result::Keep, sizes::FinalSize},
    language::{Language, tr},
    naming,
};

/// Inner size of a window that comes up for the first time, in points.
pub(super) const USUAL_SIZE: [f32; 2] = [1280.0, 800.0];

/// Everything that survives a restart, but for the queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    /// How to upscale and where results go.
    pub choices: Choices,
    /// Colours of the window.
    pub theme: ThemeChoice,
    /// The view of the canvas.
    pub view: ViewMode,
    /// Whether what is visible of a picture is upscaled before its run.
    pub live_preview: bool,
    /// Whether the numbers of a picture are open.
    pub details: bool,
    /// Multiplies differences of the dual reconstruction before they are coloured.
    pub gain: f32,
    /// Whether the differences of each picture say by themselves what they are multiplied by.
    pub auto_gain: bool,
    /// The same for predicted errors, which are several times as large.
    pub doubt_gain: f32,
    /// The language of the window; none for that of the system.
    pub language: Option<Language>,
    /// Where the window was.
    pub screens: Screens,
    /// Measured speed in output pixels a second, by model and device.
    pub speeds: BTreeMap<String, f64>,
    /// How many times as fast compressed models are as those they were made from, by model and device.
    pub faster: BTreeMap<String, f64>,
    /// What is chosen in the Compress tab.
    pub compress: CompressChoices,
    /// Multiply-accumulates a second that stages of compression come to, by stage and device.
    pub stage_speeds: BTreeMap<String, f64>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            choices: Choices::default(),
            theme: ThemeChoice::System,
            view: ViewMode::Split,
            live_preview: true,
            details: false,
            // The shipped models miss the original by a fraction of a level: without gain all would be black.
            gain: 4.0,
            auto_gain: true,
            doubt_gain: 1.0,
            language: None,
            screens: Screens::default(),
            speeds: BTreeMap::new(),
            faster: BTreeMap::new(),
            compress: CompressChoices::default(),
            stage_speeds: BTreeMap::new(),
        }
    }
}

impl Settings {
    /// What differences are multiplied by in the chosen view.
    pub fn gain(&self) -> f32 {
        if self.view == ViewMode::Doubt { self.doubt_gain } else { self.gain }
    }

    /// Whether what differences are multiplied by follows the picture in the chosen view.
    pub fn scales_itself(&self) -> bool {
        self.auto_gain
    }

    /// The same, to change.
    pub fn gain_mut(&mut self) -> &mut f32 {
        if self.view == ViewMode::Doubt { &mut self.doubt_gain } else { &mut self.gain }
    }
}

/// Colours of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThemeChoice {
    /// Light text on dark ground: what pictures are best judged on.
    Dark,
    /// Dark text on light ground.
    Light,
    /// As the desktop.
    System,
}

/// How to upscale and where results go.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choices {
    /// Whether each picture decides between the built-in models of the scale of `model`. Settings of before have chosen.
    #[serde(default = "no")]
    pub automatic: bool,
    /// Name of the model.
    pub model: String,
    /// Device by name; `auto` for a real GPU if there is one.
    pub device: String,
    /// Devices that take pictures of the queue too, by name.
    #[serde(default)]
    pub more_devices: Vec<String>,
    /// Gigabytes of a GPU's memory that may be used at a time; 0 for what has proven enough.
    #[serde(default)]
    pub gpu_memory: u32,
    /// How far the dual residual is fed back, in `[0, 1]`.
    pub fidelity: f32,
    /// Format of results.
    pub format: OutputFormat,
    /// Quality of JPEG, AVIF and lossy WebP, 1 to 100.
    pub jpeg_quality: u8,
    /// Whether JPEG holds colours at half the resolution.
    pub half_colours: bool,
    /// Whether JPEG shows a coarse picture first.
    #[serde(default)]
    pub progressive: bool,
    /// Bits a channel, where the format has them.
    pub depth: DepthChoice,
    /// Leave out all metadata but the colour profile.
    pub strip: bool,
    /// How large results are to be.
    pub size: FinalSize,
    /// Folder of results; beside the original if not given.
    #[serde(with = "location::if_any")]
    pub folder: Option<PathBuf>,
    /// Pattern of their names; see [`naming::file_name`].
    pub pattern: String,
}

fn no() -> bool {
    false
}

impl Default for Choices {
    fn default() -> Self {
        Self {
            automatic: true,
            model: "x2".into(),
            device: "auto".into(),
            more_devices: Vec::new(),
            gpu_memory: 0,
            fidelity: 0.0,
            format: OutputFormat::Same,
            jpeg_quality: 95,
            half_colours: false,
            progressive: false,
            depth: DepthChoice::Same,
            strip: false,
            size: FinalSize::Model,
            folder: None,
            pattern: naming::DEFAULT_PATTERN.into(),
        }
    }
}

impl Choices {
    /// How results are made.
    pub fn recipe(&self) -> Recipe {
        Recipe {
            size: self.size,
            format: self.format.format(),
            encoding: self.encoding(),
            keep: self.keep(),
            fidelity: self.fidelity,
            pattern: self.pattern.clone(),
            ..Recipe::default()
        }
    }

    /// How results are written.
    pub fn encoding(&self) -> EncodeOptions {
        let subsampling = if self.half_colours { Subsampling::Half } else { Subsampling::Full };
        let lossy = self.format == OutputFormat::WebPLossy;
        EncodeOptions { quality: self.jpeg_quality, subsampling, progressive: self.progressive, lossy }
    }

    /// What results take along.
    pub fn keep(&self) -> Keep {
        let depth = match self.depth {
            DepthChoice::Same => None,
            DepthChoice::Eight => Some(Depth::Eight),
            DepthChoice::Sixteen => Some(Depth::Sixteen),
            DepthChoice::Float => Some(Depth::Float { white: 1.0 }),
        };
        Keep { strip: self.strip, depth }
    }
}

/// Bits a channel of results, where the format has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DepthChoice {
    /// Those of the original.
    Same,
    /// 8 bits.
    Eight,
    /// 16 bits.
    Sixteen,
    /// 32 bits, floats.
    Float,
}

impl DepthChoice {
    /// All of them, in the order they are offered.
    pub const ALL: [Self; 4] = [Self::Same, Self::Eight, Self::Sixteen, Self::Float];

    /// What to call it.
    pub fn label(self) -> String {
        match self {
            Self::Same => tr!("Bits as the original"),
            Self::Eight => tr!("8 bits"),
            Self::Sixteen => tr!("16 bits"),
            Self::Float => tr!("32 bits (float)"),
        }
    }
}

/// Format of results.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OutputFormat {
    /// That of the original.
    Same,
    /// PNG.
    Png,
    /// JPEG.
    Jpeg,
    /// Lossless WebP.
    WebP,
    /// Lossy WebP.
    WebPLossy,
    /// TIFF.
    Tiff,
    /// AVIF.
    Avif,
    /// JPEG XL, lossless.
    JpegXl,
}

impl OutputFormat {
    /// All of them, in the order they are offered.
    pub const ALL: [Self; 8] =
        [Self::Same, Self::Png, Self::Jpeg, Self::Tiff, Self::WebP, Self::WebPLossy, Self::Avif, Self::JpegXl];

    /// What to call it.
    pub fn label(self) -> String {
        match self {
            Self::Same => tr!("As the original"),
            Self::Png => "PNG".to_owned(),
            Self::Jpeg => "JPEG".to_owned(),
            Self::WebP => tr!("WebP (lossless)"),
            Self::WebPLossy => tr!("WebP (lossy)"),
            Self::Tiff => "TIFF".to_owned(),
            Self::Avif => "AVIF".to_owned(),
            Self::JpegXl => tr!("JPEG XL (lossless, sRGB)"),
        }
    }

    /// The format for the result of a picture of the queue: by its content, as far as that is known.
    pub fn of_item(self, item: &Item) -> Format {
        match (self, item.format) {
            (Self::Same, Some(format)) => format,
            _ => self.of(&item.path),
        }
    }

    /// The format for the result of `original`, by its name.
    pub fn of(self, original: &Path) -> Format {
        self.format().unwrap_or_else(|| Format::like(original))
    }

    /// The format, if it is not that of each original.
    fn format(self) -> Option<Format> {
        match self {
            Self::Same => None,
            Self::Png => Some(Format::Png),
            Self::Jpeg => Some(Format::Jpeg),
            Self::WebP | Self::WebPLossy => Some(Format::WebP),
            Self::Tiff => Some(Format::Tiff),
            Self::Avif => Some(Format::Avif),
            Self::JpegXl => Some(Format::Jxl),
        }
    }
}

/// What the canvas shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ViewMode {
    /// Original, result and dual reconstruction side by side.
    Panes,
    /// Original and result with a line to drag between them.
    Split,
    /// The result alone.
    Result,
    /// Where the dual reconstruction differs from the original, as a heat map.
    Difference,
    /// The result with the places marked where the dual reconstruction differs.
    Overlay,
    /// How large an error is expected where, as a heat map.
    Doubt,
}

impl ViewMode {
    /// All of them, in the order they are offered.
    pub const ALL: [Self; 6] = [Self::Panes, Self::Split, Self::Result, Self::Difference, Self::Overlay, Self::Doubt];

    /// What to call it.
    pub fn label(self) -> String {
        match self {
            Self::Panes => tr!("Side by side"),
            Self::Split => tr!("Split"),
            Self::Result => tr!("Result"),
            Self::Difference => tr!("Difference"),
            Self::Overlay => tr!("Overlay"),
            Self::Doubt => tr!("Predicted error"),
        }
    }

    /// What it is for.
    pub fn explanation(self) -> String {
        match self {
            Self::Panes => tr!("Original, result, and its reconstruction at the original's size"),
            Self::Split => tr!("Original and result with a line between them to drag"),
            Self::Result => tr!("The result alone; hold Space to see the original"),
            Self::Difference => tr!("Difference between reconstruction and original; black where they agree"),
            Self::Overlay => tr!("The result, marked where its reconstruction disagrees with the original"),
            Self::Doubt => tr!("Predicted error of the result against the true image"),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    use crate::window::stored::{read, write};

    #[test]
    fn settings_survive_and_damage_is_told_and_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deep").join("settings.json");
        let (first, complaint): (Settings, _) = read(&path);
        assert_eq!((first.clone(), complaint), (Settings::default(), None));
        let mut changed = first;
        changed.choices.pattern = "{name}-large".into();
        changed.view = ViewMode::Overlay;
        write(&path, &changed).unwrap();
        assert_eq!(read::<Settings>(&path), (changed, None));

        std::fs::write(&path, "{\"choices\": {\"fidelity\": 0.5}}").unwrap();
        let older = read::<Settings>(&path).0;
        assert!((older.choices.fidelity - 0.5).abs() < f32::EPSILON && older.choices.model == "x2");

        // What a newer version wrote.
        let newer =
            r#"{"choices": {"fidelity": 0.5, "format": "jpeg-2100", "aura": 3}, "theme": "sepia", "view": "split"}"#;
        std::fs::write(&path, newer).unwrap();
        let (kept, complaint) = read::<Settings>(&path);
        assert!((kept.choices.fidelity - 0.5).abs() < f32::EPSILON && kept.view == ViewMode::Split);
        assert_eq!((kept.theme, kept.choices.format), (Settings::default().theme, Settings::default().choices.format));
        assert!(complaint.unwrap().contains("theme"));

        std::fs::write(&path, "{").unwrap();
        let (settings, complaint) = read::<Settings>(&path);
        assert_eq!(settings, Settings::default());
        assert!(complaint.unwrap().contains("damaged"));
        assert!(folder.path().join("deep/settings.damaged.json").exists());
    }
}
