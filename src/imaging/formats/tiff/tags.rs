//! What the directories of a TIFF file say beside how its pixels are stored.

use std::io::{BufRead, Seek};

use image::metadata::Orientation;
use tiff::{
    decoder::Decoder,
    tags::{ByteOrder, Tag, Type, ValueBuffer},
};

use crate::{
    Metadata,
    metadata::{Block, Directories, Entry, MAX_METADATA},
};

/// What channels beyond the colours are.
pub(super) const EXTRA_SAMPLES: u16 = 338;
/// Colours by index.
pub(super) const COLOUR_MAP: u16 = 320;
pub(super) const XMP: Tag = Tag::Unknown(700);
pub(super) const IPTC: Tag = Tag::Unknown(33723);
pub(super) const PHOTOSHOP: Tag = Tag::Unknown(34377);
pub(super) const GPS: Tag = Tag::GpsDirectory;
pub(super) const EXIF: Tag = Tag::ExifDirectory;
pub(super) const INTEROPERABILITY: Tag = Tag::Unknown(0xA005);
/// Tags of the first directory that say how pixels are stored, or that are carried by other means.
const STRUCTURE: [u16; 46] = [
    254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, 274, 277, 278, 279, 280, 281, 282, 283, 284, 288, 289,
    292, 293, 296, 301, 317, 320, 322, 323, 324, 325, 330, 338, 339, 340, 341, 347, 529, 530, 532, 700, 33723, 34377,
    34675,
];

/// Whether a tag has to do with how a file stores its picture.
pub(super) fn is_structure(tag: u16) -> bool {
    STRUCTURE.contains(&tag)
}

pub(super) fn metadata<R: BufRead + Seek>(decoder: &mut Decoder<R>) -> (Metadata, Orientation) {
    let orientation = orientation(decoder);
    let mut blob = |tag: Tag| {
        let mut value = ValueBuffer::empty(Type::BYTE);
        decoder.image_ifd().find_tag_buf(tag, &mut value).ok().flatten()?;
        Some(value.as_bytes().to_vec()).filter(|bytes| !bytes.is_empty())
    };
    let (icc, xmp) = (blob(Tag::IccProfile), blob(XMP));
    let resources = blob(PHOTOSHOP);
    // IPTC records are stated as long numbers by some programs, whose bytes another order would turn: those among the image
    // resources come first.
    let records = blob(IPTC);
    let number = |decoder: &mut Decoder<R>, tag| {
        let mut value = ValueBuffer::empty(Type::RATIONAL);
        decoder.image_ifd().find_tag_buf(tag, &mut value).ok().flatten()?;
        value.set_byte_order(ByteOrder::LittleEndian);
        let long =
            |at: usize| value.as_bytes().get(at..)?.first_chunk().map(|four| f64::from(u32::from_le_bytes(*four)));
        let (above, below) = (long(0)?, long(4)?);
        (above > 0.0 && below > 0.0).then(|| above / below)
    };
    let per_inch = match decoder.find_tag_unsigned::<u16>(Tag::ResolutionUnit).ok().flatten() {
        Some(3) => Some(2.54),
        Some(1) => None,
        _ => Some(1.0),
    };
    let (x, y) = (number(decoder, Tag::XResolution), number(decoder, Tag::YResolution));
    let density = x.zip(y).zip(per_inch).map(|((x, y), per_inch)| [x * per_inch, y * per_inch]);
    let mut left_out = Vec::new();
    let exif = exif(decoder).map(|mut directories| {
        left_out = own_to_the_file(&mut directories.image);
        Block::of(&directories).into_bytes()
    });
    let left_out = left_out.into_iter().map(Into::into).collect();
    let mut metadata = Metadata { icc, exif, xmp, density, left_out, ..Metadata::default() };
    metadata.take_resources(&resources.unwrap_or_default());
    metadata.iptc = metadata.iptc.or(records);
    (metadata, orientation)
}

/// What a file says that the decoder cannot open at all, without the blocks it keeps for itself.
pub(super) fn of_block(bytes: &[u8]) -> Metadata {
    let Some(block) = Block::parse(bytes.to_vec()) else { return Metadata::default() };
    let mut directories = block.directories();
    let blob =
        |tag: Tag| directories.image.iter().find(|entry| entry.tag == tag.to_u16()).map(|entry| entry.data.clone());
    let (icc, xmp, resources, iptc) = (blob(Tag::IccProfile), blob(XMP), blob(PHOTOSHOP), blob(IPTC));
    let left_out = own_to_the_file(&mut directories.image).into_iter().map(Into::into).collect();
    let density = block.density();
    directories.image.retain(|entry| !is_structure(entry.tag));
    let exif = (directories != Directories::default()).then(|| Block::of(&directories).into_bytes());
    let mut metadata = Metadata { icc, exif, xmp, density, left_out, ..Metadata::default() };
    metadata.take_resources(&resources.unwrap_or_default());
    metadata.iptc = metadata.iptc.or(iptc);
    metadata
}

/// Takes out tags that hold for the file alone, and says in words what they are: layers and notes of Photoshop, and large ones
/// of which nobody here knows what they say.
fn own_to_the_file(image: &mut Vec<Entry>) -> Vec<String> {
    const PRIVATE: u16 = 0x8000;
    const LARGE: usize = 1 << 20;
    let mut told = Vec::new();
    image.retain(|entry| {
        let what = match entry.tag {
            37724 => "layers of Photoshop are dropped: the picture is what they show together".to_owned(),
            50255 => "notes of Photoshop (annotations) are dropped".to_owned(),
            50844 => "RPC coordinates, which hold for the original's pixels alone, are dropped".to_owned(),
            tag if tag >= PRIVATE && entry.data.len() > LARGE => {
                format!("a private tag of its maker ({tag}, {} kB) is dropped", entry.data.len() / 1000)
            }
            _ => return true,
        };
        told.push(what);
        false
    });
    told
}

/// How the picture is to be turned.
pub(super) fn orientation<R: BufRead + Seek>(decoder: &mut Decoder<R>) -> Orientation {
    let stated = decoder.find_tag_unsigned::<u8>(Tag::Orientation).ok().flatten();
    stated.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
}

fn exif<R: BufRead + Seek>(decoder: &mut Decoder<R>) -> Option<Directories> {
    let pointer = decoder.ifd_pointer()?;
    let first = decoder.read_directory(pointer).ok()?;
    let mut image = entries(decoder, &first);
    image.retain(|entry| !is_structure(entry.tag) && entry.tag != EXIF.to_u16() && entry.tag != GPS.to_u16());
    let mut below = |directory: &tiff::Directory, tag: Tag| -> Option<(Vec<Entry>, tiff::Directory)> {
        let pointer = decoder.read_directory_tags(directory).find_tag(tag).ok()??.into_ifd_pointer().ok()?;
        let directory = decoder.read_directory(pointer).ok()?;
        Some((entries(decoder, &directory), directory))
    };
    let exif = below(&first, EXIF);
    let interoperability = exif.as_ref().and_then(|(_, directory)| below(directory, INTEROPERABILITY));
    let gps = below(&first, GPS);
    let mut exif = exif.map(|(entries, _)| entries).unwrap_or_default();
    exif.retain(|entry| entry.tag != INTEROPERABILITY.to_u16());
    let directories = Directories {
        image,
        exif,
        gps: gps.map(|(entries, _)| entries).unwrap_or_default(),
        interoperability: interoperability.map(|(entries, _)| entries).unwrap_or_default(),
    };
    (directories != Directories::default()).then_some(directories)
}

fn entries<R: BufRead + Seek>(decoder: &mut Decoder<R>, directory: &tiff::Directory) -> Vec<Entry> {
    let tags: Vec<Tag> = directory.iter().map(|(tag, _)| tag).collect();
    let mut reader = decoder.read_directory_tags(directory);
    // Many tags may point at the same bytes.
    let mut left = MAX_METADATA;
    let read = |tag: Tag| {
        let mut value = ValueBuffer::empty(Type::BYTE);
        reader.find_tag_buf(tag, &mut value).ok()??;
        value.set_byte_order(ByteOrder::LittleEndian);
        left = left.checked_sub(value.as_bytes().len())?;
        let kind = value.data_type().to_u16();
        // The types of large files do not exist in EXIF.
        (kind <= 13 && !value.as_bytes().is_empty()).then(|| Entry {
            tag: tag.to_u16(),
            kind,
            data: value.as_bytes().to_vec(),
        })
    };
    tags.into_iter().filter_map(read).collect()
}
