//! EXIF blocks: read, and changed without moving what is in them.
//!
//! Makers' notes hold offsets that count from the start of the block and that nobody but the maker understands. A block
//! that is taken apart and written anew breaks them, so changes are made in place, and what has no place is appended.

mod change;
mod geography;

const IMAGE_WIDTH: u16 = 0x0100;
const IMAGE_LENGTH: u16 = 0x0101;
const ORIENTATION: u16 = 0x0112;
const X_RESOLUTION: u16 = 0x011A;
const Y_RESOLUTION: u16 = 0x011B;
const RESOLUTION_UNIT: u16 = 0x0128;
const SOFTWARE: u16 = 0x0131;
const THUMBNAIL_OFFSET: u16 = 0x0201;
const THUMBNAIL_LENGTH: u16 = 0x0202;
const EXIF_DIRECTORY: u16 = 0x8769;
const GPS_DIRECTORY: u16 = 0x8825;
const MAKER_NOTE: u16 = 0x927C;
/// First of the tags that are given to whoever asks for one.
const PRIVATE: u16 = 0x8000;
const PIXEL_X_DIMENSION: u16 = 0xA002;
const PIXEL_Y_DIMENSION: u16 = 0xA003;
const INTEROPERABILITY_DIRECTORY: u16 = 0xA005;

const ASCII: u16 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;
const RATIONAL: u16 = 5;

/// Most bytes of all tags together that are taken out of a file.
pub(crate) const MAX_METADATA: usize = 64 << 20;
/// Most entries of a directory that are believed.
const MAX_ENTRIES: usize = 1024;

/// Bytes of one value of a type; 0 for types that do not exist.
pub(crate) fn size_of(kind: u16) -> usize {
    match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 => 8,
        _ => 0,
    }
}

/// One tag with its values in little-endian order.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) tag: u16,
    pub(crate) kind: u16,
    pub(crate) data: Vec<u8>,
}

impl Entry {
    fn count(&self) -> usize {
        self.data.len() / size_of(self.kind).max(1)
    }
}

/// The tags of a block by directory.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Directories {
    pub(crate) image: Vec<Entry>,
    pub(crate) exif: Vec<Entry>,
    pub(crate) gps: Vec<Entry>,
    pub(crate) interoperability: Vec<Entry>,
}

/// An EXIF block, from its TIFF header on.
#[derive(Clone, Debug)]
pub(crate) struct Block {
    bytes: Vec<u8>,
    big_endian: bool,
    /// Room that nothing uses any more. Blocks that fill a segment have no other.
    free: Vec<std::ops::Range<usize>>,
}

impl Block {
    /// The block, if its header and first directory can be read.
    pub(crate) fn parse(mut bytes: Vec<u8>) -> Option<Self> {
        // Some programs keep the mark of JPEG's segment in chunks of other formats.
        if bytes.starts_with(b"Exif\0\0") {
            bytes.drain(..6);
        }
        let big_endian = match bytes.get(..4)? {
            b"II*\0" => false,
            b"MM\0*" => true,
            _ => return None,
        };
        let block = Self { bytes, big_endian, free: Vec::new() };
        block.entries(block.first()?)?;
        Some(block)
    }

    /// A block without tags.
    pub(crate) fn empty() -> Self {
        let mut bytes = b"II*\0\x08\0\0\0".to_vec();
        bytes.extend([0; 6]);
        Self { bytes, big_endian: false, free: Vec::new() }
    }

    /// A block of the given tags.
    pub(crate) fn of(directories: &Directories) -> Self {
        let mut block = Self::empty();
        let mut image = directories.image.clone();
        let mut exif = directories.exif.clone();
        let pointer = |tag, at: usize| Entry { tag, kind: LONG, data: (at as u32).to_le_bytes().to_vec() };
        if !directories.interoperability.is_empty() {
            exif.push(pointer(INTEROPERABILITY_DIRECTORY, block.append(&directories.interoperability)));
        }
        if !exif.is_empty() {
            image.push(pointer(EXIF_DIRECTORY, block.append(&exif)));
        }
        if !directories.gps.is_empty() {
            image.push(pointer(GPS_DIRECTORY, block.append(&directories.gps)));
        }
        let first = block.append(&image) as u32;
        block.put_long(4, first);
        block
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// All tags but the pointers between directories.
    pub(crate) fn directories(&self) -> Directories {
        // Many entries may point at the same bytes.
        let left = std::cell::Cell::new(MAX_METADATA);
        let read = |at: Option<usize>| -> Vec<Entry> {
            let entries = at.and_then(|at| self.entries(at)).unwrap_or_default();
            let taken = |at: usize| {
                left.set(left.get().checked_sub(self.value_range(at)?.len())?);
                self.entry(at)
            };
            entries.into_iter().filter_map(taken).collect()
        };
        let first = self.first();
        let exif = first.and_then(|first| self.directory(first, EXIF_DIRECTORY));
        let mut directories = Directories {
            image: read(first),
            exif: read(exif),
            gps: read(first.and_then(|first| self.directory(first, GPS_DIRECTORY))),
            interoperability: read(exif.and_then(|exif| self.directory(exif, INTEROPERABILITY_DIRECTORY))),
        };
        directories.image.retain(|entry| ![EXIF_DIRECTORY, GPS_DIRECTORY].contains(&entry.tag));
        directories.exif.retain(|entry| entry.tag != INTEROPERABILITY_DIRECTORY);
        directories
    }

    /// The tags of the directory at `place`, or of the first.
    pub(crate) fn directory_at(&self, place: Option<usize>) -> Option<Vec<Entry>> {
        let entries = self.entries(place.or_else(|| self.first())?)?;
        // Many entries may point at the same bytes.
        let mut left = MAX_METADATA;
        let taken = |at: usize| {
            left = left.checked_sub(self.value_range(at)?.len())?;
            self.entry(at)
        };
        Some(entries.into_iter().filter_map(taken).collect())
    }

    /// Density in pixels per inch.
    pub(crate) fn density(&self) -> Option<[f64; 2]> {
        let first = self.first()?;
        let fraction = |tag| {
            let at = self.long(self.find(first, tag)? + 8)? as usize;
            let (above, below) = (self.long(at)?, self.long(at + 4)?);
            (above > 0 && below > 0).then(|| f64::from(above) / f64::from(below))
        };
        let per_inch = match self.find(first, RESOLUTION_UNIT).and_then(|at| self.number(at)) {
            Some(3) => 2.54,
            Some(1) => return None,
            _ => 1.0,
        };
        Some([fraction(X_RESOLUTION)? * per_inch, fraction(Y_RESOLUTION)? * per_inch])
    }

    /// Values in the order of the block.
    fn in_order(&self, entry: &Entry) -> Vec<u8> {
        let mut data = entry.data.clone();
        if self.big_endian {
            reverse(entry.kind, &mut data);
        }
        data
    }

    fn first(&self) -> Option<usize> {
        Some(self.long(4)? as usize)
    }

    /// Where the entries of a directory are.
    fn entries(&self, directory: usize) -> Option<Vec<usize>> {
        let count = usize::from(self.short(directory)?);
        let end = directory.checked_add(2 + 12 * count)?;
        (count <= MAX_ENTRIES && end <= self.bytes.len())
            .then(|| (0..count).map(|index| directory + 2 + 12 * index).collect())
    }

    fn find(&self, directory: usize, tag: u16) -> Option<usize> {
        self.entries(directory)?.into_iter().find(|&at| self.short(at) == Some(tag))
    }

    /// The directory that a tag of another one points to.
    fn directory(&self, directory: usize, tag: u16) -> Option<usize> {
        Some(self.long(self.find(directory, tag)? + 8)? as usize)
    }

    /// Where the values of the entry at `at` are.
    fn value_range(&self, at: usize) -> Option<std::ops::Range<usize>> {
        let length = size_of(self.short(at + 2)?).checked_mul(self.long(at + 4)? as usize)?;
        let start = if length <= 4 { at + 8 } else { self.long(at + 8)? as usize };
        let end = start.checked_add(length)?;
        (end <= self.bytes.len()).then_some(start..end)
    }

    fn entry(&self, at: usize) -> Option<Entry> {
        let (tag, kind) = (self.short(at)?, self.short(at + 2)?);
        let mut data = self.bytes[self.value_range(at)?].to_vec();
        if data.is_empty() {
            return None;
        }
        if self.big_endian {
            reverse(kind, &mut data);
        }
        Some(Entry { tag, kind, data })
    }

    /// The value of an entry that is one short or long number.
    fn number(&self, at: usize) -> Option<u32> {
        match self.short(at + 2)? {
            SHORT => Some(self.short(at + 8)?.into()),
            LONG => self.long(at + 8),
            _ => None,
        }
    }

    fn short_of(&self, two: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(two) } else { u16::from_le_bytes(two) }
    }

    fn short(&self, at: usize) -> Option<u16> {
        Some(self.short_of(*self.bytes.get(at..)?.first_chunk()?))
    }

    fn long(&self, at: usize) -> Option<u32> {
        let four = *self.bytes.get(at..)?.first_chunk()?;
        Some(if self.big_endian { u32::from_be_bytes(four) } else { u32::from_le_bytes(four) })
    }
}

/// Turns the bytes of each value around.
pub(crate) fn reverse(kind: u16, data: &mut [u8]) {
    let unit = match kind {
        5 | 10 => 4,
        _ => size_of(kind),
    };
    if unit > 1 {
        data.chunks_exact_mut(unit).for_each(<[u8]>::reverse);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn entry(tag: u16, kind: u16, data: &[u8]) -> Entry {
        Entry { tag, kind, data: data.to_vec() }
    }

    fn sample() -> Directories {
        Directories {
            image: vec![
                entry(0x010F, ASCII, b"Maker Corporation\0"),
                entry(ORIENTATION, SHORT, &6_u16.to_le_bytes()),
                entry(SOFTWARE, ASCII, b"Ver 1\0"),
            ],
            exif: vec![
                entry(0x9003, ASCII, b"2024:01:02 03:04:05\0"),
                entry(0x927C, 7, b"the maker's own notes"),
                entry(PIXEL_X_DIMENSION, SHORT, &640_u16.to_le_bytes()),
                entry(PIXEL_Y_DIMENSION, SHORT, &480_u16.to_le_bytes()),
            ],
            gps: vec![entry(1, ASCII, b"N\0"), entry(2, RATIONAL, &[1; 24])],
            interoperability: vec![entry(1, ASCII, b"R98\0")],
        }
    }

    /// The same block in the other order of bytes.
    fn big_endian(directories: &Directories) -> Block {
        let mut block = Block { bytes: b"MM\0*\0\0\0\x08".to_vec(), big_endian: true, free: Vec::new() };
        block.bytes.extend([0; 6]);
        let exif = block.append(&directories.exif) as u32;
        let mut image = directories.image.clone();
        image.push(entry(EXIF_DIRECTORY, LONG, &exif.to_le_bytes()));
        let first = block.append(&image) as u32;
        block.put_long(4, first);
        block
    }

    #[test]
    fn what_is_written_is_read_again_in_both_orders() {
        assert_eq!(Block::of(&sample()).directories(), sample());
        let big = big_endian(&sample());
        let read = Block::parse(big.into_bytes()).unwrap().directories();
        assert_eq!((read.image, read.exif), (sample().image, sample().exif));
    }

    #[test]
    fn changes_leave_everything_else_where_it_was() {
        for original in [Block::of(&sample()), big_endian(&sample())] {
            let notes = |block: &Block| {
                let exif = block.directory(block.first().unwrap(), EXIF_DIRECTORY).unwrap();
                block.value_range(block.find(exif, 0x927C).unwrap()).unwrap()
            };
            let mut block = original.clone();
            assert_eq!(block.take_orientation(), Some(6));
            block.set_size([70_000, 960]);
            block.set_software("Dualres, a name longer than the one that was there");
            block.set_density([300.0, 150.5], false);
            assert_eq!(notes(&block), notes(&original), "the maker's notes have not moved");
            let block = Block::parse(block.into_bytes()).unwrap();
            let directories = block.directories();
            let of = |entries: &[Entry], tag| entries.iter().find(|entry| entry.tag == tag).unwrap().data.clone();
            assert_eq!(of(&directories.image, ORIENTATION), 1_u16.to_le_bytes());
            assert_eq!(of(&directories.image, SOFTWARE).last(), Some(&0));
            assert!(of(&directories.image, SOFTWARE).starts_with(b"Dualres, a name"));
            assert_eq!(of(&directories.exif, PIXEL_X_DIMENSION), 70_000_u32.to_le_bytes());
            assert_eq!(of(&directories.exif, 0x927C), b"the maker's own notes");
            assert_eq!(block.density(), Some([300.0, 150.5]));
            let tags: Vec<u16> = directories.image.iter().map(|entry| entry.tag).collect();
            assert!(tags.is_sorted(), "{tags:x?}");
        }
    }

    #[test]
    fn the_thumbnail_is_gone_from_the_bytes_too() {
        let mut block = Block::of(&sample());
        let first = block.first().unwrap();
        let link = first + 2 + 12 * usize::from(block.short(first).unwrap());
        let thumbnail = block.append_bytes(b"a small picture of the original") as u32;
        let second = block.append(&[
            entry(THUMBNAIL_OFFSET, LONG, &thumbnail.to_le_bytes()),
            entry(THUMBNAIL_LENGTH, LONG, &31_u32.to_le_bytes()),
        ]) as u32;
        block.put_long(link, second);
        block.drop_thumbnail();
        let bytes = block.into_bytes();
        assert!(!bytes.windows(7).any(|seven| seven == b"picture"));
        assert_eq!(Block::parse(bytes).unwrap().directories(), sample());
    }

    /// A thumbnail that claims the room of a tag takes nothing from it, whatever is written afterwards.
    #[test]
    fn what_is_used_is_no_room() {
        let mut block = Block::of(&sample());
        let first = block.first().unwrap();
        let link = first + 2 + 12 * usize::from(block.short(first).unwrap());
        let maker = block.value_range(block.find(first, 0x010F).unwrap()).unwrap();
        let second = block.append(&[
            entry(THUMBNAIL_OFFSET, LONG, &(maker.start as u32).to_le_bytes()),
            entry(THUMBNAIL_LENGTH, LONG, &40_u32.to_le_bytes()),
        ]) as u32;
        block.put_long(link, second);
        block.drop_thumbnail();
        block.set_software("a name longer than the one that was there");
        let image = Block::parse(block.into_bytes()).unwrap().directories().image;
        assert!(image.contains(&entry(0x010F, ASCII, b"Maker Corporation\0")), "{image:?}");
    }

    #[test]
    fn broken_blocks_are_refused_or_read_in_part_and_never_panic() {
        let whole = Block::of(&sample()).into_bytes();
        for cut in 0..whole.len() {
            if let Some(mut block) = Block::parse(whole[..cut].to_vec()) {
                block.take_orientation();
                block.drop_thumbnail();
                block.set_size([1, 2]);
                block.set_software("x");
                block.set_density([72.0, 72.0], true);
                block.directories();
            }
        }
        for at in 0..whole.len() {
            for value in [0, 1, 0x7F, 0xFF] {
                let mut bytes = whole.clone();
                bytes[at] = value;
                if let Some(mut block) = Block::parse(bytes) {
                    block.take_orientation();
                    block.drop_thumbnail();
                    block.set_size([1, 2]);
                    block.set_software("x");
                    block.set_density([72.0, 72.0], true);
                    block.directories();
                }
            }
        }
    }
}
