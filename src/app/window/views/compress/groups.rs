//! Runs of several seeds as rows, and what a setting makes of them.

use eframe::egui::{Align, Layout, Panel, RichText, ScrollArea, Sense, Ui};
use egui_extras::{Column as Width, TableBuilder};

use crate::{
    language::{tr, tr_counted, translated, written},
    statistics::Difference,
    window::{
        Window,
        compress::{actions::CompressAction, runs::Run},
        outbox::Outbox,
        theme::palette,
        views::{canvas::centred_text, weak},
    },
};

/// A column: its head in English, digits after the point, and what stands there.
type Measure = (&'static str, usize, fn(&Run) -> Option<f64>);

/// The columns after the settings.
const MEASURES: [Measure; 4] = [
    ("MACs, %", 1, |run| Some(100.0 * run.report.as_ref()?.kept_macs_ratio)),
    ("PSNR, dB", 2, |run| Some(run.report.as_ref()?.psnr_after)),
    ("Change, dB", 2, |run| run.report.as_ref().map(|report| report.psnr_after - report.psnr_before)),
    ("Consistency, dB", 2, |run| run.report.as_ref()?.loop_psnr_after),
];

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let Some(statistics) = &window.compress.table.statistics else { return };
    if statistics.grouping.groups.is_empty() {
        centred_text(ui, ui.max_rect(), &tr!("No finished run."));
    } else {
        if !statistics.differences.is_empty() {
            let height = (ui.available_height() * 0.4).max(60.0);
            Panel::bottom("differences").max_size(height).show(ui, |ui| {
                ui.label(RichText::new(tr!("Differences in PSNR at the same seeds")).small().strong());
                ScrollArea::vertical().auto_shrink([false, true]).show(ui, |ui| {
                    for difference in &statistics.differences {
                        weak(ui, sentence(difference));
                    }
                });
            });
        }
        ScrollArea::horizontal().auto_shrink(false).show(ui, |ui| {
            let colours = palette(ui);
            ui.visuals_mut().selection.bg_fill = colours.hovered;
            ui.visuals_mut().selection.stroke.color = colours.text;
            ui.visuals_mut().faint_bg_color = colours.panel;
            let centred = Layout::left_to_right(Align::Center);
            let mut builder = TableBuilder::new(ui).sense(Sense::click()).resizable(true).cell_layout(centred);
            let columns = &statistics.grouping.columns;
            for _ in columns {
                builder = builder.column(Width::initial(96.0).at_least(40.0).clip(true));
            }
            builder = builder.column(Width::initial(44.0));
            for _ in MEASURES {
                builder = builder.column(Width::initial(104.0).at_least(60.0).clip(true));
            }
            let text = |ui: &mut Ui, text: &str| ui.label(RichText::new(text).small());
            builder
                .header(22.0, |mut header| {
                    let heads = MEASURES.iter().map(|(label, ..)| translated(label));
                    for head in columns.iter().cloned().chain([tr!("Runs")]).chain(heads) {
                        header.col(|ui| drop(ui.label(RichText::new(head).small().strong())));
                    }
                })
                .body(|body| {
                    body.rows(22.0, statistics.grouping.groups.len(), |mut row| {
                        let group = &statistics.grouping.groups[row.index()];
                        let runs = statistics.runs(group);
                        row.set_selected(window.compress.chosen.is_some_and(|chosen| runs.contains(&chosen)));
                        for value in &group.values {
                            row.col(|ui| drop(text(ui, value)));
                        }
                        row.col(|ui| drop(text(ui, &runs.len().to_string())));
                        for (_, digits, of) in MEASURES {
                            let spread = window.spread_of(&runs, of);
                            let value = spread.map_or("–".into(), |spread| written(spread.text(digits)));
                            row.col(|ui| drop(text(ui, &value)));
                        }
                        if row.response().clicked()
                            && let Some(first) = runs.first()
                        {
                            out.compress_action(CompressAction::Choose(*first));
                        }
                    });
                });
        });
    }
}

/// What a difference between two groups is, in a line.
fn sentence(difference: &Difference) -> String {
    let Difference { setting, compared, with, others, spread } = difference;
    let between = match others.as_str() {
        "" => tr!("%{setting} %{compared} against %{with}", setting = setting, compared = compared, with = with),
        _ => tr!(
            "%{setting} %{compared} against %{with} (%{others})",
            setting = setting,
            compared = compared,
            with = with,
            others = others
        ),
    };
    let mean = signed(spread.mean);
    let interval = match spread.half_interval() {
        Some(half) => {
            let (low, high) = (signed(spread.mean - half), signed(spread.mean + half));
            tr!("95 % interval %{low} to %{high}", low = low, high = high)
        }
        None => tr!("one seed: no interval"),
    };
    let seeds = tr_counted!(spread.count, "%{count} seed", "%{count} seeds");
    format!("{between}: {mean} dB, {interval}, {seeds}")
}

fn signed(value: f64) -> String {
    written(format!("{value:+.2}"))
}
