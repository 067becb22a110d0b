//! Sharing a budget of multiply-accumulates, or of time, among layers and blocks: a knapsack with one choice a layer, and for blocks that
//! can go as a whole the choice to do so.

use crate::{CompressionError, Result, layers::Layers, times::TimeTable};

/// What widths cost. Exact for whole widths; for the knapsack, linear in each width, which it is where no layer lies between
/// two that are pruned.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    layers: Option<Layers>,
    /// Multiply-accumulates that no width changes.
    fixed: f64,
    /// Multiply-accumulates of one channel of each layer.
    pub(crate) of_channel: Vec<f64>,
    /// What goes with each block beside its channels.
    pub(crate) of_block: Vec<f64>,
    /// Layers of each block that can go as a whole.
    pub(crate) blocks: Vec<Vec<usize>>,
    /// Those of the whole network.
    pub(crate) total: f64,
    /// What widths cost in time, where that is what is shared: all above is milliseconds then.
    times: Option<TimeTable>,
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
        let blocks: Vec<Vec<usize>> = layers.blocks.iter().map(|block| block.layers.clone()).collect();
        let of_block: Vec<f64> = blocks
            .iter()
            .map(|block| {
                let mut without = ones.clone();
                block.iter().for_each(|&layer| without[layer] = 0.0);
                let channels: f64 = block.iter().map(|&layer| of_channel[layer]).sum();
                (least - layers.cost_of(&without).0 - channels).max(0.0)
            })
            .collect();
        let variable: f64 = of_channel.iter().zip(&full).map(|(cost, width)| cost * width).sum();
        let fixed = total - variable - of_block.iter().sum::<f64>();
        Self { layers: Some(layers.clone()), fixed, of_channel, of_block, blocks, total, times: None }
    }

    /// In milliseconds if it is known what they are, else in multiply-accumulates.
    pub(crate) fn under(layers: &Layers, times: Option<&TimeTable>) -> Self {
        let macs = Self::of(layers);
        let Some(times) = times else { return macs };
        Self {
            layers: None,
            fixed: times.fixed,
            of_channel: Vec::new(),
            of_block: times.blocks.clone(),
            blocks: macs.blocks,
            total: times.whole,
            times: Some(times.clone()),
        }
    }

    /// What a layer costs at a width, which may be an expectation, while its block stays.
    pub(crate) fn of_width(&self, layer: usize, width: f64) -> f64 {
        match &self.times {
            Some(times) => times.of_layer(layer, width),
            None => width * self.of_channel[layer],
        }
    }

    /// Costs of layers of `width` channels each, and blocks of them.
    #[cfg(test)]
    pub(crate) fn example(of_channel: Vec<f64>, of_block: Vec<f64>, blocks: Vec<Vec<usize>>, width: f64) -> Self {
        let total = 5.0 + width * of_channel.iter().sum::<f64>() + of_block.iter().sum::<f64>();
        Self { layers: None, fixed: 5.0, of_channel, of_block, blocks, total, times: None }
    }

    /// The block that a layer lies in.
    pub(crate) fn block_of(&self, layer: usize) -> Option<usize> {
        self.blocks.iter().position(|block| block.contains(&layer))
    }

    /// Multiply-accumulates of a network with expected `widths` and blocks that `stay` with a probability, as a share of the
    /// original's.
    pub(crate) fn share_of(&self, widths: &[f64], stay: &[f64]) -> f64 {
        let layer = |(layer, width): (usize, &f64)| {
            self.of_width(layer, *width) * self.block_of(layer).map_or(1.0, |block| stay[block])
        };
        let channels: f64 = widths.iter().enumerate().map(layer).sum();
        let blocks: f64 = stay.iter().zip(&self.of_block).map(|(stay, cost)| stay * cost).sum();
        (self.fixed + channels + blocks) / self.total
    }

    /// The same of whole widths, exact.
    pub(crate) fn share(&self, widths: &[usize]) -> f64 {
        match &self.layers {
            Some(layers) => layers.cost(widths).0 / self.total,
            None => self.linear(widths),
        }
    }

    fn linear(&self, widths: &[usize]) -> f64 {
        let stays = |block: &Vec<usize>| f64::from(u8::from(block.iter().any(|&layer| widths[layer] > 0)));
        let stay: Vec<f64> = self.blocks.iter().map(stays).collect();
        self.share_of(&widths.iter().map(|&width| width as f64).collect::<Vec<_>>(), &stay)
    }
}

/// What layers and blocks may be, and what that would do to the loss.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choices {
    /// Widths that each layer may have, ascending, above 0.
    pub(crate) widths: Vec<Vec<usize>>,
    /// What the loss rises by with each of them.
    pub(crate) penalties: Vec<Vec<f64>>,
    /// What it rises by without each block; none where the block has to stay.
    pub(crate) gone: Vec<Option<f64>>,
}

impl Choices {
    /// The cheapest network there is among them.
    pub(crate) fn narrowest(&self, costs: &Costs) -> Vec<usize> {
        let goes = |layer: usize| costs.block_of(layer).is_some_and(|block| self.gone[block].is_some());
        (0..self.widths.len()).map(|layer| if goes(layer) { 0 } else { self.widths[layer][0] }).collect()
    }
}

/// How often the budget of the linear costs is brought nearer to that of the exact ones.
const ROUNDS: usize = 10;

/// For each layer one of its widths, or none for a whole block, so that the sum of penalties is least among all choices whose
/// multiply-accumulates are at most `share` of the original's, up to a rounding of 1/4096 a layer.
///
/// # Errors
/// If the narrowest choice is too much already.
pub(crate) fn allocate(costs: &Costs, choices: &Choices, share: f64) -> Result<Vec<usize>> {
    let narrowest = choices.narrowest(costs);
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
        let found = allocate_linear(costs, choices, tried);
        match found {
            Some(found) if costs.share(&found) <= share + 1e-12 => {
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

/// Least penalty at each number of steps, and what was chosen to come there.
struct Table {
    best: Vec<f64>,
}

/// What was chosen for a part at each number of steps: the index of a layer's width, or whether a block went.
enum Choice {
    Width { layer: usize, index: Vec<u16> },
    Stays { block: usize, steps: usize },
    Gone { block: usize, went: Vec<bool> },
}

fn allocate_linear(costs: &Costs, choices: &Choices, share: f64) -> Option<Vec<usize>> {
    let mut best_alone: Vec<usize> = (0..choices.widths.len())
        .map(|layer| {
            let penalties = &choices.penalties[layer];
            // Among equals the widest.
            let best = (0..penalties.len()).rev().min_by(|&a, &b| penalties[a].total_cmp(&penalties[b]));
            choices.widths[layer][best.unwrap_or_default()]
        })
        .collect();
    // A block may be better gone than at its best.
    for (block, gone) in choices.gone.iter().enumerate() {
        let layers = (0..choices.widths.len()).filter(|&layer| costs.block_of(layer) == Some(block));
        let layers: Vec<usize> = layers.collect();
        let at_best = |layer: &usize| choices.penalties[*layer].iter().copied().fold(f64::INFINITY, f64::min);
        if gone.is_some_and(|gone| gone < layers.iter().map(at_best).sum::<f64>()) {
            layers.into_iter().for_each(|layer| best_alone[layer] = 0);
        }
    }
    if costs.linear(&best_alone) <= share {
        return Some(best_alone);
    }
    let narrowest = choices.narrowest(costs);
    let least = costs.linear(&narrowest);
    if least > share {
        return None;
    }
    // What is above the narrowest choice, in steps of the budget that is left for it; rounded up, so that the sum
    // never exceeds it.
    let step = ((share - least) * costs.total / STEPS as f64).max(f64::MIN_POSITIVE);
    let steps = |cost: f64| if cost <= 0.0 { 0 } else { (cost / step).ceil().min(1e9) as usize };
    let cost = |layer: usize, width: usize| costs.of_width(layer, width as f64);
    let width_steps = |layer: usize, width: usize| steps(cost(layer, width) - cost(layer, narrowest[layer]));
    let mut table = Table { best: vec![0.0; STEPS + 1] };
    let mut chosen: Vec<Choice> = Vec::new();
    let mut done = vec![false; choices.widths.len()];
    for layer in 0..choices.widths.len() {
        if done[layer] {
            continue;
        }
        let going = costs.block_of(layer).filter(|&block| choices.gone[block].is_some());
        let Some(block) = going else {
            chosen.push(table.width(layer, choices, &|width| width_steps(layer, width)));
            continue;
        };
        let before = table.best.clone();
        let fixed = steps(costs.of_block[block]);
        table.shift(fixed);
        chosen.push(Choice::Stays { block, steps: fixed });
        for &inner in &costs.blocks[block] {
            done[inner] = true;
            chosen.push(table.width(inner, choices, &|width| width_steps(inner, width)));
        }
        let penalty = choices.gone[block].unwrap_or_default();
        let went: Vec<bool> = table.best.iter().zip(&before).map(|(stays, before)| before + penalty < *stays).collect();
        for at in (0..=STEPS).filter(|&at| went[at]) {
            table.best[at] = before[at] + penalty;
        }
        chosen.push(Choice::Gone { block, went });
    }
    let mut widths = narrowest.clone();
    let mut left = STEPS;
    let mut skipping = None;
    for choice in chosen.iter().rev() {
        match choice {
            Choice::Gone { block, went } if went[left] => skipping = Some(*block),
            Choice::Gone { .. } => {}
            Choice::Stays { block, .. } if skipping == Some(*block) => skipping = None,
            Choice::Stays { steps, .. } => left -= steps,
            Choice::Width { .. } if skipping.is_some() => {}
            Choice::Width { layer, index } => {
                widths[*layer] = choices.widths[*layer][usize::from(index[left])];
                left -= width_steps(*layer, widths[*layer]);
            }
        }
    }
    Some(widths)
}

impl Table {
    /// Adds the choice of a layer's width.
    fn width(&mut self, layer: usize, choices: &Choices, steps: &dyn Fn(usize) -> usize) -> Choice {
        let mut next = vec![f64::INFINITY; STEPS + 1];
        let mut choice = vec![0_u16; STEPS + 1];
        for (index, &width) in choices.widths[layer].iter().enumerate() {
            let needed = steps(width);
            for at in needed..=STEPS {
                let value = self.best[at - needed] + choices.penalties[layer][index];
                // Of equals the widest.
                if value <= next[at] {
                    (next[at], choice[at]) = (value, index as u16);
                }
            }
        }
        self.best = next;
        Choice::Width { layer, index: choice }
    }

    /// Adds what has to be paid in any case.
    fn shift(&mut self, steps: usize) {
        for at in (0..=STEPS).rev() {
            self.best[at] = if at >= steps { self.best[at - steps] } else { f64::INFINITY };
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_network::{Architecture, Description, Preset};

    use super::*;

    fn layers(architecture: &Architecture) -> Layers {
        Layers::of(&Description::drn("t", architecture).unwrap().network, false)
    }

    /// Against trying every choice.
    #[test]
    fn the_best_affordable_choice_is_found() {
        // The last two layers make a block that costs 4 beside its channels and can go.
        let costs = Costs {
            layers: None,
            fixed: 5.0,
            of_channel: vec![1.0, 3.0, 2.0],
            of_block: vec![4.0],
            blocks: vec![vec![1, 2]],
            total: 5.0 + 4.0 + 8.0 + 24.0 + 16.0,
            times: None,
        };
        for gone in [None, Some(13.0), Some(7.2), Some(0.5)] {
            let choices = Choices {
                widths: vec![vec![2, 4, 8]; 3],
                penalties: vec![vec![9.0, 4.03, 0.0], vec![5.0, 1.0, 0.0], vec![3.1, 2.9, 0.0]],
                gone: vec![gone],
            };
            for percent in 10..=100 {
                let share = f64::from(percent) / 100.0;
                let mut best: Option<(f64, Vec<usize>)> = None;
                let mut offer = |value: f64, widths: Vec<usize>| {
                    if costs.share(&widths) <= share && best.as_ref().is_none_or(|(least, _)| value < *least) {
                        best = Some((value, widths));
                    }
                };
                for choice in 0..27 {
                    let picks = [choice / 9, choice / 3 % 3, choice % 3];
                    let of = |unit: usize| choices.widths[unit][picks[unit]];
                    let penalty = |unit: usize| choices.penalties[unit][picks[unit]];
                    offer(penalty(0) + penalty(1) + penalty(2), vec![of(0), of(1), of(2)]);
                    if let (Some(gone), [_, 0, 0]) = (gone, picks) {
                        offer(gone + penalty(0), vec![of(0), 0, 0]);
                    }
                }
                match best {
                    Some((_, expected)) => {
                        assert_eq!(allocate(&costs, &choices, share).unwrap(), expected, "{gone:?}, {percent} %");
                    }
                    None => assert!(allocate(&costs, &choices, share).is_err(), "{gone:?}, {percent} %"),
                }
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
