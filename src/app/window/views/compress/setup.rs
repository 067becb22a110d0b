//! What to compress, how far, and how; and what it will take.

use std::{sync::Arc, time::Duration};

use dualres_compression::{Method, Mode, Widths};
use eframe::egui::{
    self, Align, CentralPanel, Checkbox, CollapsingHeader, ComboBox, DragValue, Frame, Label, Layout, Panel, RichText,
    ScrollArea, Slider, Ui,
};

use super::stages;
use crate::{
    language::{number, parsed, tr, tr_counted, translated, written},
    window::{
        Window,
        actions::Action,
        compress::{
            actions::CompressAction,
            choices::{Effort, baselines, method_explanation, method_label},
            state::ProfileState,
        },
        outbox::Outbox,
        theme::palette,
        views::{device, duration, heading, named, primary_button, weak},
    },
};

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    Panel::bottom("compress start").show(ui, |ui| footer(window, ui, out));
    CentralPanel::default().frame(Frame::NONE).show(ui, |ui| {
        ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
            // The bar must not lie over what is at the edge.
            ui.set_max_width(ui.available_width() - 10.0);
            model(window, ui, out);
            ratio(window, ui, out);
            data(window, ui, out);
            effort(window, ui, out);
            more(window, ui, out);
            device::chosen(window, ui, out);
            let device = window.device();
            if window.services.devices.iter().any(|known| known.name == device && known.is_software) {
                let text = tr!("A software GPU: a run that takes minutes on the CPU takes hours on it.");
                ui.label(RichText::new(text).small().color(palette(ui).warning));
            }
            ui.add_space(8.0);
        });
    });
}

fn model(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    heading(ui, &tr!("Network"));
    let chosen = window.shell.settings.compress.model.clone();
    let width = ui.available_width();
    let mut picked = None;
    let combo = ComboBox::from_id_salt("compressed model").width(width).selected_text(&chosen).show_ui(ui, |ui| {
        for entry in &window.models.entries {
            let hint = if entry.has_duals {
                translated(&entry.description.purpose)
            } else {
                tr!("Has no dual models: cannot be compressed")
            };
            let label = ui.add_enabled_ui(entry.has_duals, |ui| ui.selectable_label(entry.name == chosen, &entry.name));
            let label = label.inner.on_hover_text(&hint).on_disabled_hover_text(&hint);
            if label.clicked() {
                picked = Some(entry.name.clone());
            }
        }
    });
    named(&combo.response, &tr!("Network to compress"));
    if let Some(name) = picked {
        out.compress_action(CompressAction::SetModel(name));
    }
}

fn ratio(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    heading(ui, &tr!("Remove"));
    let mut percent = window.shell.settings.compress.ratio * 100.0;
    ui.spacing_mut().slider_width = ui.available_width() - 76.0;
    let slider = ui.add(Slider::new(&mut percent, 5.0..=90.0).fixed_decimals(0).suffix(" %"));
    named(&slider, &tr!("Ratio to remove"));
    if slider.changed() {
        out.compress_action(CompressAction::SetRatio(percent / 100.0));
    }
    estimate(window, ui, out);
}

/// What the network of the sliders keeps, and what it is expected to give.
fn estimate(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let Some(entry) = window.compressed_model() else { return };
    let width_editor = &window.compress.width_editor;
    let original = &entry.layers;
    if width_editor.full != original.widths {
        return;
    }
    if window.compress.is_ready() {
        let key = (entry.name.clone(), width_editor.widths.clone());
        let (macs, parameters) = window.compress.worked_out.kept.get(key, |_| width_editor.kept(original));
        let line = tr!(
            "%{macs} % of MACs, %{parameters} % of parameters stay",
            macs = number(100.0 * macs, 1),
            parameters = number(100.0 * parameters, 1)
        );
        ui.label(RichText::new(line).small()).on_hover_text(tr!("Multiply-accumulates for an input of 96 × 96"));
    }
    match &window.compress.profile {
        ProfileState::Ready(profile) => {
            let key = (entry.name.clone(), Arc::as_ptr(profile) as usize, width_editor.widths.clone());
            let estimates = &window.compress.worked_out.estimates;
            let of = |widths: &[usize]| profile.estimate(widths);
            let [full, small] = estimates.get(key, |(.., widths)| [of(&original.widths), of(widths)]);
            let line = tr!(
                "Not fine-tuned: %{change} dB, dual loss %{loss} (was %{before})",
                change = written(format!("{:+.2}", small.psnr_y - full.psnr_y)),
                loss = number(small.dual, 2),
                before = number(full.dual, 2)
            );
            ui.label(RichText::new(line).small()).on_hover_text(tr!(
                "Expected of the network at once, before any training, from the sensitivity profile: what each layer \
                 loses with each width, measured on patches of the pictures inside the program. Fine-tuning wins most \
                 of it back."
            ));
        }
        ProfileState::Measuring(done, of) => {
            ui.add(egui::ProgressBar::new(*done as f32 / (*of).max(1) as f32).desired_height(6.0));
            weak(ui, tr!("Measuring what each layer is worth, once"));
        }
        ProfileState::Failed(reason) => {
            let line = tr!("No estimate: %{reason}", reason = translated(reason));
            ui.label(RichText::new(line).small().color(palette(ui).warning));
        }
        ProfileState::None => {
            let hint =
                tr!("Finds out on sample pictures what each layer loses by each width: minutes, once for each network");
            if ui.button(tr!("Measure layers")).on_hover_text(hint).clicked() {
                out.compress_action(CompressAction::Measure);
            }
        }
    }
    if let Some(complaint) = &window.compress.width_editor.complaint {
        ui.label(RichText::new(complaint).small().color(palette(ui).warning));
    }
}

fn data(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    heading(ui, &tr!("Pictures"));
    let folders = &window.shell.settings.compress.data;
    let label = match folders.as_slice() {
        [] => tr!("Built-in samples"),
        [one] => one.display().to_string(),
        many => tr_counted!(many.len(), "%{count} folder", "%{count} folders"),
    };
    let chosen = !folders.is_empty();
    row(ui, &label, chosen, &tr!("Pictures inside the program again"), |clears| {
        if clears {
            out.compress_action(CompressAction::OwnData);
        } else {
            out.compress_action(CompressAction::ChooseData);
        }
    });
    let validation = window.shell.settings.compress.validation.clone();
    if chosen || validation.is_some() {
        let label = match &validation {
            Some(path) => path.display().to_string(),
            None => tr!("Every fifth for validation"),
        };
        row(ui, &label, validation.is_some(), &tr!("Every fifth for validation again"), |clears| {
            if clears {
                out.compress_action(CompressAction::OwnValidation);
            } else {
                out.compress_action(CompressAction::ChooseValidation);
            }
        });
    }
    match &window.compress.data.found {
        _ if window.compress.data.scanning.is_some() => {
            weak(ui, tr!("Counting the pictures…"));
        }
        Some(Ok(found)) => {
            let (pictures, validation) = (found.pictures, found.validation);
            let line = if pictures < 20 {
                tr!(
                    "%{pictures} to learn from, %{validation} to validate on: enough for a look, too few for a good \
                     network",
                    pictures = pictures,
                    validation = validation
                )
            } else {
                tr!(
                    "%{pictures} to learn from, %{validation} to validate on",
                    pictures = pictures,
                    validation = validation
                )
            };
            weak(ui, line);
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
            if ui.button(tr!("Folder…")).clicked() {
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

fn effort(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    heading(ui, &tr!("Effort"));
    let before = &window.shell.settings.compress;
    let mut choices = before.clone();
    ui.horizontal_wrapped(|ui| {
        for preset in Effort::ALL {
            let label = ui.selectable_label(choices.preset == preset, preset.label());
            if label.on_hover_text(preset.explanation()).clicked() {
                choices.preset = preset;
                choices.overrides = choices.overrides.of_preset();
            }
        }
    });
    weak(ui, choices.preset.explanation());
    out.change(before, choices, |choices| Action::Compress(CompressAction::SetChoices(Box::new(choices))));
}

fn more(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.add_space(4.0);
    CollapsingHeader::new(tr!("Method and details")).id_salt("compress details").show(ui, |ui| {
        let before = &window.shell.settings.compress;
        let mut choices = before.clone();
        let width = ui.available_width();
        let combo = ComboBox::from_id_salt("method").width(width).selected_text(method_label(choices.overrides.method));
        let combo = combo.show_ui(ui, |ui| {
            for method in Method::ALL {
                let label = ui.selectable_value(&mut choices.overrides.method, method, method_label(method));
                label.on_hover_text(method_explanation(method));
            }
        });
        named(&combo.response, &tr!("Method"));
        weak(ui, method_explanation(choices.overrides.method));
        ui.horizontal(|ui| {
            ui.label(tr!("Ratio of"));
            let budget = ui.selectable_value(&mut choices.overrides.mode, Mode::Budget, tr!("the network"));
            budget.on_hover_text(tr!(
                "Multiply-accumulates of the whole network; layers share them as they need (budget)"
            ));
            let paper = ui.selectable_value(&mut choices.overrides.mode, Mode::Paper, tr!("each layer"));
            paper.on_hover_text(tr!("Channels of every layer, as published (paper)"));
        });
        let own = ui.checkbox(&mut choices.own_widths, tr!("Widths as set on the right"));
        own.on_hover_text(tr!("No search: each layer gets the width that its slider is at"));
        egui::Grid::new("numbers of a run").num_columns(2).spacing([10.0, 4.0]).show(ui, |ui| {
            let defaults = choices.config(choices.overrides.method, "", Vec::new(), None);
            let mut search = defaults.search.steps;
            let mut finetune = defaults.finetune.steps;
            let searches = choices.overrides.method.about().widths == Widths::Search;
            let searches = searches && !choices.own_widths;
            let hint = tr!("Each one of the architecture and one of the weights");
            setting(ui, &tr!("Search steps"), &hint, |ui| {
                let field = ui.add_enabled(searches, DragValue::new(&mut search).range(1..=100_000));
                if field.changed() {
                    choices.overrides.search_steps = Some(search);
                }
                field
            });
            let mut channels = defaults.selection.channels_per_step;
            let hint = tr!("Channels selected per gradient computation; 1 as published");
            setting(ui, &tr!("Channels at once"), &hint, |ui| {
                let field = ui.add(DragValue::new(&mut channels).range(1..=64));
                if field.changed() {
                    choices.overrides.channels_per_step = Some(channels);
                }
                field
            });
            setting(ui, &tr!("Fine-tuning steps"), &tr!("0 leaves the network as it was cut"), |ui| {
                let field = ui.add(DragValue::new(&mut finetune).range(0..=10_000_000).speed(10.0));
                if field.changed() {
                    choices.overrides.finetune_steps = Some(finetune);
                }
                field
            });
            let hint = tr!("Weight of the dual loss in search and selection; 0 is the ablation without it");
            setting(ui, &tr!("Lambda"), &hint, |ui| {
                weight(ui, &mut choices.overrides.lambda, defaults.search.lambda)
            });
            let hint = tr!("Weight of the dual regression loss beside the features in the selection; at 1 their gradients are as long");
            setting(ui, &tr!("Gamma"), &hint, |ui| {
                weight(ui, &mut choices.overrides.gamma, defaults.selection.gamma)
            });
            let hint = tr!("Peak of fine-tuning");
            setting(ui, &tr!("Learning rate"), &hint, |ui| {
                let mut rate = defaults.finetune.lr;
                let field = DragValue::new(&mut rate).range(1e-6..=0.1).speed(1e-5).max_decimals(6).custom_parser(parsed);
                let field = ui.add(field);
                if field.changed() {
                    choices.overrides.lr = Some(rate);
                }
                field
            });
            for (label, hint, value, usual, range) in [
                (tr!("Patch"), tr!("Side in pixels of the input, in all stages"), &mut choices.overrides.patch, defaults.finetune.patch, 8..=256),
                (tr!("Batch"), tr!("Patches a step, in all stages"), &mut choices.overrides.batch, defaults.finetune.batch, 1..=256),
            ] {
                setting(ui, &label, &hint, |ui| {
                    let mut number = usual;
                    let field = ui.add(DragValue::new(&mut number).range(range));
                    if field.changed() {
                        *value = Some(number);
                    }
                    field
                });
            }
            let hint = tr!("A larger network that fine-tuning learns from as well");
            setting(ui, &tr!("Teacher"), &hint, |ui| teacher(window, ui, &mut choices.overrides.teacher));
            let hint = tr!("Of everything random: the same seed gives the same network");
            setting(ui, &tr!("Seed"), &hint, |ui| ui.add(DragValue::new(&mut choices.overrides.seed)));
        });
        let second = Checkbox::new(&mut choices.overrides.second_order, tr!("Second order"));
        let second = ui.add_enabled(choices.overrides.method.about().widths == Widths::Search, second);
        second.on_hover_text(tr!("Differentiates through one step of the weights; takes half as long again"));
        let streams = ui.checkbox(&mut choices.overrides.streams, tr!("Residual streams too"));
        streams.on_hover_text(tr!("Also narrows the streams that run along the network, which the paper leaves unchanged"));
        let mut fits = !choices.overrides.no_compensation;
        let compensates = ui.checkbox(&mut fits, tr!("Fit by least squares"));
        compensates.on_hover_text(tr!("Fits what follows a cut to the original's outputs; off: by gradient descent, as published"));
        choices.overrides.no_compensation = !fits;
        ui.label(tr!("Also run, to compare with"));
        ui.horizontal_wrapped(|ui| {
            for method in baselines() {
                let mut on = choices.baselines.contains(&method);
                let enabled = method != choices.overrides.method;
                let check = ui.add_enabled(enabled, Checkbox::new(&mut on, method_label(method)));
                if check.on_hover_text(method_explanation(method)).changed() {
                    choices.baselines.retain(|other| *other != method);
                    if on {
                        choices.baselines.push(method);
                    }
                }
            }
        });
        out.change(before, choices, |choices| Action::Compress(CompressAction::SetChoices(Box::new(choices))));
    });
}

/// A weight that is usually `usual`.
fn weight(ui: &mut Ui, value: &mut Option<f64>, usual: f64) -> egui::Response {
    let mut number = usual;
    let field = DragValue::new(&mut number).range(0.0..=1e5).speed(0.01).max_decimals(4).custom_parser(parsed);
    let field = ui.add(field);
    if field.changed() {
        *value = Some(number);
    }
    field
}

/// The choice of a teacher among the models of the same scale.
fn teacher(window: &Window, ui: &mut Ui, chosen: &mut Option<String>) -> egui::Response {
    let scale = window.compressed_model().map(|entry| entry.description.scale());
    let shown = chosen.clone().unwrap_or_else(|| tr!("None"));
    let combo = ComboBox::from_id_salt("teacher").selected_text(shown).truncate().show_ui(ui, |ui| {
        ui.selectable_value(chosen, None, tr!("None"));
        for entry in window.models.entries.iter().filter(|entry| Some(entry.description.scale()) == scale) {
            ui.selectable_value(chosen, Some(entry.name.clone()), &entry.name);
        }
    });
    combo.response
}

fn setting(ui: &mut Ui, label: &str, hint: &str, field: impl FnOnce(&mut Ui) -> egui::Response) {
    let text = ui.label(label);
    field(ui).labelled_by(text.id).on_hover_text(hint);
    ui.end_row();
}

fn footer(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.add_space(4.0);
    if window.compress.run().is_some() {
        stages::ui(window, ui, out);
        ui.separator();
    }
    if let Some((seconds, known)) = window.estimated_seconds() {
        let time = duration(Duration::from_secs_f64(seconds));
        let line = if known {
            tr!("About %{time}, from earlier runs", time = time)
        } else {
            tr!("About %{time}, rough estimate (no earlier run)", time = time)
        };
        weak(ui, line);
    }
    let width = ui.available_width();
    let choices = &window.shell.settings.compress;
    let more = choices.baselines.iter().filter(|method| **method != choices.overrides.method).count();
    let label = match more {
        0 => tr!("Compress"),
        n => tr_counted!(n, "Compress, and %{count} baseline", "Compress, and %{count} baselines"),
    };
    let usable = window.compressed_model().is_some_and(|entry| entry.has_duals)
        && !matches!(window.compress.data.found, Some(Err(_)));
    let start = ui.add_enabled_ui(usable, |ui| primary_button(ui, &label, width)).inner;
    if start.on_hover_text(tr!("Begins a run with these settings; it waits for the one under way")).clicked() {
        out.compress_action(CompressAction::Start);
    }
    ui.add_space(6.0);
}
