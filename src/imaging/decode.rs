//! Files to pictures. The content decides about the format, never the name.

use std::{
    fs::File,
    io::{BufRead, BufReader, Cursor, Read, Seek},
    path::{Path, PathBuf},
};

use image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader, Limits, codecs::tiff::TiffDecoder};

use crate::{
    Depth, ImagingError, Metadata, Picture, Plane, Result,
    foreign::{self, Foreign},
    jpeg,
};

/// Most pixels a picture may have; more is refused before any memory is taken.
pub const MAX_PIXELS: u64 = 400_000_000;

/// Extensions of the formats that are read, in lower case: what to look for in a folder.
pub const SUPPORTED_EXTENSIONS: [&str; 16] = [
    "png", "jpg", "jpeg", "jpe", "jfif", "webp", "tif", "tiff", "bmp", "gif", "qoi", "pnm", "pbm", "pgm", "ppm", "pam",
];

/// Bytes from the start of a file that tell what it is.
const TELLING: usize = 512;

/// Reads a picture file.
///
/// EXIF orientation is applied to the pixels and reset; ICC profile and EXIF block come along.
///
/// # Errors
/// If the file cannot be read, is no picture, is damaged, or has more than [`MAX_PIXELS`] pixels.
pub fn read(path: &Path) -> Result<Picture> {
    let open_error = |source| ImagingError::Open { path: path.to_owned(), source };
    let file = File::open(path).map_err(open_error)?;
    if file.metadata().map_err(open_error)?.is_dir() {
        let source = std::io::Error::new(std::io::ErrorKind::IsADirectory, "it is a folder");
        return Err(ImagingError::Open { path: path.to_owned(), source });
    }
    decode_from(BufReader::new(file), &path.display().to_string())
}

/// Width and height of a picture file before orientation, from its header alone.
///
/// # Errors
/// If the file cannot be read or its header is of no known format.
pub fn dimensions(path: &Path) -> Result<(usize, usize)> {
    let open_error = |source| ImagingError::Open { path: path.to_owned(), source };
    let name = path.display().to_string();
    let reader = ImageReader::open(path).map_err(open_error)?.with_guessed_format().map_err(open_error)?;
    if reader.format().is_none() {
        return Err(ImagingError::UnknownFormat { name });
    }
    let (width, height) =
        reader.into_dimensions().map_err(|error| ImagingError::Decode { name, reason: error.to_string() })?;
    Ok((width as usize, height as usize))
}

/// Picture files in a folder and its sub-folders by their extensions, in the order of their paths. Links to folders
/// are not followed.
///
/// # Errors
/// If a folder cannot be read.
pub fn find_pictures(folder: &Path) -> Result<Vec<PathBuf>> {
    let open_error = |source| ImagingError::Open { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(open_error)? {
        let entry = entry.map_err(open_error)?;
        let path = entry.path();
        if entry.file_type().map_err(open_error)?.is_dir() {
            found.extend(find_pictures(&path)?);
        } else if path.extension().and_then(|e| e.to_str()).is_some_and(is_picture_extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

fn is_picture_extension(extension: &str) -> bool {
    SUPPORTED_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str())
}

/// Decodes a picture from memory; `name` is used in messages only.
///
/// # Errors
/// As [`read`], but for the file system.
pub fn decode(bytes: &[u8], name: &str) -> Result<Picture> {
    decode_from(Cursor::new(bytes), name)
}

fn decode_from<R: BufRead + Seek>(mut source: R, name: &str) -> Result<Picture> {
    let unknown = || ImagingError::UnknownFormat { name: name.to_owned() };
    let damaged =
        |reason: image::ImageError| ImagingError::Decode { name: name.to_owned(), reason: reason.to_string() };

    let read_error = |error: std::io::Error| damaged(error.into());
    let refused = |foreign: Foreign| ImagingError::Foreign { name: name.to_owned(), advice: foreign.advice() };
    let mut start = Vec::with_capacity(TELLING);
    source.by_ref().take(TELLING as u64).read_to_end(&mut start).map_err(read_error)?;
    if let Some(foreign) = foreign::of(&start) {
        return Err(refused(foreign));
    }
    source.rewind().map_err(read_error)?;
    let guessed = ImageReader::new(&mut source).with_guessed_format().map_err(read_error)?.format();
    let format = guessed.ok_or_else(unknown)?;
    if format == ImageFormat::Tiff && foreign::is_raw_tiff(&mut source) {
        return Err(refused(Foreign::Raw));
    }
    source.rewind().map_err(read_error)?;
    if format == ImageFormat::Jpeg {
        if !jpeg::is_whole(&mut source).map_err(read_error)? {
            return Err(ImagingError::Truncated { name: name.to_owned() });
        }
        source.rewind().map_err(read_error)?;
    }
    let tiff_profile = if format == ImageFormat::Tiff { tiff_profile(&mut source).map_err(read_error)? } else { None };
    let mut reader = ImageReader::with_format(source, format);
    // The pixel count below is the real guard; this one is for what decoders allocate on their own.
    let mut limits = Limits::default();
    limits.max_alloc = Some(MAX_PIXELS * 8);
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(|error| match error {
        image::ImageError::Unsupported(ref hint)
            if matches!(hint.kind(), image::error::UnsupportedErrorKind::Format(_)) =>
        {
            unknown()
        }
        other => damaged(other),
    })?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(ImagingError::TooLarge {
            name: name.to_owned(),
            width,
            height,
            max_megapixels: MAX_PIXELS / 1_000_000,
        });
    }
    let (mut metadata, orientation) = Metadata::from_decoder(&mut decoder);
    metadata.icc = metadata.icc.or(tiff_profile);
    let mut image = DynamicImage::from_decoder(decoder).map_err(damaged)?;
    image.apply_orientation(orientation);
    if image.width() == 0 || image.height() == 0 {
        return Err(ImagingError::Decode { name: name.to_owned(), reason: "it has no pixels".to_owned() });
    }
    Ok(picture_from(&image, metadata))
}

/// The colour profile of a TIFF file. The decoder that [`ImageReader`] makes does not give it (image 0.25.10).
fn tiff_profile<R: BufRead + Seek>(source: &mut R) -> std::io::Result<Option<Vec<u8>>> {
    source.rewind()?;
    let profile = TiffDecoder::new(&mut *source).ok().and_then(|mut decoder| decoder.icc_profile().ok().flatten());
    source.rewind()?;
    Ok(profile)
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
        DynamicImage::ImageRgb32F(b) => (split(b, channels, from_float), Depth::Sixteen),
        DynamicImage::ImageRgba32F(b) => (split(b, channels, from_float), Depth::Sixteen),
        // The enum is open; whatever is added later is at least readable at 16 bits.
        other => (split(&other.to_rgba16(), 4, from_u16), Depth::Sixteen),
    };
    let mut planes: Vec<Plane> = planes.into_iter().map(|data| Plane::new(width, height, data)).collect();
    let alpha = if planes.len() > colours { planes.pop() } else { None };
    Picture { alpha, depth, metadata, ..Picture::from_planes(planes) }
}

fn from_u16(sample: u16) -> f32 {
    f32::from(sample) / 257.0
}

fn from_float(sample: f32) -> f32 {
    // Float files are scene values around [0, 1]; the networks know no others.
    if sample.is_nan() { 0.0 } else { sample.clamp(0.0, 1.0) * 255.0 }
}

fn split<T: Copy>(interleaved: &[T], channels: usize, convert: impl Fn(T) -> f32) -> Vec<Vec<f32>> {
    (0..channels)
        .map(|channel| interleaved.iter().skip(channel).step_by(channels).map(|&s| convert(s)).collect())
        .collect()
}
