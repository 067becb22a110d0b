//! The line at the bottom: what runs, where, and how much memory it takes.

use std::time::{Duration, Instant};

use eframe::egui::{Align, Layout, ProgressBar, RichText, Ui};
use sysinfo::{ProcessRefreshKind, ProcessesToUpdate, System};

use super::duration;
use crate::batch::disk::bytes;
use crate::window::{Window, queue::State, theme::palette};

/// What is known of the machine, asked for once in a while.
#[derive(Default)]
pub(crate) struct Machine {
    system: System,
    asked: Option<Instant>,
    used: u64,
    free: u64,
    disk: Option<(std::path::PathBuf, Instant, Option<u64>)>,
    name: Option<(std::path::PathBuf, Instant, std::path::PathBuf)>,
}

const ASK_EVERY: Duration = Duration::from_secs(2);

impl Machine {
    /// The name that a result would get now in place of a wanted one.
    pub(crate) fn free_name(&mut self, wanted: &std::path::Path) -> std::path::PathBuf {
        match &self.name {
            Some((known, asked, free)) if known == wanted && asked.elapsed() < ASK_EVERY => free.clone(),
            _ => {
                let free = crate::naming::free(wanted, &|_| false);
                self.name = Some((wanted.to_owned(), Instant::now(), free.clone()));
                free
            }
        }
    }

    /// Free bytes on the disk of a folder, if the system tells.
    pub(crate) fn free_disk(&mut self, folder: &std::path::Path) -> Option<u64> {
        match &self.disk {
            Some((known, asked, free)) if known == folder && asked.elapsed() < ASK_EVERY => *free,
            _ => {
                // A folder that is yet to be made is on the disk of the first one above it that is there.
                let there = folder.ancestors().find(|folder| folder.exists());
                let free = there.and_then(|there| fs4::available_space(there).ok());
                self.disk = Some((folder.to_owned(), Instant::now(), free));
                free
            }
        }
    }

    fn ask(&mut self) {
        if self.asked.is_some_and(|asked| asked.elapsed() < ASK_EVERY) {
            return;
        }
        self.asked = Some(Instant::now());
        self.system.refresh_memory();
        self.free = self.system.available_memory();
        if let Ok(id) = sysinfo::get_current_pid() {
            let what = ProcessRefreshKind::nothing().with_memory();
            self.system.refresh_processes_specifics(ProcessesToUpdate::Some(&[id]), false, what);
            self.used = self.system.process(id).map_or(0, sysinfo::Process::memory);
        }
    }
}

pub(crate) fn ui(window: &mut Window, ui: &mut Ui) {
    window.machine.ask();
    let colours = palette(ui);
    ui.horizontal(|ui| {
        let chosen = &window.settings.choices.device;
        let device = if chosen == "auto" { format!("{} (automatic)", window.automatic) } else { chosen.clone() };
        ui.label(RichText::new(format!("⚙ {device}")).small())
            .on_hover_text("What networks run on; choose it on the right");
        ui.separator();
        let Machine { used, free, .. } = window.machine;
        ui.label(RichText::new(format!("{} used, {} free", bytes(used), bytes(free))).small())
            .on_hover_text("Memory of this program and of the machine");
        ui.separator();
        let running = window.queue.running().map(|item| (item.name(), item.state.clone()));
        if let Some((name, State::Running(progress))) = running {
            let paused = window.link.control.is_paused();
            let left = progress.left().map_or(String::new(), |left| format!(", {} left", duration(left)));
            let text = if paused { format!("{name}: paused") } else { format!("{name}: {}{left}", progress.stage) };
            ui.add(ProgressBar::new(progress.done).desired_width(120.0).desired_height(8.0));
            ui.add(eframe::egui::Label::new(RichText::new(text).small()).truncate());
            ui.ctx().request_repaint_after(Duration::from_millis(200));
        } else if let Some(saving) = window.queue.items().iter().find(|item| item.is_being_saved()) {
            ui.spinner();
            ui.label(RichText::new(format!("{}: saving", saving.name())).small());
        } else if window.measuring {
            ui.spinner();
            ui.label(RichText::new("preparing the model for this device, once").small());
        } else {
            ui.label(RichText::new("ready").small().color(colours.weak));
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            let all = window.queue.items().len();
            let done = window.queue.items().iter().filter(|item| matches!(item.state, State::Done(_))).count();
            if all > 0 {
                ui.label(RichText::new(format!("{done} of {all} done")).small().color(colours.weak));
            }
        });
    });
}
