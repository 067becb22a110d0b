//! Models by name: those inside the program, those that were imported, and files.

use std::{
    path::{Path, PathBuf},
    sync::OnceLock,
};

use anyhow::{Context, bail};
use dualres_compression::{Layers, MAC_INPUT, REPORT_FILE, RESULT_FILE};
use dualres_imaging::file::write_atomically;
use dualres_network::{Description, Device, LayerWidth, Model, import::ImportOptions};

use crate::{built_in::EMBEDDED, foreign, report::Misuse};

/// The models there are.
#[derive(Clone, Debug)]
pub struct Library {
    folder: PathBuf,
}

/// Where a model lies.
enum Source {
    /// In the program.
    Inside(&'static [u8]),
    /// In a file, imported or not.
    File(PathBuf),
}

/// A model in the library.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name to choose it by.
    pub name: String,
    /// What the file says about it.
    pub description: Description,
    /// The file of an imported model; `None` for one inside the program.
    pub file: Option<PathBuf>,
    /// Size of the model file in bytes.
    pub bytes: u64,
    /// Whether it has the dual models that prove its results.
    pub has_duals: bool,
    /// Its layers that can be made narrower.
    pub layers: Layers,
    /// Parameters of its network as it is run.
    pub parameters: u64,
    /// Multiply-accumulates of its network as it is run, for an input of [`MAC_INPUT`] squared.
    pub macs: u64,
    details: OnceLock<Details>,
}

/// What is worked out of a model's graph when somebody looks at it closely.
#[derive(Clone, Debug)]
pub struct Details {
    /// Its operators with how many there are of each, the most frequent first.
    pub operators: Vec<(String, usize)>,
    /// Its layers that can be made narrower, now and before compression.
    pub widths: Vec<LayerWidth>,
    /// Groups of channels that cannot, by name, and why not.
    pub fixed: Vec<(String, String)>,
    /// Parameters of its dual models.
    pub dual_parameters: u64,
}

impl Entry {
    /// Name of the network that this one was compressed from, if it was.
    pub fn compressed_from(&self) -> Option<&str> {
        self.description.training.get("compression")?.get("original")?.as_str()
    }

    /// What is worked out of its graph, once.
    pub fn details(&self) -> &Details {
        self.details.get_or_init(|| {
            let network = &self.description.network;
            let groups = network.groups();
            let fixed = groups.iter().filter_map(|group| Some((group.name.clone(), group.reason()?.to_owned())));
            Details {
                operators: network.operators(),
                widths: self.description.layer_widths(),
                fixed: fixed.collect(),
                dual_parameters: self.description.dual_parameters(),
            }
        })
    }

    fn new(name: String, bytes: &[u8], shown: &str, file: Option<PathBuf>) -> anyhow::Result<Self> {
        let description = Model::describe(bytes, shown)?;
        let has_duals = !description.duals.is_empty();
        let cost = description.network.executed_cost(MAC_INPUT, MAC_INPUT);
        let (parameters, macs) = (cost.parameters(), cost.macs());
        let layers = Layers::described(&description);
        let (bytes, details) = (bytes.len() as u64, OnceLock::new());
        Ok(Self { name, description, file, bytes, has_duals, layers, parameters, macs, details })
    }
}

impl Library {
    /// The library whose imported models lie in `folder`.
    pub fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// All models, those inside the program first, and what was wrong with files that are no models.
    ///
    /// # Errors
    /// If the models inside the program are damaged.
    pub fn entries(&self) -> anyhow::Result<(Vec<Entry>, Vec<String>)> {
        let mut entries = Vec::new();
        for (name, bytes) in EMBEDDED {
            entries.push(Entry::new(name.into(), bytes, name, None)?);
        }
        let mut complaints = Vec::new();
        for path in self.files() {
            let described = dualres_network::read_file(&path).map_err(anyhow::Error::from).and_then(|bytes| {
                let shown = path.display().to_string();
                Entry::new(stem(&path), &bytes, &shown, Some(path.clone()))
            });
            match described {
                Ok(entry) => entries.push(entry),
                Err(error) => complaints.push(crate::report::message(&error)),
            }
        }
        Ok((entries, complaints))
    }

    fn files(&self) -> Vec<PathBuf> {
        // A library that nothing was imported into has no folder.
        let Ok(folder) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let mut files: Vec<_> = folder
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("safetensors")))
            .collect();
        files.sort();
        files
    }

    /// What a command means by the name of a model: one rule for every command.
    fn find(&self, name: &str) -> anyhow::Result<Source> {
        if let Some((_, bytes)) = EMBEDDED.iter().find(|(known, _)| *known == name) {
            return Ok(Source::Inside(bytes));
        }
        let installed = self.files();
        if let Some(path) = installed.iter().find(|path| stem(path) == name) {
            return Ok(Source::File(path.clone()));
        }
        if !name.is_empty() && Path::new(name).exists() {
            return Ok(Source::File(PathBuf::from(name)));
        }
        let inside = EMBEDDED.iter().map(|(name, _)| (*name).to_owned());
        let names: Vec<_> = inside.chain(installed.iter().map(|path| stem(path))).collect();
        Err(Misuse(format!("no such model or file: \"{name}\"; models: {}", names.join(", "))).into())
    }

    /// The model file of a name.
    fn bytes(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        Ok(match self.find(name)? {
            Source::Inside(bytes) => bytes.to_vec(),
            Source::File(path) => dualres_network::read_file(&path)?,
        })
    }

    /// A file that holds the model of a name, for runs that read it again later. Models inside the program are written beside
    /// the library, under a name that tells their weights.
    ///
    /// # Errors
    /// If there is no such model, or the file cannot be written.
    pub fn file(&self, name: &str) -> anyhow::Result<PathBuf> {
        match self.find(name)? {
            Source::File(path) => Ok(path),
            Source::Inside(bytes) => {
                let folder = self.folder.with_file_name("inside");
                let path = folder.join(format!("{name}-{}.safetensors", crate::batch::sums::fingerprint(bytes)));
                if std::fs::read(&path).is_ok_and(|there| there == bytes) {
                    return Ok(path);
                }
                std::fs::create_dir_all(&folder)
                    .with_context(|| format!("cannot create the folder {}", folder.display()))?;
                write_atomically(&path, bytes)?;
                Ok(path)
            }
        }
    }

    /// The file that a name stands for, if it stands for one.
    pub fn place(&self, name: &str) -> Option<PathBuf> {
        match self.find(name) {
            Ok(Source::File(path)) => Some(path),
            _ => None,
        }
    }

    /// The file of a model that is to be changed.
    ///
    /// # Errors
    /// If there is no such model, or it is part of the program.
    pub fn own_file(&self, name: &str) -> anyhow::Result<PathBuf> {
        match self.find(name)? {
            Source::File(path) => Ok(path),
            Source::Inside(_) => {
                let reason = format!("{name} is built in and cannot be changed; export it first and pass the file");
                Err(Misuse(reason).into())
            }
        }
    }

    /// The model of a name or file, on the CPU.
    ///
    /// # Errors
    /// If there is no such model or its file is damaged.
    pub fn load(&self, name: &str) -> anyhow::Result<Model> {
        Model::from_bytes(&self.bytes(name)?, name, &Device::flex()).context("cannot load the model")
    }

    /// The model a command asks for by name or by scale: `scale` chooses among the models inside the program, and must
    /// agree with a model that is named.
    ///
    /// # Errors
    /// As [`Library::load`], and if the scale does not fit.
    pub fn choose(&self, wanted: Option<&str>, scale: Option<usize>) -> anyhow::Result<Model> {
        let name = match (wanted, scale) {
            (Some(name), _) => name.to_owned(),
            (None, None) => EMBEDDED[0].0.to_owned(),
            (None, Some(scale)) => {
                let entries = self.entries()?.0;
                let found = entries.iter().find(|e| e.file.is_none() && e.description.scale() == scale);
                let names = || EMBEDDED.map(|(name, _)| name).join(", ");
                found
                    .ok_or_else(|| Misuse(format!("no built-in model for scale {scale}; available: {}", names())))?
                    .name
                    .clone()
            }
        };
        let model = self.load(&name)?;
        let found = model.description.scale();
        match scale {
            Some(scale) if scale != found => Err(Misuse(format!("{name} is a {found}x model, not {scale}x")).into()),
            _ => Ok(model),
        }
    }

    /// Scales of the models inside the program, each once, the smallest first.
    ///
    /// # Errors
    /// If they are damaged.
    pub fn scales(&self) -> anyhow::Result<Vec<usize>> {
        let entries = self.entries()?.0;
        let inside = entries.iter().filter(|entry| entry.file.is_none());
        let scales: std::collections::BTreeSet<_> = inside.map(|entry| entry.description.scale()).collect();
        Ok(scales.into_iter().collect())
    }

    /// Takes a model file, or a network of others ([`crate::foreign`]), into the library and returns its name there.
    ///
    /// # Errors
    /// If the file is no model, or the library's folder cannot be written.
    pub fn import(&self, path: &Path) -> anyhow::Result<(String, Vec<String>)> {
        let (model, notes) = foreign::read(path, &ImportOptions::default())?;
        Ok((self.store(&model)?, notes))
    }

    /// Takes a model that was made here into the library, by the bytes of its file, and returns its name there.
    ///
    /// # Errors
    /// If it is no model, or the library's folder cannot be written.
    pub fn add(&self, bytes: &[u8]) -> anyhow::Result<String> {
        self.store(&Model::from_bytes(bytes, "the new model", &Device::flex())?)
    }

    fn store(&self, model: &Model) -> anyhow::Result<String> {
        let wanted: String = model
            .description
            .name
            .chars()
            .map(|c| if c.is_alphanumeric() || "-_. ".contains(c) { c } else { '-' })
            .collect();
        let wanted = if wanted.trim().is_empty() { "model".to_owned() } else { wanted };
        let bytes = model.to_bytes();
        // The same network once more is not another network.
        let same = |path: &PathBuf| std::fs::read(path).is_ok_and(|there| there == bytes);
        if let Some(there) = self.files().into_iter().find(|path| same(path)) {
            return Ok(stem(&there));
        }
        let taken = |name: &str| {
            EMBEDDED.iter().any(|(known, _)| *known == name) || self.files().iter().any(|path| stem(path) == name)
        };
        let mut name = wanted.clone();
        let mut number = 2;
        while taken(&name) {
            name = format!("{wanted}-{number}");
            number += 1;
        }
        std::fs::create_dir_all(&self.folder)
            .with_context(|| format!("cannot create the model folder {}", self.folder.display()))?;
        write_atomically(&self.folder.join(format!("{name}.safetensors")), &bytes)?;
        Ok(name)
    }

    /// Takes the network of a finished compression run into the library, with its report beside it, and returns its name
    /// there.
    ///
    /// # Errors
    /// If the run is not finished, or the library's folder cannot be written.
    pub fn adopt(&self, run: &Path) -> anyhow::Result<String> {
        let (result, report) = (run.join(RESULT_FILE), run.join(REPORT_FILE));
        let report = std::fs::read(&report)
            .with_context(|| format!("the run is not finished: cannot read {}", report.display()))?;
        let (name, _) = self.import(&result)?;
        write_atomically(&self.report_of(&name), &report)?;
        Ok(name)
    }

    /// Where the report of a network that was compressed here lies.
    fn report_of(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.report.json"))
    }

    /// Removes an imported model.
    ///
    /// # Errors
    /// If the model is part of the program, or its file cannot be removed.
    pub fn remove(&self, name: &str) -> anyhow::Result<()> {
        let Some(path) = self.files().into_iter().find(|path| stem(path) == name) else {
            bail!("{name} is built in and cannot be removed");
        };
        std::fs::remove_file(&path).with_context(|| format!("cannot remove the model {}", path.display()))?;
        // Most models have none.
        let _ = std::fs::remove_file(self.report_of(name));
        Ok(())
    }

    /// Writes the model file of a name.
    ///
    /// # Errors
    /// If there is no such model or the file cannot be written.
    pub fn export(&self, name: &str, path: &Path) -> anyhow::Result<()> {
        Ok(write_atomically(path, &self.bytes(name)?)?)
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
