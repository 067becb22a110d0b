//! TIFF in all the kinds that photographers' programs write: integers of 1 to 16 bits, floats, palettes, inks, strips,
//! tiles and planes.

mod plain;
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
const MAX_CHANNELS: usize = 8;

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
    to_full_page(&mut decoder);
    let (width, height) = decoder.dimensions().map_err(|error| error.to_string())?;
    Ok((width, height, tags::orientation(&mut decoder)))
}

/// Reads the first picture of a file that is no reduced copy of another, with the orientation it is stored in.
pub(crate) fn decode<R: BufRead + Seek>(mut source: R) -> Result<(Picture, Orientation), Refusal> {
    match by_decoder(&mut source) {
        Err(Refusal::Damaged(reason)) => {
            // Perhaps it is one that the decoder is wrong about.
            let mut bytes = Vec::new();
            let read = source.rewind().and_then(|()| source.read_to_end(&mut bytes));
            read.map_err(|error| Refusal::Damaged(error.to_string()))?;
            by_chunks(&bytes, reason)
        }
        other => other,
    }
}

/// Goes to the first page that is no reduced copy of another one, if there is any. Returns how many pages come after it.
fn to_full_page<R: BufRead + Seek>(decoder: &mut Decoder<R>) -> usize {
    const REDUCED: u32 = 1;
    const MAX_PAGES: usize = 64;
    let reduced = |decoder: &mut Decoder<R>| {
        decoder.find_tag_unsigned::<u32>(Tag::NewSubfileType).ok().flatten().is_some_and(|kind| kind & REDUCED != 0)
    };
    if !reduced(decoder) {
        return usize::from(decoder.more_images());
    }
    for page in 1..MAX_PAGES {
        if !decoder.more_images() || decoder.next_image().is_err() {
            // All are reduced, or what follows cannot be read: the first will do.
            let _ = decoder.seek_to_image(0);
            return usize::from(page > 1);
        }
        if !reduced(decoder) {
            return usize::from(decoder.more_images());
        }
    }
    0
}

/// What the colours of a picture are stored as.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Colours {
    Gray,
    Rgb,
    /// Indices into a table.
    Palette,
    Inks,
    YCbCr,
    Lab {
        /// Whether white is that of D65, not of D50.
        is_d65: bool,
    },
}

impl Colours {
    fn channels(self) -> usize {
        match self {
            Self::Gray | Self::Palette => 1,
            Self::Rgb | Self::YCbCr | Self::Lab { .. } => 3,
            Self::Inks => 4,
        }
    }
}

/// A picture as it is stored: samples by channel in [0, 255], those of a palette as they are.
struct Stored {
    size: [usize; 2],
    planes: Vec<Vec<f32>>,
    colours: Colours,
    depth: Depth,
    /// Samples that were NaN or endless.
    odd: usize,
    /// What the first channel beyond the colours is.
    extra: Option<u16>,
    palette: Vec<u16>,
    icc: Option<Vec<u8>>,
}

/// Why the decoder is not asked.
const UNUSUAL: &str = "its samples are stored in an order that is not read for this kind; save it anew";

fn by_decoder<R: BufRead + Seek>(source: R) -> Result<(Picture, Orientation), Refusal> {
    let mut decoder = Decoder::new(source)?;
    let others = to_full_page(&mut decoder);
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
    let number = |decoder: &mut Decoder<R>, tag| decoder.find_tag_unsigned::<u16>(tag).ok().flatten();
    let tiles_in_planes = number(&mut decoder, Tag::PlanarConfiguration) == Some(2)
        && decoder.find_tag(Tag::TileOffsets).is_ok_and(|tag| tag.is_some());
    let plain_chroma = number(&mut decoder, Tag::PhotometricInterpretation) == Some(6)
        && number(&mut decoder, Tag::Compression).is_none_or(|packed| packed == 1);
    if tiles_in_planes || plain_chroma || number(&mut decoder, Tag::FillOrder) == Some(2) {
        // Read as another picture by the decoder, or by a panic.
        return Err(Refusal::Damaged(UNUSUAL.into()));
    }
    let stored = pixels(&mut decoder, [width as usize, height as usize])?;
    let (metadata, orientation) = tags::metadata(&mut decoder);
    Ok((finished(stored, metadata, others > 0)?, orientation))
}

/// Reads a file chunk by chunk; `reason` is why the decoder did not.
fn by_chunks(bytes: &[u8], reason: String) -> Result<(Picture, Orientation), Refusal> {
    let damaged = |reason: String| Refusal::Damaged(reason);
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok();
    let others = decoder.as_mut().map_or(0, to_full_page);
    let page = decoder.as_mut().and_then(|decoder| decoder.ifd_pointer()).map(|pointer| pointer.0);
    let Some(layout) = plain::Layout::read(bytes, page) else { return Err(damaged(reason)) };
    let is_refused = decoder.is_none() || reason.contains("nsupported") || reason == UNUSUAL;
    let is_too_wide = reason.contains("width limit") || reason.contains("height limit");
    let packer = if is_too_wide { Some("JPEG of more than 16,384 pixels a side") } else { layout.packed_by() };
    if let Some(packer) = packer.filter(|_| is_refused || is_too_wide) {
        let advice = "save it uncompressed or as PNG with the program that made it";
        return Err(damaged(format!("a TIFF packed by {packer}, which is not read; {advice}")));
    }
    let colours = match layout.photometric {
        0 | 1 => Colours::Gray,
        2 => Colours::Rgb,
        3 => Colours::Palette,
        5 => Colours::Inks,
        6 => Colours::YCbCr,
        8 | 9 => Colours::Lab { is_d65: layout.is_d65() },
        _ => return Err(damaged(reason)),
    };
    let Some(samples) = layout.samples(bytes).filter(|samples| samples.len() >= colours.channels()) else {
        let is_known = layout.packed_by().is_none() && reason != UNUSUAL;
        return Err(damaged(if is_known { format!("pixels are missing or damaged: {reason}") } else { reason }));
    };
    let most = (u32::MAX >> (32 - layout.bits)) as f32;
    // What lies beside the colours is stored alike in all kinds.
    let level = |channel: usize, sample: u32| match layout.photometric {
        0 if channel == 0 => 255.0 - sample as f32 * 255.0 / most,
        3 if channel == 0 => sample as f32,
        _ => sample as f32 * 255.0 / most,
    };
    // Colours of CIELAB have a sign, but for those of ICC: gray is 128 either way afterwards.
    let hue = |sample: u32| {
        let moved = if layout.photometric == 8 { sample ^ 1 << (layout.bits - 1) } else { sample };
        (f64::from(moved) / 2.0_f64.powi(layout.bits as i32 - 8)) as f32
    };
    let by_channel = samples.into_iter().enumerate();
    let is_hue = |channel: usize| matches!(colours, Colours::Lab { .. }) && (channel == 1 || channel == 2);
    let planes: Vec<Vec<f32>> = by_channel
        .map(|(channel, plane)| match is_hue(channel) {
            true => plane.into_iter().map(hue).collect(),
            false => plane.into_iter().map(|sample| level(channel, sample)).collect(),
        })
        .collect();
    let (metadata, orientation) = match &mut decoder {
        Some(decoder) => tags::metadata(decoder),
        None => (tags::of_block(bytes), Orientation::NoTransforms),
    };
    let stored = Stored {
        size: [layout.width, layout.height],
        planes,
        colours,
        depth: if layout.bits > 8 && colours != Colours::Palette { Depth::Sixteen } else { Depth::Eight },
        odd: 0,
        extra: layout.first(tags::EXTRA_SAMPLES),
        palette: layout.all(tags::COLOUR_MAP),
        icc: metadata.icc.clone(),
    };
    Ok((finished(stored, metadata, others > 0)?, orientation))
}

fn pixels<R: BufRead + Seek>(decoder: &mut Decoder<R>, [width, height]: [usize; 2]) -> Result<Stored, Refusal> {
    let colour = decoder.colortype()?;
    let unsupported = || Refusal::Damaged(format!("unsupported TIFF pixels of kind {colour:?}"));
    let (colours, bits) = match colour {
        ColorType::Gray(bits) | ColorType::GrayA(bits) => (Colours::Gray, bits),
        ColorType::RGB(bits) | ColorType::RGBA(bits) => (Colours::Rgb, bits),
        ColorType::YCbCr(bits) => (Colours::YCbCr, bits),
        ColorType::CMYK(bits) | ColorType::CMYKA(bits) => (Colours::Inks, bits),
        ColorType::Multiband { bit_depth, num_samples } if num_samples < 3 => (Colours::Gray, bit_depth),
        ColorType::Multiband { bit_depth, .. } => (Colours::Rgb, bit_depth),
        _ => return Err(unsupported()),
    };
    let channels = usize::from(colour.num_samples());
    if channels > MAX_CHANNELS {
        return Err(unsupported());
    }
    let mut result = DecodingResult::U8(Vec::new());
    let layout = decoder.read_image_to_buffer(&mut result)?;
    let is_float = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat)?.is_some_and(|kinds| kinds.contains(&FLOAT));
    let mut odd = 0;
    let (samples, depth): (Vec<f32>, Depth) = match result {
        DecodingResult::U8(bytes) if bits < 8 => {
            let most = ((1_u32 << bits) - 1) as f32;
            let unpacked = unpack(&bytes, bits, width * if layout.planes > 1 { 1 } else { channels });
            (unpacked.into_iter().map(|value| f32::from(value) * 255.0 / most).collect(), Depth::Eight)
        }
        DecodingResult::U8(bytes) => (bytes.into_iter().map(f32::from).collect(), Depth::Eight),
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
    let planes = (0..channels).map(take).collect();
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples)?.and_then(|kinds| kinds.first().copied());
    let icc = decoder.get_tag_u8_vec(Tag::IccProfile).ok();
    Ok(Stored { size: [width, height], planes, colours, depth, odd, extra, palette: Vec::new(), icc })
}

/// The picture that is stored so.
fn finished(stored: Stored, metadata: Metadata, has_more: bool) -> Result<Picture, Refusal> {
    let Stored { size: [width, height], mut planes, colours, mut depth, odd, extra, palette, icc } = stored;
    let channels = colours.channels();
    let has_alpha = planes.len() > channels && extra.unwrap_or(2) != 0;
    let other_channels = planes.len().saturating_sub(channels) - usize::from(has_alpha);
    let alpha = has_alpha.then(|| planes[channels].clone());
    planes.truncate(channels);
    match colours {
        Colours::Palette => planes = through_palette(&palette, &planes[0])?,
        Colours::Inks => planes = colour::from_inks(&planes, icc.as_deref()),
        Colours::YCbCr => planes = from_ycbcr(&planes),
        Colours::Lab { is_d65 } => planes = colour::from_lab(&planes, is_d65),
        Colours::Gray | Colours::Rgb => {}
    }
    let is_float = depth == SCENE;
    if let (Some(alpha), Some(ASSOCIATED_ALPHA)) = (&alpha, extra) {
        let most = if is_float { f32::INFINITY } else { 255.0 };
        for plane in &mut planes {
            for (sample, &coverage) in plane.iter_mut().zip(alpha) {
                *sample = if coverage > 0.0 { (*sample * 255.0 / coverage).min(most) } else { 0.0 };
            }
        }
    }
    if is_float {
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
    picture.metadata = metadata;
    let metadata = &mut picture.metadata;
    if matches!(colours, Colours::Inks | Colours::Lab { .. }) {
        // It is of other colours than the picture has now.
        metadata.icc = None;
    }
    metadata.odd_samples = odd;
    if odd > 0 {
        metadata.left_out.push(format!("NaN, infinite or out-of-range samples, now black or white: {odd}").into());
    }
    if other_channels > 0 {
        metadata.left_out.push("extra channels (masks, spot colours) are dropped".into());
    }
    if has_more {
        metadata.left_out.push("multi-page file: only the first page was read".into());
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

fn through_palette(palette: &[u16], indices: &[f32]) -> Result<Vec<Vec<f32>>, Refusal> {
    let size = palette.len() / 3;
    if size == 0 {
        return Err(Refusal::Damaged("its table of colours is missing".into()));
    }
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
