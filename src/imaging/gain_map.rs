//! Gain maps: pictures behind a picture that say how much brighter it is on HDR screens (ISO 21496-1, and Adobe's and Google's form of
//! it in XMP).

/// A gain map as it lies in a JPEG file, and what becomes of it when it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct GainMap {
    /// The map as a JPEG of its own, with its parameters.
    pub jpeg: Vec<u8>,
    /// How it is to be turned to be upright as its picture: columns and rows exchanged, then left and right, then top and bottom.
    pub(crate) turned: [bool; 3],
    /// How many times as wide and high it is written.
    pub(crate) times: [f64; 2],
    /// What ISO's segment of the main picture holds: the version of the form.
    pub(crate) version: Option<Vec<u8>>,
}
