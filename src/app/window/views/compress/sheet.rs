//! Asks before a run is deleted.

use eframe::egui::{Context, Id, Modal, RichText};

use crate::window::{Window, compress::deeds::Deed, views::weak};

pub(crate) fn ui(window: &mut Window, ctx: &Context) {
    let Some(run) = window.compress.deleting.and_then(|id| window.compress.runs.get(id)) else {
        window.compress.deleting = None;
        return;
    };
    let (id, name, folder) = (run.id, run.name().to_owned(), run.folder.display().to_string());
    let modal = Modal::new(Id::unique("delete a run")).show(ctx, |ui| {
        ui.set_width(420.0);
        ui.label(RichText::new(format!("Delete the run {name}?")).heading());
        ui.label("Its curves, its states and its network are gone then. A network that is in the library stays.");
        weak(ui, folder);
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            if ui.button("Keep it").clicked() {
                window.compress.deleting = None;
            }
            if ui.button("Delete").clicked() {
                window.deed(Deed::Delete(id));
            }
        });
    });
    if modal.backdrop_response.clicked() {
        window.compress.deleting = None;
    }
}
