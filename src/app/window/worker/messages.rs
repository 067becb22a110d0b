//! What the window asks of the worker, and what it is told.

use std::{path::PathBuf, sync::Arc};

use dualres_engine::Area;
use dualres_imaging::{Picture, Plane};

use crate::window::{
    document::{Patch, ProofPatch},
    queue::{Failure, Finished, ItemId, Proven},
    settings::Choices,
};

/// Stands for the device of a result that the record of its folder had already.
pub(crate) const DONE_BEFORE: &str = "done before";

/// What is of no picture of the queue.
pub(crate) const NO_ITEM: ItemId = ItemId(u64::MAX);

/// What the window asks for.
#[derive(Clone, Debug)]
pub enum Command {
    /// Upscale a file and save the result.
    Upscale(Job),
    /// Feed the dual residual of the last result back at another strength, and show it.
    Refine {
        /// Told in the answer.
        number: u64,
        /// Picture whose result it is.
        item: ItemId,
        /// The model that made it, by name.
        model: String,
        /// Strength in `[0, 1]`.
        fidelity: f32,
    },
    /// Save the result of a picture as another file.
    SaveAs {
        /// Picture whose result it is.
        item: ItemId,
        /// Where it was saved by the run.
        output: PathBuf,
        /// File to write; its extension is the format. A file that is there is replaced: the user was asked.
        path: PathBuf,
        /// Whether the result was refined after it was saved, so that the saved file will not do.
        refined: bool,
        /// How to write it; model and fidelity are those of the result.
        choices: Box<Choices>,
    },
    /// Save the result of a picture beside its file, as it is shown: as another version.
    SaveVersion {
        /// Picture whose result it is.
        item: ItemId,
        /// The file of an earlier version; the name gets a number.
        output: PathBuf,
        /// How to write it; model and fidelity are those of the result.
        choices: Box<Choices>,
    },
    /// Take a saved result back through the dual model, to show a picture that was done earlier.
    Prove {
        /// The picture.
        item: ItemId,
        /// The original.
        input: Arc<Picture>,
        /// Its saved result.
        output: PathBuf,
        /// Model that made it.
        model: String,
        /// Device to use.
        device: String,
    },
    /// Upscale a part by two models, to see what the smaller one costs.
    Compare(Box<Comparison>),
    /// Upscale a part by one of the models that are compared, unless another comparison has begun.
    Try(Box<Try>),
    /// Do the preview that was left at [`super::Control::preview`], if a running picture has not seen to it.
    Preview,
    /// Forget the model in use: the library has changed.
    Forget,
    /// Nothing waits any more: let go of the folder of results.
    Rest,
    /// List the devices.
    Devices,
    /// Forget what checks of a device have found, so that it is checked again.
    ForgetChecks {
        /// Device by name or `auto`.
        device: String,
    },
    /// Measure how fast a model is on a device.
    Measure {
        /// Model by name.
        model: String,
        /// Device by name or `auto`.
        device: String,
    },
}

/// A file to upscale.
#[derive(Clone, Debug)]
pub struct Job {
    /// The picture.
    pub item: ItemId,
    /// Its file.
    pub input: PathBuf,
    /// Where it lies below the folder that was brought, if it came with one.
    pub below: PathBuf,
    /// Which of several pictures of its place in the queue it is; see [`crate::batch::inputs::Input`].
    pub twin: usize,
    /// Its place in the queue, from 1 on.
    pub index: usize,
    /// How.
    pub choices: Choices,
    /// Whether it is to be done even if the record of the folder has it.
    pub again: bool,
    /// The file that is likely to be next, to be read meanwhile.
    pub next: Option<PathBuf>,
}

/// A part of a picture to upscale by a compressed model and by the one it was made from.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The picture.
    pub item: ItemId,
    /// The original.
    pub input: Arc<Picture>,
    /// The part, in pixels of the original.
    pub area: Area,
    /// The model it was made from, and the compressed one.
    pub models: [String; 2],
    /// Device to use.
    pub device: String,
}

impl Comparison {
    /// A comparison on no picture of the queue, for the time alone: what a picture shows does not change what it costs.
    pub(crate) fn of_models(models: [String; 2], device: String) -> Self {
        const SIDE: usize = 128;
        let plane = |c: usize| (0..SIDE * SIDE).map(|i| (i * (c + 7) % 256) as f32).collect();
        let input = Picture::from_planes((0..3).map(|c| Plane::new(SIDE, SIDE, plane(c))).collect());
        let area = Area { x: 0, y: 0, width: SIDE, height: SIDE };
        Self { item: NO_ITEM, input: Arc::new(input), area, models, device }
    }
}

/// A part of a picture to upscale at once.
#[derive(Clone, Debug)]
pub struct Preview {
    /// Tells previews of other choices apart, which nobody waits for any more.
    pub number: u64,
    /// The picture.
    pub item: ItemId,
    /// The original.
    pub input: Arc<Picture>,
    /// The part, in pixels of the original.
    pub area: Area,
    /// How.
    pub choices: Choices,
    /// Whether what is predicted of its errors would say nothing.
    pub withholds: bool,
}

/// A part of a picture to upscale by one of the models that are compared.
#[derive(Clone, Debug)]
pub struct Try {
    /// The comparison; see [`super::Control::begin_trial`].
    pub number: u64,
    /// The original.
    pub input: Arc<Picture>,
    /// The part, in pixels of the original.
    pub area: Area,
    /// The model by name.
    pub model: String,
    /// Device to use.
    pub device: String,
    /// How far the dual residual is fed back, in `[0, 1]`.
    pub fidelity: f32,
}

/// What a model made of a part. Areas are those of the whole picture.
#[derive(Clone, Debug)]
pub struct Tried {
    /// Pixels of the result.
    pub patch: Patch,
    /// Its proof, if the model has dual models.
    pub proof: Option<Box<ProofPatch>>,
    /// Seconds that it took.
    pub seconds: f64,
}

/// What the worker tells.
#[derive(Debug)]
pub enum WorkerReport {
    /// Devices that models can run on, and which of them `auto` is.
    Devices {
        /// All of them.
        devices: Vec<DeviceInfo>,
        /// Name of the one that `auto` stands for.
        automatic: String,
    },
    /// What a device that was asked for stands for: another one, if it failed its check.
    Using {
        /// The device that was asked for, or `auto`.
        wanted: String,
        /// Name of the device that is used.
        device: String,
    },
    /// How far a job is.
    Progress {
        /// The picture.
        item: ItemId,
        /// What is being done.
        stage: String,
        /// Part that is done, in `[0, 1]`.
        done: f32,
    },
    /// Pixels of a result.
    Pixels {
        /// The picture.
        item: ItemId,
        /// How many times the result is as large as the original.
        scale: usize,
        /// The pixels.
        patch: Patch,
    },
    /// A part of the proof of a result.
    Proof {
        /// The picture.
        item: ItemId,
        /// The part.
        patch: Box<ProofPatch>,
    },
    /// The device is done with a picture, whose result is being saved: the next may begin.
    Computed {
        /// The picture.
        item: ItemId,
    },
    /// A result is saved.
    Done {
        /// The picture.
        item: ItemId,
        /// The result.
        finished: Finished,
        /// What the user should know of.
        warning: Option<String>,
    },
    /// A result was refined and is not saved yet.
    Refined {
        /// Of the command.
        number: u64,
        /// The picture.
        item: ItemId,
        /// How far the dual residual was fed back, in `[0, 1]`.
        fidelity: f32,
        /// What its proof says.
        proven: Proven,
    },
    /// The last result is not that of this picture: it has to be run again to be refined.
    NotAtHand {
        /// The picture.
        item: ItemId,
    },
    /// A preview is done.
    Previewed {
        /// The picture.
        item: ItemId,
        /// As asked for.
        number: u64,
        /// How many times the result is as large as the original.
        scale: usize,
        /// Its pixels.
        patch: Patch,
        /// Its proof, if the model has one.
        proof: Option<Box<ProofPatch>>,
    },
    /// A part was upscaled by one of the models that are compared.
    Tried {
        /// The comparison.
        number: u64,
        /// The model by name.
        model: String,
        /// What it made, or why not.
        outcome: Result<Tried, String>,
    },
    /// A part was upscaled by two models.
    Compared {
        /// The picture.
        item: ItemId,
        /// The model it was made from, and the compressed one.
        models: [String; 2],
        /// Seconds that each took.
        seconds: [f64; 2],
        /// Consistency PSNR of the part by each, in dB; infinite for a perfect loop.
        loop_psnr: [f64; 2],
    },
    /// A file was saved on request.
    Saved {
        /// The file.
        path: PathBuf,
    },
    /// Another version of a result was saved.
    Version {
        /// The picture.
        item: ItemId,
        /// The file.
        path: PathBuf,
        /// Width and height in pixels.
        size: [usize; 2],
        /// How far the dual residual was fed back, in `[0, 1]`.
        fidelity: f32,
        /// What the user should know of.
        warning: Option<String>,
    },
    /// A picture could not be done.
    Failed {
        /// The picture.
        item: ItemId,
        /// Why, and what to do.
        failure: Failure,
        /// Whether the device is to blame, which a new start may cure.
        device_failed: bool,
    },
    /// A picture cannot have its turn now, nor can the others: the folder of results is in use.
    Refused {
        /// The picture, which waits on.
        item: ItemId,
        /// Why, and what to do.
        reason: String,
    },
    /// A picture was stopped on request.
    Cancelled {
        /// The picture.
        item: ItemId,
    },
    /// Something else went wrong.
    Trouble {
        /// What was tried.
        what: Attempt,
        /// What, and what to do.
        reason: String,
    },
    /// How fast a model is.
    Speed {
        /// Model by name.
        model: String,
        /// Device by name.
        device: String,
        /// Pixels of results in a second.
        pixels_a_second: f64,
    },
    /// The worker has ended because of an error in the program.
    Crashed {
        /// What it said.
        reason: String,
    },
}

/// What went wrong in a [`Report::Trouble`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// A preview.
    Preview,
    /// Refining a result.
    Refine,
    /// Measuring a model.
    Measure,
    /// Saving or showing a result.
    Other,
}

/// A device to choose.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name.
    pub name: String,
    /// What it is: its class, driver, memory.
    pub detail: String,
    /// Whether it is a graphics driver that computes on the CPU, many times slower than the CPU by itself.
    pub is_software: bool,
    /// Whether it is the processor.
    pub is_cpu: bool,
    /// Whether it is another machine's.
    pub is_remote: bool,
}
