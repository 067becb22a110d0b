//! Functions of each sample, a vector at a time, on all threads.
//!
//! Written as plain loops over slices that the compiler turns into vectors of whatever instruction set the loop is
//! compiled for; exponentials are polynomials, because a call to the system's would end that.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::dispatch::dispatch;
use crate::{Combination, Function};

/// Samples that a thread does at once: two of them fit into a first-level cache.
const CHUNK: usize = 4096;

/// `e^x` with a relative error below 2e-7 for results that are not subnormal.
#[inline(always)]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let x = x.clamp(-87.0, 88.0);
    // The nearest whole power of two lies in the low bits of the sum's mantissa.
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = (x - whole * 0.693_359_4) + whole * 2.121_944_4e-4;
    let tail = 1.987_569_1e-4;
    let tail = tail * rest + 1.398_199_9e-3;
    let tail = tail * rest + 8.333_452e-3;
    let tail = tail * rest + 4.166_579_6e-2;
    let tail = tail * rest + 0.166_666_65;
    let tail = tail * rest + 0.5;
    let power = tail * rest * rest + rest + 1.0;
    f32::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 23))
}

#[inline(always)]
pub(crate) fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The error function by formula 7.1.26 of Abramowitz and Stegun (absolute error below 2e-7).
#[inline(always)]
fn erf(x: f32) -> f32 {
    let positive = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * positive);
    let poly = ((((1.061_405_4 * t - 1.453_152_1) * t + 1.421_413_8) * t - 0.284_496_72) * t + 0.254_829_6) * t;
    (1.0 - poly * exp(-positive * positive)).copysign(x)
}

#[inline(always)]
fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    0.5 * x * (1.0 + erf(x * std::f32::consts::FRAC_1_SQRT_2))
}

#[inline(always)]
fn gelu_tanh(x: f32) -> f32 {
    x * sigmoid(1.595_769 * (x + 0.044_715 * x * x * x))
}

#[inline(always)]
fn mish(x: f32) -> f32 {
    let e = exp(x.min(20.0));
    let n = e * (e + 2.0);
    x * (n / (n + 2.0))
}

struct Each<'a, F>(&'a mut [f32], F);

impl<F: Fn(f32) -> f32 + Copy> WithSimd for Each<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(samples, function) = self;
        simd.vectorize(
            #[inline(always)]
            || {
                for sample in samples.iter_mut() {
                    *sample = function(*sample);
                }
            },
        );
    }
}

fn each(samples: &mut [f32], function: impl Fn(f32) -> f32 + Copy + Send + Sync) {
    samples.par_chunks_mut(CHUNK).for_each(|chunk| dispatch(Each(chunk, function)));
}

/// Applies a function to every sample.
pub(crate) fn apply(samples: &mut [f32], function: Function) {
    match function {
        Function::Relu => each(
            samples,
            #[inline(always)]
            |x| x.max(0.0),
        ),
        Function::LeakyRelu(slope) => each(
            samples,
            #[inline(always)]
            move |x| if x > 0.0 { x } else { slope * x },
        ),
        Function::Sigmoid => each(samples, sigmoid),
        Function::Silu => each(samples, silu),
        Function::Gelu => each(samples, gelu),
        Function::GeluTanh => each(samples, gelu_tanh),
        Function::Mish => each(samples, mish),
        Function::Tanh => each(
            samples,
            #[inline(always)]
            |x| 2.0 * sigmoid(2.0 * x) - 1.0,
        ),
        Function::Clip(low, high) => each(
            samples,
            #[inline(always)]
            move |x| x.max(low).min(high),
        ),
        Function::HardSwish => each(
            samples,
            #[inline(always)]
            |x| x * (x / 6.0 + 0.5).clamp(0.0, 1.0),
        ),
        Function::HardSigmoid(slope, offset) => {
            each(
                samples,
                #[inline(always)]
                move |x| (slope * x + offset).clamp(0.0, 1.0),
            );
        }
        Function::Sqrt => each(
            samples,
            #[inline(always)]
            |x| x.sqrt(),
        ),
        Function::Abs => each(
            samples,
            #[inline(always)]
            |x| x.abs(),
        ),
        Function::Erf => each(samples, erf),
        Function::Softplus => {
            samples.par_chunks_mut(CHUNK).flatten().for_each(|x| *x = x.max(0.0) + (-x.abs()).exp().ln_1p())
        }
    }
}

/// `x` where positive, `slope * x` elsewhere; `slope` is that of a plane of `area` samples.
pub(crate) fn prelu(samples: &mut [f32], area: usize, slope: impl Fn(usize) -> f32 + Sync) {
    if area == 0 {
        return;
    }
    samples.par_chunks_mut(area).enumerate().for_each(|(plane, samples)| {
        let slope = slope(plane);
        dispatch(Each(
            samples,
            #[inline(always)]
            move |x: f32| if x > 0.0 { x } else { slope * x },
        ));
    });
}

struct Pairs<'a, F>(&'a mut [f32], &'a [f32], F);

impl<F: Fn(f32, f32) -> f32 + Copy> WithSimd for Pairs<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self(samples, others, function) = self;
        simd.vectorize(
            #[inline(always)]
            || {
                for (sample, other) in samples.iter_mut().zip(others) {
                    *sample = function(*sample, *other);
                }
            },
        );
    }
}

/// `factor * x + other` in place of `x`.
pub(crate) fn add_scaled(samples: &mut [f32], factor: f32, others: &[f32]) {
    combined(
        samples,
        1,
        Others::Same(others),
        #[inline(always)]
        move |x, other| factor * x + other,
    );
}

/// The other values of a combination: as many as there are samples, or fewer that hold for many.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Others<'a> {
    /// One for each sample.
    Same(&'a [f32]),
    /// One for each plane, or for each channel of every picture.
    Planes(&'a [f32]),
    /// One plane for all `channels` of a picture.
    Channels { planes: &'a [f32], channels: usize },
}

/// `function(x, other)` in place of `x`, planes of `area` samples.
fn combined(
    samples: &mut [f32],
    area: usize,
    others: Others<'_>,
    function: impl Fn(f32, f32) -> f32 + Copy + Send + Sync,
) {
    match others {
        Others::Same(others) => {
            let parts = samples.par_chunks_mut(CHUNK).zip(others.par_chunks(CHUNK));
            parts.for_each(|(samples, others)| dispatch(Pairs(samples, others, function)));
        }
        Others::Planes(values) => samples.par_chunks_mut(area).enumerate().for_each(|(plane, samples)| {
            let other = values[plane % values.len()];
            dispatch(Each(
                samples,
                #[inline(always)]
                move |x| function(x, other),
            ));
        }),
        Others::Channels { planes, channels } => {
            samples.par_chunks_mut(area).enumerate().for_each(|(plane, samples)| {
                dispatch(Pairs(samples, &planes[plane / channels * area..][..area], function));
            });
        }
    }
}

/// Combines samples with others in place, planes of `area` samples.
pub(crate) fn combine(combination: Combination, samples: &mut [f32], area: usize, others: Others<'_>) {
    if area == 0 {
        return;
    }
    match combination {
        Combination::Add => combined(
            samples,
            area,
            others,
            #[inline(always)]
            |x, other| x + other,
        ),
        Combination::Sub => combined(
            samples,
            area,
            others,
            #[inline(always)]
            |x, other| x - other,
        ),
        Combination::Mul => combined(
            samples,
            area,
            others,
            #[inline(always)]
            |x, other| x * other,
        ),
        Combination::Div => combined(
            samples,
            area,
            others,
            #[inline(always)]
            |x, other| x / other,
        ),
        Combination::Gate(offset) => combined(
            samples,
            area,
            others,
            #[inline(always)]
            move |x, other| x * (sigmoid(other) + offset),
        ),
    }
}

/// `factor * x + offset` in place of `x`: a factor and an offset for each of the channels, planes of `area` samples.
pub(crate) fn affine(samples: &mut [f32], area: usize, factors: &[f32], offsets: &[f32]) {
    if area == 0 {
        return;
    }
    samples.par_chunks_mut(area).enumerate().for_each(|(plane, samples)| {
        let (factor, offset) = (factors[plane % factors.len()], offsets[plane % offsets.len()]);
        dispatch(Each(
            samples,
            #[inline(always)]
            move |x: f32| factor * x + offset,
        ));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(x: f32, function: Function) -> f64 {
        let mut samples = [x; 9];
        apply(&mut samples, function);
        f64::from(samples[8])
    }

    #[test]
    fn functions_are_what_their_formulas_say() {
        for step in -400..400 {
            let x = step as f32 * 0.05;
            let wide = f64::from(x);
            let sigmoid = 1.0 / (1.0 + (-wide).exp());
            let near = |found: f64, expected: f64| {
                assert!((found - expected).abs() < 2e-6 * (1.0 + expected.abs()), "{x}: {found} {expected}");
            };
            near(one(x, Function::Sigmoid), sigmoid);
            near(one(x, Function::Silu), wide * sigmoid);
            near(one(x, Function::Tanh), wide.tanh());
            near(one(x, Function::Mish), wide * wide.exp().ln_1p().tanh());
            let tanh = (2.0 / std::f64::consts::PI).sqrt() * (wide + 0.044_715 * wide.powi(3));
            near(one(x, Function::GeluTanh), 0.5 * wide * (1.0 + tanh.tanh()));
            near(one(x, Function::LeakyRelu(0.1)), if x > 0.0 { wide } else { 0.1 * wide });
            near(one(x, Function::Clip(-1.0, 2.0)), wide.clamp(-1.0, 2.0));
        }
        // Phi(1) and Phi(-2) from a table.
        assert!((one(1.0, Function::Gelu) - 0.841_344_7).abs() < 1e-6);
        assert!((one(-2.0, Function::Gelu) + 2.0 * 0.022_750_13).abs() < 1e-6);
    }
}
