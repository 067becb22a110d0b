//! How long two networks take for the same picture on the same device.

use std::{ops::ControlFlow, time::Instant};

use dualres_engine::{EngineError, Options, Upscaler};
use dualres_imaging::{Picture, Plane};
use serde::{Deserialize, Serialize};

/// Side of the input that is timed while widths are set, in pixels: the answer has to come while somebody looks.
pub(crate) const SIDE: usize = 96;
/// Side of the input that finished networks are timed on: as pictures are, so that what a start costs does not count.
pub(crate) const RUN_SIDE: usize = 512;

/// Times of a network beside those of the original it was made from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Device by name.
    pub device: String,
    /// Side of the input in pixels.
    #[serde(default)]
    pub side: usize,
    /// Median milliseconds of the original for it, without the dual reconstruction.
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
    side: usize,
    goes_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Latency, EngineError> {
    let picture = picture(side);
    let runs = if side == SIDE { 15 } else { 7 };
    let mut time = |upscaler: &Upscaler| {
        let start = Instant::now();
        upscaler.upscale(&picture, &Options::default(), &mut |_| goes_on())?;
        Ok::<_, EngineError>(1e3 * start.elapsed().as_secs_f64())
    };
    // The first runs tune and compile.
    time(original)?;
    time(compressed)?;
    let (mut large, mut small) = (Vec::new(), Vec::new());
    for _ in 0..runs {
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
    Ok(Latency { device: device.to_owned(), side, original, compressed, spread })
}

/// What it shows does not change what it costs.
fn picture(side: usize) -> Picture {
    let plane = |c: usize| Plane::new(side, side, (0..side * side).map(|i| (i * (c + 7) % 256) as f32).collect());
    Picture::from_planes((0..3).map(plane).collect())
}

#[cfg(test)]
mod tests {
    use dualres_network::{Architecture, Description, Device, Model, device::ComputeDevice};

    use super::*;

    /// Times say what they are for, and a measurement can be stopped.
    #[test]
    fn times_say_what_they_are_for() {
        let of = |features: usize| {
            let description =
                Description::drn("t", &Architecture::new(2, features, 2).expect("numbers")).expect("a network");
            let model = Model::init(description, 1, &Device::flex()).expect("weights").without_duals();
            Upscaler::new(&model, &ComputeDevice::cpu()).expect("it runs")
        };
        let (narrow, wide) = (of(4), of(8));
        let go_on = &mut || ControlFlow::Continue(());
        let timed = measure(&wide, &narrow, "CPU", RUN_SIDE, go_on).expect("it runs");
        assert!(timed.compressed > 0.0 && timed.original > 0.0 && timed.spread >= 0.0, "{timed:?}");
        assert_eq!(timed.side, RUN_SIDE);
        let stopped = measure(&wide, &narrow, "CPU", SIDE, &mut || ControlFlow::Break(()));
        assert!(matches!(stopped, Err(EngineError::Cancelled)));
        // What was measured on other inputs by an earlier program is not shown beside these.
        let old: Latency =
            serde_json::from_str(r#"{"device":"CPU","original":2.0,"compressed":1.0,"spread":0.0}"#).expect("read");
        assert_ne!(old.side, RUN_SIDE);
    }
}
