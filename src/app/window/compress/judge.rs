//! How two networks differ on a picture: pixel by pixel, in numbers, and where most.

use dualres_engine::{Area, psnr_of_difference};
use dualres_imaging::{Picture, Plane};

use crate::window::{document::Patch, worker::part::Part};

/// Side of the patches that are compared with each other, in pixels of the results.
const SIDE: usize = 64;
/// Most patches that are listed.
const MAX: usize = 6;

/// A part of a picture by both networks.
#[derive(Clone, Debug)]
pub(crate) struct PairPatch {
    /// Results.
    pub(crate) results: Two,
    /// Ways back, if both networks have dual models.
    pub(crate) backs: Option<Two>,
    /// Sums for the numbers.
    pub(crate) sums: Sums,
}

/// The same part by both networks, and what lies between them.
#[derive(Clone, Debug)]
pub(crate) struct Two {
    pub(crate) large: Patch,
    pub(crate) small: Patch,
    /// Mean absolute difference of the colours at each pixel, in gray levels.
    pub(crate) absolute: Plane,
    /// Difference of luma.
    pub(crate) luma: Plane,
}

/// Sums of squares over parts of a picture; numbers of the whole come from them.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Sums {
    /// Pixels of results.
    pub(crate) pixels: f64,
    /// Squared difference of the results' luma.
    between: f64,
    /// Absolute difference of the results' colours.
    absolute: f64,
    /// Pixels of the input.
    inputs: f64,
    /// Squared difference of luma between the input and each dual reconstruction.
    loops: [f64; 2],
    /// Absolute difference of colours between the input and each dual reconstruction.
    duals: [f64; 2],
    /// Squared difference of luma between the true picture and each result; and whether there is a true picture.
    errors: [f64; 2],
    has_truth: bool,
}

/// What the numbers of a pair are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Numbers {
    /// PSNR of luma between the two results, in dB; infinite if they are the same.
    pub(crate) between: f64,
    /// Mean absolute difference of the two results in gray levels.
    pub(crate) absolute: f64,
    /// Consistency PSNR of both, in dB.
    pub(crate) loops: Option<[f64; 2]>,
    /// Dual loss of both, in gray levels.
    pub(crate) duals: Option<[f64; 2]>,
    /// PSNR of luma of both against the true picture, in dB.
    pub(crate) truth: Option<[f64; 2]>,
}

impl Sums {
    pub(crate) fn add(&mut self, other: &Self) {
        self.pixels += other.pixels;
        self.between += other.between;
        self.absolute += other.absolute;
        self.inputs += other.inputs;
        for i in 0..2 {
            self.loops[i] += other.loops[i];
            self.duals[i] += other.duals[i];
            self.errors[i] += other.errors[i];
        }
        self.has_truth |= other.has_truth;
    }

    /// The numbers; `None` while nothing was summed.
    pub(crate) fn numbers(&self) -> Option<Numbers> {
        if self.pixels == 0.0 {
            return None;
        }
        let psnr = |sum: f64, count: f64| psnr_of_difference(std::iter::once((sum / count).sqrt() as f32));
        let has_backs = self.inputs > 0.0;
        Some(Numbers {
            between: psnr(self.between, self.pixels),
            absolute: self.absolute / self.pixels,
            loops: has_backs.then(|| self.loops.map(|sum| psnr(sum, self.inputs))),
            duals: has_backs.then(|| self.duals.map(|sum| sum / self.inputs)),
            truth: self.has_truth.then(|| self.errors.map(|sum| psnr(sum, self.pixels))),
        })
    }
}

/// Luma by BT.601 of one or three colour planes, as PSNR is measured with.
fn luma(planes: &[Plane]) -> Plane {
    let [r, g, b] = if planes.len() >= 3 { [0, 1, 2] } else { [0; 3] };
    let at = |i: usize| dualres_imaging::psnr::luma(planes[r].data[i], planes[g].data[i], planes[b].data[i]) as f32;
    Plane::new(planes[0].width, planes[0].height, (0..planes[0].data.len()).map(at).collect())
}

fn absolute(a: &[Plane], b: &[Plane]) -> Plane {
    let mut sum = vec![0.0_f32; a[0].data.len()];
    for (a, b) in a.iter().zip(b) {
        for (sum, (a, b)) in sum.iter_mut().zip(a.data.iter().zip(&b.data)) {
            *sum += (a.clamp(0.0, 255.0) - b.clamp(0.0, 255.0)).abs();
        }
    }
    sum.iter_mut().for_each(|value| *value /= a.len() as f32);
    Plane::new(a[0].width, a[0].height, sum)
}

fn minus(a: &Plane, b: &Plane) -> Plane {
    Plane::new(a.width, a.height, a.data.iter().zip(&b.data).map(|(a, b)| a - b).collect())
}

fn square_sum(plane: &Plane) -> f64 {
    plane.data.iter().map(|&value| f64::from(value) * f64::from(value)).sum()
}

fn sum(plane: &Plane) -> f64 {
    plane.data.iter().map(|&value| f64::from(value)).sum()
}

fn two(large: &[Plane], small: &[Plane], area: Area) -> Two {
    let whole = Area { x: 0, y: 0, width: area.width, height: area.height };
    let patch = |planes: &[Plane]| {
        let planes: Vec<&Plane> = planes.iter().collect();
        Patch { area, ..Patch::of_planes(&planes, None, whole) }
    };
    Two {
        large: patch(large),
        small: patch(small),
        absolute: absolute(large, small),
        luma: minus(&luma(large), &luma(small)),
    }
}

impl PairPatch {
    /// Compares the same part by both networks; `truth` is the picture that the input was made from.
    pub(crate) fn of(large: &Part, small: &Part, truth: Option<&Picture>) -> Self {
        let (a, b) = (large.result(), small.result());
        let results = two(&a, &b, large.large());
        let mut sums = Sums {
            pixels: results.luma.data.len() as f64,
            between: square_sum(&results.luma),
            absolute: sum(&results.absolute),
            ..Sums::default()
        };
        let proofs = [large, small].map(Part::proof);
        if let [Some(first), Some(second)] = &proofs {
            sums.inputs = first.luma.data.len() as f64;
            sums.loops = [first, second].map(|proof| square_sum(&proof.luma));
            sums.duals = [first, second].map(|proof| sum(&proof.absolute));
        }
        if let Some(truth) = truth {
            let area = large.large();
            let true_part: Vec<Plane> =
                truth.planes.iter().map(|plane| plane.crop(area.x, area.y, area.width, area.height)).collect();
            let true_luma = luma(&true_part);
            sums.errors = [&a, &b].map(|planes| square_sum(&minus(&luma(planes), &true_luma)));
            sums.has_truth = true;
        }
        let backs = large.back().zip(small.back()).map(|(a, b)| two(&a, &b, large.area));
        Self { results, backs, sums }
    }
}

/// A part where two results differ much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Worst {
    /// In pixels of the results.
    pub(crate) area: Area,
    /// Mean absolute difference in gray levels.
    pub(crate) mean: f64,
}

/// The parts where two results differ most, the worst first, none over another. `mean` gives the mean difference of an
/// area of a picture of `size`, as far as it is known.
pub(crate) fn worst(size: [usize; 2], mean: impl Fn(Area) -> Option<f64>) -> Vec<Worst> {
    let [width, height] = size.map(|side| side.min(SIDE));
    let starts = |length: usize, side: usize| {
        let last = length - side;
        (0..=last).step_by(SIDE / 2).chain((!last.is_multiple_of(SIDE / 2)).then_some(last))
    };
    let mut all = Vec::new();
    for y in starts(size[1], height) {
        for x in starts(size[0], width) {
            let area = Area { x, y, width, height };
            all.extend(mean(area).map(|mean| Worst { area, mean }));
        }
    }
    all.sort_by(|a, b| b.mean.total_cmp(&a.mean));
    let apart = |a: &Area, b: &Area| {
        a.x + a.width <= b.x || b.x + b.width <= a.x || a.y + a.height <= b.y || b.y + b.height <= a.y
    };
    let mut chosen: Vec<Worst> = Vec::new();
    for one in all {
        if chosen.len() == MAX {
            break;
        }
        if chosen.iter().all(|other| apart(&one.area, &other.area)) {
            chosen.push(one);
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_parts_are_found_and_lie_apart() {
        let peaks = [[300, 40, 9], [20, 200, 5], [310, 60, 8]];
        let mean = |area: Area| {
            let inside =
                |x: usize, y: usize| area.x <= x && x < area.x + area.width && area.y <= y && y < area.y + area.height;
            Some(peaks.iter().filter(|p| inside(p[0], p[1])).map(|p| p[2] as f64).sum::<f64>())
        };
        let found = worst([400, 300], mean);
        assert_eq!(found.len(), MAX);
        assert!((found[0].mean - 17.0).abs() < 1e-9, "both peaks are in one part: {:?}", found[0]);
        assert!((found[1].mean - 5.0).abs() < 1e-9);
        for (index, a) in found.iter().enumerate() {
            for b in &found[..index] {
                let (a, b) = (a.area, b.area);
                assert!(a.x.abs_diff(b.x) >= SIDE || a.y.abs_diff(b.y) >= SIDE, "{a:?} {b:?}");
            }
        }
        assert_eq!(worst([30, 20], |_| Some(1.0)).len(), 1, "a picture smaller than a part is one part");
    }

    #[test]
    fn sums_of_parts_are_those_of_the_whole() {
        let part = |pixels: f64, between: f64| Sums { pixels, between, absolute: pixels, ..Sums::default() };
        let mut sums = Sums::default();
        assert_eq!(sums.numbers(), None);
        sums.add(&part(100.0, 50.0));
        sums.add(&part(300.0, 350.0));
        let numbers = sums.numbers();
        let expected = 10.0 * (255.0_f64 * 255.0).log10();
        assert!(numbers.is_some_and(|n| (n.between - expected).abs() < 1e-3 && n.loops.is_none()));
    }
}
