//! What the window looks like, against pictures that a person has looked at.
//!
//! `UPDATE_SNAPSHOTS=1 cargo test --release --workspace --test window_snapshots` makes them anew; look at
//! each before committing it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{COMMAND, Deeds, NO_KEYS, device, home_with_tiny_model, may_skip, picture};
use dualres_app::window::{
    Window,
    document::Patch,
    worker::{self, Command, WorkerReport},
};
use dualres_engine::Area;
use eframe::egui::{self, Key};
use egui_kittest::{Harness, SnapshotOptions, kittest::Queryable};

/// The only place that says how much a picture may differ: drivers round differently, and letters have soft edges.
fn tolerance() -> SnapshotOptions {
    SnapshotOptions::new().threshold(1.0).max_failed_pixels(400_usize)
}

/// A drawn window whose worker says nothing by itself, so that it looks the same on every machine.
fn drawn(home: &std::path::Path, size: [f32; 2], points: f32) -> (Harness<'static, Window>, worker::FarEnd) {
    let paths = home_with_tiny_model(home);
    let (setup, ends) = common::played(&paths);
    let mut harness = Harness::builder()
        .with_size(size)
        .with_pixels_per_point(points)
        .wgpu()
        .build_eframe(|cc| Window::new(cc, setup).unwrap());
    harness.run_steps(4);
    (harness, ends.recv().unwrap())
}

fn take(harness: &mut Harness<'static, Window>, name: &str) {
    take_without(harness, name, &[]);
}

/// Takes a picture without the parts `masked`, which are not the same on every machine.
fn take_without(harness: &mut Harness<'static, Window>, name: &str, masked: &[egui::Rect]) {
    harness.remove_cursor();
    harness.run_steps(2);
    // Memory, progress and temporary folders are not the same twice.
    let size = harness.ctx.content_rect().size();
    harness.mask(egui::Rect::from_min_max(egui::pos2(0.0, size.y - 30.0), size.to_pos2()));
    let path = harness.query_by_label_contains("tiny.safetensors").map(|node| node.rect());
    path.into_iter().chain(masked.iter().copied()).for_each(|rect| harness.mask(rect));
    harness.snapshot_options(name, &tolerance());
}

#[test]
fn an_empty_small_window_on_a_fine_screen() {
    if device().is_none() && may_skip("there is no graphics adapter") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (mut harness, _far) = drawn(home.path(), [1024.0, 640.0], 2.0);
    take(&mut harness, "empty");
}

#[test]
fn the_models_in_the_light() {
    if device().is_none() && may_skip("there is no graphics adapter") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (mut harness, _far) = drawn(home.path(), [1100.0, 700.0], 1.0);
    harness.key(COMMAND, Key::T);
    harness.key(COMMAND, Key::Num3);
    take(&mut harness, "models");
}

/// A result of which one tile has arrived, split at the middle, by the shader.
#[test]
fn a_split_picture_while_its_tiles_arrive() {
    if device().is_none() && may_skip("there is no graphics adapter") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let (mut harness, far) = drawn(home.path(), [1100.0, 700.0], 1.0);
    let path = home.path().join("photo.png");
    common::write_picture(&path, 120, 90);
    harness.drop_files(&[&path]);
    harness.await_that("the picture", |h| h.sees("photo.png: waiting") && h.sees("Reconstruction"));
    harness.key(NO_KEYS, Key::Num2);
    harness.press("Upscale 1 picture");
    let job =
        far.commands.try_iter().find_map(|command| if let Command::Upscale(job) = command { Some(job) } else { None });
    let item = job.unwrap().item;
    let tile = Area { x: 0, y: 0, width: 240, height: 100 };
    let patch = Patch::of(&picture(240, 180), tile);
    far.reports.send(WorkerReport::Progress { item, stage: "tile 1 of 2".into(), done: 0.5 }).unwrap();
    far.reports.send(WorkerReport::Pixels { item, scale: 2, patch }).unwrap();
    harness.await_sight("photo.png: tile 1 of 2");
    take(&mut harness, "split");
}

/// A run that was stopped while fine-tuning, its curves as they are drawn: stages, gaps between them, legend, axes.
#[test]
fn the_curves_of_a_run() {
    if device().is_none() && may_skip("there is no graphics adapter") {
        return;
    }
    let home = tempfile::tempdir().unwrap();
    let folder = home_with_tiny_model(home.path()).data.join("compress/runs/drawn");
    common::run_with_curves(&folder, 60);
    let (mut harness, _far) = drawn(home.path(), [1280.0, 720.0], 1.0);
    harness.key(COMMAND, Key::Num2);
    harness.press("Runs");
    harness.await_that("the run", |h| h.state().compress().runs().iter().count() == 1);
    harness.run_steps(3);
    harness.get_by_role_and_label(egui::accesskit::Role::Row, "drawn").click();
    harness.run_steps(3);
    harness.press("Curves");
    // What the sensitivity profile says of a network differs in the last digit from machine to machine.
    let side = |left: f32| egui::Rect::from_min_size(egui::pos2(left, 42.0), egui::vec2(289.0, 678.0));
    harness.run_steps(10);
    take_without(&mut harness, "curves", &[side(0.0), side(991.0)]);
}
