//! Which of the built-in models fits a picture, and why: one rule for the command line and the window.

use dualres_imaging::Condition;
use dualres_network::Description;
use serde::{Deserialize, Serialize};

use crate::language::{tr, translated};

/// The name that stands for a choice by the picture.
pub const AUTOMATIC: &str = "auto";

/// What tells two models between which the picture decides from any others, by what tells each of them.
pub fn automatic(clean: &str, photo: &str) -> String {
    format!("{clean}|{photo}")
}

/// What the built-in models are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Clean pictures: scans, graphics, photos without visible noise.
    Clean,
    /// Photos with noise or JPEG artefacts, which a model for clean pictures would enlarge.
    Photo,
}

impl Kind {
    /// Both, in the order in which they are offered.
    pub const ALL: [Self; 2] = [Self::Photo, Self::Clean];

    /// As it is called.
    pub fn name(self) -> String {
        match self {
            Self::Clean => tr!("Clean"),
            Self::Photo => tr!("Photo"),
        }
    }

    /// The kind of a built-in model.
    pub fn of_model(name: &str) -> Self {
        if name.starts_with("photo-") { Self::Photo } else { Self::Clean }
    }
}

/// Whether a model learned from clean pictures, so that what is known of its errors holds for such pictures alone.
fn is_for_clean_pictures(model: &Description) -> bool {
    matches!(model.training.get("degradation"), None | Some(serde_json::Value::Null))
        && Kind::of_model(&model.name) == Kind::Clean
}

/// What comes of a model on pictures that it is not for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Misfit {
    /// A clean model enlarged noise or JPEG artefacts with the rest.
    NoiseKept,
    /// A photo model took fine detail for noise where there was little of it.
    DetailSmoothed,
}

impl Misfit {
    /// That of a model on a picture that `kind` of models fits, if any.
    pub fn of(model: &Description, kind: Kind) -> Option<Self> {
        match (kind, Kind::of_model(&model.name)) {
            (Kind::Photo, _) if is_for_clean_pictures(model) => Some(Self::NoiseKept),
            (Kind::Clean, Kind::Photo) => Some(Self::DetailSmoothed),
            _ => None,
        }
    }
}

/// Why what is known of a model's errors says nothing of a picture, whose fitting kind of model is given with its reason: the picture
/// is unlike those that the model was calibrated on.
pub fn beyond_calibration(model: &Description, (kind, why): (Kind, &str)) -> Option<String> {
    let is_beyond = model.error_calibration.is_some() && is_for_clean_pictures(model) && kind == Kind::Photo;
    is_beyond.then(|| {
        tr!(
            "no prediction: this model was calibrated on clean pictures, and this one has %{why}",
            why = translated(why)
        )
    })
}

/// Noise in levels of 255 from which the photo models give higher PSNR than the clean ones on most pictures.
const NOISY: f32 = 3.0;
/// JPEG quality up to which they do.
const COMPRESSED: u8 = 87;
/// The same for pictures that were JPEG once and are stored in another format.
const BLOCKY: f32 = 1.14;
/// Above this, nothing happens within the blocks: somebody drew on a grid.
const DRAWN: f32 = 3.0;

/// The kind of model that fits a picture, and why, in English words that follow "for": the window translates them where it shows
/// them, for its language may change.
pub fn choose(condition: &Condition) -> (Kind, String) {
    let Condition { noise, blocking, jpeg_quality } = *condition;
    match jpeg_quality {
        Some(quality) if quality <= COMPRESSED => (Kind::Photo, format!("JPEG compression (quality {quality})")),
        _ if noise >= NOISY => (Kind::Photo, format!("noise ({noise:.0} of 255 levels)")),
        _ if (BLOCKY..DRAWN).contains(&blocking) => (Kind::Photo, "visible JPEG blocks".to_owned()),
        _ => (Kind::Clean, "little noise and compression".to_owned()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_imaging::{EncodeOptions, Format, Picture, Subsampling, decode, encode};

    use super::*;

    fn sample(name: &str) -> Picture {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples");
        dualres_imaging::read(&folder.join(name)).unwrap()
    }

    fn kind(picture: &Picture) -> Kind {
        choose(&Condition::of(picture)).0
    }

    /// Adds noise of `sigma` levels, the same to all channels.
    fn noisy(picture: &Picture, sigma: f32) -> Picture {
        let mut state = 7_u64;
        let mut noisy = picture.clone();
        for i in 0..picture.planes[0].data.len() {
            let mut sum = -6.0;
            for _ in 0..12 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                sum += (state >> 40) as f32 / (1 << 24) as f32;
            }
            noisy.planes.iter_mut().for_each(|plane| plane.data[i] += sigma * sum);
        }
        noisy.planes.iter_mut().for_each(dualres_imaging::Plane::quantize);
        noisy
    }

    /// Adds noise of `sigma` levels, another one to each channel.
    fn grainy(picture: &Picture, sigma: f32) -> Picture {
        let mut grainy = picture.clone();
        for (channel, plane) in grainy.planes.iter_mut().enumerate() {
            let mut state = 11 + channel as u64;
            for sample in &mut plane.data {
                let mut sum = -6.0;
                for _ in 0..12 {
                    state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    sum += (state >> 40) as f32 / (1 << 24) as f32;
                }
                *sample += sigma * sum;
            }
            plane.quantize();
        }
        grainy
    }

    /// The built-in samples are clean; with noise or compressed hard they are not, in a JPEG file and stored as PNG after it.
    #[test]
    fn samples_are_clean_and_what_cameras_do_to_them_is_seen() {
        for name in ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"] {
            let clean = sample(name);
            assert_eq!(kind(&clean), Kind::Clean, "{name}");
            assert_eq!(kind(&noisy(&clean, 1.0)), Kind::Clean, "{name}, a little noise");
            assert_eq!(kind(&noisy(&clean, 6.0)), Kind::Photo, "{name}, noise");
            // Of each channel its own, which is less on luma.
            assert_eq!(kind(&grainy(&clean, 5.7)), Kind::Photo, "{name}, coloured noise");
            assert_eq!(kind(&grainy(&clean, 1.0)), Kind::Clean, "{name}, a little coloured noise");
            for (quality, expected) in [(95, Kind::Clean), (75, Kind::Photo), (50, Kind::Photo)] {
                let options = EncodeOptions { quality, subsampling: Subsampling::Half, ..EncodeOptions::default() };
                let file = encode(&clean, Format::Jpeg, options).unwrap();
                let mut compressed = decode(&file, "test").unwrap();
                assert_eq!(kind(&compressed), expected, "{name}, JPEG {quality}");
                compressed.metadata.jpeg_quality = None;
                if quality == 50 {
                    assert_eq!(kind(&compressed), Kind::Photo, "{name}, JPEG {quality} stored as PNG");
                }
            }
        }
    }

    /// What is drawn on a grid of JPEG's pitch, or twice of it, has never been JPEG.
    #[test]
    fn pixel_art_and_grids_are_clean() {
        let drawn = |level: &dyn Fn(usize, usize) -> bool| {
            let samples = (0..128 * 128).map(|i| if level(i % 128, i / 128) { 220.0 } else { 40.0 }).collect();
            Picture::from_planes(vec![dualres_imaging::Plane::new(128, 128, samples)])
        };
        assert_eq!(kind(&drawn(&|x, y| (x / 8 + y / 8) % 2 == 0)), Kind::Clean, "squares");
        assert_eq!(kind(&drawn(&|x, y| x % 16 == 0 || y % 16 == 0)), Kind::Clean, "a coarse grid");
    }

    #[test]
    fn errors_are_predicted_for_pictures_like_those_of_the_calibration_alone() {
        let library = crate::library::Library::new("nowhere".into());
        let [clean, photo] = ["x2", "photo-x2"].map(|name| library.load(name).unwrap().description);
        let grainy = choose(&Condition { noise: 9.0, ..Condition::default() });
        let plain = choose(&Condition::default());
        let beyond = |model: &Description, (kind, why): &(Kind, String)| beyond_calibration(model, (*kind, why));
        assert!(beyond(&clean, &grainy).is_some_and(|why| why.contains("noise")));
        assert_eq!(beyond(&clean, &plain), None);
        assert_eq!((beyond(&photo, &grainy), beyond(&photo, &plain)), (None, None));
        let unknown = Description { error_calibration: None, ..clean };
        assert_eq!(beyond(&unknown, &grainy), None, "nothing would be predicted anyway");
    }

    #[test]
    fn every_kind_has_its_models() {
        assert_eq!(Kind::of_model("photo-x2"), Kind::Photo);
        assert_eq!(crate::built_in::of(Kind::Photo, 2), Some("photo-x2"));
        assert_eq!(crate::built_in::fitting(Kind::Photo, 3, "x3"), "x3", "there is no photo model for 3x");
        assert_eq!(crate::built_in::fitting(Kind::Clean, 4, ""), "x4");
    }
}
