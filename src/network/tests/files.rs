//! Model files and official checkpoints: round trips, and what is refused.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::tensor::{Device, Tensor};
use common::{data, read_tensors};
use dualres_network::{
    Architecture, Description, Model, Pooling, Weights, import, import::ImportOptions, tensors_to_bytes,
};

fn small() -> Model {
    let architecture = Architecture::new(2, 8, 1).unwrap().with_widths(vec![5, 7, 9]).unwrap();
    Model::init(Description::drn("small", &architecture).unwrap(), 3, &Device::flex()).unwrap()
}

fn read_checkpoints(
    primal: &std::path::Path,
    duals: Option<&std::path::Path>,
    device: &Device,
) -> dualres_network::Result<Model> {
    let options = ImportOptions { beside: duals.map(std::path::Path::to_owned), ..ImportOptions::default() };
    import::read(primal, &options, device)
}

fn numbers(model: &Model) -> Architecture {
    Architecture::of_weights(&model.primal.weights()).unwrap()
}

#[test]
fn model_files_keep_everything() {
    let mut model = small();
    model.description.licence = "CC0".into();
    model.description.training = serde_json::json!({"steps": 7});
    let back = Model::from_bytes(&model.to_bytes(), "memory", &Device::flex()).unwrap();
    assert_eq!(back.description, model.description);
    assert_eq!(back.weights(), model.weights());
}

#[test]
fn random_weights_depend_on_the_seed_only() {
    let architecture = Architecture::new(2, 8, 1).unwrap();
    let init =
        |seed| Model::init(Description::drn("r", &architecture).unwrap(), seed, &Device::flex()).unwrap().weights();
    assert_eq!(init(1), init(1));
    assert_ne!(init(1), init(2));
}

/// Blocks that were added change nothing, those that were there stay when they are taken out again.
#[test]
fn a_network_with_more_blocks_begins_as_the_one_before() {
    let device = Device::flex();
    let description = Description::drn("grows", &Architecture::with_blocks(4, 4, vec![1, 2]).unwrap()).unwrap();
    let model = Model::init(description, 3, &device).unwrap();
    let input = Tensor::random([1, 3, 8, 8], burn::tensor::Distribution::Uniform(0.0, 255.0), &device);
    let picture = |model: &Model| model.primal.upscale(input.clone(), Pooling::Global).into_data();
    let larger = model.with_depth(vec![3, 2], 9, &device).unwrap();
    assert_eq!(numbers(&larger).n_blocks, [3, 2]);
    assert_eq!(picture(&larger), picture(&model));
    let zero = |name: &str| larger.weights().0[name].values.iter().all(|&value| value == 0.0);
    assert!(zero("model.up_blocks.0.2.body.2.weight") && !zero("model.up_blocks.0.2.body.0.weight"));
    let back = larger.with_depth(vec![1, 2], 9, &device).unwrap();
    assert_eq!(back.weights(), model.weights());
    let fewer = model.with_depth(vec![1, 1], 9, &device).unwrap();
    assert_ne!(picture(&fewer), picture(&model));
    assert!(model.with_depth(vec![1], 9, &device).is_err());
}

fn refused(bytes: &[u8]) -> String {
    let message = Model::from_bytes(bytes, "file.safetensors", &Device::flex()).unwrap_err().to_string();
    assert!(message.contains("file.safetensors") && !message.contains('\n'), "one sentence with the file: {message}");
    message
}

#[test]
fn bad_model_files_are_refused_with_a_sentence() {
    let bytes = small().to_bytes();
    assert!(refused(b"").contains("damaged"));
    assert!(refused(b"not a model at all, just some text").contains("damaged"));
    for length in (0..bytes.len()).step_by(97) {
        refused(&bytes[..length]);
    }
    let foreign = std::fs::read(data("drn_x2_f8_b1.weights.safetensors")).unwrap();
    assert!(refused(&foreign).contains("no model of Dualres"));

    let mut newer = small();
    newer.description.format = 99;
    assert!(refused(&newer.to_bytes()).contains("format 99"));

    let model = small();
    let mut weights = model.weights();
    weights.0.remove("model.head.bias");
    let json = serde_json::to_string(&model.description).unwrap();
    let with =
        |weights: &dualres_network::Weights| tensors_to_bytes(weights, [("dualres".to_owned(), json.clone())].into());
    assert!(refused(&with(&weights)).contains("head.bias is missing"));

    let mut weights = model.weights();
    weights.0.get_mut("model.head.bias").unwrap().values[0] = f32::NAN;
    assert!(refused(&with(&weights)).contains("NaN"));

    let mut weights = model.weights();
    let copy = weights.0["model.head.bias"].clone();
    weights.0.insert("model.foreign".into(), copy);
    assert!(refused(&with(&weights)).contains("foreign"));
}

/// A model file as the program wrote it before networks were graphs.
fn version_1(model: &Model) -> Vec<u8> {
    let description = serde_json::json!({
        "format": 1,
        "name": "old",
        "purpose": "to be read",
        "architecture": numbers(model),
        "pixel_range": [0.0, 255.0],
        "training_patch": 24,
        "training": {"steps": 7},
        "metrics": [{"name": "psnr_y", "set": "s", "value": 30.5, "rule": "r"}],
        "licence": "CC0",
    });
    tensors_to_bytes(&model.weights(), [("dualres".to_owned(), description.to_string())].into())
}

#[test]
fn model_files_of_version_1_are_read() {
    let old = small();
    let model = Model::from_bytes(&version_1(&old), "old", &Device::flex()).unwrap();
    assert_eq!(model.weights(), old.weights());
    assert_eq!(model.description.network, old.description.network);
    assert_eq!(model.description.duals, old.description.duals);
    let widths: Vec<_> = model.description.layer_widths().iter().map(|layer| (layer.now, layer.before)).collect();
    assert_eq!(widths, [(5, 8), (7, 16), (9, 16)]);
    assert_eq!((model.description.training_patch, model.description.metrics.len()), (24, 1));
    assert_eq!((model.description.licence.as_str(), model.description.format), ("CC0", 2));

    // Dual models may have another width than the network's, or be missing.
    let mut wide = old.weights();
    let duals: Weights =
        Model::init(Description::drn("w", &Architecture::new(2, 11, 1).unwrap()).unwrap(), 4, &Device::flex())
            .unwrap()
            .weights();
    wide.0.retain(|name, _| name.starts_with("model."));
    let without = Model { duals: Vec::new(), ..old.clone() };
    let bare = Model::from_bytes(&version_1(&without), "old", &Device::flex()).unwrap();
    assert!(bare.duals.is_empty() && bare.description.duals.is_empty());
    wide.0.extend(duals.0.into_iter().filter(|(name, _)| name.starts_with("dual.")));
    let metadata = dualres_network::tensors_from_bytes(&version_1(&old), "old").unwrap().1;
    let model = Model::from_bytes(&tensors_to_bytes(&wide, metadata), "old", &Device::flex()).unwrap();
    assert_eq!(model.weights(), wide);
}

#[test]
fn checkpoints_of_all_kinds_are_imported() {
    for (name, scale, feats, blocks) in [("drn_x2_f8_b1", 2, 8, 1), ("drn_x4_f4_b2", 4, 4, 2)] {
        let mut expected = read_tensors(&format!("{name}.weights.safetensors"));
        // The constants of the mean shift are not stored.
        expected.0.retain(|key, _| !key.contains("_mean."));
        for suffix in ["pt", "legacy.pt"] {
            let dual = data(&format!("{name}.dual.{suffix}"));
            let model =
                read_checkpoints(&data(&format!("{name}.model.{suffix}")), Some(&dual), &Device::flex()).unwrap();
            assert_eq!(numbers(&model), Architecture::new(scale, feats, blocks).unwrap());
            assert_eq!(model.weights(), expected, "{name} {suffix}");

            let alone = read_checkpoints(&data(&format!("{name}.model.{suffix}")), None, &Device::flex()).unwrap();
            assert!(alone.duals.is_empty());
        }
    }
}

#[test]
fn bad_checkpoints_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let message = read_checkpoints(&path, None, &Device::flex()).unwrap_err().to_string();
        assert!(message.contains(name) && !message.contains('\n'), "one sentence with the file: {message}");
        message
    };
    for suffix in ["pt", "legacy.pt"] {
        let whole = std::fs::read(data(&format!("drn_x2_f8_b1.model.{suffix}"))).unwrap();
        for length in (0..whole.len()).step_by(whole.len() / 40) {
            refused("cut.pt", &whole[..length]);
        }
        let duals = std::fs::read(data(&format!("drn_x2_f8_b1.dual.{suffix}"))).unwrap();
        assert!(refused("dual.pt", &duals).contains("dual models"));
        // Flipped bytes give an error or another network, never a crash.
        for at in (0..whole.len().min(4000)).step_by(13) {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x5a;
            let path = folder.path().join("flipped.pt");
            std::fs::write(&path, damaged).unwrap();
            let _ = read_checkpoints(&path, None, &Device::flex());
        }
    }
    refused("text.pt", b"this is no checkpoint");

    // A pickle that would run a program if it were executed is a value like any other here, and no state dict.
    let marker = folder.path().join("executed");
    let command = format!("touch {}", marker.display());
    let mut evil = b"\x80\x02cos\nsystem\nX".to_vec();
    evil.extend((command.len() as u32).to_le_bytes());
    evil.extend(command.as_bytes());
    evil.extend(b"\x85R.");
    refused("evil.pt", &evil);
    assert!(!marker.exists());

    let missing = read_checkpoints(&folder.path().join("missing.pt"), None, &Device::flex()).unwrap_err();
    assert!(missing.to_string().contains("missing.pt"));
}
