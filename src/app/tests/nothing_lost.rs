//! What must not happen whatever is given: files of the user's replaced unasked, work thrown away for a word that could not be
//! said, one bad item spoiling the rest.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use dualres_imaging::{Depth, Picture, Plane};
use serde_json::Value;

const DUALRES: &str = env!("CARGO_BIN_EXE_dualres");

fn project(path: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// The program in `folder`, as if nobody had used it before.
fn command(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(DUALRES);
    command.args(arguments).current_dir(folder).env("DUALRES_HOME", folder.join("home"));
    command
}

fn dualres(folder: &Path, arguments: &[&str]) -> Output {
    command(folder, arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// A part of a sample photo as a file, of `side` pixels.
fn photo(path: &Path, side: usize) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let photo = dualres_imaging::read(&project("assets/samples/chelsea.png")).unwrap();
    dualres_imaging::write(path, &photo.crop(100, 80, side, side), Default::default()).unwrap();
}

/// Every output of every command: what is there stays, byte for byte, and the command says so with exit code 2.
#[test]
fn what_exists_is_replaced_by_no_command_that_was_not_asked_to() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    photo(&folder.join("a.png"), 24);
    photo(&folder.join("photo.jpg"), 24);
    assert_eq!(code(&dualres(folder, &["models", "export", "x2", "-o", "m.safetensors"])), 0);
    for name in ["there.safetensors", "there.onnx", "there.svg", "there.csv", "there.png"] {
        std::fs::write(folder.join(name), "somebody's").unwrap();
    }
    std::fs::write(folder.join("numbers.csv"), "step,psnr\n1,30\n2,31\n").unwrap();
    let compress = ["compress", "--model", "x2", "--ratio", "0.5", "--data", ".", "--quick", "--out"];
    let cases: [&[&str]; 15] = [
        &["models", "import", "m.safetensors", "-o", "m.safetensors", "--overwrite"],
        &["models", "import", "m.safetensors", "-o", "./home/../m.safetensors", "--overwrite"],
        &["models", "import", "m.safetensors", "-o", "photo.jpg", "--overwrite"],
        &["models", "import", "m.safetensors", "-o", "there.safetensors"],
        &["models", "export", "x2", "-o", "there.safetensors"],
        &["models", "export", "x2", "-o", "there.onnx"],
        &["models", "export", "x2", "--format", "onnx", "-o", "photo.jpg", "--overwrite"],
        &["models", "export", "m.safetensors", "-o", "m.safetensors", "--overwrite"],
        &["plot", "numbers.csv", "--y", "psnr", "-o", "there.svg"],
        &["upscale", "a.png", "-o", "there.png"],
        &["upscale", "a.png", "-o", "./a.png", "--overwrite"],
        &["upscale", "a.png", "-o", "new.png", "--dual", "there.png"],
        &["upscale", "a.png", "-o", "new.png", "--dual", "home/../new.png"],
        &["upscale", "a.png", "-o", "new.png", "--table", "there.csv"],
        &[
            compress[0],
            compress[1],
            compress[2],
            compress[3],
            compress[4],
            compress[5],
            compress[6],
            compress[7],
            compress[8],
            "there.safetensors",
        ],
    ];
    let before = contents(folder);
    for arguments in cases {
        let run = dualres(folder, arguments);
        assert_eq!(code(&run), 2, "{arguments:?}: {}", said(&run));
        assert_eq!(said(&run).lines().count(), 1, "{}", said(&run));
        assert_eq!(contents(folder), before, "{arguments:?}");
    }
    // And it is, if that was asked for.
    for arguments in [cases[3], cases[4], cases[5], cases[8], cases[9]] {
        let run = dualres(folder, &[arguments, &["--overwrite"]].concat());
        assert_eq!(code(&run), 0, "{arguments:?}: {}", said(&run));
    }
    assert_ne!(std::fs::read(folder.join("there.svg")).unwrap(), b"somebody's");
}

/// Names and contents of the files of a folder.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| (path.clone(), std::fs::read(&path).unwrap()))
        .collect();
    found.sort();
    found
}

#[test]
fn proofs_and_tables_of_a_batch_are_replaced_only_by_their_own_batch() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    photo(&folder.join("in/p1.png"), 24);
    std::fs::create_dir_all(folder.join("p/d")).unwrap();
    std::fs::write(folder.join("p/d/p1_x2_dual.png"), "somebody's").unwrap();
    let batch = ["upscale", "in", "-o", "p/", "--dual", "p/d", "--table", "table.csv", "--device", "cpu"];
    assert_eq!(code(&dualres(folder, &batch)), 0);
    assert_eq!(std::fs::read(folder.join("p/d/p1_x2_dual.png")).unwrap(), b"somebody's");
    assert!(folder.join("p/d/p1_x2_dual-2.png").exists());
    // Once more: the table is its own, and nothing is made twice.
    let again = dualres(folder, &batch);
    assert_eq!(code(&again), 0, "{}", said(&again));
    assert_eq!(std::fs::read_dir(folder.join("p/d")).unwrap().count(), 2);
    assert!(std::fs::read_to_string(folder.join("table.csv")).unwrap().contains("skipped"));
    std::fs::write(folder.join("table.csv"), "input,state,output\nmy notes").unwrap();
    assert_eq!(code(&dualres(folder, &batch)), 2);
}

#[cfg(unix)]
#[test]
fn links_without_an_end_and_folders_that_cannot_be_are_told_before_the_work() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    photo(&folder.join("a.png"), 24);
    std::fs::write(folder.join("file"), "").unwrap();
    std::os::unix::fs::symlink("later.png", folder.join("link.png")).unwrap();
    std::os::unix::fs::symlink("file/later.png", folder.join("astray.png")).unwrap();
    assert_eq!(code(&dualres(folder, &["upscale", "a.png", "-o", "link.png"])), 0);
    assert!(folder.join("link.png").is_symlink() && folder.join("later.png").is_file());
    let cases: [&[&str]; 7] = [
        &["upscale", "a.png", "-o", "astray.png"],
        &["upscale", "a.png", "-o", "file/b.png"],
        &["upscale", "a.png", "-o", "b.png", "--dual", "file/d.png"],
        &["upscale", "a.png", "-o", "b.png", "--table", "file/t.csv"],
        &["train", "--data", ".", "-o", "file/run"],
        &["models", "export", "x2", "-o", "file/x2.onnx"],
        &["compress", "--model", "x2", "--ratio", "0.5", "--data", ".", "--quick", "--out", "file/c.safetensors"],
    ];
    for arguments in cases {
        let run = dualres(folder, arguments);
        assert_eq!(code(&run), 2, "{arguments:?}: {}", said(&run));
        assert!(said(&run).contains("file"), "{}", said(&run));
        assert!(!folder.join("b.png").exists());
    }
}

/// What cannot be said costs no work.
#[cfg(target_os = "linux")]
#[test]
fn full_and_closed_streams_end_nothing() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for name in ["1.png", "2.png", "3.png"] {
        photo(&folder.join("in").join(name), 20);
    }
    let results = |out: &str| std::fs::read_dir(folder.join(out)).unwrap().count();
    // A warning (JPEG holds fewer bits) that cannot be said; told on the other stream.
    let quiet = ["upscale", "in", "-o", "errors", "--format", "JPG", "--depth", "16", "--device", "cpu"];
    let run = command(folder, &quiet).stderr(full()).output().unwrap();
    assert_eq!((code(&run), results("errors")), (0, 4));
    assert!(String::from_utf8_lossy(&run.stdout).contains("cannot write to standard error"));
    let json = ["upscale", "in", "-o", "json", "--json", "--depth", "32", "--device", "cpu"];
    let run = command(folder, &json).stderr(full()).output().unwrap();
    for line in String::from_utf8_lossy(&run.stdout).lines() {
        serde_json::from_str::<Value>(line).unwrap();
    }
    assert_eq!(results("json"), 4);
    // Results that cannot be told of are there all the same, and the exit code says that something was not done.
    let run = command(folder, &["upscale", "in", "-o", "lines", "--device", "cpu"]).stdout(full()).output().unwrap();
    assert_eq!((code(&run), results("lines")), (1, 4));
    assert!(said(&run).contains("cannot write to standard output"), "{}", said(&run));
    // Errors that nobody can read are errors still; both streams gone are no panic either.
    let run = command(folder, &["upscale", "gone.png", "-o", "x.png"]).stderr(full()).output().unwrap();
    assert_eq!(code(&run), 1);
    let run = command(folder, &["models", "list"]).stdout(full()).stderr(full()).status().unwrap();
    assert_eq!(run.code(), Some(1));
    // A reader that has gone wants no more.
    let mut child = command(folder, &["upscale", "in", "-o", "gone", "--device", "cpu"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let run = child.wait_with_output().unwrap();
    assert!(run.status.code().is_some_and(|code| code < 2), "{run:?}");
    assert!(!said(&run).contains("panick"), "{}", said(&run));
}

#[test]
fn one_bad_picture_does_not_spoil_a_measurement_or_a_training() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    for name in ["1.png", "2.png"] {
        photo(&folder.join("val").join(name), 64);
    }
    photo(&folder.join("val/tiny.png"), 9);
    std::fs::write(folder.join("val/broken.png"), b"\x89PNG\r\n\x1a\nno more").unwrap();
    let run = dualres(folder, &["evaluate", "--model", "x2", "--hr", "val", "--device", "cpu", "--json"]);
    assert_eq!(code(&run), 1, "{}", said(&run));
    let measured: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert_eq!(measured["images"].as_array().unwrap().len(), 2);
    assert_eq!(measured["left_out"].as_array().unwrap().len(), 2);
    assert!(measured["mean"]["psnr_y"].as_f64().unwrap() > 20.0);
    let run = dualres(folder, &["evaluate", "--model", "x2", "--hr", "val", "--device", "cpu"]);
    assert!(said(&run).contains("broken.png") && said(&run).contains("tiny.png"), "{}", said(&run));

    assert_eq!(code(&dualres(folder, &["models", "export", "x2", "-o", "m.safetensors"])), 0);
    let run = dualres(folder, &["models", "calibrate", "m.safetensors", "--hr", "val", "--device", "cpu"]);
    assert_eq!(code(&run), 1);
    assert!(said(&run).contains("broken.png"), "{}", said(&run));
    let run = dualres(folder, &["models", "show", "m.safetensors"]);
    assert!(String::from_utf8_lossy(&run.stdout).contains("on val"), "it was calibrated");

    let small = ["--network", "residual", "--n-feats", "8", "--n-blocks", "1", "--patch", "16", "--batch", "1"];
    let train = ["train", "--data", "val", "--validation", "val", "-o", "run", "--steps", "2", "--device", "cpu"];
    let train = [&train[..], &small].concat();
    let run = dualres(folder, &train);
    assert_eq!(code(&run), 1, "{}", said(&run));
    assert!(said(&run).contains("2 images could not be used"), "{}", said(&run));
    assert!(folder.join("run/best.safetensors").exists());

    // What it came to is not begun over.
    std::fs::remove_file(folder.join("run/state.safetensors")).unwrap();
    let before = contents(&folder.join("run"));
    let run = dualres(folder, &train);
    assert_eq!(code(&run), 1);
    assert!(said(&run).contains("without the state"), "{}", said(&run));
    assert_eq!(contents(&folder.join("run")), before, "it is left as it was");
}

/// A run whose numbers explode ends as a failure and leaves no network that gives nothing.
#[test]
fn a_training_that_blows_up_is_no_success() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    photo(&folder.join("data/1.png"), 64);
    let small = ["--network", "plain", "--n-feats", "8", "--n-blocks", "1", "--patch", "16", "--batch", "1"];
    let train = ["train", "--data", "data", "-o", "run", "--steps", "40", "--warmup", "0", "--lr", "1e30"];
    let free = ["--clip", "1e30", "--skip-threshold", "1e30", "--device", "cpu"];
    let run = dualres(folder, &[&train[..], &small, &free].concat());
    assert_eq!(code(&run), 1, "{}", said(&run));
    assert!(said(&run).contains("diverged"), "{}", said(&run));
    assert!(!String::from_utf8_lossy(&run.stdout).contains("done"));
}

/// Pictures that give nothing are named when they are met and once more at the end, whatever else was done.
#[test]
fn pictures_that_a_training_cannot_use_are_listed_and_it_counts_as_a_failure() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    photo(&folder.join("data/1.png"), 64);
    let whole = std::fs::read(folder.join("data/1.png")).unwrap();
    std::fs::write(folder.join("data/short.png"), &whole[..whole.len() / 2]).unwrap();
    let mut samples = vec![0.5; 3 * 64 * 64];
    samples[100] = f32::NAN;
    std::fs::write(folder.join("data/odd.tif"), float_tiff(64, 64, &samples)).unwrap();
    let train = ["train", "--data", "data", "-o", "run", "--steps", "30", "--patch", "16", "--batch", "2"];
    let small = ["--network", "plain", "--n-feats", "8", "--n-blocks", "1", "--device", "cpu", "--json"];
    let run = dualres(folder, &[&train[..], &small].concat());
    assert_eq!(code(&run), 1, "{}", said(&run));
    assert!(folder.join("run/last.safetensors").exists(), "it is trained all the same");
    let end = said(&run);
    let end = end.split_once("2 images could not be used").unwrap().1;
    assert!(
        end.contains("short.png") && end.contains("odd.tif") && end.contains("NaN or infinite samples (1)"),
        "{end}"
    );

    let run = dualres(folder, &["evaluate", "--model", "x2", "--hr", "data", "--device", "cpu"]);
    assert_eq!(code(&run), 1);
    let end = said(&run);
    let end = end.split_once("2 images could not be used").unwrap().1;
    assert!(end.contains("short.png") && end.contains("odd.tif"), "{end}");
}

#[test]
fn two_programs_do_not_train_in_one_folder() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    photo(&folder.join("data/1.png"), 64);
    std::fs::create_dir(folder.join("run")).unwrap();
    let held = dualres_imaging::lock::Lock::take(&folder.join("run/dualres.lock")).unwrap();
    let train =
        ["train", "--data", "data", "-o", "run", "--steps", "1", "--patch", "16", "--batch", "1", "--n-feats", "8"];
    let run = dualres(folder, &train);
    assert_eq!(code(&run), 1);
    assert!(said(&run).contains("another process"), "{}", said(&run));
    drop(held);
    assert_eq!(code(&dualres(folder, &[&train[..], &["--device", "cpu"]].concat())), 0);
}

#[test]
fn hidden_folders_and_results_of_other_batches_are_nobodys_wish() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    for name in ["in/a.png", "in/.Trash-1000/old.png", "in/@eaDir/thumb.png", "in/trip/b.png"] {
        photo(&folder.join(name), 20);
    }
    // Results among the pictures, of another command.
    assert_eq!(code(&dualres(folder, &["upscale", "in/trip", "-o", "in/trip/large", "--device", "cpu"])), 0);
    let run = dualres(folder, &["upscale", "in", "-o", "out", "--device", "cpu"]);
    assert_eq!(code(&run), 0, "{}", said(&run));
    assert!(said(&run).contains("2 hidden") && said(&run).contains("1 result of"), "{}", said(&run));
    let names = |folder: &Path| {
        let mut names: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    assert_eq!(names(&folder.join("out")), [".dualres-batch.jsonl", "a_x2.png", "trip"]);
    assert_eq!(names(&folder.join("out/trip")), ["b_x2.png"]);
    // Proofs among the pictures, of a batch whose results lie elsewhere.
    let proofs = ["upscale", "in/trip/b.png", "in/a.png", "-o", "far", "--dual", "in/trip/proofs", "--device", "cpu"];
    assert_eq!(code(&dualres(folder, &proofs)), 0);
    let run = dualres(folder, &["upscale", "in/trip", "-o", "out2", "--device", "cpu"]);
    assert!(said(&run).contains("3 results of"), "{}", said(&run));
    assert_eq!(names(&folder.join("out2")), [".dualres-batch.jsonl", "b_x2.png"]);
    // Named, they count.
    assert_eq!(code(&dualres(folder, &["upscale", "in/.Trash-1000", "-o", "trash", "--device", "cpu"])), 0);
    assert!(folder.join("trash/old_x2.png").exists());
}

#[test]
fn pictures_are_numbered_as_people_do_and_named_once() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    for name in ["img10.png", "img2.png", "img1.png"] {
        photo(&folder.join("in").join(name), 16);
    }
    let spellings = ["upscale", "in", "./in/img2.png", "in/../in/img2.png", "-o", "out", "--name", "{index}-{name}."];
    let run = dualres(folder, &[&spellings[..], &["--device", "cpu"]].concat());
    assert_eq!(code(&run), 0, "{}", said(&run));
    for name in ["0001-img1.png", "0002-img2.png", "0003-img10.png"] {
        assert!(folder.join("out").join(name).exists(), "{name}");
    }
    assert_eq!(std::fs::read_dir(folder.join("out")).unwrap().count(), 4);
}

/// One rule says what the name of a model means, in every command.
#[test]
fn every_command_takes_the_names_that_are_listed() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    photo(&folder.join("data/1.png"), 64);
    let listed = dualres(folder, &["models", "list", "--json"]);
    for line in String::from_utf8_lossy(&listed.stdout).lines() {
        let facts: Value = serde_json::from_str(line).unwrap();
        assert_eq!(code(&dualres(folder, &["models", "show", facts["name"].as_str().unwrap()])), 0, "{line}");
    }
    let run = dualres(folder, &["models", "calibrate", "x2", "--hr", "data"]);
    assert!(code(&run) == 2 && said(&run).contains("built in"), "{}", said(&run));
    let train =
        ["train", "--data", "data", "-o", "run", "--init", "x2", "--steps", "1", "--patch", "16", "--batch", "1"];
    assert_eq!(code(&dualres(folder, &[&train[..], &["--device", "cpu"]].concat())), 0);
    let run = dualres(folder, &["upscale", "data/1.png", "-o", "x.png", "--device", ""]);
    assert!(code(&run) > 0 && said(&run).contains("auto, cpu, gpu"), "{}", said(&run));
}

#[cfg(unix)]
#[test]
fn messages_are_one_line_and_command_no_terminal() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let odd = "a\u{1b}[2Jb\nc.png";
    std::fs::write(folder.join(odd), b"no picture").unwrap();
    let run = dualres(folder, &["upscale", odd, "-o", "x.png"]);
    let message = said(&run);
    assert!(!message.contains('\u{1b}') && message.lines().count() == 1, "{message:?}");
    assert!(message.contains("\\u{1b}[2J"), "{message:?}");
    assert_eq!(message.matches("c.png").count(), 1, "{message:?}");
    let run = dualres(folder, &["compress", "--resume", "nowhere"]);
    assert!(said(&run).contains("no run folder") && !said(&run).contains("damaged"), "{}", said(&run));
}

/// Light at a place, where it is another than the photo's.
type Lights<'a> = &'a dyn Fn(usize, usize) -> Option<f32>;

/// Light beyond white stays where it is: what is far from it is as it would be without it.
#[test]
fn a_hot_pixel_a_lamp_and_a_gradient_leave_the_rest_alone() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let photo = dualres_imaging::read(&project("assets/samples/chelsea.png")).unwrap();
    let mut picture = photo.crop(80, 60, 96, 96);
    // A white frame in the photo: edges near white are where a network overshoots.
    for plane in &mut picture.planes {
        for i in 0..96 * 96 {
            let (x, y) = (i % 96, i / 96);
            if (16..80).contains(&x) && (16..80).contains(&y) && !(24..72).contains(&x) {
                plane.data[i] = 251.0;
            }
        }
    }
    let floats = |lights: Lights<'_>| {
        let samples: Vec<f32> = (0..96 * 96)
            .flat_map(|i| {
                let light = lights(i % 96, i / 96);
                [0, 1, 2].map(|c| light.unwrap_or(picture.planes[c].data[i] / 255.0))
            })
            .collect();
        float_tiff(96, 96, &samples)
    };
    let lights: [(&str, f32, Lights<'_>); 4] = [
        ("hot", 100.0, &|x, y| (x == 88 && y == 8).then_some(100.0)),
        ("sun", 10_000.0, &|x, y| (x == 88 && y == 8).then_some(10_000.0)),
        ("lamp", 40.0, &|x, y| ((84..92).contains(&x) && y < 8).then_some(40.0)),
        ("gradient", 8.0, &|_, y| (y < 8).then_some(8.0 - y as f32)),
    ];
    std::fs::write(folder.join("plain.tif"), floats(&|_, _| None)).unwrap();
    let run = dualres(folder, &["upscale", "plain.tif", "-o", "plain_out.tif", "--model", "x2", "--device", "cpu"]);
    assert_eq!(code(&run), 0, "{}", said(&run));
    let plain = light_of(&folder.join("plain_out.tif"));
    for (name, brightest, lights) in lights {
        let (input, output) = (format!("{name}.tif"), format!("{name}_out.tif"));
        std::fs::write(folder.join(&input), floats(lights)).unwrap();
        let run = dualres(folder, &["upscale", &input, "-o", &output, "--model", "x2", "--device", "cpu"]);
        assert_eq!(code(&run), 0, "{}", said(&run));
        let light = light_of(&folder.join(&output));
        let (mut far, mut worst, mut most) = (0, 0.0_f32, 0.0_f32);
        for plane in 0..3 {
            for i in 0..192 * 192 {
                most = most.max(light[plane][i]);
                if i / 192 > 40 {
                    far += 1;
                    worst = worst.max((light[plane][i] - plain[plane][i]).abs());
                    assert!(light[plane][i] <= 1.001, "{name}: {} of {brightest}", light[plane][i]);
                }
            }
        }
        // Rounding alone: the network sees the same.
        assert!(far > 0 && worst < 1e-3, "{name}: {worst}");
        assert!(most > 0.5 * brightest && most <= 1.001 * brightest, "{name}: {most} of {brightest}");
    }
}

/// Light of a picture's planes, white being 1.
fn light_of(path: &Path) -> Vec<Vec<f32>> {
    let mut decoder = tiff::decoder::Decoder::new(std::io::BufReader::new(File::open(path).unwrap())).unwrap();
    let tiff::decoder::DecodingResult::F32(samples) = decoder.read_image().unwrap() else { panic!("floats") };
    (0..3).map(|c| samples.iter().skip(c).step_by(3).copied().collect()).collect()
}

fn float_tiff(width: u32, height: u32, samples: &[f32]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let mut encoder = tiff::encoder::TiffEncoder::new(&mut bytes).unwrap();
    encoder.write_image::<tiff::encoder::colortype::RGB32Float>(width, height, samples).unwrap();
    bytes.into_inner()
}

/// Samples that are no numbers are counted and told, also such as are too large for any.
#[test]
fn odd_samples_are_told() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let mut samples = vec![0.5_f32; 3 * 24 * 24];
    (samples[0], samples[1], samples[2], samples[300]) = (f32::NAN, f32::INFINITY, 3.4e38, -0.1);
    std::fs::write(folder.join("odd.tif"), float_tiff(24, 24, &samples)).unwrap();
    let run = dualres(folder, &["upscale", "odd.tif", "-o", "out.tif", "--device", "cpu"]);
    assert_eq!(code(&run), 0, "{}", said(&run));
    assert!(said(&run).contains("black or white: 3"), "{}", said(&run));
    assert!(light_of(&folder.join("out.tif")).iter().flatten().all(|light| light.is_finite()));
}

/// A figure is given where its method holds.
#[test]
fn nothing_is_expected_of_a_picture_of_one_pixel() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    let mut one = Picture::from_planes(vec![Plane::filled(1, 1, 100.0)]);
    one.depth = Depth::Eight;
    dualres_imaging::write(&folder.join("one.png"), &one, Default::default()).unwrap();
    let run = dualres(folder, &["upscale", "one.png", "-o", "out.png", "--device", "cpu", "--json"]);
    let line: Value = serde_json::from_slice(&run.stdout).unwrap();
    assert!(line["expected_psnr"].is_null(), "{line}");
}

/// Light as bright everywhere stays as bright, to the border, and so does the shadow beside a sun.
#[test]
fn bright_areas_stay_as_bright_as_they_are() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path();
    for brightness in [2.0, 10.0, 1000.0] {
        std::fs::write(folder.join("even.tif"), float_tiff(32, 32, &[brightness; 3 * 32 * 32])).unwrap();
        let run = dualres(folder, &["upscale", "even.tif", "-o", "out.tif", "--device", "cpu", "--overwrite"]);
        assert_eq!(code(&run), 0, "{}", said(&run));
        for light in light_of(&folder.join("out.tif")).iter().flatten() {
            assert!((light / brightness - 1.0).abs() < 0.01, "{light} of {brightness}");
        }
    }
}
