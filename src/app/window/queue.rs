//! The pictures that wait, run and are done.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use super::item::{Failure, Finished, Item, ItemId, Proven, State, Turn};
use crate::batch::{location, outcome::Row};

/// The pictures in their order.
#[derive(Default)]
pub struct Queue {
    items: Vec<Item>,
    next: u64,
    /// What was taken out, the newest last: pictures with their places, the first first.
    removals: Vec<Vec<(usize, Item)>>,
}

/// Most removals that can be undone.
const MAX_REMOVALS: usize = 20;

impl Queue {
    /// All pictures in order.
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// Appends a picture.
    pub fn add(&mut self, path: PathBuf, size: Option<[usize; 2]>) -> ItemId {
        let id = ItemId(self.next);
        self.next += 1;
        self.items.push(Item::new(id, path, size));
        id
    }

    /// Which picture of its place in the folder that was named the next one is, as [`Inputs`](crate::batch::inputs::Inputs) number them
    /// that are named together.
    pub fn next_of_place(&self, below: &Path, path: &Path) -> usize {
        let same = |item: &&Item| item.below == below && item.path.file_name() == path.file_name();
        self.items.iter().filter(same).map(|item| item.twin + 1).max().unwrap_or(0)
    }

    /// The files of the queue and the results that were made of them.
    pub fn paths(&self) -> HashSet<PathBuf> {
        let shown = self.items.iter().filter_map(|item| match &item.state {
            State::Done(finished) | State::Moved(finished) => Some(finished.output.clone()),
            _ => None,
        });
        let versions = self.items.iter().flat_map(|item| &item.versions).map(|version| version.output.clone());
        let results = shown.chain(versions);
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
        self.take_out(|item| item.id == id);
    }

    /// Takes out what is done; what failed or was cancelled still wants something of the user. Returns how many there were.
    pub fn remove_done(&mut self) -> usize {
        self.take_out(|item| matches!(item.state, State::Done(_) | State::Moved(_)))
    }

    /// Takes out what has not been done: what waits and what runs. What was to be done once more is as it was.
    pub fn remove_undone(&mut self) {
        let again =
            |item: &&mut Item| matches!(item.state, State::Waiting | State::Running(_)) && !item.versions.is_empty();
        self.items.iter_mut().filter(again).for_each(|item| item.end(State::Cancelled));
        self.take_out(|item| matches!(item.state, State::Waiting | State::Running(_)));
    }

    fn take_out(&mut self, goes: impl Fn(&Item) -> bool) -> usize {
        let (gone, stay): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.items).into_iter().enumerate().partition(|(_, item)| goes(item));
        self.items = stay.into_iter().map(|(_, item)| item).collect();
        let count = gone.len();
        if count > 0 {
            // Thumbnails are made anew: what is out of sight is not to hold memory.
            let without = gone.into_iter().map(|(place, item)| (place, Item { thumbnail: None, ..item }));
            self.removals.push(without.collect());
            let over = self.removals.len().saturating_sub(MAX_REMOVALS);
            self.removals.drain(..over);
        }
        count
    }

    /// Whether something was taken out that can come back.
    pub fn can_undo(&self) -> bool {
        !self.removals.is_empty()
    }

    /// Brings back what was taken out last, to its places; but for files that have been brought anew since. Returns what came
    /// back.
    pub fn undo(&mut self) -> Vec<ItemId> {
        let mut back = Vec::new();
        for (place, mut item) in self.removals.pop().unwrap_or_default() {
            // Nobody works on it any more.
            if matches!(item.state, State::Running(_)) {
                item.state = State::Waiting;
            }
            if self.items.iter().all(|there| there.path != item.path) {
                back.push(item.id);
                self.items.insert(place.min(self.items.len()), item);
            }
        }
        back
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

    /// Calls `change` with the progress of each picture that runs.
    pub fn each_running(&mut self, mut change: impl FnMut(&mut Turn)) {
        for item in &mut self.items {
            if let State::Running(progress) = &mut item.state {
                change(progress);
            }
        }
    }

    /// What ran has failed, all of it.
    pub fn fail_running(&mut self, reason: &str) {
        for item in self.items.iter_mut().filter(|item| matches!(item.state, State::Running(_))) {
            item.end(State::failed(reason));
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
                item.state = State::failed(reason);
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
                State::Failed(failure) => Some(Row { error: failure.reason.clone(), ..failed }),
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
                State::Waiting | State::Running(_) | State::Cancelled | State::Moved(_) => None,
            }
        };
        self.items.iter().filter_map(row).collect()
    }

    /// What to remember of the queue.
    pub fn remember(&self) -> Remembered {
        let items = self.items.iter().map(|item| RememberedItem {
            path: item.path.clone(),
            below: item.below.clone(),
            twin: item.twin,
            finished: match &item.state {
                State::Done(finished) | State::Moved(finished) => Some(finished.clone()),
                // It was to be done once more: what was there before stays.
                _ => item.versions.last().cloned(),
            },
            cancelled: matches!(item.state, State::Cancelled),
            again: matches!(item.state, State::Waiting | State::Running(_)) && !item.versions.is_empty(),
            versions: item.versions.clone(),
            failed: if let State::Failed(failure) = &item.state { Some(failure.clone().into()) } else { None },
        });
        Remembered { items: items.collect() }
    }

    /// Appends what was remembered; files that have gone since are left out.
    pub fn recall(&mut self, remembered: Remembered) -> Vec<ItemId> {
        let present = remembered.items.into_iter().filter(|item| item.path.exists());
        present
            .map(|RememberedItem { path, below, twin, finished, failed, cancelled, again, versions }| {
                let id = self.add(path, None);
                if let Some(item) = self.get_mut(id) {
                    (item.below, item.twin) = (below, twin);
                    versions.into_iter().filter(|version| version.output.exists()).for_each(|it| item.finish(it));
                    match (finished, failed) {
                        // The one that was shown is the one that is shown.
                        (Some(finished), _) if finished.output.exists() => item.show(finished),
                        (Some(finished), _) => item.state = State::Moved(finished),
                        (_, Some(failure)) => item.state = State::Failed(failure.into()),
                        _ if cancelled => item.state = State::Cancelled,
                        _ => {}
                    }
                    if again {
                        (item.state, item.again) = (State::Waiting, true);
                    }
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
    #[serde(with = "location")]
    path: PathBuf,
    #[serde(default, with = "location")]
    below: PathBuf,
    #[serde(default)]
    twin: usize,
    #[serde(default)]
    finished: Option<Finished>,
    #[serde(default)]
    failed: Option<RememberedFailure>,
    #[serde(default)]
    cancelled: bool,
    /// Whether it was to be done once more.
    #[serde(default)]
    again: bool,
    /// Its results, the oldest first.
    #[serde(default)]
    versions: Vec<Finished>,
}

/// Why a picture failed; versions before kept the reason alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum RememberedFailure {
    Whole(Failure),
    Reason(String),
}

impl From<Failure> for RememberedFailure {
    fn from(failure: Failure) -> Self {
        Self::Whole(failure)
    }
}

impl From<RememberedFailure> for Failure {
    fn from(remembered: RememberedFailure) -> Self {
        match remembered {
            RememberedFailure::Whole(failure) => failure,
            RememberedFailure::Reason(reason) => Self { reason, lasts: false },
        }
    }
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
            fidelity: 0.0,
            seconds: 1.0,
            proven: Proven {
                loop_psnr: Some(50.0),
                dual_loss: Some(0.4),
                expected_psnr: None,
                worst: None,
                misfit: None,
            },
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
        // A result that is gone at the next start is told so, remembered, and there again when it is.
        let result = later.items()[0].path.clone();
        let kept = std::fs::read(&result).unwrap();
        let elsewhere = folder.path().join("elsewhere.png");
        let mut queue = Queue::default();
        let id = queue.add(folder.path().join("waits.png"), None);
        queue.get_mut(id).unwrap().finish(Finished { output: elsewhere.clone(), ..finished });
        let again = |queue: &Queue| {
            let mut next = Queue::default();
            next.recall(serde_json::from_str(&serde_json::to_string(&queue.remember()).unwrap()).unwrap());
            next
        };
        let moved = again(&queue);
        assert!(matches!(&moved.items()[0].state, State::Moved(f) if f.output == elsewhere));
        assert!(moved.items()[0].may_be_retried() && moved.next_waiting().is_none());
        std::fs::write(&elsewhere, kept).unwrap();
        let back = again(&moved);
        assert!(matches!(&back.items()[0].state, State::Done(f) if f.output == elsewhere));
    }

    #[test]
    fn removals_are_undone_one_by_one_to_their_places() {
        let mut queue = Queue::default();
        let ids: Vec<_> = ["a", "b", "c", "d", "e"].iter().map(|name| queue.add(PathBuf::from(name), None)).collect();
        let done = |queue: &mut Queue, id: ItemId| queue.get_mut(id).unwrap().state = State::Moved(finished());
        done(&mut queue, ids[1]);
        done(&mut queue, ids[3]);
        queue.get_mut(ids[4]).unwrap().state = State::failed("why");
        queue.remove(ids[0]);
        assert_eq!(queue.remove_done(), 2);
        assert_eq!(names(&queue), "ce", "what failed stays");
        assert_eq!(queue.remove_done(), 0, "nothing that is nothing can be undone");
        assert_eq!(queue.undo(), [ids[1], ids[3]]);
        assert_eq!(names(&queue), "bcde");
        queue.add(PathBuf::from("a"), None);
        assert_eq!(queue.undo(), [], "it has been brought anew");
        assert!(!queue.can_undo() && queue.undo().is_empty());
        assert_eq!(names(&queue), "bcdea");
    }

    #[test]
    fn what_was_to_be_done_once_more_is_still_done_when_the_rest_is_dropped() {
        let mut queue = Queue::default();
        let [again, first] = ["a", "b"].map(|name| queue.add(PathBuf::from(name), None));
        queue.get_mut(again).unwrap().finish(finished());
        queue.get_mut(again).unwrap().state = State::Waiting;
        queue.remove_undone();
        assert_eq!(names(&queue), "a");
        assert!(matches!(&queue.get(again).unwrap().state, State::Done(there) if *there == finished()));
        assert!(queue.get(first).is_none());
        // A further version that is not made leaves the ones that are.
        let item = queue.get_mut(again).unwrap();
        item.finish(Finished { output: "second".into(), ..finished() });
        assert_eq!(item.versions.len(), 2);
        item.end(State::failed("why"));
        assert!(matches!(&item.state, State::Done(there) if there.output == std::path::Path::new("second")));
        assert!(queue.paths().contains(&PathBuf::from("out")), "an earlier version is a result, too");
    }

    #[test]
    fn a_file_at_fault_is_not_tried_again_and_old_files_of_the_queue_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("bad.png");
        std::fs::write(&path, "").unwrap();
        let mut queue = Queue::default();
        let id = queue.add(path, None);
        let item = queue.get_mut(id).unwrap();
        item.state = State::Failed(Failure { reason: "no picture".into(), lasts: true });
        assert!(!item.may_be_retried());
        item.state = State::failed("the disk is full");
        assert!(item.may_be_retried());
        item.state = State::Failed(Failure { reason: "no picture".into(), lasts: true });
        let mut text = serde_json::to_value(queue.remember()).unwrap();
        let read = |text: &serde_json::Value| {
            let mut later = Queue::default();
            later.recall(serde_json::from_value(text.clone()).unwrap());
            later.items()[0].may_be_retried()
        };
        assert!(!read(&text));
        text["items"][0]["failed"] = "no picture".into();
        assert!(read(&text));
    }

    fn finished() -> Finished {
        let proven = Proven::default();
        let (model, device) = ("x2".into(), "CPU".into());
        Finished { output: "out".into(), size: [2, 2], model, device, fidelity: 0.0, seconds: 1.0, proven }
    }

    /// What is to be done once more is so after a restart, and what there was of it is there.
    #[test]
    fn versions_and_what_is_to_be_done_again_survive() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, name).unwrap();
            path
        };
        let result = |name: &str, fidelity: f32| Finished {
            output: file(name),
            size: [4, 4],
            model: "x2".into(),
            device: "CPU".into(),
            fidelity,
            seconds: 1.0,
            proven: Proven::default(),
        };
        let mut queue = Queue::default();
        let id = queue.add(file("a.png"), None);
        let item = queue.get_mut(id).unwrap();
        item.finish(result("a_x2.png", 0.0));
        item.finish(result("a_x2-2.png", 0.5));
        // The first is shown again, then all is run once more, and the window closes.
        let first = item.versions[0].clone();
        item.show(first.clone());
        let mut shown = Queue::default();
        shown.recall(queue.remember());
        assert!(matches!(&shown.items()[0].state, State::Done(finished) if *finished == first));
        assert_eq!(shown.items()[0].versions.len(), 2);
        let item = queue.get_mut(id).unwrap();
        (item.state, item.again) = (State::Waiting, true);
        let mut again = Queue::default();
        again.recall(queue.remember());
        let item = &again.items()[0];
        assert!(matches!(item.state, State::Waiting) && item.again && item.versions.len() == 2);
    }
}
