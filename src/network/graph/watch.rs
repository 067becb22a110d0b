//! How far a forward pass has come, for those who wait: the first on a GPU compiles and tunes kernels for minutes.

use std::{
    cell::RefCell,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use burn::tensor::Tensor;

/// Operators that were begun and that are done; shared between who computes and who waits.
#[derive(Debug, Default)]
pub struct Steps {
    begun: AtomicUsize,
    done: AtomicUsize,
}

impl Steps {
    /// The part that is done, from 0 to 1: of the networks that were begun, and a little for what may follow.
    pub fn fraction(&self) -> f32 {
        const FOLLOWING: usize = 3;
        let (done, begun) = (self.done.load(Ordering::Relaxed), self.begun.load(Ordering::Relaxed));
        done as f32 / (begun + FOLLOWING) as f32
    }
}

thread_local! {
    static WATCHED: RefCell<Option<Arc<Steps>>> = const { RefCell::new(None) };
}

/// Runs work whose forward passes on this thread count into `steps`. Each operator is waited for, which costs time where there are
/// many small ones: for single passes.
pub fn watched<T>(steps: &Arc<Steps>, work: impl FnOnce() -> T) -> T {
    let before = WATCHED.replace(Some(Arc::clone(steps)));
    let given = work();
    WATCHED.set(before);
    given
}

/// Notes that a pass of so many operators begins.
pub(super) fn begin(operators: usize) {
    WATCHED.with_borrow(|watched| {
        if let Some(steps) = watched {
            steps.begun.fetch_add(operators, Ordering::Relaxed);
        }
    });
}

/// Notes that an operator is done that gives `value`, once its device has really computed it.
pub(super) fn step(value: &Tensor<4>) {
    WATCHED.with_borrow(|watched| {
        if let Some(steps) = watched {
            // What goes wrong there comes up where the value is read.
            let _ = value.device().sync();
            steps.done.fetch_add(1, Ordering::Relaxed);
        }
    });
}
