//! One picture of the queue, from its file to the thread that saves its result, and what the window sees of it meanwhile.

use std::{
    ops::ControlFlow,
    time::{Duration, Instant},
};

use dualres_engine::{Event, Upscaled, has_room_for};
use dualres_imaging::{Picture, resize::resample};

use super::{
    DONE_BEFORE, Job, WorkerReport,
    engine::Engine,
    job::Order,
    kept::{Kept, proven},
    saver::Saving,
};
use crate::{
    batch::{
        inputs::Input,
        make::{Before, Made, Watcher, make, seams},
        plan::{Enlarger, Plan, Planned, plan},
        record::Done,
        result::losses,
        unfinished::Keeper,
    },
    language::tr,
    window::queue::{Finished, ItemId, Proven},
};

/// Results of more pixels than that are not kept for refining.
const MAX_KEPT: usize = 80_000_000;
/// Pixels of a result from which on its speed is that of the model.
const MIN_MEASURE: usize = 500_000;

/// Shows a running picture.
struct Showing<'a> {
    engine: &'a Engine,
    item: ItemId,
    scale: usize,
    /// Whether tiles look as the result will.
    shows_tiles: bool,
    /// Whether the result is to be sent whole.
    sends_whole: bool,
    /// Time that the user halted it.
    halted: Duration,
    begun: Instant,
    /// What its proof says of the place that was changed most.
    worst: Option<f32>,
    /// When the network had done its first pass, and proven it unless that was to be refined.
    passed: Option<Duration>,
}

impl Watcher for Showing<'_> {
    fn event(&mut self, event: Event<'_>) -> ControlFlow<()> {
        let shows = self.shows_tiles && self.passed.is_none();
        if matches!(event, Event::Refining { .. }) {
            self.note_pass();
        }
        self.engine.watch(self.item, self.scale, &event, shows, &mut self.halted)
    }

    fn passed(&mut self, input: &Picture, result: &Upscaled) {
        self.note_pass();
        if self.sends_whole {
            self.engine.show(self.item, self.scale, &result.picture);
        }
        self.worst = self.engine.show_proof(self.item, input, result).worst;
    }
}

impl Showing<'_> {
    fn note_pass(&mut self) {
        self.passed.get_or_insert_with(|| self.begun.elapsed() - self.halted);
    }
}

impl Engine {
    /// Upscales a picture and hands its result to the thread that saves it, unless the record of the folder of results says
    /// that it is done.
    pub(super) fn upscale(&mut self, job: &Job) -> anyhow::Result<()> {
        let started = Instant::now();
        let Job { item, choices, .. } = job;
        let item = *item;
        self.tell(WorkerReport::Progress { item, stage: tr!("reading"), done: 0.0 });
        let recipe = choices.recipe();
        let folder = choices.folder.as_deref();
        if let Some(folder) = folder {
            crate::batch::saving::make_folder(folder)?;
        }
        let records = self.records.clone();
        let input = Input { path: job.input.clone(), below: job.below.clone(), twin: job.twin };
        let batch = folder.map(|folder| (&records, folder));
        let planned = plan(&mut Order { engine: self, job }, &recipe, batch, (&input, job.index))?;
        let planned = match planned {
            Plan::Run(planned) => *planned,
            Plan::Done(done) => {
                self.tell(WorkerReport::Done { item, finished: finished_before(done, job), warning: None });
                return Ok(());
            }
        };
        let Planned { mut picture, recorded, model, size, format, target, warnings: told, .. } = planned;
        let (scale, name, weights) = (model.scale(), model.name().to_owned(), model.weights().to_owned());
        let (upscaler, mut device) = (model.upscaler, model.device);
        self.tell(WorkerReport::Progress { item, stage: tr!("preparing"), done: 0.01 });
        let enlarged = [picture.width() * scale, picture.height() * scale];
        let keeps = enlarged[0] * enlarged[1] <= MAX_KEPT;
        let refines = recipe.fidelity > 0.0 && !upscaler.model().duals.is_empty();
        // Tiles are what the network gives, without transparency and without light beyond white.
        let differs = picture.alpha.is_some() || picture.without_highlights().is_some();
        let before = Before::of(&upscaler);
        let mut showing = Showing {
            engine: self,
            item,
            scale,
            shows_tiles: !differs,
            sends_whole: refines || differs,
            halted: Duration::ZERO,
            begun: Instant::now(),
            worst: None,
            passed: None,
        };
        let (mut keeper, unfinished) = Keeper::new(&self.paths.unfinished(), &job.input, &weights);
        let made = make(&upscaler, &mut picture, &recipe, size, keeps, (&mut keeper, unfinished), &mut showing);
        let Showing { halted, passed, worst, .. } = showing;
        if made.is_err() && self.control.is_stopped(item) {
            // The user does not want it; one that the end of the program cut off goes on next time.
            keeper.forget();
        }
        let made = made?;
        let Made { picture: ready, proof, pass, misfit, .. } = made;
        if pass.is_none() {
            // It took no network; the canvas has the size of what one makes all the same.
            self.show(item, scale, &resample(&ready, enlarged[0], enlarged[1]));
        }
        // A small picture says little on how fast a large one is.
        if let Some(passed) = passed.filter(|_| enlarged[0] * enlarged[1] >= MIN_MEASURE) {
            let pixels_a_second = (enlarged[0] * enlarged[1]) as f64 / passed.as_secs_f64().max(1e-3);
            self.tell(WorkerReport::Speed { model: name.clone(), device: device.clone(), pixels_a_second });
        }

        let mut warnings = losses(&picture, format, recipe.keep);
        warnings.extend(told);
        if let Some(name) = job.input.file_name().filter(|_| !warnings.is_empty()) {
            warnings[0].insert_str(0, &format!("{}: ", name.to_string_lossy()));
        }
        warnings.extend(seams(&upscaler, &proof));
        warnings.extend(before.troubles(&upscaler));
        if upscaler.given_up().is_some() {
            device = dualres_network::device::ComputeDevice::cpu().name;
            // The next picture tries the device anew.
            self.forget_device();
        }
        let channels = ready.planes.len() + usize::from(ready.alpha.is_some());
        let may_overlap = has_room_for(1, size, channels);
        self.tell(WorkerReport::Progress { item, stage: tr!("saving"), done: 0.97 });
        let fidelity = if refines { recipe.fidelity } else { 0.0 };
        let proven = Proven { worst, misfit, ..proven(&proof) };
        self.saver.save(Saving {
            item,
            picture: ready,
            encoding: recipe.encoding,
            finished: Finished { output: target, size, model: name.clone(), device, fidelity, seconds: 0.0, proven },
            started,
            halted,
            warnings,
            recorded: recorded.clone(),
            keeper,
        });
        self.kept = pass.filter(|_| keeps).map(|pass| {
            let (base, refined) = match pass.base {
                Some(base) => (base, Some((fidelity, pass.picture))),
                None => (pass.picture, None),
            };
            Kept { item, input: picture, model: name, base, refined, upscaler, recorded, weights }
        });
        if may_overlap {
            self.tell(WorkerReport::Computed { item });
        }
        Ok(())
    }
}

/// What is told of a result that was there before.
fn finished_before(done: Done, job: &Job) -> Finished {
    Finished {
        output: done.output,
        size: done.size,
        // A picture that chose for itself was not made by the model of the settings.
        model: if done.model.is_empty() { job.choices.model.clone() } else { done.model },
        device: DONE_BEFORE.into(),
        fidelity: job.choices.fidelity,
        seconds: done.seconds,
        proven: Proven {
            loop_psnr: done.loop_psnr,
            dual_loss: None,
            expected_psnr: done.expected_psnr,
            worst: None,
            misfit: None,
        },
    }
}
