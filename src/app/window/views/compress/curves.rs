//! The curves of runs, drawn from what they reported.

use dualres_compression::Stage;
use eframe::egui::{
    Align, Color32, FontId, Id, Layout, Rect, RichText, Slider, Stroke, TextStyle, Ui, UiBuilder, pos2, vec2,
};
use egui_plot::{
    GridMark, HoverPosition, Legend, Line, LineStyle, Plot, PlotPoints, PlotTransform, PlotUi, Points, Span,
};

use crate::{
    language::{number, tr, translated},
    window::{
        Window,
        actions::Action,
        compress::{
            actions::CompressAction,
            choices::PlotChoices,
            curves::{Band, Metric, Point, smoothed},
            runs::{Run, RunId},
        },
        outbox::Outbox,
        theme::{self, Palette, palette},
        views::{canvas::centred_text, named},
    },
};

/// The plots: what they are called, what they draw, and whether they are losses.
const PLOTS: [(&str, &[Metric], bool); 4] = [
    ("Loss", &[Metric::Primal, Metric::Dual, Metric::Total], true),
    ("Validation PSNR, dB", &[Metric::Psnr], false),
    ("Kept, %", &[Metric::Parameters, Metric::Macs], false),
    ("Alpha entropy", &[Metric::Entropy], false),
];

/// Width that all tools have room in beside each other.
const ROOM_FOR_TOOLS: f32 = 400.0;

pub(super) fn tools(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    if ui.available_width() < ROOM_FOR_TOOLS {
        ui.menu_button(tr!("Options"), |ui| {
            options(window, ui, out);
            ui.separator();
            exports(ui, out);
        });
        return;
    }
    options(window, ui, out);
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| exports(ui, out));
}

fn options(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let before = window.shell.settings.compress.plots.clone();
    let mut plots = before.clone();
    ui.checkbox(&mut plots.log, tr!("Log")).on_hover_text(tr!("Logarithmic axis for losses"));
    ui.selectable_value(&mut plots.over_time, false, tr!("Steps"))
        .on_hover_text(tr!("Curves over steps of all stages"));
    ui.selectable_value(&mut plots.over_time, true, tr!("Time")).on_hover_text(tr!("Curves over seconds of work"));
    ui.spacing_mut().slider_width = 70.0;
    let slider = ui.add(Slider::new(&mut plots.smoothing, 0.0..=0.98).show_value(false));
    named(&slider, &tr!("Smoothing"));
    slider.on_hover_text(tr!(
        "Smoothing of losses: %{amount}. 0 draws what was measured.",
        amount = number(plots.smoothing, 2)
    ));
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
    // In a small window one below the other would leave nothing of each.
    let half = (area.size() - vec2(6.0, 6.0)) / 2.0;
    for (index, plot) in PLOTS.iter().enumerate() {
        let corner = area.min + vec2((half.x + 6.0) * (index % 2) as f32, (half.y + 6.0) * (index / 2) as f32);
        let place = Rect::from_min_size(corner, half);
        ui.scope_builder(UiBuilder::new().max_rect(place), |ui| one(window, ui, &runs, plot));
    }
}

/// Colours of runs beside the chosen one.
pub(super) fn colour(id: RunId, chosen: Option<RunId>, colours: Palette) -> Color32 {
    if Some(id) == chosen { colours.accent } else { theme::of_many(id.0, colours) }
}

fn one(window: &Window, ui: &mut Ui, runs: &[&Run], (title, metrics, is_loss): &(&str, &[Metric], bool)) {
    let colours = palette(ui);
    let choices = &window.shell.settings.compress.plots;
    let logarithmic = choices.log && *is_loss;
    ui.label(RichText::new(translated(title)).small().strong());
    let several = runs.len() > 1;
    // Of several runs only what counts, or nobody finds a curve.
    let metrics = if several { &metrics[metrics.len() - 1..] } else { metrics };
    if runs.iter().all(|run| metrics.iter().all(|&metric| run.curves.get(metric).last().is_none())) {
        centred_text(ui, ui.available_rect_before_wrap(), &tr!("Nothing of this was measured yet"));
        return;
    }
    let reading = move |value: f64, step: f64| {
        let (value, step) = if logarithmic { (10_f64.powf(value), 0.01) } else { (value, step) };
        let digits = (-step.log10().floor()).clamp(0.0, 3.0) as usize;
        number(value, digits)
    };
    let over_time = choices.over_time;
    let group = Id::unique("curves");
    let mut plot = Plot::new(Id::unique(("plot", *title)))
        .link_axis(group, [true, false])
        .link_cursor(group, [true, false])
        .grid_color(colours.line)
        .show_background(false)
        .y_axis_min_width(34.0)
        .y_axis_formatter(move |mark: GridMark, _| reading(mark.value, mark.step_size))
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
            Some(format!("{name}\n{x}: {}", reading(value.y, 0.01)))
        });
    // The same steps in all plots, whatever each has of them.
    let end = |run: &&Run| {
        let last = extents(run, over_time).last().map_or(1.0, |(.., to)| *to);
        if over_time { last.max(run.curves.seconds) } else { last }
    };
    plot = plot.include_x(0.0).include_x(runs.iter().map(end).fold(1.0, f64::max));
    if metrics.len() > 1 || several {
        plot = plot.legend(Legend::default().background_alpha(0.7).text_style(TextStyle::Small));
    }
    let main = *runs.last().expect("there is a run to draw");
    let response = plot.show(ui, |plot| {
        bands(plot, main, over_time, colours);
        for run in runs {
            // One run has a colour a curve, several have a colour each.
            let own = colour(run.id, window.compress.chosen, colours);
            let of_metric = |metric: Metric| match metric {
                Metric::Primal | Metric::Parameters => colours.good,
                Metric::Dual => colours.warning,
                _ => colours.accent,
            };
            for (place, &metric) in metrics.iter().enumerate() {
                let colour = if several { own } else { of_metric(metric) };
                let style = if several { LineStyle::Solid } else { STYLES[place] };
                draw(plot, run, metric, style, colour, choices, logarithmic, several);
            }
        }
    });
    stage_names(ui, &response.transform, main, over_time);
}

/// The loss that counts is drawn whole, its parts are not.
const STYLES: [LineStyle; 3] =
    [LineStyle::Dotted { spacing: 4.0 }, LineStyle::Dashed { length: 6.0 }, LineStyle::Solid];

#[expect(clippy::too_many_arguments, reason = "one call site; a struct would only rename them")]
fn draw(
    plot: &mut PlotUi<'_>,
    run: &Run,
    metric: Metric,
    style: LineStyle,
    colour: Color32,
    choices: &PlotChoices,
    logarithmic: bool,
    named: bool,
) {
    let is_loss = matches!(metric, Metric::Primal | Metric::Dual | Metric::Total);
    let at = |point: Point| {
        let x = if choices.over_time { point.seconds } else { point.step };
        [x, if logarithmic { point.value.max(1e-9).log10() } else { point.value }]
    };
    let name = if named { run.name().to_owned() } else { metric.label() };
    let style = match metric {
        Metric::Psnr | Metric::Macs | Metric::Entropy => LineStyle::Solid,
        _ => style,
    };
    let amount = if is_loss { choices.smoothing } else { 0.0 };
    for stage in run.curves.by_stage(metric) {
        if amount > 0.0 && metric == Metric::Total {
            // What was measured shines through.
            let raw: PlotPoints<'_> = stage.iter().map(|&point| at(point)).collect();
            plot.line(Line::new("", raw).color(colour.gamma_multiply(0.25)).width(1.0).allow_hover(false));
        }
        let points: Vec<[f64; 2]> = smoothed(stage, amount).into_iter().map(at).collect();
        if metric == Metric::Psnr || points.len() == 1 {
            plot.points(Points::new(name.clone(), PlotPoints::from(points.clone())).color(colour).radius(2.5));
        }
        plot.line(Line::new(name.clone(), PlotPoints::from(points)).color(colour).style(style).width(1.6));
    }
}

/// Stages of a run with where they begin and end.
fn extents(run: &Run, over_time: bool) -> Vec<(Stage, f64, f64)> {
    let all = &run.curves.bands;
    let extent = |(index, band): (usize, &Band)| {
        let next = all.get(index + 1);
        let (from, to) = if over_time {
            (band.from_seconds, next.map_or(run.curves.seconds, |next| next.from_seconds))
        } else {
            (band.from, next.map_or(band.from + band.done.max(1) as f64, |next| next.from))
        };
        (band.stage, from, to)
    };
    all.iter().enumerate().map(extent).filter(|(_, from, to)| to > from).collect()
}

/// Shades every other stage of a run.
fn bands(plot: &mut PlotUi<'_>, run: &Run, over_time: bool, colours: Palette) {
    for (index, (_, from, to)) in extents(run, over_time).into_iter().enumerate() {
        if index % 2 == 0 {
            let span = Span::new("", from..=to).fill(colours.raised.gamma_multiply(0.5));
            plot.span(span.border(Stroke::NONE));
        }
    }
}

/// Names of the stages along the lower edge. No item of the plot, which would widen it and be in its legend.
fn stage_names(ui: &Ui, transform: &PlotTransform, run: &Run, over_time: bool) {
    let frame = transform.frame();
    let painter = ui.painter().with_clip_rect(*frame);
    for (stage, from, to) in extents(run, over_time) {
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
