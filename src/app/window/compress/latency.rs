//! How long two networks take for the same picture on the same device.

use std::{ops::ControlFlow, time::Instant};

use dualres_engine::{EngineError, Options, Upscaler};
use dualres_imaging::{Picture, Plane};
use serde::{Deserialize, Serialize};

/// Side of the input that is timed, in pixels.
pub(crate) const SIDE: usize = 96;
/// Runs of each network.
const RUNS: usize = 15;

/// Times of a network beside those of the original it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Device by name.
    pub device: String,
    /// Median milliseconds of the original for an input of 96 x 96, without the dual reconstruction.
    pub original: f64,
    /// Those of the network.
    pub compressed: f64,
    /// Half the interquartile range of the ratio of pairs that were run one after the other, as a share of it.
    pub spread: f64,
}

impl Latency {
    /// Whether other work disturbed the measurement so much that it tells little.
    pub fn is_noisy(&self) -> bool {
        self.spread > 0.1
    }

    /// How many times as fast as the original.
    pub fn speed_up(&self) -> f64 {
        self.original / self.compressed
    }
}

/// Times both networks in turns, so that what else the machine does falls on both alike. `goes_on` stops it.
pub(crate) fn measure(
    original: &Upscaler,
    compressed: &Upscaler,
    device: &str,
    goes_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Latency, EngineError> {
    let picture = picture();
    let mut time = |upscaler: &Upscaler| {
        let start = Instant::now();
        upscaler.upscale(&picture, &Options::default(), &mut |_| goes_on())?;
        Ok::<_, EngineError>(1e3 * start.elapsed().as_secs_f64())
    };
    // The first runs tune and compile.
    time(original)?;
    time(compressed)?;
    let (mut large, mut small) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        large.push(time(original)?);
        small.push(time(compressed)?);
    }
    let mut ratios: Vec<f64> = large.iter().zip(&small).map(|(large, small)| large / small).collect();
    let at = |values: &mut Vec<f64>, part: f64| {
        values.sort_by(f64::total_cmp);
        values[((values.len() - 1) as f64 * part).round() as usize]
    };
    let spread = (at(&mut ratios, 0.75) - at(&mut ratios, 0.25)) / 2.0 / at(&mut ratios, 0.5);
    let (original, compressed) = (at(&mut large, 0.5), at(&mut small, 0.5));
    Ok(Latency { device: device.to_owned(), original, compressed, spread })
}

/// What it shows does not change what it costs.
fn picture() -> Picture {
    let plane = |c: usize| Plane::new(SIDE, SIDE, (0..SIDE * SIDE).map(|i| (i * (c + 7) % 256) as f32).collect());
    Picture::from_planes((0..3).map(plane).collect())
}
