//! Files of kinds that cameras, phones, scanners and editors write and that are easily read wrongly (`tests/data/awkward`): pixels,
//! and everything that a file says beside them.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};

use dualres_imaging::{
    COMMENT, Depth, EncodeOptions, Format, Metadata, Picture, Plane, decode, encode, read, upright_dimensions,
};

fn awkward(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/awkward").join(name)
}

/// Mean difference in gray levels.
fn gap(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let (a, b) = (a.rgb(), b.rgb());
    let all = (0..3).flat_map(|c| a[c].data.iter().zip(&b[c].data)).map(|(a, b)| f64::from((a - b).abs()));
    all.sum::<f64>() / (3 * a[0].data.len()) as f64
}

fn contains(bytes: &Option<Vec<u8>>, part: &str) -> bool {
    bytes.as_ref().is_some_and(|bytes| bytes.windows(part.len()).any(|window| window == part.as_bytes()))
}

/// The metadata of a result of twice the size, written to a format and read again.
fn enlarged(picture: &Picture, format: Format) -> Metadata {
    let mut result = picture.clone();
    let size = [picture.width(), picture.height()];
    result.metadata = picture.metadata.for_result(size, size.map(|side| 2 * side), "test");
    decode(&encode(&result, format, EncodeOptions::default()).unwrap(), "result").unwrap().metadata
}

#[test]
fn pixels_are_those_that_other_programs_see() {
    let base = read(&awkward("base.png")).unwrap();
    // How far lossy compression and few bits may lead away from it.
    for (name, most) in [
        ("fillorder2.tif", 0.0),
        ("tiled_planar.tif", 0.0),
        ("thumb_first.tif", 0.0),
        ("layers.tif", 0.0),
        ("bits12.tif", 0.1),
        ("lab.tif", 2.0),
        ("raw_profiles.png", 0.0),
        ("texts.png", 0.0),
        ("no_end_marker.jpg", 5.0),
        ("chroma_finer.jpg", 5.0),
        ("sampled_by_three.jpg", 5.0),
        ("ultra_hdr_xmp.jpg", 5.0),
        ("ycgco.avif", 2.0),
        ("comment.gif", 12.0),
    ] {
        let found = read(&awkward(name)).unwrap();
        let gap = gap(&found, &base);
        assert!(gap <= most, "{name}: {gap}");
        assert_eq!(upright_dimensions(&awkward(name)).unwrap(), (144, 96), "{name}: by its header");
    }
    let cut = read(&awkward("clap.avif")).unwrap();
    assert_eq!((cut.width(), cut.height()), (100, 60));
    assert_eq!(upright_dimensions(&awkward("clap.avif")).unwrap(), (100, 60));
    assert!(gap(&cut, &base.crop(10, 10, 100, 60)) < 5.0);
    let (grid, whole) = (read(&awkward("grid.avif")).unwrap(), read(&awkward("grid.png")).unwrap());
    assert!(gap(&grid, &whole) < 5.0, "tiles lie where they belong: {}", gap(&grid, &whole));
}

/// JPEG XL with its metadata and the orientation of its codestream; light of scenes by the curve of sRGB, and beyond white.
#[test]
fn pictures_of_other_kinds_come_in() {
    // The first is a JPEG packed further, the second made of a PNG.
    for (name, of, most) in [("small.jxl", "small.jpg", 1.0), ("lossy.jxl", "small.png", 3.0)] {
        let stored = read(&awkward(of)).unwrap();
        assert_eq!((stored.width(), stored.height()), (48, 72), "it is turned by its EXIF");
        let found = read(&awkward(name)).unwrap();
        assert_eq!(upright_dimensions(&awkward(name)).unwrap(), (48, 72));
        assert!(gap(&found, &stored) <= most, "{name}: {}", gap(&found, &stored));
        assert_eq!(contains(&found.metadata.exif, "Ann"), of == "small.jpg", "{name}");
        assert_eq!(found.metadata.icc, None, "sRGB needs no profile");
    }
    let flat = read(&awkward("small.tga")).unwrap();
    let levels = |picture: &Picture, x: usize, y: usize| [0, 1, 2].map(|c| picture.planes[c].data[y * 72 + x]);
    for (name, most, has_lamp) in [("small.hdr", 5.0, false), ("small.exr", 1.5, true), ("small.pfm", 1.5, true)] {
        let found = read(&awkward(name)).unwrap();
        assert_eq!(upright_dimensions(&awkward(name)).unwrap(), (72, 48));
        let most_of = |x: usize, y: usize| {
            let (a, b) = (levels(&found, x, y), levels(&flat, x, y));
            (0..3).map(|c| (a[c] - b[c]).abs()).fold(0.0, f32::max)
        };
        let is_lamp = |x: usize, y: usize| (10..14).contains(&x) && (10..14).contains(&y);
        let rest = (0..48).flat_map(|y| (0..72).map(move |x| (x, y))).filter(|&(x, y)| !(has_lamp && is_lamp(x, y)));
        let dark: Vec<f32> =
            rest.filter(|&(x, y)| levels(&flat, x, y).iter().all(|&l| l < 200.0)).map(|(x, y)| most_of(x, y)).collect();
        assert!(dark.iter().all(|&gap| gap <= most), "{name}: {:?}", dark.iter().copied().fold(0.0, f32::max));
        match (found.depth, has_lamp) {
            // Six times white, by the curve of sRGB.
            (Depth::Float { white }, true) => assert!((white - 2.171).abs() < 0.01, "{name}: {white}"),
            (Depth::Float { white }, false) => assert_eq!(white, 1.0, "{name}"),
            (other, _) => panic!("{name}: {other:?}"),
        }
    }
    // A header of many pixels and channels costs no memory: the window's right border is at the ninth byte of its value.
    let mut bomb = std::fs::read(awkward("small.exr")).unwrap();
    let place = bomb.windows(11).position(|part| part == b"dataWindow\0").unwrap() + 11 + 6 + 4;
    bomb[place + 8..place + 12].copy_from_slice(&50_000_000_i32.to_le_bytes());
    assert!(decode(&bomb, "bomb.exr").unwrap_err().to_string().contains("more memory"));
    for name in ["small.jxl", "small.exr", "small.hdr", "small.pfm", "small.tga"] {
        let bytes = std::fs::read(awkward(name)).unwrap();
        for part in 1..8 {
            let _ = decode(&bytes[..bytes.len() * part / 8], name);
        }
    }
}

#[test]
fn what_is_valid_and_not_read_is_told_from_what_is_damaged() {
    let told = |name: &str| read(&awkward(name)).unwrap_err().to_string();
    assert!(told("bits12.jpg").contains("valid JPEG of 12 bits"), "{}", told("bits12.jpg"));
    // A picture that is really cut short is not taken for one without end marker.
    let bytes = std::fs::read(awkward("no_end_marker.jpg")).unwrap();
    for kept in [bytes.len() / 2, bytes.len() * 9 / 10] {
        let error = decode(&bytes[..kept], "cut.jpg").unwrap_err().to_string();
        assert!(error.contains("truncated"), "{error}");
    }
    // What was cut off is missing, not black.
    for name in ["tiled_planar.tif", "lab.tif"] {
        let bytes = std::fs::read(awkward(name)).unwrap();
        let directory = u32::from_le_bytes(bytes[4..8].try_into().unwrap()) as usize;
        let cut = match name {
            "tiled_planar.tif" => bytes[..bytes.len() * 6 / 10].to_vec(),
            // Its directory is at the end: the data is damaged instead.
            _ => [&bytes[..directory / 2], &vec![0x55; directory - directory / 2], &bytes[directory..]].concat(),
        };
        assert!(decode(&cut, name).is_err(), "{name}");
    }
    // Tiles that lie beyond the picture, or do not cover it.
    let grid = std::fs::read(awkward("grid.avif")).unwrap();
    let place = grid.windows(8).position(|eight| eight == [0, 0, 1, 1, 1, 0, 0, 160]).unwrap() + 4;
    for size in [[0, 10, 0, 160], [1, 0, 0, 10], [11, 184, 7, 208]] {
        let mut other = grid.clone();
        other[place..place + 4].copy_from_slice(&size);
        assert!(decode(&other, "grid.avif").is_err(), "{size:?}");
    }
    // Fax and its like: the name of what is in the way, and a way out.
    let mut fax = std::fs::read(awkward("bits12.tif")).unwrap();
    let at = fax.windows(4).position(|four| four == [3, 1, 3, 0]).unwrap();
    fax[at + 8..at + 10].copy_from_slice(&50000_u16.to_le_bytes());
    let error = decode(&fax, "zstd.tif").unwrap_err().to_string();
    assert!(error.contains("packed by Zstandard") && error.contains("save it"), "{error}");
}

#[test]
fn layers_go_and_everything_else_stays_in_every_format() {
    let picture = read(&awkward("layers.tif")).unwrap();
    assert!(picture.metadata.left_out.iter().any(|text| text.contains("layers of Photoshop")));
    for format in [Format::Tiff, Format::Jpeg, Format::Png, Format::WebP, Format::Avif] {
        let exif = enlarged(&picture, format).exif;
        for part in ["Ann", "(c) Ann", "2020:01:02 03:04:05"] {
            assert!(contains(&exif, part), "{part} in {}", format.name());
        }
        assert!(exif.unwrap().len() < 4096, "no layers in {}", format.name());
        assert!(picture.metadata.lost_in(format).is_empty(), "{:?}", picture.metadata.lost_in(format));
    }
}

#[test]
fn blocks_in_texts_are_read_as_if_they_had_chunks_of_their_own() {
    let metadata = read(&awkward("raw_profiles.png")).unwrap().metadata;
    assert!(metadata.exif.is_some() && metadata.xmp.is_some(), "{metadata:?}");
    assert!(metadata.texts.iter().all(|(name, _)| !name.starts_with("Raw profile")));
}

#[test]
fn a_full_segment_keeps_the_makers_notes() {
    let picture = read(&awkward("exif_full_segment.jpg")).unwrap();
    let before = picture.metadata.exif.clone().unwrap();
    let after = enlarged(&picture, Format::Jpeg).exif.unwrap();
    // The makers' note, of 30,004 bytes, stands where it stood.
    let note = before.windows(6).position(|six| six == b"FOO\0%0").unwrap();
    assert_eq!(before[note..note + 30_004], after[note..note + 30_004]);
    assert!(picture.metadata.lost_in(Format::Jpeg).is_empty(), "{:?}", picture.metadata.lost_in(Format::Jpeg));
    assert!(contains(&Some(after), "test"), "and the software is named");
}

#[test]
fn comments_resources_and_texts_are_kept_or_missed() {
    let picture = read(&awkward("comment_8bim.jpg")).unwrap();
    let comment = picture.metadata.texts.iter().find(|(name, _)| name == COMMENT).unwrap().1.clone();
    assert!(!comment.is_empty());
    for format in [Format::Jpeg, Format::Png] {
        let metadata = enlarged(&picture, format);
        assert!(metadata.texts.contains(&(COMMENT.to_owned(), comment.clone())), "{}", format.name());
    }
    for format in [Format::Jpeg, Format::Png, Format::Tiff] {
        assert_eq!(enlarged(&picture, format).resources, picture.metadata.resources, "{}", format.name());
    }
    let lost = picture.metadata.lost_in(Format::WebP).join("; ");
    assert!(lost.contains("clipping paths") && lost.contains("Comment"), "{lost}");

    let picture = read(&awkward("texts.png")).unwrap();
    let names: Vec<&str> = picture.metadata.texts.iter().map(|(name, _)| name.as_str()).collect();
    for name in ["parameters", "Creation Time", "Source", "Disclaimer"] {
        assert!(names.contains(&name), "{name} of {names:?}");
    }
    assert_eq!(enlarged(&picture, Format::Png).texts, picture.metadata.texts);
    assert!(picture.metadata.lost_in(Format::Jpeg).join("; ").contains("parameters"));
}

#[test]
fn comments_chromaticities_and_second_blocks_come_along() {
    let comment = read(&awkward("comment.gif")).unwrap();
    assert_eq!(comment.metadata.texts, [(COMMENT.to_owned(), "made by Ann é".to_owned())]);
    assert_eq!(enlarged(&comment, Format::Jpeg).texts, comment.metadata.texts);

    let light = read(&awkward("p3.exr")).unwrap();
    let stated = moxcms::ColorProfile::new_from_slice(light.metadata.icc.as_deref().unwrap()).unwrap();
    let known = moxcms::ColorProfile::new_display_p3();
    for (a, b) in [
        (stated.red_colorant.x, known.red_colorant.x),
        (stated.green_colorant.y, known.green_colorant.y),
        (stated.blue_colorant.z, known.blue_colorant.z),
    ] {
        assert!((a - b).abs() < 2e-3, "{a} for {b}");
    }

    // Two segments of a JPEG file, with a block of IPTC records each.
    let base = encode(&read(&awkward("base.png")).unwrap(), Format::Jpeg, EncodeOptions::default()).unwrap();
    let records = |text: &str| [&[0x1C, 2, 25, 0, text.len() as u8], text.as_bytes()].concat();
    let segment = |records: &[u8]| {
        let block = [b"8BIM\x04\x04\0\0", &(records.len() as u32).to_be_bytes()[..], records].concat();
        let padded = block.len() % 2;
        let content = [b"Photoshop 3.0\0", &block[..], &vec![0; padded]].concat();
        [&[0xFF, 0xED], &(content.len() as u16 + 2).to_be_bytes()[..], &content].concat()
    };
    let (first, second) = (records("sea"), records("shore"));
    let two = [&base[..2], &segment(&first), &segment(&second), &base[2..]].concat();
    assert_eq!(decode(&two, "two").unwrap().metadata.iptc, Some([first.clone(), second].concat()));
    let twice = [&base[..2], &segment(&first), &segment(&first), &base[2..]].concat();
    assert_eq!(decode(&twice, "twice").unwrap().metadata.iptc, Some(first));
}

#[test]
fn a_result_announces_no_picture_that_it_does_not_have() {
    let picture = read(&awkward("ultra_hdr_xmp.jpg")).unwrap();
    assert!(contains(&picture.metadata.xmp, "hdrgm:Version"));
    assert!(picture.metadata.left_out.iter().any(|text| text.contains("gain map")), "{:?}", picture.metadata.left_out);
    for format in [Format::Jpeg, Format::Png, Format::Tiff, Format::WebP] {
        let xmp = enlarged(&picture, format).xmp;
        for gone in ["hdrgm:Version", "Container:Directory", "MotionPhoto="] {
            assert!(xmp.is_some() && !contains(&xmp, gone), "{gone} in {}", format.name());
        }
    }
}

/// An HDR photo of a phone stays one: its gain map grows with it, is turned with it, and is where it is announced.
#[test]
fn a_gain_map_grows_with_its_picture() {
    const PARAMETERS: &str = "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF><rdf:Description rdf:about=\"\" \
        xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\" hdrgm:Version=\"1.0\" hdrgm:GainMapMax=\"2.5\"/></rdf:RDF></x:xmpmeta>";
    const ANNOUNCED: &str = "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF><rdf:Description rdf:about=\"\" \
        xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\" hdrgm:Version=\"1.0\"><dc:creator>Ann</dc:creator></rdf:Description>\
        </rdf:RDF></x:xmpmeta>";
    let options = EncodeOptions { quality: 98, ..EncodeOptions::default() };
    let gray = |width: usize, height: usize, level: &dyn Fn(usize, usize) -> f32| {
        let data = (0..width * height).map(|i| level(i % width, i / width)).collect();
        Picture::from_planes(vec![Plane::new(width, height, data)])
    };
    // Brighter to the right, in the picture and in its map, which is half as large.
    let mut photo = gray(64, 48, &|x, _| 3.0 * x as f32);
    photo.metadata.xmp = Some(ANNOUNCED.into());
    // Turned by 90 degrees for whoever looks at it.
    photo.metadata.exif = Some(b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0".to_vec());
    let mut map = gray(32, 24, &|x, _| 200.0 - 6.0 * x as f32);
    map.metadata.xmp = Some(PARAMETERS.into());
    let whole = [&photo, &map].map(|picture| encode(picture, Format::Jpeg, options).unwrap()).concat();

    let read = decode(&whole, "hdr.jpg").unwrap();
    assert!(read.metadata.left_out.is_empty(), "{:?}", read.metadata.left_out);
    assert!(read.metadata.gain_map.is_some());
    assert_eq!((read.width(), read.height()), (48, 64), "it is upright");

    let mut result = read.clone();
    result.metadata = read.metadata.for_result([48, 64], [96, 128], "test");
    let file = encode(&result, Format::Jpeg, options).unwrap();
    let again = decode(&file, "result").unwrap();
    let grown = again.metadata.gain_map.as_ref().unwrap();
    let grown = decode(&grown.jpeg, "map").unwrap();
    assert_eq!((grown.width(), grown.height()), (48, 64), "upright as its picture, and twice as large");
    let [top, bottom] = [0, 63].map(|y| grown.planes[0].data[y * 48 + 24]);
    assert!((top - 200.0).abs() < 5.0 && (bottom - 14.0).abs() < 5.0, "{top} {bottom}");
    assert!(contains(&grown.metadata.xmp, "hdrgm:GainMapMax=\"2.5\""), "its parameters are with it");
    // Where XMP and the index of pictures say that it is.
    let xmp = String::from_utf8(again.metadata.xmp.clone().unwrap()).unwrap();
    assert!(xmp.contains("Ann") && xmp.matches("hdrgm:Version").count() == 1, "{xmp}");
    let length =
        xmp.split("Item:Semantic=\"GainMap\"").nth(1).and_then(|rest| rest.split("Item:Length=\"").nth(1)).unwrap();
    let length: usize = length.split('"').next().unwrap().parse().unwrap();
    assert_eq!(file[file.len() - length..][..3], [0xFF, 0xD8, 0xFF]);
    let header = file.windows(4).position(|four| four == b"MPF\0").unwrap() + 4;
    let number = |at: usize| u32::from_be_bytes(file[header + at..][..4].try_into().unwrap()) as usize;
    let (size, place) = (number(8 + 2 + 36 + 4 + 20), number(8 + 2 + 36 + 4 + 24));
    assert_eq!((size, header + place), (length, file.len() - length));
    // A map that is damaged is missed in words, and costs no result.
    let mut damaged = whole.clone();
    let data = whole.len() - 60;
    damaged.truncate(data);
    let without = decode(&damaged, "damaged.jpg").unwrap();
    assert!(without.metadata.gain_map.is_none());
    assert!(without.metadata.left_out.iter().any(|text| text.contains("gain map")), "{:?}", without.metadata.left_out);
    assert!(encode(&without, Format::Jpeg, options).is_ok());
    // Other formats have no place for it, and say so.
    assert!(read.metadata.lost_in(Format::Png).join("; ").contains("gain map"));
    assert!(read.metadata.lost_in(Format::Jpeg).is_empty());
    for part in 1..20 {
        let _ = decode(&whole[..whole.len() * part / 20], "cut");
    }
}
