//! The canvas: panes with one pan and zoom, the tools above and the read-out below.

use dualres_engine::Area;
use eframe::egui::{Align, ComboBox, Key, Label, Layout, Rect, RichText, Slider, Ui, UiBuilder, pos2, vec2};

use super::{
    canvas::{self, Canvas, PaneContent, centred_text, inside},
    drop_zone, named, numbers, size, text_width,
};
use crate::{
    language::{number, parsed, tr, translated},
    window::{
        Window,
        actions::{self, Action},
        canvas::gpu::Mode,
        document::{Document, Pyramid},
        gain::drawn_of,
        outbox::Outbox,
        queue::State,
        settings::ViewMode,
        theme::palette,
    },
};

/// Height of the tools and of the read-out in points.
const BAR: f32 = 34.0;

pub(crate) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let colours = palette(ui);
    ui.painter().rect_filled(ui.max_rect(), 0.0, colours.canvas);
    if window.upscale.queue.items().is_empty() {
        drop_zone::empty(window, ui, out);
        return;
    }
    let rect = ui.max_rect();
    if super::adapting::offer(window, ui, out, rect) {
        return;
    }
    if window.upscale.trial.is_some() {
        super::trial::ui(window, ui, out, rect);
        return;
    }
    let tools = Rect::from_min_size(rect.min, vec2(rect.width(), BAR));
    let read_out = Rect::from_min_max(pos2(rect.min.x, rect.max.y - BAR + 6.0), rect.max);
    let canvas = Rect::from_min_max(pos2(rect.min.x, tools.max.y), pos2(rect.max.x, read_out.min.y));
    for bar in [tools, read_out] {
        ui.painter().rect_filled(bar, 0.0, colours.panel);
    }
    ui.scope_builder(UiBuilder::new().max_rect(tools.shrink2(vec2(8.0, 4.0))), |ui| tool_bar(window, ui, out));
    let pointed = panes(window, ui, out, canvas);
    ui.scope_builder(UiBuilder::new().max_rect(read_out.shrink2(vec2(8.0, 2.0))), |ui| {
        read_out_ui(window, ui, out, pointed);
    });
}

/// Width of the buttons for the zoom, in points.
const ZOOM_BUTTONS: f32 = 250.0;

/// Width of the choices of a view beside each other, in points: words are of different lengths in different languages.
fn views_width(ui: &Ui) -> f32 {
    let spacing = ui.spacing();
    let around = 2.0 * spacing.button_padding.x + spacing.item_spacing.x;
    ViewMode::ALL.into_iter().map(|mode| text_width(ui, &mode.label()) + around).sum()
}

fn tool_bar(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.horizontal_centered(|ui| {
        let mut choices = |ui: &mut Ui| {
            for (index, mode) in ViewMode::ALL.into_iter().enumerate() {
                let chosen = window.shell.settings.view == mode;
                let label = ui.selectable_label(chosen, mode.label());
                if label.on_hover_text(format!("{} ({})", mode.explanation(), index + 1)).clicked() {
                    out.push(Action::SetView(mode));
                }
            }
        };
        if views_width(ui) + ZOOM_BUTTONS <= ui.available_width() {
            choices(ui);
        } else {
            let label = window.shell.settings.view.label();
            let combo = ComboBox::from_id_salt("view").selected_text(label).show_ui(ui, choices);
            named(&combo.response, &tr!("View"));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| canvas::zoom_buttons(ui, &window.upscale.view, out));
    });
}

/// Draws the panes; returns the position in the result under the pointer.
fn panes(window: &Window, ui: &mut Ui, out: &mut Outbox, canvas: Rect) -> Option<[f64; 2]> {
    let Some(id) = window.upscale.selected else {
        centred_text(ui, canvas, &tr!("Select a picture in the queue"));
        return None;
    };
    if window.upscale.documents.get(id).is_none() {
        let text = match window.upscale.queue.get(id).map(|item| &item.state) {
            Some(State::Failed(failure)) => translated(&failure.reason),
            _ if window.upscale.unreadable.contains_key(&id) => translated(&window.upscale.unreadable[&id]),
            _ => {
                ui.ctx().request_repaint_after(std::time::Duration::from_millis(100));
                tr!("Reading the picture…")
            }
        };
        centred_text(ui, canvas, &text);
        return None;
    }
    let flips = ui.input(|input| input.key_down(Key::Space)) && !ui.ctx().text_edit_focused();
    let with_duals = window.model().is_none_or(|entry| entry.has_duals);
    let open = window.upscale.documents.get(id)?;
    let tried = open.preview.is_some();
    let is_preview = matches!(
        window.upscale.queue.get(id).map(|item| &item.state),
        Some(State::Waiting | State::Cancelled | State::Moved(_))
    );
    let gain = window.gain();
    let is_done = window.saved_fidelity(id).is_some() && !tried;
    let document = open.shown();
    let previews = tried || ((is_preview || open.refined.is_some()) && document.result.is_some());
    let runs = matches!(window.upscale.queue.get(id).map(|item| &item.state), Some(State::Running(_)));
    let shown = match () {
        () if previews => Shows::Preview,
        () if runs => Shows::Growing,
        () if is_done && document.result.is_none() => Shows::Reading,
        () => Shows::Result,
    };
    let scale = document.scale;
    let places = if is_done { document.worst_places() } else { &[] };
    let marks: Vec<Area> = places.iter().map(|(area, _)| area.times(scale)).collect();
    let model = match window.upscale.queue.get(id).map(|item| &item.state) {
        Some(State::Done(finished)) if !tried => finished.model.clone(),
        _ => window.preview_model(id),
    };
    let withheld = window.withheld(id, &model);
    let parts = parts(document, window.shell.settings.view, flips, shown, (with_duals, withheld));
    let shared = Canvas {
        salt: "pane",
        gpu: &window.services.gpu,
        is_further: false,
        document,
        sight: window.upscale.sight(),
        gain,
        map: drawn_of(window.shell.settings.view),
        marks: &marks,
    };
    let (pointed, sight) = shared.show(ui, canvas, &parts);
    out.change(&window.upscale.sight(), sight, |sight| Action::See(actions::Canvas::Picture, sight));
    pointed
}

/// What stands in the place of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shows {
    Result,
    /// Nothing of it is saved.
    Preview,
    /// It is made now, over what was there before.
    Growing,
    /// It is there, and being read.
    Reading,
}

/// The panes of a view; `flips` shows the original in place of the result, and what is shown of that may be a preview.
fn parts(
    document: &Document,
    view: ViewMode,
    flips: bool,
    shows: Shows,
    (with_duals, withheld): (bool, Option<String>),
) -> Vec<PaneContent> {
    let modes: &[Mode] = match view {
        ViewMode::Panes if with_duals || document.dual.is_some() => &[Mode::Input, Mode::Result, Mode::Dual],
        ViewMode::Panes => &[Mode::Input, Mode::Result],
        ViewMode::Split => &[Mode::Split],
        ViewMode::Result => &[Mode::Result],
        ViewMode::Difference => &[Mode::Difference],
        ViewMode::Overlay => &[Mode::Overlay],
        ViewMode::Doubt => return vec![doubt(document, flips, shows, (with_duals, withheld))],
    };
    modes.iter().map(|&mode| part(document, mode, flips, shows)).collect()
}

/// The pane of the predicted error.
fn doubt(
    document: &Document,
    flips: bool,
    shows: Shows,
    (with_duals, withheld): (bool, Option<String>),
) -> PaneContent {
    if flips {
        return part(document, Mode::Result, flips, shows);
    }
    let name = if shows == Shows::Preview {
        tr!("Predicted error of the preview")
    } else {
        tr!("Predicted error of the result")
    };
    if let (None, Some(withheld)) = (&document.expected, withheld) {
        return PaneContent { name: withheld.clone(), ..PaneContent::new(Mode::Result, withheld) };
    }
    let caption = match (&document.expected, &document.dual) {
        (Some(_), _) => tr!("Predicted error of the result"),
        (None, None) if with_duals => tr!("The predicted error comes with the result"),
        (None, _) => tr!("No error calibration for this model"),
    };
    PaneContent { name, legend: document.expected.is_some(), ..PaneContent::new(Mode::Difference, caption) }
}

fn part(document: &Document, mode: Mode, flips: bool, shows: Shows) -> PaneContent {
    let original = tr!("Original  %{size}", size = size(document.input.size()));
    let has_dual = document.dual.is_some();
    let (name, caption) = match mode {
        Mode::Input => (tr!("Original"), original.clone()),
        Mode::Dual => (tr!("Reconstruction"), reconstruction(document)),
        Mode::Result => (if shows == Shows::Preview { tr!("Preview") } else { tr!("Result") }, result(document, shows)),
        Mode::Split if shows == Shows::Preview => (tr!("Original and preview"), tr!("Original")),
        Mode::Split => (tr!("Original and result"), tr!("Original")),
        Mode::Difference | Mode::Overlay => {
            let name = match mode {
                Mode::Difference => tr!("Difference between reconstruction and original"),
                _ if shows == Shows::Preview => tr!("Where the preview changed more than noise"),
                _ => tr!("Where the result changed more than noise"),
            };
            let caption = match mode {
                _ if !has_dual => tr!("The proof comes with the result"),
                Mode::Overlay if shows == Shows::Result && document.worst_places().is_empty() => {
                    tr!("No place changed more than noise")
                }
                Mode::Difference => tr!("Difference between reconstruction and original"),
                _ => tr!("Where the result changed more than noise"),
            };
            (name, caption)
        }
    };
    let differs = matches!(mode, Mode::Difference | Mode::Overlay);
    let mut part = PaneContent { name, legend: differs && has_dual, ..PaneContent::new(mode, caption) };
    if mode == Mode::Split {
        part.caption_right = match document.result {
            Some(_) if shows == Shows::Preview => tr!("Preview"),
            Some(_) if shows == Shows::Growing => tr!("%{name}: being made", name = tr!("Result")),
            Some(_) => tr!("Result"),
            None if shows == Shows::Growing => tr!("%{name}: being made", name = tr!("Result")),
            None if shows == Shows::Reading => tr!("Reading the picture…"),
            None => tr!("Result: not made yet"),
        };
    }
    if flips && !matches!(mode, Mode::Input | Mode::Dual) {
        part = PaneContent { name: part.name, ..PaneContent::new(Mode::Input, original) };
    }
    part
}

fn reconstruction(document: &Document) -> String {
    let size = size(document.input.size());
    match document.dual {
        Some(_) => tr!("Reconstruction  %{size}", size = size),
        None => tr!("Reconstruction  %{size}: comes with the result", size = size),
    }
}

fn result(document: &Document, shows: Shows) -> String {
    let size = size(document.result_size());
    match document.result {
        Some(_) if shows == Shows::Preview => tr!("Preview  %{size}", size = size),
        Some(_) if shows == Shows::Growing => tr!("%{name}: being made", name = tr!("Result  %{size}", size = size)),
        Some(_) => tr!("Result  %{size}", size = size),
        None if shows == Shows::Growing => tr!("%{name}: being made", name = tr!("Result  %{size}", size = size)),
        None if shows == Shows::Reading => tr!("Reading the picture…"),
        None => tr!("Result  %{size}: not made yet", size = size),
    }
}

fn read_out_ui(window: &Window, ui: &mut Ui, out: &mut Outbox, pointed: Option<[f64; 2]>) {
    ui.horizontal_centered(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            numbers::versions(window, ui, out);
            // Here, because the tools above leave no room in a small window.
            if matches!(window.shell.settings.view, ViewMode::Difference | ViewMode::Overlay | ViewMode::Doubt) {
                ui.spacing_mut().slider_width = 90.0;
                // The slider rounds what it shows, which is no choice.
                const STEP: f32 = 0.051;
                let before = window.gain();
                let mut gain = before;
                let slider = Slider::new(&mut gain, 0.4..=16.0).logarithmic(true).max_decimals(1).text(tr!("gain"));
                let slider = slider.custom_parser(parsed);
                let hint = tr!("Multiplies differences before they are coloured (, and .)");
                if ui.add(slider).on_hover_text(hint).changed() && (gain - before).abs() > STEP {
                    out.push(Action::SetGain(gain));
                }
                let hint = tr!("Follows the picture: nearly all of it stays below the hottest colour");
                let before = window.shell.settings.auto_gain;
                let mut auto = before;
                ui.checkbox(&mut auto, tr!("auto")).on_hover_text(hint);
                out.change(&before, auto, Action::SetAutoGain);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| position_ui(window, ui, out, pointed));
        });
    });
}

fn position_ui(window: &Window, ui: &mut Ui, out: &mut Outbox, pointed: Option<[f64; 2]>) {
    let colours = palette(ui);
    let Some(document) = window.shown() else { return };
    {
        let Some(position) = pointed.filter(|&position| inside(document, position)) else {
            if numbers::verdict(window, ui, out) {
                return;
            }
            let hint = tr!("Wheel zooms, drag moves, double click fits; Space shows the original");
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
            text += &format!("   {}", tr!("original (%{x}, %{y}) %{value}", x = lx, y = ly, value = v));
        }
        if let Some(v) = document.result.as_ref().and_then(|p| value(p, x, y)) {
            text += &format!("   {}", tr!("result %{value}", value = v));
        }
        if let Some(v) = document.dual.as_ref().and_then(|p| value(p, lx, ly)) {
            text += &format!("   {}", tr!("reconstruction %{value}", value = v));
        }
        if let Some(d) = document.proof.as_ref().and_then(|proof| proof.absolute.at(lx, ly)) {
            text += &format!("   {}", tr!("off by %{difference}", difference = number(d, 1)));
        }
        if let Some(error) = document.expected_at(lx, ly) {
            text += &format!("   {}", tr!("predicted error %{error}", error = number(error, 1)));
        }
        ui.add(Label::new(RichText::new(text).monospace().small()).truncate());
    }
}
