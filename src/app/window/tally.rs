//! What is said at the end of a run.

use std::time::Instant;

use crate::language::{tr, tr_counted};

/// What became of the pictures of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    /// When it began.
    pub(super) began: Option<Instant>,
    /// Pictures whose result is there.
    pub(super) done: usize,
    /// Those of them whose result was there before, by the record of the folder.
    pub(super) done_before: usize,
    /// Pictures that could not be done.
    pub(super) failed: usize,
}

/// What is said at the end of a run.
#[derive(Debug, PartialEq)]
pub(super) enum RunSummary {
    Good(String),
    Warning(String),
}

impl Tally {
    /// Nothing if all was cancelled: the user knows.
    pub(super) fn told(&self) -> Option<RunSummary> {
        if self.done + self.failed == 0 {
            return None;
        }
        let new = self.done - self.done_before;
        let done = match (new, self.done_before) {
            (new, 0) => tr_counted!(new, "%{count} picture done", "%{count} pictures done"),
            (0, before) => tr_counted!(
                before,
                "%{count} picture done before, by the record in the folder of results",
                "%{count} pictures done before, by the record in the folder of results"
            ),
            (new, before) => tr_counted!(
                new,
                "%{count} picture done, %{before} done before",
                "%{count} pictures done, %{before} done before",
                before = before
            ),
        };
        if self.failed == 0 {
            return Some(RunSummary::Good(tr!("%{done}.", done = done)));
        }
        let failed = tr_counted!(self.failed, "%{count} picture failed", "%{count} pictures failed");
        Some(RunSummary::Warning(tr!("%{done}, %{failed}: see the queue.", done = done, failed = failed)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_tells_what_is_new() {
        let told = |done, done_before, failed| Tally { done, done_before, failed, ..Tally::default() }.told();
        assert_eq!(told(0, 0, 0), None);
        assert_eq!(told(2, 0, 0), Some(RunSummary::Good("2 pictures done.".into())));
        assert_eq!(told(5, 4, 0), Some(RunSummary::Good("1 picture done, 4 done before.".into())));
        assert_eq!(
            told(4, 4, 0),
            Some(RunSummary::Good("4 pictures done before, by the record in the folder of results.".into()))
        );
        assert_eq!(
            told(3, 1, 1),
            Some(RunSummary::Warning("2 pictures done, 1 done before, 1 picture failed: see the queue.".into()))
        );
    }
}
