//! Learning how to expect the error of a network's results, from pictures whose truth is known.

use std::{ops::ControlFlow, path::PathBuf};

use dualres_engine::{
    ERROR_FEATURES, Event, Options, Upscaler, error_features, error_target, expected_error, true_error,
};
use dualres_imaging::{
    Picture, Plane,
    psnr::{PsnrRule, psnr, psnr_of_mse},
};
use dualres_network::ErrorCalibration;
use nalgebra::{DMatrix, DVector};

use crate::{
    Measuring, Result, TrainingError, correlation,
    dataset::{listed, names_of, pictures_of},
    evaluate::Sample,
    pictures::Unusable,
};

/// Most pictures that are looked at, and the side in pixels of the input that they are cut to: a dozen numbers are learned.
const MAX_PICTURES: usize = 32;
const MAX_SIDE: usize = 256;
/// Keeps the fit solvable where features are the same everywhere.
const RIDGE: f64 = 1e-3;

/// One picture as the fit sees it.
struct Seen {
    input: Picture,
    result: Picture,
    reconstruction: Picture,
    truth: Plane,
    psnr: f64,
}

/// Fits weights to the pictures of folders, or single files, reduced and degraded as for [`crate::evaluate`]. `None` for a
/// network without dual models. A picture that cannot be read or measured is left out. `observe` is told of it, or of `None`
/// after each that was looked at, and may stop.
///
/// # Errors
/// If there is no picture that can be looked at, or the run is stopped.
pub fn calibrate(
    upscaler: &Upscaler,
    sources: &[PathBuf],
    measuring: Measuring,
    observe: &mut dyn FnMut(Option<&Unusable>) -> ControlFlow<()>,
) -> Result<Option<ErrorCalibration>> {
    let model = upscaler.model();
    if model.duals.is_empty() {
        return Ok(None);
    }
    let scale = model.description.scale();
    let paths = pictures_of(sources)?;
    if paths.is_empty() {
        return Err(TrainingError::NoPictures { side: scale, folders: listed(sources) });
    }
    let step = paths.len().div_ceil(MAX_PICTURES);
    let crop = measuring.crop.unwrap_or(usize::MAX).min(MAX_SIDE * scale);
    let measuring = Measuring { crop: Some(crop), ..measuring };
    let mut normal = DMatrix::<f64>::identity(ERROR_FEATURES + 1, ERROR_FEATURES + 1) * RIDGE;
    let mut right = DVector::<f64>::zeros(ERROR_FEATURES + 1);
    let mut seen = Vec::new();
    let mut left_out = None;
    for (index, path) in paths.iter().enumerate().step_by(step) {
        let options = Options { pooling: measuring.pooling, ..Options::default() };
        let one = Unusable::of(path, || {
            Sample::read(path, scale, measuring, index).and_then(|case| {
                let upscaled = upscaler.upscale(&case.input, &options, &mut |_: Event| ControlFlow::Continue(()))?;
                let reconstruction = upscaled.reconstructions.last().expect("it has dual models").clone();
                let truth = true_error(&upscaled.picture, &case.truth, scale);
                let psnr = psnr(&upscaled.picture, &case.truth, PsnrRule::BenchmarkY { scale })?;
                Ok(Seen { input: case.input, result: upscaled.picture, reconstruction, truth, psnr })
            })
        });
        let flow = match one {
            Ok(one) => {
                accumulate(&one, &mut normal, &mut right);
                seen.push(one);
                observe(None)
            }
            Err(unusable) => {
                let flow = observe(Some(&unusable));
                left_out = Some(unusable);
                flow
            }
        };
        if flow.is_break() {
            return Err(TrainingError::Cancelled);
        }
    }
    match left_out {
        Some(Unusable { by_network: true, .. }) if seen.is_empty() => return Err(TrainingError::NotFinite),
        Some(Unusable { path, reason, .. }) if seen.is_empty() => return Err(TrainingError::Picture { path, reason }),
        _ => {}
    }
    let weights = normal.cholesky().expect("positive definite by its ridge").solve(&right);
    let weights = weights.iter().map(|&weight| weight as f32).collect();
    let set = names_of(sources).join(", ");
    let fitted = ErrorCalibration { weights, scale: 1.0, squared_scale: 1.0, correlation: 0.0, set };
    Ok(Some(levelled(fitted, &seen)))
}

/// Adds the pixels of a picture to the normal equations.
fn accumulate(seen: &Seen, normal: &mut DMatrix<f64>, right: &mut DVector<f64>) {
    let features = error_features(&seen.input, &seen.result, &seen.reconstruction);
    let target = error_target(&seen.truth);
    let constant = Plane::filled(target.width, target.height, 1.0);
    let columns: Vec<&Plane> = features.iter().chain([&constant]).collect();
    let product =
        |a: &Plane, b: &Plane| a.data.iter().zip(&b.data).map(|(&a, &b)| f64::from(a) * f64::from(b)).sum::<f64>();
    for (i, a) in columns.iter().enumerate() {
        right[i] += product(a, &target);
        for (j, b) in columns.iter().enumerate().take(i + 1) {
            let sum = product(a, b);
            normal[(i, j)] += sum;
            if i != j {
                normal[(j, i)] += sum;
            }
        }
    }
}

/// The fit is of logarithms, whose mean is not that of the errors: brings the mean error to that of the truth, and the
/// predicted PSNR to the mean of the true one.
fn levelled(mut fitted: ErrorCalibration, seen: &[Seen]) -> ErrorCalibration {
    let expected = |fitted: &ErrorCalibration| -> Vec<Plane> {
        let of = |seen: &Seen| expected_error(&seen.input, &seen.result, &seen.reconstruction, fitted);
        seen.iter().map(|seen| of(seen).expect("weights as many as features")).collect()
    };
    let sum = |planes: &mut dyn Iterator<Item = &Plane>| {
        planes.flat_map(|plane| &plane.data).map(|&error| f64::from(error)).sum::<f64>()
    };
    let raw = sum(&mut expected(&fitted).iter());
    let wanted = sum(&mut seen.iter().map(|seen| &seen.truth));
    if raw > 0.0 && wanted > 0.0 {
        fitted.scale = (wanted / raw) as f32;
    }
    let planes = expected(&fitted);
    let mean_square =
        |plane: &Plane| plane.data.iter().map(|&e| f64::from(e).powi(2)).sum::<f64>() / plane.data.len() as f64;
    let gaps = planes.iter().zip(seen).map(|(plane, seen)| psnr_of_mse(mean_square(plane)) - seen.psnr);
    let gaps: Vec<f64> = gaps.filter(|gap| gap.is_finite()).collect();
    if !gaps.is_empty() {
        fitted.squared_scale = 10.0_f64.powf(gaps.iter().sum::<f64>() / gaps.len() as f64 / 10.0);
    }
    let correlations: Vec<f64> =
        planes.iter().zip(seen).filter_map(|(plane, seen)| correlation::of_maps(plane, &seen.truth)).collect();
    if !correlations.is_empty() {
        fitted.correlation = correlations.iter().sum::<f64>() / correlations.len() as f64;
    }
    fitted
}
