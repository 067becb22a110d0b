//! Compression as its users run it: on the command line, killed and gone on with.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

use dualres_imaging::{Picture, Plane};
use dualres_network::{Architecture, Backbone, BlockKind, Description, Device, Model};
use serde_json::Value;

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualres"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn dualres(arguments: &[&str]) -> Output {
    command(arguments).output().unwrap()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Pictures and a small network with random weights.
struct Setting {
    folder: tempfile::TempDir,
    data: PathBuf,
    model: PathBuf,
}

fn setting() -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    for index in 0..5 {
        let plane = |phase: f32| {
            let sample = |i: usize| {
                let (x, y) = ((i % 72) as f32, (i / 72) as f32);
                (128.0 + 100.0 * (x * (0.2 + 0.05 * index as f32) + phase).sin() * (y * 0.23).cos()).round()
            };
            Plane::new(72, 64, (0..72 * 64).map(sample).collect())
        };
        let picture = Picture::from_planes(vec![plane(0.0), plane(1.0), plane(2.0)]);
        dualres_imaging::write(&data.join(format!("{index}.png")), &picture, Default::default()).unwrap();
    }
    let architecture = Architecture::new(2, 8, 2).unwrap();
    let network = Model::init(Description::drn("tiny", &architecture).unwrap(), 3, &Device::flex()).unwrap();
    let model = folder.path().join("tiny.safetensors");
    std::fs::write(&model, network.to_bytes()).unwrap();
    Setting { folder, data, model }
}

impl Setting {
    fn arguments<'a>(&'a self, out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["compress", "--model", text(&self.model), "--ratio", "0.5", "--mode", "budget"];
        arguments.extend(["--data", text(&self.data), "--out", text(out), "--quick", "--patch", "12", "--batch", "2"]);
        arguments.extend(["--device", "cpu", "--json"]);
        arguments.extend(more);
        arguments
    }
}

/// Kills without a chance to save anything.
fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn wait_for(child: &mut Child, what: &str, seen: impl Fn() -> bool) {
    let start = Instant::now();
    while !seen() {
        assert!(child.try_wait().unwrap().is_none(), "the run ended before {what}");
        assert!(start.elapsed() < Duration::from_secs(120), "no {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn killed_in_every_stage_a_run_loses_nothing() {
    let setting = setting();
    let (through, pieces) =
        (setting.folder.path().join("through.safetensors"), setting.folder.path().join("pieces.safetensors"));
    // Long enough to be met in every stage.
    let steps = ["--search-steps", "200", "--finetune-steps", "400", "--channels-per-step", "1", "--name", "small"];
    let expected = json(&dualres(&setting.arguments(&through, &steps)));
    let run = pieces.with_extension("run");
    for (stage, beyond) in [
        ("profile", None),
        ("search", Some("search.safetensors")),
        ("select", Some("selection.safetensors")),
        ("cut", None),
        ("finetune", None),
        ("finetune", Some("finetune/state.safetensors")),
    ] {
        let mut child = command(&setting.arguments(&pieces, &steps)).stdout(Stdio::null()).spawn().unwrap();
        let begun = format!("\n{stage},");
        let events = run.join("events.csv");
        wait_for(&mut child, stage, || {
            let begun = std::fs::read_to_string(&events).is_ok_and(|rows| rows.contains(&begun));
            begun && beyond.is_none_or(|state| run.join(state).exists())
        });
        kill(child);
        assert!(!pieces.exists(), "nothing half done is written: {stage}");
    }
    let resumed =
        json(&dualres(&["compress", "--resume", text(&run), "--out", text(&pieces), "--device", "cpu", "--json"]));
    for fact in ["width_table", "kept_macs_ratio", "kept_params_ratio", "psnr_before", "psnr_cut", "psnr_after"] {
        assert_eq!(resumed[fact], expected[fact], "{fact}");
    }
    // The curves as well, but for the last column, the time.
    let curves = |path: &Path| {
        let text = std::fs::read_to_string(path.with_extension("run").join("events.csv")).unwrap();
        text.lines().map(|line| line.rsplit_once(',').unwrap().0.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(curves(&pieces), curves(&through));
    let weights = |path: &Path| Model::read(path, &Device::flex()).unwrap().weights();
    assert_eq!(weights(&pieces), weights(&through));
    let left: Vec<_> = std::fs::read_dir(&run).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().contains("tmp")), "no rubbish: {left:?}");
}

/// Begun with relative paths, a run goes on from another folder, and says with which command.
#[cfg(target_os = "linux")]
#[test]
fn a_run_goes_on_from_another_working_directory() {
    let setting = setting();
    let arguments = ["compress", "--model", "tiny.safetensors", "--ratio", "0.5", "--data", "data", "--out"];
    let more = ["small.safetensors", "--quick", "--patch", "12", "--batch", "2", "--finetune-steps", "4000"];
    let arguments = [&arguments[..], &more, &["--device", "cpu", "--json"]].concat();
    let mut child = command(&arguments).current_dir(setting.folder.path()).stdout(Stdio::null()).spawn().unwrap();
    let run = setting.folder.path().join("small.run");
    wait_for(&mut child, "fine-tuning", || run.join("finetune/state.safetensors").exists());
    kill(child);
    let elsewhere = tempfile::tempdir().unwrap();
    let resumed = command(&["compress", "--resume", text(&run), "--device", "cpu"])
        .current_dir(elsewhere.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // It is under way again when it is asked to stop: the file is written anew, then grows.
    let rows = || std::fs::read_to_string(run.join("events.csv")).unwrap().lines().count();
    let (before, start) = (rows(), Instant::now());
    while rows() < before + 20 {
        assert!(start.elapsed() < Duration::from_secs(60), "does not go on");
        std::thread::sleep(Duration::from_millis(5));
    }
    let process = rustix::process::Pid::from_child(&resumed);
    rustix::process::kill_process(process, rustix::process::Signal::INT).unwrap();
    let output = resumed.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("--resume"), "{said}");

    let other = dualres(&["compress", "--resume", text(&run), "--finetune-steps", "9"]);
    assert_ne!(other.status.code(), Some(0), "a run is extended, not shortened");
    assert!(String::from_utf8_lossy(&other.stderr).contains("extended, not shortened"), "{other:?}");
    let other = dualres(&["compress", "--resume", text(&run), "--seed", "9"]);
    assert_eq!(other.status.code(), Some(2), "a run keeps its settings");
    let picture = elsewhere.path().join("photo.png");
    std::fs::write(&picture, b"a picture").unwrap();
    let other = dualres(&["compress", "--resume", text(&run), "--out", text(&picture)]);
    assert_eq!(other.status.code(), Some(2));
    assert_eq!(std::fs::read(&picture).unwrap(), b"a picture");
}

#[test]
fn the_report_says_what_became_of_the_network() {
    let setting = setting();
    let out = setting.folder.path().join("small.safetensors");
    let report = json(&dualres(&setting.arguments(&out, &["--steps", "4"])));
    let kept = report["kept_macs_ratio"].as_f64().unwrap();
    assert!(kept > 0.0 && kept <= 0.5, "{kept}");
    assert_eq!((&report["macs_within_ratio"], &report["validation_pictures"]), (&Value::from(true), &Value::from(1)));
    assert!(report["kept_params_ratio"].as_f64().unwrap() < 1.0);
    assert!(report["psnr_before"].as_f64().unwrap() > 0.0 && report["psnr_after"].as_f64().unwrap() > 0.0);
    let table = report["width_table"].as_array().unwrap();
    // What is run: the two convolutions around the pixel shuffle are one.
    assert_eq!(table.len(), 3);
    assert_eq!(table[0]["unit"], "down 1");
    assert!(table.iter().all(|row| row["width"].as_u64() <= row["full"].as_u64()));
    // The result is a model for every other command.
    let shown = json(&dualres(&["models", "show", text(&out), "--json"]));
    assert_eq!(shown["description"]["name"], "small");
    assert_eq!(shown["macs"]["total"], report["macs_after"]);

    let compared = json(&dualres(&[
        "benchmark",
        "--model",
        text(&setting.model),
        "--model",
        text(&out),
        "--size",
        "32x24",
        "--runs",
        "3",
        "--device",
        "cpu",
        "--json",
    ]));
    let models = compared["models"].as_array().unwrap();
    assert_eq!(models.len(), 2);
    for model in models {
        assert!(model["median_seconds"].as_f64().unwrap() > 0.0 && model["spread"].as_f64().unwrap() >= 0.0);
        if cfg!(target_os = "linux") {
            assert!(model["peak_memory_bytes"].as_u64().unwrap() > 1_000_000);
        }
    }
    // Attention has one position whatever the size, so that the share is nearly that for 96x96.
    let ratio = compared["comparisons"][0]["macs_ratio"].as_f64().unwrap();
    assert!((ratio - kept).abs() < 1e-3, "{ratio} {kept}");
}

#[test]
fn commands_that_make_no_sense_are_refused() {
    let setting = setting();
    let out = setting.folder.path().join("small.safetensors");
    let nowhere = setting.folder.path().join("nowhere");
    let astray = setting.model.join("out.safetensors");
    let (model, data) = (text(&setting.model), text(&setting.data));
    for (arguments, code, what) in [
        (vec!["--ratio", "0.5", "--data", data, "--out", text(&out)], 2, "--model"),
        (vec!["--model", model, "--data", data, "--out", text(&out)], 2, "--ratio"),
        (vec!["--model", model, "--ratio", "0.5", "--data", data], 2, "--out"),
        (vec!["--model", model, "--ratio", "0.5", "--data", data, "--out", text(&nowhere)], 2, ".safetensors"),
        (
            vec!["--model", model, "--ratio", "0.5", "--data", data, "--out", text(&astray)],
            2,
            "cannot write to the folder",
        ),
        (vec!["--model", model, "--ratio", "0.5", "--data", data, "--out", model], 2, "overwrite an input"),
        (vec!["--model", model, "--ratio", "1.5", "--data", data, "--out", text(&out)], 2, "between 0 and 1"),
        (vec!["--model", model, "--ratio", "0.5", "--out", text(&out)], 2, "folder of pictures"),
        (vec!["--model", model, "--ratio", "0.5", "--data", text(&nowhere), "--out", text(&out)], 1, "nowhere"),
        (
            vec!["--model", model, "--ratio", "0.5", "--data", data, "--out", text(&out), "--lambda", "-1"],
            2,
            "must be 0 or a positive, finite number, not -1",
        ),
        (
            vec!["--model", model, "--ratio", "0.5", "--data", data, "--out", text(&out), "--teacher", "nobody"],
            2,
            "nobody",
        ),
        (vec!["--resume", text(&nowhere)], 2, "no run folder"),
        (vec!["--resume", data], 1, "no compression run in the folder"),
    ] {
        let run = dualres(&[&["compress"], &arguments[..], &["--device", "cpu"]].concat());
        let said = String::from_utf8_lossy(&run.stderr);
        assert_eq!(run.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(what), "{arguments:?}: {said}");
        assert!(!out.exists());
    }
}

/// A finished run is given more fine-tuning: it resumes where it was, with the same widths, and a teacher is taken by name. Where there is
/// no terminal, lines say how far it is, and what did not begin leaves nothing.
#[test]
fn a_run_is_extended() {
    let setting = setting();
    let out = setting.folder.path().join("small.safetensors");
    let run = setting.folder.path().join("small.run");
    let (model, data) = (text(&setting.model), text(&setting.data));
    let begin = ["compress", "--model", model, "--ratio", "0.5", "--data", data, "--out", text(&out), "--quick"];
    let more = ["--patch", "12", "--batch", "2", "--device", "cpu", "--finetune-steps", "6", "--teacher", "x2"];
    let first = dualres(&[&begin[..], &more].concat());
    assert!(first.status.success(), "{first:?}");
    let said = String::from_utf8_lossy(&first.stderr).into_owned();
    for line in ["profile", "search", "widths: ", "fine-tune"] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    let report =
        || -> serde_json::Value { serde_json::from_slice(&std::fs::read(run.join("report.json")).unwrap()).unwrap() };
    let rows = || std::fs::read_to_string(run.join("events.csv")).unwrap();
    let before = report();
    assert!(rows().contains("\nfinetune,6,") && !rows().contains("\nfinetune,7,"));
    let resumed = ["compress", "--resume", text(&run), "--finetune-steps", "10", "--out", text(&out), "--overwrite"];
    let second = dualres(&[&resumed[..], &["--device", "cpu"]].concat());
    assert!(second.status.success(), "{second:?}");
    assert!(rows().contains("\nfinetune,6,") && rows().contains("\nfinetune,10,"), "{}", rows());
    assert_eq!(report()["finetune_steps"], 10);
    assert_eq!(report()["width_table"], before["width_table"]);
    assert_eq!(report()["psnr_cut"], before["psnr_cut"]);
    // What does not begin leaves no folder.
    let nothing = setting.folder.path().join("nothing.safetensors");
    let empty = setting.folder.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let failed = ["compress", "--model", model, "--ratio", "0.5", "--data", text(&empty), "--out", text(&nothing)];
    assert!(!dualres(&failed).status.success());
    assert!(!nothing.with_extension("run").exists());
}

/// A budget in milliseconds is measured once, kept, and compared with what the result takes.
#[test]
fn a_budget_of_time_is_measured_once_and_told() {
    let setting = setting();
    let home = tempfile::tempdir().unwrap();
    let out = setting.folder.path().join("fast.safetensors");
    // Wide enough that its channels take most of its time.
    let backbone = Backbone { block: BlockKind::Residual, scale: 2, features: 32, blocks: 3 };
    let description = Description::new("wide", "residual", backbone.graph().unwrap()).with_single_dual();
    let network = Model::init(description, 3, &Device::flex()).unwrap();
    std::fs::write(&setting.model, network.to_bytes()).unwrap();
    let run = |more: &[&str], out: &Path| {
        let mut arguments = vec!["compress", "--model", text(&setting.model), "--data", text(&setting.data)];
        arguments.extend(["--out", text(out), "--quick", "--patch", "12", "--batch", "2", "--steps", "2"]);
        arguments.extend(["--device", "cpu", "--json", "--time-side", "96"]);
        arguments.extend(more);
        command(&arguments).env("DUALRES_HOME", home.path()).output().unwrap()
    };
    let report = json(&run(&["--speed-up", "1.25"], &out));
    let times = &report["times"];
    let of = |name: &str| times[name].as_f64().unwrap();
    assert_eq!((&times["side"], &times["device"]), (&Value::from(96), &Value::from("CPU")));
    assert!(of("predicted") <= of("budget") + 1e-6 && (of("budget") - 0.8).abs() < 1e-3, "{times}");
    assert!(of("after") > 0.0 && of("before") > 0.0);
    // The same command finds the times that it measured, and with them its run.
    let kept: Vec<_> =
        std::fs::read_dir(home.path().join("cache/times")).unwrap().map(|file| file.unwrap().path()).collect();
    assert_eq!(kept.len(), 1);
    let before = std::fs::read(&kept[0]).unwrap();
    assert_eq!(json(&run(&["--speed-up", "1.25"], &out))["times"], *times);
    assert_eq!(std::fs::read(&kept[0]).unwrap(), before);
    // Rubbish is measured anew.
    std::fs::write(&kept[0], b"{").unwrap();
    let again = setting.folder.path().join("again.safetensors");
    assert!(run(&["--speed-up", "1.25"], &again).status.success());
    let other = setting.folder.path().join("other.safetensors");
    for (wrong, said) in [
        (&["--budget-ms", "1e9"][..], "nothing has to go"),
        (&["--budget-ms", "0.0001"], "out of reach"),
        (&["--speed-up", "1"], "above 1"),
        (&["--speed-up", "2", "--mode", "paper"], "--mode paper"),
        (&["--speed-up", "2", "--ratio", "0.5"], "cannot be used with"),
    ] {
        let output = run(wrong, &other);
        let words = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && words.contains(said), "{wrong:?}: {words}");
        assert!(!other.with_extension("run").exists(), "{wrong:?} leaves nothing");
    }
}
