//! What to compress, how far, and how; and what it will take.

use std::time::Duration;

use dualres_compression::{Method, Mode};
use eframe::egui::{
    self, Align, CentralPanel, Checkbox, CollapsingHeader, ComboBox, DragValue, Frame, Label, Layout, Panel, RichText,
    ScrollArea, Slider, Ui,
};

use super::stages;
use crate::window::{
    Window,
    compress::{
        choices::{BASELINES, Preset, method_explanation, method_label},
        deeds::Deed,
        state::{ProfileState, Side},
    },
    theme::palette,
    views::{duration, heading, inspector, named, primary_button, weak},
};

pub(super) fn ui(window: &mut Window, ui: &mut Ui) {
    Panel::bottom("compress start").show(ui, |ui| footer(window, ui));
    CentralPanel::default().frame(Frame::NONE).show(ui, |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            // The bar must not lie over what is at the edge.
            ui.set_max_width(ui.available_width() - 10.0);
            model(window, ui);
            ratio(window, ui);
            data(window, ui);
            effort(window, ui);
            more(window, ui);
            inspector::device(window, ui);
            let device = window.device();
            if window.devices.iter().any(|known| known.name == device && known.is_software) {
                let text = "A software GPU: a run that takes minutes on the CPU takes hours on it.";
                ui.label(RichText::new(text).small().color(palette(ui).warning));
            }
            ui.add_space(8.0);
        });
    });
}

fn model(window: &mut Window, ui: &mut Ui) {
    heading(ui, "Network");
    let chosen = window.settings.compress.model.clone();
    let width = ui.available_width();
    let mut picked = None;
    let combo = ComboBox::from_id_salt("compressed model").width(width).selected_text(&chosen).show_ui(ui, |ui| {
        for entry in &window.entries {
            let hint = if entry.has_duals {
                entry.description.purpose.as_str()
            } else {
                "Has no dual models: cannot be compressed"
            };
            let label = ui.add_enabled_ui(entry.has_duals, |ui| ui.selectable_label(entry.name == chosen, &entry.name));
            let label = label.inner.on_hover_text(hint).on_disabled_hover_text(hint);
            if label.clicked() {
                picked = Some(entry.name.clone());
            }
        }
    });
    named(&combo.response, "Network to compress");
    if let Some(name) = picked {
        window.settings.compress.model = name;
        window.compress.side = Side::Instant;
        window.open_compress();
        window.drop_foreign_run();
    }
}

fn ratio(window: &mut Window, ui: &mut Ui) {
    heading(ui, "Remove");
    let mut percent = window.settings.compress.ratio * 100.0;
    ui.spacing_mut().slider_width = ui.available_width() - 76.0;
    let slider = ui.add(Slider::new(&mut percent, 5.0..=90.0).fixed_decimals(0).suffix(" %"));
    named(&slider, "Ratio to remove");
    if slider.changed() {
        window.settings.compress.ratio = percent / 100.0;
        window.share();
    }
    estimate(window, ui);
}

/// What the network of the sliders keeps, and what it is expected to give.
fn estimate(window: &mut Window, ui: &mut Ui) {
    let Some(entry) = window.compressed_model() else { return };
    let steer = &window.compress.steer;
    let original = &entry.layers;
    if steer.full != original.widths {
        return;
    }
    if window.compress.is_ready() {
        let (macs, parameters) = steer.kept(original);
        let line = format!("{:.1} % of MACs, {:.1} % of parameters stay", 100.0 * macs, 100.0 * parameters);
        ui.label(RichText::new(line).small()).on_hover_text("Multiply-accumulates for an input of 96 × 96");
    }
    match &window.compress.profile {
        ProfileState::Ready(profile) => {
            let (full, small) = (profile.estimate(&original.widths), profile.estimate(&steer.widths));
            let line = format!(
                "Untrained: {:+.2} dB, dual loss {:.2} (was {:.2})",
                small.psnr_y - full.psnr_y,
                small.dual,
                full.dual
            );
            ui.label(RichText::new(line).small()).on_hover_text(
                "Expected of the network at once, before any training, from the sensitivity profile: what each layer \
                 loses with each width, measured on patches of the pictures inside the program. Fine-tuning wins most \
                 of it back.",
            );
        }
        ProfileState::Measuring(done, of) => {
            ui.add(egui::ProgressBar::new(*done as f32 / (*of).max(1) as f32).desired_height(6.0));
            weak(ui, "Measuring what each layer is worth, once");
        }
        ProfileState::Failed(reason) => {
            ui.label(RichText::new(format!("No estimate: {reason}")).small().color(palette(ui).warning));
        }
        ProfileState::None => {}
    }
    if let Some(complaint) = &window.compress.steer.complaint {
        ui.label(RichText::new(complaint).small().color(palette(ui).warning));
    }
}

fn data(window: &mut Window, ui: &mut Ui) {
    heading(ui, "Pictures");
    let folders = &window.settings.compress.data;
    let label = match folders.as_slice() {
        [] => "Built-in samples".to_owned(),
        [one] => one.display().to_string(),
        many => format!("{} folders", many.len()),
    };
    let chosen = !folders.is_empty();
    row(ui, &label, chosen, "Pictures inside the program again", |clears| {
        if clears {
            window.settings.compress.data.clear();
        } else {
            window.deed(Deed::ChooseData);
        }
    });
    let validation = window.settings.compress.validation.clone();
    if chosen || validation.is_some() {
        let label =
            validation.as_ref().map_or("Every fifth for validation".to_owned(), |path| path.display().to_string());
        row(ui, &label, validation.is_some(), "Every fifth for validation again", |clears| {
            if clears {
                window.settings.compress.validation = None;
            } else {
                window.deed(Deed::ChooseValidation);
            }
        });
    }
    match &window.compress.data.found {
        _ if window.compress.data.scanning.is_some() => {
            weak(ui, "Counting the pictures…");
        }
        Some(Ok(found)) => {
            let few = if found.pictures < 20 { ": enough for a look, too few for a good network" } else { "" };
            weak(ui, format!("{} to learn from, {} to validate on{few}", found.pictures, found.validation));
        }
        Some(Err(reason)) => {
            ui.label(RichText::new(reason).small().color(palette(ui).error));
        }
        None => {}
    }
}

/// A path with a button to choose it and one to clear it.
fn row(ui: &mut Ui, label: &str, clearable: bool, clear: &str, act: impl FnOnce(bool)) {
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let mut asked = None;
            if clearable {
                let reset = ui.button("⟲").on_hover_text(clear);
                named(&reset, clear);
                if reset.clicked() {
                    asked = Some(true);
                }
            }
            if ui.button("Folder…").clicked() {
                asked = Some(false);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(Label::new(label).truncate()).on_hover_text(label);
            });
            if let Some(clears) = asked {
                act(clears);
            }
        });
    });
}

fn effort(window: &mut Window, ui: &mut Ui) {
    heading(ui, "Effort");
    let choices = &mut window.settings.compress;
    ui.horizontal_wrapped(|ui| {
        for preset in Preset::ALL {
            let label = ui.selectable_label(choices.preset == preset, preset.label());
            if label.on_hover_text(preset.explanation()).clicked() {
                choices.preset = preset;
                (choices.search_steps, choices.finetune_steps, choices.channels_per_step) = (None, None, None);
            }
        }
    });
    weak(ui, choices.preset.explanation());
}

fn more(window: &mut Window, ui: &mut Ui) {
    ui.add_space(4.0);
    CollapsingHeader::new("Method and details").id_salt("compress details").show(ui, |ui| {
        let choices = &mut window.settings.compress;
        let width = ui.available_width();
        let combo = ComboBox::from_id_salt("method").width(width).selected_text(method_label(choices.method));
        let combo = combo.show_ui(ui, |ui| {
            for method in std::iter::once(Method::Drc).chain(BASELINES) {
                let label = ui.selectable_value(&mut choices.method, method, method_label(method));
                label.on_hover_text(method_explanation(method));
            }
        });
        named(&combo.response, "Method");
        weak(ui, method_explanation(choices.method));
        ui.horizontal(|ui| {
            ui.label("Ratio of");
            let budget = ui.selectable_value(&mut choices.mode, Mode::Budget, "the network");
            budget.on_hover_text("Multiply-accumulates of the whole network; layers share them as they need (budget)");
            let paper = ui.selectable_value(&mut choices.mode, Mode::Paper, "each layer");
            paper.on_hover_text("Channels of every layer, as published (paper)");
        });
        let own = ui.checkbox(&mut choices.own_widths, "Widths as set on the right");
        own.on_hover_text("No search: each layer gets the width that its slider is at");
        egui::Grid::new("numbers of a run").num_columns(2).spacing([10.0, 4.0]).show(ui, |ui| {
            let defaults = choices.config(choices.method, "", Vec::new(), None);
            let mut search = defaults.search.steps;
            let mut finetune = defaults.finetune.steps;
            let searches = choices.method == Method::Drc && !choices.own_widths;
            number(ui, "Search steps", "Each one of the architecture and one of the weights", |ui| {
                let field = ui.add_enabled(searches, DragValue::new(&mut search).range(1..=100_000));
                if field.changed() {
                    choices.search_steps = Some(search);
                }
                field
            });
            let mut channels = defaults.selection.channels_per_step;
            number(ui, "Channels at once", "Channels selected per gradient computation; 1 as published", |ui| {
                let field = ui.add(DragValue::new(&mut channels).range(1..=64));
                if field.changed() {
                    choices.channels_per_step = Some(channels);
                }
                field
            });
            number(ui, "Fine-tuning steps", "0 leaves the network as it was cut", |ui| {
                let field = ui.add(DragValue::new(&mut finetune).range(0..=10_000_000).speed(10.0));
                if field.changed() {
                    choices.finetune_steps = Some(finetune);
                }
                field
            });
            number(
                ui,
                "Lambda",
                "Weight of the dual loss in search and selection; 0 is the ablation without it",
                |ui| ui.add(DragValue::new(&mut choices.lambda).range(0.0..=10.0).speed(0.01).max_decimals(4)),
            );
            number(ui, "Seed", "Of everything random: the same seed gives the same network", |ui| {
                ui.add(DragValue::new(&mut choices.seed))
            });
        });
        let second =
            ui.add_enabled(choices.method == Method::Drc, Checkbox::new(&mut choices.second_order, "Second order"));
        second.on_hover_text("Differentiates through one step of the weights; takes half as long again");
        ui.label("Also run, to compare with");
        ui.horizontal_wrapped(|ui| {
            for method in BASELINES {
                let mut on = choices.baselines.contains(&method);
                let enabled = method != choices.method;
                let check = ui.add_enabled(enabled, Checkbox::new(&mut on, method_label(method)));
                if check.on_hover_text(method_explanation(method)).changed() {
                    choices.baselines.retain(|other| *other != method);
                    if on {
                        choices.baselines.push(method);
                    }
                }
            }
        });
    });
}

fn number(ui: &mut Ui, label: &str, hint: &str, field: impl FnOnce(&mut Ui) -> egui::Response) {
    let text = ui.label(label);
    field(ui).labelled_by(text.id).on_hover_text(hint);
    ui.end_row();
}

fn footer(window: &mut Window, ui: &mut Ui) {
    ui.add_space(4.0);
    if window.compress.run().is_some() {
        stages::ui(window, ui);
        ui.separator();
    }
    if let Some((seconds, known)) = window.estimated_seconds() {
        let from = if known { "from earlier runs" } else { "rough estimate (no earlier run)" };
        weak(ui, format!("About {}, {from}", duration(Duration::from_secs_f64(seconds))));
    }
    let width = ui.available_width();
    let choices = &window.settings.compress;
    let more = choices.baselines.iter().filter(|method| **method != choices.method).count();
    let label = match more {
        0 => "Compress".to_owned(),
        1 => "Compress, and 1 baseline".to_owned(),
        n => format!("Compress, and {n} baselines"),
    };
    let usable = window.compressed_model().is_some_and(|entry| entry.has_duals)
        && !matches!(window.compress.data.found, Some(Err(_)));
    let start = ui.add_enabled_ui(usable, |ui| primary_button(ui, &label, width)).inner;
    if start.on_hover_text("Begins a run with these settings; it waits for the one under way").clicked() {
        window.deed(Deed::Start);
    }
    ui.add_space(6.0);
}
