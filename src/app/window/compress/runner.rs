//! The thread that does compression runs, one after the other. It owns their tensors; the window hears of every step and can
//! halt and stop between steps. What is stopped is saved.

use std::{
    ops::ControlFlow,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
    time::Instant,
};

use dualres_compression::{Alpha, CONFIG_FILE, CompressConfig, Event, Report, Row, Stage, compress, resume};
use dualres_network::device;

use super::runs::RunId;
use crate::{
    actor::{Actor, EventSender, Life, Shared, Wake},
    language::tr,
    library::Library,
    paths::Paths,
    report::{self, about},
    samples, trust,
};

/// A run to do.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) run: RunId,
    pub(crate) folder: PathBuf,
    /// Model of the library, for a run that has not begun.
    pub(crate) model: String,
    pub(crate) config: CompressConfig,
    /// Device by name or `auto`.
    pub(crate) device: String,
    /// Seconds of work in earlier sessions.
    pub(crate) seconds: f64,
}

/// What the runner tells of a run.
#[derive(Debug)]
pub(crate) enum News {
    Stage { stage: Stage, step: usize, steps: usize },
    Step { row: Row, left: Option<f64> },
    Alpha(Alpha),
    Widths(Vec<usize>),
    Unit { unit: usize, kept: Vec<usize>, scores: Vec<f64> },
    Warning(String),
    Ended(Ended),
}

/// How a run ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Done(Box<Report>),
    Stopped,
    Failed(String),
}

/// What goes past the jobs.
#[derive(Debug, Default)]
pub(crate) struct Control {
    life: Life,
    stops: AtomicBool,
    /// Stage after which the run stops, plus one; 0 for none.
    stop_after: AtomicU8,
}

impl Shared for Control {
    fn life(&self) -> &Life {
        &self.life
    }
}

impl Control {
    pub(crate) fn pause(&self, paused: bool) {
        self.life.pause(paused);
    }

    pub(crate) fn is_paused(&self) -> bool {
        self.life.is_paused()
    }

    /// Stops the run at its next step; it is saved.
    pub(crate) fn stop(&self) {
        self.stops.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stops.load(Ordering::Relaxed)
    }

    /// Has runs stop when a stage is done.
    pub(crate) fn stop_after(&self, stage: Option<Stage>) {
        self.stop_after.store(stage.map_or(0, |stage| stage as u8 + 1), Ordering::Relaxed);
    }

    fn begin(&self) {
        self.stops.store(false, Ordering::Relaxed);
        self.pause(false);
    }

    /// Whether a run that has just done `before` is not to go into `stage`. One that was stopped there goes on.
    fn stops_between(&self, before: Option<Stage>, stage: Stage) -> bool {
        let after = self.stop_after.load(Ordering::Relaxed);
        after > 0 && before.is_some_and(|before| (before as u8) < after) && stage as u8 >= after
    }

    fn flow(&self) -> ControlFlow<()> {
        self.life.halt(|| if self.is_stopping() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
    }
}

/// The window's end of the runner.
#[derive(Debug)]
pub(crate) struct Runner(Actor<Job, (RunId, News), Control>);

impl Runner {
    /// Starts the thread. It ends when the runner is dropped.
    pub(crate) fn start(library: Library, paths: Paths, wake: Wake) -> std::io::Result<Self> {
        let serve = move |jobs, control: Arc<Control>, events_out: EventSender<(RunId, News)>| {
            for job in jobs {
                if control.life.ends() {
                    return;
                }
                let job: Job = job;
                // Where nobody listens the window is gone; the run is stopped by its life then.
                let mut tell = |news: News| events_out.mention((job.run, news));
                let attempt = || work(&job, &library, &paths, &control, &mut tell);
                let ended = match dualres_imaging::caught(attempt) {
                    Ok(Ok(Some(report))) => Ended::Done(Box::new(report)),
                    Ok(Ok(None)) => Ended::Stopped,
                    Ok(Err(error)) => Ended::Failed(report::message(&error)),
                    Err(_) => Ended::Failed(tr!(
                        "the run ended by an error in the program or a device that failed; what it saved is kept, go \
                         on with it"
                    )),
                };
                tell(News::Ended(ended));
            }
        };
        Ok(Self(Actor::start("compression", wake, serve)?))
    }

    pub(crate) fn control(&self) -> &Control {
        &self.0.control
    }

    pub(crate) fn run(&self, job: Job) -> bool {
        self.control().begin();
        self.0.send(job)
    }

    pub(crate) fn next(&self) -> Option<(RunId, News)> {
        self.0.next()
    }

    /// Has the run under way end at its next step; it is saved.
    pub(crate) fn end(&self) {
        self.control().life.end();
    }
}

fn work(
    job: &Job,
    library: &Library,
    paths: &Paths,
    control: &Control,
    tell: &mut dyn FnMut(News),
) -> anyhow::Result<Option<Report>> {
    let device = device::choose(&job.device)?;
    if job.config.data.contains(&samples::folder(paths)) {
        samples::unpack(paths)?;
    }
    let begun = Instant::now();
    let mut last = None;
    let mut observe = |event: &Event<'_>| {
        match event {
            Event::Stage { stage, step, steps } => {
                if control.stops_between(last, *stage) {
                    return ControlFlow::Break(());
                }
                last = Some(*stage);
                tell(News::Stage { stage: *stage, step: *step, steps: *steps });
            }
            Event::Step(progress) => {
                let row = Row::of(progress, job.seconds + begun.elapsed().as_secs_f64());
                tell(News::Step { row, left: progress.seconds_left });
            }
            Event::Alpha { candidates, probabilities } => {
                let (candidates, probabilities) = (candidates.to_vec(), probabilities.to_vec());
                tell(News::Alpha(Alpha { candidates, probabilities }));
            }
            Event::Widths(widths) => tell(News::Widths(widths.to_vec())),
            Event::Unit { unit, kept, scores } => {
                tell(News::Unit { unit: *unit, kept: kept.to_vec(), scores: scores.to_vec() });
            }
            Event::Unusable(picture) => {
                let picture = about(&picture.path, &picture.reason);
                tell(News::Warning(tr!("skipped: %{picture}", picture = picture)));
            }
            Event::Warning(text) => tell(News::Warning(text.clone())),
            Event::Tick => {}
        }
        control.flow()
    };
    let finished = if job.folder.join(CONFIG_FILE).exists() {
        let device = match trust::model_of_run(&job.folder) {
            Some(model) => trust::vetted(paths, &model, &device)?,
            None => device,
        };
        resume(&job.folder, None, &device, &mut observe)?
    } else {
        let model = library.load(&job.model)?;
        let device = trust::vetted(paths, &model, &device)?;
        compress(&job.config, &model, &device, &job.folder, &mut observe)?
    };
    Ok(finished.map(|(_, report)| report))
}
