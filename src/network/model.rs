//! A network with its dual models and its description: the unit that is trained, shipped and imported.

use std::{collections::HashMap, fs, path::Path};

use burn::tensor::Device;

use crate::{
    Description, Drn, DualModel, NetworkError, Pooling, Result, Weights,
    file::{ENTRY, format_error, parse, tensors_to_bytes},
};

impl Description {
    /// The local pooling that fits the training of this network.
    pub fn local_pooling(&self) -> Pooling {
        Pooling::local(self.training_patch)
    }
}

/// A primal network, its dual models and their description.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the model is.
    pub description: Description,
    /// P.
    pub primal: Drn,
    /// D_0 … D_{K-1}; `duals[i]` maps level i + 1 to level i. Empty if the source had none.
    pub duals: Vec<DualModel>,
}

impl Model {
    /// A model with random weights.
    ///
    /// # Errors
    /// If the architecture is not valid.
    pub fn init(description: Description, seed: u64, device: &Device) -> Result<Self> {
        let primal = Drn::init(&description.architecture, seed, device)?;
        let duals = DualModel::init_all(&description.architecture, seed.wrapping_add(1), device)?;
        Ok(Self { description, primal, duals })
    }

    /// A model of given weights, named as in model files (`model.*`, `dual.<i>.*`).
    ///
    /// # Errors
    /// If the description is not valid or the weights do not fit it.
    pub fn from_weights(description: Description, weights: &Weights, device: &Device) -> Result<Self> {
        let primal = Drn::load(&description.architecture, &weights.under("model."), device)?;
        let levels = description.architecture.levels();
        let has_duals = weights.0.keys().any(|name| name.starts_with("dual."));
        let duals = (0..if has_duals { levels } else { 0 })
            .map(|level| DualModel::load(&weights.under(&format!("dual.{level}.")), device))
            .collect::<Result<_>>()?;
        Ok(Self { description, primal, duals })
    }

    /// All weights, named as in model files.
    pub fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        weights.extend_under("model.", self.primal.weights());
        for (level, dual) in self.duals.iter().enumerate() {
            weights.extend_under(&format!("dual.{level}."), dual.weights());
        }
        weights
    }

    /// The same model on another device.
    ///
    /// # Errors
    /// Never for a model that exists; the weights are checked again.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        Self::from_weights(self.description.clone(), &self.weights(), device)
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, cut short, or no model of ours.
    pub fn read(path: &Path, device: &Device) -> Result<Self> {
        let bytes = fs::read(path).map_err(|source| NetworkError::Read { path: path.to_owned(), source })?;
        Self::from_bytes(&bytes, &path.display().to_string(), device)
    }

    /// Reads a model file from memory; `name` is used in messages.
    ///
    /// # Errors
    /// As [`Model::read`], but for the file system.
    pub fn from_bytes(bytes: &[u8], name: &str, device: &Device) -> Result<Self> {
        let (description, weights) = parse(bytes, name)?;
        Self::from_weights(description, &weights, device).map_err(|error| format_error(name, error.to_string()))
    }

    /// Reads the description alone.
    ///
    /// # Errors
    /// As [`Model::from_bytes`].
    pub fn describe(bytes: &[u8], name: &str) -> Result<Description> {
        Ok(parse(bytes, name)?.0)
    }

    /// The model file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let json = serde_json::to_string(&self.description).expect("a description is plain data");
        tensors_to_bytes(&self.weights(), HashMap::from([(ENTRY.to_owned(), json)]))
    }
}
