//! Naming a device of another machine.

use eframe::egui::{Context, Grid, Id, Modal, RichText, TextEdit};

use super::{named, primary_button, weak};
use crate::{
    language::tr,
    remotes::{self, Remote},
    report,
    window::{Window, theme::palette, worker::Command},
};

/// The fields, and what they are for.
pub(crate) fn sheet(window: &mut Window, ctx: &Context) {
    let Some(device) = &mut window.shell.new_device else { return };
    let (mut adds, mut closes) = (false, false);
    let modal = Modal::new(Id::unique("remote device")).show(ctx, |ui| {
        ui.set_width(520.0_f32.min(ctx.content_rect().width() - 60.0));
        ui.label(RichText::new(tr!("Add remote device")).heading());
        ui.add_space(4.0);
        weak(
            ui,
            tr!("Run `dualres serve` on the other machine. It prints an address and the name of a token file; copy \
                 that file to this computer. Images are then sent there to be computed."),
        );
        ui.add_space(8.0);
        Grid::new("remote device").num_columns(2).spacing([16.0, 8.0]).show(ui, |ui| {
            let fields = [
                (tr!("Name"), tr!("workshop"), &mut device.name),
                (tr!("Address"), tr!("what dualres serve printed"), &mut device.address),
                (tr!("Token file"), tr!("path on this computer"), &mut device.token_file),
            ];
            for (label, hint, value) in fields {
                ui.label(&label);
                let field = ui.add(TextEdit::singleline(value).hint_text(hint).desired_width(380.0));
                named(&field, &label);
                ui.end_row();
            }
        });
        if let Some(complaint) = &device.complaint {
            ui.add_space(4.0);
            ui.label(RichText::new(complaint).small().color(palette(ui).error));
        }
        ui.add_space(10.0);
        ui.horizontal(|ui| {
            let is_whole = !device.name.trim().is_empty() && !device.address.trim().is_empty();
            adds = ui.add_enabled_ui(is_whole, |ui| primary_button(ui, &tr!("Add"), 90.0)).inner.clicked();
            closes = ui.button(tr!("Cancel")).clicked();
        });
    });
    if adds {
        let token_file = Some(device.token_file.trim()).filter(|file| !file.is_empty()).map(Into::into);
        let remote = Remote { name: device.name.clone(), address: device.address.clone(), token_file };
        match remotes::add(&window.services.paths, remote) {
            Ok(()) => {
                window.shell.settings.choices.device = device.name.trim().to_owned();
                window.shell.new_device = None;
                window.send(Command::Devices);
            }
            Err(error) => device.complaint = Some(report::message(&error)),
        }
    } else if closes || modal.should_close() {
        window.shell.new_device = None;
    }
}
