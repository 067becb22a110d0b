//! Runs as points over what they cost: which are worth keeping.

use eframe::egui::{Id, RichText, Ui};
use egui_plot::{HLine, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoints, Points, Text};

use super::curves::colour;
use crate::{
    language::{number, tr, tr_counted, written},
    statistics::Group,
    window::{
        Window,
        compress::{
            actions::CompressAction,
            choices::{CostAxis, method_label},
            runs::{Run, RunId, listed, pareto},
        },
        outbox::Outbox,
        theme::palette,
        views::weak,
    },
};

/// The published networks: x4, Set5, with distillation from a larger network: name, share of multiply-accumulates and of
/// parameters in percent, PSNR minus that of the uncompressed DRN-S in dB.
const PUBLISHED: [(&str, f64, f64, f64); 3] =
    [("DRN-S30", 65.8, 64.9, -0.02), ("DRN-S50", 48.3, 47.2, -0.18), ("DRN-S70", 29.8, 29.7, -0.28)];

/// How near a click must be to a point, in points of the screen.
const NEAR: f32 = 14.0;

fn cost(run: &Run, axis: CostAxis) -> Option<f64> {
    let report = run.report.as_ref()?;
    Some(match axis {
        CostAxis::Macs => 100.0 * report.kept_macs_ratio,
        CostAxis::Parameters => 100.0 * report.kept_params_ratio,
        CostAxis::Milliseconds => 100.0 / run.latency.as_ref()?.speed_up(),
    })
}

/// A run, or runs of several seeds.
struct Dot {
    /// What a click chooses.
    id: RunId,
    name: String,
    label: String,
    x: f64,
    y: f64,
    /// Standard deviation of y.
    deviation: Option<f64>,
}

fn single(window: &Window, axis: CostAxis) -> Vec<Dot> {
    let table = &window.compress.table;
    let listed = listed(&window.compress.runs, &table.filter, table.column, table.descending);
    let dot = |run: &Run| {
        let (x, y) = (cost(run, axis)?, change(run)?);
        let name = format!("{} ({})", run.name(), method_label(run.config.method));
        Some(Dot { id: run.id, name, label: run.name().to_owned(), x, y, deviation: None })
    };
    window.compress.runs.iter().filter(|run| listed.contains(&run.id)).filter_map(dot).collect()
}

fn groups(window: &Window, axis: CostAxis) -> Vec<Dot> {
    let Some(statistics) = &window.compress.table.statistics else { return Vec::new() };
    let dot = |group: &Group| {
        let runs = statistics.runs(group);
        let x = window.spread_of(&runs, |run| cost(run, axis))?;
        let y = window.spread_of(&runs, change)?;
        let label = group.values.join(" ");
        let name = format!("{label}, {}", tr_counted!(y.count, "%{count} seed", "%{count} seeds"));
        Some(Dot { id: *runs.first()?, name, label, x: x.mean, y: y.mean, deviation: y.deviation })
    };
    statistics.grouping.groups.iter().filter_map(dot).collect()
}

/// PSNR against the original, in dB.
fn change(run: &Run) -> Option<f64> {
    run.report.as_ref().map(|report| report.psnr_after - report.psnr_before)
}

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let colours = palette(ui);
    let axis = window.shell.settings.compress.plots.cost;
    let label = match axis {
        CostAxis::Macs => tr!("multiply-accumulates, % of the original's"),
        CostAxis::Parameters => tr!("parameters, % of the original's"),
        CostAxis::Milliseconds => tr!("time, % of the original's"),
    };
    let finished = if window.compress.table.grouped { groups(window, axis) } else { single(window, axis) };
    ui.horizontal(|ui| {
        ui.label(RichText::new(tr!("PSNR against the original, dB")).small().strong());
        weak(ui, tr!("over"));
        weak(ui, label);
        if axis != CostAxis::Milliseconds {
            weak(ui, tr!("· hollow: published, on other pictures and with a teacher"));
        }
    });
    let front = pareto(&finished.iter().map(|dot| (dot.x, dot.y)).collect::<Vec<_>>());
    let chosen = window.compress.chosen;
    let plot = Plot::new(Id::unique("pareto"))
        .grid_color(colours.line)
        .show_background(false)
        .include_x(0.0)
        .include_x(100.0)
        .include_y(0.05)
        .y_axis_min_width(34.0)
        .label_formatter(move |hover| match hover {
            HoverPosition::NearDataPoint { plot_name, position, .. } => {
                let change = written(format!("{:+.2}", position.y));
                Some(format!("{plot_name}\n{} %, {change} dB", number(position.x, 1)))
            }
            HoverPosition::Elsewhere { .. } => None,
        });
    let response = plot.show(ui, |plot| {
        plot.hline(HLine::new(tr!("original"), 0.0).color(colours.weak).style(LineStyle::dashed_loose()));
        if front.len() > 1 {
            let points: PlotPoints<'_> = front.iter().map(|&(x, y)| [x, y]).collect();
            plot.line(Line::new(tr!("best of these"), points).color(colours.good).width(1.5).allow_hover(false));
        }
        for (name, macs, parameters, change) in PUBLISHED {
            let x = match axis {
                CostAxis::Macs => macs,
                CostAxis::Parameters => parameters,
                CostAxis::Milliseconds => continue,
            };
            let points = Points::new(name, vec![[x, change]]).color(colours.weak).radius(5.0);
            plot.points(points.shape(MarkerShape::Diamond).filled(false));
            let text = RichText::new(name).small().color(colours.weak);
            plot.text(Text::new("", [x, change].into(), text).anchor(eframe::egui::Align2::LEFT_BOTTOM));
        }
        for Dot { id, name, label, x, y, deviation } in &finished {
            let (colour, is_chosen) = (colour(*id, chosen, colours), Some(*id) == chosen);
            if let Some(deviation) = deviation.filter(|deviation| *deviation > 0.0) {
                let bar = vec![[*x, y - deviation], [*x, y + deviation]];
                plot.line(Line::new(name.clone(), bar).color(colour).width(1.5).allow_hover(false));
            }
            let points = Points::new(name.clone(), vec![[*x, *y]]).color(colour);
            plot.points(points.radius(if is_chosen { 6.0 } else { 4.5 }));
            let text = RichText::new(format!(" {label}")).small().color(colours.text);
            plot.text(Text::new("", [*x, *y].into(), text).anchor(eframe::egui::Align2::LEFT_CENTER));
        }
        let at = |x: f64, y: f64| plot.screen_from_plot([x, y].into());
        finished.iter().map(|dot| (dot.id, at(dot.x, dot.y))).collect::<Vec<_>>()
    });
    if response.response.clicked()
        && let Some(pointer) = response.response.interact_pointer_pos()
    {
        let distance = |place: &eframe::egui::Pos2| place.distance(pointer);
        let nearest = response.inner.iter().min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)));
        if let Some((id, place)) = nearest
            && distance(place) < NEAR
        {
            out.compress_action(CompressAction::Choose(*id));
        }
    }
}
