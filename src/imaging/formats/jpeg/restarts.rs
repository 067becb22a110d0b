//! JPEG files whose data is damaged, as on cards that were recovered: what follows stays where it belongs, and is told from what is missing.
//!
//! A restart marker stands after so many blocks, numbered from 0 to 7 and round again. Decoders count blocks alone, move all that
//! follows lost data, and say nothing.

use super::entropy::{Block, Codes, run_layers};

/// A file that was put in order.
pub(super) struct Mended {
    pub(super) file: Vec<u8>,
    /// How much of the picture is missing, from 0 to 1.
    pub(super) lost: f64,
}

/// Puts the data of a file where its restart markers say, and gray where it is missing or cannot be read; `None` if nothing is wrong
/// with it, and for files that are not coded block by block.
pub(super) fn mend(file: &[u8]) -> Option<Mended> {
    let head = Head::read(file)?;
    let (headers, tail) = file.split_at(head.data);
    let blocks = head.blocks()?;
    let (pieces, end) = pieces(tail);
    // A file that ends here is short, which is another fault.
    let rest = tail.get(end..).filter(|rest| !rest.is_empty())?;
    let intervals = head.units.div_ceil(head.interval);
    let units_of = |at: usize| head.interval.min(head.units - at * head.interval);
    let places = places(&pieces, intervals);
    let mut claimed = vec![false; intervals];
    places.iter().flatten().for_each(|&place| claimed[place] = true);
    let mut found: Vec<Option<Vec<u8>>> = vec![None; intervals];
    let (mut is_broken, mut lost) = (false, 0);
    for (piece, place) in pieces.iter().zip(places) {
        is_broken |= place.is_none() || place.map(|place| place.wrapping_sub(1) % 8) != piece.number.or(Some(7));
        let (Some(mut place), mut data) = (place, piece.data) else { continue };
        // What follows in it, its marker being lost, is that of the next.
        while !data.is_empty() {
            let passed = run_layers(data, &blocks, units_of(place))?;
            if passed.units == 0 && data.len() < piece.data.len() {
                break;
            }
            let own = passed.made_up.unwrap_or_else(|| data[..passed.rest].to_vec());
            is_broken |= passed.units < units_of(place) || data.len() < piece.data.len();
            lost += units_of(place) - passed.units;
            found[place] = Some(own);
            data = &data[passed.rest..];
            if let [0xFF, 1..=0xFF, behind @ ..] = data {
                // What is left of the marker.
                data = behind;
            }
            place += 1;
            if claimed.get(place).is_none_or(|&claimed| claimed) {
                break;
            }
        }
    }
    let missing: usize = (0..intervals).filter(|&at| found[at].is_none()).map(units_of).sum();
    lost += missing;
    if !is_broken && missing == 0 {
        return None;
    }
    let mut file = headers.to_vec();
    for (at, data) in found.into_iter().enumerate() {
        match data {
            Some(data) => file.extend(data),
            None => file.extend(run_layers(&[], &blocks, units_of(at))?.made_up?),
        }
        if at + 1 < intervals {
            file.extend([0xFF, 0xD0 + (at % 8) as u8]);
        }
    }
    file.extend_from_slice(rest);
    Some(Mended { file, lost: lost as f64 / head.units as f64 })
}

/// Where each piece belongs by the number before it; none for one too many.
fn places(pieces: &[Piece<'_>], intervals: usize) -> Vec<Option<usize>> {
    if pieces.len() == intervals {
        // Numbers alone can be wrong then.
        return (0..intervals).map(Some).collect();
    }
    let missing = intervals.saturating_sub(pieces.len());
    let mut places: Vec<Option<usize>> = Vec::new();
    let (mut at, mut largest) = (0, (0, 0));
    for (index, piece) in pieces.iter().enumerate() {
        let Some(number) = piece.number else {
            places.push(Some(0));
            continue;
        };
        let expected = at % 8;
        let next = pieces.get(index + 1).and_then(|next| next.number);
        let mut skipped = (number + 8 - expected) % 8;
        if skipped > 0 && next == Some((expected + 1) % 8) {
            // The next one goes on as if nothing were wrong: the number is damaged.
            skipped = 0;
        }
        let is_stray = skipped > 0 && next == Some(expected) && missing < 7;
        let is_believed = skipped == 0 || next.is_none_or(|next| next == (number + 1) % 8);
        if is_stray || !is_believed || skipped > missing || at + skipped + 1 >= intervals {
            places.push(None);
            continue;
        }
        at += skipped + 1;
        if skipped > largest.1 {
            largest = (index, skipped);
        }
        places.push(Some(at));
    }
    // Numbers say nothing of eight that are lost at once: they belong to the largest gap.
    let short = intervals - 1 - at;
    if largest.1 > 0 && short > 0 && short.is_multiple_of(8) {
        places[largest.0..].iter_mut().flatten().for_each(|place| *place += short);
    }
    places
}

struct Piece<'a> {
    /// That of the marker before it.
    number: Option<usize>,
    data: &'a [u8],
}

/// What stands between restart markers, and where another marker, or the file, ends it. Markers that nothing has are damaged data.
fn pieces(data: &[u8]) -> (Vec<Piece<'_>>, usize) {
    let mut pieces = Vec::new();
    let (mut start, mut number, mut at) = (0, None, 0);
    while let Some(mark) = data.get(at..).and_then(|rest| rest.iter().position(|&byte| byte == 0xFF)) {
        at += mark;
        match data.get(at + 1) {
            Some(0xFF) => at += 1,
            Some(&marker @ 0xD0..=0xD7) => {
                pieces.push(Piece { number, data: &data[start..at] });
                number = Some(usize::from(marker - 0xD0));
                at += 2;
                start = at;
            }
            Some(&marker) if super::is_no_marker(marker) => at += 2,
            Some(_) => {
                pieces.push(Piece { number, data: &data[start..at] });
                return (pieces, at);
            }
            None => break,
        }
    }
    (pieces, data.len())
}

/// What the headers say of the data.
struct Head {
    /// Where the data begins.
    data: usize,
    /// Units of blocks (MCUs) in the picture.
    units: usize,
    /// Units between two restart markers; all where there are none.
    interval: usize,
    /// The tables of a unit's blocks.
    tables: Vec<[usize; 2]>,
    codes: [[Option<Codes>; 4]; 2],
}

/// What stands in front of the data of a picture or of a part of it.
struct Segments<'a> {
    file: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Segments<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        while self.file.get(self.at..)?.starts_with(&[0xFF, 0xFF]) {
            self.at += 1;
        }
        let [0xFF, marker, high, low] = *self.file.get(self.at..)?.first_chunk()? else { return None };
        let end = self.at + 2 + usize::from(u16::from_be_bytes([high, low]));
        let content = self.file.get(self.at + 4..end)?;
        self.at = end;
        Some((marker, content))
    }
}

/// Width and height, and of each component its number and factors of sampling.
struct Frame<'a> {
    size: [usize; 2],
    parts: &'a [[u8; 3]],
}

impl<'a> Frame<'a> {
    fn read(content: &'a [u8]) -> Option<Self> {
        let side = |at: usize| content.get(at..)?.first_chunk().map(|two| usize::from(u16::from_be_bytes(*two)));
        let size = [side(3)?, side(1)?];
        let parts = content.get(6..)?.as_chunks::<3>().0;
        let is_sane = |part: &[u8; 3]| (1..=4).contains(&(part[1] >> 4)) && (1..=4).contains(&(part[1] & 15));
        (size.iter().all(|&side| side > 0) && !parts.is_empty() && parts.iter().all(is_sane)).then_some(())?;
        Some(Self { size, parts })
    }

    fn factor(part: &[u8; 3], axis: usize) -> usize {
        usize::from(if axis == 0 { part[1] >> 4 } else { part[1] & 15 })
    }

    /// Units of a scan of these components: of one alone they are its blocks.
    fn units(&self, scan: &[u8]) -> Option<usize> {
        let most = |axis: usize| self.parts.iter().map(|part| Self::factor(part, axis)).max();
        let alone = (scan.first() == Some(&1)).then(|| self.parts.iter().find(|part| scan.get(1) == Some(&part[0])));
        let along = |axis: usize| match alone {
            Some(part) => Some((self.size[axis] * Self::factor(part?, axis)).div_ceil(most(axis)?).div_ceil(8)),
            None => Some(self.size[axis].div_ceil(8 * most(axis)?)),
        };
        Some(along(0)? * along(1)?)
    }
}

impl Head {
    fn read(file: &[u8]) -> Option<Self> {
        let mut segments = Segments { file, at: 2 };
        let (mut frame, mut interval) = (None, 0);
        let mut codes: [[Option<Codes>; 4]; 2] = Default::default();
        while let Some((marker, content)) = segments.next() {
            match marker {
                0xC0 | 0xC1 => frame = Some(Frame::read(content)?),
                0xC4 => {
                    for ([class, number], table) in Codes::read(content)? {
                        *codes.get_mut(class)?.get_mut(number)? = Some(table);
                    }
                }
                0xC2 | 0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF => return None,
                0xDD => interval = usize::from(u16::from_be_bytes(*content.first_chunk()?)),
                0xDA => {
                    let frame = frame?;
                    let count = usize::from(*content.first()?);
                    (count == frame.parts.len()).then_some(())?;
                    let units = frame.units(content)?;
                    let mut tables = Vec::new();
                    for chosen in content.get(1..1 + 2 * count)?.as_chunks::<2>().0 {
                        let part = frame.parts.iter().find(|part| part[0] == chosen[0])?;
                        // A picture of one component is coded block by block, whatever its sampling says.
                        let blocks = if count == 1 { 1 } else { Frame::factor(part, 0) * Frame::factor(part, 1) };
                        let table = [usize::from(chosen[1] >> 4), usize::from(chosen[1] & 15)];
                        tables.extend(std::iter::repeat_n(table, blocks));
                    }
                    let interval = if interval == 0 { units } else { interval };
                    return Some(Self { data: segments.at, units, interval, tables, codes });
                }
                _ => {}
            }
        }
        None
    }

    fn blocks(&self) -> Option<Vec<Block<'_>>> {
        let code = |class: usize, table: usize| self.codes[class].get(table)?.as_ref();
        self.tables.iter().map(|&[direct, alternating]| Some([code(0, direct)?, code(1, alternating)?])).collect()
    }
}

/// Whether restart markers of a progressive picture are missing, in any of its scans.
pub(super) fn progressive_lacks_some(file: &[u8]) -> bool {
    let mut segments = Segments { file, at: 2 };
    let (mut frame, mut interval) = (None, 0);
    while let Some((marker, content)) = segments.next() {
        match marker {
            0xC2 => frame = Frame::read(content),
            0xDD => interval = content.first_chunk().map_or(0, |two| usize::from(u16::from_be_bytes(*two))),
            0xDA => {
                let Some(units) = frame.as_ref().and_then(|frame: &Frame| frame.units(content)) else { return false };
                let Some(data) = file.get(segments.at..) else { return false };
                let (pieces, end) = pieces(data);
                let in_order =
                    pieces.iter().enumerate().all(|(at, piece)| piece.number == at.checked_sub(1).map(|at| at % 8));
                if interval > 0 && end < data.len() && !(in_order && pieces.len() >= units.div_ceil(interval)) {
                    return true;
                }
                segments.at += end;
            }
            _ => {}
        }
    }
    false
}
