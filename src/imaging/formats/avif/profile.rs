//! A colour profile in a file that has been written without: the encoder's container knows code points alone, and few colour
//! spaces have any.

use super::items::Reader;

/// A box in a file: where it begins and where it ends.
#[derive(Clone, Copy)]
struct Place {
    start: usize,
    end: usize,
}

/// Finds a box among those from `from` to `to`.
fn find(file: &[u8], from: usize, to: usize, kind: &[u8; 4]) -> Option<Place> {
    let mut start = from;
    while start + 8 <= to {
        let length = u32::from_be_bytes(*file.get(start..)?.first_chunk()?) as usize;
        if length < 8 || start + length > to {
            return None;
        }
        if file.get(start + 4..start + 8)? == kind {
            return Some(Place { start, end: start + length });
        }
        start += length;
    }
    None
}

/// The file with `icc` as a property of its first item, the picture.
pub(super) fn with_profile(file: &[u8], icc: &[u8]) -> Option<Vec<u8>> {
    let meta = find(file, 0, file.len(), b"meta")?;
    let properties = find(file, meta.start + 12, meta.end, b"iprp")?;
    let container = find(file, properties.start + 8, properties.end, b"ipco")?;
    let associations = find(file, properties.start + 8, properties.end, b"ipma")?;
    let places = find(file, meta.start + 12, meta.end, b"iloc")?;
    let mut count = 0_u8;
    let mut at = container.start + 8;
    while at < container.end {
        at += u32::from_be_bytes(*file.get(at..)?.first_chunk()?).max(8) as usize;
        count = count.checked_add(1)?;
    }
    let property = [&(icc.len() as u32 + 12).to_be_bytes()[..], b"colrprof", icc].concat();
    // The first entry: after version, flags and the number of items come its own number, of two bytes, how many properties it
    // has, and those, of a byte each.
    let first = associations.start + 16;
    let (is_short, has) =
        (file.get(associations.start + 8)? == &0 && file.get(associations.start + 11)? & 1 == 0, first + 2);
    if !is_short || count >= 0x7F {
        return None;
    }
    let behind = has + 1 + usize::from(*file.get(has)?);
    let grown = property.len() + 1;
    let mut out = file.to_vec();
    // From behind, so that what lies before stays where it was.
    let (later, earlier) = if associations.start > container.start { (true, false) } else { (false, true) };
    let associate = |out: &mut Vec<u8>| {
        out.insert(behind, count + 1);
        out[has] += 1;
    };
    if later {
        associate(&mut out);
    }
    out.splice(container.end..container.end, property.iter().copied());
    if earlier {
        associate(&mut out);
    }
    let longer = |out: &mut [u8], start: usize, by: usize| {
        let length = out.get(start..).and_then(|rest| rest.first_chunk()).map(|four| u32::from_be_bytes(*four));
        if let Some(length) = length {
            out[start..start + 4].copy_from_slice(&(length + by as u32).to_be_bytes());
        }
    };
    let moved = |start: usize, if_behind: usize, by: usize| if start > if_behind { start + by } else { start };
    let container_now = moved(container.start, associations.start, 1);
    let associations_now = moved(associations.start, container.start, property.len());
    longer(&mut out, container_now, property.len());
    longer(&mut out, associations_now, 1);
    longer(&mut out, properties.start, grown);
    longer(&mut out, meta.start, grown);
    let moved_by = |place: usize| place + if places.start > properties.start { grown } else { 0 };
    move_items(&mut out, moved_by(places.start), moved_by(places.end), meta.end, grown)?;
    Some(out)
}

/// Has the places of items point `by` bytes on, where they lie behind `behind`.
fn move_items(out: &mut [u8], start: usize, end: usize, behind: usize, by: usize) -> Option<()> {
    let content = out.get(start + 8..end)?.to_vec();
    let mut reader = Reader(&content);
    let version = reader.number(1)?;
    reader.number(3)?;
    let (sizes, more) = (reader.number(1)?, reader.number(1)?);
    let [offset, length, base] = [sizes >> 4, sizes & 15, more >> 4].map(|size| size as usize);
    let index = if version == 0 { 0 } else { (more & 15) as usize };
    let of_items = if version < 2 { 2 } else { 4 };
    let number = reader.number(of_items)?;
    for _ in 0..number {
        reader.number(of_items)?;
        let is_in_file = version == 0 || reader.number(2)? & 15 == 0;
        reader.number(2)?;
        let base_value = reader.number(base)?;
        for _ in 0..reader.number(2)? {
            reader.number(index)?;
            let at = start + 8 + content.len() - reader.0.len();
            let value = reader.number(offset)?;
            reader.number(length)?;
            if is_in_file && base_value + value >= behind as u64 {
                let moved = (value + by as u64).to_be_bytes();
                out.get_mut(at..at + offset)?.copy_from_slice(moved.get(8 - offset..)?);
            }
        }
    }
    Some(())
}
