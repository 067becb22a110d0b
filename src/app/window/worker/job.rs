//! What a job's plan asks for, and where its result goes.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::anyhow;
use dualres_engine::Upscaler;
use dualres_imaging::{Format, Picture, file::check_folder};

use super::{Job, engine::Engine};
use crate::{
    batch::{
        choice::Kind,
        inputs::Input,
        plan::{Desk, Enlarger, Worth},
        record::Done,
        saving::make_folder,
    },
    built_in,
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

/// The file for a result: in its folder, which is made, and under a name that is free.
fn target(input: &Input, choices: &Choices, facts: &Facts, format: Format, paths: &Paths) -> anyhow::Result<PathBuf> {
    let name = choices.recipe().file_name(facts, format)?;
    let folder = folder(&input.path, &input.below, choices, paths);
    make_folder(&folder)?;
    // Told now, not after minutes of work.
    check_folder(&folder).map_err(|error| {
        let shown = folder.display();
        anyhow!(tr!("cannot write to the folder of results (%{error}): %{folder}", error = error, folder = shown))
    })?;
    Ok(naming::free(&folder.join(name), &|_| false))
}

/// A model on a device.
pub(super) struct Chosen {
    pub(super) upscaler: Arc<Upscaler>,
    /// The name of the device.
    pub(super) device: String,
    /// What tells the model's weights from any others.
    weights: String,
}

impl Enlarger for Chosen {
    fn name(&self) -> &str {
        &self.upscaler.model().description.name
    }

    fn scale(&self) -> usize {
        self.upscaler.model().description.scale()
    }

    fn weights(&self) -> &str {
        &self.weights
    }
}

/// The engine, and what of it a job wants.
pub(super) struct Order<'a> {
    pub(super) engine: &'a mut Engine,
    pub(super) job: &'a Job,
}

impl Desk for Order<'_> {
    type Model = Chosen;

    fn weights(&mut self, _size: [usize; 2]) -> anyhow::Result<String> {
        self.engine.fingerprint(&self.job.choices)
    }

    fn is_automatic(&self) -> bool {
        self.job.choices.automatic
    }

    fn model(&mut self, kind: Option<Kind>, _size: [usize; 2]) -> anyhow::Result<Chosen> {
        let Choices { model, device, .. } = &self.job.choices;
        let model = match kind {
            Some(kind) => built_in::fitting(kind, self.engine.library.load(model)?.description.scale(), model),
            None => model.clone(),
        };
        let (upscaler, device) = self.engine.ready(&model, device)?;
        let weights = self.engine.weights_of(&model)?;
        Ok(Chosen { upscaler, device, weights })
    }

    fn read(&mut self, path: &Path) -> anyhow::Result<Picture> {
        let picture = self.engine.reader.take(path)?;
        if let Some(next) = &self.job.next {
            self.engine.reader.begin(next);
        }
        Ok(picture)
    }

    fn worth(&self, _done: &Done) -> Worth {
        if self.job.again { Worth::Nothing } else { Worth::All }
    }

    fn target(
        &mut self,
        input: &Input,
        facts: &Facts,
        format: Format,
        begun: Option<PathBuf>,
    ) -> anyhow::Result<PathBuf> {
        match begun {
            Some(begun) => Ok(begun),
            None => target(input, &self.job.choices, facts, format, &self.engine.paths),
        }
    }
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
        let at = |path: &Path, choices: &Choices| {
            let input = Input { path: path.to_owned(), below: "deep".into(), twin: 0 };
            let facts = choices.recipe().facts(path, [10, 5], ("x2", 2), 3);
            target(&input, choices, &facts, choices.format.of(path), &paths)
        };
        assert_eq!(at(&photos.join("a.jpg"), &choices).unwrap(), photos.join("a_x2.jpg"));
        assert_eq!(at(&photos.join("odd.xyz"), &choices).unwrap(), photos.join("odd_x2.png"));
        assert_eq!(at(&paths.arrivals().join("pasted.png"), &choices).unwrap(), paths.pictures.join("pasted_x2.png"));
        std::fs::write(photos.join("a_x2.jpg"), "").unwrap();
        assert_eq!(at(&photos.join("a.jpg"), &choices).unwrap(), photos.join("a_x2-2.jpg"));
        choices.folder = Some(home.path().join("new"));
        choices.format = OutputFormat::Tiff;
        choices.pattern = "{name} {width}".into();
        assert_eq!(at(&photos.join("a.jpg"), &choices).unwrap(), home.path().join("new/deep/a 20.tif"));
        choices.folder = Some(photos.join("a_x2.jpg"));
        let error = at(&photos.join("a.jpg"), &choices).unwrap_err().to_string();
        assert!(error.contains("cannot make the folder"), "{error}");
    }
}
