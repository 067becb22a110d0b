//! The queue as a strip of cards.

use eframe::egui::{
    self, Align2, Color32, CursorIcon, FontId, Id, Rect, Response, RichText, Role, ScrollArea, Sense, Stroke,
    StrokeKind, Ui, UiBuilder, WidgetInfo, pos2, vec2,
};

use super::{duration, model_choice, named, size, text_width};
use crate::batch::sizes::FinalSize;
use crate::language::{number, tr, translated};
use crate::window::{
    Window,
    actions::Action,
    outbox::Outbox,
    queue::{Item, ItemId, State},
    theme::{Palette, palette},
};

/// Height of the strip in points.
pub(crate) const HEIGHT: f32 = 132.0;
const CARD: egui::Vec2 = vec2(236.0, 88.0);
const GAP: f32 = 8.0;
const PICTURE: f32 = 76.0;

pub(crate) fn ui(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.add_space(4.0);
    header(window, ui, out);
    let count = window.upscale.queue.items().len();
    // A plain wheel turns, as there is but one direction.
    ui.style_mut().always_scroll_the_only_direction = true;
    ScrollArea::horizontal().auto_shrink(false).id_salt("queue").show_viewport(ui, |ui, viewport| {
        let step = CARD.x + GAP;
        ui.set_width(count as f32 * step);
        ui.set_height(CARD.y);
        let origin = ui.max_rect().min;
        // Only what is seen is laid out, so that thousands of pictures cost nothing.
        let first = (viewport.min.x / step).floor().max(0.0) as usize;
        let last = ((viewport.max.x / step).ceil() as usize).min(count);
        for index in first..last {
            let rect = Rect::from_min_size(origin + vec2(index as f32 * step, 0.0), CARD);
            card(window, ui, out, index, rect);
        }
        if let Some(selected) = window.upscale.scroll_to
            && let Some(index) = window.upscale.queue.items().iter().position(|item| item.id == selected)
        {
            let rect = Rect::from_min_size(origin + vec2(index as f32 * step, 0.0), CARD);
            ui.scroll_to_rect(rect.expand(GAP), None);
            out.push(Action::Scrolled);
        }
    });
}

fn header(window: &Window, ui: &mut Ui, out: &mut Outbox) {
    ui.horizontal(|ui| {
        ui.label(RichText::new(tr!("Queue")).strong());
        // There at all times, so that nothing else is under the pointer when a run ends.
        let running = window.upscale.queue.running().is_some();
        let labels = [tr!("Pause"), tr!("Resume")];
        let widest = labels.iter().map(|label| text_width(ui, label)).fold(0.0, f32::max);
        let size = vec2(widest + 2.0 * ui.spacing().button_padding.x, ui.spacing().interact_size.y);
        let paused = running && window.services.link.control.is_paused();
        let button = egui::Button::new(&labels[usize::from(paused)]).min_size(size);
        let pause = ui.add_enabled(running, button);
        if pause.on_hover_text(tr!("Takes effect within a tile (Ctrl+P)")).clicked() {
            out.push(Action::PauseOrGoOn);
        }
        let hint = tr!("Stop the running picture and the queue (Ctrl+.)");
        let cancel = ui.add_enabled(running, egui::Button::new(tr!("Cancel"))).on_hover_text(hint);
        // Dialogs have buttons of that name.
        named(&cancel, &tr!("Cancel the running picture"));
        if cancel.clicked() {
            out.push(Action::CancelRunning);
        }
        let done = window.upscale.queue.items().iter().any(|i| matches!(i.state, State::Done(_) | State::Moved(_)));
        let clear = ui.add_enabled(done, egui::Button::new(tr!("Clear finished")));
        if clear.on_hover_text(tr!("Take out what is done; what failed or was cancelled stays (Ctrl+Del)")).clicked() {
            out.push(Action::RemoveDone);
        }
        let undo = ui.add_enabled(window.upscale.queue.can_undo(), egui::Button::new(tr!("Undo")));
        if undo.on_hover_text(tr!("Bring back what was taken out last (Ctrl+Z)")).clicked() {
            out.push(Action::Undo);
        }
        if ui.button(tr!("Table")).on_hover_text(tr!("All results, the least certain first (T)")).clicked() {
            out.push(Action::ToggleTable);
        }
        let failed = window.upscale.queue.items().iter().filter(|i| matches!(i.state, State::Failed(_))).count();
        if failed > 0 {
            ui.label(RichText::new(tr!("%{count} failed", count = failed)).color(palette(ui).error));
        }
    });
}

fn card(window: &Window, ui: &mut Ui, out: &mut Outbox, index: usize, rect: Rect) {
    let Some(item) = window.upscale.queue.items().get(index) else { return };
    let id = item.id;
    let lacks = item.thumbnail.is_none() && !matches!(item.state, State::Failed(_));
    if lacks && !window.upscale.thumbnails_asked.contains(&id) {
        out.push(Action::MakeThumbnail(id));
    }
    let selected = window.upscale.selected == Some(id);
    let response = ui.interact(rect, Id::unique(("card", id.0)), Sense::click_and_drag());
    let name = item.name();
    let (state, colour) = state_line(item, &palette(ui), window.services.link.control.is_paused());
    response.widget_info(|| WidgetInfo::selected(Role::Button, true, selected, format!("{name}: {state}")));
    draw(window, ui, index, rect, &response, (&state, colour));
    let actions = buttons(window, ui, index, rect, &response);
    out.extend(actions);

    if response.clicked() {
        out.push(Action::Select(id));
    }
    if response.dragged() {
        ui.set_cursor_icon(CursorIcon::Grabbing);
        drag(window, ui, rect, id, &response);
    }
    response.dnd_set_drag_payload(id);
    if let Some(dropped) = response.dnd_release_payload::<ItemId>() {
        let after = ui.input(|i| i.pointer.interact_pos()).is_some_and(|p| p.x > rect.center().x);
        out.push(Action::Place(*dropped, index + usize::from(after)));
    }
    let menu_actions = menu(window, index, &response);
    out.extend(menu_actions);
    if let Some(item) = window.upscale.queue.get(id) {
        let text = match &item.state {
            State::Failed(failure) => {
                let (path, reason) = (item.path.display().to_string(), translated(&failure.reason));
                if reason.contains(&path) { reason } else { format!("{path}\n{reason}") }
            }
            State::Moved(finished) => {
                let gone = tr!("its result is not there any more: %{path}", path = finished.output.display());
                format!("{}\n{gone}", item.path.display())
            }
            State::Done(finished) => {
                let saved = tr!("saved as %{path}", path = finished.output.display());
                format!("{}\n{state}\n{saved}", item.path.display())
            }
            _ => item.path.display().to_string(),
        };
        response.on_hover_text(text);
    }
}

/// Shows where the dragged card would go.
fn drag(window: &Window, ui: &Ui, rect: Rect, id: ItemId, response: &Response) {
    let Some(pointer) = response.interact_pointer_pos() else { return };
    let colours = palette(ui);
    let ghost = rect.translate(pointer - rect.center());
    let painter = ui.ctx().layer_painter(egui::LayerId::new(egui::Order::Tooltip, Id::unique("dragged card")));
    painter.rect_filled(ghost, 8.0, colours.raised.gamma_multiply(0.8));
    if let Some(item) = window.upscale.queue.get(id) {
        painter.text(ghost.center(), Align2::CENTER_CENTER, item.name(), FontId::proportional(13.0), colours.text);
    }
}

fn draw(window: &Window, ui: &Ui, index: usize, rect: Rect, response: &Response, (state, colour): (&str, Color32)) {
    let colours = palette(ui);
    let item = &window.upscale.queue.items()[index];
    let selected = window.upscale.selected == Some(item.id);
    let painter = ui.painter();
    painter.rect_filled(rect, 8.0, if response.hovered() { colours.hovered } else { colours.raised });
    let edge = if selected { colours.accent } else { Color32::TRANSPARENT };
    painter.rect_stroke(rect, 8.0, Stroke::new(2.0, edge), StrokeKind::Inside);

    let frame = Rect::from_min_size(rect.min + vec2(6.0, 6.0), vec2(PICTURE, PICTURE));
    painter.rect_filled(frame, 4.0, colours.canvas);
    if let Some(texture) = &item.thumbnail {
        let size = texture.size_vec2();
        let scale = (frame.width() / size.x).min(frame.height() / size.y).min(1.0);
        let place = Rect::from_center_size(frame.center(), size * scale);
        painter.image(texture.id(), place, Rect::from_min_max(pos2(0.0, 0.0), pos2(1.0, 1.0)), Color32::WHITE);
    } else {
        let sign = if matches!(item.state, State::Failed(_)) { "✖" } else { "…" };
        painter.text(frame.center(), Align2::CENTER_CENTER, sign, FontId::proportional(20.0), colours.weak);
    }

    let left = frame.right() + 8.0;
    let width = rect.right() - left - 8.0;
    let text = |y: f32, text: &str, font: FontId, colour: Color32, room: f32| {
        let mut job = egui::text::LayoutJob::simple_singleline(text.to_owned(), font, colour);
        job.wrap = egui::text::TextWrapping::truncate_at_width(room);
        let galley = ui.fonts_mut(|fonts| fonts.layout_job(job));
        painter.galley(pos2(left, rect.top() + y), galley, colour);
    };
    text(8.0, &item.name(), FontId::proportional(13.0), colours.text, width - 22.0);
    let result = item.size.map(|s| match &item.state {
        State::Done(finished) => format!("{} → {}", size(s), size(finished.size)),
        State::Running(progress) => format!("{} → {}", size(s), size(progress.wanted.of(s, progress.scale))),
        _ => format!("{} → {}", size(s), size(window.shell.settings.choices.size.of(s, window.scale()))),
    });
    text(27.0, result.as_deref().unwrap_or("…"), FontId::proportional(11.0), colours.weak, width);
    text(43.0, state, FontId::proportional(11.5), colour, width);
    let wanted = window.shell.settings.choices.size;
    let finished = match &item.state {
        // What is made does not change with what is chosen now.
        State::Done(finished) => Some((finished.size, FinalSize::Model)),
        State::Running(_) => None,
        _ => item.size.map(|size| (wanted.of(size, window.scale()), wanted)),
    };
    if let Some((finished, wanted)) = finished {
        text(59.0, &model_choice::print_size(finished, wanted), FontId::proportional(11.0), colours.weak, width);
    }
    if let State::Running(progress) = &item.state {
        let bar = Rect::from_min_size(pos2(left, rect.top() + 66.0), vec2(width, 6.0));
        painter.rect_filled(bar, 3.0, colours.canvas);
        painter.rect_filled(bar.with_max_x(bar.left() + width * progress.done), 3.0, colours.accent);
        ui.ctx().request_repaint_after(std::time::Duration::from_millis(200));
    }
}

/// What the state is in words, and its colour.
fn state_line(item: &Item, colours: &Palette, paused: bool) -> (String, Color32) {
    match &item.state {
        State::Waiting => (tr!("waiting"), colours.weak),
        State::Running(progress) if progress.cancelling => (tr!("Cancelling…"), colours.warning),
        State::Running(progress) if paused => {
            (tr!("paused at %{percent} %", percent = number(progress.done * 100.0, 0)), colours.warning)
        }
        State::Running(progress) => {
            let left = progress.left().map(|left| tr!("%{time} left", time = duration(left)));
            let text = match left {
                Some(left) => format!("{}, {left}", progress.stage),
                None => progress.stage.clone(),
            };
            (text, colours.accent)
        }
        State::Done(finished) => {
            let time = duration(std::time::Duration::from_secs_f64(finished.seconds));
            match finished.proven.verdict(&finished.model) {
                Some(verdict) => {
                    let colour = if verdict.warns() { colours.warning } else { colours.good };
                    (format!("{}, {time}", verdict.words()), colour)
                }
                None => (tr!("Done, %{time}", time = time), colours.good),
            }
        }
        State::Failed(failure) => (translated(&failure.reason), colours.error),
        State::Moved(_) => (tr!("its result was moved or deleted"), colours.warning),
        State::Cancelled => (tr!("cancelled"), colours.warning),
    }
}

fn buttons(window: &Window, ui: &mut Ui, index: usize, rect: Rect, card: &Response) -> Vec<Action> {
    let item = &window.upscale.queue.items()[index];
    let mut actions = Vec::new();
    let place = Rect::from_min_size(pos2(rect.right() - 28.0, rect.top() + 4.0), vec2(24.0, 22.0));
    let running = matches!(item.state, State::Running(_));
    let name = item.name();
    if item.is_being_saved() {
        return actions;
    }
    ui.scope_builder(UiBuilder::new().max_rect(place), |ui| {
        let (what, label) = if running {
            (tr!("Cancel"), tr!("Cancel %{name}", name = name))
        } else {
            (tr!("Remove"), tr!("Remove %{name}", name = name))
        };
        let sign =
            RichText::new("✖").small().color(if card.contains_pointer() { palette(ui).text } else { palette(ui).weak });
        let button = ui.add(egui::Button::new(sign).frame_when_inactive(false).small());
        button.widget_info(|| WidgetInfo::labeled(Role::Button, true, &label));
        if button.on_hover_text(what).clicked() {
            actions.push(if running { Action::Cancel(item.id) } else { Action::Remove(item.id) });
        }
    });
    if item.may_be_retried() {
        let place = Rect::from_min_size(pos2(rect.left() + PICTURE + 14.0, rect.top() + 61.0), vec2(110.0, 22.0));
        ui.scope_builder(UiBuilder::new().max_rect(place), |ui| {
            let button = ui
                .add(egui::Button::new(tr!("⟲ Retry")).small().truncate())
                .on_hover_text(tr!("Retry %{name}", name = name));
            button.widget_info(|| WidgetInfo::labeled(Role::Button, true, tr!("Retry %{name}", name = name)));
            if button.clicked() {
                actions.push(Action::Retry(item.id));
            }
        });
    }
    actions
}

fn menu(window: &Window, index: usize, response: &Response) -> Vec<Action> {
    let item = &window.upscale.queue.items()[index];
    let (id, mut actions) = (item.id, Vec::new());
    response.context_menu(|ui| {
        let mut entry = |ui: &mut Ui, enabled: bool, label: String, action: Action| {
            if ui.add_enabled(enabled, egui::Button::new(label)).clicked() {
                actions.push(action);
                ui.close();
            }
        };
        let running = matches!(item.state, State::Running(_));
        let done = matches!(item.state, State::Done(_));
        entry(ui, item.may_be_done_again(), tr!("Run again"), Action::Retry(id));
        entry(ui, done, tr!("Show in folder"), Action::ShowInFolder(id));
        entry(ui, index > 0, tr!("Move to the front"), Action::Place(id, 0));
        entry(ui, index > 0, tr!("Move forward"), Action::Shift(id, -1));
        entry(ui, true, tr!("Move back"), Action::Shift(id, 1));
        let label = if running { tr!("Cancel") } else { tr!("Remove") };
        entry(ui, !item.is_being_saved(), label, Action::Remove(id));
    });
    actions
}
