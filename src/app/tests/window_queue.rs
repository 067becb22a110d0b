//! The window with its own engine on a tiny network: what a person drops, does and gets.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{ops::ControlFlow, path::PathBuf};

use common::{COMMAND, Deeds, NO_KEYS, home_with_tiny_model, picture, tiny, window, write_picture};
use dualres_app::batch::{
    result::{Keep, finish},
    sizes::FinalSize,
};
use dualres_app::window::queue::State;
use dualres_engine::{Options, Upscaler};
use dualres_network::device::ComputeDevice;
use eframe::egui::{Event, Key, Modifiers};
use egui_kittest::kittest::Queryable;

#[test]
fn an_empty_window_says_how_pictures_come_in() {
    let home = tempfile::tempdir().unwrap();
    let harness = window(&home_with_tiny_model(home.path()));
    for label in ["Drop photos here", "Open pictures…", "Open folder…", "Type a path…", "Try a sample"] {
        assert!(harness.sees(label), "{label}");
    }
}

#[test]
fn two_pictures_and_a_broken_file_are_dropped() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let [a, broken, b] = ["a.png", "broken.png", "b.png"].map(|name| home.path().join(name));
    write_picture(&a, 61, 40);
    write_picture(&b, 33, 48);
    std::fs::write(&broken, "no picture").unwrap();
    let mut harness = window(&paths);
    harness.drop_files(&[&a, &broken, &b]);
    harness.await_sight("broken.png: unsupported file");
    harness.press("Upscale 2 pictures");
    harness.await_that("the end of the queue", |h| {
        h.state().queue().items().iter().all(|item| matches!(item.state, State::Done(_) | State::Failed(_)))
    });
    harness.run_steps(3);
    assert!(harness.sees("2 pictures done."));
    assert!(harness.sees("1 failed"));

    // What the window saves are the bytes that the engine gives any other caller.
    let upscaler = Upscaler::new(&tiny(), &ComputeDevice::cpu()).unwrap();
    for (input, width, height) in [(&a, 61, 40), (&b, 33, 48)] {
        let name = format!("{}_tiny.png", input.file_stem().unwrap().to_string_lossy());
        let saved = std::fs::read(home.path().join(name)).unwrap();
        let mut expected =
            upscaler.upscale(&picture(width, height), &Options::default(), &mut |_| ControlFlow::Continue(())).unwrap();
        finish(&mut expected.picture, [width, height], "tiny", FinalSize::Model, 2, Keep::default());
        let bytes = dualres_imaging::encode(&expected.picture, dualres_imaging::Format::Png, Default::default());
        assert!(saved == bytes.unwrap(), "{}", input.display());
    }
    harness.await_sight("Visible dual loss");
    assert!(harness.sees("Consistency PSNR"), "the proof is shown in numbers");

    // Again, and the first result is not overwritten.
    harness.press("Upscale again");
    let second = home.path().join("b_tiny-2.png");
    harness.await_that("a second result", |_| second.exists());
}

#[test]
fn a_path_is_typed_where_no_dialog_answers() {
    let home = tempfile::tempdir().unwrap();
    let mut harness = window(&home_with_tiny_model(home.path()));
    let path = home.path().join("typed.png");
    write_picture(&path, 20, 20);
    harness.key(COMMAND, Key::L);
    harness.event(Event::Text(path.display().to_string()));
    harness.run_steps(2);
    harness.press("OK");
    harness.await_sight("typed.png: waiting");

    harness.key(COMMAND, Key::L);
    harness.event(Event::Text("/no/such/file.png".into()));
    harness.run_steps(2);
    harness.press("OK");
    harness.await_sight("there is no file /no/such/file.png");
}

/// A folder dropped, a folder chosen for results: sub-folders are kept, what is done is not done again by the window or the
/// command line, and "Upscale again" does it.
#[test]
fn a_folder_of_results_keeps_sub_folders_and_knows_what_is_done() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let [photos, results] = ["photos", "results"].map(|name| home.path().join(name));
    for (name, width) in [("a.png", 41), ("roll/a.png", 33), ("roll/b.png", 27)] {
        let path = photos.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        write_picture(&path, width, 30);
    }
    let settings_file = paths.config.join("settings.json");
    let mut settings: dualres_app::window::settings::Settings =
        serde_json::from_str(&std::fs::read_to_string(&settings_file).unwrap()).unwrap();
    settings.choices.folder = Some(results.clone());
    std::fs::write(&settings_file, serde_json::to_string(&settings).unwrap()).unwrap();
    let drop_and_run = || {
        let mut harness = window(&paths);
        harness.drop_files(&[&photos]);
        harness.await_that("the pictures", |h| h.state().queue().items().len() == 3);
        harness.press("Upscale 3 pictures");
        harness.await_that("the end of the queue", |h| {
            let items = h.state().queue().items();
            items.len() == 3 && items.iter().all(|item| matches!(item.state, State::Done(_)))
        });
        harness.run_steps(3);
        harness
    };
    let there = || {
        let mut found: Vec<PathBuf> = ["", "roll"]
            .iter()
            .flat_map(|f| std::fs::read_dir(results.join(f)).unwrap())
            .map(|e| e.unwrap().path())
            .collect();
        found.retain(|path| path.extension().is_some_and(|extension| extension == "png"));
        found.sort();
        found
    };
    drop(drop_and_run());
    let wanted = ["a_tiny.png", "roll/a_tiny.png", "roll/b_tiny.png"].map(|name| results.join(name));
    assert_eq!(there(), wanted);
    let record = std::fs::read_to_string(results.join(".dualres-batch.jsonl")).unwrap();
    assert_eq!(record.lines().filter(|line| line.contains("\"record\":\"done\"")).count(), 3, "{record}");

    // In another session, in which the queue has been emptied.
    let _ = std::fs::remove_file(paths.config.join("queue.json"));
    let written = |path: &PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
    let before = wanted.each_ref().map(written);
    let mut harness = drop_and_run();
    assert_eq!(there(), wanted, "nothing is done twice");
    assert_eq!(wanted.each_ref().map(written), before);
    harness.press("Upscale again");
    harness.await_that("another result", |_| there().len() == 4);
}

#[test]
fn pictures_and_paths_are_pasted() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let mut harness = window(&paths);
    let image = eframe::egui::ColorImage::filled([9, 7], eframe::egui::Color32::from_rgb(10, 200, 30));
    harness.event(Event::PasteImage(std::sync::Arc::new(image)));
    harness.await_sight("pasted.png: waiting");
    let kept = dualres_imaging::read(&paths.arrivals().join("pasted.png")).unwrap();
    assert_eq!((kept.width(), kept.height()), (9, 7));
    assert_eq!(kept.rgb().map(|plane| plane.data[0] as u8), [10, 200, 30]);
    // Its result goes where the user looks, not where the program keeps it.
    harness.press("Upscale 1 picture");
    let result = paths.pictures.join("pasted_tiny.png");
    harness.await_that("its result", |_| result.exists());

    let path = home.path().join("by name.png");
    write_picture(&path, 20, 20);
    harness.event(Event::Paste(format!("file://{}", path.display().to_string().replace(' ', "%20"))));
    harness.await_sight("by name.png: waiting");
    harness.event(Event::Paste("good morning".into()));
    harness.await_sight("neither a picture nor a path");
}

#[test]
fn a_preview_shows_a_part_at_once_and_saves_nothing() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let path = home.path().join("large.png");
    write_picture(&path, 300, 200);
    let mut harness = window(&paths);
    harness.drop_files(&[&path]);
    harness.await_sight("large.png: waiting");
    harness.await_sight("Reconstruction");
    harness.key(NO_KEYS, Key::P);
    harness.await_sight("Visible consistency PSNR");
    let files: Vec<_> = std::fs::read_dir(home.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(!files.iter().any(|name| name.to_string_lossy().contains("_tiny")), "{files:?}");
    assert!(harness.sees("large.png: waiting"));
}

#[test]
fn a_restart_remembers_queue_and_choices() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let path = home.path().join("kept.png");
    write_picture(&path, 30, 20);
    let mut harness = window(&paths);
    harness.drop_files(&[&path]);
    harness.await_sight("kept.png: waiting");
    harness.key(NO_KEYS, Key::Num2);
    harness.press("Upscale 1 picture");
    harness.await_that("the result", |h| matches!(h.state().queue().items()[0].state, State::Done(_)));
    let mut app = harness.into_state();
    eframe::App::on_exit(&mut app);
    drop(app);

    let mut harness = window(&paths);
    harness.await_that("the proof of the saved result", |h| h.sees("Visible consistency PSNR"));
    assert!(matches!(harness.state().queue().items()[0].state, State::Done(_)));
    assert!(harness.query_by_label("Original and result").is_some(), "the split view was chosen before");
}

#[test]
fn the_result_is_saved_as_another_file() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let path = home.path().join("in.png");
    write_picture(&path, 30, 20);
    let mut harness = window(&paths);
    harness.drop_files(&[&path]);
    harness.await_sight("in.png: waiting");
    harness.key(COMMAND, Key::Enter);
    harness.await_that("the result", |h| matches!(h.state().queue().items()[0].state, State::Done(_)));
    // No file portal answers here, so the window asks for a path by itself.
    harness.key(COMMAND, Key::S);
    harness.await_sight("Path of a file or folder");
    let other = home.path().join("other.tif");
    harness.key(COMMAND, Key::A);
    harness.event(Event::Text(other.display().to_string()));
    harness.run_steps(2);
    harness.press("OK");
    harness.await_sight(&format!("Saved {}", other.display()));
    let [first, second] = [home.path().join("in_tiny.png"), other].map(|path| dualres_imaging::read(&path).unwrap());
    assert_eq!(first.planes, second.planes);
}

#[test]
fn fidelity_is_raised_on_a_finished_picture() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let mut settings: dualres_app::window::settings::Settings =
        serde_json::from_str(&std::fs::read_to_string(paths.config.join("settings.json")).unwrap()).unwrap();
    settings.choices.model = "x2".into();
    std::fs::write(paths.config.join("settings.json"), serde_json::to_string(&settings).unwrap()).unwrap();
    let path = home.path().join("cat.png");
    let photo = dualres_imaging::read(&common::project("assets/samples/chelsea.png")).unwrap();
    dualres_imaging::write(&path, &photo.crop(100, 80, 64, 48), Default::default()).unwrap();
    let mut harness = window(&paths);
    harness.drop_files(&[&path]);
    harness.await_sight("cat.png: waiting");
    harness.key(COMMAND, Key::Enter);
    harness.await_that("the result", |h| matches!(h.state().queue().items()[0].state, State::Done(_)));
    let psnr =
        |h: &egui_kittest::Harness<'static, dualres_app::window::Window>| match &h.state().queue().items()[0].state {
            State::Done(finished) => finished.proven.loop_psnr.unwrap(),
            other => panic!("{other:?}"),
        };
    let before = psnr(&harness);
    common::fidelity(&harness).set_value_accesskit(60.0);
    harness.run_steps(3);
    harness.await_that("a preview of it", |h| h.query_by_label("Preview").is_some());
    // What is saved stays as it is until it is asked for: the numbers are the file's.
    let [first, second, third] = ["cat_x2.png", "cat_x2-2.png", "cat_x2-3.png"].map(|name| home.path().join(name));
    let bytes = std::fs::read(&first).unwrap();
    assert!((psnr(&harness) - before).abs() < 1e-9 && !second.exists());
    harness.press("Apply 60 %");
    harness.await_sight(&format!("Saved {}", second.display()));
    assert!(psnr(&harness) > before + 1.0, "{before} dB, then {} dB", psnr(&harness));
    assert!(std::fs::read(&first).unwrap() == bytes, "the first version is untouched");
    assert!(std::fs::read(&second).unwrap() != bytes);
    assert!(harness.query_by_label("Preview").is_none());
    let apply = harness.get_by_role_and_label(eframe::egui::accesskit::Role::Button, "Apply 60 %");
    assert!(egui_kittest::kittest::NodeT::accesskit_node(&apply).is_disabled(), "there is nothing to apply");

    // Both versions can be chosen, and each is shown and saved as it is.
    let choose = |harness: &mut egui_kittest::Harness<'static, dualres_app::window::Window>, version: &str| {
        harness.get_by_role_and_label(eframe::egui::accesskit::Role::ComboBox, "Version").click();
        harness.run_steps(3);
        harness.get_by_label(version).click();
        harness.run_steps(3);
    };
    harness.await_sight("Version 2 of 2");
    choose(&mut harness, "1: x2, fidelity 0 %, cat_x2.png");
    harness.await_sight("Version 1 of 2");
    assert!((psnr(&harness) - before).abs() < 1e-9);
    harness.key(COMMAND, Key::S);
    harness.await_sight("Path of a file or folder");
    harness.press("OK");
    harness.await_sight(&format!("Saved {}", third.display()));
    let planes = |path: &PathBuf| dualres_imaging::read(path).unwrap().planes;
    assert!(planes(&third) == planes(&first) && planes(&third) != planes(&second), "what was shown was saved");
    let mut app = harness.into_state();
    eframe::App::on_exit(&mut app);
    drop(app);

    // After a restart the network's own result is not in memory: it is made again, as a further version.
    let mut harness = window(&paths);
    harness.await_sight("Visible consistency PSNR");
    common::fidelity(&harness).set_value_accesskit(30.0);
    harness.await_sight("Apply 30 %");
    harness.press("Apply 30 %");
    let fourth = home.path().join("cat_x2-4.png");
    harness.await_that("another version", |_| fourth.exists());
    harness.await_sight("Version 3 of 3");
    assert!(psnr(&harness) > before, "{before} dB, then {} dB", psnr(&harness));
    assert!(std::fs::read(&first).unwrap() == bytes);
}

#[test]
fn models_are_imported_used_and_removed() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let file = home.path().join("other.safetensors");
    std::fs::write(&file, common::tiny_of_seed(6).to_bytes()).unwrap();
    let no_model = home.path().join("no.safetensors");
    std::fs::write(&no_model, "nothing").unwrap();
    let mut harness = window(&paths);
    harness.drop_files(&[&no_model]);
    harness.await_sight("no.safetensors");
    harness.drop_files(&[&file]);
    // The name is taken, so it gets a number.
    harness.await_sight("Imported the model tiny-2");
    assert!(paths.models().join("tiny-2.safetensors").exists());
    harness.press("Use in Upscale");
    harness.await_sight("tiny-2 (2×)");
    harness.key(COMMAND, Key::Num3);
    harness.press("Remove");
    harness.await_sight("Removed the model tiny-2.");
    assert!(!paths.models().join("tiny-2.safetensors").exists());
}

/// Both files of an ncnn network are dropped: one model, that upscales and is proven by the dual model of its scale.
#[test]
fn an_ncnn_network_is_dropped_and_used() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let [param, bin, input] = ["repeats.param", "repeats.bin", "a.png"].map(|name| home.path().join(name));
    let layers = "7767517\n6 7\nInput data 0 1 data\nSplit s 1 2 data a b\n\
        Convolution c 1 1 a c 0=12 1=3 4=1 5=1 6=324\nPixelShuffle p 1 1 c d 0=2\n\
        Interp u 1 1 b e 0=1 1=2.0 2=2.0\nBinaryOp o 2 1 d e out 0=0\n";
    std::fs::write(&param, layers).unwrap();
    // A convolution of zeros: what is left is the picture with its pixels repeated.
    std::fs::write(&bin, vec![0; 4 + 324 * 4 + 12 * 4]).unwrap();
    write_picture(&input, 61, 40);
    let mut harness = window(&paths);
    harness.drop_files(&[&bin, &param]);
    harness.await_sight("Imported the model repeats");
    assert_eq!(std::fs::read_dir(paths.models()).unwrap().count(), 2, "one model beside the tiny one");
    harness.press("Use in Upscale");
    harness.await_sight("repeats (2×)");
    harness.drop_files(&[&input]);
    harness.await_that("the picture", |h| !h.state().queue().items().is_empty());
    harness.key(COMMAND, Key::Enter);
    let result = home.path().join("a_repeats.png");
    harness.await_that("a result", |_| result.exists());
    let (before, after) = (dualres_imaging::read(&input).unwrap(), dualres_imaging::read(&result).unwrap());
    assert_eq!((after.width(), after.height()), (122, 80));
    assert!((after.planes[0].row(41)[51] - before.planes[0].row(20)[25]).abs() <= 1.0);
    harness.await_sight("Visible dual loss");
}

#[test]
fn keys_are_listed_and_letters_in_a_field_are_not_keys() {
    let home = tempfile::tempdir().unwrap();
    let mut harness = window(&home_with_tiny_model(home.path()));
    harness.key(NO_KEYS, Key::F1);
    for label in ["Preview what is visible", "Start queue, or rerun selected", "Hold to see the original"] {
        assert!(harness.sees(label), "{label}");
    }
    harness.key(NO_KEYS, Key::Escape);
    assert!(!harness.sees("Start queue, or rerun selected"));
    harness.get_by_label("Name").focus();
    harness.run_steps(2);
    harness.event(Event::Text("1".into()));
    harness.key(NO_KEYS, Key::Questionmark);
    assert!(!harness.sees("Start queue, or rerun selected"), "a question mark in a name is no call for help");
    harness.key(Modifiers::NONE, Key::F1);
    assert!(harness.sees("Start queue, or rerun selected"), "F1 is, everywhere");
}

#[test]
fn a_cancelled_picture_can_be_run_again() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let path = home.path().join("large.png");
    write_picture(&path, 1500, 1200);
    let mut harness = window(&paths);
    harness.drop_files(&[&path]);
    harness.await_sight("large.png: waiting");
    harness.press("Upscale 1 picture");
    harness.key(COMMAND, Key::P);
    harness.await_sight("large.png: paused");
    harness.press("Cancel large.png");
    harness.await_sight("large.png: cancelled");
    assert!(!home.path().join("large_tiny.png").exists());
    harness.press("Retry large.png");
    harness.await_that("the result", |h| matches!(h.state().queue().items()[0].state, State::Done(_)));
}

#[test]
fn a_file_that_is_there_is_replaced_only_when_the_user_says_so() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let path = home.path().join("in.png");
    write_picture(&path, 30, 20);
    let taken = home.path().join("taken.png");
    std::fs::write(&taken, "mine").unwrap();
    let mut harness = window(&paths);
    harness.drop_files(&[&path]);
    harness.await_sight("in.png: waiting");
    harness.key(COMMAND, Key::Enter);
    harness.await_that("the result", |h| matches!(h.state().queue().items()[0].state, State::Done(_)));
    let ask = |harness: &mut egui_kittest::Harness<'static, dualres_app::window::Window>, to: &std::path::Path| {
        harness.key(COMMAND, Key::S);
        harness.await_sight("Path of a file or folder");
        harness.key(COMMAND, Key::A);
        harness.event(Event::Text(to.display().to_string()));
        harness.run_steps(2);
        harness.press("OK");
    };
    ask(&mut harness, &path);
    harness.await_sight("That is the original");
    ask(&mut harness, &taken);
    harness.await_sight("Replace the file?");
    harness.press("Keep it");
    assert_eq!(std::fs::read(&taken).unwrap(), b"mine");
    ask(&mut harness, &taken);
    harness.press("Replace");
    harness.await_sight(&format!("Saved {}", taken.display()));
    assert_eq!(dualres_imaging::read(&taken).unwrap().width(), 60);
}

#[test]
fn every_control_has_a_name() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let path = home.path().join("in.png");
    write_picture(&path, 30, 20);
    let broken = home.path().join("broken.png");
    std::fs::write(&broken, "nothing").unwrap();
    let mut harness = window(&paths);
    harness.check_accessibility();
    harness.drop_files(&[&path, &broken]);
    harness.await_sight("broken.png: unsupported file");
    harness.key(COMMAND, Key::Enter);
    harness.await_that("the result", |h| matches!(h.state().queue().items()[0].state, State::Done(_)));
    for key in [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::F1, Key::Escape] {
        harness.key(NO_KEYS, key);
        harness.check_accessibility();
    }
    for key in [Key::Num3, Key::Num1, Key::L] {
        harness.key(COMMAND, key);
        harness.check_accessibility();
    }
    harness.press("Cancel");
    harness.press("About");
    assert!(harness.sees("where the result stays true to them") && harness.sees("wgpu"));
    harness.check_accessibility();
}
