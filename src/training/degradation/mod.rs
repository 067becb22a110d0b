//! What happens to a picture before a network sees it, on the way from the scene to the file.
//!
//! A network that has only seen clean pictures takes the traces of cameras for detail and enlarges them. Trained on inputs that
//! went through here, with the clean pictures as targets, it leaves them behind.

mod known;
mod photo;
mod reduction;

use std::{fmt, str::FromStr};

use dualres_imaging::Picture;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

pub use known::Known;
pub use reduction::Reduction;

use crate::{Result, TrainingError};

/// How the network's input comes from the high-resolution picture. Written and read as text: `photo`, or a [`Known`] one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Degradation {
    /// After bicubic reduction blur, noise and JPEG, each of random strength; one picture in eight stays clean.
    ///
    /// In gray levels and pixels of the input: Gaussian blur of standard deviation 0 to 0.8; noise of 0 to 8, in half of the
    /// pictures the same in all channels, growing with the square root of brightness; JPEG in five of six pictures, quality
    /// 40 to 95, with colours at full or half resolution.
    Photo,
    /// The same for all pictures, but for the noise itself.
    Known(Known),
}

/// Pixels around a patch that what is done to it may look at.
pub(crate) const MARGIN: usize = 12;

impl Degradation {
    /// How the input's size is reached.
    pub fn reduction(self) -> Reduction {
        match self {
            Self::Photo => Reduction::Bicubic,
            Self::Known(known) => known.reduction,
        }
    }

    /// How it is called in rules.
    pub fn name(self) -> String {
        match self {
            Self::Photo => "MATLAB bicubic, then photo: blur, noise and JPEG of random strength".into(),
            Self::Known(known) => known.name(),
        }
    }

    /// The reduced picture as a camera might have given it, on 8 bits; the same for the same seed and stream.
    ///
    /// # Errors
    /// If the JPEG encoder fails.
    pub fn degrade(self, reduced: &Picture, seed: u64, stream: u64) -> Result<Picture> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(stream);
        self.degrade_by(reduced, &mut random)
    }

    pub(crate) fn degrade_by(self, reduced: &Picture, random: &mut ChaCha8Rng) -> Result<Picture> {
        match self {
            Self::Photo => photo::degrade(reduced, random),
            Self::Known(known) => known.degrade(reduced, random),
        }
    }

    /// Whether anything is done after the reduction.
    pub(crate) fn goes_on(self) -> bool {
        match self {
            Self::Photo => true,
            Self::Known(known) => known.noise > 0.0 || known.jpeg.is_some(),
        }
    }
}

impl fmt::Display for Degradation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Photo => f.write_str("photo"),
            Self::Known(known) => known.fmt(f),
        }
    }
}

impl FromStr for Degradation {
    type Err = TrainingError;

    fn from_str(text: &str) -> Result<Self> {
        if text == "photo" { Ok(Self::Photo) } else { text.parse().map(Self::Known) }
    }
}

impl From<Degradation> for String {
    fn from(degradation: Degradation) -> Self {
        degradation.to_string()
    }
}

impl TryFrom<String> for Degradation {
    type Error = TrainingError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again_and_nonsense_is_refused() {
        for text in ["photo", "nearest", "blur=1.6", "blur=2.4x1@45,noise=10,jpeg=60", "bicubic,noise=2.5", "bicubic"] {
            let read: Degradation = text.parse().unwrap();
            assert_eq!(read.to_string(), text);
            let json = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str::<Degradation>(&json).unwrap(), read);
        }
        // Without a reduction it is the usual one.
        assert_eq!("jpeg=60".parse::<Degradation>().unwrap().to_string(), "bicubic,jpeg=60");
        for text in [
            "",
            "blurr=2",
            "blur=",
            "blur=0",
            "blur=-1",
            "blur=NaN",
            "blur=99",
            "noise=-1",
            "noise=1e9",
            "jpeg=0",
            "jpeg=101",
            "jpeg=sixty",
            "blur=2,nearest",
            "noise=1,noise=2",
            "blur=2x",
            "blur=2x1@",
            "photo,noise=1",
        ] {
            assert!(text.parse::<Degradation>().is_err(), "{text}");
        }
    }
}
