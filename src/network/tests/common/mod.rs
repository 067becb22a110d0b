//! The reference tensors, and how far ours are from them.
#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

pub(crate) mod foreign;

use std::path::PathBuf;

use burn::tensor::{Device, Tensor};
use dualres_network::{Weights, tensors_from_bytes};

pub(crate) fn data(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file)
}

pub(crate) fn read_tensors(file: &str) -> Weights {
    tensors_from_bytes(&std::fs::read(data(file)).unwrap(), file).unwrap().0
}

pub(crate) struct Reference {
    pub(crate) weights: Weights,
    pub(crate) expected: Weights,
}

impl Reference {
    pub(crate) fn load(name: &str) -> Self {
        Self {
            weights: read_tensors(&format!("{name}.weights.safetensors")),
            expected: read_tensors(&format!("{name}.expected.safetensors")),
        }
    }

    pub(crate) fn tensor(&self, name: &str, device: &Device) -> Tensor<4> {
        let shape: [usize; 4] = self.expected.0[name].shape.clone().try_into().unwrap();
        self.expected.values(name, &shape, device).unwrap().reshape(shape)
    }
}

/// Largest difference over largest expected value.
pub(crate) fn relative_error(ours: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(ours.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |m, v| m.max(v.abs()));
    let difference = ours.iter().zip(expected).fold(0.0_f32, |m, (a, b)| m.max((a - b).abs()));
    difference / largest.max(f32::MIN_POSITIVE)
}
