//! The canvas: panes with one pan and zoom, the tools above and the read-out below.

use eframe::egui::{
    Align, Align2, Color32, CursorIcon, FontId, Id, Key, Label, Layout, PointerButton, Rect, RichText, Role, Sense,
    Slider, Stroke, StrokeKind, Ui, UiBuilder, Vec2, WidgetInfo, pos2, vec2,
};

use super::{drop_zone, icon_button};
use crate::window::{
    Window,
    actions::Action,
    canvas::{
        gpu::{Mode, Pane, shape},
        view::View,
    },
    document::{Document, Pyramid},
    queue::State,
    settings::ViewMode,
    theme::{self, palette},
};

/// Points between panes.
const GAP: f32 = 6.0;
/// Height of the tools and of the read-out in points.
const BAR: f32 = 34.0;

pub(crate) fn ui(window: &mut Window, ui: &mut Ui) {
    let colours = palette(ui);
    ui.painter().rect_filled(ui.max_rect(), 0.0, colours.canvas);
    if window.queue.items().is_empty() {
        drop_zone::empty(window, ui);
        return;
    }
    let rect = ui.max_rect();
    let tools = Rect::from_min_size(rect.min, vec2(rect.width(), BAR));
    let read_out = Rect::from_min_max(pos2(rect.min.x, rect.max.y - BAR + 6.0), rect.max);
    let canvas = Rect::from_min_max(pos2(rect.min.x, tools.max.y), pos2(rect.max.x, read_out.min.y));
    for bar in [tools, read_out] {
        ui.painter().rect_filled(bar, 0.0, colours.panel);
    }
    ui.scope_builder(UiBuilder::new().max_rect(tools.shrink2(vec2(8.0, 4.0))), |ui| tool_bar(window, ui));
    let pointed = panes(window, ui, canvas);
    ui.scope_builder(UiBuilder::new().max_rect(read_out.shrink2(vec2(8.0, 2.0))), |ui| {
        read_out_ui(window, ui, pointed);
    });
}

fn tool_bar(window: &mut Window, ui: &mut Ui) {
    ui.horizontal_centered(|ui| {
        for (index, mode) in ViewMode::ALL.into_iter().enumerate() {
            let chosen = window.settings.view == mode;
            let label = ui.selectable_label(chosen, mode.label());
            if label.on_hover_text(format!("{} ({})", mode.explanation(), index + 1)).clicked() {
                window.actions.push(Action::SetView(mode));
            }
        }
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            if icon_button(ui, "+", "Zoom in", "Zoom in (+)").clicked() {
                window.actions.push(Action::Zoom(2.0));
            }
            let zoom = window.view.zoom * 100.0;
            let zoom = if zoom < 10.0 { format!("{zoom:.1} %") } else { format!("{zoom:.0} %") };
            ui.add_sized([52.0, 20.0], Label::new(RichText::new(zoom).small()))
                .on_hover_text("Pixels of the screen for a pixel of the result");
            if icon_button(ui, "−", "Zoom out", "Zoom out (-)").clicked() {
                window.actions.push(Action::Zoom(0.5));
            }
            if ui
                .selectable_label((window.view.zoom - 1.0).abs() < 1e-6, "1:1")
                .on_hover_text("One pixel on one pixel (Z)")
                .clicked()
            {
                window.actions.push(Action::ActualSize);
            }
            if ui
                .selectable_label(window.view.fits, "Fit")
                .on_hover_text("The whole picture (F, or double click)")
                .clicked()
            {
                window.actions.push(Action::Fit);
            }
        });
    });
}

/// Draws the panes; returns the position in the result under the pointer.
fn panes(window: &mut Window, ui: &mut Ui, canvas: Rect) -> Option<[f64; 2]> {
    let Some(id) = window.selected else {
        centred_text(ui, canvas, "Select a picture in the queue");
        return None;
    };
    if window.documents.get(id).is_none() {
        let text = match window.queue.get(id).map(|item| &item.state) {
            Some(State::Failed(reason)) => reason.clone(),
            _ if window.unreadable.contains_key(&id) => window.unreadable[&id].clone(),
            _ => {
                ui.ctx().request_repaint_after(std::time::Duration::from_millis(100));
                "Reading the picture…".into()
            }
        };
        centred_text(ui, canvas, &text);
        return None;
    }
    let flips = ui.input(|input| input.key_down(Key::Space)) && !ui.ctx().text_edit_focused();
    let proven = window.documents.get(id).is_some_and(|open| open.document.dual.is_some());
    let with_duals = proven || window.model().is_none_or(|entry| entry.has_duals);
    let parts: Vec<(Mode, &str)> = match window.settings.view {
        ViewMode::Panes if with_duals => {
            vec![(Mode::Input, "Original"), (Mode::Result, "Result"), (Mode::Dual, "Way back")]
        }
        ViewMode::Panes => vec![(Mode::Input, "Original"), (Mode::Result, "Result")],
        ViewMode::Split => vec![(Mode::Split, "")],
        ViewMode::Result => vec![(Mode::Result, "Result")],
        ViewMode::Difference => vec![(Mode::Difference, "Difference of the way back from the original")],
        ViewMode::Overlay => vec![(Mode::Overlay, "Where the result disagrees with the original")],
    };
    let points = ui.ctx().pixels_per_point();
    // Panes begin at whole pixels, or pixels of the picture would not meet those of the screen.
    let snap = |at: f32| (at * points).round() / points;
    let size = window.documents.get(id).map_or([1, 1], |open| open.document.result_size());
    let rects: Vec<Rect> = arrange(canvas, parts.len(), size)
        .into_iter()
        .map(|r| Rect::from_min_max(pos2(snap(r.left()), snap(r.top())), pos2(snap(r.right()), snap(r.bottom()))))
        .collect();
    let pane = [rects[0].width() * points, rects[0].height() * points].map(f64::from);
    window.pane = pane;
    window.view.settle(size, pane);

    let mut pointed = None;
    for (index, rect) in rects.iter().enumerate() {
        let here = interact(window, ui, index, *rect, parts[index]);
        pointed = pointed.or(here);
    }
    window.view.settle(size, pane);

    let view = window.view;
    let (split, gain) = (window.split, window.settings.gain);
    if let (Some(gpu), Some(open)) = (&mut window.gpu, window.documents.get_mut(id)) {
        if !gpu.prepare(&mut open.document, &view, pane) {
            ui.ctx().request_repaint();
        }
        let ground = theme::components(palette(ui).canvas);
        for (rect, (mode, _)) in rects.iter().zip(&parts) {
            let shown = if flips && !matches!(mode, Mode::Input | Mode::Dual) { Mode::Input } else { *mode };
            let pane = Pane {
                mode: shown,
                min: [rect.min.x * points, rect.min.y * points],
                size: [rect.width() * points, rect.height() * points],
                split,
                gain,
                ground,
            };
            ui.painter().add(shape(*rect, gpu.draw(&view, &pane)));
        }
    }
    let document = window.documents.get(id).map(|open| &open.document);
    if let Some(document) = document {
        for (rect, (mode, title)) in rects.iter().zip(&parts) {
            let original = flips && !matches!(mode, Mode::Input | Mode::Dual);
            let (mode, title) = if original { (Mode::Input, "Original") } else { (*mode, *title) };
            captions(window, ui, *rect, mode, title, document);
        }
        // The same place in every pane.
        if let Some(position) = pointed
            && rects.len() > 1
            && inside(document, position)
        {
            for rect in &rects {
                crosshair(ui, *rect, window.view.origin(pane), window.view.zoom / f64::from(points), position);
            }
        }
    }
    pointed
}

/// Panes beside each other, or above each other if the picture is so wide that it comes out larger that way.
fn arrange(canvas: Rect, count: usize, size: [usize; 2]) -> Vec<Rect> {
    let room = |length: f32| (length - GAP * (count as f32 - 1.0)) / count as f32;
    let beside = vec2(room(canvas.width()), canvas.height());
    let above = vec2(canvas.width(), room(canvas.height()));
    let fitting = |pane: Vec2| View::fitting(size, [pane.x, pane.y].map(f64::from));
    let (pane, step) = if fitting(above) > fitting(beside) {
        (above, vec2(0.0, above.y + GAP))
    } else {
        (beside, vec2(beside.x + GAP, 0.0))
    };
    (0..count).map(|index| Rect::from_min_size(canvas.min + step * index as f32, pane)).collect()
}

fn inside(document: &Document, position: [f64; 2]) -> bool {
    let size = document.result_size();
    (0..2).all(|axis| position[axis] >= 0.0 && position[axis] < size[axis] as f64)
}

fn centred_text(ui: &Ui, rect: Rect, text: &str) {
    let colours = palette(ui);
    let galley = ui.painter().layout(text.to_owned(), FontId::proportional(15.0), colours.weak, rect.width() * 0.7);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colours.weak);
}

/// Pan, zoom and the split line of one pane. Returns the position in the result under the pointer.
fn interact(
    window: &mut Window,
    ui: &mut Ui,
    index: usize,
    rect: Rect,
    (mode, title): (Mode, &str),
) -> Option<[f64; 2]> {
    let response = ui.interact(rect, Id::unique(("pane", index)), Sense::click_and_drag());
    let name = if mode == Mode::Split { "Original and result" } else { title };
    response.widget_info(|| WidgetInfo::labeled(Role::Image, true, name));
    let points = f64::from(ui.ctx().pixels_per_point());
    let split_x = rect.left() + rect.width() * window.split;
    let pointer = response.hover_pos();
    let grabbed = Id::unique("split grabbed");
    if mode == Mode::Split {
        let near = pointer.is_some_and(|p| (p.x - split_x).abs() < 8.0);
        if response.drag_started() {
            let pressed = ui.input(|input| input.pointer.press_origin());
            let near = pressed.is_some_and(|p| (p.x - split_x).abs() < 8.0);
            ui.data_mut(|data| data.insert_temp(grabbed, near));
        }
        if near {
            ui.set_cursor_icon(CursorIcon::ResizeHorizontal);
        }
    }
    let splits = mode == Mode::Split && ui.data(|data| data.get_temp(grabbed)).unwrap_or(false);
    if response.dragged_by(PointerButton::Primary) || response.dragged_by(PointerButton::Middle) {
        if splits {
            if let Some(p) = response.interact_pointer_pos() {
                window.split = ((p.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
            }
        } else {
            let by = response.drag_delta();
            window.view.pan([f64::from(by.x) * points, f64::from(by.y) * points]);
            ui.set_cursor_icon(CursorIcon::Grabbing);
        }
    }
    let from_center = pointer.map(|p| {
        let offset = p - rect.center();
        [f64::from(offset.x) * points, f64::from(offset.y) * points]
    });
    if response.double_clicked() {
        // Fit, or the pixels under the pointer one to one.
        if window.view.fits {
            window.view.zoom_at(1.0 / window.view.zoom, from_center.unwrap_or_default());
        } else {
            window.view.fits = true;
        }
    }
    if let Some(at) = from_center {
        let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
        let factor = f64::from(pinch) * (f64::from(scroll) / 240.0).exp2();
        if (factor - 1.0).abs() > 1e-6 {
            window.view.zoom_at(factor, at);
        }
    }
    let pane = [rect.width(), rect.height()].map(|side| f64::from(side) * points);
    pointer.map(|p| {
        let corner = (p - rect.min) * points as f32;
        window.view.position([f64::from(corner.x), f64::from(corner.y)], pane)
    })
}

fn captions(window: &Window, ui: &Ui, rect: Rect, mode: Mode, title: &str, document: &Document) {
    let colours = palette(ui);
    let painter = ui.painter().with_clip_rect(rect);
    let label = |place: eframe::egui::Pos2, align: Align2, text: &str| {
        let galley = painter.layout_no_wrap(text.to_owned(), FontId::proportional(12.0), Color32::WHITE);
        let place = align.anchor_size(place, galley.size());
        painter.rect_filled(place.expand2(vec2(6.0, 3.0)), 5.0, Color32::from_black_alpha(150));
        painter.galley(place.min, galley, Color32::WHITE);
    };
    let top = rect.left_top() + vec2(14.0, 12.0);
    let top_right = pos2(rect.right() - 14.0, rect.top() + 12.0);
    let [w, h] = document.input.size();
    match mode {
        Mode::Input => label(top, Align2::LEFT_TOP, &format!("{title}  {w} × {h}")),
        Mode::Dual => {
            let known = if document.dual.is_some() { "" } else { ": comes with the result" };
            label(top, Align2::LEFT_TOP, &format!("{title}  {w} × {h}{known}"));
        }
        Mode::Result => {
            let [w, h] = document.result_size();
            let known = if document.result.is_some() { "" } else { ": not made yet" };
            label(top, Align2::LEFT_TOP, &format!("{title}  {w} × {h}{known}"));
        }
        Mode::Split => {
            let x = rect.left() + rect.width() * window.split;
            painter.vline(x, rect.y_range(), Stroke::new(2.0, Color32::WHITE));
            let handle = Rect::from_center_size(pos2(x, rect.center().y), vec2(14.0, 34.0));
            painter.rect(
                handle,
                7.0,
                Color32::WHITE,
                Stroke::new(1.0, Color32::from_black_alpha(120)),
                StrokeKind::Outside,
            );
            for dx in [-2.0, 2.0] {
                painter.vline(x + dx, handle.y_range().shrink(9.0), Stroke::new(1.0, Color32::from_gray(90)));
            }
            label(top, Align2::LEFT_TOP, "Original");
            let known = if document.result.is_some() { "Result" } else { "Result: not made yet" };
            label(top_right, Align2::RIGHT_TOP, known);
        }
        Mode::Difference | Mode::Overlay => {
            let known = if document.dual.is_some() { title } else { "The proof comes with the result" };
            label(top, Align2::LEFT_TOP, known);
            if document.dual.is_some() {
                legend(window, ui, rect);
            }
        }
    }
    if rect.width() > 40.0 {
        ui.painter().rect_stroke(rect, 0.0, Stroke::new(1.0, colours.line), StrokeKind::Inside);
    }
}

/// What the colours of differences mean.
fn legend(window: &Window, ui: &Ui, rect: Rect) {
    let painter = ui.painter().with_clip_rect(rect);
    let bar = Rect::from_min_size(
        pos2(rect.left() + 20.0, rect.bottom() - 46.0),
        vec2(180.0_f32.min(rect.width() - 40.0), 10.0),
    );
    painter.rect_filled(
        bar.expand2(vec2(12.0, 8.0)).with_max_y(bar.bottom() + 30.0),
        6.0,
        Color32::from_black_alpha(170),
    );
    let steps = 48;
    for step in 0..steps {
        let left = bar.left() + bar.width() * step as f32 / steps as f32;
        let cell =
            Rect::from_min_max(pos2(left, bar.top()), pos2(left + bar.width() / steps as f32 + 0.5, bar.bottom()));
        painter.rect_filled(cell, 0.0, theme::heat((step as f32 + 0.5) / steps as f32));
    }
    let hottest = dualres_engine::HOTTEST / window.settings.gain;
    let font = FontId::proportional(11.0);
    for (part, align) in [(0.0, Align2::LEFT_TOP), (0.5, Align2::CENTER_TOP), (1.0, Align2::RIGHT_TOP)] {
        let value = hottest * part;
        let text = match part {
            1.0 => format!("≥ {value:.1} levels"),
            _ => format!("{value:.1}"),
        };
        painter.text(
            pos2(bar.left() + bar.width() * part, bar.bottom() + 5.0),
            align,
            text,
            font.clone(),
            Color32::WHITE,
        );
    }
}

fn crosshair(ui: &Ui, rect: Rect, origin: [f64; 2], points_a_pixel: f64, position: [f64; 2]) {
    let at = [0, 1].map(|axis| ((position[axis] - origin[axis]) * points_a_pixel) as f32);
    let center = rect.min + vec2(at[0], at[1]);
    let painter = ui.painter().with_clip_rect(rect);
    for (width, colour) in [(3.0, Color32::from_black_alpha(120)), (1.0, Color32::WHITE)] {
        for (dx, dy) in [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)] {
            let direction = vec2(dx, dy);
            painter.line_segment([center + direction * 5.0, center + direction * 12.0], Stroke::new(width, colour));
        }
    }
}

fn read_out_ui(window: &mut Window, ui: &mut Ui, pointed: Option<[f64; 2]>) {
    ui.horizontal_centered(|ui| {
        ui.with_layout(Layout::right_to_left(Align::Center), |ui| {
            // Here, because the tools above leave no room in a small window.
            if matches!(window.settings.view, ViewMode::Difference | ViewMode::Overlay) {
                ui.spacing_mut().slider_width = 90.0;
                let gain = Slider::new(&mut window.settings.gain, 0.7..=16.0).logarithmic(true).max_decimals(1);
                ui.add(gain.text("gain")).on_hover_text("Multiplies differences before they are coloured (, and .)");
            }
            ui.with_layout(Layout::left_to_right(Align::Center), |ui| position_ui(window, ui, pointed));
        });
    });
}

fn position_ui(window: &Window, ui: &mut Ui, pointed: Option<[f64; 2]>) {
    let colours = palette(ui);
    let Some(document) = window.shown() else { return };
    {
        let Some(position) = pointed.filter(|&position| inside(document, position)) else {
            let hint = "Wheel zooms, drag moves, double click fits; Space shows the original";
            ui.add(Label::new(RichText::new(hint).small().color(colours.weak)).truncate());
            return;
        };
        let [x, y] = position.map(|p| p as usize);
        let (lx, ly) = (x / document.scale, y / document.scale);
        let mut text = format!("({x}, {y})");
        let value = |pyramid: &Pyramid, x: usize, y: usize| {
            let [r, g, b, a] = pyramid.levels[0].pixel(x, y);
            (a > 0).then(|| format!("{r:3} {g:3} {b:3}"))
        };
        if let Some(v) = value(&document.input, lx, ly) {
            text += &format!("   original ({lx}, {ly}) {v}");
        }
        if let Some(v) = document.result.as_ref().and_then(|p| value(p, x, y)) {
            text += &format!("   result {v}");
        }
        if let Some(v) = document.dual.as_ref().and_then(|p| value(p, lx, ly)) {
            text += &format!("   way back {v}");
        }
        if let Some(d) = document.proof.as_ref().and_then(|proof| proof.absolute.at(lx, ly)) {
            text += &format!("   off by {d:.1}");
        }
        ui.add(Label::new(RichText::new(text).monospace().small()).truncate());
    }
}
