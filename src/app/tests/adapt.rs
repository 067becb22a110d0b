//! A model for somebody's own photos: on the command line and in the window.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use common::{Deeds, home_with_tiny_model, project, window};
use dualres_network::{Architecture, Description, Device, Model};
use serde_json::Value;

/// Sample pictures reduced by blur: photos of a camera nobody knows.
fn photos(folder: &Path) -> PathBuf {
    let photos = folder.join("photos");
    let made = Command::new(env!("CARGO_BIN_EXE_dualres"))
        .args(["degrade", "--scale", "2", "--degradation", "blur=1.6"])
        .arg("--hr")
        .arg(project("assets/samples"))
        .arg("-o")
        .arg(&photos)
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    assert_eq!(std::fs::read_dir(&photos).unwrap().count(), 4);
    photos
}

fn dualres(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualres"));
    command.env("DUALRES_HOME", home).args(arguments);
    command
}

/// A network that is trained in no time.
fn quick() -> Model {
    let description = Description::drn("tiny", &Architecture::new(2, 4, 1).unwrap()).unwrap();
    Model::init(description, 3, &Device::flex()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_model_is_adapted_to_photos_and_says_where_it_comes_from() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let photos = photos(folder.path());
    let out = at("mine.safetensors");
    let photos = photos.to_str().unwrap();
    let arguments = ["adapt", "--model", "x2", "--pictures", photos, "--steps", "20", "--device", "cpu", "-o", &out];

    // Killed in the middle, the same command ends it.
    let mut killed = dualres(folder.path(), &arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let state = folder.path().join("mine.run/metrics.csv");
    let patience = std::time::Instant::now();
    while !state.exists() && patience.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(20));
    }
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert!(!Path::new(&out).exists(), "there is no model before it is whole");

    let ended = dualres(folder.path(), &arguments).arg("--json").output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
    let told: Value = serde_json::from_slice(&ended.stdout).unwrap();
    let estimate = told["degradation"].as_str().unwrap();
    assert!(estimate.starts_with("blur=1."), "{estimate}");
    let number = |when: &str, what: &str| told[when][what].as_f64().unwrap();
    assert!(number("after", "paired_psnr_y") > number("before", "paired_psnr_y") + 0.2, "{told}");
    assert!(number("before", "loop_psnr") > 30.0 && number("after", "loop_psnr") > 30.0, "{told}");
    let model = Model::read(Path::new(&out), &Device::flex()).unwrap();
    assert_eq!(model.description.name, "mine");
    assert_eq!(model.description.purpose, format!("x2 adapted to 4 images ({estimate})"));
    assert_eq!(model.description.training["adapted_from"], "x2");
    assert!(model.description.error_calibration.is_some());
    assert!(model.description.licence.contains("MIT"), "it is under the licence of what it was made from");
    // Where the photos lie is nobody's business.
    assert!(!serde_json::to_string(&model.description).unwrap().contains(photos));

    // Other photos are another run; named twice, in another order, they are the same.
    let named = [format!("{photos}/rocket.png"), photos.to_owned(), format!("{photos}/chelsea.png")];
    let mut same = dualres(folder.path(), &["adapt", "--model", "x2", "--steps", "20", "--device", "cpu", "-o", &out]);
    same.args(["--overwrite", "--json", "--pictures"]).args(&named);
    let same = same.output().unwrap();
    assert!(same.status.success() && serde_json::from_slice::<Value>(&same.stdout).unwrap() == told, "{same:?}");
    std::fs::copy(format!("{photos}/coffee.png"), format!("{photos}/new.png")).unwrap();
    let other = dualres(folder.path(), &arguments).arg("--overwrite").output().unwrap();
    assert_eq!(other.status.code(), Some(1));
    assert!(said(&other).contains("other images to adapt to"), "{}", said(&other));

    // It works as any other, and is not replaced unasked.
    let result = at("out.png");
    let input = format!("{photos}/chelsea.png");
    let run = dualres(folder.path(), &["upscale", &input, "-o", &result, "--model", &out, "--device", "cpu"]);
    assert!({ run }.status().unwrap().success());
    let again = dualres(folder.path(), &arguments).output().unwrap();
    assert_eq!(again.status.code(), Some(2));
    assert!(said(&again).contains("--overwrite"), "{}", said(&again));
}

#[test]
fn what_cannot_be_adapted_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let photos = photos(folder.path());
    let photos = photos.to_str().unwrap();
    let bare = Model::from_bytes(&std::fs::read(project("models/x2.safetensors")).unwrap(), "x2", &Device::flex());
    std::fs::write(at("bare.safetensors"), bare.unwrap().without_duals().to_bytes()).unwrap();
    std::fs::create_dir(at("tiny")).unwrap();
    common::write_picture(Path::new(&at("tiny/dot.png")), 20, 20);
    std::fs::write(at("tiny/broken.png"), "no picture").unwrap();
    let (out, bare, tiny, nowhere) = (at("out.safetensors"), at("bare.safetensors"), at("tiny"), at("nowhere"));
    let cases: [(&[&str], i32, &str); 9] = [
        (&["--model", "x2", "--pictures", photos, "--lr", "1000", "--steps", "10"], 1, "was not improved"),
        (&["--model", &bare, "--pictures", photos], 1, "no dual model"),
        (&["--model", "x2", "--pictures", &tiny], 1, "broken.png"),
        (&["--model", "x2", "--pictures", &nowhere], 2, "no such file or folder"),
        (&["--model", "x9", "--pictures", photos], 2, "no such model"),
        (&["--model", "x2", "--pictures", photos, "--fraction", "1"], 2, "above 0 and below 1, not 1"),
        (&["--model", "x2", "--pictures", photos, "--lambda", "-1"], 2, "positive, finite number, not -1"),
        (&["--model", "x2", "--pictures", photos, "--degradation", "blur=x"], 2, "not a degradation"),
        (&["--model", "x2", "--pictures", photos, "--data", &tiny], 1, "no usable image"),
    ];
    for (arguments, code, words) in cases {
        let run = dualres(folder.path(), &["adapt", "-o", &out]).args(arguments).output().unwrap();
        assert_eq!(run.status.code(), Some(code), "{arguments:?}: {}", said(&run));
        assert!(said(&run).contains(words), "{arguments:?}: {}", said(&run));
        assert!(!Path::new(&out).exists());
        // Another run may begin there.
        let _ = std::fs::remove_dir_all(at("out.run"));
    }
    let run =
        dualres(folder.path(), &["adapt", "--model", "x2", "--pictures", photos, "-o", &at("photo.jpg")]).output();
    assert!(said(&run.unwrap()).contains("must end in .safetensors"));
}

#[test]
fn low_resolution_images_are_made_as_files() {
    let folder = tempfile::tempdir().unwrap();
    let hr = project("assets/samples/chelsea.png");
    let small = |how: &str, name: &str| {
        let out = folder.path().join(how);
        let run = dualres(folder.path(), &["degrade", "--hr", hr.to_str().unwrap(), "--scale", "4"])
            .args(["--degradation", how, "-o", out.to_str().unwrap()])
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        dualres_imaging::read(&out.join(name)).unwrap()
    };
    let bicubic = small("none", "chelsea.png");
    assert_eq!((bicubic.width(), bicubic.height()), (451 / 4, 300 / 4));
    let jpeg = small("bicubic,jpeg=40", "chelsea.jpg");
    assert_eq!(jpeg.metadata.jpeg_quality, Some(40));
    assert_ne!(small("nearest", "chelsea.png"), bicubic);
    // What is there is not replaced.
    let out = folder.path().join("none");
    let run =
        dualres(folder.path(), &["degrade", "--hr", hr.to_str().unwrap(), "--scale", "4", "-o"]).arg(&out).output();
    assert_eq!(run.unwrap().status.code(), Some(2));
}

/// The window asks, works beside everything else, shows before and after, and keeps what the user keeps.
#[test]
fn the_window_adapts_a_model_to_the_photos_of_the_queue() {
    let home = tempfile::tempdir().unwrap();
    let paths = home_with_tiny_model(home.path());
    let before = quick();
    std::fs::write(paths.models().join("tiny.safetensors"), before.to_bytes()).unwrap();
    let photos = photos(home.path());
    let mut harness = window(&paths);
    harness.drop_files(&[&photos.join("chelsea.png"), &photos.join("coffee.png"), &photos.join("rocket.png")]);
    harness.await_sight("Result: ");
    // The pane of an open photo.
    harness.await_sight("Reconstruction");

    harness.press("Adapt model to these photos…");
    harness.await_sight("All in the queue (3)");
    // The time, told beforehand, once the model is measured.
    harness.await_sight("Takes about");
    harness.run_steps(10);
    harness.press("Adapt");
    harness.await_sight("Adapting");
    harness.press("Cancel");
    harness.await_sight("the next adaptation to these photos resumes");
    assert!(!paths.models().join("tiny-adapted.safetensors").exists());

    harness.press("Adapt model to these photos…");
    harness.run_steps(10);
    harness.press("Adapt");
    // Hundreds of training steps, beside other tests.
    let patience = std::time::Instant::now();
    while !harness.sees("Before and after adaptation") {
        harness.step();
        assert!(patience.elapsed() < Duration::from_secs(400), "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(harness.sees("Found in your photos: blur of 1"));
    harness.press("Keep");
    harness.await_sight("tiny-adapted is in the library, and chosen here");
    let file = paths.models().join("tiny-adapted.safetensors");
    let adapted = Model::read(&file, &Device::flex()).unwrap();
    assert!(adapted.description.purpose.starts_with("tiny adapted to 3 images"), "{}", adapted.description.purpose);
    assert!(adapted.weights() != before.weights());
    let runs = paths.data.join("adaptation");
    assert_eq!(std::fs::read_dir(runs).unwrap().count(), 0, "the run leaves nothing");
    harness.press("Models");
    harness.await_sight("tiny adapted to 3 images");
}
