//! Sizes that a network does not give by itself: several passes of it, then resampling.

use dualres_imaging::{Picture, cover_transparent, resize};

use crate::{
    EngineError, Event, Observer, Options, Result, Upscaled, Upscaler, consistency,
    upscale::{channels, stop},
};

/// Most passes of a network: twenty times as large is beyond what any picture can stand.
pub const MAX_PASSES: usize = 4;

/// Passes of a network of `scale` after which a side of `from` pixels has at least `to`; none if it has them already.
pub fn passes_to(from: usize, to: usize, scale: usize) -> usize {
    // A network that does not enlarge restores in one pass, and is resampled after it.
    if scale == 1 {
        return 1;
    }
    let mut length = from;
    let mut passes = 0;
    while length < to && passes < MAX_PASSES {
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
        if self.passes(picture, size)? == 0 {
            return Ok(resampled(picture, size));
        }
        let first = self.upscale(picture, options, observe)?;
        if [first.picture.width(), first.picture.height()] == size {
            return Ok(first);
        }
        let further = self.upscale_further(picture, &first.picture, size, options, observe)?;
        let retried_tiles = first.retried_tiles + further.retried_tiles;
        let tiles = first.tiles.max(further.tiles);
        if further.reconstructions.is_empty() {
            // It has taken no other pass.
            return Ok(Upscaled { picture: further.picture, tiles, retried_tiles, ..first });
        }
        Ok(Upscaled { tiles, retried_tiles, ..further })
    }

    /// Goes on from `first`, the result of one pass over `picture`, to `size`, as [`Upscaler::upscale_to`] does. The proof is
    /// that of all passes; there is none where no other pass is taken.
    ///
    /// # Errors
    /// As [`Upscaler::upscale_to`].
    pub fn upscale_further(
        &self,
        picture: &Picture,
        first: &Picture,
        size: [usize; 2],
        options: &Options,
        observe: Observer,
    ) -> Result<Upscaled> {
        let passes = self.passes(picture, size)?;
        if passes == 0 {
            return Ok(resampled(picture, size));
        }
        let mut retried_tiles = 0;
        let mut last: Option<Upscaled> = None;
        for _ in 1..passes {
            let more = self.upscale(last.as_ref().map_or(first, |last| &last.picture), options, observe)?;
            retried_tiles += more.retried_tiles;
            last = Some(more);
        }
        let Some(mut last) = last else {
            return Ok(unproven(at_size(first, size)));
        };
        if !last.reconstructions.is_empty() {
            // The last pass has been led back to where it began; the passes before it follow.
            for _ in 1..passes {
                stop(observe(Event::Reconstructing { level: 0 }))?;
                let from = last.reconstructions.last().cloned().unwrap_or_else(|| last.picture.clone());
                last.reconstructions.extend(self.reconstruct(&from, observe)?);
            }
            let back = last.reconstructions.last();
            last.consistency = back.map(|back| consistency::map(picture, back));
            last.loop_psnr = back.map(|back| consistency::loop_psnr(picture, back));
            // Known for one pass only.
            (last.expected_error, last.expected_psnr) = (None, None);
        }
        if [last.picture.width(), last.picture.height()] != size {
            last.picture = at_size(&last.picture, size);
        }
        Ok(Upscaled { retried_tiles, ..last })
    }

    /// Whether a picture can be brought to `size`: told before the first pass, not after it.
    ///
    /// # Errors
    /// If the size is out of reach, or the memory does not suffice.
    pub fn check_final(&self, picture: &Picture, size: [usize; 2]) -> Result<()> {
        self.passes(picture, size).map(drop)
    }

    /// Passes after which a picture can be brought to `size`, if that is within reach and memory.
    fn passes(&self, picture: &Picture, size: [usize; 2]) -> Result<usize> {
        let scale = self.model().description.scale();
        let passes = passes_to(picture.width(), size[0], scale).max(passes_to(picture.height(), size[1], scale));
        let reach = scale.pow(passes as u32);
        if scale > 1 && (picture.width() * reach < size[0] || picture.height() * reach < size[1]) {
            let most = scale.pow(MAX_PASSES as u32);
            return Err(EngineError::OutOfReach { width: size[0], height: size[1], most });
        }
        if passes > 1 {
            // The last pass takes the most; told now, not after the ones before it.
            let before = reach / scale;
            self.check_memory([picture.width() * before, picture.height() * before], channels(picture))?;
        }
        Ok(passes)
    }
}

/// A size that takes no network.
fn resampled(picture: &Picture, size: [usize; 2]) -> Upscaled {
    let mut covered = picture.clone();
    cover_transparent(&mut covered);
    unproven(at_size(&covered, size))
}

/// Brings a picture to a size; light beyond white by itself, as for a network.
fn at_size(picture: &Picture, [width, height]: [usize; 2]) -> Picture {
    match picture.without_highlights() {
        Some((rest, light)) => resize::resample(&rest, width, height).with_highlights(&light.resized(width, height)),
        None => resize::resample(picture, width, height),
    }
}

fn unproven(picture: Picture) -> Upscaled {
    Upscaled {
        picture,
        reconstructions: Vec::new(),
        consistency: None,
        loop_psnr: None,
        expected_error: None,
        expected_psnr: None,
        tiles: 0,
        retried_tiles: 0,
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
        assert_eq!(passes_to(100, 1_000_000, 2), MAX_PASSES);
    }
}
