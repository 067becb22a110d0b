//! Which model enlarges a picture, on which device.

use crate::built_in;
use std::{collections::BTreeMap, sync::Arc};

use dualres_engine::Upscaler;
use dualres_network::{Model, device::ComputeDevice};

use crate::{
    batch::{
        choice::{AUTOMATIC, Kind, automatic},
        sizes::FinalSize,
        sums,
    },
    cli::UpscaleArgs,
    commands::library,
    report::Misuse,
};

/// A model that pictures are given to.
pub(super) struct Ready {
    pub(super) name: String,
    pub(super) scale: usize,
    /// Tells this model's weights from any others.
    pub(super) fingerprint: String,
    of: (Kind, usize),
}

/// The models that a command may need, brought to each device when they are needed there first.
pub(super) struct Models {
    size: FinalSize,
    /// Built-in models by what they are for and their scale; the one that was named alone, as a clean one.
    loaded: BTreeMap<(Kind, usize), Model>,
    ready: BTreeMap<(Kind, usize), Arc<Ready>>,
    /// By device and model.
    upscalers: BTreeMap<(usize, (Kind, usize)), Arc<Upscaler>>,
    automatic: bool,
    /// Devices that share the pictures.
    pub(super) devices: Vec<ComputeDevice>,
}

impl Models {
    pub(super) fn new(args: &UpscaleArgs, size: FinalSize) -> anyhow::Result<Self> {
        let library = library();
        let mut loaded = BTreeMap::new();
        let named = args.model.as_deref().filter(|name| *name != AUTOMATIC);
        match named {
            Some(name) => {
                let model = library.load(name)?;
                loaded.insert((Kind::Clean, model.description.scale()), model);
            }
            None => {
                for scale in library.scales()? {
                    for kind in Kind::ALL {
                        if let Some(name) = built_in::of(kind, scale) {
                            loaded.insert((kind, scale), library.load(name)?);
                        }
                    }
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
        let devices = crate::commands::devices(&args.device)?;
        // Another machine that does not answer is told once, not for each picture.
        for device in devices.iter().filter(|device| device.is_remote()) {
            device.open()?;
        }
        let (ready, upscalers) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { size, loaded, ready, upscalers, automatic: named.is_none(), devices })
    }

    /// Name of the model of a kind and scale.
    pub(super) fn name(&self, kind: Kind, scale: usize) -> String {
        self.loaded[&(kind, scale)].description.name.clone()
    }

    /// Whether the model is chosen by the picture.
    pub(super) fn is_automatic(&self) -> bool {
        self.automatic
    }

    /// The scale of the model of a kind for a picture of `size` pixels: the smallest that reaches the final size in one
    /// pass, else the largest.
    pub(super) fn scale_for(&self, kind: Kind, size: [usize; 2]) -> usize {
        let scales = || self.loaded.keys().filter(|(known, _)| *known == kind).map(|(_, scale)| *scale);
        let smallest = scales().next().unwrap_or(1);
        if self.size == FinalSize::Model {
            return smallest;
        }
        let times = self.size.times(size, smallest);
        let largest = scales().next_back().unwrap_or(1);
        scales().find(|&scale| scale as f64 >= times).unwrap_or(largest)
    }

    /// What tells the weights that a picture of `size` pixels may be enlarged by from any others: the picture decides which of
    /// them it is.
    pub(super) fn fingerprint(&mut self, size: [usize; 2]) -> anyhow::Result<String> {
        if !self.automatic {
            return Ok(self.ready(Kind::Clean, self.scale_for(Kind::Clean, size))?.fingerprint.clone());
        }
        let of = |models: &mut Self, kind| -> anyhow::Result<String> {
            Ok(models.ready(kind, models.scale_for(kind, size))?.fingerprint.clone())
        };
        Ok(automatic(&of(self, Kind::Clean)?, &of(self, Kind::Photo)?))
    }

    /// The model of a kind and scale. It is on the first device then, so that what does not work there is known at once.
    pub(super) fn ready(&mut self, kind: Kind, scale: usize) -> anyhow::Result<Arc<Ready>> {
        if let Some(ready) = self.ready.get(&(kind, scale)) {
            return Ok(ready.clone());
        }
        let model = &self.loaded[&(kind, scale)];
        let ready = Arc::new(Ready {
            name: model.description.name.clone(),
            scale,
            fingerprint: sums::fingerprint(&model.to_bytes()),
            of: (kind, scale),
        });
        self.upscaler(&ready, 0)?;
        self.ready.insert((kind, scale), ready.clone());
        Ok(ready)
    }

    /// The model on the device of this number.
    pub(super) fn upscaler(&mut self, ready: &Ready, device: usize) -> anyhow::Result<Arc<Upscaler>> {
        if let Some(there) = self.upscalers.get(&(device, ready.of)) {
            return Ok(there.clone());
        }
        let model = &self.loaded[&ready.of];
        let device_of_model = crate::commands::vetted(model, &self.devices[device])?;
        let upscaler = Arc::new(Upscaler::new(model, &device_of_model)?);
        self.upscalers.insert((device, ready.of), upscaler.clone());
        Ok(upscaler)
    }
}
