//! Adapting a model to photos: the button, the question, the progress, and before beside after.

use eframe::egui::{
    Align, Context, Grid, Id, Layout, Modal, ProgressBar, Rect, RichText, TextEdit, Ui, UiBuilder, vec2,
};

use super::{
    canvas::{Canvas, PaneContent},
    decibels, duration, primary_button, weak,
};
use crate::{
    adaptation::Effort,
    language::tr,
    window::{
        Window,
        actions::{self, Action},
        adapting::{AdaptAction, Adapting, Wish},
        canvas::gpu::Mode,
        document::Map,
        outbox::Outbox,
        sheet::Sheet,
        theme::palette,
    },
};

/// Forward and back again take this many times the time of forward alone.
const TRAINING: f64 = 3.0;

/// Below the choice of the model: the way to one of the user's own.
pub(crate) fn entry(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    match &window.upscale.adapting {
        Adapting::Running(running) => {
            let (part, text) = running.progress();
            // Beside the bar, not on it: what is on it has to be read on two grounds.
            weak(ui, format!("{}: {text}", running.name));
            ui.horizontal(|ui| {
                let cancel = ui.button(tr!("Cancel")).on_hover_text(tr!("What was learned is kept for the next time"));
                if cancel.clicked() {
                    out.push(Action::Adapt(AdaptAction::Cancel));
                }
                ui.add(ProgressBar::new(part).desired_height(6.0));
            });
        }
        Adapting::Offered(_) => {
            weak(ui, tr!("Keep or discard the adapted model first."));
        }
        Adapting::Idle => {
            let is_open = window.upscale.selected.is_some_and(|id| window.upscale.documents.get(id).is_some());
            let button = ui.add_enabled(is_open, eframe::egui::Button::new(tr!("Adapt model to these photos…")));
            let hint = tr!("Learns how your camera blurs, adds noise and compresses, from the photos in the queue");
            if button.on_hover_text(hint).on_disabled_hover_text(tr!("Open a photo first")).clicked() {
                out.push(Action::Adapt(AdaptAction::Ask));
            }
        }
    }
}

/// What is to be adapted to what.
pub(crate) fn sheet(window: &Window, before: &Wish, ctx: &Context, out: &mut Outbox) {
    let mut wish = before.clone();
    let entry = window.models.entries.iter().find(|entry| entry.name == wish.model);
    let has_duals = entry.is_some_and(|entry| entry.has_duals);
    let scale = entry.map_or(2, |entry| entry.description.scale());
    let speed = window.speed(&wish.model).filter(|&speed| speed > 0.0);
    let device = window.device().to_owned();
    let is_remote = window.services.devices.iter().any(|known| known.name == device && known.is_remote);
    let modal = Modal::new(Id::unique("adapt")).show(ctx, |ui| {
        ui.set_width(460.0_f32.min(ctx.content_rect().width() - 60.0));
        ui.label(RichText::new(tr!("Adapt model to your photos")).heading());
        ui.add_space(4.0);
        let explanation = if is_remote {
            tr!("Estimates how the photos were blurred, made noisy and compressed, and trains the model for that. \
                 Parts of the photos are sent to the remote device, and the photos are not changed.")
        } else {
            tr!("Estimates how the photos were blurred, made noisy and compressed, and trains the model for that. \
                 Nothing leaves this computer, and the photos are not changed.")
        };
        weak(ui, explanation);
        ui.add_space(8.0);
        Grid::new("adapt").num_columns(2).spacing([16.0, 8.0]).show(ui, |ui| {
            ui.label(tr!("Model"));
            ui.label(&wish.model);
            ui.end_row();
            ui.label(tr!("Photos"));
            ui.vertical(|ui| {
                let all = tr!("All in the queue (%{count})", count = wish.photos.len());
                ui.radio_value(&mut wish.all, true, all);
                let name = wish.shown.1.file_name().unwrap_or_default().to_string_lossy().into_owned();
                ui.radio_value(&mut wish.all, false, tr!("Only %{name}", name = name));
            });
            ui.end_row();
            ui.label(tr!("Training"));
            ui.horizontal(|ui| {
                for (effort, text) in [(Effort::Quick, tr!("Quick")), (Effort::Standard, tr!("Standard"))] {
                    ui.radio_value(&mut wish.effort, effort, text);
                }
            });
            ui.end_row();
            let label = ui.label(tr!("Name"));
            ui.add(TextEdit::singleline(&mut wish.name).desired_width(240.0)).labelled_by(label.id);
            ui.end_row();
        });
        let time = speed.map(|speed| std::time::Duration::from_secs_f64(TRAINING * wish.work(scale) / speed));
        ui.add_space(6.0);
        match time {
            _ if !has_duals => {
                let text = tr!(
                    "This model has no dual model, so nothing leads its results back to the photos. Train one in the \
                     Models tab."
                );
                ui.label(RichText::new(text).color(palette(ui).warning));
            }
            Some(time) => drop(weak(
                ui,
                tr!(
                    "Takes about %{time} on %{device}. Photos of one camera work best.",
                    time = duration(time),
                    device = device
                ),
            )),
            None => drop(weak(ui, tr!("Photos of one camera work best."))),
        }
        ui.add_space(10.0);
        ui.horizontal(|ui| {
            let fits = has_duals && !wish.name.trim().is_empty();
            let starts = ui.add_enabled_ui(fits, |ui| primary_button(ui, &tr!("Adapt"), 120.0).clicked()).inner;
            (starts, ui.add_sized([90.0, 34.0], eframe::egui::Button::new(tr!("Cancel"))).clicked())
        })
        .inner
    });
    let (starts, cancels) = modal.inner;
    out.change(before, wish, |wish| Action::Open(Sheet::Adapt(wish)));
    if starts {
        out.push(Action::Adapt(AdaptAction::Start));
    } else if cancels || modal.backdrop_response.clicked() {
        out.push(Action::CloseSheet);
    }
}

/// Height of the bar with the question, in points.
const BAR: f32 = 62.0;

/// Before and after on the canvas; whether there was something to show.
pub(crate) fn offer(window: &Window, ui: &mut Ui, out: &mut Outbox, area: Rect) -> bool {
    let colours = palette(ui);
    let Adapting::Offered(offer) = &window.upscale.adapting else { return false };
    let bar = Rect::from_min_size(area.min, vec2(area.width(), BAR));
    ui.painter().rect_filled(bar, 0.0, colours.panel);
    let [before, after] = offer.adapted.consistency.map(decibels);
    let parts = [PaneContent {
        caption_right: tr!("%{name}  consistency %{consistency}", name = offer.name, consistency = after),
        ..PaneContent::new(
            Mode::Split,
            tr!("%{name}  consistency %{consistency}", name = offer.from, consistency = before),
        )
    }];
    let [paired_before, paired_after] = offer.adapted.paired.map(decibels);
    let how = offer.adapted.degradation.clone().unwrap_or_else(|| tr!("nothing unusual"));
    let mut action = None;
    ui.scope_builder(UiBuilder::new().max_rect(bar.shrink2(vec2(12.0, 6.0))), |ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if ui.add_sized([90.0, 34.0], eframe::egui::Button::new(tr!("Discard"))).clicked() {
                action = Some(AdaptAction::Discard);
            }
            if primary_button(ui, &tr!("Keep"), 90.0).clicked() {
                action = Some(AdaptAction::Keep);
            }
            ui.with_layout(Layout::top_down(Align::Min), |ui| {
                ui.add(eframe::egui::Label::new(RichText::new(tr!("Before and after adaptation")).strong()).truncate());
                let text = tr!(
                    "Found in your photos: %{how}. Samples treated alike: %{before} → %{after} PSNR",
                    how = how,
                    before = paired_before,
                    after = paired_after
                );
                let label = ui.add(eframe::egui::Label::new(RichText::new(text).weak().small()).truncate());
                label.on_hover_text(tr!(
                    "The consistency PSNR of photos that become sharper is lower: the small dual model reproduces a \
                     strong blur only roughly."
                ));
            });
        });
    });
    let shared = Canvas {
        salt: "adapted",
        gpu: &window.services.gpu,
        is_further: false,
        document: &offer.document,
        sight: window.upscale.sight(),
        gain: 1.0,
        map: Map::default(),
        marks: &[],
    };
    let (_, sight) = shared.show(ui, area.with_min_y(bar.max.y), &parts);
    out.change(&window.upscale.sight(), sight, |sight| Action::See(actions::Canvas::Picture, sight));
    if let Some(action) = action {
        out.push(Action::Adapt(action));
    }
    true
}
