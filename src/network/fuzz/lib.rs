//! The code that reads model files and checkpoints, without the tensor library that takes a quarter of an hour to build.
#![allow(dead_code, unused_imports)]

#[path = "../architecture.rs"]
mod architecture;
#[path = "../calibration.rs"]
mod calibration;
#[path = "../error.rs"]
mod error;
#[path = "../file.rs"]
mod file;
#[path = "../import/checkpoint.rs"]
mod checkpoint;
#[path = "../import/pickle.rs"]
mod pickle;
#[path = "../weights.rs"]
mod weights;

pub(crate) use architecture::Architecture;
pub(crate) use calibration::ErrorCalibration;
pub(crate) use error::{NetworkError, Result};
pub(crate) use weights::{Weight, Weights};

/// A model file: refused in words, or read to the same bytes again.
pub fn read_model(data: &[u8]) {
    if let Err(error) = file::parse(data, "fuzz") {
        assert!(error.to_string().contains("fuzz"), "names the file: {error}");
    }
    if let Ok((weights, metadata)) = file::tensors_from_bytes(data, "fuzz") {
        let again = file::tensors_to_bytes(&weights, metadata.clone());
        let (weights_again, metadata_again) = file::tensors_from_bytes(&again, "fuzz").expect("readable");
        // Numbers that are none equal nothing, not even themselves.
        assert_eq!(weights.0.keys().collect::<Vec<_>>(), weights_again.0.keys().collect::<Vec<_>>());
        assert_eq!(metadata, metadata_again);
    }
}

/// A checkpoint of PyTorch: refused in words, or read.
pub fn read_checkpoint(data: &[u8]) {
    let _ = checkpoint::parse(data);
}
