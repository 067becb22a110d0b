//! Large pictures that are cut off go on where they were: after some time of work tiles are kept in a file as they come, whichever way
//! the run ends. The file goes when the picture is made.

use std::{
    fs::File,
    io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::{Duration, Instant, SystemTime},
};

use dualres_engine::{Area, Event, Unfinished};
use dualres_imaging::{Plane, lock::Lock};
use serde::{Deserialize, Serialize};

use super::sums;

/// Work that is worth more than keeping it costs.
const AFTER: Duration = Duration::from_secs(8);
/// After that time nobody comes back for it.
const OLDEST: Duration = Duration::from_secs(30 * 24 * 3600);
/// Bytes on the disk that are left alone.
const SPARED: u64 = 1 << 30;
/// What files of before are told by.
const VERSION: u32 = 1;

/// What a file of tiles is of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    version: u32,
    /// The picture's file and the model's weights.
    key: String,
    side: usize,
    width: usize,
    height: usize,
    planes: usize,
}

/// Keeps the tiles of one picture.
pub struct Keeper {
    folder: PathBuf,
    input: PathBuf,
    weights: String,
    /// Once it was needed.
    key: Option<String>,
    after: Duration,
    begun: Instant,
    /// What tiles have come so far, for when keeping begins.
    areas: Vec<Area>,
    side: usize,
    kept: Option<Kept>,
    /// Nothing is kept where that has failed.
    gives_up: bool,
}

/// A file that tiles are appended to.
struct Kept {
    path: PathBuf,
    file: BufWriter<File>,
    tiles: usize,
    _lock: Lock,
}

impl Keeper {
    /// A keeper for a picture's file that is enlarged by a model whose `weights` are told by a sum, and what an earlier run had made of
    /// it. Files lie in `folder`.
    pub fn new(folder: &Path, input: &Path, weights: &str) -> (Self, Option<Unfinished>) {
        Self::beginning_after(AFTER, folder, input, weights)
    }

    fn beginning_after(after: Duration, folder: &Path, input: &Path, weights: &str) -> (Self, Option<Unfinished>) {
        let mut keeper = Self {
            folder: folder.to_owned(),
            input: input.to_owned(),
            weights: weights.to_owned(),
            key: None,
            after,
            begun: Instant::now(),
            areas: Vec::new(),
            side: 0,
            kept: None,
            gives_up: false,
        };
        // Where nothing was kept there is no need to know what the picture is.
        let unfinished = if keeper.clear_old() > 0 { keeper.recall() } else { None };
        (keeper, unfinished)
    }

    /// Removes what nobody has come back for. Returns how many files are left.
    fn clear_old(&self) -> usize {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return 0 };
        let is_old = |path: &Path| {
            let modified = std::fs::metadata(path).and_then(|there| there.modified());
            modified.is_ok_and(|time| SystemTime::now().duration_since(time).is_ok_and(|age| age > OLDEST))
        };
        let mut left = 0;
        for path in entries.flatten().map(|entry| entry.path()) {
            // One that cannot be removed is in nobody's way.
            if !is_old(&path) || std::fs::remove_file(&path).is_err() {
                left += 1;
            }
        }
        left
    }

    /// What is there of an earlier run. Keeping goes on behind it.
    fn recall(&mut self) -> Option<Unfinished> {
        let key = key_of(&self.input, &self.weights, &mut self.key).ok()?;
        let path = self.folder.join(&key);
        let file = File::options().read(true).append(true).open(&path).ok()?;
        // One that another process works on is its own.
        let lock = Lock::of(file.try_clone().ok()?).ok()?;
        let (head, unfinished, areas, end) = read(&file, &key)?;
        file.set_len(end).ok()?;
        (self.areas, self.side) = (areas, head.side);
        self.kept = Some(Kept { path, file: BufWriter::new(file), tiles: unfinished.done, _lock: lock });
        Some(unfinished)
    }

    /// Takes in what is told of a run.
    pub fn see(&mut self, event: &Event<'_>) {
        let Event::Tile { done, tiles, area, planes, side } = event else { return };
        if self.side != *side {
            // Smaller tiles, because the device could not do with those before.
            self.forget();
            (self.areas, self.side) = (Vec::new(), *side);
        }
        if *done <= self.areas.len() || self.gives_up {
            return;
        }
        self.areas.push(*area);
        let is_worth_it = self.kept.is_some() || (self.begun.elapsed() >= self.after && done < tiles);
        if is_worth_it && self.keep(planes).is_err() {
            // A full disk is told of where the result is written.
            self.forget();
            self.gives_up = true;
        }
    }

    fn keep(&mut self, planes: &[Plane]) -> std::io::Result<()> {
        let kept = match &mut self.kept {
            Some(kept) => kept,
            none => {
                let key = key_of(&self.input, &self.weights, &mut self.key)?;
                std::fs::create_dir_all(&self.folder)?;
                let bytes: usize = planes.iter().map(|plane| plane.data.len() * 4).sum();
                if fs4::available_space(&self.folder)? < bytes as u64 + SPARED {
                    return Err(std::io::ErrorKind::StorageFull.into());
                }
                let path = self.folder.join(&key);
                let file = File::options().read(true).append(true).create(true).open(&path)?;
                let lock = Lock::of(file.try_clone()?).map_err(std::io::Error::other)?;
                file.set_len(0)?;
                let (width, height) = (planes[0].width, planes[0].height);
                let head = Head { version: VERSION, key, side: self.side, width, height, planes: planes.len() };
                let mut file = BufWriter::new(file);
                serde_json::to_writer(&mut file, &head)?;
                file.write_all(b"\n")?;
                none.insert(Kept { path, file, tiles: 0, _lock: lock })
            }
        };
        for area in &self.areas[kept.tiles..] {
            for number in [area.x, area.y, area.width, area.height] {
                kept.file.write_all(&(number as u32).to_le_bytes())?;
            }
            for plane in planes {
                for row in area.y..area.y + area.height {
                    let from = row * plane.width + area.x;
                    for sample in &plane.data[from..from + area.width] {
                        kept.file.write_all(&sample.to_le_bytes())?;
                    }
                }
            }
        }
        kept.tiles = self.areas.len();
        kept.file.flush()
    }

    /// The picture is made, or not wanted any more: nothing is kept of it.
    pub fn forget(&mut self) {
        if let Some(kept) = self.kept.take() {
            // What is left is taken for what it is, or removed when it is old.
            let _ = std::fs::remove_file(&kept.path);
        }
    }
}

fn key_of(input: &Path, weights: &str, known: &mut Option<String>) -> std::io::Result<String> {
    if let Some(key) = known {
        return Ok(key.clone());
    }
    let key = sums::fingerprint(format!("{} {weights}", sums::content_of(input)?).as_bytes());
    *known = Some(key.clone());
    Ok(key)
}

/// What a file has, and where its last whole tile ends; `None` if it is of something else.
fn read(file: &File, key: &str) -> Option<(Head, Unfinished, Vec<Area>, u64)> {
    let mut reader = BufReader::new(file);
    reader.seek(SeekFrom::Start(0)).ok()?;
    let mut line = Vec::new();
    reader.by_ref().take(4096).read_until(b'\n', &mut line).ok()?;
    let head: Head = serde_json::from_slice(&line).ok()?;
    let pixels = head.width.checked_mul(head.height)?;
    if head.version != VERSION || head.key != key || !(1..=3).contains(&head.planes) {
        return None;
    }
    // What is restored counts as used when the picture is judged: where it just fitted before, it would be refused for ever.
    if !dualres_engine::has_room_for(2, [head.width, head.height], head.planes) {
        return None;
    }
    let mut planes = vec![Plane::new(head.width, head.height, vec![0.0; pixels]); head.planes];
    let (mut areas, mut end) = (Vec::new(), line.len() as u64);
    let mut bytes = Vec::new();
    loop {
        let mut numbers = [0; 16];
        if reader.read_exact(&mut numbers).is_err() {
            break;
        }
        let [x, y, width, height] = [0, 4, 8, 12].map(|at| {
            let four = [numbers[at], numbers[at + 1], numbers[at + 2], numbers[at + 3]];
            u32::from_le_bytes(four) as usize
        });
        let fits = x + width <= head.width && y + height <= head.height;
        if !fits || width * height == 0 {
            break;
        }
        bytes.resize(width * height * head.planes * 4, 0);
        if reader.read_exact(&mut bytes).is_err() {
            break;
        }
        let mut samples = bytes.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four));
        for plane in &mut planes {
            for row in y..y + height {
                let from = row * plane.width + x;
                plane.data[from..from + width].iter_mut().zip(&mut samples).for_each(|(to, sample)| *to = sample);
            }
        }
        areas.push(Area { x, y, width, height });
        end += (numbers.len() + bytes.len()) as u64;
    }
    let unfinished = Unfinished { side: head.side, done: areas.len(), planes };
    (unfinished.done > 0).then_some((head, unfinished, areas, end))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::ops::ControlFlow;

    use dualres_engine::{EngineError, Options, Upscaler};
    use dualres_imaging::{Format, Picture};
    use dualres_network::device::ComputeDevice;

    use super::*;

    fn picture(seed: usize) -> Picture {
        let plane =
            |c: usize| Plane::new(150, 120, (0..150 * 120).map(|i| (i * (c + 7 + seed) % 251) as f32).collect());
        Picture::from_planes((0..3).map(plane).collect())
    }

    #[test]
    fn a_picture_that_was_cut_off_goes_on_and_nothing_is_left_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let (input, kept) = (folder.path().join("a.png"), folder.path().join("unfinished"));
        std::fs::write(&input, dualres_imaging::encode(&picture(0), Format::Png, Default::default()).unwrap()).unwrap();
        let model = crate::library::Library::new(folder.path().join("models")).load("x2-70").unwrap();
        let upscaler = Upscaler::new(&model, &ComputeDevice::cpu()).unwrap();
        let options = Options { tile: Some(64), ..Options::default() };
        let whole = upscaler.upscale(&picture(0), &options, &mut |_| ControlFlow::Continue(())).unwrap();
        let begin = |weights: &str| Keeper::beginning_after(Duration::ZERO, &kept, &input, weights);
        let files = || std::fs::read_dir(&kept).map_or(0, Iterator::count);

        let (mut keeper, unfinished) = begin("w");
        assert_eq!(unfinished, None);
        let stopped = upscaler.upscale(&picture(0), &options, &mut |event| {
            keeper.see(&event);
            if matches!(event, Event::Tile { done: 3, .. }) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(matches!(stopped, Err(EngineError::Cancelled)));
        assert_eq!(begin("w").1, None, "another process is at work on it");
        // As a kill leaves it.
        drop(keeper);
        let path = std::fs::read_dir(&kept).unwrap().next().unwrap().unwrap().path();
        let mut file = File::options().append(true).open(&path).unwrap();
        file.write_all(&[7; 40]).unwrap();
        drop(file);
        assert_eq!(begin("v").1, None, "another model");

        let (mut keeper, unfinished) = begin("w");
        let unfinished = unfinished.unwrap();
        assert_eq!((unfinished.done, unfinished.side), (3, 64));
        let (mut made, mut tiles) = (0, 0);
        let on = upscaler.upscale_on(&picture(0), &options, Some(unfinished), &mut |event| {
            keeper.see(&event);
            match event {
                Event::Started { tiles: all, .. } => tiles = all,
                Event::Tile { .. } => made += 1,
                _ => {}
            }
            ControlFlow::Continue(())
        });
        assert!(made > 0 && made == tiles - 3, "{made} of {tiles}");
        assert_eq!(on.unwrap().picture, whole.picture);
        // All of it is there until the result is.
        assert_eq!(files(), 1);
        keeper.forget();
        assert_eq!(files(), 0);
        // Damage is no reason to fail.
        std::fs::write(&path, "no head").unwrap();
        assert_eq!(begin("w").1, None);
    }

    #[test]
    fn what_is_soon_done_is_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (mut keeper, _) = Keeper::new(&folder.path().join("new"), &folder.path().join("a.png"), "w");
        let planes = vec![Plane::filled(8, 8, 1.0)];
        let area = Area { x: 0, y: 0, width: 8, height: 4 };
        keeper.see(&Event::Tile { done: 1, tiles: 2, area, planes: &planes, side: 8 });
        assert!(!folder.path().join("new").exists() && keeper.kept.is_none());
    }

    #[test]
    fn a_file_that_claims_more_than_memory_holds_is_not_restored() {
        let of_size = |side: usize| {
            let head = Head { version: VERSION, key: "k".into(), side: 64, width: side, height: side, planes: 3 };
            let mut file = tempfile::tempfile().unwrap();
            serde_json::to_writer(&file, &head).unwrap();
            file.write_all(b"\n").unwrap();
            for number in [0, 0, 1, 1_u32] {
                file.write_all(&number.to_le_bytes()).unwrap();
            }
            file.write_all(&[0; 12]).unwrap();
            read(&file, "k").is_some()
        };
        assert!(of_size(8));
        assert!(!of_size(1 << 17));
        assert!(!of_size(usize::MAX));
    }
}
