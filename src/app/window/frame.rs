//! A frame of the window: what has come is taken, the views are drawn, and what they ask for is done.

use eframe::egui::{self, CentralPanel, Frame, Panel, Ui};

use super::{
    Window,
    actions::{self, Action, Tab},
    outbox::Outbox,
    stored::Memory,
    views, worker,
};

impl eframe::App for Window {
    fn logic(&mut self, ctx: &egui::Context, _: &mut eframe::Frame) {
        self.find_letters(ctx);
        self.settle(ctx);
        self.drain(ctx);
        self.schedule();
        self.follow_view(ctx);
        self.drain_compress(ctx);
        self.remember(ctx);
        self.see_to_closing(ctx);
        self.show_title(ctx);
    }

    fn ui(&mut self, ui: &mut Ui, _: &mut eframe::Frame) {
        let ctx = ui.ctx().clone();
        self.take_input(&ctx);
        // Keys that are meant for a dialog that is about to come up are no commands.
        if !self.has_modal() && !self.shell.dialogs.is_open() {
            self.shell.actions.extend(actions::pressed(&ctx, self.shell.tab));
        } else {
            self.shell.actions.extend(actions::pressed(&ctx, self.shell.tab).into_iter().filter(|action| {
                matches!(action, Action::Escape | Action::ToggleHelp | Action::ToggleTheme | Action::Quit)
            }));
        }
        let size = ctx.content_rect().size();
        self.shell.settings.screens.see(&ctx);
        let out = &mut Outbox::default();
        Panel::top("top").show(ui, |ui| views::top_bar::ui(self, ui, out));
        Panel::bottom("status").show(ui, |ui| views::status::ui(self, ui, out));
        match self.shell.tab {
            Tab::Upscale => {
                let width = super::side_width(size.x);
                Panel::right("inspector").resizable(false).exact_size(width).show(ui, |ui| {
                    views::inspector::ui(self, ui, out);
                });
                if !self.upscale.queue.items().is_empty() {
                    Panel::bottom("queue").resizable(false).exact_size(views::strip::HEIGHT).show(ui, |ui| {
                        views::strip::ui(self, ui, out);
                    });
                }
                CentralPanel::default().frame(Frame::NONE).show(ui, |ui| views::upscale::ui(self, ui, out));
            }
            Tab::Compress => {
                CentralPanel::default().frame(Frame::NONE).show(ui, |ui| views::compress::ui(self, ui, out));
            }
            Tab::Models => {
                CentralPanel::default().show(ui, |ui| views::models::ui(self, ui, out));
            }
        }
        views::sheets::ui(self, &ctx, out);
        views::drop_zone::overlay(self, &ctx);
        // They would be in the picture.
        if self.compress.picturing.is_none() {
            let accepted = self.shell.toasts.ui(&ctx);
            out.extend(accepted);
        }

        for action in self.shell.actions.take().into_iter().chain(out.take()) {
            self.handle_action(&ctx, action);
        }
        if !std::mem::replace(&mut self.shell.has_been_drawn, true) {
            // Looking for graphics adapters competes with drawing for the same driver. The chosen model is measured when it is known
            // what the device stands for.
            self.send(worker::Command::Devices);
        }
    }

    fn on_exit(&mut self) {
        // What is under way stops within a tile, and goes on there next time.
        // A result that is being saved is saved, and remembered as done.
        self.services.link.end();
        self.services.helpers.iter_mut().for_each(|helper| helper.link.end());
        self.services.link.wait();
        self.services.helpers.iter().for_each(|helper| helper.link.wait());
        let mut reports: Vec<worker::WorkerReport> = self.services.link.reports.try_iter().collect();
        self.services.helpers.iter().for_each(|helper| reports.extend(helper.link.reports.try_iter()));
        for report in reports {
            if matches!(&report, worker::WorkerReport::Done { .. }) {
                self.take_report(report);
            }
        }
        if let Some(threads) = &self.compress.threads {
            threads.runner.end();
        }
        // What is being written is older than what is written now.
        if let Some(writing) = self.shell.remembering.take() {
            writing.block_and_take();
        }
        if matches!(self.shell.memory, Memory::Own(_))
            && let Some(write) = self.take_changes()
        {
            // Nobody is left to be told.
            let _ = write();
        }
        // The window is gone, though the engine may take a moment to end: another one may remember from now on.
        self.shell.memory = Memory::None;
    }
}
