//! Adapting to pictures without truth, on tiny networks, and what is estimated of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor, TensorData};
use dualres_imaging::{EncodeOptions, Format, Picture, Plane, Subsampling, encode, write};
use dualres_network::{
    Architecture, Backbone, BlockKind, Blueprint, Model, Pooling, device::ComputeDevice, unpaired_dual_loss,
};
use dualres_training::{
    Adaptation, BEST_FILE, Degradation, Known, LAST_FILE, LOG_FILE, Reduction, Survey, TrainConfig, TrainEvent,
    TrainingError, Validation, reduced, train,
};

fn texture(width: usize, height: usize, phase: f32) -> Picture {
    let plane = |shift: f32| {
        let at = |i: usize| {
            let (x, y) = ((i % width) as f32, (i / width) as f32);
            let wave = (x * 0.9 + phase).sin() * (y * 0.7 + shift).cos() + (x * 0.11 - y * 0.17 + phase).sin();
            (128.0 + 55.0 * wave).round()
        };
        Plane::new(width, height, (0..width * height).map(at).collect())
    };
    Picture::from_planes(vec![plane(0.0), plane(1.0), plane(2.0)])
}

/// Pictures with truth, one to validate with, blurred ones without truth, and a network that was trained for a few steps.
struct World {
    folder: tempfile::TempDir,
    architecture: Blueprint,
}

fn blurred() -> Degradation {
    Degradation::Known(Known { reduction: Reduction::blur(1.5), noise: 0.0, jpeg: None })
}

impl World {
    fn new(architecture: impl Into<Blueprint>) -> Self {
        let world = Self { folder: tempfile::tempdir().unwrap(), architecture: architecture.into() };
        for name in ["paired", "held", "theirs"] {
            std::fs::create_dir(world.path(name)).unwrap();
        }
        let put = |path: PathBuf, phase| write(&path, &texture(96, 80, phase), EncodeOptions::default()).unwrap();
        put(world.path("paired/a.png"), 0.0);
        put(world.path("paired/b.png"), 1.3);
        put(world.path("held/c.png"), 2.1);
        for (index, phase) in [3.0, 4.4].into_iter().enumerate() {
            let large = world.path("large.png");
            put(large.clone(), phase);
            let small = reduced(&large, 2, blurred().reduction()).unwrap();
            write(&world.path("theirs").join(format!("{index}.png")), &small, EncodeOptions::default()).unwrap();
        }
        let config = TrainConfig {
            data: vec![world.path("paired")],
            steps: 60,
            ..world.config(TrainConfig::new("start", world.architecture.clone()))
        };
        run(&config, &world.path("start"), |_| false).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn config(&self, base: TrainConfig) -> TrainConfig {
        TrainConfig { patch: 12, batch: 4, warmup: 3, lr: 2e-3, ema: 0.9, validate_every: 10, ..base }
    }

    fn adaptation(&self, steps: usize, degradation: Option<Degradation>) -> TrainConfig {
        TrainConfig {
            data: vec![self.path("paired")],
            validation: vec![self.path("held")],
            steps,
            degradation,
            init: Some(self.path("start").join(LAST_FILE)),
            adaptation: Some(Adaptation::new(vec![self.path("theirs")], steps)),
            ..self.config(TrainConfig::new("adapted", self.architecture.clone()))
        }
    }
}

fn drn() -> Architecture {
    Architecture::new(2, 8, 1).unwrap()
}

/// What a run told.
#[derive(Default)]
struct Told {
    losses: Vec<f64>,
    unpaired: Vec<f64>,
    validations: Vec<Validation>,
    warnings: Vec<String>,
}

fn run(config: &TrainConfig, folder: &Path, stop: impl Fn(usize) -> bool) -> Result<Told, TrainingError> {
    let mut told = Told::default();
    train(config, &ComputeDevice::cpu(), folder, &mut |event| {
        match event {
            TrainEvent::Step(progress) => {
                told.losses.push(progress.loss);
                told.unpaired.push(progress.unpaired);
                if stop(progress.step) {
                    return ControlFlow::Break(());
                }
            }
            TrainEvent::Validated { validation, .. } => told.validations.push(*validation),
            TrainEvent::Warning(text) => told.warnings.push(text.clone()),
            TrainEvent::Started { .. } | TrainEvent::Unusable(_) => {}
        }
        ControlFlow::Continue(())
    })?;
    Ok(told)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// On what has no truth the loop closes better, and what has truth does not get worse than the guard allows; for a network of
/// several levels, whose loop leads through all dual models, and for one of a single jump.
#[test]
fn the_loop_of_unpaired_pictures_closes_and_paired_quality_stays() {
    let single = Backbone { block: BlockKind::Residual, scale: 2, features: 8, blocks: 1 };
    for architecture in [Blueprint::Drn(Architecture::new(4, 8, 1).unwrap()), Blueprint::Backbone(single)] {
        let world = World::new(architecture);
        // Of scale 4, inputs are a quarter of the pictures; those without truth stay as they are.
        let config = world.adaptation(80, None);
        let told = run(&config, &world.path("run"), |_| false).unwrap();
        assert!(told.unpaired.iter().all(|&loss| loss > 0.0));
        let steps = told.unpaired.len();
        let (early, late) = (mean(&told.unpaired[20..30]), mean(&told.unpaired[steps - 10..]));
        assert!(late < 0.9 * early, "{early} at first, {late} at the end");
        let guard = config.adaptation.as_ref().unwrap().guard;
        // Those of the last validation, or of the one before the guard ended it.
        let kept = Model::read(&world.path("run").join(BEST_FILE), &Device::flex()).unwrap();
        let kept = kept.description.metrics.iter().find(|metric| metric.name == "psnr_y").unwrap().value;
        assert!(kept >= told.validations[0].psnr_y - guard, "{:?}", told.validations);
        let log = std::fs::read_to_string(world.path("run").join(LOG_FILE)).unwrap();
        assert!(log.lines().next().unwrap().contains("unpaired"));
    }
}

/// Of pictures unlike all paired ones: adapted to them the loop closes better there than adapted to others, with everything else
/// alike.
#[test]
fn it_is_the_unpaired_pictures_that_are_learned_from() {
    let world = World::new(drn());
    let side = 40;
    let mut state = 1_u32;
    let mut random = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as f32
    };
    let noise = Picture::from_planes(
        (0..3).map(|_| Plane::new(side, side, (0..side * side).map(|_| random()).collect())).collect(),
    );
    let flat = Picture::from_planes(vec![Plane::filled(side, side, 100.0); 3]);
    let adapted = |name: &str, picture: &Picture| {
        std::fs::create_dir(world.path(name)).unwrap();
        write(&world.path(name).join("a.png"), picture, EncodeOptions::default()).unwrap();
        let adaptation = Adaptation { fraction: 0.5, guard: 1e3, ..Adaptation::new(vec![world.path(name)], 80) };
        let config = TrainConfig { lambda: 2.0, adaptation: Some(adaptation), ..world.adaptation(80, None) };
        let run_folder = world.path(&format!("{name}-run"));
        run(&config, &run_folder, |_| false).unwrap();
        let model = Model::read(&run_folder.join(LAST_FILE), &Device::flex()).unwrap();
        let samples: Vec<f32> = noise.planes.iter().flat_map(|plane| plane.data.iter().copied()).collect();
        let input = Tensor::<4>::from_data(TensorData::new(samples, [1, 3, side, side]), &Device::flex());
        let result = model.primal.upscale(input.clone(), Pooling::Global);
        unpaired_dual_loss(result, &input, &model).into_scalar::<f32>()
    };
    let (to_noise, to_flat) = (adapted("noise", &noise), adapted("flat", &flat));
    assert!(to_noise < 0.9 * to_flat, "{to_noise} adapted to it, {to_flat} adapted to another");
}

/// What is known of the blur shows on held-out pictures that are blurred alike.
#[test]
fn with_the_right_degradation_blurred_pictures_become_sharp() {
    let world = World::new(drn());
    let told = run(&world.adaptation(80, Some(blurred())), &world.path("run"), |_| false).unwrap();
    let (first, last) = (told.validations[0].psnr_y, told.validations.last().unwrap().psnr_y);
    assert!(last > first + 1.0, "{first} dB, then {last} dB");
}

/// Stopped before and after dual models begin to learn, a run has the losses of an uninterrupted one, and ends with the same weights.
#[test]
fn a_resumed_adaptation_is_that_of_an_uninterrupted_one() {
    let world = World::new(drn());
    let config = world.adaptation(24, Some(blurred()));
    let whole = run(&config, &world.path("whole"), |_| false).unwrap();
    assert_eq!(whole.losses.len(), 24);
    let mut losses = Vec::new();
    for stop in [3, 9, usize::MAX] {
        let part = run(&config, &world.path("parts"), |step| step == stop).unwrap();
        // Each session says what the run began with.
        assert_eq!(part.validations[0], whole.validations[0]);
        losses.extend(part.losses);
    }
    assert_eq!(losses, whole.losses);
    for file in [BEST_FILE, LAST_FILE] {
        let weights = |name: &str| Model::read(&world.path(name).join(file), &Device::flex()).unwrap().weights();
        assert!(weights("whole") == weights("parts"), "{file}");
    }
}

/// While they are frozen, dual models are those of the beginning.
#[test]
fn dual_models_wait() {
    let world = World::new(drn());
    let config = world.adaptation(24, Some(blurred()));
    let duals = |folder: &str, file: &str| {
        Model::read(&world.path(folder).join(file), &Device::flex()).unwrap().weights().under("dual.")
    };
    run(&config, &world.path("run"), |step| step == 6).unwrap();
    assert!(duals("run", LAST_FILE) == duals("start", LAST_FILE));
    run(&config, &world.path("run"), |step| step == 9).unwrap();
    assert!(duals("run", LAST_FILE) != duals("start", LAST_FILE));
}

/// A learning rate that ruins the network: the run ends by itself, what is kept is from before, and it stays ended.
#[test]
fn what_makes_paired_pictures_worse_is_not_kept() {
    let world = World::new(drn());
    // Nothing to gain, and steps far too large.
    let config = TrainConfig { lr: 0.3, skip_threshold: 1e9, validate_every: 2, ..world.adaptation(40, None) };
    let told = run(&config, &world.path("run"), |_| false).unwrap();
    assert!(told.losses.len() < 40, "it went on to the end");
    assert!(told.warnings.iter().any(|text| text.contains("has fallen")), "{:?}", told.warnings);
    let before = told.validations[0].psnr_y;
    let kept = Model::read(&world.path("run").join(BEST_FILE), &Device::flex()).unwrap();
    let psnr = kept.description.metrics.iter().find(|metric| metric.name == "psnr_y").unwrap().value;
    assert!(psnr >= before - 0.1, "{psnr} of {before} dB");
    let again = run(&config, &world.path("run"), |_| false).unwrap();
    assert!(again.losses.is_empty());
}

#[test]
fn what_cannot_be_adapted_is_refused_with_the_reason() {
    let world = World::new(drn());
    let refused = |config: &TrainConfig| match run(config, &world.path("refused"), |_| false) {
        Err(error) => error.to_string(),
        Ok(_) => panic!("it was taken"),
    };
    let good = world.adaptation(10, None);
    let with = |change: &dyn Fn(&mut Adaptation)| {
        let mut config = good.clone();
        change(config.adaptation.as_mut().unwrap());
        config
    };
    assert!(refused(&with(&|a| a.fraction = 1.5)).contains("1.5"));
    assert!(refused(&with(&|a| a.guard = f64::NAN)).contains("guard"));
    assert!(refused(&with(&|a| a.pictures.clear())).contains("at least one"));
    assert!(refused(&TrainConfig { batch: 1, ..good.clone() }).contains("at least 2"));
    assert!(refused(&TrainConfig { validation: Vec::new(), ..good.clone() }).contains("validation"));
    assert!(refused(&TrainConfig { lambda: 0.0, ..good.clone() }).contains("dual regression loss"));
    // Smaller than a patch.
    let dot = world.path("dot.png");
    write(&dot, &texture(5, 5, 0.0), EncodeOptions::default()).unwrap();
    assert!(refused(&with(&|a| a.pictures = vec![dot.clone()])).contains("at least 12x12"));
    // Without dual models there is no loop.
    let start = world.path("start").join(LAST_FILE);
    let bare = Model::read(&start, &Device::flex()).unwrap().without_duals();
    let file = world.path("bare.safetensors");
    std::fs::write(&file, bare.to_bytes()).unwrap();
    assert!(refused(&TrainConfig { init: Some(file), ..good }).contains("no dual model"));
    assert!(!world.path("refused").exists(), "what did not begin leaves nothing");
}

/// The picture inside the program that a degradation was done to.
fn sample(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples").join(name)
}

/// Noise and JPEG quality are read off one photo, and its blur is found by the spectra of others.
#[test]
fn what_happened_to_photos_is_estimated_by_others() {
    let known: Vec<PathBuf> = ["chelsea.png", "coffee.png", "rocket.jpg"].map(sample).to_vec();
    let folder = tempfile::tempdir().unwrap();
    let estimated = |how: &str| {
        let how: Degradation = how.parse().unwrap();
        let small = reduced(&sample("astronaut.png"), 2, how.reduction()).unwrap();
        let Degradation::Known(known_how) = how else { panic!("photo") };
        let plain = Degradation::Known(Known { jpeg: None, ..known_how });
        let picture = plain.degrade(&small, 7, 1).unwrap();
        let path = match known_how.jpeg {
            Some(quality) => {
                let bytes = encode(
                    &picture,
                    Format::Jpeg,
                    EncodeOptions { quality, subsampling: Subsampling::Full, ..EncodeOptions::default() },
                );
                let path = folder.path().join("photo.jpg");
                std::fs::write(&path, bytes.unwrap()).unwrap();
                path
            }
            None => {
                let path = folder.path().join("photo.png");
                write(&path, &picture, EncodeOptions::default()).unwrap();
                path
            }
        };
        let mut go_on = || ControlFlow::Continue(());
        let survey = Survey::of(&[path], &mut go_on).unwrap();
        survey.estimate(&known, 2, &mut go_on).unwrap().known
    };
    let sigma = |known: Known| match known.reduction {
        Reduction::Blur { sigma, .. } => sigma,
        Reduction::Bicubic | Reduction::Nearest => 0.0,
    };
    for true_sigma in [1.2, 1.6, 2.0] {
        let found = estimated(&format!("blur={true_sigma}"));
        assert!((sigma(found) - true_sigma).abs() <= 0.3 * true_sigma, "{found} for {true_sigma}");
        assert_eq!((found.noise, found.jpeg), (0.0, None));
    }
    let sharp = estimated("bicubic");
    assert!(sigma(sharp) <= 1.0, "{sharp}");
    let noisy = estimated("blur=1.6,noise=10");
    assert!((8.0..=12.0).contains(&noisy.noise), "{noisy}");
    assert!((1.0..=2.2).contains(&sigma(noisy)), "{noisy}");
    assert_eq!(estimated("jpeg=60").jpeg, Some(60));
}

#[test]
fn cameras_are_told_apart_by_exif() {
    let tag = |id: u16, text: &str, at: u32| {
        let mut entry = [id.to_le_bytes(), 2_u16.to_le_bytes()].concat();
        entry.extend((text.len() as u32 + 1).to_le_bytes());
        entry.extend(at.to_le_bytes());
        entry
    };
    let exif = |make: &str, model: &str| {
        let mut block = b"II*\0\x08\0\0\0\x02\0".to_vec();
        let at = 8 + 2 + 2 * 12 + 4;
        block.extend(tag(0x010F, make, at));
        block.extend(tag(0x0110, model, at + make.len() as u32 + 1));
        block.extend([0; 4]);
        block.extend(format!("{make}\0{model}\0").bytes());
        Some(block)
    };
    let folder = tempfile::tempdir().unwrap();
    for (index, (make, model)) in
        [("Canon", "Canon EOS 5D"), ("Canon", "Canon EOS 5D"), ("Apple", "iPhone 15")].into_iter().enumerate()
    {
        let mut picture = texture(64, 64, index as f32);
        picture.metadata.exif = exif(make, model);
        write(&folder.path().join(format!("{index}.png")), &picture, EncodeOptions::default()).unwrap();
    }
    let survey = Survey::of(&[folder.path().to_owned()], &mut || ControlFlow::Continue(())).unwrap();
    assert_eq!(survey.cameras, ["Apple iPhone 15", "Canon EOS 5D"]);
    assert_eq!(survey.pictures, 3);
    let stopped = Survey::of(&[folder.path().to_owned()], &mut || ControlFlow::Break(()));
    assert!(matches!(stopped, Err(TrainingError::Cancelled)));
}
