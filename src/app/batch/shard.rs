//! Parts of a batch that machines do on their own: which pictures are whose depends on where they lie below the named folders, so
//! that it is the same in whatever order, and beside whatever other files, a machine sees them.

use std::{fmt, path::Path, str::FromStr};

use sha2::{Digest, Sha256};

/// One of several parts of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Shard {
    /// From 1 on.
    pub index: usize,
    /// Of how many.
    pub count: usize,
}

/// Most shards of a batch.
pub const MAX: usize = 100_000;

impl Shard {
    /// Whether a picture belongs to it, by where it lies from the named folder on. Pictures whose results may want the same name
    /// belong to the same one.
    pub fn takes(self, place: &Path) -> bool {
        let place = place.with_extension("");
        // However a machine spells paths, and whether its names differ by case.
        let name = |part: std::path::Component<'_>| part.as_os_str().to_string_lossy().to_lowercase();
        let parts: Vec<String> = place.components().map(name).collect();
        let sum = Sha256::digest(parts.join("/").as_bytes());
        let number = sum.iter().take(8).fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
        number % self.count as u64 == self.index as u64 - 1
    }

    /// Name of its record in the folder of results.
    pub(super) fn record(self) -> String {
        format!("{PREFIX}.{}-of-{}.{ENDING}", self.index, self.count)
    }

    /// The shard whose record a file is, by its name; `Some(None)` for the record of a batch in one.
    pub(super) fn of_record(file: &Path) -> Option<Option<Self>> {
        let name = file.file_name()?.to_str()?;
        let shown = PREFIX.trim_start_matches('.');
        let middle = name.strip_prefix(PREFIX).or(name.strip_prefix(shown))?.strip_suffix(ENDING)?.strip_suffix('.')?;
        if middle.is_empty() {
            return Some(None);
        }
        let (index, count) = middle.strip_prefix('.')?.split_once("-of-")?;
        format!("{index}/{count}").parse().ok().map(Some)
    }
}

/// What names of records begin and end with. A dot hides them where results are looked through; records of before have none.
const PREFIX: &str = ".dualres-batch";
const ENDING: &str = "jsonl";

impl fmt::Display for Shard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Shard {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
        match numbers {
            Some((index, count)) if (1..=count).contains(&index) && count <= MAX => Ok(Self { index, count }),
            _ => Err(format!("a shard is I/N, such as 2/8: I from 1 to N, and N at most {MAX}")),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    /// Every picture belongs to exactly one, and what may want one name belongs together.
    #[test]
    fn every_picture_has_one_shard_everywhere() {
        let shards = |count| (1..=count).map(move |index| Shard { index, count });
        let mut sizes = [0; 7];
        for number in 0..2000 {
            let name = format!("IMG_{number}.jpg");
            let of = |place: &Path| shards(7).filter(|shard| shard.takes(place)).map(|s| s.index).collect::<Vec<_>>();
            let [index] = of(&Path::new("2026/may").join(name))[..] else { panic!("not one shard") };
            assert_eq!(of(&Path::new("2026/May").join(format!("img_{number}.PNG"))), [index]);
            sizes[index - 1] += 1;
        }
        assert!(sizes.iter().all(|&size| (200..400).contains(&size)), "{sizes:?}");
    }

    #[test]
    fn names_of_records_tell_the_shard() {
        let shard: Shard = "3/12".parse().unwrap();
        assert_eq!(Shard::of_record(Path::new(&format!("out/{}", shard.record()))), Some(Some(shard)));
        assert_eq!(Shard::of_record(Path::new("out/.dualres-batch.jsonl")), Some(None));
        assert_eq!(Shard::of_record(Path::new("out/dualres-batch.jsonl")), Some(None), "as they were called before");
        for other in ["dualres-batch.txt", "dualres-batch.0-of-3.jsonl", "dualres-batch.x.jsonl", "photo.jpg"] {
            assert_eq!(Shard::of_record(Path::new(other)), None, "{other}");
        }
        for wrong in ["0/3", "4/3", "1", "1/0", "a/b", "1/1000000"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
    }
}
