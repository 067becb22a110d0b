//! What can be said about closing the window.

/// What the user has said about closing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Closing {
    /// Nothing: the window stays.
    #[default]
    No,
    /// That it is to close when the run is done.
    WhenDone,
    /// That it is to close now.
    Now,
}

/// What is to become of the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leaving {
    /// It is finished first.
    Finish,
    /// What is not done waits in the queue at the next start.
    Keep,
    /// What is not done leaves the queue.
    Discard,
}
