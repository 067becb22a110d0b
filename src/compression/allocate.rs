//! Sharing a budget of multiply-accumulates among units: a knapsack with one choice a unit.

use crate::{CompressionError, Result, layers::Layers};

/// What widths cost. Exact for whole widths; for the knapsack, linear in each width, which it is where no layer lies between
/// two that are pruned.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    layers: Option<Layers>,
    /// Multiply-accumulates that no width changes.
    fixed: f64,
    /// Multiply-accumulates of one channel of each layer.
    pub(crate) of_channel: Vec<f64>,
    /// Those of the whole network.
    pub(crate) total: f64,
}

impl Costs {
    pub(crate) fn of(layers: &Layers) -> Self {
        let full: Vec<f64> = layers.widths.iter().map(|&width| width as f64).collect();
        let (total, _) = layers.cost_of(&full);
        let ones = vec![1.0; full.len()];
        let (least, _) = layers.cost_of(&ones);
        let marginal: Vec<f64> = (0..full.len())
            .map(|layer| {
                let mut narrower = full.clone();
                narrower[layer] -= 1.0;
                total - layers.cost_of(&narrower).0
            })
            .collect();
        // Where layers share a convolution the savings of both are no sum: brought to the cost of the narrowest network.
        let saved: f64 = marginal.iter().zip(&full).map(|(cost, width)| cost * (width - 1.0)).sum();
        let factor = if saved > 0.0 { (total - least) / saved } else { 1.0 };
        let of_channel: Vec<f64> = marginal.into_iter().map(|cost| cost * factor).collect();
        let variable: f64 = of_channel.iter().zip(&full).map(|(cost, width)| cost * width).sum();
        Self { layers: Some(layers.clone()), fixed: total - variable, of_channel, total }
    }

    /// Multiply-accumulates of a network with expected `widths` as a share of the original's.
    pub(crate) fn share_of(&self, widths: impl IntoIterator<Item = f64>) -> f64 {
        let variable: f64 = widths.into_iter().zip(&self.of_channel).map(|(width, cost)| width * cost).sum();
        (self.fixed + variable) / self.total
    }

    /// The same of whole widths, exact.
    pub(crate) fn share(&self, widths: &[usize]) -> f64 {
        match &self.layers {
            Some(layers) => layers.cost(widths).0 / self.total,
            None => self.linear(widths),
        }
    }

    fn linear(&self, widths: &[usize]) -> f64 {
        self.share_of(widths.iter().map(|&width| width as f64))
    }
}

/// How often the budget of the linear costs is brought nearer to that of the exact ones.
const ROUNDS: usize = 10;

/// For each layer one of its `candidates` (ascending), so that the sum of `penalties` is least among all choices whose
/// multiply-accumulates are at most `share` of the original's, up to a rounding of 1/4096 a layer.
///
/// # Errors
/// If the narrowest candidates are too much already.
pub(crate) fn allocate(
    costs: &Costs,
    candidates: &[Vec<usize>],
    penalties: &[Vec<f64>],
    share: f64,
) -> Result<Vec<usize>> {
    let narrowest: Vec<usize> = candidates.iter().map(|of| of[0]).collect();
    let least = costs.share(&narrowest);
    if least > share + 1e-12 {
        return Err(CompressionError::Budget { wanted: share, least });
    }
    let mut best = narrowest;
    // Linear costs say too much of a network between the whole and the narrowest: the budget they are given is raised for as
    // long as the network stays within its own.
    let (mut low, mut high) = (share, 1.0);
    for round in 0..ROUNDS {
        let tried = if round == 0 { share } else { (low + high) / 2.0 };
        let found = allocate_linear(costs, candidates, penalties, tried);
        match found {
            Ok(found) if costs.share(&found) <= share + 1e-12 => {
                let used = costs.share(&found);
                best = found;
                low = tried;
                if share - used < 2e-3 && round > 0 || round == 0 && (costs.linear(&best) - used).abs() < 1e-9 {
                    break;
                }
            }
            _ => high = tried,
        }
    }
    Ok(best)
}

/// Steps that the budget is counted in.
const STEPS: usize = 4096;

fn allocate_linear(costs: &Costs, candidates: &[Vec<usize>], penalties: &[Vec<f64>], share: f64) -> Result<Vec<usize>> {
    let widths = |pick: &dyn Fn(usize) -> usize| -> Vec<usize> {
        candidates.iter().enumerate().map(|(unit, of)| of[pick(unit)]).collect()
    };
    let best_alone = widths(&|unit| {
        let penalties = &penalties[unit];
        // Among equals the widest.
        (0..penalties.len()).rev().min_by(|&a, &b| penalties[a].total_cmp(&penalties[b])).unwrap_or_default()
    });
    if costs.linear(&best_alone) <= share {
        return Ok(best_alone);
    }
    let least = costs.linear(&widths(&|_| 0));
    if least > share {
        return Err(CompressionError::Budget { wanted: share, least });
    }
    // What is above the narrowest choice, in steps of the budget that is left for it; rounded up, so that the sum
    // never exceeds it.
    let step = (share - least) * costs.total / STEPS as f64;
    let steps = |unit: usize, width: usize| {
        let above = (width - candidates[unit][0]) as f64 * costs.of_channel[unit];
        if above == 0.0 { 0 } else { (above / step).ceil() as usize }
    };
    let mut best = vec![0.0; STEPS + 1];
    let mut choices: Vec<Vec<u16>> = Vec::with_capacity(candidates.len());
    for (unit, of) in candidates.iter().enumerate() {
        let mut next = vec![f64::INFINITY; STEPS + 1];
        let mut choice = vec![0_u16; STEPS + 1];
        for (index, &width) in of.iter().enumerate() {
            let price = steps(unit, width);
            for budget in price..=STEPS {
                let value = best[budget - price] + penalties[unit][index];
                if value <= next[budget] {
                    next[budget] = value;
                    choice[budget] = index as u16;
                }
            }
        }
        best = next;
        choices.push(choice);
    }
    let mut left = STEPS;
    let mut chosen = vec![0; candidates.len()];
    for (unit, choice) in choices.iter().enumerate().rev() {
        let index = usize::from(choice[left]);
        chosen[unit] = candidates[unit][index];
        left -= steps(unit, chosen[unit]);
    }
    Ok(chosen)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_network::{Architecture, Description, Preset};

    use super::*;

    fn layers(architecture: &Architecture) -> Layers {
        Layers::described(&Description::drn("t", architecture).unwrap())
    }

    /// Against trying every choice.
    #[test]
    fn the_best_affordable_choice_is_found() {
        let costs = Costs { layers: None, fixed: 5.0, of_channel: vec![1.0, 3.0, 2.0], total: 5.0 + 8.0 + 24.0 + 16.0 };
        let candidates = vec![vec![2, 4, 8]; 3];
        let penalties = vec![vec![9.0, 4.03, 0.0], vec![5.0, 1.0, 0.0], vec![3.1, 2.9, 0.0]];
        for percent in 33..=100 {
            let share = f64::from(percent) / 100.0;
            let mut best: Option<(f64, Vec<usize>)> = None;
            for choice in 0..27 {
                let picks = [choice / 9, choice / 3 % 3, choice % 3];
                let widths: Vec<usize> = picks.iter().enumerate().map(|(unit, &pick)| candidates[unit][pick]).collect();
                let value: f64 = picks.iter().enumerate().map(|(unit, &pick)| penalties[unit][pick]).sum();
                if costs.share(&widths) <= share && best.as_ref().is_none_or(|(least, _)| value < *least) {
                    best = Some((value, widths));
                }
            }
            match best {
                Some((_, expected)) => {
                    assert_eq!(allocate(&costs, &candidates, &penalties, share).unwrap(), expected, "{percent} %");
                }
                None => assert!(allocate(&costs, &candidates, &penalties, share).is_err(), "{percent} %"),
            }
        }
    }

    /// What an instant network for any ratio up to 0.9 needs.
    #[test]
    fn every_preset_can_lose_nine_tenths() {
        for preset in [Preset::T, Preset::S, Preset::L] {
            for scale in [2, 4, 8] {
                let full = Architecture::preset(preset, scale).unwrap();
                let least = Costs::of(&layers(&full)).share(&vec![1; full.widths.len()]);
                assert!(least <= 0.1, "{preset:?} x{scale}: {least}");
            }
        }
    }

    #[test]
    fn costs_are_those_of_the_counter() {
        let full = Architecture::new(4, 8, 2).unwrap();
        let costs = Costs::of(&layers(&full));
        let widths: Vec<usize> = full.widths.iter().enumerate().map(|(unit, width)| width - unit % 5).collect();
        let macs = |architecture: &Architecture| architecture.graph().unwrap().cost(96, 96).macs() as f64;
        let expected = macs(&full.with_widths(widths.clone()).unwrap()) / macs(&full);
        assert!((costs.share(&widths) - expected).abs() < 1e-12);
        assert!((costs.linear(&widths) - expected).abs() < 1e-12, "linear in each width");
    }
}
