//! `dualres batch`

use std::path::{Path, PathBuf};

use clap::Parser as _;
use dualres_imaging::file::write_atomically;
use serde_json::json;

use crate::{
    batch::{
        outcome::{Certainty, most_doubtful_first, table},
        record::{is_record, results_in},
        status::{ShardStatus, Status},
    },
    cli::{BatchCommand, Cli},
    jobs::{Job, TASK, quoted, quoted_path},
    report::{self, Misuse, Outcome},
    targets::{Targets, prepare_folder_of},
};

/// Results that are named as least certain.
const NAMED: usize = 10;

pub(crate) fn run(command: &BatchCommand) -> anyhow::Result<Outcome> {
    match command {
        BatchCommand::Status { folder, json } => status(folder, *json),
        BatchCommand::Table { folder, output, overwrite } => write_table(folder, output, *overwrite),
        BatchCommand::Jobs { inputs, output, shards, engine, cores, gpu, options } => {
            check(inputs, output, options)?;
            let inputs = inputs.iter().map(|input| quoted_path(input)).collect::<anyhow::Result<Vec<_>>>()?;
            let folder = quoted_path(output)?;
            let options = options.iter().map(|option| quoted(option));
            let device = gpu.then_some("--device gpu".to_owned());
            let rest: Vec<String> =
                inputs.into_iter().chain(["-o".into(), folder.clone()]).chain(device).chain(options).collect();
            let job = Job {
                name: "dualres".into(),
                tasks: *shards as usize,
                cores: *cores,
                gpu: *gpu,
                again: "Run again to retry what failed; finished images are skipped.".into(),
                progress: format!("batch status {folder}"),
                before: "upscale --shard".into(),
                task: format!("{TASK}/{shards}"),
                after: rest.join(" "),
            };
            job.script(*engine)?.lines().for_each(report::line);
            Ok(Outcome::Done)
        }
    }
}

/// What would go wrong in every job is told before there are any.
fn check(inputs: &[PathBuf], output: &Path, options: &[String]) -> Result<(), Misuse> {
    let words = ["dualres".into(), "upscale".into(), "--shard=1/1".into(), "-o".into(), output.as_os_str().to_owned()];
    let inputs = inputs.iter().map(|input| input.as_os_str().to_owned());
    let command = words.into_iter().chain(inputs).chain(options.iter().map(std::ffi::OsString::from));
    match Cli::try_parse_from(command) {
        Ok(_) => Ok(()),
        Err(error) => {
            let said = error.to_string();
            let reason = said.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Err(Misuse(format!("options after --: {reason}")))
        }
    }
}

fn status_of(folder: &Path) -> anyhow::Result<Status> {
    Status::of(folder).ok_or_else(|| {
        Misuse(format!("no batch record in the folder; name the output folder of a batch: {}", folder.display())).into()
    })
}

/// 0 if everything is done, 1 if something failed or is missing.
fn status(folder: &Path, json: bool) -> anyhow::Result<Outcome> {
    let Status { complete, parts, mut rows } = status_of(folder)?;
    most_doubtful_first(&mut rows);
    let failed: Vec<_> = rows.iter().filter(|row| row.state == "failed").collect();
    let by = Certainty::of(&rows);
    let doubtful = || rows.iter().filter_map(|row| Some((by.decibels(row)?, row))).take(NAMED);
    if json {
        let object = json!({
            "complete": complete,
            "parts": parts,
            "failed": failed.iter().map(|row| json!({"input": row.input, "error": row.error})).collect::<Vec<_>>(),
            "doubtful": doubtful().map(|(_, row)| row).collect::<Vec<_>>(),
        });
        report::line(&object.to_string());
        return Ok(if complete { Outcome::Done } else { Outcome::Failed });
    }
    report::line(&format!("{:>12} {:>8} {:>8} {:>8} {:>8}", "shard", "images", "done", "failed", "missing"));
    let number = |value: Option<usize>| value.map_or("?".to_owned(), |value| value.to_string());
    let idle = |part: &&ShardStatus| part.pictures.is_none() && part.done == 0 && !part.running;
    for ShardStatus { shard, pictures, done, failed, missing, running } in parts.iter().filter(|part| !idle(part)) {
        let shard = shard.as_deref().unwrap_or("all");
        let state = if *running { "  running" } else { "" };
        let (pictures, missing) = (number(*pictures), number(*missing));
        report::line(&format!("{shard:>12} {pictures:>8} {done:>8} {failed:>8} {missing:>8}{state}"));
    }
    let waiting: Vec<&str> = parts.iter().filter(idle).filter_map(|part| part.shard.as_deref()).collect();
    if !waiting.is_empty() {
        let named = waiting.iter().take(NAMED).copied().collect::<Vec<_>>().join(", ");
        let more = if waiting.len() > NAMED { ", …" } else { "" };
        report::line(&format!("{} not started: {named}{more}", report::counted(waiting.len(), "shard")));
    }
    if !failed.is_empty() {
        report::line("");
        report::line("failed");
        failed
            .iter()
            .for_each(|row| report::line(&format!("  {}", dualres_training::about(Path::new(&row.input), &row.error))));
    }
    if doubtful().next().is_some() {
        report::line("");
        report::line(match by {
            Certainty::ExpectedPsnr => "least certain, by predicted PSNR",
            Certainty::LoopPsnr => "least certain, by consistency PSNR",
        });
        doubtful().for_each(|(decibels, row)| report::line(&format!("  {decibels:5.1} dB  {}", row.input)));
    }
    Ok(if complete { Outcome::Done } else { Outcome::Failed })
}

fn write_table(folder: &Path, output: &Path, overwrite: bool) -> anyhow::Result<Outcome> {
    if is_record(output) {
        return Err(Misuse(format!("that is a batch record; choose another path: {}", output.display())).into());
    }
    let mut targets = Targets::new(overwrite);
    results_in(folder).iter().for_each(|result| targets.protect(result));
    targets.take(output, || false)?;
    let Status { rows, .. } = status_of(folder)?;
    prepare_folder_of(output)?;
    write_atomically(output, &table(&rows)?)?;
    report::line(&format!("{} written: {}", output.display(), report::counted(rows.len(), "image")));
    Ok(Outcome::Done)
}
