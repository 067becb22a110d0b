//! The live preview: what is visible of a picture is upscaled piece by piece, the middle first, and follows pan, zoom, model and
//! fidelity. Nothing of it is saved; a run replaces it. Where there is a result it stands in place of that, for as long as
//! another model is tried.

use crate::{
    batch::choice::{Misfit, beyond_calibration},
    built_in,
    language::tr,
};
use std::time::{Duration, Instant};

use dualres_engine::Area;
use eframe::egui::Context;

use super::{
    Window,
    actions::Tab,
    candidates::middle,
    canvas::view::reduced,
    document::{Document, Patch, ProofPatch},
    open_documents::OpenDocument,
    previewed::Scene,
    queue::{ItemId, State},
    settings::Choices,
    worker::{Command, Preview},
};

/// How long the view rests before work begins: what is on its way elsewhere needs none.
const RESTS: Duration = Duration::from_millis(250);
/// Time that a piece takes, at the model's measured speed.
const SECONDS_A_PIECE: f64 = 0.5;
/// Sides of pieces in pixels of the original.
const SIDES: std::ops::RangeInclusive<usize> = 64..=512;

impl Window {
    /// Forgets what has been previewed: it is no longer shown.
    pub(super) fn restart_preview(&mut self) {
        self.upscale.live.forget();
    }

    /// Goes on with the preview of what is visible.
    pub(super) fn follow_view(&mut self, ctx: &Context) {
        let Some((scene, visible, size)) = self.previewable() else {
            self.upscale.live.rest();
            return;
        };
        let rests = self.upscale.live.see(&scene, visible);
        if rests < RESTS {
            ctx.request_repaint_after(RESTS - rests);
            return;
        }
        if self.upscale.previewing.is_some() {
            return;
        }
        let Some(cell) = self.upscale.live.next() else { return };
        let [x, y] = cell.map(|index| index * scene.side);
        let area = Area { x, y, width: scene.side.min(size[0] - x), height: scene.side.min(size[1] - y) };
        self.ask_preview(scene.item, area);
    }

    /// Asks for the middle of what is visible at once.
    pub(super) fn preview(&mut self) {
        let Some(item) = self.upscale.selected.filter(|id| self.upscale.documents.get(*id).is_some()) else { return };
        match self.upscale.queue.get(item).map(|item| &item.state) {
            Some(State::Done(_)) if self.is_tried(item) => {
                self.end_preview(item);
                return;
            }
            Some(State::Done(_)) if !self.may_be_tried(item) => {
                self.shell.toasts.warning(tr!("The result is by this model. Choose another one to preview it."));
                return;
            }
            Some(State::Done(_)) => self.begin_preview(item),
            Some(State::Running(_)) => {
                self.shell.toasts.warning(tr!("This picture is running: its tiles appear as they are done."));
                return;
            }
            _ => {}
        }
        self.ask_preview_of_middle(item);
    }

    fn ask_preview_of_middle(&mut self, item: ItemId) {
        let Some(open) = self.upscale.documents.get(item) else { return };
        let visible =
            reduced(self.upscale.view.visible(open.shown().result_size(), self.upscale.pane), open.shown().scale);
        let area = middle(visible, self.side());
        if area.width > 0 && area.height > 0 {
            self.ask_preview(item, area);
        }
    }

    fn ask_preview(&mut self, item: ItemId, area: Area) {
        let model = self.preview_model(item);
        let Some(open) = self.upscale.documents.get(item) else { return };
        let choices = Choices { model, ..self.shell.settings.choices.clone() };
        let withholds = self.withheld(item, &choices.model).is_some();
        let input = open.picture.clone();
        let number = self.upscale.live.number;
        self.services.link.control.preview.put(Preview { number, item, input, area, choices, withholds });
        self.send(Command::Preview);
        self.upscale.previewing = Some(Instant::now());
    }

    /// Whether what another model makes of a finished picture is shown in place of its result.
    pub(super) fn is_tried(&self, item: ItemId) -> bool {
        self.upscale.documents.get(item).is_some_and(|open| open.preview.is_some())
    }

    /// Whether a picture is done, by another model than the chosen one.
    pub(super) fn may_be_tried(&self, item: ItemId) -> bool {
        match self.upscale.queue.get(item).map(|item| &item.state) {
            Some(State::Done(finished)) => finished.model != self.preview_model(item),
            _ => false,
        }
    }

    /// Shows what the chosen model makes of a finished picture in place of its result.
    fn begin_preview(&mut self, item: ItemId) {
        self.begin_preview_by(item, None, self.scale());
    }

    /// Shows what the model of a finished picture makes of it at the chosen fidelity, where the network's own result is not in memory.
    pub(super) fn begin_preview_of_fidelity(&mut self, item: ItemId) {
        let Some(State::Done(finished)) = self.upscale.queue.get(item).map(|item| &item.state) else { return };
        let model = finished.model.clone();
        let entry = self.models.entries.iter().find(|entry| entry.name == model);
        let Some(scale) = entry.map(|entry| entry.description.scale()) else { return };
        self.begin_preview_by(item, Some(model), scale);
        if !self.shell.settings.live_preview {
            self.ask_preview_of_middle(item);
        }
    }

    fn begin_preview_by(&mut self, item: ItemId, by: Option<String>, scale: usize) {
        self.upscale.live.forget();
        self.forget_refinement();
        let Some(open) = self.upscale.documents.get_mut(item) else { return };
        let factor = scale as f64 / open.shown().scale as f64;
        open.preview = Some(Document::new(item, scale, open.document.input.clone()));
        open.preview_by = by;
        if self.upscale.selected == Some(item) {
            self.upscale.view.rescale(factor);
        }
    }

    /// Shows the result of a finished picture again.
    pub(super) fn end_preview(&mut self, item: ItemId) {
        let Some(open) = self.upscale.documents.get_mut(item) else { return };
        let Some(preview) = open.preview.take() else { return };
        let factor = open.document.scale as f64 / preview.scale as f64;
        self.upscale.live.forget();
        if self.upscale.selected == Some(item) {
            self.upscale.view.rescale(factor);
        }
    }

    /// Another model was chosen: it is previewed on the selected picture if that is done by another one.
    pub(super) fn preview_choice(&mut self) {
        let Some(item) = self.upscale.selected else { return };
        if let Some(open) = self.upscale.documents.get_mut(item) {
            open.preview_by = None;
        }
        if self.may_be_tried(item) && (self.shell.settings.live_preview || self.is_tried(item)) {
            self.begin_preview(item);
        } else {
            self.end_preview(item);
        }
    }

    /// Takes in a piece of a preview.
    pub(super) fn take_previewed(
        &mut self,
        item: ItemId,
        number: u64,
        scale: usize,
        patch: &Patch,
        proof: Option<&ProofPatch>,
    ) {
        self.upscale.previewing = None;
        if number != self.upscale.live.number {
            return;
        }
        let Some(open) = self.upscale.documents.get_mut(item) else { return };
        let document = match self.upscale.queue.get(item).map(|item| &item.state) {
            Some(State::Done(_)) => open.preview.as_mut(),
            // Its tiles are what is looked at.
            Some(State::Running(_)) | None => None,
            Some(_) => Some(&mut open.document),
        };
        if let Some(document) = document.filter(|document| document.scale == scale) {
            document.paste_result(patch);
            if let Some(proof) = proof {
                document.paste_proof(proof);
            }
        }
    }

    /// The model that a preview of a picture is made by.
    pub(super) fn preview_model(&self, item: ItemId) -> String {
        let choices = &self.shell.settings.choices;
        match self.upscale.documents.get(item) {
            Some(OpenDocument { preview: Some(_), preview_by: Some(model), .. }) => model.clone(),
            Some(open) if choices.automatic => built_in::fitting(open.fitting.0, self.scale(), &choices.model),
            _ => choices.model.clone(),
        }
    }

    /// Why no error of a model's results is predicted for an open picture, if what is known of it says nothing of such pictures.
    pub(super) fn withheld(&self, item: ItemId, model: &str) -> Option<String> {
        let (kind, why) = &self.upscale.documents.get(item)?.fitting;
        let entry = self.models.entries.iter().find(|entry| entry.name == model)?;
        beyond_calibration(&entry.description, (*kind, why))
    }

    /// What comes of a model's not being for such pictures as an open one.
    pub(super) fn misfit(&self, item: ItemId, model: &str) -> Option<Misfit> {
        let (kind, _) = &self.upscale.documents.get(item)?.fitting;
        let entry = self.models.entries.iter().find(|entry| entry.name == model)?;
        Misfit::of(&entry.description, *kind)
    }

    /// The selected picture if it can be previewed: how, which part of it is visible, and its size.
    fn previewable(&self) -> Option<(Scene, Area, [usize; 2])> {
        let item =
            self.upscale.selected.filter(|_| self.shell.settings.live_preview && self.shell.tab == Tab::Upscale)?;
        let waits = matches!(self.upscale.queue.get(item)?.state, State::Waiting | State::Cancelled | State::Moved(_));
        if !(waits || self.is_tried(item))
            || self.upscale.trial.is_some()
            || self.upscale.runs
            || self.upscale.queue.is_busy()
            || self.services.crashed.is_some()
        {
            return None;
        }
        let open = self.upscale.documents.get(item)?;
        let visible =
            reduced(self.upscale.view.visible(open.shown().result_size(), self.upscale.pane), open.shown().scale);
        if visible.width == 0 || visible.height == 0 {
            return None;
        }
        let choices = &self.shell.settings.choices;
        let model = self.preview_model(item);
        let (device, fidelity) = (choices.device.clone(), (choices.fidelity * 100.0).round() as u8);
        let size = [open.picture.width(), open.picture.height()];
        Some((Scene { item, model, device, fidelity, side: self.side() }, visible, size))
    }

    /// Side of a piece in pixels of the original. In coarse steps, so that a speed that is measured anew changes little.
    fn side(&self) -> usize {
        let scale = self.scale();
        let speed = self.speed(&self.shell.settings.choices.model).unwrap_or(0.0);
        let side = (speed * SECONDS_A_PIECE / (scale * scale) as f64).sqrt() as usize;
        1 << side.clamp(*SIDES.start(), *SIDES.end()).ilog2()
    }
}
