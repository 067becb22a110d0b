//! The selected picture: what its proof says, in words and in numbers.

use eframe::egui::{CollapsingHeader, ComboBox, Grid, Label, RichText, Ui};

use super::{decibels, duration, heading, named, size, speed, weak};
use crate::{
    language::{number as number_of, tr, translated},
    window::{
        Window,
        actions::Action,
        canvas::view::reduced,
        outbox::Outbox,
        queue::{Finished, State},
        theme::palette,
    },
};

/// What is known of the selected picture and of its result, in numbers for who opens them.
pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let Some(item) = window.upscale.selected.and_then(|id| window.upscale.queue.get(id)) else { return };
    heading(ui, &tr!("This picture"));
    if let State::Failed(failure) = &item.state {
        ui.label(RichText::new(translated(&failure.reason)).color(palette(ui).error));
    }
    let mut rows: Vec<(String, String, String)> = Vec::new();
    if let Some(original) = item.size {
        rows.push((tr!("Original"), size(original), tr!("Pixels")));
    }
    let mut note = None;
    if let State::Done(finished) = &item.state {
        rows.push((tr!("Result"), size(finished.size), tr!("Pixels")));
        let open = window.upscale.documents.get(item.id);
        let proven = open.and_then(|open| open.refined).map_or(finished.proven, |(_, proven)| proven);
        if let Some(psnr) = proven.loop_psnr {
            rows.push((tr!("Consistency PSNR"), decibels(psnr), translated(dualres_engine::LOOP_RULE)));
        }
        if let Some(psnr) = proven.expected_psnr {
            let hint = tr!("Against the truth, as far as it can be told from what is known of the model's errors");
            rows.push((tr!("Predicted PSNR"), decibels(psnr), hint));
        } else if let Some(why) = window.withheld(item.id, &finished.model) {
            rows.push((tr!("Predicted PSNR"), tr!("withheld"), why));
        }
        if let Some(loss) = proven.dual_loss {
            rows.push((
                tr!("Dual loss"),
                tr!("%{loss} levels", loss = number_of(loss, 2)),
                tr!("Mean absolute difference between original and reconstruction, in gray levels of 255"),
            ));
        }
        let time = duration(std::time::Duration::from_secs_f64(finished.seconds));
        rows.push((tr!("Time"), time, tr!("From file to file")));
        let pixels = (finished.size[0] * finished.size[1]) as f64;
        let hint = tr!("Pixels of the result, from file to file");
        rows.push((tr!("Speed"), speed(pixels / finished.seconds.max(1e-3)), hint));
        rows.push((tr!("Device"), finished.device.clone(), tr!("What the network ran on")));
        rows.push((tr!("Model"), finished.model.clone(), tr!("What made the result")));
        note = Some(finished.output.display().to_string());
        if let Some(beside) = window.upscale.beside.get(&item.id).filter(|beside| beside.models[1] == finished.model) {
            let [large, small] = beside.seconds;
            let hint = tr!("The middle of this picture by both models in turns, the best of three");
            let what = tr!("The model that this one was compressed from, on the middle of this picture");
            let faster = tr!("%{factor} times as fast", factor = number_of(large / small, 2));
            rows.push((tr!("Compared with"), beside.models[0].clone(), what));
            rows.push((format!("  {}", tr!("speed")), faster, hint.clone()));
            if beside.loop_psnr.iter().all(|psnr| !psnr.is_nan()) {
                let [large, small] = beside.loop_psnr.map(decibels);
                let change = tr!("%{small}, was %{large}", small = small, large = large);
                rows.push((format!("  {}", tr!("its consistency PSNR")), change, hint));
            }
        }
    }
    if let Some(document) = window.shown()
        && let Some(proof) = &document.proof
    {
        let area = reduced(window.upscale.view.visible(document.result_size(), window.upscale.pane), document.scale);
        if let Some((loss, psnr)) = proof.of(area) {
            let (hint, loss) = (tr!("Of the part that is on screen"), tr!("%{loss} levels", loss = number_of(loss, 2)));
            rows.push((tr!("Visible consistency PSNR"), decibels(psnr), hint.clone()));
            rows.push((tr!("Visible dual loss"), loss, hint));
        }
    }
    let shown = window.shell.settings.details;
    let details = CollapsingHeader::new(tr!("Details")).id_salt("numbers").default_open(shown).show(ui, |ui| {
        ui.spacing_mut().interact_size.y = 16.0;
        Grid::new("numbers").num_columns(2).spacing([12.0, 3.0]).show(ui, |ui| {
            for (label, value, hint) in rows {
                ui.label(RichText::new(label).small().weak());
                ui.label(RichText::new(value).small()).on_hover_text(hint);
                ui.end_row();
            }
        });
    });
    out.change(&shown, details.openness > 0.5, Action::ShowDetails);
    if let Some(path) = note {
        weak(ui, tr!("Saved as %{path}", path = path));
    }
}

/// Width of the choice of a version, in points.
const VERSIONS: f32 = 130.0;

/// The versions of the selected picture that were made since the window was opened.
pub(super) fn versions(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let Some(item) =
        window.upscale.selected.and_then(|id| window.upscale.queue.get(id)).filter(|item| item.versions.len() > 1)
    else {
        return;
    };
    let State::Done(shown) = &item.state else { return };
    let name = |number: usize, version: &Finished| {
        let file = version.output.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let fidelity = number_of(version.fidelity * 100.0, 0);
        tr!(
            "%{number}: %{model}, fidelity %{fidelity} %, %{file}",
            number = number,
            model = version.model,
            fidelity = fidelity,
            file = file
        )
    };
    let at = item.versions.iter().position(|version| version.output == shown.output).unwrap_or(0);
    let (mut picked, id) = (None, item.id);
    let label = tr!("Version %{number} of %{count}", number = at + 1, count = item.versions.len());
    let combo = ComboBox::from_id_salt("versions").width(VERSIONS).selected_text(label).show_ui(ui, |ui| {
        for (index, version) in item.versions.iter().enumerate() {
            if ui.selectable_label(index == at, name(index + 1, version)).clicked() && index != at {
                picked = Some(index);
            }
        }
    });
    named(&combo.response, &tr!("Version"));
    if let Some(version) = picked {
        out.push(Action::ShowVersion(id, version));
    }
}

/// What the proof of the selected picture says in words, and where it was changed most. Returns whether there is such a thing.
pub(super) fn verdict(window: &Window, ui: &mut Ui, out: &mut Outbox) -> bool {
    let Some(item) = window.upscale.selected.and_then(|id| window.upscale.queue.get(id)) else { return false };
    let State::Done(finished) = &item.state else { return false };
    let open = window.upscale.documents.get(item.id);
    let proven = open.and_then(|open| open.refined).map_or(finished.proven, |(_, proven)| proven);
    let Some(verdict) = proven.verdict(&finished.model).filter(|_| !window.is_tried(item.id)) else { return false };
    let colours = palette(ui);
    let colour = if verdict.warns() { colours.warning } else { colours.good };
    let hint =
        tr!("By the consistency PSNR: how closely the result, reduced again by the dual network, matches the original");
    ui.label(RichText::new(verdict.words()).strong().color(colour)).on_hover_text(hint);
    let places = open.map_or(&[][..], |open| open.document.worst_places());
    if !places.is_empty() {
        weak(ui, tr!("Changed most")).on_hover_text(tr!("Where structure differs, and not noise alone"));
    }
    for (index, (area, levels)) in places.iter().enumerate() {
        let hint = tr!("Zoom in: off by %{levels} of 255 levels here", levels = number_of(*levels, 1));
        let button = ui.small_button((index + 1).to_string()).on_hover_text(&hint);
        named(&button, &tr!("Place %{number}", number = index + 1));
        if button.clicked() {
            out.push(Action::ShowPlace(*area));
        }
    }
    ui.add(Label::new(RichText::new(verdict.reason()).small().color(colours.weak)).truncate());
    true
}
