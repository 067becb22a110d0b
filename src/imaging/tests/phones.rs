//! What phones and cameras write today: HEIC (made by another encoder, `tests/data/phones`), and raw files with the camera's picture inside.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use dualres_imaging::{
    Depth, EncodeOptions, Format, ImagingError, Picture, Plane, decode, encode, find_pictures_below, upright_dimensions,
};

/// A picture that is another one however it is turned.
fn uneven(width: usize, height: usize) -> Picture {
    let plane = |level: &dyn Fn(f32, f32) -> f32| {
        let at = |i: usize| level((i % width) as f32, (i / width) as f32);
        Plane::new(width, height, (0..width * height).map(at).collect())
    };
    Picture::from_planes(vec![
        plane(&|x, _| x / (width - 1) as f32 * 255.0),
        plane(&|_, y| y / (height - 1) as f32 * 255.0),
        plane(&|x, y| 128.0 + 100.0 * (x / 9.0).sin() * (y / 7.0).cos()),
    ])
}

/// Mean difference in gray levels.
fn gap(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let (a, b) = (a.rgb(), b.rgb());
    let all = (0..3).flat_map(|c| a[c].data.iter().zip(&b[c].data)).map(|(a, b)| f64::from((a - b).abs()));
    all.sum::<f64>() / (3 * a[0].data.len()) as f64
}

fn advice_of(error: &ImagingError) -> &'static str {
    match error {
        ImagingError::Foreign { advice, .. } => advice,
        other => panic!("{other}"),
    }
}

#[cfg(feature = "heic")]
mod heic {
    use super::*;

    fn stored(name: &str) -> Vec<u8> {
        std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/phones").join(name)).unwrap()
    }

    /// The file with one property in place of the one that says how many bits there are, which nobody needs.
    fn with_property(mut file: Vec<u8>, kind: &[u8; 4], value: u8) -> Vec<u8> {
        let place = |file: &[u8], part: &[u8]| file.windows(part.len()).position(|window| window == part).unwrap();
        let at = place(&file, b"pixi");
        file[at..at + 4].copy_from_slice(kind);
        file[at + 4] = value;
        // Pictures are turned after they are cut, and nobody may leave it out.
        let order = place(&file, &[0x81, 2, 3, 5, 0x84]);
        file[order..order + 5].copy_from_slice(&[0x81, 2, 3, 0x84, 0x85]);
        file
    }

    #[test]
    fn pictures_of_phones_are_read_as_others_see_them() {
        let base = uneven(64, 48);
        let found = decode(&stored("colour.heic"), "colour").unwrap();
        assert!(gap(&found, &base) < 2.0, "{}", gap(&found, &base));
        assert_eq!(found.depth, Depth::Eight);
        assert_eq!(found.metadata.camera().as_deref(), Some("Dualres Fixture"));
        assert!(String::from_utf8_lossy(found.metadata.xmp.as_deref().unwrap()).contains("image/heic"));
        assert!(found.metadata.icc.is_some(), "its profile");
        assert_eq!(found.metadata.left_out, Vec::<String>::new());

        let deep = decode(&stored("ten_bits.heic"), "deep").unwrap();
        assert_eq!(deep.depth, Depth::Sixteen);
        assert!(gap(&deep, &base) < 2.0, "{}", gap(&deep, &base));
        let between = deep.planes.iter().flat_map(|plane| &plane.data).filter(|level| level.fract() > 0.01).count();
        assert!(between > 64 * 48, "finer than 8 bits: {between}");

        let gray = decode(&stored("gray.heic"), "gray").unwrap();
        assert!(gray.is_gray());
        let luma: Vec<f32> = base.rgb().map(|plane| plane.data.clone()).into_iter().enumerate().fold(
            vec![0.0; 64 * 48],
            |mut sum, (c, plane)| {
                sum.iter_mut().zip(plane).for_each(|(sum, level)| *sum += [0.299, 0.587, 0.114][c] * level);
                sum
            },
        );
        let luma = Picture::from_planes(vec![Plane::new(64, 48, luma)]);
        assert!(gap(&gray, &luma) < 2.0, "{}", gap(&gray, &luma));

        let alpha = decode(&stored("alpha.heic"), "alpha").unwrap();
        let coverage = &alpha.alpha.as_ref().unwrap().data;
        assert!(
            coverage[..60].iter().enumerate().all(|(x, &level)| (level - 4.0 * x as f32).abs() < 6.0),
            "{coverage:?}"
        );
    }

    #[test]
    fn turned_pictures_stand_upright_and_their_headers_say_so() {
        let base = decode(&stored("colour.heic"), "colour").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("turned.heic");
        // Against the clock, by quarters: the top right corner comes to the top left, and so on.
        let corners: [[usize; 2]; 4] = [[0, 0], [63, 0], [63, 47], [0, 47]];
        for (kind, value, corner, size) in [
            (b"irot", 1, corners[1], (48, 64)),
            (b"irot", 2, corners[2], (64, 48)),
            (b"irot", 3, corners[3], (48, 64)),
            (b"imir", 0, corners[3], (64, 48)),
            (b"imir", 1, corners[1], (64, 48)),
        ] {
            let file = with_property(stored("colour.heic"), kind, value);
            std::fs::write(&path, &file).unwrap();
            let found = decode(&file, "turned").unwrap();
            assert_eq!((found.width(), found.height()), size, "{kind:?} {value}");
            assert_eq!(upright_dimensions(&path).unwrap(), size);
            let [x, y] = corner;
            for (c, plane) in found.planes.iter().enumerate() {
                assert_eq!(plane.data[0], base.planes[c].data[y * 64 + x], "{kind:?} {value}");
            }
        }
    }

    /// Phones code large pictures as grids of tiles, of which the last ones stand over.
    #[test]
    fn grids_are_put_together() {
        let base = uneven(700, 560);
        let rgb: Vec<u8> =
            (0..700 * 560).flat_map(|i| [0, 1, 2].map(|c| base.planes[c].data[i].round() as u8)).collect();
        let options = heifer::EncodeOptions { quality: 95, max_threads: 1 };
        let file = heifer::encode_rgb8(700, 560, &rgb, &options).unwrap();
        assert!(file.windows(4).any(|four| four == b"grid"), "the encoder makes a grid of this size");
        let found = decode(&file, "grid").unwrap();
        assert!(gap(&found, &base) < 2.0, "{}", gap(&found, &base));
    }

    #[test]
    fn what_a_file_holds_beside_the_picture_is_told() {
        let with_alpha_as = |kind: &[u8]| {
            let mut file = stored("alpha.heic");
            let at = file.windows(7).position(|part| part == b"urn:mpe").unwrap();
            let end = at + file[at..].iter().position(|&byte| byte == 0).unwrap();
            let mut name = kind.to_vec();
            name.resize(end - at, b'x');
            file[at..end].copy_from_slice(&name);
            decode(&file, "auxiliary").unwrap()
        };
        let map = with_alpha_as(b"urn:aux:hdrgainmap");
        assert_eq!(map.alpha, None);
        assert!(map.metadata.left_out.join(";").contains("gain map"), "{:?}", map.metadata.left_out);
        let depth = with_alpha_as(b"urn:aux:depth");
        assert!(depth.metadata.left_out.join(";").contains("depth"), "{:?}", depth.metadata.left_out);
    }

    #[test]
    fn broken_and_foreign_files_get_a_clear_word() {
        let whole = stored("colour.heic");
        for length in (0..whole.len()).step_by(7) {
            // Of a file that ends early no picture is made up.
            assert!(decode(&whole[..length], "cut").is_err(), "{length} of {} bytes", whole.len());
        }
        let mut state = 1_u32;
        for _ in 0..500 {
            let mut broken = whole.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = state as usize % broken.len();
                broken[at] ^= (state >> 16) as u8;
            }
            let _ = decode(&broken, "broken");
        }
        let mut other = whole.clone();
        while let Some(at) = other.windows(4).position(|four| four == b"hvc1") {
            other[at..at + 4].copy_from_slice(b"vvc1");
        }
        assert!(advice_of(&decode(&other, "other").unwrap_err()).contains("not coded by HEVC"));
        let moving = b"\0\0\0\x14ftyphevc\0\0\0\0hevc\0\0\0\x08moov";
        assert!(advice_of(&decode(moving, "moving").unwrap_err()).contains("sequence"));
    }
}

/// Writes directories of a TIFF file one after the other, each with its entries and behind it what does not fit into them.
fn directories(all: &[Vec<(u16, u16, Vec<u8>)>], blobs: &[&[u8]]) -> Vec<u8> {
    const SIZES: [usize; 11] = [0, 1, 1, 2, 4, 8, 1, 1, 2, 4, 8];
    let head = |entries: &[(u16, u16, Vec<u8>)]| 2 + 12 * entries.len() + 4;
    let behind = |entries: &[(u16, u16, Vec<u8>)]| -> usize {
        entries.iter().map(|(_, _, data)| if data.len() > 4 { data.len().next_multiple_of(2) } else { 0 }).sum()
    };
    let mut places = vec![8];
    for entries in all {
        places.push(places.last().unwrap() + head(entries) + behind(entries));
    }
    let mut starts = vec![*places.last().unwrap()];
    for blob in blobs {
        starts.push(starts.last().unwrap() + blob.len().next_multiple_of(2));
    }
    let mut bytes = b"II*\0\x08\0\0\0".to_vec();
    for (index, entries) in all.iter().enumerate() {
        bytes.extend((entries.len() as u16).to_le_bytes());
        let mut at = places[index] + head(entries);
        let mut values = Vec::new();
        for (tag, kind, data) in entries {
            // Values that are places stand here as numbers of directories (0xD0 on) and of blobs (0xB0 on).
            let mut data = data.clone();
            if let [number, 0xFF, 0xFF, 0xFF] = data[..] {
                let place = if number >= 0xD0 {
                    places[usize::from(number - 0xD0)]
                } else {
                    starts[usize::from(number - 0xB0)]
                };
                data = (place as u32).to_le_bytes().to_vec();
            }
            bytes.extend([tag.to_le_bytes(), kind.to_le_bytes()].concat());
            bytes.extend(((data.len() / SIZES[usize::from(*kind)]) as u32).to_le_bytes());
            if data.len() <= 4 {
                data.resize(4, 0);
                bytes.extend(data);
            } else {
                bytes.extend((at as u32).to_le_bytes());
                data.resize(data.len().next_multiple_of(2), 0);
                at += data.len();
                values.extend(data);
            }
        }
        bytes.extend([0; 4]);
        bytes.extend(values);
    }
    for blob in blobs {
        bytes.extend(*blob);
        bytes.resize(bytes.len().next_multiple_of(2), 0);
    }
    bytes
}

/// A digital negative of a sensor of 64x48 pixels, with a picture of the camera inside that is to be turned.
fn negative(jpeg: &[u8], orientation: u8, [width, height]: [u16; 2]) -> Vec<u8> {
    const BYTE: u16 = 1;
    const ASCII: u16 = 2;
    const SHORT: u16 = 3;
    const LONG: u16 = 4;
    const SIGNED: u16 = 10;
    let short = |value: u16| value.to_le_bytes().to_vec();
    let long = |value: u32| value.to_le_bytes().to_vec();
    let place = |number: u8| vec![number, 0xFF, 0xFF, 0xFF];
    let matrix: Vec<u8> = [3.1, -1.5, -0.5, -0.97, 1.88, 0.04, 0.06, -0.2, 1.06]
        .iter()
        .flat_map(|value: &f64| [((value * 10_000.0) as i32).to_le_bytes(), 10_000_i32.to_le_bytes()].concat())
        .collect();
    let preview = vec![
        (254, LONG, long(1)),
        (256, SHORT, short(width)),
        (257, SHORT, short(height)),
        (258, SHORT, [short(8), short(8), short(8)].concat()),
        (259, SHORT, short(7)),
        (262, SHORT, short(6)),
        (271, ASCII, b"Dualres\0".to_vec()),
        (272, ASCII, b"Test camera\0".to_vec()),
        (273, LONG, place(0xB0)),
        (274, SHORT, short(u16::from(orientation))),
        (277, SHORT, short(3)),
        (278, SHORT, short(height)),
        (279, LONG, long(jpeg.len() as u32)),
        (330, LONG, place(0xD1)),
        (50706, BYTE, vec![1, 4, 0, 0]),
        (50708, ASCII, b"Dualres Test camera\0".to_vec()),
        (50721, SIGNED, matrix),
        (50778, SHORT, short(21)),
    ];
    let sensor = vec![
        (254, LONG, long(0)),
        (256, SHORT, short(64)),
        (257, SHORT, short(48)),
        (258, SHORT, short(16)),
        (259, SHORT, short(1)),
        (262, SHORT, short(32803)),
        (273, LONG, place(0xB1)),
        (277, SHORT, short(1)),
        (278, SHORT, short(48)),
        (279, LONG, long(64 * 48 * 2)),
        (33421, SHORT, [short(2), short(2)].concat()),
        (33422, BYTE, vec![0, 1, 1, 2]),
    ];
    directories(&[preview, sensor], &[jpeg, &[0x40; 64 * 48 * 2]])
}

#[test]
fn the_picture_of_the_camera_is_taken_from_a_raw_file() {
    let photo = uneven(64, 48);
    let options = EncodeOptions { quality: 95, ..EncodeOptions::default() };
    let jpeg = encode(&photo, Format::Jpeg, options).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("IMG_1.dng");
    for (orientation, size, corner) in [(1, (64, 48), [0, 0]), (6, (48, 64), [0, 47]), (8, (48, 64), [63, 0])] {
        let file = negative(&jpeg, orientation, [64, 48]);
        std::fs::write(&path, &file).unwrap();
        let found = decode(&file, "IMG_1.dng").unwrap();
        assert_eq!((found.width(), found.height()), size);
        assert_eq!(upright_dimensions(&path).unwrap(), size);
        let inside = decode(&jpeg, "inside").unwrap();
        let [x, y] = corner;
        for (c, plane) in found.planes.iter().enumerate() {
            assert_eq!(plane.data[0], inside.planes[c].data[y * 64 + x], "turned by {orientation}");
        }
        assert_eq!(found.metadata.camera().as_deref(), Some("Dualres Test camera"));
        assert!(found.metadata.left_out.join(";").contains("camera's own picture"), "{:?}", found.metadata.left_out);
    }
    let listed = find_pictures_below(folder.path());
    assert_eq!(listed.pictures, std::slice::from_ref(&path));
    // Cameras write both when they are asked to: the photo is enlarged once.
    std::fs::write(folder.path().join("IMG_1.JPG"), &jpeg).unwrap();
    let listed = find_pictures_below(folder.path());
    assert_eq!(listed.pictures, [folder.path().join("IMG_1.JPG")]);
    assert!(listed.foreign[0].1.contains("beside it"), "{:?}", listed.foreign);
}

#[test]
fn a_raw_file_without_a_picture_of_its_size_is_named_with_advice() {
    let small = encode(&uneven(32, 24), Format::Jpeg, EncodeOptions::default()).unwrap();
    let refused = decode(&negative(&small, 1, [32, 24]), "IMG_2.dng").unwrap_err();
    assert!(advice_of(&refused).contains("small preview"), "{refused}");
    let whole = negative(&encode(&uneven(64, 48), Format::Jpeg, EncodeOptions::default()).unwrap(), 1, [64, 48]);
    for length in (16..whole.len()).step_by(97) {
        // A picture that is there whole may be taken; nothing is made up and nothing panics.
        if let Ok(found) = decode(&whole[..length], "cut.dng") {
            assert_eq!((found.width(), found.height()), (64, 48));
        }
    }
    let refused = decode(b"FUJIFILMCCD-RAW 0201FF", "camera.raf").unwrap_err();
    assert!(advice_of(&refused).contains("develop"), "{refused}");
}
