//! WebP, lossless.

use image_webp::{ColorType, WebPEncoder};

use super::samples;
use crate::{Metadata, Picture};

/// Encodes a picture with 8 bits.
pub(crate) fn encode(picture: &Picture) -> Result<Vec<u8>, String> {
    let planes = samples::planes(picture, false);
    let colour = if planes.len() == 3 { ColorType::Rgb8 } else { ColorType::Rgba8 };
    let mut out = Vec::new();
    let mut encoder = WebPEncoder::new(&mut out);
    let Metadata { icc, exif, .. } = &picture.metadata;
    if let Some(icc) = icc {
        encoder.set_icc_profile(icc.clone());
    }
    if let Some(exif) = exif {
        encoder.set_exif_metadata(exif.clone());
    }
    if let Some(xmp) = picture.metadata.single_xmp() {
        encoder.set_xmp_metadata(xmp);
    }
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    encoder.encode(&samples::eight(&planes), width, height, colour).map_err(|error| error.to_string())?;
    Ok(out)
}
