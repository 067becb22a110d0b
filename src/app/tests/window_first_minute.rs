//! The first minute: a photo is opened, seen enlarged at once by the model that fits it, run, and judged in words.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{COMMAND, Deeds, NO_KEYS, home_with_tiny_model, window};
use dualres_app::{paths::Paths, window::queue::State};
use dualres_imaging::{EncodeOptions, Subsampling};
use eframe::egui::{Event, Key};
use egui_kittest::kittest::Queryable;

#[test]
fn photos_are_previewed_at_once_and_run_by_the_models_that_fit_them() {
    let home = tempfile::tempdir().unwrap();
    let photo = dualres_imaging::read(&common::project("assets/samples/chelsea.png")).unwrap().crop(100, 80, 96, 80);
    let [clean, phone] = ["clean.png", "phone.jpg"].map(|name| home.path().join(name));
    dualres_imaging::write(&clean, &photo, EncodeOptions::default()).unwrap();
    let compressed = EncodeOptions { quality: 60, subsampling: Subsampling::Half, ..EncodeOptions::default() };
    dualres_imaging::write(&phone, &photo, compressed).unwrap();

    let mut harness = window(&Paths::under(home.path()));
    harness.drop_files(&[&clean]);
    harness.await_sight("x2: little noise and compression.");
    harness.await_sight("Original and preview");
    assert!(harness.sees("192 × 160 pixels, 1.6 × 1.4 cm at 300 dpi"));
    let waits = |h: &egui_kittest::Harness<'static, dualres_app::window::Window>| {
        h.state().queue().items().iter().all(|item| matches!(item.state, State::Waiting))
    };
    assert!(waits(&harness), "a preview is no run");
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().flatten().filter(|e| e.path().is_file()).count(),
        2,
        "nor saved"
    );

    harness.drop_files(&[&phone]);
    harness.await_that("two pictures", |h| h.state().queue().items().len() == 2);
    harness.press("Upscale 2 pictures");
    let done = |h: &mut egui_kittest::Harness<'static, dualres_app::window::Window>| {
        h.state().queue().items().iter().all(|item| matches!(item.state, State::Done(_)))
    };
    harness.await_that("two results", done);
    assert!(home.path().join("clean_x2.png").exists() && home.path().join("phone_photo-x2.jpg").exists());
    harness.run_steps(3);
    assert!(harness.sees("True to the original") || harness.sees("Noise removed"));

    // A kind that is chosen holds for all pictures, and the scale keeps it.
    harness.press("Photo");
    harness.press("4×");
    assert!(harness.sees("photo-x4 (4×)"));
    // What it would make of the finished picture is shown in place of the result, until that is asked for again.
    harness.await_sight("Original and preview");
    harness.press("Show the result");
    harness.await_sight("Original and result");
    harness.press("Clean");
    harness.await_sight("Original and preview");
    assert!(harness.sees("x4 (4×)") && !harness.sees("photo-x4 (4×)"));
    harness.press("Automatic");
    harness.press("2×");
    harness.await_sight("photo-x2: JPEG compression (quality 60).");
    harness.await_sight("Original and result");
    let files = std::fs::read_dir(home.path()).unwrap().flatten().filter(|e| e.path().is_file()).count();
    assert_eq!(files, 4, "a preview changes and saves nothing");
}

/// The window with a photo that was brought by its name, and nothing but keys.
#[test]
fn the_first_minute_goes_by_the_keyboard_alone() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let path = home.path().join("photo.png");
    common::write_picture(&path, 60, 44);
    let mut harness = window(&paths);
    harness.key(COMMAND, Key::L);
    harness.event(Event::Text(path.display().to_string()));
    harness.run_steps(2);
    harness.key(NO_KEYS, Key::Enter);
    harness.await_sight("photo.png: waiting");
    harness.key(NO_KEYS, Key::Num2);
    // There is nothing to preview before the picture has been read.
    harness.await_sight("Original and result");
    harness.key(NO_KEYS, Key::P);
    harness.await_sight("Original and preview");
    harness.key(COMMAND, Key::Enter);
    harness.await_that("the result", |h| matches!(h.state().queue().items()[0].state, State::Done(_)));
    for (key, sight) in
        [(Key::Num1, "Reconstruction"), (Key::Num4, "Difference between"), (Key::Num5, "changed more than noise")]
    {
        harness.key(NO_KEYS, key);
        harness.await_sight(sight);
    }
    // Every control can be reached by Tab, and what has the keyboard has a name.
    let mut reached = std::collections::BTreeSet::new();
    for _ in 0..80 {
        harness.key(NO_KEYS, Key::Tab);
        let focused = harness.query_all_by(|node| node.is_focused()).next();
        let Some(focused) = focused else { continue };
        let node = egui_kittest::kittest::NodeT::accesskit_node(&focused);
        let name = node.label().or_else(|| node.value()).unwrap_or_default();
        assert!(!name.is_empty(), "{:?} has the keyboard and no name", node.role());
        reached.insert(name);
    }
    for name in ["Upscale again", "Fidelity", "Save as…", "Format", "Automatic"] {
        assert!(reached.iter().any(|there| there == name), "{name} is not reached: {reached:?}");
    }
}

/// Models are compared on what is visible, at once, and chosen with one click; nothing is saved.
#[test]
fn models_are_compared_on_a_part_and_one_is_chosen() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    std::fs::write(paths.models().join("other.safetensors"), common::tiny_of_seed(8).to_bytes()).unwrap();
    let path = home.path().join("photo.png");
    common::write_picture(&path, 500, 400);
    let mut harness = window(&paths);
    harness.key(NO_KEYS, Key::C);
    harness.await_sight("Select a picture to compare models on.");
    // The message would lie over the panes.
    harness.key(NO_KEYS, Key::Escape);
    harness.drop_files(&[&path]);
    harness.await_sight("photo.png: waiting");
    harness.await_sight("Reconstruction");
    harness.press("Compare models");
    harness.await_sight("Models compared on this part; nothing is saved");
    // The chosen one and one of the built-in kinds, each with what it made.
    let made = |h: &egui_kittest::Harness<'static, dualres_app::window::Window>, model: &str| {
        h.query_all_by_label_contains(&format!("{model}: ")).any(|node| {
            let label = egui_kittest::kittest::NodeT::accesskit_node(&node).label().unwrap_or_default();
            label.contains(" dB), ")
        })
    };
    harness.await_that("the chosen model's", |h| made(h, "tiny"));
    harness.await_that("the photo model's", |h| made(h, "photo-x2"));
    harness.check_accessibility();
    // Others, up to four, and in another's place.
    harness.press("Add a model");
    harness.await_that("a third", |h| made(h, "x2"));
    harness.press("Add a model");
    let add = harness.get_by_role_and_label(eframe::egui::accesskit::Role::Button, "Add a model");
    assert!(egui_kittest::kittest::NodeT::accesskit_node(&add).is_disabled(), "four are enough");
    harness.press("Leave photo-x2 out");
    assert!(harness.query_by_label("Use photo-x2").is_none() && harness.query_by_label("Use x2").is_some());
    harness.get_by_label("Model 3 of the comparison").click();
    harness.run_steps(3);
    harness.get_by_label("other").click();
    harness.await_that("the other one", |h| made(h, "other"));
    // Without a choice all stays as it was.
    harness.key(NO_KEYS, Key::Escape);
    assert!(!harness.sees("Models compared"));
    assert!(harness.sees("tiny (2×)"));
    harness.key(NO_KEYS, Key::C);
    harness.await_sight("Use photo-x2");
    harness.press("Use photo-x2");
    assert!(!harness.sees("Models compared") && harness.sees("photo-x2 (2×)"));
    let files = std::fs::read_dir(home.path()).unwrap().flatten().filter(|entry| entry.path().is_file()).count();
    assert_eq!(files, 1, "nothing was saved");
}

#[test]
fn what_cannot_be_read_is_told_when_it_is_added_and_what_gains_nothing_before_it_runs() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let mut settings: dualres_app::window::settings::Settings =
        serde_json::from_slice(&std::fs::read(paths.config.join("settings.json")).unwrap()).unwrap();
    settings.choices.size = dualres_app::batch::sizes::FinalSize::Width(50);
    std::fs::write(paths.config.join("settings.json"), serde_json::to_vec(&settings).unwrap()).unwrap();
    // So many that the last one's card is out of sight.
    let files: Vec<_> = (0..12).map(|number| home.path().join(format!("{number:02}.png"))).collect();
    files.iter().for_each(|path| common::write_picture(path, 60, 40));
    std::fs::write(&files[11], "no picture").unwrap();
    let mut harness = window(&paths);
    harness.drop_files(&files.iter().map(|path| path.as_path()).collect::<Vec<_>>());
    harness.await_that("all of them", |h| h.state().queue().items().len() == 12);
    assert!(matches!(&harness.state().queue().items()[11].state, State::Failed(failure) if failure.lasts));
    assert!(harness.sees("1 failed") && harness.sees("Upscale 11 pictures"));
    harness.await_sight("Not larger than the original");
}
