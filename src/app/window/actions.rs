//! Everything that can be done in the window, and the keys for it.

use dualres_engine::Area;
use eframe::egui::{Context, Key, KeyboardShortcut, Modifiers};

use super::{
    adapting,
    canvas::view::Sight,
    compress::actions::CompressAction,
    dialogs::Purpose,
    leaving::Leaving,
    queue::ItemId,
    settings::{Choices, ThemeChoice, ViewMode},
    sheet::Sheet,
    sorting::Sorting,
};
use crate::{language::Language, remotes::Remote};

/// Something to do, from a key, a button or a menu.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    OpenFiles,
    OpenFolder,
    TypePath,
    /// Type a path where a dialog of the desktop does not come up.
    TypePathFor(Purpose),
    /// A path was typed.
    Typed(Purpose, String),
    /// Wait for the dialog of the desktop no more.
    AbandonDialog,
    AddPaths(Vec<std::path::PathBuf>),
    TrySample,
    Start,
    PauseOrGoOn,
    CancelRunning,
    Cancel(ItemId),
    Select(ItemId),
    SelectNeighbour(isize),
    Remove(ItemId),
    RemoveSelected,
    RemoveDone,
    /// Bring back what was taken out of the queue last.
    Undo,
    Retry(ItemId),
    Shift(ItemId, isize),
    ShiftSelected(isize),
    Place(ItemId, usize),
    Preview,
    Refine(f32),
    /// Choose how far results are brought to their originals, in `[0, 1]`.
    SetFidelity(f32),
    /// Save the selected picture at the chosen fidelity, as another version.
    ApplyFidelity,
    /// Show a version of a picture that was made before.
    ShowVersion(ItemId, usize),
    SaveAs,
    /// Save a result in place of a file that is there.
    Replace(ItemId, std::path::PathBuf),
    ShowInFolder(ItemId),
    ChooseOutputFolder,
    SetView(ViewMode),
    /// The canvas was drawn, moved or zoomed.
    See(Canvas, Sight),
    SetGain(f32),
    SetAutoGain(bool),
    /// Zoom to a place of the selected picture, in pixels of the original.
    ShowPlace(Area),
    Fit,
    ActualSize,
    Zoom(f64),
    Pan([f64; 2]),
    SetTab(Tab),
    ToggleTheme,
    SetTheme(ThemeChoice),
    /// None for that of the system.
    SetLanguage(Option<Language>),
    ToggleHelp,
    ToggleAbout,
    ToggleTable,
    ToggleFullScreen,
    ImportModel,
    RemoveModel(String),
    ExportModel(String),
    /// Train the dual model and calibrate the predicted error of a network that came without.
    CompleteModel(String),
    CancelCompletion,
    /// A step of the adaptation of a model to the photos of the queue.
    Adapt(adapting::AdaptAction),
    /// Save the table of results.
    ExportTable,
    /// Make a model the chosen one, in the Upscale tab.
    UseModel(String),
    /// Make a model the chosen one.
    PickModel(String),
    /// Leave the choice among the built-in models of a scale to each picture.
    FitModels(usize),
    /// Choose how pictures are upscaled and where results go.
    Choose(Box<Choices>),
    /// Choose the device, by name or `auto`.
    SetDevice(String),
    /// Add a device of another machine, and choose it.
    AddRemote(Remote),
    CheckDeviceAgain,
    SetLivePreview(bool),
    ShowDetails(bool),
    /// Show a model in the Models tab.
    ShowModel(String),
    SortResults(Sorting),
    /// Make the small picture of one of the queue.
    MakeThumbnail(ItemId),
    /// What was to come into sight has.
    Scrolled,
    /// A step of the comparison of models.
    Try(Trying),
    /// Open a sheet, or go on with what is filled in on it.
    Open(Sheet),
    CloseSheet,
    RunSelectedAgain,
    ShowSelectedInFolder,
    MoveSplit(f32),
    Gain(f32),
    Fidelity(f32),
    NextModel,
    /// Begins or ends the comparison of models on what is visible.
    CompareModels,
    Compress(CompressAction),
    Flip,
    NextPage,
    RestartEngine,
    /// Restart the engine on the CPU.
    ContinueOnCpu,
    /// What becomes of a run when the window is closed.
    Close(Leaving),
    /// The window is to stay after all.
    StayOpen,
    Escape,
    Quit,
}

/// The canvases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Canvas {
    /// That of the selected picture.
    Picture,
    /// Those of models that are compared.
    Trial,
    /// That of two networks in the Compress tab.
    Compress,
}

/// A step of the comparison of models.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trying {
    /// One more model.
    Also(String),
    /// One model less, by its place.
    Without(usize),
    /// Another model at a place.
    Instead(usize, String),
    /// The model at a place becomes the chosen one.
    Take(usize),
}

/// The pages of the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tab {
    #[default]
    Upscale,
    Compress,
    Models,
}

/// A key and what it does.
pub(crate) struct Binding {
    pub(crate) group: &'static str,
    pub(crate) keys: &'static [KeyboardShortcut],
    pub(crate) action: Action,
    pub(crate) label: &'static str,
}

const fn plain(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::NONE, key)
}

const fn command(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND, key)
}

const fn command_shift(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::COMMAND.plus(Modifiers::SHIFT), key)
}

const fn alt(key: Key) -> KeyboardShortcut {
    KeyboardShortcut::new(Modifiers::ALT, key)
}

const fn binding(
    group: &'static str,
    keys: &'static [KeyboardShortcut],
    action: Action,
    label: &'static str,
) -> Binding {
    Binding { group, keys, action, label }
}

/// All keys. Where one shortcut is part of another (Ctrl+O of Ctrl+Shift+O), the longer one comes first.
pub(crate) static BINDINGS: &[Binding] = &[
    binding("Pictures", &[command_shift(Key::O)], Action::OpenFolder, "Open a folder…"),
    binding("Pictures", &[command(Key::O)], Action::OpenFiles, "Open pictures…"),
    binding("Pictures", &[command_shift(Key::L)], Action::TrySample, "Try the samples"),
    binding("Pictures", &[command(Key::L)], Action::TypePath, "Type a path…"),
    binding("Pictures", &[command(Key::S)], Action::SaveAs, "Save the result as…"),
    binding("Queue", &[command(Key::Enter)], Action::Start, "Start queue, or rerun selected"),
    binding("Queue", &[command(Key::P)], Action::PauseOrGoOn, "Pause or resume"),
    binding("Queue", &[command(Key::Period)], Action::CancelRunning, "Cancel the running picture"),
    binding("Queue", &[alt(Key::ArrowLeft)], Action::ShiftSelected(-1), "Move it forward"),
    binding("Queue", &[alt(Key::ArrowRight)], Action::ShiftSelected(1), "Move it back"),
    binding("Queue", &[plain(Key::PageUp), plain(Key::K)], Action::SelectNeighbour(-1), "Select the one before"),
    binding("Queue", &[plain(Key::PageDown), plain(Key::J)], Action::SelectNeighbour(1), "Select the one after"),
    binding("Queue", &[plain(Key::Delete)], Action::RemoveSelected, "Remove"),
    binding("Queue", &[plain(Key::R)], Action::RunSelectedAgain, "Rerun"),
    binding("Queue", &[command(Key::Delete)], Action::RemoveDone, "Clear finished"),
    binding("Queue", &[command(Key::Z)], Action::Undo, "Undo a removal"),
    binding("Queue", &[command(Key::E)], Action::ShowSelectedInFolder, "Show result in folder"),
    binding("Queue", &[plain(Key::T)], Action::ToggleTable, "Table of all results"),
    binding("Choices", &[plain(Key::C)], Action::CompareModels, "Compare models"),
    binding("Choices", &[plain(Key::M)], Action::NextModel, "Next model"),
    binding("Choices", &[plain(Key::H)], Action::Fidelity(0.1), "More fidelity"),
    binding("Choices", &[plain(Key::G)], Action::Fidelity(-0.1), "Less fidelity"),
    binding("Choices", &[command(Key::D)], Action::ChooseOutputFolder, "Folder for results…"),
    binding("Canvas", &[plain(Key::OpenBracket)], Action::MoveSplit(-0.05), "Move the split left"),
    binding("Canvas", &[plain(Key::CloseBracket)], Action::MoveSplit(0.05), "Move the split right"),
    binding("Canvas", &[plain(Key::Comma)], Action::Gain(1.0 / 1.5), "Less gain"),
    binding("Canvas", &[plain(Key::Period)], Action::Gain(1.5), "More gain"),
    binding("Canvas", &[plain(Key::P)], Action::Preview, "Preview what is visible"),
    binding("Canvas", &[plain(Key::Num1)], Action::SetView(ViewMode::Panes), "Side by side"),
    binding("Canvas", &[plain(Key::Num2)], Action::SetView(ViewMode::Split), "Split"),
    binding("Canvas", &[plain(Key::Num3)], Action::SetView(ViewMode::Result), "Result"),
    binding("Canvas", &[plain(Key::Num4)], Action::SetView(ViewMode::Difference), "Difference"),
    binding("Canvas", &[plain(Key::Num5)], Action::SetView(ViewMode::Overlay), "Overlay"),
    binding("Canvas", &[plain(Key::Num6)], Action::SetView(ViewMode::Doubt), "Predicted error"),
    binding("Canvas", &[plain(Key::F)], Action::Fit, "Fit the picture"),
    binding("Canvas", &[plain(Key::Z)], Action::ActualSize, "1:1"),
    binding("Canvas", &[plain(Key::Plus), plain(Key::Equals)], Action::Zoom(2.0), "Zoom in"),
    binding("Canvas", &[plain(Key::Minus)], Action::Zoom(0.5), "Zoom out"),
    binding("Canvas", &[plain(Key::ArrowLeft)], Action::Pan([80.0, 0.0]), "Pan left"),
    binding("Canvas", &[plain(Key::ArrowRight)], Action::Pan([-80.0, 0.0]), "Pan right"),
    binding("Canvas", &[plain(Key::ArrowUp)], Action::Pan([0.0, 80.0]), "Pan up"),
    binding("Canvas", &[plain(Key::ArrowDown)], Action::Pan([0.0, -80.0]), "Pan down"),
    binding("Compress", &[plain(Key::N)], Action::NextPage, "Next page: picture, curves, runs"),
    binding("Compress", &[plain(Key::L)], Action::Compress(CompressAction::Measure), "Measure layers"),
    binding("Compress", &[plain(Key::B)], Action::Flip, "Results or reconstructions"),
    binding("Window", &[command(Key::Num1)], Action::SetTab(Tab::Upscale), "Upscale"),
    binding("Window", &[command(Key::Num2)], Action::SetTab(Tab::Compress), "Compress"),
    binding("Window", &[command(Key::Num3)], Action::SetTab(Tab::Models), "Models"),
    binding("Window", &[command(Key::I)], Action::ImportModel, "Import a model…"),
    binding("Window", &[command(Key::T)], Action::ToggleTheme, "Dark or light"),
    binding("Window", &[plain(Key::F11)], Action::ToggleFullScreen, "Full screen"),
    binding("Window", &[plain(Key::F1), plain(Key::Questionmark)], Action::ToggleHelp, "These keys"),
    binding("Window", &[plain(Key::F2)], Action::ToggleAbout, "About"),
    binding("Window", &[plain(Key::Escape)], Action::Escape, "Close what is open"),
    binding("Window", &[command(Key::Q)], Action::Quit, "Quit"),
];

/// What the keys that were pressed ask for. Keys without Ctrl belong to a text field while one is edited, and those of the
/// canvas and the queue do nothing where neither is seen.
pub(crate) fn pressed(ctx: &Context, tab: Tab) -> Vec<Action> {
    let typing = ctx.text_edit_focused();
    // A control that has the keyboard moves by arrows.
    let focused = ctx.egui_wants_keyboard_input();
    let mut actions = Vec::new();
    let counts = |binding: &&Binding| match binding.group {
        "Pictures" | "Window" => true,
        "Canvas" => tab != Tab::Models,
        "Compress" => tab == Tab::Compress,
        // Runs are begun, halted and stopped by the keys that pictures are.
        "Queue" if tab == Tab::Compress => {
            matches!(binding.action, Action::Start | Action::PauseOrGoOn | Action::CancelRunning)
        }
        _ => tab == Tab::Upscale,
    };
    for binding in BINDINGS.iter().filter(counts) {
        for shortcut in binding.keys {
            let key = shortcut.logical_key;
            let everywhere = matches!(key, Key::F1 | Key::F2 | Key::F11 | Key::Escape);
            let is_arrow = matches!(key, Key::ArrowLeft | Key::ArrowRight | Key::ArrowUp | Key::ArrowDown);
            let without_command = !shortcut.modifiers.command;
            // A field has an undo of its own, and deletes words.
            if typing && matches!(key, Key::Z | Key::Delete) {
                continue;
            }
            if without_command && ((typing && !everywhere) || (focused && is_arrow && shortcut.modifiers.is_none())) {
                continue;
            }
            let hit = ctx.input_mut(|input| {
                // A shifted ? is still ?, but Shift with a letter is not that letter alone.
                if shortcut.modifiers.is_none() && !matches!(key, Key::Questionmark | Key::Plus) {
                    !input.modifiers.any() && input.consume_shortcut(shortcut)
                } else {
                    input.consume_shortcut(shortcut)
                }
            });
            if hit {
                actions.push(binding.action.clone());
            }
        }
    }
    actions
}
