//! Convolution on graphics adapters: an own kernel beside the tensor library's, chosen by what each takes there.

mod convolution;

use std::sync::atomic::{AtomicU8, Ordering};

use burn::{backend::TensorMetadata, tensor::DType};
use burn_cubecl::{CubeBackend, CubeTuneId, cubecl, tensor::CubeTensor};
use cubecl::{
    AutotuneKey,
    tune::{LocalTuner, Tunable, TunableSet, local_tuner},
};
use serde::{Deserialize, Serialize};

use crate::{Activation, ConvBackend, ConvSpec, extension::composed};

/// Which kernels run convolutions on graphics adapters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GpuKernels {
    /// Whichever a timing finds faster, once for each shape.
    #[default]
    Timed,
    /// This program's own, where they cover what is asked for.
    Own,
    /// The tensor library's.
    Library,
}

static WANTED: AtomicU8 = AtomicU8::new(GpuKernels::Timed as u8);

/// Has convolutions on graphics adapters run by certain kernels from now on: to compare them.
pub fn use_gpu_kernels(kernels: GpuKernels) {
    WANTED.store(kernels as u8, Ordering::Relaxed);
}

type Work = (CubeTensor, CubeTensor, Option<CubeTensor>, ConvSpec);

/// What decides which of the kernels is faster.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, AutotuneKey)]
struct Key {
    #[autotune(anchor)]
    pictures: usize,
    channels: usize,
    outputs: usize,
    #[autotune(anchor)]
    height: usize,
    #[autotune(anchor)]
    width: usize,
    has_bias: bool,
    has_activation: bool,
    is_half: bool,
}

impl ConvBackend for CubeBackend {
    fn convolve(x: CubeTensor, weight: CubeTensor, spec: ConvSpec) -> CubeTensor {
        convolve(x, weight, None, spec)
    }

    fn convolve_with_bias(x: CubeTensor, weight: CubeTensor, bias: CubeTensor, spec: ConvSpec) -> CubeTensor {
        convolve(x, weight, Some(bias), spec)
    }
}

/// Whether the own kernel runs this.
fn covers(x: &CubeTensor, weight: &CubeTensor, spec: ConvSpec) -> bool {
    let (x_shape, shape) = (x.shape(), weight.shape());
    let fits = |count: usize| count <= usize::from(u16::MAX);
    matches!(x.dtype, DType::F32 | DType::F16)
        && x.dtype == weight.dtype
        && spec.stride == 1
        && shape[2] == 3
        && shape[3] == 3
        && x_shape.num_elements() > 0
        && fits(x_shape[0] * shape[0].div_ceil(16))
        && fits(x_shape[2].div_ceil(8))
}

fn convolve(x: CubeTensor, weight: CubeTensor, bias: Option<CubeTensor>, spec: ConvSpec) -> CubeTensor {
    static TUNER: LocalTuner<Key, CubeTuneId> = local_tuner!("dualres-convolution");
    let wanted = WANTED.load(Ordering::Relaxed);
    if wanted == GpuKernels::Library as u8 || !covers(&x, &weight, spec) {
        return composed::<CubeBackend>(x, weight, bias, spec);
    }
    if wanted == GpuKernels::Own as u8 {
        return convolution::convolve(x, weight, bias, spec);
    }
    let client = x.client.clone();
    let id = CubeTuneId::new(&x.client, &x.device);
    let choices = TUNER.init(&id, || {
        TunableSet::new(key, |_: &Key, work: &Work| work.clone())
            .with(Tunable::new("own_3x3", |(x, weight, bias, spec): Work| own(x, weight, bias, spec)))
            .with(Tunable::new("composed", |(x, weight, bias, spec): Work| {
                Ok::<_, String>(composed::<CubeBackend>(x, weight, bias, spec))
            }))
    });
    TUNER.execute(&id, &client, choices, (x, weight, bias, spec))
}

fn own(x: CubeTensor, weight: CubeTensor, bias: Option<CubeTensor>, spec: ConvSpec) -> Result<CubeTensor, String> {
    Ok(convolution::convolve(x, weight, bias, spec))
}

fn key((x, weight, bias, spec): &Work) -> Key {
    let (x_shape, shape) = (x.shape(), weight.shape());
    Key::new(
        x_shape[0],
        x_shape[1],
        shape[0],
        x_shape[2],
        x_shape[3],
        bias.is_some(),
        spec.activation != Activation::Identity,
        x.dtype == DType::F16,
    )
}
