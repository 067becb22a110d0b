//! The whole path on a small network: budgets, tables, methods, resuming, refusals.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{config, network, pictures, run, warnings_of, whole, widths, write_picture};
use dualres_compression::{
    CONFIG_FILE, CompressConfig, CompressionError, EVENTS_FILE, Event, Layers, Method, Mode, RESULT_FILE, Row, Stage,
    WIDTHS_FILE, parse_widths, resume, uniform_widths,
};
use dualres_network::{Model, device::ComputeDevice, families::label};

#[test]
fn every_ratio_meets_its_budget_and_the_network_has_the_widths_of_its_table() {
    let data = pictures(5);
    let model = network(4);
    for mode in [Mode::Paper, Mode::Budget] {
        let full = &CompressConfig { mode, ..config(&data.path, 0.5) }.layers(&model.description);
        for ratio in [0.3, 0.5, 0.7] {
            let folder = tempfile::tempdir().unwrap();
            let mut config = CompressConfig { mode, ..config(&data.path, ratio) };
            config.finetune.steps = 0;
            let mut chosen = vec![0; full.widths.len()];
            let (small, report) = run(&config, &model, folder.path(), |event| {
                if let Event::Unit { unit, kept, .. } = event {
                    chosen[*unit] = kept.len();
                    assert!(kept.is_sorted_by(|a, b| a < b), "no channel twice");
                }
                false
            })
            .unwrap()
            .unwrap();
            for layer in small.description.layer_widths() {
                let row = report.width_table.iter().find(|row| row.unit == label(&layer.name));
                assert_eq!(row.map(|row| (row.width, row.full)), Some((layer.now, layer.before)), "{layer:?}");
            }
            assert_eq!(chosen, widths(&report), "as many channels as the table says");
            let text = std::fs::read_to_string(folder.path().join(WIDTHS_FILE)).unwrap();
            assert_eq!(parse_widths(&text, full).unwrap(), widths(&report));
            match mode {
                Mode::Budget => assert!(report.kept_macs_ratio <= 1.0 - ratio, "{}", report.kept_macs_ratio),
                // To the nearest multiple of 4 (half of it down), and units of 4 channels stay.
                Mode::Paper => {
                    for (row, &full) in report.width_table.iter().zip(&full.widths) {
                        let most = ((1.0 - ratio) * full as f64 + 1.0).max(4.0);
                        assert!(row.width as f64 <= most && row.width % 4 == 0, "{row:?} at {ratio}");
                    }
                }
            }
            assert!(report.params_after < report.params_before && report.bytes_after < report.bytes_before);
            let cost = small.description.network.cost(96, 96);
            assert_eq!(cost, small.description.network.executed_cost(96, 96), "written as it is run");
            assert_eq!((cost.macs(), cost.parameters()), (report.macs_after, report.params_after));
            assert!(report.cut_difference <= 1e-4);
        }
    }
}

#[test]
fn every_method_comes_to_its_end_with_the_same_fine_tuning() {
    let data = pictures(5);
    let model = network(2);
    let full = &Layers::of(&model.description.network, false);
    for method in
        [Method::Uniform, Method::Random, Method::L1, Method::Thinet, Method::Dcp, Method::Profile, Method::Drc]
    {
        let folder = tempfile::tempdir().unwrap();
        let mode = if method == Method::Profile { Mode::Budget } else { Mode::Paper };
        let config = CompressConfig { method, mode, ..config(&data.path, 0.5) };
        let mut steps = 0;
        let (small, report) = run(&config, &model, folder.path(), |event| {
            steps += usize::from(matches!(event, Event::Step(p) if p.stage == Stage::Finetune && p.losses.is_some()));
            false
        })
        .unwrap()
        .unwrap();
        assert_eq!(steps, 6, "{method:?}");
        if !matches!(method, Method::Drc | Method::Profile) {
            assert_eq!(widths(&report), uniform_widths(full, 0.5), "{method:?}");
        }
        assert!(report.psnr_after.is_finite() && report.psnr_cut.is_finite(), "{method:?}");
        assert!(report.finetuned != (report.psnr_after == report.psnr_cut), "{method:?}");
        assert_eq!(report.alpha_entropy.is_some(), method == Method::Drc);
        // What is on disk is what was returned, and a program finds everything it needs in it.
        let stored = Model::read(&folder.path().join(RESULT_FILE), &burn::tensor::Device::flex()).unwrap();
        assert_eq!(stored.weights(), small.weights());
        assert_eq!(stored.description.name, "small");
        assert!(stored.description.training["compression"]["method"].is_string());
    }
}

fn curves(folder: &std::path::Path) -> Vec<Row> {
    let reader = csv::Reader::from_path(folder.join(EVENTS_FILE)).unwrap();
    reader.into_deserialize().map(|row| Row { seconds: 0.0, ..row.unwrap() }).collect()
}

/// Stopped again and again, in every stage, a run ends with the same network and the same curves.
#[test]
fn a_resumed_run_equals_an_uninterrupted_one() {
    let data = pictures(5);
    let model = network(2);
    let folder = tempfile::tempdir().unwrap();
    let (through, pieces) = (folder.path().join("through"), folder.path().join("pieces"));
    let config = CompressConfig { mode: Mode::Budget, ..config(&data.path, 0.5) };
    let (expected, report) = whole(&config, &model, &through);
    let mut stops = 0;
    // At validations and between them.
    for (stage, step) in [
        (Stage::Profile, 2),
        (Stage::Search, 3),
        (Stage::Search, 5),
        (Stage::Select, 2),
        (Stage::Cut, 2),
        (Stage::Finetune, 3),
        (Stage::Finetune, 4),
    ] {
        let stopped = run(&config, &model, &pieces, |event| {
            let losses =
                matches!(stage, Stage::Cut | Stage::Select) || !matches!(event, Event::Step(p) if p.losses.is_none());
            let now = losses && matches!(event, Event::Step(p) if p.stage == stage && p.step == step);
            stops += usize::from(now);
            now
        });
        assert!(stopped.unwrap().is_none(), "{stage:?} {step}");
    }
    assert_eq!(stops, 7);
    let device = ComputeDevice::cpu();
    let (resumed, again) =
        resume(&pieces, None, &device, &mut |_| std::ops::ControlFlow::Continue(())).unwrap().unwrap();
    assert_eq!(resumed.weights(), expected.weights());
    assert_eq!(widths(&again), widths(&report));
    assert_eq!((again.psnr_after, again.kept_macs_ratio), (report.psnr_after, report.kept_macs_ratio));
    for (found, expected) in curves(&pieces).iter().zip(&curves(&through)) {
        assert_eq!(found, expected);
    }
    assert_eq!(curves(&pieces).len(), curves(&through).len());
    // A finished run is not done again.
    let mut events = 0;
    let (same, _) = run(&config, &model, &pieces, |_| {
        events += 1;
        false
    })
    .unwrap()
    .unwrap();
    assert_eq!((events, same.weights()), (0, expected.weights()));
}

#[test]
fn the_same_seed_gives_the_same_table_and_another_weight_of_the_dual_loss_another_search() {
    let data = pictures(5);
    let model = network(2);
    let probabilities = |lambda: f64, seed: u64| {
        let folder = tempfile::tempdir().unwrap();
        let mut config = CompressConfig { seed, ..config(&data.path, 0.3) };
        config.search.lambda = lambda;
        let mut last = Vec::new();
        run(&config, &model, folder.path(), |event| {
            if let Event::Alpha { probabilities, .. } = event {
                last = probabilities.concat();
            }
            matches!(event, Event::Widths(_))
        })
        .unwrap();
        last
    };
    let first = probabilities(0.1, 1);
    assert!(!first.is_empty());
    assert_eq!(first, probabilities(0.1, 1));
    assert_ne!(first, probabilities(0.1, 2));
    assert_ne!(first, probabilities(0.0, 1));
}

#[test]
fn second_order_search_and_fresh_patches_come_to_their_end() {
    let data = pictures(5);
    let model = network(2);
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(&data.path, 0.5);
    config.search.second_order = true;
    config.search.steps = 2;
    config.selection.fresh_patches = true;
    config.selection.channels_per_step = 4;
    config.finetune.steps = 0;
    let (_, report) = whole(&config, &model, folder.path());
    assert!(report.kept_macs_ratio < 0.85, "{}", report.kept_macs_ratio);
}

#[test]
fn a_width_table_from_elsewhere_is_followed() {
    let data = pictures(5);
    let model = network(2);
    let folder = tempfile::tempdir().unwrap();
    let wanted = vec![4, 8, 3, 16];
    let mut config = CompressConfig { widths: Some(wanted.clone()), ..config(&data.path, 0.5) };
    config.finetune.steps = 0;
    let (_, report) = whole(&config, &model, folder.path());
    assert_eq!(widths(&report), wanted);

    let full = &Layers::of(&model.description.network, false);
    for (text, what) in [("4\n8\n", "2 widths for 4 layers"), ("4\n8\nx\n16", "no number"), ("4\n8\n17\n16", "of 16")] {
        let message = parse_widths(text, full).unwrap_err().to_string();
        assert!(message.contains(what), "{message}");
    }
}

#[test]
fn what_cannot_be_done_is_refused_with_a_reason() {
    let data = pictures(5);
    let model = network(2);
    let folder = tempfile::tempdir().unwrap();
    let fails = |config: &CompressConfig, model: &Model, part: &str| {
        run(config, model, &folder.path().join(part), |_| false).unwrap_err().to_string()
    };
    for ratio in [0.0, 1.0, -0.3, f64::NAN] {
        assert!(fails(&config(&data.path, ratio), &model, "ratio").contains("between 0 and 1"));
    }
    let impossible = CompressConfig { mode: Mode::Budget, method: Method::Uniform, ..config(&data.path, 0.97) };
    assert!(fails(&impossible, &model, "budget").contains("choose a smaller ratio"));
    let same = Layers::of(&model.description.network, false).widths;
    let nothing = CompressConfig { widths: Some(same), ..config(&data.path, 0.5) };
    assert!(fails(&nothing, &model, "same").contains("did not become smaller"));
    let mut teacher = config(&data.path, 0.5);
    let path = folder.path().join("absent.safetensors");
    teacher.finetune.distillation =
        Some(dualres_training::Distillation { teacher: path, weight: 1.0, level: Default::default() });
    assert!(fails(&teacher, &model, "teacher").contains("absent.safetensors"));
    let small = CompressConfig { validation_crop: Some(8), ..config(&data.path, 0.5) };
    assert!(fails(&small, &model, "crop").contains("pixels a side"));
    let single = model.clone().without_duals();
    assert!(fails(&config(&data.path, 0.5), &single, "dual").contains("no dual models"));
    assert!(!folder.path().join("dual").join(CONFIG_FILE).exists(), "nothing is begun that cannot be ended");
    let few = pictures(2);
    assert!(fails(&config(&few.path, 0.5), &model, "few").contains("at least three"));
    let error = resume(folder.path(), None, &ComputeDevice::cpu(), &mut |_| std::ops::ControlFlow::Continue(()));
    assert!(error.unwrap_err().to_string().contains("no compression"));
}

#[test]
fn a_folder_with_another_run_is_not_touched() {
    let data = pictures(5);
    let model = network(2);
    let folder = tempfile::tempdir().unwrap();
    let first = config(&data.path, 0.5);
    let stop = |event: &Event| matches!(event, Event::Stage { stage: Stage::Select, .. });
    assert!(run(&first, &model, folder.path(), stop).unwrap().is_none());
    let before = std::fs::read(folder.path().join(CONFIG_FILE)).unwrap();

    let mut other = first.clone();
    other.selection.gamma = 2.0;
    let error = run(&other, &model, folder.path(), |_| false).unwrap_err().to_string();
    assert!(error.contains("selection.gamma: 1.0 there, 2.0 here"), "{error}");
    let error = run(&first, &network(4), folder.path(), |_| false).unwrap_err().to_string();
    assert!(error.contains("another network"), "{error}");
    write_picture(&data.path.join("0.png"), 9);
    let error = run(&first, &model, folder.path(), |_| false).unwrap_err();
    assert!(matches!(error, CompressionError::OtherData { .. }), "{error}");
    assert_eq!(std::fs::read(folder.path().join(CONFIG_FILE)).unwrap(), before);
}

/// A picture whose header is whole and whose rest is not is left out, in the run and when it goes on.
#[test]
fn a_picture_cut_short_does_not_break_a_run() {
    let data = pictures(5);
    let whole_file = std::fs::read(data.path.join("1.png")).unwrap();
    std::fs::write(data.path.join("short.png"), &whole_file[..whole_file.len() / 2]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let config = CompressConfig { method: Method::L1, ..config(&data.path, 0.5) };
    let stop = |event: &Event| matches!(event, Event::Stage { stage: Stage::Cut, .. });
    assert!(run(&config, &network(2), folder.path(), stop).unwrap().is_none());
    let warnings = warnings_of(&config, &network(2), folder.path());
    assert!(warnings.iter().any(|text| text.contains("short.png")), "{warnings:?}");
}

/// A run whose folder was moved goes on, also in fine-tuning.
#[test]
fn a_run_goes_on_from_another_place() {
    let data = pictures(5);
    let model = network(2);
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("first"), folder.path().join("second"));
    let config = CompressConfig { method: Method::L1, ..config(&data.path, 0.5) };
    let stop = |event: &Event| matches!(event, Event::Step(p) if p.stage == Stage::Finetune && p.step == 4);
    assert!(run(&config, &model, &first, stop).unwrap().is_none());
    std::fs::rename(&first, &second).unwrap();
    let go_on = &mut |_: &Event| std::ops::ControlFlow::Continue(());
    let (_, report) = resume(&second, None, &ComputeDevice::cpu(), go_on).unwrap().unwrap();
    let (_, expected) = whole(&config, &model, &folder.path().join("third"));
    assert_eq!(report.psnr_after, expected.psnr_after);
}

#[test]
fn without_dual_loss_in_fine_tuning_the_result_keeps_its_dual_models() {
    let data = pictures(5);
    let folder = tempfile::tempdir().unwrap();
    let mut config = CompressConfig { method: Method::L1, ..config(&data.path, 0.5) };
    config.finetune.lambda = 0.0;
    let (small, report) = whole(&config, &network(2), folder.path());
    assert!(!small.duals.is_empty() && report.loop_psnr_after.is_some());
}

#[test]
fn two_programs_do_not_work_on_one_run() {
    let data = pictures(5);
    let model = network(2);
    let folder = tempfile::tempdir().unwrap();
    let config = config(&data.path, 0.5);
    let mut refused = 0;
    let ended = run(&config, &model, folder.path(), |event| {
        if matches!(event, Event::Stage { .. }) {
            let error = run(&config, &model, folder.path(), |_| false).unwrap_err();
            assert!(matches!(error, CompressionError::Busy { .. }), "{error}");
            refused += 1;
        }
        refused > 0
    });
    assert!(ended.unwrap().is_none() && refused == 1);
    std::fs::write(folder.path().join(".dualres-xyz.tmp"), b"half").unwrap();
    whole(&config, &model, folder.path());
    assert!(!folder.path().join(".dualres-xyz.tmp").exists());
}

#[test]
fn unusable_pictures_are_named_and_the_rest_is_used() {
    let data = pictures(5);
    std::fs::write(data.path.join("broken.png"), b"no picture").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let mut config = CompressConfig { method: Method::L1, ..config(&data.path, 0.5) };
    config.finetune.steps = 0;
    let warnings = warnings_of(&config, &network(2), folder.path());
    assert!(warnings.iter().any(|text| text.contains("broken.png")), "{warnings:?}");
}

/// Fine-tuning whose numbers explode takes nothing away: the network as it was cut is the result, and stays it.
#[test]
fn a_fine_tuning_that_diverges_leaves_the_network_as_cut() {
    let data = pictures(5);
    let folder = tempfile::tempdir().unwrap();
    let mut config = CompressConfig { method: Method::L1, ..config(&data.path, 0.5) };
    config.finetune.lr = 1e30;
    for session in ["first", "second"] {
        let mut warnings = Vec::new();
        let finished = run(&config, &network(2), folder.path(), |event| {
            if let Event::Warning(text) = event {
                warnings.push(text.clone());
            }
            false
        });
        let (model, report) = finished.unwrap().unwrap();
        assert!(!report.finetuned && report.psnr_after == report.psnr_cut, "{session}");
        assert!(report.psnr_cut.is_finite());
        let told = warnings.iter().filter(|text| text.contains("diverged") && text.contains("keeping")).count();
        assert!(session == "second" || told == 1, "{warnings:?}");
        assert!(!warnings.iter().any(|text| text.contains(".png")), "no picture is to blame: {warnings:?}");
        assert_eq!(std::fs::read(folder.path().join(RESULT_FILE)).unwrap(), model.to_bytes());
    }
}

/// Layers that feed one convolution together, and streams: every method chooses among them, and what is left is the network
/// it says.
#[test]
fn dense_blocks_and_streams_come_to_their_end() {
    let data = pictures(5);
    let device = burn::tensor::Device::flex();
    for name in ["esrgan_new_x4.pth", "rlfn_x4.pth", "carn_x3.pth"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../network/tests/data/foreign").join(name);
        let mut model = dualres_network::import::read(&path, &Default::default(), &device).unwrap();
        model.description = model.description.with_single_dual();
        model.init_duals(4, &device);
        for (method, streams) in [
            (Method::Drc, false),
            (Method::Uniform, true),
            (Method::Thinet, false),
            (Method::Dcp, true),
            (Method::Profile, true),
        ] {
            let folder = tempfile::tempdir().unwrap();
            let mut config = CompressConfig { method, streams, mode: Mode::Budget, ..config(&data.path, 0.15) };
            config.finetune.steps = 0;
            config.search.steps = 2;
            for patch in [
                &mut config.search.patch,
                &mut config.selection.patch,
                &mut config.profile.patch,
                &mut config.finetune.patch,
            ] {
                *patch = 16;
            }
            config.selection.channels_per_step = 16;
            let finished = run(&config, &model, folder.path(), |_| false);
            let (_, report) = finished.unwrap_or_else(|error| panic!("{name}, {method:?}: {error}")).unwrap();
            assert!(report.cut_difference < 1e-4 && report.kept_macs_ratio <= 0.85 + 1e-9, "{name}, {method:?}");
        }
    }
}

/// The profile that a run keeps tells that streams were among its layers.
#[test]
fn a_run_with_streams_goes_on() {
    let data = pictures(5);
    let model = network(2);
    let folder = tempfile::tempdir().unwrap();
    let (through, pieces) = (folder.path().join("through"), folder.path().join("pieces"));
    let config =
        CompressConfig { method: Method::Profile, mode: Mode::Budget, streams: true, ..config(&data.path, 0.3) };
    let (expected, _) = whole(&config, &model, &through);
    let stop = |event: &Event| matches!(event, Event::Stage { stage: Stage::Cut, .. });
    assert!(run(&config, &model, &pieces, stop).unwrap().is_none());
    let (resumed, _) = whole(&config, &model, &pieces);
    assert_eq!(resumed.weights(), expected.weights());
    assert!(resumed.weights() != model.weights());
}

/// A run that was cut to the channels of the profile, because they were better than those it had selected, says so for good.
#[test]
fn the_channels_that_were_kept_are_those_a_folder_tells() {
    let data = pictures(5);
    let mut replaced = 0;
    for seed in 1..6 {
        let folder = tempfile::tempdir().unwrap();
        let mut config = CompressConfig { mode: Mode::Budget, method: Method::Drc, seed, ..config(&data.path, 0.5) };
        config.finetune.steps = 0;
        let mut kept = std::collections::BTreeMap::new();
        run(&config, &network(2), folder.path(), |event| {
            match event {
                Event::Unit { unit, kept: channels, .. } => drop(kept.insert(*unit, channels.to_vec())),
                Event::Warning(text) => replaced += usize::from(text.contains("keeping those")),
                _ => {}
            }
            false
        })
        .unwrap();
        let told = dualres_compression::History::read(folder.path()).unwrap().unwrap();
        assert_eq!(told.kept, kept.into_values().collect::<Vec<_>>(), "seed {seed}");
        assert_eq!(told.scores.len(), told.kept.len());
    }
    assert!(replaced > 0, "no seed shows it");
}
