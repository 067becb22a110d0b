//! What helps against an error, for whoever shows it to say in words of its own.

/// A way out. Libraries know no commands and no windows; those who have one say where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hint {
    /// Import the file first.
    Import,
    /// The file belongs beside that of its network.
    BesideNetwork,
    /// What was saved goes on, on the CPU if the device fails again.
    GoOn,
    /// Train dual models for the network first.
    TrainDuals,
    /// Measure the sensitivity profile anew.
    OwnProfile,
}
