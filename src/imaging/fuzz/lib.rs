//! What all fuzz targets do: read a file as the program would, and write what came of it.

use dualres_imaging::{EncodeOptions, Format, decode, encode};

/// Larger pictures take too long to write to find anything.
const MOST_PIXELS: usize = 1 << 16;

/// Reads a file; whatever it is, that must end without a panic. What could be read is written with its metadata, and that
/// must be readable again.
pub fn read_and_write(data: &[u8]) {
    read_and_write_as(data, "fuzz");
}

/// As [`read_and_write`], for a file of a name.
pub fn read_and_write_as(data: &[u8], name: &str) {
    let Ok(mut picture) = decode(data, name) else { return };
    let size = [picture.width(), picture.height()];
    if size[0] * size[1] > MOST_PIXELS {
        return;
    }
    picture.metadata = picture.metadata.for_result(size, size, "fuzz");
    picture.metadata.set_density([300.0, 300.0]);
    for format in [Format::Png, Format::Jpeg, Format::Tiff, Format::WebP] {
        if let Ok(bytes) = encode(&picture, format, EncodeOptions::default()) {
            let again = decode(&bytes, "fuzz").expect("what was written is readable");
            assert_eq!([again.width(), again.height()], size);
        }
    }
}
