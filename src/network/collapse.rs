//! Networks as they are run: pairs of convolutions that are one linear map written as one.

use std::sync::Arc;

use burn::tensor::Device;

use crate::{Model, OriginalWidths, Result};

impl Model {
    /// The same function with [`crate::Graph::collapsed`] as its network: weights, costs and the file are those of what is
    /// run. The model itself where nothing is to be done.
    ///
    /// # Errors
    /// Never for a model that exists.
    pub fn collapsed(&self, device: &Device) -> Result<Self> {
        let graph = self.primal.graph();
        let pairs = graph.linear_pairs();
        if pairs.is_empty() {
            return Ok(self.clone());
        }
        let mut weights = self.weights();
        for pair in &pairs {
            let (weight, bias) = self.primal.joined(pair.up, pair.by, pair.reduce);
            let [up, reduce] = [pair.up, pair.reduce].map(|node| graph.node(node).name.clone());
            for name in [&up, &reduce] {
                weights.0.retain(|known, _| {
                    *known != format!("model.{name}.weight") && *known != format!("model.{name}.bias")
                });
            }
            let flat = weight.dims().iter().product::<usize>();
            weights.insert(format!("model.{up}.weight"), &weight.dims(), &weight.clone().reshape([flat]));
            if let Some(bias) = bias {
                weights.insert(format!("model.{up}.bias"), &bias.dims(), &bias);
            }
        }
        let mut description = self.description.clone();
        description.network = Arc::new(graph.collapsed()?);
        if description.original_widths.is_some() {
            let joined = |name: &str| pairs.iter().any(|pair| graph.node(pair.up).name == name);
            let mut before = self.description.layer_widths();
            before.retain(|layer| !joined(&layer.name));
            description.original_widths = Some(OriginalWidths::of(&before));
        }
        Self::from_weights(description, &weights, device)
    }
}
