//! What an adaptation asks of the window, and what comes of it.

use super::{
    Window,
    adapting::{Adapting, Deed, Running, Wish},
    library_news::Change,
    queue::State,
};
use crate::{
    adaptation::Effort,
    built_in,
    language::{tr, translated},
    report,
};

impl Window {
    /// Goes a step on.
    pub(super) fn adapt(&mut self, deed: Deed) {
        match (deed, std::mem::take(&mut self.adapting)) {
            (Deed::Ask, Adapting::Idle) => self.ask_adaptation(),
            (Deed::Start, Adapting::Asking(wish)) => {
                let places = (self.library.clone(), self.paths.clone());
                let device = self.settings.choices.device.clone();
                self.adapting = Adapting::Running(Running::start(places, wish, device, self.wake.clone()));
            }
            (Deed::Cancel, Adapting::Running(running)) => {
                running.cancel();
                self.adapting = Adapting::Running(running);
            }
            (Deed::Keep, Adapting::Offered(offer)) => {
                offer.clear();
                self.change_library(Change::Add(offer.bytes));
            }
            (Deed::Discard, Adapting::Offered(offer)) => {
                offer.clear();
                self.toasts.good(tr!("Discarded; %{name} is unchanged", name = offer.from));
            }
            (Deed::Cancel | Deed::Discard, Adapting::Asking(_)) => {}
            // It says nothing where it stands now.
            (_, other) => self.adapting = other,
        }
    }

    fn ask_adaptation(&mut self) {
        let Some((item, open)) = self.selected.and_then(|id| Some((self.queue.get(id)?, self.documents.get(id)?)))
        else {
            self.toasts.warning(tr!("Select a photo that is open first"));
            return;
        };
        let choices = &self.settings.choices;
        let model = match choices.automatic {
            true => built_in::fitting(open.fitting.0, self.scale(), &choices.model),
            false => choices.model.clone(),
        };
        let usable = |state: &State| !matches!(state, State::Failed(_));
        let photos: Vec<_> =
            self.queue.items().iter().filter(|item| usable(&item.state)).map(|item| item.path.clone()).collect();
        let shown = (item.id, item.path.clone(), open.picture.clone());
        let name = format!("{model}-adapted");
        self.adapting = Adapting::Asking(Wish { model, name, effort: Effort::Quick, all: true, photos, shown });
    }

    /// Takes in how far an adaptation is.
    pub(super) fn take_adapted(&mut self) {
        let running = match std::mem::take(&mut self.adapting) {
            Adapting::Running(running) => running,
            other => {
                self.adapting = other;
                return;
            }
        };
        running.take_warnings().into_iter().for_each(|text| self.toasts.warning(translated(&text)));
        let name = running.name.clone();
        match running.ended() {
            Err(under_way) => self.adapting = Adapting::Running(under_way),
            Ok(Ok(Some(offer))) => {
                self.view.fits = true;
                self.adapting = Adapting::Offered(offer);
            }
            Ok(Ok(None)) => self.toasts.warning(tr!("Cancelled; the next adaptation to these photos resumes")),
            Ok(Err(error)) => self.toasts.error(format!("{name}: {}", report::message(&error))),
        }
    }
}
