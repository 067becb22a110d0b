//! What kind a file is by its first bytes, and the kinds that a decoder of their own reads or that are brought to a usual form first.

use std::{
    io::{BufRead, Cursor, Read, Seek},
    path::Path,
};

use image::{ImageFormat, ImageReader};

use crate::{
    ImagingError, Picture, Result, caught,
    foreign::{self, Foreign},
    formats::{bmp, jxl, raw, scene},
    picture::MAX_PIXELS,
};

#[cfg(feature = "heic")]
use crate::formats::heic;

/// Bytes from the start of a file that tell what it is.
pub(crate) const TELLING: usize = 512;

/// What a file is.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Avif,
    Heic,
    JpegXl,
    /// A camera's own data.
    Raw,
    /// PFM.
    FloatMap,
    Image(ImageFormat),
}

/// A picture of more than [`MAX_PIXELS`] pixels.
pub(crate) fn too_large(width: u32, height: u32, name: &str) -> ImagingError {
    ImagingError::TooLarge { name: name.to_owned(), width, height, max_megapixels: MAX_PIXELS / 1_000_000 }
}

/// The format of a file by its content; the source is at its start afterwards.
pub(crate) fn format_of<R: BufRead + Seek>(source: &mut R, name: &str) -> Result<Kind> {
    let read_error = |error: std::io::Error| ImagingError::Decode { name: name.to_owned(), reason: error.to_string() };
    let refused = |foreign: Foreign| ImagingError::Foreign { name: name.to_owned(), advice: foreign.advice() };
    let mut start = Vec::with_capacity(TELLING);
    source.by_ref().take(TELLING as u64).read_to_end(&mut start).map_err(read_error)?;
    source.rewind().map_err(read_error)?;
    if start.is_empty() {
        return Err(ImagingError::Decode { name: name.to_owned(), reason: "the file is empty".to_owned() });
    }
    if foreign::is_avif(&start) {
        return Ok(Kind::Avif);
    }
    if jxl::is_jxl(&start) {
        return Ok(Kind::JpegXl);
    }
    if scene::is_pfm(&start) {
        return Ok(Kind::FloatMap);
    }
    match foreign::of(&start) {
        Some(Foreign::Heic) if cfg!(feature = "heic") => return Ok(Kind::Heic),
        Some(Foreign::Raw) => return Ok(Kind::Raw),
        Some(foreign) => return Err(refused(foreign)),
        None => {}
    }
    if bmp::is_array(&start) {
        return Ok(Kind::Image(ImageFormat::Bmp));
    }
    if start.starts_with(b"II+\0") || start.starts_with(b"MM\0+") {
        // The form for large files, which the guess does not know.
        return Ok(Kind::Image(ImageFormat::Tiff));
    }
    let guessed = ImageReader::new(&mut *source).with_guessed_format().map_err(read_error)?.format();
    // Targa files begin with nothing that tells what they are.
    let is_targa = name.to_ascii_lowercase().ends_with(".tga");
    let guessed = guessed.or(is_targa.then_some(ImageFormat::Tga));
    let format = guessed.ok_or_else(|| ImagingError::UnknownFormat { name: name.to_owned() })?;
    let is_raw = format == ImageFormat::Tiff && (foreign::is_raw_tiff(source) || foreign::is_raw_name(Path::new(name)));
    source.rewind().map_err(read_error)?;
    if is_raw {
        return Ok(Kind::Raw);
    }
    Ok(Kind::Image(format))
}

/// The camera's picture in a raw file.
pub(crate) fn camera_picture(
    name: &str,
    find: impl FnOnce() -> std::result::Result<raw::CameraPicture, Foreign>,
) -> Result<raw::CameraPicture> {
    // Who parses what strangers wrote may panic.
    let found = caught(find).unwrap_or(Err(Foreign::Raw));
    found.map_err(|foreign| ImagingError::Foreign { name: name.to_owned(), advice: foreign.advice() })
}

#[cfg(feature = "heic")]
pub(crate) fn heic_header(source: &mut impl Read, name: &str) -> Result<(usize, usize)> {
    by_heic(name, || heic::header(source))
}

#[cfg(feature = "heic")]
pub(crate) fn heic_picture(source: &mut impl Read, name: &str) -> Result<Picture> {
    by_heic(name, || heic::decode(source))
}

/// What its decoder gives, which may panic on what strangers wrote.
#[cfg(feature = "heic")]
fn by_heic<T>(name: &str, read: impl FnOnce() -> std::result::Result<T, heic::Refusal>) -> Result<T> {
    let read = caught(read).unwrap_or_else(|panic| Err(heic::Refusal::Damaged(panic)));
    read.map_err(|refusal| refused_heic(refusal, name))
}

#[cfg(feature = "heic")]
fn refused_heic(refusal: heic::Refusal, name: &str) -> ImagingError {
    match refusal {
        heic::Refusal::TooLarge(width, height) => too_large(width, height, name),
        heic::Refusal::Foreign(advice) => ImagingError::Foreign { name: name.to_owned(), advice },
        heic::Refusal::Damaged(reason) => ImagingError::Decode { name: name.to_owned(), reason },
    }
}

// Where it is not read it is refused before, so that nobody comes here.
#[cfg(not(feature = "heic"))]
pub(crate) fn heic_header(_: &mut impl Read, name: &str) -> Result<(usize, usize)> {
    Err(ImagingError::Foreign { name: name.to_owned(), advice: Foreign::Heic.advice() })
}

#[cfg(not(feature = "heic"))]
pub(crate) fn heic_picture(_: &mut impl Read, name: &str) -> Result<Picture> {
    Err(ImagingError::Foreign { name: name.to_owned(), advice: Foreign::Heic.advice() })
}

/// A bitmap of OS/2 as Windows writes it; `None` if it needs no such thing. The source is at its start afterwards.
pub(crate) fn usual_bitmap<R: BufRead + Seek>(
    source: &mut R,
    format: ImageFormat,
    name: &str,
) -> Result<Option<Cursor<Vec<u8>>>> {
    if format != ImageFormat::Bmp {
        return Ok(None);
    }
    let read_error = |error: std::io::Error| ImagingError::Decode { name: name.to_owned(), reason: error.to_string() };
    let mut file = Vec::new();
    source.by_ref().take(TELLING as u64).read_to_end(&mut file).map_err(read_error)?;
    let refused = |advice| ImagingError::Foreign { name: name.to_owned(), advice };
    if bmp::of_windows(&file).map_err(refused)?.is_some() {
        source.read_to_end(&mut file).map_err(read_error)?;
    }
    source.rewind().map_err(read_error)?;
    Ok(bmp::of_windows(&file).map_err(refused)?.map(Cursor::new))
}
