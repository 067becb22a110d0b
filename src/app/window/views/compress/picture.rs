//! Original and compressed network on a picture: results, dual reconstructions, and what lies between them.

use dualres_engine::Area;
use eframe::egui::{
    Align, Align2, Color32, ComboBox, FontId, Label, Layout, Rect, RichText, Slider, Ui, UiBuilder, pos2, vec2,
};

use crate::{
    language::{number, parsed, tr, translated},
    window::{
        Window,
        actions::{self, Action},
        canvas::{gpu::Mode, view::reduced},
        compress::{
            actions::CompressAction,
            latency::Latency,
            runs::RunId,
            state::{ProfileState, Side},
        },
        document::{Document, Map},
        outbox::Outbox,
        settings::ViewMode,
        theme::palette,
        views::{
            canvas::{Canvas, PaneContent, centred_text, inside, zoom_buttons},
            decibels, named, weak,
        },
    },
};

/// Height of the numbers below the picture in points, and of another line of them.
const NUMBERS: f32 = 80.0;
const LINE: f32 = 26.0;
/// Width that all views have room in beside each other, and that everything below the picture has room in a line.
const ROOM_FOR_VIEWS: f32 = 430.0;
const ROOM_FOR_LINE: f32 = 760.0;

/// What a view is called here: the same views as in the Upscale tab over other pictures.
fn label(mode: ViewMode) -> (String, String) {
    match mode {
        ViewMode::Panes => (tr!("Side by side"), tr!("Original network, compressed network, and their difference (1)")),
        ViewMode::Split => (tr!("Split"), tr!("Original and compressed network with a line between them to drag (2)")),
        ViewMode::Result => (tr!("Compressed"), tr!("The compressed network alone (3)")),
        ViewMode::Difference | ViewMode::Doubt => {
            (tr!("Difference"), tr!("How far the two are apart, black where they agree (4)"))
        }
        ViewMode::Overlay => (tr!("Overlay"), tr!("The compressed network, marked where it differs (5)")),
    }
}

/// What two networks can be compared by; which of them errs where, nobody knows.
fn modes() -> impl Iterator<Item = ViewMode> {
    ViewMode::ALL.into_iter().filter(|&mode| mode != ViewMode::Doubt)
}

pub(super) fn tools(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let before = window.compress.mode;
    let mut mode_now = before;
    let chosen = &mut mode_now;
    if ui.available_width() < ROOM_FOR_VIEWS {
        let combo = ComboBox::from_id_salt("compare view").selected_text(label(*chosen).0).show_ui(ui, |ui| {
            for mode in modes() {
                let (text, hint) = label(mode);
                ui.selectable_value(chosen, mode, text).on_hover_text(hint);
            }
        });
        named(&combo.response, &tr!("View"));
        out.change(&before, mode_now, Action::SetView);
        return;
    }
    for mode in modes() {
        let (text, hint) = label(mode);
        ui.selectable_value(chosen, mode, text).on_hover_text(hint);
    }
    out.change(&before, mode_now, Action::SetView);
}

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let colours = palette(ui);
    let rect = ui.max_rect();
    ui.painter().rect_filled(rect, 0.0, colours.canvas);
    let bar = Rect::from_min_size(rect.min, vec2(rect.width(), 32.0));
    let height = if rect.width() < ROOM_FOR_LINE { NUMBERS + LINE } else { NUMBERS };
    let numbers = Rect::from_min_max(pos2(rect.left(), rect.bottom() - height), rect.max);
    let canvas = Rect::from_min_max(pos2(rect.left(), bar.bottom()), pos2(rect.right(), numbers.top()));
    for place in [bar, numbers] {
        ui.painter().rect_filled(place, 0.0, colours.panel);
    }
    ui.scope_builder(UiBuilder::new().max_rect(bar.shrink2(vec2(8.0, 3.0))), |ui| sides(window, ui, out));
    if let Some(position) = canvas_ui(window, ui, out, canvas) {
        note(ui, canvas, &read_out(window, position));
    }
    ui.scope_builder(UiBuilder::new().max_rect(numbers.shrink2(vec2(8.0, 4.0))), |ui| numbers_ui(window, ui, out));
}

/// Which networks, which pictures.
fn sides(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.horizontal_centered(|ui| {
        let side = window.compress.side;
        let instant = ui.selectable_label(side == Side::Instant, tr!("Preview (not fine-tuned)"));
        let hint = tr!("The network of the widths on the right, at once and without training");
        if instant.on_hover_text(hint).clicked() {
            out.compress_action(CompressAction::PreviewRequest(Side::Instant));
        }
        let done = window.compress.run().filter(|run| run.report.is_some()).map(|run| (run.id, run.name().to_owned()));
        if let Some((id, name)) = done {
            let hint = tr!("The result of the chosen run");
            if ui.selectable_label(side == Side::Run(id), name).on_hover_text(hint).clicked() {
                out.compress_action(CompressAction::PreviewRequest(Side::Run(id)));
            }
        }
        ui.separator();
        for (back, text, hint) in [
            (false, tr!("Results"), tr!("What the networks make of the picture")),
            (
                true,
                tr!("Reconstructions"),
                tr!("The results reduced to the original's size by each network's dual model (B)"),
            ),
        ] {
            if ui.selectable_label(window.compress.reconstructions == back, text).on_hover_text(hint).clicked()
                && window.compress.reconstructions != back
            {
                out.push(Action::Flip);
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let menu = ui.menu_button(tr!("Picture"), |ui| picture_menu(window, ui, out));
            menu.response.on_hover_text(tr!("What to compare on"));
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| {
                ui.add(Label::new(RichText::new(&window.compress.shown.name).small().weak()).truncate());
            });
        });
    });
}

fn picture_menu(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let hint = tr!("Compare on another picture; or drop one on the window");
    if ui.button(tr!("Open…")).on_hover_text(hint).clicked() {
        out.compress_action(CompressAction::ChoosePicture);
        ui.close();
    }
    let selected = window.upscale.selected.and_then(|id| window.upscale.queue.get(id)).map(|item| item.path.clone());
    if let Some(path) = selected
        && ui.button(tr!("Use the photo from Upscale")).on_hover_text(path.display().to_string()).clicked()
    {
        out.compress_action(CompressAction::Picture(path));
        ui.close();
    }
    let mut shrinks = window.compress.shown.shrinks;
    let check = ui.checkbox(&mut shrinks, tr!("Shrink first"));
    let hint = tr!("Makes the picture smaller first and enlarges that: the truth is known then, and PSNR with it");
    if check.on_hover_text(hint).changed() {
        out.compress_action(CompressAction::Shrink(shrinks));
    }
}

fn canvas_ui(window: &Window, ui: &mut Ui, out: &mut Outbox, canvas: Rect) -> Option<[f64; 2]> {
    let name = match window.compress.side {
        Side::Instant => tr!("Preview (not fine-tuned)"),
        Side::Run(id) => name_of(window, id),
    };
    let back = window.compress.reconstructions;
    let missing = missing(window);
    let compress = &window.compress;
    let Some(document) = compress.document() else {
        centred_text(ui, canvas, &missing);
        return None;
    };
    let is_new = compress.shown.numbers.is_some();
    // Places are of the results' size; dual reconstructions are smaller.
    let scale = if back { compress.shown.scale.max(1) } else { 1 };
    let smaller = |area: Area| reduced(area, scale);
    let marks: Vec<Area> = compress.shown.worst.iter().map(|one| smaller(one.area)).collect();
    // What is not asked for is not being made.
    let is_made = compress.shown.pair.is_some() && document.result.is_some();
    let name = if is_new || !is_made { name } else { tr!("%{name}: being made", name = name) };
    let parts = parts(document, compress.mode, &name, back);
    let waits = document.result.is_none();
    let shared = Canvas {
        salt: "compressed pane",
        gpu: &window.services.gpu,
        is_further: false,
        document,
        sight: compress.sight(),
        gain: window.shell.settings.gain,
        map: Map::Reconstruction,
        marks: &marks,
    };
    let (pointed, sight) = shared.show(ui, canvas, &parts);
    out.change(&compress.sight(), sight, |sight| Action::See(actions::Canvas::Compress, sight));
    if waits {
        centred_text(ui, canvas, &missing);
    }
    pointed
}

/// Why there is no picture yet.
fn missing(window: &Window) -> String {
    let compress = &window.compress;
    if let Some(reason) = &compress.looking.complaint {
        return translated(reason);
    }
    match (&compress.profile, compress.side) {
        _ if compress.shown.reading.is_some() => tr!("Reading the picture…"),
        (ProfileState::Failed(reason), Side::Instant) => {
            tr!("%{model} cannot be compressed: %{reason}", model = compress.model, reason = translated(reason))
        }
        (ProfileState::None, Side::Instant) => {
            tr!("Measure layers shows what the slider makes of the network. A run measures by itself.")
        }
        (ProfileState::Measuring(done, of), Side::Instant) => tr!(
            "Measuring what each layer of %{model} is worth, once: %{done} of %{total}",
            model = compress.model,
            done = done,
            total = of
        ),
        _ if compress.reconstructions && compress.shown.results.is_some() => tr!("These networks have no dual models"),
        _ => tr!("Making the picture…"),
    }
}

fn name_of(window: &Window, id: RunId) -> String {
    window.compress.runs.get(id).map_or_else(String::new, |run| run.name().to_owned())
}

fn parts(document: &Document, mode: ViewMode, name: &str, back: bool) -> Vec<PaneContent> {
    let differs = |mode: Mode, text: String| PaneContent { legend: true, ..PaneContent::new(mode, text) };
    let difference = || {
        let text = if back { tr!("Difference of the reconstructions") } else { tr!("Difference of the results") };
        differs(Mode::Difference, text)
    };
    let original = if back { tr!("Original: reconstruction") } else { tr!("Original") };
    let small = match (back, document.result.is_some()) {
        (false, true) => name.to_owned(),
        (false, false) => tr!("%{name}: not made yet", name = name),
        (true, true) => tr!("%{name}: reconstruction", name = name),
        (true, false) => tr!("%{name}: reconstruction: not made yet", name = name),
    };
    match mode {
        ViewMode::Panes => {
            vec![PaneContent::new(Mode::Input, original), PaneContent::new(Mode::Result, small), difference()]
        }
        ViewMode::Split => {
            let mut split = PaneContent::new(Mode::Split, original);
            split.name = tr!("Original and compressed");
            split.caption_right = small;
            vec![split]
        }
        ViewMode::Result => vec![PaneContent::new(Mode::Result, small)],
        ViewMode::Difference | ViewMode::Doubt => vec![difference()],
        ViewMode::Overlay => vec![differs(Mode::Overlay, tr!("%{name}, marked where it differs", name = name))],
    }
}

fn numbers_ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.spacing_mut().item_spacing.y = 3.0;
    ui.add(Label::new(RichText::new(summary(window)).small()).truncate());
    ui.add(Label::new(RichText::new(costs(window)).small()).truncate()).on_hover_text(tr!(
        "Milliseconds for an input of 96 × 96 without reconstruction, both networks alternating; multiply-accumulates are no \
         promise of time: narrow layers use devices less well"
    ));
    let narrow = ui.available_width() < ROOM_FOR_LINE - 20.0;
    if narrow {
        ui.horizontal(|ui| places(window, ui, out));
    }
    ui.horizontal(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            ui.spacing_mut().slider_width = 80.0;
            let before = window.shell.settings.gain;
            let mut gain = before;
            let slider = Slider::new(&mut gain, 0.7..=16.0).logarithmic(true).max_decimals(1).custom_parser(parsed);
            ui.add(slider.text(tr!("gain")))
                .on_hover_text(tr!("Multiplies differences before they are coloured (, and .)"));
            out.change(&before, gain, |gain| Action::Compress(CompressAction::SetGain(gain)));
            ui.separator();
            zoom_buttons(ui, &window.compress.view, out);
            if !narrow {
                ui.with_layout(Layout::left_to_right(Align::Center), |ui| places(window, ui, out));
            }
        });
    });
}

/// Where the two differ most, or how to find out.
fn places(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let worst = window.compress.shown.worst.clone();
    if !worst.is_empty() {
        let hint = tr!("Where the two differ most: mean difference in gray levels. Click to look at a place.");
        ui.label(RichText::new(tr!("Worst places")).small().weak()).on_hover_text(hint);
        for (index, one) in worst.iter().enumerate() {
            let button = ui.small_button(number(one.mean, 1));
            named(&button, &tr!("Worst place %{place}", place = index + 1));
            if button.on_hover_text(tr!("Mean difference in gray levels; shows the place")).clicked() {
                out.compress_action(CompressAction::ShowPlace(one.area));
            }
        }
        return;
    }
    match window.compress.shown.cells {
        Some((done, of)) if done < of => {
            ui.spinner();
            weak(ui, tr!("comparing the whole picture: part %{part} of %{total}", part = done + 1, total = of));
        }
        _ => {
            let ready = window.compress.shown.pair.is_some();
            let button = ui.add_enabled(ready, eframe::egui::Button::new(tr!("Compare the whole picture")));
            if button.on_hover_text(tr!("Finds where the two differ most")).clicked() {
                out.compress_action(CompressAction::JudgeWhole);
            }
        }
    }
}

/// How the results differ: of the whole picture if it is done, else of what is visible.
fn summary(window: &Window) -> String {
    let compress = &window.compress;
    if let Some(complaint) = &compress.looking.complaint {
        return complaint.clone();
    }
    let Some(document) = compress.document() else { return String::new() };
    let Some(numbers) = compress.shown.numbers else {
        // Parts of an earlier pair of networks may still be in sight: there are no numbers of such a mixture.
        return if document.result.is_some() { tr!("Being compared…") } else { String::new() };
    };
    let (levels, between) = (number(numbers.absolute, 2), decibels(numbers.between));
    let mut text = if compress.shown.is_whole {
        tr!("%{levels} levels apart, %{decibels} between them", levels = levels, decibels = between)
    } else {
        tr!("In sight: %{levels} levels apart, %{decibels} between them", levels = levels, decibels = between)
    };
    let two = |values: [f64; 2]| format!("{} → {}", decibels(values[0]), decibels(values[1]));
    if let Some(truth) = numbers.truth {
        text += &format!("   PSNR {}", two(truth));
    }
    if let Some(loops) = numbers.loops {
        text += &format!("   {}", tr!("consistency PSNR %{values}", values = two(loops)));
    }
    if let Some([large, small]) = numbers.duals {
        let (large, small) = (number(large, 2), number(small, 2));
        text += &format!("   {}", tr!("dual loss %{before} → %{after}", before = large, after = small));
    }
    text
}

fn costs(window: &Window) -> String {
    let compress = &window.compress;
    let timed = |latency: Option<&Latency>| match latency {
        Some(latency) if latency.is_noisy() => tr!(
            "%{before} → %{after} ms on %{device}: %{times} times as fast (disturbed: ± %{spread} %)",
            before = number(latency.original, 0),
            after = number(latency.compressed, 0),
            device = latency.device,
            times = number(latency.speed_up(), 2),
            spread = number(100.0 * latency.spread, 0)
        ),
        Some(latency) => tr!(
            "%{before} → %{after} ms on %{device}: %{times} times as fast",
            before = number(latency.original, 0),
            after = number(latency.compressed, 0),
            device = latency.device,
            times = number(latency.speed_up(), 2)
        ),
        None => tr!("not timed yet"),
    };
    let shares = |(macs, parameters): (f64, f64)| {
        tr!(
            "%{macs} % of MACs, %{parameters} % of parameters",
            macs = number(100.0 * macs, 1),
            parameters = number(100.0 * parameters, 1)
        )
    };
    match compress.side {
        Side::Run(id) => {
            let Some(run) = compress.runs.get(id) else { return String::new() };
            let Some(report) = &run.report else { return String::new() };
            let validation = tr!(
                "validation %{before} → %{after} dB",
                before = number(report.psnr_before, 2),
                after = number(report.psnr_after, 2)
            );
            let kept = shares((report.kept_macs_ratio, report.kept_params_ratio));
            format!("{kept}; {}; {validation}", timed(run.latency.as_ref()))
        }
        Side::Instant => {
            let Some(entry) = window.compressed_model() else { return String::new() };
            if compress.width_editor.full != entry.layers.widths {
                return String::new();
            }
            let kept = shares(compress.width_editor.kept(&entry.layers));
            format!("{kept}; {}; {}", timed(compress.shown.latency.as_ref()), tr!("not trained yet"))
        }
    }
}

/// Text in the lower right corner of the canvas.
fn note(ui: &Ui, canvas: Rect, text: &str) {
    if text.is_empty() {
        return;
    }
    let galley = ui.painter().layout_no_wrap(text.to_owned(), FontId::monospace(11.0), Color32::WHITE);
    let place = Align2::RIGHT_BOTTOM.anchor_size(canvas.right_bottom() - vec2(10.0, 8.0), galley.size());
    ui.painter().rect_filled(place.expand2(vec2(6.0, 3.0)), 5.0, Color32::from_black_alpha(170));
    ui.painter().galley(place.min, galley, Color32::WHITE);
}

/// Colours of both networks at a position, and how far they are apart.
fn read_out(window: &Window, position: [f64; 2]) -> String {
    let Some(document) = window.compress.document() else { return String::new() };
    if !inside(document, position) {
        return String::new();
    }
    let [x, y] = position.map(|p| p as usize);
    let value = |pyramid: &crate::window::document::Pyramid| {
        let [r, g, b, a] = pyramid.levels[0].pixel(x, y);
        if a > 0 { format!("{r:3} {g:3} {b:3}") } else { "-".to_owned() }
    };
    let mut text = format!("({x}, {y}) {}", value(&document.input));
    if let Some(small) = &document.result {
        text += &format!(" | {}", value(small));
    }
    if let Some(apart) = document.proof.as_ref().and_then(|proof| proof.absolute.at(x, y)) {
        text += &format!(" | {}", number(apart, 1));
    }
    text
}
