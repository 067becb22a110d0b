//! A picture before it is run: known to be done already, or read, with its model, its size, its name, and room on the disk.

use std::path::{Path, PathBuf};

use anyhow::Context;
use dualres_engine::check_reading;
use dualres_imaging::{Condition, Format, Picture};

use super::{
    choice::{Kind, choose},
    disk::check_disk,
    inputs::Input,
    journal::JournalError,
    recipe::Recipe,
    record::Done,
    records::{Recorded, Records},
};
use crate::naming::Facts;

/// What is asked of whoever runs pictures: which models and names there are, and what of earlier results will do.
pub trait Desk {
    /// A model that is ready to run.
    type Model: Enlarger;

    /// What tells the weights that a picture of `size` pixels may be enlarged by from any others.
    ///
    /// # Errors
    /// If a model cannot be read.
    fn weights(&mut self, size: [usize; 2]) -> anyhow::Result<String>;

    /// Whether the picture decides about its model.
    fn is_automatic(&self) -> bool;

    /// The model for a picture of `size` pixels; `kind` is what fits it, if it decides.
    ///
    /// # Errors
    /// If the model cannot be read, or the device does not start.
    fn model(&mut self, kind: Option<Kind>, size: [usize; 2]) -> anyhow::Result<Self::Model>;

    /// Reads the picture.
    ///
    /// # Errors
    /// If the file is none, or too large.
    fn read(&mut self, path: &Path) -> anyhow::Result<Picture>;

    /// What an earlier result is worth.
    fn worth(&self, done: &Done) -> Worth;

    /// The file for a result; `begun` is the name that it was to have in a run that was cut off.
    ///
    /// # Errors
    /// If there can be none.
    fn target(
        &mut self,
        input: &Input,
        facts: &Facts,
        format: Format,
        begun: Option<PathBuf>,
    ) -> anyhow::Result<PathBuf>;
}

/// What of a model names and sizes depend on.
pub trait Enlarger {
    /// Its name.
    fn name(&self) -> &str;

    /// How many times as large it makes a side.
    fn scale(&self) -> usize;

    /// What tells its weights from any others.
    fn weights(&self) -> &str;
}

/// What an earlier result is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Worth {
    /// It is what is wanted.
    All,
    /// It is made again, under its name.
    Name,
    /// Nothing: another one is made.
    Nothing,
}

/// A picture that is ready to run.
pub struct Planned<M> {
    /// The picture.
    pub picture: Picture,
    /// What it is called in the record of its folder.
    pub recorded: Option<Recorded>,
    /// Its model.
    pub model: M,
    /// Why that one, if the picture decided.
    pub why: Option<String>,
    /// Final size in pixels.
    pub size: [usize; 2],
    /// Format of the file.
    pub format: Format,
    /// The file.
    pub target: PathBuf,
    /// What the user should know of.
    pub warnings: Vec<String>,
}

/// What comes of an input before it runs.
pub enum Plan<M> {
    /// It is to be run.
    Run(Box<Planned<M>>),
    /// It was done before.
    Done(Done),
}

/// Plans the picture at `index` among all of its run, from 1 on. `batch` is the folder of results, with its record.
///
/// # Errors
/// Whatever makes it impossible, so that it is told before the work.
pub fn plan<D: Desk>(
    desk: &mut D,
    recipe: &Recipe,
    batch: Option<(&Records, &Path)>,
    (input, index): (&Input, usize),
) -> anyhow::Result<Plan<D::Model>> {
    let path = &input.path;
    let mut picture = None;
    // The size decides about the model, the model about the settings, and these about what is done already.
    let from = match dualres_imaging::upright_dimensions(path) {
        Ok((width, height)) => [width, height],
        Err(_) => {
            // Reading says what is wrong; a header that tells no size may yet be read.
            let read = picture.insert(desk.read(path)?);
            [read.width(), read.height()]
        }
    };
    let format = recipe.format_of(path);
    let (mut recorded, mut begun, mut warnings) = (None, None, Vec::new());
    if let Some((records, folder)) = batch {
        let key = recipe.key(input, &desk.weights(from)?, format)?;
        let of = Recorded { records: records.clone(), folder: folder.to_owned(), key };
        match of.note(|journal, key| Ok((journal.done(key).cloned(), journal.begun(key)))) {
            Ok((done, name)) => {
                let worth = done.as_ref().map_or(Worth::Nothing, |done| desk.worth(done));
                begun = name;
                match (done, worth) {
                    (Some(done), Worth::All) => {
                        of.note(|journal, key| journal.adopt(key))?;
                        return Ok(Plan::Done(Done { output: folder.join(&done.output), ..done }));
                    }
                    (Some(done), Worth::Name) => begun = begun.or(Some(folder.join(done.output))),
                    _ => {}
                }
                recorded = Some(of);
            }
            Err(error @ (JournalError::Held(_) | JournalError::OtherShards { .. })) => return Err(error.into()),
            // Results are worth more than their record.
            Err(error) => warnings.push(error.to_string()),
        }
    }
    let picture = match picture {
        Some(picture) => picture,
        None => {
            check_reading(from).with_context(|| path.display().to_string())?;
            desk.read(path)?
        }
    };
    let from = [picture.width(), picture.height()];
    let choice = desk.is_automatic().then(|| choose(&Condition::of(&picture)));
    let model = desk.model(choice.as_ref().map(|(kind, _)| *kind), from)?;
    let size = recipe.size_of(from, model.scale(), format, path)?;
    let facts = recipe.facts(path, from, (model.name(), model.scale()), index);
    let target = desk.target(input, &facts, format, begun)?;
    warnings.extend(check_disk(&target, &picture, size)?);
    if let Some(recorded) = &recorded {
        recorded.note(|journal, key| journal.begin(key, &target))?;
    }
    let why = choice.map(|(_, why)| why);
    Ok(Plan::Run(Box::new(Planned { picture, recorded, model, why, size, format, target, warnings })))
}
