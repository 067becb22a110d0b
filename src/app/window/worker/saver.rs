//! Encoding and saving a result while the device works on the next picture. One result is saved at a time and none waits,
//! so that memory does not grow with the queue.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use dualres_imaging::{EncodeOptions, Format, Picture};

use super::{Control, WorkerReport};
use crate::{
    actor::EventSender,
    batch::{
        record::{Done, Stamp},
        records::Recorded,
        saving::{self, Destination},
        unfinished::Keeper,
    },
    naming,
    paths::Paths,
    report,
    window::queue::{Failure, Finished, ItemId},
};

/// A result that is to be saved.
pub(super) struct Saving {
    pub(super) item: ItemId,
    /// Ready to be written: at its final size, with its metadata.
    pub(super) picture: Arc<Picture>,
    pub(super) encoding: EncodeOptions,
    /// What is told of it: the file it is to have; that which it gets, and the time, are filled in.
    pub(super) finished: Finished,
    pub(super) started: Instant,
    /// Time that the user halted it.
    pub(super) halted: Duration,
    /// What the user should know of.
    pub(super) warnings: Vec<String>,
    pub(super) recorded: Option<Recorded>,
    /// Keeps the tiles for as long as the result is not saved.
    pub(super) keeper: Keeper,
}

/// The thread that saves.
pub(super) struct Saver {
    sender: Option<SyncSender<Saving>>,
    thread: Option<JoinHandle<()>>,
}

impl Saver {
    pub(super) fn start(
        paths: Paths,
        control: Arc<Control>,
        events_out: EventSender<WorkerReport>,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("save results".into())
            .spawn(move || serve(&receiver, &paths, &control, &events_out))?;
        Ok(Self { sender: Some(sender), thread: Some(thread) })
    }

    /// Hands a result over, as soon as the one before is saved.
    pub(super) fn save(&self, saving: Saving) {
        if let Some(sender) = &self.sender {
            // The thread ends after this one only.
            let _ = sender.send(saving);
        }
    }
}

impl Drop for Saver {
    /// What has been handed over is saved before the program ends.
    fn drop(&mut self) {
        self.sender = None;
        // A thread that panicked has told so.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn serve(results: &Receiver<Saving>, paths: &Paths, control: &Control, events_out: &EventSender<WorkerReport>) {
    for saving in results {
        let item = saving.item;
        control.saves(true);
        let report = match report::guarded(|| save(saving, paths)) {
            Ok((finished, warnings)) => {
                let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
                WorkerReport::Done { item, finished, warning }
            }
            Err(error) => {
                let failure = Failure { reason: report::message(&error), lasts: false };
                WorkerReport::Failed { item, failure, device_failed: false }
            }
        };
        // If nobody listens, the file is there all the same.
        events_out.mention(report);
        control.saves(false);
    }
}

fn save(saving: Saving, paths: &Paths) -> anyhow::Result<(Finished, Vec<String>)> {
    let Saving { picture, encoding, mut finished, started, halted, mut warnings, recorded, mut keeper, .. } = saving;
    let target = finished.output;
    let file = dualres_imaging::encode(&picture, Format::from_path(&target)?, encoding)?;
    drop(picture);
    let to = Destination {
        target,
        recorded: recorded.as_ref(),
        replaces: false,
        next: &|taken| naming::free(taken, &|_| false),
        elsewhere: Some(&paths.pictures),
    };
    let (output, told) = saving::save(&file, &to)?;
    keeper.forget();
    warnings.extend(told);
    finished.output = output;
    finished.seconds = started.elapsed().saturating_sub(halted).as_secs_f64();
    if let Some(recorded) = &recorded {
        let done = Done {
            output: finished.output.clone(),
            stamp: Stamp::of(&finished.output),
            size: finished.size,
            model: finished.model.clone(),
            loop_psnr: finished.proven.loop_psnr,
            expected_psnr: finished.proven.expected_psnr,
            seconds: finished.seconds,
            proofs: Default::default(),
        };
        saving::finish(recorded, done, &mut warnings);
    }
    Ok((finished, warnings))
}
