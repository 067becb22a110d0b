//! One Adam for the primal network and one for each dual model, with clipping by the norm of each network's gradient,
//! and the moving average of the weights.

use std::collections::BTreeMap;

use burn::{
    optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, Optimizer},
    tensor::{Device, Gradients, Tensor},
};
use dualres_network::{Group, Model, ParameterMapper, Weights};

use crate::Result;

/// What training keeps for one parameter.
#[derive(Clone)]
struct Slot<const D: usize> {
    adam: Option<AdamState<D>>,
    average: Tensor<D>,
}

/// Optimizers and averages of a model's parameters.
pub struct Optimizers {
    adam: Adam,
    kernels: BTreeMap<String, Slot<4>>,
    biases: BTreeMap<String, Slot<1>>,
    decay: f64,
    /// Steps taken.
    steps: usize,
}

impl Optimizers {
    /// Optimizers of a model on a device that records gradients; the averages begin at its weights. Every parameter
    /// is made one that gradients are taken of.
    pub fn new(model: &mut Model, decay: f64) -> Self {
        let adam = AdamConfig::new().with_epsilon(1e-8).build();
        let mut optimizers = Self { adam, kernels: BTreeMap::new(), biases: BTreeMap::new(), decay, steps: 0 };
        model.map_parameters(&mut Begin(&mut optimizers));
        optimizers
    }

    /// One step of the parameters against `gradients`. Returns the norm of the primal network's gradient before
    /// clipping.
    pub fn step(&mut self, model: &mut Model, gradients: &Gradients, lr: f64, clip: f64) -> f64 {
        let mut norms = Norms { gradients, squares: BTreeMap::new() };
        model.map_parameters(&mut norms);
        let norms: BTreeMap<Group, f64> =
            norms.squares.into_iter().map(|(group, sum)| (group, f64::from(sum.into_scalar::<f32>()).sqrt())).collect();
        self.steps += 1;
        // A young average follows the weights; otherwise it would remember the random beginning.
        let decay = self.decay.min((1 + self.steps) as f64 / (10 + self.steps) as f64);
        model.map_parameters(&mut Update { optimizers: self, gradients, norms: &norms, lr, clip, decay });
        norms.get(&Group::Primal).copied().unwrap_or(0.0)
    }

    /// The averaged weights, named as in model files.
    pub fn averages(&self) -> Weights {
        let mut weights = Weights::default();
        self.kernels.iter().for_each(|(name, slot)| weights.insert(name, &slot.average));
        self.biases.iter().for_each(|(name, slot)| weights.insert(name, &slot.average));
        weights
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Everything but the weights themselves, by names.
    pub fn export(&self) -> Weights {
        fn slot<const D: usize>(weights: &mut Weights, name: &str, slot: &Slot<D>) {
            weights.insert(format!("average.{name}"), &slot.average);
            if let Some(state) = &slot.adam {
                weights.insert(format!("first.{name}"), &state.momentum.moment_1);
                weights.insert(format!("second.{name}"), &state.momentum.moment_2);
            }
        }
        let mut weights = Weights::default();
        self.kernels.iter().for_each(|(name, s)| slot(&mut weights, name, s));
        self.biases.iter().for_each(|(name, s)| slot(&mut weights, name, s));
        weights
    }

    /// Takes over what [`Optimizers::export`] gave after `steps` steps.
    ///
    /// # Errors
    /// If a weight is missing or of another shape.
    pub fn restore(&mut self, weights: &Weights, steps: usize, device: &Device) -> Result<()> {
        fn slot<const D: usize>(
            w: &Weights,
            name: &str,
            slot: &mut Slot<D>,
            steps: usize,
            device: &Device,
        ) -> Result<()> {
            let shape = slot.average.dims();
            slot.average = w.tensor(&format!("average.{name}"), shape, device)?;
            if w.0.contains_key(&format!("first.{name}")) {
                let first = w.tensor(&format!("first.{name}"), shape, device)?;
                let second = w.tensor(&format!("second.{name}"), shape, device)?;
                slot.adam = Some(AdamState::new(AdaptiveMomentumState::new(steps, first, second)));
            }
            Ok(())
        }
        self.steps = steps;
        self.kernels.iter_mut().try_for_each(|(name, s)| slot(weights, name, s, steps, device))?;
        self.biases.iter_mut().try_for_each(|(name, s)| slot(weights, name, s, steps, device))
    }
}

struct Begin<'a>(&'a mut Optimizers);

impl ParameterMapper for Begin<'_> {
    fn kernel(&mut self, _: Group, name: &str, tensor: Tensor<4>) -> Tensor<4> {
        self.0.kernels.insert(name.to_owned(), Slot { adam: None, average: tensor.clone().inner() });
        tensor.require_grad()
    }

    fn bias(&mut self, _: Group, name: &str, tensor: Tensor<1>) -> Tensor<1> {
        self.0.biases.insert(name.to_owned(), Slot { adam: None, average: tensor.clone().inner() });
        tensor.require_grad()
    }
}

struct Norms<'a> {
    gradients: &'a Gradients,
    squares: BTreeMap<Group, Tensor<1>>,
}

impl Norms<'_> {
    fn add<const D: usize>(&mut self, group: Group, tensor: &Tensor<D>) {
        if let Some(gradient) = tensor.grad(self.gradients) {
            let square = gradient.square().sum();
            let sum = match self.squares.remove(&group) {
                Some(sum) => sum + square,
                None => square,
            };
            self.squares.insert(group, sum);
        }
    }
}

impl ParameterMapper for Norms<'_> {
    fn kernel(&mut self, group: Group, _: &str, tensor: Tensor<4>) -> Tensor<4> {
        self.add(group, &tensor);
        tensor
    }

    fn bias(&mut self, group: Group, _: &str, tensor: Tensor<1>) -> Tensor<1> {
        self.add(group, &tensor);
        tensor
    }
}

struct Update<'a> {
    optimizers: &'a mut Optimizers,
    gradients: &'a Gradients,
    norms: &'a BTreeMap<Group, f64>,
    lr: f64,
    clip: f64,
    decay: f64,
}

impl Update<'_> {
    fn updated<const D: usize>(&self, group: Group, tensor: Tensor<D>, slot: &mut Slot<D>) -> Tensor<D> {
        // Without the dual loss the dual models have no gradient and stay as they are.
        let Some(mut gradient) = tensor.grad(self.gradients) else {
            return tensor;
        };
        let norm = self.norms[&group];
        if norm > self.clip {
            gradient = gradient * (self.clip / norm);
        }
        let (stepped, state) = self.optimizers.adam.step(self.lr, tensor.inner(), gradient, slot.adam.take());
        slot.adam = state;
        slot.average = slot.average.clone() * self.decay + stepped.clone() * (1.0 - self.decay);
        Tensor::from_inner(stepped).require_grad()
    }
}

impl ParameterMapper for Update<'_> {
    fn kernel(&mut self, group: Group, name: &str, tensor: Tensor<4>) -> Tensor<4> {
        let mut slot = self.optimizers.kernels.remove(name).expect("a slot for every parameter");
        let tensor = self.updated(group, tensor, &mut slot);
        self.optimizers.kernels.insert(name.to_owned(), slot);
        tensor
    }

    fn bias(&mut self, group: Group, name: &str, tensor: Tensor<1>) -> Tensor<1> {
        let mut slot = self.optimizers.biases.remove(name).expect("a slot for every parameter");
        let tensor = self.updated(group, tensor, &mut slot);
        self.optimizers.biases.insert(name.to_owned(), slot);
        tensor
    }
}
