//! What the worker does with its commands.

use crate::built_in;
use std::{
    ops::ControlFlow,
    sync::Arc,
    time::{Duration, Instant},
};

use dualres_engine::{Area, EngineError, Event, Options, Upscaled, Upscaler, luma_difference, structural_difference};
use dualres_imaging::{ImagingError, Picture, Plane};
use dualres_network::{
    NetworkError,
    device::{self, DeviceClass},
};

use super::{
    Attempt, Command, Control, DeviceInfo, Job, NO_ITEM, Preview, WorkerReport,
    kept::{Kept, SavedVersion, proven},
    part::Part,
    reader::Reader,
    saver::Saver,
};
use crate::{
    actor::{EventSender, Shared},
    batch::{
        choice::{Kind, automatic},
        inputs::Input,
        journal::JournalError,
        records::Records,
        sums,
    },
    language::{tr, translated},
    library::Library,
    paths::Paths,
    report,
    trust::{self, Trust},
    window::{
        document::{Patch, ProofPatch},
        item::TILES_END,
        proof::worst_place,
        queue::{Failure, ItemId, Proven},
        settings::Choices,
    },
};

/// Side of the pieces in which whole pictures go to the window, in pixels.
const PIECE: usize = 512;

/// Models on devices, and the last result.
pub(super) struct Engine {
    pub(super) library: Library,
    pub(super) paths: Paths,
    pub(super) control: Arc<Control>,
    events_out: EventSender<WorkerReport>,
    pub(super) records: Records,
    pub(super) reader: Reader,
    pub(super) saver: Saver,
    ready: Option<OnDevice>,
    pub(super) kept: Option<Kept>,
}

/// A model on a device.
struct OnDevice {
    model: String,
    wanted_device: String,
    device: String,
    /// Tells this model's weights from any others.
    fingerprint: String,
    upscaler: Arc<Upscaler>,
}

impl Engine {
    pub(super) fn new(
        library: Library,
        paths: Paths,
        control: Arc<Control>,
        records: Records,
        events_out: EventSender<WorkerReport>,
    ) -> std::io::Result<Self> {
        let saver = Saver::start(paths.clone(), control.clone(), events_out.clone())?;
        let reader = Reader::default();
        Ok(Self { library, paths, control, events_out, records, reader, saver, ready: None, kept: None })
    }

    pub(super) fn tell(&self, report: WorkerReport) {
        // A window that is gone ends the loop that called; nothing else needs to know.
        self.events_out.mention(report);
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Upscale(job) => {
                // Whatever a file does to the program, the next one has its turn.
                if let Err(error) = report::guarded(|| self.upscale(&job)) {
                    self.record_failure(&job, &error);
                    self.fail(job.item, &error);
                }
            }
            Command::Rest => {
                self.records.close();
                self.reader.forget();
            }
            Command::Refine { number, item, model, fidelity } => {
                if let Err(error) = self.refine(number, item, &model, fidelity) {
                    self.trouble(Attempt::Refine, &error);
                }
            }
            Command::SaveAs { item, output, path, choices, refined } => {
                match self.save_as(item, &output, &path, &choices, refined) {
                    Ok(true) => self.tell(WorkerReport::Saved { path }),
                    Ok(false) => self.tell(WorkerReport::NotAtHand { item }),
                    Err(error) => self.trouble(Attempt::Other, &error),
                }
            }
            Command::SaveVersion { item, output, choices } => match self.save_version(item, &output, &choices) {
                Ok(Some(SavedVersion { path, size, warnings })) => {
                    let warning = (!warnings.is_empty()).then(|| warnings.join("; "));
                    self.tell(WorkerReport::Version { item, path, size, fidelity: choices.fidelity, warning });
                }
                Ok(None) => self.tell(WorkerReport::NotAtHand { item }),
                Err(error) => self.trouble(Attempt::Refine, &error),
            },
            Command::Forget => self.ready = None,
            Command::Prove { item, input, output, model, device } => {
                if let Err(error) = self.prove(item, &input, &output, &model, &device) {
                    self.trouble(Attempt::Other, &error);
                }
            }
            Command::Preview => {
                if let Some(preview) = self.control.preview.take() {
                    self.preview(&preview);
                }
            }
            Command::Compare(comparison) => {
                if let Err(error) = self.compare(&comparison) {
                    let what = if comparison.item == NO_ITEM { Attempt::Measure } else { Attempt::Other };
                    self.trouble(what, &error);
                }
            }
            Command::Try(wanted) => self.try_model(&wanted),
            Command::Devices => self.list_devices(),
            Command::ForgetChecks { device } => {
                if let Err(error) = self.forget_checks(&device) {
                    self.trouble(Attempt::Other, &error);
                }
            }
            Command::Measure { model, device } => {
                if let Err(error) = self.measure(&model, &device) {
                    self.trouble(Attempt::Measure, &error);
                }
            }
        }
    }

    /// What tells the weights that a job may use from any others.
    pub(super) fn fingerprint(&self, choices: &Choices) -> anyhow::Result<String> {
        let clean = self.weights_of(&choices.model)?;
        if !choices.automatic {
            return Ok(clean);
        }
        let scale = self.library.load(&choices.model)?.description.scale();
        Ok(automatic(&clean, &self.weights_of(&built_in::fitting(Kind::Photo, scale, &choices.model))?))
    }

    /// What tells the weights of a model from any others.
    pub(super) fn weights_of(&self, model: &str) -> anyhow::Result<String> {
        match &self.ready {
            Some(ready) if ready.model == model => Ok(ready.fingerprint.clone()),
            _ => Ok(sums::fingerprint(&self.library.load(model)?.to_bytes())),
        }
    }

    /// Goes on until the picture is cancelled.
    pub(super) fn go_on(&self, item: ItemId) -> ControlFlow<()> {
        if self.control.is_cancelled(item) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Goes on for as long as there is a window.
    pub(super) fn until_the_end(&self) -> ControlFlow<()> {
        self.control.life().flow()
    }

    fn trouble(&self, what: Attempt, error: &anyhow::Error) {
        self.tell(WorkerReport::Trouble { what, reason: report::message(error) });
    }

    /// Notes in the record of the folder of results that a picture could not be done, as the command line does.
    fn record_failure(&self, job: &Job, error: &anyhow::Error) {
        let is_none = matches!(error.downcast_ref(), Some(EngineError::Cancelled))
            || matches!(error.downcast_ref(), Some(JournalError::Held(_)));
        let Some(folder) = job.choices.folder.as_deref().filter(|_| !is_none) else { return };
        let input = Input { path: job.input.clone(), below: job.below.clone(), twin: job.twin };
        // What cannot be recorded is told all the same.
        let _ = self.records.of(folder, |journal| journal.fail(&input.key(), &report::message(error)));
    }

    fn fail(&mut self, item: ItemId, error: &anyhow::Error) {
        if let Some(JournalError::Held(_)) = error.downcast_ref() {
            self.tell(WorkerReport::Refused { item, reason: report::message(error) });
            return;
        }
        let lasts = matches!(error.downcast_ref::<ImagingError>(), Some(error) if error.is_of_the_file());
        let failure = Failure { reason: report::message(error), lasts };
        let starts = error.chain().any(|e| matches!(e.downcast_ref(), Some(NetworkError::DeviceStart { .. })));
        let device_failed = match error.downcast_ref::<EngineError>() {
            Some(EngineError::Cancelled) => {
                self.tell(WorkerReport::Cancelled { item });
                return;
            }
            Some(EngineError::Device(_)) => true,
            // Another machine's device is connected anew next time.
            Some(EngineError::Network(_)) => {
                self.ready = None;
                starts
            }
            _ => starts,
        };
        if device_failed {
            // The model goes to the device anew next time.
            self.ready = None;
        }
        self.tell(WorkerReport::Failed { item, failure, device_failed });
    }

    fn list_devices(&self) {
        let info = |d: device::ComputeDevice| {
            let [is_software, is_cpu, is_remote] =
                [DeviceClass::SoftwareGpu, DeviceClass::Cpu, DeviceClass::Remote].map(|class| d.class == class);
            let class = translated(&d.class.to_string());
            let detail = match d.max_buffer_bytes {
                Some(bytes) => tr!(
                    "%{class}, %{detail}, buffers up to %{size} MiB",
                    class = class,
                    detail = d.detail,
                    size = bytes >> 20
                ),
                None => format!("{class}, {}", d.detail),
            };
            DeviceInfo { name: d.name, detail, is_software, is_cpu, is_remote }
        };
        let automatic = device::choose("auto").map_or_else(|_| "CPU".to_owned(), |d| d.name);
        self.tell(WorkerReport::Devices { devices: device::list().into_iter().map(info).collect(), automatic });
    }

    fn forget_checks(&mut self, device: &str) -> anyhow::Result<()> {
        self.forget_device();
        Trust::of(&self.paths).forget(&device::choose(device)?)
    }

    /// Has the model brought to the device anew for the next picture.
    pub(super) fn forget_device(&mut self) {
        self.ready = None;
    }

    /// The model on the device; brought there if it is not the one used last.
    pub(super) fn ready(&mut self, model: &str, wanted_device: &str) -> anyhow::Result<(Arc<Upscaler>, String)> {
        match &self.ready {
            Some(ready) if ready.model == model && ready.wanted_device == wanted_device => {}
            _ => {
                let loaded = self.library.load(model)?;
                let device = trust::vetted(&self.paths, &loaded, &device::choose(wanted_device)?)?;
                let fingerprint = sums::fingerprint(&loaded.to_bytes());
                let upscaler = Arc::new(Upscaler::new(&loaded, &device)?);
                self.tell(WorkerReport::Using { wanted: wanted_device.to_owned(), device: device.name.clone() });
                self.ready = Some(OnDevice {
                    fingerprint,
                    model: model.to_owned(),
                    wanted_device: wanted_device.to_owned(),
                    device: device.name,
                    upscaler,
                });
            }
        }
        let ready = self.ready.as_ref().expect("made above");
        Ok((ready.upscaler.clone(), ready.device.clone()))
    }

    /// Passes the engine's events on, does previews in between, and says whether to go on.
    pub(super) fn watch(
        &self,
        item: ItemId,
        scale: usize,
        event: &Event<'_>,
        shows: bool,
        halted: &mut Duration,
    ) -> ControlFlow<()> {
        match *event {
            Event::Started { tiles, done } => {
                let stage = match tiles {
                    1 => tr!("upscaling"),
                    _ => tr!("tile %{done} of %{tiles}", done = done, tiles = tiles),
                };
                self.events_out.tell(WorkerReport::Progress { item, stage, done: part_of(done, tiles) })?;
            }
            Event::Restored { area, planes } => {
                if shows {
                    self.show_tile(item, scale, area, planes)?;
                }
            }
            Event::Preparing => {
                let stage = tr!("preparing this GPU, once");
                self.events_out.tell(WorkerReport::Progress { item, stage, done: 0.02 })?;
            }
            Event::Tile { done, tiles, area, planes, .. } => {
                if shows {
                    self.show_tile(item, scale, area, planes)?;
                }
                let part = part_of(done, tiles);
                let stage = tr!("tile %{done} of %{tiles}", done = done, tiles = tiles);
                self.events_out.tell(WorkerReport::Progress { item, stage, done: part })?;
            }
            Event::Refining { step, steps } => {
                let stage = tr!("raising fidelity, step %{step} of %{steps}", step = step + 1, steps = steps);
                self.events_out.tell(WorkerReport::Progress { item, stage, done: 0.93 })?;
            }
            Event::Reconstructing { .. } => {
                self.events_out.tell(WorkerReport::Progress { item, stage: tr!("proving"), done: TILES_END })?;
            }
            Event::Reconstructed { .. } => {}
        }
        let since = Instant::now();
        self.control.life().halt(|| {
            if let Some(preview) = self.control.preview.take() {
                // A preview with the model that runs costs the run little; another model has to wait.
                self.preview_beside(preview);
            }
            self.go_on(item)
        })?;
        *halted += since.elapsed();
        ControlFlow::Continue(())
    }

    /// Sends a tile to the window.
    fn show_tile(&self, item: ItemId, scale: usize, area: Area, planes: &[Plane]) -> ControlFlow<()> {
        let planes: Vec<&Plane> = planes.iter().collect();
        for piece in pieces(area.width, area.height) {
            let piece = Area { x: area.x + piece.x, y: area.y + piece.y, ..piece };
            let patch = Patch::of_planes(&planes, None, piece);
            self.events_out.tell(WorkerReport::Pixels { item, scale, patch })?;
        }
        ControlFlow::Continue(())
    }

    /// Sends a whole result to the window.
    pub(super) fn show(&self, item: ItemId, scale: usize, picture: &Picture) {
        for area in pieces(picture.width(), picture.height()) {
            self.tell(WorkerReport::Pixels { item, scale, patch: Patch::of(picture, area) });
        }
    }

    /// Sends the proof of a whole result to the window; returns what it says.
    pub(super) fn show_proof(&self, item: ItemId, input: &Picture, result: &Upscaled) -> Proven {
        let (Some(back), Some(absolute)) = (result.reconstructions.last(), &result.consistency) else {
            return Proven::default();
        };
        let (luma, structure) = (luma_difference(input, back), structural_difference(input, back));
        for area in pieces(back.width(), back.height()) {
            let crop = |plane: &Plane| plane.crop(area.x, area.y, area.width, area.height);
            let patch = ProofPatch {
                dual: Patch::of(back, area),
                absolute: crop(absolute),
                luma: crop(&luma),
                structure: crop(&structure),
                expected: result.expected_error.as_ref().map(crop),
            };
            self.tell(WorkerReport::Proof { item, patch: Box::new(patch) });
        }
        Proven { worst: Some(worst_place(&structure)), ..proven(result) }
    }

    fn preview(&mut self, preview: &Preview) {
        let done = self
            .ready(&preview.choices.model, &preview.choices.device)
            .and_then(|(upscaler, _)| self.preview_with(&upscaler, preview));
        if let Err(error) = done {
            self.trouble(Attempt::Preview, &error);
        }
    }

    /// Does a preview during a run, or leaves it for later if it wants another model.
    fn preview_beside(&self, preview: Preview) {
        match &self.ready {
            Some(r) if r.model == preview.choices.model && r.wanted_device == preview.choices.device => {
                if let Err(error) = self.preview_with(&r.upscaler, &preview) {
                    self.trouble(Attempt::Preview, &error);
                }
            }
            _ => self.control.preview.put_back(preview),
        }
    }

    fn preview_with(&self, upscaler: &Upscaler, preview: &Preview) -> anyhow::Result<()> {
        let options = Options { fidelity: preview.choices.fidelity, ..Options::default() };
        let (item, area) = (preview.item, preview.area);
        let part = Part::of(upscaler, &preview.input, area, &options, &mut |_| self.until_the_end())?;
        let proof = part.proof().map(|mut proof| {
            proof.expected.take_if(|_| preview.withholds);
            Box::new(proof)
        });
        let (number, scale, patch) = (preview.number, part.scale, part.patch());
        self.tell(WorkerReport::Previewed { item, number, scale, patch, proof });
        Ok(())
    }
}

/// Progress of a job when so many of its tiles are done.
fn part_of(done: usize, tiles: usize) -> f32 {
    0.02 + (TILES_END - 0.02) * done as f32 / tiles.max(1) as f32
}

fn pieces(width: usize, height: usize) -> impl Iterator<Item = Area> {
    (0..height).step_by(PIECE).flat_map(move |y| {
        (0..width).step_by(PIECE).map(move |x| Area {
            x,
            y,
            width: PIECE.min(width - x),
            height: PIECE.min(height - y),
        })
    })
}
