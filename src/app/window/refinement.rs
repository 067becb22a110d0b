//! What is under way and wished of the fidelity of results that are there.

use super::queue::ItemId;

/// One refinement is made at a time.
#[derive(Debug, Default)]
pub(super) struct Refinement {
    /// Number of the last one, by which an answer that nobody waits for any more is known.
    number: u64,
    under_way: bool,
    /// The picture whose own result by the network is in memory, as far as the window knows: that of the last run.
    pub(super) at_hand: Option<ItemId>,
    /// The picture to refine next, and how strongly.
    pub(super) next: Option<(ItemId, f32)>,
    /// The picture of which a version is to be saved once it is refined.
    pub(super) applies: Option<ItemId>,
    /// The picture of which a version is being saved.
    pub(super) saving: Option<ItemId>,
}

impl Refinement {
    /// Whether one is being made.
    pub(super) fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Whether a version is about to be there.
    pub(super) fn is_applied(&self) -> bool {
        self.applies.is_some() || self.saving.is_some()
    }

    /// Begins one; returns its number.
    pub(super) fn begin(&mut self) -> u64 {
        (self.number, self.under_way) = (self.number + 1, true);
        self.number
    }

    /// Nobody waits for any of it; an answer that comes is none.
    pub(super) fn forget(&mut self) {
        *self = Self { number: self.number, at_hand: self.at_hand, ..Self::default() };
    }

    /// An answer has come; returns whether it was waited for.
    pub(super) fn ends(&mut self, number: u64) -> bool {
        number == self.number && std::mem::take(&mut self.under_way)
    }
}
