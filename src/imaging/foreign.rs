//! Files that are recognised by more than a decoder of pictures: what they are, and for those that are not read, what their owner can do.
//!
//! A camera's raw file is a TIFF file whose first picture is a thumbnail: read as TIFF it would give that, in silence.

use std::{
    io::{Read, Seek, SeekFrom},
    path::Path,
};

/// A kind of file that is recognised, and not read at all or not always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// A camera's own data, of a kind that is not understood.
    Raw,
    /// A camera's own data, without a picture of full size inside.
    RawWithoutPicture,
    /// Pictures of phones: HEIC and HEIF, of which programs without the feature `heic` read nothing.
    Heic,
    /// JPEG 2000.
    Jpeg2000,
    /// Layers of an image editor.
    Photoshop,
    /// Pages.
    Pdf,
    /// Drawings that have no pixels.
    Svg,
    /// PNG for apps of phones.
    App,
    /// Pictures of kinds that few programs write.
    Rare,
}

impl Foreign {
    /// What it is and what to do.
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Raw => {
                "it is a raw file of a camera; develop it first (darktable, RawTherapee, the camera's own program) and \
                 export a 16-bit TIFF or PNG"
            }
            Self::RawWithoutPicture => {
                "it is a raw file of a camera that holds the photo as seen by the sensor only, or a small preview; develop it first \
                 (darktable, RawTherapee, the camera's own program) and export a 16-bit TIFF or PNG"
            }
            Self::Heic => {
                "it is a HEIC picture; export it as JPEG or PNG (phones do when they share it, or set the camera to \
                 \"most compatible\")"
            }
            Self::Jpeg2000 => "it is a JPEG 2000 picture; save it as PNG first",
            Self::Photoshop => {
                "it is a file of an image editor (Photoshop, GIMP, Krita), with layers; export it as PNG or TIFF"
            }
            Self::Pdf => "it is a PDF document; export its pictures as PNG first",
            Self::App => {
                "it is a PNG made for apps of the iPhone (CgBI), which is not read; convert it first \
                 (`pngcrush -revert-iphone-optimizations`)"
            }
            Self::Rare => "it is a picture of a kind that is not read; save it as PNG or TIFF first",
            Self::Svg => "it is a drawing without pixels (SVG), which any drawing program exports at any size",
        }
    }
}

/// Extensions of kinds that few programs write, in lower case.
pub(crate) const RARE: [&str; 24] = [
    "ico", "cur", "dds", "pcx", "jng", "mng", "sgi", "ras", "xbm", "xpm", "fits", "fit", "dcm", "jxr", "hdp", "wdp",
    "j2k", "jpf", "jpx", "bpg", "flif", "eps", "ktx", "ktx2",
];

/// Extensions of raw files, in lower case.
pub(crate) const RAW: [&str; 26] = [
    "nef", "nrw", "cr2", "cr3", "crw", "arw", "sr2", "srf", "dng", "orf", "rw2", "rwl", "raf", "pef", "srw", "raw",
    "3fr", "fff", "iiq", "erf", "mrw", "mef", "mos", "dcr", "kdc", "x3f",
];

/// Whether a file is called as raw files are.
pub(crate) fn is_raw_name(path: &Path) -> bool {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    RAW.contains(&extension.as_str())
}

/// What a file of a foreign extension is when its first bytes say nothing: most raw files are TIFF files inside.
pub(crate) fn by_name(path: &Path) -> Foreign {
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    match extension.as_str() {
        "heic" | "heif" => Foreign::Heic,
        "jp2" => Foreign::Jpeg2000,
        "psd" | "xcf" | "kra" => Foreign::Photoshop,
        "svg" => Foreign::Svg,
        name if RARE.contains(&name) => Foreign::Rare,
        _ => Foreign::Raw,
    }
}

/// Whether the first bytes of a file are those of an AVIF picture.
pub(crate) fn is_avif(start: &[u8]) -> bool {
    let Some(head) = start.get(..16).filter(|head| head[4..8] == *b"ftyp") else { return false };
    if matches!(&head[8..12], b"avif" | b"avis") {
        return true;
    }
    // A file may call itself a HEIF picture first and AVIF among what it is compatible with.
    let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
    let brands = start.get(16..length.min(start.len())).unwrap_or_default();
    matches!(&head[8..12], b"mif1" | b"mif2") && brands.as_chunks::<4>().0.iter().any(|brand| brand == b"avif")
}

/// What the first bytes of a file say.
pub(crate) fn of(start: &[u8]) -> Option<Foreign> {
    let brand = start.get(4..8).filter(|kind| *kind == b"ftyp").and_then(|_| start.get(8..12));
    if let Some(brand) = brand {
        return match brand {
            b"crx " => Some(Foreign::Raw),
            b"heic" | b"heix" | b"heim" | b"heis" | b"hevc" | b"hevx" | b"mif1" | b"mif2" | b"msf1" => {
                Some(Foreign::Heic)
            }
            _ => None,
        };
    }
    let text = start.trim_ascii_start();
    let begins = |with: &[u8]| start.starts_with(with);
    match () {
        () if start.get(6..14) == Some(b"HEAPCCDR") => Some(Foreign::Raw),
        () if begins(b"FUJIFILMCCD-RAW") || begins(b"IIRO") || begins(b"IIRS") || begins(b"MMOR") => Some(Foreign::Raw),
        () if begins(b"IIU\0") || begins(b"FOVb") || begins(b"\0MRM") => Some(Foreign::Raw),
        () if begins(b"\0\0\0\x0cjP  \r\n\x87\n") || begins(b"\xff\x4f\xff\x51") => Some(Foreign::Jpeg2000),
        () if begins(b"\x89PNG") && start.get(12..16) == Some(b"CgBI") => Some(Foreign::App),
        () if begins(b"8BPS") => Some(Foreign::Photoshop),
        () if begins(b"%PDF") => Some(Foreign::Pdf),
        () if text.starts_with(b"<svg") => Some(Foreign::Svg),
        () if text.starts_with(b"<?xml") && start.windows(4).any(|four| four == b"<svg") => Some(Foreign::Svg),
        () => None,
    }
}

/// Tags of a TIFF directory that tell a raw file from a picture.
const NEW_SUBFILE_TYPE: u16 = 254;
const SUB_IFDS: u16 = 330;
const DNG_VERSION: u16 = 50706;
/// Most entries of a directory that are looked at.
const MAX_ENTRIES: u16 = 512;

/// Whether a TIFF file is a camera's raw file: a digital negative, or one whose first picture is a reduced copy of others.
/// Leaves the source anywhere. A file that cannot be understood is none: the decoder says what is wrong with it.
pub(crate) fn is_raw_tiff(source: &mut (impl Read + Seek)) -> bool {
    directory(source).is_some_and(|(is_reduced, has_others, is_negative)| is_negative || (is_reduced && has_others))
}

fn directory(source: &mut (impl Read + Seek)) -> Option<(bool, bool, bool)> {
    let mut header = [0; 16];
    source.rewind().ok()?;
    source.read_exact(&mut header).ok()?;
    let big = header.starts_with(b"MM\0*");
    if !big && !header.starts_with(b"II*\0") {
        return None;
    }
    if header[8..10] == *b"CR" {
        // Canon's raw files say so where other TIFF files have anything.
        return Some((true, true, false));
    }
    let short = |bytes: &[u8]| {
        let two = [bytes[0], bytes[1]];
        if big { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
    };
    let long = |bytes: &[u8]| {
        let four = [bytes[0], bytes[1], bytes[2], bytes[3]];
        if big { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) }
    };
    source.seek(SeekFrom::Start(long(&header[4..8]).into())).ok()?;
    let mut count = [0; 2];
    source.read_exact(&mut count).ok()?;
    let (mut is_reduced, mut has_others, mut is_negative) = (false, false, false);
    for _ in 0..short(&count).min(MAX_ENTRIES) {
        let mut entry = [0; 12];
        source.read_exact(&mut entry).ok()?;
        match short(&entry) {
            NEW_SUBFILE_TYPE => is_reduced = long(&entry[8..12]) & 1 == 1,
            SUB_IFDS => has_others = true,
            DNG_VERSION => is_negative = true,
            _ => {}
        }
    }
    Some((is_reduced, has_others, is_negative))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A TIFF directory of tags with values.
    fn tiff(big: bool, entries: &[(u16, u32)]) -> Vec<u8> {
        let short = |value: u16| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let long = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
        let mut bytes = if big { b"MM\0*".to_vec() } else { b"II*\0".to_vec() };
        bytes.extend(long(16));
        bytes.extend([0; 8]);
        bytes.extend(short(entries.len() as u16));
        for &(tag, value) in entries {
            bytes.extend(short(tag));
            bytes.extend(short(4));
            bytes.extend(long(1));
            bytes.extend(long(value));
        }
        bytes
    }

    #[test]
    fn a_raw_file_is_told_from_a_tiff_picture() {
        for big in [false, true] {
            let is_raw = |entries: &[(u16, u32)]| is_raw_tiff(&mut Cursor::new(tiff(big, entries)));
            assert!(is_raw(&[(NEW_SUBFILE_TYPE, 1), (256, 160), (SUB_IFDS, 900)]), "a thumbnail before the data");
            assert!(is_raw(&[(NEW_SUBFILE_TYPE, 0), (DNG_VERSION, 1)]), "a digital negative");
            assert!(!is_raw(&[(NEW_SUBFILE_TYPE, 0), (256, 4000)]), "a picture");
            assert!(!is_raw(&[(NEW_SUBFILE_TYPE, 0), (SUB_IFDS, 900)]), "a picture with smaller copies of itself");
        }
        let mut canon = tiff(false, &[(256, 4000)]);
        canon[8..10].copy_from_slice(b"CR");
        assert!(is_raw_tiff(&mut Cursor::new(canon)));
        for length in 0..40 {
            let cut = tiff(false, &[(NEW_SUBFILE_TYPE, 1), (SUB_IFDS, 9)]);
            let _ = is_raw_tiff(&mut Cursor::new(&cut[..length.min(cut.len())]));
        }
    }

    #[test]
    fn foreign_files_are_recognised_by_their_first_bytes() {
        for (start, expected) in [
            (&b"\0\0\0\x18ftypheic\0\0\0\0"[..], Foreign::Heic),
            (b"\0\0\0\x18ftypcrx \0\0\0\0", Foreign::Raw),
            (b"FUJIFILMCCD-RAW 0201", Foreign::Raw),
            (b"8BPS\0\x01", Foreign::Photoshop),
            (b"%PDF-1.7", Foreign::Pdf),
            (b"  <svg xmlns=", Foreign::Svg),
            (b"<?xml version=\"1.0\"?>\n<!-- a drawing -->\n<svg xmlns=", Foreign::Svg),
        ] {
            assert_eq!(of(start), Some(expected));
        }
        for none in [&b""[..], b"ftyp", b"\0\0\0\x18ftypisom\0\0\0\0", b"<?xml version=\"1.0\"?><html>", b"II*\0"] {
            assert_eq!(of(none), None);
        }
    }
}
