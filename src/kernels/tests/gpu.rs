//! The composition of Burn's operations that other backends run, on a graphics adapter, against our kernels.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use burn::tensor::{Device, DeviceKind, Tensor, TensorData};
use dualres_kernels::{Activation, ConvSpec, conv2d};

fn distance<const D: usize>(a: &Tensor<D>, b: &Tensor<D>) -> f32 {
    let (a, b) = (a.to_data().try_to_vec::<f32>().unwrap(), b.to_data().try_to_vec::<f32>().unwrap());
    assert_eq!(a.len(), b.len());
    let scale = b.iter().fold(1e-6_f32, |m, v| m.max(v.abs()));
    a.iter().zip(&b).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs())) / scale
}

/// Numbers in -1..1 that look random.
fn numbers(count: usize, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        })
        .collect()
}

/// Output and gradients with respect to input and weight of a strided convolution with a leaky rectifier.
fn run(device: &Device) -> [Tensor<4>; 3] {
    let device = &device.clone().autodiff();
    let tensor = |shape: [usize; 4], seed| {
        Tensor::<4>::from_data(TensorData::new(numbers(shape.iter().product(), seed), shape), device)
    };
    let (x, weight) = (tensor([1, 4, 12, 16], 1).require_grad(), tensor([4, 4, 3, 3], 2).require_grad());
    let spec = ConvSpec { stride: 2, activation: Activation::LeakyRelu(0.2) };
    let out = conv2d(x.clone(), weight.clone(), None, spec);
    let gradients = (out.clone() * tensor([1, 4, 6, 8], 3)).sum().backward();
    [out.inner(), x.grad(&gradients).unwrap(), weight.grad(&gradients).unwrap()]
}

#[test]
fn strided_convolution_agrees_on_a_gpu() {
    let expected = run(&Device::flex());
    let device = match Device::wgpu_options().device_kind(DeviceKind::DefaultDevice).init() {
        Ok(device) => device,
        Err(error) => {
            assert!(std::env::var_os("DUALRES_REQUIRE_GPU").is_none(), "{error}");
            eprintln!("not run: {error}");
            return;
        }
    };
    for (name, (ours, expected)) in
        ["output", "input gradient", "weight gradient"].iter().zip(run(&device).iter().zip(&expected))
    {
        let gap = distance(ours, expected);
        println!("{name}: {gap:e}");
        assert!(gap < 1e-4, "{name}: {gap}");
    }
}
