//! Dual regression networks: what they are, where their weights come from and what they run on.
//!
//! The primal network ([`Drn`]) maps low to high resolution, one [`DualModel`] a level maps back. A network is one
//! type whatever its size: an [`Architecture`] says scale, features, blocks and the inner width of every prunable unit,
//! so that a compressed network differs from its original by a table of numbers only.
//!
//! Method: Guo et al., "Closed-loop Matters: Dual Regression Networks for Single Image Super-Resolution" (CVPR 2020)
//! and "Towards Lightweight Super-Resolution with Dual Regression Learning" (TPAMI 2024). Pictures are tensors
//! [N, 3, H, W] of RGB in `[0, 255]`, the range of the published networks.

mod architecture;
mod attention;
mod blocks;
mod calibration;
pub mod cost;
pub mod device;
mod drn;
mod dual;
mod error;
pub mod export;
mod file;
pub mod import;
mod levels;
mod loss;
mod model;
mod parameters;
mod regrow;
mod tensors;
mod weights;

pub use architecture::{Architecture, MAX_SCALE, Preset, Unit, UnitKind, UnitLayers};
pub use attention::Pooling;
pub use calibration::ErrorCalibration;
pub use drn::{Drn, Pass};
pub use dual::DualModel;
pub use error::{NetworkError, Result};
pub use file::{Description, Metric, tensors_from_bytes, tensors_to_bytes};
pub use levels::Probe;
pub use loss::{DualRegressionLoss, dual_regression_loss};
pub use model::Model;
pub use parameters::{Group, ParameterMapper};
pub use weights::{Weight, Weights};
