//! What models cost and what they make of a part, beside the work on whole pictures.

use std::{ops::ControlFlow, time::Instant};

use dualres_engine::{Options, Upscaler, psnr_of_difference};
use dualres_imaging::{Picture, Plane};
use dualres_network::device;

use super::{
    Comparison, WorkerReport,
    engine::Engine,
    messages::{Tried, Try},
    part::Part,
};
use crate::{actor::Shared, report, trust};

/// Sides of the pictures that speed is measured on: one for devices of any speed, and one that tells more.
const SMALL: usize = 96;
const LARGE: usize = 320;
/// Seconds that the large one may take.
const LONGEST: f64 = 2.0;

impl Engine {
    /// Measures how fast a model is on a device.
    pub(super) fn measure(&mut self, model: &str, device: &str) -> anyhow::Result<()> {
        let (upscaler, device) = self.ready(model, device)?;
        let scale = upscaler.model().description.scale();
        let run = |side: usize| {
            let plane =
                |c: usize| Plane::new(side, side, (0..side * side).map(|i| (i * (c + 7) % 256) as f32).collect());
            let picture = Picture::from_planes((0..3).map(plane).collect());
            let start = Instant::now();
            upscaler.upscale(&picture, &Options::default(), &mut |_| self.until_the_end())?;
            anyhow::Ok((side * scale * side * scale) as f64 / start.elapsed().as_secs_f64())
        };
        // The first run tunes and compiles.
        run(SMALL)?;
        let mut pixels_a_second = run(SMALL)?;
        // What a picture costs besides its pixels is much of a small one's time. The best of some: other programs disturb.
        let is_fast = ((LARGE * scale).pow(2) as f64) < pixels_a_second * LONGEST;
        for _ in 0..if is_fast { 3 } else { 0 } {
            pixels_a_second = pixels_a_second.max(run(LARGE)?);
        }
        self.tell(WorkerReport::Speed { model: model.to_owned(), device, pixels_a_second });
        Ok(())
    }

    /// Upscales a part by two models in turns.
    pub(super) fn compare(&mut self, comparison: &Comparison) -> anyhow::Result<()> {
        const RUNS: usize = 3;
        let Comparison { item, input, area, models, device } = comparison;
        let device = device::choose(device)?;
        let load = |name: &String| {
            let model = self.library.load(name)?;
            anyhow::Ok(Upscaler::new(&model, &trust::vetted(&self.paths, &model, &device)?)?)
        };
        let upscalers = [load(&models[0])?, load(&models[1])?];
        let (mut seconds, mut loop_psnr) = ([f64::INFINITY; 2], [f64::NAN; 2]);
        // In turns, and the best of each: the first runs tune, and other programs disturb.
        for _ in 0..RUNS {
            for (index, upscaler) in upscalers.iter().enumerate() {
                let start = Instant::now();
                let part = Part::of(upscaler, input, *area, &Options::default(), &mut |_| self.until_the_end())?;
                seconds[index] = seconds[index].min(start.elapsed().as_secs_f64());
                if let Some(proof) = part.proof() {
                    loop_psnr[index] = psnr_of_difference(proof.luma.data.iter().copied());
                }
            }
        }
        self.tell(WorkerReport::Compared { item: *item, models: models.clone(), seconds, loop_psnr });
        Ok(())
    }

    /// Upscales a part by one of the models that are compared, unless nobody waits for it any more.
    pub(super) fn try_model(&mut self, wanted: &Try) {
        let control = self.control.clone();
        let goes_on = || !control.life().ends() && control.is_trial(wanted.number);
        if !goes_on() {
            return;
        }
        let mut attempt = || -> anyhow::Result<Tried> {
            let (upscaler, _) = self.ready(&wanted.model, &wanted.device)?;
            let options = Options { fidelity: wanted.fidelity, ..Options::default() };
            let start = Instant::now();
            let part = Part::of(&upscaler, &wanted.input, wanted.area, &options, &mut |_| match goes_on() {
                true => ControlFlow::Continue(()),
                false => ControlFlow::Break(()),
            })?;
            let seconds = start.elapsed().as_secs_f64();
            Ok(Tried { patch: part.patch(), proof: part.proof().map(Box::new), seconds })
        };
        let outcome = report::guarded(&mut attempt).map_err(|error| report::message(&error));
        if control.is_trial(wanted.number) {
            self.tell(WorkerReport::Tried { number: wanted.number, model: wanted.model.clone(), outcome });
        }
    }
}
