//! TIFF in all the kinds that photographers' programs write: integers of 1 to 16 bits, floats, palettes, inks, strips,
//! tiles and planes.

mod repair;
mod tags;
mod write;

use std::io::{BufRead, Cursor, Seek};

use image::metadata::Orientation;
use tiff::{
    ColorType, TiffError,
    decoder::{Decoder, DecodingResult, Limits},
    tags::Tag,
};

pub(crate) use write::encode;

use crate::{
    Depth, Metadata, Picture, Plane, colour,
    highlights::Curve,
    picture::{MAX_PIXELS, from_u16},
};

/// Extra samples that the colours have been multiplied by.
const ASSOCIATED_ALPHA: u16 = 1;
const FLOAT: u16 = 3;
/// Colours, alpha and what programs add to them; more are no photograph.
const MOST_CHANNELS: usize = 8;

/// Why a TIFF file was not read.
pub(crate) enum Refusal {
    /// More pixels than are accepted.
    TooLarge(u32, u32),
    /// What the decoder said.
    Damaged(String),
}

impl From<TiffError> for Refusal {
    fn from(error: TiffError) -> Self {
        Self::Damaged(error.to_string())
    }
}

/// Width and height before orientation, and the orientation.
pub(crate) fn header<R: BufRead + Seek>(source: R) -> Result<(u32, u32, Orientation), String> {
    let mut decoder = Decoder::new(source).map_err(|error| error.to_string())?;
    let (width, height) = decoder.dimensions().map_err(|error| error.to_string())?;
    Ok((width, height, tags::orientation(&mut decoder)))
}

/// Reads the first picture of a file, with the orientation it is stored in.
pub(crate) fn decode<R: BufRead + Seek>(mut source: R) -> Result<(Picture, Orientation), Refusal> {
    match decode_once(&mut source, false) {
        Ok(decoded) => Ok(decoded),
        Err(Refusal::TooLarge(width, height)) => Err(Refusal::TooLarge(width, height)),
        Err(Refusal::Damaged(reason)) => {
            // Perhaps it is one that the decoder is wrong about.
            let mut bytes = Vec::new();
            let read = source.rewind().and_then(|()| source.read_to_end(&mut bytes));
            read.map_err(|error| Refusal::Damaged(error.to_string()))?;
            let indexed = repair::palette_as_gray(bytes.clone());
            let is_indexed = indexed.is_some();
            let bytes = indexed.unwrap_or(bytes);
            match repair::unpacked(bytes.clone()) {
                Some(unpacked) => decode_once(Cursor::new(unpacked), is_indexed),
                None if is_indexed => decode_once(Cursor::new(bytes), true),
                None => Err(Refusal::Damaged(reason)),
            }
        }
    }
}

/// `is_indexed`: gray samples are indices into the palette.
fn decode_once<R: BufRead + Seek>(source: R, is_indexed: bool) -> Result<(Picture, Orientation), Refusal> {
    let mut decoder = Decoder::new(source)?;
    let (width, height) = decoder.dimensions()?;
    let pixels_in_all = u64::from(width) * u64::from(height);
    if pixels_in_all > MAX_PIXELS {
        return Err(Refusal::TooLarge(width, height));
    }
    // What a small picture takes, whatever its strips and tiles claim.
    let most = (pixels_in_all * 32) as usize + (64 << 20);
    let mut limits = Limits::default();
    limits.decoding_buffer_size = most;
    limits.intermediate_buffer_size = most;
    // The decoder makes 32 bytes of each value.
    limits.ifd_value_size = 16 << 20;
    let mut decoder = decoder.with_limits(limits);
    let mut picture = pixels(&mut decoder, width as usize, height as usize, is_indexed)?;
    let (metadata, orientation) = tags::metadata(&mut decoder);
    let cmyk = matches!(decoder.colortype()?, ColorType::CMYK(_) | ColorType::CMYKA(_));
    let odd_samples = picture.metadata.odd_samples;
    let mut left_out = std::mem::take(&mut picture.metadata.left_out);
    if decoder.more_images() {
        left_out.push("multi-page file: only the first page was read".into());
    }
    picture.metadata = Metadata { icc: if cmyk { None } else { metadata.icc }, left_out, odd_samples, ..metadata };
    Ok((picture, orientation))
}

fn pixels<R: BufRead + Seek>(
    decoder: &mut Decoder<R>,
    width: usize,
    height: usize,
    is_indexed: bool,
) -> Result<Picture, Refusal> {
    let colour = decoder.colortype()?;
    let unsupported = || Refusal::Damaged(format!("TIFF pixels of kind {colour:?}"));
    let (colours, bits) = match colour {
        ColorType::Gray(bits) => (1, bits),
        ColorType::GrayA(bits) => (1, bits),
        ColorType::RGB(bits) | ColorType::RGBA(bits) | ColorType::YCbCr(bits) => (3, bits),
        ColorType::CMYK(bits) | ColorType::CMYKA(bits) => (4, bits),
        ColorType::Multiband { bit_depth, num_samples } => (if num_samples < 3 { 1 } else { 3 }, bit_depth),
        _ => return Err(unsupported()),
    };
    let channels = usize::from(colour.num_samples());
    if channels > MOST_CHANNELS {
        return Err(unsupported());
    }
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result)?;
    let wide = if is_indexed { 1.0 } else { 255.0 };
    let is_float = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?.is_some_and(|kinds| kinds.contains(&FLOAT));
    let mut odd = 0;
    let (samples, depth): (Vec<f32>, Depth) = match result {
        DecodingResult::U8(bytes) if bits < 8 => {
            let most = ((1_u32 << bits) - 1) as f32;
            let unpacked = unpack(&bytes, bits, width * if layout.planes > 1 { 1 } else { channels });
            (
                unpacked
                    .into_iter()
                    .map(|value| f32::from(value) * wide / if wide == 1.0 { 1.0 } else { most })
                    .collect(),
                Depth::Eight,
            )
        }
        DecodingResult::U8(bytes) => (bytes.into_iter().map(f32::from).collect(), Depth::Eight),
        DecodingResult::U16(values) if wide == 1.0 => (values.into_iter().map(f32::from).collect(), Depth::Eight),
        DecodingResult::U16(values) => {
            // Some programs state 10, 12 or 14 bits and mean it.
            let most = if bits < 16 { ((1_u32 << bits) - 1) as f32 } else { 65_535.0 };
            let scale = |value| if bits < 16 { f32::from(value) * 255.0 / most } else { from_u16(value) };
            (values.into_iter().map(scale).collect(), Depth::Sixteen)
        }
        DecodingResult::U32(values) => (
            values.into_iter().map(|value| (f64::from(value) * 255.0 / f64::from(u32::MAX)) as f32).collect(),
            Depth::Sixteen,
        ),
        DecodingResult::F16(values) => (floats(values.into_iter().map(f32::from), &mut odd), SCENE),
        DecodingResult::F32(values) if is_float => (floats(values.into_iter(), &mut odd), SCENE),
        DecodingResult::F64(values) if is_float => {
            (floats(values.into_iter().map(|value| value as f32), &mut odd), SCENE)
        }
        _ => return Err(unsupported()),
    };
    let count = width * height;
    if samples.len() < count * channels {
        return Err(Refusal::Damaged("pixels are missing".to_owned()));
    }
    let take = |channel: usize| -> Vec<f32> {
        if layout.planes > 1 {
            samples[channel * count..(channel + 1) * count].to_vec()
        } else {
            samples.iter().skip(channel).step_by(channels).take(count).copied().collect()
        }
    };
    let mut planes: Vec<Vec<f32>> = (0..channels).map(take).collect();
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?.and_then(|kinds| kinds.first().copied());
    let has_alpha = planes.len() > colours && extra.unwrap_or(2) != 0;
    let other_channels = planes.len() - colours.min(planes.len()) - usize::from(has_alpha);
    let alpha = has_alpha.then(|| planes[colours].clone());
    planes.truncate(colours);
    match colour {
        _ if is_indexed => planes = through_palette(decoder, &planes[0])?,
        ColorType::CMYK(_) | ColorType::CMYKA(_) => {
            let profile = decoder.get_tag_u8_vec(Tag::IccProfile).ok();
            planes = colour::from_inks(&planes, profile.as_deref());
        }
        ColorType::YCbCr(_) => planes = from_ycbcr(&planes),
        _ => {}
    }
    if let (Some(alpha), Some(ASSOCIATED_ALPHA)) = (&alpha, extra) {
        let most = if is_float { f32::INFINITY } else { 255.0 };
        for plane in &mut planes {
            for (sample, &coverage) in plane.iter_mut().zip(alpha) {
                *sample = if coverage > 0.0 { (*sample * 255.0 / coverage).min(most) } else { 0.0 };
            }
        }
    }
    let mut depth = depth;
    if depth == SCENE {
        let white = planes.iter().flatten().copied().fold(255.0, f32::max) / 255.0;
        if let Some(curve) = Curve::new(white) {
            planes.iter_mut().flatten().for_each(|sample| *sample = 255.0 * curve.compress(*sample / 255.0));
        }
        depth = Depth::Float { white };
    }
    let plane = |data| Plane::new(width, height, data);
    let mut picture = Picture::from_planes(planes.into_iter().map(plane).collect());
    picture.alpha = alpha.map(|alpha| plane(alpha.into_iter().map(|coverage| coverage.min(255.0)).collect()));
    picture.depth = depth;
    if odd > 0 {
        let told = format!("NaN, infinite or out-of-range samples, now black or white: {odd}");
        picture.metadata.left_out.push(told.into());
        picture.metadata.odd_samples = odd;
    }
    if other_channels > 0 {
        picture.metadata.left_out.push("extra channels (masks, spot colours) are dropped".into());
    }
    Ok(picture)
}

/// Floats as files have them, before it is known how bright the brightest colour is.
const SCENE: Depth = Depth::Float { white: 1.0 };

/// Light, white being 1, that no scene has: the sun over a candle's white is a thousand times less.
const ENDLESS: f32 = 1e12;

/// Floats around [0, 1] as samples around [0, 255]. Light beyond white is kept; endless light is white, what is no number
/// black, and both are counted.
fn floats(values: impl Iterator<Item = f32>, odd: &mut usize) -> Vec<f32> {
    values
        .map(|value| match value {
            value if value.abs() < ENDLESS => value.max(0.0) * 255.0,
            value => {
                *odd += 1;
                if value > 0.0 { 255.0 } else { 0.0 }
            }
        })
        .collect()
}

/// Samples of fewer than eight bits; rows begin with a byte.
fn unpack(bytes: &[u8], bits: u8, samples_a_row: usize) -> Vec<u8> {
    let row_bytes = (samples_a_row * usize::from(bits)).div_ceil(8);
    let sample = |row: &[u8], index: usize| {
        let first = index * usize::from(bits);
        (0..usize::from(bits)).fold(0, |value, bit| {
            let at = first + bit;
            value << 1 | (row[at / 8] >> (7 - at % 8) & 1)
        })
    };
    bytes
        .chunks_exact(row_bytes.max(1))
        .flat_map(|row| (0..samples_a_row).map(move |index| sample(row, index)))
        .collect()
}

fn through_palette<R: BufRead + Seek>(decoder: &mut Decoder<R>, indices: &[f32]) -> Result<Vec<Vec<f32>>, Refusal> {
    let palette = decoder.get_tag_u16_vec(Tag::ColorMap)?;
    let size = palette.len() / 3;
    // Some programs write 8-bit values where 16 belong.
    let narrow = palette.iter().all(|&value| value < 256);
    let level = |value: u16| if narrow { f32::from(value) } else { from_u16(value) };
    let of = |channel: usize| {
        let look_up = |&index: &f32| palette.get(channel * size + index as usize).filter(|_| (index as usize) < size);
        indices.iter().map(|index| look_up(index).map_or(0.0, |&value| level(value))).collect()
    };
    Ok((0..3).map(of).collect())
}

fn from_ycbcr(planes: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let [y, cb, cr] = [0, 1, 2].map(|channel| &planes[channel]);
    let of = |blue: f32, red: f32| {
        y.iter()
            .zip(cb)
            .zip(cr)
            .map(|((y, cb), cr)| (y + blue * (cb - 128.0) + red * (cr - 128.0)).clamp(0.0, 255.0))
            .collect()
    };
    vec![of(0.0, 1.402), of(-0.344_136, -0.714_136), of(1.772, 0.0)]
}
