//! Light brighter than white, as float files hold it, between 0 and white and back.
//!
//! Networks know samples in [0, 255]. Scaling a picture by its brightest light would leave nothing of the rest where a
//! single reflection is hundreds of times as bright as white. So only what is above a knee is compressed, by a logarithm
//! that joins the straight line below without a bend.

use crate::{Depth, Picture, Plane};

/// Where compression begins, white being 1.
const KNEE: f64 = 0.75;

/// The curve for a picture whose brightest light is `white` times as bright as what integers can hold.
pub(crate) struct Highlights {
    /// How far above the knee the logarithm has bent by one.
    reach: f64,
    /// Its value at the brightest light.
    full: f64,
}

impl Highlights {
    /// `None` where nothing is brighter than white.
    pub(crate) fn new(white: f32) -> Option<Self> {
        let above = f64::from(white) - KNEE;
        if white.is_nan() || white <= 1.0 || !white.is_finite() {
            return None;
        }
        // The slope at the knee is 1 where `reach * ln(1 + above / reach)` is what lies between knee and white; it grows
        // with `reach`, from nothing to `above`.
        let rise = |reach: f64| reach * (above / reach).ln_1p();
        let (mut low, mut high) = (1e-12, 1e12);
        for _ in 0..200 {
            let middle = f64::sqrt(low * high);
            if rise(middle) < 1.0 - KNEE { low = middle } else { high = middle }
        }
        let reach = f64::sqrt(low * high);
        Some(Self { reach, full: (above / reach).ln_1p() })
    }

    /// From light, white being 1, to [0, 1].
    pub(crate) fn compress(&self, light: f32) -> f32 {
        let above = f64::from(light) - KNEE;
        if above <= 0.0 { light } else { (KNEE + (1.0 - KNEE) * (above / self.reach).ln_1p() / self.full) as f32 }
    }

    /// From [0, 1] to light.
    pub(crate) fn expand(&self, level: f32) -> f32 {
        let above = f64::from(level) - KNEE;
        if above <= 0.0 { level } else { (KNEE + self.reach * (above / (1.0 - KNEE) * self.full).exp_m1()) as f32 }
    }
}

/// Pixels of the original on each side of one that its result may take its light from.
const REACH: usize = 2;

impl Picture {
    /// By how much each sample of an enlarged `result` of this picture is brighter than all light near it in this picture and than
    /// white, in units of that light; one plane a colour, at the result's size. `None` for pictures without light beyond white.
    ///
    /// Between the knee and the brightest light the curve is steep: what a network adds to an edge near white, a few levels, is
    /// many times as much light as there is.
    pub fn excess_light(&self, result: &Self) -> Option<Vec<Plane>> {
        let Depth::Float { white } = self.depth else { return None };
        let highlights = Highlights::new(white)?;
        let limits = self.light_limits(&highlights);
        let excess = limits.iter().zip(&result.planes).map(|(limit, plane)| {
            map_with(plane, limit, |level, limit| {
                let [light, most] = [level, limit].map(|level| highlights.expand(level / 255.0));
                (light / most - 1.0).max(0.0)
            })
        });
        Some(excess.collect())
    }

    /// Bounds the light of an enlarged `result` of this picture: nothing is brighter than white that is not near light as bright in
    /// this picture.
    pub fn bound_light(&self, result: &mut Self) {
        let Depth::Float { white } = self.depth else { return };
        let Some(highlights) = Highlights::new(white) else { return };
        for (limit, plane) in self.light_limits(&highlights).iter().zip(&mut result.planes) {
            *plane = map_with(plane, limit, f32::min);
        }
    }

    /// The highest level near each pixel, and that of white at least.
    fn light_limits(&self, highlights: &Highlights) -> Vec<Plane> {
        let white = 255.0 * highlights.compress(1.0);
        self.planes.iter().map(|plane| highest_near(plane, white)).collect()
    }
}

/// The highest sample within [`REACH`] of each, and `least` at least.
fn highest_near(plane: &Plane, least: f32) -> Plane {
    let (width, height) = (plane.width, plane.height);
    let mut rows = Vec::with_capacity(plane.data.len());
    for row in plane.data.chunks_exact(width) {
        rows.extend((0..width).map(|x| {
            let near = &row[x.saturating_sub(REACH)..(x + REACH + 1).min(width)];
            near.iter().copied().fold(least, f32::max)
        }));
    }
    let mut data = rows.clone();
    for y in 0..height {
        for near in y.saturating_sub(REACH)..(y + REACH + 1).min(height) {
            let (target, from) = (&mut data[y * width..][..width], &rows[near * width..][..width]);
            target.iter_mut().zip(from).for_each(|(sample, &other)| *sample = sample.max(other));
        }
    }
    Plane::new(width, height, data)
}

/// Each sample of a larger plane with that of the smaller one it lies over.
fn map_with(large: &Plane, small: &Plane, of: impl Fn(f32, f32) -> f32) -> Plane {
    let mut data = Vec::with_capacity(large.data.len());
    for y in 0..large.height {
        let row = &small.data[(y * small.height / large.height) * small.width..][..small.width];
        let samples = &large.data[y * large.width..][..large.width];
        data.extend(samples.iter().enumerate().map(|(x, &sample)| of(sample, row[x * small.width / large.width])));
    }
    Plane::new(large.width, large.height, data)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_curve_goes_there_and_back_and_leaves_ordinary_light_alone() {
        for white in [1.001, 1.5, 4.0, 500.0, 60_000.0] {
            let curve = Highlights::new(white).unwrap();
            assert!((curve.compress(white) - 1.0).abs() < 1e-5, "{white}");
            assert_eq!(curve.compress(0.5), 0.5);
            let mut before = 0.0;
            for step in 0..=1000 {
                let light = white * step as f32 / 1000.0;
                let level = curve.compress(light);
                assert!(level >= before && level <= 1.0 + 1e-6, "{light} of {white}");
                before = level;
                let back = curve.expand(level);
                assert!((back - light).abs() <= 1e-4 * light.max(1.0), "{back} for {light} of {white}");
            }
            // No bend at the knee.
            let step = 1e-4;
            let slope = (curve.compress(KNEE as f32 + step) - curve.compress(KNEE as f32)) / step;
            assert!((0.9..=1.01).contains(&slope) || white > 100.0, "{slope} for {white}");
        }
        assert!(Highlights::new(1.0).is_none() && Highlights::new(f32::NAN).is_none());
    }

    #[test]
    fn light_comes_from_light_that_is_near() {
        let white = 10_000.0;
        let curve = Highlights::new(white).unwrap();
        let level = |light: f32| 255.0 * curve.compress(light);
        let mut plane = Plane::filled(12, 9, level(0.9));
        plane.data[4 * 12 + 2] = level(white);
        let mut picture = Picture::from_planes(vec![plane]);
        picture.depth = Depth::Float { white };
        // What a network adds to an edge: a few levels, and 40 times the light.
        let mut result = Picture::from_planes(vec![Plane::filled(24, 18, level(40.0))]);
        let excess = picture.excess_light(&result).unwrap();
        let at = |plane: &Plane, x: usize, y: usize| plane.data[y * plane.width + x];
        assert!((at(&excess[0], 20, 8) - 39.0).abs() < 0.1, "{}", at(&excess[0], 20, 8));
        assert_eq!(at(&excess[0], 4, 8), 0.0, "near the light it may be bright");
        picture.bound_light(&mut result);
        assert!((curve.expand(at(&result.planes[0], 20, 8) / 255.0) - 1.0).abs() < 1e-3);
        assert!((curve.expand(at(&result.planes[0], 5, 9) / 255.0) - 40.0).abs() < 0.1);
        assert!(picture.excess_light(&result).unwrap()[0].data.iter().all(|&more| more < 1e-3));
        picture.depth = Depth::Eight;
        assert!(picture.excess_light(&result).is_none());
    }

    /// One reflection hundreds of times as bright as white does not darken the rest.
    #[test]
    fn a_hot_pixel_leaves_the_picture() {
        let curve = Highlights::new(500.0).unwrap();
        assert_eq!(curve.compress(0.7), 0.7);
        assert!(curve.compress(1.0) > 0.75 && curve.compress(2.0) > curve.compress(1.0));
    }
}
