//! The first minute: a photo is opened, seen enlarged at once by the model that fits it, run, and judged in words.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Deeds, window};
use dualres_app::{paths::Paths, window::queue::State};
use dualres_imaging::{EncodeOptions, Subsampling};

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
    assert!(harness.sees("True to the original") || harness.sees("Noise removed, otherwise true"));

    // A kind that is chosen holds for all pictures, and the scale keeps it.
    harness.press("Photo");
    harness.press("4×");
    assert!(harness.sees("photo-x4 (4×)"));
    harness.press("Clean");
    assert!(harness.sees("x4 (4×)") && !harness.sees("photo-x4 (4×)"));
    harness.press("Automatic");
    harness.press("2×");
    harness.await_sight("photo-x2: JPEG compression (quality 60).");
}
