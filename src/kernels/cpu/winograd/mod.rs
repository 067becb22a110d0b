//! 3x3 convolution at stride 1 by Winograd's method F(4x4, 3x3): 36 multiplications for each 4x4 outputs of a pair of
//! channels where the direct method takes 144 (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks",
//! CVPR 2016).
//!
//! The picture is cut into squares of 4x4 outputs, which overlap in their 6x6 inputs. Input squares and kernels are
//! transformed to 36 frequencies, multiplied and summed over channels there (36 products of small matrices), and
//! transformed back. The transforms are matrices of the interpolation points 0, ±1/√2, ±√2 and infinity, which lose
//! about one decimal digit of `f32` where the points 0, ±1, ±2 lose two.
//!
//! Squares are computed in strips that keep the transformed values in the second-level cache. One vector holds the
//! same frequency of as many squares of a row as it has lanes.

mod gradient;
mod product;
mod transform;

use std::cell::RefCell;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{
    Planes,
    dispatch::{dispatch, lanes},
    micro::Last,
    output::Output,
};

pub(super) use gradient::weight_gradient;
pub(super) use product::Kernels;

/// Outputs of a square in each direction.
const SIDE: usize = 4;
/// Inputs of a square in each direction, and values of its transform.
const POINTS: usize = 6;
const FREQUENCIES: usize = POINTS * POINTS;

/// Floats of transformed values that a strip should take, so that they stay in the second-level cache: one vector of
/// squares is the least, whatever the channels.
const STRIP_FLOATS: usize = 112 * 1024;

/// Floats between matrices beyond their size: matrices a power of two apart would compete for the same cache sets.
const GAP: usize = 16;

/// What transforms cost for each channel of a square, whatever the number of channels on the other side, in
/// multiply-adds of one lane. Fitted to measurements with AVX2.
#[derive(Clone, Copy, Debug)]
pub(super) struct TransformCost {
    input: usize,
    output: usize,
}

impl TransformCost {
    /// Of a convolution.
    pub(super) const CORRELATION: Self = Self { input: 300, output: 250 };
    /// Of the gradient of the kernels, which goes over the inputs six times.
    pub(super) const WEIGHT_GRADIENT: Self = Self { input: 600, output: 450 };
}

/// Whether the method is the faster one for a 3x3 convolution at stride 1 with outputs of `height` x `width`.
pub(super) fn pays(cost: TransformCost, channels: usize, outputs: usize, height: usize, width: usize) -> bool {
    let lanes = lanes();
    // Squares beyond the border are computed too.
    let squares = height.div_ceil(SIDE) * width.div_ceil(SIDE * lanes) * lanes;
    let ours = squares * (FREQUENCIES * channels * outputs + cost.input * channels + cost.output * outputs);
    // The direct method loses a fifth at its borders and in its copies.
    let direct = height * width.next_multiple_of(lanes) * 9 * channels * outputs * 5 / 4;
    ours < direct
}

/// A rectangle of squares of one picture: `rows` x `groups` vectors.
#[derive(Clone, Copy, Debug)]
struct Strip {
    picture: usize,
    /// First row of squares.
    row: usize,
    rows: usize,
    /// First group of as many squares as a vector has lanes.
    group: usize,
    groups: usize,
    /// Lanes that it was cut for.
    lanes: usize,
}

impl Strip {
    fn vectors(&self) -> usize {
        self.rows * self.groups
    }

    /// First column of outputs.
    fn left(&self, lanes: usize) -> usize {
        self.group * SIDE * lanes
    }

    /// Columns of outputs, the surplus of the last group included.
    fn columns(&self, lanes: usize) -> usize {
        self.groups * SIDE * lanes
    }

    /// Length of a row of inputs in scratch memory: the border on either side, and whole vectors.
    fn row_len(&self, lanes: usize) -> usize {
        self.columns(lanes) + lanes.max(4)
    }
}

/// The cut of pictures into strips of at most `most` vectors; depends on shapes and lanes only.
struct Strips {
    lanes: usize,
    pictures: usize,
    rows: usize,
    groups: usize,
    /// Strips above and beside each other in a picture.
    down: usize,
    across: usize,
}

impl Strips {
    fn new([pictures, _, height, width]: [usize; 4], lanes: usize, most: usize) -> Self {
        let (rows, groups) = (height.div_ceil(SIDE), width.div_ceil(SIDE * lanes));
        let across = groups.div_ceil(most.max(1));
        let wide = groups.div_ceil(across.max(1));
        let down = rows.div_ceil((most / wide.max(1)).max(1));
        Self { lanes, pictures, rows, groups, down, across }
    }

    fn len(&self) -> usize {
        self.pictures * self.down * self.across
    }

    fn get(&self, index: usize) -> Strip {
        // Strips of even size.
        let part = |index: usize, parts: usize, length: usize| {
            let start = index * length / parts;
            (start, (index + 1) * length / parts - start)
        };
        let (row, rows) = part(index / self.across % self.down, self.down, self.rows);
        let (group, groups) = part(index % self.across, self.across, self.groups);
        Strip { picture: index / (self.across * self.down), row, rows, group, groups, lanes: self.lanes }
    }
}

/// Scratch memory of a thread: grows to the largest strip it has seen and is reused.
#[derive(Default)]
struct Scratch {
    /// Inputs with their border.
    plane: Vec<f32>,
    /// Inputs transformed along columns.
    half: Vec<f32>,
    /// Inputs transformed.
    input: Vec<f32>,
    /// Products, or output gradients transformed.
    output: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

fn grow(buffer: &mut Vec<f32>, length: usize) {
    buffer.resize(length.max(buffer.len()), 0.0);
}

/// The convolution of `x` (zero padding 1) with transformed kernels, with bias and activation, into
/// `out` ([N, O, H, W]).
pub(super) fn correlate(x: Planes<'_>, kernels: &Kernels, bias: Option<&[f32]>, last: Last<'_>, out: &Output<'_>) {
    let [_, channels, _, _] = x.shape();
    let lanes = lanes();
    let most = STRIP_FLOATS / (FREQUENCIES * lanes * (channels + kernels.widest_chunk()));
    let strips = Strips::new(x.shape(), lanes, most);
    (0..strips.len()).into_par_iter().for_each(|index| {
        let strip = strips.get(index);
        SCRATCH.with_borrow_mut(|scratch| {
            dispatch(Correlate { x, kernels, bias, last, out, strip, scratch });
        });
    });
}

struct Correlate<'a> {
    x: Planes<'a>,
    kernels: &'a Kernels,
    bias: Option<&'a [f32]>,
    last: Last<'a>,
    out: &'a Output<'a>,
    strip: Strip,
    scratch: &'a mut Scratch,
}

impl WithSimd for Correlate<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, kernels, bias, last, out, strip, scratch } = self;
        let [_, channels, height, width] = x.shape();
        assert_eq!(S::F32_LANES, strip.lanes, "vectors that the strips were cut for");
        let row_len = strip.row_len(S::F32_LANES);
        let positions = strip.vectors() * S::F32_LANES;
        let input_gap = channels * positions + GAP;
        let output_gap = kernels.widest_chunk() * positions + GAP;
        grow(&mut scratch.plane, (SIDE * strip.rows + 2) * row_len);
        grow(&mut scratch.half, POINTS * row_len);
        grow(&mut scratch.input, FREQUENCIES * input_gap);
        grow(&mut scratch.output, FREQUENCIES * output_gap);

        let border = transform::Border::new(&strip, S::F32_LANES, [height, width]);
        for channel in 0..channels {
            border.copy(x.plane(strip.picture, channel), &mut scratch.plane);
            let target = &mut scratch.input[channel * positions..];
            transform::inputs(simd, &scratch.plane, &mut scratch.half, &strip, target, input_gap);
        }
        for chunk in kernels.chunks() {
            product::multiply(
                simd,
                kernels,
                &chunk,
                &scratch.input,
                input_gap,
                &mut scratch.output,
                output_gap,
                positions,
            );
            for output in chunk.outputs.clone() {
                let source = &scratch.output[(output - chunk.outputs.start) * positions..];
                let bias = bias.map_or(0.0, |bias| bias[output]);
                transform::outputs(simd, source, output_gap, &strip, bias, last.of(output), out, output);
            }
        }
    }
}
