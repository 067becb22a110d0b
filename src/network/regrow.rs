//! A trained network with another number of blocks: longer training of a larger network need not begin from nothing.

use burn::tensor::Device;

use crate::{Architecture, Description, Model, NetworkError, Result, Weights};

impl Model {
    /// The same model with `n_blocks` blocks on each level: blocks that there are keep their weights; new ones come after
    /// them and change nothing until they are trained, because their second convolution is zero; the last ones are left
    /// out where there are to be fewer. The description stays but for the network and what was measured of it.
    ///
    /// # Errors
    /// If there is not one number a level, one is absurd, or the network is compressed: its blocks differ in width.
    pub fn regrown(&self, n_blocks: Vec<usize>, seed: u64, device: &Device) -> Result<Self> {
        let old = &self.description.architecture;
        if old.is_compressed() {
            let reason = "a compressed network cannot be given other blocks".to_owned();
            return Err(NetworkError::Architecture(reason));
        }
        let architecture = Architecture::with_blocks(old.scale, old.n_feats, n_blocks)?;
        let fresh = Self::init(Description::new("", architecture.clone()), seed, device)?;
        let trained = self.weights();
        let mut weights = Weights::default();
        for (name, mut weight) in fresh.weights().0 {
            match trained.0.get(&name_before(&name, &architecture, old)) {
                Some(known) => weight = known.clone(),
                None if name.contains(".body.2.") => weight.values.fill(0.0),
                None => {}
            }
            weights.0.insert(name, weight);
        }
        if self.duals.is_empty() {
            weights.0.retain(|name, _| !name.starts_with("dual."));
        }
        // Other constants of the mean shift, which no new network has.
        weights.0.extend(trained.0.into_iter().filter(|(name, _)| name.contains("_mean.")));
        let mut description = self.description.clone();
        (description.metrics, description.error_calibration) = (Vec::new(), None);
        description.architecture = architecture;
        Self::from_weights(description, &weights, device)
    }
}

/// Name that a weight of the new network has in the old one: what follows the blocks is numbered after them.
fn name_before(name: &str, new: &Architecture, old: &Architecture) -> String {
    let renamed = || {
        let (level, rest) = name.strip_prefix("model.up_blocks.")?.split_once('.')?;
        let (place, rest) = rest.split_once('.')?;
        let level: usize = level.parse().ok()?;
        let after = place.parse::<usize>().ok()?.checked_sub(new.n_blocks[level])?;
        Some(format!("model.up_blocks.{level}.{}.{rest}", old.n_blocks[level] + after))
    };
    renamed().unwrap_or_else(|| name.to_owned())
}
