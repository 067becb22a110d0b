//! Raw files of cameras, by the picture that the camera itself laid inside.
//!
//! What a sensor saw is no picture yet: balance, colours, tone and the filling in of what each pixel did not see decide about it, and
//! programs for that do it well. Most cameras lay their own rendering beside the data, at full size: that one is read, which is said.

use std::{
    io::{BufRead, Cursor, Read},
    path::Path,
};

use flashraw::{FlashRaw, PreviewEncoding, RawMetadata};
use image::metadata::Orientation;

use super::jpeg::{self, Extent};
use crate::{
    foreign::Foreign,
    metadata::{Block, Directories, Entry},
};

/// Most bytes of a file that are read.
const MAX_BYTES: u64 = 2 << 30;
/// The least that a picture inside shows of each side of the photo. Cameras cut a few pixels off the border of the data.
const MIN: f64 = 0.9;
/// What is said of every picture that comes from a raw file.
pub(crate) const FROM_THE_CAMERA: &str = "the camera's own picture inside the raw file was enlarged, which has 8 bits; a raw developer \
    (darktable, RawTherapee) can make more of the file";

/// The picture of a camera inside its raw file.
pub(crate) struct CameraPicture {
    /// A whole JPEG file.
    pub(crate) jpeg: Vec<u8>,
    /// Width and height in pixels, as it lies in the file.
    pub(crate) size: [u16; 2],
    /// How it is to be turned, unless it says so itself.
    pub(crate) orientation: Option<Orientation>,
    /// What the raw file says about the photo, as an EXIF block, for pictures that say nothing.
    pub(crate) exif: Vec<u8>,
}

impl CameraPicture {
    /// Width and height as the picture is to be seen.
    pub(crate) fn upright(&self) -> (usize, usize) {
        let scanned = jpeg::scan(&mut Cursor::new(&self.jpeg), Extent::Header).ok().flatten().unwrap_or_default();
        let own = scanned.metadata.exif.and_then(Block::parse).and_then(|mut block| block.take_orientation());
        let own = own.and_then(Orientation::from_exif);
        let [width, height] = self.size.map(usize::from);
        let turned = own.or(self.orientation).is_some_and(|orientation| {
            use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
            matches!(orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
        });
        if turned { (height, width) } else { (width, height) }
    }
}

/// Finds the camera's picture in a file on disk, of which only what is looked at is read.
///
/// # Errors
/// What kind of file it is that is not read: one that is not understood, or one without a picture of full size inside.
pub(crate) fn of_file(path: &Path) -> Result<CameraPicture, Foreign> {
    within(&FlashRaw::open_path(path).map_err(|_| Foreign::Raw)?)
}

/// Finds the camera's picture in a file that is read from its start.
///
/// # Errors
/// As [`of_file`].
pub(crate) fn of_source(source: &mut impl BufRead) -> Result<CameraPicture, Foreign> {
    let mut bytes = Vec::new();
    source.take(MAX_BYTES).read_to_end(&mut bytes).map_err(|_| Foreign::Raw)?;
    within(&FlashRaw::open(bytes).map_err(|_| Foreign::Raw)?)
}

fn within(raw: &FlashRaw<'_>) -> Result<CameraPicture, Foreign> {
    let info = raw.frame_info();
    let whole = if info.crop.is_empty() { [info.width, info.height] } else { [info.crop.width, info.crop.height] };
    let covers = |size: [u16; 2]| {
        let within = |side: u16, of: u32| f64::from(side) >= f64::from(of) * MIN;
        let [width, height] = size;
        within(width, whole[0]) && within(height, whole[1]) || within(height, whole[0]) && within(width, whole[1])
    };
    let pictures = raw.previews().iter().filter(|preview| preview.encoding == PreviewEncoding::Jpeg);
    let sized = pictures.filter_map(|preview| {
        let jpeg = raw.preview_bytes(preview).ok()?;
        let scanned = jpeg::scan(&mut Cursor::new(jpeg), Extent::Header).ok().flatten()?;
        (scanned.unread.is_none() && covers(scanned.size)).then_some((preview, jpeg, scanned))
    });
    let (preview, jpeg, scanned) = sized
        .max_by_key(|(_, _, scanned)| u32::from(scanned.size[0]) * u32::from(scanned.size[1]))
        .ok_or(Foreign::RawWithoutPicture)?;
    let own = scanned.metadata.exif.clone().and_then(Block::parse).and_then(|mut block| block.take_orientation());
    let stated = u8::try_from(preview.orientation.exif()).ok().and_then(Orientation::from_exif);
    Ok(CameraPicture {
        jpeg: jpeg.to_vec(),
        size: scanned.size,
        orientation: stated.filter(|_| own.is_none()),
        exif: described(raw.metadata()),
    })
}

/// An EXIF block of what raw files of all makers say about a photo.
fn described(photo: &RawMetadata) -> Vec<u8> {
    const ASCII: u16 = 2;
    const SHORT: u16 = 3;
    const RATIONAL: u16 = 5;
    let text = |tag: u16, text: &str| {
        let text = text.trim();
        (!text.is_empty()).then(|| Entry { tag, kind: ASCII, data: [text.as_bytes(), b"\0"].concat() })
    };
    let short = |tag: u16, value: u16| Entry { tag, kind: SHORT, data: value.to_le_bytes().to_vec() };
    let fraction = |tag: u16, above: f64, below: u32| {
        let above = (above * f64::from(below)).round().clamp(0.0, f64::from(u32::MAX)) as u32;
        Entry { tag, kind: RATIONAL, data: [above.to_le_bytes(), below.to_le_bytes()].concat() }
    };
    let or = |text: &Option<String>| text.clone().unwrap_or_default();
    // 2026-11-30T12:00:00.000+01:00 is 2026:11:30 12:00:00 there.
    let time = photo.capture_time.as_deref().and_then(|time| time.get(..19)).unwrap_or_default();
    let time = time.replacen('-', ":", 2).replacen('T', " ", 1);
    let (exposure, lens) = (&photo.exposure, &photo.lens);
    let seconds = exposure.exposure_time.map(|seconds| {
        if seconds > 0.0 && seconds < 1.0 {
            let below = (1.0 / seconds).round().max(1.0) as u32;
            Entry { tag: 0x829A, kind: RATIONAL, data: [1_u32.to_le_bytes(), below.to_le_bytes()].concat() }
        } else {
            fraction(0x829A, seconds, 1000)
        }
    });
    let image = [
        text(0x010F, &photo.make),
        text(0x0110, &photo.model),
        text(0x013B, &or(&photo.artist)),
        text(0x8298, &or(&photo.copyright)),
        text(0x0132, &time),
    ];
    let exif = [
        seconds,
        exposure.f_number.map(|number| fraction(0x829D, f64::from(number), 100)),
        exposure.iso.and_then(|speed| u16::try_from(speed).ok()).map(|speed| short(0x8827, speed)),
        text(0x9003, &time),
        exposure.focal_length.map(|length| fraction(0x920A, f64::from(length), 100)),
        exposure.focal_length_35mm.and_then(|length| u16::try_from(length).ok()).map(|length| short(0xA405, length)),
        text(0xA433, &or(&lens.make)),
        text(0xA434, &or(&lens.model)),
    ];
    let directories = Directories {
        image: image.into_iter().flatten().collect(),
        exif: exif.into_iter().flatten().collect(),
        ..Directories::default()
    };
    Block::of(&directories).into_bytes()
}
