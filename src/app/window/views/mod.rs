//! One file a part of the window. Views read the state and push actions.

pub(crate) mod adapting;
pub(crate) mod canvas;
pub(crate) mod compress;
pub(crate) mod device;
pub(crate) mod drop_zone;
pub(crate) mod inspector;
mod model_choice;
pub(crate) mod models;
mod numbers;
pub(crate) mod remote;
pub(crate) mod results;
pub(crate) mod sheets;
pub(crate) mod status;
pub(crate) mod strip;
pub(crate) mod table;
pub(crate) mod top_bar;
mod trial;
pub(crate) mod upscale;

use std::time::Duration;

use eframe::egui::{Button, Color32, Response, RichText, Role, TextStyle, Ui, WidgetInfo};

use super::theme::palette;
use crate::language::{number, tr};

/// Seconds or minutes, as one says them.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s < 9.95 => format!("{} s", number(s, 1)),
        s if s < 99.5 => format!("{} s", number(s, 0)),
        s if s < 5400.0 => format!("{} min", number(s / 60.0, 0)),
        s => format!("{} h", number(s / 3600.0, 1)),
    }
}

/// `1804 × 1200`.
pub(crate) fn size(size: [usize; 2]) -> String {
    format!("{} × {}", size[0], size[1])
}

/// Megapixels in a second.
pub(crate) fn speed(pixels_a_second: f64) -> String {
    match pixels_a_second / 1e6 {
        s if s < 10.0 => format!("{} MP/s", number(s, 2)),
        s => format!("{} MP/s", number(s, 0)),
    }
}

/// Decibels; a perfect loop has infinitely many.
pub(crate) fn decibels(value: f64) -> String {
    if value.is_finite() { format!("{} dB", number(value, 2)) } else { tr!("exact") }
}

/// A small button that shows a sign and is called by its name.
pub(crate) fn icon_button(ui: &mut Ui, sign: &str, name: &str, hint: &str) -> Response {
    let response = ui.add(Button::new(RichText::new(sign).size(15.0)).frame_when_inactive(false));
    let enabled = response.enabled();
    let name = name.to_owned();
    response.widget_info(|| WidgetInfo::labeled(Role::Button, enabled, &name));
    response.on_hover_text(hint)
}

/// Width of a text on a button, in points.
pub(crate) fn text_width(ui: &Ui, text: &str) -> f32 {
    let font = TextStyle::Button.resolve(ui.style());
    ui.painter().layout_no_wrap(text.to_owned(), font, Color32::WHITE).size().x
}

/// A text as large as a button of a width has room for, down to what can still be read: languages differ in length.
pub(crate) fn fitting_text(ui: &Ui, text: &str, width: f32) -> RichText {
    const SMALLEST: f32 = 10.5;
    let usual = TextStyle::Button.resolve(ui.style()).size;
    let room = width - 2.0 * ui.spacing().button_padding.x;
    let size = (usual * room / text_width(ui, text).max(1.0)).clamp(SMALLEST, usual);
    RichText::new(text).size(size)
}

/// Height of the one button that matters, in points.
pub(crate) const BUTTON_HEIGHT: f32 = 34.0;

/// The one button that matters.
pub(crate) fn primary_button(ui: &mut Ui, text: &str, width: f32) -> Response {
    let colours = palette(ui);
    let fill = if ui.is_enabled() { colours.accent } else { colours.raised };
    let text =
        fitting_text(ui, text, width).color(if ui.is_enabled() { colours.on_accent } else { colours.weak }).strong();
    ui.add_sized([width, BUTTON_HEIGHT], Button::new(text).fill(fill))
}

/// The heading of a group of choices.
pub(crate) fn heading(ui: &mut Ui, text: &str) {
    ui.add_space(8.0);
    ui.label(RichText::new(text).strong());
}

/// Text that explains.
pub(crate) fn weak(ui: &mut Ui, text: impl Into<String>) -> Response {
    ui.label(RichText::new(text).weak().small())
}

/// Text that warns.
pub(crate) fn warning(ui: &mut Ui, text: impl Into<String>) -> Response {
    let colour = palette(ui).warning;
    ui.label(RichText::new(text).small().color(colour))
}

/// Gives a control the name that screen readers say.
pub(crate) fn named(response: &Response, name: &str) {
    let name = name.to_owned();
    response.ctx.accesskit_node_builder(response.id, |node| node.set_label(name));
}
