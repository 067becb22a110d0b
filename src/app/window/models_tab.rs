//! The Models tab: the library, and what is being done with it.

use poll_promise::Promise;

use super::{completing::Completing, library_news::News};
use crate::library::{Entry, Library};

/// The Models tab.
pub(crate) struct ModelsTab {
    pub(super) library: Library,
    pub(super) entries: Vec<Entry>,
    /// How many times as large they make pictures, each once, the least first.
    pub(super) scales: Vec<usize>,
    pub(super) shown_model: Option<String>,
    /// The change to the library that is under way, with those it waits for.
    pub(super) library_tasks: Vec<Promise<Vec<News>>>,
    /// The model that is being given what it lacks.
    pub(super) completing: Option<Completing>,
}

impl ModelsTab {
    /// Reads the library. Also what is wrong with it.
    ///
    /// # Errors
    /// If the models inside the program are damaged.
    pub(super) fn new(library: Library) -> anyhow::Result<(Self, Vec<String>)> {
        let (entries, complaints) = library.entries()?;
        let library_tasks = Vec::new();
        let scales = scales_of(&entries);
        Ok((Self { library, entries, scales, shown_model: None, library_tasks, completing: None }, complaints))
    }

    /// The library has changed.
    pub(super) fn put(&mut self, entries: Vec<Entry>) {
        (self.scales, self.entries) = (scales_of(&entries), entries);
    }
}

fn scales_of(entries: &[Entry]) -> Vec<usize> {
    let mut scales: Vec<usize> = entries.iter().map(|entry| entry.description.scale()).collect();
    scales.sort_unstable();
    scales.dedup();
    scales
}
