//! How far a batch is, by the records in its folder of results: those of all shards together.

use std::{
    collections::{BTreeMap, HashSet},
    path::Path,
};

use dualres_imaging::lock::{Lock, LockError};
use serde::Serialize;

use super::{
    outcome::Row,
    record::{Known, known_of, records_in},
    shard::Shard,
};

/// How far one part of a batch is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Part {
    /// The shard as I/N; absent for a batch in one.
    pub shard: Option<String>,
    /// Pictures that its last run found; absent for records of before, and for shards that have not begun.
    pub pictures: Option<usize>,
    /// Pictures whose results are there as they were written.
    pub done: usize,
    /// Pictures that failed.
    pub failed: usize,
    /// Pictures that are neither; absent where nobody knows how many there are.
    pub missing: Option<usize>,
    /// Whether a process is at it, as far as its lock tells.
    pub running: bool,
}

/// How far a batch is.
#[derive(Clone, Debug)]
pub struct Status {
    /// Its parts, those that have not begun included.
    pub parts: Vec<Part>,
    /// All pictures that were done or failed, the same for the same results, however they were shared out: without times.
    pub rows: Vec<Row>,
}

impl Status {
    /// Reads all records of a folder of results; `None` if it has none.
    pub fn of(folder: &Path) -> Option<Self> {
        let records = records_in(folder);
        let counts: HashSet<usize> = records.iter().filter_map(|(shard, _)| Some((*shard)?.count)).collect();
        let (mut parts, mut rows) = (Vec::new(), BTreeMap::new());
        for (shard, path) in &records {
            let Some(known) = known_of(path) else { continue };
            parts.push((*shard, part(folder, *shard, &known, is_held(path))));
            rows.extend(rows_of(folder, &known));
        }
        if parts.is_empty() {
            return None;
        }
        for count in counts {
            let known: HashSet<Option<Shard>> = parts.iter().map(|(shard, _)| *shard).collect();
            let absent = (1..=count).map(|index| Shard { index, count }).filter(|shard| !known.contains(&Some(*shard)));
            let nothing = |shard: Shard| Part {
                shard: Some(shard.to_string()),
                pictures: None,
                done: 0,
                failed: 0,
                missing: None,
                running: false,
            };
            parts.extend(absent.map(|shard| (Some(shard), nothing(shard))).collect::<Vec<_>>());
        }
        parts.sort_by_key(|(shard, _)| *shard);
        Some(Self { parts: parts.into_iter().map(|(_, part)| part).collect(), rows: rows.into_values().collect() })
    }
}

fn part(folder: &Path, shard: Option<Shard>, known: &Known, running: bool) -> Part {
    let whole = known.done.iter().filter(|(of, done)| known.is_unchanged(of, &folder.join(&done.output)));
    let done = whole.map(|(of, _)| &of.input).collect::<HashSet<_>>().len();
    let failed = known.failed.len();
    let missing = known.planned.map(|planned| planned.saturating_sub(done + failed));
    Part { shard: shard.map(|shard| shard.to_string()), pictures: known.planned, done, failed, missing, running }
}

/// By picture and settings; what several records know of is one.
fn rows_of(folder: &Path, known: &Known) -> Vec<((String, String), Row)> {
    let whole = known.done.iter().filter(|(of, done)| known.is_unchanged(of, &folder.join(&done.output)));
    let done = whole.map(|(of, done)| {
        let row = Row {
            state: "done",
            output: done.output.to_string_lossy().into_owned(),
            model: done.model.clone(),
            width: Some(done.size[0]),
            height: Some(done.size[1]),
            loop_psnr: done.loop_psnr,
            expected_psnr: done.expected_psnr,
            ..Row::failed(Path::new(&of.input), String::new())
        };
        ((of.input.clone(), of.settings.clone()), row)
    });
    let failed = known
        .failed
        .iter()
        .map(|(input, reason)| ((input.clone(), String::new()), Row::failed(Path::new(input), reason.clone())));
    done.chain(failed).collect()
}

/// Whether a run holds a record, here or on a machine whose locks are seen here.
fn is_held(record: &Path) -> bool {
    let file = std::fs::File::options().append(true).open(record);
    file.is_ok_and(|file| matches!(Lock::of(file), Err(LockError::Held)))
}
