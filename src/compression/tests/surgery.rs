//! Cutting: the small network is the masked one; and the instant networks of a sensitivity profile.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use burn::tensor::{Device, Distribution, Tensor};
use common::{config, network, network_of_seed, pictures, profile_of, run};
use dualres_compression::{
    CompressConfig, Event, Layers, Method, Mode, PROFILE_FILE, Profile, Stage, cut, largest_difference, masked,
    parse_widths,
};
use dualres_network::{Architecture, Description, Model, Preset, import::ImportOptions};
use rand::{SeedableRng, seq::index::sample};
use rand_chacha::ChaCha8Rng;

/// Channels of every unit at random, at least one.
fn some(layers: &Layers, random: &mut ChaCha8Rng) -> Vec<Vec<usize>> {
    let kept = |&width: &usize| {
        let count = 1 + sample(random, width, 1).index(0);
        let mut kept = sample(random, width, count).into_vec();
        kept.sort_unstable();
        kept
    };
    layers.widths.iter().map(kept).collect()
}

fn layers(model: &Model) -> Layers {
    Layers::of(&model.description.network, false)
}

#[test]
fn a_masked_network_equals_the_cut_one() {
    let device = Device::flex();
    let mut random = ChaCha8Rng::seed_from_u64(8);
    for scale in [2, 4, 8] {
        let architecture = Architecture::new(scale, 4, 2).unwrap();
        let model = Model::init(Description::drn("t", &architecture).unwrap(), 1, &device).unwrap();
        let own = layers(&model);
        for _ in 0..4 {
            let kept = some(&own, &mut random);
            let (masked, small) =
                (masked(&model, &own, &kept, &device).unwrap(), cut(&model, &own, &kept, &device).unwrap());
            let x = Tensor::random([1, 3, 17, 14], Distribution::Uniform(0.0, 255.0), &device);
            let difference = largest_difference(&masked, &small, &x);
            assert!(difference < 1e-6, "x{scale}: {difference}");
            assert!(largest_difference(&model, &small, &x) > 1e-6, "the mask does something");
            assert!(small.to_bytes().len() < model.to_bytes().len());
            let widths = kept.iter().map(Vec::len).collect::<Vec<_>>();
            assert_eq!(layers(&small).widths, widths);
            // A cut network is a network like any other: it survives its file, and can be cut again.
            let read = Model::from_bytes(&small.to_bytes(), "small", &device).unwrap();
            let again =
                cut(&read, &layers(&read), &widths.iter().map(|_| vec![0]).collect::<Vec<_>>(), &device).unwrap();
            assert!(layers(&again).widths.iter().all(|&width| width == 1));
        }
    }
}

#[test]
fn channels_that_are_not_there_are_refused() {
    let device = Device::flex();
    let model = network(2);
    let own = layers(&model);
    let all: Vec<Vec<usize>> = own.widths.iter().map(|&w| (0..w).collect()).collect();
    for wrong in [vec![], vec![0, 0], vec![1, 0], vec![99]] {
        let mut kept = all.clone();
        kept[0] = wrong;
        assert!(cut(&model, &own, &kept, &device).is_err() && masked(&model, &own, &kept, &device).is_err());
    }
    assert!(cut(&model, &own, &all[1..], &device).is_err());
}

/// Section 4.1: K (B + 2) layers; and what a width costs is what the counter counts.
#[test]
fn the_published_networks_have_the_published_layers() {
    for (scale, count) in [(4, 64), (8, 96)] {
        let architecture = Architecture::preset(Preset::S, scale).unwrap();
        let own = Layers::of(&Description::drn("t", &architecture).unwrap().network, false);
        assert_eq!(own.len(), count);
        for layer in (0..count).step_by(9) {
            let mut narrow = architecture.widths.clone();
            narrow[layer] = 1;
            let counted = architecture.with_widths(narrow.clone()).unwrap().graph().unwrap().cost(96, 96);
            let (macs, parameters) = own.cost(&narrow);
            assert_eq!((macs, parameters), (counted.macs() as f64, counted.parameters() as f64));
        }
    }
}

#[test]
fn a_profile_answers_at_once_for_any_ratio() {
    let data = pictures(5);
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let model = network(2);
    let config = CompressConfig { mode: Mode::Budget, method: Method::Profile, ..config(&data.path, 0.5) };
    let profile = profile_of(&config, &model, folder.path());
    assert!(profile.is_complete());
    let copy = Profile::from_bytes(&profile.to_bytes()).unwrap();
    assert_eq!(copy, profile);

    let full = Layers::described(&model.description);
    let x = Tensor::random([1, 3, 16, 16], Distribution::Uniform(0.0, 255.0), &device);
    let mut before = f64::NEG_INFINITY;
    for percent in [0, 10, 25, 40, 50, 55] {
        let ratio = f64::from(percent) / 100.0;
        let widths = profile.widths_for(ratio, 0.1).unwrap();
        let small = profile.one_shot(&model, &widths, &device).unwrap();
        let macs = |model: &Model| model.description.network.executed_cost(96, 96).macs() as f64;
        assert!(macs(&small) <= (1.0 - ratio) * macs(&model) * (1.0 + 1e-9), "{percent} %");
        let estimate = profile.estimate(&widths);
        let total = estimate.primal + 0.1 * estimate.dual;
        assert!(total.is_finite() && estimate.psnr_y.is_finite());
        assert!(total >= before - 0.01 * before.abs(), "{percent} %: {total} after {before}");
        before = total;
        if percent == 0 {
            assert!(largest_difference(&model, &small, &x) < 1e-5);
        }
    }
    assert!(profile.widths_for(0.995, 0.1).is_err());
    assert!(profile.one_shot(&network(4), &[1; 8], &device).is_err());
    let mut other = model.clone();
    other.primal = network_of_seed(9).primal;
    assert!(profile.one_shot(&other, &full.widths, &device).is_err(), "the same numbers, other weights");

    // A second run takes the profile that is there.
    let shared = CompressConfig { profile_file: Some(folder.path().join(PROFILE_FILE)), seed: 2, ..config };
    let second = folder.path().join("second");
    let mut measured = 0;
    run(&shared, &model, &second, |event| {
        measured += usize::from(matches!(event, Event::Stage { stage: Stage::Profile, .. }));
        matches!(event, Event::Widths(_))
    })
    .unwrap();
    assert_eq!(measured, 0);
    assert!(run(&shared, &other, &folder.path().join("third"), |_| false).is_err());
}

/// What goes is predicted from what stays: an instant network is nearer to the original than one that just forgets.
#[test]
fn prediction_is_worth_something() {
    let data = pictures(5);
    let device = Device::flex();
    let folder = tempfile::tempdir().unwrap();
    let model = network(2);
    let config = CompressConfig { mode: Mode::Budget, method: Method::Profile, ..config(&data.path, 0.5) };
    let profile = profile_of(&config, &model, folder.path());
    let model = model.collapsed(&device).unwrap();
    let widths: Vec<usize> = layers(&model).widths.iter().map(|width| width / 2).collect();
    let predicted = profile.one_shot(&model, &widths, &device).unwrap();
    let forgotten = cut(&model, &layers(&model), &profile.kept(&widths), &device).unwrap();
    let photo = dualres_imaging::read(&data.path.join("0.png")).unwrap();
    let samples: Vec<f32> = photo.planes.iter().flat_map(|plane| plane.data.iter().copied()).collect();
    let shape = [1, 3, photo.height(), photo.width()];
    let x: Tensor<4> = Tensor::from_data(burn::tensor::TensorData::new(samples, shape), &device);
    let (near, far) = (largest_difference(&model, &predicted, &x), largest_difference(&model, &forgotten, &x));
    assert!(near < 0.8 * far, "{near} {far}");
}

fn foreign(name: &str) -> Model {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../network/tests/data/foreign").join(name);
    let mut model = dualres_network::import::read(&path, &ImportOptions::default(), &Device::flex()).unwrap();
    model.description = model.description.with_single_dual();
    model.init_duals(4, &Device::flex());
    model
}

/// Functions with weights of their own, kernels of each channel, and what an exporter wrote lie between the layers.
#[test]
fn networks_of_others_are_cut_like_ours() {
    let device = Device::flex();
    let mut random = ChaCha8Rng::seed_from_u64(18);
    for name in [
        "edsr_x3.pth",
        "compact_x4.pth",
        "compact_x2_op17.onnx",
        "compact_x2_dynamo.onnx",
        "edsr_x2_op11.onnx",
        "esrgan_new_x4.pth",
        "rrdb_x4_op11.onnx",
        "rlfn_x4.pth",
        "rfdn_x4.pth",
        "bsrn_x4.pth",
        "carn_m_x4.pth",
        "span_x2.pth",
        "span_x2_op17.onnx",
        "realplksr_x4.pth",
    ] {
        let model = foreign(name);
        let own = layers(&model);
        assert!(!own.is_empty(), "{name} has layers to cut");
        for round in 0..2 {
            let kept = some(&own, &mut random);
            let (masked, small) =
                (masked(&model, &own, &kept, &device).unwrap(), cut(&model, &own, &kept, &device).unwrap());
            let x = Tensor::random([1, 3, 48, 40], Distribution::Uniform(0.0, 255.0), &device);
            let difference = largest_difference(&masked, &small, &x);
            assert!(difference < 1e-4, "{name}, {round}: {difference}");
            assert!(largest_difference(&model, &small, &x) > 1e-6, "{name}: the mask does something");
            let read = Model::from_bytes(&small.to_bytes(), name, &device).unwrap();
            assert!(largest_difference(&read, &small, &x) < 1e-6, "{name}: a cut network survives its file");
            let now: Vec<usize> = read.description.layer_widths().iter().map(|layer| layer.now).collect();
            assert_eq!(now, kept.iter().map(Vec::len).collect::<Vec<_>>(), "{name}");
        }
    }
}

/// Layers that take off the mean of a picture and put it back are as narrow as its colours: without a channel a colour is gone, which
/// luma hardly tells.
#[test]
fn colours_are_not_pruned() {
    for name in ["carn_m_x4.pth", "carn_x3.pth", "edsr_x2.pth"] {
        let own = layers(&foreign(name));
        let narrow: Vec<String> =
            (0..own.len()).filter(|&layer| own.widths[layer] <= 3).map(|layer| own.name(layer)).collect();
        assert!(narrow.is_empty(), "{name}: {narrow:?}");
        let groups = foreign(name).description.network.groups();
        let kept = groups.iter().filter(|group| group.reason().is_some_and(|reason| reason.contains("colours")));
        assert!(name.starts_with("edsr") || kept.count() > 0, "{name} says why");
    }
}

/// Blocks of a DRN, of residual blocks of two layers, and of dense blocks.
fn with_blocks() -> Vec<Model> {
    let device = Device::flex();
    let drn = Model::init(Description::drn("t", &Architecture::new(2, 8, 3).unwrap()).unwrap(), 1, &device).unwrap();
    vec![drn, foreign("edsr_x3.pth"), foreign("rlfn_x4.pth"), foreign("esrgan_new_x4.pth")]
}

#[test]
fn a_block_of_which_nothing_is_kept_goes_as_a_whole() {
    let device = Device::flex();
    for model in with_blocks() {
        let own = layers(&model);
        let family = &model.description.family;
        assert!(!own.blocks.is_empty(), "{family}");
        for (place, block) in own.blocks.iter().enumerate() {
            let mut kept: Vec<Vec<usize>> = own.widths.iter().map(|&width| (0..width.div_ceil(2)).collect()).collect();
            block.layers.iter().for_each(|&layer| kept[layer] = Vec::new());
            let silent = masked(&model, &own, &kept, &device).unwrap();
            let small = cut(&model, &own, &kept, &device).unwrap();
            let x = Tensor::random([1, 3, 24, 28], Distribution::Uniform(0.0, 255.0), &device);
            let difference = largest_difference(&silent, &small, &x);
            assert!(difference < 1e-5, "{family}, block {place}: {difference}");
            // Nothing of the block is left, and the cost is that of what is left.
            let network = &small.description.network;
            assert!(network.nodes().len() < model.description.network.nodes().len());
            assert!(network.find(&block.residual.last).is_none(), "{family}");
            let widths: Vec<usize> = kept.iter().map(Vec::len).collect();
            let counted = network.cost(96, 96);
            let (macs, parameters) = own.cost(&widths);
            assert!((macs - counted.macs() as f64).abs() < 1.0, "{family}: {macs} {}", counted.macs());
            assert!((parameters - counted.parameters() as f64).abs() < 1.0, "{family}");
            // A file tells what the network was.
            let read = Model::from_bytes(&small.to_bytes(), "small", &device).unwrap();
            let gone = read.description.layer_widths().iter().filter(|layer| layer.now == 0).count();
            assert_eq!(gone, block.layers.len(), "{family}");
        }
    }
}

#[test]
fn a_layer_without_channels_is_refused_where_no_block_goes_with_it() {
    let model = &with_blocks()[2];
    let own = layers(model);
    let block = own.blocks[0].layers.clone();
    assert!(block.len() > 1, "two layers that go together");
    let mut half = own.widths.clone();
    half[block[0]] = 0;
    let text = |widths: &[usize]| widths.iter().map(|width| format!("{width}\n")).collect::<String>();
    let message = parse_widths(&text(&half), &own).unwrap_err().to_string();
    assert!(message.contains("can only go together"), "{message}");
    half[block[1]] = 0;
    assert!(parse_widths(&text(&half), &own).is_ok());
    let drn = &with_blocks()[0];
    let own = layers(drn);
    let mut down = own.widths.clone();
    down[0] = 0;
    let message = parse_widths(&text(&down), &own).unwrap_err().to_string();
    assert!(message.contains("no block"), "{message}");
}

#[test]
fn a_collapsed_network_is_the_same_function_of_less_work() {
    let device = Device::flex();
    for scale in [2, 4] {
        let architecture = Architecture::new(scale, 8, 2).unwrap();
        let model = Model::init(Description::drn("t", &architecture).unwrap(), 1, &device).unwrap();
        let run = model.collapsed(&device).unwrap();
        let x = Tensor::random([1, 3, 17, 14], Distribution::Uniform(0.0, 255.0), &device);
        assert!(largest_difference(&model, &run, &x) < 1e-6);
        let macs = |model: &Model| model.description.network.cost(96, 96).macs();
        assert!(macs(&run) < macs(&model));
        assert_eq!(run.collapsed(&device).unwrap().weights(), run.weights(), "once is enough");
        let onnx = layers(&run).len();
        assert_eq!(onnx + architecture.levels(), layers(&model).len(), "no layer is left within a pair");
    }
}
