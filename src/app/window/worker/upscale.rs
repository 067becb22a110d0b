//! One picture of the queue, from its file to the thread that saves its result.

use crate::built_in;
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::anyhow;
use dualres_engine::{Options, PoolingChoice, has_room_for};
use dualres_imaging::{Condition, Format};

use super::{
    DONE_BEFORE, Job, Report,
    engine::Engine,
    job,
    kept::{Kept, finished, proven},
    saver::{Record, Saving},
};
use crate::{
    batch::{
        choice::choose,
        disk::check_disk,
        journal::JournalError,
        made_with::MadeWith,
        record::Key,
        result::{format_like, losses},
        sums,
    },
    language::tr,
    window::{
        queue::{Finished, Proven},
        settings::OutputFormat,
    },
};

/// Results of more pixels than that are not kept for refining.
const MOST_KEPT: usize = 80_000_000;
/// Pixels of a result from which on its speed is that of the model.
const LEAST_MEASURE: usize = 500_000;

impl Engine {
    /// Upscales a picture and hands its result to the thread that saves it, unless the record of the folder of results says
    /// that it is done.
    pub(super) fn upscale(&mut self, job: &Job) -> anyhow::Result<()> {
        let started = Instant::now();
        let Job { item, choices, .. } = job;
        let item = *item;
        self.tell(Report::Progress { item, stage: tr!("reading"), done: 0.0 });
        let (mut upscaler, mut device) = self.ready(&choices.model, &choices.device)?;
        let format = match choices.format {
            // A name may say another format than the file has.
            OutputFormat::Same => format_like(&job.input),
            chosen => chosen.of(&job.input),
        };
        let folder = choices.folder.as_deref();
        let key = folder.map(|folder| self.key(job, folder, format)).transpose()?;
        let (mut begun, mut unrecorded) = (None, None);
        if let (Some(folder), Some(key)) = (folder, &key) {
            let known = self.records.of(folder, |journal| {
                begun = journal.begun(key);
                journal.done(key).cloned()
            });
            let done = match known {
                Ok(done) => done,
                Err(error @ JournalError::Held(_)) => return Err(error.into()),
                // Results are worth more than their record.
                Err(error) => {
                    unrecorded = Some(error.to_string());
                    None
                }
            };
            if let Some(done) = done.filter(|_| !job.again) {
                let proven = Proven { loop_psnr: done.loop_psnr, dual_loss: None, expected_psnr: done.expected_psnr };
                let finished = Finished {
                    output: folder.join(&done.output),
                    size: done.size,
                    // A picture that chose for itself was not made by the model of the settings.
                    model: if done.model.is_empty() { choices.model.clone() } else { done.model.clone() },
                    device: DONE_BEFORE.into(),
                    fidelity: choices.fidelity,
                    seconds: done.seconds,
                    proven,
                };
                self.tell(Report::Done { item, finished, warning: None });
                return Ok(());
            }
        }
        let mut picture = self.reader.take(&job.input)?;
        if let Some(next) = &job.next {
            self.reader.begin(next);
        }
        self.tell(Report::Progress { item, stage: tr!("preparing"), done: 0.01 });
        let mut job = job.clone();
        if choices.automatic {
            let scale = upscaler.model().description.scale();
            let (kind, _) = choose(&Condition::of(&picture));
            job.choices.model = built_in::fitting(kind, scale, &choices.model);
            (upscaler, device) = self.ready(&job.choices.model, &choices.device)?;
        }
        let (job, choices) = (&job, &job.choices);
        let scale = upscaler.model().description.scale();
        let size = [picture.width() * scale, picture.height() * scale];
        let original = [picture.width(), picture.height()];
        let wanted = choices.size;
        wanted.check(original, scale).map_err(|reason| anyhow!(reason))?;
        let final_size = wanted.of(original, scale);
        let named = job::target(job, format, wanted.times(original, scale), final_size, &self.paths)?;
        let target = begun.unwrap_or(named);
        let too_full = check_disk(&target, &picture, final_size)?;
        upscaler.check_final(&picture, final_size)?;
        let record = folder.zip(key).filter(|_| unrecorded.is_none());
        if let Some((folder, key)) = &record {
            self.records.of(folder, |journal| journal.begin(key, &target))??;
        }

        // Tiles are what the network gives, without transparency and without light beyond white.
        let differs = picture.alpha.is_some() || picture.without_highlights().is_some();
        let network = Instant::now();
        let mut halted = Duration::ZERO;
        let upscaled = upscaler.upscale(&picture, &Options::default(), &mut |event| {
            self.watch(item, scale, &event, !differs, &mut halted)
        })?;
        let seconds = (network.elapsed() - halted).as_secs_f64();
        // As the network saw it, so that the proof speaks of the same picture.
        dualres_imaging::cover_transparent(&mut picture);
        let (retried, parts) = (upscaled.retried_tiles, upscaled.tiles);
        // A small picture says little on how fast a large one is.
        if size[0] * size[1] >= LEAST_MEASURE {
            self.tell(Report::Speed {
                model: choices.model.clone(),
                device: device.clone(),
                pixels_a_second: (size[0] * size[1]) as f64 / seconds.max(1e-3),
            });
        }

        let keeps = size[0] * size[1] <= MOST_KEPT;
        let refines = choices.fidelity > 0.0 && !upscaler.model().duals.is_empty();
        // The unrefined result is kept, so that the slider goes both ways.
        let base = (keeps && refines).then(|| Arc::new(upscaled.picture.clone()));
        let result = if refines {
            upscaler.refine(&picture, upscaled.picture, choices.fidelity, &mut |event| {
                self.watch(item, scale, &event, false, &mut halted)
            })?
        } else {
            upscaled
        };
        if refines || differs {
            self.show(item, scale, &result.picture);
        }
        let mut says = self.show_proof(item, &picture, &result);
        let mut result = Arc::new(result.picture);
        let (ready, further) = finished(&upscaler, &picture, &mut result, choices, &mut |_| self.go_on(item))?;
        if let Some(further) = &further {
            says = proven(further);
        }

        let mut warnings = losses(&picture, format, choices.keep());
        warnings.extend(too_full);
        if let Some(name) = job.input.file_name().filter(|_| !warnings.is_empty()) {
            warnings[0].insert_str(0, &format!("{}: ", name.to_string_lossy()));
        }
        warnings.extend(unrecorded);
        if let Some(seam) = upscaler.model().description.seam.filter(|_| parts > 1) {
            warnings.push(crate::report::parted(parts, seam));
        }
        if retried > 0 {
            warnings.push(tr!(
                "%{device} gave results that cannot be right (%{count}); the CPU made them again",
                device = device,
                count = retried
            ));
        }
        if let Some(reason) = upscaler.given_up() {
            warnings.push(tr!(
                "%{device} stopped working: %{reason}. The CPU finished this picture.",
                device = device,
                reason = reason
            ));
            device = dualres_network::device::ComputeDevice::cpu().name;
            // The next picture tries the device anew.
            self.forget_device();
        }
        let channels = ready.planes.len() + usize::from(ready.alpha.is_some());
        let may_overlap = has_room_for(1, final_size, channels);
        self.tell(Report::Progress { item, stage: tr!("saving"), done: 0.97 });
        let record = record.map(|(folder, key)| Record { folder: folder.to_owned(), key });
        self.saver.save(Saving {
            item,
            picture: ready,
            target: target.clone(),
            encoding: choices.encoding(),
            finished: Finished {
                output: target,
                size: final_size,
                model: choices.model.clone(),
                device,
                fidelity: if refines { choices.fidelity } else { 0.0 },
                seconds: 0.0,
                proven: says,
            },
            started,
            halted,
            warnings,
            record,
        });
        let (model, fidelity) = (choices.model.clone(), if refines { choices.fidelity } else { 0.0 });
        self.kept = keeps.then(|| match base {
            Some(base) => Kept { item, input: picture, model, base, refined: Some((fidelity, result)), upscaler },
            None => Kept { item, input: picture, model, base: result, refined: None, upscaler },
        });
        if may_overlap {
            self.tell(Report::Computed { item });
        }
        Ok(())
    }

    /// What the picture is called in the record of the folder of results, which is made.
    fn key(&self, job: &Job, folder: &Path, format: Format) -> anyhow::Result<Key> {
        job::make_folder(folder)?;
        let weights = self.fingerprint(&job.choices)?;
        let made_with = MadeWith {
            weights: &weights,
            size: job.choices.size,
            format,
            encoding: job.choices.encoding(),
            keep: job.choices.keep(),
            fidelity: (job.choices.fidelity * 100.0).round() as u8,
            pooling: PoolingChoice::default(),
            name: &job.choices.pattern,
        };
        let input = crate::batch::inputs::Input { path: job.input.clone(), below: job.below.clone(), twin: job.twin };
        let content = sums::content_of(&job.input)
            .map_err(|source| dualres_imaging::ImagingError::Open { path: job.input.clone(), source })?;
        Ok(Key { input: input.key(), content, settings: made_with.fingerprint() })
    }
}
