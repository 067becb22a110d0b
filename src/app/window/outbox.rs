//! What views ask for: they read the state and change nothing themselves.

use super::{actions::Action, compress::actions::CompressAction};

/// Actions in their order, done when the frame is drawn.
#[derive(Debug, Default)]
pub(crate) struct Outbox(Vec<Action>);

impl Outbox {
    /// Asks for something.
    pub(crate) fn push(&mut self, action: Action) {
        self.0.push(action);
    }

    /// Asks for something in the Compress tab.
    pub(crate) fn compress_action(&mut self, compress_action: CompressAction) {
        self.0.push(Action::Compress(compress_action));
    }

    /// Asks for what a value that was chosen stands for, if it is another than before.
    pub(crate) fn change<T: PartialEq>(&mut self, before: &T, now: T, action: impl FnOnce(T) -> Action) {
        if *before != now {
            self.0.push(action(now));
        }
    }

    /// What was asked for, in its order.
    pub(super) fn take(&mut self) -> Vec<Action> {
        std::mem::take(&mut self.0)
    }
}

impl Extend<Action> for Outbox {
    fn extend<T: IntoIterator<Item = Action>>(&mut self, actions: T) {
        self.0.extend(actions);
    }
}
