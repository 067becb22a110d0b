//! The kernels against Burn's own convolution and against finite differences, over random shapes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::tensor::{Device, Distribution, Tensor};
use common::{Case, TOLERANCE, cases, check, distance, reference};
use dualres_kernels::{Activation, ConvSpec, FusedConv, concat, conv2d, conv2d_fused};
use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_burn(case in cases()) {
        check(&case);
    }
}

/// What a network sees: pictures in [0, 255], whose levels all have the same sign, and many channels. The largest
/// outputs are hundreds of levels; an error of 2e-5 of them is a hundredth of a level.
#[test]
fn agrees_with_burn_on_pictures_of_255_levels() {
    let device = Device::flex();
    let x = Tensor::<4>::random([1, 64, 45, 61], Distribution::Uniform(0.0, 255.0), &device);
    let weight = Tensor::<4>::random([48, 64, 3, 3], Distribution::Uniform(-0.05, 0.05), &device);
    let spec = ConvSpec::default();
    let gap = distance(&conv2d(x.clone(), weight.clone(), None, spec), &reference(x, weight, None, spec));
    assert!(gap < TOLERANCE, "{gap}");
}

/// Concatenations are never written; the sum is made as the convolution is, in memory that is given away and beside memory that
/// somebody holds.
#[test]
fn sums_and_concatenations_are_made_on_the_way() {
    let device = Device::flex();
    let random = |shape| Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device);
    for (shape, outputs, kernel, stride) in
        [([2, 12, 37, 61], 20, 3, 1), ([1, 3, 40, 33], 2, 3, 1), ([1, 8, 30, 41], 5, 1, 1), ([1, 5, 23, 26], 7, 3, 2)]
    {
        let [n, c, h, w] = shape;
        let parts = vec![random([n, 1, h, w]), random([n, c - 2, h, w]), random([n, 1, h, w])];
        let (weight, spec) =
            (random([outputs, c, kernel, kernel]), ConvSpec { stride, activation: Activation::LeakyRelu(0.2) });
        let alone = conv2d(concat(parts.clone()), weight.clone(), None, spec);
        let fused =
            |sum| conv2d_fused(parts.clone(), FusedConv { weight: weight.clone(), bias: None, spec, last: None, sum });
        assert!(distance(&fused(None), &alone) < TOLERANCE, "{shape:?}");
        let other = random(alone.dims());
        let (before, expected) = (other.to_data(), alone * 0.3 + other.clone());
        let held = other.clone();
        assert!(distance(&fused(Some((0.3, other))), &expected) < TOLERANCE, "beside: {shape:?}");
        assert_eq!(held.to_data(), before, "written to by nobody while it was held");
        assert!(distance(&fused(Some((0.3, held))), &expected) < TOLERANCE, "in place: {shape:?}");
    }
    // A value that is convolved and added.
    let (x, weight) = (random([1, 6, 20, 30]), random([6, 6, 3, 3]));
    let expected = conv2d(x.clone(), weight.clone(), None, ConvSpec::default()) + x.clone();
    let conv = FusedConv { weight, bias: None, spec: ConvSpec::default(), last: None, sum: Some((1.0, x.clone())) };
    assert!(distance(&conv2d_fused(vec![x], conv), &expected) < TOLERANCE);
}

#[test]
fn agrees_with_burn_where_tiles_meet() {
    for (shape, outputs, kernel, stride) in [
        ([1, 3, 300, 500], 16, 3, 1),
        ([2, 32, 130, 210], 5, 3, 1),
        ([1, 16, 257, 391], 16, 3, 2),
        ([1, 8, 120, 400], 3, 1, 1),
        ([1, 1, 1, 1], 1, 3, 2),
    ] {
        let spec = ConvSpec { stride, activation: Activation::LeakyRelu(0.2) };
        check(&Case { shape, outputs, kernel, spec, bias: true });
    }
}

#[test]
fn gradient_agrees_with_finite_differences() {
    let device = Device::flex();
    let spec = ConvSpec { stride: 2, activation: Activation::LeakyRelu(0.2) };
    let x = Tensor::<4>::random([1, 3, 7, 6], Distribution::Uniform(-1.0, 1.0), &device);
    let weight = Tensor::<4>::random([4, 3, 3, 3], Distribution::Uniform(-1.0, 1.0), &device);
    let loss = |weight: &Tensor<4>| conv2d(x.clone(), weight.clone(), None, spec).powi_scalar(2).sum();

    let tracked = Tensor::from_inner(weight.clone()).require_grad();
    let x_tracked = Tensor::from_inner(x.clone());
    let gradients = conv2d(x_tracked, tracked.clone(), None, spec).powi_scalar(2).sum().backward();
    let analytic = tracked.grad(&gradients).unwrap().to_data().try_to_vec::<f32>().unwrap();

    let step = 1e-3;
    for index in 0..analytic.len() {
        let moved = |sign: f32| {
            let mut values = weight.to_data().try_to_vec::<f32>().unwrap();
            values[index] += sign * step;
            let moved = Tensor::from_data(burn::tensor::TensorData::new(values, [4, 3, 3, 3]), &device);
            loss(&moved).into_scalar::<f32>()
        };
        let numeric = (moved(1.0) - moved(-1.0)) / (2.0 * step);
        assert!(
            (numeric - analytic[index]).abs() < 2e-2 * analytic[index].abs().max(1.0),
            "{index}: {numeric} {}",
            analytic[index]
        );
    }
}

/// Sums are formed in an order that does not depend on the number of threads.
#[test]
fn same_bits_on_any_number_of_threads() {
    let device = Device::flex();
    let x = Tensor::<4>::random([3, 16, 70, 90], Distribution::Uniform(-1.0, 1.0), &device);
    let weight = Tensor::<4>::random([8, 16, 3, 3], Distribution::Uniform(-1.0, 1.0), &device);
    let run = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let tracked = Tensor::from_inner(weight.clone()).require_grad();
            let out = conv2d(Tensor::from_inner(x.clone()), tracked.clone(), None, ConvSpec::default());
            let gradients = out.clone().powi_scalar(2).sum().backward();
            (out.to_data(), tracked.grad(&gradients).unwrap().to_data())
        })
    };
    assert_eq!(run(1), run(4));
}
