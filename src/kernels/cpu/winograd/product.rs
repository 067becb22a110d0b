//! The sums over channels: one product of small matrices for each frequency.

use std::ops::Range;

use pulp::Simd;

use super::{
    FREQUENCIES,
    transform::{self, load_all},
};
use crate::cpu::micro::{BLOCK, blocks};

/// Blocks of output channels that are multiplied before they are transformed back.
const CHUNK_BLOCKS: usize = 6;

/// Transformed kernels in the order the loops read them: frequency, block of output channels, input channel, output
/// channel of the block.
#[derive(Debug)]
pub(crate) struct Kernels {
    data: Vec<f32>,
    outputs: usize,
    channels: usize,
    blocks: Vec<Range<usize>>,
}

/// Some blocks of output channels.
pub(super) struct Chunk {
    blocks: Range<usize>,
    pub(super) outputs: Range<usize>,
}

impl Kernels {
    /// Transforms `outputs` x `channels` kernels of 3x3 taps.
    pub(crate) fn new(outputs: usize, channels: usize, kernel: impl Fn(usize, usize) -> [f32; 9]) -> Self {
        let blocks: Vec<_> = blocks(outputs).collect();
        let mut data = vec![0.0; FREQUENCIES * outputs * channels];
        for block in &blocks {
            for channel in 0..channels {
                for (index, output) in block.clone().enumerate() {
                    let place = block.start * channels + channel * block.len() + index;
                    for (frequency, value) in transform::kernel(kernel(output, channel)).into_iter().enumerate() {
                        data[frequency * outputs * channels + place] = value;
                    }
                }
            }
        }
        Self { data, outputs, channels, blocks }
    }

    /// Output and input channels.
    pub(crate) fn shape(&self) -> [usize; 2] {
        [self.outputs, self.channels]
    }

    pub(crate) fn bytes(&self) -> usize {
        self.data.len() * size_of::<f32>()
    }

    pub(super) fn chunks(&self) -> impl Iterator<Item = Chunk> {
        let count = self.blocks.len().div_ceil(CHUNK_BLOCKS);
        (0..count).map(move |index| {
            let part = |index: usize| index * self.blocks.len() / count;
            let blocks = part(index)..part(index + 1);
            let outputs = self.blocks[blocks.start].start..self.blocks[blocks.end - 1].end;
            Chunk { blocks, outputs }
        })
    }

    /// Output channels of the widest chunk.
    pub(super) fn widest_chunk(&self) -> usize {
        self.chunks().map(|chunk| chunk.outputs.len()).max().unwrap_or(0)
    }
}

/// For every frequency and every output channel of `chunk`, the sum over channels of kernel times input. Input channel
/// c lies at `input[f * input_gap + c * positions..]`, output channel o goes to
/// `output[f * output_gap + (o - first of the chunk) * positions..]`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "two matrices, each with its place")]
pub(super) fn multiply<S: Simd>(
    simd: S,
    kernels: &Kernels,
    chunk: &Chunk,
    input: &[f32],
    input_gap: usize,
    output: &mut [f32],
    output_gap: usize,
    positions: usize,
) {
    assert!(input.len() >= (FREQUENCIES - 1) * input_gap + kernels.channels * positions, "every channel of the input");
    assert!(
        output.len() >= (FREQUENCIES - 1) * output_gap + chunk.outputs.len() * positions,
        "room for every output channel"
    );
    assert!(positions.is_multiple_of(S::F32_LANES), "whole vectors");
    for frequency in 0..FREQUENCIES {
        let input = &input[frequency * input_gap..][..kernels.channels * positions];
        let output = &mut output[frequency * output_gap..][..chunk.outputs.len() * positions];
        let weights = &kernels.data[frequency * kernels.outputs * kernels.channels..];
        for block in &kernels.blocks[chunk.blocks.clone()] {
            let weights = &weights[block.start * kernels.channels..][..block.len() * kernels.channels];
            let output = &mut output[(block.start - chunk.outputs.start) * positions..][..block.len() * positions];
            let product = Product { weights, input, output, positions };
            match block.len() {
                1 => product.rows::<S, 1>(simd),
                2 => product.rows::<S, 2>(simd),
                3 => product.rows::<S, 3>(simd),
                4 => product.rows::<S, 4>(simd),
                5 => product.rows::<S, 5>(simd),
                _ => product.rows::<S, BLOCK>(simd),
            }
        }
    }
}

/// `output[o][p] = sum over c of weights[c][o] * input[c][p]`
struct Product<'a> {
    weights: &'a [f32],
    input: &'a [f32],
    output: &'a mut [f32],
    positions: usize,
}

impl Product<'_> {
    #[inline(always)]
    fn rows<S: Simd, const OUTPUTS: usize>(mut self, simd: S) {
        assert!(self.weights.len() / OUTPUTS * self.positions == self.input.len(), "a weight for every channel");
        assert!(self.output.len() == OUTPUTS * self.positions, "a row for every output");
        let most = if OUTPUTS <= 4 { 3 } else { 2 };
        let vectors = self.positions / S::F32_LANES;
        let mut done = 0;
        while done < vectors {
            // Two twos rather than a three and a one.
            let rest = vectors - done;
            let count = if rest == most + 1 && most == 3 { 2 } else { rest.min(most) };
            match count {
                3 => self.tile::<S, OUTPUTS, 3>(simd, done * S::F32_LANES),
                2 => self.tile::<S, OUTPUTS, 2>(simd, done * S::F32_LANES),
                _ => self.tile::<S, OUTPUTS, 1>(simd, done * S::F32_LANES),
            }
            done += count;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const OUTPUTS: usize, const VECTORS: usize>(&mut self, simd: S, position: usize) {
        let lanes = S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; OUTPUTS];
        // SAFETY: `rows` has checked that the input holds a row of `positions` for each group of `OUTPUTS` weights and
        // the output one for each of `OUTPUTS`; `position` and the vectors after it lie within a row.
        unsafe {
            let mut input = self.input.as_ptr().add(position);
            for weights in self.weights.chunks_exact(OUTPUTS) {
                let x = load_all::<S, VECTORS>(simd, input, lanes);
                for (&weight, sum) in weights.iter().zip(&mut sums) {
                    let weight = simd.splat_f32s(weight);
                    for v in 0..VECTORS {
                        sum[v] = simd.mul_add_e_f32s(x[v], weight, sum[v]);
                    }
                }
                input = input.wrapping_add(self.positions);
            }
            for (o, sum) in sums.iter().enumerate() {
                for (v, value) in sum.iter().enumerate() {
                    let target = self.output.as_mut_ptr().add(o * self.positions + position + v * lanes);
                    target.cast::<S::f32s>().write_unaligned(*value);
                }
            }
        }
    }
}
