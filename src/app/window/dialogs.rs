//! File dialogs of the desktop, which never hold the window up, and typing a path where there are none.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use poll_promise::Promise;
use rfd::{AsyncFileDialog, FileHandle};

use super::queue::ItemId;
use crate::language::tr;

/// What a dialog was opened for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    Pictures,
    Folder,
    Model,
    OutputFolder,
    SaveAs {
        item: ItemId,
        name: String,
        folder: Option<PathBuf>,
    },
    ExportModel {
        name: String,
    },
    /// A run of compression.
    RunFolder,
    /// Pictures to compress with.
    CompressData,
    /// Pictures to validate compression on.
    CompressValidation,
    /// The picture that networks are compared on.
    ComparedPicture,
    CurvesCsv,
    PlotsPng,
    /// The table of results.
    Table,
}

impl Purpose {
    /// What the user is doing.
    pub(crate) fn title(&self) -> String {
        match self {
            Self::Pictures => tr!("Open pictures"),
            Self::Folder => tr!("Open a folder"),
            Self::Model => tr!("Import a model"),
            Self::OutputFolder => tr!("Folder for results"),
            Self::SaveAs { .. } => tr!("Save the result as"),
            Self::ExportModel { .. } => tr!("Export the model as"),
            Self::RunFolder => tr!("Open a run of compression"),
            Self::CompressData => tr!("Pictures to compress with"),
            Self::CompressValidation => tr!("Pictures to validate on"),
            Self::ComparedPicture => tr!("Picture to compare on"),
            Self::CurvesCsv => tr!("Export the curves as"),
            Self::PlotsPng => tr!("Export the plots as"),
            Self::Table => tr!("Save the table as"),
        }
    }
}

/// What came of a dialog.
pub(crate) enum Outcome {
    Chosen(Purpose, Vec<PathBuf>),
    /// Nothing was chosen, so soon that no dialog can have been on screen: there is none on this desktop.
    NoDialog(Purpose),
}

struct Open {
    purpose: Purpose,
    since: Instant,
    promise: Promise<Vec<PathBuf>>,
}

/// A dialog that is open, if any.
#[derive(Default)]
pub(crate) struct Dialogs {
    open: Option<Open>,
}

/// Sooner than a person can choose, or give up choosing.
const TOO_SOON: Duration = Duration::from_millis(500);

/// Whether this desktop can show a dialog at all, as far as that can be told without asking it.
pub(crate) fn may_be_there() -> bool {
    if !cfg!(target_os = "linux") {
        return true;
    }
    let named = std::env::var_os("DBUS_SESSION_BUS_ADDRESS").is_some_and(|address| !address.is_empty());
    let socket = std::env::var_os("XDG_RUNTIME_DIR").map(|folder| PathBuf::from(folder).join("bus"));
    named || socket.is_some_and(|socket| socket.exists())
}

impl Dialogs {
    pub(crate) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// What the open dialog is for, once it has been open long enough that it may not have appeared at all.
    pub(crate) fn waiting_for(&self) -> Option<&Purpose> {
        self.open.as_ref().filter(|open| open.since.elapsed() > Duration::from_secs(2)).map(|open| &open.purpose)
    }

    /// Forgets the open dialog; what it may still give is dropped.
    pub(crate) fn abandon(&mut self) -> Option<Purpose> {
        self.open.take().map(|open| open.purpose)
    }

    pub(crate) fn ask(&mut self, purpose: Purpose, wake: crate::actor::Wake) {
        // The dialog is made here, on the main thread, which some systems insist on, and awaited elsewhere.
        let dialog = AsyncFileDialog::new().set_title(purpose.title());
        let pictures = dualres_imaging::offered_extensions();
        type Answer = std::pin::Pin<Box<dyn Future<Output = Vec<FileHandle>> + Send>>;
        let answer: Answer = match &purpose {
            Purpose::Pictures => {
                let dialog = dialog.add_filter(tr!("Pictures"), &pictures).add_filter(tr!("All files"), &["*"]);
                let future = dialog.pick_files();
                Box::pin(async { future.await.unwrap_or_default() })
            }
            Purpose::Folder => {
                let future = dialog.pick_folders();
                Box::pin(async { future.await.unwrap_or_default() })
            }
            Purpose::ComparedPicture => {
                let dialog = dialog.add_filter(tr!("Pictures"), &pictures).add_filter(tr!("All files"), &["*"]);
                let future = dialog.pick_file();
                Box::pin(async { future.await.into_iter().collect() })
            }
            Purpose::CompressData => {
                let future = dialog.pick_folders();
                Box::pin(async { future.await.unwrap_or_default() })
            }
            Purpose::CurvesCsv | Purpose::PlotsPng | Purpose::Table => {
                let name = match purpose {
                    Purpose::CurvesCsv => "curves.csv",
                    Purpose::PlotsPng => "curves.png",
                    _ => "results.csv",
                };
                let future = dialog.set_file_name(name).save_file();
                Box::pin(async { future.await.into_iter().collect() })
            }
            Purpose::RunFolder | Purpose::CompressValidation | Purpose::OutputFolder => {
                let future = dialog.pick_folder();
                Box::pin(async { future.await.into_iter().collect() })
            }
            Purpose::Model => {
                let future = dialog.add_filter(tr!("Models"), &dualres_network::import::EXTENSIONS).pick_files();
                Box::pin(async { future.await.unwrap_or_default() })
            }
            Purpose::SaveAs { name, folder, .. } => {
                let mut dialog = dialog.set_file_name(name);
                if let Some(folder) = folder {
                    dialog = dialog.set_directory(folder);
                }
                let future = dialog.save_file();
                Box::pin(async { future.await.into_iter().collect() })
            }
            Purpose::ExportModel { name } => {
                let future = dialog.set_file_name(format!("{name}.safetensors")).save_file();
                Box::pin(async { future.await.into_iter().collect() })
            }
        };
        let promise = Promise::spawn_thread("dialog", move || {
            // A promise that is broken by a panic would take the window with it.
            let paths = dualres_imaging::caught(|| pollster::block_on(answer)).unwrap_or_default();
            let paths = paths.into_iter().map(|handle| handle.path().to_owned()).collect();
            wake();
            paths
        });
        self.open = Some(Open { purpose, since: Instant::now(), promise });
    }

    /// What came of the dialog, once.
    pub(crate) fn poll(&mut self) -> Option<Outcome> {
        self.open.as_ref()?.promise.ready()?;
        let Open { purpose, since, promise } = self.open.take()?;
        let paths = promise.try_take().unwrap_or_default();
        if paths.is_empty() {
            return (since.elapsed() < TOO_SOON).then_some(Outcome::NoDialog(purpose));
        }
        Some(Outcome::Chosen(purpose, paths))
    }
}
