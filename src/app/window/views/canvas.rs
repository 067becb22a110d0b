//! Panes with one pan and zoom over the same picture: how the pages of the window that show pictures draw them.

use std::cell::RefCell;

use eframe::egui::{
    Align2, Color32, CursorIcon, FontId, Id, PointerButton, Rect, Role, Sense, Stroke, StrokeKind, Ui, Vec2,
    WidgetInfo, pos2,
    text::{LayoutJob, TextWrapping},
    vec2,
};

use dualres_engine::Area;

use crate::{
    language::{number, tr},
    window::{
        actions::Action,
        canvas::{
            gpu::{Gpu, Mode, Pane, shape},
            view::{Sight, View},
        },
        document::{Document, Map},
        outbox::Outbox,
        theme::{self, palette},
    },
};

/// Points between panes.
const GAP: f32 = 6.0;

/// What a pane shows and says.
pub(crate) struct PaneContent {
    pub(crate) mode: Mode,
    /// What screen readers call it.
    pub(crate) name: String,
    /// What is written in its upper left corner.
    pub(crate) caption: String,
    /// What is written in its upper right corner, on the other side of a split.
    pub(crate) caption_right: String,
    /// Whether the colours of differences are explained.
    pub(crate) legend: bool,
}

impl PaneContent {
    pub(crate) fn new(mode: Mode, caption: impl Into<String>) -> Self {
        let caption = caption.into();
        Self { mode, name: caption.clone(), caption, caption_right: String::new(), legend: false }
    }
}

/// What panes share.
pub(crate) struct Canvas<'a> {
    /// Tells canvases of one window apart.
    pub(crate) salt: &'static str,
    pub(crate) gpu: &'a RefCell<Option<Gpu>>,
    /// Whether another canvas has been drawn in this frame.
    pub(crate) is_further: bool,
    pub(crate) document: &'a Document,
    /// How it is seen.
    pub(crate) sight: Sight,
    /// Multiplies differences.
    pub(crate) gain: f32,
    /// What differences are of.
    pub(crate) map: Map,
    /// Places of the result that are outlined where differences are shown, the first first.
    pub(crate) marks: &'a [Area],
}

impl Canvas<'_> {
    /// Draws the panes; returns the position in the result under the pointer, and how the picture is seen from now on.
    pub(crate) fn show(mut self, ui: &mut Ui, area: Rect, parts: &[PaneContent]) -> (Option<[f64; 2]>, Sight) {
        let points = ui.ctx().pixels_per_point();
        // Panes begin at whole pixels, or pixels of the picture would not meet those of the screen.
        let snap = |at: f32| (at * points).round() / points;
        let size = self.document.result_size();
        let rects: Vec<Rect> = arrange(area, parts.len(), size)
            .into_iter()
            .map(|r| Rect::from_min_max(pos2(snap(r.left()), snap(r.top())), pos2(snap(r.right()), snap(r.bottom()))))
            .collect();
        let pane = [rects[0].width() * points, rects[0].height() * points].map(f64::from);
        self.sight.pane = pane;
        self.sight.view.settle(size, pane);
        let mut pointed = None;
        for (index, rect) in rects.iter().enumerate() {
            pointed = pointed.or(self.interact(ui, index, *rect, &parts[index]));
        }
        self.sight.view.settle(size, pane);
        self.draw(ui, &rects, parts);
        for (rect, part) in rects.iter().zip(parts) {
            self.captions(ui, *rect, part);
        }
        // The same place in every pane.
        if let Some(position) = pointed
            && rects.len() > 1
            && self.document.result.is_some()
            && inside(self.document, position)
        {
            for rect in &rects {
                let view = &self.sight.view;
                crosshair(ui, *rect, view.origin(pane), view.zoom / f64::from(points), position);
            }
        }
        (pointed, self.sight)
    }

    fn draw(&self, ui: &Ui, rects: &[Rect], parts: &[PaneContent]) {
        let mut gpu = self.gpu.borrow_mut();
        let Some(gpu) = gpu.as_mut() else { return };
        let points = ui.ctx().pixels_per_point();
        let Sight { view, pane, split } = &self.sight;
        let all = match self.is_further {
            true => gpu.prepare_further(self.document, view, *pane, self.map),
            false => gpu.prepare(self.document, view, *pane, self.map),
        };
        if !all {
            ui.ctx().request_repaint();
        }
        let ground = theme::components(palette(ui).canvas);
        for (rect, part) in rects.iter().zip(parts) {
            let pane = Pane {
                mode: part.mode,
                min: [rect.min.x * points, rect.min.y * points],
                size: [rect.width() * points, rect.height() * points],
                split: *split,
                gain: self.gain,
                ground,
            };
            ui.painter().add(shape(*rect, gpu.draw(view, &pane)));
        }
    }

    /// Pan, zoom and the split line of one pane. Returns the position in the result under the pointer.
    fn interact(&mut self, ui: &mut Ui, index: usize, rect: Rect, part: &PaneContent) -> Option<[f64; 2]> {
        let response = ui.interact(rect, Id::unique((self.salt, index)), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Image, true, &part.name));
        let points = f64::from(ui.ctx().pixels_per_point());
        let split_x = rect.left() + rect.width() * self.sight.split;
        let pointer = response.hover_pos();
        let grabbed = Id::unique((self.salt, "split grabbed"));
        if part.mode == Mode::Split {
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
        let splits = part.mode == Mode::Split && ui.data(|data| data.get_temp(grabbed)).unwrap_or(false);
        if response.dragged_by(PointerButton::Primary) || response.dragged_by(PointerButton::Middle) {
            if splits {
                if let Some(p) = response.interact_pointer_pos() {
                    self.sight.split = ((p.x - rect.left()) / rect.width()).clamp(0.0, 1.0);
                }
            } else {
                let by = response.drag_delta();
                self.sight.view.pan([f64::from(by.x) * points, f64::from(by.y) * points]);
                ui.set_cursor_icon(CursorIcon::Grabbing);
            }
        }
        let from_center = pointer.map(|p| {
            let offset = p - rect.center();
            [f64::from(offset.x) * points, f64::from(offset.y) * points]
        });
        if response.double_clicked() {
            // Fit, or the pixels under the pointer one to one.
            if self.sight.view.fits {
                self.sight.view.zoom_at(1.0 / self.sight.view.zoom, from_center.unwrap_or_default());
            } else {
                self.sight.view.fits = true;
            }
        }
        if let Some(at) = from_center {
            let (scroll, pinch) = ui.input(|input| (input.smooth_scroll_delta().y, input.zoom_delta()));
            let factor = f64::from(pinch) * (f64::from(scroll) / 240.0).exp2();
            if (factor - 1.0).abs() > 1e-6 {
                self.sight.view.zoom_at(factor, at);
            }
        }
        let pane = [rect.width(), rect.height()].map(|side| f64::from(side) * points);
        pointer.map(|p| {
            let corner = (p - rect.min) * points as f32;
            self.sight.view.position([f64::from(corner.x), f64::from(corner.y)], pane)
        })
    }

    /// Outlines the marked places with their numbers.
    fn outline(&self, ui: &Ui, rect: Rect) {
        let painter = ui.painter().with_clip_rect(rect);
        let points = ui.ctx().pixels_per_point();
        let (origin, zoom) = (self.sight.view.origin(self.sight.pane), self.sight.view.zoom / f64::from(points));
        let at = |x: usize, y: usize| {
            rect.min + vec2(((x as f64 - origin[0]) * zoom) as f32, ((y as f64 - origin[1]) * zoom) as f32)
        };
        for (index, area) in self.marks.iter().enumerate() {
            let place = Rect::from_min_max(at(area.x, area.y), at(area.x + area.width, area.y + area.height));
            let line = Stroke::new(1.0, Color32::from_white_alpha(150));
            painter.rect_stroke(place, 2.0, line, StrokeKind::Outside);
            let text = (index + 1).to_string();
            let font = FontId::proportional(10.0);
            painter.text(
                place.left_top() + vec2(2.0, 0.0),
                Align2::LEFT_TOP,
                text,
                font,
                Color32::from_white_alpha(200),
            );
        }
    }

    fn captions(&self, ui: &Ui, rect: Rect, part: &PaneContent) {
        let painter = ui.painter().with_clip_rect(rect);
        let label = |place: eframe::egui::Pos2, align: Align2, text: &str| {
            let mut job = LayoutJob::simple_singleline(text.to_owned(), FontId::proportional(12.0), Color32::WHITE);
            job.wrap = TextWrapping::truncate_at_width((rect.width() - 28.0).max(20.0));
            let galley = painter.layout_job(job);
            let place = align.anchor_size(place, galley.size());
            painter.rect_filled(place.expand2(vec2(6.0, 3.0)), 5.0, Color32::from_black_alpha(150));
            painter.galley(place.min, galley, Color32::WHITE);
        };
        if part.mode == Mode::Split {
            let x = rect.left() + rect.width() * self.sight.split;
            painter.vline(x, rect.y_range(), Stroke::new(2.0, Color32::WHITE));
            let handle = Rect::from_center_size(pos2(x, rect.center().y), vec2(14.0, 34.0));
            let edge = Stroke::new(1.0, Color32::from_black_alpha(120));
            painter.rect(handle, 7.0, Color32::WHITE, edge, StrokeKind::Outside);
            for dx in [-2.0, 2.0] {
                painter.vline(x + dx, handle.y_range().shrink(9.0), Stroke::new(1.0, Color32::from_gray(90)));
            }
        }
        if !part.caption.is_empty() {
            label(rect.left_top() + vec2(14.0, 12.0), Align2::LEFT_TOP, &part.caption);
        }
        if !part.caption_right.is_empty() {
            label(pos2(rect.right() - 14.0, rect.top() + 12.0), Align2::RIGHT_TOP, &part.caption_right);
        }
        if matches!(part.mode, Mode::Difference | Mode::Overlay) {
            self.outline(ui, rect);
        }
        if part.legend {
            legend(ui, rect, self.gain);
        }
        if rect.width() > 40.0 {
            ui.painter().rect_stroke(rect, 0.0, Stroke::new(1.0, palette(ui).line), StrokeKind::Inside);
        }
    }
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

/// Whether a position lies in the result.
pub(crate) fn inside(document: &Document, position: [f64; 2]) -> bool {
    let size = document.result_size();
    (0..2).all(|axis| position[axis] >= 0.0 && position[axis] < size[axis] as f64)
}

/// Text where a picture would be.
pub(crate) fn centred_text(ui: &Ui, rect: Rect, text: &str) {
    let colours = palette(ui);
    let galley = ui.painter().layout(text.to_owned(), FontId::proportional(15.0), colours.weak, rect.width() * 0.7);
    ui.painter().galley(rect.center() - galley.size() / 2.0, galley, colours.weak);
}

/// What the colours of differences mean.
fn legend(ui: &Ui, rect: Rect, gain: f32) {
    let painter = ui.painter().with_clip_rect(rect);
    let bar = Rect::from_min_size(
        pos2(rect.left() + 20.0, rect.bottom() - 46.0),
        vec2(180.0_f32.min(rect.width() - 40.0), 10.0),
    );
    let ground = bar.expand2(vec2(12.0, 8.0)).with_max_y(bar.bottom() + 30.0);
    painter.rect_filled(ground, 6.0, Color32::from_black_alpha(170));
    let steps = 48;
    for step in 0..steps {
        let left = bar.left() + bar.width() * step as f32 / steps as f32;
        let right = left + bar.width() / steps as f32 + 0.5;
        let cell = Rect::from_min_max(pos2(left, bar.top()), pos2(right, bar.bottom()));
        painter.rect_filled(cell, 0.0, theme::heat((step as f32 + 0.5) / steps as f32));
    }
    let hottest = dualres_engine::HOTTEST / gain;
    let font = FontId::proportional(11.0);
    for (part, align) in [(0.0, Align2::LEFT_TOP), (0.5, Align2::CENTER_TOP), (1.0, Align2::RIGHT_TOP)] {
        let value = number(hottest * part, 1);
        let text = if part < 1.0 { value } else { tr!("≥ %{value} levels", value = value) };
        let place = pos2(bar.left() + bar.width() * part, bar.bottom() + 5.0);
        painter.text(place, align, text, font.clone(), Color32::WHITE);
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

/// Buttons to zoom, right to left.
pub(crate) fn zoom_buttons(ui: &mut Ui, view: &View, out: &mut Outbox) {
    if super::icon_button(ui, "+", &tr!("Zoom in"), &tr!("Zoom in (+)")).clicked() {
        out.push(Action::Zoom(2.0));
    }
    let zoom = view.zoom * 100.0;
    let zoom = format!("{} %", number(zoom, if zoom < 10.0 { 1 } else { 0 }));
    ui.add_sized([52.0, 20.0], eframe::egui::Label::new(eframe::egui::RichText::new(zoom).small()))
        .on_hover_text(tr!("Pixels of the screen for a pixel of the result"));
    if super::icon_button(ui, "−", &tr!("Zoom out"), &tr!("Zoom out (-)")).clicked() {
        out.push(Action::Zoom(0.5));
    }
    // A picture that fits at its own size is shown whole: one of the two is what was asked for.
    let exact = ui.selectable_label((view.zoom - 1.0).abs() < 1e-6 && !view.fits, "1:1");
    if exact.on_hover_text(tr!("One pixel on one pixel (Z)")).clicked() {
        out.push(Action::ActualSize);
    }
    let fit = ui.selectable_label(view.fits, tr!("Fit"));
    if fit.on_hover_text(tr!("The whole picture (F, or double click)")).clicked() {
        out.push(Action::Fit);
    }
}
