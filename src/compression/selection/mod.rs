//! Channel selection (section 4.3): which channels each prunable layer keeps, prunable layer by prunable layer. What lies before a prunable layer is cut
//! already, what lies behind it is not.

mod greedy;
mod least_squares;
mod others;
mod worth;

use std::{
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use burn::tensor::{Device, Tensor};
use dualres_network::{Activations, ChannelGroup, Model, Pooling, Weight, Weights};
use least_squares::LeastSquares;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
pub(crate) use worth::{profiled, worth};

use crate::{
    Channels, CompressConfig, Event, Observer, Profile, Result, SelectionConfig, Stage,
    data::{Data, Purpose},
    events::{EventLog, Meter},
    files::{SELECTION_FILE, load_state, save_state},
    layers::{Layers, weight_name},
    report::Kept,
    surgery::{columns_of, part_of, silence, spread},
};

/// Where a selection stands, apart from the weights of the masked network.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct State {
    /// Channels that stay, of the prunable layers that are done.
    kept: Vec<Vec<usize>>,
    /// What the channels were judged by.
    scores: Vec<Vec<f64>>,
    /// The dual regression loss after the last prunable layer, if the method measures it.
    losses: Option<crate::Losses>,
}

/// What a selection gives.
pub(crate) struct Selected {
    /// Weights of the full network with the columns of what goes set to zero.
    pub(crate) masked: Weights,
    /// Channels that stay, a list a prunable layer.
    pub(crate) kept: Vec<Vec<usize>>,
    /// The dual regression loss in the end, if the method measures it.
    pub(crate) losses: Option<crate::Losses>,
}

/// What a selector decides for a prunable layer.
struct Chosen {
    /// Channels that stay, ascending.
    kept: Vec<usize>,
    /// Kernels of the consumers for the channels that stay, each [O, K', K, K].
    kernels: Vec<Weight>,
    /// Biases of the consumers, of those that have one that changed.
    biases: Vec<Option<Weight>>,
    /// What each channel was judged by.
    scores: Vec<f64>,
    /// The loss in the end, where the selector measures one.
    losses: Option<crate::Losses>,
    /// What the user should know.
    warnings: Vec<String>,
}

/// A prunable layer for which channels are to be chosen.
struct Site<'a> {
    /// Name of the layer, for people.
    name: String,
    /// Its channels.
    group: &'a ChannelGroup,
    /// Channels to keep.
    count: usize,
    /// The network, masked before the prunable layer and whole from it on; without gradients.
    work: &'a Model,
    /// The batches.
    batches: &'a [Batch],
    device: &'a Device,
    settings: &'a SelectionConfig,
    /// Makes the batches of a later step, where each step has its own.
    fresh: Option<&'a dyn Fn(usize) -> Result<Vec<Batch>>>,
}

/// A batch at a prunable layer.
struct Batch {
    /// The forward pass of the network being cut, before the prunable layer.
    pass: Activations,
    /// That of the original network.
    whole: Activations,
    /// The consumers' outputs in the original network, each [N, O, H, W].
    wanted: Vec<Tensor<4>>,
    /// The pictures of all levels.
    targets: Vec<Tensor<4>>,
}

impl Site<'_> {
    /// The consumers' kernels for all channels of the layer, each [O, C, K, K].
    fn kernels(&self) -> Vec<Weight> {
        kernels_of(self.group, &self.work.weights())
    }
}

/// The columns of a layer's consumers that are its channels.
fn kernels_of(group: &ChannelGroup, weights: &Weights) -> Vec<Weight> {
    group.consumers.iter().map(|member| part_of(&weights.0[&weight_name(member)], member, group.width)).collect()
}

/// What search and selection work on.
#[derive(Clone, Copy)]
pub(crate) struct Task<'a> {
    pub(crate) config: &'a CompressConfig,
    pub(crate) original: &'a Model,
    pub(crate) profile: Option<&'a Profile>,
    pub(crate) data: &'a Data,
    pub(crate) device: &'a Device,
}

/// Chooses the channels of all prunable layers, or goes on with the selection in `folder`. `None` if the
/// observer stopped it.
pub(crate) fn select(task: Task, widths: &[usize], folder: &Path, observe: Observer) -> Result<Option<Selected>> {
    Selection::open(task, widths, folder)?.run(observe)
}

/// Channels that stay and what all were judged by, of the prunable layers that the selection in `folder` is done with.
pub(crate) fn read_choice(folder: &Path) -> Result<Choice> {
    let state: Option<(Weights, State)> = load_state(&folder.join(SELECTION_FILE))?;
    Ok(state.map(|(_, state)| Choice { kept: state.kept, scores: state.scores }).unwrap_or_default())
}

/// What a selection has chosen so far, a list a prunable layer.
#[derive(Default)]
pub(crate) struct Choice {
    pub(crate) kept: Vec<Vec<usize>>,
    pub(crate) scores: Vec<Vec<f64>>,
}

struct Selection<'a> {
    task: Task<'a>,
    layers: Layers,
    widths: &'a [usize],
    /// Where the state is kept.
    path: PathBuf,
    /// The full network with the columns of the prunable layers that are done set to zero or what was chosen.
    masked: Weights,
    state: State,
    settings: SelectionConfig,
}

impl<'a> Selection<'a> {
    /// From the beginning, nothing kept.
    fn new(task: Task<'a>, widths: &'a [usize]) -> Self {
        let mut settings = task.config.selection.clone();
        if !task.config.method.about().dual {
            settings.lambda = 0.0;
        }
        let layers = Layers::of(&task.original.description.network, task.config.streams);
        let (masked, state, path) = (task.original.weights(), State::default(), PathBuf::new());
        Self { task, layers, widths, path, masked, state, settings }
    }

    fn open(task: Task<'a>, widths: &'a [usize], folder: &Path) -> Result<Self> {
        let mut selection = Self::new(task, widths);
        selection.path = folder.join(SELECTION_FILE);
        if let Some((masked, state)) = load_state(&selection.path)? {
            (selection.masked, selection.state) = (masked, state);
        }
        Ok(selection)
    }

    /// Whether the method looks at pictures.
    fn is_judged(&self) -> bool {
        self.task.config.method.about().channels.look_at_pictures(self.settings.compensate)
    }

    fn run(&mut self, observe: Observer) -> Result<Option<Selected>> {
        let (first, steps) = (self.state.kept.len(), self.widths.len());
        if first == steps {
            // Opening the curves here would drop those of later stages.
            return Ok(Some(self.selected()));
        }
        let mut log = EventLog::open(&self.path.with_file_name(crate::EVENTS_FILE), Stage::Select, first)?;
        let mut meter = Meter::new(Stage::Select, first, steps);
        let kept = Kept::of(&self.layers);
        let mut flow = observe(&Event::Stage { stage: Stage::Select, step: first, steps });
        let mut front = if self.is_judged() { Some(self.front()?) } else { None };
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
            let mut so_far = self.layers.widths.clone();
            so_far[..=unit].copy_from_slice(&self.widths[..=unit]);
            (meter.kept_macs, meter.kept_parameters) = kept.shares(&so_far);
            let progress = crate::StageProgress { losses: chosen.losses, ..meter.step(unit + 1) };
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

    /// The network as far as it is chosen: masked rather than cut, so that nodes and channels keep their places, also where
    /// layers share a convolution.
    fn work(&self) -> Result<Model> {
        Ok(Model::from_weights(self.task.original.description.clone(), &self.masked, self.task.device)?)
    }

    /// Batches before the first prunable layer that is not done.
    fn front(&self) -> Result<Front> {
        let batches = (0..self.settings.batches).map(|step| self.draw(step)).collect::<Result<Vec<_>>>()?;
        self.front_of(batches)
    }

    fn draw(&self, step: usize) -> Result<Vec<Tensor<4>>> {
        self.task.data.batch(Purpose::Selection, step, self.settings.batch, self.settings.patch, self.task.device)
    }

    fn front_of(&self, batches: Vec<Vec<Tensor<4>>>) -> Result<Front> {
        let work = self.work()?;
        let done = self.state.kept.len();
        let first = self.layers.groups.get(done).map_or(0, ChannelGroup::first);
        let pass = |model: &Model, targets: &[Tensor<4>]| {
            model.primal.advance(model.primal.start(targets[0].clone(), Pooling::Global), first, &[])
        };
        let cut = batches.iter().map(|targets| pass(&work, targets)).collect();
        let whole = batches.iter().map(|targets| pass(self.task.original, targets)).collect();
        Ok(Front { work, cut, whole, targets: batches })
    }

    /// Takes the front past a prunable layer that was just done.
    fn advance(&self, front: &mut Front, unit: usize) -> Result<()> {
        front.work = self.work()?;
        let Some(next) = self.layers.groups.get(unit + 1).map(ChannelGroup::first) else { return Ok(()) };
        let past = |model: &Model, pass: Activations| model.primal.advance(pass, next, &[]);
        front.cut = std::mem::take(&mut front.cut).into_iter().map(|pass| past(&front.work, pass)).collect();
        front.whole = std::mem::take(&mut front.whole).into_iter().map(|pass| past(self.task.original, pass)).collect();
        Ok(())
    }

    fn batches(&self, front: &Front, unit: usize) -> Vec<Batch> {
        let group = &self.layers.groups[unit];
        let outputs: Vec<usize> = group.consumers.iter().map(|member| member.node).collect();
        let batch = |((cut, whole), targets): ((&Activations, &Activations), &Vec<Tensor<4>>)| {
            let passed = self.task.original.primal.advance(whole.clone(), group.last() + 1, &outputs);
            let output = |node: &usize| passed.value(*node).expect("kept").clone();
            Batch {
                pass: cut.clone(),
                whole: whole.clone(),
                wanted: outputs.iter().map(output).collect(),
                targets: targets.clone(),
            }
        };
        front.cut.iter().zip(&front.whole).zip(&front.targets).map(batch).collect()
    }

    /// `None` if `tick` said stop.
    fn choose(&self, unit: usize, front: Option<&Front>, tick: &mut dyn FnMut() -> bool) -> Result<Option<Chosen>> {
        let count = self.widths[unit];
        let group = &self.layers.groups[unit];
        let kernels = || kernels_of(group, &self.masked);
        if count == 0 {
            // The block goes; what ends it is silenced when the choice is applied.
            return Ok(Some(unchanged(&kernels(), Vec::new(), Vec::new())));
        }
        let channels = self.task.config.method.about().channels;
        match (channels, front) {
            (Channels::Greedy | Channels::Thinet | Channels::Profile, Some(front)) => {
                let batches = self.batches(front, unit);
                // Numbered so that no two prunable layers or steps share patches.
                let fresh = |step: usize| {
                    let from = (unit * 1024 + step + 1) * self.settings.batches;
                    let drawn = (from..from + self.settings.batches).map(|step| self.draw(step));
                    Ok(self.batches(&self.front_of(drawn.collect::<Result<_>>()?)?, unit))
                };
                let (work, device, settings) = (&front.work, self.task.device, &self.settings);
                let fresh: Option<&dyn Fn(usize) -> Result<Vec<Batch>>> =
                    if settings.fresh_patches { Some(&fresh) } else { None };
                let name = self.layers.name(unit);
                let site = Site { name, group, count, work, batches: &batches, device, settings, fresh };
                match channels {
                    Channels::Thinet => others::thinet(&site, tick),
                    Channels::Profile => self.profiled(unit, Some(&site), tick),
                    _ => greedy::greedy(&site, tick),
                }
            }
            (Channels::Random, _) => {
                let mut random = ChaCha8Rng::seed_from_u64(self.task.config.seed);
                random.set_stream(unit as u64);
                Ok(Some(others::random(&kernels(), count, &mut random)))
            }
            (Channels::Profile, _) => self.profiled(unit, None, tick),
            _ => Ok(Some(others::l1(&kernels(), count))),
        }
    }

    /// The channels that the profile puts first; with a site, the consumers by least squares on the network as it is cut, else
    /// what goes predicted from what stays. `None` if `tick` said stop.
    fn profiled(&self, unit: usize, site: Option<&Site>, tick: &mut dyn FnMut() -> bool) -> Result<Option<Chosen>> {
        let Some(profile) = self.task.profile else {
            let reason = "the method needs a sensitivity profile, and the run has none".to_owned();
            return Err(crate::CompressionError::Setting(reason));
        };
        let mut widths = self.layers.widths.clone();
        widths[unit] = self.widths[unit];
        let kept = profile.kept(&widths).swap_remove(unit);
        let judged = profile.units[unit].order.len();
        let mut scores = vec![0.0; judged];
        for (place, &channel) in profile.units[unit].order.iter().enumerate() {
            scores[channel] = (judged - place) as f64;
        }
        let (kernels, biases) = match site {
            Some(site) => {
                let folded = profile.consumers(&self.masked, unit, &kept);
                let mut squares = LeastSquares::new(site);
                if !squares.add(site, site.batches, tick)? {
                    return Ok(None);
                }
                squares.solve(&kept, Some(&folded)).into_iter().unzip()
            }
            None => {
                let kernels = profile.consumers(&self.masked, unit, &kept);
                let biases = vec![None; kernels.len()];
                (kernels, biases)
            }
        };
        Ok(Some(Chosen { kept, kernels, biases, scores, losses: None, warnings: Vec::new() }))
    }

    /// Writes the choice into the masked network.
    fn apply(&mut self, unit: usize, chosen: &Chosen) {
        let group = &self.layers.groups[unit];
        for ((member, kernel), bias) in group.consumers.iter().zip(&chosen.kernels).zip(&chosen.biases) {
            let full = self.masked.0.get_mut(&weight_name(member)).expect("every layer has consumers");
            spread(kernel, &chosen.kept, full, member.offset, group.width);
            if let Some(bias) = bias {
                self.masked.0.insert(format!("model.{}.bias", member.layer), bias.clone());
            }
        }
        if chosen.kept.is_empty() {
            let gone = |(&width, all): (&usize, &usize)| if width == 0 { Vec::new() } else { (0..*all).collect() };
            let kept: Vec<Vec<usize>> = self.widths.iter().zip(&self.layers.widths).map(gone).collect();
            silence(&self.layers, &kept, &mut self.masked);
        }
        self.state.kept.push(chosen.kept.clone());
        self.state.scores.push(chosen.scores.clone());
        self.state.losses = chosen.losses;
    }
}

/// Where the batches stand: before the prunable layer that is next.
struct Front {
    work: Model,
    cut: Vec<Activations>,
    whole: Vec<Activations>,
    targets: Vec<Vec<Tensor<4>>>,
}

/// A choice that leaves the weights as they are.
fn unchanged(kernels: &[Weight], mut kept: Vec<usize>, scores: Vec<f64>) -> Chosen {
    kept.sort_unstable();
    let kernels: Vec<Weight> = kernels.iter().map(|kernel| columns_of(kernel, &kept)).collect();
    let biases = vec![None; kernels.len()];
    Chosen { kept, kernels, biases, scores, losses: None, warnings: Vec::new() }
}
