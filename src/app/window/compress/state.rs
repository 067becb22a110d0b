//! The state of the Compress tab.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
    sync::{Arc, mpsc::Receiver},
};

use dualres_compression::{Estimate, Profile, Stage};
use dualres_engine::Area;
use dualres_imaging::Picture;
use eframe::egui::{ColorImage, Rect};
use poll_promise::Promise;

use super::{
    choices::CompressChoices,
    grouped::Grouped,
    judge::{Numbers, Sums, Worst},
    latency::Latency,
    preview_worker::PreviewWorker,
    questions::{Pair, Subject},
    remember::Remembered,
    runner::Runner,
    runs::{Column, Recalled, RunId, Runs},
    watching::Watching,
    width_editor::WidthEditor,
};
use crate::{
    language::tr,
    window::{
        canvas::view::{Sight, View},
        document::{Document, Pyramid},
        memo::Memo,
        settings::ViewMode,
        worker::NO_ITEM,
    },
};

/// The pages of the tab.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Page {
    /// Two networks on a picture.
    #[default]
    Picture,
    /// The curves of runs.
    Curves,
    /// All runs in a table and a plot.
    Runs,
}

impl Page {
    pub(crate) fn next(self) -> Self {
        match self {
            Self::Picture => Self::Curves,
            Self::Curves => Self::Runs,
            Self::Runs => Self::Picture,
        }
    }
}

/// The threads that work for the tab.
pub(crate) struct Threads {
    pub(crate) runner: Runner,
    pub(crate) preview_worker: PreviewWorker,
}

/// The sensitivity profile that instant networks come from.
#[derive(Clone, Debug, Default)]
pub(crate) enum ProfileState {
    /// Not asked for.
    #[default]
    None,
    /// Being measured: steps done of all.
    Measuring(usize, usize),
    Ready(Arc<Profile>),
    Failed(String),
}

/// Which network is shown beside the original.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Side {
    /// The network of the widths that are set, without training.
    #[default]
    Instant,
    /// The result of a run.
    Run(RunId),
}

/// A picture that is being read: its name, itself, and the truth if it was made smaller.
pub(crate) type Reading = Promise<Result<(String, Subject), String>>;

/// The picture that networks are compared on.
#[derive(Default)]
pub(crate) struct Shown {
    pub(crate) name: String,
    pub(crate) path: Option<PathBuf>,
    pub(crate) subject: Option<Subject>,
    pub(crate) reading: Option<Reading>,
    /// Whether the picture is made smaller first, so that the truth is known.
    pub(crate) shrinks: bool,
    /// Scale that the subject was made for.
    pub(crate) scale: usize,
    /// Networks whose pixels are in the documents.
    pub(crate) pair: Option<Pair>,
    /// Results: the original's as input, the compressed one's as result, at scale 1.
    pub(crate) results: Option<Document>,
    /// Ways back, likewise.
    pub(crate) backs: Option<Document>,
    /// Sums of the whole picture, and cells done of all.
    pub(crate) sums: Sums,
    pub(crate) cells: Option<(usize, usize)>,
    /// Whether those are of all of the picture, not only of what was in sight.
    pub(crate) is_whole: bool,
    /// The numbers, once done.
    pub(crate) numbers: Option<Numbers>,
    pub(crate) worst: Vec<Worst>,
    /// How fast the networks in sight are, if the compressed one is no result of a run.
    pub(crate) latency: Option<Latency>,
}

/// Wishes for pixels that are out.
#[derive(Default)]
pub(crate) struct Looking {
    pub(crate) request_id: u64,
    /// What the last wish was for.
    pub(crate) asked: Option<(Pair, Area)>,
    /// Tickets that were given out, with what for.
    pub(crate) out: Vec<(u64, Pair)>,
    /// Ticket of the whole picture under way.
    pub(crate) whole: Option<u64>,
    /// Pixels of input a second that both networks together come to.
    pub(crate) speed: f64,
    /// What went wrong with the last wish.
    pub(crate) complaint: Option<String>,
}

/// What is known of the pictures to compress with.
#[derive(Default)]
pub(crate) struct DataFacts {
    /// What the facts are of: the folders, and the least side that a picture must have.
    pub(crate) of: Option<(Vec<PathBuf>, Option<PathBuf>, usize)>,
    pub(crate) scanning: Option<Promise<Result<Scanned, String>>>,
    pub(crate) found: Option<Result<Scanned, String>>,
}

/// Pictures of a folder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scanned {
    pub(crate) pictures: usize,
    pub(crate) validation: usize,
    /// High-resolution pixels of the validation pictures.
    pub(crate) validation_pixels: f64,
}

/// How the table of runs is shown.
pub(crate) struct Table {
    pub(crate) filter: String,
    pub(crate) column: Column,
    pub(crate) descending: bool,
    /// Whether runs that differ in their seed alone are one row and one point.
    pub(crate) grouped: bool,
    /// What is shown then.
    pub(crate) statistics: Option<Grouped>,
}

/// What came of reading run folders: the folder, whether the user asked for it, and what it says.
pub(crate) type Found = Vec<(PathBuf, bool, Result<Option<Recalled>, String>)>;

/// A picture of the plots that is to become a file.
pub(crate) enum Picturing {
    /// To be asked for.
    Wanted(PathBuf),
    /// Asked for.
    Asked(PathBuf, Receiver<Arc<ColorImage>>),
}

/// The tab.
pub struct Compress {
    /// Started when they are first needed.
    pub(crate) threads: Option<Threads>,
    pub(crate) runs: Runs,
    /// The run whose layers, stages and result are shown.
    pub(crate) chosen: Option<RunId>,
    pub(crate) page: Page,
    /// Model that `width_editor` and `profile` are of.
    pub(crate) model: String,
    pub(crate) width_editor: WidthEditor,
    pub(crate) profile: ProfileState,
    /// The prunable layer that is marked everywhere.
    pub(crate) unit: Option<usize>,
    pub(crate) side: Side,
    pub(crate) shown: Shown,
    pub(crate) looking: Looking,
    pub(crate) reconstructions: bool,
    pub(crate) mode: ViewMode,
    pub(crate) view: View,
    pub(crate) split: f32,
    pub(crate) pane: [f64; 2],
    pub(crate) data: DataFacts,
    pub(crate) table: Table,
    /// Runs drawn beside the chosen one.
    pub(crate) overlaid: BTreeSet<RunId>,
    pub(crate) recalling: Vec<Promise<Found>>,
    pub(crate) watching: Watching,
    /// Exports under way.
    pub(crate) exporting: Vec<Promise<Result<PathBuf, String>>>,
    /// Where the plots are.
    pub(crate) plots: Rect,
    /// The export of plots under way.
    pub(crate) picturing: Option<Picturing>,
    pub(crate) saved: Remembered,
    /// Stages that began in this session, with the time and work, to learn how fast they are.
    pub(crate) clock: Option<(dualres_compression::Stage, std::time::Instant, usize)>,
    pub(crate) worked_out: WorkedOut,
}

impl Default for Compress {
    fn default() -> Self {
        Self {
            threads: None,
            runs: Runs::default(),
            chosen: None,
            page: Page::default(),
            model: String::new(),
            width_editor: WidthEditor::default(),
            profile: ProfileState::None,
            unit: None,
            side: Side::default(),
            shown: Shown::default(),
            looking: Looking { speed: 1e5, ..Looking::default() },
            reconstructions: false,
            mode: ViewMode::Panes,
            view: View::default(),
            split: 0.5,
            pane: [1.0; 2],
            data: DataFacts::default(),
            table: Table {
                filter: String::new(),
                column: Column::Date,
                descending: true,
                grouped: false,
                statistics: None,
            },
            overlaid: BTreeSet::new(),
            recalling: Vec::new(),
            watching: Watching::default(),
            exporting: Vec::new(),
            plots: Rect::NOTHING,
            picturing: None,
            saved: Remembered::default(),
            clock: None,
            worked_out: WorkedOut::default(),
        }
    }
}

/// What the tab shows in every frame and is worked out when what it depends on changes.
#[derive(Default)]
pub(crate) struct WorkedOut {
    /// What the widths of a model keep, by its name.
    pub(crate) kept: Memo<(String, Vec<usize>), (f64, f64)>,
    /// What the profile says of the network as it is and of that of the widths.
    pub(crate) estimates: Memo<(String, usize, Vec<usize>), [Estimate; 2]>,
    /// Seconds of the runs of the settings, and whether they are known.
    pub(crate) seconds: Memo<Asked, Option<(f64, bool)>>,
    /// Seconds of the stages of a run.
    pub(crate) stages: Memo<OfRun, Vec<(Stage, f64)>>,
}

/// What the time of the stages of a run depends on: run, pictures, speeds and device.
pub(crate) type OfRun = (RunId, Option<Scanned>, BTreeMap<String, f64>, String);

/// What the time of the runs of the settings depends on: settings, widths, pictures, speeds and device.
pub(crate) type Asked = (CompressChoices, Vec<usize>, Option<Scanned>, BTreeMap<String, f64>, String);

impl Compress {
    /// All runs.
    pub fn runs(&self) -> &Runs {
        &self.runs
    }

    /// The widths that the sliders are at.
    pub fn widths(&self) -> &[usize] {
        &self.width_editor.widths
    }

    /// Whether the sensitivity profile of the model is there.
    pub fn is_ready(&self) -> bool {
        matches!(self.profile, ProfileState::Ready(_))
    }

    /// Numbers of the whole picture by both networks: PSNR in dB between the results.
    pub fn difference(&self) -> Option<f64> {
        self.shown.numbers.map(|numbers| numbers.between)
    }

    /// Whether pixels of both networks are on the canvas.
    pub fn has_pixels(&self) -> bool {
        self.shown.results.as_ref().is_some_and(|document| document.result.is_some())
    }

    /// How the picture is seen.
    pub(crate) fn sight(&self) -> Sight {
        Sight { view: self.view, split: self.split, pane: self.pane }
    }

    /// Brings a place of the results to the middle.
    pub(crate) fn show_place(&mut self, area: Area) {
        let scale = if self.reconstructions { self.shown.scale.max(1) as f64 } else { 1.0 };
        let middle = [area.x as f64 + area.width as f64 / 2.0, area.y as f64 + area.height as f64 / 2.0];
        let side = area.width.max(area.height) as f64 / scale;
        // Some of its surroundings with it.
        let zoom = (self.pane[0].min(self.pane[1]) / (side * 2.5)).clamp(0.5, 8.0);
        self.view = View { center: middle.map(|at| at / scale), zoom, fits: false, ..self.view };
    }

    /// The document on the canvas.
    pub(crate) fn document(&self) -> Option<&Document> {
        if self.reconstructions { self.shown.backs.as_ref() } else { self.shown.results.as_ref() }
    }

    /// The chosen run.
    pub(crate) fn run(&self) -> Option<&super::runs::Run> {
        self.runs.get(self.chosen?)
    }

    /// Whether anything of the tab is under way that comes back by a promise.
    pub(crate) fn awaits(&self) -> bool {
        !self.recalling.is_empty()
            || !self.exporting.is_empty()
            || self.shown.reading.is_some()
            || self.data.scanning.is_some()
    }

    /// Forgets what was drawn of a pair of networks or a picture, and what was asked for.
    pub(crate) fn clear_pixels(&mut self) {
        self.clear_documents();
        self.forget_requests();
    }

    /// Nobody waits any more for what was asked for.
    pub(crate) fn forget_requests(&mut self) {
        self.clear_numbers();
        (self.looking.asked, self.looking.whole) = (None, None);
        self.looking.out.clear();
    }

    /// What is drawn next goes into empty documents.
    pub(crate) fn clear_documents(&mut self) {
        let shown = &mut self.shown;
        (shown.pair, shown.results, shown.backs) = (None, None, None);
        if let Some(subject) = &shown.subject {
            let size = [subject.input.width(), subject.input.height()];
            let empty = |factor: usize| {
                let [width, height] = size.map(|side| side * factor);
                Document::new(NO_ITEM, 1, Pyramid::empty(width, height))
            };
            (shown.results, shown.backs) = (Some(empty(shown.scale)), Some(empty(1)));
        }
    }

    pub(crate) fn clear_numbers(&mut self) {
        let shown = &mut self.shown;
        (shown.sums, shown.cells, shown.numbers) = (Sums::default(), None, None);
        shown.worst.clear();
        shown.latency = None;
    }
}

/// A picture ready for networks of `scale`: as it is, or made smaller by it so that the truth is known.
pub(crate) fn subject(mut picture: Picture, scale: usize, shrinks: bool) -> Result<Subject, String> {
    use dualres_imaging::resize::{Samples, imresize_picture};
    picture.alpha = None;
    if !shrinks {
        return Ok(Subject { input: Arc::new(picture), truth: None });
    }
    let [width, height] = [picture.width(), picture.height()].map(|side| side / scale * scale);
    if width.min(height) < 8 * scale {
        return Err(tr!("the picture is too small to be reduced %{scale} times", scale = scale));
    }
    let truth = picture.crop(0, 0, width, height);
    let input = imresize_picture(&truth, 1.0 / scale as f64, Samples::Uint8);
    Ok(Subject { input: Arc::new(input), truth: Some(Arc::new(truth)) })
}
