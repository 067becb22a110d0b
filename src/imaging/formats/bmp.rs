//! BMP of OS/2, whose headers the decoder (image 0.25) does not know: brought to the form that Windows writes.

/// Why a bitmap of OS/2 is not read.
const PACKED: &str = "it is a valid bitmap of OS/2, packed in a way that is not read; save it as PNG first";

const FILE_HEADER: usize = 14;
/// Bytes of the header that Windows writes.
const USUAL: u32 = 40;

/// Whether a file begins as one of OS/2 does that has several bitmaps, the first of which is taken.
pub(crate) fn is_array(start: &[u8]) -> bool {
    start.starts_with(b"BA") && start.get(FILE_HEADER..).is_some_and(|first| first.starts_with(b"BM"))
}

/// A bitmap of OS/2 as Windows would have written it; `None` if it is of Windows already, or broken.
///
/// # Errors
/// Why it is not read.
pub(crate) fn of_windows(file: &[u8]) -> Result<Option<Vec<u8>>, &'static str> {
    const OFFSET: usize = 10;
    const COMPRESSION: usize = 16;
    let skipped = if is_array(file) { FILE_HEADER } else { 0 };
    let bitmap = file.get(skipped..).unwrap_or_default();
    let number = |at: usize| bitmap.get(at..)?.first_chunk().map(|four| u32::from_le_bytes(*four));
    let (Some(offset), Some(length)) = (number(OFFSET), number(FILE_HEADER)) else { return Ok(None) };
    let is_second = matches!(length, 16..=64) && ![USUAL, 52, 56].contains(&length);
    if skipped == 0 && !is_second {
        return Ok(None);
    }
    let mut header = bitmap[FILE_HEADER..].to_vec();
    let mut grown = 0;
    if is_second {
        let body = header.split_off(header.len().min(length as usize));
        header.resize(USUAL as usize, 0);
        header[..4].copy_from_slice(&USUAL.to_le_bytes());
        // 3 and 4 are not what they are for Windows.
        if length as usize > COMPRESSION && header[COMPRESSION] > 2 {
            return Err(PACKED);
        }
        header.extend(body);
        grown = i64::from(USUAL) - i64::from(length);
    }
    let mut whole = bitmap[..FILE_HEADER].to_vec();
    let offset = u32::try_from(i64::from(offset) - skipped as i64 + grown).unwrap_or(0);
    whole[OFFSET..].copy_from_slice(&offset.to_le_bytes());
    whole.extend(header);
    Ok(Some(whole))
}
