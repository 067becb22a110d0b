//! The error of a result as far as it can be told without the truth.
//!
//! Where the loop does not close, the network has changed the picture; where it closes, it may still have invented detail
//! that the dual reconstruction takes away again. How large the error is can be expected from more: what the network added to
//! plain interpolation, and how much detail there is. An [`ErrorCalibration`] fitted to pictures with a known truth weighs
//! these features; they are those of this file and of luma, one value a pixel of the input.

use std::ops::Range;

use dualres_imaging::{
    Picture, Plane,
    filter::{block_means, gaussian, laplacian},
    psnr::{luma, psnr_of_mse},
    resize::{Samples, imresize},
};
use dualres_network::ErrorCalibration;
use rayon::prelude::*;

/// Features of each pixel: [`SIGNALS`] signals, each seen at every one of [`REACHES`].
pub const ERROR_FEATURES: usize = SIGNALS * REACHES.len();
const SIGNALS: usize = 6;
/// Standard deviations in pixels and reaches of the Gaussians that signals are seen through.
const REACHES: [(f32, usize); 2] = [(0.7, 3), (2.0, 8)];
/// Shorter side in pixels from which the features see more of a picture than its borders.
pub(crate) const MIN_SIDE: usize = 2 * REACHES[1].1;
/// Gray levels below which differences are not told apart.
const FLOOR: f32 = 0.25;
/// Rows of the input that are worked on at a time, and those around them that they depend on.
const BAND: usize = 64;
const MARGIN: usize = 12;

/// Logarithms of the features at each pixel of the input, `ERROR_FEATURES` planes: how far the loop is from closed, what the
/// network added to bicubic interpolation, Laplacian and standard deviation of the result, Laplacian and standard
/// deviation of the input.
///
/// # Panics
/// If the result is not a whole number of times as large as the input, or the reconstruction has another size than the input.
pub fn error_features(input: &Picture, result: &Picture, reconstruction: &Picture) -> Vec<Plane> {
    let bands = bands(input.height());
    let parts: Vec<Vec<Plane>> = bands.into_par_iter().map(|rows| band(input, result, reconstruction, rows)).collect();
    let joined = |feature: usize| {
        let data = parts.iter().flat_map(|planes| planes[feature].data.iter().copied()).collect();
        Plane::new(input.width(), input.height(), data)
    };
    (0..ERROR_FEATURES).map(joined).collect()
}

/// What [`error_features`] are fitted to: the logarithm of the true error at each pixel of the input.
///
/// # Panics
/// If the sizes do not fit.
pub fn error_target(true_error: &Plane) -> Plane {
    let (sigma, reach) = REACHES[0];
    let mut target = gaussian(true_error, sigma, reach);
    logarithm(&mut target);
    target
}

/// Absolute difference in luma between a result and the truth in gray levels, its mean at each pixel of the input.
///
/// # Panics
/// If the pictures differ in size.
pub fn true_error(result: &Picture, truth: &Picture, scale: usize) -> Plane {
    let (a, b) = (luma_of(result, 0..result.height()), luma_of(truth, 0..truth.height()));
    let data = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).collect();
    block_means(&Plane::new(a.width, a.height, data), scale)
}

/// Predicted error in luma at each pixel of the input, in gray levels: the mean over the pixels of the result that lie there.
/// `None` if the calibration is for other features than those of this program, or was damaged.
///
/// # Panics
/// As [`error_features`].
pub fn expected_error(
    input: &Picture,
    result: &Picture,
    reconstruction: &Picture,
    calibration: &ErrorCalibration,
) -> Option<Plane> {
    let (&constant, weights) = calibration.weights.split_last()?;
    if weights.len() != ERROR_FEATURES || !calibration.weights.iter().all(|weight| weight.is_finite()) {
        return None;
    }
    let bands = bands(input.height());
    let parts: Vec<Vec<f32>> = bands
        .into_par_iter()
        .map(|rows| {
            let features = band(input, result, reconstruction, rows);
            let mut sum = vec![constant; features[0].data.len()];
            for (plane, weight) in features.iter().zip(weights) {
                for (sum, feature) in sum.iter_mut().zip(&plane.data) {
                    *sum += weight * feature;
                }
            }
            sum.iter_mut().for_each(|sum| *sum = (calibration.scale * (sum.exp() - FLOOR)).clamp(0.0, 255.0));
            sum
        })
        .collect();
    Some(Plane::new(input.width(), input.height(), parts.concat()))
}

/// PSNR on luma in dB that a result with this predicted error would have if it were compared with the truth.
pub fn expected_psnr(expected: &Plane, calibration: &ErrorCalibration) -> f64 {
    let squares: f64 = expected.data.iter().map(|&error| f64::from(error).powi(2)).sum();
    psnr_of_mse(calibration.squared_scale * squares / expected.data.len() as f64)
}

fn bands(height: usize) -> Vec<Range<usize>> {
    (0..height).step_by(BAND).map(|start| start..(start + BAND).min(height)).collect()
}

/// Features of some rows of the input.
fn band(input: &Picture, result: &Picture, reconstruction: &Picture, rows: Range<usize>) -> Vec<Plane> {
    let scale = result.height() / input.height();
    assert!(
        [result.width(), result.height()] == [input.width() * scale, input.height() * scale],
        "a result is a whole number of times as large as its input"
    );
    let seen = rows.start.saturating_sub(MARGIN)..(rows.end + MARGIN).min(input.height());
    let small = luma_of(input, seen.clone());
    let large = luma_of(result, seen.start * scale..seen.end * scale);
    let interpolated = imresize(&small, scale as f64, Samples::Float);
    let added = large.data.iter().zip(&interpolated.data).map(|(a, b)| (a - b).abs()).collect();
    let signals = [
        loop_difference(input, reconstruction, seen.clone()),
        block_means(&Plane::new(large.width, large.height, added), scale),
        block_means(&laplacian(&large), scale),
        deviation(&large, |plane| block_means(plane, scale)),
        laplacian(&small),
        deviation(&small, |plane| gaussian(plane, 1.0, 1)),
    ];
    let mut features = Vec::with_capacity(ERROR_FEATURES);
    for signal in &signals {
        for (sigma, reach) in REACHES {
            let blurred = gaussian(signal, sigma, reach);
            let mut feature = blurred.crop(0, rows.start - seen.start, blurred.width, rows.len());
            logarithm(&mut feature);
            features.push(feature);
        }
    }
    features
}

fn logarithm(plane: &mut Plane) {
    plane.data.iter_mut().for_each(|sample| *sample = (sample.max(0.0) + FLOOR).ln());
}

/// Standard deviation within whatever `mean` averages over.
fn deviation(plane: &Plane, mean: impl Fn(&Plane) -> Plane) -> Plane {
    // Around the mean of everything, so that squares of large numbers do not swallow the difference.
    let middle = plane.data.iter().sum::<f32>() / plane.data.len() as f32;
    let centred = Plane::new(plane.width, plane.height, plane.data.iter().map(|sample| sample - middle).collect());
    let squares = Plane::new(plane.width, plane.height, centred.data.iter().map(|sample| sample * sample).collect());
    let mut variance = mean(&squares);
    for (square, mean) in variance.data.iter_mut().zip(mean(&centred).data) {
        *square = (*square - mean * mean).max(0.0).sqrt();
    }
    variance
}

/// Luma of some rows in gray levels.
fn luma_of(picture: &Picture, rows: Range<usize>) -> Plane {
    let planes = picture.rgb();
    let width = picture.width();
    let [red, green, blue] = planes.map(|plane| &plane.data[rows.start * width..rows.end * width]);
    let data = (0..red.len()).map(|i| luma(red[i], green[i], blue[i]) as f32).collect();
    Plane::new(width, rows.len(), data)
}

/// Mean absolute difference of the channels, as in the consistency map.
fn loop_difference(input: &Picture, reconstruction: &Picture, rows: Range<usize>) -> Plane {
    let width = input.width();
    let range = rows.start * width..rows.end * width;
    let (a, b) = (input.rgb(), reconstruction.rgb());
    let data = range.map(|i| (0..3).map(|c| (a[c].data[i] - b[c].data[i]).abs()).sum::<f32>() / 3.0).collect();
    Plane::new(width, rows.len(), data)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn picture(width: usize, height: usize, seed: usize) -> Picture {
        let plane = |c: usize| {
            let sample = |i: usize| ((i * 7919 + seed * 104_729 + c * 31) % 251) as f32;
            Plane::new(width, height, (0..width * height).map(sample).collect())
        };
        Picture::from_planes((0..3).map(plane).collect())
    }

    /// Bands are an economy: what a pixel gets does not depend on where they are cut.
    #[test]
    fn features_do_not_show_the_bands() {
        let (width, height) = (20, 150);
        let (input, result, back) = (picture(width, height, 1), picture(40, 300, 2), picture(width, height, 3));
        let whole = band(&input, &result, &back, 0..height);
        for (a, b) in whole.iter().zip(error_features(&input, &result, &back)) {
            let largest = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest < 1e-3, "{largest}");
        }
    }

    #[test]
    fn the_expected_error_is_that_of_the_weights() {
        let (input, result, back) = (picture(16, 12, 1), picture(32, 24, 2), picture(16, 12, 3));
        let mut weights = vec![0.0; ERROR_FEATURES + 1];
        weights[ERROR_FEATURES] = 2.0_f32.ln();
        let mut calibration =
            ErrorCalibration { weights, scale: 2.0, squared_scale: 4.0, correlation: 0.0, set: String::new() };
        let constant = expected_error(&input, &result, &back, &calibration).unwrap();
        assert!(constant.data.iter().all(|error| (error - 3.5).abs() < 1e-5), "{:?}", &constant.data[..4]);
        // 4 times 3.5 squared of 255 squared.
        assert!((expected_psnr(&constant, &calibration) - 31.2279).abs() < 1e-3);
        // The dual reconstruction alone.
        calibration.weights = vec![0.0; ERROR_FEATURES + 1];
        calibration.weights[0] = 1.0;
        calibration.scale = 1.0;
        let looped = expected_error(&input, &result, &back, &calibration).unwrap();
        let wanted = gaussian(&loop_difference(&input, &back, 0..12), REACHES[0].0, REACHES[0].1);
        assert!(looped.data.iter().zip(&wanted.data).all(|(a, b)| (a - b).abs() < 1e-3));
        calibration.weights.pop();
        assert_eq!(expected_error(&input, &result, &back, &calibration), None);
    }

    #[test]
    fn the_true_error_is_in_gray_levels_of_luma() {
        let truth = Picture::from_planes(vec![Plane::filled(8, 4, 100.0); 3]);
        let result = Picture::from_planes(vec![Plane::filled(8, 4, 110.0); 3]);
        let error = true_error(&result, &truth, 4);
        assert_eq!((error.width, error.height), (2, 1));
        // Luma spans 219 levels for 255 of red, green and blue.
        assert!(error.data.iter().all(|error| (error - 10.0 * 219.0 / 255.0).abs() < 1e-3), "{:?}", error.data);
    }
}
