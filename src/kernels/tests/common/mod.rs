//! Convolutions of random shapes, and what Burn makes of them.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    unreachable_pub,
    dead_code,
    reason = "a test fails by panicking; not every binary uses all"
)]

use burn::tensor::{Device, Distribution, Tensor, activation, module, ops::ConvOptions};
use dualres_kernels::{Activation, ConvSpec, conv2d};
use proptest::prelude::*;

pub fn reference(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, spec: ConvSpec) -> Tensor<4> {
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
pub fn distance<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> f32 {
    let (a, b) = (a.to_data().try_to_vec::<f32>().unwrap(), b.to_data().try_to_vec::<f32>().unwrap());
    assert_eq!(a.len(), b.len());
    // Few values may all be next to nothing, of terms that cancel; the terms are not.
    let scale = b.iter().fold(0.1_f32, |m, v| m.max(v.abs()));
    a.iter().zip(&b).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / scale
}

pub const TOLERANCE: f32 = 2e-5;

fn activations() -> impl Strategy<Value = Activation> {
    prop_oneof![Just(Activation::Identity), Just(Activation::Relu), Just(Activation::LeakyRelu(0.2))]
}

#[derive(Clone, Debug)]
pub struct Case {
    pub shape: [usize; 4],
    pub outputs: usize,
    pub kernel: usize,
    pub spec: ConvSpec,
    pub bias: bool,
}

pub fn cases() -> impl Strategy<Value = Case> {
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

pub fn check(case: &Case) {
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
