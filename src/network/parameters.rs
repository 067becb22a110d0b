//! Access to trainable parameters, for training and compression.

use burn::tensor::Tensor;

use crate::{Model, blocks::Conv};

/// The part of a model that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// The primal network.
    Primal,
    /// A dual model by its level.
    Dual(usize),
}

/// A pass over all parameters of a model that may replace them. Names are those of model files.
pub trait ParameterMapper {
    /// Maps a convolution kernel [O, C, K, K].
    fn kernel(&mut self, group: Group, name: &str, tensor: Tensor<4>) -> Tensor<4>;
    /// Maps a bias [O].
    fn bias(&mut self, group: Group, name: &str, tensor: Tensor<1>) -> Tensor<1>;
}

impl Model {
    /// Replaces every parameter by what `mapper` makes of it, in a fixed order.
    pub fn map_parameters(&mut self, mapper: &mut dyn ParameterMapper) {
        self.primal.visit_mut(&mut |conv| map(conv, Group::Primal, "model.", mapper));
        for (level, dual) in self.duals.iter_mut().enumerate() {
            dual.visit_mut(&mut |conv| map(conv, Group::Dual(level), &format!("dual.{level}."), mapper));
        }
    }
}

fn map(conv: &mut Conv, group: Group, prefix: &str, mapper: &mut dyn ParameterMapper) {
    conv.weight = mapper.kernel(group, &format!("{prefix}{}.weight", conv.name), conv.weight.clone());
    if let Some(bias) = conv.bias.take() {
        conv.bias = Some(mapper.bias(group, &format!("{prefix}{}.bias", conv.name), bias));
    }
}
