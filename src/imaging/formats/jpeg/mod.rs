//! JPEG: what its segments say, whether the file is whole, and writing.
//!
//! Decoders fill what is missing at the end of a file with gray and say nothing.

mod entropy;
mod gain_map;
mod restarts;

use std::io::{BufRead, Read, Result};

use jpeg_encoder::{ColorType, Encoder, PixelDensity, PixelDensityUnit, SamplingFactor};

use super::samples;
use crate::{
    EncodeOptions, Metadata, Picture, Plane, Subsampling, colour,
    metadata::{Block, COMMENT, extension_of, to_image_resources},
    picture::MAX_PIXELS,
};

const START_OF_SCAN: u8 = 0xDA;
const END_OF_IMAGE: u8 = 0xD9;
const QUANTISATION: u8 = 0xDB;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
const APP11: u8 = 0xEB;
const APP14: u8 = 0xEE;
const APP15: u8 = 0xEF;
const COM: u8 = 0xFE;
const JFIF: &[u8] = b"JFIF\0";
const EXIF: &[u8] = b"Exif\0\0";
const XMP: &[u8] = b"http://ns.adobe.com/xap/1.0/\0";
/// Further XMP: name of the packet (32 bytes), its length and the place of the part (4 bytes each).
const XMP_EXTENSION: &[u8] = b"http://ns.adobe.com/xmp/extension/\0";
/// Further pictures behind the first: previews, both eyes, panoramas (CIPA DC-007).
const MULTI_PICTURE: &[u8] = b"MPF\0";
const PHOTOSHOP: &[u8] = b"Photoshop 3.0\0";
const ICC: &[u8] = b"ICC_PROFILE\0";
/// Segment of pictures with a gain map (ISO 21496-1).
const GAIN_MAP: &[u8] = b"urn:iso:std:iso:ts:21496:-1\0";
/// Most bytes of a segment's content.
const MAX: usize = 65_533;

/// Bytes of a part of the second XMP packet.
const PART: usize = 65_400;

/// How much of a file is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Up to the picture's data.
    Header,
    /// All of it, to know whether it is whole.
    Whole,
}

/// What the segments of a file say.
#[derive(Debug, Default)]
pub(crate) struct Scanned {
    pub(crate) metadata: Metadata,
    /// Width and height in pixels.
    pub(crate) size: [u16; 2],
    /// Colour components.
    pub(crate) components: u8,
    /// Whether components come one after the other in a picture that is not progressive: the usual decoder
    /// (zune-jpeg 0.5) reads such a file as black and says nothing.
    pub(crate) one_by_one: bool,
    /// Whether a component for colour is sampled more finely than the first, of which the usual decoder gives another picture, or
    /// one by threes, of which it gives none.
    pub(crate) sampled_oddly: bool,
    /// Why no decoder here reads it, if none does.
    pub(crate) unread: Option<&'static str>,
    /// Whether the end marker is missing behind the picture's data.
    pub(crate) is_open: bool,
    /// What ISO's segment for gain maps holds.
    pub(crate) iso: Option<Vec<u8>>,
    /// Image resources, over all segments.
    resources: Vec<u8>,
    /// Parts of the second XMP packet: name, place and content.
    extension: Vec<(Vec<u8>, u32, Vec<u8>)>,
}

/// Reads the segments up to the picture's end; `None` if the file ends before. What follows the end marker, as some
/// cameras append, does not matter; nor do the pictures inside of segments, such as thumbnails.
///
/// # Errors
/// If reading fails.
pub(crate) fn scan(source: &mut impl BufRead, extent: Extent) -> Result<Option<Scanned>> {
    let mut scanned = Scanned::default();
    let mut profile: Vec<(u8, Vec<u8>)> = Vec::new();
    let (mut in_scan, mut is_sequential) = (false, false);
    loop {
        let Some(marker) = next_marker(source, in_scan)? else {
            // Without its end marker a picture may be whole all the same; the decoder knows.
            scanned.is_open = in_scan;
            if in_scan {
                break;
            }
            return Ok(None);
        };
        match marker {
            END_OF_IMAGE => break,
            // Start of image, restarts, and markers without content.
            0x01 | 0xD0..=0xD8 => continue,
            _ => {}
        }
        let mut length = [0; 2];
        if !fill(source, &mut length)? {
            return Ok(None);
        }
        let mut content = vec![0; usize::from(u16::from_be_bytes(length)).saturating_sub(2)];
        if !fill(source, &mut content)? {
            return Ok(None);
        }
        match marker {
            // The first frame is the one that is decoded.
            0xC0..=0xCF if ![0xC4, 0xC8, 0xCC].contains(&marker) && scanned.components == 0 => {
                scanned.components = content.get(5).copied().unwrap_or(0);
                if let [_, h1, h2, w1, w2, ..] = content[..] {
                    scanned.size = [u16::from_be_bytes([w1, w2]), u16::from_be_bytes([h1, h2])];
                }
                is_sequential = marker <= 0xC1;
                scanned.look_at_frame(marker, &content);
            }
            START_OF_SCAN if is_sequential => {
                scanned.one_by_one |= content.first().is_some_and(|&count| count < scanned.components);
            }
            QUANTISATION => scanned.metadata.jpeg_quality = scanned.metadata.jpeg_quality.or(quality(&content)),
            APP0 if content.starts_with(JFIF) => scanned.metadata.density = density(&content),
            // Of JFIF and of Adobe: thumbnails, and how colours are coded.
            APP0 | APP14 => {}
            APP1..=APP15 => scanned.note(marker, &content, &mut profile),
            COM => {
                let text = text_of(content.strip_suffix(b"\0").unwrap_or(&content));
                scanned.metadata.texts.extend((!text.trim().is_empty()).then(|| (COMMENT.to_owned(), text)));
            }
            _ => {}
        }
        if extent == Extent::Header && marker == START_OF_SCAN {
            break;
        }
        in_scan = marker == START_OF_SCAN;
    }
    profile.sort_by_key(|(number, _)| *number);
    let profile = profile.into_iter().flat_map(|(_, part)| part).collect::<Vec<u8>>();
    scanned.metadata.icc = (!profile.is_empty()).then_some(profile);
    let resources = std::mem::take(&mut scanned.resources);
    scanned.metadata.take_resources(&resources);
    scanned.join_extension();
    scanned.metadata.note_announced();
    Ok(Some(scanned))
}

impl Scanned {
    fn note(&mut self, marker: u8, content: &[u8], profile: &mut Vec<(u8, Vec<u8>)>) {
        let of = |start: &[u8]| content.strip_prefix(start);
        let metadata = &mut self.metadata;
        let mut leave_out = |what: String| {
            if !metadata.left_out.contains(&what.as_str().into()) {
                metadata.left_out.push(what.into());
            }
        };
        if let Some(block) = of(EXIF) {
            match metadata.exif {
                Some(_) => leave_out("a second EXIF block of the file is left out".into()),
                None => metadata.exif = Some(block.to_vec()),
            }
        } else if let Some(packet) = of(XMP) {
            match metadata.xmp {
                Some(_) => leave_out("a second XMP packet of the file is left out".into()),
                None => metadata.xmp = Some(packet.to_vec()),
            }
        } else if let Some(part) = of(XMP_EXTENSION) {
            if let Some((head, part)) = part.split_at_checked(40) {
                let place = u32::from_be_bytes([head[36], head[37], head[38], head[39]]);
                self.extension.push((head[..36].to_vec(), place, part.to_vec()));
            }
        } else if let Some(resources) = of(PHOTOSHOP) {
            // Large ones go on in the next segment.
            self.resources.extend(resources);
        } else if let Some([number, _, part @ ..]) = of(ICC) {
            profile.push((*number, part.to_vec()));
        } else if let Some(content) = of(GAIN_MAP) {
            self.iso = Some(content.to_vec());
            leave_out("the gain map that brightens the picture on HDR screens is left out".into());
        } else if of(MULTI_PICTURE).is_some() {
            leave_out("further pictures behind the first (previews, stereo, panorama) are left out".into());
        } else if marker == APP11 && content.starts_with(b"JP") {
            leave_out("content credentials (C2PA) hold for the original alone and are left out".into());
        } else {
            let name: String =
                content.iter().take(16).take_while(|byte| byte.is_ascii_graphic()).map(|&byte| byte as char).collect();
            let name = if name.len() < 3 { String::new() } else { format!(" ({name})") };
            leave_out(format!("a segment of its maker, APP{}{name}, is left out", marker - APP0));
        }
    }

    /// The second XMP packet, if its parts are all there and the first one names it.
    fn join_extension(&mut self) {
        let parts = std::mem::take(&mut self.extension);
        let named = self.metadata.xmp.as_deref().and_then(extension_of);
        let Some(named) = named.filter(|name| name.len() == 32) else { return };
        let mut parts: Vec<_> = parts.into_iter().filter(|(head, ..)| head.starts_with(named.as_bytes())).collect();
        parts.sort_by_key(|(_, place, _)| *place);
        let Some((head, ..)) = parts.first() else { return };
        let length = u32::from_be_bytes([head[32], head[33], head[34], head[35]]) as usize;
        let whole: Vec<u8> = parts.iter().flat_map(|(.., part)| part).copied().collect();
        let fits = parts.iter().try_fold(0, |end, (_, place, part)| (*place as usize == end).then(|| end + part.len()));
        self.metadata.xmp_extension = (fits == Some(length)).then_some(whole);
    }

    /// Takes the gain map in that lies in what is behind the picture, if there is one, and all that was to be said of it back.
    pub(crate) fn take_gain_map(&mut self, behind: &[u8]) {
        let Some((map, count)) = gain_map::find(behind, self.iso.take()) else { return };
        let metadata = &mut self.metadata;
        let is_said = |text: &str| text.contains("gain map") || (count == 1 && text.contains("behind the first"));
        metadata.left_out.retain(|text| !is_said(text));
        if metadata.announces_moving() {
            metadata.left_out.push("depth and motion in the file are left out".into());
        }
        metadata.gain_map = Some(Box::new(map));
    }

    /// What is unusual about how the frame stores its picture.
    fn look_at_frame(&mut self, marker: u8, content: &[u8]) {
        self.unread = match marker {
            0xC3 | 0xC7 | 0xCB | 0xCF => Some(
                "it is a valid lossless JPEG (medical and raw pictures), which is not read; save it as 16-bit PNG first",
            ),
            0xC9..=0xCF => Some(
                "it is a valid JPEG with arithmetic coding, which is not read; convert it first (`jpegtran picture.jpg`)",
            ),
            0xC5..=0xC7 => Some("it is a valid hierarchical JPEG, which is not read; save it as PNG first"),
            _ if content.first().is_some_and(|&bits| bits != 8) => {
                Some("it is a valid JPEG of 12 bits, which is not read; save it as 16-bit PNG or TIFF first")
            }
            _ if self.size[1] == 0 => Some(
                "it is a valid JPEG that states its height behind the picture (DNL), which is not read; save it anew first",
            ),
            _ => self.unread,
        };
        let sampling: Vec<u8> = content.get(6..).unwrap_or_default().chunks_exact(3).map(|part| part[1]).collect();
        if let [first, others @ ..] = &sampling[..] {
            let finer = others.iter().any(|other| other >> 4 > first >> 4 || other & 15 > first & 15);
            self.sampled_oddly = finer || sampling.iter().any(|factors| factors >> 4 == 3 || factors & 15 == 3);
        }
    }
}

/// A text as UTF-8, or as the Latin letters that are left.
fn text_of(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.to_owned(),
        Err(_) => bytes.iter().map(|&byte| byte as char).collect(),
    }
}

/// Quality as the Independent JPEG Group counts it, by which its table for luma is scaled: how the sum of the first table, number
/// 0, compares with that of the standard's. The sum does not depend on the order of the entries.
fn quality(content: &[u8]) -> Option<u8> {
    const STANDARD_SUM: f64 = 3688.0;
    let (&kind, entries) = content.split_first()?;
    let sum: f64 = match kind {
        0x00 => entries.get(..64)?.iter().copied().map(f64::from).sum(),
        0x10 => entries.get(..128)?.chunks_exact(2).map(|two| f64::from(u16::from_be_bytes([two[0], two[1]]))).sum(),
        _ => return None,
    };
    let percent = 100.0 * sum / STANDARD_SUM;
    let quality = if percent <= 100.0 { (200.0 - percent) / 2.0 } else { 5000.0 / percent };
    Some(quality.round().clamp(1.0, 100.0) as u8)
}

/// Pixels per inch of a JFIF segment.
fn density(content: &[u8]) -> Option<[f64; 2]> {
    let per_inch = match content.get(7)? {
        1 => 1.0,
        2 => 2.54,
        _ => return None,
    };
    let number = |at: usize| content.get(at..)?.first_chunk().map(|two| f64::from(u16::from_be_bytes(*two)));
    let (x, y) = (number(8)?, number(10)?);
    (x > 0.0 && y > 0.0).then_some([x * per_inch, y * per_inch])
}

/// The next marker, past compressed data if `in_scan`; `None` at the end of the file.
fn next_marker(source: &mut impl BufRead, in_scan: bool) -> Result<Option<u8>> {
    let mut byte = [0];
    loop {
        if source.skip_until(0xFF)? == 0 {
            return Ok(None);
        }
        // Any number of fill bytes may stand before a marker.
        byte[0] = 0xFF;
        while byte[0] == 0xFF {
            if !fill(source, &mut byte)? {
                return Ok(None);
            }
        }
        let is_data = byte[0] == 0 || (in_scan && (is_no_marker(byte[0]) || (0xD0..=0xD7).contains(&byte[0])));
        if !is_data {
            return Ok(Some(byte[0]));
        }
    }
}

/// A file whose data is damaged, put in order if it can be, and what is to be said of it; `None` if nothing is found to be wrong.
pub(crate) fn mend(file: &[u8]) -> Option<(Option<Vec<u8>>, Option<String>)> {
    if let Some(restarts::Mended { file, lost }) = restarts::mend(file) {
        let percent = (100.0 * lost).ceil();
        let what = format!("the file is damaged: about {percent:.0} % of its picture is missing or wrong");
        return Some((Some(file), Some(what).filter(|_| lost > 0.0)));
    }
    let is_damaged = restarts::progressive_lacks_some(file);
    is_damaged.then(|| (None, Some("the file is damaged: parts of its picture are missing or wrong".into())))
}

/// Whether what stands behind 0xFF in data is part of it: 0, or what only damage makes of it.
fn is_no_marker(byte: u8) -> bool {
    byte < 0xC0
}

/// Whether a file without end marker holds all of its picture.
///
/// # Errors
/// If reading fails.
pub(crate) fn is_whole(source: &mut impl Read) -> Result<bool> {
    use zune_core::{bytestream::ZCursor, options::DecoderOptions};
    let mut bytes = Vec::new();
    source.read_to_end(&mut bytes)?;
    let options = DecoderOptions::default().set_strict_mode(true).set_max_width(65_535).set_max_height(65_535);
    Ok(zune_jpeg::JpegDecoder::new_with_options(ZCursor::new(&bytes), options).decode().is_ok())
}

/// Decodes a file of four inks, one whose components come one after the other, or one of finer chroma. The profile says what inks look like.
pub(crate) fn decode_otherwise<R: Read>(source: R, metadata: Metadata) -> std::result::Result<Picture, String> {
    let mut decoder = jpeg_decoder::Decoder::new(source);
    decoder.set_max_decoding_buffer_size(MAX_PIXELS as usize * 4);
    let samples = decoder.decode().map_err(|error| error.to_string())?;
    let info = decoder.info().ok_or("it has no header")?;
    let (width, height) = (usize::from(info.width), usize::from(info.height));
    let channels = match info.pixel_format {
        jpeg_decoder::PixelFormat::L8 => 1,
        jpeg_decoder::PixelFormat::RGB24 => 3,
        jpeg_decoder::PixelFormat::CMYK32 => 4,
        other => return Err(format!("pixels of kind {other:?}")),
    };
    let mut planes: Vec<Vec<f32>> = (0..channels)
        .map(|channel| samples.iter().skip(channel).step_by(channels).map(|&sample| f32::from(sample)).collect())
        .collect();
    let mut metadata = metadata;
    if channels == 4 {
        planes = colour::from_inks(&planes, metadata.icc.take().as_deref());
    }
    let plane = |data| Plane::new(width, height, data);
    Ok(Picture { metadata, ..Picture::from_planes(planes.into_iter().map(plane).collect()) })
}

fn fill(source: &mut impl Read, target: &mut [u8]) -> Result<bool> {
    match source.read_exact(target) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Encodes a picture without alpha. Blocks that do not fit into a segment are left out.
pub(crate) fn encode(picture: &Picture, options: EncodeOptions) -> std::result::Result<Vec<u8>, String> {
    let told = |error: jpeg_encoder::EncodingError| error.to_string();
    let planes = samples::planes(picture, true);
    let bytes = samples::eight(&planes);
    let mut out = Vec::new();
    let mut encoder = Encoder::new(&mut out, options.quality.clamp(1, 100));
    encoder.set_sampling_factor(match options.subsampling {
        Subsampling::Full => SamplingFactor::R_4_4_4,
        Subsampling::Half => SamplingFactor::R_4_2_0,
    });
    encoder.set_progressive(options.progressive);
    // Its length is announced before it.
    let map =
        picture.metadata.gain_map.as_deref().map(|map| gain_map::encoded(map).map(|bytes| (map, bytes))).transpose()?;
    let announced = map.as_ref().map(|(_, bytes)| gain_map::announced(picture.metadata.xmp.as_deref(), bytes.len()));
    let Metadata { icc, exif, xmp, xmp_extension, iptc, resources, texts, density, .. } = &picture.metadata;
    if let Some(density) = density {
        let [x, y] = density.map(|density| density.round().clamp(1.0, f64::from(u16::MAX)) as u16);
        encoder.set_density(PixelDensity { density: (x, y), unit: PixelDensityUnit::Inches });
    }
    let xmp = announced.as_ref().or(xmp.as_ref());
    let exif = exif.clone().and_then(Block::parse).and_then(|block| block.fitted(MAX - EXIF.len()).0);
    let exif = exif.map(Block::into_bytes);
    // Other resources are left out before IPTC is.
    let others = resources.as_deref().unwrap_or_default();
    let blocks = [others, &[]].map(|others| to_image_resources(iptc.as_deref(), others));
    let resources =
        blocks.into_iter().find(|blocks| PHOTOSHOP.len() + blocks.len() <= MAX).filter(|all| !all.is_empty());
    for (segment, start, content) in [(1, EXIF, exif.as_ref()), (1, XMP, xmp), (13, PHOTOSHOP, resources.as_ref())] {
        if let Some(content) = content.filter(|content| start.len() + content.len() <= MAX) {
            encoder.add_app_segment(segment, [start, content].concat()).map_err(told)?;
        }
    }
    let named = xmp.and_then(|xmp| extension_of(xmp)).filter(|name| name.len() == 32);
    if let (Some(name), Some(extension)) = (named, xmp_extension) {
        for (index, part) in extension.chunks(PART).enumerate() {
            let place = [extension.len(), index * PART].map(|number| (number as u32).to_be_bytes());
            let segment = [XMP_EXTENSION, name.as_bytes(), &place.concat(), part].concat();
            encoder.add_app_segment(1, segment).map_err(told)?;
        }
    }
    if let Some(icc) = icc {
        encoder.add_icc_profile(icc).map_err(told)?;
    }
    let iso = map.as_ref().map_or(picture.metadata.iso.as_ref(), |(map, _)| map.version.as_ref());
    if let Some(content) = iso {
        encoder.add_app_segment(2, gain_map::iso_segment(content)).map_err(told)?;
    }
    if map.is_some() {
        encoder.add_app_segment(2, gain_map::index()).map_err(told)?;
    }
    let colour = if planes.len() == 1 { ColorType::Luma } else { ColorType::Rgb };
    encoder.encode(&bytes, picture.width() as u16, picture.height() as u16, colour).map_err(told)?;
    let mut out = with_comments(out, texts);
    if let Some((_, bytes)) = map {
        gain_map::fill_index(&mut out, bytes.len());
        out.extend(bytes);
    }
    Ok(out)
}

/// The file with its comments, which the encoder does not write, behind the first segment: some readers want JFIF to be that.
fn with_comments(file: Vec<u8>, texts: &[(String, String)]) -> Vec<u8> {
    let comments: Vec<&str> = texts.iter().filter(|(name, _)| name == COMMENT).map(|(_, text)| text.as_str()).collect();
    let first = file.get(4..6).map_or(0, |length| usize::from(u16::from_be_bytes([length[0], length[1]])));
    let at = (4 + first).min(file.len());
    let mut out = file[..at].to_vec();
    for comment in comments {
        // What does not fit was told.
        let comment = &comment.as_bytes()[..comment.floor_char_boundary(MAX)];
        out.extend([0xFF, COM]);
        out.extend((comment.len() as u16 + 2).to_be_bytes());
        out.extend(comment);
    }
    out.extend(&file[at..]);
    out
}
