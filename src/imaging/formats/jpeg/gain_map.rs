//! Gain maps: pictures behind a picture that say how much brighter it is on HDR screens (ISO 21496-1, Adobe's and Google's form of
//! it in XMP), with how they are announced: by XMP, by ISO's segment, and by the index of multi-picture files (CIPA DC-007).

use std::io::Cursor;

use super::{Extent, GAIN_MAP, MULTI_PICTURE, encode, scan};
use crate::{EncodeOptions, Metadata, Picture, resize::resample};

/// A gain map with what says how it is applied.
#[derive(Clone, Debug, PartialEq)]
pub struct GainMap {
    /// The map, gray or in colours, upright as its picture. Its metadata holds parameters in XMP.
    pub picture: Picture,
    /// Parameters in ISO's form.
    pub(crate) iso: Option<Vec<u8>>,
    /// ISO's segment of the main picture: the version of the form.
    pub(crate) version: Option<Vec<u8>>,
}

impl GainMap {
    /// Finds the map among the pictures behind the first one: the one that states parameters. `version` is what ISO's segment of
    /// the first one holds. Returns with it how many pictures there are behind the first.
    pub(super) fn find(behind: &[u8], version: Option<Vec<u8>>) -> Option<(Self, usize)> {
        const START: &[u8] = &[0xFF, 0xD8, 0xFF];
        let (mut found, mut count, mut at) = (None, 0, 0);
        while let Some(start) = behind[at..].windows(START.len()).position(|three| three == START) {
            let bytes = &behind[at + start..];
            let mut source = Cursor::new(bytes);
            let Ok(Some(scanned)) = scan(&mut source, Extent::Whole) else { break };
            let length = (source.position() as usize).max(START.len());
            count += 1;
            let states = |text: &str| text.contains("hdrgm:") || text.contains("HDRGainMap");
            let in_xmp = scanned.metadata.xmp.as_deref().is_some_and(|xmp| states(&String::from_utf8_lossy(xmp)));
            if (in_xmp || scanned.iso.is_some()) && found.is_none() {
                let picture = crate::decode(&bytes[..length], "gain map").ok()?;
                found = Some(Self { picture, iso: scanned.iso, version: version.clone() });
            }
            at += start + length;
        }
        found.map(|map| (map, count))
    }

    /// The map for a picture that has become so many times as wide and high.
    pub(crate) fn enlarged(&self, times: [f64; 2]) -> Self {
        let picture = &self.picture;
        let side = |side: usize, times: f64| ((side as f64 * times).round() as usize).max(1);
        let metadata = picture.metadata.clone();
        let large = resample(picture, side(picture.width(), times[0]), side(picture.height(), times[1]));
        Self { picture: Picture { metadata, ..large }, ..self.clone() }
    }

    /// The map as a JPEG with its parameters.
    pub(super) fn encode(&self) -> Result<Vec<u8>, String> {
        const QUALITY: u8 = 95;
        let mut picture = self.picture.clone();
        picture.metadata = Metadata { xmp: picture.metadata.xmp.take(), iso: self.iso.clone(), ..Metadata::default() };
        encode(&picture, EncodeOptions { quality: QUALITY, ..EncodeOptions::default() })
    }
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
