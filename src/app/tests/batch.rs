//! Batches as photographers run them: large, with broken files among the good, killed in the middle.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/program.rs"]
mod program;

use std::{
    collections::BTreeSet,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use dualres_imaging::{Picture, Plane};
use program::{dualres, lines, text};

/// A picture that no other number gives.
fn picture(number: usize, width: usize, height: usize) -> Picture {
    let plane = |channel: usize| {
        // Without jumps, which would look like noise.
        let sample = |i: usize| ((i * (channel + 3) + number * 7) % 510).abs_diff(255) as f32;
        Plane::new(width, height, (0..width * height).map(sample).collect())
    };
    Picture::from_planes((0..3).map(plane).collect())
}

fn write(path: &Path, picture: &Picture) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    dualres_imaging::write(path, picture, Default::default()).unwrap();
}

fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files_below(&path));
        } else {
            found.insert(path);
        }
    }
    found
}

/// Resident memory of a process in kB.
fn resident(child: &Child) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.split_whitespace().next()?.parse().ok()
}

/// Runs until `most` lines have been said, then kills the program; returns memory every hundred lines, and whether the
/// program came to its end.
fn run_until(arguments: &[&str], most: usize) -> (Vec<u64>, bool) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dualres"))
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut memory = Vec::new();
    let out = BufReader::new(child.stdout.take().unwrap());
    for (count, line) in out.lines().enumerate() {
        if line.is_err() {
            break;
        }
        if count % 100 == 99 {
            memory.extend(resident(&child));
        }
        if count + 1 == most {
            child.kill().unwrap();
            break;
        }
    }
    let ended = child.wait().unwrap().code().is_some();
    (memory, ended)
}

#[test]
fn thousands_of_files_killed_three_times_are_all_there_once_and_memory_stays_flat() {
    // `DUALRES_FILES=10000` for the long form.
    let count = std::env::var("DUALRES_FILES").ok().and_then(|text| text.parse().ok()).unwrap_or(2000);
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("in"), folder.path().join("out"));
    let mut good = BTreeSet::new();
    for number in 0..count {
        let path = from.join(format!("roll{:02}/IMG_{number:05}.png", number / 100));
        if number % 20 == 7 {
            // Every twentieth is broken, in one way or another.
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            let broken: &[u8] = if number % 40 == 7 { b"not a picture" } else { b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" };
            std::fs::write(&path, broken).unwrap();
        } else {
            write(&path, &picture(number, 60, 40));
            good.insert(format!("roll{:02}/IMG_{number:05}_x2.png", number / 100));
        }
    }
    let arguments = ["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json"];
    let mut memory = Vec::new();
    for most in [count * 3 / 10, count * 5 / 10, count * 7 / 10] {
        let (seen, ended) = run_until(&arguments, most);
        assert!(!ended, "killed");
        memory.push(seen);
    }
    let (seen, ended) = run_until(&arguments, usize::MAX);
    assert!(ended);
    memory.push(seen);

    let found = files_below(&to);
    let results: BTreeSet<String> = found
        .iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "png"))
        .map(|path| path.strip_prefix(&to).unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(results, good, "nothing lost, nothing double");
    assert_eq!(
        found.len(),
        results.len() + 1,
        "beside the results there is the record alone: {:?}",
        found.iter().rev().take(5)
    );
    for name in good.iter().step_by(97) {
        assert_eq!(dualres_imaging::dimensions(&to.join(name)).unwrap(), (120, 80), "{name}");
    }
    // A result is of its own original.
    let again = dualres(&[
        "upscale",
        text(&from.join("roll03/IMG_00333.png")),
        "-o",
        text(&to.join("again.png")),
        "--device",
        "cpu",
    ]);
    assert!(again.status.success());
    let [stored, made] =
        ["roll03/IMG_00333_x2.png", "again.png"].map(|name| dualres_imaging::read(&to.join(name)).unwrap());
    assert_eq!(stored.planes, made.planes);

    // Everything is done: nothing is made again, and the broken ones are told with their reasons.
    let last = dualres(&arguments);
    assert_eq!(last.status.code(), Some(1));
    let lines = lines(&last);
    let summary = &lines.last().unwrap()["summary"];
    assert_eq!(
        (&summary["done"], &summary["skipped"], &summary["failed"]),
        (&0.into(), &good.len().into(), &(count - good.len()).into())
    );
    assert_eq!(summary["failures"].as_array().unwrap().len(), count - good.len());

    println!("resident kB every hundred files: {memory:?}");
    // While it works in the first run; the others begin with skipping, which takes less.
    let working = memory[0][1];
    for memory in &memory {
        // A result that stayed in memory would be 115 kB for each file.
        let most = memory.iter().max().unwrap();
        assert!(*most < working + 40_000, "memory grows from {working}: {memory:?}");
    }
}

#[test]
fn a_batch_keeps_sub_folders_skips_what_is_done_and_makes_a_table() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to, table) = (folder.path().join("in"), folder.path().join("out"), folder.path().join("table.csv"));
    write(&from.join("a/one.png"), &picture(1, 20, 12));
    write(&from.join("a/b/one.png"), &picture(2, 20, 12));
    write(&from.join("two.tif"), &picture(3, 30, 12));
    std::fs::write(from.join("raw.nef"), b"raw").unwrap();
    let base = ["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json", "--table", text(&table)];
    let with = |more: &[&str]| lines(&dualres(&[&base[..], more].concat())).pop().unwrap()["summary"].clone();
    let summary = with(&[]);
    assert_eq!(summary["done"], 3);
    assert_eq!(summary["not_read"].as_array().map(Vec::len), Some(1), "{summary}");
    for name in ["a/one_x2.png", "a/b/one_x2.png", "two_x2.tif"] {
        assert!(to.join(name).exists(), "{name}");
    }
    let rows = std::fs::read_to_string(&table).unwrap();
    assert_eq!(rows.lines().count(), 4, "{rows}");

    assert_eq!(with(&[])["skipped"], 3);
    // Another setting is another result, beside the first.
    assert_eq!(with(&["--scale", "1.5"])["done"], 3);
    assert!(to.join("a/one_x2-2.png").exists());
    assert_eq!(dualres_imaging::dimensions(&to.join("a/one_x2-2.png")).unwrap(), (30, 18));
    // A changed original is done again; the others are not.
    write(&from.join("two.tif"), &picture(4, 30, 12));
    let summary = with(&[]);
    assert_eq!((&summary["done"], &summary["skipped"]), (&1.into(), &2.into()));
    assert_eq!(with(&["--overwrite"])["done"], 3);
    let named = with(&["--name", "{index}-{name}-{width}", "--format", "webp"]);
    assert_eq!(named["done"], 3);
    assert!(to.join("a/0002-one-40.webp").exists(), "{:?}", files_below(&to));
}

#[test]
fn results_among_the_pictures_are_not_enlarged_again_and_no_original_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("photos");
    write(&from.join("a.png"), &picture(1, 20, 12));
    write(&from.join("a.tif"), &picture(2, 20, 12));
    let summary = |arguments: &[&str]| lines(&dualres(arguments)).pop().unwrap()["summary"].clone();
    // Below the pictures, and beside them; then with the results of the first command among the pictures.
    for (to, done) in [(from.join("enlarged"), 2), (from.clone(), 2)] {
        let arguments = ["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json"];
        let said = summary(&arguments);
        assert_eq!((&said["done"], &said["failed"]), (&done.into(), &0.into()), "{said}");
        let again = summary(&arguments);
        assert_eq!((&again["done"], &again["skipped"]), (&0.into(), &done.into()), "{again}");
    }
    let before = std::fs::read(from.join("a.png")).unwrap();
    let bold = ["--name", "{name}", "--format", "png", "--overwrite"];
    summary(&[&["upscale", text(&from), "-o", text(&from), "--device", "cpu", "--json"][..], &bold].concat());
    assert_eq!(std::fs::read(from.join("a.png")).unwrap(), before, "an original is never replaced");
}

/// A folder of results above the pictures says nothing about them.
#[test]
fn results_may_go_above_the_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    write(&photos.join("a.png"), &picture(1, 20, 12));
    write(&photos.join("b/c.png"), &picture(2, 20, 12));
    let base = ["upscale", text(&photos), "-o", text(folder.path()), "--device", "cpu", "--json"];
    let summary = |more: &[&str]| lines(&dualres(&[&base[..], more].concat())).pop().unwrap()["summary"].clone();
    assert_eq!(summary(&["--dual", text(folder.path())])["done"], 2);
    assert!(folder.path().join("b/c_x2.png").exists() && folder.path().join("b/c_x2_dual.png").exists());
    assert_eq!(summary(&[])["skipped"], 2);
    // By a pattern, from the folder of results itself.
    let pattern = photos.join("*.png");
    let run = dualres(&["upscale", text(&pattern), "-o", text(folder.path()), "--device", "cpu", "--json"]);
    let said = lines(&run).pop().unwrap();
    assert_eq!(said["summary"]["skipped"], 1, "a pattern that fits one file is a batch: {said}");
    // Nothing but results is no batch at all.
    let run = dualres(&["upscale", text(folder.path()), "-o", text(folder.path()), "--device", "cpu"]);
    assert!(run.status.success(), "the pictures below are not results: {}", String::from_utf8_lossy(&run.stderr));
    let only = folder.path().join("only");
    std::fs::create_dir_all(only.join("results")).unwrap();
    write(&only.join("results/x.png"), &picture(3, 20, 12));
    let run = dualres(&["upscale", text(&only), "-o", text(&only.join("results")), "--device", "cpu"]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("choose another --output"));
}

/// What somebody else put under a result's name while the run was away is not replaced.
#[test]
fn a_file_that_came_in_between_stays() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["in", "out"].map(|name| folder.path().join(name));
    write(&from.join("a.png"), &picture(1, 20, 12));
    let arguments = ["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json"];
    let summary = || lines(&dualres(&arguments)).pop().unwrap()["summary"].clone();
    assert_eq!(summary()["done"], 1);
    // A run that was killed before it was done, as its record says.
    let record = to.join(".dualres-batch.jsonl");
    let whole = std::fs::read_to_string(&record).unwrap();
    let begun: Vec<&str> = whole.lines().filter(|line| !line.contains("\"done\"")).collect();
    std::fs::write(&record, begun.join("\n") + "\n").unwrap();
    assert_eq!(summary()["done"], 1);
    assert_eq!(files_below(&to).len(), 2, "its own file is known again: {:?}", files_below(&to));
    std::fs::write(&record, begun.join("\n") + "\n").unwrap();
    std::fs::write(to.join("a_x2.png"), b"mine").unwrap();
    assert_eq!(summary()["done"], 1);
    assert_eq!(std::fs::read(to.join("a_x2.png")).unwrap(), b"mine");
    assert!(to.join("a_x2-2.png").exists());
}

#[test]
fn a_table_replaces_nothing_unasked() {
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("c.png"), folder.path().join("out.png"));
    write(&from, &picture(1, 20, 12));
    let before = std::fs::read(&from).unwrap();
    let run =
        |table: &Path| dualres(&["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--table", text(table)]);
    for table in [&from, &to] {
        let refused = run(table);
        assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stderr));
    }
    assert_eq!(std::fs::read(&from).unwrap(), before);
    assert!(!to.exists(), "told before anything is made");
    let table = folder.path().join("t.csv");
    assert!(run(&table).status.success());
    std::fs::remove_file(&to).unwrap();
    assert_eq!(run(&table).status.code(), Some(2), "not even an earlier table");
    assert!(!to.exists());
}

/// With `--overwrite` the same command gives the same files, however often, and never results of results.
#[test]
fn overwriting_among_the_pictures_replaces_results_and_enlarges_none() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("photos");
    write(&from.join("a.png"), &picture(1, 20, 12));
    write(&from.join("b/c.png"), &picture(2, 20, 12));
    for to in [from.clone(), from.join("out")] {
        let arguments = ["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json", "--overwrite"];
        let mut seen = None;
        for _ in 0..3 {
            let run = dualres(&arguments);
            assert_eq!(lines(&run).pop().unwrap()["summary"]["done"], 2, "{}", String::from_utf8_lossy(&run.stderr));
            let now = files_below(&from);
            assert!(seen.is_none_or(|before| before == now), "{now:?}");
            seen = Some(now);
        }
        assert!(to.join("a_x2.png").exists() && to.join("b/c_x2.png").exists());
        // The second round begins without the results of the first.
        for path in ["a_x2.png", "b/c_x2.png", ".dualres-batch.jsonl"] {
            std::fs::remove_file(to.join(path)).unwrap();
        }
    }
}

/// A pipe is waited for without end by whoever opens it.
#[cfg(unix)]
#[test]
fn pipes_are_no_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["in", "out"].map(|name| folder.path().join(name));
    write(&from.join("ok.png"), &picture(1, 20, 12));
    let pipe = from.join("zz.jpg");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let run = dualres(&["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json"]);
    assert_eq!(lines(&run).pop().unwrap()["summary"]["done"], 1);
    let single = dualres(&["upscale", text(&pipe), "-o", text(&to.join("x.png")), "--device", "cpu"]);
    assert_eq!(single.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&single.stderr).contains("ordinary file"));
}

/// Phones call JPEG files `.heic`, programs call PNG files `.jpg`: what is in them decides, also about the results.
#[test]
fn content_decides_also_in_folders_and_what_is_not_read_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["in", "out"].map(|name| folder.path().join(name));
    let encoded = |format| dualres_imaging::encode(&picture(1, 20, 12), format, Default::default()).unwrap();
    std::fs::create_dir_all(&from).unwrap();
    std::fs::write(from.join("phone.heic"), encoded(dualres_imaging::Format::Jpeg)).unwrap();
    std::fs::write(from.join("odd.jpg"), encoded(dualres_imaging::Format::Png)).unwrap();
    std::fs::write(from.join("camera.raf"), b"FUJIFILMCCD-RAW 0201FF").unwrap();
    let run = dualres(&["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json"]);
    let said = lines(&run).pop().unwrap();
    assert_eq!(said["summary"]["done"], 2, "{said}");
    assert!(to.join("phone_x2.jpg").exists() && to.join("odd_x2.png").exists(), "{:?}", files_below(&to));
    let not_read = &said["summary"]["not_read"][0];
    assert!(not_read["input"].as_str().unwrap().ends_with("camera.raf"), "{said}");
    assert!(not_read["advice"].as_str().unwrap().contains("raw file"), "{said}");
}

#[test]
fn proofs_asked_for_later_are_made_under_the_same_names() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to, maps] = ["in", "out", "maps"].map(|name| folder.path().join(name));
    write(&from.join("a.png"), &picture(1, 20, 12));
    write(&from.join("a.tif"), &picture(2, 20, 12));
    let base = ["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json"];
    let summary = |more: &[&str]| lines(&dualres(&[&base[..], more].concat())).pop().unwrap()["summary"].clone();
    assert_eq!(summary(&[])["done"], 2);
    let maps_too = ["--consistency", text(&maps), "--dual", text(&maps)];
    assert_eq!(summary(&maps_too)["done"], 2);
    assert_eq!(summary(&maps_too)["skipped"], 2);
    // Proofs that were asked for elsewhere, or that have gone, are made.
    let others = folder.path().join("others");
    assert_eq!(summary(&["--dual", text(&others)])["done"], 2);
    assert_eq!(files_below(&others).len(), 3, "two proofs and their record");
    assert_eq!(files_below(&to).len(), 3, "two results and the record: {:?}", files_below(&to));
    assert_eq!(files_below(&maps).len(), 5, "four proofs and their record: {:?}", files_below(&maps));
    std::fs::remove_file(others.join("a_x2_dual.png")).unwrap();
    assert_eq!(summary(&["--dual", text(&others)])["done"], 1);
}

/// Through the network and into 16 bits: many more levels than 8 bits have, and none out of order by more than a step.
#[test]
fn a_ramp_of_16_bits_comes_out_smooth() {
    let folder = tempfile::tempdir().unwrap();
    let [from, to] = ["ramp.tif", "large.png"].map(|name| folder.path().join(name));
    // From 90 to 122 gray levels of 8 bits, in 400 steps.
    let plane = Plane::new(400, 24, (0..400 * 24).map(|i| 90.0 + (i % 400) as f32 * 0.08).collect());
    let mut ramp = Picture::from_planes(vec![plane]);
    ramp.depth = dualres_imaging::Depth::Sixteen;
    write(&from, &ramp);
    let run = dualres(&["upscale", text(&from), "-o", text(&to), "--device", "cpu"]);
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let large = dualres_imaging::read(&to).unwrap();
    assert_eq!((large.depth, large.is_gray()), (dualres_imaging::Depth::Sixteen, true));
    let row = &large.planes[0].row(24)[40..760];
    let levels: BTreeSet<u32> = row.iter().map(|sample| sample.to_bits()).collect();
    assert!(levels.len() > 600, "{} levels", levels.len());
    let worst = row.windows(2).map(|pair| (pair[1] - pair[0] - 0.04).abs()).fold(0.0, f32::max);
    assert!(worst < 0.2, "a step is off by {worst} gray levels of 8 bits");
}

#[test]
fn final_sizes_by_factor_sides_and_paper() {
    let folder = tempfile::tempdir().unwrap();
    let from = folder.path().join("in.png");
    write(&from, &picture(5, 40, 30));
    let mut number = 0;
    let mut run = |arguments: &[&str]| {
        number += 1;
        let to = folder.path().join(format!("{number}.png"));
        let all = [&["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json"], arguments].concat();
        let run = dualres(&all);
        assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
        (dualres_imaging::read(&to).unwrap(), lines(&run).remove(0))
    };
    for (arguments, size, model) in [
        (&["--scale", "2"][..], (80, 60), "x2"),
        (&["--scale", "3"], (120, 90), "x3"),
        (&["--scale", "8"], (320, 240), "x4"),
        (&["--width", "100"], (100, 75), "x3"),
        (&["--height", "60", "--model", "x4"], (80, 60), "x4"),
        (&["--long-side", "64"], (64, 48), "x2"),
        (&["--print", "1x1in", "--dpi", "90"], (90, 68), "x3"),
        (&["--scale", "0.5"], (20, 15), "x2"),
    ] {
        let (picture, line) = run(arguments);
        assert_eq!((picture.width(), picture.height()), size, "{arguments:?}");
        assert_eq!(line["model"], model, "{arguments:?}");
        assert_eq!(line["loop_psnr"].is_number(), arguments != ["--scale", "0.5"], "{line}");
        if arguments[0] == "--print" {
            assert_eq!(picture.metadata.density.map(|d| d[0].round()), Some(90.0));
        }
        let exif = String::from_utf8_lossy(picture.metadata.exif.as_deref().unwrap_or_default()).into_owned();
        assert!(exif.contains(&format!("model {model}")), "{exif}");
    }
    let (stripped, _) = run(&["--strip", "--depth", "16"]);
    assert!(stripped.metadata.exif.is_none());
    assert_eq!(stripped.depth, dualres_imaging::Depth::Sixteen);
}

#[cfg(unix)]
#[test]
fn circles_of_links_closed_folders_and_odd_names_do_not_stop_a_batch() {
    use std::os::unix::{ffi::OsStringExt, fs::PermissionsExt};
    let folder = tempfile::tempdir().unwrap();
    let (from, to) = (folder.path().join("in"), folder.path().join("out"));
    write(&from.join("good.png"), &picture(1, 20, 12));
    let odd = from.join(std::ffi::OsString::from_vec(b"caf\xe9.png".to_vec()));
    write(&odd, &picture(2, 20, 12));
    std::os::unix::fs::symlink(&from, from.join("circle")).unwrap();
    std::os::unix::fs::symlink(from.join("circle.png"), from.join("circle.png")).unwrap();
    let closed = from.join("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o000)).unwrap();
    // The root user may look into every folder.
    let is_closed = std::fs::read_dir(&closed).is_err();
    let run = dualres(&["upscale", text(&from), "-o", text(&to), "--device", "cpu", "--json"]);
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(run.status.code(), Some(1));
    let said = lines(&run);
    let summary = &said.last().unwrap()["summary"];
    assert_eq!((&summary["done"], &summary["failed"]), (&2.into(), &1.into()), "{said:?}");
    assert_eq!(summary["folders_not_read"], i32::from(is_closed));
    let names: Vec<String> =
        files_below(&to).iter().map(|p| p.file_name().unwrap().to_string_lossy().into_owned()).collect();
    assert!(names.contains(&"good_x2.png".to_owned()) && names.contains(&"caf\u{fffd}_x2.png".to_owned()), "{names:?}");
}
