//! Access to trainable parameters, for training and compression.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use crate::Model;

/// The part of a model that a parameter belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Group {
    /// The primal network.
    Primal,
    /// A dual model by its place.
    Dual(usize),
}

impl Model {
    /// Replaces the values of every parameter, in a fixed order: `map` is given its part, its name in model files, and its
    /// values in row-major order.
    pub fn map_parameters(&mut self, map: &mut dyn FnMut(Group, &str, Tensor<1>) -> Tensor<1>) {
        self.primal.map_parameters(|name, values| map(Group::Primal, &format!("model.{name}"), values));
        for (index, dual) in self.duals.iter_mut().enumerate() {
            dual.network
                .map_parameters(|name, values| map(Group::Dual(index), &format!("dual.{index}.{name}"), values));
        }
    }

    /// Shapes of all parameters by their names in model files.
    pub fn parameter_shapes(&self) -> BTreeMap<String, Vec<usize>> {
        let primal = self.primal.parameter_shapes().map(|(name, shape)| (format!("model.{name}"), shape.to_vec()));
        let duals = self.duals.iter().enumerate().flat_map(|(index, dual)| {
            let shapes = dual.network.parameter_shapes();
            shapes.map(move |(name, shape)| (format!("dual.{index}.{name}"), shape.to_vec()))
        });
        primal.chain(duals).collect()
    }
}
