//! How far the chosen run is, stage by stage, and what can be done with it.

use std::time::Duration;

use dualres_compression::Stage;
use eframe::egui::{Align, ComboBox, Label, Layout, ProgressBar, RichText, Ui, vec2};

use crate::{
    language::{tr, translated},
    window::{
        Window,
        compress::{
            actions::CompressAction,
            curves::steps_of,
            runs::{Run, RunState},
        },
        outbox::Outbox,
        theme::palette,
        views::{duration, icon_button, named, weak},
    },
};

const STAGES: [Stage; 5] = [Stage::Profile, Stage::Search, Stage::Select, Stage::Cut, Stage::Finetune];

fn name(stage: Stage) -> String {
    match stage {
        Stage::Profile => tr!("Profile"),
        Stage::Search => tr!("Search"),
        Stage::Select => tr!("Select"),
        Stage::Cut => tr!("Cut"),
        Stage::Finetune => tr!("Fine-tune"),
    }
}

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let Some(run) = window.compress.run().cloned() else { return };
    let colours = palette(ui);
    let paused = run.state == RunState::Running
        && window.compress.threads.as_ref().is_some_and(|threads| threads.runner.control().is_paused());
    let state = if paused { tr!("paused") } else { run.state.word() };
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
            let (name, hint) = (tr!("Put the run aside"), tr!("Shows no run here; it stays under Runs"));
            if icon_button(ui, "×", &name, &hint).clicked() {
                out.compress_action(CompressAction::PutAside);
            }
        });
    });
    if run.state == RunState::Running && run.curves.bands.is_empty() {
        weak(ui, tr!("Reading the pictures…"));
    }
    ui.scope(|ui| {
        ui.spacing_mut().interact_size.y = 15.0;
        ui.spacing_mut().item_spacing.y = 2.0;
        let expected = window.stage_seconds(&run);
        for stage in STAGES {
            let expected = expected.iter().find(|(other, _)| *other == stage).map_or(0.0, |(_, seconds)| *seconds);
            row(ui, &run, stage, expected);
        }
    });
    if let RunState::Failed(reason) = &run.state {
        ui.label(RichText::new(translated(reason)).small().color(colours.error));
    }
    buttons(window, ui, out, &run, paused);
    if run.state == RunState::Running {
        ui.ctx().request_repaint_after(Duration::from_millis(250));
    }
}

/// `expected` are the seconds that the stage may take.
fn row(ui: &mut Ui, run: &Run, stage: Stage, expected: f64) {
    let band = run.curves.bands.iter().find(|band| band.stage == stage);
    let later = run.curves.bands.iter().any(|band| band.stage > stage) || run.report.is_some();
    ui.horizontal(|ui| {
        let place = vec2(58.0, 14.0);
        ui.allocate_ui_with_layout(place, Layout::left_to_right(Align::Center), |ui| {
            ui.set_min_width(place.x);
            ui.label(RichText::new(name(stage)).small());
        });
        let (done, text) = match band {
            Some(band) => {
                let part = if later { 1.0 } else { band.done as f32 / band.steps.max(1) as f32 };
                let left =
                    run.left.filter(|_| run.state == RunState::Running && run.stage() == Some(stage) && part < 1.0);
                let text = match left.map(|left| duration(Duration::from_secs_f64(left))) {
                    Some(time) => {
                        tr!("%{done} of %{steps}, %{time} left", done = band.done, steps = band.steps, time = time)
                    }
                    None => tr!("%{done} of %{steps}", done = band.done, steps = band.steps),
                };
                (part, text)
            }
            None if later => (1.0, tr!("not needed")),
            None => {
                let steps = steps_of(stage, &run.config, run.layers.widths.len());
                let text = match expected {
                    _ if steps == 0 => tr!("left out"),
                    seconds if seconds > 0.0 => tr!("about %{time}", time = duration(Duration::from_secs_f64(seconds))),
                    _ => String::new(),
                };
                (0.0, text)
            }
        };
        ui.add(ProgressBar::new(done).desired_width(70.0).desired_height(7.0));
        ui.add(Label::new(RichText::new(text).small().weak()).truncate());
    });
}

fn buttons(window: &Window, ui: &mut Ui, out: &mut Outbox, run: &Run, paused: bool) {
    ui.horizontal_wrapped(|ui| match run.state {
        RunState::Running => {
            if ui.button(if paused { tr!("Resume") } else { tr!("Pause") }).clicked() {
                out.compress_action(CompressAction::PauseOrGoOn);
            }
            let stopping =
                window.compress.threads.as_ref().is_some_and(|threads| threads.runner.control().is_stopping());
            let label = if stopping { tr!("Stopping…") } else { tr!("Stop") };
            let stop = ui.add_enabled(!stopping, eframe::egui::Button::new(label));
            if stop.on_hover_text(tr!("Saves the run; resume it at any time")).clicked() {
                out.compress_action(CompressAction::Stop);
            }
            stop_after(window, ui, out);
        }
        RunState::Waiting => {
            let hint = tr!("Removes it from the queue; it can be resumed later");
            if ui.button(tr!("Remove")).on_hover_text(hint).clicked() {
                out.compress_action(CompressAction::Withdraw(run.id));
            }
            weak(ui, tr!("begins after the run before it"));
        }
        RunState::Stopped | RunState::Failed(_) => {
            if ui.button(tr!("Resume")).on_hover_text(tr!("From the last saved state")).clicked() {
                out.compress_action(CompressAction::GoOn(run.id));
            }
            stop_after(window, ui, out);
        }
        RunState::Done => {
            let hint = tr!("Puts the network and its report into the library");
            if ui.button(tr!("Use in Upscale")).on_hover_text(hint).clicked() {
                out.compress_action(CompressAction::UseInUpscale(run.id));
            }
            if ui.button(tr!("Show folder")).clicked() {
                out.compress_action(CompressAction::ShowFolder(run.id));
            }
        }
    });
}

fn stop_after(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let chosen = window.shell.settings.compress.stop_after;
    let label = |stage: Option<Stage>| match stage {
        Some(Stage::Profile) => tr!("until profiled"),
        Some(Stage::Search) => tr!("until searched"),
        Some(Stage::Select) => tr!("until selected"),
        Some(Stage::Cut) => tr!("until cut"),
        _ => tr!("to the end"),
    };
    let mut picked = chosen;
    let combo = ComboBox::from_id_salt("stop after").width(104.0).selected_text(label(chosen)).show_ui(ui, |ui| {
        for stage in [None, Some(Stage::Profile), Some(Stage::Search), Some(Stage::Select), Some(Stage::Cut)] {
            ui.selectable_value(&mut picked, stage, label(stage));
        }
    });
    named(&combo.response, &tr!("Stop after a stage"));
    combo.response.on_hover_text(tr!("Where runs stop by themselves; they can be resumed"));
    if picked != chosen {
        out.compress_action(CompressAction::StopAfter(picked));
    }
}
