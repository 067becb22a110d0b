//! TIFF files that the decoder (tiff 0.11) refuses although nothing is wrong with them: LZW chunks that end at a whole row,
//! and palettes. They are written anew in memory, unpacked or as gray, and read then.

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
const STRIP_OFFSETS: u16 = 273;
const SAMPLES: u16 = 277;
const ROWS_PER_STRIP: u16 = 278;
const STRIP_BYTES: u16 = 279;
const PLANAR: u16 = 284;
const TILE_WIDTH: u16 = 322;
const TILE_HEIGHT: u16 = 323;
const TILE_OFFSETS: u16 = 324;
const TILE_BYTES: u16 = 325;

const LZW: u64 = 5;
const UNCOMPRESSED: u16 = 1;
const BLACK_IS_ZERO: u16 = 1;
const PALETTE: u64 = 3;
const SEPARATE_PLANES: u64 = 2;
const SHORT: u16 = 3;
const LONG: u16 = 4;

/// The whole numbers of a tag of the first directory.
fn numbers(entries: &[Entry], tag: u16) -> Option<Vec<u64>> {
    let entry = entries.iter().find(|entry| entry.tag == tag)?;
    match entry.kind {
        SHORT => Some(entry.data.as_chunks().0.iter().map(|two| u16::from_le_bytes(*two).into()).collect()),
        LONG => Some(entry.data.as_chunks().0.iter().map(|four| u32::from_le_bytes(*four).into()).collect()),
        _ => None,
    }
}

fn shorts(tag: u16, values: &[u16]) -> Entry {
    Entry { tag, kind: SHORT, data: values.iter().flat_map(|value| value.to_le_bytes()).collect() }
}

/// Whether a palette gives the colours; the file with the indices as gray then.
pub(super) fn palette_as_gray(bytes: Vec<u8>) -> Option<Vec<u8>> {
    let mut block = Block::parse(bytes)?;
    let kind = numbers(&block.directories().image, PHOTOMETRIC)?;
    (kind == [PALETTE]).then(|| {
        block.set(shorts(PHOTOMETRIC, &[BLACK_IS_ZERO]));
        block.into_bytes()
    })
}

/// A file packed by LZW, unpacked; `None` for others and for what cannot be unpacked.
pub(super) fn unpacked(bytes: Vec<u8>) -> Option<Vec<u8>> {
    let mut block = Block::parse(bytes.clone())?;
    let entries = block.directories().image;
    let all = |tag| numbers(&entries, tag);
    let one = |tag| all(tag).and_then(|values| values.first().copied());
    if one(COMPRESSION)? != LZW {
        return None;
    }
    let (offsets_tag, lengths_tag) =
        if all(TILE_OFFSETS).is_some() { (TILE_OFFSETS, TILE_BYTES) } else { (STRIP_OFFSETS, STRIP_BYTES) };
    let (offsets, lengths) = (all(offsets_tag)?, all(lengths_tag)?);
    let samples = if one(PLANAR) == Some(SEPARATE_PLANES) { 1 } else { one(SAMPLES).unwrap_or(1) };
    let bits = one(BITS).unwrap_or(1).checked_mul(samples)?;
    let (width, rows) = if offsets_tag == TILE_OFFSETS {
        (one(TILE_WIDTH)?, one(TILE_HEIGHT)?)
    } else {
        (one(WIDTH)?, one(ROWS_PER_STRIP).unwrap_or(u64::MAX).min(one(HEIGHT)?))
    };
    let chunk = width.checked_mul(bits)?.div_ceil(8).checked_mul(rows)?;
    if chunk.checked_mul(offsets.len() as u64)? > MAX_PIXELS * 8 {
        return None;
    }
    let (mut places, mut sizes) = (Vec::new(), Vec::new());
    for (&offset, &length) in offsets.iter().zip(&lengths) {
        let packed = bytes.get(usize::try_from(offset).ok()?..)?;
        let packed = &packed[..packed.len().min(usize::try_from(length).ok()?)];
        let whole = unpack(packed, chunk as usize);
        places.push(u32::try_from(block.append_bytes(&whole)).ok()?);
        sizes.push(whole.len() as u32);
    }
    let longs = |tag, values: &[u32]| Entry {
        tag,
        kind: LONG,
        data: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    };
    block.set(longs(offsets_tag, &places));
    block.set(longs(lengths_tag, &sizes));
    block.set(shorts(COMPRESSION, &[UNCOMPRESSED]));
    Some(block.into_bytes())
}

/// At most `most` bytes of a packed chunk. Chunks at the end of a picture may be shorter.
fn unpack(mut packed: &[u8], most: usize) -> Vec<u8> {
    let mut out = vec![0; most];
    let mut filled = 0;
    let mut decoder = Decoder::with_tiff_size_switch(BitOrder::Msb, 8);
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
