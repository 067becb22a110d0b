//! Convolution and its gradients over the shapes our networks are made of. Throughput is in floating-point operations
//! of the direct method, two a multiply-accumulate, whatever method computes it.
//!
//! `cargo bench --workspace --bench convolution` on a quiet machine; `-- "3x3 32"` for some of it.
#![allow(missing_docs, reason = "a benchmark has no users")]

use std::{hint::black_box, time::Duration};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dualres_kernels::{Activation, ConvSpec, Wanted, slices};

struct Case {
    name: &'static str,
    shape: [usize; 4],
    outputs: usize,
    kernel: usize,
    stride: usize,
}

const fn case(name: &'static str, shape: [usize; 4], outputs: usize, kernel: usize, stride: usize) -> Case {
    Case { name, shape, outputs, kernel, stride }
}

const CASES: [Case; 10] = [
    case("3x3 64>64 96x96 (DRN-S)", [1, 64, 96, 96], 64, 3, 1),
    case("3x3 32>32 256x256", [1, 32, 256, 256], 32, 3, 1),
    case("3x3 32>32 48x48 batch 16 (training)", [16, 32, 48, 48], 32, 3, 1),
    case("3x3 32>128 128x128 (up)", [1, 32, 128, 128], 128, 3, 1),
    case("3x3 8>8 512x512", [1, 8, 512, 512], 8, 3, 1),
    case("3x3 3>16 512x512 (head)", [1, 3, 512, 512], 16, 3, 1),
    case("3x3 16>3 512x512 (tail)", [1, 16, 512, 512], 3, 3, 1),
    case("3x3 23>29 100x75 (pruned)", [1, 23, 100, 75], 29, 3, 1),
    case("3x3 stride 2 16>16 512x512 (down)", [1, 16, 512, 512], 16, 3, 2),
    case("1x1 32>16 256x256 (reduce)", [1, 32, 256, 256], 16, 1, 1),
];

fn values(count: usize) -> Vec<f32> {
    (0..count).map(|i| ((i * 37 % 1001) as f32 - 500.0) / 500.0).collect()
}

fn convolution(criterion: &mut Criterion) {
    println!("instruction set: {}, threads: {}", slices::instruction_set(), rayon::current_num_threads());
    for Case { name, shape, outputs, kernel, stride } in CASES {
        let spec = ConvSpec { stride, activation: Activation::Relu };
        let [n, c, h, w] = shape;
        let weight_shape = [outputs, c, kernel, kernel];
        let positions = n * h.div_ceil(stride) * w.div_ceil(stride);
        let flops = 2 * positions * outputs * c * kernel * kernel;
        let (x, weight) = (values(n * c * h * w), values(outputs * c * kernel * kernel));
        let bias = values(outputs);
        let forward = || slices::forward(&x, shape, &weight, weight_shape, Some(&bias), spec);
        let output = forward();
        let grad = values(output.len());

        let mut group = criterion.benchmark_group(name);
        group.sample_size(20).warm_up_time(Duration::from_millis(300)).measurement_time(Duration::from_secs(2));
        group.throughput(Throughput::Elements(flops as u64));
        group.bench_function(BenchmarkId::from_parameter("forward"), |b| b.iter(|| black_box(forward())));
        for (part, wanted) in [
            ("input gradient", Wanted { input: true, weights: false }),
            ("weight gradient", Wanted { input: false, weights: true }),
        ] {
            group.bench_function(BenchmarkId::from_parameter(part), |b| {
                b.iter(|| black_box(slices::gradients(&x, shape, &weight, weight_shape, &output, &grad, spec, wanted)));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, convolution);
criterion_main!(benches);
