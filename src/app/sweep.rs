//! Sweeps: many compressions from one file. What a run may be told is what `dualres compress` takes, by the same names, so that
//! every option can be varied and none is described twice.

use std::path::Path;

use clap::{CommandFactory as _, Parser as _, ValueHint};
use serde::Deserialize;
use toml::{Table, Value};

use crate::{
    cli::{Cli, Command, CompressArgs},
    report::Misuse,
};

/// Most runs of a sweep: more is a slip.
const MAX: usize = 100_000;

/// Options that the sweep itself decides about.
const OWN: [&str; 7] = ["out", "overwrite", "run", "resume", "name", "device", "json"];

/// Options that name a model in the library or a file.
const MODELS: [&str; 2] = ["model", "teacher"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    /// What all runs share.
    #[serde(default)]
    fixed: Table,
    /// What is varied: a list of values an option.
    #[serde(default)]
    grid: Table,
}

/// A run of a sweep.
pub(crate) struct Point {
    /// Name of the run and of its folder.
    pub(crate) name: String,
    /// As if typed after `dualres compress`.
    pub(crate) args: CompressArgs,
}

/// The runs of a sweep file, the last option of the grid varying fastest. Paths are relative to the file.
///
/// # Errors
/// If it cannot be read or names what `dualres compress` does not take.
pub(crate) fn points(file: &Path) -> anyhow::Result<Vec<Point>> {
    let wrong = |what: String| Misuse(format!("{what}: {}", file.display()));
    if std::fs::metadata(file).is_ok_and(|there| !there.is_file()) {
        return Err(wrong("not a file".into()).into());
    }
    let text = std::fs::read_to_string(file).map_err(|error| wrong(format!("cannot read the sweep ({error})")))?;
    let File { fixed, grid } =
        toml::from_str(&text).map_err(|error| wrong(format!("not a sweep ({})", error.to_string().trim())))?;
    let base = file.parent().unwrap_or(Path::new(""));
    let known = |option: &str| check_option(option).map_err(&wrong);
    let mut shared = Vec::new();
    for (option, value) in &fixed {
        known(option)?;
        if grid.contains_key(option) {
            return Err(wrong(format!("\"{option}\" is both fixed and varied")).into());
        }
        let values = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        shared.extend(words(option, values, base).map_err(&wrong)?);
    }
    let mut axes = Vec::new();
    for (option, values) in &grid {
        known(option)?;
        let values = values.as_array().filter(|values| !values.is_empty());
        let values = values.ok_or_else(|| wrong(format!("\"{option}\" in [grid] must be a list of values")))?;
        axes.push((option, values));
    }
    let count = axes.iter().try_fold(1_usize, |count, (_, values)| count.checked_mul(values.len()));
    let count = count.filter(|&count| count <= MAX).ok_or_else(|| wrong(format!("more than {MAX} runs")))?;
    let mut points: Vec<Point> = Vec::with_capacity(count);
    for index in 0..count {
        let mut left = index;
        let mut chosen: Vec<(&String, &Value)> = Vec::new();
        for (option, values) in axes.iter().rev() {
            chosen.insert(0, (*option, &values[left % values.len()]));
            left /= values.len();
        }
        let mut line = vec!["dualres".to_owned(), "compress".to_owned()];
        line.extend(shared.iter().cloned());
        for (option, value) in &chosen {
            line.extend(words(option, std::slice::from_ref(value), base).map_err(&wrong)?);
        }
        let named = chosen.iter().map(|(option, value)| part_of_name(option, value)).collect::<Vec<_>>().join("-");
        let name = if named.is_empty() { "run".to_owned() } else { named };
        if points.iter().any(|point| point.name.eq_ignore_ascii_case(&name)) {
            return Err(wrong(format!("two runs would have the name {name}")).into());
        }
        points.push(Point { args: parsed(&line).map_err(&wrong)?, name });
    }
    Ok(points)
}

fn check_option(option: &str) -> Result<(), String> {
    if OWN.contains(&option) {
        return Err(format!("the sweep itself decides about \"{option}\""));
    }
    let command = Cli::command();
    let known = command.find_subcommand("compress").into_iter().flat_map(clap::Command::get_arguments);
    let mut names: Vec<&str> = known.filter_map(clap::Arg::get_long).filter(|name| !OWN.contains(name)).collect();
    if names.contains(&option) {
        return Ok(());
    }
    names.sort_unstable();
    Err(format!("unknown option \"{option}\"; there are {}", names.join(", ")))
}

/// An option with its values as words of a command line.
fn words(option: &str, values: &[Value], base: &Path) -> Result<Vec<String>, String> {
    let command = Cli::command();
    let arg = command
        .find_subcommand("compress")
        .and_then(|command| command.get_arguments().find(|arg| arg.get_long() == Some(option)).cloned());
    let is_path = arg.as_ref().is_some_and(|arg| arg.get_value_hint() == ValueHint::AnyPath);
    let flag = format!("--{option}");
    let takes_values = arg.as_ref().is_some_and(|arg| arg.get_action().takes_values());
    let mut all = Vec::new();
    for value in values {
        let text = match value {
            Value::Boolean(on) if !takes_values => {
                if *on {
                    all.push(flag.clone());
                }
                continue;
            }
            _ if !takes_values => return Err(format!("\"{option}\" is true or false")),
            Value::String(text) if is_path => placed(text, base),
            Value::String(text) if MODELS.contains(&option) && base.join(text).is_file() => placed(text, base),
            Value::String(text) => text.clone(),
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            _ => return Err(format!("a value of \"{option}\" is neither text, number nor truth value")),
        };
        all.push(format!("{flag}={text}"));
    }
    Ok(all)
}

fn placed(text: &str, base: &Path) -> String {
    let path = base.join(text);
    std::path::absolute(&path).unwrap_or(path).to_string_lossy().into_owned()
}

fn parsed(line: &[String]) -> Result<CompressArgs, String> {
    let reason = |error: clap::Error| {
        let said = error.to_string();
        said.lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned()
    };
    match Cli::try_parse_from(line).map_err(reason)?.command {
        Some(Command::Compress(args)) => Ok(*args),
        _ => Err("not a compression".into()),
    }
}

/// What a value of the grid adds to the name: words as they are, numbers and switches after their option.
fn part_of_name(option: &str, value: &Value) -> String {
    let text = match value {
        Value::String(text) if MODELS.contains(&option) || text.contains(['/', '\\']) => {
            let stem = Path::new(text).file_stem();
            stem.map_or_else(|| text.clone(), |stem| stem.to_string_lossy().into_owned())
        }
        Value::String(text) => text.clone(),
        Value::Boolean(on) => format!("{}{option}", if *on { "" } else { "no-" }),
        number => format!("{option}{number}"),
    };
    text.chars().map(|c| if c.is_alphanumeric() || "._-".contains(c) { c } else { '_' }).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<Point>, String> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("grid.toml");
        std::fs::write(&file, text).unwrap();
        points(&file).map_err(|error| error.to_string())
    }

    #[test]
    fn every_combination_is_a_run_with_a_name_of_its_own() {
        let text = "[fixed]\ndata = [\"a\", \"/b\"]\nquick = true\nstreams = false\n\
                    [grid]\nmodel = [\"x2\"]\nratio = [0.3, 0.5]\nno-compensation = [false, true]\nseed = [1, 2]\n";
        let points = read(text).unwrap();
        let names: Vec<&str> = points.iter().map(|point| point.name.as_str()).collect();
        assert_eq!(
            names[..3],
            [
                "x2-ratio0.3-no-no-compensation-seed1",
                "x2-ratio0.3-no-no-compensation-seed2",
                "x2-ratio0.3-no-compensation-seed1"
            ]
        );
        assert_eq!(points.len(), 8);
        let last = &points[7].args;
        assert_eq!((last.ratio, last.overrides.seed, last.quick, last.overrides.streams), (Some(0.5), 2, true, false));
        assert!(last.overrides.no_compensation && !points[0].args.overrides.no_compensation);
        assert!(last.data[0].is_absolute() && last.data[0].ends_with("a") && last.data[1] == Path::new("/b"));
        assert_eq!(last.model.as_deref(), Some("x2"));
    }

    #[test]
    fn what_compress_does_not_take_is_refused_by_name() {
        for (text, part) in [
            ("[grid]\nratios = [0.5]\n", "unknown option \"ratios\""),
            ("[grid]\nratio = 0.5\n", "must be a list"),
            ("[fixed]\nratio = \"much\"\n", "much"),
            ("[fixed]\nseed = 1\n[grid]\nseed = [1]\n", "both"),
            ("[fixed]\nout = \"a\"\n", "the sweep itself"),
            ("[grid]\nmodel = [\"a/x\", \"b/x\"]\n", "two runs"),
            ("[axes]\n", "not a sweep"),
            ("[fixed]\nquick = 3\n", "true or false"),
            ("[grid\n", "not a sweep"),
        ] {
            let Err(said) = read(text) else { panic!("{text} was taken") };
            assert!(said.contains(part), "{said}");
        }
    }
}
