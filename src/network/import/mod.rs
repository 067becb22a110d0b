//! Official checkpoints (`.pt`) as models.
//!
//! The published programs save the primal network as a PyTorch state dict and the dual models as a list of state
//! dicts, in the zip format of PyTorch 1.6 and later or in the format before it. Both are pickles; nothing in them is
//! executed: the reader knows the few constructors that tensors need and refuses the rest.

mod checkpoint;
mod pickle;

use std::path::Path;

use burn::tensor::Device;

use crate::{Architecture, Description, Model, NetworkError, Result, Weights};
use checkpoint::Checkpoint;

/// Reads the checkpoint of a primal network, and perhaps that of its dual models.
///
/// Scale, features, blocks and inner widths are read from the tensors.
///
/// # Errors
/// If a file cannot be read, is damaged, or holds another kind of network.
pub fn read_checkpoints(primal: &Path, duals: Option<&Path>, device: &Device) -> Result<Model> {
    let name = primal.display().to_string();
    let wrong = |reason: &str| NetworkError::Format { name: name.clone(), reason: reason.to_owned() };
    let mut tensors = match Checkpoint::read(primal)? {
        Checkpoint::StateDict(weights) => weights,
        Checkpoint::StateDicts(_) => {
            return Err(wrong("this checkpoint holds dual models, not the network itself; give it with --dual"));
        }
    };
    // Networks trained on several devices carry a prefix.
    for prefix in ["module.", "model."] {
        if tensors.0.keys().all(|key| key.starts_with(prefix)) {
            tensors = tensors.under(prefix);
        }
    }
    let architecture = architecture_of(&tensors)
        .ok_or_else(|| wrong("the checkpoint holds no dual regression network (no head, down, up_blocks and tail)"))?;
    architecture.validate().map_err(|error| wrong(&error.to_string()))?;
    let stem = primal.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut weights = Weights::default();
    weights.extend_under("model.", tensors);
    if let Some(path) = duals {
        let dicts = match Checkpoint::read(path)? {
            Checkpoint::StateDicts(dicts) => dicts,
            Checkpoint::StateDict(dict) => vec![dict],
        };
        if dicts.len() != architecture.levels() {
            return Err(NetworkError::Format {
                name: path.display().to_string(),
                reason: format!("{} dual models where the network needs {}", dicts.len(), architecture.levels()),
            });
        }
        for (level, dict) in dicts.into_iter().enumerate() {
            weights.extend_under(&format!("dual.{level}."), dict);
        }
    }
    let description = Description { purpose: "imported checkpoint".into(), ..Description::new(stem, architecture) };
    Model::from_weights(description, &weights, device).map_err(|error| wrong(&error.to_string()))
}

/// The numbers of the network that tensors belong to; `None` if they are of another kind.
fn architecture_of(weights: &Weights) -> Option<Architecture> {
    let outputs = |name: &str| weights.0.get(name).and_then(|weight| weight.shape.first().copied());
    let count = |name: &dyn Fn(usize) -> String| (0..).take_while(|&i| weights.0.contains_key(&name(i))).count();
    let n_feats = outputs("head.weight")?;
    let levels = count(&|p| format!("down.{p}.dual_module.0.0.weight"));
    if !(1..=3).contains(&levels) || !weights.0.contains_key("tail.0.weight") {
        return None;
    }
    let blocks_of = |level| count(&|block| format!("up_blocks.{level}.{block}.body.0.weight"));
    let n_blocks: Vec<usize> = (0..levels).map(blocks_of).collect();
    let mut widths = Vec::new();
    for p in 0..levels {
        widths.push(outputs(&format!("down.{p}.dual_module.0.0.weight"))?);
    }
    for (level, &blocks) in n_blocks.iter().enumerate() {
        for block in 0..blocks {
            widths.push(outputs(&format!("up_blocks.{level}.{block}.body.0.weight"))?);
        }
        widths.push(outputs(&format!("up_blocks.{level}.{blocks}.0.weight"))? / 4);
    }
    Some(Architecture { scale: 1 << levels, n_feats, n_blocks, widths })
}
