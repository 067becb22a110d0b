//! One Adam for the primal network and one for each dual model, with clipping by the norm of each network's gradient,
//! and the moving average of the weights.

use std::collections::BTreeMap;

use burn::{
    optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, Optimizer},
    tensor::{Device, Gradients, Tensor},
};
use dualres_network::{Group, Model, Weights};

use crate::Result;

/// What training keeps for one parameter.
#[derive(Clone)]
struct Slot {
    /// Length of each axis.
    shape: Vec<usize>,
    adam: Option<AdamState<1>>,
    average: Tensor<1>,
    /// Steps before its first.
    delay: usize,
    /// Multiplies its learning rate.
    rate: f64,
}

/// Optimizers and averages of a model's parameters.
pub struct Optimizers {
    adam: Adam,
    slots: BTreeMap<String, Slot>,
    decay: f64,
    /// Steps taken.
    steps: usize,
    /// Which networks are trained.
    trained: fn(Group) -> bool,
}

impl Optimizers {
    /// Optimizers of a model on a device that records gradients; the averages begin at its weights. Every parameter of
    /// a network that `trained` names is made one that gradients are taken of.
    pub fn new(model: &mut Model, decay: f64, trained: fn(Group) -> bool) -> Self {
        let adam = AdamConfig::new().with_epsilon(1e-8).build();
        let shapes = model.parameter_shapes();
        let mut slots = BTreeMap::new();
        model.map_parameters(&mut |group, name, values| {
            let shape = shapes[name].clone();
            slots.insert(
                name.to_owned(),
                Slot { shape, adam: None, average: values.clone().inner(), delay: 0, rate: 1.0 },
            );
            if trained(group) { values.require_grad() } else { values }
        });
        Self { adam, slots, decay, steps: 0, trained }
    }

    /// Dual models that stay as they are for the first `steps` steps, and learn `rate` times as fast then.
    pub(crate) fn with_duals_after(mut self, steps: usize, rate: f64, model: &mut Model) -> Self {
        model.map_parameters(&mut |group, name, values| {
            if group != Group::Primal {
                let slot = self.slots.get_mut(name).expect("a slot for every parameter");
                (slot.delay, slot.rate) = (steps, rate);
            }
            values
        });
        self
    }

    /// One step of the parameters against `gradients`. Returns the norm of the primal network's gradient before
    /// clipping; `None` if a norm is no number, in which case no step was taken.
    pub fn step(&mut self, model: &mut Model, gradients: &Gradients, lr: f64, clip: f64) -> Option<f64> {
        let mut squares: BTreeMap<Group, Tensor<1>> = BTreeMap::new();
        model.map_parameters(&mut |group, _, values| {
            if let Some(gradient) = values.grad(gradients) {
                let square = gradient.square().sum();
                let sum = squares.remove(&group).map_or(square.clone(), |sum| sum + square);
                squares.insert(group, sum);
            }
            values
        });
        let norms: BTreeMap<Group, f64> =
            squares.into_iter().map(|(group, sum)| (group, f64::from(sum.into_scalar::<f32>()).sqrt())).collect();
        if !norms.values().all(|norm| norm.is_finite()) {
            return None;
        }
        let before = self.steps;
        self.steps += 1;
        // A young average follows the weights; otherwise it would remember the random beginning.
        let decay = self.decay.min((1 + self.steps) as f64 / (10 + self.steps) as f64);
        let Self { adam, slots, trained, .. } = self;
        model.map_parameters(&mut |group, name, values| {
            // Without the dual loss the dual models have no gradient and stay as they are.
            let Some(mut gradient) = values.grad(gradients).filter(|_| trained(group)) else {
                return values;
            };
            let slot = slots.get_mut(name).expect("a slot for every parameter");
            if before < slot.delay {
                return values;
            }
            let norm = norms[&group];
            if norm > clip {
                gradient = gradient * (clip / norm);
            }
            let (stepped, state) = adam.step(lr * slot.rate, values.inner(), gradient, slot.adam.take());
            slot.adam = state;
            slot.average = slot.average.clone() * decay + stepped.clone() * (1.0 - decay);
            Tensor::from_inner(stepped).require_grad()
        });
        Some(norms.get(&Group::Primal).copied().unwrap_or(0.0))
    }

    /// The averaged weights, named as in model files.
    pub fn averages(&self) -> Weights {
        let mut weights = Weights::default();
        self.slots.iter().for_each(|(name, slot)| weights.insert(name, &slot.shape, &slot.average));
        weights
    }

    /// Steps taken.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// Everything but the weights themselves, by names.
    pub fn export(&self) -> Weights {
        let mut weights = Weights::default();
        for (name, slot) in &self.slots {
            weights.insert(format!("average.{name}"), &slot.shape, &slot.average);
            if let Some(state) = &slot.adam {
                weights.insert(format!("first.{name}"), &slot.shape, &state.momentum.moment_1);
                weights.insert(format!("second.{name}"), &slot.shape, &state.momentum.moment_2);
            }
        }
        weights
    }

    /// Takes over what [`Optimizers::export`] gave after `steps` steps.
    ///
    /// # Errors
    /// If a weight is missing or of another shape.
    pub fn restore(&mut self, weights: &Weights, steps: usize, device: &Device) -> Result<()> {
        self.steps = steps;
        for (name, slot) in &mut self.slots {
            slot.average = weights.values(&format!("average.{name}"), &slot.shape, device)?;
            if weights.0.contains_key(&format!("first.{name}")) {
                let first = weights.values(&format!("first.{name}"), &slot.shape, device)?;
                let second = weights.values(&format!("second.{name}"), &slot.shape, device)?;
                let taken = steps.saturating_sub(slot.delay);
                slot.adam = Some(AdamState::new(AdaptiveMomentumState::new(taken, first, second)));
            }
        }
        Ok(())
    }
}
