//! Making what a network of others lacks, beside everything else that the window does.

use std::{
    ops::ControlFlow,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::anyhow;
use poll_promise::Promise;

use super::views::duration;
use crate::{
    actor::Wake,
    completion::{self, CompletionEvent},
    language::tr,
    library::Library,
    paths::Paths,
};

/// A model that is being completed.
pub(super) struct Completing {
    /// Its name.
    pub(super) name: String,
    shared: Arc<Mutex<Shared>>,
    task: Promise<anyhow::Result<bool>>,
}

#[derive(Default)]
struct Shared {
    progress: Option<CompletionEvent>,
    /// When this session's first training step began, and how many had been done by then.
    began: Option<(Instant, usize)>,
    cancelled: bool,
}

impl Shared {
    fn of(shared: &Mutex<Self>) -> std::sync::MutexGuard<'_, Self> {
        shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Completing {
    /// Begins. `wake` is called whenever there is news.
    pub(super) fn start((library, paths): (Library, Paths), name: String, device: String, wake: Wake) -> Self {
        let shared = Arc::<Mutex<Shared>>::default();
        let (model, told) = (name.clone(), shared.clone());
        let task = Promise::spawn_thread("completion", move || {
            let mut observe = |progress| {
                let mut shared = Shared::of(&told);
                if let CompletionEvent::Dual { step, .. } = progress {
                    shared.began.get_or_insert((Instant::now(), step));
                }
                shared.progress = Some(progress);
                wake();
                if shared.cancelled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            };
            let attempt = || completion::complete((&library, &paths), &model, &device, &mut observe);
            let done = dualres_imaging::caught(attempt)
                .unwrap_or_else(|said| Err(anyhow!(tr!("internal error (%{said})", said = said))));
            wake();
            done
        });
        Self { name, shared, task }
    }

    /// What came of it, once it has ended: whether it was completed, not cancelled.
    pub(super) fn ended(self) -> Result<anyhow::Result<bool>, Self> {
        let Self { name, shared, task } = self;
        task.try_take().map_err(|task| Self { name, shared, task })
    }

    /// Part that is done, and what is being done in words.
    pub(super) fn progress(&self) -> (f32, String) {
        let shared = Shared::of(&self.shared);
        match shared.progress {
            _ if shared.cancelled => (0.0, tr!("Cancelling…")),
            None => (0.0, tr!("Starting…")),
            Some(CompletionEvent::Dual { step, steps }) => {
                let left = shared.began.and_then(|(began, before)| {
                    let done = step.checked_sub(before).filter(|&done| done >= 3)?;
                    Some(began.elapsed().mul_f64((steps - step) as f64 / done as f64))
                });
                let text = match left {
                    Some(left) => tr!("Training the dual model, %{left} left", left = duration(left)),
                    None => tr!("Training the dual model"),
                };
                (step as f32 / steps as f32, text)
            }
            Some(CompletionEvent::Calibration { .. }) => (1.0, tr!("Measuring errors")),
        }
    }

    /// Has it stopped; what was learned is kept for the next time.
    pub(super) fn cancel(&self) {
        Shared::of(&self.shared).cancelled = true;
    }
}
