//! Small filters on planes. Beyond the border a plane repeats its last samples.

use crate::Plane;

/// Gaussian blur of standard deviation `sigma` pixels, cut off at `reach` pixels to each side.
pub fn gaussian(plane: &Plane, sigma: f32, reach: usize) -> Plane {
    let weights: Vec<f32> = (-(reach as isize)..=reach as isize)
        .map(|distance| (-((distance * distance) as f32) / (2.0 * sigma * sigma)).exp())
        .collect();
    let sum: f32 = weights.iter().sum();
    let (width, height) = (plane.width, plane.height);
    let mut down = vec![0.0_f32; width * height];
    for (y, out) in down.chunks_exact_mut(width).enumerate() {
        for (tap, weight) in weights.iter().enumerate() {
            let from = (y + tap).saturating_sub(reach).min(height - 1);
            for (out, sample) in out.iter_mut().zip(plane.row(from)) {
                *out += weight * sample;
            }
        }
    }
    let mut data = vec![0.0_f32; width * height];
    let mut padded = Vec::with_capacity(width + 2 * reach);
    for (out, row) in data.chunks_exact_mut(width).zip(down.chunks_exact(width)) {
        padded.clear();
        padded.extend(std::iter::repeat_n(row[0], reach));
        padded.extend_from_slice(row);
        padded.extend(std::iter::repeat_n(row[width - 1], reach));
        for (tap, weight) in weights.iter().enumerate() {
            for (out, sample) in out.iter_mut().zip(&padded[tap..]) {
                *out += weight * sample;
            }
        }
        out.iter_mut().for_each(|sample| *sample /= sum * sum);
    }
    Plane::new(width, height, data)
}

/// Absolute value of the Laplacian (4 neighbours) at each pixel.
pub fn laplacian(plane: &Plane) -> Plane {
    let (width, height) = (plane.width, plane.height);
    let mut data = Vec::with_capacity(width * height);
    for y in 0..height {
        let [above, row, below] = [y.saturating_sub(1), y, (y + 1).min(height - 1)].map(|y| plane.row(y));
        data.extend((0..width).map(|x| {
            let (left, right) = (row[x.saturating_sub(1)], row[(x + 1).min(width - 1)]);
            (above[x] + below[x] + left + right - 4.0 * row[x]).abs()
        }));
    }
    Plane::new(width, height, data)
}

/// Means of blocks of `side` x `side` pixels; what does not fill a block is left out.
pub fn block_means(plane: &Plane, side: usize) -> Plane {
    let (width, height) = (plane.width / side, plane.height / side);
    let mut data = vec![0.0_f32; width * height];
    for (y, out) in data.chunks_exact_mut(width.max(1)).enumerate() {
        for row in y * side..(y + 1) * side {
            for (out, block) in out.iter_mut().zip(plane.row(row).chunks_exact(side)) {
                *out += block.iter().sum::<f32>();
            }
        }
        out.iter_mut().for_each(|sample| *sample /= (side * side) as f32);
    }
    Plane::new(width, height, data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gaussian_keeps_the_mean_spreads_a_point_and_leaves_flat_ground() {
        let flat = gaussian(&Plane::filled(9, 5, 7.0), 2.0, 8);
        assert!(flat.data.iter().all(|sample| (sample - 7.0).abs() < 1e-4));
        let mut point = Plane::filled(41, 31, 0.0);
        point.data[15 * 41 + 20] = 1.0;
        let spread = gaussian(&point, 2.0, 8);
        assert!((spread.data.iter().sum::<f32>() - 1.0).abs() < 1e-4);
        // The variance along each axis is sigma squared.
        let variance: f32 = (0..31 * 41).map(|i| spread.data[i] * ((i % 41) as f32 - 20.0).powi(2)).sum();
        assert!((variance - 4.0).abs() < 0.05, "{variance}");
        assert!((spread.row(15)[22] - spread.row(17)[20]).abs() < 1e-7);
    }

    #[test]
    fn a_laplacian_sees_no_slope_but_an_edge() {
        let slope = Plane::new(8, 6, (0..48).map(|i| (i % 8) as f32 * 3.0).collect());
        let seen = laplacian(&slope);
        assert!((1..7).all(|x| seen.row(3)[x] == 0.0));
        let edge = Plane::new(8, 6, (0..48).map(|i| if i % 8 < 4 { 0.0 } else { 10.0 }).collect());
        assert_eq!(laplacian(&edge).row(2), [0.0, 0.0, 0.0, 10.0, 10.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn blocks_are_averaged_and_the_rest_is_left_out() {
        let plane = Plane::new(5, 3, (0..15).map(|i| i as f32).collect());
        assert_eq!(block_means(&plane, 2), Plane::new(2, 1, vec![3.0, 5.0]));
        assert_eq!(block_means(&plane, 1), plane);
    }
}
