//! The choices for upscaling, and the numbers of the selected picture.

use crate::built_in;
use dualres_engine::passes_to;
use eframe::egui::{Align, Button, ComboBox, Grid, Layout, RichText, ScrollArea, Slider, Ui};

use super::{decibels, duration, heading, named, primary_button, results, size, speed, text_width, weak};
use crate::{
    batch::{
        choice::Kind,
        disk::{bytes, most_bytes},
        outcome::verdict,
        sizes::FinalSize,
    },
    language::{number, tr, tr_counted, translated, written},
    window::{
        Window, actions::Action, app::speed_key, canvas::view::reduced, new_device::NewDevice, queue::State,
        theme::palette,
    },
};

pub(crate) fn ui(window: &mut Window, ui: &mut Ui) {
    ui.with_layout(Layout::bottom_up(Align::Min), |ui| {
        ui.add_space(8.0);
        footer(window, ui);
        ui.separator();
        ui.with_layout(Layout::top_down(Align::Min), |ui| {
            ScrollArea::vertical().auto_shrink(false).show(ui, |ui| {
                // The bar must not lie over what is at the edge.
                ui.set_max_width(ui.available_width() - 10.0);
                model(window, ui);
                device(window, ui);
                gpu_memory(window, ui);
                more_devices(window, ui);
                fidelity(window, ui);
                results::ui(window, ui);
                numbers(window, ui);
            });
        });
    });
}

fn model(window: &mut Window, ui: &mut Ui) {
    heading(ui, &tr!("Model"));
    kinds(window, ui);
    let chosen = window.settings.choices.model.clone();
    let mut picked = None;
    let width = ui.available_width();
    let title = |window: &Window, name: &str| match window.entries.iter().find(|entry| entry.name == name) {
        Some(entry) => format!("{name} ({}×)", entry.description.scale()),
        None => name.to_owned(),
    };
    let combo = ComboBox::from_id_salt("model").width(width).selected_text(title(window, &chosen)).show_ui(ui, |ui| {
        for entry in &window.entries {
            let label = ui.selectable_label(entry.name == chosen, title(window, &entry.name));
            if label.on_hover_text(translated(&entry.description.purpose)).clicked() {
                picked = Some(entry.name.clone());
            }
        }
    });
    named(&combo.response, &tr!("Model"));
    ui.horizontal(|ui| {
        ui.label(tr!("Scale"));
        let mut scales: Vec<usize> = window.entries.iter().map(|e| e.description.scale()).collect();
        scales.sort_unstable();
        scales.dedup();
        for scale in scales {
            let is_there = !matches!(kind(window), Some(Some(kind)) if built_in::of(kind, scale).is_none());
            let label = Button::selectable(window.scale() == scale, format!("{scale}×"));
            let button = ui.add_enabled(is_there, label);
            let hint = tr!("No built-in model of this kind enlarges %{scale} times", scale = scale);
            let button = button.on_disabled_hover_text(hint);
            if button.clicked() && window.scale() != scale {
                match kind(window) {
                    Some(None) => window.fit_models(scale),
                    Some(Some(kind)) => picked = built_in::of(kind, scale).map(str::to_owned),
                    None => {
                        let first = window.entries.iter().find(|e| e.description.scale() == scale);
                        picked = first.map(|entry| entry.name.clone());
                    }
                }
            }
        }
    });
    if let Some(name) = picked {
        window.use_model(&name);
    }
    super::adapting::entry(window, ui);
    if let Some(original) = window.selected.and_then(|id| window.queue.get(id)).and_then(|item| item.size) {
        weak(ui, final_size(original, window.settings.choices.size, window.scale()));
    }
    if let Some(entry) = window.model() {
        let parameters = entry.parameters;
        let here = match window.speed(&entry.name) {
            Some(value) => tr!("%{speed} on %{device}", speed = speed(value), device = window.device()),
            None => tr!("being measured here"),
        };
        let details = tr!(
            "%{parameters} M parameters, %{size}; %{here}.",
            parameters = number(parameters as f64 / 1e6, 2),
            size = written(bytes(entry.bytes)),
            here = here
        );
        if kind(window).is_none() {
            let is_adapted = entry.description.training.get("adapted_from").is_some();
            let purpose = purpose(&entry.description.purpose);
            weak(ui, if is_adapted { format!("{purpose}.") } else { tr!("For %{purpose}.", purpose = purpose) });
            weak(ui, details);
        }
        if let Some(original) = entry.compressed_from() {
            let faster = window.settings.faster.get(&speed_key(&entry.name, window.device()));
            let text = match faster {
                Some(&faster) => tr!(
                    "Compressed from %{original}: %{factor} times as fast here.",
                    original = original,
                    factor = number(faster, 1)
                ),
                None => tr!("Compressed from %{original}.", original = original),
            };
            weak(ui, text);
        }
    }
}

/// How large the result of a picture will be, on screen and in print.
fn final_size(original: [usize; 2], wanted: FinalSize, scale: usize) -> String {
    const USUAL_DPI: f64 = 300.0;
    let result = wanted.of(original, scale);
    let dpi = wanted.density().map_or(USUAL_DPI, |[across, _]| across);
    let [width, height] = result.map(|pixels| number(pixels as f64 / dpi * 2.54, 1));
    tr!(
        "Result: %{size} pixels, %{width} × %{height} cm at %{dpi} dpi",
        size = size(result),
        width = width,
        height = height,
        dpi = number(dpi, 0)
    )
}

/// What is chosen: `Some(None)` if each picture decides, a kind of built-in models, or `None` for any other model.
fn kind(window: &Window) -> Option<Option<Kind>> {
    let choices = &window.settings.choices;
    if choices.automatic {
        return Some(None);
    }
    Kind::ALL.into_iter().find(|&kind| built_in::of(kind, window.scale()) == Some(&choices.model)).map(Some)
}

/// The first question: what kind of pictures these are.
fn kinds(window: &mut Window, ui: &mut Ui) {
    let (chosen, scale) = (kind(window), window.scale());
    ui.horizontal(|ui| {
        let automatic = ui.selectable_label(chosen == Some(None), tr!("Automatic"));
        let hint = tr!("Photo or Clean, whichever fits the picture: by its noise and JPEG compression");
        if automatic.on_hover_text(hint).clicked() {
            window.fit_models(scale);
        }
        for kind in Kind::ALL {
            let hint = match kind {
                Kind::Photo => tr!("Removes noise and JPEG artefacts, of cameras and phones"),
                Kind::Clean => tr!("Keeps all there is: for scans, graphics and clean photos"),
            };
            let name = kind.name();
            let button = ui.selectable_label(chosen == Some(Some(kind)), name).on_hover_text(hint);
            // Where a kind lacks the scale, the one that comes next.
            let first = || [scale, 4, 2].into_iter().find_map(|scale| built_in::of(kind, scale));
            if let Some(name) = first().filter(|_| button.clicked()) {
                window.use_model(name);
            }
        }
    });
    let fitting = window.selected.and_then(|id| window.documents.get(id)).map(|open| open.fitting.clone());
    if let (true, Some((kind, why))) = (chosen == Some(None), fitting) {
        let model = built_in::fitting(kind, scale, &window.settings.choices.model);
        weak(ui, format!("{model}: {}.", translated(&why)));
    }
}

fn purpose(text: &str) -> String {
    if text.is_empty() {
        return tr!("anything; its author said nothing more");
    }
    translated(text).trim_end_matches('.').to_owned()
}

pub(crate) fn device(window: &mut Window, ui: &mut Ui) {
    heading(ui, &tr!("Device"));
    let chosen = window.settings.choices.device.clone();
    let automatic = tr!("Automatic (%{device})", device = window.automatic);
    let mut picked = None;
    let text = if chosen == "auto" { automatic.clone() } else { chosen.clone() };
    let width = ui.available_width();
    let combo = ComboBox::from_id_salt("device").width(width).selected_text(text).truncate().show_ui(ui, |ui| {
        if ui.selectable_label(chosen == "auto", automatic).clicked() {
            picked = Some("auto".to_owned());
        }
        for device in &window.devices {
            if ui.selectable_label(device.name == chosen, &device.name).on_hover_text(&device.detail).clicked() {
                picked = Some(device.name.clone());
            }
        }
        if cfg!(feature = "remote") {
            ui.separator();
            let hint = tr!("A device that another machine offers by `dualres serve`");
            if ui.selectable_label(false, tr!("Add remote device…")).on_hover_text(hint).clicked() {
                window.new_device = Some(NewDevice::default());
            }
        }
    });
    named(&combo.response, &tr!("Device"));
    if let Some(name) = picked {
        window.settings.choices.device = name;
        window.measure();
    }
    if let Some(name) = window.refused_device().map(str::to_owned) {
        ui.horizontal_wrapped(|ui| {
            let warning = tr!("%{name} failed its check. The CPU works in its place.", name = name);
            ui.colored_label(palette(ui).warning, warning);
            let hint =
                tr!("Runs a picture made for it on the device and on the CPU, and compares; after a new driver, say");
            let may = !window.measuring && window.queue.running().is_none();
            if ui.add_enabled(may, Button::new(tr!("Check again"))).on_hover_text(hint).clicked() {
                window.check_device_again();
            }
        });
    }
}

/// How much memory a GPU may be asked for: others may need theirs at the same time.
fn gpu_memory(window: &mut Window, ui: &mut Ui) {
    const CHOICES: [u32; 6] = [0, 1, 2, 4, 8, 16];
    let device = window.device();
    if !window.devices.iter().any(|known| known.name == device && !known.is_cpu && !known.is_remote) {
        return;
    }
    let text = |gigabytes: u32| match gigabytes {
        0 => tr!("as much as it needs"),
        most => tr!("at most %{most} GB", most = most),
    };
    let before = window.settings.choices.gpu_memory;
    ui.horizontal(|ui| {
        weak(ui, tr!("GPU memory"));
        let chosen = &mut window.settings.choices.gpu_memory;
        let combo = ComboBox::from_id_salt("gpu memory").selected_text(text(*chosen)).show_ui(ui, |ui| {
            for choice in CHOICES {
                ui.selectable_value(chosen, choice, text(choice));
            }
        });
        named(&combo.response, &tr!("GPU memory"));
    });
    if window.settings.choices.gpu_memory != before {
        window.limit_gpu_memory();
    }
}

/// Devices that could take pictures of the queue beside the chosen one.
fn more_devices(window: &mut Window, ui: &mut Ui) {
    let chosen = window.device().to_owned();
    let others: Vec<String> = window
        .devices
        .iter()
        .filter(|device| device.name != chosen && !device.is_software)
        .map(|device| device.name.clone())
        .collect();
    if others.is_empty() {
        return;
    }
    ui.horizontal_wrapped(|ui| {
        weak(ui, tr!("Share the queue with"));
        for name in others {
            let more = &mut window.settings.choices.more_devices;
            let mut on = more.contains(&name);
            let hint = tr!("Takes pictures of its own from the queue");
            if ui.checkbox(&mut on, &name).on_hover_text(hint).changed() {
                more.retain(|there| *there != name);
                if on {
                    more.push(name);
                }
            }
        }
    });
}

fn fidelity(window: &mut Window, ui: &mut Ui) {
    heading(ui, &tr!("Fidelity"));
    let mut percent = window.settings.choices.fidelity * 100.0;
    ui.spacing_mut().slider_width = ui.available_width() - 76.0;
    let slider = ui.add(Slider::new(&mut percent, 0.0..=100.0).fixed_decimals(0).suffix(" %"));
    named(&slider, &tr!("Fidelity"));
    let slider = slider.on_hover_text(tr!(
        "Feeds the residual of the reconstruction back into the result. The consistency PSNR rises; the result stays closer to \
         the original, its noise included."
    ));
    if slider.changed() {
        window.settings.choices.fidelity = percent / 100.0;
        window.actions.push(Action::Refine(percent / 100.0));
    }
    weak(ui, tr!("0 % is the network's own result. More keeps closer to the original."));
}

fn numbers(window: &mut Window, ui: &mut Ui) {
    let Some(item) = window.selected.and_then(|id| window.queue.get(id)) else { return };
    heading(ui, &tr!("This picture"));
    let mut rows: Vec<(String, String, String)> = Vec::new();
    if let Some(original) = item.size {
        rows.push((tr!("Original"), size(original), tr!("Pixels")));
    }
    let (mut note, mut verdict_of) = (None, None);
    if let State::Done(finished) = &item.state {
        rows.push((tr!("Result"), size(finished.size), tr!("Pixels")));
        verdict_of = Some((finished.proven, finished.model.clone()));
        let open = window.documents.get(item.id);
        let proven = open.and_then(|open| open.refined).unwrap_or(finished.proven);
        if let Some(psnr) = proven.loop_psnr {
            rows.push((tr!("Consistency PSNR"), decibels(psnr), translated(dualres_engine::LOOP_RULE)));
        }
        if let Some(psnr) = proven.expected_psnr {
            let hint = tr!("Against the truth, as far as it can be told from what is known of the model's errors");
            rows.push((tr!("Predicted PSNR"), decibels(psnr), hint));
        }
        if let Some(loss) = proven.dual_loss {
            rows.push((
                tr!("Dual loss"),
                tr!("%{loss} levels", loss = number(loss, 2)),
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
        if let Some(beside) = window.beside.get(&item.id).filter(|beside| beside.models[1] == finished.model) {
            let [large, small] = beside.seconds;
            let hint = tr!("The middle of this picture by both models in turns, the best of three");
            let what = tr!("The model that this one was compressed from, on the middle of this picture");
            let faster = tr!("%{factor} times as fast", factor = number(large / small, 2));
            rows.push((tr!("Beside"), beside.models[0].clone(), what));
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
        let area = reduced(window.view.visible(document.result_size(), window.pane), document.scale);
        if let Some((loss, psnr)) = proof.of(area) {
            let (hint, loss) = (tr!("Of the part that is on screen"), tr!("%{loss} levels", loss = number(loss, 2)));
            rows.push((tr!("Visible consistency PSNR"), decibels(psnr), hint.clone()));
            rows.push((tr!("Visible dual loss"), loss, hint));
        }
    }
    if let Some(verdict) = verdict_of.and_then(|(proven, model)| verdict(proven.loop_psnr?, &model)) {
        ui.label(RichText::new(verdict.words()).strong()).on_hover_text(tr!(
            "By the consistency PSNR: how closely the result, reduced again by the dual network, matches the original"
        ));
        weak(ui, verdict.reason());
    }
    ui.spacing_mut().interact_size.y = 16.0;
    Grid::new("numbers").num_columns(2).spacing([12.0, 3.0]).show(ui, |ui| {
        for (label, value, hint) in rows {
            ui.label(RichText::new(label).small().weak());
            ui.label(RichText::new(value).small()).on_hover_text(hint);
            ui.end_row();
        }
    });
    if let Some(path) = note {
        let unsaved =
            window.selected.and_then(|id| window.documents.get(id)).is_some_and(|open| open.refined.is_some());
        if unsaved {
            ui.label(RichText::new(tr!("Refined, not saved yet")).small().color(palette(ui).warning));
        } else {
            weak(ui, tr!("Saved as %{path}", path = path));
        }
    }
}

fn footer(window: &mut Window, ui: &mut Ui) {
    let width = ui.available_width();
    let running = window.queue.running().is_some();
    let waiting = window.queue.waiting();
    if running {
        let paused = window.link.control.is_paused();
        let label = if paused { tr!("Resume") } else { tr!("Pause") };
        if primary_button(ui, &label, width).clicked() {
            window.actions.push(Action::PauseOrGoOn);
        }
    } else {
        // What is done can be done again with other choices.
        let again = window.selected.filter(|_| waiting == 0);
        let label = match waiting {
            0 if again.is_some() => tr!("Upscale again"),
            0 => tr!("Upscale"),
            count => tr_counted!(count, "Upscale %{count} picture", "Upscale %{count} pictures"),
        };
        let enabled = waiting > 0 || again.is_some();
        let start = ui.add_enabled_ui(enabled, |ui| primary_button(ui, &label, width)).inner;
        if start.on_hover_text(tr!("Ctrl+Enter")).clicked() {
            window.actions.push(again.map_or(Action::Start, Action::Retry));
        }
    }
    let can_preview = window.shown().is_some();
    let label = if window.previewing.is_some() { tr!("Previewing…") } else { tr!("Preview what is visible") };
    ui.horizontal(|ui| {
        let live = text_width(ui, &tr!("Live")) + ui.spacing().icon_width + 3.0 * ui.spacing().item_spacing.x;
        let size = eframe::egui::vec2(width - live, 26.0);
        let button = Button::new(label).truncate();
        let preview =
            ui.add_enabled_ui(can_preview && window.previewing.is_none(), |ui| ui.add_sized(size, button)).inner;
        if preview.on_hover_text(tr!("Upscales the middle of the view at once; nothing is saved (P)")).clicked() {
            window.actions.push(Action::Preview);
        }
        let hint = tr!("Upscales what is visible while you look around; nothing is saved");
        let live = ui.checkbox(&mut window.settings.live_preview, tr!("Live")).on_hover_text(hint);
        named(&live, &tr!("Live preview"));
    });
    let done = window.selected.and_then(|id| window.queue.get(id)).filter(|item| matches!(item.state, State::Done(_)));
    if let Some(id) = done.map(|item| item.id) {
        // Where the eye is when a result has come, not below the numbers.
        let size = eframe::egui::vec2((width - ui.spacing().item_spacing.x) / 2.0, 26.0);
        ui.horizontal(|ui| {
            if ui.add_sized(size, Button::new(tr!("Save as…")).truncate()).on_hover_text(tr!("Ctrl+S")).clicked() {
                window.actions.push(Action::SaveAs);
            }
            if ui.add_sized(size, Button::new(tr!("Show in folder")).truncate()).on_hover_text(tr!("Ctrl+E")).clicked()
            {
                window.actions.push(Action::ShowInFolder(id));
            }
        });
    }
    if let Some(text) = estimate(window) {
        weak(ui, text);
    }
}

/// What the waiting pictures will take.
fn estimate(window: &mut Window) -> Option<String> {
    let scale = window.scale();
    let waiting = || window.queue.items().iter().filter(|item| matches!(item.state, State::Waiting));
    let sizes: Vec<[usize; 2]> = waiting().filter_map(|item| item.size).collect();
    if sizes.is_empty() {
        return None;
    }
    // What the networks make: all passes, however much resampling takes away afterwards.
    let made = |&[w, h]: &[usize; 2]| {
        let [wide, high] = window.settings.choices.size.of([w, h], scale);
        let passes = passes_to(w, wide, scale).max(passes_to(h, high, scale)).max(1);
        (1..=passes).map(|pass| w * h * scale.pow(2 * pass as u32)).sum::<usize>()
    };
    let pixels: usize = sizes.iter().map(made).sum();
    let time = window.speed(&window.settings.choices.model).map(|speed| {
        // Reading, proving and saving take about a quarter on top.
        let seconds = pixels as f64 / speed * 1.25;
        tr!("about %{time}", time = duration(std::time::Duration::from_secs_f64(seconds)))
    });
    let most: u64 = waiting()
        .filter_map(|item| {
            let format = window.settings.choices.format.of_item(item);
            let depth = window.settings.choices.keep().depth.unwrap_or_default();
            Some(most_bytes(window.settings.choices.size.of(item.size?, scale), 3, depth, format))
        })
        .sum();
    let folder = waiting().next().map(|item| {
        crate::window::worker::result_folder(&item.path, &item.below, &window.settings.choices, &window.paths)
    })?;
    let free = window.machine.free_disk(&folder).map(|free| tr!("%{size} free", size = written(bytes(free))));
    let most = tr!("at most %{size}", size = written(bytes(most)));
    Some([time, Some(most), free].into_iter().flatten().collect::<Vec<_>>().join(", "))
}
