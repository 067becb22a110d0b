//! Pictures on disk and in memory, and the measures that compare them.
//!
//! Everything a super-resolution program needs to know about pictures, and nothing about networks: decode and
//! encode with depth, alpha and metadata kept ([`read`], [`write`]), the resampling that the field trains and
//! measures with ([`resize`]), and the two published quality rules ([`psnr`], [`ssim`]).
//!
//! Samples are `f32` in `[0, 255]` whatever the depth of the file, the range of the published networks; a 16-bit
//! file keeps its precision as fractions.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod caught;
mod colour;
mod condition;
mod cover;
mod decode;
mod encode;
mod error;
mod estimate;
pub mod file;
pub mod filter;
mod folders;
mod foreign;
mod format;
mod formats;
mod gain_map;
mod highlights;
mod kind;
pub mod lock;
mod metadata;
mod picture;
pub mod psnr;
pub mod resize;
pub mod ssim;

pub use caught::{caught, is_caught};
pub use condition::Condition;
pub use cover::cover_transparent;
pub use decode::{decode, dimensions, format_of_file, read, upright_dimensions};
pub use encode::{encode, write};
pub use error::{ImagingError, Result};
pub use estimate::estimated_bytes;
pub use folders::{
    Found, SUPPORTED_EXTENSIONS, find_pictures, find_pictures_below, is_hidden_folder, natural_order,
    offered_extensions,
};
pub use format::{Depth, EncodeOptions, Format, Subsampling};
pub use gain_map::GainMap;
pub use highlights::Highlights;
pub use metadata::{COMMENT, Metadata};
pub use picture::{MAX_PIXELS, Picture, Plane};
