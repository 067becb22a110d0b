//! Measuring a model on pictures by the rules of the benchmarks.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use dualres_engine::{Event, Options, PoolingChoice, Upscaler, true_error};
use dualres_imaging::{
    Picture, Plane,
    psnr::{PsnrRule, psnr},
    resize::{Samples, imresize_picture},
    ssim::ssim_y,
};
use serde::{Deserialize, Serialize};

use crate::{
    Degradation, Reduction, Result, TrainingError, correlation,
    dataset::{listed, pictures_of, pyramid},
    pictures::{Unusable, ground_truth},
};

/// Measures of one picture or means over many.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scores {
    /// PSNR on luma in dB.
    pub psnr_y: f64,
    /// SSIM on luma.
    pub ssim_y: f64,
    /// PSNR between input and dual reconstruction in dB; absent without dual models.
    pub loop_psnr: Option<f64>,
    /// PSNR on luma of bicubic enlargement in dB, for comparison.
    pub bicubic_psnr_y: f64,
    /// PSNR on luma in dB that was expected without the truth; absent if the model has not been calibrated.
    #[serde(default)]
    pub expected_psnr: Option<f64>,
    /// Spearman's correlation of consistency map and true error in windows of [`correlation::WINDOW`] squared pixels of the
    /// input; absent without dual models and for pictures of fewer than three windows.
    #[serde(default)]
    pub consistency_correlation: Option<f64>,
    /// The same of expected and true error.
    #[serde(default)]
    pub expected_correlation: Option<f64>,
}

/// Measures of one picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImageScore {
    /// File name without extension.
    pub name: String,
    /// The measures.
    #[serde(flatten)]
    pub scores: Scores,
}

/// What is told of a picture as soon as it is known.
#[derive(Clone, Copy, Debug)]
pub enum MeasuringEvent<'a> {
    /// It was measured.
    Measured(&'a ImageScore),
    /// It could not be measured, and the others go on.
    LeftOut(&'a Unusable),
}

/// Measures of a folder of pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Each picture.
    pub images: Vec<ImageScore>,
    /// Means over the pictures.
    pub mean: Scores,
    /// Spearman's correlation over the pictures of consistency PSNR and PSNR: whether a low one finds the bad results.
    pub loop_psnr_correlation: Option<f64>,
    /// The same of predicted PSNR and PSNR.
    pub expected_psnr_correlation: Option<f64>,
    /// Pictures that could not be measured, which count for nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Unusable>,
    /// Whether the observer stopped it: not all pictures were looked at.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stopped: bool,
    /// How it was measured.
    pub rule: String,
}

/// How pictures are measured.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measuring {
    /// Pooling of the channel attention.
    pub pooling: PoolingChoice,
    /// Side in pixels that pictures are cut to, around their middle; whole if not given.
    pub crop: Option<usize>,
    /// How the input comes from the picture, if not by bicubic reduction alone; the same for a picture each time.
    pub degradation: Option<Degradation>,
}

/// Evaluates on the pictures of folders, or single files: each is reduced on 8 bits (by MATLAB's bicubic, if not said
/// otherwise), enlarged by the model, rounded to 8 bits and compared. A picture that cannot be read or measured is left out. `observe` is told of each
/// picture and may stop; what was measured until then is returned.
///
/// # Errors
/// If there is no picture, or none could be measured.
pub fn evaluate(
    upscaler: &Upscaler,
    sources: &[PathBuf],
    measuring: Measuring,
    observe: &mut dyn FnMut(MeasuringEvent<'_>) -> ControlFlow<()>,
) -> Result<Evaluation> {
    let paths = pictures_of(sources)?;
    let scale = upscaler.model().description.scale();
    if paths.is_empty() {
        return Err(TrainingError::NoPictures { side: scale, folders: listed(sources) });
    }
    let mut images = Vec::with_capacity(paths.len());
    let mut left_out = Vec::new();
    let mut flow = ControlFlow::Continue(());
    for (index, path) in paths.into_iter().enumerate() {
        let measured = Unusable::of(&path, || {
            Sample::read(&path, scale, measuring, index).and_then(|case| score(upscaler, &case, measuring))
        });
        flow = match measured {
            Ok(scores) => {
                let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
                images.push(ImageScore { name, scores });
                observe(MeasuringEvent::Measured(&images[images.len() - 1]))
            }
            Err(unusable) => {
                left_out.push(unusable);
                observe(MeasuringEvent::LeftOut(&left_out[left_out.len() - 1]))
            }
        };
        if flow.is_break() {
            break;
        }
    }
    let stopped = flow.is_break();
    if images.is_empty() {
        let by_network = left_out.iter().any(|left| left.by_network);
        return Err(match left_out.into_iter().next() {
            Some(_) if !stopped && by_network => TrainingError::NotFinite,
            Some(Unusable { path, reason, .. }) if !stopped => TrainingError::Picture { path, reason },
            _ => TrainingError::Cancelled,
        });
    }
    let across = |get: &dyn Fn(&Scores) -> Option<f64>| {
        let all: Option<Vec<f64>> = images.iter().map(|image| get(&image.scores)).collect();
        let psnr: Vec<f64> = images.iter().map(|image| image.scores.psnr_y).collect();
        all.and_then(|values| correlation::spearman(&values, &psnr))
    };
    let loop_psnr_correlation = across(&|scores| scores.loop_psnr);
    let expected_psnr_correlation = across(&|scores| scores.expected_psnr);
    let (mean, rule) = (mean(&images), rule(scale, measuring.degradation));
    Ok(Evaluation { mean, images, loop_psnr_correlation, expected_psnr_correlation, left_out, stopped, rule })
}

/// Smallest side in high-resolution pixels of a picture that can be measured: SSIM needs its window within what is left
/// after shaving.
pub fn smallest_measurable(scale: usize) -> usize {
    (2 * scale + SSIM_WINDOW).next_multiple_of(scale)
}

/// Side of the window of SSIM.
const SSIM_WINDOW: usize = 11;
/// What a picture counts for at most in a mean of decibels: one that is met exactly must not make it infinite.
const MAX_DECIBELS: f64 = 100.0;

/// How [`evaluate`] measures.
pub fn rule(scale: usize, degradation: Option<Degradation>) -> String {
    let input = degradation.map_or_else(|| Reduction::Bicubic.name(), Degradation::name);
    format!(
        "PSNR and SSIM: {}; SSIM 11x11 Gaussian, sigma 1.5; input by {input}; consistency PSNR: {}",
        PsnrRule::BenchmarkY { scale },
        dualres_engine::LOOP_RULE
    )
}

/// Seed of what is done to the inputs of a measurement.
const DEGRADATION_SEED: u64 = 2024;

/// A picture to measure on: what the network sees, and the truth.
pub(crate) struct Sample {
    pub(crate) input: Picture,
    pub(crate) truth: Picture,
}

impl Sample {
    /// `index` decides what a degradation does to the picture.
    pub(crate) fn read(path: &Path, scale: usize, measuring: Measuring, index: usize) -> Result<Self> {
        let mut picture = ground_truth(path)?;
        if let Some(side) = measuring.crop {
            let (width, height) = (picture.width().min(side), picture.height().min(side));
            picture = picture.crop((picture.width() - width) / 2, (picture.height() - height) / 2, width, height);
        }
        if picture.width() < scale || picture.height() < scale {
            let (width, height) = (picture.width(), picture.height());
            return Err(dualres_imaging::ImagingError::TooSmall { width, height, shave: scale }.into());
        }
        // Benchmarks mix gray and colour files; all are measured as colour.
        let colour = Picture::from_planes(picture.rgb().into_iter().cloned().collect());
        let reduction = measuring.degradation.map_or(Reduction::Bicubic, Degradation::reduction);
        let mut levels = pyramid(&colour, &[1, scale], reduction);
        let truth = levels.pop().expect("a pyramid has levels");
        let input = match measuring.degradation {
            Some(degradation) => {
                degradation.degrade(levels.first().unwrap_or(&truth), DEGRADATION_SEED, index as u64)?
            }
            None => levels.drain(..).next().unwrap_or_else(|| truth.clone()),
        };
        Ok(Self { input, truth })
    }
}

fn score(upscaler: &Upscaler, Sample { input, truth }: &Sample, measuring: Measuring) -> Result<Scores> {
    let scale = upscaler.model().description.scale();
    let options = Options { pooling: measuring.pooling, ..Options::default() };
    let upscaled = upscaler.upscale(input, &options, &mut |_: Event| ControlFlow::Continue(()))?;
    let mut result = upscaled.picture;
    result.quantize();
    let bicubic = imresize_picture(input, scale as f64, Samples::Uint8);
    let rule = PsnrRule::BenchmarkY { scale };
    let error = true_error(&result, truth, scale);
    let against_truth = |map: Option<&Plane>| map.and_then(|map| correlation::of_maps(map, &error));
    Ok(Scores {
        psnr_y: psnr(&result, truth, rule)?,
        ssim_y: ssim_y(&result, truth, rule.shave())?,
        loop_psnr: upscaled.loop_psnr,
        bicubic_psnr_y: psnr(&bicubic, truth, rule)?,
        expected_psnr: upscaled.expected_psnr,
        consistency_correlation: against_truth(upscaled.consistency.as_ref()),
        expected_correlation: against_truth(upscaled.expected_error.as_ref()),
    })
}

fn mean(images: &[ImageScore]) -> Scores {
    let count = images.len() as f64;
    let of = |get: &dyn Fn(&Scores) -> f64| {
        images.iter().map(|image| get(&image.scores).min(MAX_DECIBELS)).sum::<f64>() / count
    };
    let if_all = |get: &dyn Fn(&Scores) -> Option<f64>| {
        let values: Option<Vec<f64>> = images.iter().map(|image| get(&image.scores)).collect();
        values.map(|values| values.iter().map(|value| value.min(MAX_DECIBELS)).sum::<f64>() / count)
    };
    let of_those = |get: &dyn Fn(&Scores) -> Option<f64>| {
        let values: Vec<f64> = images.iter().filter_map(|image| get(&image.scores)).collect();
        (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
    };
    Scores {
        psnr_y: of(&|s| s.psnr_y),
        ssim_y: of(&|s| s.ssim_y),
        loop_psnr: if_all(&|s| s.loop_psnr),
        bicubic_psnr_y: of(&|s| s.bicubic_psnr_y),
        expected_psnr: if_all(&|s| s.expected_psnr),
        consistency_correlation: of_those(&|s| s.consistency_correlation),
        expected_correlation: of_those(&|s| s.expected_correlation),
    }
}
