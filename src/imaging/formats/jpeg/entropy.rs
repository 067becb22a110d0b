//! The coded data of JPEG pictures that are not progressive: how far it can be read, and data that stands for nothing.

/// Codes of a Huffman table: by the next 16 bits their length, 0 where there is none, and what they stand for.
pub(super) struct Codes {
    by_bits: Vec<(u8, u8)>,
    /// The code of 0, and its length: no difference, or nothing more in this block.
    zero: Option<(u32, u32)>,
}

impl Codes {
    /// Reads the tables of a segment, each with its class (0 for direct, 1 for alternating current) and number.
    pub(super) fn read(mut tables: &[u8]) -> Option<Vec<([usize; 2], Self)>> {
        let mut all = Vec::new();
        while let [kind, rest @ ..] = tables {
            let (counts, rest) = rest.split_at_checked(16)?;
            let total: usize = counts.iter().map(|&count| usize::from(count)).sum();
            let (symbols, rest) = rest.split_at_checked(total)?;
            let (mut by_bits, mut zero, mut code) = (vec![(0, 0); 1 << 16], None, 0_u32);
            let mut symbols = symbols.iter();
            for (length, &count) in (1_u32..).zip(counts) {
                code <<= 1;
                for &symbol in symbols.by_ref().take(count.into()) {
                    let start = (code as usize) << (16 - length);
                    by_bits.get_mut(start..start + (1 << (16 - length)))?.fill((length as u8, symbol));
                    zero = zero.or((symbol == 0).then_some((code, length)));
                    code += 1;
                }
            }
            all.push(([usize::from(kind >> 4), usize::from(kind & 15)], Self { by_bits, zero }));
            tables = rest;
        }
        Some(all)
    }
}

/// Bits from bytes in which 0xFF stands before a 0.
struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
    held: u64,
    count: u32,
}

impl Bits<'_> {
    /// At least `wanted` bits if there are so many; what is behind the end, or behind a marker, is none.
    fn fill(&mut self, wanted: u32) -> bool {
        while self.count < wanted {
            match self.bytes[self.at..] {
                [0xFF, 0, ..] => self.take(0xFF, 2),
                [0xFF, ..] | [] => return false,
                [byte, ..] => self.take(byte, 1),
            }
        }
        true
    }

    fn take(&mut self, byte: u8, bytes: usize) {
        self.held = self.held << 8 | u64::from(byte);
        self.count += 8;
        self.at += bytes;
    }

    /// What the next code stands for.
    fn symbol(&mut self, codes: &Codes) -> Option<u8> {
        self.fill(16);
        let next = if self.count >= 16 { self.held >> (self.count - 16) } else { self.held << (16 - self.count) };
        let (length, symbol) = codes.by_bits[(next & 0xFFFF) as usize];
        self.skip(length.into()).filter(|()| length > 0)?;
        Some(symbol)
    }

    fn skip(&mut self, bits: u32) -> Option<()> {
        self.fill(bits).then_some(())?;
        self.count -= bits;
        self.held &= (1 << self.count) - 1;
        Some(())
    }
}

/// One block: the tables of direct and alternating current.
pub(super) type Block<'a> = [&'a Codes; 2];

/// Reads one block.
fn pass(bits: &mut Bits, [direct, alternating]: Block) -> Option<()> {
    let size = bits.symbol(direct)?;
    (size <= 11).then_some(())?;
    bits.skip(size.into())?;
    let mut place = 1;
    while place < 64 {
        let symbol = bits.symbol(alternating)?;
        let (zeros, size) = (usize::from(symbol >> 4), symbol & 15);
        match (zeros, size) {
            (15, 0) => place += 16,
            (_, 0) => return Some(()),
            _ => {
                place += zeros + 1;
                (place <= 64).then_some(())?;
                bits.skip(size.into())?;
            }
        }
    }
    Some(())
}

/// What became of data that should hold so many units of blocks.
pub(super) struct Passed {
    /// Whole units that were found.
    pub(super) units: usize,
    /// Where what follows them begins.
    pub(super) rest: usize,
    /// The data up to there, made up with gray units if some are missing.
    pub(super) made_up: Option<Vec<u8>>,
}

/// Reads up to `units` units of `blocks`.
pub(super) fn run_layers(data: &[u8], blocks: &[Block], units: usize) -> Option<Passed> {
    let mut bits = Bits { bytes: data, at: 0, held: 0, count: 0 };
    let mut found = 0;
    let mut end = (0, 0);
    while found < units && blocks.iter().all(|block| pass(&mut bits, *block).is_some()) {
        found += 1;
        end = (bits.at, bits.count);
    }
    let (at, open) = end;
    // Bytes that were read ahead of the last unit are not its own.
    let own = whole_bytes(&data[..at], open);
    if found == units {
        return Some(Passed { units, rest: own, made_up: None });
    }
    let mut written = Writer { bytes: data[..own].to_vec(), held: 0, count: 0 };
    if !open.is_multiple_of(8) {
        // The last byte is begun: its first bits belong to the unit, and others follow.
        let is_stuffed = written.bytes.ends_with(&[0xFF, 0]);
        let last = if is_stuffed { 0xFF } else { *written.bytes.last()? };
        written.bytes.truncate(own - if is_stuffed { 2 } else { 1 });
        written.put(u32::from(last) >> (open % 8), 8 - open % 8);
    }
    for [direct, alternating] in std::iter::repeat_n(blocks, units - found).flatten() {
        for (code, length) in [direct.zero?, alternating.zero?] {
            written.put(code, length);
        }
    }
    Some(Passed { units: found, rest: data.len(), made_up: Some(written.end()) })
}

/// Bytes of `data` that are left without those that hold the last `open` bits alone.
fn whole_bytes(data: &[u8], open: u32) -> usize {
    let mut left = data.len();
    for _ in 0..open / 8 {
        left -= if data[..left].ends_with(&[0xFF, 0]) { 2 } else { 1 };
    }
    left
}

/// Bits as bytes, 0 behind each 0xFF.
struct Writer {
    bytes: Vec<u8>,
    held: u64,
    count: u32,
}

impl Writer {
    fn put(&mut self, bits: u32, length: u32) {
        self.held = self.held << length | u64::from(bits);
        self.count += length;
        while self.count >= 8 {
            self.count -= 8;
            let byte = (self.held >> self.count) as u8;
            self.held &= (1 << self.count) - 1;
            self.bytes.push(byte);
            self.bytes.extend((byte == 0xFF).then_some(0));
        }
    }

    fn end(mut self) -> Vec<u8> {
        if self.count > 0 {
            let length = 8 - self.count;
            self.put((1 << length) - 1, length);
        }
        self.bytes
    }
}
