//! Names of results: patterns, and never over a file that is there.

use std::path::{Path, PathBuf};

use crate::language::tr;

/// What the places of a pattern stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Name of the original without extension.
    pub name: String,
    /// How many times as large the result is.
    pub scale: String,
    /// Name of the model.
    pub model: String,
    /// Width of the result in pixels.
    pub width: usize,
    /// Height of the result in pixels.
    pub height: usize,
    /// Place among the pictures of a run, from 1 on.
    pub index: usize,
    /// Day of the run, such as 2025-12-31.
    pub date: String,
}

/// How many times as large, without needless digits: `2`, `2.67`.
pub fn times(times: f64) -> String {
    let text = format!("{times:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// The day it is here.
pub fn today() -> String {
    jiff::ZonedDateTime::now().date().to_string()
}

/// Places that a pattern may have.
pub const PLACES: [&str; 7] = ["{name}", "{scale}", "{model}", "{width}", "{height}", "{index}", "{date}"];

/// Bytes that names have at most, their endings aside.
const MAX_BYTES: usize = 200;

/// The pattern that results are named by at first.
pub const DEFAULT_PATTERN: &str = "{name}_{model}";

/// A file name, without extension, by a pattern.
///
/// # Errors
/// If the pattern has a place that does not exist, or gives an empty name; the text says what to write instead.
pub fn file_name(pattern: &str, facts: &Facts) -> Result<String, String> {
    // Names last: one that holds a brace is not a pattern.
    let around = pattern
        .replace("{scale}", &facts.scale)
        .replace("{width}", &facts.width.to_string())
        .replace("{height}", &facts.height.to_string())
        .replace("{index}", &format!("{:04}", facts.index))
        .replace("{date}", &facts.date)
        .replace("{model}", &facts.model);
    let unknown = pattern.split('{').skip(1).find_map(|rest| {
        let place = match rest.split_once('}') {
            Some((place, _)) => format!("{{{place}}}"),
            None => format!("{{{rest}"),
        };
        (!PLACES.contains(&place.as_str())).then_some(place)
    });
    if let Some(place) = unknown {
        return Err(tr!("unknown placeholder %{place}; use %{places}", place = place, places = PLACES.join(" ")));
    }
    if pattern.contains(['/', '\\']) {
        return Err(tr!("a file name cannot contain / or \\; set the folder instead"));
    }
    // Room for a number, an ending, and what a proof adds, in what file systems take: the original's name gives way, not what
    // tells results apart.
    let places = around.matches("{name}").count();
    let rest = around.len() - places * "{name}".len();
    let each = MAX_BYTES.saturating_sub(rest) / places.max(1);
    let mut name = sound(&around.replace("{name}", cut(&facts.name, each)));
    name.truncate(cut(&name, MAX_BYTES).len());
    // What follows is an ending; Windows takes no dot or space before it.
    name.truncate(name.trim_end_matches(['.', ' ']).len());
    if name.trim_start_matches(['.', ' ']).is_empty() {
        return Err(tr!("the pattern results in an empty name"));
    }
    Ok(name)
}

/// The beginning of a text, of so many bytes at most.
fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

/// A name that every file system takes.
fn sound(name: &str) -> String {
    name.chars().map(|c| if c.is_control() || "/\\:*?\"<>|".contains(c) { '-' } else { c }).collect()
}

/// The path, or the first numbered one beside it, that is neither on disk nor among `taken`.
pub fn free(wanted: &Path, taken: &dyn Fn(&Path) -> bool) -> PathBuf {
    numbered(wanted, &|path| path.exists() || taken(path))
}

/// The path, or the first numbered one beside it, that is not among `taken`.
pub(crate) fn numbered(wanted: &Path, taken: &dyn Fn(&Path) -> bool) -> PathBuf {
    let stem = wanted.file_stem().unwrap_or_default();
    let with = |number: usize| {
        let mut name = stem.to_owned();
        name.push(format!("-{number}"));
        if let Some(extension) = wanted.extension() {
            name.push(".");
            name.push(extension);
        }
        wanted.with_file_name(name)
    };
    let mut path = wanted.to_owned();
    let mut number = 2;
    while taken(&path) {
        path = with(number);
        number += 1;
    }
    path
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts {
            name: "a{b".into(),
            scale: times(4.0),
            model: "x4".into(),
            width: 40,
            height: 20,
            index: 7,
            date: "2025-12-31".into(),
        }
    }

    #[test]
    fn patterns_are_filled_in_and_faults_are_named() {
        assert_eq!(file_name("{name} {scale}x {model} {width}x{height}", &facts()).unwrap(), "a{b 4x x4 40x20");
        assert_eq!(file_name("{date} {index}", &facts()).unwrap(), "2025-12-31 0007");
        assert_eq!((times(2.666), times(10.0), times(2.5)), ("2.67".into(), "10".into(), "2.5".into()));
        assert_eq!(today().len(), 10);
        assert!(file_name("{nmae}", &facts()).unwrap_err().contains("{nmae}"));
        assert!(file_name("{name", &facts()).unwrap_err().contains("placeholder {name;"));
        let long = Facts { name: "ä".repeat(150), ..facts() };
        assert_eq!(file_name("{name}", &long).unwrap().len(), MAX_BYTES);
        assert!(file_name("{name}_{model}", &long).unwrap().ends_with("ä_x4"), "what tells results apart stays");
        let dotted = Facts { name: "a.".into(), ..facts() };
        assert_eq!(file_name("{name}", &dotted).unwrap(), "a");
        assert!(file_name("a/b", &facts()).unwrap_err().contains("folder"));
        assert!(file_name(" ", &facts()).unwrap_err().contains("empty"));
        let model = Facts { model: "../x".into(), ..facts() };
        assert_eq!(file_name("{model}", &model).unwrap(), "..-x");
    }

    #[test]
    fn a_file_that_is_there_is_never_the_target() {
        let folder = tempfile::tempdir().unwrap();
        let wanted = folder.path().join("p.png");
        assert_eq!(free(&wanted, &|_| false), wanted);
        std::fs::write(&wanted, "").unwrap();
        let second = folder.path().join("p-2.png");
        assert_eq!(free(&wanted, &|_| false), second);
        assert_eq!(free(&wanted, &|path| path == second), folder.path().join("p-3.png"));
    }
}
