//! Convolutions of each channel with a kernel of its own.

use std::cell::RefCell;

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::{dispatch::dispatch, micro::load, tile::MAX_LANES};

/// Rows of the output that are made from one copy of the input with its border.
const STRIP: usize = 16;

/// Vectors of a row that are summed together.
const TOGETHER: usize = 4;

thread_local! {
    static BORDERED: RefCell<Vec<f32>> = const { RefCell::new(Vec::new()) };
}

/// Convolution of `x` [N, C, H, W] with kernels [C, 1, Kh, Kw] at stride 1, so many zeros above and below, left and right,
/// and an optional bias [C]. Gives the values and their shape.
pub(crate) fn forward(
    x: &[f32],
    [n, channels, height, width]: [usize; 4],
    weight: &[f32],
    kernel: [usize; 2],
    padding: [usize; 2],
    bias: Option<&[f32]>,
) -> (Vec<f32>, [usize; 4]) {
    let [kernel_rows, kernel_columns] = kernel;
    let rows = (height + 2 * padding[0] + 1).saturating_sub(kernel_rows);
    let columns = (width + 2 * padding[1] + 1).saturating_sub(kernel_columns);
    let shape = [n, channels, rows, columns];
    let mut out = vec![0.0; n * channels * rows * columns];
    if out.is_empty() {
        return (out, shape);
    }
    assert_eq!(x.len(), n * channels * height * width, "input has its shape");
    assert_eq!(weight.len(), channels * kernel_rows * kernel_columns, "a kernel for each channel");
    out.par_chunks_mut(rows * columns).zip(x.par_chunks(height * width)).enumerate().for_each(|(plane, (out, x))| {
        let channel = plane % channels;
        let weight = &weight[channel * kernel_rows * kernel_columns..][..kernel_rows * kernel_columns];
        let bias = bias.map_or(0.0, |bias| bias[channel]);
        BORDERED.with_borrow_mut(|bordered| {
            for (strip, out) in out.chunks_mut(STRIP * columns).enumerate() {
                let top = (strip * STRIP) as isize - padding[0] as isize;
                let row_len = (columns + kernel_columns).next_multiple_of(MAX_LANES) + TOGETHER * MAX_LANES;
                let count = out.len() / columns + kernel_rows - 1;
                bordered.clear();
                bordered.resize(count * row_len, 0.0);
                for (row, target) in bordered.chunks_exact_mut(row_len).enumerate() {
                    let y = top + row as isize;
                    if (0..height as isize).contains(&y) {
                        let source = &x[y as usize * width..][..width];
                        let count = width.min(row_len - padding[1]);
                        target[padding[1]..padding[1] + count].copy_from_slice(&source[..count]);
                    }
                }
                dispatch(Strip { out, columns, bordered, row_len, kernel, weight, bias });
            }
        });
    });
    (out, shape)
}

struct Strip<'a> {
    out: &'a mut [f32],
    columns: usize,
    bordered: &'a [f32],
    row_len: usize,
    kernel: [usize; 2],
    weight: &'a [f32],
    bias: f32,
}

impl WithSimd for Strip<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { out, columns, bordered, row_len, kernel: [rows, width], weight, bias } = self;
        let lanes = S::F32_LANES;
        let lines = out.len() / columns;
        let last = columns.div_ceil(TOGETHER * lanes) * TOGETHER * lanes;
        assert!(bordered.len() >= (lines + rows - 1) * row_len && weight.len() == rows * width, "all that is read");
        assert!(last + width - 1 <= row_len, "whole vectors in each row");
        for (line, out) in out.chunks_exact_mut(columns).enumerate() {
            for column in (0..columns).step_by(TOGETHER * lanes) {
                let mut sums = [simd.splat_f32s(bias); TOGETHER];
                // SAFETY: rows `line..line + rows` lie within the copy, and from each tap on as many vectors within a row.
                unsafe {
                    let mut weight = weight.as_ptr();
                    for row in 0..rows {
                        let source = bordered.as_ptr().add((line + row) * row_len + column);
                        for tap in 0..width {
                            let factor = simd.splat_f32s(*weight);
                            weight = weight.add(1);
                            for (v, sum) in sums.iter_mut().enumerate() {
                                *sum = simd.mul_add_e_f32s(load::<S>(source.add(tap + v * lanes)), factor, *sum);
                            }
                        }
                    }
                }
                let values: &[f32] = bytemuck::cast_slice(&sums);
                let count = (columns - column).min(values.len());
                out[column..column + count].copy_from_slice(&values[..count]);
            }
        }
    }
}
