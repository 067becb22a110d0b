//! What is known of the errors of a network, for pictures without a truth to compare with.

use serde::{Deserialize, Serialize};

/// How to expect the error of a result from what can be seen without the truth, learned from pictures with it.
///
/// The features are those of the engine; a model file carries the weights that were fitted for its network. Not part of the
/// publications.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErrorCalibration {
    /// Weights of the logarithms of the features, the last for the constant.
    pub weights: Vec<f32>,
    /// What the predicted error is multiplied by so that its mean is that of the true one.
    pub scale: f32,
    /// Mean squared error over the mean square of the expected one.
    #[serde(serialize_with = "crate::digits::serialize")]
    pub squared_scale: f64,
    /// Spearman's correlation of expected and true error over the pictures it was fitted to, in windows of 8x8 pixels of
    /// the input.
    #[serde(serialize_with = "crate::digits::serialize")]
    pub correlation: f64,
    /// Pictures it was fitted to.
    pub set: String,
}
