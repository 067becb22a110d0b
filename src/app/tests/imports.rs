//! Networks of others that come in: what is refused before anything is stored, and what is kept.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "common/program.rs"]
mod program;

use std::path::{Path, PathBuf};

use program::{dualres, lines, project, text};

/// A pair of files of ncnn: one convolution from three channels to `outputs`, then pixels shuffled by two.
fn network(folder: &Path, name: &str, outputs: usize, weight: impl Fn(usize, usize, usize) -> f32) -> PathBuf {
    let param = folder.join(format!("{name}.param"));
    let lines = format!(
        "7767517\n3 3\nInput in 0 1 data\nConvolution c 1 1 data a 0={outputs} 1=3 4=1 5=0 6={}\n\
         PixelShuffle s 1 1 a out 0=2\n",
        outputs * 27
    );
    std::fs::write(&param, lines).unwrap();
    let mut bytes = 0_u32.to_le_bytes().to_vec();
    for output in 0..outputs {
        for channel in 0..3 {
            bytes.extend((0..9).flat_map(|tap| weight(output, channel, tap).to_le_bytes()));
        }
    }
    std::fs::write(param.with_extension("bin"), bytes).unwrap();
    param
}

/// The weights of an enlargement that repeats pixels.
fn repeating(output: usize, channel: usize, tap: usize) -> f32 {
    f32::from(output / 4 == channel && tap == 4)
}

/// A network that repeats pixels, imported.
fn imported(folder: &Path) -> PathBuf {
    let model = folder.join("model.safetensors");
    let good = network(folder, "good", 12, repeating);
    assert!(dualres(&["models", "import", text(&good), "-o", text(&model)]).status.success());
    model
}

#[test]
fn what_makes_no_enlargement_is_told_and_not_stored() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model.safetensors");
    let import = |file: &Path| {
        // Given, so that no other range is tried, in which nothing is gray.
        let run = dualres(&["models", "import", text(file), "-o", text(&out), "--overwrite", "--range", "0,1"]);
        (run.status.code(), String::from_utf8_lossy(&run.stderr).into_owned())
    };
    let (code, said) = import(&network(folder.path(), "good", 12, repeating));
    assert_eq!(code, Some(0), "{said}");
    std::fs::remove_file(&out).unwrap();

    type Weights = fn(usize, usize, usize) -> f32;
    let cases: [(&str, Weights, &str); 4] = [
        ("black", |_, _, _| 0.0, "nearly black"),
        ("nan", |o, c, t| if (o, c, t) == (3, 1, 4) { f32::NAN } else { repeating(o, c, t) }, "NaN"),
        ("red", |o, c, t| repeating(o, c, t) * if o < 4 { 1.4 } else { 1.0 }, "shifts the colours"),
        ("swapped", |o, c, t| repeating(o, [2, 0, 1][c], t), "no enlargement"),
    ];
    for (name, weight, says) in cases {
        let (code, said) = import(&network(folder.path(), name, 12, weight));
        assert_eq!(code, Some(1), "{name}: {said}");
        assert!(said.contains(says) && said.contains(&format!("{name}.param")), "{name}: {said}");
        assert_eq!(said.trim().lines().count(), 1, "{name}: one sentence: {said}");
        assert!(!out.exists(), "{name}: nothing is stored");
    }

    // Files that are none: the sentence says what is wrong with which.
    let foreign = project("src/network/tests/data/foreign");
    let good = std::fs::read(folder.path().join("good.bin")).unwrap();
    let write = |name: &str, param: &str, bin: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, param).unwrap();
        std::fs::write(path.with_extension("bin"), bin).unwrap();
        path
    };
    let text_of = std::fs::read_to_string(folder.path().join("good.param")).unwrap();
    let broken = [
        (foreign.join("classifier.onnx"), "classifier"),
        (write("short.param", &text_of, &good[..good.len() / 2]), "short"),
        (write("long.param", &text_of, &[&good[..], &good[..]].concat()), "long"),
        (write("strange.param", &text_of.replace("PixelShuffle s", "Wavelet s"), &good), "Wavelet"),
        (write("many.param", &text_of.replace("3 3", "1000000000 1000000000"), &good), "many"),
        (write("circle.param", &text_of.replace("1 1 data a", "1 1 out a"), &good), "circle"),
    ];
    for (file, says) in broken {
        let (code, said) = import(&file);
        assert_eq!(code, Some(1), "{file:?}: {said}");
        assert!(said.contains(says) && said.contains(text(&file)), "{file:?}: {said}");
        assert!(said.trim().lines().count() == 1 && !out.exists(), "{file:?}: {said}");
    }
}

#[test]
fn the_licence_beside_a_network_comes_along() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (network(folder.path(), "good", 12, repeating), folder.path().join("model.safetensors"));
    std::fs::write(folder.path().join("LICENSE"), "Do as you like, but tell.\n").unwrap();
    let run = dualres(&["models", "import", text(&file), "-o", text(&out)]);
    assert!(run.status.success(), "{run:?}");
    let shown = &lines(&dualres(&["models", "show", text(&out), "--json"]))[0];
    assert_eq!(shown["description"]["licence"], "Do as you like, but tell.\n");
}

/// A network of others is trained further with a dual model of its own: one jump over the whole scale, as the paper does for networks
/// that are no DRN. Weights of every kind learn.
#[test]
fn imported_networks_are_trained() {
    let folder = tempfile::tempdir().unwrap();
    let model = imported(folder.path());
    let data = project("assets/samples");
    let run = folder.path().join("run");
    let trained = dualres(&[
        "train",
        "--init",
        text(&model),
        "--data",
        text(&data),
        "--validation",
        text(&data),
        "--patch",
        "16",
        "--batch",
        "2",
        "--steps",
        "4",
        "--validate-every",
        "2",
        "--device",
        "cpu",
        "-o",
        text(&run),
    ]);
    assert!(trained.status.success(), "{trained:?}");
    let best = run.join("best.safetensors");
    let shown = &lines(&dualres(&["models", "show", text(&best), "--json"]))[0];
    assert_eq!(shown["has_duals"], true);
    assert!(shown["description"]["borrowed_duals"] != true, "they are its own now");
    let before = dualres_network::Model::read(&model, &dualres_network::Device::flex()).unwrap();
    let after = dualres_network::Model::read(&best, &dualres_network::Device::flex()).unwrap();
    assert_eq!(after.duals.iter().map(|dual| (dual.from, dual.to)).collect::<Vec<_>>(), [(2, 1)]);
    assert!(before.primal.weights() != after.primal.weights(), "it has learned");
}

/// Where only the dual model learns, the best one is that whose loop closes best: the network gives the same pictures all along.
#[test]
fn the_best_dual_model_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let model = imported(folder.path());
    let (data, run) = (project("assets/samples"), folder.path().join("run"));
    let trained = dualres(&[
        "train",
        "--dual-only",
        "--model",
        text(&model),
        "--data",
        text(&data),
        "--validation",
        text(&data),
        "--patch",
        "16",
        "--batch",
        "4",
        "--steps",
        "60",
        "--validate-every",
        "20",
        "--device",
        "cpu",
        "-o",
        text(&run),
    ]);
    assert!(trained.status.success(), "{trained:?}");
    let curves = std::fs::read_to_string(run.join("metrics.csv")).unwrap();
    let mut rows = curves.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let column = rows.next().unwrap().iter().position(|&name| name == "validation_loop_psnr").unwrap();
    let loops: Vec<f64> = rows.filter_map(|row| row[column].parse().ok()).collect();
    let highest = loops.iter().copied().fold(f64::MIN, f64::max);
    assert!(loops.len() >= 3 && loops[0] < highest, "it learns: {loops:?}");
    let shown = &lines(&dualres(&["models", "show", text(&run.join("best.safetensors")), "--json"]))[0];
    let metrics = shown["description"]["metrics"].as_array().unwrap();
    let told = metrics.iter().find(|metric| metric["name"] == "loop_psnr").unwrap()["value"].as_f64().unwrap();
    assert!((told - highest).abs() < 1e-3, "{told} of {loops:?}");
}
