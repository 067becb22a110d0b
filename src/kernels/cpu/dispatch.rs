//! Which instruction set the kernels run on.

use std::sync::atomic::{AtomicU8, Ordering};

use pulp::{Arch, Simd, WithSimd};

/// Lanes of the longest vectors to use; 0 for the longest that the processor has.
static LIMIT: AtomicU8 = AtomicU8::new(0);

/// Runs `work` with the vectors of this processor.
pub(crate) fn dispatch<W: WithSimd>(work: W) -> W::Output {
    arch().dispatch(work)
}

fn arch() -> Arch {
    match LIMIT.load(Ordering::Relaxed) {
        0 => Arch::new(),
        #[cfg(not(target_arch = "x86_64"))]
        8 => Arch::new(),
        #[cfg(target_arch = "x86_64")]
        8 => match Arch::new() {
            Arch::V4(v4) => Arch::V3(*v4),
            shorter => shorter,
        },
        _ => Arch::Scalar,
    }
}

/// Lanes of a vector of `f32`.
pub(crate) fn lanes() -> usize {
    struct Lanes;
    impl WithSimd for Lanes {
        type Output = usize;

        fn with_simd<S: Simd>(self, _: S) -> usize {
            S::F32_LANES
        }
    }
    dispatch(Lanes)
}

/// Name of the instruction set the kernels use on this processor.
pub fn instruction_set() -> &'static str {
    match lanes() {
        16 => "AVX-512",
        8 => "AVX2",
        4 => "NEON",
        _ => "portable",
    }
}

/// Lets the kernels use vectors of at most so many `f32`: 8 for AVX2 where there is AVX-512, 1 for plain code, 0 for
/// what the processor has. For tests of the code that other machines run; holds for the whole program, and must not be
/// called while kernels run: they would panic.
pub fn limit_lanes(lanes: u8) {
    LIMIT.store(lanes, Ordering::Relaxed);
}
