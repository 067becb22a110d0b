//! JPEG: what its segments say, whether the file is whole, and writing.
//!
//! Decoders fill what is missing at the end of a file with gray and say nothing.

use std::io::{BufRead, Read, Result};

use jpeg_encoder::{ColorType, Encoder, PixelDensity, PixelDensityUnit, SamplingFactor};

use super::samples;
use crate::{
    EncodeOptions, Metadata, Picture, Plane, Subsampling, colour,
    metadata::{Block, from_image_resources, to_image_resources},
    picture::MAX_PIXELS,
};

const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;
const QUANTISATION: u8 = 0xDB;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP2: u8 = 0xE2;
const APP13: u8 = 0xED;
const JFIF: &[u8] = b"JFIF\0";
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
/// Segment of pictures with a gain map (ISO 21496-1).
const GAIN_MAP: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";
/// Most bytes of a segment's content.
const MOST: usize = 65_533;

/// How much of a file is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Up to the picture's data.
    Header,
    /// All of it, to know whether it is whole.
    Whole,
}

/// What the segments of a file say.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) metadata: Metadata,
    /// Width and height in pixels.
    pub(crate) size: [u16; 2],
    /// Colour components.
    pub(crate) components: u8,
    /// Whether components come one after the other in a picture that is not progressive: the usual decoder
    /// (zune-jpeg 0.5) reads such a file as black and says nothing.
    pub(crate) one_by_one: bool,
}

/// Reads the segments up to the picture's end; `None` if the file ends before. What follows the end marker, as some
/// cameras append, does not matter; nor do the pictures inside of segments, such as thumbnails.
///
/// # Errors
/// If reading fails.
pub(crate) fn scan(source: &mut impl BufRead, extent: Extent) -> Result<Option<Scanned>> {
    let mut scanned = Scanned::default();
    let mut profile: Vec<(u8, Vec<u8>)> = Vec::new();
    let (mut in_scan, mut is_sequential) = (false, false);
    loop {
        let Some(marker) = next_marker(source, in_scan)? else { return Ok(None) };
        match marker {
            END_OF_IMAGE => break,
            // Start of image, restarts, and markers without content.
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let mut length = [0; 2];
        if !fill(source, &mut length)? {
            return Ok(None);
        }
        let mut content = vec![0; usize::from(u16::from_be_bytes(length)).saturating_sub(2)];
        if !fill(source, &mut content)? {
            return Ok(None);
        }
        match marker {
            // The first frame is the one that is decoded.
            0xC0..=0xCF if ![0xC4, 0xC8, 0xCC].contains(&marker) && scanned.components == 0 => {
                scanned.components = content.get(5).copied().unwrap_or(0);
                if let [_, h1, h2, w1, w2, ..] = content[..] {
                    scanned.size = [u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2])];
                }
                is_sequential = marker <= 0xC1;
            }
            START_OF_SCAN if is_sequential => {
                scanned.one_by_one |= content.first().is_some_and(|&count| count < scanned.components);
            }
            QUANTISATION => scanned.metadata.jpeg_quality = scanned.metadata.jpeg_quality.or(quality(&content)),
            APP0 if content.starts_with(JFIF) => scanned.metadata.density = density(&content),
            APP1 | APP2 | APP13 => scanned.note(&content, &mut profile),
            _ => {}
        }
        if extent == Extent::Header && marker == START_OF_SCAN {
            break;
        }
        in_scan = marker == START_OF_SCAN;
    }
    profile.sort_by_key(|(number, _)| *number);
    let profile = profile.into_iter().flat_map(|(_, part)| part).collect::<Vec<u8>>();
    scanned.metadata.icc = (!profile.is_empty()).then_some(profile);
    Ok(Some(scanned))
}

impl Scanned {
    fn note(&mut self, content: &[u8], profile: &mut Vec<(u8, Vec<u8>)>) {
        let of = |start: &[u8]| content.strip_prefix(start);
        let metadata = &mut self.metadata;
        if let Some(block) = of(EXIF).filter(|_| metadata.exif.is_none()) {
            metadata.exif = Some(block.to_vec());
        } else if let Some(packet) = of(XMP).filter(|_| metadata.xmp.is_none()) {
            metadata.xmp = Some(packet.to_vec());
        } else if let Some(resources) = of(PHOTOSHOP).filter(|_| metadata.iptc.is_none()) {
            metadata.iptc = from_image_resources(resources);
        } else if let Some([number, _, part @ ..]) = of(ICC) {
            profile.push((*number, part.to_vec()));
        } else if of(GAIN_MAP).is_some() && metadata.left_out.is_empty() {
            metadata.left_out.push("the gain map that brightens the picture on HDR screens is left out".into());
        }
    }
}

/// Quality as the Independent JPEG Group counts it, by which its table for luma is scaled: how the sum of the first table, number
/// 0, compares with that of the standard's. The sum does not depend on the order of the entries.
fn quality(content: &[u8]) -> Option<u8> {
    const STANDARD_SUM: f64 = 3688.0;
    let (&kind, entries) = content.split_first()?;
    let sum: f64 = match kind {
        0x00 => entries.get(..64)?.iter().copied().map(f64::from).sum(),
        0x10 => entries.get(..128)?.chunks_exact(2).map(|two| f64::from(u16::from_be_bytes([two[0], two[1]]))).sum(),
        _ => return None,
    };
    let percent = 100.0 * sum / STANDARD_SUM;
    let quality = if percent <= 100.0 { (200.0 - percent) / 2.0 } else { 5000.0 / percent };
    Some(quality.round().clamp(1.0, 100.0) as u8)
}

/// Pixels per inch of a JFIF segment.
fn density(content: &[u8]) -> Option<[f64; 2]> {
    let per_inch = match content.get(7)? {
        1 => 1.0,
        2 => 2.54,
        _ => return None,
    };
    let number = |at: usize| content.get(at..)?.first_chunk().map(|two| f64::from(u16::from_be_bytes(*two)));
    let (x, y) = (number(8)?, number(10)?);
    (x > 0.0 && y > 0.0).then_some([x * per_inch, y * per_inch])
}

/// The next marker, past compressed data if `in_scan`; `None` at the end of the file.
fn next_marker(source: &mut impl BufRead, in_scan: bool) -> Result<Option<u8>> {
    let mut byte = [0];
    loop {
        if source.skip_until(0xFF)? == 0 {
            return Ok(None);
        }
        // Any number of fill bytes may stand before a marker.
        byte[0] = 0xFF;
        while byte[0] == 0xFF {
            if !fill(source, &mut byte)? {
                return Ok(None);
            }
        }
        let is_data = byte[0] == 0 || (in_scan && (0xD0..=0xD7).contains(&byte[0]));
        if !is_data {
            return Ok(Some(byte[0]));
        }
    }
}

/// Decodes a file of four inks, or one whose components come one after the other. The profile says what inks look like.
pub(crate) fn decode_otherwise<R: Read>(source: R, metadata: Metadata) -> std::result::Result<Picture, String> {
    let mut decoder = jpeg_decoder::Decoder::new(source);
    decoder.set_max_decoding_buffer_size(MAX_PIXELS as usize * 4);
    let samples = decoder.decode().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("it has no header")?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let channels = match info.pixel_format {
        jpeg_decoder::PixelFormat::L8 => 1,
        jpeg_decoder::PixelFormat::RGB24 => 3,
        jpeg_decoder::PixelFormat::CMYK32 => 4,
        other => return Err(format!("pixels of kind {other:?}")),
    };
    let mut planes: Vec<Vec<f32>> = (0..channels)
        .map(|channel| samples.iter().skip(channel).step_by(channels).map(|&sample| f32::from(sample)).collect())
        .collect();
    let mut metadata = metadata;
    if channels == 4 {
        planes = colour::from_inks(&planes, metadata.icc.take().as_deref());
    }
    let plane = |data| Plane::new(width, height, data);
    Ok(Picture { metadata, ..Picture::from_planes(planes.into_iter().map(plane).collect()) })
}

fn fill(source: &mut impl Read, target: &mut [u8]) -> Result<bool> {
    match source.read_exact(target) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Encodes a picture without alpha. Blocks that do not fit into a segment are left out.
pub(crate) fn encode(picture: &Picture, options: EncodeOptions) -> std::result::Result<Vec<u8>, String> {
    let told = |error: jpeg_encoder::EncodingError| error.to_string();
    let planes = samples::planes(picture, true);
    let bytes = samples::eight(&planes);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, options.quality.clamp(1, 100));
    encoder.set_sampling_factor(match options.subsampling {
        Subsampling::Full => SamplingFactor::R_4_4_4,
        Subsampling::Half => SamplingFactor::R_4_2_0,
    });
    let Metadata { icc, exif, xmp, iptc, density, .. } = &picture.metadata;
    if let Some(density) = density {
        let [x, y] = density.map(|density| density.round().clamp(1.0, f64::from(u16::MAX)) as u16);
        encoder.set_density(PixelDensity { density: (x, y), unit: PixelDensityUnit::Inches });
    }
    let iptc = iptc.as_deref().map(to_image_resources);
    // A block that is too large for a segment loses the maker's notes before it is lost itself.
    let exif = &exif.clone().map(|block| {
        let fits = block.len() + EXIF.len() <= MOST;
        if fits {
            block
        } else {
            Block::parse(block).map(|block| block.without_notes().into_bytes()).unwrap_or_default()
        }
    });
    for (segment, start, content) in [(1, EXIF, exif), (1, XMP, xmp), (13, PHOTOSHOP, &iptc)] {
        if let Some(content) = content.as_ref().filter(|content| start.len() + content.len() <= MOST) {
            encoder.add_app_segment(segment, [start, content].concat()).map_err(told)?;
        }
    }
    if let Some(icc) = icc {
        encoder.add_icc_profile(icc).map_err(told)?;
    }
    let colour = if planes.len() == 1 { ColorType::Luma } else { ColorType::Rgb };
    encoder.encode(&bytes, picture.width() as u16, picture.height() as u16, colour).map_err(told)?;
    Ok(out)
}
