//! What files hold: formats, their depths, and how they are written.

use std::path::Path;

use crate::{ImagingError, Result};

/// Bits a channel in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Depth {
    /// 8 bits.
    #[default]
    Eight,
    /// 16 bits, or more in the source.
    Sixteen,
    /// 32-bit floats.
    Float {
        /// What the file has where a sample is 255: 1, or more if the picture holds light brighter than white. What is
        /// brighter than three quarters of white is compressed by a logarithm then, so that the rest stays as it is.
        white: f32,
    },
}

/// A format that pictures are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// PNG, 8 or 16 bits, alpha.
    Png,
    /// JPEG, 8 bits; alpha is laid over white.
    Jpeg,
    /// WebP, 8 bits, alpha; lossless or lossy.
    WebP,
    /// TIFF, 8, 16 or 32 bits (float), alpha.
    Tiff,
    /// AVIF, 10 bits, alpha.
    Avif,
    /// JPEG XL without loss, 8 or 16 bits, alpha, sRGB.
    Jxl,
    /// BMP, 8 bits, alpha; no metadata.
    Bmp,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 7] = [Self::Png, Self::Jpeg, Self::WebP, Self::Tiff, Self::Avif, Self::Jxl, Self::Bmp];

    /// The format that the extension of `path` stands for.
    ///
    /// # Errors
    /// If there is no extension or no format for it.
    pub fn from_path(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match extension.as_str() {
            "png" => Ok(Self::Png),
            "jpg" | "jpeg" | "jpe" | "jfif" => Ok(Self::Jpeg),
            "webp" => Ok(Self::WebP),
            "tif" | "tiff" => Ok(Self::Tiff),
            "avif" => Ok(Self::Avif),
            "jxl" => Ok(Self::Jxl),
            "bmp" => Ok(Self::Bmp),
            _ => Err(ImagingError::UnknownOutputFormat { path: path.to_owned() }),
        }
    }

    /// The format for a result beside an original of this name: its own, or PNG where that is not written, or not with all that it may
    /// hold (JPEG XL, whose encoder has no profiles).
    pub fn like(original: &Path) -> Self {
        Self::from_path(original).ok().filter(|format| *format != Self::Jxl).unwrap_or(Self::Png)
    }

    /// The usual extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Tiff => "tif",
            Self::Avif => "avif",
            Self::Jxl => "jxl",
            Self::Bmp => "bmp",
        }
    }

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Png => "PNG",
            Self::Jpeg => "JPEG",
            Self::WebP => "WebP",
            Self::Tiff => "TIFF",
            Self::Avif => "AVIF",
            Self::Jxl => "JPEG XL",
            Self::Bmp => "BMP",
        }
    }

    /// Most pixels a side that it holds.
    pub fn max_side(self) -> usize {
        match self {
            Self::Png | Self::Tiff | Self::Bmp => i32::MAX as usize,
            Self::Jxl => 1 << 30,
            Self::Jpeg => 65_535,
            Self::Avif => 65_536,
            Self::WebP => 16_383,
        }
    }

    /// Whether it takes a quality, written so.
    pub fn has_quality(self, is_lossy: bool) -> bool {
        matches!(self, Self::Jpeg | Self::Avif) || is_lossy && self == Self::WebP
    }

    /// Bits a sample that it holds of a picture of `depth`.
    pub fn bits_per_sample(self, depth: Depth) -> usize {
        if self == Self::Avif { 10 } else { 8 * self.bytes_per_sample(depth) }
    }

    /// Bytes a sample, uncompressed, that it holds of a picture of `depth`.
    pub fn bytes_per_sample(self, depth: Depth) -> usize {
        match (self, depth) {
            (Self::Tiff, Depth::Float { .. }) => 4,
            (Self::Png | Self::Jxl, Depth::Float { .. }) | (Self::Png | Self::Jxl | Self::Tiff, Depth::Sixteen) => 2,
            _ => 1,
        }
    }
}

/// Resolution of the colours in a JPEG file against that of brightness.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Subsampling {
    /// The same (4:4:4).
    #[default]
    Full,
    /// Half across and down (4:2:0): smaller files, softer edges between colours.
    Half,
}

/// How to write a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncodeOptions {
    /// Quality of JPEG, AVIF and lossy WebP, 1 to 100.
    pub quality: u8,
    /// Resolution of the colours in JPEG.
    pub subsampling: Subsampling,
    /// Whether JPEG shows a coarse picture first: a little smaller, and slower to write.
    pub progressive: bool,
    /// Whether WebP loses what is hardly seen, by `quality`.
    pub lossy: bool,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { quality: 95, subsampling: Subsampling::Full, progressive: false, lossy: false }
    }
}
