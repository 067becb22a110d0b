//! The innermost loops, in vectors of whatever length the processor has.
//!
//! Twelve accumulators (6 output channels x 2 vectors of positions, or 4 x 3 pairs of channel and tap) stay in
//! registers while the sum runs; each step loads a few vectors and does twelve fused multiply-adds, so the loads keep
//! up with the arithmetic. Twelve, the operands and one broadcast weight are what the 16 registers of AVX2 hold:
//! one more and the sums are spilled in every step, at half the speed.

use pulp::{Simd, WithSimd};

use super::{
    dispatch::dispatch,
    output::Output,
    pointwise::sigmoid,
    tile::{Layout, MAX_LANES, Tile},
};
use crate::Activation;

/// Most output channels computed together.
pub(crate) const BLOCK: usize = 6;
/// Output channels whose weight gradients are computed together.
const GRADIENT_BLOCK: usize = 4;

/// The blocks of output channels: as few as possible and of even size, because a small last block would leave most
/// multipliers idle.
pub(crate) fn blocks(outputs: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let count = outputs.div_ceil(BLOCK);
    (0..count).map(move |index| index * outputs / count..(index + 1) * outputs / count)
}

/// Weights in the order the loops read them: block of output channels, channel, tap, output channel of the block.
pub(crate) struct Packed {
    data: Vec<f32>,
    outputs: usize,
    /// Input channels times taps.
    terms: usize,
}

/// Packs `outputs` x `channels` x `taps` weights.
pub(crate) fn pack(
    outputs: usize,
    channels: usize,
    taps: usize,
    weight: impl Fn(usize, usize, usize) -> f32,
) -> Packed {
    let mut data = Vec::with_capacity(outputs * channels * taps);
    for block in blocks(outputs) {
        for channel in 0..channels {
            for tap in 0..taps {
                for output in block.clone() {
                    data.push(weight(output, channel, tap));
                }
            }
        }
    }
    Packed { data, outputs, terms: channels * taps }
}

/// Computes all output channels of one tile.
pub(crate) fn correlate_tile(
    input: &[f32],
    layout: &Layout,
    packed: &Packed,
    bias: Option<&[f32]>,
    last: Last<'_>,
    output: &Output<'_>,
    tile: &Tile,
) {
    let [n, o, h, w] = output.shape();
    assert!(tile.picture < n && tile.row + tile.rows <= h && tile.column + tile.columns <= w, "tile within the output");
    assert_eq!(packed.outputs, o, "weights for every output channel");
    assert_eq!(packed.data.len(), o * packed.terms, "packed weights complete");
    assert_eq!(packed.terms, layout.channels * layout.taps.len(), "weights for every channel and tap");
    assert!(bias.is_none_or(|b| b.len() == o), "one bias an output channel");
    let reach = layout.channels.saturating_sub(1) * layout.channel_stride
        + (layout.rows - 1) * layout.row_step
        + layout.taps.iter().max().copied().unwrap_or(0)
        + layout.columns.next_multiple_of(MAX_LANES);
    assert!(input.len() >= reach, "scratch holds every position that is read");
    dispatch(CorrelateTile { input, layout, packed, bias, last, output, tile });
}

struct CorrelateTile<'a> {
    input: &'a [f32],
    layout: &'a Layout,
    packed: &'a Packed,
    bias: Option<&'a [f32]>,
    last: Last<'a>,
    output: &'a Output<'a>,
    tile: &'a Tile,
}

impl WithSimd for CorrelateTile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let lanes = S::F32_LANES;
        let vectors = self.layout.columns.div_ceil(lanes);
        // Few output channels leave registers for more positions.
        let most = if self.packed.outputs <= 3 { 3 } else { 2 };
        for row in 0..self.layout.rows {
            let mut done = 0;
            while done < vectors {
                let count = (vectors - done).min(most);
                match count {
                    3 => self.blocks::<S, 3>(simd, row, done * lanes),
                    2 => self.blocks::<S, 2>(simd, row, done * lanes),
                    _ => self.blocks::<S, 1>(simd, row, done * lanes),
                }
                done += count;
            }
        }
    }
}

impl CorrelateTile<'_> {
    #[inline(always)]
    fn blocks<S: Simd, const VECTORS: usize>(&self, simd: S, row: usize, column: usize) {
        for block in blocks(self.packed.outputs) {
            let first = block.start;
            match block.len() {
                1 => self.block::<S, 1, VECTORS>(simd, row, column, first),
                2 => self.block::<S, 2, VECTORS>(simd, row, column, first),
                3 => self.block::<S, 3, VECTORS>(simd, row, column, first),
                4 => self.block::<S, 4, VECTORS>(simd, row, column, first),
                5 => self.block::<S, 5, VECTORS>(simd, row, column, first),
                _ => self.block::<S, BLOCK, VECTORS>(simd, row, column, first),
            }
        }
    }

    #[inline(always)]
    fn block<S: Simd, const OUTPUTS: usize, const VECTORS: usize>(
        &self,
        simd: S,
        row: usize,
        column: usize,
        first: usize,
    ) {
        let lanes = S::F32_LANES;
        let mut sums = [[simd.splat_f32s(0.0); VECTORS]; OUTPUTS];
        if let Some(bias) = self.bias {
            for (sum, &bias) in sums.iter_mut().zip(&bias[first..first + OUTPUTS]) {
                *sum = [simd.splat_f32s(bias); VECTORS];
            }
        }
        // SAFETY: `correlate_tile` has checked that the scratch holds `channels` planes with, from each tap of each
        // row on, as many whole vectors as the columns need, and that the packed weights hold `OUTPUTS` values for
        // each of `channels` x `taps` terms of this block, which starts at `first * terms`.
        unsafe {
            let mut weight = self.packed.data.as_ptr().add(first * self.packed.terms);
            let mut plane = self.input.as_ptr().add(row * self.layout.row_step + column);
            for _ in 0..self.layout.channels {
                for &tap in &self.layout.taps {
                    let mut x = [simd.splat_f32s(0.0); VECTORS];
                    for (v, x) in x.iter_mut().enumerate() {
                        *x = load::<S>(plane.add(tap + v * lanes));
                    }
                    for (o, sum) in sums.iter_mut().enumerate() {
                        let w = simd.splat_f32s(*weight.add(o));
                        for v in 0..VECTORS {
                            sum[v] = simd.mul_add_e_f32s(x[v], w, sum[v]);
                        }
                    }
                    weight = weight.add(OUTPUTS);
                }
                plane = plane.add(self.layout.channel_stride);
            }
        }
        for (o, sum) in sums.into_iter().enumerate() {
            for (v, value) in sum.into_iter().enumerate() {
                let at = column + v * lanes;
                if at < self.layout.columns {
                    let value = activate(simd, self.last.of(first + o), value);
                    let place = [self.tile.picture, first + o, self.tile.row + row, self.tile.column + at];
                    let count = (self.layout.columns - at).min(lanes);
                    // SAFETY: `count` ends at the tile's last column, and tiles of an output are disjoint.
                    unsafe { self.output.store::<S>(simd, value, place, count) };
                }
            }
        }
    }
}

/// What is done with the sums of an output channel before they are written.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Last<'a> {
    /// The activation of a convolution, the same for all channels.
    Activation(Activation),
    /// `x` where positive, `slope * x` elsewhere; a slope for each channel.
    Slopes(&'a [f32]),
    /// `x * sigmoid(x)`. Other functions with exponentials gain nothing by being done here.
    Silu,
}

impl Last<'_> {
    /// That of a channel.
    #[inline(always)]
    pub(crate) fn of(self, channel: usize) -> Self {
        match self {
            Self::Slopes(slopes) => Self::Activation(Activation::LeakyRelu(slopes[channel])),
            other => other,
        }
    }
}

/// Applies what [`Last::of`] says for the channel.
#[inline(always)]
pub(crate) fn activate<S: Simd>(simd: S, last: Last<'_>, value: S::f32s) -> S::f32s {
    let zero = simd.splat_f32s(0.0);
    match last {
        Last::Activation(Activation::Identity) | Last::Slopes(_) => value,
        Last::Activation(Activation::Relu) => simd.max_f32s(value, zero),
        Last::Activation(Activation::LeakyRelu(slope)) => {
            let scaled = simd.mul_f32s(value, simd.splat_f32s(slope));
            simd.select_f32s(simd.greater_than_f32s(value, zero), value, scaled)
        }
        Last::Silu => {
            // The compiler makes vectors of the loop again, but not of one whose body it were given as an argument.
            let mut value = value;
            for lane in bytemuck::cast_slice_mut::<S::f32s, f32>(std::slice::from_mut(&mut value)) {
                *lane *= sigmoid(*lane);
            }
            value
        }
    }
}

/// # Safety
/// `pointer` must be valid for reading one vector.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(pointer: *const f32) -> S::f32s {
    // SAFETY: as the caller promises; vectors may lie at any address.
    unsafe { pointer.cast::<S::f32s>().read_unaligned() }
}

/// Adds one tile's part to the weight gradient (`outputs` x `channels * taps`) and to the bias gradient.
pub(crate) fn weight_gradient_tile(
    input: &[f32],
    layout: &Layout,
    gradient: &[f32],
    gradient_layout: &Layout,
    weight: &mut [f32],
    bias: &mut [f32],
) {
    let outputs = gradient_layout.channels;
    assert_eq!(weight.len(), outputs * layout.channels * layout.taps.len(), "one gradient a weight");
    assert_eq!(bias.len(), outputs, "one gradient a bias");
    let whole = layout.columns.next_multiple_of(MAX_LANES);
    assert_eq!((layout.rows, layout.columns), (gradient_layout.rows, gradient_layout.columns), "one tile");
    let reach = |l: &Layout| {
        l.channels.saturating_sub(1) * l.channel_stride
            + (l.rows - 1) * l.row_step
            + l.taps.iter().max().copied().unwrap_or(0)
            + whole
    };
    assert!(input.len() >= reach(layout) && gradient.len() >= reach(gradient_layout), "scratch holds the tile");
    dispatch(WeightGradientTile { input, layout, gradient, gradient_layout, weight, bias });
}

struct WeightGradientTile<'a> {
    input: &'a [f32],
    layout: &'a Layout,
    gradient: &'a [f32],
    gradient_layout: &'a Layout,
    weight: &'a mut [f32],
    bias: &'a mut [f32],
}

impl WithSimd for WeightGradientTile<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let taps = self.layout.taps.len();
        let terms: Vec<usize> = (0..self.layout.channels * taps)
            .map(|term| term / taps * self.layout.channel_stride + self.layout.taps[term % taps])
            .collect();
        let outputs = self.bias.len();
        for first in (0..outputs).step_by(GRADIENT_BLOCK) {
            match outputs - first {
                1 => self.block::<S, 1>(simd, &terms, first),
                2 => self.block::<S, 2>(simd, &terms, first),
                3 => self.block::<S, 3>(simd, &terms, first),
                _ => self.block::<S, GRADIENT_BLOCK>(simd, &terms, first),
            }
        }
        for (channel, bias) in self.bias.iter_mut().enumerate() {
            let plane = &self.gradient[channel * self.gradient_layout.channel_stride..];
            let rows = plane.chunks(self.gradient_layout.row_step).take(self.layout.rows);
            *bias += rows.map(|row| row[..self.layout.columns].iter().sum::<f32>()).sum::<f32>();
        }
    }
}

impl WeightGradientTile<'_> {
    #[inline(always)]
    fn block<S: Simd, const OUTPUTS: usize>(&mut self, simd: S, terms: &[usize], first: usize) {
        let mut done = 0;
        while done < terms.len() {
            let rest = &terms[done..];
            done += match *rest {
                [a, b, c, ..] => self.products::<S, OUTPUTS, 3>(simd, [a, b, c], first, done),
                [a, b] => self.products::<S, OUTPUTS, 2>(simd, [a, b], first, done),
                [a] => self.products::<S, OUTPUTS, 1>(simd, [a], first, done),
                [] => break,
            };
        }
    }

    /// Dot products of `OUTPUTS` gradient planes with the input shifted to `TERMS` places.
    #[inline(always)]
    fn products<S: Simd, const OUTPUTS: usize, const TERMS: usize>(
        &mut self,
        simd: S,
        offsets: [usize; TERMS],
        first: usize,
        term: usize,
    ) -> usize {
        let lanes = S::F32_LANES;
        let vectors = self.layout.columns.div_ceil(lanes);
        let stride = self.gradient_layout.channel_stride;
        let mut sums = [[simd.splat_f32s(0.0); TERMS]; OUTPUTS];
        // SAFETY: `weight_gradient_tile` has checked that both scratch copies hold whole vectors for every column of
        // every row from each offset on; gradient rows are filled up with zeros and input rows with finite values.
        unsafe {
            for row in 0..self.layout.rows {
                let input = self.input.as_ptr().add(row * self.layout.row_step);
                let gradient = self.gradient.as_ptr().add(first * stride + row * self.gradient_layout.row_step);
                for vector in 0..vectors {
                    let at = vector * lanes;
                    let mut x = [simd.splat_f32s(0.0); TERMS];
                    for (x, offset) in x.iter_mut().zip(offsets) {
                        *x = load::<S>(input.add(offset + at));
                    }
                    for (o, sum) in sums.iter_mut().enumerate() {
                        let g = load::<S>(gradient.add(o * stride + at));
                        for t in 0..TERMS {
                            sum[t] = simd.mul_add_e_f32s(x[t], g, sum[t]);
                        }
                    }
                }
            }
        }
        for (o, sum) in sums.into_iter().enumerate() {
            for (t, value) in sum.into_iter().enumerate() {
                self.weight[(first + o) * terms_of(self.layout) + term + t] += simd.reduce_sum_f32s(value);
            }
        }
        TERMS
    }
}

fn terms_of(layout: &Layout) -> usize {
    layout.channels * layout.taps.len()
}
