//! What a file says about its picture beside the pixels, and how that changes when the picture grows.

mod exif;
mod iptc;
mod xmp;

use std::borrow::Cow;

use image::metadata::Orientation;

use crate::Format;

pub(crate) use exif::{Block, Directories, Entry, MOST_METADATA, reverse};
pub(crate) use iptc::{from_image_resources, to_image_resources};

/// Bytes of a block, its name aside, that a segment of a JPEG file holds.
const MOST_IN_SEGMENT: usize = 65_500;

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
    /// IPTC records (IIM).
    pub iptc: Option<Vec<u8>>,
    /// Pixels per inch, across and down.
    pub density: Option<[f64; 2]>,
    /// JPEG quality of the file, 1 to 100, by its quantisation table for luma; absent for other formats.
    pub jpeg_quality: Option<u8>,
    /// Samples that were NaN, infinite or beyond any light, and are black or white now.
    pub odd_samples: usize,
    /// What else the file holds that no result will have, in words.
    pub left_out: Vec<Cow<'static, str>>,
    /// Whether the file holds notes (author, copyright) in a form of its own that results have no place for.
    pub has_notes: bool,
}

impl Metadata {
    /// The metadata for a result of `size` pixels that `software` made of the picture: sizes are corrected, thumbnails of
    /// the original dropped, and the software named. Makers' notes stay where they are in the block, because what they
    /// point to counts from its start.
    pub fn for_result(&self, size: [usize; 2], software: &str) -> Self {
        let mut metadata = self.clone();
        let mut block = self.exif.clone().and_then(Block::parse).unwrap_or_else(Block::empty);
        block.drop_thumbnail();
        block.set_size(size);
        block.set_software(software);
        if let Some(density) = self.density {
            block.set_density(density, false);
        }
        metadata.exif = Some(block.into_bytes());
        metadata.xmp = self.xmp.as_deref().map(|packet| xmp::for_result(packet, size));
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
    pub fn lost_in(&self, format: Format) -> Vec<&'static str> {
        let too_long = |block: &Option<Vec<u8>>| block.as_ref().is_some_and(|block| block.len() > MOST_IN_SEGMENT);
        let mut lost = Vec::new();
        let mut note = |is_lost: bool, what| lost.extend(is_lost.then_some(what));
        note(self.has_notes, "notes of the PNG file in chunks of their own (author, copyright) are left out");
        match format {
            Format::Png | Format::Tiff => {}
            Format::Jpeg => {
                note(too_long(&self.xmp), "XMP of more than 64 kB does not fit into a JPEG file and is left out");
                note(
                    too_long(&self.exif),
                    "EXIF of more than 64 kB does not fit into a JPEG file: makers' notes are left out",
                );
                note(too_long(&self.iptc), "IPTC of more than 64 kB does not fit into a JPEG file and is left out");
            }
            Format::WebP => note(self.iptc.is_some(), "WebP has no place for IPTC, which is left out"),
            Format::Avif => {
                note(self.xmp.is_some() || self.iptc.is_some(), "XMP and IPTC are not written to AVIF files");
            }
            Format::Bmp => {
                let any = self.exif.is_some() || self.xmp.is_some() || self.iptc.is_some();
                note(any, "BMP has no place for metadata, which is left out");
            }
        }
        lost
    }

    /// Drops all that tells of the picture's making. The colour profile stays: without it the colours would be others.
    pub fn strip(&mut self) {
        *self = Self { icc: self.icc.take(), ..Self::default() };
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
