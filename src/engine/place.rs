//! Where networks run: on the device for as long as it gives results that can be right, else on the CPU.
//!
//! Drivers fail in three ways, and each has its answer. A result that cannot be right (no numbers, one colour where the picture
//! is not of one, another colour where it is) is made once more on the CPU. Work that fails on a device that still answers is cut smaller,
//! for that is what a lack of memory looks like. A device that does not answer any more, fails at the smallest cut, or
//! gives nothing but impossible results, is given up: what is left of the picture, and all that follow, are made on the CPU.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use burn::tensor::{Device, Tensor};
use dualres_imaging::{Picture, caught};
use dualres_network::{
    Model,
    device::{ComputeDevice, DeviceClass, FaultKind},
};

use crate::{EngineError, Result, tiles::Span};

/// Gray levels that a part of a picture spans before a network may not make one colour of it.
const MIN_SPAN: f32 = 4.0;
/// Gray levels within which everything is one colour: what a driver that does nothing leaves.
const ONE_COLOUR: f32 = 1e-3;
/// Gray levels by which a network may change a plain colour before the CPU is asked too.
const MAX_SHIFT: f32 = 24.0;
/// Impossible results in a row after which a device is given up.
const MAX_IMPOSSIBLE: usize = 3;
/// Gray levels of 255 that a device may differ by from the CPU.
pub const MAX_DIFFERENCE: f32 = 1.0;

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
    /// How many of those came last, one after the other.
    in_a_row: AtomicUsize,
    /// Sides of tiles that the device has run.
    shapes: Mutex<BTreeSet<[usize; 2]>>,
    /// The largest side of tiles, if the device failed with larger ones.
    most: AtomicUsize,
}

/// What goes into a part of a picture, as far as it says something about what comes out.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Expectation {
    /// The colour of all of it, if it is of one.
    plain: Option<[f32; 3]>,
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
            in_a_row: AtomicUsize::new(0),
            shapes: Mutex::default(),
            most: AtomicUsize::new(usize::MAX),
        })
    }

    pub(crate) fn source(&self) -> &Model {
        &self.source
    }

    pub(crate) fn device(&self) -> &Device {
        &self.device
    }

    /// Whether the device has not run tiles about so large yet, and takes its time when it does: kernels are tuned for each
    /// power of two.
    pub(crate) fn is_new(&self, sides: [usize; 2]) -> bool {
        let class = sides.map(usize::next_power_of_two);
        let mut known = self.shapes.lock().unwrap_or_else(PoisonError::into_inner);
        !self.is_cpu() && self.given_up.get().is_none() && known.insert(class)
    }

    /// Compares what the device made with what the CPU makes of the same.
    pub(crate) fn compare(&self, there: &[f32], work: impl Fn(&Model, &Device) -> Tensor<4>) -> Result<f32> {
        let cpu = ComputeDevice::cpu().open()?;
        let model = self.fallback(&cpu)?;
        let here = made_on_cpu(|| work(model, &cpu))?;
        Ok(gap(there, &here))
    }

    /// Whether results come from a device that may be wrong.
    pub(crate) fn is_watched(&self) -> bool {
        !self.is_cpu() && self.given_up.get().is_none()
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
    /// `expected` is what goes in.
    ///
    /// # Errors
    /// If a device that still answers fails, or the CPU finds no numbers either.
    pub(crate) fn make(
        &self,
        model: &Model,
        expected: Expectation,
        work: impl Fn(&Model, &Device) -> Tensor<4>,
    ) -> Result<Vec<f32>> {
        if self.is_cpu() {
            return made_on_cpu(|| work(model, &self.device));
        }
        let mut doubted = None;
        if self.given_up.get().is_none() {
            match caught(|| self.on_device(model, &work)) {
                Ok(samples) if is_sound(&samples, expected) => {
                    self.in_a_row.store(0, Ordering::Relaxed);
                    return Ok(samples);
                }
                Ok(samples) => doubted = Some(samples),
                Err(said) => {
                    let said = short(&said);
                    if self.compute.is_remote() {
                        // Another machine can take the picture, or the same one when it is back.
                        return Err(EngineError::Network(self.compute.failure(&said)));
                    }
                    if self.answers() {
                        return Err(EngineError::Device(said));
                    }
                    // What the library says then is of no use to anybody.
                    self.give_up("it stopped answering".to_owned());
                }
            }
        }
        let cpu = ComputeDevice::cpu().open()?;
        let model = self.fallback(&cpu)?;
        let samples = made_on_cpu(|| work(model, &cpu))?;
        // A network may do to a plain colour what it likes.
        if doubted.is_some_and(|doubted| gap(&doubted, &samples) > MAX_DIFFERENCE) {
            self.retries.fetch_add(1, Ordering::Relaxed);
            if self.in_a_row.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_IMPOSSIBLE {
                self.give_up("its results cannot be right".to_owned());
            }
        }
        Ok(samples)
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

    /// Has everything made on the CPU from now on.
    pub(crate) fn give_up(&self, reason: String) {
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
    /// does not suffice, and then on the CPU. Tiles of less than twice `least` are not halved. Later pictures begin with what
    /// was small enough.
    pub(crate) fn halving<T>(
        &self,
        side: usize,
        least: usize,
        mut attempt: impl FnMut(usize) -> Result<T>,
    ) -> Result<T> {
        let mut tried = self.most.load(Ordering::Relaxed).min(side);
        let begun = tried;
        let mut noted = |side| {
            tried = side;
            attempt(side)
        };
        let made = halving(begun, least, &mut noted);
        if made.is_ok() && tried < begun {
            self.most.fetch_min(tried, Ordering::Relaxed);
        }
        match made {
            Err(EngineError::Device(said)) if !self.is_cpu() && self.given_up.get().is_none() => {
                self.give_up(format!("it failed with tiles of any size ({said})"));
                attempt(side)
            }
            other => other,
        }
    }
}

fn made_on_cpu(work: impl Fn() -> Tensor<4>) -> Result<Vec<f32>> {
    let samples = caught(|| to_samples(work())).map_err(|said| EngineError::Device(short(&said)))?;
    if samples.iter().all(|sample| sample.is_finite()) { Ok(samples) } else { Err(EngineError::NotFinite) }
}

/// The first thing that a library said, without what it wrapped around it.
fn short(said: &str) -> String {
    const MAX: usize = 90;
    let first = said.lines().next().unwrap_or_default();
    let first = first.split("\\n").next().unwrap_or_default();
    match first.char_indices().nth(MAX) {
        Some((end, _)) => format!("{}…", &first[..end]),
        None => first.to_owned(),
    }
}

/// The largest difference of two results; without end if one of them holds no numbers.
fn gap(a: &[f32], b: &[f32]) -> f32 {
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    if a.len() != b.len() {
        return f32::INFINITY;
    }
    differences.fold(0.0, |most, gap| if gap.is_nan() { f32::INFINITY } else { most.max(gap) })
}

/// Whether samples of three planes can be a result: numbers, of more than one colour where what went in was, and of about its
/// colour where it was plain.
fn is_sound(samples: &[f32], expected: Expectation) -> bool {
    if samples.iter().any(|sample| !sample.is_finite()) {
        return false;
    }
    let planes: Vec<&[f32]> = samples.chunks_exact((samples.len() / 3).max(1)).collect();
    match expected.plain {
        None => planes.iter().any(|plane| span(plane.iter().copied()) > ONE_COLOUR),
        Some(colour) => planes.iter().zip(colour).all(|(plane, wanted)| {
            let mean = plane.iter().map(|&sample| f64::from(sample)).sum::<f64>() / plane.len() as f64;
            (mean as f32 - wanted).abs() <= MAX_SHIFT
        }),
    }
}

fn span(samples: impl Iterator<Item = f32>) -> f32 {
    let (least, most) = samples.fold((f32::INFINITY, f32::NEG_INFINITY), |(a, b), x| (a.min(x), b.max(x)));
    most - least
}

/// What a tile sees of a picture.
pub(crate) fn expected(picture: &Picture, across: Span, down: Span) -> Expectation {
    let clipped = |at: Span, of: usize| {
        let start = at.seen_start.clamp(0, of as isize - 1) as usize;
        start..(at.seen_start + at.seen_length as isize).clamp(start as isize + 1, of as isize) as usize
    };
    let colours = picture.rgb().map(|plane| {
        let columns = clipped(across, plane.width);
        let rows = clipped(down, plane.height);
        let first = plane.row(rows.start)[columns.start];
        (span(rows.flat_map(|y| plane.row(y)[columns.clone()].iter().copied())) < MIN_SPAN).then_some(first)
    });
    Expectation { plain: if let [Some(r), Some(g), Some(b)] = colours { Some([r, g, b]) } else { None } }
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

    const PLAIN: Expectation = Expectation { plain: Some([100.0, 0.0, 0.0]) };
    const RICH: Expectation = Expectation { plain: None };

    #[test]
    fn one_colour_is_no_result_of_a_picture_and_another_one_none_of_a_plain_one() {
        assert!(is_sound(&[0.0, 1.0, 0.0, 0.0, 0.0, 0.0], RICH));
        assert!(!is_sound(&[0.0; 6], RICH), "black");
        assert!(!is_sound(&[9.0, 9.0, 0.0, 0.0, 50.0, 50.0], RICH), "one colour, though not one value");
        assert!(!is_sound(&[f32::NAN, 1.0, 0.0, 0.0, 0.0, 0.0], RICH));
        assert!(is_sound(&[99.0, 101.0, 0.0, 0.0, 0.0, 0.0], PLAIN));
        assert!(!is_sound(&[0.0; 6], PLAIN), "black in place of red");
        assert!(!is_sound(&[100.0, f32::INFINITY, 0.0, 0.0, 0.0, 0.0], PLAIN));
    }

    #[test]
    fn a_tile_is_plain_if_what_it_sees_is() {
        let mut plane = Plane::filled(20, 10, 90.0);
        plane.data[15] = 0.0;
        let picture = Picture::from_planes(vec![plane]);
        let span = |seen_start, seen_length| Span { start: 0, length: 1, seen_start, seen_length };
        let plain = |across, down| expected(&picture, across, down).plain;
        assert_eq!(plain(span(0, 10), span(0, 10)), Some([90.0; 3]));
        assert_eq!(plain(span(0, 16), span(0, 10)), None);
        assert_eq!(plain(span(10, 40), span(1, 40)), Some([90.0; 3]), "below the first row");
        assert_eq!(plain(span(-8, 4), span(-8, 4)), Some([90.0; 3]), "the border, repeated");
    }

    #[test]
    fn what_libraries_say_is_cut_short() {
        assert_eq!(short("out of memory\nstack"), "out of memory");
        assert_eq!(short(r"Read(An error\nCaused by)"), "Read(An error");
        assert_eq!(short(&"ä".repeat(200)).chars().count(), 91);
    }

    #[test]
    fn results_without_numbers_agree_with_nothing() {
        assert_eq!(gap(&[1.0, 2.0], &[1.5, 2.0]), 0.5);
        assert_eq!(gap(&[f32::NAN], &[1.0]), f32::INFINITY);
        assert_eq!(gap(&[], &[1.0]), f32::INFINITY);
    }
}
