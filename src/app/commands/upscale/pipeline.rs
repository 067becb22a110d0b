//! Reading, running and writing at the same time: one thread decodes the next picture and one encodes the last while the
//! devices work, each on a picture of its own. At most one picture waits on either side, so that memory does not grow with the
//! batch.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
};

use anyhow::Context;
use dualres_engine::{EngineError, Event, has_room_for, heat_map};
use dualres_imaging::{Format, ImagingError, file::resolve};

use dualres_network::{NetworkError, device::ComputeDevice};

use super::{
    prepare::{Prepared, Step, prepare},
    reporting::Line,
    work::Work,
};
use crate::{
    batch::{
        inputs::Input,
        make::{Before, Made, Watcher, make, seams},
        outcome::Row,
        plan::{Enlarger, Planned},
        record::{Done, Proof, Stamp},
        result::losses,
        saving::{self, Destination, save},
        unfinished::Keeper,
    },
    commands::progress_bar,
    interrupt,
    paths::Paths,
    report::{self, guarded},
};

/// A result on its way to the disk.
struct Finished {
    prepared: Box<Prepared>,
    made: Made,
    /// Keeps the tiles for as long as the result is not written.
    keeper: Keeper,
    /// Name of the device that made it.
    device: String,
}

/// Counts the results that are not on the disk yet.
#[derive(Default)]
struct Unwritten {
    count: Mutex<usize>,
    changed: Condvar,
}

impl Unwritten {
    fn add(&self) {
        *Work::locked(&self.count) += 1;
    }

    fn take(&self) {
        *Work::locked(&self.count) -= 1;
        self.changed.notify_all();
    }

    fn wait_for_none(&self) {
        let count = Work::locked(&self.count);
        drop(self.changed.wait_while(count, |count| *count > 0).unwrap_or_else(PoisonError::into_inner));
    }
}

/// Runs all pictures and returns what became of each that had its turn.
/// Each has its number among all pictures of the batch.
pub(super) fn run(work: &Work<'_>, inputs: Vec<(usize, Input)>) -> anyhow::Result<Vec<Row>> {
    let rows = Mutex::new(Vec::new());
    let unwritten = Unwritten::default();
    let disk_is_full = AtomicBool::new(false);
    let devices = work.models().devices.len();
    let left = Left::default();
    std::thread::scope(|scope| {
        let (to_device, from_reader) = sync_channel::<Step>(0);
        let (to_writer, from_device) = sync_channel::<Finished>(0);
        let from_reader = Arc::new(Mutex::new(from_reader));
        let (rows, unwritten, disk_is_full, left) = (&rows, &unwritten, &disk_is_full, &left);
        scope.spawn(move || {
            for (index, input) in inputs {
                let stop = interrupt::flow().is_break() || disk_is_full.load(Ordering::Relaxed);
                if stop || to_device.send(prepare(work, index, input)).is_err() {
                    break;
                }
            }
        });
        scope.spawn(move || write_all(work, &from_device, rows, unwritten, disk_is_full));
        for number in 1..devices {
            let place = Place { number };
            let (steps, to_writer) = (from_reader.clone(), to_writer.clone());
            scope.spawn(move || run_all(work, &place, (&steps, left), &to_writer, rows, unwritten, disk_is_full));
        }
        let first = Place { number: 0 };
        run_all(work, &first, (&from_reader, left), &to_writer, rows, unwritten, disk_is_full);
        // The writer ends when nothing more comes, and the reader when nobody takes what it reads.
        drop((to_writer, from_reader));
    });
    for (prepared, error) in left.into_inner().unwrap_or_else(PoisonError::into_inner) {
        fail(work, &rows, (prepared.index, &prepared.input), &error);
    }
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(index, _)| *index);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// One of the devices that share the pictures.
struct Place {
    number: usize,
}

/// Pictures whose device was lost, which another one may take, and why.
type Left = Mutex<Vec<(Box<Prepared>, anyhow::Error)>>;

/// What became of pictures, with their numbers.
type Rows = Mutex<Vec<(usize, Row)>>;

fn fail(work: &Work<'_>, rows: &Rows, (index, input): (usize, &Input), error: &anyhow::Error) {
    let message = report::message(error);
    work.say.failed(&input.path, &message);
    if let Some(records) = &work.records
        && let Err(error) = records.of(&work.args.output, |journal| journal.fail(&input.key(), &message)).flatten()
    {
        work.say.warn(&input.path, &error.to_string());
    }
    Work::locked(rows).push((index, Row::failed(&input.path, message)));
}

fn run_all(
    work: &Work<'_>,
    place: &Place,
    (steps, left): (&Mutex<Receiver<Step>>, &Left),
    to_writer: &SyncSender<Finished>,
    rows: &Rows,
    unwritten: &Unwritten,
    disk_is_full: &AtomicBool,
) {
    let devices = work.models().devices.len() as u64;
    // Whoever is free takes the next picture.
    let taken_over = || Work::locked(left).pop().map(|(prepared, _)| Step::Ready(prepared));
    let next = || taken_over().or_else(|| Work::locked(steps).recv().ok()).or_else(taken_over);
    while let Some(step) = next() {
        if interrupt::flow().is_break() || disk_is_full.load(Ordering::Relaxed) {
            break;
        }
        match step {
            Step::Failed(index, input, error) => fail(work, rows, (index, &input), &error),
            Step::Done(index, input, row) => {
                work.say.skipped(&input.path, &row);
                Work::locked(rows).push((index, row));
            }
            Step::Ready(mut prepared) => {
                let Planned { picture, size, warnings, .. } = &mut *prepared.planned;
                std::mem::take(warnings).iter().for_each(|said| work.say.warn(&prepared.input.path, said));
                let channels = picture.planes.len() + usize::from(picture.alpha.is_some());
                // The result before it is still being written, perhaps.
                if !has_room_for(devices, *size, channels) {
                    unwritten.wait_for_none();
                }
                match guarded(|| upscale(work, place, &mut prepared)) {
                    // The user stopped it: it has not failed, it is left.
                    Err(_) if interrupt::flow().is_break() => break,
                    // What is left waits for the other devices of this run, or for the next one.
                    Err(error) if is_lost(&error) => {
                        if devices > 1 {
                            report::say(&format!("warning: {}; continuing without it", report::message(&error)));
                        }
                        Work::locked(left).push((prepared, error));
                        break;
                    }
                    Err(error) => fail(work, rows, (prepared.index, &prepared.input), &error),
                    Ok((made, keeper, device)) => {
                        unwritten.add();
                        if to_writer.send(Finished { prepared, made, keeper, device }).is_err() {
                            break;
                        }
                    }
                }
            }
        }
    }
}

/// Shows progress on the terminal.
struct Bar {
    bar: indicatif::ProgressBar,
    device: String,
}

impl Watcher for Bar {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        match event {
            Event::Started { tiles, done } => {
                self.bar.set_length(tiles as u64);
                self.bar.set_position(done as u64);
            }
            Event::Preparing => {
                self.bar.set_message(format!(" (preparing {}, the first tile takes longest)", self.device));
                self.bar.tick();
            }
            Event::Tile { done, .. } => {
                self.bar.set_message("");
                self.bar.set_position(done as u64);
            }
            Event::Restored { .. }
            | Event::Refining { .. }
            | Event::Reconstructing { .. }
            | Event::Reconstructed { .. } => {}
        }
        interrupt::flow()
    }
}

/// The result, the keeper of its tiles, and the name of the device that made it.
fn upscale(work: &Work<'_>, place: &Place, prepared: &mut Prepared) -> anyhow::Result<(Made, Keeper, String)> {
    let path = &prepared.input.path;
    let bar = progress_bar(0, "{prefix} {bar:30} {pos}/{len} tiles, {eta} left{msg}", work.say.is_json());
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    bar.set_prefix(report::one_line(&format!("[{}/{}] {name}", prepared.index + 1, work.say.total())).into_owned());
    let upscaler = work.models().upscaler(&prepared.planned.model, place.number)?;
    let before = Before::of(&upscaler);
    let mut bar = Bar { bar, device: upscaler.device().name.clone() };
    let Planned { picture, size, model, .. } = &mut *prepared.planned;
    let (mut keeper, unfinished) = Keeper::new(&Paths::of_user().unfinished(), path, model.weights());
    let made = make(&upscaler, picture, &work.recipe, *size, false, (&mut keeper, unfinished), &mut bar);
    bar.bar.finish_and_clear();
    let made = made.with_context(|| path.display().to_string())?;
    for said in before.troubles(&upscaler) {
        work.say.warn(path, &said);
    }
    if let Some(seams) = seams(&upscaler, &made.proof) {
        work.say.warn(path, &format!("{seams}; try a larger --tile, or none"));
    }
    let device = if upscaler.given_up().is_some() { ComputeDevice::cpu().name } else { upscaler.device().name.clone() };
    Ok((made, keeper, device))
}

fn write_all(
    work: &Work<'_>,
    results: &Receiver<Finished>,
    rows: &Rows,
    unwritten: &Unwritten,
    disk_is_full: &AtomicBool,
) {
    for made in results {
        let (index, input) = (made.prepared.index, made.prepared.input.clone());
        match guarded(|| write(work, made)) {
            Ok(row) => Work::locked(rows).push((index, row)),
            Err(error) => {
                if is_full(&error) && !disk_is_full.swap(true, Ordering::Relaxed) {
                    report::say("error: the disk is full; free some space and run the same command to resume");
                }
                fail(work, rows, (index, &input), &error);
            }
        }
        unwritten.take();
    }
}

/// Whether another machine has left.
fn is_lost(error: &anyhow::Error) -> bool {
    let is_remote = |error: &NetworkError| matches!(error, NetworkError::Remote { .. });
    error.chain().any(|cause| match cause.downcast_ref::<EngineError>() {
        Some(EngineError::Network(error)) => is_remote(error),
        _ => cause.downcast_ref().is_some_and(is_remote),
    })
}

fn is_full(error: &anyhow::Error) -> bool {
    let full = |source: &std::io::Error| {
        matches!(source.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
    };
    matches!(error.downcast_ref(), Some(ImagingError::Write { source, .. }) if full(source))
}

fn proof(path: &Option<PathBuf>, was_made: bool) -> Proof {
    match path {
        None => Proof::No,
        Some(_) if !was_made => Proof::Impossible,
        // Other runs may begin in other folders.
        Some(path) => Proof::At(resolve(path)),
    }
}

/// Writes a proof under its name, or under the next free one.
fn write_proof(work: &Work<'_>, input: &Path, path: &mut PathBuf, bytes: &[u8]) -> anyhow::Result<()> {
    let note = |path: &Path| match &work.records {
        Some(records) => records.of(&work.args.output, |journal| journal.proof(path, bytes)).flatten(),
        None => Ok(()),
    };
    note(path)?;
    let written = work.outputs().write(path, bytes, false)?;
    if written != *path {
        work.say.warn(input, &format!("{} exists; the proof was written to {}", path.display(), written.display()));
        note(&written)?;
        *path = written;
    }
    Ok(())
}

fn write(work: &Work<'_>, ready: Finished) -> anyhow::Result<Row> {
    let Finished { prepared, made, mut keeper, device } = ready;
    let Prepared { input, planned, mut proofs, started, .. } = *prepared;
    let Planned { picture, recorded, model, why, size, format, target, .. } = *planned;
    let input_size = [picture.width(), picture.height()];
    let (depth, icc) = (picture.depth, picture.metadata.icc.clone());
    let recipe = &work.recipe;
    losses(&picture, format, recipe.keep).iter().for_each(|what| work.say.warn(&input.path, what));
    drop(picture);
    let Made { picture, proof: mut said, pass, withheld, .. } = made;
    drop(pass);
    let file = dualres_imaging::encode(&picture, format, recipe.encoding)?;
    drop(picture);
    let to = Destination {
        target,
        recorded: recorded.as_ref(),
        replaces: work.args.overwrite,
        next: &|taken| work.outputs().next(taken),
        elsewhere: None,
    };
    let (output, mut warnings) = save(&file, &to)?;
    keeper.forget();
    drop(file);
    let [dual, consistency, expected_error] = &mut proofs;
    if let (Some(path), Some(reconstruction)) = (dual.as_mut(), said.reconstructions.last_mut()) {
        // In the colours of the original, as the original is.
        (reconstruction.depth, reconstruction.metadata.icc) = (depth, icc);
        let bytes = dualres_imaging::encode(reconstruction, Format::from_path(path)?, recipe.encoding)?;
        write_proof(work, &input.path, path, &bytes)?;
    }
    let asks = work.args.proofs().iter().any(|(_, path)| path.is_some());
    if said.reconstructions.is_empty() && asks {
        work.say.warn(&input.path, "no network was needed for this size: no proof written");
    } else if expected_error.is_some() && said.expected_error.is_none() {
        let reason = withheld.unwrap_or_else(|| {
            "the predicted error covers a single pass of the model, not this size: no map written".to_owned()
        });
        work.say.warn(&input.path, &reason);
    }
    let maps = [(&mut *consistency, &said.consistency), (&mut *expected_error, &said.expected_error)];
    for (path, map) in maps {
        if let (Some(path), Some(map)) = (path, map) {
            let bytes = dualres_imaging::encode(&heat_map(map), Format::from_path(path)?, recipe.encoding)?;
            write_proof(work, &input.path, path, &bytes)?;
        }
    }
    let seconds = started.elapsed().as_secs_f64();
    let [loop_psnr, expected_psnr] = [said.loop_psnr, said.expected_psnr].map(report::finite);
    if let Some(recorded) = &recorded {
        let done = Done {
            output: output.clone(),
            stamp: Stamp::of(&output),
            size,
            model: model.name.clone(),
            loop_psnr,
            expected_psnr,
            seconds,
            proofs: [
                proof(dual, !said.reconstructions.is_empty()),
                proof(consistency, said.consistency.is_some()),
                proof(expected_error, said.expected_error.is_some()),
            ],
        };
        saving::finish(recorded, done, &mut warnings);
    }
    warnings.iter().for_each(|what| work.say.warn(&input.path, what));
    let (input, output) = (input.path.to_string_lossy(), output.to_string_lossy());
    work.say.done(&Line {
        input: &input,
        output: &output,
        input_size,
        output_size: size,
        seconds,
        megapixels_per_s: (size[0] * size[1]) as f64 / 1e6 / seconds,
        device: &device,
        model: &model.name,
        chosen_for: why.as_deref(),
        loop_psnr,
        expected_psnr,
    })?;
    Ok(Row {
        input: input.into_owned(),
        state: "done",
        output: output.into_owned(),
        model: model.name.clone(),
        width: Some(size[0]),
        height: Some(size[1]),
        loop_psnr,
        expected_psnr,
        seconds: Some(seconds),
        error: String::new(),
    })
}
