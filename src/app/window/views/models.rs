//! The library: which networks there are, what they cost and how good they are.

use dualres_network::{LayerWidth, families::label};
use eframe::egui::{self, Grid, Panel, ProgressBar, RichText, Role, ScrollArea, Sense, Ui, WidgetInfo, vec2};

use super::{duration, speed, weak};
use crate::batch::disk::bytes;
use crate::{
    completion,
    library::Entry,
    window::{Window, actions::Action, theme::palette},
};

/// Side of the input that MACs are stated for.
const MAC_INPUT: usize = 96;

pub(crate) fn ui(window: &mut Window, ui: &mut Ui) {
    let shown = window.shown_model.clone().unwrap_or_else(|| window.settings.choices.model.clone());
    Panel::left("models").resizable(false).exact_size(250.0).show(ui, |ui| list(window, ui, &shown));
    egui::CentralPanel::default().show(ui, |ui| {
        let Some(entry) = window.entries.iter().find(|entry| entry.name == shown).cloned() else {
            weak(ui, "Choose a model on the left.");
            return;
        };
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| card(window, ui, &entry));
    });
}

fn list(window: &mut Window, ui: &mut Ui, shown: &str) {
    ui.add_space(6.0);
    let mut chosen = None;
    ScrollArea::vertical().auto_shrink(false).max_height(ui.available_height() - 96.0).show(ui, |ui| {
        for entry in &window.entries {
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
            let from = if entry.file.is_some() { "imported" } else { "built in" };
            let line = format!("{}x, {}, {from}", entry.description.scale(), bytes(entry.bytes));
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
    if chosen.is_some() {
        window.shown_model = chosen;
    }
    ui.separator();
    let button = ui.add_sized([ui.available_width(), 28.0], egui::Button::new("Import a model…"));
    if button
        .on_hover_text(
            "A model of this program, or a network of others: .pth, .safetensors, .onnx, .param with .bin (Ctrl+I)",
        )
        .clicked()
    {
        window.actions.push(Action::ImportModel);
    }
    weak(ui, "Or drop .pth, .safetensors, .onnx or .param files on the window.");
}

fn card(window: &mut Window, ui: &mut Ui, entry: &Entry) {
    let description = &entry.description;
    ui.add_space(6.0);
    ui.label(RichText::new(&entry.name).heading());
    let purpose =
        if description.purpose.is_empty() { "Its author said nothing on its purpose" } else { &description.purpose };
    ui.label(purpose);
    ui.add_space(6.0);
    ui.horizontal(|ui| {
        if ui.button("Use in Upscale").clicked() {
            window.actions.push(Action::UseModel(entry.name.clone()));
        }
        if ui.button("Export…").clicked() {
            window.actions.push(Action::ExportModel(entry.name.clone()));
        }
        let removable = entry.file.is_some();
        let remove = ui.add_enabled(removable, egui::Button::new("Remove"));
        if remove.on_disabled_hover_text("Part of the program").clicked() {
            window.actions.push(Action::RemoveModel(entry.name.clone()));
        }
    });
    ui.add_space(10.0);
    lacking(window, ui, entry);

    let here = window
        .speed(&entry.name)
        .map_or("not measured yet: use it once".into(), |s| format!("{} of results", speed(s)));
    Grid::new("facts").num_columns(2).spacing([18.0, 5.0]).show(ui, |ui| {
        let mut row = |label: &str, value: String| {
            ui.label(RichText::new(label).weak());
            ui.label(value);
            ui.end_row();
        };
        row("Enlarges", format!("{} times", description.scale()));
        let compressed = if description.is_compressed() { ", compressed" } else { "" };
        row("Network", format!("{}{compressed}", description.family));
        let operators = description.network.operators();
        let named: Vec<String> = operators.iter().take(5).map(|(kind, count)| format!("{count} × {kind}")).collect();
        let more = if operators.len() > 5 { ", …" } else { "" };
        row("Operators", format!("{}{more}", named.join(", ")));
        if !description.import.is_empty() {
            row("Imported", description.import.join("; "));
        }
        row("Parameters", grouped(entry.parameters));
        row("MACs", format!("{:.2} G for an input of {MAC_INPUT} × {MAC_INPUT}", entry.macs as f64 / 1e9));
        row(
            "Dual models",
            if entry.has_duals {
                let borrowed = if description.borrowed_duals { ", learned with another network" } else { "" };
                format!("{} parameters{borrowed}", grouped(description.dual_parameters()))
            } else {
                "none: results cannot be proven".into()
            },
        );
        row(&format!("Speed on {}", window.device()), here);
        row("File", bytes(entry.bytes));
        row("Licence", description.licence.clone());
        if let Some(file) = &entry.file {
            row("Kept in", file.display().to_string());
        }
    });

    ui.add_space(12.0);
    ui.label(RichText::new("Measured quality").strong());
    if description.metrics.is_empty() {
        weak(ui, "The file states none.");
    }
    if let Some(calibration) = &description.error_calibration {
        let text =
            format!("Predicts errors with a rank correlation of {:.2} on {}", calibration.correlation, calibration.set);
        ui.label(text)
            .on_hover_text("Predicted against true error, in windows of 8 × 8 pixels of the original (Spearman)");
    }
    for metric in &description.metrics {
        let name = match metric.name.as_str() {
            "psnr_y" => "PSNR (Y)",
            "loop_psnr" => "Consistency PSNR",
            other => other,
        };
        let value = format!("{name} on {}: {:.2} dB", metric.set, metric.value);
        ui.label(value).on_hover_text(&metric.rule);
    }
    let mut rules: Vec<&String> = description.metrics.iter().map(|metric| &metric.rule).collect();
    rules.dedup();
    for rule in rules {
        weak(ui, rule);
    }

    compression(ui, entry);
    ui.add_space(12.0);
    ui.label(RichText::new("Channels of each unit").strong());
    weak(ui, "Filled: kept. The whole bar is the width before compression.");
    ui.add_space(4.0);
    widths(ui, entry);
    ui.add_space(12.0);
}

/// What a network of others lacks, and a button that makes it.
fn lacking(window: &mut Window, ui: &mut Ui, entry: &Entry) {
    let description = &entry.description;
    if let Some(completing) = window.completing.as_ref().filter(|completing| completing.name == entry.name) {
        let (part, text) = completing.progress();
        ui.horizontal(|ui| {
            ui.add(ProgressBar::new(part).desired_width(240.0).desired_height(6.0));
            ui.label(text);
            if ui.button("Cancel").clicked() {
                window.actions.push(Action::CancelCompletion);
            }
        });
        ui.add_space(10.0);
        return;
    }
    if entry.file.is_none() || !completion::is_incomplete(description) {
        return;
    }
    let (lack, verb) = match completion::lacks_duals(description) {
        true if description.duals.is_empty() => ("It has no dual model: results cannot be proven.", "Train dual model"),
        true => ("Its results are proven by the dual model of another network.", "Train its own dual model"),
        false => ("The error of its results is not predicted.", "Calibrate predicted error"),
    };
    ui.label(RichText::new(lack).color(palette(ui).warning));
    let time = window.speed(&entry.name).filter(|&speed| speed > 0.0).map(|speed| {
        // Training goes there and back again.
        let seconds = 2.0 * completion::work(description) / speed;
        format!(" Takes about {} on {}.", duration(std::time::Duration::from_secs_f64(seconds)), window.device())
    });
    ui.horizontal(|ui| {
        let is_free = window.completing.is_none();
        let button = ui.add_enabled(is_free, egui::Button::new(verb)).on_disabled_hover_text("Another model is at it");
        if button
            .on_hover_text(
                "Learns from the four sample pictures. The network itself, and so its results, stay as they are.",
            )
            .clicked()
        {
            window.actions.push(Action::CompleteModel(entry.name.clone()));
        }
        let also = if completion::lacks_duals(description) { "Then calibrates the predicted error." } else { "" };
        weak(ui, format!("{also}{}", time.unwrap_or_default()));
    });
    ui.add_space(10.0);
}

/// What a compressed network says of how it came to be.
fn compression(ui: &mut Ui, entry: &Entry) {
    let (Some(original), Some(facts)) = (entry.compressed_from(), entry.description.training.get("compression")) else {
        return;
    };
    let text = |name: &str| facts.get(name).and_then(|value| value.as_str()).unwrap_or("an unknown").to_owned();
    let number = |name: &str| facts.get(name).and_then(serde_json::Value::as_f64);
    ui.add_space(12.0);
    ui.label(RichText::new("Compressed").strong());
    let kept = number("kept_macs_ratio").map_or(String::new(), |kept| format!(", {:.1} % of its MACs", 100.0 * kept));
    ui.label(format!("From {original}{kept}, by method {} in {} mode", text("method"), text("mode")));
    if let (Some(before), Some(after)) = (number("psnr_before"), number("psnr_after")) {
        ui.label(format!("Validation PSNR {after:.2} dB, {before:.2} dB before"));
    }
}

fn widths(ui: &mut Ui, entry: &Entry) {
    let layers = entry.description.layer_widths();
    let widest = layers.iter().map(|layer| layer.before).max().unwrap_or(1) as f32;
    let colours = palette(ui);
    ui.spacing_mut().interact_size.y = 16.0;
    for LayerWidth { name, now, before } in layers {
        ui.horizontal(|ui| {
            let name = label(&name);
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
            let text = if now == 0 { format!("gone, of {before}") } else { format!("{now} of {before}") };
            response.widget_info(|| WidgetInfo::labeled(Role::Label, true, format!("{name}: {text}")));
            ui.label(RichText::new(text).small());
        });
    }
    // What cannot be made narrower says why.
    let kept: Vec<(String, String)> = entry
        .description
        .network
        .groups()
        .iter()
        .filter_map(|group| Some((label(&group.name), group.reason()?.to_owned())))
        .collect();
    if !kept.is_empty() {
        ui.collapsing(format!("{} layers that are not pruned", kept.len()), |ui| {
            for (name, reason) in kept {
                weak(ui, format!("{name}: {reason}"));
            }
        });
    }
}

/// 195,878.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = {
        let first = digits.len() % 3;
        let (head, tail) = digits.split_at(first);
        let tail = (0..tail.len() / 3).map(|i| &tail[i * 3..i * 3 + 3]);
        (!head.is_empty()).then_some(head).into_iter().chain(tail).collect()
    };
    groups.join(",")
}
