//! What a frame of the window costs the thread that draws it, drawing itself left out: 60 frames a second leave 16.7 ms.
//!
//! `cargo bench -p dualres --bench frame` prints the time of a frame at rest, while a picture is upscaled on the CPU,
//! with thousands of pictures in the queue, and on the Compress tab while a run computes.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark fails by panicking and has no users")]

use std::{path::PathBuf, sync::Arc, time::Duration};

use criterion::{Criterion, criterion_group, criterion_main};
use dualres_app::{
    paths::Paths,
    window::{Setup, Window, queue::State, settings::Settings},
};
use dualres_network::device;
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

    let mut harness = window(&home.path().join("one"), std::slice::from_ref(&path));
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
    drop(harness);

    // A run of a hundred thousand steps, its curves and those of another one drawn over it, while a third computes.
    let home = home.path().join("compress");
    let runs = home.join("data/compress/runs");
    for name in ["long", "longer"] {
        long_run(&runs.join(name), name, 100_000);
    }
    let mut harness = window(&home, &[]);
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Num2);
    harness.step();
    // Layers are measured when asked.
    harness.key_press_modifiers(Modifiers::NONE, Key::L);
    harness.step();
    let wait = |harness: &mut Harness<'static, Window>, what: fn(&Window) -> bool| {
        while !what(harness.state()) {
            harness.step();
            std::thread::sleep(Duration::from_millis(5));
        }
        harness.run_steps(20);
    };
    wait(&mut harness, |window| window.compress().runs().iter().count() == 2 && window.compress().is_ready());
    group.bench_function("on the Compress tab at rest", |b| b.iter(|| harness.step()));
    harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
    wait(&mut harness, |window| window.compress().runs().running().is_some());
    let ids: Vec<_> = harness.state().compress().runs().iter().map(|run| run.id).collect();
    ids.into_iter().for_each(|id| harness.state_mut().overlay(id));
    group.bench_function("with curves of 100,000 steps while a run computes", |b| b.iter(|| harness.step()));
    eframe::App::on_exit(harness.state_mut());

    // On a graphics adapter, a software driver where there is nothing better; the window's thread only waits for its turn.
    if let Ok(gpu) = device::choose("gpu").or_else(|_| device::choose("software")) {
        let home = home.join("gpu");
        std::fs::create_dir_all(home.join("config")).unwrap();
        let mut settings = Settings::default();
        (settings.choices.device, settings.live_preview) = (gpu.name, false);
        std::fs::write(home.join("config/settings.json"), serde_json::to_string(&settings).unwrap()).unwrap();
        let mut harness = window(&home, std::slice::from_ref(&path));
        harness.key_press_modifiers(Modifiers::COMMAND, Key::Enter);
        let runs = |harness: &Harness<'static, Window>| matches!(&harness.state().queue().items()[0].state, State::Running(progress) if progress.stage.contains("tile"));
        while !runs(&harness) {
            harness.step();
            std::thread::sleep(Duration::from_millis(5));
        }
        group.bench_function("while upscaling on a graphics adapter", |b| b.iter(|| harness.step()));
        assert!(
            matches!(harness.state().queue().items()[0].state, State::Running(_)),
            "the run outlasts the measurement"
        );
        eframe::App::on_exit(harness.state_mut());
    }
    group.finish();
}

/// The folder of a run with curves as long as those of a night.
fn long_run(folder: &std::path::Path, name: &str, steps: usize) {
    let model = dualres_app::library::Library::new(folder.to_owned()).load("x2").unwrap();
    let mut config = dualres_compression::CompressConfig::new(name, 0.5);
    config.data = vec![folder.to_owned()];
    config.finetune.steps = steps;
    std::fs::create_dir_all(folder).unwrap();
    let begun = serde_json::json!({"config": config, "data_hash": ""});
    std::fs::write(folder.join(dualres_compression::CONFIG_FILE), begun.to_string()).unwrap();
    std::fs::write(folder.join(dualres_compression::ORIGINAL_FILE), model.to_bytes()).unwrap();
    let mut rows = "stage,step,primal,dual,total,psnr_y,kept_macs,kept_parameters,entropy,seconds\n".to_owned();
    for step in 1..=steps {
        let loss = 5.0 + 30.0 / (step as f64).sqrt() + (step as f64 * 0.37).sin();
        rows += &format!("finetune,{step},{loss},1.0,{},,0.5,0.5,,{step}\n", loss + 0.1);
    }
    std::fs::write(folder.join(dualres_compression::EVENTS_FILE), rows).unwrap();
}

criterion_group!(benches, frames);
criterion_main!(benches);
