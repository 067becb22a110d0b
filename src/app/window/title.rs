//! What the title bar and the bar of tasks say: how far a run is, and which of two windows remembers nothing. And who is told when a long run has
//! ended behind other windows.

use std::time::Duration;

use eframe::egui::{Context, UserAttentionType, ViewportCommand};

use super::{Window, desktop, queue::State, stored::Memory};
use crate::language::{number, tr};

/// Runs that are shorter end before anybody has turned to something else.
const LONG: Duration = Duration::from_secs(20);

impl Window {
    /// What the title bar says.
    fn title(&self) -> String {
        let name = match self.shell.memory {
            Memory::Own(_) | Memory::None => "Dualres".to_owned(),
            Memory::OfAnother => tr!("Dualres (second window, remembers nothing)"),
        };
        let Some(part) = self.run_progress() else { return name };
        let percent = number(part * 100.0, 0);
        let left = self.upscale.queue.waiting();
        let far = match left {
            0 => tr!("%{percent} %", percent = percent),
            _ => tr!("%{percent} %, %{count} waiting", percent = percent, count = left),
        };
        format!("{far} – {name}")
    }

    /// How far the pictures that run are on average, in `[0, 1]`; `None` if none runs.
    fn run_progress(&self) -> Option<f32> {
        let running = self.upscale.queue.items().iter().filter_map(|item| match &item.state {
            State::Running(progress) if !progress.saving => Some(progress.done),
            _ => None,
        });
        let (sum, count) = running.fold((0.0, 0), |(sum, count), done| (sum + done, count + 1));
        (count > 0).then(|| sum / count as f32)
    }

    /// Has the title bar, and the bar of tasks, say what is so now.
    pub(super) fn show_title(&mut self, ctx: &Context) {
        self.shell.is_focused = ctx.input(|input| input.viewport().focused.unwrap_or(true));
        let title = self.title();
        if self.shell.shown_title != title {
            ctx.send_viewport_cmd(ViewportCommand::Title(title.clone()));
            self.shell.shown_title = title;
        }
        // Of the whole run: a bar that begins anew with each picture says little.
        let run = self.run_progress().map(|part| {
            let (done, left) = (self.upscale.run.done + self.upscale.run.failed, self.upscale.queue.waiting());
            let percent = 100.0 * (done as f32 + part) / (done + left + 1) as f32;
            percent.clamp(0.0, 100.0) as u8
        });
        if self.shell.shown_progress != run {
            desktop::show_progress(run.map(|percent| f32::from(percent) / 100.0));
            self.shell.shown_progress = run;
        }
        if std::mem::take(&mut self.shell.wants_attention) {
            ctx.send_viewport_cmd(ViewportCommand::RequestUserAttention(UserAttentionType::Informational));
        }
    }

    /// Tells the desktop that a run has ended, if it was long and the window is not in front.
    pub(super) fn tell_desktop(&mut self, text: &str) {
        let long = self.upscale.run.began.is_some_and(|began| began.elapsed() >= LONG);
        if long && !self.shell.is_focused {
            self.shell.wants_attention = true;
            drop(desktop::notify(text.to_owned()));
        }
    }
}
