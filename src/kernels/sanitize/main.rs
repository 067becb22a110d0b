//! Runs the CPU kernels over many shapes, with every instruction set of the processor, against plain loops. For address
//! sanitizer and valgrind, which tell of reads and writes beyond a buffer that happen to change nothing:
//!
//! ```text
//! RUSTFLAGS=-Zsanitizer=address cargo +nightly run --release --target x86_64-unknown-linux-gnu
//! cargo build --release && valgrind target/release/sanitize
//! ```
#![allow(dead_code, unused_imports)]

#[path = "../cpu/mod.rs"]
mod cpu;
#[path = "../spec.rs"]
mod spec;

pub(crate) use spec::{Activation, ConvSpec, Wanted};

/// Small steps of a linear congruence: the same shapes in every run.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % end
    }

    fn values(&mut self, count: usize) -> Vec<f32> {
        (0..count).map(|_| self.below(2001) as f32 / 1000.0 - 1.0).collect()
    }
}

struct Case {
    shape: [usize; 4],
    outputs: usize,
    kernel: usize,
    stride: usize,
}

impl Case {
    /// Calls `visit` with the places in input, weight and output of every product, and the output.
    fn products(&self, mut visit: impl FnMut(usize, usize, usize)) -> usize {
        let ([n, c, h, w], o, k, s) = (self.shape, self.outputs, self.kernel, self.stride);
        let (rows, columns, pad) = ((h - 1) / s + 1, (w - 1) / s + 1, k / 2);
        for (picture, output, y, x) in (0..n * o * rows * columns)
            .map(|i| (i / columns / rows / o, i / columns / rows % o, i / columns % rows, i % columns))
        {
            let place = ((picture * o + output) * rows + y) * columns + x;
            for (channel, dy, dx) in (0..c * k * k).map(|i| (i / k / k, i / k % k, i % k)) {
                let (row, column) = (y * s + dy, x * s + dx);
                if row >= pad && row - pad < h && column >= pad && column - pad < w {
                    let input = ((picture * c + channel) * h + row - pad) * w + column - pad;
                    visit(input, ((output * c + channel) * k + dy) * k + dx, place);
                }
            }
        }
        n * o * rows * columns
    }

    fn check(&self, random: &mut Random) {
        let ([n, c, h, w], o, k) = (self.shape, self.outputs, self.kernel);
        let x = random.values(n * c * h * w);
        let weight = random.values(o * c * k * k);
        let bias = random.values(o);
        let spec = ConvSpec { stride: self.stride, activation: Activation::Identity };
        let out = cpu::forward(&x, self.shape, &weight, [o, c, k, k], Some(&bias), spec);
        let grad = random.values(out.len());
        let wanted = Wanted { input: true, weights: true };
        let gradients = cpu::gradients(&x, self.shape, &weight, [o, c, k, k], &out, &grad, spec, wanted);
        let area = out.len() / (n * o);
        let mut expected: Vec<f32> = (0..out.len()).map(|i| bias[i / area % o]).collect();
        let (mut of_x, mut of_weight) = (vec![0.0; x.len()], vec![0.0; weight.len()]);
        self.products(|i, k, place| {
            expected[place] += x[i] * weight[k];
            of_x[i] += grad[place] * weight[k];
            of_weight[k] += grad[place] * x[i];
        });
        for (name, ours, theirs) in
            [("output", &out, &expected), ("input", &gradients.input, &of_x), ("weight", &gradients.weight, &of_weight)]
        {
            let largest = theirs.iter().fold(1.0_f32, |m, v| m.max(v.abs()));
            let gap = ours.iter().zip(theirs).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
            assert!(gap < 1e-4 * largest, "{name}: {gap} of {largest} for {:?} to {o}, {k}x{k}", self.shape);
        }
    }
}

fn main() {
    for lanes in [0, 8, 1] {
        cpu::limit_lanes(lanes);
        let mut random = Random(u64::from(lanes) + 1);
        for _ in 0..150 {
            let (kernel, stride) = [(3, 1), (3, 1), (3, 2), (1, 1)][random.below(4)];
            let shape = [1 + random.below(2), 1 + random.below(20), 1 + random.below(24), 1 + random.below(44)];
            Case { shape, outputs: 1 + random.below(20), kernel, stride }.check(&mut random);
        }
        println!("{}: all shapes agree", cpu::instruction_set());
    }
}
