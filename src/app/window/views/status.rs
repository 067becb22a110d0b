//! The line at the bottom: what runs, where, and how much memory it takes.

use std::time::Duration;

use eframe::egui::{Align, Layout, ProgressBar, RichText, Ui};

use super::duration;
use crate::batch::disk::bytes;
use crate::language::{tr, written};
use crate::window::{Window, actions::Action, leaving::Closing, outbox::Outbox, queue::State, theme::palette};

pub(crate) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let colours = palette(ui);
    ui.horizontal(|ui| {
        let chosen = &window.shell.settings.choices.device;
        let used = window.device();
        let device = match (chosen == "auto", chosen == used) {
            (true, _) => tr!("%{device} (automatic)", device = used),
            (false, true) => used.to_owned(),
            (false, false) => tr!("%{device} (in place of %{chosen})", device = used, chosen = chosen),
        };
        ui.label(RichText::new(format!("⚙ {device}")).small())
            .on_hover_text(tr!("What networks run on; choose it on the right"));
        ui.separator();
        let [used, free] = window.services.machine.memory().map(|size| written(bytes(size)));
        ui.label(RichText::new(tr!("%{used} used, %{free} free", used = used, free = free)).small())
            .on_hover_text(tr!("Memory of this program and of the machine"));
        ui.separator();
        if let Some(part) = crate::trust::prepared() {
            let percent = crate::language::number(part * 100.0, 0);
            ui.add(ProgressBar::new(part).desired_width(120.0).desired_height(8.0));
            ui.label(RichText::new(tr!("preparing this GPU, once: %{percent} %", percent = percent)).small());
            ui.ctx().request_repaint_after(Duration::from_millis(200));
            ui.separator();
        }
        let running = window.upscale.queue.running().map(|item| (item.name(), item.state.clone()));
        if let Some((name, State::Running(progress))) = running {
            let paused = window.services.link.control.is_paused();
            let left = progress.left().map(|left| tr!("%{time} left", time = duration(left)));
            let text = match left {
                _ if progress.cancelling => format!("{name}: {}", tr!("Cancelling…")),
                _ if paused => tr!("%{name}: paused", name = name),
                Some(left) => format!("{name}: {}, {left}", progress.stage),
                None => format!("{name}: {}", progress.stage),
            };
            ui.add(ProgressBar::new(progress.done).desired_width(120.0).desired_height(8.0));
            ui.add(eframe::egui::Label::new(RichText::new(text).small()).truncate());
            ui.ctx().request_repaint_after(Duration::from_millis(200));
        } else if let Some(saving) = window.upscale.queue.items().iter().find(|item| item.is_being_saved()) {
            ui.spinner();
            ui.label(RichText::new(tr!("%{name}: saving", name = saving.name())).small());
        } else if window.services.measuring {
            ui.spinner();
            ui.label(RichText::new(tr!("preparing the model for this device, once")).small());
        } else {
            ui.label(RichText::new(tr!("ready")).small().color(colours.weak));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let all = window.upscale.queue.items().len();
            let done = window.upscale.queue.items().iter().filter(|item| matches!(item.state, State::Done(_))).count();
            if window.shell.closing == Closing::WhenDone {
                if ui.small_button(tr!("Stay")).clicked() {
                    out.push(Action::StayOpen);
                }
                ui.label(RichText::new(tr!("The window closes by itself when the queue is done.")).small());
                ui.separator();
            }
            if all > 0 {
                let text = tr!("%{done} of %{all} done", done = done, all = all);
                ui.label(RichText::new(text).small().color(colours.weak));
            }
        });
    });
}
