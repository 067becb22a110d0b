//! The way back: dual reconstruction of a result, and feeding its residual into the result.

use dualres_imaging::{
    Picture, Plane,
    resize::{Samples, imresize},
};
use dualres_network::DualModel;

use crate::{
    EngineError, Event, Observer, Result, Upscaled, Upscaler, consistency,
    planes::paste,
    tiles::cut_beyond,
    upscale::{gray_if, run, seen, stop, to_samples},
};

/// Border that a dual model needs, in pixels of its input: two 3x3 convolutions, one of them strided.
const DUAL_HALO: usize = 4;
/// Side of the tiles that dual models run in, in pixels of their output.
const DUAL_TILE: usize = 512;
/// Steps of back-projection at full fidelity.
const MOST_STEPS: usize = 6;

impl Upscaler {
    /// Brings a result of this model nearer to the input by back-projection, and proves it.
    ///
    /// Each step enlarges what the dual reconstruction misses of the input by bicubic interpolation and adds it to the
    /// result, `SR <- SR + up(LR - D(SR))`. `fidelity` in `[0, 1]` says how many steps there are, the last one counting
    /// in part; at 0 the result is proven as it is. A model without dual models has nothing to refine by.
    ///
    /// # Errors
    /// If the run is cancelled, the device fails, or the dual models give no numbers.
    pub fn refine(&self, input: &Picture, result: Picture, fidelity: f32, observe: Observer) -> Result<Upscaled> {
        let mut result = result;
        let mut reconstructions = self.reconstruct(&result, observe)?;
        let wanted = fidelity.clamp(0.0, 1.0) * MOST_STEPS as f32;
        let steps = if reconstructions.is_empty() { 0 } else { wanted.ceil() as usize };
        for step in 0..steps {
            stop(observe(Event::Refining { step, steps }))?;
            let Some(reconstruction) = reconstructions.last() else { break };
            let share = (wanted - step as f32).min(1.0);
            self.feed_back(input, reconstruction, share, &mut result);
            reconstructions = self.reconstruct(&result, observe)?;
        }
        let at_input_size = reconstructions.last();
        Ok(Upscaled {
            consistency: at_input_size.map(|r| consistency::map(input, r)),
            loop_psnr: at_input_size.map(|r| consistency::loop_psnr(input, r)),
            picture: result,
            reconstructions,
            retried_tiles: 0,
        })
    }

    fn feed_back(&self, input: &Picture, reconstruction: &Picture, share: f32, result: &mut Picture) {
        let scale = self.model.description.architecture.scale as f64;
        for ((wanted, got), plane) in input.planes.iter().zip(&reconstruction.planes).zip(&mut result.planes) {
            let residual = wanted.data.iter().zip(&got.data).map(|(wanted, got)| wanted - got).collect();
            let residual = imresize(&Plane::new(wanted.width, wanted.height, residual), scale, Samples::Float);
            for (sample, residual) in plane.data.iter_mut().zip(&residual.data) {
                *sample = (*sample + share * residual).clamp(0.0, 255.0);
            }
        }
    }

    /// A result through all dual models: pictures from the level below it down to the input's size.
    ///
    /// # Errors
    /// If the run is cancelled, the device fails, or the dual models give no numbers.
    pub fn reconstruct(&self, result: &Picture, observe: Observer) -> Result<Vec<Picture>> {
        let mut reconstructions: Vec<Picture> = Vec::new();
        for (level, dual) in self.model.duals.iter().enumerate().rev() {
            stop(observe(Event::Reconstructing { level }))?;
            let reconstruction = self.reduce(reconstructions.last().unwrap_or(result), dual, observe)?;
            reconstructions.push(reconstruction);
        }
        Ok(reconstructions)
    }

    /// A picture through a dual model: half the size, the same whatever the tiles. Beyond the picture its border is
    /// repeated: the zeros that convolution would put there are a black frame, which the map would report as error.
    fn reduce(&self, picture: &Picture, dual: &DualModel, observe: Observer) -> Result<Picture> {
        let gray = picture.is_gray();
        let (width, height) = (picture.width() / 2, picture.height() / 2);
        let mut planes: Vec<Plane> = (0..if gray { 1 } else { 3 }).map(|_| Plane::filled(width, height, 0.0)).collect();
        for &down in &cut_beyond(height, DUAL_TILE, DUAL_HALO / 2) {
            stop(observe(Event::Reconstructed { rows: down.start, of: height }))?;
            for &across in &cut_beyond(width, DUAL_TILE, DUAL_HALO / 2) {
                let samples = run(|| {
                    let x = seen(
                        picture,
                        crate::planes::enlarged(across, 2),
                        crate::planes::enlarged(down, 2),
                        &self.device,
                    );
                    to_samples(dual.forward(x))
                })?;
                if !paste(&gray_if(gray, samples), across, down, &mut planes) {
                    return Err(EngineError::NotFinite);
                }
            }
        }
        Ok(Picture::from_planes(planes))
    }
}
