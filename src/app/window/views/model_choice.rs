//! What the pictures become: for what kind of picture, how many times as large, and how large in the end.

use eframe::egui::{
    Button, CollapsingHeader, ComboBox, FontId, Response, Role, Sense, Stroke, StrokeKind, Ui, WidgetInfo,
    text::{LayoutJob, TextWrapping},
    vec2,
};

use super::{heading, named, results, size, speed, weak};
use crate::{
    batch::{choice::Kind, disk::bytes, sizes::FinalSize},
    built_in,
    language::{number, tr, translated, written},
    library::Entry,
    window::{Window, actions::Action, app::speed_key, outbox::Outbox, settings::Choices, theme::palette},
};

/// Height of the cards of kinds, in points.
const CARD_HEIGHT: f32 = 40.0;
/// Points between them.
const BETWEEN: f32 = 6.0;

/// What was chosen of the models.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    /// Each picture decides.
    Automatic,
    /// The built-in models of a kind; the fast one of them or not.
    Kind { kind: Kind, fast: bool },
    /// Any other model.
    Own,
}

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    heading(ui, &tr!("Model"));
    let chosen = chosen(window);
    let mut picked = kinds(window, ui, out, chosen);
    picked = picked.or(scales(window, ui, out, chosen));
    picked = picked.or(qualities(window, ui, chosen));
    let mut choices = window.shell.settings.choices.clone();
    if choices.size != FinalSize::Model {
        results::final_size(&mut choices.size, ui);
    }
    out.change(&window.shell.settings.choices, choices, |choices| Action::Choose(Box::new(choices)));
    if let Some(original) =
        window.upscale.selected.and_then(|id| window.upscale.queue.get(id)).and_then(|item| item.size)
    {
        let wanted = window.shell.settings.choices.size;
        weak(ui, final_size(original, wanted, window.scale()));
        if let Some(warning) = too_small(original, wanted, window.scale()) {
            super::warning(ui, warning);
        }
    }
    let all = CollapsingHeader::new(tr!("All models")).id_salt("all-models");
    all.show(ui, |ui| picked = picked.take().or(all_models(window, ui)));
    let can_compare = window.shown().is_some() && window.upscale.queue.running().is_none();
    let compare = ui.add_enabled(can_compare, Button::new(tr!("Compare models")));
    if compare.on_hover_text(tr!("Two to four models beside each other on what is visible (C)")).clicked() {
        out.push(Action::CompareModels);
    }
    out.extend(picked.map(Action::PickModel));
    super::adapting::entry(window, ui, out);
}

fn chosen(window: &Window) -> Chosen {
    let choices = &window.shell.settings.choices;
    if choices.automatic {
        return Chosen::Automatic;
    }
    let scale = window.scale();
    let is = |name: Option<&str>| name == Some(choices.model.as_str());
    for kind in Kind::ALL {
        for fast in [false, true] {
            if is(if fast { built_in::fast(kind, scale) } else { built_in::of(kind, scale) }) {
                return Chosen::Kind { kind, fast };
            }
        }
    }
    Chosen::Own
}

fn is_own(entry: &Entry) -> bool {
    !built_in::is_one(&entry.name)
}

fn title(entry: &Entry) -> String {
    format!("{} ({}×)", entry.name, entry.description.scale())
}

/// The card of a built-in kind; returns its model if that was chosen.
fn built_in_card(ui: &mut Ui, width: f32, chosen: Chosen, (kind, scale): (Kind, usize)) -> Option<String> {
    let (words, hint) = match kind {
        Kind::Photo => (tr!("cameras, phones"), tr!("Removes noise and JPEG artefacts, of cameras and phones")),
        Kind::Clean => (tr!("clean photos, scans"), tr!("Keeps all there is: for scans, graphics and clean photos")),
    };
    let is_it = matches!(chosen, Chosen::Kind { kind: other, .. } if other == kind);
    // Whoever chooses a kind keeps the scale, or is told that there is none.
    let model = built_in::of(kind, scale);
    let card = |ui: &mut Ui| kind_card(ui, width, is_it, (&kind.name(), &words));
    let card = ui.add_enabled_ui(model.is_some(), card).inner.on_hover_text(hint);
    let clicked = card.on_disabled_hover_text(lacking(kind, scale)).clicked();
    model.filter(|_| clicked && !is_it).map(str::to_owned)
}

/// A choice with what it is for beneath it.
fn kind_card(ui: &mut Ui, width: f32, is_chosen: bool, (name, words): (&str, &str)) -> Response {
    let size = vec2(width, CARD_HEIGHT);
    let (rect, response) = ui.allocate_exact_size(size, Sense::click());
    let enabled = ui.is_enabled();
    response.widget_info(|| WidgetInfo::selected(Role::Button, enabled, is_chosen, name));
    let colours = palette(ui);
    let (ground, text, weak) = match (is_chosen, enabled) {
        (true, _) => (colours.accent, colours.on_accent, colours.on_accent),
        (false, true) if response.hovered() => (colours.hovered, colours.text, colours.weak),
        (false, true) => (colours.raised, colours.text, colours.weak),
        (false, false) => (colours.panel, colours.weak, colours.weak),
    };
    ui.painter().rect_filled(rect, 6.0, ground);
    if response.has_focus() {
        ui.painter().rect_stroke(rect, 6.0, Stroke::new(2.0, colours.text), StrokeKind::Inside);
    }
    let line = |y: f32, words: &str, size: f32, colour| {
        let mut job = LayoutJob::simple_singleline(words.to_owned(), FontId::proportional(size), colour);
        job.wrap = TextWrapping::truncate_at_width(width - 16.0);
        let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
        ui.painter().galley(rect.min + vec2(8.0, y), galley, colour);
    };
    line(4.0, name, 13.5, text);
    line(22.0, words, 10.5, weak);
    response
}

/// The first question: what kind of pictures these are.
fn kinds(window: &Window, ui: &mut Ui, out: &mut Outbox, chosen: Chosen) -> Option<String> {
    let scale = window.scale();
    let mut picked = None;
    let own = window.models.entries.iter().filter(|entry| is_own(entry));
    let own = own.clone().find(|entry| entry.description.scale() == scale).or(own.clone().next());
    let own = own.map(|entry| entry.name.clone());
    let width = (ui.available_width() - BETWEEN) / 2.0;
    ui.spacing_mut().item_spacing = vec2(BETWEEN, BETWEEN);
    ui.horizontal(|ui| {
        let hint = tr!("Photo or Clean, whichever fits the picture: by its noise and JPEG compression");
        let card = kind_card(ui, width, chosen == Chosen::Automatic, (&tr!("Automatic"), &tr!("fits the picture")));
        if card.on_hover_text(hint).clicked() {
            // A model of one's own may enlarge as no built-in one does.
            let scales = [scale, 4, 2].into_iter();
            scales
                .filter(|&scale| built_in::of(Kind::Clean, scale).is_some())
                .take(1)
                .for_each(|scale| out.push(Action::FitModels(scale)));
        }
        picked = picked.take().or(built_in_card(ui, width, chosen, (Kind::Photo, scale)));
    });
    ui.horizontal(|ui| {
        picked = picked.take().or(built_in_card(ui, width, chosen, (Kind::Clean, scale)));
        let words = (&*tr!("Own"), &*tr!("imported, adapted"));
        let card = |ui: &mut Ui| kind_card(ui, width, chosen == Chosen::Own, words);
        let card = ui.add_enabled_ui(own.is_some(), card).inner;
        let card = card.on_hover_text(tr!("Models that you imported, adapted or compressed"));
        let hint = tr!("Drop a model on the window, or import one in the Models tab");
        if card.on_disabled_hover_text(hint).clicked() && chosen != Chosen::Own {
            picked = own;
        }
    });
    let fitting =
        window.upscale.selected.and_then(|id| window.upscale.documents.get(id)).map(|open| open.fitting.clone());
    match (chosen, fitting) {
        (Chosen::Automatic, Some((kind, why))) => {
            let model = built_in::fitting(kind, scale, &window.shell.settings.choices.model);
            let why = if built_in::of(kind, scale).is_some() { translated(&why) } else { lacking(kind, scale) };
            weak(ui, format!("{model}: {why}."));
        }
        (Chosen::Automatic, None) => {}
        _ => {
            if let Some(entry) = window.model() {
                weak(ui, title(entry)).on_hover_text(facts(window, entry));
                compressed_from(window, entry, ui);
            }
        }
    }
    picked
}

/// That no built-in model of a kind enlarges so many times.
fn lacking(kind: Kind, scale: usize) -> String {
    tr!("no %{kind} model for %{scale}×", kind = kind.name(), scale = scale)
}

fn scales(window: &Window, ui: &mut Ui, out: &mut Outbox, chosen: Chosen) -> Option<String> {
    let mut picked = None;
    let choices = &window.shell.settings.choices;
    let custom = choices.size != FinalSize::Model;
    let resize = |size| Action::Choose(Box::new(Choices { size, ..choices.clone() }));
    ui.horizontal(|ui| {
        ui.label(tr!("Scale"));
        for &scale in &window.models.scales {
            let is_there = match chosen {
                Chosen::Automatic => built_in::of(Kind::Clean, scale).is_some(),
                Chosen::Kind { kind, .. } => built_in::of(kind, scale).is_some(),
                Chosen::Own => true,
            };
            let label = Button::selectable(window.scale() == scale && !custom, format!("{scale}×"));
            let button = ui.add_enabled(is_there, label);
            let hint = tr!("No built-in model of this kind enlarges %{scale} times", scale = scale);
            if !button.on_disabled_hover_text(hint).clicked() {
                continue;
            }
            if custom {
                out.push(resize(FinalSize::Model));
            }
            if window.scale() == scale {
                continue;
            }
            match chosen {
                Chosen::Automatic => out.push(Action::FitModels(scale)),
                Chosen::Kind { kind, fast } => {
                    let same = built_in::fast(kind, scale).filter(|_| fast).or(built_in::of(kind, scale));
                    picked = same.map(str::to_owned);
                }
                Chosen::Own => {
                    let of_scale = |entry: &&Entry| entry.description.scale() == scale;
                    let entries = || window.models.entries.iter().filter(of_scale);
                    let first = entries().find(|entry| is_own(entry)).or(entries().next());
                    picked = first.map(|entry| entry.name.clone());
                }
            }
        }
        let hint = tr!("By as many passes of the model as it takes, then by resampling. Proportions are kept.");
        let button = ui.selectable_label(custom, tr!("Custom"));
        if button.on_hover_text(hint).clicked() && !custom {
            out.push(resize(FinalSize::Factor(1.5 * window.scale() as f64)));
        }
    });
    picked
}

/// Whether a compressed network will do, where there is one. There at all times, so that nothing below moves.
fn qualities(window: &Window, ui: &mut Ui, chosen: Chosen) -> Option<String> {
    let scale = window.scale();
    let (kind, fast) = match chosen {
        Chosen::Kind { kind, fast } => (Some(kind), fast),
        Chosen::Automatic | Chosen::Own => (None, false),
    };
    let models = kind.and_then(|kind| Some((built_in::of(kind, scale)?, built_in::fast(kind, scale)?)));
    let mut picked = None;
    ui.horizontal(|ui| {
        let mut choice = |is_it: bool, label: String, hint: String, model: Option<&str>| {
            let button = ui.add_enabled(models.is_some(), Button::selectable(is_it, label)).on_hover_text(hint);
            let button = button.on_disabled_hover_text(tr!("Only clean models of 2× and 4× have a fast version"));
            if button.clicked() && !is_it {
                picked = model.map(str::to_owned);
            }
        };
        choice(!fast, tr!("Quality"), tr!("The whole network"), models.map(|(whole, _)| whole));
        let hint = tr!("The network with half of its work taken out: a little less detail");
        choice(fast, tr!("Fast"), hint, models.map(|(_, small)| small));
    });
    picked
}

/// Every model of the library, research and compressed ones included.
fn all_models(window: &Window, ui: &mut Ui) -> Option<String> {
    let chosen = &window.shell.settings.choices.model;
    let mut picked = None;
    let text = window.model().map_or_else(|| chosen.clone(), title);
    let combo = ComboBox::from_id_salt("model").width(ui.available_width()).selected_text(text).show_ui(ui, |ui| {
        for entry in &window.models.entries {
            let label = ui.selectable_label(entry.name == *chosen, title(entry));
            if label.on_hover_text(translated(&entry.description.purpose)).clicked() {
                picked = Some(entry.name.clone());
            }
        }
    });
    named(&combo.response, &tr!("Model"));
    if let Some(entry) = window.model() {
        let is_adapted = entry.description.training.get("adapted_from").is_some();
        let purpose = purpose(&entry.description.purpose);
        weak(ui, if is_adapted { format!("{purpose}.") } else { tr!("For %{purpose}.", purpose = purpose) });
        weak(ui, facts(window, entry));
    }
    picked
}

/// What a compressed model was made from, and what that brought here.
fn compressed_from(window: &Window, entry: &Entry, ui: &mut Ui) {
    if let Some(original) = entry.compressed_from() {
        let faster = window.shell.settings.faster.get(&speed_key(&entry.name, window.device()));
        let text = match faster {
            // Less than that is noise of the machine.
            Some(&faster) if faster >= 1.1 => tr!(
                "Compressed from %{original}: %{factor} times as fast here.",
                original = original,
                factor = number(faster, 1)
            ),
            _ => tr!("Compressed from %{original}.", original = original),
        };
        weak(ui, text);
    }
}

/// How large and how fast a model is.
fn facts(window: &Window, entry: &Entry) -> String {
    let here = match window.speed(&entry.name) {
        Some(value) => tr!("%{speed} on %{device}", speed = speed(value), device = window.device()),
        None => tr!("being measured here"),
    };
    tr!(
        "%{parameters} M parameters, %{size}; %{here}.",
        parameters = number(entry.parameters as f64 / 1e6, 2),
        size = written(bytes(entry.bytes)),
        here = here
    )
}

/// How large the result of a picture will be, on screen and in print.
fn final_size(original: [usize; 2], wanted: FinalSize, scale: usize) -> String {
    let result = wanted.of(original, scale);
    tr!("Result: %{size} pixels, %{print}", size = size(result), print = print_size(result, wanted))
}

/// How large a result is in print.
pub(super) fn print_size(result: [usize; 2], wanted: FinalSize) -> String {
    const USUAL_DPI: f64 = 300.0;
    let dpi = wanted.density().map_or(USUAL_DPI, |[across, _]| across);
    let [width, height] = result.map(|pixels| number(pixels as f64 / dpi * 2.54, 1));
    tr!("%{width} × %{height} cm at %{dpi} dpi", width = width, height = height, dpi = number(dpi, 0))
}

/// What to know of a size that is not above the original's.
fn too_small(original: [usize; 2], wanted: FinalSize, scale: usize) -> Option<String> {
    let result = wanted.of(original, scale);
    let smaller = result[0].max(result[1]) <= original[0].max(original[1]);
    smaller.then(|| tr!("Not larger than the original: nothing is gained by upscaling it."))
}

fn purpose(text: &str) -> String {
    if text.is_empty() {
        return tr!("anything; its author said nothing more");
    }
    translated(text).trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whichever way a size is asked for, one below the original's is warned of.
    #[test]
    fn sizes_that_gain_nothing_are_told_in_every_mode() {
        let original = [3000, 2000];
        let print = |dpi| FinalSize::Print { inches: [6.0, 4.0], dpi };
        for wanted in [
            FinalSize::Factor(1.0),
            FinalSize::Width(600),
            FinalSize::Height(400),
            FinalSize::LongSide(3000),
            print(100.0),
        ] {
            assert!(too_small(original, wanted, 2).is_some(), "{wanted:?}");
        }
        for wanted in [FinalSize::Model, FinalSize::Factor(1.5), FinalSize::Width(6000), print(600.0)] {
            assert!(too_small(original, wanted, 2).is_none(), "{wanted:?}");
        }
        assert_eq!(final_size(original, print(600.0), 2), "Result: 3600 × 2400 pixels, 15.2 × 10.2 cm at 600 dpi");
    }
}
