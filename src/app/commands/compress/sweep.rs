//! `dualres compress sweep`

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context as _;
use dualres_compression::{CompressConfig, CompressionError, Report, Summary, compress};
use dualres_imaging::file::write_atomically;
use dualres_network::{Model, device::ComputeDevice};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{BAR, Display, config, library};
use crate::{
    cli::SweepArgs,
    commands::progress_bar,
    jobs::{Job, TASK, quoted, quoted_path},
    report::{self, LeftOut, Misuse, Outcome},
    sweep::{Point, points},
    targets::prepare_folder,
};

/// Folder of the sensitivity profiles that runs share.
const PROFILES: &str = "profiles";
/// File of a run folder with the reason why the run could not go on.
const FAILURE_FILE: &str = "failure.txt";

/// How far a run is.
enum State {
    Done(Box<Report>),
    Begun,
    NotBegun,
    Failed(String),
    /// Another process is working on it.
    Elsewhere,
    /// The device of another machine is gone.
    Lost(String),
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Done(_) => "done",
            Self::Begun => "unfinished",
            Self::NotBegun => "not started",
            Self::Failed(_) => "failed",
            Self::Elsewhere => "another process is working on it",
            Self::Lost(_) => "unfinished",
        }
    }
}

pub(super) fn run(args: &SweepArgs) -> anyhow::Result<Outcome> {
    let points = points(&args.file)?;
    if let Some(engine) = args.jobs {
        // What would go wrong in a task is told before there are any.
        let mut planner = Planner { output: &args.output, models: BTreeMap::new(), left_out: false };
        for point in &points {
            planner.plan(point).with_context(|| format!("the run {} cannot work", point.name))?;
        }
        let (file, folder) = (quoted_path(&args.file)?, quoted_path(&args.output)?);
        let device = if args.gpu { "gpu" } else { args.device.as_str() };
        let job = Job {
            name: "dualres-sweep".into(),
            tasks: points.len(),
            cores: args.cores,
            gpu: args.gpu,
            again: "Run again to retry what failed; finished runs are skipped, others resumed.".into(),
            progress: format!("compress sweep {file} -o {folder} --list"),
            before: "compress sweep --only".into(),
            task: TASK.into(),
            after: format!("{file} -o {folder} --device {}", quoted(device)),
        };
        job.script(engine)?.lines().for_each(report::line);
        return Ok(Outcome::Done);
    }
    if args.list {
        return list(&points, args);
    }
    let chosen = match args.only {
        Some(number) => {
            let point = number.checked_sub(1).and_then(|index| points.get(index));
            let wrong = || Misuse(format!("--only: the sweep has runs 1 to {}, not {number}", points.len()));
            vec![(number, point.ok_or_else(wrong)?)]
        }
        None => points.iter().enumerate().map(|(index, point)| (index + 1, point)).collect(),
    };
    crate::signals::listen()?;
    prepare_folder(&args.output)?;
    let device = super::super::device(&args.device)?;
    let mut planner = Planner { output: &args.output, models: BTreeMap::new(), left_out: false };
    let mut done = 0;
    for &(number, point) in &chosen {
        let state = work(point, &mut planner, &device, args.json);
        tell((number, points.len()), point, &state, args.json);
        done += usize::from(matches!(state, State::Done(_)));
        if matches!(state, State::Begun | State::Lost(_)) {
            break;
        }
    }
    if done < chosen.len() && !args.json {
        let left = report::counted(chosen.len() - done, "run");
        report::line(&format!("{left} not finished; run the same command again to resume or check"));
    }
    Ok(if done == chosen.len() && !planner.left_out { Outcome::Done } else { Outcome::Failed })
}

fn folder_of(point: &Point, output: &Path) -> PathBuf {
    output.join(&point.name)
}

/// Settings and network of the runs, each network read once.
struct Planner<'a> {
    output: &'a Path,
    models: BTreeMap<String, Model>,
    /// Whether pictures of a run could not be used.
    left_out: bool,
}

impl Planner<'_> {
    /// Settings and network of a run.
    ///
    /// # Errors
    /// If it cannot run: without network, ratio or pictures.
    fn plan(&mut self, point: &Point) -> anyhow::Result<(CompressConfig, &Model)> {
        let missing = |what: &str| Misuse(format!("{what} neither fixed nor varied"));
        let name = point.args.model.as_deref().ok_or_else(|| missing("\"model\" is"))?;
        if !super::says_how_much(&point.args) {
            return Err(missing("\"ratio\", \"speed-up\", \"budget-ms\" and \"widths\" are").into());
        }
        if !self.models.contains_key(name) {
            self.models.insert(name.to_owned(), library().choose(Some(name), None)?);
        }
        let model = &self.models[name];
        let mut config = config(&point.args, model, point.name.clone())?;
        let pictures = config.data.iter().chain(&config.validation);
        if let Some(path) = pictures.into_iter().find(|path| !path.exists()) {
            return Err(Misuse(format!("no such file or folder: {}", path.display())).into());
        }
        share_profile(&mut config, model, self.output)?;
        Ok((config, model))
    }
}

fn list(points: &[Point], args: &SweepArgs) -> anyhow::Result<Outcome> {
    let mut done = 0;
    let mut planner = Planner { output: &args.output, models: BTreeMap::new(), left_out: false };
    for (index, point) in points.iter().enumerate() {
        let state = match planner.plan(point) {
            Ok((config, _)) => state_of(&folder_of(point, &args.output), &config),
            Err(error) => State::Failed(report::message(&error)),
        };
        done += usize::from(matches!(state, State::Done(_)));
        tell((index + 1, points.len()), point, &state, args.json);
    }
    if !args.json {
        report::line(&format!("{done} of {} done", report::counted(points.len(), "run")));
    }
    Ok(if done == points.len() { Outcome::Done } else { Outcome::Failed })
}

/// What the folder says.
fn state_of(folder: &Path, config: &CompressConfig) -> State {
    let failure = fs::read_to_string(folder.join(FAILURE_FILE)).ok();
    match Summary::read(folder) {
        Ok(Some(Summary { config: there, .. })) if there != *config => {
            let difference = config.difference(&there).unwrap_or_default();
            State::Failed(format!("the run there has different settings ({difference}); choose another output folder"))
        }
        Ok(Some(Summary { report: Some(report), .. })) => State::Done(Box::new(report)),
        Err(error) => State::Failed(error.to_string()),
        Ok(_) if failure.is_some() => State::Failed(failure.unwrap_or_default().trim().to_owned()),
        Ok(Some(_)) => State::Begun,
        Ok(None) => State::NotBegun,
    }
}

fn tell((number, of): (usize, usize), point: &Point, state: &State, json: bool) {
    let reason = if let State::Failed(reason) | State::Lost(reason) = state { Some(reason) } else { None };
    let found = if let State::Done(found) = state { Some(found) } else { None };
    if json {
        let object = json!({
            "number": number, "run": point.name, "state": state.word(), "error": reason, "report": found,
        });
        report::line(&object.to_string());
        return;
    }
    let more = match (found, reason) {
        (Some(found), _) => format!(
            ": {:.1} % of MACs, {:.2} dB ({:+.2})",
            100.0 * found.kept_macs_ratio,
            found.psnr_after,
            found.psnr_after - found.psnr_before
        ),
        (_, Some(reason)) => format!(": {reason}"),
        _ => String::new(),
    };
    report::line(&format!("{number:>4}/{of} {}  {}{more}", point.name, state.word()));
}

/// Does a run, or goes on with it.
fn work(point: &Point, planner: &mut Planner<'_>, device: &ComputeDevice, json: bool) -> State {
    let folder = folder_of(point, planner.output);
    let note = folder.join(FAILURE_FILE);
    match attempt(point, &folder, planner, device, json) {
        Ok(state) => {
            // What went wrong before is over.
            if matches!(state, State::Done(_)) {
                let _ = fs::remove_file(&note);
            }
            state
        }
        Err(error) => {
            if matches!(error.downcast_ref(), Some(CompressionError::Busy { .. })) {
                return State::Elsewhere;
            }
            let reason = report::message(&error);
            if error.downcast_ref().is_some_and(CompressionError::is_lost_device) {
                return State::Lost(reason);
            }
            // For those who look later; it is told now in any case.
            let _ = fs::create_dir_all(&folder);
            let _ = write_atomically(&note, format!("{reason}\n").as_bytes());
            State::Failed(reason)
        }
    }
}

fn attempt(
    point: &Point,
    folder: &Path,
    planner: &mut Planner<'_>,
    device: &ComputeDevice,
    json: bool,
) -> anyhow::Result<State> {
    let (config, model) = planner.plan(point)?;
    if let Some(Summary { config: there, report: Some(found), .. }) = Summary::read(folder)?
        && there == config
    {
        return Ok(State::Done(Box::new(found)));
    }
    if let Some(profiles) = config.profile_file.as_deref().and_then(Path::parent) {
        prepare_folder(profiles)?;
    }
    let bar = progress_bar(0, BAR, json);
    let mut display =
        Display { bar: bar.clone(), psnr: None, json, left_out: LeftOut::default(), said: Instant::now() };
    let device = super::super::vetted(model, device)?;
    let finished = compress(&config, model, &device, folder, &mut |event| display.show(event));
    bar.finish_and_clear();
    planner.left_out |= matches!(display.left_out.end(Outcome::Done), Outcome::Failed);
    match finished? {
        Some((_, found)) => Ok(State::Done(Box::new(found))),
        None => Ok(State::Begun),
    }
}

/// Runs that would measure the same profile share one file.
fn share_profile(config: &mut CompressConfig, model: &Model, output: &Path) -> anyhow::Result<()> {
    if !config.needs_profile() || config.profile_file.is_some() {
        return Ok(());
    }
    let same = json!([config.data, config.validation, config.profile, config.streams]);
    let hash = Sha256::new().chain_update(model.to_bytes()).chain_update(same.to_string()).finalize();
    let digits: String = hash[..4].iter().map(|byte| format!("{byte:02x}")).collect();
    let name = format!("seed{}-{digits}.safetensors", config.seed);
    let file = std::path::absolute(output.join(PROFILES).join(name)).context("no current folder")?;
    config.profile_file = Some(file);
    Ok(())
}
