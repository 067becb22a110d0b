//! Networks of others: where they lie, and what they are compared with.

use std::path::{Path, PathBuf};

use burn::tensor::{Device, Tensor, TensorData};
use dualres_network::{
    Model, Pooling, Weight,
    import::{self, ImportOptions},
    tensors_from_bytes,
};

use super::data;

/// What results may differ by, in levels of 255: a thousandth of what would be seen.
pub(crate) const TOLERANCE: f32 = 0.02;

pub(crate) fn foreign(file: &str) -> PathBuf {
    data("foreign").join(file)
}

pub(crate) fn tensor(weight: &Weight, factor: f32) -> Tensor<4> {
    let shape: [usize; 4] = weight.shape.clone().try_into().unwrap();
    Tensor::from_data(TensorData::new(weight.values.clone(), shape), &Device::flex()) * factor
}

pub(crate) fn gap(a: Tensor<4>, b: Tensor<4>) -> f32 {
    assert_eq!(a.dims(), b.dims());
    (a - b).abs().max().into_scalar::<f32>()
}

/// Imports a fixture and compares; `high` is the white of its range. Gives the model.
pub(crate) fn compare(file: &str, high: f32, options: &ImportOptions) -> Model {
    let model = import::read(&foreign(file), options, &Device::flex()).unwrap();
    let name = file.rsplit_once('.').unwrap().0;
    let expected = std::fs::read(foreign(&format!("{name}.expected.safetensors"))).unwrap();
    let (expected, _) = tensors_from_bytes(&expected, name).unwrap();
    let (mut x, mut y) = (tensor(&expected.0["input"], 255.0 / high), tensor(&expected.0["output"], 255.0 / high));
    if x.dims()[1] == 1 {
        // Gray is its own luma.
        x = x.repeat_dim(1, 3);
        y = y.repeat_dim(1, 3);
    }
    let found = model.primal.upscale(x.clone(), Pooling::Global);
    // Random weights may give more than pictures have.
    let tolerance = TOLERANCE * (y.clone().abs().max().into_scalar::<f32>() / 255.0).max(1.0);
    let difference = gap(found.clone(), y);
    assert!(difference < tolerance, "{file}: {difference} levels");
    // The same node by node, nothing fused.
    let mut pass = model.primal.start(x, Pooling::Global);
    let all: Vec<usize> = (1..model.primal.graph().nodes().len()).collect();
    for &node in &all {
        pass = model.primal.advance(pass, node + 1, &[node]);
    }
    assert!(gap(model.primal.finish(pass).pop().unwrap(), found) < tolerance, "{file}: fused and not fused");
    model
}

pub(crate) fn refused(path: &Path) -> String {
    let error = import::read(path, &ImportOptions::default(), &Device::flex()).unwrap_err().to_string();
    let file = path.file_name().unwrap().to_string_lossy().into_owned();
    assert!(error.contains(&file) && !error.contains('\n'), "one sentence with the file: {error}");
    error
}
