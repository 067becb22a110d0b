//! Where results go.

use std::{
    collections::{BTreeSet, HashSet},
    path::{Path, PathBuf},
};

use anyhow::{anyhow, ensure};
use dualres_imaging::Format;

use crate::{
    batch::{inputs::Input, result::format_like},
    cli::UpscaleArgs,
    naming::{self, Facts},
    report::Misuse,
};

/// Files to write for one input.
#[derive(Clone, Debug)]
pub(super) struct Targets {
    pub(super) picture: PathBuf,
    /// Those of [`UpscaleArgs::proofs`].
    pub(super) proofs: [Option<PathBuf>; 3],
}

/// Decides where results of a command go: to the named files, or into folders.
pub(super) struct Outputs<'a> {
    args: &'a UpscaleArgs,
    into_folder: bool,
    taken: BTreeSet<PathBuf>,
    /// The pictures themselves, which no result may replace.
    originals: HashSet<PathBuf>,
}

impl<'a> Outputs<'a> {
    /// Outputs for `inputs`; folders are made.
    pub(super) fn new(args: &'a UpscaleArgs, inputs: &[Input]) -> anyhow::Result<Self> {
        let named_folder = args.output.is_dir() || args.output.as_os_str().to_string_lossy().ends_with(['/', '\\']);
        let into_folder = are_several(args, inputs) || named_folder;
        if into_folder && !args.output.is_dir() && !named_folder && Format::from_path(&args.output).is_ok() {
            return Err(Misuse(format!(
                "several pictures need an output folder, and this is a picture's name: {}",
                args.output.display()
            ))
            .into());
        }
        let mut named: Vec<_> = every(args).collect();
        named.sort();
        if !into_folder && named.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(Misuse("two results would go to one file; give each its own name".into()).into());
        }
        if !into_folder && args.format.is_some() {
            return Err(Misuse("--format is for output folders; a file's name says its format".into()).into());
        }
        let example = Facts { name: "name".into(), model: "model".into(), ..Facts::default() };
        naming::file_name(&args.name, &example).map_err(|reason| Misuse(format!("--name: {reason}")))?;
        for path in every(args) {
            if into_folder {
                if path.exists() && !path.is_dir() {
                    return Err(Misuse(format!(
                        "several pictures need an output folder, not a file: {}",
                        path.display()
                    ))
                    .into());
                }
                make_folder(path)?;
            } else {
                Format::from_path(path).map_err(|error| Misuse(error.to_string()))?;
            }
        }
        let mut outputs = Self { args, into_folder, taken: BTreeSet::new(), originals: HashSet::new() };
        outputs.set_originals(inputs);
        Ok(outputs)
    }

    /// The pictures that no result may replace.
    pub(super) fn set_originals(&mut self, inputs: &[Input]) {
        self.originals = inputs.iter().filter_map(|input| input.path.canonicalize().ok()).collect();
    }

    /// The format of the result of an input.
    pub(super) fn format(&self, input: &Path) -> anyhow::Result<Format> {
        if !self.into_folder {
            return Ok(Format::from_path(&self.args.output)?);
        }
        Ok(self.args.format.map_or_else(|| format_like(input), Format::from))
    }

    /// Files for one input; `begun` is the name that its result was to have in a run that was cut off.
    pub(super) fn of(&mut self, input: &Input, facts: &Facts, begun: Option<PathBuf>) -> anyhow::Result<Targets> {
        if !self.into_folder {
            return self.named(&input.path);
        }
        let folder = self.args.output.join(&input.below);
        make_folder(&folder)?;
        let begun = begun.filter(|begun| !self.is_original(begun) && self.taken.insert(begun.clone()));
        let picture = match begun {
            Some(begun) => begun,
            None => {
                let name = naming::file_name(&self.args.name, facts).map_err(|reason| anyhow!("--name: {reason}"))?;
                let extension = self.format(&input.path)?.extension();
                self.free(folder.join(format!("{name}.{extension}")))
            }
        };
        let name = picture.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut proofs = [const { None }; 3];
        for (proof, (what, folder)) in proofs.iter_mut().zip(self.args.proofs()) {
            let Some(folder) = folder.map(|folder| folder.join(&input.below)) else { continue };
            make_folder(&folder)?;
            // Results of one name and two formats have two proofs.
            let short = folder.join(format!("{stem}_{what}.png"));
            let path = if self.taken.contains(&short) { folder.join(format!("{name}_{what}.png")) } else { short };
            ensure!(!self.is_original(&path), "a proof would replace a picture: {}", path.display());
            self.taken.insert(path.clone());
            *proof = Some(path);
        }
        Ok(Targets { picture, proofs })
    }

    fn is_original(&self, path: &Path) -> bool {
        path.canonicalize().is_ok_and(|path| self.originals.contains(&path))
    }

    fn named(&self, input: &Path) -> anyhow::Result<Targets> {
        for path in every(self.args) {
            ensure!(!is_same(path, input), "the output would replace the input: {}", input.display());
            ensure!(
                self.args.overwrite || !path.exists(),
                "the output exists (--overwrite replaces it): {}",
                path.display()
            );
        }
        Ok(Targets { picture: self.args.output.clone(), proofs: self.args.proofs().map(|(_, path)| path.cloned()) })
    }

    /// The path, numbered if another input of this command has it already, or if a file has it that is not to be replaced.
    pub(super) fn free(&mut self, wanted: PathBuf) -> PathBuf {
        let (stem, extension) = (
            wanted.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
            wanted.extension().unwrap_or_default().to_string_lossy().into_owned(),
        );
        let mut path = wanted.clone();
        let mut number = 2;
        while (!self.args.overwrite && path.exists()) || self.is_original(&path) || !self.taken.insert(path.clone()) {
            path = wanted.with_file_name(format!("{stem}-{number}.{extension}"));
            number += 1;
        }
        path
    }
}

/// Whether a command is a batch, even if only one picture was found: results go into a folder.
pub(super) fn are_several(args: &UpscaleArgs, inputs: &[Input]) -> bool {
    // A pattern is what is named and not there.
    let may_be_several =
        |named: &PathBuf| named.is_dir() || (!named.exists() && !inputs.iter().any(|i| i.path == *named));
    inputs.len() > 1 || args.inputs.iter().any(may_be_several)
}

/// All files or folders that are to be written.
fn every(args: &UpscaleArgs) -> impl Iterator<Item = &PathBuf> {
    std::iter::once(&args.output).chain(args.proofs().into_iter().filter_map(|(_, path)| path))
}

fn is_same(a: &Path, b: &Path) -> bool {
    matches!((a.canonicalize(), b.canonicalize()), (Ok(a), Ok(b)) if a == b)
}

fn make_folder(path: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(path).map_err(|error| anyhow!("cannot make the folder ({error}): {}", path.display()))
}
