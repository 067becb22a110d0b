//! All results as a table: sorted by the PSNR that is expected of them, or by loop PSNR, doubtful ones are found without
//! looking at all of them.

use eframe::egui::{Align, Button, Context, Id, Layout, Modal, RichText, Ui};
use egui_extras::{Column, TableBuilder};

use super::{decibels, duration, inspector::named, size};
use crate::window::{
    Window,
    actions::Action,
    queue::{Item, ItemId, State},
    theme::palette,
};

/// A column of the table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sorting {
    Name,
    LoopPsnr,
    #[default]
    ExpectedPsnr,
    DualLoss,
    Size,
    Time,
}

const COLUMNS: [(Sorting, &str, &str); 6] = [
    (Sorting::Name, "Picture", "In the order of names"),
    (
        Sorting::LoopPsnr,
        "Consistency PSNR",
        "PSNR between the original and the reconstruction of the result; lowest first",
    ),
    (
        Sorting::ExpectedPsnr,
        "Expected",
        "Predicted PSNR against the true image, from the model's error calibration; lowest first",
    ),
    (Sorting::DualLoss, "Dual loss", "Mean difference between original and reconstruction, in gray levels"),
    (Sorting::Size, "Result", "Size in pixels"),
    (Sorting::Time, "Time", "From file to file"),
];

/// The sheet, while it is open.
pub(crate) fn ui(window: &mut Window, ctx: &Context) {
    let modal = Modal::new(Id::unique("table")).show(ctx, |ui| {
        let room = ctx.content_rect();
        ui.set_width(840.0_f32.min(room.width() - 60.0));
        ui.label(RichText::new("Results").heading());
        ui.add_space(6.0);
        let picked = table(window, ui, room.height() - 180.0);
        ui.add_space(8.0);
        let close = ui
            .horizontal(|ui| {
                let hint = "All results and failures, as with --table on the command line; the least certain first";
                if ui.button("Save as CSV…").on_hover_text(hint).clicked() {
                    window.actions.push(Action::ExportTable);
                    // Where there is no dialog, a path is typed, below this sheet.
                    window.table = false;
                }
                ui.button("Close").clicked()
            })
            .inner;
        (picked, close)
    });
    let (picked, close) = modal.inner;
    if let Some(id) = picked {
        window.actions.push(Action::Select(id));
    }
    if picked.is_some() || close || modal.backdrop_response.clicked() {
        window.table = false;
    }
}

fn table(window: &mut Window, ui: &mut Ui, height: f32) -> Option<ItemId> {
    let rows = sorted(window.queue.items(), window.sorting);
    let colours = palette(ui);
    let mut sorting = window.sorting;
    let mut picked = None;
    TableBuilder::new(ui)
        .striped(true)
        .cell_layout(Layout::left_to_right(Align::Center))
        .column(Column::remainder().clip(true))
        .columns(Column::exact(104.0), COLUMNS.len() - 1)
        .min_scrolled_height(0.0)
        .max_scroll_height(height)
        .header(24.0, |mut header| {
            for (column, label, hint) in COLUMNS {
                header.col(|ui| {
                    let text = if sorting == column { format!("{label} ⏷") } else { label.to_owned() };
                    let button = ui.add(Button::new(RichText::new(text).strong()).frame_when_inactive(false));
                    named(&button, &format!("Sort by {label}"));
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
                    named(&link, &format!("Show {name}"));
                    if link.on_hover_text(item.path.display().to_string()).clicked() {
                        picked = Some(item.id);
                    }
                });
                match &item.state {
                    State::Done(finished) => {
                        let number =
                            |value: Option<f64>, say: &dyn Fn(f64) -> String| value.map_or("–".to_owned(), say);
                        for text in [
                            number(finished.proven.loop_psnr, &decibels),
                            number(finished.proven.expected_psnr, &decibels),
                            number(finished.proven.dual_loss, &|loss| format!("{loss:.2} levels")),
                            size(finished.size),
                            duration(std::time::Duration::from_secs_f64(finished.seconds)),
                        ] {
                            row.col(|ui| drop(ui.label(text)));
                        }
                    }
                    State::Failed(reason) => {
                        row.col(|ui| {
                            ui.label(RichText::new("failed").color(colours.error)).on_hover_text(reason);
                        });
                    }
                    State::Waiting | State::Running(_) | State::Cancelled => {
                        let text = match item.state {
                            State::Waiting => "waits",
                            State::Running(_) => "runs",
                            _ => "cancelled",
                        };
                        row.col(|ui| drop(ui.label(text)));
                    }
                }
            });
        });
    window.sorting = sorting;
    picked
}

/// Failures first, then what is done by the column, then the rest in its order.
fn sorted(items: &[Item], sorting: Sorting) -> Vec<&Item> {
    let mut rows: Vec<&Item> = items.iter().collect();
    let rank = |item: &Item| match &item.state {
        State::Failed(_) => (0, 0.0, 0.0),
        State::Done(finished) => {
            let looped = finished.proven.loop_psnr.unwrap_or(f64::INFINITY);
            let value = match sorting {
                Sorting::Name => 0.0,
                Sorting::LoopPsnr => looped,
                Sorting::ExpectedPsnr => finished.proven.expected_psnr.unwrap_or(f64::INFINITY),
                Sorting::DualLoss => -finished.proven.dual_loss.unwrap_or(0.0),
                Sorting::Size => -((finished.size[0] * finished.size[1]) as f64),
                Sorting::Time => -finished.seconds,
            };
            (1, value, looped)
        }
        _ => (2, 0.0, 0.0),
    };
    rows.sort_by(|a, b| {
        if sorting == Sorting::Name {
            return a.name().cmp(&b.name());
        }
        let ((a_group, a_value, a_loop), (b_group, b_value, b_loop)) = (rank(a), rank(b));
        // What a model without known errors made is told apart by the loop.
        a_group.cmp(&b_group).then(a_value.total_cmp(&b_value)).then(a_loop.total_cmp(&b_loop))
    });
    rows
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::window::queue::{Finished, Proven, Queue};

    #[test]
    fn doubtful_results_come_first() {
        let mut queue = Queue::default();
        let finished = |loop_psnr: f64, seconds: f64| {
            State::Done(Finished {
                output: "out.png".into(),
                size: [2, 2],
                model: "x2".into(),
                device: "CPU".into(),
                seconds,
                // The loop of the one closes worse, the other is expected to be worse.
                proven: Proven {
                    loop_psnr: Some(loop_psnr),
                    dual_loss: Some(1.0),
                    expected_psnr: Some(80.0 - loop_psnr),
                },
            })
        };
        for (name, state) in [
            ("b", finished(50.0, 1.0)),
            ("waiting", State::Waiting),
            ("a", finished(30.0, 2.0)),
            ("bad", State::Failed("why".into())),
        ] {
            let id = queue.add(name.into(), None);
            if let Some(item) = queue.get_mut(id) {
                item.state = state;
            }
        }
        let names = |sorting| sorted(queue.items(), sorting).iter().map(|item| item.name()).collect::<Vec<_>>();
        assert_eq!(names(Sorting::LoopPsnr), ["bad", "a", "b", "waiting"]);
        assert_eq!(names(Sorting::ExpectedPsnr), ["bad", "b", "a", "waiting"]);
        assert_eq!(names(Sorting::Time), ["bad", "a", "b", "waiting"]);
        assert_eq!(names(Sorting::Name), ["a", "b", "bad", "waiting"]);
    }
}
