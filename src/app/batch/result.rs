//! From what the network made to the file: depth, metadata and name of the software.

use std::path::Path;

use dualres_imaging::{Depth, EncodeOptions, Format, Metadata, Picture, estimated_bytes};

use super::sizes::FinalSize;
use crate::{
    language::{tr, translated},
    naming,
};

/// What results take along of their originals, and with how many bits.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Keep {
    /// Leave out all metadata but the colour profile.
    pub strip: bool,
    /// Depth of results; that of the original if not given.
    pub depth: Option<Depth>,
}

/// Makes a result ready to be written: `original` is the size of the picture it was made from.
pub fn finish(result: &mut Picture, original: [usize; 2], model: &str, size: FinalSize, scale: usize, keep: Keep) {
    if let Some(depth) = keep.depth {
        result.set_depth(depth);
    }
    let written = [result.width(), result.height()];
    if keep.strip {
        result.metadata.strip();
    } else {
        result.metadata = result.metadata.for_result(original, written, &software(model, size.times(original, scale)));
    }
    if let Some(density) = size.density() {
        result.metadata.set_density(density);
    }
}

/// What the user should know of what a result in this format does not take along of its original.
pub fn losses(original: &Picture, format: Format, keep: Keep) -> Vec<String> {
    let mut lost: Vec<String> = original.metadata.left_out.iter().map(|text| translated(text)).collect();
    if original.alpha.is_some() && format == Format::Jpeg {
        lost.push(tr!("JPEG has no transparency: composited over white"));
    }
    let depth = keep.depth.unwrap_or(original.depth);
    let is_mixed = format == Format::Jxl && original.alpha.is_some() && depth != Depth::Eight;
    lost.extend(if is_mixed {
        Some(tr!("JPEG XL with transparency is written with 8 bits per channel"))
    } else {
        lost_depth(format, depth)
    });
    if !keep.strip {
        lost.extend(original.metadata.lost_in(format).iter().map(|text| translated(text)));
    }
    lost
}

/// About how many bytes the file of a result takes.
///
/// # Errors
/// If it cannot be encoded.
pub fn estimated_size(
    original: &Picture,
    size: [usize; 2],
    format: Format,
    encoding: EncodeOptions,
    keep: Keep,
) -> dualres_imaging::Result<u64> {
    let Metadata { icc, exif, xmp, iptc, resources, .. } = &original.metadata;
    let told = [exif, xmp, iptc, resources].into_iter().filter(|_| !keep.strip);
    let beside: usize = told.chain([icc]).flatten().map(Vec::len).sum();
    Ok(estimated_bytes(original, size, format, encoding, keep.depth)? + beside as u64)
}

/// What a format does not hold of the bits that a result is to have.
fn lost_depth(format: Format, depth: Depth) -> Option<String> {
    let held = format.bits_per_sample(depth);
    let wanted = match depth {
        Depth::Eight => 8,
        Depth::Sixteen => 16,
        Depth::Float { .. } => 32,
    };
    (held < wanted).then(|| {
        tr!(
            "%{format} is written with %{held} bits per channel, not %{wanted}",
            format = format.name(),
            held = held,
            wanted = wanted
        )
    })
}

/// The format of a result that is to be what its original is: by the content of the original, for a PNG picture called
/// `.jpg` is to lose nothing. What is read and not written becomes PNG.
pub fn format_like(original: &Path) -> Format {
    match dualres_imaging::format_of_file(original) {
        Ok(format) => format.unwrap_or(Format::Png),
        // Reading it says what is wrong.
        Err(_) => Format::like(original),
    }
}

/// What is named as the software that made a result.
pub fn software(model: &str, times: f64) -> String {
    format!("Dualres {} (model {model}, {}x)", env!("CARGO_PKG_VERSION"), naming::times(times))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_imaging::Plane;

    use super::*;

    #[test]
    fn the_software_tag_names_model_and_scale() {
        assert!(software("x2", 2.0).ends_with("(model x2, 2x)"));
        assert!(software("photo-x4", 2.6666).ends_with("(model photo-x4, 2.67x)"));
        assert!(software("x4", 10.0).ends_with("10x)"));
    }

    #[test]
    fn a_picture_with_a_wrong_name_stays_what_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let [jpg, gif] = ["a.jpg", "b.png"].map(|name| folder.path().join(name));
        let picture = Picture::from_planes(vec![Plane::filled(8, 6, 1.0)]);
        std::fs::write(&jpg, dualres_imaging::encode(&picture, Format::Png, Default::default()).unwrap()).unwrap();
        std::fs::write(&gif, b"GIF89a").unwrap();
        assert_eq!((format_like(&jpg), format_like(&gif)), (Format::Png, Format::Png));
        assert_eq!(format_like(Path::new("gone.tif")), Format::Tiff);
    }

    #[test]
    fn depth_and_metadata_are_as_asked_for() {
        let mut picture = Picture::from_planes(vec![Plane::filled(8, 6, 1.0)]);
        picture.metadata.icc = Some(vec![1]);
        picture.metadata.xmp = Some(b"x".to_vec());
        let keep = Keep { strip: true, depth: Some(Depth::Sixteen) };
        finish(&mut picture, [4, 3], "x2", FinalSize::Model, 2, keep);
        assert_eq!(picture.depth, Depth::Sixteen);
        assert!(picture.metadata.icc.is_some() && picture.metadata.xmp.is_none() && picture.metadata.exif.is_none());
        let print = FinalSize::Print { inches: [1.0, 1.0], dpi: 200.0 };
        finish(&mut picture, [4, 3], "x2", print, 2, Keep::default());
        assert_eq!(picture.metadata.density, Some([200.0; 2]));
        assert!(picture.metadata.exif.is_some_and(|block| block.windows(7).any(|seven| seven == b"Dualres")));
    }
}
