//! A network with its dual models and its description: the unit that is trained, shipped and imported.

use std::{collections::HashMap, path::Path};

use burn::tensor::{Device, Tensor};

use crate::{
    Description, DualSpec, NetworkError, Pooling, Result, Weights,
    file::{ENTRY, format_error, parse, tensors_to_bytes},
    graph::Network,
};

/// One dual model: leads a picture [N, 3, H, W] in `[0, 255]` back to a smaller scale.
#[derive(Clone, Debug)]
pub struct DualModel {
    /// D.
    pub network: Network,
    /// Scale of the picture it takes, as a multiple of the primal network's input.
    pub from: usize,
    /// Scale of the picture it gives.
    pub to: usize,
}

impl DualModel {
    /// [N, 3, H, W] to [N, 3, H / factor, W / factor], in `[0, 255]` up to what the model has learned.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.network.upscale(x, Pooling::Global)
    }

    /// How many times as small its picture is.
    pub fn factor(&self) -> usize {
        self.from / self.to
    }

    /// How far it sees beyond what it gives, in pixels of its input, rounded up to whole pixels of its output.
    pub fn border(&self) -> usize {
        self.network.graph().reach().pixels.next_multiple_of(self.factor())
    }
}

/// A primal network, its dual models and their description.
#[derive(Clone, Debug)]
pub struct Model {
    /// What the model is.
    pub description: Description,
    /// P.
    pub primal: Network,
    /// D, from the input's scale upwards; each takes up where the one before leads to. Empty if there are none.
    pub duals: Vec<DualModel>,
}

impl Model {
    /// A model with random weights.
    ///
    /// # Errors
    /// Never for a description that exists.
    pub fn init(description: Description, seed: u64, device: &Device) -> Result<Self> {
        let primal = Network::init(description.network.clone(), seed, device);
        let mut model = Self { primal, description, duals: Vec::new() };
        model.init_duals(seed.wrapping_add(1), device);
        Ok(model)
    }

    /// Gives the model the dual models its description names, with random weights.
    pub fn init_duals(&mut self, seed: u64, device: &Device) {
        let dual = |(index, spec): (usize, &DualSpec)| DualModel {
            network: Network::init(spec.network.clone(), seed.wrapping_add(index as u64 * 7919), device),
            from: spec.from,
            to: spec.to,
        };
        self.duals = self.description.duals.iter().enumerate().map(dual).collect();
    }

    /// A model of given weights, named as in model files (`model.*`, `dual.<i>.*`).
    ///
    /// # Errors
    /// If the weights do not fit the description.
    pub fn from_weights(description: Description, weights: &Weights, device: &Device) -> Result<Self> {
        let primal = Network::load(description.network.clone(), &weights.under("model."), device)?;
        let dual = |(index, spec): (usize, &DualSpec)| {
            let network = Network::load(spec.network.clone(), &weights.under(&format!("dual.{index}.")), device)?;
            Ok(DualModel { network, from: spec.from, to: spec.to })
        };
        let duals = description.duals.iter().enumerate().map(dual).collect::<Result<_>>()?;
        Ok(Self { description, primal, duals })
    }

    /// All weights, named as in model files.
    pub fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        weights.extend_under("model.", self.primal.weights());
        for (index, dual) in self.duals.iter().enumerate() {
            weights.extend_under(&format!("dual.{index}."), dual.network.weights());
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

    /// The model with the primal network's convolutions in 16 bits, to run pictures by; it is not to be trained or saved. The
    /// dual models, which are small, prove in 32.
    pub fn in_half_precision(mut self) -> Self {
        self.primal.halve();
        self
    }

    /// The same model without dual models.
    pub fn without_duals(mut self) -> Self {
        self.duals.clear();
        self.description.duals.clear();
        self
    }

    /// The model with the dual models of another one of the same scale: those of a model that has learned how pictures
    /// are reduced stand in for a network that has none of its own.
    ///
    /// # Errors
    /// If the other's dual models do not lead from this model's result to its input.
    pub fn with_duals_of(self, other: &Self) -> Result<Self> {
        self.with_duals_through(std::slice::from_ref(other))
    }

    /// The same with the dual models of several, from the input's scale upwards: those of a model for 4 and of one for 2 lead from
    /// a scale of 8 to 4, then to 1.
    ///
    /// # Errors
    /// If all of them together do not lead from this model's result to its input.
    pub fn with_duals_through(mut self, others: &[Self]) -> Result<Self> {
        let (mut duals, mut specs, mut base) = (Vec::new(), Vec::new(), 1);
        for other in others {
            let moved = |from: usize, to: usize| (base * from, base * to);
            for (dual, spec) in other.duals.iter().zip(&other.description.duals) {
                let (from, to) = moved(dual.from, dual.to);
                duals.push(DualModel { from, to, ..dual.clone() });
                specs.push(DualSpec { from, to, ..spec.clone() });
            }
            base = duals.last().map_or(base, |dual| dual.from);
        }
        let scale = self.description.scale();
        if base != scale || duals.is_empty() {
            return Err(NetworkError::Weights(format!("the dual models are not those of scale {scale}")));
        }
        (self.duals, self.description.duals) = (duals, specs);
        Ok(self)
    }

    /// Reads a model file.
    ///
    /// # Errors
    /// If the file cannot be read, is damaged, cut short, or no model of ours.
    pub fn read(path: &Path, device: &Device) -> Result<Self> {
        let bytes = crate::read_file(path)?;
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

    /// A pyramid of targets for a batch: pictures of the scales of [`crate::Graph::pyramid`], the input first.
    pub fn pyramid(&self) -> Vec<usize> {
        self.description.pyramid()
    }
}
