//! Decoding the next picture while the device works on this one.

use std::{
    path::{Path, PathBuf},
    thread::JoinHandle,
    time::SystemTime,
};

use dualres_engine::{check_reading, has_room_for};
use dualres_imaging::Picture;

/// Reads one picture ahead.
#[derive(Default)]
pub(super) struct Reader {
    ahead: Option<Ahead>,
}

struct Ahead {
    path: PathBuf,
    /// Size and time of the file when reading began: another file under that name is read anew.
    state: Option<(u64, SystemTime)>,
    thread: JoinHandle<anyhow::Result<Picture>>,
}

impl Reader {
    /// Begins to read a picture that is likely to be wanted next, if there is memory for it.
    pub(super) fn begin(&mut self, path: &Path) {
        let (owned, state) = (path.to_owned(), state_of(path));
        let work = move || {
            let (width, height) = dualres_imaging::dimensions(&owned)?;
            anyhow::ensure!(has_room_for(1, [width, height], 4), "there is no room for two pictures");
            read(&owned)
        };
        // A system without threads reads the picture when its turn comes.
        if let Ok(thread) = std::thread::Builder::new().name("read ahead".into()).spawn(work) {
            self.ahead = Some(Ahead { path: path.to_owned(), state, thread });
        }
    }

    /// The picture of a file: as it was read ahead, or read now.
    ///
    /// # Errors
    /// If it cannot be read, or its decoder fails.
    pub(super) fn take(&mut self, path: &Path) -> anyhow::Result<Picture> {
        let ahead = self.ahead.take().filter(|ahead| ahead.path == path && ahead.state == state_of(path));
        match ahead.map(|ahead| ahead.thread.join()) {
            Some(Ok(Ok(picture))) => Ok(picture),
            // Whatever was wrong, reading it here tells in words.
            _ => read(path),
        }
    }

    /// Gives up what was read ahead: nobody waits for it.
    pub(super) fn forget(&mut self) {
        self.ahead = None;
    }
}

fn state_of(path: &Path) -> Option<(u64, SystemTime)> {
    let there = std::fs::metadata(path).ok()?;
    Some((there.len(), there.modified().ok()?))
}

fn read(path: &Path) -> anyhow::Result<Picture> {
    crate::report::guarded(|| {
        if let Ok((width, height)) = dualres_imaging::dimensions(path) {
            check_reading([width, height])?;
        }
        Ok(dualres_imaging::read(path)?)
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use dualres_imaging::Plane;

    use super::*;

    #[test]
    fn what_was_read_ahead_is_taken_unless_the_file_has_changed() {
        let folder = tempfile::tempdir().unwrap();
        let [a, b] = ["a.png", "b.png"].map(|name| folder.path().join(name));
        let write = |path: &Path, width: usize| {
            let picture = Picture::from_planes(vec![Plane::filled(width, 2, 9.0)]);
            dualres_imaging::write(path, &picture, Default::default()).unwrap();
        };
        write(&a, 3);
        write(&b, 4);
        let mut reader = Reader::default();
        reader.begin(&a);
        assert_eq!(reader.take(&b).unwrap().width(), 4, "another one was wanted after all");
        reader.begin(&a);
        // Long enough that it has been read.
        std::thread::sleep(std::time::Duration::from_millis(50));
        write(&a, 500);
        assert_eq!(reader.take(&a).unwrap().width(), 500);
        reader.begin(&b);
        assert_eq!(reader.take(&b).unwrap().width(), 4);
        assert!(reader.take(&folder.path().join("gone.png")).is_err());
    }
}
