//! What a frame of the window costs the thread that draws it, drawing itself left out: 60 frames a second leave 16.7 ms.
//!
//! `cargo bench -p dualres --bench frame` prints the time of a frame at rest, while a picture is upscaled on the CPU, and
//! with thousands of pictures in the queue.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking and has no users")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use dualres_app::{
    paths::Paths,
    window::{Setup, Window, queue::State},
};
use eframe::egui::{DroppedFile, Key, Modifiers};
use egui_kittest::Harness;

#[derive(Debug)]
struct Dropped(PathBuf);

impl DroppedFile for Dropped {
    fn path(&self) -> &std::path::Path {
        &self.0
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        std::fs::read(&self.0).map_err(|error| error.to_string())
    }
}

fn window(home: &std::path::Path, pictures: &[PathBuf]) -> Harness<'static, Window> {
    let setup = Setup::of_program(Paths::under(home), Vec::new());
    let mut harness = Harness::builder().with_size([1280.0, 800.0]).build_eframe(|cc| Window::new(cc, setup).unwrap());
    for path in pictures {
        harness.input_mut().dropped_files.push(Arc::new(Dropped(path.clone())));
    }
    while harness.state().queue().items().len() < pictures.len() {
        harness.step();
        std::thread::sleep(Duration::from_millis(5));
    }
    harness
}

fn frames(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("frame");
    group.sample_size(50).measurement_time(Duration::from_secs(5));
    let home = tempfile::tempdir().unwrap();
    let sample = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples/rocket.jpg");
    let photo = dualres_imaging::read(&sample).unwrap();
    // Four by four times the sample: minutes of work on a CPU.
    let tiled = |plane: &dualres_imaging::Plane| {
        let mut data = Vec::new();
        for y in 0..plane.height * 4 {
            (0..4).for_each(|_| data.extend_from_slice(plane.row(y % plane.height)));
        }
        dualres_imaging::Plane::new(plane.width * 4, plane.height * 4, data)
    };
    let large = dualres_imaging::Picture::from_planes(photo.planes.iter().map(tiled).collect());
    let path = home.path().join("large.jpg");
    dualres_imaging::write(&path, &large, Default::default()).unwrap();

    let mut harness = window(&home.path().join("one"), &[path]);
    harness.run_steps(20);
    group.bench_function("at rest", |b| b.iter(|| harness.step()));
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    harness.run_steps(3);
    group.bench_function("while upscaling on the CPU", |b| b.iter(|| harness.step()));
    assert!(matches!(harness.state().queue().items()[0].state, State::Running(_)), "the run outlasts the measurement");
    eframe::App::on_exit(harness.state_mut());
    drop(harness);

    let many: Vec<PathBuf> = (0..5_000)
        .map(|n| {
            let path = home.path().join(format!("{n}.png"));
            std::fs::write(&path, "").unwrap();
            path
        })
        .collect();
    let mut harness = window(&home.path().join("many"), &many);
    harness.run_steps(20);
    group.bench_function("with 5,000 pictures in the queue", |b| b.iter(|| harness.step()));
    group.finish();
}

criterion_group!(benches, frames);
criterion_main!(benches);
