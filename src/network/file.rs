//! Model files: what a model says of itself, and its weights, as bytes.
//!
//! Version 2 holds the network as a graph; version 1, which knew DRN alone, its numbers, and is still read.
//!
//! One safetensors file holds a model: tensors `model.*` and `dual.<i>.*` in the published names, and the description as
//! JSON in the metadata entry `dualres`. Nothing here knows of tensors on devices, so that broken files can be tried on this
//! code alone (`fuzz/`).

use std::{collections::HashMap, fs, path::Path, sync::Arc};

use safetensors::{Dtype, SafeTensors, tensor::TensorView};
use serde::Deserialize;

use crate::{
    Architecture, Description, ErrorCalibration, Metric, NetworkError, Result, Weight, Weights, description::FORMAT,
    families,
};

/// Largest file that is read as a model, in bytes: the largest published upscalers have a few hundred megabytes.
const MAX_BYTES: u64 = 8 << 30;

/// The bytes of a file. Devices and pipes are refused: they may have no end.
///
/// # Errors
/// If it is no regular file, too large, or cannot be read.
pub fn read_file(path: &Path) -> Result<Vec<u8>> {
    let error = |source: std::io::Error| NetworkError::Read { path: path.to_owned(), source };
    let about = fs::metadata(path).map_err(error)?;
    if !about.is_file() {
        let what = if about.is_dir() { "it is a folder" } else { "it is a device or a pipe, not a file" };
        return Err(error(std::io::Error::new(std::io::ErrorKind::InvalidInput, what)));
    }
    if about.len() > MAX_BYTES {
        let what = format!("{} GB are too much for a model", about.len() >> 30);
        return Err(error(std::io::Error::new(std::io::ErrorKind::FileTooLarge, what)));
    }
    fs::read(path).map_err(error)
}

/// Metadata entry of the description.
pub(crate) const ENTRY: &str = "dualres";
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
    let foreign = |what| Err(NetworkError::Foreign { name: name.to_owned(), what });
    if bytes.starts_with(b"PK") {
        return foreign("it looks like a PyTorch checkpoint");
    }
    // The first two fields of an ONNX file: its version, a small number, and a text.
    if matches!(bytes, [0x08, _, 0x12, ..]) {
        return foreign("it looks like an ONNX file");
    }
    if is_ncnn(bytes) {
        return foreign("it looks like a network of ncnn");
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

/// Whether bytes are a model file of ours: tensors with a description.
pub fn is_model(bytes: &[u8]) -> bool {
    SafeTensors::read_metadata(bytes)
        .is_ok_and(|(_, header)| header.metadata().as_ref().is_some_and(|metadata| metadata.contains_key(ENTRY)))
}

/// Reads all tensors of a safetensors file of others, whatever their numbers.
pub(crate) fn any_tensors(bytes: &[u8], name: &str) -> Result<Weights> {
    let unreadable = |reason: String| {
        format_error(name, format!("neither a checkpoint of PyTorch, safetensors, ONNX nor an ncnn .param ({reason})"))
    };
    let file = SafeTensors::deserialize(bytes).map_err(|error| unreadable(error.to_string()))?;
    let mut weights = Weights::default();
    for (tensor, view) in file.tensors() {
        let data = view.data();
        let values: Vec<f32> = match view.dtype() {
            Dtype::F32 => data.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            Dtype::F16 => data.chunks_exact(2).map(|b| half::f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::BF16 => data.chunks_exact(2).map(|b| half::bf16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            Dtype::F64 => {
                let double = |b: &[u8]| f64::from_le_bytes(b.try_into().expect("eight bytes")) as f32;
                data.chunks_exact(8).map(double).collect()
            }
            // Counters.
            Dtype::I64 | Dtype::I32 | Dtype::BOOL | Dtype::U8 => continue,
            other => return Err(unreadable(format!("{tensor} holds {other:?}"))),
        };
        weights.0.insert(tensor, Weight { shape: view.shape().to_vec(), values });
    }
    if weights.0.is_empty() { Err(unreadable("it holds no weights".into())) } else { Ok(weights) }
}

pub(crate) fn parse(bytes: &[u8], name: &str) -> Result<(Description, Weights)> {
    let (weights, metadata) = tensors_from_bytes(bytes, name)?;
    let json = metadata.get(ENTRY).ok_or_else(|| NetworkError::Foreign {
        name: name.to_owned(),
        what: "the file holds tensors but no model of Dualres",
    })?;
    // The version first: other versions have other fields.
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let damaged =
        |error: serde_json::Error| format_error(name, format!("the model's description is damaged ({error})"));
    let version: Version = serde_json::from_str(json).map_err(damaged)?;
    let (description, weights) = match version.format {
        1 => {
            let stored: Version1 = serde_json::from_str(json).map_err(damaged)?;
            stored.read(weights).map_err(|error| format_error(name, error.to_string()))?
        }
        FORMAT => (serde_json::from_str::<Description>(json).map_err(damaged)?, weights),
        format => {
            let reason = format!("the model has format {format}, this program reads formats 1 to {FORMAT}");
            return Err(format_error(name, reason));
        }
    };
    if description.pixel_range != [0.0, 255.0] {
        return Err(format_error(name, format!("pixel range {:?} is not [0, 255]", description.pixel_range)));
    }
    let scales_fit = description.duals.windows(2).all(|pair| pair[0].from == pair[1].to)
        && description.duals.first().is_none_or(|first| first.to == 1)
        && description.duals.last().is_none_or(|last| last.from == description.scale())
        && description.duals.iter().all(|dual| dual.to > 0 && dual.network.reduction() * dual.to == dual.from);
    if !scales_fit {
        return Err(format_error(name, "its dual models do not lead from the result to the input".into()));
    }
    Ok((description, weights))
}

/// The description of format 1, which knew DRN alone.
#[derive(Deserialize)]
struct Version1 {
    name: String,
    #[serde(default)]
    purpose: String,
    architecture: Architecture,
    pixel_range: [f32; 2],
    training_patch: usize,
    #[serde(default)]
    training: serde_json::Value,
    #[serde(default)]
    metrics: Vec<Metric>,
    #[serde(default)]
    error_calibration: Option<ErrorCalibration>,
    licence: String,
}

impl Version1 {
    fn read(self, weights: Weights) -> Result<(Description, Weights)> {
        self.architecture.validate()?;
        let primal = weights.under("model.");
        let found = families::recognise_drn(&primal)?;
        let Some(found) = found.filter(|_| Architecture::of_weights(&primal).as_ref() == Some(&self.architecture))
        else {
            return Err(NetworkError::Weights(format!(
                "they are not those of scale {}, {} features and {} blocks that the description names",
                self.architecture.scale,
                self.architecture.n_feats,
                self.architecture.blocks()
            )));
        };
        let mut description =
            Description { network: Arc::new(found.graph), ..Description::drn(self.name, &self.architecture)? };
        let (mut all, duals) = (Weights::default(), weights.under("dual."));
        all.extend_under("model.", found.weights);
        if duals.0.is_empty() {
            description.duals.clear();
        } else {
            // Their width is that of their weights, whatever the network's.
            let width = duals.0.get("0.dual_module.0.0.weight").and_then(|weight| weight.shape.first().copied());
            let graphs = families::dual_chain(&description.pyramid(), width.unwrap_or(self.architecture.n_feats))?;
            description = description.with_duals(graphs);
            all.extend_under("dual.", duals);
        }
        description.purpose = self.purpose;
        description.pixel_range = self.pixel_range;
        description.training_patch = self.training_patch;
        description.training = self.training;
        description.metrics = self.metrics;
        description.error_calibration = self.error_calibration;
        description.licence = self.licence;
        Ok((description, all))
    }
}

pub(crate) fn format_error(name: &str, reason: String) -> NetworkError {
    NetworkError::Format { name: name.to_owned(), reason }
}

/// How the layers of an ncnn network begin.
pub(crate) const NCNN_MAGIC: &str = "7767517";

/// Whether bytes are the layers of an ncnn network.
pub(crate) fn is_ncnn(bytes: &[u8]) -> bool {
    bytes.starts_with(NCNN_MAGIC.as_bytes())
}
