//! From a picture to a larger one and back.

use std::{ops::ControlFlow, sync::OnceLock};

use burn::tensor::{Device, Tensor};
use dualres_imaging::{
    Highlights, Picture, Plane, caught, cover_transparent,
    resize::{Samples, imresize},
};
use dualres_network::{
    Model, Pooling,
    device::{ComputeDevice, DeviceClass},
};

use crate::{
    EngineError, Result, consistency, memory,
    planes::{enlarged, paste, to_tensor},
    tiles::{Span, cut},
};

/// What channel attention averages over; see [`Pooling`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PoolingChoice {
    /// A window of the size of the training patch: results do not depend on tiles.
    #[default]
    Local,
    /// The whole picture, which is then run in one piece: the published networks to the letter.
    Global,
}

/// How to upscale.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Side of tiles in low-resolution pixels, shared border included; chosen from the free memory if not given.
    pub tile: Option<usize>,
    /// Pooling of the channel attention.
    pub pooling: PoolingChoice,
    /// How far the dual residual is fed back into the result, in `[0, 1]`; see [`Upscaler::refine`].
    pub fidelity: f32,
}

/// A rectangle of a picture in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// First column.
    pub x: usize,
    /// First row.
    pub y: usize,
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

/// Told of progress; stops the run by `Break`.
pub type Observer<'a> = &'a mut dyn FnMut(Event<'_>) -> ControlFlow<()>;

/// Progress of a run.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// Tiles of the network are about to run. Comes again with more tiles if the device failed with larger ones.
    Started {
        /// How many.
        tiles: usize,
    },
    /// A tile of the network is done.
    Tile {
        /// Tiles done.
        done: usize,
        /// Tiles in all.
        tiles: usize,
        /// What the tile gave, in pixels of the result.
        area: Area,
        /// Colour planes of the result as far as it is done, one for gray and three for colour.
        planes: &'a [Plane],
    },
    /// The dual residual is fed back into the result.
    Refining {
        /// Step, from 0.
        step: usize,
        /// Steps in all.
        steps: usize,
    },
    /// The result goes back through a dual model.
    Reconstructing {
        /// Level of the picture it gives, 0 being the input's size.
        level: usize,
    },
    /// A part of a dual reconstruction is done.
    Reconstructed {
        /// Rows done.
        rows: usize,
        /// Rows in all.
        of: usize,
    },
}

/// A result with its proof.
#[derive(Clone, Debug)]
pub struct Upscaled {
    /// The larger picture, with the input's alpha, depth and metadata.
    pub picture: Picture,
    /// Dual reconstructions from the level below the result down to the input's size; empty if the model has no
    /// dual models.
    pub reconstructions: Vec<Picture>,
    /// Mean absolute difference between input and reconstruction at each input pixel, in gray levels.
    pub consistency: Option<Plane>,
    /// PSNR between input and reconstruction by [`crate::LOOP_RULE`], in dB.
    pub loop_psnr: Option<f64>,
    /// Expected error in luma at each input pixel, in gray levels: of what the network made of the input in one pass, if
    /// its model has been calibrated.
    pub expected_error: Option<Plane>,
    /// PSNR on luma in dB that goes with it.
    pub expected_psnr: Option<f64>,
    /// Parts that the picture was run in, the most of a pass; 0 if no network was needed.
    pub tiles: usize,
    /// Tiles that had to be run again on the CPU because the device gave values that are not numbers.
    pub retried_tiles: usize,
}

impl Upscaled {
    /// The result of `input` with light beyond white, which its reconstructions are led back with.
    pub(crate) fn with_highlights(mut self, light: &Highlights, input: &Picture) -> Self {
        let led_back = |picture: Picture| {
            let light = light.resized(picture.width(), picture.height());
            picture.with_highlights(&light)
        };
        self.reconstructions = self.reconstructions.into_iter().map(led_back).collect();
        self.picture = self.picture.with_highlights(light);
        if let Some(back) = self.reconstructions.last() {
            self.consistency = Some(consistency::map(input, back));
            self.loop_psnr = Some(consistency::loop_psnr(input, back));
        }
        self
    }
}

/// A model on a device, ready for pictures.
#[derive(Debug)]
pub struct Upscaler {
    pub(crate) model: Model,
    pub(crate) device: Device,
    max_buffer: Option<u64>,
    on_cpu: bool,
    /// The device, if it is another machine's.
    remote: Option<ComputeDevice>,
    /// The model on the CPU, made when another device fails.
    fallback: OnceLock<Model>,
}

impl Upscaler {
    /// Brings a model to a device.
    ///
    /// # Errors
    /// If the device does not start.
    pub fn new(model: &Model, device: &ComputeDevice) -> Result<Self> {
        let opened = device.open()?;
        Ok(Self {
            model: model.to_device(&opened)?,
            device: opened,
            max_buffer: device.max_buffer_bytes,
            on_cpu: device.class == DeviceClass::Cpu,
            remote: Some(device).filter(|device| device.is_remote()).cloned(),
            fallback: OnceLock::new(),
        })
    }

    /// The model.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Upscales a picture and reconstructs it. `observe` is called after each tile and stops the run by `Break`.
    ///
    /// Gray pictures are run as colour and stay gray. Alpha is enlarged by bicubic interpolation; colours of
    /// pixels that do not or hardly show are replaced by those near them first, so that they make no fringes.
    ///
    /// # Errors
    /// If the run is cancelled, memory does not suffice, the device fails, or the network gives no numbers.
    pub fn upscale(&self, picture: &Picture, options: &Options, observe: Observer) -> Result<Upscaled> {
        self.check_memory([picture.width(), picture.height()], channels(picture))?;
        let mut covered = None;
        if picture.alpha.is_some() {
            let mut copy = picture.clone();
            if cover_transparent(&mut copy) {
                covered = Some(copy);
            }
        }
        let picture = covered.as_ref().unwrap_or(picture);
        match picture.without_highlights() {
            // Networks see nothing beyond white.
            Some((rest, light)) => {
                let made = self.upscale_up_to_white(&rest, options, observe)?;
                let light = light.resized(made.picture.width(), made.picture.height());
                Ok(made.with_highlights(&light, picture))
            }
            None => self.upscale_up_to_white(picture, options, observe),
        }
    }

    fn upscale_up_to_white(&self, picture: &Picture, options: &Options, observe: Observer) -> Result<Upscaled> {
        let scale = self.model.description.scale();
        let mut parts = 0;
        let (mut result, retried_tiles) = self.enlarge(picture, options, &mut |event| {
            if let Event::Started { tiles } = event {
                parts = tiles;
            }
            observe(event)
        })?;
        if let Some(alpha) = &picture.alpha {
            let mut alpha = imresize(alpha, scale as f64, Samples::Float);
            alpha.data.iter_mut().for_each(|sample| *sample = sample.clamp(0.0, 255.0));
            result.alpha = Some(alpha);
        }
        result.depth = picture.depth;
        result.metadata = picture.metadata.clone();
        Ok(Upscaled { tiles: parts, retried_tiles, ..self.refine(picture, result, options.fidelity, observe)? })
    }

    /// Whether there is memory for a pass over a picture of so many pixels and channels, with its result.
    pub(crate) fn check_memory(&self, [width, height]: [usize; 2], channels: usize) -> Result<()> {
        let scale = self.model.description.scale();
        let needed = memory::needed(scale, width, height, channels);
        let available = memory::available();
        if needed > available {
            return Err(EngineError::Memory {
                width: width * scale,
                height: height * scale,
                needed_gb: needed as f64 / 1e9,
                available_gb: available as f64 / 1e9,
            });
        }
        Ok(())
    }

    fn enlarge(&self, picture: &Picture, options: &Options, observe: Observer) -> Result<(Picture, usize)> {
        let description = &self.model.description;
        let pooling = match options.pooling {
            PoolingChoice::Global => Pooling::Global,
            PoolingChoice::Local => description.local_pooling(),
        };
        // Statistics of the whole picture need the picture whole.
        let whole = options.pooling == PoolingChoice::Global && description.network.reach().global;
        let side = match options.tile {
            _ if whole => usize::MAX,
            Some(side) => side,
            // Parts would not give what the whole gives.
            None if description.seam.is_some() && self.fits_whole(picture) => usize::MAX,
            None => memory::tile_side(&description.network, memory::available(), self.max_buffer),
        };
        if whole {
            return self.enlarge_tiled(picture, pooling, side, observe);
        }
        halving(side, 2 * (description.halo() + 32), |side| self.enlarge_tiled(picture, pooling, side, observe))
    }

    fn fits_whole(&self, picture: &Picture) -> bool {
        let pixels = picture.width() as u64 * picture.height() as u64;
        memory::runs_whole(&self.model.description.network, memory::available(), self.max_buffer, pixels)
    }

    fn enlarge_tiled(
        &self,
        picture: &Picture,
        pooling: Pooling,
        side: usize,
        observe: Observer,
    ) -> Result<(Picture, usize)> {
        let align = self.model.description.alignment(pooling);
        let halo = self.model.description.halo().next_multiple_of(align);
        // Smaller pictures are seen with their border repeated, as far as the network needs.
        let least = self.model.description.network.least_side().next_multiple_of(align);
        let [width, height] = [picture.width(), picture.height()].map(|side| side.next_multiple_of(align).max(least));
        let (columns, rows) = (cut(width, side, halo, align), cut(height, side, halo, align));
        let scale = self.model.description.scale();
        let mut planes: Vec<Plane> =
            (0..3).map(|_| Plane::filled(picture.width() * scale, picture.height() * scale, 0.0)).collect();
        if picture.is_gray() {
            planes.truncate(1);
        }
        let tiles = columns.len() * rows.len();
        stop(observe(Event::Started { tiles }))?;
        let mut retried = 0;
        for (index, (&down, &across)) in rows.iter().flat_map(|d| columns.iter().map(move |a| (d, a))).enumerate() {
            let (wide, high) = (enlarged(across, scale), enlarged(down, scale));
            let samples = self.run(|| {
                let x = seen(picture, across, down, &self.device);
                to_samples(self.model.primal.upscale(x, pooling))
            })?;
            if !paste(&gray_if(picture.is_gray(), samples), wide, high, &mut planes) {
                retried += 1;
                let samples = self.on_cpu(picture, across, down, pooling)?;
                if !paste(&gray_if(picture.is_gray(), samples), wide, high, &mut planes) {
                    return Err(EngineError::NotFinite);
                }
            }
            let area = Area {
                x: wide.start,
                y: high.start,
                width: wide.length.min(planes[0].width - wide.start),
                height: high.length.min(planes[0].height - high.start),
            };
            stop(observe(Event::Tile { done: index + 1, tiles, area, planes: &planes }))?;
        }
        Ok((Picture::from_planes(planes), retried))
    }

    /// Runs work on the device; devices report failure by panicking.
    pub(crate) fn run(&self, work: impl FnOnce() -> Vec<f32>) -> Result<Vec<f32>> {
        caught(work).map_err(|said| match &self.remote {
            // Smaller tiles are of no use there.
            Some(device) => EngineError::Network(device.failure(&said)),
            None => EngineError::Device(said.lines().next().unwrap_or_default().to_owned()),
        })
    }

    /// A tile once more on the CPU, because the device gave values that are not numbers.
    fn on_cpu(&self, picture: &Picture, across: Span, down: Span, pooling: Pooling) -> Result<Vec<f32>> {
        if self.on_cpu {
            return Err(EngineError::NotFinite);
        }
        let cpu = ComputeDevice::cpu().open()?;
        let model = match self.fallback.get() {
            Some(model) => model,
            None => {
                let model = self.model.to_device(&cpu)?;
                self.fallback.get_or_init(|| model)
            }
        };
        self.run(|| to_samples(model.primal.upscale(seen(picture, across, down, &cpu), pooling)))
    }
}

/// Planes of a picture, alpha included.
pub(crate) fn channels(picture: &Picture) -> usize {
    picture.planes.len() + usize::from(picture.alpha.is_some())
}

pub(crate) fn seen(picture: &Picture, across: Span, down: Span, device: &Device) -> Tensor<4> {
    let corner = [across.seen_start, down.seen_start];
    to_tensor(picture.rgb(), corner, [across.seen_length, down.seen_length], device)
}

pub(crate) fn to_samples(x: Tensor<4>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_into_vec::<f32>().expect("converted to f32")
}

/// Runs `attempt` with smaller and smaller tiles for as long as the device fails, which is what it does when its memory
/// does not suffice. Tiles of less than twice `least` are not halved.
pub(crate) fn halving<T>(mut side: usize, least: usize, mut attempt: impl FnMut(usize) -> Result<T>) -> Result<T> {
    loop {
        match attempt(side) {
            Err(EngineError::Device(_)) if side / 2 >= least => side /= 2,
            other => return other,
        }
    }
}

pub(crate) fn stop(flow: ControlFlow<()>) -> Result<()> {
    match flow {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(()) => Err(EngineError::Cancelled),
    }
}

/// The mean of the three channels in place of the first, for a picture that has to stay gray.
pub(crate) fn gray_if(gray: bool, mut samples: Vec<f32>) -> Vec<f32> {
    if gray {
        let count = samples.len() / 3;
        for i in 0..count {
            samples[i] = (samples[i] + samples[count + i] + samples[2 * count + i]) / 3.0;
        }
    }
    samples
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_failing_device_is_given_smaller_tiles_and_then_given_up() {
        let mut tried = Vec::new();
        let fits_256 = |side: usize| {
            tried.push(side);
            if side > 256 { Err(EngineError::Device("out of memory".into())) } else { Ok(side) }
        };
        assert_eq!(halving(1024, 128, fits_256).unwrap(), 256);
        assert_eq!(tried, [1024, 512, 256]);

        let mut count = 0;
        let lost = |_| -> Result<()> {
            count += 1;
            Err(EngineError::Device("lost".into()))
        };
        assert!(matches!(halving(1024, 128, lost), Err(EngineError::Device(_))));
        assert_eq!(count, 4);

        let mut count = 0;
        let cancelled = |_| -> Result<()> {
            count += 1;
            Err(EngineError::Cancelled)
        };
        assert!(matches!(halving(1024, 128, cancelled), Err(EngineError::Cancelled)));
        assert_eq!(count, 1, "only a failing device is tried again");
    }
}
