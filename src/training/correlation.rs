//! Whether one quantity rises with another.

use dualres_imaging::{Plane, filter::block_means};

/// Side in pixels of the input of the windows that maps are compared in: single pixels are too much to ask of a map, a
/// window is what the eye takes in.
pub const WINDOW: usize = 8;

/// Spearman's rank correlation, -1 to 1. `None` if there are fewer than three pairs or one side does not vary.
///
/// # Panics
/// If the sides differ in length.
pub fn spearman(a: &[f64], b: &[f64]) -> Option<f64> {
    assert_eq!(a.len(), b.len(), "pairs");
    if a.len() < 3 || a.iter().chain(b).any(|value| value.is_nan()) {
        return None;
    }
    let (a, b) = (ranks(a), ranks(b));
    // Ranks, shared ones included, have the mean of 0 to n - 1.
    let mean = (a.len() - 1) as f64 / 2.0;
    let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>();
    let spread = (product(&a, &a) * product(&b, &b)).sqrt();
    (spread > 0.0).then(|| product(&a, &b) / spread)
}

/// [`spearman`] of two maps, between the means of their windows of [`WINDOW`] squared pixels.
pub fn of_maps(a: &Plane, b: &Plane) -> Option<f64> {
    let windows =
        |plane: &Plane| block_means(plane, WINDOW).data.iter().map(|&mean| f64::from(mean)).collect::<Vec<_>>();
    spearman(&windows(a), &windows(b))
}

/// Place of each value in order of size, from 0; equal values share the mean of their places.
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut place = 0;
    for equal in order.chunk_by(|&a, &b| values[a] == values[b]) {
        let shared = place as f64 + (equal.len() - 1) as f64 / 2.0;
        equal.iter().for_each(|&index| ranks[index] = shared);
        place += equal.len();
    }
    ranks
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn ranks_alone_count() {
        let a = [1.0, 2.0, 3.0, 40.0];
        assert_eq!(spearman(&a, &[0.1, 0.2, 0.3, 0.4]), Some(1.0));
        assert_eq!(spearman(&a, &[9.0, 8.0, 7.0, -100.0]), Some(-1.0));
        // By hand: ranks 0, 1.5, 1.5, 3 and 0, 1, 2, 3.
        let tied = spearman(&a, &[1.0, 2.0, 2.0, 3.0]).unwrap();
        assert!((tied - 4.5 / (4.5_f64 * 5.0).sqrt()).abs() < 1e-12, "{tied}");
        assert_eq!(spearman(&a, &[1.0; 4]), None);
        assert_eq!(spearman(&a[..2], &a[..2]), None);
        assert_eq!(spearman(&a, &[1.0, f64::NAN, 2.0, 3.0]), None);
    }
}
