//! The window is closed while pictures run: what is to become of them.

use eframe::egui::{Context, ViewportCommand};

use super::{
    Window,
    leaving::{Closing, Leaving},
    queue::State,
    sheet::Sheet,
};

impl Window {
    /// Whether pictures run, are being saved, or have their turn soon.
    fn is_at_work(&self) -> bool {
        self.upscale.queue.is_busy()
            || (self.upscale.runs && self.upscale.only.is_none() && self.upscale.queue.next_waiting().is_some())
    }

    /// Asks before a run is left, and closes when it is done if that was the answer.
    pub(super) fn see_to_closing(&mut self, ctx: &Context) {
        if ctx.input(|input| input.viewport().close_requested())
            && self.shell.closing != Closing::Now
            && self.is_at_work()
        {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            ctx.send_viewport_cmd(ViewportCommand::Focus);
            self.shell.sheet = Some(Sheet::Closing);
        }
        // What was asked about has ended by itself, or was to end first.
        let waits = self.shell.closing == Closing::WhenDone || self.shell.sheet == Some(Sheet::Closing);
        if waits && !self.is_at_work() {
            // What ended in another way wants to be seen.
            let all = (self.upscale.only.is_some() || self.upscale.queue.next_waiting().is_none())
                && self.services.crashed.is_none();
            if self.shell.closing == Closing::WhenDone && all {
                ctx.send_viewport_cmd(ViewportCommand::Close);
            }
            self.stay_open();
        }
    }

    /// Takes the answer.
    pub(super) fn leave(&mut self, ctx: &Context, leaving: Leaving) {
        self.close_sheet(&Sheet::Closing);
        match leaving {
            Leaving::Finish => {
                self.shell.closing = Closing::WhenDone;
                return;
            }
            Leaving::Keep => {}
            Leaving::Discard => {
                let computed = self
                    .upscale
                    .queue
                    .items()
                    .iter()
                    .filter(|item| matches!(&item.state, State::Running(p) if !p.saving));
                for id in computed.map(|item| item.id).collect::<Vec<_>>() {
                    self.controls().for_each(|control| control.cancel(id));
                }
                self.upscale.queue.remove_undone();
                self.note_queue_change();
            }
        }
        self.upscale.runs = false;
        self.shell.closing = Closing::Now;
        ctx.send_viewport_cmd(ViewportCommand::Close);
    }

    /// Takes the wish to close back.
    pub(super) fn stay_open(&mut self) {
        self.close_sheet(&Sheet::Closing);
        self.shell.closing = Closing::No;
    }

    /// Closes a sheet, if it is the one that is open.
    pub(super) fn close_sheet(&mut self, sheet: &Sheet) {
        if self.shell.sheet.as_ref() == Some(sheet) {
            self.shell.sheet = None;
        }
    }
}
