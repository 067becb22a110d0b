//! Parameters of a model as a whole: collected, replaced, moved.

use std::collections::BTreeMap;

use burn::tensor::{Gradients, Tensor};
use dualres_network::Model;

/// Values of parameters, in row-major order, by their names in model files.
pub(crate) type Named = BTreeMap<String, Tensor<1>>;

/// Every parameter of a model, or those that `wanted` accepts.
pub(crate) fn collect(model: &Model, wanted: impl Fn(&str) -> bool) -> Named {
    let mut named = Named::new();
    model.clone().map_parameters(&mut |_, name, values| {
        if wanted(name) {
            named.insert(name.to_owned(), values.clone());
        }
        values
    });
    named
}

/// A kernel [O, C, K, K] of the primal network by the name of its layer.
pub(crate) fn kernel(model: &Model, layer: &str) -> Tensor<4> {
    model.primal.parameter(&format!("{layer}.weight")).expect("a layer of the network").tensor()
}

/// A model with other parameters where `named` has some.
pub(crate) fn replaced(model: &Model, named: &Named) -> Model {
    let mut changed = model.clone();
    changed.map_parameters(&mut |_, name, values| named.get(name).cloned().unwrap_or(values));
    changed
}

/// A model whose parameters are what `map` makes of them.
pub(crate) fn mapped(model: &Model, map: impl Fn(Tensor<1>) -> Tensor<1>) -> Model {
    let mut changed = model.clone();
    changed.map_parameters(&mut |_, _, values| map(values));
    changed
}

/// The model on the device without gradients.
pub(crate) fn plain(model: &Model) -> Model {
    mapped(model, Tensor::inner)
}

/// The model on the device that records gradients, its parameters constants.
pub(crate) fn constant(model: &Model) -> Model {
    mapped(model, Tensor::from_inner)
}

/// The model on the device that records gradients, with gradients to be taken of every parameter.
pub(crate) fn leaves(model: &Model) -> Model {
    mapped(model, |t| Tensor::from_inner(t).require_grad())
}

/// The gradients of a model's parameters, as a model of the same form; zero where there is none. For the device without
/// gradients.
pub(crate) fn gradients(model: &Model, gradients: &Gradients) -> Model {
    mapped(model, |t| t.grad(gradients).unwrap_or_else(|| t.inner().zeros_like()))
}

/// `model + factor * direction`, parameter by parameter, both on the device without gradients.
pub(crate) fn moved(model: &Model, direction: &Model, factor: f64) -> Model {
    let steps = collect(direction, |_| true);
    let mut changed = model.clone();
    changed.map_parameters(&mut |_, name, values| {
        let step = steps.get(name).expect("models of one form").clone();
        values + step * factor
    });
    changed
}

/// Euclidean norm over all parameters.
pub(crate) fn norm(model: &Model) -> f64 {
    let squares: Vec<Tensor<1>> = collect(model, |_| true).into_values().map(|t| t.square().sum()).collect();
    f64::from(crate::objective::values(&Tensor::cat(squares, 0).sum())[0]).sqrt()
}
