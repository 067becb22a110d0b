//! A device beside the CPU on a picture made for it, before it is trusted with those of people.

use std::{ops::ControlFlow, sync::Arc};

use dualres_imaging::{Picture, Plane};
use dualres_network::{
    Model,
    device::ComputeDevice,
    graph::{Steps, watched},
};

use crate::{Event, Options, Result, Upscaled, Upscaler, place::MAX_DIFFERENCE};

/// Sides of the picture. Neither is a multiple of what kernels work in.
const PROBE: [usize; 2] = [75, 61];

/// What a device made of the picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Finding {
    /// The largest difference from the CPU in gray levels, of result and reconstructions.
    Difference(f32),
    /// Something that cannot be a result: no numbers, or one colour.
    Impossible,
    /// It failed, and what it said.
    Failed(String),
}

impl Finding {
    /// Whether the device computes what it should.
    pub fn is_sound(&self) -> bool {
        matches!(self, Self::Difference(levels) if *levels <= MAX_DIFFERENCE)
    }
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Difference(levels) if self.is_sound() => {
                write!(f, "differs from the CPU by {levels:.3} of 255 levels at most")
            }
            Self::Difference(levels) => write!(f, "differs from the CPU by {levels:.1} of 255 levels"),
            Self::Impossible => f.write_str("gives results that cannot be right"),
            Self::Failed(reason) => write!(f, "fails ({reason})"),
        }
    }
}

/// Runs a model, its dual models included, on a device and on the CPU, and compares. `go_on` is asked in between, and `steps` tells
/// others how far the device is, from its first operator on, which compiles and tunes.
///
/// # Errors
/// If the device does not start, the CPU fails, or it is cancelled.
pub fn self_check(
    model: &Model,
    device: &ComputeDevice,
    steps: &Arc<Steps>,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Finding> {
    let (there, here) = (Upscaler::new(model, device)?, Upscaler::new(model, &ComputeDevice::cpu())?);
    let probe = probe();
    // In one piece, so that no other cutting tells.
    let options = Options { tile: Some(usize::MAX), ..Options::default() };
    let mut run = |upscaler: &Upscaler| upscaler.upscale(&probe, &options, &mut |_: Event| go_on());
    let got = watched(steps, || run(&there))?;
    if got.retried_tiles > 0 {
        return Ok(Finding::Impossible);
    }
    if let Some(reason) = there.given_up() {
        return Ok(Finding::Failed(reason.to_owned()));
    }
    let wanted = run(&here)?;
    let difference = pictures(&got).zip(pictures(&wanted)).map(|(a, b)| gap(a, b)).fold(0.0, f32::max);
    Ok(Finding::Difference(difference))
}

fn pictures(made: &Upscaled) -> impl Iterator<Item = &Picture> {
    std::iter::once(&made.picture).chain(&made.reconstructions)
}

fn gap(a: &Picture, b: &Picture) -> f32 {
    let pairs = a.planes.iter().zip(&b.planes).flat_map(|(a, b)| a.data.iter().zip(&b.data));
    pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

/// Rings of ever finer lines, edges in all directions, plain parts, black, white and noise: what networks react to.
fn probe() -> Picture {
    let [width, height] = PROBE;
    let mut noise = 1_u32;
    let plane = |channel: usize| {
        let mut sample = |at: usize| {
            let (x, y) = ((at % width) as f32, (at / width) as f32);
            noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let rings = 127.5 + 127.5 * ((x * x + y * y) * 0.01 + channel as f32).cos();
            let squares = if (x / 7.0).floor() as usize % 2 == (y / 5.0).floor() as usize % 2 { 255.0 } else { 0.0 };
            let ramp = 255.0 * (x + y * channel as f32) / (width + height * channel) as f32;
            match (x < 40.0, y < 30.0) {
                (true, true) => rings,
                (false, true) => squares,
                (true, false) => ramp,
                (false, false) => (ramp + (noise >> 24) as f32 * 0.25).min(255.0),
            }
        };
        Plane::new(width, height, (0..width * height).map(&mut sample).collect())
    };
    Picture::from_planes((0..3).map(plane).collect())
}
