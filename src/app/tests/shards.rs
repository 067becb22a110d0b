//! A batch that several processes share: each takes its part of the pictures, and together they do what one would.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod common;

#[cfg(unix)]
mod engines;

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use common::write_picture;
use serde_json::Value;

fn dualres(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dualres"));
    command.args(arguments);
    command
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Pictures in folders, two that want the same name, and one that is none. They differ, so that each result does.
fn archive(root: &Path) -> PathBuf {
    let archive = root.join("archive");
    std::fs::create_dir_all(archive.join("may")).unwrap();
    for index in 0..10 {
        write_picture(&archive.join(format!("IMG_{index}.png")), 18 + index, 14);
    }
    for name in ["may/same.png", "may/same.tif", "may/other.png"] {
        write_picture(&archive.join(name), 20, 16 + name.len());
    }
    std::fs::write(archive.join("broken.png"), "no picture").unwrap();
    archive
}

fn upscale(archive: &Path, out: &Path, more: &[&str]) -> Command {
    let mut command = dualres(&["upscale", text(archive), "-o", text(out), "--device", "cpu", "--format", "png"]);
    command.args(more);
    command
}

fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let all = glob(folder).into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "png"));
    all.map(|path| path.strip_prefix(folder).unwrap().to_owned()).collect()
}

fn glob(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { glob(&path) } else { vec![path] }).collect()
}

fn status(out: &Path) -> (Option<i32>, Value) {
    let run = dualres(&["batch", "status", text(out), "--json"]).output().unwrap();
    (run.status.code(), serde_json::from_slice(&run.stdout).unwrap())
}

fn table(out: &Path, file: &Path) -> Vec<u8> {
    let run = dualres(&["batch", "table", text(out), "-o", text(file)]).output().unwrap();
    assert!(run.status.success(), "{run:?}");
    std::fs::read(file).unwrap()
}

#[test]
fn shards_at_once_make_what_one_process_makes() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path());
    let (single, shared) = (folder.path().join("single"), folder.path().join("shared"));
    assert_eq!(upscale(&archive, &single, &[]).output().unwrap().status.code(), Some(1), "one is broken");

    let before = upscale(&archive, &shared, &["--shard", "1/3"]).output().unwrap();
    assert!(matches!(before.status.code(), Some(0 | 1)), "{}", said(&before));
    let (code, told) = status(&shared);
    assert_eq!(code, Some(1), "two have not begun");
    assert_eq!(told["parts"].as_array().unwrap().len(), 3);
    assert!(told["parts"][1]["pictures"].is_null() && told["parts"][2]["pictures"].is_null());

    let mut running: Vec<_> =
        ["2/3", "3/3"].map(|shard| upscale(&archive, &shared, &["--shard", shard]).spawn().unwrap()).into();
    for run in &mut running {
        run.wait().unwrap();
    }
    assert_eq!(files(&shared), files(&single));
    assert_eq!(files(&shared).len(), 13);
    for file in files(&single) {
        assert!(std::fs::read(shared.join(&file)).unwrap() == std::fs::read(single.join(&file)).unwrap(), "{file:?}");
    }
    let (code, told) = status(&shared);
    assert_eq!(code, Some(1), "one failed");
    let sum =
        |what: &str| told["parts"].as_array().unwrap().iter().map(|part| part[what].as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum("pictures"), sum("done"), sum("failed"), sum("missing")), (14, 13, 1, 0));
    assert_eq!(told["failed"][0]["input"], "broken.png");
    let [a, b] = [(&single, "a.csv"), (&shared, "b.csv")].map(|(out, name)| table(out, &folder.path().join(name)));
    assert!(a == b && a.starts_with(b"input,state,output"), "{}", String::from_utf8_lossy(&b));

    // Mended, and run again in one: only what is missing is done.
    write_picture(&archive.join("broken.png"), 18, 15);
    let whole = upscale(&archive, &shared, &["--json"]).output().unwrap();
    assert!(whole.status.success(), "{}", said(&whole));
    let lines = String::from_utf8_lossy(&whole.stdout).into_owned();
    let summary: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    let summary = &summary["summary"];
    assert_eq!((&summary["done"], &summary["skipped"]), (&1.into(), &13.into()), "{summary}");
    assert_eq!(files(&shared).len(), 14);
    let (code, told) = status(&shared);
    assert_eq!((code, &told["complete"]), (Some(0), &true.into()), "{told}");
    // A picture that became another one: the last result counts, each time.
    write_picture(&archive.join("IMG_3.png"), 25, 15);
    assert!(upscale(&archive, &shared, &[]).output().unwrap().status.success());
    for round in 0..6 {
        let table = String::from_utf8(table(&shared, &folder.path().join(format!("{round}.csv")))).unwrap();
        let of: Vec<&str> = table.lines().filter(|line| line.starts_with("IMG_3.png")).collect();
        assert!(matches!(of[..], [row] if row.contains("IMG_3_x2-2.png")), "{of:?}");
    }
    // Results of shards that lie among pictures are not taken for pictures.
    let inside = upscale(folder.path(), &folder.path().join("again"), &[]).output().unwrap();
    assert!(said(&inside).contains("results of earlier runs"), "{}", said(&inside));
}

#[test]
fn one_shard_is_one_process_and_what_cannot_be_shared_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let archive = archive(folder.path());
    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    // As another process holds it.
    let record =
        std::fs::File::options().create(true).append(true).open(out.join(".dualres-batch.2-of-3.jsonl")).unwrap();
    let held = dualres_imaging::lock::Lock::of(record).unwrap();
    let second = upscale(&archive, &out, &["--shard", "2/3"]).output().unwrap();
    assert!(said(&second).contains("another process"), "{}", said(&second));
    let other = upscale(&archive, &out, &["--shard", "1/3"]).output().unwrap();
    assert!(!said(&other).contains("another process"), "{}", said(&other));
    let (_, told) = status(&out);
    assert_eq!(told["parts"][1]["running"], true);
    for more in [&[][..], &["--shard", "1/2"]] {
        let mixed = upscale(&archive, &out, more).output().unwrap();
        assert!(said(&mixed).contains("another process runs shard 2/3"), "{}", said(&mixed));
    }
    drop(held);

    let one = archive.join("IMG_1.png");
    let refused: [(&Path, &[&str], &str); 5] = [
        (&archive, &["--shard", "4/3"], "I/N"),
        (&archive, &["--shard", "0/3"], "I/N"),
        (&one, &["--shard", "1/3"], "divides a batch"),
        (&archive, &["--shard", "1/3", "--name", "{date}"], "{index}"),
        (&archive, &["--shard", "1/3", "--table", "t.csv"], "cannot be used with"),
    ];
    for (input, more, words) in refused {
        let run = upscale(input, &out, more).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{more:?}");
        assert!(said(&run).contains(words), "{more:?}: {}", said(&run));
    }
    let nothing = dualres(&["batch", "status", text(&archive)]).output().unwrap();
    assert_eq!(nothing.status.code(), Some(2));
    assert!(said(&nothing).contains("no batch record"));
}

/// The scripts are valid, and that of GNU parallel runs as printed, with a stand-in that does what parallel does one by one.
#[cfg(unix)]
#[test]
fn scripts_of_engines_run_all_shards() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("my photos");
    std::fs::create_dir(&root).unwrap();
    let archive = archive(&root);
    std::fs::remove_file(archive.join("broken.png")).unwrap();
    let out = root.join("out");
    let script = |engine: &str| {
        let run = dualres(&["batch", "jobs", text(&archive), "-o", text(&out), "--shards", "3", "--engine", engine])
            .args(["--", "--model", "x2", "--device", "cpu"])
            .output()
            .unwrap();
        assert!(run.status.success(), "{run:?}");
        let file = folder.path().join(format!("{engine}.sh"));
        std::fs::write(&file, &run.stdout).unwrap();
        assert!(Command::new("sh").arg("-n").arg(&file).status().unwrap().success(), "{engine}");
        (file, String::from_utf8(run.stdout).unwrap())
    };
    let path = engines::stand_ins(folder.path());
    for engine in ["parallel", "hyperqueue"] {
        let (file, _) = script(engine);
        let run = Command::new("sh").arg(file).env("PATH", &path).output().unwrap();
        assert!(run.status.success(), "{engine}: {run:?}");
        let (code, told) = status(&out);
        assert_eq!((code, &told["complete"]), (Some(0), &true.into()), "{engine}: {told}");
        // One is a TIFF file.
        assert_eq!(files(&out).len(), 12);
        std::fs::remove_dir_all(&out).unwrap();
    }
    let (file, slurm) = script("slurm");
    assert!(slurm.contains("--array=1-3") && slurm.contains("--cpus-per-task=4"));
    for task in 1..=3 {
        let mut run = Command::new("sh");
        run.arg(&file).env("PATH", &path).env("SLURM_ARRAY_TASK_ID", task.to_string());
        assert!(run.output().unwrap().status.success());
    }
    assert_eq!(status(&out).0, Some(0));
}
