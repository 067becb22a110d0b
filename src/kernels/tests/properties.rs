//! The kernels against Burn's own convolution and against finite differences, over random shapes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::tensor::{Device, Distribution, Tensor};
use common::{Case, TOLERANCE, cases, check, distance, reference};
use dualres_kernels::{Activation, ConvSpec, conv2d};
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
