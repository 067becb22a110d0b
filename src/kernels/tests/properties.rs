//! The kernels against Burn's own convolution and against finite differences, over random shapes.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, Distribution, Tensor, activation, module, ops::ConvOptions};
use dualres_kernels::{Activation, ConvSpec, conv2d, slices};
use proptest::prelude::*;

fn reference(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, spec: ConvSpec) -> Tensor<4> {
    let pad = weight.dims()[2] / 2;
    let options = ConvOptions::new([spec.stride; 2], [pad; 2], [1; 2], 1);
    let out = module::conv2d(x, weight, bias, options);
    match spec.activation {
        Activation::Identity => out,
        Activation::Relu => activation::relu(out),
        Activation::LeakyRelu(slope) => activation::leaky_relu(out, f64::from(slope)),
    }
}

/// Largest difference over the largest value. Sums of a few thousand products of numbers around 1 lose some 1e-6 by the
/// direct method; the transforms of Winograd's method multiply rounding errors by up to the norms of their matrices, a
/// factor of ten in the worst case.
fn distance<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> f32 {
    let (a, b) = (a.to_data().try_to_vec::<f32>().unwrap(), b.to_data().try_to_vec::<f32>().unwrap());
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-6_f32, |m, v| m.max(v.abs()));
    a.iter().zip(&b).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / scale
}

const TOLERANCE: f32 = 2e-5;

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Identity), Just(Activation::Relu), Just(Activation::LeakyRelu(0.2))]
}

#[derive(Clone, Debug)]
struct Case {
    shape: [usize; 4],
    outputs: usize,
    kernel: usize,
    spec: ConvSpec,
    bias: bool,
}

fn cases() -> impl Strategy<Value = Case> {
    // 5x5 and strided 1x1 fall through to Burn; the rest is ours.
    let kinds =
        prop_oneof![4 => Just((3, 1)), 3 => Just((3, 2)), 3 => Just((1, 1)), 1 => Just((5, 1)), 1 => Just((1, 2))];
    ((1..4_usize, 1..20_usize, 1..40_usize, 1..40_usize), 1..20_usize, kinds, activations(), any::<bool>()).prop_map(
        |((n, c, h, w), outputs, (kernel, stride), activation, bias)| Case {
            shape: [n, c, h, w],
            outputs,
            kernel,
            spec: ConvSpec { stride, activation },
            bias,
        },
    )
}

fn check(case: &Case) {
    let device = Device::flex().autodiff();
    let random =
        |shape: [usize; 4]| Tensor::<4>::random(shape, Distribution::Uniform(-1.0, 1.0), &device).require_grad();
    let x = random(case.shape);
    let weight = random([case.outputs, case.shape[1], case.kernel, case.kernel]);
    let bias = case
        .bias
        .then(|| Tensor::<1>::random([case.outputs], Distribution::Uniform(-1.0, 1.0), &device).require_grad());

    let ours = conv2d(x.clone(), weight.clone(), bias.clone(), case.spec);
    let theirs = reference(x.clone(), weight.clone(), bias.clone(), case.spec);
    assert_eq!(ours.dims(), theirs.dims());
    assert!(distance(&ours, &theirs) < TOLERANCE, "forward {case:?}: {}", distance(&ours, &theirs));

    // A random linear functional of the output reaches every gradient.
    let direction = Tensor::<4>::random(ours.dims(), Distribution::Uniform(-1.0, 1.0), &device);
    // Where rounding alone decides on which side of an activation's kink an output lies, either gradient is right.
    let linear = ConvSpec { activation: Activation::Identity, ..case.spec };
    let beside_kink = reference(x.clone(), weight.clone(), bias.clone(), linear).abs().greater_elem(1e-4);
    let direction = direction * beside_kink.float();
    let ours = (ours * direction.clone()).sum().backward();
    let theirs = (theirs * direction).sum().backward();
    let gap = distance(&x.grad(&ours).unwrap(), &x.grad(&theirs).unwrap());
    assert!(gap < TOLERANCE, "input gradient {case:?}: {gap}");
    let gap = distance(&weight.grad(&ours).unwrap(), &weight.grad(&theirs).unwrap());
    assert!(gap < TOLERANCE, "weight gradient {case:?}: {gap}");
    if let Some(bias) = bias {
        // The terms of this sum are of either sign and may cancel, which leaves nothing to be relative to: what rounding
        // is measured by is the size that such a sum usually has.
        let terms = (case.shape[0] * case.shape[2] * case.shape[3]) as f32;
        let (ours, theirs) = (bias.grad(&ours).unwrap(), bias.grad(&theirs).unwrap());
        let largest = theirs.clone().abs().max().into_scalar::<f32>();
        let gap = (ours - theirs).abs().max().into_scalar::<f32>() / largest.max((terms / 3.0).sqrt());
        assert!(gap < TOLERANCE, "bias gradient {case:?}: {gap}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]
    #[test]
    fn agrees_with_burn(case in cases()) {
        check(&case);
    }

    /// The code for processors without AVX-512, and for those without vectors.
    #[test]
    fn agrees_with_burn_with_shorter_vectors(case in cases(), lanes in prop_oneof![Just(1), Just(8)]) {
        slices::limit_lanes(lanes);
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
