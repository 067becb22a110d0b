//! Writing TIFF: deflated strips, all metadata.

use std::io::{Cursor, Seek, Write};

use tiff::{
    Directory, TiffResult,
    encoder::{
        Compression, DeflateLevel, DirectoryEncoder, Predictor, Rational, TiffEncoder, TiffKind, TiffValue, colortype,
    },
    tags::{PhotometricInterpretation, ResolutionUnit, SampleFormat, Tag, Type},
};

use super::tags::{EXIF, GPS, INTEROPERABILITY, IPTC, PHOTOSHOP, XMP, is_structure};
use crate::{
    Depth, Metadata, Picture,
    formats::samples,
    metadata::{Block, Entry, reverse, to_image_resources},
};

/// Gray with alpha, which the encoder has no type for.
struct GrayAlpha<T>(std::marker::PhantomData<T>);

macro_rules! gray_alpha {
    ($sample:ty, $bits:expr, $format:ident) => {
        impl colortype::ColorType for GrayAlpha<$sample> {
            type Inner = $sample;
            const TIFF_VALUE: PhotometricInterpretation = PhotometricInterpretation::BlackIsZero;
            const BITS_PER_SAMPLE: &'static [u16] = &[$bits, $bits];
            const SAMPLE_FORMAT: &'static [SampleFormat] = &[SampleFormat::$format; 2];

            fn horizontal_predict(row: &[$sample], result: &mut Vec<$sample>) {
                // Never asked for: these pictures are written without a predictor.
                result.extend_from_slice(row);
            }
        }
    };
}
gray_alpha!(u8, 8, Uint);
gray_alpha!(u16, 16, Uint);
gray_alpha!(f32, 32, IEEEFP);

/// Bytes of a strip before compression.
const STRIP_BYTES: usize = 1_000_000;
/// Files beyond this size need the form for large files.
const MAX_STANDARD: usize = 4_000_000_000;

/// Encodes a picture with 8, 16 or 32 bits.
pub(crate) fn encode(picture: &Picture) -> Result<Vec<u8>, String> {
    let channels = samples::planes(picture, true).len();
    let bytes_a_sample = match picture.depth {
        Depth::Eight => 1,
        Depth::Sixteen => 2,
        Depth::Float { .. } => 4,
    };
    let size = picture.width() * picture.height() * channels * bytes_a_sample;
    let mut out = Cursor::new(Vec::new());
    let written = if size > MAX_STANDARD {
        TiffEncoder::new_big(&mut out).and_then(|encoder| write(encoder, picture))
    } else {
        TiffEncoder::new(&mut out).and_then(|encoder| write(encoder, picture))
    };
    written.map_err(|error| error.to_string())?;
    Ok(out.into_inner())
}

fn write<K: TiffKind>(encoder: TiffEncoder<&mut Cursor<Vec<u8>>, K>, picture: &Picture) -> TiffResult<()> {
    let planes = samples::planes(picture, true);
    match picture.depth {
        Depth::Eight => {
            let data = samples::eight(&planes);
            match planes.len() {
                1 => write_as::<colortype::Gray8, K>(encoder, picture, &data),
                2 => write_as::<GrayAlpha<u8>, K>(encoder, picture, &data),
                3 => write_as::<colortype::RGB8, K>(encoder, picture, &data),
                _ => write_as::<colortype::RGBA8, K>(encoder, picture, &data),
            }
        }
        Depth::Sixteen => {
            let data = samples::sixteen(&planes);
            match planes.len() {
                1 => write_as::<colortype::Gray16, K>(encoder, picture, &data),
                2 => write_as::<GrayAlpha<u16>, K>(encoder, picture, &data),
                3 => write_as::<colortype::RGB16, K>(encoder, picture, &data),
                _ => write_as::<colortype::RGBA16, K>(encoder, picture, &data),
            }
        }
        Depth::Float { white } => {
            let data = samples::float(picture, white);
            match planes.len() {
                1 => write_as::<colortype::Gray32Float, K>(encoder, picture, &data),
                2 => write_as::<GrayAlpha<f32>, K>(encoder, picture, &data),
                3 => write_as::<colortype::RGB32Float, K>(encoder, picture, &data),
                _ => write_as::<colortype::RGBA32Float, K>(encoder, picture, &data),
            }
        }
    }
}

fn write_as<C: colortype::ColorType, K: TiffKind>(
    encoder: TiffEncoder<&mut Cursor<Vec<u8>>, K>,
    picture: &Picture,
    data: &[C::Inner],
) -> TiffResult<()>
where
    [C::Inner]: TiffValue,
{
    let is_float = matches!(picture.depth, Depth::Float { .. });
    let has_alpha = picture.alpha.is_some();
    let predictor = if is_float || (has_alpha && picture.is_gray()) { Predictor::None } else { Predictor::Horizontal };
    let mut encoder = encoder.with_compression(Compression::Deflate(DeflateLevel::Fast)).with_predictor(predictor);
    let Metadata { icc, exif, iptc, resources, density, .. } = &picture.metadata;
    let xmp = &picture.metadata.single_xmp();
    // With the records among them, as readers look for them there.
    let resources = &resources.as_deref().map(|others| to_image_resources(iptc.as_deref(), others));
    let directories = exif.clone().and_then(Block::parse).map(|block| block.directories()).unwrap_or_default();
    let mut exif_entries = directories.exif.clone();
    if !directories.interoperability.is_empty() {
        let at = directory(&mut encoder, &directories.interoperability)?;
        exif_entries.push(Entry { tag: INTEROPERABILITY.to_u16(), kind: 4, data: at.to_le_bytes().to_vec() });
    }
    let exif = if exif_entries.is_empty() { None } else { Some(directory(&mut encoder, &exif_entries)?) };
    let gps = if directories.gps.is_empty() { None } else { Some(directory(&mut encoder, &directories.gps)?) };
    let mut image = encoder.new_image::<C>(picture.width() as u32, picture.height() as u32)?;
    if let Some([x, y]) = density {
        let fraction = |value: f64| Rational { n: (value * 1000.0).round() as u32, d: 1000 };
        image.x_resolution(fraction(*x));
        image.y_resolution(fraction(*y));
        image.resolution_unit(ResolutionUnit::Inch);
    }
    // Some programs take a strip longer than the picture for one that is cut short.
    let row_bytes = picture.width() * C::BITS_PER_SAMPLE.iter().map(|bits| usize::from(*bits)).sum::<usize>() / 8;
    image.rows_per_strip((STRIP_BYTES / row_bytes.max(1)).clamp(1, picture.height()) as u32)?;
    let tags = image.encoder();
    if has_alpha {
        tags.write_tag(Tag::ExtraSamples, &[2_u16][..])?;
    }
    for (tag, value) in [(Tag::IccProfile, icc), (XMP, xmp), (IPTC, iptc), (PHOTOSHOP, resources)] {
        if let Some(value) = value {
            let kind = if tag == XMP || tag == PHOTOSHOP { Type::BYTE } else { Type::UNDEFINED };
            write_entry(tags, tag, kind, value)?;
        }
    }
    for entry in &directories.image {
        // A block from another format states resolution and the like, which are stated already.
        if !is_structure(entry.tag) {
            write_entry(
                tags,
                Tag::from_u16_exhaustive(entry.tag),
                Type::from_u16(entry.kind).unwrap_or(Type::UNDEFINED),
                &native(entry),
            )?;
        }
    }
    for (tag, at) in [(EXIF, exif), (GPS, gps)] {
        if let Some(at) = at {
            tags.write_tag(tag, at)?;
        }
    }
    image.write_data(data)
}

/// Writes a directory of its own and returns where it is.
fn directory<W: Write + Seek, K: TiffKind>(encoder: &mut TiffEncoder<W, K>, entries: &[Entry]) -> TiffResult<u32> {
    let mut directory = encoder.extra_directory()?;
    for entry in entries {
        let kind = Type::from_u16(entry.kind).unwrap_or(Type::UNDEFINED);
        write_entry(&mut directory, Tag::from_u16_exhaustive(entry.tag), kind, &native(entry))?;
    }
    let offset = directory.finish_with_offsets()?;
    Ok(u32::try_from(offset.pointer.0).unwrap_or_default())
}

fn write_entry<W: Write + Seek, K: TiffKind>(
    directory: &mut DirectoryEncoder<'_, W, K>,
    tag: Tag,
    kind: Type,
    data: &[u8],
) -> TiffResult<()> {
    let entry = directory.write_entry_bytes(kind, data)?;
    let mut one = Directory::empty();
    one.extend([(tag, entry)]);
    directory.extend_from(&one);
    Ok(())
}

/// Values in the order of this machine, which is that of the files it writes.
fn native(entry: &Entry) -> Vec<u8> {
    let mut data = entry.data.clone();
    if cfg!(target_endian = "big") {
        reverse(entry.kind, &mut data);
    }
    data
}
