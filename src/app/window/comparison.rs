//! What a compressed model costs on a picture, against the model it was made from.

use dualres_engine::Area;

use super::{
    Window,
    queue::{ItemId, State},
    worker::{Command, Comparison},
};

impl Window {
    /// Has the middle of a finished picture upscaled by the model that its own was compressed from as well.
    pub(super) fn compare_with_original(&mut self, item: ItemId) {
        const SIDE: usize = 160;
        let Some(State::Done(finished)) = self.upscale.queue.get(item).map(|item| &item.state) else { return };
        let Some(entry) = self.models.entries.iter().find(|entry| entry.name == finished.model) else { return };
        let Some(original) = entry.compressed_from().map(str::to_owned) else { return };
        let models = [original, entry.name.clone()];
        let known = self.upscale.beside.get(&item).is_some_and(|beside| beside.models == models);
        let both =
            self.models.entries.iter().any(|other| other.name == models[0] && other.has_duals) && entry.has_duals;
        // Other pictures wait for their turn: they go first.
        let waits = self.upscale.runs && self.upscale.queue.next_waiting().is_some();
        let Some(open) = self.upscale.documents.get(item).filter(|_| both && !known && !waits) else { return };
        let input = open.picture.clone();
        let [width, height] = [input.width(), input.height()].map(|side| side.min(SIDE));
        let [x, y] = [(input.width() - width) / 2, (input.height() - height) / 2];
        let (area, device) = (Area { x, y, width, height }, self.shell.settings.choices.device.clone());
        self.send(Command::Compare(Box::new(Comparison { item, input, area, models, device })));
    }
}
