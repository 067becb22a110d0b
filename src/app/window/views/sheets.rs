//! What lies over the window: keys, about, typing a path, and an engine that failed.

use std::path::Path;

use eframe::egui::{Button, Context, Grid, Id, Key, Modal, RichText, ScrollArea, TextEdit, Ui};

use super::weak;
use crate::{
    language::{tr, tr_counted, translated},
    window::{
        Window,
        actions::{Action, BINDINGS},
        dialogs::Purpose,
        leaving::Leaving,
        outbox::Outbox,
        queue::{ItemId, State},
        sheet::Sheet,
        theme::palette,
    },
};

/// Names, versions and licences of everything inside the program.
static LICENCES: &str = include_str!("../../../../assets/licences.txt");

pub(crate) fn ui(window: &Window, ctx: &Context, out: &mut Outbox) {
    match (&window.shell.sheet, &window.services.crashed) {
        (Some(Sheet::Closing), _) => closing(window, ctx, out),
        (_, Some(reason)) => crashed(window, ctx, out, reason),
        (None, _) => waiting_dialog(window, ctx, out),
        (Some(Sheet::Keys), _) => sheet(ctx, out, "help", 700.0, help),
        (Some(Sheet::About), _) => sheet(ctx, out, "about", 560.0, about),
        (Some(Sheet::Table), _) => super::table::ui(window, ctx, out),
        (Some(Sheet::Replace(item, path)), _) => replace(*item, path, ctx, out),
        (Some(Sheet::DeleteRun(run)), _) => super::compress::sheet(window, *run, ctx, out),
        (Some(Sheet::Adapt(wish)), _) => super::adapting::sheet(window, wish, ctx, out),
        (Some(Sheet::NewDevice(device)), _) => super::remote::sheet(device, ctx, out),
        (Some(Sheet::Path { purpose, text, began }), _) => type_path(purpose, text, *began, ctx, out),
    }
}

fn sheet(ctx: &Context, out: &mut Outbox, id: &str, width: f32, content: impl FnOnce(&mut Ui)) {
    let modal = Modal::new(Id::unique(id)).show(ctx, |ui| {
        ui.set_width(width.min(ctx.content_rect().width() - 60.0));
        content(ui);
        ui.add_space(8.0);
        ui.vertical_centered(|ui| ui.button(tr!("Close")).clicked()).inner
    });
    if modal.inner || modal.backdrop_response.clicked() {
        out.push(Action::CloseSheet);
    }
}

fn help(ui: &mut Ui) {
    ui.label(RichText::new(tr!("Keys")).heading());
    ui.add_space(6.0);
    ui.spacing_mut().interact_size.y = 15.0;
    let height = ui.ctx().content_rect().height() - 150.0;
    ScrollArea::vertical().max_height(height).show(ui, |ui| {
        ui.columns(2, |columns| {
            for (column, groups) in
                columns.iter_mut().zip([&["Pictures", "Queue", "Window"][..], &["Canvas", "Choices", "Compress"][..]])
            {
                for group in groups {
                    key_group(column, group);
                }
            }
            let extra = [
                (tr!("Wheel"), tr!("Zoom")),
                (tr!("Drag"), tr!("Move the picture, or the split line")),
                (tr!("Double click"), tr!("Fit, or 1:1")),
                (tr!("Space"), tr!("Hold to see the original")),
                (key_names("Ctrl+V"), tr!("Paste a picture or a path")),
            ];
            Grid::new("mouse").num_columns(2).spacing([14.0, 3.0]).show(&mut columns[1], |ui| {
                for (key, what) in extra {
                    key_row(ui, &key, &what);
                }
            });
        });
    });
}

/// Room for the names of keys, in points.
const KEYS: f32 = 130.0;

fn key_group(ui: &mut Ui, group: &str) {
    ui.label(RichText::new(translated(group)).strong().color(palette(ui).accent));
    // What does not fit beside its keys goes on below.
    let most = (ui.available_width() - KEYS).max(80.0);
    Grid::new(("keys", group)).num_columns(2).spacing([14.0, 3.0]).max_col_width(most).show(ui, |ui| {
        let mut said: Vec<&str> = Vec::new();
        for binding in BINDINGS.iter().filter(|binding| binding.group == group) {
            // One line for what several keys do.
            if said.contains(&binding.label) {
                continue;
            }
            said.push(binding.label);
            let names = BINDINGS
                .iter()
                .filter(|other| other.group == group && other.label == binding.label)
                .flat_map(|other| other.keys)
                .map(|shortcut| key_names(&ui.ctx().format_shortcut(shortcut)));
            let names: Vec<String> = names.collect();
            key_row(ui, &names.join("  "), &translated(binding.label));
        }
    });
    ui.add_space(8.0);
}

/// What a keyboard of the language says on a key that has more than a sign on it.
fn key_name(name: &str) -> String {
    match name {
        "Ctrl" => tr!("Ctrl"),
        "Shift" => tr!("Shift"),
        "Alt" => tr!("Alt"),
        "Enter" => tr!("Enter"),
        "Delete" => tr!("Del"),
        "Escape" => tr!("Escape"),
        "Left" => tr!("Left"),
        "Right" => tr!("Right"),
        "Up" => tr!("Up"),
        "Down" => tr!("Down"),
        "PageUp" => tr!("PageUp"),
        "PageDown" => tr!("PageDown"),
        sign => sign.to_owned(),
    }
}

/// Keys as they are printed on a keyboard.
fn key_names(text: &str) -> String {
    let text = text.split('+').map(key_name).collect::<Vec<_>>().join("+");
    [
        ("OpenBracket", "["),
        ("CloseBracket", "]"),
        ("Comma", ","),
        ("Period", "."),
        ("Plus", "+"),
        ("Equals", "="),
        ("Minus", "-"),
        ("Questionmark", "?"),
    ]
    .iter()
    .fold(text, |text, (name, sign)| text.replace(name, sign))
}

fn key_row(ui: &mut Ui, keys: &str, what: &str) {
    ui.label(RichText::new(keys).monospace());
    ui.label(what);
    ui.end_row();
}

fn about(ui: &mut Ui) {
    ui.label(RichText::new("Dualres").heading());
    ui.label(tr!(
        "Version %{version}. Upscale photos and see where the result stays true to them.",
        version = env!("CARGO_PKG_VERSION")
    ));
    ui.add_space(6.0);
    ui.label(tr!(
        "The result goes back through a learned downsampler and is compared with your picture. Where the two agree, \
         the result keeps to the picture; where they do not, it changed something: photo models take noise away, anything \
         else was invented."
    ));
    ui.add_space(6.0);
    weak(
        ui,
        tr!("Method: Guo et al., \"Closed-loop Matters\" (CVPR 2020) and \"Towards Lightweight Super-Resolution with \
             Dual Regression Learning\" (TPAMI 2024). Program and models under MIT or Apache-2.0. Images stay on this \
             computer unless you choose a remote device."),
    );
    ui.add_space(8.0);
    ui.label(RichText::new(tr!("Inside the program")).strong());
    ScrollArea::vertical().max_height(220.0).auto_shrink([false, true]).show(ui, |ui| {
        ui.label(RichText::new(LICENCES).small().monospace());
    });
}

fn type_path(purpose: &Purpose, before: &str, began: bool, ctx: &Context, out: &mut Outbox) {
    let mut text = before.to_owned();
    let modal = Modal::new(Id::unique("type path")).show(ctx, |ui| {
        ui.set_width(480.0);
        ui.label(RichText::new(purpose.title()).heading());
        ui.add_space(4.0);
        let label = ui.label(tr!("Path of a file or folder"));
        let edit = ui.add(TextEdit::singleline(&mut text).desired_width(f32::INFINITY)).labelled_by(label.id);
        if began {
            edit.request_focus();
        }
        let entered = edit.lost_focus() && ui.input(|input| input.key_pressed(Key::Enter));
        ui.add_space(6.0);
        ui.horizontal(|ui| {
            let accepted = ui.button(tr!("OK")).clicked() || entered;
            (accepted, ui.button(tr!("Cancel")).clicked())
        })
        .inner
    });
    let (accepted, cancelled) = modal.inner;
    if accepted {
        out.push(Action::Typed(purpose.clone(), text));
    } else if cancelled || modal.backdrop_response.clicked() {
        out.push(Action::CloseSheet);
    } else if began || text != before {
        out.push(Action::Open(Sheet::Path { purpose: purpose.clone(), text, began: false }));
    }
}

/// Nothing that is there is replaced unasked.
fn replace(item: ItemId, path: &Path, ctx: &Context, out: &mut Outbox) {
    let modal = Modal::new(Id::unique("replace")).show(ctx, |ui| {
        ui.set_width(440.0);
        ui.label(RichText::new(tr!("Replace the file?")).heading());
        ui.label(path.display().to_string());
        ui.add_space(8.0);
        ui.horizontal(|ui| (ui.button(tr!("Replace")).clicked(), ui.button(tr!("Keep it")).clicked())).inner
    });
    let (replaces, keeps) = modal.inner;
    if replaces {
        out.push(Action::Replace(item, path.to_owned()));
    } else if keeps || modal.backdrop_response.clicked() {
        out.push(Action::CloseSheet);
    }
}

/// A dialog of the desktop has been open for a while: it may not have come up at all.
fn waiting_dialog(window: &Window, ctx: &Context, out: &mut Outbox) {
    if !window.shell.dialogs.is_open() {
        return;
    }
    let Some(purpose) = window.shell.dialogs.waiting_for().cloned() else {
        ctx.request_repaint_after(std::time::Duration::from_millis(300));
        return;
    };
    eframe::egui::Window::new(purpose.title())
        .id(Id::unique("waiting dialog"))
        .anchor(eframe::egui::Align2::CENTER_BOTTOM, [0.0, -160.0])
        .collapsible(false)
        .resizable(false)
        .show(ctx, |ui| {
            ui.label(tr!("The dialog of the desktop is open. It may be behind this window."));
            ui.horizontal(|ui| {
                if ui.button(tr!("Type a path instead")).clicked() {
                    out.push(Action::TypePathFor(purpose.clone()));
                }
                if ui.button(tr!("Dismiss")).clicked() {
                    out.push(Action::AbandonDialog);
                }
            });
        });
}

/// The window is to close, and pictures run.
fn closing(window: &Window, ctx: &Context, out: &mut Outbox) {
    let left = window.upscale.queue.waiting()
        + window.upscale.queue.items().iter().filter(|item| matches!(item.state, State::Running(_))).count();
    let modal = Modal::new(Id::unique("closing")).show(ctx, |ui| {
        ui.set_width(460.0);
        ui.label(RichText::new(tr!("Close while pictures are upscaled?")).heading());
        ui.add_space(4.0);
        ui.label(tr_counted!(left, "%{count} picture is not done yet.", "%{count} pictures are not done yet."));
        ui.add_space(8.0);
        let choices = [
            (Leaving::Finish, tr!("Finish, then close"), tr!("The window closes by itself when the queue is done.")),
            (
                Leaving::Keep,
                tr!("Close, and keep them for next time"),
                tr!("They wait in the queue; a large picture resumes where it was."),
            ),
            (Leaving::Discard, tr!("Close, and drop them"), tr!("Results that are saved stay.")),
        ];
        let mut chosen = None;
        for (leaving, label, hint) in choices {
            if ui.add_sized([ui.available_width(), 30.0], Button::new(label)).clicked() {
                chosen = Some(leaving);
            }
            weak(ui, hint);
            ui.add_space(4.0);
        }
        let stays = ui.add_sized([ui.available_width(), 30.0], Button::new(tr!("Stay"))).clicked();
        (chosen, stays)
    });
    let (chosen, stays) = modal.inner;
    if let Some(leaving) = chosen {
        out.push(Action::Close(leaving));
    } else if stays || modal.backdrop_response.clicked() {
        out.push(Action::StayOpen);
    }
}

fn crashed(window: &Window, ctx: &Context, out: &mut Outbox, reason: &str) {
    Modal::new(Id::unique("engine failed")).show(ctx, |ui| {
        ui.set_width(440.0);
        ui.label(RichText::new(tr!("The engine failed")).heading().color(palette(ui).error));
        ui.add_space(4.0);
        ui.label(translated(reason));
        ui.add_space(4.0);
        weak(ui, tr!("Nothing that was saved is lost."));
        if window.device() != "CPU" {
            weak(
                ui,
                tr!("A lost graphics device is available again after a restart of the program; the CPU works at once."),
            );
        }
        ui.add_space(8.0);
        ui.horizontal(|ui| {
            if ui.button(tr!("Restart engine")).clicked() {
                out.push(Action::RestartEngine);
            }
            if window.device() != "CPU" && ui.button(tr!("Continue on the CPU")).clicked() {
                out.push(Action::ContinueOnCpu);
            }
        });
    });
}
