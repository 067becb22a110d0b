//! All results as a table: sorted by the PSNR that is expected of them, or by consistency PSNR, doubtful ones are found without
//! looking at all of them.

use eframe::egui::{Align, Button, Context, Id, Layout, Modal, RichText, Ui};
use egui_extras::{Column, TableBuilder};

use super::{decibels, duration, fitting_text, named, size};
use crate::{
    language::{number, tr, translated},
    window::{
        Window,
        actions::Action,
        outbox::Outbox,
        queue::{ItemId, State},
        sorting::{Sorting, sorted},
    },
};

fn columns() -> [(Sorting, String, String); 6] {
    [
        (Sorting::Name, tr!("Picture"), tr!("In the order of names")),
        (
            Sorting::LoopPsnr,
            tr!("Consistency PSNR"),
            tr!("PSNR between the original and the reconstruction of the result; lowest first"),
        ),
        (
            Sorting::ExpectedPsnr,
            tr!("Predicted"),
            tr!("Predicted PSNR against the true image, from the model's error calibration; lowest first"),
        ),
        (
            Sorting::DualLoss,
            tr!("Dual loss"),
            tr!("Mean difference between original and reconstruction, in gray levels"),
        ),
        (Sorting::Size, tr!("Result"), tr!("Size in pixels")),
        (Sorting::Time, tr!("Time"), tr!("From file to file")),
    ]
}

/// The sheet, while it is open.
pub(crate) fn ui(window: &Window, ctx: &Context, out: &mut Outbox) {
    let modal = Modal::new(Id::unique("table")).show(ctx, |ui| {
        let room = ctx.content_rect();
        ui.set_width(840.0_f32.min(room.width() - 60.0));
        ui.label(RichText::new(tr!("Results")).heading());
        ui.add_space(6.0);
        let picked = table(window, ui, out, room.height() - 180.0);
        ui.add_space(8.0);
        let close = ui
            .horizontal(|ui| {
                let hint = tr!("All results and failures, the least certain first");
                if ui.button(tr!("Save as CSV…")).on_hover_text(hint).clicked() {
                    // Where there is no dialog, a path is typed, in place of this sheet.
                    out.push(Action::CloseSheet);
                    out.push(Action::ExportTable);
                }
                ui.button(tr!("Close")).clicked()
            })
            .inner;
        (picked, close)
    });
    let (picked, close) = modal.inner;
    if let Some(id) = picked {
        out.push(Action::Select(id));
    }
    if picked.is_some() || close || modal.backdrop_response.clicked() {
        out.push(Action::CloseSheet);
    }
}

fn table(window: &Window, ui: &mut Ui, out: &mut Outbox, height: f32) -> Option<ItemId> {
    let rows = sorted(window.upscale.queue.items(), window.upscale.sorting);
    let columns = columns();
    let mut sorting = window.upscale.sorting;
    let mut picked = None;
    TableBuilder::new(ui)
        .striped(true)
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::remainder().clip(true))
        .column(Column::exact(130.0).clip(true))
        .columns(Column::exact(104.0), columns.len() - 1)
        .min_scrolled_height(0.0)
        .max_scroll_height(height)
        .header(24.0, |mut header| {
            for (index, (column, label, hint)) in columns.into_iter().enumerate() {
                if index == 1 {
                    header.col(|ui| drop(ui.label(RichText::new(tr!("State")).strong())));
                }
                header.col(|ui| {
                    let text = if sorting == column { format!("{label} ⏷") } else { label.clone() };
                    let text = fitting_text(ui, &text, ui.available_width()).strong();
                    let button = ui.add(Button::new(text).frame_when_inactive(false));
                    named(&button, &tr!("Sort by %{column}", column = label));
                    if button.on_hover_text(hint).clicked() {
                        sorting = column;
                    }
                });
            }
        })
        .body(|body| {
            body.rows(24.0, rows.len(), |mut row| {
                let item = rows[row.index()];
                row.col(|ui| {
                    let name = item.name();
                    let link = ui.add(Button::new(&name).frame_when_inactive(false).truncate());
                    named(&link, &tr!("Show %{name}", name = name));
                    if link.on_hover_text(item.path.display().to_string()).clicked() {
                        picked = Some(item.id);
                    }
                });
                let (state, hint) = state_of(&item.state);
                row.col(|ui| {
                    let label = ui.add(eframe::egui::Label::new(state).truncate());
                    label.on_hover_text(hint);
                });
                let told = |value: Option<f64>, say: &dyn Fn(f64) -> String| value.map_or("–".to_owned(), say);
                let numbers = match &item.state {
                    State::Done(finished) => [
                        told(finished.proven.loop_psnr, &decibels),
                        told(finished.proven.expected_psnr, &decibels),
                        told(finished.proven.dual_loss, &|loss| tr!("%{loss} levels", loss = number(loss, 2))),
                        size(finished.size),
                        duration(std::time::Duration::from_secs_f64(finished.seconds)),
                    ],
                    _ => Default::default(),
                };
                for text in numbers {
                    row.col(|ui| drop(ui.label(text)));
                }
            });
        });
    out.change(&window.upscale.sorting, sorting, Action::SortResults);
    picked
}

/// What became of a picture, and more of it.
fn state_of(state: &State) -> (String, String) {
    match state {
        State::Done(finished) => {
            let verdict = finished.proven.verdict(&finished.model);
            verdict.map_or((tr!("done"), String::new()), |verdict| (verdict.words(), verdict.reason()))
        }
        State::Failed(failure) => (tr!("failed"), translated(&failure.reason)),
        State::Waiting => (tr!("waiting"), String::new()),
        State::Running(_) => (tr!("runs"), String::new()),
        State::Moved(_) => (tr!("its result was moved or deleted"), String::new()),
        State::Cancelled => (tr!("cancelled"), String::new()),
    }
}
