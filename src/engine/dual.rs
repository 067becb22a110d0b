//! The dual reconstruction: dual reconstruction of a result, and feeding its residual into the result.

use crate::{
    EngineError, Event, Observer, Result, Upscaled, Upscaler, consistency,
    expected::MIN_SIDE,
    expected_error, expected_psnr, memory,
    place::expected,
    planes::{enlarged, paste},
    tiles::cut_beyond,
    upscale::{gray_if, seen, stop},
};
use dualres_imaging::{
    Picture, Plane,
    resize::{Samples, imresize},
};

/// Side of the tiles that dual models run in, in pixels of their output.
const DUAL_TILE: usize = 512;
/// Smallest that are still tried when the device fails.
const MIN_DUAL_TILE: usize = 64;
/// Steps of back-projection; further ones close the loop no more.
const STEPS: usize = 3;

impl Upscaler {
    /// Brings a result of this model nearer to the input by back-projection, and proves it.
    ///
    /// A step of back-projection enlarges what the dual reconstruction misses of the input by bicubic interpolation and
    /// adds it to the result, `SR + a up(LR - D(SR))`, with the length `a` that closes the loop best. A few steps lead
    /// to where the loop is as good as closed; `fidelity` in `[0, 1]` says how much of that way the result goes, so that
    /// consistency PSNR rises with it all along. At 0 the result is proven as it is. A model without dual models has nothing
    /// to refine by.
    ///
    /// # Errors
    /// If the run is cancelled, the device fails, or the dual models give no numbers.
    pub fn refine(&self, input: &Picture, result: Picture, fidelity: f32, observe: Observer) -> Result<Upscaled> {
        match (input.without_highlights(), result.without_highlights()) {
            // Networks see nothing beyond white.
            (Some((rest, _)), Some((result, light))) => {
                Ok(self.refine_up_to_white(&rest, result, fidelity, observe)?.with_highlights(&light, input))
            }
            // A result that was saved without its light.
            (Some((rest, _)), None) => self.refine_up_to_white(&rest, result, fidelity, observe),
            (None, _) => self.refine_up_to_white(input, result, fidelity, observe),
        }
    }

    fn refine_up_to_white(
        &self,
        input: &Picture,
        mut result: Picture,
        fidelity: f32,
        observe: Observer,
    ) -> Result<Upscaled> {
        if fidelity > 0.0 && !self.model.duals.is_empty() {
            let (width, height) = (result.width(), result.height());
            let needed = memory::needed_to_refine(width, height, result.planes.len());
            let available = memory::available();
            if needed > available {
                let [needed_gb, available_gb] = [needed, available].map(|bytes| bytes as f64 / 1e9);
                return Err(EngineError::Memory { width, height, needed_gb, available_gb });
            }
        }
        let mut reconstructions = self.reconstruct(&result, observe)?;
        if let Some(before) = reconstructions.last().filter(|_| fidelity > 0.0) {
            let mut closed = result.clone();
            let mut back = before.clone();
            for step in 0..STEPS {
                stop(observe(Event::Refining { step, steps: STEPS }))?;
                let missed = self.missed(input, &back);
                let trial = added(&closed, &missed, 1.0);
                let Some(tried) = self.reconstruct(&trial, observe)?.pop() else { break };
                closed = added(&closed, &missed, best_length(input, &back, &tried));
                let Some(reached) = self.reconstruct(&closed, observe)?.pop() else { break };
                back = reached;
            }
            let way = difference(&closed, &result);
            let length = best_length(input, before, &back);
            result = added(&result, &way, fidelity.min(1.0) * length);
            reconstructions = self.reconstruct(&result, observe)?;
        }
        let at_input_size = reconstructions.last();
        let is_seen = input.width().min(input.height()) >= MIN_SIDE;
        let calibration = self.model.description.error_calibration.as_ref().filter(|_| is_seen);
        let expected = at_input_size.zip(calibration).and_then(|(reconstruction, calibration)| {
            let error = expected_error(input, &result, reconstruction, calibration)?;
            Some((expected_psnr(&error, calibration), error))
        });
        let (expected_psnr, expected_error) = expected.unzip();
        Ok(Upscaled {
            consistency: at_input_size.map(|r| consistency::map(input, r)),
            loop_psnr: at_input_size.map(|r| consistency::loop_psnr(input, r)),
            expected_error,
            expected_psnr,
            picture: result,
            reconstructions,
            tiles: 0,
            retried_tiles: 0,
        })
    }

    /// What a reconstruction misses of the input, enlarged to the result's size.
    fn missed(&self, input: &Picture, reconstruction: &Picture) -> Vec<Plane> {
        let scale = self.model.description.scale() as f64;
        let planes = input.planes.iter().zip(&reconstruction.planes);
        planes
            .map(|(wanted, got)| {
                let residual = wanted.data.iter().zip(&got.data).map(|(wanted, got)| wanted - got).collect();
                imresize(&Plane::new(wanted.width, wanted.height, residual), scale, Samples::Float)
            })
            .collect()
    }

    /// A result through all dual models: pictures from the level below it down to the input's size.
    ///
    /// # Errors
    /// If the run is cancelled, the device fails, or the dual models give no numbers.
    pub fn reconstruct(&self, result: &Picture, observe: Observer) -> Result<Vec<Picture>> {
        if let Some((rest, light)) = result.without_highlights() {
            let led_back = |picture: Picture| {
                let light = light.resized(picture.width(), picture.height());
                picture.with_highlights(&light)
            };
            return Ok(self.reconstruct(&rest, observe)?.into_iter().map(led_back).collect());
        }
        let mut reconstructions: Vec<Picture> = Vec::new();
        for level in (0..self.model.duals.len()).rev() {
            stop(observe(Event::Reconstructing { level }))?;
            let reconstruction = self.reduce(reconstructions.last().unwrap_or(result), level, observe)?;
            reconstructions.push(reconstruction);
        }
        Ok(reconstructions)
    }

    /// A picture through the dual model of a level: a part of the size, the same whatever the tiles. Beyond the picture its border is
    /// repeated: the zeros that convolution would put there are a black frame, which the map would report as error.
    fn reduce(&self, picture: &Picture, level: usize, observe: Observer) -> Result<Picture> {
        let longest = picture.width().max(picture.height());
        self.place
            .halving(DUAL_TILE.min(longest), MIN_DUAL_TILE, |side| self.reduce_tiled(picture, level, side, observe))
    }

    fn reduce_tiled(&self, picture: &Picture, level: usize, side: usize, observe: Observer) -> Result<Picture> {
        let dual = &self.model.duals[level];
        let gray = picture.is_gray();
        let factor = dual.factor();
        let border = dual.border() / factor;
        let (width, height) = (picture.width() / factor, picture.height() / factor);
        let mut planes: Vec<Plane> = (0..if gray { 1 } else { 3 }).map(|_| Plane::filled(width, height, 0.0)).collect();
        for &down in &cut_beyond(height, side, border) {
            stop(observe(Event::Reconstructed { rows: down.start, of: height }))?;
            for &across in &cut_beyond(width, side, border) {
                let (wide, high) = (enlarged(across, factor), enlarged(down, factor));
                let samples = self.place.make(&self.model, expected(picture, wide, high), |model, device| {
                    model.duals[level].forward(seen(picture, wide, high, device))
                })?;
                paste(&gray_if(gray, samples), across, down, &mut planes);
            }
        }
        Ok(Picture::from_planes(planes))
    }
}

/// A result with `length` times a difference added.
fn added(result: &Picture, difference: &[Plane], length: f32) -> Picture {
    let mut sum = result.clone();
    for (plane, difference) in sum.planes.iter_mut().zip(difference) {
        for (sample, difference) in plane.data.iter_mut().zip(&difference.data) {
            *sample = (*sample + length * difference).clamp(0.0, 255.0);
        }
    }
    sum
}

fn difference(to: &Picture, from: &Picture) -> Vec<Plane> {
    let planes = to.planes.iter().zip(&from.planes);
    planes
        .map(|(to, from)| {
            let data = to.data.iter().zip(&from.data).map(|(to, from)| to - from).collect();
            Plane::new(to.width, to.height, data)
        })
        .collect()
}

/// How often to go the way from `before` to `after` so that least of the input is missed: with the residual `e` before
/// and `e - d` after, `<e, d> / <d, d>`.
fn best_length(input: &Picture, before: &Picture, after: &Picture) -> f32 {
    let (mut along, mut square) = (0.0_f64, 0.0_f64);
    for ((wanted, before), after) in input.planes.iter().zip(&before.planes).zip(&after.planes) {
        for ((wanted, before), after) in wanted.data.iter().zip(&before.data).zip(&after.data) {
            let (missed, gained) = (f64::from(wanted - before), f64::from(after - before));
            along += missed * gained;
            square += gained * gained;
        }
    }
    if square > 0.0 { (along / square).clamp(0.0, 2.0) as f32 } else { 0.0 }
}
