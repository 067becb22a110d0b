//! Workers on further devices: they take pictures from the same queue as the first.

use super::{
    Window,
    helper::{Helper, Place},
    queue::{Failure, ItemId, State},
    worker::{Command, Control, WorkerReport},
};
use crate::language::{tr, translated};

impl Window {
    /// A worker that has no picture to compute. Starts those on further devices that the user wants, and lets those go that are
    /// not wanted any more.
    pub(super) fn idle_place(&mut self) -> Option<Place> {
        self.staff();
        let helped: Vec<ItemId> = self.services.helpers.iter().filter_map(|helper| helper.item).collect();
        let computes = |state: &State| matches!(state, State::Running(progress) if !progress.saving);
        let first_is_busy =
            self.upscale.queue.items().iter().any(|item| computes(&item.state) && !helped.contains(&item.id));
        if !first_is_busy {
            return Some(Place::First);
        }
        // What is halted does not begin anything either.
        if self.services.link.control.is_paused() {
            return None;
        }
        let idle = |helper: &Helper| helper.item.is_none() && !helper.is_out;
        self.services.helpers.iter().position(idle).map(Place::Helper)
    }

    fn staff(&mut self) {
        let chosen = self.device().to_owned();
        let is_there =
            |name: &String| *name != chosen && self.services.devices.iter().any(|device| device.name == *name);
        let wanted: Vec<String> =
            self.shell.settings.choices.more_devices.iter().filter(|name| is_there(name)).cloned().collect();
        let (stay, go): (Vec<_>, Vec<_>) = std::mem::take(&mut self.services.helpers)
            .into_iter()
            .partition(|helper| helper.item.is_some() || wanted.contains(&helper.device));
        self.services.helpers = stay;
        if !go.is_empty() {
            // What they save is waited for by nobody who has something to draw.
            let _ = std::thread::Builder::new().name("old helpers".into()).spawn(move || drop(go));
        }
        for device in wanted {
            if self.services.helpers.iter().any(|helper| helper.device == device) {
                continue;
            }
            match self.start_helper() {
                Ok(link) => self.services.helpers.push(Helper { device, link, item: None, is_out: false }),
                Err(error) => self.shell.toasts.error(tr!(
                    "the system gives no thread for %{device} (%{error})",
                    device = device,
                    error = error
                )),
            }
        }
    }

    /// Gives a picture to a worker.
    pub(super) fn hand_over(&mut self, place: Place, mut command: Command) {
        let Command::Upscale(job) = &mut command else { return };
        let item = job.item;
        match place {
            Place::First => {
                self.services.link.control.allow(item);
                self.send(command);
            }
            Place::Helper(index) => {
                let helper = &mut self.services.helpers[index];
                job.choices.device.clone_from(&helper.device);
                helper.link.control.allow(item);
                helper.item = Some(item);
                if helper.link.commands.send(command).is_err() {
                    self.helper_failed(index, &tr!("its engine is not running"));
                }
            }
        }
    }

    /// Takes in a report of a helper, if there is one.
    pub(super) fn take_helpers_report(&mut self) -> bool {
        let reports = self.services.helpers.iter().enumerate();
        let next = reports.filter_map(|(index, helper)| Some((index, helper.link.reports.try_recv().ok()?))).next();
        let Some((index, report)) = next else { return false };
        let of = self.services.helpers[index].item;
        match report {
            // The picture is left to the others.
            WorkerReport::Failed { failure: Failure { reason, .. }, device_failed: true, .. }
            | WorkerReport::Crashed { reason } => {
                self.helper_failed(index, &translated(&reason));
            }
            report => {
                let ends = match &report {
                    WorkerReport::Computed { item }
                    | WorkerReport::Done { item, .. }
                    | WorkerReport::Failed { item, .. }
                    | WorkerReport::Refused { item, .. }
                    | WorkerReport::Cancelled { item } => Some(*item) == of,
                    _ => false,
                };
                if ends {
                    self.services.helpers[index].item = None;
                }
                self.take_report(report);
            }
        }
        true
    }

    fn helper_failed(&mut self, index: usize, reason: &str) {
        let helper = &mut self.services.helpers[index];
        helper.is_out = true;
        let (device, item) = (helper.device.clone(), helper.item.take());
        self.shell.toasts.warning(tr!(
            "%{device} failed and is left out until the program is started again: %{reason}",
            device = device,
            reason = reason
        ));
        if let Some(item) = item.and_then(|id| self.upscale.queue.get_mut(id)) {
            item.state = State::Waiting;
        }
    }

    /// The controls of all workers.
    pub(super) fn controls(&self) -> impl Iterator<Item = &Control> {
        let helpers = self.services.helpers.iter().map(|helper| &*helper.link.control);
        std::iter::once(&*self.services.link.control).chain(helpers)
    }
}
