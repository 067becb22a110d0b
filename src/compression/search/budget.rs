//! Searching under a budget of the whole network: expected multiply-accumulates are held to it by a multiplier.

use serde::{Deserialize, Serialize};

use crate::{
    Profile,
    allocate::Costs,
    mixture::{SearchSpace, entropy, softmax_of},
};

/// Mean entropy that a search begins with: what the profile says is believed, but not for certain.
const FIRST_ENTROPY: f64 = 0.7;
/// How fast the multiplier follows the constraint, as a share of its first value a step.
const FOLLOW: f32 = 0.5;

/// The price of multiply-accumulates: what one times the whole budget would cost in loss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Multiplier {
    price: f32,
    first: f32,
    temperature: f32,
}

impl Multiplier {
    /// What the probabilities say of the loss that each choice means, beside that of the widest: they are those of loss plus
    /// price at a temperature. Never rising with the width: what is found the other way is noise. Nothing for the widest, so
    /// that a block that goes takes no constant of its layers with it.
    pub(super) fn losses(&self, space: &SearchSpace, costs: &Costs, pi: &[Vec<f64>], share: f64) -> Vec<Vec<f64>> {
        let costs = reference_costs(space, costs, share);
        let of = |(pi, costs): (&Vec<f64>, Vec<f64>)| {
            let (price, temperature) = (f64::from(self.price), f64::from(self.temperature));
            let loss = |(cost, p): (&f64, &f64)| -temperature * p.max(1e-300).ln() - price * cost;
            let mut losses: Vec<f64> = costs.iter().zip(pi).map(loss).collect();
            for index in (0..losses.len().saturating_sub(1)).rev() {
                losses[index] = losses[index].max(losses[index + 1]);
            }
            let widest = losses.last().copied().unwrap_or_default();
            losses.iter_mut().for_each(|loss| *loss -= widest);
            losses
        };
        pi.iter().zip(costs).map(of).collect()
    }

    /// The gradient of `price * (E[MACs] / budget - 1)` with respect to alpha; then the price follows the constraint
    /// (dual ascent).
    pub(super) fn gradient(
        &mut self,
        space: &SearchSpace,
        costs: &Costs,
        probabilities: &[Vec<f64>],
        share: f64,
    ) -> Vec<f32> {
        let mut gradient = Vec::with_capacity(space.len());
        for (costs, pi) in unit_costs(space, costs, probabilities, share).iter().zip(probabilities) {
            let expected: f64 = costs.iter().zip(pi).map(|(cost, p)| cost * p).sum();
            for (cost, p) in costs.iter().zip(pi) {
                gradient.push((f64::from(self.price) * p * (cost - expected)) as f32);
            }
        }
        let excess = expected_share(space, costs, probabilities) / share - 1.0;
        self.price = (self.price + FOLLOW * self.first * excess as f32).max(0.0);
        gradient
    }
}

/// Expected widths of the layers, and how likely each block stays.
fn expectation(space: &SearchSpace, costs: &Costs, probabilities: &[Vec<f64>]) -> (Vec<f64>, Vec<f64>) {
    let of = |(widths, pi): (&Vec<usize>, &Vec<f64>)| widths.iter().zip(pi).map(|(&width, p)| width as f64 * p).sum();
    let (layers, gates) = probabilities.split_at(space.layers());
    let widths = space.candidates.iter().zip(layers).map(of).collect();
    let stay = if space.has_blocks() { gates.iter().map(|pi| pi[1]).collect() } else { vec![1.0; costs.blocks.len()] };
    (widths, stay)
}

fn expected_share(space: &SearchSpace, costs: &Costs, probabilities: &[Vec<f64>]) -> f64 {
    let (widths, stay) = expectation(space, costs, probabilities);
    costs.share_of(&widths, &stay)
}

/// What each candidate costs while all others are as likely as they are, as a share of the budget: what its probability is
/// multiplied with in the expectation of the multiply-accumulates.
fn unit_costs(space: &SearchSpace, costs: &Costs, probabilities: &[Vec<f64>], share: f64) -> Vec<Vec<f64>> {
    let (expected, stay) = expectation(space, costs, probabilities);
    let layer = |(layer, widths): (usize, &Vec<usize>)| -> Vec<f64> {
        let stays = costs.block_of(layer).map_or(1.0, |block| stay[block]);
        widths.iter().map(|&width| costs.of_width(layer, width as f64) * stays / costs.total / share).collect()
    };
    let gate = |(block, layers): (usize, &Vec<usize>)| -> Vec<f64> {
        let channels: f64 = layers.iter().map(|&layer| costs.of_width(layer, expected[layer])).sum();
        vec![0.0, (channels + costs.of_block[block]) / costs.total / share]
    };
    let mut all: Vec<Vec<f64>> = space.candidates[..space.layers()].iter().enumerate().map(layer).collect();
    if space.has_blocks() {
        all.extend(costs.blocks.iter().enumerate().map(gate));
    }
    all
}

/// What each candidate costs in the whole network, as a share of the budget. What a choice costs depends on how likely the
/// others are; probabilities are made of losses, and read as losses, at these.
fn reference_costs(space: &SearchSpace, costs: &Costs, share: f64) -> Vec<Vec<f64>> {
    let certain = |widths: &Vec<usize>| {
        (0..widths.len()).map(|index| f64::from(u8::from(index + 1 == widths.len()))).collect::<Vec<f64>>()
    };
    let whole: Vec<Vec<f64>> = space.candidates.iter().map(certain).collect();
    unit_costs(space, costs, &whole, share)
}

/// Alphas from the sensitivity profile: probabilities `exp(-(rise + price * cost) / temperature)`, the price such that
/// the expected network meets its budget, the temperature such that the search still has something to find.
pub(super) fn beginning(
    profile: &Profile,
    space: &SearchSpace,
    costs: &Costs,
    share: f64,
    lambda: f64,
) -> (Vec<f32>, Multiplier) {
    let layers = space.candidates[..space.layers()].iter().enumerate().map(|(unit, candidates)| {
        let (measured, rises) = (&profile.units[unit].widths, profile.rises(unit, lambda));
        let at = |width| measured.iter().position(|m| m == width).expect("every candidate was measured");
        candidates.iter().map(|width| rises[at(width)]).collect::<Vec<f64>>()
    });
    from_rises(&layers.collect::<Vec<_>>(), &profile.rises_without(lambda), space, costs, share)
}

/// The same from what the loss rises by with each candidate, and without each block.
fn from_rises(
    layers: &[Vec<f64>],
    gone: &[f64],
    space: &SearchSpace,
    costs: &Costs,
    share: f64,
) -> (Vec<f32>, Multiplier) {
    let gates = gone.iter().map(|&rise| vec![rise, 0.0]);
    let rises: Vec<Vec<f64>> = layers.iter().cloned().chain(gates.filter(|_| space.has_blocks())).collect();
    let reference = reference_costs(space, costs, share);
    let logits = |price: f64, temperature: f64| -> Vec<Vec<f32>> {
        let of = |(rises, costs): (&Vec<f64>, &Vec<f64>)| {
            let logit = |(rise, cost): (&f64, &f64)| (-(rise + price * cost) / temperature) as f32;
            let logits: Vec<f32> = rises.iter().zip(costs).map(logit).collect();
            // Only differences count; around zero the weight decay pulls nowhere.
            let mean = logits.iter().sum::<f32>() / logits.len() as f32;
            logits.into_iter().map(|logit| logit - mean).collect()
        };
        rises.iter().zip(&reference).map(of).collect()
    };
    let probabilities = |logits: &[Vec<f32>]| -> Vec<Vec<f64>> { logits.iter().map(|l| softmax_of(l)).collect() };
    let price_at = |temperature: f64| {
        let excess = |price: f64| expected_share(space, costs, &probabilities(&logits(price, temperature))) - share;
        bisect(1e-6, 1e6, excess)
    };
    // Entropy rises with the temperature.
    let lacking =
        |temperature: f64| FIRST_ENTROPY - entropy(&probabilities(&logits(price_at(temperature), temperature)));
    let temperature = bisect(1e-6, 1e4, lacking);
    let price = price_at(temperature);
    (
        logits(price, temperature).concat(),
        Multiplier { price: price as f32, first: price as f32, temperature: temperature as f32 },
    )
}

/// Where `excess`, which falls, crosses zero, on a logarithmic scale.
fn bisect(mut low: f64, mut high: f64, excess: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..60 {
        let middle = (low * high).sqrt();
        if excess(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    (low * high).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a search begins with is what the profile says: read back from the probabilities, losses are its rises, of blocks
    /// as well.
    #[test]
    fn the_beginning_says_what_the_profile_says() {
        let candidates = vec![vec![1, 8, 16, 32]; 3];
        let rises = vec![vec![0.3, 0.1, 0.02, 0.0], vec![0.2, 0.06, 0.01, 0.0], vec![0.5, 0.2, 0.1, 0.0]];
        let gone = vec![0.32, 0.21];
        let costs = Costs::example(vec![1.0, 1.0, 2.0], vec![5.0, 3.0], vec![vec![0], vec![1]], 32.0);
        let space = SearchSpace::example(candidates, vec![vec![0], vec![1]]);
        for share in [0.4, 0.6, 0.8] {
            let (alpha, multiplier) = from_rises(&rises, &gone, &space, &costs, share);
            let probabilities = space.probabilities(&alpha);
            assert!(expected_share(&space, &costs, &probabilities) < share + 0.01, "{share}");
            let losses = multiplier.losses(&space, &costs, &probabilities, share);
            let all = rises.iter().cloned().chain(gone.iter().map(|&gone| vec![gone, 0.0]));
            for (unit, expected) in all.enumerate() {
                for (found, expected) in losses[unit].iter().zip(&expected) {
                    assert!((found - expected).abs() < 0.01, "{share}, {unit}: {:?} {expected}", losses[unit]);
                }
            }
        }
    }
}
