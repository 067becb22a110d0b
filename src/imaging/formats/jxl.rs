//! JPEG XL, read by a decoder in Rust; written without loss, in sRGB, which is all that its encoder knows.

use std::io::Read;

use jxl_oxide::{AllocTracker, AuxBoxData, ExtraChannelType, JxlImage, PixelFormat};

use zune_core::{bit_depth::BitDepth, colorspace::ColorSpace, options::EncoderOptions};
use zune_jpegxl::JxlSimpleEncoder;

use super::{animation, samples};
use crate::{Depth, Picture, Plane, colour, metadata::Metadata, picture::MAX_PIXELS};

/// Whether the first bytes of a file are those of JPEG XL, bare or in boxes.
pub(crate) fn is_jxl(start: &[u8]) -> bool {
    start.starts_with(b"\xff\x0a") || start.starts_with(b"\0\0\0\x0cJXL \r\n\x87\n")
}

fn open(source: impl Read) -> Result<JxlImage, String> {
    // What a picture of the most pixels takes, whatever a small file claims.
    let tracker = AllocTracker::with_limit(MAX_PIXELS as usize * 32);
    JxlImage::builder().alloc_tracker(tracker).read(source).map_err(|error| error.to_string())
}

/// Width and height as the picture is to be seen.
pub(crate) fn header(source: impl Read) -> Result<(usize, usize), String> {
    let image = open(source)?;
    Ok((image.width() as usize, image.height() as usize))
}

/// Why a file was not read.
pub(crate) enum Refusal {
    /// More pixels than are accepted.
    TooLarge(u32, u32),
    /// What the decoder said.
    Damaged(String),
}

/// Reads the first picture of a file, as it is to be seen.
pub(crate) fn decode(source: impl Read) -> Result<Picture, Refusal> {
    let image = open(source).map_err(Refusal::Damaged)?;
    if u64::from(image.width()) * u64::from(image.height()) > MAX_PIXELS {
        return Err(Refusal::TooLarge(image.width(), image.height()));
    }
    let damaged = |what: String| Refusal::Damaged(what);
    let told = &image.image_header().metadata;
    let rendered = image.render_frame(0).map_err(|error| damaged(error.to_string()))?;
    let frame = rendered.image_all_channels();
    let (width, height, channels) = (frame.width(), frame.height(), frame.channels());
    let format = image.pixel_format();
    let colours = match format {
        PixelFormat::Gray | PixelFormat::Graya => 1,
        PixelFormat::Rgb | PixelFormat::Rgba => 3,
        PixelFormat::Cmyk | PixelFormat::Cmyka => 4,
    };
    if channels < colours || width == 0 || height == 0 {
        return Err(damaged("channels are missing".to_owned()));
    }
    let take = |channel: usize| -> Vec<f32> {
        frame.buf().iter().skip(channel).step_by(channels).map(|&value| (value * 255.0).clamp(0.0, 255.0)).collect()
    };
    let mut planes: Vec<Vec<f32>> = (0..colours).map(take).collect();
    let icc = image.rendered_icc();
    let mut metadata = Metadata {
        icc: (image.rendered_cicp() != Some(SRGB) && !icc.is_empty()).then_some(icc),
        ..Metadata::default()
    };
    if colours == 4 {
        // Ink is where the samples are low.
        planes.iter_mut().flatten().for_each(|sample| *sample = 255.0 - *sample);
        planes = colour::from_inks(&planes, metadata.icc.take().as_deref());
    }
    let mut alpha = format.has_alpha().then(|| take(colours));
    let associated = told.ec_info.iter().find_map(|extra| extra.alpha_associated());
    if let (Some(alpha), Some(true)) = (&alpha, associated) {
        for plane in &mut planes {
            for (sample, &coverage) in plane.iter_mut().zip(alpha) {
                *sample = if coverage > 0.0 { (*sample * 255.0 / coverage).min(255.0) } else { 0.0 };
            }
        }
    }
    let others = told
        .ec_info
        .iter()
        .filter(|extra| !matches!(extra.ty, ExtraChannelType::Alpha { .. } | ExtraChannelType::Black));
    if others.count() > 0 {
        metadata.left_out.push("extra channels (depth, spot colours) are dropped".into());
    }
    if image.num_loaded_keyframes() > 1 {
        metadata.left_out.push(animation::LEFT_OUT.into());
    }
    if image.hdr_type().is_some() {
        metadata
            .left_out
            .push("the picture is made for HDR screens, of whose light 16 bits keep what lies below white".into());
    }
    let boxes = image.aux_boxes();
    if let Ok(AuxBoxData::Data(exif)) = boxes.first_exif() {
        metadata.exif = Some(exif.payload().to_vec());
    }
    if let AuxBoxData::Data(packet) = boxes.first_xml() {
        metadata.xmp = Some(packet.to_vec());
    }
    metadata.note_announced();
    let plane = |data| Plane::new(width, height, data);
    let depth = if told.bit_depth.bits_per_sample() > 8 { Depth::Sixteen } else { Depth::Eight };
    let alpha = alpha.take().map(plane);
    Ok(Picture { alpha, depth, metadata, ..Picture::from_planes(planes.into_iter().map(plane).collect()) })
}

/// Encodes a picture without loss, in a container that has EXIF and XMP.
pub(crate) fn encode(picture: &Picture) -> Result<Vec<u8>, String> {
    if picture.width().min(picture.height()) < 2 {
        return Err("its encoder takes pictures of at least 2 pixels a side; choose PNG".to_owned());
    }
    let picture = colour::to_srgb(picture);
    let planes = samples::planes(&picture, true);
    let colours = match planes.len() {
        1 => ColorSpace::Luma,
        2 => ColorSpace::LumaA,
        3 => ColorSpace::RGB,
        _ => ColorSpace::RGBA,
    };
    // Of transparency the encoder (zune-jpegxl 0.5) says that it has 8 bits, whatever it has, and others refuse a mixture.
    let (bits, bytes) = if picture.depth == Depth::Eight || picture.alpha.is_some() {
        (BitDepth::Eight, samples::eight(&planes))
    } else {
        (BitDepth::Sixteen, samples::sixteen(&planes).into_iter().flat_map(u16::to_ne_bytes).collect())
    };
    let options = EncoderOptions::new(picture.width(), picture.height(), colours, bits)
        .set_num_threads(rayon::current_num_threads().min(usize::from(u8::MAX)) as u8);
    let mut codestream = Vec::new();
    JxlSimpleEncoder::new(&bytes, options).encode(&mut codestream).map_err(|error| format!("{error:?}"))?;
    let mut out = b"\0\0\0\x0cJXL \r\n\x87\n\0\0\0\x14ftypjxl \0\0\0\0jxl ".to_vec();
    let mut put = |kind: &[u8; 4], content: &[u8]| {
        match u32::try_from(content.len() + 8) {
            Ok(length) => out.extend([&length.to_be_bytes()[..], kind, content].concat()),
            // A length of 1 says that the true one follows in eight bytes.
            Err(_) => {
                let length = content.len() as u64 + 16;
                out.extend([&1_u32.to_be_bytes()[..], kind, &length.to_be_bytes(), content].concat());
            }
        }
    };
    if let Some(exif) = &picture.metadata.exif {
        put(b"Exif", &[&[0; 4], exif.as_slice()].concat());
    }
    if let Some(xmp) = picture.metadata.single_xmp() {
        put(b"xml ", &xmp);
    }
    put(b"jxlc", &codestream);
    Ok(out)
}

/// Colours, curve and matrix of sRGB as code points (ITU-T H.273), full range.
const SRGB: [u8; 4] = [1, 13, 0, 1];
