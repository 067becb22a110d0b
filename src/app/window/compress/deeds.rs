//! The actions of the Compress tab.

use std::path::PathBuf;

use dualres_compression::Stage;

use super::{runs::RunId, state::Side};

/// Something to do in the Compress tab.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Deed {
    /// Begin a run with the settings, and the baselines after it.
    Start,
    PauseOrGoOn,
    /// Measure what each layer is worth.
    Measure,
    /// Stop the run under way; it is saved.
    Stop,
    GoOn(RunId),
    /// Take a run that waits out of the queue.
    Withdraw(RunId),
    StopAfter(Option<Stage>),
    Choose(RunId),
    /// Ask whether a run is to be deleted.
    AskDelete(RunId),
    Delete(RunId),
    /// Take a run that lies elsewhere out of the list.
    Leave(RunId),
    OpenRun,
    RunFolder(PathBuf),
    ChooseData,
    ChooseValidation,
    ChoosePicture,
    Picture(PathBuf),
    SetWidth(usize, usize),
    Look(Side),
    UseInUpscale(RunId),
    TakeSettings(RunId),
    ShowFolder(RunId),
    ExportCsv,
    ExportPng,
}
