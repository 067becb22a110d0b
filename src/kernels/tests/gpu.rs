//! Convolution on a graphics adapter, by our kernel and by the tensor library's, against our kernels for the CPU.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use burn::tensor::{Device, DeviceKind, FloatDType, Tensor, TensorData};
use common::{Case, cases, distance};
use dualres_kernels::{Activation, ConvSpec, GpuKernels, conv2d, use_gpu_kernels};
use proptest::{prelude::*, test_runner::TestRunner};

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

/// Tests share the adapter and the choice of kernels.
fn adapter() -> Option<(Device, MutexGuard<'static, ()>)> {
    static TURN: Mutex<()> = Mutex::new(());
    static DEVICE: OnceLock<Result<Device, String>> = OnceLock::new();
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let start = || Device::wgpu_options().device_kind(DeviceKind::DefaultDevice).init();
    match DEVICE.get_or_init(|| start().map_err(|error| error.to_string())) {
        Ok(device) => Some((device.clone(), turn)),
        Err(error) => {
            assert!(std::env::var_os("DUALRES_REQUIRE_GPU").is_none(), "{error}");
            eprintln!("not run: {error}");
            None
        }
    }
}

#[test]
fn strided_convolution_agrees_on_a_gpu() {
    let expected = run(&Device::flex());
    let Some((device, _turn)) = adapter() else { return };
    for (name, (ours, expected)) in
        ["output", "input gradient", "weight gradient"].iter().zip(run(&device).iter().zip(&expected))
    {
        let gap = distance(ours, expected);
        println!("{name}: {gap:e}");
        assert!(gap < 1e-4, "{name}: {gap}");
    }
}

/// A convolution on a device, stored in 32 or 16 bits there.
fn convolved(case: &Case, device: &Device, is_half: bool) -> Tensor<4> {
    let [n, c, h, w] = case.shape;
    let place = |x: Tensor<4>| if is_half { x.cast(FloatDType::F16) } else { x };
    let tensor = |shape: [usize; 4], seed| {
        place(Tensor::<4>::from_data(TensorData::new(numbers(shape.iter().product(), seed), shape), device))
    };
    let x = tensor([n, c, h, w], 1);
    let weight = tensor([case.outputs, c, case.kernel, case.kernel], 2);
    let bias = case.bias.then(|| {
        let bias = Tensor::<1>::from_data(TensorData::new(numbers(case.outputs, 3), [case.outputs]), device);
        if is_half { bias.cast(FloatDType::F16) } else { bias }
    });
    conv2d(x, weight, bias, case.spec).cast(FloatDType::F32)
}

fn check_on(case: &Case, device: &Device, kernels: &[GpuKernels]) {
    let expected = convolved(case, &Device::flex(), false);
    for &kernels in kernels {
        use_gpu_kernels(kernels);
        let gap = distance(&convolved(case, device, false), &expected);
        assert!(gap < 1e-5, "{kernels:?}: {gap} for {case:?}");
    }
}

/// Ours, which needs no timing for each of them.
#[test]
fn the_own_kernel_agrees_with_the_cpu_over_random_shapes() {
    let Some((device, _turn)) = adapter() else { return };
    let mut runner = TestRunner::new(ProptestConfig { cases: 40, ..ProptestConfig::default() });
    runner
        .run(&cases(), |case| {
            prop_assume!(case.kernel == 3 && case.spec.stride == 1);
            check_on(&case, &device, &[GpuKernels::Own]);
            Ok(())
        })
        .unwrap();
}

/// The shapes that networks have: several groups in each direction, blocks of outputs that are not full, and the border.
#[test]
fn all_kernels_agree_with_the_cpu_on_layers_of_networks() {
    let Some((device, _turn)) = adapter() else { return };
    for (channels, outputs, height, width) in
        [(3, 48, 9, 33), (16, 16, 17, 65), (48, 48, 20, 40), (64, 64, 8, 32), (13, 29, 24, 31), (48, 12, 1, 70)]
    {
        for (activation, bias) in
            [(Activation::Identity, false), (Activation::Relu, true), (Activation::LeakyRelu(0.1), true)]
        {
            let spec = ConvSpec { stride: 1, activation };
            let case = Case { shape: [2, channels, height, width], outputs, kernel: 3, spec, bias };
            check_on(&case, &device, &[GpuKernels::Own, GpuKernels::Library, GpuKernels::Timed]);
        }
    }
}

/// Sums of 576 products are made in 32 bits: what is lost is the rounding of what goes in and comes out.
#[test]
fn the_own_kernel_stores_16_bits_and_adds_in_32() {
    let Some((device, _turn)) = adapter() else { return };
    if !device.supports_dtype(FloatDType::F16) {
        eprintln!("not run: the adapter has no numbers of 16 bits");
        return;
    }
    use_gpu_kernels(GpuKernels::Own);
    let spec = ConvSpec { stride: 1, activation: Activation::Relu };
    let case = Case { shape: [1, 64, 20, 40], outputs: 48, kernel: 3, spec, bias: true };
    let gap = distance(&convolved(&case, &device, true), &convolved(&case, &Device::flex(), false));
    println!("{gap:e}");
    assert!(gap < 2e-3, "{gap}");
}
