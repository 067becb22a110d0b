//! What tests of compression share: small pictures, a small network, quick settings.
#![allow(dead_code, reason = "each test uses its part")]

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::Device;
use dualres_compression::{
    CompressConfig, CompressionError, Event, Mode, PROFILE_FILE, Profile, Report, Stage, compress,
};
use dualres_imaging::{EncodeOptions, Picture, Plane, write};
use dualres_network::{Architecture, Description, Model, device::ComputeDevice};

pub(crate) struct Pictures {
    _folder: tempfile::TempDir,
    pub(crate) path: PathBuf,
}

pub(crate) fn pictures(count: usize) -> Pictures {
    let folder = tempfile::tempdir().unwrap();
    for index in 0..count {
        write_picture(&folder.path().join(format!("{index}.png")), index);
    }
    Pictures { path: folder.path().to_owned(), _folder: folder }
}

pub(crate) fn write_picture(path: &Path, index: usize) {
    let (width, height) = (72, 64);
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
    write(path, &picture, EncodeOptions::default()).unwrap();
}

/// A network of `scale` with random weights, small enough for seconds.
pub(crate) fn network(scale: usize) -> Model {
    let architecture = Architecture::new(scale, 8, 2).unwrap();
    Model::init(Description::drn("tiny", &architecture).unwrap(), 3, &Device::flex()).unwrap()
}

/// [`network`] for twice the size with other weights.
pub(crate) fn network_of_seed(seed: u64) -> Model {
    let architecture = Architecture::new(2, 8, 2).unwrap();
    Model::init(Description::drn("tiny", &architecture).unwrap(), seed, &Device::flex()).unwrap()
}

/// The whole path in a few steps a stage.
pub(crate) fn config(data: &Path, ratio: f64) -> CompressConfig {
    let mut config = CompressConfig { data: vec![data.to_owned()], ..CompressConfig::new("small", ratio).quick() };
    config.mode = Mode::Paper;
    config.validation_crop = Some(48);
    config.search.steps = 6;
    config.search.validate_every = 2;
    config.finetune.steps = 6;
    config.finetune.validate_every = 2;
    for (batch, patch) in [
        (&mut config.search.batch, &mut config.search.patch),
        (&mut config.selection.batch, &mut config.selection.patch),
        (&mut config.profile.batch, &mut config.profile.patch),
        (&mut config.finetune.batch, &mut config.finetune.patch),
    ] {
        (*batch, *patch) = (2, 12);
    }
    config
}

pub(crate) type Finished = Option<(Model, Report)>;

/// Runs; stops at the event that `stop` picks.
pub(crate) fn run(
    config: &CompressConfig,
    model: &Model,
    folder: &Path,
    mut stop: impl FnMut(&Event) -> bool,
) -> Result<Finished, CompressionError> {
    compress(config, model, &ComputeDevice::cpu(), folder, &mut |event| {
        if stop(event) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })
}

pub(crate) fn whole(config: &CompressConfig, model: &Model, folder: &Path) -> (Model, Report) {
    run(config, model, folder, |_| false).unwrap().unwrap()
}

/// Runs to the end; what the user is warned of.
pub(crate) fn warnings_of(config: &CompressConfig, model: &Model, folder: &Path) -> Vec<String> {
    let mut warnings = Vec::new();
    let finished = run(config, model, folder, |event| {
        match event {
            Event::Warning(text) => warnings.push(text.clone()),
            Event::Unusable(picture) => warnings.push(picture.path.display().to_string()),
            _ => {}
        }
        false
    });
    assert!(finished.unwrap().is_some());
    warnings
}

/// The sensitivity profile of a network.
pub(crate) fn profile_of(config: &CompressConfig, model: &Model, folder: &Path) -> Profile {
    let stop = |event: &Event| matches!(event, Event::Stage { stage: Stage::Select, .. });
    assert!(run(config, model, folder, stop).unwrap().is_none());
    Profile::read(&folder.join(PROFILE_FILE)).unwrap().unwrap()
}

pub(crate) fn widths(report: &Report) -> Vec<usize> {
    report.width_table.iter().map(|row| row.width).collect()
}
