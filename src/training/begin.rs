//! What a run begins with: a network from random weights, from those of a model, or from those of one for another scale.

use dualres_network::{Architecture, Blueprint, Description, Model, Network, UNKNOWN_LICENCE, graph::Graph};
use serde_json::json;

use crate::{
    Distillation, DistillationLevel, Result, TrainConfig, TrainingError,
    dataset::{last_of, names_of},
};

/// The larger network to learn from.
pub(crate) fn teacher(
    Distillation { teacher: path, level, .. }: &Distillation,
    config: &TrainConfig,
    device: &burn::tensor::Device,
) -> Result<Network> {
    let teacher = Model::read(path, device)?.primal;
    if teacher.graph().scale() != config.architecture.scale() {
        let reason = format!("the network to learn from has another scale: {}", path.display());
        return Err(TrainingError::Setting(reason));
    }
    let side_of_features = |graph: &Graph| -> Result<usize> {
        Ok(graph.shapes([config.patch, config.patch])?[graph.last_features()].height)
    };
    let own = config.architecture.graph()?;
    if *level == DistillationLevel::Features && side_of_features(&own)? != side_of_features(teacher.graph())? {
        let reason = format!(
            "the features of the network to learn from are of another resolution; learn from its output: {}",
            path.display()
        );
        return Err(TrainingError::Setting(reason));
    }
    Ok(teacher)
}

/// What the model of a run says about itself.
pub(crate) fn describe(config: &TrainConfig) -> Result<Description> {
    let mut description = config.architecture.describe(&config.name)?;
    description.training_patch = config.patch;
    description.purpose.clone_from(&config.purpose);
    description.licence.clone_from(&config.licence);
    let mut settings = serde_json::to_value(config).expect("settings are plain data");
    if let serde_json::Value::Object(settings) = &mut settings {
        // Stated by the description itself.
        for stated in ["architecture", "name", "purpose", "licence"] {
            settings.remove(stated);
        }
        // A model file is for others: the names of folders, not where they lie.
        settings.insert("data".into(), names_of(&config.data).into());
        settings.insert("validation".into(), names_of(&config.validation).into());
        settings.insert("init".into(), config.init.as_deref().map(last_of).into());
        if let Some(adaptation) = &config.adaptation
            && let Some(serde_json::Value::Object(there)) = settings.get_mut("adaptation")
        {
            there.insert("pictures".into(), names_of(&adaptation.pictures).into());
        }
        if let Some(Distillation { teacher, weight, .. }) = &config.distillation {
            settings.insert("distillation".into(), json!({"teacher": last_of(teacher), "weight": weight}));
        }
    }
    description.training = settings;
    Ok(description)
}

/// A random model, or the weights of a model file.
pub(crate) fn initial(config: &TrainConfig, description: Description, device: &burn::tensor::Device) -> Result<Model> {
    let Some(path) = &config.init else {
        return Ok(Model::init(description, config.seed, device)?);
    };
    let mut start = Model::read(path, device)?;
    if let (Blueprint::Drn(wanted), Some(there)) =
        (&config.architecture, Architecture::of_weights(&start.weights().under("model.")))
    {
        let other_blocks =
            there.scale == wanted.scale && there.n_feats == wanted.n_feats && there.n_blocks != wanted.n_blocks;
        if other_blocks && !wanted.is_compressed() {
            start = start.with_depth(wanted.n_blocks.clone(), config.seed, device)?;
        }
    }
    let wanted = &description.network;
    let mut weights = start.weights();
    if start.description.network != *wanted {
        let transferred = transfer(&start, &description, config.seed, device)?;
        weights = transferred.ok_or_else(|| {
            TrainingError::Setting(format!(
                "the network to start from is another one than asked for: {}",
                path.display()
            ))
        })?;
    }
    if config.dual_only && description.duals.is_empty() {
        let reason = format!(
            "a network of scale {} has no dual model: nothing leads back from what is not reduced",
            wanted.scale()
        );
        return Err(TrainingError::Setting(reason));
    }
    // Dual models that are there go on; where there are none, or others, new ones begin.
    let kept = start.description.duals == description.duals;
    if config.adaptation.is_some() && start.duals.is_empty() {
        let reason = "the model has no dual model, so nothing leads its results back to the images; train one first";
        return Err(TrainingError::Setting(reason.into()));
    }
    let mut description = description;
    let mut begun = description.clone();
    if kept {
        description.borrowed_duals = false;
    } else {
        begun.duals.clear();
        weights.0.retain(|name, _| !name.starts_with("dual."));
    }
    let mut model = Model::from_weights(begun, &weights, device)?;
    model.description = description;
    if !kept {
        model.init_duals(config.seed.wrapping_add(1), device);
    }
    let (was, description) = (&start.description, &mut model.description);
    if was.network == description.network {
        (description.halo, description.seam, description.import) = (was.halo, was.seam, was.import.clone());
        description.original_widths.clone_from(&was.original_widths);
    }
    // What is learned on top of weights stays under their licence unless another is given.
    if description.licence == UNKNOWN_LICENCE {
        description.licence.clone_from(&was.licence);
    }
    Ok(model)
}

/// Weights of a network of another scale or with more blocks: all layers that are the same, others as they are at random, but for
/// blocks that were not there, which change nothing until they are trained. `None` if hardly a layer is the same.
fn transfer(
    start: &Model,
    wanted: &Description,
    seed: u64,
    device: &burn::tensor::Device,
) -> Result<Option<dualres_network::Weights>> {
    if start.description.family != wanted.family {
        return Ok(None);
    }
    let mut weights = Model::init(wanted.clone(), seed, device)?.weights();
    let known = start.weights();
    let (mut same, mut all) = (0, 0);
    for (name, weight) in weights.0.iter_mut().filter(|(name, _)| name.starts_with("model.")) {
        all += 1;
        if let Some(there) = known.0.get(name).filter(|there| there.shape == weight.shape) {
            *weight = there.clone();
            same += 1;
        }
    }
    for block in wanted.network.blocks() {
        let names = ["weight", "bias"].map(|part| format!("model.{}.{part}", block.last));
        for name in names.iter().filter(|name| !known.0.contains_key(*name)) {
            if let Some(weight) = weights.0.get_mut(name) {
                weight.values.fill(0.0);
            }
        }
    }
    let there = known.0.keys().filter(|name| name.starts_with("model.")).count();
    Ok((2 * same > all.min(there)).then_some(weights))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use burn::tensor::{Device, Distribution, Tensor};
    use dualres_network::{Backbone, BlockKind, Pooling};

    use super::*;

    /// Blocks that were not there change nothing; another scale takes all but the end; another width takes nothing.
    #[test]
    fn a_network_with_more_blocks_begins_as_the_one_before() {
        let device = Device::flex();
        let describe = |scale, features, blocks, block| {
            Blueprint::Backbone(Backbone { block, scale, features, blocks }).describe("grows").unwrap()
        };
        let input = Tensor::random([1, 3, 8, 8], Distribution::Uniform(0.0, 255.0), &device);
        let picture = |model: &Model| model.primal.upscale(input.clone(), Pooling::Global).into_data();
        for block in [BlockKind::Residual, BlockKind::Pixel] {
            let small = Model::init(describe(2, 4, 2, block), 3, &device).unwrap();
            let wanted = describe(2, 4, 5, block);
            let weights = transfer(&small, &wanted, 9, &device).unwrap().unwrap();
            let large = Model::from_weights(wanted, &weights, &device).unwrap();
            assert_eq!(picture(&large), picture(&small), "{block:?}");
            assert!(weights.0["model.body.4.0.weight"].values.iter().any(|&value| value != 0.0), "it can learn");
            let other = transfer(&small, &describe(4, 4, 2, block), 9, &device).unwrap();
            assert!(other.is_some_and(|there| there.0["model.head.weight"] == small.weights().0["model.head.weight"]));
            assert!(transfer(&small, &describe(2, 8, 2, block), 9, &device).unwrap().is_none());
        }
    }
}
