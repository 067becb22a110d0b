//! Pictures through files: what goes in comes out, and what cannot is refused with a sentence.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use dualres_imaging::{
    Depth, EncodeOptions, Format, ImagingError, Picture, Plane, decode, dimensions, encode, find_pictures, read, write,
};

const FORMATS: [Format; 5] = [Format::Png, Format::Jpeg, Format::WebP, Format::Tiff, Format::Bmp];

/// A smooth picture, so that JPEG keeps it closely too.
fn picture(channels: usize, alpha: bool, depth: Depth) -> Picture {
    let (width, height) = (31, 18);
    let plane = |phase: f32| {
        let data = (0..width * height)
            .map(|i| {
                let (x, y) = ((i % width) as f32, (i / width) as f32);
                let value = 30.0 + 6.0 * x + 2.0 * y + phase;
                if depth == Depth::Eight { value.round() } else { (value * 257.0).round() / 257.0 }
            })
            .collect();
        Plane::new(width, height, data)
    };
    let mut picture = Picture::from_planes((0..channels).map(|c| plane(5.0 * c as f32 + 0.37)).collect());
    picture.alpha = alpha.then(|| plane(-20.0));
    picture.depth = depth;
    picture
}

fn largest_difference(a: &Picture, b: &Picture) -> f32 {
    a.rgb()
        .into_iter()
        .chain(&a.alpha)
        .zip(b.rgb().into_iter().chain(&b.alpha))
        .flat_map(|(a, b)| a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()))
        .fold(0.0, f32::max)
}

#[test]
fn every_format_keeps_channels_alpha_and_depth_it_has() {
    for format in FORMATS {
        for channels in [1, 3] {
            for alpha in [false, true] {
                for depth in [Depth::Eight, Depth::Sixteen] {
                    let original = picture(channels, alpha, depth);
                    let bytes =
                        encode(&original, format, EncodeOptions { quality: 100, ..EncodeOptions::default() }).unwrap();
                    let found = decode(&bytes, "memory").unwrap();
                    let what = format!("{format:?}, {channels} channels, alpha {alpha}, {depth:?}");
                    let sixteen = depth == Depth::Sixteen && matches!(format, Format::Png | Format::Tiff);
                    assert_eq!(found.depth == Depth::Sixteen, sixteen, "{what}");
                    assert_eq!(found.alpha.is_some(), alpha && format != Format::Jpeg, "{what}");
                    if matches!(format, Format::Png | Format::Jpeg) {
                        assert_eq!(found.is_gray(), channels == 1, "{what}");
                    }
                    if !(alpha && format == Format::Jpeg) {
                        let tolerance = match format {
                            Format::Jpeg => 4.0,
                            _ if sixteen => 1e-4,
                            _ => 0.5 + 1e-4,
                        };
                        let gap = largest_difference(&original, &found);
                        assert!(gap <= tolerance, "{what}: {gap}");
                    }
                }
            }
        }
    }
}

#[test]
fn sixteen_bits_stay_smooth() {
    let data: Vec<f32> = (0..2000).map(|i| (20_000 + i) as f32 / 257.0).collect();
    let mut ramp = Picture::from_planes(vec![Plane::new(2000, 1, data)]);
    ramp.depth = Depth::Sixteen;
    for format in [Format::Png, Format::Tiff] {
        let found = decode(&encode(&ramp, format, EncodeOptions::default()).unwrap(), "memory").unwrap();
        let levels: std::collections::BTreeSet<u32> =
            found.planes[0].data.iter().map(|s| (s * 257.0).round() as u32).collect();
        assert_eq!(levels.len(), 2000, "{format:?}");
    }
}

#[test]
fn jpeg_lays_alpha_over_white() {
    let mut picture = Picture::from_planes(vec![Plane::filled(16, 16, 0.0); 3]);
    picture.alpha = Some(Plane::filled(16, 16, 0.0));
    let found = decode(&encode(&picture, Format::Jpeg, EncodeOptions::default()).unwrap(), "memory").unwrap();
    assert!(found.planes.iter().all(|plane| plane.data.iter().all(|&s| s > 253.0)));
}

/// An EXIF block with one entry, the orientation.
fn exif(orientation: u8) -> Vec<u8> {
    let mut block = b"II*\0\x08\0\0\0\x01\0".to_vec();
    block.extend([0x12, 0x01, 3, 0, 1, 0, 0, 0, orientation, 0, 0, 0]);
    block.extend([0; 4]);
    block
}

#[test]
fn profile_and_exif_are_kept_and_orientation_is_applied_once() {
    let folder = tempfile::tempdir().unwrap();
    // A profile is only carried if it is for colours.
    let mut icc = vec![7_u8; 300];
    icc[16..20].copy_from_slice(b"RGB ");
    for name in ["a.png", "a.jpg", "a.webp"] {
        let mut turned = picture(3, false, Depth::Eight);
        turned.metadata.icc = Some(icc.clone());
        turned.metadata.exif = Some(exif(6));
        let first = folder.path().join(name);
        write(&first, &turned, EncodeOptions::default()).unwrap();

        let upright = read(&first).unwrap();
        assert_eq!((upright.width(), upright.height()), (18, 31), "{name}: turned by a quarter");
        assert_eq!(upright.metadata.icc.as_ref(), Some(&icc), "{name}");
        let kept = upright.metadata.exif.as_ref().unwrap_or_else(|| panic!("{name}: EXIF kept"));
        assert_eq!(kept.len(), exif(6).len(), "{name}");

        let second = folder.path().join(format!("again-{name}"));
        write(&second, &upright, EncodeOptions::default()).unwrap();
        let again = read(&second).unwrap();
        assert_eq!((again.width(), again.height()), (18, 31), "{name}: not turned a second time");
        assert!(largest_difference(&upright, &again) < 8.0, "{name}");
    }
    let mut tagged = picture(3, false, Depth::Eight);
    tagged.metadata.icc = Some(icc.clone());
    let tiff = folder.path().join("a.tif");
    write(&tiff, &tagged, EncodeOptions::default()).unwrap();
    assert_eq!(read(&tiff).unwrap().metadata.icc, Some(icc));
}

#[test]
fn content_decides_about_the_format() {
    let folder = tempfile::tempdir().unwrap();
    let misnamed = folder.path().join("really-a-png.jpg");
    let bytes = encode(&picture(3, false, Depth::Eight), Format::Png, EncodeOptions::default()).unwrap();
    std::fs::write(&misnamed, bytes).unwrap();
    assert_eq!(read(&misnamed).unwrap().width(), 31);
    assert_eq!(dimensions(&misnamed).unwrap(), (31, 18));
}

fn refused(path: &Path) -> String {
    let error = read(path).unwrap_err();
    let message = error.to_string();
    assert!(message.contains(&*path.file_name().unwrap().to_string_lossy()), "names the file: {message}");
    assert!(!message.contains('\n'), "one line: {message}");
    message
}

#[test]
fn bad_files_are_refused_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    assert!(refused(&folder.path().join("missing.png")).contains("cannot read"));
    assert!(refused(folder.path()).contains("folder"));
    assert!(refused(&file("empty.png", b"")).contains("empty"));
    assert!(refused(&file("text.jpg", b"hello, this is text")).contains("unsupported file"));

    for format in FORMATS {
        let bytes = encode(&picture(3, false, Depth::Eight), format, EncodeOptions::default()).unwrap();
        let half = file(&format!("half.{}", format.extension()), &bytes[..bytes.len() / 2]);
        // JPEG decoders fill up what is missing; the others must refuse.
        if format != Format::Jpeg {
            let said = refused(&half);
            assert!(said.contains("damaged") || said.contains("truncated"), "{format:?}: {said}");
        }
        for length in [1, 4, 9, 13, 30] {
            let _ = decode(&bytes[..length.min(bytes.len())], "cut");
        }
    }

    // A PNG header that claims 60000x60000 pixels.
    let mut bomb = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    bomb.extend(60_000_u32.to_be_bytes());
    bomb.extend(60_000_u32.to_be_bytes());
    bomb.extend([8, 2, 0, 0, 0]);
    bomb.extend(crc(&bomb[12..]).to_be_bytes());
    bomb.extend(b"\0\0\0\0IDAT\x35\xaf\x06\x1e\0\0\0\0IEND\xaeB`\x82");
    assert!(refused(&file("bomb.png", &bomb)).contains("60000x60000"));
}

#[test]
fn a_jpeg_that_is_cut_short_is_refused_and_one_with_more_after_it_is_not() {
    let mut original = picture(3, false, Depth::Eight);
    // A thumbnail in the metadata has an end marker of its own.
    original.metadata.exif = Some([&b"II*\0\x08\0\0\0\0\0\0\0\0\0"[..], &[0xFF, 0xD8, 0xFF, 0xD9]].concat());
    let bytes = encode(&original, Format::Jpeg, EncodeOptions { quality: 90, ..EncodeOptions::default() }).unwrap();
    for length in [bytes.len() / 2, bytes.len() * 9 / 10, bytes.len() - 12] {
        let error = decode(&bytes[..length], "holiday.jpg").unwrap_err();
        assert!(matches!(error, ImagingError::Truncated { .. }), "{length}: {error}");
        assert!(error.to_string().contains("truncated") && error.to_string().contains("holiday.jpg"), "{error}");
    }
    // Without its end marker alone, all of the picture is there.
    let open = decode(&bytes[..bytes.len() - 2], "open").unwrap();
    assert_eq!(largest_difference(&open, &decode(&bytes, "whole").unwrap()), 0.0);
    let trailed = [&bytes[..], b"what a camera appends"].concat();
    assert_eq!(largest_difference(&decode(&trailed, "trailed").unwrap(), &decode(&bytes, "whole").unwrap()), 0.0);
}

/// What fuzzing found (`fuzz/`): each file once made the program fail.
#[test]
fn files_found_by_fuzzing_do_no_harm() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/found");
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Refused or read: either is well, a panic or a long wait for memory is not.
        let _ = (read(&path), dimensions(&path));
        count += 1;
    }
    assert!(count > 0);
}

/// Light brighter than white: kept in floats, cut off elsewhere, and no business of alpha.
#[test]
fn light_beyond_white_is_kept_in_floats_and_cut_off_in_integers() {
    let mut picture = Picture::from_planes(vec![Plane::new(2, 1, vec![255.0, 63.75])]);
    picture.alpha = Some(Plane::new(2, 1, vec![255.0, 127.5]));
    picture.depth = Depth::Float { white: 4.0 };
    let tiff = decode(&encode(&picture, Format::Tiff, EncodeOptions::default()).unwrap(), "a.tif").unwrap();
    assert!(largest_difference(&picture, &tiff) < 1e-3);
    assert_eq!(tiff.depth, Depth::Float { white: 4.0 });
    let png = decode(&encode(&picture, Format::Png, EncodeOptions::default()).unwrap(), "a.png").unwrap();
    let near = |planes: &[Plane], level: f32| (planes[0].data[1] - level).abs() < 0.01 && planes[0].data[0] == 255.0;
    assert!(near(&png.planes, 63.75), "4 times white is white, ordinary light is what it was: {:?}", png.planes);
    assert!((png.alpha.unwrap().data[1] - 127.5).abs() < 0.01);
    picture.set_depth(Depth::Eight);
    assert!(near(&picture.planes, 63.75));
    // Just above white: near it in the picture, white in integers.
    picture.planes[0].data[1] = 230.0;
    picture.depth = Depth::Float { white: 4.0 };
    picture.set_depth(Depth::Sixteen);
    assert_eq!(picture.planes[0].data[1], 255.0);
}

#[test]
fn sizes_are_told_as_the_picture_is_to_be_seen() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["a.jpg", "a.png"] {
        let mut turned = picture(3, false, Depth::Eight);
        turned.metadata.exif = Some(exif(6));
        let path = folder.path().join(name);
        write(&path, &turned, EncodeOptions::default()).unwrap();
        assert_eq!(dimensions(&path).unwrap(), (31, 18));
        assert_eq!(dualres_imaging::upright_dimensions(&path).unwrap(), (18, 31), "{name}");
    }
    let path = folder.path().join("a.avif");
    write(&path, &picture(3, true, Depth::Eight), EncodeOptions::default()).unwrap();
    assert_eq!(dualres_imaging::upright_dimensions(&path).unwrap(), (31, 18));
}

/// Components one after the other, which some encoders write and some decoders read as black.
#[test]
fn a_jpeg_of_separate_components_is_read() {
    let samples: Vec<u8> = (0..48 * 32 * 3).map(|i| (60 + i / 3 % 48 * 3 + i % 3 * 20) as u8).collect();
    let mut bytes = Vec::new();
    let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 98);
    encoder.set_optimized_huffman_tables(true);
    encoder.encode(&samples, 48, 32, jpeg_encoder::ColorType::Rgb).unwrap();
    assert_eq!(bytes.windows(2).filter(|two| *two == [0xFF, 0xDA]).count(), 3, "three scans");
    let found = decode(&bytes, "separate.jpg").unwrap();
    for (channel, plane) in found.planes.iter().enumerate() {
        let expected = samples.iter().skip(channel).step_by(3);
        let gap = plane.data.iter().zip(expected).map(|(a, b)| (a - f32::from(*b)).abs()).fold(0.0, f32::max);
        assert!(gap < 4.0, "{gap}");
    }
}

fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0_u32, |crc, &byte| {
        (0..8).fold(crc ^ u32::from(byte), |c, _| if c & 1 == 1 { c >> 1 ^ 0xedb8_8320 } else { c >> 1 })
    })
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let small = picture(3, false, Depth::Eight);
    let missing = folder.path().join("no/such/folder/a.png");
    assert!(matches!(write(&missing, &small, EncodeOptions::default()), Err(ImagingError::Write { .. })));
    assert!(matches!(
        write(&folder.path().join("a.xyz"), &small, EncodeOptions::default()),
        Err(ImagingError::UnknownOutputFormat { .. })
    ));

    let wide = Picture::from_planes(vec![Plane::filled(70_000, 1, 0.0)]);
    let target = folder.path().join("a.jpg");
    write(&target, &small, EncodeOptions::default()).unwrap();
    let before = std::fs::read(&target).unwrap();
    let error = write(&target, &wide, EncodeOptions::default()).unwrap_err();
    assert!(error.to_string().contains("65535"), "{error}");
    assert_eq!(std::fs::read(&target).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
}

#[test]
fn folders_are_searched_with_their_sub_folders() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("b")).unwrap();
    for name in ["c.PNG", "b/a.jpeg", "notes.txt"] {
        std::fs::write(folder.path().join(name), b"").unwrap();
    }
    let found: Vec<_> = find_pictures(folder.path())
        .unwrap()
        .iter()
        .map(|path| path.strip_prefix(folder.path()).unwrap().to_string_lossy().into_owned())
        .collect();
    assert_eq!(found, ["b/a.jpeg", "c.PNG"]);
}

/// Bytes of a small picture as the formats have them that are read and not written.
#[test]
fn formats_that_are_only_read_come_in() {
    // QOI: one red pixel and a run of three more.
    let mut qoi = b"qoif\0\0\0\x02\0\0\0\x02\x03\0".to_vec();
    qoi.extend([0xfe, 200, 10, 30, 0xc2, 0, 0, 0, 0, 0, 0, 0, 1]);
    let found = decode(&qoi, "a.qoi").unwrap();
    assert_eq!((found.width(), found.height()), (2, 2));
    assert_eq!(found.rgb().map(|plane| plane.data[3] as u8), [200, 10, 30]);

    let found = decode(b"P6\n2 1\n255\n\x01\x02\x03\xfa\xfb\xfc", "a.ppm").unwrap();
    assert_eq!(found.rgb().map(|plane| plane.data[1] as u8), [250, 251, 252]);
    let deep = decode(b"P5\n2 1\n65535\n\x01\x01\xff\x00", "a.pgm").unwrap();
    assert!(deep.is_gray() && deep.depth == Depth::Sixteen);
    assert!((deep.planes[0].data[0] - 1.0).abs() < 1e-5, "257 of 65535 is one gray level");

    // GIF: two frames of one colour each; the first counts.
    let mut gif = b"GIF89a\x02\0\x01\0\x80\0\0".to_vec();
    gif.extend([9, 8, 7, 250, 251, 252]);
    for colour in [0_u16, 1] {
        gif.extend(b",\0\0\0\0\x02\0\x01\0\0\x02\x02");
        // Codes of three bits: clear, the colour twice, end.
        gif.extend((4 | colour << 3 | colour << 6 | 5 << 9).to_le_bytes());
        gif.push(0);
    }
    gif.push(b';');
    let found = decode(&gif, "a.gif").unwrap();
    assert_eq!((found.width(), found.height()), (2, 1));
    assert_eq!(found.rgb().map(|plane| plane.data[1] as u8), [9, 8, 7]);
    assert_eq!(found.metadata.left_out, ["the file is an animation; its first frame was read"]);
    let error = decode(&gif[..30], "a.gif").unwrap_err();
    assert!(matches!(error, ImagingError::Truncated { .. }), "{error}");
    // Without the second.
    let frame = (gif.len() - 20) / 2;
    gif.drain(19 + frame..19 + 2 * frame);
    let still = decode(&gif, "a.gif").unwrap();
    assert_eq!((still.planes, still.metadata.left_out.len()), (found.planes, 0));
}

#[test]
fn a_moving_png_gives_its_first_frame_and_says_so() {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 2, 1);
    encoder.set_animated(2, 0).unwrap();
    let mut writer = encoder.write_header().unwrap();
    writer.write_image_data(&[9, 9]).unwrap();
    writer.write_image_data(&[250, 250]).unwrap();
    writer.finish().unwrap();
    let found = decode(&file, "a.png").unwrap();
    assert_eq!(found.planes[0].data, [9.0, 9.0]);
    assert_eq!(found.metadata.left_out, ["the file is an animation; its first frame was read"]);
}

#[test]
fn files_of_other_programs_are_named_and_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes, part) in [
        ("camera.tif", &b"FUJIFILMCCD-RAW 0201FF"[..], "raw file"),
        ("layers.png", b"8BPS\0\x01\0\0\0\0\0\0", "Photoshop"),
        ("page.tiff", b"%PDF-1.4\n", "PDF"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let message = refused(&path);
        assert!(message.contains(part), "{message}");
    }
}
