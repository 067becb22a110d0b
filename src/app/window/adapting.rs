//! Adapting a model to the user's photos, beside everything else that the window does.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use anyhow::anyhow;
use dualres_engine::{Event, Options, Upscaler};
use dualres_imaging::Picture;
use dualres_network::{Device, Model, device};
use dualres_training::{Degradation, Known, Reduction};
use poll_promise::Promise;

use super::{
    document::{Document, Pyramid},
    queue::ItemId,
    views::duration,
};
use crate::{
    actor::Wake,
    adaptation::{self, AdaptationEvent, AdaptationPlan, Adapted, BATCH, Effort, Origin, PATCH},
    batch::sums::fingerprint,
    language::{tr, written},
    library::Library,
    paths::Paths,
    samples, trust,
};

/// What the user does with an adaptation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AdaptAction {
    /// Ask what is to be adapted to what.
    Ask,
    /// Begin with what was answered.
    Start,
    Cancel,
    /// Take the adapted model into the library.
    Keep,
    Discard,
}

/// How far it is.
#[derive(Default)]
pub(crate) enum Adapting {
    /// Nothing is being adapted.
    #[default]
    Idle,
    Running(Running),
    /// The user is to say whether it was worth it.
    Offered(Box<Offer>),
}

/// What the user is asked.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// The model to adapt.
    pub(crate) model: String,
    /// Name of the adapted one.
    pub(crate) name: String,
    pub(crate) effort: Effort,
    /// Whether all photos of the queue count, not the selected one alone.
    pub(crate) all: bool,
    /// The photos of the queue.
    pub(crate) photos: Vec<PathBuf>,
    /// The one that before and after are shown of.
    pub(crate) shown: (ItemId, PathBuf, Arc<Picture>),
}

impl PartialEq for Wish {
    /// Pictures are the same if they are the same in memory.
    fn eq(&self, other: &Self) -> bool {
        let ((item, path, picture), (other_item, other_path, other_picture)) = (&self.shown, &other.shown);
        (&self.model, &self.name, self.effort, self.all) == (&other.model, &other.name, other.effort, other.all)
            && self.photos == other.photos
            && (item, path) == (other_item, other_path)
            && Arc::ptr_eq(picture, other_picture)
    }
}

impl Wish {
    /// The photos that count.
    pub(crate) fn chosen(&self) -> Vec<PathBuf> {
        if self.all { self.photos.clone() } else { vec![self.shown.1.clone()] }
    }

    /// Pixels of results that are computed for it by a network of `scale`, for an estimate of the time.
    pub(crate) fn work(&self, scale: usize) -> f64 {
        (self.effort.steps() * BATCH * PATCH * PATCH * scale * scale) as f64
    }
}

/// What came of it.
pub(crate) struct Offer {
    /// Name of the adapted model.
    pub(crate) name: String,
    /// Name of the model that it was made from.
    pub(crate) from: String,
    /// The model file.
    pub(crate) bytes: Vec<u8>,
    /// The numbers.
    pub(crate) adapted: Numbers,
    /// Results before in place of the original, after in that of the result.
    pub(crate) document: Document,
    run: PathBuf,
}

impl Offer {
    /// The run folder is needed no more, whatever the answer was.
    pub(crate) fn clear(&self) {
        // What is left costs nothing but room.
        let _ = std::fs::remove_dir_all(&self.run);
    }
}

/// In dB, before and after.
pub(crate) struct Numbers {
    /// Consistency PSNR of the user's photos.
    pub(crate) consistency: [f64; 2],
    /// PSNR of paired pictures that were degraded alike.
    pub(crate) paired: [f64; 2],
    /// How the photos seem to have come about, if not by bicubic reduction alone.
    pub(crate) degradation: Option<String>,
}

/// An adaptation at work.
pub(crate) struct Running {
    /// Name of the adapted model.
    pub(crate) name: String,
    shared: Arc<Mutex<Shared>>,
    task: Promise<anyhow::Result<Option<Box<Offer>>>>,
}

#[derive(Default)]
struct Shared {
    /// Steps done of so many, once training has begun.
    steps: Option<(usize, usize)>,
    /// When this session's first step was done, and how many had been by then.
    began: Option<(Instant, usize)>,
    stage: String,
    warnings: Vec<String>,
    cancelled: bool,
}

fn lock(shared: &Mutex<Shared>) -> std::sync::MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Running {
    /// Begins. `wake` is called whenever there is news.
    pub(super) fn start(places: (Library, Paths), wish: Wish, device: String, wake: Wake) -> Self {
        let shared = Arc::<Mutex<Shared>>::default();
        let (name, told) = (wish.name.clone(), shared.clone());
        let task = Promise::spawn_thread("adaptation", move || {
            let attempt = || run(&places, &wish, &device, &mut |news| told_of(&told, &wake, news));
            let done = dualres_imaging::caught(attempt)
                .unwrap_or_else(|said| Err(anyhow!(tr!("internal error (%{said})", said = said))));
            wake();
            done
        });
        Self { name, shared, task }
    }

    /// What came of it, once it has ended; `None` if it was cancelled.
    pub(super) fn ended(self) -> Result<anyhow::Result<Option<Box<Offer>>>, Self> {
        let Self { name, shared, task } = self;
        task.try_take().map_err(|task| Self { name, shared, task })
    }

    /// Warnings that have not been shown.
    pub(super) fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared).warnings)
    }

    /// Part that is done, and what is being done in words.
    pub(crate) fn progress(&self) -> (f32, String) {
        let shared = lock(&self.shared);
        match shared.steps {
            _ if shared.cancelled => (0.0, tr!("Cancelling…")),
            None => (0.0, shared.stage.clone()),
            Some((step, steps)) if step == steps => (1.0, tr!("Measuring")),
            Some((step, steps)) => {
                let left = shared.began.and_then(|(began, before)| {
                    let done = step.checked_sub(before).filter(|&done| done >= 3)?;
                    Some(began.elapsed().mul_f64((steps - step) as f64 / done as f64))
                });
                let text = match left {
                    Some(left) => tr!("Adapting, %{left} left", left = duration(left)),
                    None => tr!("Adapting"),
                };
                (step as f32 / steps as f32, text)
            }
        }
    }

    /// Has it stopped; what was learned is kept for the next time.
    pub(super) fn cancel(&self) {
        lock(&self.shared).cancelled = true;
    }
}

fn told_of(shared: &Mutex<Shared>, wake: &Wake, news: AdaptationEvent<'_>) -> ControlFlow<()> {
    let mut shared = lock(shared);
    match news {
        AdaptationEvent::Looking => shared.stage = tr!("Analysing photos"),
        AdaptationEvent::Step(progress) => {
            shared.began.get_or_insert((Instant::now(), progress.step));
            shared.steps = Some((progress.step, progress.steps));
        }
        AdaptationEvent::Measuring => shared.steps = Some((1, 1)),
        AdaptationEvent::Warning(text) => shared.warnings.push(text),
        AdaptationEvent::Unusable(photo) => {
            let text = tr!("Left out: %{photo}", photo = crate::report::about(&photo.path, &photo.reason));
            shared.warnings.push(text);
        }
        AdaptationEvent::Estimated(_) | AdaptationEvent::Validated(_) => {}
    }
    wake();
    if shared.cancelled { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// For people who take photos, what is wrong with theirs: `blur of 1.6 pixels, JPEG quality 60`; empty if nothing is.
fn words(known: Known) -> String {
    let exactly = |value: f32| written(value.to_string());
    let reduction = match known.reduction {
        Reduction::Bicubic => None,
        Reduction::Nearest => Some(tr!("no smoothing between pixels")),
        Reduction::Blur { sigma, across, .. } if sigma == across => {
            Some(tr!("blur of %{sigma} pixels", sigma = exactly(sigma)))
        }
        Reduction::Blur { sigma, across, .. } => {
            Some(tr!("blur of %{sigma} × %{across} pixels", sigma = exactly(sigma), across = exactly(across)))
        }
    };
    let noise = (known.noise > 0.0).then(|| tr!("noise of %{levels} levels", levels = exactly(known.noise)));
    let jpeg = known.jpeg.map(|quality| tr!("JPEG quality %{quality}", quality = quality));
    [reduction, noise, jpeg].into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Side that the picture of before and after is cut to, in pixels of the photo.
const SHOWN_SIDE: usize = 384;

fn run(
    (library, paths): &(Library, Paths),
    wish: &Wish,
    device: &str,
    observe: &mut dyn FnMut(AdaptationEvent<'_>) -> ControlFlow<()>,
) -> anyhow::Result<Option<Box<Offer>>> {
    let model = library.file(&wish.model)?;
    let device = trust::vetted(paths, &Model::read(&model, &Device::flex())?, &device::choose(device)?)?;
    let pictures = wish.chosen();
    // The same wish once more goes on where it was.
    let contents = adaptation::contents_of(&adaptation::files_of(&pictures)?);
    let key = format!("{}\n{contents}\n{:?}", fingerprint(&dualres_network::read_file(&model)?), wish.effort);
    let run = paths.data.join("adaptation").join(fingerprint(key.as_bytes()));
    let plan = AdaptationPlan {
        model: model.clone(),
        from: wish.model.clone(),
        // Files are named after it; the run folder must not depend on it.
        name: "adapted".into(),
        pictures,
        data: samples::unpack(paths)?,
        origin: Origin::Unknown,
        steps: wish.effort.steps(),
        fraction: adaptation::FRACTION,
        lambda: adaptation::LAMBDA,
        lr: adaptation::LR,
        seed: 1,
        run: run.clone(),
    };
    let Some(Adapted { mut model, degradation, before, after, .. }) = adaptation::adapt(&plan, &device, observe)?
    else {
        return Ok(None);
    };
    model.description.name.clone_from(&wish.name);
    let original = Model::read(&plan.model, &device.open()?)?;
    let (item, _, photo) = &wish.shown;
    let [width, height] = [photo.width(), photo.height()].map(|side| side.min(SHOWN_SIDE));
    let crop = photo.crop((photo.width() - width) / 2, (photo.height() - height) / 2, width, height);
    let mut pictures = Vec::new();
    for model in [&original, &model] {
        if observe(AdaptationEvent::Measuring).is_break() {
            return Ok(None);
        }
        let upscaler = Upscaler::new(model, &device)?;
        let result = upscaler.upscale(&crop, &Options::default(), &mut |_: Event| ControlFlow::Continue(()))?;
        pictures.push(Pyramid::of(&result.picture));
    }
    let result = pictures.pop();
    let mut document = Document::new(*item, 1, pictures.swap_remove(0));
    document.result = result;
    let adapted = Numbers {
        consistency: [before.consistency, after.consistency],
        paired: [before.paired, after.paired],
        degradation: degradation.map(|how| match how {
            Degradation::Known(known) => words(known),
            Degradation::Photo => tr!("blur, noise and JPEG artefacts"),
        }),
    };
    let (name, from) = (wish.name.clone(), wish.model.clone());
    Ok(Some(Box::new(Offer { name, from, bytes: model.to_bytes(), adapted, document, run })))
}
