//! Graphics adapters that fail, as those see it who run the program: a software driver stands for all of them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

use common::{may_skip, tiny, write_picture};
use serde_json::Value;

struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    /// A folder with a picture and a model, if there is an adapter.
    fn new() -> Option<Self> {
        let home = Self { folder: tempfile::tempdir().unwrap() };
        write_picture(&home.path("in.png"), 60, 44);
        std::fs::write(home.path("tiny.safetensors"), tiny().to_bytes()).unwrap();
        let listed = home.run("", &["devices", "--json"]);
        let has_software = String::from_utf8_lossy(&listed.stdout).contains("software GPU");
        if has_software || !may_skip("there is no software driver") { Some(home) } else { None }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, fault: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dualres"));
        command.current_dir(self.folder.path()).args(arguments);
        command.env("DUALRES_HOME", self.path("home")).env("CUBECL_AUTOTUNE_LEVEL", "minimal");
        command.env("DUALRES_INJECT_FAULT", fault).env_remove("DUALRES_GRAPHICS");
        command.output().unwrap()
    }

    /// The record of an upscaling, and what was said beside it.
    fn upscale(&self, fault: &str, more: &[&str]) -> (Value, String) {
        let arguments = ["upscale", "in.png", "-o", "out.png", "--model", "tiny.safetensors", "--overwrite", "--json"];
        let device = if more.contains(&"--device") { &[][..] } else { &["--device", "software"] };
        let output = self.run(fault, &[&arguments, device, more].concat());
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &printed;
        assert!(output.status.success(), "{said}");
        assert!(!said.contains("panicked"), "{said}");
        let record = printed.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        (record.into_iter().find(|line| line.get("device").is_some()).unwrap(), said)
    }

    fn samples(&self) -> Vec<f32> {
        let picture = dualres_imaging::read(&self.path("out.png")).unwrap();
        picture.planes.iter().flat_map(|plane| plane.data.clone()).collect()
    }
}

fn on_cpu(record: &Value) -> bool {
    record["device"] == "CPU"
}

#[test]
fn a_device_that_computes_nonsense_is_named_and_the_cpu_takes_over() {
    let Some(home) = Home::new() else { return };
    let (record, said) = home.upscale("", &[]);
    assert!(!on_cpu(&record) && said.contains("preparing"), "{record} {said}");
    let sound = home.samples();

    for (fault, words) in [
        ("wrong", "levels"),
        ("nan", "cannot be right"),
        ("constant", "cannot be right"),
        ("lost", "stopped answering"),
    ] {
        let (record, said) = home.upscale(fault, &[]);
        assert!(on_cpu(&record), "{fault}: {record}");
        for word in ["is not used", words, "newer graphics driver", "The CPU takes over"] {
            assert!(said.contains(word), "{fault}: {word} is not in {said}");
        }
        let gap = home.samples().iter().zip(&sound).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(gap <= 1.0, "{fault}: {gap}");
    }
    // Remembered: not checked again, and not trusted.
    let (record, said) = home.upscale("wrong", &[]);
    assert!(on_cpu(&record) && said.contains("is not used") && !said.contains("preparing"), "{said}");
    let (record, said) = home.upscale("", &[]);
    assert!(!on_cpu(&record) && !said.contains("preparing"), "{said}");
}

#[test]
fn a_device_that_fails_in_the_middle_costs_no_picture() {
    let Some(home) = Home::new() else { return };
    home.upscale("", &["--device", "cpu", "--tile", "64"]);
    let sound = home.samples();
    for (fault, device_is_kept, words) in [
        ("nan@1", true, "cannot be right"),
        ("constant@1", true, "cannot be right"),
        ("lost@1", false, "is not used any more"),
        ("memory@100", false, "is not used any more"),
    ] {
        let (record, said) = home.upscale(fault, &["--trust-device", "--tile", "64"]);
        assert_eq!(!on_cpu(&record), device_is_kept, "{fault}: {record}");
        assert!(said.contains(words), "{fault}: {said}");
        let gap = home.samples().iter().zip(&sound).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(gap <= 1.0, "{fault}: {gap}");
    }
    // Unseen is unseen.
    let (record, _) = home.upscale("wrong", &["--trust-device"]);
    assert!(!on_cpu(&record), "{record}");
}

#[test]
fn checks_are_run_at_will_and_say_what_they_find() {
    let Some(home) = Home::new() else { return };
    let check = |fault: &str| {
        let output = home.run(fault, &["devices", "--check=software", "--model", "tiny.safetensors", "--json"]);
        let found: Value = serde_json::from_slice(&output.stdout).unwrap();
        (output.status.code(), found)
    };
    let (code, found) = check("");
    assert_eq!((code, &found["sound"]), (Some(0), &Value::Bool(true)), "{found}");
    let (code, found) = check("wrong");
    assert_eq!((code, &found["sound"]), (Some(1), &Value::Bool(false)), "{found}");
    // What was found last holds.
    let (record, said) = home.upscale("", &[]);
    assert!(!on_cpu(&record) && !said.contains("preparing"), "{said}");
}

#[test]
fn a_driver_that_ends_the_program_does_so_once() {
    let Some(home) = Home::new() else { return };
    let arguments = ["upscale", "in.png", "-o", "out.png", "--model", "tiny.safetensors", "--device", "software"];
    let output = home.run("deadly", &arguments);
    assert!(!output.status.success() && output.status.code().is_none(), "{output:?}");
    let (record, said) = home.upscale("deadly", &[]);
    assert!(on_cpu(&record) && said.contains("its check came to no end") && !said.contains("preparing"), "{said}");
    // Nothing is held against the same device without the fault, or once it is looked at again.
    let (record, _) = home.upscale("", &[]);
    assert!(!on_cpu(&record), "{record}");
}

#[test]
fn what_cannot_be_kept_is_told_and_stops_nothing() {
    let Some(home) = Home::new() else { return };
    // A file where the folder would be.
    std::fs::write(home.path("home"), "in the way").unwrap();
    let (record, said) = home.upscale("", &[]);
    assert!(!on_cpu(&record), "{record}");
    assert_eq!(said.matches("cannot be kept for the next start").count(), 1, "{said}");
}

#[test]
fn tuning_is_kept_where_it_is_said_to_be_and_a_broken_file_is_thrown_away() {
    let Some(home) = Home::new() else { return };
    home.upscale("", &[]);
    let listed = home.run("", &["devices"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    let file = listed.lines().find_map(|line| line.split_once("is kept in ")).unwrap().1;
    let file = Path::new(file);
    assert!(file.starts_with(home.path("home")) && file.exists(), "{}", file.display());
    std::fs::write(file, vec![0x5a; 20_000]).unwrap();
    let (record, _) = home.upscale("", &[]);
    assert!(!on_cpu(&record), "{record}");
    assert!(std::fs::read(file).unwrap().starts_with(b"SQLite"), "it is made anew");
    // Nothing is left in the folder that the program was started in.
    assert!(!home.path("target").exists() && !home.path("environment").exists());
}

#[test]
fn software_drivers_are_taken_when_they_are_named_only() {
    let Some(home) = Home::new() else { return };
    let listed = home.run("", &["devices", "--json"]);
    let devices: Vec<Value> =
        listed.stdout.split(|&byte| byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect();
    let place = |class: &str| devices.iter().position(|device| device["class"].as_str().unwrap().starts_with(class));
    assert!(place("CPU") < place("software"), "{devices:?}");
    let has_gpu = devices.iter().any(|device| device["class"].as_str().unwrap().ends_with("GPU"));
    if !has_gpu {
        let output = home.run("", &["upscale", "in.png", "-o", "no.png", "--device", "gpu"]);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains("no GPU found"));
    }
}
