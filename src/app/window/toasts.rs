//! Short messages that come and go.

use std::time::{Duration, Instant};

use eframe::egui::{self, Align2, Area, Frame, Id, Order, RichText, vec2};

use super::{actions::Action, theme::palette};
use crate::language::{tr, translated};

/// How much a message matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Something was done.
    Good,
    /// Something needs a look.
    Warning,
    /// Something went wrong; stays until it is closed.
    Error,
}

struct Toast {
    kind: Kind,
    text: String,
    ends: Option<Instant>,
    number: u64,
    /// What can be done about it: the label of a button, and what it does.
    offer: Option<(String, Action)>,
}

/// The messages on screen.
#[derive(Default)]
pub(crate) struct Toasts {
    toasts: Vec<Toast>,
    next: u64,
}

/// How long something is offered.
const OFFERS: Duration = Duration::from_secs(12);

/// Most messages at a time; older ones make room.
const MAX: usize = 5;

impl Toasts {
    pub(crate) fn show(&mut self, kind: Kind, text: impl Into<String>) {
        let text = text.into();
        self.toasts.retain(|toast| toast.text != text);
        if self.toasts.len() == MAX {
            self.toasts.remove(0);
        }
        let ends = match kind {
            Kind::Good => Some(Duration::from_secs(6)),
            Kind::Warning => Some(Duration::from_secs(15)),
            Kind::Error => None,
        };
        let ends = ends.map(|after| Instant::now() + after);
        self.toasts.push(Toast { kind, text, ends, number: self.next, offer: None });
        self.next += 1;
    }

    /// Says that something was done, with a button for what to do about it, in place of an older offer of the same.
    pub(crate) fn offer(&mut self, text: impl Into<String>, label: String, action: Action) {
        self.withdraw(&action);
        self.show(Kind::Good, text);
        if let Some(toast) = self.toasts.last_mut() {
            toast.ends = Some(Instant::now() + OFFERS);
            toast.offer = Some((label, action));
        }
    }

    /// Takes an offer back that is not to be had any more.
    pub(crate) fn withdraw(&mut self, action: &Action) {
        self.toasts.retain(|toast| toast.offer.as_ref().is_none_or(|(_, offered)| offered != action));
    }

    pub(crate) fn error(&mut self, text: impl Into<String>) {
        self.show(Kind::Error, text);
    }

    pub(crate) fn good(&mut self, text: impl Into<String>) {
        self.show(Kind::Good, text);
    }

    pub(crate) fn warning(&mut self, text: impl Into<String>) {
        self.show(Kind::Warning, text);
    }

    /// Closes the newest; false if there is none.
    pub(crate) fn dismiss(&mut self) -> bool {
        self.toasts.pop().is_some()
    }

    /// Draws the messages; returns what was asked for in them.
    pub(crate) fn ui(&mut self, ctx: &egui::Context) -> Option<Action> {
        let now = Instant::now();
        self.toasts.retain(|toast| toast.ends.is_none_or(|end| end > now));
        if let Some(first) = self.toasts.iter().filter_map(|toast| toast.ends).min() {
            ctx.request_repaint_after(first - now);
        }
        if self.toasts.is_empty() {
            return None;
        }
        let (mut closed, mut accepted) = (None, None);
        Area::new(Id::unique("toasts"))
            .order(Order::Foreground)
            // Names of what is shown stand in the upper corners.
            .anchor(Align2::RIGHT_BOTTOM, vec2(-(super::side_width(ctx.content_rect().width()) + 14.0), -200.0))
            .interactable(true)
            .show(ctx, |ui| {
                let colours = palette(ui);
                for toast in &self.toasts {
                    let (mark, colour) = match toast.kind {
                        Kind::Good => ("✔", colours.good),
                        Kind::Warning => ("⚠", colours.warning),
                        Kind::Error => ("✖", colours.error),
                    };
                    Frame::popup(ui.style()).stroke(egui::Stroke::new(1.0, colour)).show(ui, |ui| {
                        ui.set_max_width(340.0);
                        ui.horizontal_top(|ui| {
                            ui.label(RichText::new(mark).color(colour));
                            ui.scope(|ui| {
                                ui.set_max_width(280.0);
                                ui.add(egui::Label::new(translated(&toast.text)).wrap());
                            });
                            if let Some((label, action)) = &toast.offer
                                && ui.button(label).clicked()
                            {
                                (closed, accepted) = (Some(toast.number), Some(action.clone()));
                            }
                            let close = ui.small_button("✖");
                            let label = tr!("Close message");
                            close.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &label));
                            if close.clicked() {
                                closed = Some(toast.number);
                            }
                        });
                    });
                    ui.add_space(4.0);
                }
            });
        if let Some(number) = closed {
            self.toasts.retain(|toast| toast.number != number);
        }
        accepted
    }
}
