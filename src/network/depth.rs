//! A trained network with another number of blocks: longer training of a larger network need not begin from nothing.

use burn::tensor::Device;

use crate::{Architecture, Description, Model, NetworkError, Result, Weights};

impl Model {
    /// The same DRN with `n_blocks` blocks on each level: blocks that there are keep their weights; new ones come after
    /// them and change nothing until they are trained, because their second convolution is zero; the last ones are left
    /// out where there are to be fewer. The description stays but for the network and what was measured of it.
    ///
    /// # Errors
    /// If it is no DRN, there is not one number a level, one is absurd, or the network is compressed: its blocks differ in
    /// width.
    pub fn with_depth(&self, n_blocks: Vec<usize>, seed: u64, device: &Device) -> Result<Self> {
        let trained = self.weights();
        let old = Architecture::of_weights(&trained.under("model.")).ok_or_else(|| {
            NetworkError::Architecture(format!("{} networks cannot be given other blocks", self.description.family))
        })?;
        if old.is_compressed() {
            let reason = "a compressed network cannot be given other blocks".to_owned();
            return Err(NetworkError::Architecture(reason));
        }
        let architecture = Architecture::with_blocks(old.scale, old.n_feats, n_blocks)?;
        let mut description = Description::drn(&self.description.name, &architecture)?;
        if self.duals.is_empty() {
            description.duals.clear();
        } else {
            description.duals = self.description.duals.clone();
        }
        let fresh = Self::init(description.clone(), seed, device)?;
        let mut weights = Weights::default();
        for (name, mut weight) in fresh.weights().0 {
            match trained.0.get(&name_before(&name, &architecture, &old)) {
                Some(known) => weight = known.clone(),
                None if name.contains(".body.2.") => weight.values.fill(0.0),
                None => {}
            }
            weights.0.insert(name, weight);
        }
        description.purpose = self.description.purpose.clone();
        description.training_patch = self.description.training_patch;
        description.training = self.description.training.clone();
        description.licence = self.description.licence.clone();
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
