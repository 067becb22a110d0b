//! Foreign networks as the program knows them: RGB in `[0, 255]` in, RGB in `[0, 255]` out.

use crate::{
    NetworkError, Result,
    graph::{BinaryOp, Builder, Enlargement, Graph, NodeId, Op, ResizeOp, ResizeTo},
};

/// Order of the colours that a network takes and gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ColourOrder {
    /// Red first.
    #[default]
    Rgb,
    /// Blue first, as OpenCV has it.
    Bgr,
}

/// Weights of red, green and blue in luma (BT.601, full range).
const LUMA: [f32; 3] = [0.299, 0.587, 0.114];

/// The network with what its pictures need around it.
///
/// A network of one channel is given luma; the colours are enlarged by bicubic interpolation.
///
/// # Errors
/// If it takes or gives neither one channel nor three.
pub(super) fn adapt(inner: &Graph, [low, high]: [f32; 2], order: ColourOrder) -> Result<Graph> {
    let shapes = inner.shapes([96, 144])?;
    let (takes, gives) = (shapes[0].channels, shapes[inner.result()].channels);
    if !matches!((takes, gives), (3, 3) | (1, 1)) {
        return Err(NetworkError::Weights(format!(
            "it takes {takes} channels and gives {gives}; pictures have three, or luma alone"
        )));
    }
    if !(low.is_finite() && high.is_finite() && low < high) {
        return Err(NetworkError::Weights(format!("samples between {low} and {high}")));
    }
    let mut graph = Builder::new(3);
    let mut x = 0;
    let luma = takes == 1;
    if luma {
        x = luma_of(&mut graph, 0);
    } else if order == ColourOrder::Bgr {
        x = reversed(&mut graph, x);
    }
    let span = (high - low) / 255.0;
    if (low, high) != (0.0, 255.0) {
        x = graph.unary(Op::Linear { factor: span, offset: low }, x);
    }
    x = graph.embed(inner, x);
    if (low, high) != (0.0, 255.0) {
        x = graph.unary(Op::Linear { factor: 1.0 / span, offset: -low / span }, x);
    }
    if luma {
        let bicubic = ResizeOp { mode: Enlargement::Bicubic, to: ResizeTo::Times(inner.scale()) };
        let colours = if inner.scale() == 1 { 0 } else { graph.unary(Op::Resize(bicubic), 0) };
        let before = luma_of(&mut graph, colours);
        // As much brighter in all three colours changes luma alone.
        let change = graph.add("", Op::Binary(BinaryOp::Sub), &[x, before]);
        x = graph.sum(colours, change);
    } else if order == ColourOrder::Bgr {
        x = reversed(&mut graph, x);
    }
    graph.finish_single(x)
}

fn luma_of(graph: &mut Builder, x: NodeId) -> NodeId {
    let parts = [0, 1, 2].map(|channel| {
        let plane = graph.unary(Op::Slice { start: channel, length: 1 }, x);
        graph.unary(Op::Linear { factor: LUMA[channel], offset: 0.0 }, plane)
    });
    let sum = graph.sum(parts[0], parts[1]);
    graph.sum(sum, parts[2])
}

fn reversed(graph: &mut Builder, x: NodeId) -> NodeId {
    let planes = [2, 1, 0].map(|channel| graph.unary(Op::Slice { start: channel, length: 1 }, x));
    graph.concat(&planes)
}
