//! The operators that networks are made of.

use std::ops::RangeInclusive;

use dualres_kernels::Function;
use serde::{Deserialize, Serialize};

use super::wrong;
use crate::Result;

/// An operator. Values are [N, C, H, W]; weights are named after the node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// The picture that a network is given.
    Input {
        /// Its channels.
        channels: usize,
    },
    /// Convolution: `weight` [O, C / groups, Kh, Kw], perhaps `bias` [O].
    Conv(ConvOp),
    /// Transposed convolution: `weight` [C, O / groups, Kh, Kw], perhaps `bias` [O].
    Deconv(DeconvOp),
    /// A function of each sample.
    Activation(Function),
    /// `x` where positive, `weight * x` elsewhere; `weight` [C].
    Prelu,
    /// `weight * x + bias` a channel; `weight` [C], `bias` [C].
    Affine,
    /// `x + offset` a channel, not learned: mean colours.
    Shift(Vec<f32>),
    /// `factor * x + offset`, not learned.
    Linear {
        /// Factor.
        factor: f32,
        /// Added after it.
        offset: f32,
    },
    /// Of two values; a single channel or a single position of the second goes to all.
    Binary(BinaryOp),
    /// Channels of all values, one after the other.
    Concat,
    /// Some of the channels.
    Slice {
        /// First of them.
        start: usize,
        /// How many.
        length: usize,
    },
    /// [N, r²C, H, W] to [N, C, rH, rW].
    PixelShuffle(usize),
    /// [N, C, rH, rW] to [N, r²C, H, W].
    PixelUnshuffle(usize),
    /// Other sides.
    Resize(ResizeOp),
    /// Largest or mean value of windows.
    Pool(PoolOp),
    /// Mean over the picture: [N, C, 1, 1].
    GlobalMean,
    /// Mean over the channels of each position: [N, 1, H, W].
    ChannelMean,
    /// Standard deviation over the picture (of the population): [N, C, 1, 1].
    GlobalDeviation,
    /// Mean and variance of groups of channels over the picture made 0 and 1, then `weight * x + bias` a channel.
    GroupNorm {
        /// Groups of channels.
        groups: usize,
        /// Added to the variance.
        epsilon: f32,
    },
    /// Mean and variance over the channels of each position made 0 and 1, then `weight * x + bias` a channel.
    LayerNorm {
        /// Added to the variance.
        epsilon: f32,
    },
    /// Rows and columns added around.
    Pad {
        /// What they hold.
        mode: Padding,
        /// Left, right, top, bottom.
        sides: [usize; 4],
    },
    /// Rows and columns taken off: left, right, top, bottom.
    Crop([usize; 4]),
    /// Enlargement by sampling at learned positions (DySample, ICCV 2023): inputs are the features and the offsets
    /// [N, 2 * groups * scale², H, W], already scaled; sampled bilinearly, borders repeated.
    SampleAt {
        /// Factor of the sides.
        scale: usize,
        /// Groups of channels with offsets of their own.
        groups: usize,
    },
}

/// Two values in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BinaryOp {
    /// Sum.
    Add,
    /// Difference.
    Sub,
    /// Product.
    Mul,
    /// Quotient.
    Div,
}

/// A convolution in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConvOp {
    /// Channels it gives.
    pub outputs: usize,
    /// Rows and columns of its kernel.
    pub kernel: [usize; 2],
    /// Steps between outputs, down and across.
    #[serde(default = "ones", skip_serializing_if = "is_ones")]
    pub stride: [usize; 2],
    /// Zeros around the input: left, right, top, bottom.
    pub padding: [usize; 4],
    /// Steps between the taps of the kernel, down and across.
    #[serde(default = "ones", skip_serializing_if = "is_ones")]
    pub dilation: [usize; 2],
    /// Groups of channels that do not see each other.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub groups: usize,
    /// Whether it has a bias.
    pub bias: bool,
    /// Whether its outputs are a stream that runs along the network, which the method does not prune (section 4.1).
    #[serde(default, skip_serializing_if = "is_false")]
    pub stream: bool,
}

pub(super) fn one() -> usize {
    1
}

fn ones() -> [usize; 2] {
    [1, 1]
}

pub(super) fn is_one(value: &usize) -> bool {
    *value == 1
}

fn is_ones(value: &[usize; 2]) -> bool {
    *value == [1, 1]
}

fn is_false(value: &bool) -> bool {
    !value
}

impl ConvOp {
    /// A convolution of an odd kernel that keeps the size, with bias.
    pub fn new(outputs: usize, kernel: usize) -> Self {
        Self {
            outputs,
            kernel: [kernel; 2],
            stride: [1, 1],
            padding: [kernel / 2; 4],
            dilation: [1, 1],
            groups: 1,
            bias: true,
            stream: false,
        }
    }

    /// The same with other steps between outputs.
    pub fn strided(self, stride: usize) -> Self {
        Self { stride: [stride; 2], ..self }
    }

    /// The same with other padding on all sides.
    pub fn padded(self, padding: usize) -> Self {
        Self { padding: [padding; 4], ..self }
    }

    /// The same in groups.
    pub fn grouped(self, groups: usize) -> Self {
        Self { groups, ..self }
    }

    /// The same without bias.
    pub fn unbiased(self) -> Self {
        Self { bias: false, ..self }
    }

    /// The same, with outputs that are a stream.
    pub fn streaming(self) -> Self {
        Self { stream: true, ..self }
    }

    /// Whether the kernels of our own run it: square and odd, padding that keeps the size at stride 1, one group.
    pub fn is_plain(&self) -> bool {
        let [k, _] = self.kernel;
        self.kernel == [k; 2]
            && k % 2 == 1
            && self.padding == [k / 2; 4]
            && self.dilation == [1, 1]
            && self.groups == 1
            && self.stride[0] == self.stride[1]
    }
}

/// A transposed convolution in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeconvOp {
    /// Channels it gives.
    pub outputs: usize,
    /// Rows and columns of its kernel.
    pub kernel: [usize; 2],
    /// Factor of the sides, down and across.
    pub stride: [usize; 2],
    /// Rows and columns that are cut off on each side, down and across.
    pub padding: [usize; 2],
    /// Rows and columns added at the end.
    pub output_padding: [usize; 2],
    /// Groups of channels that do not see each other.
    pub groups: usize,
    /// Whether it has a bias.
    pub bias: bool,
}

/// Other sides for a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResizeOp {
    /// How samples between samples are found.
    pub mode: Enlargement,
    /// To which sides.
    pub to: ResizeTo,
}

/// How samples between samples are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Enlargement {
    /// Each repeated.
    Nearest,
    /// Between two in each direction, corners not aligned.
    Bilinear,
    /// The same, corners aligned.
    BilinearAligned,
    /// Cubic with a = -0.75, as PyTorch, corners not aligned.
    Bicubic,
}

/// The sides that a value is brought to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ResizeTo {
    /// A multiple of its own.
    Times(usize),
    /// A ratio of its own, rounded down.
    Ratio(usize, usize),
    /// Those of the second input.
    Like,
}

/// A pooling in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolOp {
    /// Largest values instead of means.
    pub max: bool,
    /// Rows and columns of the window.
    pub kernel: [usize; 2],
    /// Steps between windows, down and across.
    pub stride: [usize; 2],
    /// Rows and columns around, down and across.
    pub padding: [usize; 2],
    /// Whether means count what is around.
    pub count_padding: bool,
}

/// What is put around a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Padding {
    /// Zeros.
    Zero,
    /// The border repeated.
    Repeat,
    /// The picture mirrored, its border once.
    Reflect,
}

/// Largest number of channels, side of a kernel, factor or padding that a file may ask for.
const MAX_CHANNELS: usize = 1 << 14;
const MAX_SIDE: usize = 64;

impl Op {
    /// How many values it may take.
    pub(super) fn arity(&self) -> RangeInclusive<usize> {
        match self {
            Self::Input { .. } => 0..=0,
            Self::Binary(_) | Self::SampleAt { .. } => 2..=2,
            Self::Resize(ResizeOp { to: ResizeTo::Like, .. }) => 2..=2,
            Self::Concat => 1..=1024,
            _ => 1..=1,
        }
    }

    /// Refuses numbers that would overflow or divide by zero.
    pub(super) fn check(&self) -> Result<()> {
        let channels = |count: usize| (1..=MAX_CHANNELS).contains(&count);
        let factor = |count: usize| (1..=MAX_SIDE).contains(&count);
        let right = match self {
            Self::Input { channels: count } => channels(*count),
            Self::Conv(conv) => {
                channels(conv.outputs)
                    && channels(conv.groups)
                    && [conv.kernel, conv.stride, conv.dilation].as_flattened().iter().all(|&side| factor(side))
                    && conv.padding.iter().all(|&side| side <= MAX_SIDE)
                    && conv.outputs.is_multiple_of(conv.groups)
            }
            Self::Deconv(conv) => {
                channels(conv.outputs)
                    && channels(conv.groups)
                    && [conv.kernel, conv.stride].as_flattened().iter().all(|&side| factor(side))
                    && (0..2).all(|axis| conv.padding[axis] < conv.kernel[axis])
                    && (0..2).all(|axis| conv.output_padding[axis] < conv.stride[axis])
                    && conv.outputs.is_multiple_of(conv.groups)
            }
            Self::Shift(values) => channels(values.len()) && values.iter().all(|value| value.is_finite()),
            Self::Linear { factor, offset } => factor.is_finite() && offset.is_finite(),
            Self::Slice { start, length } => *start <= MAX_CHANNELS && channels(*length),
            Self::PixelShuffle(by) | Self::PixelUnshuffle(by) => factor(*by),
            Self::Resize(ResizeOp { to: ResizeTo::Times(by), .. }) => factor(*by),
            Self::Resize(ResizeOp { to: ResizeTo::Ratio(up, down), .. }) => factor(*up) && factor(*down),
            Self::Pool(pool) => {
                [pool.kernel, pool.stride].as_flattened().iter().all(|&side| factor(side))
                    && (0..2).all(|axis| pool.padding[axis] < pool.kernel[axis])
            }
            Self::GroupNorm { groups, epsilon } => channels(*groups) && epsilon.is_finite(),
            Self::Pad { sides, .. } | Self::Crop(sides) => sides.iter().all(|&side| side <= 4096),
            Self::SampleAt { scale, groups } => factor(*scale) && factor(*groups),
            Self::Activation(activation) => activation.is_finite(),
            _ => true,
        };
        if right { Ok(()) } else { Err(wrong(format!("{self:?} is beyond what networks of pictures need"))) }
    }

    /// Its weights by role and shape, for an input of `channels` channels.
    pub fn parameters(&self, channels: usize) -> impl Iterator<Item = (&'static str, Vec<usize>)> + use<> {
        let (weight, bias) = match self {
            Self::Conv(ConvOp { outputs, kernel: [rows, columns], groups, bias, .. }) => {
                (Some(vec![*outputs, channels / groups, *rows, *columns]), bias.then(|| vec![*outputs]))
            }
            Self::Deconv(DeconvOp { outputs, kernel: [rows, columns], groups, bias, .. }) => {
                (Some(vec![channels, outputs / groups, *rows, *columns]), bias.then(|| vec![*outputs]))
            }
            Self::Prelu => (Some(vec![channels]), None),
            Self::Affine | Self::GroupNorm { .. } | Self::LayerNorm { .. } => {
                (Some(vec![channels]), Some(vec![channels]))
            }
            _ => (None, None),
        };
        weight.map(|shape| ("weight", shape)).into_iter().chain(bias.map(|shape| ("bias", shape)))
    }

    /// What it is, for people: `3x3 convolution`.
    pub fn describe(&self) -> String {
        match self {
            Self::Input { .. } => "input".into(),
            Self::Conv(ConvOp { kernel: [rows, columns], groups, stride, .. }) => {
                let grouped = if *groups > 1 { "grouped " } else { "" };
                let strided = if *stride == [1, 1] { "" } else { "strided " };
                format!("{strided}{grouped}{rows}x{columns} convolution")
            }
            Self::Deconv(_) => "transposed convolution".into(),
            Self::Activation(activation) => activation.name().into(),
            Self::Prelu => "PReLU".into(),
            Self::Affine | Self::Shift(_) | Self::Linear { .. } => "scale and shift".into(),
            Self::Binary(BinaryOp::Add) => "addition".into(),
            Self::Binary(BinaryOp::Sub) => "subtraction".into(),
            Self::Binary(BinaryOp::Mul) => "product".into(),
            Self::Binary(BinaryOp::Div) => "quotient".into(),
            Self::Concat => "concatenation".into(),
            Self::Slice { .. } => "channel slice".into(),
            Self::PixelShuffle(_) => "pixel shuffle".into(),
            Self::PixelUnshuffle(_) => "pixel unshuffle".into(),
            Self::Resize(ResizeOp { mode, .. }) => match mode {
                Enlargement::Nearest => "nearest enlargement".into(),
                Enlargement::Bilinear | Enlargement::BilinearAligned => "bilinear enlargement".into(),
                Enlargement::Bicubic => "bicubic enlargement".into(),
            },
            Self::Pool(PoolOp { max: true, .. }) => "max pooling".into(),
            Self::Pool(_) => "average pooling".into(),
            Self::GlobalMean | Self::GlobalDeviation => "global pooling".into(),
            Self::GroupNorm { .. } => "group normalization".into(),
            Self::LayerNorm { .. } => "layer normalization".into(),
            Self::ChannelMean => "mean of channels".into(),
            Self::Pad { .. } => "padding".into(),
            Self::Crop(_) => "crop".into(),
            Self::SampleAt { .. } => "dynamic sampling".into(),
        }
    }
}
