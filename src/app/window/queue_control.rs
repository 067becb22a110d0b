//! What moves the queue: begin, halt, cancel, take out and bring back.

use std::time::Instant;

use super::{
    Window,
    actions::{Action, Tab},
    queue::{Item, ItemId, State},
    tally::Tally,
};
use crate::language::{tr, tr_counted, translated};

impl Window {
    pub(super) fn start(&mut self) {
        let facts = crate::naming::Facts { name: "name".into(), model: "model".into(), ..Default::default() };
        if let Err(reason) = crate::naming::file_name(&self.shell.settings.choices.pattern, &facts) {
            self.shell.toasts.error(tr!("The pattern of names: %{reason}", reason = translated(&reason)));
            return;
        }
        self.pause(false);
        if self.upscale.queue.running().is_none() && self.upscale.queue.next_waiting().is_none() {
            // As the button says: what is selected is done again.
            match self.upscale.selected.and_then(|id| self.upscale.queue.get_mut(id)) {
                Some(item) if matches!(item.state, State::Running(_)) => return,
                Some(item) => {
                    (item.state, item.again) = (State::Waiting, true);
                    self.note_queue_change();
                }
                None => {
                    self.shell.toasts.warning(tr!("Queue is empty. Drop photos here"));
                    return;
                }
            }
        }
        if !self.upscale.runs {
            self.upscale.run = Tally { began: Some(Instant::now()), ..Tally::default() };
        }
        // What is made now is looked at, not what could have been.
        self.end_trial();
        (self.upscale.runs, self.upscale.follows) = (true, true);
    }

    /// Halts the running picture or lets it go on; the time it is halted is not counted as work.
    pub(super) fn pause(&mut self, pauses: bool) {
        self.controls().for_each(|control| control.pause(pauses));
        if pauses {
            self.upscale.paused_since = self.upscale.paused_since.or(Some(Instant::now()));
        } else if let Some(since) = self.upscale.paused_since.take() {
            let halted = since.elapsed();
            self.upscale.queue.each_running(|progress| progress.halted(halted));
        }
    }

    pub(super) fn cancel(&mut self, id: ItemId) {
        if self.upscale.only == Some(id) {
            (self.upscale.only, self.upscale.runs) = (None, false);
        }
        self.controls().for_each(|control| control.cancel(id));
        self.pause(false);
        let Some(item) = self.upscale.queue.get_mut(id) else { return };
        match &mut item.state {
            State::Waiting => {
                item.end(State::Cancelled);
                self.note_queue_change();
            }
            // It stops within a tile; that it was heard is said at once.
            State::Running(progress) => progress.cancelling = true,
            _ => {}
        }
    }

    pub(super) fn remove(&mut self, id: ItemId) {
        // On whichever device it is.
        if matches!(self.upscale.queue.get(id).map(|item| &item.state), Some(State::Running(progress)) if !progress.saving)
        {
            self.cancel(id);
            return;
        }
        if self.upscale.queue.get(id).is_some_and(Item::is_being_saved) {
            self.shell.toasts.warning(tr!("Still saving"));
            return;
        }
        let neighbour = self.upscale.queue.neighbour(Some(id), 1).filter(|&other| other != id);
        let neighbour = neighbour.or_else(|| self.upscale.queue.neighbour(Some(id), -1).filter(|&other| other != id));
        self.upscale.queue.remove(id);
        self.upscale.documents.remove(id);
        self.after_removal(neighbour);
        self.offer_undo(1);
    }

    /// Says that pictures have left the queue, and how they come back.
    pub(super) fn offer_undo(&mut self, count: usize) {
        if count > 0 {
            let text = tr_counted!(
                count,
                "%{count} picture taken out of the queue",
                "%{count} pictures taken out of the queue"
            );
            self.shell.toasts.offer(text, tr!("Undo"), Action::Undo);
        }
    }

    pub(super) fn undo_removal(&mut self) {
        let back = self.upscale.queue.undo();
        for id in &back {
            self.upscale.thumbnails_asked.remove(id);
        }
        self.shell.toasts.withdraw(&Action::Undo);
        if let Some(&first) = back.first() {
            self.note_queue_change();
            self.shell.tab = Tab::Upscale;
            self.select(first);
        }
    }

    pub(super) fn after_removal(&mut self, neighbour: Option<ItemId>) {
        self.note_queue_change();
        if self.upscale.selected.is_some_and(|id| self.upscale.queue.get(id).is_none()) {
            self.upscale.selected = None;
            if let Some(id) = neighbour.or_else(|| self.upscale.queue.neighbour(None, 0)) {
                self.select(id);
            }
        }
    }
}
