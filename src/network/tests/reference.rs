//! Forward pass, dual models, losses and gradients against tensors computed with the published definition in PyTorch
//! (seeded random weights; `tests/data`).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::collections::BTreeMap;

use burn::tensor::{Device, Tensor};
use common::{Reference, relative_error};
use dualres_network::{Architecture, Description, Model, Pooling, device, dual_regression_loss};

/// Largest relative error of a tensor, in the maximum norm.
const TOLERANCE: f32 = 1e-3;

#[test]
fn x2_agrees_on_the_cpu() {
    check("drn_x2_f8_b1", Architecture::new(2, 8, 1).unwrap(), &Device::flex());
}

#[test]
fn x4_agrees_on_the_cpu() {
    check("drn_x4_f4_b2", Architecture::new(4, 4, 2).unwrap(), &Device::flex());
}

/// The GPU path on whatever adapter there is; a software adapter on machines without a GPU.
#[test]
fn x2_agrees_on_a_gpu() {
    match device::choose("gpu").or_else(|_| device::choose("software")) {
        Ok(gpu) => check("drn_x2_f8_b1", Architecture::new(2, 8, 1).unwrap(), &gpu.open().unwrap()),
        Err(error) => {
            assert!(std::env::var_os("DUALRES_REQUIRE_GPU").is_none(), "{error}");
            eprintln!("not run: {error}");
        }
    }
}

fn check(name: &str, architecture: Architecture, device: &Device) {
    let reference = Reference::load(name);
    let levels = architecture.levels();
    let description = Description::drn(name, &architecture).unwrap();
    // The constants of the mean shift are part of the graph.
    let mut weights = reference.weights.clone();
    weights.0.retain(|name, _| !name.contains("_mean."));
    let mut model = Model::from_weights(description, &weights, &device.clone().autodiff()).unwrap();
    model.map_parameters(&mut |_, _, values| values.require_grad());
    let device = &device.clone().autodiff();

    let targets: Vec<Tensor<4>> = (0..=levels)
        .map(|k| reference.tensor(&if k == 0 { "input".into() } else { format!("target.{k}") }, device))
        .collect();
    let pictures = model.primal.forward(targets[0].clone(), Pooling::Global);
    let loss = dual_regression_loss(&pictures, &targets, &model, 0.1);

    let mut errors = BTreeMap::new();
    let mut compare = |name: String, ours: Vec<f32>| {
        let error = relative_error(&ours, &reference.expected.0[&name].values);
        errors.insert(name, error);
    };
    for (k, picture) in pictures.iter().enumerate() {
        compare(format!("sr.{k}"), values(picture));
    }
    for (k, dual) in model.duals.iter().enumerate() {
        compare(format!("dual.{k}"), values(&dual.forward(pictures[k + 1].clone())));
    }
    let scalars = |terms: &[Tensor<1>]| terms.iter().flat_map(values).collect::<Vec<_>>();
    compare("loss.primal".into(), scalars(&loss.primal));
    compare("loss.dual".into(), scalars(&loss.dual));
    compare("loss.total".into(), values(&loss.total));

    let gradients = loss.total.backward();
    let mut found = BTreeMap::new();
    model.map_parameters(&mut |_, name, parameter| {
        found.insert(name.to_owned(), values(&parameter.grad(&gradients).expect("a gradient")));
        parameter
    });
    for (name, gradient) in &found {
        compare(format!("grad.{name}"), gradient.clone());
    }
    // Every gradient of the reference but those of the mean shift, which is constant here.
    let expected = reference.expected.0.keys().filter(|name| name.starts_with("grad.") && !name.contains("_mean."));
    for name in expected {
        assert!(errors.contains_key(name), "{name} has no counterpart");
    }
    let worst = errors.iter().max_by(|a, b| a.1.total_cmp(b.1)).unwrap();
    println!("{name}: {} tensors, worst {} {:.1e}", errors.len(), worst.0, worst.1);
    let bad: Vec<_> = errors.iter().filter(|(_, error)| error.is_nan() || **error > TOLERANCE).collect();
    assert!(bad.is_empty(), "{bad:?}");
}

fn values<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    tensor.to_data().try_to_vec::<f32>().unwrap()
}
