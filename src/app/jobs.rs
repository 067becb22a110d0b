//! Many commands as one job of an engine that runs them: HyperQueue, Slurm, GNU parallel. No engine of our own.

use std::path::Path;

use anyhow::Context as _;

use crate::{cli::EngineArg, report::Misuse};

/// Stands for the number of a task, from 1.
pub(crate) const TASK: &str = "{}";

/// Commands of this program that differ in a number.
pub(crate) struct Job {
    /// What engines call it.
    pub(crate) name: String,
    /// How many commands.
    pub(crate) tasks: usize,
    /// Processor cores a task.
    pub(crate) cores: u32,
    /// Whether each task gets a GPU.
    pub(crate) gpu: bool,
    /// What running the script again does.
    pub(crate) again: String,
    /// Arguments of the command that tells how far everything is, quoted for a shell.
    pub(crate) progress: String,
    /// Arguments before the one with the number, quoted for a shell.
    pub(crate) before: String,
    /// The argument with the number, which is written as [`TASK`].
    pub(crate) task: String,
    /// Arguments after it, quoted for a shell.
    pub(crate) after: String,
}

impl Job {
    /// The script for `engine`.
    ///
    /// # Errors
    /// If the engine cannot do what is asked of it.
    pub(crate) fn script(&self, engine: EngineArg) -> Result<String, Misuse> {
        if engine == EngineArg::Parallel && (self.before.contains(['{', '}']) || self.after.contains(['{', '}'])) {
            return Err(Misuse("GNU parallel replaces braces in names; use another engine, or rename".into()));
        }
        if engine == EngineArg::Parallel && self.gpu {
            return Err(Misuse("--gpu: GNU parallel does not assign GPUs; use hyperqueue or slurm".into()));
        }
        let Self { name, tasks, cores, gpu, again, progress, before, task, after } = self;
        let notes = format!("# {again}\n# Progress: dualres {progress}\n");
        let numbered = |number: &str| task.replace(TASK, number);
        Ok(match engine {
            EngineArg::Hyperqueue => {
                let gpu = if *gpu { " --resource gpus/nvidia=1" } else { "" };
                let task = numbered("$HQ_TASK_ID");
                format!(
                    "#!/bin/sh\n{notes}# Workers: hq server start & hq worker start (or hq alloc add slurm ...)\n\
                     hq submit --name {name} --array 1-{tasks} --cpus {cores}{gpu} --crash-limit 3 --wait \\\n    \
                     sh -c 'RAYON_NUM_THREADS={cores} exec dualres {before} \"{task}\" \"$@\"' dualres \\\n    {after}\n\
                     # The end of the script is that of everything: 0 if all is done.\ndualres {progress}\n"
                )
            }
            EngineArg::Slurm => {
                let gpu = if *gpu { "#SBATCH --gres=gpu:1\n" } else { "" };
                let task = numbered("$SLURM_ARRAY_TASK_ID");
                format!(
                    "#!/bin/sh\n#SBATCH --job-name={name}\n#SBATCH --array=1-{tasks}\n#SBATCH --cpus-per-task={cores}\n{gpu}\
                     #SBATCH --requeue\n{notes}RAYON_NUM_THREADS={cores} dualres {before} \\\n    \"{task}\" \\\n    {after}\n"
                )
            }
            EngineArg::Parallel => {
                let jobs = format!("--jobs $(( $(nproc) > {cores} ? $(nproc) / {cores} : 1 ))");
                format!(
                    "#!/bin/sh\n{notes}export RAYON_NUM_THREADS={cores}\nseq {tasks} | parallel {jobs} --retries 3 \\\n    \
                     dualres {before} {task} {}\n\
                     # The end of the script is that of everything: 0 if all is done.\ndualres {progress}\n",
                    quoted_again(after)
                )
            }
        })
    }
}

/// A path for a shell that may stand anywhere.
///
/// # Errors
/// If it is not valid text, which a script must be.
pub(crate) fn quoted_path(path: &Path) -> anyhow::Result<String> {
    let absolute = std::path::absolute(path).context("no current folder")?;
    match absolute.to_str() {
        // It stands in a comment too.
        Some(text) if text.chars().any(char::is_control) => {
            Err(Misuse(format!("the path has a line break or another control character: {}", path.display())).into())
        }
        Some(text) => Ok(quoted(text)),
        None => Err(Misuse(format!("the name is not valid text, which a script must be: {}", path.display())).into()),
    }
}

/// For a shell.
pub(crate) fn quoted(word: &str) -> String {
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
