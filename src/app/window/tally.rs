//! What is said at the end of a run.

/// What became of the pictures of a run.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Run {
    /// Pictures whose result is there.
    pub(super) done: usize,
    /// Those of them whose result was there before, by the record of the folder.
    pub(super) done_before: usize,
    /// Pictures that could not be done.
    pub(super) failed: usize,
}

/// What is said at the end of a run.
#[derive(Debug, PartialEq)]
pub(super) enum Told {
    Good(String),
    Warning(String),
}

impl Run {
    /// Nothing if all was cancelled: the user knows.
    pub(super) fn told(&self) -> Option<Told> {
        if self.done + self.failed == 0 {
            return None;
        }
        let pictures = |n: usize| if n == 1 { "1 picture".to_owned() } else { format!("{n} pictures") };
        let new = self.done - self.done_before;
        let mut text = match (new, self.done_before) {
            (new, 0) => format!("{} done", pictures(new)),
            (0, before) => format!("{} done before, by the record in the folder of results", pictures(before)),
            (new, before) => format!("{} done, {before} done before", pictures(new)),
        };
        if self.failed == 0 {
            return Some(Told::Good(text + "."));
        }
        text += &format!(", {} failed: see the queue.", pictures(self.failed));
        Some(Told::Warning(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_run_tells_what_is_new() {
        let told = |done, done_before, failed| Run { done, done_before, failed }.told();
        assert_eq!(told(0, 0, 0), None);
        assert_eq!(told(2, 0, 0), Some(Told::Good("2 pictures done.".into())));
        assert_eq!(told(5, 4, 0), Some(Told::Good("1 picture done, 4 done before.".into())));
        assert_eq!(
            told(4, 4, 0),
            Some(Told::Good("4 pictures done before, by the record in the folder of results.".into()))
        );
        assert_eq!(
            told(3, 1, 1),
            Some(Told::Warning("2 pictures done, 1 done before, 1 picture failed: see the queue.".into()))
        );
    }
}
