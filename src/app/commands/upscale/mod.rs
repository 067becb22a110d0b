//! `dualres upscale`: reading, running and writing overlap, and a run that was cut off goes on where it was.

mod check;
mod models;
mod outputs;
mod pipeline;
mod prepare;
mod reporting;
mod work;

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    sync::Mutex,
};

use dualres_imaging::{Depth, file::remove_leftovers};
use dualres_network::device;

use crate::{
    batch::{
        inputs::{Input, Inputs},
        journal::Journal,
        outcome::{Row, table},
        records::Records,
        shard::Shard,
        sizes::{FinalSize, parse_paper},
    },
    cli::{DepthArg, FormatArg, PoolingArg, UpscaleArgs},
    interrupt,
    report::{self, Misuse, Outcome},
    trust,
};

/// Hidden folders that are named at most.
const MAX_NAMED: usize = 4;

pub(crate) fn run(args: &UpscaleArgs) -> anyhow::Result<Outcome> {
    crate::signals::listen()?;
    if args.tile.is_some() && matches!(args.pooling, PoolingArg::Global) {
        return Err(Misuse("--pooling global does not support --tile".into()).into());
    }
    device::limit_memory(args.gpu_memory);
    trust::use_precision(args.precision.wanted());
    let recipe = work::recipe(args, final_size(args)?);
    let models = models::Models::new(args, recipe.size)?;
    let mut found = Inputs::find(&args.inputs).map_err(Misuse)?;
    if args.check {
        found.pictures.retain(|input| args.shard.is_none_or(|shard| shard.takes(&input.place())));
        return check::run(args, &found, &models, &recipe);
    }
    let is_batch = outputs::are_several(args, &found.pictures);
    if args.shard.is_some() {
        check_shard(args, is_batch)?;
    }
    let outputs = outputs::Outputs::new(args, &found.pictures)?;
    if !is_batch {
        // Folders of a batch are cleared once it is held.
        outputs.folders().iter().for_each(|folder| remove_leftovers(folder));
    }
    let mut journal = if is_batch { Some(open_journal(&args.output, args.shard)?) } else { None };
    if let Some(doubt) = journal.as_ref().and_then(Journal::doubt) {
        report::say(&format!("warning: {doubt}: {}", args.output.display()));
    }
    if let Some(journal) = &journal {
        let left_out = leave_out_results(&mut found, args, journal) + found.results;
        if left_out > 0 && found.pictures.is_empty() {
            let reason = match found.results {
                0 => format!("all {left_out} images are in the output folder; choose another --output"),
                _ => format!("all {left_out} images are results of earlier runs; name the files to include them"),
            };
            return Err(Misuse(reason).into());
        }
        if left_out > 0 {
            report::say(&format!("skipping {} of earlier runs", report::counted(left_out, "result")));
        }
        outputs.folders().iter().for_each(|folder| remove_halves(folder, &found.pictures));
    }
    if !found.left_out.is_empty() {
        let names: Vec<_> = found.left_out.iter().take(MAX_NAMED).map(|path| path.display().to_string()).collect();
        let more = if found.left_out.len() > MAX_NAMED { ", …" } else { "" };
        report::say(&format!(
            "skipping {}; name them to include them: {}{more}",
            report::counted(found.left_out.len(), "hidden or system folder"),
            names.join(", ")
        ));
    }
    let pictures = found.pictures.iter().cloned().enumerate();
    let mine: Vec<(usize, Input)> =
        pictures.filter(|(_, input)| args.shard.is_none_or(|shard| shard.takes(&input.place()))).collect();
    let say = reporting::Say::new(args.json, is_batch, mine.len(), found.pictures.len());
    for problem in &found.problems {
        say.problem(problem);
    }
    if is_batch {
        prepare::warn_of_disk(args, &recipe, &models, mine.iter().map(|(_, input)| input));
    }
    if let Some(journal) = &mut journal {
        journal.plan(mine.len())?;
    }
    let work = work::Work {
        args,
        recipe,
        models: Mutex::new(models),
        outputs: Mutex::new(outputs),
        records: journal.map(|journal| Records::opened(&args.output, journal)),
        say,
    };
    let rows = pipeline::run(&work, mine)?;
    let table = args.table.as_ref().map(|path| write_table(&work, path, &rows));
    let failed = rows.iter().any(|row| row.state == "failed") || !found.problems.is_empty();
    work.say.summary(&rows, &found.foreign, &found.problems);
    table.transpose()?;
    let stopped = interrupt::flow().is_break();
    Ok(if failed || stopped { Outcome::Failed } else { Outcome::Done })
}

/// Writes the table of all results.
fn write_table(work: &work::Work<'_>, path: &Path, rows: &[Row]) -> anyhow::Result<()> {
    let bytes = table(rows)?;
    let mut is_own = false;
    if let Some(records) = &work.records {
        is_own = records.of(&work.args.output, |journal| {
            let is_own = journal.wrote_table(path);
            journal.table(path, &bytes).map(|()| is_own)
        })??;
    }
    let written = work.outputs().write(path, &bytes, is_own)?;
    if written != path {
        let (name, written) = (path.display(), written.display());
        report::say(&format!("warning: {name} appeared meanwhile; the table was written to {written}"));
    }
    Ok(())
}

/// What shards need so that none takes a name of another's.
fn check_shard(args: &UpscaleArgs, is_batch: bool) -> Result<(), Misuse> {
    if !is_batch {
        return Err(Misuse("--shard divides a batch; name a folder, a pattern or several images".into()));
    }
    if !["{name}", "{index}"].iter().any(|token| args.name.contains(token)) {
        return Err(Misuse(
            "--shard requires {name} or {index} in --name, or shards would write the same names".into(),
        ));
    }
    Ok(())
}

fn open_journal(folder: &Path, shard: Option<Shard>) -> anyhow::Result<Journal> {
    let command: Vec<String> = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    Ok(Journal::open(folder, shard, &command)?)
}

/// Results that lie among the pictures, because their folder is the one that was named or below it, are not enlarged again.
/// A folder of results above the pictures says nothing about them. Returns how many were left out.
fn leave_out_results(found: &mut Inputs, args: &UpscaleArgs, journal: &Journal) -> usize {
    let named: Vec<PathBuf> = args.inputs.iter().filter_map(|input| input.canonicalize().ok()).collect();
    let folders: Vec<PathBuf> = std::iter::once(&args.output)
        .chain(args.proofs().into_iter().filter_map(|(_, folder)| folder))
        .filter_map(|folder| folder.canonicalize().ok())
        .collect();
    let results: HashSet<PathBuf> = journal.outputs().filter_map(|path| path.canonicalize().ok()).collect();
    found.without(|input| {
        let (Ok(path), Some(root)) = (input.path.canonicalize(), input.root()) else { return false };
        let lies_in = |folder: &PathBuf| path.starts_with(folder) && folder.starts_with(&root) && *folder != root;
        let is_named = named.contains(&path);
        !is_named && (folders.iter().any(lies_in) || results.contains(&path))
    })
}

/// Removes what a killed run left half written.
fn remove_halves(folder: &Path, inputs: &[Input]) {
    let mut folders: Vec<PathBuf> = inputs.iter().map(|input| folder.join(&input.below)).collect();
    folders.sort();
    folders.dedup();
    folders.iter().for_each(|folder| remove_leftovers(folder));
}

fn final_size(args: &UpscaleArgs) -> anyhow::Result<FinalSize> {
    if !(args.dpi.is_finite() && args.dpi >= 1.0) {
        return Err(Misuse(format!("--dpi must be at least 1, not {}", args.dpi)).into());
    }
    let size = match (args.scale, args.width, args.height, args.long_side, &args.print) {
        (Some(factor), ..) => FinalSize::Factor(factor),
        (_, Some(width), ..) => FinalSize::Width(width),
        (_, _, Some(height), ..) => FinalSize::Height(height),
        (_, _, _, Some(side), _) => FinalSize::LongSide(side),
        (.., Some(paper)) => FinalSize::Print { inches: parse_paper(paper).map_err(Misuse)?, dpi: args.dpi },
        _ => FinalSize::Model,
    };
    if let FinalSize::Factor(_) = size {
        size.check([1000, 1000], 2).map_err(|reason| Misuse(format!("--scale: {reason}")))?;
    }
    Ok(size)
}

impl From<DepthArg> for Depth {
    fn from(depth: DepthArg) -> Self {
        match depth {
            DepthArg::Eight => Self::Eight,
            DepthArg::Sixteen => Self::Sixteen,
            DepthArg::Float => Self::Float { white: 1.0 },
        }
    }
}

impl From<FormatArg> for dualres_imaging::Format {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Png => Self::Png,
            FormatArg::Jpg => Self::Jpeg,
            FormatArg::Webp => Self::WebP,
            FormatArg::Tif => Self::Tiff,
            FormatArg::Avif => Self::Avif,
            FormatArg::Jxl => Self::Jxl,
            FormatArg::Bmp => Self::Bmp,
        }
    }
}
