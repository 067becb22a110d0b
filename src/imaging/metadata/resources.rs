//! Image resources (`8BIM` blocks), in which Photoshop and those who follow it keep IPTC records, clipping paths, the copyright
//! flag and much else.

const IPTC: u16 = 0x0404;
const EXIF: u16 = 0x0422;
const XMP: u16 = 0x0424;
/// What is stated by other means, or holds for the original's size alone: density, grid and guides, thumbnails, the profile, slices.
const OWN_TO_THE_ORIGINAL: [u16; 6] = [0x03ED, 0x0408, 0x0409, 0x040C, 0x040F, 0x041A];

/// What was found among image resources.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Resources {
    /// IPTC records.
    pub(crate) iptc: Option<Vec<u8>>,
    /// An EXIF block.
    pub(crate) exif: Option<Vec<u8>>,
    /// An XMP packet.
    pub(crate) xmp: Option<Vec<u8>>,
    /// All other blocks that hold for a larger picture too, as they stand in the file.
    pub(crate) others: Vec<u8>,
}

/// Reads image resources; `None` if there are none.
pub(crate) fn from_image_resources(mut resources: &[u8]) -> Option<Resources> {
    if let Some(rest) = resources.strip_prefix(b"Photoshop 3.0\0") {
        resources = rest;
    }
    let mut found = Resources::default();
    let mut any = false;
    while let Some((id, block, data)) = block(resources) {
        any = true;
        match id {
            // Records are a list: those of a second block go on with it, unless it says the same again.
            IPTC => {
                let records: &mut Vec<u8> = found.iptc.get_or_insert_default();
                if !records.ends_with(data) {
                    records.extend(data);
                }
            }
            EXIF => found.exif = Some(data.to_vec()),
            XMP => found.xmp = Some(data.to_vec()),
            _ if OWN_TO_THE_ORIGINAL.contains(&id) => {}
            _ => {
                found.others.extend(block);
                // The last block of a file may lack the byte that makes its length even.
                if block.len() % 2 == 1 {
                    found.others.push(0);
                }
            }
        }
        resources = &resources[block.len()..];
    }
    any.then_some(found)
}

/// The first block: its number, the whole of it, and its data.
fn block(resources: &[u8]) -> Option<(u16, &[u8], &[u8])> {
    let rest = resources.strip_prefix(b"8BIM")?;
    let id = u16::from_be_bytes(*rest.first_chunk()?);
    // A Pascal string and a length, each padded to even lengths.
    let name = (usize::from(*rest.get(2)?) + 1).next_multiple_of(2);
    let length = u32::from_be_bytes(*rest.get(2 + name..)?.first_chunk()?) as usize;
    let start = 4 + 2 + name + 4;
    let data = resources.get(start..start.checked_add(length)?)?;
    let end = (start + length.next_multiple_of(2)).min(resources.len());
    Some((id, &resources[..end], data))
}

/// IPTC records as image resources, with `others` after them.
pub(crate) fn to_image_resources(records: Option<&[u8]>, others: &[u8]) -> Vec<u8> {
    let mut resources = Vec::new();
    if let Some(records) = records {
        resources.extend(b"8BIM");
        resources.extend(IPTC.to_be_bytes());
        resources.extend([0, 0]);
        resources.extend((records.len() as u32).to_be_bytes());
        resources.extend(records);
        if records.len() % 2 == 1 {
            resources.push(0);
        }
    }
    resources.extend(others);
    resources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_among_other_resources_and_these_are_kept() {
        let records = b"\x1c\x02\x78\0\x07caption".to_vec();
        let flag = b"8BIM\x04\x0a\0\0\0\0\0\x01\x01\0".to_vec();
        let path = b"8BIM\x07\xd0\x04Path\0\0\0\0\x02\x12\x34".to_vec();
        let mut resources = b"Photoshop 3.0\0".to_vec();
        // The density is stated by other means.
        resources.extend(b"8BIM\x03\xed\x03odd\0\0\0\x03abc\0");
        resources.extend(&flag);
        resources.extend(to_image_resources(Some(&records), &path));
        let found = from_image_resources(&resources).unwrap_or_default();
        assert_eq!(found.iptc.as_ref(), Some(&records));
        assert_eq!(found.others, [flag.clone(), path.clone()].concat());
        let again = from_image_resources(&to_image_resources(found.iptc.as_deref(), &found.others));
        assert_eq!(again, Some(found));
        for cut in 0..resources.len() {
            let _ = from_image_resources(&resources[..cut]);
        }
        assert_eq!(from_image_resources(b"8BIM\x03\xed\0\0\xff\xff\xff\xff"), None);
        // A last block of odd length without its filler is as good as one with it.
        let short = &flag[..flag.len() - 1];
        assert_eq!(from_image_resources(short).map(|found| found.others), Some(flag));
    }
}
