//! Light brighter than white, as float files hold it, between 0 and white and back.
//!
//! Networks know samples in [0, 255]. Scaling a picture by its brightest light would leave nothing of the rest where a
//! single reflection is hundreds of times as bright as white. So only what is above a knee is compressed, by a logarithm
//! that joins the straight line below without a bend.

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

    /// One reflection hundreds of times as bright as white does not darken the rest.
    #[test]
    fn a_hot_pixel_leaves_the_picture() {
        let curve = Highlights::new(500.0).unwrap();
        assert_eq!(curve.compress(0.7), 0.7);
        assert!(curve.compress(1.0) > 0.75 && curve.compress(2.0) > curve.compress(1.0));
    }
}
