//! Light brighter than white, as float files hold it, between 0 and white and back.
//!
//! Networks know samples in [0, 255]. Scaling a picture by its brightest light would leave nothing of the rest where a
//! single reflection is hundreds of times as bright as white. So only what is above a knee is compressed, by a logarithm
//! that joins the straight line below without a bend.

use crate::{Depth, Picture, Plane};

/// Where compression begins, white being 1.
const KNEE: f64 = 0.75;

/// The curve for a picture whose brightest light is `white` times as bright as what integers can hold.
pub(crate) struct Curve {
    /// How far above the knee the logarithm has bent by one.
    reach: f64,
    /// Its value at the brightest light.
    full: f64,
}

impl Curve {
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

/// Light beyond white of a picture, apart from the rest of it.
///
/// On the curve a gray level near its end is many times as much light: a network that is off by half a level there, or adds a few
/// to an edge near white, would make light where there is none. So networks see what is up to white, and the light beyond is
/// enlarged by interpolation beside it.
#[derive(Clone, Debug, PartialEq)]
pub struct Highlights {
    /// What the brightest light of the picture's file is, white being 1.
    white: f32,
    /// Light above white, white being 1; one plane a colour.
    planes: Vec<Plane>,
}

impl Picture {
    /// Sets the depth to write the picture with. From floats to integers, light beyond white is cut off.
    pub fn set_depth(&mut self, depth: Depth) {
        match (self.depth, depth) {
            (Depth::Float { .. }, Depth::Float { .. }) => return,
            (Depth::Float { white }, _) => {
                if let Some(curve) = Curve::new(white) {
                    for sample in self.planes.iter_mut().flat_map(|plane| &mut plane.data) {
                        *sample = (255.0 * curve.expand(*sample / 255.0)).min(255.0);
                    }
                }
            }
            _ => {}
        }
        self.depth = depth;
    }

    /// The picture up to white, as integers could hold it, and its light beyond; `None` if there is none.
    pub fn without_highlights(&self) -> Option<(Self, Highlights)> {
        let Depth::Float { white } = self.depth else { return None };
        let curve = Curve::new(white)?;
        let light = |level: f32| curve.expand(level / 255.0);
        let planes = |of: &dyn Fn(f32) -> f32| -> Vec<Plane> {
            let plane =
                |p: &Plane| Plane::new(p.width, p.height, p.data.iter().map(|&level| of(light(level))).collect());
            self.planes.iter().map(plane).collect()
        };
        let mut rest = Self::from_planes(planes(&|light| 255.0 * light.min(1.0)));
        rest.alpha.clone_from(&self.alpha);
        rest.metadata = self.metadata.clone();
        rest.depth = Depth::Float { white: 1.0 };
        Some((rest, Highlights { white, planes: planes(&|light| (light - 1.0).max(0.0)) }))
    }

    /// The picture with light beyond white.
    ///
    /// # Panics
    /// If the sizes or colours differ.
    pub fn with_highlights(mut self, highlights: &Highlights) -> Self {
        assert_eq!(self.planes.len(), highlights.planes.len(), "light of the same colours");
        let Some(curve) = Curve::new(highlights.white) else { return self };
        for (plane, beyond) in self.planes.iter_mut().zip(&highlights.planes) {
            assert_eq!(plane.data.len(), beyond.data.len(), "light of the same size");
            for (sample, beyond) in plane.data.iter_mut().zip(&beyond.data) {
                *sample = 255.0 * curve.compress(sample.clamp(0.0, 255.0) / 255.0 + beyond);
            }
        }
        self.depth = Depth::Float { white: highlights.white };
        self
    }
}

impl Highlights {
    /// Light above white, white being 1; one plane a colour.
    pub fn planes(&self) -> &[Plane] {
        &self.planes
    }

    /// At another size: interpolated so that each pixel keeps its light. The mean over the pixels that lie in it is what it was, as far
    /// as none becomes brighter than what is near it, and where there was no light there is none.
    pub fn resized(&self, width: usize, height: usize) -> Self {
        Self { white: self.white, planes: self.planes.iter().map(|plane| resized(plane, width, height)).collect() }
    }
}

fn resized(plane: &Plane, width: usize, height: usize) -> Plane {
    if plane.data.iter().all(|&light| light == 0.0) {
        return Plane::filled(width, height, 0.0);
    }
    if width < plane.width || height < plane.height {
        return averaged(plane, width, height);
    }
    let mut large = interpolated(plane, width, height);
    let brightest = brightest_near(plane);
    for _ in 0..STEPS {
        let (mut sums, mut counts) = (vec![0.0_f64; plane.data.len()], vec![0_u32; plane.data.len()]);
        for (index, &light) in large.data.iter().enumerate() {
            let over = pixel_below(plane, [width, height], index);
            sums[over] += f64::from(light);
            counts[over] += 1;
        }
        for (index, light) in large.data.iter_mut().enumerate() {
            let over = pixel_below(plane, [width, height], index);
            let wanted = f64::from(plane.data[over]) * f64::from(counts[over]);
            let scaled =
                if sums[over] > 0.0 { (f64::from(*light) * wanted / sums[over]) as f32 } else { plane.data[over] };
            *light = scaled.min(brightest[over]);
        }
    }
    large
}

/// Steps in which each pixel gets back its light without becoming brighter than what is near it.
const STEPS: usize = 4;

/// The brightest light among each pixel and its neighbours.
fn brightest_near(plane: &Plane) -> Vec<f32> {
    let near = |at: usize, length: usize| at.saturating_sub(1)..(at + 2).min(length);
    let of = |index: usize| {
        let (x, y) = (index % plane.width, index / plane.width);
        let rows = near(y, plane.height).map(|y| &plane.data[y * plane.width..][near(x, plane.width)]);
        rows.flatten().copied().fold(0.0, f32::max)
    };
    (0..plane.data.len()).map(of).collect()
}

/// Index of the pixel of `small` that a pixel of a larger plane lies in.
fn pixel_below(small: &Plane, [width, height]: [usize; 2], index: usize) -> usize {
    let (x, y) = (index % width, index / width);
    (y * small.height / height) * small.width + x * small.width / width
}

/// Bilinear interpolation, corners not aligned.
fn interpolated(plane: &Plane, width: usize, height: usize) -> Plane {
    // The two samples between which a place lies, and how near it is to the second.
    let between = |at: usize, to: usize, from: usize| {
        let place = ((at as f32 + 0.5) * from as f32 / to as f32 - 0.5).clamp(0.0, (from - 1) as f32);
        let first = place as usize;
        (first, (first + 1).min(from - 1), place - first as f32)
    };
    let mix = |a: f32, b: f32, nearness: f32| a + (b - a) * nearness;
    let mut data = Vec::with_capacity(width * height);
    for y in 0..height {
        let (above, below, down) = between(y, height, plane.height);
        let [above, below] = [above, below].map(|y| &plane.data[y * plane.width..][..plane.width]);
        data.extend((0..width).map(|x| {
            let (left, right, across) = between(x, width, plane.width);
            mix(mix(above[left], above[right], across), mix(below[left], below[right], across), down)
        }));
    }
    Plane::new(width, height, data)
}

/// The mean over the pixels that lie in each of a smaller plane; of those nearest where none does.
fn averaged(plane: &Plane, width: usize, height: usize) -> Plane {
    let span = |at: usize, to: usize, from: usize| {
        let (start, end) = (at * from / to, (at + 1) * from / to);
        start..end.max(start + 1).min(from)
    };
    let mut data = Vec::with_capacity(width * height);
    for y in 0..height {
        for x in 0..width {
            let (rows, columns) = (span(y, height, plane.height), span(x, width, plane.width));
            let count = (rows.len() * columns.len()) as f64;
            let light =
                |y: usize| plane.data[y * plane.width..][columns.clone()].iter().copied().map(f64::from).sum::<f64>();
            data.push((rows.map(light).sum::<f64>() / count) as f32);
        }
    }
    Plane::new(width, height, data)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_curve_goes_there_and_back_and_leaves_ordinary_light_alone() {
        for white in [1.001, 1.5, 4.0, 500.0, 60_000.0] {
            let curve = Curve::new(white).unwrap();
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
        assert!(Curve::new(1.0).is_none() && Curve::new(f32::NAN).is_none());
    }

    #[test]
    fn light_is_enlarged_beside_the_rest_and_stays_where_it_is() {
        let white = 10_000.0;
        let curve = Curve::new(white).unwrap();
        let level = |light: f32| 255.0 * curve.compress(light);
        let mut picture = Picture::from_planes(vec![Plane::filled(12, 9, level(0.9))]);
        picture.depth = Depth::Float { white };
        assert_eq!(picture.without_highlights().unwrap().1.resized(24, 18).planes[0].data, [0.0; 24 * 18]);
        picture.planes[0].data[4 * 12 + 2] = level(white);
        let (rest, highlights) = picture.without_highlights().unwrap();
        assert!(rest.planes[0].data.iter().all(|&sample| (0.0..=255.0).contains(&sample)));
        assert!((rest.planes[0].data[0] - 0.9 * 255.0).abs() < 1e-2);
        let together = rest.with_highlights(&highlights);
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-2;
        assert!(together.planes[0].data.iter().zip(&picture.planes[0].data).all(close));
        let large = highlights.resized(24, 18);
        let at = |x: usize, y: usize| large.planes[0].data[y * 24 + x];
        let lit: Vec<usize> =
            (0..24 * 18).filter(|&i| large.planes[0].data[i] > 0.0).map(|i| i % 24 + i / 24 * 100).collect();
        assert_eq!(lit, [804, 805, 904, 905], "where there was no light there is none");
        assert!((at(4, 8) / (white - 1.0) - 1.0).abs() < 1e-3, "{}", at(4, 8));
        let back = large.resized(12, 9);
        assert!(
            back.planes[0].data.iter().zip(&highlights.planes[0].data).all(|(a, b)| (a - b).abs() <= 1e-3 * b.max(1.0))
        );
        // A constant stays one, to the border.
        let mut bright = Picture::from_planes(vec![Plane::filled(6, 5, level(1000.0))]);
        bright.depth = Depth::Float { white };
        let (_, highlights) = bright.without_highlights().unwrap();
        let planes = highlights.resized(17, 14).planes;
        assert!(planes[0].data.iter().all(|light| (light - 999.0).abs() < 0.1), "{:?}", &planes[0].data[..3]);
        bright.depth = Depth::Eight;
        assert!(bright.without_highlights().is_none());
    }

    /// One reflection hundreds of times as bright as white does not darken the rest.
    #[test]
    fn a_hot_pixel_leaves_the_picture() {
        let curve = Curve::new(500.0).unwrap();
        assert_eq!(curve.compress(0.7), 0.7);
        assert!(curve.compress(1.0) > 0.75 && curve.compress(2.0) > curve.compress(1.0));
    }
}
