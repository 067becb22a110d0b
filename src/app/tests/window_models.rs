//! The library in the window: what a network of others lacks is made at the press of a button.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use common::{Deeds, home_with_tiny_model, window};
use dualres_network::{Architecture, Description, Model};

/// A network that came without dual models, and was lent those of another one.
fn theirs() -> Model {
    let device = dualres_network::Device::flex();
    let network = |seed| {
        let description = Description::drn("theirs", &Architecture::new(2, 4, 1).unwrap()).unwrap();
        Model::init(description, seed, &device).unwrap()
    };
    let mut model = network(3).with_duals_of(&network(4)).unwrap();
    model.description.borrowed_duals = true;
    model
}

#[test]
fn a_network_of_others_is_given_a_dual_model_of_its_own() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    // The one that is chosen, and so shown.
    let file = paths.models().join("tiny.safetensors");
    let before = theirs();
    std::fs::write(&file, before.to_bytes()).unwrap();

    let mut harness = window(&paths);
    harness.press("Models");
    harness.await_sight("proven by the dual model of another network");

    // Cancelled, nothing has changed.
    harness.press("Train its own dual model");
    harness.await_sight("Training the dual model");
    harness.press("Cancel");
    harness.await_sight("tiny stays as it was");
    assert!(std::fs::read(&file).unwrap() == before.to_bytes());

    harness.press("Train its own dual model");
    harness.await_sight("tiny is complete");
    harness.await_that("the news in the card", |h| !h.sees("of another network"));
    let after = Model::read(&file, &dualres_network::Device::flex()).unwrap();
    assert!(!after.description.borrowed_duals);
    assert!(after.description.error_calibration.is_some(), "its errors are predicted");
    let (was, is) = (before.weights(), after.weights());
    assert!(was.under("model.") == is.under("model."), "the network itself is as it was");
    assert!(was.under("dual.") != is.under("dual."));
    assert!(!harness.sees("Calibrate predicted error"), "nothing is missing any more");
    let runs = paths.data.join("completion");
    assert_eq!(std::fs::read_dir(runs).unwrap().count(), 0, "the run leaves nothing");
}

/// A model with dual models of its own lacks the calibration alone; those of the program lack nothing.
#[test]
fn only_what_is_missing_is_offered() {
    let home = tempfile::tempdir().unwrap();
    let mut harness = window(&home_with_tiny_model(home.path()));
    harness.press("Models");
    harness.await_sight("The error of its results is not predicted");
    assert!(!harness.sees("Train its own dual model"));
    harness.press("Calibrate predicted error");
    harness.await_sight("Predicts errors");
    assert!(!harness.sees("is not predicted"));
    harness.press("x2");
    harness.await_sight("PSNR (Y) on");
    assert!(!harness.sees("Calibrate predicted error") && !harness.sees("dual model of another network"));
}
