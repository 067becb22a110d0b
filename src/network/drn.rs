//! The primal network P: low to high resolution (CVPR 2020, section 3; the code's `model/drn.py`).

use burn::tensor::{Device, Tensor, TensorData};
use dualres_kernels::enlarge_bicubic;

use crate::{
    Architecture, NetworkError, Pooling, Result, UnitKind, Weight, Weights,
    attention::ChannelAttention,
    blocks::{Conv, ConvShape, ConvSource, RandomConvs, StoredConvs},
    levels::{DownBlock, Level, Probe, ResidualBlock},
};

/// Mean colour of the training pictures of the published networks, in `[0, 1]`.
const MEAN_COLOUR: [f32; 3] = [0.4488, 0.4371, 0.4040];

/// Subtraction and addition of the mean colour around the network.
#[derive(Clone, Debug)]
pub(crate) struct MeanShift {
    /// What imported weights have instead of the published constants: matrix [3, 3, 1, 1] and bias [3].
    pub(crate) trained: Option<(Tensor<4>, Tensor<1>)>,
    /// [1, 3, 1, 1]
    pub(crate) offset: Tensor<4>,
    pub(crate) name: &'static str,
}

impl MeanShift {
    fn new(name: &'static str, sign: f32, weights: Option<&Weights>, device: &Device) -> Result<Self> {
        let offset = MEAN_COLOUR.map(|mean| sign * 255.0 * mean);
        let mut trained = None;
        if let Some(weights) = weights
            && weights.0.contains_key(&format!("{name}.weight"))
        {
            let matrix: Tensor<4> = weights.tensor(&format!("{name}.weight"), [3, 3, 1, 1], device)?;
            let bias: Tensor<1> = weights.tensor(&format!("{name}.bias"), [3], device)?;
            let identity: Vec<f32> = (0..9).map(|i| if i % 4 == 0 { 1.0 } else { 0.0 }).collect();
            let near = |weight: &Weight, expected: &[f32], tolerance: f32| {
                weight.values.iter().zip(expected).all(|(a, b)| (a - b).abs() <= tolerance)
            };
            let standard = near(&weights.0[&format!("{name}.weight")], &identity, 1e-6)
                && near(&weights.0[&format!("{name}.bias")], &offset, 1e-3);
            if !standard {
                trained = Some((matrix, bias));
            }
        }
        let offset = Tensor::from_data(TensorData::new(offset.to_vec(), [1, 3, 1, 1]), device);
        Ok(Self { trained, offset, name })
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        match &self.trained {
            None => x + self.offset.clone(),
            Some((matrix, bias)) => dualres_kernels::conv2d(x, matrix.clone(), Some(bias.clone()), Default::default()),
        }
    }

    /// Applied to the output of a convolution with as many channels as there are colours.
    fn after(&self, conv: &Conv, x: Tensor<4>) -> Tensor<4> {
        if self.trained.is_some() || conv.bias.is_none() {
            return self.forward(conv.forward(x));
        }
        // The convolution adds it with its bias.
        let mut shifted = conv.clone();
        shifted.bias = conv.bias.clone().map(|bias| bias + self.offset.clone().reshape([3]));
        shifted.forward(x)
    }

    fn export(&self, weights: &mut Weights) {
        if let Some((matrix, bias)) = &self.trained {
            weights.insert(format!("{}.weight", self.name), matrix);
            weights.insert(format!("{}.bias", self.name), bias);
        }
    }
}

/// A forward pass that has come to a unit: what [`Drn::enter`] and [`Drn::pass_unit`] hand on.
#[derive(Clone, Debug)]
pub struct Pass {
    features: Tensor<4>,
    /// Features of the encoder that the decoder joins again.
    copies: Vec<Tensor<4>>,
    pictures: Vec<Tensor<4>>,
    pooling: Pooling,
    every_level: bool,
}

impl Pass {
    /// The features at this point, [N, C, H, W]; at the end of the network those that the last convolution makes the
    /// picture of.
    pub fn features(&self) -> &Tensor<4> {
        &self.features
    }

    /// The pictures of all levels once the last unit is passed, as [`Drn::forward`] gives them.
    pub fn pictures(self) -> Vec<Tensor<4>> {
        self.pictures
    }

    /// The same pass with other tensors, such as tensors that gradients are recorded through.
    pub fn map(self, map: impl Fn(Tensor<4>) -> Tensor<4>) -> Self {
        Self {
            features: map(self.features),
            copies: self.copies.into_iter().map(&map).collect(),
            pictures: self.pictures.into_iter().map(&map).collect(),
            ..self
        }
    }
}

/// The primal network P.
#[derive(Clone, Debug)]
pub struct Drn {
    architecture: Architecture,
    pub(crate) sub_mean: MeanShift,
    pub(crate) add_mean: MeanShift,
    pub(crate) head: Conv,
    pub(crate) down: Vec<DownBlock>,
    pub(crate) levels: Vec<Level>,
    pub(crate) tails: Vec<Conv>,
}

impl Drn {
    /// A network with random weights, the same for the same seed.
    ///
    /// # Errors
    /// If the architecture is not valid.
    pub fn init(architecture: &Architecture, seed: u64, device: &Device) -> Result<Self> {
        Self::build(architecture, None, &mut RandomConvs::new(seed, device), device)
    }

    /// A network with stored weights.
    ///
    /// # Errors
    /// If the architecture is not valid or the weights are not exactly those it needs.
    pub fn load(architecture: &Architecture, weights: &Weights, device: &Device) -> Result<Self> {
        let network = Self::build(architecture, Some(weights), &mut StoredConvs { weights, device }, device)?;
        let known = network.parameter_names();
        let foreign = weights
            .0
            .keys()
            .find(|name| !known.contains(*name) && !name.starts_with("sub_mean.") && !name.starts_with("add_mean."));
        match foreign {
            Some(name) => Err(NetworkError::Weights(format!("{name} belongs to no layer"))),
            None => Ok(network),
        }
    }

    fn build(
        architecture: &Architecture,
        weights: Option<&Weights>,
        source: &mut dyn ConvSource,
        device: &Device,
    ) -> Result<Self> {
        architecture.validate()?;
        let (feats, levels) = (architecture.n_feats, architecture.levels());
        let head = source.conv("head".into(), ConvShape::new(3, feats, 3))?;
        let down = (0..levels)
            .map(|p| {
                let channels = [feats << p, architecture.down_width(p), feats << (p + 1)];
                DownBlock::build(&format!("down.{p}."), channels, source)
            })
            .collect::<Result<_>>()?;
        let level = |level: usize, source: &mut dyn ConvSource| {
            let channels = architecture.level_channels(level);
            let name = format!("up_blocks.{level}");
            let blocks = (0..architecture.n_blocks[level])
                .map(|block| {
                    let name = format!("{name}.{block}.body");
                    let inner = architecture.level_width(level, block);
                    Ok(ResidualBlock {
                        first: source.conv(format!("{name}.0"), ConvShape::new(channels, inner, 3))?,
                        second: source.conv(format!("{name}.2"), ConvShape::new(inner, channels, 3))?,
                        attention: ChannelAttention::build(&format!("{name}.3"), channels, source)?,
                    })
                })
                .collect::<Result<_>>()?;
            let block = architecture.n_blocks[level];
            let inner = architecture.level_width(level, block);
            let up = source.conv(format!("{name}.{block}.0"), ConvShape::new(channels, 4 * inner, 3))?;
            let reduced = ConvShape::new(inner, architecture.level_output(level), 1);
            Ok(Level::new(blocks, up, source.conv(format!("{name}.{}", block + 1), reduced)?))
        };
        let decoder = (0..levels).map(|index| level(index, source)).collect::<Result<_>>()?;
        let tails = (0..=levels)
            .map(|index| {
                let channels = if index == 0 { feats << levels } else { 2 * architecture.level_output(index - 1) };
                source.conv(format!("tail.{index}"), ConvShape::new(channels, 3, 3))
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            architecture: architecture.clone(),
            sub_mean: MeanShift::new("sub_mean", -1.0, weights, device)?,
            add_mean: MeanShift::new("add_mean", 1.0, weights, device)?,
            head,
            down,
            levels: decoder,
            tails,
        })
    }

    /// The numbers of the network.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Pictures at every level: for `x` [N, 3, H, W] in `[0, 255]` the list
    /// `[sr_0, sr_1, …]` of sizes H x W, 2H x 2W, … , scale * H x scale * W. Neither clamped nor rounded.
    ///
    /// # Panics
    /// If pooling is local and H or W is not a multiple of [`Pooling::alignment`].
    pub fn forward(&self, x: Tensor<4>, pooling: Pooling) -> Vec<Tensor<4>> {
        self.run(x, pooling, true)
    }

    /// The pictures of [`Drn::forward`], and the features that the last convolution makes the last picture of.
    ///
    /// # Panics
    /// As [`Drn::forward`].
    pub fn forward_with_features(&self, x: Tensor<4>, pooling: Pooling) -> (Vec<Tensor<4>>, Tensor<4>) {
        let mut pass = self.enter(x, pooling);
        for unit in 0..self.architecture.widths.len() {
            pass = self.pass_unit(pass, unit, None);
        }
        (pass.pictures, pass.features)
    }

    /// The last picture of [`Drn::forward`] alone, for less work and memory.
    ///
    /// # Panics
    /// As [`Drn::forward`].
    pub fn upscale(&self, x: Tensor<4>, pooling: Pooling) -> Tensor<4> {
        self.run(x, pooling, false).pop().expect("a network has at least one level")
    }

    fn run(&self, x: Tensor<4>, pooling: Pooling, every_level: bool) -> Vec<Tensor<4>> {
        let mut pass = self.enter(x, pooling);
        pass.every_level = every_level;
        for unit in 0..self.architecture.widths.len() {
            pass = self.pass_unit(pass, unit, None);
        }
        pass.pictures
    }

    /// Begins a forward pass of `x` [N, 3, H, W]: up to the first unit.
    ///
    /// Units ([`Architecture::units`]) are passed in their order, so that a pass can be stopped at one, kept, and gone
    /// on with again and again: the search for the channels of a unit needs nothing before it to be computed anew.
    ///
    /// # Panics
    /// As [`Drn::forward`].
    pub fn enter(&self, x: Tensor<4>, pooling: Pooling) -> Pass {
        let [_, _, height, width] = x.dims();
        let alignment = pooling.alignment();
        assert!(
            height.is_multiple_of(alignment) && width.is_multiple_of(alignment),
            "local pooling needs sides in multiples of {alignment}, got {width}x{height}"
        );
        // Enlarging keeps sums of colours and means, which are therefore taken from fewer pixels.
        let enlarged = enlarge_bicubic(self.sub_mean.forward(x), self.architecture.scale);
        let features = self.head.forward(enlarged);
        Pass { features, copies: Vec::new(), pictures: Vec::new(), pooling, every_level: true }
    }

    /// Goes on with a forward pass through unit `index` and what belongs to it. `probe` sees the features between the
    /// unit's two convolutions and the output of the second one.
    ///
    /// # Panics
    /// If there is no such unit.
    pub fn pass_unit(&self, pass: Pass, index: usize, probe: Probe<'_>) -> Pass {
        let Pass { features: mut x, mut copies, mut pictures, pooling, every_level } = pass;
        match self.architecture.unit_kind(index) {
            UnitKind::Down { index } => {
                copies.push(x.clone());
                x = self.down[index].forward_probed(x, probe);
                if every_level && index + 1 == self.down.len() {
                    pictures.push(self.picture(0, x.clone()));
                }
            }
            UnitKind::Block { level, block } => {
                x = self.levels[level].blocks[block].forward(x, pooling, 1 << level, probe);
            }
            UnitKind::Up { level } => {
                let copy = copies.pop().expect("one copy a level");
                x = self.levels[level].rise(x, copy, probe);
                if every_level || level + 1 == self.levels.len() {
                    pictures.push(self.picture(level + 1, x.clone()));
                }
            }
        }
        Pass { features: x, copies, pictures, pooling, every_level }
    }

    /// The picture of a level, of its features.
    fn picture(&self, level: usize, features: Tensor<4>) -> Tensor<4> {
        self.add_mean.after(&self.tails[level], features)
    }

    /// Calls `visit` with every convolution, in a fixed order.
    pub(crate) fn visit(&self, visit: &mut dyn FnMut(&Conv)) {
        // One traversal serves both directions; clones of tensors are handles.
        self.clone().visit_mut(&mut |conv| visit(conv));
    }

    pub(crate) fn visit_mut(&mut self, visit: &mut dyn FnMut(&mut Conv)) {
        visit(&mut self.head);
        for block in &mut self.down {
            visit(&mut block.strided);
            visit(&mut block.last);
        }
        for level in &mut self.levels {
            level.forget_joined();
            for block in &mut level.blocks {
                visit(&mut block.first);
                visit(&mut block.second);
                visit(&mut block.attention.squeeze);
                visit(&mut block.attention.excite);
            }
            visit(&mut level.up);
            visit(&mut level.reduce);
        }
        self.tails.iter_mut().for_each(visit);
    }

    fn parameter_names(&self) -> std::collections::BTreeSet<String> {
        let mut weights = std::collections::BTreeSet::new();
        self.visit(&mut |conv| {
            weights.insert(format!("{}.weight", conv.name));
            if conv.bias.is_some() {
                weights.insert(format!("{}.bias", conv.name));
            }
        });
        weights
    }

    /// All weights by their published names.
    pub fn weights(&self) -> Weights {
        let mut weights = Weights::default();
        self.visit(&mut |conv| conv.export(&mut weights));
        self.sub_mean.export(&mut weights);
        self.add_mean.export(&mut weights);
        weights
    }
}
