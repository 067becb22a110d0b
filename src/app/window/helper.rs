//! A worker on a further device.

use super::{queue::ItemId, worker::Link};

/// A worker on a device beside the chosen one.
pub(super) struct Helper {
    pub(super) device: String,
    pub(super) link: Link,
    /// The picture that it computes.
    pub(super) item: Option<ItemId>,
    /// Whether its device failed.
    pub(super) is_out: bool,
}

/// Who takes the next picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// The worker on the chosen device.
    First,
    /// A helper, by its place.
    Helper(usize),
}
