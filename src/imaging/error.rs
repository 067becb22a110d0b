//! What can go wrong with a picture, told so that its owner knows what to do.

use std::path::PathBuf;

/// Result of the imaging room.
pub type Result<T> = std::result::Result<T, ImagingError>;

impl ImagingError {
    /// Whether the file itself is at fault, so that reading it fails again for as long as it is the same.
    pub fn is_of_the_file(&self) -> bool {
        matches!(
            self,
            Self::UnknownFormat { .. }
                | Self::Foreign { .. }
                | Self::Decode { .. }
                | Self::Truncated { .. }
                | Self::TooLarge { .. }
        )
    }
}

/// A picture that could not be read, written or compared.
#[derive(Debug, thiserror::Error)]
pub enum ImagingError {
    /// The file could not be opened or read.
    #[error("cannot read ({source}): {}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The content is no picture of a known format.
    #[error(
        "unsupported file (supported: PNG, JPEG, WebP, TIFF, AVIF, JPEG XL, BMP, GIF, QOI, PNM, PFM, OpenEXR, Radiance HDR, TGA, HEIC, and camera raw files with a preview): {name}"
    )]
    UnknownFormat {
        /// File name or description of the source.
        name: String,
    },
    /// The content is of a kind that is known and not read.
    #[error("{advice}: {name}")]
    Foreign {
        /// File name or description of the source.
        name: String,
        /// What it is and what to do.
        advice: &'static str,
    },
    /// The content is damaged or uses a variant that the decoder does not know.
    #[error("damaged or unsupported image ({reason}): {name}")]
    Decode {
        /// File name or description of the source.
        name: String,
        /// What the decoder said.
        reason: String,
    },
    /// The file ends before the picture does.
    #[error("the file is truncated; copy it again, or re-save it with an image editor: {name}")]
    Truncated {
        /// File name or description of the source.
        name: String,
    },
    /// The picture claims more pixels than the program accepts.
    #[error("the image is too large ({width}x{height}; at most {max_megapixels} megapixels): {name}")]
    TooLarge {
        /// File name or description of the source.
        name: String,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit in megapixels.
        max_megapixels: u64,
    },
    /// The output name has no extension, or one that no encoder is for.
    #[error("unknown output format; use .png, .jpg, .webp, .tif, .avif, .jxl or .bmp: {}", path.display())]
    UnknownOutputFormat {
        /// The file.
        path: PathBuf,
    },
    /// The format cannot hold the picture.
    #[error(
        "{format} supports at most {max_side} pixels per side, and the image has {width}x{height}; use PNG or TIFF"
    )]
    FormatLimit {
        /// Name of the format.
        format: &'static str,
        /// Longest side the format can hold, in pixels.
        max_side: usize,
        /// Width in pixels.
        width: usize,
        /// Height in pixels.
        height: usize,
    },
    /// The encoder failed.
    #[error("cannot encode the image as {format} ({reason})")]
    Encode {
        /// Name of the format.
        format: &'static str,
        /// What the encoder said.
        reason: String,
    },
    /// The file could not be written; whatever stood there before is untouched.
    #[error("cannot write the file ({source}): {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Two pictures that must have one size have not.
    #[error("images to compare differ in size: {}x{} and {}x{}", left.0, left.1, right.0, right.1)]
    SizeMismatch {
        /// Width and height of the first.
        left: (usize, usize),
        /// Width and height of the second.
        right: (usize, usize),
    },
    /// A picture is too small for the measure.
    #[error("the image is too small to measure: {width}x{height} after removing {shave} pixels per side")]
    TooSmall {
        /// Width in pixels before shaving.
        width: usize,
        /// Height in pixels before shaving.
        height: usize,
        /// Pixels taken off each side.
        shave: usize,
    },
}
