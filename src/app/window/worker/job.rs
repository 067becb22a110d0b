//! Where the result of a file goes, and whether there is room for it.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use dualres_imaging::{Depth, EncodeOptions, Format, Picture, file::write_new};

use crate::{
    naming::{self, Facts},
    paths::Paths,
    window::{settings::Choices, views::bytes},
};

/// The folder of the result of `input`.
pub(crate) fn folder(input: &Path, choices: &Choices, paths: &Paths) -> PathBuf {
    match (&choices.folder, input.parent()) {
        (Some(folder), _) => folder.clone(),
        // What was pasted or is a sample lies where its user would never look.
        (None, Some(beside)) if !beside.starts_with(&paths.data) => beside.to_owned(),
        _ => paths.pictures.clone(),
    }
}

/// The file for a result of `size`: in its folder, which is made, and under a name that is free.
pub(crate) fn target(
    input: &Path,
    choices: &Choices,
    scale: usize,
    size: [usize; 2],
    paths: &Paths,
) -> anyhow::Result<PathBuf> {
    let facts = Facts {
        name: input.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        scale,
        model: choices.model.clone(),
        width: size[0],
        height: size[1],
    };
    let name =
        naming::file_name(&choices.pattern, &facts).map_err(|reason| anyhow!("the pattern of names: {reason}"))?;
    let folder = folder(input, choices, paths);
    std::fs::create_dir_all(&folder)
        .map_err(|error| anyhow!("cannot make the folder of results ({error}): {}", folder.display()))?;
    let format = choices.format.of(input);
    if size[0].max(size[1]) > format.max_side() {
        bail!(
            "{} holds at most {} pixels a side and the result has {} x {}: choose PNG or TIFF",
            format.name(),
            format.max_side(),
            size[0],
            size[1]
        );
    }
    // Told now, not after minutes of work.
    tempfile::Builder::new()
        .prefix(".dualres-")
        .tempfile_in(&folder)
        .map_err(|error| anyhow!("cannot write to the folder of results ({error}): {}", folder.display()))?;
    let extension = format.extension();
    Ok(naming::free(&folder.join(format!("{name}.{extension}")), &|_| false))
}

/// Saves a result under the first name that is free by now. If the folder has become unusable since the run began, the
/// result goes to the folder of pictures, and the text says so: what took minutes is not thrown away.
pub(crate) fn save(
    target: &Path,
    picture: &Picture,
    options: EncodeOptions,
    paths: &Paths,
) -> anyhow::Result<(PathBuf, Option<String>)> {
    let encoded = dualres_imaging::encode(picture, Format::from_path(target)?, options)?;
    match save_free(target, &encoded) {
        Ok(path) => Ok((path, None)),
        Err(error) => {
            std::fs::create_dir_all(&paths.pictures).map_err(|_| anyhow!("{error}"))?;
            let name = target.file_name().unwrap_or_default();
            let path = save_free(&paths.pictures.join(name), &encoded).map_err(|_| anyhow!("{error}"))?;
            let warning = format!("{error}; the result was saved as {} instead", path.display());
            Ok((path, Some(warning)))
        }
    }
}

fn save_free(target: &Path, bytes: &[u8]) -> dualres_imaging::Result<PathBuf> {
    loop {
        let path = naming::free(target, &|_| false);
        // Another program may have taken the name in between.
        if write_new(&path, bytes)? {
            return Ok(path);
        }
    }
}

/// Most bytes that a picture of `size` takes in a file of `format`.
pub(crate) fn most_bytes(size: [usize; 2], channels: usize, deep: bool, format: Format) -> u64 {
    let samples = (size[0] * size[1] * channels) as u64;
    match format {
        // Even at quality 100 a photograph takes less than that.
        Format::Jpeg => samples / 2,
        Format::Png | Format::Tiff if deep => samples * 2,
        _ => samples,
    }
}

/// Fails if the disk has no room for the result.
pub(crate) fn check_disk(target: &Path, picture: &Picture, size: [usize; 2]) -> anyhow::Result<()> {
    let channels = picture.planes.len() + usize::from(picture.alpha.is_some());
    let format = Format::from_path(target)?;
    let needed = most_bytes(size, channels, picture.depth == Depth::Sixteen, format);
    let folder = target.parent().unwrap_or(Path::new("."));
    // A system that does not tell is no reason not to try: writing fails cleanly.
    let Ok(available) = fs4::available_space(folder) else { return Ok(()) };
    if needed > available {
        bail!(
            "not enough room on the disk: the result may take {} and {} are free in {}",
            bytes(needed),
            bytes(available),
            folder.display()
        );
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::window::settings::OutputFormat;

    #[test]
    fn results_go_beside_the_original_unless_it_has_no_place_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        let mut choices = Choices::default();
        let photos = home.path().join("photos");
        let at = |path: &Path, choices: &Choices| target(path, choices, 2, [20, 10], &paths).unwrap();
        assert_eq!(at(&photos.join("a.jpg"), &choices), photos.join("a_x2.jpg"));
        assert_eq!(at(&photos.join("odd.xyz"), &choices), photos.join("odd_x2.png"));
        assert_eq!(at(&paths.arrivals().join("pasted.png"), &choices), paths.pictures.join("pasted_x2.png"));
        std::fs::write(photos.join("a_x2.jpg"), "").unwrap();
        assert_eq!(at(&photos.join("a.jpg"), &choices), photos.join("a_x2-2.jpg"));
        choices.folder = Some(home.path().join("new").join("deep"));
        choices.format = OutputFormat::Tiff;
        choices.pattern = "{name} {width}".into();
        assert_eq!(at(&photos.join("a.jpg"), &choices), home.path().join("new/deep/a 20.tif"));
        choices.pattern = "{wide}".into();
        let error = target(&photos.join("a.jpg"), &choices, 2, [20, 10], &paths).unwrap_err();
        assert!(error.to_string().contains("{wide}"), "{error}");
    }

    #[test]
    fn what_cannot_be_saved_is_refused_before_the_run_and_what_was_made_is_not_lost() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        let input = home.path().join("a.webp");
        let error = target(&input, &Choices::default(), 4, [20_000, 10], &paths).unwrap_err();
        assert!(error.to_string().contains("16383"), "{error}");

        let picture = Picture::from_planes(vec![dualres_imaging::Plane::filled(3, 2, 9.0)]);
        let wanted = home.path().join("b.png");
        let save = |target: &Path| save(target, &picture, EncodeOptions::default(), &paths).unwrap();
        assert_eq!(save(&wanted), (wanted.clone(), None));
        assert_eq!(save(&wanted).0, home.path().join("b-2.png"), "a name that was taken since is not overwritten");
        let (path, warning) = save(&home.path().join("gone").join("c.png"));
        assert_eq!(path, paths.pictures.join("c.png"));
        assert!(warning.unwrap().contains("instead"));
    }

    #[test]
    fn a_result_larger_than_any_disk_is_refused_before_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let picture = Picture::from_planes(vec![dualres_imaging::Plane::filled(1, 1, 0.0)]);
        let path = folder.path().join("a.png");
        check_disk(&path, &picture, [10, 10]).unwrap();
        let error = check_disk(&path, &picture, [1 << 31, 1 << 31]).unwrap_err();
        assert!(error.to_string().contains("room on the disk"), "{error}");
    }
}
