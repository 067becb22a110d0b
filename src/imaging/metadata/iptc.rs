//! IPTC records and the wrapping they come in: the image resources of Photoshop.

/// Number of the resource that holds IPTC records.
const IPTC: u16 = 0x0404;

/// The IPTC records among image resources (`8BIM` blocks).
pub(crate) fn from_image_resources(mut resources: &[u8]) -> Option<Vec<u8>> {
    if let Some(rest) = resources.strip_prefix(b"Photoshop 3.0\0") {
        resources = rest;
    }
    while let Some(rest) = resources.strip_prefix(b"8BIM") {
        let id = u16::from_be_bytes(*rest.first_chunk()?);
        // A Pascal string and a length, each padded to even lengths.
        let name = (usize::from(*rest.get(2)?) + 1).next_multiple_of(2);
        let length = u32::from_be_bytes(*rest.get(2 + name..)?.first_chunk()?) as usize;
        let start = 2 + name + 4;
        let data = rest.get(start..start.checked_add(length)?)?;
        if id == IPTC {
            return Some(data.to_vec());
        }
        resources = rest.get(start + length.next_multiple_of(2)..)?;
    }
    None
}

/// IPTC records as image resources.
pub(crate) fn to_image_resources(records: &[u8]) -> Vec<u8> {
    let mut resources = b"8BIM".to_vec();
    resources.extend(IPTC.to_be_bytes());
    resources.extend([0, 0]);
    resources.extend((records.len() as u32).to_be_bytes());
    resources.extend(records);
    if records.len() % 2 == 1 {
        resources.push(0);
    }
    resources
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_found_among_other_resources() {
        let records = b"\x1c\x02\x78\0\x07caption".to_vec();
        let mut resources = b"Photoshop 3.0\0".to_vec();
        resources.extend(b"8BIM\x03\xed\x03odd\0\0\0\x03abc\0");
        resources.extend(to_image_resources(&records));
        assert_eq!(from_image_resources(&resources), Some(records.clone()));
        for cut in 0..resources.len() {
            let _ = from_image_resources(&resources[..cut]);
        }
        assert_eq!(from_image_resources(b"8BIM\x03\xed\0\0\xff\xff\xff\xff"), None);
    }
}
