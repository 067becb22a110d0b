//! The fused feature-map operations against their compositions, which run where gradients are recorded.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::{
    Device, Distribution, Tensor,
    module::interpolate,
    ops::{InterpolateMode, InterpolateOptions},
};
use dualres_kernels::{cell_means, enlarge_bicubic, modulate, pixel_shuffle, pixel_shuffle_beside};
use proptest::prelude::*;

/// Largest difference between what `op` gives without and with gradients recorded.
fn difference(shapes: &[[usize; 4]], op: impl Fn(Vec<Tensor<4>>) -> Tensor<4>) -> f32 {
    let inputs: Vec<_> = shapes
        .iter()
        .map(|&shape| Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex()))
        .collect();
    let fused = op(inputs.clone());
    let composed = op(inputs.into_iter().map(Tensor::from_inner).collect()).inner();
    assert_eq!(fused.dims(), composed.dims());
    (fused - composed).abs().max().into_scalar::<f32>()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn means_of_cells(n in 1..3_usize, c in 1..5_usize, rows in 1..5_usize, columns in 1..5_usize, cell in 1..9_usize, over in 0..3_usize) {
        let shape = [n, c, rows * cell + over.min(cell - 1), columns * cell];
        prop_assert!(difference(&[shape], |mut x| cell_means(x.remove(0), cell)) < 1e-5);
    }

    #[test]
    fn modulation(n in 1..3_usize, c in 1..5_usize, rows in 1..5_usize, columns in 1..5_usize, cell in 1..17_usize) {
        let shape = [n, c, rows * cell, columns * cell];
        let gap = difference(&[shape, [n, c, rows, columns], shape], |x| modulate(x[0].clone(), x[1].clone(), x[2].clone()));
        prop_assert!(gap < 1e-5, "{}", gap);
    }

    #[test]
    fn shuffle(n in 1..3_usize, c in 1..5_usize, h in 1..9_usize, w in 1..9_usize) {
        prop_assert!(difference(&[[n, 4 * c, h, w]], |mut x| pixel_shuffle(x.remove(0))) == 0.0);
    }

    #[test]
    fn shuffle_beside(n in 1..3_usize, c in 1..4_usize, d in 1..4_usize, h in 1..9_usize, w in 1..9_usize) {
        let shapes = [[n, 4 * c, h, w], [n, d, 2 * h, 2 * w]];
        prop_assert!(difference(&shapes, |x| pixel_shuffle_beside(x[0].clone(), x[1].clone())) == 0.0);
    }

    #[test]
    fn bicubic(n in 1..3_usize, c in 1..4_usize, h in 1..20_usize, w in 1..20_usize, factor in 2..9_usize) {
        let x = Tensor::<4>::random([n, c, h, w], Distribution::Uniform(-1.0, 1.0), &Device::flex());
        let options = InterpolateOptions::new(InterpolateMode::Bicubic).with_align_corners(false);
        let theirs = interpolate(x.clone(), options.with_output_size([h * factor, w * factor]));
        let gap = (enlarge_bicubic(x, factor) - theirs).abs().max().into_scalar::<f32>();
        prop_assert!(gap < 1e-5, "{}", gap);
    }
}
