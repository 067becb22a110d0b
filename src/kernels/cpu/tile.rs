//! Tiles of the output, the part of the input they need, and its copy with borders and strides taken out.

use std::cell::RefCell;

use super::Planes;

/// Lanes of the longest vector in use (AVX-512).
pub(crate) const MAX_LANES: usize = 16;

/// Floats of scratch memory a tile may take, so that it stays in the second-level cache.
const TILE_FLOATS: usize = 72 * 1024;

/// Kernel taps as displacements from `stride * output position`.
pub(crate) struct Taps {
    dy: Vec<isize>,
    dx: Vec<isize>,
    stride: usize,
}

/// Taps that produce the input positions of one parity in the gradient of a convolution.
pub(crate) struct Phase {
    pub(crate) taps: Taps,
    /// For each tap, its place in the kernel.
    pub(crate) kernel_index: Vec<usize>,
    pub(crate) row: usize,
    pub(crate) column: usize,
}

impl Taps {
    /// Taps of a `kernel` x `kernel` convolution with padding `kernel / 2`.
    pub(crate) fn of_kernel(kernel: usize, stride: usize) -> Self {
        let pad = (kernel / 2) as isize;
        let (dy, dx) = (0..kernel * kernel).map(|t| ((t / kernel) as isize - pad, (t % kernel) as isize - pad)).unzip();
        Self { dy, dx, stride }
    }

    /// Taps of any kernel.
    pub(crate) fn general(
        [rows, columns]: [usize; 2],
        [top, left]: [usize; 2],
        [down, across]: [usize; 2],
        stride: usize,
    ) -> Self {
        let place =
            |t: usize| ((t / columns * down) as isize - top as isize, (t % columns * across) as isize - left as isize);
        let (dy, dx) = (0..rows * columns).map(place).unzip();
        Self { dy, dx, stride }
    }

    /// Taps over the output gradient: input position `stride * q + parity` receives from output position
    /// `q + (parity - d) / stride` for each tap displacement `d` for which that is a whole number.
    pub(crate) fn transposed(kernel: usize, stride: usize) -> Vec<Phase> {
        let forward = Self::of_kernel(kernel, stride);
        let step = stride as isize;
        let mut phases = Vec::new();
        for row in 0..stride {
            for column in 0..stride {
                let mut phase =
                    Phase { taps: Self { dy: vec![], dx: vec![], stride: 1 }, kernel_index: vec![], row, column };
                for t in 0..forward.len() {
                    let (y, x) = (row as isize - forward.dy[t], column as isize - forward.dx[t]);
                    if y.rem_euclid(step) == 0 && x.rem_euclid(step) == 0 {
                        phase.taps.dy.push(y.div_euclid(step));
                        phase.taps.dx.push(x.div_euclid(step));
                        phase.kernel_index.push(t);
                    }
                }
                phases.push(phase);
            }
        }
        phases
    }

    pub(crate) fn len(&self) -> usize {
        self.dy.len()
    }

    fn range(displacements: &[isize]) -> (isize, isize) {
        displacements.iter().fold((isize::MAX, isize::MIN), |(low, high), &d| (low.min(d), high.max(d)))
    }
}

/// A rectangle of the output of one picture of the batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tile {
    pub(crate) picture: usize,
    pub(crate) row: usize,
    pub(crate) rows: usize,
    pub(crate) column: usize,
    pub(crate) columns: usize,
}

/// The cut of an output into tiles; depends on shapes only.
pub(crate) struct Tiles {
    shape: [usize; 4],
    rows: usize,
    columns: usize,
}

impl Tiles {
    /// `input_channels` and `gradient_channels` are what scratch memory holds for each position.
    pub(crate) fn new(out_shape: [usize; 4], input_channels: usize, gradient_channels: usize, taps: &Taps) -> Self {
        let [_, _, h, w] = out_shape;
        let area = taps.stride * taps.stride * input_channels + gradient_channels;
        let columns = w.min(192);
        let rows = (TILE_FLOATS / (area * columns.max(1)).max(1)).clamp(4, 64).min(h);
        Self { shape: out_shape, rows, columns }
    }

    fn across(&self) -> usize {
        self.shape[3].div_ceil(self.columns.max(1))
    }

    fn down(&self) -> usize {
        self.shape[2].div_ceil(self.rows.max(1))
    }

    pub(crate) fn len(&self) -> usize {
        self.shape[0] * self.across() * self.down()
    }

    pub(crate) fn get(&self, index: usize) -> Tile {
        let (across, down) = (self.across(), self.down());
        // Tiles of even size: a last tile of a few rows would copy more than it computes.
        let part = |index: usize, parts: usize, length: usize| {
            let start = index * length / parts;
            (start, (index + 1) * length / parts - start)
        };
        let (row, rows) = part(index / across % down, down, self.shape[2]);
        let (column, columns) = part(index % across, across, self.shape[3]);
        Tile { picture: index / (across * down), row, rows, column, columns }
    }
}

/// Where things lie in the scratch copy of a tile's input.
pub(crate) struct Layout {
    /// Floats between channels.
    pub(crate) channel_stride: usize,
    /// Floats between the inputs of two output rows.
    pub(crate) row_step: usize,
    /// Offset of each tap.
    pub(crate) taps: Vec<usize>,
    pub(crate) channels: usize,
    pub(crate) rows: usize,
    pub(crate) columns: usize,
}

/// Scratch memory of a thread: grows to the largest tile it has seen, which [`TILE_FLOATS`] bounds, and is reused.
#[derive(Default)]
pub(crate) struct Scratch {
    input: Vec<f32>,
    gradient: Vec<f32>,
}

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::default();
}

impl Scratch {
    pub(crate) fn with<R>(use_it: impl FnOnce(&mut Scratch) -> R) -> R {
        SCRATCH.with_borrow_mut(use_it)
    }

    pub(crate) fn input(&self) -> &[f32] {
        &self.input
    }

    pub(crate) fn both(&self) -> (&[f32], &[f32]) {
        (&self.input, &self.gradient)
    }

    /// Copies what `tile` needs of `x`, with zeros where taps leave the picture.
    pub(crate) fn fill(&mut self, x: Planes<'_>, tile: &Tile, taps: &Taps) -> Layout {
        let [_, channels, h, w] = x.shape();
        let step = taps.stride;
        let (low_y, high_y) = Taps::range(&taps.dy);
        let (low_x, high_x) = Taps::range(&taps.dx);
        let in_rows = (tile.rows - 1) * step + (high_y - low_y) as usize + 1;
        let span = (high_x - low_x) as usize;
        // Columns of one parity lie together; vectors may read past the last column, but never past the row.
        let parity_len = (tile.columns.next_multiple_of(MAX_LANES) + span).next_multiple_of(8);
        let row_len = parity_len * step;
        let mut channel_stride = in_rows * row_len;
        if channel_stride.is_multiple_of(256) {
            // Channels a multiple of 1 KiB apart would compete for the same few cache sets.
            channel_stride += 16;
        }
        self.input.resize((channels * channel_stride).max(self.input.len()), 0.0);

        let top = (tile.row * step) as isize + low_y;
        let left = (tile.column * step) as isize + low_x;
        for channel in 0..channels {
            let plane = x.plane(tile.picture, channel);
            let target = &mut self.input[channel * channel_stride..][..in_rows * row_len];
            for (r, row) in target.chunks_exact_mut(row_len).enumerate() {
                let y = top + r as isize;
                if y < 0 || y >= h as isize {
                    row.fill(0.0);
                    continue;
                }
                let source = &plane[y as usize * w..][..w];
                for (parity, part) in row.chunks_exact_mut(parity_len).enumerate() {
                    copy_every(source, left + parity as isize, step, part);
                }
            }
        }
        let tap_offset = |dy: isize, dx: isize| {
            let (y, x) = ((dy - low_y) as usize, (dx - low_x) as usize);
            y * row_len + (x % step) * parity_len + x / step
        };
        Layout {
            channel_stride,
            row_step: step * row_len,
            taps: taps.dy.iter().zip(&taps.dx).map(|(&dy, &dx)| tap_offset(dy, dx)).collect(),
            channels,
            rows: tile.rows,
            columns: tile.columns,
        }
    }

    /// Copies `tile` of the output gradient, rows filled up with zeros to whole vectors.
    pub(crate) fn fill_gradient(&mut self, grad: &[f32], shape: [usize; 4], tile: &Tile) -> Layout {
        let [_, channels, h, w] = shape;
        let row_len = tile.columns.next_multiple_of(MAX_LANES);
        let mut channel_stride = tile.rows * row_len;
        if channel_stride.is_multiple_of(256) {
            channel_stride += 16;
        }
        self.gradient.resize((channels * channel_stride).max(self.gradient.len()), 0.0);
        for channel in 0..channels {
            let plane = &grad[(tile.picture * channels + channel) * h * w..][..h * w];
            let target = &mut self.gradient[channel * channel_stride..][..tile.rows * row_len];
            for (r, row) in target.chunks_exact_mut(row_len).enumerate() {
                let source = &plane[(tile.row + r) * w + tile.column..][..tile.columns];
                row[..tile.columns].copy_from_slice(source);
                row[tile.columns..].fill(0.0);
            }
        }
        Layout { channel_stride, row_step: row_len, taps: vec![0], channels, rows: tile.rows, columns: tile.columns }
    }
}

/// `target[k] = source[start + k * step]`, zero outside.
fn copy_every(source: &[f32], start: isize, step: usize, target: &mut [f32]) {
    let skip = if start < 0 { (-start as usize).div_ceil(step) } else { 0 }.min(target.len());
    target[..skip].fill(0.0);
    let first = (start + (skip * step) as isize).max(0) as usize;
    let count = if first < source.len() { (source.len() - first).div_ceil(step) } else { 0 }.min(target.len() - skip);
    let (inside, outside) = target[skip..].split_at_mut(count);
    if step == 1 {
        inside.copy_from_slice(&source[first..first + count]);
    } else {
        for (target, &sample) in inside.iter_mut().zip(source[first.min(source.len())..].iter().step_by(step)) {
            *target = sample;
        }
    }
    outside.fill(0.0);
}
