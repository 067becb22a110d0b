//! How far a network sees.

use super::{DeconvOp, Enlargement, Graph, Op, ResizeOp, ResizeTo};

/// How far the result of a network depends on its input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Pixels of the input on each side of the one that is enlarged, leaving statistics of the whole picture aside.
    pub pixels: usize,
    /// Whether it takes statistics of the whole picture as well.
    pub global: bool,
}

impl Graph {
    /// How far the result sees.
    pub fn reach(&self) -> Reach {
        // For each value: pixels of the input between two of its positions, and how far one position sees.
        let mut values: Vec<(f64, f64)> = Vec::with_capacity(self.nodes().len());
        let mut global = false;
        for node in self.nodes() {
            let inputs: Vec<(f64, f64)> = node.inputs.iter().map(|&input| values[input]).collect();
            let (step, far) = inputs.first().copied().unwrap_or((1.0, 0.0));
            let window = |kernel: usize, stride: usize| (step * stride as f64, far + step * (kernel - 1) as f64 / 2.0);
            values.push(match &node.op {
                Op::Conv(conv) => {
                    let span = |axis: usize| (conv.kernel[axis] - 1) * conv.dilation[axis] + 1;
                    window(span(0).max(span(1)), conv.stride[0].max(conv.stride[1]))
                }
                Op::Deconv(DeconvOp { kernel, stride, .. }) => {
                    let by = stride[0].min(stride[1]) as f64;
                    (step / by, far + step * (kernel[0].max(kernel[1]) as f64 / by / 2.0))
                }
                Op::Pool(pool) => window(pool.kernel[0].max(pool.kernel[1]), pool.stride[0].max(pool.stride[1])),
                Op::PixelShuffle(by) => (step / *by as f64, far),
                Op::PixelUnshuffle(by) => (step * *by as f64, far + step * *by as f64),
                Op::SampleAt { scale, .. } => (step / *scale as f64, far.max(inputs[1].1) + 4.0 * step),
                Op::Resize(ResizeOp { mode, to }) => {
                    let taps = match mode {
                        Enlargement::Nearest => 0.5,
                        Enlargement::Bilinear | Enlargement::BilinearAligned => 1.0,
                        Enlargement::Bicubic => 2.0,
                    };
                    let after = match to {
                        ResizeTo::Times(by) => step / *by as f64,
                        ResizeTo::Ratio(up, down) => step * *down as f64 / *up as f64,
                        ResizeTo::Like => inputs[1].0,
                    };
                    (after, far + taps * step)
                }
                Op::GlobalMean | Op::GlobalDeviation => {
                    global = true;
                    (step, far)
                }
                Op::GroupNorm { .. } => {
                    global = true;
                    (step, far)
                }
                _ => (
                    inputs.iter().map(|(step, _)| *step).fold(step, f64::min),
                    inputs.iter().map(|(_, far)| *far).fold(far, f64::max),
                ),
            });
        }
        Reach { pixels: values[self.result()].1.ceil() as usize, global }
    }
}
