//! Channel selection (section 4.3): which channels each unit keeps, unit by unit. What lies before a unit is cut
//! already, what lies behind it is not.

mod greedy;
mod others;

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor};
use dualres_network::{Model, Pass, Pooling, Weight, Weights};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::{
    CompressConfig, Event, Method, Observer, Profile, Result, SelectionConfig, Stage,
    data::{Data, Purpose},
    events::{EventLog, Meter},
    files::{SELECTION_FILE, load_state, save_state},
    report::Kept,
    surgery::{columns_of, cut_weights},
};

/// Where a selection stands, apart from the weights of the masked network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// Channels that stay, of the units that are done.
    kept: Vec<Vec<usize>>,
    /// What the channels were judged by.
    scores: Vec<Vec<f64>>,
    /// The dual regression loss after the last unit, if the method measures it.
    losses: Option<crate::Losses>,
}

/// What a selection gives.
pub(crate) struct Selected {
    /// Weights of the full network with the columns of what goes set to zero.
    pub(crate) masked: Weights,
    /// Channels that stay, a list a unit.
    pub(crate) kept: Vec<Vec<usize>>,
    /// The dual regression loss in the end, if the method measures it.
    pub(crate) losses: Option<crate::Losses>,
}

/// What a selector decides for a unit.
struct Chosen {
    /// Channels that stay, ascending.
    kept: Vec<usize>,
    /// Kernel of the consumer for the channels that stay, [O, K', K, K].
    kernel: Weight,
    /// Bias of the consumer, if it has one and it changed.
    bias: Option<Weight>,
    /// What each channel was judged by.
    scores: Vec<f64>,
    /// The loss in the end, where the selector measures one.
    losses: Option<crate::Losses>,
    /// What the user should know.
    warnings: Vec<String>,
}

/// A unit for which channels are to be chosen.
struct Site<'a> {
    unit: usize,
    /// Channels to keep.
    count: usize,
    /// The network, cut before the unit and whole from it on; without gradients.
    work: &'a Model,
    /// The batches.
    batches: &'a [Batch],
    device: &'a Device,
    settings: &'a SelectionConfig,
    /// Makes the batches of a later step, where each step has its own.
    fresh: Option<&'a dyn Fn(usize) -> Result<Vec<Batch>>>,
}

/// A batch at a unit.
struct Batch {
    /// The forward pass of the network being cut, before the unit.
    pass: Pass,
    /// The consumer's output in the original network, [N, O, H, W].
    wanted: Tensor<4>,
    /// The pictures of all levels.
    targets: Vec<Tensor<4>>,
}

impl Site<'_> {
    /// Name of the consumer in model files.
    fn consumer(&self) -> String {
        self.work.description.architecture.unit_layers(self.unit).consumer
    }

    /// Kernel of the consumer with all channels.
    fn kernel(&self) -> Weight {
        self.work.weights().0[&format!("{}.weight", self.consumer())].clone()
    }
}

/// Chooses the channels of all units, or goes on with the selection in `folder`. `None` if the
/// observer stopped it.
#[expect(clippy::too_many_arguments, reason = "a stage takes what the stages before it gave")]
pub(crate) fn select(
    config: &CompressConfig,
    original: &Model,
    widths: &[usize],
    profile: Option<&Profile>,
    data: &Data,
    device: &Device,
    folder: &Path,
    observe: Observer,
) -> Result<Option<Selected>> {
    Selection::open(config, original, widths, profile, data, device, folder)?.run(observe)
}

/// Channels that stay and what all were judged by, of the units that the selection in `folder` is done with.
pub(crate) fn read_choice(folder: &Path) -> Result<Choice> {
    let state: Option<(Weights, State)> = load_state(&folder.join(SELECTION_FILE))?;
    Ok(state.map(|(_, state)| Choice { kept: state.kept, scores: state.scores }).unwrap_or_default())
}

/// What a selection has chosen so far, a list a unit.
#[derive(Default)]
pub(crate) struct Choice {
    pub(crate) kept: Vec<Vec<usize>>,
    pub(crate) scores: Vec<Vec<f64>>,
}

struct Selection<'a> {
    config: &'a CompressConfig,
    original: &'a Model,
    widths: &'a [usize],
    profile: Option<&'a Profile>,
    data: &'a Data,
    device: &'a Device,
    path: PathBuf,
    /// The full network with the columns of the units that are done set to zero or what was chosen.
    masked: Weights,
    state: State,
    settings: SelectionConfig,
}

impl<'a> Selection<'a> {
    fn open(
        config: &'a CompressConfig,
        original: &'a Model,
        widths: &'a [usize],
        profile: Option<&'a Profile>,
        data: &'a Data,
        device: &'a Device,
        folder: &Path,
    ) -> Result<Self> {
        let path = folder.join(SELECTION_FILE);
        let (masked, state) = match load_state(&path)? {
            Some((weights, state)) => (weights, state),
            None => (original.weights(), State::default()),
        };
        let mut settings = config.selection.clone();
        if config.method == Method::Dcp {
            settings.lambda = 0.0;
        }
        Ok(Self { config, original, widths, profile, data, device, path, masked, state, settings })
    }

    fn run(&mut self, observe: Observer) -> Result<Option<Selected>> {
        let architecture = &self.original.description.architecture;
        let (first, steps) = (self.state.kept.len(), self.widths.len());
        if first == steps {
            // Opening the curves here would drop those of later stages.
            return Ok(Some(self.selected()));
        }
        let mut log = EventLog::open(&self.path.with_file_name(crate::EVENTS_FILE), Stage::Select, first)?;
        let mut meter = Meter::new(Stage::Select, first, steps);
        let kept = Kept::of(architecture);
        let mut flow = observe(&Event::Stage { stage: Stage::Select, step: first, steps });
        let judged = matches!(self.config.method, Method::Drc | Method::Uniform | Method::Dcp | Method::Thinet);
        let mut front = if judged { Some(self.front()?) } else { None };
        for unit in first..steps {
            if flow.is_break() {
                return Ok(None);
            }
            let mut tick = || observe(&Event::Tick).is_continue();
            let Some(chosen) = self.choose(unit, front.as_ref(), &mut tick)? else { return Ok(None) };
            let mut tell = |event: Event| {
                if observe(&event).is_break() {
                    flow = ControlFlow::Break(());
                }
            };
            chosen.warnings.iter().for_each(|warning| tell(Event::Warning(warning.clone())));
            self.apply(unit, &chosen);
            if let Some(front) = &mut front {
                self.advance(front, unit)?;
            }
            let mut so_far = architecture.widths.clone();
            so_far[..=unit].copy_from_slice(&self.widths[..=unit]);
            (meter.kept_macs, meter.kept_parameters) = kept.shares(&so_far);
            let progress = crate::Progress { losses: chosen.losses, ..meter.step(unit + 1) };
            // The curve first: rows ahead of the saved state are dropped, rows behind it would be missing.
            log.push(&progress)?;
            save_state(&self.path, &self.masked, &self.state)?;
            tell(Event::Unit { unit, kept: &chosen.kept, scores: &self.state.scores[unit] });
            tell(Event::Step(progress));
        }
        if flow.is_break() {
            return Ok(None);
        }
        Ok(Some(self.selected()))
    }

    fn selected(&self) -> Selected {
        Selected { masked: self.masked.clone(), kept: self.state.kept.clone(), losses: self.state.losses }
    }

    /// The network with the units that are done cut, the others whole.
    fn work(&self) -> Result<Model> {
        let architecture = &self.original.description.architecture;
        let mut kept = self.state.kept.clone();
        kept.extend(architecture.widths[kept.len()..].iter().map(|&width| (0..width).collect::<Vec<_>>()));
        let mut weights = self.masked.clone();
        let mut description = self.original.description.clone();
        description.architecture = cut_weights(architecture, &mut weights, &kept)?;
        Ok(Model::from_weights(description, &weights, self.device)?)
    }

    /// Batches before the first unit that is not done.
    fn front(&self) -> Result<Front> {
        let batches = (0..self.settings.batches).map(|step| self.draw(step)).collect::<Result<Vec<_>>>()?;
        self.front_of(batches)
    }

    fn draw(&self, step: usize) -> Result<Vec<Tensor<4>>> {
        self.data.batch(Purpose::Selection, step, self.settings.batch, self.settings.patch, self.device)
    }

    fn front_of(&self, batches: Vec<Vec<Tensor<4>>>) -> Result<Front> {
        let work = self.work()?;
        let done = self.state.kept.len();
        let pass = |model: &Model, targets: &[Tensor<4>]| {
            let start = model.primal.enter(targets[0].clone(), Pooling::Global);
            (0..done).fold(start, |pass, unit| model.primal.pass_unit(pass, unit, None))
        };
        let cut = batches.iter().map(|targets| pass(&work, targets)).collect();
        let whole = batches.iter().map(|targets| pass(self.original, targets)).collect();
        Ok(Front { work, cut, whole, targets: batches })
    }

    /// Takes the front past a unit that was just done.
    fn advance(&self, front: &mut Front, unit: usize) -> Result<()> {
        front.work = self.work()?;
        let past = |model: &Model, pass: Pass| model.primal.pass_unit(pass, unit, None);
        front.cut = std::mem::take(&mut front.cut).into_iter().map(|pass| past(&front.work, pass)).collect();
        front.whole = std::mem::take(&mut front.whole).into_iter().map(|pass| past(self.original, pass)).collect();
        Ok(())
    }

    fn batches(&self, front: &Front, unit: usize) -> Vec<Batch> {
        let batch = |((cut, whole), targets): ((&Pass, &Pass), &Vec<Tensor<4>>)| {
            let mut wanted = None;
            let mut probe = |_: &Tensor<4>, output: &Tensor<4>| wanted = Some(output.clone());
            let _ = self.original.primal.pass_unit(whole.clone(), unit, Some(&mut probe));
            let wanted = wanted.expect("every unit has a consumer");
            Batch { pass: cut.clone(), wanted, targets: targets.clone() }
        };
        front.cut.iter().zip(&front.whole).zip(&front.targets).map(batch).collect()
    }

    /// `None` if `tick` said stop.
    fn choose(&self, unit: usize, front: Option<&Front>, tick: &mut dyn FnMut() -> bool) -> Result<Option<Chosen>> {
        let count = self.widths[unit];
        let name = format!("{}.weight", self.original.description.architecture.unit_layers(unit).consumer);
        let kernel = &self.masked.0[&name];
        match (self.config.method, front) {
            (Method::Drc | Method::Uniform | Method::Dcp | Method::Thinet, Some(front)) => {
                let batches = self.batches(front, unit);
                // Numbered so that no two units or steps share patches.
                let fresh = |step: usize| {
                    let from = (unit * 1024 + step + 1) * self.settings.batches;
                    let drawn = (from..from + self.settings.batches).map(|step| self.draw(step));
                    Ok(self.batches(&self.front_of(drawn.collect::<Result<_>>()?)?, unit))
                };
                let (work, device, settings) = (&front.work, self.device, &self.settings);
                let fresh: Option<&dyn Fn(usize) -> Result<Vec<Batch>>> =
                    if settings.fresh_patches { Some(&fresh) } else { None };
                let site = Site { unit, count, work, batches: &batches, device, settings, fresh };
                match self.config.method {
                    Method::Thinet => others::thinet(&site, tick),
                    _ => greedy::greedy(&site, tick),
                }
            }
            (Method::Random, _) => {
                let mut random = ChaCha8Rng::seed_from_u64(self.config.seed);
                random.set_stream(unit as u64);
                Ok(Some(others::random(kernel, count, &mut random)))
            }
            (Method::Profile, _) if self.profile.is_some() => {
                let profile = self.profile.expect("seen to be there");
                let mut widths = self.original.description.architecture.widths.clone();
                widths[unit] = count;
                let kept = profile.kept(&widths).swap_remove(unit);
                let kernel = profile.consumer(&self.masked, unit, &kept).1;
                let judged = profile.units[unit].order.len();
                let mut scores = vec![0.0; judged];
                for (place, &channel) in profile.units[unit].order.iter().enumerate() {
                    scores[channel] = (judged - place) as f64;
                }
                Ok(Some(Chosen { kept, kernel, bias: None, scores, losses: None, warnings: Vec::new() }))
            }
            _ => Ok(Some(others::l1(kernel, count))),
        }
    }

    /// Writes the choice into the masked network.
    fn apply(&mut self, unit: usize, chosen: &Chosen) {
        let consumer = self.original.description.architecture.unit_layers(unit).consumer;
        let kernel = self.masked.0.get_mut(&format!("{consumer}.weight")).expect("every unit has a consumer");
        spread(&chosen.kernel, &chosen.kept, kernel);
        if let Some(bias) = &chosen.bias {
            self.masked.0.insert(format!("{consumer}.bias"), bias.clone());
        }
        self.state.kept.push(chosen.kept.clone());
        self.state.scores.push(chosen.scores.clone());
        self.state.losses = chosen.losses;
    }
}

/// Where the batches stand: before the unit that is next.
struct Front {
    work: Model,
    cut: Vec<Pass>,
    whole: Vec<Pass>,
    targets: Vec<Vec<Tensor<4>>>,
}

/// Puts the columns of `small` at `kept` of `full`, zero elsewhere.
fn spread(small: &Weight, kept: &[usize], full: &mut Weight) {
    let (inputs, taps) = (full.shape[1], full.shape[2] * full.shape[3]);
    full.values.fill(0.0);
    for (output, values) in small.values.chunks_exact(kept.len() * taps).enumerate() {
        for (&channel, values) in kept.iter().zip(values.chunks_exact(taps)) {
            full.values[(output * inputs + channel) * taps..][..taps].copy_from_slice(values);
        }
    }
}

/// A choice that leaves the weights as they are.
fn unchanged(kernel: &Weight, mut kept: Vec<usize>, scores: Vec<f64>) -> Chosen {
    kept.sort_unstable();
    let kernel = columns_of(kernel, &kept);
    Chosen { kept, kernel, bias: None, scores, losses: None, warnings: Vec::new() }
}
