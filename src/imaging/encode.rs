//! Pictures to files.

use std::{io::Cursor, path::Path};

use image::{ExtendedColorType, ImageEncoder, codecs::bmp::BmpEncoder};

use crate::{
    Depth, ImagingError, Picture, Result, colour, file,
    format::{EncodeOptions, Format},
    formats::{avif, jpeg, jxl, png, samples, tiff, webp},
};

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
/// TIFF, all but IPTC in WebP and JPEG XL, EXIF in AVIF, none in BMP.
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
        Format::WebP => webp::encode(&colour::for_colour_only(picture), options),
        Format::Jxl => jxl::encode(picture),
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
