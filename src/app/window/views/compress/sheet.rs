//! Asks before a run is deleted.

use eframe::egui::{Context, Id, Modal, RichText};

use crate::{
    language::tr,
    window::{
        Window,
        actions::Action,
        compress::{actions::CompressAction, runs::RunId},
        outbox::Outbox,
        views::weak,
    },
};

pub(crate) fn ui(window: &Window, run: RunId, ctx: &Context, out: &mut Outbox) {
    let Some(run) = window.compress.runs.get(run) else {
        out.push(Action::CloseSheet);
        return;
    };
    let (id, name, folder) = (run.id, run.name().to_owned(), run.folder.display().to_string());
    let modal = Modal::new(Id::unique("delete a run")).show(ctx, |ui| {
        ui.set_width(420.0);
        ui.label(RichText::new(tr!("Delete the run %{name}?", name = name)).heading());
        ui.label(tr!("Its curves, its states and its network are gone then. A network that is in the library stays."));
        weak(ui, folder);
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            if ui.button(tr!("Keep it")).clicked() {
                out.push(Action::CloseSheet);
            }
            if ui.button(tr!("Delete")).clicked() {
                out.compress_action(CompressAction::Delete(id));
            }
        });
    });
    if modal.backdrop_response.clicked() {
        out.push(Action::CloseSheet);
    }
}
