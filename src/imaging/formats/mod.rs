//! One file a format: what its container says about the picture, and how it is written.

pub(crate) mod animation;
pub(crate) mod avif;
pub(crate) mod bmp;
#[cfg(feature = "heic")]
pub(crate) mod heic;
pub(crate) mod jpeg;
pub(crate) mod jxl;
pub(crate) mod png;
pub(crate) mod raw;
pub(crate) mod samples;
pub(crate) mod scene;
pub(crate) mod tiff;
pub(crate) mod webp;
