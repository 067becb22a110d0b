//! The canvas: panes with one pan and zoom, the tools above and the read-out below.

use eframe::egui::{Align, Key, Label, Layout, Rect, RichText, Slider, Ui, UiBuilder, pos2, vec2};

use super::{
    canvas::{self, Canvas, Part, centred_text, inside},
    drop_zone,
};
use crate::window::{
    Window,
    actions::Action,
    canvas::gpu::Mode,
    document::{Document, Pyramid},
    gain::drawn_of,
    queue::State,
    settings::ViewMode,
    theme::palette,
};

/// Height of the tools and of the read-out in points.
const BAR: f32 = 34.0;

pub(crate) fn ui(window: &mut Window, ui: &mut Ui) {
    let colours = palette(ui);
    ui.painter().rect_filled(ui.max_rect(), 0.0, colours.canvas);
    if window.queue.items().is_empty() {
        drop_zone::empty(window, ui);
        return;
    }
    let rect = ui.max_rect();
    if super::adapting::offer(window, ui, rect) {
        return;
    }
    let tools = Rect::from_min_size(rect.min, vec2(rect.width(), BAR));
    let read_out = Rect::from_min_max(pos2(rect.min.x, rect.max.y - BAR + 6.0), rect.max);
    let canvas = Rect::from_min_max(pos2(rect.min.x, tools.max.y), pos2(rect.max.x, read_out.min.y));
    for bar in [tools, read_out] {
        ui.painter().rect_filled(bar, 0.0, colours.panel);
    }
    ui.scope_builder(UiBuilder::new().max_rect(tools.shrink2(vec2(8.0, 4.0))), |ui| tool_bar(window, ui));
    let pointed = panes(window, ui, canvas);
    ui.scope_builder(UiBuilder::new().max_rect(read_out.shrink2(vec2(8.0, 2.0))), |ui| {
        read_out_ui(window, ui, pointed);
    });
}

fn tool_bar(window: &mut Window, ui: &mut Ui) {
    ui.horizontal_centered(|ui| {
        for (index, mode) in ViewMode::ALL.into_iter().enumerate() {
            let chosen = window.settings.view == mode;
            let label = ui.selectable_label(chosen, mode.label());
            if label.on_hover_text(format!("{} ({})", mode.explanation(), index + 1)).clicked() {
                window.actions.push(Action::SetView(mode));
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| canvas::zoom_buttons(ui, &mut window.view));
    });
}

/// Draws the panes; returns the position in the result under the pointer.
fn panes(window: &mut Window, ui: &mut Ui, canvas: Rect) -> Option<[f64; 2]> {
    let Some(id) = window.selected else {
        centred_text(ui, canvas, "Select a picture in the queue");
        return None;
    };
    if window.documents.get(id).is_none() {
        let text = match window.queue.get(id).map(|item| &item.state) {
            Some(State::Failed(reason)) => reason.clone(),
            _ if window.unreadable.contains_key(&id) => window.unreadable[&id].clone(),
            _ => {
                ui.ctx().request_repaint_after(std::time::Duration::from_millis(100));
                "Reading the picture…".into()
            }
        };
        centred_text(ui, canvas, &text);
        return None;
    }
    let flips = ui.input(|input| input.key_down(Key::Space)) && !ui.ctx().text_edit_focused();
    let with_duals = window.model().is_none_or(|entry| entry.has_duals);
    let is_preview = matches!(window.queue.get(id).map(|item| &item.state), Some(State::Waiting | State::Cancelled));
    let gain = window.gain();
    let open = window.documents.get_mut(id)?;
    let mut parts = parts(&open.document, window.settings.view, flips, with_duals);
    if is_preview && open.document.result.is_some() {
        parts.iter_mut().for_each(Part::call_preview);
    }
    let shared = Canvas {
        salt: "pane",
        gpu: window.gpu.as_mut(),
        document: &mut open.document,
        view: &mut window.view,
        split: &mut window.split,
        pane: &mut window.pane,
        gain,
        map: drawn_of(window.settings.view),
        marks: &[],
    };
    shared.show(ui, canvas, &parts)
}

/// The panes of a view; `flips` shows the original in place of the result.
fn parts(document: &Document, view: ViewMode, flips: bool, with_duals: bool) -> Vec<Part> {
    let modes: &[Mode] = match view {
        ViewMode::Panes if with_duals || document.dual.is_some() => &[Mode::Input, Mode::Result, Mode::Dual],
        ViewMode::Panes => &[Mode::Input, Mode::Result],
        ViewMode::Split => &[Mode::Split],
        ViewMode::Result => &[Mode::Result],
        ViewMode::Difference => &[Mode::Difference],
        ViewMode::Overlay => &[Mode::Overlay],
        ViewMode::Doubt => return vec![doubt(document, flips, with_duals)],
    };
    modes.iter().map(|&mode| part(document, mode, flips)).collect()
}

/// The pane of the expected error.
fn doubt(document: &Document, flips: bool, with_duals: bool) -> Part {
    if flips {
        return part(document, Mode::Result, flips);
    }
    let name = "Predicted error of the result";
    let caption = match (&document.expected, &document.dual) {
        (Some(_), _) => name,
        (None, None) if with_duals => "What to expect comes with the result",
        (None, _) => "No error calibration for this model",
    };
    Part { name: name.into(), legend: document.expected.is_some(), ..Part::new(Mode::Difference, caption) }
}

fn part(document: &Document, mode: Mode, flips: bool) -> Part {
    let [w, h] = document.input.size();
    let made = |there: bool, otherwise: &'static str| if there { "" } else { otherwise };
    let (name, caption) = match mode {
        Mode::Input => ("Original", format!("Original  {w} × {h}")),
        Mode::Dual => {
            let known = made(document.dual.is_some(), ": comes with the result");
            ("Reconstruction", format!("Reconstruction  {w} × {h}{known}"))
        }
        Mode::Result => {
            let [w, h] = document.result_size();
            let known = made(document.result.is_some(), ": not made yet");
            ("Result", format!("Result  {w} × {h}{known}"))
        }
        Mode::Split => ("Original and result", "Original".to_owned()),
        Mode::Difference | Mode::Overlay => {
            let name = if mode == Mode::Difference {
                "Difference between reconstruction and original"
            } else {
                "Where the result changed more than noise"
            };
            (name, if document.dual.is_some() { name } else { "The proof comes with the result" }.to_owned())
        }
    };
    let differs = matches!(mode, Mode::Difference | Mode::Overlay);
    let mut part = Part { name: name.into(), legend: differs && document.dual.is_some(), ..Part::new(mode, caption) };
    if mode == Mode::Split {
        part.caption_right = format!("Result{}", made(document.result.is_some(), ": not made yet"));
    }
    if flips && !matches!(mode, Mode::Input | Mode::Dual) {
        part = Part { name: part.name, ..Part::new(Mode::Input, format!("Original  {w} × {h}")) };
    }
    part
}

fn read_out_ui(window: &mut Window, ui: &mut Ui, pointed: Option<[f64; 2]>) {
    ui.horizontal_centered(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            // Here, because the tools above leave no room in a small window.
            if matches!(window.settings.view, ViewMode::Difference | ViewMode::Overlay | ViewMode::Doubt) {
                ui.spacing_mut().slider_width = 90.0;
                let mut gain = window.gain();
                let slider = Slider::new(&mut gain, 0.4..=16.0).logarithmic(true).max_decimals(1).text("gain");
                let hint = "Multiplies differences before they are coloured (, and .)";
                if ui.add(slider).on_hover_text(hint).changed() {
                    window.set_gain(gain);
                }
                if window.settings.view != ViewMode::Doubt {
                    let hint = "Follows the picture: nearly all of it stays below the hottest colour";
                    ui.checkbox(&mut window.settings.auto_gain, "auto").on_hover_text(hint);
                }
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| position_ui(window, ui, pointed));
        });
    });
}

fn position_ui(window: &Window, ui: &mut Ui, pointed: Option<[f64; 2]>) {
    let colours = palette(ui);
    let Some(document) = window.shown() else { return };
    {
        let Some(position) = pointed.filter(|&position| inside(document, position)) else {
            let hint = "Wheel zooms, drag moves, double click fits; Space shows the original";
            ui.add(Label::new(RichText::new(hint).small().color(colours.weak)).truncate());
            return;
        };
        let [x, y] = position.map(|p| p as usize);
        let (lx, ly) = (x / document.scale, y / document.scale);
        let mut text = format!("({x}, {y})");
        let value = |pyramid: &Pyramid, x: usize, y: usize| {
            let [r, g, b, a] = pyramid.levels[0].pixel(x, y);
            (a > 0).then(|| format!("{r:3} {g:3} {b:3}"))
        };
        if let Some(v) = value(&document.input, lx, ly) {
            text += &format!("   original ({lx}, {ly}) {v}");
        }
        if let Some(v) = document.result.as_ref().and_then(|p| value(p, x, y)) {
            text += &format!("   result {v}");
        }
        if let Some(v) = document.dual.as_ref().and_then(|p| value(p, lx, ly)) {
            text += &format!("   reconstruction {v}");
        }
        if let Some(d) = document.proof.as_ref().and_then(|proof| proof.absolute.at(lx, ly)) {
            text += &format!("   off by {d:.1}");
        }
        if let Some(error) = document.expected_at(lx, ly) {
            text += &format!("   predicted error {error:.1}");
        }
        ui.add(Label::new(RichText::new(text).monospace().small()).truncate());
    }
}
