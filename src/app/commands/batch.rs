//! `dualres batch`

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Parser as _;
use dualres_imaging::file::write_atomically;
use serde_json::json;

use crate::{
    batch::{
        outcome::{Doubt, most_doubtful_first, table},
        record::{is_record, results_in},
        status::{Part, Status},
    },
    cli::{BatchCommand, Cli, EngineArg},
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
            check(inputs, output, *engine, *gpu, options)?;
            let absolute = |path: &Path| {
                std::path::absolute(path).map(|path| quoted(&path.to_string_lossy())).context("no current folder")
            };
            let inputs = inputs.iter().map(|input| absolute(input)).collect::<anyhow::Result<Vec<_>>>()?;
            let options = options.iter().map(|option| quoted(option));
            let device = gpu.then_some("--device gpu".to_owned());
            let rest: Vec<String> =
                [inputs.join(" "), "-o".into(), absolute(output)?].into_iter().chain(device).chain(options).collect();
            let folder = absolute(output)?;
            let job = Job { folder, shards: *shards, cores: *cores, gpu: *gpu, rest: rest.join(" ") };
            job.script(*engine).lines().for_each(report::line);
            Ok(Outcome::Done)
        }
    }
}

/// What would go wrong in every job is told before there are any.
fn check(inputs: &[PathBuf], output: &Path, engine: EngineArg, gpu: bool, options: &[String]) -> Result<(), Misuse> {
    let paths = || inputs.iter().map(PathBuf::as_path).chain([output]);
    if let Some(path) = paths().find(|path| path.to_str().is_none()) {
        return Err(Misuse(format!("the name is not valid text, which a script must be: {}", path.display())));
    }
    if engine == EngineArg::Parallel && paths().any(|path| path.to_string_lossy().contains(['{', '}'])) {
        return Err(Misuse("GNU parallel replaces braces in names; use another engine, or rename".into()));
    }
    if engine == EngineArg::Parallel && gpu {
        return Err(Misuse("--gpu: GNU parallel does not assign GPUs; use hyperqueue or slurm".into()));
    }
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
    let by = Doubt::of(&rows);
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
    let idle = |part: &&Part| part.pictures.is_none() && part.done == 0 && !part.running;
    for Part { shard, pictures, done, failed, missing, running } in parts.iter().filter(|part| !idle(part)) {
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
            Doubt::ExpectedPsnr => "least certain, by predicted PSNR",
            Doubt::LoopPsnr => "least certain, by consistency PSNR",
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

/// What all engines are told.
struct Job {
    /// The folder of results, for a shell.
    folder: String,
    shards: u32,
    cores: u32,
    gpu: bool,
    /// Arguments of `upscale` but for the shard.
    rest: String,
}

impl Job {
    fn script(&self, engine: EngineArg) -> String {
        let Self { folder, shards, cores, gpu, rest } = self;
        let again = format!(
            "# Run again to retry what failed; finished images are skipped. Progress: dualres batch status {folder}"
        );
        match engine {
            EngineArg::Hyperqueue => {
                let gpu = if *gpu { " --resource gpus/nvidia=1" } else { "" };
                format!(
                    "#!/bin/sh\n{again}\n# Workers: hq server start & hq worker start (or hq alloc add slurm ...)\n\
                     hq submit --name dualres --array 1-{shards} --cpus {cores}{gpu} --crash-limit 3 --wait \\\n    \
                     sh -c 'RAYON_NUM_THREADS={cores} dualres upscale --shard \"$HQ_TASK_ID/{shards}\" \"$@\"' dualres \\\n    \
                     {rest}\n"
                )
            }
            EngineArg::Slurm => {
                let gpu = if *gpu { "#SBATCH --gres=gpu:1\n" } else { "" };
                format!(
                    "#!/bin/sh\n#SBATCH --job-name=dualres\n#SBATCH --array=1-{shards}\n#SBATCH --cpus-per-task={cores}\n{gpu}\
                     #SBATCH --requeue\n{again}\nRAYON_NUM_THREADS={cores} dualres upscale \\\n    \
                     --shard \"$SLURM_ARRAY_TASK_ID/{shards}\" \\\n    {rest}\n"
                )
            }
            EngineArg::Parallel => {
                let jobs = format!("--jobs $(( $(nproc) > {cores} ? $(nproc) / {cores} : 1 ))");
                format!(
                    "#!/bin/sh\n{again}\nexport RAYON_NUM_THREADS={cores}\nseq {shards} | parallel {jobs} --retries 3 \\\n    \
                     dualres upscale --shard {{}}/{shards} {}\n",
                    quoted_again(rest)
                )
            }
        }
    }
}

/// For a shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/._-=,:+@%".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// GNU parallel hands its words to a shell once more.
fn quoted_again(words: &str) -> String {
    if words.contains(['\'', '"', '\\', '$', '*', '?', '[']) { quoted(words) } else { words.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_see_more_in_them() {
        assert_eq!(quoted("/a/b-c.jpg"), "/a/b-c.jpg");
        assert_eq!(quoted("my photos"), "'my photos'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
