//! The layers: how wide each was, is set to be, was found to be, and is so far.

use eframe::egui::{
    self, Align2, CursorIcon, DragValue, FontId, Id, PointerButton, Rect, Role, ScrollArea, Sense, Stroke, StrokeKind,
    Ui, WidgetInfo, pos2, vec2,
};

use super::layer;
use crate::{
    language::tr,
    window::{
        Window,
        compress::actions::CompressAction,
        outbox::Outbox,
        theme::palette,
        views::{heading, models::not_pruned, weak},
    },
};

const ROW: f32 = 20.0;

/// What is known of a layer, as numbers of channels.
struct Facts {
    name: String,
    full: usize,
    /// Where its slider is.
    set: Option<usize>,
    /// What the chosen run found.
    found: Option<usize>,
    /// What the selection of the chosen run has kept, if it came so far.
    kept: Option<usize>,
}

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    heading(ui, &tr!("Layers"));
    let Some(facts) = facts(window) else {
        weak(ui, tr!("Choose a network on the left."));
        return;
    };
    legend(window, ui);
    tools(window, ui, out);
    ui.add_space(2.0);
    let detail = if window.compress.unit.is_some() { (ui.available_height() * 0.5).min(300.0) } else { 64.0 };
    let height = (ui.available_height() - detail).max(80.0);
    ScrollArea::vertical().id_salt("layers").auto_shrink(false).max_height(height).show(ui, |ui| {
        ui.set_max_width(ui.available_width() - 10.0);
        ui.spacing_mut().item_spacing.y = 1.0;
        for (index, facts) in facts.iter().enumerate() {
            row(window, ui, out, index, facts);
        }
        if let Some(entry) = window.compressed_model() {
            ui.add_space(4.0);
            not_pruned(ui, &entry.details().fixed);
        }
    });
    ui.separator();
    match window.compress.unit.filter(|&unit| unit < facts.len()) {
        Some(unit) => layer::ui(window, ui, out, unit),
        None => {
            weak(ui, tr!("Click a layer to see its channels. Drag a bar to set its width."));
        }
    }
}

/// Prunable layers of the network that is shaped; or of the chosen run, if that is of another network.
fn facts(window: &Window) -> Option<Vec<Facts>> {
    let compress = &window.compress;
    let entry = window.compressed_model()?;
    let run = compress.run();
    let own = &entry.layers;
    // A run of another network has other layers: they are shown, but there is nothing to set.
    let (architecture, settable) = match run {
        Some(run) if run.layers != *own => (&run.layers, false),
        _ => (own, compress.width_editor.full == own.widths),
    };
    let found = run.and_then(super::super::super::compress::runs::Run::result_widths);
    let of = |index: usize| Facts {
        name: architecture.name(index),
        full: architecture.widths[index],
        set: settable.then(|| compress.width_editor.widths[index]),
        found: found.as_ref().and_then(|widths| widths.get(index).copied()),
        kept: run.and_then(|run| run.kept.get(index)).map(Vec::len),
    };
    Some((0..architecture.widths.len()).map(of).collect())
}

fn legend(window: &Window, ui: &mut Ui) {
    let colours = palette(ui);
    let has_run = window.compress.run().is_some();
    ui.horizontal(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        let mut item = |colour: egui::Color32, text: String, hint: String| {
            let (rect, _) = ui.allocate_exact_size(vec2(9.0, 9.0), Sense::hover());
            ui.painter().rect_filled(rect, 2.0, colour);
            weak(ui, text).on_hover_text(hint);
            ui.add_space(3.0);
        };
        item(colours.line, tr!("original"), tr!("Channels of the network as it is"));
        item(colours.accent, tr!("target"), tr!("Where the slider of the layer is"));
        if has_run {
            item(colours.warning, tr!("searched"), tr!("What the chosen run found, or finds most likely so far"));
            item(colours.good, tr!("kept"), tr!("Layers whose channels the chosen run has selected"));
        }
    });
}

fn tools(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.horizontal_wrapped(|ui| {
        ui.spacing_mut().item_spacing.x = 5.0;
        let mut choices = window.shell.settings.compress.clone();
        let mut changed = false;
        let label = ui.label(tr!("Minimum"));
        let least = ui.add(DragValue::new(&mut choices.least).range(1..=64)).labelled_by(label.id);
        changed |= least.on_hover_text(tr!("Fewest channels of a layer")).changed();
        for (multiple, hint) in
            [(1, tr!("Any width")), (4, tr!("Multiples of 4")), (8, tr!("Multiples of 8: kindest to GPUs"))]
        {
            let button = ui.selectable_label(choices.multiple == multiple, format!("×{multiple}")).on_hover_text(hint);
            if button.clicked() {
                choices.multiple = multiple;
                changed = true;
            }
        }
        if changed {
            out.compress_action(CompressAction::SetChoices(Box::new(choices)));
            out.compress_action(CompressAction::Share);
        }
        let locked = window.compress.width_editor.locked.iter().filter(|&&locked| locked).count();
        let hint = tr!("Allocate the ratio to all layers again");
        if locked > 0 && ui.button(tr!("Unlock all")).on_hover_text(hint).clicked() {
            out.compress_action(CompressAction::UnlockAll);
        }
    });
}

fn row(window: &Window, ui: &mut Ui, out: &mut Outbox, index: usize, facts: &Facts) {
    let colours = palette(ui);
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), ROW), Sense::click());
    let marked = window.compress.unit == Some(index);
    if marked || response.hovered() {
        ui.painter().rect_filled(rect, 4.0, if marked { colours.raised } else { colours.hovered });
    }
    let name_width = 92.0;
    let painter = ui.painter().with_clip_rect(rect);
    let text = |x: f32, align: Align2, text: &str, colour| {
        painter.text(pos2(x, rect.center().y), align, text, FontId::proportional(11.0), colour);
    };
    text(rect.left() + 4.0, Align2::LEFT_CENTER, &short(&facts.name), colours.text);
    let bar = Rect::from_min_max(pos2(rect.left() + name_width, rect.top()), pos2(rect.right() - 66.0, rect.bottom()));
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, marked, describe(facts)));
    let drag = bar_ui(window, ui, out, index, facts, bar);
    if response.clicked() || drag.clicked() {
        out.compress_action(CompressAction::Mark(if marked { None } else { Some(index) }));
    }
    let shown = facts.set.or(facts.found).unwrap_or(facts.full);
    text(rect.right() - 26.0, Align2::RIGHT_CENTER, &format!("{shown}/{}", facts.full), colours.weak);
    if facts.set.is_some() {
        lock(window, ui, out, index, rect);
    }
    response.union(drag).on_hover_ui(|ui| layer::tip(window, ui, index));
}

/// The bar of a layer, which is its slider.
fn bar_ui(window: &Window, ui: &mut Ui, out: &mut Outbox, index: usize, facts: &Facts, bar: Rect) -> egui::Response {
    let colours = palette(ui);
    let painter = ui.painter();
    let at = |channels: usize| bar.left() + bar.width() * channels as f32 / facts.full as f32;
    let track = Rect::from_min_max(pos2(bar.left(), bar.center().y - 5.0), pos2(bar.right(), bar.center().y + 5.0));
    painter.rect(track, 2.0, colours.panel, Stroke::new(1.0, colours.line), StrokeKind::Inside);
    let part = |channels: usize, top: f32, height: f32| {
        Rect::from_min_max(pos2(bar.left(), track.top() + top), pos2(at(channels), track.top() + top + height))
    };
    if let Some(set) = facts.set {
        painter.rect_filled(part(set, 0.0, 10.0), 2.0, colours.accent.gamma_multiply(0.75));
    }
    if let Some(kept) = facts.kept {
        // Nothing is seen too.
        let strip = part(kept, 7.0, 3.0);
        painter.rect_filled(strip.with_max_x(strip.max.x.max(bar.left() + 2.0)), 0.0, colours.good);
    }
    let likely = window.alpha_of(index).and_then(|(widths, probabilities)| {
        let best = (0..widths.len()).max_by(|&a, &b| probabilities[a].total_cmp(&probabilities[b]))?;
        Some(widths[best])
    });
    if let Some(found) = facts.found.or(likely) {
        painter.vline(at(found), track.y_range().expand(2.0), Stroke::new(2.5, colours.warning));
    }
    let response = ui.interact(bar, Id::unique(("layer bar", index)), Sense::click_and_drag());
    response.widget_info(|| {
        let value = facts.set.unwrap_or(facts.full) as f64;
        let name = tr!("Width of %{layer}", layer = facts.name);
        WidgetInfo { value: Some(value), ..WidgetInfo::labeled(Role::Slider, true, name) }
    });
    if facts.set.is_some() {
        if response.hovered() {
            ui.set_cursor_icon(CursorIcon::ResizeHorizontal);
        }
        if response.dragged_by(PointerButton::Primary)
            && let Some(pointer) = response.interact_pointer_pos()
        {
            let part = ((pointer.x - bar.left()) / bar.width()).clamp(0.0, 1.0);
            let width = (part * facts.full as f32).round() as usize;
            out.compress_action(CompressAction::SetWidth(index, width));
        }
    }
    response
}

fn lock(window: &Window, ui: &mut Ui, out: &mut Outbox, index: usize, row: Rect) {
    let colours = palette(ui);
    let place = Rect::from_min_max(pos2(row.right() - 22.0, row.top()), row.right_bottom());
    let locked = window.compress.width_editor.locked[index];
    let response = ui.interact(place, Id::unique(("layer lock", index)), Sense::click());
    let name = window.compressed_model().map(|e| e.layers.name(index));
    let name = tr!("Lock %{layer}", layer = name.unwrap_or_default());
    response.widget_info(|| WidgetInfo::selected(Role::CheckBox, true, locked, &name));
    let colour = match (locked, response.hovered()) {
        (true, _) => colours.warning,
        (false, true) => colours.text,
        (false, false) => colours.line,
    };
    let sign = if locked { "🔒" } else { "🔓" };
    ui.painter().text(place.center(), Align2::CENTER_CENTER, sign, FontId::proportional(11.0), colour);
    if response.on_hover_text(tr!("Locked layers keep their width when the ratio changes")).clicked() {
        out.compress_action(CompressAction::Lock(index, !locked));
    }
}

fn describe(facts: &Facts) -> String {
    let width = |what: String, width: Option<usize>| width.map(|width| format!("{what} {width}"));
    let mut said = vec![tr!("%{name}: %{channels} channels", name = facts.name, channels = facts.full)];
    said.extend(width(tr!("target"), facts.set));
    said.extend(width(tr!("searched"), facts.found));
    said.extend(width(tr!("kept"), facts.kept));
    said.join(", ")
}

/// `level 1 / block 03` without what every row would repeat.
fn short(name: &str) -> String {
    name.replace("level ", "L").replace(" / ", " ")
}
