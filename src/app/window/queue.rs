//! The pictures that wait, run and are done.

use std::{
    collections::HashSet,
    path::PathBuf,
    time::{Duration, Instant},
};

use dualres_imaging::Format;
use eframe::egui::TextureHandle;
use serde::{Deserialize, Serialize};

use crate::batch::{outcome::Row, place};

/// A picture in the queue, for as long as the program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ItemId(pub u64);

/// A picture in the queue.
pub struct Item {
    /// What to call it in jobs and reports.
    pub id: ItemId,
    /// The file.
    pub path: PathBuf,
    /// Where it lies below the folder that was brought, if it came with one: folders of results keep that.
    pub below: PathBuf,
    /// Whether it is to be done although the record of the folder of results may have it: the user asked for it.
    pub again: bool,
    /// What results are to be where they are to be what their original is, once known.
    pub format: Option<Format>,
    /// Width and height in pixels as shown, once known.
    pub size: Option<[usize; 2]>,
    /// A small picture, once made.
    pub thumbnail: Option<TextureHandle>,
    /// How far it is.
    pub state: State,
}

impl Item {
    /// Whether the device is done with it and its result is on its way to the disk.
    pub fn is_being_saved(&self) -> bool {
        matches!(&self.state, State::Running(progress) if progress.saving)
    }

    /// File name to show.
    pub fn name(&self) -> String {
        self.path
            .file_name()
            .map_or_else(|| self.path.display().to_string(), |name| name.to_string_lossy().into_owned())
    }
}

/// How far a picture is.
#[derive(Clone, Debug)]
pub enum State {
    /// It has its turn later.
    Waiting,
    /// It is upscaled now.
    Running(Progress),
    /// The result is saved.
    Done(Finished),
    /// It could not be done.
    Failed(String),
    /// The user stopped it.
    Cancelled,
}

/// A running picture.
#[derive(Clone, Debug)]
pub struct Progress {
    /// What is being done.
    pub stage: String,
    /// Part that is done, in `[0, 1]`.
    pub done: f32,
    /// Start of the run, later by the time it was halted.
    pub started: Instant,
    /// How many times the result is as large, whatever has been chosen since.
    pub scale: usize,
    /// Whether the device is done with it and its result is being saved, while the next picture may run.
    pub saving: bool,
    /// Whether the worker that saves it has been replaced.
    pub left_behind: bool,
}

impl Progress {
    /// Time that is left at the speed so far; `None` while it is too early to tell.
    pub fn left(&self) -> Option<Duration> {
        let elapsed = self.started.elapsed().as_secs_f32();
        (self.done > 0.02 && elapsed > 0.3).then(|| Duration::from_secs_f32(elapsed * (1.0 - self.done) / self.done))
    }
}

/// A picture that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The result.
    #[serde(with = "place")]
    pub output: PathBuf,
    /// Width and height of the result in pixels.
    pub size: [usize; 2],
    /// Name of the model.
    pub model: String,
    /// Device it ran on.
    pub device: String,
    /// From file to file.
    pub seconds: f64,
    /// What its proof says.
    #[serde(flatten)]
    pub proven: Proven,
}

/// What the proof of a result says, as far as its model can tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Proven {
    /// By the engine's rule, in dB; `None` without dual models or for a perfect loop.
    pub loop_psnr: Option<f64>,
    /// Mean absolute difference of the way back from the original, in gray levels.
    pub dual_loss: Option<f64>,
    /// PSNR on luma in dB that is expected against the truth; `None` for a model whose errors are not known.
    #[serde(default)]
    pub expected_psnr: Option<f64>,
}

/// The pictures in their order.
#[derive(Default)]
pub struct Queue {
    items: Vec<Item>,
    next: u64,
}

impl Queue {
    /// All pictures in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Appends a picture.
    pub fn add(&mut self, path: PathBuf, size: Option<[usize; 2]>) -> ItemId {
        let id = ItemId(self.next);
        self.next += 1;
        let (below, state) = (PathBuf::new(), State::Waiting);
        self.items.push(Item { id, path, below, again: false, format: None, size, thumbnail: None, state });
        id
    }

    /// The files of the queue and the results that were made of them.
    pub fn paths(&self) -> HashSet<PathBuf> {
        let results = self.items.iter().filter_map(|item| match &item.state {
            State::Done(finished) => Some(finished.output.clone()),
            _ => None,
        });
        self.items.iter().map(|item| item.path.clone()).chain(results).collect()
    }

    /// The picture.
    pub fn get(&self, id: ItemId) -> Option<&Item> {
        self.items.iter().find(|item| item.id == id)
    }

    /// The picture, to change.
    pub fn get_mut(&mut self, id: ItemId) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.id == id)
    }

    /// Takes a picture out.
    pub fn remove(&mut self, id: ItemId) {
        self.items.retain(|item| item.id != id);
    }

    /// Takes out what is done, failed and cancelled.
    pub fn remove_ended(&mut self) {
        self.items.retain(|item| matches!(item.state, State::Waiting | State::Running(_)));
    }

    /// Moves a picture by `places`, to the ends at most.
    pub fn shift(&mut self, id: ItemId, places: isize) {
        if let Some(from) = self.items.iter().position(|item| item.id == id) {
            let to = from.saturating_add_signed(places).min(self.items.len() - 1);
            let item = self.items.remove(from);
            self.items.insert(to, item);
        }
    }

    /// Moves a picture before the one at `place`; past the end is the end.
    pub fn place(&mut self, id: ItemId, place: usize) {
        if let Some(from) = self.items.iter().position(|item| item.id == id) {
            let item = self.items.remove(from);
            let to = if place > from { place - 1 } else { place };
            self.items.insert(to.min(self.items.len()), item);
        }
    }

    /// The picture whose turn it is.
    pub fn next_waiting(&self) -> Option<ItemId> {
        self.items.iter().find(|item| matches!(item.state, State::Waiting)).map(|item| item.id)
    }

    /// The picture that the device works on.
    pub fn running(&self) -> Option<&Item> {
        self.items.iter().find(|item| matches!(&item.state, State::Running(progress) if !progress.saving))
    }

    /// What ran has failed, all of it.
    pub fn fail_running(&mut self, reason: &str) {
        for item in self.items.iter_mut().filter(|item| matches!(item.state, State::Running(_))) {
            item.state = State::Failed(reason.to_owned());
        }
    }

    /// Notes that what runs now is in the hands of a worker that has been replaced.
    pub fn leave_behind(&mut self) {
        for item in &mut self.items {
            if let State::Running(progress) = &mut item.state {
                progress.left_behind = true;
            }
        }
    }

    /// What was being saved by a worker that is gone has failed.
    pub fn fail_left(&mut self, reason: &str) {
        for item in &mut self.items {
            if matches!(&item.state, State::Running(progress) if progress.left_behind) {
                item.state = State::Failed(reason.to_owned());
            }
        }
    }

    /// Whether a picture runs or its result is being saved.
    pub fn is_busy(&self) -> bool {
        self.items.iter().any(|item| matches!(item.state, State::Running(_)))
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.items.iter().filter(|item| matches!(item.state, State::Waiting)).count()
    }

    /// The picture `places` after the given one; the first or last if there is none there.
    pub fn neighbour(&self, id: Option<ItemId>, places: isize) -> Option<ItemId> {
        let last = self.items.len().checked_sub(1)?;
        let at = id.and_then(|id| self.items.iter().position(|item| item.id == id));
        let to = at.map_or(0, |at| at.saturating_add_signed(places).min(last));
        Some(self.items[to].id)
    }

    /// What became of the pictures that had their turn, as the command line tells it.
    pub fn rows(&self) -> Vec<Row> {
        let row = |item: &Item| {
            let failed = Row::failed(&item.path, String::new());
            match &item.state {
                State::Failed(reason) => Some(Row { error: reason.clone(), ..failed }),
                State::Done(Finished { output, size: [width, height], model, seconds, proven, .. }) => Some(Row {
                    state: "done",
                    output: output.to_string_lossy().into_owned(),
                    model: model.clone(),
                    width: Some(*width),
                    height: Some(*height),
                    loop_psnr: proven.loop_psnr,
                    expected_psnr: proven.expected_psnr,
                    seconds: Some(*seconds),
                    ..failed
                }),
                State::Waiting | State::Running(_) | State::Cancelled => None,
            }
        };
        self.items.iter().filter_map(row).collect()
    }

    /// What to remember of the queue.
    pub fn remember(&self) -> Remembered {
        let items = self.items.iter().map(|item| RememberedItem {
            path: item.path.clone(),
            below: item.below.clone(),
            finished: if let State::Done(finished) = &item.state { Some(finished.clone()) } else { None },
            cancelled: matches!(item.state, State::Cancelled),
            failed: if let State::Failed(reason) = &item.state { Some(reason.clone()) } else { None },
        });
        Remembered { items: items.collect() }
    }

    /// Appends what was remembered; files that have gone since are left out.
    pub fn recall(&mut self, remembered: Remembered) -> Vec<ItemId> {
        let present = remembered.items.into_iter().filter(|item| item.path.exists());
        present
            .map(|RememberedItem { path, below, finished, failed, cancelled }| {
                let id = self.add(path, None);
                if let Some(item) = self.get_mut(id) {
                    item.below = below;
                    item.state = match (finished, failed) {
                        (Some(finished), _) if finished.output.exists() => State::Done(finished),
                        // A result that has gone was perhaps moved: it is not made again unasked.
                        (Some(_), _) => State::Cancelled,
                        (_, Some(reason)) => State::Failed(reason),
                        _ if cancelled => State::Cancelled,
                        _ => State::Waiting,
                    };
                }
                id
            })
            .collect()
    }
}

/// The queue on disk.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Remembered {
    items: Vec<RememberedItem>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct RememberedItem {
    #[serde(with = "place")]
    path: PathBuf,
    #[serde(default, with = "place")]
    below: PathBuf,
    #[serde(default)]
    finished: Option<Finished>,
    #[serde(default)]
    failed: Option<String>,
    #[serde(default)]
    cancelled: bool,
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn names(queue: &Queue) -> String {
        queue.items().iter().map(Item::name).collect()
    }

    #[test]
    fn order_can_be_changed() {
        let mut queue = Queue::default();
        let ids: Vec<_> = ["a", "b", "c", "d"].iter().map(|name| queue.add(PathBuf::from(name), None)).collect();
        queue.shift(ids[0], 2);
        assert_eq!(names(&queue), "bcad");
        queue.shift(ids[0], -9);
        assert_eq!(names(&queue), "abcd");
        queue.place(ids[0], 4);
        assert_eq!(names(&queue), "bcda");
        queue.place(ids[3], 0);
        assert_eq!(names(&queue), "dbca");
        queue.place(ids[3], 2);
        assert_eq!(names(&queue), "bdca");
        assert_eq!(queue.neighbour(Some(ids[0]), 1), Some(ids[0]), "the last stays the last");
        queue.remove(ids[1]);
        assert_eq!(names(&queue), "dca");
        assert_eq!(queue.next_waiting(), Some(ids[3]));
    }

    #[cfg(unix)]
    #[test]
    fn a_name_that_is_no_text_does_not_cost_the_queue() {
        use std::os::unix::ffi::OsStringExt;
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join(std::ffi::OsString::from_vec(b"caf\xe9.png".to_vec()));
        std::fs::write(&odd, "").unwrap();
        let mut queue = Queue::default();
        let id = queue.add(odd.clone(), None);
        queue.get_mut(id).unwrap().below = "roll 1".into();
        let text = serde_json::to_string(&queue.remember()).unwrap();
        let mut later = Queue::default();
        later.recall(serde_json::from_str(&text).unwrap());
        assert_eq!((&later.items()[0].path, &later.items()[0].below), (&odd, &PathBuf::from("roll 1")));
    }

    #[test]
    fn a_restart_brings_back_what_waited_and_what_was_done() {
        let folder = tempfile::tempdir().unwrap();
        let [done, waits, gone] = ["done.png", "waits.png", "gone.png"].map(|name| folder.path().join(name));
        for path in [&done, &waits, &gone] {
            std::fs::write(path, "").unwrap();
        }
        let mut queue = Queue::default();
        let finished = Finished {
            output: done.clone(),
            size: [2, 2],
            model: "x2".into(),
            device: "CPU".into(),
            seconds: 1.0,
            proven: Proven { loop_psnr: Some(50.0), dual_loss: Some(0.4), expected_psnr: None },
        };
        let id = queue.add(done, None);
        queue.get_mut(id).unwrap().state = State::Done(finished.clone());
        queue.add(waits, None);
        queue.add(gone.clone(), None);
        std::fs::remove_file(gone).unwrap();
        let rows = queue.rows();
        assert_eq!((rows.len(), rows[0].state, rows[0].width, rows[0].loop_psnr), (1, "done", Some(2), Some(50.0)));
        let text = serde_json::to_string(&queue.remember()).unwrap();
        let mut later = Queue::default();
        later.recall(serde_json::from_str(&text).unwrap());
        assert_eq!(names(&later), "done.pngwaits.png");
        assert!(matches!(&later.items()[0].state, State::Done(again) if *again == finished));
        assert!(matches!(later.items()[1].state, State::Waiting));
    }
}
