//! Sides and channels of every value, for an input of a given size.

use super::{DeconvOp, Graph, Node, NodeId, Op, ResizeTo, wrong};
use crate::Result;

/// Channels and sides of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// C.
    pub channels: usize,
    /// H.
    pub height: usize,
    /// W.
    pub width: usize,
}

impl Shape {
    /// Samples a picture of a batch has of it.
    pub fn samples(self) -> u64 {
        self.channels as u64 * self.height as u64 * self.width as u64
    }

    /// Whether it is one sample a channel: a statistic of the picture.
    pub fn is_statistic(self) -> bool {
        (self.height, self.width) == (1, 1)
    }
}

/// Sides that networks are checked at. Not equal, so that no operator can mix them up; multiples of all factors that
/// networks unshuffle by; and large enough for the strides of published networks.
const PROBES: [[usize; 2]; 2] = [[96, 144], [192, 240]];
/// What sides of inputs may have to be a multiple of.
const ALIGNMENTS: [usize; 12] = [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64];

impl Graph {
    /// Shape of every value for an input of `height` x `width`.
    ///
    /// # Errors
    /// If operators and sizes do not fit together.
    pub fn shapes(&self, [height, width]: [usize; 2]) -> Result<Vec<Shape>> {
        shapes(&self.nodes, [height, width])
    }

    /// Shapes at the size that networks are checked at.
    pub(super) fn check_shapes(&self) -> Result<Vec<Shape>> {
        let mut first = None;
        for probe in PROBES {
            let shapes = self.shapes(probe)?;
            for output in &self.outputs {
                let given = shapes[output.node];
                if [given.height, given.width].map(Some) != probe.map(|side| output.side(side)) {
                    return Err(wrong(format!(
                        "an input of {}x{} gives {}x{}, not the size it should",
                        probe[1], probe[0], given.width, given.height
                    )));
                }
            }
            first.get_or_insert(shapes);
        }
        Ok(first.expect("there are probes"))
    }

    /// Fewest pixels a side of an input that every operator has something to work on.
    pub fn min_side(&self) -> usize {
        (1..PROBES[0][0]).find(|&side| self.shapes([side, side]).is_ok()).unwrap_or(PROBES[0][0])
    }

    /// The shortest side of a training patch, of `wanted` pixels or more, that the network can work on.
    pub fn patch_from(&self, wanted: usize) -> usize {
        wanted.max(self.min_side()).next_multiple_of(self.alignment())
    }

    /// What sides of inputs have to be a multiple of.
    pub fn alignment(&self) -> usize {
        let fits = |side: usize| {
            self.shapes([side, side]).is_ok_and(|shapes| {
                self.outputs
                    .iter()
                    .all(|o| Some(shapes[o.node].height) == o.side(side) && Some(shapes[o.node].width) == o.side(side))
            })
        };
        ALIGNMENTS.into_iter().find(|&by| (0..3).all(|more| fits(192 + by * more))).unwrap_or(PROBES[0][0] / 2)
    }
}

/// The whole factor between the sides of the input and those of a node's value.
pub(super) fn scale_of(nodes: &[Node], node: NodeId) -> Result<usize> {
    let mut scales = Vec::new();
    for probe in PROBES {
        let shape = shapes(nodes, probe)?[node];
        let [down, across] = [shape.height / probe[0], shape.width / probe[1]];
        if down == 0 || [shape.height, shape.width] != [probe[0] * down, probe[1] * down] || down != across {
            return Err(wrong(format!(
                "an input of {}x{} gives {}x{}, which is no whole enlargement of it",
                probe[1], probe[0], shape.width, shape.height
            )));
        }
        scales.push(down);
    }
    if scales[0] != scales[1] { Err(wrong("its result does not grow with its input".into())) } else { Ok(scales[0]) }
}

fn shapes(nodes: &[Node], size: [usize; 2]) -> Result<Vec<Shape>> {
    let mut shapes: Vec<Shape> = Vec::with_capacity(nodes.len());
    for node in nodes {
        let inputs: Vec<Shape> = node.inputs.iter().map(|&input| shapes[input]).collect();
        let shape = of(&node.op, &inputs, size).map_err(|reason| {
            let name = if node.name.is_empty() { String::new() } else { format!(" \"{}\"", node.name) };
            wrong(format!("{}{name}: {reason}", node.op.describe()))
        })?;
        if shape.height == 0 || shape.width == 0 || shape.samples() > 1 << 40 {
            return Err(wrong(format!("{} gives {}x{} samples", node.op.describe(), shape.width, shape.height)));
        }
        shapes.push(shape);
    }
    Ok(shapes)
}

/// Positions of a window of `kernel` taps with `dilation` between them on `side` and `padding` positions.
fn windows(side: usize, padding: usize, kernel: usize, dilation: usize, stride: usize) -> usize {
    (side + padding).checked_sub(dilation * (kernel - 1) + 1).map_or(0, |room| room / stride + 1)
}

/// Largest number of any kind that an operator has beside its channels: more is no network, and sums of such numbers are numbers
/// still.
const MAX: usize = 1 << 16;

/// Refuses numbers that no operator has: windows, steps and groups of nothing, and absurd ones.
fn check(op: &Op) -> std::result::Result<(), String> {
    let sane = |counts: &[usize], others: &[usize]| {
        let counts = counts.iter().all(|count| (1..=MAX).contains(count));
        counts && others.iter().all(|&other| other <= MAX)
    };
    let is_sane = match op {
        Op::Conv(conv) => {
            sane(&[conv.kernel, conv.stride, conv.dilation].concat(), &conv.padding)
                && sane(&[conv.groups, conv.outputs], &[])
        }
        Op::Deconv(conv) => {
            sane(&[conv.kernel, conv.stride].concat(), &[conv.padding, conv.output_padding].concat())
                && sane(&[conv.groups, conv.outputs], &[])
        }
        Op::Pool(pool) => sane(&[pool.kernel, pool.stride].concat(), &pool.padding),
        Op::PixelShuffle(by) | Op::PixelUnshuffle(by) => sane(&[*by], &[]),
        Op::Resize(resize) => match resize.to {
            ResizeTo::Times(by) => sane(&[by], &[]),
            ResizeTo::Ratio(up, down) => sane(&[up, down], &[]),
            ResizeTo::Like => true,
        },
        Op::GroupNorm { groups, .. } => sane(&[*groups], &[]),
        Op::SampleAt { scale, groups } => sane(&[*scale, *groups], &[]),
        Op::Pad { sides, .. } | Op::Crop(sides) => sane(&[], sides),
        Op::Slice { start, length } => sane(&[*length], &[*start]),
        Op::Input { channels } => sane(&[*channels], &[]),
        Op::Activation(_)
        | Op::Prelu
        | Op::Affine
        | Op::Shift(_)
        | Op::Linear { .. }
        | Op::Binary(_)
        | Op::Concat
        | Op::GlobalMean
        | Op::ChannelMean
        | Op::GlobalDeviation
        | Op::LayerNorm { .. } => true,
    };
    if is_sane { Ok(()) } else { Err("its numbers are those of no operator".into()) }
}

fn of(op: &Op, inputs: &[Shape], size: [usize; 2]) -> std::result::Result<Shape, String> {
    check(op)?;
    let second = || inputs.get(1).copied().ok_or_else(|| "it has one value where it needs two".to_owned());
    let x = inputs.first().copied().unwrap_or(Shape { channels: 0, height: size[0], width: size[1] });
    let grouped = |channels: usize, groups: usize| {
        let divides = channels.is_multiple_of(groups);
        if divides { Ok(()) } else { Err(format!("{channels} channels in {groups} groups")) }
    };
    Ok(match op {
        Op::Input { channels } => Shape { channels: *channels, ..x },
        Op::Conv(conv) => {
            grouped(x.channels, conv.groups)?;
            let [left, right, top, bottom] = conv.padding;
            Shape {
                channels: conv.outputs,
                height: windows(x.height, top + bottom, conv.kernel[0], conv.dilation[0], conv.stride[0]),
                width: windows(x.width, left + right, conv.kernel[1], conv.dilation[1], conv.stride[1]),
            }
        }
        Op::Deconv(DeconvOp { outputs, kernel, stride, padding, output_padding, groups, .. }) => {
            grouped(x.channels, *groups)?;
            let side = |side: usize, axis: usize| {
                ((side - 1) * stride[axis] + kernel[axis] + output_padding[axis]).saturating_sub(2 * padding[axis])
            };
            Shape { channels: *outputs, height: side(x.height, 0), width: side(x.width, 1) }
        }
        Op::Shift(values) if values.len() != x.channels => {
            return Err(format!("{} values for {} channels", values.len(), x.channels));
        }
        Op::GroupNorm { groups, .. } => {
            grouped(x.channels, *groups)?;
            x
        }
        Op::Activation(_) | Op::Prelu | Op::Affine | Op::Shift(_) | Op::Linear { .. } | Op::LayerNorm { .. } => x,
        Op::Binary(_) => {
            let y = second()?;
            let channels = y.channels == x.channels || y.channels == 1 || x.channels == 1;
            let sides = [y.height, y.width] == [x.height, x.width] || y.is_statistic() || x.is_statistic();
            if !channels || !sides {
                return Err(format!(
                    "{} channels of {}x{} and {} of {}x{}",
                    x.channels, x.width, x.height, y.channels, y.width, y.height
                ));
            }
            Shape { channels: x.channels.max(y.channels), height: x.height.max(y.height), width: x.width.max(y.width) }
        }
        Op::Concat => {
            if inputs.iter().any(|other| (other.height, other.width) != (x.height, x.width)) {
                return Err("values of different sides".into());
            }
            Shape { channels: inputs.iter().map(|input| input.channels).sum(), ..x }
        }
        Op::Slice { start, length } => {
            if start + length > x.channels {
                return Err(format!("channels {start} to {} of {}", start + length, x.channels));
            }
            Shape { channels: *length, ..x }
        }
        Op::PixelShuffle(by) => {
            grouped(x.channels, by * by)?;
            Shape { channels: x.channels / (by * by), height: x.height * by, width: x.width * by }
        }
        Op::PixelUnshuffle(by) => {
            if !x.height.is_multiple_of(*by) || !x.width.is_multiple_of(*by) {
                return Err(format!("{}x{} in squares of {by}", x.width, x.height));
            }
            Shape { channels: x.channels * by * by, height: x.height / by, width: x.width / by }
        }
        Op::Resize(resize) => match resize.to {
            ResizeTo::Times(by) => Shape { height: x.height * by, width: x.width * by, ..x },
            ResizeTo::Ratio(up, down) => Shape { height: x.height * up / down, width: x.width * up / down, ..x },
            ResizeTo::Like => Shape { channels: x.channels, ..second()? },
        },
        Op::Pool(pool) => Shape {
            height: windows(x.height, 2 * pool.padding[0], pool.kernel[0], 1, pool.stride[0]),
            width: windows(x.width, 2 * pool.padding[1], pool.kernel[1], 1, pool.stride[1]),
            ..x
        },
        Op::ChannelMean => Shape { channels: 1, ..x },
        Op::GlobalMean | Op::GlobalDeviation => Shape { height: 1, width: 1, ..x },
        Op::Pad { sides: [left, right, top, bottom], .. } => {
            Shape { height: x.height + top + bottom, width: x.width + left + right, ..x }
        }
        Op::Crop([left, right, top, bottom]) => {
            Shape { height: x.height.saturating_sub(top + bottom), width: x.width.saturating_sub(left + right), ..x }
        }
        Op::SampleAt { scale, groups } => {
            let offsets = second()?;
            if offsets.channels != 2 * groups * scale * scale || !x.channels.is_multiple_of(*groups) {
                return Err(format!("{} offsets for {} channels", offsets.channels, x.channels));
            }
            Shape { height: x.height * scale, width: x.width * scale, ..x }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::{Builder, op::PoolOp},
        *,
    };
    use crate::graph::{ConvOp, ResizeOp};

    /// Found by fuzzing: a convolution in steps of nothing.
    #[test]
    fn numbers_of_no_operator_are_refused_and_do_not_panic() {
        let conv = ConvOp::new(3, 3);
        let pool = PoolOp { max: true, kernel: [2, 2], stride: [2, 0], padding: [0, 0], count_padding: false };
        let resize = |to| Op::Resize(ResizeOp { mode: crate::graph::Enlargement::Nearest, to });
        for op in [
            Op::Conv(ConvOp { stride: [0, 1], ..conv }),
            Op::Conv(ConvOp { kernel: [0, 3], ..conv }),
            Op::Conv(ConvOp { dilation: [usize::MAX, 1], ..conv }),
            Op::Conv(ConvOp { padding: [usize::MAX, 1, 1, 1], ..conv }),
            Op::Conv(ConvOp { groups: 0, ..conv }),
            Op::Pool(pool),
            Op::PixelShuffle(0),
            Op::PixelShuffle(usize::MAX),
            Op::PixelUnshuffle(0),
            resize(ResizeTo::Times(usize::MAX)),
            resize(ResizeTo::Ratio(1, 0)),
            resize(ResizeTo::Like),
            Op::Slice { start: usize::MAX, length: 1 },
            Op::Crop([usize::MAX; 4]),
            Op::GroupNorm { groups: 0, epsilon: 1e-5 },
        ] {
            let mut graph = Builder::new(3);
            let node = graph.unary(op.clone(), 0);
            assert!(graph.finish_single(node).is_err(), "{op:?}");
        }
    }
}
