//! How long a run will take, before it has begun: counted in multiply-accumulates, at the speed that earlier runs had on the
//! device.

use std::collections::BTreeMap;

use dualres_compression::{Channels, CompressConfig, Layers, MAC_INPUT, Mode, Stage};

/// Multiply-accumulates in a second that a stage comes to where nothing is known of a device: measured with the model x2 on
/// two cores of a small server.
const FIRST: f64 = 15e9;

/// Networks that a search judges its widths by, as far as they are not the same: what it begins with, the even cut, and a few
/// that it comes to.
const JUDGED: f64 = 4.0;
/// Networks that are judged before widths are taken from the profile.
const PROFILED: f64 = 2.0;
/// Taps of the convolutions that take pruned channels, mostly.
const TAPS: f64 = 9.0;

/// The stages that take time.
const STAGES: [Stage; 5] = [Stage::Profile, Stage::Search, Stage::Select, Stage::Cut, Stage::Finetune];

/// Speeds of stages on devices in multiply-accumulates a second.
pub(crate) type Speeds = BTreeMap<String, f64>;

/// Name of a speed in the settings.
pub(crate) fn key(stage: Stage, device: &str) -> String {
    format!("{stage} on {device}")
}

/// Multiply-accumulates of each stage of a run, roughly: a step forward and back is three times a step forward.
/// `validation` is the number of input pixels of all validation pictures.
pub(crate) fn work(config: &CompressConfig, original: &Layers, validation: f64) -> Vec<(Stage, f64)> {
    let full = original.cost(&original.widths).0 / (MAC_INPUT * MAC_INPUT) as f64;
    let batch = |batch: usize, patch: usize| (batch * patch * patch) as f64;
    let units = original.widths.len() as f64;
    let normal: f64 = original.widths.iter().map(|&width| (TAPS * width as f64).powi(2)).sum();
    let small =
        if config.mode == Mode::Budget { full * (1.0 - config.ratio) } else { full * (1.0 - config.ratio).powf(0.8) };
    let (searches, profiles, channels) = (config.searches(), config.needs_profile(), config.method.about().channels);
    let judges = matches!(channels, Channels::Greedy | Channels::Thinet);
    let (profile, search, selection, finetune) = (&config.profile, &config.search, &config.selection, &config.finetune);
    // From each prunable layer on, for each of its widths, which are the multiples of four.
    let widths = original.widths.iter().map(|&width| width as f64 / 4.0 + 2.0).sum::<f64>();
    // From each prunable layer to the next in the network as cut so far and in the original, and the normal equations of its consumers.
    let fitting = selection.batches as f64 * batch(selection.batch, selection.patch) * (3.0 * full + normal);
    let of = |stage: Stage| match stage {
        Stage::Profile if profiles => {
            profile.batches as f64 * batch(profile.batch, profile.patch) * full * (widths / 2.0 + units)
        }
        Stage::Search if searches => {
            let order = if search.second_order { 9.0 } else { 6.0 };
            let judged = if config.mode == Mode::Budget { JUDGED } else { 0.0 };
            search.steps as f64 * batch(search.batch, search.patch) * full * order + judged * fitting
        }
        Stage::Select if judges => {
            let kept = original.widths.iter().map(|&width| width as f64 * (1.0 - config.ratio)).sum::<f64>();
            let looks = kept / selection.channels_per_step as f64 + units;
            let fitted = if selection.compensate { fitting } else { 0.0 };
            selection.batches as f64 * batch(selection.batch, selection.patch) * full * 3.0 * looks + fitted
        }
        Stage::Select if channels == Channels::Profile && selection.compensate => fitting * (1.0 + PROFILED),
        Stage::Cut => validation * (full + small),
        Stage::Finetune if finetune.steps > 0 => {
            let validations = finetune.steps as f64 / finetune.validate_every as f64 + 1.0;
            finetune.steps as f64 * batch(finetune.batch, finetune.patch) * small * 3.0
                + validations * validation * small
        }
        _ => 0.0,
    };
    STAGES.into_iter().map(|stage| (stage, of(stage))).collect()
}

/// Seconds that each stage of a run takes.
pub(crate) fn by_stage(work: &[(Stage, f64)], speeds: &Speeds, device: &str) -> Vec<(Stage, f64)> {
    work.iter().map(|stage| (stage.0, seconds_of(stage, work, speeds, device))).collect()
}

/// Seconds that a run takes, and whether all of it is known from runs on this device.
pub(crate) fn seconds(work: &[(Stage, f64)], speeds: &Speeds, device: &str) -> (f64, bool) {
    let known = |stage: Stage| speeds.contains_key(&key(stage, device));
    let sum = work.iter().map(|stage| seconds_of(stage, work, speeds, device)).sum();
    (sum, work.iter().all(|&(stage, macs)| macs == 0.0 || known(stage)))
}

fn seconds_of(&(stage, macs): &(Stage, f64), work: &[(Stage, f64)], speeds: &Speeds, device: &str) -> f64 {
    let known = |stage: Stage| speeds.get(&key(stage, device)).copied().filter(|speed| *speed > 0.0);
    let all: Vec<f64> = work.iter().filter_map(|(stage, _)| known(*stage)).collect();
    // What is not known yet is taken to be as fast as what is.
    let typical = if all.is_empty() { FIRST } else { geometric_mean(&all) };
    macs / known(stage).unwrap_or(typical)
}

fn geometric_mean(values: &[f64]) -> f64 {
    (values.iter().map(|value| value.ln()).sum::<f64>() / values.len() as f64).exp()
}

/// Learns from a stage that took `seconds` for `macs`.
pub(crate) fn learn(speeds: &mut Speeds, stage: Stage, device: &str, macs: f64, seconds: f64) {
    if macs > 0.0 && seconds > 0.2 {
        let new = macs / seconds;
        let speed = speeds.entry(key(stage, device)).or_insert(new);
        // The newest counts half: machines change with what else they do.
        *speed = (*speed * new).sqrt();
    }
}

#[cfg(test)]
mod tests {
    use dualres_network::{Architecture, Description};

    use dualres_compression::Method;

    use super::*;

    fn layers(feats: usize, blocks: usize) -> Layers {
        let architecture = Architecture::new(2, feats, blocks).expect("a network of the presets");
        Layers::described(&Description::drn("t", &architecture).expect("a network of the presets"))
    }

    fn total(config: &CompressConfig, speeds: &Speeds) -> (f64, bool) {
        seconds(&work(config, &layers(16, 8), 1e5), speeds, "CPU")
    }

    #[test]
    fn more_work_takes_longer_and_what_was_learned_counts() {
        let config = CompressConfig::new("a", 0.5);
        let quick = config.clone().quick();
        let mut speeds = Speeds::new();
        let (long, known) = total(&config, &speeds);
        let (short, _) = total(&quick, &speeds);
        assert!(long > 5.0 * short && short > 0.0, "{long} {short}");
        assert!(!known);
        // A device on which everything is ten times as fast.
        for stage in STAGES {
            learn(&mut speeds, stage, "CPU", 10.0 * FIRST, 1.0);
        }
        let (faster, known) = total(&config, &speeds);
        assert!(known && (long / faster - 10.0).abs() < 1e-6, "{long} {faster}");
        let (elsewhere, known) = total(&CompressConfig { method: Method::Random, ..config.clone() }, &Speeds::new());
        assert!(elsewhere < long && !known);
    }

    #[test]
    fn a_stage_that_does_nothing_takes_no_time() {
        let config = CompressConfig { method: Method::L1, ..CompressConfig::new("a", 0.5) };
        for (stage, macs) in work(&config, &layers(8, 1), 100.0) {
            assert_eq!(macs > 0.0, matches!(stage, Stage::Cut | Stage::Finetune), "{stage}");
        }
    }
}
