//! Reading files beside the window: folders, thumbnails, the picture that is selected.

use std::{
    collections::VecDeque,
    ffi::OsStr,
    path::{Path, PathBuf},
    sync::{Arc, mpsc::Receiver},
    time::Duration,
};

use dualres_imaging::{Condition, Format, ImagingError, Picture, upright_dimensions};
use dualres_network::import::EXTENSIONS;
use eframe::egui::ColorImage;

use super::{
    document::{Level, Pyramid},
    queue::{Failure, ItemId},
};
use crate::{
    actor::{Actor, EventSender, Life, Shared, Wake},
    batch::{
        choice::{Kind, choose},
        inputs::{Input, Inputs, is_pattern},
        result::format_like,
    },
    language::{tr, translated},
};

/// Longest side of thumbnails in pixels.
const THUMBNAIL: usize = 192;

/// What can be asked of the loader.
#[derive(Debug)]
enum Request {
    /// What files and folders hold.
    Scan(Vec<PathBuf>),
    /// A small picture.
    Thumbnail(ItemId, PathBuf),
    /// The picture for the canvas.
    Open(ItemId, PathBuf),
    /// A result that was saved earlier, for the canvas.
    Result(ItemId, PathBuf),
}

/// What the loader found.
pub(crate) enum Loaded {
    /// Pictures, models, and what was wrong.
    Found { pictures: Vec<Brought>, models: Vec<PathBuf>, complaints: Vec<String> },
    /// A small picture and the size of the large one.
    Thumbnail { item: ItemId, image: ColorImage, size: [usize; 2] },
    /// The picture for the canvas.
    Opened {
        item: ItemId,
        picture: Arc<Picture>,
        pyramid: Box<Pyramid>,
        thumbnail: ColorImage,
        /// The kind of model that fits it, and why.
        fitting: (Kind, String),
    },
    /// A result that was saved earlier.
    Result { item: ItemId, pyramid: Box<Pyramid> },
    /// A file that is no readable picture.
    Broken { item: ItemId, failure: Failure },
}

/// A picture that was brought.
pub(crate) struct Brought {
    pub(crate) path: PathBuf,
    /// Where it lies below the folder that it came with.
    pub(crate) below: PathBuf,
    /// Width and height as it is to be seen, if the header tells.
    pub(crate) size: Option<[usize; 2]>,
    /// What its result is to be if it is to be what the picture is.
    pub(crate) format: Format,
    /// Why it is no readable picture, if that shows at once.
    pub(crate) broken: Option<Failure>,
}

/// A reader is not waited for: what it reads, nobody will look at.
#[derive(Default)]
struct Reading(Life);

impl Shared for Reading {
    fn life(&self) -> &Life {
        &self.0
    }

    fn patience(&self) -> Duration {
        Duration::ZERO
    }
}

/// A thread that reads files, what is waited for first.
pub(crate) struct Loader(Actor<Request, Loaded, Reading>);

impl Loader {
    pub(crate) fn start(wake: Wake) -> std::io::Result<Self> {
        let work = |requests, reading: Arc<Reading>, events_out: EventSender<Loaded>| {
            serve(&requests, reading.life(), &events_out)
        };
        Ok(Self(Actor::start("loader", wake, work)?))
    }

    pub(crate) fn scan(&self, paths: Vec<PathBuf>) {
        self.0.send(Request::Scan(paths));
    }

    pub(crate) fn thumbnail(&self, item: ItemId, path: &Path) {
        self.0.send(Request::Thumbnail(item, path.to_owned()));
    }

    pub(crate) fn open(&self, item: ItemId, path: &Path) {
        self.0.send(Request::Open(item, path.to_owned()));
    }

    pub(crate) fn result(&self, item: ItemId, path: &Path) {
        self.0.send(Request::Result(item, path.to_owned()));
    }

    pub(crate) fn next(&self) -> Option<Loaded> {
        self.0.next()
    }
}

/// Puts a request among those that wait: what is looked at goes first.
fn arrange(waiting: &mut VecDeque<Request>, request: Request) {
    match request {
        // Only the newest selection is waited for.
        Request::Open(..) => {
            waiting.retain(|other| !matches!(other, Request::Open(..)));
            waiting.push_front(request);
        }
        Request::Result(..) => {
            waiting.retain(|other| !matches!(other, Request::Result(..)));
            waiting.push_front(request);
        }
        Request::Scan(_) => waiting.push_front(request),
        Request::Thumbnail(..) => waiting.push_back(request),
    }
}

fn serve(requests: &Receiver<Request>, life: &Life, events_out: &EventSender<Loaded>) {
    let mut waiting = VecDeque::new();
    while !life.ends() {
        requests.try_iter().for_each(|request| arrange(&mut waiting, request));
        let Some(request) = waiting.pop_front() else {
            match requests.recv() {
                Ok(request) => arrange(&mut waiting, request),
                Err(_) => return,
            }
            continue;
        };
        // A decoder that panics on a hostile file must not cost the user the program.
        let answer = dualres_imaging::caught(|| answer(&request));
        let answer = answer.unwrap_or_else(|_| failed(&request));
        if answer.is_some_and(|answer| events_out.tell(answer).is_break()) {
            return;
        }
    }
}

fn failed(request: &Request) -> Option<Loaded> {
    match request {
        Request::Scan(_) | Request::Result(..) => None,
        Request::Thumbnail(item, path) | Request::Open(item, path) => {
            let reason = format!("the decoder gave up on the file: {}", path.display());
            Some(Loaded::Broken { item: *item, failure: Failure { reason, lasts: true } })
        }
    }
}

fn answer(request: &Request) -> Option<Loaded> {
    Some(match request {
        Request::Scan(paths) => scan(paths),
        Request::Thumbnail(item, path) => match dualres_imaging::read(path) {
            Ok(picture) => Loaded::Thumbnail {
                item: *item,
                size: [picture.width(), picture.height()],
                image: thumbnail(&Pyramid::of(&picture)),
            },
            Err(error) => Loaded::Broken { item: *item, failure: failure_of(&error) },
        },
        // What is wrong with it, the worker tells, who reads it for the proof.
        Request::Result(item, path) => {
            let picture = dualres_imaging::read(path).ok()?;
            Loaded::Result { item: *item, pyramid: Box::new(Pyramid::of(&picture)) }
        }
        Request::Open(item, path) => match dualres_imaging::read(path) {
            Ok(mut picture) => {
                let fitting = choose(&Condition::of(&picture));
                // As the worker sees it, so that the proof speaks of the same picture.
                dualres_imaging::cover_transparent(&mut picture);
                let pyramid = Box::new(Pyramid::of(&picture));
                let thumbnail = thumbnail(&pyramid);
                Loaded::Opened { item: *item, thumbnail, pyramid, picture: Arc::new(picture), fitting }
            }
            Err(error) => Loaded::Broken { item: *item, failure: failure_of(&error) },
        },
    })
}

fn failure_of(error: &ImagingError) -> Failure {
    Failure { reason: error.to_string(), lasts: error.is_of_the_file() }
}

pub(crate) fn is_model(path: &Path) -> bool {
    let known = |extension: &OsStr| EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known));
    path.extension().is_some_and(known) || layers_beside(path).is_some()
}

/// The layers (`.param`) of an ncnn network whose weights (`.bin`) a path is.
fn layers_beside(path: &Path) -> Option<PathBuf> {
    let is_bin = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("bin"));
    is_bin.then(|| path.with_extension("param")).filter(|layers| layers.is_file())
}

fn scan(paths: &[PathBuf]) -> Loaded {
    let (mut pictures, mut models, mut complaints) = (Vec::new(), Vec::new(), Vec::new());
    let brought = |Input { path, below, .. }: Input| {
        let size = upright_dimensions(&path).map(|(width, height)| [width, height]);
        let format = format_like(&path);
        // A header that cannot be read is looked at again by the decoder, who has the last word.
        let broken = match &size {
            Err(error) if error.is_of_the_file() => dualres_imaging::read(&path).err().map(|error| failure_of(&error)),
            _ => None,
        };
        Brought { path, below, size: size.ok(), format, broken }
    };
    for path in paths {
        if path.is_dir() || (!path.exists() && is_pattern(path)) {
            match Inputs::find(std::slice::from_ref(path)) {
                Ok(found) => {
                    if let Some((example, advice)) = found.foreign.first() {
                        let name = example.file_name().unwrap_or_default().to_string_lossy();
                        let count = found.foreign.len();
                        complaints.push(tr!(
                            "Not read: %{count} files of other kinds. %{name}: %{advice}",
                            count = count,
                            name = name,
                            advice = translated(advice)
                        ));
                    }
                    pictures.extend(found.pictures.into_iter().map(brought));
                    complaints.extend(found.problems);
                    if found.results > 0 {
                        complaints.push(tr!("Left out: %{count} results of earlier runs.", count = found.results));
                    }
                    if let Some(hidden) = found.left_out.first() {
                        let (count, hidden) = (found.left_out.len(), hidden.display());
                        complaints.push(tr!(
                            "Left out: %{count} hidden folders, such as %{hidden}",
                            count = count,
                            hidden = hidden
                        ));
                    }
                }
                Err(reason) => complaints.push(reason),
            }
        } else if is_model(path) {
            // The two files of an ncnn network are one model.
            let model = layers_beside(path).unwrap_or_else(|| path.clone());
            if !models.contains(&model) {
                models.push(model);
            }
        } else if path.exists() {
            pictures.push(brought(Input { path: path.clone(), below: PathBuf::new(), twin: 0 }));
        } else {
            complaints.push(tr!("there is no file %{path}", path = path.display()));
        }
    }
    Loaded::Found { pictures, models, complaints }
}

fn thumbnail(pyramid: &Pyramid) -> ColorImage {
    let coarsest = pyramid.levels.last().expect("a pyramid has levels");
    let mut level = Level { width: coarsest.width, height: coarsest.height, rgba: coarsest.rgba.clone() };
    while level.width.max(level.height) > THUMBNAIL {
        level = halved(&level);
    }
    for pixel in level.rgba.chunks_exact_mut(4) {
        pixel[3] = ((u32::from(pixel[3].saturating_sub(8))) * 255 / 247) as u8;
    }
    ColorImage::from_rgba_unmultiplied([level.width, level.height], &level.rgba)
}

fn halved(level: &Level) -> Level {
    let (width, height) = (level.width.div_ceil(2), level.height.div_ceil(2));
    let mut rgba = Vec::with_capacity(width * height * 4);
    for y in 0..height {
        for x in 0..width {
            let xs = [2 * x, (2 * x + 1).min(level.width - 1)];
            let ys = [2 * y, (2 * y + 1).min(level.height - 1)];
            for channel in 0..4 {
                let sum: u32 = ys
                    .iter()
                    .flat_map(|&y| xs.iter().map(move |&x| (x, y)))
                    .map(|(x, y)| u32::from(level.pixel(x, y)[channel]))
                    .sum();
                rgba.push((sum / 4) as u8);
            }
        }
    }
    Level { width, height, rgba }
}
