//! What a file says about its picture beside the pixels, and how that changes when the picture grows.

mod exif;
mod resources;
mod xmp;

use std::borrow::Cow;

use image::metadata::Orientation;

use crate::{Format, gain_map::GainMap};

pub(crate) use exif::{Block, Directories, Entry, MAX_METADATA, reverse};
pub(crate) use resources::{from_image_resources, to_image_resources};
pub(crate) use xmp::extension_of;

/// Bytes of a block, its name aside, that a segment of a JPEG file holds.
const MAX_IN_SEGMENT: usize = 65_500;
/// Bytes of an EXIF block that a segment of a JPEG file holds.
pub(crate) const MAX_EXIF: usize = 65_527;
/// Bytes that the name of the software takes at most.
const SOFTWARE: usize = 80;
/// Bytes that the announcement of a gain map takes.
const ANNOUNCEMENT: usize = 800;

/// Keyword of comments.
pub const COMMENT: &str = "Comment";

/// Colour profile and descriptions of a picture, as raw blocks.
///
/// Orientation is not here: it is applied to the pixels when a file is read and reset in the blocks, so that no later
/// program turns the picture a second time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metadata {
    /// The ICC profile.
    pub icc: Option<Vec<u8>>,
    /// The EXIF block, from its TIFF header on.
    pub exif: Option<Vec<u8>>,
    /// The XMP packet, UTF-8.
    pub xmp: Option<Vec<u8>>,
    /// The second XMP packet of JPEG files, which goes on where a segment was full; the first one names it.
    pub xmp_extension: Option<Vec<u8>>,
    /// IPTC records (IIM).
    pub iptc: Option<Vec<u8>>,
    /// Image resources of Photoshop and others beside IPTC that hold for a larger picture too: clipping paths, copyright flag.
    pub resources: Option<Vec<u8>>,
    /// Texts by keyword: those of PNG files; comments of JPEG files are called [`COMMENT`].
    pub texts: Vec<(String, String)>,
    /// Pixels per inch, across and down.
    pub density: Option<[f64; 2]>,
    /// The gain map of a JPEG file.
    pub gain_map: Option<Box<GainMap>>,
    /// Parameters in ISO's form, of a picture that is a gain map itself.
    pub(crate) iso: Option<Vec<u8>>,
    /// JPEG quality of the file, 1 to 100, by its quantisation table for luma; absent for other formats.
    pub jpeg_quality: Option<u8>,
    /// Samples that were NaN, infinite or beyond any light, and are black or white now.
    pub odd_samples: usize,
    /// What else the file holds that no result will have, in words.
    pub left_out: Vec<Cow<'static, str>>,
}

const EXTENSION_LOST: &str = "the second XMP packet of the JPEG file is left out";

/// Names one after the other, the first few.
fn shortened(names: &[&str]) -> String {
    const MAX: usize = 6;
    let more = if names.len() > MAX { ", …" } else { "" };
    format!("{}{more}", names[..names.len().min(MAX)].join(", "))
}

impl Metadata {
    /// Takes image resources in, as far as nothing else says the same.
    pub(crate) fn take_resources(&mut self, bytes: &[u8]) {
        let Some(resources::Resources { iptc, exif, xmp, others }) = from_image_resources(bytes) else { return };
        self.iptc = self.iptc.take().or(iptc);
        self.exif = self.exif.take().or(exif);
        self.xmp = self.xmp.take().or(xmp);
        if !others.is_empty() {
            self.resources.get_or_insert_default().extend(others);
        }
    }

    /// The camera by its maker and model, as EXIF names them; absent for pictures of none.
    pub fn camera(&self) -> Option<String> {
        const MAKE: u16 = 0x010F;
        const MODEL: u16 = 0x0110;
        let image = Block::parse(self.exif.clone()?)?.directories().image;
        let text = |tag| {
            let entry = image.iter().find(|entry| entry.tag == tag)?;
            let text = String::from_utf8_lossy(&entry.data);
            let text = text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned();
            (!text.is_empty()).then_some(text)
        };
        match (text(MAKE), text(MODEL)?) {
            // Most models begin with the name of the maker.
            (Some(make), model) if !model.to_lowercase().starts_with(&make.to_lowercase()) => {
                Some(format!("{make} {model}"))
            }
            (_, model) => Some(model),
        }
    }

    /// Whether the packet announces depth or motion.
    pub(crate) fn announces_moving(&self) -> bool {
        self.xmp.as_deref().is_some_and(xmp::announces_moving)
    }

    /// Notes pictures that lie in or behind the file and that results do not have: those that are announced.
    pub(crate) fn note_announced(&mut self) {
        const ANNOUNCED: &str =
            "further pictures or videos in the file (HDR gain map, depth, motion photo) are left out";
        // Formats write text, and a packet in another code would be lost on the way.
        self.xmp = self.xmp.take().map(xmp::as_utf8);
        let known = |left_out: &str| left_out.contains("gain map") || left_out.contains("further pictures");
        let announces =
            [&self.xmp, &self.xmp_extension].into_iter().flatten().any(|packet| xmp::announces_others(packet));
        if announces && self.gain_map.is_none() && !self.left_out.iter().any(|text| known(text)) {
            self.left_out.push(ANNOUNCED.into());
        }
        // One that goes on in a packet that is not there.
        if self.xmp_extension.is_none() {
            self.xmp = self.xmp.take().map(|packet| xmp::without_extension(&packet));
        }
    }

    /// The XMP packet for a format that has no place for a second one.
    pub(crate) fn single_xmp(&self) -> Option<Vec<u8>> {
        self.xmp.as_deref().map(xmp::without_extension)
    }

    /// The metadata for a result of `size` pixels that `software` made of a picture of `original` pixels: sizes and coordinates are
    /// corrected, thumbnails of the original and announcements of further pictures dropped, and the software named. Makers' notes stay where they are in the block, because what they
    /// point to counts from its start.
    pub fn for_result(&self, original: [usize; 2], size: [usize; 2], software: &str) -> Self {
        let mut metadata = self.clone();
        let mut block = self.exif.clone().and_then(Block::parse).unwrap_or_else(Block::empty);
        block.drop_thumbnail();
        block.set_size(size);
        block.set_software(software);
        let times = |axis: usize| size[axis] as f64 / original[axis].max(1) as f64;
        block.set_geography([times(0), times(1)]);
        if let Some(density) = self.density {
            block.set_density(density, false);
        }
        if let Some(map) = &mut metadata.gain_map {
            map.times = [times(0), times(1)];
        }
        metadata.exif = Some(block.into_bytes());
        if self.xmp_extension.as_deref().is_some_and(xmp::announces_others) {
            // It is named after all that it holds: what may not stay takes the rest along.
            metadata.xmp_extension = None;
            metadata.left_out.push(EXTENSION_LOST.into());
        }
        metadata.xmp = self.xmp.as_deref().map(|packet| xmp::alone(&xmp::for_result(packet, size)));
        if metadata.xmp_extension.is_none() {
            metadata.xmp = metadata.single_xmp();
        }
        metadata
    }

    /// States a density in pixels per inch in place of what was there.
    pub fn set_density(&mut self, density: [f64; 2]) {
        self.density = Some(density);
        if let Some(mut block) = self.exif.take().and_then(Block::parse) {
            block.set_density(density, true);
            self.exif = Some(block.into_bytes());
        }
        self.xmp = self.xmp.take().map(|packet| xmp::without_density(&packet));
    }

    /// What a file of `format` has no place for, in words: what a result in it will have lost.
    pub fn lost_in(&self, format: Format) -> Vec<Cow<'static, str>> {
        let too_long = |block: &Option<Vec<u8>>| block.as_ref().is_some_and(|block| block.len() > MAX_IN_SEGMENT);
        let mut lost: Vec<Cow<'static, str>> = Vec::new();
        let mut note = |is_lost: bool, what: &'static str| lost.extend(is_lost.then_some(Cow::Borrowed(what)));
        let has_resources = self.resources.is_some();
        let has_map = self.gain_map.is_some() && format != Format::Jpeg;
        note(has_map, "the gain map that brightens the picture on HDR screens is kept in JPEG results alone");
        match format {
            Format::Png => {}
            Format::Tiff => note(self.xmp_extension.is_some(), EXTENSION_LOST),
            Format::Jpeg => {
                let announced = self.gain_map.as_ref().map_or(0, |_| ANNOUNCEMENT);
                let is_long = self.xmp.as_ref().is_some_and(|packet| packet.len() + announced > MAX_IN_SEGMENT);
                note(is_long, "XMP of more than 64 kB does not fit into a JPEG file and is left out");
                note(too_long(&self.iptc), "IPTC of more than 64 kB does not fit into a JPEG file and is left out");
                let resources = to_image_resources(self.iptc.as_deref(), self.resources.as_deref().unwrap_or_default());
                note(
                    has_resources && !too_long(&self.iptc) && resources.len() > MAX_IN_SEGMENT,
                    "image resources (clipping paths, copyright flag) do not fit into a JPEG file and are left out",
                );
                // As it will be: without the thumbnail, and with the name of the software.
                let fitted = self.exif.clone().and_then(Block::parse).map(|mut block| {
                    block.drop_thumbnail();
                    block.set_software(&"x".repeat(SOFTWARE));
                    block.set_density(self.density.unwrap_or([1.0; 2]), false);
                    block.fitted(MAX_EXIF)
                });
                let what = fitted.map(|(_, lost)| lost.join(" and ")).unwrap_or_default();
                if !what.is_empty() {
                    let told = format!("EXIF of more than 64 kB does not fit into a JPEG file; left out: {what}");
                    lost.push(told.into());
                }
            }
            Format::WebP => {
                note(self.iptc.is_some(), "WebP has no place for IPTC, which is left out");
                note(has_resources, "WebP has no place for image resources (clipping paths, copyright flag), left out");
                note(self.xmp_extension.is_some(), EXTENSION_LOST);
            }
            Format::Jxl => {
                note(self.iptc.is_some(), "JPEG XL files are written without IPTC");
                note(
                    has_resources,
                    "image resources (clipping paths, copyright flag) are not written to JPEG XL files",
                );
                note(self.xmp_extension.is_some(), EXTENSION_LOST);
                note(self.icc.is_some(), "JPEG XL files are written in sRGB: colours beyond it are cut off");
            }
            Format::Avif => {
                note(self.xmp.is_some() || self.iptc.is_some(), "XMP and IPTC are not written to AVIF files");
                note(has_resources, "image resources (clipping paths, copyright flag) are not written to AVIF files");
            }
            Format::Bmp => {
                let any = self.exif.is_some() || self.xmp.is_some() || self.iptc.is_some() || has_resources;
                note(any, "BMP has no place for metadata, which is left out");
            }
        }
        let is_long = |(name, text): &(String, String)| name == COMMENT && text.len() > MAX_IN_SEGMENT;
        if format == Format::Jpeg && self.texts.iter().any(is_long) {
            lost.push("comments of more than 64 kB are cut short in a JPEG file".into());
        }
        let kept = |keyword: &str| match format {
            Format::Png => true,
            Format::Jpeg => keyword == COMMENT,
            Format::WebP | Format::Tiff | Format::Avif | Format::Jxl | Format::Bmp => false,
        };
        let texts: Vec<&str> =
            self.texts.iter().map(|(keyword, _)| keyword.as_str()).filter(|name| !kept(name)).collect();
        if !texts.is_empty() {
            lost.push(format!("{} has no place for texts, left out: {}", format.name(), shortened(&texts)).into());
        }
        lost
    }

    /// Drops all that tells of the picture's making. The colour profile stays: without it the colours would be others; and so does
    /// a gain map, which is part of the picture.
    pub fn strip(&mut self) {
        *self = Self { icc: self.icc.take(), gain_map: self.gain_map.take(), ..Self::default() };
    }

    /// Resets the orientation wherever it is stated and returns the one in the EXIF block.
    pub(crate) fn take_orientation(&mut self) -> Option<Orientation> {
        let mut stated = None;
        if let Some(block) = &self.exif {
            // A damaged block must not cost the user the picture: it is left out.
            let block = Block::parse(block.clone());
            self.exif = block.map(|mut block| {
                stated = block.take_orientation();
                block.into_bytes()
            });
        }
        self.xmp = self.xmp.take().map(|packet| xmp::upright(&packet));
        stated.and_then(Orientation::from_exif)
    }

    /// The density of the EXIF block where the container has none.
    pub(crate) fn complete_density(&mut self) {
        if self.density.is_none() {
            self.density = self.exif.clone().and_then(Block::parse).and_then(|block| block.density());
        }
    }
}
