//! Changes to the library of models, and what came of them.

use std::path::PathBuf;

use crate::library::Entry;

/// Something to do with the library.
pub(super) enum Change {
    Import(PathBuf),
    /// A model that was made here, by the bytes of its file.
    Add(Vec<u8>),
    Remove(String),
    Export(String, PathBuf),
    /// The network of a finished compression run with its report.
    Adopt(PathBuf),
    /// The model has been given what it lacked.
    Completed(String),
}

/// What came of a change.
pub(super) struct News {
    pub(super) done: anyhow::Result<Done>,
    /// The models there are now, and what was wrong with files that are none.
    pub(super) entries: anyhow::Result<(Vec<Entry>, Vec<String>)>,
}

pub(super) enum Done {
    /// Name, and what was found out about it.
    Imported(String, Vec<String>),
    Removed(String),
    Exported(PathBuf),
    Adopted(String),
    Completed(String),
}
