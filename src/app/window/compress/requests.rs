//! Which pixels of which networks are to be seen, and what comes of asking for them.

use dualres_compression::ORIGINAL_FILE;
use dualres_engine::Area;

use super::{
    judge::{PairPatch, Two},
    questions::{Original, Pair, PreviewRequest, Question, Small},
    runs::Run,
    state::{Page, ProfileState, Side},
};
use crate::{
    language::tr,
    window::{
        Window,
        canvas::view::reduced,
        document::{Document, ProofPatch},
    },
};

/// Seconds that a part of a picture may take to follow the slider.
const PROMPT: f64 = 0.3;
/// Sides of such parts in pixels of the input.
const SIDES: std::ops::RangeInclusive<f64> = 48.0..=512.0;
/// Pixels of input up to which the whole picture is judged unasked.
const SMALL: usize = 400_000;
/// Pixels of results up to which a whole picture can be judged: three pyramids of it are in memory.
const MAX_PIXELS: usize = 120_000_000;

impl Window {
    /// Puts pixels of two networks on the canvas.
    pub(super) fn paste_pair(&mut self, request_id: u64, patch: &PairPatch) {
        let looking = &mut self.compress.looking;
        let Some(pair) = looking.out.iter().find(|(other, _)| *other == request_id).map(|(_, pair)| pair.clone())
        else {
            return;
        };
        // What was asked for before this is of no interest any more.
        looking.out.retain(|(other, _)| *other >= request_id);
        let shown = &mut self.compress.shown;
        // What was drawn last stays until its successor is there.
        shown.pair = Some(pair);
        if let Some(results) = &mut shown.results {
            paste(results, &patch.results);
        }
        if let (Some(backs), Some(two)) = (&mut shown.backs, &patch.backs) {
            paste(backs, two);
        }
    }

    /// The networks of a run.
    pub(in crate::window) fn pair_of(&self, run: &Run) -> Pair {
        Pair {
            original: Original::File(run.folder.join(ORIGINAL_FILE)),
            small: Small::File(Self::result_file(run)),
            device: self.shell.settings.choices.device.clone(),
        }
    }

    /// The networks that are to be seen.
    pub(super) fn wanted_pair(&self) -> Option<Pair> {
        match self.compress.side {
            Side::Run(id) => {
                let run = self.compress.runs.get(id).filter(|run| run.report.is_some())?;
                Some(self.pair_of(run))
            }
            Side::Instant => {
                let ProfileState::Ready(profile) = &self.compress.profile else { return None };
                Some(Pair {
                    original: Original::Named(self.compress.model.clone()),
                    small: Small::Instant(profile.clone(), self.compress.width_editor.widths.clone()),
                    device: self.shell.settings.choices.device.clone(),
                })
            }
        }
    }

    /// Asks for the visible part by the networks that are to be seen, and for the whole of a small picture when there is
    /// nothing else to do.
    pub(super) fn ask_for_pixels(&mut self) {
        if self.compress.page != Page::Picture {
            return;
        }
        let (Some(pair), Some(subject)) = (self.wanted_pair(), self.compress.shown.subject.clone()) else { return };
        if self.compress.shown.reading.is_some() || self.compress.shown.scale != self.compared_scale() {
            return;
        }
        let visible = self.visible_input([subject.input.width(), subject.input.height()]);
        let area = self.promptly(visible);
        let asked = &self.compress.looking.asked;
        let changed = asked.as_ref().is_none_or(|(other, _)| *other != pair);
        if changed {
            self.compress.clear_numbers();
            if self.compress.looking.whole.take().is_some()
                && let Some(threads) = &self.compress.threads
            {
                threads.preview_worker.ask(Question::Leave);
            }
        }
        let moved = asked_area_differs(&self.compress.looking.asked, &visible);
        let looking = &mut self.compress.looking;
        // A whole picture brings every part of it; a part that is under way is left for another one in sight.
        let whole = looking.whole.is_some() && self.compress.shown.is_whole;
        if (changed || (moved && !whole)) && area.width > 0 && area.height > 0 {
            if looking.whole.take().is_some()
                && let Some(threads) = &self.compress.threads
            {
                threads.preview_worker.ask(Question::Leave);
            }
            let looking = &mut self.compress.looking;
            looking.request_id += 1;
            let request_id = looking.request_id;
            looking.out.push((request_id, pair.clone()));
            looking.asked = Some((pair.clone(), visible));
            let look = PreviewRequest { request_id, pair, subject, area };
            if let Some(threads) = self.threads() {
                threads.preview_worker.look(look);
            }
        } else if !changed && looking.whole.is_none() && self.compress.shown.pair.as_ref() == Some(&pair) {
            // The rest of what is in sight; all of it, if it is not much.
            let (width, height) = (subject.input.width(), subject.input.height());
            let whole = Area { x: 0, y: 0, width, height };
            let area = if width * height <= SMALL { whole } else { self.visible_input([width, height]) };
            self.judge(area);
        }
    }

    /// Has the whole picture compared by the networks in sight.
    pub(in crate::window) fn judge_whole(&mut self) {
        let Some(subject) = self.compress.shown.subject.clone() else { return };
        let (width, height) = (subject.input.width(), subject.input.height());
        let scale = self.compress.shown.scale;
        if width * height * scale * scale > MAX_PIXELS {
            self.shell.toasts.warning(tr!("This picture is too large to compare as a whole; zoom in to compare parts"));
            return;
        }
        self.judge(Area { x: 0, y: 0, width, height });
    }

    /// Has an area of the input compared by the networks in sight, cell by cell.
    fn judge(&mut self, area: Area) {
        let (Some(pair), Some(subject)) = (self.wanted_pair(), self.compress.shown.subject.clone()) else { return };
        self.compress.clear_numbers();
        self.compress.shown.is_whole = [area.width, area.height] == [subject.input.width(), subject.input.height()];
        let looking = &mut self.compress.looking;
        looking.request_id += 1;
        let request_id = looking.request_id;
        looking.out.push((request_id, pair.clone()));
        looking.whole = Some(request_id);
        self.compress.shown.cells = Some((0, 1));
        let look = PreviewRequest { request_id, pair, subject, area };
        if let Some(threads) = self.threads() {
            threads.preview_worker.ask(Question::Whole(Box::new(look)));
        }
    }

    /// What is visible of an input of `size`, in its pixels.
    fn visible_input(&self, size: [usize; 2]) -> Area {
        let scale = self.compress.shown.scale;
        let (shown, factor) =
            if self.compress.reconstructions { (size, 1) } else { (size.map(|side| side * scale), scale) };
        reduced(self.compress.view.visible(shown, self.compress.pane), factor)
    }

    /// The middle of what is visible, as much as is prompt.
    fn promptly(&self, visible: Area) -> Area {
        let side = (self.compress.looking.speed * PROMPT).sqrt().clamp(*SIDES.start(), *SIDES.end());
        // A power of two: it does not change with every answer's time.
        let side = 1_usize << (side as usize).ilog2();
        let [width, height] = [visible.width.min(side), visible.height.min(side)];
        Area { x: visible.x + (visible.width - width) / 2, y: visible.y + (visible.height - height) / 2, width, height }
    }
}

fn asked_area_differs(asked: &Option<(Pair, Area)>, area: &Area) -> bool {
    asked.as_ref().is_none_or(|(_, other)| other != area)
}

fn paste(document: &mut Document, two: &Two) {
    document.paste_input(&two.large);
    document.paste_result(&two.small);
    document.paste_proof(&ProofPatch {
        dual: two.small.clone(),
        absolute: two.absolute.clone(),
        luma: two.luma.clone(),
        // Neither network is the truth.
        structure: two.absolute.clone(),
        expected: None,
    });
}
