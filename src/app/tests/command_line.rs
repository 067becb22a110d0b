//! The program as its users run it.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/program.rs"]
mod program;

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use dualres_imaging::{Picture, Plane};
use program::{dualres, lines, project, text};
use serde_json::Value;

/// A small part of a sample picture as a file.
fn small_picture(folder: &Path, name: &str) -> PathBuf {
    let photo = dualres_imaging::read(&project("assets/samples/chelsea.png")).unwrap();
    let path = folder.join(name);
    dualres_imaging::write(&path, &photo.crop(100, 80, 50, 41), Default::default()).unwrap();
    path
}

#[test]
fn upscale_writes_a_larger_picture_with_its_proof() {
    let folder = tempfile::tempdir().unwrap();
    let input = small_picture(folder.path(), "in.png");
    let (output, dual, map) =
        (folder.path().join("out.png"), folder.path().join("dual.png"), folder.path().join("map.png"));
    for (model, scale) in [("x2", 2), ("x4", 4)] {
        let run = dualres(&[
            "upscale",
            text(&input),
            "-o",
            text(&output),
            "--model",
            model,
            "--device",
            "cpu",
            "--dual",
            text(&dual),
            "--consistency",
            text(&map),
            "--overwrite",
            "--json",
        ]);
        assert!(run.status.success(), "{run:?}");
        let [line] = &lines(&run)[..] else { panic!("one line a file") };
        assert_eq!(line["input_size"], serde_json::json!([50, 41]));
        assert_eq!(line["output_size"], serde_json::json!([50 * scale, 41 * scale]));
        assert_eq!((&line["model"], &line["device"]), (&Value::from(model), &Value::from("CPU")));
        assert!(line["seconds"].as_f64().unwrap() > 0.0 && line["megapixels_per_s"].as_f64().unwrap() > 0.0);
        assert!(line["loop_psnr"].as_f64().unwrap() > 30.0, "{line}");
        assert_eq!(dualres_imaging::dimensions(&output).unwrap(), (50 * scale, 41 * scale));
        for proof in [&dual, &map] {
            assert_eq!(dualres_imaging::dimensions(proof).unwrap(), (50, 41));
        }
    }
}

#[test]
fn one_bad_file_does_not_stop_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let good = small_picture(folder.path(), "good.png");
    let same_name = folder.path().join("other");
    std::fs::create_dir(&same_name).unwrap();
    small_picture(&same_name, "good.jpg");
    let broken = folder.path().join("broken.jpg");
    std::fs::write(&broken, b"not a picture").unwrap();
    let out = folder.path().join("out");
    let arguments =
        ["upscale", text(&broken), text(&good), text(&same_name), "-o", text(&out), "--device", "cpu", "--json"];
    let run = dualres(&arguments);
    assert_eq!(run.status.code(), Some(1));
    let lines = lines(&run);
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[3]["summary"]["failed"], 1);
    assert!(lines[0]["error"].as_str().unwrap().contains("broken.jpg"));
    assert!(out.join("good_x2.png").exists() && out.join("good_x2.jpg").exists());

    // Nothing is replaced unasked: names in a folder get a number, and a file that was named is refused.
    let first = out.join("good_x2.png");
    let before = std::fs::metadata(&first).unwrap().modified().unwrap();
    assert!(dualres(&["upscale", text(&good), "-o", text(&out), "--device", "cpu"]).status.success());
    assert!(out.join("good_x2-2.png").exists());
    let again = dualres(&["upscale", text(&good), "-o", text(&first), "--device", "cpu"]);
    assert_eq!(again.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&again.stderr).contains("--overwrite"));
    assert_eq!(std::fs::metadata(&first).unwrap().modified().unwrap(), before);
    assert!(dualres(&["upscale", text(&good), "-o", text(&first), "--device", "cpu", "--overwrite"]).status.success());
    assert_ne!(std::fs::metadata(&first).unwrap().modified().unwrap(), before);
}

#[test]
fn misuse_exits_with_2_and_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let input = small_picture(folder.path(), "in.png");
    let other = small_picture(folder.path(), "other.png");
    let out = folder.path().join("out.png");
    let cases: [(&[&str], &str); 11] = [
        (&["upscale", text(&input), "-o", text(&out), "--dual", text(&out)], "same path"),
        (
            &["upscale", text(&input), "-o", text(&out), "--pooling", "global", "--tile", "64"],
            "does not support --tile",
        ),
        (&["upscale", text(&input)], "--output"),
        (&["upscale", text(&input), "-o", "out.xyz"], ".png"),
        (&["upscale", text(&input), "-o", text(&out), "--model", "x9"], "x2, x3, x4"),
        (&["upscale", text(&input), "-o", text(&out), "--scale", "17"], "16 times"),
        (&["upscale", text(&input), "-o", text(&out), "--print", "A4"], "30x20cm"),
        (&["upscale", text(&input), "-o", text(&out), "--width", "50", "--scale", "2"], "cannot be used"),
        (&["upscale", text(&input), "-o", text(folder.path()), "--name", "{nmae}"], "{nmae}"),
        (&["upscale", text(&input), text(&other), "-o", text(&input)], "folder"),
        (&["train", "--data", text(folder.path()), "-o", text(folder.path()), "--scale", "3"], "scale 3"),
    ];
    for (arguments, reason) in cases {
        let run = dualres(arguments);
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        assert_eq!(run.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(reason), "{arguments:?}: {said}");
    }
    let unknown = dualres(&["upscale", text(&input), "-o", text(&out), "--device", "no such device"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("CPU"));
    let same = dualres(&["upscale", text(&input), "-o", text(&input)]);
    assert_eq!(same.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&same.stderr).contains("overwrite an input"));
}

#[test]
fn every_command_has_help_with_examples() {
    for command in [
        &["upscale"][..],
        &["evaluate"],
        &["train"],
        &["models", "list"],
        &["models", "show"],
        &["models", "import"],
        &["models", "export"],
        &["devices"],
    ] {
        let run = dualres(&[command, &["--help"]].concat());
        let help = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success() && help.contains("Example"), "{command:?}: {help}");
    }
}

#[test]
fn evaluate_reports_every_picture_and_the_mean() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.png", "b.png"] {
        small_picture(folder.path(), name);
    }
    let run = dualres(&["evaluate", "--model", "x2", "--hr", text(folder.path()), "--device", "cpu", "--json"]);
    assert!(run.status.success(), "{run:?}");
    let report = &lines(&run)[0];
    assert_eq!(report["images"].as_array().unwrap().len(), 2);
    for scores in [&report["images"][1], &report["mean"]] {
        for name in ["psnr_y", "ssim_y", "loop_psnr", "bicubic_psnr_y"] {
            assert!(scores[name].as_f64().unwrap() > 0.0, "{name}: {scores}");
        }
        assert!(scores["psnr_y"].as_f64() > scores["bicubic_psnr_y"].as_f64(), "better than bicubic: {scores}");
    }
    let tiny = Picture::from_planes(vec![Plane::filled(1, 9, 5.0)]);
    dualres_imaging::write(&folder.path().join("tiny.png"), &tiny, Default::default()).unwrap();
    let run = dualres(&["evaluate", "--model", "x2", "--hr", text(folder.path()), "--device", "cpu"]);
    assert_eq!(run.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&run.stderr).contains("tiny.png"), "{run:?}");
    assert!(report["rule"].as_str().unwrap().contains("BT.601"));
}

#[test]
fn a_check_tells_what_would_become_of_pictures_and_writes_nothing() {
    struct Told {
        code: i32,
        out: String,
        err: String,
    }
    let run = |arguments: &[&str]| {
        let output = dualres(arguments);
        let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        Told { code: output.status.code().unwrap(), out, err }
    };
    let folder = tempfile::tempdir().unwrap();
    let pictures = project("src/imaging/tests/data/awkward");
    for name in ["layers.tif", "bits12.jpg", "comment_8bim.jpg"] {
        std::fs::copy(pictures.join(name), folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("old.pcx"), "no picture that is read").unwrap();
    let told = run(&["upscale", "--check", text(folder.path())]);
    assert_eq!(told.code, 1, "one is refused: {}", told.err);
    assert!(told.out.contains("layers.tif: 144x96 -> 288x192 TIFF, about "), "{}", told.out);
    assert!(told.out.contains(" kB, model x2"), "{}", told.out);
    assert!(told.out.contains("lost: layers of Photoshop") && told.out.contains("kept: EXIF"), "{}", told.out);
    assert!(told.out.contains("kept: image resources, comment"), "{}", told.out);
    assert!(told.out.contains("2 images can be upscaled, 2 cannot"), "{}", told.out);
    assert!(told.err.contains("valid JPEG of 12 bits") && told.err.contains("old.pcx"), "{}", told.err);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 4, "nothing is written");
    let layers = folder.path().join("layers.tif");
    let told = run(&["upscale", "--check", "--json", "--format", "webp", "--long-side", "50000", text(&layers)]);
    assert!(told.code == 1 && told.out.contains("the maximum is 16 times"), "{}", told.out);
    let without = run(&["upscale", text(&layers)]);
    assert!(without.code == 2 && without.err.contains("--output"), "{}", without.err);
}

/// What was said before the run against what the encoder makes of the run's result.
#[test]
fn the_size_of_a_result_is_told_within_a_quarter() {
    use dualres_imaging::{EncodeOptions, Format};
    let folder = tempfile::tempdir().unwrap();
    let output = folder.path().join("result.png");
    let mut wrong = Vec::new();
    for name in ["astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg"] {
        let input = project("assets/samples").join(name);
        let whole = ["upscale", text(&input), "-o", text(&output), "--model", "x2", "--device", "cpu", "--overwrite"];
        assert!(dualres(&whole).status.success());
        let result = dualres_imaging::read(&output).unwrap();
        for (format, flags, options) in [
            ("png", &[][..], EncodeOptions::default()),
            ("jpg", &[], EncodeOptions::default()),
            ("jpg", &["--quality", "75"], EncodeOptions { quality: 75, ..EncodeOptions::default() }),
            ("webp", &[], EncodeOptions::default()),
            ("webp", &["--lossy"], EncodeOptions { lossy: true, ..EncodeOptions::default() }),
            ("tif", &[], EncodeOptions::default()),
            ("avif", &[], EncodeOptions::default()),
            ("jxl", &[], EncodeOptions::default()),
            ("bmp", &[], EncodeOptions::default()),
        ] {
            let asked =
                [&["upscale", "--check", "--json", "--model", "x2", "--format", format, text(&input)], flags].concat();
            let told = lines(&dualres(&asked)).remove(0)["bytes"].as_f64().unwrap();
            let format = Format::from_path(Path::new(&format!("a.{format}"))).unwrap();
            let real = dualres_imaging::encode(&result, format, options).unwrap().len() as f64;
            let said = format!("{name} {} {flags:?}: {:.2}", format.name(), told / real);
            println!("{said}");
            if !(0.75..1.25).contains(&(told / real)) {
                wrong.push(said);
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn models_are_listed_shown_and_imported() {
    let names: Vec<_> = lines(&dualres(&["models", "list", "--json"]))
        .iter()
        .map(|model| model["description"]["name"].as_str().unwrap().to_owned())
        .collect();
    let wanted =
        ["x2", "x3", "x4", "x2-fast", "x2-30", "x2-50", "x2-70", "x4-30", "x4-50", "x4-70", "photo-x2", "photo-x4"];
    assert_eq!(names, wanted);
    let shown = &lines(&dualres(&["models", "show", "x4", "--json"]))[0];
    assert_eq!(shown["macs"]["input"], serde_json::json!([96, 96]));
    assert!(shown["layers"].as_array().unwrap().len() > 10);
    assert!(shown["description"]["licence"].as_str().unwrap().contains("MIT"));

    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("imported.safetensors");
    let data = project("src/network/tests/data");
    let (model, dual) = (data.join("drn_x2_f8_b1.model.pt"), data.join("drn_x2_f8_b1.dual.legacy.pt"));
    let run = dualres(&["models", "import", text(&model), "--dual", text(&dual), "-o", text(&out)]);
    assert!(run.status.success(), "{run:?}");
    let input = small_picture(folder.path(), "in.png");
    let result = folder.path().join("out.png");
    let run = dualres(&["upscale", text(&input), "-o", text(&result), "--model", text(&out), "--device", "cpu"]);
    assert!(run.status.success() && result.exists(), "{run:?}");

    let wrong = dualres(&["models", "import", text(&input), "-o", text(&out), "--overwrite"]);
    assert_eq!(wrong.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("neither a checkpoint"));
}

/// Out as ONNX and in again: the same pictures, though the file does not say what its samples are; and what was given on the way
/// is kept or refused, not lost.
#[test]
fn an_exported_network_comes_back() {
    let folder = tempfile::tempdir().unwrap();
    let (onnx, back) = (folder.path().join("x2.onnx"), folder.path().join("back.safetensors"));
    let input = small_picture(folder.path(), "in.png");
    // The networks of DRN pad the picture to whole cells of their attention, by numbers that the graph computes from its sides.
    for model in ["x2-fast", "photo-x4", "x2"] {
        assert!(dualres(&["models", "export", model, "-o", text(&onnx), "--overwrite"]).status.success());
        let import = ["models", "import", text(&onnx), "-o", text(&back), "--licence", "CC BY 4.0", "--overwrite"];
        let run = dualres(&import);
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(run.status.success() && said.contains("samples in [0, 255], a guess"), "{run:?}");
        let result = |model: &str, name: &str| {
            let to = folder.path().join(name);
            let run = dualres(&[
                "upscale",
                text(&input),
                "-o",
                text(&to),
                "--model",
                model,
                "--device",
                "cpu",
                "--overwrite",
            ]);
            assert!(run.status.success(), "{run:?}");
            dualres_imaging::read(&to).unwrap()
        };
        let (ours, again) = (result(model, "ours.png"), result(text(&back), "again.png"));
        for (a, b) in ours.planes.iter().zip(&again.planes) {
            let gap = a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(gap <= 1.0, "{model}: {gap} levels");
        }
    }
    let shown = &lines(&dualres(&["models", "show", text(&back), "--json"]))[0];
    assert_eq!(shown["description"]["licence"], "CC BY 4.0");

    let refused = folder.path().join("refused.safetensors");
    let absent = folder.path().join("LICENCE.txt");
    for (arguments, says) in [
        (["--scale", "3"], "enlarges 2 times"),
        (["--beside", text(&input)], "nothing is read beside"),
        (["--beside", "absent.bin"], "no file"),
        (["--licence", text(&absent)], "no such file"),
        (["--range", "-1,1"], "--range"),
    ] {
        let all = [&["models", "import", text(&onnx), "-o", text(&refused)][..], &arguments].concat();
        let run = dualres(&all);
        let said = String::from_utf8_lossy(&run.stderr).into_owned();
        // The last is a range that can be given; what comes of it may be an enlargement or not.
        let fails = arguments[0] != "--range";
        assert!(!fails || (!run.status.success() && said.contains(says) && !refused.exists()), "{arguments:?}: {said}");
        assert!(!said.contains("unexpected argument"), "{said}");
    }
}

#[test]
fn models_are_exported() {
    let folder = tempfile::tempdir().unwrap();
    let (onnx, file) = (folder.path().join("x2.onnx"), folder.path().join("x2.safetensors"));
    let run = dualres(&["models", "export", "x2", "--format", "onnx", "-o", text(&onnx)]);
    assert!(run.status.success(), "{run:?}");
    // What the graph computes is tested where it is written; here, that all weights and the licence are in it.
    let bytes = std::fs::read(&onnx).unwrap();
    assert!(bytes.len() > 4 * 170_000 && bytes.windows(4).any(|part| part == b"CC0,"), "{} bytes", bytes.len());

    let run = dualres(&["models", "export", "x2", "--format", "safetensors", "-o", text(&file)]);
    assert!(run.status.success(), "{run:?}");
    let weights = |name: &str| lines(&dualres(&["models", "show", name, "--json"]))[0].clone();
    assert_eq!(weights(text(&file)), weights("x2"));

    let wrong = ["models", "export", "x2", "--format", "safetensors", "--part", "way-back", "-o", text(&file)];
    assert_eq!(dualres(&wrong).status.code(), Some(2));
    let contradiction = ["models", "export", "x2", "--format", "onnx", "-o", text(&file)];
    assert_eq!(dualres(&contradiction).status.code(), Some(2));
    let itself = ["models", "export", text(&file), "-o", text(&file)];
    assert!(String::from_utf8_lossy(&dualres(&itself).stderr).contains("overwrite an input"));
    let read_back = dualres(&["models", "show", text(&onnx)]);
    assert!(String::from_utf8_lossy(&read_back.stderr).contains("ONNX"), "{read_back:?}");
    #[cfg(unix)]
    {
        // A link stays one, and what is no ordinary file is left alone.
        let link = folder.path().join("link.safetensors");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(dualres(&["models", "export", "x4", "-o", text(&link), "--overwrite"]).status.success());
        assert!(link.symlink_metadata().unwrap().is_symlink() && weights(text(&file)) == weights("x4"));
        let pipe = folder.path().join("pipe.onnx");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let run = dualres(&["models", "export", "x2", "-o", text(&pipe)]);
        assert!(String::from_utf8_lossy(&run.stderr).contains("not a regular file"), "{run:?}");
    }
    let nowhere = file.join("x2.onnx");
    let run = dualres(&["models", "export", "x2", "--format", "onnx", "-o", text(&nowhere)]);
    assert_eq!(run.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&run.stderr).contains("x2.safetensors"), "{run:?}");
}

#[test]
fn the_manifest_tells_the_truth_about_the_embedded_models() {
    let manifest: Value =
        serde_json::from_str(&std::fs::read_to_string(project("models/manifest.json")).unwrap()).unwrap();
    let listed = lines(&dualres(&["models", "list", "--json"]));
    let models = manifest["models"].as_array().unwrap();
    assert_eq!(models.len(), listed.len());
    for (entry, model) in models.iter().zip(&listed) {
        let bytes = std::fs::metadata(project("models").join(entry["file"].as_str().unwrap())).unwrap().len();
        assert_eq!(entry["bytes"].as_u64(), Some(bytes));
        assert_eq!(entry["parameters"], model["parameters"]);
        assert_eq!(entry["description"], model["description"]);
    }
}

#[test]
fn the_cpu_is_always_a_device() {
    let devices = lines(&dualres(&["devices", "--json"]));
    assert!(devices.iter().any(|device| device["name"] == "CPU"), "{devices:?}");
    assert_eq!(devices.iter().filter(|device| device["default"] == true).count(), 1);
}

/// Dual models alone are trained for a model that is there, in a folder that is not, on the pictures inside the program.
#[test]
fn dual_models_are_trained_alone() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("new").join("run");
    let arguments = ["train", "--dual-only", "--model", "x2-fast", "--steps", "2", "--patch", "16", "--batch", "2"];
    let output = Command::new(env!("CARGO_BIN_EXE_dualres"))
        .args(arguments)
        .args(["--device", "cpu", "-o", text(&run)])
        .env("DUALRES_HOME", folder.path().join("home"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let read = |path: &Path| {
        let model = dualres_network::Model::read(path, &dualres_network::Device::flex()).unwrap();
        (model.weights().under("model."), model.weights().under("dual."))
    };
    let (before, after) = (read(&project("models/x2-fast.safetensors")), read(&run.join("last.safetensors")));
    assert!(before.0 == after.0, "the network stays as it is");
    assert!(before.1 != after.1, "its dual models do not");
}

#[test]
fn training_from_the_command_line_gives_a_model_that_upscales() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    std::fs::create_dir(&data).unwrap();
    small_picture(&data, "a.png");
    let run_folder = folder.path().join("run");
    let arguments = [
        "train",
        "--data",
        text(&data),
        "--validation",
        text(&data),
        "-o",
        text(&run_folder),
        "--n-feats",
        "8",
        "--n-blocks",
        "1",
        "--patch",
        "12",
        "--batch",
        "2",
        "--steps",
        "6",
        "--validate-every",
        "3",
        "--device",
        "cpu",
        "--licence",
        "CC0",
        "--json",
    ];
    let run = dualres(&arguments);
    assert!(run.status.success(), "{run:?}");
    assert_eq!(lines(&run).len(), 2);
    assert!(lines(&run)[1]["psnr_y"].is_number());
    let model = run_folder.join("last.safetensors");
    let shown = &lines(&dualres(&["models", "show", text(&model), "--json"]))[0];
    assert_eq!(shown["description"]["licence"], "CC0");
    let out = folder.path().join("out.png");
    let run =
        dualres(&["upscale", text(&data.join("a.png")), "-o", text(&out), "--model", text(&model), "--device", "cpu"]);
    assert!(run.status.success(), "{run:?}");
}

/// Packages install pages and completions, and both know every command.
#[test]
fn pages_and_completions_are_made_of_all_commands() {
    let folder = tempfile::tempdir().unwrap();
    let run = dualres(&["manual", "-o", text(folder.path())]);
    assert!(run.status.success(), "{run:?}");
    let help = dualres(&["--help"]);
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|command| *command != "help")
        .collect();
    assert!(commands.len() > 10 && !commands.contains(&"manual"), "{commands:?}");
    let completions = dualres(&["completions", "bash"]);
    let completions = String::from_utf8_lossy(&completions.stdout).into_owned();
    for command in commands {
        let page = std::fs::read_to_string(folder.path().join(format!("dualres-{command}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS") && page.contains(command), "{command}");
        assert!(completions.contains(&format!("dualres__subcmd__{command}")), "{command}");
    }
    let page = std::fs::read_to_string(folder.path().join("dualres-upscale.1")).unwrap();
    assert!(page.contains("\\-\\-fidelity") && page.contains("\\-\\-trust\\-device"), "{page}");
}
