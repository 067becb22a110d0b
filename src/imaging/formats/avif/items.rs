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
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    pub(super) fn number(&mut self, width: usize) -> Option<u64> {
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
    Grid,
    Other,
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
            Some(Kind::Grid | Kind::Other) | None => {}
        }
    }
    found
}

/// Width and height of the largest picture that the file speaks of: the whole one, be it coded in one piece or as a grid.
pub(super) fn largest_extent(file: &[u8]) -> Option<(usize, usize)> {
    let properties = inside(inside(inside(file, b"meta")?.get(4..)?, b"iprp")?, b"ipco")?;
    let extents = boxes(properties).filter(|found| found.kind == *b"ispe").filter_map(|found| {
        let mut reader = Reader(found.content.get(4..)?);
        Some((reader.number(4)? as usize, reader.number(4)? as usize))
    });
    extents.max_by_key(|(width, height)| width * height)
}

/// A picture that is put together of tiles of one size, row by row.
pub(super) struct Grid {
    pub(super) columns: usize,
    /// Width and height of the whole.
    pub(super) size: [usize; 2],
    /// Coded data of each tile.
    pub(super) tiles: Vec<Vec<u8>>,
}

/// The primary picture of a file, if it is a grid.
pub(super) fn grid(file: &[u8]) -> Option<Grid> {
    let meta = inside(file, b"meta")?.get(4..)?;
    let id = primary(meta)?;
    let kinds = kinds(inside(meta, b"iinf")?)?;
    kinds.contains(&(id, Kind::Grid)).then_some(())?;
    let data = inside(meta, b"idat").unwrap_or_default();
    let mut contents = contents(inside(meta, b"iloc")?, file, data)?;
    let mut content = |id: u64| {
        let at = contents.iter().position(|(known, _)| *known == id)?;
        Some(contents.swap_remove(at).1)
    };
    let head = content(id)?;
    let mut reader = Reader(head.get(1..)?);
    let side = if reader.number(1)? & 1 == 0 { 2 } else { 4 };
    let (rows, columns) = (reader.number(1)? as usize + 1, reader.number(1)? as usize + 1);
    let size = [reader.number(side)? as usize, reader.number(side)? as usize];
    let tiles = references(inside(meta, b"iref")?, b"dimg", id)?;
    (tiles.len() == rows * columns).then_some(())?;
    let tiles = tiles.into_iter().map(content).collect::<Option<_>>()?;
    Some(Grid { columns, size, tiles })
}

/// Number of the picture that is meant to be seen.
fn primary(meta: &[u8]) -> Option<u64> {
    let content = inside(meta, b"pitm")?;
    Reader(content.get(4..)?).number(if *content.first()? == 0 { 2 } else { 4 })
}

/// The items that an item refers to in one way.
fn references(all: &[u8], kind: &[u8; 4], from: u64) -> Option<Vec<u64>> {
    let width = if *all.first()? == 0 { 2 } else { 4 };
    boxes(all.get(4..)?).filter(|found| found.kind == *kind).find_map(|found| {
        let mut reader = Reader(found.content);
        (reader.number(width)? == from).then_some(())?;
        let count = reader.number(2)?;
        (0..count).map(|_| reader.number(width)).collect()
    })
}

/// What is to be seen of the primary picture, if it is not all: left, top, width and height (clean aperture, ISO 14496-12).
pub(super) fn aperture(file: &[u8], [width, height]: [usize; 2]) -> Option<[usize; 4]> {
    let meta = inside(file, b"meta")?.get(4..)?;
    let properties = inside(meta, b"iprp")?;
    let all: Vec<Boxed<'_>> = boxes(inside(properties, b"ipco")?).collect();
    let of_primary = associated(inside(properties, b"ipma")?, primary(meta)?)?;
    let clap =
        of_primary.into_iter().filter_map(|index| all.get(index.checked_sub(1)?)).find(|p| p.kind == *b"clap")?;
    let mut reader = Reader(clap.content);
    let mut fraction = |signed: bool| {
        let (above, below) = (reader.number(4)? as u32, reader.number(4)? as u32);
        let above = if signed { f64::from(above.cast_signed()) } else { f64::from(above) };
        (below != 0).then(|| above / f64::from(below))
    };
    let size = [fraction(false)?, fraction(false)?];
    let from_middle = [fraction(true)?, fraction(true)?];
    let edge = |axis: usize, all: usize| {
        let start = (all as f64 - size[axis]) / 2.0 + from_middle[axis];
        let (start, length) = (start.round(), size[axis].round());
        (start >= 0.0 && length >= 1.0 && start + length <= all as f64).then_some((start as usize, length as usize))
    };
    let ((left, width), (top, height)) = (edge(0, width)?, edge(1, height)?);
    Some([left, top, width, height])
}

/// Numbers, counted from 1, of the properties of an item.
fn associated(all: &[u8], item: u64) -> Option<Vec<usize>> {
    let (version, is_long) = (*all.first()?, all.get(3)? & 1 == 1);
    let mut reader = Reader(all.get(4..)?);
    let entries = reader.number(4)?;
    for _ in 0..entries {
        let id = reader.number(if version < 1 { 2 } else { 4 })?;
        let count = reader.number(1)?;
        let mut found = Vec::new();
        for _ in 0..count {
            let (width, mask) = if is_long { (2, 0x7FFF) } else { (1, 0x7F) };
            found.push((reader.number(width)? & mask) as usize);
        }
        if id == item {
            return Some(found);
        }
    }
    None
}

/// The content of the first box of a kind.
fn inside<'a>(bytes: &'a [u8], kind: &[u8; 4]) -> Option<&'a [u8]> {
    boxes(bytes).find(|found| found.kind == *kind).map(|found| found.content)
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
            b"grid" => found.push((id, Kind::Grid)),
            // After the name comes the type of the content.
            b"mime" if reader.0.windows(19).any(|part| part == b"application/rdf+xml") => found.push((id, Kind::Xmp)),
            _ => found.push((id, Kind::Other)),
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
            let _ = (descriptions(&file[..cut]), grid(&file[..cut]), aperture(&file[..cut], [10, 10]));
        }
        for at in 0..file.len() {
            for value in [0, 1, 0x44, 0xFF] {
                let mut broken = file.clone();
                broken[at] = value;
                let _ = (descriptions(&broken), grid(&broken), aperture(&broken, [10, 10]));
            }
        }
    }
}
