//! How far the chosen run is, stage by stage, and what can be done with it.

use std::time::Duration;

use dualres_compression::Stage;
use eframe::egui::{Align, ComboBox, Label, Layout, ProgressBar, RichText, Ui, vec2};

use crate::window::{
    Window,
    compress::{
        curves::steps_of,
        deeds::Deed,
        runs::{Run, RunState},
        state::Side,
    },
    theme::palette,
    views::{duration, icon_button, named, weak},
};

const STAGES: [(Stage, &str); 5] = [
    (Stage::Profile, "Profile"),
    (Stage::Search, "Search"),
    (Stage::Select, "Select"),
    (Stage::Cut, "Cut"),
    (Stage::Finetune, "Fine-tune"),
];

pub(super) fn ui(window: &mut Window, ui: &mut Ui) {
    let Some(run) = window.compress.run().cloned() else { return };
    let colours = palette(ui);
    let paused = run.state == RunState::Running
        && window.compress.threads.as_ref().is_some_and(|threads| threads.runner.control.is_paused());
    let state = if paused { "paused" } else { run.state.word() };
    ui.horizontal(|ui| {
        ui.add(Label::new(RichText::new(run.name()).strong()).truncate())
            .on_hover_text(run.folder.display().to_string());
        let colour = match run.state {
            RunState::Failed(_) => colours.error,
            RunState::Done => colours.good,
            _ => colours.weak,
        };
        ui.label(RichText::new(state).small().color(colour));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, "×", "Put the run aside", "Shows no run here; it stays under Runs").clicked() {
                window.compress.chosen = None;
                window.compress.side = Side::Instant;
            }
        });
    });
    if run.state == RunState::Running && run.curves.bands.is_empty() {
        weak(ui, "Reading the pictures…");
    }
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 15.0;
        ui.spacing_mut().item_spacing.y = 2.0;
        let expected = window.stage_seconds(&run);
        for (stage, label) in STAGES {
            let expected = expected.iter().find(|(other, _)| *other == stage).map_or(0.0, |(_, seconds)| *seconds);
            row(ui, &run, stage, label, expected);
        }
    });
    if let RunState::Failed(reason) = &run.state {
        ui.label(RichText::new(reason).small().color(colours.error));
    }
    buttons(window, ui, &run, paused);
    if run.state == RunState::Running {
        ui.ctx().request_repaint_after(Duration::from_millis(250));
    }
}

/// `expected` are the seconds that the stage may take.
fn row(ui: &mut Ui, run: &Run, stage: Stage, label: &str, expected: f64) {
    let band = run.curves.bands.iter().find(|band| band.stage == stage);
    let later = run.curves.bands.iter().any(|band| band.stage > stage) || run.report.is_some();
    ui.horizontal(|ui| {
        let place = vec2(58.0, 14.0);
        ui.allocate_ui_with_layout(place, Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_width(place.x);
            ui.label(RichText::new(label).small());
        });
        let (done, text) = match band {
            Some(band) => {
                let part = if later { 1.0 } else { band.done as f32 / band.steps.max(1) as f32 };
                let left =
                    run.left.filter(|_| run.state == RunState::Running && run.stage() == Some(stage) && part < 1.0);
                let left =
                    left.map_or(String::new(), |left| format!(", {} left", duration(Duration::from_secs_f64(left))));
                (part, format!("{} of {}{left}", band.done, band.steps))
            }
            None if later => (1.0, "not needed".to_owned()),
            None => {
                let steps = steps_of(stage, &run.config, run.layers.widths.len());
                let text = match expected {
                    _ if steps == 0 => "left out".to_owned(),
                    seconds if seconds > 0.0 => format!("about {}", duration(Duration::from_secs_f64(seconds))),
                    _ => String::new(),
                };
                (0.0, text)
            }
        };
        ui.add(ProgressBar::new(done).desired_width(70.0).desired_height(7.0));
        ui.add(Label::new(RichText::new(text).small().weak()).truncate());
    });
}

fn buttons(window: &mut Window, ui: &mut Ui, run: &Run, paused: bool) {
    ui.horizontal(|ui| match run.state {
        RunState::Running => {
            if ui.button(if paused { "Resume" } else { "Pause" }).clicked() {
                window.deed(Deed::PauseOrGoOn);
            }
            let stopping = window.compress.threads.as_ref().is_some_and(|threads| threads.runner.control.is_stopping());
            let stop =
                ui.add_enabled(!stopping, eframe::egui::Button::new(if stopping { "Stopping…" } else { "Stop" }));
            if stop.on_hover_text("Saves the run; resume it at any time").clicked() {
                window.deed(Deed::Stop);
            }
            stop_after(window, ui);
        }
        RunState::Waiting => {
            if ui.button("Remove").on_hover_text("Removes it from the queue; it can be resumed later").clicked() {
                window.deed(Deed::Withdraw(run.id));
            }
            weak(ui, "begins after the run before it");
        }
        RunState::Stopped | RunState::Failed(_) => {
            if ui.button("Resume").on_hover_text("From the last saved state").clicked() {
                window.deed(Deed::GoOn(run.id));
            }
            stop_after(window, ui);
        }
        RunState::Done => {
            let hand_over =
                ui.button("Use in Upscale").on_hover_text("Puts the network and its report into the library");
            if hand_over.clicked() {
                window.deed(Deed::UseInUpscale(run.id));
            }
            if ui.button("Show folder").clicked() {
                window.deed(Deed::ShowFolder(run.id));
            }
        }
    });
}

fn stop_after(window: &mut Window, ui: &mut Ui) {
    let chosen = window.settings.compress.stop_after;
    let label = |stage: Option<Stage>| match stage {
        Some(Stage::Profile) => "until profiled",
        Some(Stage::Search) => "until searched",
        Some(Stage::Select) => "until selected",
        Some(Stage::Cut) => "until cut",
        _ => "to the end",
    };
    let mut picked = chosen;
    let combo = ComboBox::from_id_salt("stop after").width(104.0).selected_text(label(chosen)).show_ui(ui, |ui| {
        for stage in [None, Some(Stage::Profile), Some(Stage::Search), Some(Stage::Select), Some(Stage::Cut)] {
            ui.selectable_value(&mut picked, stage, label(stage));
        }
    });
    named(&combo.response, "Stop after a stage");
    combo.response.on_hover_text("Where runs stop by themselves; they can be resumed");
    if picked != chosen {
        window.deed(Deed::StopAfter(picked));
    }
}
