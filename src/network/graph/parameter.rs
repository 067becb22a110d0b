//! Weights on a device.

use burn::tensor::Tensor;

/// A weight on a device: any rank, its values in row-major order.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Length of each axis.
    pub shape: Vec<usize>,
    /// [product of the shape]
    pub values: Tensor<1>,
}

impl Parameter {
    /// The weight as a tensor of its rank.
    ///
    /// # Panics
    /// If its rank is another.
    pub fn tensor<const D: usize>(&self) -> Tensor<D> {
        let shape: [usize; D] = self.shape.as_slice().try_into().expect("the rank its operator has");
        self.values.clone().reshape(shape)
    }
}
