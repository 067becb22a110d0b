//! The window is closed while pictures run: what is to become of them.

use eframe::egui::{Context, ViewportCommand};

use super::{
    Window,
    leaving::{Closing, Leaving},
    queue::State,
};

impl Window {
    /// Whether pictures run, are being saved, or have their turn soon.
    fn is_at_work(&self) -> bool {
        self.queue.is_busy() || (self.runs && self.only.is_none() && self.queue.next_waiting().is_some())
    }

    /// Asks before a run is left, and closes when it is done if that was the answer.
    pub(super) fn see_to_closing(&mut self, ctx: &Context) {
        if ctx.input(|input| input.viewport().close_requested()) && self.closing != Closing::Now && self.is_at_work() {
            ctx.send_viewport_cmd(ViewportCommand::CancelClose);
            ctx.send_viewport_cmd(ViewportCommand::Focus);
            self.closing = Closing::Asked;
        }
        // What was asked about has ended by itself, or was to end first.
        let waits = matches!(self.closing, Closing::Asked | Closing::WhenDone);
        if waits && !self.is_at_work() {
            // What ended in another way wants to be seen.
            let all = (self.only.is_some() || self.queue.next_waiting().is_none()) && self.crashed.is_none();
            if self.closing == Closing::WhenDone && all {
                ctx.send_viewport_cmd(ViewportCommand::Close);
            }
            self.closing = Closing::No;
        }
    }

    /// Takes the answer.
    pub(super) fn leave(&mut self, ctx: &Context, leaving: Leaving) {
        match leaving {
            Leaving::Finish => {
                self.closing = Closing::WhenDone;
                return;
            }
            Leaving::Keep => {}
            Leaving::Discard => {
                let computed =
                    self.queue.items().iter().filter(|item| matches!(&item.state, State::Running(p) if !p.saving));
                for id in computed.map(|item| item.id).collect::<Vec<_>>() {
                    self.controls().for_each(|control| control.cancel(id));
                }
                self.queue.remove_undone();
                self.note_queue_change();
            }
        }
        self.runs = false;
        self.closing = Closing::Now;
        ctx.send_viewport_cmd(ViewportCommand::Close);
    }

    /// Takes the wish to close back; false if there was none.
    pub(super) fn stay_open(&mut self) -> bool {
        let asked = matches!(self.closing, Closing::Asked | Closing::WhenDone);
        if asked {
            self.closing = Closing::No;
        }
        asked
    }
}
