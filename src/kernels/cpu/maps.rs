//! Passes over feature maps that cost more in memory traffic than in arithmetic, each fused into one.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::dispatch::dispatch;

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
    dispatch(Sum(values))
}

/// Means over cells of `cell` x `cell` positions: [planes, H, W] to [planes, H / cell, W / cell]. Positions beyond
/// whole cells are left out.
pub(crate) fn block_means(x: &[f32], height: usize, width: usize, cell: usize) -> Vec<f32> {
    let (rows, columns) = (height / cell, width / cell);
    let mut out = vec![0.0; x.len() / (height * width) * rows * columns];
    if out.is_empty() {
        return out;
    }
    out.par_chunks_mut(rows * columns).zip(x.par_chunks(height * width)).for_each_init(
        || vec![0.0_f32; columns * cell],
        |sums, (out, plane)| dispatch(CellMeans { plane, width, cell, sums, out }),
    );
    out
}

struct CellMeans<'a> {
    plane: &'a [f32],
    width: usize,
    cell: usize,
    sums: &'a mut [f32],
    out: &'a mut [f32],
}

impl WithSimd for CellMeans<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { plane, width, cell, sums, out } = self;
        for (row, out) in out.chunks_exact_mut(sums.len() / cell).enumerate() {
            sums.fill(0.0);
            for line in plane[row * cell * width..].chunks_exact(width).take(cell) {
                for (sum, &value) in sums.iter_mut().zip(line) {
                    *sum += value;
                }
            }
            for (out, sums) in out.iter_mut().zip(sums.chunks_exact(cell)) {
                *out = sums.iter().sum::<f32>() / (cell * cell) as f32;
            }
        }
    }
}

/// The largest of the values under each window of planes [H, W]; beyond the border there are none.
pub(crate) fn max_pool(
    x: &[f32],
    [height, width]: [usize; 2],
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
) -> (Vec<f32>, [usize; 2]) {
    let sides = [height, width];
    let [rows, columns] = std::array::from_fn(|axis| {
        (sides[axis] + 2 * padding[axis]).checked_sub(kernel[axis]).map_or(0, |rest| rest / stride[axis] + 1)
    });
    let mut out = vec![0.0; x.len() / (height * width) * rows * columns];
    if out.is_empty() {
        return (out, [rows, columns]);
    }
    let window = |axis: usize, at: usize| {
        let start = (at * stride[axis]).saturating_sub(padding[axis]);
        start..(at * stride[axis] + kernel[axis] - padding[axis].min(at * stride[axis] + kernel[axis])).min(sides[axis])
    };
    out.par_chunks_mut(rows * columns).zip(x.par_chunks(height * width)).for_each_init(
        || vec![0.0_f32; width],
        |highest, (out, plane)| {
            for (row, out) in out.chunks_exact_mut(columns).enumerate() {
                highest.fill(f32::NEG_INFINITY);
                for line in window(0, row).map(|y| &plane[y * width..][..width]) {
                    for (highest, &value) in highest.iter_mut().zip(line) {
                        *highest = if value > *highest || value.is_nan() { value } else { *highest };
                    }
                }
                for (column, out) in out.iter_mut().enumerate() {
                    let within = &highest[window(1, column)];
                    *out =
                        within.iter().fold(f32::NEG_INFINITY, |high, &x| if x > high || x.is_nan() { x } else { high });
                }
            }
        },
    );
    (out, [rows, columns])
}

/// The entries other than zero of each row of a matrix of `from` columns.
pub(crate) fn taps(matrix: &[f32], from: usize) -> Vec<Vec<(usize, f32)>> {
    let of = |row: &[f32]| {
        row.iter().enumerate().filter(|&(_, &weight)| weight != 0.0).map(|(at, &weight)| (at, weight)).collect()
    };
    matrix.chunks_exact(from).map(of).collect()
}

/// Planes [H, W] at other sides, each row and each column a sum of a few: [planes, rows, columns].
pub(crate) fn resample(
    x: &[f32],
    [height, width]: [usize; 2],
    rows: &[Vec<(usize, f32)>],
    columns: &[Vec<(usize, f32)>],
) -> Vec<f32> {
    let mut out = vec![0.0; x.len() / (height * width) * rows.len() * columns.len()];
    if out.is_empty() {
        return out;
    }
    let area = rows.len() * columns.len();
    out.par_chunks_mut(area).zip(x.par_chunks(height * width)).for_each_init(
        || vec![0.0_f32; width],
        |line, (out, plane)| {
            for (out, taps) in out.chunks_exact_mut(columns.len()).zip(rows) {
                line.fill(0.0);
                for &(row, weight) in taps {
                    for (sum, &value) in line.iter_mut().zip(&plane[row * width..]) {
                        *sum += weight * value;
                    }
                }
                for (out, taps) in out.iter_mut().zip(columns) {
                    *out = taps.iter().map(|&(column, weight)| weight * line[column]).sum();
                }
            }
        },
    );
    out
}

/// `x * scale + residual` in place of `x`, where `scale` is interpolated bilinearly between the centres of the cells of
/// a grid and constant beyond the outermost centres: [planes, H, W] with a grid [planes, rows, columns], H and W whole
/// multiples.
pub(crate) fn modulate(
    x: &mut [f32],
    grid: &[f32],
    residual: &[f32],
    [height, width]: [usize; 2],
    [rows, columns]: [usize; 2],
) {
    let (cell_height, cell_width) = (height / rows, width / columns);
    // From one centre to the next the way is the same everywhere.
    let half = cell_width / 2;
    let ramp: Vec<f32> =
        (0..cell_width).map(|i| (i as f32 + 0.5 + half as f32 - cell_width as f32 / 2.0) / cell_width as f32).collect();
    x.par_chunks_mut(height * width).zip(residual.par_chunks(height * width)).enumerate().for_each_init(
        || vec![0.0_f32; columns + 2],
        |between, (plane, (x, residual))| {
            let grid = &grid[plane * rows * columns..][..rows * columns];
            for (y, (x, residual)) in x.chunks_exact_mut(width).zip(residual.chunks_exact(width)).enumerate() {
                let (low, high, mix) = neighbours(y, cell_height, rows);
                for (column, value) in between[1..=columns].iter_mut().enumerate() {
                    *value = lerp(grid[low * columns + column], grid[high * columns + column], mix);
                }
                between[0] = between[1];
                between[columns + 1] = between[columns];
                dispatch(ModulateRow { x, residual, between, ramp: &ramp, half });
            }
        },
    );
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

struct ModulateRow<'a> {
    x: &'a mut [f32],
    residual: &'a [f32],
    /// Scales at the centres of cells, the outermost twice.
    between: &'a [f32],
    ramp: &'a [f32],
    half: usize,
}

impl WithSimd for ModulateRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { x, residual, between, ramp, half } = self;
        let mut start = 0;
        for (index, pair) in between.windows(2).enumerate() {
            // The first and the last piece are parts of a cell: before the first centre and after the last.
            let end = (half + index * ramp.len()).min(x.len());
            let (scale, slope) = (pair[0], pair[1] - pair[0]);
            let pieces = x[start..end].iter_mut().zip(&residual[start..end]).zip(ramp);
            for ((x, &residual), &way) in pieces {
                *x = *x * (scale + slope * way) + residual;
            }
            start = end;
        }
    }
}

/// Bicubic enlargement by a whole factor (a = -0.75, corners not aligned, borders repeated): [planes, H, W] to
/// [planes, factor * H, factor * W].
pub(crate) fn enlarge_bicubic(x: &[f32], height: usize, width: usize, factor: usize) -> Vec<f32> {
    let taps: Vec<(isize, [f32; 4])> = (0..factor).map(|phase| bicubic_taps(phase, factor)).collect();
    let wide = width * factor;
    let mut out = vec![0.0; x.len() * factor * factor];
    // Rows first, as they are the fewer.
    let mut rows = vec![0.0; x.len() * factor];
    rows.par_chunks_mut(wide).zip(x.par_chunks(width)).with_min_len(16).for_each(|(out, row)| {
        dispatch(EnlargeRow { row, taps: &taps, out });
    });
    out.par_chunks_mut(wide).enumerate().with_min_len(16).for_each(|(line, out)| {
        let (plane, line) = (line / (height * factor), line % (height * factor));
        let (offset, weights) = taps[line % factor];
        let row = |k: isize| {
            let y = ((line / factor) as isize + offset + k).clamp(0, height as isize - 1) as usize;
            &rows[(plane * height + y) * wide..][..wide]
        };
        dispatch(MixRows { rows: [row(0), row(1), row(2), row(3)], weights, out });
    });
    out
}

/// First neighbour of a phase relative to its pixel, and the weights of it and the three after it.
fn bicubic_taps(phase: usize, factor: usize) -> (isize, [f32; 4]) {
    const A: f64 = -0.75;
    let at = (phase as f64 + 0.5) / factor as f64 - 0.5;
    let t = at - at.floor();
    let near = |d: f64| ((A + 2.0) * d - (A + 3.0)) * d * d + 1.0;
    let far = |d: f64| ((A * d - 5.0 * A) * d + 8.0 * A) * d - 4.0 * A;
    let weights = [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)];
    (at.floor() as isize - 1, weights.map(|weight| weight as f32))
}

struct EnlargeRow<'a> {
    row: &'a [f32],
    taps: &'a [(isize, [f32; 4])],
    out: &'a mut [f32],
}

impl WithSimd for EnlargeRow<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let Self { row, taps, out } = self;
        let last = row.len() as isize - 1;
        for (x, out) in out.chunks_exact_mut(taps.len()).enumerate() {
            for (out, (offset, weights)) in out.iter_mut().zip(taps) {
                let mut sum = 0.0;
                for (k, weight) in weights.iter().enumerate() {
                    let at = (x as isize + offset + k as isize).clamp(0, last) as usize;
                    sum += weight * row[at];
                }
                *out = sum;
            }
        }
    }
}

struct MixRows<'a> {
    rows: [&'a [f32]; 4],
    weights: [f32; 4],
    out: &'a mut [f32],
}

impl WithSimd for MixRows<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let [a, b, c, d] = self.rows;
        let [wa, wb, wc, wd] = self.weights;
        for ((((out, a), b), c), d) in self.out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
            *out = a * wa + b * wb + c * wc + d * wd;
        }
    }
}

/// [planes, 4, H, W] to [planes, 2H, 2W] for each picture, part 2i + j going to row parity i and column parity j, and
/// the planes of `beside` ([planes, 2H, 2W]) after them: [N, 4C, H, W] and [N, D, 2H, 2W] to [N, C + D, 2H, 2W].
pub(crate) fn shuffle_concat(
    x: &[f32],
    [n, parts, height, width]: [usize; 4],
    beside: &[f32],
    others: usize,
) -> Vec<f32> {
    let (area, channels) = (height * width, parts / 4);
    let each = channels + others;
    let mut out = Vec::with_capacity(n * each * 4 * area);
    if out.capacity() == 0 {
        return out;
    }
    let memory = &mut out.spare_capacity_mut()[..n * each * 4 * area];
    memory.par_chunks_mut(4 * area).enumerate().for_each(|(index, out)| {
        let (picture, channel) = (index / each, index % each);
        if channel >= channels {
            let source = &beside[(picture * others + channel - channels) * 4 * area..][..4 * area];
            out.write_copy_of_slice(source);
            return;
        }
        let parts = &x[(picture * channels + channel) * 4 * area..][..4 * area];
        for (line, out) in out.chunks_exact_mut(2 * width).enumerate() {
            let (y, i) = (line / 2, line % 2);
            let left = &parts[2 * i * area + y * width..][..width];
            let right = &parts[(2 * i + 1) * area + y * width..][..width];
            for ((pair, &left), &right) in out.chunks_exact_mut(2).zip(left).zip(right) {
                pair[0].write(left);
                pair[1].write(right);
            }
        }
    });
    // SAFETY: every plane of every picture has been written in full, a line for each of its `2 * height`.
    unsafe { out.set_len(n * each * 4 * area) };
    out
}

/// The gradient of [`shuffle_concat`]: `grad` [N, C + D, 2H, 2W] to [N, 4C, H, W] and [N, D, 2H, 2W].
pub(crate) fn unshuffle_concat(
    grad: &[f32],
    [n, each, height, width]: [usize; 4],
    others: usize,
) -> (Vec<f32>, Vec<f32>) {
    let (area, channels) = (height * width, each - others);
    let mut shuffled = vec![0.0; n * channels * area];
    let (half, quarter) = (width / 2, area / 4);
    shuffled.par_chunks_mut(area).enumerate().for_each(|(index, parts)| {
        let plane = &grad[(index / channels * each + index % channels) * area..][..area];
        for (line, row) in plane.chunks_exact(width).enumerate() {
            let (y, i) = (line / 2, line % 2);
            let (left, right) = parts[2 * i * quarter..][..2 * quarter].split_at_mut(quarter);
            let targets = left[y * half..].iter_mut().zip(&mut right[y * half..]);
            for (pair, (left, right)) in row.chunks_exact(2).zip(targets) {
                *left = pair[0];
                *right = pair[1];
            }
        }
    });
    let mut beside = Vec::with_capacity(n * others * area);
    for picture in grad.chunks_exact(each * area) {
        beside.extend_from_slice(&picture[channels * area..]);
    }
    (shuffled, beside)
}

/// Planes of several tensors [N, C, area], those of each picture one after the other.
pub(crate) fn concat(parts: &[&[f32]], channels: &[usize], pictures: usize, area: usize) -> Vec<f32> {
    let all: usize = channels.iter().sum();
    let mut out = Vec::with_capacity(pictures * all * area);
    if area == 0 || all == 0 {
        return out;
    }
    let memory = &mut out.spare_capacity_mut()[..pictures * all * area];
    memory.par_chunks_mut(area).enumerate().for_each(|(plane, out)| {
        let (picture, mut channel) = (plane / all, plane % all);
        for (part, &count) in parts.iter().zip(channels) {
            if channel < count {
                out.write_copy_of_slice(&part[(picture * count + channel) * area..][..area]);
                return;
            }
            channel -= count;
        }
        unreachable!("a plane of one of the parts");
    });
    // SAFETY: every plane of every picture has been written in full.
    unsafe { out.set_len(pictures * all * area) };
    out
}

/// [N * C * r², H, W] to [N * C, rH, rW]: channel `r * i + j` of the r² of each one goes to row parity i, column parity j.
pub(crate) fn shuffle(x: &[f32], height: usize, width: usize, by: usize) -> Vec<f32> {
    let area = height * width;
    let each = area * by * by;
    let mut out = vec![0.0; x.len()];
    if each == 0 {
        return out;
    }
    out.par_chunks_mut(each).zip(x.par_chunks(each)).for_each(|(out, parts)| {
        for (line, row) in out.chunks_exact_mut(width * by).enumerate() {
            let (y, i) = (line / by, line % by);
            for j in 0..by {
                let source = &parts[(i * by + j) * area + y * width..][..width];
                for (target, &sample) in row[j..].iter_mut().step_by(by).zip(source) {
                    *target = sample;
                }
            }
        }
    });
    out
}

/// The inverse of [`shuffle`]: [N * C, rH, rW] to [N * C * r², H, W] for H and W of the result.
pub(crate) fn unshuffle(x: &[f32], height: usize, width: usize, by: usize) -> Vec<f32> {
    let area = height * width;
    let each = area * by * by;
    let mut out = vec![0.0; x.len()];
    if each == 0 {
        return out;
    }
    out.par_chunks_mut(each).zip(x.par_chunks(each)).for_each(|(parts, picture)| {
        for (line, row) in picture.chunks_exact(width * by).enumerate() {
            let (y, i) = (line / by, line % by);
            for j in 0..by {
                let target = &mut parts[(i * by + j) * area + y * width..][..width];
                for (target, &sample) in target.iter_mut().zip(row[j..].iter().step_by(by)) {
                    *target = sample;
                }
            }
        }
    });
    out
}

/// Each sample of planes [planes, H, W] at the nearest of other sides, as PyTorch finds it: `floor(i * H / H')`.
pub(crate) fn enlarge_nearest(x: &[f32], [height, width]: [usize; 2], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let (from, to) = (height * width, rows * columns);
    if from == 0 || to == 0 {
        return Vec::new();
    }
    let across: Vec<usize> = (0..columns).map(|column| column * width / columns).collect();
    let mut out = vec![0.0; x.len() / from * to];
    out.par_chunks_mut(to).zip(x.par_chunks(from)).for_each(|(out, plane)| {
        let mut last = None;
        for row in 0..rows {
            let source = row * height / rows;
            let (before, line) = out.split_at_mut(row * columns);
            if last == Some(source) {
                line[..columns].copy_from_slice(&before[(row - 1) * columns..]);
            } else {
                let source = &plane[source * width..][..width];
                line[..columns].iter_mut().zip(&across).for_each(|(target, &at)| *target = source[at]);
            }
            last = Some(source);
        }
    });
    out
}
