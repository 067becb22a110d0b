//! Widths that a search may choose from, and widths without a search.

use crate::{CompressionError, Result, allocate::Costs, layers::Layers};

/// Shares of the budgeted width that the published search tries.
const SHARES: [f64; 6] = [0.5, 0.6, 0.7, 0.8, 0.9, 1.0];

/// Candidate widths of a prunable layer of `full` channels at `ratio` (section 4.2): shares of the budgeted width in multiples of
/// 4, the same width once, ascending. The largest is within a rounding of `(1 - ratio) * full`, which is how the
/// published search meets its budget.
pub fn paper_candidates(full: usize, ratio: f64) -> Vec<usize> {
    let least = full.min(4);
    let mut candidates: Vec<usize> = SHARES
        .iter()
        .map(|share| {
            // A hair is added: 64 * 0.5 * 0.9 must not become 28 because it is 28.799999.
            let width = (full as f64 * (1.0 - ratio) * share + 1e-9) as usize;
            let rounded = width / 4 * 4 + if width % 4 > 2 { 4 } else { 0 };
            rounded.clamp(least, full)
        })
        .collect();
    candidates.dedup();
    candidates
}

/// Widths that a sensitivity profile measures of a layer: multiples of 4 up to the full width; of one that has to stay also 1
/// and 2, for budgets that 4 channels everywhere would exceed. A block that can go is never so narrow: it would cost half of
/// its time for nothing.
pub(crate) fn profile_widths(full: usize, can_go: bool) -> Vec<usize> {
    let narrow = if can_go && full > 4 { [].as_slice() } else { [1, 2].as_slice() };
    let widths = narrow.iter().copied().chain((4..full).step_by(4)).filter(|&width| width < full);
    widths.chain([full]).collect()
}

/// Least share of its channels that a layer keeps where the budget can be met so: losses are measured a layer at a time, and
/// of several bottlenecks in a row each looks harmless.
const MIN_SHARE: f64 = 0.25;

/// [`profile_widths`] of all layers that are weighed against each other for a budget.
pub(crate) fn budget_widths(layers: &Layers, costs: &Costs, share: f64) -> Vec<Vec<usize>> {
    let of = |least: f64| -> Vec<Vec<usize>> {
        let widths = |(layer, &full): (usize, &usize)| {
            let all = profile_widths(full, layers.block_of(layer).is_some()).into_iter();
            all.filter(|&width| width as f64 >= least * full as f64).collect()
        };
        layers.widths.iter().enumerate().map(widths).collect()
    };
    let wide = of(MIN_SHARE);
    let goes = |layer: usize| layers.block_of(layer).is_some();
    let narrowest: Vec<usize> = (0..layers.len()).map(|layer| if goes(layer) { 0 } else { wide[layer][0] }).collect();
    if costs.share(&narrowest) <= share { wide } else { of(0.0) }
}

/// The same share of every prunable layer: `ceil((1 - ratio) * width)`, the control of the published experiments.
pub fn uniform_widths(layers: &Layers, ratio: f64) -> Vec<usize> {
    let kept = |&width: &usize| (((1.0 - ratio) * width as f64 - 1e-9).ceil() as usize).clamp(1, width);
    layers.widths.iter().map(kept).collect()
}

/// The same share of every prunable layer, the largest whose costs stay within `1 - ratio` of the network's.
///
/// # Errors
/// If one channel a prunable layer is too much already.
pub(crate) fn uniform_within(layers: &Layers, costs: &Costs, ratio: f64) -> Result<Vec<usize>> {
    let least = costs.share(&vec![1; layers.widths.len()]);
    if least > 1.0 - ratio {
        return Err(CompressionError::Budget { wanted: 1.0 - ratio, least });
    }
    // Shares in thousandths: fine enough for 160 channels.
    let within = (0..1000).map(|share| uniform_widths(layers, f64::from(share) / 1000.0));
    let found = within.into_iter().find(|widths| costs.share(widths) <= 1.0 - ratio);
    Ok(found.unwrap_or_else(|| vec![1; layers.widths.len()]))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_network::{Architecture, Description, Preset};

    use super::*;

    fn layers(architecture: &Architecture) -> Layers {
        Layers::of(&Description::drn("t", architecture).unwrap().network, false)
    }

    /// The table of section 4.2, duplicates merged.
    #[test]
    fn candidates_are_the_published_ones() {
        let of = |full, ratio| paper_candidates(full, ratio);
        assert_eq!(of(64, 0.3), [20, 24, 32, 36, 40, 44]);
        assert_eq!(of(64, 0.5), [16, 20, 24, 28, 32]);
        assert_eq!(of(64, 0.7), [8, 12, 16, 20]);
        assert_eq!(of(32, 0.3), [12, 16, 20]);
        assert_eq!(of(32, 0.5), [8, 12, 16]);
        assert_eq!(of(32, 0.7), [4, 8]);
        assert_eq!(of(16, 0.3), [4, 8, 12]);
        assert_eq!(of(16, 0.5), [4, 8]);
        assert_eq!(of(16, 0.7), [4]);
        assert_eq!(of(8, 0.3), [4]);
        assert_eq!(of(2, 0.5), [2], "a unit narrower than the least width stays");
    }

    /// Section 5.3, without the 24 parameters of the published mean shifts.
    #[test]
    fn uniform_cuts_of_the_presets_have_the_published_counts() {
        for (scale, ratio, parameters, giga_macs) in [
            (4, 0.3, 3_391_525, 77.41),
            (4, 0.5, 2_423_777, 55.15),
            (4, 0.7, 1_531_169, 34.61),
            (8, 0.3, 3_823_762, 140.82),
            (8, 0.5, 2_726_264, 99.40),
            (8, 0.7, 1_722_596, 62.46),
        ] {
            let full = Architecture::preset(Preset::S, scale).unwrap();
            let cut = full.with_widths(uniform_widths(&layers(&full), ratio)).unwrap();
            let cost = cut.graph().unwrap().cost(96, 96);
            assert_eq!(cost.parameters(), parameters - 24, "x{scale} at {ratio}");
            // The published figures count the mean shifts: 12 MACs a pixel, at input size once and for every picture.
            assert!((cost.macs() as f64 / 1e9 - giga_macs).abs() < 0.02, "x{scale} at {ratio}: {}", cost.macs());
        }
    }

    #[test]
    fn a_uniform_network_uses_its_budget_and_not_more() {
        let full = layers(&Architecture::preset(Preset::T, 2).unwrap());
        for ratio in [0.3, 0.5, 0.7, 0.9] {
            let share = Costs::of(&full).share(&uniform_within(&full, &Costs::of(&full), ratio).unwrap());
            assert!(share <= 1.0 - ratio && share > 1.0 - ratio - 0.06, "{ratio}: {share}");
        }
        assert!(matches!(uniform_within(&full, &Costs::of(&full), 0.99), Err(CompressionError::Budget { .. })));
    }
}
