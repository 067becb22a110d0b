//! Channel attention, with the statistics of the whole picture or of a neighbourhood.

use burn::tensor::{Tensor, activation::sigmoid, module::avg_pool2d, ops::AvgPoolOptions};
use dualres_kernels::{Activation, AttentionLayers, attend, cell_means, modulate};

use crate::{
    Architecture, Result,
    blocks::{Conv, ConvShape, ConvSource},
};

/// What channel attention averages over.
///
/// The published networks average over their whole input. A picture cut into tiles then sees other statistics in each
/// tile, which no overlap repairs, and a large picture other statistics than the training patches had. Averaging over
/// a window of the size of the training patch makes both agree ("Revisiting Global Information Aggregation for Image
/// Restoration", ECCV 2022).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Over the whole input: the published networks.
    Global,
    /// Over a window of `window_cells` x `window_cells` cells of `cell` x `cell` input pixels, the window moving by
    /// whole cells and the attention interpolated between their centres. Inputs must be whole cells in size, and tiles
    /// must begin at whole cells for their results to agree.
    Local {
        /// Side of a cell in pixels of the low-resolution input.
        cell: usize,
        /// Side of the window in cells, odd.
        window_cells: usize,
    },
}

impl Pooling {
    /// Cell side of [`Pooling::local`], in pixels of the low-resolution input.
    pub const CELL: usize = 8;

    /// Local pooling with the odd number of cells nearest to the training patch (side in low-resolution pixels).
    pub fn local(training_patch: usize) -> Self {
        let cells = training_patch / Self::CELL;
        Self::Local { cell: Self::CELL, window_cells: (cells + 1 - cells % 2).max(3) }
    }

    /// What input sides must be a multiple of.
    pub fn alignment(self) -> usize {
        match self {
            Self::Global => 1,
            Self::Local { cell, .. } => cell,
        }
    }
}

/// Squeeze and excitation: average, two 1x1 convolutions, sigmoid, scale.
#[derive(Clone, Debug)]
pub(crate) struct ChannelAttention {
    pub(crate) squeeze: Conv,
    pub(crate) excite: Conv,
}

impl ChannelAttention {
    pub(crate) fn build(name: &str, channels: usize, source: &mut dyn ConvSource) -> Result<Self> {
        let squeezed = Architecture::squeezed(channels);
        Ok(Self {
            squeeze: source.conv(format!("{name}.conv_du.0"), ConvShape::new(channels, squeezed, 1))?,
            excite: source.conv(format!("{name}.conv_du.2"), ConvShape::new(squeezed, channels, 1))?,
        })
    }

    /// Scales `x` [N, C, H, W], whose resolution is `magnification` times that of the network's input, and adds
    /// `residual`.
    pub(crate) fn forward(
        &self,
        x: Tensor<4>,
        residual: Tensor<4>,
        pooling: Pooling,
        magnification: usize,
    ) -> Tensor<4> {
        let means = match pooling {
            Pooling::Global => return attend(x, residual, self.layers()),
            Pooling::Local { cell, window_cells } => {
                // Beyond the picture there is nothing to average.
                let window = AvgPoolOptions::new([window_cells; 2])
                    .with_stride([1, 1])
                    .with_padding([window_cells / 2; 2])
                    .with_count_include_pad(false);
                avg_pool2d(cell_means(x.clone(), cell * magnification), window)
            }
        };
        modulate(x, self.excitation(means), residual)
    }

    fn layers(&self) -> AttentionLayers {
        let bias = |conv: &Conv| conv.bias.clone().expect("built with a bias");
        AttentionLayers {
            squeeze: self.squeeze.weight.clone(),
            squeeze_bias: bias(&self.squeeze),
            excite: self.excite.weight.clone(),
            excite_bias: bias(&self.excite),
        }
    }

    fn excitation(&self, mean: Tensor<4>) -> Tensor<4> {
        sigmoid(self.excite.forward(self.squeeze.forward_then(mean, Activation::Relu)))
    }
}
