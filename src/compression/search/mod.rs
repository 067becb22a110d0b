//! Channel-number search (section 4.2): how many channels each prunable layer needs.
//!
//! The choice of each prunable layer's width is relaxed to probabilities; they and the weights are learned in turns, on two
//! halves of the pictures, by the full dual regression loss.

mod budget;
mod gradient;
mod state;

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use dualres_network::{Model, Pooling, dual_regression_loss};
use dualres_training::Optimizers;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Normal};

use crate::{
    Alpha, CompressConfig, CompressionError, Event, Losses, Mode, Observer, Result, SearchConfig, Stage,
    allocate::{Choices, Costs, allocate},
    candidates::{budget_widths, paper_candidates, uniform_within},
    data::Purpose,
    events::{EventLog, Meter},
    files::SEARCH_FILE,
    layers::Layers,
    mixture::{SearchSpace, entropy},
    objective, parameters,
    report::Kept,
    selection::{Task, worth},
};
use budget::Multiplier;
use state::{AlphaAdam, State};

/// Finds widths, or goes on with the search in `folder`. `None` if the observer stopped it.
pub(crate) fn search(task: Task, folder: &std::path::Path, observe: Observer) -> Result<Option<(Vec<usize>, f64)>> {
    let mut searcher = Searcher::open(task, folder)?;
    if searcher.space.candidates.iter().all(|candidates| candidates.len() == 1) {
        // Nothing to search for.
        return Ok(Some((searcher.decision()?.1, 0.0)));
    }
    searcher.run(observe)
}

/// What is searched.
fn space_of(config: &CompressConfig, layers: &Layers) -> SearchSpace {
    match config.mode {
        Mode::Paper => {
            let widths = layers.widths.iter().map(|&width| paper_candidates(width, config.ratio));
            SearchSpace::new(layers, widths.collect())
        }
        Mode::Budget => {
            let widths = budget_widths(layers, &config.costs(layers), 1.0 - config.ratio);
            SearchSpace::new(layers, widths).with_blocks(layers)
        }
    }
}

/// How likely each width is in the state of the search in `folder`, if there is one.
pub(crate) fn read_alpha(folder: &std::path::Path, config: &CompressConfig, layers: &Layers) -> Result<Option<Alpha>> {
    let Some((weights, _)) = state::load(&folder.join(SEARCH_FILE))? else { return Ok(None) };
    let space = space_of(config, layers);
    let alpha = weights.0.get("alpha").filter(|alpha| alpha.values.len() == space.len());
    Ok(alpha.map(|alpha| {
        let probabilities = space.probabilities(&alpha.values);
        Alpha { candidates: space.candidates, probabilities }
    }))
}

struct Searcher<'a> {
    task: Task<'a>,
    config: &'a SearchConfig,
    /// Widths that were judged, with what came out.
    judged: BTreeMap<Vec<usize>, (Losses, f64)>,
    path: std::path::PathBuf,
    space: SearchSpace,
    costs: Costs,
    /// Share of the multiply-accumulates that may be kept; none where candidates are the budget.
    share: Option<f64>,
    kept: Kept,
    /// On the device that records gradients.
    model: Model,
    optimizers: Optimizers,
    /// On the device without gradients.
    alpha: Tensor<1>,
    adam: AlphaAdam,
    state: State,
    validation: Vec<Vec<Tensor<4>>>,
}

impl<'a> Searcher<'a> {
    fn open(task: Task<'a>, folder: &std::path::Path) -> Result<Self> {
        let Task { config, original, profile, data, device } = task;
        let layers = &Layers::of(&original.description.network, config.streams);
        let space = space_of(config, layers);
        let costs = config.costs(layers);
        let share = (config.mode == Mode::Budget).then_some(1.0 - config.ratio);
        let path = folder.join(SEARCH_FILE);
        let mut model = parameters::leaves(original);
        let mut optimizers = Optimizers::new(&mut model, 0.0, |_| true);
        let (alpha, adam, state) = match state::load(&path)? {
            Some((weights, state)) => {
                let autodiff = device.clone().autodiff();
                model = Model::from_weights(original.description.clone(), &weights.under("weight."), &autodiff)?;
                optimizers = Optimizers::new(&mut model, 0.0, |_| true);
                optimizers.restore(&weights, state.step, device)?;
                let alpha = weights.values("alpha", &[space.len()], device)?;
                (
                    alpha,
                    AlphaAdam::restore(
                        &weights,
                        state.step - warmup(&config.search).min(state.step),
                        space.len(),
                        device,
                    )?,
                    state,
                )
            }
            None => {
                let (alpha, multiplier) = match (share, profile) {
                    (Some(share), Some(profile)) => {
                        budget::beginning(profile, &space, &costs, share, config.search.lambda)
                    }
                    _ => (random_alpha(config.seed, space.len()), Multiplier::default()),
                };
                let alpha = Tensor::from_data(alpha.as_slice(), device);
                (alpha, AlphaAdam::default(), State { step: 0, best: None, multiplier })
            }
        };
        let settings = &config.search;
        let validation = data.validation_batches(settings, device)?;
        Ok(Self {
            task,
            config: settings,
            judged: BTreeMap::new(),
            path,
            space,
            costs,
            share,
            kept: Kept::of(layers),
            model,
            optimizers,
            alpha,
            adam,
            state,
            validation,
        })
    }

    fn run(&mut self, observe: Observer) -> Result<Option<(Vec<usize>, f64)>> {
        let (first, steps) = (self.state.step, self.config.steps);
        let mut log = EventLog::open(&self.path.with_file_name(crate::EVENTS_FILE), Stage::Search, first)?;
        let mut meter = Meter::new(Stage::Search, first, steps);
        let mut flow = observe(&Event::Stage { stage: Stage::Search, step: first, steps });
        let original_psnr_y = Some(self.original_psnr());
        if first == 0 {
            // What the search begins with may be the best it sees.
            let mut begun = vec![self.decision()?.1];
            if let Some(profile) = self.task.profile {
                // What the profile alone would choose, which the window's slider shows.
                begun.extend(profile.widths_under(&self.costs, self.task.config.ratio, self.config.lambda));
                // The even cut is what has to be beaten.
                let layers = Layers::of(&self.task.original.description.network, self.task.config.streams);
                begun.extend(uniform_within(&layers, &self.costs, self.task.config.ratio));
            }
            for widths in begun {
                if self.judge(widths, observe)?.is_none() {
                    return Ok(None);
                }
            }
        }
        while flow.is_continue() && self.state.step < steps {
            let losses = self.step()?;
            let step = self.state.step;
            let (probabilities, widths) = self.decision()?;
            (meter.kept_macs, meter.kept_parameters) = self.kept.shares(&widths);
            let mut progress = meter.step(step);
            progress.losses = Some(losses);
            progress.entropy = Some(entropy(&probabilities));
            let validate = step.is_multiple_of(self.config.validate_every) || step == steps;
            if validate {
                let Some(psnr) = self.judge(widths, observe)? else {
                    return Ok(None);
                };
                (progress.psnr_y, progress.original_psnr_y) = (Some(psnr), original_psnr_y);
            }
            log.push(&progress)?;
            flow = observe(&Event::Step(progress));
            if validate && flow.is_continue() {
                let alpha = Event::Alpha { candidates: &self.space.candidates, probabilities: &probabilities };
                flow = observe(&alpha);
            }
            if validate || flow.is_break() {
                self.save()?;
            }
        }
        if flow.is_break() {
            return Ok(None);
        }
        let entropy = entropy(&self.decision()?.0);
        match self.state.best.clone() {
            Some((_, widths)) => Ok(Some((widths, entropy))),
            None => Err(CompressionError::NotFinite("the channel-number search".into())),
        }
    }

    fn batch(&self, purpose: Purpose) -> Result<Vec<Tensor<4>>> {
        self.task.data.batch(purpose, self.state.step, self.config.batch, self.config.patch, self.task.device)
    }

    /// One step of alpha on the one half of the pictures, one of the weights on the other. The losses are those of the
    /// latter.
    fn step(&mut self) -> Result<Losses> {
        let (lambda, decay) = (self.config.lambda, cosine(self.state.step, self.config.steps));
        let weight_batch = self.batch(Purpose::Weights)?;
        let lr = self.config.lr * decay;
        if self.state.step >= warmup(self.config) {
            self.step_of_alpha(&weight_batch, lr, decay)?;
        }
        let alpha = Tensor::from_inner(self.alpha.clone());
        let mixed = self.space.mixed(&self.model, &alpha);
        let targets: Vec<Tensor<4>> = weight_batch.into_iter().map(Tensor::from_inner).collect();
        let pictures = mixed.primal.forward(targets[0].clone(), Pooling::Global);
        let loss = dual_regression_loss(&pictures, &targets, &mixed, lambda);
        let losses = objective::read(&loss);
        if !losses.is_finite() {
            return Err(CompressionError::NotFinite("the channel-number search".into()));
        }
        let gradients = loss.total.backward();
        self.optimizers.step(&mut self.model, &gradients, lr, self.config.clip);
        self.state.step += 1;
        Ok(losses)
    }

    fn step_of_alpha(&mut self, weight_batch: &[Tensor<4>], lr: f64, decay: f64) -> Result<()> {
        let (lambda, alpha_batch) = (self.config.lambda, self.batch(Purpose::Alpha)?);
        let plain = parameters::plain(&self.model);
        let mut gradient = if self.config.second_order {
            gradient::second_order(&self.space, &plain, &self.alpha, &alpha_batch, weight_batch, lambda, lr)
        } else {
            gradient::of_alpha(&self.space, &plain, &self.alpha, &alpha_batch, lambda).0
        };
        if let Some(share) = self.share {
            let alpha = objective::values(&self.alpha);
            let probabilities = self.space.probabilities(&alpha);
            let penalty = self.state.multiplier.gradient(&self.space, &self.costs, &probabilities, share);
            gradient = gradient + Tensor::from_data(penalty.as_slice(), self.task.device);
        }
        let gradient = gradient + self.alpha.clone() * self.config.alpha_decay;
        self.alpha = self.adam.step(self.config.alpha_lr * decay, self.alpha.clone(), gradient);
        Ok(())
    }

    /// Probabilities, and the widths that they decide for.
    fn decision(&self) -> Result<(Vec<Vec<f64>>, Vec<usize>)> {
        let probabilities = self.space.probabilities(&objective::values(&self.alpha));
        let mut penalties: Vec<Vec<f64>> = match self.share {
            // All of the budget is for use: the price that held the expectation to it is taken away again.
            Some(share) => self.state.multiplier.losses(&self.space, &self.costs, &probabilities, share),
            // Without a budget every prunable layer takes its most likely width.
            None => probabilities.iter().map(|pi| pi.iter().map(|p| -p.max(1e-300).ln()).collect()).collect(),
        };
        let layers = self.space.layers();
        let mut gone = vec![None; self.costs.blocks.len()];
        for (gone, penalties) in gone.iter_mut().zip(penalties.drain(layers..)) {
            *gone = Some((penalties[0] - penalties[1]).max(0.0));
        }
        let choices = Choices { widths: self.space.candidates[..layers].to_vec(), penalties, gone };
        let widths = allocate(&self.costs, &choices, self.share.unwrap_or(1.0))?;
        Ok((probabilities, widths))
    }

    /// Keeps widths if they are the best so far; gives their PSNR. `None` if the observer stops it.
    fn judge(&mut self, widths: Vec<usize>, observe: Observer) -> Result<Option<f64>> {
        let judged = match self.judged.get(&widths) {
            Some(known) => *known,
            None => match self.validate(&widths, observe)? {
                Some(found) => found,
                None => return Ok(None),
            },
        };
        let (loss, psnr) = judged;
        self.judged.insert(widths.clone(), judged);
        if loss.is_finite() && self.state.best.as_ref().is_none_or(|best| (loss.total as f32) < best.0) {
            self.state.best = Some((loss.total as f32, widths));
        }
        Ok(Some(psnr))
    }

    /// Losses and PSNR, on validation patches, of what would be chosen: the compensated network where there is a profile,
    /// else the super-network that is certain of `widths`.
    fn validate(&self, widths: &[usize], observe: Observer) -> Result<Option<(Losses, f64)>> {
        let network = match self.task.profile {
            Some(profile) => {
                let mut tick = || observe(&Event::Tick).is_continue();
                return worth(self.task, profile, widths, &mut tick);
            }
            None => {
                let certain = Tensor::from_data(self.space.certain(widths).as_slice(), self.task.device);
                self.space.mixed(&parameters::plain(&self.model), &certain)
            }
        };
        let measured: Vec<(Losses, f64)> = self
            .validation
            .iter()
            .map(|targets| objective::measure_model(&network, targets, self.config.lambda))
            .collect();
        let psnr = measured.iter().map(|(_, psnr)| psnr).sum::<f64>() / measured.len().max(1) as f64;
        Ok(Some((Losses::mean(&measured.into_iter().map(|(losses, _)| losses).collect::<Vec<_>>()), psnr)))
    }

    /// PSNR of the original on the validation patches: what the networks of the search are compared with.
    fn original_psnr(&self) -> f64 {
        let of = |targets: &Vec<Tensor<4>>| objective::measure_model(self.task.original, targets, self.config.lambda).1;
        self.validation.iter().map(of).sum::<f64>() / self.validation.len().max(1) as f64
    }

    fn save(&self) -> Result<()> {
        let mut weights = self.optimizers.export();
        weights.extend_under("weight.", self.model.weights());
        weights.insert("alpha", &self.alpha.dims(), &self.alpha);
        self.adam.export(&mut weights);
        state::save(&self.path, &weights, &self.state)
    }
}

/// Alphas near zero, as published: `1e-3 N(0, 1)`.
fn random_alpha(seed: u64, count: usize) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let normal = Normal::new(0.0_f32, 1e-3).expect("a width above zero");
    (0..count).map(|_| normal.sample(&mut random)).collect()
}

/// Steps of the weights alone: never more than half.
fn warmup(config: &SearchConfig) -> usize {
    config.warmup.min(config.steps / 2)
}

/// The published schedule of both learning rates.
fn cosine(step: usize, steps: usize) -> f64 {
    0.5 * (1.0 + (std::f64::consts::PI * step as f64 / steps.max(1) as f64).cos())
}
