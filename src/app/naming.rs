//! Names of results: patterns, and never over a file that is there.

use std::path::{Path, PathBuf};

/// What the places of a pattern stand for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Name of the original without extension.
    pub name: String,
    /// Enlargement.
    pub scale: usize,
    /// Name of the model.
    pub model: String,
    /// Width of the result in pixels.
    pub width: usize,
    /// Height of the result in pixels.
    pub height: usize,
}

/// Places that a pattern may have.
pub const PLACES: [&str; 5] = ["{name}", "{scale}", "{model}", "{width}", "{height}"];

/// The pattern that results are named by at first.
pub const DEFAULT_PATTERN: &str = "{name}_{model}";

/// A file name, without extension, by a pattern.
///
/// # Errors
/// If the pattern has a place that does not exist, or gives an empty name; the text says what to write instead.
pub fn file_name(pattern: &str, facts: &Facts) -> Result<String, String> {
    let name = pattern
        .replace("{name}", &facts.name)
        .replace("{scale}", &facts.scale.to_string())
        .replace("{model}", &facts.model)
        .replace("{width}", &facts.width.to_string())
        .replace("{height}", &facts.height.to_string());
    let unknown = pattern.split('{').skip(1).find_map(|rest| {
        let place = format!("{{{}}}", rest.split('}').next().unwrap_or_default());
        (!PLACES.contains(&place.as_str())).then_some(place)
    });
    if let Some(place) = unknown {
        return Err(format!("{place} is unknown; use {}", PLACES.join(" ")));
    }
    if pattern.contains(['/', '\\']) {
        return Err("a name cannot hold / or \\; choose the folder above".into());
    }
    let name: String =
        name.chars().map(|c| if c.is_control() || "/\\:*?\"<>|".contains(c) { '-' } else { c }).collect();
    if name.trim_matches(['.', ' ']).is_empty() {
        return Err("the pattern gives an empty name".into());
    }
    Ok(name)
}

/// The path, or the first numbered one beside it, that is neither on disk nor among `taken`.
pub fn free(wanted: &Path, taken: &dyn Fn(&Path) -> bool) -> PathBuf {
    let stem = wanted.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let extension = wanted.extension().unwrap_or_default().to_string_lossy().into_owned();
    let mut path = wanted.to_owned();
    let mut number = 2;
    while path.exists() || taken(&path) {
        path = wanted.with_file_name(format!("{stem}-{number}.{extension}"));
        number += 1;
    }
    path
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn facts() -> Facts {
        Facts { name: "a{b".into(), scale: 4, model: "x4".into(), width: 40, height: 20 }
    }

    #[test]
    fn patterns_are_filled_in_and_faults_are_named() {
        assert_eq!(file_name("{name} {scale}x {model} {width}x{height}", &facts()).unwrap(), "a{b 4x x4 40x20");
        assert!(file_name("{nmae}", &facts()).unwrap_err().contains("{nmae}"));
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
