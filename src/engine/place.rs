//! Where networks run: on the device for as long as it gives results that can be right, else on the CPU.
//!
//! Drivers fail in three ways, and each has its answer. A result that cannot be right (no numbers, or one value where the
//! picture is not of one colour) is made once more on the CPU. Work that fails on a device that still answers is cut smaller,
//! for that is what a lack of memory looks like. A device that does not answer any more, or fails at the smallest cut, is given
//! up: what is left of the picture, and all that follow, are made on the CPU.

use std::sync::{
    OnceLock,
    atomic::{AtomicUsize, Ordering},
};

use burn::tensor::{Device, Tensor};
use dualres_imaging::{Picture, caught};
use dualres_network::{
    Model,
    device::{ComputeDevice, DeviceClass, FaultKind},
};

use crate::{EngineError, Result, tiles::Span};

/// Gray levels that a part of a picture spans before a network may not make one colour of it.
const LEAST_SPAN: f32 = 4.0;
/// Gray levels within which everything is one colour: what a driver that does nothing leaves.
const ONE_COLOUR: f32 = 1e-3;

/// A device, and the CPU behind it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) compute: ComputeDevice,
    device: Device,
    /// The model as it came: what lies on a lost device cannot be read any more.
    source: Model,
    /// The model on the CPU, made when the device fails.
    fallback: OnceLock<Model>,
    given_up: OnceLock<String>,
    /// Results that the device gave.
    runs: AtomicUsize,
    /// Those of them that could not be right.
    retries: AtomicUsize,
}

impl Place {
    pub(crate) fn new(source: &Model, compute: &ComputeDevice) -> Result<Self> {
        Ok(Self {
            device: compute.open()?,
            compute: compute.clone(),
            source: source.clone(),
            fallback: OnceLock::new(),
            given_up: OnceLock::new(),
            runs: AtomicUsize::new(0),
            retries: AtomicUsize::new(0),
        })
    }

    pub(crate) fn source(&self) -> &Model {
        &self.source
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Whether the device has not run the network yet, and takes its time when it does.
    pub(crate) fn is_new(&self) -> bool {
        !self.is_cpu() && self.given_up.get().is_none() && self.runs.load(Ordering::Relaxed) == 0
    }

    /// How many results could not be right so far, and were made again on the CPU.
    pub(crate) fn retries(&self) -> usize {
        self.retries.load(Ordering::Relaxed)
    }

    /// Why the device is not used any more.
    pub(crate) fn given_up(&self) -> Option<&str> {
        self.given_up.get().map(String::as_str)
    }

    fn is_cpu(&self) -> bool {
        self.compute.class == DeviceClass::Cpu
    }

    /// Makes a part of a picture, samples of [3, H, W]: `work` on `model`, which lies on the device, or on another copy of it on
    /// the CPU.
    ///
    /// `is_plain` says that what goes in is of one colour.
    ///
    /// # Errors
    /// If a device that still answers fails, or the CPU finds no numbers either.
    pub(crate) fn make(
        &self,
        model: &Model,
        is_plain: bool,
        work: impl Fn(&Model, &Device) -> Tensor<4>,
    ) -> Result<Vec<f32>> {
        if self.is_cpu() {
            return made_on_cpu(|| work(model, &self.device));
        }
        if self.given_up.get().is_none() {
            match caught(|| self.on_device(model, &work)) {
                Ok(samples) if is_sound(&samples, is_plain) => return Ok(samples),
                Ok(_) => {
                    self.retries.fetch_add(1, Ordering::Relaxed);
                }
                Err(said) => {
                    let said = first_line(&said);
                    if self.compute.is_remote() {
                        // Another machine can take the picture, or the same one when it is back.
                        return Err(EngineError::Network(self.compute.failure(&said)));
                    }
                    if self.answers() {
                        return Err(EngineError::Device(said));
                    }
                    self.give_up(format!("the device was lost ({said})"));
                }
            }
        }
        let cpu = ComputeDevice::cpu().open()?;
        let model = self.fallback(&cpu)?;
        made_on_cpu(|| work(model, &cpu))
    }

    fn on_device(&self, model: &Model, work: impl Fn(&Model, &Device) -> Tensor<4>) -> Vec<f32> {
        let before = self.runs.fetch_add(1, Ordering::Relaxed);
        let fault = self.compute.fault;
        if fault.is_some_and(|fault| fault.kind == FaultKind::Lost && before >= fault.after) {
            self.compute.lose();
        }
        let mut samples = to_samples(work(model, &self.device));
        if let Some(fault) = fault {
            fault.spoil(before, &mut samples);
        }
        samples
    }

    /// Whether the device still computes.
    fn answers(&self) -> bool {
        let two = || Tensor::<1>::ones([2], &self.device).sum().into_data().convert::<f32>().try_into_vec::<f32>();
        caught(two).is_ok_and(|sum| sum.is_ok_and(|sum| sum == [2.0]))
    }

    fn give_up(&self, reason: String) {
        // Whoever opens it next gets it anew.
        self.compute.give_up();
        let _ = self.given_up.set(reason);
    }

    fn fallback(&self, cpu: &Device) -> Result<&Model> {
        if let Some(model) = self.fallback.get() {
            return Ok(model);
        }
        let model = caught(|| self.source.to_device(cpu)).map_err(EngineError::Device)??;
        Ok(self.fallback.get_or_init(|| model))
    }

    /// Runs `attempt` with smaller and smaller tiles for as long as the device fails, which is what it does when its memory
    /// does not suffice, and then on the CPU. Tiles of less than twice `least` are not halved.
    pub(crate) fn halving<T>(
        &self,
        side: usize,
        least: usize,
        mut attempt: impl FnMut(usize) -> Result<T>,
    ) -> Result<T> {
        match halving(side, least, &mut attempt) {
            Err(EngineError::Device(said)) if !self.is_cpu() && self.given_up.get().is_none() => {
                self.give_up(format!("the device failed with tiles of any size ({said})"));
                attempt(side)
            }
            other => other,
        }
    }
}

fn made_on_cpu(work: impl Fn() -> Tensor<4>) -> Result<Vec<f32>> {
    let samples = caught(|| to_samples(work())).map_err(|said| EngineError::Device(first_line(&said)))?;
    if samples.iter().all(|sample| sample.is_finite()) { Ok(samples) } else { Err(EngineError::NotFinite) }
}

fn first_line(said: &str) -> String {
    said.lines().next().unwrap_or_default().to_owned()
}

/// Whether samples can be a result: numbers, and not one value where what went in was not plain.
fn is_sound(samples: &[f32], is_plain: bool) -> bool {
    samples.iter().all(|sample| sample.is_finite()) && (is_plain || span(samples.iter().copied()) > ONE_COLOUR)
}

fn span(samples: impl Iterator<Item = f32>) -> f32 {
    let (least, most) = samples.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    most - least
}

/// Whether what a tile sees of a picture is of one colour, or nearly.
pub(crate) fn is_plain(picture: &Picture, across: Span, down: Span) -> bool {
    let clipped = |at: Span, of: usize| {
        let start = at.seen_start.clamp(0, of as isize - 1) as usize;
        start..(at.seen_start + at.seen_length as isize).clamp(start as isize + 1, of as isize) as usize
    };
    picture.planes.iter().all(|plane| {
        let columns = clipped(across, plane.width);
        let rows = clipped(down, plane.height);
        span(rows.flat_map(|y| plane.row(y)[columns.clone()].iter().copied())) < LEAST_SPAN
    })
}

pub(crate) fn to_samples(x: Tensor<4>) -> Vec<f32> {
    x.into_data().convert::<f32>().try_into_vec::<f32>().expect("converted to f32")
}

fn halving<T>(mut side: usize, least: usize, mut attempt: impl FnMut(usize) -> Result<T>) -> Result<T> {
    loop {
        match attempt(side) {
            Err(EngineError::Device(_)) if side / 2 >= least => side /= 2,
            other => return other,
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_imaging::Plane;

    use super::*;

    #[test]
    fn a_failing_device_is_given_smaller_tiles_and_then_given_up() {
        let mut tried = Vec::new();
        let fits_256 = |side: usize| {
            tried.push(side);
            if side > 256 { Err(EngineError::Device("out of memory".into())) } else { Ok(side) }
        };
        assert_eq!(halving(1024, 128, fits_256).unwrap(), 256);
        assert_eq!(tried, [1024, 512, 256]);

        let mut count = 0;
        let lost = |_| -> Result<()> {
            count += 1;
            Err(EngineError::Device("lost".into()))
        };
        assert!(matches!(halving(1024, 128, lost), Err(EngineError::Device(_))));
        assert_eq!(count, 4);

        let mut count = 0;
        let cancelled = |_| -> Result<()> {
            count += 1;
            Err(EngineError::Cancelled)
        };
        assert!(matches!(halving(1024, 128, cancelled), Err(EngineError::Cancelled)));
        assert_eq!(count, 1, "only a failing device is tried again");
    }

    #[test]
    fn one_colour_is_no_result_of_a_picture_and_one_of_a_plain_one() {
        assert!(is_sound(&[0.0, 1.0], false) && is_sound(&[7.0, 7.0], true));
        assert!(!is_sound(&[0.0, 0.0], false) && !is_sound(&[f32::NAN, 1.0], false) && !is_sound(&[f32::NAN], true));
    }

    #[test]
    fn a_tile_is_plain_if_what_it_sees_is() {
        let mut plane = Plane::filled(20, 10, 90.0);
        plane.data[15] = 0.0;
        let picture = Picture::from_planes(vec![plane]);
        let span = |seen_start, seen_length| Span { start: 0, length: 1, seen_start, seen_length };
        assert!(is_plain(&picture, span(0, 10), span(0, 10)));
        assert!(!is_plain(&picture, span(0, 16), span(0, 10)));
        assert!(is_plain(&picture, span(10, 40), span(1, 40)), "below the first row");
        assert!(is_plain(&picture, span(-8, 4), span(-8, 4)), "the border, repeated");
    }
}
