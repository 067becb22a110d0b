//! XMP packets: what is wrong in them once a picture has been turned or enlarged.
//!
//! A packet is text that many programs have written into. Only the values that are known to be wrong are changed, so that
//! everything else stays to the letter.

use std::borrow::Cow;

/// The packet in UTF-8: as it is, or from UTF-16, or else from the code of Western Europe, which some programs write against the rules.
pub(super) fn as_utf8(packet: Vec<u8>) -> Vec<u8> {
    let sixteen = |of: fn([u8; 2]) -> u16| {
        let units = packet[2..].as_chunks::<2>().0.iter().map(|two| of(*two));
        char::decode_utf16(units)
            .map(|read| read.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect::<String>()
            .into_bytes()
    };
    match packet.as_slice() {
        [0xFF, 0xFE, ..] => sixteen(u16::from_le_bytes),
        [0xFE, 0xFF, ..] => sixteen(u16::from_be_bytes),
        _ if std::str::from_utf8(&packet).is_ok() => packet,
        _ => packet.iter().map(|&byte| char::from(byte)).collect::<String>().into_bytes(),
    }
}

/// The packet of a picture whose pixels have been turned upright.
pub(super) fn upright(packet: &[u8]) -> Vec<u8> {
    changed(packet, |text| set(text, "tiff:Orientation", "1"))
}

/// The packet for a result of `size` pixels: sizes corrected, thumbnails of the original gone.
pub(super) fn for_result(packet: &[u8], [width, height]: [usize; 2]) -> Vec<u8> {
    changed(packet, |text| {
        let (width, height) = (width.to_string(), height.to_string());
        let mut text = Cow::Borrowed(text);
        for (name, value) in [
            ("exif:PixelXDimension", &width),
            ("exif:PixelYDimension", &height),
            ("tiff:ImageWidth", &width),
            ("tiff:ImageLength", &height),
        ] {
            text = Cow::Owned(set(&text, name, value));
        }
        without_element(&text, "xmp:Thumbnails")
    })
}

/// What a packet says of further pictures that lie in or behind the file: gain maps, depth, motion. Results do not have them.
const ANNOUNCEMENTS: [&str; 12] = [
    "hdrgm:",
    "Container:",
    "GContainer:",
    "GCamera:Motion",
    "GCamera:MicroVideo",
    "GDepth:",
    "GImage:",
    "GAudio:",
    "Device:",
    "apdi:",
    "HDRGainMap:",
    "aux:HDRGain",
];

/// Whether a packet announces further pictures.
pub(super) fn announces_others(packet: &[u8]) -> bool {
    std::str::from_utf8(packet)
        .is_ok_and(|text| ANNOUNCEMENTS.iter().any(|prefix| next_name(text, prefix, 0).is_some()))
}

/// Whether a packet announces depth or motion.
pub(super) fn announces_moving(packet: &[u8]) -> bool {
    const MOVING: [&str; 4] = ["GCamera:Motion", "GCamera:MicroVideo", "GDepth:", "GImage:"];
    std::str::from_utf8(packet).is_ok_and(|text| MOVING.iter().any(|prefix| next_name(text, prefix, 0).is_some()))
}

/// The packet without what it says of further pictures.
pub(super) fn alone(packet: &[u8]) -> Vec<u8> {
    // More than any program writes; each takes a walk through the packet.
    const MAX: usize = 1000;
    changed(packet, |text| {
        let mut text = text.to_owned();
        // What comments hold is no element, whatever it looks like.
        if text.contains("<!--") || text.contains("<![CDATA[") {
            return text;
        }
        for prefix in ANNOUNCEMENTS {
            let mut from = 0;
            for _ in 0..MAX {
                let Some((at, name)) = next_name(&text, prefix, from) else { break };
                let shorter = match text[..at].ends_with('<') {
                    true => without_element(&text, &name),
                    false => without_attribute(&text, &name),
                };
                // What cannot be taken out, such as a broken element, is left alone.
                from = if shorter.len() < text.len() { at.min(shorter.len()) } else { at + name.len() };
                from = (0..=from).rev().find(|&at| shorter.is_char_boundary(at)).unwrap_or(0);
                text = shorter;
            }
        }
        text
    })
}

/// Name of the property that says which packet goes on with this one.
const EXTENSION: &str = "xmpNote:HasExtendedXMP";

/// The name of the packet that goes on with this one.
pub(crate) fn extension_of(packet: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(packet).ok()?;
    Some(text[value_of(text, EXTENSION)?].to_owned())
}

/// The packet by itself, without a word of another one that goes on with it.
pub(super) fn without_extension(packet: &[u8]) -> Vec<u8> {
    changed(packet, |text| without_element(&without_attribute(text, EXTENSION), EXTENSION))
}

/// Where a property or element begins whose name has this prefix, and its whole name.
fn next_name(text: &str, prefix: &str, from: usize) -> Option<(usize, String)> {
    text[from..].match_indices(prefix).map(|(at, _)| from + at).find_map(|at| {
        // Within a tag, not in what people wrote.
        let in_tag = text[..at].rfind(['<', '>']).is_some_and(|place| text[place..].starts_with('<'));
        let is_start = in_tag && text[..at].ends_with(|before: char| before == '<' || before.is_whitespace());
        let end =
            text[at..].find(|c: char| !(c.is_alphanumeric() || "-_.:".contains(c))).map_or(text.len(), |n| at + n);
        let name = &text[at..end];
        let rest = text[end..].trim_start();
        let is_property = rest.starts_with('=') || (text[..at].ends_with('<') && !rest.is_empty());
        (is_start && is_property).then(|| (at, name.to_owned()))
    })
}

/// The packet without a density of its own.
pub(super) fn without_density(packet: &[u8]) -> Vec<u8> {
    changed(packet, |text| {
        let mut text = text.to_owned();
        for name in ["tiff:XResolution", "tiff:YResolution", "tiff:ResolutionUnit"] {
            text = without_element(&without_attribute(&text, name), name);
        }
        text
    })
}

/// Packets that are not UTF-8 are rare and stay as they are.
fn changed(packet: &[u8], change: impl Fn(&str) -> String) -> Vec<u8> {
    std::str::from_utf8(packet).map_or_else(|_| packet.to_vec(), |text| change(text).into_bytes())
}

/// Where the value of a property is, as an attribute or as an element.
fn value_of(text: &str, name: &str) -> Option<std::ops::Range<usize>> {
    for (at, _) in text.match_indices(name) {
        let after = at + name.len();
        let rest = &text[after..];
        if let Some(quoted) = rest.trim_start().strip_prefix('=') {
            let quoted = quoted.trim_start();
            let quote = quoted.chars().next().filter(|quote| "\"'".contains(*quote))?;
            let start = text.len() - quoted.len() + 1;
            return Some(start..start + text[start..].find(quote)?);
        }
        if text[..at].ends_with('<') && rest.starts_with('>') {
            let start = after + 1;
            return Some(start..start + text[start..].find('<')?);
        }
    }
    None
}

fn set(text: &str, name: &str, value: &str) -> String {
    match value_of(text, name) {
        Some(place) => format!("{}{value}{}", &text[..place.start], &text[place.end..]),
        None => text.to_owned(),
    }
}

fn without_element(text: &str, name: &str) -> String {
    let (open, close) = (format!("<{name}"), format!("</{name}>"));
    let is_whole =
        |at: &usize| text[at + open.len()..].starts_with(|c: char| c == '>' || c == '/' || c.is_whitespace());
    let Some(start) = text.match_indices(&open).map(|(at, _)| at).find(is_whole) else { return text.to_owned() };
    let Some(tag_end) = text[start..].find('>').map(|length| start + length + 1) else { return text.to_owned() };
    if text[..tag_end].ends_with("/>") {
        return format!("{}{}", &text[..start], &text[tag_end..]);
    }
    match text[tag_end..].find(&close) {
        Some(length) => format!("{}{}", &text[..start], &text[tag_end + length + close.len()..]),
        None => text.to_owned(),
    }
}

fn without_attribute(text: &str, name: &str) -> String {
    let Some(value) = value_of(text, name) else { return text.to_owned() };
    let Some(start) = text[..value.start].rfind(name) else { return text.to_owned() };
    if text[..start].ends_with('<') {
        return text.to_owned();
    }
    format!("{}{}", text[..start].trim_end(), text.get(value.end + 1..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: &str = "<rdf:Description tiff:Orientation=\"6\" exif:PixelXDimension = '640' dc:title=\"tiff:ImageWidth\" \
        tiff:XResolution=\"300/1\" tiff:YResolution=\"300/1\"><tiff:ImageLength>480</tiff:ImageLength>\
        <tiff:ResolutionUnit>2</tiff:ResolutionUnit>\
        <xmp:Thumbnails><rdf:Alt>…</rdf:Alt></xmp:Thumbnails><dc:creator>Ünal</dc:creator></rdf:Description>";

    fn text(packet: Vec<u8>) -> String {
        String::from_utf8(packet).unwrap_or_default()
    }

    #[test]
    fn packets_in_other_codes_become_utf8() {
        assert_eq!(as_utf8("Ünal".into()), "Ünal".as_bytes());
        assert_eq!(as_utf8(b"Aim\xe9".to_vec()), "Aimé".as_bytes());
        for (mark, code) in [(0xFEFF_u16, u16::to_le_bytes as fn(u16) -> [u8; 2]), (0xFEFF, u16::to_be_bytes)] {
            let units: Vec<u8> = std::iter::once(mark).chain("<x>Ünal 写真".encode_utf16()).flat_map(code).collect();
            assert_eq!(as_utf8(units), "<x>Ünal 写真".as_bytes());
        }
    }

    #[test]
    fn wrong_values_are_corrected_and_the_rest_stays_to_the_letter() {
        let upright = text(upright(PACKET.as_bytes()));
        assert_eq!(upright, PACKET.replace("Orientation=\"6\"", "Orientation=\"1\""));
        let result = text(for_result(PACKET.as_bytes(), [1280, 960]));
        let expected = PACKET
            .replace("'640'", "'1280'")
            .replace(">480<", ">960<")
            .replace("<xmp:Thumbnails><rdf:Alt>…</rdf:Alt></xmp:Thumbnails>", "");
        assert_eq!(result, expected);
        let bare = text(without_density(PACKET.as_bytes()));
        assert!(!bare.contains("Resolution") && bare.contains("Ünal") && bare.contains("dc:title=\"tiff"), "{bare}");
    }

    #[test]
    fn nothing_is_announced_that_a_result_does_not_have() {
        let packet = "<rdf:Description xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\" hdrgm:Version=\"1.0\" \
            GCamera:MotionPhoto=\"1\" xmpNote:HasExtendedXMP=\"0123\" dc:format=\"image/jpeg\"> \
            <Container:Directory><rdf:Seq><rdf:li><Container:Item Item:Mime=\"image/jpeg\" Item:Semantic=\"GainMap\"/>\
            </rdf:li></rdf:Seq></Container:Directory><hdrgm:GainMapMax/><dc:creator>Container: Ünal</dc:creator></rdf:Description>";
        assert!(announces_others(packet.as_bytes()));
        assert_eq!(extension_of(packet.as_bytes()).as_deref(), Some("0123"));
        let alone = text(without_extension(&alone(packet.as_bytes())));
        for gone in ["hdrgm:Version", "GainMap", "Motion", "Directory", "Extended"] {
            assert!(!alone.contains(gone), "{gone}: {alone}");
        }
        for kept in ["dc:format=\"image/jpeg\"", "<dc:creator>Container: Ünal</dc:creator>", "xmlns:hdrgm"] {
            assert!(alone.contains(kept), "{kept}: {alone}");
        }
        assert!(!announces_others(alone.as_bytes()));
        for broken in ["<Container:Directory>", " hdrgm:Version=", "<hdrgm:a", " GDepth:x=\"", "<GImage:Data/"] {
            super::alone(broken.as_bytes());
        }
    }

    #[test]
    fn broken_packets_stay_as_they_are() {
        for packet in ["", "tiff:Orientation", "tiff:Orientation=", "tiff:Orientation=\"", "<tiff:Orientation>"] {
            assert_eq!(text(upright(packet.as_bytes())), packet);
            for_result(packet.as_bytes(), [1, 1]);
            without_density(packet.as_bytes());
        }
        assert_eq!(upright(b"\xff\xfe"), b"\xff\xfe");
    }
}
