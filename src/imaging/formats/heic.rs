//! HEIC and HEIF: pictures of phones, coded by HEVC, read by a decoder in Rust.
//!
//! Only with the feature `heic`: in some countries patents cover HEVC, and who builds or passes on the program must know whether they
//! hold there.

use std::io::Read;

use heifer::{
    Error, Image, Options,
    heifer_isobmff::{
        HeifFile, ItemId,
        boxes::{ColorInfo, Property},
    },
};

use super::animation;
use crate::{Depth, Picture, Plane, colour, metadata::Metadata, picture::MAX_PIXELS};

/// Most bytes of a file that are read: a picture of the most pixels takes less.
const MAX_BYTES: u64 = 2 << 30;
/// How many steps from a picture to what it is made of are followed.
const MAX_STEPS: usize = 4;
/// What is said of files without any still picture.
const MOVING: &str = "it is a HEIF film or sequence without a still picture; save one of its pictures as PNG first";
/// Kinds of auxiliary pictures that are transparency.
const ALPHA: [&str; 2] = ["urn:mpeg:hevc:2015:auxid:1", "urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"];

/// Why a file was not read.
pub(crate) enum Refusal {
    /// More pixels than are accepted.
    TooLarge(u32, u32),
    /// A picture that is coded by something else: what it is and what to do.
    Foreign(&'static str),
    /// What the decoder said.
    Damaged(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Damaged(error.to_string())
    }
}

impl From<heifer::heifer_isobmff::Error> for Refusal {
    fn from(error: heifer::heifer_isobmff::Error) -> Self {
        match error {
            heifer::heifer_isobmff::Error::MissingBox(kind) if kind.0 == *b"meta" => Self::Foreign(MOVING),
            other => Self::Damaged(other.to_string()),
        }
    }
}

fn bytes_of(source: &mut impl Read) -> Result<Vec<u8>, Refusal> {
    let mut file = Vec::new();
    source.take(MAX_BYTES).read_to_end(&mut file).map_err(|error| Refusal::Damaged(error.to_string()))?;
    Ok(file)
}

/// Width and height as the picture is to be seen, from the boxes, without decoding.
pub(crate) fn header(source: &mut impl Read) -> Result<(usize, usize), Refusal> {
    let bytes = bytes_of(source)?;
    let file = HeifFile::parse(&bytes)?;
    let (mut width, mut height) = extent(&file)?;
    for property in file.item_properties(file.primary_id)? {
        match *property {
            Property::CleanAperture { width: across, height: down, .. } => {
                let side = |(of, parts): (u32, u32), most: u32| {
                    (f64::from(of) / f64::from(parts.max(1))).round().min(f64::from(most)) as u32
                };
                (width, height) = (side(across, width), side(down, height));
            }
            Property::Rotation(quarters) if quarters % 2 == 1 => (width, height) = (height, width),
            _ => {}
        }
    }
    Ok((width as usize, height as usize))
}

/// Width and height of the picture that is to be shown, before it is cut and turned.
fn extent(file: &HeifFile<'_>) -> Result<(u32, u32), Refusal> {
    let stated = file.image_size(file.primary_id)?;
    let grid = || file.grid(file.primary_id).ok().map(|grid| (grid.output_width, grid.output_height));
    stated.or_else(grid).ok_or_else(|| Refusal::Damaged("it does not say how large it is".to_owned()))
}

/// Reads the picture that is to be shown, as it is to be seen.
pub(crate) fn decode(source: &mut impl Read) -> Result<Picture, Refusal> {
    let bytes = bytes_of(source)?;
    let file = HeifFile::parse(&bytes)?;
    let (width, height) = extent(&file)?;
    if u64::from(width) * u64::from(height) > MAX_PIXELS {
        return Err(Refusal::TooLarge(width, height));
    }
    let coded = made_of(&file, file.primary_id);
    if let Some(other) = coded.iter().find_map(|&id| other_code(&file, id)) {
        return Err(Refusal::Foreign(other));
    }
    let options = Options { max_threads: rayon::current_num_threads(), max_pixels: MAX_PIXELS };
    let image = heifer::decode_with_options(&bytes, &options)?;
    let is_gray = coded
        .last()
        .and_then(|&id| file.hevc_config(id).ok().flatten())
        .is_some_and(|configuration| configuration.chroma_format == 0);
    let mut picture = picture(&image, is_gray);
    let is_associated = !file.referenced_items(file.primary_id, b"prem").is_empty();
    if let Some(alpha) = picture.alpha.as_ref().filter(|_| is_associated) {
        for plane in &mut picture.planes {
            for (sample, &coverage) in plane.data.iter_mut().zip(&alpha.data) {
                *sample = if coverage > 0.0 { (*sample * 255.0 / coverage).min(255.0) } else { 0.0 };
            }
        }
    }
    picture.metadata = metadata(&file, &coded);
    Ok(picture)
}

/// An item and what it is made of, the first of many each.
fn made_of(file: &HeifFile<'_>, id: ItemId) -> Vec<ItemId> {
    let next = |&id: &ItemId| file.referenced_items(id, b"dimg").first().copied();
    std::iter::successors(Some(id), next).take(MAX_STEPS).collect()
}

/// What to do about an item that is not coded by HEVC.
fn other_code(file: &HeifFile<'_>, id: ItemId) -> Option<&'static str> {
    match &file.item(id).ok()?.item_type.0 {
        b"av01" => {
            Some("it is a HEIF picture coded by AV1 that does not call itself AVIF; save it as AVIF or PNG first")
        }
        b"jpeg" | b"j2k1" | b"avc1" | b"vvc1" | b"lhv1" | b"unci" | b"mski" => {
            Some("it is a HEIF picture that is not coded by HEVC or AV1, as phones do; save it as PNG first")
        }
        _ => None,
    }
}

fn picture(image: &Image, is_gray: bool) -> Picture {
    let [width, height] = [image.width, image.height].map(|side| side as usize);
    let most = f32::from(image.max_value());
    let take = |channel: usize| {
        let samples = image.data.iter().skip(channel).step_by(4);
        Plane::new(width, height, samples.map(|&sample| f32::from(sample) * 255.0 / most).collect())
    };
    let planes = (0..if is_gray { 1 } else { 3 }).map(take).collect();
    let depth = if image.bit_depth > 8 { Depth::Sixteen } else { Depth::Eight };
    Picture { alpha: image.has_alpha.then(|| take(3)), depth, ..Picture::from_planes(planes) }
}

fn metadata(file: &HeifFile<'_>, coded: &[ItemId]) -> Metadata {
    let primary = file.primary_id;
    let mut metadata = Metadata {
        icc: file.icc_profile(primary).ok().flatten().map(<[u8]>::to_vec).or_else(|| profile(file, coded)),
        exif: file.exif(primary).ok().flatten(),
        xmp: file.xmp(primary).ok().flatten(),
        ..Metadata::default()
    };
    // A block that lies in the file and is not understood must not vanish in silence.
    let has_block = file.items.iter().any(|item| item.item_type.0 == *b"Exif");
    if has_block && metadata.exif.is_none() {
        metadata.left_out.push("an EXIF block that cannot be read is left out".into());
    }
    const FURTHER: &str = "further pictures behind the first (previews, stereo, panorama) are left out";
    const MAP: &str = "the gain map that brightens the picture on HDR screens is left out";
    let mut others = Vec::new();
    for item in file.items.iter().filter(|item| !file.referenced_items(item.id, b"auxl").is_empty()) {
        let kind = file.item_properties(item.id).ok().and_then(|mut properties| {
            properties.find_map(|property| match property {
                Property::AuxiliaryType(kind) => Some(kind.trim_end_matches('\0')),
                _ => None,
            })
        });
        others.push(match kind {
            Some(kind) if ALPHA.contains(&kind) => continue,
            Some(kind) if kind.contains("gainmap") => MAP,
            Some(kind) if kind.contains("depth") || kind.contains("auxid:2") => {
                "depth and motion in the file are left out"
            }
            Some(kind) if kind.contains("matte") => "extra channels (masks, spot colours) are dropped",
            _ => FURTHER,
        });
    }
    if file.items.iter().any(|item| item.item_type.0 == *b"tmap") {
        others.push(MAP);
    }
    // The map of an HDR picture is made of the picture itself, and is none beside it.
    let more = file.top_level_image_ids().into_iter().filter(|&id| {
        id != primary && file.item(id).is_ok_and(|item| item.item_type.0 != *b"tmap") && !coded.contains(&id)
    });
    if more.count() > 0 {
        others.push(FURTHER);
    }
    others.sort_unstable();
    others.dedup();
    metadata.left_out.extend(others.into_iter().map(Into::into));
    if file.file_type.has_brand(b"hevc") || file.file_type.has_brand(b"msf1") {
        metadata.left_out.push(animation::LEFT_OUT.into());
    }
    metadata
}

/// A profile of what code points say, of the picture or of what it is made of.
fn profile(file: &HeifFile<'_>, coded: &[ItemId]) -> Option<Vec<u8>> {
    let codes = |&id: &ItemId| {
        file.item_properties(id).ok()?.find_map(|property| match *property {
            Property::Color(ColorInfo::Nclx { primaries, transfer, .. }) => Some([primaries, transfer]),
            _ => None,
        })
    };
    let [primaries, transfer] = coded.iter().find_map(codes)?.map(u8::try_from);
    colour::from_code(primaries.ok()?, transfer.ok()?)
}
