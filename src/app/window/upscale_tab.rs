//! The Upscale tab: the queue, what is on the canvas, and the run.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    path::PathBuf,
    time::Instant,
};

use poll_promise::Promise;

use super::{
    adapting::Adapting,
    candidates::Trial,
    canvas::view::{Sight, View},
    cost::ModelComparison,
    forecast::Forecasts,
    open_documents::OpenDocuments,
    previewed::Live,
    queue::{ItemId, Queue},
    refinement::Refinement,
    sorting::Sorting,
    tally::Tally,
};

/// The Upscale tab.
pub(crate) struct UpscaleTab {
    pub(super) queue: Queue,
    pub(super) queue_changed: bool,
    pub(super) selected: Option<ItemId>,
    /// Whether waiting pictures are run one after the other.
    pub(super) runs: bool,
    /// The picture that alone is run, whatever else waits.
    pub(super) only: Option<ItemId>,
    /// Whether the canvas goes along with the running picture; until the user selects another.
    pub(super) follows: bool,
    pub(super) paused_since: Option<Instant>,
    /// What became of the pictures of the present run, or the last.
    pub(super) run: Tally,
    pub(super) documents: OpenDocuments,
    pub(super) view: View,
    pub(super) split: f32,
    /// Size of a pane in pixels of the screen, as drawn last.
    pub(super) pane: [f64; 2],
    pub(super) previewing: Option<Instant>,
    pub(super) live: Live,
    /// Models that are compared on a part of the selected picture.
    pub(super) trial: Option<Trial>,
    pub(super) refinement: Refinement,
    /// What compressed models cost on pictures, against the models they were made from.
    pub(super) beside: HashMap<ItemId, ModelComparison>,
    /// Pictures that could not be read for the canvas, and why.
    pub(super) unreadable: HashMap<ItemId, String>,
    /// Files that are being made for the queue.
    pub(super) brought: Vec<Promise<Result<Vec<PathBuf>, String>>>,
    /// Pictures whose thumbnails were asked for.
    pub(super) thumbnails_asked: HashSet<ItemId>,
    /// Thumbnails in memory, the oldest first.
    pub(super) thumbnails: VecDeque<ItemId>,
    /// A picture of the queue to bring into sight.
    pub(super) scroll_to: Option<ItemId>,
    /// What becomes of the open picture's file.
    pub(super) forecasts: Forecasts,
    /// By what the table of results is sorted.
    pub(super) sorting: Sorting,
    /// The model that is being adapted to the photos of the queue.
    pub(super) adapting: Adapting,
}

impl UpscaleTab {
    /// How the selected picture is seen.
    pub(super) fn sight(&self) -> Sight {
        Sight { view: self.view, split: self.split, pane: self.pane }
    }
}

impl Default for UpscaleTab {
    fn default() -> Self {
        Self {
            queue: Queue::default(),
            queue_changed: false,
            selected: None,
            runs: false,
            only: None,
            follows: true,
            paused_since: None,
            run: Tally::default(),
            documents: OpenDocuments::default(),
            view: View::default(),
            split: 0.5,
            pane: [1.0; 2],
            previewing: None,
            live: Live::default(),
            trial: None,
            refinement: Refinement::default(),
            beside: HashMap::new(),
            unreadable: HashMap::new(),
            brought: Vec::new(),
            thumbnails_asked: HashSet::new(),
            thumbnails: VecDeque::new(),
            scroll_to: None,
            forecasts: Forecasts::default(),
            sorting: Sorting::default(),
            adapting: Adapting::Idle,
        }
    }
}
