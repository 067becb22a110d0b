//! PNG: chunks that its decoder leaves aside, and writing.

use std::{
    borrow::Cow,
    io::{BufRead, Read, Result, Seek, SeekFrom},
};

use png::{BitDepth, ColorType, Compression, Encoder, Info, PixelDimensions, Unit};

use super::{animation, samples};
use crate::{Depth, Metadata, Picture, colour, metadata::to_image_resources};

const INCHES_PER_METRE: f64 = 1.0 / 0.0254;
/// Keyword of XMP packets.
const XMP: &str = "XML:com.adobe.xmp";
/// Keyword under which programs keep IPTC records, for want of a chunk for them.
const IPTC: &str = "Raw profile type iptc";
/// How keywords begin under which programs keep blocks as hexadecimal digits, for want of a chunk or of the wish to use it.
const RAW_PROFILE: &str = "Raw profile type ";
/// How keywords of thumbnail caches begin: they speak of a file elsewhere.
const THUMBNAIL: &str = "Thumb::";
/// What is said of texts that no chunk holds.
const TEXT_LOST: &str = "texts of the PNG file with an unusual keyword or of more than 64 MB are left out";
/// Longest text that is written as it is, in bytes.
const SHORT_TEXT: usize = 1024;
/// Most bytes of a chunk that is read for what it says.
const MAX: u32 = 64 << 20;

/// What the chunks say that stand anywhere in a file; programs write some of them behind the picture.
///
/// # Errors
/// If reading fails.
pub(crate) fn scan(source: &mut (impl BufRead + Seek)) -> Result<Metadata> {
    let mut metadata = Metadata::default();
    let mut description = colour::Description::default();
    source.seek(SeekFrom::Start(8))?;
    loop {
        let mut head = [0; 8];
        // The decoder says what is wrong with a file that is cut short.
        if source.read_exact(&mut head).is_err() {
            break;
        }
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
        let kind = &head[4..];
        let wanted = matches!(
            kind,
            b"pHYs" | b"iTXt" | b"zTXt" | b"tEXt" | b"eXIf" | b"gAMA" | b"cHRM" | b"cICP" | b"sRGB" | b"acTL"
        );
        if kind == b"IEND" {
            break;
        }
        if !wanted || length > MAX {
            source.seek_relative(i64::from(length) + 4)?;
            continue;
        }
        let mut content = Vec::new();
        source.by_ref().take(length.into()).read_to_end(&mut content)?;
        source.seek_relative(4)?;
        match kind {
            b"pHYs" => metadata.density = density(&content),
            b"eXIf" => metadata.exif = Some(content),
            b"acTL" => {
                let frames = content.first_chunk().map_or(1, |count| u32::from_be_bytes(*count));
                metadata.left_out.extend((frames > 1).then(|| animation::LEFT_OUT.into()));
            }
            b"gAMA" | b"cHRM" | b"cICP" | b"sRGB" => description.note(kind, &content),
            _ => note_text(kind, &content, &mut metadata),
        }
    }
    // A profile that somebody put into a text is better than one that is made up from what chunks say.
    metadata.icc = metadata.icc.or_else(|| description.profile());
    metadata.note_announced();
    Ok(metadata)
}

fn density(content: &[u8]) -> Option<[f64; 2]> {
    let number = |at: usize| content.get(at..)?.first_chunk().map(|four| u32::from_be_bytes(*four));
    let (x, y, unit) = (number(0)?, number(4)?, *content.get(8)?);
    // Programs write dots per inch in whole dots per metre: 300 comes back as 299.9994.
    let per_inch = |per_metre: u32| {
        let exact = f64::from(per_metre) / INCHES_PER_METRE;
        if (exact - exact.round()).abs() < 0.02 { exact.round() } else { exact }
    };
    (unit == 1 && x > 0 && y > 0).then(|| [per_inch(x), per_inch(y)])
}

fn note_text(kind: &[u8], content: &[u8], metadata: &mut Metadata) {
    let Some(end) = content.iter().position(|&byte| byte == 0) else { return };
    let (keyword, rest) = (&content[..end], &content[end + 1..]);
    let latin = |bytes: &[u8]| bytes.iter().map(|&byte| byte as char).collect::<String>();
    let keyword = latin(keyword);
    let text = match (kind, rest) {
        (b"zTXt", [0, packed @ ..]) => inflate(packed),
        (b"tEXt", text) => Some(text.to_vec()),
        (b"iTXt", rest) => international_text(rest),
        _ => None,
    };
    let Some(text) = text else { return };
    if keyword == XMP {
        metadata.xmp = (kind == b"iTXt").then_some(text).or(metadata.xmp.take());
    } else if let Some(name) = keyword.strip_prefix(RAW_PROFILE) {
        let Some(raw) = raw_profile(&text) else { return };
        match name {
            "exif" | "EXIF" => metadata.exif = metadata.exif.take().or(Some(raw)),
            "APP1" => match raw.strip_prefix(b"http://ns.adobe.com/xap/1.0/\0") {
                Some(packet) => metadata.xmp = metadata.xmp.take().or_else(|| Some(packet.to_vec())),
                None => metadata.exif = metadata.exif.take().or(Some(raw)),
            },
            "xmp" => metadata.xmp = metadata.xmp.take().or(Some(raw)),
            "icc" | "icm" => metadata.icc = metadata.icc.take().or(Some(raw)),
            "iptc" | "8bim" => {
                metadata.take_resources(&raw);
                // Records alone, without the wrapping that most programs put around them.
                metadata.iptc = metadata.iptc.take().or_else(|| raw.starts_with(&[0x1C]).then_some(raw));
            }
            other => {
                metadata.left_out.push(format!("a block of kind {other} in a text of the PNG file is left out").into())
            }
        }
    } else if !keyword.starts_with(THUMBNAIL) {
        let text = if kind == b"iTXt" { String::from_utf8_lossy(&text).into_owned() } else { latin(&text) };
        // What no chunk may hold would cost the result.
        let held: usize = metadata.texts.iter().map(|(_, text)| text.len()).sum();
        if (1..=79).contains(&keyword.chars().count()) && held + text.len() <= MAX as usize {
            metadata.texts.push((keyword, text.replace('\0', "")));
        } else if !metadata.left_out.contains(&TEXT_LOST.into()) {
            metadata.left_out.push(TEXT_LOST.into());
        }
    }
}

fn international_text(content: &[u8]) -> Option<Vec<u8>> {
    let [packed, _method, rest @ ..] = content else { return None };
    // Language and translated keyword, each ended by a zero.
    let text = rest.splitn(3, |&byte| byte == 0).nth(2)?;
    if *packed == 1 { inflate(text) } else { Some(text.to_vec()) }
}

fn inflate(packed: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::new();
    flate2::read::ZlibDecoder::new(packed).take(MAX.into()).read_to_end(&mut out).ok()?;
    Some(out)
}

/// The bytes of a "raw profile": its name, its length and hexadecimal digits, line by line.
fn raw_profile(text: &[u8]) -> Option<Vec<u8>> {
    let text = std::str::from_utf8(text).ok()?;
    let mut lines = text.trim_start().lines();
    let (_name, length) = (lines.next()?, lines.next()?.trim().parse::<usize>().ok()?);
    let digit = |byte: u8| (byte as char).to_digit(16).map(|digit| digit as u8);
    let digits: Vec<u8> = lines.flat_map(|line| line.trim().bytes()).map(digit).collect::<Option<_>>()?;
    let bytes: Vec<u8> = digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect();
    (bytes.len() == length).then_some(bytes)
}

fn to_raw_profile(name: &str, bytes: &[u8]) -> String {
    let mut text = format!("\n{name}\n{:8}", bytes.len());
    for line in bytes.chunks(36) {
        text.push('\n');
        line.iter().for_each(|byte| text.push_str(&format!("{byte:02x}")));
    }
    text.push('\n');
    text
}

/// Encodes a picture with 8 or 16 bits.
pub(crate) fn encode(picture: &Picture) -> std::result::Result<Vec<u8>, String> {
    let told = |error: png::EncodingError| error.to_string();
    let planes = samples::planes(picture, true);
    let mut info = Info::with_size(picture.width() as u32, picture.height() as u32);
    let Metadata { icc, exif, iptc, resources, texts, density, .. } = &picture.metadata;
    info.icc_profile = icc.as_deref().map(Cow::Borrowed);
    info.exif_metadata = exif.as_deref().map(Cow::Borrowed);
    info.pixel_dims = density.map(|density| {
        let [xppu, yppu] = density.map(|density| (density * INCHES_PER_METRE).round() as u32);
        PixelDimensions { xppu, yppu, unit: Unit::Meter }
    });
    info.color_type = match planes.len() {
        1 => ColorType::Grayscale,
        2 => ColorType::GrayscaleAlpha,
        3 => ColorType::Rgb,
        _ => ColorType::Rgba,
    };
    let sixteen = picture.depth != Depth::Eight;
    info.bit_depth = if sixteen { BitDepth::Sixteen } else { BitDepth::Eight };
    let mut out = Vec::new();
    let mut encoder = Encoder::with_info(&mut out, info).map_err(told)?;
    encoder.set_compression(Compression::Fast);
    if let Some(packet) = picture.metadata.single_xmp().and_then(|packet| String::from_utf8(packet).ok()) {
        encoder.add_itxt_chunk(XMP.to_owned(), packet).map_err(told)?;
    }
    if iptc.is_some() || resources.is_some() {
        let blocks = to_image_resources(iptc.as_deref(), resources.as_deref().unwrap_or_default());
        encoder.add_ztxt_chunk(IPTC.to_owned(), to_raw_profile("iptc", &blocks)).map_err(told)?;
    }
    for (keyword, text) in texts {
        let is_latin = text.chars().all(|c| u32::from(c) < 256);
        let added = match (is_latin, text.len() > SHORT_TEXT) {
            (true, false) => encoder.add_text_chunk(keyword.clone(), text.clone()),
            (true, true) => encoder.add_ztxt_chunk(keyword.clone(), text.clone()),
            (false, _) => encoder.add_itxt_chunk(keyword.clone(), text.clone()),
        };
        added.map_err(told)?;
    }
    let bytes = if sixteen {
        samples::sixteen(&planes).into_iter().flat_map(u16::to_be_bytes).collect()
    } else {
        samples::eight(&planes)
    };
    let mut writer = encoder.write_header().map_err(told)?;
    writer.write_image_data(&bytes).map_err(told)?;
    writer.finish().map_err(told)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_profiles_come_back() {
        let bytes: Vec<u8> = (0..100).collect();
        assert_eq!(raw_profile(to_raw_profile("iptc", &bytes).as_bytes()), Some(bytes));
        assert_eq!(raw_profile(b"\nIPTC profile\n      2\n01ff\n"), Some(vec![1, 255]));
        for broken in ["", "iptc", "iptc\n3\n0102", "iptc\n2\n01zz", "\u{e9}\n1\n00"] {
            let _ = raw_profile(broken.as_bytes());
        }
        assert_eq!(raw_profile(b"iptc\n3\n0102"), None);
    }
}
