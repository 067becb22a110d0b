//! What networks of others need beside our own convolutions, against Burn's operations.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::tensor::{
    Device, Distribution, Tensor, activation,
    module::{conv2d, max_pool2d},
    ops::{ConvOptions, MaxPoolOptions},
};
use common::{TOLERANCE, distance};
use dualres_kernels::{
    Combination, ConvSpec, Filter, GeneralConv, affine, combine, conv2d as ours, conv2d_general, linear, max_pool,
    resample,
};

fn random(shape: [usize; 4]) -> Tensor<4> {
    Tensor::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex())
}

/// Shape of the input, outputs, kernel, stride, padding, dilation, groups.
type Case = ([usize; 4], usize, [usize; 2], usize, [usize; 2], [usize; 2], usize);

#[test]
fn any_convolution_agrees_with_burn() {
    let cases: [Case; 14] = [
        // As in the attention of networks that compete for speed: strided, nothing around.
        ([1, 16, 67, 45], 16, [3, 3], 2, [0, 0], [1, 1], 1),
        ([2, 5, 20, 31], 7, [1, 1], 2, [0, 0], [1, 1], 1),
        ([1, 6, 33, 40], 4, [5, 5], 1, [2, 2], [1, 1], 1),
        ([1, 3, 40, 33], 5, [7, 7], 3, [3, 3], [1, 1], 1),
        ([1, 16, 50, 37], 16, [17, 17], 1, [8, 8], [1, 1], 1),
        ([1, 4, 30, 41], 6, [1, 5], 1, [0, 2], [1, 1], 1),
        ([1, 4, 30, 41], 6, [3, 3], 1, [2, 2], [2, 2], 1),
        ([1, 4, 30, 41], 6, [4, 2], 1, [1, 1], [1, 1], 1),
        ([2, 12, 25, 70], 8, [3, 3], 1, [1, 1], [1, 1], 4),
        ([2, 64, 41, 66], 64, [3, 3], 1, [1, 1], [1, 1], 4),
        ([2, 12, 25, 70], 8, [1, 1], 1, [0, 0], [1, 1], 2),
        ([2, 9, 37, 53], 9, [3, 3], 1, [1, 1], [1, 1], 9),
        ([1, 5, 18, 130], 5, [7, 5], 1, [3, 2], [1, 1], 5),
        ([1, 5, 18, 30], 5, [3, 3], 1, [0, 0], [1, 1], 5),
    ];
    for (shape, outputs, [rows, columns], stride, padding, dilation, groups) in cases {
        let (x, weight) = (random(shape), random([outputs, shape[1] / groups, rows, columns]));
        let bias: Tensor<1> = Tensor::random([outputs], Distribution::Uniform(-1.0, 1.0), &Device::flex());
        let conv = GeneralConv { stride: [stride; 2], padding, dilation, groups };
        let options = ConvOptions::new([stride; 2], padding, dilation, groups);
        for bias in [None, Some(bias)] {
            let expected = conv2d(x.clone(), weight.clone(), bias.clone(), options.clone());
            let found = conv2d_general(x.clone(), weight.clone(), bias, conv);
            assert_eq!(found.dims(), expected.dims());
            assert!(distance(&found, &expected) < TOLERANCE, "{shape:?} {outputs} {rows}x{columns} {conv:?}");
        }
    }
    // Larger kernels of our own convolution, which pads by half of them.
    for (kernel, stride) in [(5, 1), (7, 1), (17, 1), (5, 2), (1, 2), (3, 3)] {
        let (x, weight) = (random([1, 4, 40, 35]), random([6, 4, kernel, kernel]));
        let options = ConvOptions::new([stride; 2], [kernel / 2; 2], [1, 1], 1);
        let expected = conv2d(x.clone(), weight.clone(), None, options);
        let found = ours(x, weight, None, ConvSpec { stride, ..ConvSpec::default() });
        assert!(distance(&found, &expected) < TOLERANCE, "{kernel} {stride}");
    }
}

/// Gradients of what our kernels do not cover backwards are Burn's.
#[test]
fn large_kernels_learn() {
    let (x, weight) = (random([1, 3, 12, 11]), random([2, 3, 5, 5]));
    let tracked = || Tensor::from_inner(weight.clone()).require_grad();
    let gradient = |out: Tensor<4>, weight: &Tensor<4>| weight.grad(&out.powi_scalar(2).sum().backward()).unwrap();
    let (a, b) = (tracked(), tracked());
    let found = gradient(ours(Tensor::from_inner(x.clone()), a.clone(), None, ConvSpec::default()), &a);
    let options = ConvOptions::new([1, 1], [2, 2], [1, 1], 1);
    let expected = gradient(conv2d(Tensor::from_inner(x), b.clone(), None, options), &b);
    assert!(distance(&found, &expected) < TOLERANCE);
}

#[test]
fn passes_over_samples_agree_with_burn() {
    let (x, other) = (random([2, 5, 19, 23]), random([2, 5, 19, 23]));
    let gate = |x: Tensor<4>, other: Tensor<4>| x * (activation::sigmoid(other) - 0.5);
    for other in [other, random([2, 5, 1, 1]), random([1, 5, 1, 1]), random([2, 1, 19, 23])] {
        for (combination, expected) in [
            (Combination::Add, x.clone() + other.clone()),
            (Combination::Sub, x.clone() - other.clone()),
            (Combination::Mul, x.clone() * other.clone()),
            (Combination::Div, x.clone() / other.clone()),
            (Combination::Gate(-0.5), gate(x.clone(), other.clone())),
        ] {
            let before = x.to_data();
            let found = combine(combination, x.clone(), other.clone());
            assert!(distance(&found, &expected) < TOLERANCE, "{combination:?} {:?}", other.dims());
            assert_eq!(x.to_data(), before, "a value that somebody holds stays");
        }
        // The other way round; what does not commute keeps its order.
        assert!(
            distance(&combine(Combination::Mul, other.clone(), x.clone()), &(other.clone() * x.clone())) < TOLERANCE
        );
        assert!(distance(&combine(Combination::Sub, other.clone(), x.clone()), &(other - x.clone())) < TOLERANCE);
    }
    assert!(distance(&linear(x.clone(), 0.5, -3.0), &(x.clone() * 0.5 - 3.0)) < TOLERANCE);
    let numbers = |values: &[f32]| Tensor::<1>::from_data(values, &Device::flex());
    let (factors, offsets) = (numbers(&[1.0, -2.0, 0.5, 3.0, 0.0]), numbers(&[0.25]));
    let found = affine(x.clone(), factors.clone(), offsets.clone());
    let expected = x.clone() * factors.reshape([1, 5, 1, 1]) + offsets.reshape([1, 1, 1, 1]);
    assert!(distance(&found, &expected) < TOLERANCE);

    for (kernel, stride, padding) in [([7, 7], [3, 3], [0, 0]), ([3, 3], [1, 1], [1, 1]), ([2, 3], [2, 1], [0, 1])] {
        let options = MaxPoolOptions::new(kernel).with_stride(stride).with_padding(padding);
        let expected = max_pool2d(x.clone(), options);
        let found = max_pool(x.clone(), kernel, stride, padding);
        assert_eq!(found.dims(), expected.dims());
        assert!(distance(&found, &expected) < TOLERANCE, "{kernel:?}");
    }
    // Where gradients are recorded enlargement is a product of matrices.
    for filter in [Filter::Bilinear, Filter::BilinearAligned, Filter::Bicubic] {
        for size in [[38, 46], [57, 70], [7, 9], [19, 23]] {
            let expected = resample(Tensor::from_inner(x.clone()), size, filter).inner();
            assert!(distance(&resample(x.clone(), size, filter), &expected) < TOLERANCE, "{filter:?} {size:?}");
        }
    }
}
