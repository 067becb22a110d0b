//! What was found wrong with the window once, each with a test that would find it again.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::path::{Path, PathBuf};

use common::{Deeds, NO_KEYS, home_with_tiny_model, window, write_picture};
use dualres_app::{
    paths::Paths,
    window::{Window, queue::State, settings::Settings},
};
use dualres_imaging::{EncodeOptions, Subsampling};
use eframe::egui::{self, Event, Key, Modifiers, MouseWheelSource, MouseWheelUnit, TouchPhase, vec2};
use egui_kittest::{
    Harness,
    kittest::{NodeT, Queryable},
};

fn settings_of(paths: &Paths, change: impl FnOnce(&mut Settings)) {
    let file = paths.config.join("settings.json");
    let mut settings: Settings = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    change(&mut settings);
    std::fs::write(file, serde_json::to_vec(&settings).unwrap()).unwrap();
}

fn all_done(harness: &mut Harness<'static, Window>) -> bool {
    harness.state().queue().items().iter().all(|item| matches!(item.state, State::Done(_)))
}

/// Two pictures of one name in two folders: dropped one after the other they are what they are when a command names both, and what the
/// command has done is not done again.
#[test]
fn pictures_of_one_name_have_the_keys_of_the_command_line() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let results = home.path().join("results");
    let [one, two] = ["a", "b"].map(|folder| home.path().join(folder).join("one.png"));
    for (path, width) in [(&one, 40), (&two, 44)] {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_picture(path, width, 30);
    }
    let model = paths.models().join("tiny.safetensors");
    let run = std::process::Command::new(env!("CARGO_BIN_EXE_dualres"))
        .args(["upscale", "--device", "cpu", "--model"])
        .args([&model, &one, &two])
        .arg("-o")
        .arg(&results)
        .arg("--name")
        .arg("{name}_{model}")
        .env("DUALRES_HOME", home.path())
        .output()
        .unwrap();
    assert!(run.status.success(), "{run:?}");
    let files = || {
        let mut files: Vec<PathBuf> = std::fs::read_dir(&results).unwrap().flatten().map(|e| e.path()).collect();
        files.sort();
        files
    };
    let before = files();
    settings_of(&paths, |settings| {
        settings.choices.folder = Some(results.clone());
        settings.choices.pattern = "{name}_{model}".into();
    });
    let mut harness = window(&paths);
    for path in [&one, &two] {
        harness.drop_files(&[path]);
        harness.await_sight("one.png: waiting");
    }
    harness.await_that("both", |h| h.state().queue().items().len() == 2);
    harness.press("Upscale 2 pictures");
    harness.await_that("both", all_done);
    assert_eq!(files(), before, "nothing was made again");
    let outputs: Vec<PathBuf> = harness
        .state()
        .queue()
        .items()
        .iter()
        .map(|item| match &item.state {
            State::Done(finished) => finished.output.clone(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_ne!(outputs[0], outputs[1], "each has its own result");
}

/// A clean model enlarges the noise of a photo with the rest: the loop closes well, and it is no success.
#[test]
fn noise_that_was_kept_is_no_success_and_no_error_is_predicted() {
    let home = tempfile::tempdir().unwrap();
    let photo = dualres_imaging::read(&common::project("assets/samples/chelsea.png")).unwrap().crop(100, 80, 96, 80);
    let phone = home.path().join("phone.jpg");
    let compressed = EncodeOptions { quality: 60, subsampling: Subsampling::Half, ..EncodeOptions::default() };
    dualres_imaging::write(&phone, &photo, compressed).unwrap();
    let mut harness = window(&Paths::under(home.path()));
    harness.drop_files(&[&phone]);
    harness.await_sight("photo-x2: JPEG compression (quality 60).");
    harness.press("Clean");
    harness.key(NO_KEYS, Key::Num6);
    harness.await_sight("no prediction: this model was calibrated on clean pictures");
    harness.press("Upscale 1 picture");
    harness.await_that("the result", all_done);
    harness.await_sight("True, noise included");
    harness.await_sight("A Photo model removes them.");
    assert!(!harness.sees("True to the original"));
}

/// A kind that has no model of the scale says so, and nobody is given another scale than asked for.
#[test]
fn a_scale_without_photo_model_is_told() {
    let home = tempfile::tempdir().unwrap();
    let photo = dualres_imaging::read(&common::project("assets/samples/chelsea.png")).unwrap().crop(100, 80, 48, 40);
    let phone = home.path().join("phone.jpg");
    let compressed = EncodeOptions { quality: 50, subsampling: Subsampling::Half, ..EncodeOptions::default() };
    dualres_imaging::write(&phone, &photo, compressed).unwrap();
    let mut harness = window(&Paths::under(home.path()));
    harness.drop_files(&[&phone]);
    harness.await_sight("photo-x2: JPEG compression");
    harness.press("3×");
    harness.await_sight("x3: no Photo model for 3×.");
    let card = harness.get_by_role_and_label(egui::accesskit::Role::Button, "Photo");
    assert!(card.accesskit_node().is_disabled());
}

/// What cannot be read is not run, by whichever way it is asked for.
#[test]
fn a_broken_file_is_not_run_by_a_key_either() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let empty = home.path().join("nothing at all.png");
    std::fs::write(&empty, "").unwrap();
    let mut harness = window(&paths);
    harness.drop_files(&[&empty]);
    harness.await_that("the failure", |h| {
        h.state().queue().items().first().is_some_and(|item| matches!(&item.state, State::Failed(f) if f.lasts))
    });
    let State::Failed(failure) = &harness.state().queue().items()[0].state else { panic!() };
    assert!(failure.reason.matches("nothing at all.png").count() <= 1, "{}", failure.reason);
    harness.key(NO_KEYS, Key::R);
    harness.run_steps(5);
    assert!(matches!(&harness.state().queue().items()[0].state, State::Failed(_)), "it is not begun");
    assert!(harness.query_by_label_contains("Retry").is_none());
}

/// The second window of a home says what it is, and one whose settings cannot be written does not claim to be a second one.
#[test]
fn a_second_window_names_itself_and_no_other_does() {
    let title = |harness: &Harness<'static, Window>| harness.state().shown_title().to_owned();
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let first = window(&paths);
    assert_eq!(title(&first), "Dualres");
    let second = window(&paths);
    assert_eq!(title(&second), "Dualres (second window, remembers nothing)");
    assert!(second.sees("Another window is open; settings won't be saved here"));
    // Where the folder of settings should be, a file lies.
    let other = tempfile::tempdir().unwrap();
    let unwritable = Paths::under(other.path());
    std::fs::create_dir_all(unwritable.config.parent().unwrap()).unwrap();
    std::fs::write(&unwritable.config, "no folder").unwrap();
    let third = window(&unwritable);
    assert!(third.sees("Settings won't be saved"));
    assert_eq!(title(&third), "Dualres");
}

/// A plain wheel moves the queue, which has one direction only; and a name with a picture sign is drawn.
#[test]
fn a_plain_wheel_moves_the_queue() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let files: Vec<PathBuf> = (0..20).map(|number| home.path().join(format!("🌄 {number:02}.png"))).collect();
    files.iter().for_each(|path| write_picture(path, 30, 20));
    let mut harness = window(&paths);
    harness.drop_files(&files.iter().map(PathBuf::as_path).collect::<Vec<&Path>>());
    harness.await_sight("🌄 00.png: waiting");
    let drawn = harness.ctx.fonts_mut(|fonts| fonts.has_glyphs(&egui::FontId::proportional(13.0), "🌄 00.png"));
    assert!(drawn, "there is a font with the sign");
    assert!(!harness.sees("🌄 19.png"));
    let card = harness.get_by_label_contains("🌄 00.png: waiting").rect().center();
    harness.event(Event::PointerMoved(card));
    harness.step();
    for _ in 0..40 {
        harness.event(Event::MouseWheel {
            unit: MouseWheelUnit::Line,
            delta: vec2(0.0, -5.0),
            phase: TouchPhase::Move,
            source: MouseWheelSource::Wheel,
            modifiers: Modifiers::NONE,
        });
        harness.step();
    }
    harness.await_sight("🌄 19.png: waiting");
    assert!(!harness.sees("🌄 00.png"));
}

/// One of Fit and 1:1 is lit, whatever the picture's size: also where it fits at its own size.
#[test]
fn fit_and_one_to_one_are_never_both_lit() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let path = home.path().join("photo.png");
    write_picture(&path, 300, 200);
    let mut harness = window(&paths);
    harness.drop_files(&[&path]);
    harness.await_sight("Reconstruction");
    let lit = |harness: &Harness<'static, Window>| {
        ["Fit", "1:1"].map(|label| {
            let node = harness.get_by_role_and_label(egui::accesskit::Role::Button, label);
            node.accesskit_node().is_selected() == Some(true)
                || node.accesskit_node().toggled() == Some(egui::accesskit::Toggled::True)
        })
    };
    assert_eq!(lit(&harness), [true, false]);
    harness.key(NO_KEYS, Key::Z);
    assert_eq!(lit(&harness), [false, true]);
    harness.key(NO_KEYS, Key::F);
    assert_eq!(lit(&harness), [true, false]);
}

/// Sheets, menus and folded parts have names for everything too.
#[test]
fn what_opens_has_names_too() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let path = home.path().join("in.png");
    write_picture(&path, 30, 20);
    let mut harness = common::with_size(dualres_app::window::Setup::of_program(paths, Vec::new()), [1280.0, 1500.0]);
    harness.drop_files(&[&path]);
    harness.await_sight("in.png: waiting");
    for label in ["All models", "More", "Details"] {
        if let Some(node) = harness.query_by_label(label) {
            node.click();
        }
        harness.run_steps(4);
        harness.check_accessibility();
    }
    harness.press("Custom");
    harness.check_accessibility();
    harness.key(NO_KEYS, Key::T);
    harness.check_accessibility();
    assert!(harness.sees("Results"));
}

/// What fails in a folder of results is in its record, as it is when a command fails.
#[test]
fn failures_are_recorded_as_those_of_a_command_are() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let results = home.path().join("results");
    settings_of(&paths, |settings| settings.choices.folder = Some(results.clone()));
    let path = home.path().join("photo.png");
    write_picture(&path, 40, 30);
    let mut harness = window(&paths);
    harness.drop_files(&[&path]);
    harness.await_sight("photo.png: waiting");
    // It is gone when its turn comes.
    std::fs::remove_file(&path).unwrap();
    harness.press("Upscale 1 picture");
    harness.await_that("the failure", |h| matches!(h.state().queue().items()[0].state, State::Failed(_)));
    let mut app = harness.into_state();
    eframe::App::on_exit(&mut app);
    drop(app);
    let record = std::fs::read_to_string(results.join(".dualres-batch.jsonl")).unwrap();
    assert!(record.contains("\"record\":\"failed\"") && record.contains("photo.png"), "{record}");
}
