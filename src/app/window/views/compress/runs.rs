//! All runs in a table, and what can be done with each.

use std::time::SystemTime;

use dualres_compression::Mode;
use eframe::egui::{Align, Layout, Panel, RichText, Sense, TextEdit, Ui};
use egui_extras::{Column as Width, TableBuilder};

use super::{groups, pareto};
use crate::{
    language::{number, tr, translated, written},
    window::{
        Window,
        actions::Action,
        compress::{
            actions::CompressAction,
            choices::{CostAxis, method_label},
            remember,
            runs::{Column, Run, RunId, RunState, listed},
            state::Page,
        },
        outbox::Outbox,
        theme::palette,
        views::{canvas::centred_text, duration, icon_button, weak},
    },
};

pub(super) fn tools(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let before = window.shell.settings.compress.plots.clone();
    let mut plots = before.clone();
    for (axis, label) in [
        (CostAxis::Macs, "MACs".to_owned()),
        (CostAxis::Parameters, tr!("Parameters")),
        (CostAxis::Milliseconds, tr!("Time")),
    ] {
        ui.selectable_value(&mut plots.cost, axis, label).on_hover_text(tr!("What the points lie over"));
    }
    out.change(&before, plots, |plots| Action::Compress(CompressAction::SetPlots(Box::new(plots))));
    let hint = tr!(
        "Runs that differ in their seed alone as one: mean and standard deviation, and differences at the same seeds"
    );
    let mut grouped = window.compress.table.grouped;
    ui.checkbox(&mut grouped, tr!("Group by settings")).on_hover_text(hint);
    out.change(&window.compress.table.grouped, grouped, |grouped| {
        Action::Compress(CompressAction::GroupSeeds(grouped))
    });
    ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
        let hint = tr!(
            "A run folder, or a folder of run folders, which is then watched for news; another machine may be filling \
             it"
        );
        if ui.button(tr!("Open runs…")).on_hover_text(hint).clicked() {
            out.compress_action(CompressAction::OpenRun);
        }
        let before = &window.compress.table.filter;
        let mut words = before.clone();
        let filter = TextEdit::singleline(&mut words).hint_text(tr!("Filter"));
        let hint = tr!("Words in name, network, method, state or \"seed 1\"");
        ui.add(filter.desired_width(150.0)).on_hover_text(hint);
        out.change(before, words, |words| Action::Compress(CompressAction::Filter(words)));
    });
}

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.painter().rect_filled(ui.max_rect(), 0.0, palette(ui).panel);
    let height = (ui.available_height() * 0.46).max(150.0);
    Panel::top("pareto").exact_size(height).resizable(false).show(ui, |ui| pareto::ui(window, ui, out));
    if window.compress.run().is_some() {
        Panel::bottom("chosen run").show(ui, |ui| actions(window, ui, out));
    }
    eframe::egui::CentralPanel::default().show(ui, |ui| match window.compress.table.grouped {
        true => groups::ui(window, ui, out),
        false => table(window, ui, out),
    });
}

fn table(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let state = &window.compress.table;
    let rows = listed(&window.compress.runs, &state.filter, state.column, state.descending);
    if rows.is_empty() {
        let text = if window.compress.runs.iter().next().is_none() {
            tr!("Runs are listed here, finished or not. Press \"Compress\" to begin the first.")
        } else {
            tr!("No run matches the filter.")
        };
        centred_text(ui, ui.max_rect(), &text);
        return;
    }
    let colours = palette(ui);
    eframe::egui::ScrollArea::horizontal().auto_shrink(false).show(ui, |ui| {
        // The accent would drown the words of a whole row.
        ui.visuals_mut().selection.bg_fill = colours.hovered;
        ui.visuals_mut().selection.stroke.color = colours.text;
        ui.visuals_mut().faint_bg_color = colours.panel;
        let centred = Layout::left_to_right(Align::Center);
        let mut builder = TableBuilder::new(ui).sense(Sense::click()).resizable(true).cell_layout(centred);
        for (.., width) in Column::ALL {
            builder = builder.column(Width::initial(width).at_least(40.0).clip(true));
        }
        builder
            .column(Width::exact(22.0))
            .header(22.0, |mut header| {
                for (column, label, hint, _) in Column::ALL {
                    header.col(|ui| head(window, ui, out, column, label, hint));
                }
                header.col(|_| {});
            })
            .body(|body| {
                body.rows(22.0, rows.len(), |mut row| {
                    let id = rows[row.index()];
                    let Some(run) = window.compress.runs.get(id) else { return };
                    row.set_selected(window.compress.chosen == Some(id));
                    for (column, ..) in Column::ALL {
                        row.col(|ui| {
                            let colour = match (&run.state, column) {
                                (RunState::Failed(_), Column::State) => palette(ui).error,
                                (RunState::Done, Column::State) => palette(ui).good,
                                _ => palette(ui).text,
                            };
                            ui.label(RichText::new(cell(run, column)).small().color(colour));
                        });
                    }
                    row.col(|ui| overlay(window, ui, out, id));
                    let name = run.name().to_owned();
                    let response = row.response();
                    response.widget_info(|| {
                        let selected = window.compress.chosen == Some(id);
                        eframe::egui::WidgetInfo::selected(eframe::egui::Role::Row, true, selected, &name)
                    });
                    if response.double_clicked() {
                        out.compress_action(CompressAction::Choose(id));
                        out.compress_action(CompressAction::SetPage(if run.report.is_some() {
                            Page::Picture
                        } else {
                            Page::Curves
                        }));
                    } else if response.clicked() {
                        out.compress_action(CompressAction::Choose(id));
                    }
                });
            });
    });
}

fn head(window: &Window, ui: &mut Ui, out: &mut Outbox, column: Column, label: &str, hint: &str) {
    let table = &window.compress.table;
    let sign = match (table.column == column, table.descending) {
        (true, true) => " ⏷",
        (true, false) => " ⏶",
        _ => "",
    };
    let text = RichText::new(format!("{}{sign}", translated(label))).small().strong();
    let button = ui.add(eframe::egui::Button::new(text).frame(false));
    if button.on_hover_text(tr!("%{hint}. Click to order by it.", hint = translated(hint))).clicked() {
        let descending = if table.column == column { !table.descending } else { column != Column::Name };
        out.compress_action(CompressAction::OrderBy(column, descending));
    }
}

/// Whether the run's curves are drawn beside the chosen one's.
fn overlay(window: &Window, ui: &mut Ui, out: &mut Outbox, id: RunId) {
    let mut on = window.compress.overlaid.contains(&id);
    let check = ui.checkbox(&mut on, "");
    let name = window.compress.runs.get(id).map_or_else(String::new, |run| run.name().to_owned());
    crate::window::views::named(&check, &tr!("Draw the curves of %{run}", run = name));
    if check.on_hover_text(tr!("Draw its curves beside those of the chosen run")).changed() {
        out.compress_action(CompressAction::Overlay(id, on));
    }
}

/// What a column says of a run.
fn cell(run: &Run, column: Column) -> String {
    if matches!(column, Column::Name | Column::Method | Column::Mode | Column::State) {
        return column.word(run);
    }
    let Some(value) = column.number(run) else { return "–".into() };
    match column {
        Column::Ratio => format!("{} %", number(100.0 * value, 0)),
        Column::Lambda => number(value, 2),
        Column::Seed => number(value, 0),
        Column::Macs | Column::Parameters => format!("{} %", number(100.0 * value, 1)),
        Column::Change => written(format!("{value:+.2}")),
        Column::Milliseconds => run.latency.as_ref().map_or("–".into(), |latency| {
            let about = if latency.is_noisy() { "≈ " } else { "" };
            format!("{about}{} ms, {}×", number(latency.compressed, 0), number(latency.speed_up(), 2))
        }),
        Column::Duration => duration(std::time::Duration::from_secs_f64(value)),
        Column::Date => SystemTime::now()
            .duration_since(run.changed)
            .map_or_else(|_| tr!("now"), |age| tr!("%{time} ago", time = duration(age))),
        _ => number(value, 2),
    }
}

/// What can be done with the chosen run.
fn actions(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let Some(run) = window.compress.run().cloned() else { return };
    let own = remember::is_own(&run.folder, &window.services.paths);
    ui.add_space(3.0);
    ui.horizontal(|ui| {
        ui.label(RichText::new(run.name()).strong());
        weak(ui, facts(&run));
    });
    ui.horizontal(|ui| {
        if ui.button(tr!("Show curves")).clicked() {
            out.compress_action(CompressAction::SetPage(Page::Curves));
        }
        let show = eframe::egui::Button::new(tr!("Show on the picture"));
        if ui.add_enabled(run.report.is_some(), show).clicked() {
            out.compress_action(CompressAction::Choose(run.id));
            out.compress_action(CompressAction::SetPage(Page::Picture));
        }
        let hint = tr!("Chooses its settings on the left, for another run");
        if ui.button(tr!("Take its settings")).on_hover_text(hint).clicked() {
            out.compress_action(CompressAction::TakeSettings(run.id));
        }
        let hint = tr!("The folder stays as it is");
        if !own && ui.button(tr!("Take out of the list")).on_hover_text(hint).clicked() {
            out.compress_action(CompressAction::Leave(run.id));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let busy = run.state == RunState::Running;
            ui.add_enabled_ui(!busy, |ui| {
                let hint = tr!("Delete the run and its folder…");
                if icon_button(ui, "🗑", &tr!("Delete the run"), &hint).clicked() {
                    out.compress_action(CompressAction::AskDelete(run.id));
                }
            });
        });
    });
    ui.add_space(2.0);
}

fn facts(run: &Run) -> String {
    let config = &run.config;
    let share = number(100.0 * config.ratio, 0);
    let of_what = match config.mode {
        Mode::Budget => tr!("%{share} % of network", share = share),
        Mode::Paper => tr!("%{share} % of each layer", share = share),
    };
    let method = method_label(config.method);
    let mut facts = vec![tr!("%{method} of %{network}", method = method, network = run.original.name), of_what];
    if config.widths.is_some() {
        facts.push(tr!("widths by hand"));
    }
    facts.push(tr!("lambda %{lambda}", lambda = written(config.search.lambda.to_string())));
    facts.push(tr!("seed %{seed}", seed = config.seed));
    let time = duration(std::time::Duration::from_secs_f64(run.curves.seconds));
    facts.push(tr!("%{time} of work", time = time));
    facts.join(", ")
}
