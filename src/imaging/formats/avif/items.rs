//! The EXIF block and the XMP packet of a file in boxes (ISO 23008-12), which the parser of pictures leaves aside.

/// A box: its kind and its content.
struct Boxed<'a> {
    kind: [u8; 4],
    content: &'a [u8],
}

/// The boxes in `bytes` one after the other, as far as they are whole.
fn boxes(mut bytes: &[u8]) -> impl Iterator<Item = Boxed<'_>> {
    std::iter::from_fn(move || {
        let short = u64::from(u32::from_be_bytes(*bytes.first_chunk()?));
        let kind = *bytes.get(4..)?.first_chunk()?;
        let (head, length) = match short {
            0 => (8, bytes.len() as u64),
            1 => (16, u64::from_be_bytes(*bytes.get(8..)?.first_chunk()?)),
            length => (8, length),
        };
        let content = bytes.get(head..usize::try_from(length).ok()?)?;
        bytes = &bytes[length as usize..];
        Some(Boxed { kind, content })
    })
}

/// Reads numbers of stated widths from the start of a slice.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn number(&mut self, width: usize) -> Option<u64> {
        let (first, rest) = self.0.split_at_checked(width)?;
        self.0 = rest;
        Some(first.iter().fold(0, |value, &byte| value << 8 | u64::from(byte)))
    }
}

/// What an item is of what is looked for here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Exif,
    Xmp,
}

/// Items that describe a picture: EXIF from its TIFF header on, and XMP.
pub(super) fn descriptions(file: &[u8]) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let Some(meta) = boxes(file).find(|found| found.kind == *b"meta") else { return (None, None) };
    let Some(meta) = meta.content.get(4..) else { return (None, None) };
    let of = |kind: &[u8; 4]| boxes(meta).find(|found| found.kind == *kind).map(|found| found.content);
    let (Some(infos), Some(places)) = (of(b"iinf"), of(b"iloc")) else { return (None, None) };
    let kinds = kinds(infos).unwrap_or_default();
    let data = of(b"idat").unwrap_or_default();
    let mut found = (None, None);
    for (id, content) in contents(places, file, data).unwrap_or_default() {
        match kinds.iter().find(|(known, _)| *known == id).map(|(_, kind)| *kind) {
            // Before the block stands how far on it begins.
            Some(Kind::Exif) => {
                let skip = content.first_chunk().map(|four| u32::from_be_bytes(*four) as usize);
                found.0 = skip.and_then(|skip| content.get(skip.checked_add(4)?..)).map(<[u8]>::to_vec);
            }
            Some(Kind::Xmp) => found.1 = Some(content),
            None => {}
        }
    }
    found
}

/// Width and height of the largest picture that the file speaks of: the whole one, be it coded in one piece or as a grid.
pub(super) fn largest_extent(file: &[u8]) -> Option<(usize, usize)> {
    let inside = |bytes, kind: &[u8; 4]| boxes(bytes).find(|found| found.kind == *kind).map(|found| found.content);
    let properties = inside(inside(inside(file, b"meta")?.get(4..)?, b"iprp")?, b"ipco")?;
    let extents = boxes(properties).filter(|found| found.kind == *b"ispe").filter_map(|found| {
        let mut reader = Reader(found.content.get(4..)?);
        Some((reader.number(4)? as usize, reader.number(4)? as usize))
    });
    extents.max_by_key(|(width, height)| width * height)
}

fn kinds(infos: &[u8]) -> Option<Vec<(u64, Kind)>> {
    let count_width = if *infos.first()? == 0 { 2 } else { 4 };
    let mut found = Vec::new();
    for entry in boxes(infos.get(4 + count_width..)?).filter(|entry| entry.kind == *b"infe") {
        let version = *entry.content.first()?;
        let mut reader = Reader(entry.content.get(4..)?);
        let id = reader.number(if version < 3 { 2 } else { 4 })?;
        let _protection = reader.number(2)?;
        let kind = reader.number(4)? as u32;
        match &kind.to_be_bytes() {
            b"Exif" => found.push((id, Kind::Exif)),
            // After the name comes the type of the content.
            b"mime" if reader.0.windows(19).any(|part| part == b"application/rdf+xml") => found.push((id, Kind::Xmp)),
            _ => {}
        }
    }
    Some(found)
}

/// Contents of items by their numbers. Items that lie elsewhere than in this file are left out.
fn contents(places: &[u8], file: &[u8], data: &[u8]) -> Option<Vec<(u64, Vec<u8>)>> {
    let version = *places.first()?;
    let mut reader = Reader(places.get(4..)?);
    let widths = reader.number(2)?;
    let width = |shift: u32| (widths >> shift & 15) as usize;
    let (offset_width, length_width, base_width) = (width(12), width(8), width(4));
    let index_width = if version == 0 { 0 } else { width(0) };
    let count = reader.number(if version < 2 { 2 } else { 4 })?;
    let mut found = Vec::new();
    for _ in 0..count {
        let id = reader.number(if version < 2 { 2 } else { 4 })?;
        let method = if version == 0 { 0 } else { reader.number(2)? & 15 };
        let _reference = reader.number(2)?;
        let base = reader.number(base_width)?;
        let extents = reader.number(2)?;
        let mut content = Some(Vec::new());
        for _ in 0..extents {
            let _index = reader.number(index_width)?;
            let (offset, length) = (reader.number(offset_width)?, reader.number(length_width)?);
            let source = match method {
                0 => file,
                1 => data,
                _ => &[],
            };
            let start = base.checked_add(offset).and_then(|start| usize::try_from(start).ok())?;
            let end = usize::try_from(length).ok().and_then(|length| start.checked_add(length))?;
            match (&mut content, source.get(start..end)) {
                (Some(content), Some(part)) if content.len() + part.len() <= file.len() => content.extend(part),
                _ => content = None,
            }
        }
        found.extend(content.map(|content| (id, content)));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: &[u8; 4], content: &[u8]) -> Vec<u8> {
        [&(content.len() as u32 + 8).to_be_bytes(), &kind[..], content].concat()
    }

    fn file() -> Vec<u8> {
        let exif_info = boxed(b"infe", b"\x02\0\0\0\0\x07\0\0Exif\0");
        let xmp_info = boxed(b"infe", b"\x02\0\0\0\0\x08\0\0mime\0application/rdf+xml\0");
        let infos = boxed(b"iinf", &[&b"\0\0\0\0\0\x02"[..], &exif_info, &xmp_info].concat());
        let data = boxed(b"idat", b"\0\0\0\x02xxII*\0<xmp/>");
        let places = boxed(
            b"iloc",
            b"\x01\0\0\0\x44\0\0\x02\0\x07\0\x01\0\0\0\x01\0\0\0\0\0\0\0\x0a\0\x08\0\x01\0\0\0\x01\0\0\0\x0a\0\0\0\x06",
        );
        let meta = boxed(b"meta", &[&[0; 4][..], &infos, &places, &data].concat());
        [boxed(b"ftyp", b"avif\0\0\0\0"), meta].concat()
    }

    #[test]
    fn exif_and_xmp_are_found_and_broken_files_give_nothing() {
        let file = file();
        assert_eq!(descriptions(&file), (Some(b"II*\0".to_vec()), Some(b"<xmp/>".to_vec())));
        for cut in 0..file.len() {
            let _ = descriptions(&file[..cut]);
        }
        for at in 0..file.len() {
            for value in [0, 1, 0x44, 0xFF] {
                let mut broken = file.clone();
                broken[at] = value;
                let _ = descriptions(&broken);
            }
        }
    }
}
