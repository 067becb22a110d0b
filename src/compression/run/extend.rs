//! A run that is given more fine-tuning than it was begun with.

use std::{fs, path::Path};

use super::Begun;
use crate::{
    CompressConfig, CompressionError, Result,
    files::{
        CONFIG_FILE, FINETUNE_FOLDER, Held, REPORT_FILE, RESULT_FILE, SUMMARY_FILE, load_json, save_json, unusable,
    },
    finetune::warmup,
};

/// Gives the run in `folder` `steps` steps of fine-tuning in all; what it has come to so far stays. The learning rate falls anew, from
/// where a run of that length would be.
///
/// # Errors
/// If the folder holds no run, another process works on it, it has more steps already, or its files cannot be written.
pub(super) fn extend(folder: &Path, steps: usize) -> Result<()> {
    let held = Held::take(folder)?;
    let path = folder.join(CONFIG_FILE);
    let Some(begun) = load_json::<Begun>(&path)? else {
        held.forget();
        return Err(CompressionError::NoRun { path: folder.to_owned() });
    };
    let there = begun.config.finetune.steps;
    if steps == there {
        return Ok(());
    }
    if steps < there {
        let reason = format!("a run can be extended, not shortened: this one has {there} steps of fine-tuning");
        return Err(CompressionError::Setting(reason));
    }
    let mut config = begun.config;
    let finetune = &mut config.finetune;
    if folder.join(FINETUNE_FOLDER).is_dir() {
        // As it was when the run began.
        finetune.warmup = Some(finetune.warmup.unwrap_or(warmup(there)));
    }
    if there == 0 {
        finetune.validate_every = CompressConfig::new("", 0.5).finetune.validate_every.min(steps);
    }
    finetune.steps = steps;
    save_json(&path, &Begun { config, ..begun })?;
    // What the run came to before is made again from what its stages left.
    for name in [REPORT_FILE, RESULT_FILE, SUMMARY_FILE] {
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(unusable(&folder.join(name), error));
            }
            _ => {}
        }
    }
    Ok(())
}
