//! From a picture to a larger one and back.

use std::ops::ControlFlow;

use burn::tensor::{Device, Tensor};
use dualres_imaging::{
    Highlights, Picture, Plane, cover_transparent,
    resize::{Samples, imresize},
};
use dualres_network::{
    Model, Pooling,
    device::{ComputeDevice, DeviceClass, Precision},
};

use crate::{
    EngineError, Result, consistency, memory,
    place::{MAX_DIFFERENCE, Place, expected},
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

impl Area {
    /// The same place in a picture that is `scale` times as large.
    pub fn times(self, scale: usize) -> Self {
        let Self { x, y, width, height } = self;
        Self { x: x * scale, y: y * scale, width: width * scale, height: height * scale }
    }
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
        /// How many of them are there already, as an earlier run made them.
        done: usize,
    },
    /// A tile that an earlier run had made is put in its place, before the others start.
    Restored {
        /// What it gave, in pixels of the result.
        area: Area,
        /// Colour planes of the result as far as it is done.
        planes: &'a [Plane],
    },
    /// The device is about to run tiles of about this size for the first time, which takes longer than all times after it:
    /// kernels are compiled and tuned.
    Preparing,
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
        /// Side of the tiles in low-resolution pixels, shared border included.
        side: usize,
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

/// What the network had made of a picture when its run was cut off: the first tiles, in their order.
#[derive(Clone, Debug, PartialEq)]
pub struct Unfinished {
    /// Side of the tiles in low-resolution pixels, shared border included.
    pub side: usize,
    /// Tiles that are done.
    pub done: usize,
    /// Colour planes of the result as far as it is done.
    pub planes: Vec<Plane>,
}

impl Unfinished {
    fn is_of(&self, picture: &Picture, scale: usize) -> bool {
        let size = [picture.width() * scale, picture.height() * scale];
        let planes = if picture.is_gray() { 1 } else { 3 };
        self.planes.len() == planes && self.planes.iter().all(|plane| [plane.width, plane.height] == size)
    }
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
    /// Predicted error in luma at each input pixel, in gray levels: of what the network made of the input in one pass, if
    /// its model has been calibrated.
    pub expected_error: Option<Plane>,
    /// PSNR on luma in dB that goes with it.
    pub expected_psnr: Option<f64>,
    /// Parts that the picture was run in, the most of a pass; 0 if no network was needed.
    pub tiles: usize,
    /// Tiles that had to be run again on the CPU because the device gave something that cannot be right.
    pub retried_tiles: usize,
}

impl Upscaled {
    /// Takes the picture out; a pixel is left in its place.
    pub fn take_picture(&mut self) -> Picture {
        std::mem::replace(&mut self.picture, Picture::from_planes(vec![Plane::filled(1, 1, 0.0)]))
    }

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
    pub(crate) place: Place,
}

impl Upscaler {
    /// Brings a model to a device.
    ///
    /// # Errors
    /// If the device does not start.
    pub fn new(model: &Model, device: &ComputeDevice) -> Result<Self> {
        let place = Place::new(model, device)?;
        let there = model.to_device(place.device())?;
        let model = if device.precision == Precision::Half { there.in_half_precision() } else { there };
        Ok(Self { model, place })
    }

    /// Why the device is not used any more, if it failed in the middle of a picture: what was left of that picture, and all that
    /// followed, was made on the CPU.
    pub fn given_up(&self) -> Option<&str> {
        self.place.given_up()
    }

    /// How many results of the device could not be right so far, and were made again on the CPU.
    pub fn retries(&self) -> usize {
        self.place.retries()
    }

    /// The device that the model was brought to.
    pub fn device(&self) -> &ComputeDevice {
        &self.place.compute
    }

    /// The model, where it came from.
    pub fn model(&self) -> &Model {
        self.place.source()
    }

    /// Upscales a picture and reconstructs it. `observe` is called after each tile and stops the run by `Break`.
    ///
    /// Gray pictures are run as colour and stay gray. Alpha is enlarged by bicubic interpolation; colours of
    /// pixels that do not or hardly show are replaced by those near them first, so that they make no fringes.
    ///
    /// # Errors
    /// If the run is cancelled, memory does not suffice, the device fails, or the network gives no numbers.
    pub fn upscale(&self, picture: &Picture, options: &Options, observe: Observer) -> Result<Upscaled> {
        self.upscale_on(picture, options, None, observe)
    }

    /// The same, going on with what an earlier run of this model over the same picture had made. What does not fit is made anew.
    ///
    /// # Errors
    /// As [`Upscaler::upscale`].
    pub fn upscale_on(
        &self,
        picture: &Picture,
        options: &Options,
        unfinished: Option<Unfinished>,
        observe: Observer,
    ) -> Result<Upscaled> {
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
                let made = self.upscale_up_to_white(&rest, options, unfinished, observe)?;
                let light = light.resized(made.picture.width(), made.picture.height());
                Ok(made.with_highlights(&light, picture))
            }
            None => self.upscale_up_to_white(picture, options, unfinished, observe),
        }
    }

    fn upscale_up_to_white(
        &self,
        picture: &Picture,
        options: &Options,
        unfinished: Option<Unfinished>,
        observe: Observer,
    ) -> Result<Upscaled> {
        let scale = self.model.description.scale();
        let mut parts = 0;
        let before = self.place.retries();
        let mut result = self.enlarge(picture, options, unfinished, &mut |event| {
            if let Event::Started { tiles, .. } = event {
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
        let refined = self.refine(picture, result, options.fidelity, observe)?;
        Ok(Upscaled { tiles: parts, retried_tiles: self.place.retries() - before, ..refined })
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

    fn enlarge(
        &self,
        picture: &Picture,
        options: &Options,
        unfinished: Option<Unfinished>,
        observe: Observer,
    ) -> Result<Picture> {
        let description = &self.model.description;
        let mut unfinished = unfinished.filter(|there| there.is_of(picture, description.scale()));
        let pooling = match options.pooling {
            PoolingChoice::Global => Pooling::Global,
            PoolingChoice::Local => description.local_pooling(),
        };
        // Statistics of the whole picture need the picture whole.
        let whole = options.pooling == PoolingChoice::Global && description.network.reach().global;
        let side = match options.tile {
            _ if whole => usize::MAX,
            None if let Some(there) = &unfinished => there.side,
            Some(side) => side,
            // Parts would not give what the whole gives.
            None if description.seam.is_some() && self.fits_whole(picture) => usize::MAX,
            None => memory::tile_side(&description.network, self.budget(), self.max_buffer()),
        };
        let least = if whole { usize::MAX } else { 2 * (description.halo() + 32) };
        // From what makes a difference on.
        let longest = picture.width().max(picture.height()).next_multiple_of(description.alignment(pooling));
        self.place.halving(side.min(longest), least, |side| {
            let there = unfinished.take().filter(|there| there.side == side);
            self.enlarge_tiled(picture, pooling, side, there, observe)
        })
    }

    fn fits_whole(&self, picture: &Picture) -> bool {
        let pixels = picture.width() as u64 * picture.height() as u64;
        let available = match self.place.compute.memory_limit {
            Some(bytes) if self.has_memory_of_its_own() => bytes.saturating_mul(2),
            _ => memory::available(),
        };
        memory::runs_whole(&self.model.description.network, available, self.max_buffer(), pixels)
    }

    fn max_buffer(&self) -> Option<u64> {
        self.place.compute.max_buffer_bytes
    }

    fn has_memory_of_its_own(&self) -> bool {
        matches!(self.place.compute.class, DeviceClass::DiscreteGpu | DeviceClass::Remote)
    }

    /// Bytes that a tile may take.
    fn budget(&self) -> u64 {
        memory::budget(self.place.compute.memory_limit, self.has_memory_of_its_own())
    }

    fn enlarge_tiled(
        &self,
        picture: &Picture,
        pooling: Pooling,
        side: usize,
        unfinished: Option<Unfinished>,
        observe: Observer,
    ) -> Result<Picture> {
        let align = self.model.description.alignment(pooling);
        let halo = self.model.description.halo().next_multiple_of(align);
        // Smaller pictures are seen with their border repeated, as far as the network needs.
        let least = self.model.description.network.min_side().next_multiple_of(align);
        let [width, height] = [picture.width(), picture.height()].map(|side| side.next_multiple_of(align).max(least));
        let (columns, rows) = (cut(width, side, halo, align), cut(height, side, halo, align));
        let scale = self.model.description.scale();
        let (there, mut planes) = match unfinished {
            Some(Unfinished { done, planes, .. }) => (done, planes),
            None => {
                let count = if picture.is_gray() { 1 } else { 3 };
                let empty = Plane::filled(picture.width() * scale, picture.height() * scale, 0.0);
                (0, vec![empty; count])
            }
        };
        let tiles = columns.len() * rows.len();
        let order = || rows.iter().flat_map(|&down| columns.iter().map(move |&across| (down, across)));
        let area_of = |down: Span, across: Span, planes: &[Plane]| {
            let (wide, high) = (enlarged(across, scale), enlarged(down, scale));
            let (width, height) =
                (wide.length.min(planes[0].width - wide.start), high.length.min(planes[0].height - high.start));
            Area { x: wide.start, y: high.start, width, height }
        };
        for (down, across) in order().take(there) {
            stop(observe(Event::Restored { area: area_of(down, across, &planes), planes: &planes }))?;
        }
        stop(observe(Event::Started { tiles, done: there.min(tiles) }))?;
        let (first_down, first_across) = (rows[0], columns[0]);
        let is_first = self.place.is_new([first_across.seen_length, first_down.seen_length]);
        if is_first {
            stop(observe(Event::Preparing))?;
        }
        for (index, (down, across)) in order().enumerate().skip(there) {
            let (wide, high) = (enlarged(across, scale), enlarged(down, scale));
            let make = || {
                self.place.make(&self.model, expected(picture, across, down), |model, device| {
                    model.primal.upscale(seen(picture, across, down, device), pooling)
                })
            };
            let mut samples = make()?;
            if is_first && index == there && !self.is_right(picture, across, down, pooling, &samples)? {
                samples = make()?;
            }
            paste(&gray_if(picture.is_gray(), samples), wide, high, &mut planes);
            let area = area_of(down, across, &planes);
            stop(observe(Event::Tile { done: index + 1, tiles, area, planes: &planes, side }))?;
        }
        Ok(Picture::from_planes(planes))
    }
}

/// Side of the part of a first tile that the CPU makes too, in low-resolution pixels, without its border.
const WITNESS: usize = 48;

impl Upscaler {
    /// Whether the middle of the first tile of its size is what the CPU makes of the same: kernels are chosen by size, and a
    /// check on a small picture says nothing about those for large ones. A device that is wrong is given up. Networks that see
    /// farther than the border of a tile are not compared.
    fn is_right(&self, picture: &Picture, across: Span, down: Span, pooling: Pooling, samples: &[f32]) -> Result<bool> {
        let network = &self.model.description.network;
        let align = self.model.description.alignment(pooling);
        let halo = network.reach().pixels.next_multiple_of(align);
        let side = (WITNESS + 2 * halo).next_multiple_of(align).max(network.min_side().next_multiple_of(align));
        let fits = |span: Span| span.seen_length >= 2 * side;
        if !self.place.is_watched() || network.reach().global || !fits(across) || !fits(down) {
            return Ok(true);
        }
        let middle = |span: Span| {
            let offset = (span.seen_length - side) / 2 / align * align;
            (offset, Span { start: 0, length: side, seen_start: span.seen_start + offset as isize, seen_length: side })
        };
        let ((x, wide), (y, high)) = (middle(across), middle(down));
        let scale = self.model.description.scale();
        let (columns, rows) = (across.seen_length * scale, down.seen_length * scale);
        // The inner part, which the border of neither cutting reaches.
        let inner = (halo * scale)..((side - halo) * scale);
        let width = inner.len();
        let crop = |model: &Model, device: &Device| {
            let made = model.primal.upscale(seen(picture, wide, high, device), pooling);
            made.narrow(2, inner.start, width).narrow(3, inner.start, width)
        };
        let mut there = Vec::with_capacity(3 * width * width);
        for channel in 0..3 {
            for row in inner.clone() {
                let start = (channel * rows + y * scale + row) * columns + x * scale + inner.start;
                there.extend_from_slice(&samples[start..start + width]);
            }
        }
        let gap = self.place.compare(&there, crop)?;
        if gap > MAX_DIFFERENCE {
            self.place.give_up(format!("its first tile differs from the CPU's by {gap:.1} of 255 levels"));
        }
        Ok(gap <= MAX_DIFFERENCE)
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
