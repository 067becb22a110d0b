//! The Compress tab: settings on the left, layers on the right, and between them a picture, curves, or all runs.

mod curves;
mod groups;
mod layer;
mod layers;
mod pareto;
mod picture;
mod runs;
mod setup;
mod sheet;
mod stages;

pub(crate) use sheet::ui as sheet;

use eframe::egui::{CentralPanel, Frame, Panel, Ui};

use crate::{
    language::tr,
    window::{
        Window,
        compress::{actions::CompressAction, state::Page},
        outbox::Outbox,
    },
};

pub(crate) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let width = ui.available_width();
    let side = if width < 1100.0 { 250.0 } else { 290.0 };
    Panel::left("compress settings").resizable(false).exact_size(side).show(ui, |ui| setup::ui(window, ui, out));
    if window.compress.page != Page::Runs {
        Panel::right("layers").resizable(false).exact_size(side).show(ui, |ui| layers::ui(window, ui, out));
    }
    CentralPanel::default().frame(Frame::NONE).show(ui, |ui| {
        Panel::top("compress pages").show(ui, |ui| pages(window, ui, out));
        CentralPanel::default().frame(Frame::NONE).show(ui, |ui| match window.compress.page {
            Page::Picture => picture::ui(window, ui, out),
            Page::Curves => curves::ui(window, ui, out),
            Page::Runs => runs::ui(window, ui, out),
        });
    });
}

fn pages(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.add_space(2.0);
    ui.horizontal(|ui| {
        for (page, label, hint) in [
            (Page::Picture, tr!("Picture"), tr!("Original and compressed network on a picture")),
            (Page::Curves, tr!("Curves"), tr!("Losses, PSNR and what is kept, step by step")),
            (Page::Runs, tr!("Runs"), tr!("All runs, in a table and over their costs")),
        ] {
            if ui.selectable_label(window.compress.page == page, label).on_hover_text(hint).clicked() {
                out.compress_action(CompressAction::SetPage(page));
            }
        }
        ui.separator();
        match window.compress.page {
            Page::Picture => picture::tools(window, ui, out),
            Page::Curves => curves::tools(window, ui, out),
            Page::Runs => runs::tools(window, ui, out),
        }
    });
    ui.add_space(2.0);
}
