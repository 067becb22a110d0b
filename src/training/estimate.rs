//! What a camera does to pictures, estimated from the pictures alone.
//!
//! Natural scenes have much the same spectrum, but for their contrast. What is blurred on the way to the file lacks fine
//! structure, what is decimated without blur has too much of it. So known pictures are reduced in each of many ways, and the way
//! whose spectrum is most like that of the unknown ones is taken for theirs. Noise and JPEG quality are read off the pictures
//! first, because they change the spectrum as well.

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use dualres_imaging::{Condition, EncodeOptions, Format, Picture, Plane, Subsampling, decode, encode};
use rustfft::{FftPlanner, num_complex::Complex};

use crate::{
    Known, Reduction, Result, TrainingError,
    dataset::{listed, pictures_of, pyramid},
    pictures::{Unusable, ground_truth},
};

/// Side of the windows whose spectra are taken.
const WINDOW: usize = 32;
/// Frequencies in a spectrum: rings of one step from 1.5 steps on.
const RINGS: usize = WINDOW / 2 - 1;
/// Rings that contrast is measured in; reductions hardly touch them.
const LOW: usize = 5;
/// First ring that is compared.
const FIRST: usize = 3;
/// Most pictures that are looked at, and the side of their middle.
const MAX_PICTURES: usize = 24;
const MAX_SIDE: usize = 768;
/// Standard deviations of blurs that are tried, in pixels of the input.
const BLURS: [f32; 15] = [0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8, 0.9, 1.0, 1.2];
/// [`Condition`] looks at the quietest blocks, whose noise is weaker than the mean: measured on photographs with noise of 2 to 16.
const QUIETEST: f32 = 4.0 / 3.0;
/// Noise in gray levels below which there is none, and JPEG quality above which nothing is lost.
const MIN_NOISE: f32 = 1.0;
const GOOD_QUALITY: u8 = 95;
/// Bicubic reduction is left only for what fits better by so much.
const MARGIN: f64 = 0.01;

/// How pictures came about, as far as their spectrum tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The degradation that fits best.
    pub known: Known,
    /// Mean absolute difference of the logarithms of the spectra that is left: about 0.1 for photographs, more where
    /// pictures are unlike the known ones.
    pub misfit: f64,
    /// The same for bicubic reduction.
    pub misfit_bicubic: f64,
}

/// What can be seen of pictures without knowing how they came about.
#[derive(Clone, Debug)]
pub struct Survey {
    /// Cameras by name, each once.
    pub cameras: Vec<String>,
    /// Pictures that were looked at.
    pub pictures: usize,
    /// Standard deviation of noise in one channel, in gray levels.
    noise: f32,
    jpeg: Option<u8>,
    spectra: Vec<[f64; RINGS]>,
}

impl Survey {
    /// Looks at `pictures`, folders or single files, at a few of many. Those that cannot be read are passed over. `observe` is asked
    /// before each picture whether to stop.
    ///
    /// # Errors
    /// If there is no picture that is large enough, or `observe` says stop.
    pub fn of(pictures: &[PathBuf], observe: &mut dyn FnMut() -> ControlFlow<()>) -> Result<Self> {
        let (mut noises, mut qualities) = (Vec::new(), Vec::new());
        let (mut spectra, mut cameras) = (Vec::new(), Vec::new());
        let mut unusable = None;
        for path in spread(&pictures_of(pictures)?) {
            let picture = match read(path, MAX_SIDE, observe)? {
                Ok(picture) => picture,
                Err(picture) => {
                    unusable.get_or_insert(picture);
                    continue;
                }
            };
            let Some(rings) = spectrum(picture.rgb()[1]) else { continue };
            spectra.push(rings);
            // Of one channel: noise of its own in each is less in their sum.
            noises.push(Condition::of(&Picture::from_planes(vec![picture.rgb()[1].clone()])).noise);
            qualities.push(picture.metadata.jpeg_quality);
            cameras.extend(picture.metadata.camera());
        }
        cameras.sort();
        cameras.dedup();
        if spectra.is_empty() {
            return Err(match unusable {
                Some(Unusable { path, reason, .. }) => TrainingError::Picture { path, reason },
                None => TrainingError::NoPictures { side: WINDOW, folders: listed(pictures) },
            });
        }
        let noise = QUIETEST * median(&mut noises);
        let noise = if noise < MIN_NOISE { 0.0 } else { (noise * 2.0).round() / 2.0 };
        qualities.sort_unstable();
        let jpeg = qualities[qualities.len() / 2].filter(|&quality| quality < GOOD_QUALITY);
        Ok(Self { cameras, pictures: spectra.len(), noise, jpeg, spectra })
    }

    /// Estimates how the pictures came about, each a `scale`-th of the size of what is to be made of it, by comparing them with
    /// `known` high-resolution ones, folders or single files. `observe` is asked before each picture whether to stop.
    ///
    /// # Errors
    /// If there is no known picture that is large enough, or `observe` says stop.
    pub fn estimate(
        &self,
        known: &[PathBuf],
        scale: usize,
        observe: &mut dyn FnMut() -> ControlFlow<()>,
    ) -> Result<Estimate> {
        let Self { noise, jpeg, .. } = *self;
        let blurs = BLURS.map(|sigma| Reduction::blur((sigma * scale as f32 * 20.0).round() / 20.0));
        let candidates: Vec<Reduction> = [Reduction::Bicubic, Reduction::Nearest].into_iter().chain(blurs).collect();
        let mut spectra = vec![Vec::new(); candidates.len()];
        for path in spread(&pictures_of(known)?) {
            let Ok(picture) = read(path, MAX_SIDE * scale.min(2), observe)? else { continue };
            let colour = Picture::from_planes(picture.rgb().into_iter().cloned().collect());
            for (reduction, spectra) in candidates.iter().zip(&mut spectra) {
                let mut reduced = pyramid(&colour, &[1, scale], *reduction).swap_remove(0);
                if let Some(quality) = jpeg {
                    let options = EncodeOptions { quality, subsampling: Subsampling::Full, ..EncodeOptions::default() };
                    reduced = decode(&encode(&reduced, Format::Jpeg, options)?, "known picture")?;
                }
                spectra.extend(spectrum(reduced.rgb()[1]));
            }
        }
        if spectra[0].is_empty() {
            return Err(TrainingError::NoPictures { side: WINDOW * scale, folders: listed(known) });
        }
        let misfits: Vec<f64> = spectra.iter().map(|spectra| misfit(&self.spectra, spectra, noise)).collect();
        let best = (0..candidates.len()).min_by(|&a, &b| misfits[a].total_cmp(&misfits[b])).unwrap_or(0);
        let best = if misfits[0] <= misfits[best] + MARGIN { 0 } else { best };
        let known = Known { reduction: candidates[best], noise, jpeg };
        Ok(Estimate { known, misfit: misfits[best], misfit_bicubic: misfits[0] })
    }
}

/// The middle of a picture, or why it cannot be read.
fn read(
    path: &Path,
    side: usize,
    observe: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<std::result::Result<Picture, Unusable>> {
    if observe().is_break() {
        return Err(TrainingError::Cancelled);
    }
    Ok(Unusable::of(path, || ground_truth(path)).map(|picture| middle(&picture, side)))
}

/// Not more pictures than are needed, over all of them.
fn spread(paths: &[PathBuf]) -> impl Iterator<Item = &PathBuf> {
    paths.iter().step_by(paths.len().div_ceil(MAX_PICTURES).max(1))
}

fn middle(picture: &Picture, side: usize) -> Picture {
    let (width, height) = (picture.width().min(side), picture.height().min(side));
    let mut middle = picture.crop((picture.width() - width) / 2, (picture.height() - height) / 2, width, height);
    middle.metadata.clone_from(&picture.metadata);
    middle
}

fn median(values: &mut [f32]) -> f32 {
    values.sort_unstable_by(f32::total_cmp);
    values[values.len() / 2]
}

/// Mean power by frequency over Hann windows that overlap by half, in squared gray levels of white noise of the same power; `None`
/// of a picture smaller than a window, or without structure.
fn spectrum(plane: &Plane) -> Option<[f64; RINGS]> {
    const HALF: usize = WINDOW / 2;
    if plane.width < WINDOW || plane.height < WINDOW {
        return None;
    }
    let hann: Vec<f32> =
        (1..=WINDOW).map(|i| 0.5 - 0.5 * (std::f32::consts::TAU * i as f32 / (WINDOW + 1) as f32).cos()).collect();
    let white: f32 = hann.iter().map(|weight| weight * weight).sum::<f32>().powi(2);
    let transform = FftPlanner::new().plan_fft_forward(WINDOW);
    let mut power = vec![0.0_f64; WINDOW * WINDOW];
    let mut windows = 0;
    let mut values = vec![Complex::new(0.0_f32, 0.0); WINDOW * WINDOW];
    for top in (0..=plane.height - WINDOW).step_by(HALF) {
        for left in (0..=plane.width - WINDOW).step_by(HALF) {
            let rows = || (top..top + WINDOW).map(|y| &plane.row(y)[left..left + WINDOW]);
            let mean = rows().flatten().sum::<f32>() / (WINDOW * WINDOW) as f32;
            for ((values, row), across) in values.chunks_exact_mut(WINDOW).zip(rows()).zip(&hann) {
                for ((value, sample), weight) in values.iter_mut().zip(row).zip(&hann) {
                    *value = Complex::new((sample - mean) * weight * across, 0.0);
                }
            }
            // Rows, then columns: the rings do not mind that the result lies on its side.
            transform.process(&mut values);
            let mut turned: Vec<_> = (0..WINDOW * WINDOW).map(|i| values[i % WINDOW * WINDOW + i / WINDOW]).collect();
            transform.process(&mut turned);
            power.iter_mut().zip(&turned).for_each(|(power, value)| *power += f64::from(value.norm_sqr() / white));
            windows += 1;
        }
    }
    let mut rings = [(0.0, 0_usize); RINGS];
    for (i, power) in power.iter().enumerate() {
        let [x, y] = [i % WINDOW, i / WINDOW].map(|at| at.min(WINDOW - at) as f64);
        let ring = x.hypot(y) - 1.5;
        if ring >= 0.0 && (ring as usize) < RINGS {
            rings[ring as usize].0 += power / f64::from(windows);
            rings[ring as usize].1 += 1;
        }
    }
    let rings = rings.map(|(sum, count)| sum / count as f64);
    (contrast(&rings) > 0.0).then_some(rings)
}

fn contrast(rings: &[f64; RINGS]) -> f64 {
    rings[..LOW].iter().sum::<f64>() / LOW as f64
}

/// Mean spectrum of pictures made equal in contrast, and the mean power of noise as it is then.
fn normalised(spectra: &[[f64; RINGS]], noise: f64) -> ([f64; RINGS], f64) {
    let mut mean = [0.0; RINGS];
    let mut floor = 0.0;
    for rings in spectra {
        // A picture of noise alone has no contrast of its own.
        let own = (contrast(rings) - noise).max(0.1 * contrast(rings));
        mean.iter_mut().zip(rings).for_each(|(mean, power)| *mean += power / own / spectra.len() as f64);
        floor += noise / own / spectra.len() as f64;
    }
    (mean, floor)
}

/// Mean absolute difference of the logarithms of what is seen and what a reduction and the noise would give.
fn misfit(seen: &[[f64; RINGS]], reduced: &[[f64; RINGS]], noise: f32) -> f64 {
    let (seen, floor) = normalised(seen, f64::from(noise * noise));
    let (reduced, _) = normalised(reduced, 0.0);
    // Rounding to 8 bits is noise too, and keeps logarithms finite.
    const ROUNDING: f64 = 1.0 / 12.0 * 1e-4;
    let differences = seen.iter().zip(&reduced).skip(FIRST);
    let sum: f64 =
        differences.map(|(seen, reduced)| ((seen + ROUNDING).ln() - (reduced + floor + ROUNDING).ln()).abs()).sum();
    sum / (RINGS - FIRST) as f64
}
