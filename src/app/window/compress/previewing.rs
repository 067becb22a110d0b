//! What the preview worker's thread does with its questions.

use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, TryRecvError},
    },
    time::Instant,
};

use dualres_engine::{Area, Options, Upscaler};
use dualres_network::{Device, Model, device};

use super::{
    judge::PairPatch,
    latency::{self, Latency},
    profiles,
    questions::{Answer, Desires, Original, Pair, PreviewRequest, Question, Small},
};
use crate::{
    actor::{EventSender, Shared},
    library::Library,
    paths::Paths,
    report, trust,
    window::worker::part::Part,
};

/// Side of the cells that whole pictures are done in, in pixels of the input.
const CELL: usize = 256;

/// Networks on their device.
struct PairOnDevice {
    pair: Pair,
    device: String,
    original: Arc<Upscaler>,
    small: Arc<Upscaler>,
    /// The original on the CPU, which instant networks are made from.
    model: Arc<Model>,
}

/// A whole picture under way.
struct Whole {
    look: PreviewRequest,
    cells: Vec<Area>,
    done: usize,
}

/// Networks on their device, and what is asked of them.
pub(super) struct Previewer {
    library: Library,
    paths: Paths,
    desires: Arc<Desires>,
    events_out: EventSender<Answer>,
    ready: Option<PairOnDevice>,
    whole: Option<Whole>,
    /// Profiles that were asked for so far.
    wanted: u64,
}

impl Previewer {
    pub(super) fn new(library: Library, paths: Paths, desires: Arc<Desires>, events_out: EventSender<Answer>) -> Self {
        Self { library, paths, desires, events_out, ready: None, whole: None, wanted: 0 }
    }

    /// Forgets what a panic may have left half done.
    pub(super) fn recover(&mut self) {
        (self.ready, self.whole) = (None, None);
    }

    pub(super) fn serve(&mut self, questions: &Receiver<Question>) {
        while self.desires.life().flow().is_continue() {
            if let Some(look) = self.desires.look.take() {
                self.look(&look);
                continue;
            }
            match questions.try_recv() {
                Ok(question) => self.answer(question),
                Err(TryRecvError::Disconnected) => return,
                Err(TryRecvError::Empty) if self.whole.is_some() => self.cell(),
                Err(TryRecvError::Empty) => match questions.recv() {
                    Ok(question) => self.answer(question),
                    Err(_) => return,
                },
            }
        }
    }

    fn answer(&mut self, question: Question) {
        match question {
            Question::Profile { model, device } => self.profile(&model, &device),
            Question::Whole(look) => {
                let (width, height) = (look.area.width, look.area.height);
                let cell = |(x, y): (usize, usize)| Area {
                    x: look.area.x + x,
                    y: look.area.y + y,
                    width: CELL.min(width - x),
                    height: CELL.min(height - y),
                };
                let rows = (0..height).step_by(CELL);
                let cells = rows.flat_map(|y| (0..width).step_by(CELL).map(move |x| (x, y))).map(cell);
                let mut cells: Vec<Area> = cells.collect();
                // From the middle outwards, as one looks.
                let middle = [look.area.x + width / 2, look.area.y + height / 2];
                let distance = |a: &Area| {
                    let [x, y] = [a.x + a.width / 2, a.y + a.height / 2];
                    x.abs_diff(middle[0]).pow(2) + y.abs_diff(middle[1]).pow(2)
                };
                cells.sort_by_key(distance);
                self.whole = Some(Whole { look: *look, cells, done: 0 });
            }
            Question::Leave => self.whole = None,
            Question::Latency { run, pair } => match self.latency(&pair, run.is_none()) {
                Ok(Some(latency)) => self.events_out.mention(Answer::Latency { run, pair, latency }),
                Ok(None) => {}
                Err(error) => self.events_out.mention(Answer::Trouble(report::message(&error))),
            },
            Question::PreviewRequest => {}
            Question::Forget => self.ready = None,
        }
    }

    fn profile(&mut self, name: &str, device: &str) {
        self.wanted += 1;
        if self.desires.profile.load(Ordering::Relaxed) != self.wanted {
            // Another model was chosen since.
            return;
        }
        let (desires, events_out, wanted) = (self.desires.clone(), self.events_out.clone(), self.wanted);
        let mut told = |done: usize, of: usize| {
            events_out.mention(Answer::Profiling { model: name.to_owned(), done, of });
            if desires.profile.load(Ordering::Relaxed) == wanted {
                desires.life().flow()
            } else {
                ControlFlow::Break(())
            }
        };
        let mut measure = || {
            let model = self.library.load(name)?;
            let device = trust::vetted(&self.paths, &model, &device::choose(device)?)?;
            profiles::of(&self.paths, &model, &device, &mut told)
        };
        let profile = match measure() {
            Ok(Some(profile)) => Ok(Arc::new(profile)),
            Ok(None) => return,
            Err(error) => Err(report::message(&error)),
        };
        self.events_out.mention(Answer::Profile { model: name.to_owned(), profile });
    }

    /// Both networks on their device, brought there if they are not.
    fn ready(&mut self, pair: &Pair) -> anyhow::Result<(Arc<Upscaler>, Arc<Upscaler>, String)> {
        let same_original =
            self.ready.as_ref().filter(|r| r.pair.original == pair.original && r.pair.device == pair.device);
        // Networks cut from one that runs as it should do so too; to check each would take longer than to look at it.
        let (model, original, device_name) = match same_original {
            Some(ready) if ready.pair.small == pair.small => {
                return Ok((ready.original.clone(), ready.small.clone(), ready.device.clone()));
            }
            Some(ready) => (ready.model.clone(), ready.original.clone(), ready.device.clone()),
            None => {
                let model = match &pair.original {
                    Original::Named(name) => self.library.load(name)?,
                    Original::File(path) => Model::read(path, &Device::flex())?,
                };
                let device = trust::vetted(&self.paths, &model, &device::choose(&pair.device)?)?;
                let upscaler = Upscaler::new(&model, &device)?;
                (Arc::new(model), Arc::new(upscaler), device.name)
            }
        };
        let small = match &pair.small {
            Small::Instant(profile, widths) => profile.one_shot(&model, widths, &Device::flex())?,
            Small::File(path) => Model::read(path, &Device::flex())?,
        };
        let small = Arc::new(Upscaler::new(&small, original.device())?);
        let answer = (original.clone(), small.clone(), device_name.clone());
        self.ready = Some(PairOnDevice { pair: pair.clone(), device: device_name, original, small, model });
        Ok(answer)
    }

    fn part(&mut self, look: &PreviewRequest, area: Area) -> anyhow::Result<PairPatch> {
        let (original, small, _) = self.ready(&look.pair)?;
        let desires = self.desires.clone();
        let input = &look.subject.input;
        let of =
            |upscaler: &Upscaler| Part::of(upscaler, input, area, &Options::default(), &mut |_| desires.life().flow());
        Ok(PairPatch::of(&of(&original)?, &of(&small)?, look.subject.truth.as_deref()))
    }

    fn look(&mut self, look: &PreviewRequest) {
        // Bringing the networks to their device is no part of what pixels cost.
        let ready = self.ready(&look.pair).map(|_| Instant::now());
        match ready.and_then(|start| Ok((start, self.part(look, look.area)?))) {
            Ok((start, patch)) => self.events_out.mention(Answer::Part {
                request_id: look.request_id,
                area: look.area,
                patch: Box::new(patch),
                seconds: start.elapsed().as_secs_f64(),
            }),
            Err(error) => self
                .events_out
                .mention(Answer::PreviewFailed { request_id: look.request_id, reason: report::message(&error) }),
        }
    }

    fn cell(&mut self) {
        let Some(mut whole) = self.whole.take() else { return };
        let Some(&area) = whole.cells.get(whole.done) else { return };
        let request_id = whole.look.request_id;
        match self.part(&whole.look, area) {
            Ok(patch) => {
                whole.done += 1;
                let (done, of) = (whole.done, whole.cells.len());
                self.events_out.mention(Answer::Cell { request_id, patch: Box::new(patch), done, of });
                self.whole = (done < of).then_some(whole);
            }
            Err(error) => {
                self.events_out.mention(Answer::PreviewFailed { request_id, reason: report::message(&error) })
            }
        }
    }

    /// `None` if the window is gone, or if it `gives_way` and there is a wish for pixels.
    fn latency(&mut self, pair: &Pair, gives_way: bool) -> anyhow::Result<Option<Latency>> {
        let (original, small, device) = self.ready(pair)?;
        // The dual reconstruction is no part of what a user waits for in every program; without it both are timed alike.
        let without = |upscaler: &Upscaler| -> anyhow::Result<Upscaler> {
            let mut model = upscaler.model().to_device(&Device::flex())?;
            model = model.without_duals();
            Ok(Upscaler::new(&model, upscaler.device())?)
        };
        let (original, small) = (without(&original)?, without(&small)?);
        let desires = self.desires.clone();
        let mut goes_on =
            || if gives_way && desires.look.is_wanted() { ControlFlow::Break(()) } else { desires.life().flow() };
        let side = if gives_way { latency::SIDE } else { latency::RUN_SIDE };
        match latency::measure(&original, &small, &device, side, &mut goes_on) {
            Ok(latency) => Ok(Some(latency)),
            Err(dualres_engine::EngineError::Cancelled) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
