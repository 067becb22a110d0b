//! Weights from and to tensors on devices.

use burn::tensor::{Device, Tensor, TensorData};

use crate::{NetworkError, Result, Weight, Weights};

impl Weights {
    /// Puts values, in row-major order, under a name.
    pub fn insert(&mut self, name: impl Into<String>, shape: &[usize], values: &Tensor<1>) {
        let data = values.to_data().convert::<f32>();
        let values = data.try_into_vec::<f32>().expect("converted to f32");
        self.0.insert(name.into(), Weight { shape: shape.to_vec(), values });
    }

    /// The values of a name, whose shape must be `shape`, in row-major order.
    ///
    /// # Errors
    /// If there are none, their shape is another, or one is not a number.
    pub fn values(&self, name: &str, shape: &[usize], device: &Device) -> Result<Tensor<1>> {
        let weight = self.0.get(name).ok_or_else(|| NetworkError::Weights(format!("{name} is missing")))?;
        if weight.shape != shape {
            return Err(NetworkError::Weights(format!("{name} has shape {:?}, expected {shape:?}", weight.shape)));
        }
        if let Some(bad) = weight.values.iter().find(|value| !value.is_finite()) {
            return Err(NetworkError::Weights(format!("{name} holds {bad}")));
        }
        Ok(Tensor::from_data(TensorData::new(weight.values.clone(), [weight.values.len()]), device))
    }
}
