//! Pictures of folders with their low-resolution versions.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use dualres_imaging::{Picture, find_pictures};

use crate::{
    Reduction, Result, TrainingError,
    pictures::{Unusable, ground_truth},
};

/// Decoded pictures that are kept in memory, in bytes; what is beyond is decoded anew each time it is drawn.
const CACHE_BYTES: u64 = 3 << 30;

/// One picture of 8-bit RGB planes.
#[derive(Debug)]
pub(crate) struct Rgb8 {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// Red plane, green plane, blue plane.
    pub(crate) data: Vec<u8>,
}

impl Rgb8 {
    fn from_picture(picture: &Picture) -> Self {
        let data = picture.rgb().iter().flat_map(|plane| plane.data.iter().map(|&s| s as u8)).collect();
        Self { width: picture.width(), height: picture.height(), data }
    }
}

/// A picture at every level: the network's input first, the full resolution last.
#[derive(Debug)]
pub(crate) struct Pyramid {
    /// Sides of each level as a multiple of the first one's.
    pub(crate) scales: Vec<usize>,
    pub(crate) levels: Vec<Rgb8>,
}

/// A picture at every scale of `scales` (ascending; the last is its own resolution), each made from the full resolution
/// by the MATLAB-compatible bicubic on 8 bits, the network's input by `reduction`. The picture is cut to a multiple of the largest
/// scale first.
pub(crate) fn pyramid(picture: &Picture, scales: &[usize], reduction: Reduction) -> Vec<Picture> {
    let largest = scales.last().copied().unwrap_or(1);
    let (width, height) = (picture.width() / largest * largest, picture.height() / largest * largest);
    let mut full = picture.crop(0, 0, width, height);
    full.quantize();
    let mut levels = Vec::new();
    for scale in scales.iter().filter(|&&scale| scale < largest) {
        let how = if *scale == 1 { reduction } else { Reduction::Bicubic };
        let planes = full.planes.iter().map(|plane| how.reduce(plane, largest / scale)).collect();
        levels.push(Picture::from_planes(planes));
    }
    levels.push(full);
    levels
}

/// A high-resolution picture reduced by `scale`, in colour and on 8 bits, as training and evaluation see it.
///
/// # Errors
/// If it cannot be read, or is smaller than a pixel then.
pub fn reduced(path: &Path, scale: usize, reduction: Reduction) -> Result<Picture> {
    let picture = ground_truth(path)?;
    if picture.width() < scale || picture.height() < scale {
        let (width, height) = (picture.width(), picture.height());
        return Err(dualres_imaging::ImagingError::TooSmall { width, height, shave: scale }.into());
    }
    let colour = Picture::from_planes(picture.rgb().into_iter().cloned().collect());
    Ok(pyramid(&colour, &[1, scale], reduction).swap_remove(0))
}

/// The pictures of folders and single files, in a fixed order.
///
/// # Errors
/// If a folder cannot be read.
pub fn pictures_of(sources: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for source in sources {
        if source.is_file() {
            paths.push(source.clone());
        } else {
            paths.extend(find_pictures(source)?);
        }
    }
    Ok(paths)
}

/// Sources as a message tells them: a few by name, many by number.
pub(crate) fn listed(sources: &[PathBuf]) -> String {
    const SHOWN: usize = 4;
    let names: Vec<_> = sources.iter().take(SHOWN).map(|source| source.display().to_string()).collect();
    let more = if sources.len() > SHOWN { format!(" and {} more", sources.len() - SHOWN) } else { String::new() };
    format!("{}{more}", names.join(", "))
}

/// A set of training pictures. Parts of a set share what was decoded.
pub struct PictureSet {
    store: Arc<Store>,
    /// Pictures of the store that belong to the set.
    members: Vec<usize>,
    /// Running sum of the pictures' areas, so that every patch of the set is equally likely.
    areas: Vec<u64>,
    skipped: Vec<(PathBuf, String)>,
}

struct Store {
    paths: Vec<PathBuf>,
    /// Area of each picture in pixels.
    areas: Vec<u64>,
    scales: Vec<usize>,
    reduction: Reduction,
    cache: Vec<Mutex<Slot>>,
    /// Pictures that turned out broken and have not been told of.
    broken: Mutex<Vec<(PathBuf, String)>>,
    cached_bytes: AtomicU64,
}

/// What is kept of a picture.
#[derive(Default)]
enum Slot {
    #[default]
    Nothing,
    Decoded(Arc<Pyramid>),
    Broken,
}

impl PictureSet {
    /// Finds the pictures of `sources`, folders or single files, that have room for a patch of `patch` low-resolution
    /// pixels; they are drawn at each of `scales` ([`dualres_network::Graph::pyramid`]).
    ///
    /// # Errors
    /// If a folder cannot be read or no picture is usable.
    pub fn scan(sources: &[PathBuf], scales: &[usize], patch: usize) -> Result<Self> {
        Self::scan_reduced(sources, scales, patch, Reduction::Bicubic)
    }

    /// As [`PictureSet::scan`], the smallest of several scales by `reduction`.
    pub(crate) fn scan_reduced(
        sources: &[PathBuf],
        scales: &[usize],
        patch: usize,
        reduction: Reduction,
    ) -> Result<Self> {
        let side = patch * scales.last().copied().unwrap_or(1);
        let (mut paths, mut areas, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
        for path in pictures_of(sources)? {
            match dualres_imaging::dimensions(&path) {
                Ok((width, height)) if width.min(height) >= side => {
                    areas.push((width * height) as u64);
                    paths.push(path);
                }
                Ok((width, height)) => {
                    skipped.push((path, format!("{width}x{height} is smaller than a patch ({side}x{side})")));
                }
                Err(error) => skipped.push((path, error.to_string())),
            }
        }
        if paths.is_empty() {
            return Err(TrainingError::NoPictures { side, folders: listed(sources) });
        }
        let cache = paths.iter().map(|_| Mutex::default()).collect();
        let members = (0..paths.len()).collect();
        let store = Arc::new(Store {
            paths,
            areas,
            scales: scales.to_vec(),
            reduction,
            cache,
            broken: Mutex::default(),
            cached_bytes: AtomicU64::new(0),
        });
        Ok(Self { skipped, ..Self::of(store, members) })
    }

    fn of(store: Arc<Store>, members: Vec<usize>) -> Self {
        let areas = members.iter().scan(0, |sum, &member| {
            *sum += store.areas[member];
            Some(*sum)
        });
        Self { areas: areas.collect(), store: store.clone(), members, skipped: Vec::new() }
    }

    /// The pictures at the positions that `wanted` picks, if there is any.
    pub fn part(&self, wanted: impl Fn(usize) -> bool) -> Option<Self> {
        let members: Vec<usize> =
            self.members.iter().enumerate().filter(|(index, _)| wanted(*index)).map(|(_, &member)| member).collect();
        (!members.is_empty()).then(|| Self::of(self.store.clone(), members))
    }

    /// Number of usable pictures.
    pub fn len(&self) -> usize {
        self.members.len()
    }

    /// Whether there is no usable picture; never true for a set that exists.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The usable pictures.
    pub fn paths(&self) -> Vec<PathBuf> {
        self.members.iter().map(|&member| self.store.paths[member].clone()).collect()
    }

    /// Drops what was decoded, here and in all parts; it is decoded again when it is needed.
    pub fn forget(&self) {
        for slot in &self.store.cache {
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Slot::Nothing;
        }
        self.store.cached_bytes.store(0, Ordering::Relaxed);
    }

    /// Files that cannot be used, with the reason.
    pub fn skipped(&self) -> &[(PathBuf, String)] {
        &self.skipped
    }

    /// The picture that position `at` of `0..1` falls on when pictures lie side by side by their areas.
    pub(crate) fn pick(&self, at: f64) -> usize {
        let total = *self.areas.last().expect("a set has pictures");
        let position = (at * total as f64) as u64;
        self.areas.partition_point(|&area| area <= position).min(self.members.len() - 1)
    }

    /// The picture, or the next one that can be decoded: what is drawn depends on the files alone, so that a run that is resumed
    /// draws the same.
    pub(crate) fn get_or_next(&self, index: usize) -> Result<Arc<Pyramid>> {
        let mut failure = None;
        for step in 0..self.members.len() {
            let at = (index + step) % self.members.len();
            match self.store.get(self.members[at]) {
                Ok(pyramid) => return Ok(pyramid),
                Err(reason) => failure = failure.or(Some(self.unreadable(at, reason))),
            }
        }
        Err(failure.unwrap_or_else(|| TrainingError::Setting("the set has no pictures".into())))
    }

    fn unreadable(&self, index: usize, reason: String) -> TrainingError {
        TrainingError::Picture { path: self.store.paths[self.members[index]].clone(), reason }
    }

    /// Pictures that could not be decoded, told once each.
    pub(crate) fn broken(&self) -> Vec<(PathBuf, String)> {
        std::mem::take(&mut *self.store.broken.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Store {
    /// The picture, or why it cannot be decoded.
    fn get(&self, index: usize) -> std::result::Result<Arc<Pyramid>, String> {
        let mut slot = self.cache[index].lock().unwrap_or_else(PoisonError::into_inner);
        match &*slot {
            Slot::Decoded(pyramid) => return Ok(pyramid.clone()),
            Slot::Broken => return Err("it cannot be decoded".to_owned()),
            Slot::Nothing => {}
        }
        let pyramid = match Unusable::of(&self.paths[index], || self.load(&self.paths[index])) {
            Ok(pyramid) => Arc::new(pyramid),
            // A disk that fails for a moment says nothing about the picture.
            Err(Unusable { reason, .. }) if std::fs::File::open(&self.paths[index]).is_err() => return Err(reason),
            Err(Unusable { reason, .. }) => {
                *slot = Slot::Broken;
                let mut broken = self.broken.lock().unwrap_or_else(PoisonError::into_inner);
                broken.push((self.paths[index].clone(), reason.clone()));
                return Err(reason);
            }
        };
        let bytes = pyramid.levels.iter().map(|level| level.data.len() as u64).sum();
        if self.cached_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes <= CACHE_BYTES {
            *slot = Slot::Decoded(pyramid.clone());
        } else {
            self.cached_bytes.fetch_sub(bytes, Ordering::Relaxed);
        }
        Ok(pyramid)
    }

    fn load(&self, path: &Path) -> Result<Pyramid> {
        let picture = ground_truth(path)?;
        Ok(Pyramid {
            scales: self.scales.clone(),
            levels: pyramid(&picture, &self.scales, self.reduction).iter().map(Rgb8::from_picture).collect(),
        })
    }
}

/// The names of folders; of files, those of the folders they lie in, each once.
pub(crate) fn names_of(sources: &[PathBuf]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for source in sources {
        let folder = if source.is_file() { source.parent().unwrap_or(source) } else { source };
        let name = last_of(folder);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The last part of a path.
pub(crate) fn last_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
