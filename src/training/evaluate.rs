//! Measuring a model on pictures by the rules of the benchmarks.

use std::{ops::ControlFlow, path::PathBuf};

use dualres_engine::{Event, Options, PoolingChoice, Upscaler};
use dualres_imaging::{
    Picture,
    psnr::{PsnrRule, psnr},
    resize::{Samples, imresize_picture},
    ssim::ssim_y,
};
use serde::{Deserialize, Serialize};

use crate::{
    Degradation, Result, TrainingError,
    dataset::{listed, pictures_of, pyramid},
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

/// Measures of a folder of pictures.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// Each picture.
    pub images: Vec<ImageScore>,
    /// Means over the pictures.
    pub mean: Scores,
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
    /// What is done to the input on top of bicubic reduction; the same for a picture each time.
    pub degradation: Option<Degradation>,
}

/// Evaluates on the pictures of folders, or single files: each is reduced by MATLAB's bicubic on 8 bits, enlarged by the
/// model, rounded to 8 bits and compared. `observe` sees each picture's measures and may stop.
///
/// # Errors
/// If there is no picture, one cannot be read or is too small to measure, or the run is stopped.
pub fn evaluate(
    upscaler: &Upscaler,
    sources: &[PathBuf],
    measuring: Measuring,
    observe: &mut dyn FnMut(&ImageScore) -> ControlFlow<()>,
) -> Result<Evaluation> {
    let paths = pictures_of(sources)?;
    let scale = upscaler.model().description.architecture.scale;
    if paths.is_empty() {
        return Err(TrainingError::NoPictures { side: scale, folders: listed(sources) });
    }
    let mut images = Vec::with_capacity(paths.len());
    for (index, path) in paths.into_iter().enumerate() {
        let mut picture = dualres_imaging::read(&path)?;
        if let Some(side) = measuring.crop {
            let (width, height) = (picture.width().min(side), picture.height().min(side));
            picture = picture.crop((picture.width() - width) / 2, (picture.height() - height) / 2, width, height);
        }
        let scores = score(upscaler, &picture, measuring, index)
            .map_err(|error| TrainingError::Picture { path: path.clone(), reason: error.to_string() })?;
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let image = ImageScore { name, scores };
        if observe(&image).is_break() {
            return Err(TrainingError::Cancelled);
        }
        images.push(image);
    }
    Ok(Evaluation { mean: mean(&images), images, rule: rule(scale, measuring.degradation) })
}

/// Smallest side in high-resolution pixels of a picture that can be measured: SSIM needs its window within what is left
/// after shaving.
pub fn smallest_measurable(scale: usize) -> usize {
    (2 * scale + SSIM_WINDOW).next_multiple_of(scale)
}

/// Side of the window of SSIM.
const SSIM_WINDOW: usize = 11;
/// What a picture counts for at most in a mean of decibels: one that is met exactly must not make it infinite.
const MOST_DECIBELS: f64 = 100.0;

/// How [`evaluate`] measures.
pub fn rule(scale: usize, degradation: Option<Degradation>) -> String {
    let degraded = degradation.map_or(String::new(), |how| format!(", then {}", how.name()));
    format!(
        "PSNR and SSIM: {}; SSIM 11x11 Gaussian, sigma 1.5; input by MATLAB bicubic{degraded}; loop PSNR: {}",
        PsnrRule::BenchmarkY { scale },
        dualres_engine::LOOP_RULE
    )
}

/// Seed of what is done to the inputs of a measurement.
const DEGRADATION_SEED: u64 = 2024;

fn score(upscaler: &Upscaler, picture: &Picture, measuring: Measuring, index: usize) -> Result<Scores> {
    let scale = upscaler.model().description.architecture.scale;
    if picture.width() < scale || picture.height() < scale {
        let (width, height) = (picture.width(), picture.height());
        return Err(dualres_imaging::ImagingError::TooSmall { width, height, shave: scale }.into());
    }
    // Benchmarks mix gray and colour files; all are measured as colour.
    let colour = Picture::from_planes(picture.rgb().into_iter().cloned().collect());
    let mut levels = pyramid(&colour, scale);
    let full = levels.pop().expect("a pyramid has levels");
    let input = match measuring.degradation {
        Some(degradation) => degradation.degrade(&levels[0], DEGRADATION_SEED, index as u64)?,
        None => levels.swap_remove(0),
    };
    let input = &input;
    let options = Options { pooling: measuring.pooling, ..Options::default() };
    let upscaled = upscaler.upscale(input, &options, &mut |_: Event| ControlFlow::Continue(()))?;
    let mut result = upscaled.picture;
    result.quantize();
    let bicubic = imresize_picture(input, scale as f64, Samples::Uint8);
    let rule = PsnrRule::BenchmarkY { scale };
    Ok(Scores {
        psnr_y: psnr(&result, &full, rule)?,
        ssim_y: ssim_y(&result, &full, rule.shave())?,
        loop_psnr: upscaled.loop_psnr,
        bicubic_psnr_y: psnr(&bicubic, &full, rule)?,
    })
}

fn mean(images: &[ImageScore]) -> Scores {
    let count = images.len() as f64;
    let of = |get: &dyn Fn(&Scores) -> f64| {
        images.iter().map(|image| get(&image.scores).min(MOST_DECIBELS)).sum::<f64>() / count
    };
    let loops: Option<Vec<f64>> = images.iter().map(|image| image.scores.loop_psnr).collect();
    Scores {
        psnr_y: of(&|s| s.psnr_y),
        ssim_y: of(&|s| s.ssim_y),
        loop_psnr: loops.map(|values| values.iter().map(|psnr| psnr.min(MOST_DECIBELS)).sum::<f64>() / count),
        bicubic_psnr_y: of(&|s| s.bicubic_psnr_y),
    }
}
