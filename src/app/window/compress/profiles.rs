//! Sensitivity profiles of the models in the library, measured once and kept.

use std::{
    hash::{DefaultHasher, Hash, Hasher},
    ops::ControlFlow,
    path::PathBuf,
};

use dualres_compression::{CompressConfig, CompressionError, Event, Layers, Profile, ProfileConfig, measure_profile};
use dualres_network::{Model, device::ComputeDevice};

use crate::{language::tr, library::Library, paths::Paths, samples};

/// What profiles of the slider are measured with, on the pictures inside the program.
const SETTINGS: ProfileConfig = ProfileConfig { batches: 2, batch: 6, patch: 32 };

/// Less than any network can be made smaller by.
const MIN_RATIO: f64 = 1e-6;

fn file(paths: &Paths, model: &Model) -> PathBuf {
    let mut hash = DefaultHasher::new();
    model.to_bytes().hash(&mut hash);
    (SETTINGS.batches, SETTINGS.batch, SETTINGS.patch).hash(&mut hash);
    paths.data.join("compress").join("profiles").join(format!("{:016x}.safetensors", hash.finish()))
}

/// Whether the profile of a model has been measured or begun, so that going on with it surprises nobody.
pub(crate) fn was_begun(paths: &Paths, library: &Library, model: &str) -> bool {
    library.load(model).is_ok_and(|model| file(paths, &model).exists())
}

/// The profile of a model: read if it was measured before, else measured. `told` hears of steps done and steps in all, and
/// stops it; then there is none, and what was measured is kept.
pub(crate) fn of(
    paths: &Paths,
    model: &Model,
    device: &ComputeDevice,
    told: &mut dyn FnMut(usize, usize) -> ControlFlow<()>,
) -> anyhow::Result<Option<Profile>> {
    let path = file(paths, model);
    // Whatever can be removed at all: the profile answers for every ratio there is.
    let mut config = CompressConfig::new("profile", MIN_RATIO);
    config.data = vec![samples::unpack(paths)?];
    config.profile = SETTINGS;
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| {
            let shown = folder.display();
            anyhow::anyhow!(tr!("cannot make the folder (%{error}): %{folder}", error = error, folder = shown))
        })?;
    }
    let mut last = (0, Layers::described(&model.description).len() + 1);
    let mut observe = |event: &Event<'_>| {
        match event {
            Event::Stage { step, steps, .. } => last = (*step, *steps),
            Event::Step(progress) => last = (progress.step, progress.steps),
            _ => {}
        }
        told(last.0, last.1)
    };
    let events = path.with_extension("events.csv");
    let mut measured = measure_profile(&config, model, device, &path, &events, &mut observe);
    if matches!(measured, Err(CompressionError::RunFile { .. } | CompressionError::Network(_))) {
        // A file that is damaged is worth nothing: it is measured anew.
        let _ = std::fs::remove_file(&path);
        measured = measure_profile(&config, model, device, &path, &events, &mut observe);
    }
    Ok(measured?)
}
