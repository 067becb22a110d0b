//! A picture before it is run: read, planned, named, and with room on the disk.

use std::{sync::Arc, time::Instant};

use anyhow::{Context, bail};
use dualres_imaging::{Condition, Format, Picture};

use super::{
    models::{Models, Ready},
    outputs::Files,
    work::Work,
};
use crate::{
    batch::{
        choice::{Kind, choose},
        disk::{bytes, check_disk, most_bytes},
        inputs::Input,
        made_with::MadeWith,
        outcome::Row,
        record::{Done, Key},
        sizes::FinalSize,
        sums,
    },
    cli::UpscaleArgs,
    naming::{self, Facts},
    report::{self, guarded},
};

/// A picture that is ready to run.
pub(super) struct Prepared {
    pub(super) index: usize,
    pub(super) input: Input,
    /// What it is called in the record of the batch.
    pub(super) key: Option<Key>,
    pub(super) picture: Picture,
    pub(super) targets: Files,
    pub(super) model: Arc<Ready>,
    /// Why this model, if the picture decided.
    pub(super) choice: Option<(Kind, String)>,
    /// Final size in pixels.
    pub(super) size: [usize; 2],
    pub(super) started: Instant,
}

/// What became of an input before it ran.
pub(super) enum Step {
    Ready(Box<Prepared>),
    /// It was done before.
    Done(usize, Input, Row),
    Failed(usize, Input, anyhow::Error),
}

/// Prepares the input at `index`.
pub(super) fn prepare(work: &Work<'_>, index: usize, input: Input) -> Step {
    match guarded(|| try_to_prepare(work, index, &input)) {
        Ok(Ok(prepared)) => Step::Ready(prepared),
        Ok(Err(row)) => Step::Done(index, input, row),
        Err(error) => Step::Failed(index, input, error),
    }
}

type Tried = anyhow::Result<Result<Box<Prepared>, Row>>;

fn try_to_prepare(work: &Work<'_>, index: usize, input: &Input) -> Tried {
    let started = Instant::now();
    let args = work.args;
    let mut picture = None;
    // The size decides about the model, the model about the settings, and these about what is done already.
    let from = match dualres_imaging::upright_dimensions(&input.path) {
        Ok((width, height)) => [width, height],
        Err(_) => {
            // Reading says what is wrong; a header that tells no size may yet be read.
            let read = picture.insert(dualres_imaging::read(&input.path)?);
            [read.width(), read.height()]
        }
    };
    let weights = work.models().fingerprint(from)?;
    let format = work.outputs().format(&input.path)?;
    let (mut key, mut again) = (None, None);
    if let Some(journal) = &work.journal {
        let made_with = MadeWith {
            weights: &weights,
            size: work.size,
            format,
            encoding: work.encoding(),
            keep: work.keep,
            fidelity: args.fidelity,
            pooling: args.pooling.into(),
            name: &args.name,
        };
        let content = sums::content_of(&input.path)
            .map_err(|source| dualres_imaging::ImagingError::Open { path: input.path.clone(), source })?;
        let found = Key { input: input.key(), content, settings: made_with.fingerprint() };
        let mut journal = Work::locked(journal);
        let done = journal.done(&found).filter(|_| !args.overwrite).cloned();
        let has_proofs = |done: &Done| {
            let wanted = args.proofs().map(|(_, folder)| folder.map(|folder| folder.join(&input.below)));
            wanted.iter().zip(&done.proofs).all(|(folder, there)| folder.as_ref().is_none_or(|f| there.is_in(f)))
        };
        if let Some(done) = done.as_ref().filter(|done| has_proofs(done)) {
            journal.adopt(&found)?;
            return Ok(Err(Row {
                state: "skipped",
                output: args.output.join(&done.output).to_string_lossy().into_owned(),
                model: done.model.clone(),
                width: Some(done.size[0]),
                height: Some(done.size[1]),
                loop_psnr: done.loop_psnr,
                expected_psnr: done.expected_psnr,
                seconds: Some(done.seconds),
                ..Row::failed(&input.path, String::new())
            }));
        }
        // Made again for the sake of its proofs, under its name.
        again = done.map(|done| args.output.join(done.output));
        key = Some(found);
    }
    let picture = match picture {
        Some(picture) => picture,
        None => {
            dualres_engine::check_reading(from).with_context(|| input.path.display().to_string())?;
            dualres_imaging::read(&input.path)?
        }
    };
    let from = [picture.width(), picture.height()];
    let is_automatic = work.models().is_automatic();
    let choice = is_automatic.then(|| choose(&Condition::of(&picture)));
    let model = {
        let mut models = work.models();
        let kind = choice.as_ref().map_or(Kind::Clean, |(kind, _)| *kind);
        let scale = models.scale_for(kind, from);
        models.ready(kind, scale)?
    };
    work.size.check(from, model.scale).map_err(|reason| anyhow::anyhow!("{reason}: {}", input.path.display()))?;
    let size = work.size.of(from, model.scale);
    if size[0].max(size[1]) > format.max_side() {
        bail!(
            "{} supports at most {} pixels per side, and the result has {}x{}; use PNG or TIFF: {}",
            format.name(),
            format.max_side(),
            size[0],
            size[1],
            input.path.display()
        );
    }
    work.outputs().check_proofs(from)?;
    let facts = Facts {
        name: input.path.file_stem().unwrap_or_default().to_string_lossy().into_owned(),
        scale: naming::times(work.size.times(from, model.scale)),
        model: model.name.clone(),
        width: size[0],
        height: size[1],
        index: index + 1,
        date: naming::today(),
    };
    let begun = key
        .as_ref()
        .and_then(|key| work.journal.as_ref().and_then(|journal| Work::locked(journal).begun(key)))
        .or(again);
    let targets = work.outputs().of(input, &facts, begun)?;
    if let Some(warning) = check_disk(&targets.picture, &picture, size)? {
        work.say.warn(&input.path, &warning);
    }
    if let (Some(journal), Some(key)) = (&work.journal, &key) {
        Work::locked(journal).begin(key, &targets.picture)?;
    }
    Ok(Ok(Box::new(Prepared { index, input: input.clone(), key, picture, targets, model, choice, size, started })))
}

/// Warns if all results together may not fit on the disk.
pub(super) fn warn_of_disk<'a>(
    inputs: impl Iterator<Item = &'a Input>,
    models: &Models,
    size: FinalSize,
    args: &UpscaleArgs,
) -> anyhow::Result<()> {
    let Ok(available) = fs4::available_space(&args.output) else { return Ok(()) };
    let mut needed = 0;
    for input in inputs {
        // What cannot be read makes no result.
        let size_of = || Ok(dualres_imaging::upright_dimensions(&input.path)?);
        let Ok((width, height)) = guarded(size_of) else { continue };
        let from = [width, height];
        let format = args.format.map_or_else(|| Format::like(&input.path), Format::from);
        let depth = args.depth.map(Into::into).unwrap_or_default();
        needed += most_bytes(size.of(from, models.scale_for(Kind::Clean, from)), 3, depth, format);
    }
    if needed > available {
        report::say(&format!(
            "warning: the results may take up to {}, and {} are free in {}",
            bytes(needed),
            bytes(available),
            args.output.display()
        ));
    }
    Ok(())
}
