//! A 3x3 convolution of few channels, the layer that super-resolution networks are made of.
//!
//! The tensor library's direct convolution reads each sample from memory once for every tap and block of outputs, and its
//! matrix products need hardware that shading languages do not reach. Here a group of units brings a tile of the picture and
//! the weights of four channels into shared memory and keeps sixteen outputs of four pixels in registers, so that each sample
//! that is read takes part in 144 products. Maps are in channels-last order, as the tensor library keeps them; sums are made in
//! 32 bits whatever maps are stored in.

use burn_cubecl::{
    cubecl,
    kernel::into_contiguous,
    ops::{numeric::empty_device_contiguous_dtype, permute, permute_nchw_to_nhwc, permute_nhwc_to_nchw},
    tensor::CubeTensor,
};
use cubecl::{ir::ElemType, prelude::*};

use crate::{Activation, ConvSpec};

/// Units of a group, along both axes of the picture.
const UNITS: u32 = 8;
/// Pixels of a unit, next to each other but for the other units' along a row.
const PIXELS: usize = 4;
/// Vectors of four outputs that a unit keeps of each pixel.
const OUTPUTS: usize = 4;
/// Channels that are in shared memory at a time.
const CHANNELS: usize = 4;
/// Rows and columns of the picture that a group sees.
const ROWS: usize = UNITS as usize + 2;
const COLUMNS: usize = UNITS as usize * PIXELS + 2;
/// Samples from row to row in shared memory, so that units of neighbouring rows read from different banks.
const PITCH: usize = 40;

/// Groups, maps and what is done to each sum.
#[cube(launch_unchecked)]
fn convolution_3x3<E: Float, N: Size>(
    input: &Tensor<E>,
    weight: &Tensor<E>,
    bias: &Tensor<E>,
    output: &mut Tensor<E>,
    slope: f32,
    #[comptime] has_bias: bool,
    #[comptime] is_linear: bool,
    #[define(E)] _dtype: ElemType,
) {
    let (height, width, channels) = (input.shape(1), input.shape(2), input.shape(3));
    let outputs = output.shape(3);
    let (unit_x, unit_y) = (UNIT_POS_X as usize, UNIT_POS_Y as usize);
    let unit = unit_y * 8 + unit_x;
    let first_x = CUBE_POS_X as usize * comptime!(UNITS as usize * PIXELS);
    let first_y = CUBE_POS_Y as usize * comptime!(UNITS as usize);
    let blocks = outputs.div_ceil(16usize);
    let picture = CUBE_POS_Z as usize / blocks;
    let first_output = (CUBE_POS_Z as usize % blocks) * 16;

    let mut samples = Shared::<[f32]>::new_slice(comptime!(CHANNELS * ROWS * PITCH));
    let mut taps = Shared::<[Vector<f32, N>]>::new_slice(comptime!(9 * CHANNELS * OUTPUTS));
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(PIXELS * OUTPUTS));
    #[unroll]
    for o in 0..OUTPUTS {
        let mut start = Vector::<f32, N>::new(0.0f32);
        if has_bias {
            #[unroll]
            for j in 0..4usize {
                let at = first_output + o * 4 + j;
                if at < outputs {
                    start.insert(j, f32::cast_from(bias[at]));
                }
            }
        }
        #[unroll]
        for p in 0..PIXELS {
            sums[p * OUTPUTS + o] = start;
        }
    }

    for first_channel in range_stepped(0usize, channels, 4usize) {
        for i in range_stepped(unit, comptime!(CHANNELS * ROWS * COLUMNS), 64usize) {
            let c = i % 4;
            let column = (i / 4) % COLUMNS;
            let row = i / comptime!(4 * COLUMNS);
            // One more than in the picture, whose border of zeros begins before it.
            let (x, y, channel) = (first_x + column, first_y + row, first_channel + c);
            let mut sample = 0.0f32;
            if x >= 1 && x <= width && y >= 1 && y <= height && channel < channels {
                sample = f32::cast_from(input[((picture * height + y - 1) * width + x - 1) * channels + channel]);
            }
            samples[c * comptime!(ROWS * PITCH) + row * PITCH + column] = sample;
        }
        for i in range_stepped(unit, comptime!(9 * CHANNELS * OUTPUTS), 64usize) {
            let (tap, channel) = (i / 16, first_channel + (i / 4) % 4);
            let mut vector = Vector::<f32, N>::new(0.0f32);
            #[unroll]
            for j in 0..4usize {
                let at = first_output + (i % 4) * 4 + j;
                if at < outputs && channel < channels {
                    vector.insert(j, f32::cast_from(weight[(tap * channels + channel) * outputs + at]));
                }
            }
            taps[i] = vector;
        }
        sync_cube();
        for tap in 0..9usize {
            let corner = (unit_y + tap / 3) * PITCH + unit_x + tap % 3;
            for c in 0..CHANNELS {
                #[unroll]
                for p in 0..PIXELS {
                    let sample = Vector::<f32, N>::new(samples[c * comptime!(ROWS * PITCH) + corner + p * 8]);
                    #[unroll]
                    for o in 0..OUTPUTS {
                        let at = p * OUTPUTS + o;
                        sums[at] = fma(sample, taps[(tap * CHANNELS + c) * OUTPUTS + o], sums[at]);
                    }
                }
            }
        }
        sync_cube();
    }

    let y = first_y + unit_y;
    #[unroll]
    for p in 0..PIXELS {
        let x = first_x + unit_x + p * 8;
        if y < height && x < width {
            #[unroll]
            for o in 0..OUTPUTS {
                let sum = sums[p * OUTPUTS + o];
                #[unroll]
                for j in 0..4usize {
                    let at = first_output + o * 4 + j;
                    if at < outputs {
                        let mut value = sum.extract(j);
                        if !is_linear {
                            value = max(value, 0.0f32) + slope * min(value, 0.0f32);
                        }
                        output[((picture * height + y) * width + x) * outputs + at] = E::cast_from(value);
                    }
                }
            }
        }
    }
}

/// Convolution of `x` [N, C, H, W] with `weight` [O, C, 3, 3] and an optional bias [O], stride 1.
pub(super) fn convolve(x: CubeTensor, weight: CubeTensor, bias: Option<CubeTensor>, spec: ConvSpec) -> CubeTensor {
    let x = into_contiguous(permute_nchw_to_nhwc(x));
    // [3, 3, C, O]: what units of a group read together lies together.
    let weight = into_contiguous(permute(weight, &[2, 3, 1, 0]));
    let bias = bias.map(into_contiguous);
    let [pictures, height, width] = [0, 1, 2].map(|axis| x.meta.shape()[axis]);
    let outputs = weight.meta.shape()[3];
    let (client, dtype) = (x.client.clone(), x.dtype);
    let output = empty_device_contiguous_dtype(
        client.clone(),
        x.device.clone(),
        [pictures, height, width, outputs].into(),
        dtype,
    );
    let (is_linear, slope) = match spec.activation {
        Activation::Identity => (true, 1.0),
        Activation::Relu => (false, 0.0),
        Activation::LeakyRelu(slope) => (false, slope),
    };
    let groups = CubeCount::Static(
        (width as u32).div_ceil(UNITS * PIXELS as u32),
        (height as u32).div_ceil(UNITS),
        pictures as u32 * (outputs as u32).div_ceil(16),
    );
    let has_bias = bias.is_some();
    let bias = bias.unwrap_or_else(|| weight.clone());
    // SAFETY: every index is compared with the sides of its map before it is used.
    unsafe {
        convolution_3x3::launch_unchecked(
            &client,
            groups,
            CubeDim::new_2d(UNITS, UNITS),
            4,
            x.into_tensor_arg(),
            weight.into_tensor_arg(),
            bias.into_tensor_arg(),
            output.clone().into_tensor_arg(),
            slope,
            has_bias,
            is_linear,
            burn::backend::cubecl::dtype_to_storage_type(dtype),
        );
    }
    permute_nhwc_to_nchw(output)
}
