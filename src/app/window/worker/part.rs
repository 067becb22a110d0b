//! A part of a picture, upscaled as it would be within the whole.

use dualres_engine::{
    Area, EngineError, Observer, Options, Upscaled, Upscaler, luma_difference, structural_difference,
};
use dualres_imaging::{Picture, Plane};

use crate::window::document::{Patch, ProofPatch};

/// The upscaled part with what the network saw around it.
pub(crate) struct Part {
    /// What was asked for, in pixels of the whole input.
    pub(crate) area: Area,
    pub(crate) scale: usize,
    /// The part of the input with its surroundings.
    pub(crate) input: Picture,
    /// Its result.
    pub(crate) upscaled: Upscaled,
    /// Where what was asked for lies in `input`.
    inside: Area,
}

impl Part {
    /// Upscales `area` of `input` with enough around it, on the grid of the whole picture, so that it comes out as in the
    /// whole picture.
    pub(crate) fn of(
        upscaler: &Upscaler,
        input: &Picture,
        area: Area,
        options: &Options,
        observe: Observer,
    ) -> Result<Self, EngineError> {
        let description = &upscaler.model().description;
        let (halo, block) = (description.halo(), description.alignment(description.local_pooling()));
        let from = [area.x, area.y].map(|start| start.saturating_sub(halo) / block * block);
        let end =
            |start: usize, length: usize, limit: usize| (start + length + halo).next_multiple_of(block).min(limit);
        let to = [end(area.x, area.width, input.width()), end(area.y, area.height, input.height())];
        let around = input.crop(from[0], from[1], to[0] - from[0], to[1] - from[1]);
        let upscaled = upscaler.upscale(&around, options, observe)?;
        let inside = Area { x: area.x - from[0], y: area.y - from[1], ..area };
        let scale = upscaler.model().description.scale();
        Ok(Self { area, scale, input: around, upscaled, inside })
    }

    /// The part in pixels of the whole result.
    pub(crate) fn large(&self) -> Area {
        self.area.times(self.scale)
    }

    /// The colours of the result's part.
    pub(crate) fn result(&self) -> Vec<Plane> {
        let inside = self.inside.times(self.scale);
        self.upscaled.picture.planes.iter().map(|plane| crop(plane, inside)).collect()
    }

    /// The colours of the dual reconstruction, if there is one.
    pub(crate) fn back(&self) -> Option<Vec<Plane>> {
        let back = self.upscaled.reconstructions.last()?;
        Some(back.planes.iter().map(|plane| crop(plane, self.inside)).collect())
    }

    /// Pixels of the result for the window.
    pub(crate) fn patch(&self) -> Patch {
        Patch { area: self.large(), ..Patch::of(&self.upscaled.picture, self.inside.times(self.scale)) }
    }

    /// The proof for the window.
    pub(crate) fn proof(&self) -> Option<ProofPatch> {
        let (back, absolute) = (self.upscaled.reconstructions.last()?, self.upscaled.consistency.as_ref()?);
        let luma = luma_difference(&self.input, back);
        let dual = Patch { area: self.area, ..Patch::of(back, self.inside) };
        Some(ProofPatch {
            dual,
            absolute: crop(absolute, self.inside),
            luma: crop(&luma, self.inside),
            structure: crop(&structural_difference(&self.input, back), self.inside),
            expected: self.upscaled.expected_error.as_ref().map(|expected| crop(expected, self.inside)),
        })
    }
}

fn crop(plane: &Plane, area: Area) -> Plane {
    plane.crop(area.x, area.y, area.width, area.height)
}
