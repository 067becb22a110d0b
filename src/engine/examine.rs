//! A look at what an unknown network makes of a picture, before anything is built on it.

use std::ops::ControlFlow;

use dualres_imaging::{
    Picture, Plane,
    psnr::psnr_of_mse,
    resize::{Samples, imresize},
};
use dualres_network::{Model, device::ComputeDevice};

use crate::{EngineError, Event, Options, Result, Upscaler};

/// Borders that are tried where a network sees farther than the smaller of them, in pixels of the input.
const HALOS: [usize; 2] = [16, 32];
/// Border that is tried last, on a picture of at least [`WIDE_PICTURE`] pixels a side.
const WIDE_HALO: usize = 64;
/// Side of a picture that [`WIDE_HALO`] can be measured on.
const WIDE_PICTURE: usize = 2 * WIDE_HALO + 64;
/// What two cuttings of a picture may differ by, in gray levels.
const MAX_SEAM: f32 = 0.5;
/// Least PSNR in dB of the result, reduced again, against what went in: what an adversarial network that paints freely
/// still reaches.
const MIN_PSNR: f64 = 17.0;
/// Largest change of a colour's mean, in gray levels.
const MAX_SHIFT: f32 = 10.0;

/// Mean of a result in gray levels below which it is black, whatever it was made of: the picture that is looked at is none that dark.
const MIN_LEVEL: f32 = 8.0;

/// What was seen.
#[derive(Clone, Debug)]
pub struct Examination {
    /// PSNR in dB of the result, reduced to the input's size, against the input; none if it holds no numbers.
    pub psnr: Option<f64>,
    /// Change of the mean of each colour, in gray levels.
    pub shift: [f32; 3],
    /// Mean of the result, in gray levels.
    pub level: f32,
    /// Border of tiles in pixels of the input that was found to suffice, else the widest that was tried; none if whole and
    /// tiled results were not compared, because tiles see all there is to see.
    pub halo: Option<usize>,
    /// Largest difference of tiled and whole result in gray levels, with that border.
    pub seam: Option<f32>,
}

impl Examination {
    /// Whether the result is an enlargement of the picture.
    pub fn is_enlargement(&self) -> bool {
        self.psnr.is_some_and(|psnr| psnr >= MIN_PSNR) && self.shift.iter().all(|shift| shift.abs() <= MAX_SHIFT)
    }

    /// What no border of tiles removes, in gray levels; see [`dualres_network::Description::seam`].
    pub fn lasting_seam(&self) -> Option<f32> {
        self.seam.filter(|&seam| shows(seam))
    }

    /// What is wrong with a result that is none.
    pub fn complaint(&self) -> String {
        match self.psnr {
            None => "its result holds NaN or infinite values".into(),
            Some(_) if self.level < MIN_LEVEL => "its result is nearly black".into(),
            Some(psnr) if psnr >= MIN_PSNR => {
                let [red, green, blue] = self.shift;
                format!("its result shifts the colours (red {red:+.0}, green {green:+.0}, blue {blue:+.0} levels)")
            }
            Some(psnr) => format!("its result is no enlargement of what it is given ({psnr:.1} dB, reduced again)"),
        }
    }

    /// What is worth knowing of it, for people.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self
            .psnr
            .map(|psnr| format!("a result, reduced again, has {psnr:.1} dB against the picture"))
            .into_iter()
            .collect();
        if let (Some(halo), Some(seam)) = (self.halo, self.seam) {
            notes.push(if seam > MAX_SEAM {
                format!(
                    "parts of a picture do not give what the whole gives (up to {seam:.1} levels, sharing {halo} pixels): \
                     pictures are run whole where the memory allows"
                )
            } else {
                format!("tiles share {halo} pixels; that changes a result by {seam:.2} levels at most")
            });
        }
        notes
    }
}

/// Whether a difference between parts and the whole, in gray levels, is worth telling.
pub fn shows(seam: f32) -> bool {
    seam > MAX_SEAM
}

/// How well a model enlarges a picture: PSNR in dB of the result, reduced again, against the picture; minus infinity if it
/// holds no numbers. Whether that is an enlargement says [`Examination::is_enlargement`]: one that tints everything is none in any
/// range of samples, and the range that tints least must not be taken for the right one.
///
/// # Errors
/// If the device fails.
pub fn glance(model: &Model, device: &ComputeDevice, picture: &Picture) -> Result<f64> {
    let Some(whole) = result(model, device, picture, usize::MAX)? else { return Ok(f64::NEG_INFINITY) };
    Ok(compared(model, picture, &whole).psnr.unwrap_or(f64::NEG_INFINITY))
}

/// What is seen of a result beside the picture it was made of.
fn compared(model: &Model, picture: &Picture, whole: &Picture) -> Examination {
    let scale = model.description.scale() as f64;
    let mut square = 0.0;
    let (mut shift, mut level) = ([0.0; 3], 0.0);
    for (index, (before, after)) in picture.rgb().into_iter().zip(whole.rgb()).enumerate() {
        let reduced = if scale > 1.0 { imresize(after, 1.0 / scale, Samples::Float) } else { after.clone() };
        let mean = |plane: &Plane| plane.data.iter().sum::<f32>() / plane.data.len() as f32;
        shift[index] = mean(&reduced) - mean(before);
        level += mean(&reduced) / 3.0;
        let errors = before.data.iter().zip(&reduced.data).map(|(a, b)| f64::from(a - b).powi(2));
        square += errors.sum::<f64>() / (3 * before.data.len()) as f64;
    }
    Examination { psnr: Some(psnr_of_mse(square)), shift, level, halo: None, seam: None }
}

/// Runs a model on a picture and looks at the result.
///
/// # Errors
/// If the device fails.
pub fn examine(model: &Model, device: &ComputeDevice, picture: &Picture) -> Result<Examination> {
    let nothing = Examination { psnr: None, shift: [0.0; 3], level: 0.0, halo: None, seam: None };
    let Some(whole) = result(model, device, picture, usize::MAX)? else { return Ok(nothing) };
    let mut found = compared(model, picture, &whole);
    if found.is_enlargement() {
        (found.halo, found.seam) = seam_beside(model, device, picture, &whole)?.unzip();
    }
    Ok(found)
}

/// How far tiles have to overlap: the border in pixels of the input that was found to suffice, else the widest that was tried, and
/// by how many gray levels parts of the picture then differ from the whole. None where tiles see all there is to see, or the
/// result holds no numbers.
///
/// # Errors
/// If the device fails.
pub fn measure_seam(model: &Model, device: &ComputeDevice, picture: &Picture) -> Result<Option<(usize, f32)>> {
    match result(model, device, picture, usize::MAX)? {
        Some(whole) => seam_beside(model, device, picture, &whole),
        None => Ok(None),
    }
}

fn seam_beside(
    model: &Model,
    device: &ComputeDevice,
    picture: &Picture,
    whole: &Picture,
) -> Result<Option<(usize, f32)>> {
    let reach = model.description.network.reach();
    if !reach.global && reach.pixels <= HALOS[1] {
        return Ok(None);
    }
    let mut found = None;
    // A network that sees far is not measured with a border that has no chance.
    let first = usize::from(!reach.global && reach.pixels > 4 * HALOS[1]);
    for halo in HALOS.into_iter().chain([WIDE_HALO]).skip(first) {
        let mut tried = model.clone();
        tried.description.halo = Some(halo);
        let wider;
        let (picture, whole) = if halo == WIDE_HALO {
            let large = larger(picture);
            let Some(result) = result(model, device, &large, usize::MAX)? else { return Ok(None) };
            wider = (large, result);
            (&wider.0, &wider.1)
        } else {
            (picture, whole)
        };
        let Some(tiled) = result(&tried, device, picture, 2 * halo + 48)? else { return Ok(None) };
        let gap = |(a, b): (&Plane, &Plane)| a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        let seam = whole.planes.iter().zip(&tiled.planes).map(gap).fold(0.0, f32::max);
        found = Some((halo, seam));
        if seam <= MAX_SEAM {
            break;
        }
    }
    Ok(found)
}

/// A picture mirrored until [`WIDE_HALO`] can be measured on it.
fn larger(picture: &Picture) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let mirrored = |at: usize, of: usize| if (at / of).is_multiple_of(2) { at % of } else { of - 1 - at % of };
    let (wide, high) = (width.max(WIDE_PICTURE), height.max(WIDE_PICTURE));
    let plane = |plane: &Plane| {
        let sample = |at: usize| plane.data[mirrored(at / wide, height) * width + mirrored(at % wide, width)];
        Plane::new(wide, high, (0..wide * high).map(sample).collect())
    };
    Picture::from_planes(picture.rgb().into_iter().map(plane).collect())
}

/// The result, or none if it holds what is no number.
fn result(model: &Model, device: &ComputeDevice, picture: &Picture, tile: usize) -> Result<Option<Picture>> {
    let bare = model.clone().without_duals();
    let options = Options { tile: Some(tile), ..Options::default() };
    match Upscaler::new(&bare, device)?.upscale(picture, &options, &mut |_: Event| ControlFlow::Continue(())) {
        Ok(upscaled) => Ok(Some(upscaled.picture)),
        Err(EngineError::NotFinite) => Ok(None),
        Err(error) => Err(error),
    }
}
