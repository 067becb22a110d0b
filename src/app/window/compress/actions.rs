//! The actions of the Compress tab.

use std::path::PathBuf;

use dualres_compression::Stage;
use dualres_engine::Area;
use eframe::egui::Rect;

use super::{
    choices::{CompressChoices, PlotChoices},
    runs::{Column, RunId},
    state::{Page, Side},
};

/// Something to do in the Compress tab.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum CompressAction {
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
    PreviewRequest(Side),
    SetPage(Page),
    /// Choose the network to compress.
    SetModel(String),
    /// Choose how much of it goes, and share that among the layers.
    SetRatio(f64),
    SetChoices(Box<CompressChoices>),
    SetPlots(Box<PlotChoices>),
    /// Share the ratio among the layers again.
    Share,
    /// The pictures inside the program.
    OwnData,
    /// Validate on a part of the pictures to learn from.
    OwnValidation,
    /// Mark a layer everywhere.
    Mark(Option<usize>),
    Lock(usize, bool),
    UnlockAll,
    /// Fewest channels of a layer.
    SetLeast(usize, usize),
    /// Show no run beside the settings.
    PutAside,
    /// Make the picture smaller first, so that the truth is known.
    Shrink(bool),
    /// Compare both networks on the whole picture.
    JudgeWhole,
    /// Bring a place of the results to the middle.
    ShowPlace(Area),
    SetGain(f32),
    /// Words that listed runs have.
    Filter(String),
    /// The column that runs are ordered by, and whether the largest comes first.
    OrderBy(Column, bool),
    GroupSeeds(bool),
    /// Draw the curves of a run beside those of the chosen one.
    Overlay(RunId, bool),
    /// Where the plots are drawn.
    PlotArea(Rect),
    UseInUpscale(RunId),
    TakeSettings(RunId),
    ShowFolder(RunId),
    ExportCsv,
    ExportPng,
}
