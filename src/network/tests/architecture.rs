//! Networks in numbers: published counts, units and widths.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualres_network::{Architecture, Preset, UnitKind, cost};

/// Parameters that the published counts include for the mean shift, which is constant here.
const MEAN_SHIFT: u64 = 24;

/// MACs in units of 1e9 as the published counter gives them for a 96x96 input: with the mean shift as 1x1 convolutions
/// at the output resolution before the network and at every level after it.
fn published_giga_macs(architecture: &Architecture) -> f64 {
    let area = |magnification: usize| (96 * 96 * magnification * magnification) as u64;
    let after: u64 = (0..=architecture.levels()).map(|level| area(1 << level)).sum();
    (cost::count(architecture, 96, 96).macs() + 12 * (area(architecture.scale) + after)) as f64 / 1e9
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
        let cost = cost::count(&architecture, 96, 96);
        assert_eq!(cost.parameters() + MEAN_SHIFT, parameters, "{preset:?} x{scale}");
        let ours = published_giga_macs(&architecture);
        assert!((ours - giga_macs).abs() < 0.006, "{preset:?} x{scale}: {ours}");
    }
    // The published code's defaults, which have no published name, at x2.
    let x2 = |feats, blocks| cost::count(&Architecture::new(2, feats, blocks).unwrap(), 96, 96).parameters();
    assert_eq!(x2(16, 30) + MEAN_SHIFT, 606_378);
    assert_eq!(x2(32, 30) + MEAN_SHIFT, 2_414_902);
    assert_eq!(x2(40, 40) + MEAN_SHIFT, 4_932_430);
    assert_eq!(cost::count(&Architecture::preset(Preset::S, 4).unwrap(), 96, 96).dual_parameters, 2 * 864);
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
        let cost = cost::count(&narrowed, 96, 96);
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
        let network = dualres_network::Drn::init(&architecture, 1, &device).unwrap();
        let weights: usize = network.weights().0.values().map(|weight| weight.values.len()).sum();
        assert_eq!(cost::count(&architecture, 10, 10).parameters(), weights as u64);
    }
}

#[test]
fn small_presets_have_widths_in_multiples_of_eight() {
    for scale in [2, 4, 8] {
        let architecture = Architecture::preset(Preset::T, scale).unwrap();
        assert!(architecture.widths.iter().all(|width| width % 8 == 0), "x{scale}: {:?}", architecture.widths);
    }
}

#[test]
fn units_are_those_of_the_method_in_its_order() {
    let units = |scale| Architecture::preset(Preset::S, scale).unwrap().units();
    assert_eq!((units(4).len(), units(8).len()), (64, 96));
    let x4 = units(4);
    assert_eq!((x4[0].kind, x4[0].full_width), (UnitKind::Down { index: 0 }, 16));
    assert_eq!((x4[1].kind, x4[1].full_width), (UnitKind::Down { index: 1 }, 32));
    assert_eq!(x4[8].kind.to_string(), "level 1 / block 07");
    assert_eq!(x4[32].kind.to_string(), "level 1 / up");
    assert_eq!(x4[63].kind.to_string(), "level 2 / up");
    assert!(x4[2..].iter().all(|unit| unit.full_width == 64));
}

#[test]
fn levels_may_have_different_numbers_of_blocks() {
    let uneven = Architecture::with_blocks(4, 8, vec![3, 1]).unwrap();
    let kinds: Vec<String> = uneven.units().iter().map(|unit| unit.kind.to_string()).collect();
    assert_eq!(kinds[5..], ["level 1 / up", "level 2 / block 01", "level 2 / up"]);
    for (index, unit) in uneven.units().iter().enumerate() {
        assert_eq!(uneven.unit_kind(index), unit.kind, "unit {index}");
    }
    assert_eq!(uneven.unit_layers(5).producer, "model.up_blocks.0.3.0");
    assert_eq!(uneven.unit_layers(7).consumer, "model.up_blocks.1.2");
    let weights = dualres_network::Drn::init(&uneven, 1, &burn::tensor::Device::flex()).unwrap().weights();
    let count: usize = weights.0.values().map(|weight| weight.values.len()).sum();
    assert_eq!(cost::count(&uneven, 10, 10).parameters(), count as u64);
    assert_eq!(uneven.blocks(), "3+1");
    assert!(Architecture::with_blocks(4, 8, vec![3]).unwrap_err().to_string().contains("blocks of 1 levels"));
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
    assert!(network.with_widths(vec![16, 33, 32]).unwrap_err().to_string().contains("level 1 / block 01"));
}
