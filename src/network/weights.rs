//! Named weights in host memory, between files and devices.

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor, TensorData};

use crate::{NetworkError, Result};

/// One weight: its shape and its values in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Weight {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// Values.
    pub values: Vec<f32>,
}

/// Weights by name, in the names of the published code (`head.weight`, `up_blocks.0.3.body.0.bias` …).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights(pub BTreeMap<String, Weight>);

impl Weights {
    /// Puts a tensor under a name.
    pub fn insert<const D: usize>(&mut self, name: impl Into<String>, tensor: &Tensor<D>) {
        let data = tensor.to_data();
        let shape = data.shape().to_vec();
        let values = data.convert::<f32>().try_into_vec::<f32>().expect("converted to f32");
        self.0.insert(name.into(), Weight { shape, values });
    }

    /// The weight of a name as a tensor of a given shape.
    ///
    /// # Errors
    /// If there is none, or its shape is another.
    pub fn tensor<const D: usize>(&self, name: &str, shape: [usize; D], device: &Device) -> Result<Tensor<D>> {
        let weight = self.0.get(name).ok_or_else(|| NetworkError::Weights(format!("{name} is missing")))?;
        if weight.shape != shape {
            return Err(NetworkError::Weights(format!("{name} has shape {:?}, expected {shape:?}", weight.shape)));
        }
        if let Some(bad) = weight.values.iter().find(|value| !value.is_finite()) {
            return Err(NetworkError::Weights(format!("{name} holds {bad}")));
        }
        Ok(Tensor::from_data(TensorData::new(weight.values.clone(), shape), device))
    }

    /// The weights whose names begin with `prefix`, without it.
    pub fn under(&self, prefix: &str) -> Self {
        Self(
            self.0
                .iter()
                .filter_map(|(name, weight)| Some((name.strip_prefix(prefix)?.to_owned(), weight.clone())))
                .collect(),
        )
    }

    /// Adds all of `other` under `prefix`.
    pub fn extend_under(&mut self, prefix: &str, other: Self) {
        self.0.extend(other.0.into_iter().map(|(name, weight)| (format!("{prefix}{name}"), weight)));
    }
}
