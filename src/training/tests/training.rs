//! Training runs on small synthetic pictures.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use dualres_imaging::{EncodeOptions, Picture, Plane, write};
use dualres_network::{Architecture, Description, Model, device::ComputeDevice};
use dualres_training::{
    BEST_FILE, Distillation, LAST_FILE, LOG_FILE, Progress, STATE_FILE, TrainConfig, TrainEvent, TrainingError, train,
};

struct Pictures {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn pictures(count: usize) -> Pictures {
    let folder = tempfile::tempdir().unwrap();
    let (width, height) = (72, 64);
    for index in 0..count {
        let plane = |phase: f32| {
            let data = (0..width * height)
                .map(|i| {
                    let (x, y) = ((i % width) as f32, (i / width) as f32);
                    let wave = (x * (0.2 + 0.05 * index as f32) + phase).sin() * (y * 0.23).cos();
                    (128.0 + 100.0 * wave).round()
                })
                .collect();
            Plane::new(width, height, data)
        };
        let picture = Picture::from_planes(vec![plane(0.0), plane(1.0), plane(2.0)]);
        write(&folder.path().join(format!("{index}.png")), &picture, EncodeOptions::default()).unwrap();
    }
    Pictures { path: folder.path().to_owned(), _folder: folder }
}

fn config(data: &Path) -> TrainConfig {
    TrainConfig {
        data: vec![data.to_owned()],
        validation: vec![data.to_owned()],
        patch: 12,
        batch: 4,
        steps: 12,
        warmup: 3,
        lr: 2e-3,
        validate_every: 6,
        ..TrainConfig::new("test", Architecture::new(2, 8, 1).unwrap())
    }
}

/// Runs and returns the steps; stops when `stop` says so.
fn run(config: &TrainConfig, folder: &Path, stop: impl Fn(&Progress) -> bool) -> Vec<Progress> {
    let mut steps = Vec::new();
    train(config, &ComputeDevice::cpu(), folder, &mut |event| {
        if let TrainEvent::Step(progress) = event {
            steps.push(*progress);
            if stop(progress) {
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    steps
}

#[test]
fn a_resumed_run_has_the_losses_of_an_uninterrupted_one() {
    let data = pictures(3);
    let folder = tempfile::tempdir().unwrap();
    let (whole, halves) = (folder.path().join("whole"), folder.path().join("halves"));
    let expected = run(&config(&data.path), &whole, |_| false);
    assert_eq!(expected.len(), 12);

    let first = run(&config(&data.path), &halves, |progress| progress.step == 5);
    assert_eq!(first.len(), 5);
    let second = run(&config(&data.path), &halves, |_| false);
    let losses = |steps: &[Progress]| steps.iter().map(|p| (p.step, p.loss, p.dual)).collect::<Vec<_>>();
    assert_eq!(losses(&[first, second].concat()), losses(&expected));

    let model = |folder: &Path, file| Model::read(&folder.join(file), &Device::flex()).unwrap().weights();
    assert_eq!(model(&whole, LAST_FILE), model(&halves, LAST_FILE));
    assert_eq!(model(&whole, BEST_FILE), model(&halves, BEST_FILE));

    let log = std::fs::read_to_string(halves.join(LOG_FILE)).unwrap();
    assert!(log.starts_with("step,lr,loss,primal,dual,"));
    assert_eq!(log.lines().count(), 1 + 3, "a row at the stop and at each validation: {log}");
}

/// Stopped just before a validation, a run catches up on it.
#[test]
fn a_run_stopped_at_a_validation_has_it_when_it_goes_on() {
    let data = pictures(3);
    let folder = tempfile::tempdir().unwrap();
    let (whole, halves) = (folder.path().join("whole"), folder.path().join("halves"));
    run(&config(&data.path), &whole, |_| false);
    run(&config(&data.path), &halves, |progress| progress.step == 6);
    run(&config(&data.path), &halves, |progress| progress.step == 12);
    run(&config(&data.path), &halves, |_| false);
    let curve = |folder: &Path| {
        let mut rows = csv::Reader::from_path(folder.join(LOG_FILE)).unwrap();
        let rows = rows.records().map(|row| row.unwrap().iter().map(str::to_owned).collect::<Vec<_>>());
        // Without the columns of speed and time.
        rows.map(|row| [&row[..6], &row[7..9]].concat()).collect::<Vec<_>>()
    };
    assert_eq!(curve(&halves), curve(&whole));
    let best = |folder: &Path| Model::read(&folder.join(BEST_FILE), &Device::flex()).unwrap().weights();
    assert_eq!(best(&halves), best(&whole));
}

#[test]
fn training_lowers_both_losses() {
    let data = pictures(3);
    let folder = tempfile::tempdir().unwrap();
    let steps = run(&TrainConfig { steps: 150, validate_every: 150, ..config(&data.path) }, folder.path(), |_| false);
    let mean = |steps: &[Progress], get: fn(&Progress) -> f64| steps.iter().map(get).sum::<f64>() / steps.len() as f64;
    let (early, late) = (&steps[..10], &steps[140..]);
    assert!(mean(late, |p| p.primal) < 0.5 * mean(early, |p| p.primal));
    assert!(mean(late, |p| p.dual) < 0.5 * mean(early, |p| p.dual));
}

#[test]
fn without_dual_loss_the_dual_models_stay_as_they_are() {
    let data = pictures(2);
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { lambda: 0.0, ..config(&data.path) };
    let steps = run(&config, folder.path(), |_| false);
    assert!(steps.iter().all(|p| p.dual == 0.0 && p.loss == p.primal));
    let trained = Model::read(&folder.path().join(LAST_FILE), &Device::flex()).unwrap();
    let start = Model::init(config.architecture.describe("start").unwrap(), config.seed, &Device::flex()).unwrap();
    let close = |a: &Model, b: &Model, prefix: &str| {
        let (a, b) = (a.weights().under(prefix), b.weights().under(prefix));
        a.0.iter().all(|(name, weight)| weight.values.iter().zip(&b.0[name].values).all(|(a, b)| (a - b).abs() < 1e-6))
    };
    assert!(close(&trained, &start, "dual."));
    assert!(!close(&trained, &start, "model."));
}

#[test]
fn training_goes_on_from_a_model_file() {
    let data = pictures(2);
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("first");
    run(&config(&data.path), &first, |_| false);
    let init = Some(first.join(LAST_FILE));
    let second = TrainConfig { init: init.clone(), steps: 1, lr: 1e-12, lr_min: 0.0, ema: 0.0, ..config(&data.path) };
    run(&second, &folder.path().join("second"), |_| false);
    let weights = |path: &Path| Model::read(path, &Device::flex()).unwrap().weights();
    let (a, b) = (weights(&first.join(LAST_FILE)), weights(&folder.path().join("second").join(LAST_FILE)));
    let gap = a.0.iter().flat_map(|(name, w)| w.values.iter().zip(&b.0[name].values)).map(|(a, b)| (a - b).abs());
    assert!(gap.fold(0.0, f32::max) < 1e-6);

    // More blocks are added to those that are there; other features make another network.
    let more = TrainConfig { architecture: Architecture::new(2, 8, 2).unwrap().into(), ..second };
    run(&more, &folder.path().join("more"), |_| false);
    let more = weights(&folder.path().join("more").join(LAST_FILE));
    let name = "model.up_blocks.0.0.body.0.weight";
    let gap = a.0[name].values.iter().zip(&more.0[name].values).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(gap < 1e-6 && more.0.contains_key("model.up_blocks.0.1.body.0.weight"));

    let other = TrainConfig { init, architecture: Architecture::new(2, 16, 1).unwrap().into(), ..config(&data.path) };
    let error = train(&other, &ComputeDevice::cpu(), &folder.path().join("third"), &mut |_| ControlFlow::Continue(()));
    assert!(error.unwrap_err().to_string().contains("another one"));
}

#[test]
fn a_folder_with_another_run_is_not_touched() {
    let data = pictures(2);
    let folder = tempfile::tempdir().unwrap();
    run(&config(&data.path), folder.path(), |_| false);
    let before = std::fs::read(folder.path().join(STATE_FILE)).unwrap();
    let other = TrainConfig { lambda: 0.3, ..config(&data.path) };
    let error = train(&other, &ComputeDevice::cpu(), folder.path(), &mut |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().contains("lambda: 0.1 there, 0.3 here"), "{error}");
    assert_eq!(std::fs::read(folder.path().join(STATE_FILE)).unwrap(), before);

    std::fs::write(folder.path().join(STATE_FILE), &before[..before.len() / 2]).unwrap();
    let error = train(&config(&data.path), &ComputeDevice::cpu(), folder.path(), &mut |_| ControlFlow::Continue(()));
    assert!(error.unwrap_err().to_string().contains(STATE_FILE));
}

#[test]
fn unusable_pictures_are_named_and_the_rest_is_used() {
    let data = pictures(2);
    std::fs::write(data.path.join("broken.png"), b"no picture").unwrap();
    let small = Picture::from_planes(vec![Plane::filled(10, 10, 3.0)]);
    write(&data.path.join("small.png"), &small, EncodeOptions::default()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut unusable = Vec::new();
    let config = TrainConfig { validation: Vec::new(), steps: 2, ..config(&data.path) };
    train(&config, &ComputeDevice::cpu(), folder.path(), &mut |event| {
        match event {
            TrainEvent::Started { pictures, .. } => assert_eq!(*pictures, 2),
            TrainEvent::Unusable(picture) => unusable.push(picture.path.clone()),
            _ => {}
        }
        ControlFlow::Continue(())
    })
    .unwrap();
    assert_eq!(unusable, [data.path.join("broken.png"), data.path.join("small.png")]);

    let empty = tempfile::tempdir().unwrap();
    let none = TrainConfig { data: vec![empty.path().to_owned()], ..config };
    let error = train(&none, &ComputeDevice::cpu(), &folder.path().join("x"), &mut |_| ControlFlow::Continue(()));
    assert!(matches!(error, Err(TrainingError::NoPictures { side: 24, .. })));
}

/// A learning rate that destroys the network: steps are skipped, and the run ends with a sentence.
#[test]
fn a_blow_up_is_skipped_and_then_reported() {
    let data = pictures(2);
    let folder = tempfile::tempdir().unwrap();
    let config = TrainConfig { lr: 1e6, warmup: 0, steps: 400, validation: Vec::new(), ..config(&data.path) };
    let mut skipped = 0;
    let error = train(&config, &ComputeDevice::cpu(), folder.path(), &mut |event| {
        if let TrainEvent::Step(progress) = event {
            skipped += usize::from(progress.skipped);
        }
        ControlFlow::Continue(())
    })
    .unwrap_err();
    assert!(matches!(error, TrainingError::BlewUp { .. }), "{error}");
    assert!(skipped >= 100);
}

/// A network that learns from itself has nothing to learn from that; one that learns from another does.
#[test]
fn distillation_pulls_towards_the_larger_network() {
    let data = pictures(2);
    let folder = tempfile::tempdir().unwrap();
    let teacher = |name: &str, seed: u64| {
        let architecture = Architecture::new(2, 8, 2).unwrap();
        let model = Model::init(Description::drn(name, &architecture).unwrap(), seed, &Device::flex()).unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, model.to_bytes()).unwrap();
        path
    };
    let trained = |name: &str, distillation: Option<Distillation>| {
        let config = TrainConfig { distillation, validation: Vec::new(), ..config(&data.path) };
        run(&config, &folder.path().join(name), |_| false);
        Model::read(&folder.path().join(name).join(LAST_FILE), &Device::flex()).unwrap().weights()
    };
    let alone = trained("alone", None);
    let with = |seed| {
        Some(Distillation { teacher: teacher(&format!("teacher{seed}"), seed), weight: 1.0, level: Default::default() })
    };
    let (one, other) = (trained("one", with(7)), trained("other", with(8)));
    assert_ne!(alone, one);
    assert_ne!(one, other);

    let wrong = folder.path().join("wrong");
    let large =
        Model::init(Description::drn("x4", &Architecture::new(4, 8, 1).unwrap()).unwrap(), 1, &Device::flex()).unwrap();
    std::fs::write(&wrong, large.to_bytes()).unwrap();
    let config = TrainConfig {
        distillation: Some(Distillation { teacher: wrong, weight: 1.0, level: Default::default() }),
        ..config(&data.path)
    };
    let error = train(&config, &ComputeDevice::cpu(), &folder.path().join("scale"), &mut |_| ControlFlow::Continue(()));
    assert!(error.unwrap_err().to_string().contains("another scale"));
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let data = pictures(1);
    for (wrong, what) in [
        (TrainConfig { data: vec![], ..config(&data.path) }, "folder"),
        (TrainConfig { patch: 4, ..config(&data.path) }, "patch"),
        (TrainConfig { batch: 0, ..config(&data.path) }, "batch"),
        (TrainConfig { lr: f64::NAN, ..config(&data.path) }, "learning rate"),
        (TrainConfig { ema: 1.0, ..config(&data.path) }, "EMA decay must be below 1, not 1"),
        (TrainConfig { lr_min: 1.0, ..config(&data.path) }, "final learning rate, 1, must not be above"),
    ] {
        let message = wrong.validate().unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    }
}
