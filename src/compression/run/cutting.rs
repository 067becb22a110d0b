//! The network is cut for real: with the channels that were selected, or with those of the profile where they are better.

use std::{ops::ControlFlow, path::Path};

use dualres_imaging::file::write_atomically;
use dualres_network::{Model, Weights};
use dualres_training::Scores;
use serde::{Deserialize, Serialize};

use super::{Decision, UnderWay};
use crate::{
    Event, Method, Observer, Profile, Result, Stage,
    data::Purpose,
    events::{EventLog, Meter},
    files::{CUT_FILE, CUT_REPORT_FILE, EVENTS_FILE, load_json, save_json},
    report::Kept,
    selection::{self, Selected},
    surgery::{check_smaller, cut, verify},
};

/// What the cut did.
#[derive(Serialize, Deserialize)]
pub(super) struct Cut {
    pub(super) difference: f64,
    pub(super) before: Scores,
    pub(super) cut: Scores,
    pub(super) rule: String,
    pub(super) set: String,
    /// The profile's channels, a list a layer, where those were kept in place of the selected ones.
    #[serde(default)]
    channels: Option<Vec<Vec<usize>>>,
}

/// The channels that a run's network was cut to in place of those that were selected; `None` where the selected ones stayed.
///
/// # Errors
/// If the run's file is damaged.
pub(crate) fn channels_in_place(folder: &Path) -> Result<Option<Vec<Vec<usize>>>> {
    Ok(load_json::<Cut>(&folder.join(CUT_REPORT_FILE))?.and_then(|cut| cut.channels))
}

impl UnderWay<'_> {
    /// Cuts the network for real, and measures it and the original.
    pub(super) fn cut(
        &self,
        selected: &Selected,
        decision: &Decision,
        profile: Option<&Profile>,
        observe: Observer,
    ) -> Result<Option<(Model, Cut)>> {
        let (path, report) = (self.folder.join(CUT_FILE), self.folder.join(CUT_REPORT_FILE));
        if let Some(cut) = load_json::<Cut>(&report)? {
            return Ok(Some((Model::read(&path, &self.device)?, cut)));
        }
        const STEPS: usize = 3;
        if observe(&Event::Stage { stage: Stage::Cut, step: 0, steps: STEPS }).is_break() {
            return Ok(None);
        }
        let mut log = EventLog::open(&self.folder.join(EVENTS_FILE), Stage::Cut, 0)?;
        let mut meter = Meter::new(Stage::Cut, 0, STEPS);
        let (mut small, mut difference) = self.small(&selected.masked, &selected.kept)?;
        let kept = Kept::of(&self.layers);
        (meter.kept_macs, meter.kept_parameters) = kept.shares(&decision.widths);
        let mut told = |progress: crate::StageProgress, observe: Observer| -> Result<ControlFlow<()>> {
            log.push(&progress)?;
            Ok(observe(&Event::Step(progress)))
        };
        if told(meter.step(1), observe)?.is_break() {
            return Ok(None);
        }
        let Some(before) = self.evaluate(&self.original, observe)? else { return Ok(None) };
        let original_psnr_y = Some(before.mean.psnr_y);
        if told(crate::StageProgress { original_psnr_y, ..meter.step(2) }, observe)?.is_break() {
            return Ok(None);
        }
        let Some(mut after) = self.evaluate(&small, observe)? else { return Ok(None) };
        let Some(other) = self.other_channels(decision, profile, observe)? else { return Ok(None) };
        let mut channels = None;
        if let Some((model, its_difference, kept)) = other {
            let Some(its) = self.evaluate(&model, observe)? else { return Ok(None) };
            if its.mean.psnr_y > after.mean.psnr_y {
                let (better, worse) = (its.mean.psnr_y, after.mean.psnr_y);
                let text = format!(
                    "the channels that the profile predicts the others from are better than the greedy ones ({better:.2} to {worse:.2} dB): \
                     keeping those"
                );
                (small, difference, after) = (model, its_difference, its);
                let mut flow = observe(&Event::Warning(text));
                for (unit, kept) in kept.iter().enumerate() {
                    if flow.is_break() {
                        break;
                    }
                    flow = observe(&Event::Unit { unit, kept, scores: &[] });
                }
                if flow.is_break() {
                    return Ok(None);
                }
                channels = Some(kept);
            }
        }
        write_atomically(&path, &small.to_bytes())?;
        let set = self.set_name();
        let cut = Cut { difference, before: before.mean, cut: after.mean, rule: after.rule, set, channels };
        let progress = crate::StageProgress { psnr_y: Some(cut.cut.psnr_y), original_psnr_y, ..meter.step(STEPS) };
        let flow = told(progress, observe)?;
        save_json(&report, &cut)?;
        Ok(flow.is_continue().then_some((small, cut)))
    }

    /// What the profile's channels give in place of the greedy ones: the network that the window's slider shows, fitted, so that a run never
    /// ends below it. None where channels were not chosen greedily, or nothing is fitted. `None` if the observer stopped it.
    #[expect(clippy::type_complexity, reason = "one call site")]
    fn other_channels(
        &self,
        decision: &Decision,
        profile: Option<&Profile>,
        observe: Observer,
    ) -> Result<Option<Option<(Model, f64, Vec<Vec<usize>>)>>> {
        let is_greedy = self.config.method == Method::Drc && self.config.selection.compensate;
        let Some(profile) = profile.filter(|_| is_greedy) else { return Ok(Some(None)) };
        let mut tick = || observe(&Event::Tick).is_continue();
        let task = self.task(Some(profile));
        let Some(chosen) = selection::profiled(task, profile, &decision.widths, &mut tick)? else { return Ok(None) };
        let (model, difference) = self.small(&chosen.masked, &chosen.kept)?;
        Ok(Some(Some((model, difference, chosen.kept))))
    }

    fn small(&self, masked: &Weights, kept: &[Vec<usize>]) -> Result<(Model, f64)> {
        let masked = Model::from_weights(self.original.description.clone(), masked, &self.device)?;
        let mut small = cut(&masked, &self.layers, kept, &self.device)?.collapsed(&self.device)?;
        small.description.name.clone_from(&self.config.name);
        // What is known of the errors of the original does not hold for it.
        small.description.error_calibration = None;
        let proof = self.data.batch(Purpose::Proof, 0, 2, self.config.selection.patch, &self.device)?;
        let difference = verify(&masked, &small, &proof[0])?;
        check_smaller(&self.original, &small)?;
        Ok((small, difference))
    }
}
