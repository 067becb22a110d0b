//! Where a file's gain map is, how it is written, and how it is announced: by XMP, by ISO's segment, and by the index of
//! multi-picture files (CIPA DC-007).

use std::io::Cursor;

use super::{Extent, GAIN_MAP, MULTI_PICTURE, decode_otherwise, encode, scan};
use crate::{EncodeOptions, GainMap, Metadata, Picture, resize::resample};

/// Finds the map among the pictures behind the first one: the one that states parameters. `version` is what ISO's segment of the
/// first one holds. Returns with it how many pictures there are behind the first.
pub(super) fn find(behind: &[u8], version: Option<Vec<u8>>) -> Option<(GainMap, usize)> {
    const START: &[u8] = &[0xFF, 0xD8, 0xFF];
    let (mut found, mut count, mut at) = (None, 0, 0);
    while let Some(start) = behind[at..].windows(START.len()).position(|three| three == START) {
        let bytes = &behind[at + start..];
        let mut source = Cursor::new(bytes);
        let Ok(Some(scanned)) = scan(&mut source, Extent::Whole) else { break };
        let length = (source.position() as usize).clamp(START.len(), bytes.len());
        count += 1;
        let states = |text: &str| text.contains("hdrgm:") || text.contains("HDRGainMap");
        let in_xmp = scanned.metadata.xmp.as_deref().is_some_and(|xmp| states(&String::from_utf8_lossy(xmp)));
        let [width, height] = scanned.size.map(u64::from);
        let is_sane = width > 0 && height > 0 && width * height <= MAX_PIXELS;
        // One that cannot be read must not be found out when the result is written, after all the work.
        let is_readable = || decode_otherwise(&bytes[..length], Metadata::default()).is_ok();
        if (in_xmp || scanned.iso.is_some()) && is_sane && found.is_none() && is_readable() {
            let (jpeg, version) = (bytes[..length].to_vec(), version.clone());
            found = Some(GainMap { jpeg, turned: [false; 3], times: [1.0; 2], version });
        }
        at += start + length;
    }
    found.map(|map| (map, count))
}

/// Most pixels of a map, as it comes and as it is written.
const MAX_PIXELS: u64 = 100_000_000;

/// The map upright and enlarged, as a JPEG with its parameters.
pub(super) fn encoded(map: &GainMap) -> Result<Vec<u8>, String> {
    const QUALITY: u8 = 95;
    let told = |error: std::io::Error| error.to_string();
    let scanned =
        scan(&mut Cursor::new(&map.jpeg), Extent::Whole).map_err(told)?.ok_or("a gain map that is not whole")?;
    let mut picture = decode_otherwise(Cursor::new(&map.jpeg), Metadata::default())?;
    let [transposed, mirrored, flipped] = map.turned;
    for plane in &mut picture.planes {
        *plane = plane.turned(transposed, mirrored, flipped);
    }
    // Who shows the picture fits the map to it: a huge one need not be as large.
    let pixels = picture.width() as f64 * picture.height() as f64 * map.times[0] * map.times[1];
    let less = (MAX_PIXELS as f64 / pixels).sqrt().min(1.0);
    let side = |side: usize, times: f64| ((side as f64 * times * less).round() as usize).clamp(1, 65_535);
    let [width, height] = [side(picture.width(), map.times[0]), side(picture.height(), map.times[1])];
    let metadata = Metadata { xmp: scanned.metadata.xmp, iso: scanned.iso, ..Metadata::default() };
    let picture = Picture { metadata, ..resample(&picture, width, height) };
    encode(&picture, EncodeOptions { quality: QUALITY, ..EncodeOptions::default() })
}

/// The XMP packet of a picture with a map of `length` bytes behind it.
pub(super) fn announced(packet: Option<&[u8]>, length: usize) -> Vec<u8> {
    const CLOSE: &str = "</rdf:RDF>";
    let item = |semantic: &str, length: &str| {
        format!(
            "<rdf:li rdf:parseType=\"Resource\"><Container:Item Item:Semantic=\"{semantic}\" Item:Mime=\"image/jpeg\"{length}/></rdf:li>"
        )
    };
    let directory = item("Primary", "") + &item("GainMap", &format!(" Item:Length=\"{length}\""));
    let description = format!(
        "<rdf:Description rdf:about=\"\" xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\" \
         xmlns:Container=\"http://ns.google.com/photos/1.0/container/\" \
         xmlns:Item=\"http://ns.google.com/photos/1.0/container/item/\" hdrgm:Version=\"1.0\">\
         <Container:Directory><rdf:Seq>{directory}</rdf:Seq></Container:Directory></rdf:Description>"
    );
    let known = packet.and_then(|packet| std::str::from_utf8(packet).ok()).filter(|text| text.contains(CLOSE));
    let text = match known {
        Some(text) => text.replacen(CLOSE, &format!("{description}{CLOSE}"), 1),
        None => format!(
            "<x:xmpmeta xmlns:x=\"adobe:ns:meta/\"><rdf:RDF xmlns:rdf=\"http://www.w3.org/1999/02/22-rdf-syntax-ns#\">\
             {description}{CLOSE}</x:xmpmeta>"
        ),
    };
    text.into_bytes()
}

/// ISO's segment.
pub(super) fn iso_segment(content: &[u8]) -> Vec<u8> {
    [GAIN_MAP, content].concat()
}

/// The index of a file of two pictures, with sizes that [`fill_index`] fills in.
pub(super) fn index() -> Vec<u8> {
    let entry = |tag: u16, kind: u16, count: u32, value: [u8; 4]| {
        [&tag.to_be_bytes()[..], &kind.to_be_bytes(), &count.to_be_bytes(), &value].concat()
    };
    const VALUES: u32 = 8 + 2 + 3 * 12 + 4;
    let mut bytes = [MULTI_PICTURE, b"MM\0*\0\0\0\x08\0\x03"].concat();
    bytes.extend(entry(0xB000, 7, 4, *b"0100"));
    bytes.extend(entry(0xB001, 4, 1, 2_u32.to_be_bytes()));
    bytes.extend(entry(0xB002, 7, 32, VALUES.to_be_bytes()));
    bytes.extend([0; 4]);
    // Attributes, size, place and two that depend on it, of each picture; the first is the one to show.
    bytes.extend(0x0003_0000_u32.to_be_bytes());
    bytes.extend([0; 12 + 16]);
    bytes
}

/// Fills the index of `first` in: its own size, and that of the picture of `second` bytes behind it.
pub(super) fn fill_index(first: &mut [u8], second: usize) {
    let segment = [&[0xFF, 0xE2][..], &(index().len() as u16 + 2).to_be_bytes(), &index()].concat();
    let Some(at) = first.windows(segment.len()).position(|bytes| bytes == segment).map(|at| at + 4) else { return };
    let header = at + MULTI_PICTURE.len();
    let entries = header + 8 + 2 + 3 * 12 + 4;
    // Places count from the index's own header.
    for (place, value) in [(entries + 4, first.len()), (entries + 20, second), (entries + 24, first.len() - header)] {
        if let Some(four) = first.get_mut(place..place + 4) {
            four.copy_from_slice(&(value as u32).to_be_bytes());
        }
    }
}
