//! Files to pictures. The content decides about the format, never the name.

use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Read, Seek},
    path::Path,
};

use image::{
    DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::webp::WebPDecoder, metadata::Orientation,
};

use crate::{
    Depth, Format, ImagingError, Metadata, Picture, Plane, Result,
    colour::fit_profile,
    formats::{
        animation, avif,
        jpeg::{self, Extent},
        jxl, png, raw, scene, tiff,
    },
    kind::{Kind, TELLING, camera_picture, format_of, heic_header, heic_picture, too_large, usual_bitmap},
    metadata::{Block, COMMENT},
    picture::{MAX_PIXELS, from_u16},
};

/// Most bytes behind a picture that are looked through for others.
const MAX_BEHIND: u64 = 64 << 20;

/// Reads a picture file.
///
/// EXIF orientation is applied to the pixels and reset; ICC profile and EXIF block come along.
///
/// # Errors
/// If the file cannot be read, is no picture, is damaged, or has more than [`MAX_PIXELS`] pixels.
pub fn read(path: &Path) -> Result<Picture> {
    let open_error = |source| ImagingError::Open { path: path.to_owned(), source };
    let file = open(path).map_err(open_error)?;
    decode_from(BufReader::new(file), &path.display().to_string())
}

/// Opens an ordinary file: a pipe would be waited for without end.
fn open(path: &Path) -> std::io::Result<File> {
    use std::io::{Error, ErrorKind};
    let there = std::fs::metadata(path)?;
    if there.is_dir() {
        return Err(Error::new(ErrorKind::IsADirectory, "it is a folder"));
    }
    if !there.is_file() {
        return Err(Error::new(ErrorKind::InvalidInput, "it is no ordinary file"));
    }
    File::open(path)
}

/// The format of a picture file by its content; `None` for formats that are read and not written, or not with all that they may hold
/// ([`Format::like`]).
///
/// # Errors
/// If the file cannot be read or is of no known format.
pub fn format_of_file(path: &Path) -> Result<Option<Format>> {
    let open_error = |source| ImagingError::Open { path: path.to_owned(), source };
    let mut source = BufReader::new(open(path).map_err(open_error)?);
    Ok(match format_of(&mut source, &path.display().to_string())? {
        Kind::Avif => Some(Format::Avif),
        Kind::Image(ImageFormat::Png) => Some(Format::Png),
        Kind::Image(ImageFormat::Jpeg) => Some(Format::Jpeg),
        Kind::Image(ImageFormat::WebP) => Some(Format::WebP),
        Kind::Image(ImageFormat::Tiff) => Some(Format::Tiff),
        Kind::Image(ImageFormat::Bmp) => Some(Format::Bmp),
        Kind::Image(_) | Kind::Heic | Kind::JpegXl | Kind::FloatMap | Kind::Raw => None,
    })
}

/// The first bytes of a file.
pub(crate) fn start_of(path: &Path) -> std::io::Result<Vec<u8>> {
    let mut start = Vec::with_capacity(TELLING);
    open(path)?.take(TELLING as u64).read_to_end(&mut start)?;
    Ok(start)
}

/// Width and height of a picture file before orientation, from its header alone.
///
/// # Errors
/// If the file cannot be read or its header is of no known format.
pub fn dimensions(path: &Path) -> Result<(usize, usize)> {
    possible(path).map(|(width, height, _)| (width, height))
}

/// Width and height of a picture file as it is to be seen, from its header alone.
///
/// # Errors
/// As [`dimensions`].
pub fn upright_dimensions(path: &Path) -> Result<(usize, usize)> {
    let (width, height, orientation) = possible(path)?;
    Ok(if is_transposed(orientation) { (height, width) } else { (width, height) })
}

fn is_transposed(orientation: Orientation) -> bool {
    use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
    matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
}

/// What the header says, if a picture may be so large.
fn possible(path: &Path) -> Result<(usize, usize, Orientation)> {
    let (width, height, orientation) = header(path)?;
    let side = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
    check_size(side(width), side(height), &path.display().to_string())?;
    Ok((width, height, orientation))
}

fn header(path: &Path) -> Result<(usize, usize, Orientation)> {
    let open_error = |source| ImagingError::Open { path: path.to_owned(), source };
    let name = path.display().to_string();
    let mut source = BufReader::new(open(path).map_err(open_error)?);
    let format = format_of(&mut source, &name)?;
    let damaged = |reason: String| ImagingError::Decode { name: name.clone(), reason };
    let stated = |metadata: Metadata| {
        let orientation = metadata.exif.and_then(Block::parse).and_then(|mut block| block.take_orientation());
        orientation.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    };
    let orientation = match format {
        Kind::Avif => return avif::header(&mut source).map_err(damaged),
        Kind::JpegXl => {
            let (width, height) = jxl::header(source).map_err(damaged)?;
            return Ok((width, height, Orientation::NoTransforms));
        }
        Kind::Heic => {
            let (width, height) = heic_header(&mut source, &name)?;
            return Ok((width, height, Orientation::NoTransforms));
        }
        Kind::Raw => {
            let (width, height) = camera_picture(&name, || raw::of_file(path))?.upright();
            return Ok((width, height, Orientation::NoTransforms));
        }
        Kind::FloatMap => {
            let (width, height) = scene::pfm_header(&mut source).map_err(damaged)?;
            return Ok((width, height, Orientation::NoTransforms));
        }
        Kind::Image(ImageFormat::Tiff) => {
            let (width, height, orientation) = tiff::header(source).map_err(damaged)?;
            return Ok((width as usize, height as usize, orientation));
        }
        Kind::Image(ImageFormat::Jpeg) => {
            let scanned = jpeg::scan(&mut source, Extent::Header).map_err(open_error)?.unwrap_or_default();
            if let Some(advice) = scanned.unread {
                return Err(ImagingError::Foreign { name: path.display().to_string(), advice });
            }
            let [width, height] = scanned.size.map(usize::from);
            if width > 0 && height > 0 {
                return Ok((width, height, stated(scanned.metadata)));
            }
            stated(scanned.metadata)
        }
        Kind::Image(ImageFormat::Png) => stated(png::scan(&mut source).map_err(open_error)?),
        Kind::Image(ImageFormat::WebP) => {
            let decoder = WebPDecoder::new(&mut source);
            let exif = decoder.ok().and_then(|mut decoder| decoder.exif_metadata().ok().flatten());
            stated(Metadata { exif, ..Metadata::default() })
        }
        Kind::Image(_) => Orientation::NoTransforms,
    };
    source.rewind().map_err(open_error)?;
    let Kind::Image(format) = format else { unreachable!("returned above") };
    let size = match usual_bitmap(&mut source, format, &name)? {
        Some(bitmap) => ImageReader::with_format(bitmap, format).into_dimensions(),
        None => ImageReader::with_format(source, format).into_dimensions(),
    };
    let (width, height) = size.map_err(|error| damaged(error.to_string()))?;
    Ok((width as usize, height as usize, orientation))
}

/// Decodes a picture from memory; `name` is used in messages only.
///
/// # Errors
/// As [`read`], but for the file system.
pub fn decode(bytes: &[u8], name: &str) -> Result<Picture> {
    decode_from(Cursor::new(bytes), name)
}

fn decode_from<R: BufRead + Seek>(source: R, name: &str) -> Result<Picture> {
    decode_any(source, name).map_err(|error| match error {
        // What decoders say of a file that ends too early.
        ImagingError::Decode { name, reason } if tells_of_an_early_end(&reason) => ImagingError::Truncated { name },
        other => other,
    })
}

/// Whether a decoder's message says that the file ends in the middle.
fn tells_of_an_early_end(reason: &str) -> bool {
    let reason = reason.to_lowercase();
    let words = [
        "failed to fill whole buffer",
        "unexpected end of file",
        "unexpected eof",
        "unexpectedeof",
        "corrupt deflate stream",
    ];
    words.iter().any(|said| reason.contains(said))
}

fn decode_any<R: BufRead + Seek>(mut source: R, name: &str) -> Result<Picture> {
    let damaged = |reason: String| ImagingError::Decode { name: name.to_owned(), reason };
    let read_error = |error: std::io::Error| damaged(error.to_string());
    let format = format_of(&mut source, name)?;
    let mut picture = match format {
        Kind::Avif => {
            let (picture, orientation) = avif::decode(&mut source).map_err(damaged)?;
            check_size(picture.width() as u32, picture.height() as u32, name)?;
            turned(picture, orientation)
        }
        Kind::Heic => heic_picture(&mut source, name)?,
        Kind::Raw => {
            let found = camera_picture(name, || raw::of_source(&mut source))?;
            let mut picture = decode_any(Cursor::new(found.jpeg.as_slice()), name)?;
            if let Some(orientation) = found.orientation {
                picture = turned(picture, orientation);
            }
            if picture.metadata.camera().is_none() {
                picture.metadata.exif = Some(found.exif);
            }
            picture.metadata.left_out.push(raw::FROM_THE_CAMERA.into());
            picture
        }
        Kind::JpegXl => match jxl::decode(source) {
            Ok(picture) => picture,
            Err(jxl::Refusal::TooLarge(width, height)) => return Err(too_large(width, height, name)),
            Err(jxl::Refusal::Damaged(reason)) => return Err(damaged(reason)),
        },
        Kind::FloatMap | Kind::Image(ImageFormat::OpenExr | ImageFormat::Hdr) => {
            let read = match format {
                Kind::Image(format) => scene::decode(source, format),
                _ => scene::decode_pfm(&mut source),
            };
            match read {
                Ok(picture) => picture,
                Err(scene::Refusal::TooLarge(width, height)) => {
                    return Err(too_large(width, height, name));
                }
                Err(scene::Refusal::Damaged(reason)) => return Err(damaged(reason)),
            }
        }
        Kind::Image(ImageFormat::Tiff) => match tiff::decode(source) {
            Ok((picture, orientation)) => turned(picture, orientation),
            Err(tiff::Refusal::TooLarge(width, height)) => return Err(too_large(width, height, name)),
            Err(tiff::Refusal::Damaged(reason)) => return Err(damaged(reason)),
        },
        Kind::Image(ImageFormat::Jpeg) => {
            let scanned = jpeg::scan(&mut source, Extent::Whole).map_err(read_error)?;
            let mut scanned = scanned.ok_or_else(|| ImagingError::Truncated { name: name.to_owned() })?;
            if let Some(reason) = scanned.unread {
                return Err(ImagingError::Foreign { name: name.to_owned(), advice: reason });
            }
            let mut behind = Vec::new();
            source.by_ref().take(MAX_BEHIND).read_to_end(&mut behind).map_err(read_error)?;
            scanned.take_gain_map(&behind);
            source.rewind().map_err(read_error)?;
            let [width, height] = scanned.size;
            check_size(width.into(), height.into(), name)?;
            if scanned.is_open {
                if !jpeg::is_whole(&mut source).map_err(read_error)? {
                    return Err(ImagingError::Truncated { name: name.to_owned() });
                }
                source.rewind().map_err(read_error)?;
            }
            let mut file = Vec::new();
            source.read_to_end(&mut file).map_err(read_error)?;
            source.rewind().map_err(read_error)?;
            let (mended, what) = jpeg::mend(&file).unwrap_or_default();
            drop(file);
            scanned.metadata.left_out.extend(what.map(Into::into));
            match mended {
                Some(file) => jpeg_picture(Cursor::new(file), scanned, name)?,
                None => jpeg_picture(source, scanned, name)?,
            }
        }
        Kind::Image(ImageFormat::Png) => {
            let metadata = png::scan(&mut source).map_err(read_error)?;
            source.rewind().map_err(read_error)?;
            by_image(source, ImageFormat::Png, Some(metadata), name)?
        }
        Kind::Image(format) => {
            let moves = match format {
                ImageFormat::Gif => animation::of_gif(&mut source),
                ImageFormat::WebP => animation::of_webp(&mut source),
                _ => false,
            };
            source.rewind().map_err(read_error)?;
            let mut comments = Vec::new();
            if format == ImageFormat::Gif {
                comments = animation::comments_of_gif(&mut source);
                source.rewind().map_err(read_error)?;
            }
            let mut picture = match usual_bitmap(&mut source, format, name)? {
                Some(bitmap) => by_image(bitmap, format, None, name)?,
                None => by_image(source, format, None, name)?,
            };
            picture.metadata.left_out.extend(moves.then(|| animation::LEFT_OUT.into()));
            picture.metadata.texts.extend(comments.into_iter().map(|text| (COMMENT.to_owned(), text)));
            picture
        }
    };
    picture.metadata.note_announced();
    if matches!(format, Kind::Image(ImageFormat::Tga)) {
        // Its fourth byte is often no alpha but nothing at all.
        picture.alpha = picture.alpha.filter(|alpha| alpha.data.iter().any(|&coverage| coverage > 0.0));
    }
    if matches!(format, Kind::Image(ImageFormat::Gif)) {
        // Its decoder gives every picture an alpha.
        picture.alpha = picture.alpha.filter(|alpha| alpha.data.iter().any(|&coverage| coverage < 255.0));
    }
    if let Some(orientation) =
        picture.metadata.take_orientation().filter(|_| !matches!(format, Kind::Avif | Kind::Heic | Kind::JpegXl))
    {
        // TIFF states its orientation in the directory of the picture, which is not part of the block.
        picture = turned(picture, orientation);
    }
    picture.metadata.complete_density();
    fit_profile(&mut picture);
    if picture.width() == 0 || picture.height() == 0 {
        return Err(damaged("it has no pixels".to_owned()));
    }
    Ok(picture)
}

/// The picture of a JPEG file, by the decoder that reads it right.
fn jpeg_picture<R: BufRead + Seek>(source: R, scanned: jpeg::Scanned, name: &str) -> Result<Picture> {
    if scanned.one_by_one || scanned.sampled_oddly || scanned.components == 4 {
        let damaged = |reason: String| ImagingError::Decode { name: name.to_owned(), reason };
        jpeg::decode_otherwise(source, scanned.metadata).map_err(damaged)
    } else {
        by_image(source, ImageFormat::Jpeg, Some(scanned.metadata), name)
    }
}

fn check_size(width: u32, height: u32, name: &str) -> Result<()> {
    if u64::from(width) * u64::from(height) > MAX_PIXELS { Err(too_large(width, height, name)) } else { Ok(()) }
}

/// Decodes by the `image` crate; `scanned` is what the file's own chunks say, over which the decoder's profile goes.
fn by_image<R: BufRead + Seek>(
    source: R,
    format: ImageFormat,
    scanned: Option<Metadata>,
    name: &str,
) -> Result<Picture> {
    let damaged =
        |reason: image::ImageError| ImagingError::Decode { name: name.to_owned(), reason: reason.to_string() };
    let mut reader = ImageReader::with_format(source, format);
    // The pixel count below is the real guard; this one is for what decoders allocate on their own.
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| match error {
        image::ImageError::Unsupported(ref hint)
            if matches!(hint.kind(), image::error::UnsupportedErrorKind::Format(_)) =>
        {
            ImagingError::UnknownFormat { name: name.to_owned() }
        }
        other => damaged(other),
    })?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, name)?;
    // A damaged metadata block must not cost the user the picture: it is left out.
    let profile = decoder.icc_profile().ok().flatten();
    let mut metadata = scanned.unwrap_or_else(|| Metadata {
        exif: decoder.exif_metadata().ok().flatten(),
        xmp: decoder.xmp_metadata().ok().flatten(),
        ..Metadata::default()
    });
    metadata.icc = profile.or(metadata.icc);
    let image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    Ok(picture_from(&image, metadata))
}

/// The picture as it is to be seen.
fn turned(mut picture: Picture, orientation: Orientation) -> Picture {
    let (transposed, mirrored, flipped) = match orientation {
        Orientation::NoTransforms => return picture,
        Orientation::FlipHorizontal => (false, true, false),
        Orientation::Rotate180 => (false, true, true),
        Orientation::FlipVertical => (false, false, true),
        Orientation::Rotate90FlipH => (true, false, false),
        Orientation::Rotate90 => (true, true, false),
        Orientation::Rotate270FlipH => (true, true, true),
        Orientation::Rotate270 => (true, false, true),
    };
    for plane in picture.planes.iter_mut().chain(&mut picture.alpha) {
        *plane = plane.turned(transposed, mirrored, flipped);
    }
    if let Some(map) = &mut picture.metadata.gain_map {
        map.turned = [transposed, mirrored, flipped];
    }
    picture.metadata.density = picture.metadata.density.map(|[x, y]| if transposed { [y, x] } else { [x, y] });
    picture
}

fn picture_from(image: &DynamicImage, metadata: Metadata) -> Picture {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let channels = usize::from(image.color().channel_count());
    let colours = if channels < 3 { 1 } else { 3 };
    let (planes, depth) = match image {
        DynamicImage::ImageLuma8(b) => (split(b, channels, f32::from), Depth::Eight),
        DynamicImage::ImageLumaA8(b) => (split(b, channels, f32::from), Depth::Eight),
        DynamicImage::ImageRgb8(b) => (split(b, channels, f32::from), Depth::Eight),
        DynamicImage::ImageRgba8(b) => (split(b, channels, f32::from), Depth::Eight),
        DynamicImage::ImageLuma16(b) => (split(b, channels, from_u16), Depth::Sixteen),
        DynamicImage::ImageLumaA16(b) => (split(b, channels, from_u16), Depth::Sixteen),
        DynamicImage::ImageRgb16(b) => (split(b, channels, from_u16), Depth::Sixteen),
        DynamicImage::ImageRgba16(b) => (split(b, channels, from_u16), Depth::Sixteen),
        // The enum is open; whatever is added later is at least readable at 16 bits.
        other => (split(&other.to_rgba16(), 4, from_u16), Depth::Sixteen),
    };
    let mut planes: Vec<Plane> = planes.into_iter().map(|data| Plane::new(width, height, data)).collect();
    let alpha = if planes.len() > colours { planes.pop() } else { None };
    Picture { alpha, depth, metadata, ..Picture::from_planes(planes) }
}

fn split<T: Copy>(interleaved: &[T], channels: usize, convert: impl Fn(T) -> f32) -> Vec<Vec<f32>> {
    (0..channels)
        .map(|channel| interleaved.iter().skip(channel).step_by(channels).map(|&s| convert(s)).collect())
        .collect()
}
