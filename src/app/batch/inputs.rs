//! The pictures that are meant by what was named: files, folders with what is below them, and patterns.

use std::path::{Path, PathBuf};

use dualres_imaging::{Found, find_pictures_below};

/// A picture and where it lies below the folder that was named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// The file.
    pub path: PathBuf,
    /// The folder it lies in, from the folder that was named on; empty for files that were named themselves.
    pub below: PathBuf,
}

impl Input {
    /// What the picture is called in records of a batch: the same wherever the named folder lies.
    pub fn key(&self) -> String {
        self.below.join(self.path.file_name().unwrap_or_default()).to_string_lossy().into_owned()
    }
}

/// What was found.
#[derive(Debug, Default)]
pub struct Inputs {
    /// The pictures in order, each once.
    pub pictures: Vec<Input>,
    /// What could not be looked into, with the reason.
    pub problems: Vec<String>,
    /// Files of kinds that are known and not read, such as raw files.
    pub foreign: usize,
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
        let Found { pictures, problems, foreign } = find_pictures_below(folder);
        if pictures.is_empty() && problems.is_empty() {
            let others = if foreign > 0 { ", only files that are not read, such as raw files" } else { "" };
            return Err(format!("no picture in the folder {}{others}", folder.display()));
        }
        for path in pictures {
            let below = path.parent().and_then(|parent| parent.strip_prefix(folder).ok()).unwrap_or(Path::new(""));
            let below = below.to_owned();
            self.add(path, below);
        }
        self.problems.extend(problems.iter().map(ToString::to_string));
        self.foreign += foreign;
        Ok(())
    }

    fn pattern(&mut self, pattern: &Path) -> Result<(), String> {
        let text = pattern.to_string_lossy();
        let paths = glob::glob(&text).map_err(|error| format!("\"{text}\" is no pattern ({error})"))?;
        // What lies below the part that has no signs keeps its folders.
        let fixed: PathBuf = pattern.components().take_while(|part| !is_pattern(Path::new(part))).collect();
        let before = self.pictures.len() + self.problems.len();
        for path in paths {
            match path {
                Ok(path) if path.is_dir() => {}
                Ok(path) => {
                    let below = path.parent().and_then(|parent| parent.strip_prefix(&fixed).ok()).map(Path::to_owned);
                    self.add(path, below.unwrap_or_default());
                }
                Err(error) => self.problems.push(error.to_string()),
            }
        }
        if self.pictures.len() + self.problems.len() == before {
            return Err(format!("no file fits \"{text}\""));
        }
        Ok(())
    }

    fn add(&mut self, path: PathBuf, below: PathBuf) {
        // Named twice is meant once; large folders are not searched for it.
        if self.pictures.len() > 10_000 || !self.pictures.iter().any(|known| known.path == path) {
            self.pictures.push(Input { path, below });
        }
    }
}

fn is_pattern(path: &Path) -> bool {
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
        assert_eq!(Inputs::find(&[root.to_owned()]).unwrap().foreign, 1);
        assert_eq!(keys(&[root.join("**/*.jpg")]), ["a/one.jpg"]);
        assert_eq!(keys(&[root.join("*.png")]), ["top.png"]);
        assert_eq!(keys(&[root.join("top.png"), root.join("top.png"), root.join("gone.png")]), ["top.png", "gone.png"]);
        assert!(Inputs::find(&[root.join("*.webp")]).unwrap_err().contains("*.webp"));
        std::fs::create_dir(root.join("empty")).unwrap();
        assert!(Inputs::find(&[root.join("empty")]).unwrap_err().contains("empty"));
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
    }
}
