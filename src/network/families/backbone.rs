//! Networks of our own that work at the input's resolution: most of their work is 3x3 convolutions, which run at full
//! speed on a CPU, and they enlarge in their last step.

use dualres_kernels::Function;
use serde::{Deserialize, Serialize};

use crate::{
    Result,
    graph::{Builder, ConvOp, Enlargement, Graph, NodeId, Op, PoolOp, ResizeOp, ResizeTo},
};

/// How a block of a backbone is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// Two convolutions with a skip around them, as in EDSR.
    Residual,
    /// The same with channel attention, as in RCAN.
    Attention,
    /// A convolution and an activation, no skip: a plain row.
    Plain,
    /// Two convolutions, the second one gated by a 1x1 convolution of itself, with a skip: pixel attention, as in PAN.
    Pixel,
    /// Three convolutions with a skip, a 1x1 convolution and spatial attention from afar, as in RLFN.
    Local,
    /// Three convolutions with a skip, gated by themselves: attention without parameters, as in SPAN.
    Gate,
}

/// A backbone in numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backbone {
    /// How its blocks are made.
    pub block: BlockKind,
    /// Factor between input and output sides: 2, 3, 4 or 8.
    pub scale: usize,
    /// Channels of the stream.
    pub features: usize,
    /// Blocks.
    pub blocks: usize,
}

impl Backbone {
    /// The network as a graph: the picture's colours about their middle, a convolution, the blocks, a convolution with a
    /// skip around all of them, and a convolution whose pixels are shuffled onto the picture enlarged by bicubic
    /// interpolation.
    ///
    /// # Errors
    /// If the numbers describe no network.
    pub fn graph(&self) -> Result<Graph> {
        let &Self { block, scale, features, blocks } = self;
        if !(2..=8).contains(&scale) || !(1..=512).contains(&features) || !(1..=256).contains(&blocks) {
            let reason = format!(
                "scale {scale}, {features} features and {blocks} blocks (it takes scales 2 to 8, 1 to 512 features and 1 to 256 blocks)"
            );
            return Err(crate::NetworkError::Architecture(reason));
        }
        let mut graph = Builder::new(3);
        // Features of the size that random weights expect.
        let x = graph.unary(Op::Linear { factor: 1.0 / 128.0, offset: -1.0 }, 0);
        let head = graph.add("head", Op::Conv(ConvOp::new(features, 3).streaming()), &[x]);
        let mut x = head;
        for index in 0..blocks {
            x = self.block(&mut graph, block, &format!("body.{index}"), x);
        }
        let body = graph.conv("body.last", x, features, 3);
        let x = graph.sum(body, head);
        let x = graph.conv("tail", x, 3 * scale * scale, 3);
        let x = graph.unary(Op::Linear { factor: 128.0, offset: 0.0 }, x);
        let x = graph.unary(Op::PixelShuffle(scale), x);
        let bicubic = ResizeOp { mode: Enlargement::Bicubic, to: ResizeTo::Times(scale) };
        let enlarged = graph.unary(Op::Resize(bicubic), 0);
        let picture = graph.sum(x, enlarged);
        graph.finish_single(picture)
    }

    fn block(&self, graph: &mut Builder, kind: BlockKind, name: &str, x: NodeId) -> NodeId {
        let features = self.features;
        let layer = |index: usize| format!("{name}.{index}");
        let row = |graph: &mut Builder, count: usize, last: Option<Function>| {
            let mut y = x;
            for index in 0..count {
                y = graph.conv(layer(index), y, features, 3);
                let function = if index + 1 < count { Some(activation(kind)) } else { last };
                y = function.map_or(y, |function| graph.activation(function, y));
            }
            y
        };
        match kind {
            BlockKind::Residual => {
                let y = row(graph, 2, None);
                graph.sum(y, x)
            }
            BlockKind::Attention => {
                let y = row(graph, 2, None);
                let mean = graph.unary(Op::GlobalMean, y);
                let squeezed = graph.conv(format!("{name}.squeeze"), mean, (features / 8).max(1), 1);
                let squeezed = graph.activation(Function::Relu, squeezed);
                let excited = graph.conv(format!("{name}.excite"), squeezed, features, 1);
                let scale = graph.activation(Function::Sigmoid, excited);
                let y = graph.product(y, scale);
                graph.sum(y, x)
            }
            BlockKind::Plain => row(graph, 1, Some(activation(kind))),
            BlockKind::Pixel => {
                let y = row(graph, 2, None);
                let gate = graph.conv(format!("{name}.gate"), y, features, 1);
                let gate = graph.activation(Function::Sigmoid, gate);
                let y = graph.product(y, gate);
                graph.sum(y, x)
            }
            BlockKind::Local => {
                let y = row(graph, 3, Some(activation(kind)));
                let y = graph.sum(y, x);
                let y = graph.conv(format!("{name}.mix"), y, features, 1);
                spatial(graph, name, y, features)
            }
            BlockKind::Gate => {
                let y = row(graph, 3, None);
                let gate = graph.activation(Function::Sigmoid, y);
                let gate = graph.unary(Op::Linear { factor: 1.0, offset: -0.5 }, gate);
                let sum = graph.sum(y, x);
                graph.product(sum, gate)
            }
        }
    }

    /// Widths and blocks in words.
    pub fn in_words(&self) -> String {
        let block = match self.block {
            BlockKind::Residual => "residual",
            BlockKind::Attention => "residual channel attention",
            BlockKind::Plain => "plain",
            BlockKind::Pixel => "pixel attention",
            BlockKind::Local => "residual local feature",
            BlockKind::Gate => "gated",
        };
        format!("{} {block} blocks of {} features at the input's resolution", self.blocks, self.features)
    }
}

fn activation(kind: BlockKind) -> Function {
    match kind {
        BlockKind::Local => Function::LeakyRelu(0.05),
        BlockKind::Gate => Function::Silu,
        BlockKind::Plain => Function::LeakyRelu(0.1),
        _ => Function::Relu,
    }
}

/// A mask from far around, on a quarter of the channels at a sixth of the resolution.
fn spatial(graph: &mut Builder, name: &str, x: NodeId, features: usize) -> NodeId {
    let narrow = (features / 4).max(1);
    let fine = graph.conv(format!("{name}.esa.0"), x, narrow, 1);
    let pool = PoolOp { max: false, kernel: [4; 2], stride: [4; 2], padding: [0; 2], count_padding: true };
    let small = graph.unary(Op::Pool(pool), fine);
    let small = graph.conv(format!("{name}.esa.1"), small, narrow, 3);
    let small = graph.activation(Function::Relu, small);
    let small = graph.conv(format!("{name}.esa.2"), small, narrow, 3);
    let wide = graph.add("", Op::Resize(ResizeOp { mode: Enlargement::Bilinear, to: ResizeTo::Like }), &[small, fine]);
    let sum = graph.sum(wide, fine);
    let mask = graph.conv(format!("{name}.esa.3"), sum, features, 1);
    let mask = graph.activation(Function::Sigmoid, mask);
    graph.product(x, mask)
}
