//! The pictures that are meant by what was named: files, folders with what is below them, and patterns.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use dualres_imaging::{Found, find_pictures_below, is_hidden_folder, natural_order};

use super::{record::results_in, sums::fingerprint};
use crate::language::{tr, translated};

/// A picture and where it lies below the folder that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// The folder it lies in, from the folder that was named on; empty for files that were named themselves.
    pub below: PathBuf,
    /// How many before it have the same name and place, below other folders.
    pub twin: usize,
}

impl Input {
    /// The folder that was named, if the picture was found in one; with links resolved.
    pub fn root(&self) -> Option<PathBuf> {
        let folder = self.path.parent()?.canonicalize().ok()?;
        folder.ancestors().nth(self.below.components().count()).map(Path::to_owned)
    }

    /// Where it lies from the folder that was named on.
    pub fn place(&self) -> PathBuf {
        self.below.join(self.path.file_name().unwrap_or_default())
    }

    /// What the picture is called in records of a batch: the same wherever the named folder lies.
    pub fn key(&self) -> String {
        let place = self.place();
        let mut key = place.to_string_lossy().into_owned();
        if place.to_str().is_none() {
            // Names that are no text must not be taken for each other.
            key.push_str(&format!("#{}", fingerprint(place.as_os_str().as_encoded_bytes())));
        }
        if self.twin > 0 {
            key.push_str(&format!("#{}", self.twin + 1));
        }
        key
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Inputs {
    /// The pictures in order, each once.
    pub pictures: Vec<Input>,
    /// What could not be looked into, with the reason.
    pub problems: Vec<String>,
    /// Files of kinds that are known and not read, such as raw files, with what their owner can do.
    pub foreign: Vec<(PathBuf, &'static str)>,
    /// Hidden and system folders, which are gone through only if they are named.
    pub left_out: Vec<PathBuf>,
    /// How many pictures were left out because records name them as results of earlier batches.
    pub results: usize,
    /// Files by where they lie, however that is spelled.
    known: HashSet<PathBuf>,
    places: HashMap<PathBuf, usize>,
}

impl Inputs {
    /// The pictures of files, folders and patterns such as `holiday/*.jpg` or `photos/**/IMG_*.png`.
    ///
    /// # Errors
    /// If a folder has no picture or a pattern fits nothing; the text says which.
    pub fn find(named: &[PathBuf]) -> Result<Self, String> {
        let mut inputs = Self::default();
        for name in named {
            if name.is_dir() {
                inputs.folder(name)?;
            } else if !name.exists() && is_pattern(name) {
                inputs.pattern(name)?;
            } else {
                inputs.add(name.clone(), PathBuf::new());
            }
        }
        Ok(inputs)
    }

    fn folder(&mut self, folder: &Path) -> Result<(), String> {
        let Found { pictures, problems, foreign, left_out } = find_pictures_below(folder);
        let results = self.results_among(&pictures, folder);
        if pictures.is_empty() && problems.is_empty() {
            if let Some(hidden) = left_out.first().filter(|_| foreign.is_empty()) {
                return Err(tr!(
                    "no images in %{folder}; name hidden folders to include them: %{hidden}",
                    folder = folder.display(),
                    hidden = hidden.display()
                ));
            }
            let Some((path, advice)) = foreign.first() else {
                return Err(tr!("no images in %{folder}", folder = folder.display()));
            };
            return Err(tr!(
                "no images in %{folder}, only %{count} files in unsupported formats; %{name}: %{advice}",
                folder = folder.display(),
                count = foreign.len(),
                name = path.file_name().unwrap_or_default().to_string_lossy(),
                advice = translated(advice)
            ));
        }
        for path in pictures.into_iter().filter(|path| !results.contains(path)) {
            let below = path.parent().and_then(|parent| parent.strip_prefix(folder).ok()).unwrap_or(Path::new(""));
            let below = below.to_owned();
            self.add(path, below);
        }
        self.problems.extend(problems.iter().map(ToString::to_string));
        self.foreign.extend(foreign);
        self.left_out.extend(left_out);
        Ok(())
    }

    fn pattern(&mut self, pattern: &Path) -> Result<(), String> {
        let text = pattern.to_string_lossy();
        let wanted = glob::Pattern::new(&text)
            .map_err(|error| tr!("invalid pattern \"%{pattern}\" (%{error})", pattern = text, error = error))?;
        // What lies below the part that has no signs keeps its folders.
        let fixed: PathBuf = pattern.components().take_while(|part| !is_pattern(Path::new(part))).collect();
        let beyond = pattern.components().count() - fixed.components().count();
        let depth = if text.contains("**") { usize::MAX } else { beyond };
        let root = if fixed.as_os_str().is_empty() { Path::new(".") } else { &fixed };
        let before = self.pictures.len() + self.problems.len();
        let mut fitting = Vec::new();
        self.fitting(root, &fixed, &wanted, depth, &mut fitting);
        fitting.sort_by(|a, b| natural_order(a, b));
        let results = self.results_among(&fitting, &fixed);
        for path in fitting.into_iter().filter(|path| !results.contains(path)) {
            let below = path.parent().and_then(|parent| parent.strip_prefix(&fixed).ok()).map(Path::to_owned);
            self.add(path, below.unwrap_or_default());
        }
        if self.pictures.len() + self.problems.len() == before && results.is_empty() {
            return Err(tr!("no file matches \"%{pattern}\"", pattern = text));
        }
        Ok(())
    }

    /// Files below `folder`, called `shown`, that fit; at most `depth` folders down. Links to folders are not followed.
    fn fitting(&mut self, folder: &Path, shown: &Path, wanted: &glob::Pattern, depth: usize, found: &mut Vec<PathBuf>) {
        let options = glob::MatchOptions { require_literal_separator: true, ..glob::MatchOptions::default() };
        let entries = match std::fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                let shown = folder.display();
                let problem = tr!("cannot read the folder (%{error}): %{folder}", error = error, folder = shown);
                return self.problems.push(problem);
            }
        };
        for entry in entries.flatten() {
            let path = shown.join(entry.file_name());
            let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
            // A pattern that names a hidden folder means it.
            let is_hidden =
                is_folder && is_hidden_folder(&path) && !pattern_names(wanted, &entry.file_name().to_string_lossy());
            if is_hidden && depth > 1 {
                self.left_out.push(path);
            } else if is_folder && depth > 1 {
                self.fitting(&path, &path, wanted, depth.saturating_sub(1), found);
            } else if !is_folder && wanted.matches_with(&path.to_string_lossy(), options) {
                found.push(path);
            }
        }
    }

    /// Those of the pictures below a folder that a record beside them, or above them up to the folder, names as results of
    /// earlier batches: nobody wants these enlarged again who does not name them.
    fn results_among(&mut self, pictures: &[PathBuf], root: &Path) -> HashSet<PathBuf> {
        let mut seen = HashSet::new();
        let mut results = HashSet::new();
        for picture in pictures {
            for folder in picture.ancestors().skip(1).take_while(|folder| folder.starts_with(root)) {
                if !seen.insert(folder.to_owned()) {
                    break;
                }
                results.extend(results_in(folder).iter().filter_map(|path| path.canonicalize().ok()));
            }
        }
        if results.is_empty() {
            return results;
        }
        let is_result = |path: &&PathBuf| path.canonicalize().is_ok_and(|path| results.contains(&path));
        let found: HashSet<PathBuf> = pictures.iter().filter(is_result).cloned().collect();
        self.results += found.len();
        found
    }

    /// Leaves out what `is_own` says is a result of the batch itself; returns how many that were.
    pub fn without(&mut self, is_own: impl Fn(&Input) -> bool) -> usize {
        let before = self.pictures.len();
        self.pictures.retain(|input| !is_own(input));
        before - self.pictures.len()
    }

    fn add(&mut self, path: PathBuf, below: PathBuf) {
        // Named twice is meant once, in whatever spelling; a link has a name of its own.
        let folder = path.parent().map(|folder| if folder.as_os_str().is_empty() { Path::new(".") } else { folder });
        let place = match (folder.and_then(|folder| folder.canonicalize().ok()), path.file_name()) {
            (Some(folder), Some(name)) => folder.join(name),
            _ => path.clone(),
        };
        if self.known.insert(place) {
            let place = below.join(path.file_name().unwrap_or_default());
            let before = self.places.entry(place).or_default();
            self.pictures.push(Input { path, below, twin: *before });
            *before += 1;
        }
    }
}

/// Whether a part of a pattern is a folder's name, or says that hidden ones are meant.
fn pattern_names(pattern: &glob::Pattern, name: &str) -> bool {
    pattern.as_str().split(['/', '\\']).any(|part| part == name || (part.starts_with('.') && part.len() > 2))
}

/// Whether a name may stand for many.
pub fn is_pattern(path: &Path) -> bool {
    path.to_string_lossy().contains(['*', '?', '['])
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn folders_patterns_and_files_give_their_pictures_with_where_they_lie() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir_all(root.join("a/b")).unwrap();
        for name in ["top.png", "a/one.jpg", "a/b/two.TIF", "a/notes.txt", "a/raw.nef"] {
            std::fs::write(root.join(name), b"").unwrap();
        }
        let keys = |named: &[PathBuf]| -> Vec<String> {
            Inputs::find(named).unwrap().pictures.iter().map(Input::key).collect()
        };
        assert_eq!(keys(&[root.to_owned()]), ["a/b/two.TIF", "a/one.jpg", "top.png"]);
        let found = Inputs::find(&[root.to_owned()]).unwrap();
        assert_eq!(found.foreign.len(), 1);
        assert!(found.foreign[0].0.ends_with("a/raw.nef") && found.foreign[0].1.contains("raw file"));
        assert!(found.pictures.iter().all(|input| input.root() == Some(root.canonicalize().unwrap())));
        assert_eq!(keys(&[root.join("**/*.jpg")]), ["a/one.jpg"]);
        assert_eq!(keys(&[root.join("*.png")]), ["top.png"]);
        assert_eq!(keys(&[root.join("top.png"), root.join("top.png"), root.join("gone.png")]), ["top.png", "gone.png"]);
        assert_eq!(keys(&[root.join("*/*.jpg")]), ["a/one.jpg"]);
        std::fs::create_dir(root.join("other")).unwrap();
        std::fs::write(root.join("other/one.jpg"), b"").unwrap();
        assert_eq!(keys(&[root.join("a"), root.join("other")]), ["b/two.TIF", "one.jpg", "one.jpg#2"]);
        assert!(Inputs::find(&[root.join("*.webp")]).unwrap_err().contains("*.webp"));
        std::fs::create_dir(root.join("empty")).unwrap();
        assert!(Inputs::find(&[root.join("empty")]).unwrap_err().contains("empty"));
    }

    #[test]
    fn content_decides_where_a_name_says_nothing_or_something_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for (name, content) in [
            ("phone.heic", &b"\xff\xd8\xff\xe0 a JPEG file"[..]),
            ("download", b"\x89PNG\r\n\x1a\n and more"),
            ("real.heic", b"8BPS\0\x01 layers"),
            ("unnamed", b"8BPS\0\x01 layers"),
            ("manual.pdf", b"%PDF-1.7"),
            ("._photo.jpg", b"\0\x05\x16\x07"),
            (".dualres-abc.tmp", b"\xff\xd8\xff\xe0 half a result"),
            ("photo.jpg_original", b"\xff\xd8\xff\xe0 what exiftool keeps"),
            ("note.txt", b"text"),
        ] {
            std::fs::write(root.join(name), content).unwrap();
        }
        let found = Inputs::find(&[root.to_owned()]).unwrap();
        assert_eq!(found.pictures.iter().map(Input::key).collect::<Vec<_>>(), ["download", "phone.heic"]);
        let foreign: Vec<_> = found.foreign.iter().map(|(path, _)| path.file_name().unwrap()).collect();
        assert_eq!(foreign, ["real.heic", "unnamed"]);
        assert!(found.foreign.iter().all(|(_, advice)| advice.contains("Photoshop")));
        std::fs::create_dir(root.join("only")).unwrap();
        std::fs::write(root.join("only/a.cr2"), b"II*\0").unwrap();
        let refused = Inputs::find(&[root.join("only")]).unwrap_err();
        assert!(refused.contains("a.cr2") && refused.contains("develop"), "{refused}");
    }

    #[cfg(unix)]
    #[test]
    fn links_in_circles_end_and_names_that_are_no_text_are_found() {
        use std::os::unix::ffi::OsStringExt;
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::os::unix::fs::symlink(root, root.join("again")).unwrap();
        std::os::unix::fs::symlink(root.join("self.png"), root.join("self.png")).unwrap();
        let odd = std::ffi::OsString::from_vec(b"caf\xe9.png".to_vec());
        std::fs::write(root.join(&odd), b"").unwrap();
        let found = Inputs::find(&[root.to_owned()]).unwrap();
        let names: Vec<_> = found.pictures.iter().map(|input| input.path.file_name().unwrap().to_owned()).collect();
        assert!(names.contains(&odd), "{names:?}");
        assert!(found.pictures.len() <= 2, "{names:?}");
        let by_pattern = Inputs::find(&[root.join("**/*.png")]).unwrap();
        assert_eq!(by_pattern.pictures.len(), found.pictures.len());
        assert!(by_pattern.pictures.iter().any(|input| input.key().starts_with("caf\u{fffd}.png#")));
    }
}
