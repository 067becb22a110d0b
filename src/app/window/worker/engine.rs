//! What the worker does with its commands.

use crate::built_in;
use std::{
    ops::ControlFlow,
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context;
use dualres_engine::{
    Area, EngineError, Event, Options, Upscaled, Upscaler, luma_difference, psnr_of_difference, structural_difference,
};
use dualres_imaging::{Depth, Picture, Plane, resize::resample};
use dualres_network::{
    NetworkError,
    device::{self, DeviceClass},
};

use super::{
    Attempt, Command, Comparison, Control, DeviceInfo, NO_ITEM, Preview, Report, Reporter, part::Part, reader::Reader,
    records::Records, saver::Saver,
};
use crate::{
    batch::{
        choice::{Kind, automatic},
        journal::JournalError,
        result, sums,
    },
    language::{tr, translated},
    library::Library,
    paths::Paths,
    report,
    trust::{self, Trust},
    window::{
        document::{Patch, ProofPatch},
        queue::{ItemId, Proven},
        settings::Choices,
    },
};

/// Side of the pieces in which whole pictures go to the window, in pixels.
const PIECE: usize = 512;
/// Where the tiles end in the progress of a job; what follows is the way back and saving.
const TILES_END: f32 = 0.9;

/// Models on devices, and the last result.
pub(super) struct Engine {
    library: Library,
    pub(super) paths: Paths,
    pub(super) control: Arc<Control>,
    reporter: Reporter,
    pub(super) records: Records,
    pub(super) reader: Reader,
    pub(super) saver: Saver,
    ready: Option<Ready>,
    pub(super) kept: Option<Kept>,
}

/// A model on a device.
struct Ready {
    model: String,
    wanted_device: String,
    device: String,
    /// Tells this model's weights from any others.
    fingerprint: String,
    upscaler: Arc<Upscaler>,
}

/// The last result, to be refined or saved again.
pub(super) struct Kept {
    pub(super) item: ItemId,
    pub(super) input: Picture,
    pub(super) base: Arc<Picture>,
    pub(super) refined: Option<Arc<Picture>>,
    pub(super) upscaler: Arc<Upscaler>,
}

impl Engine {
    pub(super) fn new(
        library: Library,
        paths: Paths,
        control: Arc<Control>,
        records: Records,
        reporter: Reporter,
    ) -> std::io::Result<Self> {
        let saver = Saver::start(paths.clone(), records.clone(), control.clone(), reporter.clone())?;
        let reader = Reader::default();
        Ok(Self { library, paths, control, reporter, records, reader, saver, ready: None, kept: None })
    }

    pub(super) fn tell(&self, report: Report) {
        // A window that is gone ends the loop that called; nothing else needs to know.
        let _ = self.reporter.tell(report);
    }

    pub(super) fn obey(&mut self, command: Command) {
        match command {
            Command::Upscale(job) => {
                // Whatever a file does to the program, the next one has its turn.
                if let Err(error) = report::guarded(|| self.upscale(&job)) {
                    self.fail(job.item, &error);
                }
            }
            Command::Rest => {
                self.records.close();
                self.reader.forget();
            }
            Command::Refine { item, fidelity } => {
                if let Err(error) = self.refine(item, fidelity) {
                    self.trouble(Attempt::Refine, &error);
                }
            }
            Command::SaveAs { item, output, path, choices, refined } => {
                match self.save_as(item, &output, &path, &choices, refined) {
                    Ok(true) => self.tell(Report::Saved { item, path }),
                    Ok(false) => self.tell(Report::NotAtHand { item }),
                    Err(error) => self.trouble(Attempt::Other, &error),
                }
            }
            Command::Forget => self.ready = None,
            Command::Prove { item, input, output, model, device } => {
                if let Err(error) = self.prove(item, &input, &output, &model, &device) {
                    self.trouble(Attempt::Other, &error);
                }
            }
            Command::Preview => {
                if let Some(preview) = self.control.take_preview() {
                    self.preview(&preview);
                }
            }
            Command::Compare(comparison) => {
                if let Err(error) = self.compare(&comparison) {
                    let what = if comparison.item == NO_ITEM { Attempt::Measure } else { Attempt::Other };
                    self.trouble(what, &error);
                }
            }
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
        let of = |model: &str| match &self.ready {
            Some(ready) if ready.model == model => anyhow::Ok(ready.fingerprint.clone()),
            _ => Ok(sums::fingerprint(&self.library.load(model)?.to_bytes())),
        };
        let clean = of(&choices.model)?;
        if !choices.automatic {
            return Ok(clean);
        }
        let scale = self.library.load(&choices.model)?.description.scale();
        Ok(automatic(&clean, &of(&built_in::fitting(Kind::Photo, scale, &choices.model))?))
    }

    /// Goes on until the picture is cancelled.
    pub(super) fn go_on(&self, item: ItemId) -> ControlFlow<()> {
        if self.control.is_cancelled(item) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    /// Goes on for as long as there is a window.
    fn until_the_end(&self) -> ControlFlow<()> {
        if self.control.ends() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }

    fn trouble(&self, what: Attempt, error: &anyhow::Error) {
        self.tell(Report::Trouble { what, reason: report::message(error) });
    }

    fn fail(&mut self, item: ItemId, error: &anyhow::Error) {
        if let Some(JournalError::Held(_)) = error.downcast_ref() {
            self.tell(Report::Refused { item, reason: report::message(error) });
            return;
        }
        let starts = error.chain().any(|e| matches!(e.downcast_ref(), Some(NetworkError::DeviceStart { .. })));
        match error.downcast_ref::<EngineError>() {
            _ if starts => {
                self.ready = None;
                self.tell(Report::Failed { item, reason: report::message(error), device_failed: true });
            }
            Some(EngineError::Cancelled) => self.tell(Report::Cancelled { item }),
            Some(EngineError::Device(_)) => {
                // The model goes to the device anew next time.
                self.ready = None;
                self.tell(Report::Failed { item, reason: report::message(error), device_failed: true });
            }
            other => {
                if matches!(other, Some(EngineError::Network(_))) {
                    // Another machine's device is connected anew next time.
                    self.ready = None;
                }
                self.tell(Report::Failed { item, reason: report::message(error), device_failed: false })
            }
        }
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
        self.tell(Report::Devices { devices: device::list().into_iter().map(info).collect(), automatic });
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
                self.tell(Report::Using { wanted: wanted_device.to_owned(), device: device.name.clone() });
                self.ready = Some(Ready {
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
            Event::Started { tiles } => {
                let stage = match tiles {
                    1 => tr!("upscaling"),
                    _ => tr!("tile %{done} of %{tiles}", done = 0, tiles = tiles),
                };
                self.reporter.tell(Report::Progress { item, stage, done: 0.02 })?;
            }
            Event::Preparing => {
                let stage = tr!("preparing this GPU, once");
                self.reporter.tell(Report::Progress { item, stage, done: 0.02 })?;
            }
            Event::Tile { done, tiles, area, planes } => {
                if shows {
                    let planes: Vec<&Plane> = planes.iter().collect();
                    for piece in pieces(area.width, area.height) {
                        let piece = Area { x: area.x + piece.x, y: area.y + piece.y, ..piece };
                        let patch = Patch::of_planes(&planes, None, piece);
                        self.reporter.tell(Report::Pixels { item, scale, patch })?;
                    }
                }
                let part = 0.02 + (TILES_END - 0.02) * done as f32 / tiles as f32;
                let stage = tr!("tile %{done} of %{tiles}", done = done, tiles = tiles);
                self.reporter.tell(Report::Progress { item, stage, done: part })?;
            }
            Event::Refining { step, steps } => {
                let stage = tr!("raising fidelity, step %{step} of %{steps}", step = step + 1, steps = steps);
                self.reporter.tell(Report::Progress { item, stage, done: 0.93 })?;
            }
            Event::Reconstructing { .. } => {
                self.reporter.tell(Report::Progress { item, stage: tr!("proving"), done: TILES_END })?;
            }
            Event::Reconstructed { .. } => {}
        }
        let since = Instant::now();
        loop {
            if let Some(preview) = self.control.take_preview() {
                // A preview with the model that runs costs the run little; another model has to wait.
                self.preview_beside(preview);
            }
            if self.control.is_cancelled(item) {
                return ControlFlow::Break(());
            }
            if !self.control.is_paused() {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        *halted += since.elapsed();
        ControlFlow::Continue(())
    }

    /// Sends a whole result to the window.
    pub(super) fn show(&self, item: ItemId, scale: usize, picture: &Picture) {
        for area in pieces(picture.width(), picture.height()) {
            self.tell(Report::Pixels { item, scale, patch: Patch::of(picture, area) });
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
            self.tell(Report::Proof { item, patch: Box::new(patch) });
        }
        proven(result)
    }

    fn refine(&mut self, item: ItemId, fidelity: f32) -> anyhow::Result<()> {
        let Some(mut kept) = self.kept.take_if(|kept| kept.item == item) else {
            self.tell(Report::NotAtHand { item });
            return Ok(());
        };
        let scale = kept.upscaler.model().description.scale();
        let refined = kept.upscaler.refine(&kept.input, (*kept.base).clone(), fidelity, &mut |_| self.until_the_end());
        let result = refined.map(|result| {
            self.show(item, scale, &result.picture);
            let proven = self.show_proof(item, &kept.input, &result);
            kept.refined = Some(Arc::new(result.picture));
            self.tell(Report::Refined { item, proven });
        });
        self.kept = Some(kept);
        Ok(result?)
    }

    /// Saves a result as another file; false if it was refined and is not in memory any more.
    fn save_as(
        &mut self,
        item: ItemId,
        output: &Path,
        path: &Path,
        choices: &Choices,
        refined: bool,
    ) -> anyhow::Result<bool> {
        let control = self.control.clone();
        match &mut self.kept {
            Some(kept) if kept.item == item => {
                let go_on = &mut |_: Event<'_>| {
                    // What the user asked to be saved is saved even when the window closes.
                    if control.is_cancelled(item) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                };
                let result = kept.refined.as_mut().unwrap_or(&mut kept.base);
                let (picture, _) = finished(&kept.upscaler, &kept.input, result, choices, go_on)?;
                dualres_imaging::write(path, &picture, choices.encoding())?;
            }
            _ if refined => return Ok(false),
            // An earlier result is on disk; in another format it is as good as that file.
            _ => dualres_imaging::write(path, &dualres_imaging::read(output)?, choices.encoding())?,
        }
        Ok(true)
    }

    fn prove(&mut self, item: ItemId, input: &Picture, output: &Path, model: &str, device: &str) -> anyhow::Result<()> {
        let mut result = dualres_imaging::read(output).with_context(|| tr!("the saved result cannot be shown"))?;
        let upscaler = self.ready(model, device)?.0;
        let scale = upscaler.model().description.scale();
        let [width, height] = [input.width() * scale, input.height() * scale];
        let proportions = |width: usize, height: usize| width as f64 / height.max(1) as f64;
        let bent = proportions(result.width(), result.height()) / proportions(width, height);
        if (bent - 1.0).abs() > 0.05 {
            anyhow::bail!(tr!("the saved result does not fit its original any more: %{file}", file = output.display()));
        }
        if [result.width(), result.height()] != [width, height] {
            // It was saved at a size of its own; the canvas shows it at the size of the network's result.
            result = resample(&result, width, height);
        }
        self.show(item, scale, &result);
        let proof = upscaler.refine(input, result, 0.0, &mut |_| self.until_the_end())?;
        self.show_proof(item, input, &proof);
        Ok(())
    }

    fn measure(&mut self, model: &str, device: &str) -> anyhow::Result<()> {
        let (upscaler, device) = self.ready(model, device)?;
        let scale = upscaler.model().description.scale();
        let planes = (0..3).map(|c| Plane::new(96, 96, (0..96 * 96).map(|i| (i * (c + 7) % 256) as f32).collect()));
        let picture = Picture::from_planes(planes.collect());
        let run = || {
            let start = Instant::now();
            upscaler.upscale(&picture, &Options::default(), &mut |_| self.until_the_end())?;
            anyhow::Ok(start.elapsed().as_secs_f64())
        };
        // The first run tunes and compiles.
        run()?;
        let seconds = run()?;
        let pixels_a_second = (96 * scale * 96 * scale) as f64 / seconds;
        self.tell(Report::Speed { model: model.to_owned(), device, pixels_a_second });
        Ok(())
    }

    fn compare(&mut self, comparison: &Comparison) -> anyhow::Result<()> {
        const RUNS: usize = 3;
        let Comparison { item, input, area, models, device } = comparison;
        let device = device::choose(device)?;
        let load = |name: &String| {
            let model = self.library.load(name)?;
            anyhow::Ok(Upscaler::new(&model, &trust::vetted(&self.paths, &model, &device)?)?)
        };
        let upscalers = [load(&models[0])?, load(&models[1])?];
        let (mut seconds, mut loop_psnr) = ([f64::INFINITY; 2], [f64::NAN; 2]);
        // In turns, and the best of each: the first runs tune, and other programs disturb.
        for _ in 0..RUNS {
            for (index, upscaler) in upscalers.iter().enumerate() {
                let start = Instant::now();
                let part = Part::of(upscaler, input, *area, &Options::default(), &mut |_| self.until_the_end())?;
                seconds[index] = seconds[index].min(start.elapsed().as_secs_f64());
                if let Some(proof) = part.proof() {
                    loop_psnr[index] = psnr_of_difference(proof.luma.data.iter().copied());
                }
            }
        }
        self.tell(Report::Compared { item: *item, models: models.clone(), seconds, loop_psnr });
        Ok(())
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
            _ => self.control.put_back(preview),
        }
    }

    fn preview_with(&self, upscaler: &Upscaler, preview: &Preview) -> anyhow::Result<()> {
        let start = Instant::now();
        let options = Options { fidelity: preview.choices.fidelity, ..Options::default() };
        let (item, area) = (preview.item, preview.area);
        let part = Part::of(upscaler, &preview.input, area, &options, &mut |_| self.until_the_end())?;
        self.tell(Report::Pixels { item, scale: part.scale, patch: part.patch() });
        if let Some(patch) = part.proof() {
            self.tell(Report::Proof { item, patch: Box::new(patch) });
        }
        self.tell(Report::Previewed { item, area, seconds: start.elapsed().as_secs_f64() });
        Ok(())
    }
}

/// What the proof of a result says.
pub(super) fn proven(result: &Upscaled) -> Proven {
    let mean = |plane: &Plane| plane.data.iter().map(|&d| f64::from(d)).sum::<f64>() / plane.data.len() as f64;
    Proven {
        loop_psnr: report::finite(result.loop_psnr),
        dual_loss: result.consistency.as_ref().map(mean),
        expected_psnr: report::finite(result.expected_psnr),
    }
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

/// The result as its file is to have it: at the chosen size, with its metadata. `result` is what one pass made; it may lose
/// its metadata to the file, its samples stay. Also the proof of all passes, if it took more than one.
pub(super) fn finished(
    upscaler: &Upscaler,
    input: &Picture,
    result: &mut Arc<Picture>,
    choices: &Choices,
    observe: dualres_engine::Observer,
) -> anyhow::Result<(Arc<Picture>, Option<Upscaled>)> {
    let scale = upscaler.model().description.scale();
    let original = [input.width(), input.height()];
    let size = choices.size.of(original, scale);
    let finish =
        |picture: &mut Picture| result::finish(picture, original, &choices.model, choices.size, scale, choices.keep());
    if size == [result.width(), result.height()] {
        // Fewer bits cut off light beyond white, which refining still wants.
        let changes_samples = matches!(input.depth, Depth::Float { .. }) && choices.keep().depth.is_some();
        if changes_samples {
            let mut copy = (**result).clone();
            finish(&mut copy);
            return Ok((Arc::new(copy), None));
        }
        // Copied only while an earlier file of it is being saved.
        let shared = Arc::make_mut(result);
        (shared.metadata, shared.depth) = (input.metadata.clone(), input.depth);
        finish(shared);
        return Ok((result.clone(), None));
    }
    let options = Options { fidelity: choices.fidelity, ..Options::default() };
    let mut further = upscaler.upscale_further(input, result, size, &options, observe)?;
    let mut picture = std::mem::replace(&mut further.picture, Picture::from_planes(vec![Plane::filled(1, 1, 0.0)]));
    picture.metadata = input.metadata.clone();
    finish(&mut picture);
    let proof = (!further.reconstructions.is_empty()).then_some(further);
    Ok((Arc::new(picture), proof))
}
