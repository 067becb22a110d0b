//! Resampling and measures against numpy, and against published pictures where they are at hand.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use dualres_imaging::{
    Picture, Plane,
    psnr::{PsnrRule, psnr},
    resize::{Samples, imresize, imresize_picture},
    ssim::ssim_y,
};
use serde_json::Value;

fn reference() -> Value {
    serde_json::from_str(include_str!("data/reference.json")).unwrap()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap() as f32).collect()
}

fn size(value: &Value) -> (usize, usize) {
    (value[0].as_u64().unwrap() as usize, value[1].as_u64().unwrap() as usize)
}

#[test]
fn resampling_agrees_with_numpy_in_every_pixel() {
    for case in reference()["resize"].as_array().unwrap() {
        let (width, height) = size(&case["size"]);
        let plane = Plane::new(width, height, numbers(&case["input"]));
        let out = imresize(&plane, case["scale"].as_f64().unwrap(), Samples::Uint8);
        assert_eq!((out.width, out.height), size(&case["output_size"]));
        assert_eq!(out.data, numbers(&case["output"]), "{width}x{height}");
    }
}

#[test]
fn measures_agree_with_numpy() {
    let case = &reference()["measures"];
    let (width, height) = size(&case["size"]);
    let picture =
        |name: &str| Picture::from_planes((0..3).map(|c| Plane::new(width, height, numbers(&case[name][c]))).collect());
    let (a, b) = (picture("a"), picture("b"));
    let scale = case["scale"].as_u64().unwrap() as usize;
    let close = |ours: f64, name: &str| {
        let theirs = case[name].as_f64().unwrap();
        assert!((ours - theirs).abs() < 1e-4, "{name}: {ours} and {theirs}");
    };
    close(psnr(&a, &b, PsnrRule::BenchmarkY { scale }).unwrap(), "psnr_y");
    close(psnr(&a, &b, PsnrRule::Div2kRgb { scale }).unwrap(), "psnr_rgb");
    close(ssim_y(&a, &b, scale).unwrap(), "ssim_y");
    assert!(psnr(&a, &a, PsnrRule::BenchmarkY { scale }).unwrap().is_infinite());
    assert!((ssim_y(&a, &a, scale).unwrap() - 1.0).abs() < 1e-12);
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let picture = |w, h| Picture::from_planes(vec![Plane::filled(w, h, 9.0)]);
    let rule = PsnrRule::BenchmarkY { scale: 2 };
    assert!(psnr(&picture(20, 20), &picture(20, 21), rule).unwrap_err().to_string().contains("20x20 and 20x21"));
    assert!(psnr(&picture(4, 20), &picture(4, 20), rule).is_err());
    assert!(ssim_y(&picture(14, 14), &picture(14, 14), 2).is_err());
}

/// The folder of benchmark pictures, `Set5/HR/*.png` and so on. They are not free to ship: the tests on them run
/// where `DUALRES_BENCHMARKS` says they are.
fn benchmarks() -> Option<PathBuf> {
    let folder = std::env::var_os("DUALRES_BENCHMARKS").map(PathBuf::from);
    if folder.is_none() {
        eprintln!("not run: DUALRES_BENCHMARKS is not set");
    }
    folder
}

fn pictures(folder: &Path) -> Vec<PathBuf> {
    let found = dualres_imaging::find_pictures(folder).unwrap();
    assert!(!found.is_empty(), "no pictures in {}", folder.display());
    found
}

#[test]
fn published_low_resolution_pictures_are_reproduced() {
    let Some(folder) = benchmarks() else { return };
    let mut compared = 0;
    for set in ["Set5", "Set14"] {
        for path in pictures(&folder.join(set).join("HR")) {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            let full = dualres_imaging::read(&path).unwrap();
            for scale in [2, 3, 4] {
                let published = folder.join(set).join(format!("LR_bicubic/X{scale}/{name}x{scale}.png"));
                let published = dualres_imaging::read(&published).unwrap();
                let ours = imresize_picture(&crop(&full, scale), 1.0 / scale as f64, Samples::Uint8);
                assert_eq!((ours.width(), ours.height()), (published.width(), published.height()));
                let differing: usize = ours
                    .rgb()
                    .iter()
                    .zip(published.rgb())
                    .map(|(a, b)| a.data.iter().zip(&b.data).filter(|(a, b)| a != b).count())
                    .sum();
                assert_eq!(differing, 0, "{name} x{scale}");
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 57);
}

#[test]
fn bicubic_floor_is_the_published_one() {
    let Some(folder) = benchmarks() else { return };
    for (scale, floor) in [(2, 33.68), (3, 30.40), (4, 28.43)] {
        let paths = pictures(&folder.join("Set5/HR"));
        let mean = paths
            .iter()
            .map(|path| {
                let full = crop(&dualres_imaging::read(path).unwrap(), scale);
                let small = imresize_picture(&full, 1.0 / scale as f64, Samples::Uint8);
                let large = imresize_picture(&small, scale as f64, Samples::Uint8);
                psnr(&full, &large, PsnrRule::BenchmarkY { scale }).unwrap()
            })
            .sum::<f64>()
            / paths.len() as f64;
        assert!((mean - floor).abs() < 0.01, "x{scale}: {mean}");
    }
}

fn crop(picture: &Picture, scale: usize) -> Picture {
    picture.crop(0, 0, picture.width() / scale * scale, picture.height() / scale * scale)
}
