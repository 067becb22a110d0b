//! Structural similarity as the benchmarks compute it.

use crate::{
    ImagingError, Picture, Result,
    psnr::{check_sizes, luma},
};

const WINDOW: usize = 11;
const SIGMA: f64 = 1.5;

/// SSIM on BT.601 luma: 11x11 Gaussian of sigma 1.5, positions where the window lies within the picture,
/// `shave` pixels taken off each side first; `C1 = (0.01 * 255)^2`, `C2 = (0.03 * 255)^2`.
///
/// # Errors
/// If the pictures differ in size or are smaller than the window after shaving.
pub fn ssim_y(a: &Picture, b: &Picture, shave: usize) -> Result<f64> {
    let (width, height) = check_sizes(a, b)?;
    if width < 2 * shave + WINDOW || height < 2 * shave + WINDOW {
        return Err(ImagingError::TooSmall { width, height, shave });
    }
    let size = (width - 2 * shave, height - 2 * shave);
    let (x, y) = (shaved_luma(a, shave), shaved_luma(b, shave));
    let product = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(a, b)| a * b).collect::<Vec<_>>();
    let mean = |data: &[f64]| gaussian(data, size.0, size.1);
    let (mean_x, mean_y) = (mean(&x), mean(&y));
    let (xx, yy, xy) = (mean(&product(&x, &x)), mean(&product(&y, &y)), mean(&product(&x, &y)));
    let (c1, c2) = ((0.01_f64 * 255.0).powi(2), (0.03_f64 * 255.0).powi(2));
    let total: f64 = (0..mean_x.len())
        .map(|i| {
            let (mx, my) = (mean_x[i], mean_y[i]);
            let (var_x, var_y, cov) = (xx[i] - mx * mx, yy[i] - my * my, xy[i] - mx * my);
            ((2.0 * mx * my + c1) * (2.0 * cov + c2)) / ((mx * mx + my * my + c1) * (var_x + var_y + c2))
        })
        .sum();
    Ok(total / mean_x.len() as f64)
}

fn shaved_luma(picture: &Picture, shave: usize) -> Vec<f64> {
    let [red, green, blue] = picture.rgb();
    let width = picture.width();
    (shave..picture.height() - shave)
        .flat_map(|y| (shave..width - shave).map(move |x| y * width + x))
        .map(|at| luma(red.data[at], green.data[at], blue.data[at]))
        .collect()
}

/// Separable Gaussian over the valid region: `(width - 10) * (height - 10)` values.
fn gaussian(data: &[f64], width: usize, height: usize) -> Vec<f64> {
    let mut kernel: Vec<f64> =
        (0..WINDOW).map(|i| (-((i as f64 - (WINDOW / 2) as f64).powi(2)) / (2.0 * SIGMA * SIGMA)).exp()).collect();
    let sum: f64 = kernel.iter().sum();
    kernel.iter_mut().for_each(|k| *k /= sum);

    let out_width = width - WINDOW + 1;
    let mut rows = Vec::with_capacity(out_width * height);
    for row in data.chunks_exact(width) {
        rows.extend(row.windows(WINDOW).map(|w| w.iter().zip(&kernel).map(|(a, k)| a * k).sum::<f64>()));
    }
    let out_height = height - WINDOW + 1;
    let mut out = vec![0.0; out_width * out_height];
    for (y, out) in out.chunks_exact_mut(out_width).enumerate() {
        for (k, weight) in kernel.iter().enumerate() {
            let row = &rows[(y + k) * out_width..(y + k + 1) * out_width];
            out.iter_mut().zip(row).for_each(|(o, r)| *o += weight * r);
        }
    }
    out
}
