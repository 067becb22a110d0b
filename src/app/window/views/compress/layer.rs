//! The layer that is marked: its channels, what they were judged by, what hangs together with it, and how likely each width
//! is.

use dualres_compression::{Layers, Profile};
use dualres_network::ChannelGroup;
use eframe::egui::{DragValue, Grid, Id, Label, Rect, RichText, ScrollArea, Sense, Slider, Ui, pos2, vec2};
use egui_plot::{Bar, BarChart, Line, Plot, PlotPoints};

use crate::{
    language::{number, tr},
    window::{
        Window,
        compress::{actions::CompressAction, state::ProfileState},
        outbox::Outbox,
        theme::palette,
        views::{named, weak},
    },
};

/// The network whose layers are shown.
fn architecture(window: &Window) -> Option<&Layers> {
    let own = &window.compressed_model()?.layers;
    Some(window.compress.run().map_or(own, |run| &run.layers))
}

/// Layers that produce the channels of a group.
fn makers(group: &ChannelGroup) -> String {
    group.producers.iter().map(|member| member.layer.as_str()).collect::<Vec<_>>().join(", ")
}

/// Layers that take them.
fn users(group: &ChannelGroup) -> String {
    group.consumers.iter().map(|member| member.layer.as_str()).collect::<Vec<_>>().join(", ")
}

/// What is said of a layer under the pointer.
pub(super) fn tip(window: &Window, ui: &mut Ui, unit: usize) {
    let Some(architecture) = architecture(window) else { return };
    let group = &architecture.groups[unit];
    ui.label(RichText::new(architecture.name(unit)).strong());
    ui.label(tr!("%{channels} channels between", channels = architecture.widths[unit]));
    weak(ui, makers(group));
    weak(ui, users(group));
    if group.filters > 1 {
        weak(ui, tr!("A channel is %{filters} filters: a pixel shuffle lies between", filters = group.filters));
    }
    let Some(run) = window.compress.run() else { return };
    if let Some(width) = run.result_widths().and_then(|widths| widths.get(unit).copied()) {
        ui.label(tr!("%{name}: %{channels} channels", name = run.name(), channels = width));
    }
    if let (Some(kept), Some(scores)) = (run.kept.get(unit), run.scores.get(unit)) {
        let mut best: Vec<usize> = kept.clone();
        if !scores.is_empty() {
            best.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        }
        let listed: Vec<String> = best.iter().take(12).map(ToString::to_string).collect();
        let more = if best.len() > 12 { ", …" } else { "" };
        let channels = format!("{}{more}", listed.join(", "));
        weak(ui, tr!("Kept, the best first: %{channels}", channels = channels));
    }
}

pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox, unit: usize) {
    let Some(architecture) = architecture(window).cloned() else { return };
    ScrollArea::vertical().id_salt("unit").auto_shrink(false).show(ui, |ui| {
        ui.set_max_width(ui.available_width() - 10.0);
        let group = &architecture.groups[unit];
        ui.label(RichText::new(architecture.name(unit)).strong());
        if window.compress.width_editor.full == architecture.widths {
            set(window, ui, out, unit);
        }
        Grid::new("unit facts").num_columns(2).spacing([8.0, 2.0]).show(ui, |ui| {
            let mut fact = |label: &str, value: &str| {
                ui.label(RichText::new(label).small().weak());
                ui.add(Label::new(RichText::new(value).small()).truncate()).on_hover_text(value);
                ui.end_row();
            };
            fact(&tr!("made by"), &makers(group));
            fact(&tr!("used by"), &users(group));
            if group.filters > 1 {
                fact(&tr!("a channel is"), &tr!("%{filters} filters (pixel shuffle)", filters = group.filters));
            }
        });
        channels(window, ui, unit, architecture.widths[unit]);
        likelihood(window, ui, unit);
        if let ProfileState::Ready(profile) = &window.compress.profile
            && profile.layers == architecture
        {
            sensitivity(ui, profile, unit);
        }
    });
}

fn set(window: &Window, ui: &mut Ui, out: &mut Outbox, unit: usize) {
    let full = window.compress.width_editor.full[unit];
    let mut width = window.compress.width_editor.widths[unit];
    ui.spacing_mut().slider_width = ui.available_width() - 62.0;
    // A layer of a block goes with it.
    let can_go = window.compressed_model().is_some_and(|entry| entry.layers.block_of(unit).is_some());
    let slider = ui.add(Slider::new(&mut width, usize::from(!can_go)..=full));
    named(&slider, &tr!("Width of the marked layer"));
    if slider.changed() {
        out.compress_action(CompressAction::SetWidth(unit, width));
    }
    ui.horizontal(|ui| {
        let width_editor = &window.compress.width_editor;
        let (mut locked, mut fewest) = (width_editor.locked[unit], width_editor.least[unit]);
        let lock = ui.checkbox(&mut locked, tr!("locked"));
        if lock.on_hover_text(tr!("Keep this width when the ratio changes")).changed() {
            out.compress_action(CompressAction::Lock(unit, locked));
        }
        let label = ui.label(tr!("at least"));
        let least = ui.add(DragValue::new(&mut fewest).range(1..=full)).labelled_by(label.id);
        if least.on_hover_text(tr!("Fewest channels of this layer")).changed() {
            out.compress_action(CompressAction::SetLeast(unit, fewest));
        }
    });
}

/// The channels in their order, as high as what they were judged by.
fn channels(window: &Window, ui: &mut Ui, unit: usize, full: usize) {
    let Some(run) = window.compress.run() else { return };
    let Some(kept) = run.kept.get(unit) else { return };
    let colours = palette(ui);
    let scores = run.scores.get(unit).filter(|scores| scores.len() == full);
    weak(ui, tr!("%{kept} of %{full} channels stay in %{run}", kept = kept.len(), full = full, run = run.name()));
    let (rect, response) = ui.allocate_exact_size(vec2(ui.available_width(), 36.0), Sense::hover());
    let most = scores.map_or(1.0, |scores| scores.iter().copied().fold(f64::MIN_POSITIVE, f64::max));
    let cell = rect.width() / full as f32;
    for channel in 0..full {
        let height = scores.map_or(1.0, |scores| (scores[channel] / most).clamp(0.04, 1.0)) as f32 * rect.height();
        let left = rect.left() + cell * channel as f32;
        let bar =
            Rect::from_min_max(pos2(left, rect.bottom() - height), pos2(left + (cell - 1.0).max(1.0), rect.bottom()));
        let colour = if kept.binary_search(&channel).is_ok() { colours.good } else { colours.line };
        ui.painter().rect_filled(bar, 1.0, colour);
    }
    if let Some(pointer) = response.hover_pos() {
        let channel = (((pointer.x - rect.left()) / cell) as usize).min(full - 1);
        let score = scores.map(|scores| number(scores[channel], 3));
        let text = match (kept.binary_search(&channel).is_ok(), score) {
            (true, None) => tr!("Channel %{channel} stays", channel = channel),
            (true, Some(score)) => tr!("Channel %{channel} stays, judged %{score}", channel = channel, score = score),
            (false, None) => tr!("Channel %{channel} goes", channel = channel),
            (false, Some(score)) => tr!("Channel %{channel} goes, judged %{score}", channel = channel, score = score),
        };
        response.on_hover_text(text);
    }
}

/// How likely each candidate width is.
fn likelihood(window: &Window, ui: &mut Ui, unit: usize) {
    let Some((widths, probabilities)) = window.alpha_of(unit) else { return };
    weak(ui, tr!("Likelihood of each width in the search"));
    let colours = palette(ui);
    let step = widths.windows(2).map(|pair| pair[1] - pair[0]).min().unwrap_or(4) as f64;
    let bars =
        widths.iter().zip(probabilities).map(|(&width, &p)| Bar::new(width as f64, p).width(step * 0.8)).collect();
    let last = widths.last().map_or(1.0, |&width| width as f64);
    small_plot("alpha")
        .include_y(1.0)
        .default_x_bounds(0.0, last + step)
        .show(ui, |plot| plot.bar_chart(BarChart::new(tr!("likelihood"), bars).color(colours.warning)));
}

/// What the network loses with each width of this layer alone.
fn sensitivity(ui: &mut Ui, profile: &Profile, unit: usize) {
    weak(ui, tr!("Primal and dual loss with this layer alone cut to a width"));
    let colours = palette(ui);
    let of = &profile.units[unit];
    let points = |values: &[f64]| -> PlotPoints<'static> {
        let last = values.last().copied().unwrap_or_default();
        of.widths.iter().zip(values).map(|(&width, &value)| [width as f64, value - last]).collect()
    };
    small_plot("sensitivity").show(ui, |plot| {
        plot.line(Line::new(tr!("primal loss"), points(&of.primal)).color(colours.accent));
        plot.line(Line::new(tr!("dual loss"), points(&of.dual)).color(colours.good));
    });
}

fn small_plot(salt: &str) -> Plot<'static> {
    Plot::new(Id::unique(salt.to_owned()))
        .height(86.0)
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .allow_boxed_zoom(false)
        .show_x(false)
        .show_y(false)
        .y_axis_min_width(28.0)
}
