//! The curves of runs, drawn from what they reported.

use dualres_compression::Stage;
use eframe::egui::{Align, Color32, FontId, Id, Layout, Rect, RichText, Slider, Stroke, Ui, UiBuilder, pos2, vec2};
use egui_plot::{
    GridMark, HLine, HoverPosition, Line, LineStyle, Plot, PlotPoints, PlotTransform, PlotUi, Points, Span,
};

use crate::{
    language::{number, parsed, tr, translated},
    window::{
        Window,
        actions::Action,
        compress::{
            actions::CompressAction,
            choices::PlotChoices,
            curves::{Metric, Point, aligned, smoothed},
            runs::{Run, RunId},
        },
        outbox::Outbox,
        theme::{self, Palette, palette},
        views::{canvas::centred_text, named},
    },
};

/// A plot: what it is called, what it draws, whether that are losses, and what its values span at least, so that one point or two
/// that are nearly the same do not fill it with noise.
struct Subject {
    title: &'static str,
    metrics: &'static [Metric],
    is_loss: bool,
    min_span: f64,
}

const PLOTS: [Subject; 5] = [
    Subject { title: "Loss", metrics: &[Metric::Primal, Metric::Dual, Metric::Total], is_loss: true, min_span: 0.1 },
    Subject { title: "PSNR of patches (search), dB", metrics: &[Metric::SearchPsnr], is_loss: false, min_span: 0.4 },
    Subject { title: "PSNR of pictures, dB", metrics: &[Metric::Psnr], is_loss: false, min_span: 0.4 },
    Subject { title: "Kept, %", metrics: &[Metric::Parameters, Metric::Macs], is_loss: false, min_span: 10.0 },
    Subject { title: "Alpha entropy", metrics: &[Metric::Entropy], is_loss: false, min_span: 0.2 },
];

/// Width that all tools have room in beside each other.
const ROOM_FOR_TOOLS: f32 = 560.0;

pub(super) fn tools(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    if ui.available_width() < ROOM_FOR_TOOLS {
        ui.menu_button(tr!("Options"), |ui| options(window, ui, out));
    } else {
        options(window, ui, out);
    }
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| exports(ui, out));
}

fn options(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let before = window.shell.settings.compress.plots.clone();
    let mut plots = before.clone();
    ui.checkbox(&mut plots.log, tr!("Log")).on_hover_text(tr!("Logarithmic axis for losses"));
    ui.selectable_value(&mut plots.over_time, false, tr!("Steps"))
        .on_hover_text(tr!("Curves over steps of all stages"));
    ui.selectable_value(&mut plots.over_time, true, tr!("Time")).on_hover_text(tr!("Curves over seconds of work"));
    ui.checkbox(&mut plots.aligned, tr!("Align stages"))
        .on_hover_text(tr!("Begins the same stage of several runs at the same place"));
    ui.label(RichText::new(tr!("Smoothing")).small());
    ui.spacing_mut().slider_width = 60.0;
    let slider = ui.add(Slider::new(&mut plots.smoothing, 0.0..=0.98).max_decimals(2).custom_parser(parsed));
    named(&slider, &tr!("Smoothing"));
    slider.on_hover_text(tr!("Of losses; 0 draws what was measured."));
    out.change(&before, plots, |plots| Action::Compress(CompressAction::SetPlots(Box::new(plots))));
}

fn exports(ui: &mut Ui, out: &mut Outbox) {
    if ui.button("PNG…").on_hover_text(tr!("The plots as a picture")).clicked() {
        out.compress_action(CompressAction::ExportPng);
    }
    if ui.button("CSV…").on_hover_text(tr!("Every step of the drawn runs as a table")).clicked() {
        out.compress_action(CompressAction::ExportCsv);
    }
}

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let ids = window.drawn_runs();
    let area = ui.max_rect().shrink(6.0);
    out.change(&window.compress.plots, area, |area| Action::Compress(CompressAction::PlotArea(area)));
    ui.painter().rect_filled(ui.max_rect(), 0.0, palette(ui).panel);
    if ids.is_empty() {
        let text = tr!("Curves appear here when a run begins, or when you choose one under Runs.");
        centred_text(ui, area, &text);
        return;
    }
    let runs: Vec<&Run> = ids.iter().filter_map(|&id| window.compress.runs.get(id)).collect();
    let places = match window.shell.settings.compress.plots.aligned && runs.len() > 1 {
        true => Some(aligned(runs.iter().map(|run| &run.curves), window.shell.settings.compress.plots.over_time)),
        false => None,
    };
    // The last cell says which run has which colour.
    let columns = if area.width() > 3.0 * area.height() / 2.0 { 3 } else { 2 };
    let rows = (PLOTS.len() + 1).div_ceil(columns);
    let size = vec2(
        (area.width() - GAP * (columns as f32 - 1.0)) / columns as f32,
        (area.height() - GAP * (rows as f32 - 1.0)) / rows as f32,
    );
    let cell = |index: usize| {
        let (column, row) = ((index % columns) as f32, (index / columns) as f32);
        Rect::from_min_size(area.min + vec2((size.x + GAP) * column, (size.y + GAP) * row), size)
    };
    for (index, plot) in PLOTS.iter().enumerate() {
        ui.scope_builder(UiBuilder::new().max_rect(cell(index)), |ui| one(window, ui, &runs, plot, places.as_deref()));
    }
    ui.scope_builder(UiBuilder::new().max_rect(cell(PLOTS.len())), |ui| key(window, ui, &runs));
}

/// Points between plots.
const GAP: f32 = 6.0;

/// Which line is what.
fn key(window: &Window, ui: &mut Ui, runs: &[&Run]) {
    let colours = palette(ui);
    let line = |ui: &mut Ui, colour: Color32, dash: f32, words: &str| {
        ui.horizontal(|ui| {
            let (rect, _) = ui.allocate_exact_size(vec2(22.0, 12.0), eframe::egui::Sense::hover());
            let stroke = Stroke::new(2.0, colour);
            let ends = [rect.left_center(), rect.right_center()];
            if dash > 0.0 {
                ui.painter().extend(eframe::egui::Shape::dashed_line(&ends, stroke, dash, dash));
            } else {
                ui.painter().line_segment(ends, stroke);
            }
            ui.add(eframe::egui::Label::new(RichText::new(words).small()).truncate());
        });
    };
    eframe::egui::ScrollArea::vertical().id_salt("key of the curves").auto_shrink(false).show(ui, |ui| {
        ui.spacing_mut().item_spacing.y = 2.0;
        if let [_] = runs {
            for metric in [Metric::Total, Metric::Primal, Metric::Dual, Metric::Parameters, Metric::Macs] {
                let dash = match metric {
                    Metric::Primal | Metric::Parameters => 2.0,
                    Metric::Dual => 5.0,
                    _ => 0.0,
                };
                line(ui, of_metric(metric, colours), dash, &metric.label());
            }
        } else {
            for run in runs.iter().rev() {
                line(ui, colour(run.id, window.compress.chosen, colours), 0.0, run.name());
            }
        }
        line(ui, colours.weak, 5.0, &tr!("PSNR of the original"));
    });
}

/// Colour of a curve where there is one run.
fn of_metric(metric: Metric, colours: Palette) -> Color32 {
    match metric {
        Metric::Primal | Metric::Parameters => colours.good,
        Metric::Dual => colours.warning,
        _ => colours.accent,
    }
}

/// Colours of runs beside the chosen one.
pub(super) fn colour(id: RunId, chosen: Option<RunId>, colours: Palette) -> Color32 {
    if Some(id) == chosen { colours.accent } else { theme::of_many(id.0, colours) }
}

fn one(window: &Window, ui: &mut Ui, runs: &[&Run], subject: &Subject, places: Option<&[Place]>) {
    let colours = palette(ui);
    let choices = &window.shell.settings.compress.plots;
    let logarithmic = choices.log && subject.is_loss;
    ui.label(RichText::new(translated(subject.title)).small().strong());
    let several = runs.len() > 1;
    // Of several runs only what counts, or nobody finds a curve.
    let metrics = if several { &subject.metrics[subject.metrics.len() - 1..] } else { subject.metrics };
    if runs.iter().all(|run| metrics.iter().all(|&metric| run.curves.get(metric).last().is_none())) {
        centred_text(ui, ui.available_rect_before_wrap(), &tr!("Nothing of this was measured yet"));
        return;
    }
    let scaled = |value: f64| if logarithmic { value.max(1e-9).log10() } else { value };
    let searching = metrics == [Metric::SearchPsnr];
    let is_psnr = searching || metrics == [Metric::Psnr];
    let originals = runs.iter().filter(|_| is_psnr).filter_map(|run| run.curves.original_psnr(searching));
    let originals: Vec<f64> = originals.collect();
    let drawn = runs.iter().flat_map(|run| metrics.iter().flat_map(|&metric| run.curves.get(metric).points()));
    let values = drawn.map(|point| scaled(point.value)).chain(originals.iter().copied());
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let span = (high - low).max(subject.min_span);
    let middle = (low + high) / 2.0;
    // One number of digits for all marks of an axis.
    let digits = if logarithmic { 2 } else { (1.0 - span.log10().floor()).clamp(0.0, 3.0) as usize };
    let reading = move |value: f64, digits: usize| number(if logarithmic { 10_f64.powf(value) } else { value }, digits);
    let over_time = choices.over_time;
    let group = Id::unique("curves");
    let mut plot = Plot::new(Id::unique(("plot", subject.title)))
        .link_axis(group, [true, false])
        .link_cursor(group, [true, false])
        .grid_color(colours.line)
        .show_background(false)
        .y_axis_min_width(34.0)
        .include_y(middle - span / 2.0)
        .include_y(middle + span / 2.0)
        .y_axis_formatter(move |mark: GridMark, _| reading(mark.value, digits))
        .x_axis_formatter(
            move |mark: GridMark, _| {
                if over_time { format!("{:.0} s", mark.value) } else { format!("{:.0}", mark.value) }
            },
        )
        .label_formatter(move |hover| {
            let (name, value) = match hover {
                HoverPosition::NearDataPoint { plot_name, position, .. } => (*plot_name, position),
                HoverPosition::Elsewhere { .. } => return None,
            };
            let x = number(value.x, 0);
            let x = if over_time { format!("{x} s") } else { tr!("step %{step}", step = x) };
            Some(format!("{name}\n{x}: {}", reading(value.y, digits.max(2))))
        });
    // The same steps in all plots, whatever each has of them.
    let end = |run: &&Run| {
        let last = run.curves.extents(over_time).last().map_or(1.0, |(.., to)| *to);
        if over_time { last.max(run.curves.seconds) } else { last }
    };
    let ends = runs.iter().map(end).chain(places.and_then(|places| places.last()).map(|(.., to)| *to));
    plot = plot.include_x(0.0).include_x(ends.fold(1.0, f64::max));
    let main = *runs.last().expect("there is a run to draw");
    let own = main.curves.extents(over_time);
    let bands_of = places.unwrap_or(&own);
    let response = plot.show(ui, |plot| {
        bands(plot, bands_of, colours);
        for &original in &originals {
            let line = HLine::new(tr!("PSNR of the original"), original).color(colours.weak);
            plot.hline(line.style(LineStyle::Dashed { length: 5.0 }).width(1.0));
        }
        for run in runs {
            // One run has a colour a curve, several have a colour each.
            let own = colour(run.id, window.compress.chosen, colours);
            for (place, &metric) in metrics.iter().enumerate() {
                let colour = if several { own } else { of_metric(metric, colours) };
                let style = if several { LineStyle::Solid } else { STYLES[place] };
                let name = if several { run.name().to_owned() } else { metric.label() };
                draw(plot, run, metric, (style, colour, name), (choices, logarithmic, places));
            }
        }
    });
    stage_names(ui, &response.transform, bands_of);
}

/// A stage with where it begins and ends.
type Place = (Stage, f64, f64);

/// The loss that counts is drawn whole, its parts are not.
const STYLES: [LineStyle; 3] =
    [LineStyle::Dotted { spacing: 4.0 }, LineStyle::Dashed { length: 6.0 }, LineStyle::Solid];

/// Draws a curve of a run, each stage where it belongs.
fn draw(
    plot: &mut PlotUi<'_>,
    run: &Run,
    metric: Metric,
    (style, colour, name): (LineStyle, Color32, String),
    (choices, logarithmic, places): (&PlotChoices, bool, Option<&[Place]>),
) {
    let is_loss = matches!(metric, Metric::Primal | Metric::Dual | Metric::Total);
    let style = match metric {
        Metric::SearchPsnr | Metric::Psnr | Metric::Macs | Metric::Entropy => LineStyle::Solid,
        _ => style,
    };
    let amount = if is_loss { choices.smoothing } else { 0.0 };
    for (band, stage) in run.curves.by_stage(metric) {
        let begins = if choices.over_time { band.from_seconds } else { band.from };
        let place = places.and_then(|places| places.iter().find(|(stage, ..)| *stage == band.stage));
        let shift = place.map_or(0.0, |(_, from, _)| from - begins);
        let at = |point: Point| {
            let x = if choices.over_time { point.seconds } else { point.step };
            [x + shift, if logarithmic { point.value.max(1e-9).log10() } else { point.value }]
        };
        if amount > 0.0 && is_loss {
            // What was measured shines through.
            let raw: PlotPoints<'_> = stage.iter().map(|&point| at(point)).collect();
            plot.line(Line::new("", raw).color(colour.gamma_multiply(0.25)).width(1.0).allow_hover(false));
        }
        let points: Vec<[f64; 2]> = smoothed(stage, amount).into_iter().map(at).collect();
        if matches!(metric, Metric::SearchPsnr | Metric::Psnr) || points.len() == 1 {
            plot.points(Points::new(name.clone(), PlotPoints::from(points.clone())).color(colour).radius(2.5));
        }
        plot.line(Line::new(name.clone(), PlotPoints::from(points)).color(colour).style(style).width(1.6));
    }
}

/// Shades every other stage.
fn bands(plot: &mut PlotUi<'_>, places: &[Place], colours: Palette) {
    for (index, &(_, from, to)) in places.iter().enumerate() {
        if index % 2 == 0 {
            let span = Span::new("", from..=to).fill(colours.raised.gamma_multiply(0.5));
            plot.span(span.border(Stroke::NONE));
        }
    }
}

/// Names of the stages along the lower edge. No item of the plot, which would widen it and be in its legend.
fn stage_names(ui: &Ui, transform: &PlotTransform, places: &[Place]) {
    let frame = transform.frame();
    let painter = ui.painter().with_clip_rect(*frame);
    for &(stage, from, to) in places {
        let at = |x: f64| transform.position_from_point(&[x, 0.0].into()).x.clamp(frame.left(), frame.right());
        let (left, right) = (at(from), at(to));
        let name = translated(&stage.to_string());
        let galley = painter.layout_no_wrap(name, FontId::proportional(10.0), palette(ui).weak);
        if right - left > galley.size().x + 4.0 {
            painter.galley(
                pos2((left + right - galley.size().x) / 2.0, frame.bottom() - galley.size().y - 2.0),
                galley,
                palette(ui).weak,
            );
        }
    }
}
