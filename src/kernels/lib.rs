//! Convolution at hardware speed, and the few passes over feature maps that would hold it up.
//!
//! Convolution is nearly all that a super-resolution network does. Burn's CPU backend leaves most of the processor
//! idle in it, so the program has its own: a Burn backend extension that runs SIMD code with its own backward pass on
//! the CPU backend (Flex) and the composition of Burn's operations on every other. Callers see functions
//! over tensors, [`conv2d`] first, and nothing of this.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod cpu;
mod extension;
mod function;
mod fused;
mod general;
mod gpu;
mod maps;
mod prepared;
#[cfg(feature = "remote")]
pub mod remote;
mod samplewise;
mod spec;
mod training;

pub use extension::{ConvBackend, ConvGradientTensors, ConvGradients, conv2d};
pub use function::Function;
pub use fused::{FusedConv, LastOf, conv2d_fused};
pub use general::{concat, conv2d_general};
pub use gpu::{GpuKernels, use_gpu_kernels};
pub use maps::{
    Filter, attend, block_means, enlarge_bicubic, enlarge_nearest, max_pool, modulate, pixel_shuffle,
    pixel_shuffle_concat, pixel_unshuffle, resample, sample_at,
};
pub use samplewise::{add_scaled, affine, apply, combine, linear, prelu};
pub use spec::{Activation, Combination, ConvSpec, GeneralConv, Wanted};
pub use training::{AttentionLayers, FeatureBackend, FeatureGradients};

/// The CPU kernels on plain slices, for benchmarks and tests that compare without a tensor library.
pub mod slices {
    pub use crate::cpu::{Gradients, forward, gradients, instruction_set, limit_lanes};
}
