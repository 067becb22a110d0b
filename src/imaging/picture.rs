//! The picture in memory: planes of samples and what is needed to write them back.

use crate::{Metadata, format::Depth};

/// Most pixels a picture may have; more is refused before any memory is taken.
pub const MAX_PIXELS: u64 = 400_000_000;

/// One channel of a picture, row by row; samples in `[0, 255]`.
#[derive(Clone, Debug, PartialEq)]
pub struct Plane {
    /// Width in pixels.
    pub width: usize,
    /// Height in pixels.
    pub height: usize,
    /// `width * height` samples, row by row.
    pub data: Vec<f32>,
}

impl Plane {
    /// A plane of one value.
    pub fn filled(width: usize, height: usize, value: f32) -> Self {
        Self { width, height, data: vec![value; width * height] }
    }

    /// A plane of the given samples.
    ///
    /// # Panics
    /// If `data` does not hold `width * height` samples.
    pub fn new(width: usize, height: usize, data: Vec<f32>) -> Self {
        assert_eq!(data.len(), width * height, "a plane holds width * height samples");
        Self { width, height, data }
    }

    /// One row.
    pub fn row(&self, y: usize) -> &[f32] {
        &self.data[y * self.width..(y + 1) * self.width]
    }

    /// The rectangle of `width` x `height` pixels whose upper left corner is (`x`, `y`).
    ///
    /// # Panics
    /// If the rectangle does not lie within the plane.
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        assert!(x + width <= self.width && y + height <= self.height, "the crop lies within the plane");
        let mut data = Vec::with_capacity(width * height);
        for row in y..y + height {
            data.extend_from_slice(&self.row(row)[x..x + width]);
        }
        Self { width, height, data }
    }

    /// The plane with columns and rows exchanged if `transposed`, then left and right if `mirrored`, then top and bottom
    /// if `flipped`.
    pub(crate) fn turned(&self, transposed: bool, mirrored: bool, flipped: bool) -> Self {
        let (width, height) = if transposed { (self.height, self.width) } else { (self.width, self.height) };
        let mut data = Vec::with_capacity(self.data.len());
        for y in 0..height {
            let y = if flipped { height - 1 - y } else { y };
            for x in 0..width {
                let x = if mirrored { width - 1 - x } else { x };
                data.push(if transposed { self.data[x * self.width + y] } else { self.data[y * self.width + x] });
            }
        }
        Self { width, height, data }
    }

    /// Rounds every sample to an integer of `[0, 255]`, half away from zero, as an 8-bit file would hold it.
    pub fn quantize(&mut self) {
        for sample in &mut self.data {
            *sample = quantized(*sample);
        }
    }
}

/// A sample as an 8-bit file would hold it; what is not a number becomes 0.
pub(crate) fn quantized(sample: f32) -> f32 {
    (sample.clamp(0.0, 255.0) + 0.5).floor().max(0.0)
}

/// A sample of 16 bits.
pub(crate) fn from_u16(sample: u16) -> f32 {
    f32::from(sample) / 257.0
}

/// A picture: one plane (gray) or three (red, green, blue), perhaps alpha, and its metadata.
#[derive(Clone, Debug, PartialEq)]
pub struct Picture {
    /// One plane for gray, three for colour, all of one size.
    pub planes: Vec<Plane>,
    /// Coverage in `[0, 255]`; 255 is opaque. Colours are not premultiplied.
    pub alpha: Option<Plane>,
    /// Depth to write the picture with where the format has it.
    pub depth: Depth,
    /// Colour profile and EXIF, carried along unchanged.
    pub metadata: Metadata,
}

impl Picture {
    /// A picture of the given colour planes, 8 bits, without alpha and metadata.
    ///
    /// # Panics
    /// If there are neither one nor three planes, or their sizes differ.
    pub fn from_planes(planes: Vec<Plane>) -> Self {
        assert!(planes.len() == 1 || planes.len() == 3, "a picture has one or three colour planes");
        let size = (planes[0].width, planes[0].height);
        assert!(planes.iter().all(|p| (p.width, p.height) == size), "planes have one size");
        Self { planes, alpha: None, depth: Depth::Eight, metadata: Metadata::default() }
    }

    /// Width in pixels.
    pub fn width(&self) -> usize {
        self.planes[0].width
    }

    /// Height in pixels.
    pub fn height(&self) -> usize {
        self.planes[0].height
    }

    /// Whether the picture has a single colour plane.
    pub fn is_gray(&self) -> bool {
        self.planes.len() == 1
    }

    /// Red, green and blue planes; a gray picture gives its plane three times.
    pub fn rgb(&self) -> [&Plane; 3] {
        if self.is_gray() { [&self.planes[0]; 3] } else { [&self.planes[0], &self.planes[1], &self.planes[2]] }
    }

    /// The colour planes of a rectangle as a picture of their own, without alpha.
    ///
    /// # Panics
    /// If the rectangle does not lie within the picture.
    pub fn crop(&self, x: usize, y: usize, width: usize, height: usize) -> Self {
        Self::from_planes(self.planes.iter().map(|p| p.crop(x, y, width, height)).collect())
    }

    /// Rounds all samples as an 8-bit file would.
    pub fn quantize(&mut self) {
        self.planes.iter_mut().chain(&mut self.alpha).for_each(Plane::quantize);
    }
}
