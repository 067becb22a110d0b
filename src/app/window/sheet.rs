//! What lies over the window, one thing at a time.

use std::path::PathBuf;

use super::{adapting::Wish, compress::runs::RunId, dialogs::Purpose, new_device::NewDevice, queue::ItemId};

/// A sheet over the window.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Sheet {
    /// All keys.
    Keys,
    About,
    /// The table of results.
    Table,
    /// A field that a path is typed into, and what for.
    Path {
        purpose: Purpose,
        text: String,
        /// Whether it has just come up.
        began: bool,
    },
    /// A file that is there, and the picture whose result is to replace it.
    Replace(ItemId, PathBuf),
    /// A run whose folder is to be deleted, if the user says so.
    DeleteRun(RunId),
    /// A device of another machine that is being named.
    NewDevice(NewDevice),
    /// What is to be adapted to what.
    Adapt(Wish),
    /// The window is to close, and pictures run.
    Closing,
}
