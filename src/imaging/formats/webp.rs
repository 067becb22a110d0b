//! WebP: lossless by an encoder in Rust, lossy by libwebp.

use image_webp::{ColorType, WebPEncoder};
use webp::WebPConfig;

use super::samples;
use crate::{EncodeOptions, Metadata, Picture};

/// Encodes a picture with 8 bits.
pub(crate) fn encode(picture: &Picture, options: EncodeOptions) -> Result<Vec<u8>, String> {
    if options.lossy {
        return lossy(picture, options.quality);
    }
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

/// Flags of the header that says what a file has beside its picture.
const HAS_ICC: u8 = 0x20;
const HAS_ALPHA: u8 = 0x10;
const HAS_EXIF: u8 = 0x08;
const HAS_XMP: u8 = 0x04;

fn lossy(picture: &Picture, quality: u8) -> Result<Vec<u8>, String> {
    let planes = samples::planes(picture, false);
    let samples = samples::eight(&planes);
    let (width, height) = (picture.width() as u32, picture.height() as u32);
    let has_alpha = planes.len() == 4;
    let encoder = match has_alpha {
        true => webp::Encoder::from_rgba(&samples, width, height),
        false => webp::Encoder::from_rgb(&samples, width, height),
    };
    let mut config = WebPConfig::new().map_err(|()| "libwebp of another version".to_owned())?;
    config.quality = f32::from(quality.clamp(1, 100));
    // Colours are stored at half resolution: edges between them stay sharp at a little more work.
    config.use_sharp_yuv = 1;
    config.thread_level = 1;
    let coded = encoder.encode_advanced(&config).map_err(|error| format!("{error:?}"))?;
    let Metadata { icc, exif, .. } = &picture.metadata;
    let xmp = picture.metadata.single_xmp();
    let side = |side: u32| (side - 1).to_le_bytes()[..3].to_vec();
    let flag = |has: bool, flag: u8| if has { flag } else { 0 };
    let flags = flag(icc.is_some(), HAS_ICC)
        | flag(has_alpha, HAS_ALPHA)
        | flag(exif.is_some(), HAS_EXIF)
        | flag(xmp.is_some(), HAS_XMP);
    let mut body = b"WEBP".to_vec();
    let mut put = |kind: &[u8; 4], content: &[u8]| {
        body.extend_from_slice(kind);
        body.extend((content.len() as u32).to_le_bytes());
        body.extend_from_slice(content);
        body.resize(body.len().next_multiple_of(2), 0);
    };
    put(b"VP8X", &[vec![flags, 0, 0, 0], side(width), side(height)].concat());
    if let Some(icc) = icc {
        put(b"ICCP", icc);
    }
    // The picture's own chunks, without the header that may stand before them.
    let mut rest = coded.get(12..).unwrap_or_default();
    while let Some((head, behind)) = rest.split_first_chunk::<8>() {
        let (kind, length) = (&head[..4], u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize);
        let Some(content) = behind.get(..length) else { break };
        match kind {
            b"ALPH" => put(b"ALPH", content),
            b"VP8 " => put(b"VP8 ", content),
            _ => {}
        }
        rest = behind.get(length.next_multiple_of(2)..).unwrap_or_default();
    }
    if let Some(exif) = exif {
        put(b"EXIF", exif);
    }
    if let Some(xmp) = xmp {
        put(b"XMP ", &xmp);
    }
    let length = u32::try_from(body.len()).map_err(|_| "more than 4 GB".to_owned())?;
    Ok([b"RIFF", &length.to_le_bytes()[..], &body].concat())
}
