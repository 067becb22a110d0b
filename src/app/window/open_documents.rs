//! Pictures that are in memory for the canvas: the selected one and as many before it as fit.

use std::sync::Arc;

use dualres_imaging::Picture;

use super::{
    document::Document,
    queue::{ItemId, Proven},
};
use crate::batch::choice::Kind;

/// Bytes that pictures for the canvas may take together; the selected one always stays.
const BUDGET: usize = 1 << 30;

/// A picture in memory.
pub(crate) struct OpenDocument {
    pub(crate) document: Document,
    /// The original with all its precision, for previews.
    pub(crate) picture: Arc<Picture>,
    /// The kind of built-in model that fits it, and why.
    pub(crate) fitting: (Kind, String),
    /// Whether the saved result has been asked for, so that it is asked for once.
    pub(crate) asked: bool,
    /// Whether it was here when its run began, so that no tile of the result was missed.
    pub(crate) whole: bool,
    /// What another model or fidelity would make of it, where a result is there: shown in place of that, and saved nowhere.
    pub(crate) preview: Option<Document>,
    /// The model of that, if it is not the chosen one.
    pub(crate) preview_by: Option<String>,
    /// Fidelity of what is shown and what its proof says, if it was refined and is not saved.
    pub(crate) refined: Option<(f32, Proven)>,
}

impl OpenDocument {
    /// What is on the canvas: a preview, or the result.
    pub(crate) fn shown(&self) -> &Document {
        self.preview.as_ref().unwrap_or(&self.document)
    }

    fn bytes(&self) -> usize {
        self.document.bytes()
            + self.preview.as_ref().map_or(0, Document::bytes)
            + self.picture.width() * self.picture.height() * self.picture.planes.len() * 4
    }
}

/// Pictures in memory, the least recently selected first.
#[derive(Default)]
pub(crate) struct OpenDocuments(Vec<OpenDocument>);

impl OpenDocuments {
    pub(crate) fn get(&self, item: ItemId) -> Option<&OpenDocument> {
        self.0.iter().find(|open| open.document.item == item)
    }

    pub(crate) fn get_mut(&mut self, item: ItemId) -> Option<&mut OpenDocument> {
        self.0.iter_mut().find(|open| open.document.item == item)
    }

    /// Adds a picture, or notes that it is the newest.
    pub(crate) fn add(&mut self, open: OpenDocument) {
        self.remove(open.document.item);
        self.0.push(open);
    }

    pub(crate) fn touch(&mut self, item: ItemId) {
        if let Some(at) = self.0.iter().position(|open| open.document.item == item) {
            let open = self.0.remove(at);
            self.0.push(open);
        }
    }

    pub(crate) fn remove(&mut self, item: ItemId) {
        self.0.retain(|open| open.document.item != item);
    }

    /// Lets go of what does not fit, but for the selected one.
    pub(crate) fn shrink(&mut self, selected: Option<ItemId>) {
        while self.0.iter().map(OpenDocument::bytes).sum::<usize>() > BUDGET {
            let Some(at) = self.0.iter().position(|open| Some(open.document.item) != selected) else { break };
            self.0.remove(at);
        }
    }

    /// Keeps only what a test says.
    pub(crate) fn retain(&mut self, keeps: impl Fn(ItemId) -> bool) {
        self.0.retain(|open| keeps(open.document.item));
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut OpenDocument> {
        self.0.iter_mut()
    }
}
