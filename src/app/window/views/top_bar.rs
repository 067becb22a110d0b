//! Name, pages, and what concerns the window as a whole.

use eframe::egui::{Align, FontId, Layout, Popup, RichText, Ui};

use super::{icon_button, weak};
use crate::{
    language::{Language, tr},
    window::{
        Window,
        actions::{Action, Tab},
        outbox::Outbox,
        settings::ThemeChoice,
        theme::palette,
    },
};

pub(crate) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let colours = palette(ui);
    ui.add_space(4.0);
    ui.horizontal(|ui| {
        ui.label(RichText::new("Dualres").heading().strong().color(colours.accent));
        ui.add_space(14.0);
        for (tab, label, hint) in [
            (Tab::Upscale, tr!("Upscale"), tr!("Enlarge pictures (Ctrl+1)")),
            (Tab::Compress, tr!("Compress"), tr!("Make networks smaller and watch it (Ctrl+2)")),
            (Tab::Models, tr!("Models"), tr!("The networks there are (Ctrl+3)")),
        ] {
            if ui.selectable_label(window.shell.tab == tab, label).on_hover_text(hint).clicked() {
                out.push(Action::SetTab(tab));
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, "ℹ", &tr!("About"), &tr!("About Dualres, and licences")).clicked() {
                out.push(Action::ToggleAbout);
            }
            if icon_button(ui, "?", &tr!("Help"), &tr!("Keys for everything (F1)")).clicked() {
                out.push(Action::ToggleHelp);
            }
            let looks =
                icon_button(ui, "☀", &tr!("Theme and language"), &tr!("Dark or light (Ctrl+T), and the language"));
            Popup::menu(&looks).show(|ui| looks_menu(window, ui, out));
            ui.separator();
            let hint = tr!("Open all pictures of a folder (Ctrl+Shift+O)");
            if ui.button(tr!("Folder…")).on_hover_text(hint).clicked() {
                out.push(Action::OpenFolder);
            }
            if ui.button(tr!("Open…")).on_hover_text(tr!("Open pictures (Ctrl+O)")).clicked() {
                out.push(Action::OpenFiles);
            }
        });
    });
    ui.add_space(2.0);
}

/// Colours and language of the window.
fn looks_menu(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    weak(ui, tr!("Theme"));
    for (theme, name) in [
        (ThemeChoice::System, tr!("As the desktop")),
        (ThemeChoice::Dark, tr!("Dark")),
        (ThemeChoice::Light, tr!("Light")),
    ] {
        if ui.radio(window.shell.settings.theme == theme, name).clicked() {
            out.push(Action::SetTheme(theme));
        }
    }
    ui.separator();
    weak(ui, tr!("Language"));
    let all = std::iter::once(None).chain(Language::ALL.map(Some));
    for language in all {
        let name = match language {
            None => tr!("That of the system"),
            // A language that cannot be read is still found.
            Some(language) => match language.proof_of_font() {
                Some(_) if !has_letters(ui, language) => language.latin_name().to_owned(),
                _ => language.name().to_owned(),
            },
        };
        if ui.radio(window.shell.settings.language == language, name).clicked() {
            out.push(Action::SetLanguage(language));
        }
    }
}

fn has_letters(ui: &Ui, language: Language) -> bool {
    ui.fonts_mut(|fonts| fonts.has_glyphs(&FontId::proportional(13.0), language.name()))
}
