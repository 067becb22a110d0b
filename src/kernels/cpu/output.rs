//! The memory that a convolution's result is written to.

use std::{marker::PhantomData, mem::MaybeUninit};

use pulp::Simd;

/// The output of a convolution, [N, O, H, W], written by many threads at once, each its own places.
pub(crate) struct Output<'a> {
    pointer: *mut f32,
    shape: [usize; 4],
    /// Channels of all of it, and the first of those of `shape`.
    channels: usize,
    first: usize,
    sum: Option<Sum>,
    owner: PhantomData<&'a mut [MaybeUninit<f32>]>,
}

/// `factor * value + other` is stored in place of the value.
#[derive(Clone, Copy)]
struct Sum {
    factor: f32,
    /// As many values as the output has; its own memory where the sum is made in place.
    other: *const f32,
}

// SAFETY: the pointers are only used by `store`, whose callers promise that no two threads come to the same place, and
// the borrows held by `owner` and by the functions that make an output keep everybody else away.
unsafe impl Sync for Output<'_> {}

impl Output<'_> {
    /// A tensor of `shape` that `write` fills. Its memory is not cleared before: large tensors cost as much to clear as
    /// to compute where channels are few.
    ///
    /// # Safety
    /// `write` must store every place of the output.
    pub(crate) unsafe fn filled(shape: [usize; 4], write: impl FnOnce(&Output<'_>)) -> Vec<f32> {
        // SAFETY: as the caller promises.
        unsafe { Self::made(shape, None, write) }
    }

    /// The same, where `factor * value + other` is to be stored. `other` is of `shape` too.
    ///
    /// # Safety
    /// As [`Output::filled`].
    pub(crate) unsafe fn summed(
        shape: [usize; 4],
        factor: f32,
        other: &[f32],
        write: impl FnOnce(&Output<'_>),
    ) -> Vec<f32> {
        assert_eq!(other.len(), length(shape), "another summand for every place");
        // SAFETY: as the caller promises.
        unsafe { Self::made(shape, Some(Sum { factor, other: other.as_ptr() }), write) }
    }

    /// The same in the memory of the other summand.
    pub(crate) fn summed_in_place(shape: [usize; 4], factor: f32, data: &mut [f32], write: impl FnOnce(&Output<'_>)) {
        assert_eq!(data.len(), length(shape), "another summand for every place");
        let pointer = data.as_mut_ptr();
        write(&Output::all(pointer, shape, Some(Sum { factor, other: pointer })));
    }

    unsafe fn made(shape: [usize; 4], sum: Option<Sum>, write: impl FnOnce(&Output<'_>)) -> Vec<f32> {
        let length = length(shape);
        let mut data: Vec<f32> = Vec::with_capacity(length);
        let pointer = data.spare_capacity_mut().as_mut_ptr().cast();
        write(&Output::all(pointer, shape, sum));
        // SAFETY: the memory has that capacity and, as the caller promises, holds values everywhere.
        unsafe { data.set_len(length) };
        data
    }

    fn all(pointer: *mut f32, shape: [usize; 4], sum: Option<Sum>) -> Self {
        Self { pointer, shape, channels: shape[1], first: 0, sum, owner: PhantomData }
    }

    /// Some of the channels.
    pub(crate) fn narrow(&self, start: usize, count: usize) -> Output<'_> {
        let [n, o, h, w] = self.shape;
        assert!(start + count <= o, "channels that there are");
        Output { shape: [n, count, h, w], first: self.first + start, owner: PhantomData, ..*self }
    }

    pub(crate) fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Writes the first `count` lanes of `value` to picture, channel, row and the columns from the last index on.
    ///
    /// # Safety
    /// No other thread may write these places, and each may be written once only.
    #[inline(always)]
    pub(crate) unsafe fn store<S: Simd>(&self, simd: S, value: S::f32s, at: [usize; 4], count: usize) {
        let ([n, o, h, w], [picture, channel, row, column]) = (self.shape, at);
        assert!(picture < n && channel < o && row < h && column + count <= w, "within the output");
        assert!(count <= S::F32_LANES, "no more than a vector");
        let start = ((picture * self.channels + self.first + channel) * h + row) * w + column;
        let value = match &self.sum {
            None => value,
            Some(sum) => {
                // SAFETY: the other summand has the output's shape too.
                let other = unsafe { load_some::<S>(simd, sum.other.add(start), count) };
                simd.mul_add_e_f32s(value, simd.splat_f32s(sum.factor), other)
            }
        };
        // SAFETY: the memory has the output's shape, within which the places have just been seen to lie.
        unsafe {
            let target = self.pointer.add(start);
            if count == S::F32_LANES {
                target.cast::<S::f32s>().write_unaligned(value);
            } else {
                let lanes = bytemuck::cast_slice::<S::f32s, f32>(std::slice::from_ref(&value));
                std::ptr::copy_nonoverlapping(lanes.as_ptr(), target, count);
            }
        }
    }
}

fn length(shape: [usize; 4]) -> usize {
    shape.iter().try_fold(1_usize, |all, &side| all.checked_mul(side)).expect("a length that exists")
}

/// A vector whose first `count` lanes are read, the others zero.
///
/// # Safety
/// `source` must be valid for reading so many values.
#[inline(always)]
unsafe fn load_some<S: Simd>(simd: S, source: *const f32, count: usize) -> S::f32s {
    // SAFETY: as the caller promises.
    unsafe {
        if count == S::F32_LANES {
            return source.cast::<S::f32s>().read_unaligned();
        }
        let mut value = simd.splat_f32s(0.0);
        let lanes = bytemuck::cast_slice_mut::<S::f32s, f32>(std::slice::from_mut(&mut value));
        std::ptr::copy_nonoverlapping(source, lanes.as_mut_ptr(), count);
        value
    }
}
