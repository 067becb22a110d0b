//! Where results go.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use dualres_imaging::Format;

use crate::{cli::UpscaleArgs, report::Misuse};

/// Files to write for one input.
pub(crate) struct Targets {
    pub(crate) picture: PathBuf,
    pub(crate) dual: Option<PathBuf>,
    pub(crate) consistency: Option<PathBuf>,
}

/// Decides where results of a command go: to the named files, or into folders.
pub(crate) struct Outputs<'a> {
    args: &'a UpscaleArgs,
    into_folder: bool,
    model: &'a str,
    taken: std::collections::BTreeSet<PathBuf>,
}

impl<'a> Outputs<'a> {
    /// Outputs for `inputs`; folders are made.
    pub(crate) fn new(args: &'a UpscaleArgs, inputs: &[PathBuf], model: &'a str) -> anyhow::Result<Self> {
        let named_folder = args.output.is_dir() || args.output.as_os_str().to_string_lossy().ends_with(['/', '\\']);
        let from_folder = args.inputs.iter().any(|input| input.is_dir());
        let into_folder = inputs.len() > 1 || named_folder || from_folder;
        if into_folder && !args.output.is_dir() && !named_folder && Format::from_path(&args.output).is_ok() {
            return Err(Misuse(format!(
                "several pictures need an output folder, and this is a picture's name: {}",
                args.output.display()
            ))
            .into());
        }
        let mut named: Vec<_> = std::iter::once(&args.output).chain(&args.dual).chain(&args.consistency).collect();
        named.sort();
        if !into_folder && named.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Misuse("two results would go to one file; give each its own name".into()).into());
        }
        let further = args.dual.iter().chain(&args.consistency);
        for path in std::iter::once(&args.output).chain(further) {
            if into_folder {
                if path.exists() && !path.is_dir() {
                    return Err(Misuse(format!(
                        "several pictures need an output folder, not a file: {}",
                        path.display()
                    ))
                    .into());
                }
                std::fs::create_dir_all(path)
                    .map_err(|error| anyhow::anyhow!("cannot make the folder ({error}): {}", path.display()))?;
            } else {
                Format::from_path(path).map_err(|error| Misuse(error.to_string()))?;
            }
        }
        Ok(Self { args, into_folder, model, taken: Default::default() })
    }

    /// Files for one input.
    pub(crate) fn of(&mut self, input: &Path) -> anyhow::Result<Targets> {
        if !self.into_folder {
            let same = |path: &Path| matches!((path.canonicalize(), input.canonicalize()), (Ok(a), Ok(b)) if a == b);
            let results = std::iter::once(&self.args.output).chain(&self.args.dual).chain(&self.args.consistency);
            ensure!(
                !results.into_iter().any(|path| same(path)),
                "the output would replace the input: {}",
                input.display()
            );
            let targets = Targets {
                picture: self.args.output.clone(),
                dual: self.args.dual.clone(),
                consistency: self.args.consistency.clone(),
            };
            return Ok(targets);
        }
        let stem = input.file_stem().unwrap_or_default().to_string_lossy();
        // Formats that are read are written again as what they were.
        let extension = Format::from_path(input).map_or("png", Format::extension);
        let picture = self.free(self.args.output.join(format!("{stem}_{}.{extension}", self.model)))?;
        let name = picture.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let beside =
            |folder: &Option<PathBuf>, what: &str| folder.as_ref().map(|f| f.join(format!("{name}_{what}.png")));
        Ok(Targets {
            dual: beside(&self.args.dual, "dual"),
            consistency: beside(&self.args.consistency, "consistency"),
            picture,
        })
    }

    /// The path, numbered if another input of this command has it already.
    fn free(&mut self, wanted: PathBuf) -> anyhow::Result<PathBuf> {
        let (stem, extension) = (
            wanted.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            wanted.extension().unwrap_or_default().to_string_lossy().into_owned(),
        );
        let mut path = wanted.clone();
        let mut number = 2;
        while !self.taken.insert(path.clone()) {
            path = wanted.with_file_name(format!("{stem}-{number}.{extension}"));
            number += 1;
        }
        ensure!(
            self.args.overwrite || !path.exists(),
            "the output exists (--overwrite replaces it): {}",
            path.display()
        );
        Ok(path)
    }
}
