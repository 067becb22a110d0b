//! Final sizes: what people want a picture for, in pixels.

use serde::{Deserialize, Serialize};

/// How large results are to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FinalSize {
    /// As the model makes them.
    #[default]
    Model,
    /// So many times as large a side.
    Factor(f64),
    /// This width in pixels.
    Width(usize),
    /// This height in pixels.
    Height(usize),
    /// This many pixels on the longer side.
    LongSide(usize),
    /// As large as fits on paper of this size in inches, whichever way it is turned, at a density in dots per inch.
    Print {
        /// Sides of the paper in inches.
        inches: [f64; 2],
        /// Dots per inch.
        dpi: f64,
    },
}

/// Most times as large that can be asked for.
pub const MAX_TIMES: f64 = 16.0;

impl FinalSize {
    /// The size for a picture of `from` pixels with a model of `scale`; proportions are kept.
    pub fn of(self, from: [usize; 2], scale: usize) -> [usize; 2] {
        let [width, height] = from.map(|side| side.max(1) as f64);
        let factor = match self {
            Self::Model => return from.map(|side| side * scale),
            Self::Factor(factor) => factor,
            Self::Width(wanted) => return [wanted, rounded(wanted as f64 * height / width)],
            Self::Height(wanted) => return [rounded(wanted as f64 * width / height), wanted],
            Self::LongSide(wanted) => wanted as f64 / width.max(height),
            Self::Print { inches: [a, b], dpi } => {
                let (long, short) = (a.max(b) * dpi, a.min(b) * dpi);
                (long / width.max(height)).min(short / width.min(height))
            }
        };
        [rounded(width * factor), rounded(height * factor)]
    }

    /// How many times as large a picture gets, by its longer side.
    pub fn times(self, from: [usize; 2], scale: usize) -> f64 {
        let to = self.of(from, scale);
        to[0].max(to[1]) as f64 / from[0].max(from[1]).max(1) as f64
    }

    /// The density to state in results, if the size is one on paper.
    pub fn density(self) -> Option<[f64; 2]> {
        match self {
            Self::Print { dpi, .. } => Some([dpi; 2]),
            _ => None,
        }
    }

    /// Whether a picture of `from` pixels can be brought to the size.
    ///
    /// # Errors
    /// A sentence on what is wrong.
    pub fn check(self, from: [usize; 2], scale: usize) -> Result<(), String> {
        let times = match self {
            Self::Factor(factor) => factor,
            _ => self.times(from, scale),
        };
        if !(times.is_finite() && times > 0.0) {
            return Err("the final size must be a positive, finite number".to_owned());
        }
        if times > MAX_TIMES && matches!(self, Self::Factor(_)) {
            let shown = if times < 1e6 { crate::naming::times(times) } else { format!("{times:.0e}") };
            return Err(format!("scale {shown} is too large; the maximum is {MAX_TIMES:.0} times"));
        }
        if times > MAX_TIMES {
            let [width, height] = self.of(from, scale);
            return Err(format!(
                "{width} x {height} pixels are {times:.2} times the input size; the maximum is {MAX_TIMES:.0} times"
            ));
        }
        Ok(())
    }
}

fn rounded(length: f64) -> usize {
    (length.round() as usize).max(1)
}

/// Paper sizes: `30x20cm`, `8x10in`, `297x210mm`.
///
/// # Errors
/// A sentence on how to write one.
pub fn parse_paper(text: &str) -> Result<[f64; 2], String> {
    let wrong = || format!("invalid paper size \"{text}\"; use a form such as 30x20cm, 297x210mm or 8x10in");
    let text = text.trim().to_ascii_lowercase();
    let (numbers, per_inch) = [("cm", 2.54), ("mm", 25.4), ("in", 1.0)]
        .into_iter()
        .find_map(|(unit, per_inch)| text.strip_suffix(unit).map(|numbers| (numbers, per_inch)))
        .ok_or_else(wrong)?;
    let (a, b) = numbers.split_once('x').ok_or_else(wrong)?;
    let side = |number: &str| {
        number.trim().parse::<f64>().ok().filter(|side| side.is_finite() && *side > 0.0).map(|side| side / per_inch)
    };
    Ok([side(a).ok_or_else(wrong)?, side(b).ok_or_else(wrong)?])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn sizes_keep_proportions() {
        let from = [3000, 2000];
        assert_eq!(FinalSize::Model.of(from, 4), [12_000, 8000]);
        assert_eq!(FinalSize::Factor(2.5).of(from, 2), [7500, 5000]);
        assert_eq!(FinalSize::Width(4501).of(from, 2), [4501, 3001]);
        assert_eq!(FinalSize::Height(4000).of(from, 2), [6000, 4000]);
        assert_eq!(FinalSize::LongSide(6000).of([2000, 3000], 2), [4000, 6000]);
        // 30 x 20 cm at 300 dots per inch, for a picture on its side and one upright.
        let print = FinalSize::Print { inches: parse_paper("30x20cm").unwrap(), dpi: 300.0 };
        assert_eq!(print.of(from, 2), [3543, 2362]);
        assert_eq!(print.of([2000, 3000], 2), [2362, 3543]);
        assert_eq!(print.of([2000, 2000], 2), [2362, 2362], "fits on the shorter side");
        assert_eq!(print.density(), Some([300.0; 2]));
    }

    #[test]
    fn what_makes_no_sense_is_told() {
        assert!(FinalSize::Factor(17.0).check([10, 10], 2).unwrap_err().contains("16 times"));
        assert!(FinalSize::Factor(f64::NAN).check([10, 10], 2).is_err());
        assert!(FinalSize::Factor(16.0).check([10, 10], 2).is_ok());
        for wrong in ["", "30", "30x20", "30x20km", "0x20cm", "ax20in", "-1x2in"] {
            assert!(parse_paper(wrong).unwrap_err().contains("30x20cm"), "{wrong}");
        }
        assert_eq!(parse_paper(" 8x10IN ").unwrap(), [8.0, 10.0]);
    }
}
