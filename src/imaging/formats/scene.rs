//! Pictures of a scene's light in floats: OpenEXR, Radiance HDR and PFM. Networks know the curve of sRGB; light is brought to it,
//! beyond white too.

use std::io::{BufRead, Read as _, Seek};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits};

use crate::{Depth, Picture, Plane, colour, highlights::Curve, picture::MAX_PIXELS};

/// Why a file was not read.
pub(crate) enum Refusal {
    /// More pixels than are accepted.
    TooLarge(u32, u32),
    /// What is wrong with it.
    Damaged(String),
}

impl From<image::ImageError> for Refusal {
    fn from(error: image::ImageError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// What becomes of the light, for the user.
const CURVE: &str = "linear light was brought to the curve of sRGB";

/// Most bytes of all channels together that an OpenEXR file unpacks to: those of a picture of the most pixels in four floats.
const MAX_BYTES: u64 = MAX_PIXELS * 16;

/// A frame of more pixels than this must not be more than so many times what the file holds of it: the rest would be black.
const LARGE_FRAME: u64 = 64_000_000;
const MAX_EMPTY: u64 = 16;

/// What the header of an OpenEXR file says.
struct Header {
    /// Bytes that its first part unpacks to.
    bytes: u64,
    /// Where red, green, blue and white lie in the CIE diagram, two numbers each; those of sRGB where nothing is said.
    chromaticities: Option<[f32; 8]>,
}

/// The header of an OpenEXR file; `None` if it cannot be understood, or asks for a frame that is nearly all empty. The decoder takes the memory of all channels, however many there are that nobody sees, and of the
/// whole frame.
fn header_of_exr(source: &mut impl BufRead) -> Option<Header> {
    const MAX_HEADER: u64 = 1 << 20;
    let mut header = Vec::new();
    source.take(MAX_HEADER).read_to_end(&mut header).ok()?;
    let mut rest = header.get(8..)?;
    let text = |rest: &mut &[u8]| {
        let end = rest.iter().position(|&byte| byte == 0)?;
        let (text, after) = (rest[..end].to_vec(), &rest[end + 1..]);
        *rest = after;
        Some(text)
    };
    let long = |bytes: &[u8], at: usize| Some(i32::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
    let pixels = |window: &[u8]| {
        let side = |low: usize, high: usize| {
            u64::try_from(i64::from(long(window, high)?) - i64::from(long(window, low)?) + 1)
                .ok()
                .filter(|&side| side > 0)
        };
        Some(side(0, 8)?.saturating_mul(side(4, 12)?))
    };
    let (mut pixel, mut size, mut frame, mut chromaticities) = (0_u64, None::<u64>, None::<u64>, None);
    loop {
        let name = text(&mut rest)?;
        if name.is_empty() {
            let (size, frame) = (size?, frame?);
            let is_empty = frame > LARGE_FRAME && frame / MAX_EMPTY > size;
            return (!is_empty).then(|| Header { bytes: size.saturating_mul(pixel), chromaticities });
        }
        let _kind = text(&mut rest)?;
        let length = usize::try_from(long(rest, 0)?).ok()?;
        let value = rest.get(4..4_usize.checked_add(length)?)?;
        match name.as_slice() {
            b"channels" => {
                let mut left = value;
                while !text(&mut left)?.is_empty() {
                    // Halves are of kind 1. After the kind come a flag and how densely samples lie.
                    pixel += if long(left, 0)? == 1 { 2 } else { 4 };
                    left = left.get(16..)?;
                }
            }
            b"chromaticities" => {
                let mut all = [0.0; 8];
                for (value, four) in all.iter_mut().zip(value.as_chunks::<4>().0) {
                    *value = f32::from_le_bytes(*four);
                }
                chromaticities = (length == 32 && all.iter().all(|value| value.is_finite())).then_some(all);
            }
            b"dataWindow" => size = Some(pixels(value)?),
            b"displayWindow" => frame = Some(pixels(value)?),
            _ => {}
        }
        rest = &rest[4 + length..];
    }
}

/// Reads an OpenEXR or a Radiance file.
pub(crate) fn decode<R: BufRead + Seek>(mut source: R, format: ImageFormat) -> Result<Picture, Refusal> {
    let mut profile = None;
    if format == ImageFormat::OpenExr {
        let told = |error: std::io::Error| Refusal::Damaged(error.to_string());
        let header = header_of_exr(&mut source).filter(|header| header.bytes <= MAX_BYTES);
        let Some(header) = header else {
            return Err(Refusal::Damaged("its header asks for more memory than a picture takes, or is damaged".into()));
        };
        profile = header.chromaticities.and_then(colour::of_light_with);
        source.rewind().map_err(told)?;
    }
    let mut reader = ImageReader::with_format(source, format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 16);
    reader.limits(limits);
    let decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    check(width, height)?;
    let has_alpha = decoder.color_type().has_alpha();
    let rgba = DynamicImage::from_decoder(decoder)?.into_rgba32f();
    let of = |channel: usize| rgba.as_raw().iter().skip(channel).step_by(4).copied().collect();
    let channels = if has_alpha { 4 } else { 3 };
    let mut picture =
        of_light([width as usize, height as usize], (0..channels).map(of).collect(), format == ImageFormat::OpenExr);
    picture.metadata.icc = profile;
    Ok(picture)
}

/// Whether the first bytes of a file are those of a portable float map.
pub(crate) fn is_pfm(start: &[u8]) -> bool {
    matches!(start, [b'P', b'F' | b'f', space, ..] if space.is_ascii_whitespace())
}

/// Width and height of a portable float map.
pub(crate) fn pfm_header(source: &mut impl BufRead) -> Result<(usize, usize), String> {
    let header = PfmHeader::read(source)?;
    Ok((header.width, header.height))
}

struct PfmHeader {
    channels: usize,
    width: usize,
    height: usize,
    big_endian: bool,
}

impl PfmHeader {
    /// A word for the kind, width, height and a number whose sign says how bytes are ordered; a single blank after it.
    fn read(source: &mut impl BufRead) -> Result<Self, String> {
        let mut words = Vec::new();
        let mut word = String::new();
        while words.len() < 4 {
            let mut byte = [0];
            source.read_exact(&mut byte).map_err(|error| error.to_string())?;
            match byte[0] {
                blank if blank.is_ascii_whitespace() => {
                    words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)))
                }
                other if word.len() < 32 => word.push(other as char),
                _ => return Err("its header is no header of a float map".into()),
            }
        }
        let number = |word: &str| word.parse::<usize>().ok().filter(|&side| side > 0);
        let sides = number(&words[1]).zip(number(&words[2]));
        let scale = words[3].parse::<f32>().ok().filter(|scale| scale.is_finite() && *scale != 0.0);
        let ((width, height), scale) = sides.zip(scale).ok_or("its header states no size")?;
        Ok(Self { channels: if words[0] == "PF" { 3 } else { 1 }, width, height, big_endian: scale > 0.0 })
    }
}

/// Reads a portable float map.
pub(crate) fn decode_pfm(source: &mut impl BufRead) -> Result<Picture, Refusal> {
    let PfmHeader { channels, width, height, big_endian } = PfmHeader::read(source).map_err(Refusal::Damaged)?;
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    check(side(width), side(height))?;
    let mut bytes = vec![0; width * height * channels * 4];
    source.read_exact(&mut bytes).map_err(|error| Refusal::Damaged(error.to_string()))?;
    let sample = |four: &[u8; 4]| if big_endian { f32::from_be_bytes(*four) } else { f32::from_le_bytes(*four) };
    let samples: Vec<f32> = bytes.as_chunks().0.iter().map(sample).collect();
    // The last row comes first.
    let of = |channel: usize| -> Vec<f32> {
        let rows = samples.chunks_exact(width * channels).rev();
        rows.flat_map(|row| row.iter().skip(channel).step_by(channels).copied()).collect()
    };
    Ok(of_light([width, height], (0..channels).map(of).collect(), false))
}

fn check(width: u32, height: u32) -> Result<(), Refusal> {
    match u64::from(width) * u64::from(height) {
        0 => Err(Refusal::Damaged("it has no pixels".into())),
        pixels if pixels > MAX_PIXELS => Err(Refusal::TooLarge(width, height)),
        _ => Ok(()),
    }
}

/// A picture of light, 1 being white; a fourth channel is its alpha, which colours have been multiplied by if `is_associated`.
fn of_light([width, height]: [usize; 2], mut channels: Vec<Vec<f32>>, is_associated: bool) -> Picture {
    let alpha = if channels.len() == 4 { channels.pop() } else { None };
    let mut odd = 0;
    let mut light = |value: f32| {
        // As for float TIFF: endless light is white, what is no number black.
        let value = if value.abs() < 1e12 {
            value.max(0.0)
        } else {
            odd += 1;
            if value > 0.0 { 1.0 } else { 0.0 }
        };
        if value <= 0.003_130_8 { 12.92 * value } else { 1.055 * value.powf(1.0 / 2.4) - 0.055 }
    };
    if let Some(alpha) = alpha.as_ref().filter(|_| is_associated) {
        for channel in &mut channels {
            let covered = channel.iter_mut().zip(alpha).filter(|(_, coverage)| **coverage > 0.0);
            covered.for_each(|(sample, &coverage)| *sample /= coverage.min(1.0));
        }
    }
    channels.iter_mut().flatten().for_each(|sample| *sample = light(*sample));
    let white = channels.iter().flatten().copied().fold(1.0, f32::max);
    let curve = Curve::new(white);
    let level = |value: f32| 255.0 * curve.as_ref().map_or(value, |curve| curve.compress(value));
    channels.iter_mut().flatten().for_each(|sample| *sample = level(*sample));
    let plane = |data| Plane::new(width, height, data);
    let mut picture = Picture::from_planes(channels.into_iter().map(plane).collect());
    picture.alpha =
        alpha.map(|alpha| plane(alpha.into_iter().map(|coverage| (255.0 * coverage).clamp(0.0, 255.0)).collect()));
    picture.alpha = picture.alpha.filter(|alpha| alpha.data.iter().any(|&coverage| coverage < 255.0));
    picture.depth = Depth::Float { white };
    picture.metadata.odd_samples = odd;
    if odd > 0 {
        picture
            .metadata
            .left_out
            .push(format!("NaN, infinite or out-of-range samples, now black or white: {odd}").into());
    }
    picture.metadata.left_out.push(CURVE.into());
    picture
}
