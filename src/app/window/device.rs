//! The device that networks run on: which it is, what it may use, and how fast models are on it.

use super::{
    Window,
    app::speed_key,
    sheet::Sheet,
    worker::{Command, Comparison, Link},
};
use crate::{
    library::Entry,
    remotes::{self, Remote},
    report,
};

impl Window {
    /// Has GPUs use no more memory than was chosen, from the next picture on.
    pub(super) fn limit_gpu_memory(&mut self) {
        let gigabytes = u64::from(self.shell.settings.choices.gpu_memory);
        dualres_network::device::limit_memory((gigabytes > 0).then_some(gigabytes * 1_000_000_000));
        self.send(Command::Forget);
    }

    /// The device that the chosen one stands for.
    pub(super) fn device(&self) -> &str {
        let chosen = &self.shell.settings.choices.device;
        match &self.services.using {
            Some((wanted, device)) if wanted == chosen => device,
            _ if chosen == "auto" => &self.services.automatic,
            _ => chosen,
        }
    }

    /// The device that was chosen and is not used, because it failed its check.
    pub(super) fn refused_device(&self) -> Option<&str> {
        let chosen = &self.shell.settings.choices.device;
        let named = if chosen == "auto" { &self.services.automatic } else { chosen };
        let (_, used) = self.services.using.as_ref().filter(|(wanted, _)| wanted == chosen)?;
        (used != named).then_some(named)
    }

    /// Has the chosen device checked again, and pictures run on it if it is right now.
    pub(super) fn check_device_again(&mut self) {
        self.send(Command::ForgetChecks { device: self.shell.settings.choices.device.clone() });
        (self.services.using, self.services.unmeasurable) = (None, None);
        // Measuring brings the model to the device, which checks it.
        let (model, device) = (self.shell.settings.choices.model.clone(), self.shell.settings.choices.device.clone());
        self.services.measuring = true;
        self.send(Command::Measure { model, device });
    }

    /// Adds a device of another machine and chooses it; what is wrong with it is told on its sheet.
    pub(super) fn add_remote(&mut self, remote: Remote) {
        let name = remote.name.trim().to_owned();
        match remotes::add(&self.services.paths, remote) {
            Ok(()) => {
                self.shell.settings.choices.device = name;
                self.shell.sheet = None;
                self.send(Command::Devices);
            }
            Err(error) => {
                if let Some(Sheet::NewDevice(device)) = &mut self.shell.sheet {
                    device.complaint = Some(report::message(&error));
                }
            }
        }
    }

    /// Whether a device that takes pictures of the queue is another machine's.
    pub(super) fn sends_pictures_away(&self) -> bool {
        let choices = &self.shell.settings.choices;
        let takes_some = |name: &String| *name == choices.device || choices.more_devices.contains(name);
        self.services.devices.iter().any(|device| device.is_remote && takes_some(&device.name))
    }

    /// Measured speed of a model on the chosen device, in output pixels a second.
    pub(super) fn speed(&self, model: &str) -> Option<f64> {
        self.shell.settings.speeds.get(&speed_key(model, self.device())).copied()
    }

    /// Has the chosen model measured if it never was on this device.
    pub(super) fn measure(&mut self) {
        if self.services.unmeasurable.as_ref().is_some_and(|choices| {
            (&choices.model, &choices.device)
                == (&self.shell.settings.choices.model, &self.shell.settings.choices.device)
        }) {
            return;
        }
        let (chosen, device) = (self.shell.settings.choices.model.clone(), self.shell.settings.choices.device.clone());
        if self.services.measuring {
            return;
        }
        if self.speed(&chosen).is_none() {
            self.services.measuring = true;
            self.send(Command::Measure { model: chosen, device });
            return;
        }
        // How much faster a compressed model is than the one it was made from, is what it is for.
        let original = self.model().and_then(Entry::compressed_from).map(str::to_owned);
        let original = original.filter(|name| self.models.entries.iter().any(|entry| entry.name == *name));
        if let Some(original) =
            original.filter(|_| !self.shell.settings.faster.contains_key(&speed_key(&chosen, self.device())))
        {
            self.services.measuring = true;
            self.send(Command::Compare(Box::new(Comparison::of_models([original, chosen], device))));
        }
    }

    /// Another worker, for a further device.
    pub(super) fn start_helper(&self) -> std::io::Result<Link> {
        (self.services.start_worker)(self.services.wake.clone())
    }
}
