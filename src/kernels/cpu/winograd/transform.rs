//! The transforms along columns and rows, several squares of a row at a time.
//!
//! Along columns a vector is a piece of a row. Along rows it is the same column of neighbouring squares, which
//! de-interleaving gives in some order of lanes; interleaving at the end undoes that order.

use pulp::Simd;

use super::{FREQUENCIES, POINTS, SIDE, Strip};
use crate::cpu::{
    micro::{Last, activate, load},
    output::Output,
};

/// The interpolation points ±A and ±B beside zero and infinity.
pub(super) const A: f32 = std::f32::consts::FRAC_1_SQRT_2;
pub(super) const B: f32 = std::f32::consts::SQRT_2;

/// Copies the inputs of a strip into scratch memory, zeros where they leave the picture.
pub(super) struct Border {
    row_len: usize,
    rows: usize,
    /// Input row and column of the first value.
    top: isize,
    left: isize,
    height: usize,
    /// Columns of a row in the picture, and where they lie in the picture and in the copy.
    columns: std::ops::Range<usize>,
    skip: usize,
    width: usize,
}

impl Border {
    pub(super) fn new(strip: &Strip, lanes: usize, [height, width]: [usize; 2]) -> Self {
        let row_len = strip.row_len(lanes);
        let left = strip.left(lanes) as isize - 1;
        let first = left.max(0) as usize;
        let last = (left + row_len as isize).clamp(first as isize, width as isize) as usize;
        Self {
            row_len,
            rows: SIDE * strip.rows + 2,
            top: (SIDE * strip.row) as isize - 1,
            left,
            height,
            columns: first..last,
            skip: (first as isize - left) as usize,
            width,
        }
    }

    /// The same without the border of one: the outputs of a strip.
    pub(super) fn of_outputs(strip: &Strip, lanes: usize, size: [usize; 2]) -> Self {
        let mut border = Self::new(strip, lanes, size);
        let columns = strip.columns(lanes);
        border.row_len = columns;
        border.rows = SIDE * strip.rows;
        border.top += 1;
        border.left += 1;
        let first = strip.left(lanes);
        border.columns = first..(first + columns).min(size[1]);
        border.skip = 0;
        border
    }

    /// Floats of the copy.
    pub(super) fn len(&self) -> usize {
        self.rows * self.row_len
    }

    pub(super) fn copy(&self, plane: &[f32], target: &mut [f32]) {
        let after = self.skip + self.columns.len();
        for (index, row) in target[..self.len()].chunks_exact_mut(self.row_len).enumerate() {
            let y = self.top + index as isize;
            if y < 0 || y >= self.height as isize {
                row.fill(0.0);
                continue;
            }
            row[..self.skip].fill(0.0);
            row[self.skip..after].copy_from_slice(&plane[y as usize * self.width..][self.columns.clone()]);
            row[after..].fill(0.0);
        }
    }
}

// Closures that handle vectors are avoided in what follows: where the compiler does not inline them they lack the
// instruction set of the function around them, and each operation becomes a call.

/// B^T d for one line of six values.
#[inline(always)]
pub(super) fn input_line<S: Simd>(simd: S, d: [S::f32s; POINTS]) -> [S::f32s; POINTS] {
    let middle = simd.splat_f32s(-(A * A + B * B));
    let [d0, d1, d2, d3, d4, d5] = d;
    let (a_plus, a_minus) = input_pair(simd, [d1, d2, d3, d4], A, B);
    let (b_plus, b_minus) = input_pair(simd, [d1, d2, d3, d4], B, A);
    [
        simd.mul_add_e_f32s(d2, middle, simd.add_f32s(d0, d4)),
        a_plus,
        a_minus,
        b_plus,
        b_minus,
        simd.mul_add_e_f32s(d3, middle, simd.add_f32s(d1, d5)),
    ]
}

/// The values at `point` and `-point`, `other` and `-other` being the other points.
#[inline(always)]
fn input_pair<S: Simd>(simd: S, d: [S::f32s; 4], point: f32, other: f32) -> (S::f32s, S::f32s) {
    let [d1, d2, d3, d4] = d;
    let square = simd.splat_f32s(-other * other);
    let even = simd.mul_add_e_f32s(d2, square, d4);
    let odd = simd.mul_f32s(simd.mul_add_e_f32s(d1, square, d3), simd.splat_f32s(point));
    (simd.add_f32s(even, odd), simd.sub_f32s(even, odd))
}

/// A^T m for one line of six values.
#[inline(always)]
fn output_line<S: Simd>(simd: S, m: [S::f32s; POINTS]) -> [S::f32s; SIDE] {
    let [m0, m1, m2, m3, m4, m5] = m;
    let (a_sum, a_gap) = (simd.add_f32s(m1, m2), simd.sub_f32s(m1, m2));
    let (b_sum, b_gap) = (simd.add_f32s(m3, m4), simd.sub_f32s(m3, m4));
    [
        simd.add_f32s(m0, simd.add_f32s(a_sum, b_sum)),
        mix(simd, a_gap, b_gap, A, B),
        mix(simd, a_sum, b_sum, A * A, B * B),
        simd.add_f32s(m5, mix(simd, a_gap, b_gap, A * A * A, B * B * B)),
    ]
}

#[inline(always)]
fn mix<S: Simd>(simd: S, a: S::f32s, b: S::f32s, of_a: f32, of_b: f32) -> S::f32s {
    simd.mul_add_e_f32s(a, simd.splat_f32s(of_a), simd.mul_f32s(b, simd.splat_f32s(of_b)))
}

/// # Safety
/// `pointer` must be valid for writing one vector.
#[inline(always)]
unsafe fn store<S: Simd>(pointer: *mut f32, value: S::f32s) {
    // SAFETY: as the caller promises; vectors may lie at any address.
    unsafe { pointer.cast::<S::f32s>().write_unaligned(value) }
}

/// `COUNT` vectors that begin `step` floats apart.
///
/// # Safety
/// `pointer` must be valid for reading each of them.
#[inline(always)]
pub(super) unsafe fn load_all<S: Simd, const COUNT: usize>(
    simd: S,
    pointer: *const f32,
    step: usize,
) -> [S::f32s; COUNT] {
    let mut all = [simd.splat_f32s(0.0); COUNT];
    for (index, value) in all.iter_mut().enumerate() {
        // SAFETY: as the caller promises.
        *value = unsafe { load::<S>(pointer.add(index * step)) };
    }
    all
}

/// Six columns of each of as many neighbouring squares as a vector has lanes, of a row that begins at `row`.
///
/// # Safety
/// `row` must be valid for reading four vectors and four floats.
#[inline(always)]
pub(super) unsafe fn six_columns<S: Simd>(simd: S, row: *const f32) -> [S::f32s; POINTS] {
    // SAFETY: as the caller promises.
    let (here, next) = unsafe {
        (load_all::<S, SIDE>(simd, row, S::F32_LANES), load_all::<S, SIDE>(simd, row.add(SIDE), S::F32_LANES))
    };
    // The last two columns of a square are the first two of the next.
    let [d0, d1, d2, d3] = simd.deinterleave_shfl_f32s(here);
    let [d4, d5, ..] = simd.deinterleave_shfl_f32s(next);
    [d0, d1, d2, d3, d4, d5]
}

/// Transforms one channel: `plane` holds its inputs with their border, `half` is scratch memory. Frequency f of vector
/// v goes to `target[f * gap + v * lanes..]`.
#[inline(always)]
pub(super) fn inputs<S: Simd>(simd: S, plane: &[f32], half: &mut [f32], strip: &Strip, target: &mut [f32], gap: usize) {
    let lanes = S::F32_LANES;
    let row_len = strip.row_len(lanes);
    assert!(plane.len() >= (SIDE * strip.rows + 2) * row_len && row_len.is_multiple_of(lanes), "plane of the strip");
    assert!(half.len() >= POINTS * row_len, "one row a point");
    assert!(target.len() >= (FREQUENCIES - 1) * gap + strip.vectors() * lanes, "room for every frequency");
    for row in 0..strip.rows {
        for column in (0..row_len).step_by(lanes) {
            // SAFETY: the rows 4 * row to 4 * row + 5 lie within the plane, and whole vectors within each row, as
            // just checked.
            unsafe {
                let source = plane.as_ptr().add(SIDE * row * row_len + column);
                let values = input_line(simd, load_all::<S, POINTS>(simd, source, row_len));
                for (point, value) in values.iter().enumerate() {
                    store::<S>(half.as_mut_ptr().add(point * row_len + column), *value);
                }
            }
        }
        for point in 0..POINTS {
            for group in 0..strip.groups {
                // SAFETY: a row of `half` holds four vectors for each group and at least four floats beyond; the
                // target has been seen to hold every frequency of every vector.
                unsafe {
                    let d = six_columns::<S>(simd, half.as_ptr().add(point * row_len + SIDE * lanes * group));
                    let vector = (row * strip.groups + group) * lanes;
                    for (column, value) in input_line(simd, d).iter().enumerate() {
                        store::<S>(target.as_mut_ptr().add((POINTS * point + column) * gap + vector), *value);
                    }
                }
            }
        }
    }
}

/// Transforms one output channel back, adds `bias`, applies the activation and writes it. Frequency f of vector v lies
/// at `source[f * gap + v * lanes..]`.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "a convolution has as many parts")]
pub(super) fn outputs<S: Simd>(
    simd: S,
    source: &[f32],
    gap: usize,
    strip: &Strip,
    bias: f32,
    last: Last<'_>,
    out: &Output<'_>,
    output: usize,
) {
    let lanes = S::F32_LANES;
    assert!(source.len() >= (FREQUENCIES - 1) * gap + strip.vectors() * lanes, "every frequency of every vector");
    let bias = simd.splat_f32s(bias);
    let [_, _, height, width] = out.shape();
    for row in 0..strip.rows {
        for group in 0..strip.groups {
            let vector = (row * strip.groups + group) * lanes;
            let mut half = [[simd.splat_f32s(0.0); POINTS]; SIDE];
            #[expect(clippy::needless_range_loop, reason = "columns of one matrix become rows of the other")]
            for column in 0..POINTS {
                // SAFETY: the source has just been seen to hold every frequency of every vector.
                let m =
                    unsafe { load_all::<S, POINTS>(simd, source.as_ptr().add(column * gap + vector), POINTS * gap) };
                let values = output_line(simd, m);
                for line in 0..SIDE {
                    half[line][column] = values[line];
                }
            }
            let left = (strip.group + group) * SIDE * lanes;
            for (line, half) in half.iter().enumerate() {
                let y = SIDE * (strip.row + row) + line;
                if y >= height {
                    break;
                }
                let mut values = output_line(simd, *half);
                for value in &mut values {
                    *value = activate(simd, last, simd.add_f32s(*value, bias));
                }
                let values: [S::f32s; SIDE] = simd.interleave_shfl_f32s(values);
                for (part, value) in values.iter().enumerate() {
                    let x = left + part * lanes;
                    if x < width {
                        // SAFETY: this strip alone holds these squares, and strips are computed once each.
                        unsafe { out.store::<S>(simd, *value, [strip.picture, output, y, x], lanes.min(width - x)) };
                    }
                }
            }
        }
    }
}

/// G g G^T: the 36 frequencies of a 3x3 kernel.
pub(super) fn kernel(g: [f32; 9]) -> [f32; FREQUENCIES] {
    let g = g.map(f64::from);
    let lines = kernel_lines();
    let half: [[f64; 3]; POINTS] = std::array::from_fn(|point| {
        std::array::from_fn(|column| (0..3).map(|row| lines[point][row] * g[row * 3 + column]).sum())
    });
    std::array::from_fn(|f| (0..3).map(|k| half[f / POINTS][k] * lines[f % POINTS][k]).sum::<f64>() as f32)
}

/// G^T u G: the gradient of a 3x3 kernel from that of its 36 frequencies.
pub(super) fn kernel_gradient(u: [f32; FREQUENCIES]) -> [f32; 9] {
    let lines = kernel_lines();
    let half: [[f64; POINTS]; 3] = std::array::from_fn(|row| {
        std::array::from_fn(|column| {
            (0..POINTS).map(|point| lines[point][row] * f64::from(u[POINTS * point + column])).sum()
        })
    });
    std::array::from_fn(|k| (0..POINTS).map(|point| half[k / 3][point] * lines[point][k % 3]).sum::<f64>() as f32)
}

/// G: powers of each point over the product of its distances to the other finite points.
fn kernel_lines() -> [[f64; 3]; POINTS] {
    let (a, b) = (f64::from(A), f64::from(B));
    let line = |p: f64, other: f64| {
        let norm = 2.0 * p * p * (p * p - other * other);
        [1.0 / norm, p / norm, p * p / norm]
    };
    let norm = a * a * b * b;
    [[1.0 / norm, 0.0, 0.0], line(a, b), line(-a, b), line(b, a), line(-b, a), [0.0, 0.0, 1.0]]
}

/// A d for one line of four output gradients: its values at the six points.
#[inline(always)]
pub(super) fn gradient_line<S: Simd>(simd: S, d: [S::f32s; SIDE]) -> [S::f32s; POINTS] {
    let (a_plus, a_minus) = gradient_pair(simd, d, A);
    let (b_plus, b_minus) = gradient_pair(simd, d, B);
    [d[0], a_plus, a_minus, b_plus, b_minus, d[3]]
}

#[inline(always)]
fn gradient_pair<S: Simd>(simd: S, [d0, d1, d2, d3]: [S::f32s; SIDE], point: f32) -> (S::f32s, S::f32s) {
    let square = simd.splat_f32s(point * point);
    let even = simd.mul_add_e_f32s(d2, square, d0);
    let odd = simd.mul_f32s(simd.mul_add_e_f32s(d3, square, d1), simd.splat_f32s(point));
    (simd.add_f32s(even, odd), simd.sub_f32s(even, odd))
}
