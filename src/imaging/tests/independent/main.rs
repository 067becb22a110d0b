//! Pictures made and checked by other programs: ImageMagick, exiftool and libvips. What this program reads and writes must
//! mean the same to them.
//!
//! Needs `imagemagick`, `libimage-exiftool-perl` and `libvips-tools`. Where they are missing the tests say so and end; with
//! `DUALRES_REQUIRE_TOOLS=1` they fail.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::{Path, PathBuf},
    process::Command,
};

use dualres_imaging::{Depth, EncodeOptions, Format, Picture, Plane, read, write};
use moxcms::ColorProfile;
use serde_json::Value;

/// Runs a program and returns what it said.
fn run(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn tools_are_there() -> bool {
    let missing: Vec<&str> = [("convert", "-version"), ("exiftool", "-ver"), ("vips", "--version")]
        .into_iter()
        .filter(|(program, argument)| Command::new(program).arg(argument).output().is_err())
        .map(|(program, _)| program)
        .collect();
    if missing.is_empty() {
        return true;
    }
    let wanted = "imagemagick, libimage-exiftool-perl and libvips-tools";
    assert!(std::env::var_os("DUALRES_REQUIRE_TOOLS").is_none(), "{missing:?} missing; install {wanted}");
    eprintln!("not tested: {missing:?} missing; install {wanted}");
    false
}

/// A folder of pictures of every kind.
fn fixtures() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let profile = |name: &str, profile: ColorProfile| {
        std::fs::write(folder.path().join(name), profile.encode().unwrap()).unwrap();
    };
    profile("adobe.icc", ColorProfile::new_adobe_rgb());
    profile("gray.icc", ColorProfile::new_gray_with_gamma(1.8));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent/make.sh");
    run("bash", &[script, folder.path().to_str().unwrap()]);
    folder
}

/// One test, because the pictures take longest to make.
#[test]
fn files_mean_the_same_to_other_programs() {
    if !tools_are_there() {
        return;
    }
    let folder = fixtures();
    let wrong = [read_as_others_read, written_as_others_read, metadata_comes_through, turned_and_stripped]
        .into_iter()
        .flat_map(|check| check(folder.path()))
        .collect::<Vec<String>>();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap().to_string_lossy().into_owned()
}

fn pictures(folder: &Path) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension != "icc"));
    paths.sort();
    assert!(paths.len() > 100, "{} pictures", paths.len());
    paths
}

/// A picture as ImageMagick sees it, upright: red, green, blue and alpha in [0, 255].
fn reference(path: &Path) -> Picture {
    let named = path.to_str().unwrap();
    if named.ends_with("avif") || named.ends_with("jxl") {
        // ImageMagick of this age may lack them: libvips reads them.
        let png = path.with_extension("reference.png");
        run("vips", &["copy", named, png.to_str().unwrap()]);
        let picture = reference(&png);
        std::fs::remove_file(png).unwrap();
        return picture;
    }
    let bytes = {
        let first = format!("{named}[0]");
        run("convert", &[&first, "-auto-orient", "-colorspace", "sRGB", "-depth", "16", "-endian", "LSB", "rgba:-"])
    };
    // ImageMagick of this age does not look at the orientation in a PNG file.
    let unturned = named.ends_with("png").then(|| name_of(path)).and_then(|name| {
        let (orientation, base) = name.strip_prefix("turned-")?.split_once('-')?;
        let names =
            ["TopLeft", "TopRight", "BottomRight", "BottomLeft", "LeftTop", "RightTop", "RightBottom", "LeftBottom"];
        let stated = names[orientation.parse::<usize>().ok()? - 1];
        let base = path.with_file_name(base);
        let upright = path.with_file_name("upright.png");
        run("convert", &[base.to_str()?, "-orient", stated, "-auto-orient", upright.to_str()?]);
        let picture = reference(&upright);
        std::fs::remove_file(upright).unwrap();
        Some(picture)
    });
    if let Some(picture) = unturned {
        return picture;
    }
    let header = run("identify", &["-format", "%w %h %[orientation]\n", &format!("{named}[0]")]);
    let header = String::from_utf8(header).unwrap_or_default();
    let numbers: Vec<usize> = header.split_whitespace().take(2).map(|n| n.parse().unwrap()).collect();
    let turned = ["LeftTop", "RightTop", "RightBottom", "LeftBottom"].iter().any(|name| header.contains(name));
    let (width, height) = if turned { (numbers[1], numbers[0]) } else { (numbers[0], numbers[1]) };
    assert_eq!(bytes.len(), width * height * 8, "{named}");
    let samples: Vec<f32> =
        bytes.chunks_exact(2).map(|two| f32::from(u16::from_le_bytes([two[0], two[1]])) / 257.0).collect();
    let plane = |channel| Plane::new(width, height, samples.iter().skip(channel).step_by(4).copied().collect());
    let mut picture = Picture::from_planes((0..3).map(plane).collect());
    picture.alpha = Some(plane(3));
    picture
}

/// Largest and mean difference, of colours where anything shows, and of alpha.
fn difference(a: &Picture, b: &Picture) -> (f32, f32) {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let opaque = Plane::filled(a.width(), a.height(), 255.0);
    let [alpha_a, alpha_b] = [a, b].map(|picture| picture.alpha.as_ref().unwrap_or(&opaque));
    let mut gaps: Vec<f32> = alpha_a.data.iter().zip(&alpha_b.data).map(|(a, b)| (a - b).abs()).collect();
    for (a, b) in a.rgb().into_iter().zip(b.rgb()) {
        let shown = a.data.iter().zip(&b.data).zip(&alpha_a.data).filter(|(_, alpha)| **alpha > 8.0);
        gaps.extend(shown.map(|((a, b), _)| (a - b).abs()));
    }
    (gaps.iter().copied().fold(0.0, f32::max), gaps.iter().sum::<f32>() / gaps.len() as f32)
}

fn read_as_others_read(folder: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    for path in pictures(folder) {
        let name = name_of(&path);
        let ours = match read(&path) {
            Ok(picture) => picture,
            Err(error) => {
                wrong.push(format!("{name}: {error}"));
                continue;
            }
        };
        let (largest, mean) = difference(&ours, &reference(&path));
        let lossy = name.ends_with("jpg") || name.contains("lossy") || name.ends_with("avif");
        // Decoders of lossy formats round differently, and enlarge colours of half resolution in their own ways.
        let (most, mean_most) = if name.contains("cmyk") {
            (6.0, 2.0)
        } else if lossy {
            (12.0, 1.5)
        } else {
            (0.51, 0.26)
        };
        if largest > most || mean > mean_most {
            wrong.push(format!("{name}: {largest} at most, {mean} in the mean"));
        }
        let gray = name.contains("gray") || name.contains("bilevel");
        if gray != ours.is_gray() {
            wrong.push(format!("{name}: gray {}", ours.is_gray()));
        }
        let depth = match () {
            () if name.contains("float") => "Float",
            () if name.contains("-16") || name.contains("-12") => "Sixteen",
            () => "Eight",
        };
        if !format!("{:?}", ours.depth).starts_with(depth) {
            wrong.push(format!("{name}: {:?}", ours.depth));
        }
        let has_alpha = name.contains("rgba") || name.contains("graya") || name.contains("transparent");
        if has_alpha != ours.alpha.is_some() {
            wrong.push(format!("{name}: alpha {}", ours.alpha.is_some()));
        }
    }
    wrong
}

fn written_as_others_read(folder: &Path) -> Vec<String> {
    let out = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    let kinds = [
        "gray-8.png",
        "graya-16.png",
        "rgb-8.png",
        "rgb-16.png",
        "rgba-8.png",
        "rgba-16.png",
        "graya-float.tif",
        "rgb-float.tif",
        "gray-float.tif",
        "rgba-float.tif",
    ];
    for kind in kinds {
        let picture = read(&folder.join(kind)).unwrap();
        for format in Format::ALL {
            let path = out.path().join(format!("{kind}.{}", format.extension()));
            let options = EncodeOptions { quality: 98, ..EncodeOptions::default() };
            write(&path, &picture, options).unwrap();
            let mut expected = picture.clone();
            if format == Format::Jpeg
                && let Some(alpha) = expected.alpha.take()
            {
                for plane in &mut expected.planes {
                    for (sample, a) in plane.data.iter_mut().zip(&alpha.data) {
                        *sample = 255.0 + (*sample - 255.0) * a / 255.0;
                    }
                }
            }
            let (largest, _) = difference(&expected, &reference(&path));
            // Transparency makes JPEG XL one of 8 bits.
            let is_cut = format == Format::Jxl && picture.alpha.is_some();
            let keeps_depth = format.bytes_per_sample(picture.depth) > 1 && !is_cut;
            let most = match format {
                // What hardly shows is coded as the rest and may be further off.
                Format::Avif if picture.alpha.is_some() => 18.0,
                Format::Jpeg | Format::Avif => 12.0,
                _ if keeps_depth => 0.01,
                _ => 0.51,
            };
            if largest > most {
                wrong.push(format!("{kind} as {}: {largest}", format.name()));
            }
            // libvips agrees on size, bits and channels.
            let field = |name: &str| {
                let said = run("vipsheader", &["-f", name, path.to_str().unwrap()]);
                String::from_utf8(said).unwrap().trim().to_owned()
            };
            if format != Format::Bmp {
                let bytes = match format {
                    // 10 bits are read into 16.
                    Format::Avif => 2,
                    _ if is_cut => 1,
                    _ => format.bytes_per_sample(picture.depth),
                };
                let said = field("format");
                let expected = match (format, bytes) {
                    (_, 4) => "FORMAT_FLOAT)",
                    (_, 2) => "FORMAT_USHORT)",
                    _ => "FORMAT_UCHAR)",
                };
                if !said.ends_with(expected) || field("width") != "48" || field("height") != "32" {
                    wrong.push(format!("{kind} as {}: libvips says {said}", format.name()));
                }
            }
        }
    }
    wrong
}

fn tags(path: &Path) -> Value {
    let said = run("exiftool", &["-json", "-n", "-G1", path.to_str().unwrap()]);
    serde_json::from_slice::<Value>(&said).unwrap()[0].clone()
}

fn metadata_comes_through(folder: &Path) -> Vec<String> {
    let out = tempfile::tempdir().unwrap();
    let mut wrong: Vec<String> = Vec::new();
    for source in ["turned-6-rgb-1x1.jpg", "turned-6-rgb-8.png", "turned-6-rgb-16-Zip.tif"] {
        let mut picture = read(&folder.join(source)).unwrap();
        assert_eq!((picture.width(), picture.height()), (32, 48), "{source} is upright");
        picture.metadata = picture.metadata.for_result([32, 48], [32, 48], "Dualres 1.2.3 (model x2, 2x)");
        for format in [Format::Jpeg, Format::Png, Format::Tiff, Format::WebP, Format::Avif, Format::Jxl] {
            let path = out.path().join(format!("{source}.{}", format.extension()));
            write(&path, &picture, EncodeOptions::default()).unwrap();
            let tags = tags(&path);
            let mut check = |name: &str, expected: Value| {
                let found = tags.get(name).cloned().unwrap_or(Value::Null);
                if found != expected {
                    wrong.push(format!("{source} as {}: {name} is {found}, not {expected}", format.name()));
                }
            };
            check("IFD0:Make", "Maker & Sons".into());
            check("IFD0:Model", "Model 1".into());
            check("IFD0:Artist", "Ünal Öz".into());
            check("IFD0:Software", "Dualres 1.2.3 (model x2, 2x)".into());
            check("ExifIFD:DateTimeOriginal", "2024:05:06 07:08:09".into());
            check("ExifIFD:LensModel", "50 mm".into());
            check("ExifIFD:ExifImageWidth", 32.into());
            check("ExifIFD:ExifImageHeight", 48.into());
            check("GPS:GPSLatitude", 48.5.into());
            check("GPS:GPSLongitudeRef", "E".into());
            check("IFD0:XResolution", 300.into());
            let orientation = tags.get("IFD0:Orientation").cloned().unwrap_or(1.into());
            assert_eq!(orientation, Value::from(1), "{source} as {}", format.name());
            if format != Format::Avif {
                check("XMP-dc:Title", "A title".into());
                check("XMP-dc:Subject", serde_json::json!(["one", "two"]));
            }
            if !matches!(format, Format::Avif | Format::Jxl | Format::WebP) {
                check("IPTC:Headline", "A headline".into());
            }
            match format {
                Format::Jpeg => check("JFIF:XResolution", 300.into()),
                Format::Png => check("PNG-pHYs:PixelsPerUnitX", 11_811.into()),
                _ => {}
            }
            // And back: what we read again is what others read.
            let again = read(&path).unwrap();
            if format != Format::Avif {
                assert_eq!(again.metadata.xmp.is_some(), picture.metadata.xmp.is_some(), "{source}");
            }
            assert!(again.metadata.exif.is_some(), "{source} as {}", format.name());
        }
    }
    wrong
}

fn turned_and_stripped(folder: &Path) -> Vec<String> {
    for name in ["rgb-1x1.jpg", "rgb-8.png", "rgb-16-Zip.tif"] {
        for orientation in 1..=8 {
            let path = folder.join(format!("turned-{orientation}-{name}"));
            let picture = read(&path).unwrap();
            let turned = orientation > 4;
            assert_eq!((picture.width(), picture.height()), if turned { (32, 48) } else { (48, 32) });
            let (largest, _) = difference(&picture, &reference(&path));
            assert!(largest < 6.0, "{name}, orientation {orientation}: {largest}");
        }
    }
    let out = tempfile::tempdir().unwrap();
    for name in ["profile-rgb-8.png", "profile-rgb-16-Zip.tif", "profile-rgb-1x1.jpg", "profile-rgb-lossy.webp"] {
        let mut picture = read(&folder.join(name)).unwrap();
        picture.metadata.strip();
        let path = out.path().join(name);
        write(&path, &picture, EncodeOptions::default()).unwrap();
        let profile = run("exiftool", &["-b", "-icc_profile", path.to_str().unwrap()]);
        assert_eq!(profile, std::fs::read(folder.join("adobe.icc")).unwrap(), "{name}");
        let tags = tags(&path);
        assert!(tags.get("IFD0:Make").is_none() && tags.get("IFD0:Software").is_none(), "{tags}");
    }
    for name in ["profile-gray-16.png", "profile-gray-8-LZW.tif", "profile-gray.jpg"] {
        let picture = read(&folder.join(name)).unwrap();
        assert!(picture.is_gray() && picture.metadata.icc.is_some(), "{name}");
        let path = out.path().join(name);
        write(&path, &picture, EncodeOptions::default()).unwrap();
        let profile = run("exiftool", &["-b", "-icc_profile", path.to_str().unwrap()]);
        assert_eq!(profile, std::fs::read(folder.join("gray.icc")).unwrap(), "{name}");
    }
    Vec::new()
}

#[test]
fn animations_give_their_first_frame_and_say_so() {
    if !tools_are_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let [gif, webp, still] = ["moves.gif", "moves.webp", "still.webp"].map(path);
    run("convert", &["-delay", "10", "-size", "24x20", "xc:#402010", "xc:#d0e0f0", "-loop", "0", &gif]);
    run("vips", &["webpsave", &format!("{gif}[n=-1]"), &webp, "--lossless"]);
    run("vips", &["webpsave", &gif, &still, "--lossless"]);
    for (name, moves) in [(gif, true), (webp, true), (still, false)] {
        let picture = read(Path::new(&name)).unwrap();
        assert_eq!((picture.width(), picture.height()), (24, 20), "{name}");
        assert_eq!(picture.rgb().map(|plane| plane.data[0] as u8), [0x40, 0x20, 0x10], "{name}");
        let told = picture.metadata.left_out.contains(&"the file is an animation; its first frame was read".into());
        assert_eq!(told, moves, "{name}");
    }
}

#[test]
fn a_ramp_of_16_bits_stays_smooth_for_others_too() {
    if !tools_are_there() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let data: Vec<f32> = (0..2000).map(|i| (20_000 + i * 7919 % 2000) as f32 / 257.0).collect();
    let mut ramp = Picture::from_planes(vec![Plane::new(50, 40, data)]);
    ramp.depth = Depth::Sixteen;
    for name in ["ramp.png", "ramp.tif"] {
        let path = folder.path().join(name);
        write(&path, &ramp, EncodeOptions::default()).unwrap();
        let colours = run("identify", &["-format", "%k", path.to_str().unwrap()]);
        assert_eq!(String::from_utf8(colours).unwrap().trim(), "2000", "{name}");
    }
}
