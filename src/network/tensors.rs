//! Weights from and to tensors on devices.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{NetworkError, Result, Weight, Weights};

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
}
