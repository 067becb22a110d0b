//! Random commands over random folders, with random faults: killed, halted, out of room, with closed streams, beside a second
//! process, with a clock that jumps. What must hold whatever happens:
//!
//! * no file that was there is changed,
//! * every picture that appears is whole, and every line of a record is true,
//! * exit codes are those that are documented, and nothing takes forever,
//! * the same command without a fault comes to its end afterwards, with a result for every picture that can be read, and leaves no
//!   temporary file.
//!
//! Short here; `DUALRES_CHAOS=10` runs for ten minutes, and `DUALRES_CHAOS_SEED=n` begins with another round. A failure names the
//! round that repeats it.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeMap,
    fs::{File, FileTimes},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant, SystemTime},
};

use dualres_imaging::{Format, Picture, Plane};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;

const DUALRES: &str = env!("CARGO_BIN_EXE_dualres");
/// Rounds of the short form.
const ROUNDS: u64 = 24;
/// No command here has more to do than takes a second or two.
const LONGEST: Duration = Duration::from_secs(120);

#[test]
fn whatever_happens_nothing_is_lost() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let first = number("DUALRES_CHAOS_SEED").unwrap_or(1);
    let minutes = number("DUALRES_CHAOS");
    let begun = Instant::now();
    let mut rounds = 0;
    loop {
        round(first + rounds);
        rounds += 1;
        let enough = match minutes {
            Some(minutes) => begun.elapsed() > Duration::from_secs(60 * minutes),
            None => rounds >= ROUNDS,
        };
        if enough {
            break;
        }
    }
}

fn round(seed: u64) {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let good = fill(folder, &mut random);
    let work = Work::any(&mut random);
    let before = files(folder);
    for _ in 0..random.random_range(1..=3) {
        let fault = Fault::any(&mut random);
        let context = format!("round {seed}: {:?} with {fault:?}", work.arguments);
        fault.strike(folder, &work, &mut random, &context);
        check(folder, &before, &context);
        if random.random_bool(0.3) {
            shift_times(folder, &mut random);
        }
    }
    let context = format!("round {seed}: {:?} at last", work.arguments);
    let child = start(folder, &work.arguments, Stdio::null(), Stdio::null());
    let code = end(child, &context);
    assert!(matches!(code, Some(0..=2)), "{context}: {code:?}");
    check(folder, &before, &context);
    let now = files(folder);
    assert!(!now.keys().any(|path| is_temporary(path)), "{context}: {:?}", now.keys());
    if work.is_batch {
        let results = done(&folder.join("out")).len();
        assert_eq!(results, good, "{context}: results for {good} pictures");
    }
}

/// Pictures, good and broken, and files of the user's that have the names of results. Returns how many pictures are good.
fn fill(folder: &Path, random: &mut ChaCha8Rng) -> usize {
    let mut good = 0;
    for number in 0..random.random_range(2..7) {
        let below = ["", "a", "a/b", ".hidden"][random.random_range(0..4)];
        let path = folder.join("in").join(below).join(format!("p{number}.png"));
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let side = random.random_range(1..40);
        let samples = (0..side * side).map(|_| f32::from(random.random::<u8>())).collect();
        let picture = Picture::from_planes(vec![Plane::new(side, side, samples)]);
        let mut bytes = dualres_imaging::encode(&picture, Format::Png, Default::default()).unwrap();
        match random.random_range(0..5) {
            0 => bytes.truncate(bytes.len() / 2),
            _ if below != ".hidden" => good += 1,
            _ => {}
        }
        std::fs::write(&path, bytes).unwrap();
    }
    // One at least.
    let picture = Picture::from_planes(vec![Plane::filled(20, 20, 90.0)]);
    dualres_imaging::write(&folder.join("in/last.png"), &picture, Default::default()).unwrap();
    for name in ["out/p1_x2.png", "out/a/p2_x2.png", "proofs/p1_x2_dual.png", "table.csv", "one.png", "in/p1_x2.txt"] {
        if random.random_bool(0.4) {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "somebody's").unwrap();
        }
    }
    good + 1
}

/// A command that is given again and again.
struct Work {
    arguments: Vec<&'static str>,
    is_batch: bool,
}

impl Work {
    fn any(random: &mut ChaCha8Rng) -> Self {
        let batch: &[&str] = &["upscale", "in", "-o", "out", "--device", "cpu"];
        let (arguments, is_batch): (Vec<&str>, bool) = match random.random_range(0..6) {
            0 => (batch.to_vec(), true),
            1 => ([batch, &["--dual", "proofs", "--json"]].concat(), true),
            2 => ([batch, &["--format", "jpg", "--consistency", "proofs"]].concat(), true),
            3 => (vec!["upscale", "in/last.png", "-o", "one.png", "--dual", "back.png", "--device", "cpu"], false),
            4 => (vec!["models", "export", "x2", "-o", "x2.onnx"], false),
            _ => {
                let small = ["--network", "plain", "--n-feats", "8", "--n-blocks", "1", "--patch", "8", "--batch", "1"];
                let train = ["train", "--data", "in", "-o", "run", "--steps", "6", "--validate-every", "2"];
                ([&train[..], &small, &["--device", "cpu"]].concat(), false)
            }
        };
        Self { arguments, is_batch }
    }
}

/// What goes wrong while it runs.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Kill(Duration),
    Interrupt(Duration),
    Halt(Duration),
    ClosedStreams,
    FullStreams,
    /// Files may have so many blocks of 512 bytes.
    NoRoom(u32),
    SecondProcess,
}

impl Fault {
    fn any(random: &mut ChaCha8Rng) -> Self {
        let moment = Duration::from_millis(random.random_range(1..900));
        match random.random_range(0..7) {
            0 => Self::Kill(moment),
            1 => Self::Interrupt(moment),
            2 => Self::Halt(moment),
            3 => Self::ClosedStreams,
            4 => Self::FullStreams,
            5 => Self::NoRoom(random.random_range(1..12)),
            _ => Self::SecondProcess,
        }
    }

    fn strike(self, folder: &Path, work: &Work, random: &mut ChaCha8Rng, context: &str) {
        let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
        let quiet = || start(folder, &work.arguments, Stdio::null(), Stdio::null());
        match self {
            Self::Kill(moment) => {
                let mut child = quiet();
                std::thread::sleep(moment);
                child.kill().unwrap();
                child.wait().unwrap();
            }
            Self::Interrupt(moment) => {
                let child = quiet();
                std::thread::sleep(moment);
                signal(&child, rustix::process::Signal::INT);
                // Before the program listens, the system ends it.
                let code = end(child, context);
                assert!(matches!(code, None | Some(0..=2 | 130)), "{context}: {code:?}");
            }
            Self::Halt(moment) => {
                let child = quiet();
                std::thread::sleep(moment);
                signal(&child, rustix::process::Signal::STOP);
                std::thread::sleep(Duration::from_millis(random.random_range(1..300)));
                signal(&child, rustix::process::Signal::CONT);
                let code = end(child, context);
                assert!(matches!(code, Some(0..=2)), "{context}: {code:?}");
            }
            Self::ClosedStreams => {
                let mut child = start(folder, &work.arguments, Stdio::piped(), Stdio::piped());
                drop((child.stdout.take(), child.stderr.take()));
                let code = end(child, context);
                assert!(matches!(code, Some(0..=2)), "{context}: {code:?}");
            }
            Self::FullStreams => {
                let code = end(start(folder, &work.arguments, full(), full()), context);
                assert!(matches!(code, Some(0..=2)), "{context}: {code:?}");
            }
            Self::NoRoom(blocks) => {
                let line = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
                let child = Command::new("sh")
                    .args(["-c", &line, DUALRES])
                    .args(&work.arguments)
                    .current_dir(folder)
                    .env("DUALRES_HOME", folder.join("home"))
                    .stdout(Stdio::null())
                    .stderr(Stdio::null())
                    .spawn()
                    .unwrap();
                let code = end(child, context);
                assert!(matches!(code, Some(0..=2)), "{context}: {code:?}");
            }
            Self::SecondProcess => {
                let children = [quiet(), quiet()];
                for child in children {
                    let code = end(child, context);
                    assert!(matches!(code, Some(0..=2)), "{context}: {code:?}");
                }
            }
        }
    }
}

fn start(folder: &Path, arguments: &[&str], out: Stdio, errors: Stdio) -> Child {
    Command::new(DUALRES)
        .args(arguments)
        .current_dir(folder)
        .env("DUALRES_HOME", folder.join("home"))
        .stdin(Stdio::null())
        .stdout(out)
        .stderr(errors)
        .spawn()
        .unwrap()
}

fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    // It may have come to its end.
    let _ = rustix::process::kill_process(pid, signal);
}

/// The exit code, which comes in time.
fn end(mut child: Child, context: &str) -> Option<i32> {
    let begun = Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code();
        }
        if begun.elapsed() > LONGEST {
            child.kill().unwrap();
            panic!("{context}: it did not come to an end");
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            found.insert(path, bytes);
        }
    }
    found
}

fn is_temporary(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "tmp")
}

/// Results that a record says are done.
fn done(folder: &Path) -> BTreeMap<String, Value> {
    let Ok(record) = std::fs::read_to_string(folder.join(".dualres-batch.jsonl")) else { return BTreeMap::new() };
    let lines = record.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let done = lines.filter(|line| line["record"] == "done");
    done.map(|line| (line["output"].as_str().unwrap().to_owned(), line)).collect()
}

fn check(folder: &Path, before: &BTreeMap<PathBuf, Vec<u8>>, context: &str) {
    let now = files(folder);
    for (path, bytes) in before {
        assert_eq!(now.get(path), Some(bytes), "{context}: {} changed", path.display());
    }
    for (path, bytes) in &now {
        let is_picture = path.extension().is_some_and(|extension| extension == "png" || extension == "jpg");
        if is_picture && !before.contains_key(path) {
            let whole = dualres_imaging::decode(bytes, &path.display().to_string());
            assert!(whole.is_ok(), "{context}: {} is not whole", path.display());
        }
        if path.extension().is_some_and(|extension| extension == "safetensors" || extension == "onnx") {
            assert!(bytes.len() > 100, "{context}: {} is not whole", path.display());
        }
    }
    for (output, line) in done(&folder.join("out")) {
        let there = std::fs::metadata(folder.join("out").join(&output)).map(|there| there.len()).ok();
        assert_eq!(there, line["bytes"].as_u64(), "{context}: the record is not true of {output}");
    }
}

/// The clock was wrong, or is now.
fn shift_times(folder: &Path, random: &mut ChaCha8Rng) {
    let year = Duration::from_secs(365 * 24 * 60 * 60);
    for path in files(folder).into_keys() {
        let time = if random.random_bool(0.5) { SystemTime::now() + year } else { SystemTime::now() - year };
        let file = File::options().write(true).open(path).unwrap();
        file.set_times(FileTimes::new().set_modified(time)).unwrap();
    }
}
