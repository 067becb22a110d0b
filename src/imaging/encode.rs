//! Pictures to files.

use std::{io::Cursor, path::Path};

use image::{ExtendedColorType, ImageEncoder, codecs::bmp::BmpEncoder};

use crate::{
    Depth, ImagingError, Picture, Result, colour, file,
    formats::{avif, jpeg, png, samples, tiff, webp},
};

/// A format that pictures are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// PNG, 8 or 16 bits, alpha.
    Png,
    /// JPEG, 8 bits; alpha is laid over white.
    Jpeg,
    /// Lossless WebP, 8 bits, alpha.
    WebP,
    /// TIFF, 8, 16 or 32 bits (float), alpha.
    Tiff,
    /// AVIF, 8 bits, alpha, sRGB.
    Avif,
    /// BMP, 8 bits, alpha; no metadata.
    Bmp,
}

impl Format {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Png, Self::Jpeg, Self::WebP, Self::Tiff, Self::Avif, Self::Bmp];

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
            "bmp" => Ok(Self::Bmp),
            _ => Err(ImagingError::UnknownOutputFormat { path: path.to_owned() }),
        }
    }

    /// The usual extension, without a dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Png => "png",
            Self::Jpeg => "jpg",
            Self::WebP => "webp",
            Self::Tiff => "tif",
            Self::Avif => "avif",
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
            Self::Bmp => "BMP",
        }
    }

    /// Most pixels a side that it holds.
    pub fn max_side(self) -> usize {
        match self {
            Self::Png | Self::Tiff | Self::Bmp => i32::MAX as usize,
            Self::Jpeg => 65_535,
            Self::Avif => 65_536,
            Self::WebP => 16_383,
        }
    }

    /// Whether it takes a quality.
    pub fn has_quality(self) -> bool {
        matches!(self, Self::Jpeg | Self::Avif)
    }

    /// Bytes a sample that it holds of a picture of `depth`.
    pub fn bytes_per_sample(self, depth: Depth) -> usize {
        match (self, depth) {
            (Self::Tiff, Depth::Float { .. }) => 4,
            (Self::Png, Depth::Float { .. }) | (Self::Png | Self::Tiff, Depth::Sixteen) => 2,
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
    /// Quality of JPEG and AVIF, 1 to 100.
    pub quality: u8,
    /// Resolution of the colours in JPEG.
    pub subsampling: Subsampling,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { quality: 95, subsampling: Subsampling::Full }
    }
}

/// Writes a picture in the format of the extension of `path`, whole or not at all.
///
/// # Errors
/// If the extension stands for no format, the format cannot hold the picture, or the file cannot be written.
pub fn write(path: &Path, picture: &Picture, options: EncodeOptions) -> Result<()> {
    let format = Format::from_path(path)?;
    file::write_atomically(path, &encode(picture, format, options)?)
}

/// Encodes a picture into memory.
///
/// Depth is kept where the format has it. Metadata is kept where the format has a place for it: all of it in PNG, JPEG and
/// TIFF, all but IPTC in WebP, EXIF in AVIF, none in BMP.
///
/// # Errors
/// If the format cannot hold the picture or the encoder fails.
pub fn encode(picture: &Picture, format: Format, options: EncodeOptions) -> Result<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    if width.max(height) > format.max_side() {
        return Err(ImagingError::FormatLimit { format: format.name(), max_side: format.max_side(), width, height });
    }
    let clipped;
    let picture = match picture.depth {
        // Light beyond white has no place in other formats.
        Depth::Float { .. } if format != Format::Tiff => {
            let mut copy = picture.clone();
            copy.set_depth(Depth::Sixteen);
            clipped = copy;
            &clipped
        }
        _ => picture,
    };
    let encoded = match format {
        Format::Png => png::encode(picture),
        Format::Jpeg if picture.alpha.is_some() => jpeg::encode(&over_white(picture), options),
        Format::Jpeg => jpeg::encode(picture, options),
        Format::WebP => webp::encode(&colour::for_colour_only(picture)),
        Format::Tiff => tiff::encode(picture),
        Format::Avif => avif::encode(picture, options),
        Format::Bmp => bmp(&colour::to_srgb(picture)),
    };
    encoded.map_err(|reason| ImagingError::Encode { format: format.name(), reason })
}

fn bmp(picture: &Picture) -> std::result::Result<Vec<u8>, String> {
    // There is no gray with alpha.
    let planes = samples::planes(picture, picture.alpha.is_none());
    let colour = match planes.len() {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => ExtendedColorType::Rgba8,
    };
    let mut out = Vec::new();
    let mut cursor = Cursor::new(&mut out);
    BmpEncoder::new(&mut cursor)
        .write_image(&samples::eight(&planes), picture.width() as u32, picture.height() as u32, colour)
        .map_err(|error| error.to_string())?;
    Ok(out)
}

fn over_white(picture: &Picture) -> Picture {
    let mut flat = picture.clone();
    if let Some(alpha) = flat.alpha.take() {
        for plane in &mut flat.planes {
            for (sample, coverage) in plane.data.iter_mut().zip(&alpha.data) {
                *sample = 255.0 + (*sample - 255.0) * coverage / 255.0;
            }
        }
    }
    flat
}
