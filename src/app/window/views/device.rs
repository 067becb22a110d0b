//! The choice of the device, and of those that share the queue with it.

use eframe::egui::{Button, ComboBox, Ui};

use super::{heading, named, weak};
use crate::{
    language::tr,
    window::{Window, actions::Action, new_device::NewDevice, outbox::Outbox, sheet::Sheet, theme::palette},
};

/// The device that is chosen, and what it may use.
pub(super) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    chosen(window, ui, out);
    gpu_memory(window, ui, out);
    more_devices(window, ui, out);
}

/// The choice alone.
pub(crate) fn chosen(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    heading(ui, &tr!("Device"));
    let chosen = window.shell.settings.choices.device.clone();
    let automatic = tr!("Automatic (%{device})", device = window.services.automatic);
    let mut picked = None;
    let text = if chosen == "auto" { automatic.clone() } else { chosen.clone() };
    let width = ui.available_width();
    let combo = ComboBox::from_id_salt("device").width(width).selected_text(text).truncate().show_ui(ui, |ui| {
        if ui.selectable_label(chosen == "auto", automatic).clicked() {
            picked = Some("auto".to_owned());
        }
        for device in &window.services.devices {
            if ui.selectable_label(device.name == chosen, &device.name).on_hover_text(&device.detail).clicked() {
                picked = Some(device.name.clone());
            }
        }
        if cfg!(feature = "remote") {
            ui.separator();
            let hint = tr!("A device that another machine offers by `dualres serve`");
            if ui.selectable_label(false, tr!("Add remote device…")).on_hover_text(hint).clicked() {
                out.push(Action::Open(Sheet::NewDevice(NewDevice::default())));
            }
        }
    });
    named(&combo.response, &tr!("Device"));
    out.extend(picked.map(Action::SetDevice));
    if let Some(name) = window.refused_device().map(str::to_owned) {
        ui.horizontal_wrapped(|ui| {
            let warning = tr!("%{name} failed its check. The CPU works in its place.", name = name);
            ui.colored_label(palette(ui).warning, warning);
            let hint =
                tr!("Runs a picture made for it on the device and on the CPU, and compares; after a new driver, say");
            let may = !window.services.measuring && window.upscale.queue.running().is_none();
            if ui.add_enabled(may, Button::new(tr!("Check again"))).on_hover_text(hint).clicked() {
                out.push(Action::CheckDeviceAgain);
            }
        });
    }
}

/// How much memory a GPU may be asked for: others may need theirs at the same time.
fn gpu_memory(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    const CHOICES: [u32; 6] = [0, 1, 2, 4, 8, 16];
    let device = window.device();
    if !window.services.devices.iter().any(|known| known.name == device && !known.is_cpu && !known.is_remote) {
        return;
    }
    let text = |gigabytes: u32| match gigabytes {
        0 => tr!("as much as it needs"),
        most => tr!("at most %{most} GB", most = most),
    };
    let before = &window.shell.settings.choices;
    let mut choices = before.clone();
    ui.horizontal(|ui| {
        weak(ui, tr!("GPU memory"));
        let chosen = &mut choices.gpu_memory;
        let combo = ComboBox::from_id_salt("gpu memory").selected_text(text(*chosen)).show_ui(ui, |ui| {
            for choice in CHOICES {
                ui.selectable_value(chosen, choice, text(choice));
            }
        });
        named(&combo.response, &tr!("GPU memory"));
    });
    out.change(before, choices, |choices| Action::Choose(Box::new(choices)));
}

/// Devices that could take pictures of the queue beside the chosen one.
fn more_devices(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    let chosen = window.device().to_owned();
    let others: Vec<String> = window
        .services
        .devices
        .iter()
        .filter(|device| device.name != chosen && !device.is_software)
        .map(|device| device.name.clone())
        .collect();
    if others.is_empty() {
        return;
    }
    ui.horizontal_wrapped(|ui| {
        weak(ui, tr!("Share the queue with"));
        for name in others {
            let mut on = window.shell.settings.choices.more_devices.contains(&name);
            let hint = tr!("Takes pictures of its own from the queue");
            if ui.checkbox(&mut on, &name).on_hover_text(hint).changed() {
                let mut choices = window.shell.settings.choices.clone();
                choices.more_devices.retain(|there| *there != name);
                if on {
                    choices.more_devices.push(name);
                }
                out.push(Action::Choose(Box::new(choices)));
            }
        }
    });
}
