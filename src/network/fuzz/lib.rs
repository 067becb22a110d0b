//! What is tried with broken files: refused in words, or read; never a panic, never an endless wait.

use dualres_network::{Model, import, tensors_from_bytes, tensors_to_bytes};

/// A model file: refused in words, or its tensors read to the same bytes again.
pub fn read_model(data: &[u8]) {
    if let Err(error) = Model::describe(data, "fuzz") {
        assert!(error.to_string().contains("fuzz"), "names the file: {error}");
    }
    if let Ok((weights, metadata)) = tensors_from_bytes(data, "fuzz") {
        let again = tensors_to_bytes(&weights, metadata.clone());
        let (weights_again, metadata_again) = tensors_from_bytes(&again, "fuzz").expect("readable");
        // Numbers that are none equal nothing, not even themselves.
        assert_eq!(weights.0.keys().collect::<Vec<_>>(), weights_again.0.keys().collect::<Vec<_>>());
        assert_eq!(metadata, metadata_again);
    }
}

/// A checkpoint of PyTorch.
pub fn read_checkpoint(data: &[u8]) {
    let _ = import::try_checkpoint(data);
}

/// An ONNX file.
pub fn read_onnx(data: &[u8]) {
    let _ = import::try_onnx(data);
}

/// A pair of ncnn files: the text up to a zero byte, the weights after it.
pub fn read_ncnn(data: &[u8]) {
    let end = data.iter().position(|&byte| byte == 0).unwrap_or(data.len());
    let (param, bin) = data.split_at(end);
    let _ = import::try_ncnn(&String::from_utf8_lossy(param), bin.get(1..).unwrap_or_default());
}
