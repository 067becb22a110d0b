//! What a file says about its picture beside the pixels.

use image::metadata::Orientation;

/// Colour profile and EXIF of a picture, as raw blocks.
///
/// Orientation is not here: it is applied to the pixels when a file is read and the EXIF entry reset, so that no
/// later program turns the picture a second time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// The ICC profile.
    pub icc: Option<Vec<u8>>,
    /// The EXIF block, from its TIFF header on.
    pub exif: Option<Vec<u8>>,
}

impl Metadata {
    /// Takes the blocks from a decoder, resets the orientation in the EXIF block and returns what it was.
    pub(crate) fn from_decoder(decoder: &mut impl image::ImageDecoder) -> (Self, Orientation) {
        // A damaged metadata block must not cost the user the picture: it is left out.
        let icc = decoder.icc_profile().ok().flatten();
        let mut exif = decoder.exif_metadata().ok().flatten();
        let stated = decoder.orientation().unwrap_or(Orientation::NoTransforms);
        let in_exif = exif.as_mut().and_then(|chunk| Orientation::remove_from_exif_chunk(chunk));
        (Self { icc, exif }, in_exif.unwrap_or(stated))
    }
}
