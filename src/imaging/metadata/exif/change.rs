//! Changes to a block, in place or in what room there is.

use super::{
    ASCII, Block, EXIF_DIRECTORY, Entry, GPS_DIRECTORY, IMAGE_LENGTH, IMAGE_WIDTH, INTEROPERABILITY_DIRECTORY, LONG,
    MAKER_NOTE, ORIENTATION, PIXEL_X_DIMENSION, PIXEL_Y_DIMENSION, PRIVATE, RATIONAL, RESOLUTION_UNIT, SHORT, SOFTWARE,
    THUMBNAIL_LENGTH, THUMBNAIL_OFFSET, X_RESOLUTION, Y_RESOLUTION,
};

impl Block {
    /// The block in at most `most` bytes, and in words what it has lost for that: large tags that only their makers know and
    /// makers' notes, or everything.
    pub(crate) fn fitted(self, most: usize) -> (Option<Self>, Vec<&'static str>) {
        const LARGE: usize = 4096;
        let mut lost = Vec::new();
        if self.bytes.len() <= most {
            return (Some(self), lost);
        }
        let mut directories = self.directories();
        let tags = directories.image.len();
        directories.image.retain(|entry| entry.tag < PRIVATE || entry.data.len() < LARGE);
        if directories.image.len() < tags {
            lost.push("large private tags");
        }
        // They hold offsets from where they stood, which nobody can read once they have moved.
        let notes = directories.exif.len();
        directories.exif.retain(|entry| entry.tag != MAKER_NOTE);
        if directories.exif.len() < notes {
            lost.push("makers' notes");
        }
        let block = Self::of(&directories);
        if block.bytes.len() > most {
            return (None, vec!["all EXIF"]);
        }
        (Some(block), lost)
    }

    /// Sets the orientation to upright and returns what it was.
    pub(crate) fn take_orientation(&mut self) -> Option<u8> {
        let at = self.find(self.first()?, ORIENTATION)?;
        let stated = self.number(at)? as u8;
        if self.short(at + 2) == Some(LONG) {
            self.put_long(at + 8, 1)
        } else {
            self.put_short(at + 8, 1)
        }
        Some(stated)
    }

    /// States a density in pixels per inch; unless `replacing`, only where there is none.
    pub(crate) fn set_density(&mut self, density: [f64; 2], replacing: bool) {
        if !replacing && self.density().is_some() {
            return;
        }
        for (tag, value) in [(X_RESOLUTION, density[0]), (Y_RESOLUTION, density[1])] {
            let thousandths = (value * 1000.0).round().clamp(1.0, f64::from(u32::MAX)) as u32;
            let data = [thousandths.to_le_bytes(), 1000_u32.to_le_bytes()].concat();
            self.set(Entry { tag, kind: RATIONAL, data });
        }
        self.set(Entry { tag: RESOLUTION_UNIT, kind: SHORT, data: 2_u16.to_le_bytes().to_vec() });
    }

    /// Corrects the sizes in pixels where the block states them.
    pub(crate) fn set_size(&mut self, [width, height]: [usize; 2]) {
        let Some(first) = self.first() else { return };
        let exif = self.directory(first, EXIF_DIRECTORY);
        for (directory, tag, value) in [
            (Some(first), IMAGE_WIDTH, width),
            (Some(first), IMAGE_LENGTH, height),
            (exif, PIXEL_X_DIMENSION, width),
            (exif, PIXEL_Y_DIMENSION, height),
        ] {
            if let Some(at) = directory.and_then(|directory| self.find(directory, tag)) {
                self.put_short(at + 2, LONG);
                self.put_long(at + 4, 1);
                self.put_long(at + 8, value as u32);
            }
        }
    }

    /// Names the software that made the picture.
    pub(crate) fn set_software(&mut self, name: &str) {
        let mut data = name.as_bytes().to_vec();
        data.push(0);
        self.set(Entry { tag: SOFTWARE, kind: ASCII, data });
    }

    /// Removes the thumbnail, and what follows the first directory with it.
    pub(crate) fn drop_thumbnail(&mut self) {
        let Some(first) = self.first() else { return };
        let Some(count) = self.short(first) else { return };
        let link = first + 2 + 12 * usize::from(count);
        let Some(second) = self.long(link).filter(|&at| at != 0) else { return };
        let second = second as usize;
        self.put_long(link, 0);
        let number = |tag| self.find(second, tag).and_then(|at| self.number(at));
        if let (Some(start), Some(length)) = (number(THUMBNAIL_OFFSET), number(THUMBNAIL_LENGTH)) {
            let (start, end) = (start as usize, (start as usize).saturating_add(length as usize));
            // One that overlaps with what is not its own says where it lies wrongly.
            let is_free = !self.used().iter().any(|used| used.start < end && start < used.end);
            if start >= 8 && end <= self.bytes.len() && is_free {
                self.bytes[start..end].fill(0);
                if end == self.bytes.len() {
                    self.bytes.truncate(start);
                } else {
                    self.free.push(start..end);
                }
            }
        }
    }

    /// Where directories and values of the block lie, but for the thumbnail and its directory.
    fn used(&self) -> Vec<std::ops::Range<usize>> {
        let first = self.first();
        let exif = first.and_then(|first| self.directory(first, EXIF_DIRECTORY));
        let gps = first.and_then(|first| self.directory(first, GPS_DIRECTORY));
        let interoperability = exif.and_then(|exif| self.directory(exif, INTEROPERABILITY_DIRECTORY));
        let mut used = Vec::new();
        for directory in [first, exif, gps, interoperability].into_iter().flatten() {
            let entries = self.entries(directory).unwrap_or_default();
            used.push(directory..directory + 2 + 12 * entries.len() + 4);
            used.extend(entries.into_iter().filter_map(|at| self.value_range(at)));
        }
        used
    }

    /// Puts an entry of the first directory in place of the one there, or beside the others.
    pub(crate) fn set(&mut self, entry: Entry) {
        let Some(first) = self.first() else { return };
        if let Some(at) = self.find(first, entry.tag) {
            let old = self.value_range(at);
            let data = self.in_order(&entry);
            let count = entry.count() as u32;
            let fits = old.clone().is_some_and(|old| old.len() >= data.len());
            self.put_short(at + 2, entry.kind);
            self.put_long(at + 4, count);
            match old {
                _ if data.len() <= 4 => {
                    self.bytes[at + 8..at + 12].fill(0);
                    self.bytes[at + 8..at + 8 + data.len()].copy_from_slice(&data);
                }
                // What was longer than four bytes has a place of its own.
                Some(old) if fits && old.start != at + 8 => {
                    self.bytes[old.clone()].fill(0);
                    self.bytes[old.start..old.start + data.len()].copy_from_slice(&data);
                }
                _ => {
                    let place = self.append_bytes(&data) as u32;
                    self.put_long(at + 8, place);
                }
            }
            return;
        }
        // There is no room in the directory: a longer copy of it goes elsewhere. All offsets stay true.
        let Some(entries) = self.entries(first) else { return };
        let next = self.long(first + 2 + 12 * entries.len()).unwrap_or(0);
        let mut raw: Vec<[u8; 12]> =
            entries.iter().filter_map(|&at| self.bytes[at..at + 12].first_chunk::<12>().copied()).collect();
        let place = raw.iter().position(|raw| self.short_of([raw[0], raw[1]]) > entry.tag).unwrap_or(raw.len());
        raw.insert(place, [0; 12]);
        let at = self.append_bytes(&[&[0; 2], raw.as_flattened(), &[0; 4]].concat());
        self.put_short(at, raw.len() as u16);
        self.put_long(at + 2 + 12 * raw.len(), next);
        self.put_long(4, at as u32);
        self.write_entry(at + 2 + 12 * place, &entry);
    }

    /// Writes an entry at `at`; values that do not fit there are appended.
    fn write_entry(&mut self, at: usize, entry: &Entry) {
        let data = self.in_order(entry);
        self.put_short(at, entry.tag);
        self.put_short(at + 2, entry.kind);
        self.put_long(at + 4, entry.count() as u32);
        if data.len() <= 4 {
            self.bytes[at + 8..at + 8 + data.len()].copy_from_slice(&data);
        } else {
            let place = self.append_bytes(&data) as u32;
            self.put_long(at + 8, place);
        }
    }

    /// Appends a directory and returns where it is.
    pub(super) fn append(&mut self, entries: &[Entry]) -> usize {
        let mut sorted: Vec<&Entry> = entries.iter().collect();
        sorted.sort_by_key(|entry| entry.tag);
        let at = self.append_bytes(&vec![0; 2 + 12 * sorted.len() + 4]);
        self.put_short(at, sorted.len() as u16);
        for (index, entry) in sorted.into_iter().enumerate() {
            self.write_entry(at + 2 + 12 * index, entry);
        }
        at
    }

    /// Puts bytes at an even offset where there is room, or at the end, and returns it.
    pub(crate) fn append_bytes(&mut self, data: &[u8]) -> usize {
        let even = |range: &std::ops::Range<usize>| range.start.next_multiple_of(2);
        let room = self.free.iter_mut().find(|range| even(range) + data.len() <= range.end && !data.is_empty());
        if let Some(range) = room {
            let at = even(range);
            range.start = at + data.len();
            self.bytes[at..at + data.len()].copy_from_slice(data);
            return at;
        }
        if self.bytes.len() % 2 == 1 {
            self.bytes.push(0);
        }
        let at = self.bytes.len();
        self.bytes.extend(data);
        at
    }

    pub(super) fn put_short(&mut self, at: usize, value: u16) {
        let two = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes[at..at + 2].copy_from_slice(&two);
    }

    pub(super) fn put_long(&mut self, at: usize, value: u32) {
        let four = if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        self.bytes[at..at + 4].copy_from_slice(&four);
    }
}
