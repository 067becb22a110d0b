//! The super-network of the channel-number search: every candidate width of every prunable layer at once.
//!
//! Channels of a prunable layer are ranked by the L1 norm of their consumer's weights; candidate i keeps the first `c_i` of them.
//! A convolution is linear, so that the mixture of all candidates with probabilities `pi = softmax(alpha)` is one
//! convolution whose input channel j is scaled by `m_j = sum_i pi_i [rank(j) < c_i]` (section 4.2).
//!
//! A block that can go as a whole has a choice of its own, between nothing and what its layers are: the convolution that ends
//! it is scaled by the probability that it stays.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData, activation::softmax};
use dualres_network::{Model, graph::Member};

use crate::{
    layers::{Layers, weight_name},
    objective::values,
    parameters::{self, Named, replaced},
};

/// Candidate widths of all prunable layers, and where their alphas lie in one vector.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct SearchSpace {
    /// Candidate widths of each layer, ascending; then, for each block that may go, 0 and 1.
    pub(crate) candidates: Vec<Vec<usize>>,
    /// Channels of each layer in the network, and its consumers.
    consumers: Vec<(usize, Vec<Member>)>,
    /// The blocks that may go: the layers of each, and the one that ends it.
    gates: Vec<(Vec<usize>, String)>,
}

impl SearchSpace {
    pub(crate) fn new(layers: &Layers, candidates: Vec<Vec<usize>>) -> Self {
        let consumers = layers.groups.iter().map(|group| (group.width, group.consumers.clone())).collect();
        Self { consumers, candidates, gates: Vec::new() }
    }

    /// Candidates alone, and blocks of layers, of no network.
    #[cfg(test)]
    pub(crate) fn example(candidates: Vec<Vec<usize>>, blocks: Vec<Vec<usize>>) -> Self {
        let consumers = candidates.iter().map(|widths| (widths.last().copied().unwrap_or_default(), Vec::new()));
        let (consumers, gates) =
            (consumers.collect(), blocks.into_iter().map(|block| (block, String::new())).collect());
        let mut space = Self { candidates, consumers, gates };
        space.candidates.extend(space.gates.iter().map(|_| vec![0, 1]));
        space
    }

    /// With the choice of each block whether it stays.
    pub(crate) fn with_blocks(mut self, layers: &Layers) -> Self {
        self.gates = layers.blocks.iter().map(|block| (block.layers.clone(), block.residual.last.clone())).collect();
        self.candidates.extend(self.gates.iter().map(|_| vec![0, 1]));
        self
    }

    /// How many layers there are; the choices of blocks come after theirs.
    pub(crate) fn layers(&self) -> usize {
        self.consumers.len()
    }

    /// Whether blocks may go.
    pub(crate) fn has_blocks(&self) -> bool {
        !self.gates.is_empty()
    }

    /// Alphas that are certain of one candidate a prunable layer.
    pub(crate) fn certain(&self, widths: &[usize]) -> Vec<f32> {
        let stays = |(layers, _): &(Vec<usize>, String)| usize::from(layers.iter().any(|&layer| widths[layer] > 0));
        // What is kept of a block that goes does not matter.
        let layer = |(candidates, &width): (&Vec<usize>, &usize)| if width == 0 { candidates[0] } else { width };
        let chosen: Vec<usize> =
            self.candidates.iter().zip(widths).map(layer).chain(self.gates.iter().map(stays)).collect();
        let alphas = self.candidates.iter().zip(chosen).map(|(candidates, width)| {
            candidates.iter().map(move |&candidate| if candidate == width { 0.0 } else { -100.0 })
        });
        alphas.flatten().collect()
    }

    /// Length of the vector alpha.
    pub(crate) fn len(&self) -> usize {
        self.candidates.iter().map(Vec::len).sum()
    }

    /// Where the alphas of each prunable layer begin.
    fn starts(&self) -> impl Iterator<Item = usize> {
        self.candidates.iter().scan(0, |start, of| {
            let begin = *start;
            *start += of.len();
            Some(begin)
        })
    }

    /// The values of a vector like alpha, prunable layer by prunable layer.
    pub(crate) fn by_unit<'a>(&self, vector: &'a [f32]) -> Vec<&'a [f32]> {
        self.starts().zip(&self.candidates).map(|(start, of)| &vector[start..start + of.len()]).collect()
    }

    /// Probabilities of the candidates.
    pub(crate) fn probabilities(&self, alpha: &[f32]) -> Vec<Vec<f64>> {
        self.by_unit(alpha).into_iter().map(softmax_of).collect()
    }

    /// The super-network: `model` with the kernels of all consumers scaled. Gradients flow to `alpha` and to the
    /// model's own kernels, if these record them.
    pub(crate) fn mixed(&self, model: &Model, alpha: &Tensor<1>) -> Model {
        let mut mixed = Named::new();
        // A convolution may consume several layers: each scales its own columns.
        let mut scales: BTreeMap<String, Tensor<4>> = BTreeMap::new();
        for (((width, consumers), start), widths) in self.consumers.iter().zip(self.starts()).zip(&self.candidates) {
            let width = *width;
            let mut norms = vec![0.0_f32; width];
            for member in consumers {
                let part = parameters::kernel(model, &member.layer).narrow(1, member.offset, width);
                norms.iter_mut().zip(channel_norms(&part)).for_each(|(sum, norm)| *sum += norm);
            }
            let pi = softmax(alpha.clone().narrow(0, start, widths.len()).reshape([1, widths.len()]), 1);
            let members = members(&ranks_of(&norms), widths, &alpha.device());
            let scale = pi.matmul(members).reshape([1, width, 1, 1]);
            for member in consumers {
                let kernel = parameters::kernel(model, &member.layer);
                let inputs = kernel.dims()[1];
                let ones = |count: usize| Tensor::<4>::ones([1, count, 1, 1], &kernel.device());
                let mut columns = Vec::new();
                if member.offset > 0 {
                    columns.push(ones(member.offset));
                }
                columns.push(scale.clone());
                if inputs > member.offset + width {
                    columns.push(ones(inputs - member.offset - width));
                }
                let own = if columns.len() == 1 { columns.swap_remove(0) } else { Tensor::cat(columns, 1) };
                let name = weight_name(member);
                let all = match scales.remove(&name) {
                    Some(others) => others * own,
                    None => own,
                };
                scales.insert(name.clone(), all.clone());
                let scaled = kernel * all;
                let count: usize = scaled.dims().iter().product();
                mixed.insert(name, scaled.reshape([count]));
            }
        }
        for ((_, last), start) in self.gates.iter().zip(self.starts().skip(self.layers())) {
            let stays = softmax(alpha.clone().narrow(0, start, 2), 0).narrow(0, 1, 1);
            for role in ["weight", "bias"] {
                let name = format!("model.{last}.{role}");
                let own = || model.primal.parameter(&format!("{last}.{role}")).map(|own| own.values.clone());
                if let Some(values) = mixed.get(&name).cloned().or_else(own) {
                    mixed.insert(name, values * stays.clone());
                }
            }
        }
        replaced(model, &mixed)
    }
}

/// Softmax on the host.
pub(crate) fn softmax_of(alpha: &[f32]) -> Vec<f64> {
    let most = alpha.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let powers: Vec<f64> = alpha.iter().map(|&a| f64::from(a - most).exp()).collect();
    let sum: f64 = powers.iter().sum();
    powers.into_iter().map(|power| power / sum).collect()
}

/// Mean over prunable layers of the entropy of their probabilities, as a share of the largest there can be. Prunable layers with a single
/// candidate have no choice and do not count.
pub(crate) fn entropy(probabilities: &[Vec<f64>]) -> f64 {
    let of = |pi: &Vec<f64>| {
        let sum: f64 = pi.iter().filter(|&&p| p > 0.0).map(|p| -p * p.ln()).sum();
        sum / (pi.len() as f64).ln()
    };
    let open: Vec<f64> = probabilities.iter().filter(|pi| pi.len() > 1).map(of).collect();
    open.iter().sum::<f64>() / open.len().max(1) as f64
}

/// The L1 norm of each input channel of a kernel [O, C, K, K].
pub(crate) fn channel_norms(kernel: &Tensor<4>) -> Vec<f32> {
    let kernel = if kernel.is_autodiff() { kernel.clone().inner() } else { kernel.clone() };
    values(&kernel.abs().sum_dim(3).sum_dim(2).sum_dim(0))
}

/// The rank of each input channel by its norm, largest first; equal norms by position.
fn ranks_of(norms: &[f32]) -> Vec<usize> {
    let order = descending(norms);
    let mut ranks = vec![0; order.len()];
    order.into_iter().enumerate().for_each(|(rank, channel)| ranks[channel] = rank);
    ranks
}

/// Positions from the largest value to the smallest; what is no number comes last.
pub(crate) fn descending(values: &[f32]) -> Vec<usize> {
    let key = |index: usize| if values[index].is_nan() { f32::NEG_INFINITY } else { values[index] };
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|&a, &b| key(b).total_cmp(&key(a)));
    order
}

/// [candidates, channels]: 1 where a candidate keeps a channel.
fn members(ranks: &[usize], widths: &[usize], device: &Device) -> Tensor<2> {
    let rows = widths.iter().flat_map(|&width| ranks.iter().map(move |&rank| if rank < width { 1.0_f32 } else { 0.0 }));
    Tensor::from_data(TensorData::new(rows.collect::<Vec<_>>(), [widths.len(), ranks.len()]), device)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_network::{Architecture, Description, Pooling};

    use super::*;
    use crate::surgery::masked;

    /// With one prunable layer undecided, the mixed features are the mean of the explicit branches' features, weighted by their
    /// probabilities.
    #[test]
    fn the_mixture_equals_explicit_branches() {
        let device = Device::flex();
        let architecture = Architecture::new(4, 8, 2).unwrap();
        let model = Model::init(Description::drn("t", &architecture).unwrap(), 3, &device).unwrap();
        let layers = Layers::of(&model.description.network, false);
        let x: Tensor<4> = Tensor::random([1, 3, 12, 10], burn::tensor::Distribution::Uniform(0.0, 255.0), &device);
        for unit in [0, 1, 3, 4, 7] {
            let mut candidates: Vec<Vec<usize>> = architecture.widths.iter().map(|&width| vec![width]).collect();
            let width = architecture.widths[unit];
            candidates[unit] = vec![width / 4, width / 2, width];
            let space = SearchSpace::new(&layers, candidates.clone());
            let mut alpha = vec![0.0_f32; space.len()];
            alpha[unit..unit + 3].copy_from_slice(&[0.3, -0.4, 0.9]);
            let probabilities = space.probabilities(&alpha);
            let mixed = space.mixed(&model, &Tensor::from_data(alpha.as_slice(), &device));

            let consumer = layers.groups[unit].consumers[0].clone();
            let output = |model: &Model| {
                let pass = model.primal.start(x.clone(), Pooling::Global);
                let pass = model.primal.advance(pass, consumer.node + 1, &[consumer.node]);
                pass.value(consumer.node).unwrap().clone()
            };
            let order = descending(&channel_norms(&parameters::kernel(&model, &consumer.layer)));
            let mut expected: Option<Tensor<4>> = None;
            for (candidate, &width) in candidates[unit].iter().enumerate() {
                let mut kept: Vec<Vec<usize>> = architecture.widths.iter().map(|&w| (0..w).collect()).collect();
                kept[unit] = order[..width].to_vec();
                kept[unit].sort_unstable();
                let branch = output(&masked(&model, &layers, &kept, &device).unwrap()) * probabilities[unit][candidate];
                expected = Some(match expected {
                    Some(sum) => sum + branch,
                    None => branch,
                });
            }
            let expected = values(&expected.unwrap());
            let largest = expected.iter().fold(0.0_f32, |most, v| most.max(v.abs()));
            let gap = values(&output(&mixed)).iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(gap < 1e-5 * largest, "unit {unit}: {gap} of {largest}");
        }
    }

    #[test]
    fn entropy_is_one_for_ignorance_and_nothing_for_certainty() {
        assert!((entropy(&[vec![0.25; 4], vec![0.5; 2]]) - 1.0).abs() < 1e-12);
        assert!(entropy(&[vec![1.0, 0.0], vec![1.0]]).abs() < 1e-12);
    }

    #[test]
    fn what_is_no_number_ranks_last() {
        assert_eq!(descending(&[1.0, f32::NAN, 3.0, 3.0]), [2, 3, 0, 1]);
    }
}
