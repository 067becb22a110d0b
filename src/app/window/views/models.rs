//! The library: which networks there are, what they cost and how good they are.

use dualres_network::{LayerWidth, families::label};
use eframe::egui::{self, Grid, Panel, ProgressBar, RichText, Role, ScrollArea, Sense, Ui, WidgetInfo, vec2};

use super::{duration, speed, weak};
use crate::batch::disk::bytes;
use crate::{
    completion,
    language::{grouped, number, tr, translated},
    library::Entry,
    window::{Window, actions::Action, outbox::Outbox, theme::palette},
};

/// Side of the input that MACs are stated for.
const MAC_INPUT: usize = 96;

pub(crate) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let shown = window.models.shown_model.clone().unwrap_or_else(|| window.shell.settings.choices.model.clone());
    Panel::left("models").resizable(false).exact_size(250.0).show(ui, |ui| list(window, ui, out, &shown));
    egui::CentralPanel::default().show(ui, |ui| {
        let Some(entry) = window.models.entries.iter().find(|entry| entry.name == shown) else {
            weak(ui, tr!("Choose a model on the left."));
            return;
        };
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| card(window, ui, out, entry));
    });
}

fn list(window: &Window, ui: &mut Ui, out: &mut Outbox, shown: &str) {
    ui.add_space(6.0);
    let mut chosen = None;
    ScrollArea::vertical().auto_shrink(false).max_height(ui.available_height() - 96.0).show(ui, |ui| {
        for entry in &window.models.entries {
            let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 48.0), Sense::click());
            let selected = entry.name == shown;
            response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, &entry.name));
            let colours = palette(ui);
            if selected || response.hovered() {
                ui.painter().rect_filled(rect, 6.0, if selected { colours.raised } else { colours.hovered });
            }
            let place = |y: f32| rect.left_top() + vec2(10.0, y);
            ui.painter().text(
                place(6.0),
                egui::Align2::LEFT_TOP,
                &entry.name,
                egui::FontId::proportional(14.0),
                colours.text,
            );
            let (scale, size) = (entry.description.scale(), bytes(entry.bytes));
            let line = if entry.file.is_some() {
                tr!("%{scale}×, %{size}, imported", scale = scale, size = size)
            } else {
                tr!("%{scale}×, %{size}, built in", scale = scale, size = size)
            };
            ui.painter().text(
                place(26.0),
                egui::Align2::LEFT_TOP,
                line,
                egui::FontId::proportional(11.5),
                colours.weak,
            );
            if response.clicked() {
                chosen = Some(entry.name.clone());
            }
        }
    });
    out.extend(chosen.map(Action::ShowModel));
    ui.separator();
    let button = ui.add_sized([ui.available_width(), 28.0], egui::Button::new(tr!("Import a model…")));
    if button
        .on_hover_text(tr!(
            "A model of this program, or a network of others: .pth, .safetensors, .onnx, .param with .bin (Ctrl+I)"
        ))
        .clicked()
    {
        out.push(Action::ImportModel);
    }
    weak(ui, tr!("Or drop .pth, .safetensors, .onnx or .param files on the window."));
}

fn card(window: &Window, ui: &mut Ui, out: &mut Outbox, entry: &Entry) {
    let description = &entry.description;
    ui.add_space(6.0);
    ui.label(RichText::new(&entry.name).heading());
    ui.label(match description.purpose.as_str() {
        "" => tr!("Its author said nothing on its purpose"),
        purpose => translated(purpose),
    });
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        if ui.button(tr!("Use in Upscale")).clicked() {
            out.push(Action::UseModel(entry.name.clone()));
        }
        if ui.button(tr!("Export…")).clicked() {
            out.push(Action::ExportModel(entry.name.clone()));
        }
        let removable = entry.file.is_some();
        let remove = ui.add_enabled(removable, egui::Button::new(tr!("Remove")));
        if remove.on_disabled_hover_text(tr!("Part of the program")).clicked() {
            out.push(Action::RemoveModel(entry.name.clone()));
        }
    });
    ui.add_space(10.0);
    lacking(window, ui, out, entry);

    let here = window.speed(&entry.name).map_or_else(
        || tr!("not measured yet: use it once"),
        |measured| tr!("%{speed} of results", speed = speed(measured)),
    );
    Grid::new("facts").num_columns(2).spacing([18.0, 5.0]).show(ui, |ui| {
        let mut row = |label: String, value: String| {
            ui.label(RichText::new(label).weak());
            ui.label(value);
            ui.end_row();
        };
        row(tr!("Enlarges"), tr!("%{scale} times", scale = description.scale()));
        let network = if description.is_compressed() {
            tr!("%{family}, compressed", family = description.family)
        } else {
            description.family.clone()
        };
        row(tr!("Network"), network);
        let operators = &entry.details().operators;
        let named = operators.iter().take(5).map(|(kind, count)| format!("{count} × {}", operator(kind)));
        let named: Vec<String> = named.collect();
        let more = if operators.len() > 5 { ", …" } else { "" };
        row(tr!("Operators"), format!("{}{more}", named.join(", ")));
        if !description.import.is_empty() {
            let facts: Vec<String> = description.import.iter().map(|fact| translated(fact)).collect();
            row(tr!("Imported"), facts.join("; "));
        }
        row(tr!("Parameters"), grouped(entry.parameters));
        let macs = number(entry.macs as f64 / 1e9, 2);
        row("MACs".into(), tr!("%{macs} G for an input of %{side} × %{side}", macs = macs, side = MAC_INPUT));
        let duals = if entry.has_duals {
            let count = grouped(entry.details().dual_parameters);
            if description.borrowed_duals {
                tr!("%{count} parameters, learned with another network", count = count)
            } else {
                tr!("%{count} parameters", count = count)
            }
        } else {
            tr!("none: results cannot be proven")
        };
        row(tr!("Dual models"), duals);
        row(tr!("Speed on %{device}", device = window.device()), here);
        row(tr!("File"), bytes(entry.bytes));
        row(tr!("Licence"), translated(&description.licence));
        if let Some(file) = &entry.file {
            row(tr!("Kept in"), file.display().to_string());
        }
    });

    ui.add_space(12.0);
    ui.label(RichText::new(tr!("Measured quality")).strong());
    if description.metrics.is_empty() {
        weak(ui, tr!("The file states none."));
    }
    if let Some(calibration) = &description.error_calibration {
        let text = tr!(
            "Predicts errors with a rank correlation of %{correlation} on %{set}",
            correlation = number(calibration.correlation, 2),
            set = calibration.set
        );
        let hint = tr!("Predicted against true error, in windows of 8 × 8 pixels of the original (Spearman)");
        ui.label(text).on_hover_text(hint);
    }
    for metric in &description.metrics {
        let name = match metric.name.as_str() {
            "psnr_y" => "PSNR (Y)".to_owned(),
            "loop_psnr" => tr!("Consistency PSNR"),
            other => other.to_owned(),
        };
        let value = number(metric.value, 2);
        let value = tr!("%{name} on %{set}: %{value} dB", name = name, set = metric.set, value = value);
        ui.label(value).on_hover_text(translated(&metric.rule));
    }
    let mut rules: Vec<&String> = description.metrics.iter().map(|metric| &metric.rule).collect();
    rules.dedup();
    for rule in rules {
        weak(ui, in_parts(rule));
    }

    compression(ui, entry);
    ui.add_space(12.0);
    ui.label(RichText::new(tr!("Channels of each layer")).strong());
    weak(ui, tr!("Filled: kept. The whole bar is the width before compression."));
    ui.add_space(4.0);
    widths(ui, entry);
    ui.add_space(12.0);
}

/// What a network of others lacks, and a button that makes it.
fn lacking(window: &Window, ui: &mut Ui, out: &mut Outbox, entry: &Entry) {
    let description = &entry.description;
    if let Some(completing) = window.models.completing.as_ref().filter(|completing| completing.name == entry.name) {
        let (part, text) = completing.progress();
        ui.horizontal(|ui| {
            ui.add(ProgressBar::new(part).desired_width(240.0).desired_height(6.0));
            ui.label(text);
            if ui.button(tr!("Cancel")).clicked() {
                out.push(Action::CancelCompletion);
            }
        });
        ui.add_space(10.0);
        return;
    }
    if entry.file.is_none() || !completion::is_incomplete(description) {
        return;
    }
    let (lack, verb) = match completion::lacks_duals(description) {
        true if description.duals.is_empty() => {
            (tr!("It has no dual model: results cannot be proven."), tr!("Train dual model"))
        }
        true => (tr!("Its results are proven by the dual model of another network."), tr!("Train its own dual model")),
        false => (tr!("The error of its results is not predicted."), tr!("Calibrate predicted error")),
    };
    ui.label(RichText::new(lack).color(palette(ui).warning));
    let time = window.speed(&entry.name).filter(|&speed| speed > 0.0).map(|speed| {
        // Training goes there and back again.
        let seconds = 2.0 * completion::work(description) / speed;
        let time = duration(std::time::Duration::from_secs_f64(seconds));
        tr!("Takes about %{time} on %{device}.", time = time, device = window.device())
    });
    ui.horizontal(|ui| {
        let is_free = window.models.completing.is_none();
        let busy = tr!("Another model is at it");
        let button = ui.add_enabled(is_free, egui::Button::new(verb)).on_disabled_hover_text(busy);
        if button
            .on_hover_text(tr!(
                "Learns from the four sample pictures. The network itself, and so its results, stay as they are."
            ))
            .clicked()
        {
            out.push(Action::CompleteModel(entry.name.clone()));
        }
        let also = if completion::lacks_duals(description) {
            tr!("Then calibrates the predicted error.")
        } else {
            String::new()
        };
        let time = time.map_or_else(String::new, |time| format!(" {time}"));
        weak(ui, format!("{also}{time}"));
    });
    ui.add_space(10.0);
}

/// A rule of measuring, each of its parts translated.
fn in_parts(rule: &str) -> String {
    let parts = rule.split("; ").map(|part| part.split(": ").map(translated).collect::<Vec<_>>().join(": "));
    parts.collect::<Vec<_>>().join("; ")
}

/// What a compressed network says of how it came to be.
fn compression(ui: &mut Ui, entry: &Entry) {
    let (Some(original), Some(facts)) = (entry.compressed_from(), entry.description.training.get("compression")) else {
        return;
    };
    let text =
        |name: &str| facts.get(name).and_then(|value| value.as_str()).map_or_else(|| tr!("an unknown"), str::to_owned);
    let figure = |name: &str| facts.get(name).and_then(serde_json::Value::as_f64);
    ui.add_space(12.0);
    ui.label(RichText::new(tr!("Compressed")).strong());
    let (method, mode) = (text("method"), text("mode"));
    ui.label(match figure("kept_macs_ratio") {
        Some(kept) => tr!(
            "From %{original}, %{kept} % of its MACs, by method %{method} in %{mode} mode",
            original = original,
            kept = number(100.0 * kept, 1),
            method = method,
            mode = mode
        ),
        None => tr!(
            "From %{original}, by method %{method} in %{mode} mode",
            original = original,
            method = method,
            mode = mode
        ),
    });
    if let (Some(before), Some(after)) = (figure("psnr_before"), figure("psnr_after")) {
        let (before, after) = (number(before, 2), number(after, 2));
        ui.label(tr!("Validation PSNR %{after} dB, %{before} dB before", after = after, before = before));
    }
}

fn widths(ui: &mut Ui, entry: &Entry) {
    let layers = &entry.details().widths;
    let widest = layers.iter().map(|layer| layer.before).max().unwrap_or(1) as f32;
    let colours = palette(ui);
    ui.spacing_mut().interact_size.y = 16.0;
    for &LayerWidth { ref name, now, before } in layers {
        ui.horizontal(|ui| {
            let name = label(name);
            let place = vec2(150.0, 16.0);
            ui.allocate_ui_with_layout(place, egui::Layout::left_to_right(egui::Align::Center), |ui| {
                ui.set_min_width(place.x);
                ui.label(RichText::new(&name).small());
            });
            let room = (ui.available_width() - 90.0).clamp(60.0, 420.0);
            let (rect, response) = ui.allocate_exact_size(vec2(room, 12.0), Sense::hover());
            let part = |count: usize| rect.with_max_x(rect.left() + rect.width() * count as f32 / widest);
            ui.painter().rect_filled(part(before), 3.0, colours.raised);
            ui.painter().rect_filled(part(now), 3.0, colours.accent);
            let text = if now == 0 {
                tr!("gone, of %{before}", before = before)
            } else {
                tr!("%{now} of %{before}", now = now, before = before)
            };
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name}: {text}")));
            ui.label(RichText::new(text).small());
        });
    }
    not_pruned(ui, &entry.details().fixed);
}

/// Layers that cannot be made narrower, each with the reason.
pub(super) fn not_pruned(ui: &mut Ui, fixed: &[(String, String)]) {
    if !fixed.is_empty() {
        ui.collapsing(tr!("%{count} layers that are not pruned", count = fixed.len()), |ui| {
            for (name, reason) in fixed {
                weak(ui, format!("{}: {}", label(name), translated(reason)));
            }
        });
    }
}

/// What an operator of a network is called.
fn operator(kind: &str) -> String {
    match kind.strip_suffix(" convolution") {
        Some(size) if size.starts_with(|sign: char| sign.is_ascii_digit()) => tr!("%{size} convolution", size = size),
        _ => translated(kind),
    }
}
