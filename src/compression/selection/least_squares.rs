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

use super::{Batch, Site, greedy::with_layer};
use crate::{Result, objective::values, parameters};

/// Share of the mean of the diagonal that holds weights to what they were: outputs that say nothing of a weight leave it.
const RIDGE: f64 = 1e-4;

/// The normal equations of one consumer.
struct Consumer {
    conv: ConvOp,
    /// Sum of products of inputs, [T + 1, T + 1], T being taps of all channels of the layer (channel by channel); the last
    /// is the constant.
    gram: DMatrix<f64>,
    /// Sum of products of inputs and wanted outputs, [T + 1, O].
    cross: DMatrix<f64>,
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
            let (gram, cross) = (DMatrix::zeros(count, count), DMatrix::zeros(count, conv.outputs));
            Consumer { conv, gram, cross, before, bias: bias.is_some() }
        };
        Self { consumers: site.group.consumers.iter().map(of).collect(), channels }
    }

    /// Adds the samples of batches. `false` if `tick` said stop.
    pub(super) fn add(&mut self, site: &Site, batches: &[Batch], tick: &mut dyn FnMut() -> bool) -> Result<bool> {
        let graph = site.work.primal.graph();
        let inputs: Vec<usize> = site.group.consumers.iter().map(|member| graph.node(member.node).inputs[0]).collect();
        for batch in batches {
            if !tick() {
                return Ok(false);
            }
            let passed = site.work.primal.advance(batch.pass.clone(), site.group.last() + 1, &inputs);
            let rest = others(site, batch);
            for (index, (member, consumer)) in site.group.consumers.iter().zip(&mut self.consumers).enumerate() {
                let x = passed.value(inputs[index]).expect("kept").clone().narrow(1, member.offset, self.channels);
                let mut wanted = wanted(site, batch, member, &batch.wanted[index]);
                if let Some(rest) = &rest {
                    wanted = wanted - rest[index].clone();
                }
                consumer.add(&x, &wanted);
            }
        }
        Ok(true)
    }

    /// Kernels [O, K, Kh, Kw] and biases [O] of the consumers for the channels `kept` (ascending).
    pub(super) fn solve(&self, kept: &[usize]) -> Vec<(Weight, Option<Weight>)> {
        self.consumers.iter().map(|consumer| consumer.solve(kept)).collect()
    }
}

/// What the consumers give without the layer, bias aside, where other channels go into them.
fn others(site: &Site, batch: &Batch) -> Option<Vec<Tensor<4>>> {
    let kernel = |member: &Member| parameters::kernel(site.work, &member.layer);
    if site.group.consumers.iter().all(|member| kernel(member).dims()[1] == site.group.width) {
        return None;
    }
    let zeros: Vec<Tensor<4>> = site
        .group
        .consumers
        .iter()
        .map(|member| kernel(member).narrow(1, member.offset, site.group.width).zeros_like())
        .collect();
    let bias = |member: &Member| site.work.primal.parameter(&format!("{}.bias", member.layer)).map(|b| b.tensor());
    let biases: Vec<Option<Tensor<1>>> =
        site.group.consumers.iter().map(|member| bias(member).map(|bias: Tensor<1>| bias.zeros_like())).collect();
    let model = with_layer(site.work, site, &zeros, &biases);
    let outputs: Vec<usize> = site.group.consumers.iter().map(|member| member.node).collect();
    let passed = model.primal.advance(batch.pass.clone(), site.group.last() + 1, &outputs);
    Some(outputs.iter().map(|&node| passed.value(node).expect("kept").clone()).collect())
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
    /// Adds positions of a batch: `x` [N, C, H, W], `wanted` [N, O, H', W'].
    fn add(&mut self, x: &Tensor<4>, wanted: &Tensor<4>) {
        // Patch by patch: the taps of a whole batch would take gigabytes in wide networks.
        for patch in 0..x.dims()[0] {
            let y = wanted.clone().narrow(0, patch, 1);
            let [_, outputs, rows, columns] = y.dims();
            let y = y.reshape([outputs, rows * columns]);
            let taps = self.taps(&x.clone().narrow(0, patch, 1), [rows, columns]);
            let gram = values(&taps.clone().matmul(taps.clone().transpose()));
            let cross = values(&taps.matmul(y.transpose()));
            let count = self.gram.nrows();
            self.gram += DMatrix::from_fn(count, count, |i, j| f64::from(gram[i * count + j]));
            self.cross += DMatrix::from_fn(count, outputs, |i, j| f64::from(cross[i * outputs + j]));
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

    fn solve(&self, kept: &[usize]) -> (Weight, Option<Weight>) {
        let taps = self.conv.kernel[0] * self.conv.kernel[1];
        let constant = self.gram.nrows() - 1;
        let mut rows: Vec<usize> = kept.iter().flat_map(|&channel| channel * taps..(channel + 1) * taps).collect();
        if self.bias {
            rows.push(constant);
        }
        let count = kept.len() * taps;
        let mut matrix = DMatrix::from_fn(rows.len(), rows.len(), |i, j| self.gram[(rows[i], rows[j])]);
        let mut right = DMatrix::from_fn(rows.len(), self.conv.outputs, |i, j| self.cross[(rows[i], j)]);
        let ridge = RIDGE * (0..count).map(|i| matrix[(i, i)]).sum::<f64>() / count.max(1) as f64 + 1e-9;
        for i in 0..rows.len() {
            matrix[(i, i)] += ridge;
            for output in 0..self.conv.outputs {
                right[(i, output)] += ridge * self.before[(rows[i], output)];
            }
        }
        let before = || DMatrix::from_fn(rows.len(), self.conv.outputs, |i, j| self.before[(rows[i], j)]);
        let solved = matrix.cholesky().map(|matrix| matrix.solve(&right));
        // Samples that are no numbers tell nothing: the weights stay.
        let solved = solved.filter(|all| all.iter().all(|value| value.is_finite())).unwrap_or_else(before);
        let mut kernel = Vec::with_capacity(count * self.conv.outputs);
        for output in 0..self.conv.outputs {
            kernel.extend((0..count).map(|row| solved[(row, output)] as f32));
        }
        let shape = vec![self.conv.outputs, kept.len(), self.conv.kernel[0], self.conv.kernel[1]];
        let bias = self.bias.then(|| {
            let values = (0..self.conv.outputs).map(|output| solved[(count, output)] as f32).collect();
            Weight { shape: vec![self.conv.outputs], values }
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
