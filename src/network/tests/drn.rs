//! DRN as a graph: published counts, prunable layers and their order, names of weights.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualres_network::{Architecture, ChannelGroup, Description, Network, Preset, families::label};

/// Parameters that the published counts include for the mean shift, which is constant here.
const MEAN_SHIFT: u64 = 24;

/// MACs in units of 1e9 as the published counter gives them for a 96x96 input: with the mean shift as 1x1 convolutions
/// at the output resolution before the network and at every level after it.
fn published_giga_macs(architecture: &Architecture) -> f64 {
    let area = |magnification: usize| (96 * 96 * magnification * magnification) as u64;
    let after: u64 = (0..=architecture.levels()).map(|level| area(1 << level)).sum();
    (architecture.graph().unwrap().cost(96, 96).macs() + 12 * (area(architecture.scale) + after)) as f64 / 1e9
}

#[test]
fn presets_have_the_published_parameters_and_macs() {
    let published = [
        (Preset::S, 4, 4_804_065, 109.92),
        (Preset::L, 4, 9_825_893, 224.76),
        (Preset::S, 8, 5_403_000, 197.94),
        (Preset::L, 8, 10_004_018, 366.38),
    ];
    for (preset, scale, parameters, giga_macs) in published {
        let architecture = Architecture::preset(preset, scale).unwrap();
        let cost = architecture.graph().unwrap().cost(96, 96);
        assert_eq!(cost.parameters() + MEAN_SHIFT, parameters, "{preset:?} x{scale}");
        let ours = published_giga_macs(&architecture);
        assert!((ours - giga_macs).abs() < 0.006, "{preset:?} x{scale}: {ours}");
    }
    // The published code's defaults, which have no published name, at x2.
    let x2 = |feats, blocks| Architecture::new(2, feats, blocks).unwrap().graph().unwrap().cost(96, 96).parameters();
    assert_eq!(x2(16, 30) + MEAN_SHIFT, 606_378);
    assert_eq!(x2(32, 30) + MEAN_SHIFT, 2_414_902);
    assert_eq!(x2(40, 40) + MEAN_SHIFT, 4_932_430);
    let x4 = Description::drn("x4", &Architecture::preset(Preset::S, 4).unwrap()).unwrap();
    assert_eq!(x4.dual_parameters(), 2 * 864);
}

#[test]
fn uniformly_narrowed_networks_have_the_computed_parameters_and_macs() {
    let cases = [
        (4, 0.3, 3_391_525, 77.41),
        (4, 0.5, 2_423_777, 55.15),
        (4, 0.7, 1_531_169, 34.61),
        (8, 0.3, 3_823_762, 140.82),
        (8, 0.5, 2_726_264, 99.40),
        (8, 0.7, 1_722_596, 62.46),
    ];
    for (scale, ratio, parameters, giga_macs) in cases {
        let full = Architecture::preset(Preset::S, scale).unwrap();
        let narrow = |&width: &usize| ((1.0 - ratio) * width as f64 - 1e-9).ceil() as usize;
        let narrowed = full.with_widths(full.widths.iter().map(narrow).collect()).unwrap();
        assert!(narrowed.is_compressed() && !full.is_compressed());
        let cost = narrowed.graph().unwrap().cost(96, 96);
        assert_eq!(cost.parameters() + MEAN_SHIFT, parameters, "x{scale} -{ratio}");
        let ours = published_giga_macs(&narrowed);
        assert!((ours - giga_macs).abs() < 0.006, "x{scale} -{ratio}: {ours}");
    }
}

#[test]
fn counts_agree_with_the_weights_of_a_network() {
    let full = Architecture::new(4, 8, 2).unwrap();
    let narrowed = full.with_widths(vec![3, 5, 7, 32, 11, 31, 1, 13]).unwrap();
    let device = burn::tensor::Device::flex();
    for architecture in [full, narrowed] {
        let network = Network::init(architecture.graph().unwrap(), 1, &device);
        let weights: usize = network.weights().0.values().map(|weight| weight.values.len()).sum();
        assert_eq!(network.graph().cost(10, 10).parameters(), weights as u64);
    }
}

#[test]
fn small_presets_have_widths_in_multiples_of_eight() {
    for scale in [2, 4, 8] {
        let architecture = Architecture::preset(Preset::T, scale).unwrap();
        assert!(architecture.widths.iter().all(|width| width % 8 == 0), "x{scale}: {:?}", architecture.widths);
    }
}

fn prunable(architecture: &Architecture) -> Vec<ChannelGroup> {
    architecture.graph().unwrap().prunable(false)
}

/// Names of the layers around each prunable width, written down by hand as the method has them (section 4.1).
fn expected(architecture: &Architecture) -> Vec<(String, String, usize, usize)> {
    let levels = architecture.levels();
    let mut all = Vec::new();
    for p in 0..levels {
        let name = format!("down.{p}.dual_module");
        all.push((format!("{name}.0.0"), format!("{name}.1"), 1, architecture.n_feats << p));
    }
    for level in 0..levels {
        let channels =
            if level == 0 { architecture.n_feats << levels } else { architecture.n_feats << (levels - level + 1) };
        let blocks = architecture.n_blocks[level];
        for block in 0..blocks {
            let body = format!("up_blocks.{level}.{block}.body");
            all.push((format!("{body}.0"), format!("{body}.2"), 1, channels));
        }
        let name = format!("up_blocks.{level}");
        all.push((format!("{name}.{blocks}.0"), format!("{name}.{}", blocks + 1), 4, channels));
    }
    all
}

#[test]
fn prunable_layers_are_those_of_the_method_in_its_order() {
    for (preset, scale, count) in [(Preset::S, 4, 64), (Preset::S, 8, 96), (Preset::T, 2, 10), (Preset::L, 4, 84)] {
        let architecture = Architecture::preset(preset, scale).unwrap();
        let groups = prunable(&architecture);
        assert_eq!(groups.len(), count);
        let found: Vec<(String, String, usize, usize)> = groups
            .iter()
            .map(|group| {
                assert!(group.producers.len() == 1 && group.consumers.len() == 1 && group.between.is_empty());
                let consumer = group.consumers[0].layer.clone();
                (group.producers[0].layer.clone(), consumer, group.filters, group.width)
            })
            .collect();
        assert_eq!(found, expected(&architecture), "{preset:?} x{scale}");
    }
    let x4 = prunable(&Architecture::preset(Preset::S, 4).unwrap());
    let names: Vec<String> = x4.iter().map(|group| label(&group.name)).collect();
    assert_eq!(
        [&names[0], &names[8], &names[32], &names[63]],
        ["down 1", "level 1 / block 07", "level 1 / up", "level 2 / up"]
    );
}

#[test]
fn streams_are_groups_too_but_left_alone() {
    let graph = Architecture::new(4, 8, 2).unwrap().graph().unwrap();
    let groups = graph.groups();
    let reason = |name: &str| groups.iter().find(|g| g.name == name).unwrap().reason().map(str::to_owned);
    assert!(reason("down.1.dual_module.1").unwrap().contains("stream"));
    assert!(reason("head").is_some() && reason("tail.2").unwrap().contains("picture"));
    assert!(reason("up_blocks.0.0.body.3.conv_du.0").unwrap().contains("statistics"));
    assert!(reason("up_blocks.0.0.body.0").is_none());
    assert!(graph.prunable(true).len() > graph.prunable(false).len());
}

#[test]
fn levels_may_have_different_numbers_of_blocks() {
    let uneven = Architecture::with_blocks(4, 8, vec![3, 1]).unwrap();
    let groups = prunable(&uneven);
    let names: Vec<String> = groups.iter().map(|group| label(&group.name)).collect();
    assert_eq!(names[5..], ["level 1 / up", "level 2 / block 01", "level 2 / up"]);
    assert_eq!(groups[5].producers[0].layer, "up_blocks.0.3.0");
    assert_eq!(groups[7].consumers[0].layer, "up_blocks.1.2");
    assert_eq!(uneven.blocks(), "3+1");
    assert!(Architecture::with_blocks(4, 8, vec![3]).unwrap_err().to_string().contains("blocks of 1 levels"));
}

#[test]
fn a_graph_that_is_cut_is_that_of_the_narrower_numbers() {
    let full = Architecture::new(4, 8, 2).unwrap();
    let widths = vec![3, 5, 7, 32, 11, 31, 1, 13];
    let graph = full.graph().unwrap();
    let kept: Vec<Vec<usize>> = widths.iter().map(|&width| (0..width).collect()).collect();
    let cut = graph.narrowed(&graph.prunable(false), &kept).unwrap();
    assert_eq!(cut, full.with_widths(widths).unwrap().graph().unwrap());
}

#[test]
fn alignment_scale_and_reach_are_derived() {
    for scale in [2, 4, 8] {
        let graph = Architecture::new(scale, 4, 1).unwrap().graph().unwrap();
        assert_eq!((graph.scale(), graph.alignment()), (scale, 1));
        assert!(graph.reach().global && graph.reach().pixels > 4);
    }
}

#[test]
fn files_hold_one_number_of_blocks_or_one_a_level() {
    let even = Architecture::new(4, 8, 2).unwrap();
    let text = serde_json::to_string(&even).unwrap();
    assert!(text.contains(r#""n_blocks":2,"#), "{text}");
    assert_eq!(serde_json::from_str::<Architecture>(&text).unwrap(), even);
    let uneven = Architecture::with_blocks(4, 8, vec![3, 1]).unwrap();
    let text = serde_json::to_string(&uneven).unwrap();
    assert!(text.contains(r#""n_blocks":[3,1]"#), "{text}");
    assert_eq!(serde_json::from_str::<Architecture>(&text).unwrap(), uneven);
    // Scales that do not exist are refused in words, not by a panic.
    for scale in [0, 1, 3, 64] {
        let odd: Architecture =
            serde_json::from_str(&text.replace(r#""scale":4"#, &format!(r#""scale":{scale}"#))).unwrap();
        assert!(odd.validate().is_err());
    }
}

#[test]
fn numbers_that_are_no_network_are_refused() {
    assert!(Architecture::new(3, 16, 4).unwrap_err().to_string().contains("scale 3"));
    assert!(Architecture::new(2, 0, 4).is_err());
    let network = Architecture::new(2, 16, 1).unwrap();
    assert!(network.with_widths(vec![16, 32]).unwrap_err().to_string().contains("2 inner widths"));
    assert!(network.with_widths(vec![16, 0, 32]).is_err());
    assert!(network.with_widths(vec![16, 33, 32]).unwrap_err().to_string().contains("width 33 of 32 for layer 2"));
}
