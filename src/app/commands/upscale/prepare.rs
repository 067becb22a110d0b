//! What the command's plans of pictures ask for, and whether all results fit on the disk.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Instant,
};

use dualres_imaging::{Format, Picture};

use super::{
    models::{Models, Ready},
    work::Work,
};
use crate::{
    batch::{
        choice::Kind,
        disk::{bytes, max_bytes},
        inputs::Input,
        outcome::Row,
        plan::{Desk, Enlarger, Plan, Planned, Worth, plan},
        recipe::Recipe,
        record::Done,
    },
    cli::UpscaleArgs,
    naming::Facts,
    report::{self, guarded},
};

/// A picture that is ready to run.
pub(super) struct Prepared {
    pub(super) index: usize,
    pub(super) input: Input,
    pub(super) planned: Box<Planned<Arc<Ready>>>,
    /// Those of [`UpscaleArgs::proofs`].
    pub(super) proofs: [Option<PathBuf>; 3],
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
    let started = Instant::now();
    let mut clerk = Clerk { work, input: &input, proofs: Default::default() };
    let batch = work.records.as_ref().map(|records| (records, work.args.output.as_path()));
    let planned = guarded(|| plan(&mut clerk, &work.recipe, batch, (&input, index + 1)));
    let proofs = clerk.proofs;
    match planned {
        Ok(Plan::Run(planned)) => Step::Ready(Box::new(Prepared { index, input, planned, proofs, started })),
        Ok(Plan::Done(done)) => {
            let row = Row {
                state: "skipped",
                output: done.output.to_string_lossy().into_owned(),
                model: done.model,
                width: Some(done.size[0]),
                height: Some(done.size[1]),
                loop_psnr: done.loop_psnr,
                expected_psnr: done.expected_psnr,
                seconds: Some(done.seconds),
                ..Row::failed(&input.path, String::new())
            };
            Step::Done(index, input, row)
        }
        Err(error) => Step::Failed(index, input, error),
    }
}

/// Knows what was ordered.
struct Clerk<'w, 'a> {
    work: &'w Work<'a>,
    input: &'w Input,
    proofs: [Option<PathBuf>; 3],
}

impl Desk for Clerk<'_, '_> {
    type Model = Arc<Ready>;

    fn weights(&mut self, size: [usize; 2]) -> anyhow::Result<String> {
        self.work.models().fingerprint(size)
    }

    fn is_automatic(&self) -> bool {
        self.work.models().is_automatic()
    }

    fn model(&mut self, kind: Option<Kind>, size: [usize; 2]) -> anyhow::Result<Arc<Ready>> {
        let mut models = self.work.models();
        let kind = kind.unwrap_or(Kind::Clean);
        let scale = models.scale_for(kind, size);
        let model = models.ready(kind, scale)?;
        self.work.outputs().check_proofs(size)?;
        Ok(model)
    }

    fn read(&mut self, path: &Path) -> anyhow::Result<Picture> {
        Ok(dualres_imaging::read(path)?)
    }

    fn worth(&self, done: &Done) -> Worth {
        let args = self.work.args;
        let wanted = args.proofs().map(|(_, folder)| folder.map(|folder| folder.join(&self.input.below)));
        let mut proofs = wanted.iter().zip(&done.proofs);
        match proofs.all(|(folder, there)| folder.as_ref().is_none_or(|folder| there.is_in(folder))) {
            _ if args.overwrite => Worth::Nothing,
            true => Worth::All,
            // For the sake of its proofs.
            false => Worth::Name,
        }
    }

    fn target(
        &mut self,
        input: &Input,
        facts: &Facts,
        format: Format,
        begun: Option<PathBuf>,
    ) -> anyhow::Result<PathBuf> {
        let (target, proofs) = self.work.outputs().of(&self.work.recipe, (input, facts, format), begun)?;
        self.proofs = proofs;
        Ok(target)
    }
}

impl Enlarger for Arc<Ready> {
    fn name(&self) -> &str {
        &self.name
    }

    fn scale(&self) -> usize {
        self.scale
    }

    fn weights(&self) -> &str {
        &self.fingerprint
    }
}

/// Warns if all results together may not fit on the disk.
pub(super) fn warn_of_disk<'a>(
    args: &UpscaleArgs,
    recipe: &Recipe,
    models: &Models,
    inputs: impl Iterator<Item = &'a Input>,
) {
    let folder = &args.output;
    let Ok(available) = fs4::available_space(folder) else { return };
    let mut needed = 0;
    for input in inputs {
        // What cannot be read makes no result.
        let size_of = || Ok(dualres_imaging::upright_dimensions(&input.path)?);
        let Ok((width, height)) = guarded(size_of) else { continue };
        let from = [width, height];
        let format = recipe.format.unwrap_or_else(|| Format::like(&input.path));
        let depth = recipe.keep.depth.unwrap_or_default();
        needed += max_bytes(recipe.size.of(from, models.scale_for(Kind::Clean, from)), 3, depth, format);
    }
    if needed > available {
        report::say(&format!(
            "warning: the results may take up to {}, and {} are free in {}",
            bytes(needed),
            bytes(available),
            folder.display()
        ));
    }
}
