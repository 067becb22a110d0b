//! The record of a batch beside its results: what is done, by content and settings, so that a killed run goes on where it
//! was and nothing is made twice.
//!
//! One JSON object a line, only ever appended. A line that was cut off by a kill is as good as not there: that picture is
//! done again, under the name it had been given.

use std::{
    fs::File,
    io::{Seek, SeekFrom, Write},
    path::{Path, PathBuf},
};

use dualres_imaging::{
    file::resolve,
    lock::{Lock, LockError},
};
use sha2::{Digest, Sha256};

use super::{
    record::{Done, FILE, Key, Known, Record, is_held, known_of, records_in},
    shard::Shard,
    sums::{content_of, hexadecimal},
};

/// The record of a folder of results, held by one run at a time.
pub struct Journal {
    folder: PathBuf,
    /// Name of the record in the folder.
    name: String,
    file: File,
    lock: Lock,
    known: Known,
    /// What other records in the folder say: those of other shards, or of all if this is that of a batch in one.
    others: Vec<Known>,
}

/// Times that a record is asked for before it counts as held.
const ATTEMPTS: usize = 10;

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
    /// Another run shares the pictures out in another way.
    #[error("another process runs {other} in this folder; wait, or use as many shards: {}", folder.display())]
    OtherShards {
        /// The folder of results.
        folder: PathBuf,
        /// What it runs.
        other: String,
    },
    /// Another run holds it.
    #[error("another process is writing to this folder; wait, or choose another folder: {}", .0.display())]
    Held(PathBuf),
}

impl Journal {
    /// Opens the record of `folder`, or that of a shard, or begins one, and notes the command.
    ///
    /// # Errors
    /// If it cannot be read or written, or another run holds it.
    pub fn open(folder: &Path, shard: Option<Shard>, command: &[String]) -> Result<Self, JournalError> {
        let name = name_in(folder, shard);
        let path = folder.join(&name);
        let failed = |source| JournalError::File { path: path.clone(), source };
        let mut file = File::options().read(true).append(true).create(true).open(&path).map_err(failed)?;
        let mut attempts = 0;
        let lock = loop {
            match Lock::of(file.try_clone().map_err(failed)?) {
                Ok(lock) => break lock,
                Err(LockError::File(source)) => return Err(failed(source)),
                // Whoever asks how far a batch is holds its records for a moment.
                Err(LockError::Held) if attempts < ATTEMPTS => attempts += 1,
                Err(LockError::Held) => return Err(JournalError::Held(folder.to_owned())),
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        };
        // Two ways to share the same pictures out would do some of them twice.
        let count = |shard: Option<Shard>| shard.map_or(0, |shard| shard.count);
        let others = || records_in(folder).into_iter().filter(|(_, other)| *other != path);
        if others().any(|(other, path)| other == shard && is_held(&path)) {
            return Err(JournalError::Held(folder.to_owned()));
        }
        let other = others().find(|(other, path)| count(*other) != count(shard) && is_held(path));
        if let Some((other, _)) = other {
            let other = other.map_or("a batch without shards".to_owned(), |shard| format!("shard {shard}"));
            return Err(JournalError::OtherShards { folder: folder.to_owned(), other });
        }
        file.seek(SeekFrom::Start(0)).map_err(failed)?;
        let (known, whole) = Known::read(&file).map_err(failed)?;
        if !known.is_record {
            return Err(JournalError::NoRecord(path));
        }
        // What a kill cut off must not spoil the line after it.
        if !whole {
            file.write_all(b"\n").map_err(failed)?;
        }
        let others = records_in(folder).into_iter().filter(|(_, other)| *other != path);
        let others = others.filter_map(|(_, path)| known_of(&path)).collect();
        let mut journal = Self { folder: folder.to_owned(), name, file, lock, known, others };
        journal.append(&Record::Run { command: command.to_vec() })?;
        Ok(journal)
    }

    /// Why it is not certain that no other run writes to the folder.
    pub fn doubt(&self) -> Option<String> {
        self.lock.doubt()
    }

    /// The result of a picture, if it is still there as it was written.
    pub fn done(&self, of: &Key) -> Option<&Done> {
        let known = std::iter::once(&self.known).chain(&self.others).find(|known| known.done.contains_key(of))?;
        let done = &known.done[of];
        known.is_unchanged(of, &self.folder.join(&done.output)).then_some(done)
    }

    /// Notes a result that another record in the folder knows, so that this one is whole by itself.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn adopt(&mut self, of: &Key) -> Result<(), JournalError> {
        if self.known.done.contains_key(of) {
            return Ok(());
        }
        let Some(known) = self.others.iter().find(|known| known.done.contains_key(of)) else { return Ok(()) };
        let (sum, done) = (known.written.get(of).cloned(), known.done[of].clone());
        let written = sum.map(|sum| Record::Written { of: of.clone(), sum });
        for record in written.into_iter().chain([Record::Done { of: of.clone(), done }]) {
            self.append(&record)?;
            self.known.take(record);
        }
        Ok(())
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
        let all = std::iter::once(&self.known).chain(&self.others);
        all.flat_map(|known| known.begun.owners.keys()).map(|output| self.folder.join(output))
    }

    /// Notes how many pictures the run is to do.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn plan(&mut self, pictures: usize) -> Result<(), JournalError> {
        self.append(&Record::Planned { pictures })
    }

    /// Notes that a picture could not be done.
    ///
    /// # Errors
    /// If the record cannot be written.
    pub fn fail(&mut self, input: &str, reason: &str) -> Result<(), JournalError> {
        self.append(&Record::Failed { input: input.to_owned(), reason: reason.to_owned() })
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
        let path = resolve(path);
        let record = Record::Proof { path: path.as_path().into(), sum };
        self.append(&record)?;
        // Where this record is not looked for, a batch over that folder would take the proof for a picture.
        match path.parent() {
            Some(folder) if !path.starts_with(resolve(&self.folder)) => append(folder, &record),
            _ => Ok(()),
        }
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
        let failed = |source| JournalError::File { path: self.folder.join(&self.name), source };
        let line = line(record).map_err(failed)?;
        self.file.write_all(&line).map_err(failed)
    }
}

/// The name of the record of a folder, or of a shard there. One of before, without a dot, is gone on with.
fn name_in(folder: &Path, shard: Option<Shard>) -> String {
    let hidden = shard.map_or_else(|| FILE.to_owned(), Shard::record);
    let shown = hidden.trim_start_matches('.');
    if folder.join(shown).is_file() { shown.to_owned() } else { hidden }
}

/// Adds a line to the record of a folder that another run may hold: whole lines do not mix.
fn append(folder: &Path, record: &Record) -> Result<(), JournalError> {
    let path = folder.join(name_in(folder, None));
    let noted = line(record).and_then(|line| {
        File::options().append(true).create(true).open(&path).and_then(|mut file| file.write_all(&line))
    });
    noted.map_err(|source| JournalError::File { path, source })
}

fn line(record: &Record) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(record)?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::{
        super::record::{Stamp, results_in},
        *,
    };

    fn key(input: &str) -> Key {
        Key { input: input.into(), content: "c".into(), settings: "s".into() }
    }

    fn result(folder: &Path, name: &str) -> Done {
        std::fs::write(folder.join(name), b"12345").unwrap();
        Done {
            output: folder.join(name),
            stamp: Stamp::of(&folder.join(name)),
            size: [2, 1],
            model: "x2".into(),
            loop_psnr: Some(40.5),
            expected_psnr: None,
            seconds: 0.1,
            proofs: Default::default(),
        }
    }

    #[test]
    fn a_record_of_before_is_gone_on_with_under_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let (hidden, shown) = (folder.path().join(FILE), folder.path().join("dualres-batch.jsonl"));
        let mut journal = Journal::open(folder.path(), None, &[]).unwrap();
        journal.begin(&key("a"), &folder.path().join("a.png")).unwrap();
        journal.finish(&key("a"), result(folder.path(), "a.png")).unwrap();
        drop(journal);
        std::fs::rename(&hidden, &shown).unwrap();
        let journal = Journal::open(folder.path(), None, &[]).unwrap();
        assert!(journal.done(&key("a")).is_some() && !hidden.exists());
        append(folder.path(), &Record::Run { command: Vec::new() }).unwrap();
        assert!(!hidden.exists(), "proofs go there as well");
        // Both at once, of programs of two ages: neither writes while the other does.
        std::fs::write(&hidden, "").unwrap();
        let held = Lock::of(File::options().read(true).append(true).open(&hidden).unwrap()).unwrap();
        drop(journal);
        assert!(matches!(Journal::open(folder.path(), None, &[]), Err(JournalError::Held(_))));
        drop(held);
        assert!(Journal::open(folder.path(), None, &[]).unwrap().done(&key("a")).is_some());
    }

    #[test]
    fn what_is_done_is_known_after_a_restart_and_what_was_cut_off_keeps_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        {
            let mut journal = Journal::open(path, None, &[]).unwrap();
            journal.begin(&key("a"), &path.join("a_x2.png")).unwrap();
            journal.finish(&key("a"), result(path, "a_x2.png")).unwrap();
            journal.begin(&key("b"), &path.join("b_x2.png")).unwrap();
            assert!(matches!(Journal::open(path, None, &[]), Err(JournalError::Held(_))), "one run at a time");
        }
        // A kill in the middle of a line.
        let mut file = File::options().append(true).open(path.join(FILE)).unwrap();
        file.write_all(b"{\"record\":\"done\",\"input\":\"b\",\"con").unwrap();
        drop(file);
        let mut journal = Journal::open(path, None, &[]).unwrap();
        assert_eq!(journal.done(&key("a")).unwrap().loop_psnr, Some(40.5));
        assert_eq!(journal.begun(&key("a")), None);
        assert_eq!(journal.done(&key("b")), None);
        assert_eq!(journal.begun(&key("b")), Some(path.join("b_x2.png")));
        assert_eq!(journal.done(&Key { settings: "other".into(), ..key("a") }), None);
        journal.finish(&key("b"), result(path, "b_x2.png")).unwrap();
        drop(journal);

        let journal = Journal::open(path, None, &[]).unwrap();
        assert!(journal.done(&key("b")).is_some());
        // A result that was changed or taken away is made again.
        std::fs::write(path.join("a_x2.png"), b"1234567").unwrap();
        std::fs::remove_file(path.join("b_x2.png")).unwrap();
        assert_eq!((journal.done(&key("a")), journal.done(&key("b"))), (None, None));
    }

    #[test]
    fn another_file_of_the_same_length_is_not_the_result() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let target = path.join("a_x2.png");
        let mut journal = Journal::open(path, None, &[]).unwrap();
        journal.begin(&key("a"), &target).unwrap();
        journal.write(&key("a"), b"12345").unwrap();
        journal.finish(&key("a"), result(path, "a_x2.png")).unwrap();
        let put = |content: &[u8]| {
            std::fs::write(&target, content).unwrap();
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
            File::options().write(true).open(&target).unwrap().set_modified(later).unwrap();
        };
        put(b"54321");
        assert_eq!(journal.done(&key("a")), None);
        assert_eq!(results_in(path), Vec::<PathBuf>::new(), "it is a picture of somebody's by now");
        put(b"12345");
        assert!(journal.done(&key("a")).is_some(), "a copy of the result is the result");
        drop(journal);
        assert!(Journal::open(path, None, &[]).unwrap().done(&key("a")).is_some());
    }

    #[test]
    fn a_name_that_went_to_another_picture_is_not_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let mut journal = Journal::open(path, None, &[]).unwrap();
        journal.begin(&key("a"), &path.join("same.png")).unwrap();
        journal.begin(&key("b"), &path.join("same.png")).unwrap();
        journal.finish(&key("b"), result(path, "same.png")).unwrap();
        assert_eq!(journal.begun(&key("a")), None);
        drop(journal);
        let journal = Journal::open(path, None, &[]).unwrap();
        assert_eq!(journal.begun(&key("a")), None, "nor after a restart");
        assert_eq!(journal.outputs().collect::<Vec<_>>(), [path.join("same.png")]);
    }

    /// Killed between the file and the record of it: the file is known again. One that somebody else put there is not.
    #[test]
    fn a_file_that_took_a_name_in_the_meantime_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        let target = path.join("a_x2.png");
        let mut journal = Journal::open(path, None, &[]).unwrap();
        journal.begin(&key("a"), &target).unwrap();
        journal.write(&key("a"), b"the result").unwrap();
        drop(journal);
        let begun = || Journal::open(path, None, &[]).unwrap().begun(&key("a"));
        assert_eq!(begun(), Some(target.clone()), "nothing is there yet");
        std::fs::write(&target, b"the result").unwrap();
        assert_eq!(begun(), Some(target.clone()), "it is this result");
        std::fs::write(&target, b"somebody's").unwrap();
        assert_eq!(begun(), None);
    }

    #[cfg(unix)]
    #[test]
    fn names_that_are_no_text_are_recorded() {
        use std::os::unix::ffi::OsStringExt;
        let folder = tempfile::tempdir().unwrap();
        let odd = folder.path().join(std::ffi::OsString::from_vec(b"caf\xe9.png".to_vec()));
        let mut journal = Journal::open(folder.path(), None, &[]).unwrap();
        journal.begin(&key("a"), &odd).unwrap();
        drop(journal);
        assert_eq!(Journal::open(folder.path(), None, &[]).unwrap().begun(&key("a")), Some(odd));
    }
}
