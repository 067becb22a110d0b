//! Closed-form compensation: what the consumers of a layer have to become so that the network that is cut already gives what
//! the original gives, as nearly as its channels can.
//!
//! A convolution is linear in its weights: for the channels that stay, the kernel and the bias of least squared error against
//! the original network's outputs are the solution of normal equations. Their matrix is collected once for all channels; any
//! choice of them is a part of it.

use burn::tensor::Tensor;
use dualres_network::{
    Weight,
    graph::{BinaryOp, ConvOp, Member, Op},
};
use nalgebra::DMatrix;

use super::{Batch, Site};
use crate::{Result, objective::values, parameters};

/// Shares of the mean of the diagonal that hold weights to what they were, from freest to firmest. Which one is right depends on
/// how many samples there are for each unknown: it is chosen on patches that the weights are not solved on.
const RIDGES: [f64; 6] = [1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0];

/// Sums over samples.
struct Sums {
    /// Products of inputs, [T + 1, T + 1], T being taps of all channels of the layer (channel by channel); the last is the
    /// constant.
    gram: DMatrix<f64>,
    /// Products of inputs and what the outputs lack with the weights as they are, [T + 1, O]: nothing where nothing is cut, to
    /// the last bit, which products of inputs and outputs would lose in rounding.
    lacking: DMatrix<f64>,
}

impl Sums {
    fn new(count: usize, outputs: usize) -> Self {
        Self { gram: DMatrix::zeros(count, count), lacking: DMatrix::zeros(count, outputs) }
    }
}

/// The normal equations of one consumer.
struct Consumer {
    conv: ConvOp,
    /// Of every second patch, and of the others.
    sums: [Sums; 2],
    /// Patches seen.
    patches: usize,
    /// The weights that it has, [T + 1, O].
    before: DMatrix<f64>,
    bias: bool,
}

/// The normal equations of all consumers of a layer.
pub(super) struct LeastSquares {
    consumers: Vec<Consumer>,
    channels: usize,
}

impl LeastSquares {
    /// Without any samples.
    pub(super) fn new(site: &Site) -> Self {
        let channels = site.group.width;
        let of = |member: &Member| {
            let Op::Conv(conv) = site.work.primal.graph().node(member.node).op else {
                unreachable!("consumers are convolutions")
            };
            let taps = conv.kernel[0] * conv.kernel[1];
            let count = channels * taps + 1;
            let kernel = values(&parameters::kernel(site.work, &member.layer).narrow(1, member.offset, channels));
            let bias = site.work.primal.parameter(&format!("{}.bias", member.layer)).map(|bias| values(&bias.values));
            let before = DMatrix::from_fn(count, conv.outputs, |row, output| {
                if row + 1 < count {
                    return f64::from(kernel[output * (count - 1) + row]);
                }
                bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]))
            });
            let sums = [Sums::new(count, conv.outputs), Sums::new(count, conv.outputs)];
            Consumer { conv, sums, patches: 0, before, bias: bias.is_some() }
        };
        Self { consumers: site.group.consumers.iter().map(of).collect(), channels }
    }

    /// Adds the samples of batches. `false` if `tick` said stop.
    pub(super) fn add(&mut self, site: &Site, batches: &[Batch], tick: &mut dyn FnMut() -> bool) -> Result<bool> {
        let graph = site.work.primal.graph();
        let nodes = site.group.consumers.iter().flat_map(|member| [member.node, graph.node(member.node).inputs[0]]);
        let nodes: Vec<usize> = nodes.collect();
        for batch in batches {
            if !tick() {
                return Ok(false);
            }
            let passed = site.work.primal.advance(batch.pass.clone(), site.group.last() + 1, &nodes);
            let value = |node: usize| passed.value(node).expect("kept").clone();
            for (index, (member, consumer)) in site.group.consumers.iter().zip(&mut self.consumers).enumerate() {
                let x = value(graph.node(member.node).inputs[0]).narrow(1, member.offset, self.channels);
                let lacking = wanted(site, batch, member, &batch.wanted[index]) - value(member.node);
                consumer.add(&x, &lacking);
            }
        }
        Ok(true)
    }

    /// Kernels [O, K, Kh, Kw] and biases [O] of the consumers for the channels `kept` (ascending). `prior` has kernels for them
    /// that are held to where samples do not say better; the layers' own weights if there are none.
    pub(super) fn solve(&self, kept: &[usize], prior: Option<&[Weight]>) -> Vec<(Weight, Option<Weight>)> {
        let of = |(index, consumer): (usize, &Consumer)| consumer.solve(kept, prior.map(|prior| &prior[index]));
        self.consumers.iter().enumerate().map(of).collect()
    }
}

/// What a consumer should give: what it gives in the original; and where a sum adds that to a stream, what the stream lacks
/// as well.
fn wanted(site: &Site, batch: &Batch, member: &Member, original: &Tensor<4>) -> Tensor<4> {
    let found = (|| {
        let (stream, factor) = added_to(site, member.node)?;
        let (cut, whole) = (batch.pass.value(stream)?, batch.whole.value(stream)?);
        (cut.dims() == whole.dims()).then(|| (whole.clone() - cut.clone()) / factor)
    })();
    match found {
        Some(lacking) if lacking.dims() == original.dims() => original.clone() + lacking,
        _ => original.clone(),
    }
}

/// The stream that a node's value is added to, perhaps after a factor, with nothing else using it.
fn added_to(site: &Site, node: usize) -> Option<(usize, f64)> {
    let graph = site.work.primal.graph();
    let user = |of: usize| {
        let mut users = graph.nodes().iter().enumerate().filter(|(_, user)| user.inputs.contains(&of));
        users.next().map(|(id, _)| id).filter(|_| users.next().is_none())
    };
    let (mut value, mut factor) = (node, 1.0);
    let mut next = user(value)?;
    if let Op::Linear { factor: own, offset: 0.0 } = graph.node(next).op {
        (value, factor, next) = (next, f64::from(own), user(next)?);
    }
    let inputs = &graph.node(next).inputs;
    let sum = graph.node(next).op == Op::Binary(BinaryOp::Add) && factor != 0.0;
    sum.then(|| (if inputs[0] == value { inputs[1] } else { inputs[0] }, factor))
}

impl Consumer {
    /// Adds positions of a batch: `x` [N, C, H, W], `lacking` [N, O, H', W'].
    fn add(&mut self, x: &Tensor<4>, lacking: &Tensor<4>) {
        // Patch by patch: the taps of a whole batch would take gigabytes in wide networks.
        for patch in 0..x.dims()[0] {
            let y = lacking.clone().narrow(0, patch, 1);
            let [_, outputs, rows, columns] = y.dims();
            let y = y.reshape([outputs, rows * columns]);
            let taps = self.taps(&x.clone().narrow(0, patch, 1), [rows, columns]);
            let gram = values(&taps.clone().matmul(taps.clone().transpose()));
            let cross = values(&taps.matmul(y.transpose()));
            let sums = &mut self.sums[self.patches % 2];
            let count = sums.gram.nrows();
            sums.gram += DMatrix::from_fn(count, count, |i, j| f64::from(gram[i * count + j]));
            sums.lacking += DMatrix::from_fn(count, outputs, |i, j| f64::from(cross[i * outputs + j]));
            self.patches += 1;
        }
    }

    /// What each weight is multiplied with at each position, and ones: [C * taps + 1, positions].
    fn taps(&self, x: &Tensor<4>, [rows, columns]: [usize; 2]) -> Tensor<2> {
        let conv = &self.conv;
        let [_, channels, height, width] = x.dims();
        let [left, right, top, bottom] = conv.padding;
        let device = x.device();
        let mut padded = Tensor::<4>::zeros([1, channels, height + top + bottom, width + left + right], &device);
        padded = padded.slice_assign([0..1, 0..channels, top..top + height, left..left + width], x.clone());
        let mut parts: Vec<Tensor<3>> = Vec::new();
        for row in 0..conv.kernel[0] {
            for column in 0..conv.kernel[1] {
                let (from_row, from_column) = (row * conv.dilation[0], column * conv.dilation[1]);
                let (row_span, column_span) = ((rows - 1) * conv.stride[0] + 1, (columns - 1) * conv.stride[1] + 1);
                let part = padded.clone().slice([
                    0..1,
                    0..channels,
                    from_row..from_row + row_span,
                    from_column..from_column + column_span,
                ]);
                let part = every(every(part, 2, conv.stride[0]), 3, conv.stride[1]);
                parts.push(part.reshape([channels, 1, rows * columns]));
            }
        }
        let taps = conv.kernel[0] * conv.kernel[1];
        let taps = Tensor::cat(parts, 1).reshape([channels * taps, rows * columns]);
        Tensor::cat(vec![taps, Tensor::ones([1, rows * columns], &device)], 0)
    }

    fn solve(&self, kept: &[usize], prior: Option<&Weight>) -> (Weight, Option<Weight>) {
        let taps = self.conv.kernel[0] * self.conv.kernel[1];
        let (constant, outputs) = (self.before.nrows() - 1, self.conv.outputs);
        let mut rows: Vec<usize> = kept.iter().flat_map(|&channel| channel * taps..(channel + 1) * taps).collect();
        let count = rows.len();
        if self.bias {
            rows.push(constant);
        }
        // What is begun with, and how far it is from the weights that samples were taken with.
        let start = DMatrix::from_fn(rows.len(), outputs, |row, output| match prior {
            Some(prior) if row < count => f64::from(prior.values[output * count + row]),
            _ => self.before[(rows[row], output)],
        });
        let mut change = self.before.clone();
        for (row, &at) in rows.iter().enumerate() {
            for output in 0..outputs {
                change[(at, output)] -= start[(row, output)];
            }
        }
        if !self.bias {
            change.row_mut(constant).fill(0.0);
        }
        // Normal equations of what is to be added to the beginning, for some of the samples.
        let equations = |sums: &[&Sums]| {
            let gram =
                sums.iter().map(|sums| &sums.gram).fold(DMatrix::zeros(constant + 1, constant + 1), |a, b| a + b);
            let lacking =
                sums.iter().map(|sums| &sums.lacking).fold(DMatrix::zeros(constant + 1, outputs), |a, b| a + b);
            let right = lacking + &gram * &change;
            let gram = DMatrix::from_fn(rows.len(), rows.len(), |i, j| gram[(rows[i], rows[j])]);
            let right = DMatrix::from_fn(rows.len(), outputs, |i, j| right[(rows[i], j)]);
            (gram, right)
        };
        let solved = |(gram, right): &(DMatrix<f64>, DMatrix<f64>), ridge: f64| {
            let mut gram = gram.clone();
            let mean = (0..count).map(|i| gram[(i, i)]).sum::<f64>() / count.max(1) as f64;
            // The constant has no scale of its own to be held by.
            (0..rows.len()).for_each(|i| gram[(i, i)] += if i < count { ridge * mean } else { 0.0 } + 1e-9);
            // Samples that are no numbers tell nothing.
            gram.cholesky().map(|gram| gram.solve(right)).filter(|all| all.iter().all(|value| value.is_finite()))
        };
        // By how much an addition lowers the squared error on samples that it was not solved on.
        let (learned, judged) = (equations(&[&self.sums[0]]), equations(&[&self.sums[1]]));
        let gain = |added: &DMatrix<f64>| 2.0 * added.dot(&judged.1) - added.dot(&(&judged.0 * added));
        let best = RIDGES
            .into_iter()
            .filter_map(|ridge| Some((ridge, gain(&solved(&learned, ridge)?))))
            .filter(|(_, gain)| *gain > 0.0)
            .max_by(|a, b| a.1.total_cmp(&b.1));
        let added = best.and_then(|(ridge, _)| solved(&equations(&[&self.sums[0], &self.sums[1]]), ridge));
        let found = added.map_or_else(|| start.clone(), |added| &start + added);
        let mut kernel = Vec::with_capacity(count * outputs);
        for output in 0..outputs {
            kernel.extend((0..count).map(|row| found[(row, output)] as f32));
        }
        let shape = vec![outputs, kept.len(), self.conv.kernel[0], self.conv.kernel[1]];
        let bias = self.bias.then(|| {
            let values = (0..outputs).map(|output| found[(count, output)] as f32).collect();
            Weight { shape: vec![outputs], values }
        });
        (Weight { shape, values: kernel }, bias)
    }
}

/// Every so manieth slice of an axis.
fn every(x: Tensor<4>, axis: usize, step: usize) -> Tensor<4> {
    if step == 1 {
        return x;
    }
    let places: Vec<i32> = (0..x.dims()[axis]).step_by(step).map(|place| place as i32).collect();
    let places = Tensor::<1, burn::tensor::Int>::from_ints(places.as_slice(), &x.device());
    x.select(axis, places)
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, TensorData};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    const CHANNELS: usize = 4;
    const OUTPUTS: usize = 2;

    /// A consumer with weights at random.
    fn consumer() -> Consumer {
        let count = CHANNELS * 9 + 1;
        let before = DMatrix::from_fn(count, OUTPUTS, |row, output| ((row * 7 + output * 3) as f64 * 0.37).sin() * 0.2);
        let sums = [Sums::new(count, OUTPUTS), Sums::new(count, OUTPUTS)];
        Consumer { conv: ConvOp::new(OUTPUTS, 3), sums, patches: 0, before, bias: true }
    }

    fn random(shape: [usize; 4], level: f32, seed: u64) -> Tensor<4> {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let samples: Vec<f32> = (0..shape.iter().product()).map(|_| random.random_range(-level..level)).collect();
        Tensor::from_data(TensorData::new(samples, shape), &Device::flex())
    }

    /// Adds so many patches whose outputs lack `level` of noise, or, by a kernel, something that can be learned.
    fn add(consumer: &mut Consumer, patches: usize, side: usize, noise: f32, learn: bool) {
        for seed in 0..patches as u64 {
            let x = random([1, CHANNELS, side, side], 50.0, seed);
            let mut lacking = random([1, OUTPUTS, side, side], noise, 1000 + seed);
            if learn {
                // A tenth of the second channel, and 3.
                lacking = lacking + x.clone().narrow(1, 1, 1).repeat_dim(1, OUTPUTS) * 0.1 + 3.0;
            }
            consumer.add(&x, &lacking);
        }
    }

    fn change(consumer: &Consumer, kept: &[usize]) -> Vec<f64> {
        let (kernel, bias) = consumer.solve(kept, None);
        let mut gaps = Vec::new();
        for output in 0..OUTPUTS {
            for (place, &channel) in kept.iter().enumerate() {
                for tap in 0..9 {
                    let found = f64::from(kernel.values[(output * kept.len() + place) * 9 + tap]);
                    gaps.push(found - consumer.before[(channel * 9 + tap, output)]);
                }
            }
            let bias = bias.as_ref().map_or(0.0, |bias| f64::from(bias.values[output]));
            gaps.push(bias - consumer.before[(CHANNELS * 9, output)]);
        }
        gaps
    }

    fn largest(gaps: &[f64]) -> f64 {
        gaps.iter().fold(0.0_f64, |most, gap| most.max(gap.abs()))
    }

    #[test]
    fn nothing_changes_where_nothing_is_lacking() {
        let mut consumer = consumer();
        add(&mut consumer, 4, 16, 1e-30, false);
        assert!(largest(&change(&consumer, &[0, 1, 2, 3])) < 1e-6);
    }

    #[test]
    fn what_is_lacking_is_found() {
        let mut consumer = consumer();
        add(&mut consumer, 8, 16, 1e-3, true);
        let gaps = change(&consumer, &[0, 1, 2, 3]);
        // The middle tap of channel 1, and the bias, of both outputs; nothing else.
        for (index, gap) in gaps.iter().enumerate() {
            let wanted = match index % (CHANNELS * 9 + 1) {
                13 => 0.1,
                36 => 3.0,
                _ => 0.0,
            };
            assert!((gap - wanted).abs() < 0.01, "{index}: {gap}, not {wanted}");
        }
    }

    /// Fewer samples than weights, and nothing in them: what fits them best is worth nothing elsewhere.
    #[test]
    fn noise_is_not_learned() {
        let mut consumer = consumer();
        add(&mut consumer, 2, 5, 80.0, false);
        let gaps = change(&consumer, &[0, 1, 2, 3]);
        assert!(largest(&gaps) < 0.1, "{}", largest(&gaps));
    }

    #[test]
    fn channels_that_stay_do_what_those_that_go_did() {
        // Channel 3 is channel 0 once more.
        let mut consumer = consumer();
        for seed in 0..8 {
            let x = random([1, CHANNELS, 16, 16], 50.0, seed);
            let x = Tensor::cat(vec![x.clone().narrow(1, 0, 3), x.narrow(1, 0, 1)], 1);
            consumer.add(&x, &Tensor::zeros([1, OUTPUTS, 16, 16], &Device::flex()));
        }
        let (kernel, _) = consumer.solve(&[0, 1, 2], None);
        for output in 0..OUTPUTS {
            for tap in 0..9 {
                let wanted = consumer.before[(tap, output)] + consumer.before[(27 + tap, output)];
                let found = f64::from(kernel.values[output * 27 + tap]);
                assert!((found - wanted).abs() < 0.01, "{found} {wanted}");
            }
        }
    }
}
