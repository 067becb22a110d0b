//! Whether there is room for a result.

use std::path::Path;

use dualres_imaging::{Depth, Format, Picture};

use crate::language::{number, tr};

/// Most bytes that a picture of `size` takes in a file of `format`.
pub fn max_bytes(size: [usize; 2], channels: usize, depth: Depth, format: Format) -> u64 {
    let samples = (size[0] * size[1] * channels) as u64;
    match format {
        // Even at quality 100 a photograph takes less than that.
        Format::Jpeg | Format::Avif => samples / 2,
        _ => samples * format.bytes_per_sample(depth) as u64,
    }
}

/// A warning if the disk may have no room for the result: files are mostly smaller than what they may take, and one that does not
/// fit fails cleanly.
///
/// # Errors
/// If the target has no format.
pub fn check_disk(target: &Path, picture: &Picture, size: [usize; 2]) -> anyhow::Result<Option<String>> {
    let channels = picture.planes.len() + usize::from(picture.alpha.is_some());
    let format = Format::from_path(target)?;
    let needed = max_bytes(size, channels, picture.depth, format);
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // A system that does not tell is no reason not to try: writing fails cleanly.
    let Ok(available) = fs4::available_space(folder) else { return Ok(None) };
    if needed > available {
        return Ok(Some(tr!(
            "the disk may be too full: the result may take %{needed}, and %{free} are free in %{folder}",
            needed = bytes(needed),
            free = bytes(available),
            folder = folder.display()
        )));
    }
    Ok(None)
}

/// Bytes, as one says them.
pub fn bytes(count: u64) -> String {
    match count as f64 {
        b if b < 1e6 => format!("{} kB", number((b / 1e3).max(1.0), 0)),
        b if b < 1e9 => format!("{} MB", number(b / 1e6, 0)),
        b => format!("{} GB", number(b / 1e9, 1)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_result_larger_than_any_disk_is_warned_of_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Picture::from_planes(vec![dualres_imaging::Plane::filled(1, 1, 0.0)]);
        let path = folder.path().join("a.png");
        assert_eq!(check_disk(&path, &picture, [10, 10]).unwrap(), None);
        let warning = check_disk(&path, &picture, [1 << 31, 1 << 31]).unwrap().unwrap();
        assert!(warning.contains("too full"), "{warning}");
    }
}
