//! The fused feature-map operations against their compositions, which run where gradients are recorded.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::{
    Device, Distribution, Tensor, activation,
    module::interpolate,
    ops::{InterpolateMode, InterpolateOptions},
};
use dualres_kernels::{
    AttentionLayers, attend, block_means, enlarge_bicubic, modulate, pixel_shuffle, pixel_shuffle_concat,
};
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
        prop_assert!(difference(&[shape], |mut x| block_means(x.remove(0), cell)) < 1e-5);
    }

    #[test]
    fn modulation(n in 1..3_usize, c in 1..5_usize, rows in 1..5_usize, columns in 1..5_usize, cell in 1..17_usize) {
        let shape = [n, c, rows * cell, columns * cell];
        let gap = difference(&[shape, [n, c, rows, columns], shape], |x| modulate(x[0].clone(), x[1].clone(), x[2].clone()));
        prop_assert!(gap < 1e-5, "{}", gap);
    }

    #[test]
    fn shuffle(n in 1..3_usize, c in 1..5_usize, h in 1..9_usize, w in 1..9_usize) {
        prop_assert!(difference(&[[n, 4 * c, h, w]], |mut x| pixel_shuffle(x.remove(0), 2)) == 0.0);
    }

    #[test]
    fn shuffle_concat(n in 1..3_usize, c in 1..4_usize, d in 1..4_usize, h in 1..9_usize, w in 1..9_usize) {
        let shapes = [[n, 4 * c, h, w], [n, d, 2 * h, 2 * w]];
        let [x, beside] = shapes.map(|shape| Tensor::<4>::random(shape, Distribution::Default, &Device::flex()));
        let together = Tensor::cat(vec![pixel_shuffle(x.clone(), 2), beside.clone()], 1);
        prop_assert_eq!((pixel_shuffle_concat(x, beside) - together).abs().max().into_scalar::<f32>(), 0.0);
    }

    #[test]
    fn bicubic(n in 1..3_usize, c in 1..4_usize, h in 1..20_usize, w in 1..20_usize, factor in 2..9_usize) {
        let x = Tensor::<4>::random([n, c, h, w], Distribution::Uniform(-1.0, 1.0), &Device::flex());
        let options = InterpolateOptions::new(InterpolateMode::Bicubic).with_align_corners(false);
        let theirs = interpolate(x.clone(), options.with_output_size([h * factor, w * factor]));
        let gap = (enlarge_bicubic(x, factor) - theirs).abs().max().into_scalar::<f32>();
        prop_assert!(gap < 1e-5, "{}", gap);
    }

    #[test]
    fn gradients_of_attention(n in 1..3_usize, c in 1..9_usize, r in 1..4_usize, h in 1..12_usize, w in 1..12_usize) {
        let shapes = [[n, c, h, w], [n, c, h, w], [r, c, 1, 1], [1, r, 1, 1], [c, r, 1, 1], [1, c, 1, 1]];
        let layers = |x: &[Tensor<4>]| AttentionLayers {
            squeeze: x[2].clone(),
            squeeze_bias: x[3].clone().reshape([r]),
            excite: x[4].clone(),
            excite_bias: x[5].clone().reshape([c]),
        };
        let gap = gradient_gap(
            &shapes,
            |x| attend(x[0].clone(), x[1].clone(), layers(x)),
            |x| {
                let means = x[0].clone().mean_dim(3).mean_dim(2).swap_dims(1, 3);
                let layer = |input: Tensor<4>, weight: &Tensor<4>, bias: &Tensor<4>| {
                    let [out, inputs, _, _] = weight.dims();
                    input.matmul(weight.clone().reshape([1, 1, out, inputs]).swap_dims(2, 3)) + bias.clone().swap_dims(1, 3)
                };
                let hidden = activation::relu(layer(means, &x[2], &x[3]));
                let scale = activation::sigmoid(layer(hidden, &x[4], &x[5])).swap_dims(1, 3);
                x[0].clone() * scale + x[1].clone()
            },
        );
        prop_assert!(gap < 1e-4, "{}", gap);
    }

    #[test]
    fn gradients_of_shuffle_beside(n in 1..3_usize, c in 1..4_usize, d in 1..4_usize, h in 1..9_usize, w in 1..9_usize) {
        let gap = gradient_gap(
            &[[n, 4 * c, h, w], [n, d, 2 * h, 2 * w]],
            |x| pixel_shuffle_concat(x[0].clone(), x[1].clone()),
            |x| Tensor::cat(vec![pixel_shuffle(x[0].clone(), 2), x[1].clone()], 1),
        );
        prop_assert!(gap < 1e-6, "{}", gap);
    }
}

/// Largest difference between the outputs, and between the gradients of a random functional of them with respect to
/// every input, of an operation with its own backward pass and its composition of Burn's operations.
fn gradient_gap(
    shapes: &[[usize; 4]],
    own: impl Fn(&[Tensor<4>]) -> Tensor<4>,
    composed: impl Fn(&[Tensor<4>]) -> Tensor<4>,
) -> f32 {
    let device = Device::flex().autodiff();
    let random = |shape| Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device);
    let inputs: Vec<_> = shapes.iter().map(|&shape| random(shape).require_grad()).collect();
    let (ours, theirs) = (own(&inputs), composed(&inputs));
    assert_eq!(ours.dims(), theirs.dims());
    let direction = random(ours.dims());
    let mut gap = (ours.clone() - theirs.clone()).abs().max().into_scalar::<f32>();
    let (ours, theirs) = ((ours * direction.clone()).sum().backward(), (theirs * direction).sum().backward());
    for input in &inputs {
        let difference = input.grad(&ours).unwrap() - input.grad(&theirs).unwrap();
        gap = gap.max(difference.abs().max().into_scalar::<f32>());
    }
    gap
}
