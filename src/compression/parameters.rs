//! Models with some parameters replaced. Clones of tensors are handles, so that a changed model costs what is changed.

use std::collections::BTreeMap;

use burn::tensor::{Gradients, Tensor};
use dualres_network::{Group, Model, ParameterMapper};

/// Parameters by their names in model files, as tensors.
#[derive(Default)]
pub(crate) struct Named {
    pub(crate) kernels: BTreeMap<String, Tensor<4>>,
    pub(crate) biases: BTreeMap<String, Tensor<1>>,
}

/// Every parameter of a model, or those that `wanted` accepts.
pub(crate) fn collect(model: &Model, wanted: impl Fn(&str) -> bool) -> Named {
    struct Collect<'a>(&'a dyn Fn(&str) -> bool, Named);
    impl ParameterMapper for Collect<'_> {
        fn kernel(&mut self, _: Group, name: &str, tensor: Tensor<4>) -> Tensor<4> {
            if (self.0)(name) {
                self.1.kernels.insert(name.to_owned(), tensor.clone());
            }
            tensor
        }

        fn bias(&mut self, _: Group, name: &str, tensor: Tensor<1>) -> Tensor<1> {
            if (self.0)(name) {
                self.1.biases.insert(name.to_owned(), tensor.clone());
            }
            tensor
        }
    }
    let mut collect = Collect(&wanted, Named::default());
    model.clone().map_parameters(&mut collect);
    collect.1
}

/// A model with other parameters where `named` has some.
pub(crate) fn replaced(model: &Model, named: &Named) -> Model {
    struct Replace<'a>(&'a Named);
    impl ParameterMapper for Replace<'_> {
        fn kernel(&mut self, _: Group, name: &str, tensor: Tensor<4>) -> Tensor<4> {
            self.0.kernels.get(name).cloned().unwrap_or(tensor)
        }

        fn bias(&mut self, _: Group, name: &str, tensor: Tensor<1>) -> Tensor<1> {
            self.0.biases.get(name).cloned().unwrap_or(tensor)
        }
    }
    let mut changed = model.clone();
    changed.map_parameters(&mut Replace(named));
    changed
}

/// A model whose parameters are what `kernel` and `bias` make of them.
pub(crate) fn mapped(
    model: &Model,
    kernel: impl Fn(Tensor<4>) -> Tensor<4>,
    bias: impl Fn(Tensor<1>) -> Tensor<1>,
) -> Model {
    struct Map<K, B>(K, B);
    impl<K: Fn(Tensor<4>) -> Tensor<4>, B: Fn(Tensor<1>) -> Tensor<1>> ParameterMapper for Map<K, B> {
        fn kernel(&mut self, _: Group, _: &str, tensor: Tensor<4>) -> Tensor<4> {
            (self.0)(tensor)
        }

        fn bias(&mut self, _: Group, _: &str, tensor: Tensor<1>) -> Tensor<1> {
            (self.1)(tensor)
        }
    }
    let mut changed = model.clone();
    changed.map_parameters(&mut Map(kernel, bias));
    changed
}

/// The model on the device without gradients.
pub(crate) fn plain(model: &Model) -> Model {
    mapped(model, Tensor::inner, Tensor::inner)
}

/// The model on the device that records gradients, its parameters constants.
pub(crate) fn constant(model: &Model) -> Model {
    mapped(model, Tensor::from_inner, Tensor::from_inner)
}

/// The model on the device that records gradients, with gradients to be taken of every parameter.
pub(crate) fn leaves(model: &Model) -> Model {
    mapped(model, |t| Tensor::from_inner(t).require_grad(), |t| Tensor::from_inner(t).require_grad())
}

/// The gradients of a model's parameters, as a model of the same form; zero where there is none. For the device without
/// gradients.
pub(crate) fn gradients(model: &Model, gradients: &Gradients) -> Model {
    mapped(
        model,
        |t| t.grad(gradients).unwrap_or_else(|| t.inner().zeros_like()),
        |t| t.grad(gradients).unwrap_or_else(|| t.inner().zeros_like()),
    )
}

/// `model + factor * direction`, parameter by parameter, both on the device without gradients.
pub(crate) fn moved(model: &Model, direction: &Model, factor: f64) -> Model {
    let mut steps = collect(direction, |_| true);
    let kernels = collect(model, |_| true);
    for (name, tensor) in kernels.kernels {
        let step = steps.kernels.remove(&name).expect("models of one form");
        steps.kernels.insert(name, tensor + step * factor);
    }
    for (name, tensor) in kernels.biases {
        let step = steps.biases.remove(&name).expect("models of one form");
        steps.biases.insert(name, tensor + step * factor);
    }
    replaced(model, &steps)
}

/// Euclidean norm over all parameters.
pub(crate) fn norm(model: &Model) -> f64 {
    let named = collect(model, |_| true);
    let squares = named.kernels.values().map(|t| t.clone().square().sum());
    let squares: Vec<Tensor<1>> = squares.chain(named.biases.values().map(|t| t.clone().square().sum())).collect();
    f64::from(crate::objective::values(&Tensor::cat(squares, 0).sum())[0]).sqrt()
}
