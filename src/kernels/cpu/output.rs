//! The memory that a convolution's result is written to.

use std::{marker::PhantomData, mem::MaybeUninit};

use pulp::Simd;

/// The output of a convolution, [N, O, H, W], written by many threads at once, each its own places.
pub(crate) struct Output<'a> {
    pointer: *mut f32,
    shape: [usize; 4],
    owner: PhantomData<&'a mut [MaybeUninit<f32>]>,
}

// SAFETY: the pointer is only used by `store`, whose callers promise that no two threads write the same place, and the
// borrow held by `owner` keeps everybody else away.
unsafe impl Sync for Output<'_> {}

impl Output<'_> {
    /// A tensor of `shape` that `write` fills. Its memory is not cleared before: large tensors cost as much to clear as
    /// to compute where channels are few.
    ///
    /// # Safety
    /// `write` must store every place of the output.
    pub(crate) unsafe fn filled(shape: [usize; 4], write: impl FnOnce(&Output<'_>)) -> Vec<f32> {
        let length = shape.iter().try_fold(1_usize, |all, &side| all.checked_mul(side)).expect("a length that exists");
        let mut data: Vec<f32> = Vec::with_capacity(length);
        let pointer = data.spare_capacity_mut().as_mut_ptr().cast();
        write(&Output { pointer, shape, owner: PhantomData });
        // SAFETY: the memory has that capacity and, as the caller promises, holds values everywhere.
        unsafe { data.set_len(length) };
        data
    }

    pub(crate) fn shape(&self) -> [usize; 4] {
        self.shape
    }

    /// Writes the first `count` lanes of `value` to picture, channel, row and the columns from the last index on.
    ///
    /// # Safety
    /// No other thread may write these places.
    #[inline(always)]
    pub(crate) unsafe fn store<S: Simd>(&self, value: S::f32s, at: [usize; 4], count: usize) {
        let ([n, o, h, w], [picture, channel, row, column]) = (self.shape, at);
        assert!(picture < n && channel < o && row < h && column + count <= w, "within the output");
        assert!(count <= S::F32_LANES, "no more than a vector");
        let start = ((picture * o + channel) * h + row) * w + column;
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
