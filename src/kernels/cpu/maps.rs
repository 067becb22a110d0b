//! Passes over feature maps that cost more in memory traffic than in arithmetic, each fused into one.

use pulp::{Arch, Simd, WithSimd};
use rayon::prelude::*;

/// The sum of some values.
pub(crate) fn sum(values: &[f32]) -> f32 {
    struct Sum<'a>(&'a [f32]);
    impl WithSimd for Sum<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) -> f32 {
            let (vectors, rest) = S::as_simd_f32s(self.0);
            let (fours, few) = pulp::as_arrays::<4, _>(vectors);
            let mut sums = [simd.splat_f32s(0.0); 4];
            for four in fours {
                for (sum, &value) in sums.iter_mut().zip(four) {
                    *sum = simd.add_f32s(*sum, value);
                }
            }
            for &value in few {
                sums[0] = simd.add_f32s(sums[0], value);
            }
            let [a, b, c, d] = sums;
            let total = simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d));
            simd.reduce_sum_f32s(total) + rest.iter().sum::<f32>()
        }
    }
    Arch::new().dispatch(Sum(values))
}

/// Means over cells of `cell` x `cell` positions: [planes, H, W] to [planes, H / cell, W / cell]. Positions beyond
/// whole cells are left out.
pub(crate) fn cell_means(x: &[f32], height: usize, width: usize, cell: usize) -> Vec<f32> {
    let (rows, columns) = (height / cell, width / cell);
    let mut out = vec![0.0; x.len() / (height * width) * rows * columns];
    if out.is_empty() {
        return out;
    }
    out.par_chunks_mut(rows * columns).zip(x.par_chunks(height * width)).for_each_init(
        || vec![0.0_f32; width],
        |sums, (out, plane)| {
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                sums.fill(0.0);
                for line in plane[row * cell * width..].chunks_exact(width).take(cell) {
                    sums.iter_mut().zip(line).for_each(|(sum, &value)| *sum += value);
                }
                for (out, sums) in out.iter_mut().zip(sums.chunks_exact(cell)) {
                    *out = sums.iter().sum::<f32>() / (cell * cell) as f32;
                }
            }
        },
    );
    out
}

/// `x * scale + residual`, where `scale` is interpolated bilinearly between the centres of the cells of a grid and
/// constant beyond the outermost centres: [planes, H, W] with a grid [planes, rows, columns], H and W whole multiples.
pub(crate) fn modulate(
    x: &[f32],
    grid: &[f32],
    residual: &[f32],
    [height, width]: [usize; 2],
    [rows, columns]: [usize; 2],
) -> Vec<f32> {
    let (cell_height, cell_width) = (height / rows, width / columns);
    let mut out = vec![0.0; x.len()];
    out.par_chunks_mut(height * width).enumerate().for_each_init(
        || (vec![0.0_f32; columns], vec![0.0_f32; width]),
        |(between, scales), (plane, out)| {
            let grid = &grid[plane * rows * columns..][..rows * columns];
            let start = plane * height * width;
            for (y, out) in out.chunks_exact_mut(width).enumerate() {
                let (low, high, mix) = neighbours(y, cell_height, rows);
                for (column, value) in between.iter_mut().enumerate() {
                    *value = lerp(grid[low * columns + column], grid[high * columns + column], mix);
                }
                expand(between, cell_width, scales);
                let row = start + y * width..start + (y + 1) * width;
                let operands = Row { x: &x[row.clone()], scales, residual: &residual[row], out };
                Arch::new().dispatch(operands);
            }
        },
    );
    out
}

fn lerp(a: f32, b: f32, mix: f32) -> f32 {
    a + (b - a) * mix
}

/// The cells whose centres lie around a position, and how far it is from the first to the second.
fn neighbours(position: usize, cell: usize, cells: usize) -> (usize, usize, f32) {
    let at = ((position as f32 + 0.5) / cell as f32 - 0.5).clamp(0.0, (cells - 1) as f32);
    let low = (at as usize).min(cells - 1);
    (low, (low + 1).min(cells - 1), at - low as f32)
}

/// Interpolates a row of cells to a row of positions.
fn expand(cells: &[f32], cell: usize, out: &mut [f32]) {
    for (x, out) in out.iter_mut().enumerate() {
        let (low, high, mix) = neighbours(x, cell, cells.len());
        *out = lerp(cells[low], cells[high], mix);
    }
}

struct Row<'a> {
    x: &'a [f32],
    scales: &'a [f32],
    residual: &'a [f32],
    out: &'a mut [f32],
}

impl WithSimd for Row<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        for (((out, &x), &scale), &residual) in self.out.iter_mut().zip(self.x).zip(self.scales).zip(self.residual) {
            *out = x * scale + residual;
        }
    }
}

/// [planes, 4, H, W] to [planes, 2H, 2W]: part 2i + j goes to row parity i and column parity j.
pub(crate) fn pixel_shuffle(x: &[f32], height: usize, width: usize) -> Vec<f32> {
    let mut out = vec![0.0; x.len()];
    if out.is_empty() {
        return out;
    }
    let area = height * width;
    out.par_chunks_mut(4 * area).zip(x.par_chunks(4 * area)).for_each(|(out, parts)| {
        for (line, out) in out.chunks_exact_mut(2 * width).enumerate() {
            let (y, i) = (line / 2, line % 2);
            let left = &parts[2 * i * area + y * width..][..width];
            let right = &parts[(2 * i + 1) * area + y * width..][..width];
            for ((pair, &left), &right) in out.chunks_exact_mut(2).zip(left).zip(right) {
                pair[0] = left;
                pair[1] = right;
            }
        }
    });
    out
}
