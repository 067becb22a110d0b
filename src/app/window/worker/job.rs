//! Where the result of a file goes.

use std::path::{Path, PathBuf};

use anyhow::{anyhow, bail};
use dualres_imaging::{Format, file::write_new};

use super::Job;
use crate::{
    language::tr,
    naming::{self, Facts},
    paths::Paths,
    window::settings::Choices,
};

/// The folder of the result of `input`, which lies `below` a folder that was brought: in a folder of results, sub-folders
/// are kept.
pub(crate) fn folder(input: &Path, below: &Path, choices: &Choices, paths: &Paths) -> PathBuf {
    match (&choices.folder, input.parent()) {
        (Some(folder), _) => folder.join(below),
        // What was pasted or is a sample lies where its user would never look.
        (None, Some(beside)) if !beside.starts_with(&paths.data) => beside.to_owned(),
        _ => paths.pictures.clone(),
    }
}

/// The file for a result of `format` and `size`: in its folder, which is made, and under a name that is free.
pub(crate) fn target(
    job: &Job,
    format: Format,
    times: f64,
    size: [usize; 2],
    paths: &Paths,
) -> anyhow::Result<PathBuf> {
    let Job { input, below, index, choices, .. } = job;
    let facts = Facts {
        name: input.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        scale: naming::times(times),
        model: choices.model.clone(),
        width: size[0],
        height: size[1],
        index: *index,
        date: naming::today(),
    };
    let name = naming::file_name(&choices.pattern, &facts)
        .map_err(|reason| anyhow!(tr!("the pattern of names: %{reason}", reason = reason)))?;
    let folder = folder(input, below, choices, paths);
    make_folder(&folder)?;
    if size[0].max(size[1]) > format.max_side() {
        bail!(tr!(
            "%{format} holds at most %{most} pixels a side and the result has %{width} x %{height}: choose PNG or TIFF",
            format = format.name(),
            most = format.max_side(),
            width = size[0],
            height = size[1]
        ));
    }
    // Told now, not after minutes of work.
    tempfile::Builder::new().prefix(".dualres-").tempfile_in(&folder).map_err(|error| {
        let shown = folder.display();
        anyhow!(tr!("cannot write to the folder of results (%{error}): %{folder}", error = error, folder = shown))
    })?;
    let extension = format.extension();
    Ok(naming::free(&folder.join(format!("{name}.{extension}")), &|_| false))
}

/// Makes a folder of results.
pub(super) fn make_folder(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| {
        let shown = folder.display();
        anyhow!(tr!("cannot make the folder of results (%{error}): %{folder}", error = error, folder = shown))
    })
}

/// Saves a result under the first name that is free by now. If the folder has become unusable since the run began, the
/// result goes to the folder of pictures, and the text says so: what took minutes is not thrown away.
pub(crate) fn save(target: &Path, encoded: &[u8], paths: &Paths) -> anyhow::Result<(PathBuf, Option<String>)> {
    match save_free(target, encoded) {
        Ok(path) => Ok((path, None)),
        Err(error) => {
            std::fs::create_dir_all(&paths.pictures).map_err(|_| anyhow!("{error}"))?;
            let name = target.file_name().unwrap_or_default();
            let path = save_free(&paths.pictures.join(name), encoded).map_err(|_| anyhow!("{error}"))?;
            let shown = path.display();
            let warning = tr!("%{error}; the result was saved as %{file} instead", error = error, file = shown);
            Ok((path, Some(warning)))
        }
    }
}

/// Saves bytes under the first name from `target` on that is free.
pub(super) fn save_free(target: &Path, bytes: &[u8]) -> dualres_imaging::Result<PathBuf> {
    loop {
        let path = naming::free(target, &|_| false);
        // Another program may have taken the name in between.
        if write_new(&path, bytes)? {
            return Ok(path);
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::window::{queue::ItemId, settings::OutputFormat};

    #[test]
    fn results_go_beside_the_original_unless_it_has_no_place_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        let mut choices = Choices::default();
        let photos = home.path().join("photos");
        let job = |path: &Path, choices: &Choices| Job {
            item: ItemId(0),
            input: path.to_owned(),
            below: "deep".into(),
            twin: 0,
            index: 3,
            choices: choices.clone(),
            again: false,
            next: None,
        };
        let at = |path: &Path, choices: &Choices| {
            target(&job(path, choices), choices.format.of(path), 2.0, [20, 10], &paths).unwrap()
        };
        assert_eq!(at(&photos.join("a.jpg"), &choices), photos.join("a_x2.jpg"));
        assert_eq!(at(&photos.join("odd.xyz"), &choices), photos.join("odd_x2.png"));
        assert_eq!(at(&paths.arrivals().join("pasted.png"), &choices), paths.pictures.join("pasted_x2.png"));
        std::fs::write(photos.join("a_x2.jpg"), "").unwrap();
        assert_eq!(at(&photos.join("a.jpg"), &choices), photos.join("a_x2-2.jpg"));
        choices.folder = Some(home.path().join("new"));
        choices.format = OutputFormat::Tiff;
        choices.pattern = "{name} {width}".into();
        assert_eq!(at(&photos.join("a.jpg"), &choices), home.path().join("new/deep/a 20.tif"));
        choices.pattern = "{wide}".into();
        let error = target(&job(&photos.join("a.jpg"), &choices), Format::Png, 2.0, [20, 10], &paths).unwrap_err();
        assert!(error.to_string().contains("{wide}"), "{error}");
    }

    #[test]
    fn what_cannot_be_saved_is_refused_before_the_run_and_what_was_made_is_not_lost() {
        let home = tempfile::tempdir().unwrap();
        let paths = Paths::under(home.path());
        let job = Job {
            item: ItemId(0),
            input: home.path().join("a.webp"),
            below: PathBuf::new(),
            twin: 0,
            index: 1,
            choices: Choices::default(),
            again: false,
            next: None,
        };
        let error = target(&job, Format::WebP, 4.0, [20_000, 10], &paths).unwrap_err();
        assert!(error.to_string().contains("16383"), "{error}");

        let wanted = home.path().join("b.png");
        let save = |target: &Path| save(target, b"a file", &paths).unwrap();
        assert_eq!(save(&wanted), (wanted.clone(), None));
        assert_eq!(save(&wanted).0, home.path().join("b-2.png"), "a name that was taken since is not overwritten");
        let (path, warning) = save(&home.path().join("gone").join("c.png"));
        assert_eq!(path, paths.pictures.join("c.png"));
        assert!(warning.unwrap().contains("instead"));
    }
}
