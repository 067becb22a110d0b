//! Where commands write: one decision about every output of every command, before there is any work.
//!
//! No output replaces an input or another output of the same command, whatever way its path is spelled. What exists is replaced
//! if that was asked for; else a name in a folder gets a number, and a name that was given is refused.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use dualres_imaging::file::{check_folder, resolve};

use crate::{naming, report::Misuse};

/// The outputs of a command.
#[derive(Debug, Default)]
pub(crate) struct Targets {
    overwrite: bool,
    /// By [`spelled`], as outputs are.
    inputs: HashSet<PathBuf>,
    /// By [`spelled`].
    outputs: HashSet<PathBuf>,
}

impl Targets {
    /// Outputs that replace what exists if `overwrite` says so.
    pub(crate) fn new(overwrite: bool) -> Self {
        Self { overwrite, ..Self::default() }
    }

    /// No output may be `path`, which the command reads.
    pub(crate) fn protect(&mut self, path: &Path) {
        self.inputs.insert(spelled(&resolve(path)));
    }

    /// Takes a name that was given for an output. `is_own` says whether what is there was made by the same work before, and may
    /// be replaced.
    ///
    /// # Errors
    /// If it is a file that the command reads or writes already, or one that is not to be replaced, or no ordinary file.
    pub(crate) fn take(&mut self, path: &Path, is_own: impl FnOnce() -> bool) -> Result<(), Misuse> {
        let shown = path.display();
        let place = resolve(path);
        let said = if path.as_os_str().is_empty() {
            "an output path is empty".to_owned()
        } else if place.is_dir() || ends_as_folder(path) {
            format!("the output is a folder, not a file: {shown}")
        } else if place.exists() && !place.is_file() {
            format!("refusing to overwrite, not a regular file: {shown}")
        } else if name_length(&place) > LONGEST_NAME {
            format!("the file name is too long ({} bytes; at most {LONGEST_NAME}): {shown}", name_length(&place))
        } else if self.outputs.iter().any(|other| overlaps(other, &spelled(&place))) {
            format!("two outputs have the same path, or one lies inside the other: {shown}")
        } else if self.inputs.contains(&spelled(&place)) {
            format!("the output would overwrite an input; choose another path: {shown}")
        } else if !self.overwrite && place.exists() && !is_own() {
            format!("the output exists; use --overwrite to replace it: {shown}")
        } else {
            self.outputs.insert(spelled(&place));
            return Ok(());
        };
        Err(Misuse(said))
    }

    /// The path, or the first numbered one beside it, that this command has no other use for and that is not there; with
    /// `overwrite`, what is there is taken all the same. `is_own` as for [`Self::take`].
    pub(crate) fn free(&mut self, wanted: &Path, is_own: impl Fn(&Path) -> bool) -> PathBuf {
        let overwrite = self.overwrite;
        let path = naming::numbered(wanted, &|path| {
            let place = resolve(path);
            let is_there = place.exists() && !(place.is_file() && (overwrite || is_own(path)));
            is_there || self.inputs.contains(&spelled(&place)) || self.outputs.contains(&spelled(&place))
        });
        self.outputs.insert(spelled(&resolve(&path)));
        path
    }

    /// Takes a path if the command has no other use for it, whatever is there.
    pub(crate) fn reserve(&mut self, path: &Path) -> bool {
        let place = resolve(path);
        !self.inputs.contains(&spelled(&place)) && self.outputs.insert(spelled(&place))
    }
}

/// Bytes that file systems take in a name.
const LONGEST_NAME: usize = 255;

fn name_length(place: &Path) -> usize {
    place.file_name().map_or(0, std::ffi::OsStr::len)
}

fn overlaps(a: &Path, b: &Path) -> bool {
    a.starts_with(b) || b.starts_with(a)
}

/// Whether a path says that it is a folder's.
pub(crate) fn ends_as_folder(path: &Path) -> bool {
    path.as_os_str().to_string_lossy().ends_with(['/', '\\'])
}

/// Makes the folder of a file, and finds out whether files can be written there.
///
/// # Errors
/// If not, with the reason.
pub(crate) fn prepare_folder_of(file: &Path) -> Result<(), Misuse> {
    match resolve(file).parent() {
        Some(folder) => prepare_folder(folder),
        None => Ok(()),
    }
}

/// Makes a folder, and finds out whether files can be written there.
///
/// # Errors
/// If not, with the reason.
pub(crate) fn prepare_folder(folder: &Path) -> Result<(), Misuse> {
    check_folder(folder).map_err(|error| Misuse(format!("cannot write to the folder ({error}): {}", folder.display())))
}

/// Many file systems take names for the same that differ in case only.
fn spelled(place: &Path) -> PathBuf {
    match place.to_str() {
        Some(text) => text.to_lowercase().into(),
        None => place.to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn no_output_replaces_an_input_or_another_output_however_it_is_spelled() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("sub")).unwrap();
        std::fs::write(root.join("in.png"), "").unwrap();
        std::fs::write(root.join("there.png"), "").unwrap();
        for overwrite in [false, true] {
            let mut targets = Targets::new(overwrite);
            targets.protect(&root.join("sub/../in.png"));
            let mut said = |path: &str| match targets.take(&root.join(path), || false) {
                Ok(()) => String::new(),
                Err(misuse) => misuse.0,
            };
            assert!(said("./in.png").contains("input"));
            assert!(said("sub").contains("folder") && said("new/").contains("folder"));
            assert_eq!(said("out.png"), "");
            assert!(said("sub/../out.png").contains("two outputs") && said("out.png/d.png").contains("two outputs"));
            assert!(said(&"n".repeat(256)).contains("too long"));
            assert!(said("OUT.png").contains("two outputs"));
            assert_eq!(said("there.png").contains("--overwrite"), !overwrite);
            let next = targets.free(&root.join("out.png"), |_| false);
            assert_eq!(next, root.join("out-2.png"));
            assert_eq!(targets.free(&root.join("out.png"), |_| false), root.join("out-3.png"));
            let there = targets.free(&root.join("in.png"), |_| false);
            assert_eq!(there, root.join("in-2.png"), "never an input");
        }
        let mut targets = Targets::new(false);
        targets.take(&root.join("there.png"), || true).unwrap();
        assert!(!targets.reserve(&root.join("There.PNG")) && targets.reserve(&root.join("there2.png")));
        assert_eq!(targets.free(&root.join("there.png"), |_| true), root.join("there-2.png"));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_what_they_lead_to() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::write(root.join("in.png"), "").unwrap();
        std::os::unix::fs::symlink("in.png", root.join("link.png")).unwrap();
        std::os::unix::fs::symlink("later.png", root.join("dangling.png")).unwrap();
        let mut targets = Targets::new(true);
        targets.protect(&root.join("link.png"));
        assert!(targets.take(&root.join("in.png"), || false).is_err());
        targets.take(&root.join("dangling.png"), || false).unwrap();
        assert!(targets.take(&root.join("later.png"), || false).is_err());
    }

    #[test]
    fn folders_are_tried_before_the_work() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        prepare_folder_of(&root.join("a/b/out.png")).unwrap();
        assert_eq!(std::fs::read_dir(root.join("a/b")).unwrap().count(), 0, "nothing stays behind");
        std::fs::write(root.join("file"), "").unwrap();
        assert!(prepare_folder(&root.join("file/below")).unwrap_err().0.contains("file"));
    }
}
