//! Searching under a budget of the whole network: expected multiply-accumulates are held to it by a multiplier.

use serde::{Deserialize, Serialize};

use crate::{
    CompressionError, Profile, Result,
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
    /// What the probabilities say of the loss that each width means, up to a constant a unit: they are those of loss
    /// plus price at a temperature. Never rising with the width: what is found the other way is noise.
    pub(super) fn losses(&self, space: &SearchSpace, costs: &Costs, pi: &[Vec<f64>], share: f64) -> Vec<Vec<f64>> {
        let of = |(unit, widths): (usize, &Vec<usize>)| {
            let (price, temperature) = (f64::from(self.price), f64::from(self.temperature));
            let cost = |width: usize| price * width as f64 * costs.of_channel[unit] / costs.total / share;
            let loss = |(&width, p): (&usize, &f64)| -temperature * p.max(1e-300).ln() - cost(width);
            let mut losses: Vec<f64> = widths.iter().zip(&pi[unit]).map(loss).collect();
            for index in (0..losses.len().saturating_sub(1)).rev() {
                losses[index] = losses[index].max(losses[index + 1]);
            }
            losses
        };
        space.candidates.iter().enumerate().map(of).collect()
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
        let expected = expected_widths(space, probabilities);
        let mut gradient = Vec::with_capacity(space.len());
        for (unit, (widths, pi)) in space.candidates.iter().zip(probabilities).enumerate() {
            let of_channel = costs.of_channel[unit] / costs.total / share;
            for (&width, p) in widths.iter().zip(pi) {
                gradient.push((f64::from(self.price) * of_channel * p * (width as f64 - expected[unit])) as f32);
            }
        }
        let excess = costs.share_of(expected) / share - 1.0;
        self.price = (self.price + FOLLOW * self.first * excess as f32).max(0.0);
        gradient
    }
}

fn expected_widths(space: &SearchSpace, probabilities: &[Vec<f64>]) -> Vec<f64> {
    let of = |(widths, pi): (&Vec<usize>, &Vec<f64>)| widths.iter().zip(pi).map(|(&width, p)| width as f64 * p).sum();
    space.candidates.iter().zip(probabilities).map(of).collect()
}

/// Alphas from the sensitivity profile: probabilities `exp(-(rise + price * cost) / temperature)`, the price such that
/// the expected network meets its budget, the temperature such that the search still has something to find.
pub(super) fn beginning(
    profile: &Profile,
    space: &SearchSpace,
    costs: &Costs,
    share: f64,
    lambda: f64,
) -> Result<(Vec<f32>, Multiplier)> {
    let narrowest: Vec<usize> = space.candidates.iter().map(|widths| widths[0]).collect();
    let least = costs.share(&narrowest);
    if least > share {
        return Err(CompressionError::Budget { wanted: share, least });
    }
    let rises: Vec<Vec<f64>> = (0..space.candidates.len())
        .map(|unit| {
            let (measured, rises) = (&profile.units[unit].widths, profile.rises(unit, lambda));
            let at = |width| measured.iter().position(|m| m == width).expect("every candidate was measured");
            space.candidates[unit].iter().map(|width| rises[at(width)]).collect()
        })
        .collect();
    let logits = |price: f64, temperature: f64| -> Vec<Vec<f32>> {
        let of = |(unit, widths): (usize, &Vec<usize>)| {
            let cost = |width: usize| width as f64 * costs.of_channel[unit] / costs.total / share;
            let logit = |(&width, rise): (&usize, &f64)| (-(rise + price * cost(width)) / temperature) as f32;
            let logits: Vec<f32> = widths.iter().zip(&rises[unit]).map(logit).collect();
            // Only differences count; around zero the weight decay pulls nowhere.
            let mean = logits.iter().sum::<f32>() / logits.len() as f32;
            logits.into_iter().map(|logit| logit - mean).collect()
        };
        space.candidates.iter().enumerate().map(of).collect()
    };
    let probabilities = |logits: &[Vec<f32>]| -> Vec<Vec<f64>> { logits.iter().map(|l| softmax_of(l)).collect() };
    let price_at = |temperature: f64| {
        let excess =
            |price: f64| costs.share_of(expected_widths(space, &probabilities(&logits(price, temperature)))) - share;
        bisect(1e-6, 1e6, excess)
    };
    // Entropy rises with the temperature.
    let lacking =
        |temperature: f64| FIRST_ENTROPY - entropy(&probabilities(&logits(price_at(temperature), temperature)));
    let temperature = bisect(1e-6, 1e4, lacking);
    let price = price_at(temperature);
    Ok((
        logits(price, temperature).concat(),
        Multiplier { price: price as f32, first: price as f32, temperature: temperature as f32 },
    ))
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
