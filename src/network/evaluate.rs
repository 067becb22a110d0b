//! What each operator computes.

use burn::tensor::{
    Tensor,
    activation::sigmoid,
    module::{avg_pool2d, conv_transpose2d},
    ops::{AvgPoolOptions, ConvTransposeOptions},
};
use dualres_kernels::{
    Activation, AttentionLayers, Combination, ConvSpec, Filter, GeneralConv, attend, block_means, combine, conv2d,
    conv2d_general, modulate,
};

use crate::{
    Pooling,
    graph::{BinaryOp, ConvOp, Enlargement, Op, Padding, Parameter, PoolOp, ResizeOp, ResizeTo},
};

/// The value of an operator. `weights` gives its weights by role, `size` is the height and width of the network's input.
pub(crate) fn node<'a>(
    op: &Op,
    mut inputs: Vec<Tensor<4>>,
    weights: impl Fn(&str) -> Option<&'a Parameter>,
    pooling: Pooling,
    size: [usize; 2],
) -> Tensor<4> {
    let second = if inputs.len() == 2 && !matches!(op, Op::Concat) { inputs.pop() } else { None };
    let vector = |role: &str| weights(role).expect("checked when loaded").tensor::<1>();
    if let Op::Concat = op {
        return if inputs.len() == 1 { inputs.swap_remove(0) } else { dualres_kernels::concat(inputs) };
    }
    let x = inputs.swap_remove(0);
    match op {
        Op::Conv(conv) => {
            let weight = weights("weight").expect("checked when loaded").tensor();
            convolution(x, weight, weights("bias").map(Parameter::tensor), conv)
        }
        Op::Deconv(conv) => {
            let options =
                ConvTransposeOptions::new(conv.stride, conv.padding, conv.output_padding, [1, 1], conv.groups);
            let weight: Tensor<4> = weights("weight").expect("checked when loaded").tensor();
            conv_transpose2d(x, weight, weights("bias").map(Parameter::tensor), options)
        }
        Op::Activation(function) => dualres_kernels::apply(x, *function),
        Op::Prelu => dualres_kernels::prelu(x, vector("weight")),
        Op::Affine => dualres_kernels::affine(x, vector("weight"), vector("bias")),
        Op::Shift(by) => {
            let by = Tensor::from_data(by.as_slice(), &x.device());
            combine(Combination::Add, x, channels(by))
        }
        Op::Linear { factor: 1.0, offset: 0.0 } => x,
        Op::Linear { factor, offset } => dualres_kernels::linear(x, *factor, *offset),
        Op::Binary(op) => binary(*op, x, second.expect("two inputs")),
        Op::Slice { start, length } => x.narrow(1, *start, *length),
        Op::PixelShuffle(by) => dualres_kernels::pixel_shuffle(x, *by),
        Op::PixelUnshuffle(by) => dualres_kernels::pixel_unshuffle(x, *by),
        Op::Resize(resize) => resized(x, second, resize),
        Op::Pool(pool) => pooled(x, pool),
        Op::ChannelMean => x.mean_dim(1),
        Op::GlobalMean => means(x, pooling, size),
        Op::GlobalDeviation => {
            let mean = means(x.clone(), pooling, size);
            let square = means(x.square(), pooling, size);
            (square - mean.square()).clamp_min(0.0).sqrt()
        }
        Op::GroupNorm { groups, epsilon } => {
            let [n, c, h, w] = x.dims();
            let each = c / groups;
            // Means over the channels of a group first: a plane each.
            let of = |x: Tensor<4>| {
                let planes: Tensor<4> = x.reshape([n * groups, each, h, w]).mean_dim(1);
                let means = means(planes.reshape([n, *groups, h, w]), pooling, size);
                let [_, _, rows, columns] = means.dims();
                means.reshape([n, *groups, 1, rows * columns]).repeat_dim(2, each).reshape([n, c, rows, columns])
            };
            let mean = of(x.clone());
            let variance = (of(x.clone().square()) - mean.clone().square()).clamp_min(0.0);
            let scale = (variance + *epsilon).sqrt().recip();
            let centred = binary(BinaryOp::Sub, x, mean);
            binary(BinaryOp::Mul, centred, scale) * channels(vector("weight")) + channels(vector("bias"))
        }
        Op::LayerNorm { epsilon } => {
            let mean = x.clone().mean_dim(1);
            let centred = x - mean;
            let variance = centred.clone().square().mean_dim(1);
            centred * (variance + *epsilon).sqrt().recip() * channels(vector("weight")) + channels(vector("bias"))
        }
        Op::Pad { mode, sides } => padded(x, *mode, *sides),
        Op::Crop([left, right, top, bottom]) => {
            let [_, _, h, w] = x.dims();
            x.narrow(2, *top, h - top - bottom).narrow(3, *left, w - left - right)
        }
        Op::SampleAt { scale, groups } => dualres_kernels::sample_at(x, second.expect("two inputs"), *scale, *groups),
        Op::Input { .. } | Op::Concat => x,
    }
}

/// Of values a channel: [1, C, 1, 1].
fn channels(values: Tensor<1>) -> Tensor<4> {
    let count = values.dims()[0];
    values.reshape([1, count, 1, 1])
}

fn convolution(x: Tensor<4>, weight: Tensor<4>, bias: Option<Tensor<1>>, conv: &ConvOp) -> Tensor<4> {
    if conv.is_plain() {
        let spec = ConvSpec { stride: conv.stride[0], activation: Activation::Identity };
        return conv2d(x, weight, bias, spec);
    }
    let [left, right, top, bottom] = conv.padding;
    let (x, padding) = if (left, top) == (right, bottom) {
        (x, [top, left])
    } else {
        (padded(x, Padding::Zero, conv.padding), [0, 0])
    };
    let general = GeneralConv { stride: conv.stride, padding, dilation: conv.dilation, groups: conv.groups };
    conv2d_general(x, weight, bias, general)
}

fn binary(op: BinaryOp, a: Tensor<4>, b: Tensor<4>) -> Tensor<4> {
    let ([_, _, h, w], [_, _, k, l]) = (a.dims(), b.dims());
    // Statistics of neighbourhoods where the graph has one of the picture: brought to the size of the other value.
    let fits = |from: [usize; 2], to: [usize; 2]| from == to || from == [1, 1];
    let (a, b) = if fits([k, l], [h, w]) || fits([h, w], [k, l]) {
        (a, b)
    } else if h * w > k * l {
        (a, spread(b, [h, w]))
    } else {
        (spread(a, [k, l]), b)
    };
    let combination = match op {
        BinaryOp::Add => Combination::Add,
        BinaryOp::Sub => Combination::Sub,
        BinaryOp::Mul => Combination::Mul,
        BinaryOp::Div => Combination::Div,
    };
    combine(combination, a, b)
}

/// Values of cells at every position, linear between their centres.
fn spread(x: Tensor<4>, size: [usize; 2]) -> Tensor<4> {
    dualres_kernels::resample(x, size, Filter::Bilinear)
}

fn resized(x: Tensor<4>, like: Option<Tensor<4>>, resize: &ResizeOp) -> Tensor<4> {
    let [_, _, h, w] = x.dims();
    let size = match (resize.to, like) {
        (ResizeTo::Like, Some(like)) => [like.dims()[2], like.dims()[3]],
        (ResizeTo::Times(by), _) => [h * by, w * by],
        (ResizeTo::Ratio(up, down), _) => [h * up / down, w * up / down],
        (ResizeTo::Like, None) => [h, w],
    };
    match resize.mode {
        _ if size == [h, w] => x,
        Enlargement::Nearest => dualres_kernels::enlarge_nearest(x, size),
        Enlargement::Bilinear => dualres_kernels::resample(x, size, Filter::Bilinear),
        Enlargement::BilinearAligned => dualres_kernels::resample(x, size, Filter::BilinearAligned),
        // The fast one passes no gradient on.
        Enlargement::Bicubic
            if !x.is_autodiff() && size[0] % h == 0 && size[0] / h == size[1] / w && size[1] % w == 0 =>
        {
            dualres_kernels::enlarge_bicubic(x, size[0] / h)
        }
        Enlargement::Bicubic => dualres_kernels::resample(x, size, Filter::Bicubic),
    }
}

fn pooled(x: Tensor<4>, pool: &PoolOp) -> Tensor<4> {
    if pool.max {
        return dualres_kernels::max_pool(x, pool.kernel, pool.stride, pool.padding);
    }
    let options = AvgPoolOptions::new(pool.kernel)
        .with_stride(pool.stride)
        .with_padding(pool.padding)
        .with_count_include_pad(pool.count_padding);
    avg_pool2d(x, options)
}

fn padded(x: Tensor<4>, mode: Padding, [left, right, top, bottom]: [usize; 4]) -> Tensor<4> {
    let x = pad_axis(x, mode, 3, left, right);
    pad_axis(x, mode, 2, top, bottom)
}

fn pad_axis(x: Tensor<4>, mode: Padding, axis: usize, before: usize, after: usize) -> Tensor<4> {
    let length = x.dims()[axis];
    let line = |at: usize| x.clone().narrow(axis, at.min(length - 1), 1);
    let zero = || line(0).zeros_like();
    let at = |distance: usize, end: bool| match mode {
        Padding::Zero => zero(),
        Padding::Repeat => line(if end { length - 1 } else { 0 }),
        Padding::Reflect if end => line((length - 1).saturating_sub(distance)),
        Padding::Reflect => line(distance),
    };
    let mut parts: Vec<Tensor<4>> = (1..=before).rev().map(|distance| at(distance, false)).collect();
    parts.push(x.clone());
    parts.extend((1..=after).map(|distance| at(distance, true)));
    if parts.len() == 1 { x } else { Tensor::cat(parts, axis) }
}

/// How many positions of a value a cell of local pooling has; `None` if not a whole number fits the value.
fn block_of(x: &Tensor<4>, cell: usize, [height, width]: [usize; 2]) -> Option<usize> {
    let [_, _, h, w] = x.dims();
    let side = cell * h / height;
    let whole = side > 0 && side * height == cell * h && side * width == cell * w;
    (whole && h.is_multiple_of(side) && w.is_multiple_of(side)).then_some(side)
}

/// Means over the picture, or over a neighbourhood of each cell.
fn means(x: Tensor<4>, pooling: Pooling, size: [usize; 2]) -> Tensor<4> {
    match pooling {
        Pooling::Local { cell, window_cells } if block_of(&x, cell, size).is_some() => {
            let side = block_of(&x, cell, size).unwrap_or(1);
            windowed(block_means(x, side), window_cells)
        }
        _ => x.mean_dim(3).mean_dim(2),
    }
}

/// Means of the cells around each; beyond the picture there is nothing to average.
fn windowed(cells: Tensor<4>, window_cells: usize) -> Tensor<4> {
    let window = AvgPoolOptions::new([window_cells; 2])
        .with_stride([1, 1])
        .with_padding([window_cells / 2; 2])
        .with_count_include_pad(false);
    avg_pool2d(cells, window)
}

/// Channel attention and the skip around it.
pub(crate) fn attention(
    x: Tensor<4>,
    residual: Tensor<4>,
    layers: AttentionLayers,
    pooling: Pooling,
    size: [usize; 2],
) -> Tensor<4> {
    if pooling == Pooling::Global {
        return attend(x, residual, layers);
    }
    let means = means(x.clone(), pooling, size);
    let relu = ConvSpec::default().with_activation(Activation::Relu);
    let hidden = conv2d(means, layers.squeeze, Some(layers.squeeze_bias), relu);
    let scale = sigmoid(conv2d(hidden, layers.excite, Some(layers.excite_bias), ConvSpec::default()));
    modulate(x, scale, residual)
}

/// Weight and bias of the one convolution that does the work of two with a pixel shuffle by `by` between them:
/// `weights` are [by²C, I, K, K] and [O, C, 1, 1].
pub(crate) fn join(
    [up, reduce]: [Tensor<4>; 2],
    [up_bias, reduce_bias]: [Option<Tensor<1>>; 2],
    by: usize,
) -> (Tensor<4>, Option<Tensor<1>>) {
    let square = by * by;
    let [_, inputs, kernel, _] = up.dims();
    let [outputs, inner, _, _] = reduce.dims();
    let reduce = reduce.reshape([outputs, inner]);
    let up = up.reshape([inner, square * inputs * kernel * kernel]);
    let weight = reduce.clone().matmul(up).reshape([square * outputs, inputs, kernel, kernel]);
    let through = up_bias.map(|bias| reduce.matmul(bias.reshape([inner, square])));
    let own = reduce_bias.map(|bias| bias.reshape([outputs, 1]).repeat_dim(1, square));
    let bias = match (through, own) {
        (Some(through), Some(own)) => Some(through + own),
        (through, own) => through.or(own),
    };
    (weight, bias.map(|bias| bias.reshape([square * outputs])))
}
