//! What results are to be: format, final size, folder and names.

use std::path::Path;

use dualres_imaging::Format;
use eframe::egui::{self, Align, ComboBox, DragValue, Layout, RichText, Slider, TextEdit, Ui};

use super::{heading, named, weak};
use crate::{
    batch::{
        disk::bytes,
        sizes::{FinalSize, MAX_TIMES},
    },
    language::{parsed, spoken, tr, translated, written},
    naming,
    paths::Paths,
    window::{
        Window,
        actions::Action,
        forecast::Asked,
        outbox::Outbox,
        queue::State,
        settings::{Choices, DepthChoice, OutputFormat},
        theme::palette,
    },
};

/// Centimetres in an inch.
const CENTIMETRES: f64 = 2.54;

pub(crate) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    heading(ui, &tr!("Results"));
    let selected = window.upscale.selected.and_then(|id| window.upscale.queue.get(id)).map(|item| item.path.clone());
    let before = &window.shell.settings.choices;
    let mut choices = before.clone();
    let width = ui.available_width();
    let combo = ComboBox::from_id_salt("format").width(width).selected_text(choices.format.label()).show_ui(ui, |ui| {
        for format in OutputFormat::ALL {
            ui.selectable_value(&mut choices.format, format, format.label());
        }
    });
    named(&combo.response, &tr!("Format"));
    let what = match choices.format {
        // A queue may hold JPEG files besides the selected picture.
        OutputFormat::Same
            if !window.upscale.queue.items().iter().any(|item| choices.format.of_item(item) == Format::Jpeg) =>
        {
            None
        }
        OutputFormat::Jpeg | OutputFormat::Same => Some(tr!("JPEG quality")),
        OutputFormat::Avif => Some(tr!("AVIF quality")),
        OutputFormat::WebPLossy => Some(tr!("WebP quality")),
        OutputFormat::Png | OutputFormat::WebP | OutputFormat::Tiff | OutputFormat::JpegXl => None,
    };
    if let Some(what) = what {
        ui.spacing_mut().slider_width = ui.available_width() - 150.0;
        let slider = ui.add(Slider::new(&mut choices.jpeg_quality, 1..=100).text(what));
        slider.on_hover_text(tr!("95 is hard to tell from the original"));
    }
    let beside = usual_place(selected.as_deref(), &window.services.paths);
    ui.horizontal(|ui| {
        let folder = choices.folder.as_ref().map(|folder| folder.display().to_string());
        let label = folder.unwrap_or(beside);
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if choices.folder.is_some() {
                let hint = tr!("Next to the original again");
                let reset = ui.button("⟲").on_hover_text(&hint);
                named(&reset, &hint);
                if reset.clicked() {
                    choices.folder = None;
                }
            }
            if ui.button(tr!("Folder…")).clicked() {
                out.push(Action::ChooseOutputFolder);
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(eframe::egui::Label::new(&label).truncate()).on_hover_text(&label);
            });
        });
    });
    ui.horizontal(|ui| {
        let label = ui.label(tr!("Name"));
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let menu = ui.menu_button("+", |ui| tokens(&mut choices.pattern, ui)).response;
            named(&menu, &tr!("Insert into the name"));
            let edit = TextEdit::singleline(&mut choices.pattern).desired_width(f32::INFINITY);
            let hint = tr!("Places: %{places}", places = naming::PLACES.join(" "));
            ui.add(edit).labelled_by(label.id).on_hover_text(hint);
        });
    });
    name_example(window, &mut choices, ui);
    forecast(window, ui);
    ui.checkbox(&mut choices.strip, tr!("Leave out metadata")).on_hover_text(tr!(
        "EXIF, XMP, IPTC and density. The colour profile stays: without it the colours would be others."
    ));
    egui::CollapsingHeader::new(tr!("More")).id_salt("more-results").show(ui, |ui| more(&mut choices, ui));
    out.change(before, choices, |choices| Action::Choose(Box::new(choices)));
}

/// Where results of a picture go if no folder is chosen, in words.
fn usual_place(selected: Option<&Path>, paths: &Paths) -> String {
    match selected {
        // What was pasted or is a sample lies where nobody would look.
        Some(path) if path.starts_with(&paths.data) => paths.pictures.display().to_string(),
        _ => tr!("Next to the original"),
    }
}

/// What names can be made of, to choose from.
fn tokens(pattern: &mut String, ui: &mut Ui) {
    let meaning = |place: &str| match place {
        "{name}" => tr!("name of the original"),
        "{scale}" => tr!("times as large"),
        "{model}" => tr!("name of the model"),
        "{width}" => tr!("width in pixels"),
        "{height}" => tr!("height in pixels"),
        "{index}" => tr!("number in the queue"),
        "{date}" => tr!("day of the run"),
        _ => String::new(),
    };
    for place in naming::PLACES {
        if ui.button(format!("{place}  {}", meaning(place))).clicked() {
            pattern.push_str(place);
            ui.close();
        }
    }
}

/// About how large the file will be, and what it cannot take along of the original.
fn forecast(window: &Window, ui: &mut Ui) {
    let scale = window.scale();
    let Some(item) = window.upscale.selected.and_then(|id| window.upscale.queue.get(id)) else { return };
    if matches!(item.state, State::Done(_)) {
        return;
    }
    let choices = &window.shell.settings.choices;
    let Some(open) = window.upscale.documents.get(item.id) else { return };
    let asked = Asked {
        item: item.id,
        format: choices.format.of_item(item),
        size: choices.size.of([open.picture.width(), open.picture.height()], scale),
        encoding: choices.encoding(),
        keep: choices.keep(),
        language: spoken(),
    };
    let Some(forecast) = window.upscale.forecasts.of(asked, &open.picture, &window.services.wake) else { return };
    if let Some(size) = forecast.bytes {
        weak(ui, tr!("about %{size}", size = written(bytes(size))));
    }
    for lost in &forecast.losses {
        ui.label(RichText::new(format!("⚠ {lost}")).small().color(palette(ui).warning));
    }
}

fn name_example(window: &Window, choices: &mut Choices, ui: &mut Ui) {
    let selected = window.upscale.selected.and_then(|id| window.upscale.queue.get(id));
    if selected.is_some_and(|item| matches!(&item.state, State::Failed(failure) if failure.lasts)) {
        // Nothing will come of it.
        return;
    }
    if let Some(State::Done(finished)) = selected.map(|item| &item.state) {
        let name = finished.output.file_name().unwrap_or_default().to_string_lossy().into_owned();
        weak(ui, tr!("Saved as %{path}", path = name)).on_hover_text(finished.output.display().to_string());
        return;
    }
    let path = selected.map_or_else(|| "photo.jpg".into(), |item| item.path.clone());
    let format = selected.map_or_else(|| choices.format.of(&path), |item| choices.format.of_item(item));
    let below = selected.map_or_else(std::path::PathBuf::new, |item| item.below.clone());
    let original = selected.and_then(|item| item.size).unwrap_or([1000, 800]);
    let queued = window.upscale.queue.items();
    let index = queued.iter().position(|item| Some(item.id) == window.upscale.selected).map_or(1, |place| place + 1);
    let recipe = choices.recipe();
    let model = window.upscale.selected.map_or_else(|| choices.model.clone(), |id| window.preview_model(id));
    let facts = recipe.facts(&path, original, (&model, window.scale()), index);
    match naming::file_name(&choices.pattern, &facts) {
        Ok(name) => {
            let folder = crate::window::worker::result_folder(&path, &below, choices, &window.services.paths);
            let wanted = folder.join(format!("{name}.{}", format.extension()));
            let file = window.services.machine.free_name(&wanted);
            weak(ui, format!("→ {}", file.file_name().unwrap_or_default().to_string_lossy()))
                .on_hover_text(tr!("Existing files are never replaced: the name gets a number"));
        }
        Err(reason) => {
            ui.label(RichText::new(translated(&reason)).small().color(palette(ui).error));
            if ui.small_button(tr!("Use the usual pattern")).clicked() {
                choices.pattern = Choices::default().pattern;
            }
        }
    }
}

/// The kinds of final sizes as they are offered, each with the value it begins with.
fn sizes() -> [(String, FinalSize); 5] {
    [
        (tr!("Times as large"), FinalSize::Factor(3.0)),
        (tr!("Width"), FinalSize::Width(6000)),
        (tr!("Height"), FinalSize::Height(4000)),
        (tr!("Longer side"), FinalSize::LongSide(6000)),
        (tr!("Print"), FinalSize::Print { inches: [60.0 / CENTIMETRES, 40.0 / CENTIMETRES], dpi: 240.0 }),
    ]
}

/// The choice of a final size that is not the model's.
pub(super) fn final_size(chosen: &mut FinalSize, ui: &mut Ui) {
    let is_of = |size: &FinalSize| std::mem::discriminant(size) == std::mem::discriminant(chosen);
    let sizes = sizes();
    let label = sizes.iter().find(|(_, size)| is_of(size)).map_or("", |(label, _)| label.as_str());
    let mut picked = None;
    let combo =
        ComboBox::from_id_salt("final-size").width(ui.available_width()).selected_text(label).show_ui(ui, |ui| {
            for (label, size) in &sizes {
                if ui.selectable_label(is_of(size), label).clicked() && !is_of(size) {
                    picked = Some(*size);
                }
            }
        });
    named(&combo.response, &tr!("Final size"));
    if let Some(size) = picked {
        *chosen = size;
    }
    let pixels = |ui: &mut Ui, value: &mut usize| {
        let drag = ui.add(DragValue::new(value).range(16..=200_000).speed(10.0).suffix(tr!(" pixels")));
        named(&drag, &tr!("Pixels"));
    };
    ui.horizontal(|ui| match chosen {
        FinalSize::Model => {}
        FinalSize::Factor(factor) => {
            let value = DragValue::new(factor).range(1.0..=MAX_TIMES).speed(0.05).max_decimals(2).custom_parser(parsed);
            let drag = ui.add(value.suffix(tr!(" times")));
            named(&drag, &tr!("Times"));
        }
        FinalSize::Width(value) | FinalSize::Height(value) | FinalSize::LongSide(value) => pixels(ui, value),
        FinalSize::Print { inches, dpi } => {
            let side = |ui: &mut Ui, inches: &mut f64, name: &str| {
                let mut centimetres = *inches * CENTIMETRES;
                let value = DragValue::new(&mut centimetres).range(1.0..=1000.0).speed(0.5).max_decimals(1);
                let drag = ui.add(value.custom_parser(parsed));
                named(&drag, name);
                if drag.changed() {
                    *inches = centimetres / CENTIMETRES;
                }
            };
            let [first, second] = inches;
            side(ui, first, &tr!("Paper, one side in centimetres"));
            ui.label("×");
            side(ui, second, &tr!("Paper, other side in centimetres"));
            ui.label(tr!("cm at"));
            let drag = ui.add(DragValue::new(dpi).range(36.0..=2400.0).speed(1.0).max_decimals(0).suffix(" dpi"));
            named(&drag, &tr!("Dots per inch"));
        }
    });
}

fn more(choices: &mut Choices, ui: &mut Ui) {
    let width = ui.available_width();
    let combo = ComboBox::from_id_salt("depth").width(width).selected_text(choices.depth.label()).show_ui(ui, |ui| {
        for depth in DepthChoice::ALL {
            ui.selectable_value(&mut choices.depth, depth, depth.label());
        }
    });
    named(&combo.response, &tr!("Bits a channel"));
    combo.response.on_hover_text(tr!("PNG has 8 and 16 bits, TIFF all, the others 8"));
    ui.checkbox(&mut choices.progressive, tr!("Progressive JPEG"))
        .on_hover_text(tr!("Shows a coarse picture first while it loads; a little smaller, slower to write"));
    ui.checkbox(&mut choices.half_colours, tr!("JPEG with half the colours (4:2:0)"))
        .on_hover_text(tr!("Smaller files, softer edges between colours"));
}
