//! The record of a batch beside its results: what is done, by content and settings, so that a killed run goes on where it
//! was and nothing is made twice.
//!
//! One JSON object a line, only ever appended. A line that was cut off by a kill is as good as not there: that picture is
//! done again, under the name it had been given.

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use dualres_imaging::{
    file::resolve,
    lock::{Lock, LockError},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::place::{self, Place};

/// File of the record in the folder of results.
pub const FILE: &str = "dualres-batch.jsonl";

/// A line of the record.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "record", rename_all = "kebab-case")]
enum Record {
    /// A run began.
    Run {
        /// The command, for people.
        command: Vec<String>,
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
    #[serde(with = "place")]
    pub output: PathBuf,
    /// Size of its file in bytes.
    pub bytes: u64,
    /// Width and height in pixels.
    pub size: [usize; 2],
    /// Loop PSNR in dB; absent without dual models or for a perfect loop.
    pub loop_psnr: Option<f64>,
    /// Expected PSNR in dB; absent for models whose errors are not known.
    #[serde(default)]
    pub expected_psnr: Option<f64>,
    /// File to file.
    pub seconds: f64,
    /// Proofs that were asked for with it, in the order of their kinds.
    #[serde(default)]
    pub proofs: [Proof; 3],
}

/// A proof beside a result.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// Nobody asked for it.
    #[default]
    No,
    /// It lies there.
    At(#[serde(with = "place")] PathBuf),
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

/// The record of a folder of results, held by one run at a time.
pub struct Journal {
    folder: PathBuf,
    file: File,
    lock: Lock,
    known: Known,
}

/// What a record says.
#[derive(Default)]
struct Known {
    begun: Names,
    /// Sums of the files that results were written as.
    written: HashMap<Key, String>,
    done: HashMap<Key, Done>,
    /// Sums of tables.
    tables: HashMap<PathBuf, String>,
    /// Sums of proofs.
    proofs: HashMap<PathBuf, String>,
    /// Whether any line is one of ours, or there is none.
    is_record: bool,
}

impl Known {
    /// Reads all lines. Returns also whether the last one is whole.
    fn read(file: &File) -> std::io::Result<(Self, bool)> {
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

    fn wrote_table(&self, table: &Path) -> bool {
        self.tables.get(&resolve(table)).is_some_and(|sum| content_of(table).is_ok_and(|there| there == *sum))
    }

    fn take(&mut self, record: Record) {
        match record {
            Record::Begun { of, output } => self.begun.claim(of, output.path()),
            Record::Done { of, done } => {
                self.begun.claim(of.clone(), done.output.clone());
                self.done.insert(of, done);
            }
            Record::Written { of, sum } => drop(self.written.insert(of, sum)),
            Record::Table { path, sum } => drop(self.tables.insert(path.path(), sum)),
            Record::Proof { path, sum } => drop(self.proofs.insert(path.path(), sum)),
            Record::Run { .. } => {}
        }
    }
}

/// Why a record cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It cannot be read or written.
    #[error("cannot write the batch record ({source}): {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is something else.
    #[error("not a batch record of Dualres; move it away, or choose another folder: {}", .0.display())]
    NoRecord(PathBuf),
    /// Another run holds it.
    #[error("another process is writing to this folder; wait, or choose another folder: {}", .0.display())]
    Held(PathBuf),
}

impl Journal {
    /// Opens the record of `folder`, or begins one, and notes the command.
    ///
    /// # Errors
    /// If it cannot be read or written, or another run holds it.
    pub fn open(folder: &Path, command: &[String]) -> Result<Self, JournalError> {
        let path = folder.join(FILE);
        let failed = |source| JournalError::File { path: path.clone(), source };
        let mut file = File::options().read(true).append(true).create(true).open(&path).map_err(failed)?;
        let lock = Lock::of(file.try_clone().map_err(failed)?).map_err(|error| match error {
            LockError::Held => JournalError::Held(folder.to_owned()),
            LockError::File(source) => failed(source),
        })?;
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let (known, whole) = Known::read(&file).map_err(failed)?;
        if !known.is_record {
            return Err(JournalError::NoRecord(path));
        }
        // What a kill cut off must not spoil the line after it.
        if !whole {
            file.write_all(b"\n").map_err(failed)?;
        }
        let mut journal = Self { folder: folder.to_owned(), file, lock, known };
        journal.append(&Record::Run { command: command.to_vec() })?;
        Ok(journal)
    }

    /// Why it is not certain that no other run writes to the folder.
    pub fn doubt(&self) -> Option<String> {
        self.lock.doubt()
    }

    /// The result of a picture, if it is still there as it was written.
    pub fn done(&self, of: &Key) -> Option<&Done> {
        let done = self.known.done.get(of)?;
        let there = std::fs::metadata(self.folder.join(&done.output)).ok()?;
        (there.len() == done.bytes).then_some(done)
    }

    /// The name that a result was to have when its run was cut off. A file that is there by now under that name keeps it,
    /// unless it is that very result.
    pub fn begun(&self, of: &Key) -> Option<PathBuf> {
        let output = self.known.begun.of.get(of).filter(|_| !self.known.done.contains_key(of))?;
        let path = self.folder.join(output);
        (!path.exists() || self.owns(of, &path)).then_some(path)
    }

    /// Whether a file is the result that was last written for a picture, and may be replaced by another of the same.
    pub fn owns(&self, of: &Key, path: &Path) -> bool {
        let is_its_name = self.known.begun.of.get(of).is_some_and(|output| self.folder.join(output) == path);
        let is_its_content = || match (self.known.written.get(of), content_of(path)) {
            (Some(written), Ok(there)) => *written == there,
            _ => false,
        };
        is_its_name && is_its_content()
    }

    /// The results of all runs in this folder.
    pub fn outputs(&self) -> impl Iterator<Item = PathBuf> {
        self.known.begun.owners.keys().map(|output| self.folder.join(output))
    }

    /// Notes that a picture is being worked on.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn begin(&mut self, of: &Key, output: &Path) -> Result<(), JournalError> {
        let output = output.strip_prefix(&self.folder).unwrap_or(output).to_owned();
        self.append(&Record::Begun { of: of.clone(), output: output.as_path().into() })?;
        self.known.begun.claim(of.clone(), output);
        Ok(())
    }

    /// Notes the file that is about to appear as a picture's result, so that it is known again if the run is cut off
    /// before the picture is done.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn write(&mut self, of: &Key, file: &[u8]) -> Result<(), JournalError> {
        let sum = hexadecimal(&Sha256::digest(file));
        self.append(&Record::Written { of: of.clone(), sum: sum.clone() })?;
        self.known.written.insert(of.clone(), sum);
        Ok(())
    }

    /// Notes that a picture is done.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn finish(&mut self, of: &Key, done: Done) -> Result<(), JournalError> {
        let output = done.output.strip_prefix(&self.folder).unwrap_or(&done.output).to_owned();
        let done = Done { output, ..done };
        self.append(&Record::Done { of: of.clone(), done: done.clone() })?;
        self.known.done.insert(of.clone(), done);
        Ok(())
    }

    /// Notes a proof that is about to appear.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn proof(&mut self, path: &Path, file: &[u8]) -> Result<(), JournalError> {
        let sum = hexadecimal(&Sha256::digest(file));
        self.append(&Record::Proof { path: resolve(path).as_path().into(), sum })
    }

    /// Notes a table of results that is about to be written, so that a later run knows it for its own.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn table(&mut self, path: &Path, file: &[u8]) -> Result<(), JournalError> {
        let (path, sum) = (resolve(path), hexadecimal(&Sha256::digest(file)));
        self.append(&Record::Table { path: path.as_path().into(), sum: sum.clone() })?;
        self.known.tables.insert(path, sum);
        Ok(())
    }

    /// Whether a file is a table that a run of this batch wrote, and nobody has changed since.
    pub fn wrote_table(&self, table: &Path) -> bool {
        self.known.wrote_table(table)
    }

    fn append(&mut self, record: &Record) -> Result<(), JournalError> {
        let failed = |source| JournalError::File { path: self.folder.join(FILE), source };
        let mut line = serde_json::to_vec(record).map_err(|error| failed(error.into()))?;
        line.push(b'\n');
        self.file.write_all(&line).map_err(failed)
    }
}

fn known_of(folder: &Path) -> Option<Known> {
    let file = File::open(folder.join(FILE)).ok()?;
    file.metadata().ok()?.is_file().then(|| Known::read(&file).ok())?.map(|(known, _)| known)
}

/// The results and proofs that the record of a folder names, if it has one, and which are there as they were written.
pub fn results_in(folder: &Path) -> Vec<PathBuf> {
    let Some(known) = known_of(folder) else { return Vec::new() };
    let is_whole = |path: &Path, sum: &str| content_of(path).is_ok_and(|there| there == sum);
    let mut results = Vec::new();
    let mut noted: HashSet<&PathBuf> = HashSet::new();
    for (of, output) in &known.begun.of {
        let path = folder.join(output);
        let done = known.done.get(of);
        let is_result = match done {
            Some(done) => std::fs::metadata(&path).is_ok_and(|there| there.len() == done.bytes),
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
    known_of(folder).is_some_and(|known| known.wrote_table(table))
}

/// Which picture has which name.
#[derive(Default)]
struct Names {
    of: HashMap<Key, PathBuf>,
    owners: HashMap<PathBuf, Key>,
}

impl Names {
    /// Gives a name to a picture; whoever was to have it before has lost it.
    fn claim(&mut self, of: Key, output: PathBuf) {
        if let Some(before) = self.owners.insert(output.clone(), of.clone()).filter(|before| *before != of) {
            self.of.remove(&before);
        }
        self.of.insert(of, output);
    }
}

/// SHA-256 of a file in hexadecimal digits.
///
/// # Errors
/// If it cannot be read.
pub fn content_of(path: &Path) -> std::io::Result<String> {
    let mut file = File::open(path)?;
    let mut digest = Sha256::new();
    let mut part = vec![0; 1 << 16];
    loop {
        match file.read(&mut part)? {
            0 => break,
            count => digest.update(&part[..count]),
        }
    }
    Ok(hexadecimal(&digest.finalize()))
}

/// A short name of settings, from all that they say.
pub fn settings_of(settings: &impl Serialize) -> String {
    fingerprint(&serde_json::to_vec(settings).unwrap_or_default())
}

/// A short name of bytes.
pub fn fingerprint(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes)[..8])
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn key(input: &str) -> Key {
        Key { input: input.into(), content: "c".into(), settings: "s".into() }
    }

    fn result(folder: &Path, name: &str) -> Done {
        std::fs::write(folder.join(name), b"12345").unwrap();
        Done {
            output: folder.join(name),
            bytes: 5,
            size: [2, 1],
            loop_psnr: Some(40.5),
            expected_psnr: None,
            seconds: 0.1,
            proofs: Default::default(),
        }
    }

    #[test]
    fn what_is_done_is_known_after_a_restart_and_what_was_cut_off_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        {
            let mut journal = Journal::open(path, &[]).unwrap();
            journal.begin(&key("a"), &path.join("a_x2.png")).unwrap();
            journal.finish(&key("a"), result(path, "a_x2.png")).unwrap();
            journal.begin(&key("b"), &path.join("b_x2.png")).unwrap();
            assert!(matches!(Journal::open(path, &[]), Err(JournalError::Held(_))), "one run at a time");
        }
        // A kill in the middle of a line.
        let mut file = File::options().append(true).open(path.join(FILE)).unwrap();
        file.write_all(b"{\"record\":\"done\",\"input\":\"b\",\"con").unwrap();
        drop(file);
        let mut journal = Journal::open(path, &[]).unwrap();
        assert_eq!(journal.done(&key("a")).unwrap().loop_psnr, Some(40.5));
        assert_eq!(journal.begun(&key("a")), None);
        assert_eq!(journal.done(&key("b")), None);
        assert_eq!(journal.begun(&key("b")), Some(path.join("b_x2.png")));
        assert_eq!(journal.done(&Key { settings: "other".into(), ..key("a") }), None);
        journal.finish(&key("b"), result(path, "b_x2.png")).unwrap();
        drop(journal);

        let journal = Journal::open(path, &[]).unwrap();
        assert!(journal.done(&key("b")).is_some());
        // A result that was changed or taken away is made again.
        std::fs::write(path.join("a_x2.png"), b"1234567").unwrap();
        std::fs::remove_file(path.join("b_x2.png")).unwrap();
        assert_eq!((journal.done(&key("a")), journal.done(&key("b"))), (None, None));
    }

    #[test]
    fn a_name_that_went_to_another_picture_is_not_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut journal = Journal::open(path, &[]).unwrap();
        journal.begin(&key("a"), &path.join("same.png")).unwrap();
        journal.begin(&key("b"), &path.join("same.png")).unwrap();
        journal.finish(&key("b"), result(path, "same.png")).unwrap();
        assert_eq!(journal.begun(&key("a")), None);
        drop(journal);
        let journal = Journal::open(path, &[]).unwrap();
        assert_eq!(journal.begun(&key("a")), None, "nor after a restart");
        assert_eq!(journal.outputs().collect::<Vec<_>>(), [path.join("same.png")]);
    }

    /// Killed between the file and the record of it: the file is known again. One that somebody else put there is not.
    #[test]
    fn a_file_that_took_a_name_in_the_meantime_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let target = path.join("a_x2.png");
        let mut journal = Journal::open(path, &[]).unwrap();
        journal.begin(&key("a"), &target).unwrap();
        journal.write(&key("a"), b"the result").unwrap();
        drop(journal);
        let begun = || Journal::open(path, &[]).unwrap().begun(&key("a"));
        assert_eq!(begun(), Some(target.clone()), "nothing is there yet");
        std::fs::write(&target, b"the result").unwrap();
        assert_eq!(begun(), Some(target.clone()), "it is this result");
        std::fs::write(&target, b"somebody's").unwrap();
        assert_eq!(begun(), None);
    }

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

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_recorded() {
        use std::os::unix::ffi::OsStringExt;
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join(std::ffi::OsString::from_vec(b"caf\xe9.png".to_vec()));
        let mut journal = Journal::open(folder.path(), &[]).unwrap();
        journal.begin(&key("a"), &odd).unwrap();
        drop(journal);
        assert_eq!(Journal::open(folder.path(), &[]).unwrap().begun(&key("a")), Some(odd));
    }

    #[test]
    fn content_is_known_by_its_sum() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("f");
        std::fs::write(&path, b"abc").unwrap();
        assert!(content_of(&path).unwrap().starts_with("ba7816bf8f01cfea"));
        assert_ne!(settings_of(&("x2", 95)), settings_of(&("x2", 94)));
    }
}
