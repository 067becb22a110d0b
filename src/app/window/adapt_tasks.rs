//! What an adaptation asks of the window, and what comes of it.

use super::{
    Window,
    adapting::{AdaptAction, Adapting, Running, Wish},
    library_news::Change,
    queue::State,
    sheet::Sheet,
};
use crate::{
    adaptation::Effort,
    built_in,
    language::{tr, translated},
    report,
};

impl Window {
    /// Goes a step on.
    pub(super) fn adapt(&mut self, action: AdaptAction) {
        match (action, std::mem::take(&mut self.upscale.adapting)) {
            (AdaptAction::Ask, Adapting::Idle) => self.ask_adaptation(),
            (AdaptAction::Start, Adapting::Idle) => {
                let Some(Sheet::Adapt(wish)) = self.shell.sheet.take() else { return };
                let places = (self.models.library.clone(), self.services.paths.clone());
                let device = self.shell.settings.choices.device.clone();
                self.upscale.adapting =
                    Adapting::Running(Running::start(places, wish, device, self.services.wake.clone()));
            }
            (AdaptAction::Cancel, Adapting::Running(running)) => {
                running.cancel();
                self.upscale.adapting = Adapting::Running(running);
            }
            (AdaptAction::Keep, Adapting::Offered(offer)) => {
                offer.clear();
                self.change_library(Change::Add(offer.bytes));
            }
            (AdaptAction::Discard, Adapting::Offered(offer)) => {
                offer.clear();
                self.shell.toasts.good(tr!("Discarded; %{name} is unchanged", name = offer.from));
            }
            // It says nothing where it stands now.
            (_, other) => self.upscale.adapting = other,
        }
    }

    fn ask_adaptation(&mut self) {
        let Some((item, open)) =
            self.upscale.selected.and_then(|id| Some((self.upscale.queue.get(id)?, self.upscale.documents.get(id)?)))
        else {
            self.shell.toasts.warning(tr!("Select a photo that is open first"));
            return;
        };
        let choices = &self.shell.settings.choices;
        let model = match choices.automatic {
            true => built_in::fitting(open.fitting.0, self.scale(), &choices.model),
            false => choices.model.clone(),
        };
        let usable = |state: &State| !matches!(state, State::Failed(_));
        let photos: Vec<_> = self
            .upscale
            .queue
            .items()
            .iter()
            .filter(|item| usable(&item.state))
            .map(|item| item.path.clone())
            .collect();
        let shown = (item.id, item.path.clone(), open.picture.clone());
        let name = format!("{model}-adapted");
        let wish = Wish { model, name, effort: Effort::Quick, all: true, photos, shown };
        self.shell.sheet = Some(Sheet::Adapt(wish));
    }

    /// Takes in how far an adaptation is.
    pub(super) fn take_adapted(&mut self) {
        let running = match std::mem::take(&mut self.upscale.adapting) {
            Adapting::Running(running) => running,
            other => {
                self.upscale.adapting = other;
                return;
            }
        };
        running.take_warnings().into_iter().for_each(|text| self.shell.toasts.warning(translated(&text)));
        let name = running.name.clone();
        match running.ended() {
            Err(under_way) => self.upscale.adapting = Adapting::Running(under_way),
            Ok(Ok(Some(offer))) => {
                self.upscale.view.fits = true;
                self.upscale.adapting = Adapting::Offered(offer);
            }
            Ok(Ok(None)) => self.shell.toasts.warning(tr!("Cancelled; the next adaptation to these photos resumes")),
            Ok(Err(error)) => self.shell.toasts.error(format!("{name}: {}", report::message(&error))),
        }
    }
}
