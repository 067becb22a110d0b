//! Where pictures come in while there are none, and the sign that they may be let go.

use eframe::egui::{
    Align2, Color32, Context, FontId, Id, LayerId, Order, Rect, RichText, Stroke, StrokeKind, Ui, UiBuilder, pos2, vec2,
};

use super::{primary_button, weak};
use crate::{
    language::{tr, tr_counted},
    window::{Window, actions::Action, outbox::Outbox, theme::palette},
};

/// What the canvas shows while nothing is open.
pub(crate) fn empty(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let colours = palette(ui);
    let rect = ui.max_rect().shrink(28.0);
    ui.painter().rect_stroke(rect, 14.0, Stroke::new(1.5, colours.line), StrokeKind::Inside);
    let size = vec2(440.0_f32.min(rect.width() - 20.0), 300.0);
    let inner = Rect::from_center_size(rect.center(), size);
    ui.scope_builder(UiBuilder::new().max_rect(inner), |ui| {
        ui.vertical_centered(|ui| {
            ui.label(RichText::new("⬇").size(40.0).color(colours.accent));
            ui.add_space(4.0);
            ui.label(RichText::new(tr!("Drop photos here")).heading());
            ui.add_space(2.0);
            let what = tr!("Upscale photos and see where the result stays true to them");
            ui.label(RichText::new(what).color(colours.weak));
            ui.add_space(14.0);
            if primary_button(ui, &tr!("Open pictures…"), 220.0).clicked() {
                out.push(Action::OpenFiles);
            }
            ui.add_space(4.0);
            ui.horizontal(|ui| {
                let width = 110.0 * 2.0 + 130.0 + 16.0;
                ui.add_space(((ui.available_width() - width) / 2.0).max(0.0));
                if ui.add_sized([110.0, 28.0], eframe::egui::Button::new(tr!("Open folder…"))).clicked() {
                    out.push(Action::OpenFolder);
                }
                if ui.add_sized([110.0, 28.0], eframe::egui::Button::new(tr!("Type a path…"))).clicked() {
                    out.push(Action::TypePath);
                }
                if ui.add_sized([130.0, 28.0], eframe::egui::Button::new(tr!("Try a sample"))).clicked() {
                    out.push(Action::TrySample);
                }
            });
            ui.add_space(14.0);
            let note = if window.sends_pictures_away() {
                tr!("Ctrl+V pastes a picture or its path. Pictures are sent to the remote device.")
            } else {
                tr!("Ctrl+V pastes a picture or its path. Everything stays on this computer.")
            };
            weak(ui, note);
            if std::env::var_os("WAYLAND_DISPLAY").is_some_and(|display| !display.is_empty()) {
                weak(ui, tr!("Dropping does not work on Wayland yet: open, paste or type instead."));
            }
        });
    });
}

/// Covers the window while files are held over it.
pub(crate) fn overlay(window: &Window, ctx: &Context) {
    let hovered = ctx.input(|input| input.raw.hovered_files.len());
    if hovered == 0 {
        return;
    }
    let painter = ctx.layer_painter(LayerId::new(Order::Foreground, Id::unique("drop overlay")));
    let rect = ctx.content_rect();
    let visuals = ctx.global_style().visuals.clone();
    painter.rect_filled(rect, 0.0, Color32::from_black_alpha(225));
    let frame = rect.shrink(18.0);
    painter.rect_stroke(frame, 14.0, Stroke::new(3.0, visuals.selection.bg_fill), StrokeKind::Inside);
    let model = &window.shell.settings.choices.model;
    painter.text(
        rect.center() - vec2(0.0, 14.0),
        Align2::CENTER_CENTER,
        tr_counted!(hovered, "Let go to add it to the queue", "Let go to add these %{count} to the queue"),
        FontId::proportional(26.0),
        Color32::WHITE,
    );
    painter.text(
        pos2(rect.center().x, rect.center().y + 22.0),
        Align2::CENTER_CENTER,
        tr!("Pictures and folders will be enlarged by %{model}; model files go to the library", model = model),
        FontId::proportional(15.0),
        Color32::from_gray(210),
    );
}
