//! How far a batch is, by the records in its folder of results: those of all shards together.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    path::Path,
    time::SystemTime,
};

use serde::Serialize;

use super::{
    outcome::Row,
    record::{Done, Key, Known, is_held, known_of, records_in},
    shard::Shard,
};

/// How far one part of a batch is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ShardStatus {
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
    /// Whether everything is done: by a batch in one, or by all of some number of shards.
    pub complete: bool,
    /// Its parts, those that have not begun included.
    pub parts: Vec<ShardStatus>,
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
            for (of, written, row) in rows_of(folder, &known) {
                // Of results that several records know the newer one counts.
                if rows.get(&of).is_none_or(|(other, _): &(Option<SystemTime>, Row)| *other <= written) {
                    rows.insert(of, (written, row));
                }
            }
        }
        if parts.is_empty() {
            return None;
        }
        for count in counts {
            let known: HashSet<Option<Shard>> = parts.iter().map(|(shard, _)| *shard).collect();
            let absent = (1..=count).map(|index| Shard { index, count }).filter(|shard| !known.contains(&Some(*shard)));
            let nothing = |shard: Shard| ShardStatus {
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
        // What one way of sharing out has come to the end of, others need not.
        let count = |shard: Option<Shard>| shard.map_or(0, |shard| shard.count);
        let ways: BTreeSet<usize> = parts.iter().map(|(shard, _)| count(*shard)).collect();
        let of = |way: usize| parts.iter().filter(move |(shard, _)| count(*shard) == way).map(|(_, part)| part);
        let ended = ways.iter().copied().filter(|way| of(*way).all(|part| part.missing == Some(0)));
        let best = ended.max_by_key(|way| {
            let pictures: usize = of(*way).map(|part| part.pictures.unwrap_or(0)).sum();
            (pictures, of(*way).all(|part| part.failed == 0))
        });
        let complete = best.is_some_and(|way| of(way).all(|part| part.failed == 0));
        if let Some(way) = best {
            parts.retain(|(shard, _)| count(*shard) == way);
        }
        // What failed in one way and was done in another is done.
        let mut rows: Vec<Row> = rows.into_values().map(|(_, row)| row).collect();
        let done: HashSet<String> =
            rows.iter().filter(|row| row.state == "done").map(|row| row.input.clone()).collect();
        rows.retain(|row| row.state == "done" || !done.contains(&row.input));
        let parts = parts.into_iter().map(|(_, part)| part).collect();
        Some(Self { complete, parts, rows })
    }
}

fn part(folder: &Path, shard: Option<Shard>, known: &Known, running: bool) -> ShardStatus {
    let inputs: HashSet<&String> = done_in(folder, known).map(|(of, _)| &of.input).collect();
    let failed = known.failed.len();
    // Results of pictures that are gone stay in the record.
    let room = known.planned.map_or(usize::MAX, |planned| planned.saturating_sub(failed));
    let done = inputs.iter().filter(|input| !known.failed.contains_key(**input)).count().min(room);
    let missing = known.planned.map(|_| room - done);
    ShardStatus { shard: shard.map(|shard| shard.to_string()), pictures: known.planned, done, failed, missing, running }
}

/// The last results of pictures, those that are there as they were written.
fn done_in<'a>(folder: &'a Path, known: &'a Known) -> impl Iterator<Item = (&'a Key, &'a Done)> {
    let last = known.latest.values().filter_map(|of| Some((of, known.done.get(of)?)));
    last.filter(|(of, done)| known.is_unchanged(of, &folder.join(&done.output)))
}

/// By picture and settings, with the time of the result.
fn rows_of(folder: &Path, known: &Known) -> Vec<((String, String), Option<SystemTime>, Row)> {
    let done = done_in(folder, known).map(|(of, done)| {
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
        ((of.input.clone(), of.settings.clone()), done.stamp.modified, row)
    });
    let failed = known
        .failed
        .iter()
        .map(|(input, reason)| ((input.clone(), String::new()), None, Row::failed(Path::new(input), reason.clone())));
    done.chain(failed).collect()
}
