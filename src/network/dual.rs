//! The dual models D: high to low resolution (CVPR 2020, section 3.1).

use burn::tensor::{Device, Tensor};

use crate::{
    Architecture, NetworkError, Result, Weights,
    blocks::{Conv, RandomConvs, StoredConvs},
    levels::DownBlock,
};

/// One dual model: halves the resolution of a picture [N, 3, H, W] in `[0, 255]`.
///
/// D_i maps the picture of level i + 1 to that of level i. It is learned together with the primal network and sees
/// what a real down-sampling would have to give: if D(P(x)) is not x, P has changed the picture.
#[derive(Clone, Debug)]
pub struct DualModel {
    pub(crate) block: DownBlock,
}

impl DualModel {
    /// How far a dual model sees beyond what it gives, in pixels of its input, rounded up to whole pixels of its output:
    /// two 3x3 convolutions, the first of them strided.
    pub const BORDER: usize = 4;

    /// A dual model for each level of `architecture`, with random weights.
    ///
    /// # Errors
    /// If the architecture is not valid.
    pub fn init_all(architecture: &Architecture, seed: u64, device: &Device) -> Result<Vec<Self>> {
        architecture.validate()?;
        let mut source = RandomConvs::new(seed, device);
        (0..architecture.levels())
            .map(|_| Ok(Self { block: DownBlock::build("", [3, architecture.n_feats, 3], &mut source)? }))
            .collect()
    }

    /// A dual model with stored weights; its inner width is read from them.
    ///
    /// # Errors
    /// If the weights are not exactly those of a dual model.
    pub fn load(weights: &Weights, device: &Device) -> Result<Self> {
        let width = weights
            .0
            .get("dual_module.0.0.weight")
            .and_then(|weight| weight.shape.first().copied())
            .ok_or_else(|| NetworkError::Weights("dual_module.0.0.weight is missing".into()))?;
        if let Some(name) =
            weights.0.keys().find(|name| !["dual_module.0.0.weight", "dual_module.1.weight"].contains(&name.as_str()))
        {
            return Err(NetworkError::Weights(format!("{name} belongs to no dual model")));
        }
        Ok(Self { block: DownBlock::build("", [3, width, 3], &mut StoredConvs { weights, device })? })
    }

    /// [N, 3, H, W] to [N, 3, ceil(H / 2), ceil(W / 2)], in `[0, 255]` up to what the model has learned.
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.block.forward(x)
    }

    /// Width between the two convolutions.
    pub fn width(&self) -> usize {
        self.block.last.weight.dims()[1]
    }

    pub(crate) fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Conv)) {
        visit(&mut self.block.strided);
        visit(&mut self.block.last);
    }

    /// All weights by their published names.
    pub fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        self.block.strided.export(&mut weights);
        self.block.last.export(&mut weights);
        weights
    }
}
