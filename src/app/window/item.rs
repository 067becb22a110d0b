//! A picture of the queue: its file, how far it is, and what was made of it.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use dualres_imaging::Format;
use eframe::egui::TextureHandle;
use serde::{Deserialize, Serialize};

use crate::batch::{
    choice::Misfit,
    location,
    outcome::{Verdict, verdict},
    sizes::FinalSize,
};

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
    /// Which it is of the pictures of that place; see [`crate::batch::inputs::Input`].
    pub twin: usize,
    /// Whether it is to be done although the record of the folder of results may have it: the user asked for it.
    pub again: bool,
    /// What results are to be where they are to be what their original is, once known.
    pub format: Option<Format>,
    /// Width and height in pixels as shown, once known.
    pub size: Option<[usize; 2]>,
    /// Results that were made of it since the window was opened, or that it came with, the oldest first: runs and what was applied.
    pub versions: Vec<Finished>,
    /// The model and the fidelity that it is to be done with, if those are not the chosen ones.
    pub redo: Option<(String, f32)>,
    /// A small picture, once made.
    pub thumbnail: Option<TextureHandle>,
    /// How far it is.
    pub state: State,
}

impl Item {
    /// A picture that waits for its turn.
    pub fn new(id: ItemId, path: PathBuf, size: Option<[usize; 2]>) -> Self {
        Self {
            id,
            path,
            below: PathBuf::new(),
            twin: 0,
            again: false,
            format: None,
            size,
            versions: Vec::new(),
            redo: None,
            thumbnail: None,
            state: State::Waiting,
        }
    }

    /// A result is there: it is shown, and can be shown again after later ones.
    pub fn finish(&mut self, finished: Finished) {
        self.again = false;
        self.versions.retain(|version| version.output != finished.output);
        self.versions.push(finished.clone());
        self.state = State::Done(finished);
    }

    /// A result that is there is shown, in its place among the versions.
    pub fn show(&mut self, finished: Finished) {
        if !self.versions.iter().any(|version| version.output == finished.output) {
            self.versions.push(finished.clone());
        }
        self.state = State::Done(finished);
    }

    /// A run has ended without a result, in `state`. One that was there before is there again.
    pub fn end(&mut self, state: State) {
        (self.again, self.redo) = (false, None);
        self.state = match self.versions.last() {
            Some(version) => State::Done(version.clone()),
            None => state,
        };
    }

    /// Whether another attempt may end otherwise: it did not end with a result, and the file is not at fault.
    pub fn may_be_retried(&self) -> bool {
        match &self.state {
            State::Failed(failure) => !failure.lasts,
            State::Cancelled | State::Moved(_) => true,
            State::Waiting | State::Running(_) | State::Done(_) => false,
        }
    }

    /// Whether it can be run once more: it does not run, and its file is not at fault.
    pub fn may_be_done_again(&self) -> bool {
        match &self.state {
            State::Failed(failure) => !failure.lasts,
            State::Running(_) => false,
            State::Waiting | State::Cancelled | State::Moved(_) | State::Done(_) => true,
        }
    }

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
    Running(Turn),
    /// The result is saved.
    Done(Finished),
    /// It could not be done.
    Failed(Failure),
    /// The user stopped it.
    Cancelled,
    /// It was done, and its result is not where it was saved any more. Perhaps it was moved, so it is not made again unasked.
    Moved(Finished),
}

impl State {
    /// A failure that may go away by itself: a full disk, a folder that is not there, a device that was lost.
    pub fn failed(reason: impl Into<String>) -> Self {
        Self::Failed(Failure { reason: reason.into(), lasts: false })
    }
}

/// Why a picture could not be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Why, and what to do.
    pub reason: String,
    /// Whether the file itself is at fault, so that it fails again for as long as it is the same.
    #[serde(default)]
    pub lasts: bool,
}

/// A running picture.
#[derive(Clone, Debug)]
pub struct Turn {
    /// What is being done.
    pub stage: String,
    /// Part that is done, in `[0, 1]`.
    pub done: f32,
    /// When its first tile began, later by the time it was halted, and the part that was done then.
    pub tiles_since: Option<(Instant, f32)>,
    /// Enlargement of the model, whatever has been chosen since.
    pub scale: usize,
    /// How large the result is to be.
    pub wanted: FinalSize,
    /// Whether another pass has begun, of which the part that is done says nothing.
    pub goes_further: bool,
    /// Whether it has been told to stop.
    pub cancelling: bool,
    /// Whether the device is done with it and its result is being saved, while the next picture may run.
    pub saving: bool,
    /// Whether the worker that saves it has been replaced.
    pub left_behind: bool,
}

impl Turn {
    /// Time that is left at the speed so far; `None` while it is too early to tell.
    pub fn left(&self) -> Option<Duration> {
        let (since, from) = self.tiles_since?;
        // What follows the tiles of the first pass is not measured by them.
        if self.goes_further || self.done >= TILES_END {
            return None;
        }
        // Reading and preparing take their time once, and say nothing on how long tiles take.
        let (elapsed, done) = (since.elapsed().as_secs_f32(), self.done - from);
        (done > 0.02 && elapsed > 0.3).then(|| Duration::from_secs_f32(elapsed * (1.0 - self.done) / done))
    }

    /// It has come so far.
    pub fn advance(&mut self, stage: String, done: f32) {
        self.stage = stage;
        self.goes_further |= done + 0.05 < self.done;
        self.done = self.done.max(done);
        if self.done >= TILES_BEGIN && self.tiles_since.is_none() {
            self.tiles_since = Some((Instant::now(), self.done));
        }
    }

    /// It was halted for so long.
    pub fn halted(&mut self, time: Duration) {
        if let Some((since, _)) = &mut self.tiles_since {
            *since += time;
        }
    }
}

/// Part of a run up to which its tiles are made.
pub(super) const TILES_END: f32 = 0.9;

/// Part of a run from which on its tiles are made.
const TILES_BEGIN: f32 = 0.02;

/// A picture that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Finished {
    /// The result.
    #[serde(with = "location")]
    pub output: PathBuf,
    /// Width and height of the result in pixels.
    pub size: [usize; 2],
    /// Name of the model.
    pub model: String,
    /// Device it ran on.
    pub device: String,
    /// How far the dual residual was fed back, in `[0, 1]`.
    #[serde(default)]
    pub fidelity: f32,
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
    /// Mean absolute difference of the dual reconstruction from the original, in gray levels.
    pub dual_loss: Option<f64>,
    /// PSNR on luma in dB that is expected against the truth; `None` for a model whose errors are not known.
    #[serde(default)]
    pub expected_psnr: Option<f64>,
    /// How many gray levels of structure, noise aside, the place that was changed most is off by on average; 0 if no place is worth a
    /// look. Not known of results that a record alone tells of.
    #[serde(default)]
    pub worst: Option<f32>,
    /// What came of the model's not being for such pictures.
    #[serde(default)]
    pub misfit: Option<Misfit>,
}

impl Proven {
    /// How far the result of `model` keeps to its original, in words; `None` without dual models.
    pub fn verdict(&self, model: &str) -> Option<Verdict> {
        verdict(self.loop_psnr?, self.worst, self.misfit, model)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn turn(since: Duration, done: f32) -> Turn {
        Turn {
            stage: String::new(),
            done,
            tiles_since: Some((Instant::now() - since, TILES_BEGIN)),
            scale: 2,
            wanted: FinalSize::Model,
            goes_further: false,
            cancelling: false,
            saving: false,
            left_behind: false,
        }
    }

    /// A run of 100 s whose reading took 30 s before its first tile: after the first tenth of the tiles the estimate is within a
    /// factor of two, and a pause of an hour changes nothing.
    #[test]
    fn estimates_count_neither_reading_nor_pauses() {
        let after = turn(Duration::from_secs(7), TILES_BEGIN + 0.1 * (1.0 - TILES_BEGIN));
        let left = after.left().unwrap().as_secs_f32();
        assert!((31.5..126.0).contains(&left), "{left} s of 63");
        let mut paused = turn(Duration::from_secs(3607), TILES_BEGIN + 0.1 * (1.0 - TILES_BEGIN));
        paused.halted(Duration::from_secs(3600));
        let same = paused.left().unwrap().as_secs_f32();
        assert!((same - left).abs() < 1.0, "{same} s, {left} s without the pause");
        assert!(turn(Duration::from_millis(100), 0.03).left().is_none(), "too early to tell");
    }
}
