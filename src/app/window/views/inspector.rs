//! The choices for upscaling, from what to where, and the selected picture.

use dualres_engine::passes_to;
use eframe::egui::{Align, Button, Layout, ScrollArea, Slider, Ui};

use super::{
    device, duration, fitting_text, heading, model_choice, named, numbers, primary_button, results, text_width, weak,
};
use crate::{
    batch::disk::{bytes, max_bytes},
    language::{number, tr, tr_counted, written},
    window::{
        Window,
        actions::Action,
        outbox::Outbox,
        queue::{Item, ItemId, State},
    },
};

pub(crate) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.with_layout(Layout::bottom_up(Align::Min), |ui| {
        ui.add_space(8.0);
        footer(window, ui, out);
        ui.separator();
        ui.with_layout(Layout::top_down(Align::Min), |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                // The bar must not lie over what is at the edge.
                ui.set_max_width(ui.available_width() - 10.0);
                model_choice::ui(window, ui, out);
                fidelity(window, ui, out);
                preview(window, ui, out);
                results::ui(window, ui, out);
                numbers::ui(window, ui, out);
                device::ui(window, ui, out);
            });
        });
    });
}

fn fidelity(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    heading(ui, &tr!("Fidelity"));
    let mut percent = window.shell.settings.choices.fidelity * 100.0;
    ui.spacing_mut().slider_width = ui.available_width() - 76.0;
    let slider = ui.add(Slider::new(&mut percent, 0.0..=100.0).fixed_decimals(0).suffix(" %"));
    named(&slider, &tr!("Fidelity"));
    let slider = slider.on_hover_text(tr!(
        "Pulls the result towards the original, its noise included: what the result, reduced again, lacks of the original is \
         put back."
    ));
    if slider.changed() {
        out.push(Action::SetFidelity(percent / 100.0));
    }
    weak(ui, tr!("0 % is the network's own result. More keeps closer to the original."));
    // A result that is there never changes by itself. The button has its place at all times, so that nothing below moves.
    let wanted = window.other_fidelity();
    let percent = wanted.unwrap_or(window.shell.settings.choices.fidelity) * 100.0;
    let label = tr!("Apply %{percent} %", percent = number(percent, 0));
    let can = wanted.is_some() && !window.upscale.refinement.is_applied();
    let apply = ui.add_enabled(can, Button::new(label));
    let apply = apply.on_hover_text(tr!("Saves another version; the file that is there stays as it is"));
    if apply.on_disabled_hover_text(tr!("For a finished picture of another fidelity")).clicked() {
        out.push(Action::ApplyFidelity);
    }
    if wanted.is_some() {
        // What takes long is told before.
        if window.upscale.selected != window.upscale.refinement.at_hand
            && let Some(time) = run_again(window)
        {
            weak(ui, tr!("Runs the picture again: %{time}", time = time));
        }
    }
}

/// What is seen before the run.
fn preview(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let width = ui.available_width();
    let selected = window.upscale.selected.and_then(|id| window.upscale.queue.get(id)).map(|item| &item.state);
    let waits = matches!(selected, Some(State::Waiting | State::Cancelled | State::Moved(_)));
    let tried = window.upscale.selected.is_some_and(|item| window.is_tried(item));
    let other = window.upscale.selected.is_some_and(|item| window.may_be_tried(item));
    let can_preview = tried || ((waits || other) && window.shown().is_some() && window.upscale.previewing.is_none());
    let label = match window.upscale.previewing {
        _ if tried => tr!("Show the result"),
        Some(_) => tr!("Previewing…"),
        None => tr!("Preview what is visible"),
    };
    ui.horizontal(|ui| {
        let live = text_width(ui, &tr!("Live")) + ui.spacing().icon_width + 3.0 * ui.spacing().item_spacing.x;
        let size = eframe::egui::vec2(width - live, 26.0);
        let button = Button::new(fitting_text(ui, &label, size.x)).truncate();
        let preview = ui.add_enabled_ui(can_preview, |ui| ui.add_sized(size, button)).inner;
        if preview.on_hover_text(tr!("Upscales the middle of the view at once; nothing is saved (P)")).clicked() {
            out.push(Action::Preview);
        }
        let hint = tr!("Upscales what is visible while you look around; nothing is saved");
        let before = window.shell.settings.live_preview;
        let mut on = before;
        let live = ui.checkbox(&mut on, tr!("Live")).on_hover_text(hint);
        named(&live, &tr!("Live preview"));
        out.change(&before, on, Action::SetLivePreview);
    });
}

fn footer(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let width = ui.available_width();
    let running = window.upscale.queue.running().is_some();
    let waiting = window.upscale.queue.waiting();
    // What is done can be done again with other choices.
    let can = |id: &ItemId| window.upscale.queue.get(*id).is_some_and(Item::may_be_done_again);
    let again = window.upscale.selected.filter(|id| waiting == 0 && !running && can(id));
    let label = match waiting {
        0 if again.is_some() => tr!("Upscale again"),
        0 => tr!("Upscale"),
        count => tr_counted!(count, "Upscale %{count} picture", "Upscale %{count} pictures"),
    };
    // Those that wait may be run after one that is run alone.
    let enabled = again.is_some() || (waiting > 0 && (!running || window.upscale.only.is_some()));
    // Pause has its place above the queue, whatever runs: a second click of a hasty hand must not meet another button.
    let start = ui.add_enabled_ui(enabled, |ui| primary_button(ui, &label, width)).inner;
    if start.on_hover_text(tr!("Ctrl+Enter")).clicked() {
        out.push(again.map_or(Action::Start, Action::Retry));
    }
    // Where the eye is when a result has come; there before it, so that nothing moves under the pointer.
    let done = window.upscale.selected.filter(|&id| window.saved_fidelity(id).is_some());
    let size = eframe::egui::vec2((width - ui.spacing().item_spacing.x) / 2.0, 26.0);
    ui.horizontal(|ui| {
        let mut button = |label: String, keys: String| {
            let button = Button::new(fitting_text(ui, &label, size.x)).truncate();
            let button = ui.add_enabled_ui(done.is_some(), |ui| ui.add_sized(size, button)).inner;
            button.on_hover_text(keys).clicked()
        };
        if button(tr!("Save as…"), tr!("Ctrl+S")) {
            out.push(Action::SaveAs);
        }
        if button(tr!("Show in folder"), tr!("Ctrl+E"))
            && let Some(id) = done
        {
            out.push(Action::ShowInFolder(id));
        }
    });
    let text = estimate(window).unwrap_or_else(|| " ".to_owned());
    weak(ui, text);
}

/// How long a run of the selected picture by the model that made its result takes, if that is known.
fn run_again(window: &Window) -> Option<String> {
    let item = window.upscale.queue.get(window.upscale.selected?)?;
    let State::Done(finished) = &item.state else { return None };
    time_of(window, &finished.model, &[item.size?])
}

/// How long pictures of these sizes take by a model, if its speed is known.
fn time_of(window: &Window, model: &str, sizes: &[[usize; 2]]) -> Option<String> {
    let scale = window.models.entries.iter().find(|entry| entry.name == model)?.description.scale();
    // What the networks make: all passes, however much resampling takes away afterwards.
    let made = |&[w, h]: &[usize; 2]| {
        let [wide, high] = window.shell.settings.choices.size.of([w, h], scale);
        let passes = passes_to(w, wide, scale).max(passes_to(h, high, scale)).max(1);
        (1..=passes).map(|pass| w * h * scale.pow(2 * pass as u32)).sum::<usize>()
    };
    let pixels: usize = sizes.iter().map(made).sum();
    // Reading, proving and saving take about a quarter on top.
    let seconds = pixels as f64 / window.speed(model)? * 1.25;
    Some(tr!("about %{time}", time = duration(std::time::Duration::from_secs_f64(seconds))))
}

/// What the waiting pictures will take.
fn estimate(window: &Window) -> Option<String> {
    let waiting = || window.upscale.queue.items().iter().filter(|item| matches!(item.state, State::Waiting));
    let sizes: Vec<[usize; 2]> = waiting().filter_map(|item| item.size).collect();
    if sizes.is_empty() {
        return None;
    }
    let scale = window.scale();
    let time = time_of(window, &window.shell.settings.choices.model, &sizes);
    let most: u64 = waiting()
        .filter_map(|item| {
            let format = window.shell.settings.choices.format.of_item(item);
            let depth = window.shell.settings.choices.keep().depth.unwrap_or_default();
            Some(max_bytes(window.shell.settings.choices.size.of(item.size?, scale), 3, depth, format))
        })
        .sum();
    let folder = waiting().next().map(|item| {
        crate::window::worker::result_folder(
            &item.path,
            &item.below,
            &window.shell.settings.choices,
            &window.services.paths,
        )
    })?;
    let free = window.services.machine.free_disk(&folder).map(|free| tr!("%{size} free", size = written(bytes(free))));
    let most = tr!("at most %{size}", size = written(bytes(most)));
    Some([time, Some(most), free].into_iter().flatten().collect::<Vec<_>>().join(", "))
}
