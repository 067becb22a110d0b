//! Where results go.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use dualres_imaging::{
    Format,
    file::{resolve, write_atomically, write_new},
};

use crate::{
    batch::{inputs::Input, recipe::Recipe, record, saving::make_folder},
    cli::UpscaleArgs,
    commands::library,
    naming::{self, Facts},
    report::Misuse,
    targets::{Targets, ends_as_folder, prepare_folder, prepare_folder_of},
};

/// The file of a result, and those of [`UpscaleArgs::proofs`].
pub(super) type Files = (PathBuf, [Option<PathBuf>; 3]);

/// Decides where results of a command go: to the named files, or into folders.
pub(super) struct Outputs<'a> {
    args: &'a UpscaleArgs,
    into_folder: bool,
    targets: Targets,
}

impl<'a> Outputs<'a> {
    /// Outputs for `inputs`. All that can be found out about them before the work is found out here.
    ///
    /// # Errors
    /// If a name makes no sense or would cost a file, or a folder cannot be written to.
    pub(super) fn new(args: &'a UpscaleArgs, inputs: &[Input]) -> Result<Self, Misuse> {
        let named_folder = args.output.is_dir() || ends_as_folder(&args.output);
        let into_folder = are_several(args, inputs) || named_folder;
        if !into_folder && args.format.is_some() {
            return Err(Misuse("--format requires an output folder; for a file, use its extension".into()));
        }
        let example = Facts { name: "name".into(), model: "model".into(), ..Facts::default() };
        naming::file_name(&args.name, &example).map_err(|reason| Misuse(format!("--name: {reason}")))?;
        let mut outputs = Self { args, into_folder, targets: Targets::new(args.overwrite) };
        if let Some(model) = args.model.as_deref().and_then(|model| library().place(model)) {
            outputs.targets.protect(&model);
        }
        outputs.protect(inputs);
        for path in every(args) {
            if !into_folder {
                outputs.targets.take(path, || false)?;
                Format::from_path(path).map_err(|error| Misuse(error.to_string()))?;
            } else if (path.exists() && !path.is_dir()) || (!path.is_dir() && looks_like_file(path)) {
                let shown = path.display();
                return Err(Misuse(format!("several inputs need an output folder, not a file: {shown}")));
            }
        }
        if into_folder {
            let record = args.output.join(record::FILE);
            // That of a shard as well.
            let is_record = |path: &Path| resolve(path).starts_with(resolve(&record)) || record::is_record(path);
            if let Some(path) = every(args).chain(&args.table).find(|path| is_record(path)) {
                return Err(Misuse(format!(
                    "that is where the batch record goes; choose another path: {}",
                    path.display()
                )));
            }
            outputs.targets.protect(&record);
        }
        if let Some(table) = &args.table {
            let is_own = || into_folder && record::wrote_table(&args.output, table);
            let below = inputs.iter().map(|input| args.output.join(&input.below));
            let mut folders = below.chain(every(args).cloned()).filter(|_| into_folder);
            if folders.any(|folder| resolve(&folder).starts_with(resolve(table))) {
                return Err(Misuse(format!("the table has the path of an output folder: {}", table.display())));
            }
            outputs.targets.take(table, is_own)?;
            prepare_folder_of(table)?;
        }
        for path in every(args) {
            if into_folder { prepare_folder(path)? } else { prepare_folder_of(path)? }
        }
        Ok(outputs)
    }

    /// No result may replace one of these pictures.
    pub(super) fn protect(&mut self, inputs: &[Input]) {
        inputs.iter().for_each(|input| self.targets.protect(&input.path));
    }

    /// Folders that named files are written to.
    pub(super) fn folders(&self) -> Vec<PathBuf> {
        let folder = |path: &PathBuf| match self.into_folder {
            true => Some(path.clone()),
            false => resolve(path).parent().map(Path::to_owned),
        };
        every(self.args).filter_map(folder).collect()
    }

    /// What of an input of `size` pixels a named proof's format does not hold.
    pub(super) fn check_proofs(&self, size: [usize; 2]) -> anyhow::Result<()> {
        let proofs = self.args.proofs().into_iter().filter_map(|(_, path)| path).filter(|_| !self.into_folder);
        for path in proofs {
            let format = Format::from_path(path)?;
            ensure!(
                size[0].max(size[1]) <= format.max_side(),
                "{} supports at most {} pixels per side, and the proof has {}x{}; use PNG or TIFF: {}",
                format.name(),
                format.max_side(),
                size[0],
                size[1],
                path.display()
            );
        }
        Ok(())
    }

    /// Files for one input; `begun` is the name that its result was to have in a run that was cut off.
    pub(super) fn of(
        &mut self,
        recipe: &Recipe,
        (input, facts, format): (&Input, &Facts, Format),
        begun: Option<PathBuf>,
    ) -> anyhow::Result<Files> {
        if !self.into_folder {
            return Ok((self.args.output.clone(), self.args.proofs().map(|(_, path)| path.cloned())));
        }
        let folder = self.args.output.join(&input.below);
        make_folder(&folder)?;
        let begun = begun.filter(|begun| self.targets.reserve(begun));
        let picture = match begun {
            Some(begun) => begun,
            None => self.targets.free(&folder.join(recipe.file_name(facts, format)?), |_| false),
        };
        let name = picture.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let stem = picture.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut proofs = [const { None }; 3];
        for (proof, (what, folder)) in proofs.iter_mut().zip(self.args.proofs()) {
            let Some(folder) = folder.map(|folder| folder.join(&input.below)) else { continue };
            make_folder(&folder)?;
            // Results of one name and two formats have two proofs. What is there is looked at when there is something to write.
            let [short, long] = [&stem, &name].map(|name| folder.join(format!("{name}_{what}.png")));
            let path = if self.targets.reserve(&short) { short } else { self.targets.free(&long, |_| true) };
            *proof = Some(path);
        }
        Ok((picture, proofs))
    }

    /// Writes a file of this command under its name. If another program has taken that since it was chosen, nothing that was made
    /// is thrown away: it gets the next number. `replaces` says that what is there may be replaced. Returns where it is.
    pub(super) fn write(&mut self, path: &Path, bytes: &[u8], replaces: bool) -> anyhow::Result<PathBuf> {
        if self.args.overwrite || replaces {
            write_atomically(path, bytes)?;
            return Ok(path.to_owned());
        }
        let mut path = path.to_owned();
        while !write_new(&resolve(&path), bytes)? {
            // Made before, and cut off before it was noted.
            if std::fs::read(&path).is_ok_and(|there| there == bytes) {
                break;
            }
            path = self.targets.free(&path, |_| false);
        }
        Ok(path)
    }

    /// Another name than `path`, which is taken.
    pub(super) fn next(&mut self, path: &Path) -> PathBuf {
        self.targets.free(path, |_| false)
    }
}

/// Whether a command is a batch, even if only one picture was found: results go into a folder.
pub(super) fn are_several(args: &UpscaleArgs, inputs: &[Input]) -> bool {
    // A pattern is what is named and not there.
    let may_be_several =
        |named: &PathBuf| named.is_dir() || (!named.exists() && !inputs.iter().any(|i| i.path == *named));
    inputs.len() > 1 || args.inputs.iter().any(may_be_several)
}

fn looks_like_file(path: &Path) -> bool {
    !ends_as_folder(path) && Format::from_path(path).is_ok()
}

/// All files or folders that are to be written.
fn every(args: &UpscaleArgs) -> impl Iterator<Item = &PathBuf> {
    std::iter::once(&args.output).chain(args.proofs().into_iter().filter_map(|(_, path)| path))
}
