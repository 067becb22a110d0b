//! Networks that enlarge pictures and lead them back: what they are, where their weights come from and what they run on.
//!
//! A network is a [`Graph`], whatever its architecture; scale, cost, prunable channels, memory, tiles and the forward pass
//! are derived from it. A [`Model`] is a primal network, which maps low to high resolution, its [`DualModel`]s, which map
//! back, and a [`Description`]. A compressed network differs from its original by the numbers in its graph only.
//!
//! Method: Guo et al., "Closed-loop Matters: Dual Regression Networks for Single Image Super-Resolution" (CVPR 2020)
//! and "Towards Lightweight Super-Resolution with Dual Regression Learning" (TPAMI 2024). Pictures are tensors
//! [N, 3, H, W] of RGB in `[0, 255]`, the range of the published networks.

#![warn(clippy::print_stderr, clippy::print_stdout)]

mod blueprint;
mod calibration;
mod collapse;
mod depth;
mod description;
pub mod device;
mod digits;
mod error;
mod evaluate;
pub mod export;
pub mod families;
mod fault;
mod file;
pub mod graph;
mod hint;
pub mod import;
mod loss;
mod model;
mod original;
mod parameters;
mod pooling;
mod tensors;
mod weights;

pub use blueprint::Blueprint;
/// Where tensors live.
pub use burn::tensor::Device;
pub use calibration::ErrorCalibration;
pub use description::{Description, DualSpec, Metric, UNKNOWN_LICENCE};
pub use error::{NetworkError, Result};
pub use families::{Architecture, Backbone, BlockKind, MAX_SCALE, Preset};
pub use file::{is_model, read_file, tensors_from_bytes, tensors_to_bytes};
pub use graph::{Activations, ChannelGroup, Cost, Graph, Network, ResidualBlock};
pub use hint::Hint;
pub use loss::{DualRegressionLoss, dual_regression_loss, unpaired_dual_loss};
pub use model::{DualModel, Model};
pub use original::{LayerWidth, OriginalWidths};
pub use parameters::Group;
pub use pooling::Pooling;
pub use weights::{Weight, Weights};
