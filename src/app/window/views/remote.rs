//! Naming a device of another machine.

use eframe::egui::{Context, Grid, Id, Modal, RichText, TextEdit};

use super::{named, primary_button, weak};
use crate::{
    language::tr,
    remotes::Remote,
    window::{actions::Action, new_device::NewDevice, outbox::Outbox, sheet::Sheet, theme::palette},
};

/// The fields, and what they are for.
pub(crate) fn sheet(before: &NewDevice, ctx: &Context, out: &mut Outbox) {
    let mut device = before.clone();
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
    out.change(before, device.clone(), |device| Action::Open(Sheet::NewDevice(device)));
    if adds {
        let token_file = Some(device.token_file.trim()).filter(|file| !file.is_empty()).map(Into::into);
        out.push(Action::AddRemote(Remote { name: device.name, address: device.address, token_file }));
    } else if closes || modal.should_close() {
        out.push(Action::CloseSheet);
    }
}
