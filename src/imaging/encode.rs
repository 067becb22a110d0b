//! Pictures to files.

use std::{io::Cursor, path::Path};

use image::{
    ExtendedColorType, ImageEncoder,
    codecs::{bmp::BmpEncoder, jpeg::JpegEncoder, png::PngEncoder, tiff::TiffEncoder, webp::WebPEncoder},
};

use crate::{Depth, ImagingError, Picture, Plane, Result, file, picture::quantized};

/// A format that pictures are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// PNG, 8 or 16 bits, alpha.
    Png,
    /// JPEG, 8 bits; alpha is laid over white.
    Jpeg,
    /// Lossless WebP, 8 bits, alpha.
    WebP,
    /// TIFF, 8 or 16 bits, alpha.
    Tiff,
    /// BMP, 8 bits, alpha; no metadata.
    Bmp,
}

impl Format {
    /// The format that the extension of `path` stands for.
    ///
    /// # Errors
    /// If there is no extension or no format for it.
    pub fn from_path(path: &Path) -> Result<Self> {
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or_default().to_ascii_lowercase();
        match extension.as_str() {
            "png" => Ok(Self::Png),
            "jpg" | "jpeg" => Ok(Self::Jpeg),
            "webp" => Ok(Self::WebP),
            "tif" | "tiff" => Ok(Self::Tiff),
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
            Self::Bmp => "BMP",
        }
    }

    /// Most pixels a side that it holds.
    pub fn max_side(self) -> usize {
        match self {
            Self::Png | Self::Tiff | Self::Bmp => i32::MAX as usize,
            Self::Jpeg => 65_535,
            Self::WebP => 16_383,
        }
    }

    fn has_16_bits(self) -> bool {
        matches!(self, Self::Png | Self::Tiff)
    }

    fn has_alpha(self) -> bool {
        self != Self::Jpeg
    }

    fn has_gray(self) -> bool {
        self != Self::WebP
    }
}

/// How to write a picture.
#[derive(Clone, Copy, Debug)]
pub struct EncodeOptions {
    /// JPEG quality, 1 to 100.
    pub jpeg_quality: u8,
}

impl Default for EncodeOptions {
    fn default() -> Self {
        Self { jpeg_quality: 95 }
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
/// 16 bits a channel are kept where the format has them. ICC profile and EXIF are kept in PNG, JPEG and WebP, the
/// ICC profile in TIFF.
///
/// # Errors
/// If the format cannot hold the picture or the encoder fails.
pub fn encode(picture: &Picture, format: Format, options: EncodeOptions) -> Result<Vec<u8>> {
    let (width, height) = (picture.width(), picture.height());
    if width.max(height) > format.max_side() {
        return Err(ImagingError::FormatLimit { format: format.name(), max_side: format.max_side(), width, height });
    }
    let flattened;
    let picture = if picture.alpha.is_some() && !format.has_alpha() {
        flattened = over_white(picture);
        &flattened
    } else {
        picture
    };
    let sixteen = picture.depth == Depth::Sixteen && format.has_16_bits();
    let gray = picture.is_gray() && format.has_gray();
    // BMP and WebP have no gray with alpha.
    let gray = gray && !(format == Format::Bmp && picture.alpha.is_some());
    let planes: Vec<&Plane> = if gray { vec![&picture.planes[0]] } else { picture.rgb().to_vec() }
        .into_iter()
        .chain(&picture.alpha)
        .collect();
    let bytes = interleave(&planes, sixteen);
    let colour = match (planes.len(), sixteen) {
        (1, false) => ExtendedColorType::L8,
        (2, false) => ExtendedColorType::La8,
        (3, false) => ExtendedColorType::Rgb8,
        (_, false) => ExtendedColorType::Rgba8,
        (1, true) => ExtendedColorType::L16,
        (2, true) => ExtendedColorType::La16,
        (3, true) => ExtendedColorType::Rgb16,
        (_, true) => ExtendedColorType::Rgba16,
    };
    // TIFF files of gray with alpha are beyond the encoder: written as colour.
    if format == Format::Tiff && planes.len() == 2 {
        let mut colour_picture = picture.clone();
        colour_picture.planes = vec![picture.planes[0].clone(); 3];
        return encode(&colour_picture, format, options);
    }
    let mut out = Vec::new();
    let cursor = Cursor::new(&mut out);
    let written = match format {
        Format::Png => run(PngEncoder::new(cursor), picture, &bytes, colour),
        Format::Jpeg => {
            run(JpegEncoder::new_with_quality(cursor, options.jpeg_quality.clamp(1, 100)), picture, &bytes, colour)
        }
        Format::WebP => run(WebPEncoder::new_lossless(cursor), picture, &bytes, colour),
        Format::Tiff => run(TiffEncoder::new(cursor), picture, &bytes, colour),
        Format::Bmp => {
            let mut out = cursor;
            run(BmpEncoder::new(&mut out), picture, &bytes, colour)
        }
    };
    written.map_err(|error| ImagingError::Encode { format: format.name(), reason: error.to_string() })?;
    Ok(out)
}

fn run(
    mut encoder: impl ImageEncoder,
    picture: &Picture,
    bytes: &[u8],
    colour: ExtendedColorType,
) -> image::ImageResult<()> {
    // A format without a place for a block is no reason to fail: the formats' documentation says which keep what.
    if let Some(icc) = &picture.metadata.icc {
        let _ = encoder.set_icc_profile(icc.clone());
    }
    if let Some(exif) = &picture.metadata.exif {
        let _ = encoder.set_exif_metadata(exif.clone());
    }
    encoder.write_image(bytes, picture.width() as u32, picture.height() as u32, colour)
}

fn interleave(planes: &[&Plane], sixteen: bool) -> Vec<u8> {
    let (channels, pixels) = (planes.len(), planes[0].data.len());
    let mut out = vec![0_u8; channels * pixels * if sixteen { 2 } else { 1 }];
    for (channel, plane) in planes.iter().enumerate() {
        for (index, &sample) in plane.data.iter().enumerate() {
            let at = index * channels + channel;
            if sixteen {
                let value = (sample.clamp(0.0, 255.0) * 257.0 + 0.5) as u16;
                out[at * 2..at * 2 + 2].copy_from_slice(&value.to_ne_bytes());
            } else {
                out[at] = quantized(sample) as u8;
            }
        }
    }
    out
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
