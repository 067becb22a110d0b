//! The Compress tab with the real compression on a tiny network: what a researcher sets, sees and gets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{ops::ControlFlow, path::Path};

use common::{COMMAND, Deeds, NO_KEYS, home_with_tiny_model, slider, tiny, window, write_picture};
use dualres_app::{
    paths::Paths,
    window::{Window, compress::runs::RunState},
};
use dualres_compression::{CompressConfig, Method, RESULT_FILE, Stage, compress, resume};
use dualres_network::{Device, Model, device::ComputeDevice};
use eframe::egui::{Key, accesskit::Role};
use egui_kittest::{Harness, kittest::Queryable};

/// A window on the Compress tab, with the sensitivity profile measured.
fn ready(paths: &Paths) -> Harness<'static, Window> {
    let mut harness = window(paths);
    harness.key(COMMAND, Key::Num2);
    harness.run_steps(5);
    assert!(!harness.state().compress().is_ready(), "nothing is measured unasked");
    if harness.query_by_label("Measure layers").is_some() {
        harness.press("Measure layers");
    }
    harness.await_that("the sensitivity profile", |h| h.state().compress().is_ready());
    harness
}

fn state(harness: &Harness<'static, Window>, name: &str) -> Option<RunState> {
    let mut runs = harness.state().compress().runs().iter();
    runs.find(|run| run.name() == name).map(|run| run.state.clone())
}

fn await_state(harness: &mut Harness<'static, Window>, name: &str, wanted: &RunState) {
    harness.await_that(&format!("{name} to be {wanted:?}"), |h| {
        let now = state(h, name);
        if let Some(RunState::Failed(reason)) = &now {
            panic!("{name} failed: {reason}");
        }
        now.as_ref() == Some(wanted)
    });
    harness.run_steps(3);
}

/// The network that the run in `folder` left, to the last bit. Its file says how many seconds it took as well, which is not
/// the same twice.
fn assert_same(folder: &Path, expected: &Model) {
    let made = Model::read(&folder.join(RESULT_FILE), &Device::flex()).unwrap();
    assert_eq!(made.description.network, expected.description.network);
    assert!(made.weights() == expected.weights(), "the window and the library made different networks");
}

fn page(harness: &mut Harness<'static, Window>, label: &str) {
    harness.press(label);
    harness.run_steps(2);
}

fn stop_after(harness: &mut Harness<'static, Window>, label: &str) {
    harness.get_by_role_and_label(Role::ComboBox, "Stop after a stage").click();
    harness.run_steps(3);
    harness.press(label);
}

#[test]
fn the_slider_shapes_a_network_and_the_picture_follows() {
    let home = tempfile::tempdir().unwrap();
    let mut harness = ready(&home_with_tiny_model(home.path()));
    harness.await_that("pixels", |h| h.state().compress().has_pixels());
    let half: usize = harness.state().compress().widths().iter().sum();
    harness.await_that("numbers of the whole picture", |h| h.state().compress().difference().is_some());
    let before = harness.state().compress().difference().unwrap();

    slider(&harness, "Ratio to remove").set_value_accesskit(20.0);
    harness.run_steps(3);
    let wide: usize = harness.state().compress().widths().iter().sum();
    assert!(wide > half, "{wide} channels with 20 % removed, {half} with 50 %");
    assert!(harness.sees("% of MACs") && harness.sees("Not fine-tuned:"), "costs and the estimate are shown");
    harness.await_that("the picture by the wider network", |h| {
        h.state().compress().difference().is_some_and(|after| after > before)
    });
    harness.await_sight("Worst place 1");
    harness.press("Worst place 1");

    // A layer that is set by hand keeps its width; the slider shares the rest.
    let up = |label: Option<String>| label.is_some_and(|label| label.starts_with("level 1 / block 02: 16 channels"));
    harness.get_by(|node| node.role() == Role::Button && up(node.label())).click();
    harness.run_steps(3);
    slider(&harness, "Width of the marked layer").set_value_accesskit(4.0);
    harness.run_steps(3);
    assert_eq!(harness.state().compress().widths()[2], 4);
    slider(&harness, "Ratio to remove").set_value_accesskit(10.0);
    harness.run_steps(3);
    assert_eq!(harness.state().compress().widths()[2], 4, "it is locked");
    slider(&harness, "Ratio to remove").set_value_accesskit(60.0);
    harness.run_steps(3);
    assert_eq!(harness.state().compress().widths()[2], 4);
    harness.press("Unlock all");
    slider(&harness, "Ratio to remove").set_value_accesskit(10.0);
    harness.run_steps(3);
    assert!(harness.state().compress().widths()[2] > 4, "it follows the slider again");
}

/// A network that PyTorch wrote as ONNX has layers, a slider and runs like ours, and says which layers it must keep.
#[test]
fn a_network_from_onnx_is_shaped_and_compressed() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../network/tests/data/foreign/compact_x2_op17.onnx");
    let mut model = dualres_network::import::read(&file, &Default::default(), &Device::flex()).unwrap();
    model.description = model.description.with_single_dual();
    model.init_duals(3, &Device::flex());
    model.description.name = "tiny".into();
    std::fs::write(paths.models().join("tiny.safetensors"), model.to_bytes()).unwrap();

    let mut harness = ready(&paths);
    harness.await_that("pixels", |h| h.state().compress().has_pixels());
    let half: usize = harness.state().compress().widths().iter().sum();
    slider(&harness, "Ratio to remove").set_value_accesskit(20.0);
    harness.run_steps(3);
    let wide: usize = harness.state().compress().widths().iter().sum();
    assert!(wide > half, "{wide} channels with 20 % removed, {half} with 50 %");
    harness.await_that("numbers of the whole picture", |h| h.state().compress().difference().is_some());
    let label = |label: Option<String>| label.is_some_and(|label| label.contains("not pruned"));
    harness.get_by(|node| label(node.label())).click();
    harness.run_steps(5);

    slider(&harness, "Ratio to remove").set_value_accesskit(50.0);
    harness.run_steps(3);
    harness.key(COMMAND, Key::Enter);
    await_state(&mut harness, "tiny-50-drc", &RunState::Done);
    let run = harness.state().compress().runs().iter().next().unwrap();
    let report = run.report.clone().unwrap();
    assert!(report.kept_macs_ratio <= 0.5 && report.cut_difference < 1e-4, "{report:?}");
}

#[test]
fn a_quick_look_runs_to_the_end_and_its_network_is_used() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let mut harness = ready(&paths);
    harness.await_sight("3 to learn from, 1 to validate on");
    harness.key(COMMAND, Key::Enter);
    await_state(&mut harness, "tiny-50-drc", &RunState::Done);
    harness.await_sight("tiny-50-drc is done");
    let folder = paths.data.join("compress/runs/tiny-50-drc");

    // What the window makes is what the library makes for any other caller.
    let run = harness.state().compress().runs().iter().next().unwrap();
    let report = run.report.clone().unwrap();
    let config: CompressConfig = run.config.clone();
    let again = home.path().join("again");
    let mut on = |_: &dualres_compression::Event<'_>| ControlFlow::Continue(());
    let (model, _) = compress(&config, &tiny(), &ComputeDevice::cpu(), &again, &mut on).unwrap().unwrap();
    assert_same(&folder, &model);
    assert!(report.kept_macs_ratio <= 0.5);

    // Each page, with names for everything on it.
    for label in ["Picture", "Curves", "Runs"] {
        page(&mut harness, label);
        harness.check_accessibility();
    }
    harness.await_that("the time beside the original's", |h| h.sees(" ms, "));
    page(&mut harness, "Picture");
    harness
        .await_that("both networks on the picture", |h| h.state().compress().has_pixels() && h.sees("times as fast"));

    harness.press("Use in Upscale");
    harness.await_sight("tiny-50-drc is in the library");
    assert!(paths.models().join("tiny-50-drc.safetensors").exists());
    assert!(paths.models().join("tiny-50-drc.report.json").exists());
    assert!(harness.sees("Compressed from tiny"));
    // A photographer sees what the smaller network costs on a picture of theirs.
    let photo = home.path().join("photo.png");
    write_picture(&photo, 90, 70);
    harness.drop_files(&[&photo]);
    harness.await_sight("photo.png: waiting");
    harness.key(COMMAND, Key::Enter);
    // Consistency PSNR is beside that of the original network, and so is the time.
    harness.await_sight("dB, was ");
    assert!(harness.sees("times as fast"));
}

#[test]
fn a_run_is_paused_stopped_after_a_stage_and_goes_on_in_another_window() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let mut harness = ready(&paths);
    harness.key(COMMAND, Key::Enter);
    harness.await_that("the run", |h| h.state().compress().runs().running().is_some());
    harness.run_steps(2);
    stop_after(&mut harness, "until searched");
    await_state(&mut harness, "tiny-50-drc", &RunState::Stopped);
    let folder = paths.data.join("compress/runs/tiny-50-drc");
    let history = dualres_compression::History::read(&folder).unwrap().unwrap();
    assert_eq!((history.stage(), history.kept.len()), (Some(Stage::Select), 0), "the search is done, nothing else");
    assert!(history.widths.is_some() && history.alpha.is_some());

    // It goes on past the stage that it was to stop after, is paused, and the window is closed on it.
    harness.press("Resume");
    harness.await_that("the run", |h| h.state().compress().runs().running().is_some());
    harness.run_steps(2);
    harness.press("Pause");
    harness.await_sight("paused");
    let mut app = harness.into_state();
    eframe::App::on_exit(&mut app);
    drop(app);
    assert!(!folder.join(RESULT_FILE).exists());

    let mut harness = window(&paths);
    harness.await_sight("Resuming the run tiny-50-drc");
    let run = harness.state().compress().runs().iter().next().unwrap();
    assert!(run.has_curves(), "the curves go on from where they were");
    await_state(&mut harness, "tiny-50-drc", &RunState::Done);
    // The sliders work as well, though the tab opens on the result of a run.
    harness.key(COMMAND, Key::Num2);
    harness.run_steps(5);
    assert!(!harness.state().compress().is_ready(), "nothing is measured unasked");
    if harness.query_by_label("Measure layers").is_some() {
        harness.press("Measure layers");
    }
    harness.await_that("the sensitivity profile", |h| h.state().compress().is_ready());
    // The same network as without any interruption.
    let config = dualres_compression::History::read(&folder).unwrap().unwrap().config;
    let again = home.path().join("again");
    let mut on = |_: &dualres_compression::Event<'_>| ControlFlow::Continue(());
    let (model, _) = compress(&config, &tiny(), &ComputeDevice::cpu(), &again, &mut on).unwrap().unwrap();
    assert_same(&folder, &model);
}

/// A run of the command line, stopped after its search.
fn foreign_run(folder: &Path, data: &Path) {
    let mut config = CompressConfig::new("from-elsewhere", 0.4).quick();
    config.data = vec![data.to_owned()];
    let mut stop = |event: &dualres_compression::Event<'_>| match event {
        dualres_compression::Event::Stage { stage: Stage::Select, .. } => ControlFlow::Break(()),
        _ => ControlFlow::Continue(()),
    };
    assert!(compress(&config, &tiny(), &ComputeDevice::cpu(), folder, &mut stop).unwrap().is_none());
}

#[test]
fn a_run_folder_from_elsewhere_is_opened_and_gone_on_with() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let data = home.path().join("photos");
    std::fs::create_dir(&data).unwrap();
    for index in 0..5 {
        write_picture(&data.join(format!("{index}.png")), 130 + index, 120);
    }
    let folder = home.path().join("my run");
    foreign_run(&folder, &data);
    let mut harness = ready(&paths);
    harness.drop_files(&[&folder]);
    harness.await_sight("from-elsewhere");
    assert_eq!(state(&harness, "from-elsewhere"), Some(RunState::Stopped));
    harness.run_steps(3);
    harness.press("Resume");
    await_state(&mut harness, "from-elsewhere", &RunState::Done);
    let mut on = |_: &dualres_compression::Event<'_>| ControlFlow::Continue(());
    assert!(resume(&folder, None, &ComputeDevice::cpu(), &mut on).unwrap().is_some(), "finished for everybody");

    // It is remembered, and only taken out of the list when the user says so.
    let mut app = harness.into_state();
    eframe::App::on_exit(&mut app);
    drop(app);
    let mut harness = window(&paths);
    harness.key(COMMAND, Key::Num2);
    harness.await_that("the run", |h| state(h, "from-elsewhere") == Some(RunState::Done));
    page(&mut harness, "Runs");
    harness.get_by_role_and_label(Role::Row, "from-elsewhere").click();
    harness.run_steps(3);
    harness.press("Take out of the list");
    assert_eq!(state(&harness, "from-elsewhere"), None);
    assert!(folder.join(RESULT_FILE).exists());

    // A folder of pictures is what to compress with; a folder of neither is told.
    harness.drop_files(&[&data]);
    harness.await_sight("4 to learn from, 1 to validate on");
    let few = home.path().join("few");
    std::fs::create_dir(&few).unwrap();
    write_picture(&few.join("one.png"), 130, 120);
    harness.drop_files(&[&few]);
    harness.await_sight("at least three pictures");
    harness.key(COMMAND, Key::Enter);
    harness.await_sight("The pictures cannot be used");
    assert!(harness.state().compress().runs().running().is_none());
}

#[test]
fn baselines_run_beside_and_a_run_is_deleted_only_when_the_user_says_so() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let mut harness = ready(&paths);
    harness.get_by_label("Method and details").click();
    harness.run_steps(30);
    // It may lie below what the panel shows.
    harness.get_by_role_and_label(Role::CheckBox, "L1 norm").click_accesskit();
    harness.run_steps(3);
    harness.press("Compress, and 1 baseline");
    await_state(&mut harness, "tiny-50-l1", &RunState::Done);
    assert_eq!(state(&harness, "tiny-50-drc"), Some(RunState::Done));
    page(&mut harness, "Runs");
    for name in ["tiny-50-drc", "tiny-50-l1"] {
        assert!(harness.query_by_role_and_label(Role::Row, name).is_some(), "{name} is in the table");
    }
    harness.get_by_role_and_label(Role::Row, "tiny-50-l1").click();
    harness.run_steps(3);

    let folder = paths.data.join("compress/runs/tiny-50-l1");
    harness.press("Delete the run");
    harness.await_sight("Delete the run tiny-50-l1?");
    harness.press("Keep it");
    assert!(folder.exists());
    harness.press("Delete the run");
    harness.press("Delete");
    harness.await_that("the deletion", |_| !folder.exists());
    assert_eq!(state(&harness, "tiny-50-l1"), None);

    // All curves of what is drawn, as a table.
    harness.get_by_role_and_label(Role::Row, "tiny-50-drc").click();
    harness.run_steps(3);
    page(&mut harness, "Curves");
    harness.press("CSV…");
    harness.await_sight("Path of a file or folder");
    let csv = home.path().join("curves.csv");
    harness.key(COMMAND, Key::A);
    harness.event(eframe::egui::Event::Text(csv.display().to_string()));
    harness.run_steps(2);
    harness.press("OK");
    harness.await_sight(&format!("Exported {}", csv.display()));
    let text = std::fs::read_to_string(csv).unwrap();
    let own = std::fs::read_to_string(paths.data.join("compress/runs/tiny-50-drc/events.csv")).unwrap();
    assert_eq!(text.lines().count(), own.lines().count());
    assert!(text.starts_with("run,stage,step,") && text.contains("\"tiny-50-drc\",finetune,60,"));
    harness.key(NO_KEYS, Key::N);
    harness.await_sight("PSNR against the original");
}

/// A folder that another machine fills: what is there is listed, what comes is found, and seeds are one row.
#[test]
fn a_folder_of_runs_is_watched_and_seeds_are_grouped() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let data = home.path().join("photos");
    std::fs::create_dir(&data).unwrap();
    for index in 0..5 {
        write_picture(&data.join(format!("{index}.png")), 130, 120);
    }
    let grid = home.path().join("grid");
    let run = |seed: u64, method: Method| {
        let name = format!("{method:?}-{seed}");
        let mut config = CompressConfig::new(name.clone(), 0.5).quick();
        (config.data, config.seed, config.method) = (vec![data.clone()], seed, method);
        config.finetune.steps = 0;
        let mut on = |_: &dualres_compression::Event<'_>| ControlFlow::Continue(());
        let report = compress(&config, &tiny(), &ComputeDevice::cpu(), &grid.join(&name), &mut on).unwrap().unwrap().1;
        (name, report.psnr_after)
    };
    let there = [run(1, Method::Random), run(1, Method::L1)];
    let mut harness = ready(&paths);
    harness.drop_files(&[&grid]);
    for (name, _) in &there {
        harness.await_that(name, |h| state(h, name) == Some(RunState::Done));
    }
    let later = [run(2, Method::Random), run(2, Method::L1)];
    for (name, _) in &later {
        harness.await_that(name, |h| state(h, name) == Some(RunState::Done));
    }
    harness.run_steps(3);
    harness.get_by_role_and_label(Role::CheckBox, "Group by settings").click();
    harness.run_steps(3);
    let mean = (there[0].1 + later[0].1) / 2.0;
    let deviation = (there[0].1 - later[0].1).abs() / 2.0_f64.sqrt();
    assert!(harness.sees(&format!("{mean:.2} ± {deviation:.2}")), "{mean} {deviation}");
    assert!(harness.sees("Differences in PSNR at the same seeds") && harness.sees("2 seeds"));
    // The folder is remembered: what comes while the window is closed is there when it opens.
    let mut app = harness.into_state();
    eframe::App::on_exit(&mut app);
    drop(app);
    let (third, _) = run(3, Method::L1);
    let mut harness = window(&paths);
    harness.key(COMMAND, Key::Num2);
    harness.await_that(&third, |h| state(h, &third) == Some(RunState::Done));
}
