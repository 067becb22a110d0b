//! What the record of a batch says: its lines, what they add up to, and which results and proofs a folder's record names.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    time::SystemTime,
};

use dualres_imaging::{
    file::resolve,
    lock::{Lock, LockError},
};
use serde::{Deserialize, Serialize};

use super::{
    location::{self, Place},
    shard::Shard,
    sums::content_of,
};

/// File of the record in the folder of results.
pub const FILE: &str = ".dualres-batch.jsonl";

/// A line of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
pub(super) enum Record {
    /// A run began.
    Run {
        /// The command, for people.
        command: Vec<String>,
    },
    /// A run found so many pictures to do, those that are done included.
    Planned {
        /// How many.
        pictures: usize,
    },
    /// A picture could not be done.
    Failed {
        /// The picture, as in [`Key`].
        input: String,
        /// Why not.
        reason: String,
    },
    /// A picture is being worked on; its result will have this name.
    Begun {
        #[serde(flatten)]
        of: Key,
        /// The result, from the folder of results on.
        output: Place,
    },
    /// A result is about to appear under its name.
    Written {
        #[serde(flatten)]
        of: Key,
        /// SHA-256 of the file.
        sum: String,
    },
    /// A picture is done.
    Done {
        #[serde(flatten)]
        of: Key,
        #[serde(flatten)]
        done: Done,
    },
    /// A proof is about to appear.
    Proof {
        /// Where it lies.
        path: Place,
        /// SHA-256 of the file.
        sum: String,
    },
    /// A table of results was written.
    Table {
        /// Where it lies.
        path: Place,
        /// SHA-256 of the file.
        sum: String,
    },
}

/// What a result belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The picture, from the folder that was named on.
    pub input: String,
    /// SHA-256 of the file.
    pub content: String,
    /// All settings that have to do with the result.
    pub settings: String,
}

/// A result that is there.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The result, from the folder of results on.
    #[serde(with = "location")]
    pub output: PathBuf,
    /// What its file was like when it was written.
    #[serde(flatten)]
    pub stamp: Stamp,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Name of the model; empty in records of before.
    #[serde(default)]
    pub model: String,
    /// Consistency PSNR in dB; absent without dual models or for a perfect loop.
    pub loop_psnr: Option<f64>,
    /// Predicted PSNR in dB; absent for models whose errors are not known.
    #[serde(default)]
    pub expected_psnr: Option<f64>,
    /// File to file.
    pub seconds: f64,
    /// Proofs that were asked for with it, in the order of their kinds.
    #[serde(default)]
    pub proofs: [Proof; 3],
}

/// By what a file is known to be unchanged without reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// Size in bytes.
    pub bytes: u64,
    /// Time of its last change; absent in records of before, and where the file system keeps none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub modified: Option<SystemTime>,
}

impl Stamp {
    /// That of a file as it is now; of one that is not there, an empty one.
    pub fn of(path: &Path) -> Self {
        std::fs::metadata(path)
            .map_or_else(|_| Self::default(), |there| Self { bytes: there.len(), modified: there.modified().ok() })
    }

    /// Whether the file is there as it was. One of another time, such as a copy, is compared by its content if that is
    /// known: `sum` is the SHA-256 it was written with.
    fn is_of(&self, path: &Path, sum: Option<&String>) -> bool {
        let now = Self::of(path);
        let is_same_time = self.modified.is_none() || self.modified == now.modified;
        path.is_file()
            && self.bytes == now.bytes
            && (is_same_time || sum.is_none_or(|sum| content_of(path).is_ok_and(|there| there == *sum)))
    }
}

/// A proof beside a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Nobody asked for it.
    #[default]
    No,
    /// It lies there.
    At(#[serde(with = "location")] PathBuf),
    /// There is none for this result, so it need not be tried again.
    Impossible,
}

impl Proof {
    /// Whether a proof that is to lie in `folder` is there, or cannot be had.
    pub fn is_in(&self, folder: &Path) -> bool {
        match self {
            Self::No => false,
            Self::Impossible => true,
            Self::At(path) => resolve(path).parent() == Some(&resolve(folder)) && path.exists(),
        }
    }
}

/// What a record says.
#[derive(Default)]
pub(super) struct Known {
    pub(super) begun: Names,
    /// Sums of the files that results were written as.
    pub(super) written: HashMap<Key, String>,
    pub(super) done: HashMap<Key, Done>,
    /// By picture and settings, what was done last: its content may have changed since another time.
    pub(super) latest: BTreeMap<(String, String), Key>,
    /// Sums of tables.
    pub(super) tables: HashMap<PathBuf, String>,
    /// Sums of proofs.
    proofs: HashMap<PathBuf, String>,
    /// Pictures that the last run was to do.
    pub(super) planned: Option<usize>,
    /// Pictures that failed and were not done since, with the reason.
    pub(super) failed: BTreeMap<String, String>,
    /// Whether any line is one of ours, or there is none.
    pub(super) is_record: bool,
}

impl Known {
    /// Reads all lines. Returns also whether the last one is whole.
    pub(super) fn read(file: &File) -> std::io::Result<(Self, bool)> {
        let mut known = Self::default();
        let (mut whole, mut lines) = (true, 0);
        let mut reader = BufReader::new(file);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            whole = line.ends_with(b"\n");
            lines += usize::from(whole);
            // What a newer version says more is not known here; what a kill cut off is as good as not there.
            if let Ok(record) = serde_json::from_slice(&line) {
                known.take(record);
                known.is_record = true;
            }
            line.clear();
        }
        // A first line that a kill cut off is the beginning of a record too.
        known.is_record |= lines == 0;
        Ok((known, whole))
    }

    pub(super) fn wrote_table(&self, table: &Path) -> bool {
        self.tables.get(&resolve(table)).is_some_and(|sum| content_of(table).is_ok_and(|there| there == *sum))
    }

    /// Whether the result of a picture that is done lies at `path` as it was written.
    pub(super) fn is_unchanged(&self, of: &Key, path: &Path) -> bool {
        self.done.get(of).is_some_and(|done| done.stamp.is_of(path, self.written.get(of)))
    }

    pub(super) fn take(&mut self, record: Record) {
        match record {
            Record::Begun { of, output } => self.begun.claim(of, output.path()),
            Record::Done { of, done } => {
                self.failed.remove(&of.input);
                self.begun.claim(of.clone(), done.output.clone());
                self.latest.insert((of.input.clone(), of.settings.clone()), of.clone());
                self.done.insert(of, done);
            }
            Record::Written { of, sum } => drop(self.written.insert(of, sum)),
            Record::Table { path, sum } => drop(self.tables.insert(path.path(), sum)),
            Record::Proof { path, sum } => drop(self.proofs.insert(path.path(), sum)),
            Record::Planned { pictures } => {
                // What failed before is tried again.
                self.failed.clear();
                self.planned = Some(pictures);
            }
            Record::Failed { input, reason } => drop(self.failed.insert(input, reason)),
            Record::Run { .. } => {}
        }
    }
}

/// Which picture has which name.
#[derive(Default)]
pub(super) struct Names {
    pub(super) of: HashMap<Key, PathBuf>,
    pub(super) owners: HashMap<PathBuf, Key>,
}

impl Names {
    /// Gives a name to a picture; whoever was to have it before has lost it.
    pub(super) fn claim(&mut self, of: Key, output: PathBuf) {
        if let Some(before) = self.owners.insert(output.clone(), of.clone()).filter(|before| *before != of) {
            self.of.remove(&before);
        }
        self.of.insert(of, output);
    }
}

/// The records of a folder of results: that of a batch in one, and those of shards in their order.
pub(super) fn records_in(folder: &Path) -> Vec<(Option<Shard>, PathBuf)> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let record = |entry: std::fs::DirEntry| Some((Shard::of_record(&entry.path())?, entry.path()));
    let mut records: Vec<_> = entries.flatten().filter_map(record).filter(|(_, path)| path.is_file()).collect();
    records.sort();
    records
}

/// Whether a file has the name of a record.
pub fn is_record(file: &Path) -> bool {
    Shard::of_record(file).is_some()
}

/// Whether a run holds a record, here or on a machine whose locks are seen here. Held for a moment by whoever asks, which
/// [`super::journal::Journal::open`] allows for.
pub(super) fn is_held(record: &Path) -> bool {
    let file = File::options().read(true).append(true).open(record);
    file.is_ok_and(|file| matches!(Lock::of(file), Err(LockError::Held)))
}

/// What a record says, if it is one that can be read.
pub(super) fn known_of(record: &Path) -> Option<Known> {
    let (known, _) = Known::read(&File::open(record).ok()?).ok()?;
    known.is_record.then_some(known)
}

fn all_known_of(folder: &Path) -> impl Iterator<Item = Known> {
    records_in(folder).into_iter().filter_map(|(_, path)| known_of(&path))
}

/// The results and proofs that the records of a folder name, if it has any, and which are there as they were written.
pub fn results_in(folder: &Path) -> Vec<PathBuf> {
    all_known_of(folder).flat_map(|known| results_of(folder, &known)).collect()
}

fn results_of(folder: &Path, known: &Known) -> Vec<PathBuf> {
    let is_whole = |path: &Path, sum: &str| content_of(path).is_ok_and(|there| there == sum);
    let mut results = Vec::new();
    let mut noted: HashSet<&PathBuf> = HashSet::new();
    for (of, output) in &known.begun.of {
        let path = folder.join(output);
        let done = known.done.get(of);
        let is_result = match done {
            Some(_) => known.is_unchanged(of, &path),
            None => known.written.get(of).is_some_and(|sum| is_whole(&path, sum)),
        };
        if is_result {
            results.push(path);
        }
        let proofs = done.map_or(&[][..], |done| &done.proofs);
        noted.extend(proofs.iter().filter_map(|proof| match proof {
            Proof::At(path) => Some(path),
            Proof::No | Proof::Impossible => None,
        }));
    }
    // Proofs whose picture was not done before the run was cut off are known by their content.
    let cut_off = known.proofs.iter().filter(|(path, sum)| !noted.contains(path) && is_whole(path, sum));
    results.extend(cut_off.map(|(path, _)| path.clone()));
    results.extend(noted.into_iter().cloned());
    results
}

/// Whether a file is a table that a run of the batch in `folder` wrote, and nobody has changed since.
pub fn wrote_table(folder: &Path, table: &Path) -> bool {
    all_known_of(folder).any(|known| known.wrote_table(table))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_there_if_its_file_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a_dual.png");
        let proof = Proof::At(path.clone());
        assert!(!proof.is_in(folder.path()));
        std::fs::write(&path, b"").unwrap();
        assert!(proof.is_in(folder.path()) && !proof.is_in(Path::new("elsewhere")));
        assert!(Proof::Impossible.is_in(folder.path()) && !Proof::No.is_in(folder.path()));
        let text = serde_json::to_string(&[proof.clone(), Proof::No, Proof::Impossible]).unwrap();
        assert_eq!(serde_json::from_str::<[Proof; 3]>(&text).unwrap(), [proof, Proof::No, Proof::Impossible]);
    }
}
