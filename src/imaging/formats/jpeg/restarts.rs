//! JPEG files of damaged cards, in whose data restart markers are missing.
//!
//! A restart marker stands after so many blocks, numbered from 0 to 7 and round again, so that what is behind lost data can be put where
//! it belongs. Decoders count blocks alone, and move all that follows.

/// A file that was put in order.
pub(super) struct Mended {
    pub(super) file: Vec<u8>,
    /// Intervals that are gray now.
    pub(super) lost: usize,
    pub(super) intervals: usize,
}

/// As many numbers are passed over at most; a marker further ahead is taken for damage itself.
const MOST_LOST: usize = 5;

/// Puts the intervals of a file where their markers say; `None` if they are there, and for files that are not coded block by block.
pub(super) fn mend(file: &[u8]) -> Option<Mended> {
    let head = Head::read(file)?;
    let (headers, tail) = file.split_at(head.data);
    let (pieces, end) = pieces(tail);
    // A file that ends here is short, which is another fault.
    let rest = tail.get(end..).filter(|rest| !rest.is_empty())?;
    let intervals = head.units.div_ceil(head.interval);
    let in_order = pieces.iter().enumerate().all(|(at, piece)| piece.number == at.checked_sub(1).map(|at| at % 8));
    if in_order && pieces.len() >= intervals {
        return None;
    }
    let mut found: Vec<Option<&[u8]>> = vec![None; intervals];
    let mut at = 0;
    for (index, piece) in pieces.iter().enumerate() {
        if let Some(number) = piece.number {
            let expected = at % 8;
            let next = pieces.get(index + 1).and_then(|next| next.number);
            // Where the next one goes on as if nothing were wrong, the number alone is damaged.
            let skipped = if next == Some((expected + 1) % 8) { 0 } else { (number + 8 - expected) % 8 };
            let is_believed = skipped == 0 || next.is_none_or(|next| next == (number + 1) % 8);
            if !is_believed || skipped > MOST_LOST || at + skipped + 1 >= intervals {
                continue;
            }
            at += skipped + 1;
        }
        if let Some(place) = found.get_mut(at) {
            *place = Some(piece.data);
        }
    }
    let mut file = headers.to_vec();
    for (at, piece) in found.iter().enumerate() {
        match piece {
            Some(piece) => file.extend_from_slice(piece),
            None => file.extend(head.gray(head.interval.min(head.units - at * head.interval))),
        }
        if at + 1 < intervals {
            file.extend([0xFF, 0xD0 + (at % 8) as u8]);
        }
    }
    file.extend_from_slice(rest);
    Some(Mended { file, lost: found.iter().filter(|piece| piece.is_none()).count(), intervals })
}

struct Piece<'a> {
    /// That of the marker before it.
    number: Option<usize>,
    data: &'a [u8],
}

/// What stands between restart markers, and where another marker, or the file, ends it.
fn pieces(data: &[u8]) -> (Vec<Piece<'_>>, usize) {
    let mut pieces = Vec::new();
    let (mut start, mut number, mut at) = (0, None, 0);
    while at < data.len() {
        let Some(mark) = data[at..].iter().position(|&byte| byte == 0xFF) else { break };
        at += mark;
        match data.get(at + 1) {
            Some(0) => at += 2,
            Some(0xFF) => at += 1,
            Some(&marker @ 0xD0..=0xD7) => {
                pieces.push(Piece { number, data: &data[start..at] });
                number = Some(usize::from(marker - 0xD0));
                at += 2;
                start = at;
            }
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
    /// Units between two restart markers.
    interval: usize,
    /// For each block of a unit the code of a block that is as the one before: its bits, and how many.
    same: Vec<[(u32, u32); 2]>,
}

impl Head {
    fn read(file: &[u8]) -> Option<Self> {
        let (mut at, mut interval) = (2, 0);
        let mut codes = [[None; 4]; 2];
        let mut frame = None;
        loop {
            let (marker, length) = match *file.get(at..at + 4)? {
                [0xFF, 0xFF, ..] => {
                    at += 1;
                    continue;
                }
                [0xFF, marker, high, low] => (marker, usize::from(u16::from_be_bytes([high, low]))),
                _ => return None,
            };
            let content = file.get(at + 4..at + 2 + length)?;
            at += 2 + length;
            match marker {
                0xC0 | 0xC1 => frame = Some(content),
                0xC2 | 0xC3 | 0xC5..=0xCF if marker != 0xC4 && marker != 0xC8 && marker != 0xCC => return None,
                0xC4 => codes_of_zero(content, &mut codes)?,
                0xDD => interval = usize::from(u16::from_be_bytes(*content.first_chunk()?)),
                0xDA => return Self::of(frame?, content, &codes, interval, at),
                _ => {}
            }
        }
    }

    fn of(frame: &[u8], scan: &[u8], codes: &Codes, interval: usize, data: usize) -> Option<Self> {
        let side = |at: usize| frame.get(at..)?.first_chunk().map(|two| usize::from(u16::from_be_bytes(*two)));
        let (height, width) = (side(1)?, side(3)?);
        let parts = frame.get(6..)?.as_chunks::<3>().0;
        let count = usize::from(*scan.first()?);
        if interval == 0 || width == 0 || height == 0 || parts.len() != count {
            return None;
        }
        // A picture of one component is coded block by block, whatever its sampling says.
        let sampling = |part: &[u8; 3]| match count {
            1 => [1, 1],
            _ => [usize::from(part[1] >> 4), usize::from(part[1] & 15)],
        };
        let most =
            |axis: usize| parts.iter().map(|part| sampling(part)[axis]).max().filter(|&most| (1..=4).contains(&most));
        let units = width.div_ceil(8 * most(0)?) * height.div_ceil(8 * most(1)?);
        let mut same = Vec::new();
        for chosen in scan.get(1..1 + 2 * count)?.as_chunks::<2>().0 {
            let part = parts.iter().find(|part| part[0] == chosen[0])?;
            let code = |class: usize, table: u8| *codes[class].get(usize::from(table))?;
            let block = [code(0, chosen[1] >> 4)?, code(1, chosen[1] & 15)?];
            same.extend(std::iter::repeat_n(block, sampling(part).iter().product()));
        }
        Some(Self { data, units, interval, same })
    }

    /// The data of so many units that are gray: nothing differs from where an interval begins.
    fn gray(&self, units: usize) -> Vec<u8> {
        let (mut bytes, mut held, mut count) = (Vec::new(), 0_u64, 0);
        let mut put = |bits: u32, length: u32| {
            held = held << length | u64::from(bits);
            count += length;
            while count >= 8 {
                count -= 8;
                let byte = (held >> count) as u8;
                bytes.push(byte);
                bytes.extend((byte == 0xFF).then_some(0));
            }
            count
        };
        let mut open = 0;
        for (bits, length) in std::iter::repeat_n(&self.same, units).flatten().flatten() {
            open = put(*bits, *length);
        }
        if open > 0 {
            let length = 8 - open;
            put((1 << length) - 1, length);
        }
        bytes
    }
}

/// For direct and alternating current, by number of the table, the code of 0 and its length in bits.
type Codes = [[Option<(u32, u32)>; 4]; 2];

/// Takes the codes of 0 from a segment of Huffman tables: "no difference" and "nothing more in this block".
fn codes_of_zero(mut tables: &[u8], codes: &mut Codes) -> Option<()> {
    while let [kind, rest @ ..] = tables {
        let (counts, rest) = rest.split_at_checked(16)?;
        let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
        let (symbols, rest) = rest.split_at_checked(total)?;
        let place = codes.get_mut(usize::from(kind >> 4))?.get_mut(usize::from(kind & 15))?;
        let (mut code, mut symbols) = (0_u32, symbols.iter());
        for (length, &count) in (1..).zip(counts) {
            code <<= 1;
            for symbol in symbols.by_ref().take(count.into()) {
                if *symbol == 0 {
                    *place = Some((code, length));
                }
                code += 1;
            }
        }
        tables = rest;
    }
    Some(())
}
