//! Sweeps as researchers run them: killed, shared by processes, with a run that cannot work, and compared at the end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[cfg(unix)]
mod engines;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use dualres_imaging::{Picture, Plane};
use dualres_network::{Architecture, Description, Device, Model};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// A folder with pictures, a network with random weights, and a sweep over it.
struct Setting(tempfile::TempDir);

impl Setting {
    fn new(grid: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // What engines are given must be quoted.
        let root = folder.path().join("my grid");
        std::fs::create_dir_all(root.join("data")).unwrap();
        for index in 0..5 {
            let plane = |phase: f32| {
                let sample = |i: usize| {
                    let (x, y) = ((i % 72) as f32, (i / 72) as f32);
                    (128.0 + 100.0 * (x * (0.2 + 0.05 * index as f32) + phase).sin() * (y * 0.23).cos()).round()
                };
                Plane::new(72, 64, (0..72 * 64).map(sample).collect())
            };
            let picture = Picture::from_planes(vec![plane(0.0), plane(1.0), plane(2.0)]);
            let path = root.join("data").join(format!("{index}.png"));
            dualres_imaging::write(&path, &picture, Default::default()).unwrap();
        }
        let architecture = Architecture::new(2, 8, 2).unwrap();
        let network = Model::init(Description::drn("tiny", &architecture).unwrap(), 3, &Device::flex()).unwrap();
        std::fs::write(root.join("tiny.safetensors"), network.to_bytes()).unwrap();
        let setting = Self(folder);
        setting.write(grid);
        setting
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("my grid").join(name)
    }

    fn write(&self, grid: &str) {
        let fixed = "[fixed]\ndata = \"data\"\nquick = true\npatch = 12\nbatch = 2\nsearch-steps = 8\n";
        std::fs::write(self.path("grid.toml"), format!("{fixed}{grid}")).unwrap();
    }

    fn sweep(&self, out: &str, more: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dualres"));
        command.args(["compress", "sweep", text(&self.path("grid.toml")), "-o", text(&self.path(out))]);
        command.args(["--device", "cpu"]).args(more).stdin(Stdio::null()).env("DUALRES_HOME", self.path("home"));
        command
    }

    fn table(&self, out: &str, more: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dualres"));
        command.args(["compress", "table", text(&self.path(out))]).args(more).output().unwrap()
    }

    /// The lines of the table but for times.
    fn results(&self, out: &str) -> Vec<String> {
        let printed = self.table(out, &[]);
        assert!(printed.status.success(), "{printed:?}");
        let cut = |line: &str| match line.rsplit_once(" | ") {
            Some((start, _)) if !line.contains(" to ") => start.to_owned(),
            _ => line.to_owned(),
        };
        String::from_utf8(printed.stdout).unwrap().lines().map(cut).collect()
    }
}

const GRID: &str = "finetune-steps = 40\n[grid]\nmodel = [\"tiny.safetensors\"]\nratio = [0.3, 0.5]\n\
                    method = [\"drc\", \"uniform\"]\nseed = [1, 2]\n";

#[test]
fn killed_and_shared_by_two_processes_a_sweep_comes_to_the_same_table() {
    let setting = Setting::new(GRID);
    let through = setting.sweep("through", &[]).output().unwrap();
    assert!(through.status.success(), "{}", said(&through));
    assert_eq!(said(&through).matches("  done: ").count(), 8, "{}", said(&through));
    // Killed in the third run, whatever it is at.
    let mut child = setting.sweep("pieces", &[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let third = setting.path("pieces/tiny-ratio0.3-uniform-seed1/events.csv");
    let start = Instant::now();
    while !third.exists() {
        assert!(start.elapsed() < Duration::from_secs(120) && child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let listed = said(&setting.sweep("pieces", &["--list"]).output().unwrap());
    assert!(listed.contains("unfinished") && listed.contains("2 of 8 runs done"), "{listed}");
    let first = setting.path("pieces/tiny-ratio0.3-drc-seed1/report.json");
    let written = std::fs::metadata(&first).unwrap().modified().unwrap();
    // Two at once: what one has in hand the other passes over, and each run is done once.
    let quiet = |command: &mut Command| command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let both = [quiet(&mut setting.sweep("pieces", &[])), quiet(&mut setting.sweep("pieces", &[]))];
    let both = both.map(|child| child.wait_with_output().unwrap());
    for output in &both {
        assert!(!said(output).contains("failed"), "{}", said(output));
    }
    let last = setting.sweep("pieces", &[]).output().unwrap();
    assert!(last.status.success(), "{}", said(&last));
    assert_eq!(std::fs::metadata(&first).unwrap().modified().unwrap(), written, "what is done is left alone");
    assert_eq!(setting.results("pieces"), setting.results("through"));
    // Runs of a seed measured their profile once.
    let profiles = std::fs::read_dir(setting.path("pieces/profiles")).unwrap();
    let measured = profiles.filter(|file| text(&file.as_ref().unwrap().path()).ends_with(".safetensors")).count();
    assert_eq!(measured, 2);
}

#[test]
fn a_run_that_cannot_work_leaves_the_others_alone() {
    let setting = Setting::new(
        "finetune-steps = 2\n[grid]\nmodel = [\"tiny.safetensors\", \"absent.safetensors\"]\nratio = [0.5]\n",
    );
    let run = setting.sweep("out", &[]).output().unwrap();
    assert_eq!(run.status.code(), Some(1));
    assert!(
        said(&run).contains("tiny-ratio0.5  done") && said(&run).contains("absent-ratio0.5  failed: "),
        "{}",
        said(&run)
    );
    let listed = said(&setting.sweep("out", &["--list"]).output().unwrap());
    assert!(listed.contains("absent-ratio0.5  failed: "), "{listed}");
    // There it is; and the other is not begun over.
    std::fs::copy(setting.path("tiny.safetensors"), setting.path("absent.safetensors")).unwrap();
    let again = setting.sweep("out", &[]).output().unwrap();
    assert!(again.status.success(), "{}", said(&again));
    // Settings that do not fit what is there are no reason to begin over.
    setting.write("finetune-steps = 3\n[grid]\nmodel = [\"tiny.safetensors\"]\nratio = [0.5]\n");
    let other = setting.sweep("out", &[]).output().unwrap();
    assert_eq!(other.status.code(), Some(1));
    assert!(said(&other).contains("different settings (finetune.steps"), "{}", said(&other));
    let listed = setting.sweep("out", &["--list"]).output().unwrap();
    assert!(listed.status.code() == Some(1) && said(&listed).contains("different settings"), "{}", said(&listed));
    let wrong = setting.sweep("out", &["--only", "2"]).output().unwrap();
    assert_eq!(wrong.status.code(), Some(2));
}

#[test]
fn tables_are_written_as_markdown_csv_and_plot() {
    let setting = Setting::new(&GRID.replace("finetune-steps = 40", "finetune-steps = 0"));
    assert!(setting.sweep("out", &[]).output().unwrap().status.success());
    let [markdown, groups, plot] = ["t.md", "t.csv", "t.svg"].map(|name| setting.path(name));
    let outputs = ["-o", text(&markdown), "-o", text(&groups), "-o", text(&plot)];
    let written = setting.table("out", &outputs);
    assert!(written.status.success(), "{}", said(&written));
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    assert!(
        read(&markdown).contains("| 0.3 | uniform | 2 | ") && read(&markdown).contains(" ± "),
        "{}",
        read(&markdown)
    );
    assert!(read(&groups).starts_with("ratio,method,runs,kept_macs_percent,"));
    assert_eq!(read(&groups).lines().count(), 5);
    assert!(read(&plot).contains("uniform") && read(&plot).contains("<circle"));
    // However often and by whatever name a run is given, it counts once; so does a copy.
    std::fs::create_dir(setting.path("copy")).unwrap();
    for name in ["config.json", "report.json", "original.safetensors"] {
        let from = setting.path("out/tiny-ratio0.5-drc-seed2").join(name);
        std::fs::copy(from, setting.path("copy").join(name)).unwrap();
    }
    let twice = setting.table("out", &[text(&setting.path("out/../out")), text(&setting.path("copy"))]);
    assert!(
        said(&twice).contains("8 finished runs") && said(&twice).contains("those of another run"),
        "{}",
        said(&twice)
    );
    let unknown = setting.table("out", &["--baseline", "thinet"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(said(&unknown).contains("there are: drc, uniform"), "{}", said(&unknown));
    // Nothing is replaced unasked.
    assert_eq!(setting.table("out", &outputs).status.code(), Some(2));
    let rows = |kind: &str| {
        let path = setting.path(&format!("{kind}.csv"));
        let written = setting.table("out", &["-o", text(&path), "--rows", kind, "--baseline", "uniform"]);
        assert!(written.status.success(), "{}", said(&written));
        csv::Reader::from_path(path).unwrap().deserialize().map(|row| row.unwrap()).collect::<Vec<Row>>()
    };
    type Row = std::collections::BTreeMap<String, String>;
    let runs = rows("runs");
    assert_eq!(runs.len(), 8);
    let differences = rows("differences");
    assert_eq!(differences.len(), 2, "{differences:?}");
    for difference in &differences {
        assert_eq!((&*difference["compared"], &*difference["with"], &*difference["seeds"]), ("drc", "uniform", "2"));
        // By hand: the mean over seeds of drc minus uniform at the same ratio.
        let ratio = difference["where"].trim_start_matches("ratio ");
        let psnr = |method: &str, seed: &str| -> f64 {
            let fits = |run: &&Row| run["ratio"] == ratio && run["method"] == method && run["seed"] == seed;
            runs.iter().find(fits).unwrap()["psnr_after"].parse().unwrap()
        };
        let mean = ["1", "2"].iter().map(|seed| psnr("drc", seed) - psnr("uniform", seed)).sum::<f64>() / 2.0;
        let number = |name: &str| difference[name].parse::<f64>().unwrap();
        assert!((number("difference") - mean).abs() < 1e-9);
        assert!(number("low") <= mean && mean <= number("high"));
    }
    // The row of each run lies in its folder too, and its curves for TensorBoard.
    let folder = setting.path("out/tiny-ratio0.5-drc-seed2");
    let row: Row = csv::Reader::from_path(folder.join("summary.csv")).unwrap().deserialize().next().unwrap().unwrap();
    assert!(runs.contains(&row));
    let events = std::fs::read(folder.join("events.out.tfevents.dualres")).unwrap();
    let steps = std::fs::read_to_string(folder.join("events.csv")).unwrap().lines().count() - 1;
    assert_eq!(records(&events), steps + 1, "a record a row, after the header");
}

/// Number of records of an event file, whose lengths must lead to its end.
fn records(mut bytes: &[u8]) -> usize {
    let mut count = 0;
    while !bytes.is_empty() {
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes = &bytes[8 + 4 + length + 4..];
        count += 1;
    }
    count
}

/// The script for an engine does every run as a task of its own.
#[cfg(unix)]
#[test]
fn scripts_of_engines_do_all_runs() {
    let setting = Setting::new(
        "finetune-steps = 0\n[grid]\nmodel = [\"tiny.safetensors\"]\nratio = [0.3, 0.5]\nmethod = [\"uniform\"]\n",
    );
    let path = engines::stand_ins(setting.0.path());
    let odd = Setting::new("[grid]\nmodel = [\"absent\"]\nratio = [0.5]\n");
    let refused = odd.sweep("out", &["--jobs", "slurm"]).output().unwrap();
    assert!(refused.status.code() == Some(2) && said(&refused).contains("cannot work"), "{}", said(&refused));
    for engine in ["hyperqueue", "parallel"] {
        let printed = setting.sweep(engine, &["--jobs", engine]).output().unwrap();
        assert!(printed.status.success(), "{}", said(&printed));
        let file = setting.path("jobs.sh");
        std::fs::write(&file, &printed.stdout).unwrap();
        let run = Command::new("sh").arg(&file).env("PATH", &path).output().unwrap();
        assert!(run.status.success(), "{engine}: {}", said(&run));
        let listed = said(&setting.sweep(engine, &["--list"]).output().unwrap());
        assert!(listed.contains("2 of 2 runs done"), "{listed}");
    }
}
