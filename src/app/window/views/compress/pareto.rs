//! Runs as points over what they cost: which are worth keeping.

use eframe::egui::{Id, RichText, Ui};
use egui_plot::{HLine, HoverPosition, Line, LineStyle, MarkerShape, Plot, PlotPoints, Points, Text};

use super::curves::colour;
use crate::window::{
    Window,
    compress::{
        choices::{CostAxis, method_label},
        deeds::Deed,
        runs::{Run, RunId, listed, pareto},
    },
    theme::palette,
    views::weak,
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

pub(super) fn ui(window: &mut Window, ui: &mut Ui) {
    let colours = palette(ui);
    let axis = window.settings.compress.plots.cost;
    let label = match axis {
        CostAxis::Macs => "multiply-accumulates, % of the original's",
        CostAxis::Parameters => "parameters, % of the original's",
        CostAxis::Milliseconds => "time, % of the original's",
    };
    let table = &window.compress.table;
    let listed = listed(&window.compress.runs, &table.filter, table.column, table.descending);
    let finished: Vec<(RunId, String, f64, f64)> = window
        .compress
        .runs
        .iter()
        .filter(|run| listed.contains(&run.id))
        .filter_map(|run| {
            let report = run.report.as_ref()?;
            let name = format!("{} ({})", run.name(), method_label(run.config.method));
            Some((run.id, name, cost(run, axis)?, report.psnr_after - report.psnr_before))
        })
        .collect();
    ui.horizontal(|ui| {
        ui.label(RichText::new("PSNR against the original, dB").small().strong());
        weak(ui, "over");
        weak(ui, label);
        if axis != CostAxis::Milliseconds {
            weak(ui, "· hollow: published, on other pictures and with a teacher");
        }
    });
    let front = pareto(&finished.iter().map(|(.., x, y)| (*x, *y)).collect::<Vec<_>>());
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
                Some(format!("{plot_name}\n{:.1} %, {:+.2} dB", position.x, position.y))
            }
            HoverPosition::Elsewhere { .. } => None,
        });
    let response = plot.show(ui, |plot| {
        plot.hline(HLine::new("original", 0.0).color(colours.weak).style(LineStyle::dashed_loose()));
        if front.len() > 1 {
            let points: PlotPoints<'_> = front.iter().map(|&(x, y)| [x, y]).collect();
            plot.line(Line::new("best of these", points).color(colours.good).width(1.5).allow_hover(false));
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
        for (id, name, x, y) in &finished {
            let is_chosen = Some(*id) == chosen;
            let points = Points::new(name.clone(), vec![[*x, *y]]).color(colour(*id, chosen, colours));
            plot.points(points.radius(if is_chosen { 6.0 } else { 4.5 }));
            let named = window.compress.runs.get(*id).map_or("", Run::name);
            let text = RichText::new(format!(" {named}")).small().color(colours.text);
            plot.text(Text::new("", [*x, *y].into(), text).anchor(eframe::egui::Align2::LEFT_CENTER));
        }
        let at = |x: f64, y: f64| plot.screen_from_plot([x, y].into());
        finished.iter().map(|(id, _, x, y)| (*id, at(*x, *y))).collect::<Vec<_>>()
    });
    if response.response.clicked()
        && let Some(pointer) = response.response.interact_pointer_pos()
    {
        let distance = |place: &eframe::egui::Pos2| place.distance(pointer);
        let nearest = response.inner.iter().min_by(|(_, a), (_, b)| distance(a).total_cmp(&distance(b)));
        if let Some((id, place)) = nearest
            && distance(place) < NEAR
        {
            window.deed(Deed::Choose(*id));
        }
    }
}
