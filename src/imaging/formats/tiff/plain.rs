//! TIFF files that the decoder (tiff 0.11) refuses or misreads although nothing is wrong with them, read chunk by chunk: LZW that
//! ends at a whole row, tiles in planes, samples of 2 to 32 bits with or without sign, bits in reverse order, palettes, CIELAB,
//! uncompressed YCbCr.

use std::io::Read;

use weezl::{BitOrder, LzwStatus, decode::Decoder};

use crate::{
    metadata::{Block, Entry},
    picture::MAX_PIXELS,
};

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const BITS: u16 = 258;
const COMPRESSION: u16 = 259;
const PHOTOMETRIC: u16 = 262;
const FILL_ORDER: u16 = 266;
const STRIP_OFFSETS: u16 = 273;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTES: u16 = 279;
const PLANAR: u16 = 284;
const PREDICTOR: u16 = 317;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTES: u16 = 325;
const SAMPLE_FORMAT: u16 = 339;
const YCBCR_SUBSAMPLING: u16 = 530;

const UNCOMPRESSED: u64 = 1;
const LZW: u64 = 5;
const DEFLATE: u64 = 8;
const PACK_BITS: u64 = 32773;
const OLD_DEFLATE: u64 = 32946;
const SEPARATE_PLANES: u64 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// What a directory says of how its picture is stored.
pub(super) struct Layout {
    entries: Vec<Entry>,
    big_endian: bool,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) bits: usize,
    pub(super) channels: usize,
    pub(super) photometric: u64,
    compression: u64,
    reversed: bool,
    is_planar: bool,
    /// Samples are whole numbers with a sign.
    is_signed: bool,
    is_float: bool,
    predictor: u64,
    /// Pixels to a sample of colour, across and down.
    subsampling: [usize; 2],
}

/// The whole numbers of a tag.
fn numbers(entries: &[Entry], tag: u16) -> Option<Vec<u64>> {
    let entry = entries.iter().find(|entry| entry.tag == tag)?;
    match entry.kind {
        SHORT => Some(entry.data.as_chunks().0.iter().map(|two| u16::from_le_bytes(*two).into()).collect()),
        LONG => Some(entry.data.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four).into()).collect()),
        _ => None,
    }
}

impl Layout {
    /// Reads the directory at `page` of a file, the first if none is given.
    pub(super) fn read(bytes: &[u8], page: Option<u64>) -> Option<Self> {
        let page = page.map(usize::try_from).transpose().ok()?;
        let entries = Block::parse(bytes.to_vec())?.directory_at(page)?;
        let all = |tag| numbers(&entries, tag);
        let one = |tag| all(tag).and_then(|values| values.first().copied());
        let bits = all(BITS).unwrap_or_else(|| vec![1]);
        let formats = all(SAMPLE_FORMAT).unwrap_or_else(|| vec![1]);
        let subsampling = all(YCBCR_SUBSAMPLING).unwrap_or_else(|| vec![2, 2]);
        let (width, height) = (one(WIDTH)?, one(HEIGHT)?);
        let sane = width > 0 && height > 0 && width.checked_mul(height)? <= MAX_PIXELS;
        let photometric = one(PHOTOMETRIC)?;
        let channels = one(SAMPLES).unwrap_or(1) as usize;
        // All samples alike, as every program writes them.
        let alike = |values: &[u64]| values.iter().all(|value| Some(value) == values.first());
        if !sane || !alike(&bits) || !alike(&formats) || !(1..=8).contains(&channels) {
            return None;
        }
        let is_subsampled = photometric == 6 && one(COMPRESSION)? != 7 && subsampling[..] != [1, 1];
        let subsampling = match subsampling[..] {
            [across @ (1 | 2 | 4), down @ (1 | 2 | 4)] if is_subsampled => [across as usize, down as usize],
            _ => [1, 1],
        };
        Some(Self {
            width: width as usize,
            height: height as usize,
            bits: *bits.first()? as usize,
            channels,
            photometric,
            compression: one(COMPRESSION).unwrap_or(UNCOMPRESSED),
            reversed: one(FILL_ORDER) == Some(2),
            is_planar: one(PLANAR) == Some(SEPARATE_PLANES),
            is_signed: formats.first() == Some(&2),
            is_float: formats.first() == Some(&3),
            predictor: one(PREDICTOR).unwrap_or(1),
            subsampling,
            big_endian: bytes.starts_with(b"MM"),
            entries,
        })
    }

    /// The numbers of a tag, as far as they are short.
    pub(super) fn all(&self, tag: u16) -> Vec<u16> {
        numbers(&self.entries, tag).unwrap_or_default().into_iter().filter_map(|value| value.try_into().ok()).collect()
    }

    /// The first number of a tag.
    pub(super) fn first(&self, tag: u16) -> Option<u16> {
        self.all(tag).first().copied()
    }

    /// Whether its white point, x and y as fractions, is that of D65.
    pub(super) fn is_d65(&self) -> bool {
        const WHITE_POINT: u16 = 318;
        let entry = self.entries.iter().find(|entry| entry.tag == WHITE_POINT);
        let long = |at: usize| {
            let four = entry.and_then(|entry| entry.data.get(at..)?.first_chunk());
            four.map_or(0.0, |four| f64::from(u32::from_le_bytes(*four)))
        };
        (long(0) / long(4) - 0.3127).abs() < 0.005 && (long(8) / long(12) - 0.329).abs() < 0.005
    }

    /// By what the picture is packed, if nothing here unpacks it.
    pub(super) fn packed_by(&self) -> Option<&'static str> {
        Some(match self.compression {
            UNCOMPRESSED | LZW | DEFLATE | OLD_DEFLATE | PACK_BITS => return None,
            2 => "CCITT RLE",
            3 => "fax (CCITT group 3)",
            4 => "fax (CCITT group 4)",
            6 => "the old kind of JPEG",
            7 => "JPEG",
            34712 => "JPEG 2000",
            34925 => "LZMA",
            50000 => "Zstandard",
            50001 => "WebP",
            50002 | 52546 => "JPEG XL",
            _ => "a compression of its maker",
        })
    }

    /// The samples by channel, row by row: whole numbers from 0 to the largest of so many bits, those with sign moved up to that.
    /// `None` for what cannot be read here, and where pixels are missing.
    pub(super) fn samples(&self, bytes: &[u8]) -> Option<Vec<Vec<u32>>> {
        let is_subsampled = self.subsampling != [1, 1];
        if is_subsampled && (self.bits != 8 || self.is_planar || self.channels != 3) {
            return None;
        }
        if self.is_float || !(1..=32).contains(&self.bits) || self.packed_by().is_some() {
            return None;
        }
        let all = |tag| numbers(&self.entries, tag);
        let one = |tag| all(tag).and_then(|values| values.first().copied());
        let tiles = all(TILE_OFFSETS);
        let (offsets, lengths) = match &tiles {
            Some(offsets) => (offsets.clone(), all(TILE_BYTES)?),
            None => (all(STRIP_OFFSETS)?, all(STRIP_BYTES).unwrap_or_default()),
        };
        let (wide, high) = match tiles {
            Some(_) => (one(TILE_WIDTH)? as usize, one(TILE_HEIGHT)? as usize),
            None => (self.width, (one(ROWS_PER_STRIP).unwrap_or(u64::MAX).min(self.height as u64)) as usize),
        };
        // A tile may be larger than its picture, but not by much: memory is taken for it.
        let most = (self.width * self.height).saturating_mul(8).saturating_add(1 << 20).min(MAX_PIXELS as usize);
        if wide == 0 || high == 0 || wide.checked_mul(high)? > most {
            return None;
        }
        let [across, down] = [self.width.div_ceil(wide), self.height.div_ceil(high)];
        let in_chunk = if self.is_planar { 1 } else { self.channels };
        let row_bytes = (wide * in_chunk * self.bits).div_ceil(8);
        let chunk_bytes = match self.subsampling {
            [1, 1] => row_bytes.checked_mul(high)?,
            [h, v] => wide.div_ceil(h) * high.div_ceil(v) * (h * v + 2),
        };
        let mut planes = vec![vec![0; self.width * self.height]; self.channels];
        let chunks = across * down * if self.is_planar { self.channels } else { 1 };
        if offsets.len() < chunks {
            return None;
        }
        for (index, &offset) in offsets.iter().enumerate().take(chunks) {
            let packed = bytes.get(usize::try_from(offset).ok()?..)?;
            let length = lengths.get(index).map_or(chunk_bytes, |&length| length as usize);
            let mut packed = packed[..packed.len().min(length)].to_vec();
            if self.reversed {
                packed.iter_mut().for_each(|byte| *byte = byte.reverse_bits());
            }
            let mut whole = self.unpack(&packed, chunk_bytes);
            let (plane, place) = (index / (across * down), index % (across * down));
            let [left, top] = [place % across * wide, place / across * high];
            let (rows, columns) = (high.min(self.height - top), wide.min(self.width - left));
            // Rows of the last chunk that lie below the picture need not be there.
            let needed = match self.subsampling {
                [1, 1] => rows * row_bytes,
                [h, v] => wide.div_ceil(h) * rows.div_ceil(v) * (h * v + 2),
            };
            if whole.len() < needed {
                return None;
            }
            whole.resize(chunk_bytes, 0);
            if is_subsampled {
                self.spread(&whole, wide, [left, top, columns, rows], &mut planes);
                continue;
            }
            for row in 0..rows {
                let mut values = self.row(&whole[row * row_bytes..(row + 1) * row_bytes], wide * in_chunk);
                if self.predictor == 2 {
                    let most = u32::MAX >> (32 - self.bits);
                    for at in in_chunk..values.len() {
                        values[at] = values[at].wrapping_add(values[at - in_chunk]) & most;
                    }
                }
                if self.is_signed {
                    values.iter_mut().for_each(|value| *value ^= 1 << (self.bits - 1));
                }
                let start = (top + row) * self.width + left;
                for channel in 0..in_chunk {
                    let target = &mut planes[plane + channel][start..start + columns];
                    let line = values.iter().skip(channel).step_by(in_chunk);
                    target.iter_mut().zip(line).for_each(|(target, &value)| *target = value);
                }
            }
        }
        Some(planes)
    }

    /// At most `most` bytes of a chunk.
    fn unpack(&self, packed: &[u8], most: usize) -> Vec<u8> {
        match self.compression {
            LZW => unpack_lzw(packed, most),
            DEFLATE | OLD_DEFLATE => {
                let mut out = Vec::new();
                // What is missing after damage is found missing.
                let _ = flate2::read::ZlibDecoder::new(packed).take(most as u64).read_to_end(&mut out);
                out
            }
            PACK_BITS => unpack_bits(packed, most),
            _ => packed[..packed.len().min(most)].to_vec(),
        }
    }

    /// The samples of a row.
    fn row(&self, bytes: &[u8], count: usize) -> Vec<u32> {
        let whole = |bytes: &[u8]| {
            let join = |value: u32, byte: &u8| value << 8 | u32::from(*byte);
            if self.big_endian { bytes.iter().fold(0, join) } else { bytes.iter().rev().fold(0, join) }
        };
        match self.bits {
            8 | 16 | 24 | 32 => bytes.chunks_exact(self.bits / 8).take(count).map(whole).collect(),
            bits => (0..count)
                .map(|index| {
                    (index * bits..(index + 1) * bits)
                        .fold(0, |value, at| value << 1 | u32::from(bytes[at / 8] >> (7 - at % 8) & 1))
                })
                .collect(),
        }
    }

    /// Blocks of YCbCr: the luma of several pixels and one pair of colours, which all of them get.
    fn spread(&self, chunk: &[u8], wide: usize, [left, top, columns, rows]: [usize; 4], planes: &mut [Vec<u32>]) {
        let [h, v] = self.subsampling;
        let size = h * v + 2;
        let blocks = wide.div_ceil(h);
        for row in 0..rows {
            for column in 0..columns {
                let at = (row / v * blocks + column / h) * size;
                let target = (top + row) * self.width + left + column;
                let place = [at + row % v * h + column % h, at + h * v, at + h * v + 1];
                for (plane, place) in planes.iter_mut().zip(place) {
                    plane[target] = u32::from(chunk[place]);
                }
            }
        }
    }
}

/// Chunks at the end of a picture may be shorter, and some end without saying so.
fn unpack_lzw(mut packed: &[u8], most: usize) -> Vec<u8> {
    let mut out = vec![0; most];
    let mut filled = 0;
    // The first files of all have their bits in the other order and another rule for the size of codes.
    let is_old = matches!(packed, [0, odd, ..] if odd & 1 == 1);
    let mut decoder = match is_old {
        true => Decoder::new(BitOrder::Lsb, 8),
        false => Decoder::with_tiff_size_switch(BitOrder::Msb, 8),
    };
    while filled < most {
        let step = decoder.decode_bytes(packed, &mut out[filled..]);
        packed = &packed[step.consumed_in..];
        filled += step.consumed_out;
        let ends = !matches!(step.status, Ok(LzwStatus::Ok));
        if ends || (step.consumed_in == 0 && step.consumed_out == 0) {
            break;
        }
    }
    out.truncate(filled);
    out
}

fn unpack_bits(packed: &[u8], most: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = packed;
    while let [head, after @ ..] = rest
        && out.len() < most
    {
        let count = head.cast_signed();
        rest = match count {
            -128 => after,
            0.. => {
                let literal = &after[..after.len().min(count as usize + 1)];
                out.extend(literal);
                &after[literal.len()..]
            }
            _ => {
                let Some((&byte, after)) = after.split_first() else { break };
                out.extend(std::iter::repeat_n(byte, 1 + usize::from(count.unsigned_abs())));
                after
            }
        };
    }
    out.truncate(most);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_and_literals_are_unpacked_and_broken_ones_end() {
        // The example of the TIFF 6.0 specification, section 9.
        let packed = [0xFE, 0xAA, 0x02, 0x80, 0x00, 0x2A, 0xFD, 0xAA, 0x03, 0x80, 0x00, 0x2A, 0x22, 0xF7, 0xAA];
        let whole = [
            0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0xAA, 0xAA, 0xAA, 0xAA, 0x80, 0x00, 0x2A, 0x22, 0xAA, 0xAA, 0xAA, 0xAA,
            0xAA, 0xAA, 0xAA, 0xAA, 0xAA, 0xAA,
        ];
        assert_eq!(unpack_bits(&packed, 100), whole);
        assert_eq!(unpack_bits(&packed, 5), whole[..5]);
        for cut in 0..packed.len() {
            let _ = unpack_bits(&packed[..cut], 100);
        }
    }
}
