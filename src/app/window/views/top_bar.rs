//! Name, pages, and what concerns the window as a whole.

use eframe::egui::{Align, Layout, RichText, Ui};

use super::icon_button;
use crate::window::{
    Window,
    actions::{Action, Tab},
    theme::palette,
};

pub(crate) fn ui(window: &mut Window, ui: &mut Ui) {
    let colours = palette(ui);
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.label(RichText::new("Dualres").heading().strong().color(colours.accent));
        ui.add_space(14.0);
        for (tab, label, hint) in [
            (Tab::Upscale, "Upscale", "Enlarge pictures (Ctrl+1)"),
            (Tab::Compress, "Compress", "Make networks smaller and watch it (Ctrl+2)"),
            (Tab::Models, "Models", "The networks there are (Ctrl+3)"),
        ] {
            if ui.selectable_label(window.tab == tab, label).on_hover_text(hint).clicked() {
                window.actions.push(Action::SetTab(tab));
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, "ℹ", "About", "About Dualres, and licences").clicked() {
                window.actions.push(Action::ToggleAbout);
            }
            if icon_button(ui, "?", "Help", "Keys for everything (F1)").clicked() {
                window.actions.push(Action::ToggleHelp);
            }
            if icon_button(ui, "☀", "Theme", "Dark or light (Ctrl+T)").clicked() {
                window.actions.push(Action::ToggleTheme);
            }
            ui.separator();
            if ui.button("Folder…").on_hover_text("Open all pictures of a folder (Ctrl+Shift+O)").clicked() {
                window.actions.push(Action::OpenFolder);
            }
            if ui.button("Open…").on_hover_text("Open pictures (Ctrl+O)").clicked() {
                window.actions.push(Action::OpenFiles);
            }
        });
    });
    ui.add_space(2.0);
}
