//! Files that are damaged in ways that leave most of the picture, and bitmaps of systems that are gone.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;

use dualres_imaging::{ImagingError, Picture, decode};

/// Height of what lies between two restart markers of `restarts.jpg`: a row of blocks of half the colour.
const INTERVAL: usize = 16;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/awkward").join(name)).unwrap()
}

/// Where restart markers stand.
fn restarts(file: &[u8]) -> Vec<usize> {
    (0..file.len() - 1).filter(|&at| file[at] == 0xFF && (0xD0..=0xD7).contains(&file[at + 1])).collect()
}

/// Mean difference in gray levels within an interval.
fn gap(a: &Picture, b: &Picture, interval: usize) -> f32 {
    let (a, b) = (a.rgb(), b.rgb());
    let width = a[0].width;
    // Colours of neighbours are mixed at the border.
    let rows = interval * INTERVAL + 2..(interval + 1) * INTERVAL - 2;
    let range = rows.start * width..rows.end * width;
    let of = |c: usize| -> f32 {
        a[c].data[range.clone()].iter().zip(&b[c].data[range.clone()]).map(|(a, b)| (a - b).abs()).sum()
    };
    (0..3).map(of).sum::<f32>() / (3 * range.len()) as f32
}

fn is_gray(picture: &Picture, interval: usize) -> bool {
    let rows = interval * INTERVAL + 2..(interval + 1) * INTERVAL - 2;
    let width = picture.width();
    picture
        .rgb()
        .iter()
        .all(|plane| plane.data[rows.start * width..rows.end * width].iter().all(|v| (v - 128.0).abs() <= 1.0))
}

#[test]
fn what_follows_lost_restart_markers_stays_where_it_belongs() {
    let whole = file("restarts.jpg");
    let original = decode(&whole, "whole").unwrap();
    assert!(original.metadata.left_out.is_empty(), "{:?}", original.metadata.left_out);
    let marks = restarts(&whole);
    assert_eq!(marks.len(), 5);
    let without = |from: usize, to: usize| [&whole[..from], &whole[to..]].concat();
    let with = |at: usize, byte: u8| {
        let mut file = whole.clone();
        file[at] = byte;
        file
    };
    let interval = |at: usize| whole[marks[at - 1]..marks[at]].to_vec();
    // What is done to the file, which of its six parts are gray then, and which may look like anything.
    for (name, file, lost, spoilt) in [
        ("the number of a marker", with(marks[2] + 1, 0xD7), vec![], vec![]),
        ("a marker", without(marks[2], marks[2] + 2), vec![], vec![]),
        ("a marker made data", with(marks[2] + 1, 0x12), vec![], vec![]),
        ("what is between two markers, and one of them", without(marks[1], marks[2]), vec![2], vec![]),
        ("what is between two markers", without(marks[1] + 2, marks[2]), vec![2], vec![]),
        ("more than one", without(marks[0] + 40, marks[2] + 10), vec![2, 3], vec![1, 2]),
        ("the end", without(marks[4], whole.len() - 2), vec![5], vec![]),
        ("half of a part", without(marks[1] + 200, marks[2]), vec![], vec![2]),
        ("a part twice", [&whole[..marks[2]], &interval(2), &whole[marks[2]..]].concat(), vec![], vec![]),
    ] {
        let picture = decode(&file, name).unwrap();
        let said: Vec<String> = picture.metadata.left_out.iter().map(ToString::to_string).collect();
        let is_told = said.len() == 1 && said[0].starts_with("the file is damaged: about ");
        assert_eq!(is_told, !(lost.is_empty() && spoilt.is_empty()), "{name}: {said:?}");
        for interval in 0..6 {
            if spoilt.contains(&interval) {
                continue;
            }
            if lost.contains(&interval) {
                assert!(is_gray(&picture, interval), "{name}: {interval}");
            } else {
                assert_eq!(gap(&picture, &original, interval), 0.0, "{name}: {interval}");
            }
        }
    }
    let said =
        |file: &[u8]| decode(file, "damaged").unwrap().metadata.left_out.iter().map(ToString::to_string).collect();
    let told: Vec<String> = said(&without(marks[1], marks[2]));
    assert_eq!(told, ["the file is damaged: about 17 % of its picture is missing or wrong"]);
}

/// Without restart markers all is lost from where the data cannot be read, and nothing before.
#[test]
fn what_comes_before_damage_stays_and_the_rest_is_told() {
    let whole = file("sampled_by_three.jpg");
    let original = decode(&whole, "whole").unwrap();
    assert!(original.metadata.left_out.is_empty(), "{:?}", original.metadata.left_out);
    let cut = [&whole[..whole.len() * 2 / 3], &[0xFF, 0xD9]].concat();
    let picture = decode(&cut, "cut").unwrap();
    assert_eq!((picture.width(), picture.height()), (original.width(), original.height()));
    let said = picture.metadata.left_out.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    assert!(said.contains("the file is damaged: about "), "{said}");
    let first = |picture: &Picture| picture.rgb()[0].data[..8].to_vec();
    assert_eq!(first(&picture), first(&original));
}

/// Of a progressive picture it is told that restart markers are missing.
#[test]
fn progressive_pictures_without_their_restart_markers_are_told() {
    let whole = file("progressive_restarts.jpg");
    assert!(decode(&whole, "whole").unwrap().metadata.left_out.is_empty());
    let mark = restarts(&whole)[2];
    let cut = [&whole[..mark], &whole[mark + 2..]].concat();
    if let Ok(picture) = decode(&cut, "cut") {
        let said = picture.metadata.left_out.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(said, ["the file is damaged: parts of its picture are missing or wrong"]);
    }
}

/// Rows of `base.png` from below, blue first, as bitmaps have them.
fn rows(picture: &Picture) -> Vec<u8> {
    let rgb = picture.rgb();
    let (width, height) = (picture.width(), picture.height());
    let at = |y: usize, x: usize, c: usize| rgb[c].data[y * width + x].round() as u8;
    (0..height)
        .rev()
        .flat_map(|y| (0..width).flat_map(move |x| [2, 1, 0].map(|c| (y, x, c))))
        .map(|(y, x, c)| at(y, x, c))
        .collect()
}

#[test]
fn bitmaps_of_os2_are_read_or_refused_in_words() {
    let base = decode(&file("base.png"), "base").unwrap();
    let rows = rows(&base);
    let (width, height) = (base.width() as u16, base.height() as u16);
    let little = |number: u32| number.to_le_bytes().to_vec();
    let short = |number: u16| number.to_le_bytes().to_vec();
    let head = |offset: usize| [b"BM".to_vec(), little(0), little(0), little(offset as u32)].concat();
    let first = [little(12), short(width), short(height), short(1), short(24)].concat();
    let second = |length: u32, packing: u32| {
        let mut header = [little(length), little(width.into()), little(height.into()), short(1), short(24)].concat();
        header.extend(little(packing));
        header.resize(length as usize, 0);
        header
    };
    let array = [b"BA".to_vec(), little(54), short(0), short(0), little(0)].concat();
    let bitmap =
        |before: &[u8], header: &[u8]| [before, &head(before.len() + 14 + header.len()), header, &rows].concat();
    for (name, file) in [
        ("first", bitmap(&[], &first)),
        ("second", bitmap(&[], &second(64, 0))),
        ("short second", bitmap(&[], &second(16, 0))),
        ("array", bitmap(&array, &first)),
        ("array of second", bitmap(&array, &second(64, 0))),
    ] {
        let picture = decode(&file, name).unwrap();
        assert!(picture.rgb()[..] == base.rgb()[..], "{name}");
    }
    for cut in [14, 20, 40, 60] {
        assert!(decode(&bitmap(&[], &second(64, 0))[..cut], "cut").is_err(), "{cut}");
    }
    let refused = decode(&bitmap(&[], &second(64, 4)), "packed");
    assert!(matches!(&refused, Err(ImagingError::Foreign { advice, .. }) if advice.contains("OS/2")), "{refused:?}");
    let app = [&b"\x89PNG\r\n\x1a\n\0\0\0\x04CgBI"[..], &[0; 60]].concat();
    let refused = decode(&app, "app");
    assert!(matches!(&refused, Err(ImagingError::Foreign { advice, .. }) if advice.contains("CgBI")), "{refused:?}");
}

/// A TIFF of one strip.
fn tiff_of(strip: &[u8], [width, height]: [u32; 2], compression: u32) -> Vec<u8> {
    let entries =
        [(256, width), (257, height), (258, 8), (259, compression), (262, 1), (273, 8), (277, 1), (278, height)];
    let mut file = [b"II*\0".to_vec(), (8 + strip.len() as u32).to_le_bytes().to_vec(), strip.to_vec()].concat();
    file.extend((entries.len() as u16 + 1).to_le_bytes());
    for (tag, value) in entries.into_iter().chain([(279, strip.len() as u32)]) {
        // All as 32-bit numbers, which every reader takes.
        file.extend([u16::to_le_bytes(tag), 4_u16.to_le_bytes()].concat());
        file.extend([1_u32.to_le_bytes(), value.to_le_bytes()].concat());
    }
    file.extend([0; 4]);
    file
}

#[test]
fn a_tiff_of_too_wide_a_jpeg_is_refused_in_words() {
    use dualres_imaging::{EncodeOptions, Format, Plane, encode};
    let gray = |width: usize| Picture::from_planes(vec![Plane::filled(width, 8, 99.0)]);
    let jpeg = |width: usize| encode(&gray(width), Format::Jpeg, EncodeOptions::default()).unwrap();
    let read = decode(&tiff_of(&jpeg(1000), [1000, 8], 7), "narrow.tif").unwrap();
    assert!((read.rgb()[0].data[0] - 99.0).abs() < 2.0);
    let refused = decode(&tiff_of(&jpeg(17_000), [17_000, 8], 7), "wide.tif").unwrap_err().to_string();
    assert!(refused.contains("JPEG of more than 16,384 pixels") && refused.contains("save it"), "{refused}");
}
