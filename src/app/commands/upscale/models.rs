//! Which model enlarges a picture, on which device.

use std::{collections::BTreeMap, sync::Arc};

use dualres_engine::Upscaler;
use dualres_network::{Model, device::ComputeDevice};

use crate::{
    batch::{sizes::FinalSize, sums},
    cli::UpscaleArgs,
    commands::library,
    report::Misuse,
};

/// A model on the device.
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) scale: usize,
    /// Tells this model's weights from any others.
    pub(super) fingerprint: String,
    pub(super) upscaler: Upscaler,
}

/// The models that a command may need, brought to the device when they are needed first.
pub(super) struct Models {
    size: FinalSize,
    /// Models by their scale; the one that was named alone.
    loaded: BTreeMap<usize, Model>,
    ready: BTreeMap<usize, Arc<Ready>>,
    pub(super) device: ComputeDevice,
}

impl Models {
    pub(super) fn new(args: &UpscaleArgs, size: FinalSize) -> anyhow::Result<Self> {
        let library = library();
        let mut loaded = BTreeMap::new();
        match &args.model {
            Some(name) => {
                let model = library.load(name)?;
                loaded.insert(model.description.scale(), model);
            }
            None => {
                for scale in library.scales()? {
                    loaded.insert(scale, library.choose(None, Some(scale))?);
                }
            }
        }
        let without_duals = loaded.values().any(|model| model.duals.is_empty());
        if without_duals && args.proofs().iter().any(|(_, path)| path.is_some()) {
            return Err(Misuse(
                "this model has no dual network: --dual, --consistency and --expected-error are not available".into(),
            )
            .into());
        }
        let is_calibrated = |model: &Model| model.description.error_calibration.is_some();
        if args.expected_error.is_some() && !loaded.values().all(is_calibrated) {
            let reason = "no error calibration for this model; run `dualres models calibrate`";
            return Err(Misuse(reason.into()).into());
        }
        if without_duals && args.fidelity > 0 {
            return Err(Misuse("this model has no dual network: --fidelity is not available".into()).into());
        }
        let device = crate::commands::device(&args.device)?;
        Ok(Self { size, loaded, ready: BTreeMap::new(), device })
    }

    /// The scale of the model for a picture of `size` pixels: the smallest that reaches the final size in one pass, else the
    /// largest.
    pub(super) fn scale_for(&self, size: [usize; 2]) -> usize {
        let smallest = self.loaded.keys().next().copied().unwrap_or(1);
        if self.size == FinalSize::Model {
            return smallest;
        }
        let times = self.size.times(size, smallest);
        let largest = self.loaded.keys().next_back().copied().unwrap_or(1);
        self.loaded.keys().copied().find(|&scale| scale as f64 >= times).unwrap_or(largest)
    }

    /// The model of a scale on the device.
    pub(super) fn ready(&mut self, scale: usize) -> anyhow::Result<Arc<Ready>> {
        if let Some(ready) = self.ready.get(&scale) {
            return Ok(ready.clone());
        }
        let model = &self.loaded[&scale];
        let ready = Arc::new(Ready {
            name: model.description.name.clone(),
            scale,
            fingerprint: sums::fingerprint(&model.to_bytes()),
            upscaler: Upscaler::new(model, &self.device)?,
        });
        self.ready.insert(scale, ready.clone());
        Ok(ready)
    }
}
