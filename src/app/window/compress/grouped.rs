//! Runs that differ in their seed alone, seen as one.

use std::time::SystemTime;

use super::runs::RunId;
use crate::statistics::{Difference, Group, Grouping};

/// Statistics over the finished runs of the list.
pub(crate) struct Grouped {
    /// What they are of: the runs, and when each changed last.
    pub(super) of: Vec<(RunId, SystemTime)>,
    pub(crate) grouping: Grouping,
    pub(crate) differences: Vec<Difference>,
}

impl Grouped {
    /// The runs of a group, by seed.
    pub(crate) fn runs(&self, group: &Group) -> Vec<RunId> {
        group.runs.iter().map(|&index| self.of[index].0).collect()
    }
}
