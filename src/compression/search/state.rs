//! The saved state of a search.

use std::path::Path;

use burn::{
    optim::{Adam, AdamConfig, AdamState, AdaptiveMomentumState, Optimizer},
    tensor::{Device, Tensor},
};
use dualres_network::Weights;
use serde::{Deserialize, Serialize};

use super::budget::Multiplier;
use crate::{
    Result,
    files::{load_state, save_state},
};

/// Where a search stands, apart from tensors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct State {
    /// Steps done.
    pub(super) step: usize,
    /// Least validation loss so far and the widths decided for at it. In 32 bits, as all numbers of a state: those survive
    /// JSON to the last bit.
    pub(super) best: Option<(f32, Vec<usize>)>,
    pub(super) multiplier: Multiplier,
}

pub(super) fn load(path: &Path) -> Result<Option<(Weights, State)>> {
    load_state(path)
}

pub(super) fn save(path: &Path, weights: &Weights, state: &State) -> Result<()> {
    save_state(path, weights, state)
}

/// Adam for alpha.
pub(super) struct AlphaAdam {
    adam: Adam,
    state: Option<AdamState<1>>,
}

impl Default for AlphaAdam {
    fn default() -> Self {
        Self { adam: AdamConfig::new().with_epsilon(1e-8).build(), state: None }
    }
}

impl AlphaAdam {
    pub(super) fn step(&mut self, lr: f64, alpha: Tensor<1>, gradient: Tensor<1>) -> Tensor<1> {
        let (alpha, state) = self.adam.step(lr, alpha, gradient, self.state.take());
        self.state = state;
        alpha
    }

    pub(super) fn export(&self, weights: &mut Weights) {
        if let Some(state) = &self.state {
            let length = state.momentum.moment_1.dims()[0];
            weights.insert("alpha.first", &[length], &state.momentum.moment_1);
            weights.insert("alpha.second", &[length], &state.momentum.moment_2);
        }
    }

    /// Takes over what [`AlphaAdam::export`] gave after `steps` steps.
    pub(super) fn restore(weights: &Weights, steps: usize, length: usize, device: &Device) -> Result<Self> {
        let mut adam = Self::default();
        if weights.0.contains_key("alpha.first") {
            let first = weights.values("alpha.first", &[length], device)?;
            let second = weights.values("alpha.second", &[length], device)?;
            adam.state = Some(AdamState::new(AdaptiveMomentumState::new(steps, first, second)));
        }
        Ok(adam)
    }
}
