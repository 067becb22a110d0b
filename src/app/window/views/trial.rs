//! The canvas while models are compared: a pane for each, with its name above it and the button that chooses it.

use eframe::egui::{Align, Button, ComboBox, Layout, Rect, RichText, Ui, UiBuilder, pos2, vec2};

use super::{
    canvas::{self, Canvas, PaneContent},
    decibels, duration, named,
};
use crate::{
    batch::{choice::Misfit, outcome::verdict},
    language::{number, tr},
    window::{
        Window,
        actions::{self, Action, Trying},
        candidates::{Attempt, Candidate, MAX_MODELS},
        canvas::{gpu::Mode, view::Sight},
        document::Map,
        outbox::Outbox,
        theme::palette,
    },
};

/// Height of the tools in points.
const BAR: f32 = 34.0;
/// Points between panes.
const GAP: f32 = 6.0;
/// Tell the panes of models apart.
const SALTS: [&str; MAX_MODELS] = ["candidate 1", "candidate 2", "candidate 3", "candidate 4"];

/// Draws the comparison over an area.
pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox, area: Rect) {
    let tools = Rect::from_min_size(area.min, vec2(area.width(), BAR));
    ui.painter().rect_filled(tools, 0.0, palette(ui).panel);
    ui.scope_builder(UiBuilder::new().max_rect(tools.shrink2(vec2(8.0, 4.0))), |ui| tool_bar(window, ui, out));
    let count = window.upscale.trial.as_ref().map_or(0, |trial| trial.candidates.len());
    // The original first, then what models make of it.
    let panes = arranged(area.with_min_y(tools.max.y + 2.0), count + 1);
    for (place, pane) in panes.iter().enumerate() {
        let (head, canvas) = pane.split_top_bottom_at_y(pane.min.y + BAR);
        ui.painter().rect_filled(head, 0.0, palette(ui).panel);
        let index = place.checked_sub(1);
        ui.scope_builder(UiBuilder::new().max_rect(head.shrink2(vec2(8.0, 4.0))), |ui| match index {
            Some(index) => header(window, ui, out, index),
            None => {
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                    ui.label(RichText::new(tr!("Original")).strong());
                });
            }
        });
        picture(window, ui, out, index, canvas);
    }
}

/// Side by side, or in two rows.
fn arranged(area: Rect, count: usize) -> Vec<Rect> {
    let columns = if count > 3 { count.div_ceil(2) } else { count.max(1) };
    let rows = count.div_ceil(columns);
    let room = |length: f32, parts: usize| (length - GAP * (parts as f32 - 1.0)) / parts as f32;
    let size = vec2(room(area.width(), columns), room(area.height(), rows));
    let corner = |index: usize| {
        let (column, row) = ((index % columns) as f32, (index / columns) as f32);
        pos2(area.min.x + column * (size.x + GAP), area.min.y + row * (size.y + GAP))
    };
    (0..count).map(|index| Rect::from_min_size(corner(index), size)).collect()
}

fn tool_bar(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if ui.button(tr!("Close")).on_hover_text(tr!("Keeps the model that was chosen before (Escape)")).clicked() {
            out.push(Action::CompareModels);
        }
        let further = window.further_models().into_iter().next();
        let has_room = window.upscale.trial.as_ref().is_some_and(|trial| trial.candidates.len() < MAX_MODELS);
        let further = further.filter(|_| has_room);
        let add = ui.add_enabled(further.is_some(), Button::new(tr!("Add a model")));
        if add.clicked()
            && let Some(model) = further
        {
            out.push(Action::Try(Trying::Also(model)));
        }
        if let Some(trial) = &window.upscale.trial {
            canvas::zoom_buttons(ui, &trial.view, out);
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let mut text = tr!("Models compared on this part; nothing is saved");
            if let Some(trial) = window.upscale.trial.as_ref().filter(|trial| trial.fidelity > 0.0) {
                let percent = number(f64::from(trial.fidelity) * 100.0, 0);
                text += &format!(" · {} {percent} %", tr!("Fidelity"));
            }
            ui.add(eframe::egui::Label::new(RichText::new(text).strong()).truncate());
        });
    });
}

fn header(window: &Window, ui: &mut Ui, out: &mut Outbox, index: usize) {
    let Some(candidate) = window.upscale.trial.as_ref().and_then(|trial| trial.candidates.get(index)) else { return };
    let (model, count) =
        (candidate.model.clone(), window.upscale.trial.as_ref().map_or(0, |trial| trial.candidates.len()));
    let others = window.further_models();
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        if count > 2 {
            let what = tr!("Leave %{model} out", model = model);
            let button = ui.button("✖").on_hover_text(&what);
            named(&button, &what);
            if button.clicked() {
                out.push(Action::Try(Trying::Without(index)));
            }
        }
        let what = tr!("Use %{model}", model = model);
        let button = ui.add(Button::new(RichText::new(tr!("Use this")).strong())).on_hover_text(&what);
        named(&button, &what);
        if button.clicked() {
            out.push(Action::Try(Trying::Take(index)));
        }
        ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
            let mut picked = None;
            let combo = ComboBox::from_id_salt(("candidate", index)).selected_text(&model).truncate();
            let combo = combo.width(ui.available_width()).show_ui(ui, |ui| {
                for other in others {
                    if ui.selectable_label(false, &other).clicked() {
                        picked = Some(other);
                    }
                }
            });
            named(&combo.response, &tr!("Model %{number} of the comparison", number = index + 1));
            if let Some(other) = picked {
                out.push(Action::Try(Trying::Instead(index, other)));
            }
        });
    });
}

/// What a model makes of the part, or the part itself.
fn picture(window: &Window, ui: &mut Ui, out: &mut Outbox, index: Option<usize>, area: Rect) {
    let gain = window.gain();
    let Some(trial) = &window.upscale.trial else { return };
    let Some(candidate) = trial.candidates.get(index.unwrap_or(0)) else { return };
    let before = Sight { view: trial.view, split: window.upscale.split, pane: trial.pane };
    let part = match index {
        Some(_) => {
            let caption = caption(candidate, window.misfit(trial.item, &candidate.model));
            PaneContent { name: format!("{}: {caption}", candidate.model), ..PaneContent::new(Mode::Result, caption) }
        }
        None => PaneContent { name: tr!("Original"), ..PaneContent::new(Mode::Input, "") },
    };
    let shared = Canvas {
        salt: index.map_or("candidates' original", |index| SALTS[index.min(MAX_MODELS - 1)]),
        gpu: &window.services.gpu,
        is_further: index.is_some(),
        document: &candidate.document,
        sight: before,
        gain,
        map: Map::Reconstruction,
        marks: &[],
    };
    let (_, sight) = shared.show(ui, area, &[part]);
    out.change(&before, sight, |sight| Action::See(actions::Canvas::Trial, sight));
}

/// What is said of a model's result, which may not be for such pictures: how long it took, and whether it keeps to the picture.
fn caption(candidate: &Candidate, misfit: Option<Misfit>) -> String {
    match &candidate.state {
        Attempt::Making => tr!("being made…"),
        Attempt::Failed(reason) => reason.clone(),
        Attempt::Made { seconds, psnr } => {
            let time = duration(std::time::Duration::from_secs_f64(*seconds));
            match psnr.and_then(|psnr| Some((psnr, verdict(psnr, candidate.worst(), misfit, &candidate.model)?))) {
                Some((psnr, verdict)) => format!("{} ({}), {time}", verdict.words(), decibels(psnr)),
                None => time,
            }
        }
    }
}
