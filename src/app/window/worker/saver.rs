//! Encoding and saving a result while the device works on the next picture. One result is saved at a time and none waits,
//! so that memory does not grow with the queue.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use dualres_imaging::{EncodeOptions, Format, Picture, file::write_atomically};

use super::{Report, Reporter, job, records::Records, wait_for};
use crate::{
    batch::journal::{Done, Key},
    paths::Paths,
    report,
    window::queue::{Finished, ItemId},
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
    /// Whether a file under the target's name is this very result, from a run that was cut off.
    pub(super) is_own: bool,
}

/// The thread that saves.
pub(super) struct Saver {
    sender: Option<SyncSender<Saving>>,
    thread: Option<JoinHandle<()>>,
}

impl Saver {
    pub(super) fn start(paths: Paths, records: Records, reporter: Reporter) -> std::io::Result<Self> {
        let (sender, receiver) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("save results".into())
            .spawn(move || serve(&receiver, &paths, &records, &reporter))?;
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
        wait_for(self.thread.take());
    }
}

fn serve(results: &Receiver<Saving>, paths: &Paths, records: &Records, reporter: &Reporter) {
    for saving in results {
        let item = saving.item;
        let report = match report::guarded(|| save(saving, paths, records)) {
            Ok((finished, warnings)) => {
                let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
                Report::Done { item, finished, warning }
            }
            Err(error) => Report::Failed { item, reason: report::message(&error), device_failed: false },
        };
        // If nobody listens, the file is there all the same.
        let _ = reporter.tell(report);
    }
}

fn save(saving: Saving, paths: &Paths, records: &Records) -> anyhow::Result<(Finished, Vec<String>)> {
    let Saving { picture, target, encoding, mut finished, started, halted, mut warnings, record, .. } = saving;
    let encoded = dualres_imaging::encode(&picture, Format::from_path(&target)?, encoding)?;
    drop(picture);
    if let Some(Record { folder, key, .. }) = &record {
        records.of(folder, |journal| journal.write(key, &encoded))??;
    }
    let bytes = encoded.len() as u64;
    finished.output = if record.as_ref().is_some_and(|record| record.is_own) {
        write_atomically(&target, &encoded)?;
        target
    } else {
        let (path, elsewhere) = job::save(&target, &encoded, paths)?;
        warnings.extend(elsewhere);
        path
    };
    finished.seconds = started.elapsed().saturating_sub(halted).as_secs_f64();
    if let Some(Record { folder, key, .. }) = record.filter(|record| lies_in(&finished.output, &record.folder)) {
        let done = Done {
            output: finished.output.clone(),
            bytes,
            size: finished.size,
            loop_psnr: finished.proven.loop_psnr,
            expected_psnr: finished.proven.expected_psnr,
            seconds: finished.seconds,
            proofs: Default::default(),
        };
        records.of(&folder, |journal| journal.finish(&key, done))??;
    }
    Ok((finished, warnings))
}

/// A result that had to go elsewhere is none of its folder.
fn lies_in(path: &Path, folder: &Path) -> bool {
    path.starts_with(folder)
}
