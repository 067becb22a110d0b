//! Encoding and saving a result while the device works on the next picture. One result is saved at a time and none waits,
//! so that memory does not grow with the queue.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use dualres_imaging::{EncodeOptions, Format, Picture, file::write_atomically};

use super::{Control, Report, Reporter, job, records::Records};
use crate::{
    batch::{
        journal::JournalError,
        record::{Done, Key, Stamp},
    },
    paths::Paths,
    report,
    window::queue::{Failure, Finished, ItemId},
};

/// A result that is to be saved.
pub(super) struct Saving {
    pub(super) item: ItemId,
    /// Ready to be written: at its final size, with its metadata.
    pub(super) picture: Arc<Picture>,
    pub(super) target: PathBuf,
    pub(super) encoding: EncodeOptions,
    /// What is told of it; name and time are filled in.
    pub(super) finished: Finished,
    pub(super) started: Instant,
    /// Time that the user halted it.
    pub(super) halted: Duration,
    /// What the user should know of.
    pub(super) warnings: Vec<String>,
    pub(super) record: Option<Record>,
}

/// Where it is recorded that a picture is done.
pub(super) struct Record {
    pub(super) folder: PathBuf,
    pub(super) key: Key,
}

/// The thread that saves.
pub(super) struct Saver {
    sender: Option<SyncSender<Saving>>,
    thread: Option<JoinHandle<()>>,
}

impl Saver {
    pub(super) fn start(
        paths: Paths,
        records: Records,
        control: Arc<Control>,
        reporter: Reporter,
    ) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("save results".into())
            .spawn(move || serve(&receiver, &paths, &records, &control, &reporter))?;
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

fn serve(results: &Receiver<Saving>, paths: &Paths, records: &Records, control: &Control, reporter: &Reporter) {
    for saving in results {
        let item = saving.item;
        control.saves(true);
        let report = match report::guarded(|| save(saving, paths, records)) {
            Ok((finished, warnings)) => {
                let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
                Report::Done { item, finished, warning }
            }
            Err(error) => {
                let failure = Failure { reason: report::message(&error), lasts: false };
                Report::Failed { item, failure, device_failed: false }
            }
        };
        // If nobody listens, the file is there all the same.
        let _ = reporter.tell(report);
        control.saves(false);
    }
}

fn save(saving: Saving, paths: &Paths, records: &Records) -> anyhow::Result<(Finished, Vec<String>)> {
    let Saving { picture, target, encoding, mut finished, started, halted, mut warnings, record, .. } = saving;
    let encoded = dualres_imaging::encode(&picture, Format::from_path(&target)?, encoding)?;
    drop(picture);
    // What cannot be recorded is saved all the same: it took minutes to make.
    let mut is_own = false;
    if let Some(Record { folder, key }) = &record {
        let noted = records.of(folder, |journal| {
            is_own = journal.owns(key, &target);
            journal.write(key, &encoded)
        });
        warnings.extend(problem(noted));
    }
    finished.output = if is_own && write_atomically(&target, &encoded).is_ok() {
        target
    } else {
        let (path, elsewhere) = job::save(&target, &encoded, paths)?;
        warnings.extend(elsewhere);
        path
    };
    finished.seconds = started.elapsed().saturating_sub(halted).as_secs_f64();
    // A result that had to go elsewhere is none of its folder.
    if let Some(Record { folder, key }) = record.filter(|record| finished.output.starts_with(&record.folder)) {
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
        let noted = records.of(&folder, |journal| {
            // Under another name than was begun, if that was taken in the meantime.
            journal.begin(&key, &done.output).and_then(|()| journal.finish(&key, done))
        });
        warnings.extend(problem(noted));
    }
    Ok((finished, warnings))
}

/// What went wrong with a record, in words.
fn problem(noted: Result<Result<(), JournalError>, JournalError>) -> Option<String> {
    noted.and_then(|noted| noted).err().map(|error| error.to_string())
}
