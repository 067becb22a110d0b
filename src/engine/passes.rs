//! Sizes that a network does not give by itself: several passes of it, then resampling.

use dualres_imaging::{Picture, cover_transparent, resize};

use crate::{EngineError, Event, Observer, Options, Result, Upscaled, Upscaler, consistency, upscale::stop};

/// Most passes of a network: twenty times as large is beyond what any picture can stand.
pub const MOST_PASSES: usize = 4;

/// Passes of a network of `scale` after which a side of `from` pixels has at least `to`; none if it has them already.
pub fn passes_to(from: usize, to: usize, scale: usize) -> usize {
    let mut length = from;
    let mut passes = 0;
    while length < to && passes < MOST_PASSES {
        length *= scale;
        passes += 1;
    }
    passes
}

impl Upscaler {
    /// Upscales a picture to `size`, which has its proportions: by as many passes of the network as it takes, then by
    /// resampling. Only the last pass is observed tile by tile.
    ///
    /// The proof is that of what the networks made, before resampling: each pass goes back through the dual models, and
    /// what comes out at the input's size is compared with the input. A size that is not larger than the picture's is
    /// reached by resampling alone, without a proof.
    ///
    /// # Errors
    /// As [`Upscaler::upscale`], and if the size is out of reach.
    pub fn upscale_to(
        &self,
        picture: &Picture,
        size: [usize; 2],
        options: &Options,
        observe: Observer,
    ) -> Result<Upscaled> {
        let scale = self.model().description.architecture.scale;
        let passes = passes_to(picture.width(), size[0], scale).max(passes_to(picture.height(), size[1], scale));
        let reach = scale.pow(passes as u32);
        if picture.width() * reach < size[0] || picture.height() * reach < size[1] {
            return Err(EngineError::OutOfReach {
                width: size[0],
                height: size[1],
                most: scale.pow(MOST_PASSES as u32),
            });
        }
        let Some(further) = passes.checked_sub(1) else {
            let mut covered = picture.clone();
            cover_transparent(&mut covered);
            let picture = resize::resample(&covered, size[0], size[1]);
            return Ok(Upscaled {
                picture,
                reconstructions: Vec::new(),
                consistency: None,
                loop_psnr: None,
                expected_error: None,
                expected_psnr: None,
                retried_tiles: 0,
            });
        };
        let mut upscaled = self.upscale(picture, options, observe)?;
        let mut retried_tiles = upscaled.retried_tiles;
        for _ in 0..further {
            let more = self.upscale(&upscaled.picture, options, observe)?;
            retried_tiles += more.retried_tiles;
            upscaled = more;
        }
        if further > 0 && !upscaled.reconstructions.is_empty() {
            // The last pass has been led back to where it began; the passes before it follow.
            for _ in 0..further {
                stop(observe(Event::Reconstructing { level: 0 }))?;
                let from = upscaled.reconstructions.last().cloned().unwrap_or_else(|| upscaled.picture.clone());
                upscaled.reconstructions.extend(self.reconstruct(&from, observe)?);
            }
            let back = upscaled.reconstructions.last();
            upscaled.consistency = back.map(|back| consistency::map(picture, back));
            upscaled.loop_psnr = back.map(|back| consistency::loop_psnr(picture, back));
            // Known for one pass only.
            (upscaled.expected_error, upscaled.expected_psnr) = (None, None);
        }
        if [upscaled.picture.width(), upscaled.picture.height()] != size {
            upscaled.picture = resize::resample(&upscaled.picture, size[0], size[1]);
        }
        Ok(Upscaled { retried_tiles, ..upscaled })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_as_many_as_it_takes() {
        assert_eq!(passes_to(100, 100, 2), 0);
        assert_eq!(passes_to(100, 50, 2), 0);
        assert_eq!(passes_to(100, 101, 2), 1);
        assert_eq!(passes_to(100, 200, 2), 1);
        assert_eq!(passes_to(100, 201, 2), 2);
        assert_eq!(passes_to(100, 400, 4), 1);
        assert_eq!(passes_to(100, 1_000_000, 2), MOST_PASSES);
    }
}
