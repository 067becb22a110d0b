//! What the threads of the Compress tab and what runs beside the window tell.

use std::{
    sync::mpsc::{TryRecvError, channel},
    time::Instant,
};

use dualres_compression::{Alpha, Stage};
use dualres_engine::Area;
use eframe::egui::Context;

use super::{
    judge::worst,
    questions::{Answer, Question},
    runner::{Ended, Job, News},
    runs::{Run, RunId, RunState, keep_latency},
    state::{Found, Page, Picturing, ProfileState, Side},
};
use crate::{
    language::{number, tr, translated},
    window::{Window, actions::Tab},
};

/// Longest time that news are taken in for in one frame.
const LONGEST: std::time::Duration = std::time::Duration::from_millis(4);

impl Window {
    /// Takes in what the threads of the tab have to say, and asks for what is to be seen.
    pub(in crate::window) fn drain_compress(&mut self, ctx: &Context) {
        let start = Instant::now();
        while let Some((id, news)) = self.compress.threads.as_ref().and_then(|threads| threads.runner.next()) {
            self.take_news(id, news);
            if start.elapsed() > LONGEST {
                ctx.request_repaint();
                break;
            }
        }
        while let Some(answer) = self.compress.threads.as_ref().and_then(|threads| threads.preview_worker.next()) {
            self.take_answer(answer);
            if start.elapsed() > 2 * LONGEST {
                ctx.request_repaint();
                break;
            }
        }
        self.take_promises();
        self.take_screenshot(ctx);
        self.schedule_run();
        if self.shell.tab == Tab::Compress {
            self.open_compress();
            self.ask_for_pixels();
            self.watch_runs(ctx);
            if self.compress.page == Page::Runs && self.compress.table.grouped {
                self.group_runs();
            }
        }
        if self.compress.awaits() {
            // Promises say that they are ready a moment before they can be taken.
            ctx.request_repaint_after(std::time::Duration::from_millis(100));
        }
    }

    fn take_news(&mut self, id: RunId, news: News) {
        let Some(run) = self.compress.runs.get_mut(id) else { return };
        match news {
            News::Stage { stage, step, steps } => {
                run.curves.enter(stage, step, steps);
                run.left = None;
                if stage == Stage::Search && step == 0 {
                    run.alpha = None;
                }
                if stage == Stage::Select {
                    run.kept.truncate(step);
                    run.scores.truncate(step);
                }
                self.note_time(id);
                self.compress.clock = Some((stage, Instant::now(), step));
            }
            News::Step { row, left } => {
                run.push(&row);
                run.left = left;
            }
            News::Alpha(alpha) => run.alpha = Some(alpha),
            News::Widths(widths) => run.widths = Some(widths),
            News::Unit { unit, kept, scores } => {
                run.kept.truncate(unit);
                run.scores.truncate(unit);
                run.kept.push(kept);
                run.scores.push(scores);
            }
            News::Warning(text) => {
                if !run.warnings.contains(&text) {
                    let name = run.name().to_owned();
                    run.warnings.push(text.clone());
                    self.shell.toasts.warning(format!("{name}: {}", translated(&text)));
                }
            }
            News::Ended(ended) => self.take_end(id, ended),
        }
    }

    /// Learns from the stage that has just ended how fast it is here.
    fn note_time(&mut self, id: RunId) {
        let Some((stage, since, first)) = self.compress.clock.take() else { return };
        let paused = self.compress.threads.as_ref().is_some_and(|threads| threads.runner.control().is_paused());
        let Some(run) = self.compress.runs.get(id) else { return };
        let Some(band) = run.curves.bands.iter().find(|band| band.stage == stage) else { return };
        let part = band.done.saturating_sub(first) as f64 / band.steps.max(1) as f64;
        if part > 0.3 && !paused {
            self.learn_speed(id, stage, part, since.elapsed().as_secs_f64());
        }
    }

    fn take_end(&mut self, id: RunId, ended: Ended) {
        if matches!(ended, Ended::Done(_)) {
            self.note_time(id);
        }
        self.compress.clock = None;
        let Some(run) = self.compress.runs.get_mut(id) else { return };
        run.left = None;
        let name = run.name().to_owned();
        match ended {
            Ended::Done(report) => {
                let text = tr!(
                    "%{name} is done: %{macs} % of the MACs, %{after} dB in place of %{before} dB.",
                    name = name,
                    macs = number(100.0 * report.kept_macs_ratio, 0),
                    after = number(report.psnr_after, 2),
                    before = number(report.psnr_before, 2)
                );
                run.report = Some(*report);
                run.state = RunState::Done;
                let folder = run.folder.clone();
                self.shell.toasts.good(text);
                // What the folder says is what a restart would show.
                self.recall_runs(vec![folder], false);
                if self.compress.chosen == Some(id) {
                    self.choose_run(id);
                }
                // Those that ended while another one ran were not timed.
                if self.compress.runs.next_waiting().is_none() {
                    let runs = self.compress.runs.iter().filter(|run| run.latency.is_none());
                    let untimed: Vec<RunId> = runs.map(|run| run.id).collect();
                    untimed.into_iter().for_each(|id| self.measure_run(id));
                }
            }
            Ended::Stopped => run.state = RunState::Stopped,
            Ended::Failed(reason) => {
                run.state = RunState::Failed(reason.clone());
                self.shell.toasts.error(format!("{name}: {reason}"));
            }
        }
    }

    fn schedule_run(&mut self) {
        if self.compress.runs.running().is_some() {
            return;
        }
        let Some(id) = self.compress.runs.next_waiting() else { return };
        let device = self.shell.settings.choices.device.clone();
        if self.threads().is_none() {
            return;
        }
        let Some(run) = self.compress.runs.get_mut(id) else { return };
        run.state = RunState::Running;
        let job = Job {
            run: id,
            folder: run.folder.clone(),
            model: run.model.clone(),
            config: run.config.clone(),
            device,
            seconds: run.curves.seconds,
        };
        if self.compress.chosen.is_none() {
            self.compress.chosen = Some(id);
        }
        if self.compress.threads.as_ref().is_some_and(|threads| !threads.runner.run(job))
            && let Some(run) = self.compress.runs.get_mut(id)
        {
            run.state = RunState::Failed(tr!("the thread that does runs has ended: start the program anew"));
        }
    }

    fn take_answer(&mut self, answer: Answer) {
        match answer {
            Answer::Profiling { model, done, of } => {
                if model == self.compress.model && !self.compress.is_ready() {
                    self.compress.profile = ProfileState::Measuring(done, of);
                }
            }
            Answer::Profile { model, profile } => {
                if model != self.compress.model {
                    return;
                }
                self.compress.profile = match profile {
                    Ok(profile) => ProfileState::Ready(profile),
                    Err(reason) => ProfileState::Failed(reason),
                };
                let side = self.compress.side;
                self.share();
                self.compress.side = side;
            }
            Answer::Part { request_id, area, patch, seconds } => {
                let pixels = (area.width * area.height) as f64;
                self.compress.looking.speed = pixels / seconds.max(1e-3);
                self.compress.looking.complaint = None;
                self.paste_pair(request_id, &patch);
            }
            Answer::Cell { request_id, patch, done, of } => {
                if self.compress.looking.whole != Some(request_id) {
                    return;
                }
                self.paste_pair(request_id, &patch);
                let shown = &mut self.compress.shown;
                shown.sums.add(&patch.sums);
                shown.cells = Some((done, of));
                if done == of {
                    shown.numbers = shown.sums.numbers();
                    let pair = shown.pair.clone().map(Box::new);
                    if let Some(document) = &shown.results {
                        let mean = |area: Area| document.proof.as_ref()?.absolute.mean(area);
                        shown.worst = worst(document.result_size(), mean);
                    }
                    // A network made by the slider is timed as well, when there is nothing better to do.
                    if let (Side::Instant, Some(pair), Some(threads), None) =
                        (self.compress.side, pair, &self.compress.threads, self.compress.runs.running())
                    {
                        threads.preview_worker.ask(Question::Latency { run: None, pair });
                    }
                }
            }
            Answer::PreviewFailed { request_id, reason } => {
                self.compress.looking.out.retain(|(other, _)| *other != request_id);
                self.compress.looking.complaint = Some(reason);
            }
            Answer::Latency { run: None, pair, latency } => {
                if self.compress.shown.pair.as_ref() == Some(&pair) {
                    self.compress.shown.latency = Some(latency);
                }
            }
            Answer::Latency { run: Some(run), latency, .. } => {
                if let Some(run) = self.compress.runs.get_mut(run) {
                    // It can be measured again: a folder that cannot be written costs nothing more.
                    let _ = keep_latency(&run.folder, &latency);
                    run.latency = Some(latency);
                }
            }
            Answer::Trouble(reason) => self.shell.toasts.error(reason),
        }
    }

    fn take_promises(&mut self) {
        let mut rest = Vec::new();
        for promise in std::mem::take(&mut self.compress.recalling) {
            match promise.try_take() {
                Ok(found) => self.take_found(found),
                Err(unfinished) => rest.push(unfinished),
            }
        }
        self.compress.recalling.append(&mut rest);
        let mut rest = Vec::new();
        for promise in std::mem::take(&mut self.compress.exporting) {
            match promise.try_take() {
                Ok(Ok(path)) => self.shell.toasts.good(tr!("Exported %{file}", file = path.display())),
                Ok(Err(reason)) => self.shell.toasts.error(reason),
                Err(unfinished) => rest.push(unfinished),
            }
        }
        self.compress.exporting.append(&mut rest);
        if let Some(promise) = self.compress.data.scanning.take() {
            match promise.try_take() {
                Ok(found) => self.compress.data.found = Some(found),
                Err(unfinished) => self.compress.data.scanning = Some(unfinished),
            }
        }
        if let Some(promise) = self.compress.shown.reading.take() {
            match promise.try_take() {
                Ok(Ok((name, subject))) => {
                    self.compress.shown.name = name;
                    self.compress.shown.subject = Some(subject);
                    self.compress.clear_pixels();
                    self.compress.view.fits = true;
                }
                Ok(Err(reason)) => {
                    self.shell.toasts.error(tr!("The picture cannot be compared on: %{reason}", reason = reason));
                    if self.compress.shown.path.take().is_some() && self.compress.shown.subject.is_none() {
                        self.read_compared(None);
                    }
                    if self.compress.shown.name.is_empty() {
                        self.compress.shown.name = tr!("no picture");
                    }
                }
                Err(unfinished) => self.compress.shown.reading = Some(unfinished),
            }
        }
    }

    fn take_found(&mut self, found: Found) {
        for (folder, asked, recalled) in found {
            match recalled {
                Ok(Some(recalled)) => {
                    let known = self.compress.runs.of_folder(&folder);
                    let id = known.unwrap_or_else(|| self.compress.runs.number());
                    if known.is_none() {
                        let (config, original) = (recalled.history.config.clone(), recalled.history.original.clone());
                        let mut run = Run::new(id, folder, original.name.clone(), config, original);
                        run.state = RunState::Stopped;
                        self.compress.runs.add(run);
                    }
                    if let Some(run) = self.compress.runs.get_mut(id)
                        && run.state != RunState::Running
                    {
                        let measured = run.latency.take();
                        run.recall(recalled);
                        run.latency = run.latency.take().or(measured);
                    }
                    if asked {
                        self.shell.tab = Tab::Compress;
                        self.choose_run(id);
                    }
                }
                Ok(None) if asked => {
                    let shown = folder.display();
                    self.shell.toasts.error(tr!("There is no compression run in the folder %{folder}", folder = shown));
                }
                Ok(None) => {}
                Err(reason) => self.shell.toasts.warning(reason),
            }
        }
    }

    /// Has a picture of the window taken for an export of plots, and takes it in.
    fn take_screenshot(&mut self, ctx: &Context) {
        match self.compress.picturing.take() {
            Some(Picturing::Wanted(path)) => {
                let (sender, receiver) = channel();
                ctx.request_screenshot(move |image| {
                    // The window may be gone by then.
                    let _ = sender.send(image);
                });
                ctx.request_repaint();
                self.compress.picturing = Some(Picturing::Asked(path, receiver));
            }
            Some(Picturing::Asked(path, receiver)) => match receiver.try_recv() {
                Ok(image) => {
                    let (part, points) = (self.compress.plots, ctx.pixels_per_point());
                    self.export(path, move |path| super::export::png(&image, part, points, path));
                }
                Err(TryRecvError::Empty) => {
                    ctx.request_repaint();
                    self.compress.picturing = Some(Picturing::Asked(path, receiver));
                }
                Err(TryRecvError::Disconnected) => {
                    self.shell.toasts.error(tr!("this system gives no pictures of the window"));
                }
            },
            None => {}
        }
    }

    /// How likely the widths of a prunable layer are in the chosen run.
    pub(in crate::window) fn alpha_of(&self, unit: usize) -> Option<(&[usize], &[f64])> {
        let Alpha { candidates, probabilities } = self.compress.run()?.alpha.as_ref()?;
        Some((candidates.get(unit)?, probabilities.get(unit)?))
    }
}
