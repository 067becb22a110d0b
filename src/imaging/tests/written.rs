//! What is written beside the formats of always: progressive JPEG, lossy WebP, AVIF with 10 bits and profiles, JPEG XL.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use dualres_imaging::{Depth, EncodeOptions, Format, Metadata, Picture, Plane, decode, encode, estimated_bytes, read};

/// Something with colours, edges and slopes.
fn picture(width: usize, height: usize, depth: Depth) -> Picture {
    let plane = |level: &dyn Fn(f32, f32) -> f32| {
        let at = |i: usize| level((i % width) as f32, (i / width) as f32);
        Plane::new(width, height, (0..width * height).map(at).collect())
    };
    let planes = vec![
        plane(&|x, _| x / (width - 1) as f32 * 255.0),
        plane(&|x, y| if (x - 20.0).hypot(y - 15.0) < 9.0 { 220.0 } else { y / (height - 1) as f32 * 180.0 }),
        plane(&|x, y| 128.0 + 60.0 * (x / 9.0).sin() * (y / 7.0).cos()),
    ];
    Picture { depth, ..Picture::from_planes(planes) }
}

fn gap(a: &Picture, b: &Picture) -> f64 {
    assert_eq!((a.width(), a.height()), (b.width(), b.height()));
    let (a, b) = (a.rgb(), b.rgb());
    let all = (0..3).flat_map(|c| a[c].data.iter().zip(&b[c].data)).map(|(a, b)| f64::from((a - b).abs()));
    all.sum::<f64>() / (3 * a[0].data.len()) as f64
}

/// The profile of Adobe RGB, for which there are no code points.
fn profile() -> Vec<u8> {
    moxcms::ColorProfile::new_adobe_rgb().encode().unwrap()
}

fn described(picture: &Picture) -> Picture {
    let exif = b"II*\0\x08\0\0\0\x01\0\x0f\x01\x02\0\x04\0\0\0Ann\0\0\0\0\0".to_vec();
    let xmp =
        b"<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF><dc:creator>Ann</dc:creator></rdf:RDF></x:xmpmeta>".to_vec();
    let mut described = picture.clone();
    described.metadata = Metadata::default();
    (described.metadata.icc, described.metadata.exif, described.metadata.xmp) =
        (Some(profile()), Some(exif), Some(xmp));
    described
}

fn with_alpha(picture: &Picture) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let alpha = Plane::new(width, height, (0..width * height).map(|i| ((i % width) * 4).min(255) as f32).collect());
    Picture { alpha: Some(alpha), ..picture.clone() }
}

fn alpha_gap(a: &Picture, b: &Picture) -> f32 {
    let (a, b) = (&a.alpha.as_ref().unwrap().data, &b.alpha.as_ref().unwrap().data);
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn progressive_files_hold_the_same_picture() {
    let base = picture(70, 50, Depth::Eight);
    let [plain, progressive] = [false, true].map(|progressive| {
        encode(&base, Format::Jpeg, EncodeOptions { progressive, ..EncodeOptions::default() }).unwrap()
    });
    let has = |file: &[u8], marker: u8| file.windows(2).any(|two| two == [0xFF, marker]);
    assert!(has(&plain, 0xC0) && !has(&plain, 0xC2));
    assert!(has(&progressive, 0xC2) && !has(&progressive, 0xC0));
    assert_eq!(decode(&plain, "plain").unwrap().planes, decode(&progressive, "progressive").unwrap().planes);
}

#[test]
fn lossy_webp_is_smaller_and_takes_everything_along() {
    let base = described(&picture(71, 51, Depth::Eight));
    let of = |picture: &Picture, lossy: bool, quality: u8| {
        encode(picture, Format::WebP, EncodeOptions { lossy, quality, ..EncodeOptions::default() }).unwrap()
    };
    let (lossless, fine, coarse) = (of(&base, false, 95), of(&base, true, 95), of(&base, true, 30));
    assert!(coarse.len() < fine.len() && fine.len() < lossless.len());
    let (fine, coarse) = (decode(&fine, "fine").unwrap(), decode(&coarse, "coarse").unwrap());
    assert!(gap(&fine, &base) < 2.5 && gap(&fine, &base) < gap(&coarse, &base), "{}", gap(&fine, &base));
    assert_eq!(fine.alpha, None);
    let Metadata { icc, exif, xmp, .. } = &fine.metadata;
    assert_eq!([icc, exif, xmp], [&base.metadata.icc, &base.metadata.exif, &base.metadata.xmp]);
    let clear = with_alpha(&base);
    let found = decode(&of(&clear, true, 95), "clear").unwrap();
    assert!(alpha_gap(&found, &clear) < 4.0 && gap(&found, &base) < 8.0);
    assert_eq!(found.metadata.icc, base.metadata.icc);
}

#[test]
fn avif_has_ten_bits_in_its_own_colour_space() {
    let base = described(&picture(72, 52, Depth::Sixteen));
    let options = EncodeOptions::default();
    for picture in [base.clone(), with_alpha(&base)] {
        let found = decode(&encode(&picture, Format::Avif, options).unwrap(), "avif").unwrap();
        assert!(gap(&found, &base) < 2.0, "no other colour space: {}", gap(&found, &base));
        assert_eq!(found.depth, Depth::Sixteen);
        let Metadata { icc, exif, .. } = &found.metadata;
        assert_eq!(
            [icc, exif],
            [&base.metadata.icc, &base.metadata.exif],
            "the profile finds its place among the boxes"
        );
        assert_eq!(found.alpha.is_some(), picture.alpha.is_some());
        if picture.alpha.is_some() {
            assert!(alpha_gap(&found, &picture) < 4.0);
        }
    }
    // A slope of 200 pixels over 20 levels of 8 bits has steps in between.
    let slope = Plane::new(200, 16, (0..200 * 16).map(|i| 100.0 + (i % 200) as f32 * 0.1).collect());
    let slope = Picture { depth: Depth::Sixteen, ..Picture::from_planes(vec![slope]) };
    let found = decode(&encode(&slope, Format::Avif, options).unwrap(), "slope").unwrap();
    let mut levels: Vec<u32> = found.planes[0].data[..200].iter().map(|level| (level * 16.0) as u32).collect();
    levels.dedup();
    assert!(levels.len() > 40, "{} steps", levels.len());
    // What other code wrote is left alone where there is no profile.
    let plain = encode(&Picture { metadata: Metadata::default(), ..base }, Format::Avif, options).unwrap();
    assert_eq!(decode(&plain, "plain").unwrap().metadata.icc, None);
}

#[test]
fn jpeg_xl_keeps_every_sample() {
    let gray = |depth: Depth| {
        let base = picture(300, 270, depth);
        Picture { depth, ..Picture::from_planes(vec![base.planes[2].clone()]) }
    };
    for depth in [Depth::Eight, Depth::Sixteen] {
        // Larger than one group of the format.
        let colour = picture(300, 270, depth);
        for mut picture in [colour.clone(), with_alpha(&colour), gray(depth), with_alpha(&gray(depth))] {
            picture.metadata = described(&picture).metadata;
            picture.metadata.icc = None;
            let file = encode(&picture, Format::Jxl, EncodeOptions::default()).unwrap();
            let found = decode(&file, "jxl").unwrap();
            // As the bits of the file hold it: 8 where there is transparency.
            let depth = if picture.alpha.is_some() { Depth::Eight } else { depth };
            picture.set_depth(depth);
            let stored = decode(&encode(&picture, Format::Png, EncodeOptions::default()).unwrap(), "png").unwrap();
            let far = |a: &Plane, b: &Plane| a.data.iter().zip(&b.data).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            let most = found.planes.iter().zip(&stored.planes).map(|(a, b)| far(a, b)).fold(0.0, f32::max);
            assert!(most < 1e-3, "{depth:?}, {} planes: {most}", picture.planes.len());
            assert_eq!((found.planes.len(), found.depth), (picture.planes.len(), depth));
            if picture.alpha.is_some() {
                assert!(alpha_gap(&found, &stored) < 1e-3, "{depth:?}, {} planes", picture.planes.len());
            }
            assert_eq!(found.metadata.exif, picture.metadata.exif);
            assert_eq!(found.metadata.xmp, picture.metadata.xmp);
        }
    }
    // Its encoder knows sRGB alone: other colours are converted, and it is said.
    let wide = described(&picture(40, 30, Depth::Sixteen));
    let found = decode(&encode(&wide, Format::Jxl, EncodeOptions::default()).unwrap(), "wide").unwrap();
    assert_eq!(found.metadata.icc, None);
    assert!(gap(&found, &wide) > 3.0, "converted");
    assert!(wide.metadata.lost_in(Format::Jxl).join(";").contains("sRGB"));
    // So that it is written where it is asked for alone.
    let original = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/awkward/small.jxl");
    assert_eq!(dualres_imaging::format_of_file(&original).unwrap(), None);
    assert_eq!(Format::like(&original), Format::Png);
    assert_eq!(Format::from_path(&original).unwrap(), Format::Jxl);
}

/// Where nothing is drawn sharper, only the samples can be wrong.
#[test]
fn the_size_of_a_file_is_known_before() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../assets/samples/chelsea.png");
    let picture = read(&path).unwrap();
    let size = [picture.width() * 2, picture.height() * 2];
    let larger = dualres_imaging::resize::resample(&picture, size[0], size[1]);
    for format in Format::ALL {
        for options in
            [EncodeOptions::default(), EncodeOptions { quality: 60, lossy: true, ..EncodeOptions::default() }]
        {
            let expected = estimated_bytes(&picture, size, format, options, None).unwrap() as f64;
            let real = encode(&larger, format, options).unwrap().len() as f64;
            assert!((0.9..1.35).contains(&(expected / real)), "{}: {expected} for {real}", format.name());
        }
    }
    // Smaller than one sample, in either direction.
    let tiny = picture.crop(0, 0, 3, 2);
    assert!(estimated_bytes(&tiny, [9, 4], Format::Png, EncodeOptions::default(), None).unwrap() < 2000);
}
