//! Runs as their folders tell them, and widths bound to more than a budget.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::Path;

use common::{config, network, pictures, profile_of, run, whole};
use dualres_compression::{Constraints, Event, History, Layers, Method, Mode, Profile, RESULT_FILE, Stage, remove_run};
fn share(full: &Layers, widths: &[usize]) -> f64 {
    full.cost(widths).0 / full.cost(&full.widths).0
}

fn profile(folder: &Path) -> Profile {
    let data = pictures(5);
    let mut config = config(&data.path, 0.5);
    (config.mode, config.method) = (Mode::Budget, Method::Profile);
    profile_of(&config, &network(2), folder)
}

#[test]
fn widths_keep_to_what_they_are_bound_to() {
    let folder = tempfile::tempdir().unwrap();
    let profile = profile(folder.path());
    let full = profile.layers.clone();
    let units = full.widths.len();
    let free = Constraints::default();
    for ratio in [0.1, 0.2, 0.3] {
        let found = profile.widths_within(ratio, 0.1, &free).unwrap();
        assert!(share(&full, &found) <= 1.0 - ratio + 1e-9, "{ratio}");
        let mut fixed = vec![None; units];
        fixed[1] = Some(5);
        let held = vec![true; units];
        let bound = Constraints { fixed, least: vec![3; units], held, multiple: 4 };
        let found = profile.widths_within(ratio, 0.1, &bound).unwrap();
        assert!(share(&full, &found) <= 1.0 - ratio + 1e-9, "{ratio}");
        for (unit, &width) in found.iter().enumerate() {
            if unit == 1 {
                assert_eq!(width, 5, "a locked unit");
            } else {
                assert!(width >= 3 && (width.is_multiple_of(4) || width == full.widths[unit]), "{width} of {unit}");
            }
        }
    }
    // With nothing to share, what was asked for cannot be had, and the narrowest is the answer.
    let all = Constraints { fixed: full.widths.iter().map(|&width| Some(width)).collect(), ..Constraints::default() };
    assert!(profile.widths_within(0.3, 0.1, &all).is_err());
    assert_eq!(profile.narrowest(&all), full.widths);
    let held = Constraints { least: vec![2; units], held: vec![true; units], ..free.clone() };
    assert_eq!(profile.narrowest(&held), vec![2; units]);
    // A minimum is one of what stays: blocks go all the same, and one that is to go does, however little it saves.
    let minimum = Constraints { least: vec![2; units], ..free };
    let smallest = profile.narrowest(&minimum);
    assert!(smallest.iter().all(|&width| width == 0 || width == 2) && smallest.contains(&0), "{smallest:?}");
    if let Some(block) = full.blocks.first() {
        let fixed = (0..units).map(|layer| block.layers.contains(&layer).then_some(0)).collect();
        let widths = profile.widths_within(0.01, 0.1, &Constraints { fixed, ..Constraints::default() }).unwrap();
        assert!(block.layers.iter().all(|&layer| widths[layer] == 0), "{widths:?}");
    }
}

#[test]
fn a_folder_tells_how_far_its_run_is() {
    let data = pictures(5);
    let model = network(2);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run");
    assert!(History::read(&path).unwrap().is_none(), "there is no run yet");
    let config = config(&data.path, 0.5);
    let units = Layers::of(&model.description.network, false).len();
    let until = |stage: Stage, step: usize| {
        let stopped =
            run(&config, &model, &path, |event| matches!(event, Event::Step(p) if p.stage == stage && p.step == step));
        assert!(stopped.unwrap().is_none());
        History::read(&path).unwrap().unwrap()
    };
    let search = until(Stage::Search, 2);
    assert_eq!((search.stage(), search.widths.is_some(), search.is_cut), (Some(Stage::Search), false, false));
    let alpha = search.alpha.unwrap();
    assert_eq!(alpha.candidates.len(), units);
    for (widths, probabilities) in alpha.candidates.iter().zip(&alpha.probabilities) {
        assert_eq!(widths.len(), probabilities.len());
        assert!((probabilities.iter().sum::<f64>() - 1.0).abs() < 1e-6);
    }
    let select = until(Stage::Select, 2);
    assert_eq!((select.stage(), select.kept.len(), select.scores.len()), (Some(Stage::Select), 2, 2));
    let widths = select.widths.unwrap();
    assert_eq!(select.kept.iter().map(Vec::len).collect::<Vec<_>>(), widths[..2]);
    let finetune = until(Stage::Finetune, 1);
    assert_eq!((finetune.stage(), finetune.kept.len(), finetune.is_cut), (Some(Stage::Finetune), units, true));
    let (_, report) = whole(&config, &model, &path);
    let done = History::read(&path).unwrap().unwrap();
    // As it is written and read: the last digit of a number may be another one afterwards.
    let report: dualres_compression::Report =
        serde_json::from_str(&serde_json::to_string_pretty(&report).unwrap()).unwrap();
    assert_eq!((done.stage(), done.report.as_ref()), (None, Some(&report)));
    assert_eq!((done.config.clone(), done.original.name.as_str()), (config, "tiny"));
    assert!(done.seconds() > 0.0);

    // Half a state is told, not shown as something else.
    std::fs::write(path.join("decision.json"), "{\"widths\": [").unwrap();
    let error = History::read(&path).unwrap_err().to_string();
    assert!(error.contains("decision.json"), "{error}");
}

#[test]
fn a_run_is_deleted_and_what_is_not_its_own_stays() {
    let data = pictures(5);
    let folder = tempfile::tempdir().unwrap();
    let [path, other] = ["run", "other"].map(|name| folder.path().join(name));
    for path in [&path, &other] {
        let mut config = config(&data.path, 0.5);
        config.method = Method::L1;
        whole(&config, &network(2), path);
    }
    let notes = other.join("notes.txt");
    std::fs::write(&notes, "mine").unwrap();
    remove_run(&path).unwrap();
    assert!(!path.exists());
    remove_run(&other).unwrap();
    let left: Vec<_> = std::fs::read_dir(&other).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(left, [notes]);
    assert!(!other.join(RESULT_FILE).exists() && History::read(&other).unwrap().is_none());

    // Not under the hands of a program that is at work on it.
    let mut config = config(&data.path, 0.5);
    config.method = Method::L1;
    let refused = run(&config, &network(2), &path, |event| {
        if matches!(event, Event::Stage { stage: Stage::Cut, .. }) {
            assert!(remove_run(&path).is_err());
        }
        false
    });
    assert!(refused.unwrap().is_some());
}
