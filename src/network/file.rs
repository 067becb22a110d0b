//! Model files: what a model says of itself, and its weights, as bytes.
//!
//! One safetensors file holds a model: tensors `model.*` and `dual.<i>.*` in the published names, and the description as
//! JSON in the metadata entry `dualres`. Nothing here knows of tensors on devices, so that broken files can be tried on this
//! code alone (`fuzz/`).

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::{Deserialize, Serialize};

use crate::{Architecture, ErrorCalibration, NetworkError, Result, Weight, Weights};

/// Version of the file format.
const FORMAT: u32 = 1;
/// Metadata entry of the description.
pub(crate) const ENTRY: &str = "dualres";
/// Side in low-resolution pixels that attention windows have when a file does not say what it was trained on: the
/// training patch of the published networks is 384 pixels of the high resolution.
const PUBLISHED_PATCH: usize = 384;

/// A measured quality, never without its rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    /// What was measured, such as `psnr_y`.
    pub name: String,
    /// Pictures it was measured on.
    pub set: String,
    /// The value.
    pub value: f64,
    /// How it was measured.
    pub rule: String,
}

/// What a model file says about its model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Description {
    /// Version of the file format.
    pub format: u32,
    /// Name, such as `x4`.
    pub name: String,
    /// One sentence on what it is for.
    #[serde(default)]
    pub purpose: String,
    /// The network in numbers.
    pub architecture: Architecture,
    /// Lowest and highest sample value.
    pub pixel_range: [f32; 2],
    /// Side of the low-resolution training patch in pixels; decides the window of local pooling.
    pub training_patch: usize,
    /// Training data, settings and commands.
    #[serde(default)]
    pub training: serde_json::Value,
    /// Measured quality.
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// How to expect the error of its results; absent if nobody measured it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error_calibration: Option<ErrorCalibration>,
    /// Licence of the weights.
    pub licence: String,
}

impl Description {
    /// A description of a network that nothing else is known of.
    pub fn new(name: impl Into<String>, architecture: Architecture) -> Self {
        Self {
            format: FORMAT,
            name: name.into(),
            purpose: String::new(),
            training_patch: PUBLISHED_PATCH / architecture.scale,
            architecture,
            pixel_range: [0.0, 255.0],
            training: serde_json::Value::Null,
            metrics: Vec::new(),
            error_calibration: None,
            licence: "unknown".into(),
        }
    }
}

/// Writes weights as safetensors with metadata.
pub fn tensors_to_bytes(weights: &Weights, metadata: HashMap<String, String>) -> Vec<u8> {
    let bytes: Vec<(&String, &Weight, Vec<u8>)> = weights
        .0
        .iter()
        .map(|(name, weight)| (name, weight, weight.values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = bytes.iter().map(|(name, weight, bytes)| {
        let view = TensorView::new(Dtype::F32, weight.shape.clone(), bytes).expect("bytes of the shape's length");
        (name.as_str(), view)
    });
    safetensors::serialize(views, Some(metadata)).expect("plain tensors serialize")
}

/// Reads all tensors and the metadata of a safetensors file; `name` is used in messages.
///
/// # Errors
/// If the bytes are not safetensors of 32-bit floats.
pub fn tensors_from_bytes(bytes: &[u8], name: &str) -> Result<(Weights, HashMap<String, String>)> {
    let unreadable = |reason: String| format_error(name, format!("the file is damaged or no model file ({reason})"));
    if bytes.starts_with(b"PK") {
        let reason = "it looks like a PyTorch checkpoint; `dualres models import` makes a model file of those of DRN";
        return Err(format_error(name, reason.into()));
    }
    // The first two fields of an ONNX file: its version, a small number, and a text.
    if matches!(bytes, [0x08, _, 0x12, ..]) {
        return Err(format_error(name, "it looks like an ONNX file, which can be written but not read".into()));
    }
    let file = SafeTensors::deserialize(bytes).map_err(|error| unreadable(error.to_string()))?;
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| unreadable(error.to_string()))?;
    let mut weights = Weights::default();
    for (tensor_name, view) in file.tensors() {
        if view.dtype() != Dtype::F32 {
            return Err(unreadable(format!("{tensor_name} holds {:?}, not 32-bit floats", view.dtype())));
        }
        let values = view.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        weights.0.insert(tensor_name, Weight { shape: view.shape().to_vec(), values });
    }
    Ok((weights, header.metadata().clone().unwrap_or_default()))
}

pub(crate) fn parse(bytes: &[u8], name: &str) -> Result<(Description, Weights)> {
    let (weights, metadata) = tensors_from_bytes(bytes, name)?;
    let json = metadata.get(ENTRY).ok_or_else(|| {
        format_error(name, "the file holds tensors but no description of a dual regression network".into())
    })?;
    // The version first: a newer description may have other fields.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let damaged =
        |error: serde_json::Error| format_error(name, format!("the model's description is damaged ({error})"));
    let version: Version = serde_json::from_str(json).map_err(damaged)?;
    if version.format != FORMAT {
        let reason = format!("the model has format {}, this program reads format {FORMAT}", version.format);
        return Err(format_error(name, reason));
    }
    let description: Description = serde_json::from_str(json).map_err(damaged)?;
    description.architecture.validate().map_err(|error| format_error(name, error.to_string()))?;
    if description.pixel_range != [0.0, 255.0] {
        return Err(format_error(name, format!("pixel range {:?} is not [0, 255]", description.pixel_range)));
    }
    Ok((description, weights))
}

pub(crate) fn format_error(name: &str, reason: String) -> NetworkError {
    NetworkError::Format { name: name.to_owned(), reason }
}
